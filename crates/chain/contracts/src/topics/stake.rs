//! Stake on slots, and everybody's coins: free, vesting, waiting.
//!
//! # Pools
//!
//! Every holder of a slot has a pool of its own, so that stake never passes to a successor. Shares of
//! pools are counted as `shares.rs` says, at the price that the pool has when they are made.
//!
//! What is put in while an epoch is under way waits for its end: it has no part in that epoch's rows,
//! weights, vetoes and pay. Then all that waited in a pool becomes shares at one price, the price at
//! the epoch's end, since the first touch of a pool that has any comes before any other change of it.
//! Each account gets its part of those shares at its own first touch. During Settle no stake leaves.
//!
//! A slot's earnings go to its operator, and beyond the operator's take to the pool, if it has at
//! least `minBond`. A new pool's
//! take is everything; the operator lowers it to invite stake. A raise waits.
//!
//! # Vesting
//!
//! Of `r` wei that become free until `e`, and `x` more over a time `D`: `r + x` until
//! `now + (r (e − now) + x D) / (r + x)`, after what is due has become free.

use alloy_primitives::{Address, U256};
use hallmark_abi::topics::ITopics;
use hallmark_types::addresses;

use super::{Account, Pool, Topic, Topics, emit, muldiv, paid_in};
use crate::{
    Host, Result,
    host::{checked, revert},
    shares::Held,
};

/// Most entries of a queue that one withdrawal looks at.
const MAX_RELEASES: u64 = 32;
/// The whole, in 1/10000.
pub(super) const WHOLE_TAKE: u16 = 10_000;

impl Topics {
    pub(super) fn known_pool(&self, host: &mut dyn Host, id: U256) -> Result<Pool> {
        if let Ok(number) = u64::try_from(id) {
            let pool = self.pools.at(number);
            if !pool.operator.read(host)?.is_zero() {
                return Ok(pool);
            }
        }
        revert(ITopics::UnknownPool { pool: id })
    }

    /// Gives the shares: none for stake that waits for the end of the epoch under way.
    ///
    /// # Errors
    ///
    /// `UnknownTopic`, `UnknownSlot`, `ZeroAmount` also for a stake worth no share.
    pub fn stake(&self, host: &mut dyn Host, id: U256, slot: u16) -> Result<U256> {
        let topic = self.known(host, id)?;
        let seat = topic.seat(host, id, slot)?;
        let amount = paid_in(host)?;
        let number = seat.pool.read(host)?;
        let pool = self.pools.at(number);
        let (staker, epoch) = (host.caller(), topic.epoch.read(host)?);
        pool.ripen_for(host, &topic, staker, epoch)?;
        let held = pool.held(host, epoch)?;
        let mut shares = held.shares_for(amount)?;
        if shares.is_zero() {
            return revert(ITopics::ZeroAmount {});
        }
        if topic.is_under_way(host)? {
            topic.wait_for_end(host, &pool, staker, amount)?;
            shares = U256::ZERO;
        } else {
            pool.young.at(staker).add(host, &topic, amount)?;
            let position = pool.positions.at(staker);
            let sum = checked(position.read(host)?.checked_add(shares))?;
            position.write(host, sum)?;
            let all = checked(held.shares.checked_add(shares))?;
            pool.shares.write(host, all)?;
            let sum = checked(held.amount.checked_add(amount))?;
            pool.amount.write(host, sum)?;
            let stake = checked(topic.stake.read(host)?.checked_add(amount))?;
            topic.stake.write(host, stake)?;
        }
        self.owe(host, amount)?;
        let event = ITopics::Staked {
            pool: U256::from(number),
            staker,
            amount,
            shares,
        };
        emit(host, event)?;
        Ok(shares)
    }

    /// # Errors
    ///
    /// `UnknownPool`, `WrongStage` during Settle, `InsufficientShares`, `ZeroAmount` also for shares
    /// worth nothing.
    pub fn unstake(&self, host: &mut dyn Host, id: U256, shares: U256) -> Result<()> {
        let pool = self.known_pool(host, id)?;
        let staker = host.caller();
        let topic_id = U256::from(pool.topic.read(host)?);
        let topic = self.topics.at(topic_id);
        let live = pool.live.read(host)?;
        if live {
            topic.not_settling(host, topic_id)?;
        }
        let epoch = topic.epoch.read(host)?;
        pool.ripen_for(host, &topic, staker, epoch)?;
        let position = pool.positions.at(staker);
        let held = position.read(host)?;
        let Some(left) = held.checked_sub(shares) else {
            return revert(ITopics::InsufficientShares {
                shares: held,
                needed: shares,
            });
        };
        let amount = pool.held(host, epoch)?.worth(shares)?;
        if amount == 0 {
            return revert(ITopics::ZeroAmount {});
        }
        position.write(host, left)?;
        let all = checked(pool.shares.read(host)?.checked_sub(shares))?;
        pool.shares.write(host, all)?;
        let rest = checked(pool.amount.read(host)?.checked_sub(amount))?;
        pool.amount.write(host, rest)?;
        if live {
            let stake = checked(topic.stake.read(host)?.checked_sub(amount))?;
            topic.stake.write(host, stake)?;
        }
        let freeAtMs = self.queue(host, staker, amount)?;
        emit(
            host,
            ITopics::Unstaking {
                pool: id,
                staker,
                amount,
                freeAtMs,
            },
        )
    }

