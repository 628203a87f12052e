//! Whether a message is from who shares the secret, and from now.

use base64ct::{Base64, Encoding};
use subtle::ConstantTimeEq;

use crate::key::{Key, MAC, VERSION};
use crate::timestamp;

/// Names the message; the same for every delivery of it.
pub const ID_HEADER: &str = "webhook-id";
/// When it was signed.
pub const TIMESTAMP_HEADER: &str = "webhook-timestamp";
/// Its signatures.
pub const SIGNATURE_HEADER: &str = "webhook-signature";

/// Characters of an id. Those of known senders stay below 40.
pub const LONGEST_ID: usize = 255;
/// Signatures of one message. A sender that changes its secret sends two.
pub const MOST_SIGNATURES: usize = 16;

/// A message as it came.
#[derive(Debug, Clone, Copy)]
pub struct Message<'a> {
    /// [`ID_HEADER`], if it is there.
    pub id: Option<&'a str>,
    /// [`TIMESTAMP_HEADER`], if it is there.
    pub timestamp: Option<&'a str>,
    /// [`SIGNATURE_HEADER`], if it is there.
    pub signature: Option<&'a str>,
    /// The body, byte by byte.
    pub body: &'a [u8],
}

/// Why a message is not believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A header is missing.
    #[error("the header `{0}` is missing")]
    Missing(&'static str),
    /// The id is no id.
    #[error("`webhook-id` must be 1 to {LONGEST_ID} visible ASCII characters without a dot")]
    Id,
    /// The timestamp is no number.
    #[error("`webhook-timestamp` must be seconds since the epoch, in decimal digits alone")]
    Timestamp,
    /// It was signed too long ago, or for later.
    #[error(
        "`webhook-timestamp` is more than {TOLERANCE} s from now: a message is signed anew for each \
         delivery, by a clock that is right",
        TOLERANCE = timestamp::TOLERANCE_SECS
    )]
    NotNow,
    /// So many that somebody is trying them out.
    #[error("`webhook-signature` lists more than {MOST_SIGNATURES} signatures")]
    TooMany,
    /// None of its signatures is ours.
    #[error("none of the signatures is made with this account's secret over these very bytes")]
    Signature,
}

/// Whether `message` was signed with `key` and is from now (seconds since the epoch). Hands its id back.
///
/// # Errors
/// Why it is not believed. A wrong signature is told from a right one in constant time.
pub fn verify<'a>(key: &Key, now: i64, message: &Message<'a>) -> Result<&'a str, Refused> {
    let id = message.id.ok_or(Refused::Missing(ID_HEADER))?;
    let timestamp = message
        .timestamp
        .ok_or(Refused::Missing(TIMESTAMP_HEADER))?;
    let signature = message
        .signature
        .ok_or(Refused::Missing(SIGNATURE_HEADER))?;
    if !is_id(id) {
        return Err(Refused::Id);
    }
    let then = timestamp::read(timestamp).ok_or(Refused::Timestamp)?;
    if !timestamp::is_now(now, then) {
        return Err(Refused::NotNow);
    }
    let signatures: Vec<&str> = signature.split(' ').take(MOST_SIGNATURES + 1).collect();
    if signatures.len() > MOST_SIGNATURES {
        return Err(Refused::TooMany);
    }
    let expected = key.mac(id, timestamp, message.body);
    // Every one is looked at, whichever is right.
    let is_ours = signatures
        .into_iter()
        .filter_map(read_signature)
        .fold(subtle::Choice::from(0), |any, given| {
            any | expected.as_slice().ct_eq(&given)
        });
    if bool::from(is_ours) {
        Ok(id)
    } else {
        Err(Refused::Signature)
    }
}

/// A dot would let an id lend its end to the timestamp that is signed behind it.
fn is_id(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'.';
    (1..=LONGEST_ID).contains(&text.len()) && text.bytes().all(fits)
}

/// Signatures of other versions (`v1a` is asymmetric) may stand beside ours.
fn read_signature(text: &str) -> Option<[u8; MAC]> {
    let (version, encoded) = text.split_once(',')?;
    if version != VERSION {
        return None;
    }
    let mut mac = [0; MAC];
    let read = Base64::decode(encoded, &mut mac).ok()?;
    let is_whole = read.len() == MAC;
    is_whole.then_some(mac)
}

#[cfg(test)]
mod tests;
