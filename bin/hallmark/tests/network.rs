//! Networks as people run them: made by one operator, or by strangers who share entries only; each
//! validator a process with a folder of its own.

mod support;

use serde_json::Value;
use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::time::{Duration, Instant};
use support::*;

/// The longest that a validator may take to stop.
const STOP: Duration = Duration::from_secs(5);

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_str().expect("UTF-8").to_owned()
}

fn socket(value: &Value) -> SocketAddr {
    let url = value.as_str().expect("an address");
    url.trim_start_matches("http://")
        .parse()
        .expect("an address")
}

fn mode(path: impl AsRef<Path>) -> u32 {
    std::fs::metadata(path)
        .expect("a file")
        .permissions()
        .mode()
        & 0o777
}

#[test]
fn one_operator_runs_watches_stops_and_replays_a_network() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| text(dir.path().join(name));
    let base = base_port().to_string();
    let made = json_of(&[
        "network",
        "init",
        "--validators",
        "4",
        "--out",
        &at("net"),
        "--dev",
        "--base-port",
        &base,
    ]);
    assert_eq!(made["chainId"], 1618);
    assert_eq!(mode(at("net/0")), 0o700);
    assert_eq!(mode(at("net/0/validator.key")), 0o600);
    let nodes = made["nodes"].as_array().expect("nodes");
    let rpcs: Vec<SocketAddr> = nodes.iter().map(|node| socket(&node["rpc"])).collect();
    let metrics: Vec<SocketAddr> = nodes.iter().map(|node| socket(&node["metrics"])).collect();

    // The first tells a service manager that it is ready.
    let notify = at("notify");
    let manager = UnixDatagram::bind(&notify).expect("a socket");
    manager.set_read_timeout(Some(SOON)).expect("a timeout");
    let start = |i: usize| {
        let home = at(&format!("net/{i}"));
        let env = [("NOTIFY_SOCKET", notify.as_str())];
        let env = if i == 0 { &env[..] } else { &[] };
        spawn(&["node", "--home", &home, "--log-format", "json"], env)
    };
    let mut processes: Vec<Process> = (0..4).map(start).collect();
    let told = || {
        let mut bytes = [0; 64];
        let length = manager.recv(&mut bytes).expect("a word");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    assert_eq!(told(), "READY=1");
    wait_height(&rpcs, 3);

    status_and_metrics_tell_the_same(&rpcs, &metrics);
    slow_scrapes_hold_nothing_up(rpcs[1], metrics[1]);

    // Stopping: exit code 0, in time, all data closed.
    for (i, process) in processes.iter_mut().enumerate() {
        let (code, took) = process.terminate();
        assert_eq!(code, Some(0), "validator {i}");
        assert!(took < STOP, "validator {i} took {took:?}");
        if i == 0 {
            assert_eq!(told(), "STOPPING=1");
        }
    }
    processes.clear();

    // The folder is sound; its blocks replay into a new one.
    let checked = json_of(&["db", "check", "--home", &at("net/0")]);
    assert_eq!(checked["faultCount"], 0, "{checked}");
    assert!(checked["certified"].as_u64() >= Some(3));
    let exported = json_of(&["export", "--home", &at("net/0"), &at("blocks")]);
    let replayed = json_of(&[
        "import",
        "--home",
        &at("copy"),
        "--spec",
        &at("net/genesis.json"),
        &at("blocks"),
    ]);
    assert_eq!(replayed["head"], exported["head"]);
    assert_eq!(replayed["stateRoot"], exported["stateRoot"]);
    let copied = json_of(&[
        "db",
        "check",
        "--home",
        &at("copy"),
        "--spec",
        &at("net/genesis.json"),
    ]);
    assert_eq!(copied["height"], exported["to"]);
    let error = refused(&[
        "import",
        "--home",
        &at("copy"),
        "--spec",
        &at("net/genesis.json"),
        &at("net/genesis.json"),
    ]);
    assert!(
        error.contains("genesis.json") && error.contains("not a file of blocks"),
        "{error}"
    );

    // And the network goes on where it stopped.
    let before = checked["height"].as_u64().expect("a height");
    let _again: Vec<Process> = (0..4).map(start).collect();
    wait_height(&rpcs, before + 2);
}

