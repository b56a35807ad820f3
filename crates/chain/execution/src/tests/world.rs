//! A small chain to tell stories on: funded accounts, four validators, blocks on demand.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_primitives::{Address, Bytes, TxKind, U256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use hallmark_state::Executed;
use hallmark_types::{ChainSpec, MARK, Transaction, ValidatorSpec};

use crate::{
    BlockAttributes, BlockError, Built, Executor, NoAncestry, PooledTransaction, committee,
};

/// Fee cap of the stories' transactions, wei per gas.
pub(super) const FEE_CAP: u128 = 100_000_000_000;
/// Tip of the stories' transactions, wei per gas.
pub(super) const TIP: u128 = 1_000_000_000;

pub(super) fn signer(number: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&[number; 32].into()).expect("a valid key")
}

pub(super) fn spec() -> ChainSpec {
    let validators = (1..=4u8)
        .map(|i| ValidatorSpec::local([i; 32], Address::repeat_byte(0xa0 + i)))
        .collect();
    let alloc: BTreeMap<_, _> = (1..=8u8)
        .map(|i| (signer(i).address(), U256::from(1_000 * MARK)))
        .collect();
    let spec = ChainSpec::local(
        1_700_000_000_123,
        validators,
        alloc,
        Address::repeat_byte(0x77),
    );
    spec.check().expect("a usable spec");
    spec
}

/// A transaction in the making.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) from: u8,
    pub(super) tx: TxEip1559,
}

impl Order {
    pub(super) fn sign(self) -> Transaction {
        let signature = signer(self.from)
            .sign_hash_sync(&self.tx.signature_hash())
            .expect("a local key signs");
        self.tx.into_signed(signature).into()
    }
}

/// The chain: a proposer, a validator that shares nothing with it, and the head.
pub(super) struct World {
    pub(super) proposer: Executor,
    pub(super) validator: Executor,
    pub(super) head: Executed,
    nonces: BTreeMap<u8, u64>,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    /// Under other parameters.
    pub(super) fn with(edit: impl FnOnce(&mut ChainSpec)) -> Self {
        let mut spec = spec();
        edit(&mut spec);
        spec.check().expect("a usable spec");
        let spec = Arc::new(spec);
        let proposer = Executor::new(spec.clone());
        let head = proposer.genesis();
        Self {
            proposer,
            validator: Executor::new(spec),
            head,
            nonces: BTreeMap::new(),
        }
    }

    pub(super) fn spec(&self) -> &ChainSpec {
        self.proposer.spec()
    }

    /// The next transaction of account `from`.
    pub(super) fn order(&mut self, from: u8, to: TxKind, value: u128, data: Vec<u8>) -> Order {
        let nonce = self.nonces.entry(from).or_default();
        let tx = TxEip1559 {
            chain_id: self.proposer.spec().chain_id,
            nonce: *nonce,
            gas_limit: 1_000_000,
            max_fee_per_gas: FEE_CAP,
            max_priority_fee_per_gas: TIP,
            to,
            value: U256::from(value),
            access_list: Default::default(),
            input: data.into(),
        };
        *nonce += 1;
        Order { from, tx }
    }

    pub(super) fn transfer(&mut self, from: u8, to: Address, value: u128) -> Transaction {
        self.order(from, TxKind::Call(to), value, Vec::new()).sign()
    }

    pub(super) fn call(&mut self, from: u8, to: Address, data: &[u8]) -> Transaction {
        self.order(from, TxKind::Call(to), 0, data.to_vec()).sign()
    }

    /// Deploys `runtime` and returns its address; one block.
    pub(super) fn deploy(&mut self, from: u8, runtime: &[u8]) -> Address {
        let nonce = self.nonces.get(&from).copied().unwrap_or_default();
        let tx = self
            .order(from, TxKind::Create, 0, init_code(runtime))
            .sign();
        let executed = self.block(vec![tx]);
        assert!(executed.receipts[0].is_success(), "deployment succeeds");
        signer(from).address().create(nonce)
    }

    pub(super) fn attributes(&self) -> BlockAttributes {
        let number = self.head.number() + 1;
        let epoch = self.spec().staking.epoch_of(number);
        let committee = committee(&self.head.state, self.spec(), epoch).expect("a set");
        let leader = number as usize % committee.members.len();
        BlockAttributes {
            timestamp_ms: self.head.block.timestamp_ms() + 250,
            epoch: u32::try_from(epoch).expect("a small epoch"),
            view: number,
            parent_view: number - 1,
            leader: leader as u16,
            beneficiary: committee.members[leader].address,
        }
    }

