//! The reports of experiments.

use serde_json::{Value, json};

use super::sections::{Part, Shown};
use super::{Block, Report, Table, Tone, charts, line, measurement, run};
use crate::RunResult;
use crate::experiment::{
    AbResult, CapacityResult, HeatmapResult, LoadTestResult, RepeatResult, of_clients,
};
use crate::report::figure::{self, Figure, Series};
use crate::report::summary::counted;
use crate::report::{ab, capacity, heatmap, intervals, load_test, repeat};

/// What each of the six charts of a load test shows.
const LEVEL_CHARTS: [(&str, &str); 6] = [
    (
        "time_to_first_token",
        "TTFT of all requests at each number of clients. Both axes are logarithmic.",
    ),
    (
        "time_to_last_token",
        "TTLT of all requests at each number of clients. Both axes are logarithmic.",
    ),
    (
        "requests_per_minute",
        "Failed requests included. Both axes are logarithmic.",
    ),
    ("error_rate", "Failed requests / all requests."),
    ("average_input_tokens_clients", "Both axes are logarithmic."),
    (
        "average_output_tokens_clients",
        "Both axes are logarithmic.",
    ),
];

/// Latencies of which load tests have charts beside those six.
const MORE_LEVEL_CHARTS: [(&str, &str); 2] = [
    (
        "time_per_output_token",
        "TPOT of all requests at each number of clients. Both axes are logarithmic.",
    ),
    (
        "inter_token_latency",
        "ITL, all gaps between tokens, at each number of clients. Both axes are logarithmic.",
    ),
];

impl Report {
    /// The report of a load test, with its levels' responses.
    pub fn of_load_test(test: &LoadTestResult) -> Self {
        let name = test.test_name.as_deref().unwrap_or("load test");
        let mut report = Self::new(&format!("Load test {name}"), about(test.results.values()));
        let levels = levels(test);
        let mut first: Vec<Block> = levels.clone().map(Block::Table).into_iter().collect();
        let intervals = load_test::interval_rows(test);
        if !intervals.is_empty() {
            first.extend(Block::table("Intervals", intervals, &[""; 0]));
        }
        first.extend(Block::lines(Tone::Plain, &load_test::remarks(test)));
        first.extend(
            test.warnings
                .iter()
                .map(|warning| Block::text(Tone::Warning, warning)),
        );
        report.add("summary", "Summary", first);
        report.add("curve", "Load", level_charts(&[test], levels.as_ref()));
        let levels = test.results.iter();
        let parts: Vec<Part<'_>> = levels
            .map(|(clients, one)| Part::of(&of_clients(*clients), one))
            .collect();
        report.add_details(&Shown::all(&parts));
        report
    }

    /// The report of a search for capacity, with its probes' responses.
    pub fn of_capacity(found: &CapacityResult) -> Self {
        let test = found.as_load_test();
        let title = format!("Capacity {}", found.name);
        let results = || found.results.iter().map(|(_, result)| result);
        let mut report = Self::new(&title, about(results()));
        let table = Table::of("Probes", capacity::probe_rows(found), &[""; 0]);
        let mut first: Vec<Block> = table.map(Block::Table).into_iter().collect();
        first.extend(Block::lines(Tone::Plain, &capacity::remarks(found)));
        let warnings = found.warnings.iter();
        first.extend(warnings.map(|warning| Block::text(Tone::Warning, warning)));
        report.add("summary", "Summary", first);
        let levels = levels(&test);
        if !test.results.is_empty() {
            report.add("curve", "Load", level_charts(&[&test], levels.as_ref()));
        }
        let over = found.plan.over;
        let probes = found.results.iter();
        let parts: Vec<Part<'_>> = probes
            .map(|(level, one)| Part::of(&over.in_words(*level), one))
            .collect();
        report.add_details(&Shown::all(&parts));
        report
    }

