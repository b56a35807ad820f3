//! The system contracts' Solidity interfaces as Rust types, and nothing else.
//!
//! `contracts/*.sol` is the single source: change an interface there.
//!
//! | module | interface | address |
//! |---|---|---|
//! | [`system`] | errors of every system contract | |
//! | [`staking`] | `IStaking` | `0x4841…01` |
//! | [`models`] | `IModels` | `0x4841…02` |
//! | [`inference`] | `IInference` | `0x4841…03` |
//! | [`verifier`] | `IVerifier` | `0x4841…04` |
//! | [`topics`] | `ITopics` | `0x4841…05` |

/// Errors common to all system contracts.
#[allow(missing_docs, clippy::too_many_arguments)]
pub mod system {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        "../../../contracts/System.sol"
    );
}

/// Stake and validator sets.
#[allow(missing_docs, clippy::too_many_arguments)]
pub mod staking {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        "../../../contracts/Staking.sol"
    );
}

/// The register of models.
#[allow(missing_docs, clippy::too_many_arguments)]
pub mod models {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        "../../../contracts/Models.sol"
    );
}

/// Orders of model runs.
#[allow(missing_docs, clippy::too_many_arguments)]
pub mod inference {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        "../../../contracts/Inference.sol"
    );
}

/// Checks of proofs.
#[allow(missing_docs, clippy::too_many_arguments)]
pub mod verifier {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        "../../../contracts/Verifier.sol"
    );
}

/// Markets of intelligence.
#[allow(missing_docs, clippy::too_many_arguments)]
pub mod topics {
    alloy_sol_types::sol!(
        #[sol(all_derives)]
        "../../../contracts/Topics.sol"
    );
}

pub use inference::IInference;
pub use models::IModels;
pub use staking::IStaking;
pub use system::ISystem;
pub use topics::ITopics;
pub use verifier::IVerifier;
