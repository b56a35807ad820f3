//! A chain with three validators, short epochs, and people with coins.

mod evidence;
mod property;
mod sets;
mod stake;

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::IStaking;
use hallmark_types::{
    ChainSpec, Evidence, MARK, ValidatorSpec, addresses,
    evidence::{Pair, Vote},
    staking::{LOCAL_STAKE, possession_message},
};

use super::{Staking, ed25519::signing::sign};
use crate::{
    Result,
    testing::{MemoryHost, spec},
};

/// Operators, and payout accounts, of the validators of genesis, in their order.
pub(super) const OPERATORS: [Address; 3] = [
    Address::repeat_byte(0xa1),
    Address::repeat_byte(0xa2),
    Address::repeat_byte(0xa3),
];
pub(super) const ALICE: Address = Address::repeat_byte(0xd1);
pub(super) const BOB: Address = Address::repeat_byte(0xd2);
pub(super) const REPORTER: Address = Address::repeat_byte(0xe1);
/// Runs a validator in some stories.
pub(super) const NEWCOMER: Address = Address::repeat_byte(0xb1);
pub(super) const PAYOUT: Address = Address::repeat_byte(0xb2);
/// Pays for blocks.
const TIPPER: Address = Address::repeat_byte(0xf1);
pub(super) const EPOCH: u64 = 16;

pub(super) fn wei(mark: u128) -> U256 {
    U256::from(mark * MARK)
}

/// Seed of the key of the validator of genesis with this number.
pub(super) fn seed(number: u64) -> [u8; 32] {
    [u8::try_from(number).unwrap(); 32]
}

pub(super) fn key(seed: [u8; 32]) -> B256 {
    sign(&seed, b"").0.into()
}

pub(super) struct World {
    pub(super) spec: ChainSpec,
    pub(super) host: MemoryHost,
}

impl World {
    pub(super) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(super) fn with(edit: impl FnOnce(&mut ChainSpec)) -> Self {
        let people = [ALICE, BOB, REPORTER, NEWCOMER];
        let mut spec = spec(&[&people[..], &OPERATORS[..]].concat());
        spec.validators = (1..=3)
            .zip(OPERATORS)
            .map(|(number, operator)| ValidatorSpec::local(key(seed(number)).0, operator))
            .collect();
        spec.alloc.insert(TIPPER, wei(1_000_000_000_000));
        spec.staking.epoch_blocks = EPOCH;
        spec.staking.max_validators = 3;
        edit(&mut spec);
        spec.check().unwrap();
        let mut host = MemoryHost::new(&spec);
        host.block_number = 1;
        Self { spec, host }
    }

    pub(super) fn pay<C: SolCall>(
        &mut self,
        from: Address,
        value: U256,
        call: C,
    ) -> Result<C::Return> {
        let answer = self
            .host
            .call(from, addresses::STAKING, value, &call.abi_encode())?;
        self.check_money();
        Ok(C::abi_decode_returns_validate(&answer).unwrap())
    }

    pub(super) fn act<C: SolCall>(&mut self, from: Address, call: C) -> Result<C::Return> {
        self.pay(from, U256::ZERO, call)
    }

    /// Ends the block, in which `tips` came in as priority fees.
    pub(super) fn block_with(&mut self, tips: U256) {
        self.host.plain_transfer(TIPPER, addresses::STAKING, tips);
        self.host.next_block(250).unwrap();
        self.check_money();
    }

    /// Goes on to the first block of the next epoch.
    pub(super) fn next_epoch(&mut self) {
        loop {
            self.block_with(U256::ZERO);
            if self.host.block_number % EPOCH == 0 {
                return;
            }
        }
    }

    pub(super) fn epochs(&mut self, count: u64) {
        for _ in 0..count {
            self.next_epoch();
        }
    }

    pub(super) fn epoch(&self) -> u64 {
        self.host.block_number / EPOCH
    }

    pub(super) fn delegate(&mut self, from: Address, validator: u64, amount: U256) -> Result<U256> {
        self.pay(from, amount, IStaking::delegateCall { validator })
    }

    pub(super) fn undelegate(&mut self, from: Address, validator: u64, shares: U256) -> Result<()> {
        self.act(from, IStaking::undelegateCall { validator, shares })
            .map(|_| ())
    }

    /// Takes out everything that `from` has behind a validator.
    pub(super) fn undelegate_all(&mut self, from: Address, validator: u64) {
        let shares = self.shares(validator, from);
        self.undelegate(from, validator, shares).unwrap();
    }

    pub(super) fn withdraw(&mut self, from: Address) -> Result<U256> {
        self.act(from, IStaking::withdrawCall {})
    }

