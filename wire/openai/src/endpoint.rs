//! The inference endpoints, one row each: where they are, what goes in, what comes out, what may be done
//! with a request that fails.
//!
//! Invariant: everything that depends on the endpoint is asked here, so that a new one is a row.
//! In scope: the routes of OpenAI's API, Anthropic's messages, and what model servers add (`rerank`,
//! `tokenize`). Out of scope: routes about one stored response, which carry an id and no model.

/// One inference endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `POST /v1/chat/completions`
    Chat,
    /// `POST /v1/completions`
    Completions,
    /// `POST /v1/embeddings`
    Embeddings,
    /// `POST /v1/responses`
    Responses,
    /// `POST /v1/messages`
    Messages,
    /// `POST /v1/messages/count_tokens`
    CountTokens,
    /// `POST /v1/rerank`
    Rerank,
    /// `POST /v1/moderations`
    Moderations,
    /// `POST /v1/images/generations`
    ImagesGenerations,
    /// `POST /v1/images/edits`
    ImagesEdits,
    /// `POST /v1/audio/transcriptions`
    Transcriptions,
    /// `POST /v1/audio/translations`
    Translations,
    /// `POST /v1/audio/speech`
    Speech,
    /// `POST /tokenize`
    Tokenize,
    /// `POST /detokenize`
    Detokenize,
}

/// How a request's body is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RequestBody {
    /// One JSON object, held whole while it is looked at.
    Json,
    /// `multipart/form-data`, passed on as it comes.
    Multipart,
}

/// What a plain answer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerBody {
    /// A JSON object of the endpoint's shape.
    Json,
    /// JSON or a text (subtitles), as the request's `response_format` says.
    JsonOrText,
    /// Bytes of a media type that the request chose.
    Bytes,
}

/// The protocol of a streamed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StreamDialect {
    /// Nameless chunks with `choices`, then `[DONE]`.
    Chunks,
    /// `response.*` events; `response.completed`, `.incomplete` or `.failed` is the last.
    Responses,
    /// Anthropic's events; `message_stop` is the last.
    Messages,
    /// `image_generation.*` or `image_edit.*` events, one `.completed` for each image.
    Images,
    /// `transcript.text.*` events; `transcript.text.done` is the last.
    Transcript,
    /// `speech.audio.*` events; `speech.audio.done` is the last.
    Speech,
}

/// The protocol of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorDialect {
    /// `{"error":{"message","type","param","code"}}`
    OpenAi,
    /// `{"type":"error","error":{"type","message"},"request_id"}`
    Anthropic,
}

/// A row of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traits {
    /// The URL path, for clients and below a server's base address alike.
    pub path: &'static str,
    /// How the request is written.
    pub body: RequestBody,
    /// Fields of which one must be there and not null: what the model reads. Empty where what is needed
    /// depends on other fields; the server says so then.
    pub inputs: &'static [&'static str],
    /// How an answer can be streamed, if it can.
    pub stream: Option<StreamDialect>,
    /// What an answer is that is not streamed.
    pub answer: AnswerBody,
    /// Whether a silent server may be raced against another. Not where one run costs as much as many
    /// answers, or leaves something behind at the server.
    pub may_race: bool,
    /// How errors are told.
    pub errors: ErrorDialect,
}

impl Endpoint {
    /// Every endpoint.
    pub const ALL: [Self; 15] = [
        Self::Chat,
        Self::Completions,
        Self::Embeddings,
        Self::Responses,
        Self::Messages,
        Self::CountTokens,
        Self::Rerank,
        Self::Moderations,
        Self::ImagesGenerations,
        Self::ImagesEdits,
        Self::Transcriptions,
        Self::Translations,
        Self::Speech,
        Self::Tokenize,
        Self::Detokenize,
    ];

