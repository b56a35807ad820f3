use super::*;
use crate::field::eq_table;

fn table(seed: u64, n: usize) -> Vec<E> {
    let mut channel = ProverChannel::new(&seed.to_le_bytes());
    (0..1 << n).map(|_| channel.transcript.sample()).collect()
}

fn base_table(seed: u64, n: usize) -> Vec<F> {
    table(seed, n)
        .iter()
        .map(|e| crate::field::coordinates(e)[0])
        .collect()
}

fn lift(values: &[F]) -> Vec<E> {
    values.iter().copied().map(E::from).collect()
}

fn evaluate(table: &[E], point: &[E]) -> E {
    eq_table(point, E::ONE)
        .iter()
        .zip(table)
        .fold(E::ZERO, |a, (&e, &t)| a + e * t)
}

/// `Σ_x eq(point, x') a(x) b(x)`.
fn sum(point: &[E], a: &[E], b: &[E]) -> E {
    let eq = eq_table(point, E::ONE);
    let inner = a.len() / eq.len();
    (0..a.len()).fold(E::ZERO, |s, i| s + eq[i / inner] * a[i] * b[i])
}

/// Whether the verifier's reduced claim is the product of the tables at the point.
fn holds(claim: E, r: &[E], a: &[E], b: &[E], sent: &[E]) -> bool {
    let n = a.len().trailing_zeros() as usize;
    let mut verifier = VerifierChannel::new(b"s", sent);
    let (x, reduced) = verify_eq_product(claim.into(), r, n, &mut verifier).unwrap();
    assert!(verifier.is_finished());
    assert!(reduced.terms.is_empty());
    reduced.constant == evaluate(a, &x) * evaluate(b, &x)
}

#[test]
fn a_true_sum_reduces_to_the_tables_and_a_false_one_does_not() {
    for n in 0..14 {
        for k in [0, 1, n / 2, n] {
            let k = k.min(n);
            let r = table(9, 4)[..k].to_vec();
            let (a, b) = (table(1, n), table(2, n));
            let claim = sum(&r, &a, &b);
            let mut prover = ProverChannel::new(b"s");
            let (point, values) = prove_eq_product(&r, a.clone(), b.clone(), &mut prover);
            assert_eq!(values, [evaluate(&a, &point), evaluate(&b, &point)]);
            assert_eq!(prover.sent.len(), messages(n));
            assert!(holds(claim, &r, &a, &b, &prover.sent), "{n} {k}");
            assert!(!holds(claim + E::ONE, &r, &a, &b, &prover.sent), "{n} {k}");
            for i in 0..prover.sent.len() {
                let mut sent = prover.sent.clone();
                sent[i] += E::ONE;
                assert!(!holds(claim, &r, &a, &b, &sent), "{n} {k} {i}");
            }
        }
    }
}

#[test]
fn tables_in_the_base_field_give_the_same_messages() {
    for n in 0..14 {
        for k in [0, 1, n / 2, n] {
            let k = k.min(n);
            let r = table(9, 4)[..k].to_vec();
            let (a, b) = (base_table(1, n), base_table(2, n));
            let mut expected = ProverChannel::new(b"s");
            let values = prove_eq_product(&r, lift(&a), lift(&b), &mut expected);
            let mut prover = ProverChannel::new(b"s");
            assert_eq!(
                prove_eq_product_base(&r, a, b, &mut prover),
                values,
                "{n} {k}"
            );
            assert_eq!(prover.sent, expected.sent);
        }
        let (a, b) = (table(1, n), base_table(2, n));
        let mut expected = ProverChannel::new(b"s");
        let values = prove_product(a.clone(), lift(&b), &mut expected);
        let mut prover = ProverChannel::new(b"s");
        assert_eq!(prove_product_base(a, b, &mut prover), values, "{n}");
        assert_eq!(prover.sent, expected.sent);
    }
}

#[test]
fn a_zero_coordinate_and_a_short_proof_are_refused() {
    let sent = table(1, 3);
    let r = [E::TWO, E::ZERO];
    let mut verifier = VerifierChannel::new(b"s", &sent);
    assert_eq!(
        verify_eq_product(E::ONE.into(), &r, 2, &mut verifier),
        Err(SumcheckError::ZeroCoordinate)
    );
    let mut verifier = VerifierChannel::new(b"s", &sent);
    assert_eq!(
        verify_eq_product(E::ONE.into(), &[], 5, &mut verifier),
        Err(SumcheckError::Exhausted)
    );
}

#[test]
fn padded_messages_reduce_to_the_same_claim_once_the_pads_are_known() {
    let n = 6;
    let r = table(9, 4)[..3].to_vec();
    let (a, b) = (table(1, n), table(2, n));
    let pads = table(7, 4)[..messages(n)].to_vec();
    let mut prover = ProverChannel::hiding(b"s", pads.clone());
    let (point, values) = prove_eq_product(&r, a.clone(), b.clone(), &mut prover);
    assert_eq!(prover.pads_left(), 0);
    let mut verifier = VerifierChannel::with_mode(b"s", &prover.sent, true);
    let claim = sum(&r, &a, &b).into();
    let (x, reduced) = verify_eq_product(claim, &r, n, &mut verifier).unwrap();
    assert_eq!(x, point);
    assert_eq!(reduced.terms.len(), messages(n));
    let value = reduced
        .terms
        .iter()
        .fold(reduced.constant, |s, &(t, c)| s + c * pads[t as usize]);
    assert_eq!(value, values[0] * values[1]);
}
