//! Every transaction type that the chain carries, from its signature to its receipt.

use alloy_consensus::{SignableTransaction, TxEip2930, TxEip7702, TxLegacy, Typed2718};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, Bytes, TxKind, U256, address, hex};
use alloy_signer::SignerSync;
use hallmark_types::{MARK, Transaction, addresses, decode_transaction, next_base_fee};

use super::world::*;
use crate::{BlockError, CallRequest, TransactionError};

fn sign<T: SignableTransaction<alloy_primitives::Signature>>(from: u8, tx: T) -> Transaction
where
    Transaction: From<alloy_consensus::Signed<T>>,
{
    let signature = signer(from)
        .sign_hash_sync(&tx.signature_hash())
        .expect("a local key signs");
    tx.into_signed(signature).into()
}

fn authorize(from: u8, chain_id: u64, to: Address, nonce: u64) -> SignedAuthorization {
    let authorization = Authorization {
        chain_id: U256::from(chain_id),
        address: to,
        nonce,
    };
    let hash = authorization.signature_hash();
    let signature = signer(from).sign_hash_sync(&hash).expect("a key signs");
    authorization.into_signed(signature)
}

fn delegating(nonce: u64, to: Address, list: Vec<SignedAuthorization>) -> TxEip7702 {
    TxEip7702 {
        chain_id: 1618,
        nonce,
        gas_limit: 500_000,
        max_fee_per_gas: FEE_CAP,
        max_priority_fee_per_gas: TIP,
        to,
        value: U256::ZERO,
        access_list: Default::default(),
        authorization_list: list,
        input: Bytes::new(),
    }
}

#[test]
fn legacy_and_access_list_transactions_pay_the_leader_what_the_base_fee_leaves() {
    let mut world = World::new();
    let base_fee = u128::from(next_base_fee(&world.head.block.header, world.spec()));
    let price = base_fee + 7;
    let to = Address::repeat_byte(0xb0);
    let legacy = |chain_id| TxLegacy {
        chain_id,
        nonce: 0,
        gas_price: price,
        gas_limit: 21_000,
        to: TxKind::Call(to),
        value: U256::from(5),
        input: Bytes::new(),
    };
    let listed = TxEip2930 {
        chain_id: 1618,
        gas_price: price,
        gas_limit: 30_000,
        to: TxKind::Call(to),
        value: U256::from(5),
        ..TxEip2930::default()
    };
    let txs = vec![
        sign(1, legacy(Some(1618))),
        sign(2, legacy(None)),
        sign(3, listed),
    ];
    let staked = world.balance(addresses::STAKING);
    let block = world.block(txs);
    assert_eq!(world.balance(to), U256::from(15));
    let tips = U256::from(3 * 21_000 * 7);
    assert_eq!(world.balance(addresses::STAKING), staked + tips);
    assert_eq!(
        world.balance(addresses::BURN),
        U256::from(3 * 21_000 * base_fee)
    );
    let types: Vec<u8> = block.receipts.iter().map(Typed2718::ty).collect();
    assert_eq!(types, [0, 0, 1]);
    assert!(block.receipts.iter().all(|receipt| receipt.is_success()));
}

/// The deterministic deployment proxy's own transaction, signed before EIP-155 for every chain.
#[test]
fn a_transaction_from_before_eip_155_deploys_at_the_address_of_every_chain() {
    let raw = hex!(
        "f8a58085174876e800830186a08080b853604580600e600039806000f350fe7fffffffffffffffffffffffffffffff"
        "ffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b80825250"
        "50506014600cf31ba02222222222222222222222222222222222222222222222222222222222222222a02222222222"
        "222222222222222222222222222222222222222222222222222222"
    );
    let mut world = World::new();
    let tx = decode_transaction(&raw, world.spec()).expect("accepted");
    let recovered = world.proposer.recover(tx.clone()).expect("a signature");
    let sender = recovered.sender;
    let fund = world.transfer(1, sender, MARK);
    world.block(vec![fund]);
    assert_eq!(world.balance(sender), U256::from(MARK));
    let block = world.block(vec![tx]);
    assert_eq!(block.senders, [sender]);
    assert!(block.receipts[0].is_success());
    let proxy = address!("4e59b44847b379578588920ca78fbf26c0b4956c");
    let account = world.head.state.account(&proxy).expect("deployed");
    assert!(account.has_code());
}

