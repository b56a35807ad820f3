//! Models on disk: opened, checked against the chain, and ready to prove.
//!
//! A file is served only if everything that the chain records of the model follows from it: content
//! hash and size, the graph's bounds, the weight commitment, the verifying key byte for byte, and
//! its digest. One run is then proved and verified in both modes, which also measures how long the
//! work takes.

use crate::{
    ProviderConfig,
    fetch::{self, FetchError},
    mirror::file_name,
};
use alloy_primitives::B256;
use hallmark_client::{Client, ClientError, ModelRecord};
use hallmark_engine::Prepared;
use hallmark_graph::Model;
use hallmark_proof::{InputSecret, Profile, ProvingKey};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// Time after which a model that was refused is tried again.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// The work estimate is the measured proof times this, for a busy machine.
const WORK_FACTOR: u64 = 3;
/// Added to the work estimate for two transactions, in milliseconds.
const DELIVERY_MS: u64 = 1_000;

/// Why a model is not served.
#[derive(Clone, Debug, thiserror::Error)]
pub enum LibraryError {
    #[error("this provider was told to serve other models")]
    NotServed,
    #[error("the upload of the model's key is not finished")]
    NotPublished,
    #[error("the file has {found} bytes, the chain records {expected}")]
    Size { expected: u64, found: u64 },
    #[error("the model has {size} bytes, this provider takes at most {limit}")]
    TooLarge { size: u64, limit: u64 },
    #[error("the file has BLAKE3 {found}, the chain records {expected}")]
    ContentHash { expected: B256, found: B256 },
    #[error("the file is not a model that can be proved: {0}")]
    Model(String),
    #[error("the weight commitment of the file is {found}, the chain records {expected}")]
    Commitment { expected: B256, found: B256 },
    #[error("the digest of the file's verifying key is {found}, the chain records {expected}")]
    Digest { expected: B256, found: B256 },
    #[error("the file's verifying key differs from the one on chain at byte {0}")]
    Key(usize),
    #[error("a trial run failed: {0}")]
    Trial(String),
    #[error("the model is not on disk and downloads are off")]
    NotOnDisk,
    #[error("download: {0}")]
    Download(String),
    #[error("{path}: {reason}")]
    Disk { path: PathBuf, reason: String },
    #[error("{0}")]
    Chain(String),
}

/// A model that is ready.
pub struct Served {
    pub record: ModelRecord,
    pub prepared: Prepared,
    pub proving: ProvingKey,
    /// Of open orders.
    pub open: Trial,
    /// Of sealed orders; none, if no proof of this model can hide its input.
    pub sealed: Option<Trial>,
}

/// What a trial run showed of orders of one mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Length of the proof, in bytes.
    pub proof_len: usize,
    /// Estimate of running, proving and delivering, in milliseconds.
    pub work_ms: u64,
}

impl Served {
    /// Checks a file against the chain's record and key, and proves one trial run.
    ///
    /// # Errors
    /// The first difference, by name.
    pub fn open(record: &ModelRecord, key: &[u8], file: &[u8]) -> Result<Self, LibraryError> {
        let found = file.len() as u64;
        if found != record.content_size {
            return Err(LibraryError::Size {
                expected: record.content_size,
                found,
            });
        }
        let found = B256::from(*blake3::hash(file).as_bytes());
        if found != record.content_hash {
            return Err(LibraryError::ContentHash {
                expected: record.content_hash,
                found,
            });
        }
        // Decoding checks shapes, ranges and bounds.
        let model = Model::decode(file).map_err(|error| LibraryError::Model(error.to_string()))?;
        // The key on chain says its profile. One that says none is refused below, where keys are compared.
        let profile = Profile::of_key(key).unwrap_or_default();
        let proving = hallmark_proof::setup_with(&model, profile)
            .map_err(|error| LibraryError::Model(error.to_string()))?;
        let own = proving.verifying_key();
        let found = B256::from(own.commitment());
        if found != record.commitment {
            return Err(LibraryError::Commitment {
                expected: record.commitment,
                found,
            });
        }
        let encoded = own.encode();
        if encoded != key {
            let same = encoded.iter().zip(key).take_while(|(a, b)| a == b).count();
            return Err(LibraryError::Key(same));
        }
        let found = B256::from(own.digest());
        if found != record.digest {
            return Err(LibraryError::Digest {
                expected: record.digest,
                found,
            });
        }
        let prepared =
            Prepared::new(model).map_err(|error| LibraryError::Model(error.to_string()))?;
        let (open, sealed) = trials(&prepared, &proving)?;
        Ok(Self {
            record: record.clone(),
            prepared,
            proving,
            open,
            sealed,
        })
    }
}

