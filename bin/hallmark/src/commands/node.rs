//! `hallmark node`: one validator in the foreground, and a look at a running one.

use super::{Error, chain, chain::load_seed, chain::load_spec};
use crate::{
    cli::{ChainArgs, NodeArgs, NodeCommand},
    output::Reporter,
};
use hallmark_node::config::{CONFIG_FILE, NodeFile, Peer};
use hallmark_node::{Node, NodeConfig};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Where JSON-RPC is served when nothing says.
const DEFAULT_RPC: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8545);
/// A node that has not stopped by then is ended: what it wrote is durable, and what it was writing is
/// as after a crash.
const STOP_PATIENCE: Duration = Duration::from_millis(4_500);
/// How often and how long the names of peers are looked up before the node gives up.
const LOOKUPS: u32 = 5;
const LOOKUP_PAUSE: Duration = Duration::from_secs(2);

pub fn run(args: NodeArgs, report: &Reporter) -> Result<(), Error> {
    if let Some(NodeCommand::Status { chain }) = args.other {
        return status(&chain, report);
    }
    let (config, metrics) = assemble(args)?;
    // Before anything is started: a signal that comes earlier must still stop it in order.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let (mut terminate, mut interrupt) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        )
    };
    let node = Node::start(config)?;
    let metrics = metrics
        .map(|listen| node.serve_metrics(listen))
        .transpose()?;
    let metrics_url = metrics
        .as_ref()
        .map(|metrics| format!("http://{}/metrics", metrics.local_addr()));
    report.result(
        format!(
            "validator running, JSON-RPC at {}; stop with Ctrl-C",
            node.rpc_url()
        ),
        &json!({ "rpc": node.rpc_url(), "ws": node.ws_url(), "metrics": metrics_url }),
    );
    notify_supervisor("READY=1");
    let failure = runtime.block_on(async {
        tokio::select! {
            _ = terminate.recv() => None,
            _ = interrupt.recv() => None,
            failure = watch(&node) => Some(failure),
        }
    });
    notify_supervisor("STOPPING=1");
    tracing::info!("the validator stops");
    std::thread::spawn(|| {
        std::thread::sleep(STOP_PATIENCE);
        tracing::error!("the validator did not stop in time and is ended");
        std::process::exit(1);
    });
    drop(metrics);
    node.stop();
    match failure {
        None => Ok(()),
        Some(reason) => Err(Error::new(format!("the validator stopped: {reason}"))),
    }
}

/// The folder's configuration, under the options.
fn assemble(args: NodeArgs) -> Result<(NodeConfig, Option<SocketAddr>), Error> {
    let home = args
        .home
        .ok_or_else(|| Error::new("--home says which folder is the validator's"))?;
    let file = match home.join(CONFIG_FILE).exists() {
        true => Some(NodeFile::load(&home)?),
        false => None,
    };
    let file = file.as_ref();
    let missing = |option: &str| {
        Error::new(format!(
            "{option} is needed: {} has no {CONFIG_FILE} that says it (`hallmark network init` and `hallmark network join` write one)",
            home.display()
        ))
    };
    let spec = args
        .spec
        .or_else(|| Some(file?.genesis.clone()))
        .ok_or_else(|| missing("--spec"))?;
    let key = args
        .validator_key
        .or_else(|| Some(file?.validator_key.clone()))
        .ok_or_else(|| missing("--validator-key"))?;
    let listen = args
        .listen
        .or_else(|| Some(file?.listen))
        .ok_or_else(|| missing("--listen"))?;
    let rpc = args.rpc.or_else(|| Some(file?.rpc)).unwrap_or(DEFAULT_RPC);
    let metrics = args.metrics.or_else(|| file?.metrics);
    let password_file = args.password_file.or_else(|| file?.password_file.clone());
    let peers = match file {
        Some(file) if args.peers.is_empty() => file.peers.clone(),
        _ => args.peers,
    };
    let followers = match file {
        Some(file) if args.followers.is_empty() => file.followers.clone(),
        _ => args.followers,
    };
    let followers = followers.iter().map(|key| key.0).collect();
    let config = NodeConfig {
        spec: Arc::new(load_spec(&spec)?),
        validator_key: load_seed(&key, password_file.as_deref())?,
        home,
        p2p_listen: listen,
        peers: look_up(&peers)?,
        followers,
        rpc_listen: rpc,
    };
    Ok((config, metrics))
}

