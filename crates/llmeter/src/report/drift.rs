//! Whether answers changed under load.

use super::numbers::{counted, percent};
use crate::base::shown::{SHOWN, one_line};
use crate::stats::Stats;

/// Examples that a summary shows.
const SHOWN_EXAMPLES: usize = 3;

/// What was found, a line each; none of other runs.
pub(super) fn drift_lines(stats: &Stats) -> Vec<String> {
    let (Some(compared), Some(differ)) = (stats.drift_compared, stats.drift_differ) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    let mut line = format!(
        "drift: {differ} of {} under load differ",
        counted(compared, "answer")
    );
    if let (Some(rate), Some(low), Some(high)) = (
        stats.drift_rate,
        stats.drift_rate_low,
        stats.drift_rate_high,
    ) {
        let [rate, low, high] = [rate, low, high].map(percent);
        line.push_str(&format!(" ({rate}, 95 % interval {low} to {high})"));
    }
    if let (Some(first), Some(median)) = (stats.drift_first_token, stats.drift_median_token) {
        line.push_str(&format!(
            ", from token {first} on at the earliest, {median} in the median"
        ));
    }
    lines.push(line);
    let alone = stats.drift_alone_differ.zip(stats.drift_alone_compared);
    if let Some((differ, compared)) = alone {
        let compared = counted(compared, "answer");
        lines.push(match differ {
            0 => format!("alone the server gave the same {compared} twice"),
            differ => format!(
                "alone {differ} of {compared} differ as well: the server does not repeat itself, so that \
                 its load need not be the reason; is the temperature 0?"
            ),
        });
    }
    for example in stats.drift_examples.iter().take(SHOWN_EXAMPLES) {
        let number = |key: &str| {
            example
                .get(key)
                .and_then(serde_json::Value::as_u64)
                .unwrap_or(0)
        };
        let text = |key: &str| {
            let text = example.get(key).and_then(serde_json::Value::as_str);
            one_line(text.unwrap_or("—"), SHOWN)
        };
        lines.push(format!(
            "prompt {}, character {}, token {}:",
            number("payload_index"),
            number("character"),
            number("token")
        ));
        lines.push(format!("  alone       {}", text("alone")));
        lines.push(format!("  under load  {}", text("under_load")));
    }
    lines
}
