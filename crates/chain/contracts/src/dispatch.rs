//! From call data to a method and back, the same for every contract.
//!
//! Arguments are canonical ABI, the one encoding that compilers and libraries make: what is decoded,
//! encoded again, is the call data byte for byte. So nothing follows the arguments, nothing lies between
//! them, no offset overlaps another, and equal calls have equal data; anything else is `MalformedCall`.
//! What is decoded takes at most twice the call data's length and a little, also where the call is
//! refused: a list of offsets that all point at one long value would otherwise become gigabytes.

use alloy_primitives::Bytes;
use alloy_sol_types::{SolCall, abi::AbiDecoderConfig};
use hallmark_abi::ISystem;

use crate::{
    Host, Result,
    gas::{self, charge_bytes},
    host::revert,
};

/// Memory that decoding may use beyond [`DECODED_PER_BYTE`], in bytes.
const DECODED_BASE: usize = 1 << 10;
/// Memory that decoding may use, per byte of call data. A canonical encoding needs less than one: an
/// element of a list has at most 32 bytes for each of its words, and a byte string its own bytes.
const DECODED_PER_BYTE: usize = 2;

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
    let limit = arguments
        .len()
        .saturating_mul(DECODED_PER_BYTE)
        .saturating_add(DECODED_BASE);
    let config = AbiDecoderConfig::new().validate(true).memory_limit(limit);
    let Ok(call) = C::abi_decode_raw_with_config(arguments, config) else {
        return revert(ISystem::MalformedCall {});
    };
    let mut canonical = Vec::with_capacity(arguments.len());
    call.abi_encode_raw(&mut canonical);
    if canonical != arguments {
        return revert(ISystem::MalformedCall {});
    }
    let answer = method(host, call)?;
    Ok(C::abi_encode_returns(&answer).into())
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Address, Bytes, U256};
    use alloy_sol_types::SolCall;
    use hallmark_abi::{
        ISystem, ITopics,
        topics::ITopics::{Kind, Mechanism, Policy},
    };
    use hallmark_types::addresses;

    use crate::testing::{CALL_GAS, MemoryHost, expect_revert, spec};

    const CALLER: Address = Address::repeat_byte(0xa1);

    fn create(mechanisms: Vec<Mechanism>) -> ITopics::createCall {
        ITopics::createCall {
            title: String::new(),
            policy: Policy {
                openMs: 0,
                sealedMs: 0,
                lagMs: 0,
                revealMs: 0,
                epochMs: 0,
                maxWorkers: 0,
                maxForecasters: 0,
                maxReputers: 0,
                immunityMs: 0,
                minBond: 0,
                submitFee: 0,
                vestingMs: 0,
                ownerBps: 0,
                valueMin: 0,
                valueMax: 0,
            },
            mechanisms,
        }
    }

    fn mechanism(length: usize) -> Mechanism {
        Mechanism {
            kind: Kind::Yuma,
            shareBps: 10_000,
            params: vec![7; length].into(),
        }
    }

    /// A call of `create` whose `count` mechanisms are one, of `length` bytes, named `count` times.
    fn aliased(count: usize, length: usize) -> Vec<u8> {
        let mut data = create(vec![mechanism(length)]).abi_encode();
        // The list is the last argument: its length, one offset, and the mechanism.
        let tail = mechanism_bytes(length);
        data.truncate(data.len() - tail - 64);
        let word = |value: usize| U256::from(value).to_be_bytes::<32>();
        data.extend(word(count));
        data.extend((0..count).flat_map(|_| word(32 * count)));
        let whole = create(vec![mechanism(length)]).abi_encode();
        data.extend(&whole[whole.len() - tail..]);
        data
    }

    /// Bytes of an encoded mechanism: kind, part, offset, length, and whole words.
    fn mechanism_bytes(length: usize) -> usize {
        4 * 32 + length.div_ceil(32) * 32
    }

    fn call(data: &[u8]) -> (crate::Result<Bytes>, u64) {
        let mut host = MemoryHost::new(&spec(&[CALLER]));
        let answer = host.call_with_gas(CALLER, addresses::TOPICS, U256::ZERO, data, CALL_GAS);
        (answer, host.gas_used)
    }

    #[test]
    fn nothing_may_follow_the_arguments_of_a_call() {
        let topic = U256::from(7);
        let data = ITopics::fundCall { topic }.abi_encode();
        expect_revert::<ITopics::UnknownTopic>(call(&data).0);
        for extra in [vec![0], vec![0; 32], vec![1; 100]] {
            let longer = [data.clone(), extra].concat();
            expect_revert::<ISystem::MalformedCall>(call(&longer).0);
        }
        expect_revert::<ISystem::MalformedCall>(call(&data[..data.len() - 1]).0);
        let whole = create(vec![mechanism(40)]).abi_encode();
        expect_revert::<ITopics::InvalidPolicy>(call(&whole).0);
        for extra in [1, 32] {
            let longer = [whole.clone(), vec![0; extra]].concat();
            expect_revert::<ISystem::MalformedCall>(call(&longer).0);
        }
        // A call without arguments too.
        let count = ITopics::countCall {}.abi_encode();
        call(&count).0.unwrap();
        expect_revert::<ISystem::MalformedCall>(call(&[count, vec![0]].concat()).0);
    }

    #[test]
    fn arguments_in_another_order_than_the_encoder_s_are_refused() {
        // A gap of one word before the title, which every offset skips.
        let data = create(vec![mechanism(40)]).abi_encode();
        let head = 4 + 32 * 17;
        let mut moved = data[..head].to_vec();
        moved.extend([0; 32]);
        moved.extend(&data[head..]);
        for place in [4, 4 + 32 * 16] {
            let offset = U256::from_be_slice(&moved[place..place + 32]) + U256::from(32);
            moved[place..place + 32].copy_from_slice(&offset.to_be_bytes::<32>());
        }
        expect_revert::<ISystem::MalformedCall>(call(&moved).0);
    }

    #[test]
    fn overlapping_offsets_decode_to_no_more_than_the_call_has_paid_for() {
        // What is decoded is refused for its title; what is not, before.
        for (count, length) in [(1, 185_000), (8, 300)] {
            let honest = create(vec![mechanism(length); count]).abi_encode();
            let (answer, gas) = call(&honest);
            expect_revert::<ITopics::InvalidPolicy>(answer);
            assert!(gas > 3 * honest.len() as u64);
        }
        expect_revert::<ITopics::InvalidPolicy>(call(&aliased(1, 185_000)).0);
        for (count, length) in [(3, 4_000), (64, 4_000), (5_800, 185_000)] {
            expect_revert::<ISystem::MalformedCall>(call(&aliased(count, length)).0);
        }
    }
}
