//! Pretend vendors of GPUs: customer accounts with machines, moods, and a meter of their own.
//!
//! Invariant: what a machine costs follows from what happens to it here and from nothing that we say of it. The
//! meter is the oracle for money and for leaks.
//!
//! In scope: requests and replies in the words of `providers/api`. Out of scope: a vendor's HTTP, which the
//! codecs' own tests cover.

mod api;
mod flights;
mod lists;
mod machine;
mod meter;
mod report;

use std::collections::{BTreeMap, BTreeSet};

use tidegate_durable::bindings::ObjectName;
use tidegate_durable::turn::EffectId;
use tidegate_provider_api::{Marker, Request};

pub use self::machine::{Machine, Stage, Step, address_rate, beside, disk_rate};
pub use self::meter::Meter;
use super::World;
use super::scenario::{Mood, TenantPlan, Tricks, Vendor};

/// What a refusal or a pause leaves behind at an account: it may keep away for so long after a mood is over.
const TAIL_MS: i64 = 60_000;
/// The same where the vendor says how long, and while it refuses the credential.
const LONG_TAIL_MS: i64 = 330_000;

/// All vendors.
#[derive(Default)]
pub struct Cloud {
    /// Customer accounts.
    pub tenants: Vec<Tenant>,
    /// Every machine that ever was.
    pub machines: Vec<Machine>,
    /// Calls that are under way.
    pub flights: BTreeMap<u64, Flight>,
}

/// A customer account.
pub struct Tenant {
    /// What it is like.
    pub plan: TenantPlan,
    /// Credentials that count.
    pub keys: BTreeSet<String>,
    /// Machines by the token of their "create", where that is idempotent.
    tokens: BTreeMap<String, usize>,
    /// Silence that was not planned: from, until.
    pub silences: Vec<(i64, i64)>,
    /// Nobody was let in: from, until.
    pub lockouts: Vec<(i64, i64)>,
    /// Calls that it takes now, in thousandths.
    allowance: i64,
    allowed_at: i64,
    /// Accounts whose last whole list was a lie: the next is not.
    lied_to: BTreeSet<ObjectName>,
    /// Machines about whose absence the last answer lied: the next does not.
    denied: BTreeSet<usize>,
}

/// A call that is under way.
#[derive(Debug)]
pub struct Flight {
    /// Who asked.
    pub object: ObjectName,
    /// In which life.
    pub life: u64,
    /// The effect.
    pub id: EffectId,
    /// At which customer account.
    pub tenant: usize,
    /// With which credential.
    pub key: String,
    /// What for.
    pub request: Request,
    /// When nobody waits any more.
    pub deadline: i64,
}

impl Tenant {
    fn new(plan: TenantPlan, key: String, now: i64) -> Self {
        Self {
            allowance: plan.calls_per_minute * 1_000,
            plan,
            keys: BTreeSet::from([key]),
            tokens: BTreeMap::new(),
            silences: Vec::new(),
            lockouts: Vec::new(),
            allowed_at: now,
            lied_to: BTreeSet::new(),
            denied: BTreeSet::new(),
        }
    }

    /// Whether one more call is within what it takes.
    fn takes_one(&mut self, now: i64) -> bool {
        let full = self.plan.calls_per_minute * 1_000;
        let gained = (now - self.allowed_at) * self.plan.calls_per_minute / 60;
        self.allowance = (self.allowance + gained).min(full);
        self.allowed_at = now;
        let takes = self.allowance >= 1_000;
        if takes {
            self.allowance -= 1_000;
        }
        takes
    }
}

impl Cloud {
    /// Vendors with these customer accounts.
    pub fn new(plans: &[TenantPlan], now: i64) -> Self {
        let tenants = plans.iter().enumerate();
        Self {
            tenants: tenants
                .map(|(tenant, plan)| Tenant::new(plan.clone(), key(tenant, 0), now))
                .collect(),
            ..Self::default()
        }
    }

