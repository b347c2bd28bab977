//! Small distributions, each on a line.

use std::fmt::Write;

use super::bins::{Bins, widened};
use crate::RunResult;
use crate::base::shown::duration;
use crate::report::figure::each_value;
use crate::stats::Metric;

/// Heights of a column, beside none.
const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Columns of a distribution, and the fewest that still show something.
const COLUMNS: usize = 40;
const MIN_COLUMNS: usize = 8;
/// Columns for each square root of the number of values: with more, most columns would have a value or none.
const PER_ROOT: f64 = 2.0;
/// Fewer values are no distribution.
const MIN_VALUES: usize = 20;

/// The metrics that are drawn of a run.
const DRAWN: [&str; 4] = [
    "time_to_first_token",
    "inter_token_latency",
    "time_per_output_token",
    "time_to_last_token",
];
/// Those that are drawn of several runs.
const COMPARED: [&str; 2] = ["time_to_first_token", "time_to_last_token"];

/// A distribution as a line of characters; a bin with values is never empty.
pub(super) fn spark(bins: &Bins) -> String {
    let highest = bins.highest().max(1);
    let column = |count: &usize| match *count {
        0 => ' ',
        count => HEIGHTS[(count * HEIGHTS.len()).div_ceil(highest) - 1],
    };
    bins.counts.iter().map(column).collect()
}

/// A line of a distribution: the values of a metric over some runs.
struct Line<'a> {
    name: &'a str,
    runs: &'a [&'a RunResult],
    metric: &'static Metric,
    count: usize,
    /// Where its first and its last column lie.
    range: (f64, f64),
}

impl<'a> Line<'a> {
    /// `None` if there are too few values.
    fn of(name: &'a str, runs: &'a [&'a RunResult], metric: &'static Metric) -> Option<Self> {
        let (mut count, mut ends) = (0, None);
        for run in runs {
            each_value(run, metric, |value| {
                count += 1;
                ends = Some(widened(ends, value));
            });
        }
        let range = ends.filter(|_| count >= MIN_VALUES)?;
        Some(Self {
            name,
            runs,
            metric,
            count,
            range,
        })
    }

    fn bins(&self, columns: usize) -> Bins {
        let mut bins = Bins::between(self.range, columns);
        for run in self.runs {
            each_value(run, self.metric, |value| bins.count(value));
        }
        bins
    }
}

/// Lines with the distributions of TTFT, ITL, TPOT and TTLT from the smallest to the largest value; nothing of
/// results without responses, or with few.
pub(in crate::report) fn distributions(text: &mut String, result: &RunResult, width: usize) {
    let runs = [result];
    let metrics = DRAWN.into_iter().filter_map(Metric::named);
    let lines = metrics.filter_map(|metric| Line::of(metric.label, &runs, metric));
    if write(text, "distribution", &lines.collect::<Vec<_>>(), width) {
        text.push_str(LOGARITHMIC);
    }
}

/// The distributions of TTFT and TTLT of several runs, or of what several runs stand for together, one below the
/// other on one scale; nothing where none has enough responses.
pub(in crate::report) fn compared(
    text: &mut String,
    parts: &[(String, Vec<&RunResult>)],
    width: usize,
) {
    let mut has_log = false;
    for metric in COMPARED.into_iter().filter_map(Metric::named) {
        let lines = parts.iter();
        let lines = lines.filter_map(|(name, runs)| Line::of(name, runs, metric));
        let mut lines: Vec<Line<'_>> = lines.collect();
        let ends = lines.iter().map(|line| line.range);
        let Some(whole) =
            ends.reduce(|one, other| widened(Some(widened(Some(one), other.0)), other.1))
        else {
            continue;
        };
        lines.iter_mut().for_each(|line| line.range = whole);
        let title = format!("distribution of {}", metric.label);
        has_log |= write(text, &title, &lines, width);
    }
    if has_log {
        text.push_str(LOGARITHMIC);
    }
}

const LOGARITHMIC: &str =
    "† logarithmic: each column is wider than the one before by the same factor\n";

/// Writes lines below a title, if they have room; tells whether one is logarithmic.
fn write(text: &mut String, title: &str, lines: &[Line<'_>], width: usize) -> bool {
    let length = |text: &str| text.chars().count();
    let widest = |of: &dyn Fn(&Line<'_>) -> String| {
        let lengths = lines.iter().map(|line| length(&of(line)));
        lengths.max().unwrap_or(0)
    };
    let low = widest(&|line| duration(line.range.0));
    let high = widest(&|line| duration(line.range.1));
    let label = widest(&|line| line.name.to_owned());
    // Label, ends, gaps and the mark of a logarithmic scale.
    let most_values = lines.iter().map(|line| line.count).max();
    let wanted = (most_values.unwrap_or(0) as f64).sqrt() * PER_ROOT;
    let columns = width
        .saturating_sub(label + low + high + 8)
        .min((wanted as usize).clamp(MIN_COLUMNS, COLUMNS));
    if lines.is_empty() || columns < MIN_COLUMNS {
        return false;
    }
    let _ = writeln!(text, "\n{title}");
    let mut has_log = false;
    for line in lines {
        let bins = line.bins(columns);
        let mark = if bins.is_log { " †" } else { "" };
        has_log |= bins.is_log;
        let (least, most) = (duration(line.range.0), duration(line.range.1));
        let (name, columns) = (line.name, spark(&bins));
        let _ = writeln!(
            text,
            "{name:<label$}  {least:>low$} {columns} {most:>high$}{mark}"
        );
    }
    has_log
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

    #[test]
    fn several_distributions_have_one_scale() {
        let run = |from: u32, to: u32| {
            let responses = (from..=to).map(|at| InvocationResponse {
                time_to_last_token: Some(f64::from(at) * 1e-3),
                ..InvocationResponse::default()
            });
            RunResult::from_responses(RunSummary::default(), responses.collect())
        };
        let (slow, fast, few) = (run(61, 100), run(1, 50), run(1, 3));
        let parts = [
            ("8 clients".to_owned(), vec![&slow]),
            ("1 client".to_owned(), vec![&fast, &few]),
            ("none".to_owned(), vec![&few]),
        ];
        let mut text = String::new();
        compared(&mut text, &parts, 80);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[1], "distribution of TTLT", "{text}");
        for (line, name) in [
            (lines[2], "8 clients  1.00 ms "),
            (lines[3], "1 client   1.00 ms "),
        ] {
            assert!(
                line.starts_with(name) && line.ends_with(" 100.0 ms †"),
                "{text}"
            );
        }
        let drawn = |line: &str| line["8 clients  1.00 ms ".len()..].to_owned();
        assert!(drawn(lines[2]).starts_with("     "), "{text}");
        assert!(!drawn(lines[3]).starts_with(' '), "{text}");
        assert_eq!(lines.len(), 5, "{text}");
    }
}
