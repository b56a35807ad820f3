//! One run: whole validators under the deterministic runtime, with its scheduler, clock, network and disk.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use crate::support::{Rooms, World};
use alloy_consensus::TxEnvelope;
use alloy_primitives::{Address, B256, U256};
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall as _;
use commonware_codec::{Copying, DecodeExt as _};
use commonware_cryptography::{
    Signer as _,
    ed25519::{PrivateKey, PublicKey},
};
use commonware_p2p::simulated::{Config, Link, Network, Oracle};
use commonware_runtime::{
    Clock as _, Handle, Runner as _, Spawner as _, Supervisor as _, deterministic,
};
use commonware_utils::{NZUsize, probability};
use hallmark_abi::IStaking;
use hallmark_consensus::{
    AddressBook, ConsensusError, Core, Honest, Proposer, RoundInfo, Unready, certificate,
    engine::{self, CHANNELS, Channels, Validator},
    genesis_committee, prove_possession, public_key_of,
};
use hallmark_types::{Block, ChainSpec, Committee, addresses, merkle, staking::LOCAL_STAKE};

const START_MS: u64 = 1_800_000_000_000;
const VALIDATORS: u8 = 4;
const USERS: u8 = 4;
/// Short, so that every run crosses several epochs.
const EPOCH_BLOCKS: u64 = 8;
const TRANSFERS: u64 = 24;
const VALUE: u128 = 1_000;
/// The user that operates the last validator, and the one that bonds a new one.
const LEAVER: usize = USERS as usize;
const JOINER: usize = USERS as usize + 1;
/// Seed of the key of a node that is no validator at genesis.
const STRANGER: [u8; 32] = [77; 32];
/// How long a validator hears nobody.
const CUT_OFF: Duration = Duration::from_secs(12);
/// Seconds of virtual time after which a run counts as stuck; set before the first run.
pub static DEADLINE_SECONDS: AtomicU64 = AtomicU64::new(120);

fn deadline() -> Duration {
    Duration::from_secs(DEADLINE_SECONDS.load(Ordering::Relaxed))
}

/// What goes wrong in a run.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plan {
    /// Never starts.
    pub crashed: Option<usize>,
    /// Proposes only invalid blocks.
    pub liar: Option<(usize, Lie)>,
    /// Stops in the middle and starts again later with its folder.
    pub restarted: Option<usize>,
    /// The one that stops does so when the last block of an epoch is committed, before the engine of
    /// the next epoch has done anything.
    pub at_boundary: bool,
    /// Links lose one message of twenty and delay the others unevenly.
    pub lossy: bool,
    /// A node that is no validator follows.
    pub follower: Option<Follower>,
    /// Hears and is heard by nobody for a while, under load.
    pub cut_off: Option<usize>,
    /// The follower becomes a validator, and the last of the first validators leaves.
    pub changed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Follower {
    /// Starts with the others.
    Early,
    /// Starts with an empty folder when all transfers are executed.
    Late,
}

#[derive(Debug, Clone, Copy)]
pub enum Lie {
    WrongStateRoot,
    InvalidTransaction,
}

/// What a run ends with.
#[derive(Debug, PartialEq, Eq)]
pub struct Outcome {
    pub auditor: String,
    pub height: u64,
    pub root: B256,
    pub hash: B256,
}

/// Proposes what an honest validator would, changed into an invalid block.
struct Liar {
    lie: Lie,
    world: Arc<World>,
    told: Arc<AtomicU64>,
}

impl Proposer for Liar {
    fn propose(
        &self,
        core: &Core,
        parent: B256,
        round: &RoundInfo,
        now_ms: u64,
    ) -> Result<Arc<Block>, Unready> {
        let mut block = (*core.propose(parent, round, now_ms)?).clone();
        self.told.fetch_add(1, Ordering::Relaxed);
        match self.lie {
            Lie::WrongStateRoot => block.header.state_root = B256::repeat_byte(0xbd),
            Lie::InvalidTransaction => {
                // Far beyond the sender's nonce, to itself.
                let thief = Address::repeat_byte(0xbd);
                block
                    .transactions
                    .push(self.world.transfer(0, 1_000_000, thief, VALUE));
                block.header.transactions_root = merkle::transactions_root(&block.transactions);
            }
        }
        Ok(Arc::new(block))
    }
}

