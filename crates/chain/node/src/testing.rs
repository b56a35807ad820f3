//! A small final chain to test with.

use std::{path::Path, sync::Arc};

use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use hallmark_consensus::certificate;
use hallmark_execution::{BlockAttributes, Executor};
use hallmark_state::Store;
use hallmark_types::ChainSpec;

use crate::devnet;

pub(crate) struct World {
    pub(crate) spec: ChainSpec,
    pub(crate) seeds: Vec<[u8; 32]>,
    pub(crate) executor: Executor,
}

impl World {
    pub(crate) fn new() -> Self {
        let (spec, seeds) = devnet::spec(4, &[devnet::account(0)]);
        Self {
            executor: Executor::new(Arc::new(spec.clone())),
            spec,
            seeds,
        }
    }

    pub(crate) fn store(&self, home: &Path) -> Store {
        Store::open(home, &self.spec, &self.executor.genesis()).unwrap()
    }

    /// Adds blocks with a transfer each. Every third has no certificate of its own, except the last.
    pub(crate) fn extend(&self, store: &Store, count: u64) {
        for left in (0..count).rev() {
            let head = store.head();
            let number = head.block.number() + 1;
            let attributes = BlockAttributes {
                timestamp_ms: head.block.timestamp_ms() + 100,
                epoch: 0,
                view: number,
                parent_view: number - 1,
                leader: 0,
                beneficiary: self.spec.validators[0].address,
            };
            let transfer = self.executor.recover(self.transfer(number - 1)).unwrap();
            let built = self
                .executor
                .build_block(
                    &head.block.header,
                    &head.state,
                    attributes,
                    vec![Arc::new(transfer)],
                    store,
                )
                .unwrap();
            assert_eq!(built.executed.block.transactions.len(), 1);
            let certificate = match number % 3 == 0 && left > 0 {
                true => Bytes::new(),
                false => self.certificate(&built.executed.block.header).into(),
            };
            store.commit(&built.executed, certificate).unwrap();
        }
    }

    pub(crate) fn certificate(&self, header: &hallmark_types::Header) -> Vec<u8> {
        certificate::assemble(&self.spec, &self.seeds[..3], header).unwrap()
    }

    fn transfer(&self, nonce: u64) -> TxEnvelope {
        let tx = TxEip1559 {
            chain_id: self.spec.chain_id,
            nonce,
            gas_limit: 21_000,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: 1,
            to: TxKind::Call(Address::repeat_byte(9)),
            value: U256::from(5),
            ..TxEip1559::default()
        };
        let key = PrivateKeySigner::from_bytes(&B256::from(devnet::account_key(0))).unwrap();
        let signature = key.sign_hash_sync(&tx.signature_hash()).unwrap();
        tx.into_signed(signature).into()
    }
}
