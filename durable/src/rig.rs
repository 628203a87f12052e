//! One object on a test host: turns in transactions, a clock that the test moves, evictions on demand.
//!
//! Invariant: as on a real host, a turn that fails leaves neither rows nor the object in memory.

use serde::Serialize;
use serde::de::DeserializeOwned;
use tidegate_domain::time::{Span, Timestamp};

use crate::bindings::ObjectName;
use crate::driver::{Driver, Host, Object, TurnError};
use crate::ports::{Row, Sql, Value};
use crate::testkit::{Seeded, Store};
use crate::turn::{Effect, EffectId, Outcome, Reply, Turn};

/// 2026-11-21 10:00:00 UTC.
pub const START: Timestamp = Timestamp::from_ms(1_795_255_200_000);

pub struct Rig<O> {
    pub store: Store,
    pub now: Timestamp,
    entropy: Seeded,
    name: ObjectName,
    driver: Option<Driver<O>>,
}

impl<O: Object> Rig<O> {
    pub fn new(name: ObjectName) -> Self {
        Self {
            store: Store::new(),
            now: START,
            entropy: Seeded::new(7),
            name,
            driver: None,
        }
    }

    pub fn wait(&mut self, span: Span) {
        self.now = self.now + span;
    }

    /// The object leaves memory; its rows stay.
    pub fn evict(&mut self) {
        self.driver = None;
    }

    pub fn turn(
        &mut self,
        run: impl FnOnce(&mut Driver<O>, &Host<'_>) -> Result<Turn, TurnError>,
    ) -> Result<Turn, TurnError> {
        self.store.begin();
        let host = Host {
            sql: &self.store,
            entropy: &self.entropy,
            now: self.now,
        };
        let ran = match self.driver.take() {
            Some(driver) => Ok(driver),
            None => Driver::open(&host, self.name.clone()).map_err(TurnError::from),
        }
        .and_then(|mut driver| run(&mut driver, &host).map(|turn| (driver, turn)));
        match ran {
            Ok((driver, turn)) => {
                self.store.commit();
                self.driver = Some(driver);
                Ok(turn)
            }
            Err(error) => {
                self.store.rollback();
                Err(error)
            }
        }
    }

    pub fn try_call(&mut self, message: &impl Serialize) -> Result<Turn, TurnError> {
        let message = serde_json::to_string(message).unwrap();
        self.call_raw(&message)
    }

    pub fn call_raw(&mut self, message: &str) -> Result<Turn, TurnError> {
        self.turn(|driver, host| driver.call(host, message))
    }

    /// A call that must succeed: its answer and its effects.
    pub fn call<A: DeserializeOwned>(&mut self, message: &impl Serialize) -> (A, Vec<Effect>) {
        let turn = self.try_call(message).unwrap();
        let Some(Reply::Now(reply)) = &turn.reply else {
            panic!("no answer: {turn:?}");
        };
        (serde_json::from_str(reply).unwrap(), turn.effects)
    }

    pub fn alarm(&mut self) -> Turn {
        self.turn(Driver::alarm).unwrap()
    }

    pub fn soon(&mut self) -> Turn {
        self.turn(Driver::soon).unwrap()
    }

    pub fn done(&mut self, id: EffectId, outcome: Outcome) -> Turn {
        self.turn(|driver, host| driver.done(host, id, outcome))
            .unwrap()
    }

    /// Every message of these effects was accepted.
    pub fn deliver(&mut self, effects: &[Effect]) {
        for effect in effects {
            let Effect::Send { id, .. } = effect else {
                panic!("not a message: {effect:?}");
            };
            let reply = "{}".to_owned();
            let turn = self.done(*id, Outcome::Delivered { reply });
            assert_eq!(turn.effects, []);
        }
    }

    pub fn rows(&self, query: &str) -> Vec<Row> {
        self.store.exec(query, &[]).unwrap()
    }

    pub fn count(&self, table: &str) -> i64 {
        self.number(&format!("SELECT COUNT(*) FROM {table}"))
    }

    pub fn number(&self, query: &str) -> i64 {
        self.rows(query)[0][0].as_integer().unwrap()
    }

    pub fn text(&self, query: &str) -> String {
        match &self.rows(query)[0][0] {
            Value::Text(text) => text.clone(),
            other => panic!("not text: {other:?}"),
        }
    }
}

/// Receiver and message of each effect.
pub fn sent(effects: &[Effect]) -> Vec<(String, serde_json::Value)> {
    effects
        .iter()
        .map(|effect| match effect {
            Effect::Send { to, message, .. } => {
                (to.to_string(), serde_json::from_str(message).unwrap())
            }
            other => panic!("not a message: {other:?}"),
        })
        .collect()
}
