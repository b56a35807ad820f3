//! hallmark-engine
