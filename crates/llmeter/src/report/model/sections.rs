//! The sections that say of runs what they were like: one list for the reports of all kinds.

use std::borrow::Cow;

use super::by_turn::by_turn;
use super::{Block, Report, Table, Tone, charts, configuration, line, measurement, path};
use crate::RunResult;
use crate::cost::price::price;
use crate::report::control::control_lines;
use crate::report::figure::Series;
use crate::report::summary::{self, counted};
use crate::report::{cost, drift, intervals, parts, rates, recovery, slo};
use crate::result::RunSummary;
use crate::stats::Stats;
use crate::storage::Location;

/// From so many runs on the table of verdicts is for those that are not clean.
const MANY_RUNS: usize = 8;

/// What a report sets side by side under a name: a run, or several that stand for one thing, as the blocks of a
/// variant do.
pub(super) struct Part<'a> {
    pub(super) name: String,
    /// The run; of several, their responses as one.
    whole: Cow<'a, RunResult>,
    /// The runs with names of their own.
    runs: Vec<(String, &'a RunResult)>,
}

impl<'a> Part<'a> {
    /// A run.
    pub(super) fn of(name: &str, run: &'a RunResult) -> Self {
        Self {
            name: name.to_owned(),
            whole: Cow::Borrowed(run),
            runs: vec![(name.to_owned(), run)],
        }
    }

    /// Several runs as one, judged by the first one's SLOs.
    pub(super) fn pooled(name: &str, runs: Vec<(String, &'a RunResult)>) -> Self {
        let responses = runs.iter().flat_map(|(_, run)| run.responses.iter());
        let responses = responses.cloned().collect();
        let mut whole = RunResult::from_responses(RunSummary::default(), responses);
        if let Some((_, first)) = runs.first() {
            whole.judge_by(first.slos().to_vec());
        }
        Self {
            name: name.to_owned(),
            whole: Cow::Owned(whole),
            runs,
        }
    }

    /// Statistics of its responses, all together.
    pub(super) fn stats(&self) -> Stats {
        self.whole.stats()
    }

    fn series(&self) -> Series<'_> {
        Series::new(&self.name, &self.whole)
    }

    /// Statistics with the sums of what only single runs know: costs, limits and retries.
    fn sums(&self) -> Stats {
        let mut all = self.runs.iter().map(|(_, run)| run.stats());
        let Some(mut sum) = all.next() else {
            return self.whole.stats();
        };
        for one in all {
            add_named(&mut sum.costs, one.costs, |sum, more| *sum += more);
            sum.cost_total = sum
                .cost_total
                .map(|sum| sum + one.cost_total.unwrap_or(0.0))
                .or(one.cost_total);
            sum.total_requests = sum
                .total_requests
                .map(|sum| sum + one.total_requests.unwrap_or(0))
                .or(one.total_requests);
            sum.total_output_tokens += one.total_output_tokens;
            sum.rate_limited_answers += one.rate_limited_answers;
            add_named(
                &mut sum.rate_limited_answers_by_error,
                one.rate_limited_answers_by_error,
                |sum, more| *sum += more,
            );
            sum.total_retries += one.total_retries;
            sum.total_retry_wait += one.total_retry_wait;
            add_named(
                &mut sum.rate_limits_remaining,
                one.rate_limits_remaining,
                |least, other| *least = least.min(other),
            );
        }
        sum
    }
}

/// Joins values under names.
fn add_named<T>(into: &mut Vec<(String, T)>, more: Vec<(String, T)>, join: impl Fn(&mut T, T)) {
    for (name, value) in more {
        match into.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => join(known, value),
            None => into.push((name, value)),
        }
    }
}

/// What the sections of a report are about.
pub(super) struct Shown<'a> {
    /// All parts.
    pub(super) parts: &'a [Part<'a>],
    /// The places of those that charts show.
    pub(super) drawn: Vec<usize>,
    /// Settings of which runs are shown.
    pub(super) configured: Vec<(String, &'a Location)>,
    /// Whether the parts' times have one 0, and not each its own.
    pub(super) has_one_clock: bool,
}

