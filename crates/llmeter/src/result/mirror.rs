//! Uploading a run's folder while it is written.
//!
//! A thread of its own follows the staging folder, so that a slow network keeps nobody waiting. It
//! uploads the responses in numbered parts of whole lines while they come, and at the end as one
//! file, after which the parts go.

use std::cell::Cell;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::cloud_folder;
use super::folder::{PARTS_FOLDER, RESPONSES_FILE, STATS_FILE, SUMMARY_FILE};
use super::saved_folder::temporary_folder;
use crate::base::lock::lock;
use crate::base::runtime::{runtime, spawn_low_priority};
use crate::storage::{CloudUrl, Store};
use crate::{Error, Result};
use llmeter_wire::clock;

/// A part is uploaded when this much is waiting, …
const PART: u64 = 5 * 1024 * 1024;
/// … or when something has waited for so many seconds.
const PART_EVERY: f64 = 5.0;
/// How often the size of the responses is looked up.
const POLL: Duration = Duration::from_millis(500);
/// Attempts to upload the end of a run, and the pause between two. Each request of an attempt has
/// timeouts of its own.
const MAX_ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(2);

/// The staging folders of this process that are not uploaded completely.
static STAGING: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Where the files of runs are that are on their way to the cloud. A program that ends without
/// waiting for its runs leaves them there.
pub fn staging_folders() -> Vec<PathBuf> {
    lock(&STAGING).clone()
}

/// The upload of one folder.
#[derive(Debug)]
pub(super) struct Mirror {
    orders: Option<UnboundedSender<(Order, Reply)>>,
    thread: Option<JoinHandle<()>>,
    staging: Mutex<Option<TempDir>>,
    path: PathBuf,
    is_complete: AtomicBool,
}

#[derive(Debug)]
pub(super) enum Order {
    /// Upload this file as a whole.
    Upload(&'static str),
    /// Upload the responses in parts from now on.
    Follow,
    /// Tell whether the folder has its responses as a file.
    HasResponses,
    /// Upload what a complete run has, and delete the parts.
    Complete,
}

type Reply = mpsc::Sender<Result<bool>>;

impl Mirror {
    /// Makes a staging folder and starts the thread. Nothing is uploaded yet.
    pub(super) fn start(url: &CloudUrl) -> Result<Self> {
        let staging = temporary_folder("llmeter-run-")?;
        let path = staging.path().to_path_buf();
        let (orders, received) = unbounded_channel();
        let (url, from) = (url.clone(), path.clone());
        let thread = spawn_low_priority("uploader", move || Uploader::run(&url, from, received))?;
        lock(&STAGING).push(path.clone());
        Ok(Self {
            orders: Some(orders),
            thread: Some(thread),
            staging: Mutex::new(Some(staging)),
            path,
            is_complete: AtomicBool::new(false),
        })
    }

    /// The folder that is mirrored.
    pub(super) fn staging(&self) -> &Path {
        &self.path
    }

    /// Leaves the staging folder where it is.
    pub(super) fn keep_staging(&self) -> &Path {
        if let Some(staging) = lock(&self.staging).take() {
            let _ = staging.keep();
        }
        &self.path
    }

    /// Waits until an order is carried out.
    pub(super) fn order(&self, order: Order) -> Result<bool> {
        let died = || Error::Internal("the uploader stopped");
        let is_end = matches!(order, Order::Complete);
        let (reply, replied) = mpsc::channel();
        let orders = self.orders.as_ref().ok_or_else(died)?;
        orders.send((order, reply)).map_err(|_| died())?;
        let outcome = replied.recv().map_err(|_| died())?;
        if is_end && outcome.is_ok() {
            self.is_complete.store(true, Ordering::Relaxed);
        }
        outcome
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        lock(&STAGING).retain(|path| *path != self.path);
        // The thread ends when nobody can order anything any more.
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        let is_kept = self.staging.get_mut().is_ok_and(|folder| folder.is_none());
        let responses = self.path.join(RESPONSES_FILE).metadata();
        let has_responses = responses.is_ok_and(|file| file.len() > 0);
        if !is_kept && has_responses && !*self.is_complete.get_mut() {
            let path = self.keep_staging().display();
            tracing::error!("not everything was uploaded; all files are in {path}");
        }
    }
}

/// The thread's side.
struct Uploader {
    store: Store,
    staging: PathBuf,
    /// Whether responses are uploaded in parts.
    follows: bool,
    /// Bytes of the responses that are uploaded in parts.
    uploaded: u64,
    parts: u64,
    /// Bytes of the responses that are uploaded as a whole.
    whole: Cell<Option<u64>>,
    /// When the last part went, or was tried.
    last: clock::Stamp,
}

impl Uploader {
    fn run(url: &CloudUrl, staging: PathBuf, mut orders: UnboundedReceiver<(Order, Reply)>) {
        let started = runtime().and_then(|runtime| {
            let store = {
                let _context = runtime.enter();
                Store::open(url)?
            };
            Ok((runtime, store))
        });
        let (runtime, store) = match started {
            Ok(started) => started,
            Err(reason) => {
                if let Some((_, reply)) = orders.blocking_recv() {
                    let _ = reply.send(Err(reason));
                }
                return;
            }
        };
        let mut uploader = Self {
            store,
            staging,
            follows: false,
            uploaded: 0,
            parts: 0,
            whole: Cell::new(None),
            last: clock::now(),
        };
        runtime.block_on(async {
            loop {
                // A part that is on its way when an order comes is dropped: it can be uploaded
                // again, and at the end the whole file goes anyway.
                let order = tokio::select! {
                    biased;
                    order = orders.recv() => order,
                    never = uploader.upload_parts() => match never {},
                };
                let Some((order, reply)) = order else {
                    return;
                };
                let outcome = uploader.carry_out(order).await;
                let _ = reply.send(outcome);
            }
        });
    }

