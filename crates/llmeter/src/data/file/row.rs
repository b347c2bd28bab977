//! One row of a file: what is asked, and how much is to come.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::base::error::Error;
use crate::base::setting::SettingProblem;
use crate::payload::{Message, Payload, Role, Tokenizer, counted};

/// What one row of a file asks for.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::data) struct Row {
    pub(in crate::data) content: Content,
    pub(in crate::data) system: Option<String>,
    /// The tokens that responses are to have, as the file says.
    pub(in crate::data) output_tokens: Option<u64>,
    /// Where it was read.
    pub(in crate::data) place: Place,
}

/// Where a row was read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(in crate::data) struct Place {
    pub(in crate::data) path: PathBuf,
    /// Its line, if rows are lines; else its number in the file. Counted from 1.
    pub(in crate::data) number: u64,
    pub(in crate::data) is_line: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(in crate::data) enum Content {
    /// A prompt, and the answer that the file has for it.
    Text(String),
    /// What was said in turns.
    Conversation(Vec<Message>),
    /// A payload as it is to be sent.
    Body(Payload),
}

impl Row {
    /// How many requests it is: as many as the user has turns.
    pub(in crate::data) fn turns(&self) -> u32 {
        match &self.content {
            Content::Text(_) | Content::Body(_) => 1,
            Content::Conversation(messages) => {
                let of_user = messages.iter().filter(|one| one.role == Role::User);
                of_user.count() as u32
            }
        }
    }

    /// What was said up to a turn of the user's, that included.
    pub(in crate::data) fn messages(&self, turn: u32) -> &[Message] {
        let Content::Conversation(messages) = &self.content else {
            return &[];
        };
        &messages[..self.end_of(turn, messages)]
    }

    fn end_of(&self, turn: u32, messages: &[Message]) -> usize {
        let mut of_user = messages
            .iter()
            .enumerate()
            .filter(|(_, one)| one.role == Role::User);
        let found = of_user.nth(turn as usize);
        found.map_or(messages.len(), |(at, _)| at + 1)
    }

    /// The tokens that the response of a turn is to have: as the file says, or as many as its answer has.
    pub(in crate::data) fn output_tokens(
        &self,
        turn: u32,
        tokenizer: &dyn Tokenizer,
    ) -> Option<u64> {
        if self.output_tokens.is_some() {
            return self.output_tokens;
        }
        let Content::Conversation(messages) = &self.content else {
            return None;
        };
        let answer = messages.get(self.end_of(turn, messages))?;
        let tokens = counted(tokenizer, &answer.text)?;
        (answer.role == Role::Assistant).then_some((tokens as u64).max(1))
    }

    /// The texts of a prompt, for counts.
    pub(in crate::data) fn texts(&self, turn: u32) -> Vec<&str> {
        let system = self.system.as_deref().into_iter();
        match &self.content {
            Content::Text(text) => system.chain([text.as_str()]).collect(),
            Content::Conversation(_) => {
                let messages = self.messages(turn).iter();
                system
                    .chain(messages.map(|one| one.text.as_str()))
                    .collect()
            }
            Content::Body(body) => {
                let mut texts = Vec::new();
                for value in body.values() {
                    collect(value, &mut texts);
                }
                texts
            }
        }
    }

    /// An error about it, with its place.
    pub(in crate::data) fn of(&self, error: Error) -> Error {
        self.place.of(error)
    }
}

/// The texts within `content` and `text` fields, or that stand alone.
fn collect<'v>(value: &'v Value, texts: &mut Vec<&'v str>) {
    match value {
        Value::String(text) => texts.push(text),
        Value::Array(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Object(fields) => {
            for name in ["content", "text", "parts"] {
                if let Some(value) = fields.get(name) {
                    collect(value, texts);
                }
            }
        }
        _ => {}
    }
}

impl Place {
    /// An error about what is there.
    pub(in crate::data) fn of(&self, error: Error) -> Error {
        match &error {
            Error::Field {
                problem: SettingProblem::Refused { .. } | SettingProblem::Value { .. },
                ..
            }
            | Error::Invalid { .. } => self.refuse(error.to_string()),
            _ => error,
        }
    }

    /// That something is wrong there.
    pub(in crate::data) fn refuse(&self, reason: impl Into<String>) -> Error {
        let reason = reason.into();
        let (line, reason) = match self.is_line {
            true => (Some(self.number as usize), reason),
            false => (None, format!("row {}: {reason}", self.number)),
        };
        Error::Content {
            path: self.path.clone(),
            line,
            column: None,
            reason,
            source: None,
        }
    }
}
