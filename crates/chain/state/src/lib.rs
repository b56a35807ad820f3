//! hallmark-state
