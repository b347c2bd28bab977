//! Traces of rows: Mooncake and AIPerf's dialect of it, Bailian, BurstGPT, Azure, recorded bodies.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rustc_hash::FxHashMap;
use serde_json::{Map, Value};

use super::{Content, MAX_NAMED, Recorded, RecordedRequest, RecordedSession};
use crate::data::file::count;
use crate::payload::{Message, Role};

/// What the rows of a trace are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowForm {
    /// `timestamp` in ms, `input_length`, `output_length`, `hash_ids` of blocks of 512 tokens; AIPerf's also
    /// `session_id`, `delay` in ms, `text_input`, `messages`, `payload`.
    Mooncake,
    /// `chat_id`, `parent_chat_id`, `timestamp` in seconds, blocks of 16 tokens. A chat goes on with its parent.
    Bailian,
    /// `Timestamp` in seconds, `Request tokens`, `Response tokens`.
    BurstGpt,
    /// `TIMESTAMP` as a date, `ContextTokens`, `GeneratedTokens`.
    Azure,
    /// `body`, `timestamp`, `headers`.
    Bodies,
}

type Fields = Map<String, Value>;

impl RowForm {
    /// That of rows in JSON.
    pub(super) fn of(fields: &Fields) -> Option<Self> {
        let has = |name: &str| fields.contains_key(name);
        let has_lengths = has("input_length") || has("hash_ids") || has("text_input");
        if has("chat_id") && has("parent_chat_id") {
            Some(Self::Bailian)
        } else if has("body") && has("timestamp") {
            Some(Self::Bodies)
        } else if has_lengths && (has("timestamp") || has("delay") || has("session_id"))
            || has("timestamp") && (has("messages") || has("payload"))
        {
            Some(Self::Mooncake)
        } else {
            None
        }
    }

    /// That of the rows of a table.
    pub(super) fn of_table(fields: &Fields) -> Option<Self> {
        let has = |name: &str| fields.contains_key(name);
        if has("TIMESTAMP") && has("ContextTokens") {
            Some(Self::Azure)
        } else if has("Timestamp") && has("Request tokens") {
            Some(Self::BurstGpt)
        } else {
            None
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Mooncake => "Mooncake",
            Self::Bailian => "Bailian",
            Self::BurstGpt => "BurstGPT",
            Self::Azure => "Azure",
            Self::Bodies => "recorded bodies",
        }
    }

    /// Tokens of a block.
    fn block(self) -> u64 {
        match self {
            Self::Bailian => 16,
            _ => 512,
        }
    }
}

/// Rows that are read.
#[derive(Debug, Default)]
pub(super) struct Rows {
    sessions: Vec<RecordedSession>,
    /// The time of each session's last row that has one.
    last_times: Vec<Option<f64>>,
    /// The session that rows with a parent of this id go on with.
    by_id: FxHashMap<String, usize>,
    /// Turns whose think time is the gap to the row before, and those whose time is before that of that row.
    by_gap: u64,
    back: Vec<u64>,
    unusable: Vec<(u64, String)>,
    /// Lines that have 0 tokens of a kind, in whose place 1 is sent.
    raised: Vec<u64>,
    failed: u64,
}

/// What one row says.
struct Row {
    time: Option<f64>,
    pause: Option<f64>,
    /// What a later row names as its parent, and what this one does.
    id: Option<String>,
    parent: Option<String>,
    request: RecordedRequest,
}

impl Rows {
    pub(super) fn unusable(&mut self, line: u64, reason: impl Into<String>) {
        self.unusable.push((line, reason.into()));
    }

    /// Takes a row, or notes why it cannot be used.
    pub(super) fn add(&mut self, form: RowForm, fields: &Fields, line: u64) {
        let row = match form {
            RowForm::Mooncake => mooncake(fields),
            RowForm::Bailian => bailian(fields),
            RowForm::Azure => azure(fields),
            RowForm::BurstGpt => match burst_gpt(fields) {
                // Requests that failed in production have no response.
                Ok(row) if row.request.output_tokens == Some(0) => {
                    self.failed += 1;
                    return;
                }
                row => row,
            },
            RowForm::Bodies => body(fields),
        };
        let Row {
            time,
            pause,
            id,
            parent,
            mut request,
        } = match row {
            Ok(row) => row,
            Err(reason) => return self.unusable(line, reason),
        };
        let is_made = request.content.is_none();
        if request.output_tokens == Some(0) || is_made && request.input_tokens == 0 {
            self.raised.push(line);
        }
        request.output_tokens = request.output_tokens.map(|tokens| tokens.max(1));
        request.input_tokens = request.input_tokens.max(u64::from(is_made));
        // What goes on with a chat that has gone on already has a history of its own: it is a session.
        let known = parent.and_then(|parent| self.by_id.remove(&parent));
        if let Some(place) = known {
            // A later turn: after its delay, or as long after the row before as the trace has it.
            request.pause = match (pause, time, self.last_times[place]) {
                (Some(pause), ..) => pause,
                (None, Some(time), Some(last)) => {
                    self.by_gap += 1;
                    if time < last {
                        self.back.push(line);
                    }
                    (time - last).max(0.0)
                }
                _ => 0.0,
            };
            self.last_times[place] = time.or(self.last_times[place]);
            self.by_id.extend(id.map(|id| (id, place)));
            self.sessions[place].requests.push(request);
            return;
        }
        let Some(arrival) = time else {
            return self.unusable(line, "it has no timestamp");
        };
        self.by_id.extend(id.map(|id| (id, self.sessions.len())));
        self.last_times.push(Some(arrival));
        self.sessions.push(RecordedSession {
            arrival,
            requests: vec![request],
            parent: None,
        });
    }

