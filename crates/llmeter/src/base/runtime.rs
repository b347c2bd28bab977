//! Asynchronous work for callers that may be in an async runtime or in none.

use std::future::Future;
use std::panic::resume_unwind;
use std::thread::JoinHandle;

use super::error::{Error, Result};
use super::foreign::{Panic, catch_panic, show_panics_once};
use super::host::lower_priority;

/// A runtime for the calling thread alone.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::system("start a runtime"))
}

/// Carries out work on a thread of its own and waits for it without blocking. If nobody waits any
/// more, the work goes on to its end all the same.
pub(crate) async fn run_on_thread<T, W>(work: W) -> Result<T>
where
    T: Send + 'static,
    W: Future<Output = Result<T>> + Send + 'static,
{
    let (done, outcome) = tokio::sync::oneshot::channel();
    spawn("storage", move || {
        let _ = done.send(runtime().and_then(|runtime| runtime.block_on(work)));
    })?;
    outcome.await.unwrap_or_else(|_| Err(internal_error()))
}

/// Carries out work on a thread of its own and blocks until it is done: to block inside an async
/// runtime on its own thread would panic.
pub(crate) fn block_on<T, W>(work: W) -> Result<T>
where
    T: Send + 'static,
    W: Future<Output = Result<T>> + Send + 'static,
{
    spawn("storage", move || runtime()?.block_on(work))?
        .join()
        .unwrap_or_else(|_| Err(internal_error()))
}

/// Carries out work that blocks and starts runtimes of its own: on the calling thread, or, where that
/// may be one of an async runtime's, on another, while the calling one waits.
pub(crate) fn off_runtime<T: Send>(work: impl FnOnce() -> T + Send) -> Result<T> {
    if tokio::runtime::Handle::try_current().is_err() {
        return Ok(work());
    }
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("run".to_owned());
        let thread = thread.spawn_scoped(scope, || {
            show_panics_once();
            work()
        });
        let thread = thread.map_err(Error::system("start a thread"))?;
        Ok(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Does work that recurses on a thread with so many bytes of stack, while the calling one waits. Its
/// panics are caught.
pub(crate) fn on_stack<T: Send>(
    bytes: usize,
    work: impl FnOnce() -> T + Send,
) -> Result<Result<T, Panic>> {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(bytes);
        let thread = thread.spawn_scoped(scope, || {
            show_panics_once();
            catch_panic(work)
        });
        let thread = thread.map_err(Error::system("start a thread"))?;
        Ok(thread
            .join()
            .unwrap_or_else(|panic| Err(Panic::from(panic))))
    })
}

/// Starts a thread.
pub(crate) fn spawn<T: Send + 'static>(
    name: impl Into<String>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    let thread = std::thread::Builder::new().name(name.into());
    let spawned = thread.spawn(|| {
        show_panics_once();
        work()
    });
    spawned.map_err(Error::system("start a thread"))
}

/// Starts a thread that yields to the workers.
pub(crate) fn spawn_low_priority<T: Send + 'static>(
    name: impl Into<String>,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>> {
    spawn(name, || {
        lower_priority();
        work()
    })
}

fn internal_error() -> Error {
    Error::Internal("reading or writing ended early")
}