    /// # Errors
    ///
    /// `UnknownTopic`, `UnknownSlot`, `NotOperator`, `InvalidPolicy` above the whole.
    pub fn set_take(&self, host: &mut dyn Host, call: ITopics::setTakeCall) -> Result<()> {
        let topic = self.known(host, call.topic)?;
        let seat = topic.own_seat(host, call.topic, call.slot)?;
        let takeBps = call.takeBps;
        if takeBps > WHOLE_TAKE {
            return super::invalid_policy(format!("a take is at most {WHOLE_TAKE}"));
        }
        let number = seat.pool.read(host)?;
        let pool = self.pools.at(number);
        let now = host.timestamp_ms();
        let present = pool.take(host)?;
        let fromMs = if takeBps > present {
            let from = checked(now.checked_add(self.take_delay_ms.read(host)?))?;
            pool.take_bps.write(host, present)?;
            pool.next_take_bps.write(host, takeBps)?;
            pool.next_take_at_ms.write(host, from)?;
            from
        } else {
            pool.take_bps.write(host, takeBps)?;
            pool.next_take_bps.write(host, 0)?;
            pool.next_take_at_ms.write(host, 0)?;
            now
        };
        let event = ITopics::TakeChanged {
            pool: U256::from(number),
            takeBps,
            fromMs,
        };
        emit(host, event)
    }

    /// Takes what is vested, and up to 32 amounts whose wait is over, and all that is free.
    ///
    /// # Errors
    ///
    /// `InsufficientBalance` if nothing is free.
    pub fn withdraw(&self, host: &mut dyn Host) -> Result<U256> {
        let caller = host.caller();
        let account = self.accounts.at(caller);
        let now = host.timestamp_ms();
        account.vest(host, now)?;
        account.release(host, now)?;
        let free = account.free.read(host)?;
        let amount = U256::from(free);
        if free == 0 {
            let (free, needed) = (U256::ZERO, U256::from(1));
            return revert(ITopics::InsufficientBalance { free, needed });
        }
        account.free.write(host, 0)?;
        self.disown(host, free)?;
        host.transfer(addresses::TOPICS, caller, amount)?;
        let event = ITopics::Withdrawn {
            account: caller,
            amount,
        };
        emit(host, event)?;
        Ok(amount)
    }

    /// Makes coins free that the contract owes already.
    pub(super) fn free(&self, host: &mut dyn Host, to: Address, amount: u128) -> Result<()> {
        let free = self.accounts.at(to).free;
        let sum = checked(free.read(host)?.checked_add(amount))?;
        Ok(free.write(host, sum)?)
    }

    /// Puts coins that the contract owes already behind the delay; gives its end.
    pub(super) fn queue(&self, host: &mut dyn Host, to: Address, amount: u128) -> Result<u64> {
        let account = self.accounts.at(to);
        let delay = self.unstake_delay_ms.read(host)?;
        let free_at = checked(host.timestamp_ms().checked_add(delay))?;
        let waiting = checked(account.waiting.read(host)?.checked_add(amount))?;
        account.waiting.write(host, waiting)?;
        let (head, tail) = (
            account.queue_head.read(host)?,
            account.queue_tail.read(host)?,
        );
        if let Some(last) = tail.checked_sub(1).filter(|last| *last >= head) {
            let last = account.queue.at(last);
            if last.free_at_ms.read(host)? == free_at {
                let sum = checked(last.amount.read(host)?.checked_add(amount))?;
                last.amount.write(host, sum)?;
                return Ok(free_at);
            }
        }
        let entry = account.queue.at(tail);
        entry.amount.write(host, amount)?;
        entry.free_at_ms.write(host, free_at)?;
        let tail = checked(tail.checked_add(1))?;
        account.queue_tail.write(host, tail)?;
        Ok(free_at)
    }

