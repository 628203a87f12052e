//! Why RunPod did not do what it was asked.
//!
//! RunPod explains itself in a problem document (RFC 9457): `title`, `status`, `detail`, and `errors` for a body
//! that breaks the contract. It has no codes of its own; that there is no capacity stands in `detail` alone. What
//! is no such document was said by something in front of the API, and tells nothing of what the API did.
//!
//! Invariant: without the API's own words no machine is taken for gone, no key for refused and no change for
//! undone. Of what was sent, no secret comes back in the words that are kept.
//!
//! In scope: [`parse_error`]. Out of scope: answers that are as they should be (`reply`).

use serde::Deserialize;
use tidegate_provider_api::{EncodeCx, ErrorKind, HttpReply, ProviderError, Request};

use crate::object;

/// Another offer may do. As seen in answers to "create" and "start", in lower case; the first goes on in more
/// than one way ("… with the requested specifications", "… with enough disk space"). Sources:
/// runpod/runpod-python issues 168 and 297, dstackai/dstack issue 1740.
const NO_CAPACITY: [&str; 3] = [
    "no longer any instances",
    "not enough free gpus",
    "does not have the resources",
];

/// `no …` before it makes it the same: "no H100 instances available".
const INSTANCES_AVAILABLE: &str = "instances available";

/// "Your account cannot access the requested pool": the key is good, and the next offer may be too.
const NO_POOL: &str = "requested pool";

const NO_BALANCE: &str = "insufficient balance";

/// A day: the longest window of RunPod's rate limit.
const LONGEST_WAIT_S: u64 = 86_400;

/// A problem document.
struct Problem {
    title: String,
    status: u16,
    detail: String,
    errors: Vec<String>,
}

/// Whether the API itself says that something is wrong, whatever the HTTP status says.
pub fn is_problem(reply: &HttpReply) -> bool {
    Problem::read(&reply.body).is_some_and(|problem| problem.status >= 400)
}

/// Reads an answer that is not what was asked for.
pub fn parse_error(cx: &EncodeCx<'_>, request: &Request, reply: &HttpReply) -> ProviderError {
    let problem = Problem::read(&reply.body);
    let words = match &problem {
        Some(problem) => problem.words(),
        None => foreign_words(reply),
    };
    let status = problem
        .as_ref()
        .map_or(reply.status, |problem| problem.status);
    let words = cx.without_secrets(&words);
    let error = |kind| ProviderError::new(kind, request.operation(), &words);
    let unknown = if request.is_change() {
        ProviderError::no_answer(request.operation(), &words)
    } else {
        error(ErrorKind::Network)
    };
    let parsed = match (status, &problem) {
        // Whoever says these two, they mean that the call was not let through.
        (410, _) => ProviderError::new(
            ErrorKind::Validation,
            request.operation(),
            &format!("API retired: this release of Tidegate is too old for RunPod. {words}"),
        )
        .code("api_retired"),
        (429, _) => error(ErrorKind::RateLimited),
        (_, None) => unknown,
        (_, Some(problem)) if problem.is_capacity() => error(ErrorKind::Capacity),
        (402, _) => error(ErrorKind::Quota),
        (400.., Some(problem)) if problem.says(NO_BALANCE) => error(ErrorKind::Quota),
        (403, Some(problem)) if problem.says(NO_POOL) => error(ErrorKind::Capacity),
        (401 | 403, _) => error(ErrorKind::Auth),
        (404, _) => error(ErrorKind::NotFound),
        // The pod may be as wanted already; whoever asks looks again.
        (409, _) => error(ErrorKind::Validation)
            .code("conflict")
            .permanent(false),
        (408, _) => unknown,
        (400..=499, _) => error(ErrorKind::Validation),
        _ => unknown,
    };
    let waits = matches!(status, 429 | 503);
    let wait = waits.then(|| retry_after_ms(reply)).flatten();
    parsed.status(reply.status).retry_after(wait)
}

/// An answer with a good status whose body is not what it should be.
pub fn unreadable(request: &Request, reply: &HttpReply) -> ProviderError {
    let words = format!(
        "RunPod answered, but not in the form of its API: {}",
        form_of(&reply.body)
    );
    let error = if request.is_change() {
        ProviderError::no_answer(request.operation(), &words)
    } else {
        ProviderError::new(ErrorKind::Network, request.operation(), &words)
    };
    error.status(reply.status)
}

