//! Bodies from templates.

use std::fmt;
use std::sync::Arc;

use minijinja::{Environment, ErrorKind, UndefinedBehavior};
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Map, Value};

use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::endpoint::EndpointError;
use crate::payload::{Payload, plain_numbers};

/// The body of the template that is used if none is given: the payload as it is.
pub(super) const DEFAULT: &str = "{{ payload }}";

/// The name under which the one template is kept.
const NAME: &str = "body";

/// A template of a JSON document.
#[derive(Clone)]
pub(super) struct BodyTemplate {
    text: String,
    environment: Arc<Environment<'static>>,
}

impl fmt::Debug for BodyTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text.fmt(f)
    }
}

impl BodyTemplate {
    /// # Errors
    /// When the text is no template.
    pub(super) fn new(text: &str) -> Result<Self> {
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
            let json = serde_json::to_string(value).map_err(|reason| {
                minijinja::Error::new(ErrorKind::BadSerialization, reason.to_string())
            })?;
            out.write_str(&plain_numbers(json)).map_err(Into::into)
        });
        environment
            .add_template_owned(NAME, text.to_owned())
            .map_err(|reason| {
                let expected = format!("a template ({})", described(&reason));
                Error::invalid(Setting::Body, shortened(text), expected)
            })?;
        Ok(Self {
            text: text.to_owned(),
            environment: Arc::new(environment),
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
        let template = self.environment.get_template(NAME).map_err(refuse)?;
        let body = template
            .render(minijinja::value::Serde(variables))
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
