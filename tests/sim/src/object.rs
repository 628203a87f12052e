//! An object on its host: turns in transactions, effects after the commit, memory that may go at any
//! moment between two turns.
//!
//! Invariant: as on a real host, nothing of a turn is let out before its writes are on disk; what was not
//! on disk when the object was evicted never happened.

use std::collections::BTreeMap;

use tidegate_domain::time::Timestamp;
use tidegate_durable::account_do::Account;
use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::directory_do::Directory;
use tidegate_durable::driver::{Driver, Host, TurnError};
use tidegate_durable::fleet_do::Fleet;
use tidegate_durable::instance_do::Instance;
use tidegate_durable::journal_do::Journal;
use tidegate_durable::key_do::Key;
use tidegate_durable::ledger_do::Ledger;
use tidegate_durable::model_do::Model;
use tidegate_durable::ports::StoreError;
use tidegate_durable::testkit::{Seeded, Store};
use tidegate_durable::turn::{EffectId, Outcome, Ticket, Turn};

/// Names a call of the run.
pub type CallNo = u64;

/// What a turn is about.
#[derive(Clone, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "few are held at once, and each is read once"
)]
pub enum Run {
    /// A message, and who waits for the answer.
    Call {
        /// JSON.
        message: String,
        /// Who waits.
        call: CallNo,
    },
    /// The alarm rang.
    Alarm,
    /// The moment of a `Soon` has come.
    Soon,
    /// An effect ended.
    Done {
        /// Which.
        id: EffectId,
        /// How.
        outcome: Outcome,
    },
}

/// What checks look at inside an object.
pub trait Seen: Clone {
    /// A copy of what matters, of an object that is looked at.
    fn of(object: Inside<'_>) -> Option<Self>;
}

/// An object from inside.
#[derive(Clone, Copy)]
pub enum Inside<'a> {
    /// A server, or a rented GPU.
    Instance(&'a Instance),
    /// Any other.
    Other,
}

/// A turn that has run, with what was seen of its object before and after.
pub struct Ran<S> {
    /// What it was about.
    pub run: Run,
    /// What it handed out.
    pub turn: Turn,
    /// The object's own time.
    pub now: Timestamp,
    /// Whether the object was loaded for it.
    pub loaded: bool,
    /// The object before.
    pub before: Option<S>,
    /// The object after.
    pub after: Option<S>,
}

macro_rules! drivers {
    ($($kind:ident),+) => {
        enum AnyDriver { $($kind(Box<Driver<$kind>>)),+ }

        impl AnyDriver {
            fn open(host: &Host<'_>, name: ObjectName) -> Result<Self, StoreError> {
                Ok(match name.kind() {
                    $(ObjectKind::$kind => Self::$kind(Box::new(Driver::open(host, name)?)),)+
                })
            }

            fn run(&mut self, host: &Host<'_>, run: &Run) -> Result<Turn, TurnError> {
                match self {
                    $(Self::$kind(driver) => match run {
                        Run::Call { message, .. } => driver.call(host, message),
                        Run::Alarm => driver.alarm(host),
                        Run::Soon => driver.soon(host),
                        Run::Done { id, outcome } => driver.done(host, *id, outcome.clone()),
                    },)+
                }
            }
        }
    };
}

drivers!(
    Account, Directory, Fleet, Instance, Journal, Key, Ledger, Model
);

impl AnyDriver {
    fn seen<S: Seen>(&self) -> Option<S> {
        S::of(match self {
            Self::Instance(driver) => Inside::Instance(driver.object()),
            _ => Inside::Other,
        })
    }
}

/// An object and its host.
pub struct Object<S> {
    /// Its name.
    pub name: ObjectName,
    /// Its rows.
    pub store: Store,
    /// How far its clock is off.
    pub skew_ms: i64,
    /// Counts the times it was loaded: effects of an earlier life are not reported to a later one.
    pub life: u64,
    /// Callers that were told to wait.
    pub waiting: BTreeMap<Ticket, CallNo>,
    /// When the alarm rings (the object's clock), with the number of its setting.
    pub alarm: Option<(i64, u64)>,
    /// The last alarm that was set never rang.
    pub alarm_was_lost: bool,
    /// Turns that are not yet on disk.
    pub held: Vec<Ran<S>>,
    /// Counts the times writes went to disk.
    pub batch: u64,
    /// Settings of the alarm so far.
    pub alarms: u64,
    /// Whether a turn has ended well since it was last evicted.
    pub has_lived: bool,
    /// When it was last evicted after that (true time).
    pub evicted_at: Option<i64>,
    /// What was last seen of it.
    pub mirror: Option<S>,
    driver: Option<AnyDriver>,
    entropy: Seeded,
    begun: bool,
}

/// How a turn ended.
pub enum TurnEnd<S> {
    /// It is on disk already: it wrote nothing.
    Out(Box<Ran<S>>),
    /// It waits for the disk, as the first of its batch or not.
    Held {
        /// Whether it is the first.
        first: bool,
    },
    /// It failed and was rolled back; those who waited must be told.
    Failed(TurnError, Vec<CallNo>),
}

impl<S: Seen> Object<S> {
    /// An object that nobody has called yet.
    pub fn new(name: ObjectName, skew_ms: i64, seed: u64) -> Self {
        Self {
            name,
            store: Store::new(),
            skew_ms,
            life: 0,
            waiting: BTreeMap::new(),
            alarm: None,
            alarm_was_lost: false,
            held: Vec::new(),
            batch: 0,
            alarms: 0,
            has_lived: false,
            evicted_at: None,
            mirror: None,
            driver: None,
            entropy: Seeded::new(seed),
            begun: false,
        }
    }

