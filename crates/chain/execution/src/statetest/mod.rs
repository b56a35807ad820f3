//! Ethereum's state tests, run through this chain's EVM, database and trie.
//!
//! A state test names a state before (`pre`), a block environment, one transaction with lists of
//! alternatives for its data, gas limit and value, and per fork the outcome of each combination: the
//! root of the state after, the Keccak-256 of the RLP of the logs, and whether the transaction is
//! refused. Both forms are read: GeneralStateTests of `ethereum/tests` and the `state_test` fixtures
//! of the execution specification tests (which add `config` and `_info`).
//!
//! For every case
//! ```text
//! state  := our trie of `pre`
//! result := revm with the executor's settings and precompiles over a BlockDb on state
//! root   := root of (state after the BlockDb's diff)          compared with `hash`
//! keccak(rlp(logs))                                           compared with `logs`
//! before - after = fees burned, over all touched balances     as in every block
//! ```
//! so everything that decides a block's state root is under test, except what Ethereum does not
//! have: the system contracts (none of their addresses occurs) and the chain's own caps on gas.
//! Where a test expects an exception, any refusal of the transaction agrees, whatever its name:
//! fields that no transaction can carry, or revm's own refusal before execution.
//! Blobs have no carrier on this chain, but the EVM's opcodes for them exist, so their cases run too.
//!
//! | outcome | when |
//! |---|---|
//! | passed | root, logs, refusal and the balance equation all agree |
//! | failed | one does not, or the file cannot be read or names a transaction that it does not hold |
//! | skipped | the fork was not asked for, or the state before cannot exist here; always with the reason |

mod format;
mod run;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use revm::primitives::hardfork::SpecId;
use serde::Serialize;

pub use run::run;

/// Longest file that is read, bytes.
const MAX_FILE: u64 = 256 << 20;
/// Deepest folder below the path that was given.
const MAX_DEPTH: usize = 32;

/// A set of EVM rules by the name that state tests give it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Fork {
    /// The merge: no rewards, no difficulty.
    Paris,
    /// PUSH0, warm coinbase, bounded init code.
    Shanghai,
    /// Transient storage, blobs, self-destruction only within one transaction.
    Cancun,
    /// Delegations (EIP-7702), BLS12-381 precompiles, the calldata floor.
    Prague,
    /// CLZ, P-256, bounds and prices of modular exponentiation.
    Osaka,
}

impl Fork {
    /// The forks whose rules hold on every chain of this program, from genesis on.
    pub const ENABLED: &'static [Self] = &[Self::Osaka];
    /// Every fork that can be asked for. Earlier ones have rules about empty accounts, rewards and
    /// receipts that the state of this chain cannot express.
    pub const KNOWN: &'static [Self] = &[
        Self::Paris,
        Self::Shanghai,
        Self::Cancun,
        Self::Prague,
        Self::Osaka,
    ];

    /// The fork of this name, in any case; `Merge` is another name of Paris.
    pub fn from_name(name: &str) -> Option<Self> {
        let known = Self::KNOWN.iter().copied();
        let merge = name.eq_ignore_ascii_case("Merge").then_some(Self::Paris);
        merge.or_else(|| {
            known
                .into_iter()
                .find(|fork| fork.name().eq_ignore_ascii_case(name))
        })
    }

    /// The fork's name in state tests.
    pub fn name(self) -> &'static str {
        match self {
            Self::Paris => "Paris",
            Self::Shanghai => "Shanghai",
            Self::Cancun => "Cancun",
            Self::Prague => "Prague",
            Self::Osaka => "Osaka",
        }
    }

    fn spec_id(self) -> SpecId {
        match self {
            Self::Paris => SpecId::MERGE,
            Self::Shanghai => SpecId::SHANGHAI,
            Self::Cancun => SpecId::CANCUN,
            Self::Prague => SpecId::PRAGUE,
            Self::Osaka => SpecId::OSAKA,
        }
    }
}

/// A case that did not pass, or did not run, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Case {
    /// Test name, fork and the indexes of data, gas and value.
    pub name: String,
    /// What differed, or why it did not run.
    pub reason: String,
}

/// What a file's cases came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// The file.
    pub path: PathBuf,
    /// Cases that agree.
    pub passed: u64,
    /// Cases that do not; one without a fork when the file cannot be read.
    pub failed: Vec<Case>,
    /// Cases that did not run.
    pub skipped: Vec<Case>,
}

impl FileReport {
    fn new(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            passed: 0,
            failed: Vec::new(),
            skipped: Vec::new(),
        }
    }
}

/// The state tests at `path`: the file itself, or every `.json` file below the folder, in order.
/// Links are not followed, and names that begin with a dot are left out.
///
/// # Errors
/// When `path` is neither a regular file nor a folder, a folder cannot be read or is deeper than 32
/// levels, or nothing is found.
pub fn find(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let kind = std::fs::metadata(path)?.file_type();
    if kind.is_file() {
        found.push(path.to_owned());
    } else if kind.is_dir() {
        walk(path, MAX_DEPTH, &mut found)?;
    } else {
        let text = format!("{} is no regular file", path.display());
        return Err(std::io::Error::other(text));
    }
    if found.is_empty() {
        return Err(std::io::Error::other("no .json file in this folder"));
    }
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    let Some(depth) = depth.checked_sub(1) else {
        let text = format!("{} is too deep", folder.display());
        return Err(std::io::Error::other(text));
    };
    let mut entries = std::fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        if entry.file_name().as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let (kind, path) = (entry.file_type()?, entry.path());
        if kind.is_dir() {
            walk(&path, depth, found)?;
        } else if kind.is_file() && path.extension().is_some_and(|end| end == "json") {
            found.push(path);
        }
    }
    Ok(())
}
