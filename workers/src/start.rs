//! What runs once when an instance begins: how its panics are reported, and what a trap does to it.

use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(line: &str);
}

/// Runs when the module is instantiated, also anew after a trap.
#[wasm_bindgen(start)]
fn start() {
    // A trap (out of memory, stack overflow) leaves the instance poisoned. The host replaces it at once;
    // this is for the case that it fails to.
    wasm_bindgen::handler::set_on_abort(wasm_bindgen::handler::schedule_reinit);
    std::panic::set_hook(Box::new(|panic| {
        // Only the place. The text may quote what was being handled: a prompt, a key.
        let place = panic.location().map(ToString::to_string);
        console_error(&format!(
            r#"{{"level":"error","event":"panic","at":"{}"}}"#,
            place.unwrap_or_default()
        ));
    }));
}
