//! The gateway: isolates with their clients, servers that misbehave, and who registers them.

mod calm;
mod checks;
mod clients;
mod facts;
mod isolate;
mod model_server;
mod operator;
mod oracle;
mod scenario;
mod seen;
mod situations;
mod transcript;
mod upstreams;

use std::collections::BTreeMap;

use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::turn::Effect;
use tidegate_edge::effect::CallOutcome;

use crate::Report;
use crate::object::Ran;
use crate::rng::Rng;
use crate::world::{self, Happening, Surroundings};

use self::clients::Client;
use self::isolate::{ExRef, Isolate};
use self::operator::Operator;
use self::oracle::Oracle;
use self::scenario::{Outside, Scenario};
use self::seen::Seen;
pub use self::situations::Situation;
use self::upstreams::Upstream;

type World = world::World<Gateway>;

/// A gateway, its clients, its servers and its operator.
pub struct Gateway {
    /// What the seed stands for.
    scenario: Scenario,
    /// Isolates.
    isolates: Vec<Isolate>,
    /// Clients, in order of arrival.
    clients: Vec<Client>,
    /// Requests at servers that are open.
    upstreams: BTreeMap<u64, Upstream>,
    /// Who administers.
    operator: Operator,
    /// What is known to be true.
    oracle: Oracle,
    /// Faults around the objects that are in force.
    faults: Outside,
}

/// What happens around the gateway.
#[derive(Debug)]
pub enum Event {
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
    /// The operator's next command.
    Operate,
    /// The operator thinks of a change.
    Change,
    /// Faults begin.
    Begin,
    /// Everything must have settled by the last of these.
    Inspect { minute: i64 },
}

/// Who waits for an object's answer.
#[derive(Debug)]
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
    /// The operator.
    Operator,
}

impl From<Event> for world::Event<Gateway> {
    fn from(event: Event) -> Self {
        Self::Around(event)
    }
}

impl From<Caller> for world::Caller<Gateway> {
    fn from(caller: Caller) -> Self {
        Self::Around(caller)
    }
}

/// Runs a seed to its end and keeps so many of its last lines.
pub fn run(seed: u64, lines: usize) -> Report {
    let mut world = begin(seed, lines);
    world.run();
    let clients = world.around.clients.len();
    Report::of(seed, clients, world)
}

/// A run of this seed that has not begun.
fn begin(seed: u64, lines: usize) -> World {
    let mut rng = Rng::new(seed);
    let scenario = Scenario::draw(&mut rng);
    let isolates = (0..scenario.isolates)
        .map(|_| Isolate::new(&mut rng, scenario.skew_ms))
        .collect();
    let operator = Operator::new(&scenario, &mut rng);
    let (start, skew) = (scenario.start_ms, scenario.skew_ms);
    let gateway = Gateway {
        oracle: Oracle::new(&scenario),
        scenario,
        isolates,
        clients: Vec::new(),
        upstreams: BTreeMap::new(),
        operator,
        faults: Outside::default(),
    };
    let mut world = World::of(gateway, rng, start, skew, lines);
    let minute = 60_000 - world.now % 60_000;
    world.after(minute, world::Event::Cron);
    world.after(0, Event::Operate);
    world
}

impl Surroundings for Gateway {
    type Event = Event;
    type Caller = Caller;
    type Seen = Seen;

    fn step(world: &mut World, event: Event) {
        match event {
            Event::Arrive => world.arrive(),
            Event::BodyRead { at } => world.body_read(at),
            Event::Move { upstream } => world.server_moves(upstream),
            Event::Wake { at, setting } => world.wake(at, setting),
            Event::Flush { isolate, life } => world.flush_isolate(isolate, life),
            Event::Leave { client } => world.leave(client),
            Event::Deadline { client } => world.check_deadline(client),
            Event::LoseIsolate => world.lose_isolate(),
            Event::Operate => world.operate(),
            Event::Change => world.think_of_a_change(),
            Event::Begin => world.begin_faults(),
            Event::Inspect { minute } => world.inspect(minute),
        }
    }

    fn answered(world: &mut World, caller: Caller, said: Result<String, String>) {
        world.caller_hears(caller, said);
    }

    fn perform(world: &mut World, object: &ObjectName, life: u64, effect: Effect) {
        match effect {
            Effect::Get {
                id,
                url,
                timeout_ms,
                ..
            } => {
                let (ms, outcome) = world.health_check(&url, timeout_ms);
                world.after(
                    ms,
                    world::Event::EffectDone {
                        object: object.clone(),
                        life,
                        id,
                        outcome,
                    },
                );
            }
            effect => world.violate(
                "nothing is rented here",
                format!("{object} asks for {effect:?}"),
            ),
        }
    }

    fn saw(world: &mut World, object: &ObjectName, ran: &Ran<Seen>) {
        world.saw(object, ran);
    }

    fn committed(world: &mut World, object: &ObjectName, ran: &Ran<Seen>) {
        world.check_committed(object, ran);
    }

    fn said(world: &mut World, object: &ObjectName, answer: &str) {
        world.check_answer(object, answer);
    }

