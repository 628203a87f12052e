//! The words of the audit: what changed, from what to what.
//!
//! Invariant: no secret, sealed or hashed, and no free metadata ever gets into a reason.

use serde_json::{Map, Value};

use crate::bindings::fleet::{ReliabilityPolicy, ServerEntry, ServerState, ServerStatus};

/// Reasons hold words of servers, which are not ours to trust: more than this is cut.
const MAX_REASON_CHARS: usize = 1_000;

/// The reason, cut to what an audit needs.
pub(super) fn shortened(mut reason: String) -> String {
    if let Some((end, _)) = reason.char_indices().nth(MAX_REASON_CHARS) {
        reason.truncate(end);
        reason.push('…');
    }
    reason
}

/// The changed fields of an entry.
pub(super) fn entry_changes(from: &ServerEntry, to: &ServerEntry) -> String {
    let mut changes = differences(&fields(from), &fields(to), &["sealed_api_key", "metadata"]);
    match (&from.sealed_api_key, &to.sealed_api_key) {
        (before, after) if before == after => {}
        (None, Some(_)) => changes.push("api key added".to_owned()),
        (_, None) => changes.push("api key removed".to_owned()),
        (Some(_), Some(_)) => changes.push("api key replaced".to_owned()),
    }
    if from.metadata != to.metadata {
        changes.push("metadata changed".to_owned());
    }
    changes.join(", ")
}

/// The changed numbers of a policy.
pub(super) fn policy_changes(from: &ReliabilityPolicy, to: &ReliabilityPolicy) -> String {
    differences(&fields(from), &fields(to), &["version"]).join(", ")
}

/// What an announcement is called in the audit, if it is worth an entry. A longer ejection is one of
/// its own; a longer cool-down is not, since a busy server asks for one with every answer.
pub(super) fn announced(from: &ServerStatus, to: &ServerStatus) -> Option<&'static str> {
    use ServerState::{CoolingDown, Draining, Ejected, Healthy, Unhealthy};
    match (from.state, to.state) {
        (Unhealthy, Unhealthy) | (CoolingDown, CoolingDown) | (Healthy, Healthy) => None,
        (_, Draining) | (Draining, Healthy) => None,
        (Ejected, Ejected) => (from.until_ms != to.until_ms).then_some("server.ejected"),
        (_, Unhealthy) => Some("server.unhealthy"),
        (_, Ejected) => Some("server.ejected"),
        (_, CoolingDown) => Some("server.cooling_down"),
        (Unhealthy, Healthy) => Some("server.recovered"),
        (Ejected | CoolingDown, Healthy) => Some("server.readmitted"),
    }
}

/// The words of an announcement, with its end where that is known.
pub(super) fn why_out(status: &ServerStatus) -> String {
    match status.until_ms {
        None => status.reason.clone(),
        Some(until_ms) => format!("{} (until {until_ms})", status.reason),
    }
}

fn fields(value: &impl serde::Serialize) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

fn differences(from: &Map<String, Value>, to: &Map<String, Value>, hidden: &[&str]) -> Vec<String> {
    to.iter()
        .filter(|(name, _)| !hidden.contains(&name.as_str()))
        .filter_map(|(name, after)| {
            let before = from.get(name).unwrap_or(&Value::Null);
            (before != after).then(|| format!("{name}: {before} → {after}"))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_at_a_character() {
        assert_eq!(shortened("short".to_owned()), "short");
        let cut = shortened("é".repeat(1_001));
        assert_eq!(cut.chars().count(), 1_001);
        assert!(cut.ends_with('…'));
    }

    #[test]
    fn a_policy_change_names_each_number_with_both_values() {
        let from = ReliabilityPolicy::default();
        let to = ReliabilityPolicy {
            version: 1,
            hedge: false,
            max_retries: 3,
            ..from.clone()
        };
        assert_eq!(
            policy_changes(&from, &to),
            "hedge: true → false, max_retries: 2 → 3"
        );
        assert_eq!(policy_changes(&from, &from), "");
    }

    #[test]
    fn each_way_out_of_service_and_back_has_its_word() {
        use ServerState::*;
        let status = |state| ServerStatus {
            state,
            ..ServerStatus::default()
        };
        let word = |from, to| announced(&status(from), &status(to));
        assert_eq!(word(Healthy, Unhealthy), Some("server.unhealthy"));
        assert_eq!(word(Healthy, Ejected), Some("server.ejected"));
        assert_eq!(word(Unhealthy, Ejected), Some("server.ejected"));
        assert_eq!(word(Healthy, CoolingDown), Some("server.cooling_down"));
        assert_eq!(word(Unhealthy, Healthy), Some("server.recovered"));
        assert_eq!(word(Ejected, Healthy), Some("server.readmitted"));
        assert_eq!(word(CoolingDown, Healthy), Some("server.readmitted"));
        assert_eq!(word(Draining, Unhealthy), Some("server.unhealthy"));
        assert_eq!(word(Healthy, Healthy), None);
        assert_eq!(word(Draining, Healthy), None);
        assert_eq!(word(Healthy, Draining), None);
        assert_eq!(word(Ejected, Ejected), None);
        let longer = ServerStatus {
            until_ms: Some(5),
            ..status(Ejected)
        };
        assert_eq!(announced(&status(Ejected), &longer), Some("server.ejected"));
    }
}
