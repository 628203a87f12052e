use proptest::prelude::*;

use super::*;

const T0: Timestamp = Timestamp::from_ms(1_795_255_200_000);
const LAG: Span = Span::from_secs(300);
const THERE: Said = Said::There { is_ending: false };

fn after(secs: i64) -> Timestamp {
    T0 + Span::from_secs(secs)
}

fn asks(secs: i64) -> Step {
    Step::Ask(Span::from_secs(secs))
}

fn destroys(secs: i64) -> Step {
    let ask_in = Span::from_secs(secs);
    Step::Destroy { ask_in }
}

/// One that is being given back since `T0`, with the order taken.
fn ending() -> Stray {
    let mut stray = Stray::new(T0, T0, Why::Unwanted);
    assert_eq!(stray.decide(T0), destroys(5));
    assert_eq!(stray.destroy_taken(T0), asks(5));
    stray
}

#[test]
fn an_orphan_is_given_back_after_two_whole_lists_and_ten_minutes() {
    for why in [Why::Orphan, Why::Twin] {
        let mut stray = Stray::new(T0, T0, why);
        assert_eq!(stray.decide(T0), Step::Wait);
        assert_eq!(stray.listed(after(300), after(299), why), Step::Wait);
        assert_eq!(stray.sightings, 2);
        assert_eq!(stray.decide(after(599)), Step::Wait);
        assert_eq!(stray.listed(after(600), after(599), why), destroys(5));
        assert_eq!(stray.listed(after(900), after(899), why), Step::Wait);
    }
}

#[test]
fn ten_minutes_with_one_list_are_not_enough_and_two_lists_of_one_moment_are_one() {
    let mut stray = Stray::new(T0, T0, Why::Orphan);
    assert_eq!(stray.listed(after(59), after(59), Why::Orphan), Step::Wait);
    assert_eq!(stray.decide(after(3_600)), Step::Wait);
    assert_eq!(stray.sightings, 1);
    let next = stray.listed(after(3_601), after(3_600), Why::Orphan);
    assert_eq!(next, destroys(5));
}

#[test]
fn one_that_we_decided_against_is_given_back_at_once() {
    let mut stray = Stray::new(T0, T0, Why::Unwanted);
    assert_eq!(stray.decide(T0), destroys(5));
    assert_eq!(stray.decide(T0), Step::Wait);
    let mut twin = Stray::new(T0, T0, Why::Twin);
    assert_eq!(twin.decide(T0), Step::Wait);
    assert_eq!(twin.listed(after(1), after(1), Why::Unwanted), destroys(5));
}

#[test]
fn the_vendor_is_asked_from_five_seconds_to_sixty_without_end_and_told_again_in_between() {
    let mut stray = ending();
    let mut now = after(5);
    let mut steps = Vec::new();
    for _ in 0..12 {
        let step = stray.heard(now, now, THERE, LAG);
        if let Step::Destroy { .. } = step {
            assert_eq!(stray.destroy_taken(now), Step::Wait);
        }
        now = now + Span::from_secs(60);
        steps.push(step);
    }
    assert_eq!(steps[..4], [asks(10), asks(20), destroys(40), asks(60)]);
    assert_eq!(steps[4..8], [asks(60), asks(60), destroys(60), asks(60)]);
    assert_eq!(steps[8..], [asks(60), asks(60), destroys(60), asks(60)]);
    // One that is on its way out need not be told again.
    for _ in 0..20 {
        let step = stray.heard(now, now, Said::There { is_ending: true }, LAG);
        assert_eq!(step, asks(60));
    }
}

#[test]
fn it_is_gone_at_the_vendors_word() {
    let mut stray = ending();
    let billed_until = Some(after(7));
    let step = stray.heard(after(10), after(10), Said::Gone { billed_until }, LAG);
    assert_eq!(step, Step::Close);
    let (at, closed_at) = (after(10), after(7));
    assert_eq!(stray.watch, Watch::Gone { at, closed_at });
    assert!(stray.is_gone() && !stray.may_be_forgotten(after(10)));
    assert!(stray.may_be_forgotten(after(10) + REMEMBERED));
    assert_eq!(stray.heard(after(11), after(11), THERE, LAG), Step::Wait);
}

#[test]
fn it_is_gone_when_the_vendor_twice_knows_no_such_machine() {
    let mut stray = ending();
    assert_eq!(
        stray.heard(after(5), after(5), Said::NotFound, LAG),
        asks(10)
    );
    // Back: that was the vendor's lag.
    assert_eq!(stray.heard(after(15), after(15), THERE, LAG), asks(20));
    assert_eq!(
        stray.heard(after(35), after(35), Said::NotFound, LAG),
        asks(40)
    );
    let step = stray.heard(after(76), after(75), Said::NotFound, LAG);
    assert_eq!(step, Step::Close);
    let (at, closed_at) = (after(76), after(35));
    assert_eq!(stray.watch, Watch::Gone { at, closed_at });
}

