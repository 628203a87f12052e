//! `docs/configuration.md` says of each number of the reliability policy what the fleet enforces.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

use serde_json::{Map, Value, json};
use tidegate_domain::time::Timestamp;
use tidegate_durable::bindings::ObjectName;
use tidegate_durable::bindings::fleet::{FleetAnswer, FleetCommand, ReliabilityPolicy};
use tidegate_durable::driver::{Driver, Host};
use tidegate_durable::fleet_do::Fleet;
use tidegate_durable::testkit::{Seeded, Store};
use tidegate_durable::turn::Reply;

const DOCUMENT: &str = include_str!("../../docs/configuration.md");
/// Set by the fleet, not by people.
const VERSION: &str = "version";

/// One row of the table.
struct Documented {
    field: String,
    default: Value,
    bounds: Option<(u64, u64)>,
}

fn documented() -> Vec<Documented> {
    let (_, section) = DOCUMENT.split_once("\n## Reliability policy\n").unwrap();
    let (table, _) = section.split_once("\n## ").unwrap();
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let field = cells.next()?.trim_end_matches('`').to_owned();
        let default = serde_json::from_str(cells.next()?).unwrap();
        let mut bound = || cells.next()?.parse().ok();
        let bounds = bound().zip(bound());
        Some(Documented {
            field,
            default,
            bounds,
        })
    };
    table.lines().filter_map(row).collect()
}

fn defaults() -> Map<String, Value> {
    let mut numbers = match serde_json::to_value(ReliabilityPolicy::default()) {
        Ok(Value::Object(numbers)) => numbers,
        other => panic!("a policy is an object, not {other:?}"),
    };
    numbers.remove(VERSION);
    numbers
}

/// Whether a fleet takes the policy in which one number differs from the defaults.
fn is_taken(field: &str, number: u64) -> bool {
    let mut numbers = defaults();
    numbers.insert(field.to_owned(), json!(number));
    // The base must not exceed the cap: the other of the two stays out of the way.
    match field {
        "ejection_base_ms" => numbers.insert(
            "ejection_cap_ms".to_owned(),
            json!(number.clamp(100, 86_400_000)),
        ),
        "ejection_cap_ms" => numbers.insert("ejection_base_ms".to_owned(), json!(100)),
        _ => None,
    };
    let policy = serde_json::from_value(Value::Object(numbers)).unwrap();
    let (sql, entropy) = (Store::new(), Seeded::new(1));
    let host = Host {
        sql: &sql,
        entropy: &entropy,
        now: Timestamp::from_ms(1_795_255_200_000),
    };
    let mut fleet = Driver::<Fleet>::open(&host, ObjectName::fleet("default")).unwrap();
    let message = serde_json::to_string(&FleetCommand::PutPolicy { policy }).unwrap();
    let Some(Reply::Now(answer)) = fleet.call(&host, &message).unwrap().reply else {
        panic!("the fleet answers at once");
    };
    match serde_json::from_str(&answer).unwrap() {
        FleetAnswer::Policy { .. } => true,
        FleetAnswer::Invalid { param, .. } if param == field => false,
        other => panic!("{field} = {number}: {other:?}"),
    }
}

#[test]
fn the_document_has_every_number_of_the_policy_with_its_default() {
    let documented: Map<String, Value> = documented()
        .into_iter()
        .map(|row| (row.field, row.default))
        .collect();
    assert_eq!(documented, defaults());
}

#[test]
fn the_documented_bounds_are_those_that_the_fleet_enforces() {
    for Documented {
        field,
        default,
        bounds,
    } in documented()
    {
        let Some((least, most)) = bounds else {
            assert!(default.is_boolean(), "`{field}` has no bounds");
            continue;
        };
        assert!(is_taken(&field, least), "{field} = {least} is refused");
        assert!(is_taken(&field, most), "{field} = {most} is refused");
        assert!(!is_taken(&field, most + 1), "{field} above {most} is taken");
        if let Some(below) = least.checked_sub(1) {
            assert!(!is_taken(&field, below), "{field} below {least} is taken");
        }
    }
}
