//! Proof that a validator voted twice in one view.
//!
//! # What validators sign
//!
//! Votes are commonware Simplex's, signed by ed25519 in the domain `D = "hallmark/consensus/1/" ‖
//! hash of the chain spec` and the kind of the vote. With `v(n)` the unsigned LEB128 of `n` and
//! `‖` concatenation, the signed bytes are
//!
//! ```text
//! notarize:  v(|D| + 9) ‖ D ‖ "_NOTARIZE" ‖ v(epoch) ‖ v(view) ‖ v(parent view) ‖ block hash
//! finalize:  v(|D| + 9) ‖ D ‖ "_FINALIZE" ‖ v(epoch) ‖ v(view) ‖ v(parent view) ‖ block hash
//! nullify:   v(|D| + 8) ‖ D ‖ "_NULLIFY"  ‖ v(epoch) ‖ v(view)
//! ```
//!
//! # What is a double vote
//!
//! Two votes of one key, of one epoch and view: two notarize votes or two finalize votes for
//! different proposals (parent view and hash), or a nullify vote and a finalize vote. No honest
//! validator signs such a pair, however often it restarts: it writes a vote down before it sends it.
//!
//! # Encoding
//!
//! Big endian and of fixed width, so that no pair has two encodings but by order:
//!
//! ```text
//! kind: u8 ‖ epoch: u64 ‖ view: u64 ‖ public key: 32 bytes ‖ first ‖ second
//! kind 1, 2 (notarize, finalize): each vote is parent view: u64 ‖ block hash: 32 bytes ‖ signature: 64 bytes
//! kind 3 (nullify and finalize): first is signature: 64 bytes, second as above
//! ```

use alloy_primitives::B256;

/// A vote for a proposal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// View of the proposal's parent.
    pub parent_view: u64,
    /// Hash of the proposed block's header.
    pub block: B256,
    /// Ed25519 signature.
    pub signature: [u8; 64],
}

/// The two votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pair {
    /// Two notarize votes.
    Notarize(Vote, Vote),
    /// Two finalize votes.
    Finalize(Vote, Vote),
    /// The signature of a nullify vote, and a finalize vote.
    NullifyFinalize([u8; 64], Vote),
}

/// Two votes that no honest validator signs both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Evidence {
    /// Epoch of both votes.
    pub epoch: u64,
    /// View of both votes.
    pub view: u64,
    /// The key that signed both.
    pub public_key: [u8; 32],
    /// The votes.
    pub pair: Pair,
}

/// Why bytes are no evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// The first byte is none of 1, 2 and 3.
    #[error("unknown kind of evidence")]
    Kind,
    /// Another length than the kind's.
    #[error("evidence of another length")]
    Length,
    /// Both votes are for the same proposal.
    #[error("the two votes do not conflict")]
    NoConflict,
}

impl Evidence {
    /// Length of the longest encoding, bytes.
    pub const MAX_LEN: usize = 257;

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::MAX_LEN);
        out.push(match self.pair {
            Pair::Notarize(..) => 1,
            Pair::Finalize(..) => 2,
            Pair::NullifyFinalize(..) => 3,
        });
        out.extend_from_slice(&self.epoch.to_be_bytes());
        out.extend_from_slice(&self.view.to_be_bytes());
        out.extend_from_slice(&self.public_key);
        match &self.pair {
            Pair::Notarize(first, second) | Pair::Finalize(first, second) => {
                first.write(&mut out);
                second.write(&mut out);
            }
            Pair::NullifyFinalize(signature, vote) => {
                out.extend_from_slice(signature);
                vote.write(&mut out);
            }
        }
        out
    }

    /// Reads what [`encode`](Self::encode) wrote. The signatures are not examined.
    ///
    /// # Errors
    /// See [`EvidenceError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, EvidenceError> {
        let (kind, rest) = bytes.split_first().ok_or(EvidenceError::Length)?;
        if !(1..=3).contains(kind) {
            return Err(EvidenceError::Kind);
        }
        let (epoch, rest) = take::<8>(rest)?;
        let (view, rest) = take::<8>(rest)?;
        let (public_key, rest) = take::<32>(rest)?;
        let (pair, rest) = if *kind == 3 {
            let (signature, rest) = take::<64>(rest)?;
            let (vote, rest) = Vote::read(rest)?;
            (Pair::NullifyFinalize(signature, vote), rest)
        } else {
            let (first, rest) = Vote::read(rest)?;
            let (second, rest) = Vote::read(rest)?;
            if (first.parent_view, first.block) == (second.parent_view, second.block) {
                return Err(EvidenceError::NoConflict);
            }
            let pair = if *kind == 1 {
                Pair::Notarize(first, second)
            } else {
                Pair::Finalize(first, second)
            };
            (pair, rest)
        };
        if !rest.is_empty() {
            return Err(EvidenceError::Length);
        }
        Ok(Self {
            epoch: u64::from_be_bytes(epoch),
            view: u64::from_be_bytes(view),
            public_key,
            pair,
        })
    }

    /// The two byte strings that were signed, on the chain whose spec has this hash, each with its
    /// signature.
    pub fn signed(&self, spec_hash: B256) -> [(Vec<u8>, [u8; 64]); 2] {
        let proposal = |kind: &[u8], vote: &Vote| {
            let mut body = self.round();
            varint(vote.parent_view, &mut body);
            body.extend_from_slice(vote.block.as_slice());
            (in_domain(&domain(spec_hash, kind), &body), vote.signature)
        };
        let nullify = |signature: &[u8; 64]| {
            let domain = domain(spec_hash, b"_NULLIFY");
            (in_domain(&domain, &self.round()), *signature)
        };
        match &self.pair {
            Pair::Notarize(first, second) => {
                [first, second].map(|vote| proposal(b"_NOTARIZE", vote))
            }
            Pair::Finalize(first, second) => {
                [first, second].map(|vote| proposal(b"_FINALIZE", vote))
            }
            Pair::NullifyFinalize(signature, vote) => {
                [nullify(signature), proposal(b"_FINALIZE", vote)]
            }
        }
    }

    fn round(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        varint(self.epoch, &mut out);
        varint(self.view, &mut out);
        out
    }
}

