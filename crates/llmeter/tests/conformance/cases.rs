//! The questions, and what every API must answer.

use std::sync::Arc;
use std::time::Duration;

use llmeter::payload::Payload;
use llmeter::{Endpoint, InvocationResponse, RunConfig};

use crate::scripted::answers::{LAST_CHUNK, chunk, sized};
use crate::scripted::{Scripted, Step, run, write};

/// An API's ways of saying the same things. Frames are whole: with `data: ` and line ends.
pub(crate) struct Samples {
    /// An endpoint at an address without a path, streaming or not.
    pub(crate) endpoint: fn(&str, bool) -> Arc<dyn Endpoint>,
    pub(crate) payload: Payload,
    /// The media type of a stream.
    pub(crate) media_type: &'static str,
    /// Frames of the texts "one" and " two", with an id if the API has one, the `finish`
    /// and a usage of 7 and 2 tokens.
    pub(crate) text: Vec<String>,
    /// How many of these frames come before the one that says why the answer ended.
    pub(crate) unfinished: usize,
    pub(crate) id: Option<&'static str>,
    pub(crate) finish: &'static str,
    /// The same without a usage.
    pub(crate) no_usage: Vec<String>,
    /// The reasoning "hm", then the text "one"; `None` where there is no reasoning.
    pub(crate) reasoning: Option<Vec<String>>,
    /// A call of the tool `f` with the arguments `{"a":1}`; `None` where there are no tools.
    pub(crate) tool: Option<Vec<String>>,
    /// No content, but an end.
    pub(crate) empty: Vec<String>,
    /// The text "one", then a failure with the word "overloaded".
    pub(crate) failing: Vec<String>,
    /// The whole answer "one two", with the same usage, id and end.
    pub(crate) whole: String,
    /// The body of an error status, and what of it must be told.
    pub(crate) error: (&'static str, &'static str),
}

impl Samples {
    fn ask(&self, streaming: bool, steps: Vec<Step>) -> InvocationResponse {
        let server = Scripted::start(vec![steps]);
        let address = server.base_url.strip_suffix("/v1").unwrap();
        let endpoint = (self.endpoint)(address, streaming);
        let mut config = RunConfig::new(endpoint, [self.payload.clone()]);
        config.timeout = Duration::from_secs(20);
        let mut result = run(config);
        assert_eq!(result.responses.len(), 1);
        result.responses.remove(0)
    }

    fn head(&self) -> String {
        format!(
            "HTTP/1.1 200 OK\r\nContent-Type: {}\r\nTransfer-Encoding: chunked\r\n\r\n",
            self.media_type
        )
    }

    /// A stream whose frames come in a chunk each.
    fn stream(&self, frames: &[String]) -> Vec<u8> {
        let mut bytes = self.head().into_bytes();
        for frame in frames {
            bytes.extend(chunk(frame));
        }
        bytes.extend_from_slice(LAST_CHUNK.as_bytes());
        bytes
    }

    fn streamed(&self, frames: &[String]) -> InvocationResponse {
        self.ask(true, vec![write(self.stream(frames))])
    }

    /// Asks everything.
    pub(crate) fn conform(&self) {
        self.answers();
        self.contents();
        self.failures();
    }

    fn is_the_text(&self, response: &InvocationResponse) {
        assert_eq!(response.error, None);
        assert_eq!(response.response_text.as_deref(), Some("one two"));
        assert_eq!(response.num_tokens_input, Some(7));
        assert_eq!(response.num_tokens_output, Some(2));
        assert_eq!(response.detail.finish_reason.as_deref(), Some(self.finish));
        if let Some(id) = self.id {
            assert_eq!(response.id.as_deref(), Some(id));
        }
    }

    fn answers(&self) {
        let response = self.streamed(&self.text);
        self.is_the_text(&response);
        assert_eq!(response.detail.content_frames, Some(2));
        assert!(response.time_to_first_token.unwrap() <= response.time_to_last_token.unwrap());

        let response = self.ask(true, vec![Step::Trickle(self.stream(&self.text))]);
        self.is_the_text(&response);
        assert_eq!(response.detail.content_frames, Some(2));
        assert!(response.time_to_first_token.unwrap() < response.time_to_last_token.unwrap());

        let whole = sized("200 OK", "application/json", &self.whole);
        let response = self.ask(false, vec![write(whole)]);
        self.is_the_text(&response);
        assert_eq!(response.time_to_first_token, None);
        assert!(response.time_to_last_token.is_some());

        // A proxy that forgets what it sends.
        let mut nameless = self.head().replace(self.media_type, "text/plain");
        for frame in &self.text {
            nameless.push_str(std::str::from_utf8(&chunk(frame)).unwrap());
        }
        nameless.push_str(LAST_CHUNK);
        self.is_the_text(&self.ask(true, vec![write(nameless)]));
    }

