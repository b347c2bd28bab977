//! The JSON of a Chat Completions response, as far as it matters here.
//!
//! Servers differ. What decides whether there is a response (`choices`, `delta`, `message`) must
//! have its shape; everything else is read if it is what it should be and ignored if not. Texts are
//! borrowed from the frame.

use std::borrow::Cow;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess};
use serde_json::{Map, Value};

use crate::api::Usage;
use crate::api::failure::ErrorField;
use crate::api::json_frames::number;
use crate::api::lenient::{Accept, Count, Lenient, Number, Object, Text, accept};

/// A frame of a stream, or a non-streaming response.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Chunk<'a> {
    pub(super) id: Text<'a>,
    pub(super) choices: Option<Vec<Object<Choice<'a>>>>,
    pub(super) usage: Lenient<UsageReport>,
    /// Where Groq reports usage.
    pub(super) x_groq: Lenient<GroqReport>,
    /// How long llama.cpp took, by its own clock.
    pub(super) timings: Lenient<Map<String, Value>>,
    pub(super) error: ErrorField<'a>,
    // The fields of an error that is not wrapped in `error`.
    pub(super) object: Text<'a>,
    pub(super) message: Text<'a>,
    #[serde(rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) code: Text<'a>,
}

/// One of the responses to a request.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Choice<'a> {
    pub(super) index: Count,
    pub(super) delta: Option<Object<Message<'a>>>,
    pub(super) message: Option<Object<Message<'a>>>,
    /// The text of a legacy completion, which has no message.
    pub(super) text: Text<'a>,
    pub(super) finish_reason: Text<'a>,
    /// Where Moonshot reports usage.
    pub(super) usage: Lenient<UsageReport>,
}

/// A message, or a piece of one.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Message<'a> {
    pub(super) content: Content<'a>,
    pub(super) reasoning_content: Content<'a>,
    pub(super) reasoning: Content<'a>,
    /// The reasoning as OpenRouter and MiniMax give it, mostly beside a text.
    pub(super) reasoning_details: Content<'a>,
    /// As GitHub Copilot calls it.
    pub(super) reasoning_text: Content<'a>,
    /// As gateways to Anthropic's models give it, LiteLLM among them.
    pub(super) thinking: Content<'a>,
    pub(super) thinking_blocks: Content<'a>,
    /// As gateways to Gemini's models give it.
    pub(super) thought: Content<'a>,
    pub(super) thoughts: Content<'a>,
    /// Pictures that OpenRouter's models generate.
    pub(super) images: Content<'a>,
    pub(super) refusal: Text<'a>,
    pub(super) tool_calls: Option<Vec<Object<ToolCall<'a>>>>,
    pub(super) function_call: Lenient<Call<'a>>,
    pub(super) audio: Lenient<Audio<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct ToolCall<'a> {
    pub(super) function: Lenient<Call<'a>>,
    pub(super) custom: Lenient<Call<'a>>,
}

/// A function call with `arguments`, or a custom tool call with `input`.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Call<'a> {
    pub(super) name: Text<'a>,
    pub(super) arguments: Text<'a>,
    pub(super) input: Text<'a>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Audio<'a> {
    pub(super) data: Text<'a>,
    pub(super) transcript: Text<'a>,
}

/// One element of a content that is an array.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
pub(super) struct Part<'a> {
    #[serde(rename = "type")]
    pub(super) kind: Text<'a>,
    pub(super) text: Text<'a>,
    pub(super) refusal: Text<'a>,
    pub(super) thinking: Content<'a>,
    /// A text, or parts with one.
    pub(super) summary: Content<'a>,
    /// Thoughts that the provider encrypts.
    pub(super) data: Text<'a>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct UsageReport {
    prompt_tokens: Count,
    completion_tokens: Count,
    total_tokens: Count,
    /// What gateways to other APIs call the two.
    input_tokens: Count,
    output_tokens: Count,
    prompt_tokens_details: Lenient<PromptDetails>,
    completion_tokens_details: Lenient<CompletionDetails>,
    /// How DeepSeek reports cached tokens beside, or instead of, the details.
    prompt_cache_hit_tokens: Count,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
