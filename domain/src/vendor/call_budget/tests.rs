use proptest::prelude::*;

use super::*;

const T0: Timestamp = Timestamp::from_ms(1_795_255_200_000);
const MINUTE: Span = Span::from_secs(60);

fn after(secs: i64) -> Timestamp {
    T0 + Span::from_secs(secs)
}

fn budget(calls_per_minute: u32) -> CallBudget {
    CallBudget::new(calls_per_minute, 7, BudgetRecord::default(), T0)
}

fn asks(priority: Priority) -> Waiting {
    Waiting {
        priority,
        since: T0,
        probes: false,
    }
}

fn person() -> Waiting {
    Waiting {
        probes: true,
        ..asks(Priority::Shop)
    }
}

/// Lets go what may go, each under the number of its place, until nothing may.
fn drain(budget: &mut CallBudget, now: Timestamp, waiting: &mut Vec<Waiting>) -> Vec<Priority> {
    let mut gone = Vec::new();
    while let Some(place) = budget.choose(now, waiting) {
        let call = waiting.remove(place);
        budget.begin(now, gone.len() as u64, call.priority);
        gone.push(call.priority);
    }
    gone
}

#[test]
fn the_most_urgent_goes_first_and_four_at_most_are_under_way() {
    let mut budget = budget(600);
    let mut waiting: Vec<Waiting> = Priority::ALL.into_iter().rev().map(asks).collect();
    let gone = drain(&mut budget, T0, &mut waiting);
    // Three of them, and the place that is kept for a "destroy".
    use Priority::*;
    assert_eq!(gone, [Destroy, Create, Power, Get]);
    assert_eq!(budget.poll_timeout(T0, &waiting), Some(after(60)));
    assert_eq!(budget.choose(after(59), &waiting), None);
    budget.end(after(59), 1, Said::Answered);
    assert_eq!(drain(&mut budget, after(59), &mut waiting), [List]);
}

#[test]
fn a_call_that_is_never_heard_of_again_gives_its_place_back_after_a_minute() {
    let mut budget = budget(600);
    for call in 0..3 {
        budget.begin(T0, call, Priority::Create);
    }
    let waiting = [asks(Priority::Get)];
    assert_eq!(budget.choose(after(59), &waiting), None);
    assert_eq!(budget.poll_timeout(after(59), &waiting), Some(after(60)));
    assert!(budget.is_under_way(1));
    assert_eq!(budget.choose(after(60), &waiting), Some(0));
    assert!(!budget.is_under_way(1));
}

#[test]
fn one_place_is_kept_for_a_destroy() {
    let mut budget = budget(600);
    let mut waiting = vec![asks(Priority::Create); 5];
    let gone = drain(&mut budget, T0, &mut waiting);
    assert_eq!(gone, [Priority::Create; 3]);
    let mut waiting = vec![asks(Priority::Create), asks(Priority::Destroy)];
    assert_eq!(budget.choose(T0, &waiting), Some(1));
    waiting.remove(1);
    assert_eq!(budget.choose(T0, &waiting), None);
}

#[test]
fn a_burst_is_a_quarter_of_a_minute_and_refills_evenly() {
    // Sixty a minute: fifteen at once, half of them at the start, then one a second.
    let mut budget = budget(60);
    let go = |budget: &mut CallBudget, now| {
        let mut count = 0;
        while budget.choose(now, &[asks(Priority::Destroy)]).is_some() {
            budget.begin(now, 0, Priority::Destroy);
            budget.end(now, 0, Said::Answered);
            count += 1;
        }
        count
    };
    assert_eq!(go(&mut budget, T0), 7);
    let waiting = [asks(Priority::Destroy)];
    let next = budget.poll_timeout(T0, &waiting).unwrap();
    assert_eq!(next, T0 + Span::from_ms(500));
    assert_eq!(budget.choose(T0 + Span::from_ms(499), &waiting), None);
    assert_eq!(go(&mut budget, next), 1);
    assert_eq!(go(&mut budget, next + Span::from_secs(3_600)), 15);
}

#[test]
fn a_read_leaves_the_last_tokens_to_a_destroy_until_it_is_overdue() {
    let mut budget = budget(60);
    let mut reads = 0;
    while budget.choose(T0, &[asks(Priority::List)]).is_some() {
        budget.begin(T0, 0, Priority::List);
        budget.end(T0, 0, Said::Answered);
        reads += 1;
    }
    // Of seven and a half tokens three and three quarters are left.
    assert_eq!(reads, 3);
    let destroy = [asks(Priority::List), asks(Priority::Destroy)];
    assert_eq!(budget.choose(T0, &destroy), Some(1));
    let overdue = Waiting {
        since: T0 - Priority::List.patience(),
        ..asks(Priority::List)
    };
    assert_eq!(budget.choose(T0, &[overdue]), Some(0));
}

