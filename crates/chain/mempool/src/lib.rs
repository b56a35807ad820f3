//! hallmark-mempool
