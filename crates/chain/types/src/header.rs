//! Ethereum header, with the fields that this chain does not use fixed, and consensus data in
//! `extra_data`.
//!
//! Fixed fields: no ommers, difficulty 0, nonce 0, no withdrawals, no blobs, no beacon root, no
//! requests, and none of the later optional fields. Time is Unix milliseconds: whole seconds in
//! `timestamp`, the rest in [`HeaderExtra::ms`]. Blocks may share a second, never a millisecond.

use std::ops::RangeInclusive;

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, EMPTY_ROOT_HASH, Header, constants};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{B64, B256, Bytes, U256};

use crate::{DecodeError, Limits};

/// Longest RLP encoding of a header, bytes: 22 fields, of which the bloom takes 259.
pub const MAX_HEADER_BYTES: usize = 1024;

/// What consensus adds to a header: 24 bytes, big endian, in `extra_data`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct HeaderExtra {
    /// Milliseconds of the timestamp, `0..1000`.
    pub ms: u16,
    /// Epoch of the block: its number divided by `staking.epoch_blocks`.
    pub epoch: u32,
    /// View in which the block was proposed.
    pub view: u64,
    /// View of its parent.
    pub parent_view: u64,
    /// Index of the proposer in the validator set of the epoch.
    pub leader: u16,
}

impl HeaderExtra {
    /// Length of the encoding in bytes.
    pub const LEN: usize = 24;

    /// `ms ‖ epoch ‖ view ‖ parent_view ‖ leader`, big endian.
    pub fn encode(&self) -> Bytes {
        let mut out = Vec::with_capacity(Self::LEN);
        out.extend_from_slice(&self.ms.to_be_bytes());
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.view.to_be_bytes());
        out.extend_from_slice(&self.parent_view.to_be_bytes());
        out.extend_from_slice(&self.leader.to_be_bytes());
        out.into()
    }

    /// Reads what [`encode`](Self::encode) wrote.
    ///
    /// # Errors
    /// Another length, or `ms` of a second or more.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let bytes: &[u8; Self::LEN] = bytes
            .try_into()
            .map_err(|_| DecodeError::Extra("must be 24 bytes"))?;
        let (ms, rest) = bytes.split_first_chunk().expect("24 bytes");
        let (epoch, rest) = rest.split_first_chunk().expect("22 bytes");
        let (view, rest) = rest.split_first_chunk().expect("18 bytes");
        let (parent_view, rest) = rest.split_first_chunk().expect("10 bytes");
        let leader = rest.first_chunk().expect("2 bytes");
        let extra = Self {
            ms: u16::from_be_bytes(*ms),
            epoch: u32::from_be_bytes(*epoch),
            view: u64::from_be_bytes(*view),
            parent_view: u64::from_be_bytes(*parent_view),
            leader: u16::from_be_bytes(*leader),
        };
        if extra.ms >= 1000 {
            return Err(DecodeError::Extra("milliseconds must be below 1000"));
        }
        Ok(extra)
    }
}

/// A header with every fixed field set and everything else zero or empty.
pub fn template() -> Header {
    Header {
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        state_root: EMPTY_ROOT_HASH,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: U256::ZERO,
        nonce: B64::ZERO,
        extra_data: HeaderExtra::default().encode(),
        base_fee_per_gas: Some(0),
        withdrawals_root: Some(constants::EMPTY_WITHDRAWALS),
        blob_gas_used: Some(0),
        excess_blob_gas: Some(0),
        parent_beacon_block_root: Some(B256::ZERO),
        requests_hash: Some(EMPTY_REQUESTS_HASH),
        block_access_list_hash: None,
        slot_number: None,
        ..Header::default()
    }
}

