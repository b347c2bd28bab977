//! How fast frames are decoded: the same text in the frames of every API that streams, as the
//! simulator words it.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use llmeter::api::ApiMode;
use llmeter::endpoint::{EndpointSettings, Frame, ResponseBuilder, Transport};
use llmeter_sim::conformance::{Says, Simulated, Wording as _};

/// Frames of a stream.
const FRAMES: usize = 1000;

/// A frame's type and its data.
type Content = (Option<String>, Vec<u8>);

/// The frames with content; `None` for an API that has no servers of its own.
fn frames(mode: ApiMode) -> Option<Vec<Content>> {
    let mut says = Says::default();
    says.text = (0..FRAMES).map(|_| " word".to_owned()).collect();
    let stream = Simulated::api(mode.name).ok()?.streaming(&says)?;
    let endpoint = mode.endpoint(&settings()).ok()?;
    let Transport::Http(http) = endpoint.transport() else {
        return None;
    };
    let mut framer = http.framing().framer();
    let mut frames = Vec::new();
    for bytes in &stream.content {
        let framed = framer.feed(bytes, |frame, _| {
            frames.push((frame.event.map(str::to_owned), frame.data.to_vec()));
        });
        framed.unwrap_or_else(|error| panic!("{}: {error}", mode.name));
    }
    Some(frames)
}

fn settings() -> EndpointSettings {
    EndpointSettings {
        base_url: Some("http://localhost".to_owned()),
        // Bedrock tells the form of a response by it.
        model: Some("anthropic.some-model".to_owned()),
        api_key: Some("k".into()),
        region: Some("us-east-1".to_owned()),
        ..EndpointSettings::default()
    }
}

fn bench_frames(c: &mut Criterion, name: &str, mode: ApiMode, frames: &[Content]) {
    let endpoint = mode.endpoint(&settings());
    let endpoint = endpoint.unwrap_or_else(|error| panic!("{name}: {error}"));
    let Transport::Http(http) = endpoint.transport() else {
        return;
    };
    let mut group = c.benchmark_group("decoding");
    group.throughput(Throughput::Elements(frames.len() as u64));
    group.bench_function(name, |b| {
        b.iter(|| {
            let mut decoder = http.decoder();
            let mut answer = ResponseBuilder::default();
            for (event, data) in black_box(frames) {
                let frame = Frame {
                    event: event.as_deref(),
                    data,
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
    for mode in ApiMode::all().filter(ApiMode::can_stream) {
        if let Some(frames) = frames(mode) {
            bench_frames(c, mode.name, mode, &frames);
        }
    }
    // Chat frames that differ in more than their text have to be parsed.
    let chat = ApiMode::default();
    let mut different = frames(chat).unwrap_or_default();
    for (index, (_, data)) in different.iter_mut().enumerate() {
        let text = String::from_utf8_lossy(data);
        *data = text
            .replacen("\"created\":0", &format!("\"created\":{index}"), 1)
            .into_bytes();
    }
    let name = format!("{}, each different", chat.name);
    bench_frames(c, &name, chat, &different);
}

criterion_group!(benches, decoding);
criterion_main!(benches);
