//! A disk in memory with the one property of real disks that matters for recovery: what was not
//! synced can be lost.

use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

/// A disk in memory that can lose what was not synced. Clones are handles to the same disk.
#[derive(Debug, Clone, Default)]
pub struct InMemoryDisk {
    disk: Arc<Mutex<Disk>>,
}

#[derive(Default)]
struct Disk {
    bytes: Vec<u8>,
    synced_len: usize,
    /// How to get back to the last sync, oldest first.
    undo: Vec<Undo>,
    /// Rises with each crash, so that a store from before cannot write any more.
    generation: u64,
    open: bool,
}

enum Undo {
    Write { offset: usize, old: Vec<u8> },
    Truncate { tail: Vec<u8> },
}

impl std::fmt::Debug for Disk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Disk")
            .field("len", &self.bytes.len())
            .finish_non_exhaustive()
    }
}

impl InMemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// Power loss: writes since the last sync are gone, and a store that is open on the disk can no
    /// longer reach it. The disk can then be opened again.
    pub fn crash(&self) {
        let mut disk = self.disk.lock();
        while let Some(undo) = disk.undo.pop() {
            match undo {
                Undo::Write { offset, old } => {
                    disk.bytes[offset..offset + old.len()].copy_from_slice(&old);
                }
                Undo::Truncate { tail } => disk.bytes.extend_from_slice(&tail),
            }
        }
        let len = disk.synced_len;
        disk.bytes.truncate(len);
        disk.generation += 1;
        disk.open = false;
    }

    /// Opens the disk for one store; `None` while another has it open.
    pub(super) fn attach(&self) -> Option<Backend> {
        let mut disk = self.disk.lock();
        if disk.open {
            return None;
        }
        disk.open = true;
        Some(Backend {
            disk: self.disk.clone(),
            generation: disk.generation,
        })
    }
}

/// The disk as one store sees it.
#[derive(Debug)]
pub(super) struct Backend {
    disk: Arc<Mutex<Disk>>,
    generation: u64,
}

impl Backend {
    fn with<T>(&self, f: impl FnOnce(&mut Disk) -> Option<T>) -> io::Result<T> {
        let mut disk = self.disk.lock();
        if disk.generation != self.generation {
            return Err(io::Error::other("the disk lost power"));
        }
        f(&mut disk).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

fn span(offset: u64, len: usize) -> Option<std::ops::Range<usize>> {
    let start = usize::try_from(offset).ok()?;
    Some(start..start.checked_add(len)?)
}

impl redb::StorageBackend for Backend {
    fn len(&self) -> io::Result<u64> {
        self.with(|disk| Some(disk.bytes.len() as u64))
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.with(|disk| {
            out.copy_from_slice(disk.bytes.get(span(offset, out.len())?)?);
            Some(())
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.with(|disk| {
            let len = usize::try_from(len).ok()?;
            if len < disk.bytes.len() {
                let tail = disk.bytes.split_off(len);
                disk.undo.push(Undo::Truncate { tail });
            }
            disk.bytes.resize(len, 0);
            Some(())
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.with(|disk| {
            disk.undo.clear();
            disk.synced_len = disk.bytes.len();
            Some(())
        })
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.with(|disk| {
            let span = span(offset, data.len())?;
            let offset = span.start;
            let target = disk.bytes.get_mut(span)?;
            let old = target.to_vec();
            target.copy_from_slice(data);
            disk.undo.push(Undo::Write { offset, old });
            Some(())
        })
    }

    fn close(&self) -> io::Result<()> {
        let mut disk = self.disk.lock();
        if disk.generation == self.generation {
            disk.open = false;
        }
        Ok(())
    }
}
