//! hallmark-e2e
