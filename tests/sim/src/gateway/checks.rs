//! Safety, checked after every turn of an instance and at every arrival at a server.

use tidegate_domain::breaker::{BreakerState, EjectReason};
use tidegate_domain::instance::{AskKind, GrantKind, Lease, RetryPolicy};
use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::turn::Reply;

use super::World;
use super::clients::Phase;
use super::operator::ORG;
use super::oracle::Renewed;
use super::seen::Seen;
use super::situations::Situation;
use super::upstreams::Upstream;
use crate::object::{Ran, Run};

/// How long a lease lives without renewal.
const LEASE_MS: i64 = 60_000;
/// Messages that are under way, alarms that are late.
const SLACK_MS: i64 = 25_000;
/// Leases are written behind by at most a second; twice that with the wait for the disk.
const BEHIND_MS: i64 = 2_000;
/// A renewal is written when its row lags by more than this: every second one.
const ROW_LAG_MS: i64 = 30_000;
const PANIC_EVERY_MS: i64 = 1_000;

impl World {
    /// A turn has run: what it did to an instance is judged at once.
    pub fn saw(&mut self, name: &ObjectName, ran: &Ran<Seen>) {
        let (Some(before), Some(after)) = (&ran.before, &ran.after) else {
            return;
        };
        let id = name.tail().unwrap_or_default().to_owned();
        let (mirror, evicted_at) = match self.objects.get_mut(name) {
            Some(object) => {
                object.has_lived = true;
                (object.mirror.replace(after.clone()), object.evicted_at)
            }
            None => (None, None),
        };
        if let (true, Some(mirror)) = (ran.loaded, mirror) {
            self.check_reload(&id, &mirror, before, evicted_at.unwrap_or(self.now));
        }
        self.note_shifts(&id, before, after);
        self.check_grants(&id, ran, before, after);
        self.check_ended_leases(&id, ran, before, after);
        self.check_lease_ages(&id, after);
    }

    fn check_reload(&mut self, id: &str, mirror: &Seen, before: &Seen, evicted_at: i64) {
        if mirror.is_probing() && !before.is_probing() {
            self.met(Situation::ProbeLost);
        }
        let behind = BEHIND_MS + self.around.scenario.faults.disk_ms;
        for renewed in self.around.oracle.known(id).renewed.values_mut() {
            renewed.reload(evicted_at - behind, ROW_LAG_MS);
        }
        for request in mirror
            .leases
            .keys()
            .filter(|request| !before.leases.contains_key(*request))
        {
            let Some(grant) = self.around.oracle.known(id).grants.get(request).copied() else {
                continue;
            };
            self.note(|| format!("{id} has forgotten that {request} runs"));
            self.around.oracle.known(id).excused.insert(request.clone());
            let age = evicted_at - grant.at;
            if age > behind && before.registered {
                let words = format!(
                    "{id} was evicted {age} ms after it had granted {request}, and forgot it"
                );
                self.violate(
                    "a lease older than the write-behind survives an eviction",
                    words,
                );
            }
        }
    }

    fn note_shifts(&mut self, id: &str, before: &Seen, after: &Seen) {
        if before.admits() && !after.admits() {
            self.note(|| format!("{id} is ejected: {:?}", after.breaker));
            self.met(Situation::Ejection);
        }
        if before.is_probing()
            && let Some(BreakerState::Ejected { reason, .. }) = &after.breaker
            && !matches!(reason, EjectReason::ProbeFailed(_))
        {
            self.met(Situation::ProbeLost);
        }
        if after.leases_expired > before.leases_expired {
            self.met(Situation::LeaseExpiry);
        }
        if before.healthy && !after.healthy {
            self.met(Situation::UnhealthyByChecks);
        }
        if !before.healthy && after.healthy && after.registered {
            self.met(Situation::RecoveredByChecks);
        }
    }

    fn check_grants(&mut self, id: &str, ran: &Ran<Seen>, before: &Seen, after: &Seen) {
        for (request, lease) in new_leases(ran, before, after) {
            self.note(|| {
                format!(
                    "{id} grants {request}: {:?} as {:?}",
                    lease.kind, lease.asked_as
                )
            });
            if after.leases.len() > usize::try_from(after.capacity).unwrap_or(usize::MAX) {
                let words = format!(
                    "{id} runs {} of {} after granting {request}",
                    after.leases.len(),
                    after.capacity
                );
                self.violate("no grant beyond capacity", words);
            }
            match lease.kind {
                GrantKind::Normal | GrantKind::Tentative => {
                    self.check_ordinary(id, ran, request, before, after)
                }
                GrantKind::Probe => self.check_probe(id, ran, request, before),
                GrantKind::Panic => self.check_panic(id, request),
            }
        }
    }

