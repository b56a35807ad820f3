//! `hallmark network`: makes chains and joins them. What a spec, an entry and a configuration are is
//! decided in `hallmark_node`; here are files, passwords and words.

use super::chain::{load_key, load_seed, load_spec, new_password};
use super::{Error, parse_mark, write};
use crate::cli::{EntryArgs, GenesisArgs, InitArgs, JoinArgs, KeyArgs, NetworkCommand};
use crate::output::Reporter;
use alloy_primitives::{Address, B256, U256, hex};
use alloy_signer_local::PrivateKeySigner;
use hallmark_client::keys;
use hallmark_node::config::{
    ACCOUNT_KEY_FILE, CONFIG_FILE, GENESIS_FILE, NodeFile, Peer, VALIDATOR_KEY_FILE,
};
use hallmark_node::devnet;
use hallmark_node::genesis::{Entry, GenesisPlan, GenesisValidator, MAX_ENTRY_BYTES, check};
use hallmark_types::{ChainSpec, LOCAL_CHAIN_ID, MARK};
use serde_json::json;
use std::collections::BTreeMap;
use std::io::Read;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// What each validator's account gets when `network init` is told of no balances, in MARK.
const DEFAULT_FUNDS: u128 = 1_000_000;
/// From a validator's port to its JSON-RPC port, and on to that of its metrics.
const PORT_STEP: u16 = 200;

pub fn run(command: NetworkCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        NetworkCommand::Init(args) => init(&args, report),
        NetworkCommand::Entry(args) => entry(&args, report),
        NetworkCommand::Genesis(args) => genesis(&args, report),
        NetworkCommand::Check { file, entries } => check_file(&file, &entries, report),
        NetworkCommand::Join(args) => join(&args, report),
    }
}

/// The secrets of one validator.
struct Secrets {
    seed: [u8; 32],
    account: PrivateKeySigner,
}

impl Secrets {
    fn public_key(&self) -> [u8; 32] {
        hallmark_node::public_key_of(&self.seed)
    }
}

fn init(args: &InitArgs, report: &Reporter) -> Result<(), Error> {
    if args.dev && args.chain_id != LOCAL_CHAIN_ID {
        return Err(Error::new(format!(
            "--dev uses keys that anybody knows; they serve chain {LOCAL_CHAIN_ID} only, not chain {}",
            args.chain_id
        )));
    }
    if args.out.exists() {
        return Err(Error::at(
            args.out.display(),
            "it is there already; a network is made in a new folder",
        ));
    }
    let mut secrets = (0..usize::from(args.validators))
        .map(|index| new_secrets(args.dev, index))
        .collect::<Result<Vec<_>, _>>()?;
    // The spec orders validators by key: so folder i is validator i.
    secrets.sort_by_key(Secrets::public_key);
    let validators: Vec<GenesisValidator> = (0..args.validators)
        .zip(&secrets)
        .map(|(index, secrets)| GenesisValidator {
            public_key: secrets.public_key(),
            address: secrets.account.address(),
            p2p: SocketAddr::new(args.host, args.base_port + index).into(),
        })
        .collect();
    let treasury_key = match args.treasury {
        Some(_) => None,
        None if args.dev => Some(PrivateKeySigner::from_bytes(&devnet::treasury_key())?),
        None => Some(keys::generate()),
    };
    let treasury = treasury_key
        .as_ref()
        .map(PrivateKeySigner::address)
        .or(args.treasury)
        .ok_or_else(|| Error::new("there is no treasury"))?;
    let spec = GenesisPlan {
        chain_id: args.chain_id,
        timestamp_ms: now_ms()?,
        validators: validators.clone(),
        alloc: alloc(&args.funds, &validators, args.dev)?,
        treasury,
    }
    .build()?;

    let password = match args.dev {
        true => None,
        false => Some(new_password(args.password_file.as_deref())?),
    };
    make_folder(&args.out)?;
    write(&args.out.join(GENESIS_FILE), spec.to_json().as_bytes())?;
    if let Some(key) = &treasury_key {
        save_account(&args.out.join("treasury.key"), key, password.as_deref())?;
    }
    let peers: Vec<Peer> = validators.iter().map(GenesisValidator::peer).collect();
    let mut nodes = Vec::new();
    for (index, secrets) in (0..args.validators).zip(&secrets) {
        let home = args.out.join(index.to_string());
        make_folder(&home)?;
        save_keys(&home, secrets, password.as_deref())?;
        let port = args.base_port + index;
        let at = |port| SocketAddr::new(args.host, port);
        let file = NodeFile {
            genesis: GENESIS_FILE.into(),
            validator_key: VALIDATOR_KEY_FILE.into(),
            password_file: None,
            listen: at(port),
            rpc: at(port + PORT_STEP),
            metrics: Some(at(port + 2 * PORT_STEP)),
            peers: peers
                .iter()
                .filter(|peer| peer.public_key != secrets.public_key())
                .cloned()
                .collect(),
            followers: Vec::new(),
        };
        write(&home.join(GENESIS_FILE), spec.to_json().as_bytes())?;
        write(&home.join(CONFIG_FILE), file.to_toml().as_bytes())?;
        nodes.push(json!({
            "home": home,
            "publicKey": hex::encode(secrets.public_key()),
            "address": secrets.account.address(),
            "listen": file.listen,
            "rpc": format!("http://{}", file.rpc),
            "metrics": format!("http://{}", at(port + 2 * PORT_STEP)),
        }));
    }
    report.result(
        format!(
            "chain {} with {} validators in {}\nspec hash {}\nstart each with: hallmark node --home {}/N",
            spec.chain_id,
            args.validators,
            args.out.display(),
            spec.hash(),
            args.out.display()
        ),
        &json!({
            "genesis": args.out.join(GENESIS_FILE),
            "chainId": spec.chain_id,
            "hash": spec.hash(),
            "encrypted": !args.dev,
            "nodes": nodes,
        }),
    );
    Ok(())
}

