//! Four validators, many funded accounts, and slots at work on them.

use super::super::world::prepare_home;
use crate::commands::{Error, write};
use crate::output::{Reporter, mark};
use alloy_primitives::{Address, U256};
use alloy_signer_local::PrivateKeySigner;
use futures::future::join_all;
use hallmark_client::{
    Client, Topics,
    topics::{
        Role, SaltStore, Stage, TopicPlan,
        work::{Answerer, Deed, Desk, View, advance_if_due},
    },
};
use hallmark_node::{
    Node,
    devnet::{self, Devnet},
};
use hallmark_types::MARK;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const VALIDATORS: usize = 4;
/// Funded accounts: more than the parties of one part.
const ACCOUNTS: usize = 40;
/// Longest time for one answer.
const ANSWER: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(40);
/// A player looks so often in a stage, and no oftener than every [`POLL`]: looking costs the machine what
/// answers need.
const LOOKS_PER_STAGE: u32 = 20;
/// Parties whose transactions measure how long a stage must be, and how often.
const PARTIES: usize = 16;
const ROUNDS: usize = 3;
/// A party looks, commits or opens, and waits for a receipt, while the machine's load may double.
const STAGE_PER_ROUND: u32 = 6;
/// Shortest and longest stage that is measured, in milliseconds.
const STAGE_MS: std::ops::RangeInclusive<u64> = 1_000..=30_000;
/// Time after which the chain moves on by itself.
const GRACE_MS: u64 = 120_000;
/// What a party sends for a slot; what is above the price comes back.
const MOST_FOR_A_SLOT: u128 = 20_000 * MARK;

pub struct Network {
    pub home: PathBuf,
    devnet: Devnet,
}

impl Network {
    pub fn start(home: &Path, report: &Reporter) -> Result<Self, Error> {
        let home = prepare_home(home)?;
        let spinner = report.spinner("starting four validators");
        let funded: Vec<Address> = (0..ACCOUNTS).map(devnet::account).collect();
        let (mut spec, seeds) = devnet::spec(VALIDATORS, &funded);
        // Parties join one after another: the chain shall not open an epoch by itself meanwhile.
        spec.topics.grace_ms = GRACE_MS;
        let devnet = Devnet::start_with(spec, &seeds, &home.join("validators"))?;
        write(&home.join("spec.json"), devnet.spec().to_json().as_bytes())?;
        spinner.finish_and_clear();
        report.say(format!(
            "Hallmark: markets of intelligence, on {VALIDATORS} validators\n"
        ));
        Ok(Self { home, devnet })
    }

    /// A client of account `index`, at one of the validators.
    pub async fn client(&self, index: usize) -> Result<Client, Error> {
        let node = self
            .devnet
            .node(index % VALIDATORS)
            .ok_or_else(|| Error::new("a validator stopped"))?;
        let key = PrivateKeySigner::from_bytes(&devnet::account_key(index))
            .expect("development keys lie below the curve's order");
        Ok(Client::connect(&node.rpc_url(), Some(key)).await?)
    }

