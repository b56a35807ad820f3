use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent};
use hallmark_abi::{IModels, ISystem};
use hallmark_types::addresses;

use super::{MAX_NAME_BYTES, MAX_URI_BYTES, model_id};
use crate::{
    testing::expect_revert,
    world::{OWNER, PRICE, SHARE_BPS, STRANGER, World},
};

#[test]
fn a_published_model_is_listed_with_its_key_and_terms() {
    let mut world = World::empty();
    world.publish();
    let id = world.id;
    let info = world.models(STRANGER, IModels::infoCall { id }).unwrap();
    assert_eq!(
        (info.owner, info.price, info.ownerShareBps),
        (OWNER, PRICE, SHARE_BPS)
    );
    let key = world.proving_key.verifying_key();
    assert_eq!(info.digest, B256::from(key.digest()));
    assert_eq!(info.commitment, B256::from(key.commitment()));
    assert_eq!(
        (info.registeredAt, info.active),
        (world.host.block_number, true)
    );
    assert_eq!((info.name.as_str(), info.contentSize), ("tiny", 1234));
    let stored = world.models(STRANGER, IModels::keyCall { id }).unwrap();
    assert_eq!(stored, world.key());
    assert_eq!(
        world.models(STRANGER, IModels::countCall {}).unwrap(),
        U256::from(1)
    );
    let (offset, limit) = (U256::ZERO, U256::from(100));
    assert_eq!(
        world
            .models(STRANGER, IModels::listCall { offset, limit })
            .unwrap(),
        [id]
    );
    let (address, log) = world.host.logs().last().unwrap();
    assert_eq!(*address, addresses::MODELS);
    assert_eq!(IModels::Published::decode_log_data(log).unwrap().id, id);
}

#[test]
fn two_owners_of_one_key_have_two_ids() {
    let mut world = World::empty();
    let squatted = world.models(STRANGER, world.begin()).unwrap();
    world.publish();
    assert_ne!(squatted, world.id);
    assert_eq!(squatted, model_id(STRANGER, world.begin().digest));
}

#[test]
fn an_upload_may_begin_again_until_it_is_finished() {
    let mut world = World::empty();
    let id = world.models(OWNER, world.begin()).unwrap();
    let chunk = Bytes::from(vec![1; 10]);
    world
        .models(
            OWNER,
            IModels::uploadCall {
                id,
                offset: 0,
                chunk,
            },
        )
        .unwrap();
    world.publish();
    let again = world.begin();
    let error = expect_revert::<IModels::AlreadyPublished>(world.models(OWNER, again));
    assert_eq!(error.id, id);
    let chunk = Bytes::from(vec![1]);
    let upload = IModels::uploadCall {
        id,
        offset: 0,
        chunk,
    };
    expect_revert::<IModels::AlreadyPublished>(world.models(OWNER, upload));
    expect_revert::<IModels::AlreadyPublished>(world.models(OWNER, IModels::finishCall { id }));
}

#[test]
fn begin_refuses_sizes_shares_and_texts_out_of_range() {
    let mut world = World::empty();
    for key_size in [0, world.spec.market.max_key_bytes + 1] {
        let call = IModels::beginCall {
            keySize: key_size,
            ..world.begin()
        };
        let error = expect_revert::<IModels::KeySizeOutOfRange>(world.models(OWNER, call));
        assert_eq!(error.keySize, key_size);
    }
    let maximum = 10_000 - world.spec.market.network_bps;
    let call = IModels::beginCall {
        ownerShareBps: maximum + 1,
        ..world.begin()
    };
    let error = expect_revert::<IModels::ShareTooLarge>(world.models(OWNER, call));
    assert_eq!(error.maximum, maximum);
    let call = IModels::beginCall {
        name: "n".repeat(MAX_NAME_BYTES + 1),
        ..world.begin()
    };
    expect_revert::<IModels::TextTooLong>(world.models(OWNER, call));
    let call = IModels::beginCall {
        uri: "u".repeat(MAX_URI_BYTES + 1),
        ..world.begin()
    };
    expect_revert::<IModels::TextTooLong>(world.models(OWNER, call));
}

