//! The pool of transactions that wait for a block.
mod error;
mod pool;
pub use error::PoolError;
pub use pool::Mempool;
