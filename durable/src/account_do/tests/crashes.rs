use std::collections::VecDeque;

use proptest::prelude::*;
use tidegate_provider_api::{ErrorKind, ProviderError, Reply as VendorReply};

use super::super::Account;
use super::cloud::{Cloud, Tenant};
use super::vendor::{IDEMPOTENT, PLAIN};
use super::world::{secs, spec};
use crate::bindings::ObjectName;
use crate::bindings::account::{AccountCommand, AccountSpec, AccountView};
use crate::bindings::instance::InstanceCommand;
use crate::driver::Driver;
use crate::rig::{Rig, START};
use crate::turn::{Effect, EffectId, Outcome, Turn, VendorCall};
use tidegate_domain::time::Timestamp;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cut {
    Nothing,
    /// After this turn the object leaves memory, and whatever was under way is never heard of again.
    EvictAfter(usize),
    /// The same, and what this turn let out never left.
    LoseEffectsOf(usize),
    /// In this turn, this statement fails.
    Fail(usize, u32),
    /// This turn happens twice.
    Twice(usize),
}

#[derive(Clone, Debug)]
enum Happening {
    Command(Box<AccountCommand>),
    Answer(EffectId, Box<Outcome>),
    Alarm,
}

struct Run {
    rig: Rig<Account>,
    cloud: Cloud,
    tenant: Tenant,
    waiting: VecDeque<Happening>,
    alarm_at: Option<Timestamp>,
    cut: Cut,
    turns: usize,
    /// What becomes of the n-th call: nothing (its answer is lost), an error, or what the vendor says.
    faults: VecDeque<u8>,
    most_under_way: usize,
}

impl Run {
    fn new(vendor: &str, cut: Cut) -> Self {
        let mut run = Self {
            rig: Rig::new(ObjectName::account("acme", "acc_1")),
            cloud: Cloud {
                is_idempotent: vendor == IDEMPOTENT,
                ..Cloud::default()
            },
            tenant: Tenant::default(),
            waiting: VecDeque::new(),
            alarm_at: None,
            cut,
            turns: 0,
            faults: VecDeque::new(),
            most_under_way: 0,
        };
        let spec_of = AccountSpec {
            generation: 1,
            vendor: vendor.to_owned(),
            label: String::new(),
            settings: tidegate_provider_api::Settings::default(),
            fingerprint: super::world::fingerprint(),
        };
        run.push(AccountCommand::Configure {
            spec: spec_of,
            sealed: Some("sealed".to_owned()),
        });
        run.push(AccountCommand::Rent { spec: spec("a") });
        run
    }

    fn push(&mut self, command: AccountCommand) {
        self.waiting
            .push_back(Happening::Command(Box::new(command)));
    }

    fn turn(&mut self, happening: &Happening) -> Option<Turn> {
        let ran = match happening {
            Happening::Command(command) => self.rig.try_call(command),
            Happening::Answer(id, outcome) => {
                let outcome = Outcome::clone(outcome);
                self.rig
                    .turn(|driver, host| driver.done(host, *id, outcome))
            }
            Happening::Alarm => self.rig.turn(Driver::alarm),
        };
        ran.ok()
    }

    fn step(&mut self, happening: Happening) {
        let number = self.turns;
        self.turns += 1;
        match self.cut {
            Cut::Fail(turn, statement) if turn == number => {
                self.rig.store.fail_after(statement);
                let turn = self.turn(&happening);
                self.rig.store.fail_after(u32::MAX);
                match (turn, &happening) {
                    (Some(turn), _) => self.heed(turn),
                    // What a host has to say about an effect it says once.
                    (None, Happening::Answer(..)) => {}
                    // A message is delivered, and an alarm rung, until it is taken.
                    (None, _) => self.waiting.push_front(happening),
                }
            }
            Cut::Twice(turn) if turn == number => {
                for _ in 0..2 {
                    if let Some(turn) = self.turn(&happening) {
                        self.heed(turn);
                    }
                }
            }
            Cut::LoseEffectsOf(turn) if turn == number => {
                if let Some(Turn {
                    alarm_at_ms: Some(at),
                    ..
                }) = self.turn(&happening)
                {
                    self.alarm_at = Some(Timestamp::from_ms(at));
                }
                self.evict();
            }
            Cut::EvictAfter(turn) if turn == number => {
                if let Some(turn) = self.turn(&happening) {
                    self.heed(turn);
                }
                self.evict();
            }
            _ => {
                if let Some(turn) = self.turn(&happening) {
                    self.heed(turn);
                }
            }
        }
    }