fn key(seed: &[u8; 32]) -> PrivateKey {
    PrivateKey::decode(Copying(seed)).expect("a seed")
}

type Running = Handle<Result<String, ConsensusError>>;

async fn launch(
    context: &deterministic::Context,
    oracle: &Oracle<PublicKey, deterministic::Context>,
    world: &Arc<World>,
    plan: Plan,
    index: usize,
    rooms: &Rooms,
    lies: &Arc<AtomicU64>,
) -> Running {
    let key = key(world.seeds.get(index).unwrap_or(&STRANGER));
    let control = oracle.control(key.public_key());
    let mut ends = Vec::new();
    for spec in CHANNELS {
        ends.push(
            control
                .register(spec.channel, spec.quota)
                .await
                .expect("a channel"),
        );
    }
    let mut ends = ends.into_iter();
    let mut next = || ends.next().expect("six channels");
    let channels = Channels {
        votes: next(),
        certificates: next(),
        resolver: next(),
        backfill: next(),
        broadcast: next(),
        gossip: next(),
    };
    let proposer: Arc<dyn Proposer> = match plan.liar {
        Some((liar, lie)) if liar == index => Arc::new(Liar {
            lie,
            world: world.clone(),
            told: lies.clone(),
        }),
        _ => Arc::new(Honest),
    };
    // Whoever is no validator, and whoever will be none.
    let followers = plan.follower.map(|_| STRANGER).into_iter();
    let followers = followers.chain(
        plan.changed
            .then(|| world.seeds[usize::from(VALIDATORS) - 1]),
    );
    let addresses = AddressBook::new(
        key.public_key(),
        ([127, 0, 0, 1], 1).into(),
        [],
        followers.map(|seed| self::key(&seed).public_key()),
    );
    let validator = Validator {
        key,
        core: rooms.core.clone(),
        proposer,
        addresses,
        witness: Arc::new(|evidence| panic!("nobody equivocates: {evidence:?}")),
        may_vote: Arc::new(|_| Ok(true)),
        partition: format!("validator-{index}"),
    };
    let manager = oracle.socket_manager();
    context
        .child("validator")
        .with_attribute("index", index)
        .spawn(move |context| engine::run(context, validator, manager, control, channels))
}

/// One run: panics where an invariant does not hold, or when it is stuck.
pub fn simulate(seed: u64, plan: Plan) -> Outcome {
    let runtime = deterministic::Config::new()
        .with_seed(seed)
        .with_start_time(UNIX_EPOCH + Duration::from_millis(START_MS))
        .with_timeout(Some(deadline().saturating_mul(2)));
    deterministic::Runner::new(runtime).start(|context| run(context, plan))
}

