//! The public part of a proof and the evaluations that the verifier makes itself.

use p3_field::PrimeCharacteristicRing;

use crate::field::{E, eq_table, index_extension, less_than, prefix_sums, signed};
use crate::key::VerifyingKey;
use crate::plan::{Layout, LookupTable};
use crate::proof::Statement;

/// The digests of a statement. Tensors are hashed whole, so absorbing a digest binds them.
pub(crate) fn statement(
    vk: &VerifyingKey,
    input: &[i32],
    output: &[i32],
    context: &[u8; 32],
) -> Statement {
    let tensor = |name: &str, values: &[i32]| {
        let mut hasher = blake3::Hasher::new_derive_key(name);
        hasher.update(&(values.len() as u64).to_le_bytes());
        for chunk in values.chunks(256) {
            let mut bytes = [0u8; 1024];
            for (target, v) in bytes.chunks_exact_mut(4).zip(chunk) {
                target.copy_from_slice(&v.to_le_bytes());
            }
            hasher.update(&bytes[..4 * chunk.len()]);
        }
        *hasher.finalize().as_bytes()
    };
    Statement {
        model: vk.digest(),
        input: tensor("hallmark proof v1 input tensor", input),
        output: tensor("hallmark proof v1 output tensor", output),
        context: *context,
    }
}

/// `ṽalue(point)` of a public tensor in a layout, zero-padded. The weights of a row are products
/// of two tables of about the square root of its length, so memory stays small.
pub(crate) fn evaluate(values: &[i32], layout: Layout, point: &[E]) -> E {
    let (row_point, col_point) = point.split_at(layout.row_variables());
    let (high_point, low_point) = col_point.split_at(col_point.len() / 2);
    let low = eq_table(low_point, E::ONE);
    let high = eq_table(high_point, E::ONE);
    let rows = eq_table(row_point, E::ONE);
    let row_value = |row: &[i32]| {
        row.chunks(low.len())
            .zip(&high)
            .fold(E::ZERO, |acc, (chunk, &weight)| {
                let sum = chunk
                    .iter()
                    .zip(&low)
                    .fold(E::ZERO, |a, (&v, &e)| a + e * signed(i64::from(v)));
                acc + sum * weight
            })
    };
    values
        .chunks(layout.cols)
        .zip(rows)
        .fold(E::ZERO, |acc, (row, weight)| acc + row_value(row) * weight)
}

/// The multilinear extension of "this position holds an element" of a layout.
pub(crate) fn presence(layout: Layout, point: &[E]) -> E {
    let (row_point, col_point) = point.split_at(layout.row_variables());
    less_than(row_point, layout.rows) * less_than(col_point, layout.cols)
}

/// `Σ_i eq(from, position_from(i)) · eq(to, position_to(i))` over the elements `i`: the linear map
/// that re-reads a value of layout `to` in layout `from`, at both points.
pub(crate) fn relayout(from: (Layout, &[E]), to: (Layout, &[E])) -> E {
    let a = eq_table(from.1, E::ONE);
    let b = eq_table(to.1, E::ONE);
    (0..to.0.elements()).fold(E::ZERO, |acc, i| {
        acc + a[from.0.position(i)] * b[to.0.position(i)]
    })
}

impl LookupTable {
    /// The extensions of the first and second column of the table, in closed form.
    pub(crate) fn evaluate(&self, point: &[E]) -> (E, E) {
        match *self {
            Self::Range { .. } => (index_extension(point), E::ZERO),
            Self::Clamp { bits, lo, hi } => {
                let half = 1i64 << (bits - 1);
                let shift = signed(half);
                let u = index_extension(point) - shift;
                // Rows below `lo` and rows above `hi` in index terms.
                let first = (i64::from(lo) + half).clamp(0, 2 * half) as usize;
                let last = (i64::from(hi) + half + 1).clamp(0, 2 * half) as usize;
                let (low_count, low_sum) = prefix_sums(point, first);
                let (kept_count, kept_sum) = prefix_sums(point, last);
                let high_count = E::ONE - kept_count;
                let inside = (kept_sum - low_sum) - (kept_count - low_count) * shift;
                let value =
                    inside + low_count * signed(i64::from(lo)) + high_count * signed(i64::from(hi));
                (u, value)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;

    #[test]
    fn a_clamp_table_evaluates_as_its_rows_do() {
        let point = Transcript::new(b"t").sample_point(6);
        let eq = eq_table(&point, E::ONE);
        for (lo, hi) in [(0, 31), (-32, 31), (-5, 7), (-32, -32), (3, 3), (0, 0)] {
            let table = LookupTable::Clamp { bits: 6, lo, hi };
            let (mut u, mut t) = (E::ZERO, E::ZERO);
            for (j, &e) in eq.iter().enumerate() {
                let x = j as i64 - 32;
                u += e * signed(x);
                t += e * signed(x.clamp(i64::from(lo), i64::from(hi)));
            }
            assert_eq!(table.evaluate(&point), (u, t), "clamp {lo}..{hi}");
        }
    }

    #[test]
    fn layouts_agree_on_what_they_hold() {
        let mut transcript = Transcript::new(b"t");
        let layout = Layout { rows: 3, cols: 5 };
        let flat = Layout::new(1, 15);
        let (p, r) = (transcript.sample_point(4), transcript.sample_point(5));
        let values: Vec<i32> = (0..15).map(|i| i * i - 40).collect();
        // Re-reading by the linear map gives the flat evaluation.
        let b = eq_table(&r, E::ONE);
        let direct = (0..15).fold(E::ZERO, |a, i| {
            a + b[layout.position(i)] * signed(i64::from(values[i]))
        });
        assert_eq!(evaluate(&values, layout, &r), direct);
        let ones = vec![1; 15];
        assert_eq!(evaluate(&ones, layout, &r), presence(layout, &r));
        assert_eq!(evaluate(&ones, flat, &p), presence(flat, &p));
    }
}
