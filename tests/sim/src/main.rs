//! `tidegate-sim [--runs N] [--seed S] [--only-seed X [--trace]]`: a batch of runs, or one of them.
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

use tidegate_sim::{Report, Situation, Situations, run};

/// Failing seeds that led to a change, each with why.
const REGRESSIONS: &str = include_str!("../regressions.txt");
/// Shown of a run that fails.
const LAST_LINES: usize = 60;
/// Below this many runs rare situations may be missing by chance.
const ENOUGH_RUNS: u64 = 1_000;

struct Options {
    runs: u64,
    seed: u64,
    only: Option<u64>,
    trace: bool,
}

fn main() -> ExitCode {
    let options = match options(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!(
                "{reason}\nusage: tidegate-sim [--runs N] [--seed S] [--only-seed X [--trace]]"
            );
            return ExitCode::FAILURE;
        }
    };
    if let Some(seed) = options.only {
        return one(seed, options.trace);
    }
    let regressions = REGRESSIONS
        .lines()
        .filter_map(|line| line.split_whitespace().next()?.parse().ok());
    let seeds: Vec<u64> = regressions
        .chain(options.seed..options.seed.saturating_add(options.runs))
        .collect();
    batch(&seeds, options.runs)
}

fn options(mut arguments: impl Iterator<Item = String>) -> Result<Options, String> {
    let mut options = Options {
        runs: 1_000,
        seed: 1,
        only: None,
        trace: false,
    };
    while let Some(name) = arguments.next() {
        let mut number = || {
            let value = arguments
                .next()
                .ok_or_else(|| format!("{name} needs a number"))?;
            value
                .parse()
                .map_err(|_| format!("{name} needs a number, not {value}"))
        };
        match name.as_str() {
            "--runs" => options.runs = number()?,
            "--seed" => options.seed = number()?,
            "--only-seed" => options.only = Some(number()?),
            "--trace" => options.trace = true,
            other => return Err(format!("there is no option {other}")),
        }
    }
    Ok(options)
}

fn one(seed: u64, trace: bool) -> ExitCode {
    let report = run(seed, if trace { usize::MAX } else { 0 });
    for line in &report.trace {
        println!("{line}");
    }
    let Report {
        events,
        clients,
        virtual_ms,
        digest,
        ..
    } = report;
    println!(
        "seed {seed}: {events} events, {clients} clients, {virtual_ms} virtual ms, digest {digest:016x}"
    );
    match report.violation {
        None => ExitCode::SUCCESS,
        Some(violation) => {
            println!(
                "does not hold: {}\n  {}",
                violation.property, violation.seen
            );
            ExitCode::FAILURE
        }
    }
}

fn batch(seeds: &[u64], runs: u64) -> ExitCode {
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
            let report = run(*seed, 0);
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
        return show(&report, next.load(Ordering::Relaxed));
    }
    let (seconds, events) = (
        began.elapsed().as_secs_f64(),
        events.load(Ordering::Relaxed),
    );
    println!("{} runs, {events} events, {seconds:.1} s", seeds.len());
    covered(&situations.into_inner().unwrap_or_default(), runs)
}

fn show(report: &Report, done: u64) -> ExitCode {
    let seed = report.seed;
    for line in run(seed, LAST_LINES).trace {
        println!("{line}");
    }
    if let Some(violation) = &report.violation {
        println!(
            "\nseed {seed}, after {done} runs, does not hold: {}\n  {}",
            violation.property, violation.seen
        );
    }
    println!("again: cargo run --package tidegate-sim -- --only-seed {seed} --trace");
    ExitCode::FAILURE
}

fn covered(situations: &Situations, runs: u64) -> ExitCode {
    for situation in Situation::ALL {
        println!("{:>10}  {situation:?}", situations.count(*situation));
    }
    let missing = situations.missing();
    if missing.is_empty() || runs < ENOUGH_RUNS {
        return ExitCode::SUCCESS;
    }
    println!("\nnever met, so nothing is proven about it: {missing:?}");
    ExitCode::FAILURE
}
