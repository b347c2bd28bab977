//! Starting runs.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::base::error::{Error, Result};
use crate::base::host::{self, HostTimes};
use crate::callback::{Hook, Hooked};
use crate::endpoint::Transport;
use crate::load::plan_clients;
use crate::result::{RunFolder, RunResult, RunSummary};
use crate::run::admission;
use crate::run::ahead::{Requests, Workshop};
use crate::run::gate::Gate;
use crate::run::prepare::Prepared;
use crate::run::quality::RunConditions;
use crate::run::reach::reach;
use crate::run::recorder::{Collected, Recorder};
use crate::run::session::Session;
use crate::run::worker;
use crate::run::{Interrupt, Load, MeasurementQuality, Observer, RunConfig, saved};
use llmeter_wire::{StampSource, clock};

/// A base configuration from which any number of runs start.
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::{Load, OpenAiChat, RunConfig, Runner};
///
/// # fn main() -> llmeter::Result<()> {
/// let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
/// let payload = OpenAiChat::create_payload("Tell me a story.", 128, Default::default())?;
/// let runner = Runner::new(RunConfig::new(Arc::new(endpoint), [payload]).output("runs"));
/// for clients in [1, 8, 64] {
///     let result = runner.run_blocking_with(|run| {
///         run.clients = clients;
///         run.load = Load::Requests(10);
///     })?;
///     println!("{clients}: p50 TTFT {}", result.stats()["time_to_first_token-p50"]);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Runner {
    base: RunConfig,
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
}

impl Runner {
    /// A runner whose runs start from `base`.
    pub fn new(base: RunConfig) -> Self {
        Self {
            base,
            observer: None,
            interrupt: Interrupt::new(),
        }
    }

    /// Tells `observer` how its runs go on.
    #[must_use]
    pub fn observe(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Makes `interrupt` stop this runner's runs.
    #[must_use]
    pub fn interrupted_by(mut self, interrupt: Interrupt) -> Self {
        self.interrupt = interrupt;
        self
    }

    /// The base configuration.
    pub fn base(&self) -> &RunConfig {
        &self.base
    }

    /// Carries out a run of the base configuration. The work is done on threads of its own; the
    /// returned future only waits. Dropping it stops the run, which saves what it has.
    ///
    /// # Errors
    /// When the configuration cannot be used, the endpoint cannot be reached, or the run's folder
    /// cannot be written. Failed requests are no error.
    pub async fn run(&self) -> Result<RunResult> {
        self.run_with(|_| {}).await
    }

    /// Carries out a run of the base configuration with changes.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_with(&self, change: impl FnOnce(&mut RunConfig)) -> Result<RunResult> {
        struct StopOnDrop(Option<Interrupt>);
        impl Drop for StopOnDrop {
            fn drop(&mut self) {
                if let Some(interrupt) = self.0.take() {
                    interrupt.cut();
                }
            }
        }
        let mut runner = self.clone();
        change(&mut runner.base);
        // Only this run's own: the runner's may stop others, too.
        let own = self.interrupt.for_one_run();
        let mut guard = StopOnDrop(Some(own.clone()));
        let (done, result) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("run".to_owned())
            .spawn(move || {
                // Nobody may be waiting any more; the run's files are written all the same.
                let outcome = execute(&runner.base, runner.observer.clone(), &own);
                let _ = done.send(outcome);
            })
            .map_err(|reason| Error::Environment(format!("cannot start a thread: {reason}")))?;
        let result = result
            .await
            .map_err(|_| Error::Environment("the run ended by a defect in llmeter".to_owned()))?;
        guard.0 = None;
        result
    }

    /// As [`run`](Self::run), blocking the calling thread, which must not be one of an async
    /// runtime's.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_blocking(&self) -> Result<RunResult> {
        self.run_blocking_with(|_| {})
    }

    /// As [`run_with`](Self::run_with), blocking the calling thread.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn run_blocking_with(&self, change: impl FnOnce(&mut RunConfig)) -> Result<RunResult> {
        let mut config = self.base.clone();
        change(&mut config);
        execute(
            &config,
            self.observer.clone(),
            &self.interrupt.for_one_run(),
        )
    }
}

