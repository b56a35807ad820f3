//! hallmark-consensus
