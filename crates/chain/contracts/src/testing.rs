//! A host in memory, so that tests run contracts as the EVM would: a call moves its value, a
//! failed call leaves nothing behind, and gas runs out.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, LogData, U256, keccak256};
use hallmark_types::{ChainSpec, addresses};

use crate::{Claim, ContractError, Host, HostError, Result, Statement, storage::Words};

/// Gas of a call through [`MemoryHost::call`].
pub const CALL_GAS: u64 = 1_000_000_000;

/// What [`Host::verify_proof`] answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdicts {
    /// Runs the verifier.
    Real,
    /// A proof holds if it equals [`scripted_proof`] of its statement: bound to the key, the claim
    /// and the context like a real one, and free.
    Scripted,
}

/// The proof that [`Verdicts::Scripted`] accepts.
#[must_use]
pub fn scripted_proof(digest: B256, claim: Claim<'_>, context: B256) -> Vec<u8> {
    let mut bytes = digest.to_vec();
    bytes.extend(context);
    match claim {
        Claim::Public { input, output } => {
            bytes.extend(input.iter().flat_map(|value| value.to_be_bytes()));
            bytes.extend(output.iter().flat_map(|value| value.to_be_bytes()));
        }
        Claim::Private { commitment, masked } => {
            bytes.extend(b"private");
            bytes.extend(commitment);
            bytes.extend(masked.iter().flat_map(|value| value.to_be_bytes()));
        }
    }
    keccak256(bytes).to_vec()
}

/// What lasts from call to call.
#[derive(Clone, Debug, Default)]
struct World {
    storage: BTreeMap<Address, Words>,
    balances: BTreeMap<Address, U256>,
    logs: Vec<(Address, LogData)>,
    /// Every byte string that was ever stored, by its hash.
    contents: BTreeMap<B256, Bytes>,
}

/// What was there before a change.
#[derive(Clone, Copy, Debug)]
enum Before {
    Word(Address, U256, U256),
    Balance(Address, U256),
    Log,
}

/// State, money and one block, in memory.
#[derive(Clone, Debug)]
pub struct MemoryHost {
    world: World,
    /// Changes of the present call or sweep.
    journal: Vec<Before>,
    /// Lengths of the journal to which it may be undone.
    marks: Vec<usize>,
    pub chain_id: u64,
    pub block_number: u64,
    pub timestamp_ms: u64,
    pub base_fee: u64,
    /// Index of the proposer of the present block.
    pub leader: u16,
    pub verdicts: Verdicts,
    /// Calls of the verifier so far.
    pub verifications: u64,
    /// Gas used by the last call.
    pub gas_used: u64,
    /// Gas of each sweep.
    pub sweep_gas: u64,
    /// Gas that the last block's sweeps used.
    pub swept_gas: u64,
    gas_left: u64,
    caller: Address,
    value: U256,
    is_static: bool,
}

impl MemoryHost {
    /// The chain of `spec` at its block 100, with balances and the contracts' storage of genesis.
    #[must_use]
    pub fn new(spec: &ChainSpec) -> Self {
        let world = World {
            storage: crate::genesis_storage(spec),
            balances: crate::genesis_balances(spec)
                .into_iter()
                .chain(spec.alloc.clone())
                .collect(),
            logs: Vec::new(),
            contents: BTreeMap::new(),
        };
        Self {
            world,
            journal: Vec::new(),
            marks: Vec::new(),
            chain_id: spec.chain_id,
            block_number: 100,
            timestamp_ms: spec.genesis_timestamp_ms.saturating_add(100_000),
            base_fee: spec.base_fee_initial,
            leader: 0,
            verdicts: Verdicts::Scripted,
            verifications: 0,
            gas_used: 0,
            sweep_gas: u64::MAX,
            swept_gas: 0,
            gas_left: u64::MAX,
            caller: Address::ZERO,
            value: U256::ZERO,
            is_static: false,
        }
    }

    /// Calls a contract as a transaction does; undone if it fails.
    ///
    /// # Errors
    ///
    /// What the contract fails with; also if `from` lacks `value`.
    pub fn call(
        &mut self,
        from: Address,
        to: Address,
        value: U256,
        calldata: &[u8],
    ) -> Result<Bytes> {
        self.call_with_gas(from, to, value, calldata, CALL_GAS)
    }

    /// [`call`](Self::call) with a gas limit.
    ///
    /// # Errors
    ///
    /// As `call`.
    pub fn call_with_gas(
        &mut self,
        from: Address,
        to: Address,
        value: U256,
        calldata: &[u8],
        gas: u64,
    ) -> Result<Bytes> {
        self.journal.clear();
        (self.caller, self.value, self.gas_left) = (from, value, gas);
        let result = match self.transfer(from, to, value) {
            Ok(()) => crate::call(self, to, calldata),
            Err(error) => Err(error.into()),
        };
        self.gas_used = gas.saturating_sub(self.gas_left);
        if result.is_err() {
            self.revert_to(0);
        }
        self.leave();
        result
    }

