use super::*;

const T0: Timestamp = Timestamp::from_ms(1_795_255_200_000);
const LAG: Span = Span::from_secs(300);

fn after(secs: i64) -> Timestamp {
    T0 + Span::from_secs(secs)
}

fn m(id: &str) -> MachineId {
    MachineId::new(id)
}

fn sent() -> Attempt {
    let mut attempt = Attempt::new(T0);
    assert!(attempt.create_leaves(T0));
    attempt
}

fn unclear() -> Attempt {
    let mut attempt = sent();
    let next = attempt.create_failed(T0, Failure::Unclear, false);
    assert_eq!(next, Next::Unclear);
    attempt
}

fn alive() -> Attempt {
    let mut attempt = sent();
    let sight = attempt.sighted(T0, &m("m1"), false);
    assert_eq!(sight, Sight::Its { is_first: true });
    attempt
}

const NO: Failure = Failure::No {
    rules_out_earlier: false,
};
const NONE_LEFT: Failure = Failure::No {
    rules_out_earlier: true,
};

#[test]
fn a_create_that_was_certainly_not_done_is_sent_again_until_its_deadline() {
    let mut attempt = sent();
    for is_idempotent in [false, true] {
        let next = attempt.create_failed(after(599), Failure::NotDone, is_idempotent);
        assert_eq!((next, attempt.stage), (Next::Again, Stage::Unsent));
        assert!(!attempt.may_be_alive());
        // Its window is open since the first one left.
        assert!(!attempt.create_leaves(after(599)));
    }
    let next = attempt.create_failed(after(600), Failure::NotDone, true);
    assert_eq!(next, Next::Refused);
    assert_eq!(attempt.stage, Stage::Over(Ending::Refused));
}

#[test]
fn a_create_without_an_answer_is_repeated_only_where_that_is_the_same_machine() {
    assert_eq!(unclear().stage, Stage::Unclear);
    let mut attempt = sent();
    let next = attempt.create_failed(after(599), Failure::Unclear, true);
    assert_eq!((next, attempt.stage), (Next::Again, Stage::Sent));
    assert!(attempt.may_be_alive());
    // Too many calls now says nothing of the one before.
    let next = attempt.create_failed(after(599), Failure::NotDone, true);
    assert_eq!((next, attempt.stage), (Next::Again, Stage::Sent));
    let next = attempt.create_failed(after(600), Failure::NotDone, true);
    assert_eq!((next, attempt.stage), (Next::Unclear, Stage::Unclear));
    // It is decided.
    assert_eq!(attempt.create_failed(after(601), NO, true), Next::Settled);
}

#[test]
fn a_no_after_a_doubt_refuses_only_if_it_rules_the_doubt_out() {
    for (failure, expected) in [
        (NO, Stage::Unclear),
        (NONE_LEFT, Stage::Over(Ending::Refused)),
    ] {
        let mut attempt = sent();
        attempt.create_failed(after(1), Failure::Unclear, true);
        attempt.create_failed(after(2), failure, true);
        assert_eq!(attempt.stage, expected);
        let mut attempt = sent();
        assert_eq!(
            attempt.create_failed(after(2), failure, true),
            Next::Refused
        );
    }
}

#[test]
fn a_create_that_waits_too_long_is_refused_if_it_never_left_and_unclear_if_it_did() {
    let mut attempt = Attempt::new(T0);
    assert_eq!(attempt.give_up_waiting(after(600)), Next::Refused);
    assert_eq!(attempt.give_up_waiting(after(600)), Next::Settled);
    let mut attempt = sent();
    attempt.create_failed(after(1), Failure::Unclear, true);
    assert_eq!(attempt.give_up_waiting(after(600)), Next::Unclear);
    assert_eq!(attempt.stage, Stage::Unclear);
}

#[test]
fn only_what_was_not_sent_can_be_withdrawn() {
    let mut attempt = Attempt::new(T0);
    assert!(attempt.withdraw(T0) && attempt.withdraw(T0));
    assert!(attempt.is_unwanted());
    for mut attempt in [sent(), unclear(), alive()] {
        let stage = attempt.stage;
        assert!(!attempt.withdraw(after(1)));
        assert_eq!(attempt.stage, stage);
    }
}