    /// The endpoint at a URL path.
    pub fn from_path(path: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|endpoint| endpoint.path() == path)
    }

    /// The URL path below a server's base address.
    pub const fn path(self) -> &'static str {
        self.traits().path
    }

    /// Further paths under which clients look for it. Servers are asked at its own.
    pub const fn aliases(self) -> &'static [&'static str] {
        match self {
            // Jina's and Cohere's clients.
            Self::Rerank => &["/rerank", "/v2/rerank"],
            _ => &[],
        }
    }

    /// The row.
    pub const fn traits(self) -> Traits {
        /// A JSON request that may run anywhere, any number of times.
        const PLAIN: Traits = Traits {
            path: "",
            body: RequestBody::Json,
            inputs: &[],
            stream: None,
            answer: AnswerBody::Json,
            may_race: true,
            errors: ErrorDialect::OpenAi,
        };
        /// An upload: never raced, since nobody keeps its bytes.
        const UPLOAD: Traits = Traits {
            body: RequestBody::Multipart,
            may_race: false,
            ..PLAIN
        };
        match self {
            Self::Chat => Traits {
                path: "/v1/chat/completions",
                inputs: &["messages"],
                stream: Some(StreamDialect::Chunks),
                ..PLAIN
            },
            Self::Completions => Traits {
                path: "/v1/completions",
                inputs: &["prompt"],
                stream: Some(StreamDialect::Chunks),
                ..PLAIN
            },
            Self::Embeddings => Traits {
                path: "/v1/embeddings",
                inputs: &["input"],
                ..PLAIN
            },
            // A stored prompt or an earlier response may stand for the input.
            Self::Responses => Traits {
                path: "/v1/responses",
                stream: Some(StreamDialect::Responses),
                ..PLAIN
            },
            Self::Messages => Traits {
                path: "/v1/messages",
                inputs: &["messages"],
                stream: Some(StreamDialect::Messages),
                errors: ErrorDialect::Anthropic,
                ..PLAIN
            },
            Self::CountTokens => Traits {
                path: "/v1/messages/count_tokens",
                inputs: &["messages"],
                errors: ErrorDialect::Anthropic,
                ..PLAIN
            },
            Self::Rerank => Traits {
                path: "/v1/rerank",
                inputs: &["documents"],
                ..PLAIN
            },
            Self::Moderations => Traits {
                path: "/v1/moderations",
                inputs: &["input"],
                ..PLAIN
            },
            Self::ImagesGenerations => Traits {
                path: "/v1/images/generations",
                inputs: &["prompt"],
                stream: Some(StreamDialect::Images),
                may_race: false,
                ..PLAIN
            },
            Self::ImagesEdits => Traits {
                path: "/v1/images/edits",
                inputs: &["image"],
                stream: Some(StreamDialect::Images),
                ..UPLOAD
            },
            Self::Transcriptions => Traits {
                path: "/v1/audio/transcriptions",
                inputs: &["file"],
                stream: Some(StreamDialect::Transcript),
                answer: AnswerBody::JsonOrText,
                ..UPLOAD
            },
            Self::Translations => Traits {
                path: "/v1/audio/translations",
                inputs: &["file"],
                answer: AnswerBody::JsonOrText,
                ..UPLOAD
            },
            Self::Speech => Traits {
                path: "/v1/audio/speech",
                inputs: &["input"],
                stream: Some(StreamDialect::Speech),
                answer: AnswerBody::Bytes,
                may_race: false,
                ..PLAIN
            },
            Self::Tokenize => Traits {
                path: "/tokenize",
                inputs: &["prompt", "messages", "content"],
                ..PLAIN
            },
            Self::Detokenize => Traits {
                path: "/detokenize",
                inputs: &["tokens"],
                ..PLAIN
            },
        }
    }

    /// The field to name when what the model reads is missing.
    pub fn input_param(self) -> &'static str {
        self.traits().inputs.first().copied().unwrap_or("input")
    }

    /// Whether an answer can come as a stream.
    pub const fn streams(self) -> bool {
        self.traits().stream.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, RequestBody};

    #[test]
    fn every_path_is_one_endpoints_own() {
        let mut paths: Vec<_> = Endpoint::ALL.iter().map(|one| one.path()).collect();
        paths.sort_unstable();
        paths.dedup();
        assert_eq!(paths.len(), Endpoint::ALL.len());
        assert!(paths.iter().all(|path| path.starts_with('/')));
    }

    #[test]
    fn a_path_leads_to_its_endpoint() {
        for endpoint in Endpoint::ALL {
            assert_eq!(Endpoint::from_path(endpoint.path()), Some(endpoint));
        }
        assert_eq!(Endpoint::from_path("/v1/chat"), None);
    }

    #[test]
    fn what_nobody_keeps_is_not_raced() {
        for endpoint in Endpoint::ALL {
            let traits = endpoint.traits();
            let kept = traits.body == RequestBody::Json;
            assert!(kept || !traits.may_race, "{endpoint:?}");
        }
    }
}
