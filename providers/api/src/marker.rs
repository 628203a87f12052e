//! The name that every rented machine carries, so that one that nobody remembers is still known as ours.
//!
//! `tidegate-{fingerprint}-{instance}-{attempt}`, at most 53 characters: it fits every vendor's name (RunPod:
//! 60 known to work) and token (EC2's `ClientToken`: 64). The fingerprint stands for one account of one
//! organisation of one installation, so two installations that share a vendor account leave each other's
//! machines alone.
//!
//! Invariant: one attempt has one text; a text that is not exactly such a name is nobody's of ours.

use core::fmt;

use serde::{Deserialize, Serialize};

const PREFIX: &str = "tidegate-";

/// Stands for an account of ours: 10 hexadecimal digits. Two of a thousand collide with a probability of
/// 5e-7; it is a MAC, so nobody else can make one on purpose.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fingerprint(String);

impl Fingerprint {
    /// Digits.
    pub const CHARS: usize = 10;

    /// Reads the digits; nothing for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let fits = text.len() == Self::CHARS && text.bytes().all(is_digit);
        fits.then(|| Self(text.to_owned()))
    }

    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which attempt to rent for which instance a machine comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Marker {
    /// Whose.
    pub fingerprint: Fingerprint,
    /// For which instance.
    pub instance: String,
    /// Which attempt, from 1.
    pub attempt: u32,
}

impl Marker {
    /// Reads a vendor's name or tag.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX)?;
        let (fingerprint, rest) = rest.split_once('-')?;
        let (instance, attempt) = rest.rsplit_once('-')?;
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if instance.is_empty() || !instance.bytes().all(is_id) {
            return None;
        }
        let marker = Self {
            fingerprint: Fingerprint::parse(fingerprint)?,
            instance: instance.to_owned(),
            attempt: attempt.parse().ok().filter(|attempt| *attempt > 0)?,
        };
        (marker.to_string() == text).then_some(marker)
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            fingerprint,
            instance,
            attempt,
        } = self;
        write!(f, "{PREFIX}{}-{instance}-{attempt}", fingerprint.as_str())
    }
}

impl From<Marker> for String {
    fn from(marker: Marker) -> Self {
        marker.to_string()
    }
}

impl TryFrom<String> for Marker {
    type Error = String;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or_else(|| "this is no marker of a rented machine".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Machines outlive releases: this text may never change.
    #[test]
    fn the_text_form_is_pinned() {
        let marker = Marker {
            fingerprint: Fingerprint::parse("0123456789").unwrap(),
            instance: "srv_0bPELAU4eqF0bPErPOCgqv".to_owned(),
            attempt: 3,
        };
        let text = marker.to_string();
        assert_eq!(text, "tidegate-0123456789-srv_0bPELAU4eqF0bPErPOCgqv-3");
        assert!(text.len() <= 53);
        assert_eq!(Marker::parse(&text), Some(marker));
    }

    #[test]
    fn other_names_are_nobodys_of_ours() {
        for text in [
            "",
            "tidegate",
            "tidegate-",
            "my-pod",
            "tidegate-0123456789-srv_a",
            "tidegate-0123456789-srv_a-0",
            "tidegate-0123456789-srv_a-01",
            "tidegate-0123456789-srv_a-+1",
            "tidegate-0123456789-srv_a-99999999999",
            "tidegate-012345678-srv_a-1",
            "tidegate-012345678G-srv_a-1",
            "tidegate-ABCDEF0123-srv_a-1",
            "tidegate-0123456789--1",
            "tidegate-0123456789-srv a-1",
            "tidegate-0123456789-srv_a-1 ",
            " tidegate-0123456789-srv_a-1",
        ] {
            assert_eq!(Marker::parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_the_same(text in "tidegate-[0-9a-f]{10}-[a-zA-Z_]{1,9}-[0-9]{1,3}") {
            if let Some(marker) = Marker::parse(&text) {
                prop_assert_eq!(marker.to_string(), text);
            }
        }
    }
}
