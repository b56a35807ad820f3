//! Gas that a delivery needs, for those who list a model and for those who deliver.
//!
//! ```text
//! limit = 21,000 + max(floor·tokens, price·tokens + work)                        (EIP-7623)
//! work  = verification + 1,000,000 + 3·calldata + 23,000·words written + 2,800·words read
//! ```
//!
//! A zero byte of calldata is one token, any other four. Words are of 32 bytes, and one more than the
//! bytes need. The limit is an upper bound; gas that is not used is not paid.

/// Gas of a plain transaction.
const BASE: u64 = 21_000;
/// A delivery's own work: slots of the order, three payments, events.
const DELIVER: u64 = 1_000_000;
/// Copying and decoding a byte of calldata.
const CALLDATA_PER_BYTE: u64 = 3;
/// Writing a new word of storage, hashing it, and the word in the event.
const WRITE_WORD: u64 = 23_000;
/// Reading a word of storage, and hashing it.
const READ_WORD: u64 = 2_800;
/// Bytes of a delivery's calldata that are neither output nor proof: selector, id, places and lengths of
/// two byte strings and their padding.
const ENVELOPE: u64 = 4 + 32 * 7;

/// What a delivery brings and needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryGas {
    /// Zero bytes of calldata.
    pub zeros: u64,
    /// Other bytes of calldata.
    pub others: u64,
    /// Bytes of storage that are read: the key, and the input of an open order.
    pub stored: u64,
    /// Bytes of the output, which is written to storage.
    pub output: u64,
    /// Gas of the verification, what the proof's length adds included.
    pub verification: u64,
}

impl DeliveryGas {
    /// The dearest delivery of an output and a proof of so many bytes: no byte of its calldata is zero.
    #[must_use]
    pub fn dearest(output: u64, proof: u64, stored: u64, verification: u64) -> Self {
        Self {
            zeros: 0,
            others: output.saturating_add(proof).saturating_add(ENVELOPE),
            stored,
            output,
            verification,
        }
    }

    /// Gas per token at the floor, and for the calldata of a transaction whose work costs more: the
    /// chain's `payload_floor_gas_per_token` and `payload_gas_per_token`.
    #[must_use]
    pub fn limit(&self, floor: u64, price: u64) -> u64 {
        let tokens = self.others.saturating_mul(4).saturating_add(self.zeros);
        let bytes = self.others.saturating_add(self.zeros);
        let words = |bytes: u64| bytes.div_ceil(32).saturating_add(1);
        let work = self
            .verification
            .saturating_add(DELIVER)
            .saturating_add(bytes.saturating_mul(CALLDATA_PER_BYTE))
            .saturating_add(words(self.output).saturating_mul(WRITE_WORD))
            .saturating_add(words(self.stored).saturating_mul(READ_WORD));
        let dear = tokens.saturating_mul(price).saturating_add(work);
        BASE.saturating_add(tokens.saturating_mul(floor).max(dear))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_pays_for_its_bytes_and_work_or_the_floor_whichever_is_more() {
        let small = DeliveryGas {
            zeros: 1,
            others: 2,
            stored: 33,
            output: 10,
            verification: 7,
        };
        // Nine tokens; two words written, three read.
        let work = 7 + 1_000_000 + 3 * 3 + 2 * 23_000 + 3 * 2_800;
        assert_eq!(small.limit(10, 4), 21_000 + 9 * 4 + work);
        let long = DeliveryGas {
            others: 1_000_000,
            ..small
        };
        assert_eq!(long.limit(10, 4), 21_000 + 10 * 4_000_001);
        let endless = DeliveryGas {
            verification: u64::MAX,
            ..small
        };
        assert_eq!(endless.limit(10, 4), u64::MAX);
    }
}
