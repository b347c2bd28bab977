//! `llmeter heatmap`.

use anyhow::Result;
use console::Style;
use llmeter::experiment::{HeatmapCell, HeatmapResult, HeatmapTable, LatencyHeatmap};
use llmeter::payload::PromptSource;
use llmeter::stats::{Percentile, Support};
use llmeter::storage::files;
use llmeter::{Error, Interrupt, report};
use serde_json::{Map, Value, json};

use super::{failure, gate, measured, run};
use crate::args::{HeatmapArguments, each_once};
use crate::exit::{Exit, UsageError};
use crate::{output, progress, settings, signals};

/// Colours from the lowest latency to the highest, of the 256 of a terminal, each with the colour of the text
/// upon it.
const COLOURS: [(u8, u8); 7] = [
    (22, 15),
    (28, 15),
    (70, 16),
    (148, 16),
    (220, 16),
    (208, 16),
    (160, 15),
];

pub(crate) fn heatmap(arguments: &HeatmapArguments) -> Result<Exit> {
    each_once("--input-lengths", &arguments.input_lengths)?;
    each_once("--output-lengths", &arguments.output_lengths)?;
    let of_run = arguments.of_run();
    let given = settings::with_file(&arguments.flags, of_run.config.as_deref())?;
    let settings = given.settings.clone();
    let is_on = |switch| switch == Some(true);
    let (quiet, json) = (is_on(settings.quiet), is_on(settings.json));
    let strict = is_on(settings.strict);
    let fail_if = settings.fail_if.clone().unwrap_or_default();
    let api = settings::api(&settings)?;
    let config = settings::config_without_payloads(&of_run, &given)?;
    let source = source(arguments)?;
    let Some(config) = run::agreed(config, &of_run, &given)? else {
        return Ok(Exit::CouldNotRun);
    };
    let key = settings::key_variable(&*config.endpoint, settings.api_key_env.as_deref());
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), quiet)?;
    // The first one says what is wrong with all.
    settings::payload_of(&settings, api, "text", 1)?;
    let mut heatmap = LatencyHeatmap::new(
        config,
        arguments.input_lengths.iter().copied(),
        arguments.output_lengths.iter().copied(),
    )
    .requests_per_combination(arguments.requests_per_combination)
    .source(source)
    .create_payload(move |text, max_tokens| {
        let made = settings::payload_of(&settings, api, text, max_tokens);
        made.map_err(|reason| match reason.downcast::<Error>() {
            Ok(error) => error,
            Err(reason) => Error::refused("payload", reason),
        })
    })
    .interrupted_by(interrupt.clone());
    if let Some(display) = progress::display(quiet, "heatmap") {
        heatmap = heatmap.observe(display);
    }
    let done = heatmap.run_blocking();
    // Ends the display.
    drop(heatmap);
    let Some(done) = measured(done, &interrupt)? else {
        return Ok(Exit::Interrupted);
    };
    print(&done, json)?;
    super::say_saved(done.result.summary.output_path.as_ref(), json)?;
    crate::mlflow::tell(&done.result);
    if !done.result.unwritten.is_empty() {
        return Ok(Exit::NotSaved);
    }
    let exit = run::exit_of(&done.result, strict);
    if exit == Exit::AllFailed {
        let reason = failure::all_failed(&done.result, key.as_ref());
        output::note(&format!("error: {reason}"));
    }
    Ok(gate::over(exit, gate::of_run(&fail_if, &done.result)))
}

fn source(arguments: &HeatmapArguments) -> Result<PromptSource> {
    let Some(file) = &arguments.source_file else {
        return Ok(PromptSource::built_in());
    };
    let shown = file.display();
    let text = files::read_text(file)
        .map_err(|reason| UsageError(format!("--source-file: cannot read {shown}: {reason}")))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
    PromptSource::new(text).map_err(|_| {
        UsageError(format!("--source-file {shown}: expected a text with words")).into()
    })
}

/// The tables, or all cells as JSON.
pub(super) fn print(done: &HeatmapResult, is_json: bool) -> Result<()> {
    output::warnings(&done.result);
    if is_json {
        let object = json!({
            "requests_per_combination": done.grid.requests_per_combination,
            "missing": done.missing(),
            "cells": cells(&done.nominal()),
            "stats": done.result.stats_map(),
        });
        return output::json_text(&serde_json::to_string_pretty(&object)?);
    }
    // Nothing in the tables is from elsewhere but the verdict, which is escaped.
    let width = output::width();
    if console::colors_enabled() {
        output::table(&report::heatmap_within(done, width, Some(&painted)))?;
    } else {
        output::table(&report::heatmap_within(done, width, None))?;
    }
    Ok(())
}

fn cells(table: &HeatmapTable) -> Value {
    let rows = table.rows.iter().zip(&table.cells);
    let cells = rows.flat_map(|(row, cells)| {
        let columns = table.columns.iter().zip(cells);
        columns.map(move |(column, cell)| object(row.start, column.start, cell))
    });
    cells.collect()
}

fn object(input: u64, output: u64, cell: &HeatmapCell) -> Map<String, Value> {
    let fields = [
        ("input_length", json!(input)),
        ("output_length", json!(output)),
        ("requests", json!(cell.requests)),
        ("failed_requests", json!(cell.failures)),
    ];
    let mut object: Map<String, Value> = fields
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    for (metric, latency) in [
        ("time_to_first_token", cell.ttft),
        ("time_per_output_token", cell.tpot),
        ("time_to_last_token", cell.ttlt),
    ] {
        let mut put = |name: &str, value: Value| object.insert(format!("{metric}-{name}"), value);
        put("p50", json!(latency.map(|one| one.median)));
        let Some(latency) = latency else {
            continue;
        };
        put("count", json!(latency.count));
        if latency.support() != Support::Full {
            put("p50-beyond", json!(Percentile::P50.beyond(latency.count)));
        }
        if let Some(interval) = latency.interval {
            put("p50-ci_low", json!(interval.low));
            put("p50-ci_high", json!(interval.high));
        }
    }
    if let Some(share) = cell.goodput_rate {
        object.insert("goodput_rate".to_owned(), json!(share));
    }
    object
}

/// A cell in the colour of its share.
fn painted(cell: &str, share: f64) -> String {
    let at = (share * COLOURS.len() as f64) as usize;
    let (background, text) = COLOURS[at.min(COLOURS.len() - 1)];
    let style = Style::new().on_color256(background).color256(text);
    style.apply_to(cell).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_share_has_a_colour() {
        for share in [0.0, 0.3, 0.999, 1.0] {
            assert!(painted("x", share).contains('x'));
        }
    }
}
