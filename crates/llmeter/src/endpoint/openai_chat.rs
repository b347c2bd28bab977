//! OpenAI Chat Completions.

/// Placeholder.
#[derive(Debug)]
pub struct OpenAiChat;
/// Placeholder.
#[derive(Debug)]
pub struct OpenAiChatBuilder;
