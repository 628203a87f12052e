//! Any sequence of events, with restarts and clock jumps at any point, against what must always hold:
//!
//! * a lease is granted only into a free slot, none outlives its expiry, the host's rows are the leases;
//! * a server that is out grants one probe at a time and one panic request a second, nothing else;
//! * every ask gets exactly one final answer, and nobody gets one without asking;
//! * once events stop, everything comes to rest.
//!
//! The run fails if a situation it is about was never reached.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

#[derive(Clone, Debug)]
enum Action {
    Ask {
        who: u8,
        kind: AskKind,
        mode: AskMode,
        priority: u8,
        patience_ms: i64,
    },
    Settle {
        who: u8,
        outcome: Outcome,
    },
    SettleAll(Outcome),
    Cancel(u8),
    Renew(u8),
    Wait(i64),
    WaitForTimer,
    Jump(i64),
    Restart,
    Check(bool),
    Drain(bool),
    Limits(u32, u32),
    Wish,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        5 => Just(FAILED),
        4 => Just(Outcome::Success),
        1 => Just(Outcome::ClientError(400)),
        1 => Just(Outcome::ClientLeft),
        1 => Just(Outcome::Cancelled),
        1 => (0..20_i64).prop_map(|secs| Outcome::Backpressure {
            status: 429,
            retry_after: (secs > 10).then(|| Span::from_secs(secs)),
        }),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    let kind = prop_oneof![8 => Just(AskKind::First), 1 => Just(AskKind::Retry), 1 => Just(AskKind::Hedge)];
    let mode = prop_oneof![6 => Just(AskMode::Normal), 2 => Just(AskMode::Tentative), 3 => Just(AskMode::Panic)];
    let ask = (0..16_u8, kind, mode, 0..3_u8, 0..60_000_i64).prop_map(
        |(who, kind, mode, priority, patience_ms)| Action::Ask {
            who,
            kind,
            mode,
            priority,
            patience_ms,
        },
    );
    prop_oneof![
        30 => ask,
        12 => (0..16_u8, outcome()).prop_map(|(who, outcome)| Action::Settle { who, outcome }),
        3 => Just(Action::SettleAll(FAILED)),
        1 => Just(Action::SettleAll(Outcome::Success)),
        3 => (0..16_u8).prop_map(Action::Cancel),
        3 => (0..16_u8).prop_map(Action::Renew),
        8 => (0..2_000_i64).prop_map(Action::Wait),
        2 => (0..70_000_i64).prop_map(Action::Wait),
        4 => Just(Action::WaitForTimer),
        1 => prop_oneof![Just(-3_600_000_i64), Just(3_600_000), Just(-1_500)].prop_map(Action::Jump),
        2 => Just(Action::Restart),
        2 => prop::bool::weighted(0.8).prop_map(Action::Check),
        1 => any::<bool>().prop_map(Action::Drain),
        1 => (0..6_u32, 0..6_u32).prop_map(|(slots, depth)| Action::Limits(slots, depth)),
        1 => Just(Action::Wish),
    ]
}

/// A host that stores what it is told to, and the requests that wait for an answer.
struct Host {
    server: Instance,
    now: Timestamp,
    record: InstanceRecord,
    rows: BTreeMap<RequestId, Lease>,
    waiting: BTreeSet<RequestId>,
    checks: Vec<CheckId>,
    panicked_at: Option<Timestamp>,
    seen: BTreeSet<&'static str>,
}

impl Host {
    fn new() -> Self {
        let limits = Limits {
            max_concurrency: 5,
            queue_depth: 4,
        };
        let mut policy = Policy::default();
        // So low that a run of a few hundred events spends it.
        policy.retry_budget.floor = 3;
        let server = Instance::new(7, limits, policy, START);
        Self {
            record: server.record(),
            server,
            now: START,
            rows: BTreeMap::new(),
            waiting: BTreeSet::new(),
            checks: Vec::new(),
            panicked_at: None,
            seen: BTreeSet::new(),
        }
    }