fn status_and_metrics_tell_the_same(rpcs: &[SocketAddr], metrics: &[SocketAddr]) {
    // The engine is asked for its peers once a second.
    let url = format!("http://{}", rpcs[2]);
    let deadline = Instant::now() + SOON;
    let status = loop {
        let status = json_of(&["node", "status", "--rpc", &url]);
        if status["peers"] == 3 {
            break status;
        }
        assert!(
            Instant::now() < deadline,
            "three peers are connected: {status}"
        );
        std::thread::sleep(Duration::from_millis(100));
    };
    assert_eq!(status["chainId"], 1618);
    assert_eq!(status["validatorIndex"], 2);
    assert_eq!(status["syncing"], false);
    assert_eq!(status["epoch"], 0);
    assert!(status["height"].as_u64() >= Some(3));
    assert!(status["tip"].as_u64() >= status["height"].as_u64());
    assert!(status["finalizedAgeMs"].as_u64().expect("an age") < 30_000);
    assert_eq!(rpc(rpcs[2], "net_peerCount"), "0x3");
    rpc(rpcs[2], "no_suchMethod");

    // Sizes of files and the engine's own counters are read every few seconds.
    let unread = [
        "hallmark_store_consensus_bytes 0\n",
        "hallmark_votes_sent_total 0\n",
    ];
    let (code, page) = loop {
        let (code, page) = get(metrics[2], "/metrics").expect("metrics");
        if !unread.iter().any(|line| page.contains(line)) {
            break (code, page);
        }
        assert!(Instant::now() < deadline, "the engine writes: {page}");
        std::thread::sleep(Duration::from_millis(200));
    };
    assert_eq!(code, 200);
    let names = metric_names(&page);
    let value = |name: &str| -> f64 {
        let line = page
            .lines()
            .find(|line| line.split([' ', '{']).next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} is missing:\n{page}"));
        line.rsplit(' ')
            .next()
            .expect("a value")
            .parse()
            .expect("a number")
    };
    assert!(
        names.iter().all(|name| name.starts_with("hallmark_")),
        "{names:?}"
    );
    assert!(value("hallmark_height") >= 3.0);
    assert!(value("hallmark_tip_height") >= 3.0);
    assert_eq!(value("hallmark_peers"), 3.0);
    assert!(value("hallmark_block_interval_seconds_count") >= 2.0);
    assert!(value("hallmark_block_execution_seconds_count") >= 3.0);
    assert!(value("hallmark_votes_sent_total") > 0.0, "{page}");
    assert!(value("hallmark_votes_received_total") > 0.0, "{page}");
    assert!(value("hallmark_store_chain_bytes") > 0.0);
    assert!(value("hallmark_store_consensus_bytes") > 0.0);
    assert!(value("hallmark_process_resident_memory_bytes") > 1e6);
    assert!(value("hallmark_process_cpu_seconds_total") > 0.0);
    assert!(value("hallmark_rpc_latency_seconds_count") > 0.0);
    assert!(page.contains("hallmark_rpc_requests_total{method=\"hallmark_nodeStatus\"}"));
    assert!(page.contains("hallmark_rpc_requests_total{method=\"unknown\"} 1"));
    assert!(page.contains("hallmark_rpc_errors_total{code=\"-32601\"} 1"));

    let (code, engine) = get(metrics[2], "/metrics/engine").expect("the engine's metrics");
    assert_eq!(code, 200);
    assert!(engine.contains("directory_connected{"), "{engine}");
    for (path, expected) in [("/health", 200), ("/ready", 200), ("/nothing", 404)] {
        let (code, body) = get(metrics[2], path).expect("an answer");
        assert_eq!(code, expected, "{path}: {body}");
        serde_json::from_str::<Value>(&body).expect("JSON");
    }
    let post =
        "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    assert_eq!(http(metrics[2], post).expect("an answer").0, 405);
    dashboard_names_what_is_measured(&names);
}

/// Names of the samples on a page.
fn metric_names(page: &str) -> BTreeSet<&str> {
    page.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .filter_map(|line| line.split([' ', '{']).next())
        .collect()
}

