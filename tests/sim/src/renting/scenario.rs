//! What a seed stands for: which vendors with which moods and tricks, who rents what, and which faults.
//!
//! Invariant: a vendor keeps what it promises in its `Capability` (a machine is in every list after the list's
//! lag, two whole lists in a row do not both lie): beyond that nobody could tell a lie from the truth.

use tidegate_durable::bindings::ledger::Period;

use crate::faults::Faults;
use crate::rng::Rng;

/// 2026-11-21 10:00:00 UTC.
const START_MS: i64 = 1_795_255_200_000;
/// 2026-11-21 23:40:00 UTC: the audit of such a run is kept in two journals.
const NEAR_MIDNIGHT_MS: i64 = START_MS + (13 * 60 + 40) * MINUTE;
/// Milliseconds.
pub const MINUTE: i64 = 60_000;

/// Whose ways a pretend vendor has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// RunPod's: no idempotency, lists that lag, public endpoints, bills.
    RunPod,
    /// EC2's: the same token is the same machine; no public endpoint, a minute at least, machines call home.
    Aws,
}

impl Vendor {
    /// Its name in records.
    pub const fn name(self) -> &'static str {
        match self {
            Self::RunPod => "runpod",
            Self::Aws => "aws",
        }
    }
}

/// How a vendor is for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mood {
    /// Nothing it is asked is answered, and little of it is done.
    Out,
    /// Slow, with errors before and after the deed, and lists that are old, empty or in parts.
    Sick,
    /// Too many calls, it says.
    Busy,
    /// It lets nobody in.
    Locked,
    /// It has nothing to rent.
    Full,
}

/// What a vendor does now and then, in thousandths of what it may do it to.
#[derive(Clone, Debug, Default)]
pub struct Tricks {
    /// Calls that never arrive.
    pub call_lost: u32,
    /// Answers that never arrive.
    pub answer_lost: u32,
    /// A "create" that never arrives.
    pub create_lost: u32,
    /// A "create" that is done and whose answer never arrives.
    pub create_answer_lost: u32,
    /// A "create" that is answered with 500 and done.
    pub create_failed_but_did: u32,
    /// A "create" that is refused and done.
    pub create_refused_but_did: u32,
    /// A "create" that makes two.
    pub create_twice: u32,
    /// A "create" that arrives long after anybody waits for it.
    pub create_late: u32,
    /// A "create" that is refused for want of machines.
    pub no_capacity: u32,
    /// A "create" that is refused for a quota.
    pub no_quota: u32,
    /// Machines that never come up.
    pub never_boots: u32,
    /// Machines that come up with fewer GPUs.
    pub boots_short: u32,
    /// Machines that end by themselves.
    pub crashes: u32,
    /// Machines whose server never gets ready.
    pub never_serves: u32,
    /// Machines that take minutes to end, once they are told to.
    pub ends_slowly: u32,
    /// Machines that do not end before all faults have.
    pub never_ends: u32,
    /// Orders to end that are accepted and forgotten.
    pub end_ignored: u32,
    /// Machines that are hidden from lists for a while.
    pub list_lags: u32,
    /// Machines that cost something else than was offered.
    pub other_price: u32,
    /// Machines whose price changes.
    pub price_changes: u32,
    /// Machines that are said to be in a state that nobody knows.
    pub odd_state: u32,
    /// Spot machines that are taken back.
    pub preempts: u32,
    /// A "start" that is refused for want of GPUs.
    pub start_refused: u32,
    /// A "stop" that is refused for good.
    pub stop_refused: u32,
    /// Entries of a list that come twice.
    pub doubles: u32,
}

/// A customer account at a vendor.
#[derive(Clone, Debug)]
pub struct TenantPlan {
    /// Which vendor.
    pub vendor: Vendor,
    /// Moods by the millisecond at which they begin and end, from the start of the run.
    pub moods: Vec<(i64, i64, Mood)>,
    /// Tricks.
    pub tricks: Tricks,
    /// Entries of a page of its lists.
    pub page: usize,
    /// Calls a minute that it takes.
    pub calls_per_minute: i64,
}

