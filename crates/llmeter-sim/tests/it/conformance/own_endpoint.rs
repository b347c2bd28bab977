//! The example of an own endpoint, which speaks no HTTP, and one that does what it must not.

use std::sync::Arc;

use llmeter::endpoint::{
    ApiEndpoint, EndpointError, Frame, FrameDecoder, HttpApi, HttpRequest, Identity, Invoke,
    ResponseBuilder, SavedObject, Transport, async_trait,
};
use llmeter::payload::Payload;
use llmeter::wire::Server;
use llmeter::{Endpoint, Failure, OpenAiChat};
use llmeter_sim::conformance::{
    self, Case, Outcome, Says, Simulated, StreamingResponse, Suite, Wording,
};
use serde_json::json;

#[expect(dead_code, unreachable_pub, reason = "it has a main function")]
#[path = "../../../../llmeter/examples/own_endpoint.rs"]
mod example;

/// The toy API of the example: a token a line, and an empty line at the end.
struct Lines;

impl Wording for Lines {
    fn streaming(&self, says: &Says) -> Option<StreamingResponse> {
        // The API has no spaces at the beginning of a line, no reasoning and no tools.
        let lines = says.text.iter().map(|chunk| format!("{chunk}\n").into());
        Some(StreamingResponse {
            content: lines.collect(),
            closing: b"\n".to_vec(),
            ..StreamingResponse::default()
        })
    }

    fn stream_error(&self, message: &str) -> Option<Vec<u8>> {
        Some(format!("!{message}\n").into_bytes())
    }

    fn transport(&self) -> conformance::Transport {
        conformance::Transport::Tcp(|received| received.ends_with(b"\n"))
    }

    fn finish_reason(&self) -> Option<&str> {
        Some("stop")
    }

    fn counts_input(&self) -> bool {
        false
    }
}

fn payload() -> Payload {
    let payload = json!({"prompt": "one two three"});
    payload.as_object().unwrap().clone()
}

fn example_suite() -> Suite {
    let make = |address: std::net::SocketAddr| -> Result<Arc<dyn Endpoint>, _> {
        Ok(Arc::new(example::LineEndpoint::new(address.to_string())))
    };
    Suite::new(Lines, payload(), make)
}

#[test]
fn the_example_conforms_but_for_what_its_api_cannot_say() {
    let suite = example_suite()
        .skip(Case::NonStreaming, "answers are always streamed")
        .skip(Case::Reasoning, "the API has no reasoning")
        .skip(Case::ToolCall, "the API has no tools")
        .skip(Case::HugeFrame, "a line is one token")
        .skip(Case::UnknownFrame, "every line is a token")
        .skip(Case::GarbledFrame, "every line is a token");
    let report = suite.run();
    report.assert_passes();
    let passed = report.outcomes.iter();
    let passed = passed.filter(|(_, outcome)| *outcome == Outcome::Passed);
    assert_eq!(passed.count(), 8, "{report}");
}

#[test]
fn a_case_without_words_fails_until_it_is_skipped_with_a_reason() {
    let suite = example_suite().only(&[Case::NonStreaming]);
    let report = suite.run();
    assert!(!report.passes());
    assert!(report.to_string().contains("no words for it"), "{report}");
    let report = suite.skip(Case::NonStreaming, "always streamed").run();
    assert!(report.passes());
    assert!(report.to_string().contains("always streamed"), "{report}");
}

/// Chat Completions by somebody who thought of good answers only.
struct Careless(ApiEndpoint);

struct TextOnly;

impl Endpoint for Careless {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }
    fn is_streaming(&self) -> bool {
        true
    }
    fn prepare_payload(&self, payload: &mut Payload) -> Result<(), EndpointError> {
        payload.insert("model".to_owned(), json!("some-model"));
        Ok(())
    }
    fn transport(&self) -> Transport<'_> {
        Transport::Http(self)
    }
    fn saved(&self) -> SavedObject {
        self.0.saved()
    }
}

impl HttpApi for Careless {
    fn server(&self) -> &Server {
        match self.0.transport() {
            Transport::Http(api) => api.server(),
            Transport::Invoke(_) => unreachable!(),
        }
    }
    fn request(&self, payload: &Payload) -> Result<HttpRequest, EndpointError> {
        match self.0.transport() {
            Transport::Http(api) => api.request(payload),
            Transport::Invoke(_) => unreachable!(),
        }
    }
    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::new(TextOnly)
    }
}

