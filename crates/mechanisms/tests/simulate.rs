//! The simulator: what comes out, and what it says of files that are wrong.

use hallmark_mechanisms::simulate;
use serde_json::{Value, json};

fn run(input: &Value) -> Vec<Value> {
    let simulation = simulate(&input.to_string()).unwrap();
    assert_eq!(simulation.faults, vec![]);
    serde_json::from_str(&simulation.json).unwrap()
}

/// What is said of the first case that is wrong.
fn refused(input: &str) -> String {
    match simulate(input) {
        Ok(simulation) => simulation.faults[0].to_string(),
        Err(error) => error.to_string(),
    }
}

fn yuma_case() -> Value {
    json!({
        "name": "case",
        "params": { "max_validators": 2, "tempo": 10 },
        "stake": [60, 40, 0, 0],
        "permits": [true, true, false, false],
        "epochs": [{
            "block": 10, "last_step_block": 0,
            "last_update": [9, 9, 9, 9], "reg_block": [0, 0, 0, 0],
            "weights": [[[2, 3], [3, 1]], [[2, 1], [3, 1]], [], []],
        }],
    })
}

#[test]
fn a_case_a_list_and_a_case_beside_its_expectation_give_the_same() {
    let case = yuma_case();
    let one = run(&case);
    assert_eq!(run(&json!([case])), one);
    assert_eq!(run(&json!([{ "case": case, "expect": [1, 2] }])), one);
    let mut with_expectation = case.clone();
    with_expectation["expect"] = json!([{ "active": [] }]);
    assert_eq!(run(&with_expectation), one);
    assert_eq!(one.len(), 1);
    assert_eq!(one[0]["name"], "case");
    assert_eq!(one[0]["mechanism"], "yuma");
    assert_eq!(run(&json!([])), Vec::<Value>::new());
}

#[test]
fn every_field_of_a_yuma_epoch_is_there() {
    let epoch = &run(&yuma_case())[0]["epochs"][0];
    for field in [
        "active",
        "bonds_u16",
        "combined_emission",
        "consensus_bits",
        "consensus_u16",
        "dividends_bits",
        "dividends_u16",
        "incentive_bits",
        "incentive_u16",
        "new_permits",
        "server_emission",
        "stake_weight_u16",
        "validator_emission",
        "validator_trust_u16",
        "shares",
    ] {
        assert_eq!(epoch[field].as_array().map(Vec::len), Some(4), "{field}");
    }
}

#[test]
fn stakes_of_any_size_may_be_numbers_with_an_exponent_or_text() {
    let small = run(&yuma_case());
    let with_stake = |stake: &str| {
        let text = yuma_case().to_string().replace("[60,40,0,0]", stake);
        serde_json::from_str::<Vec<Value>>(&simulate(&text).unwrap().json).unwrap()
    };
    assert_eq!(with_stake("[6e26, 4E+26, 0, 0]"), small);
    assert_eq!(
        with_stake("[600000000000000000000000000, \"4e26\", 0, 0]"),
        small
    );
}

#[test]
fn bonds_reset_and_commitments_of_an_epoch_are_read() {
    let mut case = yuma_case();
    let epoch = case["epochs"][0].clone();
    let mut second = epoch.clone();
    second["reset_bonds"] = json!([2]);
    second["weights"] = json!([[[3, 1]], [[3, 1]], [], []]);
    case["epochs"] = json!([epoch, second]);
    let bonds = &run(&case)[0]["epochs"][1]["bonds_u16"];
    assert_eq!(
        bonds[0]
            .as_array()
            .unwrap()
            .iter()
            .filter(|b| b[0] == 2)
            .count(),
        0
    );

    let mut case = yuma_case();
    case["epochs"][0]["reg_block"] = json!([0, 0, 0, 5]);
    case["epochs"][0]["commits"] = json!([4, 4, null, null]);
    assert_eq!(
        run(&case)[0]["epochs"][0]["incentive_u16"],
        json!([0, 0, 65_535, 0])
    );
}

#[test]
fn a_synthesis_case_runs_from_truth_and_from_losses_alike() {
    let case = json!({
        "mechanism": "synthesis", "name": "weather",
        "inferers": 3, "forecasters": 1, "reputers": 2,
        "epochs": [{
            "inferences": [1.0, 1.25, null],
            "forecasts": [[-1, "-0.5", null]],
            "reports": [{ "stake": 3, "truth": 1.125 }, { "stake": 1, "truth": 1.25 }],
        }],
    });
    let result = run(&case);
    let epoch = &result[0]["epochs"][0];
    assert_eq!(epoch["network_inference"], 1.125);
    assert_eq!(
        epoch["shares"]
            .as_array()
            .unwrap()
            .iter()
            .map(|s| s.as_u64().unwrap())
            .sum::<u64>(),
        1_000_000_000
    );
    assert_eq!(
        epoch["layout"].as_array().unwrap().len(),
        epoch["values"].as_array().unwrap().len()
    );
    assert_eq!(epoch["values"][2], Value::Null);

    // The second reputer's losses, written out: log10((v - 1.25)^2), at least log10(2^-64).
    let mut explicit = case.clone();
    let losses: Vec<Value> = epoch["values"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| {
            v.as_f64().map_or(Value::Null, |v| {
                json!((v - 1.25).powi(2).max(2f64.powi(-64)).log10())
            })
        })
        .collect();
    explicit["epochs"][0]["reports"][1] = json!({ "stake": 1, "losses": losses });
    let other = run(&explicit);
    for (a, b) in epoch["losses"]
        .as_array()
        .unwrap()
        .iter()
        .zip(other[0]["epochs"][0]["losses"].as_array().unwrap())
    {
        assert!((a.as_f64().unwrap_or(0.0) - b.as_f64().unwrap_or(0.0)).abs() < 1e-12);
    }
}

