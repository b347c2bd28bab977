use serde_json::json;

use super::assemble::time_per_output_token;
use super::*;
use crate::base::failure::Failure;
use crate::endpoint::OpenAiChat;
use crate::payload::Whitespace;
use crate::run::capture::{ReadArrival, SendTiming};
use crate::run::prepare::Prepared;
use crate::run::quality::QualityMeter;
use llmeter_wire::clock::{self, Stamp};

/// When the request was sent, in nanoseconds.
const SENT: i64 = 5_000_000_000;

fn at(milliseconds: i64) -> Arrival {
    Arrival {
        at: Stamp(SENT + milliseconds * 1_000_000),
        delay_ns: 1_000,
        blur_ns: 0,
        is_kernel: true,
        ..Arrival::default()
    }
}

fn text(piece: &str) -> String {
    let chunk = json!({"id": "a", "choices": [{"index": 0, "delta": {"content": piece}}]});
    format!("data: {chunk}\n\n")
}

struct Bench {
    decoder: Decoder,
    prepared: Arc<Prepared>,
}

impl Bench {
    fn new(streaming: bool) -> Self {
        let endpoint = OpenAiChat::builder("http://127.0.0.1:1/v1", "m").streaming(streaming);
        let endpoint = Arc::new(endpoint.build().unwrap());
        let payload = json!({"messages": [{"role": "user", "content": "one two"}]});
        Self {
            prepared: Arc::new(
                Prepared::new(
                    &Route::to(endpoint.clone(), None),
                    payload.as_object().unwrap(),
                )
                .unwrap(),
            ),
            decoder: Decoder::new(Arc::new([Route::to(endpoint, None)]), Arc::new(Whitespace)),
        }
    }

    /// A segment of a request whose reads brought these pieces at these milliseconds.
    fn segment(&mut self, head: Option<i64>, reads: &[(&str, i64)]) -> Segment {
        let mut segment = Segment {
            origin: None,
            flow: None,
            is_restart: false,
            question: None,
            request: RequestId(7),
            head: head.map(|milliseconds| Box::new((ResponseHead::default(), at(milliseconds)))),
            body: Vec::new(),
            marks: Vec::new(),
            ending: None,
            reservation: None,
        };
        if let Some(head) = &mut segment.head {
            head.0.status = 200;
        }
        for (piece, milliseconds) in reads {
            segment.body.extend_from_slice(piece.as_bytes());
            segment.marks.push(ReadArrival {
                end: segment.body.len() as u32,
                arrival: at(*milliseconds),
            });
        }
        segment
    }

    fn ending(&self, failure: Option<&str>) -> Box<ExchangeEnd> {
        Box::new(ExchangeEnd {
            client: 2,
            prepared: self.prepared.clone(),
            data: CallbackData::default(),
            sending: SendTiming {
                at: Some(Stamp(SENT)),
                wall: Some(clock::wall()),
                lateness: Some(0.001),
                ..SendTiming::default()
            },
            failure: failure.map(|reason| Failure::new(FailureKind::Truncated, reason)),
            at: at(99).at,
            is_warmup: false,
            outcomes: None,
            transport_end: None,
            network: None,
            packets: None,
            response: None,
            turn: None,
        })
    }

    fn finish(&mut self, mut segment: Segment, failure: Option<&str>) -> Recorded {
        segment.ending = Some(self.ending(failure));
        self.decoder.take(segment).unwrap()
    }
}

