//! Padded messages: what the verifier collects instead of checking.

use super::*;
use crate::field::E;
use crate::field::F;
use crate::messages::{Public, verify_messages};
use crate::opening::reduction::Weights;
use crate::plan::{Mode, Plan};
use crate::private::{InputSecret, read_digest};
use crate::run::Run;
use crate::statement::outputs;
use crate::transcript::{Lin, PRODUCTS, ProverChannel, Transcript, VerifierChannel};
use p3_field::PrimeCharacteristicRing;

const SEED: &[u8] = b"statement";

/// A value, its secrets known.
fn reveal(value: &Lin, pads: &[E], products: &[(u32, u32)]) -> E {
    value
        .terms
        .iter()
        .fold(value.constant, |sum, &(secret, c)| {
            let pad = |i: u32| pads[i as usize];
            let secret = match secret.checked_sub(PRODUCTS) {
                None => pad(secret),
                Some(product) => {
                    let (i, j) = products[product as usize];
                    pad(i) * pad(j)
                }
            };
            sum + secret * c
        })
}

/// A value of the witness under weights.
fn weigh(weights: &[Weights], stack: &[F]) -> E {
    let variables = stack.len().trailing_zeros() as usize;
    let mut total = E::ZERO;
    // By the reduction's own definition: at every point of the hypercube.
    for (i, &value) in stack.iter().enumerate().filter(|(_, v)| **v != F::ZERO) {
        let point: Vec<E> = (0..variables)
            .rev()
            .map(|bit| E::from_bool(i >> bit & 1 == 1))
            .collect();
        total += weights.iter().map(|w| w.evaluate(&point)).sum::<E>() * value;
    }
    total
}

/// Runs the padded messages of a model; returns whether all that is collected vanishes.
fn collect(world: &World, honest: bool, sponge: bool) -> bool {
    let graph = &world.model.graph;
    let plan = Plan::new(graph, Mode::PrivateInput).unwrap();
    let secret = InputSecret::from_bytes([3; 32]);
    let input = world.input();
    let witness = world.pk.witness_of(&plan, &world.trace).unwrap();
    let mut witness = witness.with_secret(&plan, &input, &secret);
    let commitment = commit_input(graph, &input, &secret).unwrap();
    let masked = mask_output(graph, &world.output(), &secret).unwrap();
    let masked: Vec<i32> = masked.into_iter().map(|x| x as i32).collect();
    let mut changed = world.trace.values[0].clone();
    changed[0] ^= 1;
    if !honest {
        witness.values[0] = &changed;
    }
    let pads = Transcript::new(b"pads").sample_point(plan.hiding.pads);
    let mut run = Run::new(&plan, &witness, ProverChannel::hiding(SEED, pads.clone()));
    run.outputs();
    let stack = witness.stack(&plan);
    run.lookups(&stack);
    run.walk(&|_, _| {});
    run.binding();
    let (channel, _) = run.finish();
    assert_eq!(channel.sent.len(), plan.elements);
    assert_eq!(channel.pads_left(), 0);

    let public = Public {
        inputs: None,
        commitment: read_digest(&commitment).unwrap(),
        outputs: outputs(graph, &masked),
    };
    let mut verifier = VerifierChannel::with_mode(SEED, &channel.sent, true);
    let remaining = verify_messages(&plan, &public, &mut verifier).unwrap();
    assert!(verifier.is_finished());
    assert_eq!(verifier.products, plan.hiding.products);
    assert_eq!(verifier.pads as usize, plan.hiding.pads);
    let vanish = |value: &Lin| reveal(value, &pads, &verifier.products) == E::ZERO;
    let claims = remaining.witness.iter().all(|claim| {
        let stored = &plan.witness.stored[claim.block];
        let weights: Vec<Weights> = stored.weights(&claim.point, E::ONE).collect();
        let value = weigh(&weights, &stack);
        vanish(&claim.value.minus(&value.into()))
    });
    let linear = !sponge
        || remaining.linear.iter().all(|linear| {
            let value = weigh(&linear.weights, &stack);
            vanish(&linear.rest.plus(&value.into()))
        });
    verifier.constraints.iter().all(vanish) && claims && linear
}

#[test]
fn what_padded_messages_leave_to_be_shown_vanishes_for_a_true_run_only() {
    for seed in 0..40 {
        let world = World::new(testing::random_model(seed), seed);
        if Plan::new(&world.model.graph, Mode::PrivateInput).is_err() {
            continue;
        }
        assert!(collect(&world, true, seed == 0), "seed {seed}");
    }
    for lies in [small, wide] {
        assert!(collect(&lies(), true, true));
        assert!(!collect(&lies(), false, true));
    }
}

/// An input whose range is wider than a table.
fn wide() -> World {
    let mut b = Builder::new(vec![input(&[3, 5], -70_000, 5_000)]);
    let y = b.lookup(0, 9, clamp(-90, 90)).unwrap();
    World::new(finish(b, &[y]), 3)
}

