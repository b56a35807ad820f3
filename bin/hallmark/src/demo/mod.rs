//! The main job, everything embedded: four validators, a published model, a seller, a buyer,
//! twenty proven inferences whose inputs and answers the chain never sees, the cheats, and the books
//! at the end.
//!
//! Nothing here is simulated: every party talks to a validator over JSON-RPC with an ordinary
//! Ethereum key, the validators talk to each other over encrypted connections on loopback, and
//! each has its own folder. What the demo does by hand is only what a person would: it starts
//! the parties, and it plays the cheats.

mod books;
mod cheats;
mod digits;
mod topics;
mod world;

use crate::cli::{DemoArgs, DemoCommand};
use crate::commands::{Error, block_on, stop_signal, write, zk};
use crate::output::{Reporter, mark};
use alloy_primitives::U256;
use books::Books;
use hallmark_client::{OrderReceipt, Status, receipt};
use hallmark_provider::{OrderOutcome, ProviderEvent};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use world::{Party, World};

/// Longest wait for one order.
const ORDER_TIMEOUT: Duration = Duration::from_secs(60);

/// One order's story.
struct Served {
    id: U256,
    label: u8,
    predicted: Option<usize>,
    order_to_paid: Duration,
    price: U256,
}

pub fn run(args: DemoArgs, report: &Reporter) -> Result<(), Error> {
    match args.other {
        Some(DemoCommand::Topics(args)) => topics::run(args, report),
        None => main_job(args, report),
    }
}

fn main_job(args: DemoArgs, report: &Reporter) -> Result<(), Error> {
    block_on(async {
        let mut world = World::start(&args, report).await?;
        let before = Books::take(&world).await?;
        let mut events = world.provider_events();

        let served = serve_orders(&mut world, &args, report).await?;
        let proofs = collect_proofs(&mut events);
        let correct = served
            .iter()
            .filter(|s| s.predicted == Some(usize::from(s.label)))
            .count();

        // What the chain says of the orders now, not what their events said then.
        let mut paid = 0usize;
        for order in &served {
            let status = world.buyer.get_order(order.id).await?.status;
            paid += usize::from(status == Status::Paid);
        }
        let receipts = write_receipts(&world, &served, report).await?;
        world.stop_provider().await;
        let cheats = if args.skip_cheats {
            Vec::new()
        } else {
            cheats::play(&world, &served[0].id, report).await?
        };

        let after = Books::take(&world).await?;
        report.say(books::table(&before, &after));
        let conserved = books::conserved(&world, report)?;
        let refused = cheats.iter().filter(|c| c.refused).count();

        let mut result = json!({
            "mode": "sealed",
            "orders": served.len(),
            "paid": paid,
            "correct": correct,
            "cheats_tried": cheats.len(),
            "cheats_refused": refused,
            "cheats": cheats.iter().map(cheats::Cheat::to_json).collect::<Vec<_>>(),
            "conserved": conserved,
            "order_to_paid_ms": {
                "p50": percentile(served.iter().map(|s| s.order_to_paid), 50),
                "p95": percentile(served.iter().map(|s| s.order_to_paid), 95),
            },
            "prove_ms": percentile(proofs.values().map(|p| p.0), 50),
            "verify_ms": percentile(receipts.verify_times.iter().copied(), 50),
            "proof_bytes": receipts.proof_bytes,
            "blocks": world.height(),
            "block_interval_ms": world.block_interval_ms()?,
            "peak_rss_mb": zk::peak_rss_mb(),
        });
        report.say(summary(&result));
        if args.serve {
            world.restart_provider().await?;
            result["serving"] = world.serving(served.last().map(|s| s.id));
        }
        if paid != served.len() || refused != cheats.len() || !conserved {
            report.result("", &result);
            return Err(Error::new(
                "the demo did not end as it must: an order was not paid, a cheat was not refused, or money is missing",
            ));
        }
        report.result(
            if args.serve {
                world.serving_text()
            } else {
                String::new()
            },
            &result,
        );
        if args.serve {
            stop_signal().await?;
        }
        world.stop().await;
        Ok(())
    })
}

async fn serve_orders(
    world: &mut World,
    args: &DemoArgs,
    report: &Reporter,
) -> Result<Vec<Served>, Error> {
    let digits = world.digits.clone();
    let images = digits.test_images(args.orders as usize);
    report.say(format!(
        "\n{} inferences of images that training never saw, level Proven, sealed to the seller\n",
        images.len()
    ));
    let bar = report.bar(images.len() as u64, "orders");
    let mut served = Vec::new();
    for (i, image) in images.into_iter().enumerate() {
        if args.lose_validator && i == args.orders as usize / 2 {
            world.stop_validator(3);
            report.say("validator 3 was stopped: orders go on with three of four\n");
        }
        let input = hallmark_onnx::quantize(&world.model.graph, image.pixels)?;
        let deadline = world.buyer.now_ms().await? + 60_000;
        let started = Instant::now();
        let order = async {
            let placed = world.order_sealed(&input, &[Party::Seller], deadline);
            let placed = placed.await?;
            let paid = world.buyer.wait_paid(placed.id, ORDER_TIMEOUT).await?;
            let (graph, secrets) = (&world.model.graph, &world.secrets);
            let output = world.buyer.open_output(placed.id, graph, secrets).await?;
            Ok::<_, Error>((placed, paid, output))
        };
        let (placed, paid, output) = tokio::select! {
            done = order => done?,
            reason = world.failed() => return Err(Error::new(reason)),
        };
        let order_to_paid = started.elapsed();
        served.push(Served {
            id: placed.id,
            label: image.label,
            predicted: crate::commands::infer::argmax(&output),
            order_to_paid,
            price: paid.to_seller + paid.to_owner + paid.to_network,
        });
        bar.inc(1);
        if let Some(s) = served.last() {
            report.say(digits::line(
                &image,
                s.predicted,
                s.order_to_paid,
                &mark(s.price),
                &s.id.to_string(),
            ));
        }
    }
    bar.finish_and_clear();
    Ok(served)
}

