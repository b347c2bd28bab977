//! The JSON of a Chat Completions answer, as far as it matters here.
//!
//! Servers differ. What decides whether there is an answer (`choices`, `delta`, `message`) must
//! have its shape; everything else is read if it is what it should be and ignored if not. Texts are
//! borrowed from the frame.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::endpoint::Usage;

/// A frame of a stream, or a whole answer.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Chunk<'a> {
    #[serde(borrow, default)]
    pub(super) id: Text<'a>,
    #[serde(borrow, default)]
    pub(super) choices: Option<Vec<Object<Choice<'a>>>>,
    #[serde(default)]
    pub(super) usage: Lenient<UsageReport>,
    #[serde(borrow, default)]
    pub(super) error: ErrorField<'a>,
    // The fields of an error that is not wrapped in `error`.
    #[serde(borrow, default)]
    pub(super) object: Text<'a>,
    #[serde(borrow, default)]
    pub(super) message: Text<'a>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) code: Text<'a>,
}

/// One of the answers to a request.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Choice<'a> {
    #[serde(default)]
    pub(super) index: Count,
    #[serde(borrow, default)]
    pub(super) delta: Option<Object<Message<'a>>>,
    #[serde(borrow, default)]
    pub(super) message: Option<Object<Message<'a>>>,
    #[serde(borrow, default)]
    pub(super) finish_reason: Text<'a>,
}

/// A message, or a piece of one.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Message<'a> {
    #[serde(borrow, default)]
    pub(super) content: Content<'a>,
    #[serde(borrow, default)]
    pub(super) reasoning_content: Content<'a>,
    #[serde(borrow, default)]
    pub(super) reasoning: Content<'a>,
    #[serde(borrow, default)]
    pub(super) refusal: Text<'a>,
    #[serde(borrow, default)]
    pub(super) tool_calls: Option<Vec<Object<ToolCall<'a>>>>,
    #[serde(borrow, default)]
    pub(super) function_call: Lenient<Call<'a>>,
    #[serde(borrow, default)]
    pub(super) audio: Lenient<Audio<'a>>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct ToolCall<'a> {
    #[serde(borrow, default)]
    pub(super) function: Lenient<Call<'a>>,
    #[serde(borrow, default)]
    pub(super) custom: Lenient<Call<'a>>,
}

/// A function call with `arguments`, or a custom tool call with `input`.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Call<'a> {
    #[serde(borrow, default)]
    pub(super) name: Text<'a>,
    #[serde(borrow, default)]
    pub(super) arguments: Text<'a>,
    #[serde(borrow, default)]
    pub(super) input: Text<'a>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Audio<'a> {
    #[serde(borrow, default)]
    pub(super) data: Text<'a>,
    #[serde(borrow, default)]
    pub(super) transcript: Text<'a>,
}

/// One element of a content that is an array.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct Part<'a> {
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) text: Text<'a>,
    #[serde(borrow, default)]
    pub(super) refusal: Text<'a>,
    #[serde(borrow, default)]
    pub(super) thinking: Content<'a>,
}

#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct UsageReport {
    #[serde(default)]
    prompt_tokens: Count,
    #[serde(default)]
    completion_tokens: Count,
    #[serde(default)]
    prompt_tokens_details: Lenient<PromptDetails>,
    #[serde(default)]
    completion_tokens_details: Lenient<CompletionDetails>,
    /// How DeepSeek reports cached tokens beside, or instead of, the details.
    #[serde(default)]
    prompt_cache_hit_tokens: Count,
}

#[derive(Debug, Default, serde::Deserialize)]
struct PromptDetails {
    #[serde(default)]
    cached_tokens: Count,
}

#[derive(Debug, Default, serde::Deserialize)]
struct CompletionDetails {
    #[serde(default)]
    reasoning_tokens: Count,
}

impl From<&UsageReport> for Usage {
    fn from(report: &UsageReport) -> Self {
        let cached = report.prompt_tokens_details.0.as_ref();
        let reasoning = report.completion_tokens_details.0.as_ref();
        Self {
            input: report.prompt_tokens.0,
            output: report.completion_tokens.0,
            input_cached: cached
                .and_then(|details| details.cached_tokens.0)
                .or(report.prompt_cache_hit_tokens.0),
            output_reasoning: reasoning.and_then(|details| details.reasoning_tokens.0),
        }
    }
}

