//! The table as Parquet.
//!
//! Columns are written through the crate's own column writers: Arrow, which most programs put before
//! them, would be eight more crates to build for arrays that are written once and dropped.

use std::io::{self, Write};
use std::sync::Arc;

use bytes::Bytes;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, DataType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use serde_json::Value;

use super::RUN;
use super::sent::{SentTexts, json_text};
use crate::InvocationResponse;
use crate::api::FieldValue;
use crate::stats::gap_seconds;

/// A group of rows is written when it has so many, or takes so many bytes.
const MAX_ROWS: usize = 100_000;
const MAX_BYTES: usize = 24 << 20;
/// A payload of this size is written once for each group of rows, however many requests have it.
const DICTIONARY: usize = MAX_BYTES;
const CREATED_BY: &str = concat!("llmeter ", env!("CARGO_PKG_VERSION"));

/// Levels of a column that may be unset.
const UNSET: i16 = 0;
const SET: i16 = 1;
/// Levels of a list's values: where there is none, one that is no number, and one.
const NO_LIST: i16 = 0;
const NO_NUMBER: i16 = 2;
const NUMBER: i16 = 3;

pub(super) struct Rows<W: Write + Send> {
    file: SerializedFileWriter<W>,
    /// The run's name, then the fields.
    columns: Vec<Column>,
    sent: SentTexts,
    rows: usize,
    /// About what the rows take in memory, payloads aside.
    bytes: usize,
    run: Bytes,
}

impl<W: Write + Send> Rows<W> {
    pub(super) fn new(out: W) -> io::Result<Self> {
        Self::open(out).map_err(io_error)
    }

    fn open(out: W) -> Result<Self, ParquetError> {
        let unset = InvocationResponse::default();
        let fields = || InvocationResponse::FIELDS.iter();
        let mut schema = format!("message requests {{ REQUIRED BYTE_ARRAY {RUN} (STRING); ");
        for field in fields() {
            let key = field.key;
            schema += &match field.get(&unset) {
                FieldValue::Text(_)
                | FieldValue::Json(_)
                | FieldValue::Payload(_)
                | FieldValue::Annotations(_) => format!("OPTIONAL BYTE_ARRAY {key} (STRING); "),
                FieldValue::Seconds(_) => format!("OPTIONAL DOUBLE {key}; "),
                FieldValue::Count(_) => format!("OPTIONAL INT64 {key}; "),
                FieldValue::Time(_) => format!("OPTIONAL INT64 {key} (TIMESTAMP(MICROS,true)); "),
                FieldValue::Gaps(_) => format!(
                    "OPTIONAL group {key} (LIST) {{ REPEATED group list {{ OPTIONAL DOUBLE element; }} }} "
                ),
            };
        }
        schema.push('}');
        let schema = parse_message_type(&schema)?;
        let mut properties = WriterProperties::builder()
            .set_created_by(CREATED_BY.to_owned())
            .set_compression(Compression::SNAPPY);
        for field in fields() {
            if let FieldValue::Json(_) | FieldValue::Payload(_) = field.get(&unset) {
                let path = ColumnPath::from(field.key);
                properties = properties.set_column_dictionary_page_size_limit(path, DICTIONARY);
            }
        }
        let columns = fields().map(|field| Column::of(field.get(&unset)));
        Ok(Self {
            file: SerializedFileWriter::new(out, Arc::new(schema), Arc::new(properties.build()))?,
            columns: std::iter::once(Column::Texts(Cells::default()))
                .chain(columns)
                .collect(),
            sent: SentTexts::default(),
            rows: 0,
            bytes: 0,
            run: Bytes::new(),
        })
    }

    fn write_group(&mut self) -> Result<(), ParquetError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        for (place, column) in self.columns.iter_mut().enumerate() {
            let writer = group.next_column()?;
            let writer = writer.ok_or(ParquetError::IndexOutOfBound(place, place))?;
            // Every request has a run.
            column.write(writer, place > 0)?;
        }
        group.close()?;
        self.sent.clear();
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }
}

