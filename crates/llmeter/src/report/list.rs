//! A catalog of runs and experiments: as a table, and as comma-separated values.

use std::fmt::Write;

use jiff::tz::TimeZone;

use crate::base::shown::{escaped, one_line};
use crate::catalog::{Entry, EntryKind, EntryState};
use crate::report::intervals::{MARK, legend};
use crate::report::summary::figure;
use crate::stats::Support;

/// The least width that names and models are cut to, and the most that they have.
const MIN_TEXT: usize = 12;
const MAX_TEXT: usize = 48;
const GAP: usize = 2;

/// A column of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    When,
    Kind,
    Name,
    Model,
    Load,
    TtftP50,
    TtftP99,
    OutputTps,
    VectorsPerSecond,
    Failed,
    Verdict,
}

impl Column {
    const ALL: [Self; 11] = [
        Self::When,
        Self::Kind,
        Self::Name,
        Self::Model,
        Self::Load,
        Self::TtftP50,
        Self::TtftP99,
        Self::OutputTps,
        Self::VectorsPerSecond,
        Self::Failed,
        Self::Verdict,
    ];
    /// What a narrow terminal does without, first to last.
    const DISPENSABLE: [Self; 7] = [
        Self::Kind,
        Self::VectorsPerSecond,
        Self::OutputTps,
        Self::Load,
        Self::Model,
        Self::TtftP50,
        Self::When,
    ];

    fn title(self) -> &'static str {
        match self {
            Self::When => "when",
            Self::Kind => "kind",
            Self::Name => "name",
            Self::Model => "model",
            Self::Load => "load",
            Self::TtftP50 => "TTFT p50",
            Self::TtftP99 => "TTFT p99",
            Self::OutputTps => "out tok/s",
            Self::VectorsPerSecond => "vectors/s",
            Self::Failed => "failed",
            Self::Verdict => "verdict",
        }
    }

    /// Whether it has numbers, which are aligned at the right.
    fn is_right(self) -> bool {
        matches!(
            self,
            Self::TtftP50 | Self::TtftP99 | Self::OutputTps | Self::VectorsPerSecond | Self::Failed
        )
    }

    /// Whether its cells can be cut.
    fn is_text(self) -> bool {
        matches!(self, Self::Name | Self::Model)
    }

    fn cell(self, entry: &Entry, zone: &TimeZone) -> String {
        match self {
            Self::When => entry.started.map_or_else(dash, |time| {
                time.to_zoned(zone.clone())
                    .strftime("%Y-%m-%d %H:%M")
                    .to_string()
            }),
            Self::Kind => entry.kind.to_string(),
            Self::Name => one_line(&entry.name, MAX_TEXT),
            Self::Model => entry
                .model
                .as_deref()
                .map_or_else(dash, |model| one_line(model, MAX_TEXT)),
            Self::Load => load(entry),
            Self::TtftP50 => times(entry, "time_to_first_token-p50"),
            Self::TtftP99 => times(entry, "time_to_first_token-p99"),
            Self::OutputTps => {
                let rates = entry.range("output_tps");
                // Vectors are made of no output tokens.
                let rates = rates.filter(|(_, most)| *most > 0.0 || !has_vectors(entry));
                rates.map_or_else(dash, |rates| range(rates, figure))
            }
            Self::VectorsPerSecond => {
                let rates = entry.range(VECTORS_PER_SECOND);
                rates.map_or_else(dash, |rates| range(rates, figure))
            }
            Self::Failed => failed(entry),
            Self::Verdict => verdict(entry),
        }
    }
}

fn dash() -> String {
    "—".to_owned()
}

const VECTORS_PER_SECOND: &str = "vectors_per_second";

/// What a dash in a list means.
const DASHES: &str = "— not measured, or too few values for it\n";

fn has_vectors(entry: &Entry) -> bool {
    entry.range(VECTORS_PER_SECOND).is_some()
}

/// The failed requests of an entry, and of how many.
fn failed(entry: &Entry) -> String {
    match entry.sum("failed_requests") {
        None => dash(),
        Some(0.0) => "0".to_owned(),
        Some(failed) => match entry.sum("total_requests") {
            Some(all) => format!("{}/{}", figure(failed), figure(all)),
            None => figure(failed),
        },
    }
}

/// The verdict, or, where there is more to say of it, how far the run came.
fn verdict(entry: &Entry) -> String {
    match (entry.state, entry.verdict.as_deref()) {
        (EntryState::Complete, Some(verdict)) => one_line(verdict, MIN_TEXT),
        (EntryState::Complete, None) => dash(),
        (state, _) => state.to_string(),
    }
}

