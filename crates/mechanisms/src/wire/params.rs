//! Parameters of a mechanism as bytes and as JSON.
//!
//! Defaults are no bytes, and are those of a topic, which anyone may judge in: [`Params::defaults`].
//! Anything else is every field in this order:
//!
//! | kind | fields |
//! |---|---|
//! | yuma | `u8` version (2, 3), `u16` kappa, `u16` bonds penalty, `u32` bonds moving average (millionths), `u8` liquid alpha with `u16` low, `u16` high, `i16` steepness (zero if off), `u8` absent bonds decay, `u8` two-sided, `u16` stake cap (65,535: none), `u8` idle pay, `u16` permits (1 to [`MAX_PERMITS`]), `u16` owner (65,535: none), `u128` stake threshold, `u64` activity cutoff in milliseconds (0: 13.889 epochs) |
//! | synthesis | the names of [`synthesis::Params`] in their order: numbers `i128`, regret scale `u8` (1: median), consensus `u8` (1, the median), learning steps `u16`, score samples `u16`, gain only `u8` |
//! | score | `i128` rate, `i128` temperature |

use super::bytes::{Reader, Writer};
use super::synthesis::MOST_SCORES;
use super::{Kind, Limits};
use crate::simulate::{self, Fault, parse};
use crate::synthesis::{Consensus, RegretScale};
use crate::yuma::{AbsentBonds, LiquidAlpha, Version};
use crate::{score, synthesis, yuma};
use hallmark_fixed::Q64;
use serde_json::value::RawValue;
use std::collections::BTreeMap;

/// Stands for no owner.
const NO_OWNER: u16 = u16::MAX;
/// Stands for no cap, which is what the greatest stake as cap is.
const NO_CAP: u16 = u16::MAX;
/// Greatest number of Yuma permits on a chain, the owner's included, and the default.
///
/// A contract reads at most so many rows of weights in one settlement. A validator with a permit
/// whose row is not read counts as one who weighs nobody: its stake pulls every consensus towards
/// zero. With twice as many equal validators as rows, those who are read have half of the stake,
/// and the least of their weights stands, so that each of them decides alone; with more, no
/// consensus is left and nothing is paid. So there are no more permits than rows.
pub const MAX_PERMITS: usize = 64;
/// Kappa of a topic, 0.55: a cartel needs more than that of the stake to be the consensus, and at least
/// 0.45 to hinder one.
const KAPPA: u16 = 36_044;
/// Temperature of a topic's scores, in thousandths: only who is as good as the best to a few thousandths
/// is paid beside it, so that clones of a worse model earn nothing.
const TEMPERATURE_THOUSANDTHS: u128 = 1;
/// Greatest number of listening steps.
const MOST_STEPS: u32 = 32;

/// The parameters of a mechanism.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Params {
    /// Of Yuma, in milliseconds instead of blocks; an activity cutoff of zero is 13.889 epochs;
    /// tempo and emission are the contract's and stay at their defaults.
    Yuma(yuma::Params),
    /// Of inference synthesis.
    Synthesis(synthesis::Params),
    /// Of score; only what is proven counts.
    Score(score::Params),
}

impl Params {
    /// What no bytes stand for: the defaults of the mechanism, but for what anyone may join it takes the
    /// rules under which fewer games pay (`docs/topics.md` has the table).
    ///
    /// | kind | here | the mechanism's own default |
    /// |---|---|---|
    /// | yuma | version 3, kappa 0.55, two-sided, no idle pay, [`MAX_PERMITS`] permits | 2, 0.5, one-sided, idle pay, 128 |
    /// | synthesis | [`Consensus::Median`] | the mean |
    /// | score | temperature 0.001 | 0.1 |
    pub fn defaults(kind: Kind) -> Params {
        match kind {
            Kind::Yuma => Params::Yuma(yuma::Params {
                version: Version::Three,
                kappa: KAPPA,
                two_sided: true,
                pay_idle: false,
                activity_cutoff: 0,
                max_validators: MAX_PERMITS,
                ..yuma::Params::default()
            }),
            Kind::Synthesis => Params::Synthesis(synthesis::Params {
                consensus: Consensus::Median,
                ..synthesis::Params::default()
            }),
            Kind::Score => Params::Score(score::Params {
                temperature: Q64::from_ratio(TEMPERATURE_THOUSANDTHS, 1_000),
                ..score::Params::default()
            }),
        }
    }

    /// Whose parameters these are.
    pub fn kind(&self) -> Kind {
        match self {
            Params::Yuma(_) => Kind::Yuma,
            Params::Synthesis(_) => Kind::Synthesis,
            Params::Score(_) => Kind::Score,
        }
    }

