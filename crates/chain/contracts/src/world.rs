//! A world for tests: a market with one published model, in one line.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use hallmark_abi::{
    IInference, IModels,
    inference::IInference::{Order, Status},
};
use hallmark_graph::{Builder, Constant, Elements, Input, Model, Range, Scale, Shape, TableSpec};
use hallmark_proof::{InputSecret, ProvingKey};
use hallmark_types::{ChainSpec, MARK, addresses, order_context};

use crate::{
    Claim, Result,
    models::model_id,
    testing::{MemoryHost, Verdicts, scripted_proof, spec},
};

pub(crate) const OWNER: Address = Address::repeat_byte(0xa1);
pub(crate) const BUYER: Address = Address::repeat_byte(0xb1);
pub(crate) const SELLER: Address = Address::repeat_byte(0xc1);
pub(crate) const RIVAL: Address = Address::repeat_byte(0xc2);
pub(crate) const STRANGER: Address = Address::repeat_byte(0xd1);
pub(crate) const ACTORS: [Address; 5] = [OWNER, BUYER, SELLER, RIVAL, STRANGER];

/// Not a multiple of 10,000, so that every split rounds.
pub(crate) const PRICE: u128 = 3 * MARK + 7;
pub(crate) const SHARE_BPS: u16 = 2_500;
pub(crate) const INPUT: [i32; 2] = [5, 2];

/// `y = clamp((100 (a - b + 3) + 8) >> 4, 0, 127)`.
pub(crate) fn model() -> Model {
    let scale = Scale {
        multiplier: 1,
        shift: 0,
    };
    let mut builder = Builder::new(vec![Input {
        shape: Shape(vec![1, 2]),
        range: Range { lo: -8, hi: 8 },
        scale,
    }]);
    let weights = Constant {
        elements: Elements::I8(vec![1, -1]),
        multipliers: vec![100],
    };
    let weights = builder.constant(Shape(vec![2, 1]), weights).unwrap();
    let v = builder.matmul(0, weights, 0, 1).unwrap();
    let v = builder.combine(&[(v, 1)], 300).unwrap();
    let table = TableSpec::Clamp {
        bits: 12,
        lo: 0,
        hi: 127,
    };
    let y = builder.lookup(v, 4, table).unwrap();
    builder.output(y, scale).unwrap();
    builder.finish().unwrap()
}

pub(crate) fn wei(amount: u128) -> U256 {
    U256::from(amount)
}

/// A buyer's secret; each order has its own.
pub(crate) fn secret(number: u8) -> InputSecret {
    InputSecret::from_bytes([number; 32])
}

pub(crate) struct World {
    pub(crate) spec: ChainSpec,
    pub(crate) host: MemoryHost,
    pub(crate) id: B256,
    pub(crate) model: Model,
    pub(crate) proving_key: ProvingKey,
}

impl World {
    /// A chain on which nothing is published.
    pub(crate) fn empty() -> Self {
        Self::empty_with(|_| ())
    }

    /// [`empty`](Self::empty), under other parameters.
    pub(crate) fn empty_with(edit: impl FnOnce(&mut ChainSpec)) -> Self {
        let mut spec = spec(&ACTORS);
        edit(&mut spec);
        let model = model();
        let proving_key = hallmark_proof::setup(&model).unwrap();
        let digest = B256::from(proving_key.verifying_key().digest());
        let host = MemoryHost::new(&spec);
        Self {
            spec,
            host,
            id: model_id(OWNER, digest),
            model,
            proving_key,
        }
    }

    /// A chain with the model published, old enough to be claimed, and two sellers' deposits.
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    /// [`new`](Self::new), under other parameters.
    pub(crate) fn with(edit: impl FnOnce(&mut ChainSpec)) -> Self {
        let mut world = Self::empty_with(edit);
        world.publish();
        for _ in 0..2 {
            world.host.next_block(1_000).unwrap();
        }
        for seller in [SELLER, RIVAL] {
            world
                .pay(seller, wei(100 * MARK), IInference::depositCall {})
                .unwrap();
        }
        world
    }

    pub(crate) fn key(&self) -> Vec<u8> {
        self.proving_key.verifying_key().encode()
    }

