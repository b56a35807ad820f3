//! Cheats: whatever is changed, the proof is refused.

use super::*;

of_every_profile![
    a_proof_of_another_statement_is_refused_by_name,
    a_false_output_under_its_own_digest_is_refused_by_an_equation,
    a_witness_of_another_input_is_refused_by_an_equation,
    false_lookups_are_refused,
    every_changed_value_limb_and_multiplicity_is_refused,
    a_quotient_outside_the_window_is_refused,
    a_consistent_false_activation_breaks_the_sum,
    a_permuted_relayout_is_refused,
    another_models_weights_are_refused,
    a_trace_that_does_not_fit_is_refused_by_the_prover,
];

fn is_lookup(verdict: &Result<(), VerifyError>) -> bool {
    matches!(verdict, Err(VerifyError::Lookup(_)))
}

fn a_proof_of_another_statement_is_refused_by_name(profile: Profile) {
    let world = small_of(profile);
    let other = World::with(mlp(1, &[8, 16, 10], 77), 2, profile);
    let (input, output) = (world.input(), world.output());
    let mut false_output = output.clone();
    false_output[3] ^= 1;
    let mut false_input = input.clone();
    false_input[0] ^= 1;
    let proof = &world.proof;
    assert_eq!(
        verify(world.vk(), &input, &false_output, &CONTEXT, proof),
        Err(VerifyError::WrongOutput)
    );
    assert_eq!(
        verify(world.vk(), &false_input, &output, &CONTEXT, proof),
        Err(VerifyError::WrongInput)
    );
    assert_eq!(
        verify(world.vk(), &input, &output, &[8; 32], proof),
        Err(VerifyError::WrongContext)
    );
    assert_eq!(
        verify(other.vk(), &input, &output, &CONTEXT, proof),
        Err(VerifyError::WrongModel)
    );
}

fn a_false_output_under_its_own_digest_is_refused_by_an_equation(profile: Profile) {
    let world = small_of(profile);
    let mut output = world.output();
    output[3] ^= 1;
    // The statement names the false output; the witness is the true run.
    let claim = statement(
        world.vk(),
        Inputs::Public(&world.input()),
        &output,
        &CONTEXT,
    );
    let mut witness = world.pk.witness(&world.trace).unwrap();
    let check = |witness: &Witness<'_>| {
        let proof = encode(&prove_witness(&world.pk, claim.clone(), witness).unwrap());
        verify(world.vk(), &world.input(), &output, &CONTEXT, &proof)
    };
    assert_eq!(check(&witness), Err(VerifyError::OutputMismatch));

    // A cheat that commits the false output meets the table instead.
    *witness.values.last_mut().unwrap() = &output;
    let verdict = check(&witness);
    assert!(is_lookup(&verdict), "{verdict:?}");
}

fn a_witness_of_another_input_is_refused_by_an_equation(profile: Profile) {
    let world = small_of(profile);
    let truth = world.input();
    let mut input = truth.clone();
    input[2] = (input[2] + 1) % 128;
    let other = reference::trace(&world.model, &input).unwrap();
    // The statement is the one of the true input and of the output that the cheat computed.
    let output = output_of(&world.model, &other);
    let mut witness = world.pk.witness(&other).unwrap();
    let check = |witness: &Witness<'_>| {
        let claim = statement(world.vk(), Inputs::Public(&truth), &output, &CONTEXT);
        let proof = encode(&prove_witness(&world.pk, claim, witness).unwrap());
        verify(world.vk(), &truth, &output, &CONTEXT, &proof)
    };
    assert_eq!(check(&witness), Err(VerifyError::InputMismatch));

    // Putting the true input into that witness breaks the first layer's product.
    witness.values[0] = &truth;
    let verdict = check(&witness);
    assert!(
        matches!(verdict, Err(VerifyError::Sumcheck { .. })),
        "{verdict:?}"
    );
}

fn false_lookups_are_refused(profile: Profile) {
    let world = small_of(profile);
    let y = world.vk().plan().lookups[0].value as usize;
    let refused = |verdict: Result<(), VerifyError>, what: &str| {
        assert!(is_lookup(&verdict), "{what}: {verdict:?}");
    };
    refused(
        world.cheat(|w| w.counts[0][2048] += 1),
        "wrong multiplicity",
    );
    refused(
        world.cheat(|w| w.remainders[0][0][1] ^= 1),
        "wrong remainder",
    );
    refused(
        world.cheat(|w| w.remainders[0][0][1] += 1 << 15),
        "remainder above its range",
    );
    let mut values = world.trace.values[y].clone();
    values[3] += if values[3] > 60 { -1 } else { 1 };
    refused(
        world.cheat(|w| w.values[y] = &values),
        "activation off by one",
    );
    // A multiplicity moved to where a false quotient would be does not save the false lookup.
    refused(
        world.cheat(|w| {
            w.values[y] = &values;
            let row = (0..4095).find(|&r| w.counts[0][r] > 0).unwrap();
            w.counts[0][row] -= 1;
            w.counts[0][row + 1] += 1;
        }),
        "activation off by one with its multiplicity",
    );
}

