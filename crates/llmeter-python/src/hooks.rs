//! The way from the core's threads to coroutines on an event loop, many at a time.

use std::sync::{Arc, Mutex, PoisonError};

use pyo3::prelude::*;
use tokio::sync::oneshot;

use crate::error::in_words;

/// A hook that is to be called with a text, and where its text goes.
struct Call {
    hook: Arc<Py<PyAny>>,
    argument: String,
    reply: oneshot::Sender<Result<String, String>>,
}

/// Calls coroutines of one event loop.
///
/// Calls that come while the loop is at work wait together, so that it is woken once for all of them.
pub(crate) struct Hooks {
    waiting: Mutex<Vec<Call>>,
    /// The loop's `call_soon_threadsafe`.
    wake: Py<PyAny>,
    /// Starts calls: takes a list of (hook, argument, reply).
    begin: Py<PyAny>,
}

impl Hooks {
    pub(crate) fn new(event_loop: &Bound<'_, PyAny>, begin: Py<PyAny>) -> PyResult<Arc<Self>> {
        Ok(Arc::new(Self {
            waiting: Mutex::default(),
            wake: event_loop.getattr("call_soon_threadsafe")?.unbind(),
            begin,
        }))
    }

    /// Calls a hook and waits for its text.
    ///
    /// # Errors
    /// What it raised, in words.
    pub(crate) async fn call(
        self: &Arc<Self>,
        hook: &Arc<Py<PyAny>>,
        argument: String,
    ) -> Result<String, String> {
        let (reply, answer) = oneshot::channel();
        let is_first = {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.push(Call {
                hook: hook.clone(),
                argument,
                reply,
            });
            waiting.len() == 1
        };
        if is_first {
            let hooks = self.clone();
            Python::attach(|py| -> PyResult<()> {
                let drain = Bound::new(py, Drain(hooks))?;
                self.wake.call1(py, (drain,)).map(drop)
            })
            .map_err(|error| Python::attach(|py| in_words(py, &error)))?;
        }
        let gone = |_| Err("the event loop ended before the hook did".to_owned());
        answer.await.unwrap_or_else(gone)
    }
}

/// What the loop calls when there is something to do.
#[pyclass(frozen)]
struct Drain(Arc<Hooks>);

#[pymethods]
impl Drain {
    fn __call__(&self, py: Python<'_>) -> PyResult<()> {
        let hooks = &self.0;
        let calls =
            std::mem::take(&mut *hooks.waiting.lock().unwrap_or_else(PoisonError::into_inner));
        let calls: Vec<_> = calls
            .into_iter()
            .map(|call| {
                let reply = Reply(Mutex::new(Some(call.reply)));
                (call.hook.clone_ref(py), call.argument, reply)
            })
            .collect();
        hooks.begin.call1(py, (calls,)).map(drop)
    }
}

/// Where a hook's outcome goes.
#[pyclass(frozen)]
pub(crate) struct Reply(Mutex<Option<oneshot::Sender<Result<String, String>>>>);

#[pymethods]
impl Reply {
    /// The hook gave this.
    fn give(&self, text: String) {
        self.send(Ok(text));
    }

    /// The hook raised something.
    fn fail(&self, reason: String) {
        self.send(Err(reason));
    }
}

impl Reply {
    fn send(&self, outcome: Result<String, String>) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(sender) = sender {
            // The run may have given up.
            let _ = sender.send(outcome);
        }
    }
}