    /// The report of a heatmap.
    pub fn of_heatmap(done: &HeatmapResult) -> Self {
        let stats = done.result.stats();
        let mut report = Self::new(
            &format!("Heatmap {}", run::title(&stats)),
            run::about(&stats),
        );
        let mut first = vec![run::key_figures(&stats)];
        first.extend(measurement::verdict(&done.result));
        let slos = crate::report::slo::slo_rows(&done.result);
        first.extend(Block::pairs("SLOs", ["SLO", "outcome"], slos));
        report.add("summary", "Summary", first);
        let nominal = done.nominal();
        let measured = heatmap::filled(done.measured(heatmap::BINS, heatmap::BINS));
        for (id, title, table) in [
            ("asked", "By the lengths that were asked for", &nominal),
            ("counted", "By the tokens that were counted", &measured),
        ] {
            let mut blocks = Vec::new();
            for (name, latency) in heatmap::latencies(table) {
                let figure = figure::heatmap_of_lengths(table, name, latency);
                let id = format!("{id}-{}", name.to_lowercase());
                let about = "Medians of the successful requests of each cell, shaded by factors.";
                let rows = lengths_table(table, latency);
                blocks.extend(charts::chart(&id, about, figure, rows));
                if let Some(rows) = heatmap::interval_rows(name, table, latency) {
                    let title = format!("{name}: 95 % intervals of the medians");
                    blocks.extend(Block::table(&title, rows, &[""; 0]));
                }
            }
            if let Some(rows) = heatmap::count_rows(table) {
                let title = "Successful requests of each cell";
                blocks.extend(Block::table(title, rows, &[""; 0]));
            }
            if let Some(rows) = heatmap::goodput_rows(table) {
                let title = "Goodput: the share of requests that meet all SLOs";
                blocks.extend(Block::table(title, rows, &[""; 0]));
            }
            report.add(id, title, blocks);
        }
        let parts = [Part::of(Series::of(&done.result).name, &done.result)];
        report.add_details(&Shown::all(&parts));
        report
    }

    /// The report of a test by blocks.
    pub fn of_ab(test: &AbResult) -> Self {
        let folder = test.output_path.as_ref();
        let name = folder.and_then(crate::storage::Location::file_name);
        let title = format!("A/B test {}", name.unwrap_or_default());
        let mut report = Self::new(title.trim(), about(test.blocks()));
        let mut first: Vec<Block> = Block::lines(Tone::Plain, &ab::remarks(test)).collect();
        first.extend(Block::table("Variants", ab::variant_rows(test), &[""; 0]));
        first.extend(
            test.warnings
                .iter()
                .map(|warning| Block::text(Tone::Warning, warning)),
        );
        report.add("summary", "Summary", first);
        let metrics = ab::metrics(test);
        let tables: Vec<Table> = (1..test.plan.variants.len())
            .filter_map(|at| {
                let rows = ab::difference_rows(test, &metrics, at);
                let title = rows.first()?.first()?.clone();
                let legend = intervals::legend(rows.iter().flatten());
                let notes: Vec<_> = legend.into_iter().collect();
                Table::of(&title, rows, &notes)
            })
            .collect();
        let figure = figure::ab_intervals(test);
        let about = "Below 0 the variant's figure is lower. The first row decides.";
        let chart = charts::chart("intervals", about, figure, tables.first().cloned());
        let tables = tables.into_iter().map(Block::Table);
        report.add(
            "differences",
            "Differences",
            chart.into_iter().chain(tables).collect(),
        );
        let plan = Block::pairs("The test", ["setting", "value"], ab::plan_rows(test));
        report.add("plan", "The test", plan.into_iter().collect());
        let parts: Vec<Part<'_>> = test
            .plan
            .variants
            .iter()
            .enumerate()
            .map(|(at, variant)| {
                let blocks = test
                    .rounds
                    .iter()
                    .enumerate()
                    .filter_map(|(round, blocks)| {
                        let name = format!("round {}, {}", round + 1, variant.name);
                        Some((name, blocks.get(at)?.as_ref()?))
                    });
                Part::pooled(&line(&variant.name), blocks.collect())
            })
            .collect();
        let shown = Shown::all(&parts).with_settings_of(parts.iter());
        report.add_details(&Shown {
            has_one_clock: true,
            ..shown
        });
        report
    }

    /// The report of repeats.
    pub fn of_repeats(repeats: &RepeatResult) -> Self {
        let name = repeats.name.as_deref().unwrap_or_default();
        let runs = repeats.results.values().flatten();
        let mut report = Self::new(format!("Repeats {name}").trim(), about(runs));
        let mut first: Vec<Block> = Block::lines(Tone::Plain, repeat::METHOD).collect();
        first.extend(Block::lines(Tone::Note, &repeat::ending(repeats)));
        first.extend(
            repeats
                .warnings
                .iter()
                .map(|warning| Block::text(Tone::Warning, warning)),
        );
        let mut parts = Vec::new();
        for (clients, runs) in &repeats.results {
            let title = format!(
                "{}, {}",
                of_clients(*clients),
                counted(runs.len() as u64, "repeat")
            );
            let rows = repeat::rows(repeats, *clients);
            let legend = intervals::legend(rows.iter().flatten());
            let notes: Vec<_> = legend.into_iter().collect();
            let table = Table::of(&title, rows, &notes);
            first.extend(table.clone().map(Block::Table));
            first.extend(charts::chart(
                &format!("spread-{clients}"),
                "A mark is a repeat.",
                figure::repeat_spread(repeats, *clients),
                table,
            ));
            for (at, run) in runs.iter().enumerate() {
                let level = match repeats.results.len() {
                    1 => String::new(),
                    _ => format!("{}, ", of_clients(*clients)),
                };
                parts.push(Part::of(&format!("{level}repeat {}", at + 1), run));
            }
        }
        report.add("summary", "Summary", first);
        report.add_details(&Shown::all(&parts));
        report
    }
}

