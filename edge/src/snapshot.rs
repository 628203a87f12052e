//! What an isolate knows of an organisation's servers and routes, and how old that may be.
//!
//! Under 2 s old it is used as it is; from 2 to 5 s it is used and refreshed behind the request; older,
//! it is refreshed first, for at most 300 ms. Only when that fails is an older one used, for at most
//! 15 minutes: data plane before control plane. Then the registry is left alone for a second, so that in an
//! outage not every request waits for it.

use std::collections::BTreeMap;
use std::rc::Rc;

use tidegate_domain::time::{Span, Timestamp};
use tidegate_durable::bindings::fleet::{
    AnonymousPolicy, ReliabilityPolicy, Route, ServerState, Snapshot, SnapshotServer,
};
use tidegate_egress::{Endpoint, Gate};
use tidegate_vault::{Context, Keyring, Secret};

const FRESH: Span = Span::from_secs(2);
const USABLE: Span = Span::from_secs(5);
/// How long a request waits for a newer one.
pub const REFRESH_TIMEOUT_MS: u64 = 300;
/// How long a request waits for the very first one.
pub const FIRST_TIMEOUT_MS: u64 = 10_000;
const LAST_GOOD: Span = Span::from_secs(15 * 60);
/// So long is it believed that the registry does not answer.
const REMEMBER_SILENCE: Span = Span::from_secs(1);
/// An organisation that nobody asked for this long is forgotten: an isolate may live for days, and its
/// memory is 128 MB.
const FORGET_AFTER: Span = Span::from_secs(3600);
/// Organisations kept. One of ten servers takes some 20 kB, so these take 20 MB.
const MOST: usize = 1_000;

/// A server, ready to be asked and called.
pub struct Server {
    /// Its registry entry and state.
    pub entry: SnapshotServer,
    /// Where it is; `None` when the gate refuses the address now (the switch for loopback was turned
    /// off, say): then it is out of service.
    pub endpoint: Option<Endpoint>,
    /// Its own key. `None` with a sealed key in the entry means that it could not be opened.
    pub api_key: Option<Secret>,
    /// A stable hash of its id.
    pub hash: u64,
}

impl Server {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.entry.id
    }

    /// The model's name at the server.
    pub fn upstream_model(&self) -> &str {
        let entry = &self.entry.entry;
        entry.upstream_model.as_deref().unwrap_or(&entry.model_name)
    }

    /// Whether requests may go there at all.
    pub fn is_usable(&self) -> bool {
        self.endpoint.is_some()
            && (self.api_key.is_some() || self.entry.entry.sealed_api_key.is_none())
    }

    /// Whether it takes part in the count of healthy servers.
    pub fn is_healthy(&self, now: Timestamp) -> bool {
        self.is_usable() && self.entry.status.state_at(now.as_ms()) == ServerState::Healthy
    }
}

/// A snapshot, indexed.
pub struct Routing {
    /// Its version.
    pub version: u64,
    /// Every server.
    pub servers: Vec<Server>,
    /// Servers by model, as indices.
    pub by_model: BTreeMap<String, Vec<usize>>,
    /// Servers by id, as indices.
    pub by_id: BTreeMap<String, usize>,
    /// Routes by name.
    pub routes: BTreeMap<String, Route>,
    /// Timeouts and limits.
    pub policy: ReliabilityPolicy,
    /// Who may ask without a key, if anybody may.
    pub anonymous: Option<Box<AnonymousPolicy>>,
}

impl Routing {
    /// Indexes a snapshot, opens the servers' keys and checks their addresses once more.
    pub fn index(snapshot: Snapshot, org: &str, gate: &Gate, keyring: &Keyring) -> Self {
        let servers: Vec<Server> = snapshot
            .servers
            .into_iter()
            .map(|server| prepare(server, org, gate, keyring))
            .collect();
        let mut by_model: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        let mut by_id = BTreeMap::new();
        for (index, server) in servers.iter().enumerate() {
            by_model
                .entry(server.entry.entry.model_name.clone())
                .or_default()
                .push(index);
            by_id.insert(server.id().to_owned(), index);
        }
        Self {
            version: snapshot.version,
            servers,
            by_model,
            by_id,
            routes: snapshot.routes,
            policy: snapshot.policy,
            anonymous: snapshot.anonymous,
        }
    }
}

fn prepare(server: SnapshotServer, org: &str, gate: &Gate, keyring: &Keyring) -> Server {
    let record = format!("server/{}", server.id);
    let context = api_key_context(org, &record);
    let sealed = server.entry.sealed_api_key.as_deref();
    let api_key = sealed.and_then(|sealed| tidegate_vault::open(keyring, &context, sealed).ok());
    let endpoint = gate.endpoint(&server.entry.endpoint_url).ok();
    let hash = fnv(server.id.as_bytes());
    Server {
        entry: server,
        endpoint,
        api_key,
        hash,
    }
}

