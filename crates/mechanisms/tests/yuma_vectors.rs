//! Yuma against the numbers of its source, bit for bit.

mod common;

use serde_json::Value;

/// Whether `ours` equals `theirs`, sixteen-bit numbers within `tolerance`.
fn agrees(field: &str, ours: &Value, theirs: &Value, tolerance: i64) -> bool {
    match (ours, theirs) {
        (Value::Array(a), Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agrees(field, a, b, tolerance))
        }
        (Value::Number(a), Value::Number(b)) => {
            let (a, b) = (a.as_i64().unwrap(), b.as_i64().unwrap());
            if field.ends_with("_u16") {
                (a - b).abs() <= tolerance
            } else {
                a == b
            }
        }
        (a, b) => a == b,
    }
}

#[test]
fn every_field_of_every_epoch_equals_the_source_bit_for_bit() {
    let Some(text) = common::vector("yuma.json") else {
        return;
    };
    let output = hallmark_mechanisms::simulate(&text).unwrap().json;
    let results: Vec<Value> = serde_json::from_str(&output).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(results.len(), cases.len());
    let mut compared = 0;
    for (case, result) in cases.iter().zip(&results) {
        let name = &case["case"]["name"];
        assert_eq!(name, &result["name"]);
        let expected = case["expect"].as_array().unwrap();
        assert_eq!(
            result["epochs"].as_array().unwrap().len(),
            expected.len(),
            "{name}"
        );
        for (epoch, (ours, theirs)) in result["epochs"]
            .as_array()
            .unwrap()
            .iter()
            .zip(expected)
            .enumerate()
        {
            for (field, theirs) in theirs.as_object().unwrap() {
                assert!(
                    agrees(field, &ours[field], theirs, 0),
                    "{name} epoch {epoch} {field}:\nours   {}\nsource {theirs}",
                    ours[field]
                );
                compared += 1;
            }
        }
    }
    assert!(compared > 500, "{compared} fields");
}
