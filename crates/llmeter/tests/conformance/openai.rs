//! The OpenAI family.

use llmeter::endpoint::APIS;
use serde_json::{Value, json};

use crate::openai_cases::{Case, ask};
use crate::scripted::answers::{DONE, chunked, event, sized};
use crate::scripted::{Step, write};

fn events(values: &[Value]) -> String {
    values.iter().map(event).collect()
}

/// A chat stream of these deltas.
fn chat_stream(deltas: &[Value], usage: bool) -> String {
    let chunk = |delta: &Value, finish: Value| json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
    let mut all: Vec<Value> = deltas
        .iter()
        .map(|delta| chunk(delta, Value::Null))
        .collect();
    all.push(chunk(&json!({}), json!("stop")));
    if usage {
        let usage = json!({"prompt_tokens": 7, "completion_tokens": 2});
        all.push(json!({"id": "c", "choices": [], "usage": usage}));
    }
    events(&all) + DONE
}

fn chat_whole(message: Value, usage: Option<Value>) -> String {
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    json!({"id": "c", "choices": [choice], "usage": usage}).to_string()
}

fn chat_usage() -> Option<Value> {
    Some(json!({"prompt_tokens": 7, "completion_tokens": 2}))
}

fn chat(streaming: &'static str, whole: &'static str) -> [Case; 2] {
    let text = |text: &str| json!({"content": text});
    let call = json!({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "{}"}}]});
    let hello = [text(""), text("Hel"), text("lo")];
    let overloaded = json!({"error": {"message": "overloaded", "code": 503}});
    [
        Case {
            api: streaming,
            answer: chat_stream(&hello, true),
            without_usage: chat_stream(&hello, false),
            reasoning: Some(chat_stream(
                &[json!({"reasoning_content": "hm"}), text("Hello")],
                true,
            )),
            tool_call: Some(chat_stream(std::slice::from_ref(&call), true)),
            empty: chat_stream(&[], true),
            error_within: Some(events(&[
                json!({"choices": [{"delta": {"content": "Hel"}}]}),
                overloaded,
            ])),
        },
        Case {
            api: whole,
            answer: chat_whole(text("Hello"), chat_usage()),
            without_usage: chat_whole(text("Hello"), None),
            reasoning: Some(chat_whole(
                json!({"content": "Hello", "reasoning": "hm"}),
                chat_usage(),
            )),
            tool_call: Some(chat_whole(call, chat_usage())),
            empty: chat_whole(text(""), chat_usage()),
            error_within: None,
        },
    ]
}

fn completions() -> [Case; 2] {
    let choice = |text: &str, finish: Value| json!([{"text": text, "finish_reason": finish}]);
    let stream = |texts: &[&str], usage: bool| {
        let mut all: Vec<Value> = texts
            .iter()
            .map(|text| json!({"id": "c", "choices": choice(text, Value::Null)}))
            .collect();
        all.push(json!({"id": "c", "choices": choice("", json!("stop"))}));
        if usage {
            all.push(json!({"choices": [], "usage": chat_usage()}));
        }
        events(&all) + DONE
    };
    let whole = |text: &str, usage: Option<Value>| {
        json!({"id": "c", "choices": choice(text, json!("stop")), "usage": usage}).to_string()
    };
    [
        Case {
            api: "openai-completions-stream",
            answer: stream(&["Hel", "lo"], true),
            without_usage: stream(&["Hel", "lo"], false),
            reasoning: None,
            tool_call: None,
            empty: stream(&[], true),
            error_within: Some(events(&[
                json!({"choices": choice("Hel", Value::Null)}),
                json!({"error": {"message": "overloaded"}}),
            ])),
        },
        Case {
            api: "openai-completions",
            answer: whole("Hello", chat_usage()),
            without_usage: whole("Hello", None),
            reasoning: None,
            tool_call: None,
            empty: whole("", chat_usage()),
            error_within: None,
        },
    ]
}

