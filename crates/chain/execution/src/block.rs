//! One block: its transactions in order, its fees, its sweep and its header.
//!
//! ```text
//! for each transaction:  state := revm(state, transaction)
//!                        before - after = base fee * gas used + what was destroyed
//! sweeps                 end-of-block work of each contract, bounded in gas, by no one's transaction
//! BURN += base fees + destroyed
//! ```
//!
//! A transaction's priority fee goes to the balance of Staking, whose sweep credits it to the proposer's
//! validator; the beneficiary gets only what contracts send to COINBASE.
//!
//! So after every block the sum of all balances, BURN's included, is what it was before; the
//! equation is checked transaction by transaction, and a block that breaks it is refused as
//! [`BlockError::Fatal`]: an executor that makes money is broken, and must not vote.
//!
//! A sweep is part of the block's state transition, not a transaction: it has no sender and no
//! receipt (Ethereum knows no log without a receipt), so no header commits to what it tells. Its logs go
//! beside the receipts ([`Executed::sweep_logs`]), the same on every node that executes the block; what it did is
//! proven by the contracts' state alone. Each contract's has gas of its own. When one fails by running out of it, that one
//! leaves no trace, the others and the block stand: the failure is the same on every validator.

use std::marker::PhantomData;

use alloy_consensus::{Eip658Value, Header, ReceiptWithBloom};
use alloy_primitives::{Address, B256, Log, U256};
use hallmark_contracts::{ContractError, Sweep};
use hallmark_state::{Executed, State, StateDiff};
use hallmark_types::{Receipt, Transaction, addresses};
use revm::ExecuteEvm;
use revm::context::result::{EVMError, ExecutionResult, HaltReason, ResultAndState};
use revm::context::{ContextSetters, ContextTr, JournalTr, Transaction as _, TxEnv};
use revm::context_interface::journaled_state::account::JournaledAccountTr;
use revm::handler::{FrameResult, Handler};
use revm::inspector::{Inspector, InspectorHandler};
use revm::interpreter::interpreter::EthInterpreter;

use crate::db::{Balances, BlockDb};
use crate::evm::{BlockContext, ChainEvm, Ctx, EvmError, evm, transaction_error, tx_env};
use crate::precompiles::SystemPrecompiles;
use crate::{Ancestry, BlockError, Executor, TransactionError};

/// Gas that the end-of-block sweep may use per order that it examines. Outside of the block's gas
/// limit: it bounds the sweep's work, nobody pays for it.
const SWEEP_GAS_PER_ORDER: u64 = 1_000_000;

/// A sweep's gas in a market that examines `orders` per block.
fn sweep_gas(sweep: Sweep, orders: u32) -> u64 {
    match sweep {
        Sweep::Inference => SWEEP_GAS_PER_ORDER.saturating_mul(u64::from(orders).saturating_add(1)),
        Sweep::Topics => hallmark_contracts::topics::SWEEP_GAS,
        Sweep::Staking => hallmark_contracts::staking::SWEEP_GAS,
    }
}

/// What the proposer decides about a block besides its transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockAttributes {
    /// Unix time in milliseconds; must obey the chain's rules relative to the parent.
    pub timestamp_ms: u64,
    /// Epoch of the block's height.
    pub epoch: u32,
    /// View of the proposal.
    pub view: u64,
    /// View of the parent.
    pub parent_view: u64,
    /// Index of the leader in the validator set of the epoch.
    pub leader: u16,
    /// The leader's address in that set.
    pub beneficiary: Address,
}

/// A block that was built, and what was left out of it for good.
#[derive(Debug, Clone)]
pub struct Built {
    /// The block with its results.
    pub executed: Executed,
    /// Candidates that were refused, by hash. Those for which
    /// [`TransactionError::is_permanent`] holds should leave the pool.
    pub refused: Vec<(B256, TransactionError)>,
}

/// Why a transaction has no place in the block, or why the block has none on this node.
pub(crate) enum Refusal {
    /// The transaction may not be executed here.
    Invalid(TransactionError),
    /// Nothing can be executed here.
    Fatal(String),
}

/// A block in the making.
pub(crate) struct BlockRun<'a> {
    evm: ChainEvm<'a>,
    context: BlockContext,
    receipts: Vec<Receipt>,
    gas_used: u64,
    /// Gas of each sweep.
    pub(crate) sweeps: [(Sweep, u64); 3],
    /// Base fees and destroyed balances, credited to BURN at the end.
    burned: U256,
}

/// What the transactions and the sweep of a block came to.
pub(crate) struct Outcome {
    pub(crate) receipts: Vec<Receipt>,
    pub(crate) gas_used: u64,
    /// Of the sweeps that were not undone.
    pub(crate) sweep_logs: Vec<Log>,
    pub(crate) diff: StateDiff,
    pub(crate) state: State,
}

