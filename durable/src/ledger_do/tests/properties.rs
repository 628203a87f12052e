//! Random lives: statements late, twice and out of order, advances, budgets, jumps of the clock. Beside the
//! object that stays in memory goes a twin that is evicted before every message: nobody can tell them apart.

use proptest::prelude::*;

use super::*;
use crate::bindings::ledger::Entry;
use crate::ports::Row;
use tidegate_domain::money::Window;

#[derive(Clone, Debug)]
enum Step {
    Pass(i64),
    Advance {
        who: usize,
        rate: u64,
        hold: i64,
    },
    /// The same advance as this one's last.
    Repeat {
        who: usize,
    },
    Change {
        who: usize,
        change: Change,
    },
    /// A statement that is under way arrives, and maybe again later.
    Deliver {
        which: usize,
        stays: bool,
    },
    Budget {
        scope: usize,
        period: Period,
        cap: u64,
    },
    NoBudget {
        scope: usize,
    },
    Alarm,
}

#[derive(Clone, Debug)]
enum Change {
    Rate(u64),
    Share { payer: usize, more: u64 },
    Close { ago: i64 },
    Reopen,
    Bill(Option<u64>),
    Void(bool),
}

const SCOPES: [&str; 4] = ["organisation", "project/p", "key/k0", "key/k1"];
const TABLES: [&str; 5] = ["windows", "postings", "opening", "budgets", "meta"];

fn step() -> impl Strategy<Value = Step> {
    let rate = prop_oneof![Just(3_600_000_u64), 1..20_000_000_u64];
    let change = prop_oneof![
        2 => (0..9_000_000_u64).prop_map(Change::Rate),
        4 => (0..3_usize, 0..200_000_u64).prop_map(|(payer, more)| Change::Share { payer, more }),
        3 => (0..600_000_i64).prop_map(|ago| Change::Close { ago }),
        1 => Just(Change::Reopen),
        1 => proptest::option::of(0..2_000_000_u64).prop_map(Change::Bill),
        1 => any::<bool>().prop_map(Change::Void),
    ];
    let period = prop_oneof![Just(Period::Day), Just(Period::Month), Just(Period::Total)];
    prop_oneof![
        4 => prop_oneof![
            8 => 0..900_000_i64,
            1 => -600_000..0_i64,
            1 => 0..40 * 24 * HOUR,
        ].prop_map(Step::Pass),
        5 => (0..4_usize, rate, 0..1_200_000_i64)
            .prop_map(|(who, rate, hold)| Step::Advance { who, rate, hold }),
        1 => (0..4_usize).prop_map(|who| Step::Repeat { who }),
        6 => (0..4_usize, change).prop_map(|(who, change)| Step::Change { who, change }),
        6 => (0..8_usize, proptest::bool::weighted(0.2))
            .prop_map(|(which, stays)| Step::Deliver { which, stays }),
        2 => (0..4_usize, period, 1..6_000_000_u64)
            .prop_map(|(scope, period, cap)| Step::Budget { scope, period, cap }),
        1 => (0..4_usize).prop_map(|scope| Step::NoBudget { scope }),
        1 => Just(Step::Alarm),
    ]
}

/// The object, and its twin.
struct Pair {
    stays: Rig<Ledger>,
    evicted: Rig<Ledger>,
}

impl Pair {
    fn both<T: PartialEq + std::fmt::Debug>(
        &mut self,
        mut act: impl FnMut(&mut Rig<Ledger>) -> T,
    ) -> T {
        self.evicted.evict();
        let (one, other) = (act(&mut self.stays), act(&mut self.evicted));
        assert_eq!(one, other);
        let rows = |rig: &Rig<Ledger>| -> Vec<Vec<Row>> {
            let all = TABLES.map(|table| rig.rows(&format!("SELECT * FROM {table} ORDER BY 1, 2")));
            all.into()
        };
        assert_eq!(rows(&self.stays), rows(&self.evicted));
        one
    }

    fn pass(&mut self, ms: i64) {
        let now = tidegate_domain::time::Timestamp::from_ms(self.stays.now.as_ms() + ms);
        self.stays.now = now;
        self.evicted.now = now;
    }
}

/// What the instances know, and what the ledger was told of it.
struct World {
    pair: Pair,
    lives: Vec<WindowStatement>,
    asked: Vec<Advance>,
    under_way: Vec<WindowStatement>,
    heard: BTreeMap<String, WindowStatement>,
    went_back: bool,
}

