//! Blocks in a file, and their replay.
//!
//! ```text
//! magic "HMKBLKS" and version 1   8 bytes
//! chain id                        8, big-endian
//! hash of the chain spec         32
//! first height, last height       8 + 8
//! for each height:
//!   length of the block           4, then its RLP
//!   length of the certificate     4, then the certificate; 0 for a block that became final
//!                                    through a descendant
//! BLAKE3 of everything above     32
//! ```
//!
//! A certificate must cover the last block. Replay trusts a chain spec and nothing in the file: each
//! block is executed on its parent and must give every root in its header; it is committed once a
//! certificate for it, or for a descendant in the file, has been checked. So whatever a file says, the
//! folder holds a final prefix of the chain, and an import that failed goes on with another file.
//!
//! Lengths are checked against the spec's limits before anything is allocated, and blocks that wait for
//! a certificate are bounded in number and bytes.

use std::{
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
};

use alloy_primitives::{B256, Bytes};
use hallmark_consensus::certificate::{self, CertificateError};
use hallmark_consensus::epoch_of;
use hallmark_execution::{Ancestry, BlockError, Executor, committee};
use hallmark_state::{Executed, STORE_FILE, Store, StoreError};
use hallmark_types::{Block, ChainSpec, DecodeError};

const MAGIC: [u8; 8] = *b"HMKBLKS\x01";
/// More than the certificate of the largest validator set, in bytes.
const MAX_CERTIFICATE_BYTES: usize = 64 << 10;
/// Blocks that may wait for a certificate: as many as the JSON-RPC follows for one.
const MAX_WAITING: usize = 1_024;
/// And their encoded size, bytes.
const MAX_WAITING_BYTES: usize = 256 << 20;

/// Why blocks were not exported or imported.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file cannot be read or written.
    #[error("the file: {0}")]
    Io(#[from] io::Error),
    /// The node's folder cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no database in the folder.
    #[error("{0}: there is no database of a node here")]
    NoDatabase(String),
    /// The heights asked for are not there.
    #[error("blocks {from} to {to} cannot be exported: {reason}")]
    Range {
        /// First height.
        from: u64,
        /// Last height.
        to: u64,
        /// Why.
        reason: String,
    },
    /// Not a file of blocks, or not of this version.
    #[error("it is not a file of blocks that this program reads")]
    NotAnArchive,
    /// Blocks of another chain.
    #[error(
        "it holds blocks of chain {found_chain} (spec {found}), not of chain {expected_chain} (spec {expected})"
    )]
    OtherChain {
        /// Chain id of the spec.
        expected_chain: u64,
        /// Its hash.
        expected: B256,
        /// Chain id of the file.
        found_chain: u64,
        /// Its spec's hash.
        found: B256,
    },
    /// The file ends early.
    #[error("the file is cut off in block {0}")]
    Truncated(u64),
    /// A length above the chain's limits.
    #[error("block {height}: {what} of {length} bytes is over the limit of {max} bytes")]
    TooLong {
        /// Height.
        height: u64,
        /// Block or certificate.
        what: &'static str,
        /// What the file says.
        length: usize,
        /// The limit.
        max: usize,
    },
    /// The bytes of a block are no block.
    #[error("block {height}: {source}")]
    Block {
        /// Height.
        height: u64,
        /// Why.
        source: DecodeError,
    },
    /// A block that does not follow the one before.
    #[error("block {height}: {reason}")]
    Order {
        /// Height expected.
        height: u64,
        /// What is there.
        reason: String,
    },
    /// A block that does not execute to its header.
    #[error("block {height}: {source}")]
    Execution {
        /// Height.
        height: u64,
        /// What differs.
        source: BlockError,
    },
    /// A certificate that does not prove its block.
    #[error("certificate of block {height}: {source}")]
    Certificate {
        /// Height.
        height: u64,
        /// Why.
        source: CertificateError,
    },
    /// Blocks that nothing proves final.
    #[error("no certificate in the file covers block {0}")]
    Uncovered(u64),
    /// Every block was good, but the bytes as a whole are not those that were written.
    #[error("the file's checksum is wrong, or bytes follow it")]
    Checksum,
}

/// What an export or an import did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moved {
    /// First height in the file.
    pub from: u64,
    /// Last height in the file.
    pub to: u64,
    /// Blocks that were new to the folder (import), or written (export).
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Hash of the last block.
    pub head: B256,
    /// Root of the state after it.
    pub state_root: B256,
}

/// Opens the store of a stopped node; it must be there.
///
/// # Errors
/// [`ArchiveError::NoDatabase`], [`ArchiveError::Store`].
pub fn open_store(
    home: &Path,
    spec: &ChainSpec,
    executor: &Executor,
) -> Result<Store, ArchiveError> {
    if !home.join(STORE_FILE).exists() {
        return Err(ArchiveError::NoDatabase(home.display().to_string()));
    }
    Ok(Store::open(home, spec, &executor.genesis())?)
}

