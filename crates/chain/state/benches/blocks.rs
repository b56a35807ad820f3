//! What the state of a block costs: trie, roots and durable commit, without executing anything.
//!
//! Each block is the outcome of 2,000 transfers: 1,000 senders with two each, receivers uniform over
//! the accounts of the case, one fee account. Timed apart: applying the changes to the trie with the
//! root, and the durable commit. Beside it, what redb alone needs for the same rows in one durable
//! transaction. Prints one JSON object a case. Run:
//! `cargo bench -p hallmark-state --bench blocks [-- ACCOUNTS]` (1,000,000 accounts if not told).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_consensus::{Receipt as PlainReceipt, ReceiptWithBloom, Signed, TxEip1559};
use alloy_primitives::{Address, B256, Bytes, Signature, U256};
use hallmark_state::{Account, AccountDiff, Executed, State, StateDiff, Store};
use hallmark_types::{Block, ChainSpec, Receipt, Transaction, ValidatorSpec, header, merkle};
use redb::{Database, Durability, TableDefinition};

/// Transfers of a block.
const TRANSFERS: u64 = 2_000;
/// Accounts that send them.
const SENDERS: u64 = 1_000;
/// Blocks of a case; the first are not timed.
const BLOCKS: u64 = 60;
const WARM_UP: u64 = 10;

fn main() {
    let largest = std::env::args()
        .filter_map(|argument| argument.parse().ok())
        .next()
        .unwrap_or(1_000_000);
    blocks("small state", 10_000, 10_000);
    blocks("uniform receivers", largest, largest);
    blocks("hot receivers", largest, 1_000);
    redb_alone(largest);
}

fn address(number: u64) -> Address {
    // Spread like real addresses, and cheap.
    let mut bytes = [0; 20];
    let mut word = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for chunk in bytes.chunks_mut(8) {
        word ^= word >> 29;
        word = word.wrapping_mul(0xbf58_476d_1ce4_e5b9);
        chunk.copy_from_slice(&word.to_be_bytes()[..chunk.len()]);
    }
    Address::from(bytes)
}

/// A stream of numbers that every run repeats.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.0 >> 33) % bound
    }
}

fn account(nonce: u64, balance: u64) -> AccountDiff {
    AccountDiff {
        info: Some(Account {
            nonce,
            balance: U256::from(balance),
            ..Account::default()
        }),
        ..AccountDiff::default()
    }
}

fn transaction(nonce: u64) -> Transaction {
    let inner = TxEip1559 {
        nonce,
        ..TxEip1559::default()
    };
    let one = U256::from(1);
    Signed::new_unhashed(inner, Signature::new(one, one, false)).into()
}

fn outcome(
    parent: Option<&Executed>,
    diff: StateDiff,
    transactions: Vec<Transaction>,
) -> (Executed, Duration) {
    let before = parent.map_or_else(State::empty, |parent| parent.state.clone());
    let began = Instant::now();
    let state = before.apply(&diff);
    let root = state.root();
    let applying = began.elapsed();
    let receipts: Vec<_> = (1..=transactions.len() as u64)
        .map(|count| {
            let receipt = PlainReceipt {
                status: true.into(),
                cumulative_gas_used: 21_000 * count,
                logs: vec![],
            };
            Receipt::Eip1559(ReceiptWithBloom::from(receipt))
        })
        .collect();
    let mut head = header::template();
    head.number = parent.map_or(0, |parent| parent.number() + 1);
    head.parent_hash = parent.map_or(B256::ZERO, |parent| parent.hash);
    head.state_root = root;
    head.transactions_root = merkle::transactions_root(&transactions);
    head.receipts_root = merkle::receipts_root(&receipts);
    let senders = vec![Address::ZERO; transactions.len()];
    let block = Arc::new(Block {
        header: head,
        transactions,
    });
    let executed = Executed {
        hash: block.hash(),
        block,
        senders,
        receipts,
        sweep_logs: Vec::new(),
        diff,
        state,
    };
    (executed, applying)
}

