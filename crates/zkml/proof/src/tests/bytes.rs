//! Bytes from outside: nothing that was changed passes, nothing panics.

use super::*;
use crate::proof::FormatError;

of_every_profile![
    every_flipped_bit_is_refused,
    lengths_and_non_canonical_elements_are_refused,
    every_count_set_to_its_most_is_refused,
];

fn every_flipped_bit_is_refused(profile: Profile) {
    let world = small_of(profile);
    let mut random = Random::of_kit(11);
    let len = world.proof.len();
    let mut positions: Vec<usize> = (0..40).map(|i| i * len / 40).collect();
    positions.extend((0..60).map(|_| random.between(0, len as i64 - 1) as usize));
    positions.extend([0, 4, 5, 6, 38, 70, 102, 134, 166, len - 1]);
    for position in positions {
        let mut proof = world.proof.clone();
        proof[position] ^= 1 << random.between(0, 7);
        let verdict = world.verify(&proof);
        assert!(verdict.is_err(), "byte {position} of {len}");
        match position {
            0 => assert_eq!(verdict, Err(FormatError::Magic.into())),
            4 => assert!(matches!(verdict, Err(VerifyError::Version(_)))),
            5 => assert!(matches!(verdict, Err(VerifyError::Profile(_)))),
            6 => assert_eq!(verdict, Err(VerifyError::WrongModel)),
            38 => assert_eq!(verdict, Err(VerifyError::WrongInput)),
            70 => assert_eq!(verdict, Err(VerifyError::WrongOutput)),
            102 => assert_eq!(verdict, Err(VerifyError::WrongContext)),
            134 => assert_eq!(verdict, Err(VerifyError::OutputMismatch)),
            _ => {}
        }
    }
}

fn lengths_and_non_canonical_elements_are_refused(profile: Profile) {
    let world = small_of(profile);
    let proof = &world.proof;
    for cut in [0, 1, 100, 165, 166, 200, proof.len() / 2, proof.len() - 1] {
        let verdict = world.verify(&proof[..cut]);
        assert_eq!(verdict, Err(FormatError::Truncated.into()), "cut at {cut}");
    }
    let mut longer = proof.clone();
    longer.push(0);
    assert_eq!(world.verify(&longer), Err(FormatError::Trailing.into()));
    longer.resize(world.vk().max_proof_len() + 1, 0);
    assert!(matches!(
        world.verify(&longer),
        Err(VerifyError::Format(FormatError::TooLong(_)))
    ));
    // x and x + p are the same element: only one is accepted.
    let mut alias = proof.clone();
    let word = u32::from_le_bytes(alias[166..170].try_into().unwrap());
    alias[166..170].copy_from_slice(&(word.wrapping_add(0x7f00_0001)).to_le_bytes());
    assert_eq!(world.verify(&alias), Err(FormatError::NonCanonical.into()));
}

fn every_count_set_to_its_most_is_refused(profile: Profile) {
    let world = small_of(profile);
    // Every aligned word set to the maximum: whichever of them is a count must be refused.
    for start in (166..world.proof.len() - 4).step_by(997) {
        let mut proof = world.proof.clone();
        proof[start..start + 4].fill(0xff);
        assert!(world.verify(&proof).is_err(), "at {start}");
    }
}

#[test]
fn mutated_proofs_never_panic_and_never_pass() {
    let world = small();
    let mut random = Random::of_kit(12);
    for _ in 0..3000 {
        let mut proof = world.proof.clone();
        match random.between(0, 3) {
            0 => {
                let cut = random.between(0, proof.len() as i64 - 1) as usize;
                proof.truncate(cut);
            }
            1 => {
                let at = random.between(0, proof.len() as i64 - 1) as usize;
                proof.insert(at, random.between(0, 255) as u8);
            }
            2 => {
                let at = random.between(0, proof.len() as i64 - 1) as usize;
                proof.remove(at);
            }
            _ => {
                for _ in 0..random.between(1, 8) {
                    let at = random.between(0, proof.len() as i64 - 1) as usize;
                    proof[at] = random.between(0, 255) as u8;
                }
            }
        }
        if proof != world.proof {
            let verdict = world.verify(&proof);
            assert!(
                !matches!(verdict, Ok(()) | Err(VerifyError::Internal)),
                "{verdict:?}"
            );
        }
    }
}

#[test]
fn mutated_keys_never_panic_and_never_alias() {
    for bytes in [small().vk().encode(), {
        let world = World::new(testing::random_model(3), 3);
        world.vk().encode()
    }] {
        let mut random = Random::of_kit(13);
        for _ in 0..2000 {
            let mut mutated = bytes.clone();
            let at = random.between(0, mutated.len() as i64 - 1) as usize;
            match random.between(0, 2) {
                0 => mutated.truncate(at),
                1 => mutated[at] ^= 1 << random.between(0, 7),
                _ => mutated.insert(at, random.between(0, 255) as u8),
            }
            if let Ok(key) = VerifyingKey::decode(&mutated) {
                assert_eq!(key.encode(), mutated);
                assert_ne!(mutated, bytes);
                // Nor does the plan of private inputs, which is made when it is asked for.
                if let Some(cost) = key.private_cost() {
                    let masked = vec![0; key.graph().output_len()];
                    let verdict = verify_private(&key, &[0; 32], &masked, &CONTEXT, &[0; 99]);
                    assert!(matches!(verdict, Err(VerifyError::Format(_))), "{cost:?}");
                }
            }
        }
    }
}

#[test]
fn inputs_and_outputs_of_the_wrong_shape_are_refused_before_any_work() {
    let world = small();
    let (input, output) = (world.input(), world.output());
    let check =
        |input: &[i32], output: &[i32]| verify(world.vk(), input, output, &CONTEXT, &world.proof);
    assert!(matches!(
        check(&[1; 7], &output),
        Err(VerifyError::Input(_))
    ));
    assert!(matches!(
        check(&[500; 8], &output),
        Err(VerifyError::Input(_))
    ));
    assert!(matches!(
        check(&input, &[999; 10]),
        Err(VerifyError::Output(_))
    ));
}
