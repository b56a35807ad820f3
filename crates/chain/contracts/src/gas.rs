//! Gas of the contracts' own computation. One gas is about one nanosecond of a slow core:
//! 1 ms of CPU is 1,000,000 gas. State access is charged by the host.

use crate::{Host, HostError};

/// Any call: dispatch and the hashes of its storage slots.
pub(crate) const CALL: u64 = 2_000;
/// Call data, per byte: copying it, and what decoding makes of it, at most twice as much.
pub(crate) const CALLDATA_PER_BYTE: u64 = 3;
/// Decoding a listed key: allocation and checks, at least. Planning is part of the key's own cost.
pub(crate) const KEY_DECODE: u64 = 20_000;
/// Decoding a listed key, per byte.
pub(crate) const KEY_DECODE_PER_BYTE: u64 = 200;
/// Decoding a key for the first time, beside its bytes. A few bytes can ask for the largest plan
/// that a key may have, and what they ask for is known only when they are decoded.
pub(crate) const KEY_LISTING: u64 = 20_000_000;
/// Hashing (BLAKE3 or Keccak-256) and decoding a tensor or a key's bytes, per byte.
pub(crate) const HASH_PER_BYTE: u64 = 20;

/// Charges `base + per_byte · len`.
pub(crate) fn charge_bytes(
    host: &mut dyn Host,
    base: u64,
    per_byte: u64,
    len: usize,
) -> Result<(), HostError> {
    let len = u64::try_from(len).unwrap_or(u64::MAX);
    host.charge_gas(base.saturating_add(per_byte.saturating_mul(len)))
}
