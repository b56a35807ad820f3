//! `hallmark_sweepLogs`: what contracts told at the end of blocks.

use crate::world::World;
use alloy_primitives::{Address, B256, Bytes, Log};
use serde_json::{Value, json};

fn log(address: u8, topic: u8) -> Log {
    let topics = vec![B256::with_last_byte(topic), B256::repeat_byte(1)];
    Log::new_unchecked(
        Address::repeat_byte(address),
        topics,
        Bytes::from(vec![topic]),
    )
}

fn found(logs: &Value) -> Vec<(u64, u64, Bytes)> {
    let number = |value: &Value| {
        let text = value.as_str().unwrap().trim_start_matches("0x");
        u64::from_str_radix(text, 16).unwrap()
    };
    let all = logs.as_array().unwrap().iter();
    all.map(|log| {
        assert!(log["transactionHash"].is_null() && log["transactionIndex"].is_null());
        assert!(log["blockHash"].is_string());
        let data = log["data"].as_str().unwrap().parse().unwrap();
        (number(&log["blockNumber"]), number(&log["logIndex"]), data)
    })
    .collect()
}

#[tokio::test]
async fn what_contracts_told_at_the_end_of_blocks_is_found_by_the_filter_of_logs() {
    let world = World::new();
    world.mine_telling(vec![log(1, 7), log(2, 8)]);
    world.mine();
    let third = world.mine_telling(vec![log(1, 9)]);
    let all = json!([{"fromBlock": "0x0", "toBlock": "0xff"}]);
    let told = world.ask("hallmark_sweepLogs", all.clone()).await;
    let data = |byte| Bytes::from(vec![byte]);
    let expected = vec![(1, 0, data(7)), (1, 1, data(8)), (3, 0, data(9))];
    assert_eq!(found(&told), expected);
    // No Ethereum client sees them.
    assert_eq!(world.ask("eth_getLogs", all).await, json!([]));

    let ask = |filter: Value| world.ask("hallmark_sweepLogs", json!([filter]));
    let of_one = ask(json!({"fromBlock": "0x1", "address": Address::repeat_byte(1)})).await;
    assert_eq!(found(&of_one), vec![(1, 0, data(7)), (3, 0, data(9))]);
    let by_topic = json!({"fromBlock": "0x1", "topics": [B256::with_last_byte(8)]});
    assert_eq!(found(&ask(by_topic).await), vec![(1, 1, data(8))]);
    let at_block = ask(json!({"blockHash": third.hash})).await;
    assert_eq!(found(&at_block), vec![(3, 0, data(9))]);
    // By default the latest block.
    assert_eq!(found(&ask(json!({})).await), vec![(3, 0, data(9))]);
}

#[tokio::test]
async fn a_search_of_sweeps_has_the_bounds_of_one_of_logs() {
    let world = World::with(|config| {
        config.max_log_blocks = 2;
        config.max_logs = 3;
    });
    world.mine_telling(vec![log(1, 7); 2]);
    world.mine_telling(vec![log(1, 7); 2]);
    world.mine();
    let range = |from: &str, to: &str| json!([{"fromBlock": from, "toBlock": to}]);
    let refused = |params| world.refused("hallmark_sweepLogs", params);
    let (code, text) = refused(range("0x1", "0x3")).await;
    assert_eq!(
        (code, text.as_str()),
        (-32005, "query exceeds the range of 2 blocks")
    );
    let (code, text) = refused(range("0x1", "0x2")).await;
    assert_eq!(
        (code, text.as_str()),
        (-32005, "query returned more than 3 results")
    );
    assert_eq!(refused(range("0x2", "0x1")).await.0, -32602);
    assert_eq!(refused(json!([{"blockHash": B256::ZERO}])).await.0, -32000);
    let two = world.ask("hallmark_sweepLogs", range("0x2", "0x3")).await;
    assert_eq!(found(&two).len(), 2);
}
