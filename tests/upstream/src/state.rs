//! What all connections share: script, journal, and whether connections are accepted.
//! Invariant: no lock is held across an `.await`.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use tokio::sync::{Notify, watch};

use crate::dialect::Dialect;
use crate::journal::{Journal, Outcome};
use crate::request::Request;
use crate::script::{AcceptMode, Accepting, Rule, Script};

/// How the server is started.
#[derive(Debug, Clone)]
pub struct Settings {
    /// 0 = any free one.
    pub port: u16,
    /// Models it has; the first is the usual one.
    pub models: Vec<String>,
    /// When set, requests need `Authorization: Bearer` with it.
    pub api_key: Option<String>,
    /// How good answers look.
    pub dialect: Dialect,
    /// Requests that the journal remembers; 0 = none.
    pub journal_entries: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            models: vec![String::from("tiny")],
            api_key: None,
            dialect: Dialect::Openai,
            journal_entries: 20_000,
        }
    }
}

/// Shared by all connections.
#[derive(Debug)]
pub struct State {
    /// As started.
    pub settings: Settings,
    /// Wakes those who wait for the journal to change.
    pub changed: Notify,
    /// What happens to new connections.
    pub accepting: watch::Sender<Accepting>,
    /// Grows when all open connections are to be reset.
    pub kill: watch::Sender<u64>,
    script: Mutex<Script>,
    journal: Mutex<Journal>,
    addresses: OnceLock<(SocketAddr, SocketAddr)>,
    connections: AtomicU64,
    open: Arc<AtomicU64>,
}

/// A connection that counts as open until this is dropped.
#[derive(Debug)]
pub struct Open {
    /// Its number, from 1.
    pub number: u64,
    open: Arc<AtomicU64>,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl State {
    /// A well-behaved server.
    pub fn new(settings: Settings) -> Self {
        let normal = Accepting {
            mode: AcceptMode::Normal,
            for_ms: None,
            close_existing: false,
        };
        Self {
            changed: Notify::new(),
            accepting: watch::Sender::new(normal),
            kill: watch::Sender::new(0),
            script: Mutex::default(),
            journal: Mutex::new(Journal::new(settings.journal_entries)),
            addresses: OnceLock::new(),
            connections: AtomicU64::new(0),
            open: Arc::default(),
            settings,
        }
    }

    /// Where the server and its control port listen, once they do.
    pub fn addresses(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.addresses.get().copied()
    }

    /// Remembers where the ports are; only the first call counts.
    pub fn set_addresses(&self, server: SocketAddr, control: SocketAddr) {
        let _first = self.addresses.set((server, control));
    }

    /// Counts a connection.
    pub fn connection_opened(&self) -> Open {
        self.open.fetch_add(1, Ordering::Relaxed);
        Open {
            number: self.connections.fetch_add(1, Ordering::Relaxed) + 1,
            open: self.open.clone(),
        }
    }

    /// Connections open now, control connections included.
    pub fn open_connections(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }

    /// The script, to read or to replace.
    pub fn script(&self) -> MutexGuard<'_, Script> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The journal, to read or to clear.
    pub fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The rule for this request, counted, and the dialect it is answered in.
    pub fn rule_for(&self, path: &str, model: Option<&str>, stream: bool) -> (Rule, Dialect) {
        let mut script = self.script();
        let dialect = script.dialect.unwrap_or(self.settings.dialect);
        let rule = script
            .rules
            .iter_mut()
            .filter(|rule| rule.matches(path, model, stream))
            .find_map(|rule| rule.take().then(|| rule.clone()))
            .unwrap_or_default();
        let dialect = rule.dialect.unwrap_or(dialect);
        (rule, dialect)
    }

    /// Writes a request into the journal.
    pub fn opened(&self, connection: u64, request: &Request, rule: &Rule) -> u64 {
        let id = self
            .journal()
            .open(connection, request, rule.behaviour.name());
        self.changed.notify_waiters();
        id
    }

    /// Writes the end of a request into the journal.
    pub fn ended(&self, id: u64, outcome: Outcome) {
        self.journal().end(id, outcome);
        self.changed.notify_waiters();
    }

    /// Orders what happens to connections.
    pub fn accept(&self, accepting: Accepting) {
        self.accepting.send_replace(accepting);
        if accepting.close_existing {
            self.kill.send_modify(|generation| *generation += 1);
        }
    }
}