    fn happened(world: &mut World, object: &ObjectName, what: Happening) {
        match what {
            Happening::RolledBack => world.met(Situation::TurnRolledBack),
            Happening::CommitLost => world.met(Situation::CommitLost),
            Happening::LostAlarmHealed => world.met(Situation::LostAlarmHealed),
            Happening::DeliveredAgain => world.met(Situation::DuplicateDelivery),
            Happening::AlarmTwice => {}
            Happening::Waits => {
                if object.kind() == ObjectKind::Instance {
                    world.met(Situation::Queueing);
                }
            }
            Happening::Evicted { polls } => {
                let mirror = world.object(object).mirror.as_ref();
                let leases = mirror.map_or(0, |seen| seen.leases.len());
                if polls > 0 {
                    world.met(Situation::EvictedWithPoll);
                }
                if leases > 0 {
                    world.met(Situation::EvictedWithLeases);
                }
            }
        }
    }

    fn calmed(world: &mut World) {
        world.around.faults = Outside::default();
        world.operator_calms();
        let minute = 60_000 - world.now % 60_000 - 1;
        world.after(minute, Event::Inspect { minute: 1 });
    }

    fn is_unreachable(world: &World, to: &ObjectName) -> bool {
        let since = world.now - world.start;
        to.kind() == ObjectKind::Fleet
            && world
                .around
                .faults
                .fleet_out
                .is_some_and(|(from, until)| (from..until).contains(&since))
    }

    fn is_in_order(caller: &Caller) -> bool {
        matches!(caller, Caller::Operator)
    }

    /// Not keys: their minute is judged by their own clock.
    fn may_jump(object: &ObjectName) -> bool {
        object.kind() != ObjectKind::Key
    }

    fn jumps(world: &mut World, by: i64, is_demanded: bool) -> bool {
        world.around.oracle.jumped(by);
        let is_isolate = world.rng.chance(300) || is_demanded;
        if is_isolate {
            let isolate = world.rng.index(world.around.isolates.len());
            world.around.isolates[isolate].skew_ms += by;
        }
        is_isolate
    }
}

impl World {
    fn begin_faults(&mut self) {
        self.faults = self.around.scenario.faults.clone();
        self.note(|| "faults begin".to_owned());
        let gap = self.rng.gap(self.around.scenario.request_every_ms);
        self.after(gap, Event::Arrive);
        self.around.faults = self.around.scenario.outside.clone();
        let lost = self.around.faults.isolate_lost_every_ms;
        let change = self.around.scenario.change_every_ms;
        let (evict, jump) = (self.faults.evict_every_ms, self.faults.clock_jump_every_ms);
        if evict > 0 {
            let gap = self.rng.gap(evict);
            self.after(gap, world::Event::EvictOne);
        }
        if lost > 0 {
            let gap = self.rng.gap(lost);
            self.after(gap, Event::LoseIsolate);
        }
        if jump > 0 {
            let gap = self.rng.gap(jump);
            self.after(gap, world::Event::JumpClock);
        }
        if change > 0 {
            let gap = self.rng.gap(change);
            self.after(gap, Event::Change);
        }
        let remaining = self.start + self.around.scenario.faults_ms - self.now;
        self.after(remaining, world::Event::Calm);
    }

    fn caller_hears(&mut self, caller: Caller, said: Result<String, String>) {
        match caller {
            Caller::Exchange { at, call, snapshot } => {
                if snapshot && said.is_err() {
                    self.note_stale_snapshot(at);
                }
                let outcome = outcome(said);
                self.note(|| format!("{at} hears of its call {call}: {outcome:?}"));
                self.hear(at, true, |gateway, now| {
                    gateway.answered(at.exchange, now, call, outcome)
                });
            }
            Caller::Refresh {
                isolate,
                life,
                token,
            } => {
                let now = self.isolate_time(isolate);
                let Some(host) = self
                    .around
                    .isolates
                    .get_mut(isolate)
                    .filter(|isolate| isolate.life == life)
                else {
                    return;
                };
                let effects = host.gateway.refreshed(now, token, outcome(said));
                self.perform_all_behind(isolate, life, effects);
            }
            Caller::Tell {
                isolate,
                life,
                to,
                message,
                again,
            } => {
                let alive = self
                    .around
                    .isolates
                    .get(isolate)
                    .is_some_and(|isolate| isolate.life == life);
                self.around.oracle.told_in_vain |= said.is_err() && !again;
                if said.is_err() && again && alive {
                    self.around.oracle.told_again();
                    let caller = Caller::Tell {
                        isolate,
                        life,
                        to: to.clone(),
                        message: message.clone(),
                        again: false,
                    };
                    self.send(&to, message, 10_000, caller);
                }
            }
            Caller::Operator => self.operator_hears(said),
        }
    }
}

fn outcome(said: Result<String, String>) -> CallOutcome {
    match said {
        Ok(text) => CallOutcome::Answered(text),
        Err(reason) => CallOutcome::Failed(reason),
    }
}
