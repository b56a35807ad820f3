//! The simulation as a command.

use std::process::{Command, Output};

fn simulate(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_simulate"))
        .args(arguments)
        .output();
    output.expect("the command runs")
}

fn lines(output: &Output) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn fifty_seeds_keep_every_invariant() {
    let output = simulate(&["--seeds", "50"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let lines = lines(&output);
    assert_eq!(lines.len(), 50);
    for (seed, line) in lines.iter().enumerate() {
        println!("{line}");
        assert!(line.starts_with(&format!("seed {seed}: ")), "{line}");
    }
}

#[test]
fn the_same_seed_gives_the_same_history_and_another_seed_another() {
    // The same plan, of two victims.
    let [first, again, other] =
        ["4", "4", "16"].map(|seed| lines(&simulate(&["--from", seed, "--seeds", "1", "--json"])));
    assert_eq!(first.len(), 1);
    assert_eq!(first, again);
    let history = |lines: &[String]| {
        lines[0]
            .split("\"history\":")
            .nth(1)
            .map(|rest| rest.split(',').next().map(str::to_owned))
    };
    assert_ne!(history(&first), history(&other));
}

#[test]
fn a_seed_that_fails_is_named_with_the_command_that_repeats_it() {
    // No run is done in a second of its clock.
    let output = simulate(&["--from", "7", "--seeds", "3", "--deadline", "1"]);
    assert!(!output.status.success());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("failed: "), "{errors}");
    assert!(errors.contains("again with: simulate --from "), "{errors}");
}
