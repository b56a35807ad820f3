//! One world in one line: a four-validator network on loopback with a published model.

use alloy_consensus::Transaction as _;
use alloy_primitives::{B256, Bytes, U256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use hallmark_abi::IInference;
use hallmark_client::{
    Client, ClientError, Level, Listing, OrderReceipt, PaidEvent, Revert, SealedOrder, SecretStore,
};
use hallmark_engine::Prepared;
use hallmark_graph::{
    Builder, Constant, Elements, Input, Model, Range, Scale, Shape, TableSpec, Trace,
};
use hallmark_node::devnet::{self, Devnet};
use hallmark_proof::ProvingKey;
use hallmark_provider::{Provider, ProviderConfig, ProviderHandle, mirror};
use hallmark_types::{ChainSpec, MARK, addresses};
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::time::Duration;

/// Longest wait for anything that must happen.
pub const SOON: Duration = Duration::from_secs(60);
/// Price of one run, in wei: well above the gas of a claim and a delivery.
pub const PRICE: u128 = MARK;
/// What each provider puts up, in wei.
pub const DEPOSIT: u128 = 10 * MARK;

/// Development accounts by role.
#[derive(Clone, Copy)]
pub enum Party {
    Buyer = 0,
    Owner = 1,
    Seller = 2,
    OtherSeller = 3,
    Cheat = 4,
}

pub fn key(party: Party) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&devnet::account_key(party as usize)).expect("a development key")
}

/// A running network with a published model and a mirror of its file.
pub struct World {
    pub devnet: Devnet,
    pub model: Model,
    pub model_id: B256,
    pub proving: ProvingKey,
    pub prepared: Prepared,
    pub dir: tempfile::TempDir,
    // Serves until the world ends.
    _mirror: mirror::Mirror,
}

/// A two-layer network of 16 inputs and 4 classes with weights from a seed.
pub fn small_model(seed: u64) -> Model {
    let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
    let scale = Scale {
        multiplier: 1,
        shift: 7,
    };
    let mut builder = Builder::new(vec![Input {
        shape: Shape(vec![1, 16]),
        range: Range { lo: -128, hi: 127 },
        scale,
    }]);
    let mut layer = |builder: &mut Builder, x, inner: u32, cols: u32, (lo, hi)| {
        let w: Vec<i8> = (0..inner * cols)
            .map(|_| rng.random_range(-127..=127))
            .collect();
        let b: Vec<i32> = (0..cols).map(|_| rng.random_range(-1000..=1000)).collect();
        let weights = Constant {
            elements: Elements::I8(w),
            multipliers: vec![64; cols as usize],
        };
        let bias = Constant {
            elements: Elements::narrowest(&b),
            multipliers: vec![64; cols as usize],
        };
        let weights = builder.constant(Shape(vec![inner, cols]), weights)?;
        let bias = builder.constant(Shape(vec![1, cols]), bias)?;
        let v = builder.matmul(x, weights, 0, 1)?;
        let v = builder.combine(&[(v, 1), (bias, 1)], 0)?;
        builder.lookup(v, 14, TableSpec::Clamp { bits: 12, lo, hi })
    };
    let y = layer(&mut builder, 0, 16, 16, (0, 127)).expect("relu");
    let y = layer(&mut builder, y, 16, 4, (-2048, 2047)).expect("the scores");
    builder.output(y, scale).expect("the output");
    builder.finish().expect("a sound model")
}

impl World {
    /// Four validators, a published model, no seller yet.
    pub async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// As [`World::start`] with a changed chain spec.
    pub async fn start_with(change: impl FnOnce(&mut ChainSpec)) -> Self {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let funded: Vec<_> = (0..devnet::FUNDED_ACCOUNTS).map(devnet::account).collect();
        let (mut spec, seeds) = devnet::spec(4, &funded);
        change(&mut spec);
        spec.check().expect("a sound spec");
        let devnet = Devnet::start_with(spec, &seeds, dir.path()).expect("four validators");

        let model = small_model(1);
        let proving = hallmark_proof::setup(&model).expect("setup");
        let prepared = Prepared::new(model.clone()).expect("the engine");
        let file = model.encode();
        let content_hash = *blake3::hash(&file).as_bytes();
        let folder = dir.path().join("mirror");
        std::fs::create_dir_all(&folder).expect("mirror folder");
        std::fs::write(folder.join(mirror::file_name(&content_hash)), &file).expect("model file");
        let mirror = mirror::serve_models(&folder, ([127, 0, 0, 1], 0).into())
            .await
            .expect("mirror");
        let listing = Listing {
            content_hash: content_hash.into(),
            content_size: file.len() as u64,
            price: PRICE,
            owner_share_bps: 1000,
            name: "small".to_owned(),
            uri: mirror.url(&content_hash),
        };
        let mut world = Self {
            devnet,
            model,
            model_id: B256::ZERO,
            proving,
            prepared,
            dir,
            _mirror: mirror,
        };
        let owner = world.client(Party::Owner, 0).await;
        let key = world.proving.verifying_key().encode();
        let published = owner.publish_model(&key, &listing, |_| {}).await;
        world.model_id = published.expect("publication").id;
        world
    }

