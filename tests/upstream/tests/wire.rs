//! The server's lies and manners, seen from a raw loopback socket.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod client;

use client::{Upstream, chat};
use serde_json::{Value, json};

#[tokio::test]
async fn good_chat_answers_the_same_bytes_each_time_on_one_connection() {
    let upstream = Upstream::start().await;
    let mut connection = upstream.connect().await;
    let mut answers = Vec::new();
    for _ in 0..2 {
        connection.send(&chat(false)).await;
        answers.push(connection.answer().await);
    }
    assert_eq!(answers[0], answers[1]);
    let body: Value = serde_json::from_slice(&answers[0].body).unwrap();
    assert_eq!(
        body["choices"][0]["message"]["content"],
        "Hello! How can I help you today?"
    );
    assert_eq!(body["usage"]["completion_tokens"], 9);
}

#[tokio::test]
async fn usage_comes_in_its_own_chunk_only_when_asked_for() {
    let upstream = Upstream::start().await;
    let plain = upstream.ask(&chat(true)).await;
    assert!(!plain.text().contains("usage"));
    let asked = chat(true).replace(
        "\"stream\":true",
        "\"stream\":true,\"stream_options\":{\"include_usage\":true}",
    );
    let asked = upstream.ask(&asked).await;
    assert!(asked.text().contains("\"choices\":[],"));
    assert!(asked.text().ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn transformers_puts_usage_beside_the_finish_and_sends_no_terminator() {
    let upstream = Upstream::start().await;
    upstream
        .put("script", json!({"dialect": "transformers"}))
        .await;
    let text = upstream.ask(&chat(true)).await.text();
    let last = text.trim_end().rsplit("\n\n").next().unwrap();
    let last: Value = serde_json::from_str(last.trim_start_matches("data: ")).unwrap();
    assert_eq!(last["choices"][0]["finish_reason"], "stop");
    assert_eq!(last["usage"]["completion_tokens"], 9);
}

#[tokio::test]
async fn llama_cpp_announces_keep_alive_and_closes_after_a_stream() {
    let upstream = Upstream::start().await;
    upstream
        .put("script", json!({"dialect": "llama.cpp"}))
        .await;
    let mut connection = upstream.connect().await;
    connection.send(&chat(true)).await;
    let answer = connection.answer().await;
    assert!(answer.head.contains("Connection: keep-alive"));
    assert!(connection.is_at_end().await);
}

#[tokio::test]
async fn a_rule_applies_so_many_times_and_then_no_more() {
    let upstream = Upstream::start().await;
    let rule = json!({"path": "/v1/chat/completions", "skip": 1, "times": 2, "behaviour":
        {"do": "status", "status": 429, "headers": [["Retry-After", "-1"]]}});
    upstream.put("script", json!({"rules": [rule]})).await;
    let mut seen = Vec::new();
    for _ in 0..4 {
        seen.push(upstream.ask(&chat(false)).await.status());
    }
    assert_eq!(seen, [200, 429, 429, 200]);
}

#[tokio::test]
async fn a_cut_stream_sends_so_many_chunks_half_a_frame_and_a_fin() {
    let upstream = Upstream::start().await;
    let cut = json!({"do": "cut", "after_chunks": 2, "how": "fin", "half_frame": true});
    upstream.order(cut).await;
    let mut connection = upstream.connect().await;
    connection.send(&chat(true)).await;
    let bytes = connection.rest().await.expect("a FIN is no error");
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("w0 ") && text.contains("w1 ") && !text.contains("w3 "));
    assert_eq!(
        text.matches("\n\n").count(),
        3,
        "the role, two tokens, no more"
    );
    assert!(!text.contains("[DONE]") && !text.ends_with("0\r\n\r\n"));
    assert_eq!(
        upstream.journal("ended=1").await["requests"][0]["outcome"],
        "cut"
    );
}

#[tokio::test]
async fn a_reset_is_seen_as_a_reset() {
    let upstream = Upstream::start().await;
    upstream
        .order(json!({"do": "cut", "after_chunks": 1, "how": "reset"}))
        .await;
    let mut connection = upstream.connect().await;
    connection.send(&chat(true)).await;
    let problem = connection.rest().await.expect_err("the end is a reset");
    assert_eq!(problem.kind(), std::io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_length_that_lies_is_off_by_exactly_what_was_ordered() {
    let upstream = Upstream::start().await;
    for off in [7, -7] {
        let rule = json!({"framing": {"length_off_by": off}});
        upstream.put("script", json!({"rules": [rule]})).await;
        let mut connection = upstream.connect().await;
        connection.send(&chat(false)).await;
        let text = String::from_utf8(connection.rest().await.unwrap()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let told: i64 = head
            .lines()
            .find_map(|line| line.strip_prefix("Content-Length: "))
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(told - body.len() as i64, off);
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_in_the_journal_in_every_phase() {
    let upstream = Upstream::start().await;
    let orders = [
        (json!({"do": "hang"}), false, 0),
        (json!({"do": "headers_then_silence"}), true, 1),
        (
            json!({"do": "cut", "after_chunks": 1, "how": "silence"}),
            true,
            1,
        ),
        (
            json!({"do": "pace", "chunks": 3, "interval_ms": 60_000}),
            true,
            1,
        ),
        (
            json!({"do": "pace", "chunks": 2, "interval_ms": 60_000}),
            false,
            0,
        ),
    ];
    for (order, stream, wait_for_bytes) in orders {
        upstream.post("reset", json!({})).await;
        upstream.order(order.clone()).await;
        let mut connection = upstream.connect().await;
        connection.send(&chat(stream)).await;
        connection.read_at_least(wait_for_bytes).await;
        upstream.journal("requests=1").await;
        let left = client::now_ms();
        drop(connection);
        let journal = upstream.journal("aborted=1").await;
        let entry = &journal["requests"][0];
        assert_eq!(entry["outcome"], "aborted", "{order}");
        let seen = entry["client_left_ms"].as_f64().unwrap();
        // Milliseconds when idle; the bound only has to tell it from the 60 s of the next chunk.
        let after = seen - left;
        assert!(after < 5000.0, "{order}: seen after {after} ms");
    }
}

#[tokio::test]
async fn refused_connections_are_served_again_when_the_time_is_over() {
    let upstream = Upstream::start().await;
    upstream.put("accepting", json!({"mode": "refuse"})).await;
    upstream.until_refused().await;
    upstream.put("accepting", json!({"mode": "normal"})).await;
    upstream.until_accepted().await;
    assert_eq!(upstream.ask(&chat(false)).await.status(), 200);
}

#[tokio::test]
async fn open_connections_are_reset_by_order() {
    let upstream = Upstream::start().await;
    upstream.order(json!({"do": "hang"})).await;
    let mut connection = upstream.connect().await;
    connection.send(&chat(false)).await;
    upstream.journal("requests=1").await;
    upstream
        .put(
            "accepting",
            json!({"mode": "normal", "close_existing": true}),
        )
        .await;
    let problem = connection.rest().await.expect_err("the end is a reset");
    assert_eq!(problem.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(
        upstream.journal("ended=1").await["requests"][0]["outcome"],
        "cut"
    );
}

#[tokio::test]
async fn the_head_carries_interim_answers_repeats_and_a_redirect() {
    let upstream = Upstream::start().await;
    let rule = json!({
        "interim": [103], "trickle_head_ms": 1,
        "extra_headers": [["X-Twice", "a"], ["X-Twice", "b"]],
        "behaviour": {"do": "redirect", "status": 307, "location": "http://127.0.0.1:1/"},
    });
    upstream.put("script", json!({"rules": [rule]})).await;
    let mut connection = upstream.connect().await;
    connection.send(&chat(false)).await;
    let interim = connection.head().await;
    assert!(interim.starts_with("HTTP/1.1 103 Early Hints\r\n"));
    let answer = connection.answer().await;
    assert_eq!(answer.status(), 307);
    assert!(answer.head.contains("Location: http://127.0.0.1:1/\r\n"));
    assert_eq!(answer.head.matches("X-Twice: ").count(), 2);
}

#[tokio::test]
async fn broken_events_stand_where_they_were_ordered() {
    let upstream = Upstream::start().await;
    let cases: [(Value, &[u8]); 9] = [
        (
            json!({"do": "invalid_json", "at": 1}),
            b"data: {\"choices\":[{\"delta\":\n\n",
        ),
        (json!({"do": "broken_utf8"}), b"\"content\":\"\xffHello"),
        (json!({"do": "bom"}), b"\xef\xbb\xbfdata: {"),
        (json!({"do": "cr_lines"}), b"data: [DONE]\r\r"),
        (json!({"do": "crlf_lines"}), b"data: [DONE]\r\n\r\n"),
        (json!({"do": "empty_data"}), b"data: \n\n"),
        (json!({"do": "after_done"}), b"data: [DONE]\n\ndata: {"),
        (json!({"do": "error_event", "at": 2}), b"data: {\"error\":"),
        (json!({"do": "null_choices"}), b"\"choices\":null"),
    ];
    for (order, wanted) in cases {
        upstream.order(order.clone()).await;
        let body = upstream.ask(&chat(true)).await.body;
        let found = body.windows(wanted.len()).any(|window| window == wanted);
        assert!(found, "{order}: {}", String::from_utf8_lossy(&body));
    }
    upstream
        .order(json!({"do": "giant_event", "bytes": 300_000}))
        .await;
    assert!(upstream.ask(&chat(true)).await.body.len() > 300_000);
}

#[tokio::test]
async fn the_wrong_kind_of_body_comes_with_status_200() {
    let upstream = Upstream::start().await;
    for (order, stream, content_type) in [
        (json!({"do": "html_page"}), false, "text/html"),
        (json!({"do": "json_for_stream"}), true, "application/json"),
        (json!({"do": "sse_for_plain"}), false, "text/event-stream"),
        (json!({"do": "error_with_ok"}), false, "application/json"),
        (json!({"do": "gzip"}), false, "application/json"),
    ] {
        upstream.order(order.clone()).await;
        let answer = upstream.ask(&chat(stream)).await;
        assert_eq!(answer.status(), 200, "{order}");
        assert!(
            answer.head.contains(content_type),
            "{order}: {}",
            answer.head
        );
    }
}

#[tokio::test]
async fn a_mistyped_order_is_refused_and_changes_nothing() {
    let upstream = Upstream::start().await;
    upstream.order(json!({"do": "status", "status": 500})).await;
    let refused = upstream
        .control(
            "PUT",
            "script",
            json!({"rules": [{"behaviour": {"do": "hang", "for": 1}}]}),
        )
        .await;
    assert_eq!(refused.status(), 400);
    assert_eq!(upstream.ask(&chat(false)).await.status(), 500);
}

#[tokio::test]
async fn a_key_is_wanted_when_one_was_set() {
    let upstream = Upstream::with_key("k").await;
    assert_eq!(upstream.ask(&chat(false)).await.status(), 401);
    let with_key = chat(false).replace("Host: x\r\n", "Host: x\r\nAuthorization: Bearer k\r\n");
    assert_eq!(upstream.ask(&with_key).await.status(), 200);
}
