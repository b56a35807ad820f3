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
            eprintln!("skipped: {}: {error} (set HALLMARK_VECTORS to its folder)", path.display());
            None
        }
    }
}
