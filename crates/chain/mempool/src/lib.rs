//! The pool of transactions that wait for a block.
//!
//! # What is admitted
//! A canonical EIP-2718 transaction of at most `max_tx_bytes`, signed for this chain, that pays
//! its intrinsic gas within the chain's gas cap, whose nonce is not used and at most
//! `mempool_per_sender` ahead, and whose sender can pay for it on top of everything else that it
//! has in the pool. A delegated account (EIP-7702), whose balance anybody's transaction may move, has
//! one transaction waiting, no more, from the block on that delegates it: what it had waiting besides
//! goes then. A delegation that itself only waits in the pool counts for nothing yet. Refusals carry
//! geth's texts, because wallets match them.
//!
//! # What is held
//! One queue per sender, ordered by nonce. A transaction with a pooled nonce replaces the pooled
//! one if both its fee cap and its tip are at least 10 percent higher. The pool is bounded in
//! transactions, in bytes and per sender.
//!
//! # What is evicted
//! When the pool is full, the last transaction of the queue that is worth least. A queue is worth
//! the lowest tip in it, because its last transaction can only be executed after all the others;
//! a queue with a gap is worth less than any without. A newcomer that is worth no more than that
//! is refused, so that the pool cannot be churned for free.
//!
//! # What is offered
//! [`Mempool::best`]: by effective tip, then by arrival, nonces of a sender in order and without
//! gaps from the given state's nonce on.
//!
//! Nothing is persisted: after a restart the pool fills by gossip and by its users.
#![deny(clippy::float_arithmetic)]

mod check;
mod error;
mod pool;
mod queue;
#[cfg(test)]
mod tests;

pub use error::PoolError;
pub use pool::Mempool;
