//! What requests and a run are to meet, and whether they do.

use serde_json::Value;

use super::intervals;
use super::summary::percent;
use super::table::pairs;
use crate::result::RunResult;
use crate::stats::Stats;

/// The SLOs of a run with what became of them; nothing without any.
pub(super) fn slos(text: &mut String, result: &RunResult, width: usize) {
    let rows = slo_rows(result);
    if !rows.is_empty() {
        text.push_str("\nSLOs\n");
        pairs(text, &rows, width);
    }
}

/// The SLOs of a run with what became of them, and goodput.
pub(super) fn slo_rows(result: &RunResult) -> Vec<[String; 2]> {
    let (stats, map) = (result.stats(), result.stats_map());
    let mut rows = Vec::new();
    for slo in result.slos() {
        let name = slo.to_string();
        let became = match slo.is_per_request() {
            true => {
                let mut rates = stats.slo_rates.iter();
                let rate = rates.find(|(known, _)| *known == name);
                rate.map(|(_, rate)| format!("met by {} of requests", percent(*rate)))
            }
            false => slo.figure().value_in(&map).map(|value| {
                let is_met = if slo.holds(value) { "met" } else { "missed" };
                format!(
                    "{is_met}: {}",
                    slo.shown_with(value, slo.figure().support_in(&map))
                )
            }),
        };
        rows.push([name, became.unwrap_or_else(|| "not known".to_owned())]);
    }
    if let Some(goodput) = goodput(&stats).filter(|_| !rows.is_empty()) {
        rows.push([
            "goodput: requests that meet all of these".to_owned(),
            goodput,
        ]);
    }
    rows
}

/// `98.5 %, 12.3 per second`.
fn goodput(stats: &Stats) -> Option<String> {
    let rates = stats.shown_rates();
    let (rate, interval) = rates.goodput;
    let share = rates.goodput_rate?;
    let share = percent(share);
    Some(match rate {
        Some(rate) => format!("{share}, {} per second", intervals::rate(rate, interval)),
        None => share,
    })
}

/// A cell for the SLOs about figures of the run: `met`, or how many are missed.
pub(super) fn verdict(stats: &Stats) -> Option<String> {
    verdict_of(stats.slos_met.iter().map(|(_, is_met)| *is_met))
}

/// [`verdict`] of a part of a run.
pub(super) fn verdict_of_part(part: &Value) -> Option<String> {
    let slos = part.as_object()?.iter();
    let met = slos.filter(|(key, _)| key.starts_with("slo_met-"));
    verdict_of(met.filter_map(|(_, is_met)| is_met.as_bool()))
}

fn verdict_of(slos: impl Iterator<Item = bool>) -> Option<String> {
    let met: Vec<bool> = slos.collect();
    let missed = met.iter().filter(|is_met| !**is_met).count();
    match (met.len(), missed) {
        (0, _) => None,
        (_, 0) => Some("met".to_owned()),
        (1, _) => Some("missed".to_owned()),
        (all, missed) => Some(format!("{missed} of {all} missed")),
    }
}
