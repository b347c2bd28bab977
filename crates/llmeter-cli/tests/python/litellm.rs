//! Runs against the LiteLLM proxy, whose models here answer by themselves.

use llmeter::endpoint::{ApiMode, EndpointSettings};
use llmeter::{InvocationResponse, Load, RunConfig, Runner};
use tempfile::TempDir;

use super::python;
use super::scripts::Script;

const KEY: &str = "sk-litellm-Zq7Rw2Yx9Ub4";
const TEXT: &str = "one two three four";

struct LiteLlm {
    address: String,
    // They end with this.
    _script: Script,
    _folder: TempDir,
}

impl LiteLlm {
    fn start(python: &std::ffi::OsStr) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("log");
        let mut script = Script::start(python, "litellm_server.py", &[KEY.as_ref()], &log);
        let Some(address) = script.line("serving ") else {
            panic!("no proxy: {}", std::fs::read_to_string(log).unwrap());
        };
        Self {
            address,
            _script: script,
            _folder: folder,
        }
    }

    fn ask(&self, api: &str, model: &str, key: &'static str) -> Vec<InvocationResponse> {
        let api = ApiMode::named(api).unwrap();
        let base_url = match api.name.starts_with("openai") {
            true => format!("{}/v1", self.address),
            false => self.address.clone(),
        };
        let endpoint = api.endpoint(&EndpointSettings {
            base_url: Some(base_url),
            model: Some(model.to_owned()),
            api_key: Some(key.into()),
            ..EndpointSettings::default()
        });
        let payload = api.create_payload("Tell me a story.", 16).unwrap();
        let mut config = RunConfig::new(endpoint.unwrap(), [payload])
            .clients(2)
            .load(Load::Requests(3));
        // A wrong key would end the run at once.
        config.failure_pause = false;
        let responses = Runner::new(config).run_blocking().unwrap().responses;
        assert_eq!(responses.len(), 6, "{}", api.name);
        responses
    }
}

/// One proxy for all: it takes seconds to start.
#[test]
fn the_proxy_is_measured_as_what_it_stands_for() {
    let Some(python) = python() else { return };
    let proxy = LiteLlm::start(&python);

    // The proxy counts the tokens of its streams itself; in whole answers it makes them up.
    for (api, streams) in [
        ("openai-chat-stream", true),
        ("openai-chat", false),
        ("openai-completions-stream", true),
        ("openai-completions", false),
        ("openai-responses", false),
        ("anthropic-messages", false),
        // What is made up here comes in one piece, even if a stream was asked for.
        ("anthropic-messages-stream", false),
    ] {
        for response in proxy.ask(api, "mock", KEY) {
            assert_eq!(response.error, None, "{api}");
            assert_eq!(response.response_text.as_deref(), Some(TEXT), "{api}");
            assert_eq!(response.time_to_first_token.is_some(), streams, "{api}");
            assert!(response.num_tokens_input > Some(0), "{api}");
            assert!(response.detail.finish_reason.is_some(), "{api}");
            if streams {
                assert_eq!(response.num_tokens_output, Some(4), "{api}");
                // It sends three characters a frame.
                assert_eq!(response.detail.content_frames, Some(6), "{api}");
                let [first, last] = [response.time_to_first_token, response.time_to_last_token];
                assert!(first.unwrap() <= last.unwrap(), "{api}");
            }
        }
    }
    for response in proxy.ask("openai-embeddings", "embed", KEY) {
        assert_eq!(response.error, None);
        assert_eq!(response.annotations["vectors"], 1);
        assert_eq!(response.annotations["vector_dimensions"], 2);
    }
    for response in proxy.ask("openai-chat", "tool", KEY) {
        assert_eq!(response.error, None);
        assert_eq!(response.response_text.unwrap_or_default(), "");
        assert!(response.num_tokens_output > Some(0));
    }

    for (api, model, words) in [
        (
            "openai-chat-stream",
            "limited",
            "HTTP 429 Too Many Requests: ",
        ),
        ("openai-chat", "limited", "mock rate limit error"),
        (
            "openai-chat-stream",
            "broken",
            "HTTP 500 Internal Server Error: ",
        ),
        ("anthropic-messages", "broken", "mock internal server error"),
        ("openai-chat-stream", "nobody", "nobody"),
    ] {
        for response in proxy.ask(api, model, KEY) {
            let error = response.error.unwrap().to_string();
            assert!(error.contains(words), "{api}, {model}: {error}");
            assert_eq!(response.response_text, None);
        }
    }
    let wrong = "sk-wrong-Bn6Mv8Lk1Jh3";
    for response in proxy.ask("openai-chat-stream", "mock", wrong) {
        let error = response.error.unwrap().to_string();
        assert!(error.starts_with("HTTP 40"), "{error}");
        assert!(!error.contains(&wrong[..12]), "{error}");
    }
}
