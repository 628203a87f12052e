//! Sealed records: how a credential rests in storage.
//!
//! An envelope: the plaintext is encrypted by a fresh data key, the data key by a wrapping key. Rotation
//! then re-wraps 48 bytes per record and never shows the plaintext to anything.
//!
//! Text form: `sealed1.` + base64url, without padding, of
//!
//! | bytes | what |
//! |---|---|
//! | 8 | wrapping key id |
//! | 12 | nonce of the wrap |
//! | 48 | data key, AES-256-GCM under the wrapping key; associated data = context and wrapping key id |
//! | 12 | nonce of the content |
//! | n + 16 | content, AES-256-GCM under the data key; associated data = context |
//!
//! The key id is bound in the wrap only, so that re-wrapping leaves the content as it is; the content is
//! bound to the wrap by the data key, which nothing else uses. Both nonces are random: a data key encrypts
//! once, and a wrapping key stays below the 2^32 random nonces of NIST SP 800-38D §8.3 for as long as an
//! installation writes fewer than four billion credentials between rotations.
//!
//! Invariant: a record opens only under the organisation, record and field it was sealed for, and any
//! changed bit is refused.
use core::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use zeroize::{Zeroize, Zeroizing};

use crate::{
    cipher::{self, CipherRefused, NONCE, TAG},
    keyring::{Keyring, WrappingKey, WrappingKeyId},
    secret::Secret,
};

const PREFIX: &str = "sealed1.";
const DATA_KEY: usize = 32;
const WRAP: usize = WrappingKeyId::BYTES + NONCE + DATA_KEY + TAG;
/// Random bytes that sealing takes: data key, nonce of the wrap, nonce of the content.
pub const SEAL_RANDOM: usize = DATA_KEY + NONCE + NONCE;
/// Random bytes that re-wrapping takes: a nonce.
pub const REWRAP_RANDOM: usize = NONCE;
/// Most bytes in one record. The largest credential known is a service account's JSON of about 3 KiB.
pub const MAX_PLAINTEXT: usize = 64 * 1024;
const CHECK_PLAINTEXT: &[u8] = b"the wrapping key opens what it sealed";
/// No organisation has this name (slugs are lower case), so no record can be passed off as it.
const CHECK: Context<'static> = Context {
    organisation: "INSTALLATION",
    record: "keyring",
    field: "check",
};

/// Where a record belongs. It is authenticated, not stored: whoever opens the record must name the same.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The organisation's slug.
    pub organisation: &'a str,
    /// Which record, for instance `server/srv_…`.
    pub record: &'a str,
    /// Which field of it.
    pub field: &'a str,
}

impl Context<'_> {
    /// Each part with its length before it, so that (`a`, `bc`) and (`ab`, `c`) differ.
    fn associated(&self, purpose: &[u8], key_id: &[u8]) -> Vec<u8> {
        [
            purpose,
            self.organisation.as_bytes(),
            self.record.as_bytes(),
            self.field.as_bytes(),
            key_id,
        ]
        .iter()
        .flat_map(|part| {
            let length = u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes();
            length.into_iter().chain(part.iter().copied())
        })
        .collect()
    }

    fn of_wrap(&self, id: WrappingKeyId) -> Vec<u8> {
        self.associated(b"data-key", &id.0)
    }

    fn of_content(&self) -> Vec<u8> {
        self.associated(b"content", b"")
    }
}

/// A sealed record, safe to store and to print.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(String);

impl Sealed {
    /// The text to store.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text to store, by value.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealed({} characters)", self.0.len())
    }
}

/// Why nothing was sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// More than `MAX_PLAINTEXT`.
    #[error("the secret has {bytes} bytes and at most 65536 are kept: store a shorter one")]
    TooLong {
        /// How many there were.
        bytes: usize,
    },
    /// The cipher refused, which it does only beyond 64 GiB.
    #[error("the cipher refused to encrypt: nothing was stored; report this, no setting causes it")]
    Cipher,
}

/// Why a record stays shut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// Not the text form of this module.
    #[error(
        "the stored text is not a sealed record: it was cut or overwritten; set the secret again"
    )]
    Malformed,
    /// Sealed by a wrapping key that is not bound.
    #[error(
        "the record was sealed by wrapping key {0}, which is not bound: bind it as the previous key, \
         or set the secret again"
    )]
    UnknownKey(WrappingKeyId),
    /// The tag does not fit: altered, or opened as another organisation, record or field.
    #[error("the sealed record was altered or belongs elsewhere: set the secret again")]
    Refused,
    /// The cipher refused to encrypt the data key again.
    #[error("the data key could not be wrapped again: the old record still opens; report this")]
    Cipher,
}

impl From<CipherRefused> for OpenError {
    fn from(_: CipherRefused) -> Self {
        Self::Refused
    }
}

/// Seals `plaintext` for one place. `random` must come from a cryptographic source and be used once.
pub fn seal(
    keyring: &Keyring,
    context: &Context<'_>,
    plaintext: &[u8],
    random: &[u8; SEAL_RANDOM],
) -> Result<Sealed, SealError> {
    if plaintext.len() > MAX_PLAINTEXT {
        return Err(SealError::TooLong {
            bytes: plaintext.len(),
        });
    }
    let mut bytes = random.iter().copied();
    let data_key = Zeroizing::new(core::array::from_fn(|_| bytes.next().unwrap_or(0)));
    let wrap_nonce = core::array::from_fn(|_| bytes.next().unwrap_or(0));
    let nonce = core::array::from_fn(|_| bytes.next().unwrap_or(0));
    let wrapped =
        wrap(keyring.current(), context, &data_key, &wrap_nonce).map_err(|_| SealError::Cipher)?;
    let content = cipher::encrypt(&data_key, &nonce, &context.of_content(), plaintext)
        .map_err(|_| SealError::Cipher)?;
    Ok(write(
        keyring.current().id(),
        &wrap_nonce,
        &wrapped,
        &nonce,
        &content,
    ))
}

