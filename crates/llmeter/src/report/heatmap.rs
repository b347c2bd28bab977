//! A heatmap as shaded tables.

use std::fmt::Write;
use std::iter;
use std::ops::Range;

use crate::experiment::{CellLatency, HeatmapCell, HeatmapResult, HeatmapTable};
use crate::report::intervals::{MARK, MARKED};
use crate::report::summary::{counted, duration, or_dash, percent};
use crate::report::{escaped, slo};
use crate::stats::Support;

/// How a cell of a share from 0 (the lowest value of its table) to 1 is coloured.
pub type Paint<'a> = &'a dyn Fn(&str, f64) -> String;

/// Shades without colours, from the lowest values to the highest.
const SHADES: [char; 5] = [' ', '░', '▒', '▓', '█'];
/// Columns between cells.
const GAP: usize = 2;
/// Bins of measured lengths along each side.
pub(super) const BINS: usize = 10;
/// The factor above the lowest value that has the darkest shade, if no value is higher.
const MIN_FACTOR: f64 = 1.25;

pub(super) type Latency = fn(&HeatmapCell) -> Option<CellLatency>;

/// The latencies that a table has values of.
pub(super) fn latencies(table: &HeatmapTable) -> impl Iterator<Item = (&'static str, Latency)> {
    let latencies: [(&str, Latency); 3] = [
        ("TTFT", |cell| cell.ttft),
        ("TPOT", |cell| cell.tpot),
        ("TTLT", |cell| cell.ttlt),
    ];
    let cells = table.cells.iter().flatten();
    latencies
        .into_iter()
        .filter(move |(_, latency)| cells.clone().any(|cell| latency(cell).is_some()))
}

/// Medians of TTFT, TPOT and TTLT by asked and by measured lengths, and what is missing.
pub fn heatmap(heatmap: &HeatmapResult) -> String {
    heatmap_within(heatmap, usize::MAX, None)
}

/// [`heatmap`] in at most so many columns, as far as that can be. With `paint` cells are coloured, else
/// they have a shade before their value.
pub fn heatmap_within(heatmap: &HeatmapResult, width: usize, paint: Option<Paint>) -> String {
    let mut text = String::new();
    let nominal = heatmap.nominal();
    let measured = heatmap.measured(BINS, BINS);
    let tables = [("asked for", &nominal), ("counted", &filled(measured))];
    for (what, table) in tables {
        let _ = writeln!(
            text,
            "Medians by tokens that were {what}: input downwards, output to the right."
        );
        for (name, latency) in latencies(table) {
            text.push('\n');
            shaded(&mut text, name, table, latency, width, paint);
            if let Some(rows) = interval_rows(name, table, latency) {
                text.push('\n');
                crate::report::table::table(&mut text, &rows, width);
            }
        }
        if let Some(rows) = count_rows(table) {
            text.push('\n');
            crate::report::table::table(&mut text, &rows, width);
        }
        if let Some(rows) = goodput_rows(table) {
            text.push('\n');
            crate::report::table::table(&mut text, &rows, width);
        }
        text.push('\n');
    }
    if let Some(note) = support_note(&nominal) {
        text.push_str(note);
    }
    for [slo, became] in slo::slo_rows(&heatmap.result) {
        let _ = writeln!(text, "{}: {became}.", escaped(&slo));
    }
    notes(&mut text, heatmap, &nominal);
    text
}

/// The share of each cell's requests that meet all SLOs of single requests, titles first; `None` without
/// such SLOs.
pub(super) fn goodput_rows(table: &HeatmapTable) -> Option<Vec<Vec<String>>> {
    let mut cells = table.cells.iter().flatten();
    cells.find(|cell| cell.goodput_rate.is_some())?;
    let share = |cell: &HeatmapCell| or_dash(cell.goodput_rate, percent);
    Some(rows("goodput", table, share))
}

/// The intervals of the medians, titles first; `None` where no cell has one.
pub(super) fn interval_rows(
    name: &str,
    table: &HeatmapTable,
    latency: Latency,
) -> Option<Vec<Vec<String>>> {
    let interval = |cell: &HeatmapCell| latency(cell)?.interval;
    let mut cells = table.cells.iter().flatten();
    cells.find(|cell| interval(cell).is_some())?;
    let of = |cell: &HeatmapCell| {
        let ends = interval(cell).map(|one| [one.low, one.high].map(duration));
        ends.map_or_else(|| "—".to_owned(), |ends| ends.join(" – "))
    };
    Some(rows(&format!("{name} 95 %"), table, of))
}

/// The successful requests of each cell, titles first; `None` where all cells have as many.
pub(super) fn count_rows(table: &HeatmapTable) -> Option<Vec<Vec<String>>> {
    let count = |cell: &HeatmapCell| cell.requests - cell.failures;
    let mut cells = table.cells.iter().flatten().map(count);
    let first = cells.next()?;
    cells.find(|count| *count != first)?;
    Some(rows("requests", table, |cell| count(cell).to_string()))
}

