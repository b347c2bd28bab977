//! OpenAI embeddings: texts become vectors, without a stream.

use std::fmt;

use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::{Value, json};

use super::failure::{ErrorField, error_text};
use super::lenient::{Count, Lenient, Object, Text};
use super::response::VECTORS;
use super::*;
use crate::endpoint::EndpointBuilder;
use crate::payload::Prompt;

/// The Embeddings API, at a base URL as the OpenAI SDK takes it.
///
/// A response has no text. Its annotations tell how many vectors came (`vectors`), how long they are
/// (`vector_dimensions`), and how many came per second of this request (`vectors_per_second`).
///
/// ```
/// use llmeter::endpoint::OpenAiEmbeddings;
///
/// let endpoint = OpenAiEmbeddings::builder("http://127.0.0.1:8000/v1", "my-model").build()?;
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Copy)]
pub struct OpenAiEmbeddings;

impl OpenAiEmbeddings {
    /// Settings of an endpoint at `base_url`.
    pub fn builder(base_url: impl Into<String>, model_id: impl Into<String>) -> EndpointBuilder {
        EndpointBuilder::new(&Self, base_url, model_id)
    }

    /// A payload with a batch: each of the prompt's items becomes a vector. `extra` is added last and
    /// wins.
    ///
    /// # Errors
    /// When the prompt has no item, a system text or media.
    pub fn create_payload(prompt: impl Into<Prompt>, extra: Payload) -> Result<Payload> {
        // Nothing is generated, so that the limit has no meaning.
        mode::create_payload(&Self, &prompt.into(), 1, false, extra)
    }
}

const SPEC: ApiSpec = ApiSpec {
    about: "OpenAI embeddings",
    modes: &[Mode::non_streaming(
        "openai-embeddings",
        "OpenAIEmbeddingEndpoint",
    )],
    // The Python system has no such endpoint, so that these names are llmeter's own.
    module: "llmeter.endpoints.openai_embeddings",
    endpoint_name: "openai-embeddings",
    appended: &["embeddings"],
    prompt_fields: &["input"],
    inputs: SupportedInputs::of_texts("OpenAI embeddings"),
    path: "embeddings",
    ..openai::SPEC
};

impl Api for OpenAiEmbeddings {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, _: u64, _: bool) -> Payload {
        let mut payload = Payload::new();
        payload.insert("input".into(), json!(prompt.texts()));
        payload
    }

    fn prepare(&self, payload: &mut Payload, model: Option<&str>, _: bool) {
        set_model(payload, model);
    }

    /// The texts, each on a line, unless they are given as token ids.
    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        openai::plain_texts(payload.get("input"))
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Box::new(Decoder)
    }

    fn headers(&self, setup: &EndpointSetup) -> Vec<(&'static str, String)> {
        openai::headers(setup)
    }

    fn saved_fields(&self, _: bool) -> Vec<(&'static str, Value)> {
        openai::saved_fields(&[])
    }
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Body<'a> {
    id: Text<'a>,
    data: Option<Vec<Object<Item>>>,
    usage: Lenient<UsageReport>,
    error: ErrorField<'a>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct Item {
    embedding: Dimensions,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct UsageReport {
    prompt_tokens: Count,
    total_tokens: Count,
}

/// How long a vector is: a list of numbers, or such a list as base64 of 32-bit floats.
#[derive(Debug, Default)]
struct Dimensions(u64);

impl<'de> Deserialize<'de> for Dimensions {
    fn deserialize<D: Deserializer<'de>>(from: D) -> std::result::Result<Self, D::Error> {
        struct Length;
        impl<'de> Visitor<'de> for Length {
            type Value = Dimensions;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a vector, as a list or as base64")
            }
            fn visit_seq<S: SeqAccess<'de>>(
                self,
                mut list: S,
            ) -> std::result::Result<Dimensions, S::Error> {
                let mut length = 0;
                while list.next_element::<IgnoredAny>()?.is_some() {
                    length += 1;
                }
                Ok(Dimensions(length))
            }
            fn visit_str<E>(self, base64: &str) -> std::result::Result<Dimensions, E> {
                let digits = base64.trim_end_matches('=').len() as u64;
                Ok(Dimensions(digits * 3 / 4 / 4))
            }
        }
        from.deserialize_any(Length)
    }
}

