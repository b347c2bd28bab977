//! Data of files: what a file is by its content, its rows, and the requests that they are.
//!
//! A file is read once, row by row. What is kept of each row is written to a file without a name, so that a
//! million prompts need little memory, and any of them is found at once.

mod columns;
mod content;
mod filter;
mod row;
mod spool;
mod table;

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

pub use columns::Columns;
pub(super) use content::{Opened, count, open, parse};
pub use filter::Filter;
pub(super) use row::Place;
pub(super) use table::csv;

use self::row::{Content, Row};
use self::spool::{Spool, Spot};
use super::form::note_model;
use super::{DataRequest, DataSource, DataTurn, RequestForm};
use crate::api::output_limit;
use crate::base::error::{Error, Result};
use crate::base::setting::{Setting, SettingProblem};
use crate::payload::{Tokenizer, counted};
use crate::storage::Location;

/// How a file's rows become requests.
#[derive(Debug, Clone, Default)]
pub struct FileOptions {
    /// Which of its columns are what.
    pub columns: Columns,
    /// What requests are sent; all without a filter.
    pub filter: Filter,
    /// How many of its rows are sent; all if `None`.
    pub sample: Option<u64>,
}

/// The requests of a file, in an order that the seed decides. The turns of a conversation stay together, each
/// with what was said before it.
pub struct FileData {
    form: RequestForm,
    tokenizer: Arc<dyn Tokenizer>,
    spool: Spool,
    /// Where each request's row is, and which turn of it the request is.
    requests: Vec<(Spot, u32)>,
    /// Where the requests of each conversation begin, if there are conversations of several turns.
    sessions: Vec<u32>,
    kind: &'static str,
    /// Models that its bodies name.
    models: BTreeSet<String>,
}

impl FileData {
    /// Reads a file.
    ///
    /// # Errors
    /// If it cannot be read, is none of the forms that are known, has a row that cannot be used, or if nothing
    /// is left by the filter.
    pub fn open(
        location: &Location,
        options: &FileOptions,
        form: RequestForm,
        tokenizer: Arc<dyn Tokenizer>,
        seed: u64,
    ) -> Result<Self> {
        location.check(Setting::Data)?;
        let mut spool = Spool::default();
        let mut rows: Vec<(Spot, Vec<u32>)> = Vec::new();
        let mut all = 0_u64;
        let mut models = BTreeSet::new();
        let kind = content::read(location, &options.columns, &mut |row: Row| {
            let turns = row.turns();
            if let Content::Body(body) = &row.content {
                note_model(body, &mut models);
            }
            let mut kept = Vec::new();
            for turn in 0..turns {
                all += 1;
                if options.filter.is_empty() || options.filter.takes(&row, turn, &*tokenizer)? {
                    kept.push(turn);
                }
            }
            if !kept.is_empty() {
                rows.push((spool.write(&row)?, kept));
            }
            Ok(())
        })?;
        if rows.is_empty() {
            let reason = match all {
                0 => format!("{location} has no request"),
                all => format!("`data_filter` leaves none of the {all} requests of {location}"),
            };
            return Err(Error::Invalid {
                setting: Setting::Data,
                problem: SettingProblem::Refused { reason },
                hint: None,
            });
        }
        rows.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        if let Some(sample) = options.sample {
            rows.truncate(usize::try_from(sample).unwrap_or(usize::MAX));
        }
        let mut requests = Vec::with_capacity(rows.len());
        let mut sessions = Vec::new();
        let has_sessions = rows.iter().any(|(_, turns)| turns.len() > 1);
        for (spot, turns) in rows {
            if has_sessions {
                sessions.push(requests.len() as u32);
            }
            requests.extend(turns.into_iter().map(|turn| (spot, turn)));
        }
        if u32::try_from(requests.len()).is_err() {
            let reason = format!("{location} has more than {} requests", u32::MAX);
            return Err(Error::refused("data", reason));
        }
        let data = Self {
            form,
            tokenizer,
            spool,
            requests,
            sessions,
            kind,
            models,
        };
        // What no request can be made of is known before the run.
        data.request(0)?;
        Ok(data)
    }

