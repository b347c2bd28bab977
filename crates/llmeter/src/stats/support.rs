//! How far a run's sample carries a figure of its.

use serde_json::{Map, Value};

use super::metric::Metric;
use super::percentile::{Percentile, Support};

/// How far the sample of the figure of this key carries it: percentiles need values beyond them, other
/// figures need nothing.
///
/// The sample is as large as the statistics say (`-count`). Where they do not, as in folders of the Python
/// package, it has a value of each successful request at most.
pub fn support_of(key: &str, stats: &Map<String, Value>) -> Support {
    support_by(key, |key| stats.get(key)?.as_f64())
}

/// [`support_of`] with statistics that are kept in another form.
pub(crate) fn support_by(key: &str, get: impl Fn(&str) -> Option<f64>) -> Support {
    let percentile = key.rsplit_once('-');
    let percentile = percentile.and_then(|(metric, name)| Some((metric, Percentile::named(name)?)));
    let Some((name, percentile)) = percentile else {
        return Support::Full;
    };
    let count = get(&format!("{name}-count")).or_else(|| {
        let (metric, _) = Metric::of(key)?;
        let requests = get("total_requests")?;
        match metric.is_of_responses() || metric.unit == "currency" {
            true => Some(requests - get("failed_requests").unwrap_or(0.0)),
            false if metric.is_of_requests() => Some(requests),
            false => None,
        }
    });
    count.map_or(Support::Full, |count| percentile.support(count as u64))
}

/// How far the smallest of several samples carries a figure.
pub(crate) fn least_support(supports: impl Iterator<Item = Support>) -> Support {
    supports.fold(Support::Full, |least, support| match (least, support) {
        (Support::None, _) | (_, Support::None) => Support::None,
        (Support::Weak, _) | (_, Support::Weak) => Support::Weak,
        (Support::Full, Support::Full) => Support::Full,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_sample_is_as_large_as_is_known() {
        let stats = json!({
            "total_requests": 100, "failed_requests": 10, "time_to_first_token-count": 600,
            "num_tokens_input_cached-count": 40,
        });
        let of = |key: &str| support_of(key, stats.as_object().unwrap());
        for (key, expected) in [
            ("time_to_first_token-p99", Support::Full),
            ("time_to_first_token-average", Support::Full),
            ("time_to_last_token-p90", Support::Full),
            ("time_to_last_token-p99", Support::None),
            ("num_tokens_output-p99", Support::None),
            ("num_tokens_output-p90", Support::Full),
            ("num_tokens_input_cached-p90", Support::Weak),
            ("cost_per_request-p99", Support::None),
            ("measurement_send_lateness-p99", Support::Weak),
            ("inter_token_latency-p99", Support::Full),
            ("a_callback_of_ones_own-p99", Support::Full),
        ] {
            assert_eq!(of(key), expected, "{key}");
        }
        assert_eq!(
            support_of("time_to_last_token-p99", &Map::new()),
            Support::Full
        );
    }
}
