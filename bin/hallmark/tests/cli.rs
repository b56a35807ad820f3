//! The command line without a network: exit codes, errors, the zk commands end to end.

use serde_json::{Value, json};
use std::process::{Command, Output};

fn hallmark(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(args)
        .env_remove("HALLMARK_SPEC")
        .output()
        .expect("hallmark runs")
}

fn ok(args: &[&str]) -> Value {
    let output = hallmark(&[args, &["--json"]].concat());
    assert!(
        output.status.success(),
        "{args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// The error of a command that must fail with exit code 1.
fn refused(args: &[&str]) -> String {
    let output = hallmark(args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
    assert!(error.starts_with("error: "), "{error}");
    assert!(!error.contains("panicked"), "{error}");
    error
}

const ASSETS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets");

#[test]
fn bad_usage_exits_with_two_and_help_with_zero() {
    assert_eq!(hallmark(&["nonsense"]).status.code(), Some(2));
    assert_eq!(hallmark(&["zk", "compile"]).status.code(), Some(2));
    assert_eq!(hallmark(&["--help"]).status.code(), Some(0));
}

#[test]
fn the_help_of_every_command_has_an_example() {
    for command in [
        &["demo"][..],
        &["demo", "topics"],
        &["zk", "compile"],
        &["zk", "accuracy"],
        &["zk", "inspect"],
        &["zk", "run"],
        &["zk", "prove"],
        &["zk", "verify"],
        &["zk", "bench"],
        &["bench", "chain"],
        &["model", "publish"],
        &["model", "list"],
        &["model", "show"],
        &["infer"],
        &["provide"],
        &["order", "show"],
        &["order", "list"],
        &["order", "open"],
        &["order", "sellers"],
        &["keys", "new"],
        &["keys", "show"],
        &["verify"],
        &["spec", "pin"],
        &["spec", "show"],
        &["topic", "simulate"],
        &["evm", "statetest"],
        &["topic", "create"],
        &["topic", "status"],
        &["topic", "join"],
        &["topic", "leave"],
        &["topic", "top-up"],
        &["topic", "retire"],
        &["topic", "stake"],
        &["topic", "submit"],
        &["topic", "fund"],
        &["topic", "advance"],
        &["topic", "rewards"],
        &["topic", "watch"],
        &["topic", "explain"],
        &["topic", "chart"],
        &["topic", "work"],
        &["node"],
        &["node", "status"],
        &["network", "init"],
        &["network", "entry"],
        &["network", "genesis"],
        &["network", "check"],
        &["network", "join"],
        &["db", "check"],
        &["export"],
        &["import"],
        &["completions"],
        &["man"],
    ] {
        let output = hallmark(&[command, &["--help"]].concat());
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let example = format!("hallmark {}", command.join(" "));
        assert!(
            text.contains("Example:") && text.contains(&example),
            "{command:?}:\n{text}"
        );
    }
}

#[test]
fn a_model_is_compiled_run_proved_and_verified() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (onnx, csv) = (
        format!("{ASSETS}/digits.onnx"),
        format!("{ASSETS}/digits.csv"),
    );
    let (model, input, proof) = (at("digits.hmk"), at("input.json"), at("proof.json"));
    let compiled = ok(&["zk", "compile", &onnx, "--calibrate", &csv, "-o", &model]);
    let report = &compiled["report"];
    for field in [
        "samples",
        "max_error",
        "mean_error",
        "output_range",
        "top1_agreement",
        "snr_db",
    ] {
        assert!(
            report[field].as_f64().is_some_and(|x| x > 0.0),
            "{field}: {report}"
        );
    }
    let (most, mean) = (&report["max_error"], &report["mean_error"]);
    assert!(mean.as_f64() <= most.as_f64());
    // The worst layer is one of those listed, and none has less signal over its noise.
    let layers = report["layers"].as_array().expect("layers");
    let noise = |layer: &Value| layer["snr_db"].as_f64().expect("decibels");
    // A layer of the file may be several of the graph, under its name.
    let worst = layers
        .iter()
        .filter(|layer| layer["name"] == report["worst"])
        .map(noise)
        .reduce(f64::min);
    let worst = worst.expect("the worst layer is listed");
    assert!(
        layers.iter().all(|layer| noise(layer) >= worst),
        "{layers:?}"
    );
    let inspected = ok(&["zk", "inspect", &model]);
    assert!(inspected["security_bits"].as_f64().expect("bits") >= 100.0);
    std::fs::write(
        &input,
        json!({ "input_data": [vec![0.25; 64]] }).to_string(),
    )
    .expect("input");
    let run = ok(&["zk", "run", &model, &input]);
    let proved = ok(&[
        "zk", "prove", &model, &input, "-o", &proof, "--mode", "public",
    ]);
    assert_eq!(proved["output_int"], run["output_int"]);
    let verified = ok(&["zk", "verify", &proof, "--model", &model]);
    assert_eq!(verified["output_int"], run["output_int"]);
    let digest = inspected["digest"].as_str().expect("a digest");
    ok(&["zk", "verify", &proof, "--digest", digest]);

    // One changed output, another model's digest, another context: refused.
    let text = std::fs::read_to_string(&proof).expect("the bundle");
    let mut bundle: Value = serde_json::from_str(&text).expect("JSON");
    let output = &mut bundle["statement"]["output"][0];
    *output = json!(output.as_i64().expect("an integer") + 1);
    // A bundle of another version is named by it, whatever else has changed.
    let old = at("old.json");
    std::fs::write(&old, r#"{"version": 1, "claims": []}"#).expect("written");
    let error = refused(&["zk", "verify", &old, "--model", &model]);
    assert!(error.contains("bundle version 1 is not"), "{error}");
    let changed = at("changed.json");
    std::fs::write(&changed, bundle.to_string()).expect("written");
    assert!(refused(&["zk", "verify", &changed, "--model", &model]).contains("refused"));
    let other = format!("0x{}", "11".repeat(32));
    assert!(refused(&["zk", "verify", &proof, "--digest", &other]).contains("another model"));

    let bench = ok(&["zk", "bench", &model, "--input", &input, "--repeat", "2"]);
    assert_eq!(bench["verified"], true);
    assert!(bench["prove_over_plain"].as_f64().expect("a ratio") > 0.0);
}

#[test]
fn accuracy_is_told_on_unseen_samples_of_either_kind() {
    let at = |name: &str| format!("{ASSETS}/{name}");
    let (digits, csv) = (at("digits.onnx"), at("digits.csv"));
    let told = ok(&["zk", "accuracy", &digits, "--calibrate", &csv]);
    assert_eq!(told["accuracy"]["samples"], 359);
    assert!(told["points_lost"].as_f64().expect("points") <= 0.5);
    assert!(told["report"]["layers"].as_array().expect("layers").len() >= 3);
    let (ids, test) = (at("lm_calibration.npz"), at("lm_test.npz"));
    // Without labels there is nothing to compare with.
    let refused = refused(&["zk", "accuracy", &at("lm.onnx"), "--calibrate", &ids]);
    assert!(refused.contains("--labels"), "{refused}");
    let percentile = ["--calibration", "percentile:99.99"];
    let told = ok(&[
        &[
            "zk",
            "accuracy",
            &at("lm.onnx"),
            "--calibrate",
            &ids,
            "--test",
            &test,
        ][..],
        &percentile,
    ]
    .concat());
    assert_eq!(told["accuracy"]["samples"], 2048);
    assert!(told["perplexity_lost"].as_f64().expect("a share") <= 0.05);
    let usage = hallmark(&[
        "zk",
        "accuracy",
        &digits,
        "--calibrate",
        &csv,
        "--calibration",
        "x",
    ]);
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn a_model_is_drawn_and_a_proof_that_does_not_fit_is_refused_early() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (onnx, csv) = (
        format!("{ASSETS}/lenet.onnx"),
        format!("{ASSETS}/digits.csv"),
    );
    let (model, picture, input) = (at("lenet.hmk"), at("lenet.svg"), at("input.json"));
    ok(&["zk", "compile", &onnx, "--calibrate", &csv, "-o", &model]);
    let inspected = ok(&["zk", "inspect", &model, "--svg", &picture]);
    let drawn = std::fs::read_to_string(&picture).expect("the picture");
    let layers = inspected["layers"].as_array().expect("layers").len();
    assert_eq!(drawn.matches("class=\"b\"").count(), layers);
    assert!(drawn.contains("lenet.hmk"));
    std::fs::write(&input, json!({ "input_data": [vec![0.5; 64]] }).to_string()).expect("input");
    let proof = at("proof.json");
    let refused = refused(&[
        "zk",
        "prove",
        &model,
        &input,
        "-o",
        &proof,
        "--memory-mb",
        "8",
    ]);
    let need = inspected["memory_mb"]
        .as_u64()
        .expect("an estimate")
        .to_string();
    assert!(
        refused.contains(&need) && refused.contains("8 MiB"),
        "{refused}"
    );
    assert!(!std::path::Path::new(&proof).exists());
    ok(&[
        "zk",
        "prove",
        &model,
        &input,
        "-o",
        &proof,
        "--memory-mb",
        "4096",
    ]);
}

/// A file of one row of numbers as NumPy writes it.
fn npy(values: &[f32]) -> Vec<u8> {
    let shape = format!("(1, {})", values.len());
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    // Magic, version and length are 10 bytes; the header ends on a multiple of 64.
    let width = (10 + header.len() + 1).next_multiple_of(64) - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend_from_slice(&u16::try_from(width).expect("short").to_le_bytes());
    bytes.extend_from_slice(format!("{header:<0$}\n", width - 1).as_bytes());
    bytes.extend(values.iter().flat_map(|x| x.to_le_bytes()));
    bytes
}

#[test]
fn a_bench_of_an_onnx_model_reports_every_figure_whatever_file_its_input_is_in() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (json_input, npy_input) = (at("x.json"), at("x.npy"));
    let text = json!({ "input_data": [vec![0.25; 64]] }).to_string();
    std::fs::write(&json_input, text).expect("written");
    std::fs::write(&npy_input, npy(&[0.25; 64])).expect("written");
    let (digits, csv) = (
        format!("{ASSETS}/digits.onnx"),
        format!("{ASSETS}/digits.csv"),
    );
    let (lm, tokens) = (
        format!("{ASSETS}/lm.onnx"),
        format!("{ASSETS}/lm_calibration.npz"),
    );
    for (model, calibrate, input) in [
        (&digits, &csv, &json_input),
        (&digits, &csv, &npy_input),
        (&lm, &tokens, &tokens),
    ] {
        let report = ok(&[
            "zk",
            "bench",
            model,
            "--calibrate",
            calibrate,
            "--input",
            input,
            "--repeat",
            "1",
        ]);
        for field in [
            "params",
            "macs",
            "lookups",
            "committed",
            "security_bits",
            "compile_ms",
            "plain_ms",
            "prove_ms",
            "prove_cpu_ms",
            "verify_ms",
            "verify_cpu_ms",
            "proof_bytes",
            "model_bytes",
            "peak_rss_mb",
            "max_abs_error",
        ] {
            assert!(
                report[field].as_f64().is_some_and(|x| x > 0.0),
                "{field}: {report}"
            );
        }
        assert!(report["security_bits"].as_f64() >= Some(100.0));
        assert_eq!(report["mode"], "private-input");
        assert_eq!(report["verified"], true);
        assert!(
            report["model"]
                .as_str()
                .is_some_and(|name| !name.is_empty())
        );
    }
}

#[cfg(unix)]
#[test]
fn a_proof_never_takes_the_place_of_its_secret() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    std::fs::write(at("x.secret"), "kept").expect("written");
    std::os::unix::fs::symlink(at("x.secret"), at("link")).expect("a link");
    let (output, link, unsaid) = (at("x.secret"), at("link"), at("./y"));
    // Refused before the model is so much as read.
    for extra in [
        vec!["-o", &output],
        vec!["-o", &output, "--batch"],
        vec!["-o", &output, "--secret", &output],
        vec!["-o", &link, "--secret", &output],
        vec!["-o", &unsaid, "--secret", &at("y")],
    ] {
        let mut args = vec![
            "zk",
            "prove",
            "no.hmk",
            "no.json",
            "--mode",
            "private-input",
        ];
        args.extend(extra.iter().copied());
        let error = refused(&args);
        assert!(error.contains("would overwrite its secret"), "{error}");
    }
    assert_eq!(std::fs::read(at("x.secret")).expect("kept"), b"kept");

    let (onnx, csv) = (
        format!("{ASSETS}/digits.onnx"),
        format!("{ASSETS}/digits.csv"),
    );
    let (model, input, proof, secret) = (at("m.hmk"), at("in.json"), at("p.json"), at("p.secret"));
    ok(&["zk", "compile", &onnx, "--calibrate", &csv, "-o", &model]);
    let sample = vec![0.5; 64];
    std::fs::write(&input, json!({ "input_data": [sample] }).to_string()).expect("input");
    let prove = [
        "zk",
        "prove",
        &model,
        &input,
        "-o",
        &proof,
        "--mode",
        "private-input",
    ];
    let mut secrets = Vec::new();
    for _ in 0..2 {
        // A secret is never written into a file that others can read already.
        if let Ok(file) = std::fs::metadata(&secret) {
            let mut open = file.permissions();
            open.set_mode(0o644);
            std::fs::set_permissions(&secret, open).expect("changed");
        }
        let proved = ok(&prove);
        let mode = std::fs::metadata(&secret).expect("a file").permissions();
        assert_eq!(mode.mode() & 0o777, 0o600);
        let check = [
            "zk", "verify", &proof, "--model", &model, "--secret", &secret,
        ];
        assert_eq!(ok(&check)["output_int"], proved["output_int"]);
        secrets.push(std::fs::read(&secret).expect("a secret"));
    }
    assert_ne!(secrets[0], secrets[1]);
    let names = std::fs::read_dir(dir.path()).expect("a folder");
    let left =
        names.filter(|n| n.as_ref().expect("an entry").path().extension() == Some("part".as_ref()));
    assert_eq!(left.count(), 0);
}

#[test]
fn a_reader_that_goes_away_is_no_fault() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("hallmark runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    #[cfg(target_os = "linux")]
    {
        // What nobody can ever read is a fault.
        let full = std::fs::OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("a device");
        let output = Command::new(env!("CARGO_BIN_EXE_hallmark"))
            .args(["completions", "bash"])
            .stdout(full)
            .output()
            .expect("hallmark runs");
        assert_eq!(output.status.code(), Some(1));
    }
}

#[test]
fn several_runs_are_proven_at_once_and_opened_by_their_secrets() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (onnx, csv) = (
        format!("{ASSETS}/digits.onnx"),
        format!("{ASSETS}/digits.csv"),
    );
    let (model, inputs, proof) = (at("digits.hmk"), at("inputs.json"), at("proof.json"));
    ok(&["zk", "compile", &onnx, "--calibrate", &csv, "-o", &model]);
    let samples: Vec<Vec<f64>> = (0..3).map(|i| vec![0.25 * f64::from(i); 64]).collect();
    std::fs::write(&inputs, json!({ "input_data": samples }).to_string()).expect("inputs");
    // A secret is never written into a file that others can read already.
    std::fs::write(at("proof.secret"), "somebody's").expect("written");
    for mode in ["public", "private-input"] {
        let proved = ok(&[
            "zk", "prove", &model, &inputs, "-o", &proof, "--mode", mode, "--batch",
        ]);
        assert_eq!(proved["runs"], 3);
        let secret = at("proof.secret");
        #[cfg(unix)]
        if mode == "private-input" {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::metadata(&secret)
                .expect("a file")
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0, "{mode:o}");
        }
        let mut check = vec!["zk", "verify", &proof, "--model", &model];
        if mode == "private-input" {
            let sealed = ok(&check);
            assert_eq!(sealed["outputs_int"], json!([null, null, null]));
            check.extend(["--secret", &secret]);
        }
        let verified = ok(&check);
        assert_eq!(verified["mode"], mode);
        assert_eq!(verified["outputs_int"], proved["outputs_int"]);
    }
    // Two runs changed places: the proof is of neither.
    let text = std::fs::read_to_string(&proof).expect("the bundle");
    let mut bundle: Value = serde_json::from_str(&text).expect("JSON");
    let runs = bundle["runs"].as_array_mut().expect("runs");
    runs.swap(0, 1);
    std::fs::write(&proof, bundle.to_string()).expect("written");
    assert!(refused(&["zk", "verify", &proof, "--model", &model]).contains("refused"));
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_name() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let csv = format!("{ASSETS}/digits.csv");
    let onnx = std::fs::read(format!("{ASSETS}/digits.onnx")).expect("the model");
    std::fs::write(at("truncated.onnx"), &onnx[..onnx.len() / 2]).expect("written");
    let error = refused(&[
        "zk",
        "compile",
        &at("truncated.onnx"),
        "--calibrate",
        &csv,
        "-o",
        &at("x.hmk"),
    ]);
    assert!(error.contains("truncated.onnx"), "{error}");

    // Two gigabytes of nothing: refused by size, not read.
    let large = std::fs::File::create(at("large.onnx")).expect("a file");
    large.set_len(2 << 30).expect("a sparse file");
    let error = refused(&[
        "zk",
        "compile",
        &at("large.onnx"),
        "--calibrate",
        &csv,
        "-o",
        &at("x.hmk"),
    ]);
    assert!(error.contains("large.onnx"), "{error}");

    assert!(refused(&["zk", "inspect", &at("absent.hmk")]).contains("absent.hmk"));
    std::fs::write(at("garbage.hmk"), b"garbage").expect("written");
    assert!(refused(&["zk", "inspect", &at("garbage.hmk")]).contains("garbage.hmk"));
    assert!(refused(&["keys", "show", "--key", &at("garbage.hmk")]).contains("garbage.hmk"));
    std::fs::write(at("spec.json"), "{}").expect("written");
    assert!(
        refused(&["verify", &at("garbage.hmk"), "--spec", &at("spec.json")]).contains("spec.json")
    );
}

