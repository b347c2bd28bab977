//! Weka's agentic sessions: conversations with blocks, think times and sub-agents.

use serde_json::{Map, Value};

use super::{Parent, Recorded, RecordedRequest, RecordedSession};
use crate::base::error::{Error, Result};
use crate::data::file::{Place, count, open, parse};
use crate::storage::Location;

type Fields = Map<String, Value>;

/// Sessions that are read.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    sessions: Vec<RecordedSession>,
    /// Conversations, without those of sub-agents.
    conversations: u64,
    block: Option<u64>,
    unusable: Vec<(u64, String)>,
}

/// Whether an object is such a session.
pub(super) fn is_session(fields: &Fields) -> bool {
    fields.get("requests").is_some_and(Value::is_array) && fields.contains_key("block_size")
}

/// The files of a folder, if they are such sessions.
pub(super) fn files(folder: &Location) -> Result<Option<Vec<Location>>> {
    let names = folder.list_blocking()?;
    let is_run = names
        .iter()
        .any(|name| name == "responses.jsonl" || name == "summary.json");
    let mut names: Vec<_> = names
        .into_iter()
        .filter(|name| name.ends_with(".json"))
        .collect();
    if is_run || names.is_empty() {
        return Ok(None);
    }
    names.sort();
    Ok(Some(names.iter().map(|name| folder.join(name)).collect()))
}

/// A session in each file.
pub(super) fn read_files(files: &[Location]) -> Result<Recorded> {
    let mut sessions = Sessions::default();
    for file in files {
        let mut opened = open(file)?;
        let mut bytes = Vec::new();
        opened
            .reader
            .read_to_end(&mut bytes)
            .map_err(Error::io("reading", &opened.path))?;
        let place = Place {
            path: opened.path,
            number: 1,
            is_line: false,
        };
        match parse(&bytes) {
            Ok(Value::Object(fields)) if is_session(&fields) => sessions.add(&fields, 1)?,
            Ok(_) => return Err(place.refuse("it is no agentic session")),
            Err(reason) => return Err(place.refuse(format!("not valid JSON: {reason}"))),
        }
    }
    Ok(sessions.recorded())
}

impl Sessions {
    pub(super) fn is_empty(&self) -> bool {
        self.conversations == 0
    }

    /// Takes a conversation and its sub-agents.
    pub(super) fn add(&mut self, fields: &Fields, line: u64) -> Result<()> {
        let block = fields
            .get("block_size")
            .and_then(count)
            .filter(|block| *block > 0);
        let block =
            block.ok_or_else(|| Error::refused("block_size", "it is no number of tokens"))?;
        if self.block.is_some_and(|known| known != block) {
            return Err(Error::refused(
                "block_size",
                "it differs from session to session",
            ));
        }
        self.block = Some(block);
        // Ids are the session's own unless it says otherwise; the same ids of two sessions are not the same
        // blocks.
        let scope = match fields.get("hash_id_scope").and_then(Value::as_str) {
            Some("global") => 0,
            _ => (self.conversations + 1) << 40,
        };
        self.conversations += 1;
        let Some(Value::Array(requests)) = fields.get("requests") else {
            return Ok(());
        };
        let place = self.sessions.len();
        let mut own = RecordedSession::default();
        // When requests begin and end by the trace's clock.
        let mut times: Vec<(f64, f64)> = Vec::new();
        let mut agents: Vec<(f64, f64, RecordedSession, usize)> = Vec::new();
        let mut end = 0.0;
        for row in requests {
            let Some(time) = row["t"].as_f64() else {
                self.unusable.push((line, "a request has no t".to_owned()));
                continue;
            };
            if row["type"] == "subagent" {
                let agent = self.agent(row, time, scope, line);
                let lasts = row["duration_ms"].as_f64().unwrap_or(0.0) * 1e-3;
                agents.push((time, time + lasts, agent, own.requests.len()));
                continue;
            }
            match request(row, scope) {
                Ok(mut request) => {
                    let gap = row["think_time"].as_f64().unwrap_or((time - end).max(0.0));
                    request.pause = if own.requests.is_empty() { 0.0 } else { gap };
                    if own.requests.is_empty() {
                        own.arrival = time;
                    }
                    end = time + row["api_time"].as_f64().unwrap_or(0.0);
                    times.push((time, end));
                    own.requests.push(request);
                }
                Err(reason) => self.unusable.push((line, reason)),
            }
        }
        let mut hanging = Vec::new();
        for (start, end, mut agent, after) in agents {
            let before = after.checked_sub(1).and_then(|last| times.get(last));
            let joined_by = times.iter().position(|(begin, _)| *begin >= end);
            let joined_by = joined_by.filter(|turn| *turn >= after);
            if let (Some(turn), Some(_)) = (joined_by, before) {
                // Its wait counts from the end of the last that it waits for.
                let request = &mut own.requests[turn];
                request.pause = request.pause.min(times[turn].0 - end);
            }
            agent.arrival = start;
            agent.parent = Some(Parent {
                session: place,
                after,
                pause: before.map_or(0.0, |(_, end)| (start - end).max(0.0)),
                joined_by,
            });
            hanging.push(agent);
        }
        self.sessions.push(own);
        self.sessions.append(&mut hanging);
        Ok(())
    }

    fn agent(&mut self, row: &Value, start: f64, scope: u64, line: u64) -> RecordedSession {
        let mut agent = RecordedSession {
            arrival: start,
            ..RecordedSession::default()
        };
        for row in row["requests"].as_array().into_iter().flatten() {
            match request(row, scope) {
                Ok(mut request) => {
                    let is_first = agent.requests.is_empty();
                    let think = row["think_time"].as_f64().unwrap_or(0.0);
                    request.pause = if is_first { 0.0 } else { think };
                    agent.requests.push(request);
                }
                Err(reason) => self
                    .unusable
                    .push((line, format!("a sub-agent's: {reason}"))),
            }
        }
        agent
    }

    pub(super) fn recorded(self) -> Recorded {
        let mut notes = Vec::new();
        if self.conversations > 1 {
            notes.push(format!(
                "the {} sessions of the trace have no common clock: each begins at its own time from 0",
                self.conversations
            ));
        }
        Recorded {
            kind: "Weka's agentic sessions",
            sessions: self.sessions,
            unusable: self.unusable,
            block: self.block.unwrap_or(64),
            notes,
        }
    }
}

fn request(row: &Value, scope: u64) -> std::result::Result<RecordedRequest, String> {
    let tokens = |name: &str| {
        let tokens = row.get(name).and_then(count);
        tokens.ok_or_else(|| format!("a request has no number of tokens in {name:?}"))
    };
    let ids = row["hash_ids"].as_array().map(Vec::as_slice);
    let ids: Option<Vec<u64>> = ids
        .unwrap_or_default()
        .iter()
        .map(|id| Some(scope.wrapping_add(id.as_u64()?)))
        .collect();
    Ok(RecordedRequest {
        pause: 0.0,
        input_tokens: tokens("in")?.max(1),
        output_tokens: Some(tokens("out")?.max(1)),
        hash_ids: ids
            .ok_or("a request has hash_ids that are no numbers")?
            .into(),
        content: None,
    })
}
