//! The provider's memory across restarts, and what to do next with an order.
//!
//! The chain says what happened; the journal says what was *tried*: the signed transactions whose
//! fate may be unknown. A step is written before its transaction is sent, so that a provider killed
//! at any moment finds the transaction again instead of making a second one.
//!
//! ```text
//! (nothing) ─ Seen ─ Claiming ─ Claimed ─ Delivering ─ Delivered
//!               │        │         │           │
//!               └ Refused└─────────┴───────────┴──── Lost
//! ```

use alloy_primitives::{Address, B256, Bytes, U256};
use hallmark_client::{Order, Status};
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Stage in JSON by order id (32 bytes, big endian).
const ORDERS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("orders");
/// Facts about the journal itself.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
const IDENTITY: &str = "identity";
const CURSOR: &str = "cursor";

/// Failure of the journal.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error("{path}: the journal is in use by another provider")]
    Locked { path: PathBuf },
    #[error("{path}: the journal is of {found}, not of {expected}; give another file")]
    Other {
        path: PathBuf,
        expected: String,
        found: String,
    },
    #[error("{path}: {reason}")]
    Storage { path: PathBuf, reason: String },
}

/// How far this provider has gone with an order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "stage")]
pub enum Stage {
    /// Known, nothing spent.
    Seen,
    /// The claim was signed and perhaps sent.
    Claiming { transaction: B256, raw: Bytes },
    /// The claim is in a block.
    Claimed,
    /// The delivery was signed and perhaps sent.
    Delivering { transaction: B256, raw: Bytes },
    /// Paid to this seller.
    Delivered,
    /// Over without pay; `again` if it may be tried once more should it be opened again.
    Lost { reason: String, again: bool },
    /// Left alone after the checks.
    Refused { reason: String },
}

impl Stage {
    /// Whether nothing is left to do, whatever becomes of the order.
    pub fn is_final(&self) -> bool {
        matches!(
            self,
            Self::Delivered | Self::Lost { again: false, .. } | Self::Refused { .. }
        )
    }
}

/// What to do next with an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Check it and claim it.
    Evaluate,
    /// A claim of ours may be on its way.
    AwaitClaim { transaction: B256, raw: Bytes },
    /// It is ours: run, prove, deliver.
    Work,
    /// A delivery of ours may be on its way.
    AwaitDelivery { transaction: B256, raw: Bytes },
    /// It was paid to us.
    Paid,
    /// It is over for us, for good unless `again`.
    Lost { reason: &'static str, again: bool },
    /// Nothing.
    Nothing,
}

/// Decides the next step from the chain's state and the journal.
pub fn next_step(stage: &Stage, order: &Order, me: Address) -> Step {
    let mine = order.seller == me;
    match (order.status, stage) {
        (_, Stage::Delivered | Stage::Refused { .. } | Stage::Lost { again: false, .. }) => {
            Step::Nothing
        }
        (Status::Paid, _) if mine => Step::Paid,
        (Status::Claimed, Stage::Delivering { transaction, raw }) if mine => Step::AwaitDelivery {
            transaction: *transaction,
            raw: raw.clone(),
        },
        (Status::Claimed, _) if mine => Step::Work,
        // It was ours and is not any more: the bond is gone, and trying again would risk another.
        (
            Status::Open | Status::Claimed | Status::Paid,
            Stage::Claimed | Stage::Delivering { .. },
        ) => Step::Lost {
            reason: "the claim's window was missed",
            again: false,
        },
        (Status::Open, Stage::Claiming { transaction, raw }) => Step::AwaitClaim {
            transaction: *transaction,
            raw: raw.clone(),
        },
        (Status::Open, Stage::Seen | Stage::Lost { .. }) => Step::Evaluate,
        (Status::Claimed, Stage::Lost { .. }) => Step::Nothing,
        // Open again if that seller does not deliver.
        (Status::Claimed, _) => Step::Lost {
            reason: "another seller claimed it first",
            again: true,
        },
        (Status::Paid, _) => Step::Lost {
            reason: "another seller delivered",
            again: false,
        },
        (Status::Cancelled, _) => Step::Lost {
            reason: "the buyer took it back",
            again: false,
        },
        (Status::Refunded | Status::None, _) => Step::Lost {
            reason: "its deadline passed",
            again: false,
        },
    }
}

/// An order's id and its stage, as stored.
type Entry = ([u8; 32], Vec<u8>);

