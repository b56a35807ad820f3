//! Three markets of intelligence on the local network.
//!
//! 1. [`forecast`]: a forecasting topic over a real series, with a copier and a liar.
//! 2. [`weights`]: a Yuma topic with a weight copier and a cartel, with and without hiding.
//! 3. [`score`]: a score topic whose workers prove their accuracy, with a forger and a swapper.
//!
//! Nothing here is decided beforehand: every party signs its own transactions and talks to a
//! validator over JSON-RPC, the contract judges and pays, and the tables are read from the chain.

mod air;
mod forecast;
mod models;
mod network;
mod rehearsal;
mod score;
mod weights;

use crate::cli::{DemoTopicsArgs, TopicsPart};
use crate::commands::{Error, block_on};
use crate::output::Reporter;
use network::Network;
use serde_json::{Value, json};
use std::fmt;

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
        let checks = checks(&result);
        let told: Vec<String> = checks.iter().map(Check::to_string).collect();
        result["checks"] = checks
            .iter()
            .map(|check| json!({ "what": check.what, "holds": check.holds }))
            .collect();
        report.result(told.join("\n"), &result);
        let failed: Vec<String> = checks
            .into_iter()
            .filter(|check| !check.holds)
            .map(|check| check.what)
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        Err(Error::new(format!(
            "the demo did not end as it must; it does not hold that {}",
            failed.join("; that ")
        )))
    })
}

/// Part of the pay of which a copier and a liar must stay below.
const USELESS: f64 = 0.03;

/// Something that must hold in the end.
struct Check {
    what: String,
    holds: bool,
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.holds { "ok  " } else { "FAIL" };
        write!(f, "{mark} {}", self.what)
    }
}

/// What must hold of the parts that were played. A number that is missing proves nothing.
fn checks(result: &Value) -> Vec<Check> {
    let mut checks = Vec::new();
    let mut need = |what: String, holds: bool| checks.push(Check { what, holds });
    need(
        "money is conserved on every validator".to_owned(),
        result["conserved"] == true,
    );
    let named = |part: &Value, name: &str| -> Vec<Value> {
        let all = part["participants"].as_array().into_iter().flatten();
        all.filter(|one| one["name"] == name).cloned().collect()
    };
    if let Some(part) = result.get("forecast") {
        for name in ["copier", "liar"] {
            let paid = part["paid"].as_f64().filter(|paid| *paid > 0.0);
            let earned: Option<f64> = named(part, name)
                .iter()
                .map(|one| one["earned"].as_f64())
                .sum();
            let share = paid.zip(earned).map(|(paid, earned)| earned / paid);
            need(
                format!(
                    "forecast: the {name} has less than {} % of the pay ({})",
                    USELESS * 100.0,
                    share.map_or("unknown".to_owned(), |s| format!("{:.2} %", s * 100.0))
                ),
                !named(part, name).is_empty() && share.is_some_and(|share| share < USELESS),
            );
        }
    }
    if let Some(part) = result.get("forecast") {
        let all = part["participants"].as_array();
        let nobody_was_late = all.is_some_and(|all| all.iter().all(|one| one["refusals"] == 0));
        if nobody_was_late {
            let losses = [&part["networkLogLoss"], &part["offline"]["networkLogLoss"]];
            let [chain, offline] = losses.map(Value::as_f64);
            need(
                "forecast: the network said on chain what it says offline".to_owned(),
                chain
                    .zip(offline)
                    .is_some_and(|(chain, offline)| (chain - offline).abs() < 1e-9),
            );
        }
        // The first epochs know nobody's past: of a short run only what it is offline is asked.
        let whole = part["wholeRun"] == true;
        let asked = whole || part["offline"]["networkBeatsBest"] == true;
        let losses = [&part["networkLogLoss"], &part["bestWorkerLogLoss"]].map(Value::as_f64);
        let [network, best] = losses;
        let beats = network
            .zip(best)
            .is_some_and(|(network, best)| network < best);
        if asked {
            need(
                "forecast: the network beats the best single worker".to_owned(),
                beats,
            );
        }
    }
    if let Some(part) = result.get("weights") {
        let per_stake = |name| -> Vec<f64> {
            let all = named(part, name);
            let known = all.iter().map(|one| one["perStakeOnChain"].as_f64());
            known.collect::<Option<_>>().unwrap_or_default()
        };
        let honest = per_stake("honest validator").into_iter().reduce(f64::min);
        for name in ["copier", "cartel"] {
            let most = per_stake(name).into_iter().reduce(f64::max);
            need(
                format!("weights: the {name} earned less per stake than the honest"),
                most.zip(honest).is_some_and(|(most, honest)| most < honest),
            );
        }
    }
    if let Some(part) = result.get("score") {
        need(
            "score: every fraud was refused".to_owned(),
            part["allRefused"] == true,
        );
    }
    checks
}

