//! Connection, nonces, signing, sending and waiting.
//!
//! # Nonces
//! One counter per key, shared by clones and locked while a transaction is signed and handed over,
//! so that sends from several tasks are numbered without gaps. A number is used up only when the
//! node has accepted the transaction; whenever that is unknown (a broken connection, a receipt that
//! never comes) the counter is dropped and asked for again. If the node says that the number is
//! taken (another program uses the same key), it is asked for again once.

use crate::{
    ClientError, Revert,
    transport::{ANSWER_TIMEOUT, Http},
};
use alloy_consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::TxSignerSync;
use alloy_primitives::{Address, B256, Bytes, TxKind, U64, U128, U256};
use alloy_provider::{Provider, ProviderBuilder, RootProvider, WsConnect};
use alloy_rpc_client::RpcClient;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{
    sync::{Arc, RwLock},
    time::{Duration, Instant},
};
use tokio::sync::Mutex;

pub use alloy_rpc_types_eth::TransactionReceipt;

/// Priority fee that a transaction offers, in wei per gas.
pub const MIN_PRIORITY_FEE: u128 = 1_000_000;
/// Longest wait of [`Client::execute`].
pub const INCLUSION_TIMEOUT: Duration = Duration::from_secs(30);
/// Time between two looks for a receipt.
const POLL: Duration = Duration::from_millis(15);
/// Code of a server that has reached one of its bounds.
const SERVER_BOUND: i64 = -32005;
/// Attempts at a busy server, with growing pauses between them.
const BUSY_ATTEMPTS: u32 = 10;
const BUSY_PAUSE: Duration = Duration::from_millis(20);
/// Part added to an estimate of gas, in percent: state may change before the transaction runs.
const GAS_MARGIN_PERCENT: u64 = 25;

/// What a transaction should do; gas is estimated by the node when `gas` is `None`.
#[derive(Clone, Debug, Default)]
pub struct Call {
    pub to: Address,
    pub data: Bytes,
    /// In wei.
    pub value: U256,
    /// Gas limit.
    pub gas: Option<u64>,
}

impl Call {
    /// A call of a contract's method.
    pub fn new(to: Address, method: &impl SolCall) -> Self {
        Self {
            to,
            data: method.abi_encode().into(),
            ..Self::default()
        }
    }

    /// The same with coins, in wei.
    pub fn value(self, value: U256) -> Self {
        Self { value, ..self }
    }
}

/// A signed transaction, ready to be sent again if need be.
#[derive(Clone, Debug)]
pub struct Signed {
    pub hash: B256,
    pub nonce: u64,
    /// EIP-2718 bytes.
    pub raw: Bytes,
}

/// A connection to a node, with or without a key. Clones share the connection and the nonces.
#[derive(Clone)]
pub struct Client {
    link: Arc<Link>,
    signing: Option<Arc<Signing>>,
}

struct Link {
    url: String,
    chain_id: u64,
    provider: RwLock<RootProvider>,
}

struct Signing {
    signer: PrivateKeySigner,
    /// Next nonce, if known.
    nonce: Mutex<Option<u64>>,
}

/// The parts of a block that a client needs.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    timestamp: U64,
    #[serde(default)]
    base_fee_per_gas: U128,
    extra_data: Bytes,
}

impl Head {
    fn time_ms(&self) -> Result<u64, ClientError> {
        let extra = hallmark_types::HeaderExtra::decode(&self.extra_data)
            .map_err(|error| ClientError::Malformed(error.to_string()))?;
        let seconds = self.timestamp.to::<u64>();
        Ok(seconds.saturating_mul(1000).saturating_add(extra.ms.into()))
    }
}

impl Client {
    /// Connects to `http(s)://` or `ws(s)://` and asks for the chain id.
    ///
    /// # Errors
    /// The address is not one of these, or no node answers there.
    pub async fn connect(url: &str, signer: Option<PrivateKeySigner>) -> Result<Self, ClientError> {
        let provider = open(url).await?;
        let chain_id = ask_chain_id(url, &provider).await?;
        let link = Link {
            url: url.to_owned(),
            chain_id,
            provider: RwLock::new(provider),
        };
        let client = Self {
            link: Arc::new(link),
            signing: None,
        };
        Ok(match signer {
            Some(signer) => client.with_signer(signer),
            None => client,
        })
    }

    /// Opens the connection anew, for all clones.
    ///
    /// # Errors
    /// No node answers, or one of another chain does.
    pub async fn reconnect(&self) -> Result<(), ClientError> {
        let provider = open(self.url()).await?;
        let chain_id = ask_chain_id(self.url(), &provider).await?;
        if chain_id != self.chain_id() {
            return Err(ClientError::Connect {
                url: self.url().to_owned(),
                reason: format!("it is of chain {chain_id} now, not of {}", self.chain_id()),
            });
        }
        *self
            .link
            .provider
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = provider;
        Ok(())
    }

