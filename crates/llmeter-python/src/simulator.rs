//! The simulated server, in this process.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use llmeter_sim::{Certificate, RunningSimulator, SimConfig, Simulator as Server};
use pyo3::prelude::*;
use serde::Deserialize;

use crate::error::{failed, invalid, refused};

/// Settings of the simulator, as Python has them. Times are seconds.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Arguments {
    host: std::net::IpAddr,
    port: u16,
    ttft: f64,
    itl: f64,
    output_tokens: u32,
    jitter: f64,
    tokens_per_frame: u32,
    reasoning_tokens: u32,
    error_rate: f64,
    stall_rate: f64,
    cut_rate: f64,
    max_concurrency: Option<usize>,
    max_tokens_in_flight: Option<u64>,
    prefix_cache: Option<u64>,
    cache_block: Option<u32>,
    prefill_rate: Option<f64>,
    drift_from: Option<usize>,
    seed: u64,
    keep_truth: bool,
    api_key: Option<String>,
    model: String,
    tls: bool,
    threads: usize,
}

impl Default for Arguments {
    fn default() -> Self {
        let of = SimConfig::default();
        Self {
            host: of.host,
            port: of.port,
            ttft: of.ttft.as_secs_f64(),
            itl: of.itl.as_secs_f64(),
            output_tokens: of.output_tokens,
            jitter: of.jitter,
            tokens_per_frame: of.tokens_per_frame,
            reasoning_tokens: of.reasoning_tokens,
            error_rate: of.error_rate,
            stall_rate: of.stall_rate,
            cut_rate: of.cut_rate,
            max_concurrency: of.max_concurrency,
            max_tokens_in_flight: of.max_tokens_in_flight,
            prefix_cache: of.prefix_cache,
            cache_block: None,
            prefill_rate: of.prefill_rate,
            drift_from: of.drift_from,
            seed: of.seed,
            keep_truth: of.keep_truth,
            api_key: of.api_key,
            model: of.model,
            tls: false,
            threads: of.threads,
        }
    }
}

impl Arguments {
    fn config(self) -> PyResult<SimConfig> {
        let time = |name: &str, seconds: f64| {
            Duration::try_from_secs_f64(seconds)
                .map_err(|reason| invalid(format!("{name} {seconds}: {reason}")))
        };
        if let (Some(block), None) = (self.cache_block, self.prefix_cache) {
            return Err(invalid(format!(
                "cache_block {block} requires prefix_cache"
            )));
        }
        Ok(SimConfig {
            host: self.host,
            port: self.port,
            ttft: time("ttft", self.ttft)?,
            itl: time("itl", self.itl)?,
            output_tokens: self.output_tokens,
            jitter: self.jitter,
            tokens_per_frame: self.tokens_per_frame,
            reasoning_tokens: self.reasoning_tokens,
            error_rate: self.error_rate,
            stall_rate: self.stall_rate,
            cut_rate: self.cut_rate,
            max_concurrency: self.max_concurrency,
            max_tokens_in_flight: self.max_tokens_in_flight,
            prefix_cache: self.prefix_cache,
            cache_block: self.cache_block.unwrap_or(SimConfig::default().cache_block),
            prefill_rate: self.prefill_rate,
            drift_from: self.drift_from,
            seed: self.seed,
            keep_truth: self.keep_truth,
            api_key: self.api_key,
            model: self.model,
            tls: self.tls.then_some(Certificate::Made),
            threads: self.threads,
            ..SimConfig::default()
        })
    }
}

/// A simulated LLM server.
#[pyclass(frozen)]
pub(crate) struct Simulator {
    running: Mutex<Option<RunningSimulator>>,
    base_url: String,
}

impl Simulator {
    /// Tells something of the server while it runs.
    fn tell<T>(&self, ask: impl FnOnce(&RunningSimulator) -> T) -> PyResult<T> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running
            .as_ref()
            .map(ask)
            .ok_or_else(|| failed("the simulator has stopped"))
    }
}

#[pymethods]
impl Simulator {
    /// Its address, with `/v1`.
    fn base_url(&self) -> String {
        self.base_url.clone()
    }

    fn requests_served(&self) -> PyResult<u64> {
        self.tell(RunningSimulator::requests_served)
    }

    /// Its certificate, as PEM, if it serves TLS.
    fn certificate(&self) -> PyResult<Option<String>> {
        self.tell(|running| running.certificate().map(str::to_owned))
    }

    /// What it truly did, a JSON object for each request.
    fn truth(&self) -> PyResult<Vec<String>> {
        let records = self.tell(RunningSimulator::truth)?;
        let lines = records.iter().map(serde_json::to_string);
        lines.collect::<Result<_, _>>().map_err(refused("truth"))
    }

    /// Stops it, and waits until it has stopped.
    fn stop(&self, py: Python<'_>) -> PyResult<()> {
        let running = &self.running;
        py.detach(|| {
            let running = running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take();
            running.map_or(Ok(()), RunningSimulator::stop)
        })
        .map_err(failed)
    }
}

/// Starts a simulated server.
#[pyfunction]
#[pyo3(signature = (arguments = "{}"))]
pub(crate) fn simulate(py: Python<'_>, arguments: &str) -> PyResult<Simulator> {
    let arguments: Arguments = serde_json::from_str(arguments).map_err(refused("simulate"))?;
    let config = arguments.config()?;
    let running = py
        .detach(|| Server::start(config))
        .map_err(|reason| invalid(reason.to_string()))?;
    Ok(Simulator {
        base_url: running.base_url(),
        running: Mutex::new(Some(running)),
    })
}
