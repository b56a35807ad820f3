//! The EVM's precompiles and the system contracts beside them.
//!
//! A system contract is native code at a fixed address with code `0xEF`. A call with data runs it;
//! a call without data is a plain transfer, whose coins are surplus. What it refuses reverts with
//! its ABI error; running out of gas uses up the frame's gas; unreadable state aborts the block.
//! DELEGATECALL and CALLCODE would run it on the caller's storage and are refused.

use std::sync::atomic::AtomicU64;

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{Revert, SolError};
use hallmark_contracts::{ContractError, is_system_contract};
use hallmark_types::ChainSpec;
use revm::handler::{EthPrecompiles, PrecompileProvider};
use revm::interpreter::{CallInputs, Gas, InstructionResult, InterpreterResult};
use revm::primitives::AddressSet;
use revm::primitives::hardfork::SpecId;

use crate::evm::{Ctx, FORK};
use crate::genesis::SYSTEM_CONTRACTS;
use crate::host::JournalHost;
use crate::memo::Memo;

/// Whether a proof holds, or why it does not.
pub(crate) type Verdict = Result<(), String>;

/// What the contracts need beyond revm's context.
#[derive(Clone, Copy)]
pub(crate) struct Runtime<'a> {
    pub(crate) spec: &'a ChainSpec,
    pub(crate) timestamp_ms: u64,
    /// The block's base fee, also where a call pays none.
    pub(crate) base_fee: u64,
    /// Index of the block's proposer in the set of its epoch.
    pub(crate) leader: u16,
    pub(crate) verdicts: &'a Memo<Verdict>,
    pub(crate) verifications: &'a AtomicU64,
}

/// revm's provider: the fork's precompiles and the system contracts.
pub(crate) struct SystemPrecompiles<'a> {
    ethereum: EthPrecompiles,
    warm: AddressSet,
    runtime: Runtime<'a>,
}

impl<'a> SystemPrecompiles<'a> {
    pub(crate) fn new(runtime: Runtime<'a>) -> Self {
        Self::at(FORK, runtime)
    }

    /// With the precompiles of another fork than the chain's (state tests only).
    pub(crate) fn at(fork: SpecId, runtime: Runtime<'a>) -> Self {
        let ethereum = EthPrecompiles::new(fork);
        let mut warm = ethereum.warm_addresses().clone();
        warm.extend(SYSTEM_CONTRACTS);
        Self {
            ethereum,
            warm,
            runtime,
        }
    }

    /// Addresses that cost no more for being touched first.
    pub(crate) fn always_warm(&self) -> AddressSet {
        self.warm.clone()
    }

    /// A host for work that no transaction asked for.
    pub(crate) fn system_host<'h, 'db>(
        &'h self,
        ctx: &'h mut Ctx<'db>,
        gas: u64,
    ) -> JournalHost<'h, 'db> {
        JournalHost::new(
            ctx,
            self.runtime,
            Gas::new(gas),
            Address::ZERO,
            U256::ZERO,
            false,
        )
    }
}

impl<'a, 'db> PrecompileProvider<Ctx<'db>> for SystemPrecompiles<'a> {
    type Output = InterpreterResult;

    fn set_spec(&mut self, _spec: SpecId) -> bool {
        // The fork never changes; revm warms the addresses of a fresh journal by itself.
        false
    }

    fn run(
        &mut self,
        ctx: &mut Ctx<'db>,
        inputs: &CallInputs,
    ) -> Result<Option<InterpreterResult>, String> {
        if !is_system_contract(&inputs.bytecode_address) {
            return self.ethereum.run(ctx, inputs);
        }
        let gas = Gas::new_with_regular_gas_and_reservoir(inputs.gas_limit, inputs.reservoir);
        let done = |result, output, gas| Ok(Some(InterpreterResult::new(result, output, gas)));
        if inputs.target_address != inputs.bytecode_address {
            let data = Revert::from("system contracts refuse delegate calls").abi_encode();
            return done(InstructionResult::Revert, data.into(), gas);
        }
        if inputs.input.is_empty() {
            return done(InstructionResult::Stop, Bytes::new(), gas);
        }
        // A copy: the input may lie in memory that the journal's context shares.
        let input = inputs.input.bytes(ctx);
        let mut host = JournalHost::new(
            ctx,
            self.runtime,
            gas,
            inputs.caller,
            inputs.value.get(),
            inputs.is_static,
        );
        let outcome = hallmark_contracts::call(&mut host, inputs.target_address, &input);
        let mut gas = host.into_gas();
        match outcome {
            Ok(output) => done(InstructionResult::Return, output, gas),
            Err(ContractError::Revert(data)) => done(InstructionResult::Revert, data, gas),
            Err(ContractError::OutOfGas) => {
                gas.spend_all();
                done(InstructionResult::PrecompileOOG, Bytes::new(), gas)
            }
            Err(ContractError::Fatal(error)) => Err(error),
        }
    }

    fn warm_addresses(&self) -> &AddressSet {
        &self.warm
    }
}
