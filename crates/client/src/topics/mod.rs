//! Contract `Topics`: markets of intelligence.
//!
//! [`Topics`] is a handle on a [`Client`]. Whoever answers commits first and reveals later:
//!
//! 1. [`Topics::prepare`] checks the answer as the contract will when it is revealed, draws a salt,
//!    computes the commitment and writes both with the answer to the [`SaltStore`]; only then is
//!    anything sent.
//! 2. [`Topics::commit`] sends the commitment. Sending it again after a crash is harmless.
//! 3. [`Topics::reveal`] opens it, in the stage of the slot's role. A commitment that is never
//!    opened costs the slot's bond, so the store must survive whatever happens to the program.
//!
//! [`work`] does these steps for a slot, epoch after epoch; [`program`] runs any program as the one
//! who answers. [`score`] has the test sets and the proofs of score topics. [`explain`] reads from the
//! log why a slot got what it got, and [`chart`] draws it.

pub mod chart;
mod events;
pub mod explain;
mod payload;
mod plan;
pub mod program;
mod proposals;
mod salts;
pub mod score;
#[cfg(test)]
mod tests;
mod types;
pub mod work;

pub use events::{TopicEvent, TopicLog};
pub use explain::History;
pub use payload::{MAX_PAYLOAD_BYTES, Payload, PayloadFault};
pub use plan::PlanError;
pub use proposals::Proposal;
pub use salts::{Answer, SaltError, SaltStore, Submission};
pub use score::{KeptTestSet, Prover, TestSet};
pub use types::{
    Balances, Epoch, Inference, Kind, Mechanism, NO_SLOT, NameError, Policy, Pool, Role, Rules,
    Slot, Stage, Topic, TopicPlan, decimal, q64_to_f64,
};

use crate::{Call, Client, ClientError, TransactionReceipt};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::{SolCall, SolEvent, SolValue};
use futures::{StreamExt, TryStreamExt, stream};
use hallmark_abi::ITopics;
use hallmark_types::addresses::TOPICS;

/// Slots that one call lists at most.
const PAGE: u64 = 64;
/// Requests in flight while listing.
const PARALLEL: usize = 8;

/// Typed access to contract `Topics` over a client's connection and key.
#[derive(Clone)]
pub struct Topics {
    client: Client,
}

impl Client {
    /// The markets of intelligence.
    pub fn topics(&self) -> Topics {
        Topics {
            client: self.clone(),
        }
    }
}

impl Topics {
    /// The connection beneath.
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn send(&self, call: &impl SolCall) -> Result<TransactionReceipt, ClientError> {
        self.client.execute(Call::new(TOPICS, call)).await
    }

    async fn pay(
        &self,
        call: &impl SolCall,
        value: U256,
    ) -> Result<TransactionReceipt, ClientError> {
        let call = Call::new(TOPICS, call).value(value);
        self.client.execute(call).await
    }

    async fn ask<C: SolCall>(&self, call: &C) -> Result<C::Return, ClientError> {
        self.client.query(TOPICS, call).await
    }

    // --- topics ---------------------------------------------------------------------------------

    /// Makes a topic; pays its bond and the fee.
    ///
    /// # Errors
    /// The contract's own by name: `InvalidPolicy`, `InvalidMechanism`…
    pub async fn create(
        &self,
        plan: &TopicPlan,
    ) -> Result<(U256, TransactionReceipt), ClientError> {
        let rules = self.rules().await?;
        let call = ITopics::createCall {
            title: plan.title.clone(),
            policy: plan.policy.to_abi(),
            mechanisms: plan.mechanisms.iter().map(Mechanism::to_abi).collect(),
        };
        let value = U256::from(rules.topic_bond) + U256::from(rules.create_fee);
        let receipt = self.pay(&call, value).await?;
        let created: ITopics::Created = event(&receipt)?;
        Ok((created.topic, receipt))
    }

    /// Burns coins as the topic's income, in wei.
    pub async fn fund(&self, topic: U256, value: U256) -> Result<TransactionReceipt, ClientError> {
        self.pay(&ITopics::fundCall { topic }, value).await
    }

    /// Gives coins to the topic's participants over many epochs, in wei.
    pub async fn grant(&self, topic: U256, value: U256) -> Result<TransactionReceipt, ClientError> {
        self.pay(&ITopics::grantCall { topic }, value).await
    }