#[cfg(test)]
mod tests {
    use super::checks;
    use serde_json::{Value, json};

    fn good() -> Value {
        json!({
            "conserved": true,
            "forecast": { "paid": 100.0, "networkLogLoss": -1.5, "bestWorkerLogLoss": -1.3,
              "wholeRun": true, "participants": [
                { "name": "mean", "earned": 95.0, "refusals": 0 },
                { "name": "copier", "earned": 2.9, "refusals": 0 },
                { "name": "liar", "earned": 1.0, "refusals": 0 },
            ], "offline": { "networkLogLoss": -1.5, "networkBeatsBest": true } },
            "weights": { "participants": [
                { "name": "worker 0", "perStakeOnChain": null },
                { "name": "honest validator", "perStakeOnChain": 1.0 },
                { "name": "honest validator", "perStakeOnChain": 0.9 },
                { "name": "copier", "perStakeOnChain": 0.6 },
                { "name": "cartel", "perStakeOnChain": 0.0 },
                { "name": "cartel", "perStakeOnChain": 0.1 },
            ] },
            "score": { "allRefused": true },
        })
    }

    fn failed(result: &Value) -> Vec<String> {
        let checks = checks(result).into_iter();
        checks.filter(|c| !c.holds).map(|c| c.what).collect()
    }

    #[test]
    fn a_demo_that_ends_as_it_must_fails_no_check() {
        assert!(failed(&good()).is_empty(), "{:?}", failed(&good()));
        assert_eq!(checks(&good()).len(), 8);
        // Who was late has another network than the rehearsal.
        let mut late = good();
        late["forecast"]["participants"][0]["refusals"] = json!(1);
        late["forecast"]["networkLogLoss"] = json!(-1.4);
        assert_eq!((failed(&late).len(), checks(&late).len()), (0, 7));
        // A short run in whose months the network is not the best, offline either.
        let mut short = good();
        short["forecast"]["wholeRun"] = json!(false);
        short["forecast"]["bestWorkerLogLoss"] = json!(-1.6);
        short["forecast"]["offline"]["networkBeatsBest"] = json!(false);
        assert_eq!((failed(&short).len(), checks(&short).len()), (0, 7));
        short["forecast"]["offline"]["networkBeatsBest"] = json!(true);
        assert_eq!(failed(&short).len(), 1);
        // Only the parts that were played are judged.
        assert!(failed(&json!({ "conserved": true })).is_empty());
    }

    #[test]
    fn each_defeat_fails_its_own_check() {
        for (place, value, part) in [
            ("/conserved", json!(false), "money"),
            ("/score/allRefused", json!(false), "fraud"),
            ("/score/allRefused", json!(null), "fraud"),
            ("/forecast/participants/1/earned", json!(3.0), "copier"),
            ("/forecast/participants/2/earned", json!(50), "liar"),
            ("/forecast/participants/2/name", json!("lier"), "liar"),
            ("/forecast/networkLogLoss", json!(-1.4), "offline"),
            ("/forecast/offline", json!(null), "offline"),
            ("/forecast/bestWorkerLogLoss", json!(-1.5), "beats"),
            ("/forecast/bestWorkerLogLoss", json!(null), "beats"),
            (
                "/weights/participants/3/perStakeOnChain",
                json!(0.95),
                "copier",
            ),
            (
                "/weights/participants/5/perStakeOnChain",
                json!(1.5),
                "cartel",
            ),
            (
                "/weights/participants/5/perStakeOnChain",
                json!(null),
                "cartel",
            ),
        ] {
            let mut result = good();
            *result.pointer_mut(place).unwrap() = value;
            let failed = failed(&result);
            assert_eq!(failed.len(), 1, "{place}: {failed:?}");
            assert!(failed[0].contains(part), "{place}: {failed:?}");
        }
        let mut unpaid = good();
        unpaid["forecast"]["paid"] = json!(0.0);
        assert_eq!(failed(&unpaid).len(), 2);
        let mut no_honest = good();
        no_honest["weights"]["participants"][1]["perStakeOnChain"] = json!(null);
        assert_eq!(failed(&no_honest).len(), 2);
    }
}
