//! The chain spec: one JSON file that fixes a chain.
//!
//! Two nodes are on the same chain if and only if their specs have the same [`ChainSpec::hash`].
//! Unknown fields, repeated allocations and values outside their sane range are refused.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, U256, keccak256};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::{
    Limits, MarketParams, SpecError, StakingParams, TopicsParams, addresses, staking::LOCAL_STAKE,
    staking::is_p2p_address,
};

/// One MARK in its smallest unit (10^-18 MARK).
pub const MARK: u128 = 1_000_000_000_000_000_000;
/// Chain id of local networks.
pub const LOCAL_CHAIN_ID: u64 = 1618;
/// Most validators of a chain; a leader's index must fit the header and a certificate a message.
pub(crate) const MAX_VALIDATORS: usize = 128;

/// One validator of genesis.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorSpec {
    /// Ed25519 public key that signs votes and authenticates connections.
    #[serde(with = "hex32")]
    pub public_key: [u8; 32],
    /// Its operator's account, and beneficiary of the blocks that it proposes.
    pub address: Address,
    /// Its operator's own stake at genesis, units of 10^-18 MARK; issued on top of the allocation.
    pub stake: U256,
    /// `host:port` at which it is reached by its peers; empty if its peers know otherwise.
    pub p2p: String,
}

impl ValidatorSpec {
    /// A validator of a local network, with [`LOCAL_STAKE`] and no advertised address.
    pub fn local(public_key: [u8; 32], address: Address) -> Self {
        Self {
            public_key,
            address,
            stake: U256::from(LOCAL_STAKE),
            p2p: String::new(),
        }
    }
}

/// Everything that the nodes of one chain must agree on before its first block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChainSpec {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// Timestamp of genesis, Unix milliseconds.
    pub genesis_timestamp_ms: u64,
    /// The validators of the first two epochs; a header's `leader` is then an index into them.
    pub validators: Vec<ValidatorSpec>,
    /// Balances at genesis, units of 10^-18 MARK. With the validators' stakes they are all that is
    /// ever issued.
    #[serde(deserialize_with = "unique_alloc")]
    pub alloc: BTreeMap<Address, U256>,
    /// Receives the network's share of paid orders.
    pub treasury: Address,
    /// Bounds on sizes, gas and time.
    pub limits: Limits,
    /// Rules of the inference market.
    pub market: MarketParams,
    /// Rules of the markets of intelligence.
    pub topics: TopicsParams,
    /// Rules of staking and of validator sets.
    pub staking: StakingParams,
    /// Base fee of genesis, wei per gas.
    pub base_fee_initial: u64,
    /// Least base fee of any block, wei per gas.
    pub base_fee_floor: u64,
}

impl ChainSpec {
    /// A spec for a local network with the default limits.
    pub fn local(
        genesis_timestamp_ms: u64,
        validators: Vec<ValidatorSpec>,
        alloc: BTreeMap<Address, U256>,
        treasury: Address,
    ) -> Self {
        Self {
            chain_id: LOCAL_CHAIN_ID,
            genesis_timestamp_ms,
            validators,
            alloc,
            treasury,
            limits: Limits::local(),
            market: MarketParams::local(),
            topics: TopicsParams::local(),
            staking: StakingParams::local(),
            base_fee_initial: 1_000_000_000,
            base_fee_floor: 10_000_000,
        }
    }

    /// Parses and [checks](Self::check) a spec.
    ///
    /// # Errors
    /// JSON of another shape, or a spec that `check` refuses.
    pub fn from_json(json: &str) -> Result<Self, SpecError> {
        let spec: Self = serde_json::from_str(json)?;
        spec.check()?;
        Ok(spec)
    }

