//! EIP-1559 base fee.
//!
//! With target `T = gas_limit / 2` and gas used `g` of the parent,
//! `next = base + base·(g − T)/T/8` (at least +1 when `g > T`), never below the spec's floor.

use alloy_consensus::Header;
use alloy_eips::eip1559::{BaseFeeParams, calc_next_block_base_fee};

use crate::ChainSpec;

/// Block gas limit divided by this is the gas target.
pub const BASE_FEE_ELASTICITY: u64 = 2;
/// The base fee moves by at most one part in this many per block.
pub const BASE_FEE_MAX_CHANGE_DENOMINATOR: u64 = 8;
/// No base fee is above this (wei per gas), so that the formula never leaves 64 bits.
const BASE_FEE_CEILING: u64 = 1 << 62;

/// Base fee, in wei per gas, of the child of `parent`.
pub fn next_base_fee(parent: &Header, spec: &ChainSpec) -> u64 {
    let base_fee = parent
        .base_fee_per_gas
        .unwrap_or(spec.base_fee_initial)
        .min(BASE_FEE_CEILING);
    let params = BaseFeeParams::new(
        u128::from(BASE_FEE_MAX_CHANGE_DENOMINATOR),
        u128::from(BASE_FEE_ELASTICITY),
    );
    // Gas used above the limit cannot happen in a valid parent; the clamp keeps the sum in range.
    let gas_used = parent.gas_used.min(parent.gas_limit);
    calc_next_block_base_fee(gas_used, parent.gas_limit, base_fee, params)
        .clamp(spec.base_fee_floor, BASE_FEE_CEILING)
}
