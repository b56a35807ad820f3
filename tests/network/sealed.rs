//! Sealed orders on a running network: who can read what, and who is paid.

use crate::TURN;
use alloy_consensus::Transaction as _;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, U256};
use hallmark_client::{
    Client, ClientError, Status,
    receipt::{self, ReceiptInput, Revealed},
    sealed::{Binding, Opened, envelope},
};
use hallmark_e2e::{Party, SOON, World, key, small_model};
use hallmark_engine::Prepared;
use hallmark_proof::{Claim, InputSecret};
use hallmark_provider::sealing::SealingKeys;
use std::time::Duration;

/// Long enough for all the lies, short enough to see the windows close.
const WINDOW_MS: u64 = 20_000;

/// All bytes of all transactions that are in blocks: whatever the chain knows, it has from there.
fn chain_bytes(world: &World) -> Vec<u8> {
    let store = world.devnet.nodes().next().expect("a validator").store();
    let mut bytes = Vec::new();
    for height in 1..=store.head().block.number() {
        let block = store.block_by_number(height).expect("a block");
        for transaction in block.transactions.iter() {
            bytes.extend(transaction.encoded_2718());
            bytes.extend(transaction.input());
        }
    }
    bytes
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// The ways in which parts of a tensor of small integers may lie in bytes, at least 8 bytes each, so
/// that none is found by chance.
fn encodings(values: &[i32]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    for window in values.windows(8) {
        parts.push(window.iter().map(|v| v.to_le_bytes()[0]).collect());
    }
    for window in values.windows(4) {
        for wide in [2, 4] {
            let little = window.iter().flat_map(|v| v.to_le_bytes()[..wide].to_vec());
            parts.push(little.collect());
            let big = window
                .iter()
                .flat_map(|v| v.to_be_bytes()[4 - wide..].to_vec());
            parts.push(big.collect());
        }
    }
    parts
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sealed_order_is_answered_for_its_buyers_eyes_only() {
    let _turn = TURN.lock().await;
    let world = World::start().await;
    let provider = world.provider(Party::Seller, 0, "seller").await;
    let buyer = world.client(Party::Buyer, 1).await;
    let outsider = world.bonded_client(Party::OtherSeller, 2).await;
    let secrets = world.secrets("secrets");
    let price = U256::from(hallmark_e2e::PRICE);
    let listed = buyer.sellers_for_sealed_orders(price).await;
    let listed = listed.expect("the sellers");
    assert_eq!(listed, [key(Party::Seller).address()]);

    let input = world.input(1);
    let honest = world.output(&world.trace(&input));
    let mut orders = Vec::new();
    // The same input twice: nothing tells that it is the same.
    for _ in 0..2 {
        let id = world
            .order_sealed(&buyer, &secrets, &input, &[Party::Seller], 60_000)
            .await;
        // An outsider with a deposit cannot take it, whether or not the seller was faster.
        let claimed = outsider.claim(id).await;
        let error = claimed.expect_err("the order does not name it").to_string();
        assert!(
            error.contains("NotNamed") || error.contains("WrongStatus"),
            "{error}"
        );
        let paid = world.wait_paid(&buyer, id).await;
        assert_eq!(paid.seller, key(Party::Seller).address());
        let graph = &world.model.graph;
        let opened = buyer.open_output(id, graph, &secrets).await;
        assert_eq!(opened.expect("the answer"), honest, "the model's answer");
        orders.push((id, paid));
    }
    let [(first, first_paid), (second, second_paid)] = orders.as_slice() else {
        panic!("two orders")
    };
    assert_ne!(first_paid.input_hash, second_paid.input_hash);
    assert_ne!(first_paid.output, second_paid.output, "another pad");

    // What an outsider reads: neither input nor output, in no encoding, nor the secrets.
    let seen = chain_bytes(&world);
    for part in encodings(&input).iter().chain(&encodings(&honest)) {
        assert!(!holds(&seen, part), "the chain shows {part:?}");
    }
    let nothing = world.secrets("someone else's");
    let refused = outsider.open_output(*first, &world.model.graph, &nothing);
    assert!(matches!(refused.await, Err(ClientError::Secret(_))));
    let kept = secrets.load(first_paid.input_hash).expect("the secret");
    assert!(!holds(&seen, &kept.secret.to_bytes()));
    // The seller read the input and wrote it down nowhere.
    let journal = std::fs::read(world.dir.path().join("seller/journal.redb"));
    let journal = journal.expect("the journal");
    for part in encodings(&input).iter().chain(&encodings(&honest)) {
        let in_hex = alloy_primitives::hex::encode(part);
        assert!(!holds(&journal, part) && !holds(&journal, in_hex.as_bytes()));
    }
    // The search would find them: an open order shows its input.
    let open = world.order(&buyer, &input).await;
    world.wait_paid(&buyer, open).await;
    let seen = chain_bytes(&world);
    let shown = world.model.graph.encode_input(&input);
    assert!(holds(&seen, &shown), "an open order shows its input");

    receipts(&world, &buyer, *first, *second, &secrets, (&input, &honest)).await;
    provider.stop().await;
    world.assert_agreement_and_conservation();
}

/// A receipt of a sealed order proves the payment to anyone, and shows only what is revealed.
async fn receipts(
    world: &World,
    buyer: &Client,
    id: U256,
    other: U256,
    secrets: &hallmark_client::SecretStore,
    (input, output): (&[i32], &[i32]),
) {
    let spec = world.spec();
    let file = world.receipt(buyer, id).await;
    let verified = receipt::verify(&file, spec).expect("a receipt");
    let commitment = buyer.get_order(id).await.expect("the order").input_hash;
    assert_eq!(verified.commitment, Some(commitment));
    assert_eq!((&verified.input, &verified.output), (&None, &None));

    let kept = secrets.load(commitment).expect("the secret");
    let revealed = file.clone().reveal(&kept);
    let verified = receipt::verify(&revealed, spec).expect("a revealed receipt");
    assert_eq!(verified.input.as_deref(), Some(input));
    assert_eq!(verified.output.as_deref(), Some(output));

    // Another secret, another commitment, another mode.
    let mut lie = file.clone();
    lie.input = ReceiptInput::Sealed {
        commitment,
        revealed: Some(Revealed {
            input: kept.input.clone(),
            secret: B256::repeat_byte(1),
        }),
    };
    let error = receipt::verify(&lie, spec).expect_err("another secret");
    assert!(error.to_string().contains("does not open"), "{error}");
    let mut lie = file.clone();
    lie.input = world.receipt(buyer, other).await.input;
    let error = receipt::verify(&lie, spec).expect_err("another commitment");
    assert!(error.to_string().contains("commitment"), "{error}");
    let mut lie = file;
    lie.input = ReceiptInput::Public { input: kept.input };
    let error = receipt::verify(&lie, spec).expect_err("another mode");
    assert!(error.to_string().contains("input"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lies_about_a_sealed_order_are_refused_and_unopenable_envelopes_left_alone() {
    let _turn = TURN.lock().await;
    let world = World::start_with(|spec| {
        spec.market.claim_window_ms = WINDOW_MS;
        spec.limits.max_parent_gap_ms = 2_000;
    })
    .await;
    let buyer = world.client(Party::Buyer, 1).await;
    let cheat = world.bonded_client(Party::Cheat, 2).await;
    let secrets = world.secrets("secrets");
    let keys = SealingKeys::open(&world.dir.path().join("cheat-keys.json")).expect("keys");
    let set = cheat.set_sealing_key(keys.public()).await.expect("set");
    world.wait_height(set.block_number.expect("a block")).await;

    let input = world.input(1);
    let id = world
        .order_sealed(&buyer, &secrets, &input, &[Party::Cheat], 60_000)
        .await;
    cheat.claim(id).await.expect("a claim");
    world.settle().await;
    let opened = open(&world, &cheat, &keys, id).await;
    assert_eq!(opened.input, input, "a named seller reads the input");
    let context = cheat.order_context(id).await.expect("context").0;
    let graph = &world.model.graph;
    let prove = |input: &[i32], secret: &InputSecret| {
        let trace = world.trace(input);
        let masked = hallmark_proof::mask_output(graph, &world.output(&trace), secret);
        let proof = hallmark_proof::prove_private(&world.proving, &trace, secret, &context);
        let masked = hallmark_proof::encode_masked(&masked.expect("masked"));
        (masked, proof.expect("a proof"))
    };
    let (output, proof) = prove(&input, &opened.secret);
    let mut lies = Vec::new();
    let mut changed = output.clone();
    changed[0] ^= 1;
    lies.push(("an output changed", changed, proof.clone()));
    let mut flipped = proof.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    lies.push(("a flipped byte", output.clone(), flipped));
    let (other_output, other_proof) = prove(&world.input(2), &opened.secret);
    lies.push(("another input", other_output, other_proof));
    // The same with the order's own commitment in the statement: an equation refuses it.
    let trace = world.trace(&world.input(2));
    let masked = hallmark_proof::mask_output(graph, &world.output(&trace), &opened.secret);
    let masked = masked.expect("masked");
    let commitment = hallmark_proof::commit_input(graph, &input, &opened.secret);
    let claim = Claim {
        commitment: &commitment.expect("a commitment"),
        masked: &masked,
        context: &context,
    };
    let (key, secret) = (&world.proving, &opened.secret);
    let lie = hallmark_proof::prove_private_statement(key, &trace, secret, claim);
    let masked = hallmark_proof::encode_masked(&masked);
    lies.push(("a lying witness", masked, lie.expect("a proof")));
    let own = InputSecret::from_bytes([7; 32]);
    let (other_output, other_proof) = prove(&input, &own);
    lies.push(("another pad", other_output, other_proof));
    let trace = world.trace(&input);
    let public = hallmark_proof::prove(&world.proving, &trace, &context).expect("a proof");
    lies.push(("a public proof", output.clone(), public));
    let other = small_model(2);
    let proving = hallmark_proof::setup(&other).expect("setup");
    let prepared = Prepared::new(other).expect("the engine");
    let trace = hallmark_engine::trace(&prepared, &input).expect("a run");
    let masked = hallmark_proof::mask_output(graph, &world.output(&trace), &opened.secret);
    let masked = hallmark_proof::encode_masked(&masked.expect("masked"));
    let of_other = hallmark_proof::prove_private(&proving, &trace, &opened.secret, &context);
    lies.push(("another model", masked, of_other.expect("a proof")));
    for (name, output, proof) in lies {
        let refused = cheat.deliver(id, &output, &proof).await;
        let Err(ClientError::Reverted { reason, .. }) = refused else {
            panic!("{name} got no refusal: {refused:?}")
        };
        let reason = reason.expect("a reason");
        assert_eq!(reason.name, "ProofRefused", "{name}: {reason}");
    }
    // The claim stands, and the truth is still paid.
    let delivered = cheat.deliver(id, &output, &proof).await;
    delivered.expect("the truth is paid");

    // The same delivery for another order of the same input.
    let second = world
        .order_sealed(
            &buyer,
            &secrets,
            &input,
            &[Party::Cheat],
            2 * WINDOW_MS + 1_000,
        )
        .await;
    cheat.claim(second).await.expect("a claim");
    let replayed = cheat.deliver(second, &output, &proof).await;
    assert!(matches!(replayed, Err(ClientError::Reverted { .. })));

    // A seller leaves an order alone whose envelope it cannot open; the escrow goes back.
    let config = world.provider_config(Party::Seller, 0, "seller");
    let provider = hallmark_provider::Provider::start(config.clone()).await;
    let provider = provider.expect("a provider");
    provider.stop().await;
    std::fs::remove_file(&config.sealing_keys).expect("the keys were there");
    let lost = world
        .order_sealed(
            &buyer,
            &secrets,
            &input,
            &[Party::Seller],
            2 * WINDOW_MS + 500,
        )
        .await;
    let provider = hallmark_provider::Provider::start(config).await;
    let provider = provider.expect("a provider");
    for id in [second, lost] {
        let settled = async {
            loop {
                let order = buyer.get_order(id).await.expect("the order");
                if order.status.is_final() {
                    return order.status;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let status = tokio::time::timeout(SOON, settled).await;
        assert_eq!(status.expect("the sweep comes"), Status::Refunded);
    }
    let status = provider.status();
    // On a slow machine the claim on `second`, which does not name this seller, lapses while the
    // seller watches: that is a second refusal.
    assert_eq!(status.delivered, 0, "{status:?}");
    assert!((1..=2).contains(&status.refused), "{status:?}");
    provider.stop().await;
    world.assert_agreement_and_conservation();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sealed_deliveries_share_a_block() {
    let _turn = TURN.lock().await;
    // Blocks are far enough apart that both deliveries are in the pool when the next is proposed.
    let world = World::start_with(|spec| {
        spec.market.claim_window_ms = WINDOW_MS;
        spec.limits.min_block_interval_ms = 1_500;
        spec.limits.idle_block_interval_ms = 1_500;
        spec.limits.max_parent_gap_ms = 4_000;
    })
    .await;
    let buyer = world.client(Party::Buyer, 1).await;
    let secrets = world.secrets("secrets");
    let mut sellers = Vec::new();
    for (party, name) in [(Party::Cheat, "one"), (Party::OtherSeller, "other")] {
        let seller = world.bonded_client(party, 2).await;
        let keys = SealingKeys::open(&world.dir.path().join(name)).expect("keys");
        let set = seller.set_sealing_key(keys.public()).await.expect("set");
        world.wait_height(set.block_number.expect("a block")).await;
        sellers.push((party, seller, keys));
    }
    let mut calls = Vec::new();
    for (seed, (party, seller, keys)) in sellers.iter().enumerate() {
        let input = world.input(seed as u64);
        let id = world
            .order_sealed(&buyer, &secrets, &input, &[*party], 60_000)
            .await;
        seller.claim(id).await.expect("a claim");
        world.settle().await;
        let opened = open(&world, seller, keys, id).await;
        let context = seller.order_context(id).await.expect("context").0;
        let trace = world.trace(&opened.input);
        let output = world.output(&trace);
        let graph = &world.model.graph;
        let masked = hallmark_proof::mask_output(graph, &output, &opened.secret);
        let masked = hallmark_proof::encode_masked(&masked.expect("masked"));
        let (key, secret) = (&world.proving, &opened.secret);
        let proof = hallmark_proof::prove_private(key, &trace, secret, &context);
        let order = seller.get_order(id).await.expect("the order");
        let proof = proof.expect("a proof");
        let call = seller.deliver_call(&order, &masked, &proof).await;
        calls.push((seller, call.expect("a call")));
    }
    // Right after a block, so that the whole interval is left.
    let store = world.devnet.nodes().next().expect("a validator").store();
    let height = store.head().block.number();
    world.wait_height(height + 1).await;
    let sent = futures::future::join_all(calls.into_iter().map(|(seller, call)| async move {
        let signed = seller.submit(call).await.expect("sent");
        seller.finish(signed.hash).await.expect("paid")
    }));
    let receipts = sent.await;
    let blocks: Vec<_> = receipts.iter().map(|r| r.block_number).collect();
    assert_eq!(blocks[0], blocks[1], "one block holds both");
    assert!(receipts.iter().all(|receipt| receipt.status()));
    world.assert_agreement_and_conservation();
}

/// What a named seller finds in an order's envelope.
async fn open(world: &World, seller: &Client, keys: &SealingKeys, id: U256) -> Opened {
    let order = seller.get_order(id).await.expect("the order");
    let binding = Binding {
        chain_id: seller.chain_id(),
        model: order.model,
        buyer: order.buyer,
        commitment: order.input_hash,
        sellers: seller.order_sellers(id).await.expect("the sellers"),
    };
    let bytes = seller.order_input(id).await.expect("the envelope");
    let me = seller.address().expect("a key");
    let find = |key: &[u8; 32]| keys.find(key);
    envelope::open(&bytes, &binding, me, find, &world.model.graph).expect("it opens")
}
