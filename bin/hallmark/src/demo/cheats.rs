//! The cheats: each claims a sealed order with a bond, lies in its own way, is refused for its own
//! reason, stays unpaid, and loses its bond when its window closes. One is refused before: the
//! order does not name it.

use super::world::{Party, World, key};
use crate::commands::Error;
use crate::output::{Reporter, mark};
use alloy_primitives::U256;
use hallmark_client::{
    Client, ClientError, Status,
    sealed::{Binding, Opened, envelope},
};
use hallmark_engine::Prepared;
use hallmark_graph::{Elements, Model};
use hallmark_proof::{Claim, InputSecret};
use hallmark_types::MARK;
use serde_json::{Value, json};
use std::time::Duration;

/// Longest wait for a sweep after a deadline.
const SWEEP_TIMEOUT: Duration = Duration::from_secs(30);

pub struct Cheat {
    name: &'static str,
    /// What the chain answered.
    reason: String,
    pub refused: bool,
}

impl Cheat {
    pub fn to_json(&self) -> Value {
        json!({ "name": self.name, "refused": self.refused, "reason": self.reason })
    }
}

/// How a delivery lies.
enum Lie {
    OutputChanged,
    OtherInput,
    OtherPad,
    OtherModel,
    FlippedByte,
    Replay,
    PublicProof,
    NotNamed,
    Vanish,
}

impl Lie {
    /// Whether the cheat gets as far as to hold the claim.
    fn claims(&self) -> bool {
        !matches!(self, Self::NotNamed)
    }
}

/// Plays every cheat; `paid` is an honest order whose delivery is copied.
pub async fn play(world: &World, paid: &U256, report: &Reporter) -> Result<Vec<Cheat>, Error> {
    report.say("\nthe cheats: each claims an order with a bond and lies in its own way\n");
    world.cheat.deposit(U256::from(10 * MARK)).await?;
    let public = world.cheat_keys.public();
    let registered = world.cheat.set_sealing_key(public).await?;
    // The buyer asks another validator for the key.
    let block = registered.block_number.unwrap_or_default();
    wait_block(&world.buyer, block).await?;
    let bonded = world
        .cheat
        .deposit_of(key(Party::Cheat).address())
        .await?
        .free;
    let window = world.spec.market.claim_window_ms;
    let lies = [
        ("an output changed", Lie::OutputChanged),
        ("a proof of another input", Lie::OtherInput),
        ("an answer that the buyer cannot open", Lie::OtherPad),
        ("a proof of another model", Lie::OtherModel),
        ("one flipped byte in the proof", Lie::FlippedByte),
        ("a replayed delivery", Lie::Replay),
        ("a proof that hides nothing", Lie::PublicProof),
        ("a seller that is not named", Lie::NotNamed),
        ("a seller that claims and vanishes", Lie::Vanish),
    ];
    let images = world.digits.test_images(lies.len() + 1);
    let mut played = Vec::new();
    for (i, (name, lie)) in lies.into_iter().enumerate() {
        // The replay needs an order of the very input whose answer it copies.
        let image = if matches!(lie, Lie::Replay) {
            &images[0]
        } else {
            &images[i + 1]
        };
        let input = hallmark_onnx::quantize(&world.model.graph, image.pixels)?;
        let deadline = world.buyer.now_ms().await? + 2 * window + 1_000;
        let named = if lie.claims() {
            Party::Cheat
        } else {
            Party::Seller
        };
        let placed = world.order_sealed(&input, &[named], deadline).await?;
        let order = placed.id;
        // The cheat talks to another validator, which may be a moment behind.
        wait_block(
            &world.cheat,
            placed.receipt.block_number.unwrap_or_default(),
        )
        .await?;
        let reason = if lie.claims() {
            world.cheat.claim(order).await?;
            deliver_lie(world, order, &lie, paid).await?
        } else {
            refusal(world.cheat.claim(order).await)?
        };
        if !matches!(lie, Lie::Vanish) {
            report.say(format!(
                "  {name:<36} {}",
                reason.as_deref().unwrap_or("WAS ACCEPTED")
            ));
        }
        played.push((name, order, reason, lie));
    }

    // Every window closes unserved: bonds are slashed, orders reopen, deadlines refund the buyer.
    let spinner = report.spinner("waiting for the windows to close");
    let mut cheats = Vec::new();
    let mut claims = 0u64;
    for (name, order, reason, lie) in played {
        let vanished = matches!(lie, Lie::Vanish);
        claims += u64::from(lie.claims());
        let end = wait_settled(world, order).await?;
        let refunded = end == Status::Refunded;
        let reason = match reason {
            Some(reason) => reason,
            None if vanished && refunded => {
                "bond slashed at the window's end, buyer refunded".to_owned()
            }
            None => "was accepted".to_owned(),
        };
        let accepted = reason == "was accepted";
        cheats.push(Cheat {
            name,
            reason,
            refused: refunded && !accepted,
        });
    }
    spinner.finish_and_clear();
    let deposit = world.cheat.deposit_of(key(Party::Cheat).address()).await?;
    let lost = bonded - deposit.free - deposit.locked;
    let every_bond = U256::from(claims) * U256::from(world.spec.market.min_bond);
    report.say(format!(
        "  {:<36} bond slashed when its window closed, buyer refunded\n  \
           {} orders refunded to the buyer; the cheat was paid nothing and lost {} MARK of bonds",
        "a seller that claims and vanishes",
        cheats.len(),
        mark(lost),
    ));
    if lost < every_bond || !deposit.locked.is_zero() {
        return Err(Error::new(format!(
            "the cheat lost {} MARK, less than its {} bonds",
            mark(lost),
            claims
        )));
    }
    Ok(cheats)
}

