//! Objects as files hold them: an envelope that names a type, and the registry that builds it.
//!
//! Belongs here: the envelope, in the form of the Python system, and the way from a type's name to
//! an object.
//! Does not belong here: which types there are (`callback`, `endpoint`), where files lie
//! (`storage`).

mod registry;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

pub use registry::{Kind, Registry};

use crate::base::error::{Error, Result};

const CLASS: &str = "__llmeter_class__";
const STATE: &str = "__llmeter_state__";
/// Only in files of a later format than the first, which the Python system shares.
const FORMAT: &str = "__llmeter_format__";
/// The type in cost models that were written before 0.2.0 of the Python system.
const OLD_TYPE: &str = "_type";

/// An object in the form in which the Python system saves it: a class path and its state.
#[derive(Debug, Clone, PartialEq)]
pub struct SavedObject {
    /// For example `llmeter.endpoints.openai.OpenAICompletionStreamEndpoint`.
    pub class: String,
    /// The constructor's arguments. Never holds a secret.
    pub state: Map<String, Value>,
}

/// A type that files can name and a [`Registry`] can build.
///
/// Its serde form is its state. Let it refuse unknown fields, so that a file with a misspelt one
/// is refused instead of misunderstood.
///
/// ```
/// use llmeter::saved::{Field, Saved, SavedObject};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(deny_unknown_fields)]
/// struct Stamp {
///     text: String,
/// }
///
/// impl Saved for Stamp {
///     const CLASS: &'static str = "my_app.Stamp";
///     const ABOUT: &'static str = "Stamps every payload";
///     const FIELDS: &'static [Field] = &[Field::new("text", "what is stamped on it")];
/// }
///
/// let saved = SavedObject::of(&Stamp { text: "paid".into() })?;
/// assert_eq!(saved.to_json()["__llmeter_class__"], "my_app.Stamp");
/// # Ok::<(), llmeter::Error>(())
/// ```
pub trait Saved: Serialize + DeserializeOwned {
    /// The class path that files name: a module and a name, joined by dots.
    const CLASS: &'static str;
    /// One line for people.
    const ABOUT: &'static str = "";
    /// The fields of the state, for people.
    const FIELDS: &'static [Field] = &[];

    /// Whether a JSON value without an envelope is the state of such an object: older files have
    /// some.
    fn is_bare(value: &Value) -> bool {
        let _ = value;
        false
    }

    /// An object to begin a file of one's own from.
    fn example() -> Option<Self> {
        None
    }
}

/// A field of a saved type's state, described for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// As files spell it.
    pub name: &'static str,
    /// What it means, its unit and its default.
    pub about: &'static str,
}

impl Field {
    /// A field.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self { name, about }
    }
}

impl SavedObject {
    /// An object as it is saved.
    ///
    /// # Errors
    /// If its serde form is no JSON object.
    pub fn of<T: Saved>(object: &T) -> Result<Self> {
        let refused = |reason: String| Error::refused(T::CLASS, reason);
        match serde_json::to_value(object) {
            Ok(Value::Object(state)) => Ok(Self {
                class: T::CLASS.to_owned(),
                state,
            }),
            Ok(Value::Null) => Ok(Self {
                class: T::CLASS.to_owned(),
                state: Map::new(),
            }),
            Ok(_) => Err(refused("its state must be a JSON object".to_owned())),
            Err(reason) => Err(refused(format!("it cannot be written: {reason}"))),
        }
    }

    /// The class without its module.
    pub fn name(&self) -> &str {
        short(&self.class)
    }

    /// The envelope.
    pub fn to_json(&self) -> Value {
        json!({ CLASS: self.class, STATE: self.state })
    }

    /// Reads an envelope, or the form of cost models before 0.2.0 of the Python system, whose
    /// class is a bare name.
    ///
    /// # Errors
    /// A message that says what is wrong.
    pub fn from_json(value: &Value) -> Result<Self, String> {
        let Value::Object(object) = value else {
            return Err(format!("a saved object is a JSON object with {CLASS}"));
        };
        if let Some(Value::String(class)) = object.get(OLD_TYPE) {
            let mut state = object.clone();
            state.remove(OLD_TYPE);
            return Ok(Self {
                class: class.clone(),
                state,
            });
        }
        if let Some(format) = object.get(FORMAT)
            && format.as_u64() != Some(1)
        {
            return Err(format!(
                "it has format {format}, this llmeter reads format 1; use a newer llmeter"
            ));
        }
        if let Some(odd) = object
            .keys()
            .find(|key| ![CLASS, STATE, FORMAT].contains(&key.as_str()))
        {
            return Err(format!(
                "it has the key {odd:?} beside {CLASS} and {STATE}; \
                 it may have been written by a newer llmeter"
            ));
        }
        let class = match object.get(CLASS) {
            Some(Value::String(class)) => class.clone(),
            Some(other) => return Err(format!("{CLASS} is {other}, but must be a text")),
            None => return Err(format!("it does not name its type: {CLASS} is missing")),
        };
        let state = match object.get(STATE) {
            Some(Value::Object(state)) => state.clone(),
            None => Map::new(),
            Some(other) => return Err(format!("{STATE} is {other}, but must be an object")),
        };
        Ok(Self { class, state })
    }
}

/// The last part of a class path.
fn short(class: &str) -> &str {
    class.rsplit('.').next().unwrap_or(class)
}
