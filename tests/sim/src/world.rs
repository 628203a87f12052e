//! Everything of one run and its one loop: the earliest event, what it causes, the next.
//!
//! What is hosted, and what a platform may do to it, is the same in every world; who calls the objects and
//! whom they call stands around them ([`Surroundings`]): a gateway with its clients and servers, or vendors of
//! GPUs with their machines.
//!
//! Invariant: a run is a function of its seed. Nothing here looks at a clock, a hash map's order or an
//! address.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, VecDeque};
use std::fmt;

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::turn::{Effect, EffectId, Outcome};

use crate::faults::Faults;
use crate::object::{CallNo, Object, Ran, Seen};
use crate::rng::Rng;
use crate::situations::{Situation, Situations};

/// What stands around the hosted objects.
pub trait Surroundings: Sized {
    /// What happens there.
    type Event: fmt::Debug;
    /// Who there waits for an object's answer.
    type Caller: fmt::Debug;
    /// What the checks look at inside an object.
    type Seen: Seen;

    /// Something happens there.
    fn step(world: &mut World<Self>, event: Self::Event);

    /// Somebody there has an object's answer, or hears that there is none.
    fn answered(world: &mut World<Self>, caller: Self::Caller, said: Result<String, String>);

    /// An object asks for an effect that leads out of the objects.
    fn perform(world: &mut World<Self>, object: &ObjectName, life: u64, effect: Effect);

    /// A turn has run, and may yet get lost.
    fn saw(world: &mut World<Self>, object: &ObjectName, ran: &Ran<Self::Seen>);

    /// A turn is on disk.
    fn committed(world: &mut World<Self>, object: &ObjectName, ran: &Ran<Self::Seen>);

    /// An object answers.
    fn said(world: &mut World<Self>, object: &ObjectName, answer: &str);

    /// The platform did something.
    fn happened(world: &mut World<Self>, object: &ObjectName, what: Happening);

    /// Faults have ended.
    fn calmed(world: &mut World<Self>);

    /// Whether nothing gets through to an object now.
    fn is_unreachable(world: &World<Self>, to: &ObjectName) -> bool;

    /// Whether this caller's messages arrive in the order in which they were sent.
    fn is_in_order(caller: &Self::Caller) -> bool;

    /// Whether this object's clock may jump.
    fn may_jump(object: &ObjectName) -> bool;

    /// A clock jumps by this much. Whether it is one that belongs to no object, so that `false` leaves it to an
    /// object; `true` is demanded when no object's clock may jump.
    fn jumps(world: &mut World<Self>, by: i64, is_demanded: bool) -> bool;
}

/// What a platform does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// A turn failed and was rolled back.
    RolledBack,
    /// Writes that were not yet on disk were lost.
    CommitLost,
    /// A caller waits for an answer that comes later than its turn.
    Waits,
    /// An object left memory while so many callers waited for its answer.
    Evicted {
        /// They.
        polls: usize,
    },
    /// An alarm that was lost is set again.
    LostAlarmHealed,
    /// An alarm rang twice.
    AlarmTwice,
    /// A fact was delivered, or set out, once more.
    DeliveredAgain,
}

/// Something that happens at a time.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "few are held at once, and each is read once"
)]
pub enum Event<A: Surroundings> {
    /// A message reaches its object.
    ToObject {
        to: ObjectName,
        message: String,
        call: CallNo,
    },
    /// An answer reaches its caller.
    Answer {
        call: CallNo,
        said: Result<String, String>,
    },
    /// A caller stops waiting.
    TimedOut { call: CallNo },
    /// An alarm rings.
    Alarm {
        object: ObjectName,
        setting: u64,
        again: bool,
    },
    /// What an object wrote is on disk.
    OnDisk { object: ObjectName, batch: u64 },
    /// An effect of an object ended.
    EffectDone {
        object: ObjectName,
        life: u64,
        id: EffectId,
        outcome: Outcome,
    },
    /// What an object put off for a moment is due.
    Soon { object: ObjectName, life: u64 },
    /// An object that is chosen then leaves memory.
    EvictOne,
    /// A clock jumps.
    JumpClock,
    /// The minute.
    Cron,
    /// Faults end.
    Calm,
    /// Something around the objects.
    Around(A::Event),
}

/// Who waits for a call's answer.
#[derive(Debug)]
pub enum Caller<A: Surroundings> {
    /// An object.
    Effect {
        object: ObjectName,
        life: u64,
        id: EffectId,
    },
    /// Nobody.
    Nobody,
    /// Somebody around the objects.
    Around(A::Caller),
}

struct Scheduled<A: Surroundings> {
    at: i64,
    number: u64,
    event: Event<A>,
}

impl<A: Surroundings> PartialEq for Scheduled<A> {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl<A: Surroundings> Eq for Scheduled<A> {}
impl<A: Surroundings> PartialOrd for Scheduled<A> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<A: Surroundings> Ord for Scheduled<A> {
    /// Turned round: the heap gives its greatest first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.number).cmp(&(self.at, self.number))
    }
}

