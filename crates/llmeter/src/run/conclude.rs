//! Last stage of a run: what was recorded becomes the result, callbacks see it, files are completed.

use std::sync::{Arc, PoisonError};

use serde_json::Value;
use tokio::runtime::Runtime;

use crate::base::host::HostTimes;
use crate::callback::Hook;
use crate::cost::SpendGuard;
use crate::endpoint::Transport;
use crate::load::Load;
use crate::result::{RunResult, RunSummary, Unwritten};
use crate::run::control::Controlled;
use crate::run::failure_limit::StopSignal;
use crate::run::offered::{Achieved, LoadFigures};
use crate::run::quality::RunConditions;
use crate::run::recorder::WriteFailure;
use crate::run::start::Started;
use crate::run::wait::Ended;
use crate::run::warnings;
use llmeter_wire::{Dialer, StampSource, clock};

impl Started {
    /// What cannot be written to the run's folder is part of the result.
    pub(super) fn conclude(self, mut ended: Ended, runtime: &Runtime) -> RunResult {
        let write_failure = ended.collected.write_failure.take();
        let mut result = self.result(ended);
        if let Some(failure) = write_failure {
            self.write_missing(failure, &mut result);
        }
        if self.hooked.has(Hook::AfterRun) {
            self.after_run(&mut result, runtime);
        }
        if let Some(folder) = self.folder {
            let unwritten = folder.finish(&result.summary, &result.stats_map());
            result
                .warnings
                .extend(unwritten.iter().map(Unwritten::to_string));
            result.unwritten.extend(unwritten);
        }
        result
    }

    /// Tries once more to write the responses that are missing in the file.
    fn write_missing(&self, failure: WriteFailure, result: &mut RunResult) {
        let WriteFailure { reason, mut kept } = failure;
        let recorded = result.summary.total_requests.unwrap_or(0);
        if let (Some(folder), Some(missing)) = (&self.folder, result.responses.get(kept as usize..))
        {
            kept += folder.append_responses(missing).unwrap_or(0);
        }
        if !self.config.ignore_write_errors {
            let warning = format!("sending stopped when a response could not be written: {reason}");
            result.warnings.push(warning);
        }
        if kept < recorded {
            let unwritten = Unwritten::Responses {
                missing: recorded - kept,
                recorded,
                reason: Arc::new(reason),
            };
            result.warnings.push(unwritten.to_string());
            result.unwritten.push(unwritten);
        }
    }

    fn result(&self, ended: Ended) -> RunResult {
        let (shared, config) = (&self.shared, &self.config);
        let Ended {
            mut collected,
            reports,
            warnings: mut found,
        } = ended;
        let window = shared.started().zip(shared.ended());
        let total_test_time = window.map(|(start, end)| end.seconds_since(start));
        let stats = collected.accumulator.stats(total_test_time);
        let is_cut =
            shared.is_stopping() || shared.guard.as_deref().is_some_and(SpendGuard::is_reached);
        let duration = self.schedule.duration().filter(|_| !is_cut);
        let load = shared.offered.as_ref().zip(collected.achieved.as_ref());
        let load = load.map(|(offered, achieved)| {
            // A load that its number of requests ended has not lasted as long as it might have.
            let is_by_count = self.schedule.planned() == Some(offered.due());
            let duration = duration
                .filter(|_| !is_by_count)
                .map(|duration| duration.as_secs_f64());
            offered.conclude(achieved, shared.started(), duration, total_test_time)
        });
        let of_load = load.as_ref().map(LoadFigures::stats);
        let time_of_requests = collected.achieved.as_ref().map(Achieved::time_of_requests);
        let controlled = shared.controlled.as_deref();
        let clients = self.clients();
        let workers = reports.len();
        let mut quality = collected.quality.judge(&RunConditions {
            workers: reports,
            connections: shared.connections(),
            backlog_bytes: shared.backlog.highest() as u64,
            recorder_wait: shared.backlog.waited(),
            callback_wait: shared.requests.callback_wait(),
            data_wait: shared.requests.data_wait(),
            host: HostTimes::read()
                .zip(self.host_before)
                .and_then(|(after, before)| after.shares_since(before)),
            could_stamp: config.could_stamp(),
            own_clock: match config.endpoint.transport() {
                Transport::Invoke(api) => api.own_clock(),
                Transport::Http(_) => None,
            },
            clients,
            median_ttft: stats.get("time_to_first_token-p50").and_then(Value::as_f64),
            median_latency: stats.get("time_to_last_token-p50").and_then(Value::as_f64),
            client_seconds: time_of_requests.unwrap_or_else(|| {
                let total = total_test_time.unwrap_or(0.0);
                let changed = controlled.and_then(|controlled| controlled.client_seconds(total));
                changed.unwrap_or(total * clients as f64)
            }),
            load,
            wants_packets: config.stamps == StampSource::Packet,
            packets_dropped: shared.capture().map(|capture| capture.dropped()),
        });
        let bound = match config.load {
            Load::Schedule(_) => None,
            _ if shared.offered.is_some() => None,
            _ => Some(clients),
        };
        quality.doubt(collected.checks.findings(total_test_time, bound));
        let most_clients = controlled.and_then(Controlled::most_clients);
        quality.doubt_workers(
            workers,
            config.most_workers().min(most_clients.unwrap_or(1)),
        );
        found.extend(warnings::of_run(&collected, &quality, config));
        if self.folder.is_some() {
            found.extend(warnings::of_unsaved(config));
        }
        found.extend(warnings::of_transport_ends(&stats));
        let failed_calls = self.failed_calls.lock();
        found.extend(std::mem::take(
            &mut *failed_calls.unwrap_or_else(PoisonError::into_inner),
        ));
        let guard = shared.guard.as_deref();
        found.extend(guard.and_then(SpendGuard::notice));
        // Failures stopped nothing if there was nothing left to send.
        let is_all_sent =
            self.schedule.planned() == Some(collected.accumulator.recorded() + collected.lost);
        let stop = Some(&shared.stop).filter(|_| !is_all_sent);
        found.extend(stop.and_then(StopSignal::notice));
        found.extend(collected.until.notices());
        let annotation_tally = config
            .low_memory
            .then(|| collected.accumulator.annotation_summaries());
        let (first_request_time, last_request_time) = collected.accumulator.sent().unzip();
        let summary = RunSummary {
            total_test_time,
            first_request_time,
            last_request_time,
            ..self.summary(collected.accumulator.recorded())
        };
        let mut result = RunResult::new(summary, collected.responses, stats);
        result.interrupted = self.interrupt.is_stopped();
        result.warnings = found;
        result.slos.clone_from(&config.slos);
        result.failures = collected.failures;
        if let Some(failure) = stop.and_then(|stop| stop.failure_of_warmup(&result.summary)) {
            result.failures.record(&failure);
        }
        result.annotation_tally = annotation_tally;
        result.add_stats(of_load.unwrap_or_default());
        if let Some(controlled) = controlled {
            collected
                .stages
                .follow_changes(controlled, &collected.accumulator);
            result.add_stats(controlled.stats());
        }
        let cut = total_test_time.filter(|_| is_cut);
        let is_controlled = controlled.is_some();
        let due = |stage: usize| {
            let offered = shared.offered.as_ref()?;
            let due = offered.due_in(stage)?;
            // What was due before the load was first changed was due in no stage.
            match stage {
                0 if is_controlled => Some(due + offered.due_in_none()),
                _ => Some(due),
            }
        };
        result.add_stats(collected.stages.stats(due, cut, total_test_time));
        if let Some(sessions) = &shared.sessions {
            result.add_stats(sessions.stats());
            result.add_stats(collected.turns.stats());
        }
        let resolved = shared.dialers.iter().map(Dialer::time_to_resolve);
        result.add_stats(collected.servers.stats(total_test_time, resolved));
        result.add_stats(quality.stats());
        result.add_stats(shared.rate_limits.stats());
        if let Some(stop) = stop {
            result.add_stats(stop.stats());
        }
        result.add_stats(collected.warmup.stats(first_request_time));
        result.add_stats(collected.until.stats());
        result.add_stats(collected.stalls.stats());
        if config.steady {
            result.add_stats(
                [("steady_rates".to_owned(), true.into())]
                    .into_iter()
                    .collect(),
            );
        }
        if let Some(guard) = guard {
            result.add_stats(guard.stats());
        }
        result.quality = Some(quality);
        result.callback_errors = self.hooked.failures();
        result
    }

