mod steps;

use super::*;
use alloy_primitives::{address, b256};
use hallmark_fixed::Q64;
use hallmark_mechanisms::wire::{
    encode_forecast, encode_inference, encode_losses, encode_truth, encode_weights,
};

fn submission() -> Submission {
    Submission {
        topic: U256::from(3),
        epoch: 7,
        mechanism: 1,
        slot: 5,
    }
}

/// An answer of a topic that takes any value.
fn payload(value: i64) -> Payload {
    let policy = TopicPlan::of_kind("any", Kind::Synthesis).unwrap().policy;
    let bytes = encode_inference(Q64::from_int(value));
    Payload::check(submission(), Kind::Synthesis, Role::Worker, &policy, &bytes).unwrap()
}

const OPERATOR: Address = address!("00000000000000000000000000000000000000aa");

#[test]
fn a_commitment_hashes_chain_place_operator_salt_and_answer() {
    let salt = B256::repeat_byte(9);
    let of = |submission, operator, salt, payload: &[u8]| {
        commitment(1618, submission, operator, salt, payload)
    };
    let it = of(submission(), OPERATOR, salt, b"21");
    // abi.encode of eight words, written out.
    let mut words = Vec::new();
    for number in [1618u64, 3, 7, 1, 5, 0xaa] {
        words.extend(U256::from(number).to_be_bytes::<32>());
    }
    words.extend(salt.0);
    words.extend(keccak256(b"21").0);
    assert_eq!(it, keccak256(&words));
    let mut elsewhere = submission();
    elsewhere.slot = 6;
    for other in [
        of(elsewhere, OPERATOR, salt, b"21"),
        of(submission(), Address::ZERO, salt, b"21"),
        of(submission(), OPERATOR, B256::ZERO, b"21"),
        of(submission(), OPERATOR, salt, b"22"),
        commitment(1, submission(), OPERATOR, salt, b"21"),
    ] {
        assert_ne!(it, other);
    }
}

#[test]
fn a_test_set_is_committed_under_a_salt() {
    let mut words = vec![1; 32];
    words.extend(keccak256(b"set").0);
    assert_eq!(
        test_set_commitment(B256::repeat_byte(1), b"set"),
        keccak256(&words)
    );
}

#[test]
fn an_answer_survives_on_disk_and_keeps_its_salt() {
    let folder = tempfile::tempdir().unwrap();
    let genesis = B256::repeat_byte(3);
    let store = SaltStore::open(folder.path(), genesis).unwrap();
    let first = store
        .prepare(1618, OPERATOR, submission(), &payload(21))
        .unwrap();
    let again = SaltStore::open(folder.path(), genesis).unwrap();
    assert_eq!(
        again
            .prepare(1618, OPERATOR, submission(), &payload(21))
            .unwrap(),
        first
    );
    assert_eq!(
        again.find(1618, OPERATOR, submission()).unwrap(),
        std::slice::from_ref(&first)
    );
    // Another answer gets another file, and nothing is overwritten.
    let other = again
        .prepare(1618, OPERATOR, submission(), &payload(22))
        .unwrap();
    assert_ne!(other.salt, first.salt);
    assert_eq!(again.find(1618, OPERATOR, submission()).unwrap().len(), 2);
    let mut elsewhere = submission();
    elsewhere.epoch = 70;
    assert!(again.find(1618, OPERATOR, elsewhere).unwrap().is_empty());
    // Another chain of the same id has its own.
    let fork = SaltStore::open(folder.path(), B256::ZERO).unwrap();
    assert!(fork.find(1618, OPERATOR, submission()).unwrap().is_empty());
    let shown = format!("{first:?}");
    assert!(!shown.contains(&first.salt.to_string()), "{shown}");
    assert!(!shown.contains(&format!("{:?}", first.payload)), "{shown}");
}

#[cfg(unix)]
#[test]
fn salts_are_for_their_owner_only() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let store = SaltStore::open(&folder.path().join("salts"), B256::ZERO).unwrap();
    store
        .prepare(1618, OPERATOR, submission(), &payload(21))
        .unwrap();
    let dir = std::fs::read_dir(folder.path().join("salts"))
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode(&dir) & 0o777, 0o700);
    for file in std::fs::read_dir(&dir).unwrap() {
        let path = file.unwrap().path();
        assert_eq!(mode(&path) & 0o777, 0o600);
        assert!(path.to_string_lossy().ends_with(".json"));
    }
}

#[test]
fn a_file_that_opens_nothing_is_named_and_not_shown() {
    let folder = tempfile::tempdir().unwrap();
    let store = SaltStore::open(folder.path(), B256::ZERO).unwrap();
    store
        .prepare(1618, OPERATOR, submission(), &payload(21))
        .unwrap();
    let dir = std::fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let path = std::fs::read_dir(dir)
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let text = std::fs::read_to_string(&path).unwrap();
    for broken in [
        text.replace("1618", "1619"),
        text.replace("\"version\":1", "\"version\":2"),
        "{".to_owned(),
        String::new(),
    ] {
        std::fs::write(&path, broken).unwrap();
        let refused = store.find(1618, OPERATOR, submission()).unwrap_err();
        assert!(matches!(refused, SaltError::Malformed { .. }), "{refused}");
    }
}

