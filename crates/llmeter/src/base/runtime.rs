//! Asynchronous work for callers that may be in an async runtime or in none.

use std::future::Future;

use crate::{Error, Result};

/// A runtime for the calling thread alone.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::system("start a runtime"))
}

/// Carries out work on a thread of its own and waits for it without blocking. If nobody waits any
/// more, the work goes on to its end all the same.
pub(crate) async fn apart<T, W>(work: W) -> Result<T>
where
    T: Send + 'static,
    W: Future<Output = Result<T>> + Send + 'static,
{
    let (done, outcome) = tokio::sync::oneshot::channel();
    spawn(move || {
        let _ = done.send(runtime().and_then(|runtime| runtime.block_on(work)));
    })?;
    outcome.await.unwrap_or_else(|_| Err(defect()))
}

/// Carries out work on a thread of its own and blocks until it is done: to block inside an async
/// runtime on its own thread would panic.
pub(crate) fn block_on<T, W>(work: W) -> Result<T>
where
    T: Send + 'static,
    W: Future<Output = Result<T>> + Send + 'static,
{
    spawn(move || runtime()?.block_on(work))?
        .join()
        .unwrap_or_else(|_| Err(defect()))
}

fn spawn<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<std::thread::JoinHandle<T>> {
    std::thread::Builder::new()
        .name("storage".to_owned())
        .spawn(work)
        .map_err(Error::system("start a thread"))
}

fn defect() -> Error {
    Error::Internal("reading or writing ended early")
}
