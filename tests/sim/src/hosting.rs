//! Hosting the objects: turns, what they let out, alarms, evictions.

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::turn::{Effect, EffectId, Outcome, Reply, Turn};

use crate::faults::Faults;
use crate::object::{CallNo, Object, Ran, Run, TurnEnd};
use crate::world::{Caller, Event, Happening, Surroundings, World};

/// How long a delivery to another object may take.
const SEND_TIMEOUT_MS: u64 = 10_000;

impl<A: Surroundings> World<A> {
    /// An object, made when it is first called.
    pub fn object(&mut self, name: &ObjectName) -> &mut Object<A::Seen> {
        let skew = self.skew_ms;
        if !self.objects.contains_key(name) {
            let object = Object::new(name.clone(), self.rng.range(-skew, skew), self.rng.next());
            self.objects.insert(name.clone(), object);
        }
        self.objects
            .entry(name.clone())
            .or_insert_with(|| Object::new(name.clone(), 0, 0))
    }

    /// A message arrived.
    pub fn reach(&mut self, to: &ObjectName, message: String, call: CallNo) {
        self.turn(to, Run::Call { message, call });
    }

    /// An effect ended: told to the life that asked for it.
    pub fn effect_done(&mut self, name: &ObjectName, life: u64, id: EffectId, outcome: Outcome) {
        if self.object(name).life == life {
            self.turn(name, Run::Done { id, outcome });
        }
    }

    /// The moment of a `Soon` has come.
    pub fn soon(&mut self, name: &ObjectName, life: u64) {
        if self.object(name).life == life {
            self.turn(name, Run::Soon);
        }
    }

    /// Runs a turn. Whether it ended well.
    fn turn(&mut self, name: &ObjectName, run: Run) -> bool {
        let fails = self
            .rng
            .chance(self.faults.store_fails)
            .then(|| self.rng.range(0, 5));
        let fails = fails.and_then(|after| u32::try_from(after).ok());
        let evicts = self.rng.chance(self.faults.evicted_in_turn);
        let now = self.now;
        let object = self.object(name);
        if fails.is_some() {
            // What an earlier turn wrote is not what this one takes back.
            let ran = object.flush();
            self.release_all(name, ran);
        }
        let object = self.object(name);
        match object.turn(now, run, fails) {
            TurnEnd::Failed(error, orphans) => {
                self.note(|| format!("{name} failed: {error}"));
                A::happened(self, name, Happening::RolledBack);
                if fails.is_none() {
                    self.violate("no turn fails by itself", format!("{name}: {error}"));
                }
                self.after_eviction(name, orphans);
                return false;
            }
            TurnEnd::Out(ran) => {
                A::saw(self, name, &ran);
                self.release(name, *ran);
            }
            TurnEnd::Held { first } => self.turn_is_held(name, first, evicts),
        }
        true
    }

    fn turn_is_held(&mut self, name: &ObjectName, first: bool, evicts: bool) {
        if evicts {
            A::happened(self, name, Happening::CommitLost);
            self.note(|| format!("{name} is evicted before its turn is on disk"));
            let orphans = self.object(name).evict();
            self.after_eviction(name, orphans);
            return;
        }
        let object = self.object(name);
        if let Some(ran) = object.held.pop() {
            A::saw(self, name, &ran);
            self.object(name).held.push(ran);
        }
        if self.faults.disk_ms == 0 {
            let ran = self.object(name).flush();
            self.release_all(name, ran);
        } else if first {
            let ms = self.rng.range(0, self.faults.disk_ms);
            let batch = self.object(name).batch;
            self.after(
                ms,
                Event::OnDisk {
                    object: name.clone(),
                    batch,
                },
            );
        }
    }

    /// A batch reached the disk.
    pub fn on_disk(&mut self, name: &ObjectName, batch: u64) {
        if self.object(name).batch == batch {
            let ran = self.object(name).flush();
            self.release_all(name, ran);
        }
    }

    fn release_all(&mut self, name: &ObjectName, ran: Vec<Ran<A::Seen>>) {
        for ran in ran {
            self.release(name, ran);
        }
    }

    /// Lets out what a turn answered and asked for.
    fn release(&mut self, name: &ObjectName, ran: Ran<A::Seen>) {
        A::committed(self, name, &ran);
        let Ran { run, turn, .. } = ran;
        let Turn {
            reply,
            effects,
            alarm_at_ms,
        } = turn;
        if let Some(at_ms) = alarm_at_ms {
            self.arm(name, at_ms);
        }
        let call = match run {
            Run::Call { call, .. } => Some(call),
            _ => None,
        };
        match (reply, call) {
            (Some(Reply::Now(text)), Some(call)) => {
                A::said(self, name, &text);
                self.reply(call, Ok(text));
            }
            (Some(Reply::Later(ticket)), Some(call)) => {
                self.object(name).waiting.insert(ticket, call);
                A::happened(self, name, Happening::Waits);
            }
            (None, Some(_)) => self.violate(
                "every message is answered",
                format!("{name} gave no answer"),
            ),
            _ => {}
        }
        for effect in effects {
            self.perform_object(name, effect);
        }
    }

