//! The response object as its specification has it, whatever engine wrote it.
//!
//! Engines leave out most of what they were told in the request, and much of what is null. Clients that check
//! the shape refuse such an answer, so what is missing is filled in: from the request where it said so, else
//! with the specification's default. What is there is never changed, but for the response's own id where
//! that must lead back to its server.
//!
//! The required members: <https://www.openresponses.org/reference> (`ResponseResource`); defaults of the
//! request: <https://platform.openai.com/docs/api-reference/responses/create>.

use std::borrow::Cow;

use crate::members::{span_in, walk_list, walk_object};

#[cfg(test)]
mod tests;

/// What to fill a response with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResponseShape {
    /// Goes behind the ids of responses.
    tag: Option<String>,
    members: Vec<(&'static str, String)>,
}

/// A required member that has a default: its name, whether the request may say it, the default.
const REQUIRED: [(&str, bool, &str); 27] = [
    ("object", false, r#""response""#),
    ("completed_at", false, "null"),
    ("incomplete_details", false, "null"),
    ("previous_response_id", true, "null"),
    ("instructions", true, "null"),
    ("output", false, "[]"),
    ("error", false, "null"),
    ("tools", true, "[]"),
    ("tool_choice", true, r#""auto""#),
    ("truncation", true, r#""disabled""#),
    ("parallel_tool_calls", true, "true"),
    ("text", true, r#"{"format":{"type":"text"}}"#),
    ("top_p", true, "1"),
    ("presence_penalty", true, "0"),
    ("frequency_penalty", true, "0"),
    ("top_logprobs", true, "0"),
    ("temperature", true, "1"),
    ("reasoning", true, "null"),
    ("usage", false, "null"),
    ("max_output_tokens", true, "null"),
    ("max_tool_calls", true, "null"),
    ("store", true, "true"),
    ("background", true, "false"),
    ("service_tier", true, r#""default""#),
    ("metadata", true, "{}"),
    ("safety_identifier", true, "null"),
    ("prompt_cache_key", true, "null"),
];

const TEXT: [(&str, &str); 1] = [("format", r#"{"type":"text"}"#)];
const REASONING: [(&str, &str); 2] = [("effort", "null"), ("summary", "null")];
const FUNCTION: [(&str, &str); 3] = [
    ("description", "null"),
    ("parameters", "null"),
    ("strict", "null"),
];
const USAGE: [(&str, &str); 2] = [
    ("input_tokens_details", r#"{"cached_tokens":0}"#),
    ("output_tokens_details", r#"{"reasoning_tokens":0}"#),
];

impl ResponseShape {
    /// What the answer to this request is filled with. `created_at` in seconds since 1970; `tag` goes
    /// behind the ids of responses.
    pub fn of_request(body: &[u8], created_at: u64, tag: Option<String>) -> Self {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let mut members: Vec<(&'static str, String)> = REQUIRED
            .iter()
            .map(|(name, _, default)| (*name, (*default).to_owned()))
            .collect();
        members.push(("created_at", created_at.to_string()));
        // A body that is no object was refused before.
        let _no_object = walk_object(text, |member| {
            let raw = member.value.get();
            if raw == "null" {
                return;
            }
            if member.name == "model" {
                members.push(("model", raw.to_owned()));
                return;
            }
            let is_said = |(name, said, _): &(&str, bool, &str)| *said && *name == member.name;
            let Some(at) = REQUIRED.iter().position(is_said) else {
                return;
            };
            let told = match &*member.name {
                "text" => filled(raw, &TEXT),
                "reasoning" => filled(raw, &REASONING),
                "tools" => tools(raw),
                // What was used, where the request left the choice.
                "service_tier" if raw == r#""auto""# => Some(r#""default""#.to_owned()),
                _ => None,
            };
            if let Some((_, value)) = members.get_mut(at) {
                *value = told.unwrap_or_else(|| raw.to_owned());
            }
        });
        Self { tag, members }
    }

    /// The same where no request is known: a response that was stored before.
    pub fn of_stored(tag: Option<String>) -> Self {
        let defaults = REQUIRED.iter();
        Self {
            tag,
            members: defaults
                .map(|(name, _, default)| (*name, (*default).to_owned()))
                .collect(),
        }
    }

    /// A response object with what it lacks; `None` when it lacks nothing, or is no response object.
    pub fn complete(&self, response: &str) -> Option<String> {
        let mut names = Vec::new();
        let mut splices: Vec<(std::ops::Range<usize>, String)> = Vec::new();
        let mut is_deletion = false;
        let mut is_other = false;
        walk_object(response, |member| {
            let raw = member.value.get();
            let span = span_in(response, raw);
            match &*member.name {
                "id" | "previous_response_id" => {
                    splices.extend(self.tagged(raw).map(|text| (span, text)));
                }
                "usage" => splices.extend(filled(raw, &USAGE).map(|text| (span, text))),
                "deleted" => is_deletion = true,
                "object" => is_other = raw == r#""list""#,
                _ => {}
            }
            names.push(member.name);
        })
        .ok()?;
        if is_other {
            return None;
        }
        let lacking = self
            .members
            .iter()
            .filter(|(name, _)| !is_deletion && !names.iter().any(|there| there == name))
            .map(|(name, value)| (*name, value.as_str()));
        let added = members_text(lacking, names.is_empty());
        if added.is_empty() && splices.is_empty() {
            return None;
        }
        let end = response.rfind('}')?;
        splices.push((end..end, added));
        let mut out = String::with_capacity(response.len().saturating_add(1024));
        let mut copied = 0;
        for (span, text) in splices {
            out.push_str(response.get(copied..span.start)?);
            out.push_str(&text);
            copied = span.end;
        }
        out.push_str(response.get(copied..)?);
        Some(out)
    }

    /// The same for the body of a plain answer.
    pub fn complete_answer(&self, body: &[u8]) -> Option<Vec<u8>> {
        let completed = self.complete(std::str::from_utf8(body).ok()?)?;
        Some(completed.into_bytes())
    }

    /// A string with the tag in front of its closing quote.
    fn tagged(&self, raw: &str) -> Option<String> {
        let open = raw.strip_prefix('"').and(raw.strip_suffix('"'))?;
        Some([open, self.tag.as_deref()?, "\""].concat())
    }
}

/// An object with the members that it lacks; `None` for one that lacks none, and for anything else.
fn filled(object: &str, defaults: &[(&'static str, &'static str)]) -> Option<String> {
    let mut names: Vec<Cow<'_, str>> = Vec::new();
    walk_object(object, |member| names.push(member.name)).ok()?;
    let lacking = defaults
        .iter()
        .filter(|(name, _)| !names.iter().any(|there| there == name))
        .copied();
    let added = members_text(lacking, names.is_empty());
    if added.is_empty() {
        return None;
    }
    let open = object.trim_end().strip_suffix('}')?;
    Some([open, &added, "}"].concat())
}

/// A request may leave out what a response's functions must have.
fn tools(list: &str) -> Option<String> {
    let mut out = Vec::new();
    walk_list(list, |tool| {
        let raw = tool.get();
        let mut is_function = false;
        let _other_shape = walk_object(raw, |member| {
            is_function |= member.name == "type" && member.value.get() == r#""function""#;
        });
        let told = is_function.then(|| filled(raw, &FUNCTION)).flatten();
        out.push(told.map_or(Cow::Borrowed(raw), Cow::Owned));
    })
    .ok()?;
    Some(format!("[{}]", out.join(",")))
}

fn members_text<'a>(members: impl Iterator<Item = (&'a str, &'a str)>, is_bare: bool) -> String {
    let mut out = String::new();
    for (name, value) in members {
        let comma = if out.is_empty() && is_bare { "" } else { "," };
        out.extend([comma, "\"", name, "\":", value]);
    }
    out
}
