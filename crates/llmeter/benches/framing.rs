//! How fast a stream is cut into frames: the same frames as server-sent events, as lines and as AWS
//! event streams.

mod streams;

use std::hint::black_box;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use llmeter::endpoint::Framing;
use streams::{FRAMES, chat_chunk};

/// The bytes of one frame.
fn framed(framing: Framing, data: &str) -> Vec<u8> {
    match framing {
        Framing::Sse => format!("data: {data}\n\n").into_bytes(),
        Framing::JsonLines => format!("{data}\n").into_bytes(),
        Framing::EventStream => message(data),
    }
}

fn message(data: &str) -> Vec<u8> {
    let mut message = Message::new(data.as_bytes().to_vec());
    for (name, value) in [
        (":event-type", "chunk"),
        (":content-type", "application/json"),
        (":message-type", "event"),
    ] {
        let value = HeaderValue::String(value.to_owned().into());
        message = message.add_header(Header::new(name, value));
    }
    let mut bytes = Vec::new();
    let written = write_message_to(&message, &mut bytes);
    written.unwrap_or_else(|error| panic!("{error}"));
    bytes
}

fn framing(c: &mut Criterion) {
    for (name, framing) in [
        ("sse", Framing::Sse),
        ("json lines", Framing::JsonLines),
        ("event stream", Framing::EventStream),
    ] {
        let stream: Vec<u8> = (0..FRAMES)
            .flat_map(|index| framed(framing, &chat_chunk(&format!(" tok{index}"), 1)))
            .collect();
        let mut group = c.benchmark_group(format!("framing, {name}"));
        group.throughput(Throughput::Elements(FRAMES as u64));
        for (reads, size) in [
            ("many frames a read", 64 << 10),
            ("about one frame a read", stream.len() / FRAMES),
            ("64 bytes a read", 64),
            ("one byte a read", 1),
        ] {
            group.bench_function(reads, |b| {
                b.iter(|| {
                    let mut framer = framing.framer();
                    let (mut frames, mut bytes) = (0, 0);
                    for read in black_box(stream.as_slice()).chunks(size) {
                        let fed = framer.feed(read, |frame, end| {
                            frames += 1;
                            bytes += frame.data.len() + end;
                        });
                        assert!(fed.is_ok());
                    }
                    assert_eq!(frames, FRAMES);
                    bytes
                });
            });
        }
        group.finish();
    }
}

criterion_group!(benches, framing);
criterion_main!(benches);
