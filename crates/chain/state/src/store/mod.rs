//! Finalized blocks and their state on disk.
//!
//! States of a store: it is opened at some height `h` (genesis for a new folder) and moves to
//! `h + 1` by [`Store::commit`], never back. A commit is one redb write transaction with immediate
//! durability; the new head is published, and subscribers told, only after it. A crash therefore
//! leaves either the whole block or nothing of it.
//!
//! | offered to `commit` | answer |
//! |---|---|
//! | the head's child | committed |
//! | a block already committed (same hash) | `Ok`, nothing done |
//! | another hash at a committed height, or a child of another parent | `Divergence`: stop |
//! | a height beyond the next | `Gap` |
//! | outcome that contradicts its own header | `Inconsistent` |
//!
//! Opening rebuilds the trie from the flat tables and the changes that are not in them yet
//! (`pending`), and compares its root with the stored one and the head's header, so a damaged folder
//! is found before the node votes.

mod disk;
mod error;
mod pending;
mod tables;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_primitives::{Address, B256, Bytes, Log};
use alloy_rlp::Decodable;
use arc_swap::ArcSwap;
use hallmark_types::{Block, ChainSpec, Receipt};
use parking_lot::{Mutex, RwLock};
use redb::{Database, DatabaseError, Durability, ReadTransaction};
use tokio::sync::broadcast;

use crate::{Executed, State, StateDiff};

pub use disk::InMemoryDisk;
pub use error::StoreError;
use pending::Pending;
use tables::Meta;

/// Number of latest heights whose state is kept in memory.
pub const RECENT_STATES: usize = 128;
/// Latest blocks whose sweeps' logs are kept: a week of an idle chain. No header commits to them, so
/// that nobody needs them to check anything.
pub const SWEEP_LOG_BLOCKS: u64 = 2_500_000;
/// Blocks that a slow subscriber may lag behind before it misses some.
const FEED_CAPACITY: usize = 256;
/// Page cache of one database, bytes: four validators share a process.
const CACHE_BYTES: usize = 32 << 20;
/// Name of the database in a store's folder.
pub const STORE_FILE: &str = "chain.redb";

/// The latest committed block.
#[derive(Debug, Clone)]
pub struct Head {
    /// The block.
    pub block: Arc<Block>,
    /// Its hash.
    pub hash: B256,
    /// The state after it.
    pub state: State,
    /// Its finality certificate; empty for genesis.
    pub finalization: Bytes,
}

/// Finalized blocks, their outcomes and the latest state.
#[derive(Debug)]
pub struct Store {
    database: Database,
    /// Names the folder in errors.
    folder: String,
    spec: B256,
    genesis: B256,
    head: ArcSwap<Head>,
    recent: Mutex<VecDeque<(u64, State)>>,
    /// What is durable and not yet in its table.
    pending: RwLock<Pending>,
    /// Held while committing: there is one writer.
    commits: Mutex<()>,
    feed: broadcast::Sender<Arc<Executed>>,
    /// Greatest height known to be final; its block may be missing here.
    tip: AtomicU64,
    sweep_log_blocks: u64,
}

impl Store {
    /// Opens the store in `folder`, creating it with `genesis` if it is new.
    ///
    /// # Errors
    /// See [`StoreError`]: locked, another chain, damaged, no space, no permission.
    pub fn open(
        folder: impl AsRef<Path>,
        spec: &ChainSpec,
        genesis: &Executed,
    ) -> Result<Self, StoreError> {
        let path = folder.as_ref();
        std::fs::create_dir_all(path).map_err(|source| StoreError::Folder {
            path: path.to_owned(),
            source,
        })?;
        let database = builder().create(path.join(STORE_FILE));
        Self::from_database(path.display().to_string(), database, spec, genesis)
    }

