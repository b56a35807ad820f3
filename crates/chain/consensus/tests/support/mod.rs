//! A small chain to test with: validators, funded accounts, signed transfers.
#![allow(dead_code)]

use std::{collections::BTreeMap, sync::Arc};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use hallmark_consensus::{Core, public_key_of};
use hallmark_execution::Executor;
use hallmark_mempool::Mempool;
use hallmark_state::Store;
use hallmark_types::{ChainSpec, MARK, ValidatorSpec};

/// Who takes part.
pub struct World {
    pub spec: Arc<ChainSpec>,
    pub seeds: Vec<[u8; 32]>,
    pub users: Vec<PrivateKeySigner>,
}

/// The chain's rooms of one validator.
pub struct Rooms {
    pub executor: Arc<Executor>,
    pub mempool: Arc<Mempool>,
    pub store: Arc<Store>,
    pub core: Arc<Core>,
}

impl World {
    pub fn new(validators: u8, users: u8, genesis_ms: u64) -> Self {
        Self::with(validators, users, genesis_ms, |_| ())
    }

    /// With a changed spec.
    pub fn with(
        validators: u8,
        users: u8,
        genesis_ms: u64,
        change: impl FnOnce(&mut ChainSpec),
    ) -> Self {
        let seeds: Vec<[u8; 32]> = (1..=validators).map(|index| [index; 32]).collect();
        let users: Vec<PrivateKeySigner> = (1..=users)
            .map(|index| {
                PrivateKeySigner::from_bytes(&B256::repeat_byte(0x40 + index)).expect("a key")
            })
            .collect();
        let alloc: BTreeMap<Address, U256> = users
            .iter()
            .map(|user| (user.address(), U256::from(1_000 * MARK)))
            .collect();
        let validators = seeds
            .iter()
            .enumerate()
            .map(|(index, seed)| {
                ValidatorSpec::local(
                    public_key_of(seed),
                    Address::repeat_byte(0xa0 + u8::try_from(index).expect("few")),
                )
            })
            .collect();
        let mut spec = ChainSpec::local(genesis_ms, validators, alloc, Address::repeat_byte(0x7e));
        change(&mut spec);
        spec.check().expect("a usable spec");
        Self {
            spec: Arc::new(spec),
            seeds,
            users,
        }
    }

    /// Fresh rooms with the chain in memory.
    pub fn rooms(&self) -> Rooms {
        let executor = Arc::new(Executor::new(self.spec.clone()));
        let store = Store::in_memory(&self.spec, &executor.genesis()).expect("a store");
        self.rooms_over(executor, store)
    }

    pub fn rooms_over(&self, executor: Arc<Executor>, store: Store) -> Rooms {
        let mempool = Arc::new(Mempool::new(self.spec.clone(), executor.clone()));
        let store = Arc::new(store);
        let core = Arc::new(Core::new(
            self.spec.clone(),
            executor.clone(),
            mempool.clone(),
            store.clone(),
        ));
        Rooms {
            executor,
            mempool,
            store,
            core,
        }
    }

    /// A signed transaction with `input` as calldata.
    pub fn transaction(
        &self,
        user: usize,
        nonce: u64,
        to: Address,
        value: u128,
        gas_limit: u64,
        input: Bytes,
    ) -> TxEnvelope {
        let tx = TxEip1559 {
            chain_id: self.spec.chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: TxKind::Call(to),
            value: U256::from(value),
            access_list: Default::default(),
            input,
        };
        let signature = self.users[user]
            .sign_hash_sync(&tx.signature_hash())
            .expect("a signature");
        tx.into_signed(signature).into()
    }

    /// A signed transfer of `value`.
    pub fn transfer(&self, user: usize, nonce: u64, to: Address, value: u128) -> TxEnvelope {
        self.transaction(user, nonce, to, value, 100_000, Bytes::new())
    }
}

impl Rooms {
    pub fn submit(&self, transaction: &TxEnvelope) {
        let head = self.store.head();
        self.mempool
            .add_raw(&transaction.encoded_2718(), &head.state)
            .expect("admitted");
    }

    pub fn height(&self) -> u64 {
        self.store.head().block.number()
    }

    pub fn balance(&self, address: Address) -> U256 {
        self.store
            .head()
            .state
            .account(&address)
            .map_or(U256::ZERO, |account| account.balance)
    }
}