    pub(super) fn recorded(self, form: Option<RowForm>) -> Recorded {
        let mut notes = Vec::new();
        if self.failed > 0 {
            notes.push(format!(
                "{} requests of the trace had no response in production and are left out",
                self.failed
            ));
        }
        if let Some(lines) = named(&self.raised) {
            notes.push(format!(
                "{lines} of the trace: 0 tokens, in whose place 1 is sent, since no request has none"
            ));
        }
        match self.by_gap {
            0 => {}
            1 => notes.push(
                "the think time of 1 turn is the gap between two rows of the trace, which has production's answer in it"
                    .to_owned(),
            ),
            turns => notes.push(format!(
                "the think times of {turns} turns are the gaps between rows of the trace, which have production's \
                 answers in them"
            )),
        }
        if let Some(lines) = named(&self.back) {
            notes.push(format!(
                "{lines} of the trace: the time is before that of the session's row before; sent without a pause"
            ));
        }
        let form = form.unwrap_or(RowForm::Mooncake);
        Recorded {
            kind: form.name(),
            sessions: self.sessions,
            unusable: self.unusable,
            block: form.block(),
            notes,
        }
    }
}

/// Lines by their numbers, the first of them; `None` without any.
fn named(lines: &[u64]) -> Option<String> {
    let shown = lines.iter().take(MAX_NAMED).map(u64::to_string);
    let shown = shown.collect::<Vec<_>>().join(", ");
    match lines.len() {
        0 => None,
        1 => Some(format!("line {shown}")),
        all if all > MAX_NAMED => Some(format!("lines {shown} and {} more", all - MAX_NAMED)),
        _ => Some(format!("lines {shown}")),
    }
}

fn request(input_tokens: u64, output_tokens: Option<u64>, hash_ids: Box<[u64]>) -> RecordedRequest {
    RecordedRequest {
        pause: 0.0,
        input_tokens,
        output_tokens,
        hash_ids,
        content: None,
    }
}

fn mooncake(fields: &Fields) -> Result<Row, String> {
    let milliseconds = |name: &str| match fields.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => number(value)
            .filter(|time| time.is_finite() && *time >= 0.0)
            .map(|time| Some(time / 1e3))
            .ok_or_else(|| format!("its {name} {value} is no time in milliseconds")),
    };
    let content = content(fields)?;
    let ids = hash_ids(fields)?;
    let input = match fields.get("input_length") {
        None | Some(Value::Null) if content.is_some() => 0,
        None | Some(Value::Null) if !ids.is_empty() => ids.len() as u64 * RowForm::Mooncake.block(),
        _ => tokens(fields, "input_length")?,
    };
    let output = ["output_length", "output_tokens", "max_tokens"]
        .iter()
        .find(|name| fields.get(**name).is_some_and(|value| !value.is_null()));
    let output = output.map(|name| tokens(fields, name)).transpose()?;
    let session = id_of(fields, "session_id");
    Ok(Row {
        time: milliseconds("timestamp")?,
        pause: milliseconds("delay")?,
        id: session.clone(),
        parent: session,
        request: RecordedRequest {
            content,
            ..request(input, output, ids)
        },
    })
}

/// The content of a row that has it.
fn content(fields: &Fields) -> Result<Option<Content>, String> {
    if let Some(Value::Object(body)) = fields.get("payload") {
        return Ok(Some(Content::Body(body.clone())));
    }
    if let Some(Value::String(text)) = fields.get("text_input") {
        return Ok(Some(Content::Text(text.clone())));
    }
    let Some(Value::Array(turns)) = fields.get("messages") else {
        return Ok(None);
    };
    let mut system = None;
    let mut messages = Vec::new();
    for turn in turns {
        let (Some(role), Some(text)) = (turn["role"].as_str(), turn["content"].as_str()) else {
            // What is more than texts is sent as it stands.
            let mut body = Fields::new();
            for name in ["messages", "tools", "max_tokens"] {
                if let Some(value) = fields.get(name) {
                    body.insert(name.to_owned(), value.clone());
                }
            }
            return Ok(Some(Content::Body(body)));
        };
        match role {
            "system" | "developer" if messages.is_empty() => system = Some(text.to_owned()),
            "assistant" => messages.push(Message::new(Role::Assistant, text)),
            _ => messages.push(Message::new(Role::User, text)),
        }
    }
    match messages.last() {
        Some(last) if last.role == Role::User => Ok(Some(Content::Conversation(system, messages))),
        _ => Err("its messages do not end with one of the user's".to_owned()),
    }
}

