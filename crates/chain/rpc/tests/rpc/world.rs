//! A chain of one validator without consensus: blocks are made when a test says so.

use alloy_network::{EthereumWallet, NetworkTransactionBuilder, TransactionBuilder};
use alloy_primitives::{Address, B256, Bytes, Log, TxKind, U256, keccak256};
use alloy_provider::{DynProvider, Provider, ProviderBuilder, WsConnect};
use alloy_rpc_types_eth::TransactionRequest;
use alloy_signer_local::PrivateKeySigner;
use hallmark_execution::{BlockAttributes, Executor};
use hallmark_mempool::Mempool;
use hallmark_rpc::{CommitteeProofs, RpcConfig, RpcContext, RpcHandle, serve};
use hallmark_state::{Executed, Store};
use hallmark_types::{ChainSpec, ValidatorSpec, next_base_fee};
use serde_json::{Value, json};
use std::sync::Arc;

/// Coins of the funded account: one million.
pub const FUNDS: u128 = 1_000_000 * 1_000_000_000_000_000_000;

/// Timestamp of genesis.
const GENESIS_MS: u64 = 1_700_000_000_000;

pub struct World {
    pub spec: Arc<ChainSpec>,
    pub store: Arc<Store>,
    pub executor: Arc<Executor>,
    pub mempool: Arc<Mempool>,
    pub rpc: RpcHandle,
    pub alice: PrivateKeySigner,
    // Proofs of sets are kept there.
    _folder: tempfile::TempDir,
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(configure: impl FnOnce(&mut RpcConfig)) -> Self {
        let alice = signer("alice");
        let validator = ValidatorSpec::local([7; 32], Address::repeat_byte(7));
        let alloc = [(alice.address(), U256::from(FUNDS))].into();
        let treasury = Address::repeat_byte(9);
        let spec = Arc::new(ChainSpec::local(
            GENESIS_MS,
            vec![validator],
            alloc,
            treasury,
        ));
        let executor = Arc::new(Executor::new(spec.clone()));
        let store = Arc::new(Store::in_memory(&spec, &executor.genesis()).unwrap());
        let mempool = Arc::new(Mempool::new(spec.clone(), executor.clone()));
        let mut config = RpcConfig::new(([127, 0, 0, 1], 0).into());
        configure(&mut config);
        let folder = tempfile::tempdir().unwrap();
        let committees = Arc::new(CommitteeProofs::open(folder.path().into()).unwrap());
        committees.watch(spec.clone(), &store).unwrap();
        let context = RpcContext {
            spec: spec.clone(),
            store: store.clone(),
            executor: executor.clone(),
            mempool: mempool.clone(),
            committees,
            node: Default::default(),
            metrics: Default::default(),
        };
        let rpc = serve(config, context).unwrap();
        Self {
            spec,
            store,
            executor,
            mempool,
            rpc,
            alice,
            _folder: folder,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.rpc.local_addr())
    }

    /// A client over HTTP that signs as Alice.
    pub fn client(&self) -> DynProvider {
        let wallet = EthereumWallet::from(self.alice.clone());
        let url = self.url().parse().unwrap();
        ProviderBuilder::new()
            .wallet(wallet)
            .connect_http(url)
            .erased()
    }

    /// A client over WebSocket.
    pub async fn socket(&self) -> DynProvider {
        let url = format!("ws://{}", self.rpc.local_addr());
        ProviderBuilder::new()
            .connect_ws(WsConnect::new(url))
            .await
            .unwrap()
            .erased()
    }

    /// Makes, executes and commits the next block from the mempool. Odd heights get a certificate,
    /// even ones are proven by their descendants.
    pub fn mine(&self) -> Executed {
        self.mine_telling(Vec::new())
    }

