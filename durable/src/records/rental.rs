//! A rental's rows: the launch, written once, and its life, written when it changes.

use serde::{Deserialize, Serialize};
use tidegate_domain::ids::MachineId;
use tidegate_domain::lifecycle::{
    Absences, AdvanceRecord, Attempt, Cause, Costs, LifecycleRecord, State,
};
use tidegate_domain::money::Segment;
use tidegate_domain::time::Timestamp;

use crate::bindings::ledger::SegmentRow;
use crate::bindings::rental::PhaseTime;

/// Everything of a rental but its launch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LifeRow {
    /// The machine's record.
    pub life: LifecycleRow,
    /// Counts announcements to the fleet.
    pub sequence: u64,
    /// Counts messages to the journal.
    pub audits: u64,
    /// Counts events.
    pub events: u64,
    /// Drawn by the machine that the boot token is bound to.
    pub nonce: Option<String>,
    /// When each state was reached, the last time.
    pub phases: Vec<PhaseTime>,
    /// The root of what the machine serves.
    pub endpoint: Option<String>,
    /// Its public address.
    pub address: Option<String>,
    /// What it is billed for, in the vendor's words for it.
    pub billing: Option<String>,
    /// The vendor's last words, where they say more than the state.
    pub words: String,
    /// What came of each attempt, in words.
    pub outcomes: Vec<String>,
    /// Counts the statements of each attempt's cost window.
    pub revisions: Vec<u64>,
    /// What requests used of the current window, by payer, in micro-dollars.
    pub shares: std::collections::BTreeMap<String, u64>,
}

/// [`LifecycleRecord`] as a row. Moments are milliseconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct LifecycleRow {
    state: String,
    since_ms: i64,
    cause: Option<String>,
    wish: Option<String>,
    attempts: Vec<AttemptRow>,
    next_candidate: u32,
    machine: Option<String>,
    sighted_at_ms: Option<i64>,
    absent_lists: u32,
    absent_looks: u32,
    listed_at_ms: Option<i64>,
    looked_at_ms: Option<i64>,
    has_served: bool,
    up_since_ms: i64,
    ready_since_ms: Option<i64>,
    advance: u64,
    advance_asked_at_ms: Option<i64>,
    advance_until_ms: Option<i64>,
    advance_denied_at_ms: Option<i64>,
    acts: u64,
    act_taken_at_ms: Option<i64>,
    looks: u32,
    next_look_ms: Option<i64>,
    next_warm_ms: Option<i64>,
    warm_failures: u32,
    called_at_ms: Option<i64>,
    suspect: bool,
    is_alerted: bool,
    next_bill_ms: Option<i64>,
    bills_asked: u32,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct AttemptRow {
    candidate: u32,
    sent_at_ms: Option<i64>,
    segments: Vec<SegmentRow>,
    until_ms: Option<i64>,
    billed_microusd: Option<u64>,
    void: bool,
    run_from_ms: Option<i64>,
    is_rated: bool,
    assumed_from_ms: Option<i64>,
}

fn ms(at: Option<Timestamp>) -> Option<i64> {
    at.map(Timestamp::as_ms)
}

fn at(ms: Option<i64>) -> Option<Timestamp> {
    ms.map(Timestamp::from_ms)
}

