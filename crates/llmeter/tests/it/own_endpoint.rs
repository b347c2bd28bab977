//! Endpoints of users: the example's, and some that misbehave.

#[expect(
    dead_code,
    unreachable_pub,
    clippy::duplicate_mod,
    reason = "it has a main function, and the other example loads it, too"
)]
#[path = "../../examples/own_endpoint.rs"]
mod example;

use std::borrow::Cow;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::scripted::answers::{DONE, chunked, stop, text, whole_stream};
use crate::scripted::{Scripted, finish, payload, run, write};
use example::{LineEndpoint, toy_server};
use llmeter::endpoint::{
    self, ApiEndpoint, EndpointError, Frame, FrameDecoder, HttpApi, HttpRequest, Identity, Invoke,
    ResponseBuilder, SavedObject, TokenSource, Transport, async_trait,
};
use llmeter::payload::{Payload, Tokenizer};
use llmeter::wire::Server;
use llmeter::{
    Endpoint, Failure, Interrupt, Load, OpenAiChat, RunConfig, RunResult, Runner, SavedRun,
};
use serde_json::{Value, json};

fn prompt(text: &str) -> Payload {
    json!({"prompt": text}).as_object().unwrap().clone()
}

fn line_endpoint() -> LineEndpoint {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || toy_server(&listener));
    LineEndpoint::new(address)
}

#[test]
fn the_example_is_measured_like_any_other() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = RunConfig::new(Arc::new(line_endpoint()), [prompt("one two three")])
        .clients(3)
        .load(Load::Requests(2))
        .output(folder.path());
    config.warmup = 1;
    let result = run(config);
    assert_eq!(result.responses.len(), 6);
    for response in &result.responses {
        assert_eq!(response.error, None);
        assert_eq!(response.response_text.as_deref(), Some("onetwothree"));
        assert_eq!(response.num_tokens_input, Some(3), "estimated");
        assert_eq!(response.num_tokens_output, Some(3));
        assert_eq!(response.detail.content_frames, Some(3));
        assert_eq!(response.detail.inter_token_latencies.len(), 2);
        let first = response.time_to_first_token.unwrap();
        let last = response.time_to_last_token.unwrap();
        // The server pauses for 5 ms before each word, and the clock started before the first.
        assert!(
            first >= 0.005 && last >= 0.015 && last > first,
            "{first} {last}"
        );
        assert!(response.time_per_output_token.is_some());
        assert!(response.request_time.is_some());
    }
    let path = result.summary.output_path.as_ref().unwrap();
    let loaded = RunResult::load(path).unwrap();
    assert_eq!(loaded.stats_map(), result.stats_map());
    assert_eq!(loaded.responses, result.responses);
    assert_eq!(loaded.summary.endpoint_name.as_deref(), Some("line"));
}

#[test]
fn the_example_can_be_probed() {
    let config = RunConfig::new(Arc::new(line_endpoint()), [prompt("one two three")]);
    let seen = finish(move || llmeter::probe::probe(&config, None, &Interrupt::new())).unwrap();
    assert!(seen.is_success(), "{:?}", seen.error);
    assert!(seen.request.is_none() && seen.frames.is_empty());
    let shown = llmeter::report::probe(&seen, 12);
    for part in ["first token", "onetwothree", "3 in 3 frames", "Succeeded"] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
}

#[test]
fn what_an_endpoint_cannot_send_stops_the_run() {
    let config = RunConfig::new(Arc::new(line_endpoint()), [prompt("two\nlines")]);
    let error = finish(move || Runner::new(config).run_blocking()).unwrap_err();
    assert!(
        error.to_string().contains("needs a `prompt` of one line"),
        "{error}"
    );
}

#[test]
fn failures_are_in_the_endpoints_words() {
    let result = run(RunConfig::new(
        Arc::new(line_endpoint()),
        [prompt("half !broken")],
    ));
    let response = &result.responses[0];
    assert_eq!(response.error_text(), Some("broken"));
    assert_eq!(
        response.response_text.as_deref(),
        Some("half"),
        "what came before is kept"
    );
    assert!(response.time_to_first_token.is_some());
    let result = run(RunConfig::new(
        Arc::new(LineEndpoint::new("127.0.0.1:1")),
        [prompt("hello")],
    ));
    assert!(result.responses[0].error.is_some());
    assert_eq!(result.responses[0].request_time, None, "it was never sent");
}

#[test]
fn a_panic_before_the_first_request_stops_the_run_in_words() {
    let mut config = odd(&[Act::Text]);
    config.payloads = vec![Arc::new(prompt("explode"))];
    let error = finish(move || Runner::new(config).run_blocking()).unwrap_err();
    assert!(error.to_string().contains("cannot prepare this"), "{error}");
}

/// Does with each request, in turn, what the list says.
struct Odd {
    identity: Identity,
    acts: Vec<Act>,
    calls: AtomicUsize,
}

#[derive(Clone, Copy)]
enum Act {
    /// Reports nothing but a text, not even the sending.
    Text,
    Panic,
    /// Panics after a piece of text.
    PanicLate,
    /// Never ends, after a piece of text.
    Hang,
}

