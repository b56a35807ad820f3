//! Arguments of every command, with an example each.

mod bench;
mod network;
mod node;
mod stake;
mod topic;

pub use bench::{BenchCommand, ChainBenchArgs, Workload};
pub use network::{EntryArgs, GenesisArgs, InitArgs, JoinArgs, NetworkCommand};
pub use node::{DbCommand, ExportArgs, ImportArgs, LogFormat, NodeArgs, NodeCommand};
pub use stake::StakeCommand;
pub use topic::{
    OptionalKeyArgs, ProveArgs, SaltArgs, SubmitArgs, TestSetArgs, TopicCommand, WorkArgs, WorkRole,
};

use alloy_primitives::Address;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// AI work that is checked before it is paid.
#[derive(Parser)]
#[command(name = "hallmark", version, about, propagate_version = true)]
#[command(
    after_help = "Example:\n  hallmark demo            the main job, everything embedded\n  hallmark demo --serve    keep the network running and print addresses and keys"
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    /// Print one JSON object instead of text.
    #[arg(long, global = true)]
    pub json: bool,
    /// Print nothing but results and errors.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Log more (-v info, -vv debug); RUST_LOG overrides.
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

#[derive(Subcommand)]
pub enum Command {
    /// Run the main job: four validators, a model, a seller, a buyer, and the cheats.
    Demo(DemoArgs),
    /// Compile, run, prove and verify models without any network.
    Zk {
        #[command(subcommand)]
        command: ZkCommand,
    },
    /// Publish models and look at published ones.
    Model {
        #[command(subcommand)]
        command: ModelCommand,
    },
    /// Order one proven inference, wait for it, and write its receipt.
    ///
    /// The order is sealed unless --public is given: its input and its answer are hidden from the
    /// chain and the public, not from the sellers that it names, each of whom can read the input.
    #[command(
        after_help = "Example:\n  hallmark infer 0x5a…e1 image.json --key buyer.key --seller 0x12…9f --receipt receipt.json\n\nWithout the file that --secrets keeps for each sealed order, its answer cannot be read."
    )]
    Infer(InferArgs),
    /// Sell inferences: watch orders, run, prove, deliver.
    #[command(
        after_help = "Example:\n  hallmark provide --key seller.key --home seller --deposit 10"
    )]
    Provide(ProvideArgs),
    /// Look at orders.
    Order {
        #[command(subcommand)]
        command: OrderCommand,
    },
    /// Make keys.
    Keys {
        #[command(subcommand)]
        command: KeysCommand,
    },
    /// Check a receipt without any node.
    #[command(
        after_help = "Example:\n  hallmark verify receipt.json --spec spec.json\n\nTrust starts from the chain spec: give it with --spec, or pin it once with `hallmark spec pin`."
    )]
    Verify(VerifyArgs),
    /// Follow the chain by certificates, believing no node.
    ///
    /// Trust starts from the chain spec (its validators of the first two epochs) or from a checkpoint
    /// that somebody you trust made. Everything a node says is checked; with --listen, wallets on this
    /// machine get only answers that were.
    #[command(
        after_help = "Examples:\n  hallmark light --spec spec.json --rpc http://127.0.0.1:8545 --out checkpoint.json\n  hallmark light --spec spec.json --checkpoint checkpoint.json --rpc http://127.0.0.1:8545 --listen 127.0.0.1:8546\n  hallmark light --spec spec.json --rpc http://127.0.0.1:8545 --receipt receipt.json"
    )]
    Light(LightArgs),
    /// Show or pin the chain spec that receipts are checked against.
    Spec {
        #[command(subcommand)]
        command: SpecCommand,
    },
    /// Make, join, work for and look at topics: markets of intelligence.
    Topic {
        #[command(subcommand)]
        command: TopicCommand,
    },
    /// Validators and their stake: register, delegate, take out, report double votes.
    Stake {
        #[command(subcommand)]
        command: StakeCommand,
    },
    /// Run Ethereum's own tests of the virtual machine.
    Evm {
        #[command(subcommand)]
        command: EvmCommand,
    },
    /// Measure.
    Bench {
        #[command(subcommand)]
        command: BenchCommand,
    },
    /// Make a network, or join one of strangers.
    Network {
        #[command(subcommand)]
        command: NetworkCommand,
    },
    /// Run one validator of a network, or look at a running one.
    #[command(
        after_help = "Example:\n  hallmark node --home net/0\n  hallmark node --spec spec.json --validator-key v0.key --home v0 --listen 127.0.0.1:9000 \\\n      --rpc 127.0.0.1:8545 --peer 1b2c…@127.0.0.1:9001"
    )]
    Node(NodeArgs),
    /// Verify the folder of a stopped node.
    Db {
        #[command(subcommand)]
        command: DbCommand,
    },
    /// Write blocks with their certificates into a file.
    #[command(after_help = "Example:\n  hallmark export --home v --from 1 --to 5000 blocks.bin")]
    Export(ExportArgs),
    /// Replay blocks from a file: each is executed, and its roots and certificate are checked.
    #[command(
        after_help = "Example:\n  hallmark import --home replayed --spec genesis.json blocks.bin"
    )]
    Import(ImportArgs),
    /// Print shell completions.
    #[command(
        after_help = "Example:\n  hallmark completions bash > /etc/bash_completion.d/hallmark"
    )]
    Completions { shell: clap_complete::Shell },
    /// Write manual pages into a folder.
    #[command(after_help = "Example:\n  hallmark man ./man")]
    Man { dir: PathBuf },
}

