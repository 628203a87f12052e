//! A modelled server: what it does with a request, as a script of delays and bytes.
//!
//! In scope: every way in which servers were seen to misbehave. Out of scope: TCP.

use tidegate_edge::effect::BodyEnd;

use crate::rng::Rng;

/// How a server behaves for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// As it should.
    Well,
    /// Takes seconds to its first token.
    Slow,
    /// Takes the request and never says anything.
    Hang,
    /// Refuses connections; checks fail too.
    Down,
    /// Breaks the connection before or right after the headers.
    Reset,
    /// Breaks or ends streams before their end.
    Cut,
    /// Falls silent in the middle.
    Stall,
    /// Status 500.
    Broken,
    /// Status 429 or 503.
    Busy,
    /// Not what the protocol allows.
    Rubbish,
    /// Answers well while its checks fail.
    ChecksFail,
    /// Anything of the above, request by request.
    Any,
    /// Well and down in turns of three seconds.
    Flapping,
}

const ANY: [Mode; 10] = [
    Mode::Well,
    Mode::Well,
    Mode::Slow,
    Mode::Hang,
    Mode::Reset,
    Mode::Cut,
    Mode::Stall,
    Mode::Broken,
    Mode::Busy,
    Mode::Rubbish,
];

impl Mode {
    /// What it comes to for one request at this time.
    pub fn now(self, rng: &mut Rng, at_ms: i64) -> Self {
        match self {
            Self::Any => rng.pick(&ANY),
            Self::Flapping if (at_ms / 3_000) % 2 == 0 => Self::Down,
            Self::Flapping | Self::ChecksFail => Self::Well,
            mode => mode,
        }
    }

    /// Whether a health check finds the server well.
    pub const fn passes_checks(self, at_ms: i64) -> bool {
        match self {
            Self::Down | Self::Hang | Self::ChecksFail => false,
            Self::Flapping => (at_ms / 3_000) % 2 != 0,
            _ => true,
        }
    }
}

/// One move of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Move {
    /// Status and header lines.
    Headers(u16, Vec<(String, String)>),
    /// Bytes of a stream.
    Chunk(Vec<u8>),
    /// The last bytes of a whole answer were sent: from here on the client may be told all is well.
    Finished,
    /// A whole body.
    Whole(Vec<u8>),
    /// The body, or the connection, ends.
    End(BodyEnd),
}

/// Moves, each with the milliseconds before it. One that does not end says nothing more for ever.
pub type Script = Vec<(i64, Move)>;

/// What the server will do.
pub fn script(rng: &mut Rng, mode: Mode, stream: bool, word: &str) -> Script {
    let first = rng.range(20, 250);
    match mode {
        Mode::Down => vec![(rng.range(1, 20), Move::End(BodyEnd::Broken))],
        Mode::Hang => {
            let headers = (rng.range(5, 50), headers(200, "text/event-stream"));
            if stream && rng.chance(300) {
                vec![headers]
            } else {
                Vec::new()
            }
        }
        Mode::Reset if rng.chance(600) => vec![(first, Move::End(BodyEnd::Broken))],
        Mode::Reset => {
            let kind = if stream {
                "text/event-stream"
            } else {
                "application/json"
            };
            vec![(first, headers(200, kind)), (5, Move::End(BodyEnd::Broken))]
        }
        Mode::Broken => {
            let status = rng.pick(&[500, 500, 502]);
            error(stream, first, status, None)
        }
        Mode::Busy => {
            let pause = rng.pick(&[
                None,
                Some("1"),
                Some("2"),
                Some("4"),
                Some("0"),
                Some("soon"),
            ]);
            let status = rng.pick(&[429, 503]);
            error(stream, first, status, pause)
        }
        Mode::Rubbish => rubbish(rng, stream, first, word),
        Mode::Slow => answer(rng, stream, (rng_slow(first), 150), word),
        Mode::Cut => cut(rng, stream, first, word),
        Mode::Stall => {
            let mut moves = answer(rng, stream, (first, 100), word);
            let keep = if stream { rng_keep(moves.len()) } else { 1 };
            moves.truncate(keep);
            moves
        }
        Mode::Well | Mode::ChecksFail | Mode::Any | Mode::Flapping => {
            // Now and then one that lives through renewals.
            let gap = if stream && rng.chance(30) {
                rng.range(1_500, 4_000)
            } else {
                rng.range(10, 300)
            };
            answer(rng, stream, (first, gap), word)
        }
    }
}

const fn rng_slow(first: i64) -> i64 {
    // 0.5 to 5 s: beyond the usual delay of a race, some beyond the first-token limit.
    500 + (first * 97) % 4_500
}

const fn rng_keep(moves: usize) -> usize {
    // Headers and a few chunks, at least one of them with a word.
    if moves > 5 { 5 } else { 2 }
}

fn headers(status: u16, kind: &str) -> Move {
    let lines = vec![
        ("content-type".to_owned(), kind.to_owned()),
        ("server".to_owned(), "model".to_owned()),
    ];
    Move::Headers(status, lines)
}

