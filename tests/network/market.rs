//! Sellers compete, die, and come back.

use crate::TURN;
use alloy_primitives::U256;
use hallmark_abi::IInference;
use hallmark_client::{Call, Client, Status};
use hallmark_e2e::{DEPOSIT, Party, SOON, World, key};
use hallmark_provider::{Provider, ProviderConfig, ProviderEvent, ProviderHandle};
use hallmark_types::{MARK, addresses};
use std::time::Duration;

/// More than the gas of a few claims and deliveries costs, in wei.
const GAS_MONEY: u128 = MARK / 10;

/// Balance and deposit of a party, in wei.
async fn worth(client: &Client, party: Party) -> U256 {
    let address = key(party).address();
    let deposit = client.deposit_of(address).await.expect("a deposit");
    client.balance(address).await.expect("a balance") + deposit.free + deposit.locked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_providers_race_one_is_paid_and_the_other_loses_nothing_but_gas() {
    let _turn = TURN.lock().await;
    let world = World::start().await;
    let buyer = world.client(Party::Buyer, 1).await;
    let parties = [Party::Seller, Party::OtherSeller];
    let first = world.provider(Party::Seller, 0, "first").await;
    let second = world.provider(Party::OtherSeller, 3, "second").await;
    world.settle().await;
    let before = [
        worth(&buyer, parties[0]).await,
        worth(&buyer, parties[1]).await,
    ];

    let mut earned = [U256::ZERO; 2];
    for seed in 0..4 {
        let (id, paid) = world.order_and_wait(&buyer, seed).await;
        let order = buyer.get_order(id).await.expect("the order");
        assert_eq!(order.status, Status::Paid);
        assert_eq!(paid.seller, order.seller);
        assert_eq!(world.deliveries(id).len(), 1, "order {id}");
        let winner = parties
            .iter()
            .position(|p| key(*p).address() == paid.seller);
        earned[winner.expect("one of the two")] += paid.to_seller;
    }
    first.stop().await;
    second.stop().await;
    world.settle().await;
    for (i, party) in parties.into_iter().enumerate() {
        let seller = key(party).address();
        let deposit = buyer.deposit_of(seller).await.expect("a deposit");
        assert_eq!(deposit.free, U256::from(DEPOSIT), "no bond was lost");
        assert_eq!(deposit.locked, U256::ZERO);
        let after = worth(&buyer, party).await;
        assert!(
            after + U256::from(GAS_MONEY) >= before[i] + earned[i],
            "seller {i} lost more than gas: {} and {} earned became {after}",
            before[i],
            earned[i],
        );
    }
    world.assert_agreement_and_conservation();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_claims_in_flight_one_holds_and_the_other_costs_its_gas() {
    let _turn = TURN.lock().await;
    let world = World::start().await;
    let buyer = world.client(Party::Buyer, 1).await;
    let first = world.bonded_client(Party::Seller, 0).await;
    let second = world.bonded_client(Party::OtherSeller, 3).await;
    let id = world.order(&buyer, &world.input(1)).await;
    world.settle().await;

    // With a gas limit of their own, so that no estimate keeps the second one back.
    let claim = Call {
        gas: Some(1_000_000),
        ..Call::new(addresses::INFERENCE, &IInference::claimCall { id })
    };
    let (one, other) = tokio::join!(first.submit(claim.clone()), second.submit(claim));
    let one = first
        .wait_receipt(one.expect("sent").hash, SOON)
        .await
        .expect("included");
    let other = second
        .wait_receipt(other.expect("sent").hash, SOON)
        .await
        .expect("included");
    assert_ne!(one.status(), other.status(), "exactly one claim holds");
    world.settle().await;
    let (winner, loser, failed) = match one.status() {
        true => (&first, &second, other),
        false => (&second, &first, one),
    };
    let order = buyer.get_order(id).await.expect("the order");
    assert_eq!(Some(order.seller), winner.address());
    let loser = loser.address().expect("a key");
    let deposit = buyer.deposit_of(loser).await.expect("a deposit");
    assert_eq!(
        (deposit.free, deposit.locked),
        (U256::from(DEPOSIT), U256::ZERO)
    );
    assert!(failed.gas_used < 200_000, "{} gas", failed.gas_used);
    world.assert_agreement_and_conservation();
}

/// Waits until the provider has told that it holds the claim.
async fn wait_claimed(provider: &ProviderHandle, world: &World, buyer: &Client, seed: u64) -> U256 {
    let mut events = provider.events();
    let id = world.order(buyer, &world.input(seed)).await;
    loop {
        let event = tokio::time::timeout(SOON, events.recv()).await;
        let event = event.expect("in time").expect("an event");
        if matches!(event, ProviderEvent::Claimed { order } if order == id) {
            return id;
        }
    }
}

/// Starts a provider again as soon as the old one has let go of the journal.
async fn restart(config: &ProviderConfig) -> ProviderHandle {
    let started = async {
        loop {
            match Provider::start(config.clone()).await {
                Ok(provider) => return provider,
                Err(hallmark_provider::ProviderError::Journal(_)) => {}
                Err(other) => panic!("the provider does not start again: {other}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let started = tokio::time::timeout(SOON, started).await;
    started.expect("the journal is free again")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_killed_after_its_claim_resumes_and_delivers_once() {
    let _turn = TURN.lock().await;
    let world = World::start().await;
    let buyer = world.client(Party::Buyer, 1).await;
    let config = world.provider_config(Party::Seller, 0, "seller");
    let mut provider = Provider::start(config.clone()).await.expect("a provider");

    // Killed as soon as it holds the claim: while it runs, proves, signs or sends.
    let (mut orders, mut undelivered) = (Vec::new(), 0);
    for seed in 0..8 {
        let id = wait_claimed(&provider, &world, &buyer, seed).await;
        // Dropped, not stopped: nothing is tidied up.
        drop(provider);
        // Longer than a delivery on its way would take.
        tokio::time::sleep(Duration::from_millis(400)).await;
        let order = buyer.get_order(id).await.expect("the order");
        undelivered += usize::from(order.status == Status::Claimed);
        orders.push(id);
        provider = restart(&config).await;
        if undelivered == 2 {
            break;
        }
    }
    assert!(undelivered > 0, "no kill came before the delivery");
    for id in orders {
        let paid = world.wait_paid(&buyer, id).await;
        assert_eq!(paid.seller, key(Party::Seller).address());
        assert_eq!(world.deliveries(id).len(), 1, "order {id}");
    }
    // It still serves.
    world.order_and_wait(&buyer, 6).await;
    provider.stop().await;
    world.settle().await;
    let deposit = buyer.deposit_of(key(Party::Seller).address()).await;
    let deposit = deposit.expect("a deposit");
    assert_eq!(
        (deposit.free, deposit.locked),
        (U256::from(DEPOSIT), U256::ZERO)
    );
    world.assert_agreement_and_conservation();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_provider_finds_a_claim_of_its_own_that_it_never_wrote_down() {
    let _turn = TURN.lock().await;
    let world = World::start().await;
    let buyer = world.client(Party::Buyer, 1).await;
    let seller = world.bonded_client(Party::Seller, 0).await;
    let id = world.order(&buyer, &world.input(5)).await;
    // As if killed between the inclusion of its claim and the next line of its journal.
    seller.claim(id).await.expect("a claim");

    let provider = world.provider(Party::Seller, 0, "seller").await;
    let paid = world.wait_paid(&buyer, id).await;
    assert_eq!(paid.seller, key(Party::Seller).address());
    assert_eq!(world.deliveries(id).len(), 1);
    provider.stop().await;
    world.assert_agreement_and_conservation();
}