#[test]
fn a_synthesis_case_continues_from_a_given_state() {
    let case = json!({
        "mechanism": "synthesis", "inferers": 2, "forecasters": 0, "reputers": 1,
        "state": { "regrets": [1.0, -1.0], "network_loss": -1 },
        "epochs": [{ "inferences": [0, 10] }],
    });
    let epoch = &run(&case)[0]["epochs"][0];
    assert!(epoch["network_inference"].as_f64().unwrap() < 1.0);
    assert_eq!(epoch["shares"], json!([0, 0, 0]));
}

#[test]
fn a_score_case_pays_only_what_is_proven() {
    let case = json!({
        "mechanism": "score", "params": { "temperature": 0.1 },
        "epochs": [{ "submissions": [
            { "metric": 0.9, "level": "proven" },
            { "metric": 0.99, "level": "exact" },
            null,
            { "metric": "0.8", "level": "proven" },
        ] }, { "submissions": [] }],
    });
    let epochs = &run(&case)[0]["epochs"];
    assert_eq!(epochs[0]["shares"], json!([731_058_579, 0, 0, 268_941_421]));
    assert_eq!(epochs[1]["shares"], json!([0, 0, 0, 0]));
    assert_eq!(epochs[1]["smoothed"], json!([0.9, 0, 0, 0.8]));
}

#[test]
fn errors_name_the_case_and_the_field() {
    let broken = |pointer: &str, value: Value| {
        let mut case = yuma_case();
        *case.pointer_mut(pointer).unwrap() = value;
        refused(&json!([yuma_case(), case]).to_string())
    };
    for (pointer, value, expected) in [
        (
            "/stake/1",
            json!(-2),
            "case 1 (case): stake[1]: -2: not a whole number",
        ),
        (
            "/stake/1",
            json!(1.5),
            "case 1 (case): stake[1]: 1.5: not a whole number",
        ),
        (
            "/stake/1",
            json!("NaN"),
            "case 1 (case): stake[1]: \"NaN\": not a whole number",
        ),
        (
            "/epochs/0/weights/1/0/1",
            json!(65_536),
            "case 1 (case): epochs[0].weights[1][0][1]: invalid value: integer `65536`",
        ),
        (
            "/epochs/0/weights/1/0/1",
            json!(-1),
            "case 1 (case): epochs[0].weights[1][0][1]: invalid value: integer `-1`",
        ),
        (
            "/epochs/0/weights/0/1/0",
            json!(2),
            "case 1 (case): epochs[0].weights[0]: weights of slot 0 name worker 2 twice",
        ),
        (
            "/epochs/0/last_update",
            json!([1]),
            "case 1 (case): epochs[0].last_update: last_update has 1 entries for 4 slots",
        ),
        (
            "/epochs/0/reg_block",
            json!([1]),
            "case 1 (case): epochs[0].reg_block: ",
        ),
        (
            "/permits",
            json!([true]),
            "case 1 (case): permits: permits has 1 entries for 4 slots",
        ),
        (
            "/params/max_validators",
            json!("x"),
            "case 1 (case): params.max_validators: invalid type",
        ),
        (
            "/params",
            json!({ "kapa": 1 }),
            "case 1 (case): params.kapa: unknown field",
        ),
        ("/name", json!(7), "case 1: name: invalid type"),
    ] {
        let message = broken(pointer, value);
        assert!(
            message.starts_with(expected),
            "{message}\ninstead of\n{expected}"
        );
    }
}

