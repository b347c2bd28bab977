//! The figures of each stage of a load.

use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::InvocationResponse;
use crate::load::Stages;
use crate::stats::{Accumulator, Condition, Keep};
use llmeter_wire::clock::Stamp;

/// The statistics of single stages and servers leave these out: they look for the shape of a whole run.
pub(crate) const OF_WHOLE_RUNS: [&str; 4] = ["steady_", "ramp_up_", "tail_", "measurement_"];

/// Figures of the stages of a run, fed one response at a time.
#[derive(Debug, Default)]
pub(crate) struct StageTally(Vec<StageFigures>);

#[derive(Debug)]
struct StageFigures {
    /// What it is, in words.
    load: String,
    begin: Duration,
    end: Duration,
    /// Requests that were sent within it.
    sent: u64,
    responses: Accumulator,
}

impl StageTally {
    pub(crate) fn new(stages: Option<&Stages>, keep: Keep, slos: &[Condition]) -> Self {
        let Some(stages) = stages else {
            return Self::default();
        };
        let mut begin = Duration::ZERO;
        let figures = |stage: &crate::load::Stage| {
            let end = begin + stage.length;
            StageFigures {
                load: stage.to_string(),
                begin: std::mem::replace(&mut begin, end),
                end,
                sent: 0,
                responses: Accumulator::new(keep).slos(slos),
            }
        };
        Self(stages.each().iter().map(figures).collect())
    }

    /// Takes in a response of a run that began at `start`, whose request was sent at `sent`.
    pub(crate) fn record(
        &mut self,
        response: &InvocationResponse,
        sent: Option<Stamp>,
        start: Option<Stamp>,
    ) {
        let sent = sent.zip(start).map(|(sent, start)| {
            Duration::from_nanos(sent.0.saturating_sub(start.0).try_into().unwrap_or(0))
        });
        self.record_sent(response, sent);
    }

    /// Takes in a response whose request was sent so long after the run's start.
    pub(crate) fn record_sent(&mut self, response: &InvocationResponse, sent: Option<Duration>) {
        if let Some(sent) = sent
            && let Some(stage) = self.0.iter_mut().find(|stage| sent < stage.end)
        {
            stage.sent += 1;
        }
        let stage = response.detail.stage.checked_sub(1);
        if let Some(stage) = stage.and_then(|stage| self.0.get_mut(stage as usize)) {
            stage.responses.record(response);
        }
    }

    /// The statistics: `stages`, in order; nothing without any. `cut`: when the run was stopped, after its
    /// start. `due`: how many requests became due in a stage, if that is known.
    pub(crate) fn stats(
        &mut self,
        due: impl Fn(usize) -> Option<u64>,
        cut: Option<f64>,
    ) -> Map<String, Value> {
        if self.0.is_empty() {
            return Map::new();
        }
        let stage = |(number, stage): (usize, &mut StageFigures)| {
            let (begin, end) = (stage.begin.as_secs_f64(), stage.end.as_secs_f64());
            let end = cut.map_or(end, |cut| end.min(cut.max(begin)));
            let length = end - begin;
            let mut stats = Map::new();
            stats.insert("stage".to_owned(), json!(number + 1));
            stats.insert("load".to_owned(), json!(stage.load));
            stats.insert("start".to_owned(), json!(begin));
            stats.insert("end".to_owned(), json!(end));
            stats.insert(
                "total_requests".to_owned(),
                json!(stage.responses.recorded()),
            );
            let rate = |count: u64| (length > 0.0).then(|| count as f64 / length);
            if let Some(due) = due(number) {
                stats.insert("offered_rate".to_owned(), json!(rate(due)));
            }
            stats.insert("achieved_rate".to_owned(), json!(rate(stage.sent)));
            let of_responses = stage.responses.stats(Some(length)).into_iter();
            stats.extend(
                of_responses
                    .filter(|(key, _)| !OF_WHOLE_RUNS.iter().any(|start| key.starts_with(start))),
            );
            Value::Object(stats)
        };
        let stages: Vec<_> = self.0.iter_mut().enumerate().map(stage).collect();
        [("stages".to_owned(), stages.into())].into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_belongs_to_its_stage_and_its_sending_to_the_time() {
        let stages: Stages = "2/s for 1s, 4/s for 2s".parse().unwrap();
        let mut tally = StageTally::new(Some(&stages), Keep::Values, &[]);
        let second = |seconds: f64| Some(Stamp((seconds * 1e9) as i64));
        // Due in the first stage, and sent in the second.
        for (stage, sent, ttft) in [(1, 0.5, 0.1), (1, 1.5, 0.3), (2, 2.0, 0.5), (2, 3.5, 0.5)] {
            let mut response = InvocationResponse::default();
            response.detail.stage = stage;
            response.time_to_first_token = Some(ttft);
            tally.record(&response, second(sent), second(0.0));
        }
        let stats = tally.stats(|_| None, None);
        let of = |stage: usize, key: &str| stats["stages"][stage][key].clone();
        assert_eq!(
            (of(0, "load"), of(1, "load")),
            (json!("2/s for 1s"), json!("4/s for 2s"))
        );
        assert_eq!(
            (of(0, "total_requests"), of(0, "achieved_rate")),
            (json!(2), json!(1.0))
        );
        assert_eq!(
            (of(1, "total_requests"), of(1, "achieved_rate")),
            (json!(2), json!(1.0))
        );
        assert_eq!(of(0, "time_to_first_token-p50"), json!(0.2));
        assert_eq!(of(0, "requests_per_minute"), json!(120.0));
        assert_eq!(of(0, "steady_start"), Value::Null);
        assert!(
            StageTally::new(None, Keep::Values, &[])
                .stats(|_| None, None)
                .is_empty()
        );
    }
}
