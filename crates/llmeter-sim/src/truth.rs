//! What really happened, as the server saw it.
//!
//! Belongs here: the record of one request, the log that collects records without delaying the
//! workers, and the reader of a log file. The file's format is in the crate's documentation.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        mpsc::{self, Receiver, Sender, TryRecvError},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use crate::clock::Time;
use llmeter::storage::files::{self, Access};
use serde::{Deserialize, Serialize};

use crate::error::SimError;

/// How the work on a request ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// The complete response was sent.
    Ok,
    /// A simulated server error was sent instead of a response.
    Error,
    /// The stream was left silent on purpose.
    Stall,
    /// The connection was closed on purpose.
    Cut,
    /// The client left before its response was complete.
    ClientGone,
    /// The simulator was stopped before the response was complete.
    Stopped,
}

/// The true times of one request.
///
/// All times are nanoseconds of the system's monotonic clock, which every process of the machine
/// shares. The simulator reads it, and translates the kernel's stamps to it, by code of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TruthRecord {
    /// The id that the response bore.
    pub id: String,
    /// When the connection that the request came on was accepted: the time after that call.
    #[serde(default)]
    pub accepted_ns: i64,
    /// When the segment arrived with which the client began the TLS handshake of that connection; 0
    /// without TLS.
    #[serde(default)]
    pub hello_ns: i64,
    /// When the segment arrived with which the client completed the TLS handshake of that
    /// connection; 0 without TLS.
    #[serde(default)]
    pub handshake_ns: i64,
    /// When the segment with the request's first byte arrived.
    pub arrival_ns: i64,
    /// When the segment with the request's last byte arrived.
    pub arrival_last_ns: i64,
    /// Whether the two arrivals are the kernel's stamps; if not, they are times after a read.
    pub kernel_arrival: bool,
    /// When work began: later than the arrival if the request had to wait for the response
    /// before it on the same connection or in the queue, which lets it in when the response whose
    /// place it gets was due to be complete.
    pub start_ns: i64,
    /// For each frame with generated content, the time immediately before the `write` call that
    /// handed (the last byte of) it to the kernel. A non-streaming response is one frame.
    pub writes: Vec<i64>,
    /// How many of `writes`, from the first on, carried reasoning.
    pub reasoning_writes: u32,
    /// The time immediately before the `write` call with the response's last byte; 0 if none was
    /// sent.
    pub done_ns: i64,
    /// Prompt tokens, as in the response's usage.
    pub prompt_tokens: u64,
    /// How many of these the prefix cache had.
    #[serde(default)]
    pub cached_tokens: u64,
    /// Generated tokens, as in the response's usage.
    pub completion_tokens: u64,
    /// How it ended.
    pub outcome: Outcome,
}

/// Collects records. Cheap to call from a worker: a record that goes to a file is formatted and
/// written by another thread.
#[derive(Debug)]
pub(crate) struct TruthLog {
    kept: Option<Mutex<Vec<TruthRecord>>>,
    file: Option<Mutex<Sender<TruthRecord>>>,
}

/// The thread that writes the file. It ends when the last [`TruthLog`] is gone.
#[derive(Debug)]
pub(crate) struct TruthWriter {
    path: PathBuf,
    thread: JoinHandle<io::Result<()>>,
}

impl TruthLog {
    /// A log in memory, in a file, in both or in neither.
    pub(crate) fn open(
        keep: bool,
        path: Option<&Path>,
        overwrite: bool,
    ) -> Result<(Self, Option<TruthWriter>), SimError> {
        let kept = keep.then(Mutex::default);
        let Some(path) = path else {
            return Ok((Self { kept, file: None }, None));
        };
        let failed = |source| SimError::Truth {
            path: path.to_owned(),
            source,
        };
        let file = new_file(path, overwrite).map_err(failed)?;
        let (sender, receiver) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sim-truth".to_owned())
            .spawn(move || write_records(file, &receiver))
            .map_err(failed)?;
        let writer = TruthWriter {
            path: path.to_owned(),
            thread,
        };
        let file = Some(Mutex::new(sender));
        Ok((Self { kept, file }, Some(writer)))
    }

    /// Whether anyone wants records.
    pub(crate) fn wanted(&self) -> bool {
        self.kept.is_some() || self.file.is_some()
    }

    pub(crate) fn push(&self, record: TruthRecord) {
        if let Some(file) = &self.file {
            let sender = file.lock().unwrap_or_else(PoisonError::into_inner);
            // Fails only when the writer has died of a disk error, which it reports itself.
            let _ = sender.send(record.clone());
        }
        if let Some(kept) = &self.kept {
            kept.lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(record);
        }
    }

    /// A copy of what was kept in memory.
    pub(crate) fn kept(&self) -> Vec<TruthRecord> {
        self.kept.as_ref().map_or_else(Vec::new, |kept| {
            kept.lock().unwrap_or_else(PoisonError::into_inner).clone()
        })
    }
}

impl TruthWriter {
    /// Waits until everything is on its way to the disk. The log must be gone by now.
    pub(crate) fn finish(self) -> Result<(), SimError> {
        let result = self
            .thread
            .join()
            .unwrap_or_else(|_| Err(io::Error::other("the writing thread panicked")));
        result.map_err(|source| SimError::Truth {
            path: self.path,
            source,
        })
    }
}

/// Makes the file, or takes one that is empty or may be replaced. No link is followed.
fn new_file(path: &Path, overwrite: bool) -> io::Result<File> {
    match files::create_new(path, Access::Umask) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let file = files::append(path, Access::Umask)?;
    if file.metadata()?.len() > 0 {
        if !overwrite {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "it is there already and not empty",
            ));
        }
        file.set_len(0)?;
    }
    Ok(file)
}