    /// Reads the names of `topic simulate`, each of which may be missing and then has its default
    /// of [`Params::defaults`] (an owner takes one of the permits). Yuma's `tempo` and `emission`
    /// are refused, because the contract decides them.
    ///
    /// # Errors
    ///
    /// The field and what is wrong with it.
    pub fn from_json(kind: Kind, json: &str) -> Result<Params, String> {
        let text = |fault: Fault| format!("{}: {}", fault.field, fault.message);
        let names: BTreeMap<String, &RawValue> = parse(json).map_err(text)?;
        let given = |name: &str| names.contains_key(name);
        let params = match (kind, Params::defaults(kind)) {
            (Kind::Yuma, Params::Yuma(defaults)) => {
                for name in ["tempo", "emission"] {
                    if given(name) {
                        return Err(format!("{name}: a topic's policy decides it"));
                    }
                }
                let rules = parse::<simulate::yuma::ParamsIn>(json)
                    .map_err(text)?
                    .rules();
                Params::Yuma(yuma::Params {
                    version: pick(given("yuma3"), rules.version, defaults.version),
                    kappa: pick(given("kappa"), rules.kappa, defaults.kappa),
                    two_sided: pick(given("two_sided"), rules.two_sided, defaults.two_sided),
                    pay_idle: pick(given("pay_idle"), rules.pay_idle, defaults.pay_idle),
                    activity_cutoff: pick(
                        given("activity_cutoff"),
                        rules.activity_cutoff,
                        defaults.activity_cutoff,
                    ),
                    max_validators: pick(
                        given("max_validators"),
                        rules.max_validators,
                        MAX_PERMITS.saturating_sub(usize::from(rules.owner.is_some())),
                    ),
                    ..rules
                })
            }
            (_, Params::Synthesis(defaults)) => {
                let params = parse::<simulate::synthesis::ParamsIn>(json).map_err(text)?;
                let rules = params.rules();
                Params::Synthesis(synthesis::Params {
                    consensus: pick(
                        params.consensus.is_some(),
                        rules.consensus,
                        defaults.consensus,
                    ),
                    ..rules
                })
            }
            (_, defaults) => {
                let params = parse::<simulate::score::ParamsIn>(json).map_err(text)?;
                let rules = params.rules();
                match defaults {
                    Params::Score(defaults) if !given("temperature") => {
                        Params::Score(score::Params {
                            temperature: defaults.temperature,
                            ..rules
                        })
                    }
                    _ => Params::Score(rules),
                }
            }
        };
        params.check_alone()?;
        Ok(params)
    }

    /// The canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        if *self == Params::defaults(self.kind()) {
            return Vec::new();
        }
        let mut writer = Writer::default();
        match self {
            Params::Yuma(params) => write_yuma(&mut writer, params),
            Params::Synthesis(params) => write_synthesis(&mut writer, params),
            Params::Score(params) => writer.numbers(&[params.rate, params.temperature]),
        }
        writer.bytes
    }

    /// The inverse of [`Params::encode`].
    ///
    /// # Errors
    ///
    /// What is wrong: a length or a value that is not possible, or defaults that are spelled out.
    pub fn decode(kind: Kind, bytes: &[u8]) -> Result<Params, String> {
        if bytes.is_empty() {
            return Ok(Params::defaults(kind));
        }
        let fault = |error| format!("parameters of {kind}: {error}");
        let params = read(kind, bytes).map_err(fault)?;
        params.check_alone().map_err(fault)?;
        if params == Params::defaults(kind) {
            return Err(fault("defaults are written as no bytes".to_string()));
        }
        Ok(params)
    }

    /// Whether these values make sense in a topic of this size.
    ///
    /// # Errors
    ///
    /// The name and what is wrong with it.
    pub fn check(&self, limits: &Limits) -> Result<(), String> {
        self.check_alone()?;
        match self {
            Params::Yuma(yuma::Params {
                owner: Some(owner), ..
            }) if *owner >= limits.workers => Err(format!(
                "owner_uid: there is no slot {owner}, the topic has {}",
                limits.workers
            )),
            _ => Ok(()),
        }
    }

    fn check_alone(&self) -> Result<(), String> {
        match self {
            Params::Yuma(params) => check_yuma(params),
            Params::Synthesis(params) => check_synthesis(params),
            Params::Score(params) => {
                in_unit("rate", params.rate)?;
                if params.temperature < Q64::ZERO {
                    return Err("temperature: below zero".to_string());
                }
                match params.least_level {
                    score::Level::Proven => Ok(()),
                    _ => Err("least_level: a topic counts only what is proven".to_string()),
                }
            }
        }
    }
}

