//! What a client read as a stream, judged line by line.

use super::World;
use super::situations::Situation;
use super::upstreams::contains;

const WHOLE: &str = "an answer is complete only if the server sent all of it";

impl World {
    /// Judges a stream at its end.
    pub fn judge_transcript(&mut self, who: usize) {
        let client = &self.around.clients[who];
        let bytes = client.transcript.clone();
        let include_usage = client.include_usage;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (mut done, mut error, mut counts) = (false, false, false);
        for line in text.lines() {
            let Some(data) = line.strip_prefix("data: ") else {
                continue;
            };
            if done {
                return self.violate(
                    "nothing follows [DONE]",
                    format!("client {who} read {text}"),
                );
            }
            if data == "[DONE]" {
                if error {
                    return self.violate(
                        "no [DONE] after an error",
                        format!("client {who} read {text}"),
                    );
                }
                done = true;
                continue;
            }
            let Ok(json) = serde_json::from_str::<serde_json::Value>(data) else {
                return self.violate(
                    "a stream is events of JSON",
                    format!("client {who} read {data}"),
                );
            };
            error |= json.get("error").is_some();
            counts |= json
                .get("choices")
                .and_then(serde_json::Value::as_array)
                .is_some_and(Vec::is_empty);
        }
        if !done && !error {
            return self.violate(
                "a stream never ends in silence",
                format!("client {who} read {text}"),
            );
        }
        if counts && !include_usage {
            return self.violate(
                "a chunk that nobody asked for is hidden",
                format!("client {who} read {text}"),
            );
        }
        let mut sources = text
            .split(|letter: char| !letter.is_ascii_alphanumeric())
            .filter(|part| is_word(part))
            .collect::<Vec<_>>();
        let heard = sources.len();
        sources.sort_unstable();
        sources.dedup();
        if sources.len() > 1 {
            return self.violate(
                "a client hears one server",
                format!("client {who} heard {sources:?}"),
            );
        }
        let Some((number, upstream)) = self.source(who, &bytes) else {
            if done {
                self.violate(WHOLE, format!("client {who} read {text}"));
            }
            return;
        };
        let (finished, words, fell_silent) = (
            upstream.finished,
            upstream.words,
            upstream.script.is_empty() && !upstream.ended,
        );
        if done {
            if !finished {
                return self.violate(
                    WHOLE,
                    format!("client {who} got [DONE] of {number}, which was not finished: {text}"),
                );
            }
            if include_usage && !counts {
                return self.violate(
                    "a client gets the counts it asked for",
                    format!("client {who} read {text}"),
                );
            }
            if heard < words {
                return self.violate(
                    WHOLE,
                    format!("client {who} heard {heard} of {words} words of {number}"),
                );
            }
            self.met(Situation::Streamed);
        } else if fell_silent && !finished && contains(&bytes, b"error") {
            self.met(Situation::StalledStream);
        }
    }
}

fn is_word(part: &str) -> bool {
    let number = part
        .strip_prefix('w')
        .and_then(|rest| rest.strip_suffix('x'));
    number.is_some_and(|number| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}
