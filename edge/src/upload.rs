//! A multipart body on its way through: what is known of it, and how much of it an isolate holds.
//!
//! A small one is held to its end and can be sent again, to another server; of a larger one no more is
//! held than it takes to find its model, and the rest passes through. Holding is rationed, because all
//! requests of an isolate share 128 MB: what has no room waits for some, with its client held back.
//!
//! Invariant: the bytes counted in [`Room`] are at least those that hosts keep, but for the first
//! [`FREE`] of each upload. In scope: one body. Out of scope: where it goes.

use std::cell::Cell;
use std::rc::Rc;

use tidegate_domain::time::{Span, Timestamp};
use tidegate_wire_openai::{BadForm, Endpoint, ErrorCode, FormReader};

use crate::api_error::ApiError;
use crate::effect::{Outgoing, Splice};
use crate::request::Head;

/// Longest upload. Cloudflare takes 100 MB on its smaller plans; model servers less (OpenAI 25 MiB of
/// audio, 50 MiB of each image).
pub const MAX_UPLOAD: u64 = 100 << 20;
/// Held to the end up to this length: a minute of speech in any format, a usual image.
const KEPT: u64 = 4 << 20;
/// Held while the model is not known. OpenAI's limit on audio with room for the fields: some SDKs send
/// the file first.
const MOST_HELD: u64 = 32 << 20;
/// Held by all uploads of an isolate together: half of its memory.
const ROOM: u64 = 64 << 20;
/// What an upload may hold beyond that, so that one whose fields come first never waits: a few pieces.
const FREE: u64 = 256 << 10;
/// Asked for at a time by an upload that does not say how long it is.
const STEP: u64 = 1 << 20;
/// Longest silence of a client in the middle of its upload, before a policy is known.
pub const IDLE_MS: u64 = 60_000;
/// Longest wait for room. Most SDKs' own patience is longer.
const ROOM_WAIT: Span = Span::from_secs(30);
/// How often it is looked whether there is some.
pub const ROOM_POLL: Span = Span::from_ms(250);

/// Bytes that uploads may still hold, of all exchanges of an isolate.
#[derive(Clone)]
pub struct Room(Rc<Cell<u64>>);

impl Default for Room {
    fn default() -> Self {
        Self(Rc::new(Cell::new(ROOM)))
    }
}

/// A share of the room; given back when it is dropped.
struct Share {
    room: Room,
    bytes: u64,
}

impl Share {
    /// Makes the share at least so large, if there is room.
    fn grow_to(&mut self, bytes: u64) -> bool {
        let more = bytes.saturating_sub(self.bytes);
        let Some(left) = self.room.0.get().checked_sub(more) else {
            return false;
        };
        self.room.0.set(left);
        self.bytes = self.bytes.saturating_add(more);
        true
    }

    fn give_back(&mut self) {
        let Room(left) = &self.room;
        left.set(left.get().saturating_add(std::mem::take(&mut self.bytes)));
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.give_back();
    }
}

/// What is to be done with the body next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// To read on.
    More,
    /// To hold it until there is room.
    Room,
    /// Nothing: it is known where the request goes.
    Nothing,
}

/// One upload.
pub struct Upload {
    endpoint: Endpoint,
    form: FormReader,
    declared: Option<u64>,
    received: u64,
    ended: bool,
    share: Share,
    waits_since: Option<Timestamp>,
}

impl Upload {
    /// An upload of which nothing has been read.
    ///
    /// # Errors
    /// When its headers say that it is no form, or too long.
    pub fn begin(endpoint: Endpoint, head: &Head, room: &Room) -> Result<Self, ApiError> {
        let declared = head
            .header("content-length")
            .and_then(|length| length.parse().ok());
        if declared.is_some_and(|length: u64| length > MAX_UPLOAD) {
            return Err(too_large());
        }
        Ok(Self {
            endpoint,
            form: FormReader::new(head.header("content-type"))?,
            declared,
            received: 0,
            ended: false,
            share: Share {
                room: room.clone(),
                bytes: 0,
            },
            waits_since: None,
        })
    }

    /// The next piece, before it is known where the request goes.
    ///
    /// # Errors
    /// When no server is to be asked with this body.
    pub fn gather(&mut self, now: Timestamp, piece: &[u8]) -> Result<Wants, ApiError> {
        self.pass(piece)?;
        self.wants(now)
    }