    /// The most clients that it had at a time.
    fn clients(&self) -> usize {
        let controlled = self.shared.controlled.as_ref();
        let most = controlled.and_then(|controlled| controlled.most_clients());
        most.unwrap_or(self.config.client_count())
    }

    /// What the run was, with so many recorded requests.
    fn summary(&self, recorded: u64) -> RunSummary {
        let (shared, config) = (&self.shared, &self.config);
        let guard = shared.guard.as_deref();
        let is_cut = shared.is_stopping() || guard.is_some_and(SpendGuard::is_reached);
        let clients = self.clients();
        // Clients that came or left have changed it.
        let planned = self
            .schedule
            .planned()
            .filter(|_| !is_cut && clients == config.client_count());
        let identity = config.endpoint.identity();
        RunSummary {
            total_requests: Some(recorded),
            clients: clients as u64,
            n_requests: Some(planned.unwrap_or(recorded) / clients as u64),
            model_id: Some(identity.model_id.clone()),
            output_path: self.folder.as_ref().map(|folder| folder.location().clone()),
            endpoint_name: Some(identity.endpoint_name.clone()),
            provider: Some(identity.provider.clone()),
            run_name: Some(self.run_name.clone()),
            run_description: config.run_description.clone(),
            start_time: Some(self.start_time),
            end_time: Some(clock::wall()),
            ..RunSummary::default()
        }
    }

    fn after_run(&self, result: &mut RunResult, runtime: &Runtime) {
        let (interrupt, hooked) = (&self.interrupt, &self.hooked);
        // What is measured is safe before foreign code sees it, and a callback finds the files of
        // the run complete, with what the callbacks before it added.
        let mut is_writable = true;
        let save_first = |result: &RunResult| {
            if let Some(folder) = self.folder.as_ref().filter(|_| is_writable)
                && let Err(reason) =
                    folder.write_summary_and_stats(&result.summary, &result.stats_map())
            {
                tracing::warn!("{reason}");
                is_writable = false;
            }
        };
        let is_interrupted = result.interrupted;
        let deadline = async {
            // After an interrupted run the hooks have all their time: another signal ends them.
            if is_interrupted {
                std::future::pending::<()>().await;
            }
            interrupt.stopped().await;
            tokio::time::sleep(self.config.grace).await;
        };
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = hooked.after_run(result, save_first, deadline) => {}
                () = interrupt.follow() => {}
            }
        });
        result.callback_errors = hooked.failures();
    }
}
