//! `hallmark stake`: validators, their stake, and what it costs to vote twice.

use super::{
    Error, block_on,
    chain::{connect, connect_signed, load_seed},
    parse_mark, read,
};
use crate::cli::StakeCommand;
use crate::output::{Reporter, mark, printable};
use alloy_primitives::{Address, Bytes, U256, hex};
use hallmark_client::{
    Client, ClientError, Staking, TransactionReceipt,
    staking::{Validator, bond_call, shares_worth},
};
use hallmark_node::{prove_possession, public_key_of};
use serde_json::{Value, json};
use std::path::Path;

pub fn run(command: StakeCommand, report: &Reporter) -> Result<(), Error> {
    block_on(act(command, report))
}

async fn act(command: StakeCommand, report: &Reporter) -> Result<(), Error> {
    match command {
        StakeCommand::Bond {
            amount,
            validator_key,
            commission,
            payout,
            p2p,
            chain,
            key,
        } => {
            let client = connect_signed(&chain, &key).await?;
            let profile = (payout, p2p, percent(&commission)?);
            let seed = load_seed(&validator_key, key.password_file.as_deref())?;
            bond(&client, &amount, seed, profile, report).await
        }
        StakeCommand::Delegate {
            validator,
            amount,
            chain,
            key,
        } => {
            let staking = connect_signed(&chain, &key).await?.staking();
            let amount = parse_mark("the amount", &amount)?;
            let receipt = staking.delegate(validator, amount).await?;
            let text = format!("{} MARK behind validator {validator}", mark(amount));
            let what = json!({ "validator": validator, "amount": amount.to_string() });
            done(report, text, what, &receipt);
            Ok(())
        }
        StakeCommand::Unbond {
            validator,
            amount,
            chain,
            key,
        } => {
            let client = connect_signed(&chain, &key).await?;
            unbond(&client, validator, &amount, report).await
        }
        StakeCommand::Withdraw { chain, key } => {
            let staking = connect_signed(&chain, &key).await?.staking();
            let (amount, receipt) = staking.withdraw().await?;
            let text = format!("{} MARK withdrawn", mark(amount));
            done(
                report,
                text,
                json!({ "amount": amount.to_string() }),
                &receipt,
            );
            Ok(())
        }
        StakeCommand::Status {
            validator,
            account,
            chain,
        } => {
            let staking = connect(&chain).await?.staking();
            match (validator, account) {
                (Some(number), _) => one(&staking, number, report).await,
                (_, Some(account)) => holder(&staking, account, report).await,
                (None, None) => all(&staking, report).await,
            }
        }
        StakeCommand::Commission {
            percent: text,
            chain,
            key,
        } => {
            let bps = percent(&text)?;
            let staking = connect_signed(&chain, &key).await?.staking();
            let (epoch, receipt) = staking.set_commission(bps).await?;
            let text = format!("commission {text} % from epoch {epoch}");
            let what = json!({ "commission_bps": bps, "from_epoch": epoch });
            done(report, text, what, &receipt);
            Ok(())
        }
        StakeCommand::Profile {
            payout,
            p2p,
            chain,
            key,
        } => {
            let client = connect_signed(&chain, &key).await?;
            let staking = client.staking();
            let number = own(&client).await?;
            let present = staking.get(number).await?;
            let payout = payout.unwrap_or(present.payout);
            let p2p = p2p.unwrap_or(present.p2p);
            let receipt = staking.set_profile(payout, p2p.clone()).await?;
            let text = format!("validator {number} is paid at {payout}, reached at `{p2p}`");
            let what = json!({ "validator": number, "payout": payout, "p2p": p2p });
            done(report, text, what, &receipt);
            Ok(())
        }
        StakeCommand::RotateKey {
            validator_key,
            chain,
            key,
        } => {
            let client = connect_signed(&chain, &key).await?;
            let number = own(&client).await?;
            let seed = load_seed(&validator_key, key.password_file.as_deref())?;
            let public_key = public_key_of(&seed);
            let possession = prove_possession(&seed, client.chain_id(), signer(&client)?);
            let staking = client.staking();
            let receipt = staking
                .rotate_key(public_key.into(), possession.to_vec().into())
                .await?;
            let text = format!(
                "validator {number} votes with {} from the next set that is frozen on",
                hex::encode(public_key)
            );
            let what = json!({ "validator": number, "public_key": hex::encode(public_key) });
            done(report, text, what, &receipt);
            Ok(())
        }
        StakeCommand::Leave { chain, key } => {
            let client = connect_signed(&chain, &key).await?;
            let number = own(&client).await?;
            let receipt = client.staking().leave().await?;
            let text = format!("validator {number} is no candidate any more");
            let what = json!({ "validator": number, "candidate": false });
            done(report, text, what, &receipt);
            Ok(())
        }
        StakeCommand::Unjail { chain, key } => {
            let client = connect_signed(&chain, &key).await?;
            let number = own(&client).await?;
            let receipt = client.staking().join().await?;
            let text = format!("validator {number} is a candidate");
            let what = json!({ "validator": number, "candidate": true });
            done(report, text, what, &receipt);
            Ok(())
        }
        StakeCommand::Evidence { file, chain, key } => {
            let evidence = evidence(&file)?;
            let staking = connect_signed(&chain, &key).await?.staking();
            let (slashed, receipt) = staking.submit_evidence(evidence).await?;
            let text = format!(
                "validator {} lost {} MARK for epoch {}; your reward of {} MARK is free: `hallmark stake withdraw`",
                slashed.validator,
                mark(slashed.amount),
                slashed.epoch,
                mark(slashed.reward),
            );
            let what = json!({
                "validator": slashed.validator,
                "epoch": slashed.epoch,
                "public_key": slashed.publicKey,
                "slashed": slashed.amount.to_string(),
                "reward": slashed.reward.to_string(),
            });
            done(report, text, what, &receipt);
            Ok(())
        }
    }
}