fn every_changed_value_limb_and_multiplicity_is_refused(profile: Profile) {
    let mut random = Random::of_kit(3);
    let mut read = 0;
    for seed in 0..25 {
        let world = World::with(testing::random_model(seed), seed, profile);
        for value in 0..world.trace.values.len() {
            let witness = world.pk.witness(&world.trace).unwrap();
            let mut changed = witness.values[value].to_vec();
            let at = random.between(0, changed.len() as i64 - 1) as usize;
            changed[at] += if random.between(0, 1) == 0 { 1 } else { -1 };
            let proof = world.cheat_bytes(|w| w.values[value] = &changed);
            // An element that nothing reads (outside a slice) changes no message.
            let verdict = world.verify(&proof);
            let silent = proof == world.proof;
            read += usize::from(!silent);
            let operator = world
                .model
                .graph
                .node_of(value as ValueId)
                .map(|node| &world.model.graph.nodes[node]);
            assert!(
                silent || verdict.is_err(),
                "seed {seed}, value {value}: {operator:?}"
            );
        }
        let witness = world.pk.witness(&world.trace).unwrap();
        let columns = |limbs: &[Vec<Vec<i32>>]| -> Vec<(usize, usize)> {
            limbs
                .iter()
                .enumerate()
                .flat_map(|(i, limbs)| (0..limbs.len()).map(move |limb| (i, limb)))
                .collect()
        };
        for (i, limb) in columns(&witness.remainders) {
            let verdict = world.cheat(|w| w.remainders[i][limb][0] ^= 1);
            assert!(verdict.is_err(), "seed {seed}, lookup {i}, limb {limb}");
        }
        for (i, limb) in columns(&witness.shifts) {
            let verdict = world.cheat(|w| w.shifts[i][limb][0] ^= 1);
            assert!(verdict.is_err(), "seed {seed}, shift {i}, limb {limb}");
        }
        for table in 0..witness.counts.len() {
            let row = random.between(0, witness.counts[table].len() as i64 - 1) as usize;
            let verdict = world.cheat(|w| w.counts[table][row] += 1);
            assert!(
                is_lookup(&verdict),
                "seed {seed}, table {table}: {verdict:?}"
            );
        }
    }
    assert!(read > 100, "{read} lies were told");
}

fn a_quotient_outside_the_window_is_refused(profile: Profile) {
    let world = small_of(profile);
    let v = world.vk().plan().lookups[0].input as usize;
    // The accumulator is declared far beyond the window, with a remainder that fits.
    let mut values = world.trace.values[v].clone();
    values[0] += 1 << 27;
    let verdict = world.cheat(|w| w.values[v] = &values);
    assert!(is_lookup(&verdict), "{verdict:?}");
}

fn a_consistent_false_activation_breaks_the_sum(profile: Profile) {
    // A cheat with balanced lookups: v, rem and y are a true rounding of a false accumulator.
    let world = small_of(profile);
    let lookup = world.vk().plan().lookups[0].clone();
    let mut trace = world.trace.clone();
    let v = &mut trace.values[lookup.input as usize][0];
    *v += 40_000;
    let (u, _) = crate::witness::split(*v, lookup.shift);
    trace.values[lookup.value as usize][0] = u.clamp(0, 127) as i32;
    let verdict = world.cheat_by(&trace);
    assert!(
        matches!(
            verdict,
            Err(VerifyError::Add { .. } | VerifyError::Sumcheck { .. })
        ),
        "{verdict:?}"
    );
}

fn a_permuted_relayout_is_refused(profile: Profile) {
    let mut b = Builder::new(vec![input(&[3, 5], -90, 90)]);
    let x = b.lookup(0, 1, clamp(-20, 40)).unwrap();
    let flat = b.reshape(x, shape(&[15])).unwrap();
    let world = World::with(finish(b, &[flat]), 4, profile);
    let mut trace = world.trace.clone();
    let z = &mut trace.values[flat as usize];
    let i = (1..z.len()).find(|&i| z[i] != z[0]).unwrap();
    z.swap(0, i);
    let claim = statement(
        world.vk(),
        Inputs::Public(&world.input()),
        &output_of(&world.model, &trace),
        &CONTEXT,
    );
    let witness = world.pk.witness(&trace).unwrap();
    let proof = encode(&prove_witness(&world.pk, claim, &witness).unwrap());
    let output = output_of(&world.model, &trace);
    let verdict = verify(world.vk(), &world.input(), &output, &CONTEXT, &proof);
    assert!(
        matches!(verdict, Err(VerifyError::Map { .. })),
        "{verdict:?}"
    );
}

fn another_models_weights_are_refused(profile: Profile) {
    let world = small_of(profile);
    let other_model = mlp(1, &[8, 16, 10], 78);
    let mut swapped = setup_with(&other_model, profile).unwrap();
    let trace = reference::trace(&other_model, &world.input()).unwrap();
    let output = output_of(&other_model, &trace);
    // Everything is computed and opened with the other weights, under the true key's statement.
    // The cheat absorbs the true root, to get through to the openings.
    swapped.vk = world.vk().clone();
    let claim = statement(
        world.vk(),
        Inputs::Public(&world.input()),
        &output,
        &CONTEXT,
    );
    let witness = swapped.witness(&trace).unwrap();
    let proof = prove_witness(&swapped, claim, &witness).unwrap();
    let verdict = verify(
        world.vk(),
        &world.input(),
        &output,
        &CONTEXT,
        &encode(&proof),
    );
    assert_eq!(verdict, Err(VerifyError::WeightOpening));
}

fn a_trace_that_does_not_fit_is_refused_by_the_prover(profile: Profile) {
    let world = small_of(profile);
    let mut trace = world.trace.clone();
    trace.values.pop();
    assert!(prove(&world.pk, &trace, &CONTEXT).is_err());
    let mut trace = world.trace.clone();
    let v = world.vk().plan().lookups[0].input as usize;
    trace.values[v][0] = i32::MAX;
    assert!(prove(&world.pk, &trace, &CONTEXT).is_err());
}
