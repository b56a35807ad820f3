//! A topic's events as they come.

use crate::commands::{Error, stop_signal};
use crate::output::Reporter;
use alloy_primitives::U256;
use hallmark_client::{
    Topics,
    topics::{Stage, TopicEvent},
};
use std::time::Duration;

/// Time between two looks for new blocks.
const POLL: Duration = Duration::from_millis(150);

pub async fn run(
    topics: &Topics,
    topic: U256,
    from: Option<u64>,
    until_epoch: Option<u64>,
    report: &Reporter,
) -> Result<(), Error> {
    // An unknown topic is an error, not silence.
    topics.get(topic).await?;
    let head = topics.client().block_number().await?;
    let mut next = from.unwrap_or(head);
    let follow = async {
        loop {
            let head = topics.client().block_number().await?;
            if head >= next {
                for log in topics.events(topic, next, head).await? {
                    report.event(&log.to_json());
                    if let TopicEvent::StageChanged(e) = &log.event
                        && until_epoch.is_some_and(|epoch| e.epoch >= epoch)
                        && e.stage >= Stage::Done as u8
                    {
                        return Ok(());
                    }
                }
                next = head + 1;
            }
            // What the chain's own sweep does at the end of a block leaves no log.
            if let Some(epoch) = until_epoch
                && topics.get(topic).await?.epoch > epoch
            {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
    };
    tokio::select! {
        done = follow => done,
        () = report.closed() => Ok(()),
        signal = stop_signal() => signal.map_err(Error::from),
    }
}
