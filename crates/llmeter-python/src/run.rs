//! Runs and tests by blocks, on threads of their own.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use llmeter::experiment::{AbTest, AbVariant, Workload, Workloads};
use llmeter::result::{response_to_json, take_folder};
use llmeter::stats::Figure;
use llmeter::storage::Location;
use llmeter::{
    Error, InvocationResponse, Load, Observer, Progress, RunConfig, RunResult, RunSettings, Runner,
    probe,
};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use serde_json::{Map, Value, json};

use crate::data::RunData;
use crate::ending::UnderWay;
use crate::error::{failed, invalid, raised, refused};
use crate::hooks::Hooks;
use crate::parts;

/// A run or an experiment under way.
#[pyclass(frozen)]
pub(crate) struct RunHandle(llmeter::Interrupt);

#[pymethods]
impl RunHandle {
    /// Sends nothing more.
    fn stop(&self) {
        self.0.stop();
    }

    /// Abandons what is in flight, too.
    fn abort(&self) {
        self.0.abort();
    }
}

/// What was measured, and what else there is to tell of it.
type Done = (Vec<RunResult>, Value);

/// Starts a run (`run`) or a test by blocks (`ab_test`), whose parts are its variants.
#[pyfunction]
pub(crate) fn start(
    kind: &str,
    parts: Vec<Bound<'_, PyAny>>,
    event_loop: &Bound<'_, PyAny>,
    begin: Py<PyAny>,
    on_progress: Option<Py<PyAny>>,
    on_done: Py<PyAny>,
) -> PyResult<RunHandle> {
    let hooks = Hooks::new(event_loop, begin)?;
    let wake = event_loop.getattr("call_soon_threadsafe")?.unbind();
    let mut configs = Vec::new();
    for part in &parts {
        configs.push(parts::config(part, &hooks)?);
    }
    let py = event_loop.py();
    let observer: Option<Arc<dyn Observer>> = match on_progress {
        Some(tell) => Some(Arc::new(Teller::start(tell, wake.clone_ref(py))?)),
        None => None,
    };
    let interrupt = llmeter::Interrupt::new();
    let own = interrupt.clone();
    let work: Box<dyn FnOnce() -> Result<Done, Error> + Send> = match kind {
        "run" => run(configs, observer, own)?,
        "ab_test" => ab_test(configs, observer, own)?,
        "workloads" => workloads(configs, observer, own)?,
        other => return Err(invalid(format!("no such kind of run: {other}"))),
    };
    let thread = std::thread::Builder::new().name("run".to_owned());
    let under_way = UnderWay::run(interrupt.clone());
    let carry_out = move || {
        let _under_way = under_way;
        let outcome = work();
        Python::try_attach(|py| {
            // A loop that is closed is told nothing any more.
            let _ = tell_end(py, outcome, &wake, on_done);
        });
    };
    thread.spawn(carry_out).map_err(failed)?;
    Ok(RunHandle(interrupt))
}

fn tell_end(
    py: Python<'_>,
    outcome: Result<Done, Error>,
    wake: &Py<PyAny>,
    on_done: Py<PyAny>,
) -> PyResult<()> {
    match outcome {
        Ok((results, more)) => {
            let results: Vec<_> = results.into_iter().map(RunData::new).collect();
            wake.call1(py, (on_done, results, more.to_string(), py.None()))
        }
        Err(error) => {
            let error = raised(&error).into_value(py);
            wake.call1(py, (on_done, py.None(), "null", error))
        }
    }
    .map(drop)
}

type Configs = Vec<(RunConfig, Map<String, Value>)>;
type Work = Box<dyn FnOnce() -> Result<Done, Error> + Send>;

