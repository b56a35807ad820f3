//! Orders of model runs, in escrow until proven.
//!
//! # States of an order
//!
//! `now` is the header's timestamp in milliseconds, `W` the claim window, `D` the deadline.
//!
//! | from | step | condition | to | who |
//! |---|---|---|---|---|
//! | - | `order` | `D ≥ now + 2W`, exact price, input fits the model | Open | anyone |
//! | Open | `claim` | `now ≤ D - W`, free bond, model two blocks old | Claimed until `now + W` | any seller, or any that a sealed order names |
//! | Open | `cancel` | | Cancelled | buyer |
//! | Open | `expire`, sweep | `now > D - W` | Refunded | anyone, the chain |
//! | Claimed | `deliver` | `now ≤ window end`, proof holds | Paid | the claimant |
//! | Claimed | `deliver` | proof does not hold: `ProofRefused` | Claimed | the claimant |
//! | Claimed | `expire`, sweep | `now > window end`, `now ≤ D - W` | Open, bond slashed | anyone, the chain |
//! | Claimed | `expire`, sweep | `now > window end`, `now > D - W` | Refunded, bond slashed | anyone, the chain |
//!
//! `orderSealed` is `order`, with the input hidden: the order names its sellers, and of these only
//! may `claim` (module `sealed`). The states are the same.
//!
//! A claim always has its full window: an order with less than `W` left can no longer be claimed,
//! so its escrow goes back then, no later than `D`. Deadlines compare header time, which is
//! bounded relative to the parent; nothing counts blocks.
//!
//! An order copies price, shares and verifier version; the owner of a model cannot change them,
//! and a buyer pays the price it saw or nothing (`WrongPayment`).
//!
//! # Money
//!
//! - Paid: `network = ⌊price · network_bps / 10⁴⌋` to the treasury, `owner = ⌊price ·
//!   owner_share_bps / 10⁴⌋` to the model's owner, the rest, with what rounding left, to the seller.
//! - Bond: `max(min_bond, ⌊price · bond_bps / 10⁴⌋)`, locked out of the seller's deposit by the
//!   claim, unlocked by the payment.
//! - Slashed bond: `min(bond, compensation left)` to the buyer, the rest burned. All compensations
//!   of an order together are at most `base_fee × gas` of the storage that the order wrote, a lower
//!   bound of what the buyer burned to place it. So a buyer never gains when sellers fail, and
//!   staging a failure with oneself loses the rest of the bond.
//! - Transfers run no code: nothing can re-enter.
//!
//! # Invariant
//!
//! `liabilities` = escrows of open and claimed orders + all deposits, free and locked; and the
//! contract's balance is at least that. Coins that arrive by other ways are surplus.

// Locals that fill an ABI struct carry its field's name.
#![allow(non_snake_case)]

mod deliver;
mod dispatch;
#[cfg(test)]
mod property;
mod sealed;
#[cfg(test)]
mod sealed_tests;
mod settle;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolEvent;
use hallmark_abi::inference::IInference::{self, Level, Params, Status};
use hallmark_contracts_macros::contract;
use hallmark_types::{ChainSpec, addresses};

pub(crate) use dispatch::call;

use crate::{
    Host, Result,
    host::{OrRevert, checked, revert},
    models::{BPS, Model, Models},
    storage::{Mapping, Slot, StorageBytes, StorageVec, Words},
    verifier,
};

/// Most entries of one `open` or `sealingSellers`.
pub const MAX_PAGE: u64 = 100;
/// Gas that a new, non-zero storage word burns at least: 20,000 less the fifth of a transaction's
/// gas that refunds may give back.
pub const WORD_GAS_FLOOR: u64 = 16_000;
/// Words that every order writes anew and never as zero: identity, model, times, input hash. A
/// commitment might be zero; the list of sellers, which is not counted, is not.
const ORDER_WORDS: u64 = 4;

