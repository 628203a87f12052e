//! What goes wrong.

use tidegate_provider_api::{ErrorKind, HttpReply, ProviderError, Request};

use crate::rig::{
    Rig, SECRETS, bill, create, destroy, every_request, get, list, reply, shop, start, stop,
};

fn error(request: &Request, status: u16, body: &str) -> ProviderError {
    Rig::new().answer(request, status, body).unwrap_err()
}

/// Every row of what RunPod is known to answer, with its words.
#[test]
fn every_error_is_told_by_the_vendors_words() {
    for (request, status, body, kind, permanent, words) in [
        (
            Request::Verify,
            401,
            r#"{"title":"Unauthorized","status":401,"detail":"missing bearer token"}"#,
            ErrorKind::Auth,
            true,
            "missing bearer token",
        ),
        (
            list(None),
            403,
            r#"{"title":"Forbidden","status":403,"detail":"access denied"}"#,
            ErrorKind::Auth,
            true,
            "access denied",
        ),
        (
            create(),
            403,
            r#"{"title":"Forbidden","status":403,"detail":"account cannot access the requested pool"}"#,
            ErrorKind::Capacity,
            false,
            "account cannot access the requested pool",
        ),
        (
            create(),
            402,
            r#"{"title":"Payment Required","status":402,"detail":"add funds to go on"}"#,
            ErrorKind::Quota,
            true,
            "add funds to go on",
        ),
        (
            create(),
            400,
            r#"{"detail":"There are no longer any instances available with the requested specifications. Please refresh and try again.","status":400}"#,
            ErrorKind::Capacity,
            false,
            "There are no longer any instances available with the requested specifications. Please refresh and try again.",
        ),
        (
            create(),
            400,
            r#"{"detail":"There are no longer any instances available with enough disk space.","status":400}"#,
            ErrorKind::Capacity,
            false,
            "There are no longer any instances available with enough disk space.",
        ),
        (
            create(),
            400,
            r#"{"detail":"There are no instances available with the request specifications. Please try again later.","status":400}"#,
            ErrorKind::Capacity,
            false,
            "There are no instances available with the request specifications. Please try again later.",
        ),
        (
            create(),
            400,
            r#"{"detail":"This machine does not have the resources to deploy your pod. Please try a different machine.","status":400}"#,
            ErrorKind::Capacity,
            false,
            "This machine does not have the resources to deploy your pod. Please try a different machine.",
        ),
        (
            start(),
            400,
            r#"{"title":"Bad Request","status":400,"detail":"There are not enough free GPUs on the host machine to start this pod."}"#,
            ErrorKind::Capacity,
            false,
            "There are not enough free GPUs on the host machine to start this pod.",
        ),
        (
            create(),
            400,
            r#"{"title":"Bad Request","status":400,"detail":"request could not be processed"}"#,
            ErrorKind::Validation,
            true,
            "request could not be processed",
        ),
        (
            get(),
            404,
            r#"{"title":"Not Found","status":404,"detail":"pod not found"}"#,
            ErrorKind::NotFound,
            true,
            "pod not found",
        ),
        (
            destroy(),
            404,
            r#"{"title":"Not Found","status":404,"detail":"pod not found"}"#,
            ErrorKind::NotFound,
            true,
            "pod not found",
        ),
        (
            stop(),
            409,
            r#"{"title":"Conflict","status":409,"detail":"action stop is not valid for status EXITED"}"#,
            ErrorKind::Validation,
            false,
            "action stop is not valid for status EXITED",
        ),
        (
            create(),
            413,
            r#"{"title":"Payload Too Large","status":413,"detail":"request body exceeds 102400 bytes"}"#,
            ErrorKind::Validation,
            true,
            "request body exceeds 102400 bytes",
        ),
        (
            create(),
            422,
            r#"{"title":"Unprocessable Entity","status":422,"detail":"Request validation failed.","errors":["$: missing property 'dataCenter'","$: additional properties 'dataCenterId' not allowed"]}"#,
            ErrorKind::Validation,
            true,
            "Request validation failed. $: missing property 'dataCenter'; $: additional properties 'dataCenterId' not allowed",
        ),
        (
            bill(),
            429,
            r#"{"title":"Too Many Requests","status":429,"detail":"rate limit exceeded for the minute window"}"#,
            ErrorKind::RateLimited,
            false,
            "rate limit exceeded for the minute window",
        ),
        (
            list(None),
            410,
            r#"{"title":"Gone","status":410,"detail":"this API version has been retired"}"#,
            ErrorKind::Validation,
            true,
            "API retired: this release of Tidegate is too old for RunPod. this API version has been retired",
        ),
        (
            list(None),
            500,
            r#"{"title":"Internal Server Error","status":500,"detail":"upstream failed"}"#,
            ErrorKind::Network,
            false,
            "upstream failed",
        ),
        (
            shop(1),
            503,
            r#"{"title":"Service Unavailable","status":503}"#,
            ErrorKind::Network,
            false,
            "Service Unavailable",
        ),
    ] {
        let error = error(&request, status, body);
        assert_eq!((error.kind, error.permanent), (kind, permanent), "{error}");
        assert_eq!((error.words.as_str(), error.unclear), (words, false));
        assert_eq!(error.http_status, Some(status));
        assert_eq!(error.operation, request.operation());
    }
}

