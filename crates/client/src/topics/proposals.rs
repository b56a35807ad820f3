//! What a topic's owner wants to change, and stake that does not count yet: both are in no view of the
//! contract and are read from the log.

use super::{Policy, TopicEvent, TopicLog, Topics};
use crate::ClientError;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::Filter;
use alloy_sol_types::{SolCall, SolEvent};
use hallmark_abi::ITopics;
use hallmark_types::addresses::TOPICS;
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A change of a topic's policy or owner that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Proposal {
    /// From then on it is applied between two epochs.
    pub effective_at_ms: u64,
    /// Whether it ends the topic.
    pub retires: bool,
    /// `None` if the topic is to end.
    pub new_owner: Option<Address>,
    /// `None` if the topic is to end, or the owner is a contract, whose call is not in the transaction itself.
    pub policy: Option<Policy>,
    /// Stake against it so far, in wei.
    #[serde(serialize_with = "super::types::wei")]
    pub against: u128,
}

/// Where a proposal stands after a topic's events.
#[derive(Debug, Default, PartialEq, Eq)]
struct Standing {
    effective_at_ms: u64,
    /// `None` if the topic is to end.
    new_owner: Option<Address>,
    against: u128,
    transaction: B256,
}

impl Topics {
    /// The proposal that waits in a topic, if there is one. Searches the log back to the latest one.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn proposal(&self, topic: U256) -> Result<Option<Proposal>, ClientError> {
        let head = self.client().block_number().await?;
        let filter = Filter::new()
            .topic1(B256::from(topic))
            .event_signature(vec![
                ITopics::Created::SIGNATURE_HASH,
                ITopics::PolicyProposed::SIGNATURE_HASH,
                ITopics::RetirementProposed::SIGNATURE_HASH,
                ITopics::Vetoed::SIGNATURE_HASH,
                ITopics::PolicyChanged::SIGNATURE_HASH,
                ITopics::Retired::SIGNATURE_HASH,
            ]);
        let logs = self.search_back(filter, 0, head, |log| {
            matches!(
                log.event,
                TopicEvent::Created(_)
                    | TopicEvent::PolicyProposed(_)
                    | TopicEvent::RetirementProposed(_)
                    | TopicEvent::PolicyChanged(_)
                    | TopicEvent::Retired(_)
            )
        });
        let Some(found) = standing(&logs.await?) else {
            return Ok(None);
        };
        Ok(Some(Proposal {
            effective_at_ms: found.effective_at_ms,
            retires: found.new_owner.is_none(),
            new_owner: found.new_owner,
            policy: self.proposed_policy(found.transaction).await?,
            against: found.against,
        }))
    }

    /// The policy that a transaction proposed, if it called the contract itself.
    async fn proposed_policy(&self, transaction: B256) -> Result<Option<Policy>, ClientError> {
        #[derive(Debug, Deserialize)]
        struct Sent {
            to: Option<Address>,
            input: Bytes,
        }
        let params = json!([transaction]);
        let sent: Option<Sent> = self
            .client()
            .request("eth_getTransactionByHash", params)
            .await?;
        let call = sent
            .filter(|sent| sent.to == Some(TOPICS))
            .and_then(|sent| ITopics::proposePolicyCall::abi_decode(&sent.input).ok());
        Ok(call.map(|call| Policy::from_abi(call.policy)))
    }

    /// Stake on a pool that waits for the end of the epoch under way, in wei: it counts nowhere yet.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn waiting_stake(&self, topic: U256, pool: U256) -> Result<u128, ClientError> {
        let found = self.get(topic).await?;
        if !found.stage.is_running() {
            return Ok(0);
        }
        let opened = self.epoch(topic, found.epoch).await?.opened_at_ms;
        let head = self.client().block_number().await?;
        let from = self.first_block_since(opened, head).await?;
        let staked = Filter::new()
            .topic1(B256::from(pool))
            .event_signature(ITopics::Staked::SIGNATURE_HASH);
        Ok(waiting(&self.search(staked, from, head).await?))
    }

    /// The first block, of those up to `head`, whose clock is not before a time.
    async fn first_block_since(&self, time_ms: u64, head: u64) -> Result<u64, ClientError> {
        let (mut low, mut high) = (0, head);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.client().block_time_ms(middle).await? {
                Some(time) if time >= time_ms => high = middle,
                _ => low = middle + 1,
            }
        }
        Ok(low)
    }
}

