//! An attempt to rent as a row: what the machine of `tidegate_domain` keeps of it, and what is needed to ask the
//! vendor for it and to tell its instance only what is new.

use serde::{Deserialize, Serialize};
use tidegate_domain::vendor::attempt::{Attempt, AttemptId};
use tidegate_provider_api::{CreateSpec, Machine};

use super::machines::AttemptDef;
use crate::bindings::rental::VendorFact;

/// An attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tracked {
    /// For which instance.
    pub instance: String,
    /// Which attempt.
    pub number: u32,
    /// What is known.
    #[serde(with = "AttemptDef")]
    pub attempt: Attempt,
    /// What is to be rented, as long as it may still be sent.
    #[serde(default)]
    pub spec: Option<Box<CreateSpec>>,
    /// Where it is, as requests name it.
    pub region: String,
    /// The list that shows it, where that is another.
    #[serde(default)]
    pub listed_in: Option<String>,
    /// What the machine costs an hour, as far as anybody has said.
    #[serde(default)]
    pub microusd_per_hour: Option<u64>,
    /// What its disk and address cost an hour beside that.
    #[serde(default)]
    pub beside_microusd_per_hour: u64,
    /// The machine as the instance was last told.
    #[serde(default)]
    pub told: Option<Box<Machine>>,
    /// The instance was told since that the vendor does not show it.
    #[serde(default)]
    pub told_absent: bool,
    /// What the instance was told when it came to nothing, to be told again when it asks.
    #[serde(default)]
    pub outcome: Option<VendorFact>,
    /// The highest number of an action so far.
    #[serde(default)]
    pub acts: u64,
}

impl Tracked {
    /// An attempt that nothing is known of.
    pub fn new(id: &AttemptId, attempt: Attempt) -> Self {
        Self {
            instance: id.instance.as_str().to_owned(),
            number: id.number,
            attempt,
            spec: None,
            region: String::new(),
            listed_in: None,
            microusd_per_hour: None,
            beside_microusd_per_hour: 0,
            told: None,
            told_absent: false,
            outcome: None,
            acts: 0,
        }
    }

    /// The region whose list shows it.
    pub fn list_region(&self) -> &str {
        self.listed_in.as_deref().unwrap_or(&self.region)
    }
}

/// An attempt's key.
pub fn attempt_key(id: &AttemptId) -> String {
    format!("{}/{}", id.instance, id.number)
}