/// Writes blocks `from..=to` with their certificates; without `to`, up to the newest block that has a
/// certificate of its own.
///
/// # Errors
/// See [`ArchiveError`].
pub fn export(
    store: &Store,
    spec: &ChainSpec,
    from: u64,
    to: Option<u64>,
    out: &mut impl Write,
) -> Result<Moved, ArchiveError> {
    let head = store.head().block.number();
    let certified = |height: &u64| {
        store
            .finalization(*height)
            .is_some_and(|certificate| !certificate.is_empty())
    };
    let newest = || (1..=head).rev().take(MAX_WAITING).find(certified);
    let last = to.or_else(newest).unwrap_or(head);
    let refuse = |reason: String| ArchiveError::Range {
        from,
        to: last,
        reason,
    };
    if from == 0 || from > last {
        return Err(refuse(
            "the first block is 1, and not after the last".into(),
        ));
    }
    if last > head {
        return Err(refuse(format!("the head is {head}")));
    }
    if !certified(&last) {
        let next = (last..=head).take(MAX_WAITING).find(certified);
        let place = next.map_or("a later block".to_owned(), |height| {
            format!("block {height}")
        });
        return Err(refuse(format!(
            "the last became final through {place}; end there"
        )));
    }
    let mut file = Hashing::new(out);
    file.write_all(&MAGIC)?;
    file.write_all(&spec.chain_id.to_be_bytes())?;
    file.write_all(spec.hash().as_slice())?;
    file.write_all(&from.to_be_bytes())?;
    file.write_all(&last.to_be_bytes())?;
    let (mut transactions, mut end) = (0u64, None);
    for height in from..=last {
        let (Some(block), Some(certificate)) =
            (store.block_by_number(height), store.finalization(height))
        else {
            return Err(refuse(format!("block {height} is missing or damaged")));
        };
        for bytes in [&block.to_rlp()[..], &certificate[..]] {
            let length = u32::try_from(bytes.len())
                .map_err(|_| refuse(format!("block {height} is too long")))?;
            file.write_all(&length.to_be_bytes())?;
            file.write_all(bytes)?;
        }
        transactions = transactions.saturating_add(block.transactions.len() as u64);
        end = Some((block.hash(), block.header.state_root));
    }
    let (hash, out) = file.finish();
    out.write_all(hash.as_bytes())?;
    out.flush()?;
    let (head, state_root) = end.ok_or_else(|| refuse("nothing was written".into()))?;
    Ok(Moved {
        from,
        to: last,
        blocks: last.saturating_sub(from).saturating_add(1),
        transactions,
        head,
        state_root,
    })
}

/// Replays a file into a store. Blocks that the store has already are compared by hash.
///
/// # Errors
/// See [`ArchiveError`]; blocks before the fault stay committed.
pub fn import(
    store: &Store,
    executor: &Executor,
    input: &mut impl Read,
    progress: impl Fn(u64, u64),
) -> Result<Moved, ArchiveError> {
    let spec = executor.spec().clone();
    let mut file = Hashing::new(input);
    let (from, to) = read_head(&mut file, &spec)?;
    let head = store.head();
    if from > head.block.number().saturating_add(1) {
        return Err(ArchiveError::Order {
            height: from,
            reason: format!(
                "the file starts here, but the folder ends at block {}",
                head.block.number()
            ),
        });
    }
    let mut replay = Replay {
        store,
        executor,
        waiting: Vec::new(),
        waiting_bytes: 0,
        blocks: 0,
        transactions: 0,
    };
    for height in from..=to {
        let max = spec.limits.max_block_bytes;
        let bytes = read_frame(&mut file, height, "the block", max)?;
        let certificate = read_frame(&mut file, height, "the certificate", MAX_CERTIFICATE_BYTES)?;
        let block = Block::decode_bounded(&bytes, &spec.limits)
            .map_err(|source| ArchiveError::Block { height, source })?;
        replay.take(height, block, bytes.len(), certificate.into())?;
        progress(height, to);
    }
    if let Some(waiting) = replay.waiting.first() {
        return Err(ArchiveError::Uncovered(waiting.0.number()));
    }
    let (hash, input) = file.finish();
    let mut checksum = Vec::new();
    input.take(33).read_to_end(&mut checksum)?;
    if checksum != hash.as_bytes() {
        return Err(ArchiveError::Checksum);
    }
    let head = store.head();
    Ok(Moved {
        from,
        to,
        blocks: replay.blocks,
        transactions: replay.transactions,
        head: head.hash,
        state_root: head.block.header.state_root,
    })
}

/// Checks the head of a file and returns its first and last height.
fn read_head(file: &mut impl Read, spec: &ChainSpec) -> Result<(u64, u64), ArchiveError> {
    let mut head = [0; 64];
    file.read_exact(&mut head)
        .map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => ArchiveError::NotAnArchive,
            _ => error.into(),
        })?;
    let number = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&head[at..at + 8]);
        u64::from_be_bytes(bytes)
    };
    if head[..8] != MAGIC {
        return Err(ArchiveError::NotAnArchive);
    }
    let (found_chain, found) = (number(8), B256::from_slice(&head[16..48]));
    if (found_chain, found) != (spec.chain_id, spec.hash()) {
        return Err(ArchiveError::OtherChain {
            expected_chain: spec.chain_id,
            expected: spec.hash(),
            found_chain,
            found,
        });
    }
    let (from, to) = (number(48), number(56));
    if from == 0 || from > to {
        return Err(ArchiveError::Order {
            height: from,
            reason: format!("the file says that it holds blocks {from} to {to}"),
        });
    }
    Ok((from, to))
}

