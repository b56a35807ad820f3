//! What happened inside a call or a transaction: `debug_traceCall` and `debug_traceTransaction`.
//!
//! A trace holds a record per step or call, so its size is bounded while it grows: an execution
//! whose record passes [`MAX_RECORD`] is stopped, and the answer is an error that says so. What the
//! tracers copy only when the answer is built counts as soon as it is known:
//!
//! | tracer | record | copied into the answer |
//! |---|---|---|
//! | struct logs | stack, memory, return data of each step | at each SLOAD and SSTORE, every slot of the contract met so far |
//! | `callTracer` | input, output, logs of each call | |
//! | `flatCallTracer` | input, output of each call | each call's path from the root, an index per level |
//! | `prestateTracer` | | the accounts and slots that the execution met, and the code of the accounts |
//! | `4byteTracer` | selector of each call | |

use std::collections::{HashMap, HashSet};

use alloy_consensus::Header;
use alloy_primitives::{Address, Log, U256};
use alloy_rpc_types_trace::geth::{
    GethDebugBuiltInTracerType as BuiltIn, GethDebugTracerType, GethDebugTracingOptions,
    GethDefaultTracingOptions, GethTrace, PreStateConfig,
};
use hallmark_state::State;
use hallmark_types::Block;
use revm::ExecuteEvm;
use revm::bytecode::opcode;
use revm::context::result::ResultAndState;
use revm::context::{ContextError, ContextSetters, ContextTr, JournalTr};
use revm::handler::FrameResult;
use revm::inspector::{Inspector, InspectorHandler};
use revm::interpreter::interpreter::EthInterpreter;
use revm::interpreter::interpreter_types::{Jumps, ReturnData};
use revm::interpreter::{
    CallInputs, CallOutcome, CreateInputs, CreateOutcome, FrameInput, Interpreter,
};
use revm::state::EvmState;
use revm_inspectors::tracing::{DebugInspector, TransactionContext};

use crate::block::{BlockHandler, BlockRun, Refusal};
use crate::call::{CallHandler, prepare, refused};
use crate::db::BlockDb;
use crate::evm::{ChainEvm, Ctx, tx_env};
use crate::{Ancestry, CallError, CallRequest, Executor};

/// Most bytes that one trace may record, before it is written as JSON.
const MAX_RECORD: usize = 16 << 20;
/// A recorded step without its stack and memory.
const STEP_BYTES: usize = 256;
/// A recorded call, creation or log without its data.
const CALL_BYTES: usize = 512;
/// A slot in a copy of a contract's storage: key and value, in a tree whose nodes are half full.
const SLOT_BYTES: usize = 128;
/// An account of a pre-state without code and storage.
const ACCOUNT_BYTES: usize = 256;
/// One level of a call's path.
const LEVEL_BYTES: usize = size_of::<usize>();

impl Executor {
    /// Traces a call in the context of `header` on `state`.
    ///
    /// # Errors
    /// As [`Executor::call`], and `Invalid` for a tracer that is not supported, for a wrong
    /// configuration of one, and for a trace that grows too large.
    pub fn trace_call(
        &self,
        state: &State,
        header: &Header,
        request: &CallRequest,
        options: GethDebugTracingOptions,
        ancestry: &dyn Ancestry,
    ) -> Result<GethTrace, CallError> {
        self.check_size(request)?;
        let cap = self.call_gas_cap();
        let gas = request.gas.map_or(cap, |gas| gas.min(cap));
        let inspector = Bounded::new(options)?;
        let prepared = prepare(self, state, header, request, gas, ancestry)?;
        let env = prepared.env.clone();
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        let mut evm = prepared.evm.with_inspector(inspector);
        let outcome = CallHandler::default().inspect_run(&mut evm);
        let outcome = outcome.map(|result| ResultAndState::new(result, evm.finalize()));
        finish(
            evm,
            outcome.map_err(|e| refused(e, &env, base_fee)),
            &env,
            None,
        )
    }

