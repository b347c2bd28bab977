//! Which columns of a file are what.

use crate::base::error::{Error, Result};
use crate::base::setting::Setting;

/// What a column can be.
const PARTS: [&str; 4] = ["prompt", "messages", "system", "output_tokens"];

/// The names of columns: of a CSV file, or of the fields of an object in JSON or a row in Parquet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Columns(Vec<(String, String)>);

impl Columns {
    /// From `prompt=question,output_tokens=n`.
    ///
    /// # Errors
    /// If it is none, or names something that a column cannot be.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = |given: &str| {
            let parts = PARTS.join(", ");
            let expected =
                format!("PART=COLUMN with one of the parts {parts}, like prompt=question");
            Error::invalid(Setting::DataColumns, given, expected)
        };
        let mut columns = Vec::new();
        for pair in text
            .split(',')
            .map(str::trim)
            .filter(|pair| !pair.is_empty())
        {
            let (part, column) = pair.split_once('=').ok_or_else(|| refuse(pair))?;
            let (part, column) = (part.trim(), column.trim());
            if !PARTS.contains(&part) || column.is_empty() {
                return Err(refuse(pair));
            }
            columns.push((part.to_owned(), column.to_owned()));
        }
        match columns
            .iter()
            .any(|(part, _)| part == "prompt" || part == "messages")
        {
            true => Ok(Self(columns)),
            false => Err(refuse(text)),
        }
    }

    /// Whether nothing is said.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The column that is this part.
    pub(super) fn of(&self, part: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == part);
        found.map(|(_, column)| column.as_str())
    }
}
