//! Strays are given back, and the vendor is asked until each is gone.
//!
//! Invariant: an order that was taken is not yet an end: a machine is gone at the vendor's word, asked for this
//! very machine, and one that is still there after a quarter of an hour is told, not given up silently.
//!
//! In scope: the calls. Out of scope: when a stray may be given back, and what an answer about it means
//! (`tidegate_domain::vendor::stray`).

use std::collections::BTreeMap;

use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::stray::{Said, Step, Stray};
use tidegate_provider_api::{ErrorKind, Machine, MachineState, ProviderError, Reply, Request};

use crate::clock::Clock;
use crate::vendor::{Vendor, odd};

/// A question that came to nothing is asked again after this long.
const AGAIN: Span = Span::from_secs(15);

/// A stray, and what has become of it.
#[derive(Debug)]
pub struct Tracked {
    /// The machine as it was last shown.
    pub machine: Machine,
    /// What is known of it.
    pub stray: Stray,
    /// What has become of it.
    pub fate: Fate,
}

/// What has become of a stray.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was looked at.
    Noticed,
    /// It is left alone, for this reason.
    Spared(String),
    /// It is gone, by the vendor's word.
    Gone,
    /// It was to be given back, and is there or may be.
    Survives(String),
}

/// What is to be done about one of them.
#[derive(Clone, Copy, Debug)]
enum Act {
    Destroy { ask_in: Span },
    Ask,
}

/// Carries steps out until every stray among `all` that one was decided for is gone, or has survived. Each step
/// is that of the stray in the same place.
pub fn end(
    vendor: &Vendor,
    clock: &dyn Clock,
    all: &mut BTreeMap<String, Tracked>,
    steps: Vec<(String, Step)>,
) {
    let mut due: BTreeMap<String, (Timestamp, Act)> = BTreeMap::new();
    for (id, step) in steps {
        if let (Some(tracked), Some(next)) = (all.get_mut(&id), after(clock.now(), step)) {
            tracked.fate = Fate::Survives("it was not reached".to_owned());
            due.insert(id, next);
        }
    }
    while let Some(id) = soonest(&due) {
        let Some((at, act)) = due.remove(&id) else {
            continue;
        };
        clock.wait(clock.now().until(at));
        let Some(tracked) = all.get_mut(&id) else {
            continue;
        };
        let next = match act {
            Act::Destroy { ask_in } => destroy(vendor, clock, tracked, ask_in),
            Act::Ask => ask(vendor, clock, tracked),
        };
        if let Some(next) = next {
            due.insert(id, next);
        }
    }
}

fn soonest(due: &BTreeMap<String, (Timestamp, Act)>) -> Option<String> {
    let first = due.iter().min_by_key(|(_, (at, _))| *at);
    first.map(|(id, _)| id.clone())
}

/// When something has to be done, and what.
fn after(now: Timestamp, step: Step) -> Option<(Timestamp, Act)> {
    match step {
        Step::Wait | Step::Close => None,
        Step::Destroy { ask_in } => Some((now, Act::Destroy { ask_in })),
        Step::Ask(pause) => Some((now + pause, Act::Ask)),
    }
}

fn place(machine: &Machine) -> (String, String) {
    (machine.region.clone(), machine.id.clone())
}

fn destroy(
    vendor: &Vendor,
    clock: &dyn Clock,
    tracked: &mut Tracked,
    ask_in: Span,
) -> Option<(Timestamp, Act)> {
    let asked_at = clock.now();
    let (region, id) = place(&tracked.machine);
    let answered = vendor.ask(Request::Destroy { region, id });
    let now = clock.now();
    match answered {
        Ok(_) => match tracked.stray.destroy_taken(now) {
            Step::Wait => Some((now + ask_in, Act::Ask)),
            step => after(now, step),
        },
        Err(error) if is_not_found(&error) => heard(vendor, now, asked_at, tracked, Said::NotFound),
        Err(error) if error.permanent && !error.unclear => {
            tracked.fate = Fate::Survives(error.to_string());
            None
        }
        // Whatever came of it, the machine costs money until it is gone.
        Err(error) => later(now, tracked, Act::Destroy { ask_in }, &error),
    }
}

