use proptest::prelude::*;

use super::super::attempt::{Failure, Stage};
use super::*;
use crate::ids::InstanceId;

const T0: Timestamp = Timestamp::from_ms(1_795_255_200_000);
const LAG: Span = Span::from_secs(300);

fn after(secs: i64) -> Timestamp {
    T0 + Span::from_secs(secs)
}

fn id(instance: &str) -> AttemptId {
    AttemptId {
        instance: InstanceId::new(instance),
        number: 1,
    }
}

fn listed(machine: &str, instance: &str) -> Listed {
    Listed {
        machine: MachineId::new(machine),
        attempt: id(instance),
        is_gone: false,
    }
}

fn gone(machine: &str, instance: &str) -> Listed {
    Listed {
        is_gone: true,
        ..listed(machine, instance)
    }
}

fn sent() -> Attempt {
    let mut attempt = Attempt::new(T0);
    attempt.create_leaves(T0);
    attempt
}

fn unclear() -> Attempt {
    let mut attempt = sent();
    attempt.create_failed(T0, Failure::Unclear, false);
    attempt
}

fn alive(machine: &str) -> Attempt {
    let mut attempt = sent();
    attempt.sighted(T0, &MachineId::new(machine), false);
    attempt
}

fn refused() -> Attempt {
    let mut attempt = sent();
    let rules_out_earlier = false;
    attempt.create_failed(T0, Failure::No { rules_out_earlier }, false);
    attempt
}

fn judged(begun: i64, list: &[Listed], known: &[(&str, Attempt)]) -> Vec<Verdict> {
    let known: BTreeMap<AttemptId, Attempt> = known
        .iter()
        .map(|(name, attempt)| (id(name), attempt.clone()))
        .collect();
    judge(
        after(begun),
        LAG,
        list,
        &known.iter().collect(),
        &BTreeMap::new(),
    )
}

fn its(place: usize) -> Verdict {
    Verdict::Its { place }
}

fn stray(place: usize, why: Why) -> Verdict {
    Verdict::Stray { place, why }
}

fn missing(instance: &str) -> Verdict {
    let attempt = id(instance);
    Verdict::Missing { attempt }
}

#[test]
fn everything_is_listed_every_five_minutes_and_every_minute_while_something_is_unclear() {
    assert_eq!(next(None, false, T0), T0);
    assert_eq!(next(Some(T0), false, after(7)), after(300));
    assert_eq!(next(Some(T0), true, after(7)), after(60));
    // The clock was set back by an hour.
    assert_eq!(next(Some(after(3_600)), false, T0), after(300));
}

#[test]
fn each_machine_is_its_attempts_or_a_stray() {
    let list = [
        listed("m1", "alive"),
        listed("m2", "alive"),
        listed("m3", "unclear"),
        listed("m4", "refused"),
        listed("m5", "unknown"),
    ];
    let known = [
        ("alive", alive("m1")),
        ("unclear", unclear()),
        ("refused", refused()),
    ];
    assert_eq!(
        judged(0, &list, &known),
        [
            its(0),
            stray(1, Why::Twin),
            its(2),
            stray(3, Why::Unwanted),
            stray(4, Why::Orphan),
        ]
    );
}

#[test]
fn pages_that_show_a_machine_twice_show_it_once() {
    let list = [
        listed("m1", "alive"),
        listed("m5", "unknown"),
        listed("m1", "alive"),
        listed("m5", "unknown"),
    ];
    let verdicts = judged(0, &list, &[("alive", alive("m1"))]);
    assert_eq!(verdicts, [its(0), stray(1, Why::Orphan)]);
}

#[test]
fn of_two_machines_of_an_unclear_attempt_the_living_one_is_adopted() {
    let list = [
        gone("m1", "unclear"),
        listed("m2", "unclear"),
        listed("m3", "unclear"),
    ];
    let verdicts = judged(0, &list, &[("unclear", unclear())]);
    assert_eq!(verdicts, [its(1), stray(2, Why::Twin)]);
    let verdicts = judged(0, &list[..1], &[("unclear", unclear())]);
    assert_eq!(verdicts, [its(0)]);
}

