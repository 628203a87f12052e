//! Safety at every look around: what may be so for a while and no longer.

use super::checks::GRACE_MS;
use super::cloud::Stage;
use super::oracle::Ill;
use super::scenario::{MINUTE, Vendor};
use super::{Event, World};

/// Between two looks around.
pub const LOOK_MS: i64 = 20_000;
/// What an account sweeps in.
pub const SWEEP_MS: i64 = 5 * MINUTE;

impl World {
    /// Everything is looked at that may be so for a while and no longer.
    pub fn look_around(&mut self) {
        self.after(LOOK_MS, Event::Look);
        let machines: Vec<usize> = (0..self.around.cloud.machines.len())
            .filter(|place| self.is_ours(*place))
            .collect();
        for place in machines {
            self.look_at(place);
        }
        self.look_at_twins();
        self.look_at_orders();
        self.look_at_caps();
    }

    fn look_at(&mut self, place: usize) {
        let machine = &self.around.cloud.machines[place];
        let is_billed = machine.meter.is_running();
        let is_told = machine.told_at.is_some();
        let listed_from = machine.listed_from;
        let seen = machine.marker.as_ref().and_then(|it| self.rental_of(it));
        let own_attempt = machine.marker.as_ref().map(|marker| marker.attempt);
        let is_current = seen.is_some_and(|seen| Some(seen.attempt) == own_attempt);
        let is_its = seen.is_some_and(|seen| {
            let machine = seen.machine.as_ref();
            machine.is_none_or(|it| *it == self.around.cloud.machines[place].id)
        });
        let is_over = is_current && is_its && seen.is_some_and(|seen| seen.state.is_over());
        let ignored = i64::from(machine.ignored) * 5 * MINUTE;
        let is_wanted = self.is_wanted(place);
        let is_idle = !is_billed || is_told;
        let is_unknown = !is_idle && !is_wanted && !self.is_known(place);
        self.judge(
            place,
            Ill::Unknown,
            is_unknown,
            listed_from,
            SWEEP_MS + GRACE_MS,
            "§7.1 no GPU is billed that no record knows for longer than a sweep and the grace",
        );
        // One sweep until it is first seen, the grace, and the sweep that finds the grace over.
        let bound = SWEEP_MS + GRACE_MS + SWEEP_MS + ignored;
        self.judge(
            place,
            Ill::Unwanted,
            !is_idle && !is_wanted,
            listed_from,
            bound,
            "§7.1 a GPU that nobody wants is given back within two sweeps and the grace",
        );
        self.judge(
            place,
            Ill::Over,
            !is_idle && is_over,
            listed_from,
            SWEEP_MS + ignored,
            "a rental that is over has no machine that is billed for longer than a sweep",
        );
        self.look_at_pay(place);
    }

    /// It may be so for at most `bound` of the time in which its vendor could be asked.
    pub fn judge(
        &mut self,
        place: usize,
        ill: Ill,
        is_so: bool,
        not_before: i64,
        bound: i64,
        property: &'static str,
    ) {
        let now = self.now;
        if !is_so {
            self.around.oracle.ills.remove(&(place, ill));
            return;
        }
        let since = *self.around.oracle.ills.entry((place, ill)).or_insert(now);
        let since = since.max(not_before);
        let machine = &self.around.cloud.machines[place];
        let lasted = now - since - self.trouble(machine.tenant, since, now);
        if lasted > bound + self.slack() {
            let seen = machine.marker.as_ref().and_then(|it| self.rental_of(it));
            let words = format!(
                "{}, {}, {:?}, is {ill:?} since {} ms, of which its vendor could be asked for {lasted}; {seen:?}",
                machine.id,
                machine.name,
                machine.stage,
                now - since
            );
            self.violate(property, words);
        }
    }

    /// §7.2: two machines for one intent.
    fn look_at_twins(&mut self) {
        let billed: Vec<usize> = self
            .around
            .cloud
            .billed()
            .filter(|(_, machine)| machine.told_at.is_none())
            .map(|(place, _)| place)
            .collect();
        let owner = |place: usize| {
            let marker = self.around.cloud.machines[place].marker.as_ref()?;
            let org = self.around.operator.org_of(&marker.fingerprint)?;
            Some((org, marker.instance.clone()))
        };
        let mut twins: Vec<(usize, bool)> = Vec::new();
        for place in &billed {
            let mut others = billed.iter().filter(|other| *other != place);
            let own = owner(*place);
            let twin = own
                .is_some()
                .then(|| others.find(|other| owner(**other) == own))
                .flatten();
            twins.push((*place, twin.is_some() && !self.is_wanted(*place)));
            let both_idempotent = twin.is_some_and(|twin| {
                self.vendor_of(*place) == Vendor::Aws && self.vendor_of(*twin) == Vendor::Aws
            });
            if both_idempotent {
                let name = self.around.cloud.machines[*place].name.clone();
                let words = format!("{name} has another beside it");
                return self.violate(
                    "§7.2 never two GPUs for one intent where a create is idempotent",
                    words,
                );
            }
        }
        for (place, is_twin) in twins {
            let machine = &self.around.cloud.machines[place];
            let (listed_from, ignored) = (machine.listed_from, machine.ignored);
            self.judge(
                place,
                Ill::Twin,
                is_twin,
                listed_from,
                SWEEP_MS + GRACE_MS + SWEEP_MS + i64::from(ignored) * 5 * MINUTE,
                "§7.2 no two GPUs for one intent for longer than two sweeps and the grace",
            );
        }
    }

    /// A destroy does not wait behind others.
    fn look_at_orders(&mut self) {
        for (place, since) in self.around.oracle.orders.clone() {
            let machine = &self.around.cloud.machines[place];
            if machine.told_at.is_some() || machine.stage == Stage::Gone {
                self.around.oracle.orders.remove(&place);
                continue;
            }
            let lasted = self.now - since - self.trouble(machine.tenant, since, self.now);
            if lasted > MINUTE + self.slack() {
                let words = format!("{} was to be given back {lasted} ms ago", machine.id);
                self.violate(
                    "a destroy leaves within minutes while the vendor answers",
                    words,
                );
            }
        }
    }
}