    fn evict(&mut self) {
        self.rig.evict();
        let is_answer = |happening: &Happening| matches!(happening, Happening::Answer(..));
        self.waiting.retain(|happening| !is_answer(happening));
    }

    fn heed(&mut self, turn: Turn) {
        if let Some(at) = turn.alarm_at() {
            self.alarm_at = Some(at);
        }
        for effect in turn.effects {
            match effect {
                Effect::Send { id, to, message } => {
                    let reply = "{}".to_owned();
                    if to.as_str() == "instance/acme/a" {
                        self.hear(&message);
                    }
                    let delivered = Outcome::Delivered { reply };
                    self.waiting
                        .push_back(Happening::Answer(id, Box::new(delivered)));
                }
                Effect::Vendor(call) => self.serve(&call),
                other => panic!("not an effect of an account: {other:?}"),
            }
        }
        let is_call = |happening: &&Happening| matches!(happening, Happening::Answer(_, outcome) if matches!(**outcome, Outcome::Vendor { .. }));
        let under_way = self.waiting.iter().filter(is_call).count();
        self.most_under_way = self.most_under_way.max(under_way);
    }

    fn hear(&mut self, message: &str) {
        let InstanceCommand::Heard { fact, .. } = serde_json::from_str(message).unwrap() else {
            return;
        };
        if let Some(command) = self.tenant.hear("a", fact) {
            self.push(command);
        }
    }

    /// The vendor does what it was asked, and its answer is on its way or lost.
    fn serve(&mut self, call: &VendorCall) {
        let operation = call.request.operation();
        let limited = ProviderError::new(ErrorKind::RateLimited, operation, "");
        let silent = ProviderError::no_answer(operation, "");
        let (reply, error): (Option<VendorReply>, Option<ProviderError>) =
            match self.faults.pop_front() {
                // Done, and the answer is lost on its way or with the host.
                Some(1) => {
                    let _ = self.cloud.serve(&call.request);
                    (None, Some(silent))
                }
                Some(2) => {
                    let _ = self.cloud.serve(&call.request);
                    return;
                }
                // Not done.
                Some(3) => (None, Some(silent)),
                Some(4) => (None, Some(limited)),
                _ => match self.cloud.serve(&call.request) {
                    Ok(reply) => (Some(reply), None),
                    Err(error) => (None, Some(error)),
                },
            };
        let outcome = Outcome::Vendor {
            reply,
            error,
            latency_ms: 1,
        };
        self.waiting
            .push_back(Happening::Answer(call.id, Box::new(outcome)));
    }

    /// Everything happens, until so much time has passed. The directory wakes the account every five minutes.
    fn until(&mut self, until: Timestamp) {
        let mut poke_at = self.rig.now + secs(300);
        for _ in 0..20_000 {
            if let Some(happening) = self.waiting.pop_front() {
                self.step(happening);
                continue;
            }
            let at = self.alarm_at.map_or(poke_at, |at| at.min(poke_at));
            if at > until {
                self.rig.now = until;
                return;
            }
            self.rig.now = at.max(self.rig.now);
            if self.alarm_at.is_some_and(|at| at <= self.rig.now) {
                self.alarm_at = None;
                self.step(Happening::Alarm);
            } else {
                poke_at = self.rig.now + secs(300);
                self.push(AccountCommand::Tick);
            }
        }
        panic!("it never comes to rest");
    }

