//! Rows that are kept outside memory.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::row::{Content, Place, Row};
use crate::base::error::{Error, Result};
use crate::payload::{Message, Role, plain_numbers, read_json};

/// Bytes that are kept in memory.
const MAX_MEMORY: usize = 32 << 20;

/// Where a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::data) struct Spot {
    at: u64,
    length: u32,
}

/// Rows, in memory as long as there are few and in a file without a name beyond that.
#[derive(Default)]
pub(in crate::data) struct Spool {
    memory: Vec<u8>,
    file: Option<Mutex<File>>,
    end: u64,
    path: PathBuf,
}

impl Spool {
    pub(in crate::data) fn write(&mut self, row: &Row) -> Result<Spot> {
        if self.path.as_os_str().is_empty() {
            self.path.clone_from(&row.place.path);
        }
        let text = written(row);
        let length =
            u32::try_from(text.len()).map_err(|_| row.place.refuse("it has more than 4 GiB"))?;
        let spot = Spot {
            at: self.end,
            length,
        };
        self.end += u64::from(length);
        self.memory.extend_from_slice(text.as_bytes());
        if self.memory.len() > MAX_MEMORY {
            self.move_out()
                .map_err(Error::system("keep data in a temporary file"))?;
        }
        Ok(spot)
    }

    /// Moves what is in memory to the file.
    fn move_out(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            None => self.file.insert(Mutex::new(tempfile::tempfile()?)),
        };
        let file = file.get_mut().unwrap_or_else(PoisonError::into_inner);
        file.write_all(&self.memory)?;
        self.memory.clear();
        Ok(())
    }

    pub(in crate::data) fn read(&self, spot: Spot) -> Result<Row> {
        let in_file = self.end - self.memory.len() as u64;
        let bytes = match spot.at.checked_sub(in_file) {
            Some(at) => self.memory[at as usize..][..spot.length as usize].to_vec(),
            None => {
                let read = || -> io::Result<Vec<u8>> {
                    let Some(file) = &self.file else {
                        return Err(io::ErrorKind::NotFound.into());
                    };
                    let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
                    file.seek(SeekFrom::Start(spot.at))?;
                    let mut bytes = vec![0; spot.length as usize];
                    file.read_exact(&mut bytes)?;
                    Ok(bytes)
                };
                read().map_err(Error::system("read data from a temporary file"))?
            }
        };
        let broken = || Error::Internal("a row of the data cannot be read again");
        let text = String::from_utf8(bytes).map_err(|_| broken())?;
        let value = read_json(&text).map_err(|_| broken())?;
        self.row(value).ok_or_else(broken)
    }

    fn row(&self, value: Value) -> Option<Row> {
        let Value::Object(mut fields) = value else {
            return None;
        };
        let content = match (fields.remove("t"), fields.remove("c"), fields.remove("b")) {
            (Some(Value::String(text)), ..) => Content::Text(text),
            (_, Some(Value::Array(messages)), _) => {
                Content::Conversation(messages.into_iter().map(message).collect::<Option<_>>()?)
            }
            (.., Some(Value::Object(body))) => Content::Body(body),
            _ => return None,
        };
        let text = |value: Value| value.as_str().map(str::to_owned);
        Some(Row {
            content,
            system: fields.remove("s").and_then(text),
            output_tokens: fields.get("o").and_then(Value::as_u64),
            place: Place {
                path: self.path.clone(),
                number: fields.get("n").and_then(Value::as_u64)?,
                is_line: fields.contains_key("l"),
            },
        })
    }
}

fn message(value: Value) -> Option<Message> {
    let [is_user, text] = <[Value; 2]>::try_from(match value {
        Value::Array(pair) => pair,
        _ => return None,
    })
    .ok()?;
    let role = match is_user.as_bool()? {
        true => Role::User,
        false => Role::Assistant,
    };
    match text {
        Value::String(text) => Some(Message { role, text }),
        _ => None,
    }
}

fn written(row: &Row) -> String {
    let mut fields = Map::new();
    match &row.content {
        Content::Text(text) => fields.insert("t".into(), text.as_str().into()),
        Content::Conversation(messages) => {
            let messages = messages.iter();
            let pairs = messages.map(|one| json!([one.role == Role::User, one.text]));
            fields.insert("c".into(), pairs.collect())
        }
        Content::Body(body) => fields.insert("b".into(), body.clone().into()),
    };
    if let Some(system) = &row.system {
        fields.insert("s".into(), system.as_str().into());
    }
    if let Some(tokens) = row.output_tokens {
        fields.insert("o".into(), tokens.into());
    }
    fields.insert("n".into(), row.place.number.into());
    if row.place.is_line {
        fields.insert("l".into(), true.into());
    }
    plain_numbers(Value::Object(fields).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_from_memory_and_from_the_file() {
        let place = |number| Place {
            path: "f.jsonl".into(),
            number,
            is_line: number % 2 == 0,
        };
        let rows: Vec<Row> = (0..6)
            .map(|number| Row {
                content: match number % 3 {
                    0 => Content::Text("x".repeat(12 << 20)),
                    1 => Content::Conversation(vec![
                        Message::new(Role::User, "é\n"),
                        Message::new(Role::Assistant, ""),
                    ]),
                    _ => {
                        let body = read_json(r#"{"a": 1e400, "b": 12345678901234567890123}"#);
                        Content::Body(body.unwrap().as_object().cloned().unwrap())
                    }
                },
                system: (number == 1).then(|| "s".to_owned()),
                output_tokens: Some(number),
                place: place(number),
            })
            .chain([Row {
                content: Content::Text("y".repeat(12 << 20)),
                system: None,
                output_tokens: None,
                place: place(7),
            }])
            .collect();
        let mut spool = Spool::default();
        let spots: Vec<_> = rows.iter().map(|row| spool.write(row).unwrap()).collect();
        assert!(spool.file.is_some() && spool.memory.len() < MAX_MEMORY);
        for (row, spot) in rows.iter().zip(spots).rev() {
            assert!(
                spool.read(spot).unwrap() == *row,
                "row {}",
                row.place.number
            );
        }
    }
}
