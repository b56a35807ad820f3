//! Tests of what needs no chain.

mod checks;
mod fetch;
mod journal;
mod sealing;

use alloy_primitives::{Address, B256, U256, keccak256};
use hallmark_client::{Level, Order, Status};

/// Input bytes of [`order`].
pub(crate) const INPUT: &[u8] = &[3, 0xfe];

pub(crate) fn me() -> Address {
    Address::repeat_byte(0x11)
}

/// An open order of 1000 wei, of which 10 % go to the owner and 2 % to the network.
pub(crate) fn order(status: Status) -> Order {
    Order {
        id: U256::from(7),
        model: B256::repeat_byte(1),
        buyer: Address::repeat_byte(2),
        level: Level::Proven,
        status,
        price: U256::from(1_000),
        owner_share_bps: 1_000,
        network_bps: 200,
        verifier_version: 1,
        ordered_at_ms: 1_000,
        deadline_ms: 61_000,
        input_hash: keccak256(INPUT),
        output_hash: B256::ZERO,
        seller: Address::ZERO,
        bond: U256::ZERO,
        claimed_at_ms: 0,
        window_end_ms: 0,
        anchor: B256::ZERO,
        is_sealed: false,
    }
}