async fn run(context: deterministic::Context, plan: Plan) -> Outcome {
    let world = Arc::new(World::with(VALIDATORS, USERS + 2, START_MS, |spec| {
        spec.staking.epoch_blocks = EPOCH_BLOCKS;
        // The last validator is operated by an account that can sign, and another can afford a stake.
        let (leaver, joiner) = (user(LEAVER).address(), user(JOINER).address());
        spec.validators.last_mut().expect("four").address = leaver;
        spec.alloc.insert(joiner, U256::from(2 * LOCAL_STAKE));
    }));
    let keys: Vec<PublicKey> = world
        .seeds
        .iter()
        .chain(plan.follower.map(|_| &STRANGER))
        .map(|seed| key(seed).public_key())
        .collect();
    // One network for all: the newest set of peers is everybody's.
    let (network, oracle) = Network::new(
        context.child("network"),
        Config {
            max_size: engine::max_message_bytes(&world.spec).expect("limits"),
            max_peers_per_set: NZUsize!(16),
            disconnect_on_block: true,
            tracked_peer_sets: NZUsize!(3),
        },
    );
    network.start();
    let link = if plan.lossy {
        Link {
            latency: Duration::from_millis(20),
            jitter: Duration::from_millis(15),
            success_rate: probability!(0.95),
        }
    } else {
        Link {
            latency: Duration::from_millis(10),
            jitter: Duration::from_millis(2),
            success_rate: probability!(1.0),
        }
    };
    for from in &keys {
        for to in &keys {
            if from != to {
                oracle
                    .add_link(from.clone(), to.clone(), link.clone())
                    .await
                    .expect("a link");
            }
        }
    }

    let mut rooms: Vec<Rooms> = keys.iter().map(|_| world.rooms()).collect();
    let validators = usize::from(VALIDATORS);
    let mut live: Vec<usize> = (0..rooms.len())
        .filter(|index| plan.crashed != Some(*index))
        .filter(|index| *index < validators || plan.follower == Some(Follower::Early))
        .collect();
    let lies = Arc::new(AtomicU64::new(0));
    let mut running: Vec<Option<Running>> = (0..rooms.len()).map(|_| None).collect();
    for index in &live {
        running[*index] = Some(
            launch(
                &context,
                &oracle,
                &world,
                plan,
                *index,
                &rooms[*index],
                &lies,
            )
            .await,
        );
    }

    // Transfers arrive one by one at validators in turn; the validator that restarts gets none.
    let to = Address::repeat_byte(0x99);
    let entry: Vec<usize> = live
        .iter()
        .copied()
        .filter(|index| plan.restarted != Some(*index) && *index < validators)
        .collect();
    let mut down_since = None;
    if plan.changed {
        for transaction in changes(&world) {
            rooms[entry[0]].submit(&transaction);
        }
    }
    for number in 0..TRANSFERS {
        let user = usize::try_from(number).expect("small") % usize::from(USERS);
        let transaction = world.transfer(user, number / u64::from(USERS), to, VALUE);
        // The nonces of one user stay at one entry, in order.
        rooms[entry[user % entry.len()]].submit(&transaction);
        context.sleep(Duration::from_millis(40)).await;
        if let Some(index) = plan.restarted
            && number == TRANSFERS / 3
        {
            let boundary = || (rooms[index].height() + 1).is_multiple_of(EPOCH_BLOCKS);
            while plan.at_boundary && !boundary() {
                context.sleep(Duration::from_millis(1)).await;
            }
            let handle = running[index].take().expect("it runs");
            handle.abort();
            handle.await.expect_err("aborted");
            down_since = Some(rooms[index].height());
        }
    }
    let everything = U256::from(u128::from(TRANSFERS) * VALUE);
    wait(&context, "every transfer is executed", || {
        entry
            .iter()
            .all(|index| rooms[*index].balance(to) == everything)
    })
    .await;
    if let Some(index) = plan.restarted {
        let height = rooms[index].height();
        assert_eq!(Some(height), down_since, "it was down");
        assert!(height < rooms[entry[0]].height(), "the others went on");
        // The process is new, the folder is the old one: state is kept, pool and layers are not.
        let old = rooms.remove(index);
        let store = Arc::into_inner({
            drop(old.core);
            drop(old.mempool);
            old.store
        });
        let store = store.expect("nothing of the old process holds the store");
        rooms.insert(index, world.rooms_over(old.executor, store));
        running[index] =
            Some(launch(&context, &oracle, &world, plan, index, &rooms[index], &lies).await);
        wait(&context, "the restarted validator has caught up", || {
            rooms[index].balance(to) == everything
        })
        .await;
    }

    if plan.follower == Some(Follower::Late) {
        let index = validators;
        running[index] =
            Some(launch(&context, &oracle, &world, plan, index, &rooms[index], &lies).await);
        live.push(index);
        wait(&context, "the late follower has caught up", || {
            rooms[index].balance(to) == everything
        })
        .await;
    }

    if let Some(index) = plan.cut_off {
        cut_off_and_back(&context, &oracle, &world, &rooms, &keys, index, &link).await;
    }
    if plan.changed {
        new_validators_at_work(&context, &world, &rooms, &entry).await;
    }

    // Some idle blocks on top, so that the end is not the edge of what was tested.
    let target = live
        .iter()
        .map(|index| rooms[*index].height())
        .max()
        .expect("live")
        + 4;
    wait(&context, "idle blocks follow", || {
        live.iter().all(|index| rooms[*index].height() >= target)
    })
    .await;
    for index in &live {
        assert_eq!(rooms[*index].core.failure(), None, "validator {index}");
    }
    assert_eq!(
        lies.load(Ordering::Relaxed) > 0,
        plan.liar.is_some(),
        "the liar lied"
    );
    check_chain(
        &world,
        plan,
        &live.iter().map(|index| &rooms[*index]).collect::<Vec<_>>(),
        target,
    );
    let last = rooms[live[0]]
        .store
        .block_by_number(target)
        .expect("committed");
    Outcome {
        auditor: context.auditor().state(),
        height: target,
        root: last.header.state_root,
        hash: last.hash(),
    }
}

