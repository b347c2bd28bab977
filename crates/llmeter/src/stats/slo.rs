//! How many requests meet the SLOs of single requests.

use super::Condition;
use crate::InvocationResponse;

/// The metric that a response of one token cannot have.
const TPOT: &str = "time_per_output_token";

/// Counts requests that meet SLOs.
#[derive(Debug, Clone, Default)]
pub(crate) struct SloTally {
    slos: Vec<Slo>,
    met_by_all: u64,
}

#[derive(Debug, Clone)]
struct Slo {
    condition: Condition,
    name: String,
    met: u64,
}

impl SloTally {
    /// Of those among these conditions that are about each request.
    pub(super) fn new(conditions: &[Condition]) -> Self {
        let of_requests = conditions.iter().filter(|one| one.is_per_request());
        let slos = of_requests.map(|condition| Slo {
            condition: condition.clone(),
            name: condition.to_string(),
            met: 0,
        });
        Self {
            slos: slos.collect(),
            met_by_all: 0,
        }
    }

    /// Takes in a response, and tells whether it meets all; false without SLOs.
    pub(super) fn record(&mut self, response: &InvocationResponse) -> bool {
        if self.slos.is_empty() {
            return false;
        }
        let mut is_met_by_all = true;
        for slo in &mut self.slos {
            let is_met = is_met_by(&slo.condition, response);
            slo.met += u64::from(is_met);
            is_met_by_all &= is_met;
        }
        self.met_by_all += u64::from(is_met_by_all);
        is_met_by_all
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.slos.is_empty()
    }

    /// Requests that meet all; `None` without SLOs.
    pub(super) fn met_by_all(&self) -> Option<u64> {
        (!self.slos.is_empty()).then_some(self.met_by_all)
    }

    /// Requests that meet each, by its text.
    pub(super) fn met_by_each(&self) -> impl Iterator<Item = (&str, u64)> {
        self.slos.iter().map(|slo| (slo.name.as_str(), slo.met))
    }
}

/// Whether a request meets an SLO. A failed one does not, nor does one that lacks the value, but for TPOT
/// of a single token, which has no gap that could be too long.
pub(crate) fn is_met_by(slo: &Condition, response: &InvocationResponse) -> bool {
    if response.error.is_some() {
        return false;
    }
    match slo.figure().value_of(response) {
        Some(value) => slo.holds(value),
        None => slo.figure().metric().key == TPOT && response.num_tokens_output == Some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{Accumulator, Keep};

    fn response(ttft: Option<f64>, tpot: Option<f64>, tokens: u64) -> InvocationResponse {
        InvocationResponse {
            time_to_first_token: ttft,
            time_to_last_token: Some(1.0),
            time_per_output_token: tpot,
            num_tokens_output: Some(tokens),
            ..InvocationResponse::default()
        }
    }

    #[test]
    fn goodput_counts_what_meets_all() {
        let slos: Vec<Condition> = ["ttft < 500ms", "tpot <= 50ms", "ttlt-p90 < 3s"]
            .map(|slo| slo.parse().unwrap())
            .to_vec();
        for keep in [Keep::Values, Keep::Sketches] {
            let mut accumulator = Accumulator::new(keep).slos(&slos);
            accumulator.record(&response(Some(0.4), Some(0.05), 9));
            accumulator.record(&response(Some(0.5), Some(0.01), 9));
            accumulator.record(&response(Some(0.1), None, 1));
            // Without a stream nothing is known of its tokens.
            accumulator.record(&response(None, None, 9));
            accumulator.record(&InvocationResponse {
                error: Some(crate::Failure::new(crate::FailureKind::ALL[0], "refused")),
                ..response(Some(0.1), Some(0.01), 9)
            });
            let stats = accumulator.stats(Some(4.0));
            assert_eq!(stats["goodput"], 0.5);
            assert_eq!(stats["goodput_rate"], 0.4);
            assert_eq!(stats["slo_rate-ttft < 500ms"], 0.4);
            assert_eq!(stats["slo_rate-tpot <= 50ms"], 0.6);
            assert!(!stats.keys().any(|key| key.contains("ttlt-p90")));
            assert!(
                !stats.contains_key("steady_goodput"),
                "a run of five requests"
            );
        }
        let stats = Accumulator::default().stats(Some(1.0));
        assert!(!stats.contains_key("goodput") && !stats.contains_key("goodput_rate"));
    }
}