#[test]
fn before_its_order_was_taken_not_found_counts_only_after_the_vendors_lag() {
    let mut stray = Stray::new(T0, T0, Why::Unwanted);
    assert_eq!(stray.decide(T0), destroys(5));
    for second in 1..4 {
        let step = stray.heard(after(second), after(second), Said::NotFound, LAG);
        assert!(matches!(step, Step::Ask(_)));
    }
    assert_eq!(stray.not_found, 0);
    stray.heard(after(300), after(300), Said::NotFound, LAG);
    let step = stray.heard(after(360), after(360), Said::NotFound, LAG);
    assert_eq!(step, Step::Close);
}

#[test]
fn one_that_a_list_lacks_is_asked_for_and_closed_when_it_was_last_seen() {
    let mut stray = Stray::new(T0, T0, Why::Orphan);
    stray.listed(after(300), after(299), Why::Orphan);
    assert_eq!(stray.missed(after(299)), Step::Wait);
    assert_eq!(stray.missed(after(600)), Step::Ask(Span::ZERO));
    assert_eq!(stray.missed(after(600)), Step::Wait);
    assert_eq!(
        stray.heard(after(601), after(600), Said::NotFound, LAG),
        asks(5)
    );
    assert_eq!(
        stray.heard(after(606), after(606), Said::NotFound, LAG),
        Step::Close
    );
    let (at, closed_at) = (after(606), after(300));
    assert_eq!(stray.watch, Watch::Gone { at, closed_at });
}

#[test]
fn one_that_a_list_lacked_and_that_is_there_is_judged_as_before() {
    let mut stray = Stray::new(T0, T0, Why::Orphan);
    stray.missed(after(60));
    assert_eq!(stray.heard(after(61), after(61), THERE, LAG), Step::Wait);
    assert_eq!(stray.watch, Watch::Noticed);
    // One list showed it; asking for it by its id is none.
    stray.missed(after(700));
    assert_eq!(stray.heard(after(701), after(701), THERE, LAG), Step::Wait);
}

#[test]
fn somebody_is_told_once_when_it_is_still_there_after_fifteen_minutes() {
    let mut stray = ending();
    assert_eq!(stray.poll_timeout(), Some(after(900)));
    assert!(!stray.alert(after(899)));
    assert!(stray.alert(after(900)) && !stray.alert(after(901)));
    assert_eq!(stray.poll_timeout(), None);
}

#[test]
fn one_that_comes_back_is_judged_anew() {
    let mut stray = Stray::new(T0, T0, Why::Twin);
    stray.missed(after(600));
    stray.heard(
        after(600),
        after(600),
        Said::Gone { billed_until: None },
        LAG,
    );
    assert!(stray.is_gone());
    let step = stray.listed(after(900), after(900), Why::Twin);
    assert_eq!((step, stray.first_seen), (Step::Wait, after(900)));
    assert_eq!(stray.watch, Watch::Noticed);
}

#[derive(Clone, Copy, Debug)]
enum Happens {
    Listed,
    Missed,
    Heard(Said),
    Taken,
}

fn happens() -> impl Strategy<Value = Happens> {
    let gone = Said::Gone { billed_until: None };
    let said = prop_oneof![Just(THERE), Just(Said::NotFound), Just(gone)];
    prop_oneof![
        3 => Just(Happens::Listed),
        1 => Just(Happens::Missed),
        2 => said.prop_map(Happens::Heard),
        1 => Just(Happens::Taken),
    ]
}

proptest! {
    #[test]
    fn a_stray_is_never_destroyed_on_fewer_than_two_whole_lists_and_ten_minutes(
        events in proptest::collection::vec((0..200_i64, happens()), 1..60),
        is_twin in any::<bool>(),
    ) {
        let why = if is_twin { Why::Twin } else { Why::Orphan };
        let mut stray = Stray::new(T0, T0, why);
        let (mut now, mut lists, mut first, mut last_counted) = (T0, 1, T0, T0);
        let mut is_ordered = false;
        for (pause, event) in events {
            now = now + Span::from_secs(pause);
            let was_gone = stray.is_gone();
            let step = match event {
                Happens::Listed => {
                    if was_gone {
                        (lists, first, last_counted, is_ordered) = (1, now, now, false);
                    } else if now.since(last_counted) >= APART {
                        lists += 1;
                        last_counted = now;
                    }
                    stray.listed(now, now, why)
                }
                Happens::Missed => stray.missed(now),
                Happens::Heard(said) => stray.heard(now, now, said, LAG),
                Happens::Taken => stray.destroy_taken(now),
            };
            if matches!(step, Step::Destroy { .. }) && !is_ordered {
                is_ordered = true;
                prop_assert!(lists >= 2 && now.since(first) >= GRACE, "{lists} lists, {now:?}");
            }
        }
    }
}
