//! How fast frames are decoded: the same text in the frames of every API that streams.

mod streams;

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use llmeter::endpoint::{Answer, ApiMode, EndpointSettings, Frame, Transport};
use streams::{FRAMES, chat_chunk};

/// One delta of an API: the frame's type and its data.
type Delta = (Option<&'static str>, String);

/// How an API words a piece of text, as its servers do.
fn delta(api: &str, text: &str) -> Option<Delta> {
    Some(match api {
        "openai-chat-stream" | "azure-openai-chat-stream" | "http" => (None, chat_chunk(text, 1)),
        "openai-completions-stream" => (
            None,
            format!(
                "{{\"id\":\"cmpl-123456789\",\"object\":\"text_completion\",\"created\":1721075653,\
                 \"model\":\"some-model\",\"choices\":[{{\"index\":0,\"text\":\"{text}\",\
                 \"logprobs\":null,\"finish_reason\":null}}]}}"
            ),
        ),
        "openai-responses-stream" => (
            Some("response.output_text.delta"),
            format!(
                "{{\"type\":\"response.output_text.delta\",\"sequence_number\":4,\
                 \"item_id\":\"msg_123456789\",\"output_index\":0,\"content_index\":0,\
                 \"delta\":\"{text}\",\"logprobs\":[],\"obfuscation\":\"x1y2z3\"}}"
            ),
        ),
        "anthropic-messages-stream" => (Some("content_block_delta"), anthropic(text)),
        "gemini-stream" => (
            None,
            format!(
                "{{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{text}\"}}],\
                 \"role\":\"model\"}},\"index\":0}}],\"usageMetadata\":{{\"promptTokenCount\":8,\
                 \"totalTokenCount\":8}},\"modelVersion\":\"some-model\",\"responseId\":\"r1\"}}"
            ),
        ),
        "ollama-stream" => (
            None,
            format!(
                "{{\"model\":\"some-model\",\"created_at\":\"2026-01-01T00:00:00.000000Z\",\
                 \"message\":{{\"role\":\"assistant\",\"content\":\"{text}\"}},\"done\":false}}"
            ),
        ),
        "tgi-stream" => (
            None,
            format!(
                "{{\"index\":1,\"token\":{{\"id\":4711,\"text\":\"{text}\",\"logprob\":-0.25,\
                 \"special\":false}},\"generated_text\":null,\"details\":null}}"
            ),
        ),
        "bedrock-converse-stream" => (
            Some("contentBlockDelta"),
            format!(
                "{{\"contentBlockIndex\":0,\"delta\":{{\"text\":\"{text}\"}},\
                 \"p\":\"abcdefghijklmnop\"}}"
            ),
        ),
        "bedrock-invoke-stream" => (Some("chunk"), invoke_chunk(&anthropic(text))),
        "sagemaker-stream" => (
            Some("PayloadPart"),
            format!(
                "data:{{\"index\":1,\"token\":{{\"id\":4711,\"text\":\"{text}\",\
                 \"logprob\":-0.25,\"special\":false}},\"generated_text\":null}}\n\n"
            ),
        ),
        _ => return None,
    })
}

fn anthropic(text: &str) -> String {
    format!(
        "{{\"type\":\"content_block_delta\",\"index\":0,\
         \"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}}}"
    )
}

fn invoke_chunk(inner: &str) -> String {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.encode(inner);
    format!("{{\"bytes\":\"{bytes}\",\"p\":\"abcdefghijklmnop\"}}")
}

fn settings(api: ApiMode) -> EndpointSettings {
    // The only one that has to be told how it answers.
    let is_any = api.streaming.is_none();
    let text = ("text".to_owned(), "choices[0].delta.content".to_owned());
    EndpointSettings {
        framing: is_any.then(|| "sse".to_owned()),
        jmespath: if is_any { vec![text] } else { Vec::new() },
        base_url: Some("http://localhost".to_owned()),
        model: Some("anthropic.some-model".to_owned()),
        api_key: Some("k".into()),
        region: Some("us-east-1".to_owned()),
        ..EndpointSettings::default()
    }
}

fn bench_frames(c: &mut Criterion, name: &str, api: ApiMode, frames: &[Delta]) {
    let endpoint = api.endpoint(&settings(api));
    let endpoint = endpoint.unwrap_or_else(|error| panic!("{name}: {error}"));
    let Transport::Http(http) = endpoint.transport() else {
        return;
    };
    let mut group = c.benchmark_group("decoding");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            let mut decoder = http.decoder();
            let mut answer = Answer::default();
            for (event, data) in black_box(frames) {
                let frame = Frame {
                    event: *event,
                    data: data.as_bytes(),
                    is_error: false,
                };
                decoder.frame(frame, &mut answer);
            }
            assert!(!answer.is_failed());
            answer
        });
    });
    group.finish();
}

fn decoding(c: &mut Criterion) {
    for api in ApiMode::all().filter(ApiMode::can_stream) {
        let frames: Vec<_> = (0..FRAMES)
            .filter_map(|index| delta(api.name, &format!(" tok{index}")))
            .collect();
        assert_eq!(frames.len(), FRAMES, "no frames for {}", api.name);
        bench_frames(c, api.name, api, &frames);
    }
    // Chat frames that differ in more than their text have to be parsed.
    let frames: Vec<_> = (0..FRAMES)
        .map(|index| (None, chat_chunk(&format!(" tok{index}"), index)))
        .collect();
    bench_frames(
        c,
        "openai-chat-stream, each different",
        ApiMode::default(),
        &frames,
    );
}

criterion_group!(benches, decoding);
criterion_main!(benches);
