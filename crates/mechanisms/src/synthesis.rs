//! Inference synthesis: a crowd's values become one value with a confidence interval.
//!
//! *Inferers* say a value. *Forecasters* say how large each inferer's loss will be. *Reputers*, who
//! have stake, later say what the losses were. All losses are base-10 logarithms.
//!
//! # At the close of submissions: [`infer()`]
//!
//! Notation: `p = 3`, `c = 0.75`, `ε = 0.01` are parameters; L is the network loss of the epoch
//! before; R are regrets, kept between epochs per set of participants; "mean by w" is
//! `Σ w·x / Σ w`.
//!
//! | quantity | formula |
//! |---|---|
//! | potential and gradient | `φ(x) = ln(1 + e^(p(x − c)))`, `φ'(x) = p / (e^(p(c − x)) + 1)` |
//! | normalised regret | `R^ = R / (s + ε)`, s the sample deviation of the set ([`RegretScale`]); then at most `c + 6.75/p`; if the greatest is below `c − 8.25/p`, all are raised by the difference |
//! | weight | `w = φ'(R^)`, zero below `c − 17.25/p` |
//! | forecast-implied `I_k` | mean of the inferences by the weights of `R = L − forecast loss`; the single inference if there is one; their median if no inferer has a regret yet or there is no L |
//! | network `I` | mean of inferences and forecast-implied ones by the weights of their regrets; the plain mean if all are new |
//! | naive `I⁻` | the same of the inferers only, with their naive regrets |
//! | one-out `I⁻_l` | network without participant l, with its own regrets; without an inferer the forecast-implied inferences are computed anew |
//! | one-in `I⁺_k` | inferers and forecaster k, with its own regrets |
//! | percentiles | weighted 2.28, 15.87, 50, 84.13, 97.72 at positions `(Σ_(≤l) w − w_l/2) / Σw` of the sorted values, linear between, held at the ends |
//! | outlier-resistant | network over inferers with `|I_j − median| ≤ 11·MAD` (median and MAD smoothed with 0.2), and forecasters |
//!
//! # After the losses are known: [`settle()`]
//!
//! | quantity | formula |
//! |---|---|
//! | consensus losses | mean of the reputers' losses by stake, element by element; or their median by stake ([`Consensus`]) |
//! | regret | `R ← (1 − α)R + α(L_network − L_worker)`, `α = 0.1`, for each set: the naive regret uses the naive loss, one-out and one-in regrets the loss of that set |
//! | regret of a newcomer | `quantile_0.25(regrets of the others) + (c − 8.25/p)(deviation + ε)`; zero if all are new |
//! | inferer score | `T_j = L⁻_j − L` |
//! | forecaster score | `f⁺(L_naive − L⁺_k) + (1 − f⁺)(L⁻_k − L)`, `f⁺ = 2^(1 − N_f)` |
//! | adjusted stake | `Ŝ_m = min(N·a_m·S_m / Σ a·S, 1)` |
//! | reputer score | `T_m = 1 / (‖L_m − L̂‖/‖L̂‖ + 0.01)`, L̂ the mean of all losses by Ŝ |
//! | the same by the median | L̂ the consensus losses, `Ŝ` the stakes' parts, no listening |
//! | listening coefficients a | at most 10 steps: `g_l = (1 − ΣT·S / ΣT'·S)/δ`, T' with `a_l + δ`, `δ = 0.001` (negative at `a_l = 1`); `a ← a + 0.05·g` within 0..=1; if `Σ a·S / ΣS < 0.5` the step is shortened to reach 0.5; stop below a change of 0.001·0.05. Scores and adjusted stakes are those of the last step's start |
//! | worker fractions | `φ(T / (σ + ε))` normalised per class; σ the sample deviation of the latest ten scores of the class, newest epoch first, by index within one |
//! | reputer fractions | `S·T`, normalised |
//! | smoothed fractions | `f~ ← 0.1·f + 0.9·f~`, normalised |
//! | entropy of a class | `−Σ f~·ln f~ · (1 / (N·Σ f~²))^0.25`; `ln 2 / 4` for a single member |
//! | forecasters' part | `ratio = (T − min(0, T_max)) / |T_max|`, `T = L_naive − L`, `T_max` the best inferer score; `τ ← 0.1·ratio + 0.9·τ`; `χ = 0.1` below τ = 0, `0.5` from τ = 1, `0.1 + 0.4τ` between |
//! | split | `γ = (F + G)/((1−χ)F + χG)`; of `1/(F+G+H)`: inferers `(1−χ)γF`, forecasters `χγG`, reputers `H` |
//!
//! # Whom to believe about losses: [`Consensus`]
//!
//! A mean is as wrong as its wildest voice: with any stake at all a reputer can move it anywhere by
//! saying a number that is large enough, and with it every regret, every score and the network's
//! value. The median by stake lies, in each element, between the least and the greatest loss that
//! the other reputers say, as long as these hold more than half of the stake that is heard. So
//! whoever has less than half moves no element beyond what honest reputers disagree by; but it may
//! choose in each element another of them to be believed, so a large minority gains where the
//! honest see the truth hardly better than the workers do (`tests/reports.rs`). From one half on it
//! says what it likes. Reputers are scored by the same consensus, not by one of adjusted stakes:
//! those are capped per reputer, which gives many small ones the majority over a large one.
//!
//! A report whose losses follow from a truth knows no error below [`Params::tolerance`]. Without it a
//! value that happens to be hit exactly has the least logarithm that there is.
//!
//! Sources: Allora's white paper and the columns of its simulator, which these formulas reproduce to
//! better than 10^-9 (`tests/synthesis_tables.rs`).
//!
//! # Degenerate epochs
//!
//! | input | result |
//! |---|---|
//! | no inferer | no output, nothing paid, state unchanged |
//! | one inferer, nothing else | its value; no one-out, so no score |
//! | a forecaster who forecasts nobody present | takes no part |
//! | all values equal | that value, all percentiles equal |
//! | no reputer, or none with stake | no losses, nothing paid, regrets unchanged |
//! | a report with another pattern of values than the epoch's, a single loss missing or added | the reputer counts as absent: nobody chooses the places where it is judged |
//! | a vector of the wrong length | [`enum@Error`] |
//! | numbers at the ends of the range | saturate; no panic |

