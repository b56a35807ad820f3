//! A topic as a file: JSON with times and amounts as people write them.
//!
//! ```json
//! {
//!   "title": "CO2 at Mauna Loa, next month",
//!   "mechanisms": [{ "kind": "synthesis", "params": { "regret_rate": 0.1 } }],
//!   "policy": { "open": "60s", "lag": "1h", "minBond": "10", "valueMin": 300, "valueMax": 600 }
//! }
//! ```
//!
//! Every name of the policy may be left out; [`TopicPlan::from_json`] has the defaults. A time is a
//! number of milliseconds, or text that ends in `ms`, `s`, `m`, `h` or `d`. An amount is MARK.

use super::{Kind, Mechanism, Policy, TopicPlan};
use alloy_primitives::{Bytes, U256, utils::parse_ether};
use hallmark_mechanisms::{simulate::Decimal, wire};
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::value::RawValue;

/// What is wrong with a topic's file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PlanError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PlanFile<'a> {
    title: String,
    #[serde(borrow)]
    mechanisms: Vec<MechanismFile<'a>>,
    #[serde(default)]
    policy: PolicyFile,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct MechanismFile<'a> {
    kind: Kind,
    share_bps: Option<u16>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct PolicyFile {
    open: Option<Time>,
    sealed: Option<Time>,
    lag: Option<Time>,
    reveal: Option<Time>,
    epoch: Option<Time>,
    max_workers: Option<u16>,
    max_forecasters: Option<u16>,
    max_reputers: Option<u16>,
    immunity: Option<Time>,
    min_bond: Option<Coins>,
    submit_fee: Option<Coins>,
    vesting: Option<Time>,
    owner_bps: Option<u16>,
    value_min: Option<Decimal>,
    value_max: Option<Decimal>,
}

/// Milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Time(u64);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        time(raw.trim_matches('"')).map(Time).ok_or_else(|| {
            D::Error::custom(format!("{raw} is no time such as 1500, \"60s\" or \"1h\""))
        })
    }
}

fn time(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return None,
    };
    digits.parse::<u64>().ok()?.checked_mul(unit)
}

/// Wei.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Coins(u128);

impl<'de> Deserialize<'de> for Coins {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let text = raw.trim_matches('"');
        let amount = (!text.starts_with('-')).then(|| parse_ether(text).ok());
        amount
            .flatten()
            .and_then(|wei: U256| u128::try_from(wei).ok())
            .map(Coins)
            .ok_or_else(|| D::Error::custom(format!("{raw} is no amount of MARK such as \"0.01\"")))
    }
}

impl TopicPlan {
    /// A topic with one mechanism and all defaults.
    ///
    /// # Errors
    /// None today; a title that JSON cannot hold.
    pub fn of_kind(title: &str, kind: Kind) -> Result<Self, PlanError> {
        let plan = serde_json::json!({ "title": title, "mechanisms": [{ "kind": kind }] });
        Self::from_json(&plan.to_string())
    }