impl LifecycleRow {
    /// A record as a row.
    pub fn from_domain(record: &LifecycleRecord) -> Self {
        let LifecycleRecord {
            state,
            since,
            cause,
            wish,
            attempts,
            next_candidate,
            machine,
            sighted_at,
            absences,
            has_served,
            up_since,
            ready_since,
            advance,
            acts,
            act_taken_at,
            looks,
            next_look,
            next_warm,
            warm_failures,
            called_at,
            suspect,
            is_alerted,
            next_bill,
            bills_asked,
        } = record;
        Self {
            state: state.code().to_owned(),
            since_ms: since.as_ms(),
            cause: cause.map(|cause| cause.code().to_owned()),
            wish: wish.map(|wish| wish.code().to_owned()),
            attempts: attempts.iter().map(AttemptRow::from_domain).collect(),
            next_candidate: *next_candidate,
            machine: machine.as_ref().map(|machine| machine.as_str().to_owned()),
            sighted_at_ms: ms(*sighted_at),
            absent_lists: absences.lists,
            absent_looks: absences.looks,
            listed_at_ms: ms(absences.listed_at),
            looked_at_ms: ms(absences.looked_at),
            has_served: *has_served,
            up_since_ms: up_since.as_ms(),
            ready_since_ms: ms(*ready_since),
            advance: advance.number,
            advance_asked_at_ms: ms(advance.asked_at),
            advance_until_ms: ms(advance.until),
            advance_denied_at_ms: ms(advance.denied_at),
            acts: *acts,
            act_taken_at_ms: ms(*act_taken_at),
            looks: *looks,
            next_look_ms: ms(*next_look),
            next_warm_ms: ms(*next_warm),
            warm_failures: *warm_failures,
            called_at_ms: ms(*called_at),
            suspect: *suspect,
            is_alerted: *is_alerted,
            next_bill_ms: ms(*next_bill),
            bills_asked: *bills_asked,
        }
    }

    /// The record again. A state that this release does not know is one in which the machine may be alive: it
    /// is given back rather than forgotten.
    pub fn into_domain(self) -> LifecycleRecord {
        let cause = |code: Option<String>| code.and_then(|code| Cause::parse(&code));
        LifecycleRecord {
            state: State::parse(&self.state).unwrap_or(State::Terminating),
            since: Timestamp::from_ms(self.since_ms),
            cause: cause(self.cause),
            wish: cause(self.wish),
            attempts: self
                .attempts
                .into_iter()
                .map(AttemptRow::into_domain)
                .collect(),
            next_candidate: self.next_candidate,
            machine: self.machine.map(MachineId::new),
            sighted_at: at(self.sighted_at_ms),
            absences: Absences {
                lists: self.absent_lists,
                looks: self.absent_looks,
                listed_at: at(self.listed_at_ms),
                looked_at: at(self.looked_at_ms),
            },
            has_served: self.has_served,
            up_since: Timestamp::from_ms(self.up_since_ms),
            ready_since: at(self.ready_since_ms),
            advance: AdvanceRecord {
                number: self.advance,
                asked_at: at(self.advance_asked_at_ms),
                until: at(self.advance_until_ms),
                denied_at: at(self.advance_denied_at_ms),
            },
            acts: self.acts,
            act_taken_at: at(self.act_taken_at_ms),
            looks: self.looks,
            next_look: at(self.next_look_ms),
            next_warm: at(self.next_warm_ms),
            warm_failures: self.warm_failures,
            called_at: at(self.called_at_ms),
            suspect: self.suspect,
            is_alerted: self.is_alerted,
            next_bill: at(self.next_bill_ms),
            bills_asked: self.bills_asked,
        }
    }
}

impl AttemptRow {
    fn from_domain(attempt: &Attempt) -> Self {
        let Costs {
            segments,
            until,
            billed,
            is_void,
            run_from,
            is_rated,
            assumed_from,
        } = &attempt.costs;
        Self {
            candidate: attempt.candidate,
            sent_at_ms: ms(attempt.sent_at),
            segments: segments.iter().map(segment_row).collect(),
            until_ms: ms(*until),
            billed_microusd: *billed,
            void: *is_void,
            run_from_ms: ms(*run_from),
            is_rated: *is_rated,
            assumed_from_ms: ms(*assumed_from),
        }
    }

