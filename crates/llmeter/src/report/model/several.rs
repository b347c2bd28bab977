//! The report of several results of a kind: the same charts overlaid, with the comparison.

use super::experiments::{about, level_charts, levels};
use super::sections::{Part, Shown, key_figures};
use super::{Block, Report, Table, Tone, charts, line};
use crate::RunResult;
use crate::experiment::{Comparison, LoadTestResult, Pair, of_clients};
use crate::report::comparison;
use crate::report::figure;

impl Report {
    /// The report of several runs under names, with what their comparison says: of all others with the
    /// first.
    pub fn of_runs(runs: &[(String, RunResult)], compared: Option<&Comparison>) -> Self {
        let names: Vec<&str> = runs.iter().map(|(name, _)| name.as_str()).collect();
        let mut report = Self::new(&names.join(", "), about(runs.iter().map(|(_, run)| run)));
        let mut first = Vec::new();
        for (name, run) in runs {
            let warnings = run.warnings.iter();
            first
                .extend(warnings.map(|text| Block::text(Tone::Warning, format!("{name}: {text}"))));
        }
        first.extend(compared.into_iter().flat_map(conclusion));
        let parts: Vec<Part<'_>> = runs.iter().map(|(name, run)| Part::of(name, run)).collect();
        first.extend(key_figures(&parts).map(Block::Table));
        report.add("summary", "Summary", first);
        report.add(
            "comparison",
            "Comparison",
            compared.map(pairs).unwrap_or_default(),
        );
        let shown = Shown::all(&parts).with_settings_of(parts.iter());
        report.add_details(&shown);
        report
    }

    /// The report of several load tests, with what their comparison says: of all others with the first,
    /// level by level.
    pub fn of_load_tests(tests: &[LoadTestResult], compared: Option<&Comparison>) -> Self {
        let name = |test: &LoadTestResult| test.test_name.clone().unwrap_or_default();
        let names: Vec<String> = tests.iter().map(name).collect();
        let runs = tests.iter().flat_map(|test| test.results.values());
        let mut report = Self::new(&format!("Load tests {}", names.join(", ")), about(runs));
        let mut first: Vec<Block> = compared.into_iter().flat_map(conclusion).collect();
        let tables: Vec<Table> = tests.iter().filter_map(levels).collect();
        first.extend(tables.iter().cloned().map(Block::Table));
        report.add("summary", "Summary", first);
        let all: Vec<_> = tests.iter().collect();
        report.add("curve", "Load", level_charts(&all, tables.first()));
        report.add(
            "comparison",
            "Comparison",
            compared.map(pairs).unwrap_or_default(),
        );
        let parts: Vec<Part<'_>> = tests
            .iter()
            .flat_map(|test| {
                let levels = test.results.iter();
                levels.map(move |(clients, run)| {
                    Part::of(&format!("{}, {}", name(test), of_clients(*clients)), run)
                })
            })
            .collect();
        // The settings of a test's levels differ by the number of clients alone.
        let mut first_levels = Vec::new();
        let mut at = 0;
        for test in tests.iter().filter(|test| !test.results.is_empty()) {
            first_levels.push(at);
            at += test.results.len();
        }
        let firsts = first_levels.iter().map(|at| &parts[*at]);
        let shown = Shown::all(&parts).with_settings_of(firsts);
        report.add_details(&Shown {
            drawn: drawn_levels(tests),
            ..shown
        });
        report
    }
}

/// The most series in one chart that are still told apart.
const MOST_SERIES: usize = 8;

/// The levels that charts show, counted through all tests: all, or where they are too many the lowest, the middle
/// and the highest of those that all tests have.
fn drawn_levels(tests: &[LoadTestResult]) -> Vec<usize> {
    let all = || {
        let levels = tests.iter().flat_map(|test| test.results.keys().copied());
        levels.enumerate()
    };
    if all().count() <= MOST_SERIES {
        return all().map(|(at, _)| at).collect();
    }
    let is_common = |level: &usize| tests.iter().all(|test| test.results.contains_key(level));
    let of_first = tests
        .first()
        .into_iter()
        .flat_map(|test| test.results.keys().copied());
    let common: Vec<usize> = of_first.filter(is_common).collect();
    let Some(last) = common.len().checked_sub(1) else {
        return all().map(|(at, _)| at).take(MOST_SERIES).collect();
    };
    let wanted = [common[0], common[last / 2], common[last]];
    all()
        .filter(|(_, level)| wanted.contains(level))
        .map(|(at, _)| at)
        .collect()
}

fn conclusion(compared: &Comparison) -> Vec<Block> {
    let concluded = comparison::conclusion(compared, line);
    let mut blocks: Vec<Block> = Block::lines(Tone::Plain, &concluded).collect();
    let unlike = compared.pairs.iter().flat_map(|pair| {
        pair.unlike.iter().map(|unlike| {
            Block::text(
                Tone::Warning,
                format!("{} was not measured alike: {unlike}", pair.new),
            )
        })
    });
    blocks.extend(unlike);
    let unmatched = compared.unmatched.iter();
    blocks.extend(unmatched.map(|what| Block::text(Tone::Note, format!("not compared: {what}"))));
    blocks
}

/// A chart and a table for each pair.
fn pairs(compared: &Comparison) -> Vec<Block> {
    let mut blocks = Vec::new();
    for (at, pair) in compared.pairs.iter().enumerate() {
        let table = table(compared, pair);
        let mut figure = figure::comparison_intervals(pair);
        let title = comparison::title(compared, pair);
        figure.retitle(&title);
        let about = "The change of each figure with its 95 % interval. Verdicts are corrected for the number of figures: an interval beside 0 alone is none.";
        let id = format!("changes-{}", at + 1);
        blocks.extend(charts::chart(&id, about, figure, table.clone()));
        blocks.extend(table.map(Block::Table));
    }
    blocks
}

fn table(compared: &Comparison, pair: &Pair) -> Option<Table> {
    let mut rows = vec![comparison::TITLES.map(str::to_owned).to_vec()];
    rows.extend(comparison::shown(pair).map(|one| comparison::row(pair, one).to_vec()));
    let notes = [
        comparison::legend(comparison::shown(pair)),
        comparison::dashes(comparison::shown(pair).map(|one| comparison::row(pair, one))),
        comparison::method(compared),
    ];
    let notes = notes.into_iter().filter(|note| !note.is_empty());
    Table::of(
        &comparison::title(compared, pair),
        rows,
        &notes.collect::<Vec<_>>(),
    )
}
