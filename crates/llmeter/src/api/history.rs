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

/// Puts a payload that was sent before, and the answer to it, before the user's message of another payload.
/// What the earlier one has beside its conversation is left. `fields`: where payloads have their prompt.
///
/// APIs that take one text get all of it as a text. An answer without any text is left out where the API takes
/// no empty block: what the user says then are parts of one message.
///
/// # Errors
/// If the payload cannot be continued; `name` says of which API it is.
pub(crate) fn go_on(
    next: &mut Payload,
    previous: &Payload,
    answer: &str,
    fields: &[&str],
    name: &str,
) -> Result<(), EndpointError> {
    let refuse = || EndpointError(format!("{name} takes no conversation"));
    let field = fields.iter().find(|field| next.contains_key(**field));
    let field = *field.ok_or_else(refuse)?;
    let before = previous.get(field).ok_or_else(refuse)?;
    let own = next.get_mut(field).ok_or_else(refuse)?;
    if let (Value::String(before), Value::String(text), false) =
        (before, &mut *own, field == "input")
    {
        *text = [before, answer, text.as_str()].join("\n\n");
        return Ok(());
    }
    let message = match own.take() {
        Value::Array(mut messages) => messages.pop(),
        text @ Value::String(_) => Some(said(text)),
        _ => None,
    };
    let mut message = message.filter(Value::is_object).ok_or_else(refuse)?;
    let mut all = match before {
        Value::Array(messages) => messages.clone(),
        text @ Value::String(_) => vec![said(text.clone())],
        _ => return Err(refuse()),
    };
    let last = all.last_mut().filter(|last| last.is_object());
    let last = last.ok_or_else(refuse)?;
    let blocks = |message: &mut Value| {
        let key = ["parts", "content"]
            .into_iter()
            .find(|key| message[*key].is_array())?;
        message[key].as_array_mut().map(std::mem::take)
    };
    if answer.is_empty()
        && message["content"].as_str().is_none()
        && let Some(own) = blocks(&mut message)
    {
        let key = if last.get("parts").is_some() {
            "parts"
        } else {
            "content"
        };
        match &mut last[key] {
            Value::Array(before) => before.extend(own),
            _ => return Err(refuse()),
        }
    } else {
        let answer = Message::new(Role::Assistant, answer);
        let answer = like(&message, &answer).ok_or_else(refuse)?;
        all.extend([answer, message]);
    }
    *own = Value::Array(all);
    Ok(())
}

/// A text as a message of the user's.
fn said(text: Value) -> Value {
    json!({"role": "user", "content": text})
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
        // OpenAI Responses: what the model says has another type, and may be a text.
        Value::Array(blocks) if is_of_responses(blocks) => Value::from(message.text.as_str()),
        // A block of text has the text, and in some APIs its type.
        Value::Array(blocks) => match blocks.first()?.get("type") {
            Some(_) => json!([{"type": "text", "text": message.text}]),
            None => json!([{"text": message.text}]),
        },
        _ => return None,
    };
    Some(json!({"role": message.role.as_str(), "content": content}))
}

/// Whether blocks are those of OpenAI Responses, whose texts are `input_text`.
fn is_of_responses(blocks: &[Value]) -> bool {
    blocks.iter().any(|block| {
        matches!(
            block["type"].as_str(),
            Some("input_text" | "input_image" | "input_file")
        )
    })
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
    fn every_api_of_texts_goes_on_with_the_answers() {
        for api in ApiMode::all().filter(|api| api.name != "openai-embeddings") {
            let payload = |text: &str| {
                let prompt = crate::payload::Prompt::from(text).system("be brief");
                let with_system = api.create_payload(prompt, 5);
                with_system.unwrap_or_else(|_| api.create_payload(text, 5).unwrap())
            };
            let mut said = payload("first question");
            for (question, answer) in [
                ("second question", "first answer"),
                ("third question", "second answer"),
            ] {
                let mut next = payload(question);
                let sent = api.prepared(said.clone(), Some("m")).unwrap();
                api.api
                    .continue_conversation(&mut next, &sent, answer)
                    .unwrap();
                said = next;
            }
            let text = serde_json::to_string(&api.prepared(said, Some("m")).unwrap()).unwrap();
            let parts = [
                "first question",
                "first answer",
                "second question",
                "second answer",
                "third question",
            ];
            let places = parts.map(|part| {
                assert_eq!(text.matches(part).count(), 1, "{}: {text}", api.name);
                text.find(part).unwrap()
            });
            assert!(places.is_sorted(), "{}: {text}", api.name);
            assert!(
                text.matches("be brief").count() <= 1,
                "{}: {text}",
                api.name
            );
        }
    }

    #[test]
    fn messages_with_media_go_on_in_the_form_of_their_api() {
        let object = |value: Value| value.as_object().cloned().unwrap();
        let go = |previous: Value, next: Value, answer: &str| {
            let mut next = object(next);
            go_on(
                &mut next,
                &object(previous),
                answer,
                &["messages", "input"],
                "it",
            )
            .unwrap();
            Value::from(next)
        };
        let image = json!({"type": "image_url", "image_url": {"url": "data:"}});
        let asked = |text: &str| json!({"role": "user", "content": [image, {"type": "text", "text": text}]});
        let went = go(
            json!({"messages": [asked("a")]}),
            json!({"messages": [asked("c")]}),
            "b",
        );
        let b = json!({"role": "assistant", "content": [{"type": "text", "text": "b"}]});
        assert_eq!(went, json!({"messages": [asked("a"), b, asked("c")]}));
        // Nothing was said: APIs of blocks take no empty ones.
        let blocks = |text: &str| json!([{"text": text}]);
        let asked = |text: &str| json!({"messages": [{"role": "user", "content": blocks(text)}]});
        let both = json!([{"role": "user", "content": [{"text": "a"}, {"text": "c"}]}]);
        assert_eq!(go(asked("a"), asked("c"), "")["messages"], both);
        let responses = |text: &str| {
            json!({"input": [
                {"role": "user", "content": [{"type": "input_text", "text": text}]}
            ]})
        };
        assert_eq!(
            go(responses("a"), responses("c"), "b")["input"][1],
            json!({"role": "assistant", "content": "b"})
        );
        let mut next = object(json!({"messages": ["c"]}));
        let error = go_on(&mut next, &object(asked("a")), "b", &["messages"], "it").unwrap_err();
        assert_eq!(error.to_string(), "it takes no conversation");
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
