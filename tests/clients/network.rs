//! Four validator processes, a published model and a seller's daemon, each a `hallmark` process with
//! its own key and folder, for the third-party clients of this folder:
//! `network HALLMARK_BINARY FOLDER`. Prints one JSON line once everything is up, and runs until its
//! standard input closes; then it ends all that it started.

use hallmark_node::devnet;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

const VALIDATORS: usize = 4;
const SOON: Duration = Duration::from_secs(90);
const OWNER: usize = 0;
const SELLER: usize = 1;
/// Development accounts from here on are the clients'.
const FIRST_FREE: usize = 2;

type Failure = Box<dyn std::error::Error>;

/// A child that is killed when this ends, however it ends.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(binary), Some(folder)) = (args.next(), args.next()) else {
        return Err("usage: network HALLMARK_BINARY FOLDER".into());
    };
    let tool = Tool { binary, folder };
    let funded: Vec<_> = (0..devnet::FUNDED_ACCOUNTS).map(devnet::account).collect();
    let (spec, seeds) = devnet::spec(VALIDATORS, &funded);
    tool.write("spec.json", spec.to_json())?;
    for index in 0..devnet::FUNDED_ACCOUNTS {
        let key = devnet::account_key(index).to_string();
        tool.write(&format!("account-{index}.key"), key)?;
    }

    let ports = devnet::free_ports(2 * VALIDATORS)?;
    let (p2p, rpc) = ports.split_at(VALIDATORS);
    let mut running = Vec::new();
    for (i, seed) in seeds.iter().enumerate() {
        let key = format!("validator-{i}.key");
        tool.write(&key, alloy_primitives::hex::encode(seed))?;
        let mut args = vec![
            "node".to_owned(),
            format!("--spec={}", tool.path("spec.json")),
            format!("--validator-key={}", tool.path(&key)),
            format!("--home={}", tool.path(&format!("validator-{i}"))),
            format!("--listen={}", p2p[i]),
            format!("--rpc={}", rpc[i]),
        ];
        for (validator, address) in spec.validators.iter().zip(p2p) {
            if *address != p2p[i] {
                let key = alloy_primitives::hex::encode(validator.public_key);
                args.push(format!("--peer={key}@{address}"));
            }
        }
        running.push(tool.daemon(&args)?);
    }
    let url = |i: usize| format!("http://{}", rpc[i]);

    let assets = concat!(env!("CARGO_MANIFEST_DIR"), "/../assets");
    tool.json(&[
        "zk",
        "compile",
        &format!("{assets}/digits.onnx"),
        "--calibrate",
        &format!("{assets}/digits.csv"),
        "-o",
        &tool.path("digits.hmk"),
    ])?;
    // The seller finds the file on its own disk: the mirror is tested elsewhere.
    let file = std::fs::read(tool.path("digits.hmk"))?;
    let models = Path::new(&tool.path("seller")).join("models");
    std::fs::create_dir_all(&models)?;
    std::fs::write(
        models.join(format!("{}.hmk", blake3::hash(&file).to_hex())),
        &file,
    )?;
    let published = tool.json(&[
        "model",
        "publish",
        &tool.path("digits.hmk"),
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
        &tool.path(&format!("account-{OWNER}.key")),
    ])?;
    running.push(tool.daemon(&[
        "provide".to_owned(),
        format!("--key={}", tool.path(&format!("account-{SELLER}.key"))),
        format!("--home={}", tool.path("seller")),
        "--deposit=5".to_owned(),
        format!("--rpc={}", url(1)),
    ])?);
    // It registers its key for sealed orders when it is ready.
    let started = Instant::now();
    loop {
        let sellers = tool.json(&["order", "sellers", "digits", "--rpc", &url(2)])?;
        if sellers.as_array().is_some_and(|list| !list.is_empty()) {
            break;
        }
        if started.elapsed() > SOON {
            return Err("the seller did not get ready".into());
        }
        thread::sleep(Duration::from_millis(100));
    }

    let graph = hallmark_graph::Model::decode(&file)?.graph;
    let clients = FIRST_FREE..devnet::FUNDED_ACCOUNTS;
    println!(
        "{}",
        json!({
            "hallmark": tool.binary,
            "chain_id": spec.chain_id,
            "rpc": rpc.iter().map(|address| format!("http://{address}")).collect::<Vec<_>>(),
            "ws": rpc.iter().map(|address| format!("ws://{address}")).collect::<Vec<_>>(),
            "model": published["id"],
            "model_price": "10000000000000000",
            "output_bytes": graph.output_bytes(),
            "digits": format!("{assets}/digits.csv"),
            "lenet": format!("{assets}/lenet.onnx"),
            "keys": clients.map(|i| json!({
                "address": devnet::account(i),
                "private_key": devnet::account_key(i),
                "file": tool.path(&format!("account-{i}.key")),
            })).collect::<Vec<_>>(),
        })
    );
    std::io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// The `hallmark` command, and the folder of everything that it writes.
struct Tool {
    binary: PathBuf,
    folder: PathBuf,
}

impl Tool {
    fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn write(&self, name: &str, text: String) -> Result<(), Failure> {
        std::fs::create_dir_all(&self.folder)?;
        Ok(std::fs::write(self.path(name), text)?)
    }

    /// The JSON of a command that must succeed.
    fn json(&self, args: &[&str]) -> Result<Value, Failure> {
        let output = Command::new(&self.binary)
            .args(args)
            .arg("--json")
            .output()?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("{args:?}: {text}").into());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Starts a daemon and waits for its first line.
    fn daemon(&self, args: &[String]) -> Result<Process, Failure> {
        let mut child = Command::new(&self.binary)
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no standard output")?;
        let process = Process(child);
        let (first, wait) = mpsc::channel();
        thread::spawn(move || {
            let mut lines = BufReader::new(stdout).lines();
            // Nobody waits any more if the daemon was too slow.
            let _ = first.send(lines.next().is_some());
            // Keep reading, so that the daemon never blocks on a full pipe.
            for _ in lines {}
        });
        match wait.recv_timeout(SOON) {
            Ok(true) => Ok(process),
            _ => Err(format!("{args:?} did not come up").into()),
        }
    }
}