#[test]
fn an_answer_that_the_contract_would_refuse_gets_no_salt() {
    let mut policy = TopicPlan::of_kind("a number", Kind::Synthesis)
        .unwrap()
        .policy;
    policy.value_min = Q64::from_int(-5).to_bits();
    policy.value_max = "100.5".parse::<Q64>().unwrap().to_bits();
    policy.max_workers = 4;
    let said = |kind, role, bytes: &[u8]| {
        let checked = Payload::check(submission(), kind, role, &policy, bytes);
        checked.map(drop).map_err(|fault| fault.to_string())
    };
    let q = Q64::from_int;
    for (kind, role, bytes) in [
        (Kind::Synthesis, Role::Worker, encode_inference(q(-5))),
        (
            Kind::Synthesis,
            Role::Forecaster,
            encode_forecast(&[(3, q(-1_000))]),
        ),
        (Kind::Synthesis, Role::Reputer, encode_truth(q(100))),
        (Kind::Yuma, Role::Worker, encode_weights(&[(0, 1), (3, 9)])),
        (Kind::Yuma, Role::Worker, Vec::new()),
        (Kind::Score, Role::Worker, vec![7; 32]),
    ] {
        assert_eq!(said(kind, role, &bytes), Ok(()));
    }
    let long: Vec<(u16, u16)> = (0..257).map(|slot| (slot, 1)).collect();
    for (kind, role, bytes, part) in [
        (
            Kind::Synthesis,
            Role::Worker,
            encode_inference(q(101)),
            "101 is outside the topic's range of -5 to 100.5",
        ),
        (
            Kind::Synthesis,
            Role::Reputer,
            encode_truth(q(-6)),
            "-6 is outside the topic's range of -5 to 100.5",
        ),
        (
            Kind::Synthesis,
            Role::Forecaster,
            encode_forecast(&[(4, q(0))]),
            "there is no slot 4: the topic has 4 of workers",
        ),
        (
            Kind::Yuma,
            Role::Worker,
            encode_weights(&[(4, 1)]),
            "there is no slot 4",
        ),
        (
            Kind::Yuma,
            Role::Worker,
            encode_weights(&long),
            "it has 1028 bytes, at most 1024",
        ),
        (
            Kind::Synthesis,
            Role::Reputer,
            encode_losses(&[None]),
            "1 losses for the",
        ),
        (
            Kind::Yuma,
            Role::Reputer,
            Vec::new(),
            "a reputer takes no part in yuma",
        ),
        (Kind::Score, Role::Worker, vec![7; 31], "32 bytes, not 31"),
    ] {
        let refused = said(kind, role, &bytes).unwrap_err();
        assert!(refused.contains(part), "{refused}");
        assert!(refused.contains("slot 5 of topic 3"), "{refused}");
    }
    assert_eq!(
        MAX_PAYLOAD_BYTES,
        hallmark_contracts::topics::MAX_PAYLOAD_BYTES
    );
}

#[test]
fn names_of_kinds_roles_and_stages_are_read_back() {
    for kind in [Kind::Yuma, Kind::Synthesis, Kind::Score] {
        assert_eq!(kind.to_string().parse(), Ok(kind));
        assert_eq!(Kind::from_abi(kind.to_abi()).unwrap(), kind);
    }
    for role in [Role::Worker, Role::Forecaster, Role::Reputer] {
        assert_eq!(role.to_string().parse(), Ok(role));
        assert_eq!(Role::from_abi(role.to_abi()).unwrap(), role);
    }
    for stage in 0..8 {
        let stage = Stage::try_from(stage).unwrap();
        assert_eq!(stage.to_string().parse(), Ok(stage));
        let abi = ITopics::Stage::try_from(stage as u8).unwrap();
        assert_eq!(Stage::from_abi(abi).unwrap(), stage);
    }
    assert!(Stage::try_from(8).is_err());
    let wrong = "miner".parse::<Role>().unwrap_err().to_string();
    assert_eq!(
        wrong,
        "`miner` is not a role; there are worker, forecaster and reputer"
    );
}

