//! Names that only this installation can make from what it was shown: a lookup that reveals nothing of what
//! is looked up, a comparison without keeping what is compared, bytes that can be made again.
//!
//! Invariant: a tag of one purpose says nothing about one of another, and no two lists of parts make the same
//! input.
use crate::installation::Installation;

/// What a tag is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Names a change that may be repeated, by who asks for what under which key.
    Repeat,
    /// Stands for a request's body, which may hold a secret that is guessed more easily than a tag.
    Body,
    /// Stands for random bytes, so that a repetition makes the same ids and secrets.
    Again,
    /// Stands for a client's address.
    Visitor,
    /// Marks the machines of an account at a vendor.
    Fingerprint,
    /// Lets a rented machine call home.
    Boot,
    /// Signs what is reported of an account's machines.
    Webhook,
}

impl Purpose {
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Repeat => b"repeat",
            Self::Body => b"body",
            Self::Again => b"again",
            Self::Visitor => b"visitor",
            Self::Fingerprint => b"fingerprint",
            Self::Boot => b"boot",
            Self::Webhook => b"webhook",
        }
    }
}

impl Installation {
    /// The first `N` ≤ 32 bytes of a MAC over these parts.
    pub fn tag<const N: usize>(&self, purpose: Purpose, parts: &[&[u8]]) -> [u8; N] {
        framed(purpose, parts, |framed| self.tag_mac(framed))
    }

    /// Whether this is such a MAC, made here or under the secret before. Compared in constant time.
    pub fn is_tag<const N: usize>(
        &self,
        purpose: Purpose,
        parts: &[&[u8]],
        given: &[u8; N],
    ) -> bool {
        framed(purpose, parts, |framed| self.knows_tag(framed, given))
    }

    /// The same as 32 hexadecimal digits.
    pub fn tag_text(&self, purpose: Purpose, parts: &[&[u8]]) -> String {
        let tag: [u8; 16] = self.tag(purpose, parts);
        tag.iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// Each part behind its length, so that none can be shifted against another.
fn framed<R>(purpose: Purpose, parts: &[&[u8]], then: impl FnOnce(&[&[u8]]) -> R) -> R {
    let parts = || core::iter::once(purpose.label()).chain(parts.iter().copied());
    let length = |part: &[u8]| u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes();
    let lengths: Vec<[u8; 8]> = parts().map(length).collect();
    let framed: Vec<&[u8]> = lengths
        .iter()
        .zip(parts())
        .flat_map(|(length, part)| [length.as_slice(), part])
        .collect();
    then(&framed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn installation(secret: &[u8]) -> Installation {
        Installation::derive(secret).unwrap()
    }

    #[test]
    fn purpose_parts_and_installation_all_count() {
        let ours = installation(b"0123456789abcdef0123456789abcdef");
        let theirs = installation(b"fedcba9876543210fedcba9876543210");
        let tag = ours.tag_text(Purpose::Repeat, &[b"ab", b"c"]);
        assert_eq!(tag, ours.tag_text(Purpose::Repeat, &[b"ab", b"c"]));
        assert_eq!(tag.len(), 32);
        for other in [
            ours.tag_text(Purpose::Repeat, &[b"a", b"bc"]),
            ours.tag_text(Purpose::Repeat, &[b"ab", b"c", b""]),
            ours.tag_text(Purpose::Body, &[b"ab", b"c"]),
            theirs.tag_text(Purpose::Repeat, &[b"ab", b"c"]),
        ] {
            assert_ne!(tag, other);
        }
    }

    #[test]
    fn a_short_tag_is_the_beginning_of_a_long_one() {
        let ours = installation(b"0123456789abcdef0123456789abcdef");
        let long: [u8; 32] = ours.tag(Purpose::Again, &[b"x"]);
        let short: [u8; 10] = ours.tag(Purpose::Again, &[b"x"]);
        assert_eq!(short, long[..10]);
    }
}
