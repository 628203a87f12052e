//! A host in virtual time: its timers, its alarm, checks and messages that are answered, and a meter of
//! what the platform would bill.

use std::collections::{BTreeMap, BTreeSet};

use super::*;
use crate::driver::Driver;

/// What is bound to happen.
pub enum Coming {
    Soon,
    /// A check or a message ends.
    Done(EffectId, Outcome),
    /// The test's own.
    Turnover(Turnover),
}

pub struct World {
    pub rig: Server,
    pub coming: BTreeMap<(i64, u64), Coming>,
    alarm_at: Option<i64>,
    count: u64,
    /// Written rows, an alarm that is set among them.
    alarms_set: u64,
    /// Calls into objects: asks, alarms, and what this object says to others.
    pub requests: u64,
    pub announcements: u64,
    pub checks: u64,
    /// Requests with a slot, as their clients see it, and since when.
    pub running: BTreeMap<String, i64>,
    /// Those of them whose leases were lost: granted within the last second before an eviction.
    pub lost: BTreeSet<String>,
    asked: BTreeMap<Ticket, String>,
    rows_before: u64,
}

impl World {
    pub fn new(rig: Server) -> Self {
        let rows_before = rig.store.rows_written();
        let mut world = Self {
            rig,
            coming: BTreeMap::new(),
            alarm_at: None,
            count: 0,
            alarms_set: 0,
            requests: 0,
            announcements: 0,
            checks: 0,
            running: BTreeMap::new(),
            lost: BTreeSet::new(),
            asked: BTreeMap::new(),
            rows_before,
        };
        let turn = tell(&mut world.rig, &InstanceCommand::Tick);
        world.perform(turn, None);
        world
    }

    pub fn rows(&self) -> u64 {
        self.rig.store.rows_written() - self.rows_before + self.alarms_set
    }

    pub fn at(&mut self, at_ms: i64, coming: Coming) {
        self.count += 1;
        self.coming.insert((at_ms, self.count), coming);
    }

    /// When something happens next.
    pub fn next_at(&self) -> Option<i64> {
        let coming = self.coming.first_key_value().map(|((at, _), _)| *at);
        coming.into_iter().chain(self.alarm_at).min()
    }

    /// Runs until nothing is left to happen before this moment.
    pub fn run_until(&mut self, until: Timestamp) {
        loop {
            let next = self.coming.first_key_value().map(|((at, _), _)| *at);
            let alarm = self
                .alarm_at
                .filter(|alarm| next.is_none_or(|next| *alarm < next));
            let Some(at) = alarm.or(next).filter(|at| *at < until.as_ms()) else {
                self.rig.now = until;
                return;
            };
            self.rig.now = self.rig.now.max(moment(at));
            if alarm.is_some() {
                self.alarm_at = None;
                self.requests += 1;
                let turn = self.rig.alarm();
                self.perform(turn, None);
            } else if let Some((_, coming)) = self.coming.pop_first() {
                self.happen(coming);
            }
        }
    }

    fn happen(&mut self, coming: Coming) {
        match coming {
            Coming::Soon => {
                let turn = self.rig.turn(Driver::soon).unwrap();
                self.perform(turn, None);
            }
            Coming::Done(id, outcome) => {
                let turn = self.rig.done(id, outcome);
                self.perform(turn, None);
            }
            Coming::Turnover(said) => self.turnover(said),
        }
    }

    pub fn turnover(&mut self, said: Turnover) {
        self.requests += 1;
        for settled in &said.settled {
            self.running.remove(&settled.request);
        }
        let asker = said.ask.as_ref().map(|ask| ask.request.clone());
        let turn = turnover(&mut self.rig, said);
        self.perform(turn, asker);
    }

    /// The object leaves memory: timers and open answers go with it, the alarm stays.
    pub fn evict(&mut self) {
        self.rig.evict();
        let now = self.rig.now.as_ms();
        let young = self
            .running
            .iter()
            .filter(|(_, since)| now - **since <= 1_000);
        self.lost.extend(young.map(|(name, _)| name.clone()));
        self.asked.clear();
        self.coming
            .retain(|_, coming| matches!(coming, Coming::Turnover(_)));
    }

    fn perform(&mut self, turn: Turn, asker: Option<String>) {
        if let Some(at) = turn.alarm_at_ms {
            self.alarm_at = Some(at);
            self.alarms_set += 1;
        }
        match (turn.reply, asker) {
            (Some(Reply::Later(ticket)), Some(name)) => {
                self.asked.insert(ticket, name);
            }
            (Some(Reply::Now(reply)), Some(name)) => self.told(&reply, name),
            _ => {}
        }
        let now = self.rig.now.as_ms();
        for effect in turn.effects {
            match effect {
                Effect::Post { .. } | Effect::Vendor(_) => {
                    panic!("nothing is rented here: {effect:?}")
                }
                Effect::Soon { after_ms } => {
                    let at = now + i64::try_from(after_ms).unwrap();
                    self.at(at, Coming::Soon);
                }
                Effect::Get { id, .. } => {
                    self.checks += 1;
                    self.at(now + 20, Coming::Done(id, well()));
                }
                Effect::Send { id, .. } => {
                    self.requests += 1;
                    self.announcements += 1;
                    let reply = "{}".to_owned();
                    self.at(now + 5, Coming::Done(id, Outcome::Delivered { reply }));
                }
                Effect::Resolve { ticket, reply } => {
                    if let Some(name) = self.asked.remove(&ticket) {
                        self.told(&reply, name);
                    }
                }
            }
        }
    }

    fn told(&mut self, reply: &str, name: String) {
        match serde_json::from_str(reply).unwrap() {
            AskAnswer::Granted { .. } => {
                let now = self.rig.now.as_ms();
                self.running.entry(name).or_insert(now);
            }
            AskAnswer::Denied { .. } | AskAnswer::Noted => {}
        }
    }
}