/// Storage of `Inference`.
#[contract(address = addresses::INFERENCE)]
pub struct Inference {
    /// How long a claim is exclusive, in milliseconds; fixed at genesis, like all parameters.
    pub claim_window_ms: Slot<u64>,
    /// In 1/10000 of the price.
    pub bond_bps: Slot<u16>,
    /// In 1/10000 of the price.
    pub network_bps: Slot<u16>,
    pub max_open_claims_per_seller: Slot<u32>,
    pub max_input_bytes: Slot<u32>,
    pub sweep_per_block: Slot<u32>,
    /// In wei.
    pub min_bond: Slot<u128>,
    pub treasury: Slot<Address>,
    /// In wei.
    pub liabilities: Slot<u128>,
    /// Number of orders ever placed; ids begin with 1.
    pub order_count: Slot<u64>,
    /// Where the next sweep begins in `open_orders`.
    pub sweep_cursor: Slot<u64>,
    /// Ids of open and claimed orders.
    pub open_orders: StorageVec<U256>,
    pub orders: Mapping<U256, Order>,
    pub deposits: Mapping<Address, Deposit>,
    pub sealing_keys: Mapping<Address, SealingKey>,
    /// Sellers that have a sealing key, left-padded to words.
    pub sealing_sellers: StorageVec<B256>,
}

/// One order.
#[contract]
pub struct Order {
    pub buyer: Slot<Address>,
    pub level: Slot<Level>,
    pub status: Slot<Status>,
    pub owner_share_bps: Slot<u16>,
    pub network_bps: Slot<u16>,
    pub verifier_version: Slot<u16>,
    pub model: Slot<B256>,
    /// In wei.
    pub price: Slot<u128>,
    pub ordered_at_ms: Slot<u64>,
    pub deadline_ms: Slot<u64>,
    /// keccak256 of the input bytes; of a sealed order, the commitment to the input.
    pub input_hash: Slot<B256>,
    /// Who holds the claim, or was paid.
    pub seller: Slot<Address>,
    /// Index in `open_orders`.
    pub open_index: Slot<u64>,
    /// In wei.
    pub bond: Slot<u128>,
    pub claimed_at_ms: Slot<u64>,
    pub window_end_ms: Slot<u64>,
    /// Hash of the block before the claim's.
    pub anchor: Slot<B256>,
    /// keccak256 of the output bytes.
    pub output_hash: Slot<B256>,
    /// In wei.
    pub compensation_left: Slot<u128>,
    /// Of a sealed order, the envelope.
    pub input: StorageBytes,
    /// Masked, if the order is sealed.
    pub output: StorageBytes,
    /// Who may claim, 20 bytes each; empty in an open order, and in no sealed one.
    pub sellers: StorageBytes,
}

/// A seller's deposit.
#[contract]
pub struct Deposit {
    /// In wei.
    pub free: Slot<u128>,
    /// In bonds of its claims, in wei.
    pub locked: Slot<u128>,
    pub open_claims: Slot<u32>,
}

/// A seller's key for sealed orders.
#[contract]
pub struct SealingKey {
    /// X25519 public key; zero if there is none.
    pub key: Slot<B256>,
    /// Index in `sealing_sellers`.
    pub index: Slot<u64>,
}

impl Inference {
    /// # Errors
    ///
    /// `LevelUnavailable`, `UnknownModel`, `ModelRetired`, `WrongPayment`, `DeadlineTooSoon`,
    /// `InputTooLong`, `InvalidInput`.
    pub fn order(&self, host: &mut dyn Host, call: IInference::orderCall) -> Result<U256> {
        let model = self.check_terms(host, call.model, call.level, call.deadlineMs)?;
        self.check_length(host, &call.input)?;
        if let Err(error) = model.check_input(host, &call.input)? {
            let reason = error.to_string();
            return revert(IInference::InvalidInput { reason });
        }
        let request = Request {
            model: call.model,
            deadline_ms: call.deadlineMs,
            input_hash: keccak256(&call.input),
            input: call.input,
        };
        self.place(host, &model, request)
    }

    /// What every order is held against; gives the model.
    fn check_terms(
        &self,
        host: &mut dyn Host,
        model_id: B256,
        level: u8,
        deadlineMs: u64,
    ) -> Result<Model> {
        if level != Level::Proven as u8 {
            return revert(IInference::LevelUnavailable { level });
        }
        let model = Models::new()
            .published(host, model_id)?
            .or_revert(IInference::UnknownModel { model: model_id })?;
        if !model.active.read(host)? {
            return revert(IInference::ModelRetired { model: model_id });
        }
        let price = U256::from(model.price.read(host)?);
        if host.value() != price {
            return revert(IInference::WrongPayment { price });
        }
        let windows = checked(self.claim_window_ms.read(host)?.checked_mul(2))?;
        let earliestMs = checked(host.timestamp_ms().checked_add(windows))?;
        if deadlineMs < earliestMs {
            return revert(IInference::DeadlineTooSoon {
                deadlineMs,
                earliestMs,
            });
        }
        Ok(model)
    }

