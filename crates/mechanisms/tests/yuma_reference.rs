//! Yuma against [`literal`], the second implementation.

#[path = "common/literal.rs"]
mod literal;

use hallmark_fixed::Q32;
use hallmark_mechanisms::yuma::{
    AbsentBonds, Epoch, LiquidAlpha, Params, Row, State, Version, settle,
};
use literal::reference;
use proptest::prelude::*;

#[derive(Debug)]
struct World {
    params: Params,
    stake: Vec<u128>,
    last_update: Vec<u64>,
    registered: Vec<u64>,
    weights: Vec<Vec<Row>>,
    commitments: Vec<Option<u64>>,
    state: State,
    last_step_block: u64,
}

const SLOTS: usize = 10;

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let weight = prop_oneof![Just(0u16), Just(u16::MAX), any::<u16>(), 1u16..4];
    let row = proptest::collection::btree_map(0u16..12, weight, 0..=10);
    proptest::collection::vec(row.prop_map(|row| row.into_iter().collect()), SLOTS)
}

fn world() -> impl Strategy<Value = World> {
    let u16s = || prop_oneof![Just(0u16), Just(32_767), Just(u16::MAX), any::<u16>()];
    let bounds = (
        any::<u16>(),
        any::<u16>(),
        prop_oneof![Just(1_000i16), any::<i16>()],
    );
    let rules = (
        any::<bool>(),
        any::<bool>(),
        u16s(),
        u16s(),
        0u64..1_100_000,
        bounds,
        0usize..12,
    );
    let owner = proptest::option::of(0u16..12);
    let blocks = || proptest::collection::vec(prop_oneof![Just(0u64), 900u64..1_001], SLOTS);
    let commitments = proptest::collection::vec(proptest::option::of(900u64..1_001), SLOTS);
    let stake = proptest::collection::vec(0u128..200, SLOTS);
    let state = (proptest::collection::vec(any::<bool>(), SLOTS), rows());
    let others = (
        0u128..100,
        prop_oneof![Just(0u64), 900u64..1_000],
        prop_oneof![Just(50u64), Just(5_000)],
    );
    let epochs = proptest::collection::vec(rows(), 1..4);
    (
        rules,
        owner,
        blocks(),
        blocks(),
        commitments,
        stake,
        state,
        others,
        epochs,
    )
        .prop_map(
            |(
                rules,
                owner,
                last_update,
                registered,
                commitments,
                stake,
                state,
                others,
                weights,
            )| {
                let (low, high, steepness) = rules.5;
                World {
                    params: Params {
                        version: if rules.0 {
                            Version::Three
                        } else {
                            Version::Two
                        },
                        liquid_alpha: rules.1.then_some(LiquidAlpha {
                            low: low.min(high),
                            high: low.max(high),
                            steepness,
                        }),
                        kappa: rules.2,
                        bonds_penalty: rules.3,
                        bonds_moving_average: rules.4,
                        max_validators: rules.6,
                        absent_bonds: AbsentBonds::Drop,
                        owner,
                        stake_threshold: others.0,
                        activity_cutoff: others.2,
                        ..Params::default()
                    },
                    stake,
                    last_update,
                    registered,
                    weights,
                    commitments,
                    state: State {
                        permits: state.0,
                        bonds: state.1,
                    },
                    last_step_block: others.1,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_number_equals_that_of_the_literal_reading(mut world in world()) {
        let bits = |values: &[Q32]| values.iter().map(|v| i128::from(v.to_bits())).collect::<Vec<_>>();
        for weights in &world.weights {
            let epoch = Epoch {
                block: 1_000,
                last_step_block: world.last_step_block,
                stake: &world.stake,
                last_update: &world.last_update,
                registered: &world.registered,
                weights,
                commitments: &world.commitments,
            };
            let expected = reference(&world.params, &epoch, &world.state);
            let outcome = settle(&world.params, &epoch, &mut world.state).unwrap();
            prop_assert_eq!(bits(&outcome.consensus), expected.consensus);
            prop_assert_eq!(bits(&outcome.validator_trust), expected.trust);
            prop_assert_eq!(bits(&outcome.incentive), expected.incentive);
            prop_assert_eq!(bits(&outcome.dividends), expected.dividends);
            prop_assert_eq!(&outcome.combined_emission, &expected.combined);
            prop_assert_eq!(&world.state.permits, &expected.permits);
            prop_assert_eq!(&world.state.bonds, &expected.bonds);
        }
    }
}
