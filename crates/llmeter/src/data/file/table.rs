//! Tables: CSV and Parquet, each row as an object of its columns.

use std::io::Read;
use std::path::Path;

use csv::StringRecord;
use serde_json::{Map, Value};

use crate::base::error::{Error, Result};

/// What a row becomes: its columns, its number, and whether that is a line.
pub(in crate::data) type TakeRow<'t> =
    &'t mut dyn FnMut(Map<String, Value>, u64, bool) -> Result<()>;

/// A CSV file whose first line names the columns.
pub(in crate::data) fn csv(path: &Path, reader: impl Read, take: TakeRow<'_>) -> Result<()> {
    let content = |line: Option<u64>, reason: String| Error::Content {
        path: path.to_path_buf(),
        line: line.map(|line| line as usize),
        column: None,
        reason,
        source: None,
    };
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(reader);
    let unreadable = |reason: csv::Error| {
        let line = reason.position().map(csv::Position::line);
        content(line, format!("it cannot be read as CSV: {reason}"))
    };
    let names = reader.headers().map_err(unreadable)?.clone();
    if names.len() < 2 && names.iter().all(|name| name.contains(char::is_whitespace)) {
        let reason = "it is neither JSON, JSONL, CSV nor Parquet, which are the files that data is read from";
        return Err(content(None, reason.to_owned()));
    }
    let mut record = StringRecord::new();
    while reader.read_record(&mut record).map_err(unreadable)? {
        let line = record.position().map(csv::Position::line);
        if record.len() != names.len() {
            let reason = format!(
                "it has {} columns, and the first line names {}",
                record.len(),
                names.len()
            );
            return Err(content(line, reason));
        }
        let fields = names.iter().zip(&record).map(|(name, value)| {
            // What is empty is not there.
            let value = match value {
                "" => Value::Null,
                text => text.into(),
            };
            (name.trim().to_owned(), value)
        });
        take(fields.collect(), line.unwrap_or_default(), true)?;
    }
    Ok(())
}

/// A Parquet file.
#[cfg(feature = "parquet")]
pub(super) fn parquet(path: &Path, bytes: Vec<u8>, take: TakeRow<'_>) -> Result<()> {
    use parquet::file::reader::{FileReader, SerializedFileReader};

    let unreadable = |reason: parquet::errors::ParquetError| Error::Content {
        path: path.to_path_buf(),
        line: None,
        column: None,
        reason: format!("it cannot be read as Parquet: {reason}"),
        source: None,
    };
    let reader = SerializedFileReader::new(bytes::Bytes::from(bytes)).map_err(unreadable)?;
    let rows = reader.get_row_iter(None).map_err(unreadable)?;
    for (index, row) in rows.enumerate() {
        let row = row.map_err(unreadable)?;
        let columns = row.get_column_iter();
        let fields = columns.map(|(name, field)| (name.clone(), json_of(field)));
        take(fields.collect(), index as u64 + 1, false)?;
    }
    Ok(())
}

#[cfg(feature = "parquet")]
fn json_of(field: &parquet::record::Field) -> Value {
    use parquet::record::Field;

    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float(value) => (*value).into(),
        Field::Double(value) => (*value).into(),
        Field::Str(value) => value.as_str().into(),
        Field::Bytes(value) => String::from_utf8_lossy(value.data()).into_owned().into(),
        Field::Group(row) => {
            let columns = row.get_column_iter();
            let fields = columns.map(|(name, field)| (name.clone(), json_of(field)));
            Value::Object(fields.collect())
        }
        Field::ListInternal(list) => list.elements().iter().map(json_of).collect(),
        other => other.to_string().into(),
    }
}

/// A Parquet file, which this build does not read.
#[cfg(not(feature = "parquet"))]
pub(super) fn parquet(path: &Path, _: Vec<u8>, _: TakeRow<'_>) -> Result<()> {
    Err(Error::MissingFeature {
        what: format!("{} is a Parquet file", path.display()),
        feature: "parquet",
    })
}
