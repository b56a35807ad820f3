//! What the methods answer.

use crate::world::{ECHO, REVERTER, World, certificate, echo_topic, init_code, signer};
use alloy_eips::{BlockId, BlockNumberOrTag};
use alloy_network::{ReceiptResponse, TransactionBuilder, TransactionResponse};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, keccak256};
use alloy_provider::Provider;
use alloy_rpc_types_eth::{Filter, TransactionRequest};
use alloy_sol_types::{Revert, SolError};
use hallmark_rpc::{Counters, Finality, Inclusion};
use hallmark_types::next_base_fee;
use serde_json::json;
use std::sync::atomic::Ordering;

const BOB: Address = address!("00000000000000000000000000000000000000bb");

fn to(address: Address) -> TransactionRequest {
    TransactionRequest {
        to: Some(TxKind::Call(address)),
        ..Default::default()
    }
}

fn create(runtime: &[u8]) -> TransactionRequest {
    TransactionRequest::default().with_deploy_code(init_code(runtime))
}

#[tokio::test]
async fn a_fresh_chain_introduces_itself() {
    let world = World::new();
    let client = world.client();
    assert_eq!(client.get_chain_id().await.unwrap(), world.spec.chain_id);
    assert_eq!(client.get_block_number().await.unwrap(), 0);
    assert_eq!(client.get_net_version().await.unwrap(), world.spec.chain_id);
    assert!(
        client
            .get_client_version()
            .await
            .unwrap()
            .starts_with("hallmark/v")
    );
    assert!(client.get_accounts().await.unwrap().is_empty());
    assert_eq!(world.ask("eth_syncing", json!([])).await, json!(false));
    assert_eq!(world.ask("net_listening", json!([])).await, json!(true));
    // keccak-256 of nothing and of "abc", as every Ethereum library knows them.
    assert_eq!(
        world.ask("web3_sha3", json!(["0x"])).await,
        json!("0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470")
    );
    assert_eq!(
        world.ask("web3_sha3", json!(["0x616263"])).await,
        json!("0x4e03657aea45a94fc7d47ba826c8d667c0d1e6e33a64a036ec44f58fa12d6c45")
    );
    assert_eq!(world.ask("net_peerCount", json!([])).await, json!("0x0"));
    let genesis = client
        .get_block_by_number(BlockNumberOrTag::Earliest)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(genesis.header.hash, world.store.head().hash);
}

