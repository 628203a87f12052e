//! A signing secret: `whsec_` and 24 to 64 bytes in base64.

use core::fmt;

use base64ct::{Base64, Encoding};
use hmac::{Hmac, Mac, digest::KeyInit};
use sha2::Sha256;
use zeroize::Zeroizing;

const PREFIX: &str = "whsec_";
/// Of every signature of this version: HMAC-SHA256.
pub(crate) const VERSION: &str = "v1";
/// Bytes of an HMAC-SHA256.
pub(crate) const MAC: usize = 32;
const SHORTEST: usize = 24;
const LONGEST: usize = 64;

/// A signing secret. Cannot be printed; wiped when it is dropped.
pub struct Key(Zeroizing<[u8; LONGEST]>);

/// The text is not a signing secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a signing secret is whsec_ and 24 to 64 bytes in base64: copy it whole")]
pub struct KeyRefused;

impl Key {
    /// Reads the text form.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(text: &str) -> Result<Self, KeyRefused> {
        let encoded = text.strip_prefix(PREFIX).ok_or(KeyRefused)?;
        let bytes = Zeroizing::new(Base64::decode_vec(encoded).map_err(|_| KeyRefused)?);
        if !(SHORTEST..=LONGEST).contains(&bytes.len()) {
            return Err(KeyRefused);
        }
        // HMAC pads a key up to its block of 64 bytes with zeros, so padding here changes nothing and takes
        // the constructor that cannot fail.
        let mut block = Zeroizing::new([0; LONGEST]);
        for (to, from) in block.iter_mut().zip(bytes.iter()) {
            *to = *from;
        }
        Ok(Self(block))
    }

    /// The signature of a message, as it stands in the header: `v1,` and base64.
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let mac = self.mac(id, &timestamp.to_string(), body);
        format!("{VERSION},{}", Base64::encode_string(&mac))
    }

    pub(crate) fn mac(&self, id: &str, timestamp: &str, body: &[u8]) -> [u8; MAC] {
        let mut mac = <Hmac<Sha256> as KeyInit>::new((&*self.0).into());
        for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference libraries.
    /// Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/rust/src/lib.rs>.
    #[test]
    fn a_signature_is_that_of_the_reference_libraries() {
        let key = Key::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let signature = key.sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn other_texts_are_no_secrets_and_none_is_printed() {
        let of = |bytes: usize| format!("whsec_{}", Base64::encode_string(&vec![7; bytes]));
        for bytes in [24, 32, 64] {
            assert!(Key::parse(&of(bytes)).is_ok());
        }
        for text in [
            String::new(),
            "whsec_".to_owned(),
            "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS".to_owned(),
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!".to_owned(),
            of(23),
            of(65),
        ] {
            assert_eq!(Key::parse(&text).unwrap_err(), KeyRefused, "{text}");
        }
        assert_eq!(
            format!("{:?}", Key::parse(&of(32)).unwrap()),
            "Key([redacted])"
        );
    }
}
