//! `hallmark light`: the chain by certificates.

use super::{Error, chain::trusted_spec, read_short, write};
use crate::{cli::LightArgs, output::Reporter};
use hallmark_client::{
    Client, OrderReceipt,
    light::{self, Checkpoint, Light},
    receipt,
};
use serde_json::json;
use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tokio::sync::Mutex;

/// Time between two looks at the node while the door is open.
const PACE: Duration = Duration::from_millis(500);

pub fn run(args: LightArgs, report: &Reporter) -> Result<(), Error> {
    let spec = Arc::new(trusted_spec(args.spec.as_deref())?);
    let mut light = match &args.checkpoint {
        None => Light::from_spec(spec),
        Some(path) => {
            let checkpoint: Checkpoint = serde_json::from_slice(&read_short(path)?)
                .map_err(|error| Error::at(path.display(), error))?;
            Light::from_checkpoint(spec, &checkpoint, now_ms())
                .map_err(|error| Error::at(path.display(), error))?
        }
    };
    super::block_on(async {
        let node = Client::connect(&args.rpc, None).await?;
        light.follow(&node).await?;
        for path in &args.receipts {
            verify(&light, path, report)?;
        }
        let age = light.age_ms(now_ms());
        report.result(
            format!(
                "block {} ({}) is final, {:.1} s old",
                light.number(),
                light.hash(),
                Duration::from_millis(age).as_secs_f64()
            ),
            &json!({ "number": light.number(), "hash": light.hash(), "ageMs": age }),
        );
        let light = Arc::new(Mutex::new(light));
        if let Some(listen) = args.listen {
            let door = light::serve(listen, light.clone(), node.clone())
                .await
                .map_err(|error| Error::at(listen, error))?;
            report.result(
                format!(
                    "verified answers at http://{}; stop with Ctrl-C",
                    door.address()
                ),
                &json!({ "rpc": format!("http://{}", door.address()) }),
            );
            tokio::select! {
                signal = super::stop_signal() => signal?,
                () = door.closed() => {}
                never = follow_on(&light, &node, report) => match never {},
            }
        }
        if let Some(path) = &args.out {
            let checkpoint = light.lock().await.checkpoint();
            let checkpoint = checkpoint.ok_or_else(|| Error::new("no block is known yet"))?;
            write(path, serde_json::to_string_pretty(&checkpoint)?.as_bytes())?;
        }
        Ok(())
    })
}

/// Follows for as long as the door is open: sets are learned while nodes still prove them.
async fn follow_on(
    light: &Mutex<Light>,
    node: &Client,
    report: &Reporter,
) -> std::convert::Infallible {
    loop {
        tokio::time::sleep(PACE).await;
        if let Err(error) = light.lock().await.follow(node).await {
            report.say(format!("not followed: {error}"));
        }
    }
}

fn verify(light: &Light, path: &std::path::Path, report: &Reporter) -> Result<(), Error> {
    let file = OrderReceipt::from_json(&read_short(path)?)
        .map_err(|error| Error::at(path.display(), error))?;
    let known = |epoch| light.committee(epoch).cloned();
    let verified = receipt::verify_with(&file, light.spec(), known)
        .map_err(|error| Error::at(path.display(), format!("refused: {error}")))?;
    report.result(
        format!(
            "{}: order {} is paid and proven in block {}",
            path.display(),
            verified.order_id,
            verified.block_number
        ),
        &json!({
            "receipt": path.display().to_string(),
            "verified": true,
            "orderId": verified.order_id,
            "blockNumber": verified.block_number,
            "blockHash": verified.block_hash,
        }),
    );
    Ok(())
}

/// Unix time in milliseconds; zero on a machine whose clock is before 1970.
fn now_ms() -> u64 {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or_default()
}
