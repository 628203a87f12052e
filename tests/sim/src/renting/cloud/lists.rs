//! Lists of machines: they lag, come in pages, and now and then a whole one is not the truth.
//!
//! Invariant: a page goes on behind the last machine of the one before, so a machine that is there from the first
//! page to the last is in none or one of them, but for doubles; and no account is lied to by two whole lists in
//! a row.

use tidegate_durable::bindings::ObjectName;
use tidegate_provider_api::{Machine as Report, MachineState, Page, ProviderError, Reply};

use super::super::World;
use super::super::scenario::{Mood, Vendor};
use super::super::situations::Situation;

/// What is wrong with a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lie {
    /// Nothing.
    Nothing,
    /// It is of some minutes ago.
    Old,
    /// It shows nothing.
    Empty,
    /// It shows every other machine.
    Half,
}

/// How old an old list is.
const OLD_MS: i64 = 150_000;

impl Lie {
    const fn letter(self) -> &'static str {
        match self {
            Self::Nothing => "n",
            Self::Old => "o",
            Self::Empty => "e",
            Self::Half => "h",
        }
    }

    fn parse(text: &str) -> Self {
        match text {
            "o" => Self::Old,
            "e" => Self::Empty,
            "h" => Self::Half,
            _ => Self::Nothing,
        }
    }
}

impl World {
    /// A page of a list.
    pub fn lists(
        &mut self,
        tenant: usize,
        object: &ObjectName,
        region: &str,
        page: Option<&str>,
    ) -> Result<Reply, ProviderError> {
        let (lie, behind) = match page.and_then(|page| page.split_once(':')) {
            Some((lie, behind)) => (Lie::parse(lie), behind.parse().unwrap_or(0)),
            None => (self.lie(tenant, object), 0),
        };
        let entries = self.around.cloud.tenants[tenant].plan.page;
        let mut places = (behind..self.around.cloud.machines.len())
            .filter(|place| self.is_listed(tenant, region, *place, lie));
        let mut shown: Vec<usize> = places.by_ref().take(entries).collect();
        let next = places.next().and(shown.last()).map(|last| last + 1);
        if let Some(first) = shown.first().copied()
            && self.rng.chance(self.tricks(tenant).doubles)
        {
            self.met(Situation::DoubleInList);
            shown.push(first);
        }
        let mut machines = Vec::new();
        for place in shown {
            let mut report = self.report(place);
            if lie == Lie::Old {
                self.make_old(place, &mut report);
            }
            self.may_be_odd(tenant, &mut report);
            machines.push(report);
        }
        let next = next.map(|next| format!("{}:{next}", lie.letter()));
        Ok(Reply::Machines(Page { machines, next }))
    }

    fn is_listed(&mut self, tenant: usize, region: &str, place: usize, lie: Lie) -> bool {
        let machine = &self.around.cloud.machines[place];
        // Pods are in one list, wherever they are.
        let is_here = machine.spec.region == region
            || self.around.cloud.tenants[tenant].plan.vendor == Vendor::RunPod;
        if machine.tenant != tenant || !is_here || machine.marker.is_none() {
            return false;
        }
        let at = if lie == Lie::Old {
            self.now - OLD_MS
        } else {
            self.now
        };
        let lags = at < machine.listed_from;
        let is_kept = match lie {
            Lie::Nothing | Lie::Old => true,
            Lie::Empty => false,
            Lie::Half => place.is_multiple_of(2),
        };
        let was_there = machine
            .gone_at
            .is_some_and(|gone| lie == Lie::Old && at < gone);
        if lags {
            self.met(Situation::ListHidAMachine);
        }
        !lags && is_kept && (was_there || self.lingers(place))
    }

    fn lie(&mut self, tenant: usize, object: &ObjectName) -> Lie {
        let is_sick = self.mood(tenant) == Some(Mood::Sick);
        let may = is_sick && !self.around.cloud.tenants[tenant].lied_to.contains(object);
        let lie = if may {
            self.rng
                .pick(&[Lie::Nothing, Lie::Old, Lie::Empty, Lie::Half])
        } else {
            Lie::Nothing
        };
        let lied_to = &mut self.around.cloud.tenants[tenant].lied_to;
        if lie == Lie::Nothing {
            lied_to.remove(object);
        } else {
            lied_to.insert(object.clone());
        }
        match lie {
            Lie::Nothing => {}
            Lie::Old => self.met(Situation::OldList),
            Lie::Empty => self.met(Situation::EmptyList),
            Lie::Half => self.met(Situation::HalfList),
        }
        lie
    }

    /// What went meanwhile is still there.
    fn make_old(&mut self, place: usize, report: &mut Report) {
        let machine = &self.around.cloud.machines[place];
        let was_there = machine.gone_at.is_some_and(|gone| self.now - OLD_MS < gone);
        if was_there && report.state == MachineState::Terminated {
            // What it costs in the books follows what its vendor says.
            self.around.oracle.missed.insert(place);
            report.state = MachineState::Running;
            report.billing = tidegate_provider_api::Billing::Full;
            report.raw_state = "running".to_owned();
            report.reason = None;
            report.billed_until_ms = None;
        }
    }
}
