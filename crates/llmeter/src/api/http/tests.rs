//! Templates, addresses, and what expressions find.

use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::*;
use crate::endpoint::{ApiEndpoint, Endpoint, HttpApi};

fn payload(value: Value) -> Payload {
    match value {
        Value::Object(fields) => fields,
        _ => Payload::new(),
    }
}

fn body(endpoint: &ApiEndpoint, fields: Value) -> std::result::Result<String, String> {
    match endpoint.request(&payload(fields)) {
        Ok(request) => Ok(String::from_utf8(request.body).unwrap()),
        Err(reason) => Err(reason.0),
    }
}

fn templated(template: &str) -> ApiEndpoint {
    let builder = HttpEndpoint::builder("http://h/x")
        .model("m")
        .body(template);
    builder.build().unwrap()
}

#[test]
fn values_are_written_as_json_whatever_they_hold() {
    let endpoint = templated(r#"{"in": {{ prompt }}, "n": {{ max_tokens }}, "m": {{ model }}}"#);
    let nasty = "a \"quote\", a \\, {{ model }}, <b>, \u{1F600} and a\nline";
    let made = body(&endpoint, json!({"prompt": nasty, "max_tokens": 7})).unwrap();
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(made, json!({"in": nasty, "n": 7, "m": "m"}));
}

#[test]
fn templates_compute() {
    let endpoint = templated(
        r#"{"in": {{ "Q: " ~ prompt }}, "t": {{ temperature | default(0.5) }}
            {%- if stop is defined %}, "stop": {{ stop }}{% endif %}, "raw": {{ payload | tojson }}}"#,
    );
    let made = body(&endpoint, json!({"prompt": "why?", "stop": ["a", null]})).unwrap();
    let made: Value = serde_json::from_str(&made).unwrap();
    assert_eq!(
        made,
        json!({
            "in": "Q: why?", "t": 0.5, "stop": ["a", null],
            "raw": {"prompt": "why?", "stop": ["a", null]},
        })
    );
}

#[test]
fn without_a_template_the_payload_is_sent_as_it_is() {
    let endpoint = HttpEndpoint::builder("http://h/x").build().unwrap();
    let fields = r#"{"b":1,"a":[1.5,"x"],"model":"own"}"#;
    let made = body(&endpoint, serde_json::from_str(fields).unwrap()).unwrap();
    assert_eq!(made, fields);
    assert_eq!(body(&templated(" \n"), json!({})).unwrap(), "");
}

