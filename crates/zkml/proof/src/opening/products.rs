//! Committed products of committed secrets, by a fully linear proof (Boneh et al., CRYPTO 2019).
//!
//! For pairs `(a_k, b_k)`, `k < K`, and committed `c_k` that are claimed to be `a_k b_k`: let `f` and `g` be the
//! polynomials of degree `K` through `a_k` and `b_k` at `k`, and through one random value each at `K`. Then
//! `h = f·g` has degree `2K`, `h(k) = c_k`, and its values at `K, …, 2K` are committed as well. At a random `s`
//! the prover sends `f(s)` and `g(s)`, uniform for every `s ≥ K` by the random value, and shows three linear
//! claims: that both are what they are said to be, and that `h(s) = f(s) g(s)`. Soundness error `2K/|E|`.

use p3_field::{PrimeCharacteristicRing, batch_multiplicative_inverse};

use crate::field::{E, F};

/// Lagrange coefficients of the nodes `0, …, count - 1` at `s`, which is none of them.
pub(crate) fn lagrange(count: usize, s: E) -> Option<Vec<E>> {
    let differences: Vec<E> = (0..count).map(|i| s - F::from_usize(i)).collect();
    if differences.contains(&E::ZERO) {
        return None;
    }
    let all: E = differences.iter().copied().product();
    // Π_{j≠i} (i - j) = (-1)^(count-1-i) i! (count-1-i)!
    let mut factorials = vec![F::ONE; count];
    for i in 1..count {
        factorials[i] = factorials[i - 1] * F::from_usize(i);
    }
    let denominators: Vec<E> = differences
        .iter()
        .enumerate()
        .map(|(i, &d)| {
            let rest = count - 1 - i;
            let product = factorials[i] * factorials[rest];
            d * if rest.is_multiple_of(2) {
                product
            } else {
                -product
            }
        })
        .collect();
    let inverses = batch_multiplicative_inverse(&denominators);
    Some(inverses.into_iter().map(|inverse| all * inverse).collect())
}

/// The values of `f·g` at `K, …, 2K` from those of `f` and `g` at `0, …, K`.
pub(crate) fn extend(f: &[E], g: &[E]) -> Vec<E> {
    let at = |values: &[E], coefficients: &[E]| {
        values
            .iter()
            .zip(coefficients)
            .fold(E::ZERO, |sum, (&v, &c)| sum + v * c)
    };
    let count = f.len();
    let mut products = vec![f[count - 1] * g[count - 1]];
    for node in count..2 * count - 1 {
        // A node past all others.
        let coefficients = lagrange(count, E::from_usize(node)).unwrap_or_default();
        products.push(at(f, &coefficients) * at(g, &coefficients));
    }
    products
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Transcript;

    #[test]
    fn a_product_is_determined_by_its_extension() {
        let mut random = Transcript::new(b"p");
        for count in [1, 2, 3, 8, 57] {
            let (f, g) = (random.sample_point(count), random.sample_point(count));
            let mut h: Vec<E> = f.iter().zip(&g).map(|(&a, &b)| a * b).collect();
            h.pop();
            h.extend(extend(&f, &g));
            assert_eq!(h.len(), 2 * count - 1);
            let s: E = random.sample();
            let at = |values: &[E]| {
                let coefficients = lagrange(values.len(), s).unwrap();
                values
                    .iter()
                    .zip(coefficients)
                    .fold(E::ZERO, |sum, (&v, c)| sum + v * c)
            };
            assert_eq!(at(&h), at(&f) * at(&g));
        }
        assert_eq!(lagrange(3, E::TWO), None);
    }
}