/// Prove time and proof length of each delivered order, from the provider's own events.
fn collect_proofs(
    events: &mut tokio::sync::broadcast::Receiver<ProviderEvent>,
) -> BTreeMap<U256, (Duration, usize)> {
    let mut proofs = BTreeMap::new();
    loop {
        match events.try_recv() {
            Ok(ProviderEvent::Finished {
                order,
                outcome:
                    OrderOutcome::Delivered {
                        prove_ms,
                        proof_bytes,
                        ..
                    },
            }) => {
                proofs.insert(order, (Duration::from_millis(prove_ms), proof_bytes));
            }
            Ok(_) | Err(tokio::sync::broadcast::error::TryRecvError::Lagged(_)) => {}
            Err(_) => return proofs,
        }
    }
}

struct Receipts {
    verify_times: Vec<Duration>,
    proof_bytes: usize,
}

/// Builds, writes and re-checks the receipt of every paid order.
async fn write_receipts(
    world: &World,
    served: &[Served],
    report: &Reporter,
) -> Result<Receipts, Error> {
    let dir = world.home.join("receipts");
    std::fs::create_dir_all(&dir).map_err(|e| Error::at(dir.display(), e))?;
    let mut times = Vec::new();
    let mut proof_bytes = 0;
    let key = world.proving.verifying_key();
    for s in served {
        let file = OrderReceipt::build(&world.buyer, s.id).await?;
        let path = dir.join(format!("order-{:04}.json", s.id));
        write(&path, &serde_json::to_vec_pretty(&file)?)?;
        let verified =
            receipt::verify(&file, &world.spec).map_err(|e| Error::at(path.display(), e))?;
        proof_bytes = proof_bytes.max(verified.proof_bytes);
        let commitment = verified
            .commitment
            .ok_or_else(|| Error::at(path.display(), "the order was not sealed"))?;
        let masked = hallmark_proof::decode_masked(key.graph(), &file.output)?;
        let started = Instant::now();
        let (context, proof) = (&file.context.0, &file.proof);
        hallmark_proof::verify_private(key, &commitment.0, &masked, context, proof)?;
        times.push(started.elapsed());
    }
    report.say(format!(
        "\n{} receipts in {}; none shows an image or an answer. Check one without any node:\n  \
         hallmark verify {} --spec {}",
        served.len(),
        dir.display(),
        dir.join(format!("order-{:04}.json", served[0].id))
            .display(),
        world.home.join("spec.json").display(),
    ));
    Ok(Receipts {
        verify_times: times,
        proof_bytes,
    })
}

fn percentile(times: impl Iterator<Item = Duration>, percent: usize) -> f64 {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times
        .get(index)
        .map_or(0.0, |t| (t.as_secs_f64() * 1e5).round() / 1e2)
}

fn summary(r: &Value) -> String {
    format!(
        "\n{} of {} orders paid, {} predictions right\n\
         order to paid   p50 {} ms, p95 {} ms\n\
         proving         {} ms, verifying {} ms, proof {} bytes\n\
         chain           {} blocks, one every {} ms (idle pace 250 ms)\n\
         cheats          {} tried, {} refused\n\
         money           {}\n\
         peak memory     {} MB",
        r["paid"],
        r["orders"],
        r["correct"],
        r["order_to_paid_ms"]["p50"],
        r["order_to_paid_ms"]["p95"],
        r["prove_ms"],
        r["verify_ms"],
        r["proof_bytes"],
        r["blocks"],
        r["block_interval_ms"],
        r["cheats_tried"],
        r["cheats_refused"],
        if r["conserved"] == true {
            "not a unit lost on any validator"
        } else {
            "NOT CONSERVED"
        },
        r["peak_rss_mb"],
    )
}

#[cfg(test)]
mod tests {
    use super::percentile;
    use std::time::Duration;

    #[test]
    fn percentiles_are_of_the_sorted_times() {
        let times = [40u64, 10, 30, 20].map(Duration::from_millis);
        assert_eq!(percentile(times.into_iter(), 50), 20.0);
        assert_eq!(percentile(times.into_iter(), 95), 40.0);
        assert_eq!(percentile(std::iter::empty(), 50), 0.0);
    }
}