#[test]
fn what_lingers_and_is_gone_is_no_stray() {
    let list = [
        gone("m4", "refused"),
        gone("m5", "unknown"),
        gone("m2", "alive"),
    ];
    let known = [("refused", refused()), ("alive", alive("m1"))];
    assert_eq!(judged(0, &list, &known), []);
}

#[test]
fn an_attempt_is_missing_only_from_a_list_that_was_begun_beyond_the_vendors_lag() {
    let known = [
        ("alive", alive("m1")),
        ("sent", sent()),
        ("unclear", unclear()),
        ("unsent", Attempt::new(T0)),
        ("refused", refused()),
    ];
    assert_eq!(judged(299, &[], &known), []);
    assert_eq!(
        judged(300, &[], &known),
        [missing("alive"), missing("unclear")]
    );
}

#[test]
fn an_attempt_is_missing_where_only_its_twin_is_shown() {
    let verdicts = judged(300, &[listed("m2", "alive")], &[("alive", alive("m1"))]);
    assert_eq!(verdicts, [stray(0, Why::Twin), missing("alive")]);
}

#[test]
fn an_attempt_that_lives_elsewhere_is_known_here_and_not_missing() {
    let attempt = alive("m1");
    let elsewhere = id("alive");
    let others = BTreeMap::from([(&elsewhere, &attempt)]);
    let list = [listed("m1", "alive"), listed("m2", "alive")];
    let verdicts = judge(after(600), LAG, &list, &BTreeMap::new(), &others);
    assert_eq!(verdicts, [its(0), stray(1, Why::Twin)]);
    let verdicts = judge(after(600), LAG, &[], &BTreeMap::new(), &others);
    assert_eq!(verdicts, []);
}

proptest! {
    /// Whatever a list holds: each machine in it has one verdict at most, no attempt has two machines, and a
    /// living machine has exactly one verdict.
    #[test]
    fn each_machine_gets_one_verdict(
        list in proptest::collection::vec((0..6_u8, 0..4_u8, any::<bool>()), 0..20),
        stages in proptest::collection::vec(0..5_u8, 4),
    ) {
        // A vendor's id stays with its marker and its state.
        let list: BTreeMap<u8, Listed> = list
            .into_iter()
            .map(|(machine, attempt, is_gone)| {
                let each = listed(&format!("m{machine}"), &format!("i{attempt}"));
                (machine, Listed { is_gone, ..each })
            })
            .collect();
        let list: Vec<Listed> = list.into_values().collect();
        let known: Vec<(String, Attempt)> = stages
            .iter()
            .enumerate()
            .filter_map(|(n, stage)| {
                let attempt = match stage {
                    0 => return None,
                    1 => sent(),
                    2 => unclear(),
                    3 => alive("m0"),
                    _ => refused(),
                };
                Some((format!("i{n}"), attempt))
            })
            .collect();
        let known: Vec<(&str, Attempt)> =
            known.iter().map(|(name, attempt)| (name.as_str(), attempt.clone())).collect();
        let verdicts = judged(600, &list, &known);
        let mut places = BTreeSet::new();
        let mut owned = BTreeSet::new();
        for verdict in &verdicts {
            match verdict {
                Verdict::Its { place } => {
                    prop_assert!(places.insert(*place));
                    prop_assert!(owned.insert(list[*place].attempt.clone()));
                }
                Verdict::Stray { place, .. } => {
                    prop_assert!(places.insert(*place));
                    prop_assert!(!list[*place].is_gone);
                }
                Verdict::Missing { attempt } => {
                    prop_assert!(!owned.contains(attempt));
                    let stage = known
                        .iter()
                        .find(|(name, _)| id(name) == *attempt)
                        .map(|(_, attempt)| attempt.stage);
                    prop_assert!(matches!(stage, Some(Stage::Alive | Stage::Unclear)));
                }
            }
        }
        let living = list.iter().filter(|each| !each.is_gone).count();
        let judged = verdicts
            .iter()
            .filter(|verdict| match verdict {
                Verdict::Its { place } | Verdict::Stray { place, .. } => !list[*place].is_gone,
                Verdict::Missing { .. } => false,
            })
            .count();
        prop_assert_eq!(living, judged);
    }
}
