//! How the domain's words about attempts and strays are written: times in milliseconds, ids as text.
//!
//! Invariant: what is written is read back the same. The definitions follow the domain's types field by field,
//! and one that is missing does not compile.

use serde::{Deserialize, Serialize};
use tidegate_domain::ids::MachineId;
use tidegate_domain::time::Timestamp;
use tidegate_domain::vendor::attempt::{Attempt, Ending, Stage};
use tidegate_domain::vendor::stray::{Stray, Watch, Why};

/// A moment in milliseconds.
pub(super) mod ms {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tidegate_domain::time::Timestamp;

    pub fn serialize<S: Serializer>(at: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
        at.as_ms().serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Timestamp, D::Error> {
        i64::deserialize(from).map(Timestamp::from_ms)
    }
}

/// A moment in milliseconds, or none.
pub(super) mod ms_if_any {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tidegate_domain::time::Timestamp;

    pub fn serialize<S: Serializer>(at: &Option<Timestamp>, out: S) -> Result<S::Ok, S::Error> {
        at.map(Timestamp::as_ms).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Timestamp>, D::Error> {
        Ok(Option::<i64>::deserialize(from)?.map(Timestamp::from_ms))
    }
}

/// A machine's id, or none.
mod machine_if_any {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use tidegate_domain::ids::MachineId;

    pub fn serialize<S: Serializer>(id: &Option<MachineId>, out: S) -> Result<S::Ok, S::Error> {
        id.as_ref().map(MachineId::as_str).serialize(out)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<MachineId>, D::Error> {
        Ok(Option::<String>::deserialize(from)?.map(MachineId::new))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Attempt")]
pub(super) struct AttemptDef {
    #[serde(with = "StageDef")]
    stage: Stage,
    #[serde(rename = "since_ms", with = "ms")]
    since: Timestamp,
    #[serde(rename = "rented_at_ms", with = "ms")]
    rented_at: Timestamp,
    #[serde(rename = "sent_at_ms", default, with = "ms_if_any")]
    sent_at: Option<Timestamp>,
    #[serde(rename = "made_by_ms", default, with = "ms_if_any")]
    made_by: Option<Timestamp>,
    #[serde(default)]
    in_doubt: bool,
    #[serde(default)]
    recalled: bool,
    #[serde(default)]
    abandoned: bool,
    #[serde(default)]
    asked: bool,
    #[serde(default, with = "machine_if_any")]
    machine: Option<MachineId>,
    #[serde(rename = "sighted_at_ms", default, with = "ms_if_any")]
    sighted_at: Option<Timestamp>,
    #[serde(rename = "destroy_taken_at_ms", default, with = "ms_if_any")]
    destroy_taken_at: Option<Timestamp>,
    #[serde(default)]
    absences: u32,
    #[serde(rename = "absent_at_ms", default, with = "ms_if_any")]
    absent_at: Option<Timestamp>,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Stage", rename_all = "snake_case")]
enum StageDef {
    Unsent,
    Sent,
    Unclear,
    Alive,
    Over(#[serde(with = "EndingDef")] Ending),
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Ending", rename_all = "snake_case")]
enum EndingDef {
    Refused,
    Withdrawn,
    Gone,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Stray")]
pub(super) struct StrayDef {
    #[serde(with = "WhyDef")]
    why: Why,
    #[serde(rename = "first_seen_ms", with = "ms")]
    first_seen: Timestamp,
    #[serde(rename = "last_seen_ms", with = "ms")]
    last_seen: Timestamp,
    sightings: u32,
    #[serde(rename = "listed_at_ms", with = "ms")]
    listed_at: Timestamp,
    #[serde(with = "WatchDef")]
    watch: Watch,
    #[serde(default)]
    not_found: u32,
    #[serde(rename = "absent_since_ms", default, with = "ms_if_any")]
    absent_since: Option<Timestamp>,
    #[serde(default)]
    polls: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Why", rename_all = "snake_case")]
enum WhyDef {
    Orphan,
    Twin,
    Unwanted,
}

#[derive(Serialize, Deserialize)]
#[serde(remote = "Watch", rename_all = "snake_case")]
enum WatchDef {
    Noticed,
    Missing,
    Ending {
        #[serde(rename = "since_ms", with = "ms")]
        since: Timestamp,
        #[serde(rename = "taken_at_ms", default, with = "ms_if_any")]
        taken_at: Option<Timestamp>,
        #[serde(default)]
        is_alerted: bool,
    },
    Gone {
        #[serde(rename = "at_ms", with = "ms")]
        at: Timestamp,
        #[serde(rename = "closed_at_ms", with = "ms")]
        closed_at: Timestamp,
    },
}