    /// Proposes another policy and owner, which wait for the timelock: until the time that this gives,
    /// in milliseconds.
    ///
    /// # Errors
    /// The contract's own by name: `NotOwner`, `InvalidPolicy`…
    pub async fn propose_policy(
        &self,
        topic: U256,
        policy: &Policy,
        new_owner: Address,
    ) -> Result<(u64, TransactionReceipt), ClientError> {
        let call = ITopics::proposePolicyCall {
            topic,
            policy: policy.to_abi(),
            newOwner: new_owner,
        };
        let receipt = self.send(&call).await?;
        let proposed: ITopics::PolicyProposed = event(&receipt)?;
        Ok((proposed.effectiveAtMs, receipt))
    }

    /// Adds the stake in a pool to the veto against the waiting proposal; what was counted, in wei,
    /// and whether that struck it.
    ///
    /// # Errors
    /// The contract's own by name: `NothingProposed`, `InsufficientShares`…
    pub async fn veto(
        &self,
        topic: U256,
        pool: U256,
    ) -> Result<(u128, bool, TransactionReceipt), ClientError> {
        let receipt = self.send(&ITopics::vetoCall { topic, pool }).await?;
        let vetoed: ITopics::Vetoed = event(&receipt)?;
        Ok((vetoed.stake, vetoed.struck, receipt))
    }

    /// Proposes the topic's end; the time from which on it happens, in Unix milliseconds, unless stake
    /// strikes it.
    pub async fn retire(&self, topic: U256) -> Result<(u64, TransactionReceipt), ClientError> {
        let receipt = self.send(&ITopics::retireCall { topic }).await?;
        let proposed: ITopics::RetirementProposed = event(&receipt)?;
        Ok((proposed.effectiveAtMs, receipt))
    }

    /// Frees this key's part of what a retired topic did not pay of its grants, in wei.
    pub async fn reclaim(&self, topic: U256) -> Result<(U256, TransactionReceipt), ClientError> {
        let receipt = self.send(&ITopics::reclaimCall { topic }).await?;
        let reclaimed: ITopics::Reclaimed = event(&receipt)?;
        Ok((reclaimed.amount, receipt))
    }

    // --- slots and stake ------------------------------------------------------------------------

    /// What a slot costs now: its bond, and the compensation of whom a newcomer puts out, in wei.
    pub async fn entry(&self, topic: U256, role: Role) -> Result<(u128, u128), ClientError> {
        let role = role.to_abi();
        let due = self.ask(&ITopics::entryCall { topic, role }).await?;
        Ok((due.bond, due.compensation))
    }

    /// Takes a slot. `value` is the price and any compensation; what is above goes back to the key's balance, in wei.
    pub async fn register(
        &self,
        topic: U256,
        role: Role,
        value: U256,
    ) -> Result<(u16, TransactionReceipt), ClientError> {
        let role = role.to_abi();
        let call = ITopics::registerCall { topic, role };
        let receipt = self.pay(&call, value).await?;
        let registered: ITopics::Registered = event(&receipt)?;
        Ok((registered.slot, receipt))
    }

    /// Adds to the bond of this key's slot, in wei.
    pub async fn top_up(
        &self,
        topic: U256,
        slot: u16,
        value: U256,
    ) -> Result<TransactionReceipt, ClientError> {
        self.pay(&ITopics::topUpCall { topic, slot }, value).await
    }

    /// Frees this key's slot.
    pub async fn leave(&self, topic: U256, slot: u16) -> Result<TransactionReceipt, ClientError> {
        self.send(&ITopics::leaveCall { topic, slot }).await
    }

    /// Stakes coins on a slot, in wei.
    pub async fn stake(
        &self,
        topic: U256,
        slot: u16,
        value: U256,
    ) -> Result<TransactionReceipt, ClientError> {
        self.pay(&ITopics::stakeCall { topic, slot }, value).await
    }

    /// Takes shares out of a pool; free after the delay, by [`Topics::withdraw`].
    pub async fn unstake(
        &self,
        pool: U256,
        shares: U256,
    ) -> Result<TransactionReceipt, ClientError> {
        self.send(&ITopics::unstakeCall { pool, shares }).await
    }

