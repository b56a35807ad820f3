//! Typed handles on contract storage, laid out like Solidity's.
//!
//! | type | where it lies |
//! |---|---|
//! | [`Slot<T>`] | its slot; values below 32 bytes share one, from the low end |
//! | [`Mapping<K, V>`] | the value of `k` at `keccak256(k ‖ slot)` |
//! | [`StorageVec<T>`] | length in the slot, element `i` at `keccak256(slot) + i` |
//! | [`StorageBytes`] | up to 31 bytes in the slot; longer: words from `keccak256(slot)` |
//! | [`StorageContent`] | the string's Keccak-256 in the slot, zero for the empty one; the string beside the trie |
//!
//! A handle is an address and a slot; it holds no state. Every access names its [`Host`].

use std::{collections::BTreeMap, marker::PhantomData};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use hallmark_abi::{
    inference::IInference::{Level, Status},
    topics::ITopics::{Kind, Role, Stage},
};

use crate::{
    Host, HostError, Result,
    host::{ContractError, checked},
    places,
};

/// Words of one account, by slot.
pub type Words = BTreeMap<U256, U256>;

/// Where a value lies.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    address: Address,
    slot: U256,
    /// Bytes from the low end of the slot.
    offset: usize,
}

impl Place {
    /// The first slot of a contract.
    #[must_use]
    pub fn root(address: Address) -> Self {
        Self {
            address,
            slot: U256::ZERO,
            offset: 0,
        }
    }

    /// A field of the struct that begins here.
    #[must_use]
    pub fn field(self, start: Cursor) -> Self {
        // Structs begin at hashed slots or at slot 0; the wrap is Solidity's own.
        let slot = self.slot.wrapping_add(U256::from(start.slot));
        Self {
            slot,
            offset: start.offset,
            ..self
        }
    }

    fn hashed(self) -> U256 {
        keccak256(self.slot.to_be_bytes::<32>()).into()
    }

    fn load(self, host: &mut dyn Host) -> Result<U256, HostError> {
        host.sload(self.address, self.slot)
    }
}

/// Something with a place in storage.
pub trait Layout {
    /// Bytes that it needs of a slot; 32 begins a slot of its own.
    const BYTES: usize;
    /// Slots that it takes when it begins one.
    const SLOTS: u64;
    /// The handle on the value at `place`.
    fn at(place: Place) -> Self;
}

/// Assigns places to the fields of a struct, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub slot: u64,
    pub offset: usize,
}

impl Cursor {
    /// The struct's own beginning.
    pub const START: Self = Self { slot: 0, offset: 0 };

    /// Where a field of this type begins.
    #[must_use]
    pub const fn start<T: Layout>(self) -> Self {
        if self.offset.saturating_add(T::BYTES) <= 32 {
            self
        } else {
            Self {
                slot: self.slot.saturating_add(1),
                offset: 0,
            }
        }
    }

    /// Where the next field may begin.
    #[must_use]
    pub const fn after<T: Layout>(self) -> Self {
        let start = self.start::<T>();
        if T::BYTES == 32 {
            Self {
                slot: start.slot.saturating_add(T::SLOTS),
                offset: 0,
            }
        } else {
            Self {
                slot: start.slot,
                offset: start.offset.saturating_add(T::BYTES),
            }
        }
    }

    /// Slots taken so far.
    #[must_use]
    pub const fn slots(self) -> u64 {
        if self.offset == 0 {
            self.slot
        } else {
            self.slot.saturating_add(1)
        }
    }
}

/// A value that fits a word.
pub trait Word: Copy {
    /// Its width, at most 32.
    const BYTES: usize;
    fn to_word(self) -> U256;
    /// Reads a word that [`to_word`](Self::to_word) made; zero is the value of untouched storage.
    fn from_word(word: U256) -> Self;
}

macro_rules! unsigned {
    ($($type:ty),*) => {$(
        impl Word for $type {
            const BYTES: usize = size_of::<$type>();
            fn to_word(self) -> U256 {
                U256::from(self)
            }
            fn from_word(word: U256) -> Self {
                // Never saturates: the slot was masked to this width.
                word.saturating_to()
            }
        }
    )*};
}
unsigned!(u8, u16, u32, u64, u128);