mod infer;
mod reputers;
mod rewards;
mod statistics;

pub use infer::{Inferences, infer};
pub use reputers::{Listening, listen};
pub use rewards::{
    Outcome, Report, entropy, forecaster_utility, reward_fractions, settle, squared_loss,
};
pub(crate) use statistics::quantile;
pub use statistics::{
    gradient, median, potential, regret_scale, weighted_median, weighted_percentile, weights,
};

use hallmark_fixed::Q64;
use thiserror::Error;

/// What regrets are divided by before they become weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RegretScale {
    /// The sample standard deviation.
    #[default]
    Deviation,
    /// 1.4826 times the median absolute deviation, which one outlier cannot move.
    MedianDeviation,
}

/// What the reputers' losses become one loss by, element by element.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Consensus {
    /// The mean by stake, as in the source: sound only where every reputer is trusted, because any
    /// stake moves it anywhere.
    #[default]
    Mean,
    /// The median by stake ([`weighted_median`]), which less than half of the stake cannot move
    /// beyond what the others say.
    Median,
}

/// The rules of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// Steepness p of the potential.
    pub steepness: Q64,
    /// Centre c of the potential.
    pub centre: Q64,
    /// Added to every scale, ε.
    pub epsilon: Q64,
    /// What regrets are divided by.
    pub regret_scale: RegretScale,
    /// What the reputers' losses become one loss by.
    pub consensus: Consensus,
    /// The least error that a loss knows, in the unit of the values: [`Params::squared_loss`] is
    /// never below `2·log10` of it. By default 2^-32, which no unit makes too coarse; a topic does
    /// well to set the accuracy to which its truth is known, for below that differences are luck.
    pub tolerance: Q64,
    /// Weight of the new regret, α.
    pub regret_rate: Q64,
    /// Quantile of the others' regrets at which a newcomer starts.
    pub initial_quantile: Q64,
    /// Added to a reputer's relative distance.
    pub reputer_epsilon: Q64,
    /// Step of the listening coefficients.
    pub learning_rate: Q64,
    /// Greatest number of such steps.
    pub learning_steps: u32,
    /// Change, per step, below which they stop.
    pub learning_threshold: Q64,
    /// Part of the stake that must be listened to.
    pub min_stake_fraction: Q64,
    /// Number of past scores that a class's scores are scaled by.
    pub score_samples: usize,
    /// A worker whose score is not positive gets no fresh fraction, if another's is: off in the
    /// source, where clones whose absence nobody would notice are paid a tenth of a good worker.
    pub gain_only: bool,
    /// Weight of the new fraction in the smoothed one.
    pub fraction_rate: Q64,
    /// Exponent of the participation ratio in the entropy, β.
    pub entropy_exponent: Q64,
    /// Weight of the new ratio in τ.
    pub task_rate: Q64,
    /// Median absolute deviations beyond which an inference is an outlier.
    pub outlier_threshold: Q64,
    /// Weight of the new median and deviation.
    pub outlier_rate: Q64,
}

