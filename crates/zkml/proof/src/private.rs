//! What a private order is made of: the buyer's secret, the commitment to the inputs and to a pad of
//! the outputs, masked outputs.
//!
//! # Commitment
//!
//! 32 secret bytes, fresh for every order, expand (BLAKE3) to a salt of 8 field elements (248 bits)
//! and one pad for every element of the outputs, uniform below `p`. The commitment is the digest of
//! the Poseidon2 sponge (module `sponge`) over
//!
//! ```text
//!     salt (8) ‖ pads of the outputs, in order ‖ inputs, packed, in order ‖ zeros
//! ```
//!
//! in `2^k` blocks of 8 elements. An input of `r` possible integers takes `b = ⌈log2 r⌉` bits; one
//! element holds `⌊30/b⌋` of its elements as `Σ_i 2^(b·i) x_i`, and every input begins a new element.
//! Two messages that differ give different field elements, since inputs are proven to be in their
//! range. The first capacity is a hash of the layout: shapes and ranges of the inputs, shapes of the
//! outputs.
//!
//! Binding rests on the collision resistance of the sponge (capacity 248 bits: 124 bits), hiding on
//! the salt.
//!
//! # Masked outputs
//!
//! The chain sees `output + pad mod p`, one uniform element for each element of the outputs. A secret
//! must never serve two orders: the difference of two masked outputs under the same pads is the
//! difference of the outputs.

use hallmark_graph::{Graph, Range, TensorError};
use p3_field::{PrimeCharacteristicRing, PrimeField32};

use crate::field::{F, log2_ceil, read_f, signed};
use crate::layout::Dims;
use crate::sponge::{RATE, absorb};

/// Bits of a field element that packed inputs fill.
const PACKED_BITS: usize = 30;
/// Fewest permutations, as a logarithm: one vector.
const MIN_PERMUTATIONS: usize = 4;

/// The secret of one order: whoever has it can open the commitment and read the output.
#[derive(Clone, PartialEq, Eq)]
pub struct InputSecret([u8; 32]);

impl std::fmt::Debug for InputSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InputSecret(..)")
    }
}

impl InputSecret {
    /// Of 32 bytes that the caller drew from the operating system and will never use again.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; 32] {
        self.0
    }

    /// The salt, then `pads` pads.
    fn expand(&self, pads: usize) -> ([F; RATE], Vec<F>) {
        let mut hasher = blake3::Hasher::new_derive_key("hallmark private input v1 salt and pads");
        hasher.update(&self.0);
        let mut stream = hasher.finalize_xof();
        let mut next = || {
            loop {
                let mut bytes = [0; 4];
                stream.fill(&mut bytes);
                bytes[3] &= 0x7f;
                // Uniform: of 2^31 numbers those below the modulus are kept.
                if let Some(element) = read_f(bytes) {
                    return element;
                }
            }
        };
        let salt = std::array::from_fn(|_| next());
        (salt, (0..pads).map(|_| next()).collect())
    }
}

/// How an input lies in the message.
#[derive(Clone, Debug)]
pub(crate) struct PackedInput {
    pub(crate) dims: Dims,
    /// Its first element in the message.
    pub(crate) first: usize,
    /// Bits of one of its elements.
    pub(crate) bits: usize,
    /// How many of them a field element holds.
    pub(crate) per: usize,
}

/// How the message of a graph's commitment is laid out.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    /// Dimensions of every output, and the first of its pads in the message.
    pub(crate) outputs: Vec<(Dims, usize)>,
    pub(crate) inputs: Vec<PackedInput>,
    /// Logarithm of the number of permutations.
    pub(crate) permutations: usize,
    /// The first capacity.
    pub(crate) start: [F; RATE],
}

