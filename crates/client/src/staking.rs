//! Contract `Staking`: stake, rewards, and who decides blocks.

use crate::{Call, Client, ClientError, TransactionReceipt};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::{SolCall, SolEvent};
use hallmark_abi::IStaking;
use hallmark_types::addresses::STAKING;

pub use hallmark_abi::staking::IStaking::{
    Exit, Member, Params as StakingRules, Validator, accountReturn as Account,
    positionReturn as Position,
};

/// Entries that one call lists at most.
const PAGE: u64 = 128;

/// Typed access to contract `Staking` over a client's connection and key.
#[derive(Clone)]
pub struct Staking {
    client: Client,
}

impl Client {
    /// Stake and validator sets.
    pub fn staking(&self) -> Staking {
        Staking {
            client: self.clone(),
        }
    }
}

impl Staking {
    /// The connection beneath.
    pub fn client(&self) -> &Client {
        &self.client
    }

    async fn send(&self, call: &impl SolCall) -> Result<TransactionReceipt, ClientError> {
        self.client.execute(Call::new(STAKING, call)).await
    }

    async fn ask<C: SolCall>(&self, call: &C) -> Result<C::Return, ClientError> {
        self.client.query(STAKING, call).await
    }

    /// Registers the client's account as operator of a validator, with `stake` wei of its own.
    /// `possession` is the proof that the key is the operator's.
    ///
    /// # Errors
    /// The contract's own by name: `StakeTooSmall`, `KeyTaken`, `BadPossession`, `NoPlace`…
    pub async fn bond(
        &self,
        call: IStaking::bondCall,
        stake: U256,
    ) -> Result<(u64, TransactionReceipt), ClientError> {
        let call = Call::new(STAKING, &call).value(stake);
        let receipt = self.client.execute(call).await?;
        let event: IStaking::Registered = event(&receipt)?;
        Ok((event.validator, receipt))
    }

    /// Puts `amount` wei behind a validator.
    ///
    /// # Errors
    /// `UnknownValidator`, `ValidatorJailed`, `ZeroAmount`.
    pub async fn delegate(
        &self,
        validator: u64,
        amount: U256,
    ) -> Result<TransactionReceipt, ClientError> {
        let call = Call::new(STAKING, &IStaking::delegateCall { validator }).value(amount);
        self.client.execute(call).await
    }

    /// Takes shares out; what they are worth is free after the unbonding time. Gives the amount in wei and
    /// the epoch from which it is free.
    ///
    /// # Errors
    /// `UnknownValidator`, `InsufficientShares`, `ZeroAmount`.
    pub async fn undelegate(
        &self,
        validator: u64,
        shares: U256,
    ) -> Result<(U256, u64, TransactionReceipt), ClientError> {
        let call = IStaking::undelegateCall { validator, shares };
        let receipt = self.send(&call).await?;
        let event: IStaking::Unstaked = event(&receipt)?;
        Ok((event.amount, event.freeEpoch, receipt))
    }

    /// Pays out what is free; gives the amount in wei.
    ///
    /// # Errors
    /// `NothingToWithdraw`.
    pub async fn withdraw(&self) -> Result<(U256, TransactionReceipt), ClientError> {
        let receipt = self.send(&IStaking::withdrawCall {}).await?;
        let event: IStaking::Withdrawn = event(&receipt)?;
        Ok((event.amount, receipt))
    }

    /// Changes the commission, in 1/10000; gives the epoch from which it holds.
    ///
    /// # Errors
    /// `NotOperator`, `InvalidCommission`.
    pub async fn set_commission(
        &self,
        commission_bps: u16,
    ) -> Result<(u64, TransactionReceipt), ClientError> {
        let call = IStaking::setCommissionCall {
            commissionBps: commission_bps,
        };
        let receipt = self.send(&call).await?;
        let event: IStaking::CommissionChanged = event(&receipt)?;
        Ok((event.fromEpoch, receipt))
    }

    /// Changes payout account and advertised address.
    ///
    /// # Errors
    /// `NotOperator`, `InvalidPayout`, `InvalidAddress`.
    pub async fn set_profile(
        &self,
        payout: Address,
        p2p: String,
    ) -> Result<TransactionReceipt, ClientError> {
        self.send(&IStaking::setProfileCall { payout, p2p }).await
    }

    /// Gives the validator another key from the next set on.
    ///
    /// # Errors
    /// `NotOperator`, `KeyTaken`, `BadPossession`.
    pub async fn rotate_key(
        &self,
        public_key: B256,
        possession: Bytes,
    ) -> Result<TransactionReceipt, ClientError> {
        let call = IStaking::rotateKeyCall {
            publicKey: public_key,
            possession,
        };
        self.send(&call).await
    }

    /// Makes the validator a candidate again.
    ///
    /// # Errors
    /// `NotOperator`, `ValidatorJailed`, `KeyTombstoned`, `StakeTooSmall`, `NoPlace`.
    pub async fn join(&self) -> Result<TransactionReceipt, ClientError> {
        self.send(&IStaking::joinCall {}).await
    }

    /// The validator is no candidate any more.
    ///
    /// # Errors
    /// `NotOperator`.
    pub async fn leave(&self) -> Result<TransactionReceipt, ClientError> {
        self.send(&IStaking::leaveCall {}).await
    }