impl Default for Params {
    fn default() -> Params {
        let hundredths = |n| Q64::from_ratio(n, 100);
        Params {
            steepness: Q64::from_int(3),
            centre: hundredths(75),
            epsilon: hundredths(1),
            regret_scale: RegretScale::Deviation,
            consensus: Consensus::Mean,
            tolerance: Q64::from_bits(1 << 32),
            regret_rate: hundredths(10),
            initial_quantile: hundredths(25),
            reputer_epsilon: hundredths(1),
            learning_rate: hundredths(5),
            learning_steps: 10,
            learning_threshold: Q64::from_ratio(1, 1000),
            min_stake_fraction: hundredths(50),
            score_samples: 10,
            gain_only: false,
            fraction_rate: hundredths(10),
            entropy_exponent: hundredths(25),
            task_rate: hundredths(10),
            outlier_threshold: Q64::from_int(11),
            outlier_rate: hundredths(20),
        }
    }
}

impl Params {
    /// The base-10 logarithm of the squared error, which counts as at least [`Params::tolerance`].
    ///
    /// Computed as `2·log10 |error|`, because the square of a small error would lose digits.
    pub fn squared_loss(&self, value: Q64, truth: Q64) -> Q64 {
        const STEP: Q64 = Q64::from_bits(1);
        let error = (value - truth).abs().max(self.tolerance).max(STEP);
        let log = error.log10().unwrap_or(Q64::ZERO);
        log + log
    }
}

/// How many of each role a topic has slots for, and where a value stands in a flat list.
///
/// The flat list holds, in this order: each inferer's value; each forecast-implied one; each
/// forecaster's implied value without each inferer; the network's; the naive one; the network's
/// without each inferer and each forecaster; the naive one with each forecaster.
/// 5 inferers and 3 forecasters make 36 values, 32 and 6 make 276.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// Slots of inferers.
    pub inferers: usize,
    /// Slots of forecasters.
    pub forecasters: usize,
}

// Counts are of slots in memory: sums and products of a few thousand stay far below 2^64.
#[allow(clippy::arithmetic_side_effects)]
impl Layout {
    /// Inferers and forecasters.
    pub const fn workers(self) -> usize {
        self.inferers + self.forecasters
    }

    /// Length of the flat list.
    pub const fn len(self) -> usize {
        self.one_in(self.forecasters)
    }

    /// Whether there are no slots at all.
    pub const fn is_empty(self) -> bool {
        self.workers() == 0
    }

    /// Place of a worker's own value: inferers first, then forecasters.
    pub const fn worker(self, worker: usize) -> usize {
        worker
    }

    /// Place of what forecaster `k` implies without inferer `j`.
    pub const fn implied_without(self, k: usize, j: usize) -> usize {
        self.workers() + k * self.inferers + j
    }

    /// Place of the network's value.
    pub const fn network(self) -> usize {
        self.workers() + self.forecasters * self.inferers
    }

    /// Place of the naive value.
    pub const fn naive(self) -> usize {
        self.network() + 1
    }

    /// Place of the network's value without a worker.
    pub const fn one_out(self, worker: usize) -> usize {
        self.network() + 2 + worker
    }

    /// Place of the naive value with forecaster `k`.
    pub const fn one_in(self, k: usize) -> usize {
        self.network() + 2 + self.workers() + k
    }

