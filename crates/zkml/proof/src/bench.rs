//! The kernels on data of their own, for `benches/kernels.rs`: every function prepares its data
//! and returns what is to be timed.

use p3_field::PrimeCharacteristicRing;

use crate::field::{E, F, eq_table};
use crate::logup::{self, Block, Numerator};
use crate::sumcheck;
use crate::transcript::ProverChannel;

/// Base elements that look random.
fn elements(count: usize) -> Vec<F> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        F::from_u32((state >> 33) as u32)
    };
    (0..count).map(next).collect()
}

fn point(variables: usize) -> Vec<E> {
    ProverChannel::new(b"bench")
        .transcript
        .sample_point(variables)
}

/// LogUp over `2^depth` leaves of which `sixteenths/16` are present: a table with counts in the
/// first sixteenth of those, lookups of pairs in the rest.
pub fn logup(depth: usize, sixteenths: usize) -> impl FnMut() {
    let count = (1 << depth) * sixteenths / 16;
    let (x, y, counts) = (elements(count), elements(count), elements(count / 16));
    let challenges = point(2);
    move || {
        let (table_x, x) = x.split_at(counts.len());
        let (table_y, y) = y.split_at(counts.len());
        let block = |offset, numerator, x, y| Block {
            offset,
            numerator,
            constant: challenges[0],
            x,
            y: Some(y),
        };
        let table = Numerator::Base(counts.as_slice().into());
        let blocks = [
            block(0, table, table_x.into(), table_y.into()),
            block(counts.len(), Numerator::One, x.into(), y.into()),
        ];
        let mut channel = ProverChannel::new(b"bench");
        logup::prove(depth, challenges[1], &blocks, &mut channel);
    }
}

/// The table of `eq` over `2^variables` elements.
pub fn eq(variables: usize) -> impl FnMut() {
    let point = point(variables);
    move || {
        std::hint::black_box(eq_table(&point, E::ONE));
    }
}

/// `Σ a·b` over `2^variables` elements, the second table in the base field; the tables are copied.
pub fn product_base(variables: usize) -> impl FnMut() {
    let (a, b) = (
        eq_table(&point(variables), E::ONE),
        elements(1 << variables),
    );
    move || {
        let mut channel = ProverChannel::new(b"bench");
        let _ = std::hint::black_box(sumcheck::prove_product_base(
            a.clone(),
            b.clone(),
            &mut channel,
        ));
    }
}

/// `Σ a·b` over `2^variables` elements; the tables are copied.
pub fn product(variables: usize) -> impl FnMut() {
    let a = eq_table(&point(variables), E::ONE);
    move || {
        let mut channel = ProverChannel::new(b"bench");
        let _ = std::hint::black_box(sumcheck::prove_product(a.clone(), a.clone(), &mut channel));
    }
}

/// `Σ eq·a·b` over `2^variables` base elements; the tables are copied.
pub fn eq_product_base(variables: usize) -> impl FnMut() {
    let (point, a) = (point(variables), elements(1 << variables));
    move || {
        let mut channel = ProverChannel::new(b"bench");
        let _ = std::hint::black_box(sumcheck::prove_eq_product_base(
            &point,
            a.clone(),
            a.clone(),
            &mut channel,
        ));
    }
}

/// `Σ eq·a·b` over `2^variables` extension elements; the tables are copied.
pub fn eq_product(variables: usize) -> impl FnMut() {
    let point = point(variables);
    let a = eq_table(&point, E::ONE);
    move || {
        let mut channel = ProverChannel::new(b"bench");
        let _ = std::hint::black_box(sumcheck::prove_eq_product(
            &point,
            a.clone(),
            a.clone(),
            &mut channel,
        ));
    }
}
