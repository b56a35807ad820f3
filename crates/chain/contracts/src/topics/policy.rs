//! What an owner may decide, and how stake says no.
//!
//! A proposal waits for `timelockMs` and is applied between two epochs: when the next one opens, or, in a
//! topic that rests, by the first call after its time that changes the topic, before that call's own
//! checks. While it waits, and no longer,
//! every position in a pool of the topic counts once against it, with what it is worth at that
//! moment, and an operator's with its slot's bond too. More than `vetoBps` of the base strikes it at
//! once; the base is all stake that counted and all bonds of slots in the topic when the proposal was
//! made. What was put in later, and what waited then for the end of an epoch, is not of the base and has
//! no say, so that neither side can grow, and what has voted cannot leave and come back within the time
//! (`unstakeDelayMs ≥ timelockMs`). The number of slots never changes, and mechanisms never change.

use alloy_primitives::{U256, keccak256};
use alloy_sol_types::SolValue;
use hallmark_abi::topics::ITopics::{self, Kind};
use hallmark_fixed::Q64;
use hallmark_mechanisms::wire;

use super::{
    LEAST_MIN_BOND, MAX_INFERERS, MAX_JUDGES, MAX_OWNER_BPS, MAX_STAGE_MS, MAX_VESTING_MS,
    MAX_WORKERS, MIN_STAGE_MS, MOST_MIN_BOND, Proposal, Topic, Topics, Young, emit, invalid_policy,
};
use crate::{
    Host, Result,
    host::{checked, revert},
};

impl Topics {
    /// # Errors
    ///
    /// `UnknownTopic`, `TopicRetired`, `NotOwner`, `InvalidPolicy`.
    pub fn propose_policy(
        &self,
        host: &mut dyn Host,
        call: ITopics::proposePolicyCall,
    ) -> Result<()> {
        let topic = self.living(host, call.topic)?;
        topic.only_owner(host)?;
        let now = topic.policy.load(host)?;
        let counts = |p: &ITopics::Policy| (p.maxWorkers, p.maxForecasters, p.maxReputers);
        if counts(&now) != counts(&call.policy) {
            return invalid_policy("the number of slots does not change");
        }
        if call.newOwner.is_zero() {
            return invalid_policy("a topic has an owner");
        }
        let kinds = topic.kinds(host)?;
        check_kinds(&call.policy, &kinds)?;
        let timelock = self.timelock_ms.read(host)?;
        let effectiveAtMs = checked(host.timestamp_ms().checked_add(timelock))?;
        let proposal = &topic.proposal;
        let number = checked(proposal.number.read(host)?.checked_add(1))?;
        proposal.number.write(host, number)?;
        proposal.effective_at_ms.write(host, effectiveAtMs)?;
        proposal.against.write(host, 0)?;
        let staked = topic.stake.read(host)?;
        let base = checked(staked.checked_add(topic.bonds.read(host)?))?;
        proposal.base.write(host, base)?;
        let epoch = topic.epoch.read(host)?;
        proposal.made_in.write(host, epoch)?;
        proposal.owner.write(host, call.newOwner)?;
        proposal.policy.store(host, &call.policy)?;
        let event = ITopics::PolicyProposed {
            topic: call.topic,
            effectiveAtMs,
            newOwner: call.newOwner,
        };
        emit(host, event)
    }