/// A budget to begin with.
#[derive(Clone, Debug)]
pub struct BudgetPlan {
    /// `organisation`, or `project/{name}`.
    pub scope: &'static str,
    /// Over which time.
    pub period: Period,
    /// Micro-dollars.
    pub cap: u64,
}

/// A launch.
#[derive(Clone, Debug)]
pub struct LaunchPlan {
    /// When, from the start of the run.
    pub at: i64,
    /// In which organisation.
    pub org: usize,
    /// The project that pays.
    pub project: Option<&'static str>,
    /// Offers: at which customer account, at which price, as spot or not.
    pub offers: Vec<(usize, u64, bool)>,
    /// After so long without a request it ends.
    pub idle_ms: Option<i64>,
    /// Then it stops.
    pub idle_stops: bool,
    /// After so long it ends in any case.
    pub max_lifetime_ms: i64,
    /// A stop window begins so long after the launch, and lasts ten minutes.
    pub window_in: Option<i64>,
    /// Its reservation ends so long after the launch.
    pub until_in: Option<i64>,
    /// Its machines are told to call home.
    pub calls_home: bool,
    /// Its server has a preload hook.
    pub preloads: bool,
    /// Mean time between two requests to it; 0 for none.
    pub request_every_ms: i64,
}

/// A seed's meaning.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// When it begins.
    pub start_ms: i64,
    /// How long faults last.
    pub faults_ms: i64,
    /// Organisations.
    pub orgs: usize,
    /// Customer accounts, by index; the accounts of every organisation stand for one of them each.
    pub tenants: Vec<TenantPlan>,
    /// Budgets of the first organisation.
    pub budgets: Vec<BudgetPlan>,
    /// Launches.
    pub launches: Vec<LaunchPlan>,
    /// Mean time between two things that the operator does; 0 for never.
    pub change_every_ms: i64,
    /// Mean time between two things that are done in a vendor's console; 0 for never.
    pub console_every_ms: i64,
    /// The vendor falls silent as soon as a budget is nearly spent.
    pub out_at_cap: bool,
    /// Clocks differ by at most so much.
    pub skew_ms: i64,
    /// Faults of the platform.
    pub faults: Faults,
}

impl Scenario {
    /// The seed's.
    pub fn draw(rng: &mut Rng) -> Self {
        let start_ms = if rng.chance(60) {
            NEAR_MIDNIGHT_MS
        } else {
            START_MS + rng.range(0, 299_999)
        };
        let faults_ms = rng.pick(&[14, 22, 30, 40, 55]) * MINUTE + rng.range(0, MINUTE);
        let vendors: &[Vendor] = rng.pick(&[
            &[Vendor::RunPod, Vendor::Aws] as &[Vendor],
            &[Vendor::RunPod, Vendor::Aws],
            &[Vendor::RunPod],
            &[Vendor::Aws],
        ]);
        let tenants: Vec<TenantPlan> = vendors
            .iter()
            .map(|vendor| tenant(rng, *vendor, faults_ms))
            .collect();
        let orgs = if rng.chance(150) { 2 } else { 1 };
        let count = rng.pick(&[1, 1, 2, 2, 3]);
        let launches: Vec<LaunchPlan> = (0..count)
            .map(|number| launch(rng, number, orgs, &tenants, faults_ms))
            .collect();
        let budgets = budgets(rng, &launches, faults_ms, start_ms == NEAR_MIDNIGHT_MS);
        Self {
            start_ms,
            faults_ms,
            orgs,
            tenants,
            out_at_cap: !budgets.is_empty() && rng.chance(300),
            budgets,
            launches,
            change_every_ms: rng.pick(&[0, 4, 8]) * MINUTE,
            console_every_ms: rng.pick(&[0, 0, 6, 15]) * MINUTE,
            skew_ms: rng.pick(&[0, 20, 300, 2_000]),
            faults: faults(rng),
        }
    }
}

