//! Persistent hexary Merkle-Patricia trie (Ethereum yellow paper, appendix D) over 32-byte keys.
//!
//! Nodes are shared by reference count: cloning a trie is one increment, and an update copies only
//! the nodes on its path that another trie still holds. Each node keeps its reference (its RLP
//! when shorter than 32 bytes, else the hash of it) once computed, so [`Trie::root`] after a
//! batch of updates hashes each touched node once.
//!
//! [`Trie::update`] takes a whole block's changes: the subtrees below the root share nothing, so each
//! thread changes and hashes some of them. The result is that of one change after the other.
//!
//! A reference is computed without leaving its thread. If it waited for other threads, one of them
//! could, while it waits in turn, be given work that asks for the same reference.
//!
//! Invariants: no branch has fewer than two children; the child of an extension is a branch; no
//! path of an extension is empty; all keys have 64 nibbles, so no branch holds a value. They make
//! the trie, and hence its root, a function of its contents alone.

use std::sync::{Arc, OnceLock};

use alloy_primitives::{B256, Bytes};
use alloy_rlp::{EMPTY_STRING_CODE, Encodable, Header};
use alloy_trie::nodes::{ExtensionNodeRef, LeafNodeRef, RlpNode};
use alloy_trie::{EMPTY_ROOT_HASH, Nibbles};
use rayon::prelude::*;

/// Changes below which handing work to other threads costs more than it saves.
const PARALLEL: usize = 128;

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
        find(self.root.as_ref(), Nibbles::unpack_array(&key.0))
    }

    /// All values, in the order of their keys.
    pub(crate) fn iter(&self) -> Iter<'_, V> {
        Iter {
            stack: self.root.as_deref().into_iter().collect(),
        }
    }
}

impl<V: Clone> Trie<V> {
    /// Sets the value under `key`, or removes it; nothing is copied when what is removed is absent.
    pub(crate) fn set(&mut self, key: &B256, value: Option<V>) {
        set(&mut self.root, Nibbles::unpack_array(&key.0), value);
    }
}

impl<V: Clone + Committed + Send + Sync> Trie<V> {
    /// [Sets](Self::set) every key to its value. `changes` are sorted by key, and no key is there
    /// twice. When there are many, the subtrees below the root are hashed too.
    pub(crate) fn update(&mut self, changes: Vec<(B256, Option<V>)>) {
        debug_assert!(changes.is_sorted_by(|(a, _), (b, _)| a < b));
        if changes.len() < PARALLEL {
            for (key, value) in changes {
                self.set(&key, value);
            }
            return;
        }
        if self.root.is_none() {
            let values = changes
                .into_iter()
                .filter_map(|(key, value)| Some((key, value?)));
            *self = Self::build(&values.collect::<Vec<_>>());
            return;
        }
        let root = self.root.as_mut().map(open);
        let Some(Kind::Branch(children)) = root else {
            for (key, value) in changes {
                self.set(&key, value);
            }
            return;
        };
        let mut rest = changes;
        let mut parts: Vec<_> = (0..16u8)
            .rev()
            .map(|nibble| rest.split_off(rest.partition_point(|(key, _)| key[0] >> 4 < nibble)))
            .collect();
        parts.reverse();
        children
            .par_iter_mut()
            .zip(parts)
            .with_max_len(1)
            .filter(|(_, part)| !part.is_empty())
            .for_each(|(child, part)| {
                for (key, value) in part {
                    set(child, Nibbles::unpack_array(&key.0).slice(1..), value);
                }
                if let Some(child) = child {
                    child.reference(&mut Scratch::default());
                }
            });
        self.root = self.root.take().and_then(fewest);
    }

    /// The trie of these values, which are sorted by key, none of them twice. When they are many, the
    /// subtrees below the root are hashed too.
    pub(crate) fn build(values: &[(B256, V)]) -> Self {
        debug_assert!(values.is_sorted_by(|(a, _), (b, _)| a < b));
        let root = match values {
            [] => None,
            values if values.len() < PARALLEL => Some(build(values, 0)),
            values => Some(build_parallel(values, 0)),
        };
        Self { root }
    }
}

impl<V: Committed> Trie<V> {
    /// Root hash.
    pub(crate) fn root(&self) -> B256 {
        let Some(root) = &self.root else {
            return EMPTY_ROOT_HASH;
        };
        let reference = root.reference(&mut Scratch::default());
        // A root is hashed even when it is short.
        reference
            .as_hash()
            .unwrap_or_else(|| alloy_primitives::keccak256(reference.as_slice()))
    }