async fn bond(
    client: &Client,
    amount: &str,
    seed: [u8; 32],
    (payout, p2p, commission_bps): (Option<Address>, String, u16),
    report: &Reporter,
) -> Result<(), Error> {
    let stake = parse_mark("the stake", amount)?;
    let operator = signer(client)?;
    let public_key = public_key_of(&seed);
    let possession = prove_possession(&seed, client.chain_id(), operator);
    let payout = payout.unwrap_or(operator);
    let call = bond_call(public_key, &possession, payout, commission_bps, p2p);
    let staking = client.staking();
    let (number, receipt) = staking.bond(call, stake).await?;
    let epoch = staking.epoch().await?;
    let text = format!(
        "validator {number} with {} MARK of its own, operated by {operator}\nif it is chosen, it votes from epoch {} on",
        mark(stake),
        epoch.saturating_add(2),
    );
    let what = json!({
        "validator": number,
        "operator": operator,
        "public_key": hex::encode(public_key),
        "stake": stake.to_string(),
        "epoch": epoch,
    });
    done(report, text, what, &receipt);
    Ok(())
}

async fn unbond(
    client: &Client,
    validator: u64,
    amount: &str,
    report: &Reporter,
) -> Result<(), Error> {
    let staking = client.staking();
    let position = staking.position(validator, signer(client)?).await?;
    let shares = if amount == "all" {
        position.shares
    } else {
        let wanted = parse_mark("the amount", amount)?;
        shares_worth(&position, wanted).ok_or_else(|| {
            Error::new(format!(
                "you have {} MARK behind validator {validator}, not {}",
                mark(position.worth),
                mark(wanted)
            ))
        })?
    };
    let (amount, free_epoch, receipt) = staking.undelegate(validator, shares).await?;
    let text = format!(
        "{} MARK leave validator {validator}; free from epoch {free_epoch}",
        mark(amount)
    );
    let what = json!({
        "validator": validator,
        "amount": amount.to_string(),
        "free_epoch": free_epoch,
    });
    done(report, text, what, &receipt);
    Ok(())
}

