//! The Cloudflare Workers host: the only cdylib.

use worker::{Context, DurableObject, Env, Request, Response, Result, State, durable_object, event};

use wasm_bindgen::prelude::*;

#[wasm_bindgen(module = "/js/host.js")]
extern "C" {
    fn now_ms() -> f64;
    fn boom();
}

/// Answers the few routes that prove the pipeline.
#[event(fetch)]
async fn fetch(req: Request, env: Env, _ctx: Context) -> Result<Response> {
    match req.path().as_str() {
        "/panic" => panic!("a panic in the worker"),
        path if path.starts_with("/object/") => {
            let stub = env.durable_object("INSTANCE")?.get_by_name("probe")?;
            stub.fetch_with_request(req).await
        }
        _ => Response::ok(format!("hello at {}\n", now_ms())),
    }
}

/// An object that answers, and one that panics.
#[durable_object(fetch)]
pub struct Probe {
    _state: State,
}

impl DurableObject for Probe {
    fn new(state: State, _env: Env) -> Self {
        Self { _state: state }
    }

    async fn fetch(&self, req: Request) -> Result<Response> {
        match req.path().as_str() {
            "/object/panic" => panic!("a panic in an object"),
            _ => Response::ok("hello from the object\n"),
        }
    }
}

/// One synchronous crossing, text in and text out.
#[wasm_bindgen]
pub fn probe_call(json: &str) -> String {
    match json {
        "panic" => panic!("a panic in a direct call"),
        _ => json.to_uppercase(),
    }
}

fn deep(n: u64) -> u64 {
    let pad = [n; 64];
    if n == 0 { 0 } else { std::hint::black_box(pad)[(n % 64) as usize] + deep(n + 1) }
}

/// Overflows the stack: a trap, which no unwinding can catch.
#[wasm_bindgen]
pub fn probe_trap() -> u64 {
    deep(1)
}

/// What an exception of the platform's does on its way through.
#[wasm_bindgen]
pub fn probe_throw() -> String {
    boom();
    "unreached".to_owned()
}

/// Something held across calls.
#[wasm_bindgen]
pub struct Held {
    count: u32,
}

#[wasm_bindgen]
impl Held {
    /// Starts at nothing.
    #[wasm_bindgen(constructor)]
    pub fn new() -> Self {
        Self { count: 0 }
    }

    /// Counts, and panics on request with the borrow held.
    pub fn step(&mut self, json: &str) -> String {
        self.count += 1;
        if json == "panic" {
            panic!("a panic in a held object");
        }
        if json == "throw" {
            boom();
        }
        format!("{} {json}", self.count)
    }
}

impl Default for Held {
    fn default() -> Self {
        Self::new()
    }
}
