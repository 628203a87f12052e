//! Uploads, piece by piece: before it is known where they go, and on their way there.

use tidegate_domain::time::Timestamp;

use super::{Exchange, ExchangeId, Gateway, Stage};
use crate::api_error::ApiError;
use crate::effect::{Effect, UploadEnd};
use crate::upload::{self, IDLE_MS, ROOM_POLL, Wants};

impl Gateway {
    /// A piece of an upload. One that follows what was kept is sent on, unless its attempt is broken off.
    pub fn upload(&mut self, id: ExchangeId, now: Timestamp, piece: &[u8]) -> Vec<Effect> {
        let Some(Exchange {
            stage: Stage::Upload { upload, .. },
            ..
        }) = self.exchanges.get_mut(&id)
        else {
            return self.infer(id, now, |inference, cx| inference.on_upload(cx, piece));
        };
        let wants = upload.gather(now, piece);
        self.go_on(id, now, wants)
    }

    /// The end of an upload.
    pub fn upload_ended(&mut self, id: ExchangeId, now: Timestamp, end: UploadEnd) -> Vec<Effect> {
        let Some(Exchange {
            stage: Stage::Upload { upload, .. },
            ..
        }) = self.exchanges.get_mut(&id)
        else {
            return self.infer(id, now, |inference, cx| inference.on_upload_ended(cx, end));
        };
        let wants = match end {
            UploadEnd::Whole => upload.end().map(|()| Wants::Nothing),
            UploadEnd::Broken => Err(upload::broken()),
            UploadEnd::Stalled => Err(upload::stalled(IDLE_MS)),
        };
        self.go_on(id, now, wants)
    }

    /// The timer rang for an upload that waits for room.
    pub(super) fn look_for_room(&mut self, id: ExchangeId, now: Timestamp) -> Option<Vec<Effect>> {
        let exchange = self.exchanges.get_mut(&id)?;
        let Stage::Upload { upload, .. } = &mut exchange.stage else {
            return None;
        };
        if !upload.waits() {
            return Some(Vec::new());
        }
        match upload.wants(now) {
            Ok(Wants::More) => Some(vec![Effect::ReadUpload { idle_ms: IDLE_MS }]),
            wants => Some(self.go_on(id, now, wants)),
        }
    }

    fn go_on(
        &mut self,
        id: ExchangeId,
        now: Timestamp,
        wants: Result<Wants, ApiError>,
    ) -> Vec<Effect> {
        let refused = match wants {
            Ok(Wants::More) => return Vec::new(),
            Ok(Wants::Room) => {
                let at_ms = (now + ROOM_POLL).as_ms();
                return vec![Effect::HoldUpload, Effect::WakeAt { at_ms }];
            }
            Ok(Wants::Nothing) => None,
            Err(refused) => Some(refused),
        };
        let Some(Stage::Upload { upload, then }) =
            self.take_stage(id, |stage| matches!(stage, Stage::Upload { .. }))
        else {
            return Vec::new();
        };
        let mut effects = vec![Effect::HoldUpload];
        effects.extend(self.step(id, now, |cx| match refused {
            None => then(cx, upload),
            Some(refused) => refused.into(),
        }));
        effects
    }
}
