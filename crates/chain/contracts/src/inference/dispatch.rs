//! Maps the ABI of `IInference` to methods.

use alloy_primitives::{Bytes, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::inference::IInference::*;

use crate::{
    Host, Result,
    dispatch::{enter, mutate, payable, unknown, view},
    inference::Inference,
};

pub(crate) fn call(host: &mut dyn Host, calldata: &[u8]) -> Result<Bytes> {
    let this = Inference::new();
    let (selector, data) = enter(host, calldata)?;
    match selector {
        orderCall::SELECTOR => payable(host, data, |h, c: orderCall| this.order(h, c)),
        orderSealedCall::SELECTOR => {
            payable(host, data, |h, c: orderSealedCall| this.order_sealed(h, c))
        }
        setSealingKeyCall::SELECTOR => mutate(host, data, |h, c: setSealingKeyCall| {
            Ok(this.set_sealing_key(h, c.key)?.into())
        }),
        depositCall::SELECTOR => {
            payable(host, data, |h, _: depositCall| Ok(this.deposit(h)?.into()))
        }
        withdrawCall::SELECTOR => mutate(host, data, |h, c: withdrawCall| {
            Ok(this.withdraw(h, c.amount)?.into())
        }),
        claimCall::SELECTOR => mutate(host, data, |h, c: claimCall| {
            Ok(this.claim(h, c.id)?.into())
        }),
        deliverCall::SELECTOR => mutate(host, data, |h, c: deliverCall| {
            Ok(this.deliver(h, c)?.into())
        }),
        cancelCall::SELECTOR => mutate(host, data, |h, c: cancelCall| {
            Ok(this.cancel(h, c.id)?.into())
        }),
        expireCall::SELECTOR => mutate(host, data, |h, c: expireCall| {
            Ok(this.expire(h, c.id)?.into())
        }),
        getCall::SELECTOR => view(host, data, |h, c: getCall| this.get(h, c.id)),
        countCall::SELECTOR => view(host, data, |h, _: countCall| {
            Ok(U256::from(this.order_count.read(h)?))
        }),
        openCall::SELECTOR => view(host, data, |h, c: openCall| this.open(h, c.offset, c.limit)),
        openCountCall::SELECTOR => view(host, data, |h, _: openCountCall| {
            Ok(U256::from(this.open_orders.len(h)?))
        }),
        sellersCall::SELECTOR => view(host, data, |h, c: sellersCall| this.sellers(h, c.id)),
        sealingKeyCall::SELECTOR => view(host, data, |h, c: sealingKeyCall| {
            this.sealing_key(h, c.seller)
        }),
        sealingSellersCall::SELECTOR => view(host, data, |h, c: sealingSellersCall| {
            this.sealing_sellers(h, c.offset, c.limit)
        }),
        inputCall::SELECTOR => view(host, data, |h, c: inputCall| this.input(h, c.id)),
        outputCall::SELECTOR => view(host, data, |h, c: outputCall| this.output(h, c.id)),
        depositsCall::SELECTOR => view(host, data, |h, c: depositsCall| {
            let deposit = this.deposits.at(c.seller);
            Ok(depositsReturn {
                free: U256::from(deposit.free.read(h)?),
                locked: U256::from(deposit.locked.read(h)?),
                openClaims: deposit.open_claims.read(h)?,
            })
        }),
        paramsCall::SELECTOR => view(host, data, |h, _: paramsCall| this.params(h)),
        liabilitiesCall::SELECTOR => view(host, data, |h, _: liabilitiesCall| {
            Ok(U256::from(this.liabilities.read(h)?))
        }),
        other => unknown(other),
    }
}
