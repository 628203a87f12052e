//! `docs/status-codes.md` lists every code, each with the status that goes with it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

use tidegate_wire_openai::ErrorCode;

const DOCUMENT: &str = include_str!("../../../docs/status-codes.md");

/// Code and status of each row of the table.
fn documented() -> Vec<(String, u16)> {
    let row = |line: &str| {
        let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
        let code = cells.next()?.trim_end_matches('`').to_owned();
        Some((code, cells.next()?.parse().ok()?))
    };
    // The tables of later sections speak of other things.
    let (table, _) = DOCUMENT.split_once("\n## ").unwrap();
    table.lines().filter_map(row).collect()
}

#[test]
fn the_document_lists_every_code_once_with_its_status() {
    let mut expected: Vec<(String, u16)> = ErrorCode::ALL
        .iter()
        .map(|code| (code.as_str().to_owned(), code.status()))
        .collect();
    let mut documented = documented();
    expected.sort_unstable();
    documented.sort_unstable();
    assert_eq!(documented, expected);
}

#[test]
fn the_rows_are_in_the_order_of_their_statuses() {
    let statuses: Vec<u16> = documented().into_iter().map(|(_, status)| status).collect();
    assert!(statuses.is_sorted(), "{statuses:?}");
}
