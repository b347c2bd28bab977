//! Answers of `sagemaker`, streamed and whole.
#![no_main]

use llmeter_fuzz::Decoding;

thread_local! {
    static DECODING: Decoding = Decoding::of(Some("sagemaker-stream"), Some("sagemaker"));
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| DECODING.with(|decoding| decoding.run(bytes)));