    /// Runs the action, the timers first: what they answer is then told from the action's own answer.
    fn run(&mut self, action: &Action) {
        match action {
            Action::Ask {
                who,
                kind,
                mode,
                priority,
                patience_ms,
            } => {
                self.step(Event::Tick);
                let ask = Ask {
                    request: id(&who.to_string()),
                    priority: *priority,
                    arrived_at: self.now,
                    deadline: self.now + Span::from_ms(*patience_ms),
                    least_service: Span::from_ms(10),
                    kind: *kind,
                    mode: *mode,
                };
                let foreseen = self.server.admit(self.now, &ask);
                self.waiting.insert(ask.request.clone());
                let effects = self.step(Event::Asked(ask.clone()));
                assert_eq!(answers(&effects, &ask.request), 1, "{effects:?}");
                assert_eq!(
                    foreseen.err(),
                    is_denied(&effects),
                    "admit foresaw something else"
                );
            }
            Action::Settle { who, outcome } => {
                self.step(Event::Settled(settled(&who.to_string(), *outcome)));
            }
            Action::SettleAll(outcome) => {
                for request in self.rows.keys().cloned().collect::<Vec<_>>() {
                    self.step(Event::Settled(settled(request.as_str(), *outcome)));
                }
            }
            Action::Cancel(who) => {
                self.step(Event::Cancelled(id(&who.to_string())));
                assert!(!self.waiting.contains(&id(&who.to_string())));
            }
            Action::Renew(who) => {
                self.step(Event::Renewed(id(&who.to_string())));
            }
            Action::Wait(ms) => self.wait(Span::from_ms(*ms)),
            Action::WaitForTimer => {
                if let Some(due) = self.server.poll_timeout() {
                    self.now = self.now.max(due);
                    self.step(Event::Tick);
                }
            }
            Action::Jump(ms) => {
                self.now = Timestamp::from_ms(self.now.as_ms() + ms);
                // Seconds are counted by a clock on the wall. After a jump ahead the server cannot know.
                self.panicked_at = self
                    .panicked_at
                    .filter(|_| *ms < 0)
                    .map(|at| Timestamp::from_ms(at.as_ms() + ms));
                self.step(Event::Tick);
            }
            Action::Restart => self.restart(),
            Action::Check(ok) => {
                self.step(Event::CheckRequested);
                let fault = (!ok).then_some(CheckFault::Timeout);
                for check in core::mem::take(&mut self.checks) {
                    let result = Checked {
                        latency: Span::from_ms(5),
                        fault,
                    };
                    self.step(Event::CheckFinished { check, result });
                }
            }
            Action::Drain(true) => drop(self.step(Event::DrainRequested)),
            Action::Drain(false) => drop(self.step(Event::Undrained)),
            Action::Limits(max_concurrency, queue_depth) => {
                let (max_concurrency, queue_depth) = (*max_concurrency, *queue_depth);
                let limits = Limits {
                    max_concurrency,
                    queue_depth,
                };
                self.step(Event::LimitsChanged(limits));
            }
            Action::Wish => drop(self.step(waiting("m", self.now + Span::from_secs(30)))),
        }
    }

    fn restart(&mut self) {
        let rows = self.rows.iter().map(|(request, lease)| LeaseRow {
            request: request.clone(),
            lease: *lease,
        });
        self.server = Instance::restore(self.record.clone(), rows.collect(), self.now);
        assert_eq!(self.server.leases().count(), self.rows.len());
        self.waiting.clear();
        self.checks.clear();
        self.seen.insert("restart");
        self.step(Event::Tick);
    }