#[test]
fn an_error_of_topics_is_shown_by_name() {
    use alloy_sol_types::SolError;
    let late = ITopics::TooLate {
        closedAtMs: 5,
        nowMs: 6,
    };
    assert_eq!(
        crate::Revert::decode(&late.abi_encode()).to_string(),
        "TooLate(5, 6)"
    );
    let range = ITopics::ValueOutOfRange {
        value: -1,
        least: 0,
        greatest: 2,
    };
    assert_eq!(
        crate::Revert::decode(&range.abi_encode()).to_string(),
        "ValueOutOfRange(-1, 0, 2)"
    );
    let hash = b256!("1111111111111111111111111111111111111111111111111111111111111111");
    let young = ITopics::ModelTooYoung { model: hash };
    assert!(
        crate::Revert::decode(&young.abi_encode())
            .to_string()
            .contains("1111")
    );
}

mod programs {
    use super::super::{
        program::Program,
        work::{Answerer, Question, Reply},
    };
    use std::time::{Duration, Instant};

    const LIMIT: Duration = Duration::from_secs(20);

    fn question() -> Question {
        Question::Inference {
            topic: 1,
            epoch: 7,
            slot: 0,
        }
    }

    async fn ask(program: &mut Program) -> Result<Reply, String> {
        program.answer(&question(), LIMIT).await
    }

    /// A program that answers every question with one line.
    fn saying(line: &str) -> Program {
        Program::new(format!(
            "sh -c 'while read q; do echo \"$0\"; done' '{line}'"
        ))
    }

    #[tokio::test]
    async fn a_line_of_json_is_an_answer_and_the_program_is_kept() {
        let mut program = Program::new(
            "sh -c 'n=0; while read q; do n=$((n+1)); echo \"{\\\"value\\\": $n.5}\"; done'",
        );
        for n in 1..=3 {
            let reply = ask(&mut program).await.unwrap();
            let expected = format!("{n}.5").parse().unwrap();
            assert_eq!(reply, Reply::value(expected));
            assert!(reply.payload(&question()).unwrap().is_some());
        }
    }

    #[tokio::test]
    async fn garbage_is_refused_with_what_was_said() {
        for (line, part) in [
            ("hello", "hello"),
            ("[1,2]", "not an answer"),
            ("{\"val\": 1}", "val"),
            ("{\"value\": 1e30}", "not an answer"),
            ("", "not an answer"),
        ] {
            let refused = ask(&mut saying(line)).await.unwrap_err();
            assert!(refused.contains(part), "{line}: {refused}");
        }
        // Control characters do not reach a terminal.
        let refused = ask(&mut saying("\u{1b}[2J")).await.unwrap_err();
        assert!(!refused.contains('\u{1b}'), "{refused}");
    }

    #[tokio::test]
    async fn an_answer_to_another_question_is_refused() {
        let reply = ask(&mut saying("{\"truth\": 1}")).await.unwrap();
        let refused = reply.payload(&question()).unwrap_err();
        assert_eq!(refused, "`value` was asked, the answer has `truth`");
        let reply = ask(&mut saying("{\"value\": 1, \"skip\": true}")).await;
        assert!(reply.unwrap().payload(&question()).is_err());
        let reply = ask(&mut saying("{\"skip\": true}")).await.unwrap();
        assert_eq!(reply.payload(&question()), Ok(None));
        let reply = ask(&mut saying("{}")).await.unwrap();
        assert!(reply.payload(&question()).unwrap_err().contains("value"));
    }

