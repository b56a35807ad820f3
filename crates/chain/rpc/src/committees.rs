//! Proofs of the validators of epochs, kept for light clients.
//!
//! The last block of epoch `e` freezes the set of `e + 2` in the state. That state is gone some blocks
//! later, so the proof of the set's words against it is made at once and kept in a folder, one file per
//! set. A node that was down when a set was frozen, or that began from a later state, has no proof of
//! that set and says so; others have.

use crate::account::proven;
use alloy_primitives::{Address, B256, U256};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use alloy_serde::JsonStorageKey;
use hallmark_contracts::{Reader, staking::Staking};
use hallmark_state::{State, Store};
use hallmark_types::{ChainSpec, addresses::STAKING};
use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::PathBuf,
    sync::{Arc, Weak},
    thread,
};
use tokio::sync::broadcast::error::RecvError;

/// A folder of proofs.
#[derive(Debug)]
pub struct CommitteeProofs {
    folder: PathBuf,
}

impl CommitteeProofs {
    /// Opens or creates the folder.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn open(folder: PathBuf) -> io::Result<Self> {
        std::fs::create_dir_all(&folder)?;
        Ok(Self { folder })
    }

    /// Keeps the proof of every set that is frozen from now on, and of the one that the head froze if it
    /// ends an epoch. Ends when the store is dropped.
    ///
    /// # Errors
    /// No thread can be started.
    pub fn watch(self: &Arc<Self>, spec: Arc<ChainSpec>, store: &Arc<Store>) -> io::Result<()> {
        let mut commits = store.subscribe();
        let (proofs, store) = (self.clone(), Arc::downgrade(store));
        thread::Builder::new()
            .name("committees".into())
            .spawn(move || {
                proofs.keep_recent(&spec, &store);
                loop {
                    match commits.blocking_recv() {
                        Ok(executed) => {
                            proofs.keep(&spec, executed.number(), &executed.state);
                        }
                        // Then the recent states are looked through.
                        Err(RecvError::Lagged(_)) => proofs.keep_recent(&spec, &store),
                        Err(RecvError::Closed) => return,
                    }
                }
            })?;
        Ok(())
    }

    fn keep_recent(&self, spec: &ChainSpec, store: &Weak<Store>) {
        let Some(store) = store.upgrade() else {
            return;
        };
        let mut height = store.head().block.number();
        while let Some(state) = store.state_at(height) {
            self.keep(spec, height, &state);
            let Some(below) = height.checked_sub(1) else {
                return;
            };
            height = below;
        }
    }

    /// Keeps the proof of the set that a block froze, if it is the last of an epoch.
    fn keep(&self, spec: &ChainSpec, height: u64, state: &State) {
        if !spec.staking.is_last_of_epoch(height) {
            return;
        }
        let epoch = spec.staking.epoch_of(height).saturating_add(2);
        // A file that cannot be read is written again.
        if self.get(epoch).is_some() {
            return;
        }
        let written = prove(state, epoch)
            .ok_or_else(|| io::Error::other("the state has no such set"))
            .and_then(|proof| Ok(serde_json::to_vec(&proof)?))
            .and_then(|bytes| {
                // Whole or not at all, also when the power fails.
                let half = self.file(epoch).with_extension("new");
                let mut file = std::fs::File::create(&half)?;
                file.write_all(&bytes)?;
                file.sync_all()?;
                std::fs::rename(&half, self.file(epoch))?;
                std::fs::File::open(&self.folder)?.sync_all()
            });
        if let Err(error) = written {
            tracing::error!(epoch, %error, "light clients cannot get this epoch's validators here");
        }
    }

    /// The proof of an epoch's set, against the state after the last block of the epoch before the
    /// previous one.
    pub(crate) fn get(&self, epoch: u64) -> Option<EIP1186AccountProofResponse> {
        let bytes = std::fs::read(self.file(epoch)).ok()?;
        serde_json::from_slice(&bytes).ok()
    }

    fn file(&self, epoch: u64) -> PathBuf {
        self.folder.join(format!("{epoch}.json"))
    }
}

/// The proof of every word that reading the set reads.
fn prove(state: &State, epoch: u64) -> Option<EIP1186AccountProofResponse> {
    let mut slots = BTreeSet::new();
    let mut reader = Reader::new(|address: Address, slot: U256| {
        if address == STAKING {
            slots.insert(slot);
        }
        Ok(state.storage(&address, &slot))
    });
    let committee = Staking::new().committee(&mut reader, epoch).ok().flatten();
    committee?;
    let slots = slots
        .into_iter()
        .map(|slot| JsonStorageKey::from(B256::from(slot)))
        .collect();
    Some(proven(state, STAKING, slots))
}
