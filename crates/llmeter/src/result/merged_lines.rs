//! The lines of several files of responses in one, in the order in which the responses ended.
//!
//! Belongs here: the order, and that no file is held in memory. Does not belong here: what the parts
//! are and what becomes of their figures (`experiment`).

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;

use super::folder::RESPONSES_FILE;
use super::line_reader::LineReader;
use super::responses_file::{Findings, ResponsesWriter, parse};
use super::saved_folder::SavedFolder;
use crate::base::file;
use crate::storage::Location;
use crate::{Error, InvocationResponse, Result};

/// Lines of a part that are put in order. A run writes its lines nearly in the order in which responses
/// ended: decoders hand them over in batches.
const LOOK_AHEAD: usize = 256;
/// Bytes of lines that are handed over together.
const BATCH: usize = 64 << 10;
/// Batches of a part that wait.
const WAITING_BATCHES: usize = 2;

/// What was read of one part.
#[derive(Debug, Default)]
pub(crate) struct LinesOf {
    /// Responses that were taken.
    pub(crate) responses: u64,
    /// What is wrong with the file.
    pub(crate) warnings: Vec<String>,
}

/// Where a line belongs: when the response ended and when its request was sent, in microseconds, and, so
/// that the order never depends on how lines are divided, what it says.
type Place = (i64, i64);

/// A line of a part.
struct Line {
    place: Place,
    /// In a box, since lines move about while they are put in order.
    body: Box<(Box<[u8]>, InvocationResponse)>,
}

/// Lines are ordered by their place, then by their text.
impl Ord for Line {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.place, &self.body.0).cmp(&(other.place, &other.body.0))
    }
}

impl PartialOrd for Line {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Line {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Line {}

/// Writes the lines of all folders' responses to `writer`, in the order in which responses ended, and
/// hands each response, without its texts, to `each` with the place of its folder. Tells what was found
/// in each folder. `twice` is told of two folders that have the same response.
///
/// # Errors
/// If a file cannot be read or written, or at the first error of `each` or `twice`.
pub(crate) fn merge_lines(
    folders: &[Location],
    writer: &mut ResponsesWriter,
    mut each: impl FnMut(usize, &InvocationResponse) -> Result<()>,
    twice: impl Fn(usize, usize) -> Result<()>,
) -> Result<Vec<LinesOf>> {
    // Kept open: copies of folders in the cloud go with them.
    let opened = folders.iter().map(SavedFolder::open);
    let opened = opened.collect::<Result<Vec<_>>>()?;
    let paths = opened.iter().map(SavedFolder::responses);
    let paths = paths.collect::<Result<Vec<_>>>()?;
    let mut found: Vec<LinesOf> = folders.iter().map(|_| LinesOf::default()).collect();
    thread::scope(|scope| {
        let mut parts = Vec::with_capacity(paths.len());
        for path in paths {
            let Some(path) = path else {
                parts.push(None);
                continue;
            };
            let (hand_over, batches) = mpsc::sync_channel(WAITING_BATCHES);
            let reading = thread::Builder::new()
                .name("reader".to_owned())
                .spawn_scoped(scope, move || read_part(&path, &hand_over))
                .map_err(Error::system("start a thread"))?;
            let part = Part {
                batches,
                batch: Vec::new().into_iter(),
                reading,
            };
            parts.push(Some(part));
        }
        let mut heads = BinaryHeap::new();
        for (index, part) in parts.iter_mut().enumerate() {
            if let Some(line) = part.as_mut().and_then(Part::next) {
                heads.push(Reverse((line, index)));
            }
        }
        let mut last: Option<(Line, usize)> = None;
        while let Some(mut head) = heads.peek_mut() {
            let Reverse((line, index)) = &mut *head;
            let index = *index;
            let (text, response) = &*line.body;
            // Equal lines come one after the other. Failures may be equal without being one.
            if let Some((before, other)) = &last
                && *other != index
                && response.error.is_none()
                && before == line
            {
                twice(index, *other)?;
            }
            each(index, response)?;
            writer.append_line(text)?;
            found[index].responses += 1;
            let written = match parts[index].as_mut().and_then(Part::next) {
                Some(next) => std::mem::replace(line, next),
                None => std::collections::binary_heap::PeekMut::pop(head).0.0,
            };
            last = Some((written, index));
        }
        for ((part, found), folder) in parts.into_iter().zip(&mut found).zip(folders) {
            if let Some(part) = part {
                drop(part.batches);
                let findings = part.reading.join();
                let findings =
                    findings.unwrap_or(Err(Error::Internal("reading responses panicked")))?;
                found.warnings = findings.warnings(&folder.join(RESPONSES_FILE));
            }
        }
        writer.flush()?;
        Ok(found)
    })
}

/// A part whose lines are read by a thread of its own.
struct Part<'scope> {
    batches: mpsc::Receiver<Vec<Line>>,
    batch: std::vec::IntoIter<Line>,
    reading: thread::ScopedJoinHandle<'scope, Result<Findings>>,
}

impl Part<'_> {
    fn next(&mut self) -> Option<Line> {
        loop {
            if let Some(line) = self.batch.next() {
                return Some(line);
            }
            self.batch = self.batches.recv().ok()?.into_iter();
        }
    }
}

/// Reads a file and hands its lines over in order.
fn read_part(path: &PathBuf, hand_over: &mpsc::SyncSender<Vec<Line>>) -> Result<Findings> {
    let file = file::open(path).map_err(Error::io("reading", path))?;
    let mut ahead = BinaryHeap::with_capacity(LOOK_AHEAD + 1);
    let (mut batch, mut size) = (Vec::new(), 0);
    // A line must not come before the one that has its payload.
    let mut heads: HashMap<String, Place> = HashMap::new();
    let mut last = (i64::MIN, i64::MIN);
    let findings = parse(path, file, LineReader::merging(), |response, head, text| {
        let mut place = place_of(&response).unwrap_or(last);
        last = place;
        if let Some(id) = head {
            place = place.max(*heads.entry(id).or_insert(place));
        }
        let body = Box::new((text.trim_ascii().into(), response));
        ahead.push(Reverse(Line { place, body }));
        if ahead.len() <= LOOK_AHEAD {
            return true;
        }
        if let Some(Reverse(line)) = ahead.pop() {
            size += line.body.0.len();
            batch.push(line);
        }
        if size < BATCH {
            return true;
        }
        size = 0;
        // Nobody takes them any more after an error.
        hand_over.send(std::mem::take(&mut batch)).is_ok()
    })?;
    batch.extend(std::iter::from_fn(|| ahead.pop()).map(|Reverse(line)| line));
    let _ = hand_over.send(batch);
    Ok(findings)
}

/// When a response ended and when its request was sent; `None` if it does not say.
fn place_of(response: &InvocationResponse) -> Option<Place> {
    let sent = response.request_time?.as_microsecond();
    let took = response.time_in_flight().unwrap_or(0.0);
    Some((sent.saturating_add((took * 1e6) as i64), sent))
}