impl Layout {
    pub(crate) fn new(graph: &Graph) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("hallmark private input v1 layout");
        let mut describe = |numbers: &[i64]| {
            hasher.update(&(numbers.len() as u64).to_le_bytes());
            for number in numbers {
                hasher.update(&number.to_le_bytes());
            }
        };
        let mut next = RATE;
        let mut outputs = Vec::new();
        describe(&[graph.outputs.len() as i64, graph.inputs.len() as i64]);
        for output in &graph.outputs {
            let shape = graph.shape(output.value);
            let dims = shape.map_or_else(|| Dims(Vec::new()), Dims::of);
            describe(&dims.0.iter().map(|&d| d as i64).collect::<Vec<_>>());
            let first = next;
            next += dims.elements();
            outputs.push((dims, first));
        }
        let mut inputs = Vec::new();
        for input in &graph.inputs {
            let dims = Dims::of(&input.shape);
            let (lo, hi) = (i64::from(input.range.lo), i64::from(input.range.hi));
            describe(&dims.0.iter().map(|&d| d as i64).collect::<Vec<_>>());
            describe(&[lo, hi]);
            let bits = log2_ceil((hi - lo + 1).max(2) as usize);
            let per = (PACKED_BITS / bits).max(1);
            let first = next;
            next += dims.elements().div_ceil(per);
            inputs.push(PackedInput {
                dims,
                first,
                bits,
                per,
            });
        }
        let mut stream = hasher.finalize_xof();
        let start = std::array::from_fn(|_| {
            // 64 bits of hash for a 31-bit field: the bias is 2^-33.
            let mut bytes = [0; 8];
            stream.fill(&mut bytes);
            F::from_u64(u64::from_le_bytes(bytes) % u64::from(F::ORDER_U32))
        });
        Self {
            outputs,
            inputs,
            permutations: log2_ceil(next.div_ceil(RATE)).max(MIN_PERMUTATIONS),
            start,
        }
    }

    /// Elements of all outputs.
    pub(crate) fn pads(&self) -> usize {
        self.outputs.iter().map(|(dims, _)| dims.elements()).sum()
    }

    /// The message's blocks; `inputs` is flat.
    pub(crate) fn message(&self, salt: &[F; RATE], pads: &[F], inputs: &[i32]) -> Vec<[F; RATE]> {
        let mut blocks = vec![[F::ZERO; RATE]; 1 << self.permutations];
        let message = blocks.as_flattened_mut();
        message[..RATE].copy_from_slice(salt);
        message[RATE..RATE + pads.len()].copy_from_slice(pads);
        let mut rest = inputs;
        for input in &self.inputs {
            let (values, others) = rest.split_at(input.dims.elements());
            rest = others;
            for (target, chunk) in message[input.first..]
                .iter_mut()
                .zip(values.chunks(input.per))
            {
                let packed = chunk
                    .iter()
                    .rev()
                    .fold(0i64, |sum, &x| (sum << input.bits) + i64::from(x));
                *target = signed(packed);
            }
        }
        blocks
    }
}

/// What a secret and inputs expand to.
pub(crate) struct Opened {
    pub(crate) salt: [F; RATE],
    pub(crate) pads: Vec<F>,
    pub(crate) message: Vec<[F; RATE]>,
}

impl Opened {
    pub(crate) fn new(layout: &Layout, inputs: &[i32], secret: &InputSecret) -> Self {
        let (salt, pads) = secret.expand(layout.pads());
        let message = layout.message(&salt, &pads, inputs);
        Self {
            salt,
            pads,
            message,
        }
    }
}

/// A digest as bytes: 8 elements, little-endian.
pub(crate) fn write_digest(digest: &[F; RATE]) -> [u8; 32] {
    let mut bytes = [0; 32];
    for (bytes, element) in bytes.chunks_exact_mut(4).zip(digest) {
        bytes.copy_from_slice(&element.as_canonical_u32().to_le_bytes());
    }
    bytes
}

/// The elements of a commitment, modulo `p`.
pub(crate) fn reduce_digest(bytes: &[u8; 32]) -> [F; RATE] {
    let (words, _) = bytes.as_chunks::<4>();
    let mut digest = [F::ZERO; RATE];
    for (element, &word) in digest.iter_mut().zip(words) {
        *element = F::from_u32(u32::from_le_bytes(word));
    }
    digest
}

