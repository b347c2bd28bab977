//! The OpenAI chat endpoint against the Python system's vectors and saved objects.

use std::fs;
use std::path::{Path, PathBuf};

use llmeter::Endpoint;
use llmeter::endpoint::{ApiEndpoint, EndpointBuilder, OpenAiChat, SavedObject, Transport};
use llmeter::payload::Payload;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const NO_KEY: &str = "LLMETER_TEST_VARIABLE_THAT_IS_NOT_SET";

fn golden(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(path)
}

fn read(path: &str) -> Value {
    serde_json::from_str(&fs::read_to_string(golden(path)).unwrap()).unwrap()
}

fn cases(name: &str, endpoint: &str) -> Vec<Value> {
    let cases = read(&format!("vectors/{name}.json"))["cases"].take();
    let Value::Array(cases) = cases else { panic!() };
    cases
        .into_iter()
        .filter(|case| case["endpoint"] == endpoint)
        .collect()
}

fn object(value: &Value) -> Payload {
    value.as_object().unwrap().clone()
}

fn builder() -> EndpointBuilder {
    OpenAiChat::builder("http://127.0.0.1:8377/v1", "m")
}

fn headers(endpoint: &ApiEndpoint) -> Vec<(String, String)> {
    let Transport::Http(api) = endpoint.transport() else {
        panic!()
    };
    let request = api.request(&Payload::new()).unwrap();
    let lines = request.headers.into_iter();
    lines
        .map(|(name, value)| (name, value.expose_secret().to_owned()))
        .collect()
}

fn header(endpoint: &ApiEndpoint, name: &str) -> Option<String> {
    let mut found = headers(endpoint);
    found.retain(|(known, _)| known.eq_ignore_ascii_case(name));
    assert!(found.len() <= 1, "{name} is sent once");
    found.pop().map(|(_, value)| value)
}

fn target(endpoint: &ApiEndpoint) -> String {
    let Transport::Http(api) = endpoint.transport() else {
        panic!()
    };
    api.request(&Payload::new()).unwrap().target
}

fn refused(builder: EndpointBuilder) -> String {
    let error = builder.build().unwrap_err().to_string();
    assert!(!error.contains(['\n', '\r']), "one line: {error}");
    error
}

#[test]
fn payloads_are_prepared_as_by_the_python_system() {
    for (class, streaming) in [
        ("OpenAICompletionEndpoint", false),
        ("OpenAICompletionStreamEndpoint", true),
    ] {
        let endpoint = builder().streaming(streaming).build().unwrap();
        assert_eq!(endpoint.is_streaming(), streaming);
        let cases = cases("prepare_and_parse_payload", class);
        assert!(cases.len() >= 12);
        for case in cases {
            let original = object(&case["payload"]);
            let mut prepared = original.clone();
            endpoint.prepare_payload(&mut prepared).unwrap();
            // As text: the order of keys is part of it.
            assert_eq!(
                json!(prepared).to_string(),
                case["prepared"]["value"].to_string()
            );
            assert_eq!(
                endpoint.prompt_text(&original),
                case["prompt"].get("value").cloned()
            );
            assert_eq!(
                endpoint.prompt_text(&prepared),
                case["prompt"].get("value").cloned()
            );
        }
    }
}

#[test]
fn malformed_messages_give_no_prompt_text() {
    let endpoint = builder().build().unwrap();
    for payload in [
        json!({"messages": "hi"}),
        json!({"messages": [3, null, {"content": 4}, {"content": [5, {"text": 6}]}]}),
    ] {
        assert_eq!(endpoint.prompt_text(&object(&payload)), Some(json!("")));
    }
}

#[test]
fn raw_bytes_in_a_payload_are_refused() {
    let mut payload = object(&json!({
        "messages": [{"content": [{"image": {"__llmeter_bytes__": "AA=="}}]}],
    }));
    let error = builder()
        .build()
        .unwrap()
        .prepare_payload(&mut payload)
        .unwrap_err();
    assert!(
        error.to_string().contains("messages.0.content.0.image"),
        "{error}"
    );
}

#[test]
fn base_urls_are_taken_as_the_sdk_takes_them() {
    for (url, base, path) in [
        ("http://h:1/v1", "http://h:1/v1/", "/v1/chat/completions"),
        ("http://h:1/v1/", "http://h:1/v1/", "/v1/chat/completions"),
        (
            " http://h:1/v1// ",
            "http://h:1/v1/",
            "/v1/chat/completions",
        ),
        ("https://h", "https://h/", "/chat/completions"),
        (
            "http://[::1]:8/a%20b/v1",
            "http://[::1]:8/a%20b/v1/",
            "/a%20b/v1/chat/completions",
        ),
    ] {
        let endpoint = OpenAiChat::builder(url, "m").build().unwrap();
        assert_eq!(endpoint.base_url(), base);
        assert_eq!(target(&endpoint), path);
    }
}

