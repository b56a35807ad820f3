//! An unmodified alloy provider against a live network of four processes:
//! `alloy-client network.json artifacts.json`. Nothing of Hallmark is linked into what it does.

use alloy_eips::{BlockId, BlockNumberOrTag, eip7702::Authorization};
use alloy_network::{EthereumWallet, TransactionBuilder, TransactionBuilder7702};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, utils::parse_ether};
use alloy_provider::{DynProvider, Provider, ProviderBuilder, WsConnect};
use alloy_rpc_client::BatchRequest;
use alloy_rpc_types_eth::{Filter, TransactionReceipt, TransactionRequest};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::{SolCall, SolConstructor, SolError, SolEvent, SolStruct, eip712_domain, sol};
use futures::StreamExt;
use serde_json::Value;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

type Failure = Box<dyn std::error::Error>;

const SOON: Duration = Duration::from_secs(30);

sol! {
    contract Token {
        event Transfer(address indexed from, address indexed to, uint256 value);
        error ERC20InsufficientAllowance(address spender, uint256 allowance, uint256 needed);
        constructor(string name, string symbol, uint256 supply);
        function symbol() external view returns (string);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
        function transfer(address to, uint256 value) external returns (bool);
        function transferFrom(address from, address to, uint256 value) external returns (bool);
        function permit(
            address owner, address spender, uint256 value, uint256 deadline, uint8 v, bytes32 r, bytes32 s
        ) external;
    }

    contract BatchCalls {
        struct Call { address to; uint256 value; bytes data; }
        function execute(Call[] calls) external payable;
    }

    contract Inference {
        error UnknownOrder(uint256 id);
        function cancel(uint256 id) external;
    }

    struct Permit {
        address owner;
        address spender;
        uint256 value;
        uint256 nonce;
        uint256 deadline;
    }
}

/// One account at one node.
struct Client {
    provider: DynProvider,
    me: Address,
}

impl Client {
    /// Sends a transaction, whose nonce, gas and fees alloy asks for, and waits for its receipt.
    async fn mined(&self, request: TransactionRequest) -> Result<TransactionReceipt, Failure> {
        let sent = self.provider.send_transaction(request).await?;
        let receipt = sent.with_timeout(Some(SOON)).get_receipt().await?;
        assert!(receipt.status(), "{receipt:?}");
        Ok(receipt)
    }

    async fn read<C: SolCall>(&self, to: Address, call: C) -> Result<C::Return, Failure> {
        let request = TransactionRequest::default().with_to(to).with_call(&call);
        let output = self.provider.call(request).await?;
        Ok(C::abi_decode_returns(&output)?)
    }

    /// Text and data of the revert that a call must end in.
    async fn reverted(&self, to: Address, call: impl SolCall) -> Result<(String, Bytes), Failure> {
        let request = TransactionRequest::default()
            .with_from(self.me)
            .with_to(to)
            .with_call(&call);
        let error = self.provider.call(request).await.expect_err("a revert");
        let payload = error.as_error_resp().ok_or("no JSON-RPC error")?;
        assert_eq!(payload.code, 3, "{payload}");
        let data = payload.as_revert_data().ok_or("no revert data")?;
        Ok((payload.message.to_string(), data))
    }
}

fn text(value: &Value) -> Result<&str, Failure> {
    value.as_str().ok_or_else(|| "not a text".into())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let (Some(network), Some(artifacts)) = (args.next(), args.next()) else {
        return Err("usage: alloy-client network.json artifacts.json".into());
    };
    let network: Value = serde_json::from_slice(&std::fs::read(network)?)?;
    let artifacts: Value = serde_json::from_slice(&std::fs::read(artifacts)?)?;
    let code =
        |name: &str| -> Result<Bytes, Failure> { Ok(text(&artifacts[name]["bytecode"])?.parse()?) };

    let signer: PrivateKeySigner = text(&network["keys"][3]["private_key"])?.parse()?;
    let me = signer.address();
    let provider = ProviderBuilder::new()
        .wallet(EthereumWallet::from(signer.clone()))
        .connect_http(text(&network["rpc"][3])?.parse()?)
        .erased();
    let client = Client { provider, me };
    let chain_id = network["chain_id"].as_u64().ok_or("no chain id")?;
    let to = PrivateKeySigner::random().address();

    transfers(&client, chain_id, to, text(&network["rpc"][0])?).await?;
    let token = erc20(&client, &code("Token")?, to, text(&network["ws"][3])?).await?;
    reverts(&client, token, to).await?;
    typed_data(&client, &signer, chain_id, token).await?;
    delegation(
        &client,
        &signer,
        chain_id,
        &code("BatchCalls")?,
        (token, to),
    )
    .await?;
    batch(&client).await?;
    println!(
        "alloy: accounts, fees, transfers of types 0, 1, 2 and 4, ERC-20, events by filter, search and subscription, reverts, EIP-712, EIP-7702, batch: ok"
    );
    Ok(())
}

