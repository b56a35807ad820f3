//! Fee suggestions: what the next block's base fee is, and which tips were paid lately.

use crate::{
    context::{Rpc, Sealed},
    error::{Fault, Reply},
};
use alloy_consensus::Transaction as _;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, U64, U256};
use alloy_rpc_types_eth::FeeHistory;
use hallmark_types::next_base_fee;
use jsonrpsee::{core::async_trait, proc_macros::rpc};
use parking_lot::Mutex;

/// Blocks that one `eth_feeHistory` answers for; a longer request is shortened, as geth does.
const MAX_HISTORY: u64 = 256;
/// Percentiles that one `eth_feeHistory` may ask for.
const MAX_PERCENTILES: usize = 100;
/// Blocks whose tips the suggestion looks at.
const TIP_BLOCKS: u64 = 20;
/// Which of the sorted tips is suggested, in percent.
const TIP_PERCENTILE: usize = 60;
/// Suggested when the recent blocks are empty: 1 gwei.
const DEFAULT_TIP: u128 = 1_000_000_000;

#[rpc(server, namespace = "eth")]
pub(crate) trait Fees {
    /// Base fee of the next block plus the suggested tip.
    #[method(name = "gasPrice")]
    async fn gas_price(&self) -> Result<U256, Fault>;

    /// A tip that recent blocks accepted.
    #[method(name = "maxPriorityFeePerGas")]
    async fn max_priority_fee(&self) -> Result<U256, Fault>;

    /// Base fees of `count` blocks up to `newest` and of the block after it, with tip percentiles.
    #[method(name = "feeHistory")]
    async fn fee_history(
        &self,
        count: U64,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> Result<FeeHistory, Fault>;
}

/// The last suggestion, valid while its block is the head.
#[derive(Default)]
pub(crate) struct TipCache(Mutex<Option<(B256, u128)>>);

#[async_trait]
impl FeesServer for Rpc {
    async fn gas_price(&self) -> Reply<U256> {
        let tip = self.suggested_tip().await?;
        let base = self.next_base_fee(&Sealed::from(&*self.head()));
        Ok(U256::from(u128::from(base).saturating_add(tip)))
    }

    async fn max_priority_fee(&self) -> Reply<U256> {
        Ok(U256::from(self.suggested_tip().await?))
    }

    async fn fee_history(
        &self,
        count: U64,
        newest: BlockNumberOrTag,
        percentiles: Option<Vec<f64>>,
    ) -> Reply<FeeHistory> {
        let percentiles = percentiles.unwrap_or_default();
        check_percentiles(&percentiles)?;
        let newest = self.height(newest);
        if newest > self.head().block.number() {
            return Err(Fault::Refused("request beyond head block".into()));
        }
        let count = count
            .to::<u64>()
            .min(MAX_HISTORY)
            .min(newest.saturating_add(1));
        if count == 0 {
            return Ok(FeeHistory::default());
        }
        let rpc = self.clone();
        self.workers
            .run(move || rpc.history(newest, count, &percentiles))
            .await
    }
}

impl Rpc {
    /// The base fee that the block after this one must carry.
    fn next_base_fee(&self, sealed: &Sealed) -> u64 {
        next_base_fee(&sealed.block.header, &self.spec)
    }

    async fn suggested_tip(&self) -> Reply<u128> {
        let head = self.head();
        if let Some((hash, tip)) = *self.tip_cache.0.lock()
            && hash == head.hash
        {
            return Ok(tip);
        }
        let rpc = self.clone();
        let number = head.block.number();
        let tip = self.workers.run(move || Ok(rpc.recent_tip(number))).await?;
        *self.tip_cache.0.lock() = Some((head.hash, tip));
        Ok(tip)
    }

    fn recent_tip(&self, newest: u64) -> u128 {
        let mut tips: Vec<u128> = (newest.saturating_sub(TIP_BLOCKS - 1)..=newest)
            .filter_map(|number| self.block(number))
            .flat_map(|sealed| tips(&sealed))
            .collect();
        tips.sort_unstable();
        let index = tips.len().saturating_sub(1).saturating_mul(TIP_PERCENTILE) / 100;
        tips.get(index).copied().unwrap_or(DEFAULT_TIP)
    }

    fn history(&self, newest: u64, count: u64, percentiles: &[f64]) -> Reply<FeeHistory> {
        let oldest = newest.saturating_add(1).saturating_sub(count);
        let mut history = FeeHistory {
            oldest_block: oldest,
            ..Default::default()
        };
        let mut rewards = Vec::new();
        for number in oldest..=newest {
            let sealed = self.block(number).ok_or(Fault::UnknownBlock)?;
            let header = &sealed.block.header;
            history
                .base_fee_per_gas
                .push(header.base_fee_per_gas.unwrap_or_default().into());
            history
                .gas_used_ratio
                .push(header.gas_used as f64 / header.gas_limit.max(1) as f64);
            if !percentiles.is_empty() {
                rewards.push(self.rewards(&sealed, percentiles)?);
            }
            if number == newest {
                history
                    .base_fee_per_gas
                    .push(self.next_base_fee(&sealed).into());
            }
        }
        history.reward = (!percentiles.is_empty()).then_some(rewards);
        Ok(history)
    }

    /// Tips of a block at the given percentiles of its gas; zeroes if it is empty.
    fn rewards(&self, sealed: &Sealed, percentiles: &[f64]) -> Reply<Vec<u128>> {
        let receipts = self.receipts(sealed)?;
        let mut before = 0u64;
        let gas = receipts.iter().map(|receipt| {
            let used = receipt.cumulative_gas_used().saturating_sub(before);
            before = receipt.cumulative_gas_used();
            used
        });
        let mut paid: Vec<(u128, u64)> = tips(sealed).into_iter().zip(gas).collect();
        paid.sort_unstable();
        let total = sealed.block.header.gas_used;
        let at = |percentile: &f64| {
            let threshold = (total as f64 * percentile / 100.0) as u64;
            let mut sum = 0u64;
            let reached = paid.iter().find(|(_, gas)| {
                sum = sum.saturating_add(*gas);
                sum >= threshold
            });
            reached.or(paid.last()).map_or(0, |(tip, _)| *tip)
        };
        Ok(percentiles.iter().map(at).collect())
    }
}

/// What each transaction of a block paid its proposer per unit of gas.
fn tips(sealed: &Sealed) -> Vec<u128> {
    let base_fee = sealed.block.header.base_fee_per_gas.unwrap_or_default();
    let transactions = sealed.block.transactions.iter();
    transactions
        .map(|tx| tx.effective_tip_per_gas(base_fee).unwrap_or_default())
        .collect()
}

fn check_percentiles(percentiles: &[f64]) -> Reply<()> {
    if percentiles.len() > MAX_PERCENTILES {
        return Err(Fault::Invalid(format!(
            "at most {MAX_PERCENTILES} reward percentiles"
        )));
    }
    let rising = percentiles.is_sorted();
    if !rising || percentiles.iter().any(|p| !(0.0..=100.0).contains(p)) {
        return Err(Fault::Invalid("invalid reward percentile".into()));
    }
    Ok(())
}
