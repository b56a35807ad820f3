//! Checks a finality certificate against the validators of its epoch.
//!
//! A certificate is a commonware Simplex `Finalization`: a proposal (epoch, view, parent view, hash of
//! the header) and the ed25519 signatures of at least 2f+1 of the 3f+1 validators over exactly that
//! proposal, in the domain of the chain (the hash of its spec). A block that became final only through
//! a descendant has no certificate of its own (`Store::finalization` is empty); the certificate of the
//! next block that has one proves it through the parent hashes in between.
//!
//! The view is not compared with the header's: the last block of an epoch may be proposed again in a
//! later view, and the hash alone says what was finalized.
//!
//! What is checked, in this order, each failure with an error of its own: canonical encoding, epoch,
//! block, number of signers, signatures. Trust comes from the caller's spec and committee only: the
//! spec is enough for epochs 0 and 1 ([`genesis_committee`](crate::genesis_committee)), the committees of later epochs follow
//! from the chain's state (a light client proves them one after the other).

use alloy_consensus::Header;
use commonware_codec::{Copying, Decode, Encode};
use commonware_consensus::{
    Epochable,
    simplex::{
        scheme::ed25519::Scheme,
        types::{Attributable as _, Finalize, Proposal},
    },
    types::{Epoch, Round, View},
};
use commonware_cryptography::{
    certificate::{Signers, Verifier as _},
    ed25519::certificate::Certificate,
};
use commonware_parallel::Sequential;
use commonware_utils::{Faults as _, N3f1, sys_rng};
use hallmark_types::{ChainSpec, Committee, HeaderExtra};

use crate::{
    block::Digest,
    committee::{self, Finalization},
};

/// Why a certificate does not prove a block.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The bytes are not a canonical certificate of this many validators.
    #[error("the certificate is malformed: {0}")]
    Malformed(String),
    /// The header's extra data is not that of a Hallmark header.
    #[error("the header carries no consensus data: {0}")]
    Header(String),
    /// The validator set is unusable.
    #[error("the validators are unusable: {0}")]
    Validators(String),
    /// The validators given are not those of the header's epoch.
    #[error("the block is of epoch {header}, the validators given are those of epoch {committee}")]
    OtherCommittee { header: u64, committee: u64 },
    /// The certificate is of another epoch.
    #[error("the certificate is of epoch {found}, the header of epoch {expected}")]
    WrongEpoch { expected: u64, found: u64 },
    /// The certificate is of another block.
    #[error("the certificate finalizes block {found}, not {expected}")]
    AnotherBlock { expected: String, found: String },
    /// Fewer than 2f+1 validators signed.
    #[error("{found} validators signed, {needed} are needed")]
    TooFewSigners { needed: usize, found: usize },
    /// A signature is not by the validators of the epoch, or not over this proposal.
    #[error("the signatures are not by the validators of this epoch on this chain")]
    BadSignatures,
}

/// Checks that at least 2f+1 members of `committee` finalized the block with this `header` on the
/// chain of `spec`.
///
/// # Errors
/// One variant of [`CertificateError`] for each way to be wrong; never panics.
pub fn verify(
    spec: &ChainSpec,
    committee: &Committee,
    header: &Header,
    finalization: &[u8],
) -> Result<(), CertificateError> {
    let extra = HeaderExtra::decode(&header.extra_data)
        .map_err(|error| CertificateError::Header(error.to_string()))?;
    // The height decides which set signs: an old set has no say over a later block.
    let epoch = committee::epoch_of(spec, header.number);
    if committee.epoch != u64::from(extra.epoch) || committee.epoch != epoch {
        return Err(CertificateError::OtherCommittee {
            header: epoch,
            committee: committee.epoch,
        });
    }
    let participants = committee::participants(committee)
        .map_err(|error| CertificateError::Validators(error.to_string()))?;
    let count = participants.len();
    let scheme = Scheme::verifier(&committee::namespace(spec), participants);

    let certificate =
        Finalization::decode_cfg(Copying(finalization), &scheme.certificate_codec_config())
            .map_err(|error| CertificateError::Malformed(error.to_string()))?;
    if certificate.encode().as_ref() != finalization {
        return Err(CertificateError::Malformed("not canonical".into()));
    }

    let epoch = certificate.epoch().get();
    if epoch != u64::from(extra.epoch) {
        return Err(CertificateError::WrongEpoch {
            expected: extra.epoch.into(),
            found: epoch,
        });
    }
    let hash = Digest::from(header.hash_slow());
    if certificate.proposal.payload != hash {
        return Err(CertificateError::AnotherBlock {
            expected: hash.to_string(),
            found: certificate.proposal.payload.to_string(),
        });
    }
    let needed = usize::try_from(N3f1::quorum(count)).unwrap_or(usize::MAX);
    let found = certificate.certificate.signers.count();
    if found < needed {
        return Err(CertificateError::TooFewSigners { needed, found });
    }
    // Batch verification needs randomness that the maker of the certificate cannot foresee.
    if !certificate.verify(&mut sys_rng(), &scheme, &Sequential) {
        return Err(CertificateError::BadSignatures);
    }
    Ok(())
}

/// The certificate that the holders of these keys (seeds) can make for a header. Validators never
/// call this, they sign votes one by one; it is for tests of what must be accepted or refused.
///
/// # Errors
/// [`CertificateError::Validators`] if a key is not a member's or there are no keys.
pub fn assemble(
    spec: &ChainSpec,
    committee: &Committee,
    seeds: &[[u8; 32]],
    header: &Header,
) -> Result<Vec<u8>, CertificateError> {
    let unusable = |error: String| CertificateError::Validators(error);
    let extra = HeaderExtra::decode(&header.extra_data)
        .map_err(|error| CertificateError::Header(error.to_string()))?;
    let participants =
        committee::participants(committee).map_err(|error| unusable(error.to_string()))?;
    let namespace = committee::namespace(spec);
    let proposal = Proposal::new(
        Round::new(Epoch::new(extra.epoch.into()), View::new(extra.view)),
        View::new(extra.parent_view),
        Digest::from(header.hash_slow()),
    );
    let mut attestations = Vec::with_capacity(seeds.len());
    for seed in seeds {
        let signer = Scheme::signer(
            &namespace,
            participants.clone(),
            committee::private_key(seed),
        )
        .ok_or_else(|| unusable("a key is not a validator's".into()))?;
        let vote = Finalize::sign(&signer, proposal.clone())
            .ok_or_else(|| unusable("a key cannot sign".into()))?;
        attestations.push((vote.signer(), vote.attestation.signature));
    }
    attestations.sort_by_key(|(signer, _)| *signer);
    attestations.dedup_by_key(|(signer, _)| *signer);
    let count = u32::try_from(participants.len()).unwrap_or(u32::MAX);
    let signers = Signers::new(count, attestations.iter().map(|(signer, _)| *signer))
        .map_err(|error| unusable(error.to_string()))?;
    let certificate = Certificate {
        signers,
        signatures: attestations
            .into_iter()
            .map(|(_, signature)| signature)
            .collect(),
    };
    Ok(Finalization {
        proposal,
        certificate,
    }
    .encode()
    .to_vec())
}