#[test]
fn keys_are_made_once_and_opened_with_their_password_only() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let made = ok(&["keys", "new", &at("dev.key"), "--dev"]);
    let shown = ok(&["keys", "show", "--key", &at("dev.key")]);
    assert_eq!(made["address"], shown["address"]);
    assert!(refused(&["keys", "new", &at("dev.key"), "--dev"]).contains("already"));

    std::fs::write(at("password"), "correct horse\n").expect("written");
    std::fs::write(at("wrong"), "battery staple\n").expect("written");
    let made = ok(&[
        "keys",
        "new",
        &at("safe.key"),
        "--password-file",
        &at("password"),
    ]);
    let shown = ok(&[
        "keys",
        "show",
        "--key",
        &at("safe.key"),
        "--password-file",
        &at("password"),
    ]);
    assert_eq!(made["address"], shown["address"]);
    let error = refused(&[
        "keys",
        "show",
        "--key",
        &at("safe.key"),
        "--password-file",
        &at("wrong"),
    ]);
    assert!(error.contains("wrong password"), "{error}");
}

#[test]
fn a_node_says_what_it_cannot_start_with() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let (spec, seeds) = hallmark_node::devnet::spec(1, &[]);
    std::fs::write(at("spec.json"), spec.to_json()).expect("written");
    std::fs::write(at("good.key"), alloy_primitives::hex::encode(seeds[0])).expect("written");
    std::fs::write(at("stranger.key"), "22".repeat(32)).expect("written");
    std::fs::write(at("bad.key"), "not hex").expect("written");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").to_string();
    let run = |key: &str, listen: &str, rpc: &str| {
        refused(&[
            "node",
            "--spec",
            &at("spec.json"),
            "--validator-key",
            &at(key),
            "--home",
            &at("home"),
            "--listen",
            listen,
            "--rpc",
            rpc,
        ])
    };
    assert!(run("bad.key", "127.0.0.1:0", "127.0.0.1:0").contains("bad.key"));
    let stranger = run("stranger.key", "127.0.0.1:0", "127.0.0.1:0");
    assert!(stranger.contains("validator"), "{stranger}");
    let busy = run("good.key", "127.0.0.1:0", &port);
    assert!(busy.contains(&port), "{busy}");
}