impl Vote {
    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.parent_view.to_be_bytes());
        out.extend_from_slice(self.block.as_slice());
        out.extend_from_slice(&self.signature);
    }

    fn read(bytes: &[u8]) -> Result<(Self, &[u8]), EvidenceError> {
        let (parent_view, rest) = take::<8>(bytes)?;
        let (block, rest) = take::<32>(rest)?;
        let (signature, rest) = take::<64>(rest)?;
        let vote = Self {
            parent_view: u64::from_be_bytes(parent_view),
            block: block.into(),
            signature,
        };
        Ok((vote, rest))
    }
}

fn take<const N: usize>(bytes: &[u8]) -> Result<([u8; N], &[u8]), EvidenceError> {
    let (head, rest) = bytes
        .split_first_chunk::<N>()
        .ok_or(EvidenceError::Length)?;
    Ok((*head, rest))
}

/// Domain of every vote and connection of the chain with this spec.
pub fn consensus_domain(spec_hash: B256) -> Vec<u8> {
    let mut domain = b"hallmark/consensus/1/".to_vec();
    domain.extend_from_slice(spec_hash.as_slice());
    domain
}

fn domain(spec_hash: B256, kind: &[u8]) -> Vec<u8> {
    let mut domain = consensus_domain(spec_hash);
    domain.extend_from_slice(kind);
    domain
}

/// A message in a domain: `v(|domain|) ‖ domain ‖ message`.
pub(crate) fn in_domain(domain: &[u8], message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(domain.len().saturating_add(message.len()).saturating_add(2));
    varint(domain.len() as u64, &mut out);
    out.extend_from_slice(domain);
    out.extend_from_slice(message);
    out
}

/// Unsigned LEB128.
fn varint(mut value: u64, out: &mut Vec<u8>) {
    loop {
        let low = u8::try_from(value & 0x7f).unwrap_or_default();
        value >>= 7;
        if value == 0 {
            out.push(low);
            return;
        }
        out.push(low | 0x80);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vote(number: u8) -> Vote {
        Vote {
            parent_view: 300,
            block: B256::repeat_byte(number),
            signature: [number; 64],
        }
    }

    fn evidence(pair: Pair) -> Evidence {
        Evidence {
            epoch: 7,
            view: 301,
            public_key: [5; 32],
            pair,
        }
    }

    #[test]
    fn every_kind_of_evidence_survives_its_encoding_and_no_other_bytes_do() {
        let pairs = [
            Pair::Notarize(vote(1), vote(2)),
            Pair::Finalize(vote(1), vote(2)),
            Pair::NullifyFinalize([9; 64], vote(2)),
        ];
        for pair in pairs {
            let bytes = evidence(pair).encode();
            assert!(bytes.len() <= Evidence::MAX_LEN);
            assert_eq!(Evidence::decode(&bytes), Ok(evidence(pair)));
            for cut in 0..bytes.len() {
                assert!(Evidence::decode(&bytes[..cut]).is_err(), "cut at {cut}");
            }
            let longer = [&bytes[..], &[0]].concat();
            assert_eq!(Evidence::decode(&longer), Err(EvidenceError::Length));
            for kind in [0, 4, 255] {
                let mut other = bytes.clone();
                other[0] = kind;
                assert_eq!(Evidence::decode(&other), Err(EvidenceError::Kind));
            }
        }
    }

    #[test]
    fn two_votes_for_one_proposal_are_no_evidence() {
        let mut second = vote(1);
        second.signature = [8; 64];
        let bytes = evidence(Pair::Finalize(vote(1), second)).encode();
        assert_eq!(Evidence::decode(&bytes), Err(EvidenceError::NoConflict));
    }

    #[test]
    fn signed_bytes_are_those_of_the_definition() {
        let [(nullify, _), (finalize, signature)] =
            evidence(Pair::NullifyFinalize([9; 64], vote(2))).signed(B256::repeat_byte(0xab));
        let mut expected = vec![61];
        expected.extend(b"hallmark/consensus/1/");
        expected.extend([0xab; 32]);
        expected.extend(b"_NULLIFY");
        // 301 = 2 * 128 + 45.
        expected.extend([7, 0xad, 2]);
        assert_eq!(nullify, expected);
        assert_eq!(signature, [2; 64]);
        // 300 = 2 * 128 + 44.
        assert!(finalize.ends_with(&[&[7, 0xad, 2, 0xac, 2][..], &[2; 32]].concat()));
    }
}
