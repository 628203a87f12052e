//! One level of connections, measured. Invariant: requests started during the warm-up are never in
//! the figures, and the clock starts when the first measured request starts.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Instant;

use tokio::task::LocalSet;

use crate::exchange::{Client, Failure, Timing};
use crate::options::{Options, Span};
use crate::stats::Report;

/// What all workers of one level share.
#[derive(Default)]
struct Shared {
    tickets: Cell<u64>,
    started: Cell<Option<Instant>>,
    ended: Cell<Option<Instant>>,
    timings: RefCell<Vec<Timing>>,
    failures: RefCell<BTreeMap<Failure, u64>>,
}

enum Ticket {
    Warmup,
    Measured,
    Over,
}

impl Shared {
    fn next(&self, warmup: u64, span: Span) -> Ticket {
        let number = self.tickets.get();
        self.tickets.set(number + 1);
        if number < warmup {
            return Ticket::Warmup;
        }
        let now = Instant::now();
        let started = self.started.get().unwrap_or(now);
        self.started.set(Some(started));
        let over = match span {
            Span::Requests(wanted) => number - warmup >= wanted,
            Span::Time(wanted) => now.duration_since(started) >= wanted,
        };
        if over { Ticket::Over } else { Ticket::Measured }
    }
}

/// Measures every level, one after the other.
pub async fn run_all(options: &Options) -> Vec<Report> {
    let mut reports = Vec::new();
    for connections in &options.connections {
        reports.push(run(options, *connections).await);
    }
    reports
}

async fn run(options: &Options, connections: usize) -> Report {
    let warmup = options.warmup.unwrap_or(50 + 2 * connections as u64);
    let shared = Rc::new(Shared::default());
    let workers = LocalSet::new();
    let run = workers.run_until(async {
        let loops = (0..connections).map(|_| worker(options, &shared, warmup));
        join_all(loops).await;
    });
    run.await;
    let elapsed = match (shared.started.get(), shared.ended.get()) {
        (Some(started), Some(ended)) => ended.duration_since(started),
        _ => std::time::Duration::ZERO,
    };
    let failures = shared
        .failures
        .borrow()
        .iter()
        .map(|(failure, count)| (failure.name(), *count))
        .collect();
    Report::new(connections, elapsed, &shared.timings.borrow(), failures)
}

/// Polls all workers on this one thread until each has ended.
async fn join_all<F: Future<Output = ()>>(workers: impl Iterator<Item = F>) {
    let mut workers: Vec<_> = workers.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        workers.retain_mut(|worker| worker.as_mut().poll(context).is_pending());
        if workers.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}

async fn worker(options: &Options, shared: &Shared, warmup: u64) {
    let mut client = Client::default();
    loop {
        let ticket = shared.next(warmup, options.span);
        if matches!(ticket, Ticket::Over) {
            return;
        }
        let result = client.exchange(options).await;
        if matches!(ticket, Ticket::Warmup) {
            continue;
        }
        shared.ended.set(Some(Instant::now()));
        match result {
            Ok(timing) => shared.timings.borrow_mut().push(timing),
            Err(failure) => {
                *shared.failures.borrow_mut().entry(failure).or_insert(0) += 1;
            }
        }
    }
}
