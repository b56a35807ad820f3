//! Maps the ABI of `IVerifier` to methods.

use alloy_primitives::Bytes;
use alloy_sol_types::SolCall;
use hallmark_abi::verifier::IVerifier::*;

use crate::{
    Host, Result,
    dispatch::{enter, unknown, view},
    verifier::Verifier,
};

pub(crate) fn call(host: &mut dyn Host, calldata: &[u8]) -> Result<Bytes> {
    let verifier = Verifier::new();
    let (selector, data) = enter(host, calldata)?;
    match selector {
        verifyCall::SELECTOR => view(host, data, |h, c: verifyCall| verifier.verify(h, c)),
        verifyPrivateCall::SELECTOR => view(host, data, |h, c: verifyPrivateCall| {
            verifier.verify_private(h, c)
        }),
        gasPrivateCall::SELECTOR => view(host, data, |h, c: gasPrivateCall| {
            verifier.gas_private(h, c.model, c.proofLength)
        }),
        gasCall::SELECTOR => view(host, data, |h, c: gasCall| {
            verifier.gas(h, c.model, c.proofLength)
        }),
        other => unknown(other),
    }
}