    /// The next piece of an upload that passes through.
    ///
    /// # Errors
    /// When the server must not get the rest of this body.
    pub fn pass(&mut self, piece: &[u8]) -> Result<(), ApiError> {
        let length = u64::try_from(piece.len()).unwrap_or(u64::MAX);
        self.received = self.received.saturating_add(length);
        if self.received > MAX_UPLOAD {
            return Err(too_large());
        }
        Ok(self.form.push(piece)?)
    }

    /// What is to be done next; asked again while it waits for room.
    ///
    /// # Errors
    /// When there is none for too long, or could never be enough.
    pub fn wants(&mut self, now: Timestamp) -> Result<Wants, ApiError> {
        let is_known = self.form.model().is_some();
        let ahead = self.declared.unwrap_or(self.received);
        if is_known && ahead > KEPT {
            return Ok(Wants::Nothing);
        }
        if self.received > MOST_HELD {
            return Err(ApiError::new(
                ErrorCode::RequestTooLarge,
                "The file comes before the field `model` and is larger than 32 MiB, which is more than this gateway holds to find out where it goes. Send `model` before the file.",
            )
            .param("model"));
        }
        let wanted = self
            .declared
            .unwrap_or(self.received.saturating_add(STEP))
            .min(MOST_HELD);
        if self.received <= self.share.bytes || self.share.grow_to(wanted) {
            self.waits_since = None;
            return Ok(Wants::More);
        }
        if is_known {
            return Ok(Wants::Nothing);
        }
        if self.received <= FREE {
            return Ok(Wants::More);
        }
        let since = *self.waits_since.get_or_insert(now);
        if now.since(since) < ROOM_WAIT {
            return Ok(Wants::Room);
        }
        Err(ApiError::new(
            ErrorCode::GatewayUnavailable,
            "The gateway holds as many uploads as it has memory for. Try again in a moment; an upload that has `model` before the file does not wait.",
        )
        .retry_after(Some(Span::from_secs(2))))
    }

    /// Whether it waits for room.
    pub const fn waits(&self) -> bool {
        self.waits_since.is_some()
    }

    /// The body is at its end.
    ///
    /// # Errors
    /// When it is no whole form, or not one for its endpoint.
    pub fn end(&mut self) -> Result<(), ApiError> {
        self.ended = true;
        self.form.end(self.endpoint.input_param())?;
        self.check_stream()
    }

    /// A stream was not asked for where there is none.
    ///
    /// # Errors
    /// When it was.
    pub fn check_stream(&self) -> Result<(), ApiError> {
        if self.form.stream() && !self.endpoint.streams() {
            return Err(ApiError::no_stream(self.endpoint.path()));
        }
        Ok(())
    }

    /// The form, as far as it was read.
    pub const fn form(&self) -> &FormReader {
        &self.form
    }

    /// It is held no longer.
    pub fn let_go(&mut self) {
        self.share.give_back();
    }

    /// How it goes to a server that knows the model by this name.
    pub fn outgoing(&self, upstream_model: &str, idle_ms: u64) -> Outgoing {
        let renamed = self
            .form
            .model()
            .filter(|model| model.value != upstream_model);
        let splice = renamed.map(|model| Splice {
            start: model.span.start,
            end: model.span.end,
            text: upstream_model.to_owned(),
        });
        let length = if self.ended {
            Some(self.received)
        } else {
            self.declared
        };
        let length = length.map(|length| match &splice {
            None => length,
            Some(Splice { start, end, text }) => length
                .saturating_sub(end.saturating_sub(*start))
                .saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX)),
        });
        Outgoing {
            splice,
            length,
            idle_ms,
        }
    }
}

/// The client is gone in the middle of its body; nobody reads this, but for those who half-close.
pub fn broken() -> ApiError {
    ApiError::new(
        ErrorCode::InvalidMultipart,
        "The request's body broke off before its end.",
    )
}

/// The client sends nothing any more.
pub fn stalled(idle_ms: u64) -> ApiError {
    ApiError::new(
        ErrorCode::UploadStalled,
        format!(
            "Nothing more of the upload came for {} s. Send it again.",
            idle_ms.div_ceil(1000)
        ),
    )
}

fn too_large() -> ApiError {
    ApiError::new(
        ErrorCode::RequestTooLarge,
        "The upload is larger than 100 MiB. Send a shorter or a compressed file.",
    )
}

impl From<BadForm> for ApiError {
    fn from(refused: BadForm) -> Self {
        Self::of(refused.code(), refused.envelope())
    }
}

#[cfg(test)]
mod tests;
