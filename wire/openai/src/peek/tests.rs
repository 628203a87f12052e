//! Bodies that are refused, and what is read from the others.

use super::{BadRequest, Peek, PeekLimits, peek};
use crate::Endpoint;

fn look(body: impl AsRef<[u8]>) -> Result<Peek, BadRequest> {
    peek(body.as_ref(), &PeekLimits::default())
}

#[test]
fn the_fields_of_a_chat_request_are_read() {
    let seen = look(
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true,
            "stream_options":{"include_usage":true},"max_tokens":5,"max_completion_tokens":9,"n":2,
            "previous_response_id":"resp_1","temperature":1.0e5}"#,
    )
    .unwrap();
    assert_eq!(seen.model, "m");
    assert!(seen.stream && seen.include_usage && seen.has("messages"));
    assert!(!seen.has("prompt") && !seen.has("input"));
    assert_eq!((seen.max_tokens, seen.n), (Some(9), Some(2)));
    assert_eq!(seen.prompt_tokens_estimate, 32_u64.div_ceil(4));
    assert_eq!(seen.previous_response_id.as_deref(), Some("resp_1"));
}

#[test]
fn nulls_mean_default() {
    let seen = look(
        r#"{"model":"m","stream":null,"stream_options":null,"max_tokens":null,"n":null,"messages":null}"#,
    )
    .unwrap();
    assert!(!seen.stream && !seen.include_usage && !seen.has("messages"));
    assert_eq!((seen.max_tokens, seen.n, seen.affinity), (None, None, None));
}

#[test]
fn what_is_not_a_json_object_is_refused() {
    for body in [
        "",
        "{",
        "{\"model\":\"m\"",
        "{\"model\":\"m\"} x",
        "{model:1}",
        "[1",
        "{\"a\":1,}",
    ] {
        assert!(
            matches!(look(body), Err(BadRequest::NotJson { .. })),
            "{body}"
        );
    }
    for body in ["[]", "7", "null", "\"model\"", "true"] {
        assert_eq!(look(body), Err(BadRequest::NotAnObject), "{body}");
    }
}

#[test]
fn broken_utf8_is_refused_with_its_place() {
    assert_eq!(
        look(b"{\"model\":\"\xff\"}"),
        Err(BadRequest::NotUtf8 { at: 10 })
    );
}

#[test]
fn endless_nesting_is_refused_without_a_deep_stack() {
    let body = format!(
        "{{\"model\":\"m\",\"x\":{}{}}}",
        "[".repeat(500_000),
        "]".repeat(500_000)
    );
    assert_eq!(look(body), Err(BadRequest::TooDeep { limit: 128 }));
}

