//! `Organisation`: the slug that scopes keys, identifiers and sealed records, and its packed form.
//!
//! Invariant: a value of this type always fits the packed form, so packing cannot fail, and a slug has one
//! packed form only.
use core::fmt;

/// Longest slug.
const MAX_CHARS: usize = 32;
/// Bytes of the packed form. Three characters of a 38-letter alphabet (`end`, a-z, 0-9, `-`) fit in
/// 16 bits (38^3 = 54,872 < 65,536), so 11 groups hold 33 ≥ 32 characters. One byte per character plus a
/// length would take 33 bytes and lengthen every key by 14 characters.
pub(crate) const PACKED: usize = 22;

/// An organisation's slug: 1 to 32 characters of `[a-z0-9-]`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Organisation(String);

/// Why a text is not an organisation's slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OrganisationRefused {
    /// No characters or more than 32.
    #[error("an organisation is 1 to 32 characters long, this has {chars}: choose a shorter slug")]
    Length {
        /// How many there were.
        chars: usize,
    },
    /// A character outside the alphabet.
    #[error("an organisation may hold only a-z, 0-9 and '-': spell it in those")]
    Character,
}

impl Organisation {
    /// Reads a slug.
    pub fn parse(text: &str) -> Result<Self, OrganisationRefused> {
        let chars = text.chars().count();
        if chars == 0 || chars > MAX_CHARS {
            return Err(OrganisationRefused::Length { chars });
        }
        if text.bytes().any(|byte| letter(byte).is_none()) {
            return Err(OrganisationRefused::Character);
        }
        Ok(Self(text.to_owned()))
    }

    /// The slug.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn pack(&self) -> [u8; PACKED] {
        let mut packed = [0u8; PACKED];
        let mut letters = self.0.bytes().map(|byte| letter(byte).unwrap_or(0));
        for pair in packed.chunks_exact_mut(2) {
            let group = (0..3).fold(0u16, |sum, _| {
                sum * 38 + u16::from(letters.next().unwrap_or(0))
            });
            pair.copy_from_slice(&group.to_be_bytes());
        }
        packed
    }

    pub(crate) fn unpack(packed: &[u8; PACKED]) -> Option<Self> {
        let mut text = String::with_capacity(MAX_CHARS);
        let mut ended = false;
        for pair in packed.chunks_exact(2) {
            let group = u16::from_be_bytes(pair.try_into().ok()?);
            for place in [38 * 38, 38, 1] {
                match character((group / place) % 38) {
                    Some(_) if ended => return None,
                    Some(character) => text.push(character),
                    None => ended = true,
                }
            }
            if group >= 38 * 38 * 38 {
                return None;
            }
        }
        Self::parse(&text).ok()
    }
}

impl fmt::Debug for Organisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Organisation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 0 is kept for "the slug has ended".
fn letter(byte: u8) -> Option<u8> {
    match byte {
        b'a'..=b'z' => Some(byte - b'a' + 1),
        b'0'..=b'9' => Some(byte - b'0' + 27),
        b'-' => Some(37),
        _ => None,
    }
}

fn character(letter: u16) -> Option<char> {
    let letter = u8::try_from(letter).ok()?;
    match letter {
        1..=26 => Some(char::from(b'a' + (letter - 1))),
        27..=36 => Some(char::from(b'0' + (letter - 27))),
        37 => Some('-'),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn slugs_are_short_and_plain() {
        for text in ["default", "a", "-", "0", &"z".repeat(32)] {
            assert_eq!(Organisation::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(
            Organisation::parse(""),
            Err(OrganisationRefused::Length { chars: 0 })
        );
        assert_eq!(
            Organisation::parse(&"z".repeat(33)),
            Err(OrganisationRefused::Length { chars: 33 })
        );
        for text in ["Default", "a_b", "a b", "é", "a/b", "a\0"] {
            assert_eq!(
                Organisation::parse(text),
                Err(OrganisationRefused::Character)
            );
        }
    }

    #[test]
    fn a_packed_form_with_a_gap_or_an_overflow_is_refused() {
        let mut gap = Organisation::parse("abc").unwrap().pack();
        gap[4..6].copy_from_slice(&1u16.to_be_bytes());
        assert_eq!(Organisation::unpack(&gap), None);
        assert_eq!(Organisation::unpack(&[0; PACKED]), None);
        assert_eq!(Organisation::unpack(&[0xff; PACKED]), None);
        let mut overflow = Organisation::parse("abc").unwrap().pack();
        overflow[2..4].copy_from_slice(&54_872u16.to_be_bytes());
        assert_eq!(Organisation::unpack(&overflow), None);
    }

    proptest! {
        #[test]
        fn every_slug_comes_back(text in "[a-z0-9-]{1,32}") {
            let organisation = Organisation::parse(&text).unwrap();
            prop_assert_eq!(Organisation::unpack(&organisation.pack()), Some(organisation));
        }

        #[test]
        fn every_packed_form_that_is_read_is_the_only_one(packed: [u8; PACKED]) {
            if let Some(organisation) = Organisation::unpack(&packed) {
                prop_assert_eq!(organisation.pack(), packed);
            }
        }
    }
}
