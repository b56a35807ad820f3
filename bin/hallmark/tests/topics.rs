//! A market of intelligence through the command line alone: a topic is made from a file, programs work
//! in it, and what the chain decided is shown, explained and drawn.

use hallmark_node::devnet::{self, Devnet};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

/// A child that is killed when the test ends, however it ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

struct World {
    rpc: String,
    folder: tempfile::TempDir,
    // Stopped last.
    _devnet: Devnet,
}

impl World {
    /// One validator and the keys of its funded accounts as files.
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let devnet = Devnet::start(1, &folder.path().join("validators")).expect("a validator");
        let rpc = devnet.node(0).expect("it runs").rpc_url();
        for index in 0..devnet::FUNDED_ACCOUNTS {
            let key = format!("{:x}", devnet::account_key(index));
            std::fs::write(folder.path().join(format!("{index}.key")), key).expect("written");
        }
        Self {
            rpc,
            folder,
            _devnet: devnet,
        }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn command(&self, key: Option<usize>, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
        command
            .arg("topic")
            .args(args)
            .arg("--json")
            .env("HALLMARK_RPC", &self.rpc)
            .env("HALLMARK_TOPIC_SECRETS", self.path("secrets"))
            .env_remove("HALLMARK_KEY");
        if let Some(index) = key {
            command.env("HALLMARK_KEY", self.path(&format!("{index}.key")));
        }
        command
    }

    fn run(&self, key: Option<usize>, args: &[&str]) -> Output {
        self.command(key, args).output().expect("hallmark runs")
    }

