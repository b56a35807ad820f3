//! Padded messages: what the verifier collects instead of checking.

use super::*;
use crate::field::E;
use crate::messages::{Public, verify_messages};
use crate::plan::{Mode, Plan};
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

/// Runs the padded messages of a model; returns whether all that is collected vanishes.
fn collect(world: &World, honest: bool) -> bool {
    let graph = &world.model.graph;
    let plan = Plan::new(graph, Mode::PrivateInput).unwrap();
    let mut witness = world.pk.witness_of(&plan, &world.trace).unwrap();
    let output = world.output();
    let input = world.trace.values[0].clone();
    let mut changed = input.clone();
    changed[0] ^= 1;
    if !honest {
        witness.values[0] = &changed;
    }
    let pads = Transcript::new(b"pads").sample_point(plan.masked);
    let mut run = Run::new(&plan, &witness, ProverChannel::hiding(SEED, pads.clone()));
    run.outputs();
    run.lookups(&witness.stack(&plan));
    run.walk();
    let (channel, _) = run.finish();
    assert_eq!(channel.sent.len(), plan.elements);
    assert_eq!(channel.pads_left(), 0);

    let public = Public {
        inputs: None,
        outputs: outputs(graph, &output),
    };
    let mut verifier = VerifierChannel::with_mode(SEED, &channel.sent, true);
    let remaining = verify_messages(&plan, &public, &mut verifier).unwrap();
    assert!(verifier.is_finished());
    assert_eq!(verifier.products, plan.products);
    assert_eq!(verifier.pads as usize, plan.masked);
    let vanish = |value: &Lin| reveal(value, &pads, &verifier.products) == E::ZERO;
    let claims = remaining.witness.iter().all(|claim| {
        let value = witness.column(&plan, claim.block).evaluate(&claim.point);
        vanish(&claim.value.minus(&value.into()))
    });
    verifier.constraints.iter().all(vanish) && claims
}

#[test]
fn what_padded_messages_leave_to_be_shown_vanishes_for_a_true_run_only() {
    for seed in 0..40 {
        let world = World::new(testing::random_model(seed), seed);
        if Plan::new(&world.model.graph, Mode::PrivateInput).is_err() {
            continue;
        }
        assert!(collect(&world, true), "seed {seed}");
    }
    for lies in [small, wide] {
        assert!(collect(&lies(), true));
        assert!(!collect(&lies(), false));
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
