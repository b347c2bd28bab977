//! The table as columns in memory, laid out as Apache Arrow has them.
//!
//! Data frames take such columns as they are, without a file or a text in between. How they are handed over
//! is the caller's business: nothing here points anywhere.

use std::collections::HashMap;
use std::io;

use bytes::Bytes;
use serde_json::Value;

use super::sent::{SentTexts, json_text};
use super::{RUN, about_run, unwritten};
use crate::api::FieldValue;
use crate::result::RunResult;
use crate::stats::gap_seconds;
use crate::{InvocationResponse, Result};

/// Texts of so many bytes and fewer lie in their views.
const MAX_INLINE: usize = 12;
/// A further buffer is begun when one has so many bytes.
const MAX_BUFFER: usize = 1 << 30;

/// The requests of runs as columns: the run's name, then each field of [`InvocationResponse::FIELDS`], as
/// [`write_requests`](super::write_requests) describes them.
///
/// ```
/// use llmeter::RunResult;
/// use llmeter::report::RequestColumns;
/// let mut table = RequestColumns::default();
/// table.add("nightly", &RunResult::default())?;
/// assert_eq!((table.rows(), table.columns()[0].name()), (0, "run"));
/// # Ok::<_, llmeter::Error>(())
/// ```
#[derive(Debug)]
pub struct RequestColumns {
    rows: usize,
    columns: Vec<RequestColumn>,
    runs: Vec<Value>,
}

/// One column of [`RequestColumns`].
#[derive(Debug)]
pub struct RequestColumn {
    name: &'static str,
    set: Bits,
    cells: ColumnCells,
}

/// What a column holds. A cell that is unset has some value all the same.
#[derive(Debug)]
pub enum ColumnCells {
    /// Texts, payloads and annotations.
    Texts(TextCells),
    /// Seconds.
    Numbers(Vec<f64>),
    /// Numbers of things.
    Counts(Vec<i64>),
    /// Microseconds since the Unix epoch.
    Times(Vec<i64>),
    /// Lists of seconds, one after the other.
    Lists(ListCells),
}

/// Texts as views (Arrow's "variable-size binary view"): a text that many requests share is there once.
#[derive(Debug, Default)]
pub struct TextCells {
    views: Vec<u128>,
    buffers: Vec<Vec<u8>>,
    /// Views of texts that are shared, by where they lie while the table is made.
    shared: HashMap<(usize, usize), u128>,
}

/// Lists of numbers.
#[derive(Debug)]
pub struct ListCells {
    offsets: Vec<i64>,
    values: Vec<f64>,
    set: Bits,
}

/// Which values are set: a bit each, the first one lowest.
#[derive(Debug, Default)]
pub struct Bits {
    bytes: Vec<u8>,
    len: usize,
    unset: usize,
}

impl Default for RequestColumns {
    fn default() -> Self {
        let unset = InvocationResponse::default();
        let fields = InvocationResponse::FIELDS.iter();
        let fields = fields.map(|field| (field.key, ColumnCells::of(&field.get(&unset))));
        let run = (RUN, ColumnCells::Texts(TextCells::default()));
        let columns = std::iter::once(run).chain(fields);
        Self {
            rows: 0,
            columns: columns
                .map(|(name, cells)| RequestColumn {
                    name,
                    set: Bits::default(),
                    cells,
                })
                .collect(),
            runs: Vec::new(),
        }
    }
}

impl RequestColumns {
    /// Adds the requests of a run.
    ///
    /// # Errors
    /// If a text is longer than Arrow allows, 2 GiB.
    pub fn add(&mut self, run: &str, result: &RunResult) -> Result<()> {
        // What was sent stays where it is until the last row is added.
        let mut sent = SentTexts::default();
        for response in &result.responses {
            self.row(run, response, &mut sent).map_err(unwritten)?;
        }
        for column in &mut self.columns {
            if let ColumnCells::Texts(texts) = &mut column.cells {
                texts.shared = HashMap::new();
            }
        }
        self.runs.push(about_run(run, result));
        Ok(())
    }

    /// The number of requests.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The columns, in their order.
    pub fn columns(&self) -> &[RequestColumn] {
        &self.columns
    }

    /// What the runs are: a JSON list with `run`, `summary` and `stats` of each.
    pub fn runs(&self) -> String {
        json_text(&self.runs)
    }

    fn row(
        &mut self,
        run: &str,
        response: &InvocationResponse,
        sent: &mut SentTexts,
    ) -> io::Result<()> {
        let mut columns = self.columns.iter_mut();
        if let Some(names) = columns.next()
            && let ColumnCells::Texts(texts) = &mut names.cells
        {
            names.set.push(true);
            texts.push_shared(run.as_bytes())?;
        }
        for (field, column) in InvocationResponse::FIELDS.iter().zip(columns) {
            column.push(field.get(response), response, sent)?;
        }
        self.rows += 1;
        Ok(())
    }
}

impl RequestColumn {
    /// The field's key, or `run`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Which cells are set.
    pub fn set(&self) -> &Bits {
        &self.set
    }

    /// What it holds.
    pub fn cells(&self) -> &ColumnCells {
        &self.cells
    }

