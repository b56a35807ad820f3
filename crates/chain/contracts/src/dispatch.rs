//! From call data to a method and back, the same for every contract.

use alloy_primitives::Bytes;
use alloy_sol_types::SolCall;
use hallmark_abi::ISystem;

use crate::{
    Host, Result,
    gas::{self, charge_bytes},
    host::revert,
};

/// Splits call data into selector and arguments and charges what every call costs.
pub(crate) fn enter<'a>(host: &mut dyn Host, calldata: &'a [u8]) -> Result<([u8; 4], &'a [u8])> {
    charge_bytes(host, gas::CALL, gas::CALLDATA_PER_BYTE, calldata.len())?;
    match calldata.split_first_chunk::<4>() {
        Some((selector, arguments)) => Ok((*selector, arguments)),
        None => unknown([0; 4]),
    }
}

/// Refuses a selector.
pub(crate) fn unknown<T>(selector: [u8; 4]) -> Result<T> {
    revert(ISystem::UnknownMethod {
        selector: selector.into(),
    })
}

/// A method that only reads.
pub(crate) fn view<C: SolCall>(
    host: &mut dyn Host,
    arguments: &[u8],
    method: impl FnOnce(&mut dyn Host, C) -> Result<C::Return>,
) -> Result<Bytes> {
    if !host.value().is_zero() {
        return revert(ISystem::NotPayable {});
    }
    run(host, arguments, method)
}

/// A method that writes and takes no coins.
pub(crate) fn mutate<C: SolCall>(
    host: &mut dyn Host,
    arguments: &[u8],
    method: impl FnOnce(&mut dyn Host, C) -> Result<C::Return>,
) -> Result<Bytes> {
    if !host.value().is_zero() {
        return revert(ISystem::NotPayable {});
    }
    payable(host, arguments, method)
}

/// A method that writes and takes coins.
pub(crate) fn payable<C: SolCall>(
    host: &mut dyn Host,
    arguments: &[u8],
    method: impl FnOnce(&mut dyn Host, C) -> Result<C::Return>,
) -> Result<Bytes> {
    if host.is_static() {
        return revert(ISystem::StaticCall {});
    }
    run(host, arguments, method)
}

fn run<C: SolCall>(
    host: &mut dyn Host,
    arguments: &[u8],
    method: impl FnOnce(&mut dyn Host, C) -> Result<C::Return>,
) -> Result<Bytes> {
    let Ok(call) = C::abi_decode_raw_validate(arguments) else {
        return revert(ISystem::MalformedCall {});
    };
    let answer = method(host, call)?;
    Ok(C::abi_encode_returns(&answer).into())
}