fn responses() -> [Case; 2] {
    let usage = || Some(json!({"input_tokens": 7, "output_tokens": 2}));
    let whole = |output: Value, usage: Option<Value>| json!({"id": "r", "status": "completed", "output": output, "usage": usage});
    let delta =
        |kind: &str, text: &str| json!({"type": format!("response.{kind}.delta"), "delta": text});
    let stream = |content: &[Value], usage: Option<Value>| {
        let mut all = vec![json!({"type": "response.created", "response": {"id": "r"}})];
        all.extend_from_slice(content);
        let response = whole(json!([]), usage);
        all.push(json!({"type": "response.completed", "response": response}));
        events(&all)
    };
    let hello = [delta("output_text", "Hel"), delta("output_text", "lo")];
    let message = json!({"type": "message", "content": [{"type": "output_text", "text": "Hello"}]});
    let thought = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}]});
    let call = json!({"type": "function_call", "name": "f", "arguments": "{}"});
    [
        Case {
            api: "openai-responses-stream",
            answer: stream(&hello, usage()),
            without_usage: stream(&hello, None),
            reasoning: Some(stream(
                &[
                    delta("reasoning_summary_text", "hm"),
                    delta("output_text", "Hello"),
                ],
                usage(),
            )),
            tool_call: Some(stream(
                &[
                    json!({"type": "response.output_item.added", "item": call}),
                    delta("function_call_arguments", "{}"),
                ],
                usage(),
            )),
            empty: stream(&[], usage()),
            error_within: Some(events(&[
                delta("output_text", "Hel"),
                json!({"type": "error", "code": "server_error", "message": "overloaded"}),
            ])),
        },
        Case {
            api: "openai-responses",
            answer: whole(json!([message]), usage()).to_string(),
            without_usage: whole(json!([message]), None).to_string(),
            reasoning: Some(whole(json!([thought, message]), usage()).to_string()),
            tool_call: Some(whole(json!([call]), usage()).to_string()),
            empty: whole(json!([]), usage()).to_string(),
            error_within: None,
        },
    ]
}

fn cases() -> Vec<Case> {
    chat("openai-chat-stream", "openai-chat")
        .into_iter()
        .chain(chat("azure-openai-chat-stream", "azure-openai-chat"))
        .chain(completions())
        .chain(responses())
        .collect()
}

#[test]
fn answers_are_understood() {
    let cases = cases();
    for case in &cases {
        case.check_answers();
    }
    let family = APIS.iter().filter(|api| api.name.contains("openai"));
    // Embeddings have no text.
    assert_eq!(cases.len() + 1, family.count());
}

#[test]
fn failures_are_told() {
    for case in cases() {
        case.check_failures();
    }
}

#[test]
fn refusals_further_choices_and_audio_are_content() {
    let api = "openai-chat-stream";
    let stream = |deltas: &[Value]| ask(api, vec![write(chunked(&chat_stream(deltas, true)))]);
    let response = stream(&[json!({"refusal": "I can"}), json!({"refusal": "not."})]);
    assert_eq!(response.response_text.as_deref(), Some("I cannot."));
    assert_eq!(response.detail.content_frames, Some(2));

    let audio = |audio: Value| json!({"audio": audio});
    let response = stream(&[
        audio(json!({"id": "a"})),
        audio(json!({"transcript": "Hi"})),
        audio(json!({"data": "AAAA"})),
        audio(json!({"expires_at": 5})),
    ]);
    assert_eq!(
        (response.error, response.detail.content_frames),
        (None, Some(2))
    );

    // Of several choices the first one is kept, and the frames of all count.
    let chunk =
        |index: u32, text: &str| json!({"choices": [{"index": index, "delta": {"content": text}}]});
    let body = events(&[chunk(1, "b"), chunk(0, "a"), chunk(1, "b"), chunk(2, "")])
        + &chat_stream(&[], true);
    let response = ask(api, vec![write(chunked(&body))]);
    assert_eq!(response.response_text.as_deref(), Some("a"));
    assert_eq!(response.detail.content_frames, Some(3));
    assert_eq!(response.num_tokens_output, Some(2));
}

#[test]
fn embeddings_are_understood_and_failures_told() {
    let api = "openai-embeddings";
    let body = json!({
        "data": [{"embedding": [0.5, -1.0]}, {"embedding": [1, 2]}],
        "usage": {"prompt_tokens": 7, "total_tokens": 7},
    });
    let bytes = sized("200 OK", "application/json", &body.to_string());
    for steps in [
        vec![write(bytes.clone())],
        vec![Step::Trickle(bytes.clone())],
    ] {
        let response = ask(api, steps);
        assert_eq!(response.error, None);
        assert_eq!(
            (response.num_tokens_input, response.num_tokens_output),
            (Some(7), Some(0))
        );
        assert_eq!(response.annotations["vectors"], 2);
        assert_eq!(response.annotations["vector_dimensions"], 2);
    }
    for (bytes, message) in [
        (
            sized("200 OK", "application/json", "{\"data\": []}"),
            "no embeddings",
        ),
        (sized("200 OK", "text/html", "<p>"), "text/html"),
        (
            sized("200 OK", "text/event-stream", "data: {}\n\n"),
            "not a list of embeddings",
        ),
        (
            sized(
                "400 Bad Request",
                "application/json",
                r#"{"error": {"message": "too long"}}"#,
            ),
            "HTTP 400 Bad Request: too long",
        ),
        (bytes[..bytes.len() - 5].to_vec(), ""),
    ] {
        let error = ask(api, vec![Step::WriteAndClose(bytes)]).error.unwrap();
        assert!(error.contains(message), "{error}");
    }
}
