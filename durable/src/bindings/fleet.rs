//! `Fleet`: one organisation's registry, keys, routes and policies. Called by the edge and, with facts,
//! by `Instance`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::instance::{CheckReport, InstanceSpec};
pub use super::key::KeyRecord;
use super::once::{Once, OnceReply};
pub use super::policy::{AnonymousPolicy, ReliabilityPolicy};
pub use super::profile::{
    AccountEntry, AccountEntryView, Profile, RentalEntry, RentalQuery, RentalRow,
};
pub use super::routing::{Route, Snapshot, SnapshotAnswer, SnapshotServer, Strategy};
pub use super::server::{
    ServerChange, ServerEntry, ServerQuery, ServerState, ServerStatus, ServerView,
};

/// A command and in whose name it is given. A command alone is a message too.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetMessage {
    /// Who gives it, for the audit: `admin`, `key/{id}` or `ledger`. Absent means `admin`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// For a change that may be repeated: under which id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub once: Option<Once>,
    /// The command.
    #[serde(flatten)]
    pub command: FleetCommand,
}

/// What a fleet is asked to do. Unless said otherwise the answer is [`FleetAnswer`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "command")]
pub enum FleetCommand {
    /// Adds a server that has passed its first check.
    Register {
        /// Its id, minted by the caller.
        id: String,
        /// The entry.
        entry: ServerEntry,
        /// The first check.
        first_check: CheckReport,
    },
    /// Changes a server's entry; absent fields stay.
    Update {
        /// Which.
        id: String,
        /// What to change.
        change: ServerChange,
    },
    /// Removes a server.
    Deregister {
        /// Which.
        id: String,
    },
    /// Stops or resumes a server's traffic.
    SetDraining {
        /// Which.
        id: String,
        /// Draining or not.
        draining: bool,
    },
    /// One entry.
    Server {
        /// Which.
        id: String,
    },
    /// The registry, filtered, sorted and paged.
    Servers(ServerQuery),
    /// The routing snapshot, if it is newer than the caller's. Answer: [`SnapshotAnswer`].
    Snapshot {
        /// The version that the caller has; 0 for none.
        known_version: u64,
    },
    /// One key record. Answer: [`FleetAnswer::Key`] or `NotFound`.
    Key {
        /// Which.
        id: String,
    },
    /// Stores a fresh key.
    MintKey {
        /// The record.
        record: KeyRecord,
    },
    /// Every key record, without hashes.
    Keys,
    /// Replaces a key's secret; the old one stays good until `overlap_until_ms`.
    RotateKey {
        /// Which.
        id: String,
        /// SHA-256 of the new secret, hex.
        secret_hash: String,
        /// When the old secret ends.
        overlap_until_ms: i64,
    },
    /// Revokes a key.
    RevokeKey {
        /// Which.
        id: String,
    },
    /// The ledger suspends a key whose budget is used up, or lets it go on. Answer: `Done`, also where there
    /// is no such key.
    SuspendKey {
        /// Which.
        id: String,
        /// Orders what the ledger says; an older one changes nothing.
        number: u64,
        /// Until when, in milliseconds since the epoch; nothing lets it go on.
        #[serde(default)]
        until_ms: Option<i64>,
        /// Why, in words for whoever holds the key.
        reason: String,
    },
    /// Every route.
    Routes,
    /// One route.
    Route {
        /// Its name.
        name: String,
    },
    /// Creates or replaces a route.
    PutRoute {
        /// Its name: a model alias or a project.
        name: String,
        /// The route.
        route: Route,
    },
    /// Removes a route.
    DeleteRoute {
        /// Its name.
        name: String,
    },
    /// The reliability policy.
    Policy,
    /// Replaces the reliability policy; its version is set by the fleet.
    PutPolicy {
        /// The numbers.
        policy: ReliabilityPolicy,
    },
    /// Who may ask without a key.
    Anonymous,
    /// Replaces that.
    PutAnonymous {
        /// All of it.
        policy: AnonymousPolicy,
    },
    /// Facts from an instance, applied once for each event id. Answer: `Done`.
    Announce {
        /// Makes a repeated delivery harmless.
        event_id: String,
        /// Which instance.
        instance: String,
        /// What it now is.
        status: ServerStatus,
        /// Orders announcements of one instance.
        sequence: u64,
    },
    /// Every runtime profile.
    Profiles,
    /// One runtime profile.
    Profile {
        /// Its name.
        name: String,
    },
    /// One runtime profile with its secrets, sealed as they are, to launch it. Answer:
    /// [`FleetAnswer::Profile`] or `NotFound`.
    SealedProfile {
        /// Its name.
        name: String,
    },
    /// Creates or replaces a runtime profile.
    PutProfile {
        /// Its name.
        name: String,
        /// It, its secrets sealed; one that is blank stays what it is stored as.
        profile: Box<Profile>,
    },
    /// Removes a runtime profile. What runs of it goes on.
    DeleteProfile {
        /// Its name.
        name: String,
    },
    /// Every account at a vendor.
    Accounts,
    /// One account.
    Account {
        /// Which.
        id: String,
    },
    /// Connects an account.
    ConnectAccount {
        /// Its id, minted by the caller.
        id: String,
        /// It.
        entry: AccountEntry,
        /// Its credential, sealed for `account/{id}`, `credential`.
        sealed: String,
    },
    /// Changes an account's label or settings; absent ones stay.
    UpdateAccount {
        /// Which.
        id: String,
        /// Another label.
        #[serde(default)]
        label: Option<String>,
        /// All settings.
        #[serde(default)]
        settings: Option<tidegate_provider_api::Settings>,
    },
    /// Removes an account that has agreed to it ([`super::account::AccountCommand::Remove`]).
    RemoveAccount {
        /// Which.
        id: String,
    },
    /// An account did something that belongs into the audit (a rotation). Answer: `Done`.
    NoteAccount {
        /// Which.
        id: String,
        /// In dotted past tense.
        action: String,
        /// Why, or with which values.
        reason: String,
    },
    /// Rents a GPU.
    Launch {
        /// Its id, minted by the caller.
        id: String,
        /// It, whole.
        launch: Box<super::rental::Launch>,
        /// The private half of its key pair, sealed for `instance/{id}`, `ssh_key`.
        #[serde(default)]
        sealed_ssh_key: Option<String>,
    },
    /// The rentals, filtered and paged.
    Rentals(RentalQuery),
    /// One rental.
    Rental {
        /// Which.
        id: String,
    },
    /// Somebody did something with a rental that belongs into the audit and changes nothing of it (its private
    /// key was shown). Answer: `Done`.
    NoteRental {
        /// Which.
        id: String,
        /// In dotted past tense.
        action: String,
        /// Why, or with which values.
        reason: String,
    },
    /// Facts from a rented GPU, applied once for each event id. Answer: `Done`.
    AnnounceRental {
        /// Makes a repeated delivery harmless.
        event_id: String,
        /// Which.
        instance: String,
        /// What it now is.
        status: Box<super::rental::RentalStatus>,
        /// Orders announcements of one instance.
        sequence: u64,
    },
    /// The minute is over: poke what is overdue. Answer: [`PokeReport`].
    Cron,
    /// Totals for the stats page.
    Stats,
    /// May this request go on, or was it answered before? Answer: [`super::once::OnceAnswer`].
    Reserve {
        /// Names the request by who asks for what under which key.
        id: String,
        /// Stands for its body.
        fingerprint: String,
    },
    /// A request that went on is answered. Answer: `Done`.
    Conclude {
        /// Which.
        id: String,
        /// What let it go on.
        token: String,
        /// Its answer; without one the key is free again, unless the change was made.
        #[serde(default)]
        reply: Option<OnceReply>,
    },
}