fn tenant(rng: &mut Rng, vendor: Vendor, faults_ms: i64) -> TenantPlan {
    let mut moods = Vec::new();
    let mut at = rng.range(0, 8 * MINUTE);
    let is_moody = rng.chance(650);
    while is_moody && at < faults_ms {
        let mood = rng.pick(&[
            Mood::Out,
            Mood::Out,
            Mood::Sick,
            Mood::Sick,
            Mood::Busy,
            Mood::Locked,
            Mood::Full,
        ]);
        let lasts = match mood {
            Mood::Out => rng.pick(&[20_000, 90_000, 4 * MINUTE, 11 * MINUTE, 16 * MINUTE]),
            Mood::Sick => rng.pick(&[MINUTE, 5 * MINUTE, 12 * MINUTE]),
            Mood::Busy | Mood::Full => rng.pick(&[30_000, 2 * MINUTE, 5 * MINUTE]),
            Mood::Locked => rng.pick(&[MINUTE, 6 * MINUTE]),
        };
        moods.push((at, (at + lasts).min(faults_ms), mood));
        at += lasts + rng.range(MINUTE, 15 * MINUTE);
    }
    TenantPlan {
        vendor,
        moods,
        tricks: tricks(rng, vendor),
        page: rng.pick(&[1, 2, 100, 100]),
        calls_per_minute: match vendor {
            Vendor::RunPod => 60,
            Vendor::Aws => 120,
        },
    }
}

fn tricks(rng: &mut Rng, vendor: Vendor) -> Tricks {
    // Each kind in a part of the runs only: a run with all of them hides what one of them does.
    let mut sometimes = |odds: u32, values: &[u32]| {
        if rng.chance(odds) {
            rng.pick(values)
        } else {
            0
        }
    };
    let is_pod = u32::from(vendor == Vendor::RunPod);
    Tricks {
        call_lost: sometimes(250, &[10, 40]),
        answer_lost: sometimes(250, &[10, 40]),
        create_lost: sometimes(120, &[300, 1_000]),
        create_answer_lost: sometimes(200, &[300, 1_000]),
        create_failed_but_did: sometimes(120, &[300, 1_000]),
        create_refused_but_did: sometimes(60, &[500]) * is_pod,
        create_twice: sometimes(120, &[500, 1_000]) * is_pod,
        create_late: sometimes(80, &[500, 1_000]) * is_pod,
        no_capacity: sometimes(200, &[300, 1_000]),
        no_quota: sometimes(60, &[500]),
        never_boots: sometimes(80, &[500, 1_000]),
        boots_short: sometimes(100, &[500, 1_000]) * is_pod,
        crashes: sometimes(100, &[300, 1_000]),
        never_serves: sometimes(60, &[500, 1_000]),
        ends_slowly: sometimes(200, &[300, 1_000]),
        never_ends: sometimes(80, &[300, 1_000]),
        end_ignored: sometimes(120, &[300, 700]),
        list_lags: sometimes(400, &[300, 1_000]),
        other_price: sometimes(150, &[500]) * is_pod,
        price_changes: sometimes(100, &[500]) * is_pod,
        odd_state: sometimes(100, &[50, 200]),
        preempts: sometimes(400, &[500, 1_000]) * (1 - is_pod),
        start_refused: sometimes(150, &[500]),
        stop_refused: sometimes(80, &[500]),
        doubles: sometimes(200, &[300]),
    }
}

