//! What the exchanges of one isolate share, and what a handler sees of it.
//!
//! All of it is caches and counters: an isolate that loses them is slower for a moment, never wrong.

use std::collections::BTreeMap;

use tidegate_domain::hedge::HedgeDelays;
use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand, SnapshotAnswer};
use tidegate_durable::bindings::log::LogEntry;
use tidegate_durable::ports::Entropy;
use tidegate_egress::Gate;
use tidegate_vault::{Installation, Keyring, Secret};

use crate::account::Notes;
use crate::effect::{CallOutcome, Effect};
use crate::health::Readiness;
use crate::key_cache::KeyCache;
use crate::load_board::LoadBoard;
use crate::manners::Manners;
use crate::outbox::Outbox;
use crate::request::Head;
use crate::request_log::{Batch, RequestLog};
use crate::snapshot::{Routing, SnapshotCache};
use crate::upload::Room;

/// What the installation is told by its environment.
pub struct Config {
    /// Keys, MACs and the wrapping key.
    pub installation: Installation,
    /// The wrapping keys that open sealed records.
    pub keyring: Keyring,
    /// The administrator's key; without one the admin routes refuse everybody.
    pub admin_key: Option<Secret>,
    /// Which addresses may be called.
    pub gate: Gate,
    /// What strangers may do.
    pub manners: Manners,
    /// Where machines and vendors on the internet can call this gateway, without a slash at its end; without
    /// it rented machines are not told to.
    pub public_url: Option<String>,
}

/// What exchanges share.
pub struct Shared {
    pub(crate) config: Config,
    pub(crate) entropy: Box<dyn Entropy>,
    pub(crate) snapshots: SnapshotCache,
    pub(crate) keys: KeyCache,
    pub(crate) board: LoadBoard,
    pub(crate) hedges: HedgeDelays,
    pub(crate) outbox: Outbox,
    pub(crate) log: RequestLog,
    pub(crate) room: Room,
    pub(crate) readiness: Readiness,
    /// Counts requests for each name of each organisation, for strategies that take turns: two names that
    /// are asked for alternately would share one count so that each always met the same server.
    pub(super) turns: BTreeMap<String, u64>,
    /// Begins every request id of this isolate.
    pub(super) id_prefix: String,
    pub(super) next_id: u64,
    pub(super) refreshes: BTreeMap<u32, Refresh>,
}

#[derive(Clone, Debug)]
pub(super) enum Refresh {
    Snapshot {
        org: String,
    },
    Key {
        org: String,
        id: String,
    },
    /// A batch of the request log.
    Log,
}

/// What a handler sees.
pub struct Cx<'a> {
    /// What exchanges share.
    pub(crate) shared: &'a mut Shared,
    /// The time.
    pub(crate) now: Timestamp,
    /// The request, without its body.
    pub(crate) head: &'a Head,
    /// The request's id.
    pub(crate) request_id: &'a str,
    /// What is found out about it, for the log.
    pub(crate) notes: &'a mut Notes,
    /// When the request arrived: its limits run from here, through every look-up before the first ask.
    pub(crate) arrived_at: Timestamp,
    /// Effects of this event so far.
    pub(crate) effects: &'a mut Vec<Effect>,
}

impl Cx<'_> {
    /// Unpredictable bytes.
    pub(crate) fn random<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.shared.entropy.fill(&mut bytes);
        bytes
    }

    /// Fetches a newer snapshot behind the request.
    pub(crate) fn refresh_snapshot(&mut self, org: &str) {
        let command = FleetCommand::Snapshot {
            known_version: self.shared.snapshots.version(org),
        };
        self.refresh(
            org,
            &command,
            Refresh::Snapshot {
                org: org.to_owned(),
            },
        );
    }

    /// Fetches a key record behind the request.
    pub(crate) fn refresh_key(&mut self, org: &str, id: &str) {
        let command = FleetCommand::Key { id: id.to_owned() };
        self.refresh(
            org,
            &command,
            Refresh::Key {
                org: org.to_owned(),
                id: id.to_owned(),
            },
        );
    }

    fn refresh(&mut self, org: &str, command: &FleetCommand, refresh: Refresh) {
        let token = self.shared.fresh_number();
        self.shared.refreshes.insert(token, refresh);
        self.effects.push(Effect::Refresh {
            token,
            to: ObjectName::fleet(org),
            message: serde_json::to_string(command).unwrap_or_default(),
            timeout_ms: crate::flow::ASK_TIMEOUT_MS,
        });
    }
}

/// Counts kept. Beyond it all begin anew, which costs a turn out of order.
const MOST_TURNS: usize = 10_000;

impl Shared {
    /// Whose turn it is among the servers of a name.
    pub(crate) fn next_turn(&mut self, org: &str, name: &str) -> u64 {
        if self.turns.len() >= MOST_TURNS {
            self.turns.clear();
        }
        let turn = self.turns.entry(format!("{org}/{name}")).or_default();
        *turn = turn.wrapping_add(1);
        *turn
    }

    pub(super) fn fresh_number(&mut self) -> u32 {
        self.next_id += 1;
        u32::try_from(self.next_id & u64::from(u32::MAX)).unwrap_or_default()
    }

