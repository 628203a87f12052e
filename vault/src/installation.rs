//! `Installation`: the subkeys that everything this deployment mints depends on.
//!
//! One secret is bound by the operator; HKDF-SHA256 (RFC 5869) turns it into one independent subkey per
//! purpose, told apart by the `info` label. A MAC made for one purpose therefore means nothing for another,
//! and a label with a new version retires one kind of identifier without touching the rest.
//!
//! Invariant: the secret itself is not kept, only the subkeys, and they are wiped on drop.
use core::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, Mac, digest::KeyInit};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::keyring::WrappingKey;

/// Shortest accepted secret: 32 hexadecimal characters are 128 bits.
const MIN_SECRET: usize = 32;
/// Fewest different bytes in an accepted secret. 32 random hexadecimal digits show fewer than 8 different
/// ones with a probability below 1e-6, while `aaaa…` and `12341234…` do so always.
const MIN_DISTINCT: usize = 8;
/// HKDF salt: fixed, because it only has to separate this product from others fed the same secret.
const SALT: &[u8] = b"tidegate/installation/v1";

pub(crate) type Subkey = Zeroizing<[u8; 32]>;

/// The derived keys of one installation. Cheap to keep, costs about 10 hash blocks to make: derive it once
/// per isolate.
pub struct Installation {
    key_mac: Subkey,
    name_mac: Subkey,
    tag_mac: Subkey,
    wrapping: WrappingKey,
    former: Option<Former>,
}

/// What still counts of the secret before: names and tags, so that what was registered and rented under it can be
/// reached, and ended. Not API keys: a new secret is how all of them are ended.
struct Former {
    name_mac: Subkey,
    tag_mac: Subkey,
}

/// Why a secret cannot protect anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakSecret {
    /// Fewer than 32 bytes.
    #[error(
        "the secret has {chars} characters and needs at least 32: keys made from it could be guessed; \
         generate one with `openssl rand -hex 32`"
    )]
    TooShort {
        /// How many there were.
        chars: usize,
    },
    /// The same few characters again and again.
    #[error(
        "the secret repeats {distinct} different characters: keys made from it could be guessed; \
         generate one with `openssl rand -hex 32`"
    )]
    Repetitive {
        /// How many different ones there were.
        distinct: usize,
    },
    /// HKDF refused the length of a subkey. All lengths here are 32 bytes, far below its bound of 8,160.
    #[error("a subkey could not be derived from the secret: report this, no setting causes it")]
    Derivation,
}

impl Installation {
    /// Derives the subkeys from the operator's secret (32 or more characters, any bytes).
    pub fn derive(secret: &[u8]) -> Result<Self, WeakSecret> {
        check_strength(secret)?;
        Ok(Self {
            key_mac: subkey(SALT, secret, b"api-key-mac/v1")?,
            name_mac: subkey(SALT, secret, b"name-mac/v1")?,
            tag_mac: subkey(SALT, secret, b"tag-mac/v1")?,
            wrapping: WrappingKey::from_key(subkey(SALT, secret, b"wrapping-key/v1")?)?,
            former: None,
        })
    }

    /// The same, which also knows the ids and boot tokens that were made under the secret before. What it makes
    /// itself is made under its own.
    #[must_use]
    pub fn succeeding(mut self, previous: Self) -> Self {
        self.former = Some(Former {
            name_mac: previous.name_mac,
            tag_mac: previous.tag_mac,
        });
        self
    }

    /// Whether a MAC over these parts is a name's, of this secret or the one before.
    pub(crate) fn knows_name<const N: usize>(&self, parts: &[&[u8]], given: &[u8; N]) -> bool {
        let former = self.former.as_ref().map(|former| &former.name_mac);
        [Some(&self.name_mac), former]
            .into_iter()
            .flatten()
            .any(|key| is_mac(key, parts, given))
    }

    /// Whether a MAC over these parts is a tag's, of this secret or the one before.
    pub(crate) fn knows_tag<const N: usize>(&self, parts: &[&[u8]], given: &[u8; N]) -> bool {
        let former = self.former.as_ref().map(|former| &former.tag_mac);
        [Some(&self.tag_mac), former]
            .into_iter()
            .flatten()
            .any(|key| is_mac(key, parts, given))
    }

    /// The key-encryption key that goes with this secret, for installations that bind no separate one.
    pub fn wrapping_key(&self) -> &WrappingKey {
        &self.wrapping
    }

    pub(crate) fn key_mac<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        truncated_mac(&self.key_mac, parts)
    }

    pub(crate) fn name_mac<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        truncated_mac(&self.name_mac, parts)
    }

    pub(crate) fn tag_mac<const N: usize>(&self, parts: &[&[u8]]) -> [u8; N] {
        truncated_mac(&self.tag_mac, parts)
    }
}

impl fmt::Debug for Installation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Installation([redacted])")
    }
}