    /// How long a stage lasts: what was asked for, or [`STAGE_PER_ROUND`] times what a round of
    /// transactions of as many parties as a part has takes on this machine now, and what `thinking`
    /// takes besides.
    pub async fn stage_ms(
        &self,
        asked: Option<u64>,
        thinking: Duration,
        report: &Reporter,
    ) -> Result<u64, Error> {
        if let Some(asked) = asked {
            return Ok(asked);
        }
        let mut parties = Vec::new();
        for account in 0..PARTIES {
            parties.push(self.client(account).await?);
        }
        let mut slowest = Duration::ZERO;
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let sent = parties.iter().map(|party| async move {
                let own = party.address().ok_or_else(|| Error::new("no key"))?;
                party.transfer(own, U256::ZERO).await.map_err(Error::from)
            });
            for sent in join_all(sent).await {
                sent?;
            }
            slowest = slowest.max(began.elapsed());
        }
        let stage = stage_of(slowest, thinking);
        report.say(format!(
            "stages of {stage} ms: {PARTIES} parties' transactions take up to {} ms here at once",
            slowest.as_millis()
        ));
        Ok(stage)
    }

    /// Makes a topic and burns its income.
    pub async fn topic(
        &self,
        owner: &Topics,
        plan: &TopicPlan,
        income: u128,
        report: &Reporter,
    ) -> Result<U256, Error> {
        let (topic, _) = owner.create(plan).await?;
        owner.fund(topic, U256::from(income)).await?;
        report.say(format!(
            "topic {topic}: {}; its owner burned {} MARK, so it can pay up to {} MARK",
            plan.title,
            mark(U256::from(income)),
            mark(U256::from(income / 100 * 99)),
        ));
        Ok(topic)
    }

    /// Takes a slot for account `account`, stakes on it, and sits down at its desk.
    pub async fn join(
        &self,
        topic: U256,
        account: usize,
        role: Role,
        stake: u128,
        judges: bool,
    ) -> Result<Desk, Error> {
        let topics = self.client(account).await?.topics();
        let price = U256::from(MOST_FOR_A_SLOT);
        let (slot, receipt) = topics.register(topic, role, price).await?;
        if stake > 0 {
            topics.stake(topic, slot, U256::from(stake)).await?;
        }
        let genesis = topics.client().genesis_hash().await?;
        let store = SaltStore::open(&self.home.join("secrets"), genesis)?;
        wait_block(topics.client(), receipt.block_number.unwrap_or_default()).await?;
        let slot = topics.slot(topic, slot).await?;
        Ok(Desk::new(topics, store, slot, judges))
    }

    /// Plays a topic's epochs up to and including `last`; the players act at the same time.
    pub async fn play(
        &self,
        owner: &Topics,
        topic: U256,
        players: &mut [Player],
        last: u64,
        stage_ms: u64,
        report: &Reporter,
    ) -> Result<(), Error> {
        let pause = POLL.max(Duration::from_millis(stage_ms) / LOOKS_PER_STAGE);
        let first = owner.get(topic).await?.epoch;
        let bar = report.bar(last + 1 - first, "epochs");
        loop {
            let view = View::take(owner, topic).await?;
            bar.set_position(view.topic.epoch - first);
            if view.topic.epoch > last {
                bar.finish_and_clear();
                return Ok(());
            }
            if view.is_due() {
                if !advance_if_due(owner, &view).await? {
                    tokio::time::sleep(POLL).await;
                }
                continue;
            }
            let acts = players.iter_mut().map(|player| player.act(topic));
            for acted in join_all(acts).await {
                acted?;
            }
            let left = Duration::from_millis(view.left_ms());
            if view.topic.stage != Stage::Settle {
                tokio::time::sleep(left.min(pause)).await;
            }
        }
    }

    /// Waits for a validator that stops by itself and says which and why.
    pub async fn failed(&self) -> String {
        loop {
            for (index, node) in self.devnet.nodes().enumerate() {
                if let Some(reason) = node.failure() {
                    return format!("validator {index} stopped: {reason}");
                }
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Whether on every validator the sum of all balances is what genesis issued.
    pub fn conserved(&self, report: &Reporter) -> bool {
        let issued = self.devnet.spec().issued();
        let all = |node: &Node| node.store().head().state.total_balance() == issued;
        let conserved = self.devnet.nodes().all(all);
        report.say(if conserved {
            "money      not a unit lost on any validator"
        } else {
            "money      NOT CONSERVED"
        });
        conserved
    }

    pub async fn stop(self) {
        let devnet = self.devnet;
        // Validators join their threads; that must not block a runtime's worker.
        let _ = tokio::task::spawn_blocking(move || devnet.stop()).await;
    }
}

/// A party with a slot.
pub struct Player {
    pub name: String,
    pub desk: Desk,
    pub mind: Box<dyn Answerer>,
    /// What the chain refused, and answers that did not come.
    pub trouble: Vec<Deed>,
}

impl Player {
    pub fn new(name: impl Into<String>, desk: Desk, mind: impl Answerer + 'static) -> Self {
        Self {
            name: name.into(),
            desk,
            mind: Box::new(mind),
            trouble: Vec::new(),
        }
    }

    pub fn slot(&self) -> u16 {
        self.desk.slot().index
    }

    /// What went wrong first, in words.
    pub fn first_trouble(&self) -> Option<String> {
        match self.trouble.first()? {
            Deed::Refused { epoch, reason, .. } | Deed::Unanswered { epoch, reason, .. } => {
                Some(format!("epoch {epoch}: {reason}"))
            }
            _ => None,
        }
    }

    /// Acts on what its own validator knows.
    async fn act(&mut self, topic: U256) -> Result<(), Error> {
        let view = View::take(self.desk.topics(), topic).await?;
        let deeds = self.desk.act(&view, &mut *self.mind, ANSWER).await?;
        let trouble = deeds
            .into_iter()
            .filter(|deed| matches!(deed, Deed::Refused { .. } | Deed::Unanswered { .. }));
        self.trouble.extend(trouble);
        Ok(())
    }
}

/// Length of a stage, in whole tenths of a second, where a round of transactions takes so long, and so
/// long what is thought before it.
fn stage_of(round: Duration, thinking: Duration) -> u64 {
    let needed = round.saturating_mul(STAGE_PER_ROUND);
    let needed = needed.saturating_add(thinking).as_millis();
    let needed = u64::try_from(needed).unwrap_or(u64::MAX);
    needed
        .clamp(*STAGE_MS.start(), *STAGE_MS.end())
        .next_multiple_of(100)
}

/// Waits until the validator of a client has finalized a block.
pub async fn wait_block(client: &Client, number: u64) -> Result<(), Error> {
    while client.block_number().await? < number {
        tokio::time::sleep(POLL).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::stage_of;
    use std::time::Duration;

    #[test]
    fn a_stage_grows_with_the_time_of_a_round_between_its_bounds() {
        let of = |ms| stage_of(Duration::from_millis(ms), Duration::ZERO);
        assert_eq!((of(0), of(100)), (1_000, 1_000));
        assert_eq!((of(300), of(301)), (1_800, 1_900));
        assert_eq!(of(1_000_000), 30_000);
        let thinking = Duration::from_millis(250);
        assert_eq!(stage_of(Duration::from_millis(300), thinking), 2_100);
    }
}