#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Example:\n  hallmark demo --json --home ./hallmark-demo\n\nDevelopment keys only: nothing here is a secret."
)]
pub struct DemoArgs {
    #[command(subcommand)]
    pub other: Option<DemoCommand>,
    /// Number of inferences to order.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=360))]
    pub orders: u32,
    /// Folder for the validators' databases, the chain spec and the receipts; made anew.
    #[arg(long, default_value = "hallmark-demo")]
    pub home: PathBuf,
    /// Keep the network running afterwards, and print RPC addresses and funded keys.
    #[arg(long)]
    pub serve: bool,
    /// Stop one validator of the four halfway through the orders.
    #[arg(long)]
    pub lose_validator: bool,
    /// Skip the cheats.
    #[arg(long)]
    pub skip_cheats: bool,
}

#[derive(Subcommand)]
pub enum EvmCommand {
    /// Run Ethereum state tests (JSON) through the chain's executor and trie.
    ///
    /// Compares the root of the state after each case, the hash of its logs, and whether the
    /// transaction is refused. Fails when any case does.
    #[command(
        after_help = "Example:\n  hallmark evm statetest fixtures/state_tests/osaka --json\n\nOnly cases of the forks that the chain enables (Osaka) run; others are counted as skipped, with the\nreason. --fork Cancun --fork Prague runs those instead: the same executor under their rules."
    )]
    Statetest {
        /// Files, or folders that are searched for .json files.
        #[arg(required = true)]
        paths: Vec<PathBuf>,
        /// Fork to run instead of the chain's: Paris, Shanghai, Cancun, Prague or Osaka.
        #[arg(long = "fork", value_name = "NAME")]
        forks: Vec<String>,
    },
}

/// Demos apart from the main job.
#[derive(Subcommand)]
pub enum DemoCommand {
    /// Run three markets of intelligence: forecasts of a real series, weights, proven scores.
    #[command(
        after_help = "Example:\n  hallmark demo topics --json --home ./hallmark-demo\n  hallmark demo topics --only score\n\nDevelopment keys only: nothing here is a secret. docs/topics.md says what each part shows.\nIt fails if money is missing, a fraud was accepted, or copier, liar or cartel did better than they may."
    )]
    Topics(DemoTopicsArgs),
}

#[derive(Args)]
pub struct DemoTopicsArgs {
    /// Folder for the validators' databases, the secrets and the pictures; made anew.
    #[arg(long, default_value = "hallmark-demo")]
    pub home: PathBuf,
    /// Run one part only.
    #[arg(long, value_enum)]
    pub only: Option<TopicsPart>,
    /// Months to forecast, an epoch each. From 60 on the network must beat the best worker; of fewer, which
    /// are mostly first epochs, only what is so offline is asked.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..=300))]
    pub epochs: u64,
    /// Last month to forecast, as in assets/co2.csv.
    #[arg(long, default_value = "2021-06")]
    pub until: String,
    /// Epochs of the part about weights.
    #[arg(long, default_value_t = 24, value_parser = clap::value_parser!(u64).range(2..=300))]
    pub weight_epochs: u64,
    /// Length of an epoch's longer stages, in milliseconds; else measured, from how long all parties'
    /// transactions take here at once. With too little, answers come too late and cost bonds.
    #[arg(long, value_parser = clap::value_parser!(u64).range(200..=60_000))]
    pub stage_ms: Option<u64>,
}

