//! `hallmark provide`: the seller's daemon in the foreground.

use super::{Error, block_on, chain::load_key, parse_mark};
use crate::{cli::ProvideArgs, output::Reporter};
use hallmark_provider::{Provider, ProviderConfig, ProviderEvent};

pub fn run(args: ProvideArgs, report: &Reporter) -> Result<(), Error> {
    let signer = load_key(&args.key)?;
    let address = signer.address();
    let deposit = args
        .deposit
        .as_deref()
        .map(|t| parse_mark("--deposit", t))
        .transpose()?;
    let min_price = parse_mark("--min-price", &args.min_price)?;
    std::fs::create_dir_all(&args.home).map_err(|e| Error::at(args.home.display(), e))?;
    let mut config = ProviderConfig::new(
        args.chain.rpc.replacen("http", "ws", 1),
        signer,
        args.home.join("models"),
        args.home.join("journal.redb"),
    );
    config.allow_private_addresses = args.allow_private_addresses;
    config.min_earning = min_price;
    config.deposit = deposit.unwrap_or_default();
    config.rotate_sealing_key = args.rotate_sealing_key;
    block_on(async {
        // The daemon would serve with any key.
        let chain_id = super::chain::connect(&args.chain).await?.chain_id();
        hallmark_node::devnet::refuse_development_account(chain_id, address)?;
        let provider = Provider::start(config).await?;
        let mut events = provider.events();
        report.say(format!(
            "serving as {}; stop with Ctrl-C",
            provider.status().address
        ));
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(event) => print(report, &event)?,
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => {
                        return Err(Error::new("the provider stopped by itself; run with -v for its log"));
                    }
                },
                signal = super::stop_signal() => {
                    signal?;
                    break;
                }
            }
        }
        let status = provider.status();
        provider.stop().await;
        report.result(
            format!(
                "delivered {}, earned {} MARK",
                status.delivered,
                crate::output::mark(status.earned)
            ),
            &serde_json::to_value(&status)?,
        );
        Ok(())
    })
}

fn print(report: &Reporter, event: &ProviderEvent) -> Result<(), Error> {
    report.event(&serde_json::to_value(event)?);
    Ok(())
}
