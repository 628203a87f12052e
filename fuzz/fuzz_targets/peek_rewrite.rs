//! Any body: refused, or rewritten so that only what was asked for differs.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tidegate_wire_openai::fuzzing::peek_rewrite(data));