/// A row for each of the table's, titles first.
fn rows(
    name: &str,
    table: &HeatmapTable,
    cell: impl Fn(&HeatmapCell) -> String,
) -> Vec<Vec<String>> {
    let titles = iter::once(name.to_owned()).chain(table.columns.iter().map(label));
    let mut rows: Vec<Vec<String>> = vec![titles.collect()];
    for (bounds, cells) in table.rows.iter().zip(&table.cells) {
        let cells = cells.iter().map(&cell);
        rows.push(iter::once(label(bounds)).chain(cells).collect());
    }
    rows
}

/// What there is behind a median of few values: nothing where all are, which is said once.
pub(super) fn mark(table: &HeatmapTable, one: CellLatency) -> &'static str {
    match one.support() == Support::Full || is_all_weak(table) {
        true => "",
        false => MARK,
    }
}

fn all(table: &HeatmapTable) -> impl Iterator<Item = CellLatency> {
    let cells = table.cells.iter().flatten();
    cells.flat_map(|cell| [cell.ttft, cell.tpot, cell.ttlt].into_iter().flatten())
}

/// Whether no cell has a median with five values on either side.
fn is_all_weak(table: &HeatmapTable) -> bool {
    all(table).all(|one| one.support() != Support::Full)
}

/// What is to be said of medians of few values, if there are some.
pub(super) fn support_note(table: &HeatmapTable) -> Option<&'static str> {
    let most = all(table).map(|one| one.count).max()?;
    match is_all_weak(table) {
        true if most == 1 => Some("Each cell has one value, which is no median.\n"),
        true => Some("Each cell has fewer than 10 values: fewer than 5 lie beyond its median.\n"),
        false if all(table).any(|one| one.support() != Support::Full) => Some(MARKED),
        false => None,
    }
}

fn notes(text: &mut String, heatmap: &HeatmapResult, nominal: &HeatmapTable) {
    let result = &heatmap.result;
    let planned = heatmap.grid.requests_per_combination;
    let _ = writeln!(
        text,
        "{}, {} of each combination.",
        counted(result.responses.len() as u64, "request"),
        planned
    );
    let list = |is_listed: &dyn Fn(&HeatmapCell) -> Option<u64>| {
        let mut cells = Vec::new();
        for (row, bounds) in nominal.cells.iter().zip(&nominal.rows) {
            for (cell, column) in row.iter().zip(&nominal.columns) {
                if let Some(count) = is_listed(cell) {
                    cells.push(format!("{}×{} ({count})", bounds.start, column.start));
                }
            }
        }
        cells.join(", ")
    };
    let failed = list(&|cell| Some(cell.failures).filter(|failures| *failures > 0));
    if !failed.is_empty() {
        let _ = writeln!(text, "Failed, by input×output: {failed}.");
    }
    let missing = list(&|cell| Some(planned.saturating_sub(cell.requests)).filter(|n| *n > 0));
    if !missing.is_empty() {
        let _ = writeln!(text, "Not measured, by input×output: {missing}.");
    }
    let stats = result.stats();
    if let Some(verdict) = &stats.measurement_verdict {
        let _ = writeln!(text, "measurement: {}", escaped(verdict));
    }
    for reason in &stats.measurement_reasons {
        let _ = writeln!(text, "  {}", escaped(reason));
    }
}

/// A table without the rows and columns that have nothing.
pub(super) fn filled(table: HeatmapTable) -> HeatmapTable {
    let has_any = |cell: &HeatmapCell| cell.requests > 0;
    let is_row: Vec<bool> = table
        .cells
        .iter()
        .map(|row| row.iter().any(has_any))
        .collect();
    let is_column: Vec<bool> = (0..table.columns.len())
        .map(|column| table.cells.iter().any(|row| has_any(&row[column])))
        .collect();
    HeatmapTable {
        rows: kept(table.rows, &is_row),
        columns: kept(table.columns, &is_column),
        cells: kept(table.cells, &is_row)
            .into_iter()
            .map(|row| kept(row, &is_column))
            .collect(),
    }
}

fn kept<T>(items: Vec<T>, is_kept: &[bool]) -> Vec<T> {
    let items = items.into_iter().zip(is_kept);
    items
        .filter(|(_, is_kept)| **is_kept)
        .map(|(item, _)| item)
        .collect()
}