impl FleetCommand {
    /// Whether it changes what an administrator put there: what a repetition must not do twice.
    pub const fn is_change(&self) -> bool {
        match self {
            Self::Register { .. }
            | Self::Update { .. }
            | Self::Deregister { .. }
            | Self::SetDraining { .. }
            | Self::MintKey { .. }
            | Self::RotateKey { .. }
            | Self::RevokeKey { .. }
            | Self::PutRoute { .. }
            | Self::DeleteRoute { .. }
            | Self::PutPolicy { .. }
            | Self::PutAnonymous { .. }
            | Self::PutProfile { .. }
            | Self::DeleteProfile { .. }
            | Self::ConnectAccount { .. }
            | Self::UpdateAccount { .. }
            | Self::RemoveAccount { .. }
            | Self::Launch { .. } => true,
            Self::Server { .. }
            | Self::Servers(_)
            | Self::Snapshot { .. }
            | Self::Key { .. }
            | Self::Keys
            | Self::SuspendKey { .. }
            | Self::Routes
            | Self::Route { .. }
            | Self::Policy
            | Self::Anonymous
            | Self::Announce { .. }
            | Self::Profiles
            | Self::Profile { .. }
            | Self::SealedProfile { .. }
            | Self::Accounts
            | Self::Account { .. }
            | Self::NoteAccount { .. }
            | Self::Rentals(_)
            | Self::Rental { .. }
            | Self::NoteRental { .. }
            | Self::AnnounceRental { .. }
            | Self::Cron
            | Self::Stats
            | Self::Reserve { .. }
            | Self::Conclude { .. } => false,
        }
    }
}

