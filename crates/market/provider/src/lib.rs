//! hallmark-provider