    /// Time passes and every alarm rings in time.
    fn wait(&mut self, span: Span) {
        let end = self.now + span;
        let mut rings = 0;
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.step(Event::Tick);
            rings += 1;
            assert!(rings < 500, "the alarm rings without end");
        }
        self.now = end;
        self.step(Event::Tick);
    }

    fn step(&mut self, event: Event) -> Vec<Effect> {
        let before = self.rows.clone();
        let effects = self.server.handle(self.now, event.clone());
        for (n, effect) in effects.iter().enumerate() {
            self.apply(effect, effects.get(n + 1), &before);
        }
        self.check_invariants();
        let again = self.server.handle(self.now, Event::Tick);
        assert_eq!(again, [], "more to do after {event:?}");
        effects
    }

    fn apply(
        &mut self,
        effect: &Effect,
        next: Option<&Effect>,
        before: &BTreeMap<RequestId, Lease>,
    ) {
        match effect {
            Effect::LeaseWritten(request) => {
                let Some(lease) = self.server.lease(request).copied() else {
                    panic!("no lease to store for {request}");
                };
                let is_new = self.rows.insert(request.clone(), lease).is_none();
                let running = u32::try_from(self.rows.len()).unwrap_or(u32::MAX);
                assert!(!is_new || running <= self.server.limits().max_concurrency);
                // A renewal is stored without an answer; a probe's audit line stands in between.
                if matches!(next, Some(Effect::Answer { .. } | Effect::Audit { .. })) {
                    self.granted(lease);
                }
            }
            Effect::LeaseRemoved(request) => {
                let Some(lease) = self.rows.remove(request) else {
                    panic!("no row to delete for {request}");
                };
                if lease.expires_at <= self.now {
                    self.seen.insert("lease expiry");
                }
                assert!(before.contains_key(request));
            }
            Effect::Answer { request, answer } => match answer {
                Answer::Queued { .. } => {
                    assert!(self.waiting.contains(request));
                    self.seen.insert("queueing");
                }
                Answer::Granted { lease_until, .. } => {
                    assert!(self.waiting.remove(request), "{request} had its answer");
                    assert!(
                        self.rows.contains_key(request),
                        "granted before it was stored"
                    );
                    let held = self.server.lease(request).map(|lease| lease.expires_at);
                    assert_eq!(held, Some(*lease_until));
                }
                Answer::Denied(denied) => {
                    assert!(self.waiting.remove(request), "{request} had its answer");
                    self.seen.insert(match denied {
                        Denied::QueueTimeout => "queue timeout",
                        Denied::RetryBudgetSpent => "retry budget spent",
                        Denied::PanicSpent { .. } => "panic spent",
                        Denied::Probing { .. } => "probing",
                        Denied::Ejected { .. } => "ejected",
                        Denied::Unhealthy { .. } => "unhealthy",
                        Denied::CoolingDown { .. } => "cooling down",
                        Denied::Draining => "draining",
                        Denied::QueueFull { .. } => "queue full",
                        Denied::DeadlineTooShort { .. } => "deadline too short",
                        Denied::Busy { .. } => "busy",
                        Denied::Cancelled => "cancelled in the queue",
                        Denied::NotRegistered => panic!("a server never says so itself"),
                    });
                }
            },
            Effect::Check(check) => self.checks.push(check.id),
            Effect::RecordChanged => self.record = self.server.record(),
            Effect::Announce(Change::Readmitted) => drop(self.seen.insert("readmission")),
            Effect::SlotFree { free, .. } => {
                assert!(*free > 0);
                self.seen.insert("slot free");
            }
            Effect::Announce(_) | Effect::Audit { .. } => {}
        }
    }

    /// A lease was just granted (not renewed).
    fn granted(&mut self, lease: Lease) {
        let admits = self.server.breaker().admits();
        match lease.kind {
            GrantKind::Normal | GrantKind::Tentative => {
                assert!(admits, "an ejected server granted an ordinary request");
            }
            GrantKind::Probe => drop(self.seen.insert("probe")),
            GrantKind::Panic => {
                let spaced = self
                    .panicked_at
                    .is_none_or(|last| self.now < last || self.now >= last + Span::from_secs(1));
                assert!(spaced, "two panic requests within a second");
                self.panicked_at = Some(self.now);
                self.seen.insert("panic");
            }
        }
        assert_eq!(self.server.why_out(self.now).is_some(), !admits);
    }

    fn check_invariants(&self) {
        let server = &self.server;
        assert!(
            server
                .leases()
                .map(|(request, _)| request)
                .eq(self.rows.keys())
        );
        assert_eq!(server.record(), self.record, "the host holds an old record");
        for (request, lease) in server.leases() {
            assert!(lease.expires_at > self.now, "{request} outlived its lease");
            assert!(lease.expires_at <= self.now + Span::from_secs(60));
        }
        let probes = server
            .leases()
            .filter(|(_, lease)| lease.kind == GrantKind::Probe);
        let out_since = server.why_out(self.now).map_or(self.now, |why| why.since);
        let probes = probes
            .filter(|(_, lease)| lease.granted_at >= out_since)
            .count();
        assert!(server.breaker().admits() || probes <= 1, "{probes} probes");
        let queued: BTreeSet<_> = server.queue().iter().map(|w| w.request.clone()).collect();
        assert_eq!(
            queued, self.waiting,
            "someone waits for nothing, or is forgotten"
        );
        let load = server.load(self.now);
        if load.queued > 0 {
            assert!(
                load.running >= load.capacity,
                "someone waits beside a free slot"
            );
            assert_eq!(server.why_out(self.now), None);
        }
        assert!(server.poll_timeout().is_some_and(|due| due > self.now));
    }

    /// Nobody asks any more: within 70 s every wait has ended and every lease is back.
    fn come_to_rest(&mut self) {
        self.wait(Span::from_secs(70));
        assert!(self.waiting.is_empty());
        assert!(self.rows.is_empty());
    }
}

fn answers(effects: &[Effect], to: &RequestId) -> usize {
    let is_answer =
        |effect: &&Effect| matches!(effect, Effect::Answer { request, .. } if request == to);
    effects.iter().filter(is_answer).count()
}

#[test]
fn p4_p5_no_sequence_of_events_breaks_an_invariant() {
    let seen = RefCell::new(BTreeSet::new());
    let config = Config {
        cases: 600,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let run = runner.run(&prop::collection::vec(action(), 1..200), |actions| {
        let mut host = Host::new();
        for action in &actions {
            host.run(action);
        }
        host.come_to_rest();
        seen.borrow_mut().extend(host.seen);
        Ok(())
    });
    if let Err(failure) = run {
        panic!("{failure}");
    }
    let reached = seen.into_inner();
    for situation in [
        "busy",
        "cancelled in the queue",
        "cooling down",
        "deadline too short",
        "draining",
        "ejected",
        "lease expiry",
        "panic",
        "panic spent",
        "probe",
        "probing",
        "queue full",
        "queue timeout",
        "queueing",
        "readmission",
        "restart",
        "retry budget spent",
        "slot free",
        "unhealthy",
    ] {
        assert!(reached.contains(situation), "never reached: {situation}");
    }
}
