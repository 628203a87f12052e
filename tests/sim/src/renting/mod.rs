//! Renting: vendors of GPUs and their machines, an operator, a little traffic; and the real objects that rent, pay
//! and give back.

mod books;
mod boxes;
mod calm;
mod changes;
mod checks;
mod cloud;
mod console;
mod knowledge;
mod launching;
mod looks;
mod money;
mod operator;
mod oracle;
mod scenario;
mod seen;
mod situations;

use tidegate_durable::bindings::{ObjectKind, ObjectName};
use tidegate_durable::turn::{Effect, Outcome};

use crate::Report;
use crate::object::Ran;
use crate::rng::Rng;
use crate::world::{self, Happening, Surroundings};

use self::cloud::{Cloud, Step};
use self::operator::Operator;
use self::oracle::Oracle;
use self::scenario::{MINUTE, Scenario};
use self::seen::Seen;
pub use self::situations::Situation;

type World = world::World<Renting>;

/// Vendors, an operator, and what is known to be true.
pub struct Renting {
    scenario: Scenario,
    cloud: Cloud,
    operator: Operator,
    oracle: Oracle,
    phase: Phase,
    /// Minutes until everything had settled.
    settled_after: i64,
}

/// What is waited for once the faults are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Everything comes to rest.
    Settling,
    /// Everything ends.
    Ending,
    /// The last bills come.
    Billing,
}

/// What happens around the objects.
#[derive(Debug)]
pub enum Event {
    /// A call reaches its vendor.
    CallArrives { flight: u64 },
    /// A vendor's answer reaches its account.
    CallAnswered { flight: u64, outcome: Box<Outcome> },
    /// An account's host stops waiting.
    CallTimesOut { flight: u64 },
    /// Something happens to a machine, in this run of it or in any.
    Machine {
        machine: usize,
        run: Option<u64>,
        step: Step,
    },
    /// The operator's next command.
    Operate,
    /// The operator thinks of something.
    Change,
    /// A rental is launched.
    Launch { plan: usize },
    /// Somebody does something in a vendor's console.
    Console,
    /// A credential is taken back.
    Revoke { tenant: usize, key: String },
    /// A request for what is rented.
    Request { rental: usize },
    /// A request is over.
    Served {
        instance: ObjectName,
        request: String,
        took: i64,
    },
    /// The checks look around.
    Look,
    /// Faults begin.
    Begin,
    /// Everything must be so by the last of these.
    Inspect { minute: i64 },
}

/// Who waits for an object's answer.
#[derive(Debug)]
pub enum Caller {
    /// The operator.
    Operator,
    /// A machine that called home.
    Machine { machine: usize, run: u64 },
    /// A request at the gateway.
    Client {
        instance: ObjectName,
        request: Option<String>,
    },
}

impl From<Event> for world::Event<Renting> {
    fn from(event: Event) -> Self {
        Self::Around(event)
    }
}

impl From<Caller> for world::Caller<Renting> {
    fn from(caller: Caller) -> Self {
        Self::Around(caller)
    }
}

/// Runs a seed to its end and keeps so many of its last lines.
pub fn run(seed: u64, lines: usize) -> Report {
    let mut rng = Rng::new(seed);
    let scenario = Scenario::draw(&mut rng);
    let (start, skew) = (scenario.start_ms, scenario.skew_ms);
    let renting = Renting {
        cloud: Cloud::new(&scenario.tenants, start),
        operator: Operator::new(&scenario),
        oracle: Oracle::default(),
        phase: Phase::Settling,
        settled_after: 0,
        scenario,
    };
    let mut world = World::of(renting, rng, start, skew, lines);
    world.note_scenario();
    let minute = MINUTE - start.rem_euclid(MINUTE);
    world.after(minute, world::Event::Cron);
    world.after(0, Event::Operate);
    world.after(looks::LOOK_MS, Event::Look);
    world.run();
    let machines = world.around.cloud.machines.len();
    Report::of(seed, machines, world)
}

impl Surroundings for Renting {
    type Event = Event;
    type Caller = Caller;
    type Seen = Seen;

