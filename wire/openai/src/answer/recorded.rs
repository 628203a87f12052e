//! Every plain answer and every error that was recorded, and what the client gets for it.

use super::{Answer, read_answer};
use crate::error::kind_for_status;
use crate::recordings::{self, Recording};
use crate::{Endpoint, Usage};

/// What is an error: the status, the code and the field that the client sees (empty for none), and whether
/// the request is at fault.
#[rustfmt::skip]
const ERRORS: &[(&str, u16, &str, &str, bool)] = &[
    ("llama-cpp/bad-json", 400, "", "", true),
    ("llama-cpp/embeddings-null-format", 400, "", "", true),
    ("llama-cpp/messages-too-long", 400, "context_length_exceeded", "", true),
    ("llama-cpp/no-key", 502, "upstream_refused_key", "", false),
    ("llama-cpp/no-messages", 400, "", "", true),
    ("llama-cpp/no-route", 404, "endpoint_not_supported", "", true),
    ("llama-cpp/not-an-object", 400, "", "", true),
    ("llama-cpp/rerank", 404, "endpoint_not_supported", "", true),
    ("llama-cpp/too-long", 400, "context_length_exceeded", "", true),
    ("llama-cpp/too-long-completions", 400, "context_length_exceeded", "", true),
    ("llama-cpp/too-long-embeddings", 400, "context_length_exceeded", "", true),
    ("llama-cpp/too-long-stream", 400, "context_length_exceeded", "", true),
    ("llama-cpp/wrong-key", 502, "upstream_refused_key", "", false),
    ("llama-cpp/wrong-method", 404, "endpoint_not_supported", "", true),
    ("llama-cpp/wrong-type", 400, "", "", true),
    ("transformers/bad-json", 422, "", "", true),
    ("transformers/completions-two-prompts", 400, "", "", true),
    ("transformers/completions-two-prompts-stream", 400, "", "", true),
    ("transformers/count-tokens", 404, "endpoint_not_supported", "", true),
    ("transformers/detokenize", 404, "endpoint_not_supported", "", true),
    ("transformers/embeddings", 404, "endpoint_not_supported", "", true),
    ("transformers/messages", 404, "endpoint_not_supported", "", true),
    ("transformers/messages-stream", 404, "endpoint_not_supported", "", true),
    ("transformers/messages-too-long", 404, "endpoint_not_supported", "", true),
    ("transformers/messages-tools-stream", 404, "endpoint_not_supported", "", true),
    ("transformers/no-messages", 500, "upstream_error", "", false),
    ("transformers/no-route", 404, "endpoint_not_supported", "", true),
    ("transformers/not-an-object", 422, "", "", true),
    ("transformers/rerank", 404, "endpoint_not_supported", "", true),
    ("transformers/tokenize", 404, "endpoint_not_supported", "", true),
    ("transformers/unknown-model", 400, "", "", true),
    ("transformers/unknown-model-stream", 400, "", "", true),
    ("transformers/wrong-method", 404, "endpoint_not_supported", "", true),
    ("transformers/wrong-type", 500, "upstream_error", "", false),
    ("vllm/bad-json", 400, "", "", true),
    ("vllm/chat-without-generation", 404, "endpoint_not_supported", "", true),
    ("vllm/embeddings-null-format", 400, "", "encoding_format", true),
    ("vllm/messages-too-long", 400, "context_length_exceeded", "", true),
    ("vllm/no-key", 502, "upstream_refused_key", "", false),
    ("vllm/no-messages", 400, "", "messages", true),
    ("vllm/no-route", 404, "endpoint_not_supported", "", true),
    ("vllm/not-an-object", 400, "", "", true),
    ("vllm/too-long", 400, "context_length_exceeded", "", true),
    ("vllm/too-long-completions", 400, "context_length_exceeded", "", true),
    ("vllm/too-long-embeddings", 400, "context_length_exceeded", "", true),
    ("vllm/too-long-stream", 400, "context_length_exceeded", "", true),
    ("vllm/too-many-tokens", 400, "", "max_tokens", true),
    ("vllm/unknown-model", 404, "model_not_found", "model", true),
    ("vllm/unknown-model-stream", 404, "model_not_found", "model", true),
    ("vllm/wrong-key", 502, "upstream_refused_key", "", false),
    ("vllm/wrong-method", 404, "endpoint_not_supported", "", true),
    ("vllm/wrong-type", 400, "", "temperature", true),
    ("vllm/wrong-value", 400, "", "temperature", true),
];

