//! `eth_call`, `eth_estimateGas`, `eth_createAccessList`, and traces: on the bounded workers, with the
//! chain's gas cap for calls.

use crate::{
    context::Rpc,
    error::{Fault, Reply},
    overrides::{self, Hashes},
};
use alloy_eips::{BlockId, eip2930::AccessListResult};
use alloy_primitives::{B256, Bytes, TxKind, U64, U256};
use alloy_rpc_types_eth::{BlockOverrides, TransactionRequest, state::StateOverride};
use alloy_rpc_types_trace::geth::{
    GethDebugTracingCallOptions, GethDebugTracingOptions, GethTrace,
};
use hallmark_execution::{CallError, CallOutcome, CallRequest};
use hallmark_state::State;
use hallmark_types::Header;
use jsonrpsee::{core::async_trait, proc_macros::rpc};

#[rpc(server, namespace = "eth")]
pub(crate) trait Calls {
    /// Output of a call on the state after `block`, with the overrides in force.
    #[method(name = "call")]
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> Result<Bytes, Fault>;

    /// Smallest gas limit with which the transaction succeeds on the state after `block`.
    #[method(name = "estimateGas")]
    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> Result<U64, Fault>;

    /// Accounts and slots that the transaction touches, and its gas with them as access list.
    #[method(name = "createAccessList")]
    async fn create_access_list(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
    ) -> Result<AccessListResult, Fault>;
}

#[rpc(server, namespace = "debug")]
pub(crate) trait Traces {
    /// What happened inside a mined transaction. Its parent block's state must still be kept.
    #[method(name = "traceTransaction")]
    async fn trace_transaction(
        &self,
        hash: B256,
        options: Option<GethDebugTracingOptions>,
    ) -> Result<GethTrace, Fault>;

    /// What would happen inside a call on the state after `block`.
    #[method(name = "traceCall")]
    async fn trace_call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        options: Option<GethDebugTracingCallOptions>,
    ) -> Result<GethTrace, Fault>;
}

#[async_trait]
impl CallsServer for Rpc {
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> Reply<Bytes> {
        let what_if = WhatIf::new(request, block, state_overrides, block_overrides)?;
        let work = |rpc: &Rpc, state: &State, header: &Header, request, hashes: &Hashes| {
            rpc.executor.call(state, header, request, hashes)
        };
        match self.what_if(what_if, work).await? {
            CallOutcome::Success { output, .. } => Ok(output),
            CallOutcome::Revert { output, .. } => Err(Fault::Reverted(output)),
            CallOutcome::Halt { reason, .. } => Err(halted(&reason)),
        }
    }

    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
        block_overrides: Option<Box<BlockOverrides>>,
    ) -> Reply<U64> {
        let what_if = WhatIf::new(request, block, state_overrides, block_overrides)?;
        let work = |rpc: &Rpc, state: &State, header: &Header, request, hashes: &Hashes| {
            rpc.executor.estimate_gas(state, header, request, hashes)
        };
        self.what_if(what_if, work).await.map(U64::from)
    }

    async fn create_access_list(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<StateOverride>,
    ) -> Reply<AccessListResult> {
        let what_if = WhatIf::new(request, block, state_overrides, None)?;
        let work = |rpc: &Rpc, state: &State, header: &Header, request, hashes: &Hashes| {
            rpc.executor
                .create_access_list(state, header, request, hashes)
        };
        let outcome = self.what_if(what_if, work).await?;
        Ok(AccessListResult {
            access_list: outcome.list,
            gas_used: U256::from(outcome.gas_used),
            error: outcome.error,
        })
    }
}

#[async_trait]
impl TracesServer for Rpc {
    async fn trace_transaction(
        &self,
        hash: B256,
        options: Option<GethDebugTracingOptions>,
    ) -> Reply<GethTrace> {
        let unknown = || Fault::Refused("transaction not found".into());
        let (number, index) = self.store.transaction(&hash).ok_or_else(unknown)?;
        let sealed = self.block(number).ok_or(Fault::UnknownBlock)?;
        let parent = number.saturating_sub(1);
        let (state, _) = self.state(Some(parent.into()))?;
        let senders = self.senders(&sealed)?;
        let rpc = self.clone();
        let options = options.unwrap_or_default();
        let work = move || {
            rpc.executor
                .trace_transaction(&state, &sealed.block, &senders, index, options, &*rpc.store)
                .map_err(Fault::from)
        };
        self.workers.run(work).await
    }

