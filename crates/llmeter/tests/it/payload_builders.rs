//! Payloads of texts, system texts and media for every API, against the Python system's vectors.

use std::collections::BTreeMap;

use crate::golden::{object, vectors};
use llmeter::Result;
use llmeter::endpoint::{
    AnthropicMessages, ApiMode, BedrockConverse, BedrockInvoke, OpenAiChat, OpenAiResponses,
    SageMaker,
};
use llmeter::payload::{
    ContentItem, Media, MediaKind, Payload, Prompt, media_type_by_content, media_type_by_extension,
};
use serde_json::{Value, json};

/// The media of the vectors, as their note describes them.
fn media(mark: &str) -> Option<Media> {
    use MediaKind::{Audio, Document, Image, Video};
    Some(match mark {
        "<img>" => Media::new(Image, "image/jpeg", *b"\xff\xd8\xff\xe0jpeg"),
        "<pdf>" => Media::new(Document, "application/pdf", *b"%PDF-1.4").named("report.pdf"),
        "<aud>" => Media::new(Audio, "audio/mpeg", *b"ID3"),
        "<wav>" => Media::new(Audio, "audio/wav", *b"RIFFxxxxWAVE"),
        "<ogg>" => Media::new(Audio, "audio/ogg", *b"OggS"),
        "<vid>" => Media::new(Video, "video/mp4", *b"vid"),
        "<bmp>" => Media::new(Image, "image/bmp", *b"BM"),
        _ => return None,
    })
}

/// What Rust's types rule out: no text and no list, or a list with something else in it.
fn prompt(message: &Value) -> Option<Prompt> {
    let item = |value: &Value| {
        let text = value.as_str()?;
        Some(media(text).map_or_else(|| text.into(), ContentItem::Media))
    };
    match message {
        Value::Array(items) => items.iter().map(item).collect::<Option<Vec<_>>>(),
        text => item(text).map(|item| vec![item]),
    }
    .map(Prompt::from)
}

type Create = fn(Prompt, u64, Payload) -> Result<Payload>;

const CLASSES: [(&str, &str, Create); 6] = [
    (
        "OpenAICompletionEndpoint",
        "max_tokens",
        OpenAiChat::create_payload,
    ),
    (
        "OpenAIResponseEndpoint",
        "max_output_tokens",
        OpenAiResponses::create_payload,
    ),
    (
        "AnthropicMessages",
        "max_tokens",
        AnthropicMessages::create_payload,
    ),
    (
        "BedrockConverse",
        "max_tokens",
        BedrockConverse::create_payload,
    ),
    ("BedrockInvoke", "max_tokens", BedrockInvoke::create_payload),
    ("SageMakerEndpoint", "max_tokens", |prompt, most, extra| {
        SageMaker::create_payload(prompt, most, false, extra)
    }),
];

#[test]
fn payloads_are_made_as_by_the_python_system() {
    // How many cases were the same, how many are refused in both, and where ours differ on purpose.
    let mut same: BTreeMap<&str, usize> = BTreeMap::new();
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    let mut differ: BTreeMap<&str, usize> = BTreeMap::new();
    for case in vectors("create_payload") {
        let class = case["endpoint"].as_str().unwrap();
        let Some((class, limit, create)) = CLASSES.iter().find(|(name, ..)| *name == class) else {
            assert!(class.starts_with("LiteLLM") || class == "SageMakerStreamEndpoint");
            continue;
        };
        let Some(prompt) = prompt(&case["user_message"]) else {
            // Python hands whatever is no text to the Responses API.
            assert!(case.get("value").is_none() || *class == "OpenAIResponseEndpoint");
            continue;
        };
        let mut extra = object(&case["kwargs"]).clone();
        let max_tokens = match extra.shift_remove(*limit) {
            None => 256,
            Some(Value::Number(number)) if number.is_i64() => {
                number.as_i64().unwrap().max(0).unsigned_abs()
            }
            // Types that Rust rules out.
            Some(_) => continue,
        };
        let is_list = case["user_message"].is_array();
        let made = create(prompt, max_tokens, extra);
        let Some(expected) = case.get("value") else {
            if *class == "AnthropicMessages" && is_list && made.is_ok() {
                // The Python system has no lists for this API at all.
                *differ.entry(class).or_default() += 1;
            } else {
                made.unwrap_err();
                *refused.entry(class).or_default() += 1;
            }
            continue;
        };
        match made {
            Ok(made) if written(&json!(made)) == written(expected) => {
                *same.entry(class).or_default() += 1;
            }
            made => {
                deviation(class, &case, made.map(Value::Object), expected);
                *differ.entry(class).or_default() += 1;
            }
        }
    }
    let counts = |counts: &BTreeMap<&'static str, usize>| {
        CLASSES.map(|(class, ..)| counts.get(class).copied().unwrap_or(0))
    };
    assert_eq!(counts(&same), [18, 18, 11, 18, 13, 19]);
    assert_eq!(counts(&refused), [6, 0, 8, 4, 11, 4]);
    assert_eq!(counts(&differ), [0, 10, 5, 2, 0, 1]);
}