    /// Adds earnings that the contract owes already, free after `vesting_ms`, linearly.
    pub(super) fn vest(
        &self,
        host: &mut dyn Host,
        to: Address,
        amount: u128,
        vesting_ms: u64,
    ) -> Result<()> {
        if amount == 0 {
            return Ok(());
        }
        if vesting_ms == 0 {
            return self.free(host, to, amount);
        }
        let account = self.accounts.at(to);
        let now = host.timestamp_ms();
        account.vest(host, now)?;
        let rest = account.vesting.read(host)?;
        let left = account.vest_end_ms.read(host)?.saturating_sub(now);
        let sum = checked(rest.checked_add(amount))?;
        // Each weight is at most 2^128 and each time below 2^64: no overflow.
        let weigh = |part: u128, ms: u64| U256::from(part).saturating_mul(U256::from(ms));
        let both = weigh(rest, left).saturating_add(weigh(amount, vesting_ms));
        let mean = checked(both.checked_div(U256::from(sum)))?;
        let end = checked(now.checked_add(mean.saturating_to::<u64>().max(1)))?;
        account.vesting.write(host, sum)?;
        account.vest_from_ms.write(host, now)?;
        Ok(account.vest_end_ms.write(host, end)?)
    }
}

impl Account {
    /// Of the vesting coins, what is free at `now`.
    pub(super) fn vested(&self, host: &mut dyn Host, now: u64) -> Result<u128> {
        let vesting = self.vesting.read(host)?;
        if vesting == 0 {
            return Ok(0);
        }
        let (from, end) = (self.vest_from_ms.read(host)?, self.vest_end_ms.read(host)?);
        let span = end.saturating_sub(from);
        let gone = now.saturating_sub(from);
        if gone >= span {
            return Ok(vesting);
        }
        muldiv(vesting, u128::from(gone), u128::from(span))
    }

    /// Frees what has vested.
    fn vest(&self, host: &mut dyn Host, now: u64) -> Result<()> {
        let due = self.vested(host, now)?;
        if due == 0 {
            return Ok(());
        }
        let rest = checked(self.vesting.read(host)?.checked_sub(due))?;
        self.vesting.write(host, rest)?;
        self.vest_from_ms.write(host, now)?;
        let free = checked(self.free.read(host)?.checked_add(due))?;
        Ok(self.free.write(host, free)?)
    }

    /// Of the queue's first entries, what is free at `now`, how many they are, and when the next is.
    pub(super) fn due(&self, host: &mut dyn Host, now: u64) -> Result<(u128, u64, u64)> {
        let (head, tail) = (self.queue_head.read(host)?, self.queue_tail.read(host)?);
        let (mut sum, mut count) = (0u128, 0u64);
        for place in (head..tail).take(usize::try_from(MAX_RELEASES).unwrap_or(0)) {
            let entry = self.queue.at(place);
            let free_at = entry.free_at_ms.read(host)?;
            if free_at > now {
                return Ok((sum, count, free_at));
            }
            sum = checked(sum.checked_add(entry.amount.read(host)?))?;
            count = count.saturating_add(1);
        }
        let next = if head.saturating_add(count) < tail {
            now
        } else {
            0
        };
        Ok((sum, count, next))
    }

    /// Frees the first entries of the queue whose wait is over.
    fn release(&self, host: &mut dyn Host, now: u64) -> Result<()> {
        let (due, count, _) = self.due(host, now)?;
        if count == 0 {
            return Ok(());
        }
        let head = self.queue_head.read(host)?;
        let next = checked(head.checked_add(count))?;
        for place in head..next {
            let entry = self.queue.at(place);
            entry.amount.write(host, 0)?;
            entry.free_at_ms.write(host, 0)?;
        }
        self.queue_head.write(host, next)?;
        let waiting = checked(self.waiting.read(host)?.checked_sub(due))?;
        self.waiting.write(host, waiting)?;
        let free = checked(self.free.read(host)?.checked_add(due))?;
        Ok(self.free.write(host, free)?)
    }
}

impl Held {
    /// With what waited, and the shares that it became.
    fn grown(&self, waited: u128) -> Result<(Self, U256)> {
        let minted = self.shares_for(waited)?;
        let grown = Self {
            amount: checked(self.amount.checked_add(waited))?,
            shares: checked(self.shares.checked_add(minted))?,
        };
        Ok((grown, minted))
    }
}

impl Topic {
    /// Keeps stake that was put in while an epoch is under way for its end.
    fn wait_for_end(
        &self,
        host: &mut dyn Host,
        pool: &Pool,
        staker: Address,
        amount: u128,
    ) -> Result<()> {
        let epoch = self.epoch.read(host)?;
        let wait = pool.waits.at(staker);
        let own = checked(wait.amount.read(host)?.checked_add(amount))?;
        wait.amount.write(host, own)?;
        wait.epoch.write(host, epoch)?;
        let all = checked(pool.waiting.read(host)?.checked_add(amount))?;
        pool.waiting.write(host, all)?;
        pool.waiting_epoch.write(host, epoch)?;
        let waiting = checked(self.stake_waiting.read(host)?.checked_add(amount))?;
        Ok(self.stake_waiting.write(host, waiting)?)
    }

