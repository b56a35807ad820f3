//! The envelope of a sealed order: the input and its secret, encrypted to the named sellers.
//!
//! # Layout, version 1
//!
//! | bytes | content |
//! |---|---|
//! | 4 | magic `HMSE` |
//! | 1 | version |
//! | 1 | number of sellers `n`, 1 to 8 |
//! | 32 | ephemeral X25519 public key, fresh for every envelope |
//! | n × 32 | the X25519 key of each seller, in the order's own sequence of sellers |
//! | n × 48 | the content key, wrapped for each: 32 bytes and a tag of 16 |
//! | 32 + input + 16 | secret ‖ input encoding, encrypted under the content key, and a tag |
//!
//! # Keys
//!
//! For seller `i`, with `B` the [`Binding`]'s bytes and `H` everything before the wrapped keys:
//!
//! ```text
//! k_i    = BLAKE3-derive("hallmark sealed order v1 key wrap", X25519(e, K_i) ‖ H ‖ B)
//! wrap_i = ChaCha20-Poly1305(k_i, nonce 0, ad = H ‖ B, content key)
//! body   = ChaCha20-Poly1305(content key, nonce 0, ad = all before the body ‖ B, secret ‖ input)
//! ```
//!
//! Every key encrypts once, so the nonce is constant. The binding keeps an envelope from being moved
//! to another chain, buyer, model, commitment or list of sellers. The cipher does not commit to its
//! key: a buyer could write an envelope that opens differently for two sellers. So what comes out
//! counts only if it opens the order's commitment, which one input and one secret alone can do.

use alloy_primitives::{Address, B256};
use chacha20poly1305::{
    ChaCha20Poly1305, Key, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use hallmark_graph::Graph;
use hallmark_proof::InputSecret;
use x25519_dalek::{PublicKey, StaticSecret};

use super::{SealError, random};

const MAGIC: [u8; 4] = *b"HMSE";
const VERSION: u8 = 1;
/// Bytes before the sellers' keys.
const HEADER: usize = 38;
const KEY: usize = 32;
const TAG: usize = 16;
const WRAPPED: usize = KEY + TAG;
const WRAP_CONTEXT: &str = "hallmark sealed order v1 key wrap";
const BINDING_DOMAIN: &[u8] = b"hallmark sealed order v1";

/// Most sellers that a sealed order names.
pub const MAX_SELLERS: usize = 8;

/// What an envelope is bound to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    pub chain_id: u64,
    pub model: B256,
    pub buyer: Address,
    pub commitment: B256,
    /// In the order's own sequence.
    pub sellers: Vec<Address>,
}

impl Binding {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = BINDING_DOMAIN.to_vec();
        bytes.extend(self.chain_id.to_be_bytes());
        bytes.extend(self.model);
        bytes.extend(self.buyer);
        bytes.extend(self.commitment);
        // The header holds their number.
        bytes.extend(self.sellers.iter().flatten());
        bytes
    }
}

/// Why an envelope is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("it is no envelope")]
    Magic,
    #[error("envelope version {0} is not known here; this program reads version {VERSION}")]
    Version(u8),
    #[error("the envelope has {actual} bytes, {expected} are needed")]
    Length { expected: usize, actual: usize },
    #[error("the envelope is for {found} sellers, the order names {expected}")]
    Sellers { expected: usize, found: usize },
    #[error("the order does not name this seller")]
    NotNamed,
    #[error("the envelope is sealed to a key that this seller does not have")]
    UnknownKey,
    #[error("the envelope is damaged or of another order")]
    Decrypt,
    #[error("the input does not fit the model: {0}")]
    Input(String),
    #[error("the envelope does not open the commitment")]
    Commitment,
}

/// What a named seller finds in an envelope.
#[derive(Clone)]
pub struct Opened {
    /// Fits the graph, and is what the commitment is to.
    pub input: Vec<i32>,
    pub secret: InputSecret,
}

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened(..)")
    }
}

