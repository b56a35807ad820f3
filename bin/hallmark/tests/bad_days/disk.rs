//! The disk fails: full, or its files damaged.

use crate::network::{Network, SOON};
use crate::turn;
use crate::workload::{Workload, assert_nothing_lost};

/// Accounts that send at the same time.
const WRITERS: usize = 2;

#[test]
fn a_validator_whose_disk_is_full_stops_and_says_so_and_goes_on_when_there_is_room() {
    let _turn = turn();
    let mut network = Network::start(WRITERS);
    let workload = Workload::start(3, WRITERS, &network.rpcs());
    network.kill(3);
    // Its database can't grow any more; what it has room for inside, it may still write.
    let database = std::fs::metadata(network.home(3).join("chain.redb")).expect("a database");
    network.spawn_with_file_limit(3, database.len() / 1024);
    let status = network.wait_exit(3, SOON).expect("it stops by itself");
    assert_eq!(status.code(), Some(1), "{}", network.printed(3));
    let printed = network.printed(3);
    assert!(printed.contains("could not be stored"), "{printed}");

    // The others do not care.
    let height = network.height(0).expect("it runs");
    network.wait_height(height + 4, SOON);

    network.spawn(3);
    let seen = workload.stop();
    let last = seen.acknowledged.iter().map(|ack| ack.height).max();
    network.wait_height(last.expect("something was acknowledged") + 2, SOON);
    assert_nothing_lost(&seen, &network.rpcs());
}