#[test]
fn a_conflict_and_a_retired_api_have_codes_of_ours() {
    let conflict = error(
        &start(),
        409,
        r#"{"title":"Conflict","status":409,"detail":"no"}"#,
    );
    assert_eq!(conflict.code.as_deref(), Some("conflict"));
    for request in [get(), list(None), create(), destroy()] {
        for body in ["", "<html></html>", r#"{"title":"Gone","status":410}"#] {
            let retired = error(&request, 410, body);
            assert_eq!(retired.code.as_deref(), Some("api_retired"));
            assert_eq!(
                (retired.kind, retired.permanent),
                (ErrorKind::Validation, true)
            );
        }
    }
}

#[test]
fn words_and_the_status_in_the_body_count_more_than_that_of_the_answer() {
    let none_left = r#"{"status":500,"detail":"No H100 instances available right now"}"#;
    let error_of = error(&create(), 500, none_left);
    assert_eq!(
        (error_of.kind, error_of.unclear),
        (ErrorKind::Capacity, false)
    );

    let inside_of_success = r#"{"title":"Not Found","status":404,"detail":"pod not found"}"#;
    assert_eq!(
        error(&get(), 200, inside_of_success).kind,
        ErrorKind::NotFound
    );

    let broke = r#"{"status":400,"detail":"Insufficient balance to rent this pod"}"#;
    assert_eq!(error(&create(), 400, broke).kind, ErrorKind::Quota);

    // "piano" is no "no".
    let other = r#"{"status":400,"detail":"piano instances available"}"#;
    assert_eq!(error(&create(), 400, other).kind, ErrorKind::Validation);
}

/// A proxy's 404 is not "gone", its 401 no bad key, its 403 no missing right.
#[test]
fn whatever_stands_before_the_api_tells_nothing_of_what_it_did() {
    let bodies = [
        "",
        "<html><head><title>502 Bad Gateway</title></head></html>",
        "<!DOCTYPE html><p>challenge",
        "error code: 1015",
        r#"{"message":"no Route matched with those values"}"#,
        r#"{"detail":"Not Found"}"#,
        r#"{"status":"error","detail":"x"}"#,
        r#"{"status":404}"#,
        r#"[404,"Not Found","pod not found",[]]"#,
        "[]",
        r#"{"pods":[]}"#,
    ];
    for status in [
        301, 400, 401, 402, 403, 404, 408, 409, 422, 500, 502, 504, 520, 524,
    ] {
        for body in bodies {
            for (request, _, _) in every_request() {
                let error = error(&request, status, body);
                assert_eq!(error.kind, ErrorKind::Network, "{status} {body}");
                assert_eq!(
                    (error.unclear, error.permanent),
                    (request.is_change(), false)
                );
            }
        }
    }
    assert_eq!(
        error(&get(), 502, bodies[1]).words,
        "HTTP 502, not from RunPod's API but from something in front of it: a page, \"502 Bad Gateway\""
    );
    assert!(
        error(&get(), 403, bodies[3])
            .words
            .ends_with("error code: 1015")
    );
    assert!(
        error(&get(), 404, bodies[4])
            .words
            .ends_with("no Route matched with those values")
    );
}

