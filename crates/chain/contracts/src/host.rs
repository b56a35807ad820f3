//! What a system contract sees of the chain while one call runs.

use alloy_primitives::{Address, B256, Bytes, LogData, U256};

use crate::Statement;

/// Why a host operation failed. Neither is an answer that a contract gives.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HostError {
    /// The call's gas is used up: the frame fails and all its effects are undone.
    #[error("out of gas")]
    OutOfGas,
    /// The state cannot be read or an invariant of the chain is broken: the block fails.
    #[error("fatal: {0}")]
    Fatal(String),
}

/// One frame's view of state, money and block. Object safe, and passed explicitly everywhere.
///
/// The host owns gas of state access and logs, charged like the EVM's opcodes of the same name
/// (`SLOAD`, `SSTORE`, `BALANCE`, `LOG`, a `CALL`'s value transfer); the contracts charge their
/// own computation with [`charge_gas`](Self::charge_gas). When a frame ends with an error, the host's owner
/// undoes all its effects.
pub trait Host {
    /// Reads a storage slot, charged like `SLOAD`.
    fn sload(&mut self, address: Address, slot: U256) -> Result<U256, HostError>;
    /// Writes a storage slot, charged like `SSTORE`. Never called in a static frame.
    fn sstore(&mut self, address: Address, slot: U256, value: U256) -> Result<(), HostError>;
    /// Reads the byte string that a storage slot stands for; empty if none was ever stored. Charged like
    /// `SLOAD`, and 3 gas a word like `EXTCODECOPY`.
    fn load_content(&mut self, address: Address, slot: U256) -> Result<Bytes, HostError>;
    /// Makes a storage slot stand for a byte string: the slot's word becomes its Keccak-256, zero for the
    /// empty one, so that the state's root commits to it. Charged like `SSTORE`, and 200 gas a byte like
    /// the code of a new contract. Never called in a static frame.
    fn store_content(
        &mut self,
        address: Address,
        slot: U256,
        content: &[u8],
    ) -> Result<(), HostError>;
    /// Balance of an account in wei, charged like `BALANCE`.
    fn balance(&mut self, address: Address) -> Result<U256, HostError>;
    /// Moves wei out of `from`, a system contract, without running any code, so that nothing can
    /// re-enter. A balance that is too small is [`HostError::Fatal`]: a contract never pays more
    /// than it recorded as owed, and recorded debts never exceed its balance.
    fn transfer(&mut self, from: Address, to: Address, amount: U256) -> Result<(), HostError>;
    /// Moves wei out of `from` to the account `BURN`.
    fn burn(&mut self, from: Address, amount: U256) -> Result<(), HostError> {
        self.transfer(from, hallmark_types::addresses::BURN, amount)
    }
    /// Moves wei that was burned back into circulation, to contract `to`: what a topic pays out of
    /// what was burned in it. `BURN` holds it, so that the sum of all balances stays what was issued.
    fn reissue(&mut self, to: Address, amount: U256) -> Result<(), HostError> {
        if to != hallmark_types::addresses::TOPICS {
            return Err(HostError::Fatal(format!("{to} may not reissue coins")));
        }
        self.transfer(hallmark_types::addresses::BURN, to, amount)
    }
    /// Marks the state as it is, so that [`undo`](Self::undo) can come back to it. Marks nest.
    fn mark(&mut self);
    /// Forgets the last mark and keeps everything since.
    fn keep(&mut self);
    /// Undoes every write, transfer and log since the last mark, and forgets it. Gas stays spent.
    fn undo(&mut self);
    /// Who called this frame; zero in [`sweep`](crate::sweep).
    fn caller(&self) -> Address;
    /// Wei that came with the call, already on the contract's balance.
    fn value(&self) -> U256;
    /// Whether this frame may not write.
    fn is_static(&self) -> bool;
    /// EIP-155 chain id.
    fn chain_id(&self) -> u64;
    /// Number of the block that is being executed.
    fn block_number(&self) -> u64;
    /// Timestamp of that block, Unix milliseconds.
    fn timestamp_ms(&self) -> u64;
    /// Base fee of that block, wei per gas.
    fn base_fee(&self) -> u64;
    /// Index of that block's proposer in the validator set of its epoch.
    fn leader(&self) -> u16;
    /// Hash of one of the last 256 blocks before this one.
    fn block_hash(&mut self, number: u64) -> Result<Option<B256>, HostError>;
    /// Takes gas for computation.
    fn charge_gas(&mut self, gas: u64) -> Result<(), HostError>;
    /// Gives back gas that [`charge_gas`](Self::charge_gas) took and nothing was done for: what a sweep
    /// sets aside for its own end.
    fn return_gas(&mut self, gas: u64);
    /// Appends a log of contract `address`, charged like `LOG`. Never called in a static frame.
    fn emit(&mut self, address: Address, log: LogData) -> Result<(), HostError>;
    /// Checks a proof by [`Statement::check`]; a host may count and cache verdicts under
    /// [`Statement::digest`]. Its gas is charged before. The error is the reason for people.
    fn verify_proof(&mut self, statement: &Statement<'_>) -> Result<(), String>;
}

/// Why a call of a system contract failed; all its effects are to be undone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContractError {
    /// The contract refused: the ABI encoding of one of its errors. Unused gas goes back.
    #[error("reverted with {0}")]
    Revert(Bytes),
    /// The call's gas is used up.
    #[error("out of gas")]
    OutOfGas,
    /// The state cannot be read or an invariant of the chain is broken: the block fails.
    #[error("fatal: {0}")]
    Fatal(String),
}

impl From<HostError> for ContractError {
    fn from(error: HostError) -> Self {
        match error {
            HostError::OutOfGas => Self::OutOfGas,
            HostError::Fatal(reason) => Self::Fatal(reason),
        }
    }
}

/// Result of a rule.
pub type Result<T, E = ContractError> = std::result::Result<T, E>;

/// Refuses with one of the ABI's errors.
pub(crate) fn revert<T>(error: impl alloy_sol_types::SolError) -> Result<T> {
    Err(ContractError::Revert(error.abi_encode().into()))
}

/// Turns an absent value into one of the ABI's errors.
pub(crate) trait OrRevert<T> {
    fn or_revert(self, error: impl alloy_sol_types::SolError) -> Result<T>;
}

impl<T> OrRevert<T> for Option<T> {
    fn or_revert(self, error: impl alloy_sol_types::SolError) -> Result<T> {
        match self {
            Some(value) => Ok(value),
            None => revert(error),
        }
    }
}

/// The result of checked arithmetic, or a revert with `Overflow()`.
pub(crate) fn checked<T>(value: Option<T>) -> Result<T> {
    value.or_revert(hallmark_abi::ISystem::Overflow {})
}
