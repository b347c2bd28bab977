//! The record of how far a measurement can be trusted; `run` makes it and judges.

use std::fmt;

use serde_json::{Map, Value, json};

use llmeter_wire::StampSource;

/// Whether the figures are those of the endpoint or of the meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Verdict {
    /// The meter's own error does not show in the figures.
    #[default]
    Clean,
    /// Some figures, high percentiles above all, contain an error of the meter.
    Degraded,
    /// The meter, not the endpoint, decides the figures.
    ClientBound,
}

impl Verdict {
    /// The verdict's name in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Clean => "clean",
            Self::Degraded => "degraded",
            Self::ClientBound => "client-bound",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Median, 99th percentile and largest of some durations, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spread {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// llmeter's own error during one run.
#[derive(Debug, Clone, Default)]
pub struct MeasurementQuality {
    /// The verdict that follows from the rest.
    pub verdict: Verdict,
    /// What the verdict rests on, unless it is clean: each a sentence with a remedy.
    pub reasons: Vec<String>,
    /// Whose receive stamps the times rest on.
    pub stamps: StampSource,
    /// Share of reads with a kernel stamp.
    pub kernel_stamped_rate: f64,
    /// Time from the arrival of bytes to their being read; without kernel stamps an upper bound.
    pub receive_delay: Option<Spread>,
    /// Time from a request's intended to its actual sending.
    pub send_lateness: Option<Spread>,
    /// Share of requests whose time to first or last token may be wrong by more than 1 ms.
    pub uncertain_requests_rate: f64,
    /// Share of token gaps that may be wrong by more than 1 ms.
    pub uncertain_gaps_rate: f64,
    /// Share of time that the busiest worker was at work.
    pub worker_busy: f64,
    /// Largest share of time that a worker could have worked but had no core.
    pub worker_wait: f64,
    /// Most bytes that waited for the recorder.
    pub recorder_backlog_bytes: u64,
    /// Seconds that clients waited for the recorder, summed over clients.
    pub recorder_wait: f64,
    /// Seconds that clients waited for callbacks to prepare a request, summed over clients.
    pub callback_wait: f64,
    /// Connections that were opened.
    pub connections: u64,
    /// Requests that had to open a connection.
    pub requests_on_new_connection: u64,
    /// Share of the machine's time that was busy, llmeter included.
    pub host_busy: Option<f64>,
    /// Share of the machine's time that the hypervisor gave to others.
    pub host_steal: Option<f64>,
    /// How often the realtime clock jumped.
    pub clock_steps: u32,
}

impl MeasurementQuality {
    /// The record as statistics, each key beginning with `measurement_`. Times are seconds.
    pub fn stats(&self) -> Map<String, Value> {
        let mut stats = Map::new();
        let mut put = |key: &str, value: Value| {
            stats.insert(format!("measurement_{key}"), value);
        };
        put("verdict", json!(self.verdict.as_str()));
        put("reasons", json!(self.reasons));
        put(
            "stamps",
            json!(match self.stamps {
                StampSource::Kernel => "kernel",
                StampSource::User => "user",
            }),
        );
        put("kernel_stamped_rate", json!(self.kernel_stamped_rate));
        let spreads = [
            ("receive_delay", self.receive_delay),
            ("send_lateness", self.send_lateness),
        ];
        for (name, spread) in spreads {
            if let Some(Spread { p50, p99, max }) = spread {
                put(&format!("{name}-p50"), json!(p50));
                put(&format!("{name}-p99"), json!(p99));
                put(&format!("{name}-max"), json!(max));
            }
        }
        put(
            "uncertain_requests_rate",
            json!(self.uncertain_requests_rate),
        );
        put("uncertain_gaps_rate", json!(self.uncertain_gaps_rate));
        put("worker_busy", json!(self.worker_busy));
        put("worker_wait", json!(self.worker_wait));
        put("recorder_backlog_bytes", json!(self.recorder_backlog_bytes));
        put("recorder_wait", json!(self.recorder_wait));
        put("callback_wait", json!(self.callback_wait));
        put("connections", json!(self.connections));
        put(
            "requests_on_new_connection",
            json!(self.requests_on_new_connection),
        );
        if let (Some(busy), Some(steal)) = (self.host_busy, self.host_steal) {
            put("host_busy", json!(busy));
            put("host_steal", json!(steal));
        }
        put("clock_steps", json!(self.clock_steps));
        stats
    }
}