    /// The names of all places, in order, as in `one_out[3]`.
    pub fn names(self) -> Vec<String> {
        let mut names = Vec::with_capacity(self.len());
        names.extend((0..self.inferers).map(|j| format!("inference[{j}]")));
        names.extend((0..self.forecasters).map(|k| format!("implied[{k}]")));
        for k in 0..self.forecasters {
            names.extend((0..self.inferers).map(|j| format!("implied[{k}] without [{j}]")));
        }
        names.extend(["network".to_string(), "naive".to_string()]);
        names.extend((0..self.workers()).map(|l| format!("one_out[{l}]")));
        names.extend((0..self.forecasters).map(|k| format!("one_in[{k}]")));
        names
    }
}

/// What an epoch leaves to the next. A `None` is something that has not happened yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Slots.
    pub layout: Layout,
    /// Network loss of the last settled epoch.
    pub network_loss: Option<Q64>,
    /// Regrets of inferers, then forecasters.
    pub regrets: Vec<Option<Q64>>,
    /// Regrets of inferers among themselves.
    pub naive_regrets: Vec<Option<Q64>>,
    /// `[o][l]`: regret of worker l in the network without worker o.
    pub one_out_regrets: Vec<Vec<Option<Q64>>>,
    /// `[k][l]`: regret of inferer l (last: of forecaster k) in the naive network with k.
    pub one_in_regrets: Vec<Vec<Option<Q64>>>,
    /// Listening coefficient per reputer, 1 at first.
    pub listening: Vec<Q64>,
    /// Latest scores of inferers, newest epoch first.
    pub inferer_scores: Vec<Q64>,
    /// Latest scores of forecasters, newest epoch first.
    pub forecaster_scores: Vec<Q64>,
    /// Smoothed fractions of inferers, then forecasters, then reputers.
    pub fractions: Vec<Option<Q64>>,
    /// τ, the smoothed success of the forecasters.
    pub forecaster_ratio: Option<Q64>,
    /// Smoothed median of the inferences and smoothed deviation from it.
    pub spread: Option<(Q64, Q64)>,
}

impl State {
    /// The state of a new topic.
    pub fn new(inferers: usize, forecasters: usize, reputers: usize) -> State {
        let layout = Layout {
            inferers,
            forecasters,
        };
        let workers = layout.workers();
        State {
            layout,
            regrets: vec![None; workers],
            naive_regrets: vec![None; inferers],
            one_out_regrets: vec![vec![None; workers]; workers],
            one_in_regrets: vec![vec![None; inferers.saturating_add(1)]; forecasters],
            listening: vec![Q64::ONE; reputers],
            fractions: vec![None; workers.saturating_add(reputers)],
            ..State::default()
        }
    }

    /// Forgets a worker whose slot has a new holder.
    pub fn reset_worker(&mut self, worker: usize) {
        let forget = |values: &mut Vec<Option<Q64>>, index: usize| {
            if let Some(value) = values.get_mut(index) {
                *value = None;
            }
        };
        forget(&mut self.regrets, worker);
        forget(&mut self.naive_regrets, worker);
        forget(&mut self.fractions, worker);
        for (other, row) in self.one_out_regrets.iter_mut().enumerate() {
            if other == worker {
                row.fill(None)
            } else {
                forget(row, worker)
            }
        }
        for (k, row) in self.one_in_regrets.iter_mut().enumerate() {
            if worker == self.layout.inferers.saturating_add(k) {
                row.fill(None);
            } else if worker < self.layout.inferers {
                forget(row, worker);
            }
        }
    }
}

/// What the workers said in an epoch; `None` for who said nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Predictions {
    /// The value of each inferer.
    pub inferences: Vec<Option<Q64>>,
    /// Per forecaster the loss that it expects of each inferer.
    pub forecasts: Vec<Vec<Option<Q64>>>,
}

/// Why an epoch cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// A vector whose length is not the number of slots.
    #[error("{name} has {found} entries for {expected}")]
    Length {
        /// Which vector.
        name: String,
        /// Its length.
        found: usize,
        /// The number of slots.
        expected: usize,
    },
}

pub(crate) fn check_length(name: &str, found: usize, expected: usize) -> Result<(), Error> {
    if found == expected {
        return Ok(());
    }
    Err(Error::Length {
        name: name.to_string(),
        found,
        expected,
    })
}

/// `(1 − rate)·old + rate·new`.
pub(crate) fn smooth(old: Q64, new: Q64, rate: Q64) -> Q64 {
    (Q64::ONE - rate) * old + rate * new
}
