//! What proves to everybody that a validator signed two votes that exclude each other.
//!
//! An honest validator signs, in one view, at most one proposal to notarize, at most one to finalize,
//! and never both a nullification and a finalization: its write-ahead log sees to that across crashes.
//! Two signed votes that break this are evidence. They reach this node from peers and are verified
//! here before they are kept, because peers can send anything.
//!
//! The bytes are [`hallmark_types::Evidence`]'s, which contract `Staking` takes.

use std::{path::PathBuf, sync::Arc};

use alloy_primitives::hex;
use commonware_actor::Feedback;
use commonware_codec::{DecodeExt as _, Encode as _};
use commonware_consensus::{
    Epochable as _, Reporter, Viewable as _,
    simplex::{
        scheme::ed25519::Scheme,
        types::{Activity, Attributable as _, Finalize, Notarize, Nullify, Proposal},
    },
};
use commonware_cryptography::certificate::{Attestation, Scheme as _};
use commonware_parallel::Sequential;
use commonware_utils::{ordered::Quorum as _, sys_rng};
pub use hallmark_types::Evidence;
use hallmark_types::evidence::{Pair, Vote};

use crate::{block::Digest, committee};

/// Takes verified evidence. Called on the engine's thread: it must not block for long.
pub type Witness = Arc<dyn Fn(Evidence) + Send + Sync>;

/// A witness that writes the first offence of a key in an epoch, to a file in `folder`:
/// `EPOCH-PUBLIC_KEY.hex`. The contract takes one offence of a key; who offends in every view must not
/// fill the disks of the others.
pub(crate) fn keep_in(folder: PathBuf) -> Witness {
    Arc::new(move |evidence: Evidence| {
        let key = hex::encode(evidence.public_key);
        let (epoch, view) = (evidence.epoch, evidence.view);
        let bytes = evidence.encode();
        let path = folder.join(format!("{epoch}-{key}.hex"));
        if path.exists() {
            return;
        }
        let written = std::fs::create_dir_all(&folder)
            .and_then(|()| std::fs::write(&path, hex::encode_prefixed(&bytes)));
        match written {
            Ok(()) => tracing::error!(public_key = key, epoch, view, path = %path.display(),
                "a validator signed two votes that exclude each other"),
            Err(error) => tracing::error!(public_key = key, epoch, view, %error,
                evidence = hex::encode_prefixed(&bytes),
                "a validator signed two votes that exclude each other; the evidence was not written"),
        }
    })
}

/// Passes every activity on and shows verified evidence to the witness.
#[derive(Clone)]
pub(crate) struct Watched<R> {
    pub(crate) reporter: R,
    pub(crate) scheme: Arc<Scheme>,
    pub(crate) witness: Witness,
}

impl<R: Reporter<Activity = Activity<Scheme, Digest>>> Reporter for Watched<R> {
    type Activity = Activity<Scheme, Digest>;

    fn report(&mut self, activity: Self::Activity) -> Feedback {
        if let Some(evidence) = evidence(&self.scheme, &activity) {
            (self.witness)(evidence);
        }
        self.reporter.report(activity)
    }
}

/// The evidence in an activity, if it is any and both signatures hold.
fn evidence(scheme: &Scheme, activity: &Activity<Scheme, Digest>) -> Option<Evidence> {
    // The votes of a pair are private to commonware; their encoding is not.
    let (signer, pair) = match activity {
        Activity::ConflictingNotarize(votes) => {
            let (first, second) =
                <(Notarize<Scheme, Digest>, Notarize<Scheme, Digest>)>::decode(votes.encode())
                    .ok()?;
            let first = vote(&first.proposal, &first.attestation)?;
            let second = vote(&second.proposal, &second.attestation)?;
            (votes.signer(), Pair::Notarize(first, second))
        }
        Activity::ConflictingFinalize(votes) => {
            let (first, second) =
                <(Finalize<Scheme, Digest>, Finalize<Scheme, Digest>)>::decode(votes.encode())
                    .ok()?;
            let first = vote(&first.proposal, &first.attestation)?;
            let second = vote(&second.proposal, &second.attestation)?;
            (votes.signer(), Pair::Finalize(first, second))
        }
        Activity::NullifyFinalize(votes) => {
            let (nullify, finalize) =
                <(Nullify<Scheme>, Finalize<Scheme, Digest>)>::decode(votes.encode()).ok()?;
            let finalize = vote(&finalize.proposal, &finalize.attestation)?;
            let nullify = signature(&nullify.attestation)?;
            (votes.signer(), Pair::NullifyFinalize(nullify, finalize))
        }
        _ => return None,
    };
    // Reported as received: only the signatures make them evidence.
    if !activity.verify(&mut sys_rng(), scheme, &Sequential) {
        return None;
    }
    Some(Evidence {
        epoch: activity.epoch().get(),
        view: activity.view().get(),
        public_key: committee::key_bytes(scheme.participants().key(signer)?),
        pair,
    })
}

fn vote(proposal: &Proposal<Digest>, attestation: &Attestation<Scheme>) -> Option<Vote> {
    Some(Vote {
        parent_view: proposal.parent.get(),
        block: proposal.payload.into(),
        signature: signature(attestation)?,
    })
}

