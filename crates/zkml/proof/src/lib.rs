//! Prover and verifier of integer graphs.
//!
//! # Statement
//!
//! For a [`VerifyingKey`] (canonical graph, root of the weight commitment), inputs, outputs and
//! 32 bytes of context: *the outputs are the graph's results on the inputs under the committed
//! weights*. The context is bound, not interpreted: a caller puts in it whatever a proof must not
//! be moved between. Inputs and outputs are flat: one tensor after the other.
//!
//! Of private inputs the statement holds a commitment (module `private`) and the outputs plus one-time pads
//! that the commitment holds as well. Such a proof tells nothing but its statement.
//!
//! # Notation
//!
//! `F` is KoalaBear (`p = 2^31 - 2^24 + 1`), `E` its quintic extension. `ṽ` is the multilinear
//! extension of a vector `v` of length `2^n`; `eq(r,x) = Π (r_i x_i + (1-r_i)(1-x_i))`. Signed
//! integers map to `x mod p`; every integer of a graph is below `2^29` in magnitude, so equality
//! modulo `p` is equality. Points are most-significant-bit first.
//!
//! # Layout
//!
//! A value is a tensor over the hypercube with every axis padded to a power of two, row-major.
//! **The extension of a value is zero in padding.** So a point is one point for every axis, and
//! contractions, sums and maps between axes need no masks. The presence `Π [x_a < d_a]~` of a shape
//! is a closed form.
//!
//! # Commitments
//!
//! | object | content | made |
//! |---|---|---|
//! | weights | every `Constant` (elements times multipliers) and every explicit table | once, in [`setup`] |
//! | witness | of every `Lookup` `y` and the limbs of its remainder; of every `Shift` the limbs of remainder and of `quotient + 2^(bits-1)`; of every table its multiplicities; private inputs | once a proof, before any challenge |
//!
//! A tensor is one block with all its padding or, where that halves the polynomial, cut into pieces that hold
//! little or none of it (module `pieces`). Blocks of powers of two are stacked, aligned, by decreasing size.
//! All else is virtual.
//!
//! Padding of a looked-up column is looked up as well: there `v = 0`, so the tables force
//! `y = T[0]`, `rem = 2^(s-1)`. `T[0]` is a constant of the graph for a saturation and, for an explicit table,
//! one opening of the weights; of a `Shift`, padding holds the quotient 0. With `[S]` the extension of "a piece
//! holds this position", all of them or the elements alone, the committed pieces of a value open to
//! `ỹ(r) + T[0]·([S](r) - presence(r))`, since its own extension is zero in padding, and those of a limb whose
//! column holds `c` in padding to its extension less `c·(1 - [S](r))`.
//!
//! # Protocol
//!
//! 0. Absorb version, profile, digests of key, inputs, outputs, the context, both roots.
//! 1. **Outputs.** Sample a point for each; its evaluation is a claim that the verifier can check.
//! 2. **Lookups.** Sample `α, β`. One LogUp tree (module `logup`) over all columns: a `Lookup`
//!    element looks up `(u, y)` in `{(u, T[u])}` with `u = (v + 2^(s-1) - rem)/2^s`, a limb its
//!    range, a private input element `(x, presence)` in `{(x, 1) : lo ≤ x ≤ hi} ∪ {(0, 0)}`. A tuple
//!    in table `t` is `α - c_0 - β c_1 - β² (t+1)`; tables are subtracted as often as they are
//!    looked up. At the leaf point `ρ` every column's extension is sent, the two leaf claims are
//!    recomputed from them, and the identity `v + 2^(s-1) = 2^s y + rem` of every `Shift` is checked.
//!    `rem < 2^s`, a quotient in a window of `2^t` and `t + s ≤ 30` make a decomposition unique
//!    modulo `p`; at most `2^26` lookups make counts exact.
//! 3. **Walk.** From the last value to the first, each claim `ṽ(r) = c` is reduced:
//!    - `MatMul`: `c = Σ_{B,k} eq(r_B,B) ã(B,r_m,k) b̃(B,k,r_n)`, degree 3, or 2 without a batch
//!      (Thaler 2013);
//!    - `Mul`: `c = Σ_x eq(r,x) a(x) b(x)`;
//!    - `Combine`: `c = Σ_j M_j ṽ_j(r) + offset·presence(r)`;
//!    - `Sum`: `c = 2^n x̃(r, ½, …)`: an extension at ½ is a mean;
//!    - `View`, `Reshape`: `c = Π factors(r) Σ_x Π_g M_g(r_g, x_g) x̃(x)`, one small matrix for each
//!      group of axes; where it only renames coordinates they are bound, and nothing is summed
//!      (module `plan::map`);
//!    - `Shift`: `c = Σ_i 2^(w_i) limb_i(r) - 2^(bits-1)`;
//!    - `Lookup`, `Constant`, private input: a claim on a commitment;
//!    - public input: compared with its extension at once.
//!
//!    Several claims on a value become one before a sumcheck: with `γ`,
//!    `Σ_i γ^i c_i = Σ_x (Σ_i γ^i eq(r_i,x)) v(x)`. Equal evaluations are sent once. So the number of
//!    claims grows with the graph's edges and never with its depth.
//! 4. **Binding**, of private inputs: the sponge over the witness's inputs, salt and pads gives the
//!    commitment (module `binding`).
//! 5. **Openings.** One for all claims on the witness, one for all on the weights.
//!
//! Of private inputs every message that depends on them is sent as `m + p`, with `p` a fresh pad of the
//! witness commitment, unless it follows from the weights alone. The verifier then collects, instead of
//! checking, affine functions of pads and of products of pads, and the opening shows that all vanish (module
//! `opening::hiding`).
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
//! rate over the first fold must not exceed `2^24`), the lookup tree at most `2^26` leaves, axes
//! whose elements move one by one at most `2^20` elements together.
//!
//! # Soundness
//!
//! [`security_report`] sums all terms; every [`Profile`] promises at least 100 bits. A root in the list
//! regime leaves a few polynomials open, so every term outside WHIR pays the size of those lists.
#![forbid(unsafe_code)]

mod arena;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod binding;
mod checks;
mod commitment;
mod cost;
mod field;
mod folds;
mod key;
mod layout;
mod logup;
mod messages;
mod opening;
mod packed;
mod pieces;
mod plan;
mod private;
mod profile;
mod proof;
mod prover;
mod run;
mod security;
mod sponge;
mod statement;
mod sumcheck;
mod transcript;
mod verifier;
mod weigh;
mod witness;

#[cfg(test)]
mod tests;

pub use cost::{VerifyCost, Work, work};
pub use key::{DecodeError, ProvingKey, SetupError, VerifyingKey, setup, setup_with};
pub use plan::{Mode, PlanError};
pub use private::{
    InputSecret, commit_input, decode_masked, encode_masked, is_commitment, mask_output,
    unmask_output,
};
pub use profile::Profile;
pub use proof::{FormatError, VERSION as FORMAT_VERSION};
pub use prover::{
    BatchRun, Claim, Phases, Progress, ProveError, Watch, prove, prove_batch, prove_measured,
    prove_private, prove_private_measured, prove_private_statement, prove_statement,
};
pub use security::{
    SecurityReport, SecurityTerm, max_batch, private_security_report, security_report,
};
pub use statement::Inputs;
pub use verifier::{
    BatchStatement, VerifyError, verify, verify_batch, verify_private, verify_with,
};
pub use witness::TraceError;
