//! The elementary functions against 256-bit arithmetic on big integers.

mod big;

use big::{BITS, exp, ln, one};
use hallmark_fixed::Q64;
use num_bigint::BigInt;
use proptest::prelude::*;

fn wide(x: Q64) -> BigInt {
    BigInt::from(x.to_bits()) << (BITS - 64)
}

/// |ours − exact| in units of 2^-58.
fn assert_close(ours: Q64, exact: &BigInt, what: &str) {
    let error = (wide(ours) - exact).magnitude().clone();
    assert!(
        error <= (BigInt::from(1) << (BITS - 58)).magnitude().clone(),
        "{what}"
    );
}

/// `x^y` against the oracle, held within the range.
fn assert_power(x: Q64, y: Q64) {
    let product: BigInt = (ln(&wide(x)) * wide(y)) >> BITS;
    let exact = if product > one() * 44 {
        wide(Q64::MAX)
    } else if product < one() * -60 {
        BigInt::ZERO
    } else {
        exp(&product).min(wide(Q64::MAX))
    };
    assert_close(x.pow(y).unwrap(), &exact, &format!("{x} ^ {y}"));
}

/// Numbers of every size, either sign.
fn number() -> impl Strategy<Value = Q64> {
    (any::<i128>(), 0u32..127).prop_map(|(x, s)| Q64::from_bits(x >> s))
}

/// Positive numbers of every size.
fn positive() -> impl Strategy<Value = Q64> {
    (1i128..i128::MAX, 0u32..126).prop_map(|(x, s)| Q64::from_bits((x >> s).max(1)))
}

/// One and a little, either way.
fn near_one() -> impl Strategy<Value = Q64> {
    (1i128..1 << 62, 0u32..50, any::<bool>()).prop_map(|(d, s, up)| {
        let d = (d >> s).max(1);
        Q64::from_bits((1i128 << 64) + if up { d } else { -d })
    })
}

