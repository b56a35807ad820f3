//! The way of an order through the command line alone: four validator processes, an owner, a
//! seller's daemon and a buyer, each a `hallmark` process with its own key and folder.

use alloy_primitives::Address;
use hallmark_node::devnet;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(90);

/// A child that is killed when the test ends, however it ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn hallmark(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(args)
        .output()
        .expect("hallmark runs")
}

/// Runs a command that must succeed and returns its JSON.
fn json_of(args: &[&str]) -> Value {
    let output = hallmark(&[args, &["--json"]].concat());
    assert!(
        output.status.success(),
        "{args:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Starts a daemon and waits for its first line.
fn spawn(args: &[&str]) -> Process {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .expect("hallmark runs");
    let stdout = child.stdout.take().expect("piped");
    let process = Process(child);
    let (first, wait) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stdout).lines();
        let _ = first.send(lines.next());
        // Keep reading, so that the daemon never blocks on a full pipe.
        for _ in lines {}
    });
    let line = wait.recv_timeout(SOON).expect("a first line in time");
    assert!(line.is_some(), "{args:?} ended without a word");
    process
}

fn rpc(address: SocketAddr, method: &str) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] }).to_string();
    let mut stream = TcpStream::connect(address).expect("a node");
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let start = answer.find('{').expect("a JSON body");
    let end = answer.rfind('}').expect("a JSON body");
    serde_json::from_str::<Value>(&answer[start..=end]).expect("JSON")["result"].clone()
}

