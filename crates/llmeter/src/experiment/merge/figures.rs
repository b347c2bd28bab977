//! What parts know beside their responses, as the knowledge of one run.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::result::{RunResult, RunSummary, Verdict};
use crate::stats::Metric;

/// How figures of parts become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rule {
    Sum,
    Max,
    Min,
    /// The mean, each part counting by its requests.
    Mean,
    /// Means over the parts' times, together over the time of the whole.
    OverTime,
    /// Whether it holds of all parts.
    All,
    /// Whether it holds of one of them.
    Any,
    /// What the first part that has it says.
    First,
    /// The lists one after the other.
    Lists,
    /// It is made anew, or means nothing for several runs.
    Nothing,
}

/// The rule for a metric of the table that responses do not tell. The large errors and waits of a
/// part's meter are those of the whole; its counts and times add up.
fn rule(metric: &Metric) -> Option<Rule> {
    use Rule::{All, Any, First, Lists, Max, Mean, Min, Nothing, OverTime, Sum};
    Some(match metric.short {
        "measurement_verdict" | "measurement_reasons" => Nothing,
        "measurement_kernel_stamped_rate"
        | "measurement_uncertain_requests_rate"
        | "measurement_uncertain_gaps_rate" => Mean,
        "measurement_receive_delay"
        | "measurement_send_lateness"
        | "measurement_worker_busy"
        | "measurement_worker_wait"
        | "measurement_recorder_backlog_bytes"
        | "measurement_host_busy"
        | "measurement_host_steal"
        | "measurement_calibration_ttft"
        | "measurement_calibration_itl"
        | "warmup_time" => Max,
        "measurement_recorder_wait"
        | "measurement_callback_wait"
        | "measurement_data_wait"
        | "measurement_connections"
        | "measurement_requests_on_new_connection"
        | "measurement_stale_connections"
        | "measurement_local_failures"
        | "measurement_clock_steps"
        | "measurement_packets_dropped"
        | "measurement_calibration_requests"
        | "rate_limited_answers"
        | "rate_limited_answers_by_error"
        | "unreadable_rate_limits"
        | "due_requests"
        | "unsent_requests"
        | "offered_rate"
        | "achieved_rate"
        | "peak_in_flight"
        | "in_flight_limit"
        | "in_flight_waits"
        | "in_flight_wait"
        | "sessions_begun"
        | "sessions_completed"
        | "sessions_broken"
        | "sessions_cancelled"
        | "sessions_unfinished"
        | "sub_agents"
        | "warmup_requests"
        | "warmup_failed_requests"
        | "cost_limit" => Sum,
        "rate_limits_remaining" => Min,
        "offered_in_flight" | "achieved_in_flight" => OverTime,
        "until_reached" => All,
        "cost_limit_reached" | "steady_rates" => Any,
        "measurement_stamps"
        | "measurement_calibration_verdict"
        | "rate_limits"
        | "stopped_by"
        | "warmup_first_failure" => First,
        "callback_errors" | "control_changes" | "merged_from" => Lists,
        // Figures by stage are made of the responses.
        "stages"
        | "servers"
        | "workloads"
        | "turns"
        | "recovery"
        | "drift_alone_compared"
        | "drift_alone_differ"
        | "drift_compared"
        | "drift_differ"
        | "drift_rate"
        | "drift_rate_low"
        | "drift_rate_high"
        | "drift_first_token"
        | "drift_median_token"
        | "drift_examples"
        | "cold_start_failures"
        | "cold_start_first_token"
        | "cold_start_response"
        | "cold_start_steady"
        | "cold_start_limit"
        | "merged_parts"
        | "merged_overlap"
        | "interrupted"
        | "slos_met"
        | "stall_threshold"
        | "stalled_responses"
        | "stalled_responses_rate"
        | "reading_speed"
        | "late_frames_rate"
        | "late_responses_rate"
        | "request_costs"
        | "request_cost"
        | "cost_unknown_requests"
        | "costs"
        | "cost_total" => Nothing,
        _ => return None,
    })
}

