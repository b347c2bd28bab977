//! Where requests come from: data that is made or read, and what a run sends of it.
//!
//! Belongs here: [`DataSource`] and its implementations, the grammar of `--data`, the form in which an API
//! gets a prompt of the data. Does not belong here: payload values, tokenizers and exact texts (`payload`),
//! when something is sent (`load`), sending (`run`).
//!
//! Everything is pure: a source opens no socket and reads no clock.

mod beginnings;
mod describe;
mod file;
mod forced_output;
mod form;
mod lengths;
mod media;
mod prefixes;
mod source;
mod spec;
mod synthetic;
mod trace;

pub use describe::{
    ArrivalSummary, DataDescription, LengthSummary, TimeSummary, TurnSummary, describe,
};
pub use file::{Columns, FileData, FileOptions, Filter};
pub use forced_output::ForcedOutput;
pub use form::RequestForm;
pub use lengths::Lengths;
pub use prefixes::PrefixSkew;
pub use source::{DataRequest, DataSource, DataTurn, Outline};
pub use spec::SyntheticSpec;
pub use synthetic::Synthetic;
pub use trace::{ReplayOptions, ReplayParent, ReplaySession, Trace, Window};

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::payload::{Payload, Tokenizer};
use crate::storage::Location;

/// What begins a specification of synthetic data.
const SYNTHETIC: &str = "synthetic";

/// What a user says of data, and what it depends on.
#[derive(Clone)]
pub struct DataOptions {
    /// `synthetic:…`, or the path or URL of a file.
    pub source: String,
    /// `prompt=question,output_tokens=n`: which columns of a file are what.
    pub columns: Option<String>,
    /// `prompt_tokens < 2000`: which requests of a file are sent.
    pub filter: Option<Vec<String>>,
    /// How many rows of a file are sent.
    pub sample: Option<u64>,
    /// How requests are made of it.
    pub form: RequestForm,
    /// Counts the tokens.
    pub tokenizer: Arc<dyn Tokenizer>,
    /// Repeats it.
    pub seed: u64,
}

/// Opens the data that a specification names.
///
/// # Errors
/// If the specification is none, or the data cannot be used.
pub fn open(options: DataOptions) -> Result<Arc<dyn DataSource>> {
    options.form.check()?;
    let mut settings = options.form.settings();
    let mut note = |setting: Setting, value: Option<Value>| {
        if let Some(value) = value {
            settings.insert(setting.name().into(), value);
        }
    };
    note(Setting::Data, Some(options.source.as_str().into()));
    note(
        Setting::DataColumns,
        options.columns.as_deref().map(Value::from),
    );
    note(Setting::DataFilter, options.filter.clone().map(Value::from));
    note(Setting::DataSample, options.sample.map(Value::from));
    let DataOptions {
        source,
        columns,
        filter,
        sample,
        form,
        tokenizer,
        seed,
    } = options;
    let source: Arc<dyn DataSource> = match synthetic_keys(&source) {
        Some(keys) => {
            let of_files = [
                (Setting::DataColumns, columns.is_some()),
                (Setting::DataFilter, filter.is_some()),
                (Setting::DataSample, sample.is_some()),
            ];
            if let Some((setting, _)) = of_files.iter().find(|(_, is_given)| *is_given) {
                return Err(Error::unsupported(*setting, "synthetic data"));
            }
            let mut spec = SyntheticSpec::parse(keys)?;
            if let Some(tokens) = form.own_max_tokens() {
                if spec.has_output_tokens {
                    let expected = "none where the data has output_tokens, which is the limit";
                    return Err(Error::invalid(Setting::MaxTokens, tokens, expected));
                }
                spec.output_tokens = Lengths::fixed(tokens);
            }
            Arc::new(Synthetic::new(spec, form, tokenizer, seed)?)
        }
        None => {
            if sample == Some(0) {
                return Err(Error::invalid(Setting::DataSample, 0, "1 or more"));
            }
            let columns = columns.as_deref().map(Columns::parse).transpose()?;
            let filter = filter.as_deref().map(Filter::parse).transpose()?;
            let options = FileOptions {
                columns: columns.unwrap_or_default(),
                filter: filter.unwrap_or_default(),
                sample,
            };
            let location = Location::from(source.as_str());
            Arc::new(FileData::open(&location, &options, form, tokenizer, seed)?)
        }
    };
    Ok(Arc::new(Specified { source, settings }))
}

