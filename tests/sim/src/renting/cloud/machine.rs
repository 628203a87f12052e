//! A machine at its vendor: it comes up, breaks, is taken back, goes down, and in the end is gone.

use tidegate_provider_api::{CreateSpec, Ending, Marker};

use super::super::scenario::Vendor;
use super::super::situations::Situation;
use super::super::{Event, World};
use super::{Meter, marker};

/// A disk's rate in parts of the machine's.
const DISK_SHARE: u64 = 20;
/// A vendor's lists lag by less than it says by this, for clocks that are off.
const WITHIN_MS: i64 = 20_000;

/// How far a machine has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On its way.
    Pending,
    /// Up.
    Running,
    /// On its way down.
    Stopping,
    /// Down.
    Stopped,
    /// On its way out.
    Ending,
    /// Gone.
    Gone,
    /// Broken.
    Broken,
}

/// What happens to it next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It is up.
    Up,
    /// Its server serves.
    Serves,
    /// It is down.
    Down,
    /// It is gone.
    Gone,
    /// It breaks.
    Crash,
    /// Its price changes.
    Price,
    /// The vendor says that it wants it back.
    Notice,
    /// The vendor takes it back.
    Preempt,
    /// Its own timer ends it.
    Timer,
    /// It calls home.
    Call,
}

/// A machine.
#[derive(Debug)]
pub struct Machine {
    /// The vendor's id.
    pub id: String,
    /// Whose it is at the vendor.
    pub tenant: usize,
    /// Its name.
    pub name: String,
    /// What its name says.
    pub marker: Option<Marker>,
    /// What was asked for.
    pub spec: CreateSpec,
    /// When it was made.
    pub born: i64,
    /// How far it has come.
    pub stage: Stage,
    /// Counts its comings and goings: what was planned for an earlier run does not happen.
    pub run: u64,
    /// When this run began.
    pub up_since: i64,
    /// What ended it.
    pub ended_by: Option<Ending>,
    /// When it was gone.
    pub gone_at: Option<i64>,
    /// The vendor's meter.
    pub meter: Meter,
    /// Micro-dollars an hour while it runs, in all.
    pub rate: u64,
    /// Of these, what its disk and address cost: its vendor tells the rest.
    pub beside: u64,
    /// GPUs that it has.
    pub gpus: u32,
    /// From when on lists show it.
    pub listed_from: i64,
    /// From when on it is shown to whoever asks for it.
    pub shown_from: i64,
    /// Whether its server answers.
    pub serves: bool,
    /// When it was last told to end and does.
    pub told_at: Option<i64>,
    /// Drawn at each boot.
    pub nonce: String,
    /// Whether it has called in this run.
    pub called: bool,
    /// When somebody else has started it.
    pub started_outside: Vec<i64>,
    /// Orders to end that were accepted and forgotten.
    pub ignored: u32,
    fate: Fate,
}

/// What will become of it.
#[derive(Clone, Copy, Debug)]
struct Fate {
    boots: bool,
    serves: bool,
    is_short: bool,
    /// How long its end takes; nothing for one that waits until all faults are over.
    ends_after: Option<i64>,
}

impl Machine {
    /// Micro-dollars an hour while it is down.
    pub const fn disk_rate(&self) -> u64 {
        disk_rate(self.rate)
    }

    /// Whether it exists.
    pub fn is_there(&self) -> bool {
        self.stage != Stage::Gone
    }
}

/// What a disk costs beside a machine of this price, in whole micro-dollars a second.
pub const fn disk_rate(microusd_per_hour: u64) -> u64 {
    microusd_per_hour / DISK_SHARE / 3_600 * 3_600
}

/// What a public address costs beside a machine that runs.
pub const fn address_rate(vendor: Vendor) -> u64 {
    match vendor {
        Vendor::RunPod => 0,
        Vendor::Aws => 3_600,
    }
}

/// The part of a price that is not the machine's own, while it runs.
pub const fn beside(vendor: Vendor, microusd_per_hour: u64) -> u64 {
    disk_rate(microusd_per_hour) + address_rate(vendor)
}

