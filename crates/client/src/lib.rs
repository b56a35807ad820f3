//! hallmark-client
