//! W3C trace context: whether a `traceparent` is one, and which trace it belongs to.
//!
//! A valid one goes on to the server as it came, `tracestate` with it; an invalid one is dropped with its
//! state, as the standard asks of everybody who does not take part in a trace.
//! Source: <https://www.w3.org/TR/trace-context/#traceparent-header>.

use crate::request::Head;

/// Headers that only go on beside a valid `traceparent`.
pub const HEADERS: [&str; 2] = ["traceparent", "tracestate"];

/// The trace id of a request, 32 hexadecimal digits.
pub fn id(head: &Head) -> Option<String> {
    let mut all = head
        .headers
        .iter()
        .filter(|(name, _)| name == "traceparent");
    let (_, value) = all.next()?;
    // Two of them contradict each other, or are one that somebody has doubled.
    if all.next().is_some() {
        return None;
    }
    read(value).map(str::to_owned)
}

fn read(value: &str) -> Option<&str> {
    let (version, rest) = value.split_once('-')?;
    let (trace, rest) = rest.split_once('-')?;
    let (parent, rest) = rest.split_once('-')?;
    let (flags, more) = match rest.split_once('-') {
        Some((flags, _)) => (flags, true),
        None => (rest, false),
    };
    let is_whole =
        is_hex(version, 2) && is_hex(trace, 32) && is_hex(parent, 16) && is_hex(flags, 2);
    // A later version may append fields; the first may not, and `ff` is none.
    let is_version = version != "ff" && (version != "00" || !more);
    let is_somebody = |id: &str| id.bytes().any(|byte| byte != b'0');
    (is_whole && is_version && is_somebody(trace) && is_somebody(parent)).then_some(trace)
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length
        && text
            .bytes()
            .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";

    #[test]
    fn a_valid_parent_names_its_trace() {
        for value in [
            format!("00-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-b7ad6b7169203331-00"),
            format!("cc-{TRACE}-b7ad6b7169203331-01"),
            format!("cc-{TRACE}-b7ad6b7169203331-01-what-the-future-brings"),
        ] {
            assert_eq!(read(&value), Some(TRACE), "{value}");
        }
    }

    #[test]
    fn anything_else_names_none() {
        let zeros = "0".repeat(32);
        for value in [
            String::new(),
            "rubbish".to_owned(),
            TRACE.to_owned(),
            format!("00-{TRACE}-b7ad6b7169203331"),
            format!("00-{TRACE}-b7ad6b7169203331-01-more"),
            format!("00-{TRACE}-b7ad6b7169203331-01 "),
            format!("ff-{TRACE}-b7ad6b7169203331-01"),
            format!("0-{TRACE}-b7ad6b7169203331-01"),
            format!("00-{zeros}-b7ad6b7169203331-01"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{}-b7ad6b7169203331-01", TRACE.to_uppercase()),
            format!("00-{TRACE}-b7ad6b7169203331-01, 00-{TRACE}-b7ad6b7169203331-01"),
        ] {
            assert_eq!(read(&value), None, "{value}");
        }
    }

    #[test]
    fn two_parents_are_none() {
        let one = (
            "traceparent".to_owned(),
            format!("00-{TRACE}-b7ad6b7169203331-01"),
        );
        let mut head = Head {
            headers: vec![one.clone()],
            ..Head::default()
        };
        assert_eq!(id(&head).as_deref(), Some(TRACE));
        head.headers.push(one);
        assert_eq!(id(&head), None);
    }
}