    #[tokio::test]
    async fn a_silent_program_is_killed_at_its_limit_and_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let mark = folder.path().join("started");
        // Silent at its first start, an answer from the second on.
        let script = format!(
            "sh -c 'if [ -e {0} ]; then while read q; do echo \"{{\\\"value\\\": 2}}\"; done; fi; touch {0}; exec sleep 1000'",
            mark.display()
        );
        let mut program = Program::new(script);
        let start = Instant::now();
        let limit = Duration::from_secs(1);
        let refused = program.answer(&question(), limit).await.unwrap_err();
        assert_eq!(refused, "no answer within 1000 ms");
        assert!(start.elapsed() < Duration::from_secs(10));
        assert_eq!(
            ask(&mut program).await.unwrap(),
            Reply::value("2".parse().unwrap())
        );
    }

    #[tokio::test]
    async fn an_ended_program_and_one_that_does_not_exist_say_so() {
        let refused = ask(&mut Program::new("exit 3")).await.unwrap_err();
        assert_eq!(refused, "the program ended (exit status: 3)");
        let refused = ask(&mut Program::new("/no/such/program")).await;
        assert_eq!(refused.unwrap_err(), "the program ended (exit status: 127)");
    }

    #[tokio::test]
    async fn a_line_too_many_never_answers_the_next_question() {
        // Each question gets the epoch that it names, twice.
        let mut program =
            Program::new("while read q; do echo '{\"value\": 1}'; echo '{\"value\": 1}'; done");
        assert!(ask(&mut program).await.is_ok());
        tokio::time::sleep(Duration::from_millis(300)).await;
        let refused = ask(&mut program).await.unwrap_err();
        assert!(refused.contains("more than one line"), "{refused}");
        assert!(refused.contains("{\"value\": 1}"), "{refused}");
        // Started again, it answers the question that it is asked.
        assert!(ask(&mut program).await.is_ok());
    }

    #[tokio::test]
    async fn an_answer_for_another_epoch_is_refused() {
        let reply = ask(&mut saying("{\"value\": 1, \"epoch\": 7}")).await;
        assert!(reply.unwrap().payload(&question()).unwrap().is_some());
        let late = ask(&mut saying("{\"value\": 1, \"epoch\": 6}")).await;
        assert_eq!(
            late.unwrap_err(),
            "the answer is for epoch 6, epoch 7 was asked"
        );
    }

    #[tokio::test]
    async fn a_command_is_read_by_the_shell_in_full() {
        let folder = tempfile::tempdir().unwrap();
        let script = "while read q; do echo '{\"value\": 4}'; done\n";
        std::fs::write(folder.path().join("answer.sh"), script).unwrap();
        let place = folder.path().display();
        for command in [
            format!("cd {place} && sh answer.sh"),
            format!("true; sh {place}/answer.sh"),
            format!("WHERE={place}; sh $WHERE/answer.sh | cat"),
        ] {
            let reply = ask(&mut Program::new(&command)).await;
            assert_eq!(reply, Ok(Reply::value("4".parse().unwrap())), "{command}");
        }
    }

    /// Processes that have these words as their command line.
    #[cfg(target_os = "linux")]
    fn alive(words: &[&str]) -> usize {
        let wanted: Vec<u8> = words
            .iter()
            .flat_map(|w| [w.as_bytes(), b"\0"].concat())
            .collect();
        let processes = std::fs::read_dir("/proc").unwrap();
        let lines = processes.filter_map(|p| std::fs::read(p.ok()?.path().join("cmdline")).ok());
        lines.filter(|line| *line == wanted).count()
    }

    #[cfg(target_os = "linux")]
    async fn all_end(words: &[&str]) {
        let start = Instant::now();
        while alive(words) > 0 {
            assert!(start.elapsed() < LIMIT, "{words:?} is still alive");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    #[cfg(target_os = "linux")]
    #[tokio::test]
    async fn no_grandchild_outlives_its_program() {
        // A length of sleep that no other process has.
        let own = std::process::id();
        let length = |n: u32| format!("{}", 900_000 + own * 4 + n);
        let answers = "while read q; do echo '{\"value\": 1}'; done";
        let start = async |n: u32| {
            let mut program =
                Program::new(format!("sleep {} | cat >/dev/null & {answers}", length(n)));
            assert!(ask(&mut program).await.is_ok());
            // The shell may answer before the other process is what it will be.
            while alive(&["sleep", &length(n)]) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            program
        };
        let mut stopped = start(0).await;
        stopped.stop().await;
        all_end(&["sleep", &length(0)]).await;
        drop(start(1).await);
        all_end(&["sleep", &length(1)]).await;
        // One that ends by itself and leaves another behind.
        let left = format!("sleep {} >/dev/null & read q; exit 5", length(2));
        let refused = ask(&mut Program::new(left)).await.unwrap_err();
        assert_eq!(refused, "the program ended (exit status: 5)");
        all_end(&["sleep", &length(2)]).await;
        // One that is silent beyond its limit.
        let mut silent = Program::new(format!("sleep {} | cat", length(3)));
        let refused = silent.answer(&question(), Duration::from_secs(1)).await;
        assert!(refused.is_err());
        all_end(&["sleep", &length(3)]).await;
    }

    #[tokio::test]
    async fn pauses_grow_and_are_told_when_they_do_not_fit_the_limit() {
        let mut program = Program::new("exit 1");
        for _ in 0..3 {
            let refused = ask(&mut program).await.unwrap_err();
            assert_eq!(refused, "the program ended (exit status: 1)");
        }
        let limit = Duration::from_millis(50);
        let refused = program.answer(&question(), limit).await.unwrap_err();
        assert!(refused.contains("failed 3 times"), "{refused}");
    }

    #[tokio::test]
    async fn a_line_without_end_is_bounded() {
        let mut program = Program::new("yes x | tr -d '\\n'");
        let refused = ask(&mut program).await.unwrap_err();
        assert!(refused.contains("a line of more than"), "{refused}");
    }

    #[tokio::test]
    async fn the_example_in_python_answers() {
        let python = std::process::Command::new("python3")
            .arg("--version")
            .output();
        if !python.is_ok_and(|output| output.status.success()) {
            println!("skipped: there is no python3 here");
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let series = folder.path().join("series.txt");
        std::fs::write(&series, "419.5\n420.25\n").unwrap();
        let example = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/examples/worker.py");
        let mut program = Program::new(format!("python3 {example} {}", series.display()));
        for _ in 0..2 {
            let reply = ask(&mut program).await.unwrap();
            assert_eq!(reply, Reply::value("421".parse().unwrap()));
        }
        let truth = Question::Truth {
            topic: 1,
            epoch: 7,
            slot: 0,
        };
        let reply = program.answer(&truth, LIMIT).await.unwrap();
        assert_eq!(reply.payload(&truth), Ok(None));
    }
}

/// A node that answers as a test wants it to.
mod node {
    use serde_json::{Value, json};
    use std::sync::{Arc, Mutex};
    use tokio::{
        io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
        net::{TcpListener, TcpStream},
    };

    /// A result, or an error's code and message; a message `0x…` is what a contract reverted with.
    pub type Said = Result<Value, (i64, &'static str)>;

    pub struct Double {
        pub url: String,
        asked: Arc<Mutex<Vec<(String, Value)>>>,
    }

    impl Double {
        /// `answer` gets method and parameters; chain id 1618 is answered here.
        pub async fn start(answer: impl FnMut(&str, &Value) -> Said + Send + 'static) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let asked = Arc::new(Mutex::new(Vec::new()));
            let (seen, answer) = (asked.clone(), Arc::new(Mutex::new(answer)));
            let say = move |method: &str, params: &Value| {
                if method == "eth_chainId" {
                    return Ok(json!("0x652"));
                }
                let mut seen = seen.lock().unwrap();
                seen.push((method.to_owned(), params.clone()));
                (answer.lock().unwrap())(method, params)
            };
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, say.clone()));
                }
            });
            Self { url, asked }
        }

        /// Methods that were asked for, in order.
        pub fn methods(&self) -> Vec<String> {
            let asked = self.asked.lock().unwrap();
            asked.iter().map(|(method, _)| method.clone()).collect()
        }

        /// First and last block of every search for events.
        pub fn searched(&self) -> Vec<(u64, u64)> {
            let asked = self.asked.lock().unwrap();
            let searches = asked.iter().filter(|(method, _)| method == "eth_getLogs");
            searches.map(|(_, params)| range(params)).collect()
        }
    }

    /// The blocks of a search.
    pub fn range(params: &Value) -> (u64, u64) {
        let number = |name: &str| {
            let text = params[0][name].as_str().unwrap().trim_start_matches("0x");
            u64::from_str_radix(text, 16).unwrap()
        };
        (number("fromBlock"), number("toBlock"))
    }

    async fn serve(
        stream: TcpStream,
        say: impl Fn(&str, &Value) -> Said,
    ) -> Result<(), std::io::Error> {
        let mut stream = BufReader::new(stream);
        loop {
            let mut length = 0;
            loop {
                let mut line = String::new();
                if stream.read_line(&mut line).await? == 0 {
                    return Ok(());
                }
                let line = line.trim().to_ascii_lowercase();
                if let Some(text) = line.strip_prefix("content-length:") {
                    length = text.trim().parse().unwrap();
                }
                if line.is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).await?;
            let request: Value = serde_json::from_slice(&body).unwrap();
            let said = say(request["method"].as_str().unwrap(), &request["params"]);
            let mut reply = json!({ "jsonrpc": "2.0", "id": request["id"] });
            match said {
                Ok(result) => reply["result"] = result,
                Err((code, message)) => {
                    reply["error"] = json!({ "code": code, "message": message });
                    if message.starts_with("0x") {
                        reply["error"] =
                            json!({ "code": 3, "message": "execution reverted", "data": message });
                    }
                }
            }
            let reply = reply.to_string();
            let head = format!(
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                reply.len()
            );
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(reply.as_bytes()).await?;
            stream.flush().await?;
        }
    }
}

