//! From settings to payloads.

use anyhow::Result;
use llmeter::api::ApiMode;
use llmeter::data::form_of_row;
use llmeter::payload::{
    ExtraFields, Media, MediaKind, Payload, PayloadSource, Prompt, load_payloads_with_sources,
};
use llmeter::storage::Location;
use llmeter::{Error, RunSettings, Setting};

use super::text_or_file;
use crate::exit;

const DEFAULT_MAX_TOKENS: u64 = 256;

/// A payload, and where it was read if it was.
pub(crate) type FoundPayload = (Payload, Option<PayloadSource>);

/// Whether it is not said at all what to ask.
pub(crate) fn has_no_content(settings: &RunSettings) -> bool {
    let has_media = media(settings).iter().any(|(_, files)| files.is_some());
    settings.payload.is_none() && settings.prompt.is_none() && !has_media
}

/// The files of each kind, in the order in which a message has them.
fn media(settings: &RunSettings) -> [(MediaKind, Option<&Vec<Location>>); 4] {
    [
        (MediaKind::Image, settings.image.as_ref()),
        (MediaKind::Document, settings.document.as_ref()),
        (MediaKind::Audio, settings.audio.as_ref()),
        (MediaKind::Video, settings.video.as_ref()),
    ]
}

/// The payloads that are given, if any are, in the shape of an API, each with where it was read.
pub(crate) fn payloads(settings: &RunSettings, api: ApiMode) -> Result<Option<Vec<FoundPayload>>> {
    let mut payloads = match message(settings)? {
        Some(prompt) => {
            let max_tokens = settings.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
            vec![(api.create_payload(prompt, max_tokens)?, None)]
        }
        None => match read(settings)? {
            Some(payloads) => {
                refuse_data(settings, &payloads, api)?;
                payloads
            }
            None => return Ok(None),
        },
    };
    if let Some(extra) = &settings.extra {
        check_extra(settings, extra, api)?;
        for (payload, _) in &mut payloads {
            add_extra(extra, api, payload)?;
        }
    }
    Ok(Some(payloads))
}

/// Refuses a file of rows that no API takes as they are. The template of a custom API may take anything.
fn refuse_data(settings: &RunSettings, payloads: &[FoundPayload], api: ApiMode) -> Result<()> {
    let first = payloads.first().map(|(payload, _)| payload);
    let (Some(path), Some(form)) = (&settings.payload, first.and_then(form_of_row)) else {
        return Ok(());
    };
    if api.name.starts_with("http") {
        return Ok(());
    }
    let setting = match form {
        "a trace" => Setting::Replay,
        _ => Setting::Data,
    };
    let expected = format!("payloads of {}, and this looks like {form}", api.name);
    let error = Error::invalid(Setting::Payload, path, expected);
    let flag = exit::flag(setting);
    Err(error.with_hint(format!("{flag} sends it")).into())
}

/// A payload of a text and a limit that an experiment chooses, with the system prompt and the fields that
/// are given.
pub(crate) fn payload_of(
    settings: &RunSettings,
    api: ApiMode,
    text: &str,
    max_tokens: u64,
) -> Result<Payload> {
    let prompt = Prompt {
        system: text_of(Setting::System, &settings.system)?,
        ..Prompt::from(text)
    };
    let mut payload = api.create_payload(prompt, max_tokens)?;
    if let Some(extra) = &settings.extra {
        check_extra(settings, extra, api)?;
        add_extra(extra, api, &mut payload)?;
    }
    Ok(payload)
}

/// The text of a setting, which may name a file.
fn text_of(setting: Setting, text: &Option<String>) -> Result<Option<String>> {
    let text = text.as_deref();
    text.map(|text| text_or_file(setting, text)).transpose()
}

/// Puts the system text in the place of the file that has it.
pub(crate) fn read_system(settings: &mut RunSettings) -> Result<()> {
    settings.system = text_of(Setting::System, &settings.system)?;
    Ok(())
}

/// The payloads of a file.
fn read(settings: &RunSettings) -> Result<Option<Vec<FoundPayload>>> {
    let alone = [Setting::MaxTokens, Setting::System];
    if let Some(setting) = alone
        .into_iter()
        .find(|alone| settings.get(*alone).is_some())
    {
        const SOURCES: &[Setting] = &[Setting::Prompt, Setting::Data, Setting::Replay];
        let error = Error::requires_any(setting, SOURCES);
        return Err(error
            .with_hint("the payloads of a file have their own")
            .into());
    }
    let Some(path) = &settings.payload else {
        return Ok(None);
    };
    path.check(Setting::Payload)?;
    let read = load_payloads_with_sources(path)?.into_iter();
    let read = read.map(|(payload, source)| (payload, Some(source)));
    Ok(Some(read.collect()))
}

/// Refuses fields that other flags set.
fn check_extra(settings: &RunSettings, extra: &ExtraFields, api: ApiMode) -> Result<()> {
    let spec = api.api.spec();
    let has = |path: &[&str]| {
        let mut path = path.iter();
        let first = path.next().and_then(|name| extra.fields().get(*name));
        path.try_fold(first, |value, name| Some(value?.get(*name)))
            .flatten()
            .is_some()
    };
    let one_of = |fields: &[&str]| {
        let field = fields.iter().find(|field| has(&[field]))?;
        Some((*field).to_owned())
    };
    let limit = spec.limit_fields.iter().find(|path| has(path));
    let others = [
        (Setting::Model, one_of(&["model"])),
        (Setting::MaxTokens, limit.map(|path| path.join("."))),
        (Setting::System, one_of(spec.system_fields)),
        (Setting::Prompt, one_of(spec.prompt_fields)),
    ];
    let mut both = others
        .into_iter()
        .filter(|(setting, _)| settings.get(*setting).is_some());
    match both.find_map(|(setting, field)| Some((setting, field?))) {
        Some((setting, field)) => {
            let expected = format!("a field that {} does not set", exit::flag(setting));
            Err(Error::invalid(Setting::Extra, field, expected).into())
        }
        None => Ok(()),
    }
}

/// Adds the fields to a payload of the API, which must not set them otherwise.
pub(crate) fn add_extra(extra: &ExtraFields, api: ApiMode, payload: &mut Payload) -> Result<()> {
    extra.add_to(payload)?;
    let Ok(sent) = api.prepared(payload.clone(), Some("the model")) else {
        // Why it cannot be sent is said with its place.
        return Ok(());
    };
    if let Some(field) = extra.overruled_in(&sent) {
        let expected = format!("a field that --endpoint {} leaves to the payload", api.name);
        return Err(Error::invalid(Setting::Extra, field, expected).into());
    }
    Ok(())
}

/// What the user says to the model, if anything.
fn message(settings: &RunSettings) -> Result<Option<Prompt>> {
    let mut prompt = Prompt {
        system: text_of(Setting::System, &settings.system)?,
        ..Prompt::default()
    };
    for (kind, files) in media(settings) {
        for file in files.into_iter().flatten() {
            let media = Media::from_path(kind, file).map_err(|reason| match reason {
                Error::Io { .. } | Error::Storage { .. } => {
                    anyhow::Error::from(reason).context(exit::flag(kind.setting()))
                }
                names_it => names_it.into(),
            });
            prompt = prompt.item(media?);
        }
    }
    if let Some(text) = text_of(Setting::Prompt, &settings.prompt)? {
        prompt = prompt.item(text);
    }
    Ok((!prompt.items.is_empty()).then_some(prompt))
}
