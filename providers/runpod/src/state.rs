//! RunPod's words for the state of a pod, in ours.
//!
//! Invariant: every word of v2 stands here, and a word that does not is `Unknown`, billed as nobody knows.
//!
//! In scope: the words. Out of scope: what an instance makes of them.

use tidegate_provider_api::{Billing, Ending, MachineState, Reason};

/// A pod's `status`, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// In our words.
    pub state: MachineState,
    /// What it is billed for.
    pub billing: Billing,
    /// Why it is so, where the word says it.
    pub reason: Option<Reason>,
}

/// Reads `PodStatus` of the API file; all six words of it.
pub fn read(status: &str) -> State {
    let (state, billing) = match status {
        // "Pod is being allocated", "container is starting": the pod has a rate from the first reply on.
        "PROVISIONING" | "STARTING" => (MachineState::Pending, Billing::Full),
        // "Container is healthy", as far as RunPod can tell.
        "RUNNING" => (MachineState::Running, Billing::Full),
        // "Container exited (stopped)". A container that ended by itself looks the same, so there is no reason.
        // The GPU is released, the volume goes on costing.
        "EXITED" => (MachineState::Stopped, Billing::Disk),
        // "Unrecoverable error state". Only EXITED and TERMINATED are documented to cost nothing.
        "ERROR" => (MachineState::Failed, Billing::Unknown),
        // "Permanently deleted".
        "TERMINATED" => (MachineState::Terminated, Billing::None),
        _ => (MachineState::Unknown, Billing::Unknown),
    };
    let reason = (state == MachineState::Failed).then(|| Reason {
        ending: Ending::Crashed,
        words: "ERROR: the container is in an unrecoverable error state".to_owned(),
    });
    State {
        state,
        billing,
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_of_the_vendor_has_one_of_ours() {
        for (status, state, billing, ending) in [
            ("PROVISIONING", MachineState::Pending, Billing::Full, None),
            ("STARTING", MachineState::Pending, Billing::Full, None),
            ("RUNNING", MachineState::Running, Billing::Full, None),
            ("EXITED", MachineState::Stopped, Billing::Disk, None),
            (
                "ERROR",
                MachineState::Failed,
                Billing::Unknown,
                Some(Ending::Crashed),
            ),
            ("TERMINATED", MachineState::Terminated, Billing::None, None),
        ] {
            let read = read(status);
            assert_eq!((read.state, read.billing), (state, billing), "{status}");
            assert_eq!(read.reason.map(|reason| reason.ending), ending, "{status}");
        }
    }

    #[test]
    fn other_words_are_not_guessed_at() {
        // Words of GraphQL and v1 among them.
        for status in [
            "",
            "running",
            "RUNNING ",
            "CREATED",
            "RESTARTING",
            "PAUSED",
            "DEAD",
            "STOPPING",
        ] {
            let read = read(status);
            assert_eq!(
                (read.state, read.billing, read.reason),
                (MachineState::Unknown, Billing::Unknown, None),
                "{status}"
            );
        }
    }
}
