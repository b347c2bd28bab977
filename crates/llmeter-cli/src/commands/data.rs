//! `llmeter data`.

use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use llmeter::api::ApiMode;
use llmeter::data::{self, DataSource};
use llmeter::payload::plain_numbers;
use llmeter::storage::files::{self, Access};
use llmeter::{Error, Interrupt, RunSettings, Setting};

use crate::args::{DataArguments, DataCommand, DataSourceArguments};
use crate::exit::{Exit, UsageError, flag};
use crate::{output, settings, signals};

/// Payloads between two looks at whether the user wants to stop.
const STEP: u64 = 64;

pub(crate) fn data(arguments: &DataArguments) -> Result<Exit> {
    let interrupt = Interrupt::new();
    match &arguments.command {
        DataCommand::Describe {
            given,
            requests,
            json,
        } => {
            let (source, api) = open(given)?;
            signals::stop_on_signals(interrupt.clone(), true)?;
            describe(&*source, api, *requests, *json, &interrupt)
        }
        DataCommand::Make {
            given,
            requests,
            output,
            overwrite,
        } => {
            let (source, _) = open(given)?;
            let requests = requests.or(source.size()).ok_or_else(|| {
                UsageError("--requests is required: the data has no end".to_owned())
            })?;
            signals::stop_on_signals(interrupt.clone(), true)?;
            make(&*source, requests, output, *overwrite, &interrupt)
        }
    }
}

/// The data, and the API in whose form it is.
fn open(given: &DataSourceArguments) -> Result<(Arc<dyn DataSource>, ApiMode)> {
    let mut settings: RunSettings = given.flags.settings.clone();
    settings::read_system(&mut settings)?;
    let api = settings::api(&settings)?;
    let source = given.source.clone();
    let is_trace = data::is_file(&source) && data::is_trace(&source.as_str().into())?;
    match is_trace {
        true => settings.replay = Some(source),
        false => settings.data = Some(source),
    }
    let opened = settings.open_data(api)?;
    let opened = opened.ok_or_else(|| Error::missing(Setting::Data))?;
    Ok((opened, api))
}

fn describe(
    source: &dyn DataSource,
    api: ApiMode,
    requests: u64,
    is_json: bool,
    interrupt: &Interrupt,
) -> Result<Exit> {
    let prompt = |payload: &_| api.api.prompt_text(payload);
    let goes_on = |_| !interrupt.is_stopped();
    let description = data::describe(source, requests, prompt, goes_on)?;
    match is_json {
        true => output::json_text(&serde_json::to_string_pretty(&description)?)?,
        false => output::text(&Setting::rename_all(&description.to_string(), &flag))?,
    }
    Ok(match interrupt.is_stopped() {
        true => Exit::Interrupted,
        false => Exit::Done,
    })
}

/// Writes payloads. What is there when it is interrupted stays.
fn make(
    source: &dyn DataSource,
    requests: u64,
    path: &Path,
    overwrite: bool,
    interrupt: &Interrupt,
) -> Result<Exit> {
    let failed = || format!("cannot write {}", path.display());
    if overwrite && path.is_file() {
        std::fs::remove_file(path).with_context(failed)?;
    }
    let file = files::create_new(path, Access::Umask).map_err(|reason| match reason.kind() {
        std::io::ErrorKind::AlreadyExists => anyhow::Error::from(UsageError(format!(
            "--output: {} is there already; --overwrite replaces it",
            path.display()
        ))),
        _ => anyhow::Error::from(reason).context(failed()),
    })?;
    let mut file = BufWriter::new(file);
    let mut written = 0;
    for index in 0..requests {
        if index % STEP == 0 && interrupt.is_stopped() {
            break;
        }
        let payload = source.request(index)?.payload;
        let line = plain_numbers(serde_json::to_string(&payload)?);
        writeln!(file, "{line}").with_context(failed)?;
        written += 1;
    }
    file.flush().with_context(failed)?;
    output::note(&format!("{written} payloads are in {}", path.display()));
    for note in source.notes() {
        output::note(&format!("note: {}", Setting::rename_all(&note, &flag)));
    }
    Ok(match written < requests {
        true => Exit::Interrupted,
        false => Exit::Done,
    })
}
