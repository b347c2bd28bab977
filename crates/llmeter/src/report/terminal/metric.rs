//! One metric of a run in detail.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::bins::Bins;
use crate::RunResult;
use crate::api::{Delivery, InvocationResponse, TokenSource};
use crate::base::shown::{duration, one_line};
use crate::report::intervals::{MARK, MARKED, range};
use crate::report::summary::{counted, figure};
use crate::report::table::table;
use crate::stats::{
    ConditionError, Figure, Interval, METRICS, Metric, Number, Percentile, Support, summarize,
};

/// Percentiles in thousandths.
const PERCENTILES: [u8; 9] = [1, 5, 10, 25, 50, 75, 90, 95, 99];
/// Bins of the histogram, and the longest bar.
const BINS: usize = 16;
const MAX_BAR: usize = 48;
const MIN_BAR: usize = 8;
/// Requests that are named at either end.
const EXTREMES: usize = 5;
/// Characters of an id that are shown.
const MAX_ID: usize = 48;
/// Parts of a bar's last column, in eighths.
const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/// The metric of this name, long (`time_to_first_token`) or short (`ttft`), with or without a statistic, that
/// responses have a value of.
///
/// # Errors
/// If there is none; the nearest names are in the message.
///
/// ```
/// assert_eq!(llmeter::report::metric_named("ttft")?.key, "time_to_first_token");
/// assert!(llmeter::report::metric_named("failed_requests").is_err());
/// # Ok::<_, llmeter::stats::ConditionError>(())
/// ```
pub fn metric_named(text: &str) -> Result<&'static Metric, ConditionError> {
    let has_values = |metric: &&Metric| metric.is_of_responses() || metric.is_of_gaps();
    let known = METRICS
        .iter()
        .find(|metric| metric.key == text || metric.short == text);
    let metric = match known {
        Some(metric) => metric,
        None => Figure::named(text)?.metric(),
    };
    Some(metric).filter(has_values).ok_or_else(|| {
        let known = METRICS.iter().filter(has_values);
        let known: Vec<_> = known.map(|metric| metric.short).collect();
        let known = known.join(", ");
        ConditionError::new(format!("responses have no {text}; they have {known}"))
    })
}

/// One metric of a run in detail: percentiles from p1 to p99.9 with intervals, a histogram, the extremes with
/// their requests, and how values differ by how responses came. In at most so many columns, as far as that can
/// be.
pub fn metric_within(result: &RunResult, metric: &Metric, width: usize) -> String {
    let show = match metric.unit {
        "s" => duration,
        _ => figure,
    };
    let values = Values::of(result, metric);
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} ({}): {}",
        metric.label,
        metric.key,
        sentence(metric.doc)
    );
    let failed = result.responses.iter().filter(|one| one.error.is_some());
    let failed = failed.count();
    let noun = if metric.is_of_gaps() { "gap" } else { "value" };
    let requests = counted(
        (result.responses.len() - failed) as u64,
        "successful request",
    );
    let _ = write!(
        text,
        "{} of {requests}",
        counted(values.all.len() as u64, noun)
    );
    if failed > 0 {
        let _ = write!(
            text,
            "; {} left out",
            counted(failed as u64, "failed request")
        );
    }
    text.push('\n');
    if values.all.is_empty() {
        text.push_str(match result.responses.is_empty() {
            true => {
                "The run has no responses to look at: they were not kept, or there were none.\n"
            }
            false => "No response has a value.\n",
        });
        return text;
    }
    percentiles(&mut text, &values, metric, show, width);
    histogram(&mut text, &values, show, width);
    extremes(&mut text, &values, show, width);
    outcomes(&mut text, &values, show, width);
    text
}

/// The values of a metric.
struct Values<'a> {
    /// Each with the response that it is of, in the order in which responses ended.
    all: Vec<(f64, &'a InvocationResponse)>,
    sorted: Vec<f64>,
}

impl<'a> Values<'a> {
    fn of(result: &'a RunResult, metric: &Metric) -> Self {
        let succeeded = result.responses.iter().filter(|one| one.error.is_none());
        let all: Vec<_> = match metric.is_of_gaps() {
            true => succeeded
                .flat_map(|one| {
                    let gaps = one.detail.inter_token_latencies.iter();
                    gaps.map(move |gap| (f64::from(*gap), one))
                })
                .filter(|(gap, _)| gap.is_finite())
                .collect(),
            false => succeeded
                .filter_map(|one| Some((metric.value_of(one)?, one)))
                .filter(|(value, _)| value.is_finite())
                .collect(),
        };
        let mut sorted: Vec<f64> = all.iter().map(|(value, _)| *value).collect();
        sorted.sort_unstable_by(f64::total_cmp);
        Self { all, sorted }
    }
}

