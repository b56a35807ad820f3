//! What an epoch pays out of burned coin, to the wei, where neither the bond nor the burned coin bounds it:
//! emission is 0.01 MARK a second, an epoch 20 s.

use alloy_primitives::U256;
use alloy_sol_types::SolEvent;
use hallmark_abi::{
    ITopics,
    topics::ITopics::{Kind, Stage},
};
use hallmark_types::{MARK, addresses};

use super::{FEE, OWNER, World, actor, commitment, only, salt, wei, weights, yuma_policy};

/// Emission in one second.
const RATE: u128 = MARK / 100;
/// The row of the only validator: workers 2 and 3.
const ROW: [(u16, &[(u16, u16)]); 1] = [(0, &[(2, 3), (3, 1)])];

impl World {
    /// A chain of little emission, with `cap` for all time.
    fn thin(rate: u128, cap: u128) -> Self {
        Self::empty(|spec| {
            spec.topics.emission_per_second = wei(rate);
            spec.topics.emission_cap = wei(cap);
        })
    }

    /// A topic in which slot 0 judges, after its first epoch, with income that bounds nothing.
    fn judged_by_one(&mut self) {
        self.topic = self.create(yuma_policy(), only(Kind::Yuma)).unwrap();
        self.workers(4);
        self.stake(actor(0), 0, 60 * MARK).unwrap();
        self.yuma_epoch(&[]);
    }

    /// Everything of one kind that the contract ever told.
    fn told<E: SolEvent>(&self) -> Vec<E> {
        let logs = self.host.logs().iter();
        logs.filter(|(from, _)| *from == addresses::TOPICS)
            .filter_map(|(_, log)| E::decode_log_data(log).ok())
            .collect()
    }

    /// What the mechanisms of the topic's latest epoch paid, all told.
    fn latest_pay(&mut self) -> u128 {
        let (topic, epoch) = (self.topic, self.get().epoch - 1);
        let settled = self.told::<ITopics::Settled>();
        let of_epoch = settled
            .iter()
            .filter(|e| (e.topic, e.epoch) == (topic, epoch));
        of_epoch.map(|e| e.pay).sum()
    }

    /// Milliseconds for which the latest epoch is paid.
    fn paid_ms(&mut self) -> u64 {
        let (topic, epoch) = (self.topic, self.get().epoch - 1);
        let now = self.ask(ITopics::epochInfoCall { topic, epoch });
        let epoch = epoch - 1;
        let before = self.ask(ITopics::epochInfoCall { topic, epoch });
        let earliest = now.openedAtMs - yuma_policy().epochMs;
        now.settledAtMs - before.settledAtMs.max(earliest)
    }
}

#[test]
fn an_epoch_pays_the_emission_of_its_time_and_each_route_its_part() {
    let mut world = World::thin(RATE, 1_000_000 * MARK);
    world.judged_by_one();
    world.fund(500 * MARK);
    let treasury = world.host.balance_of(world.spec.treasury);
    assert_eq!(world.yuma_epoch(&ROW), Stage::Done);
    assert_eq!(world.paid_ms(), 20_000);
    assert_eq!(world.latest_pay(), MARK / 5);
    let to_treasury = world.host.balance_of(world.spec.treasury) - treasury;
    assert_eq!(to_treasury, wei(MARK / 25), "a fifth");
    assert_eq!(world.balances(OWNER).free, wei(MARK / 50), "a tenth");
    let rest = MARK / 5 - MARK / 25 - MARK / 50;
    let mut all = 0;
    for slot in 0..4 {
        let share = u128::from(world.slot(slot).shareBillionths);
        let earned = rest * share / 1_000_000_000;
        assert_eq!(world.balances(actor(slot)).free, wei(earned), "slot {slot}");
        all += earned;
    }
    assert!((rest - 3..=rest).contains(&all), "{all}");
    let paid = world.get().paid;
    assert_eq!(paid, all + MARK / 25 + MARK / 50);
    assert_eq!(world.ask(ITopics::paramsCall {}).emitted, paid);
}

#[test]
fn a_topic_that_rested_is_paid_for_one_epoch_and_not_for_its_rest() {
    let after = |rest: u64| {
        let mut world = World::thin(RATE, 1_000_000 * MARK);
        world.judged_by_one();
        world.fund(500 * MARK);
        world.wait(rest);
        world.yuma_epoch(&ROW);
        world.latest_pay()
    };
    assert_eq!(after(0), MARK / 5);
    assert_eq!(after(10_000), MARK / 10 * 3);
    assert_eq!(after(20_000), MARK / 10 * 4);
    assert_eq!(after(3_600_000), MARK / 10 * 4);
    assert_eq!(after(30 * 86_400_000), MARK / 10 * 4);
}

