//! What a proof claims, ready to be checked.

use alloy_primitives::B256;
use hallmark_proof::VerifyingKey;

/// "Under `key`, `claim` is true", proven in `context`.
#[derive(Clone, Copy, Debug)]
pub struct Statement<'a> {
    pub key: &'a VerifyingKey,
    /// BLAKE3 of the key's bytes.
    pub key_digest: B256,
    pub claim: Claim<'a>,
    /// What the proof is bound to; see [`hallmark_types::order_context`].
    pub context: B256,
    pub proof: &'a [u8],
}

/// What is said of the input and the output of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim<'a> {
    /// The model gives `output` for `input`.
    Public { input: &'a [i32], output: &'a [i32] },
    /// The model's output for the input in `commitment`, plus the pad in `commitment`, is `masked`
    /// modulo p.
    Private { commitment: B256, masked: &'a [u32] },
}

impl Statement<'_> {
    /// Runs the verifier: deterministic, never panics, no state.
    ///
    /// # Errors
    ///
    /// Why the proof does not hold, for people.
    pub fn check(&self) -> Result<(), String> {
        let (key, context, proof) = (self.key, &self.context.0, self.proof);
        match self.claim {
            Claim::Public { input, output } => {
                hallmark_proof::verify(key, input, output, context, proof)
            }
            Claim::Private { commitment, masked } => {
                hallmark_proof::verify_private(key, &commitment.0, masked, context, proof)
            }
        }
        .map_err(|error| error.to_string())
    }

    /// BLAKE3 over key digest, context, the kind of claim, and the lengths and bytes of everything
    /// that the claim and the proof hold: equal digests have equal verdicts.
    #[must_use]
    pub fn digest(&self) -> B256 {
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.key_digest.as_slice());
        hasher.update(self.context.as_slice());
        match self.claim {
            Claim::Public { input, output } => {
                hasher.update(&[0]);
                for values in [input, output] {
                    hasher.update(&length(values.len()));
                    for value in values {
                        hasher.update(&value.to_le_bytes());
                    }
                }
            }
            Claim::Private { commitment, masked } => {
                hasher.update(&[1]);
                hasher.update(commitment.as_slice());
                hasher.update(&length(masked.len()));
                for value in masked {
                    hasher.update(&value.to_le_bytes());
                }
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
