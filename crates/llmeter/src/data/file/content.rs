//! What a file is, by its content.

use std::io::{BufRead, BufReader, Cursor, Read};
use std::path::PathBuf;

use flate2::bufread::MultiGzDecoder;
use serde_json::{Map, Value};

use super::columns::Columns;
use super::row::{Content, Place, Row};
use super::table;
use crate::base::error::{Error, Result};
use crate::base::file::{self, MAX_LINE};
use crate::base::setting::{Setting, SettingProblem};
use crate::payload::{Message, Role, kind, read_json};
use crate::storage::Location;

/// What a row becomes.
pub(super) type Take<'t> = &'t mut dyn FnMut(Row) -> Result<()>;

/// The forms of rows that are known without being told, for messages.
const KNOWN: &str =
    "ShareGPT, OpenAI batch, chat messages, {\"prompt\": …}, recorded bodies, lists of turns";

/// Fields that are a prompt without being named, in this order.
const PROMPTS: [&str; 6] = [
    "prompt",
    "text_input",
    "text",
    "question",
    "instruction",
    "query",
];
/// Fields that are an answer to it.
const ANSWERS: [&str; 4] = ["completion", "answer", "response", "output"];
/// Fields that are the number of output tokens.
const LENGTHS: [&str; 8] = [
    "output_tokens",
    "output_length",
    "output_len",
    "max_completion_tokens",
    "max_tokens",
    "max_output_tokens",
    "max_new_tokens",
    "osl",
];

/// A file that is open: its path for messages, its content unpacked, and how that begins.
pub(in crate::data) struct Opened {
    pub(in crate::data) path: PathBuf,
    pub(in crate::data) reader: Box<dyn BufRead>,
    pub(in crate::data) beginning: Vec<u8>,
}

/// Opens a file, here or in the cloud, packed or not, without a byte order mark.
pub(in crate::data) fn open(location: &Location) -> Result<Opened> {
    let path: PathBuf = match location.local_path() {
        Some(path) => path.to_path_buf(),
        None => location.to_string().into(),
    };
    let raw: Box<dyn Read> = match location.local_path() {
        Some(path) => Box::new(file::open(path).map_err(Error::io("reading", path))?),
        None => Box::new(Cursor::new(location.read_blocking()?)),
    };
    let failed = Error::io("reading", &path);
    let mut reader: Box<dyn BufRead> = Box::new(BufReader::with_capacity(1 << 20, raw));
    let mut beginning = reader.fill_buf().map_err(failed)?.to_vec();
    if beginning.starts_with(b"\x1f\x8b") {
        reader = Box::new(BufReader::new(MultiGzDecoder::new(reader)));
        beginning = reader
            .fill_buf()
            .map_err(Error::io("reading", &path))?
            .to_vec();
    }
    if beginning.starts_with(b"\xEF\xBB\xBF") {
        reader.consume(3);
        beginning.drain(..3);
    }
    Ok(Opened {
        path,
        reader,
        beginning,
    })
}

/// Reads every row of a file. Returns what the file is.
pub(super) fn read(location: &Location, columns: &Columns, take: Take<'_>) -> Result<&'static str> {
    let Opened {
        path,
        mut reader,
        beginning,
    } = open(location)?;
    let file = FileRows {
        path,
        columns,
        kind: "",
    };
    if beginning.starts_with(b"PAR1") {
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(Error::io("reading", &file.path))?;
        return file.parquet(bytes, take);
    }
    match beginning.trim_ascii_start().first() {
        None => Err(file.whole("the file is empty")),
        Some(b'[') => file.list(reader, take),
        Some(b'{') => file.lines(reader, take),
        Some(byte) if byte.is_ascii_graphic() || *byte >= 0x80 => file.csv(reader, take),
        Some(_) => Err(file.whole(
            "it is neither JSON, JSONL, CSV nor Parquet, which are the files that data is read from",
        )),
    }
}

/// A file that is read.
struct FileRows<'c> {
    path: PathBuf,
    columns: &'c Columns,
    kind: &'static str,
}