/// The first sentence of a description.
fn sentence(doc: &str) -> &str {
    doc.split_inclusive(". ").next().unwrap_or(doc).trim()
}

fn percentiles(
    text: &mut String,
    values: &Values,
    metric: &Metric,
    show: fn(f64) -> String,
    width: usize,
) {
    let wanted: Vec<Percentile> = PERCENTILES
        .into_iter()
        .filter_map(Percentile::whole)
        .chain([Percentile::P99_9])
        .collect();
    let numbers: Vec<Number> = values.sorted.iter().copied().map(Number::Float).collect();
    let summary = summarize(&numbers, &wanted);
    // Gaps of one response depend on each other too much for these.
    let in_order: Vec<f64> = match metric.is_of_gaps() {
        true => Vec::new(),
        false => values.all.iter().map(|(value, _)| *value).collect(),
    };
    let intervals = Interval::of_percentiles(&in_order, &wanted, Interval::LEVEL);
    let of_mean = Interval::of_mean(&in_order, Interval::LEVEL);
    let known = |interval: &Option<Interval>| {
        let interval = interval.as_ref();
        interval.map_or_else(String::new, |interval| range(interval, show))
    };
    let level = figure(Interval::LEVEL * 100.0);
    let mut rows = vec![vec![
        String::new(),
        "value".to_owned(),
        format!("{level} % interval"),
    ]];
    let mut is_marked = false;
    for (name, value) in &summary {
        let value = value.as_f64();
        let Some(at) = wanted.iter().position(|one| one.to_string() == *name) else {
            rows.push(vec!["mean".to_owned(), show(value), known(&of_mean)]);
            continue;
        };
        let mark = match wanted[at].support(values.sorted.len() as u64) {
            Support::None => continue,
            Support::Weak => MARK,
            Support::Full => "",
        };
        is_marked |= !mark.is_empty();
        rows.push(vec![
            name.clone(),
            show(value) + mark,
            known(&intervals[at]),
        ]);
    }
    text.push('\n');
    table(text, &rows, width);
    if is_marked {
        text.push_str(MARKED);
    }
}

fn histogram(text: &mut String, values: &Values, show: fn(f64) -> String, width: usize) {
    let bins = match values.sorted.len() {
        0..20 => BINS / 2,
        _ => BINS,
    };
    let Some(bins) = Bins::of(&values.sorted, bins) else {
        return;
    };
    let labels: Vec<String> = bins.edges.iter().map(|edge| show(*edge)).collect();
    let length = |text: &String| text.chars().count();
    let label = labels.iter().map(length).max().unwrap_or(0);
    let counts: Vec<String> = bins
        .counts
        .iter()
        .map(|count| figure(*count as f64))
        .collect();
    let widest = counts.iter().map(length).max().unwrap_or(0);
    let bar = width
        .saturating_sub(label + widest + 4)
        .clamp(MIN_BAR, MAX_BAR);
    let scale = if bins.is_log {
        ", each bin wider by the same factor"
    } else {
        ""
    };
    let _ = writeln!(text, "\nfrom{scale}");
    for ((from, count), shown) in labels.iter().zip(&bins.counts).zip(&counts) {
        let eighths = (count * bar * 8).div_ceil(bins.highest().max(1));
        let drawn = "█".repeat(eighths / 8) + EIGHTHS[eighths % 8];
        let line = format!("{from:>label$}  {shown:>widest$}  {drawn}");
        let _ = writeln!(text, "{}", line.trim_end());
    }
    let _ = writeln!(text, "{:>label$}", labels.last().map_or("", String::as_str));
}