fn new_secrets(is_dev: bool, index: usize) -> Result<Secrets, Error> {
    if !is_dev {
        return Ok(Secrets {
            seed: keys::generate_seed(),
            account: keys::generate(),
        });
    }
    let account = devnet::validator_account_key(index);
    Ok(Secrets {
        seed: devnet::validator_key(index),
        account: PrivateKeySigner::from_bytes(&account)?,
    })
}

/// Balances at genesis.
fn alloc(
    funds: &[String],
    validators: &[GenesisValidator],
    is_dev: bool,
) -> Result<BTreeMap<Address, U256>, Error> {
    let mut alloc = funded(funds)?;
    let default = U256::from(DEFAULT_FUNDS) * U256::from(MARK);
    if alloc.is_empty() {
        alloc.extend(validators.iter().map(|v| (v.address, default)));
    }
    if is_dev {
        for index in 0..devnet::FUNDED_ACCOUNTS {
            alloc.entry(devnet::account(index)).or_insert(default);
        }
    }
    Ok(alloc)
}

/// `ADDRESS=AMOUNT`, each address once.
fn funded(funds: &[String]) -> Result<BTreeMap<Address, U256>, Error> {
    let mut alloc = BTreeMap::new();
    for fund in funds {
        let (address, amount) = fund
            .split_once('=')
            .ok_or_else(|| Error::new(format!("--fund must be ADDRESS=AMOUNT, got `{fund}`")))?;
        let address: Address = address
            .parse()
            .map_err(|_| Error::new(format!("--fund: `{address}` is not an address")))?;
        if alloc
            .insert(address, parse_mark("--fund", amount)?)
            .is_some()
        {
            return Err(Error::new(format!("--fund names {address} twice")));
        }
    }
    Ok(alloc)
}

/// Makes both keys of a validator in a folder and returns its public key and its account.
pub fn make_validator_keys(
    home: &Path,
    password: Option<&str>,
) -> Result<([u8; 32], Address), Error> {
    if !home.exists() {
        make_folder(home)?;
    }
    let secrets = new_secrets(false, 0)?;
    save_keys(home, &secrets, password)?;
    Ok((secrets.public_key(), secrets.account.address()))
}

fn save_keys(home: &Path, secrets: &Secrets, password: Option<&str>) -> Result<(), Error> {
    let path = home.join(VALIDATOR_KEY_FILE);
    match password {
        Some(password) => keys::save_encrypted_seed(&path, &secrets.seed, password)?,
        None => keys::save_plain_seed(&path, &secrets.seed)?,
    }
    save_account(&home.join(ACCOUNT_KEY_FILE), &secrets.account, password)
}

fn save_account(path: &Path, key: &PrivateKeySigner, password: Option<&str>) -> Result<(), Error> {
    match password {
        Some(password) => keys::save_encrypted(path, key, password)?,
        None => keys::save_plain(path, key)?,
    }
    Ok(())
}

/// A folder that only its owner can enter.
fn make_folder(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|e| Error::at(path.display(), e))
}

