//! The decoders alone, on bytes that no prover made: small enough for an interpreter that watches memory
//! (`cargo +nightly miri test -p hallmark-proof --lib -- decoders`).

use crate::commitment::Whir;
use crate::opening::codec::max_opening;
use crate::opening::masked::HidingWhir;
use crate::opening::masked_codec::max_hiding;
use crate::proof::{
    DecodeFailure, FormatError, Proof, VERSION, WitnessConfig, decode, decode_batch, encode,
};
use crate::{Mode, Profile};

/// Variables of the commitments: the fewest of a hiding one.
const VARIABLES: usize = 12;
const MESSAGES: usize = 3;

struct World {
    profile: Profile,
    plain: Whir,
    hiding: HidingWhir,
}

impl World {
    fn new(profile: Profile) -> Self {
        Self {
            plain: Whir::new(VARIABLES, profile, false).unwrap(),
            hiding: HidingWhir::new(VARIABLES, profile, false).unwrap(),
            profile,
        }
    }

    fn witness(&self, mode: Mode) -> WitnessConfig<'_> {
        match mode {
            Mode::Public => WitnessConfig::Plain(self.plain.config()),
            Mode::PrivateInput => WitnessConfig::Hiding(self.hiding.config()),
        }
    }

    fn decode(&self, mode: Mode, bytes: &[u8]) -> Result<Proof, DecodeFailure> {
        let weights = std::iter::once(self.plain.config());
        decode(bytes, MESSAGES, self.profile, self.witness(mode), weights)
    }

    /// A header, then as many zeros as any proof has.
    fn zeros(&self, mode: Mode) -> Vec<u8> {
        let (most, _) = match mode {
            Mode::Public => max_opening(self.plain.config()),
            Mode::PrivateInput => max_hiding(self.hiding.config()),
        };
        let mut bytes = b"HMKP".to_vec();
        bytes.extend_from_slice(&[VERSION, self.profile.proof_number(mode)]);
        let rest = 5 * 32 + 20 * MESSAGES + most + max_opening(self.plain.config()).0;
        bytes.resize(6 + rest, 0);
        bytes
    }
}

const MODES: [Mode; 2] = [Mode::Public, Mode::PrivateInput];

/// Zeros are elements, digests and counts of no siblings: they are read to the end of what is read, and written
/// back as they were.
#[test]
fn zeros_are_read_once_and_written_back_as_they_were() {
    for profile in Profile::ALL {
        let world = World::new(profile);
        for mode in MODES {
            let mut bytes = world.zeros(mode);
            let verdict = world.decode(mode, &bytes).err();
            assert_eq!(verdict, Some(FormatError::Trailing.into()), "{mode:?}");
            // Shorter until nothing follows: by halves.
            let (mut short, mut long) = (0, bytes.len());
            while long - short > 1 {
                let middle = short.midpoint(long);
                match world.decode(mode, &bytes[..middle]).err() {
                    Some(DecodeFailure::Format(FormatError::Truncated)) => short = middle,
                    _ => long = middle,
                }
            }
            bytes.truncate(long);
            let proof = world
                .decode(mode, &bytes)
                .unwrap_or_else(|e| panic!("{e:?}"));
            assert_eq!(encode(&proof), bytes, "{mode:?}");
        }
    }
}

#[test]
fn garbage_cut_short_or_of_false_counts_is_refused_by_every_decoder() {
    let world = World::new(Profile::Standard);
    for mode in MODES {
        let zeros = world.zeros(mode);
        let step = if cfg!(miri) { 60_000 } else { 997 };
        for at in (6..zeros.len() - 4).step_by(step) {
            // The greatest number where an element or a count is, or zeros that end there.
            let mut bytes = zeros.clone();
            bytes[at..at + 4].fill(0xff);
            assert!(world.decode(mode, &bytes).is_err(), "{mode:?} at {at}");
            assert!(
                world.decode(mode, &zeros[..at]).is_err(),
                "{mode:?} to {at}"
            );
        }
        let weights = || std::iter::once(world.plain.config());
        let mut batch = zeros.clone();
        batch[3] = b'B';
        for runs in [0, 1, 2, 64] {
            batch[6] = runs;
            let runs = usize::from(runs);
            let config = world.witness(mode);
            let verdict = decode_batch(&batch, runs, MESSAGES, world.profile, config, weights());
            let of = verdict.err().map(|e| {
                matches!(
                    e,
                    DecodeFailure::Format(FormatError::Trailing | FormatError::Truncated)
                )
            });
            assert_eq!(of, Some(true), "{mode:?}, {runs} runs");
            let verdict =
                decode_batch(&batch, runs + 1, MESSAGES, world.profile, config, weights());
            let found = verdict.err();
            assert_eq!(found, Some(FormatError::Runs.into()), "{mode:?}, {runs}");
        }
        for (at, value) in [(0, b'X'), (4, VERSION + 1), (5, 99)] {
            let mut bytes = zeros.clone();
            bytes[at] = value;
            assert!(world.decode(mode, &bytes).is_err());
        }
    }
}
