//! API keys: `tg_` + 88 characters of base62.
//!
//! Layout before encoding, always 64 bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 22 | the organisation's slug, packed (so that a key alone says whose it is) |
//! | 8 | key id: which record to look up; two of a million keys collide with probability 3e-8 |
//! | 18 | secret: 144 bits |
//! | 16 | HMAC-SHA256 over everything before, cut to 128 bits |
//!
//! Invariant: nothing in a key is believed, not even its organisation, before the MAC has been compared in
//! constant time; a key that fails addresses no object. What is stored is only the hash of the secret.
//!
//! Out of scope: scopes, limits, expiry and revocation belong to the key's record.
use core::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::{
    base62,
    installation::Installation,
    organisation::{self, Organisation},
    secret::Secret,
};

const PREFIX: &str = "tg_";
const KEY_ID: usize = 8;
/// Random bytes of a key's secret part: what rotation takes.
pub const KEY_SECRET: usize = 18;
/// Random bytes that minting takes: key id, then secret.
pub const KEY_RANDOM: usize = KEY_ID + KEY_SECRET;
const MAC: usize = 16;
const CHUNKS: usize = (organisation::PACKED + KEY_RANDOM + MAC) / base62::CHUNK;
/// Characters of every key, prefix included.
pub const API_KEY_CHARS: usize = PREFIX.len() + CHUNKS * base62::CHUNK_CHARS;
const _: () = assert!(organisation::PACKED + KEY_RANDOM + MAC == CHUNKS * base62::CHUNK);

/// The public name of a key's record: 8 random bytes, written `key_` + 11 characters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId([u8; KEY_ID]);

/// The text is not a key id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key id is 'key_' and 11 letters or digits: copy it from the list of keys")]
pub struct KeyIdRefused;

impl KeyId {
    /// Reads the form that `Display` writes.
    pub fn parse(text: &str) -> Result<Self, KeyIdRefused> {
        text.strip_prefix("key_")
            .and_then(base62::decode::<1>)
            .map(|[bytes]| Self(bytes))
            .ok_or(KeyIdRefused)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::from("key_");
        base62::encode_into(&[self.0], &mut text);
        f.write_str(&text)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// SHA-256 of a key's secret part: what a record stores. A slow or salted hash would buy nothing, because
/// there are 2^144 equally likely secrets: no dictionary exists to try or to tabulate.
#[derive(Clone, Copy)]
pub struct SecretHash([u8; 32]);

/// The text is not a stored hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a stored key hash is 64 lowercase hexadecimal digits: the record is damaged, rotate the key"
)]
pub struct SecretHashRefused;

impl SecretHash {
    /// The 32 bytes to store.
    pub fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// What was stored.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// 64 lowercase hexadecimal digits, for records kept as text.
    pub fn to_hex(self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Reads what `to_hex` wrote.
    pub fn from_hex(text: &str) -> Result<Self, SecretHashRefused> {
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        if text.len() != 64 {
            return Err(SecretHashRefused);
        }
        let mut bytes = [0u8; 32];
        for (to, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let [high, low] = pair else {
                return Err(SecretHashRefused);
            };
            *to = digit(*high).ok_or(SecretHashRefused)? << 4
                | digit(*low).ok_or(SecretHashRefused)?;
        }
        Ok(Self(bytes))
    }

    /// Whether both are the hash of the same secret, in constant time.
    #[must_use]
    pub fn matches(&self, stored: &SecretHash) -> bool {
        self.0.ct_eq(&stored.0).into()
    }

    fn of(secret: &[u8; KEY_SECRET]) -> Self {
        Self(Sha256::digest(secret).into())
    }
}

impl fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash([redacted])")
    }
}

/// A freshly made key: the text to show once and what to store.
#[derive(Debug)]
pub struct ApiKey {
    /// The whole key. Shown to its owner once, never stored.
    pub text: Secret,
    /// Which record it belongs to.
    pub key_id: KeyId,
    /// What the record stores.
    pub secret_hash: SecretHash,
}