    /// §7.5, ordinary requests.
    fn check_ordinary(
        &mut self,
        id: &str,
        ran: &Ran<Seen>,
        request: &str,
        before: &Seen,
        after: &Seen,
    ) {
        // An ask is the last thing in its turn, so it is judged by the state that the turn left.
        let is_asker = matches!(&ran.run, Run::Call { message, .. } if message.contains(&format!(r#""ask":{{"request":"{request}""#)));
        let is_direct = is_asker
            && matches!(&ran.turn.reply, Some(Reply::Now(text)) if text.contains("granted"));
        let was_out = if is_direct {
            !after.admits()
        } else {
            !before.admits() && !after.admits()
        };
        if was_out {
            let words = format!("{id} granted {request} while {:?}", before.breaker);
            self.violate("§7.5 an ejected server takes no ordinary request", words);
        }
    }

    /// §7.5, the one probe.
    fn check_probe(&mut self, id: &str, ran: &Ran<Seen>, request: &str, before: &Seen) {
        self.met(Situation::ProbeGranted);
        if let Some(until) = before.ejected_until()
            && ran.now < until
            && self.around.oracle.jumps_ms == 0
            && !ran.loaded
        {
            let words = format!(
                "{id} granted the probe {request} {} ms early",
                ran.now.until(until).as_ms()
            );
            self.violate("§7.5 no probe before the ejection ends", words);
        }
        let other = before
            .leases
            .iter()
            .find(|(other, lease)| lease.kind == GrantKind::Probe && *other != request);
        if let Some((other, _)) = other
            && ran
                .after
                .as_ref()
                .is_some_and(|after| after.leases.contains_key(other))
        {
            let words = format!("{id} granted {request} as a probe beside {other}");
            self.violate("§7.5 one probe at a time", words);
        }
    }

    /// §7.5, panic.
    fn check_panic(&mut self, id: &str, request: &str) {
        self.met(Situation::PanicGrant);
        let (now, jumps) = (self.now, self.around.oracle.jumps_ms);
        let last = self.around.oracle.known(id).panicked.replace(now);
        if let Some(last) = last
            && now - last < PANIC_EVERY_MS
            && jumps == 0
        {
            let words = format!("{id} granted {request} {} ms after another", now - last);
            self.violate("§7.5 in panic one request a second", words);
        }
    }

    fn check_ended_leases(&mut self, id: &str, ran: &Ran<Seen>, before: &Seen, after: &Seen) {
        for (request, lease) in before
            .leases
            .iter()
            .filter(|(request, _)| !after.leases.contains_key(*request))
        {
            let runs = self
                .around
                .upstreams
                .values()
                .any(|upstream| upstream.instance == id && upstream.request == *request);
            if !runs {
                if after.leases_expired > before.leases_expired && lease.expires_at <= ran.now {
                    self.check_given_back(id, request, lease);
                }
                continue;
            }
            let (now, jumps) = (self.now, self.around.oracle.jumps_ms);
            let known = self.around.oracle.known(id);
            known.excused.insert(request.clone());
            if after.leases_expired > before.leases_expired && lease.expires_at <= ran.now {
                let last = known
                    .renewed
                    .get(request)
                    .map_or(now - LEASE_MS, Renewed::last);
                if now - last + jumps < LEASE_MS - 1_000 {
                    let words = format!(
                        "{id} let {request} run out {} ms after its renewal",
                        now - last
                    );
                    self.violate("§7.4 a lease that is renewed does not run out", words);
                }
                continue;
            }
            let message = if let Run::Call { message, .. } = &ran.run {
                message.as_str()
            } else {
                ""
            };
            // A call that was given up may yet be cancelled after it was asked anew, and what was told
            // twice may come late; a server that is removed is no longer counted.
            let is_known_race = message.contains("cancelled")
                || !after.registered
                || self.around.oracle.told_twice > 0;
            if !is_known_race {
                let words = format!("{id} took {request}'s lease although it runs: {message}");
                self.violate("a request that runs keeps its lease", words);
            }
        }
    }

    /// A lease that ran out after its request had ended should have been given back, unless something was
    /// lost that nobody repeats.
    fn check_given_back(&mut self, id: &str, request: &str, lease: &Lease) {
        let client = self
            .around
            .oracle
            .requests
            .get(request)
            .and_then(|client| self.around.clients.get(*client));
        let Some(client) = client.filter(|client| client.ended_at.is_some()) else {
            return;
        };
        // One that was never used may have been granted after it was taken back.
        let mut used = client.past.values();
        let was_used = used.any(|upstream| upstream.instance == id && upstream.request == request);
        let lives = self
            .around
            .isolates
            .get(client.at.isolate)
            .is_some_and(|isolate| isolate.life == client.at.life);
        let object = self.objects.get(&ObjectName::instance(ORG, id));
        let is_whole = object.is_some_and(|object| {
            let granted_at = lease.granted_at.as_ms() - object.skew_ms;
            object.evicted_at.is_none_or(|at| at < granted_at)
        });
        // A message that takes longer than its caller waits may be overtaken by what takes it back.
        let in_order =
            self.around.scenario.faults.message_late == 0 && self.around.oracle.jumps_ms == 0;
        if lives && was_used && is_whole && in_order && !self.around.oracle.told_in_vain {
            let words = format!("{id} was never told that {request} had ended");
            self.violate("§7.4 a lease is given back", words);
        }
    }

    /// §7.4.
    fn check_lease_ages(&mut self, id: &str, after: &Seen) {
        for request in after.leases.keys() {
            let client = self
                .around
                .oracle
                .requests
                .get(request)
                .and_then(|client| self.around.clients.get(*client));
            let Some(ended) = client.and_then(|client| client.ended_at) else {
                continue;
            };
            let age = self.now - ended;
            if age > LEASE_MS + SLACK_MS + self.around.oracle.jumps_ms {
                let words = format!("{id} holds the lease of {request}, which ended {age} ms ago");
                return self.violate(
                    "§7.4 no lease outlives its request by more than a minute",
                    words,
                );
            }
        }
    }

    /// A request arrives at a server.
    pub fn check_arrival(&mut self, upstream: &Upstream) {
        let Upstream {
            instance: id,
            request,
            client: who,
            ..
        } = upstream;
        let (now, percent, most_retries) = (
            self.now,
            self.around.oracle.retry_percent,
            self.around.oracle.most_retries,
        );
        let client = &mut self.around.clients[*who];
        client.attempts += 1;
        if client.phase != Phase::Waiting {
            let words = format!(
                "{request} goes to {id} although its client is {:?}",
                client.phase
            );
            return self.violate("no attempt after the first byte", words);
        }
        let Some(grant) = self.around.oracle.known(id).grants.get(request).copied() else {
            return self.violate(
                "a server gets what its object granted",
                format!("{request} came to {id} uninvited"),
            );
        };
        let client = &mut self.around.clients[*who];
        client.races += u32::from(grant.lease.asked_as == AskKind::Hedge);
        // The first, its retries, and one race.
        if client.races > 1 || client.attempts - client.races > most_retries + 1 {
            let words = format!(
                "{request} was sent {} times, {} of them as races, {most_retries} retries allowed",
                client.attempts, client.races
            );
            return self.violate("attempts are bounded", words);
        }
        if grant.lease.asked_as == AskKind::Retry {
            self.met(Situation::Retry);
        }
        let running = self
            .around
            .upstreams
            .values()
            .filter(|other| other.instance == *id);
        let known = self.around.oracle.instances.entry(id.clone()).or_default();
        let counted = running
            .filter(|other| !known.excused.contains(&other.request))
            .count();
        let counted = counted + usize::from(!known.excused.contains(request));
        let capacity = usize::try_from(known.most_capacity).unwrap_or(usize::MAX);
        if counted > capacity {
            return self.violate(
                "a server runs no more than it can",
                format!("{id} runs {counted} of {capacity} with {request}"),
            );
        }
        let is_repeat = grant.lease.asked_as != AskKind::First;
        known.arrivals.push((now, is_repeat));
        // The object counts in buckets of ten seconds over a minute, and a retry may wait in the queue.
        let repeats = known
            .arrivals
            .iter()
            .filter(|(at, repeat)| *repeat && *at > now - 40_000)
            .count();
        let firsts = known.firsts.iter().filter(|at| **at > now - 70_000).count();
        let floor = usize::try_from(RetryPolicy::default().floor).unwrap_or(0);
        let allowed = (firsts * usize::try_from(percent).unwrap_or(0) / 100).max(floor);
        if repeats > allowed {
            self.violate(
                "retries and hedges are a small share",
                format!("{id} got {repeats} beside {firsts} first attempts"),
            );
        }
    }

    /// Situations that show in an answer.
    pub fn check_answer(&mut self, name: &ObjectName, text: &str) {
        let words: &[(&str, Situation)] = match name.kind() {
            ObjectKind::Instance => &[
                (r#""queue_timeout""#, Situation::QueueExpiry),
                (r#""retry_budget_spent""#, Situation::RetryBudgetRefused),
                (r#""cooling_down""#, Situation::CoolDown),
            ],
            ObjectKind::Model => &[(r#""said":"go""#, Situation::WaitThenGo)],
            ObjectKind::Key => &[(r#""answer":"denied""#, Situation::KeyDenied)],
            _ => &[],
        };
        for (word, situation) in words {
            if text.contains(word) {
                self.met(*situation);
            }
        }
    }
}

/// Leases that this turn granted. A lease that had run out and was renewed is none of them.
pub fn new_leases<'a>(
    ran: &'a Ran<Seen>,
    before: &'a Seen,
    after: &'a Seen,
) -> impl Iterator<Item = (&'a String, &'a Lease)> {
    let is_new = |(request, lease): &(&String, &Lease)| {
        !before.leases.contains_key(*request) && lease.granted_at == ran.now
    };
    after.leases.iter().filter(is_new)
}