    fn check_length(&self, host: &mut dyn Host, input: &[u8]) -> Result<()> {
        let maximum = U256::from(self.max_input_bytes.read(host)?);
        let length = U256::from(input.len());
        if length > maximum {
            return revert(IInference::InputTooLong { length, maximum });
        }
        Ok(())
    }

    /// Writes a checked order, takes its price into escrow, and tells of it.
    fn place(&self, host: &mut dyn Host, model: &Model, request: Request) -> Result<U256> {
        let number = checked(self.order_count.read(host)?.checked_add(1))?;
        self.order_count.write(host, number)?;
        let id = U256::from(number);
        let order = self.orders.at(id);
        let buyer = host.caller();
        let price = model.price.read(host)?;
        let owner_share_bps = model.owner_share_bps.read(host)?;
        let network_bps = self.network_bps.read(host)?;
        let compensation = ordering_cost(host.base_fee(), &request.input)?;
        order.buyer.write(host, buyer)?;
        order.level.write(host, Level::Proven)?;
        order.status.write(host, Status::Open)?;
        order.owner_share_bps.write(host, owner_share_bps)?;
        order.network_bps.write(host, network_bps)?;
        order.verifier_version.write(host, verifier::VERSION)?;
        order.model.write(host, request.model)?;
        order.price.write(host, price)?;
        let now = host.timestamp_ms();
        order.ordered_at_ms.write(host, now)?;
        order.deadline_ms.write(host, request.deadline_ms)?;
        order.input_hash.write(host, request.input_hash)?;
        order.compensation_left.write(host, compensation)?;
        order.input.write(host, &request.input)?;
        let index = self.open_orders.push(host, id)?;
        order.open_index.write(host, index)?;
        self.owe(host, price)?;
        let event = IInference::Ordered {
            id,
            model: request.model,
            buyer,
            level: Level::Proven as u8,
            price,
            deadlineMs: request.deadline_ms,
            inputHash: request.input_hash,
        };
        emit(host, event)?;
        Ok(id)
    }

    /// # Errors
    ///
    /// `UnknownOrder`, `WrongStatus`, `NotNamed`, `TooLateToClaim`, `TooEarlyToClaim`,
    /// `TooManyClaims`, `InsufficientDeposit`.
    pub fn claim(&self, host: &mut dyn Host, id: U256) -> Result<()> {
        let order = self.in_status(host, id, Status::Open)?;
        let seller = host.caller();
        order.check_named(host, seller)?;
        let now = host.timestamp_ms();
        let latestMs = self.latest_claim_ms(host, &order)?;
        if now > latestMs {
            let deadlineMs = order.deadline_ms.read(host)?;
            return revert(IInference::TooLateToClaim {
                deadlineMs,
                latestMs,
            });
        }
        let anchor = self.anchor(host, &order)?;
        let deposit = self.deposits.at(seller);
        let open = deposit.open_claims.read(host)?;
        let maximum = self.max_open_claims_per_seller.read(host)?;
        if open >= maximum {
            return revert(IInference::TooManyClaims { open, maximum });
        }
        let price = order.price.read(host)?;
        let bond = self.bond(host, price)?;
        let free = deposit.free.read(host)?;
        let Some(left) = free.checked_sub(bond) else {
            let (free, needed) = (U256::from(free), U256::from(bond));
            return revert(IInference::InsufficientDeposit { free, needed });
        };
        let windowEndMs = checked(now.checked_add(self.claim_window_ms.read(host)?))?;

        deposit.free.write(host, left)?;
        let locked = deposit.locked.read(host)?;
        deposit
            .locked
            .write(host, checked(locked.checked_add(bond))?)?;
        deposit
            .open_claims
            .write(host, checked(open.checked_add(1))?)?;
        order.status.write(host, Status::Claimed)?;
        order.seller.write(host, seller)?;
        order.bond.write(host, bond)?;
        order.claimed_at_ms.write(host, now)?;
        order.window_end_ms.write(host, windowEndMs)?;
        order.anchor.write(host, anchor)?;
        let bond = U256::from(bond);
        emit(
            host,
            IInference::Claimed {
                id,
                seller,
                bond,
                windowEndMs,
                anchor,
            },
        )
    }

    /// The hash of the parent block, which must come after the model's registration: whoever
    /// committed to the weights could not know it.
    fn anchor(&self, host: &mut dyn Host, order: &Order) -> Result<B256> {
        let model = Models::new().models.at(order.model.read(host)?);
        let registered = model.registered_at.read(host)?;
        let earliestBlock = checked(registered.checked_add(2))?;
        let number = host.block_number();
        let parent = number.checked_sub(1).filter(|_| number >= earliestBlock);
        let parent = parent.or_revert(IInference::TooEarlyToClaim { earliestBlock })?;
        host.block_hash(parent)?
            .or_revert(IInference::TooEarlyToClaim { earliestBlock })
    }

