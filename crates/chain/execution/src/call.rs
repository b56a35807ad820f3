//! Calls and gas estimates on a snapshot of the state.

use std::marker::PhantomData;

use alloy_consensus::Header;
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, Bytes, Log, TxKind, U256};
use hallmark_state::State;
use hallmark_types::header;
use revm::ExecuteEvm;
use revm::context::result::{EVMError, ExecutionResult, HaltReason, InvalidTransaction};
use revm::context::{ContextSetters, ContextTr, JournalTr, TxEnv};
use revm::context_interface::journaled_state::account::JournaledAccountTr;
use revm::handler::Handler;
use revm::handler::pre_execution::calculate_caller_fee;
use revm::inspector::{Inspector, InspectorHandler};
use revm::interpreter::InitialAndFloorGas;
use revm::interpreter::interpreter::EthInterpreter;
use revm::state::EvmState;

use crate::db::BlockDb;
use crate::evm::{BlockContext, ChainEvm, Ctx, EvmError, authorizations, evm, transaction_error};
use crate::{Ancestry, Executor};

/// EIP-1559 transaction type: calls run as if they were of this one.
const EIP1559_TYPE: u8 = 2;
/// EIP-7702 transaction type: calls with authorizations.
const EIP7702_TYPE: u8 = 4;

/// A call as `eth_call` and `eth_estimateGas` describe it. What is absent is not checked: without
/// a price no fee is charged, without a nonce none is compared.
#[derive(Debug, Clone, Default)]
pub struct CallRequest {
    /// The caller; the zero address when absent.
    pub from: Option<Address>,
    /// The called account; a contract creation when absent.
    pub to: Option<Address>,
    /// Gas limit; the chain's `eth_call_gas` when absent, and never more than that.
    pub gas: Option<u64>,
    /// Fee cap per gas in base units (or the legacy gas price).
    pub max_fee_per_gas: Option<u128>,
    /// Priority fee cap per gas in base units.
    pub max_priority_fee_per_gas: Option<u128>,
    /// Value sent.
    pub value: U256,
    /// Call data or init code.
    pub data: Bytes,
    /// The caller's nonce.
    pub nonce: Option<u64>,
    /// Accounts and slots that start warm.
    pub access_list: AccessList,
    /// Delegations that come into force before the call (EIP-7702).
    pub authorizations: Vec<SignedAuthorization>,
}

/// What a call did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallOutcome {
    /// It returned.
    Success {
        /// Returned bytes; the deployed code for a creation.
        output: Bytes,
        /// Gas used, intrinsic gas included, refunds deducted.
        gas_used: u64,
        /// Logs emitted.
        logs: Vec<Log>,
    },
    /// It reverted (JSON-RPC error code 3 with this data).
    Revert {
        /// Revert data.
        output: Bytes,
        /// Gas used.
        gas_used: u64,
    },
    /// It stopped by an exceptional halt, such as running out of gas.
    Halt {
        /// The reason's name.
        reason: String,
        /// Gas used.
        gas_used: u64,
    },
}

/// Why a call could not be run, or why no gas limit suffices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    /// The request is not a valid transaction, in geth's words where it has some.
    #[error("{0}")]
    Invalid(String),
    /// The call data exceeds the chain's `max_tx_bytes`.
    #[error("oversized data: call of {got} bytes, limit {limit}")]
    TooLarge {
        /// Length of the call data.
        got: usize,
        /// Largest length.
        limit: usize,
    },
    /// The call reverts with every gas limit (estimates only).
    #[error("execution reverted")]
    Reverted(Bytes),
    /// The gas limit does not cover the intrinsic gas, or the call runs out of gas with the
    /// largest limit.
    #[error("gas required exceeds allowance ({0})")]
    OutOfGas(u64),
    /// The call halts for another reason than gas (estimates only).
    #[error("execution halted: {0}")]
    Halted(String),
    /// The state could not be read.
    #[error("internal error: {0}")]
    Fatal(String),
}

/// Gas that a plain call can lend to its callee: estimates add it as geth's do.
const CALL_STIPEND: u64 = 2_300;

/// Estimates stop when the bounds are within 1/64 of each other.
const ESTIMATE_SLACK: u64 = 64;

/// A call that is ready to run.
pub(crate) struct Prepared<'a> {
    pub(crate) evm: ChainEvm<'a>,
    pub(crate) env: TxEnv,
    base_fee: u64,
}