    /// Builds a block on the head without making it the head.
    pub(super) fn build(&self, txs: Vec<Transaction>) -> Built {
        let candidates = txs
            .into_iter()
            .map(|tx| Arc::new(self.proposer.recover(tx).expect("a valid signature")))
            .collect::<Vec<Arc<PooledTransaction>>>();
        self.proposer
            .build_block(
                &self.head.block.header,
                &self.head.state,
                self.attributes(),
                candidates,
                &NoAncestry,
            )
            .expect("the attributes are right")
    }

    /// What the validator says to a block.
    pub(super) fn judge(&self, block: &hallmark_types::Block) -> Result<Executed, BlockError> {
        self.validator.execute_block(
            &self.head.block.header,
            &self.head.state,
            block,
            &NoAncestry,
        )
    }

    /// A block of exactly these transactions, built by one node and checked by the other.
    pub(super) fn block(&mut self, txs: Vec<Transaction>) -> Executed {
        let built = self.build(txs);
        assert_eq!(built.refused, vec![], "every transaction has its place");
        let judged = self
            .judge(&built.executed.block)
            .expect("the other node agrees");
        assert_eq!(judged.hash, built.executed.hash);
        assert_eq!(judged.diff, built.executed.diff);
        assert_eq!(judged.senders, built.executed.senders);
        assert_eq!(judged.receipts, built.executed.receipts);
        assert_eq!(judged.sweep_logs, built.executed.sweep_logs);
        assert_eq!(
            judged.state.total_balance(),
            self.spec().issued(),
            "money is conserved"
        );
        self.head = judged.clone();
        judged
    }

    pub(super) fn balance(&self, address: Address) -> U256 {
        self.head
            .state
            .account(&address)
            .map_or(U256::ZERO, |account| account.balance)
    }
}

/// Init code that deploys `runtime`.
pub(super) fn init_code(runtime: &[u8]) -> Vec<u8> {
    let len = u16::try_from(runtime.len())
        .expect("a short contract")
        .to_be_bytes();
    // PUSH2 len DUP1 PUSH1 12 PUSH1 0 CODECOPY PUSH1 0 RETURN
    let mut code = vec![
        0x61, len[0], len[1], 0x80, 0x60, 0x0c, 0x60, 0x00, 0x39, 0x60, 0x00, 0xf3,
    ];
    code.extend_from_slice(runtime);
    code
}

/// Adds one to slot 0 and logs topic 0x42.
pub(super) const COUNTER: &[u8] = &[
    0x60, 0x00, 0x54, 0x60, 0x01, 0x01, 0x60, 0x00, 0x55, // slot0 := slot0 + 1
    0x60, 0x42, 0x60, 0x00, 0x60, 0x00, 0xa1, 0x00, // LOG1(0, 0, 0x42) STOP
];

/// Writes slot 0, logs, and reverts with the word 0xdead.
pub(super) const REVERTER: &[u8] = &[
    0x60, 0x01, 0x60, 0x00, 0x55, 0x60, 0x42, 0x60, 0x00, 0x60, 0x00, 0xa1, 0x61, 0xde, 0xad, 0x60,
    0x00, 0x52, 0x60, 0x20, 0x60, 0x00, 0xfd,
];

/// Spends all its gas.
pub(super) const LOOP: &[u8] = &[0x5b, 0x60, 0x00, 0x56];

/// Calls `to` by `opcode` (DELEGATECALL 0xf4 or STATICCALL 0xfa) with four bytes of data, and
/// returns its success flag followed by what it returned.
pub(super) fn forwarder(opcode: u8, to: Address) -> Vec<u8> {
    let mut code = vec![0x60, 0x00, 0x60, 0x00, 0x60, 0x04, 0x60, 0x00, 0x73];
    code.extend_from_slice(to.as_slice());
    code.extend_from_slice(&[0x5a, opcode]); // GAS, call
    code.extend_from_slice(&[0x60, 0x00, 0x52]); // memory[0] := success
    code.extend_from_slice(&[0x3d, 0x60, 0x00, 0x60, 0x20, 0x3e]); // append the return data
    code.extend_from_slice(&[0x3d, 0x60, 0x20, 0x01, 0x60, 0x00, 0xf3]); // return it all
    code
}

/// Init code that destroys the contract under construction in favour of itself: its value is gone.
pub(super) const SELF_DESTROYER: &[u8] = &[0x30, 0xff];

/// Returned bytes of a successful call.
pub(super) fn output(outcome: crate::CallOutcome) -> Bytes {
    match outcome {
        crate::CallOutcome::Success { output, .. } => output,
        other => panic!("expected success, got {other:?}"),
    }
}
