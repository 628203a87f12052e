//! The Cloudflare Workers host: the only cdylib. Every export is one synchronous call.

use wasm_bindgen::prelude::*;

/// Runs at every instantiation, also at the fresh one that follows a trap.
#[wasm_bindgen(start)]
fn start() {
    wasm_bindgen::handler::set_on_abort(wasm_bindgen::handler::schedule_reinit);
}

/// One crossing, text in and text out.
#[wasm_bindgen]
#[must_use]
pub fn probe_call(text: &str) -> String {
    assert_ne!(text, "panic", "a panic in a call");
    text.to_uppercase()
}

/// Overflows the stack: a trap, which no unwinding can catch.
#[wasm_bindgen]
#[must_use]
pub fn probe_trap() -> u64 {
    #[expect(unconditional_recursion, reason = "that is the point")]
    fn deep(n: u64) -> u64 {
        let pad = std::hint::black_box([n; 64]);
        pad.iter()
            .copied()
            .fold(deep(n.wrapping_add(1)), u64::wrapping_add)
    }
    deep(1)
}