    /// The same of a block at whose end contracts tell this.
    pub fn mine_telling(&self, told: Vec<Log>) -> Executed {
        let head = self.store.head();
        let parent = &head.block.header;
        let attributes = BlockAttributes {
            timestamp_ms: head.block.timestamp_ms() + 1_000,
            epoch: 0,
            view: parent.number + 1,
            parent_view: parent.number,
            leader: 0,
            beneficiary: self.spec.validators[0].address,
        };
        let base_fee = next_base_fee(parent, &self.spec);
        let limits = &self.spec.limits;
        let candidates = self.mempool.best(
            &head.state,
            base_fee,
            limits.block_gas_limit,
            limits.max_block_bytes,
        );
        let built = self
            .executor
            .build_block(parent, &head.state, attributes, candidates, &*self.store)
            .unwrap();
        let mut executed = built.executed;
        executed.sweep_logs.extend(told);
        let number = executed.block.number();
        let certificate = if number % 2 == 1 {
            certificate(number)
        } else {
            Bytes::new()
        };
        self.store.commit(&executed, certificate).unwrap();
        self.mempool.on_committed(&executed);
        executed
    }

    /// A transfer that Alice signed, as raw bytes.
    pub async fn transfer(&self, nonce: u64, tip: u128) -> Bytes {
        self.signed(
            TransactionRequest {
                to: Some(TxKind::Call(Address::repeat_byte(0xbb))),
                value: Some(U256::from(1)),
                gas: Some(21_000),
                ..Default::default()
            },
            nonce,
            tip,
        )
        .await
    }

    /// A transaction that Alice signed, as raw bytes.
    pub async fn signed(&self, request: TransactionRequest, nonce: u64, tip: u128) -> Bytes {
        use alloy_eips::Encodable2718;
        let wallet = EthereumWallet::from(self.alice.clone());
        let request = request
            .with_chain_id(self.spec.chain_id)
            .with_nonce(nonce)
            .with_max_fee_per_gas(100_000_000_000)
            .with_max_priority_fee_per_gas(tip);
        request.build(&wallet).await.unwrap().encoded_2718().into()
    }

    /// One request as any HTTP client would post it; the whole answer.
    pub async fn post(&self, method: &str, params: Value) -> Value {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        self.post_json(&body).await
    }

    pub async fn post_json(&self, body: &Value) -> Value {
        let answer = reqwest::Client::new()
            .post(self.url())
            .json(body)
            .send()
            .await
            .unwrap();
        answer.json().await.unwrap()
    }

    /// The result of a request that must succeed.
    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let answer = self.post(method, params).await;
        assert!(answer.get("error").is_none(), "{method}: {answer}");
        answer["result"].clone()
    }

    /// Code and text of the error of a request that must fail.
    pub async fn refused(&self, method: &str, params: Value) -> (i64, String) {
        let answer = self.post(method, params).await;
        let error = answer
            .get("error")
            .unwrap_or_else(|| panic!("{method} succeeded: {answer}"));
        (
            error["code"].as_i64().unwrap(),
            error["message"].as_str().unwrap().to_owned(),
        )
    }
}

/// What stands for a certificate here.
pub fn certificate(number: u64) -> Bytes {
    format!("certificate of {number}").into_bytes().into()
}

pub fn signer(name: &str) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&keccak256(name)).unwrap()
}

/// Init code of a contract with this runtime code.
pub fn init_code(runtime: &[u8]) -> Bytes {
    // PUSH1 len, PUSH1 offset, PUSH1 0, CODECOPY, PUSH1 len, PUSH1 0, RETURN
    let length = u8::try_from(runtime.len()).unwrap();
    let mut code = vec![
        0x60, length, 0x60, 12, 0x60, 0, 0x39, 0x60, length, 0x60, 0, 0xf3,
    ];
    code.extend_from_slice(runtime);
    code.into()
}

/// Runtime code: logs 32 bytes of call data with topic 0x2a and returns them.
pub const ECHO: &[u8] = &[
    0x60, 0x00, 0x35, // calldata word
    0x60, 0x00, 0x52, // to memory
    0x60, 0x2a, 0x60, 0x20, 0x60, 0x00, 0xa1, // LOG1(0, 32, 0x2a)
    0x60, 0x20, 0x60, 0x00, 0xf3, // return it
];

/// Runtime code: reverts with its call data.
pub const REVERTER: &[u8] = &[
    0x36, 0x60, 0x00, 0x60, 0x00, 0x37, // calldata to memory
    0x36, 0x60, 0x00, 0xfd, // revert with it
];

/// Topic of what [`ECHO`] logs.
pub fn echo_topic() -> B256 {
    B256::with_last_byte(0x2a)
}
