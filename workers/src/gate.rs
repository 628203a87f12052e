//! The egress gate, for calls that objects ask their host to make.

use tidegate_egress::Gate;
use wasm_bindgen::prelude::*;

use crate::config::Bindings;

/// What may be called in this environment.
#[wasm_bindgen]
pub struct GateHandle {
    gate: Gate,
}

#[wasm_bindgen]
impl GateHandle {
    /// Reads the switches. `config_json` is a `config::Bindings`.
    ///
    /// # Errors
    /// When a rule cannot be read.
    #[wasm_bindgen(constructor)]
    pub fn new(config_json: &str) -> Result<GateHandle, JsError> {
        let gate = Bindings::read(config_json)?.gate()?;
        Ok(Self { gate })
    }

    /// Why this URL may not be called; nothing when it may.
    pub fn refusal(&self, url: &str) -> Option<String> {
        self.gate
            .check(url)
            .err()
            .map(|refused| refused.to_string())
    }
}
