//! How long things take and how much is allowed. Changed at run time over `POST /control/settings`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// How long things take.
    pub delays: Delays,
    /// RunPod's calls.
    pub runpod_calls: Calls,
    /// The proxy.
    pub proxy: Proxy,
    /// A running machine costs its hourly price and nothing else. Both vendors bill disks beside it, and EC2 public
    /// addresses; this is for tests that reckon with one price.
    pub machines_alone: bool,
    /// EC2's quota of vCPUs that run in a region.
    pub vcpus: Vcpus,
}

/// Milliseconds on the cloud's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Delays {
    /// RunPod: `PROVISIONING` lasts so long.
    pub provisioning_ms: u32,
    /// RunPod: `STARTING` lasts so long at least; the box's process runs from its beginning.
    pub starting_ms: u32,
    /// EC2: `pending` lasts so long.
    pub pending_ms: u32,
    /// From an accepted stop to its end.
    pub stop_ms: u32,
    /// From an accepted termination to its end.
    pub terminate_ms: u32,
    /// RunPod: lists are so old.
    pub list_lag_ms: u32,
    /// EC2: a new instance is in no answer for so long.
    pub visible_after_ms: u32,
    /// EC2: from `running` to status checks that have passed.
    pub status_check_ms: u32,
    /// EC2: a terminated instance is still told of for so long.
    pub terminated_lingers_ms: u32,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            provisioning_ms: 300,
            starting_ms: 200,
            pending_ms: 300,
            stop_ms: 200,
            terminate_ms: 200,
            list_lag_ms: 0,
            visible_after_ms: 0,
            status_check_ms: 200,
            terminated_lingers_ms: 3_600_000,
        }
    }
}

/// Calls that an account may make; the numbers are those of the example in RunPod's API description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Calls {
    /// In a minute.
    pub minute: u32,
    /// In an hour.
    pub hour: u32,
    /// In a day.
    pub day: u32,
}

impl Default for Calls {
    fn default() -> Self {
        Self {
            minute: 60,
            hour: 3_000,
            day: 50_000,
        }
    }
}

/// The stand-in for `proxy.runpod.net`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Proxy {
    /// Silence, on the wall clock, after which it gives up: 524 before the head of the answer, a cut after it.
    pub cap_ms: u32,
}

impl Default for Proxy {
    fn default() -> Self {
        Self { cap_ms: 100_000 }
    }
}

/// EC2's quotas.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Vcpus {
    /// "Running On-Demand … instances".
    pub on_demand: u32,
    /// "All … Spot Instance Requests".
    pub spot: u32,
}

impl Default for Vcpus {
    fn default() -> Self {
        Self {
            on_demand: 512,
            spot: 512,
        }
    }
}

impl Settings {
    /// With the members of an object put over these.
    ///
    /// # Errors
    /// In words, when it holds what is no setting.
    pub fn with(&self, changes: &Value) -> Result<Self, String> {
        let mut all = serde_json::to_value(self).map_err(|problem| problem.to_string())?;
        put_over(&mut all, changes);
        serde_json::from_value(all).map_err(|problem| problem.to_string())
    }
}

fn put_over(all: &mut Value, changes: &Value) {
    match (all, changes) {
        (Value::Object(all), Value::Object(changes)) => {
            for (name, change) in changes {
                put_over(all.entry(name.clone()).or_insert(Value::Null), change);
            }
        }
        (all, change) => *all = change.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_change_leaves_what_it_does_not_name() {
        let changed = Settings::default().with(&json!({"delays": {"stop_ms": 7}}));
        let changed = changed.unwrap();
        assert_eq!(changed.delays.stop_ms, 7);
        assert_eq!(changed.delays.pending_ms, Delays::default().pending_ms);
        assert!(Settings::default().with(&json!({"delay": 1})).is_err());
    }
}