/// Every metric that the dashboard asks for exists.
fn dashboard_names_what_is_measured(names: &BTreeSet<&str>) {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../docs/operations/grafana.json"
    );
    let dashboard: Value =
        serde_json::from_str(&std::fs::read_to_string(path).expect("a dashboard")).expect("JSON");
    let mut asked = BTreeSet::new();
    for panel in dashboard["panels"].as_array().expect("panels") {
        for target in panel["targets"].as_array().into_iter().flatten() {
            let query = target["expr"].as_str().expect("a query");
            let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let found: Vec<&str> = words.filter(|word| word.starts_with("hallmark_")).collect();
            assert!(!found.is_empty(), "{query}");
            asked.extend(found.into_iter().map(str::to_owned));
        }
    }
    assert!(asked.len() >= 10);
    for name in &asked {
        assert!(
            names.contains(name.as_str()),
            "{name} is not measured: {names:?}"
        );
    }
}

/// Readers that never ask take every place; blocks go on, and the places come back.
fn slow_scrapes_hold_nothing_up(rpc: SocketAddr, metrics: SocketAddr) {
    let _silent: Vec<TcpStream> = (0..32)
        .map(|_| TcpStream::connect(metrics).expect("a connection"))
        .collect();
    let before = height(rpc);
    wait_height(&[rpc], before + 4);
    assert_eq!(get(metrics, "/health").expect("an answer").0, 200);
}

#[test]
fn strangers_make_a_network_from_entries_alone() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| text(dir.path().join(name));
    std::fs::write(at("password"), "correct horse\n").expect("a password");
    let password = ["--password-file", &at("password")];
    let chain = "77001";
    let base = base_port();
    let mut accounts = Vec::new();
    for i in 0..4u16 {
        let home = at(&format!("v{i}"));
        let made = json_of(&[&["keys", "new", &home, "--validator"][..], &password].concat());
        assert_eq!(made["encrypted"], true);
        accounts.push(made["address"].as_str().expect("an address").to_owned());
        let address = format!("localhost:{}", base + i);
        let entry = hallmark(
            &[
                &[
                    "network",
                    "entry",
                    "--home",
                    &home,
                    "--address",
                    &address,
                    "--chain-id",
                    chain,
                ][..],
                &password,
            ]
            .concat(),
        );
        assert!(
            entry.status.success(),
            "{}",
            String::from_utf8_lossy(&entry.stderr)
        );
        std::fs::write(at(&format!("entry-{i}.json")), entry.stdout).expect("an entry");
    }
    let entries: Vec<String> = (0..4).map(|i| at(&format!("entry-{i}.json"))).collect();
    let fund = format!("{}=1000.5", accounts[0]);
    let treasury = "0x00000000000000000000000000000000000071e5";
    let build = |order: [usize; 4], out: &str| {
        let mut args = vec!["network", "genesis"];
        args.extend(order.iter().map(|i| entries[*i].as_str()));
        args.extend([
            "--chain-id",
            chain,
            "--time",
            "1760000000000",
            "--treasury",
            treasury,
            "--fund",
            &fund,
            "--out",
            out,
        ]);
        json_of(&args)
    };
    let (first, second) = (
        build([0, 1, 2, 3], &at("genesis.json")),
        build([3, 1, 0, 2], &at("again.json")),
    );
    assert_eq!(first["hash"], second["hash"]);
    assert_eq!(
        std::fs::read(at("genesis.json")).unwrap(),
        std::fs::read(at("again.json")).unwrap()
    );
    let genesis = at("genesis.json");
    let check = |names: &[&str]| {
        [&["network", "check", &genesis][..], names]
            .concat()
            .iter()
            .map(|s| (*s).to_owned())
            .collect::<Vec<_>>()
    };
    let all: Vec<&str> = entries.iter().map(String::as_str).collect();
    let args = check(&all);
    assert_eq!(
        json_of(&args.iter().map(String::as_str).collect::<Vec<_>>())["hash"],
        first["hash"]
    );
    let args = check(&all[..3]);
    let error = refused(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert!(error.contains("has no entry"), "{error}");

    let mut rpcs = Vec::new();
    for i in 0..4u16 {
        let at_port = |step: u16| format!("127.0.0.1:{}", base + step + i);
        let home = at(&format!("v{i}"));
        let (listen, rpc, metrics) = (at_port(0), at_port(200), at_port(400));
        let mut args = vec!["network", "join"];
        args.extend(&all);
        args.extend([
            "--home",
            &home,
            "--genesis",
            &genesis,
            "--listen",
            &listen,
            "--rpc",
            &rpc,
            "--metrics",
            &metrics,
        ]);
        args.extend(password);
        assert_eq!(json_of(&args)["hash"], first["hash"]);
        rpcs.push(rpc.parse::<SocketAddr>().expect("an address"));
    }
    let _nodes: Vec<Process> = (0..4)
        .map(|i| spawn(&["node", "--home", &at(&format!("v{i}"))], &[]))
        .collect();
    wait_height(&rpcs, 3);
    assert_eq!(rpc(rpcs[3], "eth_chainId"), "0x12cc9");
}