fn run(
    configs: Configs,
    observer: Option<Arc<dyn Observer>>,
    interrupt: llmeter::Interrupt,
) -> PyResult<Work> {
    let nothing = || PyRuntimeError::new_err("a run has one part");
    let (mut config, more) = configs.into_iter().next().ok_or_else(nothing)?;
    // An open loop sends each payload once in all by itself.
    let is_closed = config.rate.is_none() && config.stages.is_none();
    if is_closed && more.get("each_once").and_then(Value::as_bool) == Some(true) {
        let payloads = config.payloads.len();
        config.load = Load::each_payload_once_in_all(config.clients, payloads, config.warmup);
    }
    let taken = more.get("take").and_then(Value::as_str);
    let taken = taken.map(|folder| Location::from(folder.to_owned()));
    let checked = config.clone();
    let mut runner = Runner::new(config).interrupted_by(interrupt);
    if let Some(observer) = observer {
        runner = runner.observe(observer);
    }
    Ok(Box::new(move || {
        if let Some(folder) = taken {
            // What an earlier experiment left goes only if this one can begin.
            checked.validate()?;
            take_folder(&folder, checked.overwrite)?;
        }
        Ok((vec![runner.run_blocking()?], Value::Null))
    }))
}

fn ab_test(
    mut configs: Configs,
    observer: Option<Arc<dyn Observer>>,
    interrupt: llmeter::Interrupt,
) -> PyResult<Work> {
    let more = configs
        .first_mut()
        .map(|(_, more)| std::mem::take(more))
        .unwrap_or_default();
    let number = |name: &str| more.get(name).and_then(Value::as_f64);
    let count = |name: &str| more.get(name).and_then(Value::as_u64);
    let text = |name: &str| more.get(name).and_then(Value::as_str);
    let names: Vec<String> = match more.get("names").and_then(Value::as_array) {
        Some(names) => names
            .iter()
            .map(|name| name.as_str().unwrap_or_default().to_owned())
            .collect(),
        None => Vec::new(),
    };
    let metric = Figure::named(text("metric").unwrap_or("ttft-p50"))
        .map_err(|reason| invalid(format!("metric: {reason}")))?;
    let configs = configs.into_iter().map(|(config, _)| config);
    let variants = names.into_iter().zip(configs);
    let variants = variants.map(|(name, config)| AbVariant { name, config });
    let mut test = AbTest::new(variants, metric.key()).interrupted_by(interrupt);
    if let Some(alpha) = number("alpha") {
        test = test.alpha(alpha);
    }
    if let Some(margin) = number("margin") {
        test = test.margin(margin);
    }
    if let Some(seed) = count("seed") {
        test = test.seed(seed);
    }
    if let Some(rounds) = count("max_rounds") {
        test = test.max_rounds(rounds as usize);
    }
    if let Some(requests) = count("max_requests") {
        test = test.max_requests(requests);
    }
    if let Some(seconds) = number("max_duration") {
        let time = Duration::try_from_secs_f64(seconds).map_err(invalid)?;
        test = test.max_duration(time);
    }
    if let Some(folder) = text("output_path") {
        let name = text("test_name").map(str::to_owned);
        test = test.output(Location::from(folder.to_owned()), name);
    }
    if let Some(observer) = observer {
        test = test.observe(move |_, _| Some(observer.clone()));
    }
    Ok(Box::new(move || {
        let done = test.run_blocking()?;
        let text = llmeter::report::ab(&done);
        let comparisons: Vec<_> = done
            .comparisons()
            .iter()
            .map(|one| {
                json!({
                    "variant": one.variant,
                    "means": one.means,
                    "difference": one.difference(),
                    "interval": one.interval(),
                    "answer": one.analysis.as_ref().map(|analysis| format!("{:?}", analysis.answer)),
                })
            })
            .collect();
        let more = json!({
            "plan": done.plan,
            "text": text,
            "comparisons": comparisons,
            "rounds": done.rounds.len(),
            "output_path": done.output_path,
            "warnings": done.warnings,
        });
        Ok((done.blocks().cloned().collect(), more))
    }))
}

