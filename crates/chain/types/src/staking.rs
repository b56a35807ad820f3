//! Who decides blocks: rules of stake, and the set of one epoch.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize};

use crate::{MARK, SpecError, limits::range, spec::MAX_VALIDATORS};

/// Longest address at which a validator is reached by its peers, bytes.
pub const MAX_P2P_BYTES: usize = 255;
/// Most epochs that stake waits after it was taken out. A slash visits every epoch's waiting stake.
pub const MAX_UNBONDING_EPOCHS: u32 = 128;
/// Stake of a validator of local networks and tests, units of 10^-18 MARK.
pub const LOCAL_STAKE: u128 = 10_000 * MARK;

/// Rules of staking. Part of the chain spec.
///
/// An epoch is `epoch_blocks` heights: height `h` is of epoch `h / epoch_blocks`. In these terms the
/// waiting times must be so that whoever signed can still be made to pay for it:
/// `trusting_epochs <= evidence_epochs` and `evidence_epochs + 2 <= unbonding_epochs`, because stake
/// that leaves in epoch `e` stands for the sets of `e` and `e + 1`, which are frozen already.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StakingParams {
    /// Heights of an epoch.
    pub epoch_blocks: u64,
    /// Least stake of a validator's own operator, units of 10^-18 MARK.
    pub min_stake: U256,
    /// Most validators of an epoch.
    pub max_validators: u16,
    /// Stake that is taken out waits for so many epochs.
    pub unbonding_epochs: u32,
    /// Evidence of a double vote is taken for so many epochs after it.
    pub evidence_epochs: u32,
    /// A light client trusts a set for so many epochs after it.
    pub trusting_epochs: u32,
    /// A raise of a commission waits for so many epochs.
    pub commission_delay_epochs: u32,
    /// Largest commission, parts per 10,000 of a validator's rewards.
    pub max_commission_bps: u16,
    /// A validator that voted twice stands in no set that is frozen within so many epochs.
    pub jail_epochs: u32,
    /// What a double vote costs, parts per 10,000 of the stake behind it.
    pub slash_bps: u16,
    /// The reporter's part, per 10,000 of what the operator's own stake loses.
    pub reporter_bps: u16,
}

impl StakingParams {
    /// Values for local networks and tests: an idle epoch lasts five minutes.
    pub fn local() -> Self {
        Self {
            epoch_blocks: 1_200,
            min_stake: U256::from(MARK.saturating_mul(1_000)),
            max_validators: 64,
            unbonding_epochs: 8,
            evidence_epochs: 6,
            trusting_epochs: 4,
            commission_delay_epochs: 4,
            max_commission_bps: 5_000,
            jail_epochs: 4,
            slash_bps: 500,
            reporter_bps: 2_000,
        }
    }

    /// The epoch of a height.
    pub fn epoch_of(&self, height: u64) -> u64 {
        height.checked_div(self.epoch_blocks).unwrap_or_default()
    }

    /// Whether a height is the last of its epoch.
    pub fn is_last_of_epoch(&self, height: u64) -> bool {
        self.epoch_of(height.saturating_add(1)) > self.epoch_of(height)
    }

    pub(crate) fn check(&self) -> Result<(), SpecError> {
        // A header has 32 bits for the epoch; at least four heights let a set act between two changes.
        range("staking.epoch_blocks", self.epoch_blocks, 4, 1 << 24)?;
        let most = U256::from(1u128 << 100);
        range("staking.min_stake", self.min_stake, U256::from(1), most)?;
        let validators = u16::try_from(MAX_VALIDATORS).unwrap_or(u16::MAX);
        range("staking.max_validators", self.max_validators, 1, validators)?;
        range(
            "staking.unbonding_epochs",
            self.unbonding_epochs,
            3,
            MAX_UNBONDING_EPOCHS,
        )?;
        let within = self.unbonding_epochs.saturating_sub(2);
        range("staking.evidence_epochs", self.evidence_epochs, 1, within)?;
        let window = self.evidence_epochs;
        range("staking.trusting_epochs", self.trusting_epochs, 1, window)?;
        range(
            "staking.commission_delay_epochs",
            self.commission_delay_epochs,
            1,
            1 << 20,
        )?;
        range(
            "staking.max_commission_bps",
            self.max_commission_bps,
            0,
            10_000,
        )?;
        range("staking.jail_epochs", self.jail_epochs, 1, 1 << 20)?;
        range("staking.slash_bps", self.slash_bps, 1, 5_000)?;
        // Well below the whole, so that reporting oneself is a loss.
        range("staking.reporter_bps", self.reporter_bps, 0, 5_000)
    }
}

/// The validators of one epoch, in the order of the set; a header's `leader` is an index into it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committee {
    /// The epoch.
    pub epoch: u64,
    /// One to [`StakingParams::max_validators`] members.
    pub members: Vec<Member>,
}

/// One validator of an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Ed25519 public key of its votes and connections.
    pub public_key: [u8; 32],
    /// Beneficiary of the blocks that it proposes.
    pub address: Address,
    /// Its stake when the set was frozen, units of 10^-18 MARK.
    pub stake: U256,
    /// `host:port` at which it says it is reached now; empty if it does not say.
    pub p2p: String,
}

/// Whether an address of a validator is usable: empty, or `host:port` in printable ASCII with a
/// port from 1 to 65535, at most [`MAX_P2P_BYTES`] long. A host is a name, an IPv4 address or an
/// IPv6 address in brackets; what it is, is not examined further.
pub fn is_p2p_address(text: &str) -> bool {
    if text.is_empty() {
        return true;
    }
    if text.len() > MAX_P2P_BYTES || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return false;
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return false;
    };
    let bracketed = host.starts_with('[') && host.ends_with(']');
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    !host.is_empty()
        && (bracketed || !host.contains(':'))
        && digits
        && port.parse::<u16>().is_ok_and(|port| port != 0)
}

/// Domain of a proof that somebody holds a validator's key.
pub const POSSESSION_DOMAIN: &[u8] = b"hallmark/staking/possession/1";

/// What the proof is about, in that domain: `chain_id: u64 ‖ operator: 20 bytes`, big endian.
pub fn possession_body(chain_id: u64, operator: Address) -> Vec<u8> {
    let mut body = chain_id.to_be_bytes().to_vec();
    body.extend_from_slice(operator.as_slice());
    body
}

/// What a validator's key signs to prove that it belongs to `operator` on chain `chain_id`:
/// `len ‖ domain ‖ chain_id: u64 ‖ operator: 20 bytes`, integers big endian, `len` one byte: the form
/// of every message of these keys, so that no vote is ever such a proof.
pub fn possession_message(chain_id: u64, operator: Address) -> Vec<u8> {
    let body = possession_body(chain_id, operator);
    crate::evidence::in_domain(POSSESSION_DOMAIN, &body)
}
