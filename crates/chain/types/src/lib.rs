//! hallmark-types
