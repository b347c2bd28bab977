//! The server: its connections, and its end.

use std::convert::Infallible;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::answer::{Answers, Body};
use super::connection::Patient;
use super::guard::Guard;
use super::strangers::Strangers;
use crate::base::error::{Error, Result};
use crate::base::runtime::{runtime, spawn_low_priority};
use crate::storage::Location;

/// How long a browser may take for the head of a request, and how long it may leave a connection without one.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of a request's head.
const MAX_HEAD: usize = 16 * 1024;
/// How long to wait where a connection cannot be accepted, as with too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a [`Viewer`] shows, and where.
#[derive(Debug, Clone)]
pub struct ViewSettings {
    /// The folder with the runs, here or in the cloud.
    pub folder: Location,
    /// The port; 0 takes one that is free.
    pub port: u16,
    /// Where to keep what the files of runs say, so that the next look is fast; `None` keeps nothing.
    pub cache: Option<PathBuf>,
}

/// A server of this machine alone that shows the runs below a folder, opens and compares their reports, and
/// follows runs in progress, whoever carries them out. It ends when this is dropped.
///
/// It listens at 127.0.0.1, and only an address with its secret leads in: [`url`](Self::url).
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// use llmeter::view::{ViewSettings, Viewer};
///
/// let viewer = Viewer::start(ViewSettings {
///     folder: folder.path().into(),
///     port: 0,
///     cache: None,
/// })?;
/// println!("see {}", viewer.url());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Viewer {
    url: String,
    /// Dropped, it ends the server.
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Viewer {
    /// Starts the server, on a thread of its own.
    ///
    /// # Errors
    /// If the folder cannot be used, or the port cannot be listened at.
    pub fn start(settings: ViewSettings) -> Result<Self> {
        let ViewSettings {
            folder,
            port,
            cache,
        } = settings;
        folder.usable()?;
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port));
        let listener = listener.and_then(|listener| {
            listener.set_nonblocking(true)?;
            Ok((listener.local_addr()?.port(), listener))
        });
        let (port, listener) = listener.map_err(Error::system("listen for a browser"))?;
        let guard = Guard::new(port);
        let url = format!("http://127.0.0.1:{port}/{}/", guard.token());
        let (end, ended) = oneshot::channel();
        let thread = spawn_low_priority("viewer", move || {
            let served = runtime().and_then(|runtime| {
                let served = runtime.block_on(async {
                    let listener = TcpListener::from_std(listener);
                    let listener = listener.map_err(Error::system("listen for a browser"))?;
                    let answers = Arc::new(Answers::new(guard, folder, cache));
                    tokio::select! {
                        () = accept(listener, answers) => {}
                        _ = ended => {}
                    }
                    Ok(())
                });
                // Nobody waits for a report that is being made.
                runtime.shutdown_background();
                served
            });
            if let Err(reason) = served {
                tracing::error!("the viewer ended: {reason}");
            }
        })?;
        Ok(Self {
            url,
            end: Some(end),
            thread: Some(thread),
        })
    }

    /// The address, with its secret. Whoever has it sees the runs.
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Viewer {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn accept(listener: TcpListener, answers: Arc<Answers>) {
    let strangers = Strangers::default();
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(reason) => {
                tracing::debug!(%reason, "a browser cannot connect");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let answers = answers.clone();
        let stranger = Arc::new(strangers.arrive());
        let id = stranger.id();
        let connection = tokio::spawn(async move {
            let answer = service_fn(move |request| {
                let (answers, stranger) = (answers.clone(), stranger.clone());
                async move {
                    let answer = answers.to(&request, || stranger.is_admitted()).await;
                    Ok::<hyper::Response<Body>, Infallible>(answer)
                }
            });
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .max_buf_size(MAX_HEAD)
                .serve_connection(TokioIo::new(Patient::new(stream)), answer)
                .await;
            if let Err(reason) = served {
                tracing::debug!(%reason, "a connection of a browser ended");
            }
        });
        strangers.ends_by(id, connection.abort_handle());
    }
}

/// Does work that blocks on a thread that yields to others, and waits for it.
pub(super) async fn aside<T: Send + 'static>(
    name: &'static str,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (done, outcome) = oneshot::channel();
    spawn_low_priority(name, move || {
        // Nobody may be waiting any more.
        let _ = done.send(work());
    })?;
    outcome
        .await
        .unwrap_or(Err(Error::Internal("work for a page ended early")))
}