/// Input and secret of an order that names the cheat, as any seller finds them.
async fn open_envelope(world: &World, order: U256) -> Result<Opened, Error> {
    let record = world.cheat.get_order(order).await?;
    let binding = Binding {
        chain_id: world.cheat.chain_id(),
        model: record.model,
        buyer: record.buyer,
        commitment: record.input_hash,
        sellers: world.cheat.order_sellers(order).await?,
    };
    let bytes = world.cheat.order_input(order).await?;
    let find = |key: &[u8; 32]| world.cheat_keys.find(key);
    let (me, graph) = (key(Party::Cheat).address(), &world.model.graph);
    Ok(envelope::open(&bytes, &binding, me, find, graph)?)
}

/// Delivers the lie; the chain's reason, or `None` when nothing was refused.
async fn deliver_lie(
    world: &World,
    order: U256,
    lie: &Lie,
    paid: &U256,
) -> Result<Option<String>, Error> {
    let Opened { input, secret } = open_envelope(world, order).await?;
    let (graph, key) = (&world.model.graph, &world.proving);
    let context = world.cheat.order_context(order).await?.0;
    let prepared = Prepared::new(world.model.clone())?;
    let trace = hallmark_engine::trace(&prepared, &input)?;
    let honest = graph.join_output(&trace.values);
    let mask = |output: &[i32], secret: &InputSecret| {
        let masked = hallmark_proof::mask_output(graph, output, secret)?;
        Ok::<_, Error>(hallmark_proof::encode_masked(&masked))
    };
    let (output, proof) = match lie {
        Lie::OutputChanged => {
            // The two best classes swapped: another digit, with an honest proof of the true one.
            let mut changed = honest;
            let mut ranking: Vec<usize> = (0..changed.len()).collect();
            ranking.sort_by_key(|i| std::cmp::Reverse(changed[*i]));
            changed.swap(ranking[0], ranking[1]);
            let proof = hallmark_proof::prove_private(key, &trace, &secret, &context)?;
            (mask(&changed, &secret)?, proof)
        }
        Lie::OtherInput => {
            // The statement names the order's commitment; the witness ran on another input.
            let other: Vec<i32> = input.iter().rev().copied().collect();
            let trace = hallmark_engine::trace(&prepared, &other)?;
            let output = graph.join_output(&trace.values);
            let masked = hallmark_proof::mask_output(graph, &output, &secret)?;
            let claim = Claim {
                commitment: &hallmark_proof::commit_input(graph, &input, &secret)?,
                masked: &masked,
                context: &context,
            };
            let proof = hallmark_proof::prove_private_statement(key, &trace, &secret, claim)?;
            (hallmark_proof::encode_masked(&masked), proof)
        }
        Lie::OtherPad => {
            // An honest run of the right input, masked by a pad that the buyer does not know.
            let own = InputSecret::from_bytes([0xc4; 32]);
            let proof = hallmark_proof::prove_private(key, &trace, &own, &context)?;
            (mask(&honest, &own)?, proof)
        }
        Lie::OtherModel => {
            let other = perturbed(&world.model);
            let proving = hallmark_proof::setup(&other)?;
            let trace = hallmark_engine::trace(&Prepared::new(other)?, &input)?;
            let proof = hallmark_proof::prove_private(&proving, &trace, &secret, &context)?;
            (mask(&graph.join_output(&trace.values), &secret)?, proof)
        }
        Lie::FlippedByte => {
            let mut proof = hallmark_proof::prove_private(key, &trace, &secret, &context)?;
            let middle = proof.len() / 2;
            proof[middle] ^= 1;
            (mask(&honest, &secret)?, proof)
        }
        Lie::Replay => {
            let (output, proof) = world.cheat.delivery(*paid).await?;
            (output.to_vec(), proof.to_vec())
        }
        Lie::PublicProof => {
            let proof = hallmark_proof::prove(key, &trace, &context)?;
            (mask(&honest, &secret)?, proof)
        }
        // Nothing is delivered.
        Lie::NotNamed | Lie::Vanish => return Ok(None),
    };
    refusal(world.cheat.deliver(order, &output, &proof).await)
}

