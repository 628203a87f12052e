//! Sends the call of each request that it reads, and prints what the codec makes of the answer: one JSON object
//! a line, in and out. A line with `parts` in place of a request is answered with the offers that they make.
//!
//! `tests/oracles/aws` drives a stand-in for EC2 with it. Against AWS itself it does what it is told, machines
//! included: give it an `api` unless that is meant.
#![allow(
    clippy::expect_used,
    dead_code,
    reason = "a native program that ends when its premises do not hold"
)]

mod line;

use std::io::BufRead as _;

use serde_json::{Value, json};
use tidegate_provider_api::{HttpCall, HttpReply, Provider as _};
use tidegate_provider_aws::Aws;

fn main() {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .build()
        .into();
    for text in std::io::stdin().lock().lines() {
        let asked = line::Asked::read(&text.expect("a line"));
        println!("{}", answer(&agent, &asked));
    }
}

fn answer(agent: &ureq::Agent, asked: &line::Asked) -> Value {
    let Some(request) = &asked.request else {
        return asked.offers();
    };
    let cx = asked.cx();
    let call = match Aws.encode(&cx, request) {
        Ok(call) => call,
        Err(error) => return json!({ "error": error }),
    };
    let reply = send(agent, &call, cx.now_ms);
    let status = reply.status;
    match Aws.decode(&cx, request, &reply) {
        Ok(reply) => json!({ "status": status, "reply": reply }),
        Err(error) => json!({ "status": status, "error": error }),
    }
}

fn send(agent: &ureq::Agent, call: &HttpCall, now_ms: i64) -> HttpReply {
    let mut request = agent.post(&call.url);
    for (name, value) in &call.headers {
        request = request.header(name, value);
    }
    let body = call.body.as_deref().unwrap_or_default();
    let mut reply = request.send(body).expect("an answer");
    let header = |(name, value): (&ureq::http::HeaderName, &ureq::http::HeaderValue)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    };
    HttpReply {
        status: reply.status().as_u16(),
        headers: reply.headers().iter().filter_map(header).collect(),
        body: reply.body_mut().read_to_string().expect("a text"),
        now_ms,
    }
}
