//! `eth_call` and `eth_estimateGas`: on the bounded workers, with the chain's gas cap for calls.

use crate::{
    context::Rpc,
    error::{Fault, Reply},
};
use alloy_eips::BlockId;
use alloy_primitives::{Bytes, TxKind, U64};
use alloy_rpc_types_eth::TransactionRequest;
use hallmark_execution::{CallError, CallOutcome, CallRequest};
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use serde_json::Value;

#[rpc(server, namespace = "eth")]
pub(crate) trait Calls {
    /// Output of a call on the state after `block`. State and block overrides are not supported.
    #[method(name = "call")]
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
        block_overrides: Option<Value>,
    ) -> Result<Bytes, Fault>;

    /// Smallest gas limit with which the transaction succeeds on the state after `block`.
    #[method(name = "estimateGas")]
    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
    ) -> Result<U64, Fault>;
}

#[async_trait]
impl CallsServer for Rpc {
    async fn call(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
        block_overrides: Option<Value>,
    ) -> Reply<Bytes> {
        no_overrides(state_overrides)?;
        no_overrides(block_overrides)?;
        let request = call_request(request)?;
        let (state, sealed) = self.state(block)?;
        let rpc = self.clone();
        let work = move || {
            rpc.executor
                .call(&state, &sealed.block.header, request, &*rpc.store)
                .map_err(Fault::from)
        };
        match self.workers.run(work).await? {
            CallOutcome::Success { output, .. } => Ok(output),
            CallOutcome::Revert { output, .. } => Err(Fault::Reverted(output)),
            CallOutcome::Halt { reason, .. } => Err(halted(&reason)),
        }
    }

    async fn estimate_gas(
        &self,
        request: TransactionRequest,
        block: Option<BlockId>,
        state_overrides: Option<Value>,
    ) -> Reply<U64> {
        no_overrides(state_overrides)?;
        let request = call_request(request)?;
        let (state, sealed) = self.state(block)?;
        let rpc = self.clone();
        let work = move || {
            rpc.executor
                .estimate_gas(&state, &sealed.block.header, request, &*rpc.store)
                .map_err(Fault::from)
        };
        self.workers.run(work).await.map(U64::from)
    }
}

fn no_overrides(overrides: Option<Value>) -> Reply<()> {
    match overrides {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(fields)) if fields.is_empty() => Ok(()),
        Some(_) => Err(Fault::Invalid(
            "state and block overrides are not supported".into(),
        )),
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