/// The chain's reason, before or after sending; `None` when nothing was refused.
fn refusal<T>(answer: Result<T, ClientError>) -> Result<Option<String>, Error> {
    match answer {
        Ok(_) => Ok(None),
        Err(ClientError::Refused(revert)) => Ok(Some(revert.to_string())),
        Err(ClientError::Reverted { reason, .. }) => Ok(Some(
            reason.map_or_else(|| "reverted".to_owned(), |r| r.to_string()),
        )),
        Err(other) => Err(other.into()),
    }
}

/// The same graph with one weight of the first layer changed: another model by its commitment.
fn perturbed(model: &Model) -> Model {
    let mut other = model.clone();
    for constant in &mut other.weights.constants {
        if let Elements::I8(w) = &mut constant.elements
            && let Some(w) = w.iter_mut().find(|w| **w > 1)
        {
            *w -= 1;
            break;
        }
    }
    other
}

/// Waits until the validator that a client talks to has finalized a block.
async fn wait_block(client: &Client, number: u64) -> Result<(), Error> {
    let reached = async {
        while client.block_number().await? < number {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok::<(), Error>(())
    };
    tokio::time::timeout(SWEEP_TIMEOUT, reached)
        .await
        .map_err(|_| Error::new(format!("a validator never reached block {number}")))?
}

/// Waits until the chain's own sweep has refunded the order.
async fn wait_settled(world: &World, order: U256) -> Result<Status, Error> {
    let deadline = world.buyer.get_order(order).await?.deadline_ms;
    let now = world.buyer.now_ms().await?;
    let limit = Duration::from_millis(deadline.saturating_sub(now)) + SWEEP_TIMEOUT;
    let waited = tokio::time::timeout(limit, async {
        loop {
            let order = world.buyer.get_order(order).await?;
            if order.status.is_final() {
                return Ok::<Status, Error>(order.status);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    waited
        .await
        .map_err(|_| Error::new(format!("order {order} was never settled")))?
}