async fn one(staking: &Staking, number: u64, report: &Reporter) -> Result<(), Error> {
    let validator = staking.get(number).await?;
    let epoch = staking.epoch().await?;
    let mut text = format!("validator {number}\n{}", line(&validator));
    for (name, value) in [
        ("operator", validator.operator.to_string()),
        ("payout", validator.payout.to_string()),
        ("key", hex::encode(validator.publicKey)),
        ("own stake", format!("{} MARK", mark(validator.ownStake))),
        ("state", state(&validator, epoch)),
    ] {
        text.push_str(&format!("\n{name:<10} {value}"));
    }
    report.result(text, &described(&validator));
    Ok(())
}

async fn all(staking: &Staking, report: &Reporter) -> Result<(), Error> {
    let (epoch, rules) = (staking.epoch().await?, staking.rules().await?);
    let mut text = format!(
        "epoch {epoch} of {} blocks; unbonding {} epochs, evidence {} epochs, at least {} MARK of one's own",
        rules.epochBlocks,
        rules.unbondingEpochs,
        rules.evidenceEpochs,
        mark(rules.minStake),
    );
    let mut sets = Vec::new();
    let mut numbers = std::collections::BTreeSet::new();
    for of in [epoch, epoch.saturating_add(1)] {
        let set = staking.set(of).await?;
        let members: Vec<u64> = set.iter().map(|member| member.validator).collect();
        let listed: Vec<String> = members.iter().map(u64::to_string).collect();
        text.push_str(&format!("\nset of epoch {of}: {}", listed.join(", ")));
        numbers.extend(members.iter().copied());
        sets.push(json!({ "epoch": of, "validators": members }));
    }
    let mut validators = Vec::new();
    for number in numbers {
        let validator = staking.get(number).await?;
        let state = state(&validator, epoch);
        text.push_str(&format!("\n{number:>5}  {}, {state}", line(&validator)));
        validators.push(described(&validator));
    }
    report.result(
        text,
        &json!({ "epoch": epoch, "sets": sets, "validators": validators }),
    );
    Ok(())
}

async fn holder(staking: &Staking, account: Address, report: &Reporter) -> Result<(), Error> {
    let epoch = staking.epoch().await?;
    let (has, exits) = (
        staking.account(account).await?,
        staking.exits(account).await?,
    );
    let mut text = format!("free now: {} MARK", mark(has.free));
    let mut positions = Vec::new();
    for number in 1..=staking.count().await? {
        let position = staking.position(number, account).await?;
        if position.shares.is_zero() {
            continue;
        }
        text.push_str(&format!(
            "\nvalidator {number}: {} MARK",
            mark(position.worth)
        ));
        positions.push(json!({ "validator": number, "worth": position.worth.to_string() }));
    }
    let mut waiting = Vec::new();
    for exit in &exits {
        let when = if exit.freeEpoch <= epoch {
            "free now".to_owned()
        } else {
            format!("free from epoch {}", exit.freeEpoch)
        };
        text.push_str(&format!(
            "\nleft validator {}: {} MARK, {when}",
            exit.validator,
            mark(exit.amount)
        ));
        waiting.push(json!({
            "validator": exit.validator,
            "amount": exit.amount.to_string(),
            "free_epoch": exit.freeEpoch,
        }));
    }
    let left_out = has.waiting.saturating_sub(U256::from(exits.len()));
    if !left_out.is_zero() {
        text.push_str(&format!("\nand {left_out} more that left later"));
    }
    let free = has.free.to_string();
    report.result(
        text,
        &json!({ "free": free, "stake": positions, "exits": waiting, "exits_left_out": left_out.to_string() }),
    );
    Ok(())
}

