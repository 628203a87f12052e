//! Layout rules, read off the files that git tracks.
//!
//! * Each Rust module begins with `//!`: what it owns. (Test modules may do without.)
//! * A source file has at most [`MOST_LINES`] lines, a test file [`MOST_TEST_LINES`].
//! * No sleeping, no `#[ignore]`, no `#[should_panic]` in tests: a test that waits is slow or flaky, one
//!   that is skipped proves nothing, one that expects a panic hides which.
//! * No module is called `utils`, `helpers`, `common` or `manager`: such a name says nothing.
//! * No word that marks work as unfinished.
//! * In `workers/host`: no way to an object around `calls.ts`, where each call has a deadline; and no
//!   `one()` on a cursor, which throws for any other number of rows.

use std::path::Path;
use std::process::Command;

/// A file beyond this has more than one subject.
const MOST_LINES: usize = 500;
/// Stories are long; a scenario split over two files is harder to read than one long file.
const MOST_TEST_LINES: usize = 1000;

const EMPTY_NAMES: [&str; 4] = ["utils", "helpers", "common", "manager"];

/// What is wrong, one line each.
pub fn complaints(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in tracked(root) {
        let Ok(text) = std::fs::read_to_string(root.join(&path)) else {
            continue;
        };
        found.extend(of_file(&path, &text));
    }
    found
}

fn tracked(root: &Path) -> Vec<String> {
    let listed = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "-z"])
        .output();
    let Ok(listed) = listed else {
        return Vec::new();
    };
    let text = String::from_utf8_lossy(&listed.stdout).into_owned();
    text.split('\0')
        .filter(|path| !path.is_empty())
        .map(str::to_owned)
        .collect()
}

fn of_file(path: &str, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let is_code = [".rs", ".ts", ".mjs", ".py"]
        .iter()
        .any(|ending| path.ends_with(ending));
    if !is_code {
        return found;
    }
    let is_test =
        path.contains("/tests") || path.starts_with("tests/") || path.ends_with("tests.rs");
    let most = if is_test { MOST_TEST_LINES } else { MOST_LINES };
    let lines = text.lines().count();
    if lines > most {
        found.push(format!(
            "{path}: {lines} lines, at most {most}: split it by subject"
        ));
    }
    if path.ends_with(".rs") && !is_test && !text.starts_with("//!") {
        found.push(format!(
            "{path}:1: begins without `//!`: say what the module owns"
        ));
    }
    let stem = path
        .rsplit('/')
        .next()
        .and_then(|name| name.split('.').next())
        .unwrap_or_default();
    if EMPTY_NAMES.contains(&stem) {
        found.push(format!(
            "{path}: `{stem}` says nothing: name it after what it holds"
        ));
    }
    if path.starts_with("xtask/") {
        return found;
    }
    for (number, line) in (1..).zip(text.lines()) {
        for (mark, why) in in_the_host(path) {
            if line.contains(mark) {
                found.push(format!("{path}:{number}: {why}"));
            }
        }
        for (mark, why) in marks() {
            if line.contains(&mark) {
                found.push(format!("{path}:{number}: {why}"));
            }
        }
    }
    found
}

fn in_the_host(path: &str) -> impl Iterator<Item = (&'static str, &'static str)> {
    let deadline = "ask through `calls.ts`: there every call to an object has a deadline";
    let banned = [
        ("getByName(", deadline),
        ("idFromName(", deadline),
        (
            ".one()",
            "take what rows there are: `one` throws unless there is exactly one",
        ),
    ];
    let is_host = path.starts_with("workers/host/");
    let may_call = path == "workers/host/calls.ts";
    banned
        .into_iter()
        .filter(move |(_, why)| is_host && !(may_call && *why == deadline))
}

/// Spelled in two halves, so that this file may name them.
fn marks() -> [(String, &'static str); 6] {
    [
        (
            ["TO", "DO"].concat(),
            "work that is called done is not marked as open: do it, or open an issue",
        ),
        (
            ["FIX", "ME"].concat(),
            "work that is called done is not marked as open: do it, or open an issue",
        ),
        (["#[ign", "ore"].concat(), "a skipped test proves nothing"),
        (
            ["#[should", "_panic"].concat(),
            "assert what is wrong, not that something was",
        ),
        (
            ["thread::", "sleep("].concat(),
            "wait for the event, not for the clock",
        ),
        (
            ["use super::", "utils"].concat(),
            "name it after what it holds",
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_without_a_header_and_a_file_that_is_too_long_are_named() {
        assert_eq!(of_file("a/src/x.rs", "//! X.\n"), Vec::<String>::new());
        assert_eq!(of_file("a/src/x.rs", "fn x() {}\n").len(), 1);
        assert_eq!(
            of_file("a/src/x/tests.rs", "fn x() {}\n"),
            Vec::<String>::new()
        );
        assert_eq!(of_file("a/src/x.rs", &"//! X.\n".repeat(501)).len(), 1);
        assert_eq!(of_file("a/src/helpers.rs", "//! X.\n").len(), 1);
        assert_eq!(of_file("README.md", "no code"), Vec::<String>::new());
    }

    #[test]
    fn the_host_reaches_objects_in_one_place_and_never_asks_for_exactly_one_row() {
        let reach = "env.FLEET.getByName(name)\n";
        assert_eq!(of_file("workers/host/object.ts", reach).len(), 1);
        assert_eq!(of_file("workers/host/calls.ts", reach).len(), 0);
        let row = "sql.exec(statement).one()\n";
        assert_eq!(of_file("workers/host/calls.ts", row).len(), 1);
        assert_eq!(of_file("scripts/x.mjs", row).len(), 0);
    }

    #[test]
    fn marks_of_unfinished_work_are_found_with_their_line() {
        let text = format!("//! X.\n// {}: later\n", ["TO", "DO"].concat());
        let found = of_file("a/src/x.rs", &text);
        assert!(found[0].starts_with("a/src/x.rs:2:"), "{found:?}");
    }
}
