//! The whole response that a stream ends with, for a request that did not ask for a stream.

use crate::endpoint::Endpoint;
use crate::members::walk_object;

/// The `response` of the last event, where a server streams what was to be one answer: transformers serve
/// does unless `stream` is false in so many words.
pub(super) fn whole_response(endpoint: Endpoint, text: &str) -> Option<&str> {
    if endpoint != Endpoint::Responses || text.trim_start().starts_with('{') {
        return None;
    }
    let last = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(str::trim)
        .rfind(|data| !data.is_empty() && *data != "[DONE]")?;
    let (mut kind, mut response) = ("", None);
    walk_object(last, |member| match &*member.name {
        "type" => kind = member.value.get(),
        "response" => response = Some(member.value.get()),
        _ => {}
    })
    .ok()?;
    let is_last = [
        r#""response.completed""#,
        r#""response.incomplete""#,
        r#""response.failed""#,
        r#""response.cancelled""#,
    ]
    .contains(&kind);
    response.filter(|_| is_last)
}

#[cfg(test)]
mod tests {
    use super::{Endpoint, whole_response};

    #[test]
    fn the_last_event_holds_the_response() {
        let stream = "data: {\"type\":\"response.created\",\"response\":{}}\n\nevent: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"output\":[]}}\n\n";
        assert_eq!(
            whole_response(Endpoint::Responses, stream),
            Some("{\"output\":[]}")
        );
        let done = stream.to_owned() + "data: [DONE]\n\n";
        assert_eq!(
            whole_response(Endpoint::Responses, &done),
            Some("{\"output\":[]}")
        );
        assert_eq!(whole_response(Endpoint::Chat, stream), None);
    }

    #[test]
    fn a_stream_without_its_end_holds_none() {
        for stream in [
            "",
            "data: [DONE]\n\n",
            "data: {\"type\":\"response.created\",\"response\":{\"output\":[]}}\n\n",
            "data: {\"type\":\"response.completed\"",
            "{\"output\":[]}",
        ] {
            assert_eq!(
                whole_response(Endpoint::Responses, stream),
                None,
                "{stream}"
            );
        }
    }
}
