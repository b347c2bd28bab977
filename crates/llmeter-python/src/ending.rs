//! The end of the process: no thread may ask for Python's lock when there is no Python any more.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use llmeter::Interrupt;
use pyo3::prelude::*;

/// How often a wait looks for signals.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

static STATE: Mutex<State> = Mutex::new(State {
    threads: 0,
    runs: BTreeMap::new(),
    next: 0,
});
static CHANGED: Condvar = Condvar::new();

struct State {
    /// Threads that may ask for Python's lock.
    threads: usize,
    runs: BTreeMap<u64, Interrupt>,
    next: u64,
}

fn state() -> MutexGuard<'static, State> {
    STATE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says, as long as it lives, that a thread may ask for Python's lock.
pub(crate) struct UnderWay {
    run: Option<u64>,
}

impl UnderWay {
    /// Something that ends by itself.
    pub(crate) fn new() -> Self {
        state().threads += 1;
        Self { run: None }
    }

    /// A run, which is given up when the process ends.
    pub(crate) fn run(interrupt: Interrupt) -> Self {
        let mut state = state();
        state.threads += 1;
        state.next += 1;
        let number = state.next;
        state.runs.insert(number, interrupt);
        Self { run: Some(number) }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut state = state();
        state.threads -= 1;
        if let Some(number) = self.run {
            state.runs.remove(&number);
        }
        CHANGED.notify_all();
    }
}

/// Gives up runs under way, and waits until they have saved what they have and no call of an endpoint in
/// Python is left.
///
/// # Errors
/// A signal's, such as that of Ctrl-C.
#[pyfunction]
pub(crate) fn finish(py: Python<'_>) -> PyResult<()> {
    for interrupt in state().runs.values() {
        interrupt.abort();
    }
    loop {
        let threads = py.detach(|| {
            let waited =
                CHANGED.wait_timeout_while(state(), POLL_INTERVAL, |state| state.threads > 0);
            waited.unwrap_or_else(PoisonError::into_inner).0.threads
        });
        if threads == 0 {
            return Ok(());
        }
        py.check_signals()?;
    }
}