/// The answer to most fleet messages.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "answer")]
pub enum FleetAnswer {
    /// The entry as it now is.
    Server {
        /// It.
        server: Box<ServerView>,
        /// What the instance should be told (so that a caller can do it at once).
        spec: InstanceSpec,
        /// The policy that goes with it.
        policy: ReliabilityPolicy,
    },
    /// A page of the registry.
    Servers {
        /// The page.
        servers: Vec<ServerView>,
        /// Matches in all.
        total: u32,
    },
    /// A key record.
    Key {
        /// It.
        record: Box<KeyRecord>,
    },
    /// Key records.
    Keys {
        /// They; hashes are blank.
        records: Vec<KeyRecord>,
    },
    /// A route.
    Route {
        /// It.
        route: Route,
    },
    /// Routes by name.
    Routes {
        /// They.
        routes: BTreeMap<String, Route>,
    },
    /// The policy.
    Policy {
        /// It.
        policy: ReliabilityPolicy,
    },
    /// Who may ask without a key.
    Anonymous {
        /// It.
        policy: AnonymousPolicy,
    },
    /// A runtime profile.
    Profile {
        /// It; values of secrets are blank, unless it was asked for with them.
        profile: Box<Profile>,
    },
    /// Runtime profiles by name.
    Profiles {
        /// They.
        profiles: BTreeMap<String, Profile>,
    },
    /// An account.
    Account {
        /// It.
        account: Box<AccountEntryView>,
    },
    /// Accounts.
    Accounts {
        /// They.
        accounts: Vec<AccountEntryView>,
    },
    /// A rental.
    Rental {
        /// It.
        rental: Box<RentalEntry>,
    },
    /// A page of the rentals.
    Rentals {
        /// The page.
        rentals: Vec<RentalRow>,
        /// Matches in all.
        total: u32,
    },
    /// Totals.
    Stats {
        /// They.
        stats: FleetStats,
    },
    /// Done, nothing to show.
    Done,
    /// There is no such thing.
    NotFound,
    /// There is one already.
    Duplicate {
        /// Which.
        existing: String,
    },
    /// The change was not made: another request holds its idempotency key by now.
    Superseded,
    /// The request makes no sense in this state.
    Invalid {
        /// Which field.
        param: String,
        /// Why.
        reason: String,
    },
}

/// Totals over a fleet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FleetStats {
    /// Servers registered.
    pub servers: u32,
    /// Servers in service.
    pub healthy: u32,
    /// Models with at least one server.
    pub models: u32,
    /// Keys not revoked.
    pub keys: u32,
    /// Sums over all servers, as last announced.
    pub totals: super::instance::TotalsView,
    /// The routing snapshot's version.
    pub snapshot_version: u64,
}

/// What a fleet's cron run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PokeReport {
    /// Servers overdue.
    pub overdue: u32,
}
