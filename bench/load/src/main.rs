//! Closed-loop load generator for OpenAI-compatible servers: `connections` workers each keep one
//! keep-alive connection busy and start the next request when the last byte of the former arrived.
//!
//! In scope: requests a second, latency, time to first token, gaps between tokens, errors by kind.
//! Out of scope: open-loop arrival rates. Everything runs on one thread, so that on a small machine
//! the generator takes at most one core from what it measures.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a native program that ends when its premises do not hold"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a native program that measures, so it reads the clock"
)]

mod exchange;
mod options;
mod round;
mod stats;
mod stream;

use std::process::ExitCode;

fn main() -> ExitCode {
    let options = match options::Options::from_env() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!("{problem}\n\n{}", options::USAGE);
            return ExitCode::from(2);
        }
    };
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(problem) => {
            eprintln!("the async runtime did not start, so nothing was measured: {problem}");
            return ExitCode::FAILURE;
        }
    };
    let reports = runtime.block_on(round::run_all(&options));
    if options.json {
        match serde_json::to_string(&reports) {
            Ok(text) => println!("{text}"),
            Err(problem) => {
                eprintln!("the figures could not be written as JSON: {problem}");
                return ExitCode::FAILURE;
            }
        }
    } else {
        println!("{}", stats::table(&reports));
    }
    if reports.iter().any(|report| report.requests == 0) {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
