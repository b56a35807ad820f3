//! The signing schemes of all epochs that the chain's state knows, for marshal and for Simplex.
//!
//! A committee never changes once it is frozen, so what was read once is kept; the oldest go first.
//! The state after block `h` knows at least the committees of the epoch of `h` and of the next, which
//! is all that a node needs to judge what follows `h`.

use std::{collections::BTreeMap, sync::Arc};

use commonware_consensus::{
    simplex::scheme::ed25519::Scheme,
    types::{Epoch, Epocher as _, FixedEpocher, Height},
};
use commonware_cryptography::{
    certificate::{self, Scoped},
    ed25519::{PrivateKey, PublicKey},
};
use hallmark_types::Committee;
use parking_lot::Mutex;

use crate::{
    committee::{self, BadKey},
    core::Core,
};

/// Epochs kept in memory at most.
const MAX_KNOWN: usize = 64;

/// One epoch's validators.
pub(crate) struct EpochSet {
    /// As the chain's state has it.
    pub(crate) committee: Committee,
    /// Public keys in the committee's order.
    pub(crate) keys: Arc<Vec<PublicKey>>,
    /// Signs if this node is a member, and only verifies otherwise.
    pub(crate) scheme: Arc<Scheme>,
    /// Only verifies.
    pub(crate) verifier: Arc<Scheme>,
    /// Whether this node is a member.
    pub(crate) member: bool,
}

struct Shared {
    core: Arc<Core>,
    key: PrivateKey,
    namespace: Vec<u8>,
    epocher: FixedEpocher,
    known: Mutex<BTreeMap<u64, Arc<EpochSet>>>,
}

/// Cheap to clone.
#[derive(Clone)]
pub(crate) struct Epochs(Arc<Shared>);

impl Epochs {
    pub(crate) fn new(core: Arc<Core>, key: PrivateKey) -> Self {
        let spec = core.spec();
        Self(Arc::new(Shared {
            namespace: committee::namespace(spec),
            epocher: committee::epocher(spec),
            core,
            key,
            known: Mutex::default(),
        }))
    }

    pub(crate) fn epocher(&self) -> FixedEpocher {
        self.0.epocher.clone()
    }

    /// The epoch of the block after `height`.
    pub(crate) fn after(&self, height: u64) -> Epoch {
        Epoch::new(committee::epoch_of(
            self.0.core.spec(),
            height.saturating_add(1),
        ))
    }

    /// The last height of an epoch.
    pub(crate) fn last(&self, epoch: Epoch) -> Height {
        // Only an epoch that no chain reaches has none.
        self.0.epocher.last(epoch).unwrap_or(Height::new(u64::MAX))
    }

    /// The first height of an epoch.
    pub(crate) fn first(&self, epoch: Epoch) -> Height {
        self.0.epocher.first(epoch).unwrap_or(Height::new(u64::MAX))
    }

    /// The validators of an epoch. `None` if the committed state does not know them (yet, or any
    /// more).
    pub(crate) fn get(&self, epoch: Epoch) -> Option<Arc<EpochSet>> {
        let shared = &*self.0;
        if let Some(known) = shared.known.lock().get(&epoch.get()) {
            return Some(known.clone());
        }
        let committee = shared.core.committee(epoch.get())?;
        let set = match shared.set(committee) {
            Ok(set) => Arc::new(set),
            Err(error) => {
                // The contract checks every key before it is bonded, and the spec's are checked
                // before the node starts.
                tracing::error!(%epoch, %error, "the validators of an epoch are unusable");
                return None;
            }
        };
        let mut known = shared.known.lock();
        known.insert(epoch.get(), set.clone());
        while known.len() > MAX_KNOWN {
            known.pop_first();
        }
        Some(set)
    }
}

impl Shared {
    fn set(&self, committee: Committee) -> Result<EpochSet, BadKey> {
        let participants = committee::participants(&committee)?;
        let keys = Arc::new(committee::keys(&committee)?);
        let signer = Scheme::signer(&self.namespace, participants.clone(), self.key.clone());
        let member = signer.is_some();
        let verifier = Arc::new(Scheme::verifier(&self.namespace, participants));
        let scheme = signer.map_or_else(|| verifier.clone(), Arc::new);
        Ok(EpochSet {
            committee,
            keys,
            scheme,
            verifier,
            member,
        })
    }
}

impl certificate::Provider for Epochs {
    type Scope = Epoch;
    type Scheme = Scheme;

    fn scoped(&self, epoch: Epoch) -> Option<Scoped<Scheme>> {
        self.get(epoch)
            .map(|set| Scoped::scheme(set.scheme.clone()))
    }
}