mod searches {
    use super::super::TopicEvent;
    use super::node::{Double, range};
    use crate::Client;
    use alloy_primitives::{B256, U256};
    use alloy_sol_types::SolEvent;
    use hallmark_abi::ITopics;
    use hallmark_types::addresses::TOPICS;
    use serde_json::{Value, json};

    const HEAD: u64 = 5_000;

    /// An event as a node gives it.
    fn log(block: u64, event: &impl SolEvent) -> Value {
        let data = event.encode_log_data();
        json!({
            "address": TOPICS, "topics": data.topics(), "data": data.data,
            "blockNumber": format!("{block:#x}"), "logIndex": "0x0", "removed": false,
            "transactionIndex": "0x0", "transactionHash": B256::ZERO, "blockHash": B256::ZERO,
        })
    }

    fn settled(mechanism: u8) -> ITopics::Settled {
        ITopics::Settled {
            topic: U256::from(1),
            epoch: 1,
            mechanism,
            pay: 0,
            shares: Vec::new(),
            explanation: Vec::new().into(),
        }
    }

    /// A node with events in these blocks, which gives at most `most` blocks at once.
    async fn node(events: Vec<(u64, Value)>, most: u64) -> Double {
        Double::start(move |method, params| {
            if method == "hallmark_sweepLogs" {
                return Err((-32601, "Method not found"));
            }
            assert_eq!(method, "eth_getLogs");
            let (from, to) = range(params);
            if to - from >= most {
                return Err((-32005, "query exceeds the range of so many blocks"));
            }
            let found = events.iter().filter(|event| (from..=to).contains(&event.0));
            Ok(found.map(|event| event.1.clone()).collect())
        })
        .await
    }

