//! From validators to a chain spec: the one place that builds one.
//!
//! A spec is a pure function of a [`GenesisPlan`]: validators are ordered by public key and
//! allocations by address, so strangers who hold the same entries and agree on the same few numbers
//! build the same file, byte for byte, and compare one hash.
//!
//! A signed [`Entry`] is how a stranger joins a plan. It is accepted only if
//! * its two signatures are by the validator key and by the account that it names, over a message that
//!   names the chain id (no entry for one chain serves another, and nobody enters another's key);
//! * its address is a host and a port;
//! * no other entry has its key, its account or its address.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Signature, U256, hex, keccak256};
use hallmark_types::{ChainSpec, SpecError, ValidatorSpec};
use k256::ecdsa::SigningKey;
use serde::{Deserialize, Serialize};

use crate::{
    config::{HostPort, Peer},
    devnet::{self, DevelopmentKey},
};

/// Domain of an entry's signatures.
const ENTRY_NAMESPACE: &[u8] = b"hallmark/network-entry/1";
/// No entry file is longer, in bytes.
pub const MAX_ENTRY_BYTES: u64 = 16 << 10;
/// Layout of an entry.
const ENTRY_VERSION: u32 = 1;

/// Why no chain spec was built, or an entry was refused.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// Not JSON of an entry.
    #[error("it is no entry: {0}")]
    NotAnEntry(String),
    /// Written for another chain.
    #[error("the entry is for chain {found}, not for chain {expected}")]
    OtherChain {
        /// Chain id asked for.
        expected: u64,
        /// Chain id in the entry.
        found: u64,
    },
    /// The holder of the validator key did not sign the entry.
    #[error("the signature by validator key {0} is wrong")]
    ValidatorSignature(String),
    /// The holder of the account did not sign the entry.
    #[error("the signature by account {0} is wrong")]
    AccountSignature(Address),
    /// Two entries share what each must have for itself.
    #[error("two entries have the same {what}: {value}")]
    Twice {
        /// Key, account or address.
        what: &'static str,
        /// Which.
        value: String,
    },
    /// A secret is not one of secp256k1.
    #[error("the account key is not a secp256k1 secret")]
    AccountKey,
    /// The result is no chain that can run.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// A key that anybody knows, off the local chain.
    #[error(transparent)]
    Development(#[from] DevelopmentKey),
    /// A chain spec is not what its entries and numbers give.
    #[error("the file is not what the entries give: {0}")]
    Differs(String),
}

/// A validator of a network that is being made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenesisValidator {
    /// Ed25519 key of its votes.
    pub public_key: [u8; 32],
    /// Account that is paid its fees.
    pub address: Address,
    /// Where it accepts validators.
    pub p2p: HostPort,
}

impl GenesisValidator {
    /// As another validator's configuration names it.
    pub fn peer(&self) -> Peer {
        Peer {
            public_key: self.public_key,
            address: self.p2p.clone(),
        }
    }
}

/// Everything that is chosen for a new chain; the rest are the defaults of [`ChainSpec::local`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GenesisPlan {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Unix milliseconds.
    pub timestamp_ms: u64,
    /// In any order.
    pub validators: Vec<GenesisValidator>,
    /// Balances, units of 10^-18 MARK.
    pub alloc: BTreeMap<Address, U256>,
    /// Receives the network's share.
    pub treasury: Address,
}

impl GenesisPlan {
    /// The chain spec.
    ///
    /// # Errors
    /// See [`GenesisError`].
    pub fn build(&self) -> Result<ChainSpec, GenesisError> {
        let mut validators = self.validators.clone();
        validators.sort_by_key(|validator| validator.public_key);
        check_distinct(&validators)?;
        let committee = validators
            .iter()
            .map(|validator| ValidatorSpec {
                p2p: validator.p2p.to_string(),
                ..ValidatorSpec::local(validator.public_key, validator.address)
            })
            .collect();
        let mut spec = ChainSpec::local(
            self.timestamp_ms,
            committee,
            self.alloc.clone(),
            self.treasury,
        );
        spec.chain_id = self.chain_id;
        spec.check()?;
        devnet::refuse_development_keys(&spec)?;
        Ok(spec)
    }

