//! Our own small fixtures, and Ethereum's where they are present.

use std::path::{Path, PathBuf};

use std::collections::BTreeMap;

use alloy_primitives::{Address, KECCAK256_EMPTY, U256, address, b256, keccak256};
use hallmark_state::{Account, AccountDiff, State, StateDiff};
use rayon::prelude::*;
use serde_json::{Value, json};

use super::{FileReport, Fork, find, run};

/// Runs every file below `folder` and prints what failed.
fn run_all(folder: &Path, forks: &[Fork]) -> (u64, usize, usize) {
    let files = find(folder).expect("files");
    let reports: Vec<FileReport> = files.par_iter().map(|file| run(file, forks)).collect();
    for report in &reports {
        for case in &report.failed {
            eprintln!(
                "FAILED {}: {}: {}",
                report.path.display(),
                case.name,
                case.reason
            );
        }
    }
    let passed = reports.iter().map(|report| report.passed).sum();
    let failed = reports.iter().map(|report| report.failed.len()).sum();
    let skipped = reports.iter().map(|report| report.skipped.len()).sum();
    (passed, failed, skipped)
}

/// Ethereum's own fixtures: `HALLMARK_STATETESTS`, or `../shared/vectors/statetests` beside the
/// project. Only the fork of the chain must be without failure; `HALLMARK_STATETEST_FORKS` names
/// others.
#[test]
fn ethereums_state_tests_pass() {
    let beside =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../../shared/vectors/statetests");
    let folder = std::env::var_os("HALLMARK_STATETESTS").map_or(beside, PathBuf::from);
    if !folder.exists() {
        eprintln!(
            "skipped: no state tests at {} (HALLMARK_STATETESTS)",
            folder.display()
        );
        return;
    }
    let forks: Vec<Fork> = match std::env::var("HALLMARK_STATETEST_FORKS") {
        Ok(names) => names
            .split(',')
            .map(|name| Fork::from_name(name).expect("a fork"))
            .collect(),
        Err(_) => Fork::ENABLED.to_vec(),
    };
    let (passed, failed, skipped) = run_all(&folder, &forks);
    eprintln!("{passed} passed, {failed} failed, {skipped} skipped");
    assert_eq!(failed, 0);
    assert!(passed > 0, "nothing ran");
}

const SENDER: Address = address!("a94f5374fce5edbc8e2a8697c15331677e6ebf0b");
const COINBASE: Address = address!("00000000000000000000000000000000000000c0");
const RECEIVER: Address = address!("00000000000000000000000000000000000000b0");
const FUNDS: u64 = 1_000_000_000;
const NO_LOGS: &str = "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347";

/// A state of accounts with these nonces and balances.
fn accounts(list: &[(Address, u64, u64)]) -> State {
    let mut diff = StateDiff::default();
    for (address, nonce, balance) in list {
        let info = Account {
            nonce: *nonce,
            balance: U256::from(*balance),
            code_hash: KECCAK256_EMPTY,
        };
        let entry = AccountDiff {
            info: Some(info),
            storage: BTreeMap::new(),
            wiped: false,
        };
        diff.accounts.insert(*address, entry);
    }
    State::empty().apply(&diff)
}

/// One test of one case: `SENDER` sends 5 to `RECEIVER` at base fee 10, price 12.
fn transfer() -> Value {
    let after = accounts(&[
        (SENDER, 1, FUNDS - 5 - 21_000 * 12),
        (RECEIVER, 0, 5),
        (COINBASE, 0, 21_000 * 2),
    ]);
    // By a trie written for this number alone, in another language.
    let root = b256!("0238b283c3888a0eedfed2d8f7cd520767af0dc43bbc2267679051027cac7533");
    assert_eq!(after.root(), root);
    json!({"a transfer": {
        "_info": {"comment": "ours"},
        "env": {
            "currentCoinbase": COINBASE, "currentNumber": "0x01", "currentTimestamp": "0x3e8",
            "currentGasLimit": "0x1000000", "currentDifficulty": "0x00",
            "currentRandom": format!("{:#066x}", 0), "currentBaseFee": "0x0a",
        },
        "pre": {SENDER.to_string(): {
            "nonce": "0x00", "balance": format!("{FUNDS:#x}"), "code": "0x", "storage": {}
        }},
        "transaction": {
            "nonce": "0x", "gasPrice": "0x0c", "to": RECEIVER, "data": ["0x"],
            "gasLimit": ["0x5208", "0x5207"], "value": ["0x05"],
            // The key of SENDER in Ethereum's own tests: a file without `sender` is understood.
            "secretKey": "0x45a915e4d060149eb4365960e6a7a45f334393093061116b197e3240065ff2d8",
        },
        "post": {"Osaka": [{
            "hash": after.root(), "logs": NO_LOGS, "indexes": {"data": 0, "gas": 0, "value": 0}
        }]}
    }})
}

