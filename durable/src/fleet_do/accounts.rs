//! Accounts at vendors of GPUs: connected, changed, forgotten.
//!
//! Invariant: an account that is stored here is enrolled with the directory and told what it is in the same
//! write, so that no account exists that nobody sweeps. Its credential passes through to its own object, sealed,
//! and is not kept here. `generation` makes repeats and overtaking harmless.
//!
//! Out of scope: whether an account may be forgotten (its own object knows what it has rented), and that the
//! directory forgets it (told by that object, which alone knows when).

use super::Fleet;
use super::checks::{self, MAX_SEALED, Refused, refused};
use crate::bindings::ObjectName;
use crate::bindings::account::AccountCommand;
use crate::bindings::directory::DirectoryCommand;
use crate::bindings::fleet::{AccountEntry, FleetAnswer};
use crate::driver::Cx;
use crate::ports::StoreError;
use crate::records::renting::AccountRecord;
use tidegate_provider_api::Settings;

/// All of them are asked at once for their offers, in one invocation of a Worker, and each sweeps by itself.
const MAX_ACCOUNTS: usize = 50;
/// Settings name regions, subnets, images: a few hundred bytes.
const MAX_SETTINGS: usize = 8 * 1_024;

impl Fleet {
    pub(super) fn accounts(cx: &Cx<'_>) -> Result<FleetAnswer, StoreError> {
        let records = AccountRecord::load_all(cx.sql)?.into_iter();
        Ok(FleetAnswer::Accounts {
            accounts: records.map(AccountRecord::view).collect(),
        })
    }

    pub(super) fn account(cx: &Cx<'_>, id: &str) -> Result<FleetAnswer, StoreError> {
        Ok(AccountRecord::load(cx.sql, id)?.map_or(FleetAnswer::NotFound, shown))
    }

    pub(super) fn connect_account(
        &mut self,
        cx: &mut Cx<'_>,
        id: String,
        entry: AccountEntry,
        sealed: String,
    ) -> Result<FleetAnswer, StoreError> {
        let checked = checks::name("id", &id)
            .and_then(|()| checks::text("credential", &sealed, MAX_SEALED))
            .and_then(|()| check(&entry));
        if let Err(refused) = checked {
            return Ok(refused.into());
        }
        let known = AccountRecord::load_all(cx.sql)?;
        if let Some(existing) = known.iter().find(|known| known.id == id) {
            // The same again is the same connection, whose answer was lost.
            return Ok(if existing.entry == entry {
                shown(existing.clone())
            } else {
                FleetAnswer::Duplicate { existing: id }
            });
        }
        if let Some(twin) = twin(&known, &entry) {
            return Ok(twin);
        }
        if known.len() >= MAX_ACCOUNTS {
            return Ok(FleetAnswer::Invalid {
                param: "label".to_owned(),
                reason: format!(
                    "an organisation holds at most {MAX_ACCOUNTS} accounts; remove one first"
                ),
            });
        }
        let now = cx.now.as_ms();
        let record = AccountRecord {
            id,
            entry,
            generation: 1,
            created_at_ms: now,
            updated_at_ms: now,
        };
        record.put(cx.sql)?;
        // From here on the minute comes round, and with it the sweeps.
        self.enroll(cx)?;
        let enroll = DirectoryCommand::EnrollAccount {
            org: self.org.clone(),
            account: record.id.clone(),
        };
        cx.send(ObjectName::directory(), &enroll)?;
        self.configure_account(cx, &record, Some(sealed))?;
        let reason = format!("{} at {}", record.entry.label, record.entry.vendor);
        self.note(cx, "account.connected", &record.id, reason);
        Ok(shown(record))
    }