/// Waits until every validator has finalized a block.
fn wait_height(rpcs: &[SocketAddr], block: u64) {
    let deadline = Instant::now() + SOON;
    while rpcs.iter().any(|r| {
        let height = rpc(*r, "eth_blockNumber");
        let height = height
            .as_str()
            .expect("hex")
            .trim_start_matches("0x")
            .to_owned();
        u64::from_str_radix(&height, 16).expect("hex") < block
    }) {
        assert!(
            Instant::now() < deadline,
            "every validator reaches the block"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn write_key(path: &Path, index: usize) {
    std::fs::write(path, devnet::account_key(index).to_string()).expect("a key file");
}

#[test]
fn four_processes_serve_an_order_and_each_checks_it_once() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| dir.path().join(name).to_str().expect("UTF-8").to_owned();
    let funded: Vec<Address> = (0..4).map(devnet::account).collect();
    let (spec, seeds) = devnet::spec(4, &funded);
    std::fs::write(at("spec.json"), spec.to_json()).expect("spec");

    let ports = devnet::free_ports(8).expect("eight ports");
    let (p2p, rpcs) = ports.split_at(4);
    let node_args = |i: usize| -> Vec<String> {
        let key = at(&format!("validator-{i}.key"));
        std::fs::write(&key, alloy_primitives::hex::encode(seeds[i])).expect("a key file");
        let mut args = vec![
            "node".to_owned(),
            format!("--spec={}", at("spec.json")),
            format!("--validator-key={key}"),
            format!("--home={}", at(&format!("validator-{i}"))),
            format!("--listen={}", p2p[i]),
            format!("--rpc={}", rpcs[i]),
        ];
        for j in (0..4).filter(|j| *j != i) {
            let public = alloy_primitives::hex::encode(spec.validators[j].public_key);
            args.push(format!("--peer={public}@{}", p2p[j]));
        }
        args
    };
    let start = |i: usize| {
        let args = node_args(i);
        spawn(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let mut nodes: Vec<Process> = (0..4).map(start).collect();

    for (name, index) in [("owner", 0), ("seller", 1), ("buyer", 2)] {
        write_key(dir.path().join(name).as_path(), index);
    }
    let url = |i: usize| format!("http://{}", rpcs[i]);
    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets");
    let (onnx, csv) = (
        format!("{assets}/digits.onnx"),
        format!("{assets}/digits.csv"),
    );
    json_of(&[
        "zk",
        "compile",
        &onnx,
        "--calibrate",
        &csv,
        "-o",
        &at("digits.hmk"),
    ]);

    // The seller finds the file on its own disk: the mirror is tested elsewhere.
    let hash = blake3::hash(&std::fs::read(at("digits.hmk")).expect("the model"));
    std::fs::create_dir_all(dir.path().join("provider/models")).expect("a folder");
    std::fs::copy(
        at("digits.hmk"),
        at(&format!("provider/models/{}.hmk", hash.to_hex())),
    )
    .expect("the model's file");
    let published = json_of(&[
        "model",
        "publish",
        &at("digits.hmk"),
        "--name",
        "digits",
        "--price",
        "0.01",
        "--owner-share",
        "10",
        "--uri",
        "http://127.0.0.1:9/nowhere.hmk",
        "--rpc",
        &url(0),
        "--key",
        &at("owner"),
    ]);
    let listed = json_of(&["model", "list", "--rpc", &url(3)]);
    assert_eq!(listed[0]["id"], published["id"]);
    let shown = json_of(&["model", "show", "digits", "--rpc", &url(3)]);
    assert_eq!(shown["id"], published["id"]);

    let seller = at("seller");
    let home = at("provider");
    let _seller = spawn(&[
        "provide",
        "--key",
        &seller,
        "--home",
        &home,
        "--deposit",
        "5",
        "--rpc",
        &url(1),
    ]);

    // The first test image of the set.
    let text = std::fs::read_to_string(&csv).expect("the digits");
    let row = text
        .lines()
        .find(|l| l.starts_with("test,"))
        .expect("a test image");
    let pixels: Vec<f64> = row
        .split(',')
        .skip(2)
        .map(|p| p.parse::<f64>().expect("a grey level") / 16.0)
        .collect();
    std::fs::write(
        at("image.json"),
        json!({ "input_data": [pixels] }).to_string(),
    )
    .expect("input");

    // The seller registers its key for sealed orders when it is ready.
    let started = Instant::now();
    let sellers = || json_of(&["order", "sellers", "digits", "--rpc", &url(2)]);
    while sellers().as_array().is_none_or(Vec::is_empty) {
        assert!(started.elapsed() < Duration::from_secs(60), "no seller");
        std::thread::sleep(Duration::from_millis(100));
    }

    let counted = |what: &str| -> Vec<u64> {
        rpcs.iter()
            .map(|r| {
                rpc(*r, "hallmark_counters")[what]
                    .as_u64()
                    .expect("a counter")
            })
            .collect()
    };
    let before = (counted("proofVerifications"), counted("senderRecoveries"));
    let result = json_of(&[
        "infer",
        "digits",
        &at("image.json"),
        "--rpc",
        &url(2),
        "--key",
        &at("buyer"),
        "--receipt",
        &at("receipt.json"),
        "--secrets",
        &at("secrets"),
    ]);
    assert_eq!(result["mode"], "sealed");
    assert_eq!(
        result["argmax"].as_u64(),
        row.split(',').nth(1).and_then(|l| l.parse().ok())
    );
    let local = json_of(&["zk", "run", &at("digits.hmk"), &at("image.json")]);
    assert_eq!(
        local["output_int"], result["output_int"],
        "the seller ran the very model"
    );

    // Validators that were behind have executed the block a moment later.
    let reached = |result: &Value| wait_height(rpcs, result["block"].as_u64().expect("a block"));
    reached(&result);
    for (new, old) in counted("proofVerifications").iter().zip(&before.0) {
        assert_eq!(new - old, 1, "one verification a validator");
    }
    for (new, old) in counted("senderRecoveries").iter().zip(&before.1) {
        assert_eq!(
            new - old,
            3,
            "one recovery each of order, claim and delivery"
        );
    }

    let order = json_of(&["order", "show", "1", "--rpc", &url(3)]);
    assert_eq!(order["status"], "paid");
    assert_eq!(order["mode"], "sealed");
    assert_eq!(order["sellers"], result["sellers"]);
    let opened = json_of(&[
        "order",
        "open",
        "1",
        "--rpc",
        &url(3),
        "--secrets",
        &at("secrets"),
    ]);
    assert_eq!(opened["output_int"], result["output_int"]);
    let orders = json_of(&["order", "list", "--rpc", &url(3)]);
    assert_eq!(orders.as_array().map(Vec::len), Some(1));
    let verified = json_of(&["verify", &at("receipt.json"), "--spec", &at("spec.json")]);
    assert_eq!(verified["verified"], true);
    assert_eq!(verified["mode"], "sealed");
    assert!(verified["output"].is_null(), "only the buyer can read it");
    json_of(&[
        "order",
        "show",
        "1",
        "--rpc",
        &url(3),
        "--receipt",
        &at("revealed.json"),
        "--reveal",
        "--secrets",
        &at("secrets"),
    ]);
    let revealed = json_of(&["verify", &at("revealed.json"), "--spec", &at("spec.json")]);
    assert_eq!(revealed["output"], result["output_int"]);

    // A validator killed outright; orders go on; it comes back on its folder and catches up.
    drop(nodes.pop());
    let image = at("image.json");
    let infer = |name: &str| {
        json_of(&[
            "infer",
            "--public",
            "digits",
            &image,
            "--rpc",
            &url(2),
            "--key",
            &at("buyer"),
            "--receipt",
            &at(name),
        ])
    };
    infer("second.json");
    // Its folder is its own: no second process may use one that runs.
    let folder = format!("--home={}", at("validator-0"));
    let mut args = node_args(3);
    args[3] = folder;
    args[4] = format!("--listen={}", devnet::free_ports(1).expect("a port")[0]);
    let locked = hallmark(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(locked.status.code(), Some(1));
    let error = String::from_utf8_lossy(&locked.stderr).into_owned();
    assert!(error.contains("validator-0"), "{error}");
    nodes.push(start(3));
    reached(&infer("third.json"));

    // Refusals are clear and cost nothing.
    let count = || {
        json_of(&["order", "list", "--rpc", &url(3)])
            .as_array()
            .map(Vec::len)
    };
    std::fs::write(
        at("short.json"),
        json!({ "input_data": [[0.5, 0.5]] }).to_string(),
    )
    .expect("input");
    for (args, word) in [
        (vec!["infer", "digits", &at("short.json")], "64"),
        (
            vec!["infer", "digits", &at("image.json"), "--level", "trusted"],
            "trusted",
        ),
        (vec!["infer", "nonsense", &at("image.json")], "nonsense"),
    ] {
        let output = hallmark(&[&args[..], &["--rpc", &url(2), "--key", &at("buyer")]].concat());
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(error.contains(word), "{args:?}: {error}");
    }
    assert_eq!(count(), Some(3), "no refused order was placed");
}