/// `16 × 10`: clients, and requests of each; `16, 30 s`; the clients of a load test; how many runs.
fn load(entry: &Entry) -> String {
    let clients = entry.each_run().filter_map(|run| run.clients);
    let (least, most) = clients.fold((u64::MAX, 0), |(least, most), clients| {
        (clients.min(least), clients.max(most))
    });
    let clients = match least {
        u64::MAX => dash(),
        least if least == most => least.to_string(),
        least => format!("{least}–{most}"),
    };
    match entry.kind {
        EntryKind::LoadTest => format!("{clients}, {} levels", entry.runs.len()),
        EntryKind::Capacity => format!("{clients}, {} probes", entry.runs.len()),
        EntryKind::Ab => format!("{clients}, {} blocks", entry.runs.len()),
        EntryKind::Repeats => format!("{clients}, {} runs", entry.runs.len()),
        EntryKind::Workloads => format!("{} workloads", entry.runs.len()),
        EntryKind::Run | EntryKind::Heatmap => match (entry.requests_per_client, entry.duration) {
            (_, Some(time)) => format!("{clients}, {}", short_time(time)),
            (Some(requests), None) => format!("{clients} × {}", figure(requests as f64)),
            (None, None) => clients,
        },
    }
}

/// The times that their samples carry, with a mark where one has few values beyond it.
fn times(entry: &Entry, key: &str) -> String {
    let known = entry.each_run().filter_map(|run| {
        let time = run.figures.get(key)?;
        Some((time, run.figures.support(key))).filter(|(_, support)| *support != Support::None)
    });
    let known: Vec<_> = known.collect();
    let (low, high) = known.iter().fold(
        (f64::INFINITY, f64::NEG_INFINITY),
        |(low, high), (time, _)| (time.min(low), time.max(high)),
    );
    let is_weak = known.iter().any(|(_, support)| *support == Support::Weak);
    match (known.is_empty(), is_weak) {
        (true, _) => dash(),
        (false, true) => range((low, high), short_time) + MARK,
        (false, false) => range((low, high), short_time),
    }
}

/// One value, or both ends, the unit once if both have the same.
fn range((low, high): (f64, f64), format: fn(f64) -> String) -> String {
    let (low, high) = (format(low), format(high));
    if low == high {
        return high;
    }
    match (low.split_once(' '), high.split_once(' ')) {
        (Some((number, unit)), Some((_, other))) if unit == other => format!("{number}–{high}"),
        _ => format!("{low}–{high}"),
    }
}

/// Seconds with three significant digits.
pub(super) fn short_time(seconds: f64) -> String {
    let (value, unit) = match seconds.abs() {
        0.0 => return "0".to_owned(),
        size if size < 1e-3 => (seconds * 1e6, "µs"),
        size if size < 1.0 => (seconds * 1e3, "ms"),
        size if size < 120.0 => (seconds, "s"),
        size if size < 7200.0 => (seconds / 60.0, "min"),
        _ => (seconds / 3600.0, "h"),
    };
    let text = match value.abs() {
        size if size >= 99.95 => format!("{value:.0}"),
        size if size >= 9.995 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    };
    let text = match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => &text,
    };
    format!("{text} {unit}")
}

/// Entries as a table of at most so many columns, with times in `zone`: names and models are cut where they
/// have to be, and a narrow one does without some columns. Of an experiment figures are those of its
/// runs, from the smallest to the largest.
pub fn list_within(entries: &[&Entry], width: usize, zone: &TimeZone) -> String {
    let is_needed = |column: &Column| match column {
        Column::Kind => entries.iter().any(|entry| entry.kind != EntryKind::Run),
        Column::VectorsPerSecond => entries.iter().any(|entry| has_vectors(entry)),
        Column::OutputTps => entries.is_empty() || !entries.iter().all(|entry| has_vectors(entry)),
        _ => true,
    };
    let columns = Column::ALL.into_iter().filter(is_needed);
    columns_within(entries, columns.collect(), width, zone)
}

/// Baselines as a table: what they are of, and when that was measured.
pub fn baselines_within(entries: &[&Entry], width: usize, zone: &TimeZone) -> String {
    let columns = [Column::Name, Column::Model, Column::Load, Column::When];
    columns_within(entries, columns.to_vec(), width, zone)
}

