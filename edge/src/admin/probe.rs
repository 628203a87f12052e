//! The check that a server must pass before it is registered or moved: `GET /v1/models`.
//!
//! Invariant: every outcome is either a passed check or a reason in words, never both. The words hold
//! nothing that the server said, so neither its secrets nor ours end up in an answer.

use serde_json::Value;
use tidegate_durable::bindings::instance::CheckReport;
use tidegate_egress::Endpoint;
use tidegate_vault::Secret;
use tidegate_wire_openai::ErrorCode;

use super::fields::bad_value;
use crate::api_error::ApiError;
use crate::effect::{PROBE_HEAD, ProbeOutcome};
use crate::flow::Step;
use crate::gateway::Cx;

/// A model server that lists its models for longer is not ready for requests.
const TIMEOUT_MS: u64 = 10_000;
/// Models shown of a server's list, and the longest name among them: hosted APIs list about 500.
const MAX_MODELS: usize = 1_000;
const MAX_MODEL_NAME: usize = 256;

/// A check that was passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// For the server's own record.
    pub report: CheckReport,
    /// The models that it lists; empty when it lists none that can be read.
    pub models: Vec<String>,
}

impl Passed {
    /// As it is left with a registration that may be asked for again.
    pub fn note(&self) -> String {
        serde_json::to_string(&(&self.report, &self.models)).unwrap_or_default()
    }

    /// The check of an earlier request.
    pub fn noted(note: &str) -> Option<Self> {
        let (report, models) = serde_json::from_str(note).ok()?;
        Some(Self { report, models })
    }

    /// What is odd about the list, seen from the model that requests will ask for.
    pub fn warning(&self, model: &str) -> Option<String> {
        let is_listed = self.models.iter().any(|listed| listed == model);
        let is_odd = !self.models.is_empty() && !is_listed;
        is_odd.then(|| {
            format!(
                "The server does not list `{model}` among its models. Requests will ask for that name; \
                 if the server knows it by another one, set upstream_model."
            )
        })
    }
}

/// Why a check failed.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Failed {
    code: ErrorCode,
    reason: String,
}

/// Checks a server and goes on if it passes.
pub fn check(
    endpoint: &Endpoint,
    api_key: Option<&Secret>,
    then: impl FnOnce(&mut Cx<'_>, Passed) -> Result<Step, ApiError> + 'static,
) -> Step {
    let Ok(url) = endpoint.route("/v1/models") else {
        return bad_value("endpoint_url", "leaves no room for the route /v1/models").into();
    };
    let bearer = api_key.and_then(Secret::expose_str).map(str::to_owned);
    let has_key = bearer.is_some();
    let then = move |cx: &mut Cx<'_>, outcome: ProbeOutcome| match judge(outcome, cx.now.as_ms()) {
        Ok(passed) => then(cx, passed).unwrap_or_else(Step::from),
        Err(failed) => refusal(&failed, has_key).into(),
    };
    Step::Probe {
        url: url.into(),
        bearer,
        timeout_ms: TIMEOUT_MS,
        then: Box::new(then),
    }
}

fn judge(outcome: ProbeOutcome, now_ms: i64) -> Result<Passed, Failed> {
    let (status, body, latency_ms) = match outcome {
        ProbeOutcome::Answered {
            status,
            body,
            latency_ms,
        } => (status, body, latency_ms),
        ProbeOutcome::Failed { reason } => {
            return failed(
                ErrorCode::UpstreamUnreachable,
                format!("it could not be reached ({reason})"),
            );
        }
    };
    match status {
        200..=299 => {}
        300..=399 => {
            return failed(
                ErrorCode::UpstreamRedirected,
                format!("it redirected ({status}), and redirects are never followed"),
            );
        }
        401 | 403 => {
            return failed(
                ErrorCode::UpstreamRefusedKey,
                format!("it refused the key ({status})"),
            );
        }
        404 => {
            return failed(
                ErrorCode::UpstreamError,
                "it has no /v1/models (404)".to_owned(),
            );
        }
        _ => {
            return failed(
                ErrorCode::UpstreamError,
                format!("it answered with status {status}"),
            );
        }
    }
    let models = read_models(&body)?;
    let report = CheckReport {
        at_ms: now_ms,
        ok: true,
        latency_ms,
        reason: None,
    };
    Ok(Passed { report, models })
}

fn read_models(body: &str) -> Result<Vec<String>, Failed> {
    let answer = match serde_json::from_str::<Value>(body) {
        Ok(answer) => answer,
        // Only the head of a long list is here. Decoding a cut character may have cost a few bytes.
        Err(error) if error.is_eof() && body.len() + 4 > PROBE_HEAD && is_object(body) => {
            return Ok(Vec::new());
        }
        Err(_) => {
            let found = match body.trim_start().chars().next() {
                Some('<') => "it answered with a web page (HTML)",
                None => "its answer was empty",
                Some(_) => "its answer was not JSON",
            };
            return failed(ErrorCode::UpstreamInvalidAnswer, found.to_owned());
        }
    };
    let Some(object) = answer.as_object() else {
        return failed(
            ErrorCode::UpstreamInvalidAnswer,
            "its answer was not a JSON object".to_owned(),
        );
    };
    match object.get("data").and_then(Value::as_array) {
        Some(list) => Ok(list
            .iter()
            .filter_map(model_name)
            .take(MAX_MODELS)
            .collect()),
        None if object.contains_key("error") => failed(
            ErrorCode::UpstreamError,
            "it answered 200 with an error in the body".to_owned(),
        ),
        None => Ok(Vec::new()),
    }
}

