//! Prints the signed call of each request that it reads: one JSON object a line, in and out. It sends nothing.
//!
//! `tests/oracles/aws` holds what it prints against botocore.
#![allow(
    clippy::expect_used,
    dead_code,
    reason = "a native program that ends when its premises do not hold"
)]

mod line;

use std::io::BufRead as _;

use serde_json::json;
use tidegate_provider_api::Provider as _;
use tidegate_provider_aws::Aws;

fn main() {
    for text in std::io::stdin().lock().lines() {
        let asked = line::Asked::read(&text.expect("a line"));
        let request = asked.request.as_ref().expect("a request");
        let answer = match Aws.encode(&asked.cx(), request) {
            Ok(call) => json!({ "call": line::shown(&call) }),
            Err(error) => json!({ "error": error }),
        };
        println!("{answer}");
    }
}
