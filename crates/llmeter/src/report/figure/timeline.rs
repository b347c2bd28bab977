//! What happened when: a run over its time.

use serde_json::{Value, json};

use super::ticks::round_step;
use super::{
    Figure, PALETTE, Series, layout, number_axis, numbered, numbers, seconds_axis, styled, text,
    with,
};
use crate::InvocationResponse;
use crate::base::shown::duration;
use crate::report::figure::colours::QUIET;
use crate::report::summary::figure as number;
use crate::stats::Stats;

/// Bins of time, about; fewer where a bin would have fewer requests than this on average.
const BINS: f64 = 200.0;
const MIN_BINS: f64 = 20.0;
const REQUESTS_PER_BIN: f64 = 8.0;
/// Height of a row and of what is around the rows, in pixels.
const ROW: u32 = 130;
const AROUND: u32 = 60;
/// The part of the height between rows.
const GAP: f64 = 0.05;

/// One request: seconds after the run's first was sent.
struct Span {
    sent: f64,
    /// When it was due, in an open loop.
    due: Option<f64>,
    end: f64,
    ttft: Option<f64>,
    ttlt: Option<f64>,
    tokens: u64,
    is_success: bool,
    is_stalled: bool,
    is_cancelled: bool,
}

/// One row of the figure.
struct Row {
    title: &'static str,
    is_time: bool,
    /// The largest count, of a row of counts.
    most: u64,
    traces: Vec<(usize, Value)>,
}