/// Proves and verifies one run in the modes of open and of sealed orders.
fn trials(
    prepared: &Prepared,
    proving: &ProvingKey,
) -> Result<(Trial, Option<Trial>), LibraryError> {
    let failed = |error: &dyn std::fmt::Display| LibraryError::Trial(error.to_string());
    let (graph, key) = (prepared.graph(), proving.verifying_key());
    let input: Vec<i32> = graph
        .inputs
        .iter()
        .flat_map(|input| std::iter::repeat_n(input.range.hi, input.shape.elements()))
        .collect();
    let context = [0; 32];
    let start = Instant::now();
    let trace = hallmark_engine::trace(prepared, &input).map_err(|error| failed(&error))?;
    let traced = start.elapsed();
    let output = graph.join_output(&trace.values);

    let start = Instant::now();
    let proof = hallmark_proof::prove(proving, &trace, &context).map_err(|error| failed(&error))?;
    let open = trial(&proof, traced + start.elapsed());
    hallmark_proof::verify(key, &input, &output, &context, &proof)
        .map_err(|error| failed(&error))?;

    if key.max_private_proof_len().is_none() {
        return Ok((open, None));
    }
    // Of an input that everyone knows: this secret hides nothing and serves no order.
    let secret = InputSecret::from_bytes([0; 32]);
    let start = Instant::now();
    let proof = hallmark_proof::prove_private(proving, &trace, &secret, &context)
        .map_err(|error| failed(&error))?;
    let sealed = trial(&proof, traced + start.elapsed());
    let commitment = hallmark_proof::commit_input(graph, &input, &secret);
    let commitment = commitment.map_err(|error| failed(&error))?;
    let masked = hallmark_proof::mask_output(graph, &output, &secret);
    let masked = masked.map_err(|error| failed(&error))?;
    hallmark_proof::verify_private(key, &commitment, &masked, &context, &proof)
        .map_err(|error| failed(&error))?;
    Ok((open, Some(sealed)))
}

fn trial(proof: &[u8], proved: Duration) -> Trial {
    let proved_ms = u64::try_from(proved.as_millis()).unwrap_or(u64::MAX);
    Trial {
        proof_len: proof.len(),
        work_ms: proved_ms
            .saturating_mul(WORK_FACTOR)
            .saturating_add(DELIVERY_MS),
    }
}

type Slot = Arc<tokio::sync::Mutex<Option<Entry>>>;

enum Entry {
    Ready(Arc<Served>),
    Refused { error: LibraryError, since: Instant },
}

/// The models of one provider; each is opened once.
pub struct Library {
    dir: PathBuf,
    only: Vec<B256>,
    download: bool,
    limits: fetch::Limits,
    slots: Mutex<HashMap<B256, Slot>>,
}

impl Library {
    /// A library over the folder of a configuration.
    pub fn new(config: &ProviderConfig) -> Self {
        Self {
            dir: config.models_dir.clone(),
            only: config.models.clone(),
            download: config.download,
            limits: fetch::Limits {
                max_bytes: config.max_model_bytes,
                allow_private_addresses: config.allow_private_addresses,
                ..fetch::Limits::default()
            },
            slots: Mutex::new(HashMap::new()),
        }
    }

    /// A model, opened (and downloaded) if it is not yet. A refusal is remembered for a while.
    ///
    /// # Errors
    /// Why it is not served. The flag is true if this call found it out, false if it was known.
    pub async fn get(
        &self,
        client: &Client,
        id: B256,
    ) -> Result<Arc<Served>, (LibraryError, bool)> {
        if !self.only.is_empty() && !self.only.contains(&id) {
            return Err((LibraryError::NotServed, false));
        }
        let slot = {
            let mut slots = self
                .slots
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            slots.entry(id).or_default().clone()
        };
        let mut entry = slot.lock().await;
        match &*entry {
            Some(Entry::Ready(served)) => return Ok(served.clone()),
            Some(Entry::Refused { error, since }) if since.elapsed() < RETRY_AFTER => {
                return Err((error.clone(), false));
            }
            _ => {}
        }
        match self.load(client, id).await {
            Ok(served) => {
                let served = Arc::new(served);
                *entry = Some(Entry::Ready(served.clone()));
                Ok(served)
            }
            Err(error) => {
                *entry = Some(Entry::Refused {
                    error: error.clone(),
                    since: Instant::now(),
                });
                Err((error, true))
            }
        }
    }

    async fn load(&self, client: &Client, id: B256) -> Result<Served, LibraryError> {
        let chain = |error: ClientError| LibraryError::Chain(error.to_string());
        let record = client.model(id).await.map_err(chain)?;
        if record.registered_at == 0 {
            return Err(LibraryError::NotPublished);
        }
        let (size, limit) = (record.content_size, self.limits.max_bytes);
        if size > limit {
            return Err(LibraryError::TooLarge { size, limit });
        }
        let key = client.model_key(id).await.map_err(chain)?;
        let file = self.file(&record).await?;
        let opened = tokio::task::spawn_blocking(move || Served::open(&record, &key, &file));
        opened
            .await
            .map_err(|error| LibraryError::Trial(error.to_string()))?
    }

    /// The model's file, from disk or from its address.
    async fn file(&self, record: &ModelRecord) -> Result<Vec<u8>, LibraryError> {
        let path = self.dir.join(file_name(&record.content_hash.0));
        let disk = |error: std::io::Error| LibraryError::Disk {
            path: path.clone(),
            reason: error.to_string(),
        };
        match tokio::fs::metadata(&path).await {
            Ok(found) if found.len() == record.content_size => {
                return tokio::fs::read(&path).await.map_err(disk);
            }
            Ok(found) => {
                let (expected, found) = (record.content_size, found.len());
                return Err(LibraryError::Size { expected, found });
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(disk(error)),
        }
        if !self.download {
            return Err(LibraryError::NotOnDisk);
        }
        let hash = &record.content_hash.0;
        let bytes = fetch::download(&record.uri, hash, record.content_size, &self.limits)
            .await
            .map_err(|error: FetchError| LibraryError::Download(error.to_string()))?;
        store(&self.dir, &path, &bytes).await.map_err(disk)?;
        Ok(bytes)
    }
}

/// Writes a file under a name that only a whole file ever has.
async fn store(dir: &Path, path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    tokio::fs::create_dir_all(dir).await?;
    // The process id keeps several providers over one folder apart.
    let part = path.with_extension(format!("part-{}", std::process::id()));
    tokio::fs::write(&part, bytes).await?;
    tokio::fs::rename(&part, path).await
}
