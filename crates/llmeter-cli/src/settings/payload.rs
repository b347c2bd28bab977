//! From flags to payloads.

use anyhow::Result;
use llmeter::Setting;
use llmeter::endpoint::Api;
use llmeter::payload::{Media, MediaKind, Payload, Prompt, load_payloads};
use llmeter::storage::Location;

use super::text_or_file;
use crate::args::PayloadArguments;
use crate::exit::UsageError;

const DEFAULT_MAX_TOKENS: u64 = 256;

impl PayloadArguments {
    /// These settings where they are given, `file`'s elsewhere. Of two that exclude each other, a
    /// flag drops the file's.
    pub(super) fn over(self, file: Self) -> Self {
        let has_payload = self.payload.is_some();
        let has_message = !self.of_message().is_empty();
        let mut file = if has_payload { Self::default() } else { file };
        if has_message {
            file.payload = None;
        }
        fn list<T>(own: Vec<T>, file: Vec<T>) -> Vec<T> {
            if own.is_empty() { file } else { own }
        }
        Self {
            prompt: self.prompt.or(file.prompt),
            system: self.system.or(file.system),
            images: list(self.images, file.images),
            documents: list(self.documents, file.documents),
            audio: list(self.audio, file.audio),
            videos: list(self.videos, file.videos),
            payload: self.payload.or(file.payload),
            max_tokens: self.max_tokens.or(file.max_tokens),
        }
    }

    /// The names of those settings that say a message and are given.
    pub(super) fn of_message(&self) -> Vec<&'static str> {
        let media = self.media().into_iter();
        let media = media.map(|(kind, files)| (kind.name(), !files.is_empty()));
        let texts = [
            ("prompt", self.prompt.is_some()),
            ("system", self.system.is_some()),
        ];
        let settings = texts.into_iter().chain(media);
        let given = settings.filter(|(_, is_given)| *is_given);
        given.map(|(name, _)| name).collect()
    }

    /// Whether it is not said at all what to ask.
    pub(crate) fn has_no_content(&self) -> bool {
        let message = self.of_message();
        self.payload.is_none() && message.iter().all(|name| *name == "system")
    }

    /// The files of each kind, in the order in which a message has them.
    fn media(&self) -> [(MediaKind, &[Location]); 4] {
        [
            (MediaKind::Image, &self.images),
            (MediaKind::Document, &self.documents),
            (MediaKind::Audio, &self.audio),
            (MediaKind::Video, &self.videos),
        ]
    }

    /// The payloads that are given, if any are, in the shape of an API.
    pub(crate) fn payloads(&self, api: &Api) -> Result<Option<Vec<Payload>>> {
        if let Some(prompt) = self.message()? {
            let max_tokens = self.max_tokens.unwrap_or(DEFAULT_MAX_TOKENS);
            return Ok(Some(vec![api.create_payload(prompt, max_tokens)?]));
        }
        let alone = [
            ("--max-tokens", self.max_tokens.is_some()),
            ("--system", self.system.is_some()),
        ];
        if let Some((flag, _)) = alone.into_iter().find(|(_, is_given)| *is_given) {
            let reason =
                format!("{flag} goes with --prompt; the payloads of a file have their own");
            return Err(UsageError(reason).into());
        }
        let Some(path) = &self.payload else {
            return Ok(None);
        };
        path.check(Setting::Payload)?;
        Ok(Some(load_payloads(path)?))
    }

    /// What the user says to the model, if anything.
    fn message(&self) -> Result<Option<Prompt>> {
        let text = |flag, text: &Option<String>| {
            let text = text.as_deref();
            text.map(|text| text_or_file(flag, text)).transpose()
        };
        let mut prompt = Prompt {
            system: text("--system", &self.system)?,
            ..Prompt::default()
        };
        for (kind, files) in self.media() {
            for file in files {
                prompt = prompt.item(Media::from_path(kind, file)?);
            }
        }
        if let Some(text) = text("--prompt", &self.prompt)? {
            prompt = prompt.item(text);
        }
        Ok((!prompt.items.is_empty()).then_some(prompt))
    }
}
