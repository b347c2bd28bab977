//! Objects as files hold them: an envelope that names a type, and the registry that builds it.
//!
//! Belongs here: the envelope and its JSON, in the form of the Python system, the way from a type's
//! name to an object, and files with one object.
//! Does not belong here: which types there are (`callback`, `endpoint`), where files lie
//! (`storage`).

mod file;
pub(crate) mod json;
mod registry;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

pub(crate) use file::{as_json, refused};
pub use registry::{Kind, Registry};

use crate::base::error::{Error, Result};
use crate::storage::Location;

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

    /// Builds the object from its envelope, whether a [`Registry`] has its type or not.
    ///
    /// # Errors
    /// If the value is no envelope of this type, one of a newer format, or a field is wrong.
    fn from_saved(value: &Value) -> Result<Self> {
        let name = short(Self::CLASS);
        let state = match value {
            Value::Object(state) if Self::is_bare(value) => state.clone(),
            _ => {
                let saved =
                    SavedObject::from_json(value).map_err(|reason| Error::refused(name, reason))?;
                if saved.class != Self::CLASS && saved.class != name {
                    return Err(Error::field("type", saved.class, name));
                }
                saved.state
            }
        };
        serde_json::from_value(Value::Object(state)).map_err(|reason| Error::refused(name, reason))
    }

    /// Writes the object to a file that [`load_from_file`](Self::load_from_file) reads, as does the
    /// Python system if it knows the type. Missing folders are made.
    ///
    /// ```
    /// use llmeter::callback::CacheBuster;
    /// use llmeter::saved::{Saved, SavedObject};
    ///
    /// let folder = std::env::temp_dir().join("llmeter-saved-object");
    /// let file = folder.join("buster.json");
    /// CacheBuster::new(7).save_to_file_blocking(&file)?;
    /// let again = CacheBuster::load_from_file_blocking(&file)?;
    /// assert_eq!(SavedObject::of(&again)?, SavedObject::of(&CacheBuster::new(7))?);
    /// # std::fs::remove_dir_all(folder).ok();
    /// # Ok::<(), llmeter::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the object cannot be saved or the file cannot be written.
    fn save_to_file(&self, path: impl Into<Location>) -> impl Future<Output = Result<()>> + Send {
        let (path, content) = (path.into(), SavedObject::of(self));
        async move { path.write(content?.to_file()).await }
    }

    /// As [`save_to_file`](Self::save_to_file), blocking the calling thread.
    ///
    /// # Errors
    /// As [`save_to_file`](Self::save_to_file).
    fn save_to_file_blocking(&self, path: impl Into<Location>) -> Result<()> {
        path.into().write_blocking(SavedObject::of(self)?.to_file())
    }

    /// Reads an object of this type.
    ///
    /// # Errors
    /// If the file cannot be read or is no JSON, if it holds another type, its fields are wrong, or
    /// it was written by a newer llmeter. The message names the file.
    fn load_from_file(path: impl Into<Location>) -> impl Future<Output = Result<Self>> + Send {
        let path = path.into();
        async move { file::typed(&path, path.read().await) }
    }

    /// As [`load_from_file`](Self::load_from_file), blocking the calling thread.
    ///
    /// # Errors
    /// As [`load_from_file`](Self::load_from_file).
    fn load_from_file_blocking(path: impl Into<Location>) -> Result<Self> {
        let path = path.into();
        let text = path.read_blocking();
        file::typed(&path, text)
    }
}

/// A field of a saved type's state, described for people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field {
    /// As files spell it.
    pub name: &'static str,
    /// What it means, its unit and its default.
    pub about: &'static str,
    /// Whether it holds saved objects that name their types, by name or in a list.
    pub has_objects: bool,
}

impl Field {
    /// A field.
    pub const fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            has_objects: false,
        }
    }

    /// A field that holds saved objects, by name or in a list.
    pub const fn of_objects(name: &'static str, about: &'static str) -> Self {
        Self {
            has_objects: true,
            ..Self::new(name, about)
        }
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
        serde_json::json!({ CLASS: self.class, STATE: self.state })
    }

    /// The content of a file that holds it.
    pub(crate) fn to_file(&self) -> Vec<u8> {
        json::to_indented(&self.to_json())
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
