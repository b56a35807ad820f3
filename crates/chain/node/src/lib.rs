//! hallmark-node
