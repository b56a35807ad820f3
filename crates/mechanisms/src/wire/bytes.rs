//! Big-endian reading and writing of bounded byte strings.

use hallmark_fixed::Q64;

/// Reads from the front; every method says what was missing or wrong.
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self
            .rest
            .split_at_checked(length)
            .ok_or_else(|| format!("{length} bytes expected, {} left", self.rest.len()))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn u8(&mut self) -> Result<u8, String> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Result<u16, String> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, String> {
        self.array().map(u64::from_be_bytes)
    }

    pub(super) fn u128(&mut self) -> Result<u128, String> {
        self.array().map(u128::from_be_bytes)
    }

    pub(super) fn q64(&mut self) -> Result<Q64, String> {
        self.array().map(i128::from_be_bytes).map(Q64::from_bits)
    }

    /// A byte that is zero or one.
    pub(super) fn flag(&mut self, name: &str) -> Result<bool, String> {
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(format!("{name}: {other} is neither 0 nor 1")),
        }
    }

    /// `count` bits, lowest first within a byte; the unused ones of the last byte are zero.
    pub(super) fn bits(&mut self, count: usize) -> Result<Vec<bool>, String> {
        let bytes = self.take(count.div_ceil(8))?;
        let all = bytes
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1));
        if all.clone().skip(count).any(|bit| bit) {
            return Err(format!("a bit beyond the first {count} is set"));
        }
        Ok(all.take(count).collect())
    }

    pub(super) fn numbers(&mut self, count: usize) -> Result<Vec<Q64>, String> {
        let mut inner = Reader::new(self.take(count.saturating_mul(16))?);
        (0..count).map(|_| inner.q64()).collect()
    }

    /// Numbers that may be missing: a bit each, then those that are there.
    pub(super) fn options(&mut self, count: usize) -> Result<Vec<Option<Q64>>, String> {
        let present = self.bits(count)?;
        let there = present.iter().filter(|&&there| there).count();
        let mut numbers = self.numbers(there)?.into_iter();
        Ok(present
            .into_iter()
            .map(|there| if there { numbers.next() } else { None })
            .collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn end(&self) -> Result<(), String> {
        match self.rest.len() {
            0 => Ok(()),
            more => Err(format!("{more} bytes too many")),
        }
    }
}

/// The inverse of [`Reader`].
#[derive(Default)]
pub(super) struct Writer {
    pub(super) bytes: Vec<u8>,
}

impl Writer {
    pub(super) fn put(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    pub(super) fn u8(&mut self, value: u8) {
        self.bytes.push(value);
    }

    pub(super) fn u16(&mut self, value: u16) {
        self.put(&value.to_be_bytes());
    }

    /// A length that is known to fit; more is cut to the greatest, which no reader accepts.
    pub(super) fn length(&mut self, value: usize) {
        self.u16(u16::try_from(value).unwrap_or(u16::MAX));
    }

    pub(super) fn q64(&mut self, value: Q64) {
        self.put(&value.to_bits().to_be_bytes());
    }

    pub(super) fn bits(&mut self, bits: impl Iterator<Item = bool>) {
        let (mut byte, mut filled) = (0u8, 0u32);
        for bit in bits {
            byte |= u8::from(bit) << filled;
            filled = filled.saturating_add(1);
            if filled == 8 {
                self.u8(byte);
                (byte, filled) = (0, 0);
            }
        }
        if filled > 0 {
            self.u8(byte);
        }
    }

    pub(super) fn numbers(&mut self, values: &[Q64]) {
        for &value in values {
            self.q64(value);
        }
    }

    pub(super) fn options(&mut self, values: &[Option<Q64>]) {
        self.bits(values.iter().map(Option::is_some));
        for value in values.iter().flatten() {
            self.q64(*value);
        }
    }
}