/// Runs over their time, from the first request sent: requests in flight, in an open loop those that were due and those
/// that were sent a second, requests and output tokens a second (counted when a response ends), TTFT or, without streaming, TTLT of the requests that end (median,
/// 90th percentile, maximum), failures and stalled responses. Of a single run the warm-up (before 0) and
/// the steady state, or the stages of the load, are marked.
///
/// Times are in bins of equal width, 200 about.
pub fn timeline(all: &[Series<'_>]) -> Figure {
    drawn(all, all.iter().map(|one| spans(*one, None)).collect())
}

/// [`timeline`] with the first request of all runs as the 0 of each.
pub(crate) fn timeline_together(all: &[Series<'_>]) -> Figure {
    let sent = all.iter().flat_map(|one| &one.result.responses);
    let first = sent.filter_map(|one| one.request_time).min();
    drawn(all, all.iter().map(|one| spans(*one, first)).collect())
}

fn drawn(all: &[Series<'_>], spans: Vec<Vec<Span>>) -> Figure {
    let window = spans
        .iter()
        .flatten()
        .map(|span| span.end)
        .fold(0.0, f64::max);
    let is_coarse = all
        .iter()
        .flat_map(|one| &one.result.responses)
        .all(has_whole_seconds);
    let least = if is_coarse { 1.0 } else { 1e-3 };
    let requests = spans.iter().map(Vec::len).max().unwrap_or(0) as f64;
    let wanted = (requests / REQUESTS_PER_BIN).clamp(MIN_BINS, BINS);
    let width = round_step((window / wanted).max(least));
    let bins = (window / width) as usize + 1;
    let has_ttft = spans.iter().flatten().any(|span| span.ttft.is_some());
    let latency = if has_ttft { "TTFT" } else { "TTLT" };
    let mut rows = [
        ("in flight", false),
        ("load/s", false),
        ("requests/s", false),
        ("output tokens/s", false),
        (latency, true),
        ("failures", false),
        ("stalls", false),
    ]
    .map(|(title, is_time)| Row {
        title,
        is_time,
        most: 0,
        traces: Vec::new(),
    });
    for (series, spans) in spans.iter().enumerate() {
        if spans.is_empty() {
            continue;
        }
        // Of one run, the legend tells lines apart; of several, runs.
        let name = (all.len() > 1).then(|| text(all[series].name));
        let binned = Binned::new(spans, width, bins, has_ttft);
        binned.draw(series, name.as_deref(), width, &mut rows);
    }
    let rows: Vec<Row> = rows
        .into_iter()
        .filter(|row| !row.traces.is_empty())
        .collect();
    let mut figure = figure(rows);
    let warmup = match all {
        [one] => {
            mark_times(&mut figure, *one, window);
            one.result.stats().warmup_time
        }
        _ => None,
    };
    // What is marked before 0 has no values that an axis would reach for.
    let range = [warmup.map_or(0.0, |length| -length), bins as f64 * width];
    figure.refined("xaxis", json!({"range": range}))
}

/// Slices of the numbers of a timeline, about.
const SLICES: f64 = 20.0;

/// A run over its time in numbers, a row for each of some 20 slices, the titles first; only them without
/// requests.
pub(crate) fn timeline_rows(series: Series<'_>) -> Vec<Vec<String>> {
    let spans = spans(series, None);
    let has_ttft = spans.iter().any(|span| span.ttft.is_some());
    let latency = if has_ttft { "TTFT" } else { "TTLT" };
    let has_due = spans.iter().any(|span| span.due.is_some());
    let load: &[&str] = if has_due { &["due/s", "sent/s"] } else { &[] };
    let titles = ["from", "in flight"].iter().chain(load);
    let titles = titles.chain(&["requests/s", "output tokens/s"]);
    let mut titles: Vec<_> = titles.map(|title| (*title).to_owned()).collect();
    titles.extend(["p50", "max"].map(|name| format!("{latency} {name}")));
    titles.extend(["failures", "stalls"].map(str::to_owned));
    let mut rows = vec![titles];
    if spans.is_empty() {
        return rows;
    }
    let window = spans.iter().map(|span| span.end).fold(0.0, f64::max);
    let width = round_step((window / SLICES).max(1e-3));
    let bins = (window / width) as usize + 1;
    let binned = Binned::new(&spans, width, bins, has_ttft);
    for bin in 0..bins {
        let latencies = &binned.latencies[bin];
        let time =
            |value: Option<&f64>| value.map_or_else(|| "—".to_owned(), |time| duration(*time));
        let mut row = vec![duration(bin as f64 * width), number(binned.in_flight[bin])];
        if has_due {
            row.extend([number(binned.due[bin]), number(binned.sent[bin])]);
        }
        row.extend([
            number(binned.requests[bin]),
            number(binned.tokens[bin]),
            time(latencies.get(latencies.len() / 2)),
            time(latencies.last()),
            number(binned.failures[bin] as f64),
            number(binned.stalls[bin] as f64),
        ]);
        rows.push(row);
    }
    rows
}

fn has_whole_seconds(response: &InvocationResponse) -> bool {
    response
        .request_time
        .is_none_or(|time| time.subsec_nanosecond() == 0)
}

/// The requests of a run, from a time on or from its own first.
fn spans(series: Series<'_>, from: Option<jiff::Timestamp>) -> Vec<Span> {
    let responses = &series.result.responses;
    let first = responses.iter().filter_map(|one| one.request_time).min();
    let Some(first) = from.or(first) else {
        return Vec::new();
    };
    let threshold = series.result.stats().stall_threshold;
    let span = |one: &InvocationResponse| {
        let sent = one.request_time?.duration_since(first).as_secs_f64();
        let gap = one.detail.longest_gap;
        let due = one.schedule().due_time.and(one.detail.send_lateness);
        Some(Span {
            sent,
            due: due.map(|late| (sent - late).max(0.0)),
            end: sent + one.time_in_flight().unwrap_or(0.0),
            ttft: one.time_to_first_token,
            ttlt: one.time_to_last_token,
            tokens: one.num_tokens_output.unwrap_or(0),
            is_success: one.error.is_none(),
            is_cancelled: one.is_cancelled(),
            is_stalled: gap
                .zip(threshold)
                .is_some_and(|(gap, threshold)| gap > threshold),
        })
    };
    responses.iter().filter_map(span).collect()
}

/// What each bin of time has.
struct Binned {
    middles: Vec<f64>,
    in_flight: Vec<f64>,
    due: Vec<f64>,
    sent: Vec<f64>,
    requests: Vec<f64>,
    tokens: Vec<f64>,
    latencies: Vec<Vec<f64>>,
    failures: Vec<u64>,
    stalls: Vec<u64>,
}

impl Binned {
    fn new(spans: &[Span], width: f64, bins: usize, has_ttft: bool) -> Self {
        let mut binned = Self {
            middles: (0..bins).map(|bin| (bin as f64 + 0.5) * width).collect(),
            in_flight: vec![0.0; bins],
            due: vec![0.0; bins],
            sent: vec![0.0; bins],
            requests: vec![0.0; bins],
            tokens: vec![0.0; bins],
            latencies: vec![Vec::new(); bins],
            failures: vec![0; bins],
            stalls: vec![0; bins],
        };
        let bin_of = |time: f64| ((time / width) as usize).min(bins - 1);
        for span in spans {
            if let Some(due) = span.due {
                binned.due[bin_of(due)] += 1.0 / width;
                binned.sent[bin_of(span.sent)] += 1.0 / width;
            }
            for bin in bin_of(span.sent)..=bin_of(span.end) {
                let (from, to) = (bin as f64 * width, (bin as f64 + 1.0) * width);
                let part = span.end.min(to) - span.sent.max(from);
                binned.in_flight[bin] += part.max(0.0) / width;
            }
            let bin = bin_of(span.end);
            if !span.is_success {
                binned.failures[bin] += u64::from(!span.is_cancelled);
                continue;
            }
            binned.requests[bin] += 1.0 / width;
            binned.tokens[bin] += span.tokens as f64 / width;
            binned.stalls[bin] += u64::from(span.is_stalled);
            let latency = if has_ttft { span.ttft } else { span.ttlt };
            binned.latencies[bin].extend(latency);
        }
        for latencies in &mut binned.latencies {
            latencies.sort_unstable_by(f64::total_cmp);
        }
        binned
    }

    fn draw(&self, series: usize, name: Option<&str>, width: f64, rows: &mut [Row; 7]) {
        let line = |what: &str, y: Value, more: Value| {
            let trace = json!({
                "type": "scatter", "mode": "lines", "name": what, "legendgroup": name.unwrap_or(what),
                "x": numbers(self.middles.iter().copied()), "y": y,
                "hovertemplate": format!("%{{x}}: %{{y}}<extra>{what}</extra>"),
            });
            styled(series, with(trace, more))
        };
        let any = |values: &[f64]| values.iter().any(|value| *value > 0.0);
        let steps = json!({"line": {"width": 1.5, "shape": "hvh"}});
        let of = |what: &str| match name {
            Some(name) => format!("{name}, {what}"),
            None => what.to_owned(),
        };
        let plain = [
            (0, "in flight", &self.in_flight),
            (1, "sent/s", &self.sent),
            (1, "due/s", &self.due),
            (2, "requests/s", &self.requests),
            (3, "output tokens/s", &self.tokens),
        ];
        for (row, what, values) in plain {
            if row == 0 || any(values) {
                let y = numbers(values.iter().copied());
                let look = match what {
                    "due/s" => json!({"line": {"dash": "dot", "width": 1.5, "shape": "hvh"}}),
                    _ => steps.clone(),
                };
                let mut trace = line(&of(what), y, look);
                // The row's title says it.
                trace["showlegend"] = (name.is_some() || row == 1).into();
                rows[row].traces.push((series, trace));
            }
        }
        let at = |share: f64| -> Value {
            let latencies = self.latencies.iter();
            let value = |sorted: &Vec<f64>| {
                let rank = (share * sorted.len() as f64) as usize;
                sorted
                    .get(rank.min(sorted.len().saturating_sub(1)))
                    .copied()
            };
            latencies.map(value).collect()
        };
        if self.latencies.iter().any(|values| !values.is_empty()) {
            let latency = rows[4].title;
            // Of several runs dashes tell which it is.
            let p90 = match name {
                Some(_) => json!({"line": {"width": 1}, "opacity": 0.7}),
                None => json!({"line": {"dash": "dot", "width": 1.5}}),
            };
            for (what, share, more) in [
                ("p50", 0.5, json!({"line": {"width": 2}})),
                ("p90", 0.9, p90),
                (
                    "max",
                    1.0,
                    json!({"mode": "markers", "marker": {"size": 4, "opacity": 0.6}}),
                ),
            ] {
                let what = of(&format!("{latency} {what}"));
                rows[4].traces.push((series, line(&what, at(share), more)));
            }
        }
        for (row, what, counts) in [(5, "failures", &self.failures), (6, "stalls", &self.stalls)] {
            if counts.iter().all(|count| *count == 0) {
                continue;
            }
            rows[row].most = counts.iter().copied().fold(rows[row].most, u64::max);
            let colour = match name {
                Some(_) => series,
                None => 1,
            };
            rows[row].traces.push((
                series,
                json!({
                    "type": "bar", "name": of(what), "legendgroup": name.unwrap_or(what), "showlegend": false,
                    "x": numbers(self.middles.iter().copied()), "y": counts, "width": width,
                    "marker": {"color": PALETTE[colour % PALETTE.len()].0},
                    "hovertemplate": format!("%{{x}}: %{{y}}<extra>{what}</extra>"),
                }),
            ));
        }
    }
}

fn figure(rows: Vec<Row>) -> Figure {
    let count = rows.len().max(1);
    let mut axes = vec![(
        "xaxis".to_owned(),
        with(
            seconds_axis("Time since the first request"),
            json!({"anchor": numbered("y", count - 1)}),
        ),
    )];
    let mut data = Vec::new();
    for (place, row) in rows.into_iter().enumerate() {
        // The last row ends at the bottom: what is marked in all rows ends there.
        let height = (1.0 + GAP) / count as f64;
        let top = 1.0 - place as f64 * height;
        let axis = match row.is_time {
            true => seconds_axis(row.title),
            false => number_axis(row.title),
        };
        let domain = [(top - height + GAP).max(0.0), top];
        let mut more = json!({"domain": domain, "rangemode": "tozero", "nticks": 4});
        if row.most > 0 {
            // No parts of a request.
            let step = round_step((row.most as f64 / 3.0).max(1.0));
            more = with(more, json!({"tick0": 0, "dtick": step}));
        }
        axes.push((numbered("yaxis", place), with(axis, more)));
        for (_, trace) in row.traces {
            data.push(with(
                trace,
                json!({"xaxis": "x", "yaxis": numbered("y", place)}),
            ));
        }
    }
    axes.push(("barmode".to_owned(), "stack".into()));
    axes.push(("height".to_owned(), (AROUND + ROW * count as u32).into()));
    Figure::new(data, layout("The run over time", axes))
}

/// The part of the time that a stage must have for its name to have a place, on a phone too.
const NAMED: f64 = 0.2;
/// The part that it must have for its number.
const NUMBERED: f64 = 0.05;

/// When the first request was sent, in seconds after the run's start.
fn first_sent(series: Series<'_>) -> f64 {
    let responses = series.result.responses.iter();
    let sent =
        responses.filter_map(|one| Some(one.schedule().due_time? + one.detail.send_lateness?));
    sent.reduce(f64::min).unwrap_or(0.0)
}

/// The stages of a load, and their names: seconds after the first request.
fn stages(series: Series<'_>, stats: &Stats) -> Vec<(f64, f64, String)> {
    let first = first_sent(series);
    let times = stats
        .stages
        .iter()
        .enumerate()
        .filter_map(|(number, stage)| {
            let time = |key: &str| Some(stage.get(key)?.as_f64()? - first);
            let load = stage.get("load").and_then(Value::as_str);
            Some((number, time("start")?, time("end")?, load))
        });
    let times: Vec<_> = times.collect();
    let all = times.last().map_or(0.0, |(_, _, end, _)| *end);
    let was_changed = !stats.control_changes.is_empty();
    let named = times.into_iter().map(|(number, start, end, load)| {
        let part = (end - start) / all;
        let name = match load {
            // What it was changed to says more than a number.
            Some(load) if was_changed && part > NAMED => text(load),
            _ if part > NAMED => format!("stage {}", number + 1),
            _ if part > NUMBERED => (number + 1).to_string(),
            _ => String::new(),
        };
        (start.max(0.0), end, name)
    });
    named.collect()
}

/// Marks what was before the run, and its stages or the part of it in which its load is whole.
fn mark_times(figure: &mut Figure, series: Series<'_>, window: f64) {
    let stats = series.result.stats();
    let stages = stages(series, &stats);
    let warmup = stats.warmup_time.map(|length| (-length, 0.0, "warm-up"));
    let steady = stats.steady_start.zip(stats.steady_end);
    let steady = steady.filter(|_| stages.is_empty());
    let steady = steady.map(|(start, end)| (start, end, "steady state"));
    let has_warmup = warmup.is_some();
    let marked = warmup.into_iter().chain(steady);
    let marked = marked.map(|(start, end, what)| (start, end, what.to_owned()));
    let marked: Vec<_> = marked.chain(stages).collect();
    let shapes = marked.iter().enumerate().map(|(number, (start, end, what))| {
        // Stages by turns.
        let opacity = match &**what {
            "warm-up" => 0.25,
            "steady state" => 0.1,
            _ if number % 2 == 0 => 0.04,
            _ => 0.12,
        };
        json!({
            "type": "rect", "xref": "x", "yref": "paper", "x0": start, "x1": end, "y0": 0, "y1": 1,
            "fillcolor": QUIET.0, "opacity": opacity, "line": {"width": 0}, "layer": "below",
        })
    });
    let changes = stats.control_changes.iter().filter_map(|change| {
        let at = change.get("time")?.as_f64()? - first_sent(series);
        Some(json!({
            "type": "line", "xref": "x", "yref": "paper", "x0": at, "x1": at, "y0": 0, "y1": 1,
            "line": {"width": 1.5, "dash": "dash", "color": QUIET.0}, "layer": "above",
        }))
    });
    figure.0["layout"]["shapes"] = shapes.chain(changes).collect();
    // Above the rows. A short warm-up has no room for its name: the other one stands at its end.
    let named = marked.iter().filter(|(.., what)| !what.is_empty());
    let names = named.map(|(start, end, what)| {
        let (x, anchor) = match &**what {
            "steady state" if has_warmup && *end > window / 2.0 => (end, "right"),
            "steady state" if has_warmup => (end, "left"),
            _ => (start, "left"),
        };
        json!({
            "xref": "x", "yref": "paper", "x": x, "y": 1.0, "xanchor": anchor, "yanchor": "bottom",
            "text": what, "showarrow": false, "font": {"size": 11},
        })
    });
    figure.0["layout"]["annotations"] = names.collect();
}