#[derive(Debug)]
struct Decoder;

impl FrameDecoder for Decoder {
    /// This API does not stream.
    fn frame(&mut self, _: Frame<'_>, _: &mut ResponseBuilder) {}

    fn non_streaming(&mut self, body: &[u8], response: &mut ResponseBuilder) {
        if body.trim_ascii().is_empty() {
            response.fail(FailureKind::Empty, "the server's response is empty");
            return;
        }
        let text = String::from_utf8_lossy(body);
        let Object(body) = match serde_json::from_str::<Object<Body<'_>>>(&text) {
            Ok(body) => body,
            Err(reason) => {
                let what = "the server's response is not a list of embeddings";
                response.malformed(format_args!("{what}: {reason}"), body);
                return;
            }
        };
        if let Some(id) = body.id.non_empty() {
            response.id(id);
        }
        if let Some(usage) = &body.usage.0 {
            response.usage(Usage {
                input: usage.prompt_tokens.0.or(usage.total_tokens.0),
                ..Usage::default()
            });
        }
        if let Some(report) = &body.error.0 {
            response.fail(FailureKind::ServerError, report.to_string());
            return;
        }
        let vectors = body.data.unwrap_or_default();
        let lengths = vectors.iter().map(|Object(item)| item.embedding.0);
        let Some(shortest) = lengths.min().filter(|length| *length > 0) else {
            let reason = "the server's response has no embeddings, or an empty one";
            response.malformed(reason, text.as_bytes());
            return;
        };
        response.other_content();
        response.annotate(VECTORS, vectors.len());
        response.annotate("vector_dimensions", shortest);
        if let [_, _, Some(seconds)] = response.times()
            && seconds > 0.0
        {
            response.annotate("vectors_per_second", vectors.len() as f64 / seconds);
        }
        response.complete();
    }

    fn end(&mut self, response: &mut ResponseBuilder) {
        if !response.is_complete() {
            response.fail(
                FailureKind::Malformed,
                "the server streamed, which this API does not",
            );
        }
    }

    fn error_message(&self, body: &[u8]) -> Option<String> {
        error_text(body)
    }

    fn generates_content(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmeter_wire::clock::Stamp;

    fn whole(body: &[u8]) -> ResponseBuilder {
        let mut response = ResponseBuilder::default();
        response.sent_at(Stamp(0));
        response.begin_frame(Stamp(500_000_000));
        Decoder.non_streaming(body, &mut response);
        response
    }

    #[test]
    fn vectors_are_counted() {
        for second in [json!([0.5, 1e-3, 2]), json!("AAAAAAAAAAAAAAAA")] {
            let body = json!({
                "object": "list",
                "data": [{"embedding": [1, 2, 3], "index": 0}, {"embedding": second, "index": 1}],
                "usage": {"prompt_tokens": 7, "total_tokens": 7},
            });
            let response = whole(body.to_string().as_bytes());
            assert_eq!(response.error, None);
            assert_eq!(
                (response.usage.input, response.usage.output),
                (Some(7), None)
            );
            assert!(!response.has_text);
            assert_eq!(response.times()[2], Some(0.5));
            assert_eq!(
                json!(response.annotations),
                json!({"vectors": 2, "vector_dimensions": 3, "vectors_per_second": 4.0})
            );
        }
    }

    #[test]
    fn what_is_no_list_of_vectors_is_an_error() {
        for (body, message) in [
            (&b" "[..], "is empty"),
            (b"{}", "no embeddings"),
            (b"[]", "not a list of embeddings"),
            (b"{\"data\": [", "not a list of embeddings"),
            (b"{\"data\": [{\"embedding\": []}]}", "no embeddings"),
            (
                b"{\"data\": [{\"embedding\": 3}]}",
                "not a list of embeddings",
            ),
            (
                b"{\"data\": [{}], \"error\": {\"message\": \"no!\"}}",
                "no!",
            ),
            (b"\xff", "not a list of embeddings"),
        ] {
            let error = whole(body).error.unwrap().to_string();
            assert!(error.contains(message), "{error}");
        }
    }
}