#[test]
fn a_change_that_broke_off_inside_of_runpod_is_unclear() {
    let broken = r#"{"title":"Bad Gateway","status":502,"detail":"upstream failed"}"#;
    for request in [create(), stop(), start(), destroy()] {
        let error = error(&request, 502, broken);
        assert_eq!((error.kind, error.unclear), (ErrorKind::Network, true));
        assert_eq!(error.words, "upstream failed");
    }
    assert!(!error(&get(), 502, broken).unclear);
    // Too many calls is a clear no.
    let limited = error(&create(), 429, "");
    assert_eq!(
        (limited.kind, limited.unclear),
        (ErrorKind::RateLimited, false)
    );
}

fn wait(status: u16, headers: &[(&str, &str)]) -> Option<u64> {
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let reply = HttpReply {
        headers: headers.iter().map(owned).collect(),
        ..reply(status, "")
    };
    Rig::new()
        .reply(&list(None), &reply)
        .unwrap_err()
        .retry_after_ms
}

#[test]
fn the_wait_is_the_longest_that_runpod_asks_for() {
    let limit = "\"minute\";r=0;t=12, \"hour\";r=2800;t=1812, \"day\";r=49500;t=45012";
    let spent = "\"minute\";r=0;t=12, \"hour\";r=0;t=1812, \"day\";r=49500;t=45012";
    for (headers, expected) in [
        (vec![], None),
        (vec![("retry-after", "12")], Some(12_000)),
        (vec![("retry-after", " 12 ")], Some(12_000)),
        (vec![("retry-after", "0")], None),
        (vec![("retry-after", "-5")], None),
        (vec![("retry-after", "soon")], None),
        (vec![("retry-after", "Fri, 31 Dec 2099 23:59:59 GMT")], None),
        (vec![("retry-after", "99999999")], Some(86_400_000)),
        (vec![("retry-after", "99999999999999999999999")], None),
        (vec![("ratelimit", limit)], Some(12_000)),
        (
            vec![("retry-after", "12"), ("ratelimit", spent)],
            Some(1_812_000),
        ),
        (
            vec![("retry-after", "40"), ("ratelimit", limit)],
            Some(40_000),
        ),
        (vec![("ratelimit", "minute;t=5;r=0")], Some(5_000)),
        (vec![("ratelimit", ";;,,r=0;t=;\"\"")], None),
    ] {
        assert_eq!(wait(429, &headers), expected, "{headers:?}");
    }
    assert_eq!(wait(503, &[("retry-after", "7")]), Some(7_000));
    assert_eq!(wait(500, &[("retry-after", "7")]), None);
}

#[test]
fn what_the_vendor_repeats_of_our_secrets_is_taken_out_of_its_words() {
    for secret in &SECRETS[..3] {
        let long = "x".repeat(ProviderError::LONGEST - 10);
        for body in [
            format!(r#"{{"status":422,"title":"t","detail":"bad value {secret}"}}"#),
            format!(r#"{{"status":422,"detail":"no","errors":["$.env: {secret}"]}}"#),
            // A piece of it, were it cut first.
            format!(r#"{{"status":400,"detail":"{long}{secret}"}}"#),
            format!(r#"{{"message":"{secret}"}}"#),
            format!("<title>{secret}</title>"),
            secret.to_string(),
        ] {
            let error = error(&create(), 422, &body);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains(&secret[..6]), "{shown}");
            assert!(
                shown.contains("[redacted]") || shown.contains("[reda"),
                "{shown}"
            );
        }
    }
}

#[test]
fn a_body_of_the_wrong_form_is_not_repeated() {
    let body = r#"{"env":{"PASSWORD":"n0ne_of_ours"}}"#;
    for (request, _, _) in every_request() {
        for status in [200, 500] {
            let error = error(&request, status, body);
            assert!(!format!("{error:?}").contains("n0ne_of_ours"));
        }
    }
}
