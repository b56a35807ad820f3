//! The parties of the demo and how they are started.

use super::digits::Digits;
use crate::cli::DemoArgs;
use crate::commands::{Error, write};
use crate::output::{Reporter, mark};
use alloy_primitives::{B256, U256};
use alloy_signer_local::PrivateKeySigner;
use hallmark_client::{Client, Level, Listing, PlacedOrder, SealedOrder, SecretStore};
use hallmark_graph::Model;
use hallmark_node::{
    Node,
    devnet::{self, Devnet},
};
use hallmark_onnx::{CompileOptions, ImportOptions};
use hallmark_proof::ProvingKey;
use hallmark_provider::{
    Provider, ProviderConfig, ProviderEvent, ProviderHandle, mirror, sealing::SealingKeys,
};
use hallmark_state::Store;
use hallmark_types::{ChainSpec, MARK};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The classifier, as our script trained it: convolutions, poolings, dense layers.
const LENET_ONNX: &[u8] = include_bytes!("../../../../assets/lenet.onnx");
/// Marks a folder that the demo made and may make anew.
const MARKER: &str = ".hallmark-demo";
const VALIDATORS: usize = 4;

/// Development accounts, in the order in which the devnet funds them.
#[derive(Clone, Copy)]
pub enum Party {
    Buyer = 0,
    Owner = 1,
    Seller = 2,
    Cheat = 3,
}

impl Party {
    /// Development accounts from here on are the user's to play with.
    const FIRST_FREE: usize = 4;
}

pub struct World {
    pub home: PathBuf,
    pub spec: Arc<ChainSpec>,
    pub digits: Digits,
    pub model: Model,
    pub model_id: B256,
    pub proving: ProvingKey,
    pub buyer: Client,
    pub cheat: Client,
    pub owner: Client,
    /// What opens the buyer's answers.
    pub secrets: SecretStore,
    /// What opens the envelopes that name the cheat.
    pub cheat_keys: SealingKeys,
    devnet: Devnet,
    provider: Option<ProviderHandle>,
    provider_config: ProviderConfig,
    mirror: mirror::Mirror,
}

pub fn key(party: Party) -> PrivateKeySigner {
    development_key(party as usize)
}

/// A funded development key of the devnet.
fn development_key(index: usize) -> PrivateKeySigner {
    PrivateKeySigner::from_bytes(&devnet::account_key(index))
        .expect("development keys lie below the curve's order")
}

