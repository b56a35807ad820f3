//! Genesis: a pure function of the chain spec.
//!
//! Accounts of the allocation; the stake of the first validators on Staking's balance; each system contract with code `0xEF` (no EVM can run it, and
//! Solidity's check that a callee has code holds), nonce 1 (so that EIP-161 never deletes it) and
//! the storage that its rules start from; BURN with nonce 1, so that the account exists before the
//! first coin is burned. The header's `mixHash` is the hash of the spec: two chains with different
//! specs have different genesis blocks.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{Address, Bytes, KECCAK256_EMPTY, U256, keccak256};
use hallmark_contracts::{SYSTEM_CODE, genesis_balances, genesis_storage};
use hallmark_state::{Account, AccountDiff, Executed, State, StateDiff};
use hallmark_types::{Block, ChainSpec, HeaderExtra, addresses, header};

/// The system contracts that exist.
pub(crate) const SYSTEM_CONTRACTS: [Address; 5] = [
    addresses::STAKING,
    addresses::MODELS,
    addresses::INFERENCE,
    addresses::VERIFIER,
    addresses::TOPICS,
];

pub(crate) fn genesis(spec: &ChainSpec) -> Executed {
    let diff = allocation(spec);
    let state = State::empty().apply(&diff);
    let (timestamp, ms) = header::split_timestamp(spec.genesis_timestamp_ms);
    let mut head = header::template();
    head.state_root = state.root();
    head.gas_limit = spec.limits.block_gas_limit;
    head.timestamp = timestamp;
    head.extra_data = HeaderExtra {
        ms,
        ..HeaderExtra::default()
    }
    .encode();
    head.base_fee_per_gas = Some(spec.base_fee_initial);
    head.mix_hash = spec.hash();
    let block = Block {
        header: head,
        transactions: Vec::new(),
    };
    let hash = block.hash();
    Executed {
        block: Arc::new(block),
        hash,
        senders: Vec::new(),
        receipts: Vec::new(),
        sweep_logs: Vec::new(),
        diff,
        state,
    }
}

fn allocation(spec: &ChainSpec) -> StateDiff {
    let mut diff = StateDiff::default();
    let account = |nonce, balance, code_hash| Account {
        nonce,
        balance,
        code_hash,
    };
    let entry = |info: Account, storage: BTreeMap<U256, U256>| AccountDiff {
        info: Some(info),
        storage,
        wiped: false,
    };
    for (address, balance) in &spec.alloc {
        if balance.is_zero() {
            continue;
        }
        diff.accounts.insert(
            *address,
            entry(account(0, *balance, KECCAK256_EMPTY), BTreeMap::new()),
        );
    }
    let burn = account(1, U256::ZERO, KECCAK256_EMPTY);
    diff.accounts
        .insert(addresses::BURN, entry(burn, BTreeMap::new()));
    let code_hash = keccak256(SYSTEM_CODE);
    diff.codes
        .insert(code_hash, Bytes::from_static(SYSTEM_CODE));
    let balances = genesis_balances(spec);
    for address in SYSTEM_CONTRACTS {
        let balance = balances.get(&address).copied().unwrap_or_default();
        let contract = account(1, balance, code_hash);
        diff.accounts
            .insert(address, entry(contract, BTreeMap::new()));
    }
    for (address, slots) in genesis_storage(spec) {
        if let Some(contract) = diff.accounts.get_mut(&address) {
            contract
                .storage
                .extend(slots.into_iter().filter(|(_, value)| !value.is_zero()));
        }
    }
    diff
}
