//! Standard Webhooks 1.0: whether a message was signed with a secret that both sides know, and signing one.
//!
//! What is signed is `{id}.{timestamp}.{body}`, with HMAC-SHA256. The body counts byte by byte, as it came:
//! whoever reads and writes it again in between breaks the signature. `webhook-signature` lists signatures
//! separated by spaces, so that a sender can sign with two secrets while it changes them.
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
//!
//! Invariant: a message is [`verify`]ed only if one of its signatures is ours and it was signed within five
//! minutes of now, before or after. Signatures are compared in constant time. Nothing here prints a secret.
//!
//! In scope: the words of the protocol. Out of scope: that a message is applied once (whoever applies it keeps
//! ids), what its body says.

mod key;
mod timestamp;
mod verify;

pub use key::{Key, KeyRefused};
pub use timestamp::TOLERANCE_SECS;
pub use verify::{
    ID_HEADER, LONGEST_ID, MOST_SIGNATURES, Message, Refused, SIGNATURE_HEADER, TIMESTAMP_HEADER,
    verify,
};