    /// # Errors
    ///
    /// `UnknownTopic`, `NothingProposed` also once its time has come, `UnknownPool` also of another
    /// topic or of a past holder, `InsufficientShares` for a position that is empty, younger than the
    /// proposal, or has voted.
    pub fn veto(&self, host: &mut dyn Host, id: U256, pool_id: U256) -> Result<()> {
        let topic = self.known(host, id)?;
        let proposal = &topic.proposal;
        let effective = proposal.effective_at_ms.read(host)?;
        if effective == 0 || host.timestamp_ms() >= effective {
            return revert(ITopics::NothingProposed { topic: id });
        }
        let pool = self.known_pool(host, pool_id)?;
        if U256::from(pool.topic.read(host)?) != id || !pool.live.read(host)? {
            return revert(ITopics::UnknownPool { pool: pool_id });
        }
        let by = host.caller();
        let number = proposal.number.read(host)?;
        let voted = topic
            .voted
            .at(keccak256((number, pool_id, by).abi_encode()));
        let epoch = topic.epoch.read(host)?;
        pool.ripen_for(host, &topic, by, epoch)?;
        let shares = pool.positions.at(by).read(host)?;
        let worth = pool.held(host, epoch)?.worth(shares)?;
        let young = pool.young.at(by).of(host, number)?;
        let mut stake = worth.saturating_sub(young);
        if by == pool.operator.read(host)? {
            let seat = topic.seats.at(u64::from(pool.slot.read(host)?));
            let young = seat.young.of(host, number)?;
            let bond = seat.bond.read(host)?.saturating_sub(young);
            stake = checked(stake.checked_add(bond))?;
        }
        if stake == 0 || voted.read(host)? {
            let (shares, needed) = (U256::ZERO, U256::from(1));
            return revert(ITopics::InsufficientShares { shares, needed });
        }
        voted.write(host, true)?;
        let against = checked(proposal.against.read(host)?.checked_add(stake))?;
        proposal.against.write(host, against)?;
        let all = U256::from(proposal.base.read(host)?);
        let bound = checked(all.checked_mul(U256::from(self.veto_bps.read(host)?)))?;
        let struck = checked(U256::from(against).checked_mul(U256::from(10_000)))? > bound;
        if struck {
            proposal.effective_at_ms.write(host, 0)?;
        }
        emit(
            host,
            ITopics::Vetoed {
                topic: id,
                by,
                stake,
                struck,
            },
        )
    }

    /// Applies a proposal whose time has come. Never while an epoch is under way.
    pub(super) fn apply_proposal(
        &self,
        host: &mut dyn Host,
        id: U256,
        topic: &Topic,
    ) -> Result<()> {
        let effective = topic.proposal.effective_at_ms.read(host)?;
        if effective == 0 || host.timestamp_ms() < effective {
            return Ok(());
        }
        let policy = topic.proposal.policy.load(host)?;
        topic.policy.store(host, &policy)?;
        let owner = topic.proposal.owner.read(host)?;
        topic.owner.write(host, owner)?;
        topic.proposal.effective_at_ms.write(host, 0)?;
        emit(host, ITopics::PolicyChanged { topic: id })
    }
}

impl Proposal {
    /// Whether it waits, and was made before what waited for the end of `epoch` counted.
    pub(super) fn is_older_than(&self, host: &mut dyn Host, epoch: u64) -> Result<bool> {
        let waits = self.effective_at_ms.read(host)? != 0;
        Ok(waits && epoch >= self.made_in.read(host)?)
    }
}

impl Young {
    /// Adds what is put in now, if a proposal waits.
    pub(super) fn add(&self, host: &mut dyn Host, topic: &Topic, amount: u128) -> Result<()> {
        if topic.proposal.effective_at_ms.read(host)? == 0 {
            return Ok(());
        }
        let number = topic.proposal.number.read(host)?;
        let sum = checked(self.of(host, number)?.checked_add(amount))?;
        self.amount.write(host, sum)?;
        Ok(self.proposal.write(host, number)?)
    }

    /// What was put in while this proposal waited, in wei.
    fn of(&self, host: &mut dyn Host, proposal: u64) -> Result<u128> {
        if self.proposal.read(host)? == proposal {
            return Ok(self.amount.read(host)?);
        }
        Ok(0)
    }
}

impl Topic {
    pub(super) fn kinds(&self, host: &mut dyn Host) -> Result<Vec<Kind>> {
        let count = u64::from(self.mechanism_count.read(host)?);
        (0..count)
            .map(|index| Ok(self.mechanisms.at(index).kind.read(host)?))
            .collect()
    }

