//! The executor: rules of one chain, and what it remembers between blocks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use alloy_consensus::Header;
use alloy_primitives::{Address, B256};
use alloy_rlp::Encodable;
use hallmark_state::{Executed, State, Store};
use hallmark_types::{Block, ChainSpec, HeaderExtra, Transaction, header, merkle};
use rayon::prelude::*;
use revm::context::BlockEnv;

use crate::block::{BlockRun, Outcome, Refusal};
use crate::evm::BlockContext;
use crate::memo::Memo;
use crate::precompiles::{Runtime, SystemPrecompiles, Verdict};
use crate::recover::{encoded_len, recover_sender};
use crate::validate::{MIX_HASH, check_form, check_leader, check_outcome};
use crate::{
    BlockAttributes, BlockError, Built, PooledTransaction, RecoverError, TransactionError, genesis,
};

/// Senders remembered per generation, about 120 bytes each.
const SENDERS: usize = 32_768;

/// Proof verdicts remembered per generation.
const VERDICTS: usize = 4_096;

/// Hashes of the blocks below the one that is executed (EVM opcode BLOCKHASH and claim anchors).
pub trait Ancestry {
    /// Hash of the ancestor at `number`, if it is known. Only the last 256 heights are asked for,
    /// and never the parent's, which the executor knows.
    fn block_hash(&self, number: u64) -> Option<B256>;
}

/// No ancestor but the parent is known: for tests and single calls.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoAncestry;

impl Ancestry for NoAncestry {
    fn block_hash(&self, _number: u64) -> Option<B256> {
        None
    }
}

impl Ancestry for Store {
    fn block_hash(&self, number: u64) -> Option<B256> {
        Store::block_hash(self, number)
    }
}

/// How often the expensive work was really done by one executor.
#[derive(Debug, Default)]
pub struct Counters {
    /// Proofs verified while building or executing blocks (cache misses only).
    pub proof_verifications: AtomicU64,
    /// Proofs verified for `eth_call` and gas estimates (cache misses only).
    pub call_verifications: AtomicU64,
    /// Senders recovered from signatures (cache misses only).
    pub sender_recoveries: AtomicU64,
}

/// Executes blocks and calls by the rules of one chain. Cheap to share by `Arc`; every method
/// takes `&self`. Its caches are its own and bounded: two generations of 32,768 senders and of
/// 4,096 verdicts.
pub struct Executor {
    spec: Arc<ChainSpec>,
    counters: Counters,
    senders: Memo<Result<Address, RecoverError>>,
    verdicts: Memo<Verdict>,
    call_verdicts: Memo<Verdict>,
}

impl Executor {
    /// An executor for the chain of `spec`, with empty caches.
    pub fn new(spec: Arc<ChainSpec>) -> Self {
        Self {
            spec,
            counters: Counters::default(),
            senders: Memo::new(SENDERS),
            verdicts: Memo::new(VERDICTS),
            call_verdicts: Memo::new(VERDICTS),
        }
    }

    /// The chain's spec.
    pub fn spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// What was really computed so far.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The genesis block and state that follow from the spec.
    pub fn genesis(&self) -> Executed {
        genesis::genesis(&self.spec)
    }