impl World {
    pub async fn start(args: &DemoArgs, report: &Reporter) -> Result<Self, Error> {
        let home = prepare_home(&args.home)?;
        report.say("Hallmark: AI work that is checked before it is paid\n");

        let spinner = report.spinner("starting four validators");
        let devnet = Devnet::start(VALIDATORS, &home.join("validators"))?;
        let spec = devnet.spec().clone();
        write(&home.join("spec.json"), spec.to_json().as_bytes())?;
        spinner.finish_and_clear();
        report.say(format!(
            "{VALIDATORS} validators, each with its own keys, folder and sockets:"
        ));
        for (i, node) in devnet.nodes().enumerate() {
            report.say(format!("  validator {i}  JSON-RPC {}", node.rpc_url()));
        }
        let url = |validator: usize| -> Result<String, Error> {
            let node = devnet
                .node(validator)
                .ok_or_else(|| Error::new("a validator stopped"))?;
            Ok(node.rpc_url())
        };

        let spinner = report.spinner("importing the model");
        let digits = Digits::embedded()?;
        let float = hallmark_onnx::import(LENET_ONNX, ImportOptions::default())?;
        let compiled =
            hallmark_onnx::compile(&float, &digits.calibration(), &CompileOptions::default())?;
        let accuracy = digits.accuracy(&float, &compiled.model)?;
        let percent = |correct: usize| 100.0 * correct as f64 / accuracy.samples.max(1) as f64;
        let model = compiled.model;
        let proving = hallmark_proof::setup(&model)?;
        let file = model.encode();
        let content_hash = *blake3::hash(&file).as_bytes();
        let mirror_dir = home.join("mirror");
        std::fs::create_dir_all(&mirror_dir).map_err(|e| Error::at(mirror_dir.display(), e))?;
        write(
            &mirror_dir.join(format!("{}.hmk", blake3::Hash::from(content_hash).to_hex())),
            &file,
        )?;
        let mirror = mirror::serve_models(&mirror_dir, ([127, 0, 0, 1], 0).into()).await?;
        spinner.finish_and_clear();
        report.say(format!(
            "\nmodel lenet: {} parameters, accuracy {:.2} % in floats, {:.2} % in integers, on {} unseen images",
            model.graph.params(),
            percent(accuracy.float_correct),
            percent(accuracy.integer_correct),
            accuracy.samples,
        ));

        let connect = async |party, validator| -> Result<Client, Error> {
            Ok(Client::connect(&url(validator)?, Some(key(party))).await?)
        };
        let owner = connect(Party::Owner, 0).await?;
        let buyer = connect(Party::Buyer, 1).await?;
        let cheat = connect(Party::Cheat, 2).await?;

        let spinner = report.spinner("publishing the model");
        let listing = Listing {
            content_hash: content_hash.into(),
            content_size: file.len() as u64,
            price: MARK,
            owner_share_bps: 1000,
            name: "lenet".to_owned(),
            uri: mirror.url(&content_hash),
        };
        let published = owner
            .publish_model(&proving.verifying_key().encode(), &listing, |_| {})
            .await?;
        spinner.finish_and_clear();
        report.say(format!(
            "published as {} at {} MARK an inference; the chain holds its verifying key ({} bytes), not its weights",
            published.id,
            mark(U256::from(listing.price)),
            proving.verifying_key().encode().len(),
        ));

        let seller_home = home.join("provider");
        std::fs::create_dir_all(&seller_home).map_err(|e| Error::at(seller_home.display(), e))?;
        let mut provider_config = ProviderConfig::new(
            url(0)?.replacen("http", "ws", 1),
            key(Party::Seller),
            seller_home.join("models"),
            seller_home.join("journal.redb"),
        );
        provider_config.allow_private_addresses = true;
        provider_config.deposit = U256::from(20 * MARK);
        provider_config.models = vec![published.id];
        let provider = Provider::start(provider_config.clone()).await?;
        report.say(
            "a seller downloaded the model over HTTP, recomputed its commitment, put up a bond, and\n\
             registered the key that buyers seal their inputs to",
        );
        let cheat_keys = SealingKeys::open(&home.join("cheat-sealing-keys.json"))?;
        let secrets = SecretStore::open(&home.join("secrets"))?;

        Ok(Self {
            home,
            spec,
            digits,
            model,
            model_id: published.id,
            proving,
            buyer,
            cheat,
            owner,
            secrets,
            cheat_keys,
            devnet,
            provider: Some(provider),
            provider_config,
            mirror,
        })
    }

    /// The buyer orders a run whose input only these parties can read.
    pub async fn order_sealed(
        &self,
        input: &[i32],
        sellers: &[Party],
        deadline_ms: u64,
    ) -> Result<PlacedOrder, Error> {
        let sellers: Vec<_> = sellers.iter().map(|s| key(*s).address()).collect();
        let order = SealedOrder {
            model: self.model_id,
            level: Level::Proven,
            graph: &self.model.graph,
            input,
            sellers: &sellers,
            deadline_ms,
        };
        Ok(self.buyer.order_sealed(&order, &self.secrets).await?)
    }

    pub fn provider_events(&self) -> tokio::sync::broadcast::Receiver<ProviderEvent> {
        match &self.provider {
            Some(provider) => provider.events(),
            None => tokio::sync::broadcast::channel(1).1,
        }
    }

    pub async fn stop_provider(&mut self) {
        if let Some(provider) = self.provider.take() {
            provider.stop().await;
        }
    }

    pub async fn restart_provider(&mut self) -> Result<(), Error> {
        self.stop_provider().await;
        self.provider = Some(Provider::start(self.provider_config.clone()).await?);
        Ok(())
    }

