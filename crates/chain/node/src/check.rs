//! Verifies the folder of a stopped node.
//!
//! Opening the store has already rebuilt the trie from the flat tables and compared its root with the
//! head's. Then, for every height: the block decodes canonically, its hash is the one indexed, its
//! parent is the block below, its transactions and receipts have the roots in its header, senders are
//! those of the signatures, each transaction is indexed where it is, and a certificate, if there is one,
//! is by the validators of the chain spec. What sweeps told has no commitment and is not checked; a
//! replay (`export`, `import`) computes it again.

use std::path::Path;

use hallmark_consensus::certificate;
use hallmark_execution::Executor;
use hallmark_state::Store;
use hallmark_types::{Block, ChainSpec, merkle};
use rayon::prelude::*;

use crate::archive::{ArchiveError, open_store};

/// Faults that are told; more are only counted.
const MAX_FAULTS: usize = 100;
/// Blocks at the end of a chain that may have no certificate yet.
const MAX_UNCOVERED: u64 = 1_024;

/// What was found in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Findings {
    /// Height of the head.
    pub height: u64,
    /// Transactions in all blocks.
    pub transactions: u64,
    /// Certificates that were checked.
    pub certificates: u64,
    /// The highest block that a certificate covers.
    pub certified: u64,
    /// What does not fit, each with its place; the first hundred.
    pub faults: Vec<String>,
    /// How many there are.
    pub fault_count: u64,
}

impl Findings {
    fn fault(&mut self, text: String) {
        self.fault_count = self.fault_count.saturating_add(1);
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(text);
        }
    }
}

/// Checks a folder; `progress` is told each height and the last.
///
/// # Errors
/// The folder cannot be opened at all: it is in use, of another chain, has no database, or its state
/// does not have the root that it claims.
pub fn check(
    home: &Path,
    spec: &ChainSpec,
    progress: impl Fn(u64, u64),
) -> Result<Findings, ArchiveError> {
    let executor = crate::archive::executor(spec.clone());
    let mut store = open_store(home, spec, &executor)?;
    let are_pages_whole = store.check_pages()?;
    let mut findings = check_store(&store, &executor, progress);
    if !are_pages_whole {
        findings.fault("the database had pages with wrong checksums; it was repaired as far as the last commit".into());
    }
    Ok(findings)
}

fn check_store(store: &Store, executor: &Executor, progress: impl Fn(u64, u64)) -> Findings {
    let height = store.head().block.number();
    let mut findings = Findings {
        height,
        transactions: 0,
        certificates: 0,
        certified: 0,
        faults: Vec::new(),
        fault_count: 0,
    };
    let mut parent: Option<alloy_primitives::B256> = None;
    for number in 0..=height {
        let Some(block) = store.block_by_number(number) else {
            findings.fault(format!("block {number} is missing or unreadable"));
            parent = None;
            continue;
        };
        let hash = block.hash();
        if number == 0 && hash != executor.genesis().hash {
            findings.fault("block 0 is not the chain spec's genesis".into());
        }
        for fault in block_faults(store, executor, number, &block) {
            findings.fault(format!("block {number}: {fault}"));
        }
        if parent.is_some_and(|parent| block.header.parent_hash != parent) {
            findings.fault(format!(
                "block {number}: its parent {} is not block {}",
                block.header.parent_hash,
                number.saturating_sub(1)
            ));
        }
        parent = Some(hash);
        findings.transactions = findings
            .transactions
            .saturating_add(block.transactions.len() as u64);
        check_certificate(store, executor.spec(), number, &block, &mut findings);
        progress(number, height);
    }
    if height.saturating_sub(findings.certified) > MAX_UNCOVERED {
        findings.fault(format!(
            "no certificate covers the blocks above {}",
            findings.certified
        ));
    }
    findings
}

fn check_certificate(
    store: &Store,
    spec: &ChainSpec,
    number: u64,
    block: &Block,
    findings: &mut Findings,
) {
    match store.finalization(number) {
        None => findings.fault(format!("block {number}: its certificate is missing")),
        Some(certificate) if certificate.is_empty() => {}
        Some(certificate) => match certificate::verify(spec, &block.header, &certificate) {
            Ok(()) => {
                findings.certificates = findings.certificates.saturating_add(1);
                findings.certified = number;
            }
            Err(error) => findings.fault(format!("block {number}: {error}")),
        },
    }
}

/// What does not fit within one block and its rows.
fn block_faults(store: &Store, executor: &Executor, number: u64, block: &Block) -> Vec<String> {
    let mut faults = Vec::new();
    let mut expect = |holds: bool, fault: &str| {
        if !holds {
            faults.push(fault.to_owned());
        }
    };
    let hash = block.hash();
    let header = &block.header;
    expect(header.number == number, "its header has another height");
    expect(
        store.block_hash(number) == Some(hash),
        "the hash kept for its height is not its own",
    );
    expect(
        store.number_by_hash(&hash) == Some(number),
        "its hash is not indexed",
    );
    expect(
        merkle::transactions_root(&block.transactions) == header.transactions_root,
        "its transactions do not have the root in its header",
    );
    match store.receipts(number) {
        None => expect(false, "its receipts are missing or unreadable"),
        Some(receipts) => {
            expect(
                receipts.len() == block.transactions.len(),
                "it has not one receipt per transaction",
            );
            expect(
                merkle::receipts_root(&receipts) == header.receipts_root,
                "its receipts do not have the root in its header",
            );
            expect(
                merkle::logs_bloom(&receipts) == header.logs_bloom,
                "its receipts do not have the bloom in its header",
            );
        }
    }
    let recovered: Option<Vec<_>> = block
        .transactions
        .par_iter()
        .map(|tx| {
            executor
                .recover(tx.clone())
                .ok()
                .map(|pooled| pooled.sender)
        })
        .collect();
    expect(
        recovered.is_some() && recovered == store.senders(number),
        "its senders are not those of the signatures",
    );
    let is_indexed = block
        .transactions
        .iter()
        .enumerate()
        .all(|(index, tx)| store.transaction(tx.tx_hash()) == Some((number, index)));
    expect(is_indexed, "a transaction is not indexed where it is");
    faults
}

#[cfg(test)]
#[path = "check_tests.rs"]
mod tests;
