//! From flags and configuration file to one validated plan, before anything runs.

mod endpoint;
mod file;
mod payload;

use std::sync::Arc;

use anyhow::{Context, Result};
use llmeter::api::ApiMode;
use llmeter::payload::Payload;
use llmeter::storage::{Location, files};
use llmeter::{Callback, Error, RunConfig, RunSettings, SavedRun, Setting};

pub(crate) use endpoint::{api, body, endpoint, endpoint_of_bodies, key_variable};
pub(crate) use file::{Given, GivenWorkload, with_file};
pub(crate) use payload::{has_no_content, payload_of, payloads, read_system};

use crate::args::RunArguments;
use crate::{callbacks, exit, mlflow, output};

/// What is wrong without any content.
pub(crate) fn nothing_to_send() -> Error {
    Error::missing(Setting::Prompt).with_hint(
        "or give --payload FILE, --data SOURCE, --replay TRACE, --image FILE or the like",
    )
}

/// A text that is given, or the one in the file that `@FILE` names, without the line break at its
/// end. `@@` is an `@` that names no file.
fn text_or_file(setting: Setting, given: &str) -> Result<String> {
    let Some(path) = given.strip_prefix('@') else {
        return Ok(given.to_owned());
    };
    if path.starts_with('@') {
        return Ok(path.to_owned());
    }
    let text = files::read_text(path)
        .with_context(|| format!("{}: cannot read the file {path:?}", exit::flag(setting)))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    let text = text.strip_suffix('\n').unwrap_or(text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

/// The run that flags and a configuration file describe.
pub(crate) fn config(arguments: &RunArguments, given: &Given) -> Result<RunConfig> {
    config_from(arguments, given, arguments.from.as_ref())
}

/// [`config`], repeating the run of another folder.
pub(crate) fn config_from(
    arguments: &RunArguments,
    given: &Given,
    from: Option<&Location>,
) -> Result<RunConfig> {
    let callbacks = callbacks::of(arguments, given)?;
    let mut settings = given.settings.clone();
    if has_data(&settings) || from.is_some() {
        payload::read_system(&mut settings)?;
    }
    let is_mlflow_required = settings.mlflow_required == Some(true);
    let mut config = match from {
        Some(folder) => {
            let saved = SavedRun::load(folder)?;
            repeated(settings, saved, callbacks, arguments.no_callbacks)?
        }
        None => {
            let mut config = endpoint::run_at(given)?;
            if !has_data(&settings) {
                let payloads = payloads(&settings, api(&settings)?)?;
                set_payloads(&mut config, payloads.ok_or_else(nothing_to_send)?);
            }
            config.output = Some("runs".into());
            config.callbacks = callbacks;
            settings.apply(&mut config)?;
            warn_of_unused_fields(&settings, &config);
            config
        }
    };
    if is_mlflow_required {
        mlflow::require(&mut config.callbacks)?;
    }
    config.validate()?;
    Ok(config)
}

/// Whether requests come from data, and not from payloads.
fn has_data(settings: &RunSettings) -> bool {
    settings.data.is_some() || settings.replay.is_some()
}

/// The run of an experiment that makes its own payloads: without any.
pub(crate) fn config_without_payloads(
    arguments: &RunArguments,
    given: &Given,
) -> Result<RunConfig> {
    let mut config = endpoint::run_at(given)?;
    config.output = Some("runs".into());
    config.callbacks = callbacks::of(arguments, given)?;
    given.settings.apply(&mut config)?;
    if given.settings.mlflow_required == Some(true) {
        mlflow::require(&mut config.callbacks)?;
    }
    Ok(config)
}

/// Says which fields of `--extra` a body's template leaves out.
fn warn_of_unused_fields(settings: &RunSettings, config: &RunConfig) {
    let (Some(extra), Some(_), Some(payload)) =
        (&settings.extra, &settings.body, config.payloads.first())
    else {
        return;
    };
    let body = |payload: &Payload| body(&*config.endpoint, payload).ok();
    let whole = body(payload);
    for name in extra.fields().keys() {
        let mut without = Payload::clone(payload);
        without.remove(name);
        if whole.is_some() && body(&without) == whole {
            let (extra, template) = (exit::flag(Setting::Extra), exit::flag(Setting::Body));
            output::note(&format!(
                "warning: {extra} {name}: the template of {template} does not use it, and it is not sent"
            ));
        }
    }
}

/// A saved run, changed by the settings that are given.
fn repeated(
    settings: RunSettings,
    mut saved: SavedRun,
    callbacks: Vec<Arc<dyn Callback>>,
    no_callbacks: bool,
) -> Result<RunConfig> {
    let other = settings.endpoint.is_some().then(|| api(&settings));
    let given = endpoint::given(&settings)?;
    let addresses = settings.base_url.as_deref().unwrap_or_default();
    saved.apply_overrides(other.transpose()?.as_ref(), &given, addresses)?;
    if no_callbacks || !callbacks.is_empty() {
        saved.callbacks.clear();
        saved.unsaved.callbacks.clear();
    }
    let api = ApiMode::of_saved(&saved.endpoint)?;
    let is_of_data =
        has_data(&settings) || has_data(&saved.settings) && payload::has_no_content(&settings);
    let payloads = match is_of_data {
        true => None,
        false => payloads(&settings, api)?,
    };
    if payloads.is_some() {
        saved = saved.without_payloads().without_data();
    }
    tell_left_out(&saved, &settings);
    let extra = settings.extra.clone();
    let key_variable = settings.api_key_env.clone();
    saved.settings = settings.over(saved.settings);
    let folder = saved.folder().to_string();
    let mut config = saved
        .into_config(key_variable.as_deref())
        .with_context(|| format!("cannot repeat the run in {folder}"))?;
    if !callbacks.is_empty() {
        config.callbacks = callbacks;
    }
    match (payloads, extra) {
        (Some(payloads), _) => set_payloads(&mut config, payloads),
        // It is in the form of the data.
        (None, Some(_)) if config.data.is_some() => {}
        (None, Some(extra)) => {
            for payload in &mut config.payloads {
                payload::add_extra(&extra, api, Arc::make_mut(payload))?;
            }
        }
        (None, None) => {}
    }
    Ok(config)
}

/// Says what is not taken from a folder and not given now.
fn tell_left_out(saved: &SavedRun, settings: &RunSettings) {
    for setting in saved.left_out() {
        let excludes = setting.excludes().iter().chain([setting]);
        let mut given = excludes.filter(|setting| settings.get(**setting).is_some());
        if given.next().is_none() {
            let (flag, folder) = (exit::flag(*setting), saved.folder());
            output::note(&format!(
                "note: {flag} is never taken from a folder ({folder}); give it again if it is wanted"
            ));
        }
    }
}

/// What is sent, with where it was read if all of it was.
pub(crate) fn set_payloads(config: &mut RunConfig, payloads: Vec<payload::FoundPayload>) {
    let (payloads, sources): (Vec<_>, Vec<_>) = payloads.into_iter().unzip();
    config.payloads = payloads.into_iter().map(Arc::new).collect();
    config.payload_sources = sources.into_iter().flatten().collect();
}

#[cfg(test)]
mod tests;
