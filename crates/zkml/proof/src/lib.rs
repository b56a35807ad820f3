//! Prover and verifier of integer graphs: mode `Public`, integrity only. Nothing is hidden.
//!
//! # Statement
//!
//! For a [`VerifyingKey`] (canonical graph, root of the weight commitment), an input, an output
//! and 32 bytes of context: *the output is the graph's result on the input under the committed
//! weights*. The context is bound, not interpreted: a caller puts in it whatever a proof must not
//! be moved between.
//!
//! # Notation
//!
//! `F` is KoalaBear (`p = 2^31 - 2^24 + 1`), `E` its quintic extension. `ṽ` is the multilinear
//! extension of a vector `v` of length `2^n`; `eq(r,x) = Π (r_i x_i + (1-r_i)(1-x_i))`. Signed
//! integers map to `x mod p`. Points are most-significant-bit first.
//!
//! # Layouts
//!
//! A value lies on the hypercube as `rows × cols`, each axis padded to a power of two. With one
//! row, or a power of two of columns, that is the flat row-major array padded at its end, so most
//! changes of shape are free. What sits in padding is never trusted:
//!
//! - input and output are evaluated by the verifier with zeros there;
//! - a lookup in padding has numerator 0;
//! - a `Linear` whose inner length is no power of two masks its sumcheck with `[z < inner]`;
//! - padded rows only ever reach padded rows; a change of layout reads real elements only.
//!
//! So real positions are a function of the input whatever a commitment holds in padding.
//!
//! # Commitments (WHIR, Johnson regime, no grinding)
//!
//! | object | content | made |
//! |---|---|---|
//! | weights | per `Linear` `W'[k,n] = w[k,n]·M_n` and `B'[n] = b_n·M_n`, stacked in aligned blocks | once, in [`setup`] |
//! | witness | per `Requant` `y` and the limbs of `rem`; per table its multiplicities | once a proof, before any challenge |
//!
//! Accumulators and quotients are virtual.
//!
//! # Protocol
//!
//! 0. Absorb version, profile, digests of key, input, output, the context, both roots.
//! 1. **Output.** Sample `r`; the prover sends `õut(r)`; the verifier compares it with the public
//!    output's extension.
//! 2. **Lookups.** Sample `α, β`. One LogUp tree (module `logup`) over all columns: an
//!    element of `Requant` looks up `(u, y)` in `{(u, T[u])}` with
//!    `u = (v + 2^(s-1) - rem)/2^s`, and each limb of `rem` its range. A tuple in table `t` is
//!    `α - c_0 - β c_1 - β² (t+1)`; tables are subtracted `m` times. At the leaf point `ρ` every
//!    column's extension is sent and the two leaf claims are recomputed from them; tables and
//!    presence are closed forms. `rem < 2^s`, `u` in a window of `2^t` and `t + s ≤ 30` make the
//!    decomposition unique modulo `p`; fewer than `2^26` lookups make counts exact.
//! 3. **Walk.** From the last value to the first, each claim `(value, point)` is reduced:
//!    - `Linear`: `ṽ(r1,r2) - [row < rows]~(r1)·B̃'(r2) = Σ_z X̃(r1,z)·W̃'(z,r2)` (Thaler);
//!    - `Add`: `ṽ(r) = M_a ã(r) + M_b b̃(r)`;
//!    - `Requant`: a claim on a committed column;
//!    - `Reshape`: nothing, or, when rows and columns really change,
//!      `x̃'(r) = Σ_j M_r(j) x(j)` with the verifier evaluating the sparse `M̃_r`;
//!    - the input: compared with the public input's extension at once.
//!
//!    Equal claims are made once. The number of claims is fixed by the graph and capped.
//! 4. **Openings.** One for all claims on the witness, one for all on the weights.
//!
//! Each phase absorbs its name and shape first; every message is absorbed when it is sent.
//!
//! # Refusals
//!
//! [`VerifyError`] names the first check that failed. The decoder takes every count from the key,
//! bounds the one it must read (Merkle siblings), and accepts one encoding only. Nothing in the
//! verifier panics or allocates by a number from the proof.
//!
//! # Limits
//!
//! Commitments have `2^10` to `2^26` elements (KoalaBear's two-adicity is 24: size times inverse
//! rate over the first fold must not exceed `2^24`), the lookup tree at most `2^26` leaves, a
//! value that changes its layout at most `2^18` padded elements.
//!
//! # Soundness
//!
//! [`security_report`] sums all terms; the profile promises at least 100 bits. A root in the list
//! regime leaves a few polynomials open, so every term outside WHIR pays the size of those lists.
#![forbid(unsafe_code)]

mod commitment;
mod cost;
mod field;
mod folds;
mod key;
mod layout;
mod logup;
mod messages;
mod plan;
mod proof;
mod prover;
mod run;
mod security;
mod statement;
mod sumcheck;
mod transcript;
mod verifier;
mod weigh;
mod witness;

#[cfg(test)]
mod tests;

pub use cost::{VerifyCost, Work, work};
pub use key::{DecodeError, ProvingKey, SetupError, VerifyingKey, setup};
pub use plan::{Mode, PlanError};
pub use proof::FormatError;
pub use prover::{Phases, ProveError, prove, prove_measured, prove_statement, prove_with};
pub use security::{SecurityReport, SecurityTerm, security_report};
pub use verifier::{VerifyError, verify};
pub use witness::TraceError;