/// A value with its keys in their order.
fn written(value: &Value) -> String {
    value.to_string()
}

/// Checks a payload that is not the Python system's on purpose.
fn deviation(class: &str, case: &Value, made: Result<Value>, expected: &Value) {
    let message = &case["user_message"];
    match class {
        // Documents need a name there.
        "BedrockConverse" if message.to_string().contains("<pdf>") => {
            let mut made = made.unwrap();
            let document = made.pointer_mut("/messages/0/content/0/document").unwrap();
            let name = document.as_object_mut().unwrap().shift_remove("name");
            assert_eq!(name, Some(json!("report")));
            assert_eq!(made.to_string(), expected.to_string());
        }
        // D35: a limit that is given is kept.
        "BedrockConverse" => {
            assert_eq!(case["kwargs"]["inferenceConfig"]["maxTokens"], 9);
            assert_eq!(made.unwrap()["inferenceConfig"]["maxTokens"], 9);
        }
        // A keyword of that function alone; here it is a field like any other.
        "SageMakerEndpoint" => {
            assert_eq!(
                made.unwrap()["inference_parameters"],
                case["kwargs"]["inference_parameters"]
            );
        }
        "OpenAIResponseEndpoint" => match message.as_array().map(Vec::as_slice) {
            Some([]) => assert!(made.is_err()),
            Some([Value::String(text)]) if media(text).is_none() => {
                assert_eq!(made.unwrap()["input"], *text);
            }
            // The Python system sends what it calls the objects in memory.
            Some(_) => assert!(expected.to_string().contains("Content(data="), "{case}"),
            None => panic!("{case}"),
        },
        _ => panic!("{class}: {made:?} for {case}"),
    }
}

#[test]
fn names_tell_types_as_in_the_python_system() {
    let cases = vectors("mime_by_extension");
    assert_eq!(cases.len(), 15);
    for case in cases {
        let found = media_type_by_extension(case["name"].as_str().unwrap());
        assert_eq!(json!(found), case["mime"], "{case}");
    }
    assert_eq!(media_type_by_extension("folder.png/.png"), None);
    assert_eq!(
        media_type_by_content(b"\xff\xd8\xff\xe0\0\x10JFIF"),
        Some("image/jpeg")
    );
}

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const PNG64: &str = "iVBORw0KGgo=";

fn everything() -> Vec<Media> {
    use MediaKind::{Audio, Document, Image, Video};
    vec![
        Media::new(Image, "image/png", PNG).named("a.png"),
        Media::new(Document, "application/pdf", *b"%PDF-1.4").named("b.pdf"),
        Media::new(Document, "text/markdown", *b"# Hi").named("b.md"),
        Media::new(Audio, "audio/mpeg", *b"ID3").named("c.mp3"),
        Media::new(Video, "video/quicktime", *b"mov").named("d.mov"),
    ]
}

/// The block that an API makes of each of these, and which it refuses.
fn blocks(name: &str, at: &str) -> Vec<Option<Value>> {
    let api = ApiMode::named(name).unwrap();
    let block = |media: Media| {
        let prompt = Prompt::default().item(media).item("what?");
        let payload = json!(api.create_payload(prompt, 5).ok()?);
        Some(payload.pointer(at).unwrap().clone())
    };
    everything().into_iter().map(block).collect()
}

