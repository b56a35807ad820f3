//! `hallmark model`: publish models, look at published ones.

use super::chain::{connect, connect_signed};
use super::{Error, block_on, parse_mark, read};
use crate::cli::ModelCommand;
use crate::output::{Reporter, mark, printable};
use alloy_primitives::U256;
use hallmark_client::{Listing, ModelRecord};
use hallmark_graph::Model;
use serde_json::json;

/// Most models that `list` prints.
const MAX_LISTED: u64 = 1000;

pub fn run(command: ModelCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        ModelCommand::Publish {
            model: path,
            name,
            price,
            owner_share,
            uri,
            profile,
            chain,
            key,
        } => {
            let bytes = read(&path)?;
            let model = Model::decode(&bytes).map_err(|e| Error::at(path.display(), e))?;
            let proving = hallmark_proof::setup_with(&model, profile.into())
                .map_err(|e| Error::at(path.display(), e))?;
            let listing = Listing {
                content_hash: blake3::hash(&bytes).as_bytes().into(),
                content_size: bytes.len() as u64,
                price: u128::try_from(parse_mark("--price", &price)?)
                    .map_err(|_| Error::new("--price is too large"))?,
                owner_share_bps: parse_percent("--owner-share", &owner_share)?,
                name,
                uri,
            };
            block_on(async {
                let client = connect_signed(&chain, &key).await?;
                let key_bytes = proving.verifying_key().encode();
                let bar = report.bar(key_bytes.len() as u64, "verifying key");
                let published = client
                    .publish_model(&key_bytes, &listing, |p| bar.set_position(p.sent as u64))
                    .await?;
                bar.finish_and_clear();
                report.result(
                    format!(
                        "published {}\ndigest {}\nblock {}, gas {}",
                        published.id, published.digest, published.block_number, published.gas_used
                    ),
                    &json!({
                        "id": published.id, "digest": published.digest,
                        "block": published.block_number, "gasUsed": published.gas_used,
                    }),
                );
                Ok(())
            })
        }
        ModelCommand::List { chain } => block_on(async {
            let client = connect(&chain).await?;
            let mut models: Vec<ModelRecord> = Vec::new();
            while (models.len() as u64) < MAX_LISTED {
                let page = client.models(models.len() as u64, 100).await?;
                if page.is_empty() {
                    break;
                }
                models.extend(page);
            }
            let lines: Vec<String> = models
                .iter()
                .map(|m| {
                    let state = if m.active { "" } else { "  (not active)" };
                    format!(
                        "{}  {:>12} MARK  {}{state}",
                        m.id,
                        mark(U256::from(m.price)),
                        printable(&m.name)
                    )
                })
                .collect();
            report.result(
                if lines.is_empty() {
                    "no models are published".to_owned()
                } else {
                    lines.join("\n")
                },
                &serde_json::to_value(&models)?,
            );
            Ok(())
        }),
        ModelCommand::Show { id, chain } => block_on(async {
            let client = connect(&chain).await?;
            let model = client.find_model(&id).await?;
            let text = format!(
                "{}\nid            {}\nowner         {}\nprice         {} MARK, owner's share {}.{:02} %\ndigest        {}\ncommitment    {}\nkey           {} bytes\nfile          {} bytes, BLAKE3 {}\nfrom          {}\nsince block   {}{}",
                printable(&model.name),
                model.id,
                model.owner,
                mark(U256::from(model.price)),
                model.owner_share_bps / 100,
                model.owner_share_bps % 100,
                model.digest,
                model.commitment,
                model.key_size,
                model.content_size,
                model.content_hash,
                printable(&model.uri),
                model.registered_at,
                if model.active {
                    ""
                } else {
                    "\nnot active: it takes no orders"
                },
            );
            report.result(text, &serde_json::to_value(&model)?);
            Ok(())
        }),
    }
}

/// Percent with at most two decimals, to basis points.
pub fn parse_percent(what: &str, text: &str) -> Result<u16, Error> {
    let wrong = || {
        Error::new(format!(
            "{what} must be a percentage such as 10 or 2.5, got `{text}`"
        ))
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 2 {
        return Err(wrong());
    }
    let whole: u16 = whole.parse().map_err(|_| wrong())?;
    let hundredths: u16 = format!("{fraction:0<2}").parse().map_err(|_| wrong())?;
    whole
        .checked_mul(100)
        .and_then(|w| w.checked_add(hundredths))
        .filter(|bps| *bps <= 10_000)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::parse_percent;

    #[test]
    fn a_share_is_a_percentage_with_at_most_two_decimals() {
        assert_eq!(parse_percent("--owner-share", "10").unwrap(), 1000);
        assert_eq!(parse_percent("--owner-share", "2.5").unwrap(), 250);
        assert_eq!(parse_percent("--owner-share", "0.05").unwrap(), 5);
        for bad in ["", "-1", "101", "1.234", "x", "99999999"] {
            assert!(parse_percent("--owner-share", bad).is_err(), "{bad}");
        }
    }
}
