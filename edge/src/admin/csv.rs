//! Lists as CSV (RFC 4180), for spreadsheets.
//!
//! Invariant: a cell never begins like a formula. Names come from clients, and a spreadsheet runs what begins
//! with one of `= + - @`, a tab or a carriage return; a `'` before it makes a text of it.

use crate::gateway::Cx;
use crate::request::Response;

/// Whether CSV is asked for: by `?format=csv`, or by `Accept` where no format is named.
pub fn is_wanted(cx: &Cx<'_>) -> bool {
    match cx.head.query("format") {
        Some(format) => format == "csv",
        None => cx
            .head
            .header("accept")
            .is_some_and(|accept| accept.split(',').any(is_csv)),
    }
}

fn is_csv(range: &str) -> bool {
    let mut parts = range.split(';').map(str::trim);
    let kind = parts.next().unwrap_or_default();
    let is_refused = parts.any(|part| matches!(part, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
    kind.eq_ignore_ascii_case("text/csv") && !is_refused
}

/// A table with its header row; numbers and texts of ours come as they are.
pub fn answer<const N: usize>(
    columns: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> Response {
    let mut body = columns.join(",") + "\r\n";
    for row in rows {
        let cells = row.map(|cell| escaped(&cell));
        body.push_str(&cells.join(","));
        body.push_str("\r\n");
    }
    let kind = "text/csv; charset=utf-8; header=present".to_owned();
    Response {
        status: 200,
        headers: vec![("content-type".to_owned(), kind)],
        body,
        error: None,
    }
}

fn escaped(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let guard = if is_formula { "'" } else { "" };
    if cell.contains([',', '"', '\r', '\n']) {
        return format!("\"{guard}{}\"", cell.replace('"', "\"\""));
    }
    format!("{guard}{cell}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be_and_never_formulas() {
        for (cell, written) in [
            ("plain", "plain"),
            ("", ""),
            ("a,b", "\"a,b\""),
            ("say \"hi\"", "\"say \"\"hi\"\"\""),
            ("two\nlines", "\"two\nlines\""),
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@x", "'@x"),
            ("\tx", "'\tx"),
            ("\rx", "\"'\rx\""),
            (
                "=HYPERLINK(\"x\",\"y\")",
                "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"",
            ),
        ] {
            assert_eq!(escaped(cell), written);
        }
    }

    #[test]
    fn a_table_has_a_header_and_every_row_an_end() {
        let rows = [["1".to_owned(), "x".to_owned()]];
        let answer = answer(["a", "b"], rows.into_iter());
        assert_eq!(answer.body, "a,b\r\n1,x\r\n");
    }

    #[test]
    fn a_media_range_asks_for_csv_unless_it_refuses_it() {
        assert!(is_csv("text/csv") && is_csv(" Text/CSV ; q=0.5"));
        assert!(!is_csv("text/csv;q=0") && !is_csv("*/*") && !is_csv("text/csvx"));
    }
}