    /// Calls a contract that may not write.
    ///
    /// # Errors
    ///
    /// What the contract fails with.
    pub fn static_call(&mut self, from: Address, to: Address, calldata: &[u8]) -> Result<Bytes> {
        self.is_static = true;
        self.call(from, to, U256::ZERO, calldata)
    }

    /// A transfer that runs no contract: surplus, if it goes to one.
    ///
    /// # Panics
    ///
    /// If `from` lacks the amount.
    pub fn plain_transfer(&mut self, from: Address, to: Address, amount: U256) {
        self.transfer(from, to, amount)
            .expect("the sender has the amount");
    }

    /// Ends the block: the sweeps run, then a block begins `ms` later.
    ///
    /// # Errors
    ///
    /// What a sweep fails with, also if it runs out of gas.
    pub fn next_block(&mut self, ms: u64) -> Result<()> {
        self.swept_gas = 0;
        for sweep in crate::Sweep::ALL {
            self.leave();
            self.gas_left = self.sweep_gas;
            crate::sweep(self, sweep)?;
            let used = self.sweep_gas.saturating_sub(self.gas_left);
            self.swept_gas = self.swept_gas.saturating_add(used);
        }
        self.leave();
        self.block_number = self.block_number.saturating_add(1);
        self.timestamp_ms = self.timestamp_ms.saturating_add(ms);
        Ok(())
    }

    fn leave(&mut self) {
        (self.caller, self.value, self.gas_left) = (Address::ZERO, U256::ZERO, u64::MAX);
        self.is_static = false;
        self.journal.clear();
        self.marks.clear();
    }

    /// Undoes changes until so many are left.
    fn revert_to(&mut self, length: usize) {
        for before in self.journal.split_off(length).into_iter().rev() {
            match before {
                Before::Word(address, slot, word) => self.put(address, slot, word),
                Before::Balance(address, balance) => {
                    self.world.balances.insert(address, balance);
                }
                Before::Log => {
                    self.world.logs.pop();
                }
            }
        }
    }

    fn put(&mut self, address: Address, slot: U256, word: U256) {
        let words = self.world.storage.entry(address).or_default();
        if word.is_zero() {
            words.remove(&slot);
        } else {
            words.insert(slot, word);
        }
    }

    fn word(&self, address: Address, slot: U256) -> U256 {
        let words = self.world.storage.get(&address);
        let word = words.and_then(|words| words.get(&slot));
        word.copied().unwrap_or_default()
    }

    fn set_balance(&mut self, address: Address, balance: U256) {
        let before = self.balance_of(address);
        self.journal.push(Before::Balance(address, before));
        self.world.balances.insert(address, balance);
    }

    /// Balance in wei.
    #[must_use]
    pub fn balance_of(&self, address: Address) -> U256 {
        self.world
            .balances
            .get(&address)
            .copied()
            .unwrap_or_default()
    }

    /// Sum of all balances in wei.
    #[must_use]
    pub fn total_balance(&self) -> U256 {
        self.world
            .balances
            .values()
            .fold(U256::ZERO, |sum, balance| sum.saturating_add(*balance))
    }

    /// Logs of successful calls, in order.
    #[must_use]
    pub fn logs(&self) -> &[(Address, LogData)] {
        &self.world.logs
    }

    /// Words of all contracts that are not zero.
    #[must_use]
    pub fn storage(&self) -> &BTreeMap<Address, Words> {
        &self.world.storage
    }
}

/// Hash of a block of the in-memory chain.
#[must_use]
pub fn block_hash(number: u64) -> B256 {
    keccak256(number.to_be_bytes())
}

impl Host for MemoryHost {
    fn sload(&mut self, address: Address, slot: U256) -> Result<U256, HostError> {
        self.charge_gas(2_100)?;
        Ok(self.word(address, slot))
    }

    fn sstore(&mut self, address: Address, slot: U256, value: U256) -> Result<(), HostError> {
        if self.is_static {
            return Err(HostError::Fatal("a write in a static call".into()));
        }
        let old = self.word(address, slot);
        self.journal.push(Before::Word(address, slot, old));
        self.put(address, slot, value);
        self.charge_gas(if old.is_zero() && !value.is_zero() {
            22_100
        } else {
            5_000
        })
    }

    fn load_content(&mut self, address: Address, slot: U256) -> Result<Bytes, HostError> {
        let word = self.sload(address, slot)?;
        if word.is_zero() {
            return Ok(Bytes::new());
        }
        let content = self.world.contents.get(&B256::from(word)).cloned();
        let content =
            content.ok_or_else(|| HostError::Fatal(format!("slot {slot:#x} has no content")))?;
        let words = u64::try_from(content.len().div_ceil(32)).unwrap_or(u64::MAX);
        self.charge_gas(words.saturating_mul(3))?;
        Ok(content)
    }