    /// The same connection with another key.
    pub fn with_signer(&self, signer: PrivateKeySigner) -> Self {
        let signing = Signing {
            signer,
            nonce: Mutex::new(None),
        };
        Self {
            link: self.link.clone(),
            signing: Some(Arc::new(signing)),
        }
    }

    pub fn url(&self) -> &str {
        &self.link.url
    }

    pub fn chain_id(&self) -> u64 {
        self.link.chain_id
    }

    /// `hallmark_nodeStatus` of the node: height, tip, peers, pool, validator, as JSON.
    ///
    /// # Errors
    /// The node does not answer.
    pub async fn node_status(&self) -> Result<Value, ClientError> {
        self.request("hallmark_nodeStatus", json!([])).await
    }

    /// Address of the key, if there is one.
    pub fn address(&self) -> Option<Address> {
        self.signing
            .as_ref()
            .map(|signing| signing.signer.address())
    }

    /// The connection beneath, for what has no method here (subscriptions).
    pub fn provider(&self) -> RootProvider {
        self.link
            .provider
            .read()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .clone()
    }

    /// Coins of an account, in wei.
    pub async fn balance(&self, account: Address) -> Result<U256, ClientError> {
        self.request("eth_getBalance", json!([account, "latest"]))
            .await
    }

    /// Height of the newest block, which is final.
    pub async fn block_number(&self) -> Result<u64, ClientError> {
        let number: U64 = self.request("eth_blockNumber", json!([])).await?;
        Ok(number.to())
    }

    /// The newest header's clock, in milliseconds.
    pub async fn now_ms(&self) -> Result<u64, ClientError> {
        self.head().await?.time_ms()
    }

    /// The clock of one block's header, in milliseconds; `None` if the node has no such block.
    pub async fn block_time_ms(&self, number: u64) -> Result<Option<u64>, ClientError> {
        let params = json!([format!("{number:#x}"), false]);
        let head: Option<Head> = self.request("eth_getBlockByNumber", params).await?;
        head.map(|head| head.time_ms()).transpose()
    }

    /// Hash of the genesis block: which chain this is, where several have one id.
    pub async fn genesis_hash(&self) -> Result<B256, ClientError> {
        let block: Value = self
            .request("eth_getBlockByNumber", json!(["0x0", false]))
            .await?;
        serde_json::from_value(block["hash"].clone())
            .map_err(|error| ClientError::Malformed(format!("the genesis block: {error}")))
    }

    /// Base fee of the newest block, in wei per gas.
    pub async fn base_fee(&self) -> Result<u128, ClientError> {
        Ok(self.head().await?.base_fee_per_gas.to())
    }

    async fn head(&self) -> Result<Head, ClientError> {
        self.request("eth_getBlockByNumber", json!(["latest", false]))
            .await
    }

    /// Plain transfer; waits for inclusion.
    pub async fn transfer(
        &self,
        to: Address,
        value: U256,
    ) -> Result<TransactionReceipt, ClientError> {
        self.execute(Call {
            to,
            value,
            ..Call::default()
        })
        .await
    }

    /// Runs a view and returns its raw result.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with the contract's error.
    pub async fn view(&self, to: Address, data: Bytes) -> Result<Bytes, ClientError> {
        let mut request = json!({ "to": to, "data": data });
        if let Some(from) = self.address() {
            request["from"] = json!(from);
        }
        self.request("eth_call", json!([request, "latest"])).await
    }

    /// Runs a view of a contract and decodes its result.
    pub async fn query<C: SolCall>(&self, to: Address, call: &C) -> Result<C::Return, ClientError> {
        let data = self.view(to, call.abi_encode().into()).await?;
        C::abi_decode_returns(&data)
            .map_err(|error| ClientError::Malformed(format!("{}: {error}", C::SIGNATURE)))
    }

    /// Gas that the node expects the call to use.
    ///
    /// # Errors
    /// [`ClientError::Refused`] if it would fail, with the contract's error.
    pub async fn estimate_gas(&self, call: &Call) -> Result<u64, ClientError> {
        let request = json!({
            "from": self.signing()?.signer.address(),
            "to": call.to,
            "data": call.data,
            "value": call.value,
        });
        let gas: U64 = self.request("eth_estimateGas", json!([request])).await?;
        Ok(gas.to())
    }

    /// Signs and sends; does not wait. Sends of clones are numbered one after another.
    pub async fn submit(&self, call: Call) -> Result<Signed, ClientError> {
        self.submit_with(call, |_| Ok(())).await
    }