impl FileRows<'_> {
    fn place(&self, number: u64, is_line: bool) -> Place {
        Place {
            path: self.path.clone(),
            number,
            is_line,
        }
    }

    /// An error about the file.
    fn whole(&self, reason: impl Into<String>) -> Error {
        Error::Content {
            path: self.path.clone(),
            line: None,
            column: None,
            reason: reason.into(),
            source: None,
        }
    }

    /// One JSON object a line, or one in the whole file.
    fn lines(mut self, mut reader: Box<dyn BufRead>, take: Take<'_>) -> Result<&'static str> {
        let mut line = Vec::new();
        let mut number = 0;
        loop {
            line.clear();
            let read = (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line);
            if read.map_err(Error::io("reading", &self.path))? == 0 {
                break;
            }
            number += 1;
            if line.trim_ascii().is_empty() {
                continue;
            }
            let place = self.place(number, true);
            match parse(&line) {
                Ok(Value::Object(fields)) => self.object(fields, place, take)?,
                Ok(other) => {
                    let reason = format!("{} is no row: a row is a JSON object", kind(&other));
                    return Err(place.refuse(reason));
                }
                // Perhaps the file is one object over many lines.
                Err(_) if number == 1 => {
                    reader
                        .read_to_end(&mut line)
                        .map_err(Error::io("reading", &self.path))?;
                    return match parse(&line) {
                        Ok(Value::Object(fields)) => self.document(fields, take),
                        _ => {
                            Err(place.refuse("not valid JSON; each line must hold one JSON object"))
                        }
                    };
                }
                Err(reason) => return Err(place.refuse(format!("not valid JSON: {reason}"))),
            }
        }
        Ok(self.kind)
    }

    /// A document that has a list of rows in one of its fields, or is itself a row.
    fn document(mut self, mut fields: Map<String, Value>, take: Take<'_>) -> Result<&'static str> {
        for name in ["data", "rows", "conversations_list", "requests"] {
            if let Some(Value::Array(items)) = fields.get_mut(name)
                && items.iter().all(Value::is_object)
            {
                let items = std::mem::take(items);
                return self.items(items, take);
            }
        }
        let place = self.place(1, false);
        self.object(fields, place, take)?;
        Ok(self.kind)
    }

    /// A JSON list. It is read as a whole.
    fn list(self, mut reader: Box<dyn BufRead>, take: Take<'_>) -> Result<&'static str> {
        let mut bytes = Vec::new();
        reader
            .read_to_end(&mut bytes)
            .map_err(Error::io("reading", &self.path))?;
        match parse(&bytes) {
            Ok(Value::Array(items)) => self.items(items, take),
            Ok(_) => Err(self.whole("it is no list of rows")),
            Err(reason) => Err(self.whole(format!("not valid JSON: {reason}"))),
        }
    }

    fn items(mut self, items: Vec<Value>, take: Take<'_>) -> Result<&'static str> {
        for (index, item) in items.into_iter().enumerate() {
            let place = self.place(index as u64 + 1, false);
            let fields = match item {
                Value::Object(fields) => fields,
                // A list of conversations.
                Value::Array(messages) => {
                    Map::from_iter([("messages".to_owned(), Value::Array(messages))])
                }
                Value::String(text) => Map::from_iter([("prompt".to_owned(), text.into())]),
                other => {
                    let reason = format!("{} is no row: a row is a JSON object", kind(&other));
                    return Err(place.refuse(reason));
                }
            };
            self.object(fields, place, take)?;
        }
        Ok(self.kind)
    }

    fn csv(mut self, reader: Box<dyn BufRead>, take: Take<'_>) -> Result<&'static str> {
        let path = self.path.clone();
        table::csv(&path, reader, &mut |fields, number, is_line| {
            let place = self.place(number, is_line);
            self.object(fields, place, take)
        })?;
        Ok("CSV")
    }

    fn parquet(mut self, bytes: Vec<u8>, take: Take<'_>) -> Result<&'static str> {
        let path = self.path.clone();
        table::parquet(&path, bytes, &mut |fields, number, is_line| {
            let place = self.place(number, is_line);
            self.object(fields, place, take)
        })?;
        Ok("Parquet")
    }

    /// One row.
    fn object(&mut self, fields: Map<String, Value>, place: Place, take: Take<'_>) -> Result<()> {
        let known = match self.columns.is_empty() {
            true => known(&fields),
            false => named(&fields, self.columns).map(|row| row.map(|row| ("named columns", row))),
        };
        let (form, row) = match known {
            Ok(Some(known)) => known,
            Ok(None) if !self.kind.is_empty() => {
                let reason = format!("it is no row of {} like those before", self.kind);
                return Err(place.refuse(reason));
            }
            Ok(None) => return Err(self.unknown(&fields)),
            Err(reason) => return Err(place.refuse(reason)),
        };
        if self.kind.is_empty() {
            self.kind = form;
        }
        let Parts {
            content,
            system,
            output_tokens,
        } = row;
        let row = Row {
            content,
            system,
            output_tokens,
            place,
        };
        match row.turns() {
            // A conversation that has nothing of the user's: there are such in ShareGPT.
            0 => Ok(()),
            _ => take(row),
        }
    }

    /// What a file looks like that is none of the known forms.
    fn unknown(&self, fields: &Map<String, Value>) -> Error {
        let keys: Vec<_> = fields.keys().take(12).map(String::as_str).collect();
        let looks = match fields.contains_key("hash_ids") || fields.contains_key("input_length") {
            true => "; it looks like a trace",
            false => "",
        };
        let mut texts = fields.iter().filter(|(_, value)| value.is_string());
        let first = texts.next().map_or("COLUMN", |(key, _)| key.as_str());
        let reason = format!(
            "{} is in no form that is known ({KNOWN}): its first row has the fields {}{looks}",
            self.path.display(),
            keys.join(", ")
        );
        Error::Invalid {
            setting: Setting::Data,
            problem: SettingProblem::Refused { reason },
            hint: Some(format!("name its columns: `data_columns` prompt={first}")),
        }
    }
}

/// What a row has.
struct Parts {
    content: Content,
    system: Option<String>,
    output_tokens: Option<u64>,
}

type Known = Result<Option<(&'static str, Parts)>, String>;

/// A row in one of the known forms.
fn known(fields: &Map<String, Value>) -> Known {
    for name in ["conversations", "conversation"] {
        if let Some(Value::Array(turns)) = fields.get(name)
            && turns.iter().all(|turn| turn.get("from").is_some())
        {
            return conversation(turns, "from", "value", fields)
                .map(|parts| Some(("ShareGPT", parts)));
        }
    }
    if let Some(Value::Object(body)) = fields.get("body") {
        let form = match fields.contains_key("custom_id") {
            true => "OpenAI batch",
            false => "recorded bodies",
        };
        let parts = Parts {
            content: Content::Body(body.clone()),
            system: None,
            output_tokens: None,
        };
        return Ok(Some((form, parts)));
    }
    for name in ["messages", "prompt", "conversations", "conversation"] {
        if let Some(Value::Array(turns)) = fields.get(name)
            && turns.iter().all(|turn| turn.get("role").is_some())
        {
            return match is_text(turns) {
                true => conversation(turns, "role", "content", fields),
                // Images and the like are sent as they stand.
                false => Ok(Parts {
                    content: Content::Body(body_of(fields, name)),
                    system: None,
                    output_tokens: None,
                }),
            }
            .map(|parts| Some(("chat messages", parts)));
        }
    }
    if let Some(Value::Array(turns)) = fields.get("turns") {
        let form = "lists of turns";
        let texts: Option<Vec<&str>> = turns.iter().map(Value::as_str).collect();
        if let Some(texts) = texts {
            let messages = texts.iter().map(|text| Message::new(Role::User, *text));
            let content = Content::Conversation(messages.collect());
            return Ok(Some((form, parts(content, fields))));
        }
        for (role, text) in [("role", "content"), ("role", "text"), ("from", "value")] {
            if turns
                .iter()
                .all(|turn| turn.get(role).is_some() && turn.get(text).is_some())
            {
                return conversation(turns, role, text, fields).map(|parts| Some((form, parts)));
            }
        }
    }
    // A row of a trace has no text.
    let prompt = PROMPTS.iter().find_map(|name| fields.get(*name)?.as_str());
    let Some(prompt) = prompt else {
        return Ok(None);
    };
    let answer = ANSWERS.iter().find_map(|name| fields.get(*name)?.as_str());
    let content = with_answer(prompt, answer);
    Ok(Some(("prompts", parts(content, fields))))
}

/// A row whose columns the user names.
fn named(fields: &Map<String, Value>, columns: &Columns) -> Result<Option<Parts>, String> {
    let column = |part: &str| {
        let Some(name) = columns.of(part) else {
            return Ok(None);
        };
        match fields.get(name) {
            Some(Value::Null) => Ok(None),
            Some(value) => Ok(Some(value)),
            None => {
                let known: Vec<_> = fields.keys().take(12).map(String::as_str).collect();
                Err(format!("it has no column {name}, but {}", known.join(", ")))
            }
        }
    };
    let text = |part: &str| {
        column(part).map(|value| {
            value.map(|value| match value {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            })
        })
    };
    let mut row = match column("messages")? {
        Some(value) => {
            let read;
            let turns = match value {
                Value::Array(turns) => turns,
                Value::String(text) => match read_json(text) {
                    Ok(Value::Array(turns)) => {
                        read = turns;
                        &read
                    }
                    _ => return Err("its messages are no list".to_owned()),
                },
                _ => return Err("its messages are no list".to_owned()),
            };
            let by = |key: &str| turns.iter().all(|turn| turn.get(key).is_some());
            match by("from") {
                true => conversation(turns, "from", "value", fields)?,
                false => conversation(turns, "role", "content", fields)?,
            }
        }
        None => {
            let name = columns.of("prompt").unwrap_or_default();
            let prompt = text("prompt")?.ok_or_else(|| format!("it has no text in {name}"))?;
            Parts {
                content: Content::Text(prompt),
                system: None,
                output_tokens: None,
            }
        }
    };
    if let Some(system) = text("system")? {
        row.system = Some(system);
    }
    if let Some(value) = column("output_tokens")? {
        let tokens = count(value).filter(|tokens| *tokens > 0);
        let tokens = tokens.ok_or_else(|| format!("{value} is no number of output tokens"))?;
        row.output_tokens = Some(tokens);
    }
    Ok(Some(row))
}

/// A row with what it says beside its content.
fn parts(content: Content, fields: &Map<String, Value>) -> Parts {
    let system = ["system", "system_prompt"].iter().find_map(|name| {
        let text = fields.get(*name)?.as_str()?;
        (!text.is_empty()).then(|| text.to_owned())
    });
    let tokens = LENGTHS.iter().find_map(|name| count(fields.get(*name)?));
    Parts {
        content,
        system,
        output_tokens: tokens.filter(|tokens| *tokens > 0),
    }
}

fn with_answer(prompt: &str, answer: Option<&str>) -> Content {
    match answer.filter(|answer| !answer.is_empty()) {
        None => Content::Text(prompt.to_owned()),
        Some(answer) => Content::Conversation(vec![
            Message::new(Role::User, prompt),
            Message::new(Role::Assistant, answer),
        ]),
    }
}

/// Messages by who said what.
fn conversation(
    turns: &[Value],
    role: &str,
    text: &str,
    fields: &Map<String, Value>,
) -> Result<Parts, String> {
    let mut system = None;
    let mut messages: Vec<Message> = Vec::new();
    for (index, turn) in turns.iter().enumerate() {
        let said = turn.get(text).and_then(text_of);
        let Some(said) = said else {
            return Err(format!("message {} has no text in {text}", index + 1));
        };
        let role = match turn[role].as_str().unwrap_or_default() {
            "human" | "user" => Role::User,
            "gpt" | "assistant" | "chatgpt" | "bing" | "bard" | "model" => Role::Assistant,
            "system" | "developer" if messages.is_empty() => {
                system = Some(said);
                continue;
            }
            // What tools and later instructions say, the model reads as well.
            "system" | "developer" | "tool" | "function" | "observation" => Role::User,
            other => {
                return Err(format!(
                    "message {} is from {other:?}, who is not known",
                    index + 1
                ));
            }
        };
        match messages.last_mut() {
            // Two of one speaker are one message: models take turns.
            Some(last) if last.role == role => {
                last.text.push_str("\n\n");
                last.text.push_str(&said);
            }
            // What an assistant says before anybody asked is no part of the conversation.
            None if role == Role::Assistant => {}
            _ => messages.push(Message { role, text: said }),
        }
    }
    let mut row = parts(Content::Conversation(messages), fields);
    row.system = system.or(row.system);
    Ok(row)
}

/// Whether every message is a text.
fn is_text(turns: &[Value]) -> bool {
    turns.iter().all(|turn| match turn.get("content") {
        None | Some(Value::Null | Value::String(_)) => true,
        Some(content) => text_of(content).is_some(),
    })
}

/// A text, or the texts of a list of blocks that are nothing else.
fn text_of(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Null => Some(String::new()),
        Value::Array(blocks) => {
            let texts = blocks.iter().map(|block| match block {
                Value::String(text) => Some(text.as_str()),
                block => block["text"].as_str(),
            });
            let texts: Option<Vec<&str>> = texts.collect();
            Some(texts?.join("\n"))
        }
        _ => None,
    }
}

/// A row that is a payload, without what only the file knows.
fn body_of(fields: &Map<String, Value>, name: &str) -> Map<String, Value> {
    let known = ["id", "custom_id", "timestamp", "source", "metadata"];
    let body = fields
        .iter()
        .filter(|(key, _)| !known.contains(&key.as_str()));
    let body = body.map(|(key, value)| match key == name {
        true => ("messages".to_owned(), value.clone()),
        false => (key.clone(), value.clone()),
    });
    body.collect()
}

/// A count, also one that is written as a text or with a fraction of 0.
pub(in crate::data) fn count(value: &Value) -> Option<u64> {
    match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_u64().or_else(|| {
            let number = value.as_f64()?;
            (number >= 0.0 && number.fract() == 0.0).then_some(number as u64)
        }),
    }
}

/// JSON in UTF-8.
pub(in crate::data) fn parse(bytes: &[u8]) -> std::result::Result<Value, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    read_json(text.trim_end_matches(['\r', '\n'])).map_err(|reason| reason.to_string())
}