    pub(super) fn bond_call(&self, operator: Address, seed: [u8; 32]) -> IStaking::bondCall {
        let message = possession_message(self.spec.chain_id, operator);
        let (public_key, possession) = sign(&seed, &message);
        IStaking::bondCall {
            publicKey: public_key.into(),
            possession: possession.to_vec().into(),
            payout: PAYOUT,
            commissionBps: 1_000,
            p2p: "node.example.org:4000".to_owned(),
        }
    }

    pub(super) fn bond(&mut self, operator: Address, seed: [u8; 32], stake: U256) -> Result<u64> {
        let call = self.bond_call(operator, seed);
        self.pay(operator, stake, call)
    }

    pub(super) fn get(&mut self, validator: u64) -> IStaking::Validator {
        self.act(ALICE, IStaking::getCall { validator }).unwrap()
    }

    pub(super) fn shares(&mut self, validator: u64, account: Address) -> U256 {
        self.act(ALICE, IStaking::positionCall { validator, account })
            .unwrap()
            .shares
    }

    pub(super) fn worth(&mut self, validator: u64, account: Address) -> U256 {
        self.act(ALICE, IStaking::positionCall { validator, account })
            .unwrap()
            .worth
    }

    pub(super) fn free(&mut self, account: Address) -> U256 {
        self.act(ALICE, IStaking::accountCall { account })
            .unwrap()
            .free
    }

    pub(super) fn exits(&mut self, account: Address) -> Vec<IStaking::Exit> {
        let (offset, limit) = (U256::ZERO, U256::MAX);
        let call = IStaking::exitsCall {
            account,
            offset,
            limit,
        };
        self.act(ALICE, call).unwrap()
    }

    /// Numbers of the validators of an epoch, in the set's order.
    pub(super) fn set(&mut self, epoch: u64) -> Vec<u64> {
        let (offset, limit) = (U256::ZERO, U256::MAX);
        let call = IStaking::setCall {
            epoch,
            offset,
            limit,
        };
        let members = self.act(ALICE, call).unwrap();
        members.iter().map(|member| member.validator).collect()
    }

    pub(super) fn report(&mut self, from: Address, evidence: &Evidence) -> Result<U256> {
        let evidence = evidence.encode().into();
        self.act(from, IStaking::submitEvidenceCall { evidence })
    }

    /// Evidence that the key of `seed` voted twice in `epoch`, signed as a validator signs.
    pub(super) fn evidence(&self, seed: [u8; 32], epoch: u64, kind: u8) -> Evidence {
        let vote = |number: u8| Vote {
            parent_view: 8,
            block: B256::repeat_byte(number),
            signature: [0; 64],
        };
        let pair = match kind {
            1 => Pair::Notarize(vote(1), vote(2)),
            2 => Pair::Finalize(vote(1), vote(2)),
            _ => Pair::NullifyFinalize([0; 64], vote(2)),
        };
        let mut evidence = Evidence {
            epoch,
            view: 300,
            public_key: key(seed).0,
            pair,
        };
        self.sign(seed, &mut evidence);
        evidence
    }

    /// Signs both votes.
    pub(super) fn sign(&self, seed: [u8; 32], evidence: &mut Evidence) {
        let [first, second] = evidence
            .signed(self.spec.hash())
            .map(|(message, _)| sign(&seed, &message).1);
        match &mut evidence.pair {
            Pair::Notarize(a, b) | Pair::Finalize(a, b) => {
                (a.signature, b.signature) = (first, second);
            }
            Pair::NullifyFinalize(a, b) => (*a, b.signature) = (first, second),
        }
    }

    /// Money is conserved and covers what is owed.
    #[track_caller]
    pub(super) fn check_money(&mut self) {
        assert_eq!(self.host.total_balance(), self.spec.issued());
        let owed = Staking::new().liabilities.read(&mut self.host).unwrap();
        assert!(self.host.balance_of(addresses::STAKING) >= U256::from(owed));
    }

    /// Liabilities are the sum of everything that is recorded for anybody.
    #[track_caller]
    pub(super) fn check_books(&mut self, holders: &[Address]) {
        let this = Staking::new();
        let host = &mut self.host;
        let mut sum = 0u128;
        let now = host.block_number / EPOCH;
        for number in 1..=this.validator_count.read(host).unwrap() {
            let validator = this.validators.at(number);
            sum += validator.pool.amount.read(host).unwrap();
            let mut shares = U256::ZERO;
            for holder in holders {
                shares += validator.positions.at(*holder).read(host).unwrap();
            }
            assert_eq!(shares, validator.pool.shares.read(host).unwrap());
            for epoch in 0..=now {
                sum += validator.exits.at(epoch).pool.amount.read(host).unwrap();
            }
        }
        for holder in holders {
            sum += this.accounts.at(*holder).free.read(host).unwrap();
        }
        assert_eq!(sum, this.liabilities.read(host).unwrap());
    }
}

/// The stake of each validator of genesis.
pub(super) fn genesis_stake() -> U256 {
    U256::from(LOCAL_STAKE)
}
