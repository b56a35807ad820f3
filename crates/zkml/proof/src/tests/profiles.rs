//! Two profiles of one model: two keys, and no proof of one holds under the other.

use super::*;
use crate::key::{DecodeError, SetupError, setup_at};
use crate::{InputSecret, Mode, private_security_report};

fn worlds() -> [World; 2] {
    [Profile::Standard, Profile::Short].map(small_of)
}

#[test]
fn a_proof_of_one_profile_is_refused_under_the_other_by_name() {
    let [standard, short] = worlds();
    assert_ne!(standard.vk().digest(), short.vk().digest());
    assert_ne!(standard.vk(), short.vk());
    assert_ne!(standard.vk().commitment(), short.vk().commitment());
    assert_eq!(standard.verify(&standard.proof), Ok(()));
    assert_eq!(short.verify(&short.proof), Ok(()));
    // Longer than any of that key, or of another number.
    let verdict = standard.verify(&short.proof);
    assert_eq!(verdict, Err(VerifyError::Profile(3)));
    let said = verdict.unwrap_err().to_string();
    assert!(said.contains("3 (short, public inputs)"), "{said}");
    let mut cut = standard.proof.clone();
    cut.truncate(short.vk().max_proof_len());
    assert_eq!(short.verify(&cut), Err(VerifyError::Profile(1)));
    // One that is renamed is not of the other's lengths, nor of its digest.
    for (of, proof, number) in [(&short, &standard.proof, 3), (&standard, &short.proof, 1)] {
        let mut renamed = proof.clone();
        renamed[5] = number;
        assert!(matches!(of.verify(&renamed), Err(VerifyError::Format(_))));
    }
}

#[test]
fn a_private_proof_of_one_profile_is_refused_under_the_other_by_name() {
    let worlds = worlds();
    let graph = &worlds[0].model.graph;
    let secret = InputSecret::from_bytes([3; 32]);
    let commitment = commit_input(graph, &worlds[0].input(), &secret).unwrap();
    let masked = mask_output(graph, &worlds[0].output(), &secret).unwrap();
    let check = |world: &World, proof: &[u8]| {
        verify_private(world.vk(), &commitment, &masked, &CONTEXT, proof)
    };
    let proofs: Vec<Vec<u8>> = worlds
        .iter()
        .map(|w| prove_private(&w.pk, &w.trace, &secret, &CONTEXT).unwrap())
        .collect();
    for (i, number) in [(0, 2), (1, 4)] {
        assert_eq!(check(&worlds[i], &proofs[i]), Ok(()));
        let other = &worlds[1 - i];
        let mut proof = proofs[i].clone();
        proof.truncate(other.vk().max_private_proof_len().unwrap());
        assert_eq!(check(other, &proof), Err(VerifyError::Profile(number)));
        // Nor in the other mode.
        let length = worlds[i].vk().max_proof_len().min(proof.len());
        let verdict = worlds[i].verify(&proof[..length]);
        assert_eq!(verdict, Err(VerifyError::Profile(number)));
    }
    assert!(proofs[1].len() < proofs[0].len());
}

#[test]
fn keys_say_their_profile_and_of_no_other() {
    for (world, number) in worlds().iter().zip([1, 3]) {
        let bytes = world.vk().encode();
        assert_eq!(bytes[5], number);
        let key = VerifyingKey::decode(&bytes).unwrap();
        assert_eq!(key.profile(), world.vk().profile());
        assert_eq!(Profile::of_key(&bytes), Some(key.profile()));
        assert_eq!(key.verify_of(world), Ok(()));
        // The other's number: the roots are not its commitments.
        let mut renamed = bytes.clone();
        renamed[5] = 4 - number;
        let other = VerifyingKey::decode(&renamed).unwrap();
        assert!(other.verify_of(world).is_err());
        for unknown in [0, 2, 4, 5, 255] {
            renamed[5] = unknown;
            let verdict = VerifyingKey::decode(&renamed);
            assert_eq!(verdict, Err(DecodeError::Profile(unknown)));
        }
    }
}

impl VerifyingKey {
    fn verify_of(&self, world: &World) -> Result<(), VerifyError> {
        let (input, output) = (world.input(), world.output());
        verify(self, &input, &output, &CONTEXT, &world.proof)
    }
}

/// Random models under the shorter profile: proofs hold, are shorter, cost less to check and have the
/// security that every profile promises.
#[test]
fn short_proofs_of_random_models_verify_and_are_shorter() {
    for seed in 0..30 {
        let model = testing::random_model(seed);
        let standard = World::new(model.clone(), seed);
        let short = World::with(model, seed, Profile::Short);
        assert_eq!(short.verify(&short.proof), Ok(()), "seed {seed}");
        let (keys, longer) = ([standard.vk(), short.vk()], &standard.proof);
        assert!(short.proof.len() < longer.len(), "seed {seed}");
        assert!(keys[1].max_proof_len() < keys[0].max_proof_len());
        assert!(keys[1].cost().gas() < keys[0].cost().gas(), "seed {seed}");
        assert!(security_report(keys[1]).bits() >= 100.0, "seed {seed}");
        let Some(security) = private_security_report(keys[1]) else {
            continue;
        };
        assert!(security.bits() >= 100.0, "seed {seed}");
        let lengths = keys.map(|key| key.max_batch_len(Mode::PrivateInput, 1).unwrap());
        assert!(lengths[1] <= lengths[0], "seed {seed}: {lengths:?}");
        let secret = InputSecret::from_bytes([4; 32]);
        let proof = prove_private(&short.pk, &short.trace, &secret, &CONTEXT).unwrap();
        let graph = &short.model.graph;
        let commitment = commit_input(graph, &short.input(), &secret).unwrap();
        let masked = mask_output(graph, &short.output(), &secret).unwrap();
        let verdict = verify_private(short.vk(), &commitment, &masked, &CONTEXT, &proof);
        assert_eq!(verdict, Ok(()), "seed {seed}");
        assert!(proof.len() <= short.vk().max_private_proof_len().unwrap());
    }
}

/// No graph within the limits has less than 100 bits, so the gate is shown with a higher one.
#[test]
fn a_key_of_fewer_bits_than_are_promised_is_neither_made_nor_read() {
    for world in worlds() {
        let bits = security_report(world.vk()).bits();
        assert!(bits >= 100.0, "{bits}");
        let (model, profile) = (&world.model, world.vk().profile());
        let bytes = world.vk().encode();
        assert!(setup_at(model, profile, bits).is_ok());
        assert!(VerifyingKey::decode_with(&bytes, bits).is_ok());
        let refused = setup_at(model, profile, bits + 0.1).err();
        assert_eq!(refused, Some(SetupError::Security(bits as u32)));
        let refused = VerifyingKey::decode_with(&bytes, bits + 0.1).err();
        assert_eq!(refused, Some(DecodeError::Security(bits as u32)));
    }
}