/// What was given, or else a topic's default.
fn pick<T>(is_given: bool, given: T, default: T) -> T {
    if is_given { given } else { default }
}

fn in_unit(name: &str, value: Q64) -> Result<(), String> {
    within(name, value, Q64::ZERO, Q64::ONE)
}

fn within(name: &str, value: Q64, least: Q64, greatest: Q64) -> Result<(), String> {
    if (least..=greatest).contains(&value) {
        Ok(())
    } else {
        Err(format!("{name}: {value} is outside {least} to {greatest}"))
    }
}

fn check_yuma(params: &yuma::Params) -> Result<(), String> {
    let most = MAX_PERMITS.saturating_sub(usize::from(params.owner.is_some()));
    if !(1..=most).contains(&params.max_validators) {
        let found = params.max_validators;
        let owner = if params.owner.is_some() {
            " besides the owner"
        } else {
            ""
        };
        return Err(format!(
            "max_validators: {found} is outside 1 to {most}{owner}: no more rows are read"
        ));
    }
    if params.bonds_moving_average > 1_000_000 {
        return Err("bonds_moving_average: above 1000000".to_string());
    }
    if params.stake_cap == Some(NO_CAP) {
        return Err("stake_cap: 65535 caps nothing, leave it out".to_string());
    }
    if params.owner == Some(NO_OWNER) {
        return Err(format!("owner_uid: there is no slot {NO_OWNER}"));
    }
    match params.liquid_alpha {
        Some(LiquidAlpha { low, high, .. }) if low > high => {
            Err(format!("alpha_low: {low} is above alpha_high {high}"))
        }
        _ => Ok(()),
    }
}

fn check_synthesis(params: &synthesis::Params) -> Result<(), String> {
    if params.consensus == Consensus::Mean {
        let reason = "a reputer with any stake moves a mean anywhere, a topic takes the median";
        return Err(format!("consensus: {reason}"));
    }
    let (least, hundred) = (Q64::from_ratio(1, 1_000), Q64::from_int(100));
    within("steepness", params.steepness, least, hundred)?;
    within("centre", params.centre, Q64::from_int(-100), hundred)?;
    let smallest = Q64::from_ratio(1, 1_000_000_000);
    within("epsilon", params.epsilon, smallest, hundred)?;
    within("reputer_epsilon", params.reputer_epsilon, smallest, hundred)?;
    within("learning_rate", params.learning_rate, smallest, Q64::ONE)?;
    within("tolerance", params.tolerance, Q64::from_bits(1), Q64::MAX)?;
    within(
        "outlier_threshold",
        params.outlier_threshold,
        Q64::ZERO,
        Q64::from_int(1_000_000),
    )?;
    within(
        "entropy_exponent",
        params.entropy_exponent,
        Q64::ZERO,
        Q64::from_int(10),
    )?;
    for (name, value) in [
        ("regret_rate", params.regret_rate),
        ("initial_quantile", params.initial_quantile),
        ("learning_threshold", params.learning_threshold),
        ("min_stake_fraction", params.min_stake_fraction),
        ("fraction_rate", params.fraction_rate),
        ("task_rate", params.task_rate),
        ("outlier_rate", params.outlier_rate),
    ] {
        in_unit(name, value)?;
    }
    if params.learning_steps > MOST_STEPS {
        let found = params.learning_steps;
        return Err(format!("learning_steps: {found} is above {MOST_STEPS}"));
    }
    if !(1..=MOST_SCORES).contains(&params.score_samples) {
        let found = params.score_samples;
        return Err(format!(
            "score_samples: {found} is outside 1 to {MOST_SCORES}"
        ));
    }
    Ok(())
}

fn write_yuma(writer: &mut Writer, params: &yuma::Params) {
    writer.u8(match params.version {
        Version::Two => 2,
        Version::Three => 3,
    });
    writer.u16(params.kappa);
    writer.u16(params.bonds_penalty);
    let average = u32::try_from(params.bonds_moving_average).unwrap_or(u32::MAX);
    writer.put(&average.to_be_bytes());
    writer.u8(u8::from(params.liquid_alpha.is_some()));
    let liquid = params.liquid_alpha.unwrap_or(LiquidAlpha {
        low: 0,
        high: 0,
        steepness: 0,
    });
    writer.u16(liquid.low);
    writer.u16(liquid.high);
    writer.put(&liquid.steepness.to_be_bytes());
    writer.u8(u8::from(params.absent_bonds == AbsentBonds::Decay));
    writer.u8(u8::from(params.two_sided));
    writer.u16(params.stake_cap.unwrap_or(NO_CAP));
    writer.u8(u8::from(params.pay_idle));
    writer.length(params.max_validators);
    writer.u16(params.owner.unwrap_or(NO_OWNER));
    writer.put(&params.stake_threshold.to_be_bytes());
    writer.put(&params.activity_cutoff.to_be_bytes());
}