impl<W: Write + Send> super::Rows for Rows<W> {
    fn row(&mut self, run: &str, response: &InvocationResponse) -> io::Result<()> {
        if *self.run != *run.as_bytes() {
            self.run = Bytes::copy_from_slice(run.as_bytes());
        }
        let mut columns = self.columns.iter_mut();
        if let Some(Column::Texts(names)) = columns.next() {
            names.push(Some(self.run.clone().into()));
        }
        for (field, column) in InvocationResponse::FIELDS.iter().zip(columns) {
            let value = field.get(response);
            self.bytes += size_of::<ByteArray>();
            match column {
                Column::Texts(cells) => {
                    let text = match value {
                        FieldValue::Text(text) => {
                            self.bytes += text.map_or(0, str::len);
                            text.map(|text| Bytes::copy_from_slice(text.as_bytes()))
                        }
                        FieldValue::Payload(_) => self.sent.payload(response),
                        FieldValue::Json(_) => self.sent.prompt(response),
                        FieldValue::Annotations(annotations) => {
                            let text = json_text(annotations);
                            self.bytes += text.len();
                            Some(text.into())
                        }
                        _ => None,
                    };
                    cells.push(text.map(ByteArray::from));
                }
                Column::Numbers(cells) => cells.push(match value {
                    FieldValue::Seconds(seconds) => seconds.filter(|seconds| !seconds.is_nan()),
                    _ => None,
                }),
                Column::Counts(cells) => cells.push(match value {
                    FieldValue::Count(count) => {
                        count.map(|count| i64::try_from(count).unwrap_or(i64::MAX))
                    }
                    FieldValue::Time(time) => time.map(|time| time.as_microsecond()),
                    _ => None,
                }),
                Column::Lists(lists) => {
                    if let FieldValue::Gaps(gaps) = value {
                        self.bytes += size_of_val(gaps) * 3;
                        lists.push(gaps);
                    }
                }
            }
        }
        self.rows += 1;
        if self.rows >= MAX_ROWS || self.bytes + self.sent.bytes() >= MAX_BYTES {
            self.write_group().map_err(io_error)?;
        }
        Ok(())
    }

    fn finish(mut self, runs: &Value) -> io::Result<()> {
        self.write_group().map_err(io_error)?;
        let runs = KeyValue::new("llmeter.runs".to_owned(), runs.to_string());
        self.file.append_key_value_metadata(runs);
        self.file.finish().map_err(io_error)?;
        Ok(())
    }
}

/// What the system said, if it was the system.
fn io_error(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(source) => match source.downcast() {
            Ok(source) => *source,
            Err(source) => io::Error::other(source),
        },
        error => io::Error::other(error),
    }
}

/// A column's cells of the rows that are not written yet.
enum Column {
    Texts(Cells<ByteArray>),
    Numbers(Cells<f64>),
    /// Whole numbers, and times in microseconds.
    Counts(Cells<i64>),
    Lists(Lists),
}

impl Column {
    fn of(kind: FieldValue<'_>) -> Self {
        match kind {
            FieldValue::Text(_)
            | FieldValue::Json(_)
            | FieldValue::Payload(_)
            | FieldValue::Annotations(_) => Self::Texts(Cells::default()),
            FieldValue::Seconds(_) => Self::Numbers(Cells::default()),
            FieldValue::Count(_) | FieldValue::Time(_) => Self::Counts(Cells::default()),
            FieldValue::Gaps(_) => Self::Lists(Lists::default()),
        }
    }

    /// Writes the cells and drops them.
    fn write(
        &mut self,
        mut writer: SerializedColumnWriter<'_>,
        is_optional: bool,
    ) -> Result<(), ParquetError> {
        match self {
            Self::Texts(cells) => cells.write::<ByteArrayType>(&mut writer, is_optional)?,
            Self::Numbers(cells) => cells.write::<DoubleType>(&mut writer, is_optional)?,
            Self::Counts(cells) => cells.write::<Int64Type>(&mut writer, is_optional)?,
            Self::Lists(lists) => {
                let (values, set, repeated) = (&lists.values, &lists.set, &lists.repeated);
                let writer = writer.typed::<DoubleType>();
                writer.write_batch(values, Some(set), Some(repeated))?;
                *lists = Lists::default();
            }
        }
        writer.close()
    }
}

/// Cells of which some are unset.
struct Cells<T> {
    values: Vec<T>,
    set: Vec<i16>,
}

impl<T> Default for Cells<T> {
    fn default() -> Self {
        Self {
            values: Vec::new(),
            set: Vec::new(),
        }
    }
}

impl<T> Cells<T> {
    fn push(&mut self, value: Option<T>) {
        self.set.push(value.as_ref().map_or(UNSET, |_| SET));
        self.values.extend(value);
    }

    fn write<D: DataType<T = T>>(
        &mut self,
        writer: &mut SerializedColumnWriter<'_>,
        is_optional: bool,
    ) -> Result<(), ParquetError> {
        let set = is_optional.then_some(&*self.set);
        writer.typed::<D>().write_batch(&self.values, set, None)?;
        *self = Self::default();
        Ok(())
    }
}

/// Lists, one after the other.
#[derive(Default)]
struct Lists {
    values: Vec<f64>,
    set: Vec<i16>,
    repeated: Vec<i16>,
}

impl Lists {
    /// Adds a list; an empty one is unset.
    fn push(&mut self, gaps: &[f32]) {
        if gaps.is_empty() {
            self.set.push(NO_LIST);
            self.repeated.push(0);
        }
        for (place, &gap) in gaps.iter().enumerate() {
            self.repeated.push(i16::from(place > 0));
            self.set.push(match gap.is_finite() {
                true => NUMBER,
                false => NO_NUMBER,
            });
            if gap.is_finite() {
                self.values.push(gap_seconds(gap));
            }
        }
    }
}