fn workloads(
    mut configs: Configs,
    observer: Option<Arc<dyn Observer>>,
    interrupt: llmeter::Interrupt,
) -> PyResult<Work> {
    let more = configs
        .first_mut()
        .map(|(_, more)| std::mem::take(more))
        .unwrap_or_default();
    let list = |name: &str| more.get(name).and_then(Value::as_array).cloned();
    let names = list("names").unwrap_or_default();
    let shares = list("shares").unwrap_or_default();
    let text = |name: &str| more.get(name).and_then(Value::as_str).map(str::to_owned);
    let is_on = |name: &str| more.get(name).and_then(Value::as_bool) == Some(true);
    let classes = configs.into_iter().zip(names).enumerate();
    let classes = classes.map(|(at, ((config, _), name))| Workload {
        name: name.as_str().unwrap_or_default().to_owned(),
        share: shares.get(at).and_then(Value::as_f64),
        config,
    });
    let slos = more.get("slo").cloned().unwrap_or_else(|| json!([]));
    let slos = serde_json::from_value(slos).map_err(refused("slo"))?;
    let output = text("output_path").ok_or_else(|| invalid("output_path is required"))?;
    let mut mix = Workloads::new(classes, Location::from(output))
        .run_name(text("run_name"))
        .description(text("run_description"))
        .overwrite(is_on("overwrite"))
        .alone(is_on("alone"))
        .slos(slos)
        .interrupted_by(interrupt);
    if let Some(observer) = observer {
        mix = mix.observe(move |_| Some(observer.clone()));
    }
    Ok(Box::new(move || {
        let done = mix.run_blocking()?;
        let (names, classes): (Vec<_>, Vec<_>) = done.classes.into_iter().unzip();
        let results = std::iter::once(done.whole).chain(classes).collect();
        Ok((results, json!({ "names": names })))
    }))
}

/// Tells how a run goes on, on a thread of its own: the core's must not wait for Python's lock.
struct Teller(Mutex<Sender<String>>);

impl Teller {
    fn start(tell: Py<PyAny>, wake: Py<PyAny>) -> PyResult<Self> {
        let (sender, states) = channel::<String>();
        let thread = std::thread::Builder::new().name("progress".to_owned());
        let under_way = UnderWay::new();
        let pass_on = move || {
            let _under_way = under_way;
            for state in states {
                Python::try_attach(|py| {
                    let _ = wake.call1(py, (tell.clone_ref(py), state));
                });
            }
        };
        thread.spawn(pass_on).map_err(failed)?;
        Ok(Self(Mutex::new(sender)))
    }
}

impl Observer for Teller {
    fn progress(&self, progress: &Progress) {
        let state = json!({
            "recorded": progress.recorded,
            "planned": progress.planned,
            "elapsed": progress.elapsed,
            "duration": progress.duration,
            "is_warming_up": progress.is_warming_up,
            "is_stopping": progress.is_stopping,
            "stats": progress.stats,
        });
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The thread goes with the run.
        let _ = sender.send(state.to_string());
    }
}

/// Sends one request; gives its response line.
#[pyfunction]
#[pyo3(signature = (endpoint, payload, settings = "{}"))]
pub(crate) fn invoke(
    py: Python<'_>,
    endpoint: &Bound<'_, PyAny>,
    payload: &str,
    settings: &str,
) -> PyResult<String> {
    let (endpoint, _) = parts::endpoint(py, endpoint)?;
    let sent = parts::payloads(&format!("[{payload}]"))?;
    let mut config = RunConfig::new(endpoint, sent);
    let settings: RunSettings = serde_json::from_str(settings).map_err(refused("settings"))?;
    settings
        .apply(&mut config)
        .map_err(|error| raised(&error))?;
    let seen = py.detach(|| probe::probe(&config, None, &llmeter::Interrupt::new()));
    let seen = seen.map_err(|error| raised(&error))?;
    let mut response = seen.response.unwrap_or_else(|| InvocationResponse {
        input_payload: config.payloads.first().cloned(),
        ..InvocationResponse::default()
    });
    if response.error.is_none() {
        response.error = seen.error;
    }
    Ok(response_to_json(&response))
}
