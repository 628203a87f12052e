//! Who owns which machine, as far as the gateway says it.
//!
//! Invariant: what the gateway may only be slow to have heard of is owned. A machine is nobody's only if the
//! gateway knows no such instance, calls it over, or knows that its attempt is another's or was left behind.

use std::collections::BTreeMap;

use tidegate_domain::ids::{InstanceId, MachineId};
use tidegate_domain::time::{Span, Timestamp};
use tidegate_domain::vendor::attempt::{Attempt, AttemptId};
use tidegate_domain::vendor::stray::Why;
use tidegate_domain::vendor::sweep::{Listed, Verdict, judge};
use tidegate_provider_api::{Machine, MachineState, Marker};

use crate::gateway::{Detail, Row};

/// Words for "it has ended", which end what may be looked for.
const OVER: [&str; 3] = ["terminated", "failed", "lost"];
/// The one word for "nothing has been asked of the vendor".
const UNSENT: &str = "requested";

/// What a whole list and the owners together say of each machine.
#[derive(Debug, Default)]
pub struct Judged {
    /// Strays by their place in the list, and why they are.
    pub strays: Vec<(usize, Why)>,
    /// Instances that should have a machine and have none in the list: attempts as the gateway counts them.
    pub missing: Vec<AttemptId>,
}

/// Judges machines with our mark, all that there are, against the instances that are not over.
pub fn judged(
    begun_at: Timestamp,
    lag: Span,
    ours: &[Machine],
    account: &str,
    rows: &[Row],
) -> Judged {
    let listed: Vec<Listed> = ours.iter().filter_map(listed).collect();
    let (mut here, mut elsewhere) = (BTreeMap::new(), BTreeMap::new());
    for row in rows {
        let of_account = if row.account_id == account {
            &mut here
        } else {
            &mut elsewhere
        };
        of_account.insert(
            attempt_id(&row.id, row.attempt),
            attempt(row, begun_at, lag),
        );
        // The gateway's index hears of an attempt a moment after it is made.
        let newer = listed
            .iter()
            .map(|each| &each.attempt)
            .filter(|id| id.instance.as_str() == row.id && id.number > row.attempt);
        for id in newer {
            elsewhere.insert(id.clone(), Attempt::new(begun_at));
        }
    }
    let verdicts = judge(
        begun_at,
        lag,
        &listed,
        &here.iter().collect(),
        &elsewhere.iter().collect(),
    );
    let mut judged = Judged::default();
    for verdict in verdicts {
        match verdict {
            Verdict::Its { .. } => {}
            Verdict::Stray { place, why } => judged.strays.push((place, why)),
            Verdict::Missing { attempt } => judged.missing.push(attempt),
        }
    }
    judged.strays.sort_by_key(|(place, _)| *place);
    judged
}

/// Machines of ours all have a marker; the place of one is kept.
fn listed(machine: &Machine) -> Option<Listed> {
    let Marker {
        instance, attempt, ..
    } = machine.marker.as_ref()?;
    Some(Listed {
        machine: MachineId::new(machine.id.as_str()),
        attempt: attempt_id(instance, *attempt),
        is_gone: machine.state == MachineState::Terminated,
    })
}

fn attempt_id(instance: &str, number: u32) -> AttemptId {
    AttemptId {
        instance: InstanceId::new(instance),
        number,
    }
}

/// As old as the vendor's lists may lag: the gateway has told of it, so it has been there for a while.
fn attempt(row: &Row, begun_at: Timestamp, lag: Span) -> Attempt {
    let sent_at = begun_at - lag;
    let mut attempt = Attempt::new(sent_at);
    if row.status != UNSENT {
        attempt.create_leaves(sent_at);
    }
    if let Some(machine) = &row.machine_id {
        attempt.sighted(sent_at, &MachineId::new(machine.as_str()), false);
    }
    attempt
}

/// What the gateway says of one machine's instance, asked for by itself before anything is given back; in
/// words when somebody owns it, or nobody can tell.
///
/// # Errors
/// Why it is left alone.
pub fn is_nobodys(
    machine: &Machine,
    marker: &Marker,
    instance: Option<&Detail>,
) -> Result<(), &'static str> {
    let Some(instance) = instance else {
        return Ok(());
    };
    if OVER.contains(&instance.status.as_str()) {
        return Ok(());
    }
    if instance.attempts.is_none() {
        return Err("its instance is not over and did not answer when it was asked");
    }
    let is_other = |own: &String| *own != machine.id;
    match (marker.attempt.cmp(&instance.attempt), &instance.machine_id) {
        (core::cmp::Ordering::Less, _) => Ok(()),
        (core::cmp::Ordering::Equal, Some(own)) if is_other(own) => Ok(()),
        (core::cmp::Ordering::Equal, _) => Err("its instance owns it"),
        (core::cmp::Ordering::Greater, _) => Err("the gateway has yet to hear of its attempt"),
    }
}

#[cfg(test)]
mod tests;
