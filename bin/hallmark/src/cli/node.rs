//! Arguments of `hallmark node` and of the commands that work on a stopped node's folder.

use super::ChainArgs;
use clap::{Args, Subcommand, ValueEnum};
use hallmark_node::config::Peer;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct NodeArgs {
    #[command(subcommand)]
    pub other: Option<NodeCommand>,
    /// Folder of this validator; its node.toml says everything that no option says.
    #[arg(long, required = true)]
    pub home: Option<PathBuf>,
    /// Chain spec (genesis, validators, limits).
    #[arg(long)]
    pub spec: Option<PathBuf>,
    /// Validator key made by `hallmark keys new --validator`, or 32 bytes in hex, the ed25519 seed.
    #[arg(long)]
    pub validator_key: Option<PathBuf>,
    /// File with the password of an encrypted key; asked on the terminal when absent.
    #[arg(long, env = "HALLMARK_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
    /// Address for other validators.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Address for JSON-RPC; 127.0.0.1:8545 when neither this nor node.toml says.
    #[arg(long)]
    pub rpc: Option<SocketAddr>,
    /// Address for /metrics, /health and /ready.
    #[arg(long)]
    pub metrics: Option<SocketAddr>,
    /// Another validator, PUBLIC_KEY_HEX@HOST:PORT; once per validator. Replaces node.toml's list.
    #[arg(long = "peer")]
    pub peers: Vec<Peer>,
    /// Public key (hex) of a node that may connect and follow the chain; once per node. Replaces
    /// node.toml's list.
    #[arg(long = "follower", value_name = "PUBLIC_KEY_HEX")]
    pub followers: Vec<alloy_primitives::B256>,
    /// Form of the log on standard error.
    #[arg(long, value_enum, default_value = "text", env = "HALLMARK_LOG_FORMAT")]
    pub log_format: LogFormat,
}

/// Form of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

#[derive(Subcommand)]
pub enum NodeCommand {
    /// Show how a running node is: height, tip, age of the head, peers, pool, validator.
    #[command(after_help = "Example:\n  hallmark node status --rpc http://127.0.0.1:8545 --json")]
    Status {
        #[command(flatten)]
        chain: ChainArgs,
    },
}

#[derive(Subcommand)]
pub enum DbCommand {
    /// Verify the folder of a stopped node and say what is damaged.
    ///
    /// Opens the database and rebuilds the trie, then walks all blocks: hashes parent by parent, roots
    /// of transactions and receipts, senders, indices, finality certificates against the chain spec.
    #[command(after_help = "Example:\n  hallmark db check --home v --json")]
    Check {
        /// Folder of the node.
        #[arg(long)]
        home: PathBuf,
        /// Chain spec; the one that node.toml names when absent.
        #[arg(long)]
        spec: Option<PathBuf>,
    },
}

#[derive(Args)]
pub struct ExportArgs {
    /// Folder of the stopped node.
    #[arg(long)]
    pub home: PathBuf,
    /// Chain spec; the one that node.toml names when absent.
    #[arg(long)]
    pub spec: Option<PathBuf>,
    /// First block.
    #[arg(long, default_value_t = 1)]
    pub from: u64,
    /// Last block; the newest that a certificate covers when absent.
    #[arg(long)]
    pub to: Option<u64>,
    /// File to write; refused when it exists.
    pub file: PathBuf,
}

#[derive(Args)]
pub struct ImportArgs {
    /// Folder to replay the blocks into, new or holding the blocks before them.
    #[arg(long)]
    pub home: PathBuf,
    /// Chain spec to trust.
    #[arg(long)]
    pub spec: PathBuf,
    /// File that `hallmark export` wrote.
    pub file: PathBuf,
}