fn odd(acts: &[Act]) -> RunConfig {
    let identity = LineEndpoint::new("").identity().clone();
    let endpoint = Odd {
        identity,
        acts: acts.to_vec(),
        calls: AtomicUsize::new(0),
    };
    RunConfig::new(Arc::new(endpoint), [prompt("hello")])
}

impl Endpoint for Odd {
    fn prepare_payload(&self, payload: &mut Payload) -> Result<(), EndpointError> {
        assert!(payload["prompt"] != "explode", "cannot prepare this");
        Ok(())
    }
    fn identity(&self) -> &Identity {
        &self.identity
    }
    fn is_streaming(&self) -> bool {
        true
    }
    fn transport(&self) -> Transport<'_> {
        Transport::Invoke(self)
    }
    fn saved(&self) -> SavedObject {
        LineEndpoint::new("").saved()
    }
}

#[async_trait]
impl Invoke for Odd {
    async fn invoke(&self, _: &Payload, answer: &mut ResponseBuilder) -> Result<(), Failure> {
        let number = self.calls.fetch_add(1, Ordering::SeqCst);
        match self.acts[number % self.acts.len()] {
            Act::Text => answer.text("all"),
            Act::Panic => panic!("oh no, number {number}"),
            Act::PanicLate => {
                answer.sent();
                answer.text("half");
                tokio::task::yield_now().await;
                panic!("too late");
            }
            Act::Hang => {
                answer.sent();
                answer.text("half");
                std::future::pending::<()>().await;
            }
        }
        Ok(())
    }
}

#[test]
fn a_panic_while_warming_up_does_not_hold_up_the_run() {
    let mut config = odd(&[Act::Panic]).clients(3).load(Load::Requests(2));
    config.warmup = 2;
    let result = run(config);
    assert_eq!(result.responses.len(), 6);
    assert_eq!(result.warnings, [""; 0]);
}

#[test]
fn a_panic_is_one_failed_request() {
    let result =
        run(odd(&[Act::Text, Act::Panic, Act::PanicLate, Act::Text]).load(Load::Requests(4)));
    let [first, second, third, fourth] = &result.responses[..] else {
        panic!("{} answers", result.responses.len());
    };
    for whole in [first, fourth] {
        assert_eq!(whole.error, None);
        assert_eq!(whole.response_text.as_deref(), Some("all"));
        assert!(
            whole.time_to_first_token.is_some(),
            "the clock started with the call"
        );
        assert!(whole.request_time.is_some());
    }
    assert_eq!(
        second.error_text(),
        Some("the endpoint's code panicked: oh no, number 1")
    );
    assert_eq!(second.request_time, None);
    assert_eq!(
        third.error_text(),
        Some("the endpoint's code panicked: too late")
    );
    assert_eq!(third.response_text.as_deref(), Some("half"));
    assert!(third.time_to_first_token.is_some());
    assert_eq!(result.stats_map()["failed_requests"], 2);
}

#[test]
fn the_timeout_holds_for_own_endpoints() {
    let mut config = odd(&[Act::Hang, Act::Text]).load(Load::Requests(2));
    config.timeout = Duration::from_millis(100);
    let result = run(config);
    let cut = &result.responses[0];
    assert_eq!(cut.error_text(), Some("timed out after 0.1 s"));
    assert_eq!(cut.response_text.as_deref(), Some("half"));
    assert!(cut.time_to_first_token.is_some());
    assert!(cut.request_time.is_some());
    assert_eq!(result.responses[1].error, None);
}

/// The chat API with a decoder, or a redaction, that panics on a word.
struct Fragile {
    chat: ApiEndpoint,
    redacts: bool,
}

struct FragileDecoder(Box<dyn FrameDecoder>);

fn api(chat: &ApiEndpoint) -> &dyn HttpApi {
    match chat.transport() {
        Transport::Http(api) => api,
        Transport::Invoke(_) => unreachable!(),
    }
}

impl Endpoint for Fragile {
    fn identity(&self) -> &Identity {
        self.chat.identity()
    }
    fn is_streaming(&self) -> bool {
        true
    }
    fn transport(&self) -> Transport<'_> {
        Transport::Http(self)
    }
    fn saved(&self) -> SavedObject {
        self.chat.saved()
    }
}

impl HttpApi for Fragile {
    fn server(&self) -> &Server {
        api(&self.chat).server()
    }
    fn request(&self, payload: &Payload) -> Result<HttpRequest, EndpointError> {
        api(&self.chat).request(payload)
    }
    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::new(FragileDecoder(api(&self.chat).decoder()))
    }
    fn redact<'t>(&self, text: &'t str) -> Cow<'t, str> {
        assert!(!self.redacts, "redacting broke");
        Cow::Borrowed(text)
    }
}

