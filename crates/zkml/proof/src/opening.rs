//! Commitments to stacked polynomials, and the proofs of what they open to.
//!
//! | module | |
//! |---|---|
//! | [`codec`] | the bytes of openings |
//! | [`plain`] | many evaluation claims on the blocks of one polynomial, nothing hidden |
//! | [`hiding`] | many linear claims on a polynomial and on the pads of messages, nothing told |
//! | [`products`] | pads whose products were committed |
//! | [`masked`], [`masked_codec`] | the hiding commitment itself, and its bytes |
//! | [`reduction`] | a sumcheck from many linear claims to one evaluation |

pub(crate) mod codec;
pub(crate) mod hiding;
pub(crate) mod masked;
pub(crate) mod masked_codec;
pub(crate) mod plain;
pub(crate) mod products;
pub(crate) mod reduction;