    /// `max(min_bond, ⌊price · bond_bps / 10⁴⌋)`, in wei.
    fn bond(&self, host: &mut dyn Host, price: u128) -> Result<u128> {
        let part = part(price, self.bond_bps.read(host)?)?;
        Ok(part.max(self.min_bond.read(host)?))
    }

    /// # Errors
    ///
    /// `UnknownOrder`, `WrongStatus`, `NotBuyer`.
    pub fn cancel(&self, host: &mut dyn Host, id: U256) -> Result<()> {
        let order = self.in_status(host, id, Status::Open)?;
        let buyer = order.buyer.read(host)?;
        if host.caller() != buyer {
            return revert(IInference::NotBuyer { buyer });
        }
        let refund = self.return_escrow(host, &order, Status::Cancelled)?;
        emit(host, IInference::Cancelled { id, buyer, refund })
    }

    /// # Errors
    ///
    /// `UnknownOrder`, `WrongStatus` if the order is settled, `NothingToExpire`.
    pub fn expire(&self, host: &mut dyn Host, id: U256) -> Result<()> {
        let order = self.known(host, id)?;
        let status = order.status.read(host)?;
        if !matches!(status, Status::Open | Status::Claimed) {
            return revert(IInference::WrongStatus { id, status });
        }
        let last = self.last_ms(host, &order)?;
        if host.timestamp_ms() <= last {
            let fromMs = checked(last.checked_add(1))?;
            return revert(IInference::NothingToExpire { id, fromMs });
        }
        self.settle_overdue(host, id, &order)?;
        Ok(())
    }

    /// # Errors
    ///
    /// `ZeroAmount`.
    pub fn deposit(&self, host: &mut dyn Host) -> Result<()> {
        let amount = host.value();
        if amount.is_zero() {
            return revert(IInference::ZeroAmount {});
        }
        let seller = host.caller();
        let value = checked(u128::try_from(amount).ok())?;
        let free = self.deposits.at(seller).free;
        let sum = checked(free.read(host)?.checked_add(value))?;
        free.write(host, sum)?;
        self.owe(host, value)?;
        emit(host, IInference::Deposited { seller, amount })
    }

    /// # Errors
    ///
    /// `ZeroAmount`, `InsufficientDeposit`.
    pub fn withdraw(&self, host: &mut dyn Host, amount: U256) -> Result<()> {
        if amount.is_zero() {
            return revert(IInference::ZeroAmount {});
        }
        let seller = host.caller();
        let deposit = self.deposits.at(seller);
        let free = deposit.free.read(host)?;
        let taken = u128::try_from(amount).ok();
        let Some((taken, left)) = taken.and_then(|t| Some((t, free.checked_sub(t)?))) else {
            let free = U256::from(free);
            return revert(IInference::InsufficientDeposit {
                free,
                needed: amount,
            });
        };
        deposit.free.write(host, left)?;
        self.disown(host, taken)?;
        host.transfer(addresses::INFERENCE, seller, amount)?;
        emit(host, IInference::Withdrawn { seller, amount })
    }

    /// # Errors
    ///
    /// `UnknownOrder`.
    pub fn get(&self, host: &mut dyn Host, id: U256) -> Result<IInference::Order> {
        let order = self.known(host, id)?;
        Ok(IInference::Order {
            id,
            model: order.model.read(host)?,
            buyer: order.buyer.read(host)?,
            level: order.level.read(host)?,
            status: order.status.read(host)?,
            price: order.price.read(host)?,
            ownerShareBps: order.owner_share_bps.read(host)?,
            networkBps: order.network_bps.read(host)?,
            verifierVersion: order.verifier_version.read(host)?,
            orderedAtMs: order.ordered_at_ms.read(host)?,
            deadlineMs: order.deadline_ms.read(host)?,
            inputHash: order.input_hash.read(host)?,
            seller: order.seller.read(host)?,
            bond: U256::from(order.bond.read(host)?),
            claimedAtMs: order.claimed_at_ms.read(host)?,
            windowEndMs: order.window_end_ms.read(host)?,
            anchor: order.anchor.read(host)?,
            outputHash: order.output_hash.read(host)?,
            compensationLeft: U256::from(order.compensation_left.read(host)?),
            isSealed: order.is_sealed(host)?,
        })
    }

