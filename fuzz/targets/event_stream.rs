//! AWS event streams.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| llmeter_fuzz::event_stream(bytes));