fn extremes(text: &mut String, values: &Values, show: fn(f64) -> String, width: usize) {
    let mut order: Vec<&(f64, &InvocationResponse)> = values.all.iter().collect();
    order.sort_by(|one, other| one.0.total_cmp(&other.0));
    let few = EXTREMES.min(order.len());
    let lowest = order[..few].iter();
    let highest = order[order.len() - few..].iter().rev();
    let row = |what: &str, (value, response): &(f64, &InvocationResponse)| {
        let or_nothing = |known: Option<String>| known.unwrap_or_default();
        vec![
            what.to_owned(),
            show(*value),
            or_nothing(response.id.as_deref().map(|id| one_line(id, MAX_ID))),
            or_nothing(response.request_time.map(|at| format!("{at:.3}"))),
            or_nothing(response.detail.client.map(|client| client.to_string())),
            or_nothing(response.num_tokens_output.map(|count| figure(count as f64))),
        ]
    };
    let titles = ["", "value", "request", "sent", "client", "out tokens"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(highest.map(|one| row("highest", one)));
    rows.extend(lowest.map(|one| row("lowest", one)));
    text.push('\n');
    table(text, &rows, width);
}

/// How values differ by how responses came, where they came in several ways.
fn outcomes(text: &mut String, values: &Values, show: fn(f64) -> String, width: usize) {
    type Of = fn(&InvocationResponse) -> Option<String>;
    let sorts: [(&str, Of); 3] = [
        ("response", |one| {
            let delivery = one.detail.delivery.map(Delivery::as_str);
            Some(delivery.unwrap_or("as asked for").replace('_', "-"))
        }),
        ("output tokens", |one| {
            let source = one.detail.num_tokens_output_source.as_ref();
            source
                .map(TokenSource::as_str)
                .map(|source| one_line(source, MAX_ID))
        }),
        ("end", |one| {
            let end = one.detail.transport_end.as_str();
            Some(end.map_or_else(|| "regular".to_owned(), |end| one_line(end, MAX_ID)))
        }),
    ];
    for (title, of) in sorts {
        let mut groups: BTreeMap<String, Vec<Number>> = BTreeMap::new();
        for (value, response) in &values.all {
            if let Some(name) = of(response) {
                groups.entry(name).or_default().push(Number::Float(*value));
            }
        }
        if groups.len() < 2 {
            continue;
        }
        let wanted = [Percentile::P50, Percentile::P90];
        let mut rows = vec![
            [title, "values", "mean", "p50", "p90"]
                .map(str::to_owned)
                .to_vec(),
        ];
        for (name, group) in groups {
            let mut row = vec![name, figure(group.len() as f64)];
            row.extend(
                summarize(&group, &wanted)
                    .iter()
                    .map(|(_, value)| show(value.as_f64())),
            );
            rows.push(row);
        }
        text.push('\n');
        table(text, &rows, width);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::RunSummary;
    use crate::{Failure, FailureKind};

    fn result(count: u32) -> RunResult {
        let mut responses: Vec<_> = (1..=count)
            .map(|at| InvocationResponse {
                id: Some(format!("request-{at}\u{1b}")),
                time_to_first_token: Some(f64::from(at * 7919 % 101) * 1e-3 + 0.1),
                ..InvocationResponse::default()
            })
            .collect();
        responses[0].detail.delivery = Some(Delivery::Buffered);
        responses.push(InvocationResponse {
            time_to_first_token: Some(9.0),
            error: Some(Failure::new(FailureKind::Truncated, "cut")),
            ..InvocationResponse::default()
        });
        RunResult::from_responses(RunSummary::default(), responses)
    }

    #[test]
    fn a_metric_is_shown_from_end_to_end() {
        let metric = metric_named("ttft-p99").unwrap();
        let text = metric_within(&result(200), metric, 80);
        assert!(text.starts_with("TTFT (time_to_first_token): "), "{text}");
        assert!(
            text.contains("200 values of 200 successful requests; 1 failed request left out\n"),
            "{text}"
        );
        let line = |start: &str| {
            text.lines()
                .find(|line| line.starts_with(start))
                .unwrap_or_default()
        };
        // The median of the values, and an interval around it; p1 of 200 rests on two values.
        assert!(line("p50 ").contains("150.0 ms  14"), "{text}");
        assert!(
            line("p1 ").contains("ms*") && line("p99.9").is_empty(),
            "{text}"
        );
        assert!(
            line("highest").contains("request-") && line("highest").contains("\\x1b"),
            "{text}"
        );
        assert!(line("buffered").contains(" 1 "), "{text}");
        let bars = text.lines().filter(|line| line.contains('█'));
        assert_eq!(bars.count(), BINS, "{text}");
    }

    #[test]
    fn few_values_and_none() {
        let metric = metric_named("ttft").unwrap();
        let text = metric_within(&result(1), metric, usize::MAX);
        assert!(text.contains("1 value of 1 successful request; "), "{text}");
        let none = RunResult::default();
        assert!(metric_within(&none, metric, 80).contains("no responses to look at"));
        let itl = metric_named("itl").unwrap();
        assert!(metric_within(&result(3), itl, 80).contains("No response has a value."));
    }

    #[test]
    fn metrics_without_values_are_refused() {
        let reason = metric_named("output_tps").unwrap_err().to_string();
        assert!(
            reason.starts_with("responses have no output_tps; they have ")
                && reason.contains(" ttlt, ttft, "),
            "{reason}"
        );
        let reason = metric_named("ttf").unwrap_err().to_string();
        assert!(reason.contains("the nearest are ttft"), "{reason}");
    }
}
