//! What a seed stands for: how many servers and isolates, which numbers, which faults, when.

use tidegate_durable::bindings::fleet::{ReliabilityPolicy, Strategy};
use tidegate_durable::bindings::key::KeyLimits;

use super::model_server::Mode;
use crate::faults::Faults;
use crate::rng::Rng;

/// 2026-11-21 10:00:00 UTC.
pub const START_MS: i64 = 1_795_255_200_000;
/// 2026-11-21 23:58:30 UTC: the audit of such a run is kept in two journals.
const NEAR_MIDNIGHT_MS: i64 = START_MS + (13 * 3600 + 58 * 60 + 30) * 1000;

/// Faults around the objects.
#[derive(Clone, Debug, Default)]
pub struct Outside {
    /// Milliseconds between losses of an isolate; 0 for never.
    pub isolate_lost_every_ms: i64,
    /// When the registry cannot be reached.
    pub fleet_out: Option<(i64, i64)>,
}

/// One server to register.
#[derive(Clone, Debug)]
pub struct ServerPlan {
    /// Requests at once.
    pub capacity: u32,
    /// Requests waiting.
    pub queue: u32,
    /// Modes by the millisecond at which they begin, from the start of the run.
    pub modes: Vec<(i64, Mode)>,
}

/// A seed's meaning.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// When it begins.
    pub start_ms: i64,
    /// How long faults last.
    pub faults_ms: i64,
    /// Servers.
    pub servers: Vec<ServerPlan>,
    /// Isolates.
    pub isolates: usize,
    /// The policy at the start.
    pub policy: ReliabilityPolicy,
    /// Limits of each key.
    pub keys: Vec<KeyLimits>,
    /// Mean time between two requests.
    pub request_every_ms: i64,
    /// How clients name the model's servers, if not by the model itself.
    pub strategy: Option<Strategy>,
    /// Clients that leave early, in thousandths.
    pub leaving: u32,
    /// Clients that read slowly, in thousandths.
    pub slow_readers: u32,
    /// Mean time between two administrative changes; 0 for none.
    pub change_every_ms: i64,
    /// Clocks differ by at most so much.
    pub skew_ms: i64,
    /// Faults of the platform.
    pub faults: Faults,
    /// Faults around it.
    pub outside: Outside,
}

impl Scenario {
    /// The seed's.
    pub fn draw(rng: &mut Rng) -> Self {
        let start_ms = if rng.chance(60) {
            NEAR_MIDNIGHT_MS
        } else {
            START_MS + rng.range(0, 59_999)
        };
        let faults_ms = rng.range(35_000, 100_000);
        let count = rng.pick(&[1_usize, 2, 2, 3, 3, 4]);
        // One in five is a fleet-wide fault: everything is ejected, and panic is the way back.
        let together = rng.chance(200).then(|| modes(rng, faults_ms));
        let servers = (0..count)
            .map(|_| ServerPlan {
                capacity: u32::try_from(rng.range(1, 3)).unwrap_or(1),
                queue: u32::try_from(rng.range(0, 2)).unwrap_or(0),
                modes: together.clone().unwrap_or_else(|| modes(rng, faults_ms)),
            })
            .collect();
        let mut keys = vec![KeyLimits::default()];
        if rng.chance(400) {
            keys.push(KeyLimits {
                requests_per_minute: rng
                    .chance(600)
                    .then(|| u64::try_from(rng.range(5, 30)).unwrap_or(5)),
                tokens_per_minute: rng.chance(300).then_some(2_000),
                concurrency: rng
                    .chance(600)
                    .then(|| u32::try_from(rng.range(1, 4)).unwrap_or(1)),
            });
        }
        let mut scenario = Self {
            start_ms,
            faults_ms,
            servers,
            isolates: rng.pick(&[1, 2, 2, 3]),
            policy: policy(rng),
            keys,
            request_every_ms: rng.pick(&[250, 400, 800, 1_500]),
            strategy: rng.chance(400).then(|| {
                rng.pick(&[
                    Strategy::RoundRobin,
                    Strategy::Latency,
                    Strategy::Cost,
                    Strategy::Weighted,
                    Strategy::PrefixAffinity,
                ])
            }),
            leaving: rng.pick(&[0, 50, 200]),
            slow_readers: rng.pick(&[0, 50, 200]),
            change_every_ms: rng.pick(&[0, 0, 10_000, 30_000]),
            skew_ms: rng.pick(&[0, 20, 300]),
            faults: Faults::default(),
            outside: Outside::default(),
        };
        (scenario.faults, scenario.outside) = faults(rng, faults_ms);
        scenario
    }
}

