//! Maps the ABI of `IModels` to methods.

use alloy_primitives::Bytes;
use alloy_sol_types::SolCall;
use hallmark_abi::models::IModels::*;

use crate::{
    Host, Result,
    dispatch::{enter, mutate, unknown, view},
    models::Models,
};

pub(crate) fn call(host: &mut dyn Host, calldata: &[u8]) -> Result<Bytes> {
    let models = Models::new();
    let (selector, data) = enter(host, calldata)?;
    match selector {
        beginCall::SELECTOR => mutate(host, data, |h, c: beginCall| models.begin(h, c)),
        uploadCall::SELECTOR => mutate(host, data, |h, c: uploadCall| {
            Ok(models.upload(h, c)?.into())
        }),
        finishCall::SELECTOR => mutate(host, data, |h, c: finishCall| {
            Ok(models.finish(h, c.id)?.into())
        }),
        setPriceCall::SELECTOR => mutate(host, data, |h, c: setPriceCall| {
            Ok(models.set_price(h, c.id, c.price)?.into())
        }),
        setUriCall::SELECTOR => mutate(host, data, |h, c: setUriCall| {
            Ok(models.set_uri(h, c.id, c.uri)?.into())
        }),
        retireCall::SELECTOR => mutate(host, data, |h, c: retireCall| {
            Ok(models.retire(h, c.id)?.into())
        }),
        infoCall::SELECTOR => view(host, data, |h, c: infoCall| models.info(h, c.id)),
        keyCall::SELECTOR => view(host, data, |h, c: keyCall| models.key(h, c.id)),
        maxTransactionGasCall::SELECTOR => view(host, data, |h, _: maxTransactionGasCall| {
            models.max_transaction_gas(h)
        }),
        countCall::SELECTOR => view(host, data, |h, _: countCall| models.count(h)),
        listCall::SELECTOR => view(host, data, |h, c: listCall| {
            models.list(h, c.offset, c.limit)
        }),
        other => unknown(other),
    }
}
