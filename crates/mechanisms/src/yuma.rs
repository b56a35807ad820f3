//! Yuma: validators weigh workers; consensus decides what counts.
//!
//! # The epoch
//!
//! `n` slots; S, A, C, R, I, D are vectors over slots, W and B sparse matrices with a row per
//! validator. All numbers are Q32.32 with truncation, all sums run in slot order, `x / 0 = 0`.
//! "Normalise" divides by the sum, if that is not zero. κ, β and the two α are sixteen-bit
//! proportions (`/ 65,535`).
//!
//! | step | | formula |
//! |---|---|---|
//! | 1 | active | `last_update_i + activity_cutoff ≥ block` |
//! | 2 | stake S | stakes below the threshold count as zero (the owner's never); normalise |
//! | 3 | next permits | the `max_validators` largest S, none with S = 0; of equals the higher slot; the owner always |
//! | 4 | active stake A | S where active and permitted (the owner always is), normalised |
//! | 5 | weights W | rows of permitted slots, without the diagonal (the owner keeps its own), without `w_ij` where `last_update_i ≤ registered_j`, or where an open commitment of i is older than `registered_j`; rows normalised |
//! | 6 | consensus C_j | over rows with A > 0, A normalised again: the largest `w_ij` such that the stake of strictly smaller ones is at most `ΣA − κ`; the smallest if there is none |
//! | 7 | clip | `Wc_ij = min(w_ij, C_j)`; an entry above `C_j = 0` is dropped |
//! | 8 | validator trust | `Σ_j Wc_ij` |
//! | 9 | incentive I | `R_j = Σ_i A_i·Wc_ij`, normalised |
//! | 10 | weights of bonds | `W~ = W + β(Wc − W)`; for 0 < β < 1 entries that are not positive are dropped |
//! | 11 | bonds B | column j is dropped if `last_tempo ≤ registered_j`, where `last_tempo = last_step_block + 1`, or `block − tempo` if there was no step yet |
//! | 12a | version 2 | B by columns normalised; `ΔB_ij = W~_ij·A_i`, by columns normalised; `E = αΔB + (1−α)B`, by columns normalised; `D_i = Σ_j E_ij·I_j`, normalised; stored: E over its column maximum |
//! | 12b | version 3 | `E = αW~ + (1−α)B`; `D_i = A_i·Σ_j (E_ij / Σ_k E_kj)·I_j`, normalised; stored: E |
//! | 13 | α | `1 − bonds_moving_average / 10^6`; in version 3 with liquid alpha and any C ≠ 0, per entry: `d = w − C_j` if `w ≥ b`, else `b − w`, held to 0..=1; `σ = 1/(1 + exp(−(steepness/100)(d − ½)))`; `α = low + σ(high − low)` held to low..=high; E is held to at most 1 |
//! | 14 | emission | server `I/Σ(I+D)`, validator `D/Σ(I+D)`, of the emission, rounded down; if that sum is zero, validators get A, or S if A is zero |
//! | 15 | bonds kept | a slot with a next permit stores its row of E in sixteen bits, one that lost its permit stores nothing, others keep what they had |
//!
//! Source: the sparse epoch of subtensor (`pallets/subtensor/src/epoch`, public domain), whose
//! numbers this reproduces bit for bit; only the computation is organised differently, so that time
//! and memory are linear in validators × workers and never in slots².
//!
//! # Where the source has two answers
//!
//! With liquid alpha the source's sparse path loses a bond at once when the validator leaves the
//! worker out of its weights, while an explicit zero lets it decay. [`AbsentBonds`] chooses; the
//! default is the source's.
//!
//! # Rules of our own
//!
//! By default all are as in the source, bit for bit.
//!
//! | rule | what it changes |
//! |---|---|
//! | [`Params::stake_cap`] | step 2: after the threshold, no stake counts for more than that quantile of all that count: the `⌈q·k⌉`-th smallest of k positive ones. Tames one large holder, not one who splits |
//! | [`Params::pay_idle`] | step 14: if false, an epoch without incentive pays nobody. In the source it pays validators by stake, so that stalling consensus pays them the workers' part |
//! | [`Params::two_sided`] | step 9: `R_j = C_j`, so that a minority can lower a worker no more than it can raise it; step 10: `W~_ij` is multiplied by `min(w_ij, C_j) / max(w_ij, C_j)`, so that whoever misjudges, upward or downward, earns smaller bonds |
//!
//! # Degenerate epochs
//!
//! | input | result |
//! |---|---|
//! | no slots | empty vectors, nothing paid |
//! | no stake, or none above the threshold | S = A = 0, no permits, nothing paid |
//! | no weights, or only to oneself | I = D = 0; validators are paid by A |
//! | all inactive | A = 0, C = 0, I = D = 0; validators are paid by S |
//! | all equal | equal shares, remainders to the lower slots |
//! | weights for a slot that does not exist | ignored |
//! | stakes of 10^27 units and more | exact: all arithmetic is on normalised shares |
//! | vectors of different lengths, a worker named twice in a row | [`enum@Error`] |

mod bonds;
mod epoch;
mod matrix;
mod median;

pub use epoch::settle;

use crate::settlement::Settlement;
use hallmark_fixed::Q32;
use thiserror::Error;

/// A row of weights or bonds: worker and sixteen-bit value.
pub type Row = Vec<(u16, u16)>;

/// How bonds are computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Bonds are shares of a worker, held to sum to one per column.
    Two,
    /// Bonds follow weights, one proportion per entry; enables liquid alpha.
    Three,
}

