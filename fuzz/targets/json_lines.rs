//! JSON values, one a line.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| llmeter_fuzz::framing(
    llmeter::endpoint::Framing::JsonLines,
    bytes
));
