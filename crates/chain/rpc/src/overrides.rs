//! State and block overrides of calls: a call may ask what would happen if.

use crate::error::{Fault, Reply};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, U256, keccak256};
use alloy_rpc_types_eth::{
    BlockOverrides,
    state::{AccountOverride, StateOverride},
};
use hallmark_execution::{Ancestry, is_code};
use hallmark_state::{AccountDiff, State, StateDiff, Store};
use hallmark_types::{Header, addresses};
use std::{collections::BTreeMap, sync::Arc};

/// The state with `overrides` in force; shares what they do not touch.
///
/// # Errors
/// `Invalid` for an account with both `state` and `stateDiff`, for code at a system contract, for
/// code that no account can have, and for moved precompiles, which this chain does not offer.
pub(crate) fn state(state: &State, overrides: Option<StateOverride>) -> Reply<State> {
    let Some(overrides) = overrides.filter(|overrides| !overrides.is_empty()) else {
        return Ok(state.clone());
    };
    let mut diff = StateDiff::default();
    for (address, change) in overrides {
        let entry = account(state, address, change, &mut diff)?;
        diff.accounts.insert(address, entry);
    }
    Ok(state.apply(&diff))
}

fn account(
    state: &State,
    address: Address,
    change: AccountOverride,
    diff: &mut StateDiff,
) -> Reply<AccountDiff> {
    let invalid = |text: &str| Err(Fault::Invalid(format!("account {address} {text}")));
    if change.move_precompile_to.is_some() {
        return invalid("has movePrecompileToAddress, which is not supported");
    }
    if change.state.is_some() && change.state_diff.is_some() {
        return invalid("has both 'state' and 'stateDiff'");
    }
    let mut info = state.account(&address).unwrap_or_default();
    if let Some(code) = change.code {
        if addresses::is_reserved(&address) {
            return invalid("is a system contract, whose code cannot be overridden");
        }
        if !is_code(&code) {
            return invalid("has code that begins with 0xef01 and is no delegation (EIP-7702)");
        }
        info.code_hash = keccak256(&code);
        if info.code_hash != KECCAK256_EMPTY {
            diff.codes.insert(info.code_hash, code);
        }
    }
    info.balance = change.balance.unwrap_or(info.balance);
    info.nonce = change.nonce.unwrap_or(info.nonce);
    let wiped = change.state.is_some();
    let slots = change.state.or(change.state_diff).unwrap_or_default();
    let storage = slots
        .into_iter()
        .map(|(slot, value)| (slot.into(), value.into()))
        .collect::<BTreeMap<U256, U256>>();
    Ok(AccountDiff {
        info: Some(info),
        storage,
        wiped,
    })
}

/// Hashes of ancestors, as far as a call may see them: those that it names, then the chain's, then
/// zero for heights that do not exist.
pub(crate) struct Hashes {
    store: Arc<Store>,
    named: BTreeMap<u64, B256>,
    /// Whether the call asks about another height than the block's: then a hash may be missing.
    moved: bool,
}

impl Ancestry for Hashes {
    fn block_hash(&self, number: u64) -> Option<B256> {
        let known = self.named.get(&number).copied();
        let known = known.or_else(|| self.store.block_hash(number));
        known.or(self.moved.then_some(B256::ZERO))
    }
}

/// The block that a call runs in, with `overrides` in force.
///
/// # Errors
/// `Invalid` for a number or a base fee beyond 64 bits, and for fields that mean nothing here.
pub(crate) fn block(
    header: &Header,
    store: &Arc<Store>,
    overrides: Option<BlockOverrides>,
) -> Reply<(Header, Hashes)> {
    let mut header = header.clone();
    let mut hashes = Hashes {
        store: store.clone(),
        named: BTreeMap::new(),
        moved: false,
    };
    let Some(overrides) = overrides.filter(|overrides| !overrides.is_empty()) else {
        return Ok((header, hashes));
    };
    if overrides.blob_base_fee.is_some() || overrides.beacon_root.is_some() {
        let text = "blobBaseFee and beaconRoot cannot be overridden: this chain has neither";
        return Err(Fault::Invalid(text.into()));
    }
    let small = |what: &str, value: U256| {
        u64::try_from(value).map_err(|_| Fault::Invalid(format!("{what} is beyond 64 bits")))
    };
    hashes.named = overrides.block_hash.unwrap_or_default();
    hashes.moved = true;
    if let Some(number) = overrides.number {
        header.number = small("number", number)?;
    }
    if let Some(base_fee) = overrides.base_fee {
        header.base_fee_per_gas = Some(small("baseFee", base_fee)?);
    }
    header.timestamp = overrides.time.unwrap_or(header.timestamp);
    header.gas_limit = overrides.gas_limit.unwrap_or(header.gas_limit);
    header.beneficiary = overrides.coinbase.unwrap_or(header.beneficiary);
    header.mix_hash = overrides.random.unwrap_or(header.mix_hash);
    // What the EVM takes for the parent's hash.
    let parent = header.number.saturating_sub(1);
    header.parent_hash = hashes.block_hash(parent).unwrap_or_default();
    Ok((header, hashes))
}
