//! Responses that a server keeps: requests that continue one, and requests about one.
//!
//! Nothing is kept here of who holds what. The id that a client sees is the server's own with a tag behind
//! it, `resp_abc~srv_…`, and going to the server the tag is taken off again. The tag carries a MAC
//! ([`tidegate_vault::verify_instance_id`]), so one that was made up, or is another organisation's, leads
//! nowhere.
//!
//! Invariant: such a request is sent to that server or to none.

use std::rc::Rc;

use tidegate_durable::bindings::fleet::ServerState;
use tidegate_vault::{Installation, Organisation, verify_instance_id};
use tidegate_wire_openai::{Endpoint, ErrorCode, Peek, ResponseShape};

use super::{Inference, resolve, route_to};
use crate::api_error::ApiError;
use crate::auth::Caller;
use crate::flow::Step;
use crate::gateway::Cx;
use crate::models::with_routing;
use crate::snapshot::{Routing, Server};

/// Between a server's own id and the tag. It stands unescaped in URLs (RFC 3986 §2.3), and engines do not
/// use it in ids.
const MARK: char = '~';
/// Longest id, with its tag: engines' own are under 70 bytes.
const MOST_BYTES: usize = 256;

/// A response, and where it is.
pub(super) struct Held {
    /// Its id at the server.
    id: String,
    /// Index of the server.
    pub(super) server: usize,
}

/// What is to be done with a stored response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Errand {
    /// Shown, or streamed again.
    Show,
    /// Deleted.
    Delete,
    /// Stopped, where it runs in the background.
    Cancel,
    /// Asked what it was given.
    Inputs,
}

impl Errand {
    const fn method(self) -> &'static str {
        match self {
            Self::Show | Self::Inputs => "GET",
            Self::Delete => "DELETE",
            Self::Cancel => "POST",
        }
    }

    const fn below(self) -> &'static str {
        match self {
            Self::Show | Self::Delete => "",
            Self::Cancel => "/cancel",
            Self::Inputs => "/input_items",
        }
    }
}

/// How a request goes out that is not simply the client's body to the endpoint's path.
pub(super) struct About {
    id: String,
    errand: Option<Errand>,
    query: String,
}

impl About {
    /// A request that goes on from a response: its id at the server.
    pub(super) fn continued(held: &Held) -> Self {
        Self {
            id: held.id.clone(),
            errand: None,
            query: String::new(),
        }
    }
}

/// A request about one response.
pub fn accept(cx: &mut Cx<'_>, caller: Caller, id: String, errand: Errand) -> Step {
    let org = caller.org.clone();
    with_routing(cx, &org, move |cx, routing| {
        let ours = usable(&caller, &routing);
        let installation = &cx.shared.config.installation;
        let Some(held) = locate(installation, &caller.org, &routing, &ours, &id) else {
            return nowhere(&id).into();
        };
        let Some(server) = routing.servers.get(held.server) else {
            return nowhere(&id).into();
        };
        let is_stream =
            errand == Errand::Show && cx.head.query("stream").as_deref() == Some("true");
        let peek = Peek::of_model(server.entry.entry.model_name.clone(), is_stream);
        let about = About {
            id: held.id.clone(),
            errand: Some(errand),
            query: cx.head.query.clone(),
        };
        let step = route_to(
            cx,
            caller,
            Endpoint::Responses,
            peek,
            Vec::new(),
            Rc::clone(&routing),
            Some(held.server),
        );
        about.go_with(step)
    })
}

impl About {
    /// The step with this to go by.
    pub(super) fn go_with(self, step: Step) -> Step {
        match step {
            Step::Infer(mut inference) => {
                inference.about = Some(self);
                Step::Infer(inference)
            }
            other => other,
        }
    }
}