    async fn trace_call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        options: Option<GethDebugTracingCallOptions>,
    ) -> Reply<GethTrace> {
        let options = options.unwrap_or_default();
        if options.tx_index.is_some() {
            return Err(Fault::Invalid("txIndex is not supported".into()));
        }
        let block_overrides = options.block_overrides.map(Box::new);
        let what_if = WhatIf::new(request, block, options.state_overrides, block_overrides)?;
        let tracing = options.tracing_options;
        let work = move |rpc: &Rpc, state: &State, header: &Header, request, hashes: &Hashes| {
            rpc.executor
                .trace_call(state, header, &request, tracing, hashes)
        };
        self.what_if(what_if, work).await
    }
}

/// A call and what it assumes.
struct WhatIf {
    request: CallRequest,
    block: Option<BlockId>,
    state: Option<StateOverride>,
    header: Option<Box<BlockOverrides>>,
}

impl WhatIf {
    fn new(
        request: TransactionRequest,
        block: Option<BlockId>,
        state: Option<StateOverride>,
        header: Option<Box<BlockOverrides>>,
    ) -> Reply<Self> {
        Ok(Self {
            request: call_request(request)?,
            block,
            state,
            header,
        })
    }
}

impl Rpc {
    /// Runs `work` on a worker, on the state and in the block that the call assumes.
    async fn what_if<T: Send + 'static>(
        &self,
        what_if: WhatIf,
        work: impl FnOnce(&Self, &State, &Header, CallRequest, &Hashes) -> Result<T, CallError>
        + Send
        + 'static,
    ) -> Reply<T> {
        let (state, sealed) = self.state(what_if.block)?;
        let rpc = self.clone();
        let work = move || {
            let header = what_if.header.map(|header| *header);
            let (header, hashes) = overrides::block(&sealed.block.header, &rpc.store, header)?;
            let state = overrides::state(&state, what_if.state)?;
            work(&rpc, &state, &header, what_if.request, &hashes).map_err(Fault::from)
        };
        self.workers.run(work).await
    }
}

/// # Errors
/// `Invalid` if `data` and `input` differ, or two ways to name the price are mixed.
fn call_request(request: TransactionRequest) -> Reply<CallRequest> {
    if request.gas_price.is_some()
        && (request.max_fee_per_gas.is_some() || request.max_priority_fee_per_gas.is_some())
    {
        let text = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";
        return Err(Fault::Invalid(text.into()));
    }
    let data = request
        .input
        .try_into_unique_input()
        .map_err(|_| Fault::Invalid(r#"both "data" and "input" are set and not equal"#.into()))?;
    Ok(CallRequest {
        from: request.from,
        to: match request.to {
            Some(TxKind::Call(address)) => Some(address),
            Some(TxKind::Create) | None => None,
        },
        gas: request.gas,
        max_fee_per_gas: request.max_fee_per_gas.or(request.gas_price),
        max_priority_fee_per_gas: request.max_priority_fee_per_gas.or(request.gas_price),
        value: request.value.unwrap_or_default(),
        data: data.unwrap_or_default(),
        nonce: request.nonce,
        access_list: request.access_list.unwrap_or_default(),
        authorizations: request.authorization_list.unwrap_or_default(),
    })
}

fn halted(reason: &str) -> Fault {
    if reason.contains("OutOfGas") {
        return Fault::Refused("out of gas".into());
    }
    Fault::Refused(format!("execution halted: {reason}"))
}

impl From<CallError> for Fault {
    fn from(error: CallError) -> Self {
        match error {
            CallError::Reverted(data) => Self::Reverted(data),
            CallError::Fatal(text) => Self::Internal(text),
            CallError::TooLarge { .. } => Self::Limit(error.to_string()),
            CallError::Invalid(_) | CallError::OutOfGas(_) | CallError::Halted(_) => {
                Self::Refused(error.to_string())
            }
        }
    }
}
