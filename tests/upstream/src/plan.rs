//! From an answer to the exact steps on the socket. Invariant: pure; what is written, when, and how
//! it ends is all in the steps, so that the player has nothing to decide.
//!
//! A broken-off answer with a length promises [`BROKEN_PROMISE_BYTES`] more than it sends.

use crate::answer::{Answer, Part};
use crate::script::{After, Framing, How, Rule};

/// One thing to do on the socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Silence.
    Wait(u64),
    /// One write.
    Send(Vec<u8>),
    /// The end that is not the answer's own.
    End(How),
}

/// All steps, and whether the connection is closed after them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// Close after a whole answer.
    pub close: bool,
}

/// Bytes that a broken-off answer had promised beyond those it sends.
pub const BROKEN_PROMISE_BYTES: usize = 1000;

/// Lays out an answer.
pub fn lay_out(answer: &Answer, rule: &Rule, client_keeps_alive: bool) -> Plan {
    let framing = rule.framing.unwrap_or(answer.framing);
    let after = match (framing, client_keeps_alive) {
        (Framing::UntilClose, _) | (_, false) => After::AnnounceClose,
        _ => rule.after.unwrap_or(answer.after),
    };
    let mut steps = Vec::new();
    wait(&mut steps, rule.delay_ms);
    for status in &rule.interim {
        let line = format!("HTTP/1.1 {status} {}\r\n\r\n", reason(*status));
        steps.push(Step::Send(line.into_bytes()));
    }
    let head = head(answer, rule, framing, after).into_bytes();
    match rule.trickle_head_ms {
        Some(interval_ms) => {
            for byte in head {
                steps.push(Step::Send(vec![byte]));
                wait(&mut steps, interval_ms);
            }
        }
        None => steps.push(Step::Send(head)),
    }
    for part in &answer.parts {
        wait(&mut steps, part.wait_ms);
        send(&mut steps, part, framing);
    }
    match answer.early {
        Some(how) => steps.push(Step::End(how)),
        None if framing == Framing::Chunked => steps.push(Step::Send(b"0\r\n\r\n".to_vec())),
        None => {}
    }
    // A promise of too many bytes is only seen to be broken when the connection ends.
    let owes = matches!(framing, Framing::LengthOffBy(off) if off != 0);
    Plan {
        steps,
        close: after != After::KeepAlive || owes,
    }
}

fn wait(steps: &mut Vec<Step>, wait_ms: u64) {
    if wait_ms > 0 {
        steps.push(Step::Wait(wait_ms));
    }
}

fn send(steps: &mut Vec<Step>, part: &Part, framing: Framing) {
    if part.bytes.is_empty() {
        return;
    }
    if framing == Framing::Chunked {
        let mut bytes = format!("{:x}\r\n", part.bytes.len()).into_bytes();
        bytes.extend_from_slice(&part.bytes);
        bytes.extend_from_slice(b"\r\n");
        steps.push(Step::Send(bytes));
        return;
    }
    // A plain body follows its head in the same write, as real servers do it.
    match steps.last_mut() {
        Some(Step::Send(last)) if last.len() > 1 => last.extend_from_slice(&part.bytes),
        _ => steps.push(Step::Send(part.bytes.clone())),
    }
}

fn head(answer: &Answer, rule: &Rule, framing: Framing, after: After) -> String {
    let mut head = format!("HTTP/1.1 {} {}\r\n", answer.status, reason(answer.status));
    let fields = answer.headers.iter().chain(&rule.extra_headers);
    for (name, value) in fields {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let sent: usize = answer.parts.iter().map(|part| part.bytes.len()).sum();
    let promised = match answer.early {
        Some(_) => sent + BROKEN_PROMISE_BYTES,
        None => sent,
    };
    match framing {
        Framing::Length => head.push_str(&format!("Content-Length: {promised}\r\n")),
        Framing::LengthOffBy(off) => {
            let told = i64::try_from(promised)
                .unwrap_or(i64::MAX)
                .saturating_add(off)
                .max(0);
            head.push_str(&format!("Content-Length: {told}\r\n"));
        }
        Framing::Chunked => head.push_str("Transfer-Encoding: chunked\r\n"),
        Framing::UntilClose => {}
    }
    head.push_str(match after {
        After::AnnounceClose => "Connection: close\r\n\r\n",
        After::KeepAlive | After::SilentClose => "Connection: keep-alive\r\n\r\n",
    });
    head
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        102 => "Processing",
        103 => "Early Hints",
        200 => "OK",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}