fn body(stream: bool, bytes: Vec<u8>) -> Script {
    if stream {
        vec![(1, Move::Chunk(bytes)), (1, Move::End(BodyEnd::Eof))]
    } else {
        vec![(1, Move::Whole(bytes))]
    }
}

fn error(stream: bool, first: i64, status: u16, retry_after: Option<&str>) -> Script {
    let Move::Headers(_, mut lines) = headers(status, "application/json") else {
        return Vec::new();
    };
    lines.extend(retry_after.map(|pause| ("retry-after".to_owned(), pause.to_owned())));
    let mut moves = vec![(first, Move::Headers(status, lines))];
    moves.extend(body(
        stream,
        br#"{"error":{"message":"not now","type":"server_error"}}"#.to_vec(),
    ));
    moves
}

fn rubbish(rng: &mut Rng, stream: bool, first: i64, word: &str) -> Script {
    let page = b"<html><body>It works!</body></html>".to_vec();
    let mut moves = match rng.index(4) {
        0 => vec![(first, headers(200, "text/html"))],
        1 if stream => {
            let mut moves = vec![
                (first, headers(200, "text/event-stream")),
                (1, Move::Chunk(chunk(word))),
            ];
            moves.push((
                1,
                Move::Chunk(b"data: {\"choices\":[{\"delta\":{\"con\n\n".to_vec()),
            ));
            moves.push((1, Move::End(BodyEnd::Eof)));
            return moves;
        }
        2 if stream => {
            let fault =
                b"data: {\"error\":{\"message\":\"CUDA out of memory\",\"code\":500}}\n\n".to_vec();
            return vec![
                (first, headers(200, "text/event-stream")),
                (1, Move::Chunk(fault)),
                (1, Move::End(BodyEnd::Eof)),
            ];
        }
        3 if !stream => {
            return vec![
                (first, headers(200, "application/json")),
                (1, Move::End(BodyEnd::TooLarge)),
            ];
        }
        _ => vec![(first, headers(302, "text/html"))],
    };
    moves.extend(body(stream, page));
    moves
}

fn cut(rng: &mut Rng, stream: bool, first: i64, word: &str) -> Script {
    let end = if rng.chance(500) {
        BodyEnd::Broken
    } else {
        BodyEnd::Eof
    };
    let mut moves = answer(rng, stream, (first, 60), word);
    if stream {
        // Somewhere before the chunk that says why the model stopped.
        let finish = moves
            .iter()
            .position(|(_, step)| *step == Move::Finished)
            .unwrap_or(2);
        moves.truncate(
            usize::try_from(rng.range(2, i64::try_from(finish).unwrap_or(3) - 3))
                .unwrap_or(2)
                .max(2),
        );
        moves.push((20, Move::End(end)));
    } else {
        moves.truncate(1);
        moves.push((20, Move::End(BodyEnd::Broken)));
    }
    moves
}

fn answer(rng: &mut Rng, stream: bool, (first, gap): (i64, i64), word: &str) -> Script {
    if !stream {
        let whole = format!(
            r#"{{"id":"a","object":"chat.completion","created":1,"model":"m","choices":[{{"index":0,"message":{{"role":"assistant","content":"{word}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":5,"completion_tokens":3,"total_tokens":8}}}}"#
        );
        let after = first + gap;
        return vec![
            (after, headers(200, "application/json")),
            (1, Move::Finished),
            (1, Move::Whole(whole.into_bytes())),
        ];
    }
    let mut moves = vec![(first / 2, headers(200, "text/event-stream; charset=utf-8"))];
    let role = event(
        r#"{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}"#,
        "",
    );
    moves.push((first / 2, Move::Chunk(role)));
    for _ in 0..rng.range(4, 9) {
        let bytes = chunk(word);
        if rng.chance(250) {
            let at = rng.index(bytes.len() - 1) + 1;
            moves.push((gap, Move::Chunk(bytes[..at].to_vec())));
            moves.push((rng.range(0, 20), Move::Chunk(bytes[at..].to_vec())));
        } else {
            moves.push((gap, Move::Chunk(bytes)));
        }
    }
    let stop = event(r#"{"index":0,"delta":{},"finish_reason":"stop"}"#, "");
    moves.push((gap, Move::Chunk(stop)));
    let counts = r#","usage":{"prompt_tokens":5,"completion_tokens":7,"total_tokens":12}"#;
    let mut last = event("", counts);
    last.extend_from_slice(b"data: [DONE]\n\n");
    moves.push((1, Move::Finished));
    moves.push((1, Move::Chunk(last)));
    moves.push((2, Move::End(BodyEnd::Eof)));
    moves
}

fn chunk(word: &str) -> Vec<u8> {
    event(
        &format!(r#"{{"index":0,"delta":{{"content":"{word} "}},"finish_reason":null}}"#),
        "",
    )
}

fn event(choice: &str, more: &str) -> Vec<u8> {
    format!(
        "data: {{\"id\":\"c\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"m\",\"choices\":[{choice}]{more}}}\n\n"
    )
    .into_bytes()
}
