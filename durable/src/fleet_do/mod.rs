//! `Fleet`: one organisation's registry. It alone writes servers, keys, routes and policies, and hands
//! out the routing snapshot.
//!
//! Name: `fleet/{org}`. Messages: [`FleetCommand`]. Tables: `schemas/sql/fleet.sql`. The registry lives in
//! memory as well and is written through; keys are read singly from storage.
//!
//! Invariant: `snapshot = f(version)`. Two snapshots of one version are equal byte for byte, because
//! whatever a snapshot shows moves the version in the same write. A change, the messages it causes
//! (to its instance, the journal, the directory) and the version are one turn, kept or lost together.
//!
//! In scope: what exists and what is known of it. Out of scope: whether a server may take a request
//! (`Instance`), how one is chosen (the edge).

mod accounts;
mod announce;
mod anonymous;
mod audit;
mod checks;
mod keys;
mod listing;
mod logs;
mod once;
mod overdue;
mod policy;
mod policy_checks;
mod profile_checks;
mod profiles;
mod registry;
mod rentals;
mod routes;
mod snapshot;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use crate::bindings::ObjectName;
use crate::bindings::directory::DirectoryCommand;
use crate::bindings::fleet::{
    AnonymousPolicy, FleetAnswer, FleetCommand, FleetMessage, ReliabilityPolicy, Route,
};
use crate::bindings::journal::{AuditEntry, JournalCommand, day_of};
use crate::driver::{Cx, Object, TurnError, encode};
use crate::ports::StoreError;
use crate::records::fleet::{
    FleetMeta, ServerRecord, Traffic, load_anonymous, load_policy, load_routes,
};
use crate::records::schema::statements;
use crate::turn::{EffectId, Outcome, Reply};
use tidegate_domain::time::Timestamp;

/// Who changes things by a command that names nobody: routes under `/admin` are the only callers.
const ADMIN: &str = "admin";

/// One organisation's registry in memory.
pub struct Fleet {
    org: String,
    servers: BTreeMap<String, ServerRecord>,
    routes: BTreeMap<String, Route>,
    policy: ReliabilityPolicy,
    anonymous: AnonymousPolicy,
    meta: FleetMeta,
    stored_meta: FleetMeta,
    traffic: Traffic,
    /// In whose name this turn acts.
    actor: String,
    /// What this turn has to report; empty between turns.
    audits: Vec<AuditEntry>,
    snapshot: snapshot::Cached,
    remembered: once::Remembered,
}

impl Object for Fleet {
    const SCHEMA: &'static [&'static str] =
        &statements::<11>(include_str!("../../../schemas/sql/fleet.sql"));

    fn open(cx: &mut Cx<'_>) -> Result<Self, StoreError> {
        let org = cx.name.org().ok_or_else(|| StoreError::Unreadable {
            record: "fleet name",
            reason: format!("`{}` holds no organisation", cx.name),
        })?;
        let meta = FleetMeta::load(cx.sql)?;
        Ok(Self {
            org: org.to_owned(),
            servers: ServerRecord::load_all(cx.sql)?,
            routes: load_routes(cx.sql)?,
            policy: load_policy(cx.sql)?,
            anonymous: load_anonymous(cx.sql)?,
            meta,
            stored_meta: meta,
            traffic: Traffic::load(cx.sql)?,
            actor: String::new(),
            audits: Vec::new(),
            snapshot: snapshot::Cached::default(),
            remembered: once::Remembered::load(cx)?,
        })
    }

    fn call(&mut self, cx: &mut Cx<'_>, message: &str) -> Result<Reply, TurnError> {
        let message: FleetMessage =
            serde_json::from_str(message).map_err(|error| TurnError::message(cx.name, &error))?;
        self.actor = message
            .actor
            .unwrap_or_else(|| usual_actor(&message.command));
        let reply = match message.once {
            Some(once) if message.command.is_change() => {
                self.change_once(cx, once, message.command)?
            }
            _ => self.answer(cx, message.command)?,
        };
        self.settle(cx)?;
        Ok(Reply::Now(reply))
    }

    fn alarm(&mut self, cx: &mut Cx<'_>) -> Result<(), TurnError> {
        Ok(self.forget_repeats(cx)?)
    }

    fn done(&mut self, _: &mut Cx<'_>, _: EffectId, _: Outcome) -> Result<(), TurnError> {
        Ok(())
    }

    /// Besides the outbox only what is to be forgotten rings here; the minute comes from the directory.
    fn next_alarm(&self) -> Option<Timestamp> {
        self.remembered.due()
    }
}

