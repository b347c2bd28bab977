//! The reports of experiments.

use serde_json::{Value, json};

use super::{Block, Report, Table, Tone, charts, configuration, line, measurement, run};
use crate::RunResult;
use crate::experiment::{AbResult, HeatmapResult, LoadTestResult, RepeatResult, of_clients};
use crate::report::figure::{self, Figure, Series};
use crate::report::summary::counted;
use crate::report::{ab, heatmap, load_test, repeat};

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
        let named: Vec<_> = test
            .results
            .iter()
            .map(|(clients, one)| (of_clients(*clients), one))
            .collect();
        report.add_details(&named);
        report
    }

    /// What the runs of an experiment have in common as sections, each a series.
    pub(super) fn add_details(&mut self, named: &[(String, &RunResult)]) {
        let series: Vec<_> = named
            .iter()
            .map(|(name, one)| Series::new(name, one))
            .collect();
        self.add("latency", "Latency", charts::latencies(&series));
        self.add("lengths", "Latency by length", charts::lengths(&series));
        self.add("failures", "Failures", charts::failures(&series));
        self.add("measurement", "The measurement itself", verdicts(named));
        let first = named
            .first()
            .and_then(|(_, one)| one.summary.output_path.as_ref());
        self.add(
            "configuration",
            "Configuration",
            configuration::tables(first),
        );
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
            }
            if let Some(rows) = heatmap::goodput_rows(table) {
                let title = "Goodput: the share of requests that meet all SLOs";
                blocks.extend(Block::table(title, rows, &[""; 0]));
            }
            report.add(id, title, blocks);
        }
        let series = [Series::of(&done.result)];
        report.add("latency", "Latency", charts::latencies(&series));
        let over_time = charts::timeline(&series).into_iter().collect();
        report.add("timeline-section", "Over time", over_time);
        report.add("failures", "Failures", charts::failures(&series));
        report.add(
            "measurement",
            "The measurement itself",
            measurement::record(&done.result).into_iter().collect(),
        );
        let folder = done.result.summary.output_path.as_ref();
        report.add(
            "configuration",
            "Configuration",
            configuration::tables(folder),
        );
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
                let legend = Some(ab::legend(&rows)).filter(|note| !note.is_empty());
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
        let pooled: Vec<(String, RunResult)> = (0..test.plan.variants.len())
            .map(|at| {
                (
                    line(&test.plan.variants[at].name),
                    pooled(test.blocks_of(at)),
                )
            })
            .collect();
        let series: Vec<_> = pooled
            .iter()
            .map(|(name, one)| Series::new(name, one))
            .collect();
        report.add(
            "latency",
            "Latency of all blocks",
            charts::latencies(&series),
        );
        let named: Vec<_> = test
            .rounds
            .iter()
            .enumerate()
            .flat_map(|(round, blocks)| {
                let variants = test.plan.variants.iter().zip(blocks);
                variants.filter_map(move |(variant, block)| {
                    Some((
                        format!("round {}, {}", round + 1, variant.name),
                        block.as_ref()?,
                    ))
                })
            })
            .collect();
        report.add("failures", "Failures", failures_of(&named));
        report.add("measurement", "The measurement itself", verdicts(&named));
        let plan = Block::pairs("The test", ["setting", "value"], ab::plan_rows(test));
        let folders: Vec<_> = (0..test.plan.variants.len())
            .filter_map(|at| {
                let block = test.blocks_of(at).next()?;
                let folder = block.summary.output_path.as_ref()?;
                Some((line(&test.plan.variants[at].name), folder))
            })
            .collect();
        let settings = configuration::side_by_side(&folders);
        report.add(
            "configuration",
            "Configuration",
            plan.into_iter().chain(settings).collect(),
        );
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
        let mut named = Vec::new();
        for (clients, runs) in &repeats.results {
            let title = format!(
                "{}, {}",
                of_clients(*clients),
                counted(runs.len() as u64, "repeat")
            );
            let rows = repeat::rows(repeats, *clients);
            let legend = repeat::legend(&rows);
            let notes: Vec<_> = Some(legend)
                .filter(|note| !note.is_empty())
                .into_iter()
                .collect();
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
                named.push((format!("{level}repeat {}", at + 1), run));
            }
        }
        report.add("summary", "Summary", first);
        report.add_details(&named);
        report
    }
}

/// The responses of several runs as one.
fn pooled<'a>(runs: impl Iterator<Item = &'a RunResult>) -> RunResult {
    let responses = runs.flat_map(|run| run.responses.iter().cloned());
    RunResult::from_responses(crate::result::RunSummary::default(), responses.collect())
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
        blocks.extend(charts::chart(
            &id,
            about,
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
        blocks.extend(charts::chart(key, about, figure, table.cloned()));
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
    let ticks = json!({"tickvals": levels, "tickformat": "d", "tickangle": 0});
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
                |time| crate::base::shown::duration(time) + heatmap::mark(table, cell),
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
        what += &format!(", {}", start.replace('T', " ").replace('Z', " UTC"));
    }
    vec![what]
}

/// From so many runs on the table of verdicts is for those that are not clean.
const MANY_RUNS: usize = 8;

/// The verdict on each of some runs.
pub(super) fn verdicts(named: &[(String, &RunResult)]) -> Vec<Block> {
    let titles = ["run", "verdict", "may be wrong by over 1 ms", "why"];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    // Of many runs the clean ones are no news.
    let is_clean = |run: &RunResult| run.stats().measurement_verdict.as_deref() == Some("clean");
    let clean = named.iter().filter(|(_, run)| is_clean(run)).count();
    let is_long = named.len() > MANY_RUNS && clean > 0;
    let said = format!("{clean} of {} runs are clean.", named.len());
    let said = is_long.then(|| Block::text(Tone::Plain, said));
    let shown = named.iter().filter(|(_, run)| !is_long || !is_clean(run));
    for (name, run) in shown {
        let stats = run.stats();
        rows.push(vec![
            name.clone(),
            stats
                .measurement_verdict
                .clone()
                .unwrap_or_else(|| "—".to_owned()),
            measurement::own_error(&stats, "TTLT").unwrap_or_else(|| "—".to_owned()),
            stats.measurement_reasons.join("; "),
        ]);
    }
    let table = Block::table("Verdicts", rows, &[""; 0]);
    said.into_iter().chain(table).collect()
}

fn failures_of(named: &[(String, &RunResult)]) -> Vec<Block> {
    let series: Vec<_> = named
        .iter()
        .map(|(name, one)| Series::new(name, one))
        .collect();
    charts::failures(&series)
}
