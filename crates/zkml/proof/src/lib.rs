//! hallmark-proof
