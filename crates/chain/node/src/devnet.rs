//! Development networks: validators with known keys, all on loopback.
//!
//! Every key here follows from a public label, so anybody can spend what these accounts own and
//! sign as these validators. They serve development and tests, never a chain with value: off the local
//! chain id a spec that names one is refused ([`refuse_development_keys`]), and so is one as a key.

use crate::{Node, NodeConfig, NodeError};
use alloy_primitives::{Address, B256, U256, keccak256};
use hallmark_types::{ChainSpec, LOCAL_CHAIN_ID, ValidatorSpec};
use k256::ecdsa::SigningKey;
use std::{
    collections::BTreeSet,
    hash::{BuildHasher, RandomState},
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::{SystemTime, UNIX_EPOCH},
};

/// Ports of development validators: below those that systems give to outgoing connections (32,768
/// and up), so that no connection takes the port of a validator that is yet to start, or to start
/// again.
const PORTS: Range<u16> = 10_000..32_000;
/// Accounts that [`Devnet::start`] funds.
pub const FUNDED_ACCOUNTS: usize = 10;
/// What each funded account owns at genesis: one million MARK in base units.
pub const FUNDS: u128 = 1_000_000 * 1_000_000_000_000_000_000;
/// Genesis balance of each operator apart from its stake, in units of 10^-18 MARK.
const OPERATOR_FUNDS: u128 = 1_000 * 1_000_000_000_000_000_000;

/// Secret key (secp256k1) of the development account `index`.
pub fn account_key(index: usize) -> B256 {
    keccak256(format!("hallmark development key {index}"))
}

/// Address of the development account `index`.
pub fn account(index: usize) -> Address {
    address_of(account_key(index))
}

/// Seed of the ed25519 key of the development validator `index`.
pub fn validator_key(index: usize) -> [u8; 32] {
    keccak256(format!("hallmark development validator {index}")).0
}

/// Secret key of the operator of the development validator `index`.
pub fn validator_account_key(index: usize) -> B256 {
    keccak256(format!("hallmark development validator account {index}"))
}

/// Secret key of the development treasury.
pub fn treasury_key() -> B256 {
    keccak256("hallmark development treasury")
}

/// Labels of each kind whose keys are known as development keys.
const KNOWN: usize = 1_024;

/// A key that follows from a public label has power over a chain that is not local.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} {key} is a development key that anybody can use; it is refused on chain {chain_id}, and \
     serves chain {LOCAL_CHAIN_ID} only: make keys with `hallmark keys new`"
)]
pub struct DevelopmentKey {
    /// What the key is for.
    pub what: &'static str,
    /// Public key or address.
    pub key: String,
    /// Chain on which it is refused.
    pub chain_id: u64,
}

/// Refuses a spec off the local chain in which a development key votes, is paid or owns something.
///
/// # Errors
/// The first such key.
pub fn refuse_development_keys(spec: &ChainSpec) -> Result<(), DevelopmentKey> {
    for validator in &spec.validators {
        refuse_development_key(spec.chain_id, &validator.public_key)?;
    }
    let accounts = spec.validators.iter().map(|validator| validator.address);
    for account in accounts
        .chain([spec.treasury])
        .chain(spec.alloc.keys().copied())
    {
        refuse_development_account(spec.chain_id, account)?;
    }
    Ok(())
}

/// Refuses a development validator key off the local chain.
///
/// # Errors
/// It is one.
pub fn refuse_development_key(chain_id: u64, public_key: &[u8; 32]) -> Result<(), DevelopmentKey> {
    static KEYS: OnceLock<BTreeSet<[u8; 32]>> = OnceLock::new();
    if chain_id == LOCAL_CHAIN_ID {
        return Ok(());
    }
    let keys = KEYS.get_or_init(|| {
        (0..KNOWN)
            .map(|index| hallmark_consensus::public_key_of(&validator_key(index)))
            .collect()
    });
    if keys.contains(public_key) {
        return Err(DevelopmentKey {
            what: "validator key",
            key: alloy_primitives::hex::encode(public_key),
            chain_id,
        });
    }
    Ok(())
}

/// Refuses a development account off the local chain.
///
/// # Errors
/// It is one.
pub fn refuse_development_account(chain_id: u64, address: Address) -> Result<(), DevelopmentKey> {
    static ACCOUNTS: OnceLock<BTreeSet<Address>> = OnceLock::new();
    if chain_id == LOCAL_CHAIN_ID {
        return Ok(());
    }
    let accounts = ACCOUNTS.get_or_init(|| {
        (0..KNOWN)
            .flat_map(|index| [account_key(index), validator_account_key(index)])
            .chain([treasury_key()])
            .map(address_of)
            .collect()
    });
    if accounts.contains(&address) {
        return Err(DevelopmentKey {
            what: "account",
            key: address.to_string(),
            chain_id,
        });
    }
    Ok(())
}

