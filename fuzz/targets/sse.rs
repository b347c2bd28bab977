//! Server-sent events.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| llmeter_fuzz::framing(
    llmeter::endpoint::Framing::Sse,
    bytes
));
