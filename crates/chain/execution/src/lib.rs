//! hallmark-execution