impl Fleet {
    fn answer(&mut self, cx: &mut Cx<'_>, command: FleetCommand) -> Result<String, StoreError> {
        let answer = match command {
            FleetCommand::Snapshot { known_version } => {
                self.note_traffic(cx)?;
                return self.snapshot(known_version);
            }
            FleetCommand::Cron => {
                self.wake_logs(cx)?;
                self.nudge_rentals(cx)?;
                return encode("poke report", &self.poke_overdue(cx)?);
            }
            FleetCommand::Register {
                id,
                entry,
                first_check,
            } => self.register(cx, id, entry, first_check)?,
            FleetCommand::Update { id, change } => self.update(cx, &id, change)?,
            FleetCommand::Deregister { id } => self.deregister(cx, &id)?,
            FleetCommand::SetDraining { id, draining } => self.set_draining(cx, &id, draining)?,
            FleetCommand::Server { id } => self.server(&id, cx.now),
            FleetCommand::Servers(query) => listing::page(&self.servers, &query, cx.now),
            FleetCommand::Key { id } => Self::key(cx, &id)?,
            FleetCommand::MintKey { record } => self.mint_key(cx, record)?,
            FleetCommand::Keys => Self::keys(cx)?,
            FleetCommand::RotateKey {
                id,
                secret_hash,
                overlap_until_ms,
            } => self.rotate_key(cx, &id, secret_hash, overlap_until_ms)?,
            FleetCommand::RevokeKey { id } => self.revoke_key(cx, &id)?,
            FleetCommand::SuspendKey {
                id,
                number,
                until_ms,
                reason,
            } => self.suspend_key(cx, &id, number, until_ms, reason)?,
            FleetCommand::Routes => FleetAnswer::Routes {
                routes: self.routes.clone(),
            },
            FleetCommand::Route { name } => self.route(&name),
            FleetCommand::PutRoute { name, route } => self.put_route(cx, name, route)?,
            FleetCommand::DeleteRoute { name } => self.delete_route(cx, &name)?,
            FleetCommand::Policy => FleetAnswer::Policy {
                policy: self.policy.clone(),
            },
            FleetCommand::PutPolicy { policy } => self.put_policy(cx, policy)?,
            FleetCommand::Anonymous => FleetAnswer::Anonymous {
                policy: self.anonymous.clone(),
            },
            FleetCommand::PutAnonymous { policy } => self.put_anonymous(cx, policy)?,
            FleetCommand::Announce {
                event_id,
                instance,
                status,
                sequence,
            } => self.hear(cx, &event_id, &instance, status, sequence)?,
            FleetCommand::Profiles => Self::profiles(cx)?,
            FleetCommand::Profile { name } => Self::profile(cx, &name)?,
            FleetCommand::SealedProfile { name } => Self::sealed_profile(cx, &name)?,
            FleetCommand::PutProfile { name, profile } => self.put_profile(cx, name, *profile)?,
            FleetCommand::DeleteProfile { name } => self.delete_profile(cx, &name)?,
            FleetCommand::Accounts => Self::accounts(cx)?,
            FleetCommand::Account { id } => Self::account(cx, &id)?,
            FleetCommand::ConnectAccount { id, entry, sealed } => {
                self.connect_account(cx, id, entry, sealed)?
            }
            FleetCommand::UpdateAccount {
                id,
                label,
                settings,
            } => self.update_account(cx, &id, label, settings)?,
            FleetCommand::RemoveAccount { id } => self.remove_account(cx, &id)?,
            FleetCommand::NoteAccount { id, action, reason }
            | FleetCommand::NoteRental { id, action, reason } => {
                self.note(cx, &action, &id, reason);
                FleetAnswer::Done
            }
            FleetCommand::Launch {
                id,
                launch,
                sealed_ssh_key,
            } => self.launch(cx, id, *launch, sealed_ssh_key)?,
            FleetCommand::Rentals(query) => Self::rentals(cx, &query)?,
            FleetCommand::Rental { id } => Self::rental(cx, &id)?,
            FleetCommand::AnnounceRental {
                instance,
                status,
                sequence,
                ..
            } => self.hear_rental(cx, &instance, *status, sequence)?,
            FleetCommand::Stats => self.stats(cx)?,
            FleetCommand::Reserve { id, fingerprint } => {
                return self.reserve(cx, &id, fingerprint);
            }
            FleetCommand::Conclude { id, token, reply } => self.conclude(cx, &id, &token, reply)?,
        };
        encode("fleet answer", &answer)
    }

    /// Whatever the snapshot shows has changed.
    fn bump(&mut self) {
        self.meta.version += 1;
    }

    /// For the audit: whoever gave the command did this.
    fn note(&mut self, cx: &Cx<'_>, action: &str, subject: &str, reason: String) {
        let actor = self.actor.clone();
        self.note_of(cx, &actor, action, subject, reason);
    }

    fn note_of(&mut self, cx: &Cx<'_>, actor: &str, action: &str, subject: &str, reason: String) {
        self.audits.push(AuditEntry {
            at_ms: cx.now.as_ms(),
            actor: actor.to_owned(),
            action: action.to_owned(),
            subject: subject.to_owned(),
            reason: audit::shortened(reason),
        });
    }

    /// The directory learns of an organisation with its first server: until then there is nothing to
    /// poke. Once is enough, since the outbox does not give up.
    fn enroll(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if self.meta.enrolled {
            return Ok(());
        }
        self.meta.enrolled = true;
        let org = self.org.clone();
        cx.send(ObjectName::directory(), &DirectoryCommand::Enroll { org })
    }

    /// Ends a turn: reports what was noted and writes the counters if they moved.
    fn settle(&mut self, cx: &mut Cx<'_>) -> Result<(), StoreError> {
        if !self.audits.is_empty() {
            self.meta.audits += 1;
            let journal = ObjectName::journal(&self.org, &day_of(cx.now.as_ms()));
            let append = JournalCommand::Append {
                event_id: format!("{}/{}", cx.name, self.meta.audits),
                entries: std::mem::take(&mut self.audits),
            };
            cx.send(journal, &append)?;
        }
        if self.meta != self.stored_meta {
            self.meta.put(cx.sql)?;
            self.stored_meta = self.meta;
        }
        Ok(())
    }
}

/// In whose name a command is given that names nobody.
fn usual_actor(command: &FleetCommand) -> String {
    match command {
        FleetCommand::NoteAccount { id, .. } => format!("account/{id}"),
        FleetCommand::NoteRental { id, .. } => format!("instance/{id}"),
        _ => ADMIN.to_owned(),
    }
}