impl FrameDecoder for TextOnly {
    fn frame(&mut self, frame: Frame<'_>, answer: &mut ResponseBuilder) {
        let value: serde_json::Value = serde_json::from_slice(frame.data).unwrap_or_default();
        if let Some(text) = value["choices"][0]["delta"]["content"].as_str() {
            answer.text(text);
        }
    }
    fn non_streaming(&mut self, _: &[u8], _: &mut ResponseBuilder) {}
    fn end(&mut self, _: &mut ResponseBuilder) {}
    fn error_message(&self, _: &[u8]) -> Option<String> {
        None
    }
}

#[test]
fn what_an_endpoint_does_wrong_is_told_with_what_was_expected() {
    let payload = OpenAiChat::create_payload("one two three", 64, Payload::new()).unwrap();
    let wording = Simulated::api("openai-chat-stream").unwrap();
    let suite = Suite::new(wording, payload, |address| {
        let builder = OpenAiChat::builder(format!("http://{address}/v1"), "some-model");
        Ok(Arc::new(Careless(builder.build()?)))
    });
    let report = suite
        .only(&[
            Case::Usage,
            Case::Reasoning,
            Case::EarlyEnd,
            Case::ErrorInStream,
        ])
        .run();
    let said = report.to_string();
    for line in [
        "FAILED   Usage",
        "num_tokens_input: expected Some(7), got None",
        "id: expected Some(\"response-7\"), got Some(",
        "the request is not what the API takes: asks for a stream: false",
        "FAILED   Reasoning",
        "reasoning_text: expected \"not the river\", got \"\"",
        "FAILED   ErrorInStream",
        "the kind of the error: expected one of [ServerError, Throttled, Endpoint], got None",
        "FAILED   EarlyEnd",
    ] {
        assert!(said.contains(line), "{line:?} is not in\n{said}");
    }
    assert!(std::panic::catch_unwind(|| report.assert_passes()).is_err());
}

/// Chat Completions by somebody who wants a connection for each request.
struct Closing(ApiEndpoint);

impl Closing {
    fn api(&self) -> &dyn HttpApi {
        match self.0.transport() {
            Transport::Http(api) => api,
            Transport::Invoke(_) => unreachable!(),
        }
    }
}

impl Endpoint for Closing {
    fn identity(&self) -> &Identity {
        self.0.identity()
    }
    fn is_streaming(&self) -> bool {
        true
    }
    fn prepare_payload(&self, payload: &mut Payload) -> Result<(), EndpointError> {
        self.0.prepare_payload(payload)
    }
    fn prompt_text(&self, payload: &Payload) -> Option<serde_json::Value> {
        self.0.prompt_text(payload)
    }
    fn transport(&self) -> Transport<'_> {
        Transport::Http(self)
    }
    fn saved(&self) -> SavedObject {
        self.0.saved()
    }
}

impl HttpApi for Closing {
    fn server(&self) -> &Server {
        self.api().server()
    }
    fn request(&self, payload: &Payload) -> Result<HttpRequest, EndpointError> {
        let mut request = self.api().request(payload)?;
        let close = ("Connection".to_owned(), "close".to_owned().into());
        request.headers.push(close);
        Ok(request)
    }
    fn decoder(&self) -> Box<dyn FrameDecoder> {
        self.api().decoder()
    }
}

#[test]
fn an_endpoint_may_ask_for_the_connection_to_be_closed() {
    let payload = OpenAiChat::create_payload("one two three", 64, Payload::new()).unwrap();
    let wording = Simulated::api("openai-chat-stream").unwrap();
    let suite = Suite::new(wording, payload, |address| {
        let builder = OpenAiChat::builder(format!("http://{address}/v1"), "some-model");
        Ok(Arc::new(Closing(builder.build()?)))
    });
    suite.run().assert_passes();
}

/// An endpoint that answers by itself and never asks anybody.
struct Silent(Identity);

impl Endpoint for Silent {
    fn identity(&self) -> &Identity {
        &self.0
    }
    fn is_streaming(&self) -> bool {
        true
    }
    fn transport(&self) -> Transport<'_> {
        Transport::Invoke(self)
    }
    fn saved(&self) -> SavedObject {
        example::LineEndpoint::new("").saved()
    }
}

#[async_trait]
impl Invoke for Silent {
    async fn invoke(&self, _: &Payload, answer: &mut ResponseBuilder) -> Result<(), Failure> {
        answer.text("the river keeps moving");
        Ok(())
    }
}

#[test]
fn an_endpoint_that_asks_nobody_is_found_out() {
    let suite = Suite::new(Lines, payload(), |address| {
        let identity = example::LineEndpoint::new(address.to_string());
        Ok(Arc::new(Silent(identity.identity().clone())))
    });
    let said = suite.only(&[Case::Streaming]).run().to_string();
    assert!(said.contains("requests: expected 2, got 0"), "{said}");
}
