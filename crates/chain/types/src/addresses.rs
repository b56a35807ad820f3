//! Accounts that the protocol itself owns: `0x4841` ("HA"), zeros, and a number.

use alloy_primitives::Address;

/// Stake, rewards and the validator sets of epochs.
pub const STAKING: Address = system(0x01);
/// Registry of models and their verifying keys.
pub const MODELS: Address = system(0x02);
/// Market of paid inference: orders, claims, deliveries.
pub const INFERENCE: Address = system(0x03);
/// Pure proof check, callable from Solidity.
pub const VERIFIER: Address = system(0x04);
/// Markets of intelligence: epochs of answers, judgement and pay.
pub const TOPICS: Address = system(0x05);
/// Where base fees and slashed bonds go. Nobody holds its key; `burned` is its balance.
pub const BURN: Address = system(0x00);

/// The account `0x4841…nn`.
pub const fn system(number: u8) -> Address {
    let mut bytes = [0; 20];
    bytes[0] = 0x48;
    bytes[1] = 0x41;
    bytes[19] = number;
    Address::new(bytes)
}

/// Whether `address` lies in the range kept for the protocol (`0x4841`, zeros, any last two
/// bytes). Genesis may not fund such an account and a validator may not be paid there.
pub fn is_reserved(address: &Address) -> bool {
    let bytes = address.0.0;
    bytes[0] == 0x48 && bytes[1] == 0x41 && bytes[2..18].iter().all(|byte| *byte == 0)
}
