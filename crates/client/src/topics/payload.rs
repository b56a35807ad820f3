//! What a slot may say, checked before a salt is drawn for it.
//!
//! The contract sees an answer only when it is revealed. One that it refuses then can never be
//! opened, and costs the slot's bond as if it had been withheld: so the contract's own rules are
//! applied here, and only a [`Payload`] can be committed to.

use super::{Kind, Policy, Role, Submission};
use alloy_primitives::Bytes;
use hallmark_fixed::Q64;
use hallmark_mechanisms::wire::{self, PayloadError};

/// Longest answer that the contract takes, in bytes.
pub const MAX_PAYLOAD_BYTES: usize = 1_024;

/// An answer that the contract will take when it is revealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload(Bytes);

/// An answer that could never be revealed; nothing was committed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "slot {} of topic {}, a {role}, cannot answer this to mechanism {} ({kind}): {reason}; nothing was committed",
    of.slot, of.topic, of.mechanism
)]
pub struct PayloadFault {
    of: Submission,
    kind: Kind,
    role: Role,
    reason: String,
}

impl Payload {
    /// Checks an answer by the rules of a reveal: its encoding, the slots that it names, the topic's
    /// range and the longest answer.
    ///
    /// # Errors
    /// [`PayloadFault`] with what is wrong; numbers are decimals.
    pub fn check(
        of: Submission,
        kind: Kind,
        role: Role,
        policy: &Policy,
        bytes: &[u8],
    ) -> Result<Self, PayloadFault> {
        let fault = |reason: String| PayloadFault {
            of,
            kind,
            role,
            reason,
        };
        if bytes.len() > MAX_PAYLOAD_BYTES {
            return Err(fault(format!(
                "it has {} bytes, at most {MAX_PAYLOAD_BYTES} are taken",
                bytes.len()
            )));
        }
        let (in_kind, in_role) = (kind.to_wire(), role.to_wire());
        match wire::check_payload(in_kind, in_role, &policy.limits(), bytes) {
            Ok(()) => Ok(Self(Bytes::copy_from_slice(bytes))),
            Err(PayloadError::OutOfRange {
                value,
                least,
                greatest,
            }) => Err(fault(format!(
                "{value} is outside the topic's range of {least} to {greatest}"
            ))),
            Err(PayloadError::Invalid(reason)) => Err(fault(reason)),
        }
    }

    /// The answer in the mechanism's encoding.
    pub fn bytes(&self) -> &Bytes {
        &self.0
    }
}

impl Policy {
    /// What the topic's mechanisms know of its policy.
    fn limits(&self) -> wire::Limits {
        wire::Limits {
            workers: self.max_workers,
            forecasters: self.max_forecasters,
            reputers: self.max_reputers,
            value_min: Q64::from_bits(self.value_min),
            value_max: Q64::from_bits(self.value_max),
        }
    }
}

impl Kind {
    fn to_wire(self) -> wire::Kind {
        match self {
            Self::Yuma => wire::Kind::Yuma,
            Self::Synthesis => wire::Kind::Synthesis,
            Self::Score => wire::Kind::Score,
        }
    }
}

impl Role {
    fn to_wire(self) -> wire::Role {
        match self {
            Self::Worker => wire::Role::Worker,
            Self::Forecaster => wire::Role::Forecaster,
            Self::Reputer => wire::Role::Reputer,
        }
    }
}