#[test]
fn without_a_spec_there_is_nothing_to_trust() {
    let dir = tempfile::tempdir().expect("a folder");
    let receipt = dir.path().join("receipt.json");
    std::fs::write(&receipt, "{}").expect("written");
    let output = Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(["verify", receipt.to_str().expect("UTF-8")])
        .env_remove("HALLMARK_SPEC")
        .env("HALLMARK_HOME", dir.path())
        .output()
        .expect("hallmark runs");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("hallmark spec pin"));
}

#[test]
fn a_topic_is_simulated_from_a_file_and_its_errors_name_the_field() {
    let dir = tempfile::tempdir().expect("a folder");
    let file = dir.path().join("cases.json");
    let path = file.to_str().expect("UTF-8");
    let case = |weight: u32| {
        json!([{
            "name": "one validator, one worker",
            "stake": [1, 0],
            "permits": [true, false],
            "epochs": [{
                "block": 10, "last_step_block": 0, "last_update": [9, 9], "reg_block": [0, 0],
                "weights": [[[1, weight]], []],
            }],
        }])
    };
    std::fs::write(&file, case(7).to_string()).expect("written");
    let result = ok(&["topic", "simulate", path]);
    assert_eq!(result[0]["name"], "one validator, one worker");
    assert_eq!(result[0]["epochs"][0]["incentive_u16"], json!([0, 65_535]));
    std::fs::write(&file, case(65_536).to_string()).expect("written");
    let error = refused(&["topic", "simulate", path]);
    assert!(error.contains("cases.json: case 0"), "{error}");
    assert!(error.contains("epochs[0].weights[0][0][1]"), "{error}");
}