/// A part of `demo topics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TopicsPart {
    Forecast,
    Weights,
    Score,
}

/// How to reach a node, and who signs.
#[derive(Args, Clone)]
pub struct ChainArgs {
    /// JSON-RPC address of a node (http:// or ws://).
    #[arg(long, env = "HALLMARK_RPC", default_value = "http://127.0.0.1:8545")]
    pub rpc: String,
}

/// A key file, and its password when it is encrypted.
#[derive(Args, Clone)]
pub struct KeyArgs {
    /// Key file made by `hallmark keys new`.
    #[arg(long, env = "HALLMARK_KEY")]
    pub key: PathBuf,
    /// File with the password of an encrypted key; asked on the terminal when absent.
    #[arg(long, env = "HALLMARK_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Subcommand)]
pub enum ZkCommand {
    /// Quantise an ONNX model into an integer graph.
    #[command(
        after_help = "Example:\n  hallmark zk compile assets/digits.onnx --calibrate assets/digits.csv -o digits.hmk"
    )]
    Compile {
        /// ONNX model.
        model: PathBuf,
        /// Representative inputs: .npy, .npz, .json {"input_data": [[…]]} or the digits .csv.
        #[arg(long)]
        calibrate: PathBuf,
        /// Where to write the compiled model.
        #[arg(short, long)]
        output: PathBuf,
        #[command(flatten)]
        quantise: QuantiseArgs,
    },
    /// Compare an ONNX model with its integer form on samples that calibration did not see.
    #[command(
        after_help = "Example:\n  hallmark zk accuracy assets/lm.onnx --calibrate assets/lm_calibration.npz \\\n      --test assets/lm_test.npz"
    )]
    Accuracy {
        /// ONNX model.
        model: PathBuf,
        /// Representative inputs, as `zk compile` takes them.
        #[arg(long)]
        calibrate: PathBuf,
        /// Labelled samples; those that the calibration data keeps for testing when absent.
        #[arg(long)]
        test: Option<PathBuf>,
        /// Labels (.npy or .npz) where the samples' file has none: one a sample, or one for each
        /// row of its output.
        #[arg(long)]
        labels: Option<PathBuf>,
        #[command(flatten)]
        quantise: QuantiseArgs,
    },
    /// Show a compiled model: operators, sizes, bounds, commitment, security.
    #[command(
        after_help = "Example:\n  hallmark zk inspect digits.hmk --json\n  hallmark zk inspect digits.hmk --svg digits.svg"
    )]
    Inspect {
        model: PathBuf,
        /// Draw the graph with the cost of every layer.
        #[arg(long)]
        svg: Option<PathBuf>,
        /// The parameters of the key that is shown.
        #[arg(long, value_enum, default_value = "standard")]
        profile: ProofProfile,
    },
    /// Run a compiled model on an input.
    #[command(after_help = "Example:\n  hallmark zk run digits.hmk input.json")]
    Run { model: PathBuf, input: PathBuf },
    /// Prove a run; writes a proof bundle (verifying key, input, output, proof).
    #[command(after_help = "Example:\n  hallmark zk prove digits.hmk input.json -o proof.json")]
    Prove {
        model: PathBuf,
        input: PathBuf,
        #[arg(short, long)]
        output: PathBuf,
        /// 32 bytes (hex) that the proof is bound to.
        #[arg(
            long,
            default_value = "0x0000000000000000000000000000000000000000000000000000000000000000"
        )]
        context: String,
        /// What the proof hides.
        #[arg(long, value_enum, default_value = "private-input")]
        mode: ProofMode,
        /// How long the proof is against how long it takes to make.
        #[arg(long, value_enum, default_value = "standard")]
        profile: ProofProfile,
        /// Where to write the secret that opens the output (mode private-input); beside the bundle
        /// with the extension .secret when absent.
        #[arg(long)]
        secret: Option<PathBuf>,
        /// Prove every sample of the input file in one proof, which opens the weights once.
        #[arg(long)]
        batch: bool,
        /// Memory that the proof may take, in MiB; what the machine has available when absent.
        #[arg(long, env = "HALLMARK_PROVE_MEMORY_MB")]
        memory_mb: Option<u64>,
    },
    /// Check a proof bundle against a compiled model.
    #[command(after_help = "Example:\n  hallmark zk verify proof.json --model digits.hmk")]
    Verify {
        proof: PathBuf,
        /// The model that must have run; its weight commitment is recomputed.
        #[arg(long, required_unless_present = "digest")]
        model: Option<PathBuf>,
        /// Or the digest of the verifying key that must have been used.
        #[arg(long)]
        digest: Option<String>,
        /// The secret that `zk prove --mode private-input` wrote: opens the output.
        #[arg(long)]
        secret: Option<PathBuf>,
    },
    /// Measure running, proving and verifying.
    #[command(
        after_help = "Example:\n  hallmark zk bench assets/digits.onnx --calibrate assets/digits.csv --json"
    )]
    Bench {
        /// ONNX model or compiled .hmk.
        model: PathBuf,
        /// Input to prove; the first calibration sample when absent.
        #[arg(long)]
        input: Option<PathBuf>,
        /// Calibration data (needed for ONNX).
        #[arg(long)]
        calibrate: Option<PathBuf>,
        /// Proofs to make; the median counts.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
        repeat: u32,
        /// What the proofs hide.
        #[arg(long, value_enum, default_value = "private-input")]
        mode: ProofMode,
        /// How long the proofs are against how long they take to make.
        #[arg(long, value_enum, default_value = "standard")]
        profile: ProofProfile,
        #[command(flatten)]
        quantise: QuantiseArgs,
    },
}