/// Makes `request` ready in the context of `head` with at most `gas` gas.
pub(crate) fn prepare<'a>(
    executor: &'a Executor,
    state: &'a State,
    head: &Header,
    request: &CallRequest,
    gas: u64,
    ancestry: &'a dyn Ancestry,
) -> Result<Prepared<'a>, CallError> {
    let spec = executor.spec();
    let priced = request.max_fee_per_gas.is_some_and(|price| price > 0)
        || request.max_priority_fee_per_gas.is_some_and(|tip| tip > 0);
    let block = BlockContext {
        number: head.number,
        timestamp_ms: header::timestamp_ms(head),
        beneficiary: head.beneficiary,
        leader: header::extra(head).map_or(0, |extra| extra.leader),
        gas_limit: head.gas_limit.max(gas),
        // Without a price no fee is charged: the base fee that would forbid it is lifted.
        base_fee: if priced {
            head.base_fee_per_gas.unwrap_or_default()
        } else {
            0
        },
        prev_randao: head.mix_hash,
    };
    let parent = (head.number.saturating_sub(1), head.parent_hash);
    let db = BlockDb::new(state, parent, ancestry);
    let from = request.from.unwrap_or_default();
    let nonce = request
        .nonce
        .unwrap_or_else(|| db.account(&from).map_or(0, |account| account.nonce));
    let max_fee = if priced {
        request.max_fee_per_gas.unwrap_or_else(|| {
            u128::from(block.base_fee)
                .saturating_add(request.max_priority_fee_per_gas.unwrap_or_default())
        })
    } else {
        0
    };
    if max_fee.checked_mul(u128::from(gas)).is_none() {
        return Err(CallError::Invalid(
            "max fee per gas higher than 2^128 / gas limit".into(),
        ));
    }
    let env = TxEnv {
        tx_type: if request.authorizations.is_empty() {
            EIP1559_TYPE
        } else {
            EIP7702_TYPE
        },
        caller: from,
        gas_limit: gas,
        gas_price: max_fee,
        kind: request.to.map_or(TxKind::Create, TxKind::Call),
        value: request.value,
        data: request.data.clone(),
        nonce,
        chain_id: Some(spec.chain_id),
        access_list: request.access_list.clone(),
        gas_priority_fee: Some(
            request
                .max_priority_fee_per_gas
                .unwrap_or_default()
                .min(max_fee),
        ),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: authorizations(&request.authorizations),
    };
    let precompiles = executor.precompiles_for_calls(&BlockContext {
        base_fee: head.base_fee_per_gas.unwrap_or_default(),
        ..block
    });
    let mut evm = evm(spec, &block, gas, db, precompiles);
    evm.ctx.set_tx(env.clone());
    Ok(Prepared {
        evm,
        env,
        base_fee: block.base_fee,
    })
}

impl Prepared<'_> {
    /// Runs it, and returns everything that it touched too.
    pub(crate) fn run(mut self) -> Result<(ExecutionResult, EvmState), CallError> {
        let result = CallHandler::default().run(&mut self.evm);
        let result = result.map_err(|error| refused(error, &self.env, self.base_fee))?;
        Ok((result, self.evm.finalize()))
    }
}

/// Why revm did not run a call.
pub(crate) fn refused(error: EvmError, env: &TxEnv, base_fee: u64) -> CallError {
    match error {
        EVMError::Transaction(
            InvalidTransaction::CallGasCostMoreThanGasLimit { .. }
            | InvalidTransaction::GasFloorMoreThanGasLimit { .. },
        ) => CallError::OutOfGas(env.gas_limit),
        EVMError::Transaction(error) => {
            CallError::Invalid(transaction_error(error, env.gas_price, base_fee).to_string())
        }
        EVMError::Header(error) => CallError::Fatal(error.to_string()),
        EVMError::Database(error) => CallError::Fatal(error.to_string()),
        EVMError::Custom(error) => CallError::Fatal(error),
        EVMError::CustomAny(error) => CallError::Fatal(error.to_string()),
    }
}

/// Runs `request` once.
fn run(
    executor: &Executor,
    state: &State,
    head: &Header,
    request: &CallRequest,
    gas: u64,
    ancestry: &dyn Ancestry,
) -> Result<ExecutionResult, CallError> {
    let prepared = prepare(executor, state, head, request, gas, ancestry)?;
    Ok(prepared.run()?.0)
}

impl Executor {
    pub(crate) fn call_gas_cap(&self) -> u64 {
        self.spec().limits.eth_call_gas
    }

    pub(crate) fn check_size(&self, request: &CallRequest) -> Result<(), CallError> {
        let (got, limit) = (request.data.len(), self.spec().limits.max_tx_bytes);
        if got > limit {
            return Err(CallError::TooLarge { got, limit });
        }
        Ok(())
    }

