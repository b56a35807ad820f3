//! Persistent trie.