/// The elements of a commitment, if each is below the modulus.
pub(crate) fn read_digest(bytes: &[u8; 32]) -> Option<[F; RATE]> {
    let (words, _) = bytes.as_chunks::<4>();
    let mut digest = [F::ZERO; RATE];
    for (element, &word) in digest.iter_mut().zip(words) {
        *element = read_f(word)?;
    }
    Some(digest)
}

/// The commitment to flat inputs of a graph and to the pads of its outputs.
///
/// # Errors
///
/// The inputs' length or range is not the graph's.
pub fn commit_input(
    graph: &Graph,
    inputs: &[i32],
    secret: &InputSecret,
) -> Result<[u8; 32], TensorError> {
    graph.check_input(inputs)?;
    let layout = Layout::new(graph);
    let opened = Opened::new(&layout, inputs, secret);
    Ok(write_digest(&absorb(&opened.message, layout.start).digest))
}

/// Whether bytes can be a commitment: 8 little-endian elements below the modulus.
#[must_use]
pub fn is_commitment(bytes: &[u8; 32]) -> bool {
    read_digest(bytes).is_some()
}

/// Flat outputs plus their pads, modulo `p`.
///
/// # Errors
///
/// The outputs' length or range is not the graph's.
pub fn mask_output(
    graph: &Graph,
    output: &[i32],
    secret: &InputSecret,
) -> Result<Vec<u32>, TensorError> {
    graph.check_output(output)?;
    let (_, pads) = secret.expand(output.len());
    let masked = output.iter().zip(pads);
    Ok(masked
        .map(|(&x, pad)| (signed(i64::from(x)) + pad).as_canonical_u32())
        .collect())
}

/// The outputs behind masked ones.
///
/// # Errors
///
/// The length is not the graph's, or the outputs do not lie in their range: another secret's.
pub fn unmask_output(
    graph: &Graph,
    masked: &[u32],
    secret: &InputSecret,
) -> Result<Vec<i32>, TensorError> {
    let (_, pads) = secret.expand(masked.len());
    let output: Vec<i32> = masked
        .iter()
        .zip(pads)
        .map(|(&x, pad)| centred(F::from_u32(x % F::ORDER_U32) - pad))
        .collect();
    graph.check_output(&output)?;
    Ok(output)
}

/// The representative of smallest magnitude.
pub(crate) fn centred(x: F) -> i32 {
    let x = i64::from(x.as_canonical_u32());
    let p = i64::from(F::ORDER_U32);
    (if x > p / 2 { x - p } else { x }) as i32
}

/// Masked outputs as bytes: 4 an element, little-endian.
#[must_use]
pub fn encode_masked(masked: &[u32]) -> Vec<u8> {
    masked.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// Reads what [`encode_masked`] writes, for a graph's outputs.
///
/// # Errors
///
/// A wrong number of bytes, or an element that is not below the modulus.
pub fn decode_masked(graph: &Graph, bytes: &[u8]) -> Result<Vec<u32>, TensorError> {
    let expected = 4 * graph.output_len();
    if bytes.len() != expected {
        return Err(TensorError::Bytes {
            expected,
            actual: bytes.len(),
        });
    }
    let (words, _) = bytes.as_chunks::<4>();
    let masked: Vec<i32> = words.iter().map(|&w| i32::from_le_bytes(w)).collect();
    check_masked(graph, &masked)?;
    Ok(masked.into_iter().map(|x| x as u32).collect())
}

/// As many elements as the outputs have, every one below the modulus, which fits 31 bits.
pub(crate) fn check_masked(graph: &Graph, masked: &[i32]) -> Result<(), TensorError> {
    let (expected, actual) = (graph.output_len(), masked.len());
    if actual != expected {
        return Err(TensorError::Length { expected, actual });
    }
    let range = Range {
        lo: 0,
        hi: (F::ORDER_U32 - 1) as i32,
    };
    match masked.iter().position(|&x| x < range.lo || x > range.hi) {
        None => Ok(()),
        Some(index) => Err(TensorError::Range {
            index,
            value: masked[index],
            range,
        }),
    }
}
