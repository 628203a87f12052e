//! How a stream ends, as the host tells it and as the reader judges it.

use crate::error::{ErrorCode, ErrorEnvelope};

/// Why no more chunks will come, as the host knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The server closed the body in an orderly way.
    Eof,
    /// The connection broke, or the body was shorter than announced.
    TransportError,
    /// Silence between two chunks for longer than allowed.
    Stalled,
    /// The whole answer took longer than allowed.
    TotalTimeout,
    /// The client left; nobody reads what would be sent.
    ClientLeft,
}

/// What became of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The answer is whole.
    Complete,
    /// The body ended before the answer did.
    Truncated,
    /// The server reported an error inside the stream.
    UpstreamError {
        /// The request is at fault (it does not fit the model), not the server.
        client_fault: bool,
    },
    /// A frame was not JSON, not an object or too deep.
    InvalidEvent,
    /// A frame was larger than allowed.
    EventTooLarge,
    /// The connection broke.
    TransportError,
    /// The server fell silent.
    Stalled,
    /// The answer took too long.
    TotalTimeout,
    /// The client left.
    ClientLeft,
}

impl End {
    /// The outcome of an end that comes before the answer is whole.
    pub(super) fn unfinished(self) -> Outcome {
        match self {
            Self::Eof => Outcome::Truncated,
            Self::TransportError => Outcome::TransportError,
            Self::Stalled => Outcome::Stalled,
            Self::TotalTimeout => Outcome::TotalTimeout,
            Self::ClientLeft => Outcome::ClientLeft,
        }
    }
}

impl Outcome {
    /// Whether the server is to blame. A client that left says nothing about the server, and so is not.
    pub fn is_server_fault(self) -> bool {
        match self {
            Self::Complete | Self::ClientLeft | Self::UpstreamError { client_fault: true } => false,
            Self::Truncated
            | Self::UpstreamError {
                client_fault: false,
            }
            | Self::InvalidEvent
            | Self::EventTooLarge
            | Self::TransportError
            | Self::Stalled
            | Self::TotalTimeout => true,
        }
    }

    /// What the client is told; `None` when there is nothing to tell. An upstream's own error has its
    /// own envelope, so the one given here is only its summary.
    pub fn envelope(self) -> Option<ErrorEnvelope> {
        let (code, message) = match self {
            Self::Complete | Self::ClientLeft => return None,
            Self::Truncated => (
                ErrorCode::UpstreamTruncated,
                "The model server closed the stream before the answer was complete. What was received is a fragment; send the request again.",
            ),
            Self::UpstreamError { .. } => (
                ErrorCode::UpstreamError,
                "The model server reported an error while it was answering. What was received is a fragment.",
            ),
            Self::InvalidEvent => (
                ErrorCode::UpstreamInvalidAnswer,
                "The model server sent a stream event that is not valid. What was received is a fragment; send the request again.",
            ),
            Self::EventTooLarge => (
                ErrorCode::UpstreamInvalidAnswer,
                "The model server sent a stream event over the size limit. What was received is a fragment.",
            ),
            Self::TransportError => (
                ErrorCode::UpstreamUnreachable,
                "The connection to the model server broke before the answer was complete. What was received is a fragment; send the request again.",
            ),
            Self::Stalled => (
                ErrorCode::UpstreamStalled,
                "The model server stopped sending in the middle of the answer. What was received is a fragment; send the request again.",
            ),
            Self::TotalTimeout => (
                ErrorCode::UpstreamTimeout,
                "The answer took longer than this gateway allows. What was received is a fragment; ask for fewer tokens.",
            ),
        };
        Some(code.envelope(message))
    }
}