    pub(super) fn update_account(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
        label: Option<String>,
        settings: Option<Settings>,
    ) -> Result<FleetAnswer, StoreError> {
        let known = AccountRecord::load_all(cx.sql)?;
        let Some(before) = known.iter().find(|known| known.id == id) else {
            return Ok(FleetAnswer::NotFound);
        };
        let entry = AccountEntry {
            label: label.unwrap_or_else(|| before.entry.label.clone()),
            settings: settings.unwrap_or_else(|| before.entry.settings.clone()),
            ..before.entry.clone()
        };
        if entry == before.entry {
            return Ok(shown(before.clone()));
        }
        if let Err(refused) = check(&entry) {
            return Ok(refused.into());
        }
        let others: Vec<AccountRecord> = known
            .iter()
            .filter(|known| known.id != id)
            .cloned()
            .collect();
        if let Some(twin) = twin(&others, &entry) {
            return Ok(twin);
        }
        let reason = changes(&before.entry, &entry);
        let record = AccountRecord {
            entry,
            generation: before.generation + 1,
            updated_at_ms: cx.now.as_ms(),
            ..before.clone()
        };
        record.put(cx.sql)?;
        self.configure_account(cx, &record, None)?;
        self.note(cx, "account.updated", id, reason);
        Ok(shown(record))
    }

    pub(super) fn remove_account(
        &mut self,
        cx: &mut Cx<'_>,
        id: &str,
    ) -> Result<FleetAnswer, StoreError> {
        let Some(record) = AccountRecord::load(cx.sql, id)? else {
            return Ok(FleetAnswer::NotFound);
        };
        AccountRecord::delete(cx.sql, id)?;
        let reason = format!("{} at {}", record.entry.label, record.entry.vendor);
        self.note(cx, "account.removed", id, reason);
        Ok(FleetAnswer::Done)
    }

    fn configure_account(
        &self,
        cx: &mut Cx<'_>,
        record: &AccountRecord,
        sealed: Option<String>,
    ) -> Result<(), StoreError> {
        let command = AccountCommand::Configure {
            spec: record.spec(),
            sealed,
        };
        cx.send(ObjectName::account(&self.org, &record.id), &command)
    }
}

fn shown(record: AccountRecord) -> FleetAnswer {
    FleetAnswer::Account {
        account: Box::new(record.view()),
    }
}

/// Two accounts of one name could not be told apart when a machine is to be paid.
fn twin(known: &[AccountRecord], entry: &AccountEntry) -> Option<FleetAnswer> {
    let mut known = known.iter();
    let twin = known.find(|it| it.entry.vendor == entry.vendor && it.entry.label == entry.label)?;
    Some(FleetAnswer::Duplicate {
        existing: twin.id.clone(),
    })
}

fn check(entry: &AccountEntry) -> Result<(), Refused> {
    let Some(provider) = tidegate_providers::by_name(&entry.vendor) else {
        return Err(refused("vendor", "is no vendor that is known here"));
    };
    checks::name("label", &entry.label)?;
    let settings = &entry.settings.0;
    let size: usize = settings
        .iter()
        .map(|(name, text)| name.len() + text.len())
        .sum();
    if size > MAX_SETTINGS {
        let reason = format!("must be at most {MAX_SETTINGS} bytes in all, not {size}");
        return Err(refused("settings", reason));
    }
    provider
        .check_settings(&entry.settings)
        .map_err(|it| refused(&format!("settings.{}", it.field), it.must))
}

/// What changed, from what to what: neither is a secret.
fn changes(from: &AccountEntry, to: &AccountEntry) -> String {
    let mut changes = Vec::new();
    if from.label != to.label {
        changes.push(format!("label: {} → {}", from.label, to.label));
    }
    let (before, after) = (&from.settings.0, &to.settings.0);
    let names: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let text = |settings: &std::collections::BTreeMap<String, String>| {
            settings.get(name).cloned().unwrap_or_default()
        };
        if text(before) != text(after) {
            changes.push(format!("{name}: {} → {}", text(before), text(after)));
        }
    }
    changes.join(", ")
}