    pub fn stop_validator(&mut self, index: usize) {
        self.devnet.stop_validator(index);
    }

    /// Waits for a validator that stops by itself (a full disk, say) and says which and why.
    pub async fn failed(&self) -> String {
        loop {
            for (i, node) in self.running() {
                if let Some(reason) = node.failure() {
                    return format!("validator {i} stopped: {reason}");
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    /// Finalized height of validator 0.
    pub fn height(&self) -> u64 {
        self.devnet
            .node(0)
            .map_or(0, |n| n.store().head().block.number())
    }

    /// Running validators' stores, each with its index.
    pub fn stores(&self) -> Vec<(usize, Arc<Store>)> {
        self.running()
            .map(|(i, node)| (i, node.store().clone()))
            .collect()
    }

    /// Median time between blocks by their own timestamps, in milliseconds.
    pub fn block_interval_ms(&self) -> Result<u64, Error> {
        let Some((_, node)) = self.running().next() else {
            return Ok(0);
        };
        let store = node.store();
        let mut times = Vec::new();
        for height in 1..=store.head().block.number() {
            if let Some(block) = store.block_by_number(height) {
                times.push(block.timestamp_ms());
            }
        }
        let mut gaps: Vec<u64> = times
            .windows(2)
            .map(|w| w[1].saturating_sub(w[0]))
            .collect();
        gaps.sort_unstable();
        Ok(gaps.get(gaps.len() / 2).copied().unwrap_or(0))
    }

    /// Validators that run, each with its index.
    fn running(&self) -> impl Iterator<Item = (usize, &Node)> {
        (0..VALIDATORS).filter_map(|i| Some((i, self.devnet.node(i)?)))
    }

    /// What a client needs to go on playing with the network.
    pub fn serving(&self, paid_order: Option<U256>) -> Value {
        json!({
            "rpc": self.running().map(|(_, n)| n.rpc_url()).collect::<Vec<_>>(),
            "ws": self.running().map(|(_, n)| n.ws_url()).collect::<Vec<_>>(),
            "chain_id": self.spec.chain_id,
            "spec": self.home.join("spec.json"),
            "models": [self.model_id],
            "paid_order": paid_order,
            "keys": (Party::FIRST_FREE..devnet::FUNDED_ACCOUNTS).map(|i| json!({
                "address": devnet::account(i), "private_key": devnet::account_key(i),
            })).collect::<Vec<_>>(),
        })
    }

    pub fn serving_text(&self) -> String {
        let mut lines = vec!["\nthe network keeps running; stop it with Ctrl-C".to_owned()];
        for (i, node) in self.running() {
            lines.push(format!(
                "  validator {i}  {}  {}",
                node.rpc_url(),
                node.ws_url()
            ));
        }
        lines.push(
            "funded development keys (public knowledge, never use them elsewhere):".to_owned(),
        );
        for i in Party::FIRST_FREE..devnet::FUNDED_ACCOUNTS {
            lines.push(format!(
                "  {}  {}",
                devnet::account(i),
                devnet::account_key(i)
            ));
        }
        lines.push(format!("model {}", self.model_id));
        lines.join("\n")
    }

    pub async fn stop(mut self) {
        self.stop_provider().await;
        self.mirror.stop();
        let devnet = self.devnet;
        // Validators join their threads; that must not block a runtime's worker.
        let _ = tokio::task::spawn_blocking(move || devnet.stop()).await;
    }
}

/// Makes the demo's folder anew; refuses one that the demo did not make.
pub fn prepare_home(home: &Path) -> Result<PathBuf, Error> {
    if home.exists() {
        if !home.join(MARKER).exists() && std::fs::read_dir(home)?.next().is_some() {
            return Err(Error::at(
                home.display(),
                "this folder is not the demo's and is not empty; choose another with --home",
            ));
        }
        std::fs::remove_dir_all(home).map_err(|e| Error::at(home.display(), e))?;
    }
    std::fs::create_dir_all(home).map_err(|e| Error::at(home.display(), e))?;
    write(&home.join(MARKER), b"made by `hallmark demo`\n")?;
    Ok(home.to_path_buf())
}
