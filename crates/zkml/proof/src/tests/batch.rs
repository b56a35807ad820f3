//! Several runs in one proof.

use super::*;
use crate::proof::FormatError;
use crate::{BatchRun, BatchStatement, InputSecret, Mode, max_batch, prove_batch, verify_batch};

struct Runs {
    world: World,
    traces: Vec<Trace>,
}

impl Runs {
    fn new(count: u64) -> Self {
        let world = small();
        let traces = (0..count)
            .map(|seed| {
                let input = testing::random_input(&world.model, 50 + seed);
                reference::trace(&world.model, &input).unwrap()
            })
            .collect();
        Self { world, traces }
    }

    fn outputs(&self) -> Vec<Vec<i32>> {
        let traces = self.traces.iter();
        traces.map(|t| output_of(&self.world.model, t)).collect()
    }
}

#[test]
fn runs_that_share_a_proof_are_each_checked() {
    let runs = Runs::new(3);
    let pk = &runs.world.pk;
    let batch: Vec<BatchRun<'_>> = runs
        .traces
        .iter()
        .map(|trace| BatchRun {
            trace,
            secret: None,
        })
        .collect();
    let proof = prove_batch(pk, &batch, &CONTEXT).unwrap();
    let outputs = runs.outputs();
    let check = |order: [usize; 3], outputs: &[Vec<i32>]| {
        let said: Vec<BatchStatement<'_>> = order
            .iter()
            .map(|&i| BatchStatement {
                inputs: Inputs::Public(&runs.traces[i].values[0]),
                output: &outputs[i],
            })
            .collect();
        verify_batch(runs.world.vk(), &said, &CONTEXT, &proof)
    };
    assert_eq!(check([0, 1, 2], &outputs), Ok(()));
    assert_eq!(check([0, 2, 1], &outputs), Err(VerifyError::WrongInput));
    assert_eq!(check([0, 1, 1], &outputs), Err(VerifyError::WrongInput));
    let mut lie = outputs.clone();
    lie[2][0] ^= 1;
    assert_eq!(check([0, 1, 2], &lie), Err(VerifyError::WrongOutput));
    let longest = runs.world.vk().max_batch_len(Mode::Public, 3).unwrap();
    assert!(proof.len() <= longest);
    // Three apart are longer: the weights are opened once.
    assert!(proof.len() < 3 * runs.world.proof.len());
}

#[test]
fn private_runs_share_a_proof_and_a_false_one_spoils_it() {
    let runs = Runs::new(2);
    let graph = &runs.world.model.graph;
    let secrets = [1, 2].map(|b| InputSecret::from_bytes([b; 32]));
    let said: Vec<([u8; 32], Vec<i32>)> = runs
        .traces
        .iter()
        .zip(&secrets)
        .map(|(trace, secret)| {
            let masked = mask_output(graph, &output_of(&runs.world.model, trace), secret).unwrap();
            let masked = masked.into_iter().map(|x| x as i32).collect();
            (
                commit_input(graph, &trace.values[0], secret).unwrap(),
                masked,
            )
        })
        .collect();
    let prove = |traces: [&Trace; 2]| {
        let batch = [0, 1].map(|i| BatchRun {
            trace: traces[i],
            secret: Some(&secrets[i]),
        });
        prove_batch(&runs.world.pk, &batch, &CONTEXT).unwrap()
    };
    let check = |proof: &[u8]| {
        let said: Vec<BatchStatement<'_>> = said
            .iter()
            .map(|(commitment, masked)| BatchStatement {
                inputs: Inputs::Private(commitment),
                output: masked,
            })
            .collect();
        verify_batch(runs.world.vk(), &said, &CONTEXT, proof)
    };
    let [a, b] = [&runs.traces[0], &runs.traces[1]];
    let proof = prove([a, b]);
    assert_eq!(check(&proof), Ok(()));
    assert_eq!(check(&prove([a, a])), Err(VerifyError::WrongInput));
    let mut random = Random::of_kit(4);
    for _ in 0..40 {
        let mut changed = proof.clone();
        let at = random.between(0, proof.len() as i64 - 1) as usize;
        changed[at] ^= 1 << random.between(0, 7);
        let verdict = check(&changed);
        assert!(
            !matches!(verdict, Ok(()) | Err(VerifyError::Internal)),
            "byte {at}"
        );
    }
    assert_eq!(check(&proof[..90]), Err(FormatError::Truncated.into()));
}

#[test]
fn a_batch_is_no_longer_than_its_security_allows() {
    let runs = Runs::new(1);
    for mode in [Mode::Public, Mode::PrivateInput] {
        let most = max_batch(runs.world.vk(), mode);
        assert!((1..=64).contains(&most), "{mode:?}: {most}");
    }
    let most = max_batch(runs.world.vk(), Mode::Public);
    let run = BatchRun {
        trace: &runs.traces[0],
        secret: None,
    };
    let verdict = prove_batch(&runs.world.pk, &vec![run; most + 1], &CONTEXT);
    assert_eq!(verdict, Err(crate::ProveError::Batch(most)));
}
