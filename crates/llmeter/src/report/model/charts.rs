//! Charts with their words and numbers.

use super::{Block, Chart, Table, line};
use crate::RunResult;
use crate::base::shown::duration;
use crate::report::figure::{self, Figure, Series, Values};
use crate::report::summary::{figure as number, percent};
use crate::stats::{Metric, Percentile};

/// A chart, if its figure shows anything.
pub(super) fn chart(id: &str, about: &str, figure: Figure, table: Option<Table>) -> Option<Block> {
    if figure.is_empty() {
        return None;
    }
    Some(Block::Chart(Chart {
        id: id.to_owned(),
        title: figure::plain(figure.title()),
        about: about.to_owned(),
        table: table.unwrap_or_default(),
        figure,
    }))
}

/// Latencies that have charts of their own, with their names in addresses.
const DRAWN: [(&str, &str); 5] = [
    ("ttft", "time_to_first_token"),
    ("ttfat", "time_to_first_answer_token"),
    ("itl", "inter_token_latency"),
    ("tpot", "time_per_output_token"),
    ("ttlt", "time_to_last_token"),
];

/// Three charts of each latency that has values.
pub(super) fn latencies(all: &[Series<'_>]) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (id, metric) in DRAWN {
        if id == "ttfat" && all.iter().all(|one| repeats_ttft(one.result)) {
            continue;
        }
        let values: Vec<Values> = all
            .iter()
            .filter_map(|one| Values::of(*one, metric))
            .collect();
        // One value has no distribution.
        if values.iter().all(|one| one.count() < 2) {
            continue;
        }
        let table = percentiles(&values);
        blocks.extend(chart(
            &format!("{id}-percentiles"),
            "The latency that a share of the values stays below. Each further nine of the tail is as wide as \
             the one before; bars are 95 % intervals.",
            figure::percentile_curve(&values),
            table.clone(),
        ));
        blocks.extend(chart(
            &format!("{id}-histogram"),
            "How many values lie where.",
            figure::histogram(&values),
            table.clone(),
        ));
        blocks.extend(chart(
            &format!("{id}-ecdf"),
            "The empirical distribution function: the share of the values that are at most so large.",
            figure::ecdf(&values),
            table,
        ));
    }
    blocks
}

/// Without reasoning the first answer token is the first token.
fn repeats_ttft(result: &RunResult) -> bool {
    let stats = result.stats();
    stats.ttfat == stats.ttft || stats.ttfat.average.is_none()
}

/// The percentiles of some runs, a column each.
fn percentiles(all: &[Values]) -> Option<Table> {
    let wanted = [10, 25, 50, 75, 90, 95, 99].into_iter();
    let wanted = wanted.filter_map(Percentile::whole);
    let names = all.iter().map(|values| line(&values.name));
    let mut rows = vec![
        std::iter::once("percentile".to_owned())
            .chain(names)
            .collect(),
    ];
    let all_of = |what: &str, cell: &dyn Fn(&Values) -> String| {
        std::iter::once(what.to_owned())
            .chain(all.iter().map(cell))
            .collect::<Vec<String>>()
    };
    rows.push(all_of("min", &|values| duration(values.range().0)));
    for wanted in wanted.chain([Percentile::P99_9]) {
        rows.push(all_of(&wanted.to_string(), &|values| {
            values
                .percentile(wanted)
                .map_or_else(|| "—".to_owned(), duration)
        }));
    }
    rows.push(all_of("max", &|values| duration(values.range().1)));
    rows.push(all_of("values", &|values| number(values.count() as f64)));
    let label = all.first().map_or("", |values| values.metric.label);
    Table::of(label, rows, &[""; 0])
}

/// Charts over the time of runs, each from its own first request on, or all from the first of all.
pub(super) fn timeline(all: &[Series<'_>], has_one_clock: bool) -> Option<Block> {
    let mut about =
        "From the first request sent; requests and tokens are counted when a response ends, \
                     failures when they were known."
            .to_owned();
    if all
        .iter()
        .any(|one| one.result.stats().due_requests.is_some())
    {
        about += " The load is what was due, dotted, and what was sent of it; requests that were never sent are in neither.";
    }
    if let [one] = all {
        let stats = one.result.stats();
        about += match stats.steady_start {
            _ if !stats.stages.is_empty() => " Stages of the load are shaded by turns.",
            // Nothing of an open loop depends on how many clients are at work.
            None if stats.due_requests.is_some() => "",
            Some(_) => " The steady state is shaded: outside of it not all clients are at work.",
            None => " There was no steady state, in which all clients are at work.",
        };
        if stats.warmup_time.is_some() {
            about += " The warm-up, of which nothing else is drawn, is shaded before 0.";
        }
    }
    let stats = |one: &Series<'_>| {
        let stats = one.result.stats();
        vec![
            line(one.name),
            stats
                .total_test_time
                .map_or_else(|| "—".to_owned(), duration),
            number(stats.total_requests.unwrap_or(0) as f64),
            number(stats.failed_requests as f64),
            number(stats.stalled_responses as f64),
            stats.steady_start.map_or_else(|| "—".to_owned(), duration),
            stats.steady_end.map_or_else(|| "—".to_owned(), duration),
        ]
    };
    let titles = [
        "run",
        "duration",
        "requests",
        "failed",
        "stalled",
        "steady from",
        "steady until",
    ];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    rows.extend(all.iter().map(stats));
    if let [one] = all {
        rows = figure::timeline_rows(*one);
    }
    chart(
        "timeline",
        &about,
        match has_one_clock {
            true => figure::timeline_together(all),
            false => figure::timeline(all),
        },
        Table::of("Over time", rows, &[""; 0]),
    )
}