/// Carries out a run that `interrupt` stops and no other.
fn execute(
    config: &RunConfig,
    observer: Option<Arc<dyn Observer>>,
    interrupt: &Interrupt,
) -> Result<RunResult> {
    config.validate()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|reason| Error::Environment(format!("cannot start a run: {reason}")))?;
    let hooked = Arc::new(Hooked::new(&config.callbacks)?);
    let config = &runtime.block_on(after_before_run(config, &hooked, interrupt))?;
    host::check_open_files(config.clients)?;
    let proxy = config.proxy()?;
    if let Transport::Http(api) = config.endpoint.transport() {
        api.check()?;
    }
    let prepared = config
        .payloads
        .iter()
        .map(|payload| Prepared::new(&*config.endpoint, proxy.as_ref(), payload).map(Arc::new))
        .collect::<Result<Vec<_>>>()?;
    let guard = admission::guard(config, &prepared)?;
    let is_short_lived = match config.endpoint.transport() {
        Transport::Http(api) => api.request_lifetime().is_some(),
        Transport::Invoke(_) => false,
    };
    let requests = if hooked.has(Hook::BeforeInvoke) || is_short_lived {
        let (endpoint, payloads) = (config.endpoint.clone(), config.payloads.clone());
        let (hooked, guard, proxy) = (hooked.clone(), guard.clone(), proxy.clone());
        let workshop = Workshop::new(hooked, endpoint, proxy, payloads, prepared, guard);
        Requests::ahead(workshop)?
    } else {
        Requests::Fixed(prepared)
    };
    let dialer = match config.endpoint.transport() {
        Transport::Http(api) => {
            let server = api.server();
            let dialer = config.dialer(server, proxy.as_ref())?;
            runtime.block_on(async {
                tokio::select! {
                    reached = reach(&dialer, server, config) => reached,
                    // The run then saves that it was interrupted before it sent anything.
                    () = interrupt.stopped() => Ok(()),
                    () = interrupt.follow() => Ok(()),
                }
            })?;
            Some(dialer)
        }
        Transport::Invoke(_) => None,
    };
    let start_time = clock::wall();
    let (run_name, folder) = open_folder(config)?;
    let writer = folder.as_ref().map(RunFolder::responses).transpose()?;

    let (gate, passes) = Gate::new(config.clients);
    let session = Arc::new(Session::new(
        config,
        dialer,
        requests,
        interrupt.clone(),
        gate,
        guard.clone(),
    ));
    let (queues, recorder) = Recorder::start(
        config,
        &session,
        writer,
        observer,
        interrupt.clone(),
        &hooked,
    )?;
    let host_before = HostTimes::read();
    let mut shares: Vec<Vec<_>> = (0..config.worker_count()).map(|_| Vec::new()).collect();
    for (turn, client) in plan_clients(config).into_iter().zip(passes).enumerate() {
        let worker = turn % shares.len();
        shares[worker].push(client);
    }
    // Every worker holds a sender until it is done, so that the channel closes when all are.
    let (alive, mut all_done) = tokio::sync::mpsc::channel::<()>(1);
    let workers = shares
        .into_iter()
        .enumerate()
        .map(|(number, clients)| {
            worker::spawn(
                number,
                session.clone(),
                clients,
                queues.clone(),
                alive.clone(),
            )
        })
        .collect::<Result<Vec<_>>>()
        // The workers that did start must not go on without this function.
        .inspect_err(|_| interrupt.cut())?;
    drop((queues, alive));
    let ended = async {
        tokio::select! {
            _ = all_done.recv() => return,
            () = interrupt.stopped() => {}
        }
        tokio::select! {
            _ = all_done.recv() => return,
            () = interrupt.was_cut() => {}
            () = tokio::time::sleep(config.grace) => interrupt.cut(),
        }
        all_done.recv().await;
    };
    runtime.block_on(async {
        tokio::select! {
            () = ended => {}
            () = interrupt.follow() => {}
        }
    });
    let mut reports = Vec::with_capacity(workers.len());
    let mut warnings = Vec::new();
    for worker in workers {
        match worker.join() {
            Ok(Ok(report)) => reports.push(report),
            Ok(Err(reason)) => warnings.push(reason.to_string()),
            Err(_) => warnings.push("a worker died of a defect in llmeter".to_owned()),
        }
    }
    let mut collected = recorder.finish()?;

    let total_test_time = session
        .started()
        .zip(session.ended())
        .map(|(start, end)| end.seconds_since(start));
    let stats = collected.accumulator.stats(total_test_time);
    let quality = collected.quality.judge(&RunConditions {
        workers: reports,
        connections: session.connections(),
        backlog_bytes: session.backlog.highest() as u64,
        recorder_wait: session.backlog_wait(),
        callback_wait: session.callback_wait(),
        host: HostTimes::read()
            .zip(host_before)
            .and_then(|(after, before)| after.shares_since(before)),
        median_latency: stats
            .get("time_to_last_token-p50")
            .and_then(serde_json::Value::as_f64),
        client_seconds: total_test_time.unwrap_or(0.0) * config.clients as f64,
    });
    warnings.extend(notices(&collected, &quality, config));
    warnings.extend(guard.as_ref().and_then(|guard| guard.notice()));
    let is_limited = guard.as_ref().is_some_and(|guard| guard.is_reached());
    let is_interrupted = interrupt.is_stopped();
    let recorded = collected.accumulator.recorded();
    let annotation_tally = config
        .low_memory
        .then(|| collected.accumulator.annotation_summaries());
    let identity = config.endpoint.identity();
    let summary = RunSummary {
        total_requests: Some(recorded),
        clients: config.clients as u64,
        n_requests: Some(match config.load {
            Load::Duration(_) => recorded / config.clients as u64,
            _ if is_interrupted || is_limited => recorded / config.clients as u64,
            _ => config.requests_per_client().unwrap_or(0),
        }),
        total_test_time,
        model_id: Some(identity.model_id.clone()),
        output_path: folder.as_ref().map(|folder| folder.location().clone()),
        endpoint_name: Some(identity.endpoint_name.clone()),
        provider: Some(identity.provider.clone()),
        run_name: Some(run_name),
        run_description: config.run_description.clone(),
        start_time: Some(start_time),
        first_request_time: collected.first_request,
        last_request_time: collected.last_request,
        end_time: Some(clock::wall()),
    };
    let mut result = RunResult::new(summary, collected.responses, stats);
    result.interrupted = is_interrupted;
    result.warnings = warnings;
    result.error_tally = collected.errors;
    result.annotation_tally = annotation_tally;
    result.add_stats(quality.stats());
    result.add_stats(session.rate_limits.stats());
    if let Some(guard) = &guard {
        result.add_stats(guard.stats());
    }
    result.quality = Some(quality);
    result.callback_errors = hooked.failures();
    if hooked.has(Hook::AfterRun) {
        // What is measured is safe before foreign code sees it, and a callback finds the files of
        // the run complete, with what the callbacks before it added.
        let mut is_writable = true;
        let save_first = |result: &RunResult| {
            if let Some(folder) = folder.as_ref().filter(|_| is_writable)
                && let Err(reason) =
                    folder.write_summary_and_stats(&result.summary, &result.stats())
            {
                tracing::warn!("{reason}");
                is_writable = false;
            }
        };
        let give_up = async {
            // After an interrupted run the hooks have all their time: another signal ends them.
            if is_interrupted {
                std::future::pending::<()>().await;
            }
            interrupt.stopped().await;
            tokio::time::sleep(config.grace).await;
        };
        runtime.block_on(async {
            tokio::select! {
                biased;
                () = hooked.after_run(&mut result, save_first, give_up) => {}
                () = interrupt.follow() => {}
            }
        });
        result.callback_errors = hooked.failures();
    }
    if let Some(folder) = folder {
        let warning = folder.finish(&result.summary, &result.stats())?;
        result.warnings.extend(warning);
    }
    Ok(result)
}

