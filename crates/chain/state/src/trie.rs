//! Persistent hexary Merkle-Patricia trie (Ethereum yellow paper, appendix D) over 32-byte keys.
//!
//! Nodes are shared by reference count: cloning a trie is one increment, and an update copies only
//! the nodes on its path that another trie still holds. Each node keeps its reference (its RLP
//! when shorter than 32 bytes, else the hash of it) once computed, so [`Trie::root`] after a
//! batch of updates hashes each touched node once.
//!
//! Invariants: no branch has fewer than two children; the child of an extension is a branch; no
//! path of an extension is empty; all keys have 64 nibbles, so no branch holds a value. They make
//! the trie, and hence its root, a function of its contents alone.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, Bytes};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};
use alloy_trie::nodes::{ExtensionNodeRef, LeafNodeRef, RlpNode};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};

/// A value with the encoding that the trie commits to.
pub(crate) trait Committed {
    /// Appends the committed bytes.
    fn encode_value(&self, out: &mut Vec<u8>);
}

type Link<V> = Arc<Node<V>>;
type Children<V> = [Option<Link<V>>; 16];

/// A map from hashed keys to values, with a root hash.
#[derive(Debug)]
pub(crate) struct Trie<V> {
    root: Option<Link<V>>,
}

#[derive(Debug, Clone)]
struct Node<V> {
    kind: Kind<V>,
    reference: OnceLock<RlpNode>,
}

#[derive(Debug, Clone)]
enum Kind<V> {
    Leaf { path: Nibbles, value: V },
    Extension { path: Nibbles, child: Link<V> },
    Branch(Children<V>),
}

impl<V> Clone for Trie<V> {
    fn clone(&self) -> Self {
        Self {
            root: self.root.clone(),
        }
    }
}

impl<V> Default for Trie<V> {
    fn default() -> Self {
        Self { root: None }
    }
}

impl<V> Trie<V> {
    /// The value under `key`.
    pub(crate) fn get(&self, key: &B256) -> Option<&V> {
        let mut path = Nibbles::unpack_array(&key.0);
        let mut node = self.root.as_ref()?;
        loop {
            match &node.kind {
                Kind::Leaf { path: own, value } => return (*own == path).then_some(value),
                Kind::Extension { path: own, child } => {
                    if !path.starts_with(own) {
                        return None;
                    }
                    path = path.slice(own.len()..);
                    node = child;
                }
                Kind::Branch(children) => {
                    let (nibble, rest) = split(&path)?;
                    node = children[nibble].as_ref()?;
                    path = rest;
                }
            }
        }
    }

    /// All values, in the order of their keys.
    pub(crate) fn iter(&self) -> Iter<'_, V> {
        Iter {
            stack: self.root.as_deref().into_iter().collect(),
        }
    }
}

impl<V: Clone> Trie<V> {
    /// Sets the value under `key`.
    pub(crate) fn insert(&mut self, key: &B256, value: V) {
        let path = Nibbles::unpack_array(&key.0);
        match &mut self.root {
            None => self.root = Some(Kind::Leaf { path, value }.into()),
            Some(root) => insert(root, path, value),
        }
    }

    /// Removes `key`; nothing is copied when it is absent.
    pub(crate) fn remove(&mut self, key: &B256) {
        if self.get(key).is_some() {
            remove(&mut self.root, Nibbles::unpack_array(&key.0));
        }
    }
}

impl<V: Committed> Trie<V> {
    /// Root hash.
    pub(crate) fn root(&self) -> B256 {
        let Some(root) = &self.root else {
            return EMPTY_ROOT_HASH;
        };
        let reference = root.reference();
        // A root is hashed even when it is short.
        reference
            .as_hash()
            .unwrap_or_else(|| alloy_primitives::keccak256(reference.as_slice()))
    }

    /// RLP of the nodes from the root towards `key`, as far as they exist. Nodes embedded in their
    /// parent are not listed again.
    pub(crate) fn prove(&self, key: &B256) -> Vec<Bytes> {
        let mut proof = Vec::new();
        let mut path = Nibbles::unpack_array(&key.0);
        let mut next = self.root.as_ref();
        while let Some(node) = next {
            if proof.is_empty() || node.reference().is_hash() {
                proof.push(node.encoded().into());
            }
            next = match &node.kind {
                Kind::Leaf { .. } => None,
                Kind::Extension { path: own, child } => {
                    if path.starts_with(own) {
                        path = path.slice(own.len()..);
                        Some(child)
                    } else {
                        None
                    }
                }
                Kind::Branch(children) => split(&path).and_then(|(nibble, rest)| {
                    path = rest;
                    children[nibble].as_ref()
                }),
            };
        }
        proof
    }
}

impl<V: Committed> Node<V> {
    fn reference(&self) -> &RlpNode {
        self.reference
            .get_or_init(|| RlpNode::from_rlp(&self.encoded()))
    }

    fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(128);
        match &self.kind {
            Kind::Leaf { path, value } => {
                let mut bytes = Vec::with_capacity(80);
                value.encode_value(&mut bytes);
                LeafNodeRef::new(path, &bytes).encode(&mut out);
            }
            Kind::Extension { path, child } => {
                ExtensionNodeRef::new(path, child.reference()).encode(&mut out);
            }
            Kind::Branch(children) => encode_branch(children, &mut out),
        }
        out
    }
}

impl<V> From<Kind<V>> for Link<V> {
    fn from(kind: Kind<V>) -> Self {
        Arc::new(Node {
            kind,
            reference: OnceLock::new(),
        })
    }
}

