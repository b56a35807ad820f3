//! The access list (EIP-2930) that a call would profit from.

use std::collections::BTreeMap;

use alloy_consensus::Header;
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::B256;
use hallmark_state::State;
use revm::context::result::ExecutionResult;
use revm::state::EvmState;

use crate::call::prepare;
use crate::{Ancestry, CallError, CallRequest, Executor};

/// A list changes what a call sees of its gas, and so what it touches. Most calls settle at once.
const MAX_ROUNDS: usize = 8;

/// What a call touches, and what it costs with that as its list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessListOutcome {
    /// Accounts and slots, ordered.
    pub list: AccessList,
    /// Gas used with the list.
    pub gas_used: u64,
    /// Why the call does not succeed, if it does not. The list holds what it touched until then.
    pub error: Option<String>,
}

impl Executor {
    /// Everything that `request` touches in the context of `header` and that is not warm anyway:
    /// the caller, the called account, the block's beneficiary and the precompiles are left out
    /// unless slots of theirs are read.
    ///
    /// Slots that a system contract reads count like those of any contract.
    ///
    /// # Errors
    /// As [`Executor::call`]: when the request cannot be run at all.
    pub fn create_access_list(
        &self,
        state: &State,
        header: &Header,
        mut request: CallRequest,
        ancestry: &dyn Ancestry,
    ) -> Result<AccessListOutcome, CallError> {
        self.check_size(&request)?;
        let cap = self.call_gas_cap();
        let gas = request.gas.map_or(cap, |gas| gas.min(cap));
        let mut rounds = 0;
        loop {
            rounds += 1;
            let prepared = prepare(self, state, header, &request, gas, ancestry)?;
            let mut warm = prepared.evm.precompiles.always_warm();
            let from = request.from.unwrap_or_default();
            let to = request
                .to
                .unwrap_or_else(|| from.create(prepared.env.nonce));
            warm.extend([from, to, header.beneficiary]);
            let (result, touched) = prepared.run()?;
            let list = touched_list(&touched, |address| warm.contains(address));
            if list != request.access_list && rounds < MAX_ROUNDS {
                request.access_list = list;
                continue;
            }
            return Ok(AccessListOutcome {
                list,
                gas_used: result.tx_gas_used(),
                error: match result {
                    ExecutionResult::Success { .. } => None,
                    ExecutionResult::Revert { .. } => Some("execution reverted".to_owned()),
                    ExecutionResult::Halt { reason, .. } => Some(reason.to_string()),
                },
            });
        }
    }
}

fn touched_list(
    touched: &EvmState,
    warm: impl Fn(&alloy_primitives::Address) -> bool,
) -> AccessList {
    let mut list = BTreeMap::new();
    for (address, account) in touched {
        if account.storage.is_empty() && warm(address) {
            continue;
        }
        let mut keys: Vec<B256> = account.storage.keys().map(|key| (*key).into()).collect();
        keys.sort_unstable();
        list.insert(*address, keys);
    }
    let item = |(address, storage_keys)| AccessListItem {
        address,
        storage_keys,
    };
    AccessList(list.into_iter().map(item).collect())
}
