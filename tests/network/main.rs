//! Four validators over real sockets and folders, in one test binary. Networks take turns: two
//! cores serve one at a time.

mod bad_days;
mod cheats;
mod counts;
mod light;
mod limits;
mod market;
mod receipts;
mod sealed;

/// Held by each test while its network runs.
static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
