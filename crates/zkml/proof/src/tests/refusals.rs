//! Every refusal of the verifier is a [`Check`], which `mutation` leaves out one at a time: read off the source.

use crate::checks::Check;

/// The source of everything that a proof's bytes reach, up to its tests.
const SOURCES: [(&str, &str); 15] = [
    ("verifier.rs", include_str!("../verifier.rs")),
    ("messages.rs", include_str!("../messages.rs")),
    ("binding.rs", include_str!("../binding.rs")),
    ("logup.rs", include_str!("../logup.rs")),
    ("sumcheck.rs", include_str!("../sumcheck.rs")),
    ("transcript.rs", include_str!("../transcript.rs")),
    ("proof.rs", include_str!("../proof.rs")),
    ("statement.rs", include_str!("../statement.rs")),
    ("commitment.rs", include_str!("../commitment.rs")),
    ("codec.rs", include_str!("../opening/codec.rs")),
    (
        "masked_codec.rs",
        include_str!("../opening/masked_codec.rs"),
    ),
    ("plain.rs", include_str!("../opening/plain.rs")),
    ("hiding.rs", include_str!("../opening/hiding.rs")),
    ("masked.rs", include_str!("../opening/masked.rs")),
    ("products.rs", include_str!("../opening/products.rs")),
];

/// Refusals that are no [`Check`]: without them there is nothing to go on with.
const STRUCTURAL: [(&str, &str, &str); 11] = [
    (
        "verifier.rs",
        "None => return Err(FormatError::Runs.into()),",
        "a batch of no run has no mode",
    ),
    (
        "verifier.rs",
        "std::panic::catch_unwind(AssertUnwindSafe(check)).unwrap_or(Err(VerifyError::Internal))",
        "a defect is a refusal",
    ),
    (
        "verifier.rs",
        "Err(e) => ensure(check, false, || refusal(e)),",
        "goes through the check",
    ),
    (
        "verifier.rs",
        "let private = vk.private().ok_or(VerifyError::Mode)?;",
        "the key has no plan to verify by",
    ),
    (
        "verifier.rs",
        "_ => Err(NotZero),",
        "the decoder reads the opening of the mode",
    ),
    (
        "binding.rs",
        "let inverse = r.try_inverse().ok_or(VerifyError::ZeroChallenge)?;",
        "zero has no inverse",
    ),
    (
        "sumcheck.rs",
        "let inverses = inverses(point).ok_or(SumcheckError::ZeroCoordinate)?;",
        "zero has no inverse",
    ),
    (
        "transcript.rs",
        "let value = *self.elements.next().ok_or(Exhausted)?;",
        "no message is left",
    ),
    (
        "codec.rs",
        ".ok_or(FormatError::Truncated)?;",
        "no byte is left",
    ),
    (
        "hiding.rs",
        "let (weights, claim) = joined.ok_or(NotZero)?;",
        "a node of the products has no Lagrange coefficients",
    ),
    (
        "products.rs",
        "return None;",
        "a node of the products has no Lagrange coefficients",
    ),
];

#[test]
fn every_refusal_in_the_verifiers_source_is_a_check_or_listed_with_its_reason() {
    let mut found = Vec::new();
    for (file, source) in SOURCES {
        let source = source.split("\nmod tests").next().unwrap();
        for line in source.lines().map(str::trim) {
            let refuses = ["Err(", "ok_or", "return false", "return None", "panic!"];
            // `Ok(Err(digest))` tells two kinds of inputs apart.
            let refuses =
                refuses.iter().any(|word| line.contains(word)) && !line.starts_with("Ok(");
            // A scheme is made with the key, not by a proof.
            let of_keys = file == "hiding.rs" && line == "return None;";
            if refuses && !of_keys && !line.starts_with("//") {
                found.push((file, line));
            }
        }
    }
    let listed = STRUCTURAL.map(|(file, line, _)| (file, line));
    assert_eq!(found, listed);
    // And every check is asked for somewhere.
    let all: String = SOURCES.iter().map(|(_, source)| *source).collect();
    for check in Check::ALL {
        assert!(all.contains(&format!("Check::{check:?}")), "{check:?}");
    }
}
