//! Any stream, whole and in pieces: equal output of whole frames with one last word.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_wire_openai::fuzzing::stream_reader(data));
