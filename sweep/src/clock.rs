//! Time, as the sweep has it: it reads it, and waits.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tidegate_domain::time::{Span, Timestamp};

/// A clock that can be waited for.
pub trait Clock {
    /// Now.
    fn now(&self) -> Timestamp;

    /// Comes back when this much time has passed.
    fn wait(&self, span: Span);
}

/// The clock on the wall. Against a stand-in of a vendor it may be told to run faster, so that a grace of ten
/// minutes is over in seconds while every decision stays the same.
#[derive(Debug)]
pub struct Wall {
    began_ms: i64,
    began: Instant,
    times: u32,
}

impl Wall {
    /// So many times as fast as the wall's; 1 for anything real.
    #[expect(
        clippy::disallowed_methods,
        reason = "a native program that measures how long it has waited"
    )]
    pub fn new(times: u32) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            began_ms: since.map_or(0, millis),
            began: Instant::now(),
            times: times.max(1),
        }
    }
}

impl Clock for Wall {
    fn now(&self) -> Timestamp {
        let passed = self.began.elapsed().saturating_mul(self.times);
        Timestamp::from_ms(self.began_ms.saturating_add(millis(passed)))
    }

    fn wait(&self, span: Span) {
        let until = self.now() + span;
        loop {
            let left = self.now().until(until);
            let Some(left) = u64::try_from(left.as_ms()).ok().filter(|ms| *ms > 0) else {
                return;
            };
            // It may come back early, for no reason.
            std::thread::park_timeout(Duration::from_millis(left.div_ceil(u64::from(self.times))));
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_runs_faster_is_waited_for_as_long_as_it_says() {
        let clock = Wall::new(6_000);
        let began = clock.now();
        clock.wait(Span::from_secs(600));
        let passed = clock.now().since(began);
        assert!(passed >= Span::from_secs(600), "{passed:?}");
        assert!(passed < Span::from_secs(600 * 60), "{passed:?}");
    }
}