    /// At an epoch's end: what waited for it counts.
    pub(super) fn ripen(&self, host: &mut dyn Host) -> Result<()> {
        let waited = self.stake_waiting.read(host)?;
        if waited != 0 {
            let stake = checked(self.stake.read(host)?.checked_add(waited))?;
            self.stake.write(host, stake)?;
            self.stake_waiting.write(host, 0)?;
        }
        Ok(())
    }
}

impl Pool {
    /// What counts when its topic's epoch, under way or the next, is `epoch`.
    pub(super) fn held(&self, host: &mut dyn Host, epoch: u64) -> Result<Held> {
        let held = self.stored(host)?;
        Ok(match self.ripe(host, epoch)? {
            0 => held,
            waited => held.grown(waited)?.0,
        })
    }

    /// [`held`](Self::held) in wei alone.
    pub(super) fn counted(&self, host: &mut dyn Host, epoch: u64) -> Result<u128> {
        let (amount, ripe) = (self.amount.read(host)?, self.ripe(host, epoch)?);
        checked(amount.checked_add(ripe))
    }

    fn stored(&self, host: &mut dyn Host) -> Result<Held> {
        Ok(Held {
            amount: self.amount.read(host)?,
            shares: self.shares.read(host)?,
        })
    }

    /// What waited for the end of an epoch before `epoch` and is no share yet, in wei.
    fn ripe(&self, host: &mut dyn Host, epoch: u64) -> Result<u128> {
        let waiting = self.waiting.read(host)?;
        if waiting != 0 && self.waiting_epoch.read(host)? < epoch {
            return Ok(waiting);
        }
        Ok(0)
    }

    /// Makes shares of what waited for the end of an epoch before `epoch`. Comes before every other
    /// change of the pool.
    pub(super) fn ripen(&self, host: &mut dyn Host, epoch: u64) -> Result<()> {
        let waited = self.ripe(host, epoch)?;
        if waited == 0 {
            return Ok(());
        }
        let (grown, minted) = self.stored(host)?.grown(waited)?;
        let batch = self.batches.at(self.waiting_epoch.read(host)?);
        batch.amount.write(host, waited)?;
        batch.shares.write(host, minted)?;
        self.amount.write(host, grown.amount)?;
        self.shares.write(host, grown.shares)?;
        Ok(self.waiting.write(host, 0)?)
    }

    /// [`ripen`](Self::ripen), and gives an account its part, which has no say in a change that was
    /// proposed before it counted. Comes before every other change of the account's position.
    pub(super) fn ripen_for(
        &self,
        host: &mut dyn Host,
        topic: &Topic,
        account: Address,
        epoch: u64,
    ) -> Result<()> {
        self.ripen(host, epoch)?;
        let wait = self.waits.at(account);
        let (waited, of) = (wait.amount.read(host)?, wait.epoch.read(host)?);
        if waited != 0 && of < epoch {
            let shares = self.shares_of(host, account, epoch)?;
            self.positions.at(account).write(host, shares)?;
            wait.amount.write(host, 0)?;
            if topic.proposal.is_older_than(host, of)? {
                self.young.at(account).add(host, topic, waited)?;
            }
        }
        Ok(())
    }

    /// An account's shares in [`held`](Self::held).
    pub(super) fn shares_of(
        &self,
        host: &mut dyn Host,
        account: Address,
        epoch: u64,
    ) -> Result<U256> {
        let shares = self.positions.at(account).read(host)?;
        let wait = self.waits.at(account);
        let (own, of) = (wait.amount.read(host)?, wait.epoch.read(host)?);
        if own == 0 || of >= epoch {
            return Ok(shares);
        }
        let waiting = self.waiting.read(host)?;
        let (all, minted) = if waiting != 0 && self.waiting_epoch.read(host)? == of {
            (waiting, self.stored(host)?.shares_for(waiting)?)
        } else {
            let batch = self.batches.at(of);
            (batch.amount.read(host)?, batch.shares.read(host)?)
        };
        let product = checked(minted.checked_mul(U256::from(own)))?;
        let part = checked(product.checked_div(U256::from(all)))?;
        checked(shares.checked_add(part))
    }

    /// The operator's take now.
    pub(super) fn take(&self, host: &mut dyn Host) -> Result<u16> {
        let next = self.next_take_at_ms.read(host)?;
        if next != 0 && next <= host.timestamp_ms() {
            return Ok(self.next_take_bps.read(host)?);
        }
        Ok(self.take_bps.read(host)?)
    }
}
