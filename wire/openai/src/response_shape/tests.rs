//! What is filled in, and what is left alone.

use serde_json::{Value, json};

use super::ResponseShape;

fn completed(shape: &ResponseShape, response: &str) -> Value {
    serde_json::from_str(&shape.complete(response).unwrap()).unwrap()
}

#[test]
fn what_the_request_said_is_told_and_the_rest_has_its_default() {
    let body = json!({
        "model": "m", "input": "x", "instructions": "Be brief.", "temperature": 0.5, "store": false,
        "service_tier": "auto", "truncation": null, "max_output_tokens": 7,
        "text": {"verbosity": "low"}, "reasoning": {"effort": "low"},
        "tools": [{"type": "function", "name": "f", "strict": true}, {"type": "web_search"}],
    });
    let shape = ResponseShape::of_request(body.to_string().as_bytes(), 17, None);
    let told = completed(&shape, r#"{"id":"resp_1","status":"completed"}"#);
    assert_eq!(
        told,
        json!({
            "id": "resp_1", "status": "completed", "object": "response", "created_at": 17,
            "completed_at": null, "incomplete_details": null, "previous_response_id": null,
            "model": "m", "instructions": "Be brief.", "output": [], "error": null,
            "tools": [
                {"type": "function", "name": "f", "strict": true, "description": null, "parameters": null},
                {"type": "web_search"},
            ],
            "tool_choice": "auto", "truncation": "disabled", "parallel_tool_calls": true,
            "text": {"verbosity": "low", "format": {"type": "text"}}, "top_p": 1,
            "presence_penalty": 0, "frequency_penalty": 0, "top_logprobs": 0, "temperature": 0.5,
            "reasoning": {"effort": "low", "summary": null}, "usage": null, "max_output_tokens": 7,
            "max_tool_calls": null, "store": false, "background": false, "service_tier": "default",
            "metadata": {}, "safety_identifier": null, "prompt_cache_key": null,
        })
    );
}

#[test]
fn what_is_there_keeps_its_bytes() {
    let shape = ResponseShape::of_request(br#"{"model":"m","temperature":1}"#, 17, None);
    let whole = shape.complete(r#"{"id":"resp_1"}"#).unwrap();
    assert_eq!(shape.complete(&whole), None, "nothing is missing any more");
    let odd = r#"{ "id" : "resp_1", "temperature":0.70, "metadata":null, "x":1e2 }"#;
    let filled = shape.complete(odd).unwrap();
    assert!(filled.starts_with(odd.strip_suffix('}').unwrap()));
    assert_eq!(filled.matches("\"temperature\"").count(), 1);
    assert_eq!(filled.matches("\"metadata\"").count(), 1);
}

#[test]
fn ids_of_responses_get_the_tag_and_usage_its_details() {
    let shape = ResponseShape::of_stored(Some("~srv_1".to_owned()));
    let told = completed(
        &shape,
        r#"{"id":"resp_2","previous_response_id":"resp_1","output":[{"id":"msg_1"}],"usage":{"input_tokens":1,"output_tokens":2,"total_tokens":3}}"#,
    );
    assert_eq!(told["id"], "resp_2~srv_1");
    assert_eq!(told["previous_response_id"], "resp_1~srv_1");
    assert_eq!(told["output"], json!([{"id": "msg_1"}]));
    assert_eq!(
        told["usage"],
        json!({
            "input_tokens": 1, "output_tokens": 2, "total_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens_details": {"reasoning_tokens": 0},
        })
    );
}

#[test]
fn a_deletion_gets_its_tag_and_a_list_nothing() {
    let shape = ResponseShape::of_stored(Some("~srv_1".to_owned()));
    assert_eq!(
        shape
            .complete(r#"{"id":"resp_2","object":"response","deleted":true}"#)
            .unwrap(),
        r#"{"id":"resp_2~srv_1","object":"response","deleted":true}"#
    );
    assert_eq!(shape.complete(r#"{"object":"list","data":[]}"#), None);
    assert_eq!(shape.complete("[]"), None);
    assert_eq!(shape.complete_answer(b"\xff"), None);
}
