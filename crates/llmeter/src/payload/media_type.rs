//! Of which type a file is: its content tells, or else how its name ends.

use std::borrow::Cow;
use std::path::Path;

use super::media::MediaKind;

/// A type of media, and how names of its files end.
type Entry = (&'static str, &'static [&'static str]);

const TYPES: &[Entry] = &[
    ("image/jpeg", &["jpg", "jpeg"]),
    ("image/png", &["png"]),
    ("image/gif", &["gif"]),
    ("image/webp", &["webp"]),
    ("image/bmp", &["bmp"]),
    ("image/tiff", &["tif", "tiff"]),
    ("image/heic", &["heic"]),
    ("image/heif", &["heif"]),
    ("image/avif", &["avif"]),
    ("audio/mpeg", &["mp3"]),
    ("audio/wav", &["wav"]),
    ("audio/ogg", &["ogg", "oga"]),
    ("audio/opus", &["opus"]),
    ("audio/flac", &["flac"]),
    ("audio/aac", &["aac"]),
    ("audio/mp4", &["m4a"]),
    ("audio/aiff", &["aif", "aiff"]),
    ("audio/x-matroska", &["mka"]),
    ("video/mp4", &["mp4", "m4v"]),
    ("video/quicktime", &["mov"]),
    ("video/x-msvideo", &["avi"]),
    ("video/x-matroska", &["mkv"]),
    ("video/webm", &["webm"]),
    ("video/mpeg", &["mpeg", "mpg"]),
    ("video/x-flv", &["flv"]),
    ("video/x-ms-wmv", &["wmv"]),
    ("video/3gpp", &["3gp"]),
    ("application/pdf", &["pdf"]),
    ("application/msword", &["doc"]),
    (DOCX, &["docx"]),
    ("application/vnd.ms-excel", &["xls"]),
    (XLSX, &["xlsx"]),
    ("application/vnd.ms-powerpoint", &["ppt"]),
    (PPTX, &["pptx"]),
    ("application/rtf", &["rtf"]),
];

pub(crate) const DOCX: &str =
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document";
pub(crate) const XLSX: &str = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
pub(crate) const PPTX: &str =
    "application/vnd.openxmlformats-officedocument.presentationml.presentation";

/// The type of a text whose name tells no other.
const PLAIN: Entry = ("text/plain", &["txt"]);

/// Types of texts. Only a document whose content is text is one of these: any other text file is
/// `text/plain`.
const TEXTS: &[Entry] = &[
    ("text/markdown", &["md", "markdown"]),
    ("text/csv", &["csv"]),
    ("text/html", &["html", "htm"]),
    ("text/xml", &["xml"]),
    ("application/json", &["json"]),
];

/// Other names for a type.
const SYNONYMS: &[(&str, &str)] = &[
    ("audio/x-wav", "audio/wav"),
    ("audio/x-flac", "audio/flac"),
    ("audio/x-aiff", "audio/aiff"),
    ("audio/m4a", "audio/mp4"),
    ("video/x-m4v", "video/mp4"),
];

/// Formats that hold others; which one, the file's name tells.
const WRAPPERS: [&str; 2] = ["application/zip", "application/x-ole-storage"];

/// Formats in which there can be sound alone, or pictures as well.
const EITHER: [&str; 5] = ["mp4", "webm", "ogg", "x-matroska", "3gpp"];

/// The type of media that a file's name stands for, by how it ends. Texts, which any program may
/// write, are not told by their names.
///
/// ```
/// use llmeter::payload::media_type_by_extension;
///
/// assert_eq!(media_type_by_extension("photos/a.JPEG"), Some("image/jpeg"));
/// assert_eq!(media_type_by_extension("notes.txt"), None);
/// ```
pub fn media_type_by_extension(name: &str) -> Option<&'static str> {
    named(TYPES, name)
}

/// The type that shows in the content's first bytes, if it is a binary one that is known.
///
/// ```
/// use llmeter::payload::media_type_by_content;
///
/// assert_eq!(media_type_by_content(b"%PDF-1.7"), Some("application/pdf"));
/// assert_eq!(media_type_by_content(b"plain words"), None);
/// ```
pub fn media_type_by_content(bytes: &[u8]) -> Option<&'static str> {
    let found = infer::get(bytes)?;
    // It knows the beginning of programs and web pages, too, which are texts.
    (found.matcher_type() != infer::MatcherType::Text).then(|| {
        let found = found.mime_type();
        let other = SYNONYMS.iter().find(|(name, _)| *name == found);
        other.map_or(found, |(_, usual)| usual)
    })
}

/// The type of a file that is given as this kind of media.
pub(super) fn detect(kind: MediaKind, bytes: &[u8], name: Option<&str>) -> Option<&'static str> {
    let by_content = media_type_by_content(bytes);
    // Some signatures are two letters, with which a text may begin just as well.
    if kind == MediaKind::Document && is_text(bytes) && !is_written_in_text(by_content) {
        let by_name = name.and_then(|name| named(TEXTS, name));
        return by_name.or(Some(PLAIN.0));
    }
    match by_content {
        Some(found) if !WRAPPERS.contains(&found) => Some(found),
        wrapper => name.and_then(media_type_by_extension).or(wrapper),
    }
}

/// Binary formats that can consist of printable characters alone.
fn is_written_in_text(found: Option<&str>) -> bool {
    matches!(
        found,
        Some("application/pdf" | "application/rtf" | "application/postscript")
    )
}

fn is_text(bytes: &[u8]) -> bool {
    std::str::from_utf8(bytes).is_ok_and(|text| {
        let is_odd = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r' | '\u{c}');
        !text.contains(is_odd)
    })
}

