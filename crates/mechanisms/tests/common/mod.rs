//! Files of numbers to conform to, which stand beside the repository or where
//! `HALLMARK_VECTORS` says.

use std::path::PathBuf;

/// Reads a file of numbers; says why the test skips if there is none.
pub fn vector(name: &str) -> Option<String> {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors");
    let folder = std::env::var_os("HALLMARK_VECTORS").map_or(beside, PathBuf::from);
    let path = folder.join(name);
    match std::fs::read_to_string(&path) {
        Ok(text) => Some(text),
        Err(error) => {
            eprintln!(
                "skipped: {}: {error} (set HALLMARK_VECTORS to its folder)",
                path.display()
            );
            None
        }
    }
}

/// A table of decimal numbers with named columns.
#[allow(dead_code)]
pub struct Table {
    columns: std::collections::BTreeMap<String, usize>,
    rows: Vec<Vec<String>>,
}

#[allow(dead_code)]
impl Table {
    /// Reads a comma-separated file whose first line names the columns.
    pub fn read(name: &str) -> Option<Table> {
        let text = vector(name)?;
        let mut lines = text
            .lines()
            .map(|l| l.split(',').map(str::to_string).collect::<Vec<_>>());
        let columns = lines
            .next()
            .unwrap()
            .into_iter()
            .enumerate()
            .map(|(i, c)| (c, i))
            .collect();
        Some(Table {
            columns,
            rows: lines.collect(),
        })
    }

    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    pub fn text(&self, row: usize, column: impl AsRef<str>) -> &str {
        let column = column.as_ref();
        let index = self
            .columns
            .get(column)
            .unwrap_or_else(|| panic!("no column {column}"));
        &self.rows[row][*index]
    }

    pub fn number(&self, row: usize, column: impl AsRef<str>) -> hallmark_fixed::Q64 {
        let column = column.as_ref();
        self.text(row, column)
            .parse()
            .unwrap_or_else(|e| panic!("row {row} {column}: {e}"))
    }

    /// Columns `prefix0`, `prefix1`, …
    pub fn list(&self, row: usize, prefix: &str, count: usize) -> Vec<hallmark_fixed::Q64> {
        (0..count)
            .map(|i| self.number(row, format!("{prefix}{i}")))
            .collect()
    }
}

/// Asserts that two numbers differ by at most 10^-10, ten times finer than is asked.
#[allow(dead_code)]
pub fn assert_close(ours: hallmark_fixed::Q64, theirs: hallmark_fixed::Q64, what: &str) {
    use hallmark_fixed::Q64;
    let tolerance = Q64::from_ratio(1, 10_000_000_000);
    assert!(
        (ours - theirs).abs() <= tolerance,
        "{what}: ours {ours}, table {theirs}"
    );
}