    pub(crate) fn begin(&self) -> IModels::beginCall {
        IModels::beginCall {
            digest: self.proving_key.verifying_key().digest().into(),
            keySize: u32::try_from(self.key().len()).unwrap(),
            contentHash: B256::repeat_byte(9),
            contentSize: 1234,
            price: PRICE,
            ownerShareBps: SHARE_BPS,
            name: "tiny".to_owned(),
            uri: "http://example.org/tiny.hmk".to_owned(),
        }
    }

    pub(crate) fn publish(&mut self) {
        let id = self.models(OWNER, self.begin()).unwrap();
        assert_eq!(id, self.id);
        let key = self.key();
        for (index, chunk) in key.chunks(40).enumerate() {
            let offset = u32::try_from(index * 40).unwrap();
            let chunk = Bytes::copy_from_slice(chunk);
            self.models(OWNER, IModels::uploadCall { id, offset, chunk })
                .unwrap();
        }
        self.models(OWNER, IModels::finishCall { id }).unwrap();
    }

    pub(crate) fn raw<C: SolCall>(
        &mut self,
        from: Address,
        to: Address,
        value: U256,
        call: C,
    ) -> Result<C::Return> {
        let answer = self.host.call(from, to, value, &call.abi_encode())?;
        Ok(C::abi_decode_returns_validate(&answer).unwrap())
    }

    pub(crate) fn models<C: SolCall>(&mut self, from: Address, call: C) -> Result<C::Return> {
        self.raw(from, addresses::MODELS, U256::ZERO, call)
    }

    pub(crate) fn act<C: SolCall>(&mut self, from: Address, call: C) -> Result<C::Return> {
        self.raw(from, addresses::INFERENCE, U256::ZERO, call)
    }

    pub(crate) fn pay<C: SolCall>(
        &mut self,
        from: Address,
        value: U256,
        call: C,
    ) -> Result<C::Return> {
        self.raw(from, addresses::INFERENCE, value, call)
    }

    pub(crate) fn window(&self) -> u64 {
        self.spec.market.claim_window_ms
    }

    pub(crate) fn order_call(&self) -> IInference::orderCall {
        IInference::orderCall {
            model: self.id,
            level: 3,
            input: self.model.graph.encode_input(&INPUT).into(),
            deadlineMs: self.host.timestamp_ms + 3 * self.window(),
        }
    }

    /// An order of [`BUYER`], three windows before its deadline.
    pub(crate) fn order(&mut self) -> U256 {
        self.pay(BUYER, wei(PRICE), self.order_call()).unwrap()
    }

    /// An order of [`BUYER`] claimed by [`SELLER`].
    pub(crate) fn claimed(&mut self) -> U256 {
        let id = self.order();
        self.claim(SELLER, id).unwrap();
        id
    }

    /// Gives a seller a key for sealed orders.
    pub(crate) fn set_sealing_key(&mut self, seller: Address) {
        let key = B256::repeat_byte(0x25);
        self.act(seller, IInference::setSealingKeyCall { key })
            .unwrap();
    }

    /// An order of [`INPUT`] under secret `number`, sealed to these sellers.
    pub(crate) fn sealed_call(
        &self,
        number: u8,
        sellers: &[Address],
    ) -> IInference::orderSealedCall {
        let graph = &self.model.graph;
        let commitment = hallmark_proof::commit_input(graph, &INPUT, &secret(number)).unwrap();
        IInference::orderSealedCall {
            model: self.id,
            level: 3,
            commitment: commitment.into(),
            sellers: sellers.to_vec(),
            envelope: vec![0xee; 100].into(),
            deadlineMs: self.host.timestamp_ms + 3 * self.window(),
        }
    }

    /// A sealed order of [`BUYER`] under secret `number`.
    pub(crate) fn sealed_order(&mut self, number: u8, sellers: &[Address]) -> U256 {
        for seller in sellers {
            self.set_sealing_key(*seller);
        }
        let call = self.sealed_call(number, sellers);
        self.pay(BUYER, wei(PRICE), call).unwrap()
    }