fn columns_within(
    entries: &[&Entry],
    mut columns: Vec<Column>,
    width: usize,
    zone: &TimeZone,
) -> String {
    let mut cells: Vec<Vec<String>> = columns
        .iter()
        .map(|column| {
            let cells = entries.iter().map(|entry| column.cell(entry, zone));
            std::iter::once(column.title().to_owned())
                .chain(cells)
                .collect()
        })
        .collect();
    let mut dispensable = Column::DISPENSABLE.iter();
    let widths = loop {
        let widths = widths(&columns, &cells, width);
        let total = widths.iter().sum::<usize>() + GAP * (widths.len() - 1);
        if total <= width {
            break widths;
        }
        match dispensable.next() {
            None => break widths,
            Some(without) => {
                if let Some(at) = columns.iter().position(|column| column == without) {
                    columns.remove(at);
                    cells.remove(at);
                }
            }
        }
    };
    let mut text = String::new();
    for row in 0..=entries.len() {
        let mut line = String::new();
        for ((column, cells), width) in columns.iter().zip(&cells).zip(&widths) {
            let cell = shortened(&cells[row], *width);
            let gap = if line.is_empty() { 0 } else { GAP };
            let _ = match column.is_right() {
                true => write!(line, "{:gap$}{cell:>width$}", ""),
                false => write!(line, "{:gap$}{cell:<width$}", ""),
            };
        }
        let _ = writeln!(text, "{}", line.trim_end());
    }
    if cells.iter().flatten().any(|cell| cell == "—") {
        text.push_str(DASHES);
    }
    text.extend(legend(cells.iter().flatten()));
    text
}

/// How wide columns are, those of texts as narrow as they must be.
fn widths(columns: &[Column], cells: &[Vec<String>], width: usize) -> Vec<usize> {
    let length = |cell: &String| cell.chars().count();
    let widest = |cells: &Vec<String>| cells.iter().map(length).max().unwrap_or(0);
    let mut widths: Vec<usize> = cells.iter().map(widest).collect();
    let gaps = GAP * (widths.len() - 1);
    loop {
        let total = widths.iter().sum::<usize>() + gaps;
        let excess = total.saturating_sub(width);
        let texts = columns.iter().enumerate();
        let texts = texts.filter(|(_, column)| column.is_text());
        let longest = texts.map(|(at, _)| at).max_by_key(|at| widths[*at]);
        match longest.filter(|at| excess > 0 && widths[*at] > MIN_TEXT) {
            Some(at) => widths[at] -= 1,
            None => return widths,
        }
    }
}

/// A text of at most so many characters; of a longer one the end is kept, too.
fn shortened(text: &str, width: usize) -> String {
    let length = text.chars().count();
    if length <= width {
        return text.to_owned();
    }
    let end = width / 2;
    let beginning = width.saturating_sub(end + 1);
    let start: String = text.chars().take(beginning).collect();
    let rest: String = text.chars().skip(length - end).collect();
    format!("{start}…{rest}")
}

/// Columns of the comma-separated form: texts, and figures by their keys in `stats.json`.
const TEXTS: [&str; 11] = [
    "name",
    "path",
    "experiment",
    "kind",
    "state",
    "started",
    "model",
    "endpoint",
    "clients",
    "requests_per_client",
    "verdict",
];
const FIGURES: [&str; 14] = [
    "total_requests",
    "failed_requests",
    "total_test_time",
    "time_to_first_token-p50",
    "time_to_first_token-p90",
    "time_to_first_token-p99",
    "time_per_output_token-p50",
    "time_to_last_token-p50",
    "time_to_last_token-p90",
    "time_to_last_token-p99",
    "requests_per_minute",
    "output_tps",
    "cost_total",
    VECTORS_PER_SECOND,
];

/// The figures that lists have, by their keys in `stats.json`.
pub fn is_listed(key: &str) -> bool {
    FIGURES.contains(&key)
}

/// Runs as comma-separated values with a line of titles (RFC 4180); those of experiments have a line each.
/// Nothing in it acts on a terminal.
pub fn list_csv(entries: &[&Entry]) -> String {
    let titles = TEXTS.iter().chain(&FIGURES);
    let mut text = titles.copied().collect::<Vec<_>>().join(",") + "\r\n";
    for entry in entries {
        for run in entry.each_run() {
            let experiment = (!entry.runs.is_empty()).then(|| entry.name.clone());
            let kind = match &experiment {
                Some(_) => entry.kind,
                None => run.kind,
            };
            let count = |count: Option<u64>| count.map(|count| count.to_string());
            let texts = [
                Some(run.name.clone()),
                Some(run.location.to_string()),
                experiment,
                Some(kind.to_string()),
                Some(run.state.to_string()),
                run.started.map(|time| format!("{time:.6}")),
                run.model.clone(),
                run.endpoint.clone(),
                count(run.clients),
                count(run.requests_per_client),
                run.verdict.clone(),
            ];
            let figures = FIGURES.map(|key| run.figures.get(key).map(|value| value.to_string()));
            let cells = texts.into_iter().chain(figures);
            let cells: Vec<_> = cells
                .map(|cell| quoted(&cell.unwrap_or_default()))
                .collect();
            text.push_str(&cells.join(","));
            text.push_str("\r\n");
        }
    }
    text
}

