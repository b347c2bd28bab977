//! Reading the saved states of endpoints.

use serde_json::{Map, Value};

use super::SavedObject;
use super::access::Access;
use crate::base::error::{Error, Result};

impl SavedObject {
    /// The class of a saved endpoint without its module, in the present form or the one before 0.2.0.
    fn endpoint_class(&self) -> &str {
        match self.state.get("endpoint_type").and_then(Value::as_str) {
            Some(class) if self.class.is_empty() => class,
            _ => self.name(),
        }
    }

    /// Whether it is the class that streams, or the one that does not.
    ///
    /// # Errors
    /// If it is neither.
    pub(crate) fn is_streaming(&self, streaming: Option<&str>, whole: &str) -> Result<bool> {
        let class = self.endpoint_class();
        if Some(class) == streaming {
            return Ok(true);
        }
        if class == whole {
            return Ok(false);
        }
        let given = if class.is_empty() {
            "(no class)"
        } else {
            class
        };
        let expected = match streaming {
            Some(streaming) => format!("a saved {streaming} or {whole}"),
            None => format!("a saved {whole}"),
        };
        Err(Error::field("endpoint", given, expected))
    }

    /// A text; null is none.
    ///
    /// # Errors
    /// If it is anything else.
    pub(crate) fn text(&self, name: &'static str) -> Result<Option<&str>> {
        match self.state.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(Error::field(name, other, "a text")),
        }
    }

    /// A text that must be there.
    ///
    /// # Errors
    /// If it is not.
    pub(crate) fn required_text(&self, name: &'static str) -> Result<&str> {
        self.text(name)?.ok_or_else(|| Error::missing_field(name))
    }
}

/// The names of what users add to each request.
pub(crate) const HEADERS: &str = "default_headers";
pub(crate) const QUERY: &str = "default_query";

/// Adds to a state what the user adds to each request, secrets left out.
pub(crate) fn set_additions(state: &mut Map<String, Value>, access: &Access) {
    for (name, values) in [
        (HEADERS, access.saved_headers()),
        (QUERY, access.saved_query()),
    ] {
        if !values.is_empty() {
            state.insert(name.to_owned(), Value::Object(values));
        }
    }
}
