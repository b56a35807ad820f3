//! Four validators over real sockets and files, in one process.

mod support;

use std::{
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, Bytes, U256};
use hallmark_consensus::{
    ConsensusConfig, ConsensusError, ConsensusHandle, certificate, public_key_of, start,
};
use hallmark_execution::Executor;
use hallmark_state::Store;
use support::{Rooms, World};
use tempfile::TempDir;

struct Node {
    rooms: Rooms,
    handle: ConsensusHandle,
}

struct Cluster {
    /// Before the folders, so that no validator outlives its folder.
    nodes: Vec<Option<Node>>,
    homes: Vec<TempDir>,
    world: World,
    addresses: Vec<SocketAddr>,
}

fn now_ms() -> u64 {
    let elapsed = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("after 1970");
    u64::try_from(elapsed.as_millis()).expect("before the end of time")
}

/// Loopback addresses that are free now.
fn free_addresses(count: usize) -> Vec<SocketAddr> {
    let listeners: Vec<TcpListener> = (0..count)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"))
        .collect();
    listeners
        .iter()
        .map(|listener| listener.local_addr().expect("an address"))
        .collect()
}

impl Cluster {
    fn new(epoch_blocks: u64) -> Self {
        let world = World::with(4, 4, now_ms(), |spec| {
            spec.staking.epoch_blocks = epoch_blocks;
        });
        let homes = (0..4)
            .map(|_| tempfile::tempdir().expect("a folder"))
            .collect();
        let mut cluster = Self {
            world,
            homes,
            addresses: free_addresses(4),
            nodes: (0..4).map(|_| None).collect(),
        };
        for index in 0..4 {
            cluster.start(index);
        }
        cluster
    }

    fn config(&self, index: usize) -> ConsensusConfig {
        ConsensusConfig {
            key: self.world.seeds[index],
            spec: self.world.spec.clone(),
            listen: self.addresses[index],
            peers: self
                .world
                .seeds
                .iter()
                .zip(&self.addresses)
                .map(|(seed, address)| (public_key_of(seed), *address))
                .collect(),
            followers: Vec::new(),
            home: self.homes[index].path().join("consensus"),
            votes: self.homes[index].path().to_owned(),
        }
    }

    fn open(&self, index: usize) -> Rooms {
        let executor = Arc::new(Executor::new(self.world.spec.clone()));
        let path = self.homes[index].path().join("chain.redb");
        let genesis = executor.genesis();
        let store = Store::open(&path, &self.world.spec, &genesis).expect("a store");
        self.world.rooms_over(executor, store)
    }

    fn start(&mut self, index: usize) {
        let rooms = self.open(index);
        let handle = start(self.config(index), rooms.core.clone()).expect("starts");
        self.nodes[index] = Some(Node { rooms, handle });
    }

    fn stop(&mut self, index: usize) {
        let node = self.nodes[index].take().expect("it runs");
        node.handle.stop();
        assert!(!node.handle.is_running());
        assert_eq!(node.handle.fatal(), None);
    }

    fn rooms(&self, index: usize) -> &Rooms {
        &self.nodes[index].as_ref().expect("it runs").rooms
    }