fn plain() -> impl Iterator<Item = &'static Recording> {
    recordings::all().iter().filter(|one| {
        // Nobody asks for these two through the gateway.
        let asked = !["models", "score"].contains(&one.name.as_str());
        asked && (!one.is_stream() || one.title() == "transformers/responses")
    })
}

fn read(recording: &Recording) -> Answer {
    read_answer(
        recording.endpoint(),
        recording.status,
        recording.content_type.as_deref(),
        &recording.body(),
    )
}

fn passed(recording: &Recording) -> (Option<Usage>, String) {
    match read(recording) {
        Answer::Pass { usage, mended } => {
            let body = mended.unwrap_or_else(|| recording.body());
            (usage, String::from_utf8(body).unwrap())
        }
        Answer::Error { .. } => panic!("{} is an error", recording.title()),
    }
}

#[test]
fn every_recorded_error_comes_out_in_one_dialect() {
    let mut seen = Vec::new();
    for recording in plain() {
        let title = recording.title();
        let Answer::Error {
            status,
            envelope,
            client_fault,
        } = read(recording)
        else {
            continue;
        };
        assert_eq!(envelope.kind, kind_for_status(status), "{title}");
        assert!(!envelope.message.trim().is_empty(), "{title}");
        let code = envelope.code.unwrap_or_default().into_owned();
        let param = envelope.param.unwrap_or_default().into_owned();
        seen.push((title, status, code, param, client_fault));
    }
    let expected: Vec<_> = ERRORS
        .iter()
        .map(|&(title, status, code, param, fault)| {
            (
                title.to_owned(),
                status,
                code.to_owned(),
                param.to_owned(),
                fault,
            )
        })
        .collect();
    assert_eq!(seen, expected);
}

#[test]
fn every_other_recorded_answer_passes_with_its_usage() {
    let is_error = |title: &str| ERRORS.iter().any(|(known, ..)| *known == title);
    let mut count = 0;
    for recording in plain().filter(|one| !is_error(&one.title())) {
        let title = recording.title();
        let (usage, body) = passed(recording);
        assert_eq!(usage.is_some(), body.contains("\"usage\":{"), "{title}");
        if title != "transformers/responses" {
            assert_eq!(body, recording.text(), "{title}: it is sound as it is");
        }
        count += 1;
    }
    assert!(count > 50, "{count}");
}

#[test]
fn a_response_that_was_streamed_unasked_is_one_answer() {
    let (usage, body) = passed(recordings::named("transformers/responses"));
    let answer: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        answer["output"][0]["content"][0]["text"],
        "Hello! How can I help you today?"
    );
    assert_eq!(usage.unwrap().total_tokens, 24);
}

#[test]
fn tokens_and_vectors_are_the_engines_own() {
    for engine in ["llama-cpp", "vllm"] {
        let text = |name: &str| recordings::named(&format!("{engine}/{name}")).text();
        assert!(text("tokenize").contains("\"tokens\":[721,1449,13]"));
        assert!(text("detokenize").contains(":\"STU\""));
        assert!(text("count-tokens").contains("\"input_tokens\":14"));
        for name in ["embeddings", "embeddings-two", "embeddings-base64"] {
            let one = recordings::named(&format!("{engine}/{name}"));
            assert_eq!(one.endpoint(), Endpoint::Embeddings);
            assert!(passed(one).0.is_some(), "{engine}/{name}");
        }
    }
}