    /// Sets the operator's part of what its pool earns, in 1/10000; from when, in milliseconds: a raise
    /// waits.
    ///
    /// # Errors
    /// The contract's own by name: `NotOperator`, `InvalidPolicy`…
    pub async fn set_take(
        &self,
        topic: U256,
        slot: u16,
        take_bps: u16,
    ) -> Result<(u64, TransactionReceipt), ClientError> {
        let call = ITopics::setTakeCall {
            topic,
            slot,
            takeBps: take_bps,
        };
        let receipt = self.send(&call).await?;
        let changed: ITopics::TakeChanged = event(&receipt)?;
        Ok((changed.fromMs, receipt))
    }

    /// Moves what is free to this key's account; the amount in wei.
    pub async fn withdraw(&self) -> Result<(U256, TransactionReceipt), ClientError> {
        let receipt = self.send(&ITopics::withdrawCall {}).await?;
        let withdrawn: ITopics::Withdrawn = event(&receipt)?;
        Ok((withdrawn.amount, receipt))
    }

    // --- epochs ---------------------------------------------------------------------------------

    /// Checks an answer by the topic's policy, draws a salt for it and writes both to the store, on
    /// disk when this returns. The same answer gets the salt that it already has.
    ///
    /// # Errors
    /// [`PayloadFault`] for an answer that could never be revealed; no key, no randomness, or the
    /// store cannot be written.
    pub async fn prepare(
        &self,
        store: &SaltStore,
        submission: Submission,
        payload: &[u8],
    ) -> Result<Answer, ClientError> {
        let operator = self.client.address().ok_or(ClientError::NoKey)?;
        let chain = self.client.chain_id();
        let of = submission;
        let (topic, mechanisms, slot) = futures::try_join!(
            self.get(of.topic),
            self.mechanisms(of.topic),
            self.slot(of.topic, of.slot),
        )?;
        let mechanism = mechanisms.get(usize::from(of.mechanism)).ok_or_else(|| {
            ClientError::Malformed(format!(
                "topic {} has no mechanism {}",
                of.topic, of.mechanism
            ))
        })?;
        let payload = Payload::check(of, mechanism.kind, slot.role, &topic.policy, payload)?;
        Ok(store.prepare(chain, operator, submission, &payload)?)
    }

    /// Sends the commitment of a prepared answer with the topic's fee.
    ///
    /// # Errors
    /// The contract's own by name: `TooLate`, `DuplicateSubmission`, `CommitmentOpen`…
    pub async fn commit(
        &self,
        answer: &Answer,
        submit_fee: u128,
    ) -> Result<TransactionReceipt, ClientError> {
        let of = answer.submission;
        let call = ITopics::commitCall {
            topic: of.topic,
            epoch: of.epoch,
            mechanism: of.mechanism,
            slot: of.slot,
            commitment: answer.commitment,
        };
        self.pay(&call, U256::from(submit_fee)).await
    }

    /// Opens a commitment.
    pub async fn reveal(&self, answer: &Answer) -> Result<TransactionReceipt, ClientError> {
        let of = answer.submission;
        self.send(&ITopics::revealCall {
            topic: of.topic,
            epoch: of.epoch,
            mechanism: of.mechanism,
            slot: of.slot,
            salt: answer.salt,
            payload: answer.payload.clone(),
        })
        .await
    }

    /// Opens whatever the store keeps for a submission: of several answers, the one that the chain
    /// has the commitment of. `None` if the store keeps none.
    ///
    /// # Errors
    /// The contract's refusal of the last one tried.
    pub async fn reveal_kept(
        &self,
        store: &SaltStore,
        submission: Submission,
    ) -> Result<Option<(Answer, TransactionReceipt)>, ClientError> {
        let operator = self.client.address().ok_or(ClientError::NoKey)?;
        let mut refusal = None;
        for answer in store.find(self.client.chain_id(), operator, submission)? {
            match self.reveal(&answer).await {
                Ok(receipt) => return Ok(Some((answer, receipt))),
                Err(error) if error.is_refusal("CommitmentMismatch") => refusal = Some(error),
                Err(error) => return Err(error),
            }
        }
        refusal.map_or(Ok(None), Err)
    }

