//! From settings to payloads.

use anyhow::Result;
use llmeter::api::ApiMode;
use llmeter::payload::{Media, MediaKind, Payload, Prompt, load_payloads};
use llmeter::storage::Location;
use llmeter::{Error, RunSettings, Setting};

use super::text_or_file;

const DEFAULT_MAX_TOKENS: u64 = 256;

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

/// The payloads that are given, if any are, in the shape of an API.
pub(crate) fn payloads(settings: &RunSettings, api: ApiMode) -> Result<Option<Vec<Payload>>> {
    if let Some(prompt) = message(settings)? {
        let max_tokens = settings.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
        return Ok(Some(vec![api.create_payload(prompt, max_tokens)?]));
    }
    let alone = [Setting::MaxTokens, Setting::System];
    if let Some(setting) = alone
        .into_iter()
        .find(|alone| settings.get(*alone).is_some())
    {
        let error = Error::requires(setting, Setting::Prompt);
        return Err(error
            .with_hint("the payloads of a file have their own")
            .into());
    }
    let Some(path) = &settings.payload else {
        return Ok(None);
    };
    path.check(Setting::Payload)?;
    Ok(Some(load_payloads(path)?))
}

/// What the user says to the model, if anything.
fn message(settings: &RunSettings) -> Result<Option<Prompt>> {
    let text = |setting, text: &Option<String>| {
        let text = text.as_deref();
        text.map(|text| text_or_file(setting, text)).transpose()
    };
    let mut prompt = Prompt {
        system: text(Setting::System, &settings.system)?,
        ..Prompt::default()
    };
    for (kind, files) in media(settings) {
        for file in files.into_iter().flatten() {
            prompt = prompt.item(Media::from_path(kind, file)?);
        }
    }
    if let Some(text) = text(Setting::Prompt, &settings.prompt)? {
        prompt = prompt.item(text);
    }
    Ok((!prompt.items.is_empty()).then_some(prompt))
}
