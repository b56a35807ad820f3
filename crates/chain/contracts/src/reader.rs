//! Contracts' storage read from outside a block: a node that looks up a set, a light client that has
//! proven some words.

use alloy_primitives::{Address, B256, Bytes, LogData, U256};

use crate::{Host, HostError, Statement};

/// A [`Host`] that has storage and nothing else. Everything but reading it fails.
#[derive(Debug)]
pub struct Reader<F> {
    read: F,
}

impl<F: FnMut(Address, U256) -> Result<U256, String>> Reader<F> {
    /// Reads slot by slot with `read`, whose errors become [`HostError::Fatal`].
    pub fn new(read: F) -> Self {
        Self { read }
    }
}

fn absent<T>(what: &str) -> Result<T, HostError> {
    Err(HostError::Fatal(format!(
        "a reader of storage has no {what}"
    )))
}

impl<F: FnMut(Address, U256) -> Result<U256, String>> Host for Reader<F> {
    fn sload(&mut self, address: Address, slot: U256) -> Result<U256, HostError> {
        (self.read)(address, slot).map_err(HostError::Fatal)
    }

    fn sstore(&mut self, _: Address, _: U256, _: U256) -> Result<(), HostError> {
        absent("writes")
    }

    fn load_content(&mut self, _: Address, _: U256) -> Result<Bytes, HostError> {
        absent("byte strings")
    }

    fn store_content(&mut self, _: Address, _: U256, _: &[u8]) -> Result<(), HostError> {
        absent("writes")
    }

    fn balance(&mut self, _: Address) -> Result<U256, HostError> {
        absent("balances")
    }

    fn transfer(&mut self, _: Address, _: Address, _: U256) -> Result<(), HostError> {
        absent("coins")
    }

    fn mark(&mut self) {}

    fn keep(&mut self) {}

    fn undo(&mut self) {}

    fn caller(&self) -> Address {
        Address::ZERO
    }

    fn value(&self) -> U256 {
        U256::ZERO
    }

    fn is_static(&self) -> bool {
        true
    }

    fn chain_id(&self) -> u64 {
        0
    }

    fn block_number(&self) -> u64 {
        0
    }

    fn timestamp_ms(&self) -> u64 {
        0
    }

    fn base_fee(&self) -> u64 {
        0
    }

    fn leader(&self) -> u16 {
        0
    }

    fn block_hash(&mut self, _: u64) -> Result<Option<B256>, HostError> {
        Ok(None)
    }

    fn charge_gas(&mut self, _: u64) -> Result<(), HostError> {
        Ok(())
    }

    fn return_gas(&mut self, _: u64) {}

    fn emit(&mut self, _: Address, _: LogData) -> Result<(), HostError> {
        absent("logs")
    }

    fn verify_proof(&mut self, _: &Statement<'_>) -> Result<(), String> {
        Err("a reader of storage verifies nothing".to_owned())
    }
}
