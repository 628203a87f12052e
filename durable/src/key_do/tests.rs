mod visitors;

use proptest::prelude::*;

use super::*;
use crate::bindings::ObjectName;
use crate::bindings::key::KeySettled;
use crate::driver::{Driver, Host};
use crate::ports::Sql;
use crate::testkit::{Seeded, Store};
use crate::turn::Turn;

const START_MS: i64 = 1_800_000_000_000;

/// One key on a real database, evicted at will.
struct World {
    store: Store,
    entropy: Seeded,
    driver: Option<Driver<Key>>,
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

    fn evict(&mut self) {
        self.driver = None;
    }

    fn turn(
        &mut self,
        run: impl FnOnce(&mut Driver<Key>, &Host<'_>) -> Result<Turn, TurnError>,
    ) -> Result<Turn, TurnError> {
        let host = Host {
            sql: &self.store,
            entropy: &self.entropy,
            now: Timestamp::from_ms(self.now_ms),
        };
        self.store.begin();
        let opened = match self.driver.take() {
            Some(driver) => Ok(driver),
            None => Driver::open(&host, ObjectName::key("acme", "k1")),
        };
        let turned = opened.map_err(TurnError::from).and_then(|mut driver| {
            let turn = run(&mut driver, &host)?;
            Ok((driver, turn))
        });
        match turned {
            Ok((driver, turn)) => {
                self.store.commit();
                self.driver = Some(driver);
                Ok(turn)
            }
            Err(error) => {
                self.store.rollback();
                Err(error)
            }
        }
    }

    fn call(&mut self, command: &KeyCommand) -> Result<Turn, TurnError> {
        let message = serde_json::to_string(command).unwrap();
        self.turn(|driver, host| driver.call(host, &message))
    }

    fn alarm(&mut self) -> Turn {
        self.turn(|driver, host| driver.alarm(host)).unwrap()
    }

    fn admit(&mut self, request: &str, limits: KeyLimits, reserve_tokens: u64) -> KeyAnswer {
        let turn = self.call(&admit(request, limits, reserve_tokens)).unwrap();
        answer(&turn)
    }

    fn settle(&mut self, request: &str, used_tokens: u64, refund: bool) {
        let turn = self.call(&settle(request, used_tokens, refund)).unwrap();
        assert_eq!(turn.reply, Some(Reply::Now("{}".to_owned())));
        assert_eq!(turn.effects, []);
    }

    fn rows(&self) -> i64 {
        let count = || Sql::exec(&self.store, "SELECT COUNT(*) FROM charges", &[]);
        // A failure that waits for the next statement is not for this one.
        // Where the very first turn failed there is no table.
        let Ok(rows) = count().or_else(|_| count()) else {
            return 0;
        };
        rows[0][0].as_integer().unwrap()
    }
}

fn admit(request: &str, limits: KeyLimits, reserve_tokens: u64) -> KeyCommand {
    KeyCommand::Admit {
        request: request.to_owned(),
        limits,
        reserve_tokens,
        visitor: None,
        settled: Vec::new(),
    }
}

fn settle(request: &str, used_tokens: u64, refund: bool) -> KeyCommand {
    KeyCommand::Settle {
        request: request.to_owned(),
        used_tokens,
        refund,
        visitor: None,
    }
}

fn answer(turn: &Turn) -> KeyAnswer {
    let Some(Reply::Now(text)) = &turn.reply else {
        panic!("no answer in {turn:?}");
    };
    serde_json::from_str(text).unwrap()
}

fn limits(requests: u64, tokens: u64, concurrency: u32) -> KeyLimits {
    KeyLimits {
        requests_per_minute: Some(requests),
        tokens_per_minute: Some(tokens),
        concurrency: Some(concurrency),
    }
}

fn is_allowed(answer: &KeyAnswer) -> bool {
    matches!(answer, KeyAnswer::Allowed { .. })
}

#[test]
fn an_admission_tells_what_is_left_and_a_denial_which_limit_and_how_long() {
    let mut world = World::new();
    let two = limits(2, 100, 5);
    let windows = |requests, tokens, reset_ms| KeyWindows {
        requests: Some(Window {
            limit: 2,
            remaining: requests,
            reset_ms,
        }),
        tokens: Some(Window {
            limit: 100,
            remaining: tokens,
            reset_ms,
        }),
    };
    let turn = world.call(&admit("r1", two, 60)).unwrap();
    let allowed = KeyAnswer::Allowed {
        windows: windows(1, 40, 60_000),
    };
    assert_eq!(answer(&turn), allowed);
    assert_eq!(turn.effects, []);
    assert_eq!(turn.alarm_at_ms, Some(START_MS + 120_000));

    world.now_ms += 1_000;
    let denied = |limit: &str, retry_after_ms, never_fits| KeyAnswer::Denied {
        limit: limit.to_owned(),
        retry_after_ms,
        never_fits,
        windows: windows(1, 40, 59_000),
    };
    assert_eq!(world.admit("r2", two, 41), denied("tokens", 59_000, false));
    assert_eq!(world.admit("r2", two, 101), denied("tokens", 0, true));
    let turn = world.call(&admit("r2", two, 40)).unwrap();
    assert!(is_allowed(&answer(&turn)));
    assert_eq!(turn.alarm_at_ms, None, "one that rings early is harmless");
}

#[test]
fn the_write_budget_is_one_row_in_and_one_row_out_and_none_for_a_denial() {
    let mut world = World::new();
    let two = limits(2, 1_000_000, 2);
    let mut written = world.store.rows_written();
    let mut budget = |world: &World, rows: u64, what: &str| {
        assert_eq!(world.store.rows_written() - written, rows, "{what}");
        written = world.store.rows_written();
    };
    world.admit("r1", two, 10);
    budget(&world, 1, "admission");
    world.admit("r1", two, 10);
    budget(&world, 0, "the same again");
    let renew = KeyCommand::Renew {
        request: "r1".to_owned(),
        visitor: None,
    };
    world.now_ms += 20_000;
    world.call(&renew).unwrap();
    budget(&world, 1, "renewal");
    world.settle("r1", 99, false);
    budget(&world, 1, "end, with overuse");
    world.settle("r1", 99, false);
    world.settle("unheard-of", 5, true);
    budget(&world, 0, "ends that change nothing");
    world.admit("r2", two, 10);
    world.settle("r2", 0, true);
    budget(&world, 2, "admission and refund");
    world.admit("r3", two, 10);
    budget(&world, 1, "admission");
    assert!(!is_allowed(&world.admit("r4", two, 10)));
    budget(&world, 0, "denial");
    world.evict();
    assert!(!is_allowed(&world.admit("r4", two, 10)));
    budget(&world, 0, "denial after an eviction");
}

#[test]
fn a_busy_key_uses_its_rows_again_instead_of_deleting_them() {
    let mut world = World::new();
    let many = limits(1_000, 1_000_000, 100);
    let before = world.store.rows_written();
    for n in 0..2_000 {
        let request = format!("r{n}");
        assert!(is_allowed(&world.admit(&request, many, 10)));
        world.settle(&request, 10, false);
        world.now_ms += 1_000;
    }
    assert_eq!(world.store.rows_written() - before, 4_000);
    assert!(world.rows() <= 62, "{} rows", world.rows());
}

#[test]
fn an_idle_key_removes_its_rows_whether_the_alarm_is_early_late_or_twice() {
    let mut world = World::new();
    let two = limits(2, 100, 5);
    world.admit("r1", two, 10);
    world.now_ms += 1;
    let early = world.alarm();
    assert_eq!(early.alarm_at_ms, Some(START_MS + 120_000));
    world.now_ms += 100_000;
    world.admit("r2", two, 10);
    world.now_ms = START_MS + 120_000;
    let used_since = world.alarm();
    assert_eq!(used_since.alarm_at_ms, Some(START_MS + 220_001));
    assert_eq!(world.rows(), 1);
    world.evict();
    world.now_ms += 3_600_000;
    let late = world.alarm();
    assert_eq!((late.alarm_at_ms, late.effects), (None, vec![]));
    assert_eq!(world.rows(), 0);
    let written = world.store.rows_written();
    assert_eq!(world.alarm().alarm_at_ms, None);
    assert_eq!(world.store.rows_written(), written);
    assert!(is_allowed(&world.admit("r3", two, 100)));
}

#[test]
fn an_eviction_forgets_neither_charges_nor_leases_nor_overuse() {
    let mut world = World::new();
    let all = limits(3, 100, 1);
    assert!(is_allowed(&world.admit("r1", all, 10)));
    world.evict();
    let turn = world.call(&admit("r2", all, 10)).unwrap();
    let busy = matches!(answer(&turn), KeyAnswer::Denied { limit, .. } if limit == "concurrency");
    assert!(busy);
    assert_eq!(turn.alarm_at_ms, Some(START_MS + 120_000));
    world.evict();
    world.now_ms += 1_000;
    world.settle("r1", 90, false);
    world.evict();
    assert!(!is_allowed(&world.admit("r2", all, 20)));
    assert!(is_allowed(&world.admit("r2", all, 10)));
    world.evict();
    assert!(is_allowed(&world.admit("r2", all, 10)), "the same request");
    world.settle("r2", 10, false);
    world.evict();
    world.now_ms = START_MS + 60_000;
    // The reservation of the first one is a minute old, its overuse of 80 a second younger.
    assert!(!is_allowed(&world.admit("r3", all, 11)));
    assert!(is_allowed(&world.admit("r3", all, 10)));
}

#[test]
fn a_clock_that_goes_back_over_an_eviction_neither_helps_nor_blocks() {
    let mut world = World::new();
    let one = limits(1, 100, 5);
    assert!(is_allowed(&world.admit("r1", one, 10)));
    world.now_ms -= 3_600_000;
    for _ in 0..59 {
        world.evict();
        assert!(!is_allowed(&world.admit("r2", one, 10)));
        world.now_ms += 1_000;
    }
    world.now_ms += 1_000;
    assert!(is_allowed(&world.admit("r2", one, 10)));
}

#[test]
fn a_turn_that_fails_at_any_statement_charges_once_in_the_end() {
    for statement in 0..12 {
        let mut world = World::new();
        let two = limits(2, 100, 5);
        assert!(is_allowed(&world.admit("r1", two, 10)));
        world.evict();
        world.store.fail_after(statement);
        let message = admit("r2", two, 90);
        let tries = (0..3).find(|_| world.call(&message).is_ok());
        assert!(tries.is_some());
        world.store.fail_after(u32::MAX);
        let KeyAnswer::Allowed { windows } = world.admit("r2", two, 90) else {
            panic!("refused after a failure at statement {statement}");
        };
        let left = (windows.requests, windows.tokens);
        let none = |w: Option<Window>| w.map(|w| w.remaining) == Some(0);
        assert!(none(left.0) && none(left.1), "{left:?}");
        assert_eq!(world.rows(), 2);
    }
}

#[test]
fn what_is_no_message_of_a_key_is_refused() {
    let mut world = World::new();
    let refused = world.turn(|driver, host| driver.call(host, r#"{"command":"dance"}"#));
    assert!(matches!(refused, Err(TurnError::Message { .. })));
}

#[test]
fn the_charge_record_v1_is_unchanged() {
    let mut world = World::new();
    world.call(&admit("r0", limits(9, 99, 9), 1)).unwrap();
    world.evict();
    let sql = "INSERT INTO charges (slot, request, admitted_at_ms, tokens, lease_until_ms, over_at_ms, \
               over_tokens) VALUES (7, 'r7', 1799999999000, 30, 1800000059000, NULL, NULL), \
               (8, 'r8', 1799999999000, 40, NULL, 1799999999500, 20)";
    Sql::exec(&world.store, sql, &[]).unwrap();
    let KeyAnswer::Allowed { windows } = world.admit("r7", limits(9, 99, 2), 30) else {
        panic!("a known request was refused");
    };
    assert_eq!(windows.requests.map(|w| w.remaining), Some(6));
    assert_eq!(windows.tokens.map(|w| w.remaining), Some(8));
    assert!(!is_allowed(&world.admit("r9", limits(9, 99, 2), 1)));
}

#[derive(Clone, Debug)]
enum Step {
    Admit { lost: bool },
    AdmitAgain { ago: usize },
    End { ago: usize, used: u64, refund: bool },
    Evict,
    Break { after: u32 },
    Alarm,
}

fn steps() -> impl Strategy<Value = Vec<(i64, Step)>> {
    let ago = 0..6_usize;
    let step = prop_oneof![
        8 => any::<bool>().prop_map(|lost| Step::Admit { lost }),
        2 => ago.clone().prop_map(|ago| Step::AdmitAgain { ago }),
        3 => (ago, 0..15_u64, any::<bool>())
            .prop_map(|(ago, used, refund)| Step::End { ago, used, refund }),
        1 => Just(Step::Evict),
        1 => (0..8_u32).prop_map(|after| Step::Break { after }),
        1 => Just(Step::Alarm),
    ];
    let passed = prop_oneof![6 => 0..500_i64, 1 => 5_000..30_000_i64, 1 => 58_000..60_500_i64];
    proptest::collection::vec((passed, step), 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Many isolates, answers that get lost and are asked for again, failing writes, evictions.
    #[test]
    fn limits_are_exact_across_isolates_and_evictions(steps in steps()) {
        let four = limits(4, 30, 3);
        let mut world = World::new();
        let mut granted: Vec<(String, i64, bool)> = Vec::new();
        let mut asked: Vec<String> = Vec::new();
        for (passed, step) in steps {
            world.now_ms += passed;
            let nth = |ago: usize| asked.len().checked_sub(ago + 1).map(|n| asked[n].clone());
            match step {
                Step::Admit { lost } => {
                    let request = format!("r{}", asked.len());
                    asked.push(request.clone());
                    let at = world.now_ms;
                    let Ok(turn) = world.call(&admit(&request, four, 10)) else { continue };
                    if is_allowed(&answer(&turn)) {
                        granted.push((request, at, false));
                    }
                    if lost {
                        world.evict();
                    }
                }
                Step::AdmitAgain { ago } => {
                    let Some(request) = nth(ago) else { continue };
                    let at = world.now_ms;
                    let known = granted.iter().any(|(r, since, refunded)| {
                        *r == request && !refunded && at - since < 60_000
                    });
                    let Ok(turn) = world.call(&admit(&request, four, 10)) else { continue };
                    if is_allowed(&answer(&turn)) && !known {
                        granted.push((request, at, false));
                    }
                }
                Step::End { ago, used, refund } => {
                    let Some(request) = nth(ago) else { continue };
                    let before = world.rows();
                    if world.call(&settle(&request, used, refund)).is_ok()
                        && refund
                        && world.rows() < before
                    {
                        for one in granted.iter_mut().filter(|one| one.0 == request) {
                            one.2 = true;
                        }
                    }
                }
                Step::Evict => world.evict(),
                Step::Break { after } => world.store.fail_after(after),
                Step::Alarm => {
                    let _ = world.turn(|driver, host| driver.alarm(host));
                }
            }
        }
        let counted: Vec<i64> =
            granted.iter().filter(|one| !one.2).map(|one| one.1).collect();
        for end in &counted {
            let span = counted.iter().filter(|at| *at <= end && **at > end - 60_000);
            prop_assert!(span.count() <= 4);
        }
    }
}

#[test]
fn fifty_callers_at_once_get_exactly_the_limit() {
    let mut world = World::new();
    let exact = limits(60, 1_000_000, 1_000);
    let mut allowed = 0;
    for round in 0..10 {
        for caller in 0..50 {
            let request = format!("c{caller}-{round}");
            if is_allowed(&world.admit(&request, exact, 1)) {
                allowed += 1;
                world.settle(&request, 1, false);
            }
            world.now_ms += 10;
            if caller % 7 == 0 {
                world.evict();
            }
        }
    }
    assert_eq!(allowed, 60, "five seconds, one minute's worth");
}

#[test]
fn what_rides_on_an_admission_is_settled_before_it_and_once() {
    let one = KeyLimits {
        concurrency: Some(1),
        ..KeyLimits::default()
    };
    let riding = |request: &str, ended: &str| KeyCommand::Admit {
        request: request.to_owned(),
        limits: one,
        reserve_tokens: 0,
        visitor: None,
        settled: vec![KeySettled {
            request: ended.to_owned(),
            used_tokens: 3,
            visitor: None,
        }],
    };
    let ask = |world: &mut World, command: &KeyCommand| answer(&world.call(command).unwrap());
    let mut world = World::new();
    assert!(matches!(
        ask(&mut world, &admit("a", one, 0)),
        KeyAnswer::Allowed { .. }
    ));
    assert!(matches!(
        ask(&mut world, &admit("b", one, 0)),
        KeyAnswer::Denied { .. }
    ));
    assert!(matches!(
        ask(&mut world, &riding("b", "a")),
        KeyAnswer::Allowed { .. }
    ));
    // A call that was lost brings the same again.
    assert!(matches!(
        ask(&mut world, &riding("b", "a")),
        KeyAnswer::Allowed { .. }
    ));
    assert!(matches!(
        ask(&mut world, &admit("c", one, 0)),
        KeyAnswer::Denied { .. }
    ));
    let old = r#"{"command":"admit","request":"d","limits":{},"reserve_tokens":0}"#;
    let read: KeyCommand = serde_json::from_str(old).unwrap();
    assert_eq!(read, admit("d", KeyLimits::default(), 0));
}