#[test]
fn chunks_come_in_order_from_the_owner_and_no_longer_than_announced() {
    let mut world = World::empty();
    let id = world.models(OWNER, world.begin()).unwrap();
    let key_size = world.begin().keySize;
    let upload = |offset, length: usize| IModels::uploadCall {
        id,
        offset,
        chunk: vec![0; length].into(),
    };
    let error = expect_revert::<IModels::NotOwner>(world.models(STRANGER, upload(0, 1)));
    assert_eq!(error.owner, OWNER);
    let error = expect_revert::<IModels::WrongOffset>(world.models(OWNER, upload(1, 1)));
    assert_eq!(error.expected, 0);
    expect_revert::<IModels::ChunkOutOfRange>(world.models(OWNER, upload(0, 0)));
    let too_long = key_size as usize + 1;
    let error = expect_revert::<IModels::ChunkOutOfRange>(world.models(OWNER, upload(0, too_long)));
    assert_eq!(error.left, key_size);
    let unknown = IModels::finishCall { id: B256::ZERO };
    expect_revert::<IModels::UnknownModel>(world.models(OWNER, unknown));
}

#[test]
fn finish_refuses_a_key_that_is_short_or_has_another_digest() {
    let mut world = World::empty();
    let id = world.models(OWNER, world.begin()).unwrap();
    let finish = IModels::finishCall { id };
    let mut key = world.key();
    let chunk = Bytes::copy_from_slice(&key[..5]);
    world
        .models(
            OWNER,
            IModels::uploadCall {
                id,
                offset: 0,
                chunk,
            },
        )
        .unwrap();
    let error = expect_revert::<IModels::UploadIncomplete>(world.models(OWNER, finish.clone()));
    assert_eq!(error.received, 5);
    *key.last_mut().unwrap() ^= 1;
    let chunk = Bytes::copy_from_slice(&key[5..]);
    world
        .models(
            OWNER,
            IModels::uploadCall {
                id,
                offset: 5,
                chunk,
            },
        )
        .unwrap();
    let error = expect_revert::<IModels::DigestMismatch>(world.models(OWNER, finish));
    assert_eq!(error.announced, world.begin().digest);
}

#[test]
fn finish_refuses_bytes_that_are_no_key() {
    let mut world = World::empty();
    let garbage = vec![0xee; 64];
    let digest = B256::from(*blake3::hash(&garbage).as_bytes());
    let call = IModels::beginCall {
        digest,
        keySize: 64,
        ..world.begin()
    };
    let id = world.models(OWNER, call).unwrap();
    let upload = IModels::uploadCall {
        id,
        offset: 0,
        chunk: garbage.into(),
    };
    world.models(OWNER, upload).unwrap();
    let finish = IModels::finishCall { id };
    expect_revert::<IModels::InvalidKey>(world.models(OWNER, finish));
    let key = IModels::keyCall { id };
    expect_revert::<IModels::NotPublished>(world.models(OWNER, key));
    let price = IModels::setPriceCall { id, price: 1 };
    expect_revert::<IModels::NotPublished>(world.models(OWNER, price));
}

/// Publishes the world's model where a transaction may ask for this much gas; what is said otherwise.
fn listed_under(transaction_gas: u64) -> Result<(), String> {
    let mut world = World::empty_with(|spec| spec.limits.tx_gas_limit = transaction_gas);
    let id = world.models(OWNER, world.begin()).unwrap();
    let chunk = Bytes::from(world.key());
    let upload = IModels::uploadCall {
        id,
        offset: 0,
        chunk,
    };
    world.models(OWNER, upload).unwrap();
    let gas = world
        .models(STRANGER, IModels::maxTransactionGasCall {})
        .unwrap();
    assert_eq!(gas, transaction_gas);
    let finish = IModels::finishCall { id };
    let finished = world.models(OWNER, finish.clone());
    if finished.is_ok() {
        return Ok(());
    }
    Err(expect_revert::<IModels::InvalidKey>(finished).reason)
}