    fn step(world: &mut World, event: Event) {
        match event {
            Event::CallArrives { flight } => world.call_arrives(flight),
            Event::CallAnswered { flight, outcome } => world.call_answered(flight, *outcome),
            Event::CallTimesOut { flight } => world.call_times_out(flight),
            Event::Machine { machine, run, step } => world.machine_steps(machine, run, step),
            Event::Operate => world.operate(),
            Event::Change => world.think_of_a_change(),
            Event::Launch { plan } => world.launch(plan),
            Event::Console => world.use_console(),
            Event::Revoke { tenant, key } => world.revoke(tenant, &key),
            Event::Request { rental } => world.request(rental),
            Event::Served {
                instance,
                request,
                took,
            } => world.request_served(&instance, request, took),
            Event::Look => world.look_around(),
            Event::Begin => world.begin_faults(),
            Event::Inspect { minute } => world.inspect(minute),
        }
    }

    fn answered(world: &mut World, caller: Caller, said: Result<String, String>) {
        match caller {
            Caller::Operator => world.operator_hears(said),
            Caller::Machine { machine, run } => world.machine_hears(machine, run, said),
            Caller::Client { instance, request } => world.client_hears(instance, request, said),
        }
    }

    fn perform(world: &mut World, object: &ObjectName, life: u64, effect: Effect) {
        match effect {
            Effect::Vendor(call) => world.vendor_called(object, life, *call),
            Effect::Get {
                id,
                url,
                timeout_ms,
                ..
            }
            | Effect::Post {
                id,
                url,
                timeout_ms,
                ..
            } => world.box_asked(object, life, id, &url, timeout_ms),
            Effect::Send { .. } | Effect::Resolve { .. } | Effect::Soon { .. } => {}
        }
    }

    fn saw(_: &mut World, _: &ObjectName, _: &Ran<Seen>) {}

    fn committed(world: &mut World, object: &ObjectName, ran: &Ran<Seen>) {
        world.learn(object, ran);
    }

    fn said(_: &mut World, _: &ObjectName, _: &str) {}

    fn happened(world: &mut World, object: &ObjectName, what: Happening) {
        match what {
            Happening::RolledBack => world.met(Situation::TurnRolledBack),
            Happening::CommitLost => {
                world.met(Situation::CommitLost);
                let is_account = object.kind() == ObjectKind::Account;
                if is_account && world.held_a_call(object) {
                    world.met(Situation::EvictedBeforeCall);
                }
            }
            Happening::LostAlarmHealed => world.met(Situation::LostAlarmHealed),
            Happening::AlarmTwice => world.met(Situation::AlarmTwice),
            Happening::DeliveredAgain => world.met(Situation::DuplicateDelivery),
            Happening::Waits => {}
            Happening::Evicted { .. } => {
                let life = world.object(object).life;
                let is_account = object.kind() == ObjectKind::Account;
                if is_account && world.calls_of(object, life) > 0 {
                    world.met(Situation::EvictedWithCall);
                }
            }
        }
    }

    fn calmed(world: &mut World) {
        world.vendors_calm();
        let minute = MINUTE - world.now.rem_euclid(MINUTE) - 1;
        world.after(minute + MINUTE, Event::Inspect { minute: 1 });
    }

    fn is_unreachable(_: &World, _: &ObjectName) -> bool {
        false
    }

    fn is_in_order(caller: &Caller) -> bool {
        matches!(caller, Caller::Operator)
    }

    fn may_jump(_: &ObjectName) -> bool {
        true
    }

    fn jumps(world: &mut World, by: i64, _: bool) -> bool {
        world.around.oracle.jumps_ms += by.abs();
        false
    }
}

impl World {
    fn note_scenario(&mut self) {
        let scenario = self.around.scenario.clone();
        self.note(|| format!("{scenario:?}"));
    }

    fn begin_faults(&mut self) {
        self.faults = self.around.scenario.faults.clone();
        self.note(|| "faults begin".to_owned());
        for plan in 0..self.around.scenario.launches.len() {
            let at = self.around.scenario.launches[plan].at;
            self.after(at, Event::Launch { plan });
        }
        let (change, console) = (
            self.around.scenario.change_every_ms,
            self.around.scenario.console_every_ms,
        );
        let (evict, jump) = (self.faults.evict_every_ms, self.faults.clock_jump_every_ms);
        if evict > 0 {
            let gap = self.rng.gap(evict);
            self.after(gap, world::Event::EvictOne);
        }
        if jump > 0 {
            let gap = self.rng.gap(jump);
            self.after(gap, world::Event::JumpClock);
        }
        if change > 0 {
            let gap = self.rng.gap(change);
            self.after(gap, Event::Change);
        }
        if console > 0 {
            let gap = self.rng.gap(console);
            self.after(gap, Event::Console);
        }
        let remaining = self.start + self.around.scenario.faults_ms - self.now;
        self.after(remaining, world::Event::Calm);
    }
}
