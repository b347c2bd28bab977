//! Any HTTP API of JSON requests and JSON responses, described instead of programmed: a template
//! makes the body, and JMESPath finds what a response says.

mod decode;
mod template;
#[cfg(test)]
mod tests;

use secrecy::SecretString;
use serde_json::{Value, json};
use url::Url;

pub use decode::RESPONSE_PARTS;

use self::decode::Places;
use self::template::BodyTemplate;
use super::json_frames::{Decoder, is_text_part, message_texts};
use super::*;
use crate::base::error::Error;
use crate::endpoint::EndpointBuilder;
use crate::payload::Prompt;

/// Any HTTP API of JSON requests and JSON responses, streaming or not.
///
/// The body of a request is a [minijinja](https://docs.rs/minijinja) template, in which each value
/// is written as JSON, texts with their quotes. It knows `payload` (all of it), each field of the
/// payload by its name (`prompt`, `max_tokens` and perhaps `system` in those that [`create_payload`]
/// makes), `model`, and `api_key`. Where a response, or a frame of it, has its text, its token counts
/// and so on is said in JMESPath ([`RESPONSE_PARTS`]). The key is a bearer token unless the template
/// has it.
///
/// ```
/// use llmeter::Endpoint;
/// use llmeter::endpoint::{Framing, HttpEndpoint};
///
/// let endpoint = HttpEndpoint::builder("http://localhost:9000/generate")
///     .body(r#"{"inputs": {{ prompt }}, "limits": {"tokens": {{ max_tokens }}}}"#)
///     .framing(Framing::JsonLines)
///     .jmespath("text", "piece.text")
///     .jmespath("output-tokens", "stats.tokens")
///     .jmespath("end", "done")
///     .build()?;
/// assert!(endpoint.is_streaming());
/// # Ok::<(), llmeter::Error>(())
/// ```
///
/// [`create_payload`]: Self::create_payload
#[derive(Debug, Clone)]
pub struct HttpEndpoint {
    model: String,
    api_key: Option<SecretString>,
    method: String,
    body: Option<BodyTemplate>,
    /// `None` for a non-streaming response.
    framing: Option<Framing>,
    places: Option<Places>,
    /// The last segment of the address.
    path: String,
}

/// The API before it is described.
pub(super) static DEFAULT: HttpEndpoint = HttpEndpoint {
    model: String::new(),
    api_key: None,
    method: String::new(),
    body: None,
    framing: None,
    places: None,
    path: String::new(),
};

impl HttpEndpoint {
    /// Settings of an endpoint at `url`, the whole address with path and query. `{{ model }}` in it
    /// stands for the model.
    pub fn builder(url: impl Into<String>) -> EndpointBuilder {
        EndpointBuilder::new(&DEFAULT, url, "")
    }

    /// A payload with the fields `prompt` and `max_tokens`, for templates; several texts become one,
    /// a line each. A system text is the field `system`, which is not there without one. `extra` is
    /// added last and wins.
    ///
    /// # Errors
    /// When `max_tokens` is 0, or the prompt has no item or media.
    pub fn create_payload(
        prompt: impl Into<Prompt>,
        max_tokens: u64,
        extra: Payload,
    ) -> Result<Payload> {
        mode::create_payload(&DEFAULT, &prompt.into(), max_tokens, false, extra)
    }
}

const SPEC: ApiSpec = ApiSpec {
    about: "Any other JSON API, by a template for bodies and JMESPath for responses",
    modes: &[Mode::either("http", "HttpEndpoint")],
    module: "llmeter.endpoints.http",
    endpoint_name: "http",
    provider: "http",
    example_base_url: "http://localhost:9000/api/chat",
    // As Ollama has it.
    example_settings: &[
        (
            "body",
            r#"{"model": {{ model }}, "messages": [{"role": "user", "content": {{ prompt }}}]}"#,
        ),
        ("framing", "ndjson"),
        ("text", "message.content"),
        ("output-tokens", "eval_count"),
        ("end", "done"),
    ],
    default_model: Some("unknown"),
    response_parts: PARTS,
    system_fields: &["system"],
    prompt_fields: &["prompt"],
    // What templates of several servers are filled from.
    limit_fields: &[&["max_tokens"], &["max_new_tokens"], &["n_predict"]],
    inputs: INPUTS,
    ..ApiSpec::DEFAULT
};

/// Every part is in the one object.
const PARTS: &[(&str, &str)] = &{
    let mut parts = RESPONSE_PARTS;
    let mut at = 0;
    while at < parts.len() {
        parts[at].1 = "jmespath";
        at += 1;
    }
    parts
};

const INPUTS: SupportedInputs = SupportedInputs {
    system: true,
    instead: "; what a template is to make of media, a payload file can hold in base64",
    ..SupportedInputs::of_texts("http")
};

