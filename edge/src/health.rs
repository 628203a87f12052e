//! `GET /healthz` and `GET /readyz`: for load balancers and supervisors, without a key.
//!
//! Invariant: neither tells a stranger anything but yes or no, and neither can be used to load the gateway:
//! being alive asks nobody; being ready asks one object that always exists, and not again for
//! [`BELIEVED`], however many ask.

use serde_json::json;
use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{FleetCommand, SnapshotAnswer};

use crate::flow::{Step, Unanswered};
use crate::gateway::Cx;
use crate::request::Response;

/// How long a verdict stands.
const BELIEVED: Span = Span::from_secs(2);
/// An object that answers later than this would hold up every request that needs it.
const TIMEOUT_MS: u64 = 1_000;
/// Questions that may be out at a time.
const MOST_OUT: u32 = 4;
/// The organisation of whoever names none.
const ORG: &str = "default";

/// What an isolate knows of its own readiness.
#[derive(Default)]
pub struct Readiness {
    verdict: Option<(Timestamp, bool)>,
    out: u32,
}

impl Readiness {
    fn known(&self, now: Timestamp) -> Option<bool> {
        let (at, ready) = self.verdict?;
        (now >= at && now.since(at) < BELIEVED).then_some(ready)
    }
}

/// The script runs.
pub fn is_alive() -> Step {
    Step::Respond(fresh(Response::json(200, &json!({ "status": "ok" }))))
}

/// Requests can be served: the bindings are sound, or there would be no gateway to ask, and the registry
/// answers.
pub fn is_ready(cx: &mut Cx<'_>) -> Step {
    if let Some(ready) = cx.shared.readiness.known(cx.now) {
        return told(ready);
    }
    if cx.shared.readiness.out >= MOST_OUT {
        return told(cx.shared.readiness.verdict.is_some_and(|(_, ready)| ready));
    }
    cx.shared.readiness.out += 1;
    // The version that is known makes the answer a short one.
    let command = FleetCommand::Snapshot {
        known_version: cx.shared.snapshots.version(ORG),
    };
    let then = |cx: &mut Cx<'_>, answer: Result<SnapshotAnswer, Unanswered>| {
        let readiness = &mut cx.shared.readiness;
        readiness.out = readiness.out.saturating_sub(1);
        readiness.verdict = Some((cx.now, answer.is_ok()));
        told(answer.is_ok())
    };
    Step::ask_within(TIMEOUT_MS, ObjectName::fleet(ORG), &command, then)
}

fn told(ready: bool) -> Step {
    let response = if ready {
        Response::json(200, &json!({ "status": "ready" }))
    } else {
        let reason = "the registry does not answer";
        let body = json!({ "status": "unready", "reason": reason });
        Response::json(503, &body).with_header("retry-after", "2")
    };
    Step::Respond(fresh(response))
}

fn fresh(response: Response) -> Response {
    response.with_header("cache-control", "no-store")
}