/// The set of an epoch that the state has forgotten: no plan that lasts so long changes it. The order
/// of its members follows from stakes that are forgotten too; certificates do not depend on it.
fn forgotten(spec: &ChainSpec, epoch: u64) -> Committee {
    let mut committee = genesis_committee(spec, 0).expect("the spec knows it");
    committee.epoch = epoch;
    committee
}

/// A user's key; the users of transfers come first.
fn user(index: usize) -> PrivateKeySigner {
    let byte = 0x41 + u8::try_from(index).expect("few");
    PrivateKeySigner::from_bytes(&B256::repeat_byte(byte)).expect("a key")
}

/// The stranger's key is bonded, the last validator leaves.
fn changes(world: &World) -> [TxEnvelope; 2] {
    let operator = user(JOINER).address();
    let possession = prove_possession(&STRANGER, world.spec.chain_id, operator);
    let bond = IStaking::bondCall {
        publicKey: public_key_of(&STRANGER).into(),
        possession: possession.to_vec().into(),
        payout: operator,
        commissionBps: 0,
        p2p: String::new(),
    };
    let call = |user, value, input: Vec<u8>| {
        world.transaction(user, 0, addresses::STAKING, value, 5_000_000, input.into())
    };
    [
        call(JOINER, LOCAL_STAKE, bond.abi_encode()),
        call(LEAVER, 0, IStaking::leaveCall {}.abi_encode()),
    ]
}

/// The new set decides from epoch 2 on, over transfers that reach its new member first.
async fn new_validators_at_work(
    context: &deterministic::Context,
    world: &World,
    rooms: &[Rooms],
    entry: &[usize],
) {
    let (leaver, joiner) = (usize::from(VALIDATORS) - 1, usize::from(VALIDATORS));
    wait(context, "the first block of the new set", || {
        rooms[entry[0]].height() >= 2 * EPOCH_BLOCKS
    })
    .await;
    let keys = |epoch| -> Vec<[u8; 32]> {
        let committee = rooms[entry[0]].core.committee(epoch).expect("known");
        committee.members.iter().map(|m| m.public_key).collect()
    };
    assert!(!keys(1).contains(&public_key_of(&STRANGER)));
    assert!(keys(1).contains(&public_key_of(&world.seeds[leaver])));
    assert!(keys(2).contains(&public_key_of(&STRANGER)));
    assert!(!keys(2).contains(&public_key_of(&world.seeds[leaver])));

    let to = Address::repeat_byte(0x98);
    let mut nonce = TRANSFERS / u64::from(USERS);
    let led_by_joiner = |number: u64| {
        let block = rooms[joiner].store.block_by_number(number);
        block.is_some_and(|block| block.header.beneficiary == user(JOINER).address())
    };
    // Until the new validator has led, and one epoch more has begun.
    while !(2 * EPOCH_BLOCKS..=rooms[joiner].height()).any(led_by_joiner)
        || rooms[joiner].height() < 3 * EPOCH_BLOCKS
    {
        assert!(nonce < 500, "the new validator never leads");
        rooms[joiner].submit(&world.transfer(0, nonce, to, VALUE));
        nonce += 1;
        context.sleep(Duration::from_millis(60)).await;
    }
    let sent = nonce - TRANSFERS / u64::from(USERS);
    wait(context, "every transfer to the new set", || {
        [leaver, joiner]
            .iter()
            .chain(entry)
            .all(|index| rooms[*index].balance(to) == U256::from(u128::from(sent) * VALUE))
    })
    .await;
}