    /// # Errors
    ///
    /// `LimitTooLarge`.
    pub fn open(&self, host: &mut dyn Host, offset: U256, limit: U256) -> Result<Vec<U256>> {
        let maximum = U256::from(MAX_PAGE);
        if limit > maximum {
            return revert(IInference::LimitTooLarge { limit, maximum });
        }
        self.open_orders.page(host, offset, limit)
    }

    /// # Errors
    ///
    /// `UnknownOrder`.
    pub fn input(&self, host: &mut dyn Host, id: U256) -> Result<Bytes> {
        Ok(self.known(host, id)?.input.read(host)?.into())
    }

    /// # Errors
    ///
    /// `UnknownOrder`.
    pub fn output(&self, host: &mut dyn Host, id: U256) -> Result<Bytes> {
        Ok(self.known(host, id)?.output.read(host)?.into())
    }

    /// The market's parameters.
    pub fn params(&self, host: &mut dyn Host) -> Result<Params> {
        Ok(Params {
            claimWindowMs: self.claim_window_ms.read(host)?,
            minBond: U256::from(self.min_bond.read(host)?),
            bondBps: self.bond_bps.read(host)?,
            networkBps: self.network_bps.read(host)?,
            maxOpenClaimsPerSeller: self.max_open_claims_per_seller.read(host)?,
            maxInputBytes: self.max_input_bytes.read(host)?,
            sweepPerBlock: self.sweep_per_block.read(host)?,
            treasury: self.treasury.read(host)?,
            verifierVersion: verifier::VERSION,
        })
    }

    fn known(&self, host: &mut dyn Host, id: U256) -> Result<Order> {
        let order = self.orders.at(id);
        if order.status.read(host)? == Status::None {
            return revert(IInference::UnknownOrder { id });
        }
        Ok(order)
    }

    fn in_status(&self, host: &mut dyn Host, id: U256, needed: Status) -> Result<Order> {
        let order = self.known(host, id)?;
        let status = order.status.read(host)?;
        if status != needed {
            return revert(IInference::WrongStatus { id, status });
        }
        Ok(order)
    }

    /// Writes the parameters that a chain begins with.
    pub(crate) fn preset(&self, spec: &ChainSpec, storage: &mut BTreeMap<Address, Words>) {
        let market = &spec.market;
        self.claim_window_ms.preset(storage, market.claim_window_ms);
        self.bond_bps.preset(storage, market.bond_bps);
        self.network_bps.preset(storage, market.network_bps);
        self.max_open_claims_per_seller
            .preset(storage, market.max_open_claims_per_seller);
        self.max_input_bytes.preset(storage, market.max_input_bytes);
        self.sweep_per_block.preset(storage, market.sweep_per_block);
        // The spec's check bounds it; more than all coin is no different.
        self.min_bond
            .preset(storage, market.min_bond.saturating_to());
        self.treasury.preset(storage, spec.treasury);
    }
}

/// A checked order that is still to be written.
struct Request {
    model: B256,
    deadline_ms: u64,
    input_hash: B256,
    input: Bytes,
}

/// `⌊amount · bps / 10⁴⌋`.
fn part(amount: u128, bps: u16) -> Result<u128> {
    let product = checked(U256::from(amount).checked_mul(U256::from(bps)))?;
    let part = checked(product.checked_div(U256::from(BPS)))?;
    checked(u128::try_from(part).ok())
}

/// What placing an order burned at least, in wei: base fee × gas of the words it wrote anew.
fn ordering_cost(base_fee: u64, input: &[u8]) -> Result<u128> {
    // Up to 31 bytes lie in their slot with the length, which makes it non-zero.
    let words = if input.len() < 32 {
        usize::from(!input.is_empty())
    } else {
        let written = input
            .chunks(32)
            .filter(|word| word.iter().any(|byte| *byte != 0))
            .count();
        checked(written.checked_add(1))?
    };
    let words = checked(
        u64::try_from(words)
            .ok()
            .and_then(|w| w.checked_add(ORDER_WORDS)),
    )?;
    let gas = checked(words.checked_mul(WORD_GAS_FLOOR))?;
    checked(u128::from(base_fee).checked_mul(u128::from(gas)))
}

fn emit(host: &mut dyn Host, event: impl SolEvent) -> Result<()> {
    Ok(host.emit(addresses::INFERENCE, event.encode_log_data())?)
}