    pub(crate) fn precompiles_for_blocks(&self, block: &BlockContext) -> SystemPrecompiles<'_> {
        SystemPrecompiles::new(Runtime {
            spec: &self.spec,
            timestamp_ms: block.timestamp_ms,
            base_fee: block.base_fee,
            leader: block.leader,
            verdicts: &self.verdicts,
            verifications: &self.counters.proof_verifications,
        })
    }

    pub(crate) fn precompiles_for_calls(&self, block: &BlockContext) -> SystemPrecompiles<'_> {
        SystemPrecompiles::new(Runtime {
            spec: &self.spec,
            timestamp_ms: block.timestamp_ms,
            base_fee: block.base_fee,
            leader: block.leader,
            verdicts: &self.call_verdicts,
            verifications: &self.counters.call_verifications,
        })
    }

    /// What the system contracts would be given in the block of a state test.
    pub(crate) fn runtime_for_tests(&self, block: &BlockEnv) -> Runtime<'_> {
        Runtime {
            spec: &self.spec,
            timestamp_ms: block.timestamp.saturating_to::<u64>().saturating_mul(1000),
            base_fee: block.basefee,
            leader: 0,
            verdicts: &self.call_verdicts,
            verifications: &self.counters.call_verifications,
        }
    }

    /// Recovers the sender of a transaction: the one place of sender recovery. The result is
    /// remembered, so that executing the transaction later recovers nothing.
    ///
    /// # Errors
    /// When the signature does not recover, or is malleable (EIP-2).
    pub fn recover(&self, tx: Transaction) -> Result<PooledTransaction, RecoverError> {
        let sender = self.sender(&tx)?;
        let hash = *tx.tx_hash();
        let encoded_len = encoded_len(&tx);
        Ok(PooledTransaction {
            tx,
            hash,
            sender,
            encoded_len,
        })
    }

    fn sender(&self, tx: &Transaction) -> Result<Address, RecoverError> {
        // The hash covers the signature.
        self.senders.get_or(*tx.tx_hash(), || {
            self.counters
                .sender_recoveries
                .fetch_add(1, Ordering::Relaxed);
            recover_sender(tx)
        })
    }

    /// Senders of a block's transactions, recovered in parallel.
    fn senders_of(&self, block: &Block) -> Result<Vec<Address>, BlockError> {
        block
            .transactions
            .par_iter()
            .enumerate()
            .map(|(index, tx)| self.sender(tx).map_err(|_| BlockError::Signature { index }))
            .collect()
    }

    /// Builds the next block on `parent` from `candidates`, in their order. Candidates that do not
    /// fit or are invalid are skipped and reported; the transactions of a sender that follow a
    /// skipped one fail by their nonces.
    ///
    /// # Errors
    /// [`BlockError::Fatal`], and [`BlockError::Timestamp`], [`BlockError::Epoch`],
    /// [`BlockError::Leader`] or [`BlockError::Beneficiary`] when the attributes break the chain's rules.
    pub fn build_block(
        &self,
        parent: &Header,
        parent_state: &State,
        attributes: BlockAttributes,
        candidates: Vec<Arc<PooledTransaction>>,
        ancestry: &dyn Ancestry,
    ) -> Result<Built, BlockError> {
        let limits = &self.spec.limits;
        let parent_hash = parent.hash_slow();
        let mut head = self.draft(parent, parent_hash, &attributes);
        // An empty body: what is wrong with the attributes is found before any work.
        let draft = Block {
            header: head.clone(),
            transactions: Vec::new(),
        };
        check_form(&self.spec, parent, parent_hash, &draft)?;
        check_leader(&self.spec, parent_state, &draft.header)?;
        let context = self.context(&head);
        let mut run = BlockRun::new(self, context, parent, parent_hash, parent_state, ancestry);
        // Framing of the list of transactions: at most eight bytes more than when it is empty.
        let mut room = limits
            .max_block_bytes
            .saturating_sub(draft.rlp_len() + LIST_FRAMING);
        let (mut transactions, mut senders, mut refused) = (Vec::new(), Vec::new(), Vec::new());
        for candidate in candidates {
            let size = candidate.tx.length();
            if size > room || candidate.encoded_len > limits.max_tx_bytes {
                refused.push((candidate.hash, TransactionError::BlockBytesExhausted));
                continue;
            }
            match run.transact(&candidate.tx, candidate.sender) {
                Ok(()) => {
                    room -= size;
                    transactions.push(candidate.tx.clone());
                    senders.push(candidate.sender);
                }
                Err(Refusal::Invalid(error)) => refused.push((candidate.hash, error)),
                Err(Refusal::Fatal(error)) => return Err(BlockError::Fatal(error)),
            }
        }
        let outcome = run.finish(parent_state)?;
        head.transactions_root = merkle::transactions_root(&transactions);
        head.gas_used = outcome.gas_used;
        head.receipts_root = merkle::receipts_root(&outcome.receipts);
        head.logs_bloom = merkle::logs_bloom(&outcome.receipts);
        head.state_root = outcome.state.root();
        let block = Block {
            header: head,
            transactions,
        };
        let hash = block.hash();
        Ok(Built {
            executed: executed(Arc::new(block), hash, senders, outcome),
            refused,
        })
    }

    /// Executes `block` on its parent and compares every header field with what it computed.
    ///
    /// # Errors
    /// [`BlockError::Fatal`] when this node cannot judge; every other variant names what makes the
    /// block permanently invalid on this parent.
    pub fn execute_block(
        &self,
        parent: &Header,
        parent_state: &State,
        block: &Block,
        ancestry: &dyn Ancestry,
    ) -> Result<Executed, BlockError> {
        let parent_hash = parent.hash_slow();
        check_form(&self.spec, parent, parent_hash, block)?;
        check_leader(&self.spec, parent_state, &block.header)?;
        let senders = self.senders_of(block)?;
        let context = self.context(&block.header);
        let mut run = BlockRun::new(self, context, parent, parent_hash, parent_state, ancestry);
        run.transact_all(&block.transactions, &senders)?;
        let outcome = run.finish(parent_state)?;
        check_outcome(&block.header, &outcome)?;
        Ok(executed(
            Arc::new(block.clone()),
            block.hash(),
            senders,
            outcome,
        ))
    }

    /// Runs a block's transactions by `senders` on its parent's state, and gives the gas that they use.
    /// Nothing is checked against the header, swept or rooted: for measurements of the machine alone.
    ///
    /// # Errors
    /// As [`execute_block`](Self::execute_block), for a transaction that cannot be executed.
    pub fn run_transactions(
        &self,
        parent: &Header,
        parent_state: &State,
        block: &Block,
        senders: &[Address],
        ancestry: &dyn Ancestry,
    ) -> Result<u64, BlockError> {
        let context = self.context(&block.header);
        let parent_hash = block.header.parent_hash;
        let mut run = BlockRun::new(self, context, parent, parent_hash, parent_state, ancestry);
        run.transact_all(&block.transactions, senders)?;
        Ok(context.gas_limit.saturating_sub(run.gas_left()))
    }

    /// The header of a block on `parent`, without what follows from its transactions.
    fn draft(&self, parent: &Header, parent_hash: B256, attributes: &BlockAttributes) -> Header {
        let (timestamp, ms) = header::split_timestamp(attributes.timestamp_ms);
        let extra = HeaderExtra {
            ms,
            epoch: attributes.epoch,
            view: attributes.view,
            parent_view: attributes.parent_view,
            leader: attributes.leader,
        };
        Header {
            parent_hash,
            number: parent.number.saturating_add(1),
            beneficiary: attributes.beneficiary,
            gas_limit: self.spec.limits.block_gas_limit,
            timestamp,
            extra_data: extra.encode(),
            mix_hash: MIX_HASH,
            base_fee_per_gas: Some(hallmark_types::next_base_fee(parent, &self.spec)),
            ..header::template()
        }
    }

    pub(crate) fn context(&self, head: &Header) -> BlockContext {
        BlockContext {
            number: head.number,
            timestamp_ms: header::timestamp_ms(head),
            beneficiary: head.beneficiary,
            leader: header::extra(head).map_or(0, |extra| extra.leader),
            gas_limit: head.gas_limit,
            base_fee: head.base_fee_per_gas.unwrap_or_default(),
            prev_randao: head.mix_hash,
        }
    }
}

/// Most bytes by which RLP list framing (two nested lists) grows from empty to the largest block,
/// and by which the header grows from the draft to the final one.
const LIST_FRAMING: usize = 32;

fn executed(block: Arc<Block>, hash: B256, senders: Vec<Address>, outcome: Outcome) -> Executed {
    let Outcome {
        receipts,
        sweep_logs,
        diff,
        state,
        ..
    } = outcome;
    Executed {
        block,
        hash,
        senders,
        receipts,
        sweep_logs,
        diff,
        state,
    }
}