    /// The plan whose numbers are those of a chain spec and whose validators are these.
    pub fn of(spec: &ChainSpec, validators: Vec<GenesisValidator>) -> Self {
        Self {
            chain_id: spec.chain_id,
            timestamp_ms: spec.genesis_timestamp_ms,
            validators,
            alloc: spec.alloc.clone(),
            treasury: spec.treasury,
        }
    }
}

/// Checks that a chain spec has exactly the validators of these entries, and no rule of it differs
/// from what [`GenesisPlan::build`] gives.
///
/// # Errors
/// [`GenesisError::Differs`] names the fields; see [`GenesisError`] for the entries.
pub fn check(spec: &ChainSpec, validators: Vec<GenesisValidator>) -> Result<(), GenesisError> {
    let expected = GenesisPlan::of(spec, validators).build()?;
    if expected.hash() == spec.hash() {
        return Ok(());
    }
    let fields = |spec: &ChainSpec| -> serde_json::Map<String, serde_json::Value> {
        serde_json::from_str(&spec.to_json()).unwrap_or_default()
    };
    let (ours, theirs) = (fields(&expected), fields(spec));
    let mut differing: Vec<String> = theirs
        .iter()
        .filter(|(name, value)| ours.get(*name) != Some(value))
        .map(|(name, _)| name.clone())
        .collect();
    if differing.iter().any(|name| name == "validators") {
        let listed: BTreeSet<[u8; 32]> = expected.validators.iter().map(|v| v.public_key).collect();
        let held: BTreeSet<[u8; 32]> = spec.validators.iter().map(|v| v.public_key).collect();
        let name = |keys: Vec<&[u8; 32]>, what: &str| {
            keys.into_iter()
                .map(|key| format!("{} {what}", hex::encode(key)))
                .collect::<Vec<_>>()
        };
        differing.extend(name(held.difference(&listed).collect(), "has no entry"));
        differing.extend(name(
            listed.difference(&held).collect(),
            "is not in the file",
        ));
    }
    Err(GenesisError::Differs(differing.join(", ")))
}

fn check_distinct(validators: &[GenesisValidator]) -> Result<(), GenesisError> {
    let mut seen = BTreeSet::new();
    for validator in validators {
        for (what, value) in [
            ("validator key", hex::encode(validator.public_key)),
            ("account", validator.address.to_string()),
            ("address", validator.p2p.to_string()),
        ] {
            if !seen.insert((what, value.clone())) {
                return Err(GenesisError::Twice { what, value });
            }
        }
    }
    Ok(())
}

/// What a stranger hands over to be a validator of a new chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    version: u32,
    chain_id: u64,
    public_key: B256,
    address: Address,
    p2p: HostPort,
    /// Ed25519, 64 bytes in hex.
    validator_signature: String,
    /// Secp256k1 (r, s, v), 65 bytes in hex.
    account_signature: String,
}

impl Entry {
    /// An entry for a chain, signed by both keys.
    ///
    /// # Errors
    /// [`GenesisError::AccountKey`], or a development key off the local chain.
    pub fn sign(
        chain_id: u64,
        p2p: HostPort,
        validator_seed: &[u8; 32],
        account_secret: &B256,
    ) -> Result<Self, GenesisError> {
        let account = SigningKey::from_slice(account_secret.as_slice())
            .map_err(|_| GenesisError::AccountKey)?;
        let public_key = hallmark_consensus::public_key_of(validator_seed);
        let address = Address::from_private_key(&account);
        devnet::refuse_development_key(chain_id, &public_key)?;
        devnet::refuse_development_account(chain_id, address)?;
        let message = message(chain_id, &public_key, address, &p2p);
        let validator_signature =
            hallmark_consensus::keys::sign(validator_seed, ENTRY_NAMESPACE, &message);
        let (signature, recovery) = account
            .sign_prehash_recoverable(account_digest(&message).as_slice())
            .map_err(|_| GenesisError::AccountKey)?;
        let account_signature = Signature::from((signature, recovery));
        Ok(Self {
            version: ENTRY_VERSION,
            chain_id,
            public_key: public_key.into(),
            address,
            p2p,
            validator_signature: hex::encode_prefixed(validator_signature),
            account_signature: hex::encode_prefixed(account_signature.as_bytes()),
        })
    }