    #[tokio::test]
    async fn the_search_for_a_settlement_goes_back_and_stops_at_it() {
        let events = vec![
            (100, log(100, &settled(1))),
            (2_500, log(2_500, &settled(1))),
            (2_600, log(2_600, &settled(0))),
            (4_500, log(4_500, &settled(0))),
        ];
        let node = node(events, 1_000).await;
        let topics = Client::connect(&node.url, None).await.unwrap().topics();
        let topic = U256::from(1);
        let found = topics.since_settlement(topic, 0, 0, HEAD).await.unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(node.searched(), [(4_001, 5_000)]);
        let found = topics.since_settlement(topic, 1, 0, HEAD).await.unwrap();
        let blocks: Vec<u64> = found.iter().map(|log| log.block).collect();
        assert_eq!(blocks, [2_500, 2_600, 4_500]);
        assert!(matches!(&found[0].event, TopicEvent::Settled(e) if e.mechanism == 1));
        assert_eq!(
            node.searched()[1..],
            [(4_001, 5_000), (3_001, 4_000), (2_001, 3_000)]
        );
        // What was looked at before is not looked at again.
        let none = topics.since_settlement(topic, 1, 4_990, HEAD).await;
        assert!(none.unwrap().is_empty());
        assert_eq!(node.searched().last(), Some(&(4_990, 5_000)));
    }

    #[tokio::test]
    async fn a_topics_past_begins_with_its_creation() {
        let created = ITopics::Created {
            topic: U256::from(1),
            owner: TOPICS,
            title: String::new(),
            bond: 1,
        };
        let events = vec![(3_700, log(3_700, &created))];
        let node = node(events, 300).await;
        let topics = Client::connect(&node.url, None).await.unwrap().topics();
        let topic = U256::from(1);
        let found = topics.search_since_creation(topic, HEAD).await.unwrap();
        assert_eq!(found.len(), 1);
        let searched = node.searched();
        // Halved until the node gives so many, and not beyond the creation.
        assert_eq!(searched[..2], [(4_001, 5_000), (4_501, 5_000)]);
        assert_eq!(searched.last().map(|range| range.0 <= 3_700), Some(true));
        assert!(searched.iter().all(|range| range.0 > 3_400), "{searched:?}");
        let all = topics.events(topic, 0, HEAD).await.unwrap();
        assert_eq!(all.len(), 1);
    }