fn report(test: &Value) -> FileReport {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("test.json");
    std::fs::write(&file, test.to_string()).expect("written");
    run(&file, Fork::ENABLED)
}

fn failure(test: &Value) -> String {
    let report = report(test);
    assert_eq!((report.passed, report.failed.len()), (0, 1), "{report:?}");
    report.failed[0].reason.clone()
}

#[test]
fn a_case_passes_when_root_and_logs_agree() {
    let report = report(&transfer());
    assert_eq!(report.passed, 1, "{report:?}");
    assert!(report.failed.is_empty() && report.skipped.is_empty());
}

#[test]
fn another_root_or_another_logs_hash_fails() {
    let wrong = keccak256("wrong");
    let mut test = transfer();
    test["a transfer"]["post"]["Osaka"][0]["hash"] = json!(wrong);
    assert!(failure(&test).starts_with("state root 0x"));
    let mut test = transfer();
    test["a transfer"]["post"]["Osaka"][0]["logs"] = json!(wrong);
    assert!(failure(&test).starts_with("logs hash 0x1dcc4de8"));
}

#[test]
fn a_refusal_must_happen_if_and_only_if_it_is_expected() {
    let mut test = transfer();
    test["a transfer"]["post"]["Osaka"][0]["expectException"] = json!("TR_NoFunds");
    assert_eq!(failure(&test), "executed, but must be refused: TR_NoFunds");

    // One gas less than the intrinsic cost: refused, and the state stays as it was.
    let mut test = transfer();
    let post = &mut test["a transfer"]["post"]["Osaka"][0];
    post["indexes"]["gas"] = json!(1);
    let unexpected = failure(&test);
    assert!(unexpected.starts_with("refused: "), "{unexpected}");
    let post = &mut test["a transfer"]["post"]["Osaka"][0];
    post["expectException"] = json!("TR_IntrinsicGas");
    assert!(failure(&test).starts_with("state root 0x"));
    let post = &mut test["a transfer"]["post"]["Osaka"][0];
    post["hash"] = json!(accounts(&[(SENDER, 0, FUNDS)]).root());
    assert_eq!(report(&test).passed, 1);

    // A value that no transaction can carry is refused without being executed.
    test["a transfer"]["transaction"]["value"] = json!([format!("0x1{:064x}", 0)]);
    assert_eq!(report(&test).passed, 1);
}

#[test]
fn other_forks_and_impossible_states_are_skipped_with_the_reason() {
    let mut test = transfer();
    let posts = test["a transfer"]["post"]["Osaka"].clone();
    test["a transfer"]["post"]["Berlin"] = posts;
    let skipped = report(&test).skipped;
    assert_eq!(skipped[0].name, "a transfer Berlin d=0 g=0 v=0");
    assert_eq!(skipped[0].reason, "fork Berlin is not enabled");

    let mut test = transfer();
    let empty = json!({"nonce": "0x00", "balance": "0x00", "code": "0x", "storage": {}});
    // The receiver is touched: of its emptiness nothing is left. Another account would stay.
    test["a transfer"]["pre"][RECEIVER.to_string()] = empty.clone();
    assert_eq!(report(&test).passed, 1);
    test["a transfer"]["pre"][Address::repeat_byte(0xee).to_string()] = empty;
    let skipped = report(&test).skipped;
    assert!(skipped[0].reason.ends_with("which EIP-161 never stores"));
    let pre = &mut test["a transfer"]["pre"][RECEIVER.to_string()];
    pre["balance"] = json!("0x01");
    pre["storage"] = json!({"0x": "0x01"});
    assert!(report(&test).skipped[0].reason.ends_with("(EIP-7610)"));
}