    /// Reads a topic's file. Defaults of the policy: `open` 60 s, and where a mechanism needs them
    /// `sealed` 20 s, `lag` 60 s, `reveal` 20 s (else none); `epoch` the sum of the stages; as many
    /// slots as the contract takes; `immunity` 1 h, `minBond` 10, `submitFee` 0.01, `vesting` none,
    /// `ownerBps` 1000, any value. A mechanism's `shareBps` is 10000 where there is one.
    ///
    /// # Errors
    /// What is wrong, and where.
    pub fn from_json(text: &str) -> Result<Self, PlanError> {
        let file: PlanFile = serde_json::from_str(text).map_err(|e| PlanError(e.to_string()))?;
        let single = file.mechanisms.len() == 1;
        let mut mechanisms = Vec::new();
        for (index, found) in file.mechanisms.iter().enumerate() {
            mechanisms.push(Mechanism {
                kind: found.kind,
                share_bps: found.share_bps.or(single.then_some(10_000)).ok_or_else(|| {
                    PlanError(format!(
                        "mechanisms[{index}].shareBps is missing: the parts of several must sum to 10000"
                    ))
                })?,
                params: params(found).map_err(|error| {
                    PlanError(format!("mechanisms[{index}].params: {error}"))
                })?,
            });
        }
        let has = |kind| mechanisms.iter().any(|m| m.kind == kind);
        let (yuma, synthesis, score) = (has(Kind::Yuma), has(Kind::Synthesis), has(Kind::Score));
        let ms = |time: Option<Time>, default: u64| time.map_or(default, |time| time.0);
        let needed = |needed: bool, default: u64| if needed { default } else { 0 };
        let p = file.policy;
        let open_ms = ms(p.open, 60_000);
        let sealed_ms = ms(p.sealed, needed(synthesis || score, 20_000));
        let lag_ms = ms(p.lag, needed(synthesis || score, 60_000));
        let reveal_ms = ms(p.reveal, needed(synthesis || yuma, 20_000));
        let sum = [sealed_ms, lag_ms, reveal_ms]
            .iter()
            .fold(open_ms, |sum, ms| sum.saturating_add(*ms));
        let judges = if synthesis { 6 } else { 0 };
        Ok(Self {
            title: file.title,
            policy: Policy {
                open_ms,
                sealed_ms,
                lag_ms,
                reveal_ms,
                epoch_ms: ms(p.epoch, sum),
                max_workers: p.max_workers.unwrap_or(if synthesis { 32 } else { 256 }),
                max_forecasters: p.max_forecasters.unwrap_or(judges),
                max_reputers: p.max_reputers.unwrap_or(judges),
                immunity_ms: ms(p.immunity, 3_600_000),
                min_bond: p.min_bond.map_or(10 * hallmark_types::MARK, |c| c.0),
                submit_fee: p.submit_fee.map_or(hallmark_types::MARK / 100, |c| c.0),
                vesting_ms: ms(p.vesting, 0),
                owner_bps: p.owner_bps.unwrap_or(1_000),
                value_min: p.value_min.map_or(0, |v| v.0.to_bits()),
                value_max: p.value_max.map_or(0, |v| v.0.to_bits()),
            },
            mechanisms,
        })
    }
}

impl Policy {
    /// The policy with some of its names changed; the rest stays. Without `epoch`, the pause after the
    /// stages stays as long as it is.
    ///
    /// # Errors
    /// What is wrong, and where; nothing changed.
    pub fn with_changes(&self, text: &str) -> Result<Self, PlanError> {
        let file: PolicyFile = serde_json::from_str(text).map_err(|e| PlanError(e.to_string()))?;
        let mut to = self.clone();
        let ms = |place: &mut u64, time: Option<Time>| *place = time.map_or(*place, |time| time.0);
        ms(&mut to.open_ms, file.open);
        ms(&mut to.sealed_ms, file.sealed);
        ms(&mut to.lag_ms, file.lag);
        ms(&mut to.reveal_ms, file.reveal);
        let pause = self.epoch_ms.saturating_sub(self.stages_ms());
        to.epoch_ms = to.stages_ms().saturating_add(pause);
        ms(&mut to.epoch_ms, file.epoch);
        ms(&mut to.immunity_ms, file.immunity);
        ms(&mut to.vesting_ms, file.vesting);
        let count = |place: &mut u16, count: Option<u16>| *place = count.unwrap_or(*place);
        count(&mut to.max_workers, file.max_workers);
        count(&mut to.max_forecasters, file.max_forecasters);
        count(&mut to.max_reputers, file.max_reputers);
        count(&mut to.owner_bps, file.owner_bps);
        let coins = |place: &mut u128, coins: Option<Coins>| *place = coins.map_or(*place, |c| c.0);
        coins(&mut to.min_bond, file.min_bond);
        coins(&mut to.submit_fee, file.submit_fee);
        let value = |place: &mut i128, value: Option<Decimal>| {
            *place = value.map_or(*place, |value| value.0.to_bits());
        };
        value(&mut to.value_min, file.value_min);
        value(&mut to.value_max, file.value_max);
        if to == *self {
            return Err(PlanError("this changes nothing".to_owned()));
        }
        Ok(to)
    }

