//! Lines as llmeter and the Python package write them, read where they lie.
//!
//! A line is mostly gaps, and a payload that the line before has, too. Here gaps become numbers without a
//! parser in between, and a payload whose text is known is not read again. What is not as expected is the
//! parser's: a property test holds both to the same response.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxBuildHasher;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::{Deserializer, Map, Value};

use super::{FIELDS, LineParts, Sharing};
use crate::api::{Delivery, FieldSlot};
use crate::payload::{Payload, end_of_value, marked};
use crate::result::datetime;
use crate::result::line_writer::PAYLOAD_OF;

/// So many bytes of payloads and prompts are remembered by their text.
const MAX_KNOWN: usize = 16 << 20;
/// Digits of a number that a float holds exactly.
const EXACT_DIGITS: usize = 15;
/// Powers of ten that divide such a number with one rounding.
const POWERS: [f64; EXACT_DIGITS + 1] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
];

/// What reading keeps from line to line.
#[derive(Debug, Default)]
pub(super) struct Memory {
    payloads: Known<Payload>,
    prompts: Known<Value>,
    gaps: Vec<f32>,
}

/// Values by their text in the line.
#[derive(Debug)]
struct Known<T> {
    by_text: HashMap<Arc<str>, Option<Arc<T>>, FxBuildHasher>,
    last: Option<(Arc<str>, Option<Arc<T>>)>,
    bytes: usize,
}

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self {
            by_text: HashMap::default(),
            last: None,
            bytes: 0,
        }
    }
}

impl<T: DeserializeOwned + Eq + std::hash::Hash> Known<T> {
    /// The value at the start of `rest`, and its length. `None` if it is no JSON; no value if none is
    /// kept.
    fn take(
        &mut self,
        rest: &str,
        sharing: Option<&mut Sharing<T>>,
    ) -> Option<(Option<Arc<T>>, usize)> {
        if let Some((text, value)) = &self.last
            && rest.starts_with(&**text)
            && matches!(rest.as_bytes().get(text.len()), Some(b',' | b'}'))
        {
            return Some((value.clone(), text.len()));
        }
        let text = &rest[..end_of_value(rest.as_bytes(), 0)];
        let (text, value) = match self.by_text.get_key_value(text) {
            Some((text, value)) => (text.clone(), value.clone()),
            None => {
                let value = match sharing {
                    Some(sharing) => {
                        let mut value = Some(Arc::new(serde_json::from_str(&marked(text)).ok()?));
                        sharing.share(&mut value);
                        value
                    }
                    None => {
                        serde_json::from_str::<IgnoredAny>(text).ok()?;
                        None
                    }
                };
                let text: Arc<str> = text.into();
                if self.bytes + text.len() <= MAX_KNOWN {
                    self.bytes += text.len();
                    self.by_text.insert(text.clone(), value.clone());
                }
                (text, value)
            }
        };
        let length = text.len();
        self.last = Some((text, value.clone()));
        Some((value, length))
    }
}

/// Where payloads and prompts are shared; without it only what enters statistics is wanted.
pub(super) type Kept<'k> = Option<(&'k mut Sharing<Payload>, &'k mut Sharing<Value>)>;

/// A response from a line; `None` if the line is not as expected.
pub(super) fn read(
    line: &[u8],
    memory: &mut Memory,
    mut kept: Kept<'_>,
    keeps_annotations: bool,
) -> Option<LineParts> {
    let ignores_annotations = kept.is_none() && !keeps_annotations;
    let mut line = Line {
        rest: std::str::from_utf8(line).ok()?,
    };
    let mut parts = LineParts::default();
    let mut expected = 0;
    line.expect("{")?;
    loop {
        let key = line.string()?;
        line.expect(": ")?;
        let mut places = (expected..FIELDS.len()).chain(0..expected);
        match places.find(|&place| FIELDS[place].key == key) {
            Some(place) => {
                expected = place + 1;
                if matches!(
                    FIELDS[place].slot(&mut parts.response),
                    FieldSlot::Annotations(_)
                ) {
                    read_annotations(&mut line, &mut parts, ignores_annotations)?;
                } else {
                    read_field(&mut line, place, &mut parts, memory, &mut kept)?;
                }
            }
            None if key == PAYLOAD_OF => parts.payload_of = line.text()?.map(Cow::into_owned),
            None if ignores_annotations => _ = line.value::<IgnoredAny>()?,
            None => {
                let value = line.value()?;
                parts.extras.insert(key.into_owned(), value);
            }
        }
        if line.expect(", ").is_none() {
            break;
        }
    }
    line.expect("}")?;
    line.rest.trim_ascii().is_empty().then_some(parts)
}

fn read_field(
    line: &mut Line<'_>,
    place: usize,
    parts: &mut LineParts,
    memory: &mut Memory,
    kept: &mut Kept<'_>,
) -> Option<()> {
    match FIELDS[place].slot(&mut parts.response) {
        FieldSlot::Text(_) if kept.is_none() => drop(line.text()?),
        FieldSlot::Text(text) => text.set(line.text()?.map(Cow::into_owned)),
        FieldSlot::Seconds(seconds) => *seconds = line.seconds()?,
        FieldSlot::Schedule(place) => place.set(line.seconds()?),
        FieldSlot::Count(count) => {
            let number = line.count()?;
            count.set(number).then_some(())?;
        }
        FieldSlot::Gaps(gaps) => {
            line.gaps(&mut memory.gaps)?;
            *gaps = memory.gaps.to_vec();
        }
        FieldSlot::Time(time) => {
            let text = line.text()?;
            *time = text.and_then(|text| datetime::from_text(&text));
        }
        FieldSlot::Json(json) => {
            let sharing = kept.as_mut().map(|(_, prompts)| &mut **prompts);
            *json = line.known(&mut memory.prompts, sharing)?;
        }
        FieldSlot::Payload(payload) => {
            let sharing = kept.as_mut().map(|(payloads, _)| &mut **payloads);
            *payload = line.known(&mut memory.payloads, sharing)?;
        }
        // They are read apart, by `read_annotations`.
        FieldSlot::Annotations(_) => return None,
        FieldSlot::Delivery(delivery) => {
            let name = line.text()?;
            *delivery = name.and_then(|name| Delivery::from_name(&name));
        }
        FieldSlot::Failure(part) => {
            parts.failure[part as usize] = line.text()?.map(Cow::into_owned);
        }
    }
    Some(())
}

