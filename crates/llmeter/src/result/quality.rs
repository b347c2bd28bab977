//! The record of how far a measurement can be trusted; `run` makes it and judges.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use llmeter_wire::StampSource;

/// Whether the figures are those of the endpoint or of the meter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
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
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Spread {
    /// The median.
    pub p50: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The largest.
    pub max: f64,
}

/// llmeter's own error during one run. What a field means is said once, at the metric
/// `measurement_<field>` of [`Stats`](crate::stats::Stats).
#[derive(Debug, Clone, Default, Serialize)]
pub struct MeasurementQuality {
    /// [`Stats::measurement_verdict`](crate::stats::Stats::measurement_verdict).
    pub verdict: Verdict,
    /// [`Stats::measurement_reasons`](crate::stats::Stats::measurement_reasons).
    pub reasons: Vec<String>,
    /// [`Stats::measurement_stamps`](crate::stats::Stats::measurement_stamps).
    #[serde(serialize_with = "stamps")]
    pub stamps: StampSource,
    /// Who took the times, if not llmeter: an endpoint with a clock of its own.
    #[serde(skip)]
    pub stamped_by: Option<&'static str>,
    /// [`Stats::measurement_kernel_stamped_rate`](crate::stats::Stats::measurement_kernel_stamped_rate).
    pub kernel_stamped_rate: f64,
    /// [`Stats::measurement_receive_delay`](crate::stats::Stats::measurement_receive_delay).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub receive_delay: Option<Spread>,
    /// [`Stats::measurement_send_lateness`](crate::stats::Stats::measurement_send_lateness).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub send_lateness: Option<Spread>,
    /// [`Stats::measurement_uncertain_requests_rate`](crate::stats::Stats::measurement_uncertain_requests_rate).
    pub uncertain_requests_rate: f64,
    /// [`Stats::measurement_uncertain_gaps_rate`](crate::stats::Stats::measurement_uncertain_gaps_rate).
    pub uncertain_gaps_rate: f64,
    /// [`Stats::measurement_worker_busy`](crate::stats::Stats::measurement_worker_busy).
    pub worker_busy: f64,
    /// [`Stats::measurement_worker_wait`](crate::stats::Stats::measurement_worker_wait).
    pub worker_wait: f64,
    /// [`Stats::measurement_recorder_backlog_bytes`](crate::stats::Stats::measurement_recorder_backlog_bytes).
    pub recorder_backlog_bytes: u64,
    /// [`Stats::measurement_recorder_wait`](crate::stats::Stats::measurement_recorder_wait).
    pub recorder_wait: f64,
    /// [`Stats::measurement_callback_wait`](crate::stats::Stats::measurement_callback_wait).
    pub callback_wait: f64,
    /// [`Stats::measurement_data_wait`](crate::stats::Stats::measurement_data_wait).
    #[serde(skip_serializing_if = "is_zero")]
    pub data_wait: f64,
    /// [`Stats::measurement_connections`](crate::stats::Stats::measurement_connections).
    pub connections: u64,
    /// [`Stats::measurement_requests_on_new_connection`](crate::stats::Stats::measurement_requests_on_new_connection).
    pub requests_on_new_connection: u64,
    /// [`Stats::measurement_stale_connections`](crate::stats::Stats::measurement_stale_connections).
    pub stale_connections: u64,
    /// [`Stats::measurement_local_failures`](crate::stats::Stats::measurement_local_failures).
    pub local_failures: u64,
    /// [`Stats::measurement_host_busy`](crate::stats::Stats::measurement_host_busy).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_busy: Option<f64>,
    /// [`Stats::measurement_host_steal`](crate::stats::Stats::measurement_host_steal).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub host_steal: Option<f64>,
    /// [`Stats::measurement_clock_steps`](crate::stats::Stats::measurement_clock_steps).
    pub clock_steps: u32,
    /// [`Stats::measurement_packets_dropped`](crate::stats::Stats::measurement_packets_dropped).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packets_dropped: Option<u64>,
}

impl MeasurementQuality {
    /// The record as statistics, each key beginning with `measurement_`. Times are seconds.
    pub fn stats(&self) -> Map<String, Value> {
        let mut stats = Map::new();
        // A record always becomes an object.
        if let Ok(Value::Object(fields)) = serde_json::to_value(self) {
            for (name, value) in fields {
                let key = format!("measurement_{name}");
                match value {
                    Value::Object(spread) => stats.extend(
                        spread
                            .into_iter()
                            .map(|(name, value)| (format!("{key}-{name}"), value)),
                    ),
                    value => _ = stats.insert(key, value),
                }
            }
        }
        if let Some(name) = self.stamped_by {
            stats.insert("measurement_stamps".to_owned(), name.into());
        }
        stats
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(seconds: &f64) -> bool {
    *seconds == 0.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn stamps<S: Serializer>(stamps: &StampSource, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match stamps {
        StampSource::Auto | StampSource::Kernel => "kernel",
        StampSource::Packet => "packet",
        StampSource::User => "user",
    })
}