fn blocks(name: &str, accounts: u64, receivers: u64) {
    let validators = vec![ValidatorSpec::local([7; 32], Address::with_last_byte(1))];
    let spec = ChainSpec::local(1, validators, BTreeMap::new(), Address::with_last_byte(1));
    let mut all = StateDiff::default();
    for number in 0..accounts {
        all.accounts.insert(address(number), account(1, 1 << 40));
    }
    let rss_before = rss_mb();
    let (genesis, building) = outcome(None, all, Vec::new());
    let state_mb = rss_mb().saturating_sub(rss_before);
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path(), &spec, &genesis).expect("a database");

    let mut numbers = Numbers(7);
    let mut head = genesis.clone();
    let (mut applied, mut committed) = (Vec::new(), Vec::new());
    for number in 1..=BLOCKS {
        let mut diff = StateDiff::default();
        for sender in 0..SENDERS {
            let (nonce, balance) = (1 + 2 * number, (1 << 40) - 50_000 * number);
            diff.accounts
                .insert(address(sender), account(nonce, balance));
        }
        for _ in 0..TRANSFERS {
            let receiver = address(numbers.below(receivers));
            diff.accounts
                .entry(receiver)
                .or_insert_with(|| account(1, (1 << 40) + number));
        }
        diff.accounts.insert(Address::ZERO, account(0, number));
        let nonces = number * TRANSFERS..(number + 1) * TRANSFERS;
        let (executed, applying) = outcome(Some(&head), diff, nonces.map(transaction).collect());
        let began = Instant::now();
        store
            .commit(&executed, Bytes::from(vec![1; 250]))
            .expect("a commit");
        let committing = began.elapsed();
        if number > WARM_UP {
            applied.push(applying);
            committed.push(committing);
        }
        head = executed;
    }
    let peak = rss_mb();
    drop(store);
    let bytes = std::fs::metadata(folder.path().join("chain.redb")).map_or(0, |file| file.len());
    let began = Instant::now();
    let store = Store::open(folder.path(), &spec, &genesis).expect("the database again");
    let reopening = began.elapsed();
    assert_eq!(store.head().hash, head.hash);
    let sum = |times: &[Duration]| times.iter().sum::<Duration>();
    let all = sum(&applied) + sum(&committed);
    println!(
        "{}",
        serde_json::json!({
            "case": name,
            "accounts": accounts,
            "receivers": receivers,
            "building_ms": ms(building),
            "state_mb": state_mb,
            "rss_mb_after_blocks": peak,
            "applying_ms_median": ms(median(applied.clone())),
            "committing_ms_median": ms(median(committed.clone())),
            "committing_ms_longest": ms(committed.iter().max().copied().unwrap_or_default()),
            "transfers_per_second": ((BLOCKS - WARM_UP) * TRANSFERS) as f64 / all.as_secs_f64(),
            "reopening_ms": ms(reopening),
            "file_mb": bytes >> 20,
        })
    );
}

/// The rows of the same blocks in one table of redb, one durable transaction each.
fn redb_alone(accounts: u64) {
    const ROWS: TableDefinition<'_, [u8; 20], [u8; 72]> = TableDefinition::new("rows");
    let folder = tempfile::tempdir().expect("a folder");
    let database = Database::create(folder.path().join("alone.redb")).expect("a database");
    let write = |rows: &BTreeMap<Address, u64>| {
        let mut txn = database.begin_write().expect("a transaction");
        txn.set_durability(Durability::Immediate).expect("durable");
        let mut table = txn.open_table(ROWS).expect("a table");
        for (address, value) in rows {
            let mut row = [0; 72];
            row[..8].copy_from_slice(&value.to_be_bytes());
            table.insert(address.0.0, row).expect("an insertion");
        }
        drop(table);
        txn.commit().expect("a commit");
    };
    write(&(0..accounts).map(|number| (address(number), 0)).collect());
    let mut numbers = Numbers(7);
    let mut times = Vec::new();
    for number in 1..=BLOCKS {
        let mut rows: BTreeMap<_, _> = (0..SENDERS)
            .map(|sender| (address(sender), number))
            .collect();
        rows.extend((0..TRANSFERS).map(|_| (address(numbers.below(accounts)), number)));
        let began = Instant::now();
        write(&rows);
        if number > WARM_UP {
            times.push(began.elapsed());
        }
    }
    let case = "redb alone, accounts only, uniform receivers";
    println!(
        "{}",
        serde_json::json!({"case": case, "accounts": accounts, "committing_ms_median": ms(median(times))})
    );
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e5).round() / 1e2
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// Memory of this process that is resident, MiB; zero where /proc does not tell.
fn rss_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| {
        line.trim()
            .trim_end_matches("kB")
            .trim()
            .parse::<u64>()
            .ok()
    })
    .unwrap_or(0)
        / 1024
}