/// A property that did not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub property: &'static str,
    /// What was seen.
    pub seen: String,
}

/// A run.
pub struct World<A: Surroundings> {
    /// True time.
    pub now: i64,
    /// When the run began.
    pub start: i64,
    /// Chance.
    pub rng: Rng,
    /// Clocks of objects differ from the true time by at most so much.
    pub skew_ms: i64,
    /// The faults in force: none before the set-up is done and after the faults ended.
    pub faults: Faults,
    /// When the faults ended.
    pub calm_since: Option<i64>,
    /// Objects by name.
    pub objects: BTreeMap<ObjectName, Object<A::Seen>>,
    /// Open calls.
    pub calls: BTreeMap<CallNo, Caller<A>>,
    /// What stands around the objects.
    pub around: A,
    /// What was met.
    pub situations: Situations,
    /// What did not hold.
    pub violation: Option<Violation>,
    /// The last lines, when the run is traced.
    pub trace: Option<VecDeque<String>>,
    lines: usize,
    /// Everything settled.
    pub settled: bool,
    /// A digest of all events.
    pub digest: u64,
    /// Events so far.
    pub events: u64,
    /// Facts that were sent before.
    pub delivered: BTreeSet<(ObjectName, EffectId)>,
    heap: BinaryHeap<Scheduled<A>>,
    numbers: u64,
}

impl<A: Surroundings> World<A> {
    /// A run that has not begun; keeps so many of its last lines.
    pub fn of(around: A, rng: Rng, start: i64, skew_ms: i64, lines: usize) -> Self {
        Self {
            now: start,
            start,
            rng,
            skew_ms,
            faults: Faults::default(),
            calm_since: None,
            objects: BTreeMap::new(),
            calls: BTreeMap::new(),
            around,
            situations: Situations::default(),
            violation: None,
            trace: (lines > 0).then(VecDeque::new),
            lines,
            settled: false,
            digest: 0xcbf2_9ce4_8422_2325,
            events: 0,
            delivered: BTreeSet::new(),
            heap: BinaryHeap::new(),
            numbers: 0,
        }
    }

    /// A fresh number.
    pub const fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Plans an event.
    pub fn after(&mut self, ms: i64, event: impl Into<Event<A>>) {
        let number = self.number();
        self.heap.push(Scheduled {
            at: self.now + ms.max(0),
            number,
            event: event.into(),
        });
    }

    /// A property does not hold: the run ends.
    pub fn violate(&mut self, property: &'static str, seen: impl Into<String>) {
        if self.violation.is_none() {
            self.violation = Some(Violation {
                property,
                seen: seen.into(),
            });
        }
    }

    /// Was met.
    pub fn met(&mut self, situation: impl Situation) {
        self.situations.met(situation);
    }

    /// A line of the trace.
    pub fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            if trace.len() == self.lines {
                trace.pop_front();
            }
            let ms = self.now - self.start;
            trace.push_back(format!("{:>4}.{:03} {}", ms / 1000, ms % 1000, line()));
        }
    }

    /// Whether faults are over.
    pub const fn is_calm(&self) -> bool {
        self.calm_since.is_some()
    }

    /// Runs until everything has settled or a property failed.
    pub fn run(&mut self) {
        while self.violation.is_none() && !self.settled {
            let Some(next) = self.heap.pop() else {
                self.violate("the run goes on", "nothing was left to happen");
                return;
            };
            self.now = next.at;
            self.events += 1;
            self.digest(&next);
            self.step(next.event);
        }
    }

    fn digest(&mut self, scheduled: &Scheduled<A>) {
        let mut mix = |bytes: &[u8]| {
            for byte in bytes {
                self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        };
        mix(&scheduled.at.to_le_bytes());
        mix(&scheduled.number.to_le_bytes());
        match &scheduled.event {
            Event::ToObject { message, .. } => mix(message.as_bytes()),
            Event::Answer { said: Ok(said), .. } => mix(said.as_bytes()),
            _ => {}
        }
    }

    fn step(&mut self, event: Event<A>) {
        match event {
            Event::ToObject { to, message, call } => self.reach(&to, message, call),
            Event::Answer { call, said } => self.answer(call, said),
            Event::TimedOut { call } => {
                if self.calls.contains_key(&call) {
                    self.answer(call, Err("no answer within its time".to_owned()));
                }
            }
            Event::Alarm {
                object,
                setting,
                again,
            } => self.ring(&object, setting, again),
            Event::OnDisk { object, batch } => self.on_disk(&object, batch),
            Event::EffectDone {
                object,
                life,
                id,
                outcome,
            } => self.effect_done(&object, life, id, outcome),
            Event::Soon { object, life } => self.soon(&object, life),
            Event::EvictOne => self.evict_one(),
            Event::JumpClock => self.jump_clock(),
            Event::Cron => self.cron(),
            Event::Calm => self.calm_down(),
            Event::Around(event) => A::step(self, event),
        }
    }
}