    fn push(
        &mut self,
        value: FieldValue<'_>,
        response: &InvocationResponse,
        sent: &mut SentTexts,
    ) -> io::Result<()> {
        let is_set = match &mut self.cells {
            ColumnCells::Texts(texts) => match value {
                FieldValue::Text(Some(text)) => texts.push(text.as_bytes()).map(|()| true)?,
                FieldValue::Annotations(annotations) => texts
                    .push(json_text(annotations).as_bytes())
                    .map(|()| true)?,
                FieldValue::Payload(_) => texts.push_sent(sent.payload(response))?,
                FieldValue::Json(_) => texts.push_sent(sent.prompt(response))?,
                _ => texts.push_sent(None)?,
            },
            ColumnCells::Numbers(numbers) => {
                let number = match value {
                    FieldValue::Seconds(seconds) => seconds.filter(|seconds| !seconds.is_nan()),
                    _ => None,
                };
                numbers.push(number.unwrap_or_default());
                number.is_some()
            }
            ColumnCells::Counts(counts) => {
                let count = match value {
                    FieldValue::Count(count) => count,
                    _ => None,
                };
                counts.push(count.map_or(0, |count| i64::try_from(count).unwrap_or(i64::MAX)));
                count.is_some()
            }
            ColumnCells::Times(times) => {
                let time = match value {
                    FieldValue::Time(time) => time,
                    _ => None,
                };
                times.push(time.map_or(0, |time| time.as_microsecond()));
                time.is_some()
            }
            ColumnCells::Lists(lists) => match value {
                FieldValue::Gaps(gaps) => lists.push(gaps),
                _ => lists.push(&[]),
            },
        };
        self.set.push(is_set);
        Ok(())
    }
}

impl ColumnCells {
    fn of(kind: &FieldValue<'_>) -> Self {
        match kind {
            FieldValue::Text(_)
            | FieldValue::Json(_)
            | FieldValue::Payload(_)
            | FieldValue::Annotations(_) => Self::Texts(TextCells::default()),
            FieldValue::Seconds(_) => Self::Numbers(Vec::new()),
            FieldValue::Count(_) => Self::Counts(Vec::new()),
            FieldValue::Time(_) => Self::Times(Vec::new()),
            FieldValue::Gaps(_) => Self::Lists(ListCells::default()),
        }
    }
}

impl TextCells {
    /// Of each text, in the machine's byte order: its length in 4 bytes and, if it has up to 12, itself; else
    /// its first four bytes, the number of its buffer and where in that it begins.
    pub fn views(&self) -> &[u128] {
        &self.views
    }

    /// The texts that are longer than their views.
    pub fn buffers(&self) -> &[Vec<u8>] {
        &self.buffers
    }

    fn push(&mut self, text: &[u8]) -> io::Result<()> {
        let view = self.view(text)?;
        self.views.push(view);
        Ok(())
    }

    /// Adds a text that lies where it is until the run's last row is added.
    fn push_shared(&mut self, text: &[u8]) -> io::Result<()> {
        let place = (text.as_ptr() as usize, text.len());
        let view = match self.shared.get(&place) {
            Some(view) => *view,
            None => {
                let view = self.view(text)?;
                self.shared.insert(place, view);
                view
            }
        };
        self.views.push(view);
        Ok(())
    }

    /// Adds what was sent, which [`SentTexts`] keeps; tells whether there is anything.
    fn push_sent(&mut self, text: Option<Bytes>) -> io::Result<bool> {
        match &text {
            Some(text) => self.push_shared(text)?,
            None => self.views.push(0),
        }
        Ok(text.is_some())
    }

    fn view(&mut self, text: &[u8]) -> io::Result<u128> {
        let too_long = |_| io::Error::new(io::ErrorKind::InvalidInput, "a text of 2 GiB or more");
        let len = i32::try_from(text.len()).map_err(too_long)?;
        let mut view = [0; 16];
        view[..4].copy_from_slice(&len.to_ne_bytes());
        if text.len() <= MAX_INLINE {
            view[4..4 + text.len()].copy_from_slice(text);
            return Ok(u128::from_ne_bytes(view));
        }
        let is_full = |buffer: &Vec<u8>| buffer.len() + text.len() > MAX_BUFFER;
        if self.buffers.last().is_none_or(is_full) {
            self.buffers.push(Vec::new());
        }
        let index = (self.buffers.len() - 1) as i32;
        let offset = self.buffers.last_mut().map_or(0, |buffer| {
            let offset = buffer.len() as i32;
            buffer.extend_from_slice(text);
            offset
        });
        view[4..8].copy_from_slice(&text[..4]);
        view[8..12].copy_from_slice(&index.to_ne_bytes());
        view[12..].copy_from_slice(&offset.to_ne_bytes());
        Ok(u128::from_ne_bytes(view))
    }
}

impl Default for ListCells {
    fn default() -> Self {
        Self {
            offsets: vec![0],
            values: Vec::new(),
            set: Bits::default(),
        }
    }
}

impl ListCells {
    /// Where each list begins, and where the last one ends.
    pub fn offsets(&self) -> &[i64] {
        &self.offsets
    }

    /// The values of all lists.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// Which values are numbers.
    pub fn set(&self) -> &Bits {
        &self.set
    }

    /// Adds a list; an empty one is unset.
    fn push(&mut self, gaps: &[f32]) -> bool {
        for &gap in gaps {
            self.set.push(gap.is_finite());
            let is_number = gap.is_finite();
            self.values
                .push(if is_number { gap_seconds(gap) } else { 0.0 });
        }
        self.offsets.push(self.values.len() as i64);
        !gaps.is_empty()
    }
}

impl Bits {
    /// The bits, eight a byte.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many are not set.
    pub fn unset(&self) -> usize {
        self.unset
    }

    fn push(&mut self, is_set: bool) {
        if self.len.is_multiple_of(8) {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(is_set) << (self.len % 8);
        }
        self.len += 1;
        self.unset += usize::from(!is_set);
    }
}
