//! The border between the platform and the gateway: the only crate that knows JavaScript.
//!
//! `host/*.ts` owns everything that takes time (requests, timers, streams, storage); the crates behind
//! this one own every decision. Here the two meet in synchronous calls: plain numbers, texts and bytes
//! come in, one text of effects goes out, because what costs on this border is the number of crossings.
//!
//! Invariant: nothing here awaits, and every failure reaches the caller as a JavaScript exception of
//! that one call. The build unwinds panics for this; without it a caller of a panicked object would wait
//! for ever.

mod edge;
mod gate;
mod object;
mod vault;
mod vendor;

mod config;
mod entropy;
mod fault;
mod sql;
mod start;

use tidegate_domain::time::Timestamp;

/// The platform's clock (`Date.now()`, whole milliseconds as a double) as a moment.
fn moment(now_ms: f64) -> Timestamp {
    // In range for 280,000 years; a NaN becomes the epoch.
    Timestamp::from_ms(now_ms as i64)
}

/// Header lines as the host hands them over: names and values in turn, each ended by a newline, which neither
/// can hold.
fn header_lines(flat: &str) -> Vec<(String, String)> {
    let mut lines = flat.split('\n');
    let mut headers = Vec::new();
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        headers.push((name.to_owned(), value.to_owned()));
    }
    headers
}