#[test]
fn weights_are_claimed_in_the_open_and_alike_in_both_modes() {
    for seed in 0..40 {
        let model = testing::random_model(seed);
        let Ok(hiding) = Plan::new(&model.graph, Mode::PrivateInput) else {
            continue;
        };
        let public = Plan::new(&model.graph, Mode::Public).unwrap();
        assert_eq!(public.weights.places, hiding.weights.places);
    }
}

/// A private proof of a world, with what it is of.
struct Private {
    secret: InputSecret,
    commitment: [u8; 32],
    masked: Vec<u32>,
    proof: Vec<u8>,
}

impl Private {
    fn new(world: &World, seed: u8) -> Self {
        let graph = &world.model.graph;
        let secret = InputSecret::from_bytes([seed; 32]);
        Self {
            commitment: commit_input(graph, &world.input(), &secret).unwrap(),
            masked: mask_output(graph, &world.output(), &secret).unwrap(),
            proof: prove_private(&world.pk, &world.trace, &secret, &CONTEXT).unwrap(),
            secret,
        }
    }

    fn verify(&self, world: &World) -> Result<(), VerifyError> {
        verify_private(
            world.vk(),
            &self.commitment,
            &self.masked,
            &CONTEXT,
            &self.proof,
        )
    }
}

#[test]
fn private_proofs_of_random_models_verify_and_open_for_the_buyer() {
    for seed in 0..40 {
        let world = World::new(testing::random_model(seed), seed);
        if world.vk().private_cost().is_none() {
            continue;
        }
        let private = Private::new(&world, 5);
        assert_eq!(private.verify(&world), Ok(()), "seed {seed}");
        let longest = world.vk().max_private_proof_len().unwrap();
        assert!(private.proof.len() <= longest, "seed {seed}");
        let opened = unmask_output(&world.model.graph, &private.masked, &private.secret).unwrap();
        assert_eq!(opened, world.output(), "seed {seed}");
        let report = crate::private_security_report(world.vk()).unwrap();
        assert!(report.bits() >= 100.0, "seed {seed}: {report:?}");
    }
}

#[test]
fn a_private_proof_holds_for_its_own_statement_only() {
    let world = small();
    let graph = &world.model.graph;
    let private = Private::new(&world, 5);
    assert_eq!(private.verify(&world), Ok(()));
    let other = InputSecret::from_bytes([6; 32]);
    let commitment = commit_input(graph, &world.input(), &other).unwrap();
    let mut masked = private.masked.clone();
    masked[2] ^= 1;
    let check = |commitment: &[u8; 32], masked: &[u32], context: &[u8; 32]| {
        verify_private(world.vk(), commitment, masked, context, &private.proof)
    };
    let (c, m) = (&private.commitment, &private.masked[..]);
    assert_eq!(
        check(&commitment, m, &CONTEXT),
        Err(VerifyError::WrongInput)
    );
    assert_eq!(check(c, &masked, &CONTEXT), Err(VerifyError::WrongOutput));
    assert_eq!(check(c, m, &[9; 32]), Err(VerifyError::WrongContext));
    assert_eq!(
        check(&[0xff; 32], m, &CONTEXT),
        Err(VerifyError::Commitment)
    );
    masked[2] = 0x7f00_0001;
    assert!(matches!(
        check(c, &masked, &CONTEXT),
        Err(VerifyError::Output(_))
    ));
    // A public proof is none of private inputs, and the reverse.
    let as_private = verify_private(world.vk(), c, m, &CONTEXT, &world.proof);
    assert!(matches!(as_private, Err(VerifyError::Profile(1))));
    assert!(matches!(
        world.verify(&private.proof),
        Err(VerifyError::Format(_) | VerifyError::Profile(2))
    ));
}

#[test]
fn a_private_proof_of_another_input_output_or_pad_is_refused_by_an_equation() {
    let world = small();
    let graph = &world.model.graph;
    let private = Private::new(&world, 5);
    let mut changed = world.input();
    changed[2] = (changed[2] + 1) % 128;
    let trace = reference::trace(&world.model, &changed).unwrap();
    let secret = InputSecret::from_bytes([6; 32]);
    let honest = (&private.commitment, &private.masked);
    let another_masked = mask_output(graph, &world.output(), &secret).unwrap();
    let another_commitment = commit_input(graph, &changed, &private.secret).unwrap();
    let mut false_masked = private.masked.clone();
    false_masked[0] = (false_masked[0] + 1) % 0x7f00_0001;
    for (name, trace, secret, (commitment, masked)) in [
        ("another input", &trace, &private.secret, honest),
        ("another secret", &world.trace, &secret, honest),
        (
            "another pad",
            &world.trace,
            &private.secret,
            (&private.commitment, &another_masked),
        ),
        (
            "another commitment",
            &world.trace,
            &private.secret,
            (&another_commitment, &private.masked),
        ),
        (
            "another output",
            &world.trace,
            &private.secret,
            (&private.commitment, &false_masked),
        ),
    ] {
        let claim = crate::Claim {
            commitment,
            masked,
            context: &CONTEXT,
        };
        let proof = crate::prove_private_statement(&world.pk, trace, secret, claim).unwrap();
        let verdict = verify_private(world.vk(), commitment, masked, &CONTEXT, &proof);
        assert_eq!(verdict, Err(VerifyError::WitnessOpening), "{name}");
    }
    // The kit itself is sound: the same call with the truth passes.
    let claim = crate::Claim {
        commitment: &private.commitment,
        masked: &private.masked,
        context: &CONTEXT,
    };
    let proof =
        crate::prove_private_statement(&world.pk, &world.trace, &private.secret, claim).unwrap();
    let verdict = verify_private(world.vk(), claim.commitment, claim.masked, &CONTEXT, &proof);
    assert_eq!(verdict, Ok(()));
}