pub(crate) fn check_strength(secret: &[u8]) -> Result<(), WeakSecret> {
    if secret.len() < MIN_SECRET {
        return Err(WeakSecret::TooShort {
            chars: secret.len(),
        });
    }
    let distinct = (0..=u8::MAX).filter(|byte| secret.contains(byte)).count();
    if distinct < MIN_DISTINCT {
        return Err(WeakSecret::Repetitive { distinct });
    }
    Ok(())
}

pub(crate) fn subkey(salt: &[u8], secret: &[u8], info: &[u8]) -> Result<Subkey, WeakSecret> {
    let mut okm = Zeroizing::new([0u8; 32]);
    Hkdf::<Sha256>::new(Some(salt), secret)
        .expand(info, okm.as_mut())
        .map_err(|_| WeakSecret::Derivation)?;
    Ok(okm)
}

/// HMAC-SHA256 cut to its first `N` ≤ 32 bytes. The callers' parts have fixed lengths or carry their own.
/// Compared in constant time. Which of two keys a MAC is of is no secret.
fn is_mac<const N: usize>(key: &Subkey, parts: &[&[u8]], given: &[u8; N]) -> bool {
    truncated_mac::<N>(key, parts).ct_eq(given).into()
}

fn truncated_mac<const N: usize>(key: &Subkey, parts: &[&[u8]]) -> [u8; N] {
    // HMAC pads a key shorter than the 64-byte block with zeros, so padding here changes nothing and
    // takes the constructor that cannot fail.
    let mut block = Zeroizing::new([0u8; 64]);
    block
        .iter_mut()
        .zip(key.iter())
        .for_each(|(to, from)| *to = *from);
    let mut mac = <Hmac<Sha256> as KeyInit>::new((&*block).into());
    for part in parts {
        mac.update(part);
    }
    let full = mac.finalize().into_bytes();
    let mut cut = [0u8; N];
    cut.iter_mut()
        .zip(full.iter())
        .for_each(|(to, from)| *to = *from);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(text: &str) -> Vec<u8> {
        hex::decode(text).unwrap()
    }

    /// RFC 5869 appendix A.1 to A.3; the first 32 bytes of each output are its first block.
    #[test]
    fn subkeys_agree_with_rfc_5869() {
        let run = |range: core::ops::RangeInclusive<u8>| range.collect::<Vec<u8>>();
        let cases = [
            (
                run(0..=12),
                vec![0x0b; 22],
                run(0xf0..=0xf9),
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf",
            ),
            (
                run(0x60..=0xaf),
                run(0..=0x4f),
                run(0xb0..=0xff),
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c",
            ),
            (
                vec![],
                vec![0x0b; 22],
                vec![],
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d",
            ),
        ];
        for (salt, secret, info, okm) in cases {
            assert_eq!(subkey(&salt, &secret, &info).unwrap().to_vec(), bytes(okm));
        }
    }

    /// RFC 4231 test case 2, and case 5 whose output is cut to 128 bits.
    #[test]
    fn macs_agree_with_rfc_4231() {
        let key = |secret: &[u8]| {
            let mut key = Zeroizing::new([0u8; 32]);
            key[..secret.len()].copy_from_slice(secret);
            key
        };
        assert_eq!(
            truncated_mac::<32>(&key(b"Jefe"), &[b"what do ya want ", b"for nothing?"]).to_vec(),
            bytes("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
        );
        assert_eq!(
            truncated_mac::<16>(&key(&[0x0c; 20]), &[b"Test With Truncation"]).to_vec(),
            bytes("a3b6167473100ee06e0c796c2955552b")
        );
    }

    #[test]
    fn short_and_repetitive_secrets_are_refused() {
        let refused = |secret: &[u8]| Installation::derive(secret).unwrap_err();
        assert_eq!(refused(b""), WeakSecret::TooShort { chars: 0 });
        assert_eq!(
            refused(b"0123456789abcdef0123456789abcde"),
            WeakSecret::TooShort { chars: 31 }
        );
        assert_eq!(
            refused(&b"1234".repeat(16)),
            WeakSecret::Repetitive { distinct: 4 }
        );
        assert!(Installation::derive(b"0123456789abcdef0123456789abcdef").is_ok());
    }

    #[test]
    fn the_same_bytes_have_another_mac_for_each_purpose_and_secret() {
        let one = Installation::derive(b"0123456789abcdef0123456789abcdef").unwrap();
        let two = Installation::derive(b"0123456789abcdef0123456789abcdeg").unwrap();
        assert_ne!(one.key_mac::<16>(&[b"x"]), one.name_mac::<16>(&[b"x"]));
        assert_ne!(one.key_mac::<16>(&[b"x"]), two.key_mac::<16>(&[b"x"]));
        assert_eq!(
            one.key_mac::<16>(&[b"ab"]),
            one.key_mac::<16>(&[b"a", b"b"])
        );
        assert_eq!(format!("{one:?}"), "Installation([redacted])");
    }
}
