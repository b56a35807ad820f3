//! A Yuma topic whose epochs follow each other.
#![allow(dead_code)]

use hallmark_fixed::Q32;
use hallmark_mechanisms::WHOLE;
use hallmark_mechanisms::yuma::{Epoch, Error, Outcome, Params, Row, State, settle};

/// A topic whose slots registered at block 0 and sent their weights one block before each epoch.
#[derive(Debug)]
pub struct Topic {
    pub params: Params,
    pub stake: Vec<u128>,
    pub weights: Vec<Row>,
    pub state: State,
    pub block: u64,
}

impl Topic {
    /// The first `validators` slots have permits and these stakes; `workers` more have none.
    pub fn new(params: Params, stake: &[u128], workers: usize) -> Topic {
        let slots = stake.len() + workers;
        let mut topic = Topic {
            params: Params {
                max_validators: stake.len(),
                ..params
            },
            stake: stake.to_vec(),
            weights: vec![Row::new(); slots],
            state: State::empty(slots),
            block: 1_000,
        };
        topic.stake.resize(slots, 0);
        topic.state.permits[..stake.len()].fill(true);
        topic
    }

    /// Every validator weighs the workers like this.
    pub fn all_weigh(mut self, row: &[(u16, u16)]) -> Topic {
        let validators = self.params.max_validators;
        self.weights[..validators].fill(row.to_vec());
        self
    }

    pub fn try_epoch(&mut self) -> Result<Outcome, Error> {
        let slots = self.stake.len();
        self.block += 1;
        let outcome = settle(
            &self.params,
            &Epoch {
                block: self.block,
                last_step_block: self.block - 2,
                stake: &self.stake,
                last_update: &vec![self.block - 1; slots],
                registered: &vec![0; slots],
                weights: &self.weights,
                commitments: &[],
            },
            &mut self.state,
        )?;
        let shares: u64 = outcome.settlement.shares.iter().sum();
        assert!(shares == WHOLE || shares == 0, "shares sum to {shares}");
        Ok(outcome)
    }

    pub fn epoch(&mut self) -> Outcome {
        self.try_epoch().unwrap()
    }

    /// Bonds of all validators to one worker.
    pub fn column(&self, worker: u16) -> Vec<u16> {
        let bond = |row: &Row| row.iter().find(|b| b.0 == worker).map_or(0, |b| b.1);
        self.state.bonds[..self.params.max_validators]
            .iter()
            .map(bond)
            .collect()
    }
}

/// Sixteen-bit proportions.
pub fn parts(values: &[Q32]) -> Vec<u16> {
    values
        .iter()
        .map(|value| value.to_u16_proportion())
        .collect()
}

/// What the four validators of the source's test of bonds weigh.
pub const FOUR: [(u16, u16); 4] = [(4, 16_383), (5, 32_767), (6, 49_149), (7, 65_535)];