/// Where a response is; `None` where it cannot be reached: its tag leads nowhere, its server is gone, is being
/// drained, or is none of `reached`.
///
/// An id without a tag was not given out here. Where there is only one server that can have made it (a model
/// that was used directly before), it is asked.
pub(super) fn locate(
    installation: &Installation,
    org: &str,
    routing: &Routing,
    reached: &[usize],
    id: &str,
) -> Option<Held> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | MARK);
    if id.len() > MOST_BYTES || id.starts_with('.') || !id.chars().all(is_plain) {
        return None;
    }
    let (id, server) = match id.rsplit_once(MARK) {
        Some((id, tag)) => {
            let org = Organisation::parse(org).ok()?;
            if !verify_instance_id(installation, &org, tag) {
                return None;
            }
            (id, *routing.by_id.get(tag)?)
        }
        None => match reached {
            [only] => (id, *only),
            _ => return None,
        },
    };
    let stays = |server: &Server| server.entry.status.state != ServerState::Draining;
    let is_there = routing.servers.get(server).is_some_and(stays);
    (is_there && !id.is_empty() && reached.contains(&server)).then(|| Held {
        id: id.to_owned(),
        server,
    })
}

/// Servers that a key reaches under any name it may ask for.
fn usable(caller: &Caller, routing: &Routing) -> Vec<usize> {
    let project = caller.key.project.as_deref();
    let names: Vec<&str> = if caller.key.models.is_empty() {
        routing.by_model.keys().map(String::as_str).collect()
    } else {
        caller.key.models.iter().map(String::as_str).collect()
    };
    let mut servers: Vec<usize> = names
        .into_iter()
        .filter_map(|name| resolve::resolve(routing, name, project))
        .flat_map(|resolved| resolved.reached)
        .map(|reached| reached.server)
        .collect();
    servers.sort_unstable();
    servers.dedup();
    servers
}

/// The refusal for a response that does not exist, or not for this caller: the same words for both.
fn nowhere(id: &str) -> ApiError {
    ApiError::new(
        ErrorCode::NotFound,
        format!(
            "Response with id '{id}' not found: it was not made here, was deleted, or its server is gone."
        ),
    )
}

/// The same where the response was to be continued, in OpenAI's code.
pub(super) fn nothing_to_continue(id: &str) -> ApiError {
    ApiError::new(
        ErrorCode::PreviousResponseNotFound,
        format!(
            "Previous response with id '{id}' not found: it was not made here by a server of this model, or that server is gone. Send the conversation as `input` instead."
        ),
    )
    .param("previous_response_id")
}

impl Inference {
    /// The method, the path below the server's base, and the query.
    pub(super) fn request_line(&self) -> (&'static str, String, &str) {
        match &self.about {
            Some(About {
                id,
                errand: Some(errand),
                query,
            }) => {
                let path = [self.endpoint.path(), "/", id, errand.below()].concat();
                (errand.method(), path, query)
            }
            _ => ("POST", self.endpoint.path().to_owned(), ""),
        }
    }

    /// The id at the server of the response that is continued.
    pub(super) fn continued(&self) -> Option<&str> {
        let about = self.about.as_ref()?;
        about.errand.is_none().then_some(about.id.as_str())
    }

    /// What the answer of a server is filled in with, where it is a response. The ids of responses that are
    /// kept get their tag.
    pub(super) fn response_shape(&self, server: &Server) -> Option<Rc<ResponseShape>> {
        if self.endpoint != Endpoint::Responses {
            return None;
        }
        let is_errand = self.request_is_errand();
        let is_kept = is_errand || self.peek.store != Some(false);
        let tag = is_kept.then(|| format!("{MARK}{}", server.id()));
        Some(Rc::new(if is_errand {
            ResponseShape::of_stored(tag)
        } else {
            let created_at = self.arrived_at.as_ms() / 1000;
            let created_at = u64::try_from(created_at).unwrap_or_default();
            ResponseShape::of_request(&self.body, created_at, tag)
        }))
    }

    fn request_is_errand(&self) -> bool {
        matches!(
            &self.about,
            Some(About {
                errand: Some(_),
                ..
            })
        )
    }

    /// Whether how long it takes says how fast the server answers: counting tokens and looking up what is
    /// kept takes no model.
    pub(super) fn asks_the_model(&self) -> bool {
        let counts = matches!(
            self.endpoint,
            Endpoint::CountTokens | Endpoint::Tokenize | Endpoint::Detokenize
        );
        !counts && !self.request_is_errand()
    }
}
