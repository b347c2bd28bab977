//! The file `responses.jsonl`: written line by line, read line by line.

use std::fmt::Display;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;

use super::line_reader::LineReader;
use super::line_writer::LineWriter;
use crate::base::file::{self, MAX_LINE};
use crate::{Error, InvocationResponse, Result};

/// Write to the file when this much is waiting.
const BUFFER: usize = 128 * 1024;

/// Appends responses to `responses.jsonl`.
///
/// The file holds whole lines only. [`flush`](Self::flush) at least twice a second, and a killed
/// process loses no more than that.
#[derive(Debug)]
pub struct ResponsesWriter {
    path: PathBuf,
    file: File,
    lines: LineWriter,
    waiting: Vec<u8>,
    /// Bytes of the file, which end with a line.
    length: u64,
    appended: u64,
}

impl ResponsesWriter {
    pub(crate) fn new(path: PathBuf, file: File) -> Result<Self> {
        let length = file.metadata().map_err(Error::io("opening", &path))?.len();
        Ok(Self {
            path,
            file,
            lines: LineWriter::default(),
            waiting: Vec::new(),
            length,
            appended: 0,
        })
    }

    /// Adds a response.
    ///
    /// # Errors
    /// If the file cannot be written. What could not be written stays and is tried again.
    pub fn append(&mut self, response: &InvocationResponse) -> Result<()> {
        self.lines.write(response, &mut self.waiting);
        self.waiting.push(b'\n');
        self.appended += 1;
        if self.waiting.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    /// Adds a line as it stands in another file.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub(super) fn append_line(&mut self, line: &[u8]) -> Result<()> {
        self.waiting.extend_from_slice(line.trim_ascii());
        self.waiting.push(b'\n');
        self.appended += 1;
        if self.waiting.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    /// Hands everything to the system.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn flush(&mut self) -> Result<()> {
        let mut written = 0;
        let outcome = loop {
            if written == self.waiting.len() {
                break Ok(());
            }
            match self.file.write(&self.waiting[written..]) {
                Ok(0) => break Err(std::io::ErrorKind::WriteZero.into()),
                Ok(length) => written += length,
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        if outcome.is_err() {
            let whole = memchr::memrchr(b'\n', &self.waiting[..written]).map_or(0, |end| end + 1);
            // A file that cannot be cut keeps the rest of the line for the next attempt.
            if self.file.set_len(self.length + whole as u64).is_ok() {
                written = whole;
            }
        }
        self.length += written as u64;
        self.waiting.drain(..written);
        outcome.map_err(Error::io("writing", &self.path))
    }

    /// Writes nothing more. Gives how many of the responses that were added are in the file.
    pub(crate) fn close(mut self) -> u64 {
        let lost = memchr::memchr_iter(b'\n', &self.waiting).count() as u64;
        self.waiting.clear();
        self.appended - lost
    }
}

impl Drop for ResponsesWriter {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::error!("{error}");
        }
    }
}

/// What reading a file of responses found out besides the responses.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    /// Lines, readable or not.
    lines: usize,
    blank: usize,
    broken: usize,
    first_broken: Option<String>,
    unresolved: usize,
}

impl Findings {
    /// Lines, readable or not.
    pub(crate) fn lines(&self) -> u64 {
        self.lines as u64
    }

    /// In words, if there is anything to say.
    pub(crate) fn warnings(&self, path: &impl Display) -> Vec<String> {
        let mut warnings = Vec::new();
        let skipped = self.blank + self.broken;
        if skipped > 0 {
            let reason = match &self.first_broken {
                Some(reason) => format!("; first: {reason}"),
                None => String::new(),
            };
            warnings.push(format!(
                "{path}: skipped {skipped} of {} lines ({} truncated or unreadable, {} blank{reason})",
                self.lines, self.broken, self.blank
            ));
        }
        if self.unresolved > 0 {
            warnings.push(format!(
                "{path}: {} responses refer to a payload whose line is missing",
                self.unresolved
            ));
        }
        warnings
    }
}

/// Bytes of lines whose responses are handed over together.
const BATCH: usize = 256 << 10;
/// Batches that wait to be taken.
const WAITING_BATCHES: usize = 4;

/// Reads the responses of a file one by one, as long as they are taken; lines that cannot be read are
/// skipped and counted. Lines are parsed on a thread of their own, while those before are taken.
pub(crate) fn read_responses(
    path: &Path,
    reader: LineReader,
    mut each: impl FnMut(InvocationResponse) -> Result<()>,
) -> Result<Findings> {
    let file = file::open(path).map_err(Error::io("reading", path))?;
    thread::scope(|scope| {
        let (hand_over, batches) = mpsc::sync_channel::<Vec<InvocationResponse>>(WAITING_BATCHES);
        let parsing = thread::Builder::new()
            .name("reader".to_owned())
            .spawn_scoped(scope, move || {
                let (mut batch, mut size) = (Vec::new(), 0);
                let findings = parse(path, file, reader, |response, _, line| {
                    batch.push(response);
                    size += line.len();
                    if size < BATCH {
                        return true;
                    }
                    size = 0;
                    // Nobody takes them any more after an error.
                    hand_over.send(std::mem::take(&mut batch)).is_ok()
                });
                let _ = hand_over.send(batch);
                findings
            })
            .map_err(Error::system("start a thread"))?;
        // Dropped at an error, which ends the thread.
        for batch in batches {
            batch.into_iter().try_for_each(&mut each)?;
        }
        parsing
            .join()
            .unwrap_or(Err(Error::Internal("reading responses panicked")))
    })
}

/// The responses of a file, each with the id of the line that has its payload, where the reader tells,
/// and with its line, as long as they are taken.
pub(super) fn parse(
    path: &Path,
    file: File,
    mut reader: LineReader,
    mut take: impl FnMut(InvocationResponse, Option<String>, &[u8]) -> bool,
) -> Result<Findings> {
    let mut file = BufReader::with_capacity(BUFFER, file);
    let mut findings = Findings::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let length = (&mut file)
            .take(MAX_LINE)
            .read_until(b'\n', &mut line)
            .map_err(Error::io("reading", path))?;
        if length == 0 {
            break;
        }
        findings.lines += 1;
        if length as u64 == MAX_LINE && !line.ends_with(b"\n") {
            // No response is so long, and what follows may not end at all.
            findings.broken += 1;
            findings.first_broken.get_or_insert_with(|| {
                let (line, limit) = (findings.lines, MAX_LINE >> 20);
                format!("line {line}, at which reading ended, has more than {limit} MiB")
            });
            break;
        }
        if line.trim_ascii().is_empty() {
            findings.blank += 1;
            continue;
        }
        match reader.read_with_head(&line) {
            Ok((response, head)) => {
                if !take(response, head, &line) {
                    break;
                }
            }
            Err(error) => {
                findings.broken += 1;
                findings
                    .first_broken
                    .get_or_insert_with(|| format!("line {}, {error}", findings.lines));
            }
        }
    }
    findings.unresolved = reader.unresolved();
    Ok(findings)
}
