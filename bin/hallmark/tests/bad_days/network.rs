//! Four validators, each a `hallmark` process with a folder of its own, that a test may kill, stop
//! and start again, and a JSON-RPC client that expects them to be dead at any moment.

use alloy_primitives::hex;
use hallmark_node::devnet;
use hallmark_types::ChainSpec;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// Validators of every network here: one may fail.
pub const VALIDATORS: usize = 4;
/// Far beyond what anything here takes on a busy machine.
pub const SOON: Duration = Duration::from_secs(120);

/// The processes; all are killed when this is dropped.
pub struct Network {
    folder: tempfile::TempDir,
    pub spec: ChainSpec,
    seeds: Vec<[u8; 32]>,
    p2p: Vec<SocketAddr>,
    rpcs: Vec<SocketAddr>,
    children: Vec<Option<Child>>,
}

impl Network {
    /// Four validators that run, over a chain on which `accounts` development accounts have coin.
    pub fn start(accounts: usize) -> Self {
        Self::start_with(accounts, |_| {})
    }

    /// As [`start`](Self::start), with changes to the chain spec.
    pub fn start_with(accounts: usize, change: impl FnOnce(&mut ChainSpec)) -> Self {
        let funded: Vec<_> = (0..accounts).map(devnet::account).collect();
        let (mut spec, seeds) = devnet::spec(VALIDATORS, &funded);
        change(&mut spec);
        spec.check().expect("a usable spec");
        let mut p2p = devnet::free_ports(2 * VALIDATORS).expect("ports");
        let rpcs = p2p.split_off(VALIDATORS);
        let mut network = Self {
            folder: tempfile::tempdir().expect("a folder"),
            spec,
            seeds,
            p2p,
            rpcs,
            children: (0..VALIDATORS).map(|_| None).collect(),
        };
        network.write("spec.json", &network.spec.to_json());
        for index in 0..VALIDATORS {
            let seed = hex::encode(network.seeds[index]);
            network.write(&format!("validator-{index}.key"), &seed);
            network.spawn(index);
        }
        network.wait_height(1, SOON);
        network
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).expect("a file");
    }

    /// Folder of one validator's data.
    pub fn home(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("validator-{index}"))
    }

    /// Where one validator accepts others.
    pub fn p2p(&self, index: usize) -> SocketAddr {
        self.p2p[index]
    }

    fn log(&self, index: usize) -> PathBuf {
        self.folder.path().join(format!("validator-{index}.log"))
    }

    /// What a validator has printed, over all its lives.
    pub fn printed(&self, index: usize) -> String {
        std::fs::read_to_string(self.log(index)).unwrap_or_default()
    }

    fn arguments(&self, index: usize) -> Vec<String> {
        let at = |name: String| self.folder.path().join(name).display().to_string();
        let mut args = vec![
            "node".to_owned(),
            format!("--spec={}", at("spec.json".into())),
            format!("--validator-key={}", at(format!("validator-{index}.key"))),
            format!("--home={}", self.home(index).display()),
            format!("--listen={}", self.p2p[index]),
            format!("--rpc={}", self.rpcs[index]),
        ];
        for (other, validator) in self.spec.validators.iter().enumerate() {
            if other != index {
                let key = hex::encode(validator.public_key);
                args.push(format!("--peer={key}@{}", self.p2p[other]));
            }
        }
        args
    }

    /// Starts a validator that is down, on its folder and ports.
    pub fn spawn(&mut self, index: usize) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_hallmark"));
        command.args(self.arguments(index));
        self.run(index, command);
    }

    /// Starts a validator that is down and whose files can't grow beyond `kilobytes` each, which is
    /// how a full disk looks to it: writes fail.
    pub fn spawn_with_file_limit(&mut self, index: usize, kilobytes: u64) {
        let mut command = Command::new("bash");
        // Ignored, so that a write beyond the limit is an error and not the end of the process.
        let script = format!("trap '' XFSZ; ulimit -f {kilobytes}; exec \"$0\" \"$@\"");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_hallmark")])
            .args(self.arguments(index));
        self.run(index, command);
    }

    fn run(&mut self, index: usize, mut command: Command) {
        assert!(self.children[index].is_none(), "validator {index} runs");
        let log = OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.log(index))
            .expect("a log");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("hallmark runs");
        self.children[index] = Some(child);
    }

    /// `kill -9`.
    pub fn kill(&mut self, index: usize) {
        if let Some(mut child) = self.children[index].take() {
            child.kill().expect("killed");
            child.wait().expect("reaped");
        }
    }

    /// Sends a signal to a validator that runs.
    pub fn signal(&self, index: usize, signal: Signal) {
        if let Some(child) = &self.children[index] {
            kill_process(Pid::from_child(child), signal).expect("signalled");
        }
    }

    /// Waits until a validator ends by itself.
    pub fn wait_exit(&mut self, index: usize, within: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + within;
        let child = self.children[index].as_mut().expect("it was started");
        loop {
            if let Some(status) = child.try_wait().expect("a child") {
                self.children[index] = None;
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Validators that have a process.
    pub fn running(&self) -> Vec<usize> {
        (0..VALIDATORS)
            .filter(|index| self.children[*index].is_some())
            .collect()
    }

    /// Process id of a validator that runs.
    pub fn pid(&self, index: usize) -> u32 {
        self.children[index].as_ref().expect("it runs").id()
    }

    /// Doors of all validators.
    pub fn rpcs(&self) -> Vec<SocketAddr> {
        self.rpcs.clone()
    }

    /// Head of one validator, if it answers.
    pub fn height(&self, index: usize) -> Option<u64> {
        height(self.rpcs[index])
    }

    /// Waits until every validator that runs has `height`. A validator that ends meanwhile fails the
    /// test with what it printed last.
    pub fn wait_height(&mut self, height: u64, within: Duration) {
        let deadline = Instant::now() + within;
        loop {
            let running = self.running();
            let heights: Vec<_> = running.iter().map(|i| (*i, self.height(*i))).collect();
            if heights.iter().all(|(_, h)| h.is_some_and(|h| h >= height)) {
                return;
            }
            for index in running {
                self.assert_alive(index);
            }
            assert!(
                Instant::now() < deadline,
                "not every validator has block {height} in time: {heights:?}"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Fails if a validator has ended by itself.
    pub fn assert_alive(&mut self, index: usize) {
        let Some(child) = self.children[index].as_mut() else {
            return;
        };
        if let Some(status) = child.try_wait().expect("a child") {
            panic!(
                "validator {index} ended by itself ({status}):\n{}",
                last_lines(&self.log(index))
            );
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for index in 0..VALIDATORS {
            // A stopped process must go on before it can be reaped; a failing test reaps what it can.
            if let Some(child) = &mut self.children[index] {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        if std::thread::panicking() {
            for index in 0..VALIDATORS {
                eprintln!("-- validator {index}:\n{}", last_lines(&self.log(index)));
            }
        }
    }
}

fn last_lines(path: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut file) = File::open(path) {
        // Logs are the node's own; what is not UTF-8 would be shown as nothing.
        let _ = file.read_to_string(&mut text);
    }
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

/// Head of the node at `address`, if it answers.
pub fn height(address: SocketAddr) -> Option<u64> {
    let answer = call(
        address,
        "eth_blockNumber",
        &json!([]),
        Duration::from_secs(2),
    )
    .ok()?;
    quantity(&answer)
}

/// A JSON-RPC quantity.
pub fn quantity(value: &Value) -> Option<u64> {
    u64::from_str_radix(value.as_str()?.strip_prefix("0x")?, 16).ok()
}

/// One JSON-RPC call over a connection of its own. `Err` is what the node said, or why nothing was
/// heard of it.
pub fn call(
    address: SocketAddr,
    method: &str,
    params: &Value,
    patience: Duration,
) -> Result<Value, String> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let answer = post(address, body.as_bytes(), patience)?;
    let answer: Value = serde_json::from_slice(&answer).map_err(|e| e.to_string())?;
    match answer.get("error") {
        Some(error) => Err(error.to_string()),
        None => Ok(answer["result"].clone()),
    }
}

/// Posts a body and returns the answer's.
pub fn post(address: SocketAddr, body: &[u8], patience: Duration) -> Result<Vec<u8>, String> {
    let heard = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect_timeout(&address, patience)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        write!(
            stream,
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        )?;
        stream.write_all(body)?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    let answer = heard().map_err(|e| e.to_string())?;
    let start = answer.windows(4).position(|w| w == b"\r\n\r\n");
    let start = start.ok_or("the connection ended before an answer")? + 4;
    Ok(answer[start..].to_vec())
}