    /// A store in memory, for tests and simulations.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn in_memory(spec: &ChainSpec, genesis: &Executed) -> Result<Self, StoreError> {
        Self::open_disk(&InMemoryDisk::new(), spec, genesis)
    }

    /// Opens, or opens again, the store on a disk in memory.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn open_disk(
        disk: &InMemoryDisk,
        spec: &ChainSpec,
        genesis: &Executed,
    ) -> Result<Self, StoreError> {
        let folder = "the disk in memory".to_owned();
        let Some(backend) = disk.attach() else {
            return Err(StoreError::Locked(folder));
        };
        Self::from_database(
            folder,
            builder().create_with_backend(backend),
            spec,
            genesis,
        )
    }

    fn from_database(
        folder: String,
        database: Result<Database, DatabaseError>,
        spec: &ChainSpec,
        genesis: &Executed,
    ) -> Result<Self, StoreError> {
        let database = match database {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen | DatabaseError::LockProtocolMismatch) => {
                return Err(StoreError::Locked(folder));
            }
            Err(error) => {
                return Err(StoreError::Database {
                    folder,
                    source: Box::new(error.into()),
                });
            }
        };
        check(genesis)?;
        let head = Head {
            block: genesis.block.clone(),
            hash: genesis.hash,
            state: genesis.state.clone(),
            finalization: Bytes::new(),
        };
        let store = Self {
            database,
            folder,
            spec: spec.hash(),
            genesis: genesis.hash,
            head: ArcSwap::from_pointee(head),
            recent: Mutex::default(),
            pending: RwLock::default(),
            commits: Mutex::new(()),
            feed: broadcast::channel(FEED_CAPACITY).0,
            tip: AtomicU64::new(0),
            sweep_log_blocks: SWEEP_LOG_BLOCKS,
        };
        store.load(genesis)?;
        Ok(store)
    }

    /// Brings a new store up to the height that its database has.
    fn load(&self, genesis: &Executed) -> Result<(), StoreError> {
        let read = || -> Result<_, redb::Error> {
            let txn = redb::ReadableDatabase::begin_read(&self.database)?;
            Ok((tables::read_meta(&txn)?, txn))
        };
        let (meta, txn) = read().map_err(|error| self.failed(error))?;
        let Some(meta) = meta else {
            drop(txn);
            if genesis.number() != 0
                || State::empty().apply(&genesis.diff).root() != genesis.state.root()
            {
                let reason = "genesis must be block 0 and its diff its whole state";
                return Err(StoreError::Inconsistent {
                    height: genesis.number(),
                    reason,
                });
            }
            self.write(genesis, &Bytes::new())?;
            self.remember(0, &genesis.state);
            return Ok(());
        };
        let meta = meta.map_err(|reason| self.damaged(reason))?;
        let folder = self.folder.clone();
        if meta.genesis != self.genesis {
            let (stored, expected) = (meta.genesis, self.genesis);
            return Err(StoreError::OtherChain {
                folder,
                stored,
                expected,
            });
        }
        if meta.spec != self.spec {
            return Err(StoreError::OtherSpec {
                folder,
                stored: meta.spec,
                expected: self.spec,
            });
        }
        let state = tables::read_state(&txn).map_err(|error| self.failed(error))?;
        let state = state.map_err(|reason| self.damaged(reason))?;
        let pending =
            tables::read_pending(&txn, meta.height).map_err(|error| self.failed(error))?;
        let pending = pending.map_err(|reason| self.damaged(reason))?;
        let state = state.apply(&StateDiff {
            accounts: pending.all_changes(),
            ..StateDiff::default()
        });
        let state = tables::read_contents(&txn, &state).map_err(|error| self.failed(error))?;
        let state = state.map_err(|reason| self.damaged(reason))?;
        *self.pending.write() = pending;
        if state.root() != meta.root {
            let reason = format!(
                "its state has root {}, block {} has {}",
                state.root(),
                meta.height,
                meta.root
            );
            return Err(self.damaged(reason));
        }
        drop(txn);
        let block = self.try_block(meta.height)?;
        let finalization = self.try_bytes(tables::FINALIZATIONS, meta.height)?;
        let (Some(block), Some(finalization)) = (block, finalization) else {
            return Err(self.damaged(format!("block {} is missing", meta.height)));
        };
        if block.hash() != meta.hash || block.header.state_root != meta.root {
            return Err(self.damaged(format!("block {} is not the one committed", meta.height)));
        }
        self.remember(meta.height, &state);
        let (hash, finalization) = (meta.hash, finalization.into());
        self.head.store(Arc::new(Head {
            block: Arc::new(block),
            hash,
            state,
            finalization,
        }));
        Ok(())
    }

    /// Keeps the sweeps' logs of so many latest blocks, from the next commit on; [`SWEEP_LOG_BLOCKS`]
    /// unless told otherwise. Those that an earlier, greater number left behind stay.
    #[must_use]
    pub fn keeping_sweep_logs(mut self, blocks: u64) -> Self {
        self.sweep_log_blocks = blocks.max(1);
        self
    }

    /// The latest committed block and its state.
    pub fn head(&self) -> Arc<Head> {
        self.head.load_full()
    }

    /// Greatest height known to be final. Above the head's while blocks are being fetched or executed.
    pub fn tip(&self) -> u64 {
        let head = self.head.load().block.number();
        self.tip.load(Ordering::Relaxed).max(head)
    }

    /// Notes that the network has finalized `height`. Smaller heights than the tip change nothing.
    pub fn note_tip(&self, height: u64) {
        self.tip.fetch_max(height, Ordering::Relaxed);
    }

    /// Commits the next finalized block in one durable transaction, then publishes it.
    /// Committing a block again that is already committed does nothing.
    ///
    /// # Errors
    /// [`StoreError::Divergence`], [`StoreError::Gap`], [`StoreError::Inconsistent`] or
    /// [`StoreError::Database`]; nothing is then changed.
    pub fn commit(&self, executed: &Executed, finalization: Bytes) -> Result<(), StoreError> {
        let _writer = self.commits.lock();
        let head = self.head();
        let (height, offered) = (executed.number(), executed.hash);
        if height <= head.block.number() {
            let stored = self.try_hash(height)?.unwrap_or_default();
            let diverged = StoreError::Divergence {
                height,
                stored,
                offered,
            };
            return if stored == offered {
                Ok(())
            } else {
                Err(diverged)
            };
        }
        if height - 1 != head.block.number() {
            return Err(StoreError::Gap {
                head: head.block.number(),
                offered: height,
            });
        }
        let parent = executed.block.header.parent_hash;
        if parent != head.hash {
            let height = height - 1;
            return Err(StoreError::Divergence {
                height,
                stored: head.hash,
                offered: parent,
            });
        }
        check(executed)?;
        debug_assert_eq!(
            head.state.apply(&executed.diff).root(),
            executed.state.root()
        );
        self.write(executed, &finalization)?;
        self.remember(height, &executed.state);
        self.head.store(Arc::new(Head {
            block: executed.block.clone(),
            hash: executed.hash,
            state: executed.state.clone(),
            finalization,
        }));
        if self.feed.receiver_count() > 0 {
            // Fails only when the last receiver has just gone, which is no failure.
            let _ = self.feed.send(Arc::new(executed.clone()));
        }
        Ok(())
    }

    /// The block at a height.
    pub fn block_by_number(&self, number: u64) -> Option<Arc<Block>> {
        let head = self.head();
        if head.block.number() == number {
            return Some(head.block.clone());
        }
        if number > head.block.number() {
            return None;
        }
        self.reported(self.try_block(number)).map(Arc::new)
    }

    /// Height of the block with this hash.
    pub fn number_by_hash(&self, hash: &B256) -> Option<u64> {
        let row = |txn: &ReadTransaction| {
            Ok(txn
                .open_table(tables::NUMBERS)?
                .get(hash.0)?
                .map(|row| row.value()))
        };
        self.published(self.reported(self.read(row))?)
    }

    /// Hash of the block at a height.
    pub fn block_hash(&self, number: u64) -> Option<B256> {
        let head = self.head();
        if head.block.number() == number {
            return Some(head.hash);
        }
        self.reported(self.try_hash(number))
    }

    /// Receipts of the block at a height.
    pub fn receipts(&self, number: u64) -> Option<Vec<Receipt>> {
        let bytes = self.reported(self.try_bytes(tables::RECEIPTS, number))?;
        let receipts = Vec::<Receipt>::decode(&mut &bytes[..]);
        let damaged = |error| self.damaged(format!("receipts of block {number}: {error}"));
        self.reported(receipts.map(Some).map_err(damaged))
    }

    /// What the sweeps of the block at a height told: mostly nothing, and nothing of a block that is
    /// older than the latest [`SWEEP_LOG_BLOCKS`].
    pub fn sweep_logs(&self, number: u64) -> Vec<Log> {
        let Some(bytes) = self.reported(self.try_bytes(tables::SWEEP_LOGS, number)) else {
            return Vec::new();
        };
        let logs = Vec::<Log>::decode(&mut &bytes[..]);
        let damaged = |error| self.damaged(format!("sweep logs of block {number}: {error}"));
        self.reported(logs.map(Some).map_err(damaged))
            .unwrap_or_default()
    }

    /// Senders of the transactions of the block at a height.
    pub fn senders(&self, number: u64) -> Option<Vec<Address>> {
        let bytes = self.reported(self.try_bytes(tables::SENDERS, number))?;
        Some(bytes.chunks_exact(20).map(Address::from_slice).collect())
    }

    /// Height and index in its block of a transaction.
    pub fn transaction(&self, hash: &B256) -> Option<(u64, usize)> {
        let row = |txn: &ReadTransaction| {
            Ok(txn
                .open_table(tables::TRANSACTIONS)?
                .get(hash.0)?
                .map(|row| row.value()))
        };
        // What leaves the pending rows between the two is in the table by then.
        let pending = self.pending.read().place(hash);
        let (number, index) = match pending {
            Some(place) => place,
            None => self.reported(self.read(row))?,
        };
        self.published(number)?;
        Some((number, usize::try_from(index).ok()?))
    }

    /// A height, if its block is the head or below. A block is in the database a moment before its
    /// state is the head's: whoever saw its receipt then would still read the state before it.
    fn published(&self, number: u64) -> Option<u64> {
        (number <= self.head().block.number()).then_some(number)
    }

    /// Finality certificate of the block at a height; empty for genesis.
    pub fn finalization(&self, number: u64) -> Option<Bytes> {
        self.reported(self.try_bytes(tables::FINALIZATIONS, number))
            .map(Bytes::from)
    }

    /// State after the block at a height: the head's, and those of the latest [`RECENT_STATES`]
    /// heights that were committed since the store was opened.
    pub fn state_at(&self, number: u64) -> Option<State> {
        let recent = self.recent.lock();
        let newest = recent.back()?.0;
        let back = usize::try_from(newest.checked_sub(number)?).ok()?;
        let index = recent.len().checked_sub(back.checked_add(1)?)?;
        recent.get(index).map(|(_, state)| state.clone())
    }

    /// Every block committed from now on, in order. A receiver that lags by more than 256 blocks
    /// is told how many it missed.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Executed>> {
        self.feed.subscribe()
    }

    /// Verifies the checksum of every page of the database, and repairs what can be: `false` if
    /// something was wrong. For a folder that no node uses.
    ///
    /// # Errors
    /// The database cannot be read or repaired.
    pub fn check_pages(&mut self) -> Result<bool, StoreError> {
        self.database
            .check_integrity()
            .map_err(|error| StoreError::Database {
                folder: self.folder.clone(),
                source: Box::new(error.into()),
            })
    }

    fn write(&self, executed: &Executed, finalization: &Bytes) -> Result<(), StoreError> {
        let meta = Meta {
            spec: self.spec,
            genesis: self.genesis,
            height: executed.number(),
            hash: executed.hash,
            root: executed.block.header.state_root,
        };
        let write = || -> Result<(), redb::Error> {
            let mut txn = self.database.begin_write()?;
            txn.set_durability(Durability::Immediate)?;
            // Only this thread changes it, below.
            let pending = self.pending.read();
            let kept = self.sweep_log_blocks;
            tables::write_block(&txn, &meta, executed, finalization, &pending, kept)?;
            drop(pending);
            txn.commit()?;
            Ok(())
        };
        write().map_err(|error| self.failed(error))?;
        if executed.number() > 0 {
            self.pending.write().add(executed);
        }
        Ok(())
    }

    fn remember(&self, height: u64, state: &State) {
        let mut recent = self.recent.lock();
        recent.push_back((height, state.clone()));
        if recent.len() > RECENT_STATES {
            recent.pop_front();
        }
    }

    fn try_block(&self, number: u64) -> Result<Option<Block>, StoreError> {
        let Some(bytes) = self.try_bytes(tables::BLOCKS, number)? else {
            return Ok(None);
        };
        let block = Block::decode_exact(&bytes);
        block
            .map(Some)
            .map_err(|error| self.damaged(format!("block {number}: {error}")))
    }

    fn try_hash(&self, number: u64) -> Result<Option<B256>, StoreError> {
        self.read(|txn| {
            let table = txn.open_table(tables::HASHES)?;
            Ok(table.get(number)?.map(|row| B256::from(row.value())))
        })
    }

    fn try_bytes(
        &self,
        table: redb::TableDefinition<'_, u64, &'static [u8]>,
        number: u64,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(|txn| {
            Ok(txn
                .open_table(table)?
                .get(number)?
                .map(|row| row.value().to_vec()))
        })
    }

    fn read<T>(
        &self,
        f: impl FnOnce(&ReadTransaction) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let read = || f(&redb::ReadableDatabase::begin_read(&self.database)?);
        read().map_err(|error| self.failed(error))
    }

    /// A read that fails is reported, and looks like a missing row to the caller: whoever decides
    /// state from it reaches another root than its neighbours and stops.
    fn reported<T>(&self, result: Result<Option<T>, StoreError>) -> Option<T> {
        result.unwrap_or_else(|error| {
            tracing::error!(%error, "reading the store failed");
            None
        })
    }

    fn failed(&self, error: redb::Error) -> StoreError {
        StoreError::Database {
            folder: self.folder.clone(),
            source: Box::new(error),
        }
    }

    fn damaged(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Damaged {
            folder: self.folder.clone(),
            reason: reason.into(),
        }
    }
}

fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE_BYTES);
    builder
}

/// Whether an outcome fits its own block.
fn check(executed: &Executed) -> Result<(), StoreError> {
    let block = &executed.block;
    let transactions = block.transactions.len();
    let reason = if block.hash() != executed.hash {
        "its hash is not its header's"
    } else if executed.state.root() != block.header.state_root {
        "its state root is not its header's"
    } else if executed.receipts.len() != transactions || executed.senders.len() != transactions {
        "it has not one receipt and one sender per transaction"
    } else {
        return Ok(());
    };
    Err(StoreError::Inconsistent {
        height: block.number(),
        reason,
    })
}