/// The journal's file.
pub struct Journal {
    path: PathBuf,
    database: Database,
}

impl Journal {
    /// Opens or makes the journal of one seller on one chain.
    ///
    /// # Errors
    /// Another process has it open, or it belongs to another seller or chain.
    pub fn open(path: &Path, identity: &str) -> Result<Self, JournalError> {
        let storage = |reason: String| JournalError::Storage {
            path: path.to_owned(),
            reason,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|error| storage(error.to_string()))?;
        }
        let database = Database::create(path).map_err(|error| match error {
            DatabaseError::DatabaseAlreadyOpen => JournalError::Locked {
                path: path.to_owned(),
            },
            other => storage(other.to_string()),
        })?;
        let journal = Self {
            path: path.to_owned(),
            database,
        };
        match journal.meta(IDENTITY)? {
            None => journal.set_meta(IDENTITY, identity.as_bytes())?,
            Some(found) if found == identity.as_bytes() => {}
            Some(found) => {
                return Err(JournalError::Other {
                    path: path.to_owned(),
                    expected: identity.to_owned(),
                    found: String::from_utf8_lossy(&found).into_owned(),
                });
            }
        }
        Ok(journal)
    }

    /// Stage of an order; [`Stage::Seen`] if it is new.
    pub fn stage(&self, order: U256) -> Result<Stage, JournalError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = match self.database.begin_read()?.open_table(ORDERS) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                other => other?,
            };
            Ok(table
                .get(&order.to_be_bytes())?
                .map(|value| value.value().to_vec()))
        };
        match read().map_err(|error| self.storage(&error))? {
            None => Ok(Stage::Seen),
            Some(bytes) => self.decode(&bytes),
        }
    }

    /// Writes the stage of an order; on disk when this returns.
    pub fn record(&self, order: U256, stage: &Stage) -> Result<(), JournalError> {
        let bytes = serde_json::to_vec(stage).map_err(|error| self.storage(&error))?;
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            transaction
                .open_table(ORDERS)?
                .insert(&order.to_be_bytes(), bytes.as_slice())?;
            Ok(transaction.commit()?)
        };
        write().map_err(|error| self.storage(&error))
    }

    /// Orders that were left in the middle.
    pub fn unfinished(&self) -> Result<Vec<U256>, JournalError> {
        let read = || -> Result<Vec<Entry>, redb::Error> {
            let table = match self.database.begin_read()?.open_table(ORDERS) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                other => other?,
            };
            let mut entries = Vec::new();
            for entry in table.iter()? {
                let (key, value) = entry?;
                entries.push((*key.value(), value.value().to_vec()));
            }
            Ok(entries)
        };
        let mut orders = Vec::new();
        for (key, value) in read().map_err(|error| self.storage(&error))? {
            if !self.decode(&value)?.is_final() {
                orders.push(U256::from_be_bytes(key));
            }
        }
        Ok(orders)
    }

    /// Last block whose events were read.
    pub fn cursor(&self) -> Result<Option<u64>, JournalError> {
        let bytes = self.meta(CURSOR)?;
        Ok(bytes.and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?))))
    }

    /// Moves the cursor.
    pub fn set_cursor(&self, block: u64) -> Result<(), JournalError> {
        self.set_meta(CURSOR, &block.to_be_bytes())
    }

    fn meta(&self, key: &str) -> Result<Option<Vec<u8>>, JournalError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = match self.database.begin_read()?.open_table(META) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(None),
                other => other?,
            };
            Ok(table.get(key)?.map(|value| value.value().to_vec()))
        };
        read().map_err(|error| self.storage(&error))
    }

    fn set_meta(&self, key: &str, value: &[u8]) -> Result<(), JournalError> {
        let write = || -> Result<(), redb::Error> {
            let transaction = self.database.begin_write()?;
            transaction.open_table(META)?.insert(key, value)?;
            Ok(transaction.commit()?)
        };
        write().map_err(|error| self.storage(&error))
    }

    fn decode(&self, bytes: &[u8]) -> Result<Stage, JournalError> {
        serde_json::from_slice(bytes).map_err(|error| self.storage(&error))
    }

    fn storage(&self, error: &dyn std::fmt::Display) -> JournalError {
        JournalError::Storage {
            path: self.path.clone(),
            reason: error.to_string(),
        }
    }
}
