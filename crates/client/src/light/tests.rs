//! A chain of four validators without consensus, its RPC, and RPCs that lie about it.

use super::*;
use crate::Client;
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Bytes, TxKind, U256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use hallmark_abi::IStaking;
use hallmark_consensus::{certificate, prove_possession, public_key_of};
use hallmark_execution::{BlockAttributes, Executor, NoAncestry};
use hallmark_mempool::Mempool;
use hallmark_rpc::{CommitteeProofs, RpcConfig, RpcContext, RpcHandle};
use hallmark_state::Store;
use hallmark_types::{
    ChainSpec, ValidatorSpec, addresses::STAKING, next_base_fee, staking::LOCAL_STAKE,
};
use serde_json::{Value, json};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::sync::Mutex;

const GENESIS_MS: u64 = 1_800_000_000_000;
const EPOCH_BLOCKS: u64 = 4;
/// Keys of the first four validators, and of one that joins.
const SEEDS: [[u8; 32]; 5] = [[1; 32], [2; 32], [3; 32], [4; 32], [5; 32]];

struct World {
    spec: Arc<ChainSpec>,
    executor: Arc<Executor>,
    mempool: Arc<Mempool>,
    store: Arc<Store>,
    rpc: RpcHandle,
    // Proofs of sets are kept there.
    folder: tempfile::TempDir,
}

fn user(byte: u8) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).expect("a key")
}

/// Operates the fourth validator, which leaves.
fn leaver() -> PrivateKeySigner {
    user(0x51)
}

/// Bonds the fifth.
fn joiner() -> PrivateKeySigner {
    user(0x52)
}

impl World {
    fn new() -> Self {
        let mut validators: Vec<ValidatorSpec> = (0xa0..)
            .zip(&SEEDS[..4])
            .map(|(byte, seed)| {
                ValidatorSpec::local(public_key_of(seed), Address::repeat_byte(byte))
            })
            .collect();
        validators[3].address = leaver().address();
        let funds = U256::from(2 * LOCAL_STAKE);
        let alloc = [(leaver().address(), funds), (joiner().address(), funds)].into();
        let treasury = Address::repeat_byte(0x7e);
        let mut spec = ChainSpec::local(GENESIS_MS, validators, alloc, treasury);
        spec.staking.epoch_blocks = EPOCH_BLOCKS;
        spec.check().expect("a usable spec");
        let spec = Arc::new(spec);
        let executor = Arc::new(Executor::new(spec.clone()));
        let store = Arc::new(Store::in_memory(&spec, &executor.genesis()).expect("a store"));
        let mempool = Arc::new(Mempool::new(spec.clone(), executor.clone()));
        let folder = tempfile::tempdir().expect("a folder");
        let committees = CommitteeProofs::open(folder.path().to_owned()).expect("a folder");
        let committees = Arc::new(committees);
        committees.watch(spec.clone(), &store).expect("a thread");
        let context = RpcContext {
            spec: spec.clone(),
            store: store.clone(),
            executor: executor.clone(),
            mempool: mempool.clone(),
            committees,
        };
        let rpc = hallmark_rpc::serve(RpcConfig::new(([127, 0, 0, 1], 0).into()), context);
        Self {
            spec,
            executor,
            mempool,
            store,
            rpc: rpc.expect("a server"),
            folder,
        }
    }

