//! Maps the ABI of `ITopics` to methods.

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::topics::ITopics::*;

use super::Topics;
use crate::{
    Host, Result,
    dispatch::{enter, mutate, payable, unknown, view},
};

pub(crate) fn call(host: &mut dyn Host, calldata: &[u8]) -> Result<Bytes> {
    let this = Topics::new();
    let (selector, data) = enter(host, calldata)?;
    match selector {
        createCall::SELECTOR => payable(host, data, |h, c: createCall| this.create(h, c)),
        fundCall::SELECTOR => payable(host, data, |h, c: fundCall| {
            Ok(this.fund(h, c.topic)?.into())
        }),
        grantCall::SELECTOR => payable(host, data, |h, c: grantCall| {
            Ok(this.grant(h, c.topic)?.into())
        }),
        reclaimCall::SELECTOR => mutate(host, data, |h, c: reclaimCall| this.reclaim(h, c.topic)),
        proposePolicyCall::SELECTOR => mutate(host, data, |h, c: proposePolicyCall| {
            Ok(this.propose_policy(h, c)?.into())
        }),
        vetoCall::SELECTOR => mutate(host, data, |h, c: vetoCall| {
            Ok(this.veto(h, c.topic, c.pool)?.into())
        }),
        retireCall::SELECTOR => mutate(host, data, |h, c: retireCall| {
            Ok(this.retire(h, c.topic)?.into())
        }),
        registerCall::SELECTOR => payable(host, data, |h, c: registerCall| {
            this.register(h, c.topic, c.role)
        }),
        topUpCall::SELECTOR => payable(host, data, |h, c: topUpCall| {
            Ok(this.top_up(h, c.topic, c.slot)?.into())
        }),
        leaveCall::SELECTOR => mutate(host, data, |h, c: leaveCall| {
            Ok(this.leave(h, c.topic, c.slot)?.into())
        }),
        stakeCall::SELECTOR => {
            payable(host, data, |h, c: stakeCall| this.stake(h, c.topic, c.slot))
        }
        unstakeCall::SELECTOR => mutate(host, data, |h, c: unstakeCall| {
            Ok(this.unstake(h, c.pool, c.shares)?.into())
        }),
        setTakeCall::SELECTOR => mutate(host, data, |h, c: setTakeCall| {
            Ok(this.set_take(h, c)?.into())
        }),
        withdrawCall::SELECTOR => mutate(host, data, |h, _: withdrawCall| this.withdraw(h)),
        commitCall::SELECTOR => {
            payable(host, data, |h, c: commitCall| Ok(this.commit(h, c)?.into()))
        }
        revealCall::SELECTOR => {
            mutate(host, data, |h, c: revealCall| Ok(this.reveal(h, c)?.into()))
        }
        commitTestSetCall::SELECTOR => mutate(host, data, |h, c: commitTestSetCall| {
            Ok(this.commit_test_set(h, c)?.into())
        }),
        revealTestSetCall::SELECTOR => mutate(host, data, |h, c: revealTestSetCall| {
            Ok(this.reveal_test_set(h, c)?.into())
        }),
        proveCall::SELECTOR => mutate(host, data, |h, c: proveCall| Ok(this.prove(h, c)?.into())),
        advanceCall::SELECTOR => mutate(host, data, |h, c: advanceCall| {
            Ok(this.advance(h, c.topic)?.into())
        }),
        countCall::SELECTOR => view(host, data, |h, _: countCall| {
            Ok(U256::from(this.topic_count.read(h)?))
        }),
        getCall::SELECTOR => view(host, data, |h, c: getCall| this.get(h, c.topic)),
        entryCall::SELECTOR => view(host, data, |h, c: entryCall| this.entry(h, c.topic, c.role)),
        mechanismsCall::SELECTOR => view(host, data, |h, c: mechanismsCall| {
            this.mechanisms(h, c.topic)
        }),
        slotsCall::SELECTOR => view(host, data, |h, c: slotsCall| {
            this.slots(h, c.topic, c.offset, c.limit)
        }),
        slotOfCall::SELECTOR => view(host, data, |h, c: slotOfCall| {
            this.slot_of(h, c.topic, c.operator)
        }),
        epochInfoCall::SELECTOR => view(host, data, |h, c: epochInfoCall| {
            this.epoch_info(h, c.topic, c.epoch)
        }),
        latestCall::SELECTOR => view(host, data, |h, c: latestCall| this.latest(h, c.topic)),
        submissionCall::SELECTOR => view(host, data, |h, c: submissionCall| this.submission(h, c)),
        memoryOfCall::SELECTOR => view(host, data, |h, c: memoryOfCall| {
            this.memory_of(h, c.topic, c.mechanism)
        }),
        testSetCall::SELECTOR => view(host, data, |h, c: testSetCall| {
            this.test_set(h, c.topic, c.epoch)
        }),
        sampleUsedCall::SELECTOR => view(host, data, |h, c: sampleUsedCall| {
            Ok(this.used_samples.at(c.digest).read(h)? != 0)
        }),
        poolCall::SELECTOR => view(host, data, |h, c: poolCall| this.pool(h, c.pool)),
        positionCall::SELECTOR => view(host, data, |h, c: positionCall| {
            this.position(h, c.pool, c.account)
        }),
        balancesCall::SELECTOR => {
            view(host, data, |h, c: balancesCall| this.balances(h, c.account))
        }
        paramsCall::SELECTOR => view(host, data, |h, _: paramsCall| this.params(h)),
        liabilitiesCall::SELECTOR => view(host, data, |h, _: liabilitiesCall| {
            Ok(U256::from(this.liabilities.read(h)?))
        }),
        other => unknown(other),
    }
}