/// Where a server's sealed key belongs; `record` is `server/{id}`.
pub fn api_key_context<'a>(org: &'a str, record: &'a str) -> Context<'a> {
    Context {
        organisation: org,
        record,
        field: "api_key",
    }
}

/// FNV-1a: stable across releases and isolates, which is all that is asked of it.
pub fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// Every organisation's routing in this isolate.
#[derive(Default)]
pub struct SnapshotCache {
    entries: BTreeMap<String, Cached>,
}

struct Cached {
    routing: Rc<Routing>,
    confirmed_at: Timestamp,
    refreshing_since: Option<Timestamp>,
    unanswered_at: Option<Timestamp>,
    used_at: Timestamp,
}

/// What a request may do with what is cached.
pub enum Freshness {
    /// Use it.
    Fresh(Rc<Routing>),
    /// Use it, and refresh it behind the request.
    Stale(Rc<Routing>),
    /// Refresh first; this one is for the case that it fails.
    Old(Option<Rc<Routing>>),
}

impl SnapshotCache {
    /// What a request may do now. At most one refresh behind requests runs at a time.
    pub fn look(&mut self, org: &str, now: Timestamp) -> Freshness {
        let Some(cached) = self.entries.get_mut(org) else {
            return Freshness::Old(None);
        };
        let age = now.since(cached.confirmed_at);
        let routing = Rc::clone(&cached.routing);
        cached.used_at = now;
        let is_silent = cached
            .unanswered_at
            .is_some_and(|at| now.since(at) < REMEMBER_SILENCE);
        if age < FRESH {
            Freshness::Fresh(routing)
        } else if age < USABLE {
            let running = cached
                .refreshing_since
                .is_some_and(|since| now.since(since) < FRESH);
            if running {
                return Freshness::Fresh(routing);
            }
            cached.refreshing_since = Some(now);
            Freshness::Stale(routing)
        } else if age < LAST_GOOD && is_silent {
            Freshness::Fresh(routing)
        } else if age < LAST_GOOD {
            Freshness::Old(Some(routing))
        } else {
            Freshness::Old(None)
        }
    }

    /// The version that is cached; 0 for none.
    pub fn version(&self, org: &str) -> u64 {
        self.entries
            .get(org)
            .map_or(0, |cached| cached.routing.version)
    }

    /// The fleet says that the cached version is current.
    pub fn confirm(&mut self, org: &str, now: Timestamp) -> Option<Rc<Routing>> {
        let cached = self.entries.get_mut(org)?;
        cached.confirmed_at = now;
        cached.refreshing_since = None;
        cached.unanswered_at = None;
        Some(Rc::clone(&cached.routing))
    }

    /// The registry was asked first and did not answer.
    pub fn unanswered(&mut self, org: &str, now: Timestamp) {
        if let Some(cached) = self.entries.get_mut(org) {
            cached.unanswered_at = Some(now);
        }
    }

    /// This isolate changed the registry itself: what it knows is refreshed before it is used again, and
    /// stays as what to fall back on.
    pub fn outdate(&mut self, org: &str, now: Timestamp) {
        if let Some(cached) = self.entries.get_mut(org) {
            cached.confirmed_at = cached.confirmed_at.min(now - USABLE);
            cached.unanswered_at = None;
        }
    }

    /// A newer version arrived: it, and those that had to go for it, an older version of it among them.
    pub fn replace(
        &mut self,
        org: &str,
        routing: Routing,
        now: Timestamp,
    ) -> (Rc<Routing>, Vec<Rc<Routing>>) {
        let routing = Rc::new(routing);
        let cached = Cached {
            routing: Rc::clone(&routing),
            confirmed_at: now,
            refreshing_since: None,
            unanswered_at: None,
            used_at: now,
        };
        let mut gone: Vec<Rc<Routing>> = self
            .entries
            .extract_if(.., |_, cached| now.since(cached.used_at) >= FORGET_AFTER)
            .map(|(_, cached)| cached.routing)
            .collect();
        let older = self.entries.insert(org.to_owned(), cached);
        gone.extend(older.map(|older| older.routing));
        if self.entries.len() > MOST {
            gone.extend(self.pop_longest_unused(org));
        }
        (routing, gone)
    }

