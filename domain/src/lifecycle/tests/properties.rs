//! Whatever happens, in whatever order.

use proptest::prelude::*;

use super::*;

/// One thing that may happen, at some distance.
#[derive(Clone, Debug)]
enum Step {
    Wait(i64),
    Advanced,
    Denied,
    Hear(u8, i64),
    Absent(bool),
    Call(u8),
    Warm(bool),
    Use(u32),
    Command(u8),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0_i64..2_000).prop_map(Step::Wait),
        4 => Just(Step::Advanced),
        1 => Just(Step::Denied),
        6 => (0_u8..16, -30_i64..30).prop_map(|(what, off)| Step::Hear(what, off)),
        2 => any::<bool>().prop_map(Step::Absent),
        1 => (0_u8..3).prop_map(Step::Call),
        3 => any::<bool>().prop_map(Step::Warm),
        2 => (0_u32..3).prop_map(Step::Use),
        1 => (0_u8..5).prop_map(Step::Command),
    ];
    proptest::collection::vec(step, 1..60)
}

fn seen_of(what: u8) -> Option<Seen> {
    [
        Seen::Pending,
        Seen::Running,
        Seen::Stopping,
        Seen::Stopped,
        Seen::Terminating,
        Seen::Terminated,
        Seen::Failed,
        Seen::Unknown,
    ]
    .get(usize::from(what))
    .copied()
}

impl World {
    fn perform(&mut self, step: &Step) -> Vec<Effect> {
        let attempt = self.rental.attempt();
        match step {
            Step::Wait(secs) => self.wait(Span::from_secs(*secs)),
            Step::Advanced => {
                let number = self.rental.record().advance.number;
                let until = self.now + Span::from_secs(361);
                self.handle(Event::Advanced { number, until })
            }
            Step::Denied => {
                let number = self.rental.record().advance.number;
                self.handle(Event::AdvanceDenied { number })
            }
            Step::Hear(what, off) => {
                let at =
                    self.now + Span::from_secs((*off).max(0)) - Span::from_secs((-*off).max(0));
                let fact = match seen_of(*what) {
                    Some(seen) => Fact::Seen(Sighting {
                        at,
                        ..self.sighting(seen)
                    }),
                    None => match what {
                        8 => Fact::CreateSent,
                        9 => Fact::CreateRefused(Refusal::Unavailable),
                        10 => Fact::CreateUnclear,
                        11 => Fact::Withdrawn,
                        12 => Fact::Taken(Action::Destroy),
                        13 => Fact::Refused(Action::Stop, Refusal::Never),
                        14 => Fact::Refused(Action::Start, Refusal::NotNow),
                        _ => Fact::Billed(7),
                    },
                };
                self.handle(Event::Heard { attempt, at, fact })
            }
            Step::Absent(in_list) => {
                let asked_at = self.now;
                self.hear(Fact::NotSeen {
                    asked_at,
                    in_list: *in_list,
                    last_seen: None,
                })
            }
            Step::Call(what) => {
                let says = match what {
                    0 => Says::Booted,
                    1 => Says::Alive,
                    _ => Says::Preempting,
                };
                self.handle(Event::Called { attempt, says })
            }
            Step::Warm(ok) => match self.rental.state() {
                State::Warming(step) => self.handle(Event::Warmed { step, ok: *ok }),
                _ => Vec::new(),
            },
            Step::Use(busy) => {
                let last = Some(self.now);
                self.handle(Event::Used(Usage { busy: *busy, last }))
            }
            Step::Command(which) => {
                let command = match which {
                    0 => Command::Start,
                    1 => Command::Stop,
                    2 => Command::Drain,
                    3 => Command::Resume,
                    _ => Command::Terminate,
                };
                self.handle(Event::Commanded(command))
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn no_timer_is_due_for_ever_and_a_repeated_tick_does_nothing(steps in steps()) {
        let mut world = World::with(vec![PUBLIC, PUBLIC], ends());
        for step in &steps {
            world.perform(step);
            let due = world.rental.poll_timeout();
            prop_assert!(due.is_none_or(|due| due > world.now), "{:?} {:?}", world.rental.state(), world.rental.timers());
            prop_assert_eq!(world.tick(), []);
        }
    }

    #[test]
    fn it_rents_only_what_is_paid_for_and_each_attempt_once(steps in steps()) {
        let mut world = World::with(vec![PUBLIC, PUBLIC, PUBLIC], ends());
        let mut rented = Vec::new();
        for step in &steps {
            for effect in world.perform(step) {
                if let Effect::Rent { attempt, candidate } = effect {
                    prop_assert!(matches!(step, Step::Advanced));
                    rented.push((attempt, candidate));
                }
            }
        }
        let sorted: std::collections::BTreeSet<(u32, u32)> = rented.iter().copied().collect();
        prop_assert_eq!(sorted.len(), rented.len());
    }

    #[test]
    fn what_was_sent_is_over_only_by_a_definite_no_or_the_vendors_word(steps in steps()) {
        let mut world = World::with(vec![PUBLIC], ends());
        for step in &steps {
            let before = world.rental.state();
            world.perform(step);
            let after = world.rental.state();
            if before.is_over() || !after.is_over() || before == State::Requested {
                continue;
            }
            let by_a_fact = matches!(step, Step::Hear(..) | Step::Absent(_));
            prop_assert!(by_a_fact, "{before:?} → {after:?} by {step:?}");
            let open = world.rental.current().is_some_and(|it| it.costs.is_open());
            prop_assert!(!open, "it is over and its window is open");
        }
    }

    #[test]
    fn a_machine_that_was_seen_alive_has_an_open_window(steps in steps()) {
        let mut world = World::with(vec![PUBLIC, PUBLIC], ends());
        for step in &steps {
            world.perform(step);
            let alive = world.rental.record().machine.is_some() && !world.rental.state().is_over();
            let open = world.rental.current().is_some_and(|it| it.costs.is_open());
            prop_assert!(!alive || open, "{:?}", world.rental.record());
        }
    }

    #[test]
    fn a_restart_in_between_changes_nothing(steps in steps()) {
        let mut world = World::with(vec![PUBLIC, PUBLIC], ends());
        let mut twin = World::with(vec![PUBLIC, PUBLIC], ends());
        for step in &steps {
            let usage = twin.rental.usage();
            let record = twin.rental.record().clone();
            twin.rental = Lifecycle::restore(vec![PUBLIC, PUBLIC], ends(), false, record, twin.now);
            twin.rental.usage = usage;
            prop_assert_eq!(world.perform(step), twin.perform(step));
        }
    }
}
