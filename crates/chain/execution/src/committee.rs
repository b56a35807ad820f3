//! The validators of an epoch, out of the state.

use alloy_primitives::{Address, U256};
use hallmark_contracts::{Reader, staking::Staking};
use hallmark_state::State;
use hallmark_types::{ChainSpec, Committee};

/// Contracts' storage in `state`.
pub(crate) fn reader(
    state: &State,
) -> Reader<impl FnMut(Address, U256) -> Result<U256, String> + '_> {
    Reader::new(|address, slot| Ok(state.storage(&address, &slot)))
}

/// The validators of `epoch` as `state` has them: the set that was frozen at the end of epoch
/// `epoch - 2`, of genesis for the first two. `None` if it is not decided in this state, or forgotten
/// (sets are kept for `unbonding_epochs + 4` epochs).
///
/// The order is the set's: a header's `leader` is an index into it. Keys and addresses of a set never
/// change; the advertised `p2p` addresses are those of this state.
pub fn committee(state: &State, _spec: &ChainSpec, epoch: u64) -> Option<Committee> {
    // Reading a state cannot fail, and numbers in it are in range: only the contract wrote them.
    Staking::new()
        .committee(&mut reader(state), epoch)
        .ok()
        .flatten()
}