/// The parts of an envelope. Nothing is decrypted yet.
struct Parts<'a> {
    /// Magic to the sellers' keys.
    head: &'a [u8],
    ephemeral: [u8; KEY],
    keys: &'a [[u8; KEY]],
    wrapped: &'a [[u8; WRAPPED]],
    /// Everything before the body.
    front: &'a [u8],
    body: &'a [u8],
}

fn parts(envelope: &[u8]) -> Result<Parts<'_>, EnvelopeError> {
    let (header, _) = envelope
        .split_first_chunk::<HEADER>()
        .ok_or(EnvelopeError::Magic)?;
    let (magic, rest) = header
        .split_first_chunk::<4>()
        .ok_or(EnvelopeError::Magic)?;
    if *magic != MAGIC {
        return Err(EnvelopeError::Magic);
    }
    let (&[version, count], ephemeral) =
        rest.split_first_chunk::<2>().ok_or(EnvelopeError::Magic)?;
    if version != VERSION {
        return Err(EnvelopeError::Version(version));
    }
    let count = usize::from(count);
    if count == 0 || count > MAX_SELLERS {
        let expected = MAX_SELLERS;
        let found = count;
        return Err(EnvelopeError::Sellers { expected, found });
    }
    let (keys_end, front_end) = (HEADER + count * KEY, HEADER + count * (KEY + WRAPPED));
    let least = front_end + KEY + TAG;
    if envelope.len() < least {
        let (expected, actual) = (least, envelope.len());
        return Err(EnvelopeError::Length { expected, actual });
    }
    let (front, body) = envelope.split_at(front_end);
    let (head, wrapped) = front.split_at(keys_end);
    let (_, keys) = head.split_at(HEADER);
    Ok(Parts {
        head,
        ephemeral: ephemeral.try_into().map_err(|_| EnvelopeError::Magic)?,
        keys: keys.as_chunks().0,
        wrapped: wrapped.as_chunks().0,
        front,
        body,
    })
}

/// The X25519 keys that an envelope is sealed to, in the order's own sequence of sellers.
///
/// # Errors
/// It is no envelope.
pub fn keys(envelope: &[u8]) -> Result<&[[u8; 32]], EnvelopeError> {
    Ok(parts(envelope)?.keys)
}

/// Bytes of an envelope for this many sellers and bytes of input encoding.
#[must_use]
pub fn envelope_len(sellers: usize, input_bytes: usize) -> usize {
    let fixed = HEADER + KEY + TAG;
    sellers
        .saturating_mul(KEY + WRAPPED)
        .saturating_add(fixed)
        .saturating_add(input_bytes)
}

/// Seals secret and input encoding to the sellers' keys, in the sequence of the binding's sellers.
///
/// # Errors
/// Not one key for each of 1 to 8 sellers, a key of small order, or no randomness from the system.
pub fn seal(
    binding: &Binding,
    keys: &[[u8; 32]],
    secret: &InputSecret,
    input: &[u8],
) -> Result<Vec<u8>, SealError> {
    let count = match u8::try_from(keys.len()) {
        Ok(count @ 1..) if keys.len() <= MAX_SELLERS && keys.len() == binding.sellers.len() => {
            count
        }
        _ => return Err(SealError::Sellers(keys.len())),
    };
    let ephemeral = StaticSecret::from(random()?);
    let content_key = random()?;
    let bound = binding.bytes();

    let mut envelope = MAGIC.to_vec();
    envelope.extend([VERSION, count]);
    envelope.extend(PublicKey::from(&ephemeral).as_bytes());
    envelope.extend(keys.as_flattened());
    let head_ad = [&envelope, bound.as_slice()].concat();
    for (seller, key) in binding.sellers.iter().zip(keys) {
        let wrapping =
            wrapping_key(&ephemeral, key, &head_ad).ok_or(SealError::WeakKey(*seller))?;
        envelope.extend(encrypt(&wrapping, &head_ad, &content_key)?);
    }
    let plain = [&secret.to_bytes(), input].concat();
    let body = encrypt(
        &content_key,
        &[&envelope, bound.as_slice()].concat(),
        &plain,
    )?;
    envelope.extend(body);
    Ok(envelope)
}