fn launch(
    rng: &mut Rng,
    number: i64,
    orgs: usize,
    tenants: &[TenantPlan],
    faults_ms: i64,
) -> LaunchPlan {
    let org = if orgs > 1 && number > 0 {
        rng.index(orgs)
    } else {
        0
    };
    let at = if number > 0 && rng.chance(250) {
        // Beside the one before.
        100
    } else {
        rng.range(0, faults_ms * 2 / 3)
    };
    let offers = (0..rng.range(1, 4))
        .map(|_| {
            let tenant = rng.index(tenants.len());
            let is_spot = tenants[tenant].vendor == Vendor::Aws && rng.chance(400);
            // Whole micro-dollars a second, so that no rounding hides a difference.
            (
                tenant,
                rng.pick(&[360_000, 720_000, 1_800_000, 3_600_000]),
                is_spot,
            )
        })
        .collect();
    LaunchPlan {
        at,
        org,
        project: rng.pick(&[None, Some("blue"), Some("red")]),
        offers,
        idle_ms: rng
            .chance(350)
            .then(|| rng.pick(&[3 * MINUTE, 8 * MINUTE, 20 * MINUTE])),
        idle_stops: rng.chance(500),
        max_lifetime_ms: rng.pick(&[12 * MINUTE, 35 * MINUTE, 12 * 60 * MINUTE]),
        window_in: rng.chance(120).then(|| rng.range(2 * MINUTE, 20 * MINUTE)),
        until_in: rng.chance(100).then(|| rng.range(8 * MINUTE, 30 * MINUTE)),
        calls_home: rng.chance(850),
        preloads: rng.chance(200),
        request_every_ms: rng.pick(&[0, 20_000, 60_000]),
    }
}

/// Caps near what the launches cost, so that they bind in the middle of a run.
fn budgets(
    rng: &mut Rng,
    launches: &[LaunchPlan],
    faults_ms: i64,
    is_near_midnight: bool,
) -> Vec<BudgetPlan> {
    if !rng.chance(550) {
        return Vec::new();
    }
    let rate: u64 = launches
        .iter()
        .filter(|launch| launch.org == 0)
        .filter_map(|launch| launch.offers.first())
        .map(|(_, rate, _)| *rate)
        .sum();
    let whole = rate * u64::try_from(faults_ms / 1_000).unwrap_or(0) / 3_600;
    let mut budgets = Vec::new();
    for scope in ["organisation", "project/blue"] {
        if scope == "organisation" || rng.chance(400) {
            let periods: &[Period] = if is_near_midnight {
                &[Period::Month, Period::Total]
            } else {
                &[Period::Day, Period::Month, Period::Total]
            };
            budgets.push(BudgetPlan {
                scope,
                period: rng.pick(periods),
                cap: whole * rng.pick(&[5_u64, 20, 35, 60, 100]) / 100 + 1,
            });
        }
    }
    budgets
}

fn faults(rng: &mut Rng) -> Faults {
    let mut sometimes = |odds: u32, values: &[u32]| {
        if rng.chance(odds) {
            rng.pick(values)
        } else {
            0
        }
    };
    let mut faults = Faults {
        message_lost: sometimes(250, &[5, 30, 100]),
        reply_lost: sometimes(250, &[5, 30, 100]),
        delivered_twice: sometimes(250, &[50, 300]),
        message_late: sometimes(250, &[5, 30]),
        evicted_in_turn: sometimes(300, &[2, 10, 30]),
        store_fails: sometimes(200, &[2, 10]),
        alarm_lost: sometimes(250, &[20, 100]),
        alarm_twice: sometimes(250, &[100]),
        alarm_late: sometimes(250, &[100, 500]),
        ..Faults::default()
    };
    if rng.chance(400) {
        faults.evict_every_ms = rng.pick(&[15_000, 60_000, 240_000]);
    }
    if rng.chance(350) {
        faults.disk_ms = rng.pick(&[2, 15, 200]);
    }
    if rng.chance(100) {
        faults.clock_jump_every_ms = 5 * MINUTE;
        faults.clock_jump_ms = rng.pick(&[500, 3_000]);
    }
    faults
}
