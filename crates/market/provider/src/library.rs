//! Models on disk, opened, checked against the chain and ready to prove.
