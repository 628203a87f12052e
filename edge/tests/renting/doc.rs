//! `docs/renting.md` says of profiles and vendors what the code does.

use serde_json::{Value, json};

use crate::rig::Rig;

const DOCUMENT: &str = include_str!("../../../docs/renting.md");

/// The cells of the table's rows that begin with a name.
fn rows(section: &str) -> Vec<Vec<String>> {
    let heading = format!("\n## {section}\n");
    let (_, rest) = DOCUMENT.split_once(&heading).unwrap();
    let section = rest.split("\n## ").next().unwrap();
    let cells = |line: &str| {
        let cells = line.strip_prefix("| `")?.strip_suffix(" |")?.split(" | ");
        let clean = |cell: &str| cell.replace('`', "").trim().to_owned();
        Some(cells.map(clean).collect())
    };
    section.lines().filter_map(cells).collect()
}

/// A body with this number in it, wherever it belongs.
fn with(field: &str, number: Value) -> Value {
    let mut body = json!({ "kind": "vllm", "model_name": "tiny" });
    match field.split_once('.') {
        Some((outer, inner)) => body[outer] = json!({ inner: number }),
        None => body[field] = number,
    }
    body
}

#[test]
fn the_documented_numbers_of_a_profile_are_those_that_are_enforced() {
    let mut rig = Rig::new();
    let rows = rows("Profiles");
    assert_eq!(rows.len(), 8);
    for row in rows {
        let [field, default, least, most, _] = row.as_slice() else {
            panic!("five cells: {row:?}");
        };
        let number = |cell: &str| cell.parse::<u64>().unwrap();
        let body = json!({ "kind": "vllm", "model_name": "tiny" });
        let shown = rig.put("/admin/profiles/p", body).body;
        let pointer = format!("/{}", field.replace('.', "/"));
        assert_eq!(
            shown.pointer(&pointer),
            Some(&json!(number(default))),
            "{field}"
        );
        let mut status = |number: u64| {
            let answer = rig.put("/admin/profiles/p", with(field, json!(number)));
            if answer.status != 200 {
                assert_eq!(answer.error().2, Some(field.as_str()), "{}", answer.body);
            }
            answer.status
        };
        assert_eq!(
            (status(number(least)), status(number(most))),
            (200, 200),
            "{field}"
        );
        assert_eq!(status(number(most) + 1), 400, "{field}");
        if let Some(below) = number(least).checked_sub(1) {
            assert_eq!(status(below), 400, "{field}");
        }
    }
}

#[test]
fn the_documented_abilities_of_vendors_are_their_own() {
    let mut rig = Rig::new();
    let vendors = rig.get("/admin/providers").body;
    let rows = rows("What each vendor cannot do");
    let (head, rows) = rows.split_first().unwrap();
    assert_eq!(rows.len(), 8);
    for row in rows {
        for (at, name) in [(1, "runpod"), (2, "aws")] {
            assert_eq!(head[at], name);
            let shown = &vendors["data"][at - 1];
            assert_eq!(shown["vendor"], name);
            let value = match &shown["capabilities"][&row[0]] {
                Value::Bool(true) => "yes",
                Value::Bool(false) => "no",
                Value::Null => "none",
                other => other.as_str().unwrap(),
            };
            assert_eq!(row[at], value, "{} of {name}", row[0]);
        }
    }
}
