//! Threads for calls that block: one for each call under way.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

type Job = Box<dyn FnOnce() + Send>;

/// Grows with the number of calls at the same time. Its threads end with it.
#[derive(Default)]
pub(crate) struct Pool {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    idle: usize,
    is_over: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        loop {
            let mut state = self.state();
            let job = loop {
                if let Some(job) = state.jobs.pop_front() {
                    break job;
                }
                if state.is_over {
                    return;
                }
                state.idle += 1;
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                state.idle -= 1;
            };
            drop(state);
            job();
        }
    }
}

impl Pool {
    /// Carries out a job on a thread of its own.
    ///
    /// # Errors
    /// If no thread is free and none can be started.
    pub(crate) fn spawn(&self, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let mut state = self.shared.state();
        state.jobs.push_back(Box::new(job));
        if state.jobs.len() <= state.idle {
            drop(state);
            self.shared.changed.notify_one();
            return Ok(());
        }
        drop(state);
        let shared = self.shared.clone();
        let thread = std::thread::Builder::new().name("python".to_owned());
        thread.spawn(move || shared.work()).map(drop)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.state().is_over = true;
        self.shared.changed.notify_all();
    }
}