/// Numbers of every size below 43, either sign.
fn below_43() -> impl Strategy<Value = Q64> {
    (-(43i128 << 64)..43 << 64, 0u32..69).prop_map(|(x, s)| Q64::from_bits(x >> s))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn exponentials_are_within_two_to_the_minus_58(bits in -46i128 << 64..43i128 << 64) {
        let x = Q64::from_bits(bits);
        assert_close(x.exp(), &exp(&wide(x)), &format!("exp {x}"));
    }

    #[test]
    fn exponentials_of_small_numbers_are_within_two_to_the_minus_58(x in below_43()) {
        assert_close(x.exp(), &exp(&wide(x)), &format!("exp {x}"));
    }

    #[test]
    fn logarithms_are_within_two_to_the_minus_58(x in positive()) {
        let exact = ln(&wide(x));
        let (ln2, ln10) = (ln(&(one() << 1u32)), ln(&(one() * 10)));
        assert_close(x.ln().unwrap(), &exact, &format!("ln {x}"));
        assert_close(x.log2().unwrap(), &((&exact << BITS) / ln2), &format!("log2 {x}"));
        assert_close(x.log10().unwrap(), &((&exact << BITS) / ln10), &format!("log10 {x}"));
    }

    #[test]
    fn logarithms_near_one_are_within_two_to_the_minus_58(d in -(1i128 << 60)..1i128 << 60, s in 0u32..60) {
        let x = Q64::from_bits((1i128 << 64) + (d >> s));
        assert_close(x.ln().unwrap(), &ln(&wide(x)), &format!("ln {x}"));
    }

    #[test]
    fn roots_are_exact_floors(x in positive()) {
        let bits = x.to_bits();
        let exact = (BigInt::from(bits) << 64u32).sqrt();
        prop_assert_eq!(BigInt::from(x.sqrt().unwrap().to_bits()), exact);
    }

    #[test]
    fn powers_are_within_two_to_the_minus_58(x in positive(), y in -(1i128 << 74)..1i128 << 74, s in 8u32..74) {
        assert_power(x, Q64::from_bits(y >> s));
    }

    /// Results of every size, from bases of every size and from bases near one to great powers.
    #[test]
    fn powers_of_every_size_are_within_two_to_the_minus_58(
        x in prop_oneof![positive(), near_one()], target in -(45i128 << 64)..45i128 << 64,
    ) {
        assert_power(x, Q64::from_bits(target) / x.ln().unwrap());
    }

    /// Results of the last bits below the end of the range, where the bound is hardest to keep.
    #[test]
    fn powers_next_to_the_greatest_number_are_within_two_to_the_minus_58(
        x in prop_oneof![positive(), near_one()], below in 0i128..1 << 62,
    ) {
        let greatest = Q64::MAX.ln().unwrap() - Q64::from_bits(below);
        assert_power(x, greatest / x.ln().unwrap());
    }

    #[test]
    fn products_and_quotients_are_the_nearest_numbers(a in number(), b in number()) {
        let nearest = |numerator: BigInt, denominator: BigInt| {
            let negative = (numerator < BigInt::ZERO) != (denominator < BigInt::ZERO);
            let (n, d) = (BigInt::from(numerator.magnitude().clone()), BigInt::from(denominator.magnitude().clone()));
            let size: BigInt = (n * 2 + &d) / (d * 2);
            let value = if negative { -size } else { size };
            let (low, high) = (BigInt::from(i128::MIN), BigInt::from(i128::MAX));
            (value.clone().clamp(low.clone(), high.clone()), value >= low && value <= high)
        };
        let (a_bits, b_bits) = (BigInt::from(a.to_bits()), BigInt::from(b.to_bits()));
        let (product, fits) = nearest(&a_bits * &b_bits, BigInt::from(1) << 64u32);
        prop_assert_eq!(BigInt::from((a * b).to_bits()), product);
        prop_assert_eq!(a.checked_mul(b).is_some(), fits);
        if b != Q64::ZERO {
            let (quotient, fits) = nearest(a_bits << 64u32, b_bits);
            prop_assert_eq!(BigInt::from((a / b).to_bits()), quotient);
            prop_assert_eq!(a.checked_div(b).is_some(), fits);
        }
    }

    #[test]
    fn exp_and_ln_are_monotone(a in number(), step in 0u64..1 << 20) {
        let b = a + Q64::from_bits(i128::from(step));
        prop_assert!(a.exp() <= b.exp());
        prop_assert!(a.ln() <= b.ln());
        prop_assert!(a.log2() <= b.log2());
        prop_assert!(a.log10() <= b.log10());
        prop_assert!(a.sqrt() <= b.sqrt());
    }

    #[test]
    fn ln_of_exp_gives_the_number_back(bits in -20i128 << 64..43i128 << 64) {
        let x = Q64::from_bits(bits);
        let back = x.exp().ln().unwrap();
        // One step of exp(x) moves ln by 2^-64 / exp(x).
        let tolerance = Q64::EPSILON / x.exp() + Q64::from_bits(2);
        prop_assert!((back - x).abs() <= tolerance, "{x} {back}");
    }

    #[test]
    fn squares_and_roots_round_trip(bits in 0i128..1 << 94) {
        let x = Q64::from_bits(bits);
        let square = x * x;
        let back = square.sqrt().unwrap();
        // The square is within half a step, so its root within half a step over 2x, and floored.
        let tolerance = Q64::EPSILON / (x + Q64::EPSILON) + Q64::from_bits(2);
        prop_assert!((back - x).abs() <= tolerance.min(Q64::from_bits(1 << 32)), "{x} {back}");
    }

    #[test]
    fn nothing_panics(a in any::<i128>(), b in any::<i128>()) {
        let (a, b) = (Q64::from_bits(a), Q64::from_bits(b));
        let _ = (a + b, a - b, a * b, a / b, -a, a.abs(), a.exp(), a.ln(), a.log2(), a.log10());
        let _ = (a.sqrt(), a.pow(b), a.checked_add(b), a.checked_sub(b), a.checked_mul(b), a.checked_div(b));
    }
}

#[test]
fn whole_logarithms_are_exact() {
    for k in -64i64..63 {
        let x = 1i128 << (64 + k);
        assert_eq!(Q64::from_bits(x).log2(), Some(Q64::from_int(k)));
    }
    for k in 0..19 {
        assert_eq!(
            Q64::from_int(10i64.pow(k)).log10(),
            Some(Q64::from_int(i64::from(k)))
        );
    }
    assert_eq!(Q64::ONE.ln(), Some(Q64::ZERO));
    assert_eq!(Q64::ZERO.exp(), Q64::ONE);
}

#[test]
fn powers_at_the_ends_of_the_range_are_within_two_to_the_minus_58() {
    let (one, step) = (Q64::ONE, Q64::EPSILON);
    let bases = [
        step,
        step + step,
        one - step,
        one + step,
        one - step - step,
        one + step + step,
        Q64::from_int(2) - step,
        Q64::from_int(2),
        Q64::from_int(2) + step,
        Q64::MAX,
        Q64::from_ratio(1, 2),
        Q64::from_ratio(1, 2) + step,
        Q64::from_ratio(1, 3),
    ];
    let (half, third) = (Q64::from_ratio(1, 2), Q64::from_ratio(1, 3));
    let powers = [
        step,
        half,
        third,
        one - step,
        one,
        one + step,
        Q64::from_int(62),
        Q64::from_int(63) - step,
        Q64::from_int(63),
        Q64::from_int(1 << 40),
        Q64::MAX,
    ];
    for x in bases {
        for y in powers {
            assert_power(x, y);
            assert_power(x, -y);
        }
        assert_power(x, Q64::MIN);
    }
    // e^(1/2), from the base next to one to the 2^63rd power.
    let root = (one + step).pow(Q64::MAX).unwrap();
    assert!((root - half.exp()).abs() <= Q64::from_bits(2), "{root}");
}

