//! The chain as certificates show it.

use super::{
    LightError,
    proofs::{Finality, StateProof, check_account},
};
use crate::{Client, OrderReceipt, receipt};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use hallmark_consensus::{certificate, epoch_of, genesis_committee};
use hallmark_contracts::{Reader, staking::Staking};
use hallmark_types::{ChainSpec, Committee, Member, addresses::STAKING, header};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc};

/// Layout of a checkpoint file.
const VERSION: u32 = 1;
/// Sets kept at most; the oldest go first.
const MAX_COMMITTEES: usize = 4_096;

/// The shortest time in which `trusting_epochs` epochs can pass, milliseconds.
pub fn trusting_period_ms(spec: &ChainSpec) -> u64 {
    spec.staking
        .epoch_blocks
        .saturating_mul(spec.limits.min_block_interval_ms)
        .saturating_mul(spec.staking.trusting_epochs.into())
}

/// A block that somebody trusts, with the validators that certify what follows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Checkpoint {
    /// Layout of the file.
    pub version: u32,
    /// Hash of the chain spec.
    pub spec: B256,
    /// Height of the block.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its header time, Unix milliseconds.
    pub timestamp_ms: u64,
    /// Public keys of the validators of its epoch, in the order of the set.
    pub validators: Vec<B256>,
    /// Those of the next epoch.
    pub next_validators: Vec<B256>,
}

/// The newest final block that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Newest {
    number: u64,
    hash: B256,
    timestamp_ms: u64,
}

/// A light client of one chain.
#[derive(Clone)]
pub struct Light {
    spec: Arc<ChainSpec>,
    newest: Newest,
    committees: BTreeMap<u64, Committee>,
}

impl Light {
    /// A light client that trusts the chain spec.
    pub fn from_spec(spec: Arc<ChainSpec>) -> Self {
        let committees = (0..2)
            .filter_map(|epoch| genesis_committee(&spec, epoch))
            .map(|committee| (committee.epoch, committee))
            .collect();
        Self {
            newest: Newest {
                number: 0,
                hash: B256::ZERO,
                timestamp_ms: spec.genesis_timestamp_ms,
            },
            spec,
            committees,
        }
    }

    /// A light client that trusts a checkpoint.
    ///
    /// # Errors
    /// [`LightError::Expired`] or [`LightError::Checkpoint`].
    pub fn from_checkpoint(
        spec: Arc<ChainSpec>,
        checkpoint: &Checkpoint,
        now_ms: u64,
    ) -> Result<Self, LightError> {
        let unusable = |reason: &str| Err(LightError::Checkpoint(reason.to_owned()));
        if checkpoint.version != VERSION {
            return unusable("it has another layout than this program reads");
        }
        if checkpoint.spec != spec.hash() {
            return unusable("it is of another chain spec");
        }
        if checkpoint.validators.is_empty() || checkpoint.next_validators.is_empty() {
            return unusable("it names no validators");
        }
        let age_ms = now_ms.saturating_sub(checkpoint.timestamp_ms);
        let period_ms = trusting_period_ms(&spec);
        if age_ms > period_ms {
            return Err(LightError::Expired { age_ms, period_ms });
        }
        let epoch = epoch_of(&spec, checkpoint.number);
        let sets = [
            (epoch, &checkpoint.validators),
            (epoch.saturating_add(1), &checkpoint.next_validators),
        ];
        let committees = sets
            .into_iter()
            .map(|(epoch, keys)| (epoch, committee_of(epoch, keys)))
            .collect();
        Ok(Self {
            newest: Newest {
                number: checkpoint.number,
                hash: checkpoint.hash,
                timestamp_ms: checkpoint.timestamp_ms,
            },
            spec,
            committees,
        })
    }