impl World {
    fn new() -> Self {
        let life = |who: usize| WindowStatement {
            project: (who < 2).then(|| "p".to_owned()),
            account: ["runpod", "aws"][who % 2].to_owned(),
            minimum_ms: [0, 60_000][who % 2],
            step_ms: [1, 1_000][who % 2],
            segments: vec![],
            ..statement(&format!("i{who}"), 0, 0)
        };
        let lives: Vec<_> = (0..4).map(life).collect();
        let asked = lives.iter().map(|life| Advance {
            project: life.project.clone(),
            ..advance(&life.instance, 0)
        });
        Self {
            asked: asked.collect(),
            pair: Pair {
                stays: ledger(),
                evicted: ledger(),
            },
            lives,
            under_way: vec![],
            heard: BTreeMap::new(),
            went_back: false,
        }
    }

    fn now(&self) -> i64 {
        self.pair.stays.now.as_ms()
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Pass(ms) => {
                self.went_back |= ms < 0;
                self.pair.pass(ms);
            }
            Step::Advance { who, rate, hold } => {
                let asked = &mut self.asked[who];
                asked.number += 1;
                asked.microusd_per_hour = rate;
                asked.hold_ms = hold;
                let asked = asked.clone();
                let (answer, _) = self.pair.both(|rig| ask(rig, asked.clone()));
                if let AdvanceAnswer::Advanced { .. } = answer {
                    self.is_within_caps(&asked);
                }
            }
            Step::Repeat { who } => {
                let asked = self.asked[who].clone();
                if asked.number > 0 {
                    let before = self.pair.both(views);
                    self.pair.both(|rig| ask(rig, asked.clone()).0);
                    assert_eq!(self.pair.both(views), before);
                }
            }
            Step::Change { who, change } => self.change(who, change),
            Step::Deliver { which, stays } => {
                if self.under_way.is_empty() {
                    return;
                }
                let which = which % self.under_way.len();
                let statement = if stays {
                    self.under_way[which].clone()
                } else {
                    self.under_way.remove(which)
                };
                self.deliver(statement);
            }
            Step::Budget { scope, period, cap } => {
                self.pair
                    .both(|rig| set(rig, SCOPES[scope], budget(period, cap)).0);
            }
            Step::NoBudget { scope } => {
                self.pair.both(|rig| {
                    let (answer, effects): (BudgetAnswer, _) = rig.call(&delete(SCOPES[scope]));
                    rig.deliver(&effects);
                    answer
                });
            }
            Step::Alarm => self.pair.both(|rig| {
                let turn = rig.alarm();
                rig.deliver(&turn.effects);
            }),
        }
    }

    fn change(&mut self, who: usize, change: Change) {
        let now = self.now();
        let life = &mut self.lives[who];
        match change {
            Change::Rate(microusd_per_hour) => life.segments.push(SegmentRow {
                from_ms: now,
                microusd_per_hour,
            }),
            Change::Share { payer, more } => {
                let payer = format!("key/k{payer}");
                *life.shares.entry(payer).or_default() += more;
            }
            Change::Close { ago } => life.until_ms = Some(now - ago),
            Change::Reopen => life.until_ms = None,
            Change::Bill(billed) => life.billed_microusd = billed,
            Change::Void(void) => life.void = void,
        }
        life.revision += 1;
        self.under_way.push(life.clone());
    }

    fn deliver(&mut self, statement: WindowStatement) {
        self.pair.both(|rig| state(rig, statement.clone()));
        let known = self.heard.get(&statement.window);
        if known.is_none_or(|known| known.revision < statement.revision) {
            self.heard.insert(statement.window.clone(), statement);
        }
    }

    /// What was let through is within every budget that binds it.
    fn is_within_caps(&mut self, asked: &Advance) {
        for view in self.pair.both(views) {
            // A key's budget binds on what its requests used, never on a window.
            let project = view.scope.strip_prefix("project/");
            let binds = view.scope == "organisation"
                || project.is_some_and(|it| asked.project.as_deref() == Some(it));
            let committed = view.spent_microusd + view.held_microusd;
            if let Some(cap) = view.budget.cap_microusd.filter(|_| binds) {
                assert!(committed <= cap, "{view:?}");
            }
        }
    }

    /// The books of each window are what its newest statement comes to.
    fn is_booked(&mut self) {
        let (page, _): (EntriesAnswer, _) = self.pair.stays.call(&LedgerCommand::Entries {
            limit: 500,
            before: None,
            instance: None,
        });
        if page.next_before.is_some() {
            return;
        }
        books(&mut self.pair.stays);
        let keys = views(&mut self.pair.stays).into_iter();
        let keys = keys.filter(|view| view.scope.starts_with("key/") && !self.went_back);
        for view in keys {
            let share = format!("share/{}", view.scope);
            let counted = page
                .entries
                .iter()
                .filter(|it| it.at_ms >= view.period_from_ms);
            let gained: i64 = counted.map(|it| sum_into(it, &share)).sum();
            assert_eq!(view.spent_microusd, u64::try_from(gained).unwrap_or(0));
        }
        for (name, statement) in &self.heard {
            let booked = booked(&page.entries, name);
            let of = |account: &str| booked.get(account).copied().unwrap_or_default();
            let window = Window::from(statement);
            let gpu = of(&format!("gpu/{}", statement.instance));
            let idle = of(&format!("idle/{}", statement.instance));
            let used: i64 = booked
                .iter()
                .filter(|(account, _)| account.starts_with("share/"))
                .map(|(_, sum)| *sum)
                .sum();
            let cost = -of(&format!("vendor/{}", statement.account));
            assert!(
                booked
                    .iter()
                    .all(|(account, sum)| *sum >= 0 || account.starts_with("vendor/")),
                "{booked:?}"
            );
            assert!(used <= cost);
            if window.is_open() {
                assert_eq!(idle, 0);
            } else {
                assert_eq!(gpu, 0, "{name}: {booked:?}");
                assert_eq!(u64::try_from(cost).unwrap(), window.total());
                assert_eq!(used + idle, cost);
            }
        }
    }
}

