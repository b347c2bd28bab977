//! From a type's name to an object.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Field, Saved, SavedObject, short};
use crate::base::error::{Error, Result};

/// A registered type, for people.
#[derive(Debug, Clone)]
pub struct Kind {
    /// The full class path.
    pub class: &'static str,
    /// One line on what it does.
    pub about: &'static str,
    /// What its state consists of.
    pub fields: &'static [Field],
    /// An object to begin a file of one's own from.
    pub template: Option<SavedObject>,
    is_bare: fn(&Value) -> bool,
}

impl Kind {
    /// The class without its module, by which it can be named as well.
    pub fn name(&self) -> &'static str {
        short(self.class)
    }
}

type Build<T> = Box<dyn Fn(Map<String, Value>) -> Result<Arc<T>, String> + Send + Sync>;

/// The types that can stand where a `T` is wanted, by name. A file makes no code run that was not
/// registered before.
pub struct Registry<T: ?Sized> {
    /// What a `T` is called in errors.
    what: &'static str,
    kinds: BTreeMap<&'static str, (Kind, Build<T>)>,
}

impl<T: ?Sized + 'static> Registry<T> {
    /// An empty registry; `what` names in errors what it builds, like "callback".
    pub fn new(what: &'static str) -> Self {
        Self {
            what,
            kinds: BTreeMap::new(),
        }
    }

    /// Adds a type; one of the same class is replaced. `share` makes a `T` of an object.
    pub fn register<S: Saved + 'static>(&mut self, share: fn(S) -> Arc<T>) {
        let build = move |state| {
            serde_json::from_value::<S>(Value::Object(state))
                .map(share)
                .map_err(|reason| reason.to_string())
        };
        let kind = Kind {
            class: S::CLASS,
            about: S::ABOUT,
            fields: S::FIELDS,
            template: S::example().and_then(|example| SavedObject::of(&example).ok()),
            is_bare: S::is_bare,
        };
        self.kinds.insert(S::CLASS, (kind, Box::new(build)));
    }

    /// The registered types in the order of their classes.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values().map(|(kind, _)| kind)
    }

    /// The type of this class path or bare name.
    pub fn kind(&self, class: &str) -> Option<&Kind> {
        self.entry(class).map(|(kind, _)| kind)
    }

    /// Builds an object.
    ///
    /// # Errors
    /// If the type is not registered or the state does not fit it; the message lists the known
    /// types.
    pub fn build(&self, saved: &SavedObject) -> Result<Arc<T>> {
        let Some((kind, build)) = self.entry(&saved.class) else {
            let what = format!("{} {}", self.what, saved.class);
            return Err(Error::refused(
                what,
                format!("no such type; {}", self.known()),
            ));
        };
        build(saved.state.clone()).map_err(|reason| {
            let fields: Vec<_> = kind.fields.iter().map(|field| field.name).collect();
            let takes = match fields.as_slice() {
                [] => String::new(),
                fields => format!("; {} takes {}", kind.name(), fields.join(", ")),
            };
            Error::refused(
                format!("{} {}", self.what, saved.class),
                format!("{reason}{takes}"),
            )
        })
    }

    /// Builds the object of an envelope.
    ///
    /// # Errors
    /// As [`build`](Self::build), and if the value is no envelope or one of a newer format.
    pub fn build_json(&self, value: &Value) -> Result<Arc<T>> {
        let mut kinds = self.kinds();
        let bare = kinds.find(|kind| (kind.is_bare)(value));
        if let Some((kind, state)) = bare.zip(value.as_object()) {
            return self.build(&SavedObject {
                class: kind.class.to_owned(),
                state: state.clone(),
            });
        }
        let saved = SavedObject::from_json(value)
            .map_err(|reason| Error::refused(self.what, format!("{reason}; {}", self.known())))?;
        self.build(&saved)
    }

    fn entry(&self, class: &str) -> Option<&(Kind, Build<T>)> {
        self.kinds.get(class).or_else(|| {
            // A bare name is enough if it is one type's only.
            let mut named = self.kinds.values().filter(|(kind, _)| kind.name() == class);
            named.next().filter(|_| named.next().is_none())
        })
    }

    fn known(&self) -> String {
        let names: Vec<_> = self.kinds().map(Kind::name).collect();
        format!("known types: {}", names.join(", "))
    }
}