    fn perform_object(&mut self, name: &ObjectName, effect: Effect) {
        let life = self.object(name).life;
        match effect {
            Effect::Send { id, to, message } => {
                self.note(|| format!("{name} sends {id} to {to}: {message}"));
                let caller = Caller::Effect {
                    object: name.clone(),
                    life,
                    id,
                };
                self.send(&to, message, SEND_TIMEOUT_MS, caller);
            }
            Effect::Get { .. } | Effect::Post { .. } | Effect::Vendor(_) => {
                A::perform(self, name, life, effect);
            }
            Effect::Soon { after_ms } => {
                let ms = i64::try_from(after_ms).unwrap_or(0);
                self.after(
                    ms,
                    Event::Soon {
                        object: name.clone(),
                        life,
                    },
                );
            }
            Effect::Resolve { ticket, reply } => {
                A::said(self, name, &reply);
                match self.object(name).waiting.remove(&ticket) {
                    Some(call) => {
                        self.note(|| format!("{name} answers its waiting call {call}: {reply}"));
                        self.reply(call, Ok(reply));
                    }
                    None => self.violate(
                        "a ticket is answered once",
                        format!("{name} answers nobody: {reply}"),
                    ),
                }
            }
        }
    }

    fn arm(&mut self, name: &ObjectName, at_ms: i64) {
        let late = if self.rng.chance(self.faults.alarm_late) {
            self.rng.range(500, 20_000)
        } else {
            self.rng.range(0, 3)
        };
        let lost = self.rng.chance(self.faults.alarm_lost);
        let twice = self.rng.chance(self.faults.alarm_twice);
        let now = self.now;
        let object = self.object(name);
        object.alarms += 1;
        let setting = object.alarms;
        object.alarm = Some((at_ms, setting));
        let healed = std::mem::replace(&mut object.alarm_was_lost, lost);
        let wait = (at_ms - object.skew_ms - now).max(0) + late;
        if healed {
            A::happened(self, name, Happening::LostAlarmHealed);
        }
        self.note(|| {
            format!(
                "{name} sets its alarm {setting}, in {wait} ms{}",
                if lost { ", which will not ring" } else { "" }
            )
        });
        if lost {
            return;
        }
        self.after(
            wait,
            Event::Alarm {
                object: name.clone(),
                setting,
                again: false,
            },
        );
        if twice {
            self.after(
                wait + 50,
                Event::Alarm {
                    object: name.clone(),
                    setting,
                    again: true,
                },
            );
        }
    }

    /// An alarm rings, if it is still the one that is set.
    pub fn ring(&mut self, name: &ObjectName, setting: u64, again: bool) {
        let object = self.object(name);
        if object.alarm.is_some_and(|(_, set)| set == setting) {
            object.alarm = None;
        } else if !again {
            return;
        }
        if again {
            A::happened(self, name, Happening::AlarmTwice);
        }
        let is_well = self.turn(name, Run::Alarm);
        if !is_well && self.object(name).alarm.is_none() {
            // The host arms the alarm of a turn that failed.
            let at = self.now + self.object(name).skew_ms + 2_000;
            self.arm(name, at);
        }
    }

    /// One object in memory goes, of any class.
    pub fn evict_one(&mut self) {
        let every = self.faults.evict_every_ms;
        if every == 0 {
            return;
        }
        let loaded: Vec<ObjectName> = self
            .objects
            .values()
            .filter(|object| object.is_loaded())
            .map(|object| object.name.clone())
            .collect();
        if !loaded.is_empty() {
            let name = loaded[self.rng.index(loaded.len())].clone();
            self.evict(&name);
        }
        let gap = self.rng.gap(every);
        self.after(gap, Event::EvictOne);
    }

    fn evict(&mut self, name: &ObjectName) {
        let object = self.object(name);
        let (polls, held) = (object.waiting.len(), object.held.len());
        A::happened(self, name, Happening::Evicted { polls });
        if held > 0 {
            A::happened(self, name, Happening::CommitLost);
        }
        let orphans = self.object(name).evict();
        self.note(|| format!("{name} is evicted with {polls} polls, {held} turns not on disk"));
        self.after_eviction(name, orphans);
    }

    fn after_eviction(&mut self, name: &ObjectName, orphans: Vec<CallNo>) {
        let now = self.now;
        let object = self.object(name);
        if std::mem::take(&mut object.has_lived) {
            object.evicted_at = Some(now);
        }
        for call in orphans {
            self.reply(call, Err("the object was loaded anew".to_owned()));
        }
    }

    /// Faults end: from here on everything has to settle.
    pub fn calm_down(&mut self) {
        self.note(|| "faults end".to_owned());
        self.faults = Faults::default();
        self.calm_since = Some(self.now);
        let names: Vec<ObjectName> = self.objects.keys().cloned().collect();
        for name in names {
            let ran = self.object(&name).flush();
            self.release_all(&name, ran);
        }
        A::calmed(self);
    }

    /// A clock jumps, and stays where it is.
    pub fn jump_clock(&mut self) {
        let every = self.faults.clock_jump_every_ms;
        if every == 0 {
            return;
        }
        let far = self.faults.clock_jump_ms;
        let by = self.rng.range(-far, far);
        let names: Vec<ObjectName> = self
            .objects
            .keys()
            .filter(|name| A::may_jump(name))
            .cloned()
            .collect();
        if !A::jumps(self, by, names.is_empty()) {
            let name = names[self.rng.index(names.len())].clone();
            self.note(|| format!("the clock of {name} jumps by {by} ms"));
            self.object(&name).skew_ms += by;
        }
        let gap = self.rng.gap(every);
        self.after(gap, Event::JumpClock);
    }

    /// The platform's minute.
    pub fn cron(&mut self) {
        self.after(60_000, Event::Cron);
        let message = r#"{"command":"cron"}"#.to_owned();
        self.send(&ObjectName::directory(), message, 30_000, Caller::Nobody);
    }
}
