//! Answers in every dialect, sound and not.

use super::{Answer, read_answer};
use crate::{Endpoint, Usage};

const JSON: Option<&str> = Some("application/json");
pub(super) const CHAT: &str = r#"{"id":"chatcmpl-1","object":"chat.completion","created":7,"model":"m","system_fingerprint":"b1","choices":[{"index":0,"message":{"role":"assistant","content":"pong","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{}"}},{"id":"c2","type":"function","function":{"name":"g","arguments":"{}"}}]},"logprobs":null,"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}"#;

fn error(status: u16, body: impl AsRef<[u8]>) -> (u16, String, String, bool) {
    match read_answer(Endpoint::Chat, status, None, body.as_ref()) {
        Answer::Error {
            status,
            envelope,
            client_fault,
        } => {
            assert!(!envelope.message.is_empty());
            (
                status,
                envelope.code.unwrap_or_default().into_owned(),
                envelope.message,
                client_fault,
            )
        }
        Answer::Pass { .. } => panic!(
            "an error passed: {}",
            String::from_utf8_lossy(body.as_ref())
        ),
    }
}

fn status_and_code(status: u16, body: impl AsRef<[u8]>) -> (u16, String) {
    let (status, code, ..) = error(status, body);
    (status, code)
}

#[test]
fn sound_answers_pass_with_their_usage() {
    let usage = Some(Usage {
        prompt_tokens: 3,
        completion_tokens: 4,
        total_tokens: 7,
    });
    assert_eq!(
        read_answer(Endpoint::Chat, 200, JSON, CHAT.as_bytes()),
        Answer::Pass {
            usage,
            mended: None
        }
    );
    let text = br#"{"choices":[{"text":"x"}],"error":null}"#;
    let nothing = Answer::Pass {
        usage: None,
        mended: None,
    };
    assert_eq!(read_answer(Endpoint::Completions, 200, None, text), nothing);
    let vectors = br#"{"object":"list","data":[{"embedding":[0.1]}],"usage":{"prompt_tokens":2,"total_tokens":2}}"#;
    let usage = Some(Usage {
        prompt_tokens: 2,
        completion_tokens: 0,
        total_tokens: 2,
    });
    assert_eq!(
        read_answer(Endpoint::Embeddings, 200, JSON, vectors),
        Answer::Pass {
            usage,
            mended: None
        }
    );
}

#[test]
fn bad_bytes_in_a_sound_answer_are_mended() {
    let spoilt = b"\xef\xbb\xbf{\"choices\":[{\"text\":\"a\xffb\"}]}";
    let mended = Some("{\"choices\":[{\"text\":\"a\u{fffd}b\"}]}".into());
    assert_eq!(
        read_answer(Endpoint::Completions, 200, JSON, spoilt),
        Answer::Pass {
            usage: None,
            mended
        }
    );
}

#[test]
fn rubbish_under_a_success_is_a_bad_gateway() {
    for rubbish in [
        "",
        " \n",
        "<!doctype html><h1>It works!</h1>",
        "OK",
        "{",
        "[]",
        "{}",
        r#"{"choices":null}"#,
        r#"{"choices":[]}"#,
        r#"{"choices":[null]}"#,
        r#"{"choices":"pong"}"#,
        "data: {\"choices\":[]}\n\n",
    ] {
        assert_eq!(
            status_and_code(200, rubbish),
            (502, "upstream_invalid_answer".to_owned()),
            "{rubbish}"
        );
    }
    let deep = format!(
        r#"{{"choices":[{{}}],"x":{}{}}}"#,
        "[".repeat(300),
        "]".repeat(300)
    );
    assert_eq!(status_and_code(200, deep).0, 502);
}