    /// What a light client can begin with that trusts this one. `None` before the first block.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        let epoch = epoch_of(&self.spec, self.newest.number);
        let keys = |epoch: u64| -> Option<Vec<B256>> {
            let committee = self.committees.get(&epoch)?;
            Some(
                committee
                    .members
                    .iter()
                    .map(|m| m.public_key.into())
                    .collect(),
            )
        };
        (self.newest.number > 0).then_some(Checkpoint {
            version: VERSION,
            spec: self.spec.hash(),
            number: self.newest.number,
            hash: self.newest.hash,
            timestamp_ms: self.newest.timestamp_ms,
            validators: keys(epoch)?,
            next_validators: keys(epoch.checked_add(1)?)?,
        })
    }

    /// The chain.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// Height of the newest block known to be final.
    pub fn number(&self) -> u64 {
        self.newest.number
    }

    /// Hash of the newest block known to be final; zero before the first.
    pub fn hash(&self) -> B256 {
        self.newest.hash
    }

    /// How long ago the newest known block was made, by its header, milliseconds.
    pub fn age_ms(&self, now_ms: u64) -> u64 {
        now_ms.saturating_sub(self.newest.timestamp_ms)
    }

    /// The validators of an epoch, if they are known.
    pub fn committee(&self, epoch: u64) -> Option<&Committee> {
        self.committees.get(&epoch)
    }

    /// The header of a final block of an epoch whose validators are known.
    ///
    /// # Errors
    /// Whatever is wrong with the answer.
    pub fn check_finality(&self, finality: &Finality) -> Result<Header, LightError> {
        let (first, last) = finality.headers()?;
        for header in [&first, &last] {
            let stated = header::extra(header)
                .map_err(|error| LightError::Header(error.to_string()))?
                .epoch
                .into();
            if epoch_of(&self.spec, header.number) != stated {
                return Err(LightError::WrongEpoch {
                    number: header.number,
                    epoch: stated,
                });
            }
        }
        let epoch = epoch_of(&self.spec, last.number);
        let committee = self
            .committees
            .get(&epoch)
            .ok_or(LightError::UnknownCommittee(epoch))?;
        certificate::verify(&self.spec, committee, &last, &finality.certificate)?;
        let found = first.hash_slow();
        if first.number == self.newest.number && found != self.newest.hash {
            return Err(LightError::Fork {
                number: first.number,
                known: self.newest.hash,
                found,
            });
        }
        Ok(first)
    }

    /// Learns the validators of the first epoch that is not known, from the proof of their set in the
    /// state after the last block of the epoch before the previous one.
    ///
    /// # Errors
    /// Whatever is wrong with the answer; nothing is learned then.
    pub fn learn_committee(&mut self, proof: &StateProof) -> Result<(), LightError> {
        let epoch = self.next_unknown();
        let frozen_in = epoch.saturating_sub(2);
        let expected = frozen_in
            .saturating_add(1)
            .saturating_mul(self.spec.staking.epoch_blocks)
            .saturating_sub(1);
        let boundary = self.check_finality(&proof.finality)?;
        if boundary.number != expected {
            return Err(LightError::OtherBoundary {
                epoch,
                expected,
                found: boundary.number,
            });
        }
        let words = check_account(boundary.state_root, STAKING, &proof.account)?;
        let mut reader = Reader::new(|address: Address, slot: U256| {
            let word = (address == STAKING).then(|| words.get(&B256::from(slot)));
            word.flatten()
                .copied()
                .ok_or_else(|| format!("slot {slot:#x} of {address} is left out"))
        });
        let unproven = |reason: String| LightError::Committee { epoch, reason };
        let committee = Staking::new()
            .committee(&mut reader, epoch)
            .map_err(|error| unproven(format!("{error:?}")))?
            .ok_or_else(|| unproven("the set is empty".to_owned()))?;
        self.committees.insert(epoch, committee);
        while self.committees.len() > MAX_COMMITTEES {
            self.committees.pop_first();
        }
        Ok(())
    }

    /// The first epoch whose validators are not known.
    pub fn next_unknown(&self) -> u64 {
        self.committees
            .last_key_value()
            .map_or(0, |(epoch, _)| epoch.saturating_add(1))
    }

    /// Takes a final block as the newest one if it is newer.
    ///
    /// # Errors
    /// [`LightError::Stale`] if an older block is known to be final already; whatever is wrong with
    /// the answer.
    pub fn advance(&mut self, finality: &Finality) -> Result<Header, LightError> {
        let header = self.check_finality(finality)?;
        if header.number < self.newest.number {
            return Err(LightError::Stale {
                known: self.newest.number,
                found: header.number,
            });
        }
        self.newest = Newest {
            number: header.number,
            hash: header.hash_slow(),
            timestamp_ms: header::timestamp_ms(&header),
        };
        Ok(header)
    }

    /// Learns every set up to that of the epoch after a height's, from a node.
    async fn learn_up_to(&mut self, node: &Client, number: u64) -> Result<(), LightError> {
        let last = epoch_of(&self.spec, number).saturating_add(1);
        while self.next_unknown() <= last {
            let epoch = self.next_unknown();
            let proof: StateProof = node.request("net_committee", json!([epoch])).await?;
            self.learn_committee(&proof)?;
        }
        Ok(())
    }

    /// Follows the chain to the newest block that a node has.
    ///
    /// # Errors
    /// The node lies, is behind, or does not answer; what was learned before that stays.
    pub async fn follow(&mut self, node: &Client) -> Result<(), LightError> {
        self.check_chain(node)?;
        let finality: Finality = node
            .request("net_finalizedCertificate", json!(["latest"]))
            .await?;
        // Only how far to look: the header is checked when the validators of its epoch are known.
        let (first, last) = finality.headers()?;
        if first.number < self.newest.number {
            return Err(LightError::Stale {
                known: self.newest.number,
                found: first.number,
            });
        }
        self.learn_up_to(node, last.number).await?;
        self.advance(&finality).map(|_| ())
    }

    fn check_chain(&self, node: &Client) -> Result<(), LightError> {
        let (expected, found) = (self.spec.chain_id, node.chain_id());
        if expected != found {
            return Err(LightError::OtherChain { expected, found });
        }
        Ok(())
    }

    /// An account and some of its slots in the newest state of a node, proven.
    ///
    /// # Errors
    /// As [`Light::follow`].
    pub async fn account(
        &mut self,
        node: &Client,
        address: Address,
        slots: &[B256],
    ) -> Result<EIP1186AccountProofResponse, LightError> {
        self.check_chain(node)?;
        let asked = json!([address, slots, "latest"]);
        let proof: StateProof = node.request("net_stateProof", asked).await?;
        let (_, last) = proof.finality.headers()?;
        self.learn_up_to(node, last.number).await?;
        let header = self.advance(&proof.finality)?;
        check_account(header.state_root, address, &proof.account)?;
        // Whoever reads the words by their place must find what was asked for there.
        let words = proof.account.storage_proof.iter();
        if !words
            .map(|word| word.key.as_b256())
            .eq(slots.iter().copied())
        {
            return Err(LightError::OtherAnswer);
        }
        Ok(proof.account)
    }

    /// The receipt of a paid order, verified.
    ///
    /// # Errors
    /// As [`Light::follow`], and [`LightError::Receipt`].
    pub async fn order_receipt(
        &mut self,
        node: &Client,
        order: U256,
    ) -> Result<OrderReceipt, LightError> {
        self.follow(node).await?;
        let file = OrderReceipt::build(node, order).await?;
        receipt::verify_with(&file, &self.spec, |epoch| {
            self.committees.get(&epoch).cloned()
        })?;
        if file.order_id != order {
            return Err(LightError::OtherAnswer);
        }
        Ok(file)
    }
}

/// A committee of which only the keys are known, which is all that certificates need.
fn committee_of(epoch: u64, keys: &[B256]) -> Committee {
    let members = keys.iter().map(|key| Member {
        public_key: key.0,
        address: Address::ZERO,
        stake: U256::ZERO,
        p2p: String::new(),
    });
    Committee {
        epoch,
        members: members.collect(),
    }
}