/// A type's name where it is used as this kind: MP4 with sound alone is `audio/mp4`.
pub(super) fn within(kind: MediaKind, found: &'static str) -> Cow<'static, str> {
    match (kind, found.split_once('/')) {
        (MediaKind::Audio, Some(("video", format))) if EITHER.contains(&format) => {
            Cow::Owned(format!("audio/{format}"))
        }
        (MediaKind::Video, Some(("audio", format))) if EITHER.contains(&format) => {
            Cow::Owned(format!("video/{format}"))
        }
        _ => Cow::Borrowed(found),
    }
}

/// What a file of this type is to a model; `None` for archives, programs and the like.
pub(super) fn kind_of(mime_type: &str) -> Option<MediaKind> {
    match mime_type.split_once('/')? {
        ("image", _) => Some(MediaKind::Image),
        ("audio", _) => Some(MediaKind::Audio),
        ("video", _) => Some(MediaKind::Video),
        ("text", _) => Some(MediaKind::Document),
        _ => {
            let mut documents = TYPES.iter().chain(TEXTS);
            let is_document = documents.any(|(known, _)| *known == mime_type);
            is_document.then_some(MediaKind::Document)
        }
    }
}

/// How names of files of this kind end, for people.
pub(super) fn extensions(kind: MediaKind) -> String {
    let mut types: Vec<Entry> = TYPES.to_vec();
    if kind == MediaKind::Document {
        types.push(PLAIN);
        types.extend(TEXTS);
    }
    let endings = types
        .iter()
        .filter(|(mime_type, _)| kind_of(mime_type) == Some(kind))
        .map(|(_, endings)| format!(".{}", endings[0]));
    endings.collect::<Vec<_>>().join(", ")
}

/// Whether a name is that of a text.
pub(super) fn is_text_name(name: &str) -> bool {
    named(TEXTS, name).is_some() || named(&[PLAIN], name).is_some()
}

fn named(types: &[Entry], name: &str) -> Option<&'static str> {
    let extension = Path::new(name).extension()?.to_str()?;
    let extension = extension.to_ascii_lowercase();
    let mut types = types.iter();
    let found = types.find(|(_, endings)| endings.contains(&extension.as_str()));
    found.map(|(mime_type, _)| *mime_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginnings of real files.
    const CONTENTS: &[(&[u8], &str)] = &[
        (b"\xff\xd8\xff\xe0\0\x10JFIF\0", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        (b"GIF89a\x01\0\x01\0", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"BM\x3a\0\0\0\0\0\0\0", "image/bmp"),
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "image/heif"),
        (b"ID3\x04\0\0\0\0\0\0", "audio/mpeg"),
        (b"\xff\xfb\x90\x44\0\0\0\0", "audio/mpeg"),
        (b"RIFF\x24\0\0\0WAVEfmt \x10\0\0\0", "audio/wav"),
        (b"OggS\0\x02\0\0\0\0\0\0\0\0", "audio/ogg"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"\0\0\0\x20ftypM4A \0\0\0\0", "audio/mp4"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2", "video/mp4"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0isommp42", "video/mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\x02\0qt  ", "video/quicktime"),
        (b"RIFF\x24\0\0\0AVI LIST", "video/x-msvideo"),
        (b"FLV\x01\x05\0\0\0\x09", "video/x-flv"),
        (b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", "application/pdf"),
        (b"{\\rtf1\\ansi hello}", "application/rtf"),
    ];

    #[test]
    fn the_content_tells_whatever_the_name_is() {
        for (bytes, expected) in CONTENTS {
            let kind = kind_of(expected).unwrap();
            let found = detect(kind, bytes, Some("misnamed.mp4"));
            assert_eq!(found, Some(*expected));
        }
    }

    #[test]
    fn a_name_tells_what_the_content_does_not() {
        let wrapped = b"PK\x03\x04\x14\0\0\0\x08\0\0\0\0\0";
        for (bytes, name, expected) in [
            (&wrapped[..], "a.docx", Some(DOCX)),
            (wrapped, "a.xlsx", Some(XLSX)),
            (wrapped, "a.zip", Some("application/zip")),
            (
                b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
                "a.doc",
                Some("application/msword"),
            ),
            (b"\x01\x02\x03", "a.pdf", Some("application/pdf")),
            (b"\x01\x02\x03", "a.md", None),
        ] {
            let found = detect(MediaKind::Document, bytes, Some(name));
            assert_eq!(found, expected, "{name}");
        }
    }

    #[test]
    fn texts_are_documents_of_a_type_that_their_name_tells() {
        for (text, name, expected) in [
            ("BMW is a name, not an image", "a.txt", "text/plain"),
            ("ID3 is a tag, GIF89a a format", "", "text/plain"),
            ("#!/bin/sh\nls", "a.sh", "text/plain"),
            ("# Title — ünïcode", "a.MD", "text/markdown"),
            ("a,b\n1,2\n", "a.csv", "text/csv"),
            ("<!DOCTYPE html><p>", "a.html", "text/html"),
            ("not a PDF at all", "a.pdf", "text/plain"),
            ("%PDF-1.4", "a.txt", "application/pdf"),
        ] {
            let found = detect(MediaKind::Document, text.as_bytes(), Some(name));
            assert_eq!(found, Some(expected), "{text}");
        }
        assert_eq!(detect(MediaKind::Image, b"some words", Some("a.txt")), None);
    }

    #[test]
    fn formats_for_sound_and_pictures_are_what_they_are_given_as() {
        assert_eq!(within(MediaKind::Audio, "video/mp4"), "audio/mp4");
        assert_eq!(within(MediaKind::Video, "audio/ogg"), "video/ogg");
        assert_eq!(within(MediaKind::Audio, "video/x-flv"), "video/x-flv");
        assert_eq!(within(MediaKind::Video, "video/webm"), "video/webm");
    }
}
