//! Answers of `openai-embeddings`.
#![no_main]

use llmeter_fuzz::Decoding;

thread_local! {
    static DECODING: Decoding = Decoding::of(None, Some("openai-embeddings"));
}

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| DECODING.with(|decoding| decoding.run(bytes)));
