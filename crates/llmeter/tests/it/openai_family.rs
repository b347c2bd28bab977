//! The younger and older siblings of Chat Completions against the Python system's vectors and saved
//! objects.

use std::fs;
use std::path::Path;

use llmeter::Endpoint;
use llmeter::endpoint::{
    ApiMode, AzureOpenAiChat, EndpointSettings, OpenAiCompletions, OpenAiEmbeddings,
    OpenAiResponses, SavedObject, Transport, from_saved,
};
use llmeter::payload::{Payload, Prompt};
use secrecy::ExposeSecret;
use serde_json::{Value, json};

const NO_KEY: Option<&str> = Some("LLMETER_TEST_VARIABLE_THAT_IS_NOT_SET");

fn read(path: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/golden")
        .join(path);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

fn cases(name: &str, endpoint: &str) -> Vec<Value> {
    let cases = read(&format!("vectors/{name}.json"))["cases"].take();
    let Value::Array(mut cases) = cases else {
        panic!()
    };
    cases.retain(|case| case["endpoint"] == endpoint);
    cases
}

fn object(value: &Value) -> Payload {
    value.as_object().unwrap().clone()
}

fn settings(base_url: &str) -> EndpointSettings {
    EndpointSettings {
        base_url: Some(base_url.to_owned()),
        model: Some("m".to_owned()),
        api_key: Some("sk-hunter22".into()),
        ..EndpointSettings::default()
    }
}

/// Path, query and headers of a request.
fn request(endpoint: &dyn Endpoint) -> (String, Vec<(String, String)>) {
    let Transport::Http(api) = endpoint.transport() else {
        panic!()
    };
    let request = api.request(&Payload::new()).unwrap();
    let headers = request.headers.into_iter();
    let headers = headers.map(|(name, value)| (name, value.expose_secret().to_owned()));
    (request.target, headers.collect())
}

#[test]
fn responses_are_prepared_as_by_the_python_system_but_for_its_defect() {
    for (class, streaming) in [
        ("OpenAIResponseEndpoint", false),
        ("OpenAIResponseStreamEndpoint", true),
    ] {
        let endpoint = OpenAiResponses::builder("http://h/v1", "m")
            .streaming(streaming)
            .build()
            .unwrap();
        let cases = cases("prepare_and_parse_payload", class);
        assert!(cases.len() >= 12);
        for case in cases {
            let original = object(&case["payload"]);
            let mut prepared = original.clone();
            endpoint.prepare_payload(&mut prepared).unwrap();
            let mut expected = object(&case["prepared"]["value"]);
            // It asks for `include_usage`, which this API does not know.
            match original.get("stream_options") {
                None => expected.shift_remove("stream_options"),
                Some(options) => expected.insert("stream_options".into(), options.clone()),
            };
            assert_eq!(json!(prepared).to_string(), json!(expected).to_string());
            for payload in [&original, &prepared] {
                let prompt = endpoint.prompt_text(payload);
                assert_eq!(prompt, case["prompt"].get("value").cloned());
            }
        }
    }
}

#[test]
fn saved_responses_endpoints_of_the_python_system_come_back() {
    let files = ["openai_response", "openai_response_stream"].into_iter();
    let saved = files
        .clone()
        .map(|name| read(&format!("outputs/i_saved_objects/endpoint_{name}.json")));
    let runs = files.map(|name| {
        read(&format!("outputs/j_other_endpoints/{name}/run_config.json"))["endpoint"].take()
    });
    for file in saved.chain(runs) {
        let mut file = SavedObject::from_json(&file).unwrap();
        let endpoint = from_saved(&file, NO_KEY).unwrap();
        assert_eq!(request(&*endpoint).0, "/v1/responses");
        file.state.insert("max_retries".into(), json!(0));
        if endpoint.is_streaming() {
            // The first token counts, whatever it is.
            let name = "ttft_visible_tokens_only";
            file.state.insert(name.into(), json!(false));
        }
        assert_eq!(
            endpoint.saved().to_json().to_string(),
            file.to_json().to_string()
        );
    }
}

#[test]
fn every_api_comes_back_from_what_it_saves_without_its_key() {
    let mut checked = 0;
    for api in ApiMode::all().filter(|api| api.name.contains("openai")) {
        let endpoint = api.endpoint(&settings("http://127.0.0.1:9/v1")).unwrap();
        assert_eq!(endpoint.is_streaming(), api.name.ends_with("-stream"));
        let saved = endpoint.saved();
        assert_eq!(ApiMode::of_saved(&saved).unwrap().name, api.name);
        let text = saved.to_json().to_string();
        assert!(!text.contains("hunter22"), "{text}");
        assert!(
            !format!("{:?}", request(&*from_saved(&saved, NO_KEY).unwrap())).contains("hunter")
        );
        let again = from_saved(&saved, NO_KEY).unwrap();
        assert_eq!(again.saved(), saved);
        assert_eq!(request(&*again).0, request(&*endpoint).0);
        // An address that has the path already.
        let (path, _) = request(&*endpoint);
        if let Some(path) = path.strip_prefix("/v1")
            && !api.name.starts_with("azure")
        {
            let error = api
                .endpoint(&settings(&format!("http://h/v1{path}")))
                .err()
                .unwrap();
            assert!(error.to_string().contains("which is added"), "{error}");
        }
        checked += 1;
    }
    assert!(checked >= 7);
}

#[test]
fn completions_take_texts_and_tokens() {
    let endpoint = OpenAiCompletions::builder("http://h/v1", "m")
        .build()
        .unwrap();
    assert_eq!(request(&endpoint).0, "/v1/completions");
    let prompt: Prompt = ["a", "b"].into_iter().collect();
    let mut payload = OpenAiCompletions::create_payload(prompt, 5, Payload::new()).unwrap();
    assert_eq!(endpoint.prompt_text(&payload), Some(json!("a\nb")));
    endpoint.prepare_payload(&mut payload).unwrap();
    assert_eq!(
        json!(payload),
        json!({"prompt": "a\nb", "max_tokens": 5, "model": "m", "stream": true,
               "stream_options": {"include_usage": true}})
    );
    let payload = OpenAiCompletions::create_token_payload(&[1, 2], 5, Payload::new()).unwrap();
    assert_eq!(payload["prompt"], json!([1, 2]));
    assert_eq!(endpoint.prompt_text(&payload), None);
    OpenAiCompletions::create_token_payload(&[], 5, Payload::new()).unwrap_err();
    OpenAiCompletions::create_payload("x", 0, Payload::new()).unwrap_err();
    let several = object(&json!({"prompt": ["one", "two"]}));
    assert_eq!(endpoint.prompt_text(&several), Some(json!("one\ntwo")));
}

#[test]
fn embeddings_take_batches_and_no_streams() {
    let endpoint = OpenAiEmbeddings::builder("http://h/v1", "m")
        .build()
        .unwrap();
    assert_eq!(request(&endpoint).0, "/v1/embeddings");
    assert!(!endpoint.is_streaming());
    let prompt: Prompt = ["a", "b"].into_iter().collect();
    let mut payload = OpenAiEmbeddings::create_payload(prompt, Payload::new()).unwrap();
    assert_eq!(endpoint.prompt_text(&payload), Some(json!("a\nb")));
    endpoint.prepare_payload(&mut payload).unwrap();
    assert_eq!(json!(payload), json!({"input": ["a", "b"], "model": "m"}));
    let error = OpenAiEmbeddings::builder("http://h/v1", "m")
        .streaming(true)
        .build();
    assert!(error.unwrap_err().to_string().contains("does not stream"));
    OpenAiEmbeddings::create_payload(Prompt::default(), Payload::new()).unwrap_err();
}

#[test]
fn stream_options_are_sent_as_given_and_left_out_for_null() {
    for mode in [
        "openai-chat-stream",
        "openai-completions-stream",
        "azure-openai-chat-stream",
    ] {
        let api = ApiMode::named(mode).unwrap();
        let endpoint = api.endpoint(&settings("http://h/v1")).unwrap();
        let sent = |options: Value| {
            let mut payload = object(&json!({"prompt": "x", "stream_options": options}));
            endpoint.prepare_payload(&mut payload).unwrap();
            payload.get("stream_options").cloned()
        };
        for options in [json!({}), json!({"include_usage": false}), json!({"x": 1})] {
            assert_eq!(sent(options.clone()), Some(options), "{mode}");
        }
        assert_eq!(sent(Value::Null), None, "{mode}");
    }
}

#[test]
fn azure_addresses_are_taken_as_azure_shows_them() {
    let old = "/openai/deployments/my%20gpt/chat/completions?api-version=2024-10-21";
    for (url, target) in [
        ("https://r.openai.azure.com", old),
        ("https://r.openai.azure.com/", old),
        ("https://r.openai.azure.com/openai", old),
        ("https://r.openai.azure.com/openai/", old),
        (
            "https://r.openai.azure.com/openai/deployments/my%20gpt/chat/completions?api-version=2025-01-01-preview",
            "/openai/deployments/my%20gpt/chat/completions?api-version=2025-01-01-preview",
        ),
        (
            "https://r.openai.azure.com/openai/deployments/my%20gpt",
            old,
        ),
        (
            "https://gateway/team/openai/deployments/my%20gpt/",
            &format!("/team{old}"),
        ),
        (
            "https://r.openai.azure.com/openai/v1",
            "/openai/v1/chat/completions",
        ),
        (
            "https://r.openai.azure.com/openai/v1/",
            "/openai/v1/chat/completions",
        ),
    ] {
        let endpoint = AzureOpenAiChat::builder(url, "my gpt")
            .api_key("hunter22")
            .build();
        let endpoint = endpoint.unwrap();
        let (sent_to, headers) = request(&endpoint);
        assert_eq!(sent_to, target);
        assert!(headers.contains(&("api-key".to_owned(), "hunter22".to_owned())));
        assert!(!headers.iter().any(|(name, _)| name == "Authorization"));
        let saved = endpoint.saved();
        assert!(!saved.to_json().to_string().contains("hunter22"));
        let again = from_saved(&saved, NO_KEY).unwrap();
        assert_eq!(request(&*again).0, target);
        assert_eq!(again.saved(), saved);
    }
    let versioned = AzureOpenAiChat::builder("https://r.openai.azure.com", "m");
    let versioned = versioned
        .query("api-version", "2023-05-15")
        .build()
        .unwrap();
    assert!(request(&versioned).0.ends_with("?api-version=2023-05-15"));
}

#[test]
fn unusable_azure_addresses_are_refused() {
    let refused = |url: &str, model: &str| {
        AzureOpenAiChat::builder(url, model)
            .build()
            .unwrap_err()
            .to_string()
    };
    let error = refused("https://r/openai/deployments/a/chat/completions", "b");
    assert!(
        error.contains("model b") && error.contains("a, the deployment"),
        "{error}"
    );
    let error = refused("https://r/openai/deployments/a/embeddings", "a");
    assert!(error.contains("base_url"), "{error}");
    let url = "https://r/openai/deployments/a/chat/completions?api-version=1&api-key=hunter22";
    let error = refused(url, "a");
    assert!(
        error.contains("without a query") && !error.contains("hunter22"),
        "{error}"
    );
    assert!(refused("https://r", "..").contains("model"));
}