impl<'a> Shown<'a> {
    /// All parts in all charts, with the settings of the first.
    pub(super) fn all(parts: &'a [Part<'a>]) -> Self {
        Self {
            parts,
            drawn: (0..parts.len()).collect(),
            configured: configured(parts.first()).into_iter().collect(),
            has_one_clock: false,
        }
    }

    /// With the settings of these parts, side by side.
    pub(super) fn with_settings_of(self, parts: impl Iterator<Item = &'a Part<'a>>) -> Self {
        let configured = parts.filter_map(|part| configured(Some(part))).collect();
        Self { configured, ..self }
    }
}

/// The folder of a part's first run.
fn configured<'a>(part: Option<&'a Part<'a>>) -> Option<(String, &'a Location)> {
    let part = part?;
    let (_, first) = part.runs.first()?;
    Some((line(&part.name), first.summary.output_path.as_ref()?))
}

impl Report {
    /// What is said of all runs, whatever they belong to; a section without anything to say is left out.
    pub(super) fn add_details(&mut self, shown: &Shown<'_>) {
        let parts = shown.parts;
        let drawn: Vec<&Part<'_>> = shown.drawn.iter().filter_map(|at| parts.get(*at)).collect();
        let series: Vec<Series<'_>> = drawn.iter().map(|part| part.series()).collect();
        let all: Vec<Series<'_>> = parts.iter().map(Part::series).collect();
        self.add("slos", "SLOs and goodput", slos(parts));
        let mut latency = latency_tables(parts);
        let charts = charts::latencies(&series);
        if !charts.is_empty() {
            latency.extend(said_of_charts(shown));
        }
        latency.extend(charts);
        self.add("latency", "Latency", latency);
        let path = path::blocks(parts, &series);
        self.add("path", "Network and server", path);
        let mut stages = changes(parts);
        stages.extend(breakdown("Stages", parts, parts::stage_rows));
        self.add("stages", "Stages of the load", stages);
        self.add("recovery", "Recovery", recovered(parts));
        self.add(
            "cold-start",
            "Cold start",
            said(parts, recovery::cold_start_lines),
        );
        self.add("drift", "Drift under load", said(parts, drift::drift_lines));
        let workloads = breakdown("Workloads", parts, parts::workload_rows);
        self.add("workloads", "Workloads", workloads);
        let servers = breakdown("Servers", parts, parts::server_rows);
        self.add("servers", "Servers", servers);
        self.add("sessions", "Sessions and their turns", sessions(parts));
        let over_time = charts::timeline(&series, shown.has_one_clock);
        self.add(
            "timeline-section",
            "Over time",
            over_time.into_iter().collect(),
        );
        self.add("requests", "Single requests", waterfalls(&drawn));
        self.add("lengths", "Latency by length", charts::lengths(&series));
        self.add("throughput", "Throughput and tokens", rates(parts));
        self.add("cost", "Cost", costs(parts));
        self.add("failures", "Failures", charts::failures(&all));
        self.add("limits", "Rate limits and retries", limits(parts));
        let measured = match parts {
            [part] if part.runs.len() == 1 => {
                measurement::record(&part.whole).into_iter().collect()
            }
            _ => verdicts(parts),
        };
        self.add("measurement", "The measurement itself", measured);
        let settings = match &shown.configured[..] {
            [(_, folder)] => configuration::tables(Some(folder)),
            several => configuration::side_by_side(several),
        };
        self.add("configuration", "Configuration", settings);
    }
}

