//! Score topics: a test set that is opened after the models, and the proofs of what these answer.
//!
//! | who | when | step |
//! |---|---|---|
//! | owner | before the epoch opens | [`Topics::prepare_test_set`], [`Topics::commit_test_set`] |
//! | worker | Open | commits to a published model's id |
//! | owner | Sealed | [`Topics::reveal_test_set`] |
//! | worker | Sealed, Lag | opens its model |
//! | worker | Lag | runs every sample, and sends a proof of each right answer |
//!
//! A test set and its salt are on disk before its commitment is sent: one that is never opened costs
//! the owner's bond if models were committed. A worker's steps are done by a
//! [`Desk`](super::work::Desk) that has a [`Prover`].
//!
//! A sample without a proof counts as wrong, so wrong answers are not proven.

mod prover;
mod test_set;
#[cfg(test)]
mod tests;

pub use prover::{Prover, ProverError, Run};
pub use test_set::{KeptTestSet, MAX_TEST_SET_BYTES, TestSet, TestSetFault};