#[tokio::test]
async fn a_transfer_is_sent_mined_and_seen_from_every_side() {
    let world = World::new();
    let client = world.client();
    let alice = world.alice.address();
    let before = client.get_balance(alice).await.unwrap();
    let value = U256::from(1_000_000_007u64);
    // No nonce, gas or fee given: the client asks the node for all of them.
    let sent = client
        .send_transaction(to(BOB).with_value(value))
        .await
        .unwrap();
    let hash = *sent.tx_hash();

    let waiting = client.get_transaction_by_hash(hash).await.unwrap().unwrap();
    assert_eq!((waiting.from(), waiting.block_hash), (alice, None));
    assert!(
        client
            .get_transaction_receipt(hash)
            .await
            .unwrap()
            .is_none()
    );
    assert_eq!(client.get_transaction_count(alice).await.unwrap(), 0);
    assert_eq!(
        client.get_transaction_count(alice).pending().await.unwrap(),
        1
    );

    let executed = world.mine();
    let receipt = client.get_transaction_receipt(hash).await.unwrap().unwrap();
    assert!(receipt.status());
    assert_eq!(
        (receipt.from, receipt.to, receipt.gas_used),
        (alice, Some(BOB), 21_000)
    );
    assert_eq!(receipt.block_hash, Some(executed.hash));
    assert_eq!(
        (receipt.block_number, receipt.transaction_index),
        (Some(1), Some(0))
    );
    assert_eq!(client.get_balance(BOB).await.unwrap(), value);
    let fee = U256::from(receipt.gas_used) * U256::from(receipt.effective_gas_price);
    assert_eq!(
        client.get_balance(alice).await.unwrap(),
        before - value - fee
    );
    assert_eq!(client.get_balance(alice).number(0).await.unwrap(), before);
    assert_eq!(client.get_transaction_count(alice).await.unwrap(), 1);

    let mined = client.get_transaction_by_hash(hash).await.unwrap().unwrap();
    assert_eq!(
        (mined.block_number, mined.block_hash),
        (Some(1), Some(executed.hash))
    );
    assert_eq!(mined.effective_gas_price, Some(receipt.effective_gas_price));
    let same = client
        .get_transaction_by_block_hash_and_index(executed.hash, 0)
        .await
        .unwrap();
    assert_eq!(same.as_ref(), Some(&mined));
    let same = client
        .get_transaction_by_block_number_and_index(1u64.into(), 0)
        .await
        .unwrap();
    assert_eq!(same, Some(mined));
    assert_eq!(
        client
            .get_transaction_by_block_number_and_index(1u64.into(), 1)
            .await
            .unwrap(),
        None
    );
    let all = client
        .get_block_receipts(BlockId::latest())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(all, vec![receipt]);
    assert!(
        client
            .get_block_receipts(BlockId::number(9))
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test]
async fn a_block_has_every_field_that_client_libraries_read() {
    let world = World::new();
    world
        .mempool
        .add_raw(&world.transfer(0, 1).await, &world.store.head().state)
        .unwrap();
    let executed = world.mine();
    let block = world
        .ask("eth_getBlockByNumber", json!(["latest", false]))
        .await;
    for field in [
        "hash",
        "parentHash",
        "sha3Uncles",
        "miner",
        "stateRoot",
        "transactionsRoot",
        "receiptsRoot",
        "logsBloom",
        "difficulty",
        "number",
        "gasLimit",
        "gasUsed",
        "timestamp",
        "extraData",
        "mixHash",
        "nonce",
        "baseFeePerGas",
        "withdrawalsRoot",
        "blobGasUsed",
        "excessBlobGas",
        "parentBeaconBlockRoot",
        "requestsHash",
        "size",
        "uncles",
        "transactions",
        "withdrawals",
    ] {
        assert!(!block[field].is_null(), "{field} is missing: {block}");
    }
    assert_eq!(block["nonce"], json!("0x0000000000000000"));
    assert_eq!(block["withdrawals"], json!([]));
    assert_eq!(block["uncles"], json!([]));
    let size = alloy_rlp::Encodable::length(&*executed.block);
    assert_eq!(block["size"], json!(format!("{size:#x}")));
    assert_eq!(
        block["transactions"],
        json!([executed.block.transactions[0].tx_hash()])
    );

    let client = world.client();
    let full = client
        .get_block_by_hash(executed.hash)
        .full()
        .await
        .unwrap()
        .unwrap();
    assert_eq!(full.header.hash, full.header.inner.hash_slow());
    assert_eq!(full.header.inner, executed.block.header);
    assert_eq!(
        full.transactions.as_transactions().unwrap()[0].from(),
        world.alice.address()
    );
    for tag in ["latest", "safe", "finalized", "pending"] {
        let tagged = world.ask("eth_getBlockByNumber", json!([tag, false])).await;
        assert_eq!(tagged, block, "{tag}");
    }
    assert!(
        world
            .ask("eth_getBlockByNumber", json!(["0x2", false]))
            .await
            .is_null()
    );
    assert!(
        world
            .ask("eth_getBlockByHash", json!([B256::ZERO, true]))
            .await
            .is_null()
    );
    let count = world
        .ask("eth_getBlockTransactionCountByNumber", json!(["0x1"]))
        .await;
    assert_eq!(count, json!("0x1"));
    let count = world
        .ask("eth_getBlockTransactionCountByHash", json!([executed.hash]))
        .await;
    assert_eq!(count, json!("0x1"));
    assert_eq!(
        world
            .ask("eth_getUncleCountByBlockNumber", json!(["0x1"]))
            .await,
        json!("0x0")
    );
}

#[tokio::test]
async fn contracts_are_deployed_called_and_their_logs_found() {
    let world = World::new();
    let client = world.client();
    let sent = client.send_transaction(create(ECHO)).await.unwrap();
    world.mine();
    let deployed = client
        .get_transaction_receipt(*sent.tx_hash())
        .await
        .unwrap()
        .unwrap();
    let contract = deployed.contract_address().unwrap();
    assert_eq!(contract, world.alice.address().create(0));
    assert_eq!(
        client.get_code_at(contract).await.unwrap(),
        Bytes::from_static(ECHO)
    );

    let word = keccak256("word");
    let request = to(contract).with_input(Bytes::from(word));
    assert_eq!(
        client.call(request.clone()).await.unwrap(),
        Bytes::from(word)
    );
    assert_eq!(
        client
            .call(request.clone())
            .block(BlockId::number(0))
            .await
            .unwrap(),
        Bytes::new()
    );
    let gas = client.estimate_gas(request.clone()).await.unwrap();
    let sent = client.send_transaction(request).await.unwrap();
    world.mine();
    let receipt = client
        .get_transaction_receipt(*sent.tx_hash())
        .await
        .unwrap()
        .unwrap();
    assert!(receipt.status() && receipt.gas_used <= gas);
    world.mine();

    let all = Filter::new()
        .from_block(0)
        .to_block(BlockNumberOrTag::Latest);
    let ours = all.clone().address(contract).event_signature(echo_topic());
    let logs = client.get_logs(&ours).await.unwrap();
    assert_eq!(logs, receipt.logs());
    assert_eq!(logs[0].data().data, Bytes::from(word));
    assert_eq!(
        (logs[0].block_number, logs[0].log_index),
        (Some(2), Some(0))
    );
    let at_block = Filter::new().at_block_hash(receipt.block_hash.unwrap());
    assert_eq!(client.get_logs(&at_block).await.unwrap(), logs);
    assert!(
        client
            .get_logs(&all.clone().address(BOB))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        client
            .get_logs(&all.event_signature(B256::ZERO))
            .await
            .unwrap()
            .is_empty()
    );
    assert!(
        client
            .get_logs(&Filter::new().from_block(3))
            .await
            .unwrap()
            .is_empty()
    );
}

#[tokio::test]
async fn a_revert_carries_code_3_the_reason_and_the_data() {
    let world = World::new();
    let client = world.client();
    let sent = client.send_transaction(create(REVERTER)).await.unwrap();
    let executed = world.mine();
    assert_eq!(executed.block.transactions[0].tx_hash(), sent.tx_hash());
    let contract = world.alice.address().create(0);
    let data = Bytes::from(Revert::from("no coins for you").abi_encode());
    for method in ["eth_call", "eth_estimateGas"] {
        let answer = world
            .post(method, json!([{"to": contract, "input": data}]))
            .await;
        assert_eq!(answer["error"]["code"], json!(3), "{answer}");
        assert_eq!(
            answer["error"]["message"],
            json!("execution reverted: no coins for you")
        );
        assert_eq!(answer["error"]["data"], json!(data));
        let answer = world
            .post(method, json!([{"to": contract, "data": "0x1234"}]))
            .await;
        assert_eq!(answer["error"]["message"], json!("execution reverted"));
        assert_eq!(answer["error"]["data"], json!("0x1234"));
    }
    let error = client
        .call(to(contract).with_input(data.clone()))
        .await
        .unwrap_err();
    let payload = error.as_error_resp().unwrap();
    assert_eq!(payload.as_revert_data(), Some(data));
}

#[tokio::test]
async fn refused_transactions_are_refused_in_the_words_of_geth() {
    let world = World::new();
    let first = world.transfer(0, 10).await;
    world.ask("eth_sendRawTransaction", json!([first])).await;
    let refused = async |raw: Bytes| world.refused("eth_sendRawTransaction", json!([raw])).await;

    assert_eq!(
        refused(first.clone()).await,
        (-32000, "already known".into())
    );
    let (code, text) = refused(world.transfer(0, 11).await).await;
    assert_eq!(
        (code, text.as_str()),
        (-32000, "replacement transaction underpriced")
    );
    world.mine();
    let (code, text) = refused(world.transfer(0, 50).await).await;
    assert_eq!(
        (code, text.starts_with("nonce too low")),
        (-32000, true),
        "{text}"
    );
    let poor = {
        let mut poor = World::new();
        poor.alice = signer("mallory");
        poor.transfer(0, 1).await
    };
    let (code, text) = refused(poor).await;
    let expected = text.starts_with("insufficient funds for gas * price + value");
    assert_eq!((code, expected), (-32000, true), "{text}");
    let (code, _) = refused(Bytes::from_static(b"\x02\xc0")).await;
    assert_eq!(code, -32000);
}

#[tokio::test]
async fn fees_are_suggested_from_what_recent_blocks_took() {
    let world = World::new();
    let client = world.client();
    let gwei = U256::from(1_000_000_000);
    assert_eq!(
        world.ask("eth_maxPriorityFeePerGas", json!([])).await,
        json!(gwei)
    );
    for nonce in 0..3 {
        let raw = world.transfer(nonce, 5_000).await;
        world.ask("eth_sendRawTransaction", json!([raw])).await;
        world.mine();
    }
    let tip = client.get_max_priority_fee_per_gas().await.unwrap();
    assert_eq!(tip, 5_000);
    let next = u128::from(next_base_fee(&world.store.head().block.header, &world.spec));
    assert_eq!(client.get_gas_price().await.unwrap(), next + tip);

    let history = client
        .get_fee_history(2, BlockNumberOrTag::Latest, &[10.0, 90.0])
        .await
        .unwrap();
    assert_eq!(history.oldest_block, 2);
    assert_eq!(
        (history.base_fee_per_gas.len(), history.gas_used_ratio.len()),
        (3, 2)
    );
    assert_eq!(history.base_fee_per_gas[2], next);
    assert_eq!(history.reward, Some(vec![vec![5_000, 5_000]; 2]));
    let everything = client
        .get_fee_history(500, BlockNumberOrTag::Latest, &[])
        .await
        .unwrap();
    assert_eq!(
        (everything.oldest_block, everything.base_fee_per_gas.len()),
        (0, 5)
    );
    let (code, _) = world
        .refused("eth_feeHistory", json!([1, "latest", [90.0, 10.0]]))
        .await;
    assert_eq!(code, -32602);
    let fees = client.estimate_eip1559_fees().await.unwrap();
    assert!(fees.max_fee_per_gas >= next);
}

#[tokio::test]
async fn storage_and_account_proofs_lead_to_the_state_root() {
    let world = World::new();
    let client = world.client();
    let alice = world.alice.address();
    let proof = client
        .get_proof(alice, vec![B256::with_last_byte(3)])
        .await
        .unwrap();
    let root = world.store.head().block.header.state_root;
    let account = alloy_consensus::TrieAccount {
        nonce: proof.nonce,
        balance: proof.balance,
        storage_root: proof.storage_hash,
        code_hash: proof.code_hash,
    };
    let key = alloy_trie::Nibbles::unpack(keccak256(alice));
    let value = Some(alloy_rlp::encode(account));
    alloy_trie::proof::verify_proof(root, key, value, &proof.account_proof).unwrap();
    assert_eq!(proof.balance, client.get_balance(alice).await.unwrap());
    assert_eq!(
        (proof.storage_proof.len(), proof.storage_proof[0].value),
        (1, U256::ZERO)
    );
    assert_eq!(
        client.get_storage_at(alice, U256::from(3)).await.unwrap(),
        U256::ZERO
    );
    let absent = client
        .get_proof(Address::repeat_byte(0x99), vec![])
        .await
        .unwrap();
    assert_eq!((absent.nonce, absent.balance), (0, U256::ZERO));
}

#[tokio::test]
async fn a_mined_transaction_is_proven_by_header_certificate_and_merkle_proofs() {
    let world = World::new();
    let client = world.client();
    world.mine();
    let hash = *client
        .send_transaction(to(BOB).with_value(U256::from(5)))
        .await
        .unwrap()
        .tx_hash();
    let executed = world.mine();
    // Block 2 has no certificate of its own and no descendant yet.
    let (code, text) = world.refused("hallmark_inclusion", json!([hash])).await;
    assert_eq!(
        (code, text.as_str()),
        (-32000, "no certificate covers block 2 yet")
    );
    let child = world.mine();

    let answer = world.ask("hallmark_inclusion", json!([hash])).await;
    let inclusion: Inclusion = serde_json::from_value(answer).unwrap();
    let header: alloy_consensus::Header =
        alloy_rlp::decode_exact(&inclusion.finality.header).unwrap();
    assert_eq!(header.hash_slow(), executed.hash);
    assert_eq!(inclusion.finality.certificate, certificate(3));
    assert_eq!(
        inclusion.finality.descendants,
        [Bytes::from(alloy_rlp::encode(&child.block.header))]
    );
    assert_eq!(keccak256(&inclusion.transaction), hash);
    let index = inclusion.index.to::<usize>();
    for (root, leaf, proof) in [
        (
            header.transactions_root,
            &inclusion.transaction,
            &inclusion.transaction_proof,
        ),
        (
            header.receipts_root,
            &inclusion.receipt,
            &inclusion.receipt_proof,
        ),
    ] {
        let key = alloy_trie::Nibbles::unpack(alloy_rlp::encode(index));
        alloy_trie::proof::verify_proof(root, key, Some(leaf.to_vec()), proof).unwrap();
    }

    let own: Finality =
        serde_json::from_value(world.ask("net_finalizedCertificate", json!(["0x1"])).await)
            .unwrap();
    assert_eq!(
        (own.certificate, own.descendants.len()),
        (certificate(1), 0)
    );
    let (code, _) = world
        .refused("net_finalizedCertificate", json!(["0x0"]))
        .await;
    assert_eq!(code, -32000);
    assert!(
        world
            .ask("hallmark_inclusion", json!([B256::ZERO]))
            .await
            .is_null()
    );

    let raw = world.ask("debug_getRawTransaction", json!([hash])).await;
    assert_eq!(raw, json!(inclusion.transaction));
    let raw = world.ask("debug_getRawHeader", json!(["0x2"])).await;
    assert_eq!(raw, json!(inclusion.finality.header));
    let raw = world.ask("debug_getRawReceipts", json!(["0x2"])).await;
    assert_eq!(raw, json!([inclusion.receipt]));
    let raw = world.ask("debug_getRawBlock", json!(["0x2"])).await;
    assert_eq!(raw, json!(Bytes::from(alloy_rlp::encode(&*executed.block))));
}

#[tokio::test]
async fn a_batch_is_answered_in_one_go() {
    let world = World::new();
    let batch = json!([
        {"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []},
        {"jsonrpc": "2.0", "id": 2, "method": "eth_blockNumber"},
        {"jsonrpc": "2.0", "id": 3, "method": "eth_noSuchMethod"},
    ]);
    let answer = world.post_json(&batch).await;
    assert_eq!(
        answer[0]["result"],
        json!(format!("{:#x}", world.spec.chain_id))
    );
    assert_eq!(answer[1]["result"], json!("0x0"));
    assert_eq!(answer[2]["error"]["code"], json!(-32601));
}

#[tokio::test]
async fn the_counters_tell_what_the_executor_really_computed() {
    let world = World::new();
    let counters = || async { world.ask("hallmark_counters", json!([])).await };
    let fresh = json!({"proofVerifications": 0, "callVerifications": 0, "senderRecoveries": 0});
    assert_eq!(counters().await, fresh);
    let raw = world.transfer(0, 1).await;
    world.ask("eth_sendRawTransaction", json!([raw])).await;
    let executed = world.mine();
    assert_eq!(executed.block.transactions.len(), 1);
    // Admitted, built into a block and committed: recovered once.
    assert_eq!(counters().await["senderRecoveries"], json!(1));

    let executor = world.executor.counters();
    executor.proof_verifications.fetch_add(2, Ordering::Relaxed);
    executor.call_verifications.fetch_add(3, Ordering::Relaxed);
    let answer: Counters = serde_json::from_value(counters().await).unwrap();
    let expected = Counters {
        proof_verifications: 2,
        call_verifications: 3,
        sender_recoveries: 1,
    };
    assert_eq!(answer, expected);
}