#[test]
fn lists_lag_behind_the_last_create_that_left_and_behind_the_first_sight() {
    let mut attempt = sent();
    attempt.create_failed(after(55), Failure::Unclear, true);
    attempt.create_leaves(after(500));
    attempt.create_failed(after(600), Failure::Unclear, true);
    assert_eq!(attempt.stage, Stage::Unclear);
    // Late enough for the first of them, and too early for the second.
    assert!(!attempt.missed(after(700), after(699), true, LAG));
    assert_eq!(attempt.absences, 0);
    assert!(attempt.missed(after(800), after(800), true, LAG));
    assert_eq!(attempt.absences, 1);
    attempt.sighted(after(900), &m("m1"), false);
    assert_eq!(attempt.shows_from(LAG), Some(after(1_200)));
    assert!(!attempt.missed(after(1_199), after(1_199), false, LAG));
    assert!(attempt.missed(after(1_200), after(1_200), false, LAG));
    assert_eq!((attempt.absences, attempt.stage), (1, Stage::Alive));
    assert_eq!(Attempt::new(T0).shows_from(LAG), None);
}

#[test]
fn what_was_missed_is_looked_for_in_one_more_list() {
    let mut attempt = sent();
    attempt.sighted(after(1), &m("m1"), false);
    assert_eq!(attempt.certain_from(LAG), attempt.shows_from(LAG));
    attempt.missed(after(1_000), after(1_000), true, LAG);
    attempt.missed(after(1_060), after(1_050), false, LAG);
    assert_eq!(attempt.stage, Stage::Over(Ending::Gone));
    assert_eq!(attempt.certain_from(LAG), Some(after(1_060)));
    // The vendor's own word is enough.
    let mut attempt = sent();
    attempt.sighted(after(1_000), &m("m1"), true);
    assert_eq!(attempt.certain_from(LAG), attempt.shows_from(LAG));
    assert_eq!(Attempt::new(T0).certain_from(LAG), None);
}

#[test]
fn a_create_that_was_withdrawn_is_not_repeated() {
    // Under way when nobody wants it any more: whatever comes of it, it was the last.
    for (failure, expected) in [
        (Failure::Unclear, Next::Unclear),
        (Failure::NotDone, Next::Refused),
        (NO, Next::Refused),
    ] {
        let mut attempt = sent();
        assert!(!attempt.withdraw(after(1)));
        assert_eq!(attempt.stage, Stage::Sent);
        assert!(attempt.is_given_up(after(1)));
        assert_eq!(attempt.create_failed(after(2), failure, true), expected);
    }
    // Waiting to be repeated: it is given up at once.
    let mut attempt = sent();
    attempt.create_failed(after(1), Failure::Unclear, true);
    assert!(!attempt.is_given_up(after(2)));
    assert!(!attempt.withdraw(after(2)));
    assert!(attempt.is_given_up(after(2)));
    assert_eq!(attempt.give_up_waiting(after(2)), Next::Unclear);
}

#[test]
fn a_machine_that_shows_up_is_adopted_and_ends_the_doubt() {
    let mut attempt = unclear();
    let sight = attempt.sighted(after(5), &m("m1"), false);
    assert_eq!(sight, Sight::Its { is_first: true });
    assert_eq!((attempt.stage, attempt.since), (Stage::Alive, after(5)));
    let sight = attempt.sighted(after(6), &m("m1"), false);
    assert_eq!(sight, Sight::Its { is_first: false });
    // A reply that was given up for lost changes nothing.
    let next = attempt.create_failed(after(7), Failure::Unclear, false);
    assert_eq!((next, attempt.stage), (Next::Settled, Stage::Alive));
}

#[test]
fn a_second_machine_with_the_same_marker_is_a_twin_also_when_the_first_is_gone() {
    let mut attempt = alive();
    assert_eq!(attempt.sighted(after(1), &m("m2"), false), Sight::Twin);
    assert_eq!(attempt.sighted(after(1), &m("m2"), true), Sight::Nothing);
    attempt.sighted(after(2), &m("m1"), true);
    assert_eq!(attempt.stage, Stage::Over(Ending::Gone));
    assert_eq!(attempt.sighted(after(3), &m("m2"), false), Sight::Twin);
    assert_eq!(attempt.machine, Some(m("m1")));
}

