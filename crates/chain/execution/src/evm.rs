//! revm, set up by the chain spec: fork, caps, block environment, transaction environment.

use alloy_consensus::Transaction as _;
use alloy_consensus::Typed2718;
use alloy_eips::eip2930::AccessList;
use alloy_eips::eip7702::SignedAuthorization;
use alloy_primitives::{Address, B256, U256};
use hallmark_types::{ChainSpec, Transaction};
use revm::context::either::Either;
use revm::context::result::{EVMError, InvalidTransaction};
use revm::context::{BlockEnv, CfgEnv, Context, Evm, Journal, TxEnv};
use revm::context_interface::block::BlobExcessGasAndPrice;
use revm::context_interface::cfg::GasParams;
use revm::context_interface::cfg::gas_params::GasId;
use revm::handler::EthFrame;
use revm::handler::instructions::EthInstructions;
use revm::interpreter::interpreter::EthInterpreter;
use revm::primitives::hardfork::SpecId;

use crate::TransactionError;
use crate::db::{BlockDb, DbError};
use crate::precompiles::SystemPrecompiles;

/// The fork whose rules hold from genesis.
pub(crate) const FORK: SpecId = SpecId::OSAKA;

/// EIP-4844: blobs have no carrier on this chain.
const BLOB_TYPE: u8 = 3;
/// EIP-7702: the last type that this chain carries.
const LAST_TYPE: u8 = 4;

pub(crate) type Ctx<'a> = Context<BlockEnv, TxEnv, CfgEnv, BlockDb<'a>, Journal<BlockDb<'a>>, ()>;
/// `I` watches the execution; blocks and calls have nobody who does.
pub(crate) type ChainEvm<'a, I = ()> = Evm<
    Ctx<'a>,
    I,
    EthInstructions<EthInterpreter, Ctx<'a>>,
    SystemPrecompiles<'a>,
    EthFrame<EthInterpreter>,
>;
pub(crate) type EvmError = EVMError<DbError, InvalidTransaction>;

/// What the EVM and the contracts may know of the block that they run in.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockContext {
    pub(crate) number: u64,
    pub(crate) timestamp_ms: u64,
    pub(crate) beneficiary: Address,
    /// Index of the proposer in the set of the block's epoch.
    pub(crate) leader: u16,
    pub(crate) gas_limit: u64,
    pub(crate) base_fee: u64,
    /// Opcode PREVRANDAO; constant on this chain, so contracts must not use it as randomness.
    pub(crate) prev_randao: B256,
}

/// The fork's gas prices with the chain's own price of payload bytes.
pub(crate) fn gas_params(spec: &ChainSpec) -> GasParams {
    let mut params = GasParams::new_spec(FORK);
    params.override_gas([
        (GasId::tx_token_cost(), spec.limits.payload_gas_per_token),
        (
            GasId::tx_floor_cost_per_token(),
            spec.limits.payload_floor_gas_per_token,
        ),
    ]);
    params
}

/// Gas that a transaction of this form needs at least, whatever it executes: the base cost, its
/// payload, its access list and its init code, and no less than the payload's floor (EIP-7623).
pub fn intrinsic_gas(tx: &Transaction, spec: &ChainSpec) -> u64 {
    let slots = |list: &AccessList| {
        list.iter()
            .map(|item| item.storage_keys.len() as u64)
            .fold(0, u64::saturating_add)
    };
    let gas = gas_params(spec).initial_tx_gas(
        tx.input(),
        tx.is_create(),
        tx.access_list().map_or(0, |list| list.len() as u64),
        tx.access_list().map_or(0, slots),
        tx.authorization_list().map_or(0, |list| list.len() as u64),
        None,
    );
    gas.initial_total_gas().max(gas.floor_gas())
}

