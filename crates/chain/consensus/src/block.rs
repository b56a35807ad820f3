//! The chain's block and hash as commonware sees them.
//!
//! A digest is the Keccak-256 hash of the header (so one hash serves both worlds: the header commits
//! to transactions, receipts, state and the consensus context). On the wire a block is a length
//! (varint) followed by its RLP, bounded by `max_block_bytes` before anything is allocated. The
//! encoding is canonical because [`Block::decode_bounded`] refuses every other RLP of the same block.

use std::{
    fmt::{Debug, Display, Formatter},
    ops::Deref,
    sync::Arc,
};

use alloy_primitives::B256;
use bytes::{BufMut, Bytes};
use commonware_codec::{
    Buf, EncodeSize, Error as CodecError, FixedArray, FixedSize, RangeCfg, Read, ReadExt, Write,
};
use commonware_consensus::{Block as ConsensusBlock, BoundedBlock, Heightable, types::Height};
use commonware_cryptography::Digestible;
use commonware_math::algebra::Random;
use commonware_utils::{Array, Span};
use hallmark_types::{Block, Limits};
use rand_core::CryptoRng;

/// Keccak-256 hash of a header.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, FixedArray)]
#[fixed_array(infallible)]
#[repr(transparent)]
pub struct Digest(pub [u8; 32]);

impl From<B256> for Digest {
    fn from(hash: B256) -> Self {
        Self(hash.0)
    }
}

impl From<Digest> for B256 {
    fn from(digest: Digest) -> Self {
        Self(digest.0)
    }
}

impl Write for Digest {
    fn write(&self, buf: &mut impl BufMut) {
        self.0.write(buf);
    }
}

impl Read for Digest {
    type Cfg = ();

    fn read_cfg(buf: &mut impl Buf, (): &()) -> Result<Self, CodecError> {
        Ok(Self(<[u8; 32]>::read(buf)?))
    }
}

impl FixedSize for Digest {
    const SIZE: usize = 32;
}

impl Span for Digest {}

impl Array for Digest {}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Deref for Digest {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Debug for Digest {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        Debug::fmt(&B256::from(*self), f)
    }
}

impl Display for Digest {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        Display::fmt(&B256::from(*self), f)
    }
}

impl commonware_cryptography::Digest for Digest {
    const EMPTY: Self = Self([0; 32]);
}

impl Random for Digest {
    fn random(mut rng: impl CryptoRng) -> Self {
        let mut bytes = [0; 32];
        rng.fill_bytes(&mut bytes);
        Self(bytes)
    }
}

/// A block with its hash and its encoding, each computed once.
#[derive(Clone, Debug)]
pub struct WireBlock {
    block: Arc<Block>,
    hash: B256,
    encoded: Bytes,
}

impl WireBlock {
    /// Encodes and hashes a block of this node.
    pub fn new(block: Arc<Block>) -> Self {
        let hash = block.hash();
        let encoded = Bytes::from(block.to_rlp());
        Self {
            block,
            hash,
            encoded,
        }
    }

    /// The block.
    pub const fn block(&self) -> &Arc<Block> {
        &self.block
    }

    /// Hash of the header.
    pub const fn hash(&self) -> B256 {
        self.hash
    }
}

impl Write for WireBlock {
    fn write(&self, buf: &mut impl BufMut) {
        self.encoded.write(buf);
    }
}

impl EncodeSize for WireBlock {
    fn encode_size(&self) -> usize {
        self.encoded.encode_size()
    }
}

impl Read for WireBlock {
    type Cfg = Arc<Limits>;

    fn read_cfg(buf: &mut impl Buf, limits: &Self::Cfg) -> Result<Self, CodecError> {
        let encoded = Bytes::read_cfg(buf, &RangeCfg::new(0..=max_block_bytes(limits)))?;
        let block = Block::decode_bounded(&encoded, limits)
            .map_err(|error| CodecError::Wrapped("block", Box::new(error)))?;
        Ok(Self {
            hash: block.hash(),
            block: Arc::new(block),
            encoded,
        })
    }
}

impl Digestible for WireBlock {
    type Digest = Digest;

    fn digest(&self) -> Digest {
        self.hash.into()
    }
}

impl Heightable for WireBlock {
    fn height(&self) -> Height {
        Height::new(self.block.number())
    }
}

impl ConsensusBlock for WireBlock {
    fn parent(&self) -> Digest {
        self.block.header.parent_hash.into()
    }
}

impl BoundedBlock for WireBlock {
    fn max_encode_size(limits: &Self::Cfg) -> usize {
        let body = max_block_bytes(limits);
        body.saturating_add(body.encode_size())
    }
}

fn max_block_bytes(limits: &Limits) -> usize {
    limits.max_block_bytes
}
