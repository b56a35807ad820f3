//! A block from somebody else: every field of its header is checked before, or compared after,
//! its execution.

use alloy_consensus::Header;
use alloy_primitives::{B256, Bloom};
use hallmark_contracts::staking::Staking;
use hallmark_state::State;
use hallmark_types::{
    Block, ChainSpec, DecodeError, HeaderExtra, check_transaction, header, merkle,
};

use crate::block::Outcome;
use crate::committee::reader;
use crate::{BlockError, TransactionError};

/// Opcode PREVRANDAO and the header's `mixHash`: this chain offers no randomness there.
pub(crate) const MIX_HASH: B256 = B256::ZERO;

/// Checks everything about `block` that needs neither execution nor state, and returns the header's extra.
pub(crate) fn check_form(
    spec: &ChainSpec,
    parent: &Header,
    parent_hash: B256,
    block: &Block,
) -> Result<HeaderExtra, BlockError> {
    let head = &block.header;
    if head.parent_hash != parent_hash {
        return Err(BlockError::ParentHash {
            got: head.parent_hash,
            expected: parent_hash,
        });
    }
    let number = parent
        .number
        .checked_add(1)
        .ok_or(BlockError::Fatal("height overflows".into()))?;
    if head.number != number {
        return Err(BlockError::Number {
            got: head.number,
            expected: number,
        });
    }
    let extra = header::check_fixed_fields(head).map_err(|error| match error {
        DecodeError::HeaderField {
            field: "timestamp", ..
        } => BlockError::Timestamp(error.to_string()),
        DecodeError::HeaderField { field, .. } => BlockError::ConstantField(field),
        other => BlockError::Extra(other.to_string()),
    })?;
    if head.mix_hash != MIX_HASH {
        return Err(BlockError::ConstantField("mixHash"));
    }
    header::check_timestamp(parent, head, &spec.limits)
        .map_err(|error| BlockError::Timestamp(error.to_string()))?;
    let epoch = spec.staking.epoch_of(number);
    if u64::from(extra.epoch) != epoch {
        return Err(BlockError::Epoch {
            got: extra.epoch,
            expected: epoch,
        });
    }
    if head.gas_limit != spec.limits.block_gas_limit {
        let expected = spec.limits.block_gas_limit;
        return Err(BlockError::GasLimit {
            got: head.gas_limit,
            expected,
        });
    }
    let base_fee = hallmark_types::next_base_fee(parent, spec);
    if head.base_fee_per_gas != Some(base_fee) {
        return Err(BlockError::BaseFee {
            got: head.base_fee_per_gas,
            expected: base_fee,
        });
    }
    let (got, limit) = (block.rlp_len(), spec.limits.max_block_bytes);
    if got > limit {
        return Err(BlockError::TooLarge { got, limit });
    }
    for (index, tx) in block.transactions.iter().enumerate() {
        check_transaction(tx, spec).map_err(|error| match error {
            DecodeError::TooLarge { len, max, .. } => BlockError::TransactionTooLarge {
                index,
                got: len,
                limit: max,
            },
            DecodeError::UnsupportedType { ty, .. } => BlockError::Transaction {
                index,
                error: TransactionError::UnsupportedType(ty),
            },
            DecodeError::Signature => BlockError::Signature { index },
            other => BlockError::Transaction {
                index,
                error: TransactionError::Invalid(other.to_string()),
            },
        })?;
    }
    let expected = merkle::transactions_root(&block.transactions);
    if head.transactions_root != expected {
        return Err(BlockError::TransactionsRoot {
            got: head.transactions_root,
            expected,
        });
    }
    Ok(extra)
}

/// Checks the proposer against the set of the block's epoch, as the parent's state has it.
pub(crate) fn check_leader(
    spec: &ChainSpec,
    parent_state: &State,
    head: &Header,
) -> Result<(), BlockError> {
    let extra = header::extra(head).map_err(|error| BlockError::Extra(error.to_string()))?;
    let epoch = spec.staking.epoch_of(head.number);
    let (validators, address) = Staking::new()
        .beneficiary(&mut reader(parent_state), epoch, extra.leader)
        .map_err(|error| BlockError::Fatal(error.to_string()))?;
    if validators == 0 {
        return Err(BlockError::Fatal(format!(
            "epoch {epoch} has no validators"
        )));
    }
    let expected = address.ok_or(BlockError::Leader {
        leader: extra.leader,
        validators: validators.into(),
    })?;
    if head.beneficiary != expected {
        return Err(BlockError::Beneficiary {
            got: head.beneficiary,
            expected,
        });
    }
    Ok(())
}

/// Compares what the header claims of the execution with what it came to.
pub(crate) fn check_outcome(head: &Header, outcome: &Outcome) -> Result<(), BlockError> {
    if head.gas_used != outcome.gas_used {
        return Err(BlockError::GasUsed {
            got: head.gas_used,
            expected: outcome.gas_used,
        });
    }
    let expected = merkle::receipts_root(&outcome.receipts);
    if head.receipts_root != expected {
        return Err(BlockError::ReceiptsRoot {
            got: head.receipts_root,
            expected,
        });
    }
    let bloom: Bloom = merkle::logs_bloom(&outcome.receipts);
    if head.logs_bloom != bloom {
        return Err(BlockError::Bloom {
            got: Box::new(head.logs_bloom),
            expected: Box::new(bloom),
        });
    }
    let expected = outcome.state.root();
    if head.state_root != expected {
        return Err(BlockError::StateRoot {
            got: head.state_root,
            expected,
        });
    }
    Ok(())
}
