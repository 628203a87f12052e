//! HTTP on loopback: listening, whole requests, whole answers, and answers that never come.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::{Bytes, Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::{JoinHandle, JoinSet};

/// What answers are made of.
pub type Body = UnsyncBoxBody<Bytes, io::Error>;

/// More than any request that either vendor takes.
const MOST_BODY_BYTES: usize = 4 * 1024 * 1024;

/// A whole request.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    /// `GET`…
    pub method: String,
    /// Without the query, as it came.
    pub path: String,
    /// Without the question mark.
    pub query: String,
    /// Names in lower case; values that are given twice are joined by a comma.
    pub headers: BTreeMap<String, String>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Asked {
    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// A member of the query.
    pub fn query(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Its status.
    pub status: u16,
    /// In order.
    pub headers: Vec<(String, String)>,
    /// All of it.
    pub body: Vec<u8>,
}

impl Answer {
    /// Nothing but a status.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    /// Text of that type.
    pub fn text(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::empty(status)
            .with("Content-Type", content_type)
            .body(body)
    }

    /// JSON.
    pub fn json(status: u16, body: &Value) -> Self {
        Self::text(status, "application/json", body.to_string())
    }

    /// With one more header.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }
}

/// What becomes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It is answered.
    Answered(Answer),
    /// Its answer breaks off after half of its body.
    Halved(Answer),
    /// Its connection is closed.
    Closed,
    /// Nothing comes until the client leaves.
    Silent,
}

/// A listener; `0` = any free port.
///
/// # Errors
/// When the port is taken.
pub fn bind(address: IpAddr, port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(SocketAddr::new(address, port))?;
    socket.listen(1024)
}

/// Serves connections until the handle is aborted, and then none of them any more.
pub fn serve<F, Fut>(listener: TcpListener, answer: F) -> JoinHandle<()>
where
    F: Fn(Request<Incoming>) -> Fut + Clone + Send + 'static,
    Fut: Future<Output = io::Result<Response<Body>>> + Send + 'static,
{
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = listener.accept() => {
                    // Without the option Nagle and delayed ACK hold small chunks back for 40 ms.
                    let Ok((stream, _)) = accepted else { continue };
                    if stream.set_nodelay(true).is_err() {
                        continue;
                    }
                    let answer = answer.clone();
                    connections.spawn(async move {
                        let service = service_fn(answer);
                        let _left = http1::Builder::new()
                            .auto_date_header(false)
                            .serve_connection(TokioIo::new(stream), service)
                            .await;
                    });
                }
                Some(_ended) = connections.join_next() => {}
            }
        }
    })
}

/// Reads a request to its end.
///
/// # Errors
/// When the client leaves, or sends more than anybody wants.
pub async fn read(request: Request<Incoming>) -> io::Result<Asked> {
    let (head, body) = request.into_parts();
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in &head.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers
            .entry(name.as_str().to_owned())
            .and_modify(|all| {
                all.push(',');
                all.push_str(&value);
            })
            .or_insert(value);
    }
    let body = Limited::new(body, MOST_BODY_BYTES).collect().await;
    let body = body.map_err(io::Error::other)?.to_bytes().to_vec();
    Ok(Asked {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers,
        body,
    })
}

/// Writes what becomes of a request.
///
/// # Errors
/// Closes the connection where that is what becomes of it.
pub async fn write(outcome: Outcome) -> io::Result<Response<Body>> {
    match outcome {
        Outcome::Answered(answer) => {
            let body = answer.body.clone();
            response(&answer, whole(body))
        }
        Outcome::Halved(answer) => {
            let half = answer.body[..answer.body.len() / 2].to_vec();
            let length = answer.body.len().to_string();
            let answer = answer.with("Content-Length", &length);
            response(&answer, broken_off(half))
        }
        Outcome::Closed => Err(io::Error::other("closed as ordered")),
        Outcome::Silent => std::future::pending().await,
    }
}

fn response(answer: &Answer, body: Body) -> io::Result<Response<Body>> {
    let mut response = Response::builder()
        .status(StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for (name, value) in &answer.headers {
        response = response.header(name, value);
    }
    response.body(body).map_err(io::Error::other)
}

/// A body that is there already.
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

fn broken_off(bytes: Vec<u8>) -> Body {
    BrokenOff(Some(Bytes::from(bytes))).boxed_unsync()
}

/// Some bytes, then an error, on which hyper closes the connection.
struct BrokenOff(Option<Bytes>);

impl hyper::body::Body for BrokenOff {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let next = match self.0.take() {
            Some(bytes) => Ok(Frame::data(bytes)),
            None => Err(io::Error::other("broken off as ordered")),
        };
        std::task::Poll::Ready(Some(next))
    }
}