impl ApiKey {
    /// Makes a key. `random` must come from a cryptographic source and be used for this key only.
    pub fn mint(
        installation: &Installation,
        organisation: &Organisation,
        mut random: [u8; KEY_RANDOM],
    ) -> Self {
        let mut bytes = random.iter().copied();
        let key_id = KeyId(core::array::from_fn(|_| bytes.next().unwrap_or(0)));
        let secret = core::array::from_fn(|_| bytes.next().unwrap_or(0));
        random.zeroize();
        Self::rotate(installation, organisation, key_id, secret)
    }

    /// Makes a new secret for an existing key id; the record decides how long the old hash still counts.
    pub fn rotate(
        installation: &Installation,
        organisation: &Organisation,
        key_id: KeyId,
        secret: [u8; KEY_SECRET],
    ) -> Self {
        let secret = Zeroizing::new(secret);
        let packed = organisation.pack();
        let mac: [u8; MAC] = installation.key_mac(&[&packed, &key_id.0, secret.as_slice()]);
        let mut bytes = packed
            .iter()
            .chain(&key_id.0)
            .chain(secret.iter())
            .chain(&mac)
            .copied();
        let chunks: Zeroizing<[[u8; base62::CHUNK]; CHUNKS]> =
            Zeroizing::new(core::array::from_fn(|_| {
                core::array::from_fn(|_| bytes.next().unwrap_or(0))
            }));
        let mut text = String::with_capacity(API_KEY_CHARS);
        text.push_str(PREFIX);
        base62::encode_into(chunks.as_slice(), &mut text);
        Self {
            text: Secret::from(text),
            key_id,
            secret_hash: SecretHash::of(&secret),
        }
    }

    /// Reads a key that a client sent and believes it only if this installation made it.
    pub fn parse_and_verify(
        installation: &Installation,
        text: &str,
    ) -> Result<VerifiedKey, KeyRefused> {
        let digits = text.strip_prefix(PREFIX).ok_or(KeyRefused::NotAKey)?;
        let chunks = Zeroizing::new(base62::decode::<CHUNKS>(digits).ok_or(KeyRefused::NotAKey)?);
        let mut bytes = chunks.iter().flatten().copied();
        let packed: [u8; organisation::PACKED] =
            core::array::from_fn(|_| bytes.next().unwrap_or(0));
        let key_id: [u8; KEY_ID] = core::array::from_fn(|_| bytes.next().unwrap_or(0));
        let secret: Zeroizing<[u8; KEY_SECRET]> =
            Zeroizing::new(core::array::from_fn(|_| bytes.next().unwrap_or(0)));
        let given: [u8; MAC] = core::array::from_fn(|_| bytes.next().unwrap_or(0));

        let mac: [u8; MAC] = installation.key_mac(&[&packed, &key_id, secret.as_slice()]);
        if !bool::from(mac.ct_eq(&given)) {
            return Err(KeyRefused::NotOurs);
        }
        Ok(VerifiedKey {
            // Minting packs only valid slugs, so behind a true MAC this cannot fail.
            organisation: Organisation::unpack(&packed).ok_or(KeyRefused::NotAKey)?,
            key_id: KeyId(key_id),
            secret_hash: SecretHash::of(&secret),
        })
    }
}

/// A key whose MAC is ours. Whether it still counts is for its record to say: it exists, it is not
/// expired, and its stored hash `matches`.
#[derive(Debug, Clone)]
pub struct VerifiedKey {
    /// Whose key it is.
    pub organisation: Organisation,
    /// Which record to look up.
    pub key_id: KeyId,
    /// The hash to compare with the stored one.
    pub secret_hash: SecretHash,
}

/// Why a key is not believed. Both are one 401 for the client, who learns nothing from the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyRefused {
    /// Not `tg_` and 88 characters of canonical base62.
    #[error("this is not a Tidegate key: a key is 'tg_' and 88 letters or digits, copied whole")]
    NotAKey,
    /// Well-formed, but its MAC is not by this installation.
    #[error(
        "this key was not issued here or was altered: use one listed under this gateway's keys"
    )]
    NotOurs,
}

#[cfg(test)]
mod tests;