    /// Proves what the committed model answers for one sample.
    pub async fn prove(
        &self,
        submission: Submission,
        sample: u32,
        output: &[u8],
        proof: &[u8],
    ) -> Result<TransactionReceipt, ClientError> {
        self.send(&ITopics::proveCall {
            topic: submission.topic,
            epoch: submission.epoch,
            mechanism: submission.mechanism,
            slot: submission.slot,
            sample,
            output: Bytes::copy_from_slice(output),
            proof: Bytes::copy_from_slice(proof),
        })
        .await
    }

    /// Does one bounded slice of what is due in a topic.
    ///
    /// # Errors
    /// `NothingToDo` with the time from which there is.
    pub async fn advance(&self, topic: U256) -> Result<TransactionReceipt, ClientError> {
        self.send(&ITopics::advanceCall { topic }).await
    }

    // --- views ----------------------------------------------------------------------------------

    /// Number of topics; ids run from 1.
    pub async fn count(&self) -> Result<u64, ClientError> {
        Ok(self.ask(&ITopics::countCall {}).await?.saturating_to())
    }

    /// One topic.
    pub async fn get(&self, topic: U256) -> Result<Topic, ClientError> {
        Topic::from_abi(self.ask(&ITopics::getCall { topic }).await?)
    }

    /// The newest topics first, at most `limit`.
    pub async fn list(&self, limit: u64) -> Result<Vec<Topic>, ClientError> {
        let count = self.count().await?;
        let first = count.saturating_sub(limit).saturating_add(1);
        let topics = (first..=count)
            .rev()
            .map(|id| async move { self.get(U256::from(id)).await });
        stream::iter(topics).buffered(PARALLEL).try_collect().await
    }

    /// A topic's mechanisms.
    pub async fn mechanisms(&self, topic: U256) -> Result<Vec<Mechanism>, ClientError> {
        let list = self.ask(&ITopics::mechanismsCall { topic }).await?;
        list.into_iter().map(Mechanism::from_abi).collect()
    }

    /// All slots of a topic, page by page.
    pub async fn slots(&self, topic: U256) -> Result<Vec<Slot>, ClientError> {
        let mut slots = Vec::new();
        loop {
            let call = ITopics::slotsCall {
                topic,
                offset: U256::from(slots.len()),
                limit: U256::from(PAGE),
            };
            let page = self.ask(&call).await?;
            let full = page.len() as u64 >= PAGE;
            for slot in page {
                slots.push(Slot::from_abi(slot)?);
            }
            if !full {
                return Ok(slots);
            }
        }
    }

    /// One slot.
    ///
    /// # Errors
    /// [`ClientError::Malformed`] if the topic has no slot of this index.
    pub async fn slot(&self, topic: U256, slot: u16) -> Result<Slot, ClientError> {
        let call = ITopics::slotsCall {
            topic,
            offset: U256::from(slot),
            limit: U256::from(1),
        };
        match self.ask(&call).await?.into_iter().next() {
            Some(found) => Slot::from_abi(found),
            None => Err(ClientError::Malformed(format!(
                "topic {topic} has no slot {slot}"
            ))),
        }
    }

    /// The slot of an operator, if it has one.
    pub async fn slot_of(
        &self,
        topic: U256,
        operator: Address,
    ) -> Result<Option<u16>, ClientError> {
        let slot = self.ask(&ITopics::slotOfCall { topic, operator }).await?;
        Ok((slot != NO_SLOT).then_some(slot))
    }

    /// Where an epoch stands.
    pub async fn epoch(&self, topic: U256, epoch: u64) -> Result<Epoch, ClientError> {
        Epoch::from_abi(self.ask(&ITopics::epochInfoCall { topic, epoch }).await?)
    }

    /// The topic's latest network inference and its age in milliseconds, if there is one.
    pub async fn latest(&self, topic: U256) -> Result<Option<(Inference, u64)>, ClientError> {
        let latest = self.ask(&ITopics::latestCall { topic }).await?;
        let inference = Inference::from_abi(latest.inference);
        Ok((inference.epoch > 0).then_some((inference, latest.ageMs)))
    }

