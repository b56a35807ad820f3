//! Samples from files: what calibration and inference read.
//!
//! | file | content |
//! |---|---|
//! | `.npy` | float32, float64, or integers of 8 to 64 bits, little endian, C order |
//! | `.npz` | one array per input of the model, in order, stored or deflated; or one array of whole samples; then perhaps one array of labels, one or several a sample |
//! | `.json` | `{"input_data": [[…], …]}`: one list per sample, or one list per input, or samples back to back |
//! | `.csv` | `assets/digits.csv`: split, label, 64 pixels of 0 to 16, read as pixels / 16 |

use std::io::{Cursor, Read};
use std::path::Path;

use crate::DataError;

/// Largest file of samples, and largest array of an archive.
const MAX_DATA_BYTES: u64 = 1 << 30;

/// Samples of equal length, with labels where the file has them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Dataset {
    /// Real elements of each sample, row-major.
    pub samples: Vec<Vec<f32>>,
    /// Labels, equally many for each sample (one, or one for each row of its output), one sample's
    /// after the other's.
    pub labels: Option<Vec<u32>>,
    /// Whether a sample is kept from training and calibration.
    pub test: Option<Vec<bool>>,
}

impl Dataset {
    /// The samples that calibration may see.
    #[must_use]
    pub fn calibration(&self) -> Vec<&[f32]> {
        self.part(false)
            .map(|index| self.samples[index].as_slice())
            .collect()
    }

    /// Labels of the samples at these indices, one sample's after the other's; `None` where there
    /// are none.
    #[must_use]
    pub fn labels_of(&self, indices: &[usize]) -> Option<Vec<u32>> {
        let labels = self.labels.as_deref()?;
        let each = labels.len() / self.samples.len().max(1);
        let own = |&index: &usize| labels.get(index * each..(index + 1) * each);
        let chosen: Option<Vec<&[u32]>> = indices.iter().map(own).collect();
        Some(chosen?.concat())
    }

    /// Takes labels from another file: one array of whole numbers, `.npy` or the first of a `.npz`.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is malformed, or does not hold labels for every sample.
    pub fn label(self, path: &Path) -> Result<Self, DataError> {
        let bytes = read_bounded(path)?;
        let array = match path.extension().and_then(|ending| ending.to_str()) {
            Some("npy") => npy(&bytes),
            Some("npz") => npz(&bytes, 1).map(|arrays| arrays.concat()),
            _ => Err("labels are read from npy and npz only".into()),
        };
        array
            .and_then(|array| whole(&array))
            .and_then(|labels| {
                check_labels(Self {
                    labels: Some(labels),
                    ..self
                })
            })
            .map_err(|reason| DataError::Format {
                path: path.display().to_string(),
                reason,
            })
    }

    /// Indices of the samples kept for testing; all, when the file has no split.
    #[must_use]
    pub fn test_indices(&self) -> Vec<usize> {
        match self.test {
            Some(_) => self.part(true).collect(),
            None => (0..self.samples.len()).collect(),
        }
    }

    fn part(&self, test: bool) -> impl Iterator<Item = usize> + '_ {
        (0..self.samples.len()).filter(move |&index| match &self.test {
            Some(split) => split.get(index) == Some(&test),
            None => !test,
        })
    }
}

/// Reads samples for a model whose inputs have so many elements each; the file's ending chooses
/// the format. A sample is the concatenation of all inputs.
///
/// # Errors
///
/// A file that cannot be read, is too large, is malformed, or does not hold whole samples.
pub fn read_dataset(path: &Path, inputs: &[usize]) -> Result<Dataset, DataError> {
    let elements: usize = inputs.iter().sum();
    let refuse = |reason: String| DataError::Format {
        path: path.display().to_string(),
        reason,
    };
    let bytes = read_bounded(path)?;
    let ending = path
        .extension()
        .and_then(|ending| ending.to_str())
        .unwrap_or("");
    let dataset = match ending {
        "npy" => npy(&bytes).and_then(|array| split(&array, elements)),
        "npz" => npz(&bytes, inputs.len() + 1).and_then(|arrays| labelled(arrays, inputs)),
        "json" => json(&bytes, inputs),
        "csv" => digits(&bytes),
        other => Err(format!(
            "files ending in {other:?} are not read, only npy, npz, json, csv"
        )),
    };
    let dataset = dataset.map_err(refuse)?;
    match dataset
        .samples
        .iter()
        .find(|sample| sample.len() != elements)
    {
        Some(sample) => Err(refuse(format!(
            "a sample has {} numbers, the model's input has {elements}",
            sample.len()
        ))),
        None => Ok(dataset),
    }
}

/// Reads images in the format of `assets/digits.csv` (`split,label,p0,…`, grey levels of 0 to 16)
/// from memory, as [`read_dataset`] does from a file.
///
/// # Errors
///
/// A table of another shape.
pub fn parse_digits(bytes: &[u8]) -> Result<Dataset, DataError> {
    digits(bytes).map_err(|reason| DataError::Format {
        path: "digits".to_owned(),
        reason,
    })
}