fn sum_into(entry: &Entry, account: &str) -> i64 {
    let sum = i64::try_from(entry.microusd).unwrap();
    match account {
        it if it == entry.debit => sum,
        it if it == entry.credit => -sum,
        _ => 0,
    }
}

/// What the postings of a window come to, by account.
fn booked<'a>(entries: &'a [Entry], window: &str) -> BTreeMap<&'a str, i64> {
    let mut sums = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.window == window) {
        let sum = i64::try_from(entry.microusd).unwrap();
        *sums.entry(entry.debit.as_str()).or_default() += sum;
        *sums.entry(entry.credit.as_str()).or_default() -= sum;
    }
    sums
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn books_and_caps_hold_whatever_comes_in_whatever_order(
        steps in proptest::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new();
        for step in steps {
            world.run(step);
            world.is_booked();
        }
        // In the end all of it arrives, in any order, and everything closes.
        for who in 0..world.lives.len() {
            world.change(who, Change::Close { ago: 0 });
        }
        for statement in std::mem::take(&mut world.under_way).into_iter().rev() {
            world.deliver(statement);
        }
        world.is_booked();
        let total: u64 = world.lives.iter().map(|life| Window::from(life).total()).sum();
        let vendors: i64 = balances(&mut world.pair.stays)
            .iter()
            .filter(|(account, _)| account.starts_with("vendor/"))
            .map(|(_, sum)| -sum)
            .sum();
        prop_assert_eq!(u64::try_from(vendors).unwrap(), total);
        prop_assert_eq!(books(&mut world.pair.stays).open, []);
        // What the budgets say is spent, once nothing runs any more.
        world.pair.pass(2 * HOUR);
        let all = budget(Period::Total, 1_000_000_000_000_000);
        let (view, _) = world.pair.both(|rig| set(rig, "organisation", all.clone()));
        prop_assert_eq!((view.spent_microusd, view.held_microusd), (total, 0));
        for payer in ["key/k0", "key/k1"] {
            let share = format!("share/{payer}");
            let (view, _) = world.pair.both(|rig| set(rig, payer, all.clone()));
            let found = balances(&mut world.pair.stays).into_iter().find(|it| it.0 == share);
            let gained = found.map_or(0, |(_, sum)| u64::try_from(sum).unwrap());
            prop_assert_eq!(view.spent_microusd, gained);
        }
    }
}
