//! Every check of the verifier, by name.
//!
//! A refusal of a proof goes through [`ensure`] (or, for what a hiding mode collects and shows later, through
//! [`collected`] and [`weighed`]) and names its [`Check`]. Outside tests the name is not looked at. A test can
//! leave any one of them out and see whether a lie is then accepted, so that no check is there which nothing
//! needs, and none is lost unnoticed.

use crate::field::E;
use crate::transcript::Lin;

macro_rules! checks {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {
        /// A check that a proof has to pass.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub(crate) enum Check {
            $($(#[$doc])* $name),+
        }

        #[cfg(test)]
        impl Check {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),+];
        }
    };
}

checks! {
    /// The bytes are no more than any proof for the key has.
    Length,
    /// A batch holds no more runs than its security allows.
    BatchLength,
    /// The runs of a batch are of one mode.
    BatchMode,
    /// Public inputs have the length and range of the graph's.
    Input,
    /// Public outputs have the length and range of the graph's.
    Output,
    /// The commitment to private inputs is the one encoding of its elements.
    Commitment,
    /// Masked outputs have the length of the graph's, and lie below the modulus.
    Masked,
    /// The proof says that it is of this model,
    Model,
    /// of this input,
    StatedInput,
    /// of this output,
    StatedOutput,
    /// and of this context.
    Context,
    /// The bytes begin as proofs do.
    Magic,
    /// The version of the format.
    Version,
    /// The number of the parameters.
    Profile,
    /// The number of runs in the bytes of a batch.
    Runs,
    /// As many bytes are left as what is read next takes.
    Room,
    /// An element is below the modulus.
    Canonical,
    /// No more Merkle siblings than the tree has.
    Siblings,
    /// Nothing follows the end.
    Trailing,
    /// Every message was read.
    Unread,
    /// Pads and products of pads are those that the plan numbers.
    Numbering,
    /// The first claim on an output is the public output's evaluation.
    OutputSaid,
    /// And so is every later one, and that of a masked output less its pad.
    OutputClaim,
    /// A claim on a public input is its evaluation.
    PublicInput,
    /// The fractions of the lookup tree sum to zero.
    LookupSum,
    /// No denominator of the lookup tree is zero.
    LookupInverse,
    /// A layer of the lookup tree is that of its children.
    LookupLayer,
    /// Numerators of the leaves are those of the columns.
    Numerators,
    /// Denominators of the leaves are those of the columns.
    Denominators,
    /// The limbs of a rounding shift make its operand.
    ShiftLimbs,
    /// The limbs of a rounding shift make its result.
    QuotientLimbs,
    /// A private input less its least value is its limbs.
    InputAbove,
    /// The greatest value less a private input is its limbs.
    InputBelow,
    /// Several claims on a value end in it.
    Merge,
    /// A matrix product ends in its operands.
    MatMul,
    /// A pointwise product ends in its operands.
    Mul,
    /// A sum is that of its operands.
    Combine,
    /// A claim that is passed on is the one that another made.
    Pass,
    /// Elements that move are the operand's.
    Map,
    /// A square in the sponge of a private input's commitment is one.
    Square,
    /// A cube in the sponge is one.
    Cube,
    /// The claims on a plain commitment, joined, end in what it opens to.
    PlainReduction,
    /// A plain commitment opens to that.
    PlainCommitment,
    /// `f(s)` is of the committed factors.
    FirstFactor,
    /// `g(s)` is of the committed factors.
    SecondFactor,
    /// `f(s)·g(s)` is of the committed products.
    FactorsProduct,
    /// The pads of a hiding reduction sum to what its messages need.
    PadSum,
    /// A hiding commitment opens to what was sent.
    HidingCommitment,
    /// The opening of the witness is accepted.
    WitnessOpening,
    /// The openings of the weights are accepted.
    WeightOpening,
}

/// Refuses where a check fails.
pub(crate) fn ensure<R>(check: Check, holds: bool, refusal: impl FnOnce() -> R) -> Result<(), R> {
    match holds || left_out(check) {
        true => Ok(()),
        false => Err(refusal()),
    }
}

/// A value that an opening will show to vanish.
pub(crate) fn collected(check: Check, value: Lin) -> Lin {
    match is_without(check) {
        true => Lin::default(),
        false => value,
    }
}

/// The weight of a relation among those that an opening shows together.
pub(crate) fn weighed(check: Check, weight: E) -> E {
    match is_without(check) {
        true => <E as p3_field::PrimeCharacteristicRing>::ZERO,
        false => weight,
    }
}

#[cfg(not(test))]
const fn left_out(_: Check) -> bool {
    false
}

#[cfg(not(test))]
const fn is_without(_: Check) -> bool {
    false
}

#[cfg(test)]
use switches::{is_without, left_out};

/// Checks left out, on this thread.
#[cfg(test)]
pub(crate) mod switches {
    use std::cell::RefCell;
    use std::collections::BTreeSet;

    use super::Check;

    enum State {
        Whole,
        Without(Check),
        /// Those that failed: all are left out.
        Listing(BTreeSet<Check>),
    }

    thread_local! {
        static STATE: RefCell<State> = const { RefCell::new(State::Whole) };
    }

    /// The verifier without one check.
    pub(crate) fn without<R>(check: Check, run: impl FnOnce() -> R) -> R {
        STATE.with(|s| *s.borrow_mut() = State::Without(check));
        let result = run();
        STATE.with(|s| *s.borrow_mut() = State::Whole);
        result
    }

    /// The checks that fail, each taken to hold, so that the next ones are reached.
    pub(crate) fn listing<R>(run: impl FnOnce() -> R) -> (R, BTreeSet<Check>) {
        STATE.with(|s| *s.borrow_mut() = State::Listing(BTreeSet::new()));
        let result = run();
        match STATE.with(|s| s.replace(State::Whole)) {
            State::Listing(failed) => (result, failed),
            _ => unreachable!("runs are not nested"),
        }
    }

    /// Whether a check that fails is passed over.
    pub(super) fn left_out(check: Check) -> bool {
        STATE.with(|s| match &mut *s.borrow_mut() {
            State::Whole => false,
            State::Without(other) => *other == check,
            State::Listing(failed) => {
                failed.insert(check);
                true
            }
        })
    }

    /// Whether this one is left out.
    pub(super) fn is_without(check: Check) -> bool {
        STATE.with(|s| matches!(&*s.borrow(), State::Without(other) if *other == check))
    }
}
