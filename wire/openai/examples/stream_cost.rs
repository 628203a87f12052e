//! Measures what the stream reader costs per chunk, with the chunks as the engines cut them (one frame
//! each) and cut in the middle. Run with `cargo run --release -p tidegate-wire-openai --example stream_cost`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a native program that ends when its premises do not hold"
)]
#![allow(clippy::disallowed_methods, reason = "a native program that measures")]

use std::hint::black_box;
use std::time::Instant;

use tidegate_wire_openai::{PeekLimits, Step, StreamOptions, StreamReader, peek};

const ROUNDS: u32 = 20_000;

fn main() {
    for (name, answer) in [
        (
            "llama.cpp",
            include_str!("../tests/recordings/llama-cpp/chat-stream-usage.http"),
        ),
        (
            "vLLM",
            include_str!("../tests/recordings/vllm/chat-stream-usage.http"),
        ),
        (
            "transformers",
            include_str!("../tests/recordings/transformers/chat-stream-usage.http"),
        ),
    ] {
        // The frames alone, without the answer's head and the lengths of its chunks.
        let stream: String = answer
            .lines()
            .filter(|line| line.starts_with("data: "))
            .map(|line| format!("{line}\n\n"))
            .collect();
        let frames: Vec<&[u8]> = stream.split_inclusive("\n\n").map(str::as_bytes).collect();
        let halves: Vec<&[u8]> = frames
            .iter()
            .flat_map(|frame| {
                let (head, tail) = frame.split_at(frame.len() / 2);
                [head, tail]
            })
            .collect();
        let mean = stream.len() / frames.len();
        println!(
            "{name}: {:.2} µs a frame of {mean} bytes, {:.2} µs a half frame",
            cost(&frames),
            cost(&halves)
        );
    }
    let body = format!(
        r#"{{"model":"m","messages":[{{"role":"user","content":"{}"}}],"stream":true}}"#,
        "lorem ipsum ".repeat(200)
    );
    let started = Instant::now();
    for _ in 0..ROUNDS {
        black_box(peek(black_box(body.as_bytes()), &PeekLimits::default()).is_ok());
    }
    println!(
        "peek: {:.2} µs a body of {} bytes",
        each(started, ROUNDS),
        body.len()
    );
}

fn cost(chunks: &[&[u8]]) -> f64 {
    let started = Instant::now();
    let mut pushed = 0;
    for _ in 0..ROUNDS {
        let mut reader = StreamReader::new(StreamOptions {
            hide_usage: true,
            ..StreamOptions::default()
        });
        for chunk in chunks {
            pushed += 1;
            let step: Step = reader.push(black_box(chunk));
            black_box(step == Step::Untouched);
        }
    }
    each(started, pushed)
}

fn each(started: Instant, count: u32) -> f64 {
    started.elapsed().as_secs_f64() * 1e6 / f64::from(count)
}
