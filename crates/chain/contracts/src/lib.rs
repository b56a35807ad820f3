//! hallmark-contracts
