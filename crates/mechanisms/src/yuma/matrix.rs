//! Sparse matrices by rows: memory is linear in the entries.

use hallmark_fixed::Q32;

/// Rows of `(column, value)`, columns rising within a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Matrix {
    /// Number of columns.
    columns: usize,
    /// End of each row in the two vectors below.
    ends: Vec<usize>,
    cols: Vec<u16>,
    values: Vec<Q32>,
}

impl Matrix {
    pub(super) fn new(columns: usize) -> Matrix {
        Matrix {
            columns,
            ..Matrix::default()
        }
    }

    pub(super) fn with_room_of(other: &Matrix) -> Matrix {
        Matrix {
            columns: other.columns,
            ends: Vec::with_capacity(other.ends.len()),
            cols: Vec::with_capacity(other.cols.len()),
            values: Vec::with_capacity(other.values.len()),
        }
    }

    /// Adds an entry to the row that is being built; `column` must exceed those already there and
    /// be below the number of columns.
    #[inline]
    pub(super) fn push(&mut self, column: u16, value: Q32) {
        debug_assert!(usize::from(column) < self.columns);
        self.cols.push(column);
        self.values.push(value);
    }

    /// Ends the row that is being built.
    pub(super) fn end_row(&mut self) {
        self.ends.push(self.cols.len());
    }

    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    pub(super) fn rows(&self) -> usize {
        self.ends.len()
    }

    fn bounds(&self, row: usize) -> (usize, usize) {
        let start = row
            .checked_sub(1)
            .and_then(|before| self.ends.get(before))
            .copied();
        (start.unwrap_or(0), self.ends.get(row).copied().unwrap_or(0))
    }

    /// Columns and values of a row.
    #[inline]
    pub(super) fn row(&self, row: usize) -> (&[u16], &[Q32]) {
        let (start, end) = self.bounds(row);
        (
            self.cols.get(start..end).unwrap_or(&[]),
            self.values.get(start..end).unwrap_or(&[]),
        )
    }

    #[inline]
    pub(super) fn row_mut(&mut self, row: usize) -> (&[u16], &mut [Q32]) {
        let (start, end) = self.bounds(row);
        let values = self.values.get_mut(start..end).unwrap_or_default();
        (self.cols.get(start..end).unwrap_or(&[]), values)
    }

    pub(super) fn entries(&self, row: usize) -> impl Iterator<Item = (u16, Q32)> + '_ {
        let (cols, values) = self.row(row);
        cols.iter().copied().zip(values.iter().copied())
    }

    fn all(&self) -> impl Iterator<Item = (u16, Q32)> + '_ {
        self.cols.iter().copied().zip(self.values.iter().copied())
    }

    /// `Σ_j x_ij` per row.
    pub(super) fn row_sums(&self) -> Vec<Q32> {
        (0..self.rows())
            .map(|row| self.row(row).1.iter().sum())
            .collect()
    }

    /// Divides each row by its sum, where that is positive.
    pub(super) fn normalise_rows(&mut self) {
        for row in 0..self.rows() {
            let (_, values) = self.row_mut(row);
            let sum: Q32 = values.iter().sum();
            if sum > Q32::ZERO {
                values.iter_mut().for_each(|value| *value = *value / sum);
            }
        }
    }

    /// Divides each column by `divisor_j`, where that is not zero.
    fn divide_columns(&mut self, divisors: &[Q32]) {
        for (&column, value) in self.cols.iter().zip(&mut self.values) {
            let divisor = at(divisors, column);
            if divisor != Q32::ZERO {
                *value = *value / divisor;
            }
        }
    }

    /// Divides each column by its sum.
    pub(super) fn normalise_columns(&mut self) {
        let sums = self.column_sums();
        self.divide_columns(&sums);
    }

    pub(super) fn column_sums(&self) -> Vec<Q32> {
        let mut sums = vec![Q32::ZERO; self.columns];
        for (column, value) in self.all() {
            if let Some(sum) = sums.get_mut(usize::from(column)) {
                *sum += value;
            }
        }
        sums
    }

    /// Divides each column by its maximum, which becomes one.
    pub(super) fn upscale_columns(&mut self) {
        let mut greatest = vec![Q32::ZERO; self.columns];
        for (column, value) in self.all() {
            if let Some(most) = greatest.get_mut(usize::from(column)) {
                *most = value.max(*most);
            }
        }
        self.divide_columns(&greatest);
    }

    /// `Σ_i v_i·x_ij` per column.
    pub(super) fn weighted_column_sums(&self, weights: &[Q32]) -> Vec<Q32> {
        let mut sums = vec![Q32::ZERO; self.columns];
        for (row, &weight) in weights.iter().enumerate().take(self.rows()) {
            for (column, value) in self.entries(row) {
                if let Some(sum) = sums.get_mut(usize::from(column)) {
                    *sum += weight * value;
                }
            }
        }
        sums
    }

    /// `Σ_j x_ij·v_j` per row.
    pub(super) fn weighted_row_sums(&self, weights: &[Q32]) -> Vec<Q32> {
        let row_sum = |row| {
            self.entries(row)
                .map(|(j, value)| at(weights, j) * value)
                .sum()
        };
        (0..self.rows()).map(row_sum).collect()
    }

    /// `Σ_j (x_ij / d_j)·v_j` per row, without keeping the quotients.
    pub(super) fn divided_row_sums(&self, divisors: &[Q32], weights: &[Q32]) -> Vec<Q32> {
        let term = |(j, value): (u16, Q32)| {
            let divisor = at(divisors, j);
            let share = if divisor == Q32::ZERO {
                value
            } else {
                value / divisor
            };
            share * at(weights, j)
        };
        (0..self.rows())
            .map(|row| self.entries(row).map(term).sum())
            .collect()
    }

    /// `x_ij·y_ij` where `other` has an entry, zero where it has none.
    pub(super) fn multiply(&mut self, other: &Matrix) {
        for row in 0..self.rows() {
            let mut factors = other.entries(row).peekable();
            let (cols, values) = self.row_mut(row);
            for (&column, value) in cols.iter().zip(values) {
                while factors.next_if(|&(at, _)| at < column).is_some() {}
                let factor = factors.next_if(|&(at, _)| at == column);
                *value = *value * factor.map_or(Q32::ZERO, |(_, factor)| factor);
            }
        }
    }

    /// `v_i·x_ij`.
    pub(super) fn scale_rows(&self, weights: &[Q32]) -> Matrix {
        let mut scaled = self.clone();
        for (row, &weight) in weights.iter().enumerate().take(self.rows()) {
            let (_, values) = scaled.row_mut(row);
            values.iter_mut().for_each(|value| *value = *value * weight);
        }
        scaled
    }
}

/// `values[column]`, zero outside.
#[inline]
pub(super) fn at(values: &[Q32], column: u16) -> Q32 {
    values
        .get(usize::from(column))
        .copied()
        .unwrap_or(Q32::ZERO)
}

/// Divides a vector by its sum, if that is not zero.
pub(super) fn normalise(values: &mut [Q32]) {
    let sum: Q32 = values.iter().sum();
    if sum != Q32::ZERO {
        values.iter_mut().for_each(|value| *value = *value / sum);
    }
}