#[test]
fn an_error_under_a_success_gets_an_error_status() {
    assert_eq!(
        status_and_code(200, r#"{"error":{"message":"no","code":404}}"#).0,
        404
    );
    assert_eq!(
        status_and_code(200, r#"{"error":{"message":"no"},"choices":null}"#).0,
        502
    );
    assert_eq!(
        status_and_code(200, r#"{"error":"no"}"#),
        (502, "upstream_invalid_answer".to_owned())
    );
    assert_eq!(status_and_code(200, r#"{"detail":"no"}"#).0, 502);
    assert_eq!(
        status_and_code(200, r#"{"object":"error","message":"busy","code":503}"#).0,
        503
    );
}

#[test]
fn every_dialect_of_a_client_error_keeps_its_message() {
    for body in [
        r#"{"error":{"message":"bad temperature","type":"BadRequestError","param":null,"code":400}}"#,
        r#"{"error":{"code":400,"message":"bad temperature","type":"invalid_request_error"}}"#,
        r#"{"object":"error","message":"bad temperature","type":"BadRequestError","code":400}"#,
        r#"{"detail":"bad temperature"}"#,
        r#"{"error":"bad temperature"}"#,
        r#""bad temperature""#,
        "bad temperature\n",
    ] {
        let Answer::Error {
            status,
            envelope,
            client_fault,
        } = read_answer(Endpoint::Chat, 400, None, body.as_bytes())
        else {
            panic!("passed: {body}")
        };
        assert_eq!((status, client_fault), (400, true), "{body}");
        assert_eq!(envelope.message, "bad temperature", "{body}");
        assert_eq!(envelope.kind, "invalid_request_error", "{body}");
        assert_eq!(envelope.code, None, "{body}");
    }
}

#[test]
fn a_list_of_faults_becomes_one_message() {
    let body =
        r#"{"detail":[{"loc":["body","messages",0],"msg":"Field required"},{"msg":"too long"}]}"#;
    assert_eq!(
        error(422, body).2,
        "body.messages.0: Field required; too long"
    );
}

#[test]
fn a_page_is_never_shown_to_the_client() {
    for page in [
        "<html><body>nginx at 10.0.0.7</body></html>",
        "  <!DOCTYPE html>10.0.0.7",
    ] {
        for status in [200, 404, 500, 502] {
            let (_, _, message, _) = error(status, page);
            assert!(
                !message.contains("10.0.0.7") && !message.contains('<'),
                "{status}: {message}"
            );
        }
    }
}

#[test]
fn a_long_message_is_clipped_between_characters() {
    let (_, _, message, _) = error(400, "é".repeat(5000));
    assert!(message.len() <= 2048 + '…'.len_utf8() && message.ends_with("é…"));
}

#[test]
fn a_prompt_that_does_not_fit_is_the_clients_fault_whatever_the_status() {
    for (status, body) in [
        (
            500,
            r#"{"error":{"code":500,"message":"input (9000 tokens) is too large to process. increase the physical batch size (current batch size: 512)","type":"server_error"}}"#,
        ),
        (
            500,
            r#"{"error":{"code":500,"message":"Input is too large"}}"#,
        ),
        (
            400,
            r#"{"error":{"code":400,"message":"the request exceeds the available context size","type":"exceed_context_size_error","n_prompt_tokens":9000,"n_ctx":8192}}"#,
        ),
        (
            400,
            r#"{"error":{"message":"This model's maximum context length is 2048 tokens. However, you requested 4000 tokens.","type":"BadRequestError","code":400}}"#,
        ),
    ] {
        let (status, code, _, client_fault) = error(status, body);
        assert_eq!(
            (status, code.as_str(), client_fault),
            (400, "context_length_exceeded", true),
            "{body}"
        );
    }
}

#[test]
fn a_refused_key_of_ours_is_not_the_clients_401() {
    for (status, body) in [
        (401, r#"{"error":{"code":401,"message":"Invalid API Key"}}"#),
        (401, r#"{"error":"Unauthorized"}"#),
        (403, "Forbidden"),
        (200, r#"{"error":{"code":401}}"#),
    ] {
        let (status, code, message, client_fault) = error(status, body);
        assert_eq!(
            (status, code.as_str(), client_fault),
            (502, "upstream_refused_key", false),
            "{body}"
        );
        assert!(message.contains("Your own key is fine"));
    }
}

#[test]
fn a_redirect_is_a_bad_gateway() {
    assert_eq!(
        status_and_code(307, ""),
        (502, "upstream_redirected".to_owned())
    );
}

#[test]
fn statuses_that_tell_the_truth_are_kept() {
    let missing = r#"{"error":{"message":"The model `x` does not exist.","type":"NotFoundError","code":404}}"#;
    assert_eq!(
        status_and_code(404, missing),
        (404, "model_not_found".to_owned())
    );
    assert_eq!(
        status_and_code(404, r#"{"detail":"No such adapter"}"#),
        (404, "not_found".to_owned())
    );
    assert_eq!(
        status_and_code(429, ""),
        (429, "rate_limit_exceeded".to_owned())
    );
    assert_eq!(
        status_and_code(500, "Internal Server Error"),
        (500, "upstream_error".to_owned())
    );
    assert_eq!(
        status_and_code(
            503,
            r#"{"error":{"code":503,"message":"Loading model","type":"unavailable_error"}}"#
        )
        .0,
        503
    );
    assert!(!error(429, "").3 && !error(503, "").3);
}

#[test]
fn statuses_that_clients_do_not_know_become_a_bad_gateway() {
    for status in [0, 101, 520, 530, 599, 999] {
        assert_eq!(status_and_code(status, "").0, 502, "{status}");
    }
}

#[test]
fn a_route_that_the_server_lacks_is_nobodys_failure() {
    let llama_cpp = include_str!("../../tests/recordings/llama-cpp-moderations-404.json");
    let not_started = include_str!("../../tests/recordings/llama-cpp-rerank-501.json");
    for (status, body) in [
        (404, llama_cpp),
        (404, r#"{"detail":"Not Found"}"#),
        (404, "<html><body>404</body></html>"),
        (404, ""),
        (405, r#"{"detail":"Method Not Allowed"}"#),
        (501, not_started),
        (501, "no"),
    ] {
        let Answer::Error {
            status,
            envelope,
            client_fault,
        } = read_answer(Endpoint::Rerank, status, None, body.as_bytes())
        else {
            panic!("{body}");
        };
        assert_eq!((status, client_fault), (404, true), "{body}");
        assert_eq!(envelope.code.as_deref(), Some("endpoint_not_supported"));
        assert!(envelope.message.contains("`/v1/rerank`"));
    }
}

#[test]
fn each_endpoint_has_a_shape_of_its_own() {
    let recorded = [
        (
            Endpoint::Responses,
            include_str!("../../tests/recordings/llama-cpp-responses.json"),
            (14, 10),
        ),
        (
            Endpoint::Messages,
            include_str!("../../tests/recordings/llama-cpp-messages.json"),
            (14, 10),
        ),
        (
            Endpoint::CountTokens,
            include_str!("../../tests/recordings/llama-cpp-count-tokens.json"),
            (0, 0),
        ),
        (
            Endpoint::Tokenize,
            include_str!("../../tests/recordings/llama-cpp-tokenize.json"),
            (0, 0),
        ),
        (
            Endpoint::Tokenize,
            include_str!("../../tests/recordings/llama-cpp-tokenize-pieces.json"),
            (0, 0),
        ),
        (
            Endpoint::Detokenize,
            include_str!("../../tests/recordings/llama-cpp-detokenize.json"),
            (0, 0),
        ),
        (
            Endpoint::Tokenize,
            r#"{"count":1,"max_model_len":8,"tokens":[1],"token_strs":null}"#,
            (0, 0),
        ),
        (Endpoint::Detokenize, r#"{"prompt":"x"}"#, (0, 0)),
        (
            Endpoint::Rerank,
            r#"{"id":"r","model":"m","usage":{"total_tokens":9,"prompt_tokens":9},"results":[{"index":0,"relevance_score":0.5}]}"#,
            (9, 0),
        ),
        (
            Endpoint::Moderations,
            r#"{"id":"m","model":"m","results":[{"flagged":false}]}"#,
            (0, 0),
        ),
        (
            Endpoint::ImagesGenerations,
            r#"{"created":1,"data":[{"b64_json":"eA=="}],"usage":{"input_tokens":2,"output_tokens":3,"total_tokens":5}}"#,
            (2, 3),
        ),
        (
            Endpoint::Responses,
            r#"{"id":"r","object":"response","status":"failed","error":{"code":"server_error","message":"x"},"output":[]}"#,
            (0, 0),
        ),
        (
            Endpoint::Responses,
            r#"{"id":"r","object":"response","deleted":true}"#,
            (0, 0),
        ),
    ];
    for (endpoint, body, tokens) in recorded {
        let Answer::Pass { usage, mended } = read_answer(endpoint, 200, JSON, body.as_bytes())
        else {
            panic!("{endpoint:?} {body}");
        };
        let usage = usage.unwrap_or_default();
        assert_eq!(mended, None);
        assert_eq!(
            (usage.prompt_tokens, usage.completion_tokens),
            tokens,
            "{endpoint:?}"
        );
        for wrong in ["{}", "<html>", r#"{"error":"no"}"#, r#"{"ok":true}"#] {
            let judged = read_answer(endpoint, 200, JSON, wrong.as_bytes());
            assert!(
                matches!(judged, Answer::Error { status: 502, .. }),
                "{endpoint:?} {wrong}"
            );
        }
    }
}

#[test]
fn no_vectors_for_no_inputs_are_an_answer() {
    for (endpoint, body) in [
        (Endpoint::Embeddings, r#"{"object":"list","data":[]}"#),
        (Endpoint::Moderations, r#"{"id":"m","results":[]}"#),
    ] {
        let answer = read_answer(endpoint, 200, None, body.as_bytes());
        assert!(matches!(answer, Answer::Pass { .. }), "{answer:?}");
    }
}