impl Word for U256 {
    const BYTES: usize = 32;
    fn to_word(self) -> U256 {
        self
    }
    fn from_word(word: U256) -> Self {
        word
    }
}

impl Word for B256 {
    const BYTES: usize = 32;
    fn to_word(self) -> U256 {
        self.into()
    }
    fn from_word(word: U256) -> Self {
        word.into()
    }
}

impl Word for Address {
    const BYTES: usize = 20;
    fn to_word(self) -> U256 {
        self.into_word().into()
    }
    fn from_word(word: U256) -> Self {
        Address::from_word(word.into())
    }
}

impl Word for bool {
    const BYTES: usize = 1;
    fn to_word(self) -> U256 {
        U256::from(u8::from(self))
    }
    fn from_word(word: U256) -> Self {
        !word.is_zero()
    }
}

/// A 64.64 fixed-point number, by its bits.
impl Word for i128 {
    const BYTES: usize = 16;
    fn to_word(self) -> U256 {
        U256::from(self.cast_unsigned())
    }
    fn from_word(word: U256) -> Self {
        u128::from_word(word).cast_signed()
    }
}

macro_rules! enumeration {
    ($($type:ident or $default:ident),*) => {$(
        impl Word for $type {
            const BYTES: usize = 1;
            fn to_word(self) -> U256 {
                U256::from(self as u8)
            }
            fn from_word(word: U256) -> Self {
                // Only `to_word` wrote it, so it is one of them.
                Self::try_from(u8::from_word(word)).unwrap_or($type::$default)
            }
        }
    )*};
}
enumeration!(Status or None, Level or Proven, Stage or None, Kind or Score, Role or Worker);

/// One value.
#[derive(Clone, Copy, Debug)]
pub struct Slot<T> {
    place: Place,
    value: PhantomData<T>,
}

impl<T: Word> Layout for Slot<T> {
    const BYTES: usize = T::BYTES;
    const SLOTS: u64 = 1;
    fn at(place: Place) -> Self {
        Self {
            place,
            value: PhantomData,
        }
    }
}

impl<T: Word> Slot<T> {
    fn shift(&self) -> usize {
        self.place.offset.saturating_mul(8)
    }

    fn mask() -> U256 {
        U256::MAX.wrapping_shr(32usize.saturating_sub(T::BYTES).saturating_mul(8))
    }

    fn merged(&self, word: U256, value: T) -> U256 {
        let kept = word & !Self::mask().wrapping_shl(self.shift());
        kept | (value.to_word() & Self::mask()).wrapping_shl(self.shift())
    }

    /// The value; zero if never written.
    pub fn read(&self, host: &mut dyn Host) -> Result<T, HostError> {
        let word = self.place.load(host)?;
        Ok(T::from_word(word.wrapping_shr(self.shift()) & Self::mask()))
    }

    /// Sets the value and leaves its neighbours in the slot alone.
    pub fn write(&self, host: &mut dyn Host, value: T) -> Result<(), HostError> {
        let word = if T::BYTES == 32 {
            U256::ZERO
        } else {
            self.place.load(host)?
        };
        host.sstore(
            self.place.address,
            self.place.slot,
            self.merged(word, value),
        )
    }

    /// Sets the value in storage that no host holds yet.
    pub fn preset(&self, storage: &mut BTreeMap<Address, Words>, value: T) {
        let word = storage
            .entry(self.place.address)
            .or_default()
            .entry(self.place.slot)
            .or_default();
        *word = self.merged(*word, value);
    }
}

/// Values by key.
#[derive(Clone, Copy, Debug)]
pub struct Mapping<K, V> {
    place: Place,
    types: PhantomData<(K, V)>,
}

impl<K: Word, V: Layout> Layout for Mapping<K, V> {
    const BYTES: usize = 32;
    const SLOTS: u64 = 1;
    fn at(place: Place) -> Self {
        Self {
            place,
            types: PhantomData,
        }
    }
}

impl<K: Word, V: Layout> Mapping<K, V> {
    /// The value of `key`.
    pub fn at(&self, key: K) -> V {
        V::at(Place {
            address: self.place.address,
            slot: places::of_mapping(key.to_word(), self.place.slot),
            offset: 0,
        })
    }
}

