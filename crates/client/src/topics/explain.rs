//! What mechanisms decided, from the log: shares, pay, and the columns of numbers behind them.

use super::{Kind, Slot, TopicEvent, TopicLog};
use crate::ClientError;
use alloy_primitives::{Address, U256};
use hallmark_fixed::Q64;
use hallmark_mechanisms::wire;
use std::collections::{BTreeMap, BTreeSet};

/// One mechanism's decision of one epoch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settlement {
    pub epoch: u64,
    pub mechanism: u8,
    pub block: u64,
    /// All that the mechanism paid, in wei: its slots, the topic's owner and the network.
    pub pay: u128,
    /// The slots that it judged, ascending.
    pub slots: Vec<Judged>,
}

/// What a mechanism decided of one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub slot: u16,
    pub operator: Address,
    /// In 1e-9 of what the mechanism paid its slots.
    pub share: u64,
    /// The numbers from which the share follows, in the order of the computation.
    pub numbers: Vec<(String, Q64)>,
}

impl Settlement {
    /// What was decided of a slot, if it was judged.
    pub fn slot(&self, slot: u16) -> Option<&Judged> {
        self.slots.iter().find(|judged| judged.slot == slot)
    }
}

impl Judged {
    /// One of the numbers by its name.
    pub fn number(&self, name: &str) -> Option<Q64> {
        let mut found = self.numbers.iter();
        found.find(|number| number.0 == name).map(|number| number.1)
    }
}

/// Pay of one slot in one epoch, in wei.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paid {
    pub to_operator: u128,
    pub to_pool: u128,
}

/// A topic's past, from its events.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub settlements: Vec<Settlement>,
    /// By epoch and slot.
    pub paid: BTreeMap<(u64, u16), Paid>,
    /// Value and percentiles by epoch (q64).
    pub inferred: BTreeMap<u64, (i128, [i128; 5])>,
    /// Payloads by epoch, mechanism and slot.
    pub revealed: BTreeMap<(u64, u8, u16), Vec<u8>>,
    /// Bond burned for a reveal that never came, by epoch and slot, where the log says how much.
    pub burned: BTreeMap<(u64, u16), u128>,
    /// Commitments by epoch, mechanism and slot.
    committed: BTreeSet<(u64, u8, u16)>,
    /// Epochs whose test set was opened.
    tested: BTreeSet<u64>,
    kinds: Vec<Kind>,
}

impl History {
    /// Reads a topic's events in the order of the chain, from its creation on: who holds a slot
    /// follows from them. `kinds` are the topic's mechanisms; `workers` is the number of its slots
    /// for workers, after which come those of the judges.
    ///
    /// # Errors
    /// An explanation whose bytes are not of its form.
    pub fn read(logs: &[TopicLog], kinds: &[Kind], workers: u16) -> Result<Self, ClientError> {
        Self::follow(BTreeMap::new(), logs, kinds, workers)
    }

    /// The same of a topic's latest events alone; `slots` are its slots at any time between the first
    /// and the last of them.
    pub(super) fn read_latest(
        slots: &[Slot],
        logs: &[TopicLog],
        kinds: &[Kind],
        workers: u16,
    ) -> Result<Self, ClientError> {
        let held = slots.iter().filter(|slot| slot.is_held());
        let mut holders = held.map(|slot| (slot.index, slot.operator)).collect();
        for log in logs.iter().rev() {
            undo(&mut holders, &log.event);
        }
        Self::follow(holders, logs, kinds, workers)
    }