    /// Traces transaction `index` of `block`, whose parent's state is `parent_state`, by executing
    /// the block again up to it.
    ///
    /// # Errors
    /// As [`Executor::trace_call`], and `Fatal` if the block does not execute, which a committed
    /// one does.
    pub fn trace_transaction(
        &self,
        parent_state: &State,
        block: &Block,
        senders: &[Address],
        index: usize,
        options: GethDebugTracingOptions,
        ancestry: &dyn Ancestry,
    ) -> Result<GethTrace, CallError> {
        let inspector = Bounded::new(options)?;
        let head = &block.header;
        let parent = (head.number.saturating_sub(1), head.parent_hash);
        let context = self.context(head);
        let mut run = BlockRun::replay(self, context, parent, parent_state, ancestry);
        let mut transactions = block.transactions.iter().zip(senders);
        for (tx, sender) in transactions.by_ref().take(index) {
            run.transact(tx, *sender).map_err(|refusal| {
                CallError::Fatal(match refusal {
                    Refusal::Invalid(error) => error.to_string(),
                    Refusal::Fatal(error) => error,
                })
            })?;
        }
        let missing = || CallError::Fatal(format!("the block has no transaction {index}"));
        let (tx, sender) = transactions.next().ok_or_else(missing)?;
        let env = tx_env(tx, *sender).map_err(|error| CallError::Fatal(error.to_string()))?;
        let place = TransactionContext {
            block_hash: Some(block.hash()),
            tx_hash: Some(*tx.tx_hash()),
            tx_index: Some(index),
        };
        let mut evm = run.into_evm().with_inspector(inspector);
        evm.ctx.set_tx(env.clone());
        let outcome = BlockHandler::default().inspect_run(&mut evm);
        let state = evm.finalize();
        let outcome = outcome
            .map(|result| ResultAndState::new(result, state))
            .map_err(|e| refused(e, &env, context.base_fee));
        finish(evm, outcome, &env, Some(place))
    }
}

/// The trace of what ran.
fn finish(
    mut evm: ChainEvm<'_, Bounded>,
    outcome: Result<ResultAndState, CallError>,
    env: &revm::context::TxEnv,
    place: Option<TransactionContext>,
) -> Result<GethTrace, CallError> {
    evm.inspector.check()?;
    let outcome = outcome?;
    if let DebugInspector::PreStateTracer(_, config) = &evm.inspector.inner {
        let db = &evm.ctx.journaled_state.database;
        let bytes = pre_state_bytes(config, &outcome.state, db);
        evm.inspector.record(bytes);
        evm.inspector.check()?;
    }
    let block = evm.ctx.block.clone();
    let db = &mut evm.ctx.journaled_state.database;
    let trace = evm
        .inspector
        .inner
        .get_result(place, env, &block, &outcome, db);
    trace.map_err(|error| CallError::Fatal(error.to_string()))
}

/// What a pre-state of the accounts in `met` holds.
fn pre_state_bytes(config: &PreStateConfig, met: &EvmState, db: &BlockDb<'_>) -> usize {
    let code = |address: &Address| {
        let code = db.code(&db.account(address)?.code_hash)?;
        Some(code.len())
    };
    met.iter().fold(0_usize, |sum, (address, account)| {
        let mut bytes = ACCOUNT_BYTES;
        if config.code_enabled() {
            bytes = bytes.saturating_add(code(address).unwrap_or(0));
        }
        if config.storage_enabled() {
            bytes = bytes.saturating_add(account.storage.len().saturating_mul(SLOT_BYTES));
        }
        sum.saturating_add(bytes)
    })
}

/// What each step's record holds.
struct Steps {
    stack: bool,
    memory: bool,
    return_data: bool,
    /// Slots that each contract has read or written so far, where storage is recorded.
    slots: Option<HashMap<Address, HashSet<U256>>>,
}

impl Steps {
    fn new(options: &GethDefaultTracingOptions) -> Self {
        Self {
            stack: options.is_stack_enabled(),
            memory: options.is_memory_enabled(),
            return_data: options.is_return_data_enabled(),
            slots: options.is_storage_enabled().then(HashMap::new),
        }
    }

    /// What the record of the step that comes next will hold.
    fn next_bytes(&mut self, interp: &Interpreter) -> usize {
        let mut bytes = STEP_BYTES;
        if self.stack {
            bytes = bytes.saturating_add(interp.stack.len().saturating_mul(32));
        }
        if self.memory {
            bytes = bytes.saturating_add(interp.memory.len());
        }
        if self.return_data {
            bytes = bytes.saturating_add(interp.return_data.buffer().len());
        }
        bytes.saturating_add(self.storage_bytes(interp))
    }

    /// The storage that the step shows: all slots of the contract so far, this one included.
    fn storage_bytes(&mut self, interp: &Interpreter) -> usize {
        let touches = matches!(interp.bytecode.opcode(), opcode::SLOAD | opcode::SSTORE);
        let (Some(slots), true) = (&mut self.slots, touches) else {
            return 0;
        };
        let contract = slots.entry(interp.input.target_address).or_default();
        contract.extend(interp.stack.data().last());
        contract.len().saturating_mul(SLOT_BYTES)
    }
}

/// A tracer that stops the execution when its record is full.
struct Bounded {
    inner: DebugInspector,
    /// Where every step is recorded.
    steps: Option<Steps>,
    recorded: usize,
}