    /// Runs a call in the context of `header` on `state`, the state after that block, without
    /// changing it.
    ///
    /// The call is bounded by gas (`eth_call_gas`) and call data (`max_tx_bytes`) and nothing else:
    /// run it on a thread that may block, and bound how many run at once. Proofs are verified as
    /// in a block; they are counted and remembered apart from the blocks' own.
    ///
    /// # Errors
    /// When the request cannot be run at all. A revert is an outcome, not an error.
    pub fn call(
        &self,
        state: &State,
        header: &Header,
        request: CallRequest,
        ancestry: &dyn Ancestry,
    ) -> Result<CallOutcome, CallError> {
        self.check_size(&request)?;
        let cap = self.call_gas_cap();
        let gas = request.gas.map_or(cap, |gas| gas.min(cap));
        let result = run(self, state, header, &request, gas, ancestry)?;
        let gas_used = result.tx_gas_used();
        Ok(match result {
            ExecutionResult::Success { logs, output, .. } => CallOutcome::Success {
                output: output.into_data(),
                gas_used,
                logs,
            },
            ExecutionResult::Revert { output, .. } => CallOutcome::Revert { output, gas_used },
            ExecutionResult::Halt { reason, .. } => CallOutcome::Halt {
                reason: reason.to_string(),
                gas_used,
            },
        })
    }

    /// A gas limit with which the call succeeds in the context of `header`, at most 1/64 above
    /// the smallest one. Never above the chain's cap for a transaction, nor above what the caller
    /// can pay at the request's price.
    ///
    /// # Errors
    /// When the call reverts or halts even with the largest limit.
    pub fn estimate_gas(
        &self,
        state: &State,
        header: &Header,
        request: CallRequest,
        ancestry: &dyn Ancestry,
    ) -> Result<u64, CallError> {
        self.check_size(&request)?;
        let limits = &self.spec().limits;
        let cap = limits
            .tx_gas_limit
            .min(limits.block_gas_limit)
            .min(self.call_gas_cap());
        let mut high = request.gas.map_or(cap, |gas| gas.min(cap));
        if let Some(price) = request.max_fee_per_gas.filter(|price| *price > 0) {
            let from = request.from.unwrap_or_default();
            let balance = state
                .account(&from)
                .map_or(U256::ZERO, |account| account.balance);
            let available = balance
                .checked_sub(request.value)
                .ok_or_else(|| CallError::Invalid("insufficient funds for transfer".to_owned()))?;
            let affordable = available / U256::from(price);
            high = high.min(u64::try_from(affordable).unwrap_or(u64::MAX));
        }
        let run = |gas: u64| run(self, state, header, &request, gas, ancestry);
        let spent = match run(high)? {
            ExecutionResult::Success { gas, .. } => gas,
            ExecutionResult::Revert { output, .. } => return Err(CallError::Reverted(output)),
            ExecutionResult::Halt {
                reason: HaltReason::OutOfGas(_),
                ..
            } => {
                return Err(CallError::OutOfGas(high));
            }
            ExecutionResult::Halt { reason, .. } => {
                return Err(CallError::Halted(reason.to_string()));
            }
        };
        let succeeds = |gas: u64| -> Result<bool, CallError> {
            match run(gas) {
                Ok(result) => Ok(result.is_success()),
                Err(CallError::OutOfGas(_)) => Ok(false),
                Err(error) => Err(error),
            }
        };
        // Refunds are paid at the end, and 1/64 stays behind at every inner call: the first guess
        // covers a call with one level of both.
        let mut low = spent.tx_gas_used().saturating_sub(1);
        let peak = spent.total_gas_spent().max(spent.floor_gas());
        let guess = (peak.saturating_add(CALL_STIPEND)).saturating_mul(64) / 63;
        for gas in [spent.tx_gas_used(), peak, guess] {
            if gas <= low || gas >= high {
                continue;
            }
            if succeeds(gas)? {
                high = gas;
                break;
            }
            low = gas;
        }
        while high - low > 1 && high - low > high / ESTIMATE_SLACK {
            let middle = low + (high - low) / 2;
            if succeeds(middle)? {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok(high)
    }
}

/// Mainnet's handler, except that any account may call: also one with code (EIP-3607 protects
/// against forged keys, and a call is signed by none).
pub(crate) struct CallHandler<'a, I>(PhantomData<&'a I>);

impl<I> Default for CallHandler<'_, I> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<'a, I: Inspector<Ctx<'a>>> InspectorHandler for CallHandler<'a, I> {
    type IT = EthInterpreter;
}

impl<'a, I> Handler for CallHandler<'a, I> {
    type Evm = ChainEvm<'a, I>;
    type Error = EvmError;
    type HaltReason = HaltReason;

    fn validate_against_state_and_deduct_caller(
        &self,
        evm: &mut Self::Evm,
        _init_and_floor_gas: &mut InitialAndFloorGas,
    ) -> Result<(), EvmError> {
        let (block, tx, cfg, journal, _, _) = evm.ctx.all_mut();
        let mut caller = journal.load_account_with_code_mut(tx.caller)?.data;
        let balance = calculate_caller_fee(*caller.balance(), tx, block, cfg)?;
        caller.set_balance(balance);
        if tx.kind.is_call() {
            caller.bump_nonce();
        }
        Ok(())
    }
}
