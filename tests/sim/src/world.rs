//! Everything of one run and its one loop: the earliest event, what it causes, the next.
//!
//! Invariant: a run is a function of its seed. Nothing here looks at a clock, a hash map's order or an
//! address.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::turn::{EffectId, Outcome};

use crate::clients::Client;
use crate::isolate::{ExRef, Isolate};
use crate::object::{CallNo, Object};
use crate::operator::Operator;
use crate::oracle::Oracle;
use crate::rng::Rng;
use crate::scenario::{Faults, Scenario};
use crate::situations::{Situation, Situations};
use crate::upstreams::Upstream;

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub enum Event {
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
    /// A client comes.
    Arrive,
    /// A request's body was read.
    BodyRead { at: ExRef },
    /// A server makes its next move.
    Move { upstream: u64 },
    /// An exchange's timer.
    Wake { at: ExRef, setting: u64 },
    /// An isolate tells what found no ride.
    Flush { isolate: usize, life: u64 },
    /// A client leaves.
    Leave { client: usize },
    /// By now a client must have its answer.
    Deadline { client: usize },
    /// An isolate is lost with everything in it.
    LoseIsolate,
    /// A clock jumps.
    JumpClock,
    /// The minute.
    Cron,
    /// The operator's next command.
    Operate,
    /// The operator thinks of a change.
    Change,
    /// Faults begin.
    Begin,
    /// Faults end.
    Calm,
    /// Everything must have settled by the last of these.
    Inspect { minute: i64 },
}

/// Who waits for a call's answer.
#[derive(Clone, Debug)]
pub enum Caller {
    /// An exchange.
    Exchange {
        at: ExRef,
        call: u32,
        snapshot: bool,
    },
    /// An isolate, behind a request.
    Refresh {
        isolate: usize,
        life: u64,
        token: u32,
    },
    /// Nobody; sent once more on failure.
    Tell {
        isolate: usize,
        life: u64,
        to: ObjectName,
        message: String,
        again: bool,
    },
    /// An object.
    Effect {
        object: ObjectName,
        life: u64,
        id: EffectId,
    },
    /// The operator.
    Operator,
    /// Nobody.
    Nobody,
}

struct Scheduled {
    at: i64,
    number: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
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
pub struct World {
    /// True time.
    pub now: i64,
    /// When the run began.
    pub start: i64,
    /// Chance.
    pub rng: Rng,
    /// What the seed stands for.
    pub scenario: Scenario,
    /// The faults in force: none before the set-up is done and after the faults ended.
    pub faults: Faults,
    /// When the faults ended.
    pub calm_since: Option<i64>,
    /// Objects by name.
    pub objects: BTreeMap<ObjectName, Object>,
    /// Open calls.
    pub calls: BTreeMap<CallNo, Caller>,
    /// Isolates.
    pub isolates: Vec<Isolate>,
    /// Clients, in order of arrival.
    pub clients: Vec<Client>,
    /// Requests at servers that are open.
    pub upstreams: BTreeMap<u64, Upstream>,
    /// Who administers.
    pub operator: Operator,
    /// What is known to be true.
    pub oracle: Oracle,
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
    heap: BinaryHeap<Scheduled>,
    numbers: u64,
}

impl World {
    /// A run of this seed that has not begun; keeps so many of its last lines.
    pub fn new(seed: u64, lines: usize) -> Self {
        let mut rng = Rng::new(seed);
        let scenario = Scenario::draw(&mut rng);
        let isolates = (0..scenario.isolates)
            .map(|_| Isolate::new(&mut rng, scenario.skew_ms))
            .collect();
        let operator = Operator::new(&scenario, &mut rng);
        let mut world = Self {
            now: scenario.start_ms,
            start: scenario.start_ms,
            rng,
            faults: Faults::default(),
            calm_since: None,
            objects: BTreeMap::new(),
            calls: BTreeMap::new(),
            isolates,
            clients: Vec::new(),
            upstreams: BTreeMap::new(),
            operator,
            oracle: Oracle::new(&scenario),
            situations: Situations::default(),
            violation: None,
            trace: (lines > 0).then(VecDeque::new),
            lines,
            settled: false,
            digest: 0xcbf2_9ce4_8422_2325,
            events: 0,
            heap: BinaryHeap::new(),
            numbers: 0,
            scenario,
        };
        let minute = 60_000 - world.now % 60_000;
        world.after(minute, Event::Cron);
        world.after(0, Event::Operate);
        world
    }

    /// A fresh number.
    pub const fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// Plans an event.
    pub fn after(&mut self, ms: i64, event: Event) {
        let number = self.number();
        self.heap.push(Scheduled {
            at: self.now + ms.max(0),
            number,
            event,
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
    pub fn met(&mut self, situation: Situation) {
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

    fn digest(&mut self, scheduled: &Scheduled) {
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

    fn step(&mut self, event: Event) {
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
            Event::Arrive => self.arrive(),
            Event::BodyRead { at } => self.body_read(at),
            Event::Move { upstream } => self.server_moves(upstream),
            Event::Wake { at, setting } => self.wake(at, setting),
            Event::Flush { isolate, life } => self.flush_isolate(isolate, life),
            Event::Leave { client } => self.leave(client),
            Event::Deadline { client } => self.check_deadline(client),
            Event::LoseIsolate => self.lose_isolate(),
            Event::JumpClock => self.jump_clock(),
            Event::Cron => self.cron(),
            Event::Operate => self.operate(),
            Event::Change => self.think_of_a_change(),
            Event::Begin => self.begin_faults(),
            Event::Calm => self.calm_down(),
            Event::Inspect { minute } => self.inspect(minute),
        }
    }
}
