//! The committed corpora of the fuzz targets, run on the stable toolchain.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

use std::fs;
use std::path::Path;

use tidegate_wire_openai::fuzzing;

fn run(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut seeds = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        body(&fs::read(&path).unwrap());
        seeds += 1;
    }
    assert!(seeds >= 30, "{} holds only {seeds} seeds", folder.display());
}

#[test]
fn the_stream_reader_keeps_its_promises_on_its_corpus() {
    run("stream_reader", fuzzing::stream_reader);
}

#[test]
fn a_rewrite_keeps_its_promises_on_its_corpus() {
    run("peek_rewrite", fuzzing::peek_rewrite);
}

#[test]
fn the_form_reader_keeps_its_promises_on_its_corpus() {
    run("form_reader", fuzzing::form_reader);
}