/// A list of 32-byte values.
#[derive(Clone, Copy, Debug)]
pub struct StorageVec<T> {
    place: Place,
    element: PhantomData<T>,
}

impl<T: Word> Layout for StorageVec<T> {
    const BYTES: usize = 32;
    const SLOTS: u64 = 1;
    fn at(place: Place) -> Self {
        const { assert!(T::BYTES == 32, "elements below 32 bytes would be packed") }
        Self {
            place,
            element: PhantomData,
        }
    }
}

impl<T: Word> StorageVec<T> {
    fn element(&self, index: u64) -> Slot<T> {
        let slot = self.place.hashed().wrapping_add(U256::from(index));
        Slot::at(Place { slot, ..self.place })
    }

    /// Sets the number of elements in storage that no host holds yet.
    pub fn preset_len(&self, storage: &mut BTreeMap<Address, Words>, len: u64) {
        Slot::<U256>::at(self.place).preset(storage, U256::from(len));
    }

    /// Sets an element in storage that no host holds yet.
    pub fn preset_element(&self, storage: &mut BTreeMap<Address, Words>, index: u64, value: T) {
        self.element(index).preset(storage, value);
    }

    /// Number of elements.
    pub fn len(&self, host: &mut dyn Host) -> Result<u64> {
        checked(u64::try_from(self.place.load(host)?).ok())
    }

    /// The element at `index`; zero beyond the end.
    pub fn get(&self, host: &mut dyn Host, index: u64) -> Result<T, HostError> {
        self.element(index).read(host)
    }

    /// Appends and gives the new element's index.
    pub fn push(&self, host: &mut dyn Host, value: T) -> Result<u64> {
        let index = self.len(host)?;
        self.element(index).write(host, value)?;
        let len = checked(index.checked_add(1))?;
        host.sstore(self.place.address, self.place.slot, U256::from(len))?;
        Ok(index)
    }

    /// Removes the element at `index` and puts the last one in its place, which is given back
    /// unless the removed one was the last.
    pub fn swap_remove(&self, host: &mut dyn Host, index: u64) -> Result<Option<T>> {
        let last = checked(self.len(host)?.checked_sub(1).filter(|last| index <= *last))?;
        let moved = self.get(host, last)?;
        if index != last {
            self.element(index).write(host, moved)?;
        }
        self.element(last).write(host, T::from_word(U256::ZERO))?;
        host.sstore(self.place.address, self.place.slot, U256::from(last))?;
        Ok((index != last).then_some(moved))
    }

    /// A page of at most `limit` elements from `offset`.
    pub fn page(&self, host: &mut dyn Host, offset: U256, limit: U256) -> Result<Vec<T>> {
        let len = self.len(host)?;
        let start: u64 = offset.saturating_to();
        let end = start.saturating_add(limit.saturating_to()).min(len);
        (start..end)
            .map(|index| Ok(self.get(host, index)?))
            .collect()
    }
}

/// A byte string.
#[derive(Clone, Copy, Debug)]
pub struct StorageBytes {
    place: Place,
}

impl Layout for StorageBytes {
    const BYTES: usize = 32;
    const SLOTS: u64 = 1;
    fn at(place: Place) -> Self {
        Self { place }
    }
}

/// Longest string that lies in its own slot.
const INLINE: usize = 31;

impl StorageBytes {
    /// Slots of the words from `first` on; hashes once.
    fn words(&self, first: usize) -> impl Iterator<Item = U256> {
        let base = self.place.hashed();
        (first..).map(move |index| base.wrapping_add(U256::from(index)))
    }

    /// Sets all bytes in storage that no host holds yet.
    pub fn preset(&self, storage: &mut BTreeMap<Address, Words>, bytes: &[u8]) {
        let words = storage.entry(self.place.address).or_default();
        let doubled = U256::from(bytes.len()).saturating_mul(U256::from(2));
        if bytes.len() <= INLINE {
            words.insert(self.place.slot, left_aligned(bytes) | doubled);
            return;
        }
        words.insert(self.place.slot, doubled | U256::from(1));
        for (chunk, slot) in bytes.chunks(32).zip(self.words(0)) {
            words.insert(slot, left_aligned(chunk));
        }
    }

