//! From a request, a rule and a dialect to a reply. Invariant: pure; what a behaviour does not
//! mention is as the good answer has it.

use std::io::Write as _;

use serde_json::{Value, json};

use crate::answer::{Answer, Part, Reply};
use crate::dialect::{self, Asked, Dialect, Events, Kind};
use crate::request::Request;
use crate::script::{After, Behaviour, How, Rule};
use crate::state::Settings;

/// Decides what follows a request.
pub fn reply(request: &Request, rule: &Rule, dialect: Dialect, settings: &Settings) -> Reply {
    let fixed = match &rule.behaviour {
        Behaviour::Hang {} => return Reply::Nothing(How::Silence),
        Behaviour::Close { how } => return Reply::Nothing(*how),
        behaviour => without_asking(behaviour, dialect),
    };
    let mut answer = fixed.unwrap_or_else(|| routed(request, rule, dialect, settings));
    match &rule.behaviour {
        Behaviour::HeadersThenSilence {} => {
            answer.parts.truncate(1);
            answer.early = Some(How::Silence);
            answer.parts.iter_mut().for_each(|part| part.bytes.clear());
        }
        Behaviour::CutBody { after_bytes, how } => {
            answer.early = Some(*how);
            cut_body(&mut answer.parts, *after_bytes);
        }
        Behaviour::Bom {} => {
            if let Some(first) = answer.parts.first_mut() {
                first.bytes.splice(0..0, *b"\xef\xbb\xbf");
            }
        }
        Behaviour::Gzip {} => gzip(&mut answer),
        _ => {}
    }
    Reply::Answer(answer)
}

/// Answers that do not depend on the request.
fn without_asking(behaviour: &Behaviour, dialect: Dialect) -> Option<Answer> {
    match behaviour {
        Behaviour::Status {
            status,
            headers,
            body,
        } => {
            let mut answer = match body {
                Some(Value::String(text)) => Answer::plain(*status, "text/plain", text.as_str()),
                Some(json) => Answer::json(*status, json),
                None => Answer::json(
                    *status,
                    &dialect::error(dialect, *status, "ordered by the script", "scripted"),
                ),
            };
            if headers
                .iter()
                .any(|(n, _)| n.eq_ignore_ascii_case("content-type"))
            {
                answer.headers.clear();
            }
            answer.headers.extend(headers.iter().cloned());
            Some(answer)
        }
        Behaviour::UnknownModel {} => Some(unknown_model("unknown", dialect)),
        Behaviour::HtmlPage {} => Some(Answer::plain(
            200,
            "text/html; charset=utf-8",
            "<!doctype html><html><head><title>Welcome</title></head><body>It works.</body></html>",
        )),
        Behaviour::ErrorWithOk {} => Some(Answer::json(
            200,
            &dialect::error(Dialect::Openai, 500, "the engine has died", "engine_dead"),
        )),
        Behaviour::Redirect { status, location } => {
            Some(Answer::plain(*status, "text/plain", "").with_header("Location", location))
        }
        Behaviour::Raw {
            status,
            content_type,
            parts,
            cut,
        } => {
            let parts = parts.iter().map(|part| Part {
                wait_ms: part.wait_ms,
                bytes: part.bytes(),
            });
            let mut answer = Answer::stream(parts.collect());
            answer.status = *status;
            answer.headers = vec![("Content-Type".to_owned(), content_type.clone())];
            answer.early = *cut;
            Some(answer)
        }
        _ => None,
    }
}

fn unknown_model(model: &str, dialect: Dialect) -> Answer {
    let message = format!("The model `{model}` does not exist.");
    let code = match dialect {
        Dialect::Vllm => "NotFoundError",
        Dialect::Openai | Dialect::LlamaCpp | Dialect::Transformers => "model_not_found",
    };
    Answer::json(404, &dialect::error(dialect, 404, &message, code))
}