impl Bounded {
    fn new(options: GethDebugTracingOptions) -> Result<Self, CallError> {
        let invalid = |text: String| Err(CallError::Invalid(text));
        let tracer = options
            .tracer
            .as_ref()
            .filter(|name| !name.as_str().is_empty());
        match tracer {
            None
            | Some(GethDebugTracerType::BuiltInTracer(
                BuiltIn::CallTracer
                | BuiltIn::FlatCallTracer
                | BuiltIn::PreStateTracer
                | BuiltIn::FourByteTracer
                | BuiltIn::NoopTracer,
            )) => {}
            Some(GethDebugTracerType::BuiltInTracer(other)) => {
                return invalid(format!("tracer {other:?} is not supported"));
            }
            Some(_) => return invalid("tracers written in JavaScript are not supported".into()),
        }
        let steps = tracer.is_none().then(|| Steps::new(&options.config));
        match DebugInspector::new(options) {
            Ok(inner) => Ok(Self {
                inner,
                steps,
                recorded: 0,
            }),
            Err(error) => invalid(error.to_string()),
        }
    }

    fn record(&mut self, bytes: usize) {
        self.recorded = self.recorded.saturating_add(bytes);
    }

    /// Counts a call or creation that a frame at `depth` makes.
    fn record_call(&mut self, depth: usize, input: usize) {
        self.record(CALL_BYTES.saturating_add(input));
        if matches!(self.inner, DebugInspector::FlatCallTracer(_)) {
            self.record(depth.saturating_mul(LEVEL_BYTES));
        }
    }

    fn full(&self) -> bool {
        self.recorded > MAX_RECORD
    }

    /// # Errors
    /// `Invalid` when the record is full.
    fn check(&self) -> Result<(), CallError> {
        if !self.full() {
            return Ok(());
        }
        Err(CallError::Invalid(format!(
            "trace too large: more than {MAX_RECORD} bytes are recorded; leave out what is not \
             needed (disableStack, disableStorage, disableCode, no memory), or use callTracer"
        )))
    }
}

impl<'a> Inspector<Ctx<'a>> for Bounded {
    fn initialize_interp(&mut self, interp: &mut Interpreter, ctx: &mut Ctx<'a>) {
        self.inner.initialize_interp(interp, ctx);
    }

    fn step(&mut self, interp: &mut Interpreter, ctx: &mut Ctx<'a>) {
        if let Some(steps) = &mut self.steps {
            let bytes = steps.next_bytes(interp);
            self.record(bytes);
        }
        if self.full() {
            *ctx.error() = Err(ContextError::Custom("trace too large".into()));
            interp.halt_fatal();
            return;
        }
        self.inner.step(interp, ctx);
    }

    fn step_end(&mut self, interp: &mut Interpreter, ctx: &mut Ctx<'a>) {
        self.inner.step_end(interp, ctx);
    }

    fn log(&mut self, ctx: &mut Ctx<'a>, log: Log) {
        self.record(CALL_BYTES.saturating_add(log.data.data.len()));
        Inspector::<Ctx<'a>>::log(&mut self.inner, ctx, log);
    }

    fn log_full(&mut self, interp: &mut Interpreter, ctx: &mut Ctx<'a>, log: Log) {
        self.record(CALL_BYTES.saturating_add(log.data.data.len()));
        self.inner.log_full(interp, ctx, log);
    }

    fn call(&mut self, ctx: &mut Ctx<'a>, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.record_call(ctx.journaled_state.depth(), inputs.input.len());
        self.inner.call(ctx, inputs)
    }

    fn call_end(&mut self, ctx: &mut Ctx<'a>, inputs: &CallInputs, outcome: &mut CallOutcome) {
        self.record(outcome.result.output.len());
        self.inner.call_end(ctx, inputs, outcome);
    }

    fn create(&mut self, ctx: &mut Ctx<'a>, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.record_call(ctx.journaled_state.depth(), inputs.init_code().len());
        self.inner.create(ctx, inputs)
    }

    fn create_end(
        &mut self,
        ctx: &mut Ctx<'a>,
        inputs: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.record(outcome.result.output.len());
        self.inner.create_end(ctx, inputs, outcome);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        Inspector::<Ctx<'a>>::selfdestruct(&mut self.inner, contract, target, value);
    }

    fn frame_start(&mut self, ctx: &mut Ctx<'a>, input: &mut FrameInput) -> Option<FrameResult> {
        Inspector::<Ctx<'a>, EthInterpreter>::frame_start(&mut self.inner, ctx, input)
    }

    fn frame_end(&mut self, ctx: &mut Ctx<'a>, input: &FrameInput, result: &mut FrameResult) {
        Inspector::<Ctx<'a>, EthInterpreter>::frame_end(&mut self.inner, ctx, input, result);
    }
}
