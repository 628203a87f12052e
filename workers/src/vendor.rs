//! Calls to vendors, for the host to send: a thin shell around `tidegate_provider_calls`.

use serde::Serialize;
use tidegate_durable::turn::{Outcome, VendorCall};
use tidegate_provider_api::{HttpReply, ProviderError, Reply};
use tidegate_provider_calls::VendorCalls;
use wasm_bindgen::prelude::*;

use crate::config::Bindings;
use crate::{header_lines, moment};

/// Credentials, codecs and addresses of every vendor.
#[wasm_bindgen]
pub struct VendorHandle {
    calls: VendorCalls,
}

/// What to do about a call.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Prepared {
    /// Send this. It holds a credential: not for logs.
    Send {
        method: &'static str,
        url: String,
        headers: Vec<(String, String)>,
        body: Option<String>,
    },
    /// Nothing: this is how it ended.
    Ended(Outcome),
}

#[wasm_bindgen]
impl VendorHandle {
    /// Derives the keys. `config_json` is a `config::Bindings`.
    ///
    /// # Errors
    /// When a binding is missing or cannot be used; says which.
    #[wasm_bindgen(constructor)]
    pub fn new(config_json: &str) -> Result<VendorHandle, JsError> {
        let bindings = Bindings::read(config_json)?;
        let origins = bindings.vendor_origins()?;
        let (installation, keyring) = bindings.keys()?;
        let calls = VendorCalls {
            installation,
            keyring,
            origins,
            find: tidegate_providers::by_name,
        };
        Ok(Self { calls })
    }

    /// What to send for a [`VendorCall`] (JSON): `{"send":{…}}`, or `{"ended":…}` with an outcome when nothing
    /// is to be sent.
    ///
    /// # Errors
    /// When the call cannot be read.
    pub fn prepare(&self, now_ms: f64, call_json: &str) -> Result<String, JsError> {
        let call = read_call(call_json)?;
        let prepared = match self.calls.prepare(moment(now_ms).as_ms(), &call) {
            Ok(http) => Prepared::Send {
                method: http.method.as_str(),
                url: http.url,
                headers: http.headers,
                body: http.body,
            },
            Err(error) => Prepared::Ended(outcome(Err(error), 0.0)),
        };
        Ok(serde_json::to_string(&prepared)?)
    }

    /// What came back after so many milliseconds, as an outcome. `headers` alternates lower-case names and
    /// values, each ended by a newline.
    ///
    /// # Errors
    /// When the call cannot be read.
    pub fn read(
        &self,
        now_ms: f64,
        latency_ms: f64,
        call_json: &str,
        status: u16,
        headers: &str,
        body: String,
    ) -> Result<String, JsError> {
        let call = read_call(call_json)?;
        let reply = HttpReply {
            status,
            headers: header_lines(headers),
            body,
            now_ms: moment(now_ms).as_ms(),
        };
        let read = self.calls.read(&call, &reply);
        Ok(serde_json::to_string(&outcome(read, latency_ms))?)
    }

    /// How a call ended that was sent and not answered, as an outcome. `words` hold nothing of what was sent.
    ///
    /// # Errors
    /// When the call cannot be read.
    pub fn unanswered(
        &self,
        latency_ms: f64,
        call_json: &str,
        words: &str,
    ) -> Result<String, JsError> {
        let call = read_call(call_json)?;
        let error = VendorCalls::unanswered(&call, words);
        Ok(serde_json::to_string(&outcome(Err(error), latency_ms))?)
    }
}

fn read_call(json: &str) -> Result<VendorCall, JsError> {
    // Not in serde's words: they quote values.
    serde_json::from_str(json).map_err(|_| JsError::new("the call to a vendor cannot be read"))
}

fn outcome(read: Result<Reply, ProviderError>, latency_ms: f64) -> Outcome {
    let (reply, error) = match read {
        Ok(reply) => (Some(reply), None),
        Err(error) => (None, Some(error)),
    };
    Outcome::Vendor {
        reply,
        error,
        latency_ms: latency_ms as u64,
    }
}
