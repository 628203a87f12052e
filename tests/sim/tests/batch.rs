//! A few runs with every `cargo test`; `npm test` runs ten thousand.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

use tidegate_sim::{Report, Which};

fn run(seed: u64, lines: usize) -> Report {
    Which::Gateway.run(seed, lines)
}

#[test]
fn a_few_seeds_hold_every_property() {
    let mut virtual_ms = 0;
    for seed in 1..=25 {
        let report = run(seed, 40);
        assert_eq!(
            report.violation,
            None,
            "seed {seed}:\n{}",
            report.trace.join("\n")
        );
        assert!(report.guests > 0, "seed {seed} had no client");
        virtual_ms += report.virtual_ms;
    }
    assert!(
        virtual_ms > 25 * 60_000,
        "the runs are too short to show much"
    );
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    for seed in [7, 8] {
        let (once, again) = (run(seed, 0), run(seed, usize::MAX));
        assert_eq!((once.digest, once.events), (again.digest, again.events));
        assert_ne!(once.digest, run(seed + 1, 0).digest);
    }
}
