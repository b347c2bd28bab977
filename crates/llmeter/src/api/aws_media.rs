//! Media as Bedrock's Converse has them, and containers of SageMaker after its model.

use serde_json::{Map, Value, json};

use crate::api::supported_inputs::Intake;
use crate::payload::{DOCX, Media, Payload, XLSX, bytes_value};

/// What Converse takes.
pub(crate) const INTAKE: Intake = Intake {
    api: "Bedrock Converse",
    system: true,
    images: &[
        ("image/jpeg", "jpeg"),
        ("image/png", "png"),
        ("image/gif", "gif"),
        ("image/webp", "webp"),
    ],
    audio: &[
        ("audio/mpeg", "mp3"),
        ("audio/wav", "wav"),
        ("audio/ogg", "ogg"),
        ("audio/opus", "opus"),
        ("audio/flac", "flac"),
        ("audio/aac", "aac"),
        ("audio/mp4", "m4a"),
        ("audio/x-matroska", "mka"),
        ("audio/webm", "webm"),
    ],
    videos: &[
        ("video/mp4", "mp4"),
        ("video/quicktime", "mov"),
        // Not in the API's reference, but passed on by the Python system.
        ("video/x-msvideo", "avi"),
        ("video/x-matroska", "mkv"),
        ("video/webm", "webm"),
        ("video/mpeg", "mpeg"),
        ("video/x-flv", "flv"),
        ("video/x-ms-wmv", "wmv"),
        ("video/3gpp", "three_gp"),
    ],
    documents: &[
        ("application/pdf", "pdf"),
        ("application/msword", "doc"),
        (DOCX, "docx"),
        ("application/vnd.ms-excel", "xls"),
        (XLSX, "xlsx"),
        ("text/plain", "txt"),
        ("text/markdown", "md"),
        ("text/csv", "csv"),
        ("text/html", "html"),
    ],
    instead: "",
};

/// `{"image": {"format": "png", "source": {"bytes": …}}}`, `further` fields last.
pub(crate) fn media_block(media: &Media, format: &str, further: Payload) -> Value {
    let mut fields = Map::new();
    fields.insert("format".into(), json!(format));
    fields.insert(
        "source".into(),
        json!({"bytes": bytes_value(media.bytes())}),
    );
    fields.extend(further);
    json!({media.kind().name(): fields})
}