impl Api for HttpEndpoint {
    fn spec(&self) -> &'static ApiSpec {
        &SPEC
    }

    fn payload(&self, prompt: &PromptParts<'_>, max_tokens: u64, _: bool) -> Payload {
        let mut payload = Payload::new();
        if let Some(text) = prompt.system {
            payload.insert("system".into(), json!(text));
        }
        payload.insert("prompt".into(), json!(prompt.texts().join("\n")));
        payload.insert("max_tokens".into(), json!(max_tokens));
        payload
    }

    /// What the template leaves out is not sent.
    fn prepare(&self, _: &mut Payload, _: Option<&str>, _: bool) {}

    fn prompt_text(&self, payload: &Payload) -> Option<String> {
        let path = self.places.as_ref().and_then(Places::prompt);
        match (path, payload.get("prompt")) {
            (Some(path), _) => {
                let texts = path.find_texts(&Value::Object(payload.clone()))?;
                Some(texts.join("\n"))
            }
            (None, Some(Value::String(text))) => Some(text.clone()),
            (None, _) => Some(message_texts(payload.get("messages"), is_text_part))
                .filter(|text| !text.is_empty()),
        }
    }

    /// Takes the description, and writes it as it is saved.
    fn configure(&self, setup: &mut EndpointSetup) -> Result<Option<Arc<dyn Api>>> {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let method = setup.own_text("method").unwrap_or_default();
        if method.is_empty() || !method.bytes().all(is_token) {
            let expected = "an HTTP method like POST, PUT or GET";
            return Err(Error::invalid(
                Setting::Method,
                format!("{method:?}"),
                expected,
            ));
        }
        let method = method.to_ascii_uppercase();
        let (url, path) = address(setup)?;
        let body = BodyTemplate::new(setup.own_text("body").unwrap_or(template::DEFAULT))?;
        let framing = framing_named(setup.own_text("framing").unwrap_or("none"))?;
        let given = setup.own.get("jmespath");
        let place = |part: &str| Some(given?.get(part)?.as_str()?.to_owned());
        if framing.is_some() && place("text").is_none() {
            return Err(
                Error::missing_like(Setting::Jmespath, "text=choices[0].delta.content")
                    .with_hint("say where a frame of the stream has its text"),
            );
        }
        let places = Places::new(place)?;
        let saved = [
            ("base_url", url.into()),
            ("method", method.clone().into()),
            ("body", body.text().into()),
            ("jmespath", places.saved().into()),
        ];
        let saved = saved.map(|(name, value): (&str, Value)| (name.to_owned(), value));
        setup.own.extend(saved);
        setup.streaming = framing.is_some();
        Ok(Some(Arc::new(Self {
            model: setup.identity.model_id.clone(),
            api_key: setup.api_key.clone(),
            method,
            body: Some(body),
            framing,
            places: Some(places),
            path,
        })))
    }

    fn body(&self, payload: &Payload) -> Result<Vec<u8>, EndpointError> {
        let variables = template::variables(payload, &self.model, self.api_key.as_ref());
        match &self.body {
            Some(template) => template.render(&variables),
            None => Ok(Vec::new()),
        }
    }

    fn method(&self) -> &str {
        &self.method
    }

    fn path(&self, _: &EndpointSetup) -> Result<String> {
        Ok(self.path.clone())
    }

    fn key_header(&self, key: &SecretString) -> Option<(&'static str, SecretString)> {
        let template = self.body.as_ref().map(BodyTemplate::text);
        let is_in_body = template.is_some_and(|text| text.contains("api_key"));
        (!is_in_body).then(|| bearer(key))
    }

    fn framing(&self) -> Framing {
        self.framing.unwrap_or_default()
    }

    fn decoder(&self) -> Box<dyn FrameDecoder> {
        Decoder::boxed(self.places.clone().unwrap_or_default())
    }

    fn saved_fields(&self, _: bool) -> Vec<(&'static str, Value)> {
        let mut fields = unset(&["model_id", "endpoint_name", "provider", "base_url"]);
        fields.extend([
            ("method", "POST".into()),
            ("body", template::DEFAULT.into()),
            ("framing", "none".into()),
            ("jmespath", json!({})),
        ]);
        fields
    }
}

/// Cuts the address into a base URL and the last segment of its path; its query goes to the others.
/// Returns the address as it is saved, and that segment.
fn address(setup: &mut EndpointSetup) -> Result<(String, String)> {
    let expected = "a URL with the whole path, like http://localhost:9000/generate";
    // An address that is none may still hold a key.
    let refuse = || Error::hidden(Setting::BaseUrl, expected);
    let given = setup.base_url.trim();
    let model = path_segment(&setup.identity.model_id);
    let filled = given
        .replace("{{ model }}", &model)
        .replace("{{model}}", &model);
    let mut url: Url = filled.parse().map_err(|_| refuse())?;
    if url.cannot_be_a_base() {
        return Err(refuse());
    }
    let query: Vec<(String, String)> = url
        .query_pairs()
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    url.set_query(None);
    url.set_fragment(None);
    // What is saved has no query: it may hold a key.
    let saved = given.split(['?', '#']).next().unwrap_or_default();
    let saved = saved.to_owned();
    setup.query.splice(..0, query);
    let path = url.path().to_owned();
    let (folder, last) = path.rsplit_once('/').unwrap_or(("", ""));
    url.set_path(folder);
    setup.base_url = url.into();
    Ok((saved, last.to_owned()))
}

/// How a stream is framed, by the name that users give it; `None` if there is no stream.
fn framing_named(name: &str) -> Result<Option<Framing>> {
    FRAMINGS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, framing)| *framing)
        .ok_or_else(|| {
            let names: Vec<_> = FRAMINGS.iter().map(|(name, _)| *name).collect();
            Error::invalid(
                Setting::Framing,
                name,
                format!("one of {}", names.join(", ")),
            )
        })
}

/// The names of framings.
const FRAMINGS: [(&str, Option<Framing>); 4] = [
    ("none", None),
    ("sse", Some(Framing::Sse)),
    ("ndjson", Some(Framing::JsonLines)),
    ("event-stream", Some(Framing::EventStream)),
];

/// The name of a framing.
pub(crate) fn framing_name(framing: Framing) -> Option<&'static str> {
    let mut framings = FRAMINGS.iter();
    let (name, _) = framings.find(|(_, known)| *known == Some(framing))?;
    Some(name)
}
