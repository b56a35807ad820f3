//! hallmark-abi