    /// The right delivery of an order that is sealed under secret `number`.
    pub(crate) fn sealed_delivery(&mut self, id: U256, number: u8) -> IInference::deliverCall {
        let graph = &self.model.graph;
        let trace = hallmark_graph::reference::trace(&self.model, &INPUT).unwrap();
        let output = graph.join_output(&trace.values);
        let masked = hallmark_proof::mask_output(graph, &output, &secret(number)).unwrap();
        let order = self.get(id);
        let context = self.context(id);
        let proof = match self.host.verdicts {
            Verdicts::Scripted => {
                let digest = self.proving_key.verifying_key().digest().into();
                let claim = Claim::Private {
                    commitment: order.inputHash,
                    masked: &masked,
                };
                scripted_proof(digest, claim, context)
            }
            Verdicts::Real => {
                let (key, secret) = (&self.proving_key, secret(number));
                hallmark_proof::prove_private(key, &trace, &secret, &context.0).unwrap()
            }
        };
        IInference::deliverCall {
            id,
            output: hallmark_proof::encode_masked(&masked).into(),
            proof: proof.into(),
        }
    }

    pub(crate) fn claim(&mut self, seller: Address, id: U256) -> Result<()> {
        self.act(seller, IInference::claimCall { id }).map(|_| ())
    }

    pub(crate) fn context(&mut self, id: U256) -> B256 {
        let order = self.get(id);
        order_context(
            self.spec.chain_id,
            id,
            order.model,
            order.seller,
            order.anchor,
        )
    }

    /// The right delivery of an order, with a proof for its present claimant.
    pub(crate) fn delivery(&mut self, id: U256) -> IInference::deliverCall {
        let trace = hallmark_graph::reference::trace(&self.model, &INPUT).unwrap();
        let output = trace.values.last().unwrap().clone();
        let context = self.context(id);
        let proof = match self.host.verdicts {
            Verdicts::Scripted => {
                let digest = self.proving_key.verifying_key().digest().into();
                let claim = Claim::Public {
                    input: &INPUT,
                    output: &output,
                };
                scripted_proof(digest, claim, context)
            }
            Verdicts::Real => hallmark_proof::prove(&self.proving_key, &trace, &context.0).unwrap(),
        };
        IInference::deliverCall {
            id,
            output: self.model.graph.encode_output(&output).into(),
            proof: proof.into(),
        }
    }

    pub(crate) fn deliver(&mut self, seller: Address, id: U256) -> Result<()> {
        let call = self.delivery(id);
        self.act(seller, call).map(|_| ())
    }

    pub(crate) fn get(&mut self, id: U256) -> Order {
        self.act(STRANGER, IInference::getCall { id }).unwrap()
    }

    pub(crate) fn status(&mut self, id: U256) -> Status {
        self.get(id).status
    }

    pub(crate) fn deposit_of(&mut self, seller: Address) -> IInference::depositsReturn {
        self.act(STRANGER, IInference::depositsCall { seller })
            .unwrap()
    }

    pub(crate) fn liabilities(&mut self) -> U256 {
        self.act(STRANGER, IInference::liabilitiesCall {}).unwrap()
    }

    /// Moves header time without a sweep.
    pub(crate) fn wait(&mut self, ms: u64) {
        self.host.timestamp_ms += ms;
        self.host.block_number += 1;
    }

    /// Debts recomputed from every order and every actor's deposit.
    pub(crate) fn recomputed_liabilities(&mut self) -> U256 {
        let mut sum = U256::ZERO;
        let count = self.act(STRANGER, IInference::countCall {}).unwrap();
        for number in 1..=count.to::<u64>() {
            let order = self.get(U256::from(number));
            if matches!(order.status, Status::Open | Status::Claimed) {
                sum += U256::from(order.price);
            }
        }
        for actor in ACTORS {
            let deposit = self.deposit_of(actor);
            sum += deposit.free + deposit.locked;
        }
        sum
    }

    /// What must hold after every step.
    pub(crate) fn check_invariants(&mut self) {
        assert_eq!(
            self.host.total_balance(),
            self.spec.issued(),
            "money is conserved"
        );
        let owed = self.liabilities();
        assert_eq!(owed, self.recomputed_liabilities(), "debts are recorded");
        assert!(
            self.host.balance_of(addresses::INFERENCE) >= owed,
            "debts are covered"
        );
    }
}