#[test]
fn a_vendor_that_takes_few_calls_is_still_read() {
    let mut budget = budget(4);
    assert_eq!(budget.choose(T0, &[asks(Priority::Shop)]), Some(0));
    budget.begin(T0, 0, Priority::Shop);
    budget.end(T0, 0, Said::Answered);
    let next = budget.poll_timeout(T0, &[asks(Priority::Shop)]);
    assert_eq!(next, Some(after(15)));
}

#[test]
fn after_too_many_calls_everybody_waits_as_long_as_the_vendor_asks() {
    let mut budget = budget(600);
    budget.begin(T0, 1, Priority::List);
    let retry_after = Some(Span::from_secs(30));
    budget.end(T0, 1, Said::TooMany { retry_after });
    let waiting = [asks(Priority::Destroy), person()];
    assert_eq!(budget.choose(after(30), &waiting), None);
    let next = budget.poll_timeout(T0, &waiting).unwrap();
    assert!(next > after(30) && next <= after(40), "{next:?}");
    assert_eq!(budget.paused_until(T0), Some(next));
    assert_eq!(budget.choose(next, &waiting), Some(0));
    // One knocks, and the answer is for all.
    budget.begin(next, 2, Priority::Destroy);
    assert_eq!(budget.choose(next, &[asks(Priority::Destroy)]), None);
    budget.end(next, 2, Said::Answered);
    assert!(!budget.is_troubled());
    assert_eq!(budget.paused_until(next), None);
    assert_eq!(budget.choose(next, &waiting), Some(0));
}

#[test]
fn a_pause_that_makes_no_sense_is_replaced_or_cut() {
    for (asked, least, most) in [
        (None, 0, 1),
        (Some(0), 0, 1),
        (Some(30 * 365 * 86_400), 300, 310),
    ] {
        let mut budget = budget(600);
        budget.begin(T0, 1, Priority::Get);
        let retry_after = asked.map(Span::from_secs);
        budget.end(T0, 1, Said::TooMany { retry_after });
        let next = budget.poll_timeout(T0, &[asks(Priority::Get)]).unwrap();
        assert!(
            next > after(least) && next <= after(most),
            "{asked:?}: {next:?}"
        );
    }
}

#[test]
fn while_the_vendor_is_silent_reads_back_off_and_a_destroy_goes_every_five_seconds() {
    let mut budget = budget(600);
    let (mut reads, mut destroys) = (Vec::new(), Vec::new());
    let waiting = [
        asks(Priority::Destroy),
        asks(Priority::Create),
        asks(Priority::Get),
    ];
    for second in 0..600 {
        let now = after(second);
        while let Some(place) = budget.choose(now, &waiting) {
            budget.begin(now, 1, waiting[place].priority);
            budget.end(now, 1, Said::Nothing);
            if place == 0 {
                destroys.push(second);
            } else {
                reads.push(second);
            }
        }
    }
    assert!(destroys.windows(2).all(|pair| pair[1] - pair[0] == 5));
    assert_eq!(destroys.len(), 120);
    // After 1, 2, 4 … 60 seconds, each at least half of that: "destroys" that fail do not prolong it.
    assert!((15..30).contains(&reads.len()), "{reads:?}");
    assert!(reads.windows(2).all(|pair| pair[1] - pair[0] <= 61));
}

#[test]
fn calls_that_fail_together_count_once() {
    let mut budget = budget(600);
    for call in 0..3 {
        budget.begin(T0, call, Priority::Get);
    }
    let now = after(20);
    for call in 0..3 {
        budget.end(now, call, Said::Nothing);
    }
    assert_eq!(budget.record().silent.count, 1);
}

#[test]
fn a_person_who_asks_does_not_wait_for_a_vendor_that_is_silent_or_refuses_us() {
    for said in [Said::Nothing, Said::Refused] {
        let mut budget = budget(600);
        budget.begin(T0, 1, Priority::Get);
        budget.end(T0, 1, said);
        assert_eq!(
            budget.choose(T0, &[asks(Priority::Create), person()]),
            Some(1)
        );
    }
}

#[test]
fn a_refused_credential_is_asked_again_at_five_minutes_at_most() {
    let mut budget = budget(600);
    let mut knocks = Vec::new();
    for second in 0..3_600 {
        let now = after(second);
        while budget.choose(now, &[asks(Priority::List)]).is_some() {
            budget.begin(now, 1, Priority::List);
            budget.end(now, 1, Said::Refused);
            knocks.push(second);
        }
    }
    assert!(knocks.len() <= 30, "{knocks:?}");
    assert!(knocks.windows(2).all(|pair| pair[1] - pair[0] <= 301));
    budget.readmit();
    assert_eq!(
        budget.choose(after(3_600), &[asks(Priority::List)]),
        Some(0)
    );
}

#[test]
fn what_another_credential_is_told_says_nothing_of_this_one() {
    let mut budget = budget(600);
    budget.begin(T0, 1, Priority::Get);
    budget.end(T0, 1, Said::Refused);
    let before = budget.record();
    budget.begin(T0, 2, Priority::Shop);
    budget.end(T0, 2, Said::Aside);
    assert_eq!(budget.record(), before);
}

