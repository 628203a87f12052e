//! Sends calls to vendors from a native program, as `workers/host/vendor.ts` does under Workers: whatever is
//! found out with this host holds for that one.
//!
//! Invariant: a call is sent at most once, on a connection of its own: one that was kept may be dead already,
//! and then nobody could tell whether the call arrived. Redirects are not followed. Nothing of what is sent or
//! comes back gets into an error's text: both hold secrets.
//!
//! In scope: one call over HTTP, with TLS. Out of scope: what is called and what its answer means
//! (`tidegate-provider-calls`), when it is called again.

use core::fmt;
use std::io::Read as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tidegate_durable::turn::VendorCall;
use tidegate_provider_api::{HttpCall, HttpReply, ProviderError, Reply};
use tidegate_provider_calls::VendorCalls;
use ureq::http::{HeaderMap, Request, Response};
use ureq::{Agent, Body};

/// Bytes of an answer that are read: a page of a thousand machines, or of a catalogue, is a tenth of this.
pub const LONGEST_BYTES: u64 = 4 * 1024 * 1024;

/// Carries out a whole call: what is sealed is opened, the vendor asked, its answer read.
///
/// # Errors
/// In the vendor's words, or in ours where there is no answer. After a change that was sent and not answered
/// the error says that nobody knows what was done.
pub fn call(
    sender: &Sender,
    calls: &VendorCalls,
    call: &VendorCall,
) -> Result<Reply, ProviderError> {
    let http = calls.prepare(now_ms(), call)?;
    let reply = sender.send(&http, Duration::from_millis(call.timeout_ms));
    let reply = reply.map_err(|why| VendorCalls::unanswered(call, &why.to_string()))?;
    calls.read(call, &reply)
}

/// The time on the wall, in milliseconds since the epoch.
#[expect(
    clippy::disallowed_methods,
    reason = "a native host reads the clock once for each call"
)]
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    })
}

/// Sends calls.
#[derive(Clone, Debug)]
pub struct Sender {
    secure: Agent,
    plain: Agent,
}

/// Why there is no answer, in words that quote nothing of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// It took too long.
    Late {
        /// How long was waited.
        timeout_ms: u64,
    },
    /// No connection, or one that broke off.
    Broken,
    /// More than [`LONGEST_BYTES`].
    TooLong,
    /// The call is none that can be sent.
    Malformed,
}

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Late { timeout_ms } => write!(f, "no answer within {timeout_ms} ms"),
            Self::Broken => f.write_str("the connection could not be made, or broke off"),
            Self::TooLong => write!(f, "the answer is longer than {LONGEST_BYTES} bytes"),
            Self::Malformed => f.write_str("the call cannot be written as HTTP"),
        }
    }
}

impl core::error::Error for NoAnswer {}

impl Default for Sender {
    fn default() -> Self {
        Self::new()
    }
}

impl Sender {
    /// One that goes through the proxy that the environment names (`HTTPS_PROXY`), if it names one. Plain HTTP
    /// is for stand-ins, which are where they are said to be.
    pub fn new() -> Self {
        let config = || {
            Agent::config_builder()
                .http_status_as_error(false)
                .max_redirects(0)
                .max_redirects_will_error(false)
                .max_idle_connections(0)
                .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        };
        Self {
            secure: config().build().into(),
            plain: config().proxy(None).build().into(),
        }
    }

    /// Sends a call and reads the whole answer.
    ///
    /// # Errors
    /// Why there is none. Whatever the reason, the call may have arrived, unless it is
    /// [`NoAnswer::Malformed`].
    pub fn send(&self, call: &HttpCall, timeout: Duration) -> Result<HttpReply, NoAnswer> {
        let mut request = Request::builder()
            .method(call.method.as_str())
            .uri(call.url.as_str());
        for (name, value) in &call.headers {
            request = request.header(name.as_str(), value.as_str());
        }
        let sent = match &call.body {
            Some(body) => {
                let request = request.body(body.as_str());
                let request = request.map_err(|_| NoAnswer::Malformed)?;
                self.agent(call)
                    .run(self.with_timeout(call, request, timeout))
            }
            None => {
                let request = request.body(()).map_err(|_| NoAnswer::Malformed)?;
                self.agent(call)
                    .run(self.with_timeout(call, request, timeout))
            }
        };
        let why = |error: ureq::Error| no_answer(&error, timeout);
        read(sent.map_err(why)?, timeout)
    }

    fn agent(&self, call: &HttpCall) -> &Agent {
        if call.url.starts_with("http://") {
            &self.plain
        } else {
            &self.secure
        }
    }

    fn with_timeout<B: ureq::AsSendBody>(
        &self,
        call: &HttpCall,
        request: Request<B>,
        timeout: Duration,
    ) -> Request<B> {
        let configured = self.agent(call).configure_request(request);
        configured.timeout_global(Some(timeout)).build()
    }
}

fn read(response: Response<Body>, timeout: Duration) -> Result<HttpReply, NoAnswer> {
    let status = response.status().as_u16();
    let headers = lines(response.headers());
    let mut bytes = Vec::new();
    // One more than may be: so an answer of just so many bytes is told from a longer one.
    let mut reader = response.into_body().into_reader().take(LONGEST_BYTES + 1);
    match reader.read_to_end(&mut bytes) {
        Ok(length) if length as u64 > LONGEST_BYTES => return Err(NoAnswer::TooLong),
        Ok(_) => {}
        Err(error) => return Err(no_answer(&ureq::Error::from(error), timeout)),
    }
    Ok(HttpReply {
        status,
        headers,
        body: String::from_utf8_lossy(&bytes).into_owned(),
        now_ms: now_ms(),
    })
}

/// Header names are lower case already.
fn lines(headers: &HeaderMap) -> Vec<(String, String)> {
    let line = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    };
    headers.iter().map(line).collect()
}

/// The reason without the library's words, which may hold the URL.
fn no_answer(error: &ureq::Error, timeout: Duration) -> NoAnswer {
    match error {
        ureq::Error::Timeout(_) => NoAnswer::Late {
            timeout_ms: u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX),
        },
        ureq::Error::Http(_) | ureq::Error::BadUri(_) | ureq::Error::InvalidProxyUrl => {
            NoAnswer::Malformed
        }
        _ => NoAnswer::Broken,
    }
}

#[cfg(test)]
mod tests;
