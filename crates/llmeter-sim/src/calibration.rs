//! Measuring what this machine adds to the times that llmeter reports.
//!
//! Belongs here: replaying a load shape against a simulator whose every write is known.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use llmeter::payload::Payload;
use llmeter::{Interrupt, Load, Observer, OpenAiChat, RunConfig, Runner, StampSource, Verdict};
use serde_json::{Map, Value, json};

use crate::comparison::{Comparison, ErrorSummary};
use crate::{SimConfig, SimError, Simulator};

/// The load that is replayed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LoadShape {
    /// Clients, each with one request in flight at a time.
    pub clients: usize,
    /// How long they send.
    pub duration: Duration,
    /// The simulator's time to first token.
    pub ttft: Duration,
    /// The simulator's time between tokens.
    pub itl: Duration,
    /// Tokens of each response.
    pub output_tokens: u32,
    /// Who takes the receive stamps.
    pub stamps: StampSource,
}

impl Default for LoadShape {
    fn default() -> Self {
        Self {
            clients: 1,
            duration: Duration::from_secs(4),
            ttft: Duration::from_millis(50),
            itl: Duration::from_millis(10),
            output_tokens: 64,
            stamps: StampSource::Kernel,
        }
    }
}

/// What this machine adds to the times that llmeter reports.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Calibration {
    /// The load that was replayed.
    pub shape: LoadShape,
    /// Requests that were compared.
    pub requests: usize,
    /// What is added to the time to first token.
    pub ttft: ErrorSummary,
    /// What is added to gaps between tokens.
    pub itl: ErrorSummary,
    /// The verdict on the calibration run itself.
    pub verdict: Verdict,
}

/// Why no calibration came about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CalibrationError {
    /// The simulator did not start or stop.
    #[error(transparent)]
    Simulator(#[from] SimError),
    /// The run against it failed.
    #[error(transparent)]
    Run(#[from] llmeter::Error),
    /// No request was completed in time.
    #[error("no request was completed; calibrate for longer or with fewer clients")]
    NothingMeasured,
}

/// Replays `shape` against a simulator within this process.
///
/// # Errors
/// When the shape cannot be used, or nothing was measured.
pub fn calibrate(
    shape: &LoadShape,
    interrupt: &Interrupt,
    observer: Option<Arc<dyn Observer>>,
) -> Result<Calibration, CalibrationError> {
    let simulator = Simulator::start(SimConfig {
        ttft: shape.ttft,
        itl: shape.itl,
        output_tokens: shape.output_tokens,
        keep_truth: true,
        ..SimConfig::default()
    })?;
    let endpoint = OpenAiChat::builder(simulator.base_url(), "calibration").build()?;
    let payload = OpenAiChat::create_payload(
        "How long do you take?",
        u64::from(shape.output_tokens),
        Payload::new(),
    )?;
    let mut config = RunConfig::new(Arc::new(endpoint), [payload])
        .clients(shape.clients)
        .load(Load::Duration(shape.duration));
    config.stamps = shape.stamps;
    let mut runner = Runner::new(config).interrupted_by(interrupt.clone());
    if let Some(observer) = observer {
        runner = runner.observe(observer);
    }
    let result = runner.run_blocking()?;
    let comparison = Comparison::new(&result.responses, &simulator.truth());
    simulator.stop()?;
    let summary =
        |errors: &[f64]| ErrorSummary::new(errors).ok_or(CalibrationError::NothingMeasured);
    let quality = result.quality;
    Ok(Calibration {
        shape: *shape,
        requests: comparison.ttft.len(),
        ttft: summary(&comparison.ttft)?,
        itl: summary(&comparison.itl)?,
        verdict: quality.map(|quality| quality.verdict).unwrap_or_default(),
    })
}

impl Calibration {
    /// The figures as statistics, each key beginning with `measurement_calibration_`; seconds.
    pub fn stats(&self) -> Map<String, Value> {
        let (ttft, itl) = (self.ttft, self.itl);
        let stats = [
            ("ttft-mean", json!(ttft.mean)),
            ("ttft-p50", json!(ttft.p50)),
            ("ttft-p99", json!(ttft.p99)),
            ("itl-mean", json!(itl.mean)),
            ("itl-p50", json!(itl.p50)),
            ("itl-p99", json!(itl.p99)),
            ("requests", json!(self.requests)),
            ("verdict", json!(self.verdict.as_str())),
        ];
        let named = stats.map(|(name, value)| (format!("measurement_calibration_{name}"), value));
        Map::from_iter(named)
    }
}

impl fmt::Display for Calibration {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = &self.shape;
        writeln!(
            formatter,
            "{} requests by {} clients, {:?} to the first of {} tokens, {:?} between them",
            self.requests, shape.clients, shape.ttft, shape.output_tokens, shape.itl
        )?;
        for (name, errors) in [("TTFT", self.ttft), ("ITL", self.itl)] {
            writeln!(
                formatter,
                "added to {name:4}  mean {:>8.3} ms  p50 {:>8.3} ms  p99 {:>8.3} ms",
                errors.mean * 1e3,
                errors.p50 * 1e3,
                errors.p99 * 1e3
            )?;
        }
        writeln!(formatter, "verdict        {}", self.verdict)
    }
}
