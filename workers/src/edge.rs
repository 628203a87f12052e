//! The gateway of one isolate, for the host to run requests through.
//!
//! Every method takes the time and one event; what comes back are effects as a JSON array, or an empty
//! text for none. [`EdgeHandle::chunk`] is called hundreds of times an answer and has a shorter form.

use std::panic::AssertUnwindSafe;

use tidegate_edge::effect::{self, BodyEnd, CallOutcome, Effect, ProbeOutcome};
use tidegate_edge::gateway::Gateway;
use tidegate_edge::request::Head;
use wasm_bindgen::prelude::*;

use crate::config::Bindings;
use crate::entropy::PlatformEntropy;
use crate::{header_lines, moment};

/// The gateway. After a panic in the middle of a call the host abandons that exchange; what exchanges share
/// is caches and counters, for which half an update is an old one.
#[wasm_bindgen]
pub struct EdgeHandle {
    gateway: AssertUnwindSafe<Gateway>,
}

/// How the body of an attempt ended.
#[wasm_bindgen]
#[derive(Clone, Copy)]
pub enum End {
    /// In an orderly way.
    Eof,
    /// The connection broke, or was never made.
    Broken,
    /// The whole body is larger than was allowed.
    TooLarge,
}

/// How a request's body ended.
#[wasm_bindgen]
#[derive(Clone, Copy)]
pub enum UploadEnd {
    /// In an orderly way.
    Whole,
    /// The client broke it off.
    Broken,
    /// The client fell silent.
    Stalled,
}

#[wasm_bindgen]
impl EdgeHandle {
    /// A gateway that knows nothing yet. `config_json` is a `config::Bindings`.
    ///
    /// # Errors
    /// When a binding is missing or cannot be used; says which.
    #[wasm_bindgen(constructor)]
    pub fn new(config_json: &str) -> Result<EdgeHandle, JsError> {
        let config = Bindings::read(config_json)?.config()?;
        let gateway = Gateway::new(config, Box::new(PlatformEntropy));
        Ok(Self {
            gateway: AssertUnwindSafe(gateway),
        })
    }

    /// A request arrived. `headers` alternates lower-case names and values, each ended by a newline,
    /// which neither can hold. Returns `{"id":…,"headers":[…],"effects":[…]}`, where `headers` is what
    /// the host adds to answers that it gives by itself.
    ///
    /// # Errors
    /// When the effects cannot be written down: a bug.
    pub fn begin(
        &mut self,
        now_ms: f64,
        method: String,
        path: String,
        query: String,
        headers: &str,
    ) -> Result<String, JsError> {
        let head = Head {
            method,
            path,
            query,
            headers: header_lines(headers),
        };
        let (id, effects) = self.gateway.begin(moment(now_ms), head);
        let headers = serde_json::to_string(&self.gateway.always(id))?;
        let effects = serde_json::to_string(&effects)?;
        Ok(format!(
            r#"{{"id":{id},"headers":{headers},"effects":{effects}}}"#
        ))
    }

