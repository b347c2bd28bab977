//! Runs and experiments, on threads of their own.

use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};

use llmeter::result::take_folder;
use llmeter::storage::Location;
use llmeter::{Error, Load, Observer, Progress, RunConfig, RunResult, Runner};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use serde_json::{Map, Value, json};

use crate::data::RunData;
use crate::disturbances;
use crate::ending::UnderWay;
use crate::error::{failed, invalid, raised};
use crate::hooks::Hooks;
use crate::{experiments, parts};

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
pub(crate) type Done = (Vec<RunResult>, Value);

/// Starts a run (`run`) or an experiment, by its name. A test by blocks has a part for each variant, a
/// calibration its arguments as JSON in the place of one.
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
    let py = event_loop.py();
    let observer: Option<Arc<dyn Observer>> = match on_progress {
        Some(tell) => Some(Arc::new(Teller::start(tell, wake.clone_ref(py))?)),
        None => None,
    };
    let interrupt = llmeter::Interrupt::new();
    let own = interrupt.clone();
    let configs = || parts.iter().map(|part| parts::config(part, &hooks));
    let configs = || configs().collect::<PyResult<Configs>>();
    let work = match kind {
        "run" => run(configs()?, observer, own)?,
        "ab_test" => experiments::ab_test(configs()?, observer, own)?,
        "capacity" => experiments::capacity(configs()?, observer, own)?,
        "repeat" => experiments::repeat(configs()?, observer, own)?,
        "workloads" => experiments::workloads(configs()?, observer, own)?,
        "calibrate" => experiments::calibrate(&parts, observer, own)?,
        other => disturbed(other, configs()?, observer, own)?,
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

/// Configurations, each with what an experiment has beside it.
pub(crate) type Configs = Vec<(RunConfig, Map<String, Value>)>;
/// What the thread of a run does.
pub(crate) type Work = Box<dyn FnOnce() -> Result<Done, Error> + Send>;

fn disturbed(
    kind: &str,
    configs: Configs,
    observer: Option<Arc<dyn Observer>>,
    interrupt: llmeter::Interrupt,
) -> PyResult<Work> {
    let nothing = || PyRuntimeError::new_err("an experiment has one part");
    let (config, more) = configs.into_iter().next().ok_or_else(nothing)?;
    let work = disturbances::work(kind, config, &more, observer, interrupt)?;
    let work = work.ok_or_else(|| invalid(format!("no such kind of run: {kind}")))?;
    Ok(Box::new(move || Ok((vec![work()?], Value::Null))))
}

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
    if more.is_empty() {
        // The runs of an experiment are what it says.
        runner = runner.controllable();
    }
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