#[test]
fn each_api_has_its_own_shape_of_media() {
    let url = format!("data:image/png;base64,{PNG64}");
    let pdf = "data:application/pdf;base64,JVBERi0xLjQ=";
    for name in ["openai-chat", "azure-openai-chat-stream"] {
        assert_eq!(
            blocks(name, "/messages/0/content/0"),
            [
                Some(json!({"type": "image_url", "image_url": {"url": url}})),
                Some(json!({"type": "file", "file": {"file_data": pdf, "filename": "b.pdf"}})),
                None,
                Some(json!({"type": "input_audio",
                            "input_audio": {"data": "SUQz", "format": "mp3"}})),
                None,
            ]
        );
    }
    let file = |data: &str, name: &str| {
        Some(json!({"type": "input_file", "file_data": data, "filename": name}))
    };
    assert_eq!(
        blocks("openai-responses", "/input/0/content/0"),
        [
            Some(json!({"type": "input_image", "image_url": url, "detail": "auto"})),
            file(pdf, "b.pdf"),
            file("data:text/markdown;base64,IyBIaQ==", "b.md"),
            None,
            None,
        ]
    );
    assert_eq!(
        blocks("anthropic-messages", "/messages/0/content/0"),
        [
            Some(json!({"type": "image", "source":
                        {"type": "base64", "media_type": "image/png", "data": PNG64}})),
            Some(json!({"type": "document", "source":
                        {"type": "base64", "media_type": "application/pdf",
                         "data": "JVBERi0xLjQ="}})),
            Some(json!({"type": "document", "source":
                        {"type": "text", "media_type": "text/plain", "data": "# Hi"}})),
            None,
            None,
        ]
    );
    let bytes = |data: &str| json!({"bytes": {"__llmeter_bytes__": data}});
    assert_eq!(
        blocks("bedrock-converse", "/messages/0/content/0"),
        [
            Some(json!({"image": {"format": "png", "source": bytes(PNG64)}})),
            Some(
                json!({"document": {"format": "pdf", "source": bytes("JVBERi0xLjQ="),
                                     "name": "b"}})
            ),
            Some(json!({"document": {"format": "md", "source": bytes("IyBIaQ=="), "name": "b"}})),
            Some(json!({"audio": {"format": "mp3", "source": bytes("SUQz")}})),
            Some(json!({"video": {"format": "mov", "source": bytes("bW92")}})),
        ]
    );
    let inline = |mime_type: &str, data: &str| {
        Some(json!({"inlineData": {"mimeType": mime_type, "data": data}}))
    };
    assert_eq!(
        blocks("gemini", "/contents/0/parts/0"),
        [
            inline("image/png", PNG64),
            inline("application/pdf", "JVBERi0xLjQ="),
            inline("text/plain", "IyBIaQ=="),
            inline("audio/mp3", "SUQz"),
            inline("video/mov", "bW92"),
        ]
    );
    let message = json!({"role": "user", "content": "what?", "images": [PNG64]});
    assert_eq!(
        blocks("ollama", "/messages/0"),
        [Some(message), None, None, None, None]
    );
    for api in ApiMode::all() {
        let inputs = &api.api.spec().inputs;
        let media = [inputs.images, inputs.audio, inputs.videos, inputs.documents];
        if media.concat().is_empty() {
            assert_eq!(blocks(api.name, ""), vec![None; 5], "{}", api.name);
        }
    }
}

#[test]
fn a_system_text_is_where_each_api_has_it() {
    let text = "Be brief.";
    let forms = [
        json!(text),
        json!([{"text": text}]),
        json!({"parts": [{"text": text}]}),
        json!({"role": "system", "content": text}),
        json!({"role": "system", "content": [{"text": text, "type": "text"}]}),
    ];
    for api in ApiMode::all() {
        let spec = api.api.spec();
        let made = api.create_payload(Prompt::from("hi").system(text), 5);
        if !spec.inputs.system {
            let error = made.unwrap_err().to_string();
            assert!(error.contains("system is not supported"), "{error}");
            continue;
        }
        let mut made = made.unwrap();
        let fields = spec.system_fields.iter();
        let found = fields.filter_map(|field| made.shift_remove(*field)).next();
        // Without a field for it, it is the first message.
        let found = found.unwrap_or_else(|| {
            let messages = made[spec.prompt_fields[0]].as_array_mut().unwrap();
            messages.remove(0)
        });
        assert!(forms.contains(&found), "{}: {found}", api.name);
        // Without one the payload is that of the text alone.
        assert_eq!(made, api.create_payload("hi", 5).unwrap(), "{}", api.name);
    }
}

#[test]
fn texts_beside_media_keep_their_order() {
    let png = || Media::new(MediaKind::Image, "image/png", PNG);
    let prompt = Prompt::from("one").item(png()).item("two").item(png());
    let made = |name: &str| {
        json!(
            ApiMode::named(name)
                .unwrap()
                .create_payload(prompt.clone(), 5)
                .unwrap()
        )
    };
    let kinds = |content: &Value| -> Vec<String> {
        let blocks = content.as_array().unwrap().iter();
        blocks
            .map(|block| block["type"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(
        kinds(&made("openai-chat")["messages"][0]["content"]),
        ["text", "image_url", "text", "image_url"]
    );
    assert_eq!(
        kinds(&made("openai-responses")["input"][0]["content"]),
        ["input_text", "input_image", "input_text", "input_image"]
    );
    assert_eq!(
        made("ollama")["messages"][0],
        json!({"role": "user", "content": "one\ntwo", "images": [PNG64, PNG64]})
    );
}