/// Opens an envelope as one of its sellers, and holds it against the order's commitment. `find`
/// gives the secret of one of the seller's public keys.
///
/// # Errors
/// See [`EnvelopeError`]; the sizes are compared before anything is decrypted.
pub fn open(
    envelope: &[u8],
    binding: &Binding,
    seller: Address,
    find: impl FnOnce(&[u8; 32]) -> Option<StaticSecret>,
    graph: &Graph,
) -> Result<Opened, EnvelopeError> {
    let parts = parts(envelope)?;
    let (expected, found) = (binding.sellers.len(), parts.keys.len());
    if found != expected {
        return Err(EnvelopeError::Sellers { expected, found });
    }
    let (expected, actual) = (envelope_len(found, graph.input_bytes()), envelope.len());
    if actual != expected {
        return Err(EnvelopeError::Length { expected, actual });
    }
    let place = binding.sellers.iter().position(|named| *named == seller);
    let place = place.ok_or(EnvelopeError::NotNamed)?;
    let key = parts.keys.get(place).ok_or(EnvelopeError::NotNamed)?;
    let wrapped = parts.wrapped.get(place).ok_or(EnvelopeError::NotNamed)?;
    let own = find(key).ok_or(EnvelopeError::UnknownKey)?;

    let bound = binding.bytes();
    let head_ad = [parts.head, bound.as_slice()].concat();
    let wrapping = wrapping_key(&own, &parts.ephemeral, &head_ad).ok_or(EnvelopeError::Decrypt)?;
    let content_key = decrypt(&wrapping, &head_ad, wrapped)?;
    let content_key: [u8; KEY] = content_key.try_into().map_err(|_| EnvelopeError::Decrypt)?;
    let plain = decrypt(
        &content_key,
        &[parts.front, bound.as_slice()].concat(),
        parts.body,
    )?;
    let (secret, input) = plain
        .split_first_chunk::<32>()
        .ok_or(EnvelopeError::Decrypt)?;
    let secret = InputSecret::from_bytes(*secret);
    let input = graph
        .decode_input(input)
        .map_err(|error| EnvelopeError::Input(error.to_string()))?;
    let commitment = hallmark_proof::commit_input(graph, &input, &secret)
        .map_err(|error| EnvelopeError::Input(error.to_string()))?;
    if commitment != binding.commitment.0 {
        return Err(EnvelopeError::Commitment);
    }
    Ok(Opened { input, secret })
}

/// The key that wraps the content key between these two; `None` if the other key is of small order,
/// so that anyone would know what they share.
fn wrapping_key(own: &StaticSecret, other: &[u8; 32], head_ad: &[u8]) -> Option<[u8; 32]> {
    let shared = own.diffie_hellman(&PublicKey::from(*other));
    if !shared.was_contributory() {
        return None;
    }
    let mut hasher = blake3::Hasher::new_derive_key(WRAP_CONTEXT);
    hasher.update(shared.as_bytes());
    hasher.update(head_ad);
    Some(*hasher.finalize().as_bytes())
}

fn encrypt(key: &[u8; 32], aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, SealError> {
    ChaCha20Poly1305::new(&Key::from(*key))
        .encrypt(&Nonce::default(), Payload { msg, aad })
        .map_err(|_| SealError::Cipher)
}

fn decrypt(key: &[u8; 32], aad: &[u8], msg: &[u8]) -> Result<Vec<u8>, EnvelopeError> {
    ChaCha20Poly1305::new(&Key::from(*key))
        .decrypt(&Nonce::default(), Payload { msg, aad })
        .map_err(|_| EnvelopeError::Decrypt)
}
