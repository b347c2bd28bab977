//! How fast a stream is cut into events, and how fast the events are decoded.

use std::fmt::Write;
use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use llmeter::Endpoint;
use llmeter::endpoint::{Answer, Frame, OpenAiChat, Way};
use llmeter::wire::sse::SseFramer;

const EVENTS: usize = 1000;

/// A stream of chat completion chunks of about 200 bytes each. They are alike but for their text,
/// as most servers' are, unless `stamp` makes them differ.
fn stream(stamp: impl Fn(usize) -> usize) -> String {
    let mut stream = String::new();
    for index in 0..EVENTS {
        let created = 1_721_075_653 + stamp(index);
        let _ = write!(
            stream,
            "data: {{\"id\":\"chatcmpl-123456789\",\"object\":\"chat.completion.chunk\",\
             \"created\":{created},\"model\":\"some-model\",\"choices\":[{{\"index\":0,\
             \"delta\":{{\"content\":\" tok{index}\"}},\"logprobs\":null,\
             \"finish_reason\":null}}]}}\n\n"
        );
    }
    stream
}

fn framing(c: &mut Criterion) {
    let stream = stream(|_| 0);
    let mut group = c.benchmark_group("sse framing");
    group.throughput(Throughput::Bytes(stream.len() as u64));
    let event = stream.len() / EVENTS;
    for (name, size) in [
        ("many events a read", 64 << 10),
        ("about one event a read", event),
        ("64 bytes a read", 64),
        ("one byte a read", 1),
    ] {
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut framer = SseFramer::new();
                let mut bytes = 0;
                for read in black_box(stream.as_bytes()).chunks(size) {
                    let fed = framer.feed(read, |event, end| bytes += event.data.len() + end);
                    assert!(fed.is_ok());
                }
                bytes
            });
        });
    }
    group.finish();
}

fn decoding(c: &mut Criterion) {
    let endpoint = OpenAiChat::builder("http://localhost/v1", "m").build();
    let endpoint = endpoint.unwrap_or_else(|error| panic!("{error}"));
    let Way::Http(api) = endpoint.way() else {
        return;
    };
    let mut group = c.benchmark_group("frame decoding");
    group.throughput(Throughput::Elements(EVENTS as u64));
    for (name, stream) in [
        ("openai chat, frames alike", stream(|_| 0)),
        ("openai chat, each different", stream(|index| index)),
    ] {
        let mut frames: Vec<Vec<u8>> = Vec::new();
        let fed = SseFramer::new().feed(stream.as_bytes(), |event, _| {
            frames.push(event.data.to_vec());
        });
        assert!(fed.is_ok() && frames.len() == EVENTS);
        group.bench_function(name, |b| {
            b.iter(|| {
                let mut decoder = api.decoder();
                let mut answer = Answer::default();
                for frame in black_box(&frames) {
                    decoder.frame(
                        Frame {
                            event: None,
                            data: frame,
                            is_error: false,
                        },
                        &mut answer,
                    );
                }
                assert!(!answer.is_failed());
                answer
            });
        });
    }
    group.finish();
}

criterion_group!(benches, framing, decoding);
criterion_main!(benches);