#[test]
fn a_delegated_account_runs_the_code_on_its_own_storage_until_it_takes_it_back() {
    let mut world = World::new();
    let counter = world.deploy(1, COUNTER);
    let account = signer(2).address();
    // Account 3 pays; account 2 only signs.
    let tx = delegating(0, account, vec![authorize(2, 1618, counter, 0)]);
    let block = world.block(vec![sign(3, tx)]);
    assert_eq!(block.receipts[0].ty(), 4);
    assert!(block.receipts[0].is_success());
    assert_eq!(block.receipts[0].logs()[0].address, account);
    let state = &world.head.state;
    let delegated = state.account(&account).expect("funded");
    let code = state.code(&delegated.code_hash).expect("a delegation");
    assert_eq!(
        code[..],
        [&[0xef, 1, 0][..], counter.as_slice()].concat()[..]
    );
    assert_eq!(delegated.nonce, 1);
    assert_eq!(state.storage(&account, &U256::ZERO), U256::from(1));
    assert_eq!(state.storage(&counter, &U256::ZERO), U256::ZERO);

    // A delegated account still signs, for any chain too, and delegating to zero clears the code.
    let back = authorize(2, 0, Address::ZERO, 2);
    let block = world.block(vec![sign(2, delegating(1, Address::ZERO, vec![back]))]);
    assert!(block.receipts[0].is_success());
    let cleared = world.head.state.account(&account).expect("funded");
    assert!(!cleared.has_code());
    assert_eq!(cleared.nonce, 3);
}

#[test]
fn an_authorization_for_another_chain_or_nonce_is_passed_over_and_its_transaction_stands() {
    let mut world = World::new();
    let counter = world.deploy(1, COUNTER);
    let account = signer(2).address();
    let list = vec![
        authorize(2, 1, counter, 0),
        authorize(2, 1618, counter, 9),
        SignedAuthorization::new_unchecked(
            Authorization {
                chain_id: U256::ZERO,
                address: counter,
                nonce: 0,
            },
            7,
            U256::MAX,
            U256::MAX,
        ),
    ];
    let block = world.block(vec![sign(3, delegating(0, account, list))]);
    assert!(block.receipts[0].is_success());
    let untouched = world.head.state.account(&account).expect("funded");
    assert!(!untouched.has_code());
    assert_eq!(untouched.nonce, 0);

    // None at all makes the transaction itself invalid.
    let none = sign(3, delegating(1, account, Vec::new()));
    let built = world.build(vec![none]);
    assert_eq!(built.executed.block.transactions.len(), 0);
    assert!(built.refused[0].1.is_permanent(), "{:?}", built.refused);
}

#[test]
fn a_delegation_to_a_system_contract_reaches_no_storage_of_its_own() {
    let mut world = World::new();
    let account = signer(2).address();
    for contract in [addresses::MODELS, addresses::INFERENCE, addresses::VERIFIER] {
        let nonce = world
            .head
            .state
            .account(&account)
            .map_or(0, |account| account.nonce);
        let payer = world
            .head
            .state
            .account(&signer(3).address())
            .map_or(0, |account| account.nonce);
        let mut tx = delegating(payer, account, vec![authorize(2, 1618, contract, nonce)]);
        tx.input = Bytes::from_static(&[1, 2, 3, 4]);
        let block = world.block(vec![sign(3, tx)]);
        assert!(!block.receipts[0].is_success(), "{contract}");
        assert_eq!(world.head.state.storage_of(&account).count(), 0);
    }
}

#[test]
fn a_call_may_bring_authorizations_along() {
    let mut world = World::new();
    let counter = world.deploy(1, COUNTER);
    let account = signer(2).address();
    let request = CallRequest {
        from: Some(signer(3).address()),
        to: Some(account),
        authorizations: vec![authorize(2, 1618, counter, 0)],
        ..CallRequest::default()
    };
    let plain = CallRequest {
        authorizations: Vec::new(),
        ..request.clone()
    };
    let estimate = |request: CallRequest| {
        world
            .proposer
            .estimate_gas(
                &world.head.state,
                &world.head.block.header,
                request,
                &crate::NoAncestry,
            )
            .expect("it succeeds")
    };
    let (with, without) = (estimate(request), estimate(plain));
    assert_eq!(without, 21_000);
    // 25,000 for the authorization, and the counter's first write.
    assert!(with > 21_000 + 25_000 + 20_000, "{with}");
}

#[test]
fn a_block_with_a_blob_transaction_is_refused_by_the_type() {
    let mut world = World::new();
    let blob = alloy_consensus::TxEip4844 {
        chain_id: 1618,
        ..Default::default()
    };
    let built = world.build(vec![sign(1, blob.clone())]);
    let (_, error) = &built.refused[0];
    assert_eq!(*error, TransactionError::UnsupportedType(3));
    let mut block = (*world.block(Vec::new()).block).clone();
    world = World::new();
    block.transactions.push(sign(1, blob));
    block.header.transactions_root = hallmark_types::merkle::transactions_root(&block.transactions);
    assert_eq!(
        world.judge(&block).unwrap_err(),
        BlockError::Transaction {
            index: 0,
            error: TransactionError::UnsupportedType(3)
        }
    );
}