/// What stands of the proposals that these events tell of, oldest first.
fn standing(logs: &[TopicLog]) -> Option<Standing> {
    let mut standing: Option<Standing> = None;
    for log in logs {
        match &log.event {
            TopicEvent::PolicyProposed(e) => {
                standing = Some(Standing {
                    effective_at_ms: e.effectiveAtMs,
                    new_owner: Some(e.newOwner),
                    against: 0,
                    transaction: log.transaction,
                });
            }
            TopicEvent::RetirementProposed(e) => {
                standing = Some(Standing {
                    effective_at_ms: e.effectiveAtMs,
                    new_owner: None,
                    against: 0,
                    transaction: log.transaction,
                });
            }
            TopicEvent::Vetoed(e) if e.struck => standing = None,
            TopicEvent::Vetoed(e) => {
                if let Some(standing) = &mut standing {
                    standing.against = standing.against.saturating_add(e.stake);
                }
            }
            TopicEvent::PolicyChanged(_) | TopicEvent::Retired(_) => standing = None,
            _ => {}
        }
    }
    standing
}

/// What was staked and got no shares yet.
fn waiting(logs: &[TopicLog]) -> u128 {
    let amounts = logs.iter().filter_map(|log| match &log.event {
        TopicEvent::Staked(e) if e.shares.is_zero() => Some(e.amount),
        _ => None,
    });
    amounts.fold(0, u128::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(event: TopicEvent) -> TopicLog {
        TopicLog {
            block: 1,
            transaction: B256::repeat_byte(7),
            event,
        }
    }

    fn proposed(effective: u64) -> TopicLog {
        log(TopicEvent::PolicyProposed(ITopics::PolicyProposed {
            topic: U256::from(1),
            effectiveAtMs: effective,
            newOwner: Address::repeat_byte(1),
        }))
    }

    fn vetoed(stake: u128, struck: bool) -> TopicLog {
        log(TopicEvent::Vetoed(ITopics::Vetoed {
            topic: U256::from(1),
            by: Address::repeat_byte(2),
            stake,
            struck,
        }))
    }

    #[test]
    fn the_latest_proposal_stands_until_it_is_struck_or_applied() {
        let topic = U256::from(1);
        let changed = || log(TopicEvent::PolicyChanged(ITopics::PolicyChanged { topic }));
        assert_eq!(standing(&[]), None);
        let stands = standing(&[proposed(5), vetoed(3, false), vetoed(4, false)]).unwrap();
        assert_eq!((stands.effective_at_ms, stands.against), (5, 7));
        // A new one begins anew.
        let stands = standing(&[proposed(5), vetoed(3, false), proposed(9)]).unwrap();
        assert_eq!((stands.effective_at_ms, stands.against), (9, 0));
        assert_eq!(standing(&[proposed(5), vetoed(3, true)]), None);
        assert_eq!(standing(&[proposed(5), changed()]), None);
        assert!(standing(&[proposed(5), changed(), proposed(6)]).is_some());
        // A retirement takes a policy's place, and a policy a retirement's.
        let ending = || {
            log(TopicEvent::RetirementProposed(
                ITopics::RetirementProposed {
                    topic,
                    effectiveAtMs: 8,
                },
            ))
        };
        let stands = standing(&[proposed(5), ending(), vetoed(3, false)]).unwrap();
        assert_eq!(
            (stands.effective_at_ms, stands.new_owner, stands.against),
            (8, None, 3)
        );
        let stands = standing(&[ending(), proposed(9)]).unwrap();
        assert_eq!(stands.new_owner, Some(Address::repeat_byte(1)));
        let retired = log(TopicEvent::Retired(ITopics::Retired { topic }));
        assert_eq!(standing(&[ending(), retired]), None);
    }

    #[test]
    fn stake_without_shares_waits() {
        let staked = |amount: u128, shares: u64| {
            log(TopicEvent::Staked(ITopics::Staked {
                pool: U256::from(1),
                staker: Address::ZERO,
                amount,
                shares: U256::from(shares),
            }))
        };
        assert_eq!(waiting(&[staked(3, 0), staked(5, 5), staked(4, 0)]), 7);
        assert_eq!(waiting(&[]), 0);
    }
}