/// What a proof hides. Neither hides the input from the seller that runs the model.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProofMode {
    /// Nothing: proves integrity only.
    Public,
    /// The inputs, behind a commitment; the outputs, under a one-time pad; every value in between.
    PrivateInput,
    /// Refused: no proof hides weights (docs/zkml.md says what that would take).
    PrivateWeights,
}

/// Cryptographic parameters, of the same promise of 100 bits. A key has one profile, and so have all of
/// its proofs.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProofProfile {
    /// Quick to make.
    Standard,
    /// Shorter proofs that take longer to make, for those who pay by the byte.
    Short,
}

impl From<ProofProfile> for hallmark_proof::Profile {
    fn from(profile: ProofProfile) -> Self {
        match profile {
            ProofProfile::Standard => Self::Standard,
            ProofProfile::Short => Self::Short,
        }
    }
}

impl ProofMode {
    /// The mode of the library.
    ///
    /// # Errors
    ///
    /// There is none that hides weights.
    pub fn supported(self) -> Result<hallmark_proof::Mode, &'static str> {
        match self {
            Self::Public => Ok(hallmark_proof::Mode::Public),
            Self::PrivateInput => Ok(hallmark_proof::Mode::PrivateInput),
            Self::PrivateWeights => Err(
                "mode private-weights is refused: every proof opens the registered commitment to the weights, \
                 and no encoding at hand hides them over more than one opening (docs/zkml.md, Hiding); use \
                 private-input, which hides inputs, outputs and all values in between",
            ),
        }
    }
}

/// How a float model becomes an integer one.
#[derive(Args, Clone)]
pub struct QuantiseArgs {
    /// Bits of activations: 8, or 16 for results nearer to the float model's at a higher cost.
    #[arg(long, value_enum, default_value = "8")]
    pub bits: Bits,
    /// How the range of a value is taken from the samples: min-max, mean-square, or
    /// percentile:SHARE with SHARE in percent, such as percentile:99.9.
    #[arg(long, default_value = "min-max", value_parser = calibration)]
    pub calibration: hallmark_onnx::Calibration,
}