    /// The place of a machine.
    pub fn find(&self, tenant: usize, id: &str) -> Option<usize> {
        let mut all = self.machines.iter();
        all.position(|machine| machine.tenant == tenant && machine.id == id)
    }

    /// Machines that are billed now.
    pub fn billed(&self) -> impl Iterator<Item = (usize, &Machine)> {
        let all = self.machines.iter().enumerate();
        all.filter(|(_, machine)| machine.meter.is_running())
    }
}

/// A credential: the `number`-th of a customer account. It travels where a sealed text would.
pub fn key(tenant: usize, number: u32) -> String {
    format!("key {number} of customer {tenant}")
}

impl World {
    /// How the vendor is now.
    pub fn mood(&self, tenant: usize) -> Option<Mood> {
        let found = &self.around.cloud.tenants[tenant];
        let holds = |spans: &[(i64, i64)]| {
            let mut spans = spans.iter();
            spans.any(|(from, until)| (*from..*until).contains(&self.now))
        };
        if holds(&found.silences) {
            return Some(Mood::Out);
        }
        if holds(&found.lockouts) {
            return Some(Mood::Locked);
        }
        if self.is_calm() {
            return None;
        }
        let since = self.now - self.start;
        let mut moods = found.plan.moods.iter();
        let mood = moods.find(|(from, until, _)| (*from..*until).contains(&since));
        mood.map(|(_, _, mood)| *mood)
    }

    /// Its tricks, while there are any.
    pub fn tricks(&self, tenant: usize) -> Tricks {
        if self.is_calm() {
            return Tricks::default();
        }
        self.around.cloud.tenants[tenant].plan.tricks.clone()
    }

    /// How much of a stretch of time a vendor could not, or need not, be asked: moods and what they leave
    /// behind.
    pub fn trouble(&self, tenant: usize, from: i64, until: i64) -> i64 {
        let found = &self.around.cloud.tenants[tenant];
        let calm = self.calm_since.unwrap_or(i64::MAX);
        let mut spans: Vec<(i64, i64)> = found
            .plan
            .moods
            .iter()
            .filter(|(_, _, mood)| *mood != Mood::Full)
            .map(|(begin, end, mood)| {
                let tail = match mood {
                    Mood::Busy | Mood::Locked => LONG_TAIL_MS,
                    Mood::Out | Mood::Sick | Mood::Full => TAIL_MS,
                };
                (self.start + begin, (self.start + end).min(calm) + tail)
            })
            .collect();
        let silences = found.silences.iter();
        spans.extend(silences.map(|(begin, end)| (*begin, *end + TAIL_MS)));
        let lockouts = found.lockouts.iter();
        spans.extend(lockouts.map(|(begin, end)| (*begin, *end + LONG_TAIL_MS)));
        spans.sort_unstable();
        let (mut sum, mut done) = (0, from);
        for (begin, end) in spans {
            let (begin, end) = (begin.max(done), end.min(until));
            if begin < end {
                sum += end - begin;
                done = end;
            }
        }
        sum
    }

    /// A vendor falls silent for so long.
    pub fn silence(&mut self, tenant: usize, lasts: i64) {
        let now = self.now;
        self.note(|| format!("the vendor of customer {tenant} falls silent for {lasts} ms"));
        self.around.cloud.tenants[tenant]
            .silences
            .push((now, now + lasts));
    }

    /// Faults have ended at the vendors.
    pub fn vendors_calm(&mut self) {
        let now = self.now;
        for tenant in &mut self.around.cloud.tenants {
            for (_, until) in tenant.silences.iter_mut().chain(&mut tenant.lockouts) {
                *until = (*until).min(now);
            }
        }
        for machine in 0..self.around.cloud.machines.len() {
            self.machine_calms(machine);
        }
    }
}

/// The marker that a name is, if it is one.
fn marker(name: &str) -> Option<Marker> {
    Marker::parse(name)
}

impl Vendor {
    /// What the product believes of it.
    pub fn capability(self) -> &'static tidegate_provider_api::Capability {
        tidegate_providers::by_name(self.name())
            .expect("every vendor is known")
            .capability()
    }
}
