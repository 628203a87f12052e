//! Warming up: the health path answers, the preload hook has run, one real token came.
//!
//! A server makes its token on the route that it has: chat first, then completions, then embeddings, each
//! tried when the one before was refused as a request and not for the server's state.

use tidegate_domain::lifecycle::WarmStep;

use super::Rental;
use crate::driver::{Cx, memory_effect};
use crate::turn::{Bearer, Effect, EffectId, Outcome};

const HEALTH_TIMEOUT_MS: u64 = 10_000;
/// Loading weights into a server that loads on demand takes minutes; the step is begun anew after 90 s, and a
/// server that is loading goes on doing so.
const PRELOAD_TIMEOUT_MS: u64 = 85_000;
const TOKEN_TIMEOUT_MS: u64 = 60_000;

/// A step under way.
pub(super) struct Trial {
    id: EffectId,
    step: WarmStep,
    route: Route,
}

/// Where a token may come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Chat,
    Completions,
    Embeddings,
}

impl Route {
    const fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Embeddings => "/v1/embeddings",
        }
    }

    fn body(self, model: &str) -> String {
        match self {
            Self::Chat => serde_json::json!({
                "model": model,
                "messages": [{ "role": "user", "content": "Say hello." }],
                "max_tokens": 1,
            }),
            Self::Completions => {
                serde_json::json!({ "model": model, "prompt": "Hello", "max_tokens": 1 })
            }
            Self::Embeddings => serde_json::json!({ "model": model, "input": "Hello" }),
        }
        .to_string()
    }

    const fn next(self) -> Option<Self> {
        match self {
            Self::Chat => Some(Self::Completions),
            Self::Completions => Some(Self::Embeddings),
            Self::Embeddings => None,
        }
    }
}

impl Rental {
    pub(super) fn warm(&mut self, cx: &mut Cx<'_>, step: WarmStep) {
        self.try_step(cx, step, Route::Chat);
    }

    fn try_step(&mut self, cx: &mut Cx<'_>, step: WarmStep, route: Route) {
        let id = memory_effect(cx.fresh_id());
        self.warming = Some(Trial { id, step, route });
        let runtime = &self.launch.runtime;
        let root = self.row.endpoint.as_deref().unwrap_or_default();
        let root = root.trim_end_matches('/');
        let bearer = runtime.sealed_api_key.clone().map(|sealed| Bearer {
            org: cx.name.org().unwrap_or_default().to_owned(),
            record: format!("server/{}", cx.name.tail().unwrap_or_default()),
            sealed,
        });
        let effect = match (step, &runtime.preload) {
            (WarmStep::Preload, Some(preload)) => Effect::Post {
                id,
                url: format!("{root}{}", preload.path),
                bearer,
                body: preload.body.clone(),
                timeout_ms: PRELOAD_TIMEOUT_MS,
            },
            (WarmStep::Health | WarmStep::Preload, _) => Effect::Get {
                id,
                url: format!("{root}{}", runtime.health_path),
                bearer,
                timeout_ms: HEALTH_TIMEOUT_MS,
            },
            (WarmStep::Token, _) => {
                let model = runtime
                    .upstream_model
                    .as_ref()
                    .unwrap_or(&runtime.model_name);
                Effect::Post {
                    id,
                    url: format!("{root}{}", route.path()),
                    bearer,
                    body: route.body(model),
                    timeout_ms: TOKEN_TIMEOUT_MS,
                }
            }
        };
        cx.effect(effect);
    }

    /// What came of the step under way, if this is it: well, badly, or not known yet.
    pub(super) fn tried(
        &mut self,
        cx: &mut Cx<'_>,
        id: EffectId,
        outcome: &Outcome,
    ) -> Option<(WarmStep, Option<bool>)> {
        let Trial { step, route, .. } = self.warming.take_if(|trial| trial.id == id)?;
        let status = match outcome {
            Outcome::Fetched { status, .. } => *status,
            Outcome::Refused { reason } => {
                // The gate: no pause will change its mind, but its switches may.
                self.row.words.clone_from(reason);
                0
            }
            Outcome::Failed { .. } | Outcome::Delivered { .. } | Outcome::Vendor { .. } => 0,
        };
        let is_refused_as_a_request = matches!(status, 400 | 404 | 405 | 415 | 422 | 501);
        if step == WarmStep::Token
            && is_refused_as_a_request
            && let Some(next) = route.next()
        {
            self.try_step(cx, step, next);
            return Some((step, None));
        }
        let is_well = match (step, outcome) {
            (WarmStep::Token, Outcome::Fetched { status, body, .. }) => {
                *status == 200 && has_made_something(body)
            }
            (_, Outcome::Fetched { status, .. }) => (200..300).contains(status),
            _ => false,
        };
        Some((step, Some(is_well)))
    }
}

/// The body may be cut, so it is not parsed: an answer has choices or vectors and no error.
fn has_made_something(body: &str) -> bool {
    (body.contains("\"choices\"") || body.contains("\"data\"")) && !body.contains("\"error\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_with_a_good_status_is_no_token() {
        assert!(has_made_something(r#"{"choices":[{"index":0}]}"#));
        assert!(has_made_something(r#"{"data":[{"embedding":[0.1]}]}"#));
        assert!(!has_made_something(r#"{"error":{"message":"loading"}}"#));
        assert!(!has_made_something("<html>"));
    }

    #[test]
    fn a_request_for_one_token_names_the_model_as_the_server_does() {
        for route in [Route::Chat, Route::Completions, Route::Embeddings] {
            let body: serde_json::Value = serde_json::from_str(&route.body("a \"b\"")).unwrap();
            assert_eq!(body["model"], "a \"b\"");
        }
    }
}
