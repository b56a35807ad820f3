//! `hallmark node`: one validator in the foreground.

use super::{Error, chain::load_spec, read};
use crate::{cli::NodeArgs, output::Reporter};
use hallmark_node::{Node, NodeConfig};
use serde_json::json;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

pub fn run(args: NodeArgs, report: &Reporter) -> Result<(), Error> {
    let spec = Arc::new(load_spec(&args.spec)?);
    let key = load_seed(&args.validator_key)?;
    let peers = args
        .peers
        .iter()
        .map(|p| parse_peer(p))
        .collect::<Result<Vec<_>, _>>()?;
    let followers = args.followers.iter().map(|key| key.0).collect();
    let node = Node::start(NodeConfig {
        spec,
        validator_key: key,
        home: args.home,
        p2p_listen: args.listen,
        peers,
        followers,
        rpc_listen: args.rpc,
    })?;
    report.result(
        format!(
            "validator running, JSON-RPC at {}; stop with Ctrl-C",
            node.rpc_url()
        ),
        &json!({ "rpc": node.rpc_url(), "ws": node.ws_url() }),
    );
    let failure = super::block_on(async {
        tokio::select! {
            signal = super::stop_signal() => signal.map(|()| None).map_err(Error::from),
            failure = watch(&node) => Ok(Some(failure)),
        }
    })?;
    node.stop();
    match failure {
        None => Ok(()),
        Some(reason) => Err(Error::new(format!("the validator stopped: {reason}"))),
    }
}

/// Why the validator stopped by itself: a full disk, a diverging state.
async fn watch(node: &Node) -> String {
    loop {
        if let Some(reason) = node.failure() {
            return reason;
        }
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
    }
}

/// 32 bytes of hex in a file.
pub fn load_seed(path: &Path) -> Result<[u8; 32], Error> {
    let text = String::from_utf8(read(path)?)
        .map_err(|_| Error::at(path.display(), "a validator key is 32 bytes in hex"))?;
    text.trim()
        .parse::<alloy_primitives::B256>()
        .map(|b| b.0)
        .map_err(|_| Error::at(path.display(), "a validator key is 32 bytes in hex"))
}

fn parse_peer(text: &str) -> Result<([u8; 32], SocketAddr), Error> {
    let wrong = || {
        Error::new(format!(
            "--peer must be PUBLIC_KEY_HEX@ADDRESS:PORT, got `{text}`"
        ))
    };
    let (key, address) = text.split_once('@').ok_or_else(wrong)?;
    let key: alloy_primitives::B256 = key.parse().map_err(|_| wrong())?;
    Ok((key.0, address.parse().map_err(|_| wrong())?))
}