#[test]
fn unusable_settings_are_refused_in_one_line() {
    let at = |url: &str| refused(OpenAiChat::builder(url, "m"));
    assert!(at("").contains("base_url"));
    assert!(at("not a url").contains("base_url not a url"));
    assert!(at("localhost:8000/v1").contains("http://"));
    assert!(at("ftp://h/v1").contains("http://"));
    assert!(at("http://h/v1/chat/completions").contains("/chat/completions, which is added"));
    let error = at("http://h/v1?key=hunter22");
    assert!(
        error.contains("without a query") && !error.contains("hunter22"),
        "{error}"
    );
    let error = at("http://h/v1#x");
    assert!(error.contains("without a query"), "{error}");
    for url in [
        "http://user:hunter22@h/v1",
        "http://user:hunter22@h/v1?q=1",
        "http://user:hunter22@h:x/v1",
        "http://user:hunter22@h/v1/chat/completions",
    ] {
        let error = at(url);
        assert!(!error.contains("hunter22"), "{error}");
    }
    assert!(refused(OpenAiChat::builder("http://h/v1", " ")).contains("model"));

    let error = refused(builder().api_key("sk-hunter22\r\nX: y"));
    assert!(
        error.contains("api_key") && !error.contains("hunter22"),
        "{error}"
    );
}

#[test]
fn headers_are_checked_and_their_values_never_shown() {
    for (name, value) in [
        ("X-A", "hunter22\r\nEvil: yes"),
        ("X-A", "hunter22\nx"),
        ("X-A", "hunter22\0"),
        ("", "hunter22"),
        ("X A", "hunter22"),
        ("X-A:", "hunter22"),
        ("X\r\nEvil", "hunter22"),
        ("Ünicode", "hunter22"),
        ("Content-Length", "hunter22"),
        ("transfer-encoding", "hunter22"),
        ("Host", "hunter22"),
    ] {
        let error = refused(builder().header(name, value));
        assert!(
            error.contains("header") && !error.contains("hunter22"),
            "{error}"
        );
        if name.len() > 2 && name.is_ascii() && !name.contains(['\r', ':', ' ']) {
            assert!(error.contains(name), "{error}");
        }
    }
    let error = refused(builder().header_line("hunter22"));
    assert!(
        error.contains("'Name: value'") && !error.contains("hunter22"),
        "{error}"
    );
    for text in [
        format!(
            "{:?}",
            builder().header("X-A", "hunter22").api_key("sk-hunter22")
        ),
        format!(
            "{:?}",
            builder()
                .header("X-A", "hunter22")
                .api_key("sk-hunter22")
                .build()
        ),
    ] {
        assert!(!text.contains("hunter22"), "{text}");
    }
}

#[test]
fn the_users_headers_win() {
    let endpoint = builder().build().unwrap();
    assert_eq!(
        header(&endpoint, "content-type").unwrap(),
        "application/json"
    );
    assert_eq!(header(&endpoint, "accept").unwrap(), "text/event-stream");
    assert!(
        header(&endpoint, "user-agent")
            .unwrap()
            .starts_with("llmeter/")
    );
    assert_eq!(header(&endpoint, "authorization"), None);

    let endpoint = builder()
        .streaming(false)
        .api_key(" sk-1234\n")
        .set("organization", "org")
        .project("proj")
        .header_line("authorization: Token a:b")
        .header("USER-AGENT", "first")
        .header("User-Agent", " mine ")
        .header("X-Empty", "")
        .build()
        .unwrap();
    assert_eq!(header(&endpoint, "accept").unwrap(), "application/json");
    assert_eq!(header(&endpoint, "authorization").unwrap(), "Token a:b");
    assert_eq!(header(&endpoint, "user-agent").unwrap(), "mine");
    assert_eq!(header(&endpoint, "x-empty").unwrap(), "");
    assert_eq!(header(&endpoint, "openai-organization").unwrap(), "org");
    assert_eq!(header(&endpoint, "openai-project").unwrap(), "proj");
    let names: Vec<&str> = endpoint.header_names().collect();
    assert_eq!(names, ["authorization", "User-Agent", "X-Empty"]);

    let endpoint = builder().api_key(" sk-1234\n").build().unwrap();
    assert_eq!(
        header(&endpoint, "authorization").unwrap(),
        "Bearer sk-1234"
    );
    let endpoint = builder().api_key(" \n").build().unwrap();
    assert_eq!(header(&endpoint, "authorization"), None);
}

#[test]
fn query_parameters_are_sent_and_encoded() {
    let endpoint = builder()
        .query("api-version", "2024 10")
        .query("q", "a&b")
        .build()
        .unwrap();
    assert_eq!(
        target(&endpoint),
        "/v1/chat/completions?api-version=2024+10&q=a%26b"
    );
}

#[test]
fn secrets_are_hidden_in_the_servers_texts() {
    let endpoint = builder()
        .api_key("sk-1234")
        .header("X-Token", "Basic dXNlcg==")
        .header("X-Long", "sk-1234-and-more")
        .header("X-Short", "abc")
        .header("X-Title", "harmless")
        .query("api-key", "query-secret")
        .build()
        .unwrap();
    let Transport::Http(api) = endpoint.transport() else {
        panic!()
    };
    assert_eq!(
        api.redact("sk-1234, sk-1234-and-more, dXNlcg==, Basic dXNlcg==, query-secret"),
        "<redacted>, <redacted>, <redacted>, <redacted>, <redacted>"
    );
    let plain = "nothing here, harmless, abc";
    assert!(matches!(api.redact(plain), std::borrow::Cow::Borrowed(text) if text == plain));
}

