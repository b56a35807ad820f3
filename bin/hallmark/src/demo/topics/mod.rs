//! Three markets of intelligence on the local network.
//!
//! 1. [`forecast`]: a forecasting topic over a real series, with a copier and a liar.
//! 2. [`weights`]: a Yuma topic with a weight copier and a cartel, with and without hiding.
//! 3. [`score`]: a score topic whose workers prove their accuracy, with a forger and a swapper.
//!
//! Nothing here is decided beforehand: every party signs its own transactions and talks to a
//! validator over JSON-RPC, the contract judges and pays, and the tables are read from the chain.

mod forecast;
mod models;
mod network;
mod score;
mod weights;

use crate::cli::{DemoTopicsArgs, TopicsPart};
use crate::commands::{Error, block_on};
use crate::output::Reporter;
use network::Network;
use serde_json::json;

pub fn run(args: DemoTopicsArgs, report: &Reporter) -> Result<(), Error> {
    block_on(async {
        let network = Network::start(&args.home, report)?;
        let wanted = |part| args.only.is_none_or(|only| only == part);
        let mut result = json!({});
        let played = async {
            if wanted(TopicsPart::Forecast) {
                result["forecast"] = forecast::play(&network, &args, report).await?;
            }
            if wanted(TopicsPart::Weights) {
                result["weights"] = weights::play(&network, &args, report).await?;
            }
            if wanted(TopicsPart::Score) {
                result["score"] = score::play(&network, &args, report).await?;
            }
            Ok::<(), Error>(())
        };
        let played = tokio::select! {
            played = played => played,
            reason = network.failed() => Err(Error::new(reason)),
        };
        let conserved = network.conserved(report);
        result["conserved"] = conserved.into();
        network.stop().await;
        played?;
        if !conserved {
            return Err(Error::new("money is missing on a validator"));
        }
        report.result("", &result);
        Ok(())
    })
}