    /// Takes in what a refresh behind a request brought.
    pub(super) fn refreshed(
        &mut self,
        now: Timestamp,
        token: u32,
        outcome: CallOutcome,
    ) -> Vec<Effect> {
        let refresh = self.refreshes.remove(&token);
        if let Some(Refresh::Log) = refresh {
            let arrived = matches!(outcome, CallOutcome::Answered(_));
            let again = self.log.sent(token, arrived, now);
            return again.map(flush_after).into_iter().collect();
        }
        let (Some(refresh), CallOutcome::Answered(text)) = (refresh, outcome) else {
            return Vec::new();
        };
        match refresh {
            Refresh::Log => {}
            Refresh::Snapshot { org } => {
                if let Ok(answer) = serde_json::from_str(&text) {
                    self.take_snapshot(&org, answer, now);
                }
            }
            Refresh::Key { org, id } => match serde_json::from_str(&text) {
                Ok(FleetAnswer::Key { record }) => {
                    self.keys.store(&org, &id, Some(*record), now);
                }
                Ok(FleetAnswer::NotFound) => self.keys.store(&org, &id, None, now),
                _ => {}
            },
        }
        Vec::new()
    }

    /// Takes a finished request in, and sends its batch when that is full.
    pub(crate) fn log_request(
        &mut self,
        org: String,
        entry: LogEntry,
        now: Timestamp,
        effects: &mut Vec<Effect>,
    ) {
        if let Some(batch) = self.log.take(org, entry, now) {
            self.send_batch(batch, now, effects);
        }
    }

    /// Sends the batches whose time has come, and asks for the next flush.
    pub(super) fn flush_log(&mut self, now: Timestamp, effects: &mut Vec<Effect>) {
        let (due, next) = self.log.due(now);
        for batch in due {
            self.send_batch(batch, now, effects);
        }
        effects.extend(next.map(flush_after));
    }

    fn send_batch(&mut self, batch: Batch, now: Timestamp, effects: &mut Vec<Effect>) {
        let token = self.fresh_number();
        self.refreshes.insert(token, Refresh::Log);
        effects.push(self.log.send(token, batch, now));
    }

    /// Takes a fleet's snapshot answer in; `None` when it cannot be used.
    pub(crate) fn take_snapshot(
        &mut self,
        org: &str,
        answer: SnapshotAnswer,
        now: Timestamp,
    ) -> Option<std::rc::Rc<Routing>> {
        match answer {
            SnapshotAnswer::Unchanged => self.snapshots.confirm(org, now),
            SnapshotAnswer::Fresh { snapshot } => {
                let routing =
                    Routing::index(snapshot, org, &self.config.gate, &self.config.keyring);
                let (routing, gone) = self.snapshots.replace(org, routing, now);
                for id in gone.iter().flat_map(|gone| gone.by_id.keys()) {
                    if !routing.by_id.contains_key(id) {
                        self.board.forget(id);
                    }
                }
                Some(routing)
            }
        }
    }
}

pub(super) fn flush_after(span: Span) -> Effect {
    Effect::FlushAfter {
        ms: u64::try_from(span.as_ms()).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use tidegate_durable::bindings::fleet::{Snapshot, SnapshotServer};
    use tidegate_durable::testkit::Seeded;

    use super::*;

    const T0: Timestamp = Timestamp::from_ms(1_000_000);

    fn shared() -> Shared {
        let installation = Installation::derive(b"0123456789abcdef0123456789abcdef").unwrap();
        Shared {
            config: Config {
                keyring: Keyring::new(installation.wrapping_key().clone(), None),
                installation,
                admin_key: None,
                gate: Gate::default(),
                manners: Manners::default(),
                public_url: None,
            },
            entropy: Box::new(Seeded::new(1)),
            snapshots: SnapshotCache::default(),
            keys: KeyCache::default(),
            board: LoadBoard::default(),
            hedges: HedgeDelays::default(),
            outbox: Outbox::default(),
            log: RequestLog::default(),
            room: Room::default(),
            readiness: Readiness::default(),
            turns: BTreeMap::new(),
            id_prefix: String::new(),
            next_id: 0,
            refreshes: BTreeMap::new(),
        }
    }

    fn of(version: u64, ids: &[&str]) -> SnapshotAnswer {
        let server = |id: &&str| -> SnapshotServer {
            let entry = serde_json::json!({
                "id": id, "generation": 1, "created_at_ms": 0, "status": { "state": "healthy" },
                "entry": {
                    "model_name": "m", "endpoint_url": "https://models.example", "max_concurrency": 1,
                    "queue_depth": 1, "weight": 1, "priority": 0, "price_microusd_per_hour": 0,
                },
            });
            serde_json::from_value(entry).unwrap()
        };
        let snapshot = Snapshot {
            version,
            servers: ids.iter().map(server).collect(),
            ..Snapshot::default()
        };
        SnapshotAnswer::Fresh { snapshot }
    }

    #[test]
    fn news_of_a_server_lasts_until_its_own_organisation_has_it_no_more() {
        let mut shared = shared();
        shared.take_snapshot("ours", of(1, &["a", "b"]), T0);
        shared.take_snapshot("theirs", of(1, &["c"]), T0);
        for server in ["a", "b", "c"] {
            shared.board.note_load(server, 7, T0);
        }
        let heard = |shared: &Shared| ["a", "b", "c"].map(|id| shared.board.load(id).is_some());
        shared.take_snapshot("theirs", of(2, &["c"]), T0);
        assert_eq!(heard(&shared), [true, true, true]);
        shared.take_snapshot("ours", of(2, &["b"]), T0);
        assert_eq!(heard(&shared), [false, true, true]);
        shared.take_snapshot("ours", of(3, &["b"]), T0 + Span::from_secs(3600));
        assert_eq!(
            heard(&shared),
            [false, true, false],
            "nobody has asked for it for an hour"
        );
    }
}