    /// Parses an entry and checks everything about it.
    ///
    /// # Errors
    /// See [`GenesisError`].
    pub fn open(json: &str, chain_id: u64) -> Result<GenesisValidator, GenesisError> {
        let not_an_entry = |reason: String| GenesisError::NotAnEntry(reason);
        if json.len() as u64 > MAX_ENTRY_BYTES {
            return Err(not_an_entry(format!(
                "it is longer than {MAX_ENTRY_BYTES} bytes"
            )));
        }
        let entry: Self =
            serde_json::from_str(json).map_err(|error| not_an_entry(error.to_string()))?;
        if entry.version != ENTRY_VERSION {
            return Err(not_an_entry(format!(
                "its layout is {}, this program reads layout {ENTRY_VERSION}",
                entry.version
            )));
        }
        if entry.chain_id != chain_id {
            return Err(GenesisError::OtherChain {
                expected: chain_id,
                found: entry.chain_id,
            });
        }
        let message = message(chain_id, &entry.public_key.0, entry.address, &entry.p2p);
        let by_validator =
            hex::decode_to_array::<_, 64>(&entry.validator_signature).is_ok_and(|signature| {
                hallmark_consensus::keys::verify(
                    &entry.public_key.0,
                    ENTRY_NAMESPACE,
                    &message,
                    &signature,
                )
            });
        if !by_validator {
            let key = hex::encode(entry.public_key);
            return Err(GenesisError::ValidatorSignature(key));
        }
        let by_account = hex::decode_to_array::<_, 65>(&entry.account_signature)
            .ok()
            .and_then(|bytes| Signature::from_raw_array(&bytes).ok())
            .and_then(|signature| {
                signature
                    .recover_address_from_prehash(&account_digest(&message))
                    .ok()
            });
        if by_account != Some(entry.address) {
            return Err(GenesisError::AccountSignature(entry.address));
        }
        devnet::refuse_development_key(chain_id, &entry.public_key.0)?;
        devnet::refuse_development_account(chain_id, entry.address)?;
        Ok(GenesisValidator {
            public_key: entry.public_key.0,
            address: entry.address,
            p2p: entry.p2p,
        })
    }

    /// The entry as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("an entry has string keys only")
    }
}

/// What both keys sign: chain id (8 bytes, big-endian), key, account, length (2 bytes) and text of the
/// address.
fn message(chain_id: u64, public_key: &[u8; 32], address: Address, p2p: &HostPort) -> Vec<u8> {
    let text = p2p.as_str().as_bytes();
    let length = u16::try_from(text.len()).unwrap_or(u16::MAX);
    let mut message = Vec::with_capacity(62 + text.len());
    message.extend_from_slice(&chain_id.to_be_bytes());
    message.extend_from_slice(public_key);
    message.extend_from_slice(address.as_slice());
    message.extend_from_slice(&length.to_be_bytes());
    message.extend_from_slice(text);
    message
}

/// What the account signs: no transaction and no personal message has this hash.
fn account_digest(message: &[u8]) -> B256 {
    let mut bytes = ENTRY_NAMESPACE.to_vec();
    bytes.extend_from_slice(message);
    keccak256(bytes)
}

#[cfg(test)]
#[path = "genesis_tests.rs"]
mod tests;
