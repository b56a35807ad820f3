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
            "open": "3s", "sealed": "2s", "lag": "3s", "reveal": "2s", "minBond": "10",
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
    assert!(
        names.contains(&"own loss") && names.contains(&"score"),
        "{names:?}"
    );
    assert!(mechanism["words"].as_str().expect("words").contains("loss"));
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
fn an_epoch_that_the_chain_settled_by_itself_is_explained_like_any_other() {
    let world = World::start();
    let file = world.path("topic.json");
    let plan = json!({
        "title": "weights",
        "mechanisms": [{ "kind": "yuma" }],
        "policy": { "open": "4s", "reveal": "2s", "maxWorkers": 4 },
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