/// Accounts, fees, and a transfer of each type that is seen from another validator.
async fn transfers(
    client: &Client,
    chain_id: u64,
    to: Address,
    other: &str,
) -> Result<(), Failure> {
    let provider = &client.provider;
    assert_eq!(provider.get_chain_id().await?, chain_id);
    assert!(
        provider
            .get_client_version()
            .await?
            .starts_with("hallmark/v")
    );
    assert!(provider.get_balance(client.me).await? > U256::ZERO);
    let history = provider
        .get_fee_history(2, BlockNumberOrTag::Latest, &[10.0, 50.0])
        .await?;
    assert_eq!(
        history.base_fee_per_gas.len(),
        history.gas_used_ratio.len() + 1
    );

    let nonce = provider.get_transaction_count(client.me).await?;
    let plain = TransactionRequest::default()
        .with_to(to)
        .with_value(U256::from(7));
    let receipt = client.mined(plain.clone()).await?;
    assert_eq!(
        (receipt.gas_used, receipt.inner.tx_type() as u8),
        (21_000, 2)
    );
    let price = provider.get_gas_price().await? * 2;
    let legacy = client.mined(plain.clone().with_gas_price(price)).await?;
    assert_eq!(legacy.inner.tx_type() as u8, 0);
    let listed = plain
        .with_gas_price(price)
        .with_access_list(Default::default());
    let listed = client.mined(listed).await?;
    assert_eq!(listed.inner.tx_type() as u8, 1);
    assert_eq!(provider.get_transaction_count(client.me).await?, nonce + 3);

    let other = ProviderBuilder::new().connect_http(other.parse()?);
    let height = listed.block_number.ok_or("mined without a height")?;
    while other.get_block_number().await? < height {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(other.get_balance(to).await?, U256::from(21));
    let block = other
        .get_block(BlockId::number(height))
        .full()
        .await?
        .ok_or("no block")?;
    assert_eq!(block.header.hash, block.header.inner.hash_slow());
    assert!(
        block
            .transactions
            .hashes()
            .any(|h| h == listed.transaction_hash)
    );
    let proof = other.get_proof(to, vec![B256::ZERO]).await?;
    assert_eq!(proof.balance, U256::from(21));

    // What is refused is refused in the words that clients match.
    let raw = TransactionRequest::default()
        .with_to(to)
        .with_nonce(0)
        .with_gas_limit(21_000)
        .with_gas_price(price);
    let error = provider
        .send_transaction(raw)
        .await
        .expect_err("a used nonce");
    let payload = error.as_error_resp().ok_or("no JSON-RPC error")?;
    assert!(payload.message.contains("nonce too low"), "{payload}");
    Ok(())
}

/// Deploys the token and uses it; its events by filter, by search and by subscription.
async fn erc20(client: &Client, code: &Bytes, to: Address, ws: &str) -> Result<Address, Failure> {
    let provider = &client.provider;
    let supply = parse_ether("1000")?;
    let init = Token::constructorCall {
        name: "Assay".into(),
        symbol: "ASY".into(),
        supply,
    };
    let code = [code.to_vec(), init.abi_encode()].concat();
    let deployed = client
        .mined(TransactionRequest::default().with_deploy_code(code))
        .await?;
    let token = deployed.contract_address.ok_or("no contract address")?;
    assert_eq!(client.read(token, Token::symbolCall {}).await?, "ASY");
    let mine = Token::balanceOfCall { account: client.me };
    assert_eq!(client.read(token, mine).await?, supply);

    let filter = Filter::new()
        .address(token)
        .event_signature(Token::Transfer::SIGNATURE_HASH)
        .topic2(to.into_word());
    let socket = ProviderBuilder::new()
        .connect_ws(WsConnect::new(ws))
        .await?;
    let mut subscribed = socket.subscribe_logs(&filter).await?.into_stream();
    let mut heads = socket.subscribe_blocks().await?.into_stream();
    let polled = provider.new_filter(&filter).await?;
    let send = Token::transferCall {
        to,
        value: U256::from(7),
    };
    let request = TransactionRequest::default()
        .with_to(token)
        .with_call(&send);
    let moved = client.mined(request).await?;
    let pushed = tokio::time::timeout(SOON, subscribed.next()).await?;
    let changes = provider
        .get_filter_changes::<alloy_rpc_types_eth::Log>(polled)
        .await?;
    let since = filter.from_block(moved.block_number.ok_or("no height")?);
    let found = provider.get_logs(&since).await?;
    for log in [pushed.as_ref(), changes.first(), found.first()] {
        let log = log.ok_or("an event is missing")?;
        assert_eq!(log.transaction_hash, Some(moved.transaction_hash));
        let event = Token::Transfer::decode_log(&log.inner)?;
        assert_eq!((event.to, event.value), (to, U256::from(7)));
    }
    let head = tokio::time::timeout(SOON, heads.next())
        .await?
        .ok_or("no head")?;
    assert_eq!(head.hash, head.inner.hash_slow());
    Ok(token)
}

/// Reverts with their reasons: an error by name, a text, and one of the chain's own contracts.
async fn reverts(client: &Client, token: Address, to: Address) -> Result<(), Failure> {
    let call = Token::transferFromCall {
        from: to,
        to: client.me,
        value: U256::from(1),
    };
    let (_, data) = client.reverted(token, call).await?;
    let error = Token::ERC20InsufficientAllowance::abi_decode(&data)?;
    assert_eq!((error.spender, error.needed), (client.me, U256::from(1)));
    let call = Token::permitCall {
        owner: to,
        spender: to,
        value: U256::from(1),
        deadline: U256::ZERO,
        v: 27,
        r: B256::ZERO,
        s: B256::ZERO,
    };
    let (message, _) = client.reverted(token, call).await?;
    assert_eq!(message, "execution reverted: Token: the permit has expired");
    let inference: Address = "0x4841000000000000000000000000000000000003".parse()?;
    let id = U256::from(1_000_000_000);
    let (_, data) = client
        .reverted(inference, Inference::cancelCall { id })
        .await?;
    assert_eq!(Inference::UnknownOrder::abi_decode(&data)?.id, id);
    Ok(())
}

/// EIP-712: an approval that the owner signed, checked by the contract.
async fn typed_data(
    client: &Client,
    signer: &PrivateKeySigner,
    chain_id: u64,
    token: Address,
) -> Result<(), Failure> {
    let spender = PrivateKeySigner::random().address();
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let permit = Permit {
        owner: client.me,
        spender,
        value: U256::from(5),
        nonce: U256::ZERO,
        deadline: U256::from(now + 3_600),
    };
    let domain = eip712_domain! {
        name: "Assay",
        version: "1",
        chain_id: chain_id,
        verifying_contract: token,
    };
    let signature = signer.sign_hash_sync(&permit.eip712_signing_hash(&domain))?;
    let call = Token::permitCall {
        owner: client.me,
        spender,
        value: permit.value,
        deadline: permit.deadline,
        v: 27 + u8::from(signature.v()),
        r: signature.r().into(),
        s: signature.s().into(),
    };
    let request = TransactionRequest::default()
        .with_to(token)
        .with_call(&call);
    client.mined(request).await?;
    let allowed = Token::allowanceCall {
        owner: client.me,
        spender,
    };
    assert_eq!(client.read(token, allowed).await?, U256::from(5));
    let (message, _) = client.reverted(token, call).await?;
    assert_eq!(
        message,
        "execution reverted: Token: not the owner's signature"
    );
    Ok(())
}

/// EIP-7702: the account borrows code that makes two transfers in one transaction.
async fn delegation(
    client: &Client,
    signer: &PrivateKeySigner,
    chain_id: u64,
    code: &Bytes,
    (token, to): (Address, Address),
) -> Result<(), Failure> {
    let provider = &client.provider;
    let deploy = TransactionRequest::default().with_deploy_code(code.clone());
    let lent = client
        .mined(deploy)
        .await?
        .contract_address
        .ok_or("no address")?;
    let nonce = provider.get_transaction_count(client.me).await?;
    let authorization = Authorization {
        chain_id: U256::from(chain_id),
        address: lent,
        nonce: nonce + 1,
    };
    let signature = signer.sign_hash_sync(&authorization.signature_hash())?;
    let transfer = |value: u64| BatchCalls::Call {
        to: token,
        value: U256::ZERO,
        data: Token::transferCall {
            to,
            value: U256::from(value),
        }
        .abi_encode()
        .into(),
    };
    let calls = BatchCalls::executeCall {
        calls: vec![transfer(10), transfer(20)],
    };
    let mut request = TransactionRequest::default()
        .with_authorization_list(vec![authorization.into_signed(signature)])
        .with_call(&calls);
    request.to = Some(TxKind::Call(client.me));
    let receipt = client.mined(request).await?;
    assert_eq!(receipt.inner.tx_type() as u8, 4);
    let theirs = Token::balanceOfCall { account: to };
    assert_eq!(client.read(token, theirs).await?, U256::from(37));
    let code = provider.get_code_at(client.me).await?;
    assert_eq!(code, [&[0xef, 0x01, 0x00], lent.as_slice()].concat());
    Ok(())
}

/// One request for many answers.
async fn batch(client: &Client) -> Result<(), Failure> {
    while client.provider.get_block_number().await? < 19 {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let node = client.provider.client();
    let mut batch = BatchRequest::new(node);
    let mut waiting = Vec::new();
    for number in 0..20u64 {
        let tag = format!("{number:#x}");
        waiting.push(batch.add_call::<_, Value>("eth_getBlockByNumber", &(tag, false))?);
    }
    batch.send().await?;
    for (number, answer) in (0..20u64).zip(waiting) {
        assert_eq!(answer.await?["number"], format!("{number:#x}"));
    }
    Ok(())
}
