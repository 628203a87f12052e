//! One object in memory, for the host to run turns on.
//!
//! Invariant: a handle whose turn ended with an exception is in an unknown state. The host rolls the
//! storage back, drops the handle and opens another one from what is stored.

use std::panic::AssertUnwindSafe;

use tidegate_durable::account_do::Account;
use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::directory_do::Directory;
use tidegate_durable::driver::{Driver, Host, Object, TurnError};
use tidegate_durable::fleet_do::Fleet;
use tidegate_durable::instance_do::Instance;
use tidegate_durable::journal_do::Journal;
use tidegate_durable::key_do::Key;
use tidegate_durable::ledger_do::Ledger;
use tidegate_durable::model_do::Model;
use tidegate_durable::ports::StoreError;
use tidegate_durable::turn::{EffectId, Outcome, Turn};
use wasm_bindgen::prelude::*;

use crate::entropy::PlatformEntropy;
use crate::moment;
use crate::sql::SqlPort;

/// An object and its storage.
#[wasm_bindgen]
pub struct ObjectHandle {
    /// The host drops the whole handle after a panic.
    driver: AssertUnwindSafe<Box<dyn Drive>>,
    sql: SqlPort,
}

#[wasm_bindgen]
impl ObjectHandle {
    /// Loads the object called `name`. Must run in the transaction of its first turn.
    ///
    /// # Errors
    /// When the name is no object's, or what is stored cannot be read.
    #[wasm_bindgen(constructor)]
    pub fn new(now_ms: f64, name: &str, sql: SqlPort) -> Result<ObjectHandle, JsError> {
        let parsed = ObjectName::parse(name)
            .ok_or_else(|| JsError::new(&format!("`{name}` is not the name of an object")))?;
        let driver = AssertUnwindSafe(open(&host(&sql, now_ms), parsed)?);
        Ok(Self { driver, sql })
    }

    /// Answers a message: a [`Turn`] as JSON.
    ///
    /// # Errors
    /// When the turn must be rolled back.
    pub fn call(&mut self, now_ms: f64, message: &str) -> Result<String, JsError> {
        encoded(self.driver.call(&host(&self.sql, now_ms), message))
    }

    /// The alarm rang.
    ///
    /// # Errors
    /// When the turn must be rolled back.
    pub fn alarm(&mut self, now_ms: f64) -> Result<String, JsError> {
        encoded(self.driver.alarm(&host(&self.sql, now_ms)))
    }

    /// The moment that the object asked for with `Effect::Soon` has come.
    ///
    /// # Errors
    /// When the turn must be rolled back.
    pub fn soon(&mut self, now_ms: f64) -> Result<String, JsError> {
        encoded(self.driver.soon(&host(&self.sql, now_ms)))
    }

    /// An effect ended; `outcome` is an [`tidegate_durable::turn::Outcome`] as JSON.
    ///
    /// # Errors
    /// When the turn must be rolled back, or the outcome cannot be read.
    pub fn done(&mut self, now_ms: f64, effect: f64, outcome: &str) -> Result<String, JsError> {
        // Not in serde's words: they quote values.
        let outcome = serde_json::from_str(outcome)
            .map_err(|_| JsError::new("the outcome of an effect cannot be read"))?;
        // Effects are numbered from 1 and rows far below 2^53.
        let effect = effect as u64;
        encoded(self.driver.done(&host(&self.sql, now_ms), effect, outcome))
    }

    /// Writes a row and fails, to prove that neither the row nor the failure stays.
    ///
    /// # Errors
    /// When the row cannot be written.
    pub fn fault(&mut self, how: &str) -> Result<(), JsError> {
        crate::fault::write_and_fail(&self.sql, how)?;
        Ok(())
    }
}

fn host(sql: &SqlPort, now_ms: f64) -> Host<'_> {
    Host {
        sql,
        entropy: &PlatformEntropy,
        now: moment(now_ms),
    }
}

fn encoded(turn: Result<Turn, TurnError>) -> Result<String, JsError> {
    Ok(serde_json::to_string(&turn?)?)
}

fn open(host: &Host<'_>, name: ObjectName) -> Result<Box<dyn Drive>, StoreError> {
    Ok(match name.kind() {
        ObjectKind::Account => Box::new(Driver::<Account>::open(host, name)?),
        ObjectKind::Ledger => Box::new(Driver::<Ledger>::open(host, name)?),
        ObjectKind::Directory => Box::new(Driver::<Directory>::open(host, name)?),
        ObjectKind::Fleet => Box::new(Driver::<Fleet>::open(host, name)?),
        ObjectKind::Instance => Box::new(Driver::<Instance>::open(host, name)?),
        ObjectKind::Journal => Box::new(Driver::<Journal>::open(host, name)?),
        ObjectKind::Key => Box::new(Driver::<Key>::open(host, name)?),
        ObjectKind::Model => Box::new(Driver::<Model>::open(host, name)?),
    })
}

/// A driver, whatever object it drives.
trait Drive {
    fn call(&mut self, host: &Host<'_>, message: &str) -> Result<Turn, TurnError>;
    fn alarm(&mut self, host: &Host<'_>) -> Result<Turn, TurnError>;
    fn soon(&mut self, host: &Host<'_>) -> Result<Turn, TurnError>;
    fn done(&mut self, host: &Host<'_>, id: EffectId, outcome: Outcome) -> Result<Turn, TurnError>;
}

impl<O: Object> Drive for Driver<O> {
    fn call(&mut self, host: &Host<'_>, message: &str) -> Result<Turn, TurnError> {
        Self::call(self, host, message)
    }

    fn alarm(&mut self, host: &Host<'_>) -> Result<Turn, TurnError> {
        Self::alarm(self, host)
    }

    fn soon(&mut self, host: &Host<'_>) -> Result<Turn, TurnError> {
        Self::soon(self, host)
    }

    fn done(&mut self, host: &Host<'_>, id: EffectId, outcome: Outcome) -> Result<Turn, TurnError> {
        Self::done(self, host, id, outcome)
    }
}