#[test]
fn bad_input_is_refused_with_what_and_where() {
    let dir = tempfile::tempdir().expect("a folder");
    let at = |name: &str| text(dir.path().join(name));
    let init = |name: &str, more: &[&str]| {
        let base = base_port().to_string();
        let out = at(name);
        json_of(
            &[
                &[
                    "network",
                    "init",
                    "--validators",
                    "1",
                    "--out",
                    &out,
                    "--base-port",
                    &base,
                ][..],
                more,
            ]
            .concat(),
        )
    };
    init("net", &["--dev"]);
    let home = at("net/0");
    std::fs::write(at("password"), "one\n").expect("a password");
    std::fs::write(at("wrong"), "two\n").expect("a password");
    let public = init(
        "public",
        &["--chain-id", "77002", "--password-file", &at("password")],
    );
    assert_eq!(public["encrypted"], true);

    // The folder gets a chain; what the node logs is JSON, a line each.
    let mut node = std::process::Command::new(env!("CARGO_BIN_EXE_hallmark"))
        .args(["node", "--home", &home, "--log-format", "json", "-v"])
        .env_remove("RUST_LOG")
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .map(Process)
        .expect("hallmark runs");
    let log = std::io::BufReader::new(node.0.stderr.take().expect("piped"));
    let mut lines = std::io::BufRead::lines(log).map(|line| line.expect("text"));
    let parse = |line: String| -> Value {
        serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
    };
    let started = lines
        .by_ref()
        .map(parse)
        .find(|line| line["fields"]["message"] == "validator started")
        .expect("a line that says so");
    assert_eq!(started["level"], "INFO");
    assert!(started["fields"]["home"].is_string());
    let rest = std::thread::spawn(move || lines.for_each(|line| drop(parse(line))));
    assert_eq!(node.terminate().0, Some(0));
    rest.join().expect("every line is JSON");

    let config = std::fs::read_to_string(at("net/0/node.toml")).expect("a configuration");
    let spec: Value =
        serde_json::from_str(&std::fs::read_to_string(at("net/genesis.json")).expect("a spec"))
            .expect("JSON");
    let write = |name: &str, text: String| {
        let path = at(name);
        std::fs::create_dir_all(Path::new(&path).parent().expect("a folder")).expect("a folder");
        std::fs::write(&path, text).expect("a file");
    };
    let variant = |name: &str, edit: &dyn Fn(&mut Value)| {
        let mut spec = spec.clone();
        edit(&mut spec);
        write(name, spec.to_string());
    };
    write("unknown/node.toml", format!("lisen = 1\n{config}"));
    variant("other.json", &|spec| {
        spec["genesis_timestamp_ms"] = 1.into()
    });
    variant("treasury.json", &|spec| {
        spec["treasury"] = "0x00000000000000000000000000000000000071e5".into()
    });
    variant("relabelled.json", &|spec| spec["chain_id"] = 77_002.into());
    variant("misspelt.json", &|spec| spec["chainid"] = 1.into());
    variant("zero.json", &|spec| spec["chain_id"] = 0.into());
    write("notes.key", "not a key".into());
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let taken = taken.local_addr().expect("an address").to_string();

    let (net, public_home) = (home.as_str(), at("public/0"));
    let file = |name: &str| at(name);
    let cases: Vec<(Vec<String>, Vec<&str>)> = [
        (
            vec!["node", "status", "--rpc", "http://127.0.0.1:1"],
            vec!["no node answers at http://127.0.0.1:1"],
        ),
        (
            vec!["node", "--home", &at("empty")],
            vec!["--spec", "node.toml", "empty"],
        ),
        (
            vec!["node", "--home", &at("unknown")],
            vec!["unknown/node.toml", "line 1", "unknown field `lisen`"],
        ),
        (
            vec!["node", "--home", net, "--spec", &file("other.json")],
            vec!["net/0", "another chain"],
        ),
        (
            vec!["node", "--home", net, "--spec", &file("treasury.json")],
            vec!["net/0"],
        ),
        (
            vec!["node", "--home", net, "--spec", &file("relabelled.json")],
            vec!["relabelled.json", "development key", "77002"],
        ),
        (
            vec!["node", "--home", net, "--spec", &file("misspelt.json")],
            vec!["misspelt.json", "unknown field `chainid`"],
        ),
        (
            vec!["node", "--home", net, "--spec", &file("zero.json")],
            vec!["zero.json", "chain_id"],
        ),
        (
            vec!["node", "--home", net, "--spec", &file("absent.json")],
            vec!["absent.json", "No such file"],
        ),
        (
            vec!["node", "--home", net, "--validator-key", &file("notes.key")],
            vec!["notes.key", "not a key file"],
        ),
        (
            vec![
                "node",
                "--home",
                net,
                "--validator-key",
                &file("absent.key"),
            ],
            vec!["absent.key"],
        ),
        (
            vec!["node", "--home", net, "--rpc", &taken],
            vec![&taken, "JSON-RPC"],
        ),
        (
            vec!["node", "--home", net, "--listen", &taken],
            vec![&taken, "validators"],
        ),
        (
            vec!["node", "--home", net, "--metrics", &taken],
            vec![&taken, "metrics"],
        ),
        (
            vec![
                "node",
                "--home",
                &public_home,
                "--password-file",
                &file("wrong"),
            ],
            vec!["validator.key", "wrong password"],
        ),
        (
            vec![
                "node",
                "--home",
                &public_home,
                "--validator-key",
                &file("public/0/account.key"),
                "--password-file",
                &file("password"),
            ],
            vec!["account.key", "account's key"],
        ),
        (
            vec![
                "node",
                "--home",
                &public_home,
                "--validator-key",
                &file("net/0/validator.key"),
            ],
            vec!["development key", "77002"],
        ),
        (
            vec!["network", "init", "--out", &file("net"), "--dev"],
            vec!["net", "already"],
        ),
        (
            vec![
                "network",
                "init",
                "--out",
                &file("new"),
                "--dev",
                "--chain-id",
                "5",
            ],
            vec!["1618", "5"],
        ),
        (
            vec![
                "network",
                "init",
                "--out",
                &file("new"),
                "--dev",
                "--fund",
                "0x1=1",
            ],
            vec!["--fund", "0x1"],
        ),
        (
            vec![
                "network",
                "check",
                &file("net/genesis.json"),
                &file("net/genesis.json"),
            ],
            vec!["genesis.json", "no entry"],
        ),
        (
            vec!["db", "check", "--home", &file("public/0")],
            vec!["public/0", "no database"],
        ),
        (
            vec!["db", "check", "--home", net, "--spec", &file("other.json")],
            vec!["another chain"],
        ),
        (
            vec!["export", "--home", net, "--from", "0", &file("out")],
            vec!["out", "first block is 1"],
        ),
        (
            vec![
                "import",
                "--home",
                net,
                "--spec",
                &file("net/genesis.json"),
                &file("absent"),
            ],
            vec!["absent"],
        ),
    ]
    .into_iter()
    .map(|(args, words): (Vec<&str>, Vec<&str>)| {
        (args.into_iter().map(str::to_owned).collect(), words)
    })
    .collect();
    for (args, words) in cases {
        let error = refused(&args.iter().map(String::as_str).collect::<Vec<_>>());
        for word in words {
            assert!(error.contains(word), "{args:?}: {error}");
        }
    }
    // Bad usage is told from failure.
    for args in [
        &["node"][..],
        &["node", "--home", net, "--peer", "x"],
        &["network", "init"],
        &["network", "init", "--out", "x", "--validators", "0"],
    ] {
        assert_eq!(hallmark(args).status.code(), Some(2), "{args:?}");
    }
    // Nothing above has hurt the folder.
    let sound = json_of(&["db", "check", "--home", net]);
    assert_eq!(sound["faultCount"], 0);
}
