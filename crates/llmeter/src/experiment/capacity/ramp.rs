//! A search in one run: the load rises in steps until it breaks an SLO.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Map, Value};

use super::{
    Capacity, CapacityResult, MIN_REQUESTS, Over, Probe, ProbeJudge, ProbeVerdict, all_slos,
};
use crate::InvocationResponse;
use crate::base::error::{Error, Result};
use crate::experiment::load_test::test_folder;
use crate::experiment::load_test_result::TestEnd;
use crate::load::{Rate, Stage, StageLevel, Stages};
use crate::result::{RunResult, RunSummary, take_folder};
use crate::run::{ResponseWatch, RunConfig, Runner, default_run_name};

/// The folder of the run within that of the search.
pub(super) const RAMP_FOLDER: &str = "ramp";
/// From one step to the next.
const STEP: f64 = 1.1;
/// The share of a step's requests, if its load were its own from the beginning, that is left out: they find the
/// server as the step before left it.
const LEFT_OUT_SHARE: f64 = 0.2;
/// Steps in a row that look broken and end the ramp, if none is for certain.
const LIKELY_IN_A_ROW: usize = 3;

impl Capacity {
    /// The loads of a ramp, in order.
    fn steps(&self) -> Vec<f64> {
        let mut steps = vec![self.min];
        while let Some(last) = steps.last().copied().filter(|last| *last < self.max) {
            let next = match self.over {
                Over::Clients | Over::Sessions => (last * STEP).round().max(last + 1.0),
                Over::Rate => last * STEP,
            };
            steps.push(next.min(self.max));
        }
        steps
    }

    /// The stages of a ramp whose steps take so long, or as long as enough requests to judge by take to arrive.
    fn ramp(&self, step: Duration) -> Result<Stages> {
        let stage = |level: &f64| {
            let (level, needed) = match self.over {
                Over::Clients => (StageLevel::Clients(*level as u32), 0.0),
                Over::Sessions => (StageLevel::Sessions(*level as u32), 0.0),
                Over::Rate => {
                    let rate = Rate::of_seconds(*level);
                    let wrong = |reason: String| Error::field("rate", *level, reason);
                    (StageLevel::Rate(rate.map_err(wrong)?), MIN_REQUESTS / level)
                }
            };
            let needed = Duration::try_from_secs_f64(needed).unwrap_or_default();
            Ok(Stage {
                level,
                is_ramp: false,
                length: step.max(needed),
            })
        };
        let stages = self.steps().iter().map(stage).collect::<Result<Vec<_>>>()?;
        Stages::new(stages).map_err(|reason| Error::refused("ramp", reason))
    }

    /// Carries out a search in one run.
    pub(super) fn run_ramp(&self, step: Duration) -> Result<CapacityResult> {
        if self.resumes {
            return Err(Error::refused(
                "resume",
                "a search in one run cannot be resumed",
            ));
        }
        if self.base.low_memory {
            return Err(Error::refused(
                "low_memory",
                "low_memory keeps no latencies over time",
            ));
        }
        let stages = self.ramp(step)?;
        let is_open = self.over == Over::Rate;
        let judges = stages
            .each()
            .iter()
            .zip(self.steps())
            .map(|(stage, level)| {
                let left_out = match self.over {
                    Over::Clients | Over::Sessions => level,
                    Over::Rate => level * stage.length.as_secs_f64() * LEFT_OUT_SHARE,
                };
                ProbeJudge::new(&self.base.slos, left_out as u64, is_open)
            });
        let watch = Arc::new(RampWatch {
            judges: judges.collect(),
            broken: Mutex::default(),
        });
        let config = RunConfig {
            clients: 1,
            rate: None,
            sessions: None,
            session_rate: None,
            stages: Some(stages.clone()),
            slos: all_slos(&self.base.slos),
            ..self.base.clone()
        };
        config.validate()?;
        let folder = test_folder(&self.base)?;
        if let Some(folder) = &folder {
            take_folder(folder, self.base.overwrite)?;
        }
        let name = match &folder {
            Some(folder) => folder.file_name(),
            None => self.base.run_name.clone(),
        };
        let name = name.unwrap_or_else(default_run_name);
        let mut runner = Runner::new(config).interrupted_by(self.interrupt.clone());
        if let Some(observer) = self.observe.as_ref().and_then(|observe| observe("ramp")) {
            runner = runner.observe(observer);
        }
        let result = runner.run_blocking_with(|run| {
            run.output = folder.clone();
            run.run_name = Some(RAMP_FOLDER.to_owned());
            run.watch = Some(watch.clone());
        })?;
        let mut plan = self.plan();
        plan.is_one_run = true;
        plan.precision = STEP;
        let of_stages = result.stats().stages;
        let is_interrupted = result.interrupted;
        for (number, level) in self.steps().into_iter().enumerate() {
            let stats = of_stages.get(number).and_then(Value::as_object);
            let requests = stats
                .and_then(|stats| stats.get("total_requests"))
                .and_then(Value::as_u64)
                .unwrap_or(0);
            if requests == 0 {
                break;
            }
            let empty = Map::new();
            let (verdict, nearness) = watch.judges[number].verdict(stats.unwrap_or(&empty));
            plan.probes.push(Probe {
                level,
                folder: RAMP_FOLDER.to_owned(),
                verdict,
                nearness,
                requests,
                is_resumed: false,
            });
        }
        plan.is_complete = !is_interrupted;
        let mut found = CapacityResult::new(plan, name, folder);
        found.warnings.extend(result.warnings.iter().cloned());
        found.ended_by = match () {
            () if is_interrupted => Some(TestEnd::Interrupted),
            () if !result.unwritten.is_empty() => Some(TestEnd::Unwritten(0)),
            () => None,
        };
        found.results = split(&result, &found.plan.probes);
        found.save()?;
        Ok(found)
    }
}