    fn decode_len(head: U256) -> Result<usize> {
        let len = if head.bit(0) {
            usize::try_from(head.wrapping_shr(1)).ok()
        } else {
            Some(usize::from(head.byte(0).wrapping_shr(1)))
        };
        len.ok_or_else(|| ContractError::Fatal("a stored length is out of range".into()))
    }

    /// Length in bytes.
    pub fn len(&self, host: &mut dyn Host) -> Result<usize> {
        Self::decode_len(self.place.load(host)?)
    }

    /// All bytes.
    pub fn read(&self, host: &mut dyn Host) -> Result<Vec<u8>> {
        let head = self.place.load(host)?;
        let len = Self::decode_len(head)?;
        if len <= INLINE {
            return Ok(head.to_be_bytes::<32>().into_iter().take(len).collect());
        }
        // Grows with what is read, so that gas, not the stored length, bounds it.
        let mut bytes = Vec::new();
        for slot in self.words(0).take(len.div_ceil(32)) {
            let word = host.sload(self.place.address, slot)?;
            bytes.extend_from_slice(&word.to_be_bytes::<32>());
        }
        bytes.truncate(len);
        Ok(bytes)
    }

    /// Replaces all bytes; words beyond the new end are cleared.
    pub fn write(&self, host: &mut dyn Host, bytes: &[u8]) -> Result<()> {
        let old = self.len(host)?;
        let new_words = if bytes.len() <= INLINE {
            0
        } else {
            bytes.len().div_ceil(32)
        };
        let old_words = if old <= INLINE { 0 } else { old.div_ceil(32) };
        self.write_words(host, 0, if new_words == 0 { &[] } else { bytes })?;
        let left = old_words.saturating_sub(new_words);
        for slot in self.words(new_words).take(left) {
            host.sstore(self.place.address, slot, U256::ZERO)?;
        }
        self.write_head(host, bytes.len(), bytes)
    }

    /// Appends bytes; writes only the words that change.
    pub fn append(&self, host: &mut dyn Host, chunk: &[u8]) -> Result<()> {
        let len = self.len(host)?;
        if len <= INLINE {
            let mut bytes = self.read(host)?;
            bytes.extend_from_slice(chunk);
            return self.write(host, &bytes);
        }
        let first = len / 32;
        let tail = len % 32;
        let slot = self.place.hashed().wrapping_add(U256::from(first));
        let word = host.sload(self.place.address, slot)?;
        let mut bytes: Vec<u8> = word.to_be_bytes::<32>().into_iter().take(tail).collect();
        bytes.extend_from_slice(chunk);
        self.write_words(host, first, &bytes)?;
        self.write_head(host, checked(len.checked_add(chunk.len()))?, &[])
    }

    fn write_words(&self, host: &mut dyn Host, first: usize, bytes: &[u8]) -> Result<()> {
        for (chunk, slot) in bytes.chunks(32).zip(self.words(first)) {
            host.sstore(self.place.address, slot, left_aligned(chunk))?;
        }
        Ok(())
    }

    fn write_head(&self, host: &mut dyn Host, len: usize, inline: &[u8]) -> Result<()> {
        let doubled = checked(U256::from(len).checked_mul(U256::from(2)))?;
        let head = if len <= INLINE {
            left_aligned(inline) | doubled
        } else {
            doubled | U256::from(1)
        };
        Ok(host.sstore(self.place.address, self.place.slot, head)?)
    }
}

/// A byte string that is replaced as a whole: one word for the trie, however long it is.
#[derive(Clone, Copy, Debug)]
pub struct StorageContent {
    place: Place,
}

impl Layout for StorageContent {
    const BYTES: usize = 32;
    const SLOTS: u64 = 1;
    fn at(place: Place) -> Self {
        Self { place }
    }
}

impl StorageContent {
    /// All bytes; none if never written.
    pub fn read(&self, host: &mut dyn Host) -> Result<Bytes, HostError> {
        host.load_content(self.place.address, self.place.slot)
    }

    /// Replaces all bytes.
    pub fn write(&self, host: &mut dyn Host, bytes: &[u8]) -> Result<(), HostError> {
        host.store_content(self.place.address, self.place.slot, bytes)
    }
}

/// At most 32 bytes, followed by zeros, as a word.
fn left_aligned(bytes: &[u8]) -> U256 {
    B256::right_padding_from(bytes).into()
}