#[test]
fn a_model_whose_longest_delivery_no_transaction_holds_is_not_listed() {
    let world = World::empty();
    let key = world.proving_key.verifying_key();
    let length = world.key().len();
    let (market, limits) = (&world.spec.market, &world.spec.limits);
    let proof = key.max_private_proof_len().unwrap() as u64;
    // By hand: every byte of calldata at 16 gas and 3 of decoding, or all of them at 40.
    let verification = market.verify_base_gas
        + super::key_gas(key.private_cost().unwrap(), length)
        + market.verify_gas_per_byte * proof;
    let output = super::masked_output_bytes(key.graph()) as u64;
    let calldata = proof + output + 228;
    let words = |bytes: u64| bytes.div_ceil(32) + 1;
    let work = verification
        + 1_000_000
        + 3 * calldata
        + 23_000 * words(output)
        + 2_800 * words(length as u64);
    assert_eq!(
        (
            limits.payload_floor_gas_per_token,
            limits.payload_gas_per_token
        ),
        (10, 4)
    );
    let needed = 21_000 + (40 * calldata).max(16 * calldata + work);
    assert_eq!(listed_under(needed), Ok(()));
    let reason = listed_under(needed - 1).unwrap_err();
    assert!(
        reason.contains(&format!("a delivery may need {needed} gas")),
        "{reason}"
    );
    // What was looked at before would have let it pass: the verification alone.
    assert!(verification < needed - 1);
}

#[test]
fn only_the_owner_changes_a_model_and_only_while_it_is_active() {
    let mut world = World::empty();
    world.publish();
    let id = world.id;
    let price = IModels::setPriceCall { id, price: 5 };
    let uri = IModels::setUriCall {
        id,
        uri: "http://mirror".to_owned(),
    };
    let retire = IModels::retireCall { id };
    expect_revert::<IModels::NotOwner>(world.models(STRANGER, price.clone()));
    expect_revert::<IModels::NotOwner>(world.models(STRANGER, uri.clone()));
    expect_revert::<IModels::NotOwner>(world.models(STRANGER, retire.clone()));
    world.models(OWNER, price.clone()).unwrap();
    world.models(OWNER, uri.clone()).unwrap();
    let long = IModels::setUriCall {
        id,
        uri: "u".repeat(MAX_URI_BYTES + 1),
    };
    expect_revert::<IModels::TextTooLong>(world.models(OWNER, long));
    world.models(OWNER, retire.clone()).unwrap();
    let info = world.models(STRANGER, IModels::infoCall { id }).unwrap();
    assert_eq!(
        (info.price, info.uri.as_str(), info.active),
        (5, "http://mirror", false)
    );
    expect_revert::<IModels::ModelRetired>(world.models(OWNER, price));
    expect_revert::<IModels::ModelRetired>(world.models(OWNER, uri));
    expect_revert::<IModels::ModelRetired>(world.models(OWNER, retire));
}

#[test]
fn a_page_is_bounded() {
    let mut world = World::empty();
    let call = IModels::listCall {
        offset: U256::ZERO,
        limit: U256::from(101),
    };
    expect_revert::<IModels::LimitTooLarge>(world.models(STRANGER, call));
}

#[test]
fn calls_of_the_wrong_form_are_refused_by_name() {
    let mut world = World::empty();
    let host = &mut world.host;
    let error = expect_revert::<ISystem::UnknownMethod>(host.call(
        STRANGER,
        addresses::MODELS,
        U256::ZERO,
        &[1, 2, 3, 4, 5],
    ));
    assert_eq!(error.selector, [1, 2, 3, 4]);
    expect_revert::<ISystem::UnknownMethod>(host.call(
        STRANGER,
        addresses::MODELS,
        U256::ZERO,
        &[1],
    ));
    let truncated = &IModels::infoCall { id: B256::ZERO }.abi_encode()[..20];
    expect_revert::<ISystem::MalformedCall>(host.call(
        STRANGER,
        addresses::MODELS,
        U256::ZERO,
        truncated,
    ));
    let count = IModels::countCall {}.abi_encode();
    expect_revert::<ISystem::NotPayable>(host.call(
        STRANGER,
        addresses::MODELS,
        U256::from(1),
        &count,
    ));
    let retire = IModels::retireCall { id: B256::ZERO }.abi_encode();
    expect_revert::<ISystem::NotPayable>(host.call(
        STRANGER,
        addresses::MODELS,
        U256::from(1),
        &retire,
    ));
    expect_revert::<ISystem::StaticCall>(host.static_call(STRANGER, addresses::MODELS, &retire));
    assert!(
        host.static_call(STRANGER, addresses::MODELS, &count)
            .is_ok()
    );
}