/// The responses of each step of a ramp as a result of its own.
pub(super) fn split(result: &RunResult, probes: &[Probe]) -> Vec<(f64, RunResult)> {
    let of_stages = result.stats().stages;
    let verdict = result.stats().measurement_verdict;
    let step = |(number, probe): (usize, &Probe)| {
        let stage = number as u32 + 1;
        let own = result
            .responses
            .iter()
            .filter(|one| one.detail.stage == stage);
        let own: Vec<InvocationResponse> = own.cloned().collect();
        let time = |key: &str| of_stages.get(number)?.get(key)?.as_f64();
        let summary = RunSummary {
            total_requests: Some(own.len() as u64),
            total_test_time: time("end")
                .zip(time("start"))
                .map(|(end, start)| end - start),
            ..result.summary.clone()
        };
        let mut of_step = RunResult::from_responses(summary, own);
        of_step.judge_by(result.slos.clone());
        if let Some(verdict) = &verdict {
            let verdict = (
                "measurement_verdict".to_owned(),
                Value::from(verdict.clone()),
            );
            of_step.add_stats([verdict].into_iter().collect());
        }
        (probe.level, of_step)
    };
    probes.iter().enumerate().map(step).collect()
}

/// Ends a ramp at the first step that breaks an SLO for certain, or after some in a row that seem to.
#[derive(Debug)]
struct RampWatch {
    judges: Vec<ProbeJudge>,
    /// The step that was broken last, and how many in a row are.
    broken: Mutex<Option<(usize, usize)>>,
}

impl ResponseWatch for RampWatch {
    fn note(&self, response: &InvocationResponse) -> bool {
        let Some(stage) = (response.detail.stage as usize).checked_sub(1) else {
            return false;
        };
        let Some(judge) = self.judges.get(stage) else {
            return false;
        };
        judge.note(response);
        let verdict = |stage: usize| self.judges[stage].verdict(&Map::new()).0;
        if matches!(
            verdict(stage),
            ProbeVerdict::Broken | ProbeVerdict::Saturated
        ) {
            return true;
        }
        // A step that is over, as the first response of the next one tells.
        let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(over) = stage.checked_sub(1) else {
            return false;
        };
        if broken.is_some_and(|(last, _)| last >= over) {
            return false;
        }
        let in_a_row = match (verdict(over), *broken) {
            (ProbeVerdict::LikelyBroken, Some((last, in_a_row))) if last + 1 == over => {
                in_a_row + 1
            }
            (ProbeVerdict::LikelyBroken, _) => 1,
            _ => 0,
        };
        *broken = Some((over, in_a_row));
        in_a_row >= LIKELY_IN_A_ROW
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OpenAiChat;

    #[test]
    fn a_ramp_rises_by_a_tenth_up_to_the_maximum() {
        let endpoint = OpenAiChat::builder("http://127.0.0.1:9/v1", "m")
            .build()
            .unwrap();
        let payload = OpenAiChat::create_payload("Hi", 1, Default::default()).unwrap();
        let base = RunConfig::new(Arc::new(endpoint), [payload]);
        let clients = Capacity::new(base.clone()).between(1.0, 14.0);
        let expected = [
            1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0,
        ];
        assert_eq!(clients.steps(), expected);
        let rates = Capacity::new(base).over(Over::Rate).between(2.0, 4.0);
        let steps = rates.steps();
        assert_eq!((steps.len(), steps[1], steps[8]), (9, 2.2, 4.0));
        let ramp = rates.ramp(Duration::from_secs(2)).unwrap();
        // Twenty requests at 2/s.
        assert_eq!(ramp.each()[0].length, Duration::from_secs(10));
    }
}
