//! SSE framing against a simple reading of the standard.

use llmeter::wire::sse::{SseFramer, SseTail};
use proptest::prelude::*;

/// An event and the place in the whole stream just past the byte that completed it.
type Event = (Option<String>, Vec<u8>, usize);

fn framed(feeds: &[&[u8]]) -> (Vec<Event>, Option<SseTail>) {
    let mut framer = SseFramer::new();
    let mut events = Vec::new();
    let mut fed = 0;
    for feed in feeds {
        framer
            .feed(feed, |event, end| {
                assert!(end >= 1 && end <= feed.len());
                events.push((
                    event.event.map(str::to_owned),
                    event.data.to_vec(),
                    fed + end,
                ));
            })
            .unwrap();
        fed += feed.len();
    }
    let tail = framer.finish();
    assert_eq!(framer.finish(), None, "a finished framer is at a new start");
    (events, tail)
}

fn framed_by(size: usize, stream: &[u8]) -> (Vec<Event>, Option<SseTail>) {
    framed(&stream.chunks(size).collect::<Vec<_>>())
}

/// The standard's algorithm, word by word, over the whole stream.
fn reference(stream: &[u8]) -> Vec<Event> {
    let mut lines: Vec<(Vec<u8>, usize)> = Vec::new();
    let mut line = Vec::new();
    let mut at = 0;
    if stream.starts_with(b"\xEF\xBB\xBF") {
        at = 3;
    }
    while at < stream.len() {
        match stream[at] {
            b'\n' => lines.push((std::mem::take(&mut line), at + 1)),
            b'\r' => {
                lines.push((std::mem::take(&mut line), at + 1));
                if stream.get(at + 1) == Some(&b'\n') {
                    at += 1;
                }
            }
            byte => line.push(byte),
        }
        at += 1;
    }

    let mut events = Vec::new();
    let mut data: Vec<u8> = Vec::new();
    let mut name = Vec::new();
    for (line, end) in lines {
        if line.is_empty() {
            if !data.is_empty() {
                data.pop();
                let name = String::from_utf8_lossy(&name).into_owned();
                let name = (!name.is_empty()).then_some(name);
                events.push((name, data.clone(), end));
            }
            data.clear();
            name.clear();
            continue;
        }
        let (field, value) = match line.iter().position(|byte| *byte == b':') {
            Some(colon) => {
                let value = &line[colon + 1..];
                (&line[..colon], value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (&line[..], &b""[..]),
        };
        match field {
            b"data" => {
                data.extend_from_slice(value);
                data.push(b'\n');
            }
            b"event" => name = value.to_vec(),
            _ => {}
        }
    }
    events
}

fn event(name: Option<&str>, data: &str, end: usize) -> Event {
    (name.map(str::to_owned), data.as_bytes().to_vec(), end)
}

#[test]
fn every_line_end_completes_an_event_at_its_first_byte() {
    for (stream, end) in [
        (&b"data: a\n\n"[..], 9),
        (b"data: a\r\r", 9),
        (b"data: a\r\n\r\n", 10),
        (b"data: a\n\r\n", 9),
        (b"data: a\r\n\n", 10),
    ] {
        for size in 1..=stream.len() {
            let (events, tail) = framed_by(size, stream);
            assert_eq!(events, [event(None, "a", end)], "{stream:?} by {size}");
            assert_eq!(tail, None, "{stream:?} by {size}");
        }
    }
}

#[test]
fn a_line_feed_after_a_split_carriage_return_ends_no_second_line() {
    let (events, tail) = framed(&[b"data: a\r", b"\ndata: b\r\n\r", b"\n", b"data: c\n\n"]);
    assert_eq!(
        events,
        [event(None, "a\nb", 19), event(None, "c", 29)],
        "a\\r + \\n is one line end"
    );
    assert_eq!(tail, None);
}

#[test]
fn an_empty_feed_changes_nothing() {
    let (events, tail) = framed(&[b"", b"data: a\r", b"", b"\n", b"", b"\r", b"", b"\n", b""]);
    assert_eq!(events, [event(None, "a", 10)]);
    assert_eq!(tail, None);
}

#[test]
fn fields() {
    let stream = b": OPENROUTER PROCESSING\n\
        id: 7\nretry: 10\nevent: first\nevent:delta\ndata:one\ndata:  two\ndata\n\n\
        data\n\nevent: lost\n\ndata: after\ndatabase: no\nevents: no\n Data: no\n\n";
    let expected = [
        (Some("delta".to_owned()), b"one\n two\n".to_vec()),
        (None, Vec::new()),
        (None, b"after".to_vec()),
    ];
    for size in 1..=stream.len() {
        let (events, tail) = framed_by(size, stream);
        let events: Vec<_> = events
            .into_iter()
            .map(|(name, data, _)| (name, data))
            .collect();
        assert_eq!(events, expected, "by {size}");
        assert_eq!(tail, None);
    }
}

#[test]
fn a_byte_order_mark_counts_only_at_the_start() {
    let stream = b"\xEF\xBB\xBFdata: a\n\n\xEF\xBB\xBFdata: b\n\n";
    for size in 1..=stream.len() {
        let (events, _) = framed_by(size, stream);
        assert_eq!(events, [event(None, "a", 12)], "by {size}");
    }
}

#[test]
fn the_end_hands_over_an_unfinished_event() {
    let tail = |event: Option<&str>, data: &str, within_line| {
        Some(SseTail {
            event: event.map(str::to_owned),
            data: data.as_bytes().to_vec(),
            within_line,
        })
    };
    for (stream, expected) in [
        (&b""[..], None),
        (b"data: a\n\n", None),
        (b"data: a\n\n: bye\n", None),
        (b"data: a\n", tail(None, "a", false)),
        (b"data: a", tail(None, "a", true)),
        (b"event: x\ndata: a\ndata: b", tail(Some("x"), "a\nb", true)),
        (b"event: x\n", tail(Some("x"), "", false)),
        (b"dat", tail(None, "", true)),
    ] {
        for size in 1..=stream.len().max(1) {
            let (_, tail) = framed_by(size, stream);
            assert_eq!(tail, expected, "{stream:?} by {size}");
        }
    }
}

#[test]
fn data_is_borrowed_when_it_lies_in_one_feed() {
    let feed = b"data: abc\n\n";
    SseFramer::new()
        .feed(feed, |event, _| {
            assert!(feed.as_ptr_range().contains(&event.data.as_ptr()));
        })
        .unwrap();
}

#[test]
fn a_too_large_event_is_an_error_after_the_events_before_it() {
    let mut one_line = b"data: fine\n\ndata: ".to_vec();
    one_line.extend([b'x'; 200]);
    let mut many_lines = b"data: fine\n\n".to_vec();
    for _ in 0..40 {
        many_lines.extend(b"data: xxxxx\n");
    }
    for stream in [one_line, many_lines] {
        for size in [1, 7, 50, 1000] {
            let mut framer = SseFramer::with_limit(100);
            let mut events = 0;
            let mut failed = false;
            for feed in stream.chunks(size) {
                failed |= framer.feed(feed, |_, _| events += 1).is_err();
            }
            assert!(failed && events == 1, "by {size}");
            assert!(framer.feed(b"\n\ndata: x\n\n", |_, _| events += 1).is_err());
            assert_eq!(events, 1);
        }
    }
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        3 => Just(b"data: ".to_vec()),
        3 => Just(b"data:".to_vec()),
        2 => Just(b"event: ".to_vec()),
        1 => Just(b"data".to_vec()),
        1 => Just(b"id: 1".to_vec()),
        1 => Just(b": c".to_vec()),
        1 => Just(b"\xEF\xBB\xBF".to_vec()),
        4 => Just(b"\n".to_vec()),
        3 => Just(b"\r".to_vec()),
        3 => Just(b"\r\n".to_vec()),
        3 => Just(b"\n\n".to_vec()),
        3 => "[a-z{}: ]{0,6}".prop_map(String::into_bytes),
        1 => proptest::collection::vec(any::<u8>(), 0..5),
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn any_split_gives_the_events_of_the_standard(
        stream in stream(),
        cuts in proptest::collection::vec(any::<proptest::sample::Index>(), 0..12),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
        cuts.sort_unstable();
        let mut feeds = Vec::new();
        let mut from = 0;
        for cut in cuts {
            feeds.push(&stream[from..cut]);
            from = cut;
        }
        feeds.push(&stream[from..]);

        let expected = reference(&stream);
        let (split, split_tail) = framed(&feeds);
        let (whole, whole_tail) = framed(&[&stream]);
        let (single, single_tail) = framed_by(1, &stream);
        prop_assert_eq!(&split, &expected);
        prop_assert_eq!(&whole, &expected);
        prop_assert_eq!(&single, &expected);
        prop_assert_eq!(&split_tail, &whole_tail);
        prop_assert_eq!(&single_tail, &whole_tail);
    }
}
