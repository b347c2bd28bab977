//! Bodies from templates.

mod bounds;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::base::error::{Error, Result};
use crate::base::foreign::{self, Panic};
use crate::base::runtime::on_stack;
use crate::base::setting::Setting;
use crate::endpoint::EndpointError;
use crate::payload::Payload;

/// The body of the template that is used if none is given: the payload as it is.
pub(super) const DEFAULT: &str = "{{ payload }}";

/// The name under which the one template is kept.
const NAME: &str = "body";

/// A template of a JSON document.
#[derive(Clone)]
pub(super) struct BodyTemplate {
    text: String,
    environment: Arc<Environment<'static>>,
    /// How many times its variables it can make of them.
    growth: u64,
}

impl fmt::Debug for BodyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl BodyTemplate {
    /// # Errors
    /// When the text is no template, or one beyond the limits.
    pub(super) fn new(text: &str) -> Result<Self> {
        let refuse = |expected: String| Error::invalid(Setting::Body, shortened(text), expected);
        let growth = bounds::growth(text).map_err(refuse)?;
        let owned = text.to_owned();
        let parsed = on_stack(bounds::PARSER_STACK, || {
            let mut environment = environment();
            environment.add_template_owned(NAME, owned)?;
            Ok(environment)
        })?;
        let environment = match parsed {
            Ok(Ok(environment)) => environment,
            Ok(Err(reason)) => return Err(refuse(format!("a template ({})", described(&reason)))),
            Err(Panic(reason)) => return Err(refuse(format!("a template ({reason})"))),
        };
        Ok(Self {
            text: text.to_owned(),
            environment: Arc::new(environment),
            growth,
        })
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The body for what `variables` says. A template of white space alone makes none.
    ///
    /// # Errors
    /// When a variable is missing, or the outcome is no JSON.
    pub(super) fn render(
        &self,
        variables: &Map<String, Value>,
    ) -> std::result::Result<Vec<u8>, EndpointError> {
        let refuse = |reason: minijinja::Error| {
            let known: Vec<&str> = variables.keys().map(String::as_str).collect();
            EndpointError(format!(
                "the body's template cannot be filled: {}; it can use {}",
                described(&reason),
                known.join(", ")
            ))
        };
        let size = size(variables);
        let allowed = (size * bounds::ALWAYS_ALLOWED).max(bounds::MAX_VALUES);
        if size.saturating_mul(self.growth) > allowed {
            let growth = self.growth;
            return Err(EndpointError(format!(
                "the body's template could make {growth} times its variables, which have {size} \
                 bytes: expected at most {allowed}"
            )));
        }
        let mut environment = Cow::Borrowed(&*self.environment);
        if size > bounds::FUEL_PER_BYTE_FROM {
            environment.to_mut().set_fuel(Some(bounds::FUEL + size));
        }
        let fill = || {
            let template = environment.get_template(NAME)?;
            template.render(minijinja::value::Serde(variables))
        };
        let body = foreign::catch_panic(fill)
            .map_err(|Panic(reason)| {
                EndpointError(format!("the body's template panicked: {reason}"))
            })?
            .map_err(refuse)?;
        if body.trim().is_empty() {
            return Ok(Vec::new());
        }
        if let Err(reason) = serde_json::from_str::<serde::de::IgnoredAny>(&body) {
            // The body itself may hold a key.
            return Err(EndpointError(format!(
                "the body's template makes no valid JSON ({reason}); values are written as JSON, \
                 texts with their quotes: write {{{{ prompt }}}}, not \"{{{{ prompt }}}}\""
            )));
        }
        Ok(body.into_bytes())
    }
}

/// What templates are parsed and filled by.
fn environment() -> Environment<'static> {
    let mut environment = Environment::new();
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    // Everything is written as JSON, so that a quote in a prompt cannot break the document.
    environment.set_formatter(|out, state, value| {
        if value.is_safe() {
            return minijinja::escape_formatter(out, state, value);
        }
        if value.is_undefined() {
            return Err(ErrorKind::UndefinedError.into());
        }
        out.write_str(&bounds::json(value)?).map_err(Into::into)
    });
    bounds::restrict(&mut environment);
    environment
}

/// About as many bytes as JSON has of it.
fn size(fields: &Map<String, Value>) -> u64 {
    fn of(value: &Value) -> u64 {
        match value {
            Value::String(text) => text.len() as u64,
            Value::Array(list) => list.iter().map(of).sum(),
            Value::Object(fields) => size(fields),
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
        .saturating_add(4)
    }
    let fields = fields.iter();
    fields
        .map(|(name, value)| name.len() as u64 + of(value))
        .sum()
}

/// What a template knows: the fields of the payload, and under their own names, which no field of a
/// payload hides, the payload, the model and the key.
pub(super) fn variables(
    payload: &Payload,
    model: &str,
    api_key: Option<&SecretString>,
) -> Map<String, Value> {
    let mut variables = payload.clone();
    variables.insert("payload".to_owned(), Value::Object(payload.clone()));
    variables.insert("model".to_owned(), model.into());
    if let Some(key) = api_key {
        variables.insert("api_key".to_owned(), key.expose_secret().into());
    }
    variables
}

/// An error of a template in one line.
fn described(reason: &minijinja::Error) -> String {
    if reason.kind() == ErrorKind::OutOfFuel {
        return "it takes more work, or makes more text, than a template may".to_owned();
    }
    let what = match reason.detail() {
        Some(detail) => format!("{}: {detail}", reason.kind()),
        None => reason.kind().to_string(),
    };
    match reason.line() {
        Some(line) => format!("{what}, in line {line}"),
        None => what,
    }
}

/// The beginning of a template.
fn shortened(text: &str) -> String {
    const MAX: usize = 60;
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