/// Addresses of the peers. A resolver may not be up yet when a machine starts, so each name gets some
/// seconds; one that is still unknown is left out with a warning, because a validator that does not
/// start is worse for the network than one that misses a peer.
fn look_up(peers: &[Peer]) -> Result<Vec<([u8; 32], SocketAddr)>, Error> {
    let mut found = Vec::new();
    let mut unknown: Vec<&Peer> = peers.iter().collect();
    for attempt in 1..=LOOKUPS {
        let mut still = Vec::new();
        for peer in unknown {
            match peer.address.resolve() {
                Ok(address) => found.push((peer.public_key, address)),
                Err(error) => {
                    tracing::warn!(%peer, %error, attempt, "the name of a peer is not known");
                    still.push(peer);
                }
            }
        }
        unknown = still;
        if unknown.is_empty() {
            break;
        }
        if attempt < LOOKUPS {
            std::thread::sleep(LOOKUP_PAUSE);
        }
    }
    if let Some(peer) = unknown.first()
        && found.is_empty()
    {
        return Err(Error::new(format!(
            "no peer's name could be looked up, {} among them",
            peer.address
        )));
    }
    for peer in unknown {
        tracing::error!(%peer, "the node runs without this peer until it is started again");
    }
    Ok(found)
}

/// Why the validator stopped by itself: a full disk, a diverging state.
async fn watch(node: &Node) -> String {
    loop {
        if let Some(reason) = node.failure() {
            return reason;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Tells the service manager (systemd's `Type=notify`), if one asked to be told.
fn notify_supervisor(state: &str) {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{SocketAddr, UnixDatagram};
    let Some(path) = std::env::var_os("NOTIFY_SOCKET") else {
        return;
    };
    let bytes = path.as_bytes();
    let address = match bytes.strip_prefix(b"@") {
        #[cfg(target_os = "linux")]
        Some(name) => {
            use std::os::linux::net::SocketAddrExt;
            SocketAddr::from_abstract_name(name)
        }
        #[cfg(not(target_os = "linux"))]
        Some(_) => return,
        None => SocketAddr::from_pathname(Path::new(&path)),
    };
    let sent = address.and_then(|address| {
        let socket = UnixDatagram::unbound()?;
        socket.send_to_addr(state.as_bytes(), &address)
    });
    if let Err(error) = sent {
        tracing::warn!(%error, "the service manager could not be told");
    }
}

fn status(args: &ChainArgs, report: &Reporter) -> Result<(), Error> {
    let value: Value = super::block_on(async {
        let client = chain::connect(args).await?;
        Ok(client.node_status().await?)
    })?;
    let number = |name: &str| value[name].as_u64().unwrap_or_default();
    let or_none = |name: &str| match &value[name] {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let text = format!(
        "{}\nchain {}, spec {}\nheight {} (tip {}{}), head {}\nfinalized {:.1} s ago, epoch {}\npeers {}, mempool {}\nvalidator {}, index {}",
        or_none("version"),
        number("chainId"),
        or_none("specHash"),
        number("height"),
        number("tip"),
        if value["syncing"] == true {
            ", syncing"
        } else {
            ""
        },
        or_none("hash"),
        Duration::from_millis(number("finalizedAgeMs")).as_secs_f64(),
        number("epoch"),
        or_none("peers"),
        number("mempool"),
        or_none("validator"),
        or_none("validatorIndex"),
    );
    report.result(text, &value);
    Ok(())
}

/// The chain spec of a node's folder: the one given, or the one that its configuration names.
pub fn spec_of(home: &Path, given: Option<&PathBuf>) -> Result<hallmark_types::ChainSpec, Error> {
    match given {
        Some(path) => load_spec(path),
        None if home.join(CONFIG_FILE).exists() => load_spec(&NodeFile::load(home)?.genesis),
        None => Err(Error::at(
            home.display(),
            format!("there is no {CONFIG_FILE}; give --spec"),
        )),
    }
}