    /// As [`Client::submit`], with a step between signing and sending (a journal entry). The step
    /// runs again if the transaction has to be numbered anew.
    pub async fn submit_with<F>(&self, call: Call, mut before: F) -> Result<Signed, ClientError>
    where
        F: FnMut(&Signed) -> Result<(), String> + Send,
    {
        let signing = self.signing()?;
        let gas_limit = match call.gas {
            Some(gas) => gas,
            None => {
                let gas = self.estimate_gas(&call).await?;
                gas.saturating_add(gas / 100 * GAS_MARGIN_PERCENT)
            }
        };
        let base_fee = self.base_fee().await?;
        let mut next = signing.nonce.lock().await;
        let mut retried = false;
        loop {
            let nonce = match *next {
                Some(nonce) => nonce,
                None => self.pending_nonce(signing.signer.address()).await?,
            };
            let transaction = TxEip1559 {
                chain_id: self.chain_id(),
                nonce,
                gas_limit,
                max_fee_per_gas: base_fee.saturating_mul(2).saturating_add(MIN_PRIORITY_FEE),
                max_priority_fee_per_gas: MIN_PRIORITY_FEE,
                to: TxKind::Call(call.to),
                value: call.value,
                access_list: Default::default(),
                input: call.data.clone(),
            };
            let signed = sign(&signing.signer, transaction)?;
            before(&signed).map_err(ClientError::BeforeSend)?;
            match self.rebroadcast(&signed.raw).await {
                Ok(_) => {
                    *next = nonce.checked_add(1);
                    return Ok(signed);
                }
                Err(ClientError::Rpc { message, .. }) if !retried && is_taken(&message) => {
                    *next = None;
                    retried = true;
                }
                // Refused: the number is still free.
                Err(error @ ClientError::Rpc { .. }) => return Err(error),
                // Perhaps accepted, perhaps not.
                Err(error) => {
                    *next = None;
                    return Err(error);
                }
            }
        }
    }

    /// Sends a signed transaction (again); one that the node already knows is no error.
    pub async fn rebroadcast(&self, raw: &[u8]) -> Result<B256, ClientError> {
        let raw = Bytes::copy_from_slice(raw);
        match self.request("eth_sendRawTransaction", json!([raw])).await {
            Err(ClientError::Rpc { message, .. }) if message.contains("already known") => {
                Ok(alloy_primitives::keccak256(&raw))
            }
            other => other,
        }
    }

    async fn pending_nonce(&self, account: Address) -> Result<u64, ClientError> {
        let nonce: U64 = self
            .request("eth_getTransactionCount", json!([account, "pending"]))
            .await?;
        Ok(nonce.to())
    }

