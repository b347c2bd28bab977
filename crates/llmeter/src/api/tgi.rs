//! The own API of Hugging Face's Text Generation Inference: `generate` and `generate_stream`.

use serde_json::{Map, Value, json};

use super::json_frames::{Decoder, Meaning, count, object, text};
use super::*;

/// Text Generation Inference's `/generate` and `/generate_stream`. A server has one model: its name
/// is for the record only.
///
/// A payload has one text; several texts become one, a line each. There is no place for a system
/// text or media; the server's chat API ([`OpenAiChat`]) takes both.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::Tgi;
/// use llmeter::payload::Payload;
///
/// let endpoint = Tgi::builder("http://localhost:3000", "my-model").build()?;
/// assert_eq!(endpoint.identity().endpoint_name, "tgi");
/// let payload = Tgi::create_payload("Hello", 64, Payload::new())?;
/// assert_eq!(payload["parameters"]["max_new_tokens"], 64);
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Tgi;

entry_points!(Tgi);

const SPEC: ApiSpec = ApiSpec {
    about: "Text Generation Inference's own API",
    modes: &[
        Mode::streaming("tgi-stream", "TgiStream"),
        Mode::non_streaming("tgi", "Tgi"),
    ],
    module: "llmeter.endpoints.tgi",
    endpoint_name: "tgi",
    provider: "huggingface",
    key_variable: Some("HF_TOKEN"),
    base_url: Some("http://localhost:3000"),
    appended: &["generate", "generate_stream"],
    prompt_fields: &["inputs"],
    limit_fields: &[&["parameters", "max_new_tokens"]],
    ..ApiSpec::DEFAULT
};

const INPUTS: SupportedInputs = SupportedInputs {
    instead: "; its chat API, openai-chat, takes more",
    ..SupportedInputs::of_texts("TGI's own API")
};

/// The headers in which a server tells its own times and counts.
const HEADERS: [&str; 6] = [
    "x-total-time",
    "x-validation-time",
    "x-queue-time",
    "x-inference-time",
    "x-time-per-token",
    PROMPT_TOKENS,
];

/// The header with the number of the prompt's tokens, which non-streaming responses do not have
/// elsewhere.
const PROMPT_TOKENS: &str = "x-prompt-tokens";

impl Api for Tgi {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn supported_inputs(&self) -> &'static SupportedInputs {
        &INPUTS
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, _: bool) -> Payload {
        let mut payload = Payload::new();
        payload.insert("inputs".into(), json!(prompt.texts().join("\n")));
        let parameters = json!({"max_new_tokens": max_tokens, "details": true});
        payload.insert("parameters".into(), parameters);
        payload
    }

    fn prepare(&self, payload: &mut Payload, _: Option<&str>, streaming: bool) {
        // The address says whether to stream, and which model there is.
        payload.remove("model");
        payload.remove("stream");
        if let Some(parameters) = payload.get_mut("parameters").and_then(Value::as_object_mut)
            && streaming
        {
            // The server does not stream the prompt's tokens and refuses to be asked for them.
            parameters.remove("decoder_input_details");
        } else if !payload.contains_key("parameters") {
            payload.insert("parameters".into(), json!({"details": true}));
        }
    }

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        Some(text(payload, "inputs").to_owned())
    }

    fn path(&self, setup: &Setup) -> Result<String> {
        let path = if setup.streaming {
            "generate_stream"
        } else {
            "generate"
        };
        Ok(path.to_owned())
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::<Decoder<Generation>>::default()
    }
}

#[derive(Debug, Default)]
struct Generation;

impl Meaning for Generation {
    const ANSWER: &'static str = "a TGI generation: it has no generated_text";
    const END: &'static str = "generated_text";

    /// A stream's head is sent before there is anything to tell.
    fn head(&mut self, head: &ResponseHead, answer: &mut Answer) {
        let mut timings = Map::new();
        for name in HEADERS {
            let Some(value) = head.header(name) else {
                continue;
            };
            let Ok(number) = value.parse::<u64>() else {
                continue;
            };
            if name == PROMPT_TOKENS {
                answer.usage(Usage {
                    input: Some(number),
                    ..Usage::default()
                });
            } else {
                let name = name.trim_start_matches("x-").replace('-', "_");
                timings.insert(name, number.into());
            }
        }
        if !timings.is_empty() {
            answer.annotate("server_timings", timings);
        }
    }

    fn frame(&mut self, fields: &Map<String, Value>, answer: &mut Answer) {
        // Marks like that of the end are tokens but no text.
        if let Some(token) = object(fields, "token")
            && token.get("special") != Some(&Value::Bool(true))
        {
            answer.text(text(token, "text"));
        }
        if let Some(details) = object(fields, "details") {
            take_details(details, answer);
        }
        if let Some(Value::String(all)) = fields.get("generated_text") {
            if answer.text.is_empty() {
                answer.text(all);
            }
            answer.complete();
        }
    }

    fn whole(&mut self, fields: &Map<String, Value>, answer: &mut Answer) -> bool {
        self.frame(fields, answer);
        fields.get("generated_text").is_some_and(Value::is_string)
    }
}

fn take_details(details: &Map<String, Value>, answer: &mut Answer) {
    // The prompt's tokens are listed if they were asked for.
    let prefill = details.get("prefill").and_then(Value::as_array);
    let prefill = prefill.map(|tokens| tokens.len() as u64);
    answer.usage(Usage {
        input: count(details, "input_length").or(prefill.filter(|&tokens| tokens > 0)),
        output: count(details, "generated_tokens"),
        ..Usage::default()
    });
    let reason = text(details, "finish_reason");
    if !reason.is_empty() {
        answer.finish_reason(reason);
    }
}

#[cfg(test)]
mod tests;