    /// The body is here; without one it is longer than the limit.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    pub fn body(&mut self, id: u32, now_ms: f64, body: Option<Vec<u8>>) -> Result<String, JsError> {
        text(&self.gateway.body(id, moment(now_ms), body))
    }

    /// A piece of an upload.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    pub fn upload(&mut self, id: u32, now_ms: f64, piece: &[u8]) -> Result<String, JsError> {
        text(&self.gateway.upload(id, moment(now_ms), piece))
    }

    /// An upload ended.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    #[wasm_bindgen(js_name = uploadEnded)]
    pub fn upload_ended(
        &mut self,
        id: u32,
        now_ms: f64,
        end: UploadEnd,
    ) -> Result<String, JsError> {
        let end = match end {
            UploadEnd::Whole => effect::UploadEnd::Whole,
            UploadEnd::Broken => effect::UploadEnd::Broken,
            UploadEnd::Stalled => effect::UploadEnd::Stalled,
        };
        text(&self.gateway.upload_ended(id, moment(now_ms), end))
    }

    /// An object answered (`ok`), or did not and `said` tells why.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    pub fn answered(
        &mut self,
        id: u32,
        now_ms: f64,
        call: u32,
        ok: bool,
        said: String,
    ) -> Result<String, JsError> {
        text(
            &self
                .gateway
                .answered(id, moment(now_ms), call, call_outcome(ok, said)),
        )
    }

    /// A probe ended; without a status it failed and `said` tells why.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    pub fn probed(
        &mut self,
        id: u32,
        now_ms: f64,
        call: u32,
        status: Option<u16>,
        said: String,
        latency_ms: f64,
    ) -> Result<String, JsError> {
        let outcome = match status {
            Some(status) => ProbeOutcome::Answered {
                status,
                body: said,
                latency_ms: latency_ms as u64,
            },
            None => ProbeOutcome::Failed { reason: said },
        };
        text(&self.gateway.probed(id, moment(now_ms), call, outcome))
    }

    /// A refresh behind a request ended. Effects behind an answer may follow.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    pub fn refreshed(
        &mut self,
        now_ms: f64,
        token: u32,
        ok: bool,
        said: String,
    ) -> Result<String, JsError> {
        text(
            &self
                .gateway
                .refreshed(moment(now_ms), token, call_outcome(ok, said)),
        )
    }

    /// A server's response headers are here, written as in [`EdgeHandle::begin`].
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    pub fn headers(
        &mut self,
        id: u32,
        now_ms: f64,
        attempt: u32,
        status: u16,
        headers: &str,
    ) -> Result<String, JsError> {
        let headers = header_lines(headers);
        text(
            &self
                .gateway
                .headers(id, moment(now_ms), attempt, status, &headers),
        )
    }

    /// A chunk of a streamed answer. `undefined`: nothing to do. `true`: send this very chunk. Else a
    /// text of effects.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    #[wasm_bindgen(unchecked_return_type = "string | true | undefined")]
    pub fn chunk(
        &mut self,
        id: u32,
        now_ms: f64,
        attempt: u32,
        chunk: &[u8],
    ) -> Result<JsValue, JsError> {
        let effects = self.gateway.chunk(id, moment(now_ms), attempt, chunk);
        Ok(match effects.as_slice() {
            [] => JsValue::UNDEFINED,
            [Effect::WriteChunk] => JsValue::TRUE,
            effects => JsValue::from_str(&text(effects)?),
        })
    }

    /// A whole answer.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    pub fn whole(
        &mut self,
        id: u32,
        now_ms: f64,
        attempt: u32,
        body: &[u8],
    ) -> Result<String, JsError> {
        text(&self.gateway.whole(id, moment(now_ms), attempt, body))
    }

    /// The body of an attempt ended.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    #[wasm_bindgen(js_name = bodyEnded)]
    pub fn body_ended(
        &mut self,
        id: u32,
        now_ms: f64,
        attempt: u32,
        end: End,
    ) -> Result<String, JsError> {
        let end = match end {
            End::Eof => BodyEnd::Eof,
            End::Broken => BodyEnd::Broken,
            End::TooLarge => BodyEnd::TooLarge,
        };
        text(&self.gateway.body_ended(id, moment(now_ms), attempt, end))
    }

    /// The timer rang; `reading` tells whether the host waits for a server.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    pub fn wake(&mut self, id: u32, now_ms: f64, reading: bool) -> Result<String, JsError> {
        text(&self.gateway.wake(id, moment(now_ms), reading))
    }

    /// The client went away.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    pub fn gone(&mut self, id: u32, now_ms: f64) -> Result<String, JsError> {
        text(&self.gateway.gone(id, moment(now_ms)))
    }

    /// The host gives the exchange up.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    pub fn abandon(&mut self, id: u32, now_ms: f64) -> Result<String, JsError> {
        text(&self.gateway.abandon(id, moment(now_ms)))
    }

    /// Bytes to send, at [`Effect::Write`] and at a [`Effect::Respond`] without a body.
    pub fn output(&mut self, id: u32) -> Vec<u8> {
        self.gateway.output(id)
    }

    /// The body to send with an attempt that does not take the client's own.
    #[wasm_bindgen(js_name = attemptBody)]
    pub fn attempt_body(&mut self, id: u32, attempt: u32) -> Vec<u8> {
        self.gateway.attempt_body(id, attempt)
    }

    /// The exchange is over and its bytes are taken.
    pub fn forget(&mut self, id: u32) {
        self.gateway.forget(id);
    }

    /// What is still to be told to objects and logged.
    ///
    /// # Errors
    /// As [`EdgeHandle::begin`].
    pub fn flush(&mut self, now_ms: f64) -> Result<String, JsError> {
        text(&self.gateway.flush(moment(now_ms)))
    }

    /// Fails in the middle of a call, for tests.
    pub fn fault(&mut self, how: &str) {
        crate::fault::fail(how);
    }
}

fn text(effects: &[Effect]) -> Result<String, JsError> {
    if effects.is_empty() {
        return Ok(String::new());
    }
    Ok(serde_json::to_string(effects)?)
}

fn call_outcome(ok: bool, said: String) -> CallOutcome {
    if ok {
        CallOutcome::Answered(said)
    } else {
        CallOutcome::Failed(said)
    }
}