#[test]
fn a_model_must_be_one_short_text() {
    assert_eq!(look("{}"), Err(BadRequest::Missing { param: "model" }));
    assert_eq!(
        look(r#"{"model":null}"#),
        Err(BadRequest::Missing { param: "model" })
    );
    assert_eq!(
        look(r#"{"model":" "}"#),
        Err(BadRequest::Empty { param: "model" })
    );
    assert_eq!(
        look(r#"{"model":7}"#),
        Err(BadRequest::WrongType {
            param: "model",
            expected: "a string"
        })
    );
    let long = format!(r#"{{"model":"{}"}}"#, "m".repeat(257));
    assert_eq!(
        look(long),
        Err(BadRequest::TooLong {
            param: "model",
            limit: 256
        })
    );
}

#[test]
fn a_model_given_twice_is_refused_however_it_is_spelled() {
    for body in [
        r#"{"model":"a","model":"a"}"#,
        r#"{"model":"a","mod\u0065l":"b"}"#,
        r#"{"model":null,"model":"b"}"#,
    ] {
        assert_eq!(
            look(body),
            Err(BadRequest::Duplicate { param: "model" }),
            "{body}"
        );
    }
}

#[test]
fn other_fields_that_are_read_may_not_stand_twice() {
    let body = r#"{"model":"a","stream":false,"stream":true}"#;
    assert_eq!(look(body), Err(BadRequest::Duplicate { param: "stream" }));
    let body = r#"{"model":"a","stream_options":{"include_usage":true,"include_usage":false}}"#;
    assert_eq!(
        look(body),
        Err(BadRequest::Duplicate {
            param: "stream_options.include_usage"
        })
    );
}

#[test]
fn fields_that_are_not_read_may_stand_twice() {
    assert!(look(r#"{"model":"a","x":1,"x":2}"#).is_ok());
}

#[test]
fn wrong_types_name_their_field() {
    for (field, param) in [
        (r#""stream":"true""#, "stream"),
        (r#""stream":1"#, "stream"),
        (r#""max_tokens":-1"#, "max_tokens"),
        (r#""max_tokens":1.5"#, "max_tokens"),
        (r#""max_tokens":"5""#, "max_tokens"),
        (r#""max_tokens":1e3"#, "max_tokens"),
        (r#""max_tokens":99999999999999999999"#, "max_tokens"),
        (r#""max_completion_tokens":[]"#, "max_completion_tokens"),
        (r#""n":0"#, "n"),
        (r#""stream_options":true"#, "stream_options"),
        (
            r#""stream_options":{"include_usage":1}"#,
            "stream_options.include_usage",
        ),
        (r#""previous_response_id":{}"#, "previous_response_id"),
    ] {
        let refusal = look(format!(r#"{{"model":"m",{field}}}"#)).unwrap_err();
        assert_eq!(refusal.param(), Some(param), "{field}");
        assert_eq!(refusal.code().status(), 400);
    }
}

#[test]
fn a_refusal_is_an_envelope_that_names_the_field() {
    let refusal = look(r#"{"model":7}"#).unwrap_err();
    assert_eq!(
        String::from_utf8(refusal.envelope().to_json()).unwrap(),
        r#"{"error":{"message":"The parameter `model` must be a string.","type":"invalid_request_error","param":"model","code":"invalid_type"}}"#
    );
}

#[test]
fn each_endpoint_wants_its_input() {
    let chat = look(r#"{"model":"m","messages":[]}"#).unwrap();
    assert_eq!(chat.require_input(Endpoint::Chat), Ok(()));
    assert_eq!(
        chat.require_input(Endpoint::Completions),
        Err(BadRequest::Missing { param: "prompt" })
    );
    assert_eq!(
        chat.require_input(Endpoint::Embeddings),
        Err(BadRequest::Missing { param: "input" })
    );
    let odd = look(r#"{"model":"m","messages":"hi","prompt":"hi","input":[1]}"#).unwrap();
    let refusal = BadRequest::WrongType {
        param: "messages",
        expected: "an array",
    };
    assert_eq!(odd.require_input(Endpoint::Chat), Err(refusal));
    assert_eq!(odd.require_input(Endpoint::Completions), Ok(()));
    assert_eq!(odd.require_input(Endpoint::Embeddings), Ok(()));
}

#[test]
fn prompts_that_begin_alike_share_their_affinity() {
    let affinity = |tail: &str| {
        let body = format!(
            r#"{{"messages":[{{"content":"{}"}}],"model":"m"}}"#,
            "s".repeat(1200) + tail
        );
        look(body).unwrap().affinity
    };
    assert_eq!(affinity("a"), affinity("b"));
    assert_ne!(
        affinity("a"),
        look(r#"{"model":"m","prompt":"s"}"#).unwrap().affinity
    );
}

#[test]
fn a_name_with_half_a_surrogate_pair_is_only_unknown() {
    assert!(look(r#"{"\ud800":1,"model":"m"}"#).is_ok());
}

#[test]
fn what_a_response_continues_is_spliced_and_every_other_byte_stays() {
    let body = br#"{ "model":"m", "previous_response_id" : "resp_1~srv_x","input":"hi","store":false, "max_output_tokens":9 }"#;
    let seen = peek(body, &PeekLimits::default()).unwrap();
    assert_eq!(seen.previous_response_id.as_deref(), Some("resp_1~srv_x"));
    assert_eq!((seen.store, seen.max_tokens), (Some(false), Some(9)));
    let edits = crate::Edits {
        previous_response_id: Some("resp_1"),
        ..crate::Edits::default()
    };
    let rewritten = crate::rewrite(body, &seen, &edits).into_owned();
    let expected = String::from_utf8_lossy(body).replace("resp_1~srv_x", "resp_1");
    assert_eq!(String::from_utf8(rewritten).unwrap(), expected);
}

#[test]
fn a_system_prompt_is_part_of_what_prompts_share() {
    let affinity = |body: &str| {
        peek(body.as_bytes(), &PeekLimits::default())
            .unwrap()
            .affinity
    };
    let with = affinity(r#"{"model":"m","system":"s","messages":[]}"#);
    assert_eq!(
        with,
        affinity(r#"{"messages":[],"model":"m","system":"s"}"#)
    );
    assert_ne!(with, affinity(r#"{"model":"m","messages":[]}"#));
}

#[test]
fn tokenize_takes_any_of_its_inputs() {
    for input in ["prompt", "messages", "content"] {
        let body = format!(r#"{{"model":"m","{input}":"x"}}"#);
        let seen = peek(body.as_bytes(), &PeekLimits::default()).unwrap();
        assert_eq!(seen.require_input(Endpoint::Tokenize), Ok(()));
    }
    let seen = peek(br#"{"model":"m"}"#, &PeekLimits::default()).unwrap();
    let missing = seen.require_input(Endpoint::Tokenize);
    assert_eq!(missing, Err(BadRequest::Missing { param: "prompt" }));
    assert_eq!(seen.require_input(Endpoint::Responses), Ok(()));
}