    /// Waits until the transaction is in a block (which is then final), failed or not.
    ///
    /// # Errors
    /// [`ClientError::NotIncluded`], or the last failure to ask, when the time is over.
    pub async fn wait_receipt(
        &self,
        hash: B256,
        timeout: Duration,
    ) -> Result<TransactionReceipt, ClientError> {
        let start = Instant::now();
        loop {
            let asked = self.receipt(hash).await;
            if let Ok(Some(receipt)) = asked {
                return Ok(receipt);
            }
            if start.elapsed() >= timeout {
                if let Some(signing) = &self.signing {
                    *signing.nonce.lock().await = None;
                }
                return Err(match asked {
                    Err(error) => error,
                    Ok(_) => ClientError::NotIncluded {
                        hash,
                        waited: timeout,
                    },
                });
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The receipt, if the transaction is in a block.
    pub async fn receipt(&self, hash: B256) -> Result<Option<TransactionReceipt>, ClientError> {
        self.request("eth_getTransactionReceipt", json!([hash]))
            .await
    }

    /// Why an included transaction failed, by asking the node to run it again after its block;
    /// `None` if the node no longer knows the block's state or the call passes there.
    pub async fn failure_reason(
        &self,
        receipt: &TransactionReceipt,
    ) -> Result<Option<Revert>, ClientError> {
        let hash = receipt.transaction_hash;
        let tx: Value = self
            .request("eth_getTransactionByHash", json!([hash]))
            .await?;
        let gas: U64 = serde_json::from_value(tx["gas"].clone()).unwrap_or_default();
        if gas.to::<u64>() == receipt.gas_used {
            return Ok(Some(Revert::without_data(format!(
                "out of gas: all {gas} used"
            ))));
        }
        let request = json!({
            "from": tx["from"], "to": tx["to"], "data": tx["input"],
            "value": tx["value"], "gas": tx["gas"],
        });
        let block = U64::from(receipt.block_number.unwrap_or_default());
        match self
            .request::<Bytes>("eth_call", json!([request, block]))
            .await
        {
            Err(ClientError::Refused(revert)) => Ok(Some(revert)),
            Err(ClientError::Rpc { message, .. }) => Ok(Some(Revert::without_data(message))),
            Err(other) => Err(other),
            Ok(_) => Ok(None),
        }
    }

    /// Sends, waits and turns a failed transaction into [`ClientError::Reverted`] with its reason.
    pub async fn execute(&self, call: Call) -> Result<TransactionReceipt, ClientError> {
        let signed = self.submit(call).await?;
        self.finish(signed.hash).await
    }

    /// Waits for a transaction that was sent; a failed one is an error with its reason.
    pub async fn finish(&self, hash: B256) -> Result<TransactionReceipt, ClientError> {
        let receipt = self.wait_receipt(hash, INCLUSION_TIMEOUT).await?;
        if receipt.status() {
            return Ok(receipt);
        }
        // The transaction has failed whatever the node can say of it.
        let reason = self.failure_reason(&receipt).await.unwrap_or_default();
        Err(ClientError::Reverted { hash, reason })
    }

    fn signing(&self) -> Result<&Signing, ClientError> {
        self.signing.as_deref().ok_or(ClientError::NoKey)
    }

    /// One JSON-RPC request.
    pub(crate) async fn request<T>(
        &self,
        method: &'static str,
        parameters: Value,
    ) -> Result<T, ClientError>
    where
        T: DeserializeOwned + std::fmt::Debug + Send + Sync + Unpin + 'static,
    {
        let mut attempt = 0;
        loop {
            let answer = raw_request(&self.provider(), method, parameters.clone()).await;
            match answer {
                Err(ClientError::Rpc {
                    code: SERVER_BOUND,
                    ref message,
                    ..
                }) if message.contains("busy") && attempt < BUSY_ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(BUSY_PAUSE * attempt).await;
                }
                answer => return answer,
            }
        }
    }
}

async fn open(url: &str) -> Result<RootProvider, ClientError> {
    let failed = |reason: String| ClientError::Connect {
        url: url.to_owned(),
        reason,
    };
    if url.starts_with("http://") || url.starts_with("https://") {
        let parsed = url.parse().map_err(|_| ClientError::Url(url.to_owned()))?;
        let http = Http::new(parsed).map_err(|error| failed(error.to_string()))?;
        let client = RpcClient::new(http, false);
        return Ok(ProviderBuilder::default().connect_client(client));
    }
    if url.starts_with("ws://") || url.starts_with("wss://") {
        // A broken connection is tried once at once; longer outages are for the caller to see.
        let connect = WsConnect::new(url).with_max_retries(1);
        let connected = ProviderBuilder::default().connect_ws(connect).await;
        return connected.map_err(|error| failed(error.to_string()));
    }
    Err(ClientError::Url(url.to_owned()))
}

async fn ask_chain_id(url: &str, provider: &RootProvider) -> Result<u64, ClientError> {
    let asked: Result<U64, _> = raw_request(provider, "eth_chainId", json!([])).await;
    match asked {
        Ok(id) => Ok(id.to()),
        Err(error) => Err(ClientError::Connect {
            url: url.to_owned(),
            reason: error.to_string(),
        }),
    }
}

async fn raw_request<T>(
    provider: &RootProvider,
    method: &'static str,
    parameters: Value,
) -> Result<T, ClientError>
where
    T: DeserializeOwned + std::fmt::Debug + Send + Sync + Unpin + 'static,
{
    let asked = provider.raw_request::<Value, T>(method.into(), parameters);
    // Whoever is asked may be hostile and never answer.
    let error = match tokio::time::timeout(ANSWER_TIMEOUT, asked).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error,
        Err(_) => {
            return Err(ClientError::Transport {
                method,
                reason: format!("no answer within {ANSWER_TIMEOUT:?}"),
            });
        }
    };
    let Some(response) = error.as_error_resp() else {
        return Err(ClientError::Transport {
            method,
            reason: error.to_string(),
        });
    };
    let data = response
        .data
        .as_ref()
        .and_then(|data| serde_json::from_str::<Bytes>(data.get()).ok());
    Err(match data {
        Some(data) if response.code == 3 => ClientError::Refused(Revert::decode(&data)),
        _ => ClientError::Rpc {
            method,
            code: response.code,
            message: response.message.to_string(),
        },
    })
}

fn sign(signer: &PrivateKeySigner, mut transaction: TxEip1559) -> Result<Signed, ClientError> {
    let signature = signer
        .sign_transaction_sync(&mut transaction)
        .map_err(|error| ClientError::Signing(error.to_string()))?;
    let nonce = transaction.nonce;
    let envelope = TxEnvelope::from(transaction.into_signed(signature));
    Ok(Signed {
        hash: *envelope.tx_hash(),
        nonce,
        raw: envelope.encoded_2718().into(),
    })
}

/// Whether a refusal says that the nonce belongs to another transaction.
fn is_taken(message: &str) -> bool {
    message.contains("nonce too low") || message.contains("replacement transaction underpriced")
}