impl FrameDecoder for FragileDecoder {
    fn frame(&mut self, frame: Frame<'_>, answer: &mut ResponseBuilder) {
        assert!(!frame.data.windows(4).any(|word| word == b"boom"), "boom");
        self.0.frame(frame, answer);
    }
    fn non_streaming(&mut self, body: &[u8], answer: &mut ResponseBuilder) {
        self.0.non_streaming(body, answer);
    }
    fn end(&mut self, answer: &mut ResponseBuilder) {
        self.0.end(answer);
    }
    fn error_message(&self, body: &[u8]) -> Option<String> {
        self.0.error_message(body)
    }
}

fn fragile(server: &Scripted, redacts: bool) -> RunConfig {
    let chat = OpenAiChat::builder(&server.base_url, "m").build().unwrap();
    RunConfig::new(Arc::new(Fragile { chat, redacts }), [payload("hello")])
}

#[test]
fn a_decoder_that_panics_costs_one_answer() {
    let long = "word ".repeat(20_000);
    let bad = text("half") + &text("boom") + &text("boom") + &text(&long) + &stop() + DONE;
    let server = Scripted::start(vec![
        vec![write(chunked(&whole_stream(&["all"])))],
        vec![write(chunked(&bad))],
        vec![write(chunked(&whole_stream(&["all"])))],
    ]);
    let result = run(fragile(&server, false).load(Load::Requests(3)));
    assert_eq!(result.responses.len(), 3);
    assert_eq!(result.warnings, [""; 0]);
    let [first, second, third] = &result.responses[..] else {
        unreachable!()
    };
    assert_eq!(first.error, None);
    assert_eq!(third.error, None);
    assert_eq!(
        second.error_text(),
        Some("the endpoint's code panicked: boom")
    );
    assert_eq!(second.response_text.as_deref(), Some("half"));
    assert!(second.time_to_first_token.is_some());
    assert_eq!(second.detail.status, Some(200));
}

#[test]
fn a_redaction_that_panics_gives_nothing_away() {
    let body = r#"{"error": {"message": "your key is sk-123"}}"#;
    let refusal = crate::scripted::answers::sized("401 X", "application/json", body);
    let server = Scripted::start(vec![vec![write(refusal)]]);
    let result = run(fragile(&server, true));
    let error = result.responses[0].error_text().unwrap();
    assert_eq!(error, "the endpoint's code panicked: redacting broke");
    assert_eq!(result.responses[0].detail.status, Some(401));
}

#[test]
fn a_tokenizer_that_panics_costs_a_count() {
    struct Fragile;
    impl Tokenizer for Fragile {
        fn count(&self, text: &str) -> usize {
            assert!(!text.contains("boom"), "no such token");
            text.len()
        }
        fn saved(&self) -> Value {
            Value::Null
        }
    }
    let answer = |piece| vec![write(chunked(&(text(piece) + &stop() + DONE)))];
    let server = Scripted::start(vec![answer("all"), answer("boom"), answer("all")]);
    let mut config = server.config().load(Load::Requests(3));
    config.tokenizer = Arc::new(Fragile);
    let result = run(config);
    assert_eq!(result.responses.len(), 3);
    assert_eq!(result.responses[0].num_tokens_output, Some(3));
    let uncounted = &result.responses[1];
    assert_eq!(uncounted.error, None);
    assert_eq!(uncounted.response_text.as_deref(), Some("boom"));
    // By its frames.
    assert_eq!(uncounted.num_tokens_output, Some(1));
    let source = uncounted.detail.num_tokens_output_source.as_ref();
    assert_eq!(source, Some(&TokenSource::Estimated));
    let warnings = result
        .warnings
        .iter()
        .filter(|text| text.contains("cannot count"));
    assert_eq!(warnings.count(), 1, "{:?}", result.warnings);
    assert_eq!(result.responses[2].error, None);
}

#[test]
fn a_saved_run_with_a_registered_endpoint_loads_and_is_repeated() {
    endpoint::register::<LineEndpoint>();
    let folder = tempfile::tempdir().unwrap();
    let config = RunConfig::new(Arc::new(line_endpoint()), [prompt("one two")])
        .clients(2)
        .load(Load::Requests(3))
        .output(folder.path())
        .run_name("first");
    let first = run(config);
    let saved = SavedRun::load(first.summary.output_path.unwrap()).unwrap();
    assert_eq!(saved.endpoint.class, "own_endpoint.LineEndpoint");
    let config = saved.clone().into_config(None).unwrap();
    assert_eq!(config.endpoint.saved(), saved.endpoint);
    assert_eq!(config.payloads, [Arc::new(prompt("one two"))]);
    let again = run(config);
    assert_eq!(again.responses.len(), 6);
    for response in &again.responses {
        assert_eq!(response.error, None);
        assert_eq!(response.response_text.as_deref(), Some("onetwo"));
    }
    assert!(
        again
            .summary
            .output_path
            .is_some_and(|path| path != saved.folder().clone())
    );

    // A type that is not registered here is refused by its name.
    let mut unknown = saved;
    unknown.endpoint.class = "elsewhere.Parrot".to_owned();
    let error = unknown.into_config(None).err().unwrap().to_string();
    assert!(error.starts_with("endpoint Parrot: "), "{error}");
}
