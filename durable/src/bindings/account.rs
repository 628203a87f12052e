//! `Account`: one account at a vendor of GPUs. It alone calls that vendor. Called by the edge (look at it,
//! shop), by `Fleet` (what it is), by `Instance` (rent, stop, give back) and by cron.

use serde::{Deserialize, Serialize};
use tidegate_provider_api::{CreateSpec, Fingerprint, Offer, ProviderError, Region, Settings};

use super::rental::VendorAction;

/// What an account is, as the registry says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSpec {
    /// Counts the changes; an older one never overwrites a newer.
    pub generation: u64,
    /// The vendor.
    pub vendor: String,
    /// What people call it.
    pub label: String,
    /// Where and how it rents.
    pub settings: Settings,
    /// Marks its machines.
    pub fingerprint: Fingerprint,
}

/// A message to an account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum AccountCommand {
    /// Becomes, or stays, what the registry says. Answer: [`super::instance::Done`].
    Configure {
        /// What.
        spec: AccountSpec,
        /// The credential, sealed for `account/{id}`, `credential`; only with the first.
        #[serde(default)]
        sealed: Option<String>,
    },
    /// Takes another credential, if it counts and shows every machine that is alive. Long poll. Answer:
    /// [`RotateAnswer`].
    Rotate {
        /// The credential, sealed like the first.
        sealed: String,
    },
    /// The registry wants to forget it. Answer: [`RemoveAnswer`].
    Remove {
        /// Generation of the removal.
        generation: u64,
    },
    /// Is the vendor there, does the credential count, what may it do? Long poll. Answer: [`TestReport`].
    Test,
    /// Long poll. Answer: [`RegionsAnswer`].
    Regions,
    /// What can be rented now. Long poll. Answer: [`OffersAnswer`].
    Offers,
    /// Rent. The account knows the marker, so the same again is the same attempt; what comes of it goes to
    /// the instance as [`super::rental::VendorFact`]s. Answer: `Done`.
    Rent {
        /// What, and for whom: the marker names instance and attempt.
        spec: Box<CreateSpec>,
    },
    /// Do not send this attempt, if it has not been sent. Answer: `Done`; the fact is `withdrawn` or what
    /// became of it.
    Withdraw {
        /// For which instance.
        instance: String,
        /// Which attempt.
        attempt: u32,
    },
    /// Do something to the machine of this attempt, until the vendor has taken or refused it. Answer: `Done`.
    Act {
        /// Of which instance.
        instance: String,
        /// Which attempt.
        attempt: u32,
        /// What.
        action: VendorAction,
        /// Counts the actions of an attempt, so that a repeated delivery is told from another order.
        number: u64,
    },
    /// Ask the vendor for the machine of this attempt now. Answer: `Done`; the fact is `seen` or `not_seen`.
    Look {
        /// Of which instance.
        instance: String,
        /// Which attempt.
        attempt: u32,
    },
    /// Nobody waits for this attempt any more: a machine of it that shows up is given back. Answer: `Done`.
    Abandon {
        /// Of which instance.
        instance: String,
        /// Which attempt.
        attempt: u32,
    },
    /// What did the machine of this attempt cost? Answer: `Done`; the fact is `billed`.
    Bill {
        /// Of which instance.
        instance: String,
        /// Which attempt.
        attempt: u32,
    },
    /// Something happened to a machine, says the vendor: look. Answer: [`HintAnswer`].
    Hint {
        /// The vendor's id of the event.
        event_id: String,
        /// A digest of what was sent, to tell a repetition from another event under the same id.
        digest: String,
        /// The vendor's id of the machine; without one all are listed.
        #[serde(default)]
        machine: Option<String>,
    },
    /// Sweep if one is due, re-arm what got lost. Answer: `Done`.
    Tick,
    /// Sweep now. Answer: `Done`.
    Sweep,
    /// Everything there is to know: [`AccountView`].
    Describe,
}

/// The answer to [`AccountCommand::Rotate`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum RotateAnswer {
    /// The new one is in use.
    Rotated,
    /// The old one stays.
    Refused {
        /// Why.
        reason: String,
        /// Machines that the new one does not show.
        #[serde(default)]
        missing: Vec<String>,
    },
}

/// The answer to [`AccountCommand::Remove`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum RemoveAnswer {
    /// It is forgotten.
    Removed,
    /// It stays: something of it may be alive and billed.
    Kept {
        /// What, in words.
        reason: String,
        /// Instances that are not over.
        #[serde(default)]
        instances: Vec<String>,
    },
}

/// The answer to [`AccountCommand::Test`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestReport {
    /// Whether the vendor answered at all.
    pub reachable: bool,
    /// Whether the credential counts.
    pub authenticated: bool,
    /// Who it is, where the vendor says so.
    #[serde(default)]
    pub principal: Option<String>,
    /// What it may do.
    #[serde(default)]
    pub permissions: Vec<PermissionReport>,
    /// What went wrong first.
    #[serde(default)]
    pub error: Option<ProviderError>,
}

/// Whether the credential may do something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PermissionReport {
    /// What.
    pub name: String,
    /// Whether it may; nothing when that could not be found out.
    pub allowed: Option<bool>,
    /// Whether nothing works without it.
    pub required: bool,
    /// What is missing without it, or why it is not known.
    #[serde(default)]
    pub detail: String,
}

/// The answer to [`AccountCommand::Regions`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum RegionsAnswer {
    /// They.
    Regions {
        /// They.
        regions: Vec<Region>,
    },
    /// The vendor did not tell.
    Failed {
        /// Why not.
        error: ProviderError,
    },
}

/// The answer to [`AccountCommand::Offers`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffersAnswer {
    /// They, as they were known at that time.
    pub offers: Vec<Offer>,
    /// When, in milliseconds since the epoch; nothing when none were ever read.
    #[serde(default)]
    pub fetched_at_ms: Option<i64>,
    /// What could not be read: the offers lack what that would have told.
    #[serde(default)]
    pub failures: Vec<ProviderError>,
}

/// The answer to [`AccountCommand::Hint`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum HintAnswer {
    /// It will be looked at.
    Heard,
    /// It was looked at before.
    Again,
    /// The same id came before with something else in it.
    Differs,
    /// There is no such account (any more).
    NotFound,
}

/// Everything there is to know about an account. Times are milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountView {
    /// Whether it is connected.
    pub connected: bool,
    /// Attempts that may be alive.
    pub live: u32,
    /// Machines with a marker of ours that no attempt owns.
    pub strays: Vec<StrayView>,
    /// When each region was last listed to its end.
    pub sweeps: Vec<SweepView>,
    /// Calls that wait or are under way.
    pub calls: u32,
    /// Until when the vendor is not asked.
    #[serde(default)]
    pub backs_off_until_ms: Option<i64>,
    /// The last thing that went wrong.
    #[serde(default)]
    pub last_error: Option<ProviderError>,
    /// When.
    #[serde(default)]
    pub last_error_ms: Option<i64>,
}

/// A machine that nobody owns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrayView {
    /// The vendor's id.
    pub machine: String,
    /// Its marker.
    pub marker: String,
    /// Where.
    pub region: String,
    /// First seen.
    pub first_seen_ms: i64,
    /// How often seen.
    pub sightings: u32,
    /// Whether it is being given back.
    pub destroying: bool,
}

/// When a region was last listed to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SweepView {
    /// Which.
    pub region: String,
    /// When the list was begun.
    pub begun_at_ms: i64,
}