fn read(kind: Kind, bytes: &[u8]) -> Result<Params, String> {
    let mut reader = Reader::new(bytes);
    let params = match kind {
        Kind::Yuma => Params::Yuma(read_yuma(&mut reader)?),
        Kind::Synthesis => Params::Synthesis(read_synthesis(&mut reader)?),
        Kind::Score => Params::Score(score::Params {
            rate: reader.q64()?,
            temperature: reader.q64()?,
            ..score::Params::default()
        }),
    };
    reader.end()?;
    Ok(params)
}

fn read_yuma(reader: &mut Reader<'_>) -> Result<yuma::Params, String> {
    Ok(yuma::Params {
        version: match reader.u8()? {
            2 => Version::Two,
            3 => Version::Three,
            other => return Err(format!("there is no version {other}")),
        },
        kappa: reader.u16()?,
        bonds_penalty: reader.u16()?,
        bonds_moving_average: u64::from(reader.u32()?),
        liquid_alpha: {
            let on = reader.flag("liquid alpha")?;
            let liquid = LiquidAlpha {
                low: reader.u16()?,
                high: reader.u16()?,
                steepness: i16::from_be_bytes(reader.u16()?.to_be_bytes()),
            };
            let zero = liquid.low == 0 && liquid.high == 0 && liquid.steepness == 0;
            if !on && !zero {
                return Err("liquid alpha is off and has bounds".to_string());
            }
            on.then_some(liquid)
        },
        absent_bonds: if reader.flag("absent bonds")? {
            AbsentBonds::Decay
        } else {
            AbsentBonds::Drop
        },
        two_sided: reader.flag("two-sided")?,
        stake_cap: Some(reader.u16()?).filter(|&cap| cap != NO_CAP),
        pay_idle: reader.flag("idle pay")?,
        max_validators: usize::from(reader.u16()?),
        owner: Some(reader.u16()?).filter(|&owner| owner != NO_OWNER),
        stake_threshold: reader.u128()?,
        activity_cutoff: reader.u64()?,
        ..yuma::Params::default()
    })
}

fn write_synthesis(writer: &mut Writer, params: &synthesis::Params) {
    writer.numbers(&[params.steepness, params.centre, params.epsilon]);
    writer.u8(u8::from(
        params.regret_scale == RegretScale::MedianDeviation,
    ));
    writer.u8(u8::from(params.consensus == Consensus::Median));
    writer.numbers(&[
        params.tolerance,
        params.regret_rate,
        params.initial_quantile,
        params.reputer_epsilon,
        params.learning_rate,
    ]);
    writer.u16(u16::try_from(params.learning_steps).unwrap_or(u16::MAX));
    writer.numbers(&[params.learning_threshold, params.min_stake_fraction]);
    writer.length(params.score_samples);
    writer.u8(u8::from(params.gain_only));
    writer.numbers(&[
        params.fraction_rate,
        params.entropy_exponent,
        params.task_rate,
        params.outlier_threshold,
        params.outlier_rate,
    ]);
}

fn read_synthesis(reader: &mut Reader<'_>) -> Result<synthesis::Params, String> {
    Ok(synthesis::Params {
        steepness: reader.q64()?,
        centre: reader.q64()?,
        epsilon: reader.q64()?,
        regret_scale: if reader.flag("regret scale")? {
            RegretScale::MedianDeviation
        } else {
            RegretScale::Deviation
        },
        consensus: if reader.flag("consensus")? {
            Consensus::Median
        } else {
            Consensus::Mean
        },
        tolerance: reader.q64()?,
        regret_rate: reader.q64()?,
        initial_quantile: reader.q64()?,
        reputer_epsilon: reader.q64()?,
        learning_rate: reader.q64()?,
        learning_steps: u32::from(reader.u16()?),
        learning_threshold: reader.q64()?,
        min_stake_fraction: reader.q64()?,
        score_samples: usize::from(reader.u16()?),
        gain_only: reader.flag("gain only")?,
        fraction_rate: reader.q64()?,
        entropy_exponent: reader.q64()?,
        task_rate: reader.q64()?,
        outlier_threshold: reader.q64()?,
        outlier_rate: reader.q64()?,
    })
}