/// The figures of parts of each run, such as the stages of its load.
fn breakdown(
    title: &str,
    parts: &[Part<'_>],
    rows: impl Fn(&Stats) -> Vec<Vec<String>>,
) -> Vec<Block> {
    let tables = parts.iter().filter_map(|part| {
        let title = match parts.len() {
            1 => title.to_owned(),
            _ => format!("{title}, {}", line(&part.name)),
        };
        Block::table(&title, rows(&part.sums()), &[""; 0])
    });
    tables.collect()
}

/// How loads were changed in mid-run.
fn changes(parts: &[Part<'_>]) -> Vec<Block> {
    let changes = parts.iter().flat_map(|part| {
        let lines = control_lines(&part.sums().control_changes).into_iter();
        lines.map(|text| Block::text(Tone::Plain, text))
    });
    changes.collect()
}

/// How a server came back from a spike.
fn recovered(parts: &[Part<'_>]) -> Vec<Block> {
    breakdown("Recovery", parts, recovery::recovery_rows)
}

/// What is found of each part, a text for each line.
fn said(parts: &[Part<'_>], lines: impl Fn(&Stats) -> Vec<String>) -> Vec<Block> {
    let lines = parts.iter().flat_map(|part| lines(&part.sums()));
    lines.map(|text| Block::text(Tone::Plain, text)).collect()
}

/// What became of conversations, and the figures of each turn.
fn sessions(parts: &[Part<'_>]) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut with_turns: Vec<(String, Stats)> = Vec::new();
    for part in parts {
        let stats = part.sums();
        let Some(said) = summary::sessions(&stats) else {
            continue;
        };
        let (title, said) = match parts.len() {
            1 => ("Turns".to_owned(), said),
            _ => {
                let name = line(&part.name);
                (format!("Turns, {name}"), format!("{name}: {said}"))
            }
        };
        blocks.push(Block::text(Tone::Plain, said));
        blocks.extend(Block::table(&title, parts::turn_rows(&stats), &[""; 0]));
        with_turns.push((line(&part.name), stats));
    }
    let with_turns = with_turns.iter();
    let with_turns: Vec<_> = with_turns.map(|(name, stats)| (&**name, stats)).collect();
    blocks.extend(by_turn(&with_turns));
    blocks
}

/// What charts leave out or put together.
fn said_of_charts(shown: &Shown<'_>) -> Vec<Block> {
    let mut said = Vec::new();
    if shown.drawn.len() < shown.parts.len() {
        let text = format!(
            "Charts show {} of {}: the lowest, the middle and the highest level.",
            shown.drawn.len(),
            shown.parts.len()
        );
        said.push(Block::text(Tone::Plain, text));
    }
    if shown.parts.iter().any(|part| part.runs.len() > 1) {
        let text = "Each variant's blocks are one series.";
        said.push(Block::text(Tone::Plain, text));
    }
    said
}

/// Names with values, a column for each part: rows in the order in which they are first met.
pub(super) fn side_by_side(
    title: &str,
    what: &str,
    parts: &[Part<'_>],
    rows_of: impl Fn(&Part<'_>) -> Vec<[String; 2]>,
) -> Option<Block> {
    let columns: Vec<Vec<[String; 2]>> = parts.iter().map(rows_of).collect();
    let mut names: Vec<&String> = Vec::new();
    for [name, _] in columns.iter().flatten() {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let titles = match parts {
        [_] => vec!["value".to_owned()],
        _ => parts.iter().map(|part| part.name.clone()).collect(),
    };
    let mut rows = vec![
        std::iter::once(what.to_owned())
            .chain(titles)
            .collect::<Vec<_>>(),
    ];
    rows.extend(names.into_iter().map(|name| {
        let cells = columns.iter().map(|column| {
            let found = column.iter().find(|[known, _]| known == name);
            found.map_or_else(|| "—".to_owned(), |[_, value]| value.clone())
        });
        std::iter::once(name.clone()).chain(cells).collect()
    }));
    Block::table(title, rows, &[""; 0])
}

fn slos(parts: &[Part<'_>]) -> Vec<Block> {
    let rows = |part: &Part<'_>| slo::slo_rows(&part.whole);
    side_by_side("SLOs", "SLO", parts, rows)
        .into_iter()
        .collect()
}

/// Latencies of one run with llmeter's own error beside each, and their intervals.
fn latency_tables(parts: &[Part<'_>]) -> Vec<Block> {
    let [part] = parts else {
        return Vec::new();
    };
    let stats = part.whole.stats();
    let mut known = summary::known_latencies(&part.whole, &stats);
    known.retain(|(label, _)| !path::is_of_path(label));
    let mut rows = summary::latency_rows(&known);
    let notes = summary::latency_notes(&rows);
    let errors: Vec<_> = known
        .iter()
        .map(|(label, _)| measurement::own_error(&stats, label))
        .collect();
    if errors.iter().any(Option::is_some) {
        let title = "may be wrong by over 1 ms".to_owned();
        // Dashes say that there are too few values.
        let cells = errors.into_iter().map(Option::unwrap_or_default);
        for (row, cell) in rows.iter_mut().zip(std::iter::once(title).chain(cells)) {
            row.push(cell);
        }
    }
    let intervals = intervals::latency_rows(&known);
    let tables = [
        Block::table("Latencies", rows, &notes),
        Block::table("Their 95 % intervals", intervals, &[""; 0]),
    ];
    tables.into_iter().flatten().collect()
}

/// Some requests of each part; of many parts, of the first and the last.
fn waterfalls(parts: &[&Part<'_>]) -> Vec<Block> {
    const MOST: usize = 4;
    match parts {
        [one] => charts::waterfall(&one.whole, None).into_iter().collect(),
        _ => {
            let is_shown = |at: usize| parts.len() <= MOST || at == 0 || at + 1 == parts.len();
            let shown = parts.iter().enumerate().filter(|(at, _)| is_shown(*at));
            let charts = shown.filter_map(|(at, part)| {
                charts::waterfall(&part.whole, Some((at + 1, &part.name)))
            });
            charts.collect()
        }
    }
}

fn rates(parts: &[Part<'_>]) -> Vec<Block> {
    let rows = |part: &Part<'_>| rates::rate_rows(&part.whole.stats());
    let table = side_by_side("Throughput and tokens", "figure", parts, rows);
    let sources = said_of_each(parts, |part| rates::token_source_lines(&part.whole.stats()));
    let sources = sources
        .into_iter()
        .map(|text| Block::text(Tone::Note, text));
    table.into_iter().chain(sources).collect()
}

/// What a run cost by dimensions, or what several did, a column each.
fn costs(parts: &[Part<'_>]) -> Vec<Block> {
    if let [part] = parts
        && part.runs.len() == 1
    {
        let (rows, notes) = cost::cost_rows(&part.whole.stats());
        return match Block::table("Cost", rows, &notes) {
            Some(table) => vec![table],
            None => notes
                .iter()
                .map(|note| Block::text(Tone::Plain, note))
                .collect(),
        };
    }
    let rows = |part: &Part<'_>| {
        let stats = part.sums();
        let row = |name: &str, cost: f64| [line(name), price(cost)];
        let mut rows: Vec<_> = stats
            .costs
            .iter()
            .map(|(name, cost)| row(name, *cost))
            .collect();
        if let Some(total) = stats.cost_total {
            rows.push(row("total", total));
            let requests = stats.total_requests.filter(|count| *count > 0);
            rows.extend(requests.map(|count| row("per request", total / count as f64)));
            let tokens = Some(stats.total_output_tokens).filter(|count| *count > 0);
            rows.extend(
                tokens.map(|count| row("per million output tokens", total / count as f64 * 1e6)),
            );
        }
        rows
    };
    let table = side_by_side("Cost", "cost", parts, rows);
    let notes = said_of_each(parts, |part| {
        let each = part.runs.iter();
        let notes = each.flat_map(|(_, run)| cost::cost_rows(&run.stats()).1);
        let mut notes: Vec<String> = notes.filter(|note| !note.starts_with('—')).collect();
        notes.dedup();
        notes
    });
    let notes = notes.into_iter().map(|text| Block::text(Tone::Note, text));
    table.into_iter().chain(notes).collect()
}

/// What servers said of their limits.
fn limits(parts: &[Part<'_>]) -> Vec<Block> {
    if let [part] = parts {
        let lines = summary::limit_lines(&part.sums());
        let lines = lines.iter().map(|line| Block::text(Tone::Plain, line));
        return lines.collect();
    }
    let mut rows = vec![
        ["run", "rate limits and retries"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for part in parts {
        let lines = summary::limit_lines(&part.sums());
        if !lines.is_empty() {
            rows.push(vec![part.name.clone(), lines.join("; ")]);
        }
    }
    Block::table("Rate limits and retries", rows, &[""; 0])
        .into_iter()
        .collect()
}

/// Lines about each part: once, if they are the same of all, or else with the part's name.
fn said_of_each(parts: &[Part<'_>], lines: impl Fn(&Part<'_>) -> Vec<String>) -> Vec<String> {
    let of_each: Vec<Vec<String>> = parts.iter().map(lines).collect();
    if of_each.windows(2).all(|two| two[0] == two[1]) {
        return of_each.into_iter().next().unwrap_or_default();
    }
    let named = parts.iter().zip(of_each).flat_map(|(part, lines)| {
        let lines = lines.into_iter();
        lines.map(|text| format!("{}: {text}", part.name))
    });
    named.collect()
}

/// The verdict on each run.
fn verdicts(parts: &[Part<'_>]) -> Vec<Block> {
    let runs: Vec<_> = parts.iter().flat_map(|part| &part.runs).collect();
    let titles = [
        "run",
        "verdict",
        "TTFT, TTLT may be wrong by over 1 ms",
        "ITL may be wrong by over 1 ms",
        "why",
    ];
    let mut rows = vec![titles.map(str::to_owned).to_vec()];
    // Of many runs the clean ones are no news.
    let is_clean = |run: &RunResult| run.stats().measurement_verdict.as_deref() == Some("clean");
    let clean = runs.iter().filter(|(_, run)| is_clean(run)).count();
    let is_long = runs.len() > MANY_RUNS && clean > 0;
    let said = format!(
        "{clean} of {} are clean.",
        counted(runs.len() as u64, "run")
    );
    let said = is_long.then(|| Block::text(Tone::Plain, said));
    let shown = runs.iter().filter(|(_, run)| !is_long || !is_clean(run));
    for (name, run) in shown {
        let stats = run.stats();
        let error =
            |label: &str| measurement::own_error(&stats, label).unwrap_or_else(|| "—".to_owned());
        let verdict = stats.measurement_verdict.clone();
        rows.push(vec![
            name.clone(),
            verdict.unwrap_or_else(|| "—".to_owned()),
            error("TTFT"),
            error("ITL"),
            stats.measurement_reasons.join("; "),
        ]);
    }
    let table = Block::table("Verdicts", rows, &[""; 0]);
    said.into_iter().chain(table).collect()
}

/// The figures that count most, a column for each part.
pub(super) fn key_figures(parts: &[Part<'_>]) -> Option<Table> {
    let rows = |part: &Part<'_>| -> Vec<[String; 2]> {
        let Block::KeyFigures { figures } = super::run::key_figures(&part.whole.stats()) else {
            return Vec::new();
        };
        let row = |one: super::KeyFigure| {
            let below = one
                .below
                .map_or_else(String::new, |below| format!(" ({below})"));
            [one.label, one.value + &below]
        };
        figures.into_iter().map(row).collect()
    };
    match side_by_side("Key figures", "figure", parts, rows)? {
        Block::Table(table) => Some(table),
        _ => None,
    }
}