    /// Whether it is in memory.
    pub const fn is_loaded(&self) -> bool {
        self.driver.is_some()
    }

    /// Runs a turn at this (true) time. `fails_after`: the statement after so many fails.
    pub fn turn(&mut self, true_ms: i64, run: Run, fails_after: Option<u32>) -> TurnEnd<S> {
        let now = Timestamp::from_ms(true_ms + self.skew_ms);
        if !self.begun {
            self.store.begin();
            self.begun = true;
        }
        let host = Host {
            sql: &self.store,
            entropy: &self.entropy,
            now,
        };
        let written = self.store.rows_written();
        // Also takes back what an earlier turn was too short for.
        self.store.fail_after(fails_after.unwrap_or(u32::MAX));
        let loads = self.driver.is_none();
        let loaded = match self.driver.take() {
            Some(driver) => Ok(driver),
            None => {
                self.life += 1;
                AnyDriver::open(&host, self.name.clone()).map_err(TurnError::from)
            }
        };
        let ran = loaded.and_then(|mut driver| {
            let before = driver.seen();
            driver.run(&host, &run).map(|turn| (driver, before, turn))
        });
        self.store.fail_after(u32::MAX);
        match ran {
            Ok((driver, before, turn)) => {
                let after = driver.seen();
                self.driver = Some(driver);
                let ran = Ran {
                    run,
                    turn,
                    now,
                    loaded: loads,
                    before,
                    after,
                };
                if self.store.rows_written() == written && self.held.is_empty() {
                    self.commit();
                    return TurnEnd::Out(Box::new(ran));
                }
                self.held.push(ran);
                TurnEnd::Held {
                    first: self.held.len() == 1,
                }
            }
            Err(error) => TurnEnd::Failed(error, self.forget(&run)),
        }
    }

    fn commit(&mut self) {
        self.store.commit();
        self.begun = false;
    }

    /// The writes are on disk: everything held may go out.
    pub fn flush(&mut self) -> Vec<Ran<S>> {
        if self.begun {
            self.commit();
        }
        self.batch += 1;
        std::mem::take(&mut self.held)
    }

    fn forget(&mut self, run: &Run) -> Vec<CallNo> {
        let mut orphans = self.evict();
        if let Run::Call { call, .. } = run {
            orphans.push(*call);
        }
        orphans
    }

    /// Memory goes, and what is not on disk. Returns those who waited for an answer.
    pub fn evict(&mut self) -> Vec<CallNo> {
        if self.begun {
            self.store.rollback();
            self.begun = false;
        }
        self.driver = None;
        self.life += 1;
        self.batch += 1;
        let mut orphans: Vec<CallNo> = std::mem::take(&mut self.waiting).into_values().collect();
        for ran in std::mem::take(&mut self.held) {
            if let Run::Call { call, .. } = ran.run {
                orphans.push(call);
            }
        }
        orphans
    }
}
