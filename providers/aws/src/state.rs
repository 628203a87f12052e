//! A machine as EC2 describes it.
//!
//! Invariant: the state follows from the number that EC2 gives it, whose low byte alone counts ("ignore the high
//! byte", says `InstanceState`); a number that is not known is no state.
//!
//! What is billed, by state, after "Amazon EC2 instance state changes" and "Amazon EBS pricing": usage while
//! `running`, the disk from its making to its end. `pending` is not billed, but nothing tells when it ended: only
//! `launchTime` is shown, seconds earlier. So the meter is taken to begin there, and `pending` to be billed in
//! full; that counts a little too much and never too little.
//!
//! In scope: what is said of one machine. Out of scope: in which answers it stands (`reply.rs`).

use tidegate_provider_api::{
    Billing, Ending, Fingerprint, Machine, MachineState, Marker, Reason, rfc3339,
};

use crate::launch::{ACCOUNT, ATTEMPT, INSTANCE, NAME};
use crate::xml::Element;

/// Characters that are kept of why a machine is in its state.
const LONGEST_REASON: usize = 300;

/// Reads an `item` of `instancesSet`; nothing when it has no id.
pub(crate) fn machine(item: &Element<'_, '_>, region: &str) -> Option<Machine> {
    let id = item.text("instanceId")?.to_owned();
    let name = item.text("instanceState/name").unwrap_or_default();
    let state = state(item.parsed("instanceState/code"), name);
    let code = item.text("stateReason/code").unwrap_or_default();
    let transition = item.text("reason").unwrap_or_default();
    let is_up = matches!(state, MachineState::Pending | MachineState::Running);
    let from = item.text("launchTime").and_then(rfc3339::parse);
    let until = if is_up {
        None
    } else if failed_to_launch(code) && state == MachineState::Terminated {
        // It never ran.
        from
    } else {
        moment_of(transition)
    };
    Some(Machine {
        id,
        marker: marker(item),
        state,
        raw_state: name.to_owned(),
        // What stopped it is still told while it runs again.
        reason: if is_up { None } else { reason(item) },
        region: region.to_owned(),
        zone: item.text("placement/availabilityZone").map(str::to_owned),
        machine_type: item.text("instanceType").map(str::to_owned),
        gpu_count: None,
        microusd_per_hour: None,
        billing: billing(state),
        billed_from_ms: from,
        billed_until_ms: until,
        endpoint: None,
        address: item.text("ipAddress").map(str::to_owned),
    })
}

fn state(code: Option<u32>, name: &str) -> MachineState {
    match code.map(|code| code & 0xff) {
        Some(0) => MachineState::Pending,
        Some(16) => MachineState::Running,
        Some(32) => MachineState::Terminating,
        Some(48) => MachineState::Terminated,
        Some(64) => MachineState::Stopping,
        Some(80) => MachineState::Stopped,
        Some(_) => MachineState::Unknown,
        None => match name {
            "pending" => MachineState::Pending,
            "running" => MachineState::Running,
            "shutting-down" => MachineState::Terminating,
            "terminated" => MachineState::Terminated,
            "stopping" => MachineState::Stopping,
            "stopped" => MachineState::Stopped,
            _ => MachineState::Unknown,
        },
    }
}

const fn billing(state: MachineState) -> Billing {
    match state {
        MachineState::Pending | MachineState::Running => Billing::Full,
        // Usage has ended; the disk is there until the machine is gone.
        MachineState::Stopping | MachineState::Stopped | MachineState::Terminating => Billing::Disk,
        MachineState::Terminated => Billing::None,
        MachineState::Failed | MachineState::Unknown => Billing::Unknown,
    }
}

/// From the name; from the other tags where somebody has renamed the machine.
fn marker(item: &Element<'_, '_>) -> Option<Marker> {
    let tag = |name: &str| {
        let mut tags = item.items("tagSet");
        tags.find(|tag| tag.text("key") == Some(name))?
            .text("value")
    };
    tag(NAME).and_then(Marker::parse).or_else(|| {
        let marker = Marker {
            fingerprint: Fingerprint::parse(tag(ACCOUNT)?)?,
            instance: tag(INSTANCE)?.to_owned(),
            attempt: tag(ATTEMPT)?.parse().ok()?,
        };
        Marker::parse(&marker.to_string())
    })
}

/// `StateReason` lists these codes; what it does not list is told by its words alone.
fn reason(item: &Element<'_, '_>) -> Option<Reason> {
    let code = item.text("stateReason/code");
    let message = item.text("stateReason/message");
    let transition = item.text("reason");
    let ending = match code.unwrap_or_default() {
        "Client.UserInitiatedShutdown"
        | "Client.UserInitiatedHibernate"
        | "Client.InstanceTerminated" => Ending::Asked,
        "Client.InstanceInitiatedShutdown" => Ending::Itself,
        "Server.SpotInstanceTermination" | "Server.SpotInstanceShutdown" => Ending::Preempted,
        "Server.InsufficientInstanceCapacity" => Ending::Capacity,
        "Client.VolumeLimitExceeded" => Ending::Quota,
        "" => match transition.unwrap_or_default() {
            "" => return None,
            words if words.starts_with("User initiated") => Ending::Asked,
            words if words.starts_with("Server.SpotInstance") => Ending::Preempted,
            _ => Ending::Other,
        },
        // `Server.InternalError`, `Server.ScheduledStop`, `Client.InternalError` (often a key that may not be
        // used for the disk), `Client.InvalidSnapshot.NotFound`, and what is not known.
        _ => Ending::Other,
    };
    // The message mostly begins with the code.
    let words = match (code, message.or(transition)) {
        (Some(code), Some(words)) if !words.starts_with(code) => format!("{code}: {words}"),
        (_, Some(words)) => words.to_owned(),
        (code, None) => code.unwrap_or_default().to_owned(),
    };
    let words = words.chars().take(LONGEST_REASON).collect();
    Some(Reason { ending, words })
}

/// Reasons that end a machine "during launch", before it has run.
fn failed_to_launch(code: &str) -> bool {
    matches!(
        code,
        "Server.InsufficientInstanceCapacity"
            | "Server.InternalError"
            | "Client.InternalError"
            | "Client.InvalidSnapshot.NotFound"
            | "Client.VolumeLimitExceeded"
    )
}

/// The moment in `User initiated (2026-11-20 12:00:00 GMT)`.
fn moment_of(transition: &str) -> Option<i64> {
    let (_, rest) = transition.rsplit_once('(')?;
    let (text, _) = rest.split_once(')')?;
    let mut words = text.split(' ');
    let (date, time, zone) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !matches!(zone, "GMT" | "UTC") {
        return None;
    }
    rfc3339::parse(&format!("{date}T{time}Z"))
}
