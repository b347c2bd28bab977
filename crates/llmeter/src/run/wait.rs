//! Third stage of a run: its workers send until they are done or stopped.

use tokio::runtime::Runtime;

use crate::base::error::Result;
use crate::run::recorder::Collected;
use crate::run::start::{Started, Threads};
use crate::run::worker::WorkerReport;

/// What a run's threads leave behind.
pub(super) struct Ended {
    pub(super) collected: Collected,
    pub(super) reports: Vec<WorkerReport>,
    /// What workers did not survive.
    pub(super) warnings: Vec<String>,
}

impl Threads {
    /// Waits until everything is recorded. A run that is stopped has its grace time for what is in
    /// flight.
    ///
    /// # Errors
    /// When the recorder died.
    pub(super) fn wait(mut self, run: &Started, runtime: &Runtime) -> Result<Ended> {
        let interrupt = &run.interrupt;
        let workers_done = &mut self.workers_done;
        let ended = async {
            tokio::select! {
                _ = workers_done.recv() => return,
                () = interrupt.stopped() => {}
            }
            tokio::select! {
                _ = workers_done.recv() => return,
                () = interrupt.aborted() => {}
                () = tokio::time::sleep(run.config.grace) => interrupt.abort(),
            }
            workers_done.recv().await;
        };
        runtime.block_on(async {
            tokio::select! {
                () = ended => {}
                () = interrupt.follow() => {}
                () = run.serve_control() => {}
                () = run.call_before_stages() => {}
            }
        });
        let mut reports = Vec::with_capacity(self.workers.len());
        let mut warnings = Vec::new();
        for worker in self.workers {
            match worker.recv() {
                Ok(Ok(report)) => reports.push(report),
                Ok(Err(reason)) => warnings.push(reason.to_string()),
                Err(_) => {
                    let warning = "a worker died of an internal error, please report it";
                    warnings.push(warning.to_owned());
                }
            }
        }
        Ok(Ended {
            collected: self.recorder.finish()?,
            reports,
            warnings,
        })
    }
}