#[test]
fn a_key_is_planned_without_the_work_that_its_cost_is_of() {
    // Each step moves a million elements one by one, which a verification pays for.
    let mut b = Builder::new(vec![input(&[999, 1001], 0, 1)]);
    let mut x = 0;
    for i in 0..60 {
        let dims = if i % 2 == 0 { [1001, 999] } else { [999, 1001] };
        x = b.reshape(x, shape(&dims)).unwrap();
    }
    let y = b.sum(x, &[0, 1]).unwrap();
    let graph = finish(b, &[y]).graph;
    let started = std::time::Instant::now();
    let plan = Plan::new(&graph, Mode::PrivateInput).unwrap();
    let taken = started.elapsed();
    assert_eq!(
        plan.hiding.products.len(),
        crate::messages::products(&plan).len()
    );
    assert!(taken.as_millis() < 500, "{taken:?}");
}

#[test]
fn outputs_that_are_scalars_inputs_constants_or_told_twice_are_masked_apart() {
    let mut b = Builder::new(vec![input(&[1], -3, 4), input(&[3, 1], 0, 0)]);
    let sum = b.sum(1, &[0, 1]).unwrap();
    let fixed = constant(&mut b, &[2], &[70, -70]);
    let square = b.mul(0, 0).unwrap();
    let outputs = [0, 0, sum, sum, fixed, fixed, square, 1, square];
    let world = World::new(finish(b, &outputs), 3);
    let private = Private::new(&world, 5);
    assert_eq!(private.verify(&world), Ok(()));
    let opened = unmask_output(&world.model.graph, &private.masked, &private.secret).unwrap();
    assert_eq!(opened, world.output());
    // One value under two pads.
    assert_ne!(private.masked[0], private.masked[1]);
    for i in 0..private.masked.len() {
        let mut masked = private.masked.clone();
        masked[i] = (masked[i] + 1) % 0x7f00_0001;
        let claim = crate::Claim {
            commitment: &private.commitment,
            masked: &masked,
            context: &CONTEXT,
        };
        let proof = crate::prove_private_statement(&world.pk, &world.trace, &private.secret, claim);
        let verdict = verify_private(
            world.vk(),
            &private.commitment,
            &masked,
            &CONTEXT,
            &proof.unwrap(),
        );
        assert_eq!(verdict, Err(VerifyError::WitnessOpening), "element {i}");
    }
}

#[test]
fn inputs_that_differ_are_packed_apart() {
    for (lo, hi) in [(-3, 4), (0, 0), (-7, 0), (0, 1), (-4, 4), (-1, 0)] {
        let inputs = vec![input(&[3], lo, hi), input(&[1], lo, hi)];
        let mut b = Builder::new(inputs);
        let y = b.combine(&[(0, 1)], 1).unwrap();
        let layout = crate::private::Layout::new(&finish(b, &[y, 1]).graph);
        let range = hi - lo + 1;
        let message = |index: i32| {
            let digit = |i: u32| lo + index / range.pow(i) % range;
            layout.message(&[F::ZERO; 8], &[F::ZERO; 4], &[0, 1, 2, 3].map(digit))
        };
        let messages: std::collections::HashSet<_> = (0..range.pow(4)).map(message).collect();
        assert_eq!(messages.len(), range.pow(4) as usize, "{lo} to {hi}");
    }
}

#[test]
fn progress_tells_of_every_step_in_order() {
    use crate::{Progress, prove_private_measured};
    let world = World::new(mlp(1, &[8, 16, 10], 77), 6);
    let secret = InputSecret::from_bytes([6; 32]);
    let told = std::sync::Mutex::new(Vec::new());
    let watch = |progress| told.lock().expect("told").push(progress);
    let proof = prove_private_measured(&world.pk, &world.trace, &secret, &CONTEXT, &watch);
    assert!(proof.is_ok());
    let told = told.into_inner().expect("told");
    let (first, rest) = told.split_at(2);
    assert_eq!(first, [Progress::Committing, Progress::Lookups]);
    let (layers, last) = rest.split_at(rest.len() - 2);
    assert_eq!(last, [Progress::Opening, Progress::Weights]);
    assert!(!layers.is_empty());
    for (step, layer) in layers.iter().enumerate() {
        let of = layers.len();
        assert_eq!(*layer, Progress::Layer { step, of });
    }
}
