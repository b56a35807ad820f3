//! Commitments to stacked polynomials, and the proofs of what they open to.
//!
//! | module | |
//! |---|---|
//! | [`codec`] | the bytes of openings |
//! | [`plain`] | many evaluation claims on the blocks of one polynomial, nothing hidden |
//! | [`reduction`] | a sumcheck from many linear claims to one evaluation |

pub(crate) mod codec;
pub(crate) mod plain;
pub(crate) mod reduction;