/// What a server says about a failure.
#[derive(Debug, Default, serde::Deserialize)]
pub(super) struct ErrorReport<'a> {
    #[serde(borrow, default)]
    pub(super) message: Text<'a>,
    #[serde(borrow, default, rename = "type")]
    pub(super) kind: Text<'a>,
    #[serde(borrow, default)]
    pub(super) code: Text<'a>,
}

impl fmt::Display for ErrorReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let message = self.message.as_str().map(str::trim).unwrap_or_default();
        match (message, &self.message) {
            ("", Text::Other) => {
                f.write_str("the server reported an error without a readable text")?
            }
            ("", _) => f.write_str("the server reported an error without a text")?,
            (text, _) => f.write_str(text)?,
        }
        match (self.kind.non_empty(), self.code.non_empty()) {
            (Some(kind), Some(code)) if kind != code => write!(f, " (type {kind}, code {code})"),
            (Some(kind), _) => write!(f, " (type {kind})"),
            (None, Some(code)) => write!(f, " (code {code})"),
            (None, None) => Ok(()),
        }
    }
}

/// The field `error`: an object, a text, or nothing.
#[derive(Debug, Default)]
pub(super) struct ErrorField<'a>(pub(super) Option<ErrorReport<'a>>);

/// A text. Numbers and truth values are texts too; anything else is noticed but not kept.
#[derive(Debug, Default)]
pub(super) enum Text<'a> {
    #[default]
    Absent,
    Is(Cow<'a, str>),
    Other,
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Text::Is(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn non_empty(&self) -> Option<&str> {
        self.as_str().filter(|text| !text.is_empty())
    }

    /// Whether there is something that is not the empty text.
    pub(super) fn is_something(&self) -> bool {
        matches!(self, Text::Other) || self.non_empty().is_some()
    }
}

/// A content: a text or parts.
#[derive(Debug, Default)]
pub(super) enum Content<'a> {
    #[default]
    Absent,
    Text(Cow<'a, str>),
    Parts(Vec<Piece<'a>>),
}

/// One element of an array of parts.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    Text(Cow<'a, str>),
    Part(Part<'a>),
    Other,
}

/// A count. Anything that is no number from zero up is no count.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Count(pub(super) Option<u64>);

/// Must be a JSON object.
#[derive(Debug, Default)]
pub(super) struct Object<T>(pub(super) T);

/// An object, or nothing if it is anything else.
#[derive(Debug)]
pub(super) struct Lenient<T>(pub(super) Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// Visits whatever comes and builds `Self::Out`; what is not handled becomes `other`.
trait Accept<'de>: Sized {
    type Out;
    fn other() -> Self::Out;
    fn nothing() -> Self::Out {
        Self::other()
    }
    fn text(_: Cow<'de, str>) -> Self::Out {
        Self::other()
    }
    fn number(_: Number) -> Self::Out {
        Self::other()
    }
    fn truth(_: bool) -> Self::Out {
        Self::other()
    }
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self::Out, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::other())
    }
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Self::Out, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::other())
    }
}

enum Number {
    Whole(u64),
    Negative(i64),
    Float(f64),
}

struct Any<T>(PhantomData<T>);

