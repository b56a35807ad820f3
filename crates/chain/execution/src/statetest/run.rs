//! Runs the cases of one file.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{Address, B256, KECCAK256_EMPTY, TxKind, U256, keccak256};
use hallmark_state::{Account, AccountDiff, State, StateDiff};
use hallmark_types::ChainSpec;
use k256::ecdsa::SigningKey;
use revm::ExecuteEvm;
use revm::context::either::Either;
use revm::context::result::EVMError;
use revm::context::{BlockEnv, CfgEnv, ContextTr, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::cfg::GasParams;
use revm::primitives::hardfork::SpecId;

use super::format::{self, Number, OutOfRange, Post, Test, Tx, Word};
use super::{Case, FileReport, Fork, MAX_FILE};
use crate::db::BlockDb;
use crate::evm::{FORK, gas_params, machine};
use crate::{Ancestry, Executor};

/// Most blobs of a transaction before Prague, in Prague, and from Osaka on (EIP-7594).
const MAX_BLOBS: [(SpecId, u64); 3] =
    [(SpecId::OSAKA, 6), (SpecId::PRAGUE, 9), (SpecId::CANCUN, 6)];

/// Block hashes as state tests define them: of the height's decimal digits.
struct TestHashes;

impl Ancestry for TestHashes {
    fn block_hash(&self, number: u64) -> Option<B256> {
        Some(keccak256(number.to_string()))
    }
}

/// Runs the cases of `file` whose fork is one of `forks`.
pub fn run(file: &Path, forks: &[Fork]) -> FileReport {
    let mut report = FileReport::new(file);
    let tests = match read(file) {
        Ok(tests) => tests,
        Err(reason) => {
            let name = file.display().to_string();
            report.failed.push(Case { name, reason });
            return report;
        }
    };
    let executor = Executor::new(Arc::new(rules()));
    for (name, test) in &tests {
        for (fork, posts) in &test.post {
            for post in posts {
                let format::Indexes { data, gas, value } = post.indexes;
                let name = format!("{name} {fork} d={data} g={gas} v={value}");
                let wanted = Fork::from_name(fork).filter(|fork| forks.contains(fork));
                let Some(wanted) = wanted else {
                    let reason = format!("fork {fork} is not enabled");
                    report.skipped.push(Case { name, reason });
                    continue;
                };
                match Run::new(&executor, test, wanted).case(post) {
                    Ok(()) => report.passed = report.passed.saturating_add(1),
                    Err(Verdict::Differs(reason)) => report.failed.push(Case { name, reason }),
                    Err(Verdict::Impossible(reason)) => report.skipped.push(Case { name, reason }),
                }
            }
        }
    }
    report
}

fn read(file: &Path) -> Result<BTreeMap<String, Test>, String> {
    let text = |error: std::io::Error| error.to_string();
    let too_long = || Err(format!("longer than {MAX_FILE} bytes"));
    // Asked before it is opened: to open a pipe is to wait for its writer.
    let known = std::fs::metadata(file).map_err(text)?;
    if !known.is_file() {
        return Err("not a regular file".to_owned());
    }
    if known.len() > MAX_FILE {
        return too_long();
    }
    // The length may be untrue (files of the kernel) or outdated.
    let file = std::fs::File::open(file).map_err(text)?;
    let mut bytes = Vec::new();
    let mut bounded = file.take(MAX_FILE.saturating_add(1));
    let length = bounded.read_to_end(&mut bytes).map_err(text)?;
    if length as u64 > MAX_FILE {
        return too_long();
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("not a state test: {error}"))
}

/// The rules of a local chain. The chain id is each test's own.
fn rules() -> ChainSpec {
    ChainSpec::local(0, Vec::new(), BTreeMap::new(), Address::ZERO)
}

/// Why a case did not pass.
enum Verdict {
    /// Ours is not what the test says.
    Differs(String),
    /// The test starts where this chain's state cannot be.
    Impossible(String),
}

impl From<String> for Verdict {
    fn from(reason: String) -> Self {
        Self::Differs(reason)
    }
}

impl From<OutOfRange> for Verdict {
    fn from(error: OutOfRange) -> Self {
        Self::Differs(error.to_string())
    }
}

/// Why a test's fields make no transaction.
#[derive(Debug, thiserror::Error)]
enum NoTransaction {
    /// No transaction can carry them, which is a refusal before any execution.
    #[error("{0}")]
    Unsendable(String),
    /// The file is wrong, whatever it expects.
    #[error("the file is wrong: {0}")]
    WrongFile(String),
}

impl From<OutOfRange> for NoTransaction {
    fn from(error: OutOfRange) -> Self {
        Self::Unsendable(error.to_string())
    }
}

/// One test under the rules of one fork.
struct Run<'a> {
    executor: &'a Executor,
    test: &'a Test,
    fork: SpecId,
}