#[test]
fn what_is_no_state_test_fails() {
    for text in ["", "{", "[]", r#"{"a": {}}"#, "\u{0}"] {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("test.json");
        std::fs::write(&file, text).expect("written");
        let report = run(&file, Fork::ENABLED);
        assert_eq!(report.failed.len(), 1, "{text:?}");
        assert!(report.failed[0].reason.starts_with("not a state test: "));
    }
    let mut test = transfer();
    test["a transfer"]["post"]["Osaka"][0]["indexes"]["data"] = json!(7);
    assert_eq!(failure(&test), "the file is wrong: no such data");
}

#[test]
fn a_wrong_file_fails_whatever_refusal_it_expects() {
    let wrong = |change: &dyn Fn(&mut Value)| {
        let mut test = transfer();
        let post = &mut test["a transfer"]["post"]["Osaka"][0];
        post["expectException"] = json!("TransactionException.INTRINSIC_GAS_TOO_LOW");
        post["hash"] = json!(accounts(&[(SENDER, 0, FUNDS)]).root());
        // Beyond any transaction: a refusal that must not hide the file's own fault.
        test["a transfer"]["transaction"]["nonce"] = json!("0x1ffffffffffffffff");
        assert_eq!(report(&test).passed, 1);
        change(&mut test["a transfer"]);
        failure(&test)
    };
    for index in ["data", "gas", "value"] {
        let text = wrong(&|test| test["post"]["Osaka"][0]["indexes"][index] = json!(7));
        assert!(text.starts_with("the file is wrong: no such "), "{text}");
    }
    let key = json!(format!("{:#066x}", 0));
    let text = wrong(&|test| test["transaction"]["secretKey"] = key.clone());
    assert_eq!(text, "the file is wrong: secretKey is no key");
    let text = wrong(&|test| test["transaction"]["secretKey"] = Value::Null);
    assert_eq!(text, "the file is wrong: neither sender nor secretKey");
    let text = wrong(&|test| test["transaction"]["gasPrice"] = Value::Null);
    assert_eq!(text, "the file is wrong: no price");
    let text = wrong(&|test| test["transaction"]["to"] = json!("0x1234"));
    assert_eq!(text, r#"the file is wrong: "0x1234" is no address"#);
    let unsigned = json!([{
        "chainId": "0x1", "address": RECEIVER, "nonce": "0x0", "r": "0x1", "s": "0x1"
    }]);
    let text = wrong(&|test| test["transaction"]["authorizationList"] = unsigned.clone());
    assert_eq!(text, "the file is wrong: an authorization without a parity");
    let text = wrong(&|test| test["transaction"]["value"] = json!(["five"]));
    assert!(text.contains(r#""five" is no number"#), "{text}");
}

#[test]
fn a_number_beyond_256_bits_is_a_refusal_in_either_spelling() {
    for spelling in ["0x", "0x:bigint 0x"] {
        let mut test = transfer();
        let value = format!("{spelling}1{:064x}", 0);
        test["a transfer"]["transaction"]["value"] = json!([value]);
        assert!(failure(&test).ends_with("is out of range"));
        let post = &mut test["a transfer"]["post"]["Osaka"][0];
        post["expectException"] = json!("TR_RLP_VALUE");
        post["hash"] = json!(accounts(&[(SENDER, 0, FUNDS)]).root());
        assert_eq!(report(&test).passed, 1);
    }
}

#[test]
fn only_regular_files_are_read_and_none_without_end() {
    let device = Path::new("/dev/null");
    let report = run(device, Fork::ENABLED);
    assert_eq!(report.failed[0].reason, "not a regular file");
    let error = find(device).expect_err("a device").to_string();
    assert_eq!(error, "/dev/null is no regular file");

    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("long.json");
    let long = std::fs::File::create(&file).expect("made");
    long.set_len(super::MAX_FILE + 1).expect("as long as that");
    let report = run(&file, Fork::ENABLED);
    assert_eq!(report.failed[0].reason, "longer than 268435456 bytes");
}

#[test]
fn files_are_found_below_a_folder_in_order() {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["b.json", "a/z.json", "a/notes.txt", ".meta/index.json"] {
        let file = folder.path().join(name);
        std::fs::create_dir_all(file.parent().expect("a parent")).expect("made");
        std::fs::write(file, "{}").expect("written");
    }
    let found = find(folder.path()).expect("found");
    let expected = ["a/z.json", "b.json"].map(|name| folder.path().join(name));
    assert_eq!(found, expected);
    assert!(find(&folder.path().join(".meta/none")).is_err());
}
