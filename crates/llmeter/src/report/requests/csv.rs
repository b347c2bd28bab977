//! The table as CSV.

use std::borrow::Cow;
use std::io::{self, Write};

use csv::{Terminator, Writer, WriterBuilder};
use serde_json::Value;

use super::RUN;
use super::sent::{SentTexts, json_text};
use crate::InvocationResponse;
use crate::api::FieldValue;
use crate::result::{time_text, write_gaps};

/// A spreadsheet may take a text with one of these at its start for a formula, or drops it to find one
/// behind it. The apostrophe is here so that a reader can tell which ones were added.
const GUARDED: [char; 12] = [
    '=', '+', '-', '@', '＝', '＋', '－', '＠', '\t', '\r', '\n', '\'',
];
/// Texts of payloads are made anew when those that are kept have so many bytes.
const MAX_SENT: usize = 16 << 20;

pub(super) struct Rows<W: Write> {
    out: Writer<W>,
    sent: SentTexts,
    cell: Vec<u8>,
    has_header: bool,
}

impl<W: Write> Rows<W> {
    pub(super) fn new(out: W) -> Self {
        let mut builder = WriterBuilder::new();
        builder.terminator(Terminator::CRLF);
        Self {
            out: builder.from_writer(out),
            sent: SentTexts::default(),
            cell: Vec::new(),
            has_header: false,
        }
    }

    fn header(&mut self) -> io::Result<()> {
        if self.has_header {
            return Ok(());
        }
        self.has_header = true;
        let fields = InvocationResponse::FIELDS.iter().map(|field| field.key);
        let header = std::iter::once(RUN).chain(fields);
        self.out.write_record(header).map_err(io_error)
    }
}

/// What the system said.
fn io_error(error: csv::Error) -> io::Error {
    match error.into_kind() {
        csv::ErrorKind::Io(error) => error,
        // There are no others when texts are written one by one.
        other => io::Error::other(format!("{other:?}")),
    }
}

impl<W: Write> super::Rows for Rows<W> {
    fn row(&mut self, run: &str, response: &InvocationResponse) -> io::Result<()> {
        self.header()?;
        if self.sent.bytes() > MAX_SENT {
            self.sent.clear();
        }
        self.out.write_field(&*guarded(run)).map_err(io_error)?;
        for field in InvocationResponse::FIELDS {
            let cell = &mut self.cell;
            cell.clear();
            match field.get(response) {
                FieldValue::Text(text) => push_text(cell, text.unwrap_or_default()),
                FieldValue::Seconds(seconds) => {
                    // The shortest form that is this number, as JSON has it; none if it is not finite.
                    if let Some(seconds) = seconds.filter(|seconds| seconds.is_finite()) {
                        write!(cell, "{}", Value::from(seconds))?;
                    }
                }
                FieldValue::Count(count) => {
                    if let Some(count) = count {
                        write!(cell, "{count}")?;
                    }
                }
                FieldValue::Gaps([]) => {}
                FieldValue::Gaps(gaps) => write_gaps(cell, gaps),
                FieldValue::Time(time) => {
                    cell.extend(time.map(time_text).unwrap_or_default().as_bytes());
                }
                FieldValue::Payload(_) => {
                    let text = self.sent.payload(response).unwrap_or_default();
                    cell.extend_from_slice(&text);
                }
                FieldValue::Json(_) => {
                    let text = self.sent.prompt(response).unwrap_or_default();
                    push_text(cell, &String::from_utf8_lossy(&text));
                }
                FieldValue::Annotations(annotations) => {
                    cell.extend(json_text(annotations).as_bytes());
                }
            }
            self.out.write_field(&self.cell).map_err(io_error)?;
        }
        self.out.write_record(None::<&[u8]>).map_err(io_error)
    }

    fn finish(mut self, _: &Value) -> io::Result<()> {
        self.header()?;
        self.out.flush()
    }
}

fn push_text(cell: &mut Vec<u8>, text: &str) {
    cell.extend_from_slice(guarded(text).as_bytes());
}

/// A text that no spreadsheet takes for a formula.
fn guarded(text: &str) -> Cow<'_, str> {
    match text.starts_with(GUARDED) {
        true => Cow::Owned(format!("'{text}")),
        false => Cow::Borrowed(text),
    }
}