    #[tokio::test]
    async fn what_the_chain_did_by_itself_comes_after_the_transactions_of_its_block() {
        let own = |block, mechanism| {
            let mut log = log(block, &settled(mechanism));
            log["transactionHash"] = Value::Null;
            log["transactionIndex"] = Value::Null;
            log
        };
        let mut most = 20u64;
        let node = Double::start(move |method, params| {
            let (from, to) = range(params);
            let events = match method {
                "eth_getLogs" => vec![(10, log(10, &settled(0))), (12, log(12, &settled(2)))],
                // Its own bound counts too.
                _ if to - from >= most => {
                    most = 8;
                    return Err((-32005, "query returned more than 2 results"));
                }
                _ => vec![(10, own(10, 1)), (15, own(15, 3))],
            };
            let found = events.iter().filter(|event| (from..=to).contains(&event.0));
            Ok(found.map(|event| event.1.clone()).collect())
        })
        .await;
        let topics = Client::connect(&node.url, None).await.unwrap().topics();
        let found = topics.events(U256::from(1), 0, 30).await.unwrap();
        let order: Vec<_> = found
            .iter()
            .map(|log| match &log.event {
                TopicEvent::Settled(e) => (log.block, e.mechanism, log.transaction),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected = [(10, 0), (10, 1), (12, 2), (15, 3)];
        assert_eq!(order, expected.map(|(block, m)| (block, m, B256::ZERO)));
    }

    #[tokio::test]
    async fn only_too_many_blocks_are_asked_for_in_parts() {
        for refusal in [
            (-32005, "server busy: too many calls at once, try again"),
            (-32603, "internal error: it exceeds"),
            (-32000, "header not found"),
        ] {
            let node = Double::start(move |_, _| Err(refusal)).await;
            let topics = Client::connect(&node.url, None).await.unwrap().topics();
            let refused = topics.events(U256::from(1), 0, HEAD).await.unwrap_err();
            assert!(refused.to_string().contains(refusal.1), "{refused}");
            // A busy node is asked again, but for no less.
            let searched = node.searched();
            assert!(
                searched.iter().all(|range| *range == (0, 999)),
                "{searched:?}"
            );
        }
    }
}

mod desks {
    use super::super::{
        Kind, Mechanism, Role, SaltStore, Slot, Stage, Topic, TopicPlan,
        work::{Answerer, Desk, Question, Reply, View},
    };
    use super::node::Double;
    use crate::Client;
    use alloy_primitives::{Address, B256, Bytes, U256};
    use alloy_signer_local::PrivateKeySigner;
    use alloy_sol_types::SolValue;
    use futures::future::BoxFuture;
    use hallmark_abi::ITopics::SlotInfo;
    use serde_json::json;
    use std::time::Duration;

    /// An open topic of Yuma.
    #[test]
    fn who_wants_to_commit_to_a_topic_at_rest_finds_it_open() {
        let mut view = view();
        assert_eq!(view.commit_stage(), (Stage::Open, 60_000));
        view.topic.stage = Stage::Done;
        assert_eq!(view.commit_stage(), (Stage::Done, 60_000), "not yet due");
        view.now_ms = 60_000;
        let open = view.topic.policy.open_ms;
        assert_eq!(view.commit_stage(), (Stage::Open, open));
        view.topic.retired = true;
        assert_eq!(view.commit_stage(), (Stage::Done, 0));
        view.topic.retired = false;
        view.topic.stage = Stage::Sealed;
        assert_eq!(view.commit_stage(), (Stage::Sealed, 0), "under way");
    }

    pub fn view() -> View {
        let plan = TopicPlan::of_kind("who works best", Kind::Yuma).unwrap();
        let topic = Topic {
            id: U256::from(1),
            owner: Address::ZERO,
            title: plan.title,
            policy: plan.policy,
            bond: 0,
            created_at_ms: 0,
            epoch: 7,
            stage: Stage::Open,
            stage_end_ms: 60_000,
            slot_count: 1,
            slot_price: 0,
            burned: 0,
            paid: 0,
            granted: 0,
            stake: 0,
            weight: 0,
            retired: false,
        };
        let mechanism = Mechanism {
            kind: Kind::Yuma,
            share_bps: 10_000,
            params: Bytes::new(),
        };
        View {
            topic,
            mechanisms: vec![mechanism],
            now_ms: 0,
        }
    }

    /// A held slot of a worker.
    pub fn slot(index: u16, operator: Address) -> Slot {
        Slot {
            index,
            operator,
            role: Role::Worker,
            bond: 0,
            registered_at_ms: 0,
            last_submit_ms: 0,
            emission_ema: 0,
            share_billionths: 0,
            score: 0,
            permit: true,
            pool: U256::from(1),
            stake: 0,
            take_bps: 0,
            unrevealed: 0,
        }
    }

    struct Counting(usize);

    impl Answerer for Counting {
        fn answer<'a>(
            &'a mut self,
            _: &'a Question,
            _: Duration,
        ) -> BoxFuture<'a, Result<Reply, String>> {
            self.0 += 1;
            let skip = Reply {
                skip: Some(true),
                ..Reply::default()
            };
            Box::pin(async move { Ok(skip) })
        }
    }

    #[tokio::test]
    async fn a_node_that_fails_once_does_not_cost_the_epoch() {
        let mut calls = 0;
        let node = Double::start(move |_, _| {
            calls += 1;
            match calls {
                1 => Err((-32603, "internal error: a hiccup")),
                _ => Ok(json!(Bytes::from(Vec::<SlotInfo>::new().abi_encode()))),
            }
        })
        .await;
        let signer = PrivateKeySigner::from_bytes(&B256::repeat_byte(1)).unwrap();
        let own = slot(0, signer.address());
        let client = Client::connect(&node.url, Some(signer)).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let store = SaltStore::open(folder.path(), B256::ZERO).unwrap();
        let mut desk = Desk::new(client.topics(), store, own, true);
        let (view, mut mind) = (view(), Counting(0));
        let limit = Duration::from_secs(5);
        assert!(desk.act(&view, &mut mind, limit).await.is_err());
        assert_eq!(mind.0, 0);
        let deeds = desk.act(&view, &mut mind, limit).await.unwrap();
        assert_eq!((deeds.len(), mind.0), (1, 1));
        // Who was asked is not asked again.
        assert!(desk.act(&view, &mut mind, limit).await.unwrap().is_empty());
        assert_eq!(mind.0, 1);
    }
}

mod past {
    use super::super::{Kind, TopicLog, explain::History};
    use super::desks::slot as held;
    use alloy_primitives::{Address, B256, U256};
    use hallmark_abi::ITopics::{self, ITopicsEvents as Event};
    use hallmark_fixed::Q64;
    use hallmark_mechanisms::wire::encode_explanation;

    fn logs(events: Vec<Event>) -> Vec<TopicLog> {
        let log = |(block, event)| TopicLog {
            block,
            transaction: B256::ZERO,
            event,
        };
        (1..).zip(events).map(log).collect()
    }