/// What becomes of a bond, under liquid alpha, whose validator leaves the worker out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AbsentBonds {
    /// It is lost at once, as in the source.
    #[default]
    Drop,
    /// It decays as if the weight were zero.
    Decay,
}

/// Bounds of the bond's rate of change under liquid alpha.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LiquidAlpha {
    /// Least rate, in 65,535ths.
    pub low: u16,
    /// Greatest rate, in 65,535ths; not below `low`.
    pub high: u16,
    /// Steepness of the sigmoid, in hundredths.
    pub steepness: i16,
}

/// The rules of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Params {
    /// How bonds are computed.
    pub version: Version,
    /// Majority that consensus needs, in 65,535ths.
    pub kappa: u16,
    /// Part of the clipping that also applies to bonds, in 65,535ths.
    pub bonds_penalty: u16,
    /// Part of the old bond that is kept, in millionths; above 10^6 counts as 10^6.
    pub bonds_moving_average: u64,
    /// Rate of bonds per entry instead of one rate; version 3 only.
    pub liquid_alpha: Option<LiquidAlpha>,
    /// What leaving a worker out does to its bond under liquid alpha.
    pub absent_bonds: AbsentBonds,
    /// Deviation below consensus counts as deviation above it does.
    pub two_sided: bool,
    /// Quantile of the positive stakes above which stake does not count, in 65,535ths.
    pub stake_cap: Option<u16>,
    /// Validators are paid by stake where nobody has incentive.
    pub pay_idle: bool,
    /// Number of permits.
    pub max_validators: usize,
    /// The slot that always has a permit, no threshold, and a weight on itself.
    pub owner: Option<u16>,
    /// Least stake that counts, in the unit of stakes.
    pub stake_threshold: u128,
    /// Blocks after which a slot that sent no weights is inactive.
    pub activity_cutoff: u64,
    /// Blocks per epoch, used before the first one.
    pub tempo: u64,
    /// What is paid in this epoch, in its smallest unit.
    pub emission: u64,
}

impl Default for Params {
    /// The source's defaults.
    fn default() -> Params {
        Params {
            version: Version::Two,
            kappa: 32_767,
            bonds_penalty: 65_535,
            bonds_moving_average: 900_000,
            liquid_alpha: None,
            absent_bonds: AbsentBonds::Drop,
            two_sided: false,
            stake_cap: None,
            pay_idle: true,
            max_validators: 128,
            owner: None,
            stake_threshold: 0,
            activity_cutoff: 5_000,
            tempo: 360,
            emission: 1_000_000_000,
        }
    }
}

/// What the slots brought to an epoch; one entry per slot in every slice.
#[derive(Clone, Copy, Debug)]
pub struct Epoch<'a> {
    /// Block of the epoch.
    pub block: u64,
    /// Block of the epoch before; zero if there was none.
    pub last_step_block: u64,
    /// Stakes, in any unit.
    pub stake: &'a [u128],
    /// Block of each slot's last weights.
    pub last_update: &'a [u64],
    /// Block of each slot's registration.
    pub registered: &'a [u64],
    /// Weights, in any scale per row.
    pub weights: &'a [Row],
    /// Block of each slot's earliest open commitment; empty where commitments are not used.
    pub commitments: &'a [Option<u64>],
}

/// What an epoch leaves to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Who may set weights.
    pub permits: Vec<bool>,
    /// Bonds; a row per slot.
    pub bonds: Vec<Row>,
}

impl State {
    /// A state of `slots` slots without permits and bonds.
    pub fn empty(slots: usize) -> State {
        State {
            permits: vec![false; slots],
            bonds: vec![Row::new(); slots],
        }
    }

    /// Removes every bond to `worker`: its slot has a new holder.
    pub fn reset_bonds(&mut self, worker: u16) {
        for row in &mut self.bonds {
            row.retain(|&(column, _)| column != worker);
        }
    }
}

/// What an epoch decided; one entry per slot in every vector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Step 1.
    pub active: Vec<bool>,
    /// Step 2, S.
    pub stake_weight: Vec<Q32>,
    /// Step 6, C.
    pub consensus: Vec<Q32>,
    /// Step 8.
    pub validator_trust: Vec<Q32>,
    /// Step 9, I.
    pub incentive: Vec<Q32>,
    /// Step 12, D.
    pub dividends: Vec<Q32>,
    /// Step 14, of I.
    pub server_emission: Vec<u64>,
    /// Step 14, of D.
    pub validator_emission: Vec<u64>,
    /// Step 14, of I + D.
    pub combined_emission: Vec<u64>,
    /// Shares by I + D (or their replacement in step 14), scores I + D.
    pub settlement: Settlement,
}

/// Why an epoch cannot be computed.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// More slots than a sixteen-bit number names.
    #[error("{0} slots: at most 65,535 are possible")]
    TooManySlots(usize),
    /// A vector whose length is not the number of stakes.
    #[error("{name} has {found} entries for {slots} slots")]
    Length {
        /// Which vector.
        name: &'static str,
        /// Its length.
        found: usize,
        /// Number of stakes.
        slots: usize,
    },
    /// A row that names a worker twice.
    #[error("{name} of slot {slot} name worker {worker} twice")]
    Duplicate {
        /// `weights` or `bonds`.
        name: &'static str,
        /// Row.
        slot: usize,
        /// Column.
        worker: u16,
    },
    /// Bounds of liquid alpha that cross.
    #[error("alpha_low {low} is above alpha_high {high}")]
    AlphaBounds {
        /// Least rate.
        low: u16,
        /// Greatest rate.
        high: u16,
    },
}
