//! Sets of cryptographic parameters.
//!
//! | profile | in a key | in proofs of public inputs | of private inputs |
//! |---|---|---|---|
//! | [`Profile::Standard`] | 1 | 1 | 2 |
//! | [`Profile::Short`] | 3 | 3 | 4 |
//!
//! Both are KoalaBear^5, BLAKE3 and WHIR without grinding: in the Johnson regime, and a hidden witness in
//! the unique-decoding regime. They differ in rates and folds alone, and each is priced at its own: a lower
//! rate takes fewer queries for the same error, so a proof is shorter, and a longer codeword, so it takes
//! longer to make. A key has one profile, since the weights are committed to at its rate.

use crate::plan::Mode;

/// How long proofs are against how long they take to make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Profile {
    /// Quick to make.
    #[default]
    Standard,
    /// Lower rates: shorter proofs, for those who pay by the byte.
    Short,
}

impl Profile {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Standard, Self::Short];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Short => "short",
        }
    }

    /// The profile that an encoded verifying key says it has, looking at nothing else.
    #[must_use]
    pub fn of_key(encoded: &[u8]) -> Option<Self> {
        Self::from_key_number(*encoded.get(5)?)
    }

    /// Its number in keys.
    pub(crate) fn key_number(self) -> u8 {
        match self {
            Self::Standard => 1,
            Self::Short => 3,
        }
    }

    pub(crate) fn from_key_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.key_number() == number)
    }

    /// Its number in proofs of a mode, with which their transcripts begin.
    pub(crate) fn proof_number(self, mode: Mode) -> u8 {
        self.key_number()
            + match mode {
                Mode::Public => 0,
                Mode::PrivateInput => 1,
            }
    }
}

/// What a number in a proof stands for.
pub(crate) fn describe(number: &u8) -> &'static str {
    match number {
        1 => "standard, public inputs",
        2 => "standard, private inputs",
        3 => "short, public inputs",
        4 => "short, private inputs",
        _ => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_stands_for_one_profile_and_mode() {
        let mut numbers = Vec::new();
        for profile in Profile::ALL {
            for (mode, inputs) in [(Mode::Public, "public"), (Mode::PrivateInput, "private")] {
                let number = profile.proof_number(mode);
                let name = format!("{}, {inputs} inputs", profile.name());
                assert_eq!(describe(&number), name);
                assert!(!numbers.contains(&number));
                numbers.push(number);
            }
            let number = profile.key_number();
            assert_eq!(Profile::from_key_number(number), Some(profile));
        }
        assert_eq!(Profile::from_key_number(2), None);
        assert_eq!(describe(&5), "unknown");
    }
}