fn ask(vendor: &Vendor, clock: &dyn Clock, tracked: &mut Tracked) -> Option<(Timestamp, Act)> {
    let asked_at = clock.now();
    let (region, id) = place(&tracked.machine);
    let answered = vendor.ask(Request::Get { region, id });
    let now = clock.now();
    let said = match answered {
        Ok(Reply::Machine { machine }) => said(&mut tracked.machine, *machine),
        Ok(_) => return later(now, tracked, Act::Ask, &odd("get")),
        Err(error) if is_not_found(&error) => Said::NotFound,
        Err(error) if error.permanent => {
            tracked.fate = Fate::Survives(error.to_string());
            return None;
        }
        Err(error) => return later(now, tracked, Act::Ask, &error),
    };
    heard(vendor, now, asked_at, tracked, said)
}

fn is_not_found(error: &ProviderError) -> bool {
    error.kind == ErrorKind::NotFound && !error.unclear
}

/// An id that came back for another machine is not the one that was given back.
fn said(known: &mut Machine, shown: Machine) -> Said {
    if shown.marker != known.marker {
        return Said::NotFound;
    }
    let said = match shown.state {
        MachineState::Terminated => Said::Gone {
            billed_until: shown.billed_until_ms.map(Timestamp::from_ms),
        },
        state => Said::There {
            is_ending: state == MachineState::Terminating,
        },
    };
    *known = shown;
    said
}

fn heard(
    vendor: &Vendor,
    now: Timestamp,
    asked_at: Timestamp,
    tracked: &mut Tracked,
    said: Said,
) -> Option<(Timestamp, Act)> {
    match tracked.stray.heard(now, asked_at, said, vendor.list_lag()) {
        Step::Close => {
            tracked.fate = Fate::Gone;
            None
        }
        // It was asked for because a list did not show it, and here it is.
        Step::Wait => {
            tracked.fate = Fate::Spared("one list showed it and the next did not".to_owned());
            None
        }
        step => still_there(now, tracked, "the vendor still shows it", after(now, step)),
    }
}

fn later(
    now: Timestamp,
    tracked: &mut Tracked,
    act: Act,
    error: &ProviderError,
) -> Option<(Timestamp, Act)> {
    let wanted = error.retry_after_ms.and_then(|ms| i64::try_from(ms).ok());
    let pause = Span::from_ms(wanted.unwrap_or(0)).max(AGAIN);
    still_there(now, tracked, &error.to_string(), Some((now + pause, act)))
}

/// After a quarter of an hour somebody has to look.
fn still_there(
    now: Timestamp,
    tracked: &mut Tracked,
    why: &str,
    next: Option<(Timestamp, Act)>,
) -> Option<(Timestamp, Act)> {
    tracked.fate = Fate::Survives(why.to_owned());
    if tracked.stray.alert(now) {
        tracked.fate = Fate::Survives(format!("{why}, 15 minutes after it was to be given back"));
        return None;
    }
    next
}

#[cfg(test)]
mod tests {
    use tidegate_provider_api::{Billing, Marker};

    use super::*;

    fn machine(name: &str, state: MachineState) -> Machine {
        Machine {
            id: "m1".to_owned(),
            marker: Marker::parse(name),
            state,
            raw_state: String::new(),
            reason: None,
            region: "EU-RO-1".to_owned(),
            zone: None,
            machine_type: None,
            gpu_count: None,
            microusd_per_hour: None,
            billing: Billing::Full,
            billed_from_ms: None,
            billed_until_ms: Some(7),
            endpoint: None,
            address: None,
        }
    }

    #[test]
    fn an_id_that_came_back_for_another_machine_is_not_the_one_that_was_given_back() {
        let ours = "tidegate-0123456789-srv_a-1";
        let mut known = machine(ours, MachineState::Running);
        for (name, state, heard) in [
            (
                ours,
                MachineState::Running,
                Said::There { is_ending: false },
            ),
            (
                ours,
                MachineState::Terminating,
                Said::There { is_ending: true },
            ),
            (
                ours,
                MachineState::Terminated,
                Said::Gone {
                    billed_until: Some(Timestamp::from_ms(7)),
                },
            ),
            (
                "tidegate-0123456789-srv_b-1",
                MachineState::Running,
                Said::NotFound,
            ),
            ("my-own-pod", MachineState::Running, Said::NotFound),
        ] {
            assert_eq!(said(&mut known, machine(name, state)), heard, "{name}");
            // What is printed of it stays ours.
            assert_eq!(known.marker, Marker::parse(ours));
        }
    }
}