fn model_name(model: &Value) -> Option<String> {
    let name = model.get("id")?.as_str()?;
    (name.len() <= MAX_MODEL_NAME).then(|| name.to_owned())
}

fn is_object(body: &str) -> bool {
    body.trim_start().starts_with('{')
}

fn failed<T>(code: ErrorCode, reason: String) -> Result<T, Failed> {
    Err(Failed { code, reason })
}

/// 503: the request was good, the server is not (yet).
fn refusal(failed: &Failed, has_key: bool) -> ApiError {
    let (param, advice) = match (failed.code, has_key) {
        (ErrorCode::UpstreamRefusedKey, true) => ("api_key", "Send the server's own api_key"),
        (ErrorCode::UpstreamRefusedKey, false) => ("api_key", "Send its api_key with the request"),
        (ErrorCode::UpstreamRedirected, _) => ("endpoint_url", "Give the address it redirects to"),
        (ErrorCode::UpstreamUnreachable, _) => {
            ("endpoint_url", "Start the server, or correct the address")
        }
        _ => (
            "endpoint_url",
            "Give the base URL of an OpenAI-compatible server, such as http://host:port/v1",
        ),
    };
    ApiError::new(
        failed.code,
        format!(
            "The server failed its first check: {}. Nothing was changed. {advice} and try again.",
            failed.reason
        ),
    )
    .status(503)
    .param(param)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> ProbeOutcome {
        ProbeOutcome::Answered {
            status,
            body: body.to_owned(),
            latency_ms: 12,
        }
    }

    fn models(body: &str) -> Result<Vec<String>, ErrorCode> {
        judge(answered(200, body), 5)
            .map(|passed| passed.models)
            .map_err(|failed| failed.code)
    }

    #[test]
    fn a_list_of_models_or_any_object_passes() {
        let passed = judge(
            answered(200, r#"{"data":[{"id":"a"},{"id":7},{"id":"b"}]}"#),
            5,
        )
        .unwrap();
        assert_eq!(passed.models, ["a", "b"]);
        let report = CheckReport {
            at_ms: 5,
            ok: true,
            latency_ms: 12,
            reason: None,
        };
        assert_eq!(passed.report, report);
        assert_eq!(models(r#"{"status":"ok"}"#), Ok(Vec::new()));
        assert_eq!(models(r#"{"data":null}"#), Ok(Vec::new()));
    }

    #[test]
    fn a_list_that_is_longer_than_the_head_passes_and_a_cut_one_does_not() {
        let long = format!(r#"{{"data":[{{"id":"{}"#, "a".repeat(PROBE_HEAD));
        assert_eq!(models(&long), Ok(Vec::new()));
        assert_eq!(
            models(r#"{"data":[{"id":"#),
            Err(ErrorCode::UpstreamInvalidAnswer)
        );
        let page = format!("<html>{}", "a".repeat(PROBE_HEAD));
        assert_eq!(models(&page), Err(ErrorCode::UpstreamInvalidAnswer));
    }

    #[test]
    fn everything_else_fails_with_a_code_of_its_own() {
        let code = |outcome| judge(outcome, 5).map_err(|failed| failed.code).err();
        for (status, expected) in [
            (302, ErrorCode::UpstreamRedirected),
            (401, ErrorCode::UpstreamRefusedKey),
            (403, ErrorCode::UpstreamRefusedKey),
            (404, ErrorCode::UpstreamError),
            (500, ErrorCode::UpstreamError),
            (101, ErrorCode::UpstreamError),
        ] {
            assert_eq!(code(answered(status, "{}")), Some(expected), "{status}");
        }
        for body in ["", " ", "<html>", "hello", "[]", "7", "{"] {
            assert_eq!(
                models(body),
                Err(ErrorCode::UpstreamInvalidAnswer),
                "{body}"
            );
        }
        assert_eq!(
            models(r#"{"error":{"message":"no"}}"#),
            Err(ErrorCode::UpstreamError)
        );
        let silent = ProbeOutcome::Failed {
            reason: "timed out".to_owned(),
        };
        assert_eq!(code(silent), Some(ErrorCode::UpstreamUnreachable));
    }

    #[test]
    fn a_model_that_the_server_does_not_list_is_worth_a_warning() {
        let passed = |models: &[&str]| Passed {
            report: CheckReport {
                at_ms: 0,
                ok: true,
                latency_ms: 1,
                reason: None,
            },
            models: models.iter().map(|model| (*model).to_owned()).collect(),
        };
        assert!(
            passed(&["a"])
                .warning("b")
                .is_some_and(|text| text.contains("`b`"))
        );
        assert_eq!(passed(&["a", "b"]).warning("b"), None);
        assert_eq!(passed(&[]).warning("b"), None);
    }
}
