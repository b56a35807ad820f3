//! hallmark-rpc