fn line(validator: &Validator) -> String {
    let mut text = format!(
        "{} MARK, commission {} %",
        mark(validator.stake),
        f64::from(validator.commissionBps) / 100.0
    );
    if validator.nextCommissionEpoch != 0 {
        text.push_str(&format!(
            " ({} % from epoch {})",
            f64::from(validator.nextCommissionBps) / 100.0,
            validator.nextCommissionEpoch
        ));
    }
    if !validator.p2p.is_empty() {
        text.push_str(&format!(", at {}", printable(&validator.p2p)));
    }
    text
}

fn state(validator: &Validator, epoch: u64) -> String {
    if validator.candidate {
        "candidate".to_owned()
    } else if validator.jailedUntil > epoch {
        format!("jailed until epoch {}", validator.jailedUntil)
    } else {
        "no candidate".to_owned()
    }
}

fn described(validator: &Validator) -> Value {
    json!({
        "validator": validator.id,
        "operator": validator.operator,
        "payout": validator.payout,
        "public_key": hex::encode(validator.publicKey),
        "p2p": validator.p2p,
        "commission_bps": validator.commissionBps,
        "next_commission_bps": validator.nextCommissionBps,
        "next_commission_epoch": validator.nextCommissionEpoch,
        "stake": validator.stake.to_string(),
        "own_stake": validator.ownStake.to_string(),
        "candidate": validator.candidate,
        "jailed_until": validator.jailedUntil,
        "slashes": validator.slashes,
    })
}

fn done(report: &Reporter, text: String, mut what: Value, receipt: &TransactionReceipt) {
    what["transaction"] = json!(receipt.transaction_hash);
    report.result(text, &what);
}

fn signer(client: &Client) -> Result<Address, Error> {
    client
        .address()
        .ok_or_else(|| Error::from(ClientError::NoKey))
}

/// The validator that the client's account operates.
async fn own(client: &Client) -> Result<u64, Error> {
    let operator = signer(client)?;
    let number = client.staking().validator_of(operator).await?;
    number.ok_or_else(|| {
        Error::new(format!(
            "{operator} operates no validator; register one with `hallmark stake bond`"
        ))
    })
}

/// The bytes of a file of evidence, which holds them as they are or in hex.
fn evidence(path: &Path) -> Result<Bytes, Error> {
    let bytes = read(path)?;
    let text = std::str::from_utf8(&bytes).ok();
    let decoded = text.and_then(|text| hex::decode(text.trim()).ok());
    let bytes = decoded.unwrap_or(bytes);
    hallmark_types::Evidence::decode(&bytes).map_err(|error| Error::at(path.display(), error))?;
    Ok(bytes.into())
}

/// Parts of 10,000 from percent with at most two decimals.
fn percent(text: &str) -> Result<u16, Error> {
    let wrong = || {
        Error::new(format!(
            "a commission is 0 to 100 percent with at most two decimals, got `{text}`"
        ))
    };
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || decimals.len() > 2 || !digits(whole) || !digits(decimals) {
        return Err(wrong());
    }
    let whole: u16 = whole.parse().map_err(|_| wrong())?;
    let hundredths: u16 = format!("{decimals:0<2}").parse().map_err(|_| wrong())?;
    whole
        .checked_mul(100)
        .and_then(|bps| bps.checked_add(hundredths))
        .filter(|bps| *bps <= 10_000)
        .ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commission_is_read_in_hundredths_of_a_percent() {
        for (text, bps) in [
            ("0", 0),
            ("5", 500),
            ("7.5", 750),
            ("0.01", 1),
            ("100", 10_000),
        ] {
            assert_eq!(percent(text).unwrap(), bps, "{text}");
        }
        for text in ["", "-1", "100.01", "1.234", "x", "1.", ".5", "+1", "70000"] {
            assert_eq!(percent(text).is_ok(), text == "1.", "{text}");
        }
    }
}