fn entry(args: &EntryArgs, report: &Reporter) -> Result<(), Error> {
    let password_file = args.password_file.as_deref();
    let seed = load_seed(&args.home.join(VALIDATOR_KEY_FILE), password_file)?;
    let account = load_key(&KeyArgs {
        key: args.home.join(ACCOUNT_KEY_FILE),
        password_file: args.password_file.clone(),
    })?;
    let entry = Entry::sign(
        args.chain_id,
        args.address.clone(),
        &seed,
        &B256::from(account.to_bytes().0),
    )?;
    // The entry is JSON for people too: it is handed over as a file.
    report.written(entry.to_json(), &entry.to_json());
    Ok(())
}

fn open_entries(paths: &[PathBuf], chain_id: u64) -> Result<Vec<GenesisValidator>, Error> {
    paths
        .iter()
        .map(|path| {
            let at = |error: &dyn std::fmt::Display| Error::at(path.display(), error);
            let file = std::fs::File::open(path).map_err(|e| at(&e))?;
            let mut text = String::new();
            file.take(MAX_ENTRY_BYTES + 1)
                .read_to_string(&mut text)
                .map_err(|e| at(&e))?;
            Entry::open(&text, chain_id).map_err(|e| at(&e))
        })
        .collect()
}

fn genesis(args: &GenesisArgs, report: &Reporter) -> Result<(), Error> {
    let spec = GenesisPlan {
        chain_id: args.chain_id,
        timestamp_ms: args.time,
        validators: open_entries(&args.entries, args.chain_id)?,
        alloc: funded(&args.funds)?,
        treasury: args.treasury,
    }
    .build()?;
    write_new(&args.out, spec.to_json().as_bytes())?;
    say_spec(&spec, &args.out, report);
    Ok(())
}

fn check_file(file: &Path, entries: &[PathBuf], report: &Reporter) -> Result<(), Error> {
    let spec = load_spec(file)?;
    let validators = open_entries(entries, spec.chain_id)?;
    check(&spec, validators).map_err(|e| Error::at(file.display(), e))?;
    say_spec(&spec, file, report);
    Ok(())
}

fn say_spec(spec: &ChainSpec, file: &Path, report: &Reporter) {
    report.result(
        format!(
            "{}: chain {} with {} validators\nspec hash {}\ncompare this hash with the other validators",
            file.display(),
            spec.chain_id,
            spec.validators.len(),
            spec.hash()
        ),
        &json!({
            "file": file,
            "chainId": spec.chain_id,
            "hash": spec.hash(),
            "validators": spec.validators.len(),
        }),
    );
}

fn join(args: &JoinArgs, report: &Reporter) -> Result<(), Error> {
    let spec = load_spec(&args.genesis)?;
    let validators = open_entries(&args.entries, spec.chain_id)?;
    check(&spec, validators.clone()).map_err(|e| Error::at(args.genesis.display(), e))?;
    let key = args.home.join(VALIDATOR_KEY_FILE);
    let seed = load_seed(&key, args.password_file.as_deref())?;
    let me = hallmark_node::public_key_of(&seed);
    let index = spec.validator_index(&me).ok_or_else(|| {
        Error::at(
            key.display(),
            format!(
                "its public key {} is not among the validators of {}",
                hex::encode(me),
                args.genesis.display()
            ),
        )
    })?;
    let password_file = match &args.password_file {
        Some(path) => Some(std::path::absolute(path)?),
        None => None,
    };
    let file = NodeFile {
        genesis: GENESIS_FILE.into(),
        validator_key: VALIDATOR_KEY_FILE.into(),
        password_file,
        listen: args.listen,
        rpc: args.rpc,
        metrics: Some(args.metrics),
        peers: validators
            .iter()
            .filter(|validator| validator.public_key != me)
            .map(GenesisValidator::peer)
            .collect(),
        followers: Vec::new(),
    };
    let (genesis, config) = (args.home.join(GENESIS_FILE), args.home.join(CONFIG_FILE));
    write_new(&config, file.to_toml().as_bytes())?;
    write(&genesis, spec.to_json().as_bytes())?;
    report.result(
        format!(
            "validator {index} of chain {}\nspec hash {}\nstart it with: hallmark node --home {}",
            spec.chain_id,
            spec.hash(),
            args.home.display()
        ),
        &json!({
            "home": args.home,
            "config": config,
            "validatorIndex": index,
            "chainId": spec.chain_id,
            "hash": spec.hash(),
        }),
    );
    Ok(())
}

/// Writes a file that must not be there yet.
fn write_new(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    use std::io::Write;
    std::fs::File::create_new(path)
        .and_then(|mut file| file.write_all(bytes))
        .map_err(|e| Error::at(path.display(), e))
}

fn now_ms() -> Result<u64, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_millis())?)
}
