//! What an API takes of a prompt.
//!
//! Belongs here: the checks and refusals that all APIs share. Does not belong here: which types an
//! API takes, and the shape in which it wants them (that is its own file's).

use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::payload::{ContentItem, Media, MediaKind, Prompt};

/// Advice for one who has a video, where only images are taken.
pub(crate) const FRAMES: &str = "; a video's frames can be given as images";

/// A type of media that an API takes, and what the API calls it.
pub type Format = (&'static str, &'static str);

/// Types that the API calls by their MIME types.
pub(crate) const fn mime_types<const N: usize>(names: [&'static str; N]) -> [Format; N] {
    let mut formats = [("", ""); N];
    let mut at = 0;
    while at < N {
        formats[at] = (names[at], names[at]);
        at += 1;
    }
    formats
}

/// What an API takes beside texts.
#[derive(Debug)]
pub struct SupportedInputs {
    /// The API's name, for people.
    pub api: &'static str,
    /// Whether there is a place for a system text.
    pub system: bool,
    /// Types of images.
    pub images: &'static [Format],
    /// Types of audio.
    pub audio: &'static [Format],
    /// Types of videos.
    pub videos: &'static [Format],
    /// Types of documents.
    pub documents: &'static [Format],
    /// What to do with media that the API does not take at all, if anything.
    pub instead: &'static str,
}

/// An item of a prompt that the API takes.
#[derive(Debug, Clone, Copy)]
pub enum Part<'p> {
    /// A text.
    Text(&'p str),
    /// Media, and what the API calls its type.
    Media(&'p Media, &'static str),
}

impl<'p> Part<'p> {
    /// The text, if it is one.
    pub fn text(&self) -> Option<&'p str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Media(..) => None,
        }
    }
}

impl SupportedInputs {
    /// Takes texts alone, without a system text.
    pub const fn of_texts(api: &'static str) -> Self {
        Self {
            api,
            system: false,
            images: &[],
            audio: &[],
            videos: &[],
            documents: &[],
            instead: "",
        }
    }

    /// The prompt's items, of which there must be one.
    ///
    /// # Errors
    /// When there is no item, or the API does not take one of them or the system text.
    pub(crate) fn parts<'p>(&self, prompt: &'p Prompt) -> Result<Vec<Part<'p>>> {
        if prompt.system.is_some() && !self.system {
            return Err(Error::unsupported(Setting::System, self.api)
                .with_hint("make it part of the prompt"));
        }
        if prompt.items.is_empty() {
            return Err(Error::missing(Setting::Prompt));
        }
        let items = prompt.items.iter();
        items
            .map(|item| match item {
                ContentItem::Text(text) => Ok(Part::Text(text)),
                ContentItem::Media(media) => Ok(Part::Media(media, self.format(media)?)),
            })
            .collect()
    }

    /// What the API calls a medium's type.
    fn format(&self, media: &Media) -> Result<&'static str> {
        let kind = media.kind();
        let formats = self.formats(kind);
        let found = formats.iter().find(|(name, _)| *name == media.mime_type());
        if let Some((_, format)) = found {
            return Ok(format);
        }
        let shown = match media.file_name() {
            Some(name) => format!("{name} ({})", media.mime_type()),
            None => format!("({})", media.mime_type()),
        };
        if formats.is_empty() {
            let hint = format!("it takes {}{}", self.kinds(), self.instead);
            return Err(Error::unsupported(kind.setting(), self.api).with_hint(hint));
        }
        let names: Vec<_> = formats.iter().map(|(name, _)| *name).collect();
        let expected = format!("{} for {}", names.join(", "), self.api);
        Err(Error::invalid(kind.setting(), shown, expected))
    }

    fn formats(&self, kind: MediaKind) -> &'static [Format] {
        match kind {
            MediaKind::Image => self.images,
            MediaKind::Audio => self.audio,
            MediaKind::Video => self.videos,
            MediaKind::Document => self.documents,
        }
    }

    /// What is taken at all.
    fn kinds(&self) -> String {
        use MediaKind::{Audio, Document, Image, Video};
        let taken = [Image, Document, Audio, Video];
        let taken = taken
            .into_iter()
            .filter(|kind| !self.formats(*kind).is_empty());
        let taken: Vec<_> = taken.map(MediaKind::plural).collect();
        match taken.split_last() {
            None => "texts alone".to_owned(),
            Some((last, [])) => format!("texts and {last}"),
            Some((last, others)) => format!("texts, {} and {last}", others.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEES: SupportedInputs = SupportedInputs {
        system: true,
        images: &[("image/png", "png"), ("image/jpeg", "jpeg")],
        instead: "; send frames of a video as images",
        ..SupportedInputs::of_texts("Some API")
    };

    fn refusal(intake: &SupportedInputs, prompt: &Prompt) -> String {
        intake.parts(prompt).unwrap_err().to_string()
    }

    #[test]
    fn refusals_say_what_is_taken() {
        let media = |kind, mime_type| Prompt::from("x").item(Media::new(kind, mime_type, *b"x"));
        let gif = Media::new(MediaKind::Image, "image/gif", *b"x").named("a.gif");
        assert_eq!(
            refusal(&SEES, &Prompt::default().item(gif)),
            "image a.gif (image/gif): expected image/png, image/jpeg for Some API"
        );
        let video = SEES
            .parts(&media(MediaKind::Video, "video/mp4"))
            .unwrap_err();
        assert_eq!(video.to_string(), "video is not supported by Some API");
        assert_eq!(
            video.hint(),
            Some("it takes texts and images; send frames of a video as images")
        );
        let reads = SupportedInputs::of_texts("Another");
        assert_eq!(
            refusal(&reads, &media(MediaKind::Image, "image/png")),
            "image is not supported by Another"
        );
        assert_eq!(
            refusal(&reads, &Prompt::from("x").system("Be brief.")),
            "system is not supported by Another"
        );
        assert!(refusal(&SEES, &Prompt::default().system("s")).contains("prompt is required"));
    }
}