    /// What the file is, for people: "ShareGPT".
    pub fn kind(&self) -> &'static str {
        self.kind
    }

    /// The request of a turn, with what was said before it or without.
    fn made(&self, row: &Row, turn: u32, has_history: bool) -> Result<DataRequest> {
        let output_tokens = row.output_tokens(turn, &*self.tokenizer);
        let payload = match &row.content {
            Content::Text(text) => {
                let system = row.system.as_deref();
                let messages = [crate::payload::Message::new(
                    crate::payload::Role::User,
                    text.as_str(),
                )];
                self.form.conversation(system, &messages, output_tokens)?
            }
            Content::Conversation(_) => {
                let mut messages = row.messages(turn);
                if !has_history {
                    messages = &messages[messages.len().saturating_sub(1)..];
                }
                self.form
                    .conversation(row.system.as_deref(), messages, output_tokens)?
            }
            Content::Body(body) => {
                let mut payload = body.clone();
                self.form.complete_body(&mut payload)?;
                payload
            }
        };
        let is_exact = self.tokenizer.name().is_some();
        let prompt = self.form.api().api.prompt_text(&payload);
        let prompt_tokens = prompt
            .filter(|_| is_exact)
            .and_then(|text| counted(&*self.tokenizer, &text));
        // Of a body the limit that it sets is what it asks for.
        let output_tokens = output_tokens.or_else(|| match &row.content {
            Content::Body(_) => output_limit(&payload),
            _ => None,
        });
        Ok(DataRequest {
            payload,
            prompt_tokens: prompt_tokens.map(|tokens| tokens as u64),
            output_tokens,
            turn: None,
        })
    }
}

impl FileData {
    /// The session and turn of an index, if there are conversations.
    fn place(&self, index: u64) -> Option<DataTurn> {
        let after = self
            .sessions
            .partition_point(|first| u64::from(*first) <= index);
        let session = after.checked_sub(1)?;
        let first = u64::from(self.sessions[session]);
        Some(DataTurn {
            session: session as u64,
            turn: (index - first) as u32,
        })
    }

    fn at(&self, index: u64, has_history: bool) -> Result<DataRequest> {
        let index = index % self.requests.len() as u64;
        let (spot, turn) = self.requests[index as usize];
        let row = self.spool.read(spot)?;
        let request = self.made(&row, turn, has_history);
        Ok(DataRequest {
            turn: self.place(index),
            ..request.map_err(|reason| row.of(reason))?
        })
    }
}

impl DataSource for FileData {
    fn size(&self) -> Option<u64> {
        Some(self.requests.len() as u64)
    }

    fn request(&self, index: u64) -> Result<DataRequest> {
        self.at(index, true)
    }

    fn turn(&self, index: u64) -> Result<DataRequest> {
        self.at(index, false)
    }

    fn session_count(&self) -> Option<u64> {
        match self.sessions.len() {
            0 => self.size(),
            sessions => Some(sessions as u64),
        }
    }

    fn continues(&self, index: u64) -> bool {
        let index = index % self.requests.len() as u64;
        self.place(index).is_some_and(|place| place.turn > 0)
    }

    fn tokenizer(&self) -> Option<Arc<dyn Tokenizer>> {
        Some(self.tokenizer.clone())
    }

    fn notes(&self) -> Vec<String> {
        self.form.note_of_models(&self.models).into_iter().collect()
    }

    fn session(&self, number: u64) -> Option<Range<u64>> {
        let sessions = self.sessions.len();
        if sessions == 0 {
            return None;
        }
        let place = (number % sessions as u64) as usize;
        let end = self.sessions.get(place + 1).copied();
        let end = end.map_or(self.requests.len() as u64, u64::from);
        Some(u64::from(self.sessions[place])..end)
    }
}

impl fmt::Debug for FileData {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FileData")
            .field("kind", &self.kind)
            .field("requests", &self.requests.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
