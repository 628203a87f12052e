//! `docs/endpoints.md` lists every endpoint, those of JSON bodies and the others, with what its row in the
//! code says.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

use tidegate_wire_openai::endpoint::Traits;
use tidegate_wire_openai::{AnswerBody, Endpoint, RequestBody};

const DOCUMENT: &str = include_str!("../../../docs/endpoints.md");

#[test]
fn the_tables_say_what_the_code_does() {
    let is_json =
        |traits: Traits| traits.body == RequestBody::Json && traits.answer == AnswerBody::Json;
    compare("| route | input", is_json);
    compare("| form or sound | input", |traits| !is_json(traits));
}

fn compare(head: &str, belongs: impl Fn(Traits) -> bool) {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim_matches('|');
        inner
            .split('|')
            .map(|cell| cell.trim().to_owned())
            .collect()
    };
    let table = DOCUMENT.split("\n\n").find(|part| part.contains(head));
    let documented: Vec<Vec<String>> = table
        .unwrap()
        .lines()
        .skip(2)
        .map(|line| cells(line)[..4].to_vec())
        .collect();
    let quoted =
        |names: &[&str]| -> Vec<String> { names.iter().map(|name| format!("`{name}`")).collect() };
    let expected: Vec<Vec<String>> = Endpoint::ALL
        .into_iter()
        .filter(|endpoint| belongs(endpoint.traits()))
        .map(|endpoint| {
            let traits = endpoint.traits();
            let paths = [&[traits.path], endpoint.aliases()].concat();
            let inputs = match quoted(traits.inputs).as_slice() {
                [] => "–".to_owned(),
                [head @ .., last] if !head.is_empty() => format!("{} or {last}", head.join(", ")),
                one => one.concat(),
            };
            let streams = if endpoint.streams() { "yes" } else { "–" };
            let raced = match endpoint {
                Endpoint::Responses => "only with `store: false`",
                _ if traits.may_race => "yes",
                _ => "never",
            };
            vec![
                quoted(&paths).join(", "),
                inputs,
                streams.to_owned(),
                raced.to_owned(),
            ]
        })
        .collect();
    assert_eq!(documented, expected);
}