    pub fn spec(&self) -> &Arc<ChainSpec> {
        self.devnet.spec()
    }

    /// A signing client at one validator.
    pub async fn client(&self, party: Party, validator: usize) -> Client {
        let node = self.devnet.node(validator).expect("a running validator");
        let client = Client::connect(&node.rpc_url(), Some(key(party))).await;
        client.expect("a connection")
    }

    /// A client of a party that has put up a deposit.
    pub async fn bonded_client(&self, party: Party, validator: usize) -> Client {
        let client = self.client(party, validator).await;
        let deposited = client.deposit(U256::from(DEPOSIT)).await;
        deposited.expect("a deposit");
        client
    }

    /// Settings of a provider at one validator; `name` picks its folder.
    pub fn provider_config(&self, party: Party, validator: usize, name: &str) -> ProviderConfig {
        let home = self.dir.path().join(name);
        std::fs::create_dir_all(&home).expect("provider folder");
        let node = self.devnet.node(validator).expect("a running validator");
        let (models, journal) = (home.join("models"), home.join("journal.redb"));
        let mut config = ProviderConfig::new(node.ws_url(), key(party), models, journal);
        config.allow_private_addresses = true;
        config.deposit = U256::from(DEPOSIT);
        config.models = vec![self.model_id];
        config
    }

    pub async fn provider(&self, party: Party, validator: usize, name: &str) -> ProviderHandle {
        let config = self.provider_config(party, validator, name);
        Provider::start(config).await.expect("a provider")
    }

    /// An input from a seed.
    pub fn input(&self, seed: u64) -> Vec<i32> {
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(seed);
        (0..16).map(|_| rng.random_range(-128..=127)).collect()
    }

    pub fn trace(&self, input: &[i32]) -> Trace {
        hallmark_engine::trace(&self.prepared, input).expect("a run")
    }

    /// The model's output for a trace.
    pub fn output(&self, trace: &Trace) -> Vec<i32> {
        self.model.graph.join_output(&trace.values)
    }

    /// An honest proof for a claimed order.
    pub async fn prove(&self, client: &Client, id: U256, trace: &Trace) -> Vec<u8> {
        let context = client.order_context(id).await.expect("the order's context");
        hallmark_proof::prove(&self.proving, trace, &context.0).expect("a proof")
    }

    /// Places an order with a deadline well after its claim window.
    pub async fn order(&self, buyer: &Client, input: &[i32]) -> U256 {
        self.order_for(buyer, input, 60_000).await
    }

    /// Places an order that ends `within_ms` of header time; every validator knows it then.
    pub async fn order_for(&self, buyer: &Client, input: &[i32], within_ms: u64) -> U256 {
        let bytes = self.model.graph.encode_input(input);
        let deadline = buyer.now_ms().await.expect("time") + within_ms;
        let placed = buyer
            .order(self.model_id, Level::Proven, &bytes, deadline)
            .await;
        let placed = placed.expect("an order");
        let height = placed.receipt.block_number.expect("a block");
        self.wait_height(height).await;
        placed.id
    }

    /// What the buyer needs to open its sealed orders; `name` picks the folder.
    pub fn secrets(&self, name: &str) -> SecretStore {
        SecretStore::open(&self.dir.path().join(name)).expect("a folder of secrets")
    }

