//! Images, audio, video and documents of a message.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::media_type;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::storage::Location;

/// What a piece of media is to a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MediaKind {
    /// A picture.
    Image,
    /// Sound.
    Audio,
    /// Moving pictures.
    Video,
    /// A text with or without form: PDF, office files, Markdown, ….
    Document,
}

impl MediaKind {
    /// Its name, with an article and in the plural, and the setting that names files of this kind.
    fn words(self) -> (&'static str, &'static str, &'static str, Setting) {
        match self {
            Self::Image => ("image", "an image", "images", Setting::Image),
            Self::Audio => ("audio", "audio", "audio", Setting::Audio),
            Self::Video => ("video", "a video", "videos", Setting::Video),
            Self::Document => ("document", "a document", "documents", Setting::Document),
        }
    }

    /// `image`, `audio`, `video` or `document`.
    pub fn name(self) -> &'static str {
        self.words().0
    }

    pub(crate) fn plural(self) -> &'static str {
        self.words().2
    }

    /// The setting that names files of this kind.
    pub fn setting(self) -> Setting {
        self.words().3
    }
}

impl fmt::Display for MediaKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// An image, audio, a video or a document, as bytes of a known type.
///
/// ```
/// use llmeter::payload::{Media, MediaKind};
///
/// let image = Media::from_bytes(MediaKind::Image, b"\xff\xd8\xff\xe0\x00\x10JFIF".to_vec())?;
/// assert_eq!(image.mime_type(), "image/jpeg");
/// # Ok::<(), llmeter::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Media {
    kind: MediaKind,
    mime_type: String,
    bytes: Arc<[u8]>,
    file_name: Option<String>,
}

impl Media {
    /// Media of a type that the caller knows.
    pub fn new(kind: MediaKind, mime_type: impl Into<String>, bytes: impl Into<Arc<[u8]>>) -> Self {
        Self {
            kind,
            mime_type: mime_type.into(),
            bytes: bytes.into(),
            file_name: None,
        }
    }

    /// Reads a file, here or in the cloud. Its type shows in its content, or else in how its name
    /// ends.
    ///
    /// # Errors
    /// When the file cannot be read, is empty, is of an unknown type, or is no such medium: a song
    /// is no image. The message names the file.
    pub fn from_path(kind: MediaKind, path: impl Into<Location>) -> Result<Self> {
        let path = path.into();
        path.check(kind.setting())?;
        let bytes = path.read_blocking()?;
        let file_name = path.file_name();
        let media = Self::detected(kind, bytes, &path.to_string(), file_name.as_deref())?;
        Ok(Self { file_name, ..media })
    }

    /// Media whose type shows in its content.
    ///
    /// # Errors
    /// When there are no bytes, their type is unknown, or they are no such medium. Use
    /// [`Media::new`] for a type that does not show.
    pub fn from_bytes(kind: MediaKind, bytes: impl Into<Vec<u8>>) -> Result<Self> {
        Self::detected(kind, bytes.into(), "(bytes)", None)
    }

    fn detected(
        kind: MediaKind,
        bytes: Vec<u8>,
        shown: &str,
        file_name: Option<&str>,
    ) -> Result<Self> {
        let refused = |what: &str, expected: String| {
            let value = format!("{shown} ({what})");
            Err(Error::invalid(kind.setting(), value, expected))
        };
        if bytes.is_empty() {
            return refused("empty", format!("{} with content", kind.words().1));
        }
        let Some(found) = media_type::detect(kind, &bytes, file_name) else {
            if kind == MediaKind::Document && file_name.is_some_and(media_type::is_text_name) {
                let expected = "a text in UTF-8; save it in that encoding".to_owned();
                return refused("text in another encoding", expected);
            }
            let expected = format!(
                "{} whose type shows in its content or in how its name ends: {}",
                kind.words().1,
                media_type::extensions(kind)
            );
            return refused("of unknown type", expected);
        };
        let mime_type = media_type::within(kind, found);
        match media_type::kind_of(&mime_type) {
            Some(is) if is == kind => Ok(Self::new(kind, mime_type, bytes)),
            Some(is) => {
                let expected = format!("{}; this is {}", kind.words().1, is.words().1);
                refused(found, expected)
            }
            None => refused(found, kind.words().1.to_owned()),
        }
    }

    /// The same with a file's name, for APIs that want one.
    #[must_use]
    pub fn named(mut self, file_name: impl Into<String>) -> Self {
        self.file_name = Some(file_name.into());
        self
    }

    /// What it is to a model.
    pub fn kind(&self) -> MediaKind {
        self.kind
    }

    /// Its type, like `image/png`.
    pub fn mime_type(&self) -> &str {
        &self.mime_type
    }

    /// The content.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The last part of the path that it was read from, or the name that it was given.
    pub fn file_name(&self) -> Option<&str> {
        self.file_name.as_deref()
    }

    /// The content in base64.
    pub fn base64(&self) -> String {
        STANDARD.encode(&self.bytes)
    }

    /// The content as a URL that holds it: `data:image/png;base64,…`.
    pub fn data_url(&self) -> String {
        format!("data:{};base64,{}", self.mime_type, self.base64())
    }
}

impl fmt::Debug for Media {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Media")
            .field("kind", &self.kind)
            .field("mime_type", &self.mime_type)
            .field("bytes", &self.bytes.len())
            .field("file_name", &self.file_name)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_such_medium_is_refused_by_name_and_type() {
        let folder = tempfile::tempdir().unwrap();
        for (kind, name, bytes, parts) in [
            (
                MediaKind::Image,
                "song.png",
                &b"ID3\x04\0\0\0\0\0\0"[..],
                &["image ", "song.png (audio/mpeg)", "this is audio"][..],
            ),
            (
                MediaKind::Document,
                "a.gz",
                b"\x1f\x8b\x08\0\0\0\0\0",
                &["document ", "a.gz (application/gzip)"],
            ),
            (
                MediaKind::Audio,
                "a.xyz",
                b"\x01\x02\x03\x04",
                &["a.xyz (of unknown type)", ".mp3", ".wav"],
            ),
            (MediaKind::Image, "a.png", b"", &["a.png (empty)"]),
            (
                MediaKind::Document,
                "latin.txt",
                b"caf\xe9",
                &["latin.txt (text in another encoding)", "UTF-8"],
            ),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = Media::from_path(kind, &path).unwrap_err().to_string();
            for part in parts {
                assert!(error.contains(part), "{part:?} is missing: {error}");
            }
        }
        let missing = Media::from_path(MediaKind::Image, folder.path().join("none.png"));
        assert!(matches!(missing, Err(Error::Io { .. })), "{missing:?}");
    }

    #[test]
    fn a_file_is_kept_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.png");
        std::fs::write(&path, b"\x89PNG\r\n\x1a\n").unwrap();
        let media = Media::from_path(MediaKind::Image, &path).unwrap();
        assert_eq!(media.file_name(), Some("x.png"));
        assert_eq!(media.data_url(), "data:image/png;base64,iVBORw0KGgo=");
        assert!(format!("{media:?}").len() < 120, "bytes are not printed");
    }
}
