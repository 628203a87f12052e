//! Randomness from the platform's `crypto`.

use tidegate_durable::ports::Entropy;
use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn get_random_values(bytes: &mut [u8]);
}

/// The platform gives at most this many bytes a call.
/// Source: <https://w3c.github.io/webcrypto/#Crypto-method-getRandomValues>.
const MOST_BYTES: usize = 65_536;

/// `crypto.getRandomValues`, which is there during a request and not while a script starts.
pub struct PlatformEntropy;

impl Entropy for PlatformEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        for piece in bytes.chunks_mut(MOST_BYTES) {
            get_random_values(piece);
        }
    }
}
