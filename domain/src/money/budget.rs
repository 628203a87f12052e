//! A budget, and whether a sum still fits into every one that binds.
//!
//! Invariant: what is let through leaves `spent + held ≤ cap` in each of them. `held` is what was promised
//! and is not spent yet; a promise counts whole against the period in which it is made, also where it
//! reaches into the next one, so a cap is never passed by a promise that was made the day before.

use core::fmt;

use super::{Dollars, HOUR_MS};
use crate::civil::Civil;
use crate::time::{Span, Timestamp};

const DAY_MS: i64 = 86_400_000;

/// Whose money a budget limits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// Everything that the organisation rents.
    Organisation,
    /// What is rented for a project.
    Project(String),
    /// What requests of an API key use of what is rented.
    Key(String),
}

impl Scope {
    /// Reads `organisation`, `project/{name}` or `key/{id}`; nothing for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "organisation" {
            return Some(Self::Organisation);
        }
        match text.split_once('/')? {
            (_, "") => None,
            ("project", name) => Some(Self::Project(name.to_owned())),
            ("key", id) => Some(Self::Key(id.to_owned())),
            _ => None,
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Organisation => f.write_str("organisation"),
            Self::Project(name) => write!(f, "project/{name}"),
            Self::Key(id) => write!(f, "key/{id}"),
        }
    }
}

/// Over which time a budget counts, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// A day.
    Day,
    /// A month.
    Month,
    /// For ever.
    Total,
}

/// A stretch of time: from its first moment up to and without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// The first moment.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

impl Period {
    /// The one that a moment lies in. `Total` has no beginning and no end: the ends of all time stand in.
    pub fn bounds(self, at: Timestamp) -> Bounds {
        match self {
            Self::Day => {
                let start = at.as_ms().div_euclid(DAY_MS).saturating_mul(DAY_MS);
                let from = Timestamp::from_ms(start);
                let to = from + Span::from_ms(DAY_MS);
                Bounds { from, to }
            }
            Self::Month => {
                let Civil { year, month, .. } = Civil::from(at);
                let next = if month == 12 {
                    (year + 1, 1)
                } else {
                    (year, month + 1)
                };
                Bounds {
                    from: first_of((year, month)).unwrap_or(Timestamp::from_ms(i64::MIN)),
                    to: first_of(next).unwrap_or(Timestamp::from_ms(i64::MAX)),
                }
            }
            Self::Total => Bounds {
                from: Timestamp::from_ms(i64::MIN),
                to: Timestamp::from_ms(i64::MAX),
            },
        }
    }

    /// After a sum of money: `a day`, `a month`, `in all`.
    pub const fn words(self) -> &'static str {
        match self {
            Self::Day => "a day",
            Self::Month => "a month",
            Self::Total => "in all",
        }
    }
}

fn first_of((year, month): (i64, i64)) -> Option<Timestamp> {
    let first = Civil {
        year,
        month,
        day: 1,
        ..Civil::default()
    };
    first.moment()
}

/// A limit on what is spent. Sums are micro-dollars.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Over which time.
    pub period: Period,
    /// Nothing is spent beyond it; without it the budget only warns.
    pub cap: Option<u64>,
    /// What percentages are of, where there is no cap.
    pub target: Option<u64>,
    /// Percent at which somebody is told.
    pub thresholds: Vec<u8>,
}

impl Budget {
    /// How much a percentage of it is, in micro-dollars, rounded up: less is below the threshold.
    pub fn amount(&self, percent: u8) -> Option<u64> {
        let whole = u128::from(self.cap.or(self.target)?);
        let part = (whole * u128::from(percent)).div_ceil(100);
        u64::try_from(part).ok()
    }
}

/// What is gone of a budget, in micro-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Spent in this period.
    pub spent: u64,
    /// Promised beyond that.
    pub held: u64,
}

impl Usage {
    /// Both.
    pub const fn committed(self) -> u64 {
        self.spent.saturating_add(self.held)
    }

    /// How long until `goal` is spent at this rate, rounded up; nothing when it never is.
    pub fn time_to(self, goal: u64, microusd_per_hour: u64) -> Option<Span> {
        let missing = u128::from(goal.saturating_sub(self.spent));
        if missing > 0 && microusd_per_hour == 0 {
            return None;
        }
        let rate = u128::from(microusd_per_hour.max(1));
        let ms = (missing * HOUR_MS).div_ceil(rate);
        Some(Span::from_ms(i64::try_from(ms).unwrap_or(i64::MAX)))
    }
}

/// Why a sum may not be spent: the first budget that it does not fit into. Sums are micro-dollars.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the budget of `{which}` is {} {}: {} is spent and {} held for what runs, so {} is left and this takes {}; raise the budget or end what runs under it",
    Dollars(*cap), period.words(), Dollars(*spent), Dollars(*held), Dollars(self.left()), Dollars(*needed)
)]
pub struct Denied {
    /// Which budget.
    pub which: Scope,
    /// Over which time it counts.
    pub period: Period,
    /// Its cap.
    pub cap: u64,
    /// What is spent of it.
    pub spent: u64,
    /// What is promised beyond that.
    pub held: u64,
    /// What was asked for.
    pub needed: u64,
}

impl Denied {
    /// What is left of the budget.
    pub const fn left(&self) -> u64 {
        self.cap
            .saturating_sub(self.spent)
            .saturating_sub(self.held)
    }
}

/// Whether `needed` more micro-dollars fit into every budget that binds. One without a cap binds nobody.
///
/// # Errors
/// The first that it does not fit into.
pub fn decide<'a>(
    budgets: impl IntoIterator<Item = (&'a Scope, &'a Budget, Usage)>,
    needed: u64,
) -> Result<(), Denied> {
    for (which, budget, usage) in budgets {
        let Some(cap) = budget.cap else {
            continue;
        };
        let after = u128::from(usage.spent) + u128::from(usage.held) + u128::from(needed);
        if after > u128::from(cap) {
            return Err(Denied {
                which: which.clone(),
                period: budget.period,
                cap,
                spent: usage.spent,
                held: usage.held,
                needed,
            });
        }
    }
    Ok(())
}