impl<'a> BlockRun<'a> {
    /// Starts a block on `parent`.
    pub(crate) fn new(
        executor: &'a Executor,
        context: BlockContext,
        parent: &Header,
        parent_hash: B256,
        parent_state: &'a State,
        ancestry: &'a dyn Ancestry,
    ) -> Self {
        let precompiles = executor.precompiles_for_blocks(&context);
        let parent = (parent.number, parent_hash);
        Self::with(
            executor,
            context,
            precompiles,
            parent,
            parent_state,
            ancestry,
        )
    }

    /// A block that was decided long ago, executed again to look into it.
    pub(crate) fn replay(
        executor: &'a Executor,
        context: BlockContext,
        parent: (u64, B256),
        parent_state: &'a State,
        ancestry: &'a dyn Ancestry,
    ) -> Self {
        let precompiles = executor.precompiles_for_calls(&context);
        Self::with(
            executor,
            context,
            precompiles,
            parent,
            parent_state,
            ancestry,
        )
    }

    fn with(
        executor: &'a Executor,
        context: BlockContext,
        precompiles: SystemPrecompiles<'a>,
        parent: (u64, B256),
        parent_state: &'a State,
        ancestry: &'a dyn Ancestry,
    ) -> Self {
        let db = BlockDb::new(parent_state, parent, ancestry);
        let spec = executor.spec();
        let evm = evm(spec, &context, spec.limits.tx_gas_limit, db, precompiles);
        let orders = spec.market.sweep_per_block;
        let sweeps = Sweep::ALL.map(|sweep| (sweep, sweep_gas(sweep, orders)));
        Self {
            evm,
            context,
            receipts: Vec::new(),
            gas_used: 0,
            sweeps,
            burned: U256::ZERO,
        }
    }

    /// The machine as the transactions so far left it.
    pub(crate) fn into_evm(self) -> ChainEvm<'a> {
        self.evm
    }

    /// Gas left for transactions.
    pub(crate) fn gas_left(&self) -> u64 {
        self.context.gas_limit.saturating_sub(self.gas_used)
    }

    /// Executes the next transaction and writes its receipt.
    ///
    /// # Errors
    /// When it is invalid here; the state is then as before.
    pub(crate) fn transact(&mut self, tx: &Transaction, sender: Address) -> Result<(), Refusal> {
        let env = tx_env(tx, sender).map_err(Refusal::Invalid)?;
        if env.gas_limit > self.gas_left() {
            return Err(Refusal::Invalid(TransactionError::BlockGasExhausted {
                available: self.gas_left(),
                limit: env.gas_limit,
            }));
        }
        let gas_price = env.gas_price;
        let executed = transact(&mut self.evm, env).map_err(|error| match error {
            EVMError::Transaction(error) => {
                Refusal::Invalid(transaction_error(error, gas_price, self.context.base_fee))
            }
            EVMError::Header(error) => Refusal::Fatal(error.to_string()),
            EVMError::Database(error) => Refusal::Fatal(error.to_string()),
            EVMError::Custom(error) => Refusal::Fatal(error),
            EVMError::CustomAny(error) => Refusal::Fatal(error.to_string()),
        })?;
        let gas_used = executed.result.tx_gas_used();
        let fee = U256::from(gas_used)
            .checked_mul(U256::from(self.context.base_fee))
            .ok_or_else(|| Refusal::Fatal("base fee overflows".to_owned()))?;
        let sums = self
            .evm
            .ctx
            .db_mut()
            .fold(executed.state)
            .map_err(Refusal::Fatal)?;
        self.settle(sums, fee).map_err(Refusal::Fatal)?;
        self.gas_used = self
            .gas_used
            .checked_add(gas_used)
            .ok_or_else(|| Refusal::Fatal("gas used overflows".to_owned()))?;
        self.receipts
            .push(receipt(tx, executed.result, self.gas_used));
        Ok(())
    }

    /// Executes all transactions of somebody's block.
    ///
    /// # Errors
    /// The first that is invalid makes the block so.
    pub(crate) fn transact_all(
        &mut self,
        transactions: &[Transaction],
        senders: &[Address],
    ) -> Result<(), BlockError> {
        for (index, (tx, sender)) in transactions.iter().zip(senders).enumerate() {
            self.transact(tx, *sender)
                .map_err(|refusal| match refusal {
                    Refusal::Invalid(error) => BlockError::Transaction { index, error },
                    Refusal::Fatal(error) => BlockError::Fatal(error),
                })?;
        }
        Ok(())
    }

    /// Checks that exactly `fee` left the touched balances, apart from destroyed accounts, and
    /// remembers what left them for BURN.
    fn settle(&mut self, sums: Balances, fee: U256) -> Result<(), String> {
        let left = sums
            .before
            .checked_sub(sums.after)
            .ok_or("execution created money")?;
        let destroyed = left.checked_sub(fee).ok_or("execution created money")?;
        if !destroyed.is_zero() && !sums.destroyed {
            return Err(format!("execution lost {destroyed} base units"));
        }
        self.burned = self
            .burned
            .checked_add(left)
            .ok_or("burned sum overflows")?;
        Ok(())
    }

    /// The contracts' bounded end-of-block work; gives what they told.
    fn sweep_all(&mut self) -> Result<Vec<Log>, String> {
        for (sweep, gas) in self.sweeps {
            self.sweep(sweep, gas)?;
        }
        let logs = self.evm.ctx.journal_mut().take_logs();
        let state = self.evm.finalize();
        let sums = self.evm.ctx.db_mut().fold(state)?;
        self.settle(sums, U256::ZERO)?;
        Ok(logs)
    }

    /// One contract's.
    fn sweep(&mut self, sweep: Sweep, gas: u64) -> Result<(), String> {
        let checkpoint = self.evm.ctx.journal_mut().checkpoint();
        let mut host = self.evm.precompiles.system_host(&mut self.evm.ctx, gas);
        let result = hallmark_contracts::sweep(&mut host, sweep);
        match result {
            Ok(()) => self.evm.ctx.journal_mut().checkpoint_commit(),
            Err(ContractError::Fatal(error)) => return Err(error),
            Err(error) => {
                tracing::warn!(block = self.context.number, ?sweep, %error, "end-of-block sweep undone");
                self.evm.ctx.journal_mut().checkpoint_revert(checkpoint);
            }
        }
        Ok(())
    }

    /// Sweeps, credits BURN and derives the state.
    pub(crate) fn finish(mut self, parent_state: &State) -> Result<Outcome, BlockError> {
        let sweep_logs = self.sweep_all().map_err(BlockError::Fatal)?;
        let burned = self.burned;
        let db = self.evm.ctx.db_mut();
        db.credit(addresses::BURN, burned)
            .map_err(BlockError::Fatal)?;
        let Self {
            evm,
            receipts,
            gas_used,
            ..
        } = self;
        let diff = evm.ctx.journaled_state.database.into_diff();
        let (diff, change) = diff.map_err(BlockError::Fatal)?;
        if !change.is_zero() {
            return Err(BlockError::Fatal(format!(
                "the sum of all balances changes by {change}"
            )));
        }
        let state = parent_state.apply(&diff);
        Ok(Outcome {
            receipts,
            gas_used,
            sweep_logs,
            diff,
            state,
        })
    }
}

