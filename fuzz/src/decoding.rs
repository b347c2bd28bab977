//! Answers of an API, from the read to the record.

use std::cell::RefCell;
use std::sync::Arc;

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use llmeter::endpoint::{ApiMode, AwsOptions, EndpointSettings, Framing, ResponseHead, Transport};
use llmeter::run::Replay;
use llmeter::{Endpoint, InvocationResponse};

use crate::{FAILED, Input, WHOLE, assert_same};

/// The endpoint's key, which no message may repeat.
const KEY: &str = "sk-fuzz-0123456789";
/// Between the messages of an event stream, which are written as `TYPE PAYLOAD`, failures as
/// `!TYPE PAYLOAD`, and `=TYPE JSON` where the payload holds the JSON as base64.
const SEPARATOR: u8 = 0x1E;

struct Recorder {
    replay: RefCell<Replay>,
    framing: Option<Framing>,
}

/// Tries what an API makes of its answers.
pub struct Decoding {
    streamed: Option<Recorder>,
    whole: Option<Recorder>,
}

impl Decoding {
    /// Those of the API that has a mode of the name in `LLMETER_FUZZ_API`; of the first API if the
    /// variable is not set.
    ///
    /// # Panics
    /// If there is no such API.
    pub fn of_environment() -> Self {
        let api = match std::env::var("LLMETER_FUZZ_API") {
            Ok(name) => {
                ApiMode::named(&name)
                    .unwrap_or_else(|error| panic!("{error}"))
                    .api
            }
            Err(_) => ApiMode::default().api,
        };
        let recorder = |is_streamed: bool| {
            let modes = api.spec().modes.iter();
            let mut modes = modes.filter(|mode| mode.streaming != Some(!is_streamed));
            let mode = ApiMode::named(modes.next()?.name).ok()?;
            Some(Recorder::of(mode, is_streamed))
        };
        Self {
            streamed: recorder(true),
            whole: recorder(false),
        }
    }

    /// Tries one input.
    pub fn run(&self, bytes: &[u8]) {
        let Some(input) = Input::of(bytes) else {
            return;
        };
        let recorder = match input.is(WHOLE) {
            true => self.whole.as_ref().or(self.streamed.as_ref()),
            false => self.streamed.as_ref().or(self.whole.as_ref()),
        };
        if let Some(recorder) = recorder {
            recorder.run(&input);
        }
    }
}

impl Recorder {
    fn of(api: ApiMode, is_streamed: bool) -> Self {
        let made = || -> llmeter::Result<_> {
            let endpoint = endpoint(api, is_streamed)?;
            let framing = match endpoint.transport() {
                Transport::Http(http) if endpoint.is_streaming() => Some(http.framing()),
                _ => None,
            };
            let payload = api.create_payload("Say something.", 16)?;
            Ok(Self {
                replay: RefCell::new(Replay::new(endpoint, &payload)?),
                framing,
            })
        };
        made().unwrap_or_else(|reason| panic!("{}: {reason}", api.name))
    }

    fn run(&self, input: &Input<'_>) {
        let is_failed = input.is(FAILED);
        let written;
        let body = match self.framing {
            Some(Framing::EventStream) if !is_failed => {
                written = event_stream(input.body);
                &written
            }
            _ => input.body,
        };
        let media_type = self.framing.map(Framing::media_type);
        let head = ResponseHead::new(if is_failed { 429 } else { 200 })
            .with("Content-Type", media_type.unwrap_or("application/json"));
        let record = |reads: Vec<&[u8]>| self.record(head.clone(), &reads);
        let response = assert_same(input.ways(body).map(record));

        assert!(!is_failed || response.error.is_some());
        let error = response.error_text().unwrap_or_default();
        assert!(!error.contains(KEY), "an error shows the key: {error}");
        // What is no UTF-8 takes three bytes where it took one.
        let most = 3 * body.len();
        let texts = [&response.response_text, &response.detail.reasoning_text];
        let kept: usize = texts.into_iter().flatten().map(String::len).sum();
        assert!(kept <= most, "the answer holds more than came");
        let times = [
            response.time_to_first_token,
            response.time_to_last_token,
            response.detail.time_to_first_answer_token,
        ];
        for time in times.into_iter().flatten() {
            assert!(time == 0.001, "{time} is not when everything came");
        }
    }

    fn record(&self, head: ResponseHead, reads: &[&[u8]]) -> InvocationResponse {
        let recorded = self.replay.borrow_mut().record(head, reads);
        let mut response = recorded.unwrap_or_else(|| panic!("the answer was not recorded"));
        // An answer without an id is given one, another each time.
        let is_given = |id: &String| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        response.id = response.id.filter(|id| !is_given(id));
        response
    }
}

fn endpoint(api: ApiMode, is_streamed: bool) -> llmeter::Result<Arc<dyn Endpoint>> {
    let is_any = api.streaming.is_none();
    let framing = if is_streamed { "ndjson" } else { "none" };
    let places = [
        ("text", "text || choices[0].delta.content"),
        ("reasoning", "thought"),
        ("tool-call", "calls[].arguments"),
        ("id", "id"),
        ("end", "done"),
        ("input-tokens", "usage.input"),
        ("output-tokens", "usage.output"),
    ];
    let place = |(part, path): (&str, &str)| (part.to_owned(), path.to_owned());
    api.endpoint(&EndpointSettings {
        framing: is_any.then(|| framing.to_owned()),
        jmespath: places.map(place).into_iter().filter(|_| is_any).collect(),
        base_url: Some("http://127.0.0.1:1".to_owned()),
        // Bedrock tells the form of an answer by it.
        model: Some("anthropic.some-model".to_owned()),
        api_key: Some(KEY.into()),
        region: Some("us-east-1".to_owned()),
        aws: Some(AwsOptions::new().access_keys("AKIDFUZZ", KEY, None)),
        ..EndpointSettings::default()
    })
}

/// The event stream that `text` stands for.
fn event_stream(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in text.split(|byte| *byte == SEPARATOR) {
        let mut halves = line.splitn(2, |byte| *byte == b' ');
        let kind = halves.next().unwrap_or_default();
        let payload = halves.next().unwrap_or_default();
        let kind = String::from_utf8_lossy(kind);
        let (message_type, header, kind) = match kind.strip_prefix('!') {
            Some(kind) => ("exception", ":exception-type", kind),
            None => ("event", ":event-type", &*kind),
        };
        let (kind, payload) = match kind.strip_prefix('=') {
            Some(kind) => {
                let bytes = STANDARD.encode(payload);
                (kind, format!("{{\"bytes\":\"{bytes}\"}}").into_bytes())
            }
            None => (kind, payload.to_vec()),
        };
        let mut message = Message::new(payload);
        for (name, value) in [(":message-type", message_type), (header, kind)] {
            let value = HeaderValue::String(value.to_owned().into());
            message = message.add_header(Header::new(name, value));
        }
        let written = write_message_to(&message, &mut bytes);
        if written.is_err() {
            return Vec::new(); // A type longer than a header can be.
        }
    }
    bytes
}