/// An EVM over `db`, for transactions of at most `tx_gas_limit` gas.
pub(crate) fn evm<'a>(
    spec: &ChainSpec,
    block: &BlockContext,
    tx_gas_limit: u64,
    db: BlockDb<'a>,
    precompiles: SystemPrecompiles<'a>,
) -> ChainEvm<'a> {
    let mut cfg = CfgEnv::new_with_spec_and_gas_params(FORK, gas_params(spec));
    cfg.chain_id = spec.chain_id;
    cfg.tx_gas_limit_cap = Some(tx_gas_limit);
    let block = BlockEnv {
        number: U256::from(block.number),
        beneficiary: block.beneficiary,
        timestamp: U256::from(block.timestamp_ms / 1000),
        gas_limit: block.gas_limit,
        basefee: block.base_fee,
        difficulty: U256::ZERO,
        prevrandao: Some(block.prev_randao),
        blob_excess_gas_and_price: Some(BlobExcessGasAndPrice::new_with_spec(0, FORK)),
        slot_num: block.number,
    };
    machine(cfg, block, db, precompiles)
}

/// An EVM with these settings: the one that blocks, calls and state tests run on.
pub(crate) fn machine<'a>(
    cfg: CfgEnv,
    block: BlockEnv,
    db: BlockDb<'a>,
    precompiles: SystemPrecompiles<'a>,
) -> ChainEvm<'a> {
    let fork = cfg.spec;
    let ctx: Ctx<'a> = Context::new(db, fork);
    Evm::new(
        ctx.with_cfg(cfg).with_block(block),
        EthInstructions::new_mainnet_with_spec(fork),
        precompiles,
    )
}

/// revm's view of a signed transaction.
///
/// # Errors
/// For types other than 0, 1, 2 and 4, and for fees beyond any balance.
pub(crate) fn tx_env(tx: &Transaction, sender: Address) -> Result<TxEnv, TransactionError> {
    let invalid = |text: &str| Err(TransactionError::Invalid(text.to_owned()));
    if tx.ty() > LAST_TYPE || tx.ty() == BLOB_TYPE {
        return Err(TransactionError::UnsupportedType(tx.ty()));
    }
    if tx
        .max_fee_per_gas()
        .checked_mul(u128::from(tx.gas_limit()))
        .is_none()
    {
        return invalid("max fee per gas higher than 2^128 / gas limit");
    }
    Ok(TxEnv {
        tx_type: tx.ty(),
        caller: sender,
        gas_limit: tx.gas_limit(),
        gas_price: tx.max_fee_per_gas(),
        kind: tx.kind(),
        value: tx.value(),
        data: tx.input().clone(),
        nonce: tx.nonce(),
        chain_id: tx.chain_id(),
        access_list: tx.access_list().cloned().unwrap_or_default(),
        gas_priority_fee: tx.max_priority_fee_per_gas(),
        blob_hashes: Vec::new(),
        max_fee_per_blob_gas: 0,
        authorization_list: authorizations(tx.authorization_list().unwrap_or_default()),
    })
}

/// revm recovers the authorities itself, while it executes.
pub(crate) fn authorizations<R>(
    list: &[SignedAuthorization],
) -> Vec<Either<SignedAuthorization, R>> {
    list.iter().cloned().map(Either::Left).collect()
}

/// revm's validation errors in this crate's words.
pub(crate) fn transaction_error(
    error: InvalidTransaction,
    gas_price: u128,
    base_fee: u64,
) -> TransactionError {
    match error {
        InvalidTransaction::NonceTooHigh { tx, state } => {
            TransactionError::NonceTooHigh { state, tx }
        }
        InvalidTransaction::NonceTooLow { tx, state } => {
            TransactionError::NonceTooLow { state, tx }
        }
        InvalidTransaction::LackOfFundForMaxFee { fee, balance } => {
            TransactionError::InsufficientFunds {
                balance: *balance,
                cost: *fee,
            }
        }
        InvalidTransaction::GasPriceLessThanBasefee => TransactionError::FeeCapTooLow {
            fee_cap: gas_price,
            base_fee,
        },
        other => TransactionError::Invalid(other.to_string()),
    }
}