fn routed(request: &Request, rule: &Rule, dialect: Dialect, settings: &Settings) -> Answer {
    let refused = |status: u16, message: &str, code: &str| {
        Answer::json(status, &dialect::error(dialect, status, message, code))
    };
    let key_fits = settings.api_key.as_ref().is_none_or(|key| {
        request
            .header("authorization")
            .and_then(|v| v.strip_prefix("Bearer "))
            == Some(key)
    });
    if !key_fits && dialect != Dialect::Transformers {
        return refused(401, "The key is missing or wrong.", "invalid_api_key");
    }
    if let Some(answer) = crate::media::answer(request, &rule.behaviour) {
        return answer;
    }
    let kind = match (request.method.as_str(), request.path.as_str()) {
        ("GET", "/v1/models") => return Answer::json(200, &dialect::models(&settings.models)),
        ("GET", "/health") => return Answer::json(200, &json!({"status": "ok"})),
        ("POST", "/v1/embeddings") => {
            return match request.json() {
                // llama.cpp's server takes an explicit null for a wrong value.
                Some(body)
                    if dialect == Dialect::LlamaCpp
                        && body.get("encoding_format") == Some(&Value::Null) =>
                {
                    refused(
                        400,
                        "encoding_format must be a string",
                        "invalid_request_error",
                    )
                }
                Some(body) => Answer::json(200, &dialect::embeddings(&body)),
                None => refused(400, "The body is not JSON.", "invalid_request_error"),
            };
        }
        ("POST", "/v1/chat/completions") => Kind::Chat,
        ("POST", "/v1/completions") => Kind::Completion,
        _ => return refused(404, "There is no such route.", "not_found"),
    };
    let Some(asked) = Asked::read(kind, request) else {
        return refused(
            400,
            "The body is not a JSON object.",
            "invalid_request_error",
        );
    };
    let strict = matches!(dialect, Dialect::Openai | Dialect::Vllm);
    if strict && !settings.models.contains(&asked.model) {
        return unknown_model(&asked.model, dialect);
    }
    text_answer(&asked, &rule.behaviour, dialect)
}

/// Milliseconds before the first token and between tokens.
fn pace(behaviour: &Behaviour) -> (u64, u64) {
    match behaviour {
        Behaviour::Pace {
            interval_ms,
            first_ms,
            ..
        } => (*first_ms, *interval_ms),
        Behaviour::Cut { interval_ms, .. } => (0, *interval_ms),
        _ => (0, 0),
    }
}

fn text_answer(asked: &Asked, behaviour: &Behaviour, dialect: Dialect) -> Answer {
    let (tokens, finish) = match behaviour {
        Behaviour::Pace {
            chunks,
            chunk_chars,
            ..
        } => (numbered_tokens(*chunks, *chunk_chars), "stop"),
        // A cut after n chunks needs n + 1 of them, so that half a frame can follow.
        Behaviour::Cut { after_chunks, .. } => (numbered_tokens(after_chunks + 4, 0), "stop"),
        _ => dialect::usual_tokens(asked),
    };
    let (first_ms, interval_ms) = pace(behaviour);
    let streaming = match behaviour {
        Behaviour::JsonForStream {} => false,
        Behaviour::SseForPlain {} => true,
        _ => asked.stream,
    };
    if !streaming {
        let mut body = dialect::whole(dialect, asked, &tokens, finish);
        if *behaviour == (Behaviour::NullChoices {}) {
            null_choices(&mut body);
        }
        let mut answer = Answer::json(200, &body);
        let gaps = (tokens.len() as u64).saturating_sub(1);
        answer
            .parts
            .iter_mut()
            .for_each(|part| part.wait_ms = first_ms + interval_ms * gaps);
        match behaviour {
            Behaviour::InvalidJson { .. } => answer.replace_body(b"{\"choices\": [".to_vec()),
            Behaviour::BrokenUtf8 { .. } => {
                let broken = with_broken_byte(answer.body());
                answer.replace_body(broken);
            }
            _ => {}
        }
        return answer;
    }
    let dialect = match behaviour {
        Behaviour::UsageWithFinish {} => Dialect::Transformers,
        _ => dialect,
    };
    let events = dialect::events(dialect, asked, &tokens, finish);
    let mut answer = stream(events, behaviour, (first_ms, interval_ms));
    if dialect == Dialect::LlamaCpp {
        answer.after = After::SilentClose;
    }
    answer
}

fn numbered_tokens(count: u32, chars: usize) -> Vec<String> {
    (0..count)
        .map(|number| {
            let word = format!("w{number}");
            let padding = chars.saturating_sub(word.len() + 1);
            format!("{word}{} ", "x".repeat(padding))
        })
        .collect()
}

