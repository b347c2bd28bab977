//! Free data of a response.

use std::fmt;
use std::ops::{Deref, DerefMut};

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

static NONE: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);

/// Free data of a response: names and their values, in the order in which they were given.
///
/// It is a JSON object that takes a pointer's room as long as it is empty, which most are.
#[derive(Clone, Default)]
pub struct Annotations(Option<Box<Map<String, Value>>>);

impl Annotations {
    /// Removes all.
    pub fn clear(&mut self) {
        self.0 = None;
    }

    /// The object, to be kept.
    pub fn into_map(self) -> Map<String, Value> {
        self.0.map(|map| *map).unwrap_or_default()
    }

    /// The object, if anything is in it.
    pub(crate) fn filled(&mut self) -> Option<&mut Map<String, Value>> {
        self.0.as_deref_mut()
    }
}

impl From<Map<String, Value>> for Annotations {
    fn from(map: Map<String, Value>) -> Self {
        Self((!map.is_empty()).then(|| Box::new(map)))
    }
}

impl Deref for Annotations {
    type Target = Map<String, Value>;

    fn deref(&self) -> &Self::Target {
        self.0.as_deref().unwrap_or(&NONE)
    }
}

impl DerefMut for Annotations {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0.get_or_insert_default()
    }
}

impl PartialEq for Annotations {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Annotations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(formatter)
    }
}

impl Serialize for Annotations {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (**self).serialize(serializer)
    }
}
