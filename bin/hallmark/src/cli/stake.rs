//! Arguments of `hallmark stake`.

use super::{ChainArgs, KeyArgs};
use alloy_primitives::Address;
use clap::Subcommand;
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum StakeCommand {
    /// Register a validator with stake of your own.
    #[command(
        after_help = "Example:\n  hallmark stake bond 10000 --validator-key v4.key --p2p 203.0.113.9:9000 --commission 5 \\\n      --key operator.key\n\nThe validator is chosen for the set that is frozen at the end of this epoch, if its stake suffices,\nand votes from the epoch after next on."
    )]
    Bond {
        /// Your own stake, in MARK.
        amount: String,
        /// Key with which the validator votes: the file that `hallmark node --validator-key` takes.
        #[arg(long)]
        validator_key: PathBuf,
        /// Your part of the rewards, in percent.
        #[arg(long, default_value = "0")]
        commission: String,
        /// Account that gets the commission; the operator's when absent.
        #[arg(long)]
        payout: Option<Address>,
        /// Where peers reach the validator, HOST:PORT.
        #[arg(long, default_value = "")]
        p2p: String,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Put stake behind a validator; operators add to their own in the same way.
    #[command(after_help = "Example:\n  hallmark stake delegate 3 250 --key me.key")]
    Delegate {
        /// Number of the validator.
        validator: u64,
        /// Coins, in MARK.
        amount: String,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Take stake out; it is free after the unbonding time, and can be slashed until then.
    #[command(
        after_help = "Example:\n  hallmark stake unbond 3 100 --key me.key\n  hallmark stake unbond 3 all --key me.key"
    )]
    Unbond {
        /// Number of the validator.
        validator: u64,
        /// Coins, in MARK, or `all`.
        amount: String,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Take what is free: commissions, rewards of reports, and stake whose wait is over.
    #[command(after_help = "Example:\n  hallmark stake withdraw --key me.key")]
    Withdraw {
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Show validators and the present sets, or one validator, or what an account has.
    #[command(
        after_help = "Example:\n  hallmark stake status\n  hallmark stake status 3 --json\n  hallmark stake status --account 0x12…9f"
    )]
    Status {
        /// Number of a validator; all of the present and coming sets when absent.
        validator: Option<u64>,
        /// Account whose stake, exits and free coins to show.
        #[arg(long, conflicts_with = "validator")]
        account: Option<Address>,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// Change your validator's commission; a raise waits, a cut does not.
    #[command(after_help = "Example:\n  hallmark stake commission 7.5 --key operator.key")]
    Commission {
        /// Percent of the rewards.
        percent: String,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Change where your validator is paid and reached; what is absent stays.
    #[command(
        after_help = "Example:\n  hallmark stake profile --p2p 203.0.113.9:9000 --key operator.key"
    )]
    Profile {
        /// Account that gets the commission.
        #[arg(long, required_unless_present = "p2p")]
        payout: Option<Address>,
        /// Where peers reach the validator, HOST:PORT.
        #[arg(long)]
        p2p: Option<String>,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Give your validator another key, from the next set that is frozen on.
    #[command(
        after_help = "Example:\n  hallmark stake rotate-key --validator-key new.key --key operator.key\n\nRun a node with the old key until the set with the new one acts. The old key stays answerable."
    )]
    RotateKey {
        /// The new key.
        #[arg(long)]
        validator_key: PathBuf,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Take your validator off the candidates; it serves the sets that are frozen already.
    #[command(after_help = "Example:\n  hallmark stake leave --key operator.key")]
    Leave {
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Make your validator a candidate again: after a jail, or after `leave`.
    #[command(
        after_help = "Example:\n  hallmark stake unjail --key operator.key\n\nA key that voted twice is dead: give the validator another with `hallmark stake rotate-key` first."
    )]
    Unjail {
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Report a double vote; the reporter gets a part of what it costs.
    #[command(
        after_help = "Example:\n  hallmark stake evidence v0/consensus/evidence/7-1b2c….hex --key me.key\n\nThe file holds the evidence as it is, or in hex. Validators write what they see to\nconsensus/evidence/ in their home folder."
    )]
    Evidence {
        /// File of the evidence.
        file: PathBuf,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
}
