//! Which vote log a key signs with, so that it never signs again what a lost log would have refused.
//!
//! Simplex keeps the votes of an epoch in a write-ahead log and, after a crash, signs nothing that contradicts
//! it. A folder that was cleared, imported or built anew has no log, and a key that voted in its epoch before
//! would vote there again: two votes that exclude each other cost its stake. So beside the folder there is a
//! record of the key, and in the folder the name of its log, drawn anew for every epoch:
//!
//! | record | log in the folder | epoch `e` begins |
//! |---|---|---|
//! | none | – | recorded, signs; but in a folder without logs whose chain has blocks, which came from elsewhere, only after the epoch of the start |
//! | epoch `r` | any | `e > r`: a name is drawn, then recorded, signs |
//! | epoch `r` | of the record's name | `e = r`: signs |
//! | epoch `r` | of another name or none | `e = r`: follows |
//! | epoch `r` | any | `e < r`: follows, since the logs of old epochs are removed |
//!
//! The record is on disk before the engine of the epoch starts. Who follows keeps up with the chain, over a
//! log of its own, and votes again in the next epoch that the key has not signed in. Epochs end by height: where more
//! members than may be at fault lose their logs in one epoch, nobody ends it (`docs/operations`).
//!
//! An operator who knows that nothing was signed which is not in a log, or that the whole network agreed to begin
//! anew, puts an empty file `votes-KEY.reset` beside the record: then the next start signs whatever was recorded.
//!
//! What this cannot see: a key that moves without its record; a copy of `consensus/` of the same epoch; a log of
//! which a part is missing while its name is there. `docs/operations` says what an operator does instead.

use std::{
    fs::File,
    hash::{BuildHasher, Hasher, RandomState},
    io::{self, Read, Write},
    path::Path,
    sync::Arc,
};

use alloy_primitives::{B256, hex};
use parking_lot::Mutex;

/// Whether the key may sign in an epoch that begins; an error stops the node.
pub type VoteGuard = Arc<dyn Fn(u64) -> io::Result<bool> + Send + Sync>;

/// Name of the file in the folder of logs that names them.
const LOG_NAME: &str = "votes-log";
/// First line of a record.
const HEADER: &str = "hallmark votes 1";
/// Longest record, in bytes.
const MAX_RECORD: u64 = 1_024;

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Record {
    /// Hash of the spec.
    chain: B256,
    epoch: u64,
    log: String,
}

impl Record {
    fn encode(&self) -> String {
        let Self { chain, epoch, log } = self;
        format!("{HEADER}\nchain {chain}\nepoch {epoch}\nlog {log}\n")
    }

    fn decode(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(HEADER)?.strip_prefix("\nchain ")?;
        let (chain, rest) = rest.split_once("\nepoch ")?;
        let (epoch, log) = rest.split_once("\nlog ")?;
        let record = Self {
            chain: chain.parse().ok()?,
            epoch: epoch.parse().ok()?,
            log: log.strip_suffix('\n')?.to_owned(),
        };
        let named = is_log_name(&record.log);
        (named && record.encode() == text).then_some(record)
    }
}

