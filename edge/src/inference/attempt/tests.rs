use super::*;

fn stream() -> Attempt {
    let mut attempt = Attempt::new(0, Endpoint::Chat, true, None);
    attempt.headers(
        200,
        &[(
            "content-type".into(),
            "text/event-stream; charset=utf-8".into(),
        )],
    );
    attempt
}

const ROLE: &[u8] =
    b"data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n";
const WORD: &[u8] = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"}}]}\n\n";

#[test]
fn a_stream_speaks_with_its_first_token_and_not_with_its_role() {
    let mut attempt = stream();
    assert_eq!(
        attempt.chunk(ROLE, false),
        (Passed::Held, Standing::Waiting)
    );
    assert_eq!(
        attempt.chunk(WORD, false),
        (Passed::Held, Standing::Speaking)
    );
    assert_eq!(attempt.held, [ROLE, WORD].concat());
    assert_eq!(
        attempt.chunk(WORD, true),
        (Passed::Untouched, Standing::Speaking)
    );
}

#[test]
fn an_aborted_stream_is_counted_by_what_was_sent() {
    let mut attempt = stream();
    let _ = attempt.chunk(ROLE, true);
    assert_eq!(attempt.tokens(7), (0, 0));
    let _ = attempt.chunk(WORD, true);
    let _ = attempt.chunk(WORD, true);
    assert_eq!(attempt.tokens(7), (7, 2));
}

#[test]
fn a_cut_stream_ends_with_an_error_event_and_no_done() {
    let mut attempt = stream();
    let _ = attempt.chunk(WORD, true);
    assert_eq!(
        attempt.end(BodyEnd::Broken),
        Standing::Over(failure(FailureKind::CutStream))
    );
    let text = String::from_utf8(attempt.held).unwrap();
    assert!(
        text.starts_with("data: {\"error\":") && !text.contains("[DONE]"),
        "{text}"
    );
}

#[test]
fn no_headers_is_a_transport_failure() {
    let mut attempt = Attempt::new(0, Endpoint::Chat, true, None);
    assert_eq!(
        attempt.end(BodyEnd::Broken),
        Standing::Over(failure(FailureKind::Transport))
    );
}

#[test]
fn statuses_are_read_as_the_breaker_should_see_them() {
    let judge = |status: u16, body: &str| {
        let mut attempt = Attempt::new(0, Endpoint::Chat, true, None);
        attempt.headers(status, &[("retry-after".into(), "7".into())]);
        attempt.whole(body.as_bytes())
    };
    assert_eq!(
        judge(400, r#"{"error":{"message":"no"}}"#),
        Outcome::ClientError(400)
    );
    assert_eq!(judge(404, r#"{"detail":"no"}"#), Outcome::ClientError(404));
    let pause = Some(Span::from_secs(7));
    assert_eq!(
        judge(429, "{}"),
        Outcome::Backpressure {
            status: 429,
            retry_after: pause
        }
    );
    assert_eq!(
        judge(503, "busy"),
        Outcome::Backpressure {
            status: 503,
            retry_after: pause
        }
    );
    assert_eq!(judge(500, "boom"), failure(FailureKind::Http5xx(500)));
    assert_eq!(
        judge(401, r#"{"error":"Unauthorized"}"#),
        failure(FailureKind::Http5xx(401))
    );
    assert_eq!(judge(307, ""), failure(FailureKind::InvalidAnswer));
    assert_eq!(
        judge(200, "<html>hello</html>"),
        failure(FailureKind::InvalidAnswer)
    );
}

#[test]
fn headers_that_do_not_fit_are_left_out_and_smaller_ones_behind_them_pass() {
    let header = |name: &str, length: usize| (name.to_owned(), "x".repeat(length));
    let mut attempt = stream();
    attempt.headers(
        200,
        &[
            header("a", 20_000),
            header("b", 4_000),
            header("c", 4_182),
            header("d", 1),
            header("e", 0),
        ],
    );
    let names: Vec<&str> = attempt
        .response_headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["b", "c"], "4,005 + 4,187 bytes are 8 KiB");
}

#[test]
fn retry_after_is_a_positive_number_of_seconds_or_nothing() {
    assert_eq!(retry_after("30"), Some(Span::from_secs(30)));
    assert_eq!(retry_after(" 0.5 "), Some(Span::from_ms(500)));
    assert_eq!(retry_after("99999999"), Some(Span::from_secs(300)));
    for odd in [
        "0",
        "-1",
        "NaN",
        "inf",
        "",
        "soon",
        "Fri, 01 Jan 2099 00:00:00 GMT",
    ] {
        assert_eq!(retry_after(odd), None, "{odd}");
    }
}