impl<'a> Run<'a> {
    fn new(executor: &'a Executor, test: &'a Test, fork: Fork) -> Self {
        let fork = fork.spec_id();
        Self {
            executor,
            test,
            fork,
        }
    }

    fn case(&self, post: &Post) -> Result<(), Verdict> {
        let before = self.state_before()?;
        // An empty account is not stored here (EIP-161), and no rule tells it from an absent one; but
        // one that the transaction leaves alone is still in the root that the test expects.
        let accounts = self.test.pre.keys().copied();
        let empty: Vec<Address> = accounts
            .filter(|address| before.account(address).is_none())
            .collect();
        let stays = |left: Option<&Address>| {
            left.map_or(Ok(()), |address| {
                let reason = format!("empty account {address} stays, which EIP-161 never stores");
                Err(Verdict::Impossible(reason))
            })
        };
        if post.expect_exception.is_some() {
            stays(empty.first())?;
        }
        let tx = match tx_env(&self.test.transaction, post, self.chain_id()?) {
            Ok(tx) => tx,
            Err(NoTransaction::Unsendable(_)) if post.expect_exception.is_some() => {
                return compare_root(&before, post);
            }
            Err(error) => return Err(Verdict::Differs(error.to_string())),
        };
        let number: u64 = self.test.env.current_number.to()?;
        let parent = number.saturating_sub(1);
        let hash = TestHashes.block_hash(parent).unwrap_or_default();
        let db = BlockDb::new(&before, (parent, hash), &TestHashes);
        let block = self.block()?;
        let runtime = self.executor.runtime_for_tests(&block);
        let precompiles = crate::precompiles::SystemPrecompiles::at(self.fork, runtime);
        let (base_fee, blob_price) = (
            block.basefee,
            block
                .blob_excess_gas_and_price
                .map_or(0, |blob| blob.blob_gasprice),
        );
        let blob_gas = revm::context::Transaction::total_blob_gas(&tx);
        let mut evm = machine(self.cfg()?, block, db, precompiles);
        let (result, changes) = match (evm.transact(tx), &post.expect_exception) {
            (Ok(_), Some(expected)) => {
                return Err(format!("executed, but must be refused: {expected}").into());
            }
            (Err(EVMError::Transaction(_)), Some(_)) => return compare_root(&before, post),
            (Err(error), _) => return Err(format!("refused: {error}").into()),
            (Ok(done), None) => (done.result, done.state),
        };
        let untouched = |address: &&Address| {
            changes
                .get(*address)
                .is_none_or(|account| !account.is_touched())
        };
        stays(empty.iter().find(untouched))?;
        let gas_used = result.tx_gas_used();
        let sums = evm.ctx.db_mut().fold(changes)?;
        let (diff, _) = evm.ctx.journaled_state.database.into_diff()?;
        let after = before.apply(&diff);
        compare_root(&after, post)?;
        let logs = if result.is_success() {
            result.into_logs()
        } else {
            Vec::new()
        };
        let logs = keccak256(alloy_rlp::encode(&logs));
        if logs != post.logs {
            return Err(format!("logs hash {logs}, expected {}", post.logs).into());
        }
        let fee = U256::from(gas_used) * U256::from(base_fee)
            + U256::from(blob_gas) * U256::from(blob_price);
        let left = sums.before.checked_sub(sums.after);
        match left.and_then(|left| left.checked_sub(fee)) {
            Some(lost) if lost.is_zero() || sums.destroyed => Ok(()),
            Some(lost) => Err(format!("{lost} base units vanished").into()),
            None => Err("execution created money".to_owned().into()),
        }
    }

