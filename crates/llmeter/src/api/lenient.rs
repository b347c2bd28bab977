//! Reading JSON that may be something else than it should.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// A text. Numbers and truth values are texts too; anything else is noticed but not kept.
#[derive(Debug, Default)]
pub(crate) enum Text<'a> {
    #[default]
    Absent,
    Is(Cow<'a, str>),
    Other,
}

impl Text<'_> {
    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Text::Is(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn non_empty(&self) -> Option<&str> {
        self.as_str().filter(|text| !text.is_empty())
    }

    /// Whether there is something that is not the empty text.
    pub(crate) fn is_something(&self) -> bool {
        matches!(self, Text::Other) || self.non_empty().is_some()
    }
}

/// A count. Anything that is no number from zero up is no count.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Count(pub(crate) Option<u64>);

/// Must be a JSON object.
#[derive(Debug, Default)]
pub(crate) struct Object<T>(pub(crate) T);

/// An object, or nothing if it is anything else.
#[derive(Debug)]
pub(crate) struct Lenient<T>(pub(crate) Option<T>);

impl<T> Default for Lenient<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// Visits whatever comes and builds `Self::Out`; what is not handled becomes `other`.
pub(crate) trait Accept<'de>: Sized {
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

pub(crate) enum Number {
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

pub(crate) fn accept<'de, T: Accept<'de>, D: Deserializer<'de>>(
    from: D,
) -> Result<T::Out, D::Error> {
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

/// JSON that may hold invalid UTF-8 and halves of surrogate pairs; both become U+FFFD.
pub(crate) fn lenient_json(data: &[u8]) -> Result<Value, String> {
    let text = String::from_utf8_lossy(data);
    serde_json::from_str(&text).or_else(|error| {
        let Cow::Owned(text) = without_lone_surrogates(&text) else {
            return Err(error.to_string());
        };
        serde_json::from_str(&text).map_err(|error| error.to_string())
    })
}

/// Replaces `\uD800`…`\uDFFF` escapes that are not pairs by `\uFFFD`.
fn without_lone_surrogates(text: &str) -> Cow<'_, str> {
    let unit = |at: usize| -> Option<u16> {
        let digits = text.get(at..)?.strip_prefix("\\u")?.get(..4)?;
        u16::from_str_radix(digits, 16).ok()
    };
    let mut out = String::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(next) = text.get(at..).and_then(|rest| rest.find('\\')) {
        at += next;
        at += match unit(at) {
            Some(0xD800..=0xDBFF) if matches!(unit(at + 6), Some(0xDC00..=0xDFFF)) => 12,
            Some(0xD800..=0xDFFF) => {
                out.push_str(&text[copied..at]);
                out.push_str("\\ufffd");
                copied = at + 6;
                6
            }
            // The character after a backslash may be a backslash; it is one byte or not an escape.
            _ => 2,
        };
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(&text[copied..]);
    Cow::Owned(out)
}

/// An error's text without the line and column, which mean nothing for a decoded value.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
