//! What servers send: headers, chunks, whole answers, ends.

use tidegate_domain::time::Timestamp;

use super::{ExchangeId, Gateway};
use crate::effect::{BodyEnd, Effect};

impl Gateway {
    /// A server's response headers are here.
    pub fn headers(
        &mut self,
        id: ExchangeId,
        now: Timestamp,
        attempt: u32,
        status: u16,
        headers: &[(String, String)],
    ) -> Vec<Effect> {
        self.infer(id, now, |inference, cx| {
            inference.on_headers(cx, attempt, status, headers)
        })
    }

    /// A chunk of a streamed answer. [`Effect::WriteChunk`] sends it as it is.
    pub fn chunk(
        &mut self,
        id: ExchangeId,
        now: Timestamp,
        attempt: u32,
        chunk: &[u8],
    ) -> Vec<Effect> {
        self.infer(id, now, |inference, cx| {
            inference.on_chunk(cx, attempt, chunk)
        })
    }

    /// A whole answer.
    pub fn whole(
        &mut self,
        id: ExchangeId,
        now: Timestamp,
        attempt: u32,
        body: &[u8],
    ) -> Vec<Effect> {
        self.infer(id, now, |inference, cx| {
            inference.on_whole(cx, attempt, body)
        })
    }

    /// The body of an attempt ended.
    pub fn body_ended(
        &mut self,
        id: ExchangeId,
        now: Timestamp,
        attempt: u32,
        end: BodyEnd,
    ) -> Vec<Effect> {
        self.infer(id, now, |inference, cx| {
            inference.on_body_end(cx, attempt, end)
        })
    }
}