    /// The sum of an epoch's stages.
    fn stages_ms(&self) -> u64 {
        [self.sealed_ms, self.lag_ms, self.reveal_ms]
            .iter()
            .fold(self.open_ms, |sum, ms| sum.saturating_add(*ms))
    }
}

fn params(of: &MechanismFile) -> Result<Bytes, String> {
    let Some(given) = of.params else {
        return Ok(Bytes::new());
    };
    let kind = wire::Kind::from_u8(of.kind as u8).ok_or("an unknown kind")?;
    Ok(wire::Params::from_json(kind, given.get())?.encode().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_with_units_and_defaults() {
        let plan = TopicPlan::from_json(
            r#"{
                "title": "t",
                "mechanisms": [{ "kind": "synthesis", "params": { "regret_rate": 0.2 } }],
                "policy": { "open": "2s", "lag": 500, "minBond": "2.5", "valueMin": -1, "valueMax": 1.5 }
            }"#,
        )
        .unwrap();
        let p = &plan.policy;
        assert_eq!((p.open_ms, p.sealed_ms, p.lag_ms), (2_000, 20_000, 500));
        assert_eq!(p.epoch_ms, 42_500);
        assert_eq!(p.min_bond, 2_500_000_000_000_000_000);
        assert_eq!((p.value_min, p.value_max), (-1 << 64, 3 << 63));
        assert_eq!((p.max_workers, p.max_reputers), (32, 6));
        assert_eq!(plan.mechanisms[0].share_bps, 10_000);
        assert!(!plan.mechanisms[0].params.is_empty());
        let yuma = TopicPlan::of_kind("y", Kind::Yuma).unwrap();
        assert_eq!((yuma.policy.sealed_ms, yuma.policy.lag_ms), (0, 0));
        assert!(yuma.mechanisms[0].params.is_empty());
    }

    #[test]
    fn a_policy_changes_where_a_name_is_given() {
        let plan = TopicPlan::from_json(
            r#"{"title":"t","mechanisms":[{"kind":"yuma"}],"policy":{"epoch":"100s"}}"#,
        )
        .unwrap();
        let old = plan.policy;
        assert_eq!((old.open_ms, old.reveal_ms), (60_000, 20_000));
        let new = old
            .with_changes(r#"{"open":"30s","minBond":"25","ownerBps":0,"valueMax":2}"#)
            .unwrap();
        let expected = Policy {
            open_ms: 30_000,
            // A pause of 20 s, as before.
            epoch_ms: 70_000,
            min_bond: 25 * hallmark_types::MARK,
            owner_bps: 0,
            value_max: 2 << 64,
            ..old.clone()
        };
        assert_eq!(new, expected);
        let timed = old.with_changes(r#"{"open":"30s","epoch":"2m"}"#).unwrap();
        assert_eq!(timed.epoch_ms, 120_000);
        for (text, part) in [
            ("{}", "changes nothing"),
            (r#"{"open":"60s"}"#, "changes nothing"),
            (r#"{"opne":"1s"}"#, "opne"),
            (r#"{"minBond":"-1"}"#, "-1"),
        ] {
            let refused = old.with_changes(text).unwrap_err().to_string();
            assert!(refused.contains(part), "{refused}");
        }
    }

    #[test]
    fn a_fault_is_named_with_its_place() {
        for (text, part) in [
            (
                r#"{"title":"t","mechanisms":[],"policy":{"open":"5x"}}"#,
                "5x",
            ),
            (
                r#"{"title":"t","mechanisms":[],"policy":{"minBond":"-1"}}"#,
                "-1",
            ),
            (
                r#"{"title":"t","mechanisms":[],"policy":{"opne":1}}"#,
                "opne",
            ),
            (
                r#"{"title":"t","mechanisms":[{"kind":"yuma"},{"kind":"score"}]}"#,
                "mechanisms[0].shareBps",
            ),
            (
                r#"{"title":"t","mechanisms":[{"kind":"score","params":{"heat":1}}]}"#,
                "mechanisms[0].params",
            ),
            ("{", "EOF"),
        ] {
            let refused = TopicPlan::from_json(text).unwrap_err().to_string();
            assert!(refused.contains(part), "{refused}");
        }
    }
}
