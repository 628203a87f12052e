//! Health checks: sent as an effect, judged here, remembered by the machine.

use tidegate_domain::health::{Check, CheckFault, CheckId, CheckResult, Checked, Ring};
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
        self.checks_out.insert(id, check.id);
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
        check: CheckId,
        outcome: &Outcome,
    ) -> Result<(), TurnError> {
        let result = judge(outcome);
        self.hear(cx, Event::CheckFinished { check, result }, None)?;
        self.behind.figures_changed();
        if self.behind.figures_due(cx.now) {
            self.behind.flush_figures(cx, self.machine.as_ref())?;
        }
        self.report(cx)?;
        let view = encode("view", &self.view(cx.now))?;
        for ticket in std::mem::take(&mut self.check_polls) {
            cx.effect(Effect::Resolve {
                ticket,
                reply: view.clone(),
            });
        }
        Ok(())
    }
}

/// A server is well when it lists its models. What it lists is not compared: aliases differ.
fn judge(outcome: &Outcome) -> Checked {
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
        Outcome::Failed { reason } => {
            let timed_out = reason.contains("time");
            let fault = if timed_out {
                CheckFault::Timeout
            } else {
                CheckFault::Transport
            };
            Checked {
                latency: Span::ZERO,
                fault: Some(fault),
            }
        }
        Outcome::Delivered { .. } => Checked {
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
