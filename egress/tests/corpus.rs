//! The committed corpus of the fuzz target `url_gate`, run as an ordinary test.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]
#![allow(missing_docs)]

use std::{fs, path::Path};

#[test]
fn every_text_of_the_corpus_satisfies_the_oracle() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus/url_gate");
    let mut seen = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is committed beside the fuzz target") {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        tidegate_egress::fuzzing::url_gate(&String::from_utf8_lossy(&bytes));
        seen += 1;
    }
    assert!(seen >= 60, "the corpus shrank to {seen} texts");
}