/// The guard of a key: its record lies in `folder`, its logs in `logs`; `epoch` is the one that the node starts in,
/// and `is_new` says that its chain has no block yet.
///
/// # Errors
/// A file that cannot be read or written, a record that is no record, or one of another chain.
pub(crate) fn guard(
    folder: &Path,
    logs: &Path,
    public_key: &[u8],
    chain: B256,
    (epoch, is_new): (u64, bool),
) -> io::Result<VoteGuard> {
    let path = folder.join(format!("votes-{}.txt", hex::encode(public_key)));
    let name = logs.join(LOG_NAME);
    let log = log_name(&name)?;
    let reset = path.with_extension("reset");
    let anew = reset.try_exists()?;
    let mut record = read(&path, chain)?;
    if anew {
        record = None;
    } else if record.is_none() && !is_new && log.is_none() && !has_logs(logs)? {
        // A chain that came from elsewhere: whether the key was used there is not known. Kept, since the
        // next start will find the log of a follower here.
        let log = draw();
        let unknown = Record { chain, epoch, log };
        write(&path, &unknown.encode())?;
        record = Some(unknown);
    }
    let known = Mutex::new((record, log));
    Ok(Arc::new(move |epoch| {
        let mut known = known.lock();
        let (record, log) = &mut *known;
        if let Some(record) = record {
            if epoch < record.epoch {
                return Ok(false);
            }
            if epoch == record.epoch {
                return Ok(log.as_ref() == Some(&record.log));
            }
        }
        // The name first: a crash in between leaves a record of a lower epoch, beyond which any log signs.
        let fresh = draw();
        write(&name, &fresh)?;
        let next = Record {
            chain,
            epoch,
            log: fresh.clone(),
        };
        write(&path, &next.encode())?;
        // Asked for once.
        if anew && reset.try_exists()? {
            std::fs::remove_file(&reset)?;
        }
        (*record, *log) = (Some(next), Some(fresh));
        Ok(true)
    }))
}

fn read(path: &Path, chain: B256) -> io::Result<Option<Record>> {
    let at = |reason: String| io::Error::other(format!("{}: {reason}", path.display()));
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(error.to_string())),
    };
    let mut text = String::new();
    let read = file.take(MAX_RECORD).read_to_string(&mut text);
    read.map_err(|error| at(error.to_string()))?;
    let record = Record::decode(&text).ok_or_else(|| at("it is no record of votes".into()))?;
    if record.chain != chain {
        return Err(at(format!("it is of another chain, {}", record.chain)));
    }
    Ok(Some(record))
}

