//! Conversations: what was said before a payload's own message, in the shape of its API.

use serde_json::{Value, json};

use super::{ApiMode, EndpointError};
use crate::payload::{Message, Payload, Role};

/// Puts messages before the user's message of a payload that this API's mode made.
///
/// APIs that take one text get all of it as a text, a message after the other.
///
/// # Errors
/// If the payload has no message, or one that cannot be continued.
pub(crate) fn add_history(
    payload: &mut Payload,
    api: ApiMode,
    history: &[Message],
) -> Result<(), EndpointError> {
    if history.is_empty() {
        return Ok(());
    }
    let refuse = || EndpointError(format!("{} takes no conversation", api.name));
    let field = api.api.spec().prompt_fields.first().copied();
    match payload.get_mut(field.unwrap_or("prompt")) {
        // Chat: before the last message, whose content has the same form.
        Some(Value::Array(messages)) if messages.last().is_some_and(Value::is_object) => {
            let at = messages.len() - 1;
            let before = history.iter().map(|message| like(&messages[at], message));
            let before: Option<Vec<Value>> = before.collect();
            messages.splice(at..at, before.ok_or_else(refuse)?);
            Ok(())
        }
        // OpenAI Responses has a text in the place of messages.
        Some(input @ Value::String(_)) if field == Some("input") => {
            let own = json!({"role": "user", "content": input.take()});
            let before = history
                .iter()
                .map(|message| json!({"role": message.role.as_str(), "content": message.text}));
            *input = before.chain([own]).collect();
            Ok(())
        }
        Some(Value::String(text)) => {
            let before = history.iter().map(|message| message.text.as_str());
            let all: Vec<&str> = before.chain([text.as_str()]).collect();
            *text = all.join("\n\n");
            Ok(())
        }
        _ => Err(refuse()),
    }
}

/// A message in the form of another one.
fn like(pattern: &Value, message: &Message) -> Option<Value> {
    if pattern.get("parts").is_some() {
        let role = match message.role {
            Role::User => "user",
            Role::Assistant => "model",
        };
        return Some(json!({"role": role, "parts": [{"text": message.text}]}));
    }
    let content = match pattern.get("content")? {
        Value::String(_) => Value::from(message.text.as_str()),
        // A block of text has the text, and in some APIs its type.
        Value::Array(blocks) => {
            let mut blocks = blocks.iter().filter(|block| block["text"].is_string());
            let mut block = blocks.next()?.clone();
            block["text"] = message.text.as_str().into();
            json!([block])
        }
        _ => return None,
    };
    Some(json!({"role": message.role.as_str(), "content": content}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_of_texts_takes_a_conversation() {
        let history = [
            Message::new(Role::User, "first question"),
            Message::new(Role::Assistant, "first answer"),
        ];
        for api in ApiMode::all().filter(|api| api.name != "openai-embeddings") {
            let mut payload = api.create_payload("second question", 5).unwrap();
            add_history(&mut payload, api, &history).unwrap();
            let prepared = api.prepared(payload.clone(), Some("m")).unwrap();
            let text = serde_json::to_string(&prepared).unwrap();
            let places = ["first question", "first answer", "second question"].map(|part| {
                text.find(part)
                    .unwrap_or_else(|| panic!("{}: {text}", api.name))
            });
            assert!(places.is_sorted(), "{}: {text}", api.name);
        }
        let chat = ApiMode::default();
        let mut payload = chat.create_payload("c", 5).unwrap();
        add_history(&mut payload, chat, &history).unwrap();
        assert_eq!(
            payload["messages"],
            json!([
                {"role": "user", "content": "first question"},
                {"role": "assistant", "content": "first answer"},
                {"role": "user", "content": "c"},
            ])
        );
        let gemini = ApiMode::named("gemini").unwrap();
        let mut payload = gemini.create_payload("c", 5).unwrap();
        add_history(&mut payload, gemini, &history).unwrap();
        assert_eq!(payload["contents"][1]["role"], "model");
    }

    #[test]
    fn an_api_without_messages_is_refused() {
        let api = ApiMode::named("openai-embeddings").unwrap();
        let mut payload = api.create_payload("c", 5).unwrap();
        let history = [Message::new(Role::User, "a")];
        let error = add_history(&mut payload, api, &history).unwrap_err();
        assert!(error.to_string().contains("openai-embeddings"), "{error}");
    }
}