/// The configuration as the callbacks leave it.
async fn after_before_run(
    config: &RunConfig,
    hooked: &Hooked,
    interrupt: &Interrupt,
) -> Result<RunConfig> {
    let mut config = config.clone();
    if hooked.has(Hook::BeforeRun) {
        tokio::select! {
            called = hooked.before_run(&mut config) => called?,
            () = interrupt.stopped() => return Err(stopped_early()),
            () = interrupt.follow() => {}
        }
        config.validate()?;
    }
    Ok(config)
}

fn stopped_early() -> Error {
    Error::Environment("the run was interrupted before it began".to_owned())
}

/// The name that a run gets when the user gives none: the local time, to the minute.
pub fn run_name_from_clock() -> String {
    clock::wall()
        .to_zoned(TimeZone::system())
        .strftime("%Y%m%d-%H%M")
        .to_string()
}

/// The run's name, and its folder with the files that are there from the start.
fn open_folder(config: &RunConfig) -> Result<(String, Option<RunFolder>)> {
    let Some(output) = &config.output else {
        return Ok((
            config.run_name.clone().unwrap_or_else(run_name_from_clock),
            None,
        ));
    };
    let folder = match &config.run_name {
        Some(name) => RunFolder::create(output.join(name), config.overwrite)?,
        None => RunFolder::create_free(output, &run_name_from_clock())?,
    };
    let location = folder.location();
    let name = match &config.run_name {
        Some(name) => name.clone(),
        None => location.file_name().unwrap_or_else(run_name_from_clock),
    };
    folder.write_payloads(config.payloads.iter().map(|payload| &**payload))?;
    folder.write_config(&saved::run_config(config, location, &name)?)?;
    folder.write_own_config(&saved::own_config(config))?;
    Ok((name, Some(folder)))
}