/// The combined figures.
#[derive(Debug, Default)]
pub(super) struct Figures {
    stats: Map<String, Value>,
    /// Keys that nobody knows how to combine.
    unknown: BTreeSet<String>,
}

impl Figures {
    /// Of parts with their numbers of requests, which together took `window` seconds.
    pub(super) fn of<'r>(
        parts: impl Iterator<Item = (&'r RunResult, u64)>,
        window: Option<f64>,
    ) -> Self {
        let parts: Vec<_> = parts
            .map(|(result, requests)| (result, result.stats_map(), requests))
            .collect();
        let mut figures = Self::default();
        let keys = parts.iter().flat_map(|(_, stats, _)| stats.keys());
        let keys: Vec<&String> = keys.collect();
        let mut seen = BTreeSet::new();
        for key in keys {
            if !seen.insert(key) || RunSummary::fields().any(|field| field == key) {
                continue;
            }
            let rule = match Metric::of(key) {
                Some((metric, _)) if metric.is_computed() => continue,
                Some((metric, _)) => rule(metric),
                None => None,
            };
            let Some(rule) = rule else {
                figures.unknown.insert(key.clone());
                continue;
            };
            let values = parts.iter().filter_map(|(_, stats, requests)| {
                Some((stats.get(key).filter(|value| !value.is_null())?, *requests))
            });
            let values: Vec<_> = values.collect();
            let value = match (rule, window) {
                (Rule::OverTime, Some(window)) => over_time(key, &parts, window),
                (rule, _) => combined(rule, &values),
            };
            if let Some(value) = value {
                figures.stats.insert(key.clone(), value);
            }
        }
        figures.judge(&parts);
        figures
    }

    /// The worst verdict, with the reasons of all.
    fn judge(&mut self, parts: &[(&RunResult, Map<String, Value>, u64)]) {
        const VERDICT: &str = "measurement_verdict";
        const REASONS: &str = "measurement_reasons";
        let rank = |name: &str| {
            [Verdict::Clean, Verdict::Degraded, Verdict::ClientBound]
                .into_iter()
                .position(|verdict| verdict.as_str() == name)
                // What a newer version says is no better than the worst that is known.
                .unwrap_or(usize::MAX)
        };
        let verdicts = parts
            .iter()
            .filter_map(|(_, stats, _)| stats.get(VERDICT)?.as_str());
        if let Some(worst) = verdicts.max_by_key(|name| rank(name)) {
            // Of a part that was killed, nobody has judged the measurement.
            let is_unknown = |stats: &Map<String, Value>| !stats.contains_key(VERDICT);
            let worst = match parts.iter().any(|(_, stats, _)| is_unknown(stats)) {
                true if rank(worst) == 0 => Verdict::Degraded.as_str(),
                _ => worst,
            };
            self.stats.insert(VERDICT.to_owned(), worst.into());
            let mut reasons = Vec::new();
            for (result, stats, _) in parts {
                let name = result.summary.output_path.as_ref();
                let name = name.map_or_else(String::new, ToString::to_string);
                let own = stats.get(REASONS).and_then(Value::as_array);
                let own = own.into_iter().flatten().filter_map(Value::as_str);
                reasons.extend(own.map(|reason| format!("{name}: {reason}")));
                if is_unknown(stats) {
                    reasons.push(format!(
                        "{name}: its measurement was not judged, since it was ended before its end"
                    ));
                }
            }
            self.stats.insert(REASONS.to_owned(), json!(reasons));
        }
    }

    /// What to say about statistics that are not in the merged run.
    pub(super) fn left_out(&self) -> Option<String> {
        let names: Vec<_> = self.unknown.iter().map(String::as_str).collect();
        (!names.is_empty()).then(|| {
            format!(
                "statistics that callbacks gave the parts are left out, since how to combine them is not \
                 known: {}",
                names.join(", ")
            )
        })
    }

