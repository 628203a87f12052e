//! `GET /v2/billing/pods`, out of the meter. Invariant: the records of a pod add up to what the meter says, to the
//! micro-dollar, however the time is cut into buckets.

use serde_json::{Value, json};

use crate::clock::{self, Millis};
use crate::fault::Fault;
use crate::faults::Applied;
use crate::http::Asked;
use crate::keys::Key;
use crate::machine::Machine;
use crate::meter::Rate;
use crate::runpod::catalog::usd;
use crate::runpod::errors::Problem;
use crate::world::World;

const HOUR: Millis = 3_600_000;
const DAY: Millis = 24 * HOUR;
/// More than anybody asks for.
const MOST_BUCKETS: usize = 20_000;

/// A length of time that bills are cut into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bucket {
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl Bucket {
    fn named(name: &str) -> Option<Self> {
        match name {
            "hour" => Some(Self::Hour),
            "day" => Some(Self::Day),
            "week" => Some(Self::Week),
            "month" => Some(Self::Month),
            "year" => Some(Self::Year),
            _ => None,
        }
    }

    /// The beginning of the one that a moment lies in.
    fn begins(self, at: Millis) -> Millis {
        let date = clock::rfc3339(at);
        let first = |text: String| clock::parse_rfc3339(&text).unwrap_or(at);
        match self {
            Self::Hour => at.div_euclid(HOUR) * HOUR,
            Self::Day => at.div_euclid(DAY) * DAY,
            // 1970 began on a Thursday; weeks begin on Mondays.
            Self::Week => (at.div_euclid(DAY) + 3).div_euclid(7) * 7 * DAY - 3 * DAY,
            Self::Month => first(format!("{}-01T00:00:00Z", &date[..7])),
            Self::Year => first(format!("{}-01-01T00:00:00Z", &date[..4])),
        }
    }

    /// The beginning of the next.
    fn ends(self, at: Millis) -> Millis {
        let begins = self.begins(at);
        match self {
            Self::Hour => begins + HOUR,
            Self::Day => begins + DAY,
            Self::Week => begins + 7 * DAY,
            Self::Month => self.begins(begins + 31 * DAY),
            Self::Year => self.begins(begins + 366 * DAY),
        }
    }
}

/// Answers the request.
///
/// # Errors
/// 400 for `lastN` beside times, 422 for what cannot be read.
pub fn list(
    world: &World,
    key: &Key,
    asked: &Asked,
    now: Millis,
    applied: &Applied,
) -> Result<Value, Problem> {
    let invalid = |name: &str| Problem::invalid(vec![format!("query.{name}: not valid")]);
    let size = asked
        .query("bucketSize")
        .unwrap_or_else(|| String::from("day"));
    let bucket = Bucket::named(&size).ok_or_else(|| invalid("bucketSize"))?;
    let time = |name: &str| match asked.query(name) {
        None => Ok(None),
        Some(text) => clock::parse_rfc3339(&text)
            .map(Some)
            .ok_or_else(|| invalid(name)),
    };
    let (start, end) = (time("startTime")?, time("endTime")?);
    let (start, end) = match asked.query("lastN") {
        None => {
            let end = end.unwrap_or(now);
            let start = start.unwrap_or(now - 30 * DAY);
            let is_edge = bucket.begins(end) == end;
            let end = if is_edge { end } else { bucket.ends(end) };
            (bucket.begins(start), end)
        }
        Some(_) if start.is_some() || end.is_some() => {
            let detail = "lastN and startTime/endTime are mutually exclusive";
            return Err(Problem::new(400, detail));
        }
        Some(text) => {
            let count: usize = text.parse().unwrap_or(0);
            if !(1..=MOST_BUCKETS).contains(&count) {
                return Err(invalid("lastN"));
            }
            let first = |start, _| bucket.begins(start - 1);
            ((1..count).fold(bucket.begins(now), first), bucket.ends(now))
        }
    };
    let only = asked.query("podId");
    let lag = applied.find(|fault| match fault {
        Fault::BillLag { ms } => Some(i64::from(*ms)),
        _ => None,
    });
    let until = now - lag.unwrap_or(0);
    let wanted = |machine: &&Machine| {
        let is_it = only.as_ref().is_none_or(|id| *id == machine.id);
        machine.pod().is_some() && machine.account == key.account && is_it
    };
    let mut records = Vec::new();
    let mut sum = Amounts::default();
    let mut pods = 0;
    for machine in world.machines.values().filter(wanted) {
        let before = records.len();
        let mut at = start.max(bucket.begins(machine.created_ms));
        while at < end.min(now + 1) {
            let next = bucket.ends(at);
            let amounts = Amounts::between(machine, at.min(until), next.min(until));
            if amounts.total > 0 {
                sum.add(amounts);
                records.push(amounts.record(machine, at, next));
            }
            at = next;
        }
        pods += usize::from(records.len() > before);
    }
    let count = records.len();
    Ok(json!({
        "records": records,
        "metadata": {
            "query": {"startTime": clock::rfc3339(start), "endTime": clock::rfc3339(end), "bucketSize": size, "podId": only},
            "recordCount": count,
            "uniquePodCount": pods,
            "totals": sum.view(),
        },
    }))
}

/// Micro-dollars.
#[derive(Debug, Clone, Copy, Default)]
struct Amounts {
    total: u64,
    gpu: u64,
}

impl Amounts {
    fn between(machine: &Machine, from: Millis, to: Millis) -> Self {
        let meter = &machine.meter;
        let total = meter.microusd(to).saturating_sub(meter.microusd(from));
        let gpu = meter
            .microusd_of(Rate::Full, to)
            .saturating_sub(meter.microusd_of(Rate::Full, from));
        Self {
            total,
            gpu: gpu.min(total),
        }
    }

    fn add(&mut self, more: Self) {
        self.total += more.total;
        self.gpu += more.gpu;
    }

    fn view(self) -> Value {
        json!({
            "totalAmount": usd(self.total), "gpuAmount": usd(self.gpu), "cpuAmount": 0.0,
            "diskAmount": usd(self.total - self.gpu),
        })
    }

    fn record(self, machine: &Machine, from: Millis, to: Millis) -> Value {
        let mut view = self.view();
        view["podId"] = json!(machine.id);
        view["startTime"] = json!(clock::rfc3339(from));
        view["endTime"] = json!(clock::rfc3339(to));
        view
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_begin_where_the_calendar_says() {
        let at = clock::parse_rfc3339("2026-11-18T13:45:10Z").unwrap();
        let edges = |bucket: Bucket| [bucket.begins(at), bucket.ends(at)].map(clock::rfc3339);
        assert_eq!(
            edges(Bucket::Hour),
            ["2026-11-18T13:00:00Z", "2026-11-18T14:00:00Z"]
        );
        assert_eq!(
            edges(Bucket::Day),
            ["2026-11-18T00:00:00Z", "2026-11-19T00:00:00Z"]
        );
        assert_eq!(
            edges(Bucket::Week),
            ["2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"]
        );
        assert_eq!(
            edges(Bucket::Month),
            ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"]
        );
        assert_eq!(
            edges(Bucket::Year),
            ["2026-01-01T00:00:00Z", "2027-01-01T00:00:00Z"]
        );
    }
}
