//! Cuts the files of `schemas/sql` into the statements that an object runs when it opens.
//!
//! Invariant: no statement is lost. The number of statements is part of the type, and a file with more
//! or fewer does not compile. Comments and literals in these files hold no semicolon.
#![expect(
    clippy::indexing_slicing,
    reason = "runs at compile time only: a slip does not compile"
)]

/// The `N` statements of a file, comments included.
///
/// # Panics
/// At compile time, when the file does not hold exactly `N` statements.
pub(crate) const fn statements<const N: usize>(sql: &'static str) -> [&'static str; N] {
    let mut found = [""; N];
    let mut rest = sql;
    let mut count = 0;
    let mut at = 0;
    while at < rest.len() {
        if rest.as_bytes()[at] == b';' {
            assert!(count < N, "the file holds more statements than expected");
            let (statement, after) = rest.split_at(at);
            found[count] = statement;
            count += 1;
            rest = after.split_at(1).1;
            at = 0;
        } else {
            at += 1;
        }
    }
    assert!(count == N, "the file holds fewer statements than expected");
    found
}

#[cfg(test)]
mod tests {
    use super::statements;

    #[test]
    fn each_statement_keeps_its_text_without_the_semicolon() {
        assert_eq!(
            statements::<2>("-- a\nA (1);\nB;\n"),
            ["-- a\nA (1)", "\nB"]
        );
    }
}