#[test]
fn mistakes_in_templates_are_explained() {
    let refused = |template: &str| {
        let builder = HttpEndpoint::builder("http://h/x").body(template);
        builder.build().unwrap_err().to_string()
    };
    let reason = refused("{\"a\": {{ prompt }");
    assert!(
        reason.starts_with("body {\"a\": {{ prompt }: expected a template"),
        "{reason}"
    );

    let reason = body(&templated(r#"{"a": {{ promt }}}"#), json!({"prompt": "x"})).unwrap_err();
    assert!(reason.contains("undefined"), "{reason}");
    assert!(
        reason.contains("it can use prompt, payload, model"),
        "{reason}"
    );

    let reason = body(
        &templated(r#"{"a": "{{ prompt }}"}"#),
        json!({"prompt": "x"}),
    )
    .unwrap_err();
    assert!(reason.contains("no valid JSON"), "{reason}");
    assert!(
        reason.contains("write {{ prompt }}, not \"{{ prompt }}\""),
        "{reason}"
    );
}

#[test]
fn addresses_are_taken_whole() {
    let target = |url: &str| {
        let endpoint = HttpEndpoint::builder(url).model("a/b").build().unwrap();
        let request = endpoint.request(&Payload::new()).unwrap();
        (endpoint.server().authority.clone(), request.target)
    };
    for (url, authority, path) in [
        ("http://h:1/generate", "h:1", "/generate"),
        ("http://h/v1/generate/", "h", "/v1/generate/"),
        ("http://h", "h", "/"),
        (
            "http://h/m/{{ model }}:run?alt=sse&key=x y",
            "h",
            "/m/a%2Fb:run?alt=sse&key=x+y",
        ),
    ] {
        assert_eq!(
            target(url),
            (authority.to_owned(), path.to_owned()),
            "{url}"
        );
    }
    let refused = |url: &str| HttpEndpoint::builder(url).build().unwrap_err().to_string();
    assert!(refused("h/generate").starts_with("base_url: "));
    assert!(!refused("bad?key=hidden").contains("hidden"));
}

#[test]
fn keys_go_where_the_template_wants_them() {
    let key = "secret-key-1";
    let bearer = HttpEndpoint::builder("http://h/x")
        .api_key(key)
        .build()
        .unwrap();
    let request = bearer.request(&Payload::new()).unwrap();
    let authorization = |request: &HttpRequest| {
        let mut headers = request.headers.iter();
        let found = headers.find(|(name, _)| name == "Authorization");
        found.map(|(_, value)| value.expose_secret().to_owned())
    };
    assert_eq!(authorization(&request).unwrap(), "Bearer secret-key-1");

    let builder = HttpEndpoint::builder("http://h/x?token=query-secret&page=1").api_key(key);
    let within = builder.body(r#"{"auth": {{ api_key }}}"#).build().unwrap();
    let request = within.request(&Payload::new()).unwrap();
    assert_eq!(authorization(&request), None);
    assert_eq!(request.body, br#"{"auth": "secret-key-1"}"#);
    let saved = serde_json::to_string(&within.saved().state).unwrap();
    assert!(
        !saved.contains(key) && !saved.contains("query-secret"),
        "{saved}"
    );
    assert!(saved.contains(r#""page":"1""#), "{saved}");
    assert_eq!(
        within.redact("no secret-key-1, query-secret"),
        "no <redacted>, <redacted>"
    );
}

#[test]
fn settings_are_checked() {
    let refused = |builder: EndpointBuilder| builder.build().unwrap_err().to_string();
    let builder = || HttpEndpoint::builder("http://h/x");
    assert_eq!(
        refused(builder().jmespath("txt", "a")),
        "jmespath txt=a: expected one of the parts text, reasoning, \
         tool-call, id, error, end, input-tokens, output-tokens, cached-tokens, reasoning-tokens, \
         prompt"
    );
    let reason = refused(builder().jmespath("text", "a["));
    assert!(
        reason.starts_with("jmespath text=a[: expected a JMESPath"),
        "{reason}"
    );
    let reason = refused(builder().framing(Framing::Sse));
    assert!(reason.contains("text=choices[0].delta.content"), "{reason}");
    let reason = refused(builder().method("GET /"));
    assert_eq!(
        reason,
        "method \"GET /\": expected an HTTP method like POST, PUT or GET"
    );
}

#[test]
fn it_is_saved_and_loaded() {
    let endpoint = HttpEndpoint::builder("https://h/a/{{ model }}/run?v=2")
        .model("m")
        .provider("me")
        .method("put")
        .body("{\"p\": {{ prompt }}}")
        .framing(Framing::EventStream)
        .jmespath("text", "t")
        .jmespath("prompt", "p")
        .header("X-Title", "t")
        .header("X-Key", "hidden-value")
        .build()
        .unwrap();
    let saved = endpoint.saved();
    assert_eq!(saved.class, "llmeter.endpoints.http.HttpEndpoint");
    assert!(!format!("{:?}", saved.state).contains("hidden-value"));
    let again = ApiEndpoint::from_saved(&saved, None).unwrap();
    assert_eq!(again.saved(), saved);
    assert_eq!(again.method(), "PUT");
    let request = |endpoint: &ApiEndpoint| endpoint.request(&payload(json!({"prompt": "x"})));
    assert_eq!(
        request(&again).unwrap().target,
        request(&endpoint).unwrap().target
    );
    assert_eq!(HttpApi::framing(&again), Framing::EventStream);
}

fn decoded(parts: &[(&str, &str)], frames: &[&str]) -> ResponseBuilder {
    let builder = HttpEndpoint::builder("http://h/x").framing(Framing::Sse);
    let builder = parts.iter().fold(builder, |builder, (part, path)| {
        builder.jmespath(*part, *path)
    });
    let mut decoder = builder.build().unwrap().decoder();
    let mut response = ResponseBuilder::default();
    for data in frames {
        let frame = crate::endpoint::Frame {
            event: None,
            data: data.as_bytes(),
            is_error: false,
        };
        decoder.frame(frame, &mut response);
    }
    decoder.end(&mut response);
    response
}

#[test]
fn frames_say_what_expressions_find() {
    let parts = [
        ("text", "c[0].t"),
        ("reasoning", "c[0].r"),
        ("id", "id"),
        ("end", "done"),
        ("input-tokens", "u.i"),
        ("output-tokens", "u.o || `0`"),
        ("cached-tokens", "u.c"),
        ("reasoning-tokens", "u.r"),
    ];
    let response = decoded(
        &parts,
        &[
            r#"{"id": 17, "c": [{"r": "hm"}]}"#,
            r#"{"id": 17, "c": [{"t": "one"}], "error": null}"#,
            r#"{"c": [{"t": " two"}], "error": 0}"#,
            r#"{"done": "length", "u": {"i": 3, "o": 4, "c": 1, "r": 2}}"#,
        ],
    );
    assert_eq!(response.error, None);
    assert_eq!(
        (response.text.as_str(), response.reasoning.as_str()),
        ("one two", "hm")
    );
    assert_eq!(response.id.as_deref(), Some("17"));
    assert_eq!(response.finish_reason.as_deref(), Some("length"));
    let usage = response.usage;
    assert_eq!((usage.input, usage.output), (Some(3), Some(4)));
    assert_eq!(
        (usage.input_cached, usage.output_reasoning),
        (Some(1), Some(2))
    );
    assert_eq!(response.content_frames(), 3);
}

#[test]
fn streams_that_fail_or_do_not_end_are_failures() {
    let text = ("text", "t");
    let error = |parts: &[(&str, &str)], frames: &[&str]| {
        let response = decoded(parts, frames);
        response.error_text().map(str::to_owned)
    };
    let cut = error(&[text, ("end", "done")], &[r#"{"t": "a"}"#]).unwrap();
    assert!(
        cut.starts_with("the stream ended before it was finished (no frame has done"),
        "{cut}"
    );
    assert_eq!(
        error(&[text, ("end", "done")], &[r#"{"t": "a"}"#, "[DONE]"]),
        None
    );
    assert_eq!(error(&[text], &[r#"{"t": "a"}"#]), None);
    let nothing = error(&[text], &[r#"{"x": "a"}"#]).unwrap();
    assert_eq!(nothing, "no frame had a text at t (`jmespath` text=…)");
    let said = error(
        &[text],
        &[r#"{"t": "a"}"#, r#"{"error": {"message": "busy"}}"#],
    );
    assert_eq!(said.unwrap(), "busy");
    let own = error(
        &[text, ("error", "fail.why")],
        &[r#"{"fail": {"why": "no"}, "error": "x"}"#],
    );
    assert_eq!(own.unwrap(), "no");
    let broken = error(&[text], &["{"]).unwrap();
    assert!(broken.starts_with("frame 1 is not valid JSON"), "{broken}");
}

#[test]
fn wrapped_messages_are_opened() {
    use base64::Engine as _;
    let inner = base64::engine::general_purpose::STANDARD.encode(r#"{"t": "x"}"#);
    let frame = json!({"bytes": inner, "p": "abc"}).to_string();
    assert_eq!(decoded(&[("text", "t")], &[&frame]).text, "x");
}
