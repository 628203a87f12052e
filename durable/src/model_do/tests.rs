use super::*;
use crate::driver::{Driver, Host};
use crate::testkit::{Seeded, Store};
use crate::turn::Turn;

const START_MS: i64 = 1_800_000_000_000;

/// One model, evicted at will.
struct World {
    store: Store,
    entropy: Seeded,
    driver: Option<Driver<Model>>,
    now_ms: i64,
}

impl World {
    fn new() -> Self {
        Self {
            store: Store::new(),
            entropy: Seeded::new(1),
            driver: None,
            now_ms: START_MS,
        }
    }

    fn turn(
        &mut self,
        run: impl FnOnce(&mut Driver<Model>, &Host<'_>) -> Result<Turn, TurnError>,
    ) -> Turn {
        let host = Host {
            sql: &self.store,
            entropy: &self.entropy,
            now: Timestamp::from_ms(self.now_ms),
        };
        let name = ObjectName::model("acme", "meta/llama");
        let driver = self
            .driver
            .get_or_insert_with(|| Driver::open(&host, name).unwrap());
        run(driver, &host).unwrap()
    }

    fn call(&mut self, command: &ModelCommand) -> Turn {
        let message = serde_json::to_string(command).unwrap();
        self.turn(|driver, host| driver.call(host, &message))
    }

    /// Waits for server `a`; arrived `n` ms after the start.
    fn wait(&mut self, n: i64) -> Turn {
        self.call(&wait(n, 1_000))
    }

    fn free(&mut self, free: u32) -> Turn {
        self.call(&ModelCommand::SlotFree {
            instance: "a".to_owned(),
            free,
            grants: None,
        })
    }

    fn alarm(&mut self) -> Turn {
        self.turn(|driver, host| driver.alarm(host))
    }
}

fn wait(n: i64, max_waiting: u32) -> ModelCommand {
    ModelCommand::Wait {
        request: format!("r{n}"),
        priority: 0,
        arrived_at_ms: START_MS + n,
        deadline_ms: START_MS + 600_000,
        candidates: vec!["a".to_owned()],
        max_waiting,
    }
}

fn ticket_of(turn: &Turn) -> Ticket {
    let Some(Reply::Later(ticket)) = turn.reply else {
        panic!("not a poll: {turn:?}");
    };
    ticket
}

fn said(turn: &Turn) -> WaitAnswer {
    let Some(Reply::Now(text)) = &turn.reply else {
        panic!("no answer yet: {turn:?}");
    };
    serde_json::from_str(text).unwrap()
}

/// What the turn answers to earlier polls.
fn resolved(turn: &Turn) -> Vec<(Ticket, WaitAnswer)> {
    let answers = turn.effects.iter().filter_map(|effect| match effect {
        turn::Effect::Resolve { ticket, reply } => {
            Some((*ticket, serde_json::from_str(reply).unwrap()))
        }
        turn::Effect::Send { .. }
        | turn::Effect::Get { .. }
        | turn::Effect::Post { .. }
        | turn::Effect::Vendor(_)
        | turn::Effect::Soon { .. } => None,
    });
    answers.collect()
}

/// What the turn asks of servers.
fn demands(turn: &Turn) -> Vec<(String, InstanceCommand)> {
    let sent = turn.effects.iter().filter_map(|effect| match effect {
        turn::Effect::Send { to, message, .. } => {
            Some((to.to_string(), serde_json::from_str(message).unwrap()))
        }
        turn::Effect::Resolve { .. }
        | turn::Effect::Get { .. }
        | turn::Effect::Post { .. }
        | turn::Effect::Vendor(_)
        | turn::Effect::Soon { .. } => None,
    });
    sent.collect()
}

fn go() -> WaitAnswer {
    WaitAnswer::Go {
        instance: "a".to_owned(),
    }
}

#[test]
fn a_poll_is_answered_when_a_slot_frees_and_nothing_is_ever_written() {
    let mut world = World::new();
    let first = world.wait(1);
    let demand = InstanceCommand::Demand {
        model: "meta/llama".to_owned(),
        until_ms: START_MS + 30_000,
    };
    assert_eq!(demands(&first), [("instance/acme/a".to_owned(), demand)]);
    assert_eq!(first.alarm_at_ms, Some(START_MS + 10_000));
    let second = world.wait(2);
    assert_eq!(second.effects, []);
    let freed = world.free(1);
    assert_eq!(resolved(&freed), [(ticket_of(&first), go())]);
    assert_eq!(freed.effects.len(), 1);
    assert_eq!(freed.reply, Some(Reply::Now("{}".to_owned())));
    assert_eq!(freed.alarm_at_ms, Some(START_MS + 1_000));
    let same = world.free(1);
    assert_eq!(same.effects, []);
    world.now_ms += 1_000;
    let passed_on = world.alarm();
    assert_eq!(resolved(&passed_on), [(ticket_of(&second), go())]);
    assert_eq!(world.alarm().effects, []);
    assert_eq!(world.store.rows_written(), 0);
}

#[test]
fn a_thousand_waiters_and_one_slot_resolve_exactly_one_poll() {
    let mut world = World::new();
    let first = world.wait(0);
    for n in 1..1_000 {
        assert_eq!(world.wait(n).effects, []);
    }
    assert_eq!(resolved(&world.free(1)), [(ticket_of(&first), go())]);
    assert_eq!(world.free(1).effects, []);
}

#[test]
fn room_that_was_just_reported_is_used_at_once() {
    let mut world = World::new();
    assert_eq!(world.free(1).effects, []);
    let turn = world.wait(1);
    assert_eq!(said(&turn), go());
    assert_eq!(turn.effects, []);
}

#[test]
fn a_full_list_answers_at_once_with_when_to_come_again() {
    let mut world = World::new();
    world.wait(1);
    let turn = world.call(&wait(2, 1));
    assert_eq!(
        said(&turn),
        WaitAnswer::Full {
            retry_after_ms: 2_000
        }
    );
    assert_eq!(turn.effects, []);
}

#[test]
fn asking_twice_answers_the_first_poll_and_keeps_the_second() {
    let mut world = World::new();
    let first = world.wait(1);
    let second = world.wait(1);
    assert_eq!(resolved(&second), [(ticket_of(&first), WaitAnswer::Again)]);
    assert_eq!(resolved(&world.free(1)), [(ticket_of(&second), go())]);
}

#[test]
fn polls_end_by_alarm_which_may_be_early_late_or_twice() {
    let mut world = World::new();
    let poll = world.wait(1);
    world.now_ms += 9_999;
    let early = world.alarm();
    assert_eq!(early.effects, []);
    assert_eq!(early.alarm_at_ms, Some(START_MS + 10_000));
    world.now_ms = START_MS + 3_600_000;
    let late = world.alarm();
    assert_eq!(
        resolved(&late).len(),
        1,
        "past its deadline it is told that it is too late"
    );
    assert!(matches!(
        resolved(&late).first(),
        Some((ticket, WaitAnswer::Full { .. })) if *ticket == ticket_of(&poll)
    ));
    let twice = world.alarm();
    assert_eq!((twice.effects, twice.alarm_at_ms), (vec![], None));
}

#[test]
fn who_gives_up_is_answered_and_forgotten() {
    let mut world = World::new();
    let poll = world.wait(1);
    let give_up = ModelCommand::GiveUp {
        request: "r1".to_owned(),
    };
    let turn = world.call(&give_up);
    assert_eq!(resolved(&turn), [(ticket_of(&poll), WaitAnswer::Again)]);
    assert_eq!(world.call(&give_up).effects, []);
    assert_eq!(world.free(1).effects, []);
}

#[test]
fn after_an_eviction_the_order_is_that_of_arrival_again() {
    let mut world = World::new();
    for n in 1..=3 {
        world.wait(n);
    }
    world.driver = None;
    assert_eq!(world.alarm().effects, [], "the old alarm still rings");
    let third = world.wait(3);
    assert_eq!(demands(&third).len(), 1, "who waits says so again");
    let first = world.wait(1);
    let second = world.wait(2);
    let freed = world.free(2);
    assert_eq!(
        resolved(&freed),
        [(ticket_of(&first), go()), (ticket_of(&second), go())]
    );
}

#[test]
fn a_message_of_the_release_before_is_still_read() {
    let mut world = World::new();
    let poll = world.wait(1);
    let message = r#"{"command":"slot_free","instance":"a","free":1}"#;
    let turn = world.turn(|driver, host| driver.call(host, message));
    assert_eq!(resolved(&turn), [(ticket_of(&poll), go())]);
}