impl World {
    /// A machine is made.
    pub fn make_machine(&mut self, tenant: usize, name: String, spec: CreateSpec) -> usize {
        let now = self.now;
        let vendor = self.around.cloud.tenants[tenant].plan.vendor;
        let tricks = self.tricks(tenant);
        let rng = &mut self.rng;
        let lag = vendor.capability().list_lag_ms - WITHIN_MS;
        let lags = rng.chance(tricks.list_lags);
        let listed_in = if lags {
            rng.range(10_000, lag)
        } else {
            rng.range(0, 2_000)
        };
        // Pods are known at once to whoever asks for them; EC2 needs a while for that too.
        let shown_in = if lags && vendor == Vendor::Aws {
            rng.range(0, listed_in.min(120_000))
        } else {
            0
        };
        let offered = self.around.operator.price_of(&spec.machine_type);
        let rate = if rng.chance(tricks.other_price) {
            offered * rng.pick(&[5, 15, 20]) / 10 / 3_600 * 3_600
        } else {
            offered
        };
        let fate = Fate {
            boots: !rng.chance(tricks.never_boots),
            serves: !rng.chance(tricks.never_serves),
            is_short: rng.chance(tricks.boots_short),
            ends_after: if rng.chance(tricks.never_ends) {
                None
            } else if rng.chance(tricks.ends_slowly) {
                Some(rng.range(60_000, 8 * 60_000))
            } else {
                Some(rng.range(0, 4_000))
            },
        };
        let place = self.around.cloud.machines.len();
        let minimum = match vendor {
            Vendor::RunPod => 0,
            Vendor::Aws => 60_000,
        };
        let id = match vendor {
            Vendor::RunPod => format!("pod{place}"),
            Vendor::Aws => format!("i-{place:04}"),
        };
        let nonce = format!("boot {place}.0");
        self.note(|| format!("the vendor makes {id}, {name}, at {rate} an hour"));
        let mut meter = Meter::new(minimum);
        meter.run(now, rate);
        self.around.cloud.machines.push(Machine {
            id,
            tenant,
            marker: marker(&name),
            name,
            gpus: spec.gpu_count,
            born: now,
            stage: Stage::Pending,
            run: 0,
            up_since: now,
            ended_by: None,
            gone_at: None,
            meter,
            rate,
            beside: beside(vendor, offered),
            listed_from: now + listed_in,
            shown_from: now + shown_in,
            serves: false,
            told_at: None,
            nonce,
            called: false,
            started_outside: Vec::new(),
            ignored: 0,
            fate,
            spec,
        });
        self.plan_boot(place);
        if vendor == Vendor::Aws {
            let secs = self.around.cloud.machines[place].spec.lifetime_secs;
            let lasts = i64::try_from(secs).unwrap_or(i64::MAX / 2_000) * 1_000;
            // Whatever run it is in: the timer is set at each boot for what is left.
            self.after(
                lasts,
                Event::Machine {
                    machine: place,
                    run: None,
                    step: Step::Timer,
                },
            );
        }
        place
    }

    /// Something will happen to it in this run.
    pub fn plan(&mut self, machine: usize, ms: i64, step: Step) {
        let run = Some(self.around.cloud.machines[machine].run);
        self.after(ms, Event::Machine { machine, run, step });
    }

    fn plan_boot(&mut self, machine: usize) {
        if self.around.cloud.machines[machine].fate.boots {
            let ms = self.rng.range(5_000, 90_000);
            self.plan(machine, ms, Step::Up);
        }
    }

