//! Arguments of `hallmark topic`.

use super::{ChainArgs, KeyArgs, QuantiseArgs};
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum TopicCommand {
    /// Run any number of epochs of any mechanism offline, from a file of cases.
    #[command(
        after_help = "Example:\n  hallmark topic simulate cases.json --json\n  hallmark topic simulate cases.json --svg cases.svg\n\nFILE holds one case or a list of cases of yuma, synthesis or score; docs/topics.md shows the\nshapes. The JSON result is a list with {\"name\", \"mechanism\", \"epochs\"} per case."
    )]
    Simulate {
        /// JSON file of cases.
        file: PathBuf,
        /// Draw consensus, scores, rewards and regrets over the epochs of the first case.
        #[arg(long)]
        svg: Option<PathBuf>,
    },
    /// Make a topic from a file; its bond comes back when it retires, the fee is burned.
    #[command(
        after_help = "Example:\n  hallmark topic create topic.json --key owner.key\n\nThe file: {\"title\": \"CO2 of next month\", \"mechanisms\": [{\"kind\": \"synthesis\"}],\n\"policy\": {\"open\": \"60s\", \"lag\": \"1h\", \"minBond\": \"10\", …}}; docs/topics.md lists every name with\nits default. --title and --kind alone make a topic with all defaults."
    )]
    Create {
        /// JSON file of the topic.
        #[arg(required_unless_present = "kind")]
        file: Option<PathBuf>,
        /// Title; instead of the file's.
        #[arg(long, required_unless_present = "file")]
        title: Option<String>,
        /// Mechanism of a topic with one: yuma, synthesis or score; instead of a file.
        #[arg(long, conflicts_with = "file")]
        kind: Option<hallmark_client::topics::Kind>,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Show topics, or one topic with its slots.
    #[command(after_help = "Example:\n  hallmark topic status 1\n  hallmark topic status --json")]
    Status {
        /// Topic; the newest topics when absent.
        topic: Option<u64>,
        /// Topics to list.
        #[arg(long, default_value_t = 20)]
        last: u64,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// Take a slot of a topic with a bond, which comes back when you leave.
    #[command(
        after_help = "Example:\n  hallmark topic join 1 --role worker --key worker.key\n  hallmark topic join 1 --role reputer --stake 100 --key reputer.key"
    )]
    Join {
        topic: u64,
        /// worker (also Yuma's validators), forecaster or reputer.
        #[arg(long, default_value = "worker")]
        role: hallmark_client::topics::Role,
        /// Most that the slot may cost, in MARK; its price now when absent.
        #[arg(long)]
        max_bond: Option<String>,
        /// Stake to put on the slot, in MARK.
        #[arg(long)]
        stake: Option<String>,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Give up your slot; its bond is free after a delay.
    #[command(after_help = "Example:\n  hallmark topic leave 1 --key worker.key")]
    Leave {
        topic: u64,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Add to the bond of your slot, which comes back with it.
    #[command(after_help = "Example:\n  hallmark topic top-up 1 20 --key worker.key")]
    TopUp {
        topic: u64,
        /// Coins, in MARK.
        amount: String,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Stake on a slot, or take stake out.
    #[command(
        after_help = "Example:\n  hallmark topic stake 1 5 --add 100 --key me.key\n  hallmark topic stake 1 5 --remove all --key me.key"
    )]
    Stake {
        topic: u64,
        slot: u16,
        /// Coins to stake, in MARK.
        #[arg(long, required_unless_present = "remove")]
        add: Option<String>,
        /// Coins to take out, in MARK, or `all`; free after a delay, by `rewards --withdraw`.
        #[arg(long, conflicts_with = "add")]
        remove: Option<String>,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Commit one answer of your slot, and reveal it when its window opens.
    #[command(
        after_help = "Example:\n  hallmark topic submit 1 --value 421.3 --key worker.key\n  hallmark topic submit 1 --weights 2=3,3=1 --commit-only --key validator.key\n  hallmark topic submit 1 --reveal-only --key validator.key\n\nThe answer and the salt that opens it are kept in --secrets before anything is sent. A commitment\nthat is never revealed costs your bond."
    )]
    Submit(SubmitArgs),
    /// Commit a score topic's hidden test set, and open it once the models are committed.
    #[command(
        after_help = "Example:\n  hallmark topic test-set 1 images.npz --model digits.hmk --key owner.key\n  hallmark topic test-set 1 assets/digits.csv --model digits.hmk --samples 8 --commit-only \\\n      --key owner.key\n  hallmark topic test-set 1 --reveal-only --key owner.key\n\nThe test set and the salt that opens it are kept in --secrets before anything is sent. A test set\nthat stays closed although models were committed costs minBond of the topic's bond; without\nmodels it stays closed, costs nothing and may serve another epoch."
    )]
    TestSet(TestSetArgs),
    /// Commit to a model in a score topic, and prove its right answers on the test set.
    #[command(
        after_help = "Example:\n  hallmark topic prove 1 --model digits.hmk --key worker.key\n  hallmark topic prove 1 --model digits.onnx --calibrate assets/digits.csv --key worker.key\n  hallmark topic prove 1 --model digits.hmk --commit-only --key worker.key\n\nTakes part in one epoch: the one under way if this key has committed to it, else the next one that\nis open. The model must be published (`hallmark model publish`) before the test set is opened.\n`hallmark topic work --model` does the same epoch after epoch."
    )]
    Prove(ProveArgs),
    /// Set your part of what your slot earns; the rest goes to the stake on it.
    #[command(
        after_help = "Example:\n  hallmark topic take 1 12.5 --key worker.key\n\nAll of it at first. Less counts at once, more after a delay."
    )]
    Take {
        topic: u64,
        /// Percent, with at most two decimals.
        percent: String,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Propose another policy or owner of your topic; it waits, and stake may veto it.
    #[command(
        after_help = "Example:\n  hallmark topic propose 1 change.json --key owner.key\n  hallmark topic propose 1 --new-owner 0x12…9f --key owner.key\n\nThe file has the names of a topic's policy that change, such as {\"open\": \"30s\", \"minBond\": \"25\"};\ndocs/topics.md lists them. Numbers of slots and mechanisms never change."
    )]
    Propose {
        topic: u64,
        /// JSON file of what changes in the policy.
        #[arg(required_unless_present = "new_owner")]
        file: Option<PathBuf>,
        /// Who shall own the topic; you when absent.
        #[arg(long)]
        new_owner: Option<alloy_primitives::Address>,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Show the change that waits in a topic.
    #[command(after_help = "Example:\n  hallmark topic proposal 1 --json")]
    Proposal {
        topic: u64,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// Count your stake on a slot, and its bond if the slot is yours, against the change that waits.
    #[command(
        after_help = "Example:\n  hallmark topic veto 1 5 --key staker.key\n\nEach position counts once; what was staked after the proposal does not."
    )]
    Veto {
        topic: u64,
        slot: u16,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Burn coins as a topic's income: what it can pay grows by them, less what never comes back.
    #[command(
        after_help = "Example:\n  hallmark topic fund 1 50 --key buyer.key\n  hallmark topic fund 1 50 --grant --key donor.key"
    )]
    Fund {
        topic: u64,
        /// Coins, in MARK.
        amount: String,
        /// Give them to the participants over many epochs instead of burning them.
        #[arg(long)]
        grant: bool,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Do what is due in a topic: end a stage, settle, open the next epoch.
    #[command(after_help = "Example:\n  hallmark topic advance 1 --key anyone.key")]
    Advance {
        topic: u64,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Propose the end of your topic; it waits, and stake can strike it, as with `propose`.
    #[command(
        after_help = "Example:\n  hallmark topic retire 1 --key owner.key\n  hallmark topic retire 1 --reclaim --key donor.key\n\nAn epoch that is under way ends as usual; `topic advance` ends a topic that rests. The bond is\nwithdrawn with `rewards --withdraw`. What is left of grants is the donors'."
    )]
    Retire {
        topic: u64,
        /// Instead, take back your part of what the retired topic did not pay of its grants.
        #[arg(long)]
        reclaim: bool,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Show what an account has earned and staked, and withdraw what is free.
    #[command(
        after_help = "Example:\n  hallmark topic rewards 0x12…9f\n  hallmark topic rewards --withdraw --key worker.key"
    )]
    Rewards {
        /// Account; that of the key when absent.
        #[arg(required_unless_present = "withdraw")]
        account: Option<alloy_primitives::Address>,
        /// Move what is free to the account of the key.
        #[arg(long, conflicts_with = "account", requires = "key")]
        withdraw: bool,
        #[command(flatten)]
        chain: ChainArgs,
        #[command(flatten)]
        key: OptionalKeyArgs,
    },
    /// Follow a topic's events.
    #[command(after_help = "Example:\n  hallmark topic watch 1 --json")]
    Watch {
        topic: u64,
        /// Block to begin with; the newest when absent.
        #[arg(long)]
        from: Option<u64>,
        /// End after this epoch is settled or cancelled.
        #[arg(long)]
        until_epoch: Option<u64>,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// Say in words and numbers why a slot got what it got in an epoch.
    #[command(after_help = "Example:\n  hallmark topic explain 1 7 3")]
    Explain {
        topic: u64,
        epoch: u64,
        slot: u16,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// Draw consensus, scores, rewards and losses over a topic's epochs.
    #[command(after_help = "Example:\n  hallmark topic chart 1 -o topic.svg")]
    Chart {
        topic: u64,
        /// Where to write the picture (SVG).
        #[arg(short, long)]
        output: PathBuf,
        #[command(flatten)]
        chain: ChainArgs,
    },
    /// Run any program as a worker, forecaster, reputer or validator of a topic, or a model in a score
    /// topic.
    #[command(
        after_help = "Example:\n  hallmark topic work --exec 'python3 docs/examples/worker.py' --topic 1 --key worker.key\n  hallmark topic work --model digits.hmk --topic 2 --key worker.key\n\nThe program reads a line of JSON, such as {\"type\":\"inference\",\"topic\":1,\"epoch\":7,\"slot\":0},\nand writes a line of JSON, such as {\"value\": 421.3}. docs/topics.md has all questions and answers."
    )]
    Work(WorkArgs),
}

