//! The key-encryption keys: which one seals, and which ones may open.
//!
//! Invariant: new records are wrapped by `current` only; `previous` exists so that records written before
//! a rotation can be opened and re-wrapped. A wrapping key is named by a value derived from it, so a record
//! finds its key without trying and two different secrets never share a name.
use core::fmt;

use crate::installation::{Subkey, WeakSecret, check_strength, subkey};

const SALT: &[u8] = b"tidegate/wrapping/v1";
const ID: usize = 8;

/// The public name of a wrapping key: 8 bytes derived one way from it, shown as 16 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct WrappingKeyId(pub(crate) [u8; ID]);

impl WrappingKeyId {
    /// Bytes of the name.
    pub(crate) const BYTES: usize = ID;
}

impl fmt::Display for WrappingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for WrappingKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A key that encrypts data keys.
#[derive(Clone)]
pub struct WrappingKey {
    id: WrappingKeyId,
    key: Subkey,
}

impl WrappingKey {
    /// Makes the wrapping key of a bound secret (32 or more characters).
    pub fn derive(secret: &[u8]) -> Result<Self, WeakSecret> {
        check_strength(secret)?;
        Self::from_key(subkey(SALT, secret, b"key")?)
    }

    pub(crate) fn from_key(key: Subkey) -> Result<Self, WeakSecret> {
        let name = subkey(SALT, key.as_slice(), b"id")?;
        let mut bytes = name.iter().copied();
        Ok(Self {
            id: WrappingKeyId(core::array::from_fn(|_| bytes.next().unwrap_or(0))),
            key,
        })
    }

    /// Its public name.
    pub fn id(&self) -> WrappingKeyId {
        self.id
    }

    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.key
    }
}

impl fmt::Debug for WrappingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WrappingKey({}, [redacted])", self.id)
    }
}

/// The wrapping keys that are bound: `current` seals, both open.
#[derive(Debug, Clone)]
pub struct Keyring {
    current: WrappingKey,
    previous: Option<WrappingKey>,
}

impl Keyring {
    /// During a rotation `previous` is the key that was current before.
    pub fn new(current: WrappingKey, previous: Option<WrappingKey>) -> Self {
        Self { current, previous }
    }

    /// The key that seals.
    pub fn current(&self) -> &WrappingKey {
        &self.current
    }

    pub(crate) fn find(&self, id: WrappingKeyId) -> Option<&WrappingKey> {
        core::iter::once(&self.current)
            .chain(&self.previous)
            .find(|key| key.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Installation;

    #[test]
    fn a_keyring_finds_current_and_previous_and_nothing_else() {
        let old = WrappingKey::derive(b"old-secret-old-secret-old-secret!").unwrap();
        let new = WrappingKey::derive(b"new-secret-new-secret-new-secret!").unwrap();
        assert_ne!(old.id(), new.id());
        let ring = Keyring::new(new.clone(), Some(old.clone()));
        assert_eq!(ring.find(old.id()).map(WrappingKey::id), Some(old.id()));
        assert_eq!(ring.find(new.id()).map(WrappingKey::id), Some(new.id()));
        assert!(Keyring::new(new, None).find(old.id()).is_none());
    }

    #[test]
    fn a_wrapping_key_is_stable_distinct_and_unprintable() {
        let secret = b"0123456789abcdef0123456789abcdef";
        let bound = WrappingKey::derive(secret).unwrap();
        let derived = Installation::derive(secret).unwrap();
        assert_eq!(bound.id(), WrappingKey::derive(secret).unwrap().id());
        assert_ne!(bound.id(), derived.wrapping_key().id());
        let printed = format!("{bound:?}");
        assert_eq!(printed, format!("WrappingKey({}, [redacted])", bound.id()));
        assert!(WrappingKey::derive(b"short").is_err());
    }
}
