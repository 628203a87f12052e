//! `tidegate-sim [--world W] [--runs N] [--seed S] [--only-seed X [--trace]]`: a batch of runs of each world, or
//! of the one that is named; or one run.
//!
//! Kept regressions go first, then N seeds from S on. The first property that fails ends the batch with the
//! seed, the last events and the one command that shows it again. A batch also fails when it never met
//! one of the situations that it is there for.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]
#![expect(
    clippy::disallowed_methods,
    reason = "a native program that tells how long it took"
)]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use tidegate_sim::{Report, Situations, Which};

/// Shown of a run that fails.
const LAST_LINES: usize = 60;
/// Below this many runs rare situations may be missing by chance.
const ENOUGH_RUNS: u64 = 1_000;

const USAGE: &str =
    "usage: tidegate-sim [--world gateway|renting] [--runs N] [--seed S] [--only-seed X [--trace]]";

struct Options {
    worlds: Vec<Which>,
    runs: u64,
    seed: u64,
    only: Option<u64>,
    trace: bool,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("{reason}\n{USAGE}");
            return ExitCode::FAILURE;
        }
    };
    for world in &options.worlds {
        let is_well = match options.only {
            Some(seed) => one(*world, seed, options.trace),
            None => batch(*world, &options),
        };
        if !is_well {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        worlds: Which::ALL.to_vec(),
        runs: 1_000,
        seed: 1,
        only: None,
        trace: false,
    };
    while let Some(name) = arguments.next() {
        let mut value = || {
            arguments
                .next()
                .ok_or_else(|| format!("{name} needs a value"))
        };
        match name.as_str() {
            "--world" => {
                let name = value()?;
                let mut worlds = Which::ALL.into_iter();
                let world = worlds.find(|world| world.name() == name);
                options.worlds = vec![world.ok_or_else(|| format!("there is no world {name}"))?];
            }
            "--runs" => options.runs = number(&name, &value()?)?,
            "--seed" => options.seed = number(&name, &value()?)?,
            "--only-seed" => options.only = Some(number(&name, &value()?)?),
            "--trace" => options.trace = true,
            other => return Err(format!("there is no option {other}")),
        }
    }
    Ok(options)
}

fn number(name: &str, value: &str) -> Result<u64, String> {
    value
        .parse()
        .map_err(|_| format!("{name} needs a number, not {value}"))
}

fn one(world: Which, seed: u64, trace: bool) -> bool {
    let report = world.run(seed, if trace { usize::MAX } else { 0 });
    for line in &report.trace {
        println!("{line}");
    }
    let Report {
        events,
        guests,
        virtual_ms,
        digest,
        ..
    } = report;
    println!(
        "{}, seed {seed}: {events} events, {guests} guests, {virtual_ms} virtual ms, digest {digest:016x}",
        world.name()
    );
    if let Some(violation) = &report.violation {
        println!(
            "does not hold: {}\n  {}",
            violation.property, violation.seen
        );
    }
    report.violation.is_none()
}

fn batch(world: Which, options: &Options) -> bool {
    let regressions = world
        .regressions()
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok());
    let seeds: Vec<u64> = regressions
        .chain(options.seed..options.seed.saturating_add(options.runs))
        .collect();
    let began = Instant::now();
    let (next, events) = (AtomicU64::new(0), AtomicU64::new(0));
    let stop = AtomicBool::new(false);
    let situations = Mutex::new(Situations::default());
    let failed: Mutex<Option<Report>> = Mutex::new(None);
    let work = || {
        let mut met = Situations::default();
        while !stop.load(Ordering::Relaxed) {
            let done = next.fetch_add(1, Ordering::Relaxed);
            let Some(seed) = usize::try_from(done)
                .ok()
                .and_then(|index| seeds.get(index))
            else {
                break;
            };
            let report = world.run(*seed, 0);
            events.fetch_add(report.events, Ordering::Relaxed);
            met.add(&report.situations);
            if report.violation.is_some() {
                stop.store(true, Ordering::Relaxed);
                if let Ok(mut failed) = failed.lock() {
                    failed.get_or_insert(report);
                }
            }
            if done > 0 && done % 1_000 == 0 {
                println!("{done} runs, {:.1} s", began.elapsed().as_secs_f64());
            }
        }
        if let Ok(mut situations) = situations.lock() {
            situations.add(&met);
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    if let Ok(Some(report)) = failed.into_inner() {
        show(world, &report, next.load(Ordering::Relaxed));
        return false;
    }
    let (seconds, events) = (
        began.elapsed().as_secs_f64(),
        events.load(Ordering::Relaxed),
    );
    println!(
        "{}: {} runs, {events} events, {seconds:.1} s",
        world.name(),
        seeds.len()
    );
    covered(
        world,
        &situations.into_inner().unwrap_or_default(),
        options.runs,
    )
}

fn show(world: Which, report: &Report, done: u64) {
    let seed = report.seed;
    for line in world.run(seed, LAST_LINES).trace {
        println!("{line}");
    }
    if let Some(violation) = &report.violation {
        println!(
            "\nseed {seed}, after {done} runs, does not hold: {}\n  {}",
            violation.property, violation.seen
        );
    }
    println!(
        "again: cargo xtask sim --world {} --only-seed {seed} --trace",
        world.name()
    );
}

fn covered(world: Which, situations: &Situations, runs: u64) -> bool {
    for situation in world.situations() {
        println!("{:>10}  {situation}", situations.count(situation));
    }
    let missing = situations.missing(world.situations());
    if missing.is_empty() || runs < ENOUGH_RUNS {
        return true;
    }
    println!("\nnever met, so nothing is proven about it: {missing:?}");
    false
}