    /// What was planned happens, if it is still to.
    pub fn machine_steps(&mut self, place: usize, run: Option<u64>, step: Step) {
        let machine = &self.around.cloud.machines[place];
        if run.is_some_and(|run| run != machine.run) || !machine.is_there() {
            return;
        }
        let stage = machine.stage;
        match step {
            Step::Up if stage == Stage::Pending => self.comes_up(place),
            Step::Serves if stage == Stage::Running => {
                self.around.cloud.machines[place].serves = true;
            }
            Step::Down if stage == Stage::Stopping => self.is_down(place),
            Step::Gone if stage == Stage::Ending => self.is_gone(place),
            Step::Crash if stage == Stage::Running => self.breaks(place),
            Step::Price if stage == Stage::Running => self.costs_otherwise(place),
            Step::Notice if stage == Stage::Running => {
                self.machine_says(
                    place,
                    tidegate_durable::bindings::rental::MachineSays::Preempting,
                );
            }
            Step::Preempt if matches!(stage, Stage::Running | Stage::Pending) => {
                self.met(Situation::Preempted);
                self.begins_to_end(place, Ending::Preempted);
            }
            Step::Timer if stage == Stage::Running => {
                self.met(Situation::GuestTimer);
                self.begins_to_end(place, Ending::Itself);
            }
            Step::Call if stage == Stage::Running => self.machine_calls(place),
            _ => {}
        }
    }

    fn comes_up(&mut self, place: usize) {
        let tenant = self.around.cloud.machines[place].tenant;
        let tricks = self.tricks(tenant);
        let machine = &mut self.around.cloud.machines[place];
        machine.stage = Stage::Running;
        if machine.fate.is_short {
            machine.gpus = 0;
        }
        let (id, spot, serves) = (
            machine.id.clone(),
            machine.spec.spot,
            machine.fate.serves && machine.gpus > 0,
        );
        let calls = machine.spec.callback.is_some();
        self.note(|| format!("{id} is up"));
        if serves {
            let ms = self.rng.range(2_000, 60_000);
            self.plan(place, ms, Step::Serves);
        }
        if calls && self.around.cloud.tenants[tenant].plan.vendor == Vendor::Aws {
            let ms = self.rng.range(500, 15_000);
            self.plan(place, ms, Step::Call);
        }
        if self.rng.chance(tricks.crashes) {
            let ms = self.rng.range(1_000, 10 * 60_000);
            self.plan(place, ms, Step::Crash);
        }
        if self.rng.chance(tricks.price_changes) {
            let ms = self.rng.range(60_000, 10 * 60_000);
            self.plan(place, ms, Step::Price);
        }
        if spot && self.rng.chance(tricks.preempts) {
            let ms = self.rng.range(30_000, 15 * 60_000);
            if self.rng.chance(500) {
                self.plan(place, ms, Step::Notice);
            }
            self.plan(place, ms + 120_000, Step::Preempt);
        }
    }

    fn breaks(&mut self, place: usize) {
        let now = self.now;
        let vendor = self.vendor_of(place);
        let is_broken = self.rng.chance(300);
        let machine = &mut self.around.cloud.machines[place];
        let (id, disk) = (machine.id.clone(), machine.disk_rate());
        machine.run += 1;
        machine.serves = false;
        match vendor {
            // Unrecoverable, or ended by itself: a container that ended is a pod that is stopped.
            Vendor::RunPod if is_broken => machine.stage = Stage::Broken,
            Vendor::RunPod => {
                machine.stage = Stage::Stopped;
                machine.meter.idle(now, disk);
            }
            // What ran on it is gone, and the machine goes on.
            Vendor::Aws => {}
        }
        self.met(Situation::Crashed);
        self.note(|| format!("what ran on {id} breaks"));
    }

    fn costs_otherwise(&mut self, place: usize) {
        let now = self.now;
        let factor = self.rng.pick(&[5_u64, 20]);
        let machine = &mut self.around.cloud.machines[place];
        machine.rate = machine.rate * factor / 10 / 3_600 * 3_600;
        let (id, rate) = (machine.id.clone(), machine.rate);
        machine.meter.change(now, rate);
        self.met(Situation::PriceChanged);
        self.note(|| format!("{id} now costs {rate} an hour"));
    }