/// Opens a record at the place it was sealed for.
pub fn open(keyring: &Keyring, context: &Context<'_>, sealed: &str) -> Result<Secret, OpenError> {
    let envelope = Envelope::read(sealed)?;
    let data_key = envelope.data_key(keyring, context)?;
    let associated = context.of_content();
    let content = cipher::decrypt(&data_key, &envelope.nonce, &associated, &envelope.content)?;
    Ok(Secret::new(content))
}

/// Whether the record is still wrapped by another key than the current one.
pub fn needs_rewrap(keyring: &Keyring, sealed: &str) -> Result<bool, OpenError> {
    Ok(Envelope::read(sealed)?.key_id != keyring.current().id())
}

/// Wraps the data key of a record by the current key. The content keeps its bytes; a record that is
/// already current is wrapped anew. `random` is a nonce from a cryptographic source, used once.
pub fn rewrap(
    keyring: &Keyring,
    context: &Context<'_>,
    sealed: &str,
    random: &[u8; REWRAP_RANDOM],
) -> Result<Sealed, OpenError> {
    let envelope = Envelope::read(sealed)?;
    let data_key = envelope.data_key(keyring, context)?;
    // A sweep must not hand on a record that was damaged: the new wrap would look like a fresh write.
    let associated = context.of_content();
    cipher::decrypt(&data_key, &envelope.nonce, &associated, &envelope.content)
        .map(|mut content| content.zeroize())?;
    let current = keyring.current();
    let wrapped = wrap(current, context, &data_key, random).map_err(|_| OpenError::Cipher)?;
    Ok(write(
        current.id(),
        random,
        &wrapped,
        &envelope.nonce,
        &envelope.content,
    ))
}

/// Seals a known text. Stored once per installation and opened by each cron run, it tells a wrong or lost
/// wrapping key before any credential is needed.
pub fn seal_check_value(
    keyring: &Keyring,
    random: &[u8; SEAL_RANDOM],
) -> Result<Sealed, SealError> {
    seal(keyring, &CHECK, CHECK_PLAINTEXT, random)
}

/// Whether the bound keys open the stored check value; after success `needs_rewrap` says if it should be
/// sealed again.
pub fn check_value_opens(keyring: &Keyring, stored: &str) -> Result<(), OpenError> {
    let opened = open(keyring, &CHECK, stored)?;
    if opened.expose() == CHECK_PLAINTEXT {
        Ok(())
    } else {
        Err(OpenError::Refused)
    }
}

fn wrap(
    key: &WrappingKey,
    context: &Context<'_>,
    data_key: &[u8; DATA_KEY],
    nonce: &[u8; NONCE],
) -> Result<Vec<u8>, CipherRefused> {
    cipher::encrypt(key.bytes(), nonce, &context.of_wrap(key.id()), data_key)
}

fn write(
    key_id: WrappingKeyId,
    wrap_nonce: &[u8; NONCE],
    wrapped: &[u8],
    nonce: &[u8; NONCE],
    content: &[u8],
) -> Sealed {
    let bytes = [key_id.0.as_slice(), wrap_nonce, wrapped, nonce, content].concat();
    Sealed(format!(
        "{PREFIX}{}",
        Base64UrlUnpadded::encode_string(&bytes)
    ))
}

struct Envelope {
    key_id: WrappingKeyId,
    wrap_nonce: [u8; NONCE],
    wrapped: Vec<u8>,
    nonce: [u8; NONCE],
    content: Vec<u8>,
}

impl Envelope {
    fn read(sealed: &str) -> Result<Self, OpenError> {
        let text = sealed.strip_prefix(PREFIX).ok_or(OpenError::Malformed)?;
        let bytes = Base64UrlUnpadded::decode_vec(text).map_err(|_| OpenError::Malformed)?;
        if bytes.len() < WRAP + NONCE + TAG {
            return Err(OpenError::Malformed);
        }
        let mut rest = bytes.into_iter();
        Ok(Self {
            key_id: WrappingKeyId(core::array::from_fn(|_| rest.next().unwrap_or(0))),
            wrap_nonce: core::array::from_fn(|_| rest.next().unwrap_or(0)),
            wrapped: rest.by_ref().take(DATA_KEY + TAG).collect(),
            nonce: core::array::from_fn(|_| rest.next().unwrap_or(0)),
            content: rest.collect(),
        })
    }

    fn data_key(
        &self,
        keyring: &Keyring,
        context: &Context<'_>,
    ) -> Result<Zeroizing<[u8; DATA_KEY]>, OpenError> {
        let key = keyring
            .find(self.key_id)
            .ok_or(OpenError::UnknownKey(self.key_id))?;
        let associated = context.of_wrap(key.id());
        let bytes = Zeroizing::new(cipher::decrypt(
            key.bytes(),
            &self.wrap_nonce,
            &associated,
            &self.wrapped,
        )?);
        let data_key = bytes
            .as_slice()
            .try_into()
            .map_err(|_| OpenError::Refused)?;
        Ok(Zeroizing::new(data_key))
    }
}

#[cfg(test)]
mod tests;