#[test]
fn the_saved_state_has_the_keys_of_the_python_system() {
    for (folder, streaming) in [("b_time_bound", true), ("a2_non_streaming", false)] {
        let config = read(&format!("outputs/{folder}/run/run_config.json"));
        let golden = &config["endpoint"];
        let endpoint = OpenAiChat::builder("http://127.0.0.1:8377/v1", "mock-model")
            .streaming(streaming)
            .endpoint_name("mock-openai")
            .api_key("sk-hunter22")
            .header("Authorization", "Bearer hunter22")
            .build()
            .unwrap();
        let saved = endpoint.saved();
        assert_eq!(json!(saved.class), golden["__llmeter_class__"]);
        let state = golden["__llmeter_state__"].as_object().unwrap();
        assert!(saved.state.keys().eq(state.keys()));
        for (key, value) in &saved.state {
            if key != "timeout" {
                assert_eq!(value, &state[key], "{key}");
            }
        }
        assert!(!json!(saved.state).to_string().contains("hunter22"));
    }
}

#[test]
fn only_harmless_values_are_saved() {
    let endpoint = builder()
        .header("X-Title", "my app")
        .header("X-Custom", "hunter22")
        .header("Cookie", "hunter22")
        .query("api-version", "7")
        .query("subscription-key", "hunter22")
        .set("timeout", 12.5)
        .build()
        .unwrap();
    let state = endpoint.saved().state;
    assert_eq!(state["default_headers"], json!({"X-Title": "my app"}));
    assert_eq!(state["default_query"], json!({"api-version": "7"}));
    assert_eq!(state["timeout"], json!(12.5));
    assert!(!json!(state).to_string().contains("hunter22"));
}

fn saved(value: &Value) -> SavedObject {
    SavedObject {
        class: value["__llmeter_class__"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        state: match value.get("__llmeter_state__") {
            Some(state) => object(state),
            None => object(value),
        },
    }
}

#[test]
fn saved_endpoints_come_back() {
    for name in [
        "endpoint_openai_completion_defaults",
        "endpoint_openai_completion_stream_all",
        "endpoint_openai_completion_stream_timeout_number",
    ] {
        let mut file = saved(&read(&format!("outputs/i_saved_objects/{name}.json")));
        let endpoint = ApiEndpoint::from_saved(&file, Some(NO_KEY)).unwrap();
        if name.ends_with("_all") {
            assert_eq!(header(&endpoint, "x-a").unwrap(), "b");
            assert_eq!(target(&endpoint), "/v1/chat/completions?q=1");
            // It may be a secret, and llmeter does not retry.
            file.state.shift_remove("default_headers");
        }
        file.state.insert("max_retries".into(), json!(0));
        let again = endpoint.saved();
        assert_eq!(again, file);
        assert_eq!(
            ApiEndpoint::from_saved(&again, Some(NO_KEY))
                .unwrap()
                .saved(),
            again
        );
        assert_eq!(header(&endpoint, "authorization"), None);
        // Cargo sets this one for every test.
        let endpoint = ApiEndpoint::from_saved(&file, Some("CARGO_PKG_NAME")).unwrap();
        assert_eq!(
            header(&endpoint, "authorization").unwrap(),
            "Bearer llmeter"
        );
    }
}

#[test]
fn endpoints_of_older_runs_come_back() {
    let config = read("outputs/k_legacy_v0_1_12/run/run_config.json");
    let mut flat = saved(&config["endpoint"]);
    for class in ["", "OpenAICompletionStreamEndpoint"] {
        flat.class = class.to_owned();
        let endpoint = ApiEndpoint::from_saved(&flat, Some(NO_KEY)).unwrap();
        assert!(endpoint.is_streaming());
        assert_eq!(endpoint.identity().model_id, "mock-model");
        assert_eq!(endpoint.identity().endpoint_name, "mock-openai");
        assert_eq!(endpoint.base_url(), "https://api.openai.com/v1/");
    }
}

#[test]
fn other_saved_objects_are_refused() {
    for (object, message) in [
        (json!({"model_id": "m"}), "(no class)"),
        (
            json!({"endpoint_type": "SomebodysEndpoint", "model_id": "m"}),
            "SomebodysEndpoint",
        ),
        (
            json!({"endpoint_type": "OpenAICompletionEndpoint"}),
            "model_id",
        ),
        (
            json!({"endpoint_type": "OpenAICompletionEndpoint", "model_id": "m", "base_url": 3}),
            "base_url",
        ),
    ] {
        let error = ApiEndpoint::from_saved(&saved(&object), Some(NO_KEY))
            .unwrap_err()
            .to_string();
        assert!(error.contains(message), "{error}");
    }
}
