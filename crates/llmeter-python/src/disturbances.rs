//! Experiments on a server that is disturbed.

use std::sync::Arc;
use std::time::Duration;

use llmeter::experiment::{ColdStart, Drift, Spike};
use llmeter::load::StageLevel;
use llmeter::{Error, Interrupt, Observer, RunConfig, RunResult};
use pyo3::prelude::*;
use serde_json::{Map, Value};

use crate::error::invalid;

/// What is left to do, on a thread of its own.
type Work = Box<dyn FnOnce() -> Result<RunResult, Error> + Send>;

fn time(more: &Map<String, Value>, name: &str) -> PyResult<Option<Duration>> {
    let Some(seconds) = more.get(name).and_then(Value::as_f64) else {
        return Ok(None);
    };
    let time = Duration::try_from_secs_f64(seconds);
    time.map(Some)
        .map_err(|reason| invalid(format!("{name} {seconds}: {reason}")))
}

/// A `spike`, `cold_start` or test for `drift`; `None` if it is none of them.
pub(crate) fn work(
    kind: &str,
    config: RunConfig,
    more: &Map<String, Value>,
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
) -> PyResult<Option<Work>> {
    let count = |name: &str| more.get(name).and_then(Value::as_u64);
    Ok(Some(match kind {
        "spike" => {
            let usual = match config.rate {
                Some(rate) => StageLevel::Rate(rate),
                None => StageLevel::Clients(config.clients as u32),
            };
            let text = more.get("spike").and_then(Value::as_str).unwrap_or("");
            let spike = text.parse().map_err(|reason: String| invalid(reason))?;
            let around = |name| Ok::<_, PyErr>(time(more, name)?.unwrap_or_default());
            let mut work = Spike::new(config, usual, spike)
                .around(around("before")?, around("after")?)
                .interrupted_by(interrupt);
            if let Some(window) = time(more, "window")? {
                work = work.window(window);
            }
            if let Some(observer) = observer {
                work = work.observe(observer);
            }
            Box::new(move || work.run_blocking())
        }
        "cold_start" => {
            let mut work = ColdStart::new(config)
                .responses(count("responses").unwrap_or(0))
                .polling(
                    time(more, "poll")?.unwrap_or_default(),
                    time(more, "wait")?.unwrap_or_default(),
                )
                .interrupted_by(interrupt);
            if let Some(observer) = observer {
                work = work.observe(observer);
            }
            Box::new(move || work.run_blocking())
        }
        "drift" => {
            let clients = count("clients").unwrap_or(0) as usize;
            let work = Drift::new(config, clients).interrupted_by(interrupt);
            Box::new(move || work.run_blocking())
        }
        _ => return Ok(None),
    }))
}
