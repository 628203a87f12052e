//! Any multipart form, whole and in pieces: the same found, and one model however the body is split.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_wire_openai::fuzzing::form_reader(data));