    /// Thirty minutes later nothing is left anywhere.
    fn settle(&mut self) -> Result<(), String> {
        self.until(self.rig.now + secs(1_800));
        let (view, _): (AccountView, _) = self.rig.call(&AccountCommand::Describe);
        let problem = if !self.cloud.alive().is_empty() {
            "a machine is alive"
        } else if view.live > 0 {
            "an attempt is not over"
        } else if !view.strays.is_empty() {
            "a stray is not gone"
        } else if self.rig.count("calls") > 0 {
            "a call is not finished"
        } else if self.rig.count("outbox") > 0 {
            "a fact was not delivered"
        } else if self.most_under_way > 4 {
            "more than four calls were under way"
        } else {
            return Ok(());
        };
        Err(format!(
            "{problem}: {:?}, machines {:?}, view {view:?}, facts {:?}, calls {:?}",
            self.cut,
            self.cloud.machines,
            self.tenant.facts,
            self.rig.rows("SELECT id, record FROM calls"),
        ))
    }
}

/// How many turns the story takes when nothing goes wrong.
fn turns(vendor: &str) -> usize {
    let mut run = Run::new(vendor, Cut::Nothing);
    run.until(START + secs(60));
    let turns = run.turns;
    run.settle().unwrap();
    assert_eq!(run.cloud.creates, 1);
    assert!(run.tenant.is_over);
    turns
}

#[test]
fn an_eviction_after_any_turn_leaves_nothing_alive() {
    for vendor in [PLAIN, IDEMPOTENT] {
        let turns = turns(vendor);
        assert!(turns > 10, "{turns}");
        for turn in 0..turns {
            for cut in [Cut::EvictAfter(turn), Cut::LoseEffectsOf(turn)] {
                let mut run = Run::new(vendor, cut);
                run.settle().unwrap();
                // Where the vendor's "create" can be repeated there is never a second machine; where it cannot
                // it is never repeated.
                assert!(run.cloud.creates <= 1, "{cut:?}");
            }
        }
    }
}

#[test]
fn any_turn_that_happens_twice_changes_nothing() {
    for vendor in [PLAIN, IDEMPOTENT] {
        for turn in 0..turns(vendor) {
            let mut run = Run::new(vendor, Cut::Twice(turn));
            run.settle().unwrap();
            assert_eq!(run.cloud.creates, 1, "turn {turn}");
            assert!(run.tenant.is_over, "turn {turn}");
        }
    }
}

#[test]
fn any_statement_that_fails_leaves_nothing_alive() {
    for vendor in [PLAIN, IDEMPOTENT] {
        for turn in 0..turns(vendor) {
            for statement in [0, 1, 2, 3, 4, 5, 7, 9, 12] {
                let mut run = Run::new(vendor, Cut::Fail(turn, statement));
                run.settle().unwrap();
                assert!(run.cloud.creates <= 1, "turn {turn}, statement {statement}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Answers are lost, calls are not done, the vendor is asked too often, and the object is evicted in the
    /// middle: once that stops, nothing is left alive and nothing is left to do.
    #[test]
    fn whatever_the_vendor_does_everything_is_given_back_in_the_end(
        faults in proptest::collection::vec(0..6_u8, 0..40),
        evict in 0..60_usize,
        is_idempotent in any::<bool>(),
    ) {
        let vendor = if is_idempotent { IDEMPOTENT } else { PLAIN };
        let mut run = Run::new(vendor, Cut::EvictAfter(evict));
        run.faults = faults.into_iter().collect();
        run.until(START + secs(1_800));
        run.faults.clear();
        let settled = run.settle();
        prop_assert!(settled.is_ok(), "{}", settled.unwrap_err());
        prop_assert!(!is_idempotent || run.cloud.creates <= 1);
        prop_assert!(run.most_under_way <= 4);
    }
}