/// One latency; columns that do not fit side by side are below.
fn shaded(
    text: &mut String,
    name: &str,
    table: &HeatmapTable,
    latency: Latency,
    width: usize,
    paint: Option<Paint>,
) {
    let length = |text: &str| text.chars().count();
    let values = table.cells.iter().flatten().filter_map(latency);
    let values = values.map(|one| one.median);
    let (min, max) = values.fold((f64::INFINITY, 0.0_f64), |(min, max), value| {
        (min.min(value), max.max(value))
    });
    // By factors: latencies span orders of magnitude.
    let share = |value: f64| match max > min && min > 0.0 {
        true => ((value / min).ln() / (max / min).max(MIN_FACTOR).ln()).clamp(0.0, 1.0),
        false => 0.0,
    };
    let cell = |(value, mark): (Option<f64>, &str)| match (value, paint) {
        (None, _) => "—".to_owned(),
        (Some(value), Some(_)) => duration(value) + mark,
        (Some(value), None) => {
            let shade = (share(value) * SHADES.len() as f64) as usize;
            format!(
                "{} {}{mark}",
                SHADES[shade.min(SHADES.len() - 1)],
                duration(value)
            )
        }
    };
    let labels: Vec<String> = table.rows.iter().map(label).collect();
    let label_width = labels
        .iter()
        .map(|label| length(label))
        .max()
        .unwrap_or(0)
        .max(length(name));
    type Column<'a> = (String, Vec<(Option<f64>, &'a str)>);
    let columns: Vec<Column<'_>> = (0..table.columns.len())
        .map(|column| {
            let cells = table.cells.iter().map(|row| &row[column]);
            let values = cells.map(|cell| match latency(cell) {
                Some(one) => (Some(one.median), mark(table, one)),
                None => (None, ""),
            });
            (label(&table.columns[column]), values.collect())
        })
        .collect();
    let cell_width = |(title, values): &Column<'_>| {
        let cells = values.iter().map(|value| length(&cell(*value)));
        cells.max().unwrap_or(0).max(length(title))
    };
    let mut rest = columns.as_slice();
    while !rest.is_empty() {
        let mut taken = label_width;
        let fitting = rest.iter().take_while(|column| {
            taken += GAP + cell_width(column);
            taken <= width
        });
        let (now, later) = rest.split_at(fitting.count().max(1));
        rest = later;
        let _ = write!(text, "{name:<label_width$}");
        for column in now {
            let _ = write!(
                text,
                "{:GAP$}{:>wide$}",
                "",
                column.0,
                wide = cell_width(column)
            );
        }
        text.push('\n');
        for (row, label) in labels.iter().enumerate() {
            let _ = write!(text, "{label:>label_width$}");
            for column in now {
                let value = column.1[row];
                let padded = format!("{:>wide$}", cell(value), wide = cell_width(column));
                let painted = match (value.0, paint) {
                    (Some(value), Some(paint)) => paint(&padded, share(value)),
                    _ => padded,
                };
                let _ = write!(text, "{:GAP$}{painted}", "");
            }
            text.push('\n');
        }
    }
}

/// `64`, or `60–69`.
pub(super) fn label(bounds: &Range<u64>) -> String {
    match bounds.end - bounds.start {
        1 => bounds.start.to_string(),
        _ => format!("{}–{}", bounds.start, bounds.end - 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> HeatmapTable {
        let cell = |ttft: Option<f64>| HeatmapCell {
            requests: 1,
            ttft: ttft.map(|median| CellLatency {
                median,
                count: 1,
                interval: None,
            }),
            ..HeatmapCell::default()
        };
        HeatmapTable {
            rows: vec![16..17, 64..100],
            columns: vec![8..9, 32..33],
            cells: vec![
                vec![cell(Some(0.01)), cell(Some(0.1))],
                vec![cell(None), cell(Some(1.0))],
            ],
        }
    }

    fn shown(width: usize, paint: Option<Paint>) -> String {
        let mut text = String::new();
        shaded(&mut text, "TTFT", &table(), |cell| cell.ttft, width, paint);
        text
    }

    #[test]
    fn values_are_shaded_by_factors() {
        let wide = "TTFT           8          32\n  \
                    16    10.00 ms  ▒ 100.0 ms\n\
                    64–99           —    █ 1.00 s\n";
        let squeezed = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed(&shown(usize::MAX, None)), squeezed(wide));
        let narrow = shown(20, None);
        assert!(
            narrow.lines().all(|line| line.chars().count() <= 20),
            "{narrow}"
        );
        assert_eq!(narrow.matches("TTFT").count(), 2);
    }

    #[test]
    fn paint_gets_whole_cells_and_their_share() {
        let painted = shown(
            usize::MAX,
            Some(&|cell, share| format!("<{cell}|{share:.1}>")),
        );
        for part in ["<10.00 ms|0.0>", "<100.0 ms|0.5>", "|1.0>"] {
            assert!(painted.contains(part), "{part}: {painted}");
        }
        assert!(!painted.contains('█'));
    }
}
