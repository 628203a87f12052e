//! Any text through the URL gate: it never panics, and whatever it lets through satisfies the oracle in
//! `tidegate_egress::fuzzing`.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| tidegate_egress::fuzzing::url_gate(text));