#[test]
fn a_frame_has_the_time_of_the_read_that_completed_it() {
    let mut bench = Bench::new(true);
    let (one, two, three) = (text("1"), text(" 2"), text(" 3"));
    let (two_begins, two_ends) = two.split_at(20);
    let reads = [
        (format!("{one}{two_begins}"), 10),
        (two_ends[..5].to_owned(), 15),
        (format!("{}{three}", &two_ends[5..]), 20),
    ];
    let reads: Vec<_> = reads
        .iter()
        .map(|(piece, at)| (piece.as_str(), *at))
        .collect();
    let segment = bench.segment(Some(4), &reads);
    assert!(bench.decoder.take(segment).is_none(), "the answer goes on");
    // What a segment begins, the next one may complete.
    let four = text(" 4");
    let (begins, ends) = four.split_at(30);
    let segment = bench.segment(None, &[(begins, 25)]);
    assert!(bench.decoder.take(segment).is_none());
    let done = format!("{ends}data: [DONE]\n\n");
    let segment = bench.segment(None, &[(&done, 30), ("\n", 40)]);
    let recorded = bench.finish(segment, None);

    let response = &recorded.response;
    assert_eq!(response.error, None);
    assert_eq!(response.response_text.as_deref(), Some("1 2 3 4"));
    assert_eq!(response.time_to_first_token, Some(0.01));
    assert_eq!(response.time_to_last_token, Some(0.03));
    assert_eq!(response.detail.time_to_headers, Some(0.004));
    assert_eq!(response.detail.inter_token_latencies, [0.01, 0.0, 0.01]);
    assert_eq!(
        response.time_per_output_token,
        time_per_output_token(Some(0.01), Some(0.03), Some(4))
    );
    assert_eq!(response.num_tokens_input, Some(2));
    assert_eq!(response.detail.client, Some(2));
    assert_eq!(response.detail.send_lateness, Some(0.001));
}

#[test]
fn a_read_that_brought_head_and_body_is_one_read() {
    let mut bench = Bench::new(true);
    let body = text("1") + "data: [DONE]\n\n";
    let segment = bench.segment(Some(4), &[(&body, 4), ("\n", 6)]);
    let recorded = bench.finish(segment, None);
    let mut meter = crate::run::quality::QualityMeter::new();
    meter.record(&recorded.quality, false);
    assert_eq!(meter.reads(), 2);
}

#[test]
fn answers_of_one_client_do_not_run_into_each_other() {
    let mut bench = Bench::new(true);
    let segment = bench.segment(Some(1), &[("data: {\"choi", 1)]);
    let recorded = bench.finish(segment, Some("it broke"));
    assert_eq!(recorded.response.error_text(), Some("it broke"));
    assert_eq!(recorded.response.response_text, None);
    let body = text("1") + "data: [DONE]\n\n";
    let segment = bench.segment(Some(4), &[(&body, 4)]);
    let recorded = bench.finish(segment, None);
    assert_eq!(recorded.response.error, None);
    assert_eq!(recorded.response.response_text.as_deref(), Some("1"));
}

#[test]
fn responses_whose_segments_alternate_are_kept_apart() {
    let mut bench = Bench::new(true);
    let texts = ["one", "two"].map(text);
    let halves = texts.each_ref().map(|text| text.split_at(20));
    for (number, (begin, _)) in halves.iter().enumerate() {
        let mut segment = bench.segment(Some(1), &[(begin, 1)]);
        segment.request = RequestId(number as u64);
        assert!(bench.decoder.take(segment).is_none());
    }
    for (number, (_, end)) in halves.iter().enumerate() {
        let end = format!("{end}data: [DONE]\n\n");
        let mut segment = bench.segment(None, &[(&end, 2)]);
        segment.request = RequestId(number as u64);
        segment.ending = Some(bench.ending(None));
        let response = bench.decoder.take(segment).unwrap().response;
        let expected = ["one", "two"][number];
        assert_eq!(response.response_text.as_deref(), Some(expected));
    }
}

#[test]
fn an_answer_in_one_piece_has_no_first_token() {
    let mut bench = Bench::new(false);
    let body = json!({"choices": [{"message": {"content": "a b c"}, "finish_reason": "stop"}]});
    let body = body.to_string();
    let (begins, ends) = body.split_at(10);
    let segment = bench.segment(Some(4), &[(begins, 10), (ends, 20)]);
    let response = bench.finish(segment, None).response;
    assert_eq!(response.error, None);
    assert_eq!(response.time_to_first_token, None);
    assert_eq!(response.time_to_last_token, Some(0.02));
    assert_eq!(response.num_tokens_output, Some(3));
    assert_eq!(response.time_per_output_token, None);
    assert_eq!(response.detail.content_frames, None);
}

