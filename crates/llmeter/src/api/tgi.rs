//! The own API of Hugging Face's Text Generation Inference: `generate` and `generate_stream`.

use serde_json::{Map, Value, json};

use super::json_frames::{Decoded, Decoder, Meaning, count, text};
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
    address_variables: &["TGI_ENDPOINT"],
    base_url: Some("http://localhost:3000"),
    appended: &["generate", "generate_stream"],
    prompt_fields: &["inputs"],
    limit_fields: &[&["parameters", "max_new_tokens"]],
    inputs: INPUTS,
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
        Some(
            payload
                .get("inputs")
                .and_then(Value::as_str)
                .unwrap_or_default()
                .to_owned(),
        )
    }

    fn path(&self, setup: &EndpointSetup) -> Result<String> {
        let path = if setup.streaming {
            "generate_stream"
        } else {
            "generate"
        };
        Ok(path.to_owned())
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Decoder::boxed(Generation)
    }
}

#[derive(Debug)]
struct Generation;

impl Meaning for Generation {
    const MISSING_END: &'static str = "no generated_text and no [DONE]";

    fn knows(&self, _: Option<&str>, value: &Value) -> bool {
        ["token", "generated_text", "details"]
            .iter()
            .any(|name| value.get(name).is_some())
    }

    /// A stream's head is sent before there is anything to tell.
    fn head(&mut self, head: &ResponseHead, response: &mut ResponseBuilder) {
        let mut timings = Map::new();
        for name in HEADERS {
            let Some(number) = head
                .header(name)
                .and_then(|value| value.parse::<u64>().ok())
            else {
                continue;
            };
            if name == PROMPT_TOKENS {
                response.usage(Usage {
                    input: Some(number),
                    ..Usage::default()
                });
            } else {
                let name = name.trim_start_matches("x-").replace('-', "_");
                timings.insert(name, number.into());
            }
        }
        if !timings.is_empty() {
            response.annotate("server_timings", timings);
        }
    }

    fn frame(&mut self, _: Option<&str>, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        let token = &value["token"];
        // Marks like that of the end are tokens but no text.
        if token.is_object() && token["special"] != true {
            response.text(text(token, "text"));
        }
        take_details(&value["details"], response);
        if let Some(all) = value["generated_text"].as_str() {
            if response.text.is_empty() {
                response.text(all);
            }
            response.complete();
        }
        Ok(())
    }

    fn non_streaming(&mut self, value: &Value, response: &mut ResponseBuilder) -> Decoded {
        self.frame(None, value, response)?;
        match value["generated_text"].is_string() {
            true => Ok(()),
            false => Err("is not a TGI generation: it has no generated_text".to_owned()),
        }
    }
}

fn take_details(details: &Value, response: &mut ResponseBuilder) {
    // The prompt's tokens are listed if they were asked for.
    let prefill = details["prefill"].as_array();
    let prefill = prefill.map(|tokens| tokens.len() as u64);
    response.usage(Usage {
        input: count(details, "input_length").or(prefill.filter(|&tokens| tokens > 0)),
        output: count(details, "generated_tokens"),
        ..Usage::default()
    });
    let reason = text(details, "finish_reason");
    if !reason.is_empty() {
        response.finish_reason(reason);
    }
}

#[cfg(test)]
mod tests;