    /// What a slot last revealed to a mechanism, and in which epoch (zero: never).
    pub async fn submission(
        &self,
        topic: U256,
        mechanism: u8,
        slot: u16,
    ) -> Result<(u64, Bytes), ClientError> {
        let call = ITopics::submissionCall {
            topic,
            mechanism,
            slot,
        };
        let found = self.ask(&call).await?;
        Ok((found.epoch, found.payload))
    }

    /// A mechanism's memory between epochs, encoded.
    pub async fn memory(&self, topic: U256, mechanism: u8) -> Result<Bytes, ClientError> {
        self.ask(&ITopics::memoryOfCall { topic, mechanism }).await
    }

    /// Commitment and, once revealed, samples of a score topic's test set.
    pub async fn test_set(&self, topic: U256, epoch: u64) -> Result<(B256, Bytes), ClientError> {
        let set = self.ask(&ITopics::testSetCall { topic, epoch }).await?;
        Ok((set.commitment, set.samples))
    }

    /// One stake pool.
    pub async fn pool(&self, pool: U256) -> Result<Pool, ClientError> {
        Ok(Pool::from_abi(self.ask(&ITopics::poolCall { pool }).await?))
    }

    /// An account's shares of a pool and what they are worth in wei.
    pub async fn position(
        &self,
        pool: U256,
        account: Address,
    ) -> Result<(U256, u128), ClientError> {
        let found = self.ask(&ITopics::positionCall { pool, account }).await?;
        Ok((found.shares, found.amount))
    }

    /// An account's coins at the contract.
    pub async fn balances(&self, account: Address) -> Result<Balances, ClientError> {
        let found = self.ask(&ITopics::balancesCall { account }).await?;
        Ok(Balances {
            free: found.free,
            vesting: found.vesting,
            waiting: found.waiting,
            next_at_ms: found.nextAtMs,
        })
    }

    /// What every topic of this chain obeys.
    pub async fn rules(&self) -> Result<Rules, ClientError> {
        Ok(Rules::from_abi(self.ask(&ITopics::paramsCall {}).await?))
    }

    /// A topic's past, from its events.
    pub async fn history(&self, topic: U256) -> Result<History, ClientError> {
        let (found, mechanisms, logs) = futures::try_join!(
            self.get(topic),
            self.mechanisms(topic),
            self.events_since_creation(topic),
        )?;
        let kinds: Vec<Kind> = mechanisms.iter().map(|mechanism| mechanism.kind).collect();
        History::read(&logs, &kinds, found.policy.max_workers)
    }

    /// Recorded liabilities of `Topics`, in wei.
    pub async fn liabilities(&self) -> Result<U256, ClientError> {
        self.ask(&ITopics::liabilitiesCall {}).await
    }
}

/// What a submission commits to: `keccak256(abi.encode(chainId, topic, epoch, mechanism, slot,
/// operator, salt, keccak256(payload)))`.
pub fn commitment(
    chain_id: u64,
    submission: Submission,
    operator: Address,
    salt: B256,
    payload: &[u8],
) -> B256 {
    keccak256(
        (
            U256::from(chain_id),
            submission.topic,
            U256::from(submission.epoch),
            U256::from(submission.mechanism),
            U256::from(submission.slot),
            operator,
            salt,
            keccak256(payload),
        )
            .abi_encode(),
    )
}

/// What a proof of a score is bound to: `keccak256(abi.encode(chainId, topic, epoch, mechanism, slot,
/// sample))`.
pub fn proof_context(chain_id: u64, of: Submission, sample: u32) -> B256 {
    let mechanism = U256::from(of.mechanism);
    keccak256((chain_id, of.topic, of.epoch, mechanism, of.slot, sample).abi_encode())
}

/// What the owner of a test set commits to: `keccak256(abi.encode(salt, keccak256(testSet)))`.
pub fn test_set_commitment(salt: B256, test_set: &[u8]) -> B256 {
    keccak256((salt, keccak256(test_set)).abi_encode())
}

/// The first event of a kind that a transaction emitted at `Topics`.
fn event<E: SolEvent>(receipt: &TransactionReceipt) -> Result<E, ClientError> {
    receipt
        .logs()
        .iter()
        .filter(|log| log.address() == TOPICS)
        .find_map(|log| E::decode_log_data(log.data()).ok())
        .ok_or_else(|| ClientError::Malformed(format!("no event {}", E::SIGNATURE)))
}
