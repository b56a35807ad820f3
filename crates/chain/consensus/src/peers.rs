//! Which nodes a node connects to.
//!
//! | peers | role | dialed |
//! |---|---|---|
//! | committees of the epochs before, now and next | primary: their blocks are taken, they are asked for blocks | yes |
//! | nodes that the configuration names with an address | primary: a node that was away for long knows no later committee | yes |
//! | nodes that the configuration names by key only (followers, validators to be) | secondary: they get what is sent to all and may ask for blocks | no, they dial |
//!
//! The address of the configuration wins over the one that a validator registered on chain. A member
//! without an address anywhere is accepted when it connects (keys are authenticated, addresses are
//! not checked), and never reached by dialing.
//!
//! The network sizes its queues for the number of peers once, at the start. [`capacity`] leaves room
//! for sets to grow; beyond it the least needed are left out, with a warning, until the next start.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{Ipv4Addr, SocketAddr},
};

use commonware_consensus::types::{Epoch, EpochDelta};
use commonware_cryptography::ed25519::PublicKey;
use commonware_p2p::{Address, AddressableTrackedPeers, Ingress};
use commonware_utils::{Hostname, TryFromIterator, ordered::Map};

use crate::epochs::Epochs;

/// Fewest peers that a node leaves room for.
const LEAST_CAPACITY: usize = 32;

/// Nobody listens there.
const NOWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// What the configuration knows of other nodes.
#[derive(Clone)]
pub struct AddressBook {
    me: PublicKey,
    listen: Address,
    configured: BTreeMap<PublicKey, Address>,
    followers: BTreeSet<PublicKey>,
    capacity: usize,
}

impl AddressBook {
    /// A book of a node that listens on `listen`. Entries of the node itself are ignored.
    pub fn new(
        me: PublicKey,
        listen: SocketAddr,
        configured: impl IntoIterator<Item = (PublicKey, SocketAddr)>,
        followers: impl IntoIterator<Item = PublicKey>,
    ) -> Self {
        let configured: BTreeMap<PublicKey, Address> = configured
            .into_iter()
            .filter(|(key, _)| *key != me)
            .map(|(key, address)| (key, Address::from(address)))
            .collect();
        let followers: BTreeSet<PublicKey> =
            followers.into_iter().filter(|key| *key != me).collect();
        Self {
            me,
            listen: Address::from(listen),
            configured,
            followers,
            capacity: LEAST_CAPACITY,
        }
    }

    /// Whether there is anybody to connect to.
    pub(crate) fn is_empty(&self) -> bool {
        self.configured.is_empty() && self.followers.is_empty()
    }

    /// Leaves room for the validators of now and for as many again. Returns the number of peers, this
    /// node included, that the network must have room for.
    pub(crate) fn reserve(&mut self, epochs: &Epochs, epoch: Epoch) -> usize {
        let now = self.members(epochs, epoch).len();
        let others = self.configured.len().saturating_add(self.followers.len());
        self.capacity = now
            .saturating_add(others)
            .saturating_mul(2)
            .max(LEAST_CAPACITY);
        self.capacity
    }

    /// Members of the committees around an epoch, most needed first.
    fn members(&self, epochs: &Epochs, epoch: Epoch) -> Vec<(PublicKey, Address)> {
        let one = EpochDelta::new(1);
        let sets = [Some(epoch), Some(epoch.next()), epoch.checked_sub(one)];
        let mut seen = BTreeSet::new();
        let mut members = Vec::new();
        for set in sets.into_iter().flatten().filter_map(|e| epochs.get(e)) {
            for (key, member) in set.keys.iter().zip(&set.committee.members) {
                if seen.insert(key.clone()) {
                    members.push((key.clone(), self.address(key, &member.p2p)));
                }
            }
        }
        members
    }

    fn address(&self, key: &PublicKey, registered: &str) -> Address {
        if *key == self.me {
            return self.listen.clone();
        }
        self.configured
            .get(key)
            .cloned()
            .or_else(|| parse_address(registered))
            .unwrap_or(Address::Symmetric(NOWHERE))
    }

    /// The peers of an epoch.
    pub(crate) fn peers(
        &self,
        epochs: &Epochs,
        epoch: Epoch,
    ) -> AddressableTrackedPeers<PublicKey> {
        let mut room = self.capacity.saturating_sub(1);
        let mut left_out = 0usize;
        let mut admit = |key: &PublicKey| {
            if *key == self.me {
                return true;
            }
            let admitted = room > 0;
            room = room.saturating_sub(1);
            left_out = left_out.saturating_add(usize::from(!admitted));
            admitted
        };
        // Room is given away in the order of need, and to each once.
        let mut seen = BTreeSet::new();
        let primary: BTreeMap<PublicKey, Address> = self
            .members(epochs, epoch)
            .into_iter()
            .chain(self.configured.clone())
            .filter(|(key, _)| seen.insert(key.clone()) && admit(key))
            .collect();
        let secondary: BTreeMap<PublicKey, Address> = self
            .followers
            .iter()
            .map(|key| (key.clone(), Address::Symmetric(NOWHERE)))
            .chain([(self.me.clone(), self.listen.clone())])
            .filter(|(key, _)| seen.insert(key.clone()) && admit(key))
            .collect();
        if left_out > 0 {
            tracing::warn!(%epoch, left_out, capacity = self.capacity,
                "more peers than this node left room for at its start: restart it to admit all");
        }
        AddressableTrackedPeers::new(ordered(primary), ordered(secondary))
    }
}

fn ordered(map: BTreeMap<PublicKey, Address>) -> Map<PublicKey, Address> {
    Map::try_from_iter(map).unwrap_or_else(|_| unreachable!("the keys of a map are distinct"))
}

/// `host:port` or `ip:port`.
fn parse_address(text: &str) -> Option<Address> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(Address::Symmetric(address));
    }
    let (host, port) = text.rsplit_once(':')?;
    let ingress = Ingress::Dns {
        host: Hostname::new(host).ok()?,
        port: port.parse().ok()?,
    };
    Some(Address::Asymmetric {
        ingress,
        egress: NOWHERE,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registered_address_is_an_ip_or_a_name_with_a_port() {
        let ip = parse_address("10.0.0.1:30303").expect("an address");
        assert_eq!(
            ip,
            Address::Symmetric("10.0.0.1:30303".parse().expect("it"))
        );
        let named = parse_address("validator.example.org:30303").expect("an address");
        let Ingress::Dns { host, port } = named.ingress() else {
            panic!("a name is resolved when it is dialed: {named:?}");
        };
        assert_eq!((host.as_ref(), port), ("validator.example.org", 30303));
        for wrong in [
            "",
            "validator",
            "validator:port",
            ":1",
            "a b:1",
            "host:70000",
        ] {
            assert_eq!(parse_address(wrong), None, "{wrong}");
        }
    }
}
