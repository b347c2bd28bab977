//! Figures that are to be known precisely, and the end of a run that knows them.

use serde_json::{Map, Value};

use crate::InvocationResponse;
use crate::run::RunConfig;
use crate::run::failure_limit::StopSignal;
use crate::stats::{PrecisionTarget, PrecisionWatch};

/// The statistic that says whether everything was known.
const REACHED: &str = "until_reached";

/// Watches the targets of a run, and stops it when all are reached.
#[derive(Debug, Default)]
pub(crate) struct Until(Vec<(PrecisionTarget, PrecisionWatch)>);

impl Until {
    pub(crate) fn new(config: &RunConfig) -> Self {
        let targets = config.until.iter();
        Self(
            targets
                .map(|target| (target.clone(), target.watch()))
                .collect(),
        )
    }

    /// Takes in a response of the run.
    pub(crate) fn note(&mut self, response: &InvocationResponse, signal: &StopSignal) {
        if self.0.is_empty() {
            return;
        }
        let mut is_reached = true;
        for (target, watch) in &mut self.0 {
            match target.value_of(response) {
                Some(value) => is_reached &= watch.push(value),
                None => is_reached &= watch.is_reached(),
            }
        }
        if is_reached {
            signal.reach();
        }
    }

    pub(crate) fn stats(&self) -> Map<String, Value> {
        let is_reached = self.0.iter().all(|(_, watch)| watch.is_reached());
        let entry = (REACHED.to_owned(), is_reached.into());
        Some(entry)
            .filter(|_| !self.0.is_empty())
            .into_iter()
            .collect()
    }

    /// What is not known as precisely as was wanted.
    pub(crate) fn notices(&self) -> impl Iterator<Item = String> {
        let missed = self.0.iter().filter(|(_, watch)| !watch.is_reached());
        missed.map(|(target, watch)| match watch.half_width() {
            Some(width) if watch.is_tight() => format!(
                "the run ended before {target} was certain: its values lie within ±{:.1}% at the end, which \
                 two looks in a row have to find",
                width * 100.0
            ),
            Some(width) => format!(
                "the run ended before {target} was reached: it is known within ±{:.1}%",
                width * 100.0
            ),
            None => format!(
                "the run ended before {target} was reached: {} values of single requests are too few",
                watch.values().len()
            ),
        })
    }
}