fn modes(rng: &mut Rng, faults_ms: i64) -> Vec<(i64, Mode)> {
    const MODES: [Mode; 13] = [
        Mode::Well,
        Mode::Slow,
        Mode::Hang,
        Mode::Down,
        Mode::Reset,
        Mode::Cut,
        Mode::Stall,
        Mode::Broken,
        Mode::Busy,
        Mode::Rubbish,
        Mode::ChecksFail,
        Mode::Any,
        Mode::Flapping,
    ];
    let mut at = 0;
    let mut modes = Vec::new();
    while at < faults_ms {
        let mode = if rng.chance(400) {
            Mode::Well
        } else {
            rng.pick(&MODES)
        };
        modes.push((at, mode));
        at += rng.range(5_000, 40_000);
    }
    modes.push((faults_ms, Mode::Well));
    modes
}

fn policy(rng: &mut Rng) -> ReliabilityPolicy {
    // Shorter than in service, so that a run of two minutes meets every timer.
    ReliabilityPolicy {
        version: 0,
        first_token_timeout_ms: rng.pick(&[4_000, 8_000]),
        idle_timeout_ms: rng.pick(&[5_000, 8_000]),
        total_timeout_ms: rng.pick(&[20_000, 45_000, 90_000]),
        max_retries: rng.pick(&[0, 1, 2, 2]),
        hedge: rng.chance(700),
        hedge_min_ms: 300,
        hedge_initial_ms: 800,
        eject_after_consecutive_failures: rng.pick(&[2, 3, 5]),
        eject_failure_percent: 50,
        eject_min_requests: rng.pick(&[5, 20]),
        ejection_base_ms: rng.pick(&[2_000, 5_000]),
        ejection_cap_ms: 20_000,
        retry_budget_percent: 20,
        queue_timeout_ms: rng.pick(&[500, 2_000, 5_000]),
        max_waiting_per_model: rng.pick(&[0, 2, 50]),
        model_wait_ms: rng.pick(&[2_000, 10_000, 30_000]),
        health_interval_ms: rng.pick(&[10_000, 60_000]),
        health_timeout_ms: 3_000,
        unhealthy_after: rng.pick(&[1, 2, 3]),
        healthy_after: rng.pick(&[1, 2]),
    }
}

fn faults(rng: &mut Rng, faults_ms: i64) -> (Faults, Outside) {
    // Each kind in a part of the runs only: a run with all of them hides what one of them does.
    let mut sometimes = |odds: u32, values: &[u32]| {
        if rng.chance(odds) {
            rng.pick(values)
        } else {
            0
        }
    };
    let mut faults = Faults {
        message_lost: sometimes(300, &[5, 30, 100]),
        reply_lost: sometimes(300, &[5, 30, 100]),
        delivered_twice: sometimes(300, &[50, 300]),
        message_late: sometimes(300, &[5, 30]),
        evicted_in_turn: sometimes(300, &[1, 5, 20]),
        store_fails: sometimes(200, &[2, 10]),
        alarm_lost: sometimes(300, &[50, 300]),
        alarm_twice: sometimes(300, &[100]),
        alarm_late: sometimes(300, &[100, 500]),
        ..Faults::default()
    };
    faults.evict_every_ms = if rng.chance(500) {
        rng.pick(&[400, 2_000, 8_000])
    } else {
        0
    };
    faults.disk_ms = if rng.chance(400) {
        rng.pick(&[2, 15, 200])
    } else {
        0
    };
    let isolate_lost_every_ms = if rng.chance(300) {
        rng.pick(&[8_000, 30_000])
    } else {
        0
    };
    let mut outside = Outside {
        isolate_lost_every_ms,
        ..Outside::default()
    };
    faults.clock_jump_every_ms = if rng.chance(100) { 20_000 } else { 0 };
    faults.clock_jump_ms = rng.pick(&[500, 3_000]);
    if rng.chance(150) {
        let begin = rng.range(5_000, faults_ms - 20_000);
        outside.fleet_out = Some((begin, begin + rng.range(4_000, 15_000)));
    }
    (faults, outside)
}
