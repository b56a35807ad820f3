//! Exponential and logarithm with 256 fractional bits on big integers.
//!
//! Plain Taylor series after halving the argument: neither tables nor reductions are shared with the
//! crate.

use num_bigint::BigInt;

/// Fractional bits.
pub const BITS: u64 = 256;

pub fn one() -> BigInt {
    BigInt::from(1) << BITS
}

/// e^x: Taylor of x / 2^32, squared 32 times.
pub fn exp(x: &BigInt) -> BigInt {
    let extra = 64u64;
    let unit = BigInt::from(1) << (BITS + extra);
    let small: BigInt = (x << extra) >> 32u64;
    let (mut sum, mut term) = (unit.clone(), unit);
    for k in 1u32..60 {
        term = ((term * &small) >> (BITS + extra)) / k;
        if term == BigInt::ZERO {
            break;
        }
        sum += &term;
    }
    for _ in 0..32 {
        sum = (&sum * &sum) >> (BITS + extra);
    }
    sum >> extra
}

/// ln x for x > 0: 2 artanh((m − 1)/(m + 1)) after dividing by a power of two.
pub fn ln(x: &BigInt) -> BigInt {
    let artanh2 = |m: &BigInt| {
        let z: BigInt = ((m - one()) << BITS) / (m + one());
        let z2: BigInt = (&z * &z) >> BITS;
        let (mut sum, mut power, mut k) = (BigInt::ZERO, z, 1u32);
        while power != BigInt::ZERO && k < 1200 {
            sum += &power / k;
            power = (power * &z2) >> BITS;
            k += 2;
        }
        sum << 1u32
    };
    let exponent = x.bits() as i64 - 1 - BITS as i64;
    let mantissa = if exponent >= 0 {
        x >> exponent
    } else {
        x << -exponent
    };
    artanh2(&mantissa) + artanh2(&(one() << 1u32)) * exponent
}
