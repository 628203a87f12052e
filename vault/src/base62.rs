//! Fixed-length base62 of byte strings whose length is a multiple of 8.
//!
//! Each 8 bytes (a big-endian u64) become exactly 11 characters: 62^11 ≈ 5.2e19 holds 2^64 ≈ 1.8e19, and
//! 62^10 ≈ 8.4e17 would not. Working chunk by chunk keeps this in machine words; one big integer over the
//! whole string would save 2 of 88 characters and cost a quadratic division per request.
//!
//! Invariant: one byte string has one text. The length is fixed, every digit has one character, and a
//! chunk that exceeds 2^64 − 1 is refused, so decode(t) = b exactly when encode(b) = t.
//!
//! Characters are computed, not looked up, because the payload can be a secret and a table indexed by it
//! would leave a trace in the cache.

/// Bytes in one chunk.
pub(crate) const CHUNK: usize = 8;
/// Characters that one chunk becomes.
pub(crate) const CHUNK_CHARS: usize = 11;

/// Appends the text of the chunks to `out`: `CHUNK_CHARS` characters each.
pub(crate) fn encode_into(chunks: &[[u8; CHUNK]], out: &mut String) {
    out.reserve(chunks.len() * CHUNK_CHARS);
    for chunk in chunks {
        let mut rest = u64::from_be_bytes(*chunk);
        let mut digits = [0u8; CHUNK_CHARS];
        for digit in digits.iter_mut().rev() {
            *digit = character((rest % 62) as u8);
            rest /= 62;
        }
        out.extend(digits.iter().map(|digit| char::from(*digit)));
    }
}

/// Reads exactly `N` chunks; `None` for another length, a foreign character or a chunk above 2^64 − 1.
pub(crate) fn decode<const N: usize>(text: &str) -> Option<[[u8; CHUNK]; N]> {
    if text.len() != N * CHUNK_CHARS {
        return None;
    }
    let mut chunks = [[0u8; CHUNK]; N];
    for (chunk, digits) in chunks.iter_mut().zip(text.as_bytes().chunks(CHUNK_CHARS)) {
        let mut value = 0u64;
        for byte in digits {
            value = value
                .checked_mul(62)?
                .checked_add(u64::from(digit(*byte)?))?;
        }
        *chunk = value.to_be_bytes();
    }
    Some(chunks)
}

fn character(digit: u8) -> u8 {
    match digit {
        0..=9 => b'0' + digit,
        10..=35 => b'A' + (digit - 10),
        _ => b'a' + digit.saturating_sub(36).min(25),
    }
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'A'..=b'Z' => Some(character - b'A' + 10),
        b'a'..=b'z' => Some(character - b'a' + 36),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encode(chunks: &[[u8; CHUNK]]) -> String {
        let mut text = String::new();
        encode_into(chunks, &mut text);
        text
    }

    #[test]
    fn the_ends_of_the_range_have_the_expected_text() {
        assert_eq!(encode(&[[0; 8]]), "00000000000");
        assert_eq!(encode(&[[0, 0, 0, 0, 0, 0, 0, 61]]), "0000000000z");
        assert_eq!(encode(&[[0xff; 8]]), "LygHa16AHYF");
    }

    #[test]
    fn one_more_than_the_largest_chunk_is_refused() {
        assert_eq!(decode::<1>("LygHa16AHYF"), Some([[0xff; 8]]));
        assert_eq!(decode::<1>("LygHa16AHYG"), None);
        assert_eq!(decode::<1>("zzzzzzzzzzz"), None);
    }

    #[test]
    fn other_lengths_and_foreign_characters_are_refused() {
        for text in [
            "",
            "0",
            "0000000000",
            "000000000000",
            "0000000000-",
            "000000000é",
            "0000000000\0",
            " 0000000000",
        ] {
            assert_eq!(decode::<1>(text), None, "{text:?}");
        }
        assert_eq!(decode::<0>(""), Some([]));
    }

    proptest! {
        #[test]
        fn every_byte_string_comes_back(chunks: [[u8; 8]; 3]) {
            let text = encode(&chunks);
            prop_assert_eq!(text.len(), 33);
            prop_assert_eq!(decode::<3>(&text), Some(chunks));
        }

        #[test]
        fn every_text_that_is_read_is_the_only_one(text in "[0-9A-Za-z]{22}") {
            if let Some(chunks) = decode::<2>(&text) {
                prop_assert_eq!(encode(&chunks), text);
            }
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC{0,40}") {
            let _ = decode::<2>(&text);
        }
    }
}