fn encode_branch<V: Committed>(children: &Children<V>, out: &mut Vec<u8>) {
    let length =
        |child: &Option<Link<V>>| child.as_ref().map_or(1, |child| child.reference().len());
    let payload_length = children.iter().map(length).sum::<usize>() + 1;
    Header {
        list: true,
        payload_length,
    }
    .encode(out);
    for child in children {
        match child {
            Some(child) => out.extend_from_slice(child.reference()),
            None => out.push(EMPTY_STRING_CODE),
        }
    }
    // The value of the branch itself.
    out.push(EMPTY_STRING_CODE);
}

fn split(path: &Nibbles) -> Option<(usize, Nibbles)> {
    Some((usize::from(path.first()?), path.slice(1..)))
}

fn no_children<V>() -> Children<V> {
    [const { None }; 16]
}

/// Opens a node for change: copies it if it is shared, and forgets its reference.
fn open<V: Clone>(link: &mut Link<V>) -> &mut Kind<V> {
    let node = Arc::make_mut(link);
    node.reference = OnceLock::new();
    &mut node.kind
}

fn insert<V: Clone>(link: &mut Link<V>, path: Nibbles, value: V) {
    let kind = open(link);
    match std::mem::replace(kind, Kind::Branch(no_children())) {
        Kind::Leaf {
            path: own,
            value: old,
        } => {
            let common = own.common_prefix_length(&path);
            *kind = if common == path.len() {
                Kind::Leaf { path, value }
            } else {
                let leaf = |path: Nibbles, value| {
                    (
                        path.get_unchecked(common),
                        Kind::Leaf {
                            path: path.slice(common + 1..),
                            value,
                        }
                        .into(),
                    )
                };
                fork(path.slice(..common), [leaf(own, old), leaf(path, value)])
            };
        }
        Kind::Extension {
            path: own,
            mut child,
        } => {
            let common = own.common_prefix_length(&path);
            *kind = if common == own.len() {
                insert(&mut child, path.slice(common..), value);
                Kind::Extension { path: own, child }
            } else {
                let rest = own.slice(common + 1..);
                let old = if rest.is_empty() {
                    child
                } else {
                    Kind::Extension { path: rest, child }.into()
                };
                let new = Kind::Leaf {
                    path: path.slice(common + 1..),
                    value,
                }
                .into();
                let branches = [
                    (own.get_unchecked(common), old),
                    (path.get_unchecked(common), new),
                ];
                fork(path.slice(..common), branches)
            };
        }
        Kind::Branch(mut children) => {
            let (nibble, rest) = split(&path).expect("all keys have the same length");
            match &mut children[nibble] {
                Some(child) => insert(child, rest, value),
                empty => *empty = Some(Kind::Leaf { path: rest, value }.into()),
            }
            *kind = Kind::Branch(children);
        }
    }
}

/// A branch of two, below an extension where the paths share a prefix.
fn fork<V>(prefix: Nibbles, branches: [(u8, Link<V>); 2]) -> Kind<V> {
    let mut children = no_children();
    for (nibble, child) in branches {
        children[usize::from(nibble)] = Some(child);
    }
    let branch = Kind::Branch(children);
    if prefix.is_empty() {
        branch
    } else {
        Kind::Extension {
            path: prefix,
            child: branch.into(),
        }
    }
}

/// Removes `path`, which exists, from the node in `slot`.
fn remove<V: Clone>(slot: &mut Option<Link<V>>, path: Nibbles) {
    let Some(mut link) = slot.take() else { return };
    let kind = open(&mut link);
    match std::mem::replace(kind, Kind::Branch(no_children())) {
        Kind::Leaf { .. } => return,
        Kind::Extension { path: own, child } => {
            let mut child = Some(child);
            remove(&mut child, path.slice(own.len()..));
            let Some(child) = child else { return };
            *kind = prepend(&own, child);
        }
        Kind::Branch(mut children) => {
            let (nibble, rest) = split(&path).expect("all keys have the same length");
            remove(&mut children[nibble], rest);
            let mut left = (0u8..).zip(&children).filter(|(_, child)| child.is_some());
            let (first, second) = (left.next(), left.next());
            *kind = match (first, second) {
                (Some((nibble, Some(only))), None) => {
                    prepend(&Nibbles::from_nibbles([nibble]), only.clone())
                }
                _ => Kind::Branch(children),
            };
        }
    }
    *slot = Some(link);
}

/// The node that `prefix` and then `child` lead to, with paths merged.
fn prepend<V: Clone>(prefix: &Nibbles, child: Link<V>) -> Kind<V> {
    match &child.kind {
        Kind::Leaf { path, value } => Kind::Leaf {
            path: prefix.join(path),
            value: value.clone(),
        },
        Kind::Extension { path, child } => Kind::Extension {
            path: prefix.join(path),
            child: child.clone(),
        },
        Kind::Branch(_) => Kind::Extension {
            path: *prefix,
            child,
        },
    }
}

/// Depth-first walk over the values.
pub(crate) struct Iter<'a, V> {
    stack: Vec<&'a Node<V>>,
}

impl<'a, V> Iterator for Iter<'a, V> {
    type Item = &'a V;

    fn next(&mut self) -> Option<&'a V> {
        loop {
            match &self.stack.pop()?.kind {
                Kind::Leaf { value, .. } => return Some(value),
                Kind::Extension { child, .. } => self.stack.push(child),
                Kind::Branch(children) => {
                    self.stack
                        .extend(children.iter().rev().flatten().map(|child| &**child));
                }
            }
        }
    }
}
