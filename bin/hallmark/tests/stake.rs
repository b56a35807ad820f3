//! Staking through the command line alone, against a chain of one validator.

use hallmark_node::devnet::{self, Devnet};
use serde_json::Value;
use std::process::{Command, Output};

struct World {
    rpc: String,
    folder: tempfile::TempDir,
    // Stopped last.
    _devnet: Devnet,
}

impl World {
    fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let devnet = Devnet::start(1, &folder.path().join("validators")).expect("a validator");
        let rpc = devnet.node(0).expect("it runs").rpc_url();
        let world = Self {
            rpc,
            folder,
            _devnet: devnet,
        };
        for index in 0..2 {
            let key = format!("{:x}", devnet::account_key(index));
            world.write(&format!("{index}.key"), &key);
        }
        world.write(
            "operator.key",
            &format!("{:x}", devnet::validator_account_key(0)),
        );
        world
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).expect("written");
    }

    fn run(&self, key: &str, args: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_hallmark"))
            .arg("stake")
            .args(args)
            .arg("--json")
            .env("HALLMARK_RPC", &self.rpc)
            .env("HALLMARK_KEY", self.path(key))
            .output()
            .expect("hallmark runs")
    }

    /// The JSON of a command that must succeed.
    fn ok(&self, key: &str, args: &[&str]) -> Value {
        let output = self.run(key, args);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{args:?}: {error}");
        serde_json::from_slice(&output.stdout).expect("one JSON object")
    }

    /// The error of a command that must fail.
    fn refused(&self, key: &str, args: &[&str]) -> String {
        let output = self.run(key, args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let error: Value = serde_json::from_slice(&output.stderr).expect("an error as JSON");
        error["error"].as_str().expect("a text").to_owned()
    }
}

const MARK: u128 = 1_000_000_000_000_000_000;

#[test]
fn validators_and_delegators_do_everything_from_the_command_line() {
    let world = World::start();
    let status = world.ok("0.key", &["status"]);
    assert_eq!(status["epoch"], 0);
    assert_eq!(status["sets"][0]["validators"], serde_json::json!([1]));
    let of_genesis = status["validators"][0]["stake"]
        .as_str()
        .expect("an amount");
    let of_genesis: u128 = of_genesis.parse().expect("a number");
    assert!(of_genesis >= 10_000 * MARK);

    // A delegator comes, looks, and goes.
    world.ok("0.key", &["delegate", "1", "250.5"]);
    let account = devnet::account(0).to_string();
    let has = world.ok("0.key", &["status", "--account", &account]);
    assert_eq!(has["stake"][0]["validator"], 1);
    let worth: u128 = has["stake"][0]["worth"].as_str().unwrap().parse().unwrap();
    // A little is lost to rounding, and a little earned: the fee of its own transaction among others.
    assert!(worth < 251 * MARK && worth > 250 * MARK, "{worth}");
    let error = world.refused("0.key", &["unbond", "1", "251"]);
    assert!(error.contains("you have 250."), "{error}");
    let left = world.ok("0.key", &["unbond", "1", "50"]);
    assert_eq!(left["free_epoch"], 8);
    world.ok("0.key", &["unbond", "1", "all"]);
    let has = world.ok("0.key", &["status", "--account", &account]);
    assert_eq!(has["stake"], serde_json::json!([]));
    assert_eq!(has["exits"].as_array().unwrap().len(), 1);
    let error = world.refused("0.key", &["withdraw"]);
    assert!(error.contains("NothingToWithdraw"), "{error}");

    // A second validator registers, and its operator runs it.
    world.write("v1.key", &"11".repeat(32));
    let bond = [
        "bond",
        "2000",
        "--validator-key",
        &world.path("v1.key"),
        "--commission",
        "7.5",
        "--p2p",
        "203.0.113.9:9000",
    ];
    let bonded = world.ok("1.key", &bond);
    assert_eq!(bonded["validator"], 2);
    let error = world.refused("1.key", &bond);
    assert!(error.contains("AlreadyOperator(2)"), "{error}");
    let second = world.ok("1.key", &["status", "2"]);
    assert_eq!(second["commission_bps"], 750);
    assert_eq!(second["p2p"], "203.0.113.9:9000");
    assert_eq!(second["candidate"], true);
    let raised = world.ok("1.key", &["commission", "10"]);
    assert_eq!(raised["from_epoch"], 4);
    let cut = world.ok("1.key", &["commission", "2.25"]);
    assert_eq!(
        (&cut["from_epoch"], &cut["commission_bps"]),
        (&0.into(), &225.into())
    );
    world.ok("1.key", &["profile", "--p2p", "[::1]:9"]);
    assert_eq!(world.ok("1.key", &["status", "2"])["p2p"], "[::1]:9");
    world.ok("1.key", &["leave"]);
    assert_eq!(world.ok("1.key", &["status", "2"])["candidate"], false);
    world.ok("1.key", &["unjail"]);
    assert_eq!(world.ok("1.key", &["status", "2"])["candidate"], true);
    world.write("v2.key", &"22".repeat(32));
    let rotate = ["rotate-key", "--validator-key", &world.path("v2.key")];
    let rotated = world.ok("1.key", &rotate);
    let shown = world.ok("1.key", &["status", "2"]);
    assert_eq!(shown["public_key"], rotated["public_key"]);
    assert_ne!(rotated["public_key"], bonded["public_key"]);
    let error = world.refused("1.key", &rotate);
    assert!(error.contains("KeyTaken"), "{error}");

    // The operator of genesis is an account like any other; who operates nothing is told what to do.
    world.ok("operator.key", &["commission", "1"]);
    let error = world.refused("0.key", &["leave"]);
    assert!(error.contains("hallmark stake bond"), "{error}");
    let error = world.refused("0.key", &["commission", "101"]);
    assert!(error.contains("0 to 100 percent"), "{error}");
}

#[test]
fn evidence_that_proves_nothing_is_refused_before_and_by_the_chain() {
    let world = World::start();
    world.write("short.hex", "0x01");
    let error = world.refused("0.key", &["evidence", &world.path("short.hex")]);
    assert!(error.contains("another length"), "{error}");
    // Two votes by the validator's key that it never signed.
    let public_key = hallmark_node::public_key_of(&devnet::validator_key(0));
    let mut bytes = vec![1];
    bytes.extend([0; 16]);
    bytes.extend(public_key);
    bytes.extend([1; 104]);
    bytes.extend([2; 104]);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    world.write("forged.hex", &hex);
    let error = world.refused("0.key", &["evidence", &world.path("forged.hex")]);
    assert!(error.contains("BadSignature"), "{error}");
}
