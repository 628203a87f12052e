//! Health checks: sent as an effect, judged here, remembered by the machine.

use tidegate_domain::health::{Check, CheckFault, CheckResult, Checked, Ring};
use tidegate_domain::instance::Event;
use tidegate_domain::time::{Span, Timestamp};

use super::Instance;
use crate::bindings::instance::CheckReport;
use crate::driver::{Cx, TurnError, encode, memory_effect, ticket};
use crate::turn::{Bearer, Effect, Outcome, Reply};

impl Instance {
    pub(super) fn send_check(&mut self, cx: &mut Cx<'_>, check: Check) {
        let Some(spec) = &self.stored.spec else {
            return;
        };
        let id = memory_effect(cx.fresh_id());
        // One that was out until now is lost; its result means nothing any more.
        self.check_out = Some((id, check));
        let org = cx.name.org().unwrap_or_default().to_owned();
        let record = format!("server/{}", cx.name.tail().unwrap_or_default());
        cx.effect(Effect::Get {
            id,
            // The registry keeps the root of the API (`http://h:p/v1`).
            url: format!("{}/models", spec.endpoint_url.trim_end_matches('/')),
            bearer: spec.sealed_api_key.clone().map(|sealed| Bearer {
                org,
                record,
                sealed,
            }),
            timeout_ms: u64::try_from(cx.now.until(check.deadline).as_ms()).unwrap_or_default(),
        });
    }

    /// Somebody wants to see a check: the answer comes when it has ended.
    pub(super) fn check_now(&mut self, cx: &mut Cx<'_>) -> Result<Reply, TurnError> {
        if self.machine.is_none() {
            return Ok(Reply::Now(encode("view", &self.view(cx.now))?));
        }
        let ticket = ticket(cx);
        self.check_polls.push(ticket);
        self.hear(cx, Event::CheckRequested, None)?;
        Ok(Reply::Later(ticket))
    }

    pub(super) fn check_finished(
        &mut self,
        cx: &mut Cx<'_>,
        check: Check,
        outcome: &Outcome,
    ) -> Result<(), TurnError> {
        let result = judge(outcome, cx.now >= check.deadline);
        let before = self.last_check();
        let event = Event::CheckFinished {
            check: check.id,
            result,
        };
        self.hear(cx, event, None)?;
        if let Some(machine) = &self.machine
            && (is_news(before, self.last_check()) || self.behind.is_ring_due(cx.now))
        {
            self.behind.write_figures(cx, machine)?;
        }
        self.report(cx)?;
        self.resolve_checks(cx)
    }

    /// Everyone who waited for a check sees the server as it now is.
    pub(super) fn resolve_checks(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        if self.check_polls.is_empty() {
            return Ok(());
        }
        let view = encode("view", &self.view(cx.now))?;
        for ticket in std::mem::take(&mut self.check_polls) {
            let reply = view.clone();
            cx.effect(Effect::Resolve { ticket, reply });
        }
        Ok(())
    }

    /// How the last check went, and whether the server is in rotation.
    fn last_check(&self) -> Option<(bool, bool)> {
        let health = self.machine.as_ref()?.health();
        let last = health.ring().last()?;
        Some((last.ok, health.is_healthy()))
    }
}

/// Whether a check must be stored at once. The object leaves memory between two checks when nobody asks
/// it, so a run of failures would begin anew with each; one that confirms what is known may wait.
fn is_news(before: Option<(bool, bool)>, after: Option<(bool, bool)>) -> bool {
    before != after || after.is_some_and(|(went_well, is_healthy)| went_well != is_healthy)
}

/// A server is well when it lists its models. What it lists is not compared: aliases differ.
fn judge(outcome: &Outcome, is_late: bool) -> Checked {
    match outcome {
        Outcome::Fetched {
            status,
            body,
            latency_ms,
        } => {
            let fault = match *status {
                200..=299 if looks_like_models(body) => None,
                200..=299 => Some(CheckFault::InvalidAnswer),
                300..=399 => Some(CheckFault::Redirected),
                other => Some(CheckFault::Status(other)),
            };
            Checked {
                latency: Span::from_ms(i64::try_from(*latency_ms).unwrap_or(i64::MAX)),
                fault,
            }
        }
        Outcome::Refused { .. } => Checked {
            latency: Span::ZERO,
            fault: Some(CheckFault::AddressRefused),
        },
        // Told by the clock and not by the host's words.
        Outcome::Failed { .. } => Checked {
            latency: Span::ZERO,
            fault: Some(if is_late {
                CheckFault::Timeout
            } else {
                CheckFault::Transport
            }),
        },
        Outcome::Delivered { .. } | Outcome::Vendor { .. } => Checked {
            latency: Span::ZERO,
            fault: Some(CheckFault::InvalidAnswer),
        },
    }
}

/// The body may be cut at 64 KiB, so it is not parsed: a JSON object or list begins it.
fn looks_like_models(body: &str) -> bool {
    body.trim_start().starts_with(['{', '['])
}

/// A ring with one result: the check that registration made.
pub(super) fn ring_of(report: &CheckReport) -> Ring {
    Ring::restore([CheckResult {
        at: Timestamp::from_ms(report.at_ms),
        ok: report.ok,
        latency_ms: u32::try_from(report.latency_ms).unwrap_or(u32::MAX),
        reason: (!report.ok).then_some(CheckFault::InvalidAnswer),
    }])
}