    fn into_domain(self) -> Attempt {
        let segment = |row: SegmentRow| Segment {
            from: Timestamp::from_ms(row.from_ms),
            microusd_per_hour: row.microusd_per_hour,
        };
        Attempt {
            candidate: self.candidate,
            sent_at: at(self.sent_at_ms),
            costs: Costs {
                segments: self.segments.into_iter().map(segment).collect(),
                until: at(self.until_ms),
                billed: self.billed_microusd,
                is_void: self.void,
                run_from: at(self.run_from_ms),
                is_rated: self.is_rated,
                assumed_from: at(self.assumed_from_ms),
            },
        }
    }
}

/// A segment as the ledger is told of it.
pub fn segment_row(segment: &Segment) -> SegmentRow {
    SegmentRow {
        from_ms: segment.from.as_ms(),
        microusd_per_hour: segment.microusd_per_hour,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> LifecycleRecord {
        let moment = |ms| Some(Timestamp::from_ms(ms));
        LifecycleRecord {
            state: State::parse("warming/token").unwrap(),
            since: Timestamp::from_ms(1),
            cause: Some(Cause::Idle),
            wish: Some(Cause::Asked),
            attempts: vec![Attempt {
                candidate: 2,
                sent_at: moment(3),
                costs: Costs {
                    segments: vec![Segment {
                        from: Timestamp::from_ms(4),
                        microusd_per_hour: 5,
                    }],
                    until: moment(6),
                    billed: Some(7),
                    is_void: true,
                    run_from: moment(8),
                    is_rated: true,
                    assumed_from: moment(22),
                },
            }],
            next_candidate: 3,
            machine: Some(MachineId::new("pod")),
            sighted_at: moment(9),
            absences: Absences {
                lists: 1,
                looks: 2,
                listed_at: moment(10),
                looked_at: moment(11),
            },
            has_served: true,
            up_since: Timestamp::from_ms(12),
            ready_since: moment(13),
            advance: AdvanceRecord {
                number: 4,
                asked_at: moment(14),
                until: moment(15),
                denied_at: moment(16),
            },
            acts: 5,
            act_taken_at: moment(17),
            looks: 6,
            next_look: moment(18),
            next_warm: moment(19),
            warm_failures: 7,
            called_at: moment(20),
            suspect: true,
            is_alerted: true,
            next_bill: moment(21),
            bills_asked: 8,
        }
    }

    #[test]
    fn a_record_is_read_back_as_it_was_written() {
        let row = LifecycleRow::from_domain(&record());
        let json = serde_json::to_string(&row).unwrap();
        let read: LifecycleRow = serde_json::from_str(&json).unwrap();
        assert_eq!(read.into_domain(), record());
    }

    /// Rows outlive releases: what this one wrote must be read for ever.
    #[test]
    fn the_row_of_this_release_is_pinned() {
        let json = r#"{"state":"warming/token","since_ms":1,"cause":"idle","wish":"asked","attempts":[{"candidate":2,"sent_at_ms":3,"segments":[{"from_ms":4,"microusd_per_hour":5}],"until_ms":6,"billed_microusd":7,"void":true,"run_from_ms":8,"is_rated":true,"assumed_from_ms":22}],"next_candidate":3,"machine":"pod","sighted_at_ms":9,"absent_lists":1,"absent_looks":2,"listed_at_ms":10,"looked_at_ms":11,"has_served":true,"up_since_ms":12,"ready_since_ms":13,"advance":4,"advance_asked_at_ms":14,"advance_until_ms":15,"advance_denied_at_ms":16,"acts":5,"act_taken_at_ms":17,"looks":6,"next_look_ms":18,"next_warm_ms":19,"warm_failures":7,"called_at_ms":20,"suspect":true,"is_alerted":true,"next_bill_ms":21,"bills_asked":8}"#;
        let row = LifecycleRow::from_domain(&record());
        assert_eq!(serde_json::to_string(&row).unwrap(), json);
    }

    #[test]
    fn a_state_of_another_release_is_one_to_give_back() {
        let row: LifecycleRow = serde_json::from_str(r#"{"state":"hibernating"}"#).unwrap();
        assert_eq!(row.into_domain().state, State::Terminating);
    }
}
