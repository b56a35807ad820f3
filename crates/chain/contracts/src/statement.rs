//! What a proof claims, ready to be checked.

use alloy_primitives::B256;
use hallmark_proof::VerifyingKey;

/// "The model of `key` gives `output` for `input`", proven in `context`.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    pub key: &'a VerifyingKey,
    /// BLAKE3 of the key's bytes.
    pub key_digest: B256,
    pub input: &'a [i32],
    pub output: &'a [i32],
    /// What the proof is bound to; see [`hallmark_types::order_context`].
    pub context: B256,
    pub proof: &'a [u8],
}

impl Statement<'_> {
    /// Runs the verifier: deterministic, never panics, no state.
    ///
    /// # Errors
    ///
    /// Why the proof does not hold, for people.
    pub fn check(&self) -> Result<(), String> {
        hallmark_proof::verify(
            self.key,
            self.input,
            self.output,
            &self.context.0,
            self.proof,
        )
        .map_err(|error| error.to_string())
    }

    /// BLAKE3 over key digest, context, and the lengths and bytes of input, output and proof:
    /// equal digests have equal verdicts.
    #[must_use]
    pub fn digest(&self) -> B256 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.key_digest.as_slice());
        hasher.update(self.context.as_slice());
        for values in [self.input, self.output] {
            hasher.update(&length(values.len()));
            for value in values {
                hasher.update(&value.to_le_bytes());
            }
        }
        hasher.update(&length(self.proof.len()));
        hasher.update(self.proof);
        B256::from(*hasher.finalize().as_bytes())
    }
}

fn length(len: usize) -> [u8; 8] {
    u64::try_from(len).unwrap_or(u64::MAX).to_le_bytes()
}