    /// The state that the test starts from, as our trie.
    fn state_before(&self) -> Result<State, Verdict> {
        let mut diff = StateDiff::default();
        for (address, account) in &self.test.pre {
            let code_hash = keccak256(&account.code);
            if code_hash != KECCAK256_EMPTY {
                diff.codes.insert(code_hash, account.code.clone());
            }
            let info = Account {
                nonce: account.nonce.to()?,
                balance: account.balance.get()?,
                code_hash,
            };
            if info.nonce == 0 && !info.has_code() && !account.storage.is_empty() {
                let reason = format!(
                    "account {address} has storage but neither code nor nonce, \
                     which no transaction can bring about (EIP-7610)"
                );
                return Err(Verdict::Impossible(reason));
            }
            let slot = |(key, value): (&Word, &Number)| Ok((key.0, value.get()?));
            let storage = account
                .storage
                .iter()
                .map(slot)
                .collect::<Result<_, OutOfRange>>()?;
            let entry = AccountDiff {
                info: Some(info),
                storage,
                wiped: false,
            };
            diff.accounts.insert(*address, entry);
        }
        Ok(State::empty().apply(&diff))
    }

    fn chain_id(&self) -> Result<u64, OutOfRange> {
        let id = self.test.config.chainid.as_ref();
        id.map_or(Ok(1), Number::to)
    }

    fn cfg(&self) -> Result<CfgEnv, OutOfRange> {
        // The chain's own prices where the fork is the chain's.
        let prices = if self.fork == FORK {
            gas_params(self.executor.spec())
        } else {
            GasParams::new_spec(self.fork)
        };
        let mut cfg = CfgEnv::new_with_spec_and_gas_params(self.fork, prices);
        cfg.chain_id = self.chain_id()?;
        let blobs = MAX_BLOBS
            .iter()
            .find(|(from, _)| self.fork.is_enabled_in(*from));
        cfg.max_blobs_per_tx = blobs.map(|(_, most)| *most);
        // None is the fork's own cap on a transaction's gas (EIP-7825), not the chain's.
        cfg.tx_gas_limit_cap = None;
        Ok(cfg)
    }

    fn block(&self) -> Result<BlockEnv, OutOfRange> {
        let env = &self.test.env;
        let optional = |number: &Option<Number>| number.as_ref().map(Number::to::<u64>);
        let blobs = match optional(&env.current_excess_blob_gas).transpose()? {
            Some(excess) => Some(BlobExcessGasAndPrice::new_with_spec(excess, self.fork)),
            None if self.fork.is_enabled_in(SpecId::CANCUN) => {
                Some(BlobExcessGasAndPrice::new_with_spec(0, self.fork))
            }
            None => None,
        };
        // Before the merge the same opcode told the difficulty, so old tests have only that.
        let random = match (env.current_random, &env.current_difficulty) {
            (Some(random), _) => random,
            (None, Some(difficulty)) => difficulty.get()?.into(),
            (None, None) => B256::ZERO,
        };
        Ok(BlockEnv {
            number: env.current_number.get()?,
            beneficiary: env.current_coinbase,
            timestamp: env.current_timestamp.get()?,
            gas_limit: env.current_gas_limit.to()?,
            basefee: optional(&env.current_base_fee).transpose()?.unwrap_or(0),
            difficulty: U256::ZERO,
            prevrandao: Some(random),
            blob_excess_gas_and_price: blobs,
            slot_num: 0,
        })
    }
}

fn compare_root(state: &State, post: &Post) -> Result<(), Verdict> {
    let root = state.root();
    if root == post.hash {
        return Ok(());
    }
    Err(format!("state root {root}, expected {}", post.hash).into())
}

