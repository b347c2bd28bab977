//! What a user says to a model.

use super::Media;

/// One item of a user's message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContentItem {
    /// A text.
    Text(String),
    /// An image, audio, a video or a document.
    Media(Media),
}

impl From<Media> for ContentItem {
    fn from(media: Media) -> Self {
        Self::Media(media)
    }
}

impl From<&str> for ContentItem {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for ContentItem {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

/// Who says something in a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The user.
    User,
    /// The model.
    Assistant,
}

impl Role {
    /// As most APIs and files have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
        }
    }
}

/// What somebody said in a conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Who.
    pub role: Role,
    /// What.
    pub text: String,
}

impl Message {
    /// A message.
    pub fn new(role: Role, text: impl Into<String>) -> Self {
        let text = text.into();
        Self { role, text }
    }
}

/// A user's message, and what is said to the model before it.
///
/// ```
/// use llmeter::endpoint::OpenAiChat;
/// use llmeter::payload::{Media, MediaKind, Payload, Prompt};
///
/// let image = Media::new(MediaKind::Image, "image/png", *b"\x89PNG\r\n\x1a\n");
/// let prompt = Prompt::default().system("Be brief.").item(image).item("What is this?");
/// let payload = OpenAiChat::create_payload(prompt, 64, Payload::new())?;
/// assert_eq!(payload["messages"][0]["content"], "Be brief.");
/// assert_eq!(payload["messages"][1]["content"][1]["text"], "What is this?");
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Prompt {
    /// How the model is to behave: the system text, which some APIs call instructions.
    pub system: Option<String>,
    /// The message, in order.
    pub items: Vec<ContentItem>,
}

impl Prompt {
    /// The same with a system text.
    #[must_use]
    pub fn system(mut self, text: impl Into<String>) -> Self {
        self.system = Some(text.into());
        self
    }

    /// The same with one more item at its end.
    #[must_use]
    pub fn item(mut self, item: impl Into<ContentItem>) -> Self {
        self.items.push(item.into());
        self
    }
}

impl From<&str> for Prompt {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<String> for Prompt {
    fn from(text: String) -> Self {
        vec![text.into()].into()
    }
}

impl From<Vec<ContentItem>> for Prompt {
    fn from(items: Vec<ContentItem>) -> Self {
        Self {
            system: None,
            items,
        }
    }
}

impl<T: Into<String>> FromIterator<T> for Prompt {
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let texts = texts.into_iter();
        let items = texts.map(|text| ContentItem::Text(text.into()));
        items.collect::<Vec<_>>().into()
    }
}