/// A trace with its settings.
///
/// # Errors
/// If the trace cannot be used.
pub(crate) fn replay(
    location: &Location,
    options: &ReplayOptions,
    mut settings: Payload,
    form: RequestForm,
    tokenizer: Arc<dyn Tokenizer>,
    seed: u64,
) -> Result<(Arc<dyn DataSource>, Vec<ReplaySession>)> {
    form.check()?;
    settings.extend(form.settings());
    let trace = Trace::open(location, options, form, tokenizer, seed)?;
    let sessions = trace.sessions().to_vec();
    let source: Arc<dyn DataSource> = Arc::new(trace);
    Ok((Arc::new(Specified { source, settings }), sessions))
}

/// Data with the settings that it was opened with.
#[derive(Debug)]
struct Specified {
    source: Arc<dyn DataSource>,
    settings: Payload,
}

impl DataSource for Specified {
    fn size(&self) -> Option<u64> {
        self.source.size()
    }

    fn request(&self, index: u64) -> Result<DataRequest> {
        self.source.request(index)
    }

    fn session(&self, number: u64) -> Option<Range<u64>> {
        self.source.session(number)
    }

    fn session_count(&self) -> Option<u64> {
        self.source.session_count()
    }

    fn continues(&self, index: u64) -> bool {
        self.source.continues(index)
    }

    fn turn(&self, index: u64) -> Result<DataRequest> {
        self.source.turn(index)
    }

    fn notes(&self) -> Vec<String> {
        self.source.notes()
    }

    fn outline(&self, index: u64) -> Option<Outline> {
        self.source.outline(index)
    }

    fn tokenizer(&self) -> Option<Arc<dyn Tokenizer>> {
        self.source.tokenizer()
    }

    fn arrivals(&self) -> Vec<Duration> {
        self.source.arrivals()
    }

    fn pauses(&self, number: u64) -> Vec<Duration> {
        self.source.pauses(number)
    }

    fn settings(&self) -> Option<Payload> {
        Some(self.settings.clone())
    }
}

/// Whether a specification names a file, and not data that is made.
pub fn is_file(source: &str) -> bool {
    synthetic_keys(source).is_none()
}

/// Whether a file or folder is a trace: its rows have times.
///
/// # Errors
/// If it cannot be read.
pub fn is_trace(location: &Location) -> Result<bool> {
    trace::is_trace(location)
}

/// What an object is called that is a row of data, and no payload of any API.
pub fn form_of_row(fields: &Payload) -> Option<&'static str> {
    let is_conversation = ["conversations", "conversation"].iter().any(|name| {
        let turns = fields.get(*name).and_then(Value::as_array);
        turns.is_some_and(|turns| turns.iter().any(|turn| turn.get("from").is_some()))
    });
    let has = |name: &str| fields.contains_key(name);
    if is_conversation {
        Some("ShareGPT")
    } else if has("custom_id") && has("body") && has("url") {
        Some("OpenAI batch")
    } else if has("hash_ids") && has("input_length") {
        Some("a trace")
    } else {
        None
    }
}

/// What follows `synthetic:`.
fn synthetic_keys(source: &str) -> Option<&str> {
    let rest = source.strip_prefix(SYNTHETIC)?;
    match rest.strip_prefix(':') {
        Some(keys) => Some(keys),
        None => rest.is_empty().then_some(""),
    }
}