fn signature(attestation: &Attestation<Scheme>) -> Option<[u8; 64]> {
    attestation.signature.encode().as_ref().try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, B256};
    use commonware_consensus::{
        simplex::types::{ConflictingFinalize, ConflictingNotarize, NullifyFinalize},
        types::{Epoch, Round, View},
    };
    use hallmark_contracts::staking::verify_ed25519;
    use hallmark_types::{ChainSpec, Committee, Member, ValidatorSpec};

    const SEEDS: [[u8; 32]; 4] = [[1; 32], [2; 32], [3; 32], [4; 32]];

    fn spec() -> ChainSpec {
        let validators = SEEDS
            .iter()
            .map(|seed| {
                let address = Address::repeat_byte(0xa0 ^ seed[0]);
                ValidatorSpec::local(committee::public_key_of(seed), address)
            })
            .collect();
        let treasury = Address::repeat_byte(0x7e);
        ChainSpec::local(1_800_000_000_000, validators, Default::default(), treasury)
    }

    fn schemes(spec: &ChainSpec) -> Vec<Scheme> {
        let members = spec.validators.iter().map(|validator| Member {
            public_key: validator.public_key,
            address: validator.address,
            stake: validator.stake,
            p2p: String::new(),
        });
        let committee = Committee {
            epoch: 300,
            members: members.collect(),
        };
        let participants = committee::participants(&committee).expect("keys");
        SEEDS
            .iter()
            .map(|seed| {
                Scheme::signer(
                    &committee::namespace(spec),
                    participants.clone(),
                    committee::private_key(seed),
                )
                .expect("a member")
            })
            .collect()
    }

    fn round() -> Round {
        Round::new(Epoch::new(300), View::new(70_000))
    }

    fn proposal(block: u8) -> Proposal<Digest> {
        Proposal::new(round(), View::new(69_999), B256::repeat_byte(block).into())
    }

    fn notarize(scheme: &Scheme, block: u8) -> Notarize<Scheme, Digest> {
        Notarize::sign(scheme, proposal(block)).expect("a signer")
    }

    fn finalize(scheme: &Scheme, block: u8) -> Finalize<Scheme, Digest> {
        Finalize::sign(scheme, proposal(block)).expect("a signer")
    }

    fn nullify(scheme: &Scheme) -> Nullify<Scheme> {
        Nullify::sign::<Digest>(scheme, round()).expect("a signer")
    }

    /// What is reported of each kind of offence by this signer.
    fn offences(scheme: &Scheme) -> [Activity<Scheme, Digest>; 3] {
        [
            Activity::ConflictingNotarize(ConflictingNotarize::new(
                notarize(scheme, 1),
                notarize(scheme, 2),
            )),
            Activity::ConflictingFinalize(ConflictingFinalize::new(
                finalize(scheme, 1),
                finalize(scheme, 2),
            )),
            Activity::NullifyFinalize(NullifyFinalize::new(nullify(scheme), finalize(scheme, 1))),
        ]
    }

    #[test]
    fn votes_signed_by_the_engine_are_evidence_that_the_contracts_verifier_accepts() {
        let spec = spec();
        for (seed, scheme) in SEEDS.iter().zip(schemes(&spec)) {
            for offence in offences(&scheme) {
                let evidence = evidence(&scheme, &offence).expect("an offence");
                assert_eq!(evidence.public_key, committee::public_key_of(seed));
                assert_eq!((evidence.epoch, evidence.view), (300, 70_000));
                assert_eq!(Evidence::decode(&evidence.encode()), Ok(evidence));
                assert!(proves(&evidence, &spec));
                let mut other_chain = spec.clone();
                other_chain.chain_id += 1;
                assert!(!proves(&evidence, &other_chain));
            }
        }
    }

    /// Whether the contract's own verifier accepts both signatures over the bytes that
    /// `hallmark_types::evidence` says were signed.
    fn proves(evidence: &Evidence, spec: &ChainSpec) -> bool {
        let signed = evidence.signed(spec.hash());
        signed
            .iter()
            .all(|(message, signature)| verify_ed25519(&evidence.public_key, message, signature))
    }

    #[test]
    fn a_vote_that_was_not_signed_is_no_evidence() {
        let schemes = schemes(&spec());
        let [mut forged, ..] = [notarize(&schemes[0], 1)];
        forged.attestation.signature = notarize(&schemes[1], 1).attestation.signature;
        let offence = Activity::ConflictingNotarize(ConflictingNotarize::new(
            forged,
            notarize(&schemes[0], 2),
        ));
        assert_eq!(evidence(&schemes[2], &offence), None);
    }

    #[test]
    fn honest_activity_is_no_evidence() {
        let schemes = schemes(&spec());
        let activity = Activity::Notarize(notarize(&schemes[0], 1));
        assert_eq!(evidence(&schemes[1], &activity), None);
    }

    #[test]
    fn the_first_offence_of_a_key_in_an_epoch_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let witness = keep_in(folder.path().join("evidence"));
        let schemes = schemes(&spec());
        let [offence, another, _] = offences(&schemes[3]);
        let later = evidence(&schemes[3], &another).expect("an offence");
        let evidence = evidence(&schemes[3], &offence).expect("an offence");
        witness(evidence);
        witness(evidence);
        witness(later);
        let files: Vec<_> = std::fs::read_dir(folder.path().join("evidence"))
            .expect("a folder")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        let [file] = &files[..] else {
            panic!("one file: {files:?}");
        };
        let text = std::fs::read_to_string(file).expect("a file");
        assert_eq!(hex::decode(text).expect("hex"), evidence.encode());
    }
}
