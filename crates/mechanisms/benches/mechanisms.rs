//! One epoch of each mechanism on one core, maths alone:
//! `cargo bench -p hallmark-mechanisms`.

#[path = "../tests/common/literal.rs"]
mod literal;

use divan::{Bencher, black_box};
use hallmark_fixed::Q64;
use hallmark_mechanisms::synthesis::{self, Consensus, Predictions, Report};
use hallmark_mechanisms::wire;
use hallmark_mechanisms::yuma::{self, Epoch, LiquidAlpha, Row, State, Version};

fn main() {
    divan::main();
}

/// A linear congruential generator: the same inputs in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    /// A number in −1..1.
    fn signed(&mut self) -> Q64 {
        Q64::from_ratio(u128::from(self.below(2_000_001)), 1_000_000) - Q64::ONE
    }
}

/// A topic in its third epoch: every validator weighs every worker.
struct Topic {
    params: yuma::Params,
    stake: Vec<u128>,
    blocks: Vec<u64>,
    registered: Vec<u64>,
    weights: Vec<Row>,
    state: State,
}

impl Topic {
    fn new(slots: u16, validators: u16, version: Version, liquid: bool) -> Topic {
        let mut numbers = Numbers(1);
        let count = usize::from(slots);
        let mut row = || {
            (validators..slots)
                .map(|j| (j, numbers.below(65_536) as u16))
                .collect()
        };
        let mut weights: Vec<Row> = (0..validators).map(|_| row()).collect();
        weights.resize(count, Row::new());
        let mut topic = Topic {
            params: yuma::Params {
                version,
                bonds_penalty: 0,
                bonds_moving_average: 975_000,
                liquid_alpha: liquid.then_some(LiquidAlpha {
                    low: 45_875,
                    high: 58_982,
                    steepness: 1_000,
                }),
                max_validators: usize::from(validators),
                ..yuma::Params::default()
            },
            stake: (0..slots)
                .map(|i| {
                    if i < validators {
                        u128::from(numbers.below(1 << 40))
                    } else {
                        0
                    }
                })
                .collect(),
            blocks: vec![900; count],
            registered: vec![0; count],
            weights,
            state: State::empty(count),
        };
        topic.state.permits = (0..slots).map(|i| i < validators).collect();
        for _ in 0..2 {
            topic.state = topic.settled();
        }
        topic
    }

    fn epoch(&self) -> Epoch<'_> {
        Epoch {
            block: 1_000,
            last_step_block: 640,
            stake: &self.stake,
            last_update: &self.blocks,
            registered: &self.registered,
            weights: &self.weights,
            commitments: &[],
        }
    }

    fn settled(&self) -> State {
        let mut state = self.state.clone();
        let epoch = self.epoch();
        black_box(yuma::settle(&self.params, black_box(&epoch), &mut state)).unwrap();
        state
    }
}

const SIZES: [(u16, u16); 5] = [(256, 64), (512, 64), (1024, 64), (4096, 64), (4096, 256)];

#[divan::bench(args = SIZES, min_time = 1)]
fn yuma_two(bencher: Bencher, (slots, validators): (u16, u16)) {
    let topic = Topic::new(slots, validators, Version::Two, false);
    bencher.bench_local(|| topic.settled());
}

#[divan::bench(args = SIZES, min_time = 1)]
fn yuma_three(bencher: Bencher, (slots, validators): (u16, u16)) {
    let topic = Topic::new(slots, validators, Version::Three, false);
    bencher.bench_local(|| topic.settled());
}

#[divan::bench(args = SIZES, min_time = 1)]
fn yuma_three_liquid_alpha(bencher: Bencher, (slots, validators): (u16, u16)) {
    let topic = Topic::new(slots, validators, Version::Three, true);
    bencher.bench_local(|| topic.settled());
}

/// The peer of the same run: the same steps read literally, over square matrices of all slots. Larger sizes
/// take gigabytes.
#[divan::bench(args = [(256, 64), (512, 64), (1024, 64)], min_time = 1)]
fn yuma_three_liquid_alpha_read_literally(bencher: Bencher, (slots, validators): (u16, u16)) {
    let topic = Topic::new(slots, validators, Version::Three, true);
    let epoch = topic.epoch();
    bencher.bench_local(|| {
        literal::reference(&topic.params, black_box(&epoch), &topic.state)
            .dividends
            .len()
    });
}