    fn pop_longest_unused(&mut self, but: &str) -> Option<Rc<Routing>> {
        let (org, _) = self
            .entries
            .iter()
            .filter(|(org, _)| *org != but)
            .min_by_key(|(_, cached)| cached.used_at)?;
        let org = org.clone();
        Some(self.entries.remove(&org)?.routing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: Timestamp = Timestamp::from_ms(1_000_000);

    fn routing(version: u64) -> Routing {
        let snapshot = Snapshot {
            version,
            ..Snapshot::default()
        };
        let keyring = Keyring::new(
            tidegate_vault::WrappingKey::derive(b"0123456789abcdef0123456789abcdef").unwrap(),
            None,
        );
        Routing::index(snapshot, "default", &Gate::default(), &keyring)
    }

    fn name(freshness: &Freshness) -> &'static str {
        match freshness {
            Freshness::Fresh(_) => "fresh",
            Freshness::Stale(_) => "stale",
            Freshness::Old(Some(_)) => "old",
            Freshness::Old(None) => "none",
        }
    }

    #[test]
    fn a_snapshot_is_used_refreshed_behind_refreshed_first_and_at_last_dropped() {
        let mut cache = SnapshotCache::default();
        assert_eq!(name(&cache.look("default", T0)), "none");
        cache.replace("default", routing(3), T0);
        let look = |cache: &mut SnapshotCache, secs| {
            name(&cache.look("default", T0 + Span::from_secs(secs)))
        };
        assert_eq!(look(&mut cache, 1), "fresh");
        assert_eq!(look(&mut cache, 3), "stale");
        assert_eq!(
            look(&mut cache, 4),
            "fresh",
            "one refresh behind requests is enough"
        );
        assert_eq!(look(&mut cache, 5), "old");
        assert_eq!(look(&mut cache, 899), "old");
        assert_eq!(look(&mut cache, 900), "none");
    }

    #[test]
    fn a_lost_refresh_is_tried_again() {
        let mut cache = SnapshotCache::default();
        cache.replace("default", routing(3), T0);
        assert_eq!(
            name(&cache.look("default", T0 + Span::from_ms(2000))),
            "stale"
        );
        assert_eq!(
            name(&cache.look("default", T0 + Span::from_ms(3999))),
            "fresh"
        );
        assert_eq!(
            name(&cache.look("default", T0 + Span::from_ms(4000))),
            "stale"
        );
    }

    #[test]
    fn a_silent_registry_is_not_asked_for_a_second() {
        let mut cache = SnapshotCache::default();
        cache.replace("default", routing(3), T0);
        let at = |ms| T0 + Span::from_ms(ms);
        cache.unanswered("default", at(6000));
        cache.unanswered("other", at(6000));
        assert_eq!(name(&cache.look("default", at(6999))), "fresh");
        assert_eq!(name(&cache.look("default", at(7000))), "old");
        cache.unanswered("default", at(899_900));
        assert_eq!(name(&cache.look("default", at(900_000))), "none");
        cache.confirm("default", at(899_950));
        assert_eq!(name(&cache.look("default", at(904_950))), "old");
    }

    #[test]
    fn organisations_that_nobody_asks_for_are_forgotten() {
        let mut cache = SnapshotCache::default();
        let versions = |gone: &[Rc<Routing>]| -> Vec<u64> {
            gone.iter().map(|routing| routing.version).collect()
        };
        let at = |secs| T0 + Span::from_secs(secs);
        cache.replace("idle", routing(1), T0);
        cache.replace("busy", routing(2), T0);
        cache.look("busy", at(10));
        let (_, gone) = cache.replace("new", routing(3), at(3599));
        assert_eq!(versions(&gone), [0; 0]);
        let (_, gone) = cache.replace("new", routing(4), at(3600));
        assert_eq!(versions(&gone), [1, 3]);
        assert_eq!(cache.version("busy"), 2);
    }

    #[test]
    fn the_organisation_that_was_not_asked_for_longest_makes_room() {
        let mut cache = SnapshotCache::default();
        for (n, at) in (0..MOST).zip(0..) {
            cache.replace(&n.to_string(), routing(1), T0 + Span::from_ms(at));
        }
        let later = T0 + Span::from_secs(10);
        cache.look("0", later);
        let (_, gone) = cache.replace("new", routing(1), later);
        assert_eq!((gone.len(), cache.entries.len()), (1, MOST));
        assert_eq!((cache.version("0"), cache.version("1")), (1, 0));
    }

    #[test]
    fn a_change_of_ones_own_is_fetched_before_the_next_request() {
        let mut cache = SnapshotCache::default();
        cache.replace("default", routing(3), T0);
        cache.unanswered("default", T0 + Span::from_secs(1));
        cache.outdate("default", T0 + Span::from_secs(1));
        cache.outdate("other", T0);
        assert_eq!(name(&cache.look("default", T0 + Span::from_secs(1))), "old");
    }

    #[test]
    fn a_confirmed_version_is_fresh_again() {
        let mut cache = SnapshotCache::default();
        cache.replace("default", routing(3), T0);
        let later = T0 + Span::from_secs(100);
        assert_eq!(
            cache
                .confirm("default", later)
                .map(|routing| routing.version),
            Some(3)
        );
        assert_eq!(name(&cache.look("default", later)), "fresh");
        assert!(cache.confirm("other", later).is_none());
    }
}
