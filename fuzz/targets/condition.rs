//! Conditions on figures.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| llmeter_fuzz::condition(bytes));