    /// Reads events from when `holders` had the slots.
    fn follow(
        mut holders: BTreeMap<u16, Address>,
        logs: &[TopicLog],
        kinds: &[Kind],
        workers: u16,
    ) -> Result<Self, ClientError> {
        let mut history = Self {
            kinds: kinds.to_vec(),
            ..Self::default()
        };
        for log in logs {
            match &log.event {
                TopicEvent::Registered(e) => {
                    holders.insert(e.slot, e.operator);
                }
                TopicEvent::Left(e) => {
                    holders.remove(&e.slot);
                }
                TopicEvent::Pruned(e) => {
                    holders.remove(&e.slot);
                }
                TopicEvent::Inferred(e) => {
                    history.inferred.insert(e.epoch, (e.value, e.percentiles));
                }
                TopicEvent::Revealed(e) => {
                    let place = (e.epoch, e.mechanism, e.slot);
                    history.revealed.insert(place, e.payload.to_vec());
                }
                TopicEvent::Withheld(e) => {
                    history.burned.insert((e.epoch, e.slot), e.burned);
                }
                TopicEvent::Committed(e) => {
                    history.committed.insert((e.epoch, e.mechanism, e.slot));
                }
                TopicEvent::TestSetRevealed(e) => {
                    history.tested.insert(e.epoch);
                }
                TopicEvent::Paid(e) => {
                    let paid = Paid {
                        to_operator: e.toOperator,
                        to_pool: e.toPool,
                    };
                    history.paid.insert((e.epoch, e.slot), paid);
                }
                TopicEvent::Settled(e) => {
                    // Free slots and, but for synthesis, judges' slots are not entries.
                    let kind = kinds.get(usize::from(e.mechanism)).copied();
                    let judged: Vec<(u16, Address)> = holders
                        .iter()
                        .filter(|(slot, _)| kind == Some(Kind::Synthesis) || **slot < workers)
                        .map(|(slot, operator)| (*slot, *operator))
                        .collect();
                    let columns = columns(&e.explanation, judged.len(), e.shares.len())
                        .map_err(|error| unreadable(e.topic, e.epoch, &error))?;
                    let slots = judged
                        .iter()
                        .enumerate()
                        .map(|(index, &(slot, operator))| Judged {
                            slot,
                            operator,
                            share: e.shares.get(index).copied().unwrap_or_default(),
                            numbers: columns
                                .iter()
                                .filter_map(|(name, values)| {
                                    Some((name.clone(), *values.get(index)?))
                                })
                                .collect(),
                        })
                        .collect();
                    history.settlements.push(Settlement {
                        epoch: e.epoch,
                        mechanism: e.mechanism,
                        block: log.block,
                        pay: e.pay,
                        slots,
                    });
                }
                _ => {}
            }
        }
        Ok(history)
    }

    /// Whether a slot committed to an answer in an epoch that is over and did not reveal it, so that
    /// its bond was burned. A node may not tell what the chain did by itself; commitments and reveals are
    /// always in the log. A score without a test set is forgiven.
    pub fn is_withheld(&self, epoch: u64, slot: u16) -> bool {
        let mechanisms = (0u8..).zip(&self.kinds);
        self.burned.contains_key(&(epoch, slot))
            || mechanisms.into_iter().any(|(mechanism, kind)| {
                let place = (epoch, mechanism, slot);
                self.committed.contains(&place)
                    && !self.revealed.contains_key(&place)
                    && (*kind != Kind::Score || self.tested.contains(&epoch))
            })
    }

    /// A mechanism's decision of an epoch, if the log has it.
    pub fn settlement(&self, epoch: u64, mechanism: u8) -> Option<&Settlement> {
        self.settlements
            .iter()
            .find(|s| s.epoch == epoch && s.mechanism == mechanism)
    }
}

/// Who had the slots before an event.
fn undo(holders: &mut BTreeMap<u16, Address>, event: &TopicEvent) {
    match event {
        TopicEvent::Registered(e) => {
            holders.remove(&e.slot);
        }
        TopicEvent::Left(e) => {
            holders.insert(e.slot, e.operator);
        }
        TopicEvent::Pruned(e) => {
            holders.insert(e.slot, e.operator);
        }
        _ => {}
    }
}

fn columns(bytes: &[u8], held: usize, shares: usize) -> Result<Vec<wire::NamedColumn>, String> {
    if held != shares {
        return Err(format!("{shares} shares for {held} holders of slots"));
    }
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    wire::decode_explanation(bytes, shares)
}

fn unreadable(topic: U256, epoch: u64, error: &str) -> ClientError {
    ClientError::Malformed(format!(
        "explanation of topic {topic}, epoch {epoch}: {error}"
    ))
}