#[test]
fn two_topics_share_the_emission_by_weight() {
    let mut world = World::thin(RATE, 1_000_000 * MARK);
    world.judged_by_one();
    let first = world.topic;
    world.judged_by_one();
    let second = world.topic;
    assert_eq!(world.get().weight, 0);
    let mut last = 0;
    for round in 0..4u128 {
        // With the fee of the commitment, 100 and 400 MARK in the first round.
        for (topic, income) in [(first, 99 + round), (second, 399)] {
            world.topic = topic;
            world.fund(income * MARK);
            assert_eq!(world.yuma_epoch(&ROW), Stage::Done);
            let total = super::Topics::new().total_weight;
            let total = total.read(&mut world.host).unwrap();
            let weight = world.get().weight;
            let emission = RATE * u128::from(world.paid_ms()) / 1_000;
            let part = U256::from(emission) * U256::from(weight) / U256::from(total);
            assert_eq!(wei(world.latest_pay()), part, "round {round}");
            if round == 0 && topic == first {
                assert_eq!(total, weight, "nobody else");
                // √((60 + 4 · 20) · 100) MARK, a tenth of it.
                let mean = 11_832_159_566 * 10u128.pow(9);
                assert!(weight.abs_diff(mean) < 10u128.pow(9), "{weight} {mean}");
            }
            if round == 0 && topic == second {
                // Four times the burned coin is twice the weight: two thirds.
                let two_thirds = emission * 2 / 3;
                assert!(world.latest_pay().abs_diff(two_thirds) < 1_000);
            }
            last = world.latest_pay();
        }
    }
    assert!(last > 0);
}

#[test]
fn emission_halves_each_time_half_of_the_rest_is_paid() {
    let mut world = World::thin(RATE, MARK);
    world.judged_by_one();
    world.fund(500 * MARK);
    // In 1/10000 MARK: 0.2 until half of the cap, 0.1 until three quarters, and so on.
    for pay in [2_000, 2_000, 2_000, 1_000, 1_000, 500, 500, 250, 250, 125] {
        world.yuma_epoch(&ROW);
        assert_eq!(world.latest_pay(), MARK / 10_000 * pay);
    }
}

#[test]
fn nothing_is_emitted_beyond_the_cap() {
    let mut world = World::thin(10 * MARK, MARK);
    world.judged_by_one();
    world.fund(500 * MARK);
    world.yuma_epoch(&ROW);
    assert_eq!(
        world.latest_pay(),
        MARK,
        "all that there is, and no second of it more"
    );
    for _ in 0..5 {
        world.yuma_epoch(&ROW);
        assert!(world.latest_pay() < 10, "what rounding left");
    }
    let emitted = world.ask(ITopics::paramsCall {}).emitted;
    assert!((MARK - 10..=MARK).contains(&emitted), "{emitted}");
}

#[test]
fn pay_follows_the_parts_of_a_topics_mechanisms() {
    let mut world = World::thin(RATE, 1_000_000 * MARK);
    let mut both = [only(Kind::Yuma), only(Kind::Yuma)].concat();
    both[0].shareBps = 7_000;
    both[1].shareBps = 3_000;
    world.topic = world.create(yuma_policy(), both).unwrap();
    world.workers(4);
    world.stake(actor(0), 0, 60 * MARK).unwrap();
    world.yuma_epoch(&[]);
    world.fund(500 * MARK);
    world.reach(Stage::Open);
    let rows = [weights(&[(2, 1)]), weights(&[(3, 1)])];
    let (epoch, topic) = (world.get().epoch, world.topic);
    for (mechanism, row) in (0u8..).zip(&rows) {
        let to = (world.spec.chain_id, topic, epoch, mechanism, 0, actor(0));
        let call = ITopics::commitCall {
            topic,
            epoch,
            mechanism,
            slot: 0,
            commitment: commitment(to, salt(0), row),
        };
        world.pay(actor(0), FEE, call).unwrap();
    }
    world.reach(Stage::Reveal);
    for (mechanism, row) in (0u8..).zip(&rows) {
        let call = ITopics::revealCall {
            topic,
            epoch,
            mechanism,
            slot: 0,
            salt: salt(0),
            payload: row.clone().into(),
        };
        world.act(actor(0), call).unwrap();
    }
    assert_eq!(world.settle(), Stage::Done);
    let settled = world.told::<ITopics::Settled>();
    let [first, second] = &settled[settled.len() - 2..] else {
        panic!()
    };
    assert_eq!((first.mechanism, first.pay), (0, MARK / 50 * 7));
    assert_eq!((second.mechanism, second.pay), (1, MARK / 50 * 3));
    assert!(first.shares[2] > 0 && first.shares[3] == 0);
    assert!(second.shares[3] > 0 && second.shares[2] == 0);
    // Three tenths of each go to the house.
    let rest = |pay: u128| pay - pay / 10 * 3;
    for slot in 0..4u16 {
        let earned: u128 = [first, second]
            .iter()
            .map(|e| rest(e.pay) * u128::from(e.shares[usize::from(slot)]) / 1_000_000_000)
            .sum();
        assert_eq!(world.balances(actor(slot)).free, wei(earned), "slot {slot}");
    }
    let [two, three] = [2, 3].map(|slot| world.balances(actor(slot)).free);
    assert!(two * U256::from(3) == three * U256::from(7) || two > three * U256::from(2));
}