#[test]
fn what_has_no_value_is_none() {
    for x in [Q64::ZERO, Q64::from_bits(-1), Q64::MIN] {
        assert_eq!((x.ln(), x.log2(), x.log10()), (None, None, None));
    }
    assert_eq!(Q64::from_bits(-1).sqrt(), None);
    assert_eq!(Q64::ZERO.sqrt(), Some(Q64::ZERO));
    let half = Q64::from_bits(1 << 63);
    assert_eq!(Q64::ZERO.pow(Q64::from_int(-1)), None);
    assert_eq!(Q64::ZERO.pow(half), Some(Q64::ZERO));
    assert_eq!(Q64::ZERO.pow(Q64::ZERO), Some(Q64::ONE));
    assert_eq!(Q64::from_int(-2).pow(half), None);
    assert_eq!(
        Q64::from_int(-2).pow(Q64::from_int(3)),
        Some(Q64::from_int(-8))
    );
    assert_eq!(
        Q64::from_int(-2).pow(Q64::from_int(4)),
        Some(Q64::from_int(16))
    );
    assert_eq!(
        Q64::from_int(2).pow(Q64::from_int(-3)),
        Some(Q64::from_bits(1 << 61))
    );
}

#[test]
fn the_ends_of_the_range_saturate() {
    let two = Q64::from_int(2);
    assert_eq!(Q64::MAX + Q64::ONE, Q64::MAX);
    assert_eq!(Q64::MIN - Q64::ONE, Q64::MIN);
    assert_eq!(Q64::MAX * two, Q64::MAX);
    assert_eq!(Q64::MAX * -two, Q64::MIN);
    assert_eq!(Q64::MAX / Q64::EPSILON, Q64::MAX);
    assert_eq!(Q64::MIN / Q64::EPSILON, Q64::MIN);
    assert_eq!(-Q64::MIN, Q64::MAX);
    assert_eq!(Q64::MIN.abs(), Q64::MAX);
    assert_eq!(Q64::from_int(44).exp(), Q64::MAX);
    assert_eq!(Q64::MAX.exp(), Q64::MAX);
    assert_eq!(Q64::MIN.exp(), Q64::ZERO);
    assert_eq!(Q64::MAX.pow(two), Some(Q64::MAX));
    assert_eq!(Q64::MAX.pow(-two), Some(Q64::ZERO));
    assert_eq!(two.pow(Q64::from_int(1000)), Some(Q64::MAX));
}

#[test]
fn division_by_zero_is_zero() {
    for x in [Q64::ZERO, Q64::ONE, Q64::MAX, Q64::MIN] {
        assert_eq!(x / Q64::ZERO, Q64::ZERO);
        assert_eq!(x.checked_div(Q64::ZERO), None);
    }
    assert_eq!(Q64::from_ratio(5, 0), Q64::ZERO);
}

#[test]
fn ratios_of_the_largest_stakes_are_exact() {
    let units = 10u128.pow(27);
    assert_eq!(Q64::from_ratio(units, units * 4), Q64::from_bits(1 << 62));
    assert_eq!(Q64::from_ratio(u128::MAX, u128::MAX), Q64::ONE);
    assert_eq!(Q64::from_ratio(u128::MAX, 1), Q64::MAX);
}

#[test]
fn parts_and_means_of_amounts_are_floors() {
    let half = Q64::from_ratio(1, 2);
    assert_eq!(half.part_of(u128::MAX), u128::MAX / 2);
    assert_eq!(half.part_of(7), 3);
    assert_eq!((-half).part_of(7), 0);
    assert_eq!(Q64::from_int(3).part_of(u128::MAX), u128::MAX);
    assert_eq!(
        Q64::geometric_mean(10u128.pow(27), 4 * 10u128.pow(27)),
        2 * 10u128.pow(27)
    );
    assert_eq!(Q64::geometric_mean(2, 1), 1);
    assert_eq!(Q64::geometric_mean(u128::MAX, 0), 0);
    assert_eq!(Q64::geometric_mean(u128::MAX, u128::MAX), (1 << 126) - 1);
}
