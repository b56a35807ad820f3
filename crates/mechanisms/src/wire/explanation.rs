//! The columns that explain a settlement: `u8` count, then per column `u8` length of its name, the
//! name (UTF-8), and an `i128` (Q64) per entry.

use super::bytes::{Reader, Writer};
use crate::settlement::Column;
use hallmark_fixed::Q64;

/// A named column: one number per entry.
pub type NamedColumn = (String, Vec<Q64>);

/// Writes columns; at most 255 of them with names of at most 255 bytes, what is beyond is left out.
pub fn encode_explanation<'a>(columns: impl IntoIterator<Item = (&'a str, &'a [Q64])>) -> Vec<u8> {
    let mut writer = Writer::default();
    writer.u8(0);
    let mut count = 0u8;
    for (name, values) in columns {
        let (Some(next), Ok(length)) = (count.checked_add(1), u8::try_from(name.len())) else {
            continue;
        };
        count = next;
        writer.u8(length);
        writer.put(name.as_bytes());
        writer.numbers(values);
    }
    if let Some(place) = writer.bytes.first_mut() {
        *place = count;
    }
    writer.bytes
}

/// The inverse of [`encode_explanation`] for `entries` entries.
///
/// # Errors
///
/// What is wrong: lengths that the bytes do not hold, or a name that is not text.
pub fn decode_explanation(bytes: &[u8], entries: usize) -> Result<Vec<NamedColumn>, String> {
    let mut reader = Reader::new(bytes);
    let count = reader.u8()?;
    let mut columns = Vec::new();
    for _ in 0..count {
        let length = usize::from(reader.u8()?);
        let name = core::str::from_utf8(reader.take(length)?)
            .map_err(|_| "a column's name is not text".to_string())?;
        columns.push((name.to_string(), reader.numbers(entries)?));
    }
    reader.end()?;
    Ok(columns)
}

/// The columns of a settlement by slot, written by entry.
pub(super) fn by_entry(columns: &[Column], slots: impl Iterator<Item = usize> + Clone) -> Vec<u8> {
    let columns: Vec<(&str, Vec<Q64>)> = columns
        .iter()
        .map(|column| {
            let value = |slot: usize| column.values.get(slot).copied().unwrap_or(Q64::ZERO);
            (column.name, slots.clone().map(value).collect())
        })
        .collect();
    encode_explanation(
        columns
            .iter()
            .map(|(name, values)| (*name, values.as_slice())),
    )
}