    /// Reports a double vote; gives the event of the slash, with the reward.
    ///
    /// # Errors
    /// `MalformedEvidence`, `EvidenceOutOfWindow`, `KeyTombstoned`, `NotInSet`, `BadSignature`.
    pub async fn submit_evidence(
        &self,
        evidence: Bytes,
    ) -> Result<(IStaking::Slashed, TransactionReceipt), ClientError> {
        let receipt = self
            .send(&IStaking::submitEvidenceCall { evidence })
            .await?;
        Ok((event(&receipt)?, receipt))
    }

    /// The chain's rules of staking.
    ///
    /// # Errors
    /// The connection's.
    pub async fn rules(&self) -> Result<StakingRules, ClientError> {
        self.ask(&IStaking::paramsCall {}).await
    }

    /// The present epoch.
    ///
    /// # Errors
    /// The connection's.
    pub async fn epoch(&self) -> Result<u64, ClientError> {
        self.ask(&IStaking::epochCall {}).await
    }

    /// Validators ever registered; their numbers begin with 1.
    ///
    /// # Errors
    /// The connection's.
    pub async fn count(&self) -> Result<u64, ClientError> {
        self.ask(&IStaking::countCall {}).await
    }

    /// One validator.
    ///
    /// # Errors
    /// `UnknownValidator`.
    pub async fn get(&self, validator: u64) -> Result<Validator, ClientError> {
        self.ask(&IStaking::getCall { validator }).await
    }

    /// The validator of an operator.
    ///
    /// # Errors
    /// The connection's.
    pub async fn validator_of(&self, operator: Address) -> Result<Option<u64>, ClientError> {
        let number = self.ask(&IStaking::validatorOfCall { operator }).await?;
        Ok((number != 0).then_some(number))
    }

    /// The validators of an epoch, at most 128; none if its set is not decided yet, or forgotten.
    ///
    /// # Errors
    /// The connection's.
    pub async fn set(&self, epoch: u64) -> Result<Vec<Member>, ClientError> {
        let (offset, limit) = (U256::ZERO, U256::from(PAGE));
        let call = IStaking::setCall {
            epoch,
            offset,
            limit,
        };
        self.ask(&call).await
    }

    /// Shares of `account` behind a validator, and what they are worth in wei.
    ///
    /// # Errors
    /// `UnknownValidator`.
    pub async fn position(
        &self,
        validator: u64,
        account: Address,
    ) -> Result<Position, ClientError> {
        self.ask(&IStaking::positionCall { validator, account })
            .await
    }

    /// What `account` may take at once, in wei, and the number of its exits.
    ///
    /// # Errors
    /// The connection's.
    pub async fn account(&self, account: Address) -> Result<Account, ClientError> {
        self.ask(&IStaking::accountCall { account }).await
    }

    /// The oldest exits of `account`, at most 128.
    ///
    /// # Errors
    /// The connection's.
    pub async fn exits(&self, account: Address) -> Result<Vec<Exit>, ClientError> {
        let (offset, limit) = (U256::ZERO, U256::from(PAGE));
        let call = IStaking::exitsCall {
            account,
            offset,
            limit,
        };
        self.ask(&call).await
    }
}

/// A call of `bond`; `possession` is the key's proof that it is the operator's.
pub fn bond_call(
    public_key: [u8; 32],
    possession: &[u8; 64],
    payout: Address,
    commission_bps: u16,
    p2p: String,
) -> IStaking::bondCall {
    IStaking::bondCall {
        publicKey: public_key.into(),
        possession: possession.to_vec().into(),
        payout,
        commissionBps: commission_bps,
        p2p,
    }
}

/// The shares that are worth `amount` wei, or a little more: not more than there are. `None` if the
/// position is worth less.
pub fn shares_worth(position: &Position, amount: U256) -> Option<U256> {
    if amount > position.worth {
        return None;
    }
    let product = position.shares.checked_mul(amount)?;
    let shares = product.div_ceil(position.worth.max(U256::from(1)));
    Some(shares.min(position.shares))
}

fn event<E: SolEvent>(receipt: &TransactionReceipt) -> Result<E, ClientError> {
    receipt
        .logs()
        .iter()
        .filter(|log| log.address() == STAKING)
        .find_map(|log| E::decode_log_data(log.data()).ok())
        .ok_or_else(|| ClientError::Malformed(format!("no event {}", E::SIGNATURE)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_for_an_amount_are_never_more_than_there_are_and_never_worth_less() {
        let position = Position {
            shares: U256::from(3_000),
            worth: U256::from(7),
        };
        let shares = |amount: u64| shares_worth(&position, U256::from(amount));
        assert_eq!(shares(7), Some(U256::from(3_000)));
        assert_eq!(shares(1), Some(U256::from(429)));
        assert_eq!(shares(8), None);
        let nothing = Position {
            shares: U256::ZERO,
            worth: U256::ZERO,
        };
        assert_eq!(shares_worth(&nothing, U256::from(1)), None);
        assert_eq!(shares_worth(&nothing, U256::ZERO), Some(U256::ZERO));
    }
}
