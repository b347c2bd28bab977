//! Responses of HTTP/1.1.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| llmeter_fuzz::http_response(bytes));