/// Cuts a validator off for [`CUT_OFF`] while transfers flow, and expects it soon after at the height
/// that the others had when it came back, many epochs later.
async fn cut_off_and_back(
    context: &deterministic::Context,
    oracle: &Oracle<PublicKey, deterministic::Context>,
    world: &World,
    rooms: &[Rooms],
    keys: &[PublicKey],
    index: usize,
    link: &Link,
) {
    let others = keys.iter().filter(|key| **key != keys[index]);
    for other in others.clone() {
        for (from, to) in [(other, &keys[index]), (&keys[index], other)] {
            let removed = oracle.remove_link(from.clone(), to.clone()).await;
            removed.expect("it was linked");
        }
    }
    let entry = (index + 1) % usize::from(VALIDATORS);
    let to = Address::repeat_byte(0x97);
    let end = context.current() + CUT_OFF;
    let mut nonce = TRANSFERS / u64::from(USERS);
    while context.current() < end {
        rooms[entry].submit(&world.transfer(0, nonce, to, VALUE));
        nonce += 1;
        context.sleep(Duration::from_millis(40)).await;
    }
    for other in others {
        for (from, to) in [(other, &keys[index]), (&keys[index], other)] {
            let added = oracle
                .add_link(from.clone(), to.clone(), link.clone())
                .await;
            added.expect("a link");
        }
    }
    let (behind, height) = (rooms[index].height(), rooms[entry].height());
    assert!(behind + 4 * EPOCH_BLOCKS < height, "the others went on");
    let back = context.current();
    wait(context, "the validator that was cut off is back", || {
        rooms[index].height() >= height
    })
    .await;
    let took = context.current().duration_since(back).expect("time passes");
    assert!(
        took < CUT_OFF,
        "cut off for {CUT_OFF:?}, {} blocks behind, it took {took:?} to come back",
        height - behind
    );
}

/// The invariants, block by block.
fn check_chain(world: &World, plan: Plan, validators: &[&Rooms], target: u64) {
    for number in 1..=target {
        let block = validators[0].store.block_by_number(number).expect("no gap");
        let parent = validators[0]
            .store
            .block_by_number(number - 1)
            .expect("no gap");
        assert_eq!(block.header.parent_hash, parent.hash());
        assert!(block.timestamp_ms() > parent.timestamp_ms());
        let extra = block.extra().expect("extra");
        let epoch = u64::from(extra.epoch);
        assert_eq!(epoch, number / EPOCH_BLOCKS, "height {number}");
        let known = validators[0].core.committee(epoch);
        let leader = known
            .as_ref()
            .map(|committee| &committee.members[usize::from(extra.leader)]);
        if let Some(leader) = leader {
            assert_eq!(leader.address, block.header.beneficiary);
        }
        let leader = leader.map(|leader| leader.public_key);
        let committee = known.unwrap_or_else(|| forgotten(&world.spec, epoch));
        assert_eq!(committee.epoch, epoch);
        let ends_epoch = (number + 1).is_multiple_of(EPOCH_BLOCKS);
        if let Some((liar, _)) = plan.liar {
            assert_ne!(
                leader,
                Some(public_key_of(&world.seeds[liar])),
                "a liar's block {number} is final"
            );
        }
        for rooms in validators {
            assert_eq!(
                rooms.store.block_hash(number),
                Some(block.hash()),
                "height {number}"
            );
            if let Some(state) = rooms.store.state_at(number) {
                assert_eq!(state.root(), block.header.state_root);
                assert_eq!(
                    state.total_balance(),
                    world.spec.issued(),
                    "height {number}"
                );
            }
            // Empty where the block became final through a descendant, which the last block of an
            // epoch never does: a light client can go from epoch to epoch with any of these nodes.
            let finalization = rooms.store.finalization(number).expect("committed");
            assert!(!(ends_epoch && finalization.is_empty()), "height {number}");
            if !finalization.is_empty() {
                certificate::verify(&world.spec, &committee, &block.header, &finalization)
                    .expect("a proof");
            }
        }
    }
}

async fn wait(context: &deterministic::Context, what: &str, done: impl Fn() -> bool) {
    let deadline = context.current() + deadline();
    while !done() {
        assert!(
            context.current() < deadline,
            "waited too long until: {what}"
        );
        context.sleep(Duration::from_millis(20)).await;
    }
}
