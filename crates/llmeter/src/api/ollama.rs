//! Ollama's own chat API, streamed as lines of JSON or not.

use secrecy::SecretString;
use serde_json::{Map, Value, json};

use super::supported_inputs::{FRAMES, Intake, Part, check_limit, usual};
use super::{Answer, FrameDecoder, Framing, Usage};
use crate::base::error::Result;
use crate::endpoint::json_api::{
    Decoder, Dialect, JsonEndpointBuilder, Meaning, Names, bearer, count, list, message_texts,
    object, text,
};
use crate::payload::{Payload, Prompt};

/// Ollama's `/api/chat`.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::Ollama;
///
/// let endpoint = Ollama::builder("http://localhost:11434", "my-model").build()?;
/// assert_eq!(endpoint.identity().endpoint_name, "ollama");
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Ollama;

impl Ollama {
    /// An endpoint at `base_url`, without `/api`.
    pub fn builder(
        base_url: impl Into<String>,
        model_id: impl Into<String>,
    ) -> JsonEndpointBuilder {
        JsonEndpointBuilder::new(&Self, base_url.into(), model_id.into())
    }

    /// A payload with one user message, after a system message if the prompt has a system text.
    /// Several texts become one, a line each; images are beside it, in their order. `extra` is added
    /// last and wins.
    ///
    /// ```
    /// # use llmeter::{endpoint::Ollama, payload::Payload};
    /// let payload = Ollama::create_payload("Hello", 64, Payload::new())?;
    /// assert_eq!(payload["options"]["num_predict"], 64);
    /// # Ok::<(), llmeter::Error>(())
    /// ```
    ///
    /// # Errors
    /// When `max_tokens` is 0, the prompt has no item, or media other than JPEG, PNG and WebP images.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        check_limit(max_tokens)?;
        let prompt = prompt.into();
        let parts = INTAKE.parts(&prompt)?;
        let texts: Vec<&str> = parts.iter().filter_map(Part::text).collect();
        let images: Vec<String> = parts.iter().filter_map(image).collect();
        let mut user = json!({"role": "user", "content": texts.join("\n")});
        if !images.is_empty() {
            user["images"] = json!(images);
        }
        let system = prompt.system.iter();
        let system = system.map(|text| json!({"role": "system", "content": text}));
        let mut payload = Payload::new();
        payload.insert("messages".into(), system.chain([user]).collect());
        payload.insert("options".into(), json!({"num_predict": max_tokens}));
        payload.extend(extra);
        Ok(payload)
    }
}

const INTAKE: Intake = Intake {
    system: true,
    images: &usual(["image/jpeg", "image/png", "image/webp"]),
    instead: FRAMES,
    ..Intake::of_texts("Ollama")
};

fn image(part: &Part<'_>) -> Option<String> {
    match part {
        Part::Text(_) => None,
        Part::Media(image, _) => Some(image.base64()),
    }
}

impl Dialect for Ollama {
    fn names(&self) -> &'static Names {
        &Names {
            endpoint: "ollama",
            provider: "ollama",
            module: "llmeter.endpoints.ollama",
            stream_class: "OllamaStream",
            whole_class: "Ollama",
            base_url: "http://localhost:11434",
            appended: &["api/chat", "api"],
        }
    }

    fn path(&self, _: &str, _: bool) -> String {
        "api/chat".to_owned()
    }

    fn key_header(&self, key: &SecretString) -> (&'static str, SecretString) {
        bearer(key)
    }

    fn framing(&self) -> Framing {
        Framing::JsonLines
    }

    fn prepare(&self, payload: &mut Payload, model: &str, streaming: bool) {
        payload.insert("model".into(), json!(model));
        // The server streams unless told not to.
        payload.insert("stream".into(), json!(streaming));
    }

    fn prompt_text(&self, payload: &Payload) -> String {
        message_texts(payload)
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::<Decoder<Chat>>::default()
    }
}

/// How long the server took by its own clock, in nanoseconds.
const DURATIONS: [&str; 4] = [
    "total_duration",
    "load_duration",
    "prompt_eval_duration",
    "eval_duration",
];

#[derive(Debug, Default)]
struct Chat;

impl Meaning for Chat {
    const ANSWER: &'static str = "an Ollama chat answer: it has no message";
    const END: &'static str = "line that is done";

    fn frame(&mut self, fields: &Map<String, Value>, answer: &mut Answer) {
        if let Some(message) = object(fields, "message") {
            answer.reasoning(text(message, "thinking"));
            if message.contains_key("content") {
                answer.text(text(message, "content"));
            }
            for call in list(message, "tool_calls") {
                if let Some(function) = object(call, "function") {
                    answer.tool_call(text(function, "name"));
                    if let Some(arguments) = function.get("arguments") {
                        answer.tool_call(&arguments.to_string());
                    }
                }
            }
        }
        if fields.get("done") != Some(&Value::Bool(true)) {
            return;
        }
        match text(fields, "done_reason") {
            "" => answer.complete(),
            reason => answer.finish_reason(reason),
        }
        answer.usage(Usage {
            input: count(fields, "prompt_eval_count"),
            output: count(fields, "eval_count"),
            ..Usage::default()
        });
        let timings: Map<String, Value> = DURATIONS
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), fields.get(*name)?.clone())))
            .filter(|(_, value)| value.is_number())
            .collect();
        if !timings.is_empty() {
            answer.annotate("server_timings", timings);
        }
    }

    fn whole(&mut self, fields: &Map<String, Value>, answer: &mut Answer) -> bool {
        self.frame(fields, answer);
        object(fields, "message").is_some()
    }
}

#[cfg(test)]
mod tests;
