//! `hallmark topic`: markets of intelligence.

mod chart;
mod explain;
mod manage;
mod policy;
mod score;
mod simulate;
mod status;
mod submit;
mod watch;
mod work;

use super::{
    Error, block_on,
    chain::{connect, connect_signed},
};
use crate::cli::{SaltArgs, TopicCommand};
use crate::output::Reporter;
use alloy_primitives::U256;
use hallmark_client::{
    Client, ClientError, Topics,
    topics::{SaltStore, Slot},
};

pub fn run(command: TopicCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        TopicCommand::Simulate { file, svg } => simulate::run(&file, svg.as_deref(), report),
        TopicCommand::Create {
            file,
            title,
            kind,
            chain,
            key,
        } => block_on(async {
            let topics = connect_signed(&chain, &key).await?.topics();
            manage::create(&topics, file.as_deref(), title, kind, report).await
        }),
        TopicCommand::Status { topic, last, chain } => block_on(async {
            let topics = connect(&chain).await?.topics();
            match topic {
                Some(topic) => status::one(&topics, U256::from(topic), report).await,
                None => status::all(&topics, last.min(1_000), report).await,
            }
        }),
        TopicCommand::Join {
            topic,
            role,
            max_bond,
            stake,
            chain,
            key,
        } => block_on(async {
            let topics = connect_signed(&chain, &key).await?.topics();
            let topic = U256::from(topic);
            let joined =
                manage::join(&topics, topic, role, max_bond.as_deref(), stake.as_deref()).await?;
            manage::report_joined(topic, &joined, report);
            Ok(())
        }),
        TopicCommand::Leave { topic, chain, key } => block_on(async {
            let topics = connect_signed(&chain, &key).await?.topics();
            manage::leave(&topics, U256::from(topic), report).await
        }),
        TopicCommand::TopUp {
            topic,
            amount,
            chain,
            key,
        } => block_on(async {
            let topics = connect_signed(&chain, &key).await?.topics();
            manage::top_up(&topics, U256::from(topic), &amount, report).await
        }),
        TopicCommand::Retire {
            topic,
            reclaim,
            chain,
            key,
        } => block_on(async {
            let topics = connect_signed(&chain, &key).await?.topics();
            if reclaim {
                return manage::reclaim(&topics, U256::from(topic), report).await;
            }
            manage::retire(&topics, U256::from(topic), report).await
        }),
        TopicCommand::Stake {
            topic,
            slot,
            add,
            remove,
            chain,
            key,
        } => block_on(async {
            let topics = connect_signed(&chain, &key).await?.topics();
            let topic = U256::from(topic);
            match (add, remove) {
                (Some(amount), _) => manage::stake(&topics, topic, slot, &amount, report).await,
                (_, Some(amount)) => manage::unstake(&topics, topic, slot, &amount, report).await,
                (None, None) => Err(Error::new("give --add or --remove")),
            }
        }),
        TopicCommand::Submit(args) => submit::run(args, report),
        TopicCommand::TestSet(args) => score::test_set(args, report),
        TopicCommand::Prove(args) => score::prove(args, report),
        TopicCommand::Take {
            topic,
            percent,
            chain,
            key,
        } => block_on(async {
            let topics = connect_signed(&chain, &key).await?.topics();
            policy::take(&topics, U256::from(topic), &percent, report).await
        }),
        TopicCommand::Propose {
            topic,
            file,
            new_owner,
            chain,
            key,
        } => block_on(async {
            let topics = connect_signed(&chain, &key).await?.topics();
            let topic = U256::from(topic);
            policy::propose(&topics, topic, file.as_deref(), new_owner, report).await
        }),
        TopicCommand::Proposal { topic, chain } => block_on(async {
            let topics = connect(&chain).await?.topics();
            policy::proposal(&topics, U256::from(topic), report).await
        }),
        TopicCommand::Veto {
            topic,
            slot,
            chain,
            key,
        } => block_on(async {
            let topics = connect_signed(&chain, &key).await?.topics();
            policy::veto(&topics, U256::from(topic), slot, report).await
        }),
        TopicCommand::Fund {
            topic,
            amount,
            grant,
            chain,
            key,
        } => block_on(async {
            let topics = connect_signed(&chain, &key).await?.topics();
            manage::fund(&topics, U256::from(topic), &amount, grant, report).await
        }),
        TopicCommand::Advance { topic, chain, key } => block_on(async {
            let topics = connect_signed(&chain, &key).await?.topics();
            manage::advance(&topics, U256::from(topic), report).await
        }),
        TopicCommand::Rewards {
            account,
            withdraw,
            chain,
            key,
        } => block_on(manage::rewards(account, withdraw, chain, key, report)),
        TopicCommand::Watch {
            topic,
            from,
            until_epoch,
            chain,
        } => block_on(async {
            let topics = connect(&chain).await?.topics();
            watch::run(&topics, U256::from(topic), from, until_epoch, report).await
        }),
        TopicCommand::Explain {
            topic,
            epoch,
            slot,
            chain,
        } => block_on(async {
            let topics = connect(&chain).await?.topics();
            explain::run(&topics, U256::from(topic), epoch, slot, report).await
        }),
        TopicCommand::Chart {
            topic,
            output,
            chain,
        } => block_on(async {
            let topics = connect(&chain).await?.topics();
            chart::run(&topics, U256::from(topic), &output, report).await
        }),
        TopicCommand::Work(args) => work::run(args, report),
    }
}

/// The slot that the client's key has in a topic.
pub async fn own_slot(topics: &Topics, topic: U256) -> Result<Option<Slot>, Error> {
    let operator = topics.client().address().ok_or(ClientError::NoKey)?;
    match topics.slot_of(topic, operator).await? {
        Some(index) => Ok(Some(topics.slot(topic, index).await?)),
        None => Ok(None),
    }
}

/// The slot that a command needs.
async fn needed_slot(topics: &Topics, topic: U256) -> Result<Slot, Error> {
    own_slot(topics, topic).await?.ok_or_else(|| {
        Error::new(format!(
            "this key has no slot in topic {topic}; take one with `hallmark topic join {topic}`"
        ))
    })
}

/// The folder of what opens this chain's commitments.
async fn salts(client: &Client, args: &SaltArgs) -> Result<SaltStore, Error> {
    Ok(SaltStore::open(
        &args.secrets,
        client.genesis_hash().await?,
    )?)
}