    /// In which the fifth validator is bonded and the fourth leaves in epoch 0, and `blocks` are made.
    async fn changed(blocks: u64) -> Self {
        let world = Self::new();
        let operator = joiner().address();
        let possession = prove_possession(&SEEDS[4], world.spec.chain_id, operator);
        let bond = IStaking::bondCall {
            publicKey: public_key_of(&SEEDS[4]).into(),
            possession: possession.to_vec().into(),
            payout: operator,
            commissionBps: 0,
            p2p: "validator.example.org:30303".into(),
        };
        world.submit(&joiner(), LOCAL_STAKE, bond.abi_encode());
        world.submit(&leaver(), 0, IStaking::leaveCall {}.abi_encode());
        for _ in 0..blocks {
            world.mine();
        }
        assert_eq!(world.store.head().block.number(), blocks);
        // Proofs are kept a moment after the block that they are of.
        for epoch in 2..=(blocks + 1) / EPOCH_BLOCKS + 1 {
            let file = world.folder.path().join(format!("{epoch}.json"));
            for _ in 0..500 {
                if file.exists() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            assert!(
                file.exists(),
                "the proof of the set of epoch {epoch} is kept"
            );
        }
        world
    }

    fn submit(&self, signer: &PrivateKeySigner, value: u128, input: Vec<u8>) {
        let mut tx = TxEip1559 {
            chain_id: self.spec.chain_id,
            nonce: 0,
            gas_limit: 5_000_000,
            max_fee_per_gas: 10_000_000_000,
            max_priority_fee_per_gas: 1_000_000_000,
            to: TxKind::Call(STAKING),
            value: U256::from(value),
            access_list: Default::default(),
            input: input.into(),
        };
        let signature = signer.sign_transaction_sync(&mut tx).expect("a signature");
        let envelope: TxEnvelope = tx.into_signed(signature).into();
        let state = &self.store.head().state;
        let admitted = self.mempool.add_raw(&envelope.encoded_2718(), state);
        admitted.expect("admitted");
    }

    /// The next block, certified by three of its epoch's validators.
    fn mine(&self) {
        let head = self.store.head();
        let parent = &head.block.header;
        let height = parent.number + 1;
        let epoch = height / EPOCH_BLOCKS;
        let committee = hallmark_execution::committee(&head.state, &self.spec, epoch)
            .expect("the epoch's validators");
        let attributes = BlockAttributes {
            timestamp_ms: head.block.timestamp_ms() + 100,
            epoch: epoch.try_into().expect("few"),
            view: height,
            parent_view: parent.number,
            leader: 0,
            beneficiary: committee.members[0].address,
        };
        let base_fee = next_base_fee(parent, &self.spec);
        let candidates = self
            .mempool
            .best(&head.state, base_fee, 30_000_000, 1 << 20);
        let built =
            self.executor
                .build_block(parent, &head.state, attributes, candidates, &NoAncestry);
        let executed = built.expect("a block").executed;
        let signers: Vec<[u8; 32]> = SEEDS
            .into_iter()
            .filter(|seed| {
                let key = public_key_of(seed);
                committee
                    .members
                    .iter()
                    .any(|member| member.public_key == key)
            })
            .take(3)
            .collect();
        let header = &executed.block.header;
        let bytes = certificate::assemble(&self.spec, &committee, &signers, header);
        let bytes = Bytes::from(bytes.expect("a certificate"));
        self.store.commit(&executed, bytes).expect("committed");
        self.mempool.on_committed(&executed);
    }

    fn url(&self) -> String {
        format!("http://{}", self.rpc.local_addr())
    }

    async fn client(&self) -> Client {
        Client::connect(&self.url(), None)
            .await
            .expect("a connection")
    }

    fn light(&self) -> Light {
        Light::from_spec(self.spec.clone())
    }
}

/// An RPC that answers what the honest one does, after a change.
async fn liar(
    world: &World,
    change: impl Fn(&str, &mut Value) + Clone + Send + Sync + 'static,
) -> (Client, jsonrpsee::server::ServerHandle) {
    const METHODS: [&str; 4] = [
        "eth_chainId",
        "net_committee",
        "net_finalizedCertificate",
        "net_stateProof",
    ];
    let mut module = jsonrpsee::RpcModule::new((world.client().await, change));
    for method in METHODS {
        module
            .register_async_method(method, move |params, context, _| async move {
                let asked: Value = params.parse().unwrap_or(json!([]));
                let (honest, change) = &*context;
                let mut answer: Value = honest.request(method, asked).await.map_err(|error| {
                    jsonrpsee::types::ErrorObjectOwned::owned(-32000, error.to_string(), None::<()>)
                })?;
                change(method, &mut answer);
                Ok::<_, jsonrpsee::types::ErrorObjectOwned>(answer)
            })
            .expect("a method");
    }
    let server = jsonrpsee::server::Server::builder()
        .build(SocketAddr::from(([127, 0, 0, 1], 0)))
        .await
        .expect("a server");
    let url = format!("http://{}", server.local_addr().expect("an address"));
    let handle = server.start(module);
    (
        Client::connect(&url, None).await.expect("a connection"),
        handle,
    )
}

#[tokio::test]
async fn a_light_client_follows_across_a_change_of_validators_and_answers_with_proofs() {
    let world = World::changed(18).await;
    let node = world.client().await;
    let mut light = world.light();
    light.follow(&node).await.expect("an honest node");
    assert_eq!(light.number(), 18);
    assert_eq!(light.hash(), world.store.head().hash);

    let keys = |light: &Light, epoch: u64| -> Vec<[u8; 32]> {
        let committee = light.committee(epoch).expect("known");
        committee.members.iter().map(|m| m.public_key).collect()
    };
    let (old, new) = (public_key_of(&SEEDS[3]), public_key_of(&SEEDS[4]));
    assert!(keys(&light, 1).contains(&old) && !keys(&light, 1).contains(&new));
    assert!(!keys(&light, 2).contains(&old) && keys(&light, 2).contains(&new));
    for epoch in 2..=5 {
        let state = world.store.head().state.clone();
        let expected = hallmark_execution::committee(&state, &world.spec, epoch);
        assert_eq!(light.committee(epoch), expected.as_ref());
    }

    // The next block, and an account in it.
    world.mine();
    let account = light.account(&node, joiner().address(), &[]).await;
    let state = &world.store.head().state;
    let expected = state.account(&joiner().address()).expect("funded").balance;
    assert_eq!(account.expect("proven").balance, expected);
    assert_eq!(light.number(), 19);
    let nobody = light.account(&node, Address::repeat_byte(0x99), &[]).await;
    assert_eq!(nobody.expect("proven to be absent").balance, U256::ZERO);
}

#[tokio::test]
async fn the_door_answers_what_it_verified() {
    let world = World::changed(10).await;
    let light = Arc::new(Mutex::new(world.light()));
    let door = serve(([127, 0, 0, 1], 0).into(), light, world.client().await).await;
    let door = door.expect("a door");
    let url = format!("http://{}", door.address());
    // An ordinary client.
    let client = Client::connect(&url, None).await.expect("a connection");
    assert_eq!(client.chain_id(), world.spec.chain_id);
    assert_eq!(client.block_number().await.expect("verified"), 10);
    let state = &world.store.head().state;
    let expected = state.account(&leaver().address()).expect("funded").balance;
    let balance = client.balance(leaver().address()).await;
    assert_eq!(balance.expect("verified"), expected);
    let proof: Value = client
        .request("eth_getProof", json!([STAKING, ["0x0"], "latest"]))
        .await
        .expect("verified");
    let word = state.storage(&STAKING, &U256::ZERO);
    assert!(!word.is_zero(), "the first slot holds parameters");
    assert_eq!(proof["storageProof"][0]["value"], json!(word), "{proof}");
    let old = client
        .request::<Value>("eth_getBalance", json!([leaver().address(), "0x1"]))
        .await;
    assert!(
        old.expect_err("not the newest block")
            .to_string()
            .contains("newest")
    );
}

#[tokio::test]
async fn a_node_that_lies_about_a_balance_a_slot_or_a_set_is_refused() {
    let world = World::changed(10).await;
    let address = joiner().address();

    let (richer, _handle) = liar(&world, |method, answer| {
        if method == "net_stateProof" {
            answer["account"]["balance"] = json!("0xffffffffffffffffffff");
        }
    })
    .await;
    let error = world.light().account(&richer, address, &[]).await;
    assert!(
        matches!(error, Err(LightError::Account(a)) if a == address),
        "{error:?}"
    );

    let (slot, _handle) = liar(&world, |method, answer| {
        if method == "net_stateProof" {
            answer["account"]["storageProof"][0]["value"] = json!("0x1234567");
        }
    })
    .await;
    let error = world.light().account(&slot, STAKING, &[B256::ZERO]).await;
    assert!(matches!(error, Err(LightError::Slot { .. })), "{error:?}");

    // An honest proof of somebody else's account.
    let (other, _handle) = liar(&world, move |method, answer| {
        if method == "net_stateProof" {
            answer["account"]["address"] = json!(address);
        }
    })
    .await;
    let error = world.light().account(&other, leaver().address(), &[]).await;
    assert!(matches!(error, Err(LightError::OtherAnswer)), "{error:?}");

    // A set with a word changed, and one with a word left out.
    let (set, _handle) = liar(&world, |method, answer| {
        if method == "net_committee" {
            answer["account"]["storageProof"][3]["value"] = json!("0x1234");
        }
    })
    .await;
    let error = world.light().follow(&set).await;
    assert!(matches!(error, Err(LightError::Slot { .. })), "{error:?}");
    let (shorter, _handle) = liar(&world, |method, answer| {
        if method == "net_committee" {
            let words = answer["account"]["storageProof"].as_array_mut();
            words.expect("words").remove(3);
        }
    })
    .await;
    let error = world.light().follow(&shorter).await;
    assert!(
        matches!(error, Err(LightError::Committee { epoch: 2, .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn a_node_that_shows_another_chain_an_older_block_or_a_certificate_by_others_is_refused() {
    let world = World::changed(10).await;
    let node = world.client().await;
    let mut light = world.light();
    light.follow(&node).await.expect("an honest node");

    // Certificates by the validators who left, over whatever they like.
    let header = world.store.head().block.header.clone();
    let mut old = hallmark_consensus::genesis_committee(&world.spec, 1).expect("genesis");
    old.epoch = 2;
    let forged = certificate::assemble(&world.spec, &old, &SEEDS[..4], &header);
    let forged = Bytes::from(forged.expect("a certificate"));
    let (strangers, _handle) = liar(&world, move |method, answer| {
        if method == "net_finalizedCertificate" {
            answer["certificate"] = json!(forged);
        }
    })
    .await;
    let error = light.follow(&strangers).await;
    assert!(
        matches!(
            error,
            Err(LightError::Certificate(CertificateError::BadSignatures))
        ),
        "{error:?}"
    );

    // What was final before.
    let older: Value = node
        .request("net_finalizedCertificate", json!(["0x9"]))
        .await
        .expect("an answer");
    let (behind, _handle) = liar(&world, move |method, answer| {
        if method == "net_finalizedCertificate" {
            *answer = older.clone();
        }
    })
    .await;
    let error = light.follow(&behind).await;
    let stale = Err::<(), _>(error.expect_err("an older block"));
    assert!(
        matches!(
            stale,
            Err(LightError::Stale {
                known: 10,
                found: 9
            })
        ),
        "{stale:?}"
    );

    // A header with a changed state root is not the one that was certified.
    let (changed, _handle) = liar(&world, |method, answer| {
        if method == "net_finalizedCertificate" {
            let text = answer["header"].as_str().expect("a header");
            let bytes: Bytes = text.parse().expect("hex");
            let mut header = crate::receipt::decode_header(&bytes).expect("a header");
            header.state_root = B256::repeat_byte(0xbd);
            answer["header"] = json!(Bytes::from(alloy_rlp::encode(&header)));
        }
    })
    .await;
    let error = light.follow(&changed).await;
    assert!(
        matches!(
            error,
            Err(LightError::Certificate(
                CertificateError::AnotherBlock { .. }
            ))
        ),
        "{error:?}"
    );

    let (chain, _handle) = liar(&world, |method, answer| {
        if method == "eth_chainId" {
            *answer = json!("0x1");
        }
    })
    .await;
    let error = light.follow(&chain).await;
    assert!(
        matches!(error, Err(LightError::OtherChain { .. })),
        "{error:?}"
    );

    // After all the lies the honest node is still believed.
    light.follow(&node).await.expect("an honest node");
}

#[tokio::test]
async fn a_checkpoint_is_a_beginning_until_its_validators_can_have_left() {
    let world = World::changed(10).await;
    let node = world.client().await;
    let mut first = world.light();
    assert_eq!(first.checkpoint(), None, "nothing is known yet");
    first.follow(&node).await.expect("an honest node");
    let checkpoint = first.checkpoint().expect("a block is known");
    let text = serde_json::to_string(&checkpoint).expect("JSON");
    let checkpoint: Checkpoint = serde_json::from_str(&text).expect("a checkpoint");

    let period = trusting_period_ms(&world.spec);
    assert_eq!(
        period,
        EPOCH_BLOCKS
            * world.spec.limits.min_block_interval_ms
            * u64::from(world.spec.staking.trusting_epochs)
    );
    let made = checkpoint.timestamp_ms;
    let mut second = Light::from_checkpoint(world.spec.clone(), &checkpoint, made + period)
        .expect("just in time");
    for _ in 0..8 {
        world.mine();
    }
    // Its epochs' proofs follow in a moment.
    let followed = async {
        while second.follow(&node).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), followed)
        .await
        .expect("it follows");
    assert_eq!(second.number(), 18);
    assert_eq!(second.hash(), world.store.head().hash);

    let late = Light::from_checkpoint(world.spec.clone(), &checkpoint, made + period + 1);
    assert!(matches!(late.err(), Some(LightError::Expired { .. })));
    let mut other = checkpoint.clone();
    other.spec = B256::ZERO;
    let other = Light::from_checkpoint(world.spec.clone(), &other, made);
    assert!(matches!(other.err(), Some(LightError::Checkpoint(_))));
    let mut empty = checkpoint;
    empty.next_validators.clear();
    let empty = Light::from_checkpoint(world.spec.clone(), &empty, made);
    assert!(matches!(empty.err(), Some(LightError::Checkpoint(_))));
}