/// Executes a transaction of a block and takes its changes out of the journal.
fn transact(evm: &mut ChainEvm<'_>, env: TxEnv) -> Result<ResultAndState, EvmError> {
    evm.ctx.set_tx(env);
    let result = BlockHandler::default().run(evm);
    // Taken out also after an error, so that nothing of it is left.
    let state = evm.finalize();
    Ok(ResultAndState::new(result?, state))
}

/// Mainnet's handler, except that priority fees go to Staking and not to the beneficiary.
pub(crate) struct BlockHandler<'a, I>(PhantomData<&'a I>);

impl<I> Default for BlockHandler<'_, I> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<'a, I: Inspector<Ctx<'a>>> InspectorHandler for BlockHandler<'a, I> {
    type IT = EthInterpreter;
}

impl<'a, I> Handler for BlockHandler<'a, I> {
    type Evm = ChainEvm<'a, I>;
    type Error = EvmError;
    type HaltReason = HaltReason;

    fn reward_beneficiary(
        &self,
        evm: &mut Self::Evm,
        result: &mut FrameResult,
    ) -> Result<(), EvmError> {
        let (block, tx, _, journal, _, _) = evm.ctx.all_mut();
        let base_fee = u128::from(block.basefee);
        let tip = tx.effective_gas_price(base_fee).saturating_sub(base_fee);
        let gas = result.gas();
        let used = u128::from(gas.used().saturating_sub(gas.reservoir()));
        journal
            .load_account_mut(addresses::STAKING)?
            .incr_balance(U256::from(tip.saturating_mul(used)));
        Ok(())
    }
}

/// The receipt of an executed transaction. Logs of a reverted transaction do not exist.
fn receipt(tx: &Transaction, result: ExecutionResult, cumulative_gas_used: u64) -> Receipt {
    let status = Eip658Value::Eip658(result.is_success());
    let logs = if result.is_success() {
        result.into_logs()
    } else {
        Vec::new()
    };
    let receipt = alloy_consensus::Receipt {
        status,
        cumulative_gas_used,
        logs,
    };
    Receipt::from_typed(tx.tx_type(), ReceiptWithBloom::from(receipt))
}
