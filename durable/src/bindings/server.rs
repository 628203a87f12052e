//! A server as the registry knows it: its entry, changes to it, and what its instance says of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A server's registry entry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerEntry {
    /// The model, as clients name it.
    pub model_name: String,
    /// Base URL, normalised by the gate.
    pub endpoint_url: String,
    /// The server's own API key, sealed.
    #[serde(default)]
    pub sealed_api_key: Option<String>,
    /// Who answers for it.
    #[serde(default)]
    pub owner: Option<String>,
    /// Requests at once.
    pub max_concurrency: u32,
    /// Requests waiting.
    pub queue_depth: u32,
    /// Share among equals.
    pub weight: u32,
    /// Higher is preferred.
    pub priority: i32,
    /// Micro-dollars an hour.
    pub price_microusd_per_hour: u64,
    /// Free labels.
    #[serde(default)]
    pub metadata: BTreeMap<String, serde_json::Value>,
    /// The model's name at the server, where it differs.
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// The vendor's own limit on silence before the first byte, if it is known (a proxy's 100 s).
    #[serde(default)]
    pub first_token_cap_ms: Option<u64>,
}

/// Changes to an entry; absent fields stay.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServerChange {
    /// See [`ServerEntry`].
    #[serde(default)]
    pub model_name: Option<String>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub endpoint_url: Option<String>,
    /// See [`ServerEntry`]; `Some(None)`, as JSON `null`, removes it.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub sealed_api_key: Option<Option<String>>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub owner: Option<String>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub max_concurrency: Option<u32>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub queue_depth: Option<u32>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub weight: Option<u32>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub priority: Option<i32>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub price_microusd_per_hour: Option<u64>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub metadata: Option<BTreeMap<String, serde_json::Value>>,
    /// See [`ServerEntry`].
    #[serde(default)]
    pub upstream_model: Option<String>,
    /// See [`ServerEntry`]; `Some(None)`, as JSON `null`, removes it.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    pub first_token_cap_ms: Option<Option<u64>>,
}

/// `null` is a value here: serde alone reads it as an absent field.
fn given<'de, D, T>(value: D) -> Result<Option<Option<T>>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: Deserialize<'de>,
{
    Option::deserialize(value).map(Some)
}

/// What the fleet knows of a server's state, from the instance's last announcement.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerStatus {
    /// Whether it can serve.
    pub state: ServerState,
    /// Why it is out.
    #[serde(default)]
    pub reason: String,
    /// Since when.
    #[serde(default)]
    pub since_ms: i64,
    /// Until when, if that is known.
    #[serde(default)]
    pub until_ms: Option<i64>,
    /// When it was last checked.
    #[serde(default)]
    pub checked_at_ms: i64,
    /// Counters since registration.
    #[serde(default)]
    pub totals: super::instance::TotalsView,
}

impl ServerStatus {
    /// The state at a moment, in milliseconds since 1970. A pause ends with time alone, and nobody
    /// announces that: the server's object admits from then on. An ejection is over when its probe has
    /// succeeded, which is announced.
    pub fn state_at(&self, now_ms: i64) -> ServerState {
        match self.state {
            ServerState::CoolingDown if self.until_ms.is_some_and(|until| until <= now_ms) => {
                ServerState::Healthy
            }
            state => state,
        }
    }

    /// The whole status at a moment, as people should see it.
    #[must_use]
    pub fn at(self, now_ms: i64) -> Self {
        let state = self.state_at(now_ms);
        if state == self.state {
            return self;
        }
        Self {
            state,
            reason: String::new(),
            since_ms: self.until_ms.unwrap_or(self.since_ms),
            until_ms: None,
            ..self
        }
    }
}

/// A server's state as placement sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// Serving.
    #[default]
    Healthy,
    /// Its checks fail.
    Unhealthy,
    /// The breaker took it out.
    Ejected,
    /// It asked for a pause.
    CoolingDown,
    /// Being emptied.
    Draining,
}

/// A server as lists show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerView {
    /// Its id.
    pub id: String,
    /// The entry; the sealed key is blanked.
    pub entry: ServerEntry,
    /// Whether it has a key of its own.
    pub has_api_key: bool,
    /// Its state.
    pub status: ServerStatus,
    /// Registered when.
    pub created_at_ms: i64,
    /// Changed when.
    pub updated_at_ms: i64,
}

/// Filter, order and page.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerQuery {
    /// Only this model.
    #[serde(default)]
    pub model: Option<String>,
    /// Only this owner.
    #[serde(default)]
    pub owner: Option<String>,
    /// Only this state.
    #[serde(default)]
    pub state: Option<ServerState>,
    /// `created_at`, `model`, `price`, `priority` or `state`; a leading `-` turns it round.
    #[serde(default)]
    pub sort: Option<String>,
    /// At most this many (1 to 200).
    pub limit: u32,
    /// Skip this many.
    #[serde(default)]
    pub offset: u32,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(state: ServerState, until_ms: Option<i64>) -> ServerStatus {
        ServerStatus {
            state,
            reason: "why".to_owned(),
            since_ms: 100,
            until_ms,
            ..ServerStatus::default()
        }
    }

    #[test]
    fn a_pause_is_over_at_its_end_and_the_server_in_service_since_then() {
        let pause = status(ServerState::CoolingDown, Some(200));
        assert_eq!(pause.clone().at(199), pause);
        let over = ServerStatus {
            since_ms: 200,
            ..ServerStatus::default()
        };
        assert_eq!(pause.at(200), over);
    }

    #[test]
    fn nothing_but_a_pause_ends_by_the_clock() {
        for out in [
            status(ServerState::CoolingDown, None),
            status(ServerState::Ejected, Some(200)),
            status(ServerState::Unhealthy, Some(200)),
            status(ServerState::Draining, Some(200)),
        ] {
            assert_eq!(out.clone().at(i64::MAX), out);
        }
    }
}
