use super::*;
use crate::field::{coordinates, eq_table};
use crate::transcript::ProverChannel;

/// Deterministic field elements.
struct Source(ProverChannel);

impl Source {
    fn new(seed: u64) -> Self {
        Self(ProverChannel::new(&seed.to_le_bytes()))
    }

    fn e(&mut self) -> E {
        self.0.transcript.sample()
    }

    fn f(&mut self) -> F {
        coordinates(&self.e())[0]
    }
}

fn evaluate(table: &[E], point: &[E]) -> E {
    eq_table(point, E::ONE)
        .iter()
        .zip(table)
        .fold(E::ZERO, |a, (&e, &t)| a + e * t)
}

/// The leaves one by one, from the definition.
fn leaves(depth: usize, beta: E, blocks: &[Block<'_>]) -> (Vec<E>, Vec<E>) {
    let mut p = vec![E::ZERO; 1 << depth];
    let mut q = vec![E::ONE; 1 << depth];
    for block in blocks {
        for (i, &x) in block.x.iter().enumerate() {
            p[block.offset + i] = match &block.numerator {
                Numerator::One => E::ONE,
                Numerator::Base(values) => values[i].into(),
            };
            let y = block.y.as_ref().map_or(F::ZERO, |y| y[i]);
            q[block.offset + i] = block.constant - x - beta * y;
        }
    }
    (p, q)
}

/// A table of `size` pairs, then blocks of lookups into it that fill what is left of the first
/// `total` leaves, with gaps of `gap` leaves between blocks.
fn lookups(seed: u64, size: usize, total: usize, gap: usize) -> (E, Vec<Block<'static>>) {
    let mut s = Source::new(seed);
    let (alpha, beta) = (s.e(), s.e());
    let pairs: Vec<(F, F)> = (0..size).map(|_| (s.f(), s.f())).collect();
    let mut counts = vec![0u64; size];
    let mut blocks = Vec::new();
    let mut offset = size + gap;
    let mut length = 1;
    while offset < total {
        let n = length.min(total - offset);
        let picks: Vec<usize> = (0..n)
            .map(|i| (i * 7 + offset * 3 + seed as usize) % size)
            .collect();
        for &i in &picks {
            counts[i] += 1;
        }
        blocks.push(Block {
            offset,
            numerator: Numerator::One,
            constant: alpha,
            x: picks.iter().map(|&i| pairs[i].0).collect(),
            y: Some(picks.iter().map(|&i| pairs[i].1).collect()),
        });
        offset += n + gap;
        length = 2 * length + 3;
    }
    let table = Block {
        offset: 0,
        numerator: Numerator::Base(counts.iter().map(|&m| -F::from_u64(m)).collect()),
        constant: alpha,
        x: pairs.iter().map(|p| p.0).collect(),
        y: Some(pairs.iter().map(|p| p.1).collect()),
    };
    blocks.insert(0, table);
    (beta, blocks)
}

fn accept(depth: usize, beta: E, blocks: &[Block<'_>]) {
    let mut prover = ProverChannel::new(b"l");
    let point = prove(depth, beta, blocks, &mut prover);
    assert_eq!(prover.sent.len(), messages(depth));
    let mut verifier = VerifierChannel::new(b"l", &prover.sent);
    let (point_v, p, q) = verify(depth, &mut verifier).unwrap();
    assert!(verifier.is_finished());
    assert_eq!(point, point_v);
    let (ps, qs) = leaves(depth, beta, blocks);
    assert_eq!(evaluate(&ps, &point), p.constant, "depth {depth}");
    assert_eq!(evaluate(&qs, &point), q.constant, "depth {depth}");
}

#[test]
fn lookups_in_their_table_are_accepted_and_leaf_claims_are_true() {
    for depth in 1..13 {
        let leaves = 1usize << depth;
        let size = (leaves / 4).clamp(1, 37);
        for total in [leaves, leaves / 2 + 1, leaves * 3 / 4, leaves - 1] {
            for gap in [0, 1, 5, 64] {
                let (beta, blocks) = lookups(total as u64, size, total.max(size + 1), gap);
                accept(depth, beta, &blocks);
            }
        }
    }
}

#[test]
fn blocks_of_every_kind_are_leaves_as_they_are_defined() {
    let mut s = Source::new(3);
    for depth in [3, 6, 9] {
        let n = (1 << depth) / 8;
        let beta = s.e();
        let mut blocks = Vec::new();
        for (k, base) in [true, false].into_iter().cycle().take(6).enumerate() {
            let x: Vec<F> = (0..n).map(|_| s.f()).collect();
            let y: Vec<F> = (0..n).map(|_| s.f()).collect();
            let m: Vec<F> = (0..n).map(|_| s.f()).collect();
            // Every block comes twice, with numerators of opposite signs.
            let constant = s.e();
            for sign in [F::ONE, F::NEG_ONE] {
                blocks.push(Block {
                    offset: 0,
                    numerator: match (k, base) {
                        (1, _) => Numerator::Base(vec![F::ZERO; n].into()),
                        (_, true) => Numerator::Base(m.iter().map(|&m| sign * m).collect()),
                        _ if sign == F::ONE => Numerator::One,
                        _ => Numerator::Base(vec![F::NEG_ONE; n].into()),
                    },
                    constant,
                    x: x.clone().into(),
                    y: (k % 3 != 2).then(|| y.clone().into()),
                });
            }
        }
        blocks.truncate(8);
        for (i, block) in blocks.iter_mut().enumerate() {
            block.offset = i * n;
        }
        accept(depth, beta, &blocks);
    }
}

#[test]
fn a_lookup_outside_its_table_is_refused_at_the_root() {
    for depth in [3, 8] {
        let (beta, mut blocks) = lookups(1, 3, (1 << depth) - 1, 0);
        blocks[1].x.to_mut()[0] += F::ONE;
        let mut prover = ProverChannel::new(b"l");
        prove(depth, beta, &blocks, &mut prover);
        let mut verifier = VerifierChannel::new(b"l", &prover.sent);
        assert_eq!(verify(depth, &mut verifier), Err(LogUpError::Root));
    }
}

#[test]
fn a_zero_denominator_is_refused_at_the_root() {
    let zero = Block {
        offset: 2,
        numerator: Numerator::Base(vec![F::ZERO].into()),
        constant: E::TWO,
        x: vec![F::TWO].into(),
        y: None,
    };
    let mut prover = ProverChannel::new(b"l");
    prove(3, E::ONE, &[zero], &mut prover);
    let mut verifier = VerifierChannel::new(b"l", &prover.sent);
    assert_eq!(verify(3, &mut verifier), Err(LogUpError::Root));
}

#[test]
fn a_changed_message_is_refused_or_changes_the_claims() {
    let depth = 5;
    let (beta, blocks) = lookups(2, 5, 29, 1);
    let (ps, qs) = leaves(depth, beta, &blocks);
    let mut prover = ProverChannel::new(b"l");
    prove(depth, beta, &blocks, &mut prover);
    for i in 0..prover.sent.len() {
        let mut sent = prover.sent.clone();
        sent[i] += E::ONE;
        let mut verifier = VerifierChannel::new(b"l", &sent);
        if let Ok((point, p, q)) = verify(depth, &mut verifier) {
            let claims = (evaluate(&ps, &point), evaluate(&qs, &point));
            assert_ne!((p.constant, q.constant), claims, "message {i}");
        }
    }
    let mut verifier = VerifierChannel::new(b"l", &prover.sent[1..]);
    assert!(verify(depth, &mut verifier).is_err());
}

#[test]
fn padded_messages_satisfy_the_collected_constraints() {
    let depth = 6;
    let (beta, blocks) = lookups(4, 5, 50, 1);
    let mut s = Source::new(8);
    let pads: Vec<E> = (0..messages(depth)).map(|_| s.e()).collect();
    let mut prover = ProverChannel::hiding(b"l", pads.clone());
    let point = prove(depth, beta, &blocks, &mut prover);
    assert_eq!(prover.pads_left(), 0);
    let mut verifier = VerifierChannel::with_mode(b"l", &prover.sent, true);
    let (_, p, q) = verify(depth, &mut verifier).unwrap();
    // Two fractions and two inverses at the root, three products in every other layer.
    assert_eq!(verifier.products.len(), 4 + 3 * (depth - 1));
    let value = |lin: &Lin| {
        lin.terms.iter().fold(lin.constant, |s, &(t, c)| {
            let secret = match t.checked_sub(crate::transcript::PRODUCTS) {
                Some(k) => {
                    let (i, j) = verifier.products[k as usize];
                    pads[i as usize] * pads[j as usize]
                }
                None => pads[t as usize],
            };
            s + c * secret
        })
    };
    for constraint in &verifier.constraints {
        assert_eq!(value(constraint), E::ZERO);
    }
    let (ps, qs) = leaves(depth, beta, &blocks);
    assert_eq!(value(&p), evaluate(&ps, &point));
    assert_eq!(value(&q), evaluate(&qs, &point));
}
