//! Processes of the command line, and how tests talk to them.
#![allow(dead_code)]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub const SOON: Duration = Duration::from_secs(120);

/// A child that is killed when the test ends, however it ends.
pub struct Process(pub Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Asks it to stop and returns its exit code and how long it took.
    pub fn terminate(&mut self) -> (Option<i32>, Duration) {
        let started = Instant::now();
        let sent = Command::new("kill")
            .args(["-TERM", &self.0.id().to_string()])
            .status()
            .expect("kill runs");
        assert!(sent.success());
        let code = self.0.wait().expect("it ends").code();
        (code, started.elapsed())
    }
}

pub fn hallmark(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(args)
        .env_remove("HALLMARK_PASSWORD_FILE")
        .output()
        .expect("hallmark runs")
}

/// Runs a command that must succeed and returns its JSON.
pub fn json_of(args: &[&str]) -> Value {
    let output = hallmark(&[args, &["--json"]].concat());
    assert!(
        output.status.success(),
        "{args:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// The error of a command that must fail with exit code 1.
pub fn refused(args: &[&str]) -> String {
    let output = hallmark(args);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {error}");
    assert!(error.starts_with("error: "), "{error}");
    assert!(!error.contains("panicked"), "{error}");
    error
}

/// Starts a daemon and waits for its first line.
pub fn spawn(args: &[&str], env: &[(&str, &str)]) -> Process {
    let mut child = Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(args)
        .env_remove("HALLMARK_PASSWORD_FILE")
        .envs(env.iter().copied())
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

/// Status and body of a GET.
pub fn get(address: SocketAddr, path: &str) -> std::io::Result<(u16, String)> {
    http(
        address,
        &format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"),
    )
}

pub fn http(address: SocketAddr, request: &str) -> std::io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer
        .split_once("\r\n\r\n")
        .ok_or_else(|| std::io::Error::other("no answer"))?;
    let status = head
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .ok_or_else(|| std::io::Error::other("no status"))?;
    Ok((status, body.to_owned()))
}

pub fn rpc(address: SocketAddr, method: &str) -> Value {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] }).to_string();
    let request = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let (_, answer) = http(address, &request).expect("an answer");
    let start = answer.find('{').expect("a JSON body");
    let end = answer.rfind('}').expect("a JSON body");
    serde_json::from_str::<Value>(&answer[start..=end]).expect("JSON")["result"].clone()
}

pub fn height(address: SocketAddr) -> u64 {
    let height = rpc(address, "eth_blockNumber");
    let digits = height.as_str().expect("hex").trim_start_matches("0x");
    u64::from_str_radix(digits, 16).expect("hex")
}

/// Waits until every node has a block.
pub fn wait_height(rpcs: &[SocketAddr], block: u64) {
    let deadline = Instant::now() + SOON;
    while rpcs.iter().any(|address| height(*address) < block) {
        assert!(
            Instant::now() < deadline,
            "every node reaches block {block}"
        );
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A base port at which `network init` finds all its ports free.
pub fn base_port() -> u16 {
    use std::hash::{BuildHasher, RandomState};
    let is_free = |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok();
    (0..1_000u64)
        .map(|attempt| 10_000 + (RandomState::new().hash_one(attempt) % 20_000) as u16)
        .find(|base| {
            (0..4).all(|i| is_free(base + i) && is_free(base + 200 + i) && is_free(base + 400 + i))
        })
        .expect("free ports")
}