fn null_choices(value: &mut Value) {
    if let Some(object) = value.as_object_mut() {
        object.insert("choices".to_owned(), Value::Null);
    }
}

/// Puts 0xFF, which UTF-8 never uses, into the middle.
fn with_broken_byte(mut bytes: Vec<u8>) -> Vec<u8> {
    let middle = bytes.len() / 2;
    bytes.insert(middle, 0xff);
    bytes
}

fn frame(data: &str, line_end: &str) -> Vec<u8> {
    format!("data: {data}{line_end}{line_end}").into_bytes()
}

fn stream(events: Events, behaviour: &Behaviour, (first_ms, interval_ms): (u64, u64)) -> Answer {
    let line_end = match behaviour {
        Behaviour::CrLines {} => "\r",
        Behaviour::CrlfLines {} => "\r\n",
        _ => "\n",
    };
    let part = |data: &str| Part {
        wait_ms: 0,
        bytes: frame(data, line_end),
    };
    let mut parts: Vec<Part> = events.first.iter().map(|e| part(&e.to_string())).collect();
    let mut ended = None;
    for (at, event) in (0_u32..).zip(&events.content) {
        let mut next = part(&event.to_string());
        next.wait_ms = if at == 0 { first_ms } else { interval_ms };
        match behaviour {
            Behaviour::Cut {
                after_chunks,
                how,
                half_frame,
                ..
            } if *after_chunks == at => {
                if *half_frame {
                    next.bytes.truncate(next.bytes.len() / 2);
                    parts.push(next);
                }
                ended = Some(*how);
                break;
            }
            Behaviour::InvalidJson { at: wanted } if *wanted == at => {
                next.bytes = frame("{\"choices\":[{\"delta\":", line_end);
            }
            Behaviour::BrokenUtf8 { at: wanted } if *wanted == at => {
                next.bytes = broken_token(&next.bytes);
            }
            Behaviour::EmptyData { at: wanted } if *wanted == at => {
                parts.push(part(""));
            }
            Behaviour::GiantEvent { bytes } if at == 0 => {
                let text = "y".repeat(*bytes);
                let giant = event.to_string().replace("Hello", &text);
                next.bytes = frame(&giant, line_end);
            }
            Behaviour::NullChoices {} if at == 0 => {
                let mut broken = event.clone();
                null_choices(&mut broken);
                next.bytes = frame(&broken.to_string(), line_end);
            }
            Behaviour::ErrorEvent { at: wanted } if *wanted == at => {
                let error = dialect::error(Dialect::Openai, 500, "the engine has died", "dead");
                next.bytes = frame(&error.to_string(), line_end);
                parts.push(next);
                return Answer::stream(parts);
            }
            _ => {}
        }
        parts.push(next);
    }
    if ended.is_none() {
        parts.extend(events.last.iter().map(|event| part(&event.to_string())));
        if events.done && *behaviour != (Behaviour::NoDone {}) {
            parts.push(part("[DONE]"));
        }
        if *behaviour == (Behaviour::AfterDone {}) {
            let late = events.content.first().map(Value::to_string);
            parts.extend(late.iter().map(|event| part(event)));
            parts.push(part("{\"error\":{\"message\":\"after the end\"}}"));
        }
    }
    let mut answer = Answer::stream(parts);
    answer.early = ended;
    answer
}

/// Puts 0xFF, which no UTF-8 text holds, in front of the token's own text.
fn broken_token(bytes: &[u8]) -> Vec<u8> {
    let mark = b"\"content\":\"";
    let at = bytes
        .windows(mark.len())
        .position(|window| window == mark)
        .map_or(bytes.len() / 2, |start| start + mark.len());
    let mut broken = bytes.to_vec();
    broken.insert(at, 0xff);
    broken
}

fn cut_body(parts: &mut Vec<Part>, after_bytes: usize) {
    let mut left = after_bytes;
    for part in parts.iter_mut() {
        part.bytes.truncate(left);
        left -= part.bytes.len();
    }
    parts.retain(|part| !part.bytes.is_empty());
}

fn gzip(answer: &mut Answer) {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let written = encoder.write_all(&answer.body());
    if let (Ok(()), Ok(bytes)) = (written, encoder.finish()) {
        answer.replace_body(bytes);
        answer
            .headers
            .push(("Content-Encoding".to_owned(), "gzip".to_owned()));
    }
}