#[test]
fn a_machine_of_an_attempt_that_we_gave_up_is_unwanted() {
    let mut refused = sent();
    refused.create_failed(T0, NO, false);
    let mut withdrawn = Attempt::new(T0);
    withdrawn.withdraw(T0);
    let mut abandoned = unclear();
    abandoned.abandoned = true;
    let mut abandoned_alive = alive();
    abandoned_alive.abandoned = true;
    for mut attempt in [refused, withdrawn, abandoned, abandoned_alive] {
        let before = attempt.clone();
        let sight = attempt.sighted(after(9), &m("m1"), false);
        assert_eq!((sight, &attempt), (Sight::Unwanted, &before));
        assert_eq!(attempt.sighted(after(9), &m("m1"), true), Sight::Nothing);
        assert!(attempt.is_over());
    }
}

#[test]
fn a_machine_that_was_gone_and_is_back_is_alive() {
    let mut attempt = alive();
    attempt.sighted(after(1), &m("m1"), true);
    assert!(attempt.is_over() && !attempt.is_unwanted());
    let sight = attempt.sighted(after(2), &m("m1"), false);
    assert_eq!(
        (sight, attempt.stage),
        (Sight::Its { is_first: false }, Stage::Alive)
    );
}

#[test]
fn a_machine_is_gone_after_two_answers_that_count() {
    let mut attempt = alive();
    // Within the vendor's lag, older than the last sighting, or told twice: none of these counts.
    attempt.missed(after(300), after(299), true, LAG);
    attempt.missed(after(400), after(300), true, LAG);
    attempt.missed(after(401), after(300), true, LAG);
    assert_eq!((attempt.absences, attempt.stage), (1, Stage::Alive));
    attempt.sighted(after(500), &m("m1"), false);
    attempt.missed(after(501), after(499), false, LAG);
    assert_eq!(attempt.absences, 0);
    attempt.missed(after(502), after(501), false, LAG);
    attempt.missed(after(600), after(590), true, LAG);
    assert_eq!(attempt.stage, Stage::Over(Ending::Gone));
}

#[test]
fn once_the_vendor_has_taken_the_order_its_word_counts_at_once() {
    let mut attempt = alive();
    attempt.destroy_taken_at = Some(after(10));
    attempt.missed(after(12), after(9), false, LAG);
    attempt.missed(after(12), after(11), true, LAG);
    assert_eq!(attempt.absences, 0);
    attempt.missed(after(16), after(15), false, LAG);
    attempt.missed(after(26), after(25), false, LAG);
    assert_eq!(attempt.stage, Stage::Over(Ending::Gone));
}

#[test]
fn an_unclear_attempt_ends_by_two_whole_lists_beyond_the_lag_and_by_nothing_else() {
    let mut attempt = unclear();
    assert!(attempt.waits_for_lists());
    for asked in [0, 200, 299] {
        attempt.missed(after(asked), after(asked), true, LAG);
    }
    attempt.missed(after(1_000), after(1_000), false, LAG);
    assert_eq!(attempt.absences, 0);
    assert!(!attempt.is_expected(after(299), LAG) && attempt.is_expected(after(300), LAG));
    attempt.missed(after(300), after(300), true, LAG);
    assert!(attempt.may_be_alive());
    attempt.missed(after(360), after(360), true, LAG);
    assert_eq!(attempt.stage, Stage::Over(Ending::Gone));
    assert!(!attempt.is_unwanted() && !attempt.waits_for_lists());
    // A late sighting is the instance's to judge.
    let sight = attempt.sighted(after(900), &m("m1"), false);
    assert_eq!(sight, Sight::Its { is_first: true });
}

#[test]
fn an_instance_that_asks_is_told_by_the_next_whole_list() {
    let mut attempt = alive();
    attempt.sighted(after(1), &m("m1"), true);
    attempt.asked = true;
    assert!(attempt.waits_for_lists() && attempt.is_expected(after(2), LAG));
    attempt.missed(after(3), after(2), false, LAG);
    assert!(attempt.asked);
    attempt.missed(after(3), after(2), true, LAG);
    assert!(!attempt.asked);
}

#[test]
fn what_is_over_is_remembered_for_a_week() {
    let mut attempt = alive();
    assert!(!attempt.may_be_forgotten(T0 + REMEMBERED.times(9)));
    attempt.sighted(after(1), &m("m1"), true);
    assert!(!attempt.may_be_forgotten(T0 + REMEMBERED));
    assert!(attempt.may_be_forgotten(after(1) + REMEMBERED));
}
