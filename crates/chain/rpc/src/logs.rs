//! `eth_getLogs`: bounded search, block by block, with the header's bloom filter before receipts.
//!
//! `hallmark_sweepLogs` searches what the contracts told at the end of blocks, in no transaction: an
//! Ethereum client knows no such logs, so they have a method of their own, and the same bounds.

use crate::{
    context::{Rpc, Sealed},
    error::{Fault, Reply},
    view,
};
use alloy_eips::{BlockNumHash, BlockNumberOrTag};
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};
use hallmark_types::Receipt;
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use std::ops::RangeInclusive;

/// Addresses, or topics in one position, that a filter may name: geth's number.
const MAX_ALTERNATIVES: usize = 1_000;

#[rpc(server, namespace = "eth")]
pub(crate) trait Logs {
    /// Logs of a block (`blockHash`) or of an inclusive range, by default the latest block.
    #[method(name = "getLogs")]
    async fn logs(&self, filter: Filter) -> Result<Vec<Log>, Fault>;
}

#[rpc(server, namespace = "hallmark")]
pub(crate) trait SweepLogs {
    /// Logs of the contracts' work at the end of a block or of an inclusive range of blocks, by default
    /// the latest: without a transaction, `logIndex` counted among themselves. No header commits to
    /// them; every node that executes the block has the same.
    #[method(name = "sweepLogs")]
    async fn sweep_logs(&self, filter: Filter) -> Result<Vec<Log>, Fault>;
}

#[async_trait]
impl SweepLogsServer for Rpc {
    async fn sweep_logs(&self, filter: Filter) -> Reply<Vec<Log>> {
        check_filter(&filter)?;
        let rpc = self.clone();
        let search = move || rpc.search_by(&filter, Of::Sweep);
        self.workers.run(search).await
    }
}

/// Whose logs are searched.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    Transactions,
    /// The contracts' work at the end of a block.
    Sweep,
}

#[async_trait]
impl LogsServer for Rpc {
    async fn logs(&self, filter: Filter) -> Reply<Vec<Log>> {
        check_filter(&filter)?;
        let rpc = self.clone();
        self.workers.run(move || rpc.search(&filter)).await
    }
}

impl Rpc {
    /// Logs that match a filter, its block option included.
    pub(crate) fn search(&self, filter: &Filter) -> Reply<Vec<Log>> {
        self.search_by(filter, Of::Transactions)
    }

    fn search_by(&self, filter: &Filter, of: Of) -> Reply<Vec<Log>> {
        match filter.block_option {
            FilterBlockOption::AtBlockHash(hash) => {
                let sealed = self.block(hash).ok_or(Fault::UnknownBlock)?;
                let mut logs = Vec::new();
                self.search_one(filter, of, &sealed, &mut logs)?;
                Ok(logs)
            }
            FilterBlockOption::Range {
                from_block,
                to_block,
            } => {
                let from = self.height(from_block.unwrap_or(BlockNumberOrTag::Latest));
                let to = self.height(to_block.unwrap_or(BlockNumberOrTag::Latest));
                if from > to {
                    return Err(Fault::Invalid("invalid block range params".into()));
                }
                self.search_each(filter, from..=to, of)
            }
        }
    }

    /// Logs that match a filter's addresses and topics in a range of heights.
    pub(crate) fn search_range(
        &self,
        filter: &Filter,
        range: RangeInclusive<u64>,
    ) -> Reply<Vec<Log>> {
        self.search_each(filter, range, Of::Transactions)
    }

    fn search_each(&self, filter: &Filter, range: RangeInclusive<u64>, of: Of) -> Reply<Vec<Log>> {
        let (from, to) = (
            *range.start(),
            (*range.end()).min(self.head().block.number()),
        );
        if from > to {
            return Ok(Vec::new());
        }
        let most = self.config.max_log_blocks;
        if to - from >= most {
            return Err(Fault::Limit(format!(
                "query exceeds the range of {most} blocks"
            )));
        }
        let mut logs = Vec::new();
        for number in from..=to {
            // Most blocks have none, and then need not be read.
            if of == Of::Sweep && self.store.sweep_logs(number).is_empty() {
                continue;
            }
            let sealed = self.block(number).ok_or(Fault::UnknownBlock)?;
            self.search_one(filter, of, &sealed, &mut logs)?;
        }
        Ok(logs)
    }

    /// Adds the logs of one block that match a filter.
    fn search_one(
        &self,
        filter: &Filter,
        of: Of,
        sealed: &Sealed,
        logs: &mut Vec<Log>,
    ) -> Reply<()> {
        match of {
            Of::Transactions => self.search_block(filter, sealed, logs),
            Of::Sweep => self.search_sweep(filter, sealed, logs),
        }
    }

    fn search_sweep(&self, filter: &Filter, sealed: &Sealed, logs: &mut Vec<Log>) -> Reply<()> {
        let header = &sealed.block.header;
        let told = self.store.sweep_logs(header.number);
        let matching = (0u64..).zip(told).filter(|(_, log)| {
            filter.matches_address(log.address) && filter.matches_topics(log.topics())
        });
        logs.extend(matching.map(|(index, log)| Log {
            inner: log,
            block_hash: Some(sealed.hash),
            block_number: Some(header.number),
            block_timestamp: Some(header.timestamp),
            transaction_hash: None,
            transaction_index: None,
            log_index: Some(index),
            removed: false,
        }));
        self.bounded(logs)
    }

    fn search_block(&self, filter: &Filter, sealed: &Sealed, logs: &mut Vec<Log>) -> Reply<()> {
        if !filter.matches_bloom(sealed.block.header.logs_bloom) {
            return Ok(());
        }
        logs.extend(matching(filter, sealed, &self.receipts(sealed)?));
        self.bounded(logs)
    }

    /// Refuses more logs than an answer may have.
    fn bounded(&self, logs: &[Log]) -> Reply<()> {
        let most = self.config.max_logs;
        if logs.len() > most {
            return Err(Fault::Limit(format!(
                "query returned more than {most} results"
            )));
        }
        Ok(())
    }
}

/// Bounds what every block is compared with.
///
/// # Errors
/// `Limit` if the filter names more than [`MAX_ALTERNATIVES`] addresses or topics in one position.
pub(crate) fn check_filter(filter: &Filter) -> Reply<()> {
    let topics = filter.topics.iter().map(|topics| topics.len());
    if topics
        .chain([filter.address.len()])
        .any(|count| count > MAX_ALTERNATIVES)
    {
        return Err(Fault::Limit(format!(
            "exceed max addresses or topics per search position: at most {MAX_ALTERNATIVES}"
        )));
    }
    Ok(())
}

/// Logs of one block that match a filter's addresses and topics; its block option is not looked at.
pub(crate) fn matching(filter: &Filter, sealed: &Sealed, receipts: &[Receipt]) -> Vec<Log> {
    let header = &sealed.block.header;
    if !filter.matches_bloom(header.logs_bloom) {
        return Vec::new();
    }
    let this_block = filter.clone().select(sealed.hash);
    this_block.matching_block_logs(
        BlockNumHash {
            number: header.number,
            hash: sealed.hash,
        },
        header.timestamp,
        view::with_hashes(&sealed.block, receipts),
        false,
    )
}