fn calibration(text: &str) -> Result<hallmark_onnx::Calibration, String> {
    use hallmark_onnx::Calibration;
    match text.split_once(':') {
        None if text == "min-max" => Ok(Calibration::MinMax),
        None if text == "mean-square" => Ok(Calibration::MeanSquare),
        Some(("percentile", share)) => share
            .parse()
            .map(Calibration::Percentile)
            .map_err(|_| format!("{share:?} is no number")),
        _ => Err("neither min-max, mean-square nor percentile:SHARE".to_owned()),
    }
}

/// Bits of activations.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Bits {
    #[value(name = "8")]
    Eight,
    #[value(name = "16")]
    Sixteen,
}

impl QuantiseArgs {
    /// The compiler's options.
    pub fn options(&self) -> hallmark_onnx::CompileOptions {
        hallmark_onnx::CompileOptions {
            bits: match self.bits {
                Bits::Eight => 8,
                Bits::Sixteen => 16,
            },
            calibration: self.calibration,
            ..hallmark_onnx::CompileOptions::default()
        }
    }
}

#[derive(Subcommand)]
pub enum ModelCommand {
    /// Publish a compiled model.
    #[command(
        after_help = "Example:\n  hallmark model publish digits.hmk --name digits --price 0.01 --owner-share 10 \\\n      --uri http://127.0.0.1:8600 --key owner.key"
    )]
    Publish {
        model: PathBuf,
        /// Name that people read.
        #[arg(long)]
        name: String,
        /// Price of one inference, in MARK.
        #[arg(long)]
        price: String,
        /// The owner's share of the price, in percent.
        #[arg(long, default_value = "10")]
        owner_share: String,
        /// Where sellers download the .hmk file (http or https). Nothing hides weights: whoever has the file has
        /// them, and their commitment does not hide either (docs/zkml.md).
        #[arg(long)]
        uri: String,
        /// Parameters of all proofs of the model. Each profile of one model is a model of its own on chain.
        #[arg(long, value_enum, default_value = "standard")]
        profile: ProofProfile,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// List published models.
    #[command(after_help = "Example:\n  hallmark model list --json")]
    List {
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// Show one model.
    #[command(after_help = "Example:\n  hallmark model show 0x5a…e1")]
    Show {
        id: String,
        #[command(flatten)]
        chain: ChainArgs,
    },
}

/// Levels of assurance; only `proven` has a judge on chain today.
#[derive(Clone, Copy, ValueEnum)]
pub enum Level {
    Trusted,
    Audited,
    Exact,
    Proven,
}

#[derive(Args)]
pub struct InferArgs {
    /// Model id, as `hallmark model list` prints it.
    pub model: String,
    /// Input: .npy, .npz or .json {"input_data": [[…]]} of real numbers.
    pub input: PathBuf,
    /// Level of assurance.
    #[arg(long, value_enum, default_value = "proven")]
    pub level: Level,
    /// Seconds until the order expires and is refunded.
    #[arg(long, default_value_t = 120)]
    pub deadline: u64,
    /// Where to write the receipt.
    #[arg(long)]
    pub receipt: Option<PathBuf>,
    /// Seller that may run the model and so can read the input; up to 8 times. When absent, the
    /// sellers that take sealed orders and have a bond free, up to 8.
    #[arg(long = "seller", value_name = "ADDRESS")]
    pub sellers: Vec<Address>,
    /// Show input and answer to everyone; any seller may run the model.
    #[arg(long, conflicts_with_all = ["sellers", "reveal"])]
    pub public: bool,
    #[command(flatten)]
    pub secrets: SecretsArgs,
    /// Write input and secret into the receipt, for a reader who may know them.
    #[arg(long)]
    pub reveal: bool,
    #[command(flatten)]
    pub chain: ChainArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

/// Where a buyer keeps what opens the answers of its sealed orders.
#[derive(Args, Clone)]
pub struct SecretsArgs {
    /// Folder of the secrets of sealed orders, one file each, readable by you only.
    #[arg(long, env = "HALLMARK_SECRETS", default_value = "hallmark-secrets")]
    pub secrets: PathBuf,
}

#[derive(Args)]
pub struct ProvideArgs {
    /// Folder for downloaded models and the journal.
    #[arg(long, default_value = "hallmark-provider")]
    pub home: PathBuf,
    /// Bond to add before serving, in MARK.
    #[arg(long)]
    pub deposit: Option<String>,
    /// Serve only orders that pay at least this, in MARK.
    #[arg(long, default_value = "0")]
    pub min_price: String,
    /// Allow downloads from private and loopback addresses (development).
    #[arg(long)]
    pub allow_private_addresses: bool,
    /// Make a new key for sealed orders; the old one is kept until the orders sealed to it close.
    #[arg(long)]
    pub rotate_sealing_key: bool,
    #[command(flatten)]
    pub chain: ChainArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

#[derive(Subcommand)]
pub enum OrderCommand {
    /// Show one order.
    #[command(after_help = "Example:\n  hallmark order show 7 --json")]
    Show {
        id: u64,
        /// Also write the order's receipt (paid orders).
        #[arg(long)]
        receipt: Option<PathBuf>,
        /// Write input and secret of a sealed order into the receipt.
        #[arg(long, requires = "receipt")]
        reveal: bool,
        #[command(flatten)]
        secrets: SecretsArgs,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// Read the answer of a sealed order that you placed.
    #[command(after_help = "Example:\n  hallmark order open 7 --secrets hallmark-secrets")]
    Open {
        id: u64,
        #[command(flatten)]
        secrets: SecretsArgs,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// List the sellers that take sealed orders and have a bond free for one of a model.
    #[command(after_help = "Example:\n  hallmark order sellers digits")]
    Sellers {
        /// Model id, name, or a part of either; its price decides the bond.
        model: String,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// List the newest orders.
    #[command(after_help = "Example:\n  hallmark order list --last 20")]
    List {
        #[arg(long, default_value_t = 20)]
        last: u64,
        #[command(flatten)]
        chain: ChainArgs,
    },
}

#[derive(Subcommand)]
pub enum KeysCommand {
    /// Make a new Ethereum key, or both keys of a validator, encrypted unless --dev.
    #[command(
        after_help = "Example:\n  hallmark keys new buyer.key --dev\n  hallmark keys new v --validator --password-file password"
    )]
    New {
        /// File to write; refused when it exists. With --validator a folder, in which validator.key
        /// and account.key are written.
        path: PathBuf,
        /// Make a validator's two keys: ed25519 for votes, secp256k1 for the account that is paid.
        #[arg(long)]
        validator: bool,
        /// Write the key unencrypted (development).
        #[arg(long)]
        dev: bool,
        /// File with the password; asked on the terminal when absent.
        #[arg(long, env = "HALLMARK_PASSWORD_FILE")]
        password_file: Option<PathBuf>,
    },
    /// Show the address of a key file.
    #[command(after_help = "Example:\n  hallmark keys show buyer.key")]
    Show {
        #[command(flatten)]
        key: KeyArgs,
    },
}

#[derive(Args)]
pub struct VerifyArgs {
    /// Receipt file.
    pub receipt: PathBuf,
    /// Chain spec to trust; the pinned one when absent.
    #[arg(long, env = "HALLMARK_SPEC")]
    pub spec: Option<PathBuf>,
}

#[derive(Args)]
pub struct LightArgs {
    /// Chain spec to trust; the pinned one when absent.
    #[arg(long, env = "HALLMARK_SPEC")]
    pub spec: Option<PathBuf>,
    /// Checkpoint to begin with instead of genesis.
    #[arg(long)]
    pub checkpoint: Option<PathBuf>,
    /// A node, which is not trusted.
    #[arg(long, default_value = "http://127.0.0.1:8545")]
    pub rpc: String,
    /// Serve verified answers at this address until stopped.
    #[arg(long)]
    pub listen: Option<SocketAddr>,
    /// Where to write a checkpoint of what is known at the end.
    #[arg(long)]
    pub out: Option<PathBuf>,
    /// Receipt file to verify, of any epoch; may be repeated.
    #[arg(long = "receipt", value_name = "FILE")]
    pub receipts: Vec<PathBuf>,
}

#[derive(Subcommand)]
pub enum SpecCommand {
    /// Check a chain spec and keep it as the one to trust.
    #[command(after_help = "Example:\n  hallmark spec pin spec.json")]
    Pin { spec: PathBuf },
    /// Show a chain spec, or the pinned one.
    #[command(after_help = "Example:\n  hallmark spec show --json")]
    Show { spec: Option<PathBuf> },
}
