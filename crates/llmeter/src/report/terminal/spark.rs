//! Small distributions, each on a line.

use std::fmt::Write;

use super::bins::Bins;
use crate::RunResult;
use crate::base::shown::duration;
use crate::stats::{Metric, Source};

/// Heights of a column, beside none.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns of a distribution, and the fewest that still show something.
const COLUMNS: usize = 40;
const MIN_COLUMNS: usize = 8;
/// Columns for each square root of the number of values: with more, most columns would have a value or none.
const PER_ROOT: f64 = 2.0;
/// Fewer values are no distribution.
const MIN_VALUES: usize = 20;

/// The metrics that are drawn.
const DRAWN: [&str; 3] = [
    "time_to_first_token",
    "time_per_output_token",
    "time_to_last_token",
];

/// A distribution as a line of characters; a bin with values is never empty.
pub(super) fn spark(bins: &Bins) -> String {
    let highest = bins.highest().max(1);
    let column = |count: &usize| match *count {
        0 => ' ',
        count => HEIGHTS[(count * HEIGHTS.len()).div_ceil(highest) - 1],
    };
    bins.counts.iter().map(column).collect()
}

/// Lines with the distributions of TTFT, TPOT and TTLT from the smallest to the largest value; nothing of
/// results without responses, or with few.
pub(in crate::report) fn distributions(text: &mut String, result: &RunResult, width: usize) {
    let metrics = DRAWN.into_iter().filter_map(Metric::named);
    let drawn: Vec<_> = metrics
        .filter_map(|metric| {
            let Source::Seconds(pick) = metric.source else {
                return None;
            };
            let succeeded = result.responses.iter().filter(|one| one.error.is_none());
            let values = succeeded.filter_map(pick).filter(|value| value.is_finite());
            let mut values: Vec<f64> = values.collect();
            values.sort_unstable_by(f64::total_cmp);
            (values.len() >= MIN_VALUES).then_some((metric.label, values))
        })
        .collect();
    let length = |text: &str| text.chars().count();
    let least = |values: &[f64]| values.first().copied().map_or_else(String::new, duration);
    let most = |values: &[f64]| values.last().copied().map_or_else(String::new, duration);
    let widest = |of: &dyn Fn(&[f64]) -> String| {
        let texts = drawn.iter().map(|(_, values)| length(&of(values)));
        texts.max().unwrap_or(0)
    };
    let (low, high) = (widest(&least), widest(&most));
    let label = drawn
        .iter()
        .map(|(label, _)| length(label))
        .max()
        .unwrap_or(0);
    // Label, ends, gaps and the mark of a logarithmic scale.
    let most_values = drawn.iter().map(|(_, values)| values.len()).max();
    let wanted = (most_values.unwrap_or(0) as f64).sqrt() * PER_ROOT;
    let columns = width
        .saturating_sub(label + low + high + 8)
        .min((wanted as usize).clamp(MIN_COLUMNS, COLUMNS));
    if drawn.is_empty() || columns < MIN_COLUMNS {
        return;
    }
    text.push_str("\ndistribution\n");
    let mut has_log = false;
    for (name, values) in &drawn {
        let Some(bins) = Bins::of(values, columns) else {
            continue;
        };
        let mark = if bins.is_log { " †" } else { "" };
        has_log |= bins.is_log;
        let _ = writeln!(
            text,
            "{name:<label$}  {:>low$} {} {:>high$}{mark}",
            least(values),
            spark(&bins),
            most(values),
        );
    }
    if has_log {
        text.push_str(
            "† logarithmic: each column is wider than the one before by the same factor\n",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InvocationResponse;
    use crate::result::RunSummary;

    #[test]
    fn no_column_with_values_is_empty() {
        let bins = |counts: &[usize]| Bins {
            edges: Vec::new(),
            counts: counts.to_vec(),
            is_log: false,
        };
        assert_eq!(spark(&bins(&[0, 1, 8, 4, 1000])), " ▁▁▁█");
        assert_eq!(spark(&bins(&[1, 2, 3, 4, 5, 6, 7, 8])), "▁▂▃▄▅▆▇█");
    }

    #[test]
    fn a_distribution_fits_its_width() {
        let responses = (1..=50_u32).map(|at| InvocationResponse {
            time_to_first_token: Some(f64::from(at) * 1e-3),
            time_to_last_token: Some(1.0 + f64::from(at) * 1e-3),
            ..InvocationResponse::default()
        });
        let result = RunResult::from_responses(RunSummary::default(), responses.collect());
        let at = |width| {
            let mut text = String::new();
            distributions(&mut text, &result, width);
            text
        };
        let text = at(60);
        let lines: Vec<_> = text.lines().collect();
        assert!(
            lines[2].starts_with("TTFT  1.00 ms ") && lines[2].ends_with(" 50.00 ms †"),
            "{text}"
        );
        assert!(
            lines[3].starts_with("TTLT   1.00 s ") && lines[3].ends_with("   1.05 s"),
            "{text}"
        );
        let widest = lines[..4].iter().map(|line| line.chars().count()).max();
        assert!(widest <= Some(60), "{text}");
        assert_eq!(at(20), "");
        assert_eq!(
            at(usize::MAX).lines().nth(2).unwrap().chars().count(),
            6 + 7 + 16 + 8 + 2
        );
    }
}