/// The levels as a table, a column each: there are more figures than levels.
pub(super) fn levels(test: &LoadTestResult) -> Option<Table> {
    let rows = load_test::level_rows(test);
    let notes = load_test::level_notes(&rows);
    let count = rows.first().map_or(0, Vec::len);
    let rows = (0..count).map(|at| {
        let cells = rows.iter().map(|row| row.get(at).cloned());
        cells.map(Option::unwrap_or_default).collect()
    });
    let rows: Vec<Vec<String>> = rows.collect();
    let name = test.test_name.as_deref().unwrap_or("load test");
    Table::of(name, rows, &notes)
}

/// The curve of throughput and latency, and the six charts of load tests.
pub(super) fn level_charts(tests: &[&LoadTestResult], table: Option<&Table>) -> Vec<Block> {
    let curve = charts::chart(
        "throughput-latency",
        "Each point is a number of clients. Right is more throughput, up is slower; the knee, beyond which latency \
         grows by a larger factor than throughput, is larger.",
        figure::throughput_latency_curve(tests),
        table.cloned(),
    );
    let mut blocks: Vec<Block> = curve.into_iter().collect();
    for (metric, about) in MORE_LEVEL_CHARTS {
        let figures = tests
            .iter()
            .filter_map(|test| figure::boxplot_by_clients(test, metric));
        let figures: Vec<_> = figures.collect();
        let figure = figure::overlaid(&figures.iter().collect::<Vec<_>>());
        let id = format!("{metric}-clients");
        let mut about = about.to_owned();
        if tests.iter().any(|test| has_zeros(test, metric)) {
            about += " Values of 0, which have no place on such an axis, are left out.";
        }
        blocks.extend(charts::chart(
            &id,
            &about,
            readable(figure, tests),
            table.cloned(),
        ));
    }
    let of_tests: Vec<_> = tests
        .iter()
        .map(|test| figure::plot_load_test_results(test, true))
        .collect();
    for (at, (key, about)) in LEVEL_CHARTS.into_iter().enumerate() {
        let figures = of_tests.iter().map(|figures| &figures[at].1);
        let figure = readable(figure::overlaid(&figures.collect::<Vec<_>>()), tests);
        let mut about = about.to_owned();
        if figure.layout()["yaxis"]["type"] == "log" && has_any_zero(&figure) {
            about += " Values of 0, which have no place on such an axis, are left out.";
        }
        blocks.extend(charts::chart(key, &about, figure, table.cloned()));
    }
    blocks
}

/// A chart against the number of clients with a tick at each level, and, where values span much, with less
/// ticks than a logarithmic axis has by itself.
fn readable(figure: Figure, tests: &[&LoadTestResult]) -> Figure {
    /// From this factor on labels of all digits lie on one another.
    const MANY: f64 = 4.0;
    let mut levels: Vec<usize> = tests
        .iter()
        .flat_map(|test| test.results.keys().copied())
        .collect();
    levels.sort_unstable();
    levels.dedup();
    let (min, max) = range_of(&figure);
    let figure = within_values(figure, min, max);
    let ticks = json!({"tickvals": with_room(&levels), "tickformat": "d", "tickangle": 0});
    let mut figure = figure.refined("xaxis", ticks);
    // The Python package's axes have the unit in their title, and shares without one.
    let title = figure.layout()["yaxis"]["title"]["text"].as_str();
    let title = title.unwrap_or_default().to_owned();
    if let Some(what) = title.strip_suffix(" (s)") {
        figure = figure.refined("yaxis", figure::seconds_axis(what));
        return figure.refined("yaxis", figure::log_seconds(json!({}), min, max));
    } else if figure.layout()["yaxis"]["ticksuffix"] == "s" {
        return figure.refined("yaxis", figure::log_seconds(json!({}), min, max));
    } else if title == "Error rate" {
        figure = figure.refined("yaxis", figure::share_axis(&title));
    }
    match max / min >= MANY && figure.layout()["yaxis"]["type"] == "log" {
        true => figure.refined("yaxis", json!({"dtick": "D2", "tickformat": "~s"})),
        false => figure,
    }
}

/// Those of the levels whose numbers have room on a logarithmic axis: the outermost, and others from below.
fn with_room(levels: &[usize]) -> Vec<usize> {
    /// About the width of a digit, and the gap between two numbers, as shares of the axis.
    const DIGIT: f64 = 0.032;
    const GAP: f64 = 0.025;
    let [first, .., last] = *levels else {
        return levels.to_vec();
    };
    let place =
        |level: usize| (level as f64 / first as f64).ln() / (last as f64 / first as f64).ln();
    let half = |level: usize| level.to_string().len() as f64 * DIGIT / 2.0;
    let is_apart = |one: usize, other: usize| {
        (place(one) - place(other)).abs() >= half(one) + half(other) + GAP
    };
    let mut kept = vec![first];
    for level in &levels[1..levels.len() - 1] {
        if kept
            .iter()
            .chain([&last])
            .all(|known| is_apart(*level, *known))
        {
            kept.push(*level);
        }
    }
    kept.push(last);
    kept
}

