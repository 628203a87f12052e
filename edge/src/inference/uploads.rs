//! Requests whose body is a multipart form: routed by a look at its head, then passed through.
//!
//! Invariant: once a piece has gone that nobody keeps, no other attempt is made. What the client does to
//! its own upload (breaks it off, stalls, sends rubbish behind the model) is never the server's fault.

use tidegate_domain::dispatch::Event;
use tidegate_wire_openai::answer::TextFormat;
use tidegate_wire_openai::{Endpoint, Peek};

use super::{Inference, route};
use crate::api_error::ApiError;
use crate::auth::Caller;
use crate::effect::{Effect, Outgoing, UploadEnd};
use crate::flow::Step;
use crate::gateway::Cx;
use crate::models::{is_allowed, unknown_model, with_routing};
use crate::upload::{self, Upload};

/// Reads as much of the form as routing it takes; then it is on its way.
pub(super) fn accept(cx: &mut Cx<'_>, caller: Caller, endpoint: Endpoint) -> Step {
    let upload = match Upload::begin(endpoint, cx.head, &cx.shared.room) {
        Ok(upload) => Box::new(upload),
        Err(refused) => return refused.into(),
    };
    let then = move |cx: &mut Cx<'_>, upload: Box<Upload>| {
        if let Err(refused) = upload.check_stream() {
            return refused.into();
        }
        let Some(model) = upload.form().model() else {
            // Nothing is known only at the end, which a form without a model does not reach.
            return upload::broken().into();
        };
        let peek = Peek::of_model(model.value.clone(), upload.form().stream());
        if !is_allowed(&caller, &peek.model) {
            return unknown_model(&peek.model).into();
        }
        let org = caller.org.clone();
        with_routing(cx, &org, move |cx, routing| {
            match route(cx, caller, endpoint, peek, Vec::new(), routing) {
                Step::Infer(mut inference) => {
                    inference.upload = Some(upload);
                    Step::Infer(inference)
                }
                other => other,
            }
        })
    };
    Step::Upload {
        upload,
        then: Box::new(then),
    }
}

impl Inference {
    /// How the upload goes to the server at `slot`, if the body is one.
    pub(super) fn outgoing(&self, slot: usize) -> Option<Outgoing> {
        let upload = self.upload.as_ref()?;
        let server = self
            .slots
            .get(slot)
            .and_then(|index| self.routing.servers.get(*index))?;
        Some(upload.outgoing(server.upstream_model(), self.routing.policy.idle_timeout_ms))
    }

    /// A piece that nobody keeps.
    pub fn on_upload(&mut self, cx: &mut Cx<'_>, piece: &[u8]) {
        if self.dispatch.is_finished() {
            return;
        }
        let Some(upload) = &mut self.upload else {
            return;
        };
        if let Err(refused) = upload.pass(piece) {
            return self.refuse(cx, refused);
        }
        if !std::mem::replace(&mut self.body_is_gone, true) {
            self.forget_body(cx);
            self.hear(cx, Event::BodyGone);
        }
        self.still_sending(cx);
    }

    /// The end of what nobody keeps.
    pub fn on_upload_ended(&mut self, cx: &mut Cx<'_>, end: UploadEnd) {
        if self.dispatch.is_finished() {
            return;
        }
        let Some(upload) = &mut self.upload else {
            return;
        };
        match end {
            UploadEnd::Whole => match upload.end() {
                Ok(()) => self.still_sending(cx),
                Err(refused) => self.refuse(cx, refused),
            },
            UploadEnd::Broken => self.on_client_left(cx),
            UploadEnd::Stalled => {
                let refused = upload::stalled(self.routing.policy.idle_timeout_ms);
                self.refuse(cx, refused);
            }
        }
    }

    /// How the answer is read depends on fields that may stand behind the file, which the server has read
    /// by now: a stream of events as it comes, anything else whole.
    pub(super) fn choose_reading(&mut self, cx: &mut Cx<'_>, number: usize) {
        let Some(upload) = &self.upload else {
            return;
        };
        self.peek.stream = upload.form().stream();
        let Some(attempt) = self.attempts.get_mut(number) else {
            return;
        };
        let format = upload.form().response_format();
        attempt.text = format.and_then(TextFormat::named);
        if !(self.peek.stream && attempt.reads_events()) {
            cx.effects.push(Effect::Collect {
                attempt: super::effects::number(number),
            });
        }
    }

    /// The host keeps nothing of the body from here on.
    pub(super) fn forget_body(&mut self, cx: &mut Cx<'_>) {
        self.body = Vec::new();
        if let Some(upload) = &mut self.upload {
            upload.let_go();
            cx.effects.push(Effect::ForgetUpload);
        }
    }

    /// The server is not slow while its client is still sending.
    pub(super) fn still_sending(&mut self, cx: &mut Cx<'_>) {
        for attempt in 0..self.attempts.len() {
            self.hear(cx, Event::Sending { attempt });
        }
    }

    /// The client spoilt its own request in the middle of it.
    fn refuse(&mut self, cx: &mut Cx<'_>, refused: ApiError) {
        self.respond_error(cx, refused);
        self.on_client_left(cx);
    }
}
