//! What a key has left, as response headers: those that OpenAI's SDKs read, and beside them the ones that are
//! becoming everybody's (<https://datatracker.ietf.org/doc/draft-ietf-httpapi-ratelimit-headers/>).
//!
//! Invariant: an answer that says when to come back says the same in each of them.

use tidegate_durable::bindings::key::KeyWindows;

/// The span that limits of requests and tokens speak of, in seconds.
const WINDOW_SECONDS: u32 = 60;

/// A refusal's limit and its wait in milliseconds.
pub type Pause<'a> = Option<(&'a str, u64)>;

/// The lines for these windows; none without limits.
pub fn lines(windows: &KeyWindows, pause: Pause<'_>) -> Vec<(String, String)> {
    let mut lines = Vec::new();
    let (mut policies, mut states) = (Vec::new(), Vec::new());
    for (name, window) in [("requests", windows.requests), ("tokens", windows.tokens)] {
        let Some(window) = window else { continue };
        let wait = pause.filter(|(limit, _)| *limit == name);
        let wait_ms = wait.map_or(window.reset_ms, |(_, ms)| ms);
        let mut line = |what: &str, value: String| {
            lines.push((format!("x-ratelimit-{what}-{name}"), value));
        };
        line("limit", window.limit.to_string());
        line("remaining", window.remaining.to_string());
        line("reset", format!("{}ms", window.reset_ms));
        policies.push(format!(r#""{name}";q={};w={WINDOW_SECONDS}"#, window.limit));
        let seconds = wait_ms.div_ceil(1000);
        states.push(format!(r#""{name}";r={};t={seconds}"#, window.remaining));
    }
    if !states.is_empty() {
        lines.push(("ratelimit-policy".to_owned(), policies.join(", ")));
        lines.push(("ratelimit".to_owned(), states.join(", ")));
    }
    lines
}

#[cfg(test)]
mod tests {
    use tidegate_durable::bindings::key::Window;

    use super::*;

    fn window(limit: u64, remaining: u64, reset_ms: u64) -> Option<Window> {
        Some(Window {
            limit,
            remaining,
            reset_ms,
        })
    }

    #[test]
    fn both_families_of_headers_say_the_same() {
        let windows = KeyWindows {
            requests: window(60, 0, 59_001),
            tokens: window(1000, 990, 200),
        };
        let lines = lines(&windows, Some(("requests", 2_500)));
        let line = |name: &str| {
            let found = lines.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.as_str())
        };
        assert_eq!(lines.len(), 8);
        assert_eq!(line("x-ratelimit-limit-requests"), Some("60"));
        assert_eq!(line("x-ratelimit-remaining-tokens"), Some("990"));
        assert_eq!(line("x-ratelimit-reset-requests"), Some("59001ms"));
        assert_eq!(
            line("ratelimit-policy"),
            Some(r#""requests";q=60;w=60, "tokens";q=1000;w=60"#)
        );
        assert_eq!(
            line("ratelimit"),
            Some(r#""requests";r=0;t=3, "tokens";r=990;t=1"#),
            "as long as `Retry-After`"
        );
    }

    #[test]
    fn a_key_without_windows_has_no_lines() {
        assert_eq!(lines(&KeyWindows::default(), None), []);
        assert_eq!(
            lines(&KeyWindows::default(), Some(("concurrency", 1000))),
            []
        );
    }
}
