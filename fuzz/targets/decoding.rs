//! Responses of the API that `LLMETER_FUZZ_API` names, streaming and non-streaming.
#![no_main]

use llmeter_fuzz::Decoding;

thread_local! {
    static DECODING: Decoding = Decoding::of_environment();
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| DECODING.with(|decoding| decoding.run(bytes)));
