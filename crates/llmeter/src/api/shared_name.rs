//! Names that many responses have in common, such as that of their server.

use std::fmt;
use std::sync::{PoisonError, RwLock};

/// What is said of the names after so many.
const OTHERS: &str = "another";

/// The names of this process, each once and for good. What is known of a name is its place.
static NAMES: RwLock<Vec<&'static str>> = RwLock::new(Vec::new());

/// A name that many responses have in common, or none. It is as small as a number, since responses are many
/// and names are few: a process knows 65,534 of them, and calls all others `another`.
///
/// ```
/// use llmeter::api::SharedName;
///
/// let name = SharedName::new("10.0.0.1:8000");
/// assert_eq!(name.as_str(), Some("10.0.0.1:8000"));
/// assert_eq!(SharedName::default().as_str(), None);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SharedName(u16);

impl SharedName {
    /// The name that says this.
    pub fn new(text: &str) -> Self {
        if let Some(known) = place(text) {
            return known;
        }
        let mut names = NAMES.write().unwrap_or_else(PoisonError::into_inner);
        let at = names.iter().position(|known| *known == text);
        let at = at.unwrap_or_else(|| {
            let text = match names.len() < usize::from(u16::MAX) - 1 {
                true => text,
                false => OTHERS,
            };
            names.push(String::from(text).leak());
            names.len() - 1
        });
        Self(u16::try_from(at + 1).unwrap_or(u16::MAX))
    }

    /// What it says, if it is a name.
    pub fn as_str(self) -> Option<&'static str> {
        let at = usize::from(self.0).checked_sub(1)?;
        let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
        names.get(at).copied()
    }

    /// Whether it is no name.
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// The name that says this, if it is known.
fn place(text: &str) -> Option<SharedName> {
    let names = NAMES.read().unwrap_or_else(PoisonError::into_inner);
    let last = usize::from(u16::MAX);
    match names.iter().position(|known| *known == text) {
        Some(at) => Some(SharedName(u16::try_from(at + 1).unwrap_or(u16::MAX))),
        None => (names.len() >= last).then_some(SharedName(u16::MAX)),
    }
}

impl fmt::Debug for SharedName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_one_name() {
        let [one, again, other] = ["a:1", "a:1", "b:1"].map(SharedName::new);
        assert_eq!((one, one.as_str()), (again, Some("a:1")));
        assert_ne!(one, other);
        assert!(SharedName::default().is_none() && !one.is_none());
        assert_eq!(
            format!("{one:?} {:?}", SharedName::default()),
            "Some(\"a:1\") None"
        );
    }
}
