//! Balances before and after, and the proof that not a unit was lost.

use super::world::{Party, World, key};
use crate::commands::Error;
use crate::output::{Reporter, mark};
use alloy_primitives::{Address, U256};
use hallmark_types::addresses;

pub struct Books(Vec<(&'static str, U256)>);

impl Books {
    /// Balances over JSON-RPC, deposits at the contract included.
    pub async fn take(world: &World) -> Result<Self, Error> {
        let mut books = Vec::new();
        for (name, address, deposits) in accounts(world) {
            let mut amount = world.owner.balance(address).await?;
            if deposits {
                let deposit = world.owner.deposit_of(address).await?;
                amount += deposit.free + deposit.locked;
            }
            books.push((name, amount));
        }
        Ok(Self(books))
    }
}

fn accounts(world: &World) -> [(&'static str, Address, bool); 6] {
    [
        ("buyer", key(Party::Buyer).address(), false),
        ("seller (with deposit)", key(Party::Seller).address(), true),
        ("model owner", key(Party::Owner).address(), false),
        ("network treasury", world.spec.treasury, false),
        ("cheat (with deposit)", key(Party::Cheat).address(), true),
        ("burned", addresses::BURN, false),
    ]
}

pub fn table(before: &Books, after: &Books) -> String {
    let mut text = format!(
        "\n{:<24}{:>28}{:>28}\n",
        "balances in MARK", "before", "change"
    );
    for ((name, old), (_, new)) in before.0.iter().zip(&after.0) {
        let (sign, change) = if new >= old {
            ("+", new - old)
        } else {
            ("-", old - new)
        };
        text.push_str(&format!(
            "{name:<24}{:>28}{:>28}\n",
            mark(*old),
            format!("{sign}{}", mark(change))
        ));
    }
    text
}

/// On every running validator, the sum of all balances is what genesis issued.
pub fn conserved(world: &World, report: &Reporter) -> Result<bool, Error> {
    let issued = world.spec.issued();
    let mut all = true;
    for (i, store) in world.stores() {
        let head = store.head();
        let total = head.state.total_balance();
        all &= total == issued;
        report.say(format!(
            "validator {i}  block {:>5}  state root {}  all balances {} MARK of {} issued",
            head.block.number(),
            head.state.root(),
            mark(total),
            mark(issued),
        ));
    }
    Ok(all)
}