    fn contents(&self) {
        let response = self.streamed(&self.no_usage);
        assert_eq!(response.error, None);
        assert_eq!(response.response_text.as_deref(), Some("one two"));
        assert!(response.num_tokens_input > Some(0), "estimated");
        assert!(response.num_tokens_output > Some(0), "estimated");

        if let Some(frames) = &self.reasoning {
            let response = self.streamed(frames);
            assert_eq!(response.error, None);
            assert_eq!(response.detail.reasoning_text.as_deref(), Some("hm"));
            assert_eq!(response.response_text.as_deref(), Some("one"));
            let first = response.time_to_first_token.unwrap();
            assert!(first <= response.detail.time_to_first_answer_token.unwrap());
            assert!(response.detail.content_frames.unwrap() >= 2);
        }
        if let Some(frames) = &self.tool {
            let response = self.streamed(frames);
            assert_eq!(response.error, None);
            assert!(response.time_to_first_token.is_some());
            assert!(response.detail.time_to_first_answer_token.is_some());
            // As many words as the call has, by the usual way of estimating: more than none.
            assert!(response.num_tokens_output > Some(0));
        }
        let response = self.streamed(&self.empty);
        assert_eq!(response.error, None);
        assert_eq!(response.response_text.as_deref(), Some(""));
        assert_eq!(response.time_to_first_token, None);
    }

    fn failures(&self) {
        let failed = |response: InvocationResponse| response.error.unwrap();

        let response = self.streamed(&self.failing);
        assert_eq!(response.response_text.as_deref(), Some("one"), "is kept");
        assert!(response.time_to_first_token.is_some());
        let error = failed(response);
        assert!(error.contains("overloaded"), "{error}");

        // In good order, but too early; and in the midst of the transfer.
        let response = self.streamed(&self.text[..self.unfinished]);
        assert_eq!(response.response_text.as_deref(), Some("one two"));
        let error = failed(response);
        assert!(error.contains("before it was finished"), "{error}");
        let mut cut = self.stream(&self.text[..self.unfinished]);
        cut.truncate(cut.len() - LAST_CHUNK.len());
        let response = self.ask(true, vec![write(cut), Step::Close]);
        assert_eq!(response.response_text.as_deref(), Some("one two"));
        failed(response);
        let error = failed(self.streamed(&[]));
        assert!(error.contains("without a single event"), "{error}");

        let (body, words) = self.error;
        for streaming in [true, false] {
            let steps = vec![write(sized("429 X", "application/json", body))];
            let error = failed(self.ask(streaming, steps));
            assert_eq!(error, format!("HTTP 429 Too Many Requests: {words}"));

            let page = "<html><body>Bad\n gateway</body></html>";
            let steps = vec![write(sized("502 X", "text/html", page))];
            let error = failed(self.ask(streaming, steps));
            assert!(error.starts_with("HTTP 502 Bad Gateway: <html>"), "{error}");

            let steps = vec![write(sized("200 OK", "text/html", page))];
            let error = failed(self.ask(streaming, steps));
            assert!(error.contains("text/html instead of"), "{error}");
        }
        for body in ["", "{", "[]", "3", "{}", "{\"other\": 1}"] {
            let steps = vec![write(sized("200 OK", "application/json", body))];
            failed(self.ask(false, steps));
        }
        // An error that the status does not tell.
        let steps = vec![write(sized("200 OK", "application/json", body))];
        assert!(failed(self.ask(false, steps)).contains(words));

        // What is not known is passed over; what is not JSON is not.
        let frame = |data: &str| match self.text[0].contains("data:") {
            true => format!("event: news\ndata: {data}\n\n"),
            false => format!("{data}\n"),
        };
        let mut frames = vec![frame(r#"{"type":"news","x":[1,{"text":null}]}"#)];
        frames.extend(self.text.iter().cloned());
        self.is_the_text(&self.streamed(&frames));
        frames[0] = frame("{oops");
        let error = failed(self.streamed(&frames));
        assert!(error.contains("frame 1 is not valid JSON"), "{error}");
    }
}

/// A frame of an event stream.
pub(crate) fn event(value: &serde_json::Value) -> String {
    format!("data: {value}\n\n")
}