    fn store_content(
        &mut self,
        address: Address,
        slot: U256,
        content: &[u8],
    ) -> Result<(), HostError> {
        let length = u64::try_from(content.len()).unwrap_or(u64::MAX);
        self.charge_gas(length.saturating_mul(200))?;
        let mut hash = B256::ZERO;
        if !content.is_empty() {
            hash = keccak256(content);
            let content = Bytes::copy_from_slice(content);
            self.world.contents.insert(hash, content);
        }
        self.sstore(address, slot, hash.into())
    }

    fn balance(&mut self, address: Address) -> Result<U256, HostError> {
        self.charge_gas(2_600)?;
        Ok(self.balance_of(address))
    }

    fn transfer(&mut self, from: Address, to: Address, amount: U256) -> Result<(), HostError> {
        let left = self
            .balance_of(from)
            .checked_sub(amount)
            .ok_or_else(|| HostError::Fatal(format!("{from} lacks {amount} wei")))?;
        self.set_balance(from, left);
        let sum = self
            .balance_of(to)
            .checked_add(amount)
            .ok_or_else(|| HostError::Fatal("a balance above 2^256".into()))?;
        self.set_balance(to, sum);
        Ok(())
    }

    fn mark(&mut self) {
        self.marks.push(self.journal.len());
    }

    fn keep(&mut self) {
        self.marks.pop();
    }

    fn undo(&mut self) {
        if let Some(length) = self.marks.pop() {
            self.revert_to(length);
        }
    }

    fn caller(&self) -> Address {
        self.caller
    }

    fn value(&self) -> U256 {
        self.value
    }

    fn is_static(&self) -> bool {
        self.is_static
    }

    fn chain_id(&self) -> u64 {
        self.chain_id
    }

    fn block_number(&self) -> u64 {
        self.block_number
    }

    fn timestamp_ms(&self) -> u64 {
        self.timestamp_ms
    }

    fn base_fee(&self) -> u64 {
        self.base_fee
    }

    fn leader(&self) -> u16 {
        self.leader
    }

    fn block_hash(&mut self, number: u64) -> Result<Option<B256>, HostError> {
        let recent = number < self.block_number && self.block_number.saturating_sub(number) <= 256;
        Ok(recent.then(|| block_hash(number)))
    }

    fn charge_gas(&mut self, gas: u64) -> Result<(), HostError> {
        match self.gas_left.checked_sub(gas) {
            Some(left) => {
                self.gas_left = left;
                Ok(())
            }
            None => {
                self.gas_left = 0;
                Err(HostError::OutOfGas)
            }
        }
    }

    fn return_gas(&mut self, gas: u64) {
        self.gas_left = self.gas_left.saturating_add(gas);
    }

    fn emit(&mut self, address: Address, log: LogData) -> Result<(), HostError> {
        if self.is_static {
            return Err(HostError::Fatal("a log in a static call".into()));
        }
        self.journal.push(Before::Log);
        self.world.logs.push((address, log));
        self.charge_gas(2_000)
    }

    fn verify_proof(&mut self, statement: &Statement<'_>) -> Result<(), String> {
        self.verifications = self.verifications.saturating_add(1);
        match self.verdicts {
            Verdicts::Real => statement.check(),
            Verdicts::Scripted => {
                let expected =
                    scripted_proof(statement.key_digest, statement.claim, statement.context);
                if statement.proof == expected {
                    Ok(())
                } else {
                    Err("the scripted judge refuses".to_owned())
                }
            }
        }
    }
}

/// Reads a revert's error.
///
/// # Panics
///
/// If the call succeeded, failed otherwise, or reverted with another error.
#[track_caller]
pub fn expect_revert<E: alloy_sol_types::SolError>(result: Result<impl Sized>) -> E {
    match result {
        Err(ContractError::Revert(data)) => E::abi_decode_validate(&data)
            .unwrap_or_else(|_| panic!("expected {}, got {data}", E::SIGNATURE)),
        Err(other) => panic!("expected {}, got {other}", E::SIGNATURE),
        Ok(_) => panic!("expected {}, got an answer", E::SIGNATURE),
    }
}

/// A local chain on which each of `funded` has a million MARK.
#[must_use]
pub fn spec(funded: &[Address]) -> ChainSpec {
    let million = U256::from(hallmark_types::MARK).saturating_mul(U256::from(1_000_000));
    let alloc = funded.iter().map(|address| (*address, million)).collect();
    ChainSpec::local(
        1_700_000_000_000,
        Vec::new(),
        alloc,
        Address::repeat_byte(0x77),
    )
}

impl MemoryHost {
    #[must_use]
    pub fn burned(&self) -> U256 {
        self.balance_of(addresses::BURN)
    }
}
