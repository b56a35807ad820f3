//! The rules by which a topic pays for intelligence, as pure functions.
//!
//! | mechanism | who takes part | what decides |
//! |---|---|---|
//! | [`yuma`] | validators weigh workers | stake-weighted consensus; bonds reward who saw quality early |
//! | [`synthesis`] | inferers say values, forecasters their losses, reputers the truth | how much worse the crowd is without you |
//! | [`score`] | workers prove a metric | the proven metric alone |
//!
//! Around them: [`sortition`] chooses who takes part where there are more candidates than places,
//! [`emission`] says how much there is to pay, [`simulate()`] runs any of it from JSON, [`wire`] from
//! the bytes that a contract keeps.
//!
//! Every epoch ends in a [`Settlement`]: shares in billionths that sum to exactly one or to zero,
//! scores, an output if there is one, and the columns of numbers that explain each share.
//!
//! Nothing here uses floating point, clocks, randomness, unordered maps or storage: the same input
//! gives the same bits on every machine. No input makes these functions panic; each module's
//! opening says what degenerate input does. Time and memory of Yuma are linear in the weights and
//! bonds; those of synthesis are quadratic in the active workers, of which a topic has a few dozen.
//!
//! # Examples
//!
//! Two validators weigh two workers:
//!
//! ```
//! use hallmark_mechanisms::yuma::{Epoch, Params, Row, State, settle};
//!
//! let weights: [Row; 4] = [vec![(2, 3), (3, 1)], vec![(2, 1), (3, 1)], vec![], vec![]];
//! let mut state = State::empty(4);
//! state.permits[..2].fill(true);
//! let epoch = Epoch {
//!     block: 10,
//!     last_step_block: 0,
//!     stake: &[60, 40, 0, 0],
//!     last_update: &[9; 4],
//!     registered: &[0; 4],
//!     weights: &weights,
//!     commitments: &[],
//! };
//! let outcome = settle(&Params { tempo: 5, ..Params::default() }, &epoch, &mut state)?;
//! assert_eq!(outcome.settlement.shares.iter().sum::<u64>(), 1_000_000_000);
//! assert!(outcome.incentive[2] > outcome.incentive[3]);
//! let (name, consensus) = outcome.settlement.explain(2)[2];
//! assert_eq!((name, consensus.to_string().as_str()), ("consensus weight", "0.75"));
//! # Ok::<(), hallmark_mechanisms::yuma::Error>(())
//! ```
//!
//! Three inferers, one of them wrong, and a reputer who saw the truth:
//!
//! ```
//! use hallmark_fixed::Q64;
//! use hallmark_mechanisms::synthesis::{Params, Predictions, Report, State, infer, settle, squared_loss};
//!
//! let (params, mut state) = (Params::default(), State::new(3, 0, 1));
//! let said = ["20.1", "20.3", "31"].map(|text| text.parse::<Q64>().ok());
//! let predictions = Predictions { inferences: said.to_vec(), forecasts: vec![] };
//! for _ in 0..5 {
//!     let inferences = infer(&params, &mut state, &predictions)?;
//!     let losses = inferences.values.iter().map(|v| v.map(|v| squared_loss(v, Q64::from_int(20))));
//!     let reports = [Report { stake: 1_000, losses: losses.collect() }];
//!     settle(&params, &mut state, &inferences, &reports)?;
//! }
//! let output = infer(&params, &mut state, &predictions)?.output().unwrap();
//! assert!(output.value < "20.3".parse().unwrap(), "{}", output.value);
//! # Ok::<(), hallmark_mechanisms::synthesis::Error>(())
//! ```
//!
//! Two workers whose accuracy was proven, and one who only claims:
//!
//! ```
//! use hallmark_fixed::Q64;
//! use hallmark_mechanisms::score::{Level, Params, State, Submission, settle};
//!
//! let submission = |percent, level| Some(Submission { metric: Q64::from_ratio(percent, 100), level, paid: true });
//! let submissions = [
//!     submission(90, Level::Proven),
//!     submission(80, Level::Proven),
//!     submission(99, Level::Trusted),
//! ];
//! let settlement = settle(&Params::default(), &mut State::default(), &submissions);
//! assert_eq!(settlement.shares, [731_058_579, 268_941_421, 0]);
//! ```
#![deny(clippy::float_arithmetic)]
#![cfg_attr(not(test), deny(clippy::arithmetic_side_effects))]
#![deny(missing_docs)]
#![forbid(unsafe_code)]

pub mod emission;
pub mod score;
mod settlement;
pub mod simulate;
pub mod sortition;
pub mod synthesis;
pub mod wire;
pub mod yuma;

pub use settlement::{Column, Output, Settlement, WHOLE, apportion};
pub use simulate::simulate;