fn is_log_name(name: &str) -> bool {
    name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// The name of the logs in a folder, if it has one.
fn log_name(path: &Path) -> io::Result<Option<String>> {
    match std::fs::read_to_string(path) {
        Ok(name) if is_log_name(&name) => Ok(Some(name)),
        Ok(_) => Err(io::Error::other(format!(
            "{}: it is no name of a log",
            path.display()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether the folder has logs of votes, as one that an older program wrote has without their name.
fn has_logs(logs: &Path) -> io::Result<bool> {
    let entries = match std::fs::read_dir(logs) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    for entry in entries {
        if entry?.file_name().to_string_lossy().contains("-votes-") {
            return Ok(true);
        }
    }
    Ok(false)
}

/// A name that no other log has.
fn draw() -> String {
    let part = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", part(), part())
}

/// Whole or not at all, and on disk when it returns.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let half = path.with_extension("new");
    let mut file = File::create(&half)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&half, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAIN: B256 = B256::repeat_byte(7);

    struct Home(tempfile::TempDir);

    impl Home {
        fn new() -> Self {
            Self(tempfile::tempdir().expect("a folder"))
        }

        fn open(&self, logs: &str) -> VoteGuard {
            self.start(logs, 0, true)
        }

        fn start(&self, logs: &str, epoch: u64, is_new: bool) -> VoteGuard {
            let logs = self.0.path().join(logs);
            let start = (epoch, is_new);
            guard(self.0.path(), &logs, &[1, 2], CHAIN, start).expect("a guard")
        }
    }

    #[test]
    fn a_key_signs_on_with_its_own_log_after_any_number_of_restarts() {
        let home = Home::new();
        for epoch in [0, 0, 1, 5, 5] {
            assert!(home.open("logs")(epoch).unwrap(), "{epoch}");
        }
        let running = home.open("logs");
        assert!(running(6).unwrap() && running(7).unwrap());
        assert!(home.open("logs")(7).unwrap());
    }

    #[test]
    fn a_key_whose_log_is_gone_waits_for_an_epoch_that_it_has_not_signed_in() {
        let home = Home::new();
        assert!(home.open("logs")(5).unwrap());
        // The chain is fetched anew, epoch by epoch, into a new folder.
        let anew = home.open("other");
        for epoch in 0..=5 {
            assert!(!anew(epoch).unwrap(), "{epoch}");
        }
        assert!(anew(6).unwrap());
        // And with the new log from then on.
        assert!(home.open("other")(6).unwrap());
        assert!(!home.open("logs")(6).unwrap());
    }

    #[test]
    fn a_copy_of_the_logs_of_an_earlier_epoch_signs_nothing_in_this_one() {
        let home = Home::new();
        let signing = home.open("logs");
        assert!(signing(4).unwrap());
        let name = std::fs::read(home.0.path().join("logs/votes-log")).unwrap();
        assert!(signing(5).unwrap());
        let copy = home.0.path().join("copy");
        std::fs::create_dir(&copy).unwrap();
        std::fs::write(copy.join("votes-log"), name).unwrap();
        let restored = home.open("copy");
        assert!(!restored(4).unwrap() && !restored(5).unwrap());
        assert!(restored(6).unwrap());
    }

    #[test]
    fn a_chain_from_elsewhere_lets_a_key_without_record_wait_for_the_next_epoch() {
        let home = Home::new();
        assert!(!home.start("logs", 7, false)(7).unwrap());
        // The engine has left a follower's log by the next start.
        let followed = home.0.path().join("logs/validator-votes-7-follows");
        std::fs::create_dir_all(followed).unwrap();
        let imported = home.start("logs", 7, false);
        assert!(!imported(7).unwrap());
        assert!(imported(8).unwrap());
        assert!(home.start("logs", 8, false)(8).unwrap());
        // A folder of an older program has logs without a name, and goes on.
        let older = Home::new();
        let log = older.0.path().join("logs/validator-votes-7");
        std::fs::create_dir_all(log).unwrap();
        assert!(older.start("logs", 7, false)(7).unwrap());
    }

    #[test]
    fn a_key_whose_chain_is_fetched_anew_beside_its_log_does_not_vote_in_old_epochs() {
        let home = Home::new();
        assert!(home.open("logs")(5).unwrap());
        let again = home.open("logs");
        assert!(!again(4).unwrap());
        assert!(again(5).unwrap());
    }

    #[test]
    fn a_network_that_lost_its_logs_begins_anew_when_its_operators_say_so() {
        let home = Home::new();
        assert!(home.open("logs")(5).unwrap());
        assert!(!home.start("other", 5, false)(5).unwrap());
        let reset = home.0.path().join("votes-0102.reset");
        std::fs::write(&reset, "").unwrap();
        assert!(home.start("other", 5, false)(5).unwrap());
        assert!(!reset.exists());
        // Once, and with that log from then on.
        assert!(home.start("other", 5, false)(5).unwrap());
        assert!(!home.start("third", 5, false)(5).unwrap());
    }

    #[test]
    fn a_record_that_cannot_be_read_or_is_of_another_chain_stops_the_node() {
        let home = Home::new();
        assert!(home.open("logs")(3).unwrap());
        let logs = home.0.path().join("logs");
        let open = |chain| guard(home.0.path(), &logs, &[1, 2], chain, (3, false));
        let error = open(B256::ZERO).err().expect("another chain").to_string();
        assert!(error.contains("another chain"), "{error}");
        let path = home.0.path().join("votes-0102.txt");
        let whole = std::fs::read_to_string(&path).unwrap();
        for text in ["", &whole[..whole.len() - 2], &format!("{whole}\n")] {
            std::fs::write(&path, text).unwrap();
            let error = open(CHAIN).err().expect("no record").to_string();
            assert!(error.contains("no record of votes"), "{error}");
        }
        // Another key has a record of its own.
        let other = guard(home.0.path(), &logs, &[9], CHAIN, (0, true)).unwrap();
        assert!(other(0).unwrap());
    }

    #[test]
    fn the_record_is_on_disk_before_the_answer() {
        let home = Home::new();
        let signing = home.open("logs");
        assert!(signing(2).unwrap());
        let path = home.0.path().join("votes-0102.txt");
        let record = Record::decode(&std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!((record.epoch, record.chain), (2, CHAIN));
        // Where it cannot be written nothing is signed.
        std::fs::remove_file(&path).unwrap();
        std::fs::create_dir(home.0.path().join("votes-0102.new")).unwrap();
        assert!(signing(3).is_err());
    }
}
