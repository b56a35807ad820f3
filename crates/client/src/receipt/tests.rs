//! Receipts: each forgery is refused for its own reason.
