//! The contracts' [`Host`] over revm's journal.
//!
//! State access costs what the EVM's opcodes of the same name cost under the chain's fork, warm
//! and cold, refunds included; everything is undone with the frame, because it goes through the
//! journal and nowhere else.

use std::sync::atomic::Ordering;

use alloy_primitives::{Address, B256, Bytes, Log, LogData, U256, keccak256};
use hallmark_contracts::{Host, HostError, Statement};
use revm::Database;
use revm::context::{Block, Cfg, JournalTr};
use revm::context_interface::cfg::GasParams;
use revm::context_interface::journaled_state::{JournalCheckpoint, JournalLoadError};
use revm::interpreter::Gas;

use crate::db::DbError;
use crate::evm::Ctx;
use crate::precompiles::Runtime;

/// Gas of opcode BLOCKHASH.
const BLOCK_HASH_GAS: u64 = 20;

/// Gas of opcode LOG apart from its topics and data.
const LOG_GAS: u64 = 375;

/// Gas of a byte of content that is stored, as of a byte of code that is deployed; its hash included.
const CONTENT_GAS_PER_BYTE: u64 = 200;

/// Gas of a word of content that is read, as of opcode EXTCODECOPY.
const CONTENT_READ_GAS_PER_WORD: u64 = 3;

/// Ancestors whose hashes the EVM offers.
const BLOCK_HASH_WINDOW: u64 = 256;

/// One frame of a system contract.
pub(crate) struct JournalHost<'h, 'db> {
    ctx: &'h mut Ctx<'db>,
    runtime: Runtime<'h>,
    gas: Gas,
    caller: Address,
    value: U256,
    is_static: bool,
    marks: Vec<JournalCheckpoint>,
}

impl<'h, 'db> JournalHost<'h, 'db> {
    /// The host of a call with `gas`, whose value has been moved already.
    pub(crate) fn new(
        ctx: &'h mut Ctx<'db>,
        runtime: Runtime<'h>,
        gas: Gas,
        caller: Address,
        value: U256,
        is_static: bool,
    ) -> Self {
        Self {
            ctx,
            runtime,
            gas,
            caller,
            value,
            is_static,
            marks: Vec::new(),
        }
    }

    /// The gas as the frame left it.
    pub(crate) fn into_gas(self) -> Gas {
        self.gas
    }

    fn params(&self) -> &GasParams {
        self.ctx.cfg.gas_params()
    }

    fn charge(&mut self, gas: u64) -> Result<(), HostError> {
        if self.gas.record_regular_cost(gas) {
            Ok(())
        } else {
            Err(HostError::OutOfGas)
        }
    }

    /// Brings a system contract's account into the journal, which storage access presupposes: a
    /// contract may read its neighbour's storage, and the sweep runs in no frame of its own. The
    /// slots are paid for, the eternal accounts of the system contracts are not.
    fn present(&mut self, contract: Address) -> Result<(), HostError> {
        self.ctx
            .journaled_state
            .load_account(contract)
            .map(|_| ())
            .map_err(fatal)
    }

    /// A write in a static frame is a defect of the contract; failing the frame is its safe end.
    fn writable(&self) -> Result<(), HostError> {
        if self.is_static {
            Err(HostError::OutOfGas)
        } else {
            Ok(())
        }
    }

    /// Loads an account into the journal: warm and cold access is charged as by BALANCE and CALL.
    /// Returns its balance and whether it is empty (EIP-161).
    fn access(&mut self, address: Address) -> Result<(U256, bool), HostError> {
        let warm = self.params().warm_storage_read_cost();
        let cold = self.params().cold_account_additional_cost();
        self.charge(warm)?;
        let skip_cold = self.gas.remaining() < cold;
        let load = self
            .ctx
            .journaled_state
            .load_account_info_skip_cold_load(address, false, skip_cold)
            .map_err(load_error)?;
        let (balance, is_empty, is_cold) = (load.account.balance, load.is_empty, load.is_cold);
        if is_cold {
            self.charge(cold)?;
        }
        Ok((balance, is_empty))
    }
}

fn fatal(error: impl ToString) -> HostError {
    HostError::Fatal(error.to_string())
}

/// A cold load is skipped when the gas does not cover it: nothing is read that is not paid for.
fn load_error(error: JournalLoadError<DbError>) -> HostError {
    match error {
        JournalLoadError::DBError(error) => fatal(error),
        JournalLoadError::ColdLoadSkipped => HostError::OutOfGas,
    }
}

impl Host for JournalHost<'_, '_> {
    fn sload(&mut self, address: Address, slot: U256) -> Result<U256, HostError> {
        let warm = self.params().warm_storage_read_cost();
        let cold = self.params().cold_storage_additional_cost();
        self.charge(warm)?;
        self.present(address)?;
        let skip_cold = self.gas.remaining() < cold;
        let load = self
            .ctx
            .journaled_state
            .sload_skip_cold_load(address, slot, skip_cold)
            .map_err(load_error)?;
        if load.is_cold {
            self.charge(cold)?;
        }
        Ok(load.data)
    }