#[derive(Args)]
pub struct SubmitArgs {
    pub topic: u64,
    /// An inferer's value.
    #[arg(long, group = "answer", allow_hyphen_values = true)]
    pub value: Option<String>,
    /// A reputer's truth.
    #[arg(long, group = "answer", allow_hyphen_values = true)]
    pub truth: Option<String>,
    /// A forecaster's expected losses, SLOT=LOSS,… (log10 of the squared error).
    #[arg(long, group = "answer")]
    pub losses: Option<String>,
    /// A validator's weights, SLOT=WEIGHT,… with weights of 0 to 65535.
    #[arg(long, group = "answer")]
    pub weights: Option<String>,
    /// A score worker's model, as `hallmark model list` shows it.
    #[arg(long, group = "answer")]
    pub model: Option<String>,
    /// Which mechanism of the topic.
    #[arg(long, default_value_t = 0)]
    pub mechanism: u8,
    /// Commit, and leave revealing to another call.
    #[arg(long, conflicts_with = "reveal_only", requires = "answer")]
    pub commit_only: bool,
    /// Reveal what was committed before.
    #[arg(long, conflicts_with = "answer", required_unless_present = "answer")]
    pub reveal_only: bool,
    /// Epoch to reveal; the present one when absent.
    #[arg(long, requires = "reveal_only")]
    pub epoch: Option<u64>,
    #[command(flatten)]
    pub salts: SaltArgs,
    #[command(flatten)]
    pub chain: ChainArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

#[derive(Args)]
pub struct TestSetArgs {
    pub topic: u64,
    /// Samples with labels: .npz with labels, .csv like assets/digits.csv, or .npy and .json with
    /// --labels. Those that the file keeps for testing, if it says so.
    #[arg(required_unless_present = "reveal_only", requires = "model")]
    pub set: Option<PathBuf>,
    /// A compiled model of the topic: its input is the form in which samples are written.
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Labels (.npy or .npz) where the samples' file has none: the place of the output that must be
    /// the largest.
    #[arg(long, requires = "set")]
    pub labels: Option<PathBuf>,
    /// Samples of the file to pass over.
    #[arg(long, default_value_t = 0, requires = "set")]
    pub first: usize,
    /// Samples to take, at most 64; all that follow when absent.
    #[arg(long, requires = "set")]
    pub samples: Option<usize>,
    /// Epoch; when absent the next one to open, or with --reveal-only the present one.
    #[arg(long)]
    pub epoch: Option<u64>,
    /// Commit, and leave opening to another call.
    #[arg(long, conflicts_with = "reveal_only")]
    pub commit_only: bool,
    /// Open what was committed before, when its time has come.
    #[arg(long, conflicts_with = "set")]
    pub reveal_only: bool,
    #[command(flatten)]
    pub salts: SaltArgs,
    #[command(flatten)]
    pub chain: ChainArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

#[derive(Args)]
pub struct ProveArgs {
    pub topic: u64,
    /// Model to be judged: compiled, or ONNX with --calibrate.
    #[arg(long)]
    pub model: PathBuf,
    /// Representative inputs with which an ONNX model is compiled, as for `zk compile`; the result must
    /// be the published one.
    #[arg(long)]
    pub calibrate: Option<PathBuf>,
    #[command(flatten)]
    pub quantise: QuantiseArgs,
    /// Commit to the model, and leave the rest to another call.
    #[arg(long)]
    pub commit_only: bool,
    /// Time between two looks at the topic, in milliseconds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub poll_ms: u64,
    #[command(flatten)]
    pub salts: SaltArgs,
    #[command(flatten)]
    pub chain: ChainArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

/// Where a slot keeps what opens its commitments.
#[derive(Args, Clone)]
pub struct SaltArgs {
    /// Folder of answers and salts, readable by you only.
    #[arg(
        long = "secrets",
        env = "HALLMARK_TOPIC_SECRETS",
        default_value = "hallmark-topic-secrets"
    )]
    pub secrets: PathBuf,
}

/// A key that a command may do without.
#[derive(Args, Clone)]
pub struct OptionalKeyArgs {
    /// Key file made by `hallmark keys new`.
    #[arg(long, env = "HALLMARK_KEY")]
    pub key: Option<PathBuf>,
    /// File with the password of an encrypted key; asked on the terminal when absent.
    #[arg(long, env = "HALLMARK_PASSWORD_FILE")]
    pub password_file: Option<PathBuf>,
}

#[derive(Args)]
pub struct WorkArgs {
    /// Program to run, by `sh -c`.
    #[arg(long, required_unless_present = "model")]
    pub exec: Option<String>,
    /// Model to be judged in a score topic: compiled, or ONNX with --calibrate.
    #[arg(long)]
    pub model: Option<PathBuf>,
    /// Representative inputs with which an ONNX model is compiled, as for `zk compile`; the result must
    /// be the published one.
    #[arg(long, requires = "model")]
    pub calibrate: Option<PathBuf>,
    #[command(flatten)]
    pub quantise: QuantiseArgs,
    /// Topic to work for.
    #[arg(long)]
    pub topic: u64,
    /// What to do there. A slot is taken if the key has none.
    #[arg(long, value_enum, default_value = "worker")]
    pub role: WorkRole,
    /// Longest time for one answer, in milliseconds.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=3_600_000))]
    pub time_limit_ms: u64,
    /// Time between two looks at the topic, in milliseconds.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(10..=60_000))]
    pub poll_ms: u64,
    /// End after so many epochs.
    #[arg(long)]
    pub epochs: Option<u64>,
    /// Most that a slot may cost, in MARK; its price now when absent.
    #[arg(long)]
    pub max_bond: Option<String>,
    /// Stake to put on the slot when it is taken, in MARK.
    #[arg(long)]
    pub stake: Option<String>,
    /// Leave it to others to move the topic's epochs on.
    #[arg(long)]
    pub no_advance: bool,
    #[command(flatten)]
    pub salts: SaltArgs,
    #[command(flatten)]
    pub chain: ChainArgs,
    #[command(flatten)]
    pub key: KeyArgs,
}

/// What a program does in a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WorkRole {
    /// Says values (synthesis), has a model (score).
    Worker,
    /// Says what the workers' losses will be (synthesis).
    Forecaster,
    /// Says the truth (synthesis).
    Reputer,
    /// Weighs workers (Yuma).
    Validator,
}
