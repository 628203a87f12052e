//! The minute's round: instances whose checks have gone silent are poked.
//!
//! Invariant: no overdue instance waits for ever. At most [`POKES_A_ROUND`] are poked in a round, oldest
//! first; when more are overdue each round starts where the minute says, so that all get their turn
//! although nothing is remembered between rounds (an object is evicted within seconds).

use super::Fleet;
use crate::bindings::ObjectName;
use crate::bindings::fleet::PokeReport;
use crate::bindings::instance::InstanceCommand;
use crate::driver::Cx;
use crate::ports::StoreError;
use tidegate_domain::time::{Span, Timestamp};

/// An instance tells of its last check at least this often, or with each check if those are rarer.
const ANNOUNCES_WITHIN: Span = Span::from_secs(5 * 60);
/// Rounds are this far apart: an instance may have been poked just before it was due.
const ROUND: Span = Span::from_secs(60);
/// 200 a minute is 1,000 servers in five minutes, and a fifth of the 1,000 calls that one invocation of
/// a Worker may make.
const POKES_A_ROUND: usize = 200;

/// With checks every minute: 5 min to the announcement + 1 min for a check that is under way + 1 min
/// between rounds = 7 minutes.
fn overdue_after(health_interval: Span) -> Span {
    ANNOUNCES_WITHIN.max(health_interval) + health_interval + ROUND
}

impl Fleet {
    pub(super) fn poke_overdue(&self, cx: &mut Cx<'_>) -> Result<PokeReport, StoreError> {
        let interval = i64::try_from(self.policy.health_interval_ms).unwrap_or(i64::MAX);
        let limit = overdue_after(Span::from_ms(interval));
        let mut overdue: Vec<(i64, &str)> = self
            .servers
            .values()
            .map(|server| (server.announced.checked_at_ms, server.id.as_str()))
            .filter(|(checked_at, _)| cx.now.since(Timestamp::from_ms(*checked_at)) > limit)
            .collect();
        overdue.sort_unstable();
        let start = round_start(cx.now, overdue.len());
        for (_, id) in overdue
            .iter()
            .cycle()
            .skip(start)
            .take(POKES_A_ROUND.min(overdue.len()))
        {
            let instance = ObjectName::instance(&self.org, id);
            cx.poke(instance, &InstanceCommand::Tick)?;
        }
        Ok(PokeReport {
            overdue: u32::try_from(overdue.len()).unwrap_or(u32::MAX),
        })
    }
}

/// Where this minute's round starts: each minute one round further.
fn round_start(now: Timestamp, overdue: usize) -> usize {
    if overdue <= POKES_A_ROUND {
        return 0;
    }
    let round = usize::try_from(now.as_ms().div_euclid(ROUND.as_ms())).unwrap_or_default();
    round.wrapping_mul(POKES_A_ROUND) % overdue
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_overdue_after_seven_minutes_of_silence() {
        assert_eq!(overdue_after(Span::from_secs(60)), Span::from_secs(7 * 60));
        assert_eq!(
            overdue_after(Span::from_secs(600)),
            Span::from_secs(21 * 60)
        );
    }

    #[test]
    fn rounds_over_too_many_reach_everyone_in_turn() {
        let at = |minute: i64| round_start(Timestamp::from_ms(minute * 60_000), 450);
        assert_eq!([at(0), at(1), at(2), at(3)], [0, 200, 400, 150]);
        assert_eq!(round_start(Timestamp::from_ms(60_000), 200), 0);
        assert_eq!(round_start(Timestamp::from_ms(60_000), 0), 0);
    }
}