impl<'de, T: Accept<'de>> Visitor<'de> for Any<T> {
    type Value = T::Out;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T::Out, E> {
        Ok(T::text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<T::Out, E> {
        Ok(T::text(Cow::Owned(text.to_owned())))
    }
    fn visit_string<E>(self, text: String) -> Result<T::Out, E> {
        Ok(T::text(Cow::Owned(text)))
    }
    fn visit_unit<E>(self) -> Result<T::Out, E> {
        Ok(T::nothing())
    }
    fn visit_u64<E>(self, number: u64) -> Result<T::Out, E> {
        Ok(T::number(Number::Whole(number)))
    }
    fn visit_i64<E>(self, number: i64) -> Result<T::Out, E> {
        Ok(T::number(Number::Negative(number)))
    }
    fn visit_f64<E>(self, number: f64) -> Result<T::Out, E> {
        Ok(T::number(Number::Float(number)))
    }
    fn visit_bool<E>(self, truth: bool) -> Result<T::Out, E> {
        Ok(T::truth(truth))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T::Out, A::Error> {
        T::list(list)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T::Out, A::Error> {
        T::object(map)
    }
}

fn accept<'de, T: Accept<'de>, D: Deserializer<'de>>(from: D) -> Result<T::Out, D::Error> {
    from.deserialize_any(Any::<T>(PhantomData))
}

impl<'de: 'a, 'a> Accept<'de> for Text<'a> {
    type Out = Text<'a>;
    fn other() -> Self {
        Text::Other
    }
    fn nothing() -> Self {
        Text::Absent
    }
    fn text(text: Cow<'de, str>) -> Self {
        Text::Is(text)
    }
    fn number(number: Number) -> Self {
        Text::Is(Cow::Owned(match number {
            Number::Whole(number) => number.to_string(),
            Number::Negative(number) => number.to_string(),
            Number::Float(number) => number.to_string(),
        }))
    }
    fn truth(truth: bool) -> Self {
        Text::Is(Cow::Borrowed(if truth { "true" } else { "false" }))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        accept::<Self, D>(from)
    }
}

impl<'de: 'a, 'a> Accept<'de> for Content<'a> {
    type Out = Content<'a>;
    fn other() -> Self {
        Content::Parts(vec![Piece::Other])
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
        Ok(Content::Parts(vec![Piece::object(map)?]))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Content<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        accept::<Self, D>(from)
    }
}

impl<'de: 'a, 'a> Accept<'de> for Piece<'a> {
    type Out = Piece<'a>;
    fn other() -> Self {
        Piece::Other
    }
    fn nothing() -> Self {
        Piece::Text(Cow::Borrowed(""))
    }
    fn text(text: Cow<'de, str>) -> Self {
        Piece::Text(text)
    }
    fn object<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        Part::deserialize(MapAccessDeserializer::new(map)).map(Piece::Part)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Piece<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        accept::<Self, D>(from)
    }
}

impl<'de: 'a, 'a> Accept<'de> for ErrorField<'a> {
    type Out = ErrorField<'a>;
    fn other() -> Self {
        ErrorField(Some(ErrorReport {
            message: Text::Other,
            ..ErrorReport::default()
        }))
    }
    fn nothing() -> Self {
        ErrorField(None)
    }
    fn text(text: Cow<'de, str>) -> Self {
        ErrorField((!text.is_empty()).then(|| ErrorReport {
            message: Text::Is(text),
            ..ErrorReport::default()
        }))
    }
    fn truth(truth: bool) -> Self {
        if truth {
            Self::other()
        } else {
            Self::nothing()
        }
    }
    fn object<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        ErrorReport::deserialize(MapAccessDeserializer::new(map)).map(|report| Self(Some(report)))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for ErrorField<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        accept::<Self, D>(from)
    }
}

impl<'de> Accept<'de> for Count {
    type Out = Count;
    fn other() -> Self {
        Count(None)
    }
    fn number(number: Number) -> Self {
        Count(match number {
            Number::Whole(count) => Some(count),
            Number::Negative(_) => None,
            Number::Float(count) => {
                // The cast saturates; no count comes near the limit.
                (count.is_finite() && count >= 0.0).then(|| count.round() as u64)
            }
        })
    }
    fn text(text: Cow<'de, str>) -> Self {
        Count(text.trim().parse().ok())
    }
}

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        accept::<Self, D>(from)
    }
}

impl<'de, T: Deserialize<'de>> Accept<'de> for Lenient<T> {
    type Out = Lenient<T>;
    fn other() -> Self {
        Lenient(None)
    }
    fn object<A: MapAccess<'de>>(map: A) -> Result<Self, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(|value| Self(Some(value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Lenient<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        accept::<Self, D>(from)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct OnlyMaps<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for OnlyMaps<T> {
            type Value = Object<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        from.deserialize_map(OnlyMaps(PhantomData))
    }
}