    /// RLP of the nodes from the root towards `key`, as far as they exist. Nodes embedded in their
    /// parent are not listed again.
    pub(crate) fn prove(&self, key: &B256) -> Vec<Bytes> {
        let mut proof = Vec::new();
        let mut scratch = Scratch::default();
        let mut path = Nibbles::unpack_array(&key.0);
        let mut next = self.root.as_ref();
        while let Some(node) = next {
            if proof.is_empty() || node.reference(&mut scratch).is_hash() {
                node.encode(&mut scratch);
                proof.push(Bytes::copy_from_slice(&scratch.node));
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

/// Buffers of encodings, used again from node to node.
#[derive(Default)]
struct Scratch {
    node: Vec<u8>,
    value: Vec<u8>,
}

impl<V: Committed> Node<V> {
    fn reference(&self, scratch: &mut Scratch) -> &RlpNode {
        self.reference.get_or_init(|| {
            self.encode(scratch);
            RlpNode::from_rlp(&scratch.node)
        })
    }

    /// Leaves the node's RLP in `scratch.node`.
    fn encode(&self, scratch: &mut Scratch) {
        // Children first: they use the buffers too.
        match &self.kind {
            Kind::Leaf { .. } => {}
            Kind::Extension { child, .. } => {
                child.reference(scratch);
            }
            Kind::Branch(children) => {
                for child in children.iter().flatten() {
                    child.reference(scratch);
                }
            }
        }
        scratch.node.clear();
        match &self.kind {
            Kind::Leaf { path, value } => {
                scratch.value.clear();
                value.encode_value(&mut scratch.value);
                LeafNodeRef::new(path, &scratch.value).encode(&mut scratch.node);
            }
            Kind::Extension { path, child } => {
                // Known by now.
                let reference = child.reference(&mut Scratch::default());
                ExtensionNodeRef::new(path, reference).encode(&mut scratch.node);
            }
            Kind::Branch(children) => encode_branch(children, &mut scratch.node),
        }
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

/// The RLP of a branch whose children have their references.
fn encode_branch<V: Committed>(children: &Children<V>, out: &mut Vec<u8>) {
    let reference = |child: &Link<V>| child.reference(&mut Scratch::default()).clone();
    let references = children
        .each_ref()
        .map(|child| child.as_ref().map(reference));
    let length = |child: &Option<RlpNode>| child.as_ref().map_or(1, |child| child.len());
    let payload_length = references.iter().map(length).sum::<usize>() + 1;
    Header {
        list: true,
        payload_length,
    }
    .encode(out);
    for reference in &references {
        match reference {
            Some(reference) => out.extend_from_slice(reference),
            None => out.push(EMPTY_STRING_CODE),
        }
    }
    // The value of the branch itself.
    out.push(EMPTY_STRING_CODE);
}

fn split(path: &Nibbles) -> Option<(usize, Nibbles)> {
    Some((usize::from(path.first()?), path.slice(1..)))
}

/// The value that `path` leads to from `node`.
fn find<V>(node: Option<&Link<V>>, mut path: Nibbles) -> Option<&V> {
    let mut node = node?;
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

/// Sets or removes the value that `path` leads to from the node in `slot`.
fn set<V: Clone>(slot: &mut Option<Link<V>>, path: Nibbles, value: Option<V>) {
    let Some(value) = value else {
        if find(slot.as_ref(), path).is_some() {
            remove(slot, path);
        }
        return;
    };
    match slot {
        None => *slot = Some(Kind::Leaf { path, value }.into()),
        Some(node) => insert(node, path, value),
    }
}

/// The subtrie of sorted values that agree up to `depth`, of which there is at least one.
fn build<V: Clone>(values: &[(B256, V)], depth: usize) -> Link<V> {
    build_with(values, depth, |parts, depth| {
        parts.map(|part| (!part.is_empty()).then(|| build(part, depth)))
    })
}

/// The same on several threads, which also hash the subtrees.
fn build_parallel<V: Clone + Committed + Send + Sync>(
    values: &[(B256, V)],
    depth: usize,
) -> Link<V> {
    build_with(values, depth, |parts, depth| {
        let mut children = no_children();
        children
            .par_iter_mut()
            .zip(parts)
            .with_max_len(1)
            .filter(|(_, part)| !part.is_empty())
            .for_each(|(child, part)| {
                let built = build(part, depth);
                built.reference(&mut Scratch::default());
                *child = Some(built);
            });
        children
    })
}

fn build_with<'a, V: Clone>(
    values: &'a [(B256, V)],
    depth: usize,
    children: impl FnOnce([&'a [(B256, V)]; 16], usize) -> Children<V>,
) -> Link<V> {
    let path = |index: usize| Nibbles::unpack_array(&values[index].0.0).slice(depth..);
    let first = path(0);
    if values.len() == 1 {
        let value = values[0].1.clone();
        return Kind::Leaf { path: first, value }.into();
    }
    let common = first.common_prefix_length(&path(values.len() - 1));
    let mut rest = values;
    let parts = std::array::from_fn(|nibble| {
        let nibble_of = |key: &B256| Nibbles::unpack_array(&key.0).get_unchecked(depth + common);
        let end = rest.partition_point(|(key, _)| usize::from(nibble_of(key)) <= nibble);
        let (part, others) = rest.split_at(end);
        rest = others;
        part
    });
    let branch = Kind::Branch(children(parts, depth + common + 1));
    if common == 0 {
        return branch.into();
    }
    let (path, child) = (first.slice(..common), branch.into());
    Kind::Extension { path, child }.into()
}

/// A root that may be a branch of fewer than two children, as the invariants want it.
fn fewest<V: Clone>(mut root: Link<V>) -> Option<Link<V>> {
    if let Kind::Branch(children) = &root.kind {
        let mut left = (0u8..).zip(children).filter(|(_, child)| child.is_some());
        match (left.next(), left.next()) {
            (None, _) => return None,
            (Some((nibble, Some(only))), None) => {
                let only = only.clone();
                *open(&mut root) = prepend(&Nibbles::from_nibbles([nibble]), only);
            }
            _ => {}
        }
    }
    Some(root)
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
    // The common case first, in place.
    if let Kind::Branch(children) = kind {
        let (nibble, rest) = split(&path).expect("all keys have the same length");
        match &mut children[nibble] {
            Some(child) => insert(child, rest, value),
            empty => *empty = Some(Kind::Leaf { path: rest, value }.into()),
        }
        return;
    }
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
        // Dealt with above.
        branch @ Kind::Branch(_) => *kind = branch,
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