    fn running(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    fn wait(&self, what: &str, done: impl Fn(&Rooms) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.running().all(|node| done(&node.rooms)) {
            for node in self.running() {
                assert_eq!(node.handle.fatal(), None);
            }
            assert!(Instant::now() < deadline, "waited too long until: {what}");
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn check(&self) {
        let low = self
            .running()
            .map(|node| node.rooms.height())
            .min()
            .expect("running");
        let first = self.running().next().expect("running");
        let mut proven = 0u64;
        for number in 1..=low {
            let block = first
                .rooms
                .store
                .block_by_number(number)
                .expect("committed");
            for node in self.running() {
                assert_eq!(node.rooms.store.block_hash(number), Some(block.hash()));
                let bytes = node.rooms.store.finalization(number).expect("committed");
                if !bytes.is_empty() {
                    proven += 1;
                    let epoch = hallmark_consensus::epoch_of(&self.world.spec, number);
                    let committee = node.rooms.core.committee(epoch).expect("known");
                    certificate::verify(&self.world.spec, &committee, &block.header, &bytes)
                        .expect("a proof");
                }
            }
        }
        let copies = low * u64::try_from(self.running().count()).expect("few");
        println!("blocks: {low}; own certificates: {proven} of {copies} stored copies");
        assert!(proven > 0);
        for node in self.running() {
            let total = node.rooms.store.head().state.total_balance();
            assert_eq!(total, self.world.spec.issued());
        }
    }
}

fn percentile(sorted: &[u64], percent: usize) -> u64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

#[test]
fn four_validators_in_one_process_order_transfers_and_survive_restarts() {
    // Short epochs, so that restarts fall into different ones.
    let mut cluster = Cluster::new(16);
    let to = Address::repeat_byte(0x99);
    cluster.wait("the first blocks", |rooms| rooms.height() >= 3);

    // Idle pace.
    let idle_from = cluster.rooms(0).height();
    let idle_begin = Instant::now();
    cluster.wait("idle blocks", |rooms| rooms.height() >= idle_from + 8);
    let idle_interval = idle_begin.elapsed().as_millis() / 8;

    // One transfer after the other: from submission to commit at the validator that got it.
    let mut latencies = Vec::new();
    for nonce in 0..10 {
        let begin = Instant::now();
        cluster
            .rooms(1)
            .submit(&cluster.world.transfer(0, nonce, to, 1));
        while cluster.rooms(1).balance(to) < U256::from(nonce + 1) {
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "transfer {nonce} is stuck"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
        latencies.push(u64::try_from(begin.elapsed().as_millis()).expect("short"));
    }
    latencies.sort_unstable();

    // Work all the time: intervals of blocks and time from a block's timestamp to its commit.
    let mut commits = cluster.rooms(2).store.subscribe();
    let busy_from = cluster.rooms(2).height();
    for nonce in 0..60 {
        for (user, index) in [(1, 0), (2, 2), (3, 3)] {
            cluster
                .rooms(index)
                .submit(&cluster.world.transfer(user, nonce, to, 1));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    cluster.wait("every transfer", |rooms| {
        rooms.balance(to) == U256::from(190)
    });
    let mut finality = Vec::new();
    let mut timestamps = Vec::new();
    let mut largest = 0;
    // The subscription tells when each block was committed only while we listen; ask the header.
    while let Ok(executed) = commits.try_recv() {
        timestamps.push(executed.block.timestamp_ms());
        largest = largest.max(executed.block.transactions.len());
    }
    let mut live = cluster.rooms(2).store.subscribe();
    for nonce in 60..80 {
        cluster
            .rooms(0)
            .submit(&cluster.world.transfer(1, nonce, to, 1));
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            assert!(Instant::now() < deadline, "no commit");
            match live.try_recv() {
                Ok(executed) => {
                    finality.push(now_ms().saturating_sub(executed.block.timestamp_ms()));
                    break;
                }
                Err(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
    finality.sort_unstable();
    let mut intervals: Vec<u64> = timestamps
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .collect();
    intervals.sort_unstable();
    println!(
        "idle interval {idle_interval} ms; submit to commit p50 {} p95 {} ms; busy: {} blocks from \
         {busy_from}, interval p50 {} p95 {} ms, largest {largest} transactions; timestamp to commit \
         p50 {} p95 {} ms",
        percentile(&latencies, 50),
        percentile(&latencies, 95),
        timestamps.len(),
        percentile(&intervals, 50),
        percentile(&intervals, 95),
        percentile(&finality, 50),
        percentile(&finality, 95),
    );
    cluster.wait("every transfer", |rooms| {
        rooms.balance(to) == U256::from(210)
    });
    cluster.check();

    // A transaction of 1.5 MB passes pool, gossip, block and disk.
    let big = Bytes::from(vec![0; 1_500_000]);
    let transaction = cluster.world.transaction(0, 10, to, 1, 20_000_000, big);
    cluster.rooms(3).submit(&transaction);
    cluster.wait("the large transaction", |rooms| {
        rooms.balance(to) == U256::from(211)
    });

    // One of four stops; the others go on.
    cluster.stop(3);
    cluster
        .rooms(0)
        .submit(&cluster.world.transfer(0, 11, to, 1));
    cluster.wait("three validators", |rooms| {
        rooms.balance(to) == U256::from(212)
    });
    let height = cluster.rooms(0).height();
    cluster.wait("three validators go on", |rooms| {
        rooms.height() >= height + 3
    });

    // It comes back with its folder and catches up, also with blocks that it never verified.
    cluster.start(3);
    let target = cluster.rooms(0).height() + 4;
    cluster.wait("four validators again", |rooms| rooms.height() >= target);
    assert_eq!(cluster.rooms(3).balance(to), U256::from(212));
    cluster.check();

    // Everything stops and starts again.
    for index in 0..4 {
        cluster.stop(index);
    }
    for index in 0..4 {
        cluster.start(index);
    }
    assert!(cluster.rooms(0).height() >= target);
    let resumed = cluster.rooms(0).height() + 3;
    cluster.wait("all four again", |rooms| rooms.height() >= resumed);
    cluster.check();
}

#[test]
fn a_validator_whose_votes_are_lost_follows_until_an_epoch_that_its_key_has_not_signed_in() {
    let epoch_blocks = 64;
    let mut cluster = Cluster::new(epoch_blocks);
    cluster.wait("the first blocks", |rooms| rooms.height() >= 3);
    // Its folder is lost, and the record beside its key is not.
    cluster.stop(0);
    let home = cluster.homes[0].path().to_owned();
    let move_to = |from: &str, to: &str| {
        for part in ["consensus", "chain.redb"] {
            let (from, to) = (format!("{part}{from}"), format!("{part}{to}"));
            std::fs::rename(home.join(from), home.join(to)).expect("a folder");
        }
    };
    move_to("", ".old");
    cluster.start(0);
    let target = cluster.rooms(1).height() + 2;
    cluster.wait("it has the chain again", |rooms| rooms.height() >= target);

    // Three of four are enough, if all three vote.
    cluster.stop(1);
    // What was on its way.
    std::thread::sleep(Duration::from_secs(2));
    let height = cluster.rooms(2).height();
    std::thread::sleep(Duration::from_secs(4));
    assert!(height < epoch_blocks - 1, "{height}: the epoch is over");
    assert_eq!(cluster.rooms(2).height(), height, "it votes");
    cluster.start(1);
    cluster.wait("the next epoch", |rooms| rooms.height() > epoch_blocks + 2);

    cluster.stop(1);
    let height = cluster.rooms(2).height();
    cluster.wait("it votes again", |rooms| rooms.height() >= height + 4);
    cluster.check();

    // The folder is found again, with votes of an epoch that the key has left: it follows over them.
    cluster.start(1);
    cluster.stop(0);
    move_to("", ".new");
    move_to(".old", "");
    cluster.start(0);
    let target = cluster.rooms(1).height() + 4;
    cluster.wait("the old folder has caught up", |rooms| {
        rooms.height() >= target
    });
    cluster.check();
    for home in &cluster.homes {
        let evidence = home.path().join("consensus/evidence");
        let kept = std::fs::read_dir(evidence).map_or(0, Iterator::count);
        assert_eq!(kept, 0, "somebody signed twice");
    }
}

#[test]
fn what_a_validator_cannot_start_with_is_said_clearly() {
    let world = World::new(4, 1, now_ms());
    let home = tempfile::tempdir().expect("a folder");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let config = ConsensusConfig {
        key: world.seeds[0],
        spec: world.spec.clone(),
        listen: "127.0.0.1:0".parse().expect("an address"),
        peers: Vec::new(),
        followers: Vec::new(),
        home: home.path().to_owned(),
        votes: home.path().to_owned(),
    };
    let begin = |config: ConsensusConfig| start(config, world.rooms().core);

    let port = ConsensusConfig {
        listen: taken.local_addr().expect("bound"),
        ..config.clone()
    };
    let error = begin(port).err().expect("the port is taken");
    assert!(matches!(error, ConsensusError::Listen { .. }), "{error}");

    let stranger = ConsensusConfig {
        key: [99; 32],
        ..config.clone()
    };
    let error = begin(stranger)
        .err()
        .expect("not a validator, and nobody to follow");
    assert!(
        matches!(error, ConsensusError::NotAValidator { .. }),
        "{error}"
    );

    // 2 is the y of no point of the curve.
    let mut no_point = [0; 32];
    no_point[0] = 2;
    let peers = vec![(no_point, "127.0.0.1:1".parse().expect("an address"))];
    let error = begin(ConsensusConfig {
        peers,
        ..config.clone()
    })
    .err()
    .expect("no key");
    assert!(matches!(error, ConsensusError::BadKey { .. }), "{error}");

    let file = home.path().join("file");
    std::fs::write(&file, b"").expect("written");
    let error = begin(ConsensusConfig {
        home: file,
        ..config.clone()
    })
    .err()
    .expect("a file");
    assert!(matches!(error, ConsensusError::Home { .. }), "{error}");

    let running = begin(config.clone()).expect("starts alone");
    assert_ne!(running.listen_addr().port(), 0);
    let error = begin(config.clone()).err().expect("the folder is in use");
    assert!(error.to_string().contains("another validator"), "{error}");
    running.stop();
    assert_eq!(running.fatal(), None);
    begin(config).expect("the folder is free again").stop();
}