    fn registered(slot: u16) -> Event {
        Event::Registered(ITopics::Registered {
            topic: U256::from(1),
            slot,
            operator: Address::with_last_byte(slot as u8 + 1),
            role: 0,
            bond: 1,
            pool: U256::from(slot),
        })
    }

    fn settled(shares: Vec<u64>) -> Event {
        let numbers: Vec<Q64> = (0..shares.len()).map(|n| Q64::from_int(n as i64)).collect();
        Event::Settled(ITopics::Settled {
            topic: U256::from(1),
            epoch: 1,
            mechanism: 0,
            pay: 5,
            explanation: encode_explanation([("score", numbers.as_slice())]).into(),
            shares,
        })
    }

    #[test]
    fn entries_are_the_slots_that_were_held_then() {
        let left = Event::Left(ITopics::Left {
            topic: U256::from(1),
            slot: 0,
            operator: Address::ZERO,
            returned: 0,
        });
        let logs = logs(vec![
            registered(0),
            registered(4),
            registered(2),
            left,
            settled(vec![600, 400]),
            registered(1),
        ]);
        let history = History::read(&logs, &[Kind::Yuma], 8).unwrap();
        let settlement = history.settlement(1, 0).unwrap();
        assert_eq!((settlement.block, settlement.pay), (5, 5));
        let slots: Vec<u16> = settlement.slots.iter().map(|judged| judged.slot).collect();
        assert_eq!(slots, [2, 4]);
        let judged = settlement.slot(4).unwrap();
        assert_eq!(judged.share, 400);
        assert_eq!(judged.number("score"), Some(Q64::from_int(1)));
        assert_eq!(judged.number("regret"), None);
        assert!(settlement.slot(0).is_none());
    }

    #[test]
    fn an_explanation_of_another_shape_is_an_error() {
        let broken = logs(vec![registered(0), settled(vec![1, 2])]);
        assert!(History::read(&broken, &[Kind::Yuma], 8).is_err());
    }

    fn pruned(slot: u16, operator: u8) -> Event {
        Event::Pruned(ITopics::Pruned {
            topic: U256::from(1),
            slot,
            operator: Address::with_last_byte(operator),
            returned: 0,
        })
    }

    #[test]
    fn a_settlement_is_of_who_had_the_slots_then_and_not_now() {
        // Since then slot 2 went from 99 to 3 and slot 5 was taken by 6.
        let now = [3u8, 5, 6].map(|last| held(u16::from(last) - 1, Address::with_last_byte(last)));
        let logs = logs(vec![
            settled(vec![600, 400]),
            pruned(2, 99),
            registered(2),
            registered(5),
        ]);
        let history = History::read_latest(&now, &logs, &[Kind::Yuma], 8).unwrap();
        let judged = &history.settlements[0].slots;
        let found: Vec<(u16, Address)> = judged.iter().map(|j| (j.slot, j.operator)).collect();
        let last = Address::with_last_byte;
        assert_eq!(found, [(2, last(99)), (4, last(5))]);
        assert!(History::read(&logs, &[Kind::Yuma], 8).is_err());
    }

    #[test]
    fn a_bond_that_the_chain_burned_by_itself_is_told() {
        let committed = |epoch, mechanism, slot| {
            Event::Committed(ITopics::Committed {
                topic: U256::from(1),
                epoch,
                mechanism,
                slot,
                commitment: B256::ZERO,
            })
        };
        let revealed = |epoch, mechanism, slot| {
            Event::Revealed(ITopics::Revealed {
                topic: U256::from(1),
                epoch,
                mechanism,
                slot,
                payload: Vec::new().into(),
            })
        };
        let tested = |epoch| {
            Event::TestSetRevealed(ITopics::TestSetRevealed {
                topic: U256::from(1),
                epoch,
                samples: 1,
            })
        };
        let told = Event::Withheld(ITopics::Withheld {
            topic: U256::from(1),
            epoch: 4,
            slot: 0,
            burned: 9,
        });
        let logs = logs(vec![
            committed(1, 0, 0),
            revealed(1, 0, 0),
            committed(1, 0, 1),
            // One answer of two.
            committed(2, 0, 0),
            committed(2, 1, 0),
            revealed(2, 0, 0),
            tested(2),
            // A score whose test set stayed closed.
            committed(3, 1, 0),
            told,
        ]);
        let history = History::read(&logs, &[Kind::Yuma, Kind::Score], 8).unwrap();
        let burned = |epoch, slot| history.is_withheld(epoch, slot);
        assert!(!burned(1, 0) && burned(1, 1));
        assert!(burned(2, 0) && !burned(2, 1));
        assert!(!burned(3, 0));
        assert!(burned(4, 0));
        assert_eq!(history.burned.len(), 1);
    }
}