fn quoted(cell: &str) -> String {
    let cell = escaped(cell);
    match cell.contains([',', '"']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::catalog::Catalog;
    use crate::catalog::Order;

    fn catalog() -> (tempfile::TempDir, Catalog) {
        let folder = tempfile::tempdir().unwrap();
        let run = |name: &str, clients: u64, ttft: f64, verdict: &str| {
            let place = folder.path().join(name);
            std::fs::create_dir_all(&place).unwrap();
            let summary = json!({
                "clients": clients, "n_requests": 10, "total_requests": clients * 10,
                "model_id": "a-model, with \"quotes\"\u{1b}[2J",
                "start_time": "2026-11-28T10:00:00Z",
            });
            let stats = json!({
                "time_to_first_token-p50": ttft, "failed_requests": 2, "output_tps": 1234.5,
                "measurement_verdict": verdict,
            });
            std::fs::write(place.join("summary.json"), summary.to_string()).unwrap();
            std::fs::write(place.join("stats.json"), stats.to_string()).unwrap();
        };
        run("first", 3, 0.1234, "clean");
        run("test/00001-clients", 1, 0.05, "clean");
        run("test/00008-clients", 8, 0.2, "degraded");
        let killed = folder
            .path()
            .join("a-rather-long-name-of-a-run-that-was-killed");
        std::fs::create_dir(&killed).unwrap();
        std::fs::write(killed.join("responses.jsonl"), "").unwrap();
        let catalog = Catalog::scan(&folder.path().into()).unwrap();
        (folder, catalog)
    }

    fn shown(width: usize) -> String {
        let (_place, catalog) = catalog();
        let by_name = Order::by(crate::catalog::SortKey::Name);
        let entries = catalog.chosen(&crate::catalog::Filter::default(), &by_name);
        list_within(&entries, width, &TimeZone::UTC)
    }

    #[test]
    fn a_table_has_runs_and_experiments() {
        let expected = "\
when              kind       name                                         model                             load           TTFT p50  TTFT p99    out tok/s  failed  verdict
—                 run        a-rather-long-name-of-a-run-that-was-killed  —                                 —                     —         —            —       —  broken
2026-11-28 10:00  run        first                                        a-model, with \"quotes\"\\x1b[2J  3 × 10           123 ms         —        1,234    2/30  clean
2026-11-28 10:00  load test  test                                         a-model, with \"quotes\"\\x1b[2J  1–8, 2 levels  50–200 ms*       —        1,234    4/90  degraded
— not measured, or too few values for it
* fewer than 5 values lie beyond it
";
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        assert_eq!(words(&shown(usize::MAX)), words(expected));
    }

    #[test]
    fn a_table_fits_its_width() {
        for width in [60, 80, 100, 120, 200] {
            let text = shown(width);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest <= Some(width), "{width}:\n{text}");
            assert!(
                text.contains("first") && text.contains("degraded"),
                "{text}"
            );
        }
        assert!(shown(100).contains('…'));
    }

    #[test]
    fn each_run_is_a_line_of_values() {
        let (_place, catalog) = catalog();
        let entries: Vec<_> = catalog.entries.iter().collect();
        let text = list_csv(&entries);
        assert_eq!(text.lines().count(), 5);
        assert!(
            text.contains(",\"a-model, with \"\"quotes\"\"\\x1b[2J\","),
            "{text}"
        );
        assert!(
            text.contains(",test,load test,complete,2026-11-28T10:00:00.000000Z,"),
            "{text}"
        );
    }

    #[test]
    fn times_have_three_digits() {
        for (seconds, text) in [
            (0.0, "0"),
            (0.000_012_34, "12.3 µs"),
            (0.999_96, "1000 ms"),
            (0.05, "50 ms"),
            (0.1234, "123 ms"),
            (1.5, "1.5 s"),
            (600.0, "10 min"),
            (86_400.0, "24 h"),
        ] {
            assert_eq!(short_time(seconds), text);
        }
    }
}