/// A length and as many bytes, at most `max`.
fn read_frame(
    file: &mut impl Read,
    height: u64,
    what: &'static str,
    max: usize,
) -> Result<Vec<u8>, ArchiveError> {
    let cut = |error: io::Error| match error.kind() {
        io::ErrorKind::UnexpectedEof => ArchiveError::Truncated(height),
        _ => error.into(),
    };
    let mut length = [0; 4];
    file.read_exact(&mut length).map_err(cut)?;
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length > max {
        return Err(ArchiveError::TooLong {
            height,
            what,
            length,
            max,
        });
    }
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes).map_err(cut)?;
    Ok(bytes)
}

/// Blocks on their way into a store.
struct Replay<'a> {
    store: &'a Store,
    executor: &'a Executor,
    /// Executed, not yet covered by a certificate.
    waiting: Vec<(Executed, Bytes)>,
    waiting_bytes: usize,
    blocks: u64,
    transactions: u64,
}

impl Replay<'_> {
    fn take(
        &mut self,
        height: u64,
        block: Block,
        size: usize,
        certificate: Bytes,
    ) -> Result<(), ArchiveError> {
        let order = |reason: String| ArchiveError::Order { height, reason };
        if block.number() != height {
            return Err(order(format!("its header says height {}", block.number())));
        }
        let head = self.store.head();
        if height <= head.block.number() {
            return match self.store.block_hash(height) {
                Some(hash) if hash == block.hash() => Ok(()),
                Some(hash) => Err(order(format!(
                    "the file has {}, the folder {hash}",
                    block.hash()
                ))),
                None => Err(order("the folder's own block cannot be read".into())),
            };
        }
        let (parent, state) = match self.waiting.last() {
            Some((executed, _)) => (executed.block.clone(), executed.state.clone()),
            None => (head.block.clone(), head.state.clone()),
        };
        if block.header.parent_hash != parent.hash() {
            return Err(order(format!(
                "its parent is {}, the block before it is {}",
                block.header.parent_hash,
                parent.hash()
            )));
        }
        let executed = self
            .executor
            .execute_block(&parent.header, &state, &block, &*self)
            .map_err(|source| ArchiveError::Execution { height, source })?;
        let header = block.header;
        self.waiting.push((executed, certificate.clone()));
        self.waiting_bytes = self.waiting_bytes.saturating_add(size);
        if certificate.is_empty() {
            let is_full =
                self.waiting.len() >= MAX_WAITING || self.waiting_bytes > MAX_WAITING_BYTES;
            return match self.waiting.first() {
                Some((first, _)) if is_full => Err(ArchiveError::Uncovered(first.number())),
                _ => Ok(()),
            };
        }
        let spec = self.executor.spec();
        let epoch = epoch_of(spec, height);
        // Of a state that is certified: blocks that only wait could name validators of their own.
        let certified = self.store.head();
        let committee =
            committee(&certified.state, spec, epoch).ok_or_else(|| ArchiveError::Order {
                height,
                reason: format!(
                    "the validators of its epoch {epoch} are not decided by block {}, the last with a certificate",
                    certified.block.number()
                ),
            })?;
        certificate::verify(spec, &committee, &header, &certificate)
            .map_err(|source| ArchiveError::Certificate { height, source })?;
        for (executed, certificate) in self.waiting.drain(..) {
            self.blocks = self.blocks.saturating_add(1);
            let count = executed.block.transactions.len() as u64;
            self.transactions = self.transactions.saturating_add(count);
            self.store.commit(&executed, certificate)?;
        }
        self.waiting_bytes = 0;
        Ok(())
    }
}

impl Ancestry for Replay<'_> {
    fn block_hash(&self, number: u64) -> Option<B256> {
        self.waiting
            .iter()
            .find(|(executed, _)| executed.number() == number)
            .map(|(executed, _)| executed.hash)
            .or_else(|| self.store.block_hash(number))
    }
}

/// Hashes what passes.
struct Hashing<T> {
    inner: T,
    hasher: blake3::Hasher,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self {
            inner,
            hasher: blake3::Hasher::new(),
        }
    }

    fn finish(self) -> (blake3::Hash, T) {
        (self.hasher.finalize(), self.inner)
    }
}

impl<W: Write> Write for Hashing<&mut W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(bytes.get(..written).unwrap_or_default());
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashing<&mut R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hasher.update(bytes.get(..read).unwrap_or_default());
        Ok(read)
    }
}

/// An executor for a chain, for tools that work on a stopped node's folder.
pub fn executor(spec: ChainSpec) -> Executor {
    Executor::new(Arc::new(spec))
}

#[cfg(test)]
#[path = "archive_tests.rs"]
mod tests;