/// Checks every field that this chain fixes, and that the extra data and the time can be read.
///
/// # Errors
/// The first field that has another value.
pub fn check_fixed_fields(header: &Header) -> Result<HeaderExtra, DecodeError> {
    let field = |holds: bool, field: &'static str, expected: &'static str| {
        if holds {
            Ok(())
        } else {
            Err(DecodeError::HeaderField { field, expected })
        }
    };
    field(
        header.ommers_hash == EMPTY_OMMER_ROOT_HASH,
        "sha3Uncles",
        "the hash of no ommers",
    )?;
    field(header.difficulty.is_zero(), "difficulty", "0")?;
    field(header.nonce == B64::ZERO, "nonce", "0")?;
    field(
        header.base_fee_per_gas.is_some(),
        "baseFeePerGas",
        "present",
    )?;
    field(
        header.withdrawals_root == Some(constants::EMPTY_WITHDRAWALS),
        "withdrawalsRoot",
        "the root of no withdrawals",
    )?;
    field(header.blob_gas_used == Some(0), "blobGasUsed", "0")?;
    field(header.excess_blob_gas == Some(0), "excessBlobGas", "0")?;
    field(
        header.parent_beacon_block_root == Some(B256::ZERO),
        "parentBeaconBlockRoot",
        "zero",
    )?;
    field(
        header.requests_hash == Some(EMPTY_REQUESTS_HASH),
        "requestsHash",
        "the hash of no requests",
    )?;
    field(
        header.block_access_list_hash.is_none(),
        "blockAccessListHash",
        "absent",
    )?;
    field(header.slot_number.is_none(), "slotNumber", "absent")?;
    // Far beyond any date, far below the overflow of the time in milliseconds.
    field(
        header.timestamp < 1 << 48,
        "timestamp",
        "below 2^48 seconds",
    )?;
    HeaderExtra::decode(&header.extra_data)
}

/// The consensus data of a header.
///
/// # Errors
/// `extra_data` is not a [`HeaderExtra`].
pub fn extra(header: &Header) -> Result<HeaderExtra, DecodeError> {
    HeaderExtra::decode(&header.extra_data)
}

/// Unix milliseconds of a header. A malformed extra counts as zero milliseconds; a header that was
/// decoded through [`crate::Block`] has none.
pub fn timestamp_ms(header: &Header) -> u64 {
    let ms = extra(header).map_or(0, |extra| u64::from(extra.ms));
    header.timestamp.saturating_mul(1000).saturating_add(ms)
}

/// Splits Unix milliseconds into a header's `timestamp` and [`HeaderExtra::ms`].
pub fn split_timestamp(timestamp_ms: u64) -> (u64, u16) {
    (
        timestamp_ms / 1000,
        u16::try_from(timestamp_ms % 1000).expect("below 1000"),
    )
}

/// The timestamps, Unix milliseconds, that a child of `parent` may carry.
///
/// Strictly after the parent and at most `max_parent_gap_ms` after it, so one proposer can move the
/// chain's time (and with it every deadline) by no more than that. After an outage of all
/// validators time therefore catches up with the clock over several blocks: an hour takes
/// `3600 s / max_parent_gap_ms` blocks. Only the first block is free, because a spec may be written
/// long before its network starts; validators still refuse to vote for it when it is ahead of
/// their clocks (`max_clock_skew_ms`).
///
/// A proposer uses `now.clamp(*bounds.start(), *bounds.end())`.
pub fn timestamp_bounds(parent: &Header, limits: &Limits) -> RangeInclusive<u64> {
    let parent_ms = timestamp_ms(parent);
    let latest = if parent.number == 0 {
        // The same bound as `check_fixed_fields` puts on seconds.
        (1 << 48) * 1000 - 1
    } else {
        parent_ms.saturating_add(limits.max_parent_gap_ms)
    };
    parent_ms.saturating_add(1)..=latest
}

/// Checks a child's time against [`timestamp_bounds`].
///
/// # Errors
/// The time is outside the bounds.
pub fn check_timestamp(
    parent: &Header,
    child: &Header,
    limits: &Limits,
) -> Result<(), DecodeError> {
    let bounds = timestamp_bounds(parent, limits);
    let got = timestamp_ms(child);
    if !bounds.contains(&got) {
        return Err(DecodeError::Timestamp {
            got,
            min: *bounds.start(),
            max: *bounds.end(),
        });
    }
    Ok(())
}