pub(super) struct GroqReport {
    pub(super) usage: Lenient<UsageReport>,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct PromptDetails {
    cached_tokens: Count,
}

#[derive(Debug, Default, serde::Deserialize)]
#[serde(default)]
struct CompletionDetails {
    reasoning_tokens: Count,
}

impl From<&UsageReport> for Usage {
    fn from(report: &UsageReport) -> Self {
        let cached = report.prompt_tokens_details.0.as_ref();
        let reasoning = report.completion_tokens_details.0.as_ref();
        Self {
            input: report.prompt_tokens.0.or(report.input_tokens.0),
            output: report.completion_tokens.0.or(report.output_tokens.0),
            input_cached: cached
                .and_then(|details| details.cached_tokens.0)
                .or(report.prompt_cache_hit_tokens.0),
            output_reasoning: reasoning.and_then(|details| details.reasoning_tokens.0),
            total: report.total_tokens.0,
        }
    }
}

impl Chunk<'_> {
    /// The usage that the frame reports, wherever it stands.
    pub(super) fn usage(&self) -> Option<Usage> {
        let in_choices = self.choices.iter().flatten();
        let mut in_choices = in_choices.filter_map(|Object(choice)| choice.usage.0.as_ref());
        let in_groq = self
            .x_groq
            .0
            .as_ref()
            .and_then(|groq| groq.usage.0.as_ref());
        let report = self
            .usage
            .0
            .as_ref()
            .or_else(|| in_choices.next())
            .or(in_groq);
        report.map(Usage::from).or_else(|| self.timed_usage())
    }

    /// What llama.cpp counts for its timings, which it sends also where it reports no usage.
    fn timed_usage(&self) -> Option<Usage> {
        let timings = self.timings.0.as_ref()?;
        let count = |name: &str| timings.get(name).and_then(number);
        let cached = count("cache_n");
        Some(Usage {
            // Without the cached ones, so that it is the prompt's only where those are told.
            input: count("prompt_n").and_then(|processed| Some(processed.saturating_add(cached?))),
            output: count("predicted_n"),
            input_cached: cached,
            ..Usage::default()
        })
    }
}

/// A content: a text or parts.
#[derive(Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Parts(Vec<ContentItem<'a>>),
}

/// One element of an array of parts.
#[derive(Debug)]
pub(super) enum ContentItem<'a> {
    Text(Cow<'a, str>),
    Part(Part<'a>),
    Other,
}

impl<'de: 'a, 'a> Accept<'de> for Content<'a> {
    fn other() -> Self {
        Content::Parts(vec![ContentItem::Other])
    }
    fn nothing() -> Self {
        Content::Absent
    }
    fn text(text: Cow<'de, str>) -> Self {
        Content::Text(text)
    }
    fn number(number: Number) -> Self {
        match Text::number(number) {
            Text::Is(text) => Content::Text(text),
            _ => Content::Absent,
        }
    }
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        let mut pieces = Vec::new();
        while let Some(piece) = list.next_element()? {
            pieces.push(piece);
        }
        Ok(Content::Parts(pieces))
    }
    fn object<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Ok(Content::Parts(vec![ContentItem::object(map)?]))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        accept::<Self, D>(from)
    }
}

impl<'de: 'a, 'a> Accept<'de> for ContentItem<'a> {
    fn other() -> Self {
        ContentItem::Other
    }
    fn nothing() -> Self {
        ContentItem::Text(Cow::Borrowed(""))
    }
    fn text(text: Cow<'de, str>) -> Self {
        ContentItem::Text(text)
    }
    fn object<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Part::deserialize(MapAccessDeserializer::new(map)).map(ContentItem::Part)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ContentItem<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        accept::<Self, D>(from)
    }
}
