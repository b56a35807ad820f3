//! Arguments of `hallmark network`: making a chain and joining one.

use alloy_primitives::Address;
use clap::{Args, Subcommand};
use hallmark_node::config::HostPort;
use std::net::SocketAddr;
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum NetworkCommand {
    /// Make a network of one operator: chain spec, keys and one configuration a validator.
    ///
    /// Writes DIR/genesis.json and, for each validator, a folder DIR/0, DIR/1, … with its keys, its
    /// node.toml and a copy of the chain spec. Keys are encrypted unless --dev is given; then they are
    /// the development keys, which anybody knows and which only chain 1618 accepts.
    #[command(
        after_help = "Example:\n  hallmark network init --validators 4 --out net --dev\n  hallmark network init --validators 4 --out net --chain-id 77001 --password-file password --fund 0x5a…e1=1000000"
    )]
    Init(InitArgs),
    /// Print a signed entry for a network that strangers make together.
    ///
    /// It names this validator's keys and where it accepts others, and is signed by both keys for this
    /// one chain id. Hand it to everybody who builds the chain spec.
    #[command(
        after_help = "Example:\n  hallmark network entry --home v --address validator.example:9000 --chain-id 77001 > entry.json"
    )]
    Entry(EntryArgs),
    /// Build the chain spec from the entries of strangers.
    ///
    /// The file follows from the entries and the options alone, in any order: everybody who runs this
    /// gets the same file and the same hash.
    #[command(
        after_help = "Example:\n  hallmark network genesis a.json b.json c.json d.json --chain-id 77001 --time 1790000000000 \\\n      --treasury 0x12…9f --fund 0x5a…e1=1000000 --out genesis.json"
    )]
    Genesis(GenesisArgs),
    /// Check that a chain spec is what the entries give, and print its hash.
    #[command(
        after_help = "Example:\n  hallmark network check genesis.json a.json b.json c.json d.json"
    )]
    Check {
        /// Chain spec.
        file: PathBuf,
        /// Entries of all its validators.
        #[arg(required = true)]
        entries: Vec<PathBuf>,
    },
    /// Make this validator's configuration for a network of strangers.
    #[command(
        after_help = "Example:\n  hallmark network join a.json b.json c.json d.json --home v --genesis genesis.json --listen 0.0.0.0:9000"
    )]
    Join(JoinArgs),
}

#[derive(Args)]
pub struct InitArgs {
    /// Number of validators.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=128))]
    pub validators: u16,
    /// Folder to make; refused when it exists.
    #[arg(long)]
    pub out: PathBuf,
    /// Use the development keys, unencrypted, and fund the development accounts.
    #[arg(long)]
    pub dev: bool,
    /// EIP-155 chain id.
    #[arg(long, default_value_t = hallmark_types::LOCAL_CHAIN_ID)]
    pub chain_id: u64,
    /// Balance at genesis in MARK, ADDRESS=AMOUNT; repeatable. When absent, each validator's account
    /// gets 1,000,000.
    #[arg(long = "fund", value_name = "ADDRESS=AMOUNT")]
    pub funds: Vec<String>,
    /// Account that receives the network's share of orders; a new key in DIR/treasury.key when absent.
    #[arg(long)]
    pub treasury: Option<Address>,
    /// First port: validator i listens on BASE+i, serves JSON-RPC on BASE+200+i and metrics on
    /// BASE+400+i.
    #[arg(long, default_value_t = 19_000, value_parser = clap::value_parser!(u16).range(1..=65_007))]
    pub base_port: u16,
    /// Address of all validators.
    #[arg(long, default_value = "127.0.0.1")]
    pub host: std::net::IpAddr,
    /// File with the password of all keys; asked on the terminal when absent.
    #[arg(long, env = "HALLMARK_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct EntryArgs {
    /// Folder with validator.key and account.key (`hallmark keys new --validator`).
    #[arg(long)]
    pub home: PathBuf,
    /// HOST:PORT where other validators reach this one.
    #[arg(long)]
    pub address: HostPort,
    /// Chain id of the network.
    #[arg(long)]
    pub chain_id: u64,
    /// File with the password of both keys; asked on the terminal when absent.
    #[arg(long, env = "HALLMARK_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct GenesisArgs {
    /// Entry files.
    #[arg(required = true)]
    pub entries: Vec<PathBuf>,
    /// EIP-155 chain id.
    #[arg(long)]
    pub chain_id: u64,
    /// Timestamp of genesis, Unix milliseconds; everybody must give the same.
    #[arg(long)]
    pub time: u64,
    /// Account that receives the network's share of orders.
    #[arg(long)]
    pub treasury: Address,
    /// Balance at genesis in MARK, ADDRESS=AMOUNT; repeatable.
    #[arg(long = "fund", value_name = "ADDRESS=AMOUNT")]
    pub funds: Vec<String>,
    /// File to write; refused when it exists.
    #[arg(long)]
    pub out: PathBuf,
}

#[derive(Args)]
pub struct JoinArgs {
    /// Entries of all validators.
    #[arg(required = true)]
    pub entries: Vec<PathBuf>,
    /// Folder of this validator, with its keys; node.toml and genesis.json are written into it.
    #[arg(long)]
    pub home: PathBuf,
    /// Chain spec that all agreed on.
    #[arg(long)]
    pub genesis: PathBuf,
    /// Address to listen on for other validators.
    #[arg(long)]
    pub listen: SocketAddr,
    /// Address for JSON-RPC.
    #[arg(long, default_value = "127.0.0.1:8545")]
    pub rpc: SocketAddr,
    /// Address for metrics, health and readiness.
    #[arg(long, default_value = "127.0.0.1:9100")]
    pub metrics: SocketAddr,
    /// File with the key's password, for a node that nobody starts by hand.
    #[arg(long, env = "HALLMARK_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
}
