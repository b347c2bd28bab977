//! What holds for all APIs of the OpenAI family, of which each tells its bytes.

use std::time::Duration;

use llmeter::endpoint::{Api, EndpointSettings};
use llmeter::{InvocationResponse, RunConfig};

use crate::scripted::answers::{LAST_CHUNK, STREAM_HEAD, chunk_of, sized};
use crate::scripted::{Scripted, Step, run, write};

/// Tells what an API's servers answer. The text is always "Hello", of 7 and 2 tokens.
pub(crate) struct Case {
    /// The API's name in the catalogue.
    pub(crate) api: &'static str,
    /// A whole answer: the body of a stream, or JSON.
    pub(crate) answer: String,
    /// The same without usage.
    pub(crate) without_usage: String,
    /// An answer that reasons ("hm") first; `None` if the API has no such thing.
    pub(crate) reasoning: Option<String>,
    /// An answer that calls a tool and says nothing.
    pub(crate) tool_call: Option<String>,
    /// A correct answer without any content.
    pub(crate) empty: String,
    /// An error within a stream, after "Hel", that says "overloaded"; `None` without streams.
    pub(crate) error_within: Option<String>,
}

/// One request to a server that plays these steps.
pub(crate) fn ask(api: &str, steps: Vec<Step>) -> InvocationResponse {
    let server = Scripted::start(vec![steps]);
    let api = Api::named(api).unwrap();
    let endpoint = api.endpoint(&EndpointSettings {
        base_url: Some(server.base_url.clone()),
        model: Some("m".to_owned()),
        api_key: Some("sk-hunter22".into()),
        ..EndpointSettings::default()
    });
    let payload = api.create_payload("one two three", 64).unwrap();
    let mut config = RunConfig::new(endpoint.unwrap(), [payload]);
    config.timeout = Duration::from_secs(20);
    let mut result = run(config);
    assert_eq!(result.responses.len(), 1);
    result.responses.remove(0)
}

impl Case {
    fn streams(&self) -> bool {
        self.api.ends_with("-stream")
    }

    /// The bytes of an answer with this body.
    fn bytes(&self, body: &str) -> Vec<u8> {
        if !self.streams() {
            return sized("200 OK", "application/json", body);
        }
        let mut bytes = STREAM_HEAD.as_bytes().to_vec();
        bytes.extend(chunk_of(body.as_bytes()));
        bytes.extend_from_slice(LAST_CHUNK.as_bytes());
        bytes
    }

    fn answered(&self, body: &str) -> InvocationResponse {
        ask(self.api, vec![write(self.bytes(body))])
    }

    fn failed(&self, bytes: Vec<u8>) -> String {
        let response = ask(self.api, vec![Step::WriteAndClose(bytes)]);
        let error = response.error.unwrap();
        assert!(!error.contains("hunter22"), "{}: {error}", self.api);
        error
    }

    pub(crate) fn check_answers(&self) {
        let api = self.api;
        for steps in [
            vec![write(self.bytes(&self.answer))],
            vec![Step::Trickle(self.bytes(&self.answer))],
        ] {
            let response = ask(api, steps);
            assert_eq!(response.error, None, "{api}");
            assert_eq!(response.response_text.as_deref(), Some("Hello"), "{api}");
            let tokens = (response.num_tokens_input, response.num_tokens_output);
            assert_eq!(tokens, (Some(7), Some(2)), "{api}");
            assert!(response.detail.finish_reason.is_some(), "{api}");
            assert_eq!(
                response.time_to_first_token.is_some(),
                self.streams(),
                "{api}"
            );
            assert!(response.time_to_last_token.is_some(), "{api}");
        }
        // Estimated by white space.
        let response = self.answered(&self.without_usage);
        let tokens = (response.num_tokens_input, response.num_tokens_output);
        assert_eq!(
            (response.error, tokens),
            (None, (Some(3), Some(1))),
            "{api}"
        );

        if let Some(body) = &self.reasoning {
            let response = self.answered(body);
            assert_eq!(response.error, None, "{api}");
            assert_eq!(response.response_text.as_deref(), Some("Hello"), "{api}");
            assert_eq!(
                response.detail.reasoning_text.as_deref(),
                Some("hm"),
                "{api}"
            );
        }
        if let Some(body) = &self.tool_call {
            let response = self.answered(body);
            assert_eq!(response.error, None, "{api}");
            assert!(
                response.response_text.unwrap_or_default().is_empty(),
                "{api}"
            );
            assert_eq!(
                response.time_to_first_token.is_some(),
                self.streams(),
                "{api}"
            );
        }
        let response = self.answered(&self.empty);
        assert_eq!(response.error, None, "{api}");
        assert!(
            response.response_text.unwrap_or_default().is_empty(),
            "{api}"
        );
        assert_eq!(response.time_to_first_token, None, "{api}");
    }

    pub(crate) fn check_failures(&self) {
        let api = self.api;
        let body = r#"{"error": {"message": "bad key sk-hunter22", "code": "invalid_api_key"}}"#;
        let error = self.failed(sized("401 Unauthorized", "application/json", body));
        assert!(
            error.starts_with("HTTP 401 Unauthorized: bad key <redacted>"),
            "{api}: {error}"
        );
        let error = self.failed(sized("502 Bad Gateway", "text/html", "<h1>Oh no</h1>"));
        assert!(
            error.starts_with("HTTP 502 Bad Gateway: <h1>Oh no</h1>"),
            "{api}: {error}"
        );
        let error = self.failed(sized("200 OK", "text/html", "<h1>Login</h1>"));
        assert!(
            error.contains("text/html instead of JSON"),
            "{api}: {error}"
        );
        let error = self.failed(self.bytes("{\"oops\n\n"));
        assert!(!error.is_empty(), "{api}");
        // Cut anywhere, it is a failure and keeps what it had.
        let whole = self.bytes(&self.answer);
        for kept in [whole.len() / 3, whole.len() * 2 / 3, whole.len() - 7] {
            self.failed(whole[..kept].to_vec());
        }
        if let Some(body) = &self.error_within {
            let response = self.answered(body);
            let error = response.error.unwrap();
            assert!(error.contains("overloaded"), "{api}: {error}");
            assert_eq!(response.response_text.as_deref(), Some("Hel"), "{api}");
        }
        // A JSON error with status 200.
        let body = r#"{"error": {"message": "no such model"}}"#;
        let error = self.failed(sized("200 OK", "application/json", body));
        assert!(error.contains("no such model"), "{api}: {error}");
    }
}
