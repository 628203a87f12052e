//! The request log: what becomes an entry, what it says, and how entries travel.

use serde_json::{Value, json};
use tidegate_edge::effect::CallOutcome;

use crate::rig::{ANSWER, Rig, SSE, WORD, chat, streamed};

impl Rig {
    /// Waits until every open batch has left; its entries.
    fn entries(&mut self) -> Vec<Value> {
        self.pass(1_000);
        assert_eq!(self.flush(), [""; 0]);
        let batches = std::mem::take(&mut self.batches);
        let entries = batches
            .into_iter()
            .map(|(_, _, message)| message["entries"].clone());
        entries
            .flat_map(|it| it.as_array().unwrap().clone())
            .collect()
    }
}

#[test]
fn an_entry_says_who_what_where_how_and_what_it_cost() {
    let mut rig = Rig::new(&["a"]);
    rig.record().project = Some("web".to_owned());
    rig.entry(0).price_microusd_per_hour = 3_600_000_000;
    rig.entry(0).max_concurrency = 4;
    let mut head = rig.head("/v1/chat/completions");
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    head.headers
        .push(("traceparent".to_owned(), trace.to_owned()));
    let (id, _) = rig.send(head, &streamed());
    rig.pass(5);
    rig.grant(id, "a");
    rig.headers(id, 0, 200, SSE);
    rig.pass(30);
    rig.chunk(id, 0, WORD);
    rig.pass(10);
    rig.chunk(id, 0, b"data: [DONE]\n\n");
    let ended = rig.now.as_ms();
    rig.flush();
    let request = rig.talk(id).header("x-request-id").unwrap().to_owned();
    let key = rig.key_id.clone();
    let entries = rig.entries();
    let expected = json!({
        "at_ms": ended,
        "request": request,
        "key": key,
        "project": "web",
        "model": "m",
        "known": true,
        "server": "a",
        "endpoint": "/v1/chat/completions",
        "status": 200,
        "stream": true,
        "attempts": 1,
        "first_token_ms": 35,
        "duration_ms": 45,
        "prompt_tokens": entries[0]["prompt_tokens"],
        "completion_tokens": 1,
        // A dollar a second, a quarter of it for 40 ms.
        "cost_microusd": 10_000,
        "trace": "0af7651916cd43dd8448eb211c80319c",
    });
    assert_eq!(entries, [expected]);
}

#[test]
fn a_refusal_of_a_known_caller_is_an_entry() {
    for (body, status, code, model) in [
        (
            json!({"model": "none", "messages": []}),
            404,
            "model_not_found",
            "none",
        ),
        (
            json!({"messages": []}),
            400,
            "missing_required_parameter",
            "",
        ),
    ] {
        let mut rig = Rig::new(&["a"]);
        rig.chat(&body);
        let entries = rig.entries();
        assert_eq!(entries.len(), 1);
        let told = ["status", "error", "attempts"].map(|name| entries[0][name].clone());
        assert_eq!(told, [json!(status), json!(code), json!(0)]);
        assert_eq!(entries[0]["model"].as_str().unwrap_or_default(), model);
        assert_eq!(entries[0]["known"], Value::Null, "no label of a metric");
    }
}

#[test]
fn strangers_cause_no_entry_and_leave_a_line() {
    let mut rig = Rig::new(&["a"]);
    let mut head = rig.head("/v1/chat/completions");
    head.headers[0].1 = "Bearer tg_forged".to_owned();
    let (id, _) = rig.arrive(head);
    assert_eq!(rig.entries(), [Value::Null; 0]);
    let line = &rig.talk(id).logs[0];
    let told = ["status", "error", "route", "method", "key.id", "org"].map(|it| line[it].clone());
    let expected = [
        json!(401),
        json!("invalid_api_key"),
        json!("/v1/chat/completions"),
        json!("POST"),
    ];
    assert_eq!(told[..4], expected);
    assert_eq!(told[4..], [Value::Null, Value::Null]);
}

#[test]
fn a_path_that_is_no_route_and_a_query_are_in_no_line() {
    let mut rig = Rig::new(&["a"]);
    let mut head = rig.head("/v1/tg_secret");
    head.query = "key=tg_secret".to_owned();
    let (id, _) = rig.arrive(head);
    let line = rig.talk(id).logs[0].to_string();
    assert!(!line.contains("tg_secret"), "{line}");
    assert_eq!(rig.talk(id).logs[0]["route"], Value::Null);
}

#[test]
fn a_hundred_entries_leave_with_the_answer_that_makes_them_full() {
    let mut rig = Rig::new(&["a"]);
    for n in 1..=100 {
        let id = rig.granted_chat(&chat(), "a");
        rig.answer(id, 0, 200, ANSWER);
        assert_eq!(rig.batches.len(), usize::from(n == 100), "after {n}");
    }
    let (_, to, message) = &rig.batches[0];
    assert!(
        to.as_str().starts_with("journal/default/2026-11-21/"),
        "{to}"
    );
    assert_eq!(message["entries"].as_array().unwrap().len(), 100);
}

#[test]
fn a_batch_is_sent_until_the_journal_has_it() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&chat(), "a");
    rig.answer(id, 0, 200, ANSWER);
    rig.pass(1_000);
    rig.flush();
    let (token, _, first) = rig.batches.pop().unwrap();
    let lost = CallOutcome::Failed("evicted".to_owned());
    let effects = rig.gateway.refreshed(rig.now, token, lost);
    let again = serde_json::to_value(&effects).unwrap();
    assert_eq!(again, json!([{"effect": "flush_after", "ms": 500}]));
    rig.pass(500);
    rig.flush();
    let (token, _, second) = rig.batches.pop().unwrap();
    assert_eq!(first, second);
    let taken = CallOutcome::Answered("{}".to_owned());
    assert_eq!(rig.gateway.refreshed(rig.now, token, taken), []);
    assert_eq!(rig.entries(), [Value::Null; 0]);
}

#[test]
fn a_stream_that_breaks_is_an_error_under_its_200() {
    let mut rig = Rig::new(&["a"]);
    let id = rig.granted_chat(&streamed(), "a");
    rig.headers(id, 0, 200, SSE);
    rig.chunk(id, 0, WORD);
    rig.end(id, 0, tidegate_edge::effect::BodyEnd::Broken);
    rig.flush();
    let entries = rig.entries();
    let told = ["status", "error"].map(|name| entries[0][name].clone());
    assert_eq!(told, [json!(200), json!("upstream_truncated")]);
}