    /// It goes down, its disk stays.
    pub fn begins_to_stop(&mut self, place: usize, by: Ending) {
        let now = self.now;
        let vendor = self.vendor_of(place);
        let machine = &mut self.around.cloud.machines[place];
        machine.run += 1;
        machine.serves = false;
        machine.ended_by = Some(by);
        let disk = machine.disk_rate();
        machine.meter.idle(now, disk);
        machine.stage = match vendor {
            Vendor::RunPod => Stage::Stopped,
            Vendor::Aws => Stage::Stopping,
        };
        let ms = self.rng.range(3_000, 45_000);
        self.plan(place, ms, Step::Down);
    }

    fn is_down(&mut self, place: usize) {
        self.around.cloud.machines[place].stage = Stage::Stopped;
    }

    /// That it is down was shown to nobody before it goes on.
    fn may_be_missed(&mut self, place: usize) {
        let machine = &self.around.cloud.machines[place];
        let is_down = matches!(machine.stage, Stage::Stopping | Stage::Stopped);
        let run = Some(machine.up_since.div_euclid(1_000) * 1_000);
        let shown = self.around.oracle.last_shown.get(&place);
        if is_down && shown != Some(&(run, true)) {
            self.met(Situation::StopUnseen);
            self.around.oracle.missed.insert(place);
        }
    }

    /// It comes up again.
    pub fn begins_to_start(&mut self, place: usize) {
        self.may_be_missed(place);
        let now = self.now;
        let tenant = self.around.cloud.machines[place].tenant;
        let is_short = self.rng.chance(self.tricks(tenant).boots_short);
        let machine = &mut self.around.cloud.machines[place];
        machine.run += 1;
        machine.stage = Stage::Pending;
        machine.ended_by = None;
        machine.up_since = now;
        machine.called = false;
        machine.gpus = machine.spec.gpu_count;
        machine.fate.is_short = is_short;
        machine.nonce = format!("boot {place}.{}", machine.run);
        let rate = machine.rate;
        machine.meter.run(now, rate);
        self.plan_boot(place);
    }

    /// It is on its way out.
    pub fn begins_to_end(&mut self, place: usize, by: Ending) {
        self.may_be_missed(place);
        let now = self.now;
        let vendor = self.vendor_of(place);
        let calm = self.is_calm();
        let machine = &mut self.around.cloud.machines[place];
        if matches!(machine.stage, Stage::Ending | Stage::Gone) {
            return;
        }
        let id = machine.id.clone();
        machine.ended_by = Some(by);
        machine.told_at = Some(now);
        machine.serves = false;
        machine.run += 1;
        machine.stage = Stage::Ending;
        if vendor == Vendor::Aws {
            // What is shutting down is not billed any more.
            machine.meter.end(now);
        }
        let after = machine.fate.ends_after;
        self.note(|| format!("{id} is on its way out, {by:?}, in {after:?} ms"));
        match after {
            Some(ms) => self.plan(place, ms, Step::Gone),
            None if calm => self.plan(place, 4_000, Step::Gone),
            None => self.met(Situation::EndTakesForEver),
        }
    }

    fn is_gone(&mut self, place: usize) {
        let now = self.now;
        let machine = &mut self.around.cloud.machines[place];
        machine.meter.end(now);
        machine.stage = Stage::Gone;
        machine.gone_at = Some(now);
        machine.run += 1;
        let (id, cost) = (machine.id.clone(), machine.meter.cost(now));
        self.note(|| format!("{id} is gone and has cost {cost}"));
    }

    /// Faults are over: what did not end does.
    pub fn machine_calms(&mut self, place: usize) {
        let machine = &mut self.around.cloud.machines[place];
        machine.fate = Fate {
            boots: true,
            serves: true,
            is_short: false,
            ends_after: machine.fate.ends_after.or(Some(4_000)),
        };
        match machine.stage {
            Stage::Ending => self.plan(place, 30_000, Step::Gone),
            Stage::Pending => self.plan(place, 60_000, Step::Up),
            _ => {}
        }
    }

    /// Whose ways its vendor has.
    pub fn vendor_of(&self, place: usize) -> Vendor {
        let tenant = self.around.cloud.machines[place].tenant;
        self.around.cloud.tenants[tenant].plan.vendor
    }
}
