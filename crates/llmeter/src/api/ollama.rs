//! Ollama's own chat API, streaming as lines of JSON or not.

use serde_json::{Map, Value, json};

use super::json_frames::{
    Decoded, Decoder, Meaning, count, is_text_part, list, message_texts, text,
};
use super::supported_inputs::{FRAMES, mime_types};
use super::*;

/// Ollama's `/api/chat`, at a base URL without `/api`.
///
/// A payload has one user message, after a system message if the prompt has a system text. Several
/// texts become one, a line each; images (JPEG, PNG, WebP) are beside it, in their order.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::Ollama;
/// use llmeter::payload::Payload;
///
/// let endpoint = Ollama::builder("http://localhost:11434", "my-model").build()?;
/// assert_eq!(endpoint.identity().endpoint_name, "ollama");
/// let payload = Ollama::create_payload("Hello", 64, Payload::new())?;
/// assert_eq!(payload["options"]["num_predict"], 64);
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Ollama;

entry_points!(Ollama);

const SPEC: ApiSpec = ApiSpec {
    about: "Ollama's own chat API",
    modes: &[
        Mode::streaming("ollama-stream", "OllamaStream"),
        Mode::non_streaming("ollama", "Ollama"),
    ],
    module: "llmeter.endpoints.ollama",
    endpoint_name: "ollama",
    provider: "ollama",
    key_variable: Some("OLLAMA_API_KEY"),
    address_variables: &["OLLAMA_HOST"],
    base_url: Some("http://localhost:11434"),
    appended: &["api/chat", "api"],
    prompt_fields: &["messages"],
    limit_fields: &[&["options", "num_predict"]],
    inputs: INPUTS,
    path: "api/chat",
    framing: Framing::JsonLines,
    ..ApiSpec::DEFAULT
};

const INPUTS: SupportedInputs = SupportedInputs {
    system: true,
    images: &mime_types(["image/jpeg", "image/png", "image/webp"]),
    instead: FRAMES,
    ..SupportedInputs::of_texts("Ollama")
};

impl Api for Ollama {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, _: bool) -> Payload {
        let images: Vec<String> = prompt.parts.iter().filter_map(image).collect();
        let mut user = json!({"role": "user", "content": prompt.texts().join("\n")});
        if !images.is_empty() {
            user["images"] = json!(images);
        }
        let system = prompt.system.iter();
        let system = system.map(|text| json!({"role": "system", "content": text}));
        let mut payload = Payload::new();
        payload.insert("messages".into(), system.chain([user]).collect());
        payload.insert("options".into(), json!({"num_predict": max_tokens}));
        payload
    }

    fn prepare(&self, payload: &mut Payload, model: Option<&str>, streaming: bool) {
        set_model(payload, model);
        // The server streams unless told not to.
        payload.insert("stream".into(), json!(streaming));
    }

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        Some(message_texts(payload.get("messages"), is_text_part))
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Decoder::boxed(Chat)
    }
}

fn image(part: &Part<'_>) -> Option<String> {
    match part {
        Part::Text(_) => None,
        Part::Media(image, _) => Some(image.base64()),
    }
}

/// How long the server took by its own clock, in nanoseconds.
const DURATIONS: [&str; 4] = [
    "total_duration",
    "load_duration",
    "prompt_eval_duration",
    "eval_duration",
];

#[derive(Debug)]
struct Chat;

impl Meaning for Chat {
    const MISSING_END: &'static str = "no line that is done and no [DONE]";

    fn knows(&self, _: Option<&str>, value: &Value) -> bool {
        value["message"].is_object() || value["done"].is_boolean()
    }

    fn frame(&mut self, _: Option<&str>, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        let message = &value["message"];
        response.reasoning(text(message, "thinking"));
        if message.get("content").is_some() {
            response.text(text(message, "content"));
        }
        for call in list(message, "tool_calls") {
            let function = &call["function"];
            response.tool_call(text(function, "name"));
            if let Some(arguments) = function.get("arguments") {
                response.tool_call(&arguments.to_string());
            }
        }
        if value["done"] != true {
            return Ok(());
        }
        let reason = text(value, "done_reason");
        if !reason.is_empty() {
            response.finish_reason(reason);
        }
        response.complete();
        response.usage(Usage {
            input: count(value, "prompt_eval_count"),
            output: count(value, "eval_count"),
            ..Usage::default()
        });
        let timings: Map<String, Value> = DURATIONS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), value.get(name)?.clone())))
            .filter(|(_, value)| value.is_number())
            .collect();
        if !timings.is_empty() {
            response.annotate("server_timings", timings);
        }
        Ok(())
    }

    fn non_streaming(&mut self, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        self.frame(None, value, response)?;
        if value["done"] == false {
            let reason = "the response is not finished: it is not done";
            response.fail(FailureKind::Truncated, reason);
        }
        match value["message"].is_object() {
            true => Ok(()),
            false => Err("is not an Ollama chat response: it has no message".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
