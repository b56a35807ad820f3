//! Transactions from one validator's pool to the others'.
//!
//! A message is the RLP list of encoded (EIP-2718) transactions. What the local pool admits from
//! outside (RPC) is sent to all peers once; what came from a peer is not sent on, because every node
//! is connected to all validators. The receiving pool decides what is admitted; an undecodable
//! message or transaction is dropped. A lost message costs latency, not the transaction: it stays in
//! the pool where it arrived and is proposed when that validator leads.
//!
//! Two messages are at least [`PACE`] apart, and what arrives in between travels together: a node that
//! was stopped finds in its connections what was sent meanwhile, in order, and takes no more messages
//! per second than the channel's quota. Votes and blocks wait behind them. A node that is more than
//! [`MAX_BEHIND`] blocks behind drops what it receives: it proposes nothing until it has caught up,
//! and to check transactions that are in blocks already would keep it from that.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes, keccak256};
use alloy_rlp::{Decodable, Encodable};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Receiver, Recipients, Sender};
use commonware_runtime::Clock;
use hallmark_execution::PooledTransaction;
use hallmark_types::Limits;
use tokio::sync::broadcast::error::RecvError;

use crate::core::Core;

/// Least time between two messages.
const PACE: Duration = Duration::from_millis(10);
/// Blocks that a node may be behind and still take transactions.
const MAX_BEHIND: u64 = 32;
/// Transactions are put together up to this size; a larger one travels alone.
const BATCH_BYTES: usize = 256 * 1024;
/// Transactions in a message, at most.
const BATCH_COUNT: usize = 1024;
/// Hashes remembered as received from validators.
const REMEMBERED: usize = 16 * 1024;

/// Largest message on the gossip channel: one transaction of the largest size, or a full batch, and
/// the RLP headers of each transaction and of the list.
pub(crate) fn max_message_bytes(limits: &Limits) -> usize {
    limits
        .max_tx_bytes
        .max(BATCH_BYTES)
        .saturating_add(BATCH_COUNT * 5 + 16)
}

/// Exchanges transactions until the pool or the network is gone.
pub(crate) async fn exchange(
    clock: impl Clock,
    core: Arc<Core>,
    mut sender: impl Sender<PublicKey = PublicKey>,
    mut receiver: impl Receiver<PublicKey = PublicKey>,
) {
    let limit = max_message_bytes(&core.spec().limits);
    let mut arrivals = core.arrivals();
    let mut foreign = Remembered::default();
    let mut held: Option<Arc<PooledTransaction>> = None;
    loop {
        // Biased, so that a simulation is a function of its seed.
        let first = match held.take() {
            Some(transaction) => transaction,
            None => tokio::select! {
                biased;
                message = receiver.recv() => match message {
                    Ok((peer, bytes)) => {
                        admit(&core, &mut foreign, &peer, bytes.as_ref());
                        continue;
                    }
                    Err(_) => return,
                },
                arrival = arrivals.recv() => match arrival {
                    Ok(transaction) => transaction,
                    Err(RecvError::Lagged(missed)) => {
                        tracing::warn!(missed, "transactions were not passed on");
                        continue;
                    }
                    Err(RecvError::Closed) => return,
                },
            },
        };
        let mut batch: Vec<Bytes> = Vec::new();
        let mut size = 0usize;
        let mut next = Some(first);
        while let Some(transaction) = next.take() {
            if !foreign.contains(&transaction.hash) {
                let bytes = transaction.tx.encoded_2718();
                if !batch.is_empty() && size.saturating_add(bytes.len()) > BATCH_BYTES {
                    held = Some(transaction);
                    break;
                }
                size = size.saturating_add(bytes.len());
                batch.push(bytes.into());
            }
            if batch.len() == BATCH_COUNT {
                break;
            }
            // Nothing more now; a reader that lagged is told so by the next `recv`.
            next = arrivals.try_recv().ok();
        }
        if batch.is_empty() {
            continue;
        }
        let mut message = Vec::with_capacity(batch.length());
        batch.encode(&mut message);
        // The network panics on a message above its limit (the pool bounds each transaction).
        if message.len() <= limit {
            sender.send(Recipients::All, bytes::Bytes::from(message), false);
        }
        let mut pause = std::pin::pin!(clock.sleep(PACE));
        loop {
            tokio::select! {
                biased;
                () = &mut pause => break,
                message = receiver.recv() => match message {
                    Ok((peer, bytes)) => admit(&core, &mut foreign, &peer, bytes.as_ref()),
                    Err(_) => return,
                },
            }
        }
    }
}

fn admit(core: &Core, foreign: &mut Remembered, peer: &PublicKey, mut message: &[u8]) {
    let head = core.store().head();
    if core.store().tip() > head.block.number().saturating_add(MAX_BEHIND) {
        return;
    }
    let transactions = match Vec::<Bytes>::decode(&mut message) {
        Ok(transactions) if message.is_empty() && transactions.len() <= BATCH_COUNT => transactions,
        _ => {
            tracing::debug!(%peer, "undecodable gossip");
            return;
        }
    };
    for transaction in transactions {
        foreign.insert(keccak256(&transaction));
        if let Err(error) = core.mempool().add_raw(&transaction, &head.state) {
            tracing::trace!(%peer, %error, "transaction of a peer not admitted");
        }
    }
}

/// The last hashes seen, bounded.
#[derive(Default)]
struct Remembered {
    order: VecDeque<B256>,
    hashes: BTreeSet<B256>,
}

impl Remembered {
    fn insert(&mut self, hash: B256) {
        if self.hashes.insert(hash) {
            self.order.push_back(hash);
        }
        if self.order.len() > REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.hashes.remove(&oldest);
        }
    }

    fn contains(&self, hash: &B256) -> bool {
        self.hashes.contains(hash)
    }
}