    pub(super) fn into_stats(self) -> Map<String, Value> {
        self.stats
    }
}

/// A mean over time of all parts, from those over each one's own time.
fn over_time(
    key: &str,
    parts: &[(&RunResult, Map<String, Value>, u64)],
    window: f64,
) -> Option<Value> {
    let amount = |(result, stats, _): &(&RunResult, Map<String, Value>, u64)| {
        let time = result.summary.total_test_time.unwrap_or(window);
        Some(stats.get(key)?.as_f64()? * time)
    };
    let sum: f64 = parts.iter().filter_map(amount).sum();
    (window > 0.0).then(|| (sum / window).into())
}

/// The figure of all parts; each value has the number of its part's requests.
fn combined(rule: Rule, values: &[(&Value, u64)]) -> Option<Value> {
    let numbers = || values.iter().filter_map(|(value, _)| value.as_f64());
    let first = values.first().map(|(value, _)| (*value).clone());
    match rule {
        Rule::Nothing => None,
        Rule::First => first,
        // Parts ran side by side, if nothing tells for how long.
        Rule::Sum | Rule::OverTime => match values
            .iter()
            .map(|(value, _)| value.as_u64())
            .sum::<Option<u64>>()
        {
            Some(sum) => Some(sum.into()),
            None => Some(numbers().sum::<f64>().into()),
        },
        Rule::Max | Rule::Min => {
            let best = numbers().reduce(if rule == Rule::Max {
                f64::max
            } else {
                f64::min
            })?;
            // As it was written, so that whole numbers stay so.
            let same = values
                .iter()
                .find(|(value, _)| value.as_f64() == Some(best));
            same.map(|(value, _)| (*value).clone())
        }
        Rule::Mean => {
            let all: u64 = values.iter().map(|(_, requests)| requests).sum();
            let distinct = numbers().reduce(|one, other| if one == other { one } else { f64::NAN });
            if distinct.is_some_and(|value| !value.is_nan()) {
                return first;
            }
            let sum: f64 = values
                .iter()
                .filter_map(|(value, requests)| Some(value.as_f64()? * *requests as f64))
                .sum();
            (all > 0).then(|| (sum / all as f64).into())
        }
        Rule::All => Some(
            values
                .iter()
                .all(|(value, _)| value.as_bool() == Some(true))
                .into(),
        ),
        Rule::Any => Some(
            values
                .iter()
                .any(|(value, _)| value.as_bool() == Some(true))
                .into(),
        ),
        Rule::Lists => {
            let lists = values.iter().filter_map(|(value, _)| value.as_array());
            Some(lists.flatten().cloned().collect::<Vec<_>>().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::METRICS;

    #[test]
    fn every_metric_that_responses_do_not_tell_has_a_rule() {
        let without = METRICS.iter().filter(|metric| {
            !metric.is_computed() && !metric.is_of_summary() && rule(metric).is_none()
        });
        let without: Vec<_> = without.map(|metric| metric.short).collect();
        assert_eq!(without, [""; 0], "give it a rule in this file");
    }

    #[test]
    fn figures_of_parts_become_one() {
        let (one, three) = (json!(1), json!(3));
        let values = [(&one, 10), (&three, 30)];
        for (rule, expected) in [
            (Rule::Sum, json!(4)),
            (Rule::Max, json!(3)),
            (Rule::Min, json!(1)),
            (Rule::Mean, json!(2.5)),
            (Rule::First, json!(1)),
        ] {
            assert_eq!(combined(rule, &values), Some(expected), "{rule:?}");
        }
        let (yes, no) = (json!(true), json!(false));
        assert_eq!(
            combined(Rule::All, &[(&yes, 1), (&no, 1)]),
            Some(json!(false))
        );
        assert_eq!(
            combined(Rule::Any, &[(&yes, 1), (&no, 1)]),
            Some(json!(true))
        );
        assert_eq!(combined(Rule::Mean, &[]), None);
    }
}