#[test]
fn a_request_that_was_never_sent_has_no_times() {
    let mut bench = Bench::new(true);
    let mut segment = bench.segment(None, &[]);
    let mut ending = bench.ending(Some("cannot connect"));
    ending.sending = SendTiming {
        wall: Some(clock::wall()),
        ..SendTiming::default()
    };
    segment.ending = Some(ending);
    let response = bench.decoder.take(segment).unwrap().response;
    assert_eq!(response.error_text(), Some("cannot connect"));
    assert_eq!(response.request_time, None);
    assert_eq!(response.time_to_last_token, None);
    assert_eq!(
        (response.num_tokens_input, response.num_tokens_output),
        (None, None)
    );
    assert_eq!(response.detail.status, None);
    assert!(response.input_prompt.is_some() && response.input_payload.is_some());
}

#[test]
fn times_per_token_need_two_tokens_and_two_times() {
    for (first, last, tokens, expected) in [
        (Some(0.1), Some(0.5), Some(5), Some(0.1)),
        (Some(0.1), Some(0.1), Some(5), Some(0.0)),
        (Some(0.1), Some(0.5), Some(1), None),
        (Some(0.1), Some(0.5), Some(0), None),
        (Some(0.1), Some(0.5), None, None),
        (None, Some(0.5), Some(5), None),
        (Some(0.1), None, Some(5), None),
        (Some(0.0), Some(0.5), Some(5), None),
    ] {
        assert_eq!(time_per_output_token(first, last, tokens), expected);
    }
}

/// The last bytes of a packed body may unpack to nothing, and come late all the same.
#[test]
fn reads_count_from_which_nothing_can_be_unpacked_yet() {
    use std::io::Write;
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    packer.write_all(text("one").as_bytes()).unwrap();
    packer.write_all(b"data: [DONE]\n\n").unwrap();
    let packed = packer.finish().unwrap();
    let mut bench = Bench::new(true);
    let mut segment = bench.segment(Some(10), &[]);
    segment.head.as_mut().unwrap().0 = ResponseHead::new(200).with("content-encoding", "gzip");
    let ends = [5, packed.len() - 3, packed.len()];
    for (end, milliseconds) in ends.into_iter().zip([20, 30, 40]) {
        segment.marks.push(ReadArrival {
            end: end as u32,
            arrival: at(milliseconds),
        });
    }
    segment.body = packed;
    segment.ending = Some(bench.ending(None));
    let recorded = bench.decoder.take(segment).unwrap();
    assert_eq!(recorded.response.error, None);
    assert_eq!(recorded.response.time_to_first_token, Some(0.03));
    let mut meter = QualityMeter::new();
    meter.record(&recorded.quality, true);
    assert_eq!(meter.reads(), 4, "the head's and three of the body's");
}

/// Of a long key in hexadecimal digits six stand in many a random id, by chance.
#[test]
fn the_id_that_an_answer_without_one_is_given_is_no_secret() {
    let mut state = 1_u32;
    let digit = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from_digit(state >> 28, 16).unwrap()
    };
    let key: String = (0..8_192).map(digit).collect();
    let endpoint = OpenAiChat::builder("http://127.0.0.1:1/v1", "m").streaming(false);
    let endpoint = endpoint.api_key(key.as_str()).build().unwrap();
    let payload = json!({"messages": [{"role": "user", "content": "one two"}]});
    let mut replay =
        crate::run::Replay::new(Arc::new(endpoint), payload.as_object().unwrap()).unwrap();
    let body = br#"{"choices":[{"message":{"content":"a"},"finish_reason":"stop"}]}"#;
    for _ in 0..2_000 {
        let response = replay.record(ResponseHead::new(200), &[body]).unwrap();
        let id = response.id.unwrap();
        assert!(
            id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
            "{id}"
        );
    }
}
