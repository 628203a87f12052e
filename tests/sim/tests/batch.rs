//! A few runs with every `cargo test`; `npm test` runs thousands.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

use tidegate_sim::Which;

#[test]
fn a_few_seeds_hold_every_property() {
    for world in Which::ALL {
        let (mut virtual_ms, mut guests) = (0, 0);
        for seed in 1..=25 {
            let report = world.run(seed, 40);
            assert_eq!(
                report.violation,
                None,
                "seed {seed}:\n{}",
                report.trace.join("\n")
            );
            virtual_ms += report.virtual_ms;
            guests += report.guests;
        }
        assert!(guests >= 25, "hardly anybody was there");
        assert!(
            virtual_ms > 25 * 60_000,
            "the runs are too short to show much"
        );
    }
}

#[test]
fn a_seed_gives_the_same_run_twice() {
    for world in Which::ALL {
        for seed in [7, 8] {
            let (once, again) = (world.run(seed, 0), world.run(seed, usize::MAX));
            assert_eq!((once.digest, once.events), (again.digest, again.events));
            assert_ne!(once.digest, world.run(seed + 1, 0).digest);
        }
    }
}
