//! One request and its answer, timed. Invariant: a [`Timing`] exists only for an answer that was
//! whole: status 200, all bytes, and in a stream the `[DONE]` too. Everything else is a [`Failure`].

use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::options::{Mode, Options};
use crate::stream::{Event, Reader};

/// Why a request did not count. The name goes into the report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Failure {
    /// No TCP connection or no HTTP handshake.
    Connect,
    /// The connection broke before or inside the answer.
    Transport,
    /// Another status than 200.
    Status(u16),
    /// The stream ended without `[DONE]`.
    Unfinished,
    /// The stream carried an error event.
    ErrorEvent,
    /// Nothing whole within the time limit.
    Timeout,
}

impl Failure {
    /// Key in the report's table of errors.
    pub fn name(&self) -> String {
        match self {
            Self::Connect => "connect".to_owned(),
            Self::Transport => "transport".to_owned(),
            Self::Status(status) => format!("status_{status}"),
            Self::Unfinished => "stream_without_done".to_owned(),
            Self::ErrorEvent => "error_event".to_owned(),
            Self::Timeout => "timeout".to_owned(),
        }
    }
}

/// When things arrived, counted from just before the request was written.
#[derive(Debug, Default)]
pub struct Timing {
    /// Last byte.
    pub total: Duration,
    /// First event with text; `None` for plain answers.
    pub first_token: Option<Duration>,
    /// Between one event with text and the next. Tokens that arrive in one read are 0 apart.
    pub gaps: Vec<Duration>,
}

/// A keep-alive connection that is opened again after it was lost.
#[derive(Default)]
pub struct Client {
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Client {
    /// Sends one request and reads the answer to its end.
    pub async fn exchange(&mut self, options: &Options) -> Result<Timing, Failure> {
        let attempt = tokio::time::timeout(options.timeout, self.attempt(options)).await;
        let result = attempt.unwrap_or(Err(Failure::Timeout));
        if matches!(
            result,
            Err(Failure::Timeout | Failure::Transport | Failure::Unfinished)
        ) {
            self.sender = None;
        }
        result
    }

    async fn attempt(&mut self, options: &Options) -> Result<Timing, Failure> {
        let mut sender = match self.sender.take() {
            Some(mut sender) => match sender.ready().await {
                Ok(()) => sender,
                Err(_) => connect(&options.authority).await?,
            },
            None => connect(&options.authority).await?,
        };
        let request = request(options).ok_or(Failure::Connect)?;
        let start = Instant::now();
        let response = sender
            .send_request(request)
            .await
            .map_err(|_| Failure::Transport)?;
        let status = response.status().as_u16();
        let mut body = response.into_body();
        let mut timing = Timing::default();
        let mut reader = Reader::default();
        let mut last_token: Option<Instant> = None;
        let (mut done, mut error_event) = (false, false);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|_| Failure::Transport)?;
            let (Mode::Stream, Some(bytes)) = (options.mode, frame.data_ref()) else {
                continue;
            };
            let now = Instant::now();
            reader.push(bytes, |event| match event {
                Event::Token => {
                    match last_token {
                        Some(last) => timing.gaps.push(now.duration_since(last)),
                        None => timing.first_token = Some(now.duration_since(start)),
                    }
                    last_token = Some(now);
                }
                Event::Done => done = true,
                Event::Error => error_event = true,
                Event::Other => {}
            });
        }
        timing.total = start.elapsed();
        self.sender = Some(sender);
        match (status, options.mode) {
            (200, Mode::Plain) => Ok(timing),
            (200, Mode::Stream) if error_event => Err(Failure::ErrorEvent),
            (200, Mode::Stream) if done => Ok(timing),
            (200, Mode::Stream) => Err(Failure::Unfinished),
            (status, _) => Err(Failure::Status(status)),
        }
    }
}

async fn connect(authority: &str) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let socket = TcpStream::connect(authority)
        .await
        .map_err(|_| Failure::Connect)?;
    // Without it Nagle and delayed ACK add 40 ms to every request that needs two writes.
    socket.set_nodelay(true).map_err(|_| Failure::Connect)?;
    let (sender, connection) = http1::handshake(TokioIo::new(socket))
        .await
        .map_err(|_| Failure::Connect)?;
    tokio::spawn(async move {
        // An error here reaches the request in flight as its own failure.
        let _ended = connection.await;
    });
    Ok(sender)
}

fn request(options: &Options) -> Option<hyper::Request<Full<Bytes>>> {
    let mut builder = hyper::Request::post(&options.path)
        .header("host", &options.authority)
        .header("content-type", "application/json");
    for (name, value) in &options.headers {
        builder = builder.header(name, value);
    }
    builder
        .body(Full::new(Bytes::from(options.body.clone())))
        .ok()
}
