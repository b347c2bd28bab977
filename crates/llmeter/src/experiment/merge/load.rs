//! What responses tell of the load of which they come: its rates and its stages.

use std::time::Duration;

use serde_json::{Map, Value, json};

use super::part::Part;
use crate::InvocationResponse;
use crate::load::Stages;
use crate::run::StageTally;
use crate::stats::{Condition, Keep};

const STAGES: &str = "stages";

/// The load of all parts, fed with their responses.
pub(super) struct WholeLoad {
    stages: Option<Stages>,
    tally: StageTally,
    due: Extent,
    sent: Extent,
}

/// How many there were, and when the first and the last one, in seconds after the start.
#[derive(Debug, Default, Clone, Copy)]
struct Extent {
    count: u64,
    first_and_last: Option<(f64, f64)>,
}

impl Extent {
    fn take(&mut self, at: f64) {
        self.count += 1;
        let (first, last) = self.first_and_last.unwrap_or((at, at));
        self.first_and_last = Some((first.min(at), last.max(at)));
    }

    /// As a run's own rates by number: from the first to the last.
    fn rate(&self, count: u64) -> Option<f64> {
        let (first, last) = self.first_and_last?;
        let seconds = last - first;
        (count > 1 && seconds > 0.0).then(|| (count - 1) as f64 / seconds)
    }
}

impl WholeLoad {
    /// Of parts whose responses are kept in this way. Stages are those that all parts have.
    pub(super) fn new(parts: &[Part], keep: Keep, slos: &[Condition]) -> Self {
        let of_part =
            |part: &Part| -> Option<Stages> { part.own.get(STAGES)?.as_str()?.parse().ok() };
        let mut of_parts = parts.iter().map(of_part);
        let first = of_parts.next().flatten();
        let stages = first.filter(|first| of_parts.all(|other| other.as_ref() == Some(first)));
        Self {
            tally: StageTally::new(stages.as_ref(), keep, slos),
            stages,
            due: Extent::default(),
            sent: Extent::default(),
        }
    }

    pub(super) fn record(&mut self, response: &InvocationResponse) {
        let mut sent = None;
        if let Some(due) = response.schedule().due_time {
            self.due.take(due);
            if let Some(late) = response.detail.send_lateness {
                self.sent.take(due + late);
                sent = Some(due + late);
            }
        }
        // Clients' requests belong to the stage in which they are sent.
        let of_clients = || {
            let stage = (response.detail.stage as usize).checked_sub(1)?;
            let before = self.stages.as_ref()?.each().iter().take(stage);
            Some(before.map(|stage| stage.length).sum::<Duration>())
        };
        let sent = match sent {
            Some(sent) => Some(Duration::try_from_secs_f64(sent).unwrap_or_default()),
            None if response.schedule().due_time.is_none() => of_clients(),
            None => None,
        };
        self.tally.record_sent(response, sent);
    }

    /// Rates of an open loop and the table of stages, as one run has them.
    pub(super) fn stats(mut self, parts: &[Part]) -> Map<String, Value> {
        let mut stats = self.rates(parts).unwrap_or_default();
        if let Some(stages) = &self.stages {
            let tables = parts.iter().map(|part| part.result.stats().stages);
            let tables: Vec<Vec<Value>> = tables.collect();
            let number = |stage: &Value, key: &str| stage.get(key)?.as_f64();
            // Of each table: when it was cut, if it was.
            let cut = |table: &Vec<Value>| {
                let each = table.iter().zip(stages.ends());
                let mut each = each.map(|(stage, end)| (number(stage, "end"), end.as_secs_f64()));
                each.find_map(|(end, planned)| end.filter(|end| *end < planned))
            };
            let cuts: Option<Vec<f64>> = tables.iter().map(cut).collect();
            let cut = cuts.and_then(|cuts| cuts.into_iter().reduce(f64::max));
            let due = |number_of: usize| {
                let due = tables.iter().map(|table| {
                    let stage = table.get(number_of)?;
                    let length = number(stage, "end")? - number(stage, "start")?;
                    let rate = number(stage, "offered_rate").unwrap_or(0.0);
                    stage
                        .get("offered_rate")
                        .map(|_| (rate * length).round() as u64)
                });
                due.sum()
            };
            stats.extend(self.tally.stats(due, cut, None));
        }
        stats
    }

    /// Offered and achieved rate, if every response says when it was due.
    fn rates(&self, parts: &[Part]) -> Option<Map<String, Value>> {
        let due: Option<u64> = parts
            .iter()
            .map(|part| part.result.stats().due_requests)
            .sum();
        let due = due.filter(|_| self.due.count > 0)?;
        let bounds = |part: &Part| {
            let length = part.shared.get("run_duration").and_then(Value::as_f64);
            let max_requests = part.own.get("max_requests").and_then(Value::as_u64);
            (length, max_requests)
        };
        let (length, max_requests) = bounds(&parts[0]);
        // Parts with ends of their own, as classes of a workload, have rates that add up.
        if parts
            .iter()
            .any(|part| bounds(part) != (length, max_requests))
        {
            return None;
        }
        // A load that its number of requests ended has not lasted as long as it might have.
        let is_by_count = max_requests.is_some_and(|most| due >= most);
        let is_cut = parts.iter().any(|part| part.result.interrupted);
        let length = length.filter(|length| *length > 0.0 && !is_by_count && !is_cut);
        let (offered, achieved) = match (length, self.sent.first_and_last) {
            (Some(length), Some((_, last))) => (
                Some(due as f64 / length),
                Some(self.sent.count as f64 / length.max(last)),
            ),
            _ => (self.due.rate(due), self.sent.rate(self.sent.count)),
        };
        let rates = [("offered_rate", offered), ("achieved_rate", achieved)];
        let rates = rates.into_iter();
        Some(
            rates
                .filter_map(|(key, rate)| Some((key.to_owned(), json!(rate?))))
                .collect(),
        )
    }
}