/// How often the writer looks for records. It is never woken by a record, because that would cost
/// the worker a system call and, on a shared core, the core.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

fn write_records(file: File, receiver: &Receiver<TruthRecord>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 16, file);
    loop {
        match receiver.try_recv() {
            Ok(record) => {
                serde_json::to_writer(&mut out, &record)?;
                out.write_all(b"\n")?;
            }
            Err(TryRecvError::Empty) => {
                out.flush()?;
                thread::sleep(POLL_INTERVAL);
            }
            Err(TryRecvError::Disconnected) => return out.flush(),
        }
    }
}

/// Reads a truth file.
///
/// A last line without a line feed is what an abrupt end left behind, and is ignored.
///
/// # Errors
/// [`SimError::Truth`] when the file cannot be read, [`SimError::TruthFormat`] when a whole line
/// is not a record.
pub fn read_truth(path: impl AsRef<Path>) -> Result<Vec<TruthRecord>, SimError> {
    let path = path.as_ref();
    let failed = |source| SimError::Truth {
        path: path.to_owned(),
        source,
    };
    let mut reader = BufReader::new(files::open(path).map_err(failed)?);
    let mut records = Vec::new();
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        reader.read_until(b'\n', &mut text).map_err(failed)?;
        if text.last() != Some(&b'\n') {
            break;
        }
        let record = serde_json::from_slice(&text).map_err(|error| SimError::TruthFormat {
            path: path.to_owned(),
            line,
            reason: error.to_string(),
        })?;
        records.push(record);
    }
    Ok(records)
}

/// The record of a request in the making. However the work on it ends, a record results.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    log: &'a TruthLog,
    record: Option<TruthRecord>,
}

impl<'a> Draft<'a> {
    /// Starts a record, unless nobody wants it.
    pub(crate) fn new(log: &'a TruthLog, record: impl FnOnce() -> TruthRecord) -> Self {
        Self {
            record: log.wanted().then(record),
            log,
        }
    }

    /// Work has begun, with so many of the prompt's tokens in the cache.
    pub(crate) fn started(&mut self, at: Time, cached: u64) {
        if let Some(record) = &mut self.record {
            record.start_ns = at.0;
            record.cached_tokens = cached;
        }
    }

    /// A frame with content was handed over.
    #[inline]
    pub(crate) fn wrote(&mut self, at: Time, reasoning: bool) {
        if let Some(record) = &mut self.record {
            record.writes.push(at.0);
            record.reasoning_writes += u32::from(reasoning);
        }
    }

    /// The response's last byte is about to be written, or the work has ended without.
    pub(crate) fn finish(&mut self, outcome: Outcome, done: Option<Time>) {
        if let Some(mut record) = self.record.take() {
            record.outcome = outcome;
            record.done_ns = done.map_or(0, |stamp| stamp.0);
            self.log.push(record);
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.finish(Outcome::Stopped, None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(id: &str) -> TruthRecord {
        TruthRecord {
            id: id.into(),
            accepted_ns: 1,
            hello_ns: 0,
            handshake_ns: 0,
            arrival_ns: 1,
            arrival_last_ns: 2,
            kernel_arrival: true,
            start_ns: 2,
            writes: vec![3, 4],
            reasoning_writes: 1,
            done_ns: 5,
            prompt_tokens: 6,
            cached_tokens: 2,
            completion_tokens: 2,
            outcome: Outcome::ClientGone,
        }
    }

    #[test]
    fn a_file_gives_back_what_was_logged() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("truth.jsonl");
        let (log, writer) = TruthLog::open(true, Some(&path), false).unwrap();
        log.push(record("a"));
        drop(Draft::new(&log, || record("b")));
        let kept = log.kept();
        drop(log);
        writer.unwrap().finish().unwrap();
        assert_eq!(read_truth(&path).unwrap(), kept);
        assert_eq!(kept[0], record("a"));
        assert_eq!((kept[1].outcome, kept[1].done_ns), (Outcome::Stopped, 0));
    }

    #[test]
    fn a_file_that_holds_something_is_replaced_only_on_demand() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("truth.jsonl");
        std::fs::write(&path, "mine").unwrap();
        let error = TruthLog::open(false, Some(&path), false).unwrap_err();
        assert!(error.to_string().contains("truth"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "mine");
        let (log, writer) = TruthLog::open(false, Some(&path), true).unwrap();
        log.push(record("a"));
        drop(log);
        writer.unwrap().finish().unwrap();
        assert_eq!(read_truth(&path).unwrap(), [record("a")]);
    }

    #[test]
    fn a_torn_last_line_is_ignored_and_a_bad_one_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("truth.jsonl");
        let whole = serde_json::to_string(&record("a")).unwrap();
        std::fs::write(&path, format!("{whole}\n{}", &whole[..20])).unwrap();
        assert_eq!(read_truth(&path).unwrap().len(), 1);
        std::fs::write(&path, format!("{whole}\n{{}}\n")).unwrap();
        let error = read_truth(&path).unwrap_err().to_string();
        assert!(error.contains("line 2: missing field `id`"), "{error}");
    }

    #[test]
    fn an_unwanted_log_makes_no_records() {
        let (log, writer) = TruthLog::open(false, None, false).unwrap();
        assert!(writer.is_none());
        let _draft = Draft::new(&log, || unreachable!());
    }
}