/// The transaction that `post` picks from the test's alternatives. What makes the file wrong is
/// looked for first, so that no other refusal hides it.
///
/// # Errors
/// `WrongFile` when an index names nothing, or a field is missing or malformed; `Unsendable` when a
/// field is beyond what any transaction can carry.
fn tx_env(tx: &Tx, post: &Post, chain_id: u64) -> Result<TxEnv, NoTransaction> {
    let wrong = NoTransaction::WrongFile;
    let missing = |what: &str| wrong(format!("no such {what}"));
    let data = tx.data.get(post.indexes.data);
    let data = data.ok_or_else(|| missing("data"))?;
    let gas = tx.gas_limit.get(post.indexes.gas);
    let gas = gas.ok_or_else(|| missing("gas limit"))?;
    let value = tx.value.get(post.indexes.value);
    let value = value.ok_or_else(|| missing("value"))?;
    let price = tx.max_fee_per_gas.as_ref().or(tx.gas_price.as_ref());
    let price = price.ok_or_else(|| wrong("no price".to_owned()))?;
    let caller = sender(tx).map_err(wrong)?;
    let kind = match tx.to.as_deref() {
        None | Some("") => TxKind::Create,
        Some(to) => {
            let to = to.parse().map_err(|_| format!("{to:?} is no address"));
            TxKind::Call(to.map_err(wrong)?)
        }
    };
    let with_parity = |signed| parity(signed).map(|parity| (signed, parity));
    let signed = tx.authorization_list.iter().flatten().map(with_parity);
    let signed = signed.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    let access_list = tx
        .access_lists
        .as_ref()
        .map(|lists| lists.get(post.indexes.data).cloned().flatten());

    let tx_type = if tx.authorization_list.is_some() {
        4
    } else if tx.blob_versioned_hashes.is_some() || tx.max_fee_per_blob_gas.is_some() {
        3
    } else if tx.max_fee_per_gas.is_some() {
        2
    } else {
        u8::from(access_list.is_some())
    };
    if kind.is_create() && tx_type > 2 {
        let text = format!("a transaction of type {tx_type} cannot create");
        return Err(NoTransaction::Unsendable(text));
    }
    let optional = |number: &Option<Number>| number.as_ref().map(Number::to::<u128>);
    let authorizations = signed.into_iter().map(authorization);
    Ok(TxEnv {
        tx_type,
        caller,
        gas_limit: gas.to()?,
        gas_price: price.to()?,
        kind,
        value: value.get()?,
        data: data.clone(),
        nonce: tx.nonce.to()?,
        chain_id: Some(chain_id),
        access_list: access_list.flatten().unwrap_or_default().into(),
        gas_priority_fee: optional(&tx.max_priority_fee_per_gas).transpose()?,
        blob_hashes: tx.blob_versioned_hashes.clone().unwrap_or_default(),
        max_fee_per_blob_gas: optional(&tx.max_fee_per_blob_gas).transpose()?.unwrap_or(0),
        authorization_list: authorizations.collect::<Result<_, _>>()?,
    })
}

fn parity(signed: &format::Authorization) -> Result<&Number, String> {
    let parity = signed.y_parity.as_ref().or(signed.v.as_ref());
    parity.ok_or_else(|| "an authorization without a parity".to_owned())
}

fn authorization<R>(
    (signed, parity): (&format::Authorization, &Number),
) -> Result<Either<SignedAuthorization, R>, OutOfRange> {
    let inner = Authorization {
        chain_id: signed.chain_id.get()?,
        address: signed.address,
        nonce: signed.nonce.to()?,
    };
    let (parity, r, s) = (parity.to()?, signed.r.get()?, signed.s.get()?);
    Ok(Either::Left(SignedAuthorization::new_unchecked(
        inner, parity, r, s,
    )))
}

/// The account that signs: by name, or by its key in older files.
fn sender(tx: &Tx) -> Result<Address, String> {
    if let Some(sender) = tx.sender {
        return Ok(sender);
    }
    let key = tx.secret_key.ok_or("neither sender nor secretKey")?;
    let key = SigningKey::from_slice(key.as_slice()).map_err(|_| "secretKey is no key")?;
    Ok(Address::from_public_key(key.verifying_key()))
}