    /// The spec as indented JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("a spec has string keys only")
    }

    /// Keccak-256 of the spec's compact JSON with fields in declaration order and allocations in
    /// address order; independent of how the file was laid out.
    pub fn hash(&self) -> B256 {
        keccak256(serde_json::to_vec(self).expect("a spec has string keys only"))
    }

    /// All coin in existence, units of 10^-18 MARK: the sum of every account's balance, `BURN`
    /// included, equals it after every block.
    pub fn issued(&self) -> U256 {
        let stakes = self.validators.iter().map(|validator| validator.stake);
        self.alloc
            .values()
            .copied()
            .chain(stakes)
            .fold(U256::ZERO, |sum, amount| sum.saturating_add(amount))
    }

    /// Index in the set of genesis of the validator with this public key.
    pub fn validator_index(&self, public_key: &[u8; 32]) -> Option<u16> {
        let index = self
            .validators
            .iter()
            .position(|v| &v.public_key == public_key)?;
        u16::try_from(index).ok()
    }

    /// Refuses a spec that no chain can run on.
    ///
    /// # Errors
    /// The first field found wrong, with the reason.
    pub fn check(&self) -> Result<(), SpecError> {
        parameter(
            self.chain_id != 0 && self.chain_id <= u64::from(u32::MAX),
            "chain_id",
            || format!("{} is outside 1..=2^32-1", self.chain_id),
        )?;
        // Leaves the milliseconds far from overflow, whatever is added to them.
        parameter(
            self.genesis_timestamp_ms < 1 << 48,
            "genesis_timestamp_ms",
            || {
                format!(
                    "{} is not a time in milliseconds",
                    self.genesis_timestamp_ms
                )
            },
        )?;
        self.check_validators()?;
        self.check_money()?;
        self.limits.check()?;
        self.market.check(&self.limits)?;
        self.topics.check()?;
        self.staking.check()?;
        self.check_stakes()?;
        parameter(self.base_fee_floor >= 7, "base_fee_floor", || {
            format!(
                "{} is below 7, where EIP-1559 cannot move it",
                self.base_fee_floor
            )
        })?;
        let fees = self.base_fee_floor..=1_000_000_000_000_000_000;
        parameter(
            fees.contains(&self.base_fee_initial),
            "base_fee_initial",
            || format!("{} is outside {fees:?}", self.base_fee_initial),
        )
    }

    fn check_validators(&self) -> Result<(), SpecError> {
        if self.validators.is_empty() || self.validators.len() > MAX_VALIDATORS {
            return Err(SpecError::ValidatorCount(self.validators.len()));
        }
        let mut keys = BTreeSet::new();
        let mut payouts = BTreeSet::new();
        for validator in &self.validators {
            let key = B256::from(validator.public_key);
            if !keys.insert(key) {
                return Err(SpecError::DuplicateValidator("key", key.to_string()));
            }
            usable("a validator's address", validator.address)?;
            if !payouts.insert(validator.address) {
                let address = validator.address.to_string();
                return Err(SpecError::DuplicateValidator("address", address));
            }
        }
        Ok(())
    }

    /// Every validator of genesis would be chosen by the rules for later epochs.
    fn check_stakes(&self) -> Result<(), SpecError> {
        let most = usize::from(self.staking.max_validators);
        parameter(
            self.validators.len() <= most,
            "staking.max_validators",
            || {
                format!(
                    "{most} is less than the {} validators of genesis",
                    self.validators.len()
                )
            },
        )?;
        for (index, validator) in self.validators.iter().enumerate() {
            parameter(
                validator.stake >= self.staking.min_stake,
                "validators.stake",
                || {
                    format!(
                        "{} of validator {index} is below staking.min_stake, {}",
                        validator.stake, self.staking.min_stake
                    )
                },
            )?;
            parameter(is_p2p_address(&validator.p2p), "validators.p2p", || {
                format!("{:?} of validator {index} is not host:port", validator.p2p)
            })?;
        }
        Ok(())
    }

    fn check_money(&self) -> Result<(), SpecError> {
        usable("the treasury", self.treasury)?;
        let mut issued = U256::ZERO;
        for (address, balance) in &self.alloc {
            if addresses::is_reserved(address) {
                return Err(SpecError::ReservedAllocation(*address, *balance));
            }
            issued = issued
                .checked_add(*balance)
                .ok_or(SpecError::TooMuchIssued)?;
        }
        for validator in &self.validators {
            issued = issued
                .checked_add(validator.stake)
                .ok_or(SpecError::TooMuchIssued)?;
        }
        if issued > U256::from(u128::MAX) {
            return Err(SpecError::TooMuchIssued);
        }
        Ok(())
    }
}

fn usable(what: &'static str, address: Address) -> Result<(), SpecError> {
    if address.is_zero() || addresses::is_reserved(&address) {
        return Err(SpecError::ReservedAddress(what, address));
    }
    Ok(())
}

fn parameter(
    holds: bool,
    field: &'static str,
    reason: impl FnOnce() -> String,
) -> Result<(), SpecError> {
    if holds {
        Ok(())
    } else {
        Err(SpecError::Parameter {
            field,
            reason: reason(),
        })
    }
}

/// A JSON object may repeat a key, and addresses have several spellings; the last one winning
/// silently would lose somebody's money.
fn unique_alloc<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<BTreeMap<Address, U256>, D::Error> {
    struct Visitor;
    impl<'de> de::Visitor<'de> for Visitor {
        type Value = BTreeMap<Address, U256>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object of addresses and balances")
        }

        fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut alloc = BTreeMap::new();
            while let Some((address, balance)) = map.next_entry::<Address, U256>()? {
                if alloc.insert(address, balance).is_some() {
                    return Err(de::Error::custom(format!("{address} is allocated twice")));
                }
            }
            Ok(alloc)
        }
    }
    deserializer.deserialize_map(Visitor)
}

mod hex32 {
    use super::{B256, Deserialize, Deserializer, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(
        bytes: &[u8; 32],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        B256::from(*bytes).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[u8; 32], D::Error> {
        B256::deserialize(deserializer).map(|bytes| bytes.0)
    }
}