/// What the user should know although the run is complete.
fn notices(collected: &Collected, quality: &MeasurementQuality, config: &RunConfig) -> Vec<String> {
    let mut notices = Vec::new();
    if let Some(reason) = &collected.write_error {
        notices.push(format!(
            "responses.jsonl is incomplete ({reason}); the statistics are complete"
        ));
    }
    if collected.lost > 0 {
        notices.push(format!(
            "{} answers were lost because decoding them panicked",
            collected.lost
        ));
    }
    if config.insecure
        && let Transport::Http(api) = config.endpoint.transport()
        && api.server().tls
    {
        notices.push("the server's certificate was not checked".to_owned());
    }
    if let Ok(Some(proxy)) = config.proxy() {
        let shown = proxy.shown();
        notices.push(format!(
            "requests went through the proxy {shown}, whose time is in every figure"
        ));
    }
    if config.http2 && config.stamps == StampSource::Kernel {
        notices.push("with HTTP/2, times were taken after each read".to_owned());
    }
    if config.stamp_source() == StampSource::Kernel
        && quality.stamps == StampSource::User
        && let Transport::Http(api) = config.endpoint.transport()
        && quality.receive_delay.is_some()
    {
        notices.push(if api.server().socket.is_some() {
            "Unix sockets have no kernel receive stamps; times were taken after each read"
                .to_owned()
        } else if quality.kernel_stamped_rate == 0.0 {
            "this system gives no kernel receive stamps; times were taken after each read"
                .to_owned()
        } else {
            format!(
                "only {:.0} % of the reads had kernel receive stamps; the times of the others were \
                 taken after the read",
                quality.kernel_stamped_rate * 100.0
            )
        });
    }
    notices
}