/// The same for version 2.
#[divan::bench(args = [(256, 64), (512, 64), (1024, 64)], min_time = 1)]
fn yuma_two_read_literally(bencher: Bencher, (slots, validators): (u16, u16)) {
    let topic = Topic::new(slots, validators, Version::Two, false);
    let epoch = topic.epoch();
    bencher.bench_local(|| {
        literal::reference(&topic.params, black_box(&epoch), &topic.state)
            .dividends
            .len()
    });
}

/// The same as a contract does it: payloads and memory are decoded, memory and explanation encoded.
#[divan::bench(args = [(256, 64), (1024, 64)], min_time = 1)]
fn yuma_three_liquid_alpha_in_bytes(bencher: Bencher, (slots, validators): (u16, u16)) {
    let topic = Topic::new(slots, validators, Version::Three, true);
    let limits = wire::Limits {
        workers: slots,
        ..wire::Limits::default()
    };
    let params = wire::Params::Yuma(yuma::Params {
        activity_cutoff: 5_000,
        ..topic.params.clone()
    });
    let params = params.encode();
    let payloads: Vec<Vec<u8>> = topic
        .weights
        .iter()
        .map(|row| wire::encode_weights(row))
        .collect();
    let entry = |slot: u16| wire::Entry {
        slot,
        role: wire::Role::Worker,
        stake: topic.stake[usize::from(slot)],
        registered_ms: 0,
        submitted_ms: 900,
        fresh: true,
        paid: true,
        payload: (slot < validators).then(|| &payloads[usize::from(slot)][..]),
        proven: None,
    };
    let entries: Vec<wire::Entry<'_>> = (0..slots).map(entry).collect();
    let ctx = wire::Ctx {
        now_ms: 1_000,
        last_settled_ms: 640,
        epoch_ms: 360,
    };
    let settle = |memory: &[u8]| {
        let kind = wire::Kind::Yuma;
        wire::settle(kind, &params, &limits, memory, &[], &ctx, &entries).unwrap()
    };
    let memory = settle(&settle(&[]).memory).memory;
    bencher.bench_local(|| settle(black_box(&memory)));
}

/// A topic of synthesis with every one-out, in its third epoch.
fn synthesis_epoch(
    params: &synthesis::Params,
    state: &synthesis::State,
    numbers: &mut Numbers,
) -> synthesis::State {
    let mut state = state.clone();
    let layout = state.layout;
    let predictions = Predictions {
        inferences: (0..layout.inferers)
            .map(|_| Some(numbers.signed()))
            .collect(),
        forecasts: (0..layout.forecasters)
            .map(|_| {
                (0..layout.inferers)
                    .map(|_| Some(numbers.signed()))
                    .collect()
            })
            .collect(),
    };
    let inferences = synthesis::infer(params, &mut state, &predictions).unwrap();
    let reports: Vec<Report> = (0..state.listening.len())
        .map(|_| Report {
            stake: u128::from(numbers.below(1 << 40)) + 1,
            losses: inferences
                .values
                .iter()
                .map(|v| v.map(|_| numbers.signed()))
                .collect(),
        })
        .collect();
    black_box(synthesis::settle(params, &mut state, &inferences, &reports)).unwrap();
    state
}

#[divan::bench(args = [(5, 3, 5), (32, 6, 6)], min_time = 1)]
fn synthesis(bencher: Bencher, sizes: (usize, usize, usize)) {
    synthesis_by(bencher, sizes, Consensus::Mean);
}

/// As a topic on a chain does it.
#[divan::bench(args = [(5, 3, 5), (32, 6, 6)], min_time = 1)]
fn synthesis_by_the_median(bencher: Bencher, sizes: (usize, usize, usize)) {
    synthesis_by(bencher, sizes, Consensus::Median);
}

fn synthesis_by(
    bencher: Bencher,
    (inferers, forecasters, reputers): (usize, usize, usize),
    consensus: Consensus,
) {
    let params = synthesis::Params {
        consensus,
        ..synthesis::Params::default()
    };
    let mut numbers = Numbers(2);
    let mut state = synthesis::State::new(inferers, forecasters, reputers);
    for _ in 0..2 {
        state = synthesis_epoch(&params, &state, &mut numbers);
    }
    bencher.bench_local(|| synthesis_epoch(&params, &state, &mut Numbers(3)));
}