    /// Places an order whose input only these parties can read; every validator knows it then.
    pub async fn order_sealed(
        &self,
        buyer: &Client,
        secrets: &SecretStore,
        input: &[i32],
        sellers: &[Party],
        within_ms: u64,
    ) -> U256 {
        let sellers: Vec<_> = sellers.iter().map(|s| key(*s).address()).collect();
        let order = SealedOrder {
            model: self.model_id,
            level: Level::Proven,
            graph: &self.model.graph,
            input,
            sellers: &sellers,
            deadline_ms: buyer.now_ms().await.expect("time") + within_ms,
        };
        let placed = buyer.order_sealed(&order, secrets).await;
        let placed = placed.expect("a sealed order");
        let height = placed.receipt.block_number.expect("a block");
        self.wait_height(height).await;
        placed.id
    }

    /// The payment of an order, once every validator knows it.
    pub async fn wait_paid(&self, buyer: &Client, id: U256) -> PaidEvent {
        let paid = buyer.wait_paid(id, SOON).await.expect("a paid order");
        self.wait_height(paid.block_number).await;
        paid
    }

    /// Orders, waits, and checks that the answer is the model's.
    pub async fn order_and_wait(&self, buyer: &Client, seed: u64) -> (U256, PaidEvent) {
        let input = self.input(seed);
        let id = self.order(buyer, &input).await;
        let paid = self.wait_paid(buyer, id).await;
        let output = self.model.graph.decode_output(&paid.output);
        let honest = hallmark_engine::run(&self.prepared, &input).expect("a run");
        assert_eq!(output.expect("an output"), honest, "the model's answer");
        (id, paid)
    }

    /// Delivers by hand; the chain's reason if it is refused there.
    ///
    /// # Panics
    /// On every other failure.
    pub async fn deliver(
        &self,
        client: &Client,
        id: U256,
        output: &[i32],
        proof: &[u8],
    ) -> Result<B256, (B256, Revert)> {
        let output = self.model.graph.encode_output(output);
        match client.deliver(id, &output, proof).await {
            Ok(receipt) => Ok(receipt.transaction_hash),
            Err(ClientError::Reverted { hash, reason }) => Err((hash, reason.expect("a reason"))),
            Err(other) => panic!("the delivery got no verdict: {other}"),
        }
    }

    pub async fn receipt(&self, client: &Client, id: U256) -> OrderReceipt {
        OrderReceipt::build(client, id).await.expect("a receipt")
    }

    /// Deliveries of an order that are in blocks, refused ones included.
    pub fn deliveries(&self, id: U256) -> Vec<Bytes> {
        let store = self.devnet.nodes().next().expect("a validator").store();
        (1..=store.head().block.number())
            .filter_map(|height| store.block_by_number(height))
            .flat_map(|block| block.transactions.clone())
            .filter(|tx| tx.to() == Some(addresses::INFERENCE))
            .filter_map(|tx| IInference::deliverCall::abi_decode(tx.input()).ok())
            .filter(|call| call.id == id)
            .map(|call| call.proof)
            .collect()
    }

    /// Waits until every running validator has finalized what any of them has finalized now.
    pub async fn settle(&self) {
        let heights = self.devnet.nodes().map(|n| n.store().head().block.number());
        let highest = heights.max().expect("a running validator");
        self.wait_height(highest).await;
    }

    /// Waits until every running validator has finalized `height`.
    pub async fn wait_height(&self, height: u64) {
        let heights = || -> Vec<u64> {
            let nodes = self.devnet.nodes();
            nodes.map(|n| n.store().head().block.number()).collect()
        };
        let reached = async {
            while heights().iter().any(|h| *h < height) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(SOON, reached).await.is_err() {
            let failures: Vec<_> = self.devnet.nodes().map(|n| n.failure()).collect();
            panic!(
                "height {height} is not reached: {:?}, {failures:?}",
                heights()
            );
        }
    }

    /// Heights agree on one hash, and on every validator not a unit is missing.
    pub fn assert_agreement_and_conservation(&self) {
        let heights = self.devnet.nodes().map(|n| n.store().head().block.number());
        let lowest = heights.min().expect("a running validator");
        let mut hashes = Vec::new();
        for node in self.devnet.nodes() {
            assert_eq!(node.failure(), None, "no validator stopped by itself");
            let total = node.store().head().state.total_balance();
            assert_eq!(total, self.spec().issued(), "money is conserved");
            hashes.push(node.store().block_hash(lowest).expect("the block"));
        }
        assert!(hashes.iter().all(|h| *h == hashes[0]), "{hashes:?}");
    }
}