fn read_annotations(line: &mut Line<'_>, parts: &mut LineParts, ignored: bool) -> Option<()> {
    if line.expect("{}").is_some() || line.expect("null").is_some() {
        parts.response.annotations.clear();
    } else if ignored {
        line.value::<IgnoredAny>()?;
    } else {
        parts.response.annotations = line.value::<Map<String, Value>>()?.into();
    }
    Some(())
}

/// What is left of a line. Nothing is taken from it where `None` is given, or the line is given up.
struct Line<'l> {
    rest: &'l str,
}

impl<'l> Line<'l> {
    fn expect(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    fn string(&mut self) -> Option<Cow<'l, str>> {
        let inside = self.rest.strip_prefix('"')?;
        let end = memchr::memchr2(b'"', b'\\', inside.as_bytes())?;
        if inside.as_bytes()[end] == b'\\' {
            return self.value().map(Cow::Owned);
        }
        let text = &inside[..end];
        if text.bytes().any(|byte| byte < b' ') {
            return None;
        }
        self.rest = &inside[end + 1..];
        Some(Cow::Borrowed(text))
    }

    /// A string or null.
    fn text(&mut self) -> Option<Option<Cow<'l, str>>> {
        match self.expect("null") {
            Some(()) => Some(None),
            None => self.string().map(Some),
        }
    }

    fn seconds(&mut self) -> Option<Option<f64>> {
        if self.expect("null").is_some() {
            return Some(None);
        }
        let seconds: f64 = self.number()?.parse().ok()?;
        // The parser refuses what is out of range.
        seconds.is_finite().then_some(Some(seconds))
    }

    fn count(&mut self) -> Option<Option<u64>> {
        if self.expect("null").is_some() {
            return Some(None);
        }
        self.number()?.parse().ok().map(Some)
    }

    fn gaps(&mut self, gaps: &mut Vec<f32>) -> Option<()> {
        gaps.clear();
        self.expect("[")?;
        if self.expect("]").is_some() {
            return Some(());
        }
        loop {
            if let Some((gap, length)) = decimal(self.rest.as_bytes()) {
                gaps.push(gap as f32);
                self.rest = &self.rest[length..];
            } else {
                gaps.push(self.seconds()?.map_or(f32::NAN, |gap| gap as f32));
            }
            if self.expect(",").is_none() {
                return self.expect("]");
            }
            self.rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
        }
    }

    /// The text of a number.
    fn number(&mut self) -> Option<&'l str> {
        let bytes = self.rest.as_bytes();
        let digits = |from: usize| {
            bytes[from..]
                .iter()
                .take_while(|byte| byte.is_ascii_digit())
        };
        let mut at = usize::from(bytes.first() == Some(&b'-'));
        let whole = digits(at).count();
        if whole == 0 || (whole > 1 && bytes[at] == b'0') {
            return None;
        }
        at += whole;
        if bytes.get(at) == Some(&b'.') {
            let fraction = digits(at + 1).count();
            at += 1 + (fraction > 0).then_some(fraction)?;
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let exponent = digits(at + 1 + sign).count();
            at += 1 + sign + (exponent > 0).then_some(exponent)?;
        }
        let (number, rest) = self.rest.split_at(at);
        self.rest = rest;
        Some(number)
    }

    /// A payload or prompt, or null.
    fn known<T: DeserializeOwned + Eq + std::hash::Hash>(
        &mut self,
        known: &mut Known<T>,
        sharing: Option<&mut Sharing<T>>,
    ) -> Option<Option<Arc<T>>> {
        if self.expect("null").is_some() {
            return Some(None);
        }
        let (value, length) = known.take(self.rest, sharing)?;
        self.rest = &self.rest[length..];
        Some(value)
    }

    /// Any value, by the parser.
    fn value<T: DeserializeOwned>(&mut self) -> Option<T> {
        let mut values = Deserializer::from_str(self.rest).into_iter();
        let value = values.next()?.ok()?;
        self.rest = &self.rest[values.byte_offset()..];
        Some(value)
    }
}

/// A number of few digits without sign and exponent, and its length. It is the float that the parser gives:
/// both parts are exact, so that dividing rounds once (Clinger, "How to read floating point numbers
/// accurately", 1990).
fn decimal(text: &[u8]) -> Option<(f64, usize)> {
    let mut number = 0_u64;
    let mut point = None;
    let mut at = 0;
    loop {
        match *text.get(at)? {
            digit @ b'0'..=b'9' => number = number * 10 + u64::from(digit - b'0'),
            b'.' if point.is_none() => point = Some(at),
            b',' | b']' => break,
            _ => return None,
        }
        at += 1;
        if at > EXACT_DIGITS {
            return None;
        }
    }
    let (whole, fraction) = match point {
        Some(point) => (point, at - point - 1),
        None => (at, 0),
    };
    let is_json = whole > 0 && (whole == 1 || text[0] != b'0') && (point.is_none() || fraction > 0);
    is_json.then(|| (number as f64 / POWERS[fraction], at))
}

#[cfg(test)]
mod tests;
