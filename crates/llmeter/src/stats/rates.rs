//! Which rates of a run reports show.

use super::interval::Interval;
use super::table::Stats;

/// A rate, if it is known, with its interval.
pub(crate) type Rate = (Option<f64>, Option<Interval>);

/// The rates that reports show: of the steady state where that is wanted and was found, else of the whole
/// run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ShownRates {
    pub(crate) is_steady: bool,
    pub(crate) requests_per_minute: Rate,
    pub(crate) successful_requests_per_minute: Rate,
    pub(crate) output_tps: Rate,
    pub(crate) goodput: Rate,
    pub(crate) goodput_rate: Option<f64>,
}

impl Stats {
    /// The rates that reports show.
    pub(crate) fn shown_rates(&self) -> ShownRates {
        let is_steady = self.steady_rates && self.steady_requests_per_minute.is_some();
        match is_steady {
            true => ShownRates {
                is_steady,
                requests_per_minute: (
                    self.steady_requests_per_minute,
                    self.steady_requests_per_minute_interval,
                ),
                successful_requests_per_minute: (
                    self.steady_successful_requests_per_minute,
                    self.steady_successful_requests_per_minute_interval,
                ),
                output_tps: (self.steady_output_tps, self.steady_output_tps_interval),
                goodput: (self.steady_goodput, self.steady_goodput_interval),
                goodput_rate: self.steady_goodput_rate,
            },
            false => ShownRates {
                is_steady,
                requests_per_minute: (self.requests_per_minute, self.requests_per_minute_interval),
                successful_requests_per_minute: (
                    self.successful_requests_per_minute,
                    self.successful_requests_per_minute_interval,
                ),
                output_tps: (self.output_tps, self.output_tps_interval),
                goodput: (self.goodput, self.goodput_interval),
                goodput_rate: self.goodput_rate,
            },
        }
    }
}