    async fn carry_out(&mut self, order: Order) -> Result<bool> {
        match order {
            Order::Upload(name) => self.upload(name).await?,
            Order::Follow => {
                self.follows = true;
                self.last = clock::now();
            }
            Order::HasResponses => {
                let names = self.store.list("").await?;
                return Ok(names.iter().any(|name| name == RESPONSES_FILE));
            }
            Order::Complete => {
                self.follows = false;
                self.complete_with_retries().await?;
            }
        }
        Ok(true)
    }

    async fn complete_with_retries(&self) -> Result<()> {
        for _ in 1..MAX_ATTEMPTS {
            let Err(reason) = self.complete().await else {
                return Ok(());
            };
            tracing::info!(%reason, "uploading is retried");
            tokio::time::sleep(PAUSE).await;
        }
        self.complete().await
    }

    /// The summary goes last: who sees it sees everything.
    async fn complete(&self) -> Result<()> {
        for name in [RESPONSES_FILE, STATS_FILE, SUMMARY_FILE] {
            let Ok(file) = self.staging.join(name).metadata() else {
                continue;
            };
            // Callbacks may have the folder written several times; the responses are the same then.
            let is_there = name == RESPONSES_FILE && self.whole.get() == Some(file.len());
            if !is_there {
                self.upload(name).await?;
            }
            if name == RESPONSES_FILE {
                self.whole.set(Some(file.len()));
            }
        }
        let parts = match cloud_folder::parts(&self.store).await {
            Ok(parts) if parts.is_empty() => return Ok(()),
            Ok(parts) => self.store.delete(parts).await,
            Err(reason) => Err(reason),
        };
        if let Err(reason) = parts {
            // Nobody reads them any more.
            tracing::warn!(%reason, "objects in {PARTS_FOLDER} are left over");
        }
        Ok(())
    }

    async fn upload(&self, name: &str) -> Result<()> {
        let path = self.staging.join(name);
        tracing::info!("uploading {name}");
        self.store.put_file(name, &path).await
    }

    /// Uploads parts whenever they are due, for ever.
    async fn upload_parts(&mut self) -> std::convert::Infallible {
        loop {
            tokio::time::sleep(POLL).await;
            if !self.follows {
                continue;
            }
            let waiting = self.waiting();
            let since = clock::now().seconds_since(self.last);
            if waiting == 0 || (waiting < PART && since < PART_EVERY) {
                continue;
            }
            if let Err(reason) = self.upload_part().await {
                tracing::warn!(%reason, "a part of the responses was not uploaded; it is retried");
            }
            self.last = clock::now();
        }
    }

    /// Bytes that wait for their upload.
    fn waiting(&self) -> u64 {
        let size = self.staging.join(RESPONSES_FILE).metadata();
        size.map_or(0, |file| file.len())
            .saturating_sub(self.uploaded)
    }

    async fn upload_part(&mut self) -> Result<()> {
        let path = self.staging.join(RESPONSES_FILE);
        let lines = whole_lines(&path, self.uploaded).map_err(Error::io("reading", &path))?;
        if lines.is_empty() {
            return Ok(());
        }
        let length = lines.len() as u64;
        let name = cloud_folder::part(self.parts + 1);
        self.store.put(&name, lines).await?;
        self.uploaded += length;
        self.parts += 1;
        Ok(())
    }
}

/// The whole lines of a file from a place on: some [`PART`] bytes of them, at least one.
fn whole_lines(path: &Path, from: u64) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(from))?;
    let mut lines = Vec::new();
    while (&mut file).take(PART).read_to_end(&mut lines)? > 0 {
        if let Some(end) = memchr::memrchr(b'\n', &lines) {
            lines.truncate(end + 1);
            return Ok(lines);
        }
    }
    Ok(Vec::new())
}
