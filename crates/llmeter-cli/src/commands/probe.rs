//! `llmeter probe`.

use std::time::Duration;

use anyhow::Result;
use console::{Term, style};
use llmeter::probe::ApiKeyVariable;
use llmeter::{Interrupt, RunConfig, probe, report};

use crate::args::ProbeArguments;
use crate::exit::{Exit, flag};
use crate::trust::{self, Consent};
use crate::{output, settings, signals};

/// The prompt if the user gives none.
const DEFAULT_PROMPT: &str = "Say hello in five words.";
/// Tokens of the response to it.
const TOKENS: u64 = 32;
/// Frames that are shown by default.
const FRAMES: usize = 12;

pub(crate) fn probe(arguments: &ProbeArguments) -> Result<Exit> {
    let (frames, json) = (arguments.frames, arguments.json);
    let Some((config, key)) = configuration(arguments)? else {
        output::note(trust::NOTHING);
        return Ok(Exit::CouldNotRun);
    };
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), true)?;
    let seen = probe::probe(&config, key.as_ref(), &interrupt)?.with_setting_names(&flag);
    if json {
        output::json(&seen.to_json(frames.unwrap_or(usize::MAX)))?;
    } else {
        let text = report::probe_within(&seen, frames.unwrap_or(FRAMES), output::width());
        output::raw(&styled(&text))?;
    }
    Ok(if seen.is_success() {
        Exit::Done
    } else if seen.is_interrupted {
        Exit::Interrupted
    } else if seen
        .response
        .is_some_and(|sent| sent.request_time.is_some())
    {
        Exit::AllFailed
    } else {
        Exit::CouldNotRun
    })
}

/// What is sent where, and the variable that holds the key; `None` if the user does not want that.
fn configuration(
    arguments: &ProbeArguments,
) -> Result<Option<(RunConfig, Option<ApiKeyVariable>)>> {
    let mut given = settings::with_file(&arguments.flags, arguments.config.as_deref())?;
    let settings = &mut given.settings;
    if settings::has_no_content(settings) {
        settings.prompt = Some(DEFAULT_PROMPT.to_owned());
        settings.max_tokens.get_or_insert(TOKENS);
    }
    let settings = &given.settings;
    let endpoint = settings::endpoint(&given)?;
    let payloads = settings::payloads(settings, settings::api(settings)?)?;
    let mut config = RunConfig::new(endpoint, []);
    settings::set_payloads(
        &mut config,
        payloads.into_iter().flatten().take(1).collect(),
    );
    settings.apply(&mut config)?;
    config.grace = Duration::ZERO;
    let key = settings::key_variable(&*config.endpoint, settings.api_key_env.as_deref());
    let consent = Consent {
        given: &given,
        is_given: arguments.trust.trust_folder,
    };
    let trust = consent.to(&config.destinations())?;
    Ok(trust.map(|trust| (config.trust(trust), key)))
}

/// With headings that stand out in a terminal.
fn styled(text: &str) -> String {
    if !Term::stdout().is_term() {
        return text.to_owned();
    }
    let lines = text.lines().map(|line| match line {
        "Failed" | "Interrupted" => style(line).red().bold().to_string(),
        "Succeeded" => style(line).green().bold().to_string(),
        line if line.starts_with(' ') => line.to_owned(),
        line => style(line).bold().to_string(),
    });
    lines.map(|line| line + "\n").collect()
}
