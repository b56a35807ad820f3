//! Maps the ABI of `IStaking` to methods.

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::staking::IStaking::*;

use super::Staking;
use crate::{
    Host, Result,
    dispatch::{enter, mutate, payable, unknown, view},
};

pub(crate) fn call(host: &mut dyn Host, calldata: &[u8]) -> Result<Bytes> {
    let this = Staking::new();
    let (selector, data) = enter(host, calldata)?;
    match selector {
        bondCall::SELECTOR => payable(host, data, |h, c: bondCall| this.bond(h, c)),
        delegateCall::SELECTOR => payable(host, data, |h, c: delegateCall| {
            this.delegate(h, c.validator)
        }),
        undelegateCall::SELECTOR => mutate(host, data, |h, c: undelegateCall| {
            Ok(this.undelegate(h, c.validator, c.shares)?.into())
        }),
        withdrawCall::SELECTOR => mutate(host, data, |h, _: withdrawCall| this.withdraw(h)),
        setCommissionCall::SELECTOR => mutate(host, data, |h, c: setCommissionCall| {
            Ok(this.set_commission(h, c.commissionBps)?.into())
        }),
        setProfileCall::SELECTOR => mutate(host, data, |h, c: setProfileCall| {
            Ok(this.set_profile(h, c.payout, &c.p2p)?.into())
        }),
        rotateKeyCall::SELECTOR => mutate(host, data, |h, c: rotateKeyCall| {
            Ok(this.rotate_key(h, c.publicKey, &c.possession)?.into())
        }),
        joinCall::SELECTOR => mutate(host, data, |h, _: joinCall| Ok(this.join(h)?.into())),
        leaveCall::SELECTOR => mutate(host, data, |h, _: leaveCall| Ok(this.leave(h)?.into())),
        submitEvidenceCall::SELECTOR => mutate(host, data, |h, c: submitEvidenceCall| {
            this.submit_evidence(h, &c.evidence)
        }),
        paramsCall::SELECTOR => view(host, data, |h, _: paramsCall| this.params(h)),
        epochCall::SELECTOR => view(host, data, |h, _: epochCall| this.epoch(h)),
        countCall::SELECTOR => view(host, data, |h, _: countCall| {
            Ok(this.validator_count.read(h)?)
        }),
        getCall::SELECTOR => view(host, data, |h, c: getCall| this.get(h, c.validator)),
        validatorOfCall::SELECTOR => view(host, data, |h, c: validatorOfCall| {
            Ok(this.operators.at(c.operator).read(h)?)
        }),
        keyInfoCall::SELECTOR => view(host, data, |h, c: keyInfoCall| {
            let key = this.keys.at(c.publicKey);
            Ok(keyInfoReturn {
                validator: key.validator.read(h)?,
                tombstoned: key.tombstoned.read(h)?,
            })
        }),
        candidatesCall::SELECTOR => view(host, data, |h, c: candidatesCall| {
            this.candidates(h, c.offset, c.limit)
        }),
        setSizeCall::SELECTOR => view(host, data, |h, c: setSizeCall| {
            Ok(this.sets.at(c.epoch).count.read(h)?)
        }),
        setCall::SELECTOR => view(host, data, |h, c: setCall| {
            this.set(h, c.epoch, c.offset, c.limit)
        }),
        positionCall::SELECTOR => view(host, data, |h, c: positionCall| {
            this.position(h, c.validator, c.account)
        }),
        accountCall::SELECTOR => view(host, data, |h, c: accountCall| this.account(h, c.account)),
        exitsCall::SELECTOR => view(host, data, |h, c: exitsCall| {
            this.exits(h, c.account, c.offset, c.limit)
        }),
        liabilitiesCall::SELECTOR => view(host, data, |h, _: liabilitiesCall| {
            Ok(U256::from(this.liabilities.read(h)?))
        }),
        other => unknown(other),
    }
}
