//! Reading JSON that may be something else than it should.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::usage::whole;

/// A text. Numbers and truth values are texts too; anything else is noticed but not kept.
#[derive(Debug, Clone, Default)]
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

/// A count. Anything that is no whole number from zero up is no count.
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

/// Built from whatever comes; what is not handled becomes `other`.
pub(crate) trait Accept<'de>: Sized {
    fn other() -> Self;
    fn nothing() -> Self {
        Self::other()
    }
    fn text(_: Cow<'de, str>) -> Self {
        Self::other()
    }
    fn number(_: Number) -> Self {
        Self::other()
    }
    fn truth(_: bool) -> Self {
        Self::other()
    }
    fn list<A: SeqAccess<'de>>(mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::other())
    }
    fn object<A: MapAccess<'de>>(mut map: A) -> Result<Self, A::Error> {
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
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }
    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<T, E> {
        Ok(T::text(Cow::Borrowed(text)))
    }
    fn visit_str<E>(self, text: &str) -> Result<T, E> {
        Ok(T::text(Cow::Owned(text.to_owned())))
    }
    fn visit_string<E>(self, text: String) -> Result<T, E> {
        Ok(T::text(Cow::Owned(text)))
    }
    fn visit_unit<E>(self) -> Result<T, E> {
        Ok(T::nothing())
    }
    fn visit_u64<E>(self, number: u64) -> Result<T, E> {
        Ok(T::number(Number::Whole(number)))
    }
    fn visit_i64<E>(self, number: i64) -> Result<T, E> {
        Ok(T::number(Number::Negative(number)))
    }
    fn visit_f64<E>(self, number: f64) -> Result<T, E> {
        Ok(T::number(Number::Float(number)))
    }
    fn visit_bool<E>(self, truth: bool) -> Result<T, E> {
        Ok(T::truth(truth))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<T, A::Error> {
        T::list(list)
    }
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
        T::object(map)
    }
}

pub(crate) fn accept<'de, T: Accept<'de>, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
    from.deserialize_any(Any::<T>(PhantomData))
}

impl<'de: 'a, 'a> Accept<'de> for Text<'a> {
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
    fn other() -> Self {
        Count(None)
    }
    fn number(number: Number) -> Self {
        Count(match number {
            Number::Whole(count) => Some(count),
            Number::Negative(_) => None,
            Number::Float(count) => whole(count),
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

/// An error's text without the line and column, which mean nothing for a decoded value.
pub(crate) fn without_place(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rfind(" at line ") {
        Some(at) => text[..at].to_owned(),
        None => text,
    }
}