impl Problem {
    /// The document; nothing when the body is none. All that RunPod sends have a `status`, and `detail` or
    /// `title`; a gateway's `{"message": "no route"}` is not to be taken for the API's word.
    fn read(body: &str) -> Option<Self> {
        #[derive(Deserialize)]
        struct Raw {
            status: u16,
            #[serde(default)]
            title: Option<String>,
            #[serde(default)]
            detail: Option<String>,
            #[serde(default)]
            errors: serde_json::Value,
        }
        let Raw {
            status,
            title,
            detail,
            errors,
        } = object::read(body)?;
        if title.is_none() && detail.is_none() {
            return None;
        }
        let errors = errors.as_array().into_iter().flatten();
        let errors = errors.filter_map(|error| error.as_str().map(str::to_owned));
        Some(Self {
            title: title.unwrap_or_default(),
            status,
            detail: detail.unwrap_or_default(),
            errors: errors.collect(),
        })
    }

    fn words(&self) -> String {
        let detail = if self.detail.is_empty() {
            &self.title
        } else {
            &self.detail
        };
        match self.errors.as_slice() {
            [] => detail.clone(),
            errors => format!("{detail} {}", errors.join("; ")),
        }
    }

    fn says(&self, words: &str) -> bool {
        self.detail.to_ascii_lowercase().contains(words)
    }

    fn is_capacity(&self) -> bool {
        let detail = self.detail.to_ascii_lowercase();
        let before = detail
            .rsplit_once(INSTANCES_AVAILABLE)
            .map(|(before, _)| before);
        let none_available =
            before.is_some_and(|before| before.starts_with("no ") || before.contains(" no "));
        none_available || NO_CAPACITY.iter().any(|words| detail.contains(words))
    }
}

/// What something in front of the API has to say: of a page its title, of JSON its message, else the text.
fn foreign_words(reply: &HttpReply) -> String {
    #[derive(Deserialize)]
    struct Message {
        #[serde(alias = "error", alias = "detail")]
        message: String,
    }
    let body = reply.body.trim();
    let said = if body.starts_with('<') {
        let title = body.split_once("<title>").map_or("", |(_, after)| after);
        let title = title.split_once("</title>").map_or("", |(title, _)| title);
        format!("a page, \"{}\"", title.trim())
    } else if let Some(Message { message }) = object::read(body) {
        message
    } else if body.is_empty() || body.starts_with(['{', '[']) {
        form_of(body).to_owned()
    } else {
        body.to_owned()
    };
    let status = reply.status;
    format!("HTTP {status}, not from RunPod's API but from something in front of it: {said}")
}

/// Says what a body is without repeating it: it may be anything, a list of environments too.
fn form_of(body: &str) -> &'static str {
    match body.trim_start().bytes().next() {
        None => "an empty body",
        Some(b'<') => "a page",
        Some(b'{' | b'[') => "some other JSON",
        Some(_) => "some other text",
    }
}

/// The longest of what RunPod says: `Retry-After` covers only the window that was exceeded first, `RateLimit`
/// shows which others have nothing left. Both are whole seconds. Nothing for none, zero and nonsense.
fn retry_after_ms(reply: &HttpReply) -> Option<u64> {
    let after = reply.header("retry-after").and_then(seconds);
    let windows = reply.header("ratelimit").into_iter();
    let windows = windows
        .flat_map(|list| list.split(','))
        .filter_map(spent_window);
    let wait = after.into_iter().chain(windows).max()?;
    (wait > 0).then(|| wait.min(LONGEST_WAIT_S) * 1000)
}

fn seconds(text: &str) -> Option<u64> {
    text.trim().parse().ok()
}

/// Of `"minute";r=0;t=12` the 12; nothing while something is left.
fn spent_window(member: &str) -> Option<u64> {
    let parameter = |name: &str| {
        let mut parameters = member.split(';').skip(1);
        parameters.find_map(|each| seconds(each.trim().strip_prefix(name)?))
    };
    (parameter("r=")? == 0).then(|| parameter("t=")).flatten()
}