    /// What the mechanisms know of the policy.
    pub(super) fn limits(&self, host: &mut dyn Host) -> Result<wire::Limits> {
        Ok(limits(&self.policy.load(host)?))
    }
}

fn limits(policy: &ITopics::Policy) -> wire::Limits {
    wire::Limits {
        workers: policy.maxWorkers,
        forecasters: policy.maxForecasters,
        reputers: policy.maxReputers,
        value_min: Q64::from_bits(policy.valueMin),
        value_max: Q64::from_bits(policy.valueMax),
    }
}

/// Checks a new topic's policy; gives what the mechanisms know of it.
pub(super) fn check(
    policy: &ITopics::Policy,
    mechanisms: &[ITopics::Mechanism],
) -> Result<wire::Limits> {
    let kinds: Vec<_> = mechanisms.iter().map(|m| m.kind).collect();
    check_kinds(policy, &kinds)?;
    Ok(limits(policy))
}

/// Checks a policy against the kinds of the topic's mechanisms.
fn check_kinds(policy: &ITopics::Policy, kinds: &[Kind]) -> Result<()> {
    let has = |kind| kinds.contains(&kind);
    let (yuma, synthesis, score) = (has(Kind::Yuma), has(Kind::Synthesis), has(Kind::Score));
    let stages = [
        ("openMs", policy.openMs, true),
        ("sealedMs", policy.sealedMs, synthesis || score),
        ("lagMs", policy.lagMs, synthesis || score),
        ("revealMs", policy.revealMs, synthesis || yuma),
    ];
    let mut sum = 0u64;
    for (name, length, needed) in stages {
        sum = checked(sum.checked_add(length))?;
        let range = MIN_STAGE_MS..=MAX_STAGE_MS;
        if !range.contains(&length) && (needed || length != 0) {
            return invalid_policy(format!(
                "{name} is {length}, outside {MIN_STAGE_MS} to {MAX_STAGE_MS}"
            ));
        }
    }
    if policy.epochMs < sum || policy.epochMs > MAX_STAGE_MS {
        return invalid_policy(format!(
            "epochMs is {}, outside {sum} (the stages) to {MAX_STAGE_MS}",
            policy.epochMs
        ));
    }
    let most = if synthesis { MAX_INFERERS } else { MAX_WORKERS };
    if policy.maxWorkers == 0 || policy.maxWorkers > most {
        return invalid_policy(format!("maxWorkers is outside 1 to {most}"));
    }
    let (forecasters, reputers) = (policy.maxForecasters, policy.maxReputers);
    if synthesis {
        if forecasters > MAX_JUDGES || reputers == 0 || reputers > MAX_JUDGES {
            return invalid_policy(format!(
                "a synthesis has at most {MAX_JUDGES} forecasters and 1 to {MAX_JUDGES} reputers"
            ));
        }
    } else if forecasters != 0 || reputers != 0 {
        return invalid_policy("only a synthesis has forecasters and reputers");
    }
    if policy.immunityMs > MAX_VESTING_MS || policy.vestingMs > MAX_VESTING_MS {
        return invalid_policy("immunity and vesting last ten years at most");
    }
    if !(LEAST_MIN_BOND..=MOST_MIN_BOND).contains(&policy.minBond) {
        return invalid_policy(format!(
            "minBond is outside {LEAST_MIN_BOND} to {MOST_MIN_BOND}"
        ));
    }
    if policy.submitFee > policy.minBond {
        return invalid_policy("submitFee is above minBond");
    }
    if policy.ownerBps > MAX_OWNER_BPS {
        return invalid_policy(format!("ownerBps is above {MAX_OWNER_BPS}"));
    }
    if policy.valueMin > policy.valueMax {
        return invalid_policy("valueMin is above valueMax");
    }
    Ok(())
}