fn read_bounded(path: &Path) -> Result<Vec<u8>, DataError> {
    let io = |source| DataError::Io {
        path: path.display().to_string(),
        source,
    };
    let file = std::fs::File::open(path).map_err(io)?;
    let mut bytes = Vec::new();
    file.take(MAX_DATA_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(io)?;
    if bytes.len() as u64 > MAX_DATA_BYTES {
        return Err(DataError::Format {
            path: path.display().to_string(),
            reason: format!("has more than {MAX_DATA_BYTES} bytes"),
        });
    }
    Ok(bytes)
}

fn split(array: &[f32], elements: usize) -> Result<Dataset, String> {
    if elements == 0 || array.is_empty() || !array.len().is_multiple_of(elements) {
        return Err(format!(
            "holds {} numbers, no multiple of the input's {elements}",
            array.len()
        ));
    }
    Ok(Dataset {
        samples: array.chunks_exact(elements).map(<[f32]>::to_vec).collect(),
        ..Dataset::default()
    })
}

/// Reads an array of NumPy's format 1.0 to 3.0.
fn npy(bytes: &[u8]) -> Result<Vec<f32>, String> {
    let cut = || "is cut off".to_owned();
    let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or("is no NumPy file")?;
    let (version, rest) = rest.split_at_checked(2).ok_or_else(cut)?;
    let (length, rest) = match version[0] {
        1 => {
            let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
            (usize::from(u16::from_le_bytes(*length)), rest)
        }
        2 | 3 => {
            let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
            (u32::from_le_bytes(*length) as usize, rest)
        }
        other => return Err(format!("has NumPy format {other}, only 1 to 3 are read")),
    };
    let (header, data) = rest.split_at_checked(length).ok_or_else(cut)?;
    let header = std::str::from_utf8(header).map_err(|_| "has a malformed header")?;
    let value = |key: &str| {
        let (_, after) = header.split_once(&format!("'{key}':"))?;
        Some(after.trim_start())
    };
    if !value("fortran_order").is_some_and(|text| text.starts_with("False")) {
        return Err("is in Fortran order, only C order is read".into());
    }
    let shape = value("shape")
        .and_then(|text| text.strip_prefix('('))
        .and_then(|text| text.split_once(')'))
        .ok_or("has a malformed shape")?
        .0;
    let count = shape
        .split(',')
        .map(str::trim)
        .filter(|dim| !dim.is_empty())
        .try_fold(1usize, |product, dim| {
            product.checked_mul(dim.parse().ok()?)
        })
        .ok_or("has a malformed shape")?;
    let kind = value("descr")
        .and_then(|text| text.strip_prefix('\''))
        .and_then(|text| text.split_once('\''))
        .ok_or("has a malformed element type")?
        .0;
    let numbers: Vec<f32> = match kind {
        "<f4" => numbers(data, f32::from_le_bytes),
        "<f8" => numbers(data, |b| f64::from_le_bytes(b) as f32),
        "|u1" => numbers(data, |b| f32::from(u8::from_le_bytes(b))),
        "|i1" => numbers(data, |b| f32::from(i8::from_le_bytes(b))),
        "<i2" => numbers(data, |b| f32::from(i16::from_le_bytes(b))),
        "<u2" => numbers(data, |b| f32::from(u16::from_le_bytes(b))),
        "<i4" => numbers(data, |b| i32::from_le_bytes(b) as f32),
        "<i8" => numbers(data, |b| i64::from_le_bytes(b) as f32),
        other => return Err(format!("has elements of type {other:?}, which is not read")),
    };
    if numbers.len() != count {
        return Err(format!(
            "holds {} numbers, its shape ({shape}) needs {count}",
            numbers.len()
        ));
    }
    Ok(numbers)
}

fn numbers<const N: usize>(data: &[u8], read: impl Fn([u8; N]) -> f32) -> Vec<f32> {
    data.as_chunks::<N>()
        .0
        .iter()
        .map(|chunk| read(*chunk))
        .collect()
}

/// Reads at most `most` arrays of an archive; the limit holds for what comes out of it.
fn npz(bytes: &[u8], most: usize) -> Result<Vec<Vec<f32>>, String> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).map_err(|e| e.to_string())?;
    if archive.is_empty() {
        return Err("holds no array".into());
    }
    let mut left = MAX_DATA_BYTES;
    let mut arrays = Vec::new();
    for index in 0..archive.len().min(most.max(1)) {
        let file = archive.by_index(index).map_err(|e| e.to_string())?;
        let mut array = Vec::new();
        file.take(left + 1)
            .read_to_end(&mut array)
            .map_err(|e| e.to_string())?;
        left = left
            .checked_sub(array.len() as u64)
            .ok_or_else(|| format!("holds arrays of more than {MAX_DATA_BYTES} bytes"))?;
        arrays.push(npy(&array)?);
    }
    Ok(arrays)
}

/// The array after the inputs' is labels.
fn labelled(mut arrays: Vec<Vec<f32>>, inputs: &[usize]) -> Result<Dataset, String> {
    let labels = match arrays.len() > inputs.len() {
        true => arrays.pop(),
        false => None,
    };
    let mut dataset = join(arrays, inputs)?;
    if let Some(labels) = labels {
        dataset.labels = Some(whole(&labels)?);
    }
    check_labels(dataset)
}