/// One account sends 5 base units to another, at base fee 10 and price 12; the root was computed
/// by another program.
fn state_test(fork: &str) -> Value {
    let sender = "0xa94f5374fce5edbc8e2a8697c15331677e6ebf0b";
    json!({"a transfer": {
        "env": {
            "currentCoinbase": "0x00000000000000000000000000000000000000c0",
            "currentNumber": "0x01", "currentTimestamp": "0x3e8", "currentGasLimit": "0x1000000",
            "currentRandom": format!("{:#066x}", 0), "currentBaseFee": "0x0a",
        },
        "pre": {sender: {"nonce": "0x00", "balance": "0x3b9aca00", "code": "0x", "storage": {}}},
        "transaction": {
            "nonce": "0x00", "gasPrice": "0x0c", "data": ["0x"], "gasLimit": ["0x5208"],
            "to": "0x00000000000000000000000000000000000000b0", "value": ["0x05"],
            "sender": sender,
        },
        "post": {fork: [{
            "hash": "0x0238b283c3888a0eedfed2d8f7cd520767af0dc43bbc2267679051027cac7533",
            "logs": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
            "indexes": {"data": 0, "gas": 0, "value": 0},
        }]},
    }})
}

#[test]
fn state_tests_are_counted_by_file_and_a_failing_one_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().to_str().expect("UTF-8");
    let write = |name: &str, test: &Value| {
        std::fs::write(dir.path().join(name), test.to_string()).expect("written");
    };
    write("good.json", &state_test("Osaka"));
    write("old.json", &state_test("Berlin"));
    let result = ok(&["evm", "statetest", path]);
    assert_eq!(
        [&result["passed"], &result["failed"], &result["skipped"]],
        [1, 0, 1]
    );
    assert_eq!(result["forks"], json!(["Osaka"]));
    assert_eq!(
        result["files"][1]["skipped"][0],
        json!({"name": "a transfer Berlin d=0 g=0 v=0", "reason": "fork Berlin is not enabled"})
    );

    let mut wrong = state_test("Osaka");
    wrong["a transfer"]["transaction"]["value"] = json!(["0x06"]);
    write("wrong.json", &wrong);
    let output = hallmark(&["evm", "statetest", path, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let result: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!([&result["passed"], &result["failed"]], [1, 1]);
    assert_eq!(result["failing"][0]["name"], "a transfer Osaka d=0 g=0 v=0");
    let text = String::from_utf8_lossy(&hallmark(&["evm", "statetest", path]).stdout).into_owned();
    assert!(text.contains("1 passed, 1 failed, 1 skipped"), "{text}");
    assert!(text.contains("wrong.json"), "{text}");

    let error = refused(&["evm", "statetest", path, "--fork", "Berlin"]);
    assert!(error.contains("not one of Paris, Shanghai"), "{error}");
    let error = refused(&["evm", "statetest", path, "--fork", "Cancun"]);
    assert!(error.contains("nothing was tested"), "{error}");
    refused(&["evm", "statetest", "no-such-folder"]);
}