/// With the range of a logarithmic vertical axis that shows all values above 0: Plotly's own has gone wrong where
/// there are others among the outliers.
fn within_values(figure: Figure, min: f64, max: f64) -> Figure {
    /// Room beyond the values, as a share of the axis, and the least in decades.
    const ROOM: f64 = 0.05;
    const LEAST: f64 = 0.05;
    if figure.layout()["yaxis"]["type"] != "log" || !(min.is_finite() && max > 0.0) {
        return figure;
    }
    let (low, high) = (min.log10(), max.log10());
    let room = ((high - low) * ROOM).max(LEAST);
    figure.refined("yaxis", json!({"range": [low - room, high + room]}))
}

/// Whether a level has a value of 0 of this metric.
fn has_zeros(test: &LoadTestResult, metric: &str) -> bool {
    let mut levels = test.results.values();
    levels.any(|level| {
        let values = figure::Values::of(Series::of(level), metric);
        values.is_some_and(|values| values.range().0 <= 0.0)
    })
}

/// Whether a trace has a value that is not above 0.
fn has_any_zero(figure: &Figure) -> bool {
    fn is_any(value: &Value) -> bool {
        match value {
            Value::Array(values) => values.iter().any(is_any),
            value => value.as_f64().is_some_and(|value| value <= 0.0),
        }
    }
    let keys = ["y", "q1", "lowerfence"];
    let mut traces = figure.data().iter();
    traces.any(|trace| keys.iter().any(|key| is_any(&trace[*key])))
}

/// The smallest and the largest value above 0 on the vertical axis.
fn range_of(figure: &Figure) -> (f64, f64) {
    fn widen(range: &mut (f64, f64), value: &Value) {
        match value {
            Value::Array(values) => values.iter().for_each(|value| widen(range, value)),
            value => {
                if let Some(value) = value.as_f64().filter(|value| *value > 0.0) {
                    *range = (range.0.min(value), range.1.max(value));
                }
            }
        }
    }
    let mut range = (f64::INFINITY, 0.0);
    for trace in figure.data() {
        for key in ["y", "lowerfence", "upperfence"] {
            widen(&mut range, &trace[key]);
        }
    }
    range
}

fn lengths_table(
    table: &crate::experiment::HeatmapTable,
    latency: heatmap::Latency,
) -> Option<Table> {
    let mut titles = vec!["input tokens".to_owned()];
    titles.extend(
        table
            .columns
            .iter()
            .map(|bounds| format!("{} output", heatmap::label(bounds))),
    );
    let mut rows = vec![titles];
    for (bounds, cells) in table.rows.iter().zip(&table.cells) {
        let cells = cells.iter().map(|cell| {
            latency(cell).map_or_else(
                || "—".to_owned(),
                |one| crate::base::shown::duration(one.median) + heatmap::mark(table, one),
            )
        });
        rows.push(
            std::iter::once(heatmap::label(bounds))
                .chain(cells)
                .collect(),
        );
    }
    let notes: Vec<_> = heatmap::support_note(table).into_iter().collect();
    Table::of("Medians", rows, &notes)
}

/// Which model, where, and when, from the first of some runs.
pub(super) fn about<'a>(runs: impl Iterator<Item = &'a RunResult>) -> Vec<String> {
    let runs: Vec<_> = runs.collect();
    let Some(first) = runs.first() else {
        return Vec::new();
    };
    let stats = first.stats();
    let mut what = stats.model_id.unwrap_or_else(|| "unknown model".to_owned());
    if let Some(endpoint) = stats.endpoint_name {
        what += &format!(", endpoint {endpoint}");
    }
    what += &format!(", {}", counted(runs.len() as u64, "run"));
    let requests = runs
        .iter()
        .filter_map(|run| run.summary.total_requests)
        .sum();
    what += &format!(", {}", counted(requests, "request"));
    if let Some(start) = stats.start_time {
        what += &format!(", {}", run::start_text(&start));
    }
    vec![what]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_levels_have_room() {
        assert_eq!(
            with_room(&[1, 2, 4, 8, 11, 13, 14, 16]),
            [1, 2, 4, 8, 11, 16]
        );
        assert_eq!(with_room(&[1, 2, 4, 8, 16, 32]), [1, 2, 4, 8, 16, 32]);
        assert_eq!(with_room(&[4]), [4]);
    }
}
