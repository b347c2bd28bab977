//! What a user says to a model.

/// One item of a user's message.
///
/// Texts only, so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentItem {
    /// A text.
    Text(String),
}

/// A user's message: one or more items in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt(pub Vec<ContentItem>);

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        Self(vec![ContentItem::Text(text.to_owned())])
    }
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        Self(vec![ContentItem::Text(text)])
    }
}

impl From<Vec<ContentItem>> for Prompt {
    fn from(items: Vec<ContentItem>) -> Self {
        Self(items)
    }
}

impl<T: Into<String>> FromIterator<T> for Prompt {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        Self(
            texts
                .into_iter()
                .map(|text| ContentItem::Text(text.into()))
                .collect(),
        )
    }
}