fn bailian(fields: &Fields) -> Result<Row, String> {
    let time = fields.get("timestamp").and_then(number);
    Ok(Row {
        time: Some(time.ok_or("it has no timestamp in seconds")?),
        pause: None,
        id: id_of(fields, "chat_id"),
        // -1 for the first of a conversation, which is no chat's id.
        parent: id_of(fields, "parent_chat_id"),
        request: request(
            tokens(fields, "input_length")?,
            Some(tokens(fields, "output_length")?),
            hash_ids(fields)?,
        ),
    })
}

fn burst_gpt(fields: &Fields) -> Result<Row, String> {
    let time = fields.get("Timestamp").and_then(number);
    Ok(Row {
        time: Some(time.ok_or("it has no Timestamp in seconds")?),
        pause: None,
        id: None,
        parent: None,
        request: request(
            tokens(fields, "Request tokens")?,
            Some(tokens(fields, "Response tokens")?),
            Box::default(),
        ),
    })
}

fn azure(fields: &Fields) -> Result<Row, String> {
    let text = fields.get("TIMESTAMP").and_then(Value::as_str);
    let text = text.ok_or("it has no TIMESTAMP")?;
    let time = date(text).ok_or_else(|| format!("its TIMESTAMP {text:?} is no date"))?;
    Ok(Row {
        time: Some(time),
        pause: None,
        id: None,
        parent: None,
        request: request(
            tokens(fields, "ContextTokens")?,
            Some(tokens(fields, "GeneratedTokens")?),
            Box::default(),
        ),
    })
}

fn body(fields: &Fields) -> Result<Row, String> {
    let body = match fields.get("body") {
        Some(Value::Object(body)) => body.clone(),
        Some(Value::String(text)) => match crate::payload::read_json(text) {
            Ok(Value::Object(body)) => body,
            _ => return Err("its body is no JSON object".to_owned()),
        },
        _ => return Err("its body is no JSON object".to_owned()),
    };
    let time = match fields.get("timestamp") {
        Some(Value::String(text)) => date(text).or_else(|| text.parse().ok()),
        Some(value) => number(value),
        None => None,
    };
    let time = time.ok_or("its timestamp is neither a number of seconds nor a date")?;
    let output = crate::api::output_limit(&body);
    Ok(Row {
        time: Some(time),
        pause: None,
        id: None,
        parent: None,
        request: RecordedRequest {
            content: Some(Content::Body(body)),
            ..request(0, output, Box::default())
        },
    })
}

/// An id, which may be a text or a number.
fn id_of(fields: &Fields, name: &str) -> Option<String> {
    match fields.get(name)? {
        Value::Null => None,
        Value::String(id) => Some(id.clone()),
        id => Some(id.to_string()),
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_f64(),
    }
}

/// A number of tokens.
fn tokens(fields: &Fields, name: &str) -> Result<u64, String> {
    let value = fields.get(name).filter(|value| !value.is_null());
    let value = value.ok_or_else(|| format!("it has no {name}"))?;
    let tokens = count(value).filter(|tokens| *tokens <= MAX_TOKENS);
    tokens.ok_or_else(|| format!("its {name} {value} is no number of tokens"))
}

/// The longest prompt that is believed.
const MAX_TOKENS: u64 = 16 << 20;

fn hash_ids(fields: &Fields) -> Result<Box<[u64]>, String> {
    match fields.get("hash_ids") {
        None | Some(Value::Null) => Ok(Box::default()),
        Some(Value::Array(ids)) => {
            let ids = ids.iter().map(|id| match id {
                // Any other name of a block will do, too.
                Value::String(text) => Some(hash(text)),
                id => id.as_u64().or_else(|| id.as_i64().map(|id| id as u64)),
            });
            let ids: Option<Vec<u64>> = ids.collect();
            Ok(ids.ok_or("its hash_ids are no whole numbers")?.into())
        }
        Some(_) => Err("its hash_ids are no list".to_owned()),
    }
}

fn hash(text: &str) -> u64 {
    use std::hash::{Hash, Hasher};

    let mut hasher = rustc_hash::FxHasher::default();
    text.hash(&mut hasher);
    hasher.finish()
}

/// Seconds of a date, with an offset or without.
fn date(text: &str) -> Option<f64> {
    let text = text.trim();
    let at = text.parse::<Timestamp>().ok().or_else(|| {
        let local: DateTime = text.parse().ok()?;
        Some(local.to_zoned(TimeZone::UTC).ok()?.timestamp())
    })?;
    Some(at.as_nanosecond() as f64 * 1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_offsets_or_none() {
        for text in [
            "2023-11-16 18:15:46.6805900",
            "2023-11-16 18:15:46.68059+00:00",
            "2023-11-16T19:15:46.68059+01:00",
        ] {
            let seconds = date(text).unwrap();
            assert!(
                (seconds - 1_700_158_546.680_59).abs() < 1e-6,
                "{text}: {seconds}"
            );
        }
        assert_eq!(date("yesterday"), None);
    }
}