/// A local chain of `validators` development validators in which each of `funded` owns [`FUNDS`],
/// and the validators' key seeds in the order of the spec. Genesis is now: header time rises by a
/// bounded step per block, so a chain that begins in the past would lag behind the clock.
pub fn spec(validators: usize, funded: &[Address]) -> (ChainSpec, Vec<[u8; 32]>) {
    let seeds: Vec<[u8; 32]> = (0..validators).map(validator_key).collect();
    let committee = seeds
        .iter()
        .enumerate()
        .map(|(index, seed)| {
            ValidatorSpec::local(
                hallmark_consensus::public_key_of(seed),
                address_of(validator_account_key(index)),
            )
        })
        .collect();
    // Operators pay for what they tell the Staking contract.
    let operators = (0..validators).map(|index| {
        let operator = address_of(validator_account_key(index));
        (operator, U256::from(OPERATOR_FUNDS))
    });
    let alloc = funded
        .iter()
        .map(|address| (*address, U256::from(FUNDS)))
        .chain(operators)
        .collect();
    let spec = ChainSpec::local(now_ms(), committee, alloc, address_of(treasury_key()));
    (spec, seeds)
}

/// Unix time in milliseconds; zero on a machine whose clock is before 1970.
pub(crate) fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or_default()
}

fn address_of(secret: B256) -> Address {
    let key = SigningKey::from_slice(secret.as_slice())
        .expect("the hash of a development label lies below the curve's order");
    Address::from_private_key(&key)
}

/// Several validators in one process, each with its own folder, ports and threads.
pub struct Devnet {
    spec: Arc<ChainSpec>,
    configs: Vec<NodeConfig>,
    nodes: Vec<Option<Node>>,
}

impl Devnet {
    /// Starts `validators` validators in folders under `home`, with [`FUNDED_ACCOUNTS`] funded
    /// development accounts.
    ///
    /// # Errors
    /// The first validator's error; those that run already are stopped.
    pub fn start(validators: usize, home: &Path) -> Result<Self, NodeError> {
        let funded: Vec<Address> = (0..FUNDED_ACCOUNTS).map(account).collect();
        let (spec, seeds) = spec(validators, &funded);
        Self::start_with(spec, &seeds, home)
    }

    /// Starts the validators of a chain spec, whose key seeds are given in the spec's order.
    ///
    /// # Errors
    /// As [`Devnet::start`].
    pub fn start_with(spec: ChainSpec, seeds: &[[u8; 32]], home: &Path) -> Result<Self, NodeError> {
        let spec = Arc::new(spec);
        let mut ports = free_ports(2 * seeds.len()).map_err(NodeError::Port)?;
        let rpc_ports = ports.split_off(seeds.len());
        let peers: Vec<([u8; 32], SocketAddr)> = seeds
            .iter()
            .map(hallmark_consensus::public_key_of)
            .zip(ports.clone())
            .collect();
        let configs: Vec<NodeConfig> = seeds
            .iter()
            .zip(ports.into_iter().zip(rpc_ports))
            .enumerate()
            .map(|(index, (seed, (p2p_listen, rpc_listen)))| NodeConfig {
                spec: spec.clone(),
                validator_key: *seed,
                home: folder(home, index),
                p2p_listen,
                peers: peers
                    .iter()
                    .filter(|(_, address)| *address != p2p_listen)
                    .copied()
                    .collect(),
                followers: Vec::new(),
                rpc_listen,
            })
            .collect();
        let mut devnet = Self {
            spec,
            nodes: configs.iter().map(|_| None).collect(),
            configs,
        };
        for index in 0..devnet.configs.len() {
            devnet.restart_validator(index)?;
        }
        Ok(devnet)
    }

    /// The chain.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// Number of validators, stopped ones included.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no validators.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// A running validator.
    pub fn node(&self, index: usize) -> Option<&Node> {
        self.nodes.get(index)?.as_ref()
    }

    /// The running validators.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    /// Stops a validator and returns whether it ran. Its folder and ports are kept for it.
    pub fn stop_validator(&mut self, index: usize) -> bool {
        self.nodes.get_mut(index).and_then(Option::take).is_some()
    }

    /// Starts a stopped validator again, on its folder and ports; one that runs is left alone.
    ///
    /// # Errors
    /// See [`NodeError`].
    pub fn restart_validator(&mut self, index: usize) -> Result<(), NodeError> {
        let (Some(slot), Some(config)) = (self.nodes.get_mut(index), self.configs.get(index))
        else {
            return Ok(());
        };
        if slot.is_none() {
            *slot = Some(Node::start(config.clone())?);
        }
        Ok(())
    }

    /// Stops all validators.
    pub fn stop(self) {
        drop(self);
    }
}

/// Folder of one validator.
fn folder(home: &Path, index: usize) -> PathBuf {
    home.join(format!("validator-{index}"))
}

/// Loopback addresses that were free a moment ago, from a place chosen at random. All are held until
/// the last is found, so that they differ; validators must know each other's before the first
/// starts. The places lie below those that the system gives to outgoing connections.
///
/// # Errors
///
/// Too few ports are free.
pub fn free_ports(count: usize) -> io::Result<Vec<SocketAddr>> {
    let skipped = RandomState::new().hash_one(count) % PORTS.len() as u64;
    let held: Vec<TcpListener> = PORTS
        .cycle()
        .skip(usize::try_from(skipped).unwrap_or_default())
        .take(PORTS.len())
        .filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok())
        .take(count)
        .collect();
    if held.len() < count {
        return Err(io::Error::new(
            io::ErrorKind::AddrInUse,
            format!("fewer than {count} ports of {PORTS:?} are free"),
        ));
    }
    held.iter().map(TcpListener::local_addr).collect()
}
