//! The test set of a score topic: `u32` count, then per sample `u32` length, input, `u32` label.

use super::bytes::{Reader, Writer};

/// Greatest number of samples.
pub const MOST_SAMPLES: u32 = 64;

/// One question and its right answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample<'a> {
    /// The model's input.
    pub input: &'a [u8],
    /// Index of the right class.
    pub label: u32,
}

/// The inverse of [`encode_test_set`].
///
/// # Errors
///
/// What is wrong: no sample or more than [`MOST_SAMPLES`], or lengths that the bytes do not hold.
pub fn test_set(bytes: &[u8]) -> Result<Vec<Sample<'_>>, String> {
    let mut reader = Reader::new(bytes);
    let count = reader.u32()?;
    if !(1..=MOST_SAMPLES).contains(&count) {
        return Err(format!(
            "{count} samples: from 1 to {MOST_SAMPLES} are possible"
        ));
    }
    let mut samples = Vec::new();
    for index in 0..count {
        let fault = |error| format!("sample {index}: {error}");
        let length = reader.u32().map_err(fault)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let input = reader.take(length).map_err(fault)?;
        let label = reader.u32().map_err(fault)?;
        samples.push(Sample { input, label });
    }
    reader.end()?;
    Ok(samples)
}

/// Writes a test set.
///
/// # Errors
///
/// No sample or more than [`MOST_SAMPLES`], or an input of 4 GiB or more.
pub fn encode_test_set(samples: &[Sample<'_>]) -> Result<Vec<u8>, String> {
    let count = u32::try_from(samples.len()).unwrap_or(u32::MAX);
    if !(1..=MOST_SAMPLES).contains(&count) {
        return Err(format!(
            "{} samples: from 1 to {MOST_SAMPLES} are possible",
            samples.len()
        ));
    }
    let mut writer = Writer::default();
    writer.put(&count.to_be_bytes());
    for sample in samples {
        let length = u32::try_from(sample.input.len())
            .map_err(|_| format!("an input of {} bytes is too long", sample.input.len()))?;
        writer.put(&length.to_be_bytes());
        writer.put(sample.input);
        writer.put(&sample.label.to_be_bytes());
    }
    Ok(writer.bytes)
}
