//! Opens what objects hold sealed, at the last moment before it is sent.

use tidegate_vault::{Context, Keyring, open};
use wasm_bindgen::prelude::*;

use crate::config::Bindings;

/// The installation's wrapping keys.
#[wasm_bindgen]
pub struct VaultHandle {
    keyring: Keyring,
}

#[wasm_bindgen]
impl VaultHandle {
    /// Derives the keys. `config_json` is a `config::Bindings`.
    ///
    /// # Errors
    /// When a secret is missing or cannot be used.
    #[wasm_bindgen(constructor)]
    pub fn new(config_json: &str) -> Result<VaultHandle, JsError> {
        let (_, keyring) = Bindings::read(config_json)?.keys()?;
        Ok(Self { keyring })
    }

    /// Opens a `tidegate_durable::turn::Bearer`.
    ///
    /// # Errors
    /// When it was sealed for something else or under a secret that is not bound any more.
    #[wasm_bindgen(js_name = openBearer)]
    pub fn open_bearer(&self, org: &str, record: &str, sealed: &str) -> Result<String, JsError> {
        // The field as registered servers are sealed with (`tidegate_edge`).
        let context = Context {
            organisation: org,
            record,
            field: "api_key",
        };
        let secret = open(&self.keyring, &context, sealed)?;
        let text = secret
            .expose_str()
            .ok_or_else(|| JsError::new("the sealed token is no text"))?;
        Ok(text.to_owned())
    }
}