    /// The JSON of a command that must succeed.
    fn ok(&self, key: Option<usize>, args: &[&str]) -> Value {
        let output = self.run(key, args);
        assert!(
            output.status.success(),
            "{args:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    /// The error of a command that must fail.
    fn refused(&self, key: Option<usize>, args: &[&str]) -> String {
        let output = self.run(key, args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let error: Value = serde_json::from_slice(&output.stderr).expect("an error as JSON");
        error["error"].as_str().expect("a text").to_owned()
    }

    /// A program at work; its events go to a file.
    fn work(&self, key: usize, role: &str, line: &str, epochs: &str) -> Process {
        let script = self.path(&format!("{key}.sh"));
        std::fs::write(&script, format!("while read q; do echo '{line}'; done\n"))
            .expect("written");
        let log = std::fs::File::create(self.path(&format!("{key}.log"))).expect("a log");
        let exec = format!("sh {script}");
        let args = [
            "work",
            "--topic",
            "1",
            "--role",
            role,
            "--exec",
            &exec,
            "--epochs",
            epochs,
            "--stake",
            "100",
            "--max-bond",
            "10000",
        ];
        let child = self
            .command(Some(key), &args)
            .stdout(Stdio::from(log))
            .spawn()
            .expect("hallmark runs");
        Process(child)
    }

    /// The digits model as a file, published by account `key`; the file's path.
    fn model(&self, key: usize) -> String {
        let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets");
        let file = self.path("digits.hmk");
        let compiled = self.hallmark(
            None,
            &[
                "zk",
                "compile",
                &format!("{root}/digits.onnx"),
                "--calibrate",
                &format!("{root}/digits.csv"),
                "-o",
                &file,
            ],
        );
        assert!(compiled.status.success());
        let uri = "http://127.0.0.1/";
        let published = self.hallmark(
            Some(key),
            &[
                "model", "publish", &file, "--name", "digits", "--price", "1", "--uri", uri,
            ],
        );
        let told = String::from_utf8_lossy(&published.stderr);
        assert!(published.status.success(), "{told}");
        file
    }

    fn hallmark(&self, key: Option<usize>, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
        command.args(args).env("HALLMARK_RPC", &self.rpc);
        command.env_remove("HALLMARK_KEY");
        if let Some(index) = key {
            command.env("HALLMARK_KEY", self.path(&format!("{index}.key")));
        }
        command.output().expect("hallmark runs")
    }

    /// A command that runs beside the test; its output goes to a file.
    fn beside(&self, key: usize, name: &str, args: &[&str]) -> Process {
        let log = std::fs::File::create(self.path(&format!("{name}.log"))).expect("a log");
        let err = std::fs::File::create(self.path(&format!("{name}.err"))).expect("a log");
        let mut command = self.command(Some(key), args);
        command.stdout(Stdio::from(log)).stderr(Stdio::from(err));
        Process(command.spawn().expect("hallmark runs"))
    }

    /// What a command that was started wrote; it must have ended well.
    fn ended(&self, name: &str, process: &mut Process) -> String {
        let status = process.0.wait().expect("it ends");
        let read = |ending| std::fs::read_to_string(self.path(&format!("{name}.{ending}")));
        assert!(status.success(), "{name}: {:?}", read("err"));
        read("log").expect("a log")
    }

    fn log(&self, key: usize) -> String {
        std::fs::read_to_string(self.path(&format!("{key}.log"))).unwrap_or_default()
    }
}

fn wei(value: &Value) -> u128 {
    value.as_str().expect("text").parse().expect("a number")
}

#[test]
fn programs_work_in_a_topic_and_every_share_is_explained() {
    let world = World::start();
    let file = world.path("topic.json");
    let plan = json!({
        "title": "a number near twenty",
        "mechanisms": [{ "kind": "synthesis" }],
        "policy": {
            "open": "3s", "sealed": "4s", "lag": "4s", "reveal": "4s", "minBond": "10",
            "maxWorkers": 4, "valueMin": 0, "valueMax": 100,
        },
    });
    std::fs::write(&file, plan.to_string()).expect("written");
    let created = world.ok(Some(0), &["create", &file]);
    assert_eq!(created["topic"], "1");
    assert_eq!(created["policy"]["openMs"], 3000);
    world.ok(Some(0), &["fund", "1", "1000"]);
    assert_eq!(
        world.ok(None, &["status"])[0]["title"],
        "a number near twenty"
    );
    assert!(
        world
            .refused(None, &["status", "9"])
            .contains("UnknownTopic")
    );
    let no_slot = world.refused(Some(5), &["submit", "1", "--value", "3"]);
    assert!(no_slot.contains("hallmark topic join 1"), "{no_slot}");
    let no_yuma = world.refused(
        Some(5),
        &[
            "work",
            "--topic",
            "1",
            "--role",
            "validator",
            "--exec",
            "true",
        ],
    );
    assert!(no_yuma.contains("no mechanism yuma"), "{no_yuma}");

    let mut programs = [
        world.work(1, "worker", r#"{"value": 20.25}"#, "3"),
        world.work(2, "worker", r#"{"value": "19.5"}"#, "3"),
        world.work(3, "worker", "no JSON at all", "3"),
        world.work(4, "reputer", r#"{"truth": 20}"#, "3"),
        world.work(
            5,
            "forecaster",
            r#"{"losses": {"0": -1, "1": -1, "2": -1}}"#,
            "3",
        ),
    ];
    let watched = world.run(None, &["watch", "1", "--from", "0", "--until-epoch", "3"]);
    assert!(watched.status.success());
    for program in &mut programs {
        let status = program.0.wait().expect("it ends by itself");
        assert!(status.success());
    }
    let events = String::from_utf8(watched.stdout).expect("text");
    for event in [
        "registered",
        "opened",
        "committed",
        "revealed",
        "inferred",
        "paid",
    ] {
        assert!(
            events.contains(&format!("\"{event}\"")),
            "{event}: {events}"
        );
    }
    assert!(world.log(3).contains("not an answer"), "{}", world.log(3));
    assert!(world.log(1).contains("revealed"), "{}", world.log(1));

    let status = world.ok(None, &["status", "1"]);
    assert!(status["topic"]["epoch"].as_u64() >= Some(4), "{status}");
    let value = status["latest"]["value"].as_f64().expect("a value");
    assert!((19.5..=20.25).contains(&value), "{value}");
    let slot_of = |key: usize| {
        let operator = json!(devnet::account(key));
        let slots = status["slots"].as_array().expect("slots");
        let found = slots.iter().find(|slot| slot["operator"] == operator);
        found.expect("a slot")["index"].to_string()
    };
    let explained = world.ok(None, &["explain", "1", "3", &slot_of(1)]);
    let mechanism = &explained["mechanisms"][0];
    assert_eq!(mechanism["judged"], true, "{explained}");
    let names: Vec<&str> = mechanism["numbers"]
        .as_array()
        .expect("numbers")
        .iter()
        .filter_map(|number| number["name"].as_str())
        .collect();
    for name in ["weight in the network", "own loss", "regret", "score"] {
        assert!(names.contains(&name), "{name}: {names:?}");
    }
    let words = mechanism["words"].as_str().expect("words");
    assert!(
        words.contains("of the weight in the network's value") && words.contains("its regret"),
        "{words}"
    );
    // What the forecaster implies is the mean of the two who spoke, or one of them: it weighs, and is judged.
    let forecast = world.ok(None, &["explain", "1", "3", &slot_of(5)]);
    let mechanism = &forecast["mechanisms"][0];
    assert_eq!(mechanism["revealed"], true, "{forecast}");
    let number = |name: &str| {
        let numbers = mechanism["numbers"].as_array().expect("numbers");
        let found = numbers.iter().find(|number| number["name"] == name);
        found.and_then(|number| number["value"].as_f64())
    };
    assert!(number("weight in the network") > Some(0.0), "{forecast}");
    assert!(number("own loss") < Some(-0.5), "{forecast}");
    assert!(number("fraction of its class") == Some(1.0), "{forecast}");
    assert!(world.log(5).contains("revealed"), "{}", world.log(5));
    let silent = world.ok(None, &["explain", "1", "3", &slot_of(3)]);
    assert_eq!(silent["mechanisms"][0]["revealed"], false);
    assert!(
        world
            .refused(None, &["explain", "1", "99", "0"])
            .contains("has not opened")
    );

    let chart = world.path("topic.svg");
    world.ok(None, &["chart", "1", "-o", &chart]);
    let drawn = std::fs::read_to_string(&chart).expect("a picture");
    assert!(
        drawn.contains("network inference") && drawn.contains("rewards"),
        "{drawn}"
    );
    assert!(drawn.contains("regret: loss of the network"), "{drawn}");

    let rewards = world.ok(None, &["rewards", &devnet::account(4).to_string()]);
    assert!(wei(&rewards["free"]) > 0, "{rewards}");
    let moved = world.ok(Some(4), &["rewards", "--withdraw"]);
    assert!(wei(&moved["withdrawn"]) > 0, "{moved}");
    let staked = world.ok(Some(4), &["stake", "1", &slot_of(4), "--remove", "40"]);
    assert!(wei(&staked["stakeLeft"]) > 59 * 10u128.pow(18), "{staked}");
}

#[test]
fn an_answer_by_hand_is_committed_and_revealed() {
    let world = World::start();
    let created = world.ok(Some(0), &["create", "--kind", "yuma", "--title", "weights"]);
    assert_eq!(created["policy"]["sealedMs"], 0);
    let joined = world.ok(Some(1), &["join", "1", "--stake", "5"]);
    assert_eq!(
        (&joined["slot"], &joined["role"]),
        (&json!(0), &json!("worker"))
    );
    world.ok(Some(2), &["join", "1", "--max-bond", "100"]);
    // The chain may have opened the epoch by itself meanwhile.
    world.run(Some(0), &["advance", "1"]);
    let wrong = world.refused(Some(1), &["submit", "1", "--value", "3"]);
    assert!(wrong.contains("--weights"), "{wrong}");
    let twice = world.refused(Some(1), &["submit", "1", "--weights", "1=2,1=3"]);
    assert!(twice.contains("twice"), "{twice}");
    let done = world.ok(
        Some(1),
        &["submit", "1", "--weights", "1=65535", "--commit-only"],
    );
    assert_eq!(done["did"], "committed");
    let kept = std::fs::read_dir(world.path("secrets"))
        .expect("a folder")
        .count();
    assert_eq!(kept, 1);
    // The window to reveal is a minute away.
    let early = world.refused(Some(1), &["submit", "1", "--reveal-only"]);
    assert!(early.contains("WrongStage"), "{early}");
    let other = world.refused(Some(2), &["submit", "1", "--reveal-only"]);
    assert!(other.contains("no answer for epoch 1"), "{other}");
    let open = world.refused(Some(1), &["leave", "1"]);
    assert!(open.contains("CommitmentOpen"), "{open}");
    let left = world.ok(Some(2), &["leave", "1"]);
    assert!(wei(&left["bond"]) > 0, "{left}");
    assert!(Path::new(&world.path("secrets")).exists());
}

#[test]
fn programs_that_weigh_are_validators_and_the_worker_they_prefer_earns() {
    let world = World::start();
    let file = world.path("topic.json");
    let plan = json!({
        "title": "who works best",
        "mechanisms": [{ "kind": "yuma" }],
        "policy": { "open": "6s", "reveal": "5s", "minBond": "10", "maxWorkers": 4 },
    });
    std::fs::write(&file, plan.to_string()).expect("written");
    world.ok(Some(0), &["create", &file]);
    world.ok(Some(0), &["fund", "1", "1000"]);
    for (key, slot) in [(3, 0), (4, 1)] {
        let joined = world.ok(Some(key), &["join", "1", "--max-bond", "10000"]);
        assert_eq!(joined["slot"], json!(slot));
    }
    // Permits come with the end of the first epoch.
    let mut programs = [
        world.work(
            1,
            "validator",
            r#"{"weights": {"0": 60000, "1": 20000}}"#,
            "3",
        ),
        world.work(
            2,
            "validator",
            r#"{"weights": {"0": 60000, "1": 20000}}"#,
            "3",
        ),
    ];
    let watched = world.run(None, &["watch", "1", "--from", "0", "--until-epoch", "3"]);
    assert!(watched.status.success());
    for program in &mut programs {
        let status = program.0.wait().expect("it ends by itself");
        assert!(status.success());
    }
    for key in [1, 2] {
        assert!(world.log(key).contains("revealed"), "{}", world.log(key));
    }
    let status = world.ok(None, &["status", "1"]);
    let slot_of = |key: usize| {
        let operator = json!(devnet::account(key));
        let slots = status["slots"].as_array().expect("slots");
        let found = slots.iter().find(|slot| slot["operator"] == operator);
        found.expect("a slot")["index"].to_string()
    };
    let number = |key: usize, name: &str| {
        let told = world.ok(None, &["explain", "1", "3", &slot_of(key)]);
        let numbers = told["mechanisms"][0]["numbers"].as_array().cloned();
        let numbers = numbers.unwrap_or_default().into_iter();
        let mut found = numbers.filter(|number| number["name"] == name);
        found
            .next()
            .and_then(|number| number["value"].as_f64())
            .expect("a number")
    };
    let [preferred, other] = [3, 4].map(|key| number(key, "incentive"));
    assert!(
        (preferred - 0.75).abs() < 1e-3 && (other - 0.25).abs() < 1e-3,
        "{preferred} {other}"
    );
    for key in [1, 2] {
        assert!(number(key, "dividends") > 0.3, "{key}");
    }
}

fn digits_csv() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/digits.csv").to_owned()
}

#[test]
fn models_prove_their_accuracy_on_a_test_set_that_was_hidden() {
    let world = World::start();
    let file = world.path("topic.json");
    let plan = json!({
        "title": "digits",
        "mechanisms": [{ "kind": "score" }],
        "policy": {
            "open": "15s", "sealed": "8s", "lag": "25s", "minBond": "10", "maxWorkers": 3,
        },
    });
    std::fs::write(&file, plan.to_string()).expect("written");
    world.ok(Some(0), &["create", &file]);
    world.ok(Some(0), &["fund", "1", "100"]);
    let model = world.model(1);
    let set = digits_csv();

    // What could never be opened is refused before anything is sent.
    let many = world.refused(Some(0), &["test-set", "1", &set, "--model", &model]);
    assert!(
        many.contains("359 samples") && many.contains("--samples"),
        "{many}"
    );
    let commit = |first: &'static str, epoch: &'static str| {
        let file = [
            "test-set",
            "1",
            &set,
            "--model",
            &model,
            "--samples",
            "3",
            "--commit-only",
        ];
        [file.as_slice(), &["--first", first, "--epoch", epoch]].concat()
    };
    let strange = world.refused(Some(2), &commit("0", "1"));
    assert!(strange.contains("NotOwner"), "{strange}");
    let early = world.refused(Some(0), &["test-set", "1", "--reveal-only"]);
    assert!(early.contains("no test set that was committed"), "{early}");
    let committed = world.ok(Some(0), &commit("0", "1"));
    assert_eq!(
        (&committed["epoch"], &committed["samples"]),
        (&json!(1), &json!(3))
    );

    // Without a slot, and without a published model, nobody takes part.
    let no_slot = world.refused(Some(3), &["prove", "1", "--model", &model]);
    assert!(no_slot.contains("hallmark topic join 1"), "{no_slot}");
    let no_score = world.refused(
        Some(2),
        &[
            "work",
            "--topic",
            "1",
            "--exec",
            "true",
            "--max-bond",
            "1000",
        ],
    );
    assert!(no_score.contains("no mechanism synthesis"), "{no_score}");

    // One proves by hand, one works epoch after epoch; the owner opens its set when it is time.
    world.ok(Some(2), &["join", "1", "--max-bond", "1000"]);
    let mut hand = world.beside(2, "hand", &["prove", "1", "--model", &model]);
    let mut work = world.beside(
        3,
        "work",
        &[
            "work",
            "--topic",
            "1",
            "--model",
            &model,
            "--epochs",
            "1",
            "--max-bond",
            "1000",
        ],
    );
    let mut owner = world.beside(
        0,
        "owner",
        &["test-set", "1", "--reveal-only", "--epoch", "1"],
    );
    let opened: Value = serde_json::from_str(&world.ended("owner", &mut owner)).expect("JSON");
    assert_eq!(opened["did"], "opened");
    let proven: Value = serde_json::from_str(&world.ended("hand", &mut hand)).expect("JSON");
    assert_eq!(
        (&proven["did"], &proven["samples"]),
        (&json!("proven"), &json!(3))
    );
    assert_eq!(proven["right"], proven["proven"]);
    assert!(proven["proven"].as_u64() > Some(0), "{proven}");

    // The samples are known now: in this folder no epoch takes them again.
    let again = world.refused(Some(0), &commit("2", "5"));
    assert!(again.contains("never used twice"), "{again}");

    let log = world.ended("work", &mut work);
    for event in ["joined", "committed", "revealed", "judged", "proven"] {
        assert!(
            log.contains(&format!("\"event\":\"{event}\"")),
            "{event}: {log}"
        );
    }
    let status = world.ok(None, &["status", "1"]);
    let slots = status["slots"].as_array().expect("slots");
    assert_eq!(slots.len(), 2);
    for slot in slots {
        assert_eq!(slot["shareBillionths"], 500_000_000, "{status}");
    }

    // Nobody has a test set for the epoch after that.
    let none = world.refused(Some(2), &["prove", "1", "--model", &model]);
    assert!(none.contains("no test set for epoch"), "{none}");
}

#[test]
fn a_test_set_that_nobody_answers_stays_closed_and_serves_again() {
    let world = World::start();
    let file = world.path("topic.json");
    let plan = json!({
        "title": "digits",
        "mechanisms": [{ "kind": "score" }],
        "policy": { "open": "3s", "sealed": "3s", "lag": "3s", "minBond": "10" },
    });
    std::fs::write(&file, plan.to_string()).expect("written");
    world.ok(Some(0), &["create", &file]);
    let model = world.model(1);
    let set = digits_csv();
    let from = ["test-set", "1", &set, "--model", &model, "--samples", "2"];
    let of = |epoch: &'static str, extra: &'static [&'static str]| {
        [from.as_slice(), &["--epoch", epoch], extra].concat()
    };
    world.ok(Some(0), &of("1", &["--commit-only"]));
    // While epoch 1 can still open it, no other epoch may have it.
    let twice = world.refused(Some(0), &of("9", &["--commit-only"]));
    assert!(twice.contains("epoch 1 of topic 1"), "{twice}");
    world.ok(Some(2), &["join", "1", "--max-bond", "1000"]);
    let reveal = ["test-set", "1", "--reveal-only", "--epoch", "1"];
    let closed = world.ok(Some(0), &reveal);
    assert_eq!(closed["did"], "kept closed", "{closed}");

    // Nobody published this one.
    let other = world.path("other.hmk");
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets");
    let (onnx, csv) = (format!("{root}/digits.onnx"), digits_csv());
    let compile = [
        "zk",
        "compile",
        &onnx,
        "--calibrate",
        &csv,
        "--bits",
        "16",
        "-o",
        &other,
    ];
    assert!(world.hallmark(None, &compile).status.success());
    let unknown = world.refused(Some(2), &["prove", "1", "--model", &other]);
    assert!(unknown.contains("is published"), "{unknown}");
    let float = world.refused(Some(2), &["prove", "1", "--model", &onnx]);
    assert!(float.contains("--calibrate"), "{float}");

    // Epoch 1 passes, and its samples are still nobody's.
    while world.ok(None, &["status", "1"])["topic"]["epoch"] == 1 {
        world.run(Some(0), &["advance", "1"]);
        std::thread::sleep(std::time::Duration::from_millis(200));
    }
    let again = world.ok(Some(0), &of("9", &["--commit-only"]));
    assert_eq!(again["epoch"], 9, "{again}");
}

#[test]
fn a_worker_goes_on_with_what_it_committed_and_loses_nothing_to_a_closed_test_set() {
    let world = World::start();
    let file = world.path("topic.json");
    let plan = json!({
        "title": "digits",
        "mechanisms": [{ "kind": "score" }],
        "policy": { "open": "10s", "sealed": "4s", "lag": "8s", "minBond": "10" },
    });
    std::fs::write(&file, plan.to_string()).expect("written");
    world.ok(Some(0), &["create", &file]);
    let model = world.model(1);
    let set = digits_csv();
    let args = [
        "test-set",
        "1",
        &set,
        "--model",
        &model,
        "--samples",
        "2",
        "--commit-only",
    ];
    world.ok(Some(0), &args);
    let joined = world.ok(Some(2), &["join", "1", "--max-bond", "1000"]);
    let commit = ["prove", "1", "--model", &model, "--commit-only"];
    let first = world.ok(Some(2), &commit);
    assert_eq!(
        (&first["did"], &first["epoch"]),
        (&json!("committed"), &json!(1))
    );
    // As after a crash: the chain has it, and it is neither an error nor sent twice.
    let again = world.ok(Some(2), &commit);
    assert_eq!(again["epoch"], 1, "{again}");
    let info = world.ok(None, &["status", "1"]);
    assert_eq!(info["slots"][0]["unrevealed"], 1, "{info}");
    // The owner never opens its set: the model is opened, and that is all.
    let closed = world.refused(Some(2), &["prove", "1", "--model", &model]);
    assert!(closed.contains("no test set for epoch 1"), "{closed}");
    let after = world.ok(None, &["status", "1"]);
    assert_eq!(after["slots"][0]["unrevealed"], 0, "{after}");
    assert_eq!(after["slots"][0]["bond"], joined["bond"], "{after}");
}

#[test]
fn a_change_waits_and_stake_strikes_it() {
    let world = World::start();
    world.ok(Some(0), &["create", "--kind", "yuma", "--title", "weights"]);
    let joined = world.ok(Some(1), &["join", "1", "--max-bond", "1000"]);
    assert_eq!(joined["slot"], 0);
    assert_eq!(world.ok(None, &["proposal", "1"]), Value::Null);

    let file = world.path("change.json");
    std::fs::write(&file, r#"{"open": "30s", "minBond": "25"}"#).expect("written");
    let strange = world.refused(Some(1), &["propose", "1", &file]);
    assert!(strange.contains("NotOwner"), "{strange}");
    let proposed = world.ok(Some(0), &["propose", "1", &file]);
    let names: Vec<&str> = proposed["changes"]
        .as_array()
        .expect("changes")
        .iter()
        .filter_map(|change| change["name"].as_str())
        .collect();
    assert_eq!(names, ["epochMs", "minBond", "openMs"]);
    let waits = world.ok(None, &["proposal", "1"]);
    assert_eq!(waits["effectiveAtMs"], proposed["effectiveAtMs"]);
    assert_eq!(waits["policy"]["openMs"], 30_000);
    assert_eq!(waits["changes"], proposed["changes"]);
    assert_eq!(wei(&waits["against"]), 0);

    let nobody = world.refused(Some(2), &["veto", "1", "0"]);
    assert!(nobody.contains("InsufficientShares"), "{nobody}");
    // The only bond in the topic is more than any part of all.
    let vetoed = world.ok(Some(1), &["veto", "1", "0"]);
    assert_eq!(vetoed["struck"], true, "{vetoed}");
    assert_eq!(vetoed["stake"], joined["bond"]);
    assert_eq!(world.ok(None, &["proposal", "1"]), Value::Null);
    let nothing = world.refused(Some(1), &["veto", "1", "0"]);
    assert!(nothing.contains("NothingProposed"), "{nothing}");

    let lower = world.ok(Some(1), &["take", "1", "12.5"]);
    assert_eq!(lower["takeBps"], 1_250);
    let status = world.ok(None, &["status", "1"]);
    assert_eq!(status["slots"][0]["takeBps"], 1_250);
    let higher = world.ok(Some(1), &["take", "1", "50"]);
    assert!(
        higher["fromMs"].as_u64() > lower["fromMs"].as_u64(),
        "{higher}"
    );
    assert_eq!(
        world.ok(None, &["status", "1"])["slots"][0]["takeBps"],
        1_250
    );
    // What is staked while an epoch is under way counts after it.
    world.run(Some(0), &["advance", "1"]);
    let staked = world.ok(Some(2), &["stake", "1", "0", "--add", "7"]);
    assert_eq!(wei(&staked["stakeOfSlot"]), 0, "{staked}");
    assert_eq!(staked["waitingStakeOfSlot"], staked["staked"], "{staked}");
    let more = world.ok(Some(3), &["stake", "1", "0", "--add", "2"]);
    assert_eq!(
        wei(&more["waitingStakeOfSlot"]),
        9 * 10u128.pow(18),
        "{more}"
    );
    let wrong = world.refused(Some(1), &["take", "1", "101"]);
    assert!(wrong.contains("percentage"), "{wrong}");
}

#[test]
fn an_epoch_that_the_chain_settled_by_itself_is_explained_like_any_other() {
    let world = World::start();
    let file = world.path("topic.json");
    let plan = json!({
        "title": "weights",
        "mechanisms": [{ "kind": "yuma" }],
        "policy": { "open": "8s", "reveal": "4s", "maxWorkers": 4 },
    });
    std::fs::write(&file, plan.to_string()).expect("written");
    world.ok(Some(0), &["create", &file]);
    world.ok(Some(1), &["join", "1", "--stake", "5"]);
    world.ok(Some(2), &["join", "1", "--max-bond", "100"]);
    let done = world.ok(Some(1), &["submit", "1", "--weights", "1=65535"]);
    let epoch = done["epoch"].as_u64().expect("an epoch");
    // Nobody calls `advance` from here on.
    let is_over = || world.ok(None, &["status", "1"])["topic"]["epoch"].as_u64() > Some(epoch);
    for _ in 0..120 {
        if is_over() {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    assert!(is_over(), "the chain ends the epoch");
    let explained = world.ok(None, &["explain", "1", &epoch.to_string(), "0"]);
    let mechanism = &explained["mechanisms"][0];
    assert_eq!(mechanism["judged"], true, "{explained}");
    assert_eq!(mechanism["revealed"], true, "{explained}");
    let names: Vec<&str> = mechanism["numbers"]
        .as_array()
        .expect("numbers")
        .iter()
        .filter_map(|number| number["name"].as_str())
        .collect();
    assert!(names.contains(&"stake share"), "{names:?}");
}