#[test]
fn a_pause_survives_in_its_record_and_a_clock_that_jumps_back_does_not_prolong_it() {
    let mut budget = budget(600);
    budget.begin(T0, 1, Priority::Get);
    let retry_after = Some(Span::from_secs(30));
    budget.end(T0, 1, Said::TooMany { retry_after });
    let mut reloaded = CallBudget::new(600, 7, budget.record(), T0);
    let waiting = [asks(Priority::Destroy)];
    assert_eq!(
        reloaded.poll_timeout(T0, &waiting),
        budget.poll_timeout(T0, &waiting)
    );
    let hour_ago = T0 - Span::from_secs(3_600);
    let next = reloaded.poll_timeout(hour_ago, &waiting).unwrap();
    assert!(next <= hour_ago + Span::from_secs(40), "{next:?}");
}

/// The checklist's P8.
#[test]
fn p8_a_hundred_accounts_that_lose_their_vendor_together_do_not_knock_in_step() {
    let mut knocks = std::collections::BTreeMap::<i64, u32>::new();
    for account in 0..100 {
        let salt = crate::backoff::salt(&format!("account/acme/acc_{account}"));
        let mut budget = CallBudget::new(60, salt, BudgetRecord::default(), T0);
        let mut now = T0;
        while now < after(1_200) {
            now = budget.poll_timeout(now, &[asks(Priority::List)]).unwrap();
            budget.begin(now, 1, Priority::List);
            budget.end(now, 1, Said::Nothing);
            if now > after(300) {
                *knocks.entry(now.since(T0).as_ms() / 100).or_default() += 1;
            }
        }
    }
    let all: u32 = knocks.values().sum();
    // A knock each 30 to 60 s of each: some 2 a second in all; and nowhere as many as five in a tenth of one.
    assert!((1_500..3_000).contains(&all), "{all}");
    assert!(knocks.values().all(|knocks| *knocks < 5), "{knocks:?}");
}

proptest! {
    /// Random calls come, go and end in every way; whatever happens, four at most are under way, and a
    /// "destroy" goes within a minute of the last thing that told everybody to wait.
    #[test]
    fn four_at_most_are_under_way_and_no_destroy_starves(
        steps in proptest::collection::vec((0..6_usize, 0..5_usize, 0..4_000_i64), 1..300),
        per_minute in 4..300_u32,
    ) {
        let mut budget = CallBudget::new(per_minute, 3, BudgetRecord::default(), T0);
        let mut now = T0;
        let mut waiting: Vec<Waiting> = Vec::new();
        let mut under_way: Vec<u64> = Vec::new();
        let mut number = 0;
        for (kind, ends, pause) in steps {
            now = now + Span::from_ms(pause);
            if !under_way.is_empty() {
                let said = [Said::Answered, Said::Nothing, Said::Refused, Said::Aside];
                if let Some(said) = said.get(ends) {
                    budget.end(now, under_way.remove(0), *said);
                }
            }
            waiting.push(Waiting { since: now, ..asks(Priority::ALL[kind]) });
            while let Some(place) = budget.choose(now, &waiting) {
                let call = waiting.remove(place);
                number += 1;
                budget.begin(now, number, call.priority);
                under_way.push(number);
                prop_assert!(under_way.len() <= MOST_UNDER_WAY);
            }
        }
        // The vendor goes on failing, and every call ends at once: each "destroy" still gets its turn.
        for call in under_way {
            budget.end(now, call, Said::Nothing);
        }
        let mut left = waiting.iter().filter(|call| call.priority == Priority::Destroy).count();
        let deadline = now + MINUTE.times(5 + i64::try_from(left).unwrap());
        while left > 0 {
            prop_assert!(now <= deadline, "{left} still wait");
            now = budget.poll_timeout(now, &waiting).unwrap().max(now + Span::from_ms(1));
            while let Some(place) = budget.choose(now, &waiting) {
                let call = waiting.remove(place);
                budget.begin(now, 0, call.priority);
                budget.end(now, 0, Said::Nothing);
                left -= usize::from(call.priority == Priority::Destroy);
            }
        }
        prop_assert!(waiting.iter().all(|call| call.priority != Priority::Destroy));
    }

    /// Reads are not starved by machines that are being given back without end.
    #[test]
    fn a_read_goes_although_destroys_never_stop_coming(per_minute in 4..300_u32) {
        let mut budget = CallBudget::new(per_minute, 3, BudgetRecord::default(), T0);
        let mut now = T0;
        let read = asks(Priority::List);
        for step in 0.. {
            prop_assert!(step < 20_000, "the read is starved");
            let destroy = Waiting { since: now, ..asks(Priority::Destroy) };
            match budget.choose(now, &[destroy, read]) {
                Some(1) => break,
                Some(_) => {
                    budget.begin(now, 1, Priority::Destroy);
                    budget.end(now, 1, Said::Answered);
                }
                None => now = budget.poll_timeout(now, &[destroy, read]).unwrap(),
            }
        }
    }
}