/// Some single requests; of one of several parts with its number and name.
pub(super) fn waterfall(result: &RunResult, part: Option<(usize, &str)>) -> Option<Block> {
    let titles = ["request", "connect", "TTFT", "longest gap", "TTLT"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for (label, times) in figure::waterfall_rows(result) {
        let times = times.map(|time| time.map_or_else(|| "—".to_owned(), duration));
        rows.push(std::iter::once(label.to_owned()).chain(times).collect());
    }
    let mut figure = figure::waterfall(result);
    let id = match part {
        None => "waterfall".to_owned(),
        Some((number, name)) => {
            let title = format!("{}: {name}", figure::plain(figure.title()));
            figure.retitle(&title);
            format!("waterfall-{number}")
        }
    };
    chart(
        &id,
        "Each row is a request, with a mark for each frame of tokens. Latencies are counted from 0, when the \
         request is sent on a ready connection.",
        figure,
        Table::of("Requests", rows, &[""; 0]),
    )
}

/// Latencies against the lengths of prompts and outputs.
pub(super) fn lengths(all: &[Series<'_>]) -> Vec<Block> {
    let drawn = [
        ("ttft-input", "num_tokens_input", "time_to_first_token"),
        ("ttlt-output", "num_tokens_output", "time_to_last_token"),
        ("ttlt-input", "num_tokens_input", "time_to_last_token"),
        ("tpot-output", "num_tokens_output", "time_per_output_token"),
    ];
    let mut blocks = Vec::new();
    for (id, x, y) in drawn {
        if !varies(all, x) {
            continue;
        }
        let Ok(figure) = figure::scatter_by_dimension(all, x, y) else {
            continue;
        };
        let table = correlation(all, x, y);
        let about = "A point is a request, the line the median of those of about the same length.";
        blocks.extend(chart(id, about, figure, table));
    }
    blocks
}

/// Whether responses differ in a dimension.
fn varies(all: &[Series<'_>], dimension: &str) -> bool {
    all.iter().any(|one| {
        let mut values = figure::dimension_values(one.result, dimension);
        let first = values.next();
        values.any(|value| Some(value) != first)
    })
}

/// The median of y in quarters of x.
fn correlation(all: &[Series<'_>], x: &str, y: &str) -> Option<Table> {
    let label = |key: &str| {
        Metric::named(key)
            .map_or(key, |metric| metric.label)
            .replace('_', " ")
    };
    let titles = [
        "run".to_owned(),
        label(x),
        format!("median of {}", label(y)),
        "requests".to_owned(),
    ];
    let mut rows = vec![titles.to_vec()];
    for one in all {
        let mut points = figure::dimension_pairs(one.result, x, y);
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        let size = points.len().div_ceil(4).max(1);
        for quarter in points.chunks(size) {
            let (first, last) = (quarter[0].0, quarter[quarter.len() - 1].0);
            let mut times: Vec<f64> = quarter.iter().map(|point| point.1).collect();
            let middle = times.len() / 2;
            let (_, median, _) = times.select_nth_unstable_by(middle, f64::total_cmp);
            let span = match first == last {
                true => number(first),
                false => format!("{}–{}", number(first), number(last)),
            };
            rows.push(vec![
                line(one.name),
                span,
                duration(*median),
                number(quarter.len() as f64),
            ]);
        }
    }
    Table::of("", rows, &[""; 0])
}

/// Failures by kind, with an example of each.
pub(super) fn failures(all: &[Series<'_>]) -> Vec<Block> {
    let titles = ["run", "failure", "phase", "requests", "share", "an example"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    for one in all {
        let total = one.result.stats().total_requests.unwrap_or(0).max(1);
        for group in one.result.failures() {
            let failure = &group.example;
            let others = match group.messages {
                0 | 1 => String::new(),
                more => format!(" (and {} other messages)", more - 1),
            };
            let phase = failure.phase().map_or("", |phase| phase.as_str());
            rows.push(vec![
                line(one.name),
                figure::failure_name(&group),
                phase.to_owned(),
                number(group.count as f64),
                percent(group.count as f64 / total as f64),
                line(failure.message()) + &others,
            ]);
        }
    }
    if all.len() == 1 {
        rows.iter_mut().for_each(|row| drop(row.remove(0)));
    }
    let Some(table) = Table::of("Failures", rows, &[""; 0]) else {
        return Vec::new();
    };
    let about = "How many requests failed in which way.";
    let chart = chart(
        "failures-by-kind",
        about,
        figure::failures_by_kind(all),
        Some(table.clone()),
    );
    chart.into_iter().chain([Block::Table(table)]).collect()
}
