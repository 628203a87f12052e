//! One TCP connection: reads requests, plays plans, and sees the client leave.
//!
//! Invariant: while an answer is pending, silent or being written, the socket is also being read,
//! so a client that closes or resets is in the journal within milliseconds, whatever the phase.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use crate::answer::Reply;
use crate::control;
use crate::journal::Outcome;
use crate::media::form_field;
use crate::misbehave;
use crate::plan::{Plan, Step, lay_out};
use crate::request::{Parsed, Request, parse};
use crate::script::How;
use crate::state::State;

/// Bytes that a client may send ahead while its answer is pending.
const MAX_AHEAD_BYTES: usize = 1024 * 1024;

/// What to do with the socket next.
enum Next {
    Serve,
    Close,
    Reset,
}

/// Serves a connection until it ends, or until all connections are ordered to be reset.
pub async fn serve(mut stream: TcpStream, number: u64, state: Arc<State>) {
    let mut kill = state.kill.subscribe();
    kill.mark_unchanged();
    let next = tokio::select! {
        next = serve_requests(&mut stream, number, &state) => next,
        _changed = kill.changed() => Next::Reset,
    };
    if matches!(next, Next::Reset) {
        reset(stream);
    }
}

/// Ends a connection so that the peer sees a reset.
pub fn reset(stream: TcpStream) {
    // With SO_LINGER 0 closing sends RST. Where the option fails the peer sees a FIN: no worse.
    let _set = stream.set_zero_linger();
    drop(stream);
}

async fn serve_requests(stream: &mut TcpStream, number: u64, state: &State) -> Next {
    let mut buffer = Vec::new();
    loop {
        let Some(request) = read_request(stream, &mut buffer).await else {
            return Next::Close;
        };
        let next = if request.path.starts_with(control::PREFIX) {
            let reply = control::answer(&request, state).await;
            let plan = lay_out(&reply, &crate::script::Rule::default(), request.keep_alive);
            let mut sent = |_bytes| {};
            let (_outcome, next) = play(stream, &mut buffer, &plan, &mut sent).await;
            next
        } else {
            exchange(stream, &mut buffer, number, &request, state).await
        };
        if !matches!(next, Next::Serve) {
            return next;
        }
    }
}

async fn exchange(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    number: u64,
    request: &Request,
    state: &State,
) -> Next {
    let body = request.json();
    let field = |name: &str| body.as_ref().and_then(|body| body.get(name));
    let model = field("model")
        .and_then(|model| model.as_str())
        .or_else(|| form_field(request, "model"));
    let streams = field("stream").and_then(|stream| stream.as_bool()) == Some(true)
        || form_field(request, "stream") == Some("true");
    let (rule, dialect) = state.rule_for(&request.path, model, streams);
    let id = state.opened(number, request, &rule);
    let ended = Ended {
        state,
        id,
        outcome: Outcome::Cut,
    };
    let plan = match misbehave::reply(request, &rule, dialect, &state.settings) {
        Reply::Nothing(how) => {
            let wait = Step::Wait(rule.delay_ms);
            Plan {
                steps: vec![wait, Step::End(how)],
                close: true,
            }
        }
        Reply::Answer(answer) => lay_out(&answer, &rule, request.keep_alive),
    };
    let mut sent = |bytes| state.journal().sent(id, bytes);
    let (outcome, next) = play(stream, buffer, &plan, &mut sent).await;
    ended.with(outcome);
    next
}

/// Ends the journal's entry also when the whole connection is reset by order.
struct Ended<'a> {
    state: &'a State,
    id: u64,
    outcome: Outcome,
}

impl Ended<'_> {
    fn with(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.state.ended(self.id, self.outcome);
    }
}

async fn read_request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Request> {
    let mut continued = false;
    loop {
        match parse(buffer).ok()? {
            Parsed::Whole(request, length) => {
                buffer.drain(..length);
                return Some(*request);
            }
            Parsed::Partial { expects_continue } => {
                if expects_continue && !continued {
                    continued = true;
                    stream
                        .write_all(b"HTTP/1.1 100 Continue\r\n\r\n")
                        .await
                        .ok()?;
                }
            }
        }
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
}

async fn play(
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
    plan: &Plan,
    sent: &mut impl FnMut(usize),
) -> (Outcome, Next) {
    let (mut reading, mut writing) = stream.split();
    let mut left = pin!(client_left(&mut reading, buffer));
    for step in &plan.steps {
        let done = tokio::select! {
            biased;
            () = &mut left => return (Outcome::Aborted, Next::Close),
            done = take(&mut writing, step) => done,
        };
        match (done, step) {
            (Ok(()), Step::Send(bytes)) => sent(bytes.len()),
            (Ok(()), Step::Wait(_)) => {}
            (Ok(()), Step::End(How::Reset)) => return (Outcome::Cut, Next::Reset),
            (Ok(()), Step::End(How::Fin | How::Silence)) => return (Outcome::Cut, Next::Close),
            (Err(_), _) => return (Outcome::Aborted, Next::Close),
        }
    }
    let next = if plan.close { Next::Close } else { Next::Serve };
    (Outcome::Complete, next)
}

async fn take(writing: &mut WriteHalf<'_>, step: &Step) -> std::io::Result<()> {
    match step {
        Step::Wait(wait_ms) => {
            tokio::time::sleep(Duration::from_millis(*wait_ms)).await;
            Ok(())
        }
        Step::Send(bytes) => writing.write_all(bytes).await,
        Step::End(How::Silence) => std::future::pending().await,
        Step::End(How::Fin | How::Reset) => Ok(()),
    }
}

/// Ends when the client has closed or reset; bytes that it sends ahead are kept.
async fn client_left(reading: &mut ReadHalf<'_>, buffer: &mut Vec<u8>) {
    while buffer.len() < MAX_AHEAD_BYTES {
        match reading.read_buf(buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    std::future::pending().await
}