/// Whole numbers as labels; those of `f32` are exact below 2^24.
fn whole(numbers: &[f32]) -> Result<Vec<u32>, String> {
    let label = |&x: &f32| {
        let fits = x.fract() == 0.0 && (0.0..16_777_216.0).contains(&x);
        fits.then_some(x as u32)
            .ok_or_else(|| format!("holds the label {x}, which is no small whole number"))
    };
    numbers.iter().map(label).collect()
}

fn check_labels(dataset: Dataset) -> Result<Dataset, String> {
    let (labels, samples) = match &dataset.labels {
        Some(labels) => (labels.len(), dataset.samples.len()),
        None => return Ok(dataset),
    };
    match labels > 0 && labels.is_multiple_of(samples.max(1)) {
        true => Ok(dataset),
        false => Err(format!("holds {labels} labels for {samples} samples")),
    }
}

/// One array per input, each holding equally many samples; or one array of whole samples.
fn join(arrays: Vec<Vec<f32>>, inputs: &[usize]) -> Result<Dataset, String> {
    let whole: usize = inputs.iter().sum();
    if let [array] = &arrays[..] {
        return split(array, whole);
    }
    let count = match (arrays.first(), inputs.first()) {
        (Some(array), Some(&size)) if size > 0 => array.len() / size,
        _ => 0,
    };
    let fits = arrays.len() == inputs.len()
        && count > 0
        && arrays
            .iter()
            .zip(inputs)
            .all(|(array, &size)| size.checked_mul(count) == Some(array.len()));
    if !fits {
        let lengths: Vec<usize> = arrays.iter().map(Vec::len).collect();
        return Err(format!(
            "holds arrays of {lengths:?} numbers, the model's inputs have {inputs:?}"
        ));
    }
    let sample = |index: usize| {
        let parts = arrays.iter().zip(inputs);
        parts
            .flat_map(|(array, &size)| &array[index * size..][..size])
            .copied()
            .collect()
    };
    Ok(Dataset {
        samples: (0..count).map(sample).collect(),
        ..Dataset::default()
    })
}

#[derive(serde::Deserialize)]
struct JsonInput {
    input_data: Vec<Numbers>,
}

/// Numbers in lists of any depth; true and false are 1 and 0.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Numbers {
    Number(f32),
    Truth(bool),
    List(Vec<Numbers>),
}

impl Numbers {
    fn flatten(&self, into: &mut Vec<f32>) {
        match self {
            Self::Number(value) => into.push(*value),
            Self::Truth(value) => into.push(f32::from(u8::from(*value))),
            Self::List(items) => items.iter().for_each(|item| item.flatten(into)),
        }
    }
}

fn json(bytes: &[u8], inputs: &[usize]) -> Result<Dataset, String> {
    let input: JsonInput = serde_json::from_slice(bytes).map_err(|e| e.to_string())?;
    let lists: Vec<Vec<f32>> = input
        .input_data
        .iter()
        .map(|item| {
            let mut list = Vec::new();
            item.flatten(&mut list);
            list
        })
        .collect();
    let one_each = inputs.len() > 1 && lists.iter().map(Vec::len).eq(inputs.iter().copied());
    match one_each {
        true => join(lists, inputs),
        false => split(&lists.concat(), inputs.iter().sum()),
    }
}

/// Reads `assets/digits.csv`.
fn digits(bytes: &[u8]) -> Result<Dataset, String> {
    let text = std::str::from_utf8(bytes).map_err(|e| e.to_string())?;
    let mut lines = text.lines();
    if !lines
        .next()
        .is_some_and(|header| header.starts_with("split,label,p0,"))
    {
        return Err("is not the digits file: its first line is no split,label,p0,…".into());
    }
    let mut dataset = Dataset::default();
    let (mut labels, mut test) = (Vec::new(), Vec::new());
    for (index, line) in lines.enumerate() {
        let bad = |what: &str| format!("line {}: {what}", index + 2);
        let mut fields = line.split(',');
        test.push(match fields.next() {
            Some("test") => true,
            Some("train") => false,
            _ => return Err(bad("the split is neither train nor test")),
        });
        let label = fields.next().and_then(|field| field.parse().ok());
        labels.push(
            label
                .filter(|label| *label < 10)
                .ok_or_else(|| bad("no label of 0 to 9"))?,
        );
        let pixels: Option<Vec<f32>> = fields
            .map(|field| field.parse::<u8>().ok().filter(|&pixel| pixel <= 16))
            .map(|pixel| pixel.map(|pixel| f32::from(pixel) / 16.0))
            .collect();
        let pixels = pixels.filter(|pixels| pixels.len() == 64);
        dataset
            .samples
            .push(pixels.ok_or_else(|| bad("no 64 pixels of 0 to 16"))?);
    }
    if dataset.samples.is_empty() {
        return Err("holds no image".into());
    }
    dataset.labels = Some(labels);
    dataset.test = Some(test);
    Ok(dataset)
}
