//! Self-dealing: one party owns the topic, every slot, and a part of the security stake.

use hallmark_fixed::Q64;
use hallmark_mechanisms::emission::topic_payout;

/// Parts of a payout in hundredths: owner, network security, mechanism.
const SPLIT: [u128; 3] = [10, 20, 70];

/// What comes back of `burned`, in ten-thousandths, to the owner of the topic and all its slots with
/// `hundredths` of the security stake.
fn back(multiple: Q64, security: Q64, burned: u128) -> u128 {
    // The best case for the attacker: emission without end, and no other topic.
    let paid = topic_payout(u128::MAX >> 2, 1, 1, burned, multiple, 0);
    let [owner, network, mechanism] = SPLIT.map(|part| paid * part / 100);
    (owner + mechanism + security.part_of(network)) * 10_000 / burned
}

#[test]
fn self_dealing_loses_at_099_whoever_holds_the_stake_and_pays_at_12_above_a_sixth() {
    println!(
        "\n| part of the security stake | back of 1 burned at 0.99 (here) | at 1.2 (anchor) |\n\
         |---|---|---|"
    );
    let burned = 10u128.pow(24);
    let (ours, anchor) = (Q64::from_ratio(99, 100), Q64::from_ratio(12, 10));
    for (numerator, denominator) in [(0, 1), (1, 10), (1, 6), (1, 5), (1, 3), (1, 2), (1, 1)] {
        let security = Q64::from_ratio(numerator, denominator);
        let [here, there] = [ours, anchor].map(|multiple| back(multiple, security, burned));
        println!(
            "| {numerator}/{denominator} | {:.3} | {:.3} |",
            here as f64 / 10_000.0,
            there as f64 / 10_000.0
        );
        assert!(here <= 9_900);
        assert_eq!(
            there > 10_000,
            numerator * 6 > denominator,
            "{numerator}/{denominator}"
        );
    }
}