    fn sstore(&mut self, address: Address, slot: U256, value: U256) -> Result<(), HostError> {
        self.writable()?;
        let fixed = self.params().sstore_static_gas();
        self.charge(fixed)?;
        self.present(address)?;
        let skip_cold = self.gas.remaining() < self.params().cold_storage_cost();
        let load = self
            .ctx
            .journaled_state
            .sstore_skip_cold_load(address, slot, value, skip_cold)
            .map_err(load_error)?;
        let gas = self
            .params()
            .sstore_dynamic_gas(true, &load.data, load.is_cold);
        let refund = self.params().sstore_refund(true, &load.data);
        self.charge(gas)?;
        self.gas.record_refund(refund);
        Ok(())
    }

    fn load_content(&mut self, address: Address, slot: U256) -> Result<Bytes, HostError> {
        let word = self.sload(address, slot)?;
        if word.is_zero() {
            return Ok(Bytes::new());
        }
        let content = self
            .ctx
            .journaled_state
            .database
            .content(address, slot, word)
            .ok_or_else(|| fatal(format!("slot {slot:#x} of {address} has no content")))?;
        let words = (content.len() as u64).div_ceil(32);
        self.charge(words.saturating_mul(CONTENT_READ_GAS_PER_WORD))?;
        Ok(content)
    }

    fn store_content(
        &mut self,
        address: Address,
        slot: U256,
        content: &[u8],
    ) -> Result<(), HostError> {
        self.writable()?;
        let length = content.len() as u64;
        self.charge(length.saturating_mul(CONTENT_GAS_PER_BYTE))?;
        let hash = if content.is_empty() {
            B256::ZERO
        } else {
            keccak256(content)
        };
        self.ctx
            .journaled_state
            .database
            .keep_content(address, slot, hash, content);
        self.sstore(address, slot, hash.into())
    }

    fn balance(&mut self, address: Address) -> Result<U256, HostError> {
        self.access(address).map(|(balance, _)| balance)
    }

    fn transfer(&mut self, from: Address, to: Address, amount: U256) -> Result<(), HostError> {
        self.writable()?;
        if amount.is_zero() {
            return Ok(());
        }
        let (_, is_empty) = self.access(to)?;
        let mut gas = self.params().transfer_value_cost();
        if is_empty {
            gas = gas.saturating_add(self.params().new_account_cost(true, true));
        }
        self.charge(gas)?;
        match self
            .ctx
            .journaled_state
            .transfer(from, to, amount)
            .map_err(fatal)?
        {
            None => Ok(()),
            Some(error) => Err(HostError::Fatal(format!(
                "{from} owes {amount} to {to}: {error:?}"
            ))),
        }
    }

    fn mark(&mut self) {
        let checkpoint = self.ctx.journaled_state.checkpoint();
        self.marks.push(checkpoint);
    }

    fn keep(&mut self) {
        if self.marks.pop().is_some() {
            self.ctx.journaled_state.checkpoint_commit();
        }
    }

    fn undo(&mut self) {
        if let Some(checkpoint) = self.marks.pop() {
            self.ctx.journaled_state.checkpoint_revert(checkpoint);
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
        self.runtime.spec.chain_id
    }

    fn block_number(&self) -> u64 {
        self.ctx.block.number().saturating_to()
    }

    fn timestamp_ms(&self) -> u64 {
        self.runtime.timestamp_ms
    }

    fn base_fee(&self) -> u64 {
        self.runtime.base_fee
    }

    fn leader(&self) -> u16 {
        self.runtime.leader
    }

    fn block_hash(&mut self, number: u64) -> Result<Option<B256>, HostError> {
        self.charge(BLOCK_HASH_GAS)?;
        let current = self.block_number();
        let offered = current
            .checked_sub(number)
            .is_some_and(|age| (1..=BLOCK_HASH_WINDOW).contains(&age));
        if !offered {
            return Ok(None);
        }
        self.ctx
            .journaled_state
            .db_mut()
            .block_hash(number)
            .map(Some)
            .map_err(fatal)
    }

    fn charge_gas(&mut self, gas: u64) -> Result<(), HostError> {
        self.charge(gas)
    }

    fn return_gas(&mut self, gas: u64) {
        self.gas.erase_cost(gas);
    }

    fn emit(&mut self, address: Address, log: LogData) -> Result<(), HostError> {
        self.writable()?;
        // A log has at most four topics; the contracts' events are made by the ABI.
        let topics = u8::try_from(log.topics().len()).unwrap_or(u8::MAX);
        let gas = self.params().log_cost(topics, log.data.len() as u64);
        self.charge(LOG_GAS.saturating_add(gas))?;
        self.ctx.journaled_state.log(Log { address, data: log });
        Ok(())
    }

    fn verify_proof(&mut self, statement: &Statement<'_>) -> Result<(), String> {
        let runtime = self.runtime;
        runtime.verdicts.get_or(statement.digest(), || {
            runtime.verifications.fetch_add(1, Ordering::Relaxed);
            statement.check()
        })
    }
}
