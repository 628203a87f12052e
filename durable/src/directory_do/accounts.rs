//! Every account at a vendor of GPUs, and who of them is poked in which minute.
//!
//! Invariant: an account that was enrolled and not retired is poked every five minutes, for ever, whatever else
//! is known of it. It is the second dead-man's switch of every rented GPU: an account that wakes up sweeps.

use std::collections::BTreeMap;

use tidegate_domain::backoff::salt;
use tidegate_domain::time::Timestamp;

use super::MINUTE_MS;
use crate::bindings::ObjectName;
use crate::bindings::account::AccountCommand;
use crate::bindings::directory::{AccountsReport, EnrolledAccount};
use crate::driver::Cx;
use crate::ports::{StoreError, Value};
use crate::records::columns::{integer_if_any, text};

const RECORD: &str = "account";

/// How often each account is poked, in minutes. Which of them is its own follows from its name, so that the
/// vendors are not all asked in the same one.
const EVERY: i64 = 5;

/// With the fleets' pokes less than the 1,000 calls that one invocation of a Worker may make. With more accounts
/// in one minute they take turns.
const MOST_POKES: usize = 400;

/// Every account.
pub(super) struct Accounts {
    swept: BTreeMap<(String, String), Option<i64>>,
    /// The last minute in which accounts were poked, as far as this life remembers.
    last_minute: Option<i64>,
}

impl Accounts {
    pub(super) fn load(cx: &Cx<'_>) -> Result<Self, StoreError> {
        let rows = cx
            .sql
            .exec("SELECT org, account, swept_at_ms FROM accounts", &[])?;
        let swept = rows.iter().map(|row| {
            let key = (
                text(RECORD, row, 0)?.to_owned(),
                text(RECORD, row, 1)?.to_owned(),
            );
            Ok((key, integer_if_any(row, 2)))
        });
        Ok(Self {
            swept: swept.collect::<Result<_, StoreError>>()?,
            last_minute: None,
        })
    }

    pub(super) fn enroll(
        &mut self,
        cx: &Cx<'_>,
        org: String,
        account: String,
    ) -> Result<(), StoreError> {
        let key = (org, account);
        if self.swept.contains_key(&key) {
            return Ok(());
        }
        cx.sql.exec(
            "INSERT INTO accounts (org, account, enrolled_at_ms) VALUES (?, ?, ?) \
             ON CONFLICT DO NOTHING",
            &[
                Value::from(key.0.as_str()),
                Value::from(key.1.as_str()),
                Value::from(cx.now.as_ms()),
            ],
        )?;
        self.swept.insert(key, None);
        Ok(())
    }

    pub(super) fn retire(
        &mut self,
        cx: &Cx<'_>,
        org: String,
        account: String,
    ) -> Result<(), StoreError> {
        let key = (org, account);
        if self.swept.remove(&key).is_some() {
            cx.sql.exec(
                "DELETE FROM accounts WHERE org = ? AND account = ?",
                &[Value::from(key.0), Value::from(key.1)],
            )?;
        }
        Ok(())
    }

    /// Its last whole sweep. Of an account that is not enrolled it says nothing: that word may be late.
    pub(super) fn note_sweep(
        &mut self,
        cx: &Cx<'_>,
        org: String,
        account: String,
        at_ms: i64,
    ) -> Result<(), StoreError> {
        let key = (org, account);
        let Some(swept) = self.swept.get_mut(&key) else {
            return Ok(());
        };
        if swept.is_some_and(|known| known >= at_ms) {
            return Ok(());
        }
        *swept = Some(at_ms);
        cx.sql.exec(
            "UPDATE accounts SET swept_at_ms = ? WHERE org = ? AND account = ?",
            &[Value::from(at_ms), Value::from(key.0), Value::from(key.1)],
        )?;
        Ok(())
    }

    pub(super) fn report(&self) -> AccountsReport {
        let accounts = self.swept.iter();
        let accounts = accounts.map(|((org, account), swept_at_ms)| EnrolledAccount {
            org: org.clone(),
            account: account.clone(),
            swept_at_ms: *swept_at_ms,
        });
        AccountsReport {
            accounts: accounts.collect(),
        }
    }

    /// Pokes those whose minute this is, or was since the last one that came: a host's cron may skip some.
    pub(super) fn poke(&mut self, cx: &mut Cx<'_>) -> Result<u32, StoreError> {
        let minute = cx.now.as_ms().div_euclid(MINUTE_MS);
        let missed = match self.last_minute {
            Some(last) if last < minute => (minute - last).min(EVERY),
            _ => 1,
        };
        self.last_minute = Some(minute);
        let is_due = |slot: i64| (minute - slot).rem_euclid(EVERY) < missed;
        let due: Vec<ObjectName> = self
            .swept
            .keys()
            .map(|(org, account)| ObjectName::account(org, account))
            .filter(|name| is_due(slot_of(name)))
            .collect();
        let round = MOST_POKES.min(due.len());
        let start = round_start(cx.now, due.len());
        for account in due.into_iter().cycle().skip(start).take(round) {
            cx.poke(account, &AccountCommand::Tick)?;
        }
        Ok(u32::try_from(round).unwrap_or(u32::MAX))
    }
}

/// Which of the minutes is this account's.
fn slot_of(name: &ObjectName) -> i64 {
    i64::try_from(salt(name.as_str()) % EVERY.unsigned_abs()).unwrap_or_default()
}

/// Where this minute's round starts, from the clock: what is in memory may be gone by the next.
fn round_start(now: Timestamp, due: usize) -> usize {
    if due <= MOST_POKES {
        return 0;
    }
    let round = now.as_ms().div_euclid(MINUTE_MS * EVERY);
    let round = usize::try_from(round).unwrap_or_default();
    round.wrapping_mul(MOST_POKES) % due
}