#[test]
fn errors_of_the_other_shapes_name_the_field_too() {
    for (input, expected) in [
        (
            r#"{"mechanism": "chess"}"#,
            "case 0: mechanism: `chess` is not one of yuma, synthesis, score",
        ),
        (
            r#"{"mechanism": "synthesis", "forecasters": 0, "reputers": 0, "epochs": []}"#,
            "case 0: .: missing field `inferers`",
        ),
        (
            r#"{"mechanism": "synthesis", "inferers": 1, "forecasters": 0, "reputers": 0, "epochs": [{"inferences": [1, 2]}]}"#,
            "case 0: epochs[0].inferences: inferences has 2 entries for 1",
        ),
        (
            r#"{"mechanism": "synthesis", "inferers": 1, "forecasters": 0, "reputers": 0, "epochs": [{"inferences": ["1e30"]}]}"#,
            "case 0: epochs[0].inferences[0]: \"1e30\": outside -2^63 ..= 2^63",
        ),
        (
            r#"{"mechanism": "synthesis", "inferers": 60000, "forecasters": 0, "reputers": 0, "epochs": []}"#,
            "case 0: inferers: 60000 workers: at most 1024",
        ),
        (
            r#"{"mechanism": "synthesis", "inferers": 2, "forecasters": 0, "reputers": 0, "state": {"regrets": [1]}, "epochs": []}"#,
            "case 0: state.regrets: 1 entries for 2",
        ),
        (
            r#"{"mechanism": "score", "epochs": [{"submissions": [{"metric": 1, "level": "sworn"}]}]}"#,
            "case 0: epochs[0].submissions[0].level: unknown variant `sworn`",
        ),
        ("", "not a case or a list of cases: EOF"),
        ("[1]", "case 0: "),
        ("{\"stake\": [1]", "not a case or a list of cases: EOF"),
        (
            "[] []",
            "not a case or a list of cases: trailing characters",
        ),
    ] {
        let message = refused(input);
        assert!(
            message.starts_with(expected),
            "{message}\ninstead of\n{expected}"
        );
    }
}

#[test]
fn a_case_with_a_fault_takes_no_result_from_the_others() {
    let mut bad = yuma_case();
    bad["name"] = json!("bad");
    bad["stake"] = json!([1, 2]);
    let simulation = simulate(&json!([yuma_case(), bad, yuma_case()]).to_string()).unwrap();
    let results: Vec<Value> = serde_json::from_str(&simulation.json).unwrap();
    assert_eq!(results.len(), 3);
    assert_eq!(results[0], run(&yuma_case())[0]);
    assert_eq!(results[2], results[0]);
    let fault = "epochs[0].last_update: last_update has 4 entries for 2 slots";
    assert_eq!(results[1], json!({ "name": "bad", "error": fault }));
    let faults: Vec<_> = simulation.faults.iter().map(ToString::to_string).collect();
    assert_eq!(faults, [format!("case 1 (bad): {fault}")]);
    // A case that has no readable name has none there.
    let simulation = simulate(&json!([yuma_case(), 5]).to_string()).unwrap();
    let results: Vec<Value> = serde_json::from_str(&simulation.json).unwrap();
    assert_eq!(results[0], run(&yuma_case())[0]);
    assert!(results[1]["name"].is_null() && results[1]["error"].is_string());
}

#[test]
fn fields_that_nobody_reads_are_listed_and_change_nothing() {
    let plain = run(&yuma_case());
    assert!(plain[0].get("ignored").is_none());
    let mut noted = yuma_case();
    noted["source"] = json!({ "by": "somebody" });
    noted["note"] = json!(["any", "thing"]);
    noted["epochs"][0]["comment"] = json!("a switch");
    let mut result = run(&noted);
    assert_eq!(result[0]["ignored"], json!(["source", "epochs[0].comment"]));
    result[0].as_object_mut().unwrap().remove("ignored");
    assert_eq!(result, plain);
    // What would change the numbers is no note.
    let mut wrong = yuma_case();
    wrong["params"]["kappa2"] = json!(1);
    assert!(refused(&wrong.to_string()).contains("params.kappa2: unknown field"));
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in ".{0,80}") {
        let _ = simulate(&text);
    }

    /// Any number, null or nesting in any place of a good file.
    #[test]
    fn no_value_in_any_place_makes_it_panic(place in 0usize..60, value in 0usize..12) {
        let values = [
            "-1", "0", "1", "65535", "65536", "1e27", "1e400", "340282366920938463463374607431768211455",
            "null", "[]", "\"x\"", "9223372036854775807",
        ];
        let synthesis = json!({
            "mechanism": "synthesis", "inferers": 2, "forecasters": 1, "reputers": 1,
            "epochs": [{ "inferences": [1, 2], "forecasts": [[3, 4]], "reports": [{ "stake": 3, "truth": 1 }] }],
        });
        let score = json!({
            "mechanism": "score", "params": { "temperature": 1 },
            "epochs": [{ "submissions": [{ "metric": 5, "level": "proven" }, { "metric": 6, "level": "proven" }] }],
        });
        for case in [yuma_case(), synthesis, score] {
            let text = case.to_string();
            // Replaces the number at that place in the text.
            let starts: Vec<usize> = text
                .char_indices()
                .zip(text.chars().skip(1))
                .filter(|((_, before), at)| at.is_ascii_digit() && !before.is_ascii_alphanumeric())
                .map(|((index, _), _)| index + 1)
                .collect();
            let start = starts[place % starts.len()];
            let end = start + text[start..].find(|c: char| !c.is_ascii_digit()).unwrap();
            let _ = simulate(&format!("{}{}{}", &text[..start], values[value], &text[end..]));
        }
    }
}
