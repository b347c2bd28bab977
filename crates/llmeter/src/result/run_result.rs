//! The outcome of a run.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::CallbackFailure;
use super::MeasurementQuality;
use super::failures::{FailureGroup, FailureTally};
use super::folder::RunFolder;
use super::load;
use super::run_summary::RunSummary;
use super::unwritten::Unwritten;
use crate::endpoint::ResponseField;
use crate::stats::{Accumulator, AnnotationSummary, Condition, Keep, Metric, Stats};
use crate::storage::Location;
use crate::{Error, InvocationResponse, Result};

/// The statistic that says that a run was ended before its end.
const INTERRUPTED: &str = "interrupted";

/// The statistic that lists hooks of callbacks that failed.
const CALLBACK_ERRORS: &str = "callback_errors";

/// How the statistic begins that tells of an SLO whether the run meets it.
const SLO_MET: &str = "slo_met-";

/// The outcome of a run: its summary, its responses and its statistics.
#[derive(Debug, Clone, Default)]
pub struct RunResult {
    /// What the run was and how long it took.
    pub summary: RunSummary,
    /// The responses in order of completion. Empty after a run in low memory, and when loaded
    /// without them.
    pub responses: Vec<InvocationResponse>,
    /// Whether the run was ended before its end.
    pub interrupted: bool,
    /// What was found wrong while loading.
    pub warnings: Vec<String>,
    /// How far the figures can be trusted; `None` when loaded, where `stats` has the record.
    pub quality: Option<MeasurementQuality>,
    /// Hooks of callbacks that failed after responses or after the run, each with its count.
    pub callback_errors: Vec<CallbackFailure>,
    /// What could not be written to the run's folder; `warnings` says it, too. Statistics and, but in
    /// low memory, responses are here all the same.
    pub unwritten: Vec<Unwritten>,
    /// Addresses at which tracking servers show the run, which callbacks logged it to. Not saved.
    pub tracked_at: Vec<String>,
    /// What requests and the run are to meet; [`judge_by`](Self::judge_by) changes it.
    pub(crate) slos: Vec<Condition>,
    /// The failures, if the responses were not kept.
    pub(crate) failures: FailureTally,
    /// The numeric annotations of the responses, if those were not kept.
    pub(crate) annotation_tally: Option<BTreeMap<String, AnnotationSummary>>,
    /// What the responses say.
    computed: Map<String, Value>,
    /// What is only known from elsewhere: the measurement's quality, or `stats.json`.
    stored: Map<String, Value>,
    /// What callbacks add; it stands above everything else.
    contributed: Map<String, Value>,
}

impl RunResult {
    /// The outcome of a run whose responses were fed to an [`Accumulator`] that gave `computed`.
    pub fn new(
        summary: RunSummary,
        responses: Vec<InvocationResponse>,
        computed: Map<String, Value>,
    ) -> Self {
        Self {
            summary,
            responses,
            computed,
            ..Self::default()
        }
    }

    /// A result made of these responses.
    pub fn from_responses(summary: RunSummary, responses: Vec<InvocationResponse>) -> Self {
        let mut result = Self::new(summary, responses, Map::new());
        result.recompute();
        result
    }

    /// Makes the statistics anew from the summary and the responses, after changing them.
    pub fn recompute(&mut self) {
        let mut accumulator = Accumulator::new(Keep::Values).slos(&self.slos);
        for response in &self.responses {
            accumulator.record(response);
        }
        self.computed =
            accumulator.stats_of(self.summary.total_test_time, self.summary.total_requests);
    }

    /// The statistics by name and type: `result.stats().ttft.p50`. What callbacks contribute under
    /// names of their own is in [`stats_map`](Self::stats_map).
    pub fn stats(&self) -> Stats {
        Stats::from_map(&self.stats_map())
    }

    /// All statistics as `stats.json` has them: the summary's fields, what the responses say, what
    /// else is known, and over all that what callbacks contributed.
    pub fn stats_map(&self) -> Map<String, Value> {
        let mut stats = self.summary.to_map();
        stats.extend(self.computed.clone());
        let is_computed = !self.computed.is_empty();
        for (key, value) in &self.stored {
            // A metric without values now may have had some under another version's definition.
            let is_outdated =
                is_computed && Metric::of(key).is_some_and(|(metric, _)| metric.is_computed());
            if !stats.contains_key(key) && !is_outdated {
                stats.insert(key.clone(), value.clone());
            }
        }
        if self.interrupted {
            stats.insert(INTERRUPTED.to_owned(), true.into());
        }
        if !self.callback_errors.is_empty() {
            stats.insert(CALLBACK_ERRORS.to_owned(), json!(self.callback_errors));
        }
        stats.extend(self.contributed.clone());
        for slo in self.slos.iter().filter(|slo| !slo.is_per_request()) {
            if let Some(is_met) = slo.holds_in(&stats) {
                stats.insert(format!("{SLO_MET}{slo}"), is_met.into());
            }
        }
        stats
    }

    /// What requests and the run are to meet.
    pub fn slos(&self) -> &[Condition] {
        &self.slos
    }

    /// Judges requests and run by these SLOs in the place of its own. Those about each request need the
    /// responses.
    pub fn judge_by(&mut self, slos: Vec<Condition>) {
        self.slos = slos;
        let is_outdated = |key: &str| {
            let metric = Metric::of(key).map(|(metric, _)| metric.short);
            metric.is_some_and(|name| {
                name.contains("goodput") || matches!(name, "slo_rates" | "slos_met")
            })
        };
        self.stored.retain(|key, _| !is_outdated(key));
        match self.responses.is_empty() {
            true => self.computed.retain(|key, _| !is_outdated(key)),
            false => self.recompute(),
        }
    }

    /// The failures by kind, the most frequent first.
    pub fn failures(&self) -> Vec<FailureGroup> {
        if !self.failures.is_empty() {
            return self.failures.groups();
        }
        let mut tally = FailureTally::default();
        let responses = self.responses.iter().filter(|one| !one.is_cancelled());
        let failures = responses.filter_map(|one| one.error.as_ref());
        failures.for_each(|failure| tally.record(failure));
        tally.groups()
    }

    /// Adds statistics that do not come from the responses. One that the responses give stays.
    pub fn add_stats(&mut self, stats: Map<String, Value>) {
        self.stored.extend(stats);
    }

    /// Adds a callback's statistics, which stand above all others.
    ///
    /// # Errors
    /// If a value is no number; nothing is added then.
    pub fn contribute_stats(&mut self, stats: Map<String, Value>) -> Result<()> {
        if let Some((key, value)) = stats.iter().find(|(_, value)| !value.is_number()) {
            return Err(Error::field(format!("statistic {key}"), value, "a number"));
        }
        self.contributed.extend(stats);
        Ok(())
    }

    /// Removes statistics of these names that did not come from the responses.
    pub(crate) fn remove_stats(&mut self, is_outdated: impl Fn(&str) -> bool) {
        self.stored.retain(|key, _| !is_outdated(key));
        self.contributed.retain(|key, _| !is_outdated(key));
    }

    /// Whether the responses are here, or at least what their annotations say.
    pub(crate) fn knows_annotations(&self) -> bool {
        let is_empty = self.summary.total_requests.unwrap_or(0) == 0;
        !self.responses.is_empty() || self.annotation_tally.is_some() || is_empty
    }

    /// A numeric annotation over all responses that have it, failed ones included: from the responses
    /// if they are here, else from what the run in low memory kept of it (exact count, sum and
    /// average; percentiles good to three digits; a hundred names at most). `None` if no response
    /// has it as a number, or if the result was loaded without its responses.
    pub fn annotation_summary(&self, name: &str) -> Option<AnnotationSummary> {
        if self.responses.is_empty() {
            return self.annotation_tally.as_ref()?.get(name).copied();
        }
        let values = self.responses.iter();
        AnnotationSummary::of(values.filter_map(|one| one.annotations.get(name)?.as_f64()))
    }

    /// The values of one field over all responses, null where unset: a field of the responses' lines,
    /// or else an annotation.
    ///
    /// # Errors
    /// If no response has it.
    pub fn get_dimension(&self, name: &str) -> Result<Vec<Value>> {
        let is_field = ResponseField::named(name).is_some();
        let value = |response: &InvocationResponse| match is_field {
            true => response.dimension(name),
            false => response.annotations.get(name).cloned(),
        };
        let values: Vec<Option<Value>> = self.responses.iter().map(value).collect();
        if !is_field && values.iter().all(Option::is_none) {
            let fields: Vec<_> = InvocationResponse::FIELDS.iter().map(|f| f.key).collect();
            let fields = fields.join(", ");
            let expected = format!("an annotation that a response has, or one of {fields}");
            return Err(Error::field("dimension", name, expected));
        }
        Ok(values.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Writes `summary.json` and `stats.json` to a folder, by default the run's own, and
    /// `responses.jsonl` if it is not there.
    ///
    /// # Errors
    /// If no folder is known or a file cannot be written.
    pub fn save(&self, path: Option<&Location>) -> Result<()> {
        let own = self.summary.output_path.as_ref();
        let Some(path) = path.or(own) else {
            return Err(Error::missing_field("output_path"));
        };
        let folder = RunFolder::existing(path)?;
        let mut summary = self.summary.clone();
        summary.output_path = Some(path.clone());
        let mut stats = summary.to_map();
        for (key, value) in self.stats_map() {
            stats.entry(key).or_insert(value);
        }
        if self.responses.is_empty() {
            if let Some(own) = own {
                folder.copy_responses(own)?;
            }
        } else {
            folder.add_responses(&self.responses)?;
        }
        folder.write_summary_and_stats(&summary, &stats)
    }

    /// Loads a run folder, here or in the cloud, also of an interrupted or killed run, in the format of this or an
    /// older version.
    ///
    /// # Errors
    /// If the folder holds nothing to load, or a file cannot be read.
    pub fn load(path: impl Into<Location>) -> Result<Self> {
        load::load(&path.into(), true)
    }

    /// Loads a run folder without its responses: summary and statistics as they were saved. Only
    /// where they were not, the responses are read, but not kept.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_without_responses(path: impl Into<Location>) -> Result<Self> {
        load::load(&path.into(), false)
    }

    /// Loads the responses of a result that was made or loaded without them, and makes its
    /// statistics anew; those that do not come from the responses stay.
    ///
    /// # Errors
    /// If no folder is known or `responses.jsonl` cannot be read.
    pub fn load_responses(&mut self) -> Result<&[InvocationResponse]> {
        let Some(path) = &self.summary.output_path else {
            return Err(Error::missing_field("output_path"));
        };
        let (responses, warnings) = load::responses(path)?;
        self.responses = responses;
        self.warnings.extend(warnings);
        self.recompute();
        Ok(&self.responses)
    }

    /// A result as it was loaded.
    pub(crate) fn loaded(
        summary: RunSummary,
        responses: Vec<InvocationResponse>,
        computed: Map<String, Value>,
        mut stored: Map<String, Value>,
        warnings: Vec<String>,
    ) -> Self {
        let errors = stored.remove(CALLBACK_ERRORS);
        let errors = errors.iter().filter_map(Value::as_array).flatten();
        Self {
            callback_errors: errors
                .filter_map(|error| CallbackFailure::deserialize(error).ok())
                .collect(),
            interrupted: stored.get(INTERRUPTED) == Some(&Value::Bool(true)),
            warnings,
            stored,
            ..Self::new(summary, responses, computed)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn map(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn result() -> RunResult {
        let response = InvocationResponse {
            id: Some("a".into()),
            time_to_last_token: Some(0.5),
            annotations: map(json!({"label": "x"})).into(),
            ..InvocationResponse::default()
        };
        let summary = RunSummary {
            total_requests: Some(1),
            total_test_time: Some(2.0),
            ..RunSummary::default()
        };
        RunResult::from_responses(summary, vec![response])
    }

    #[test]
    fn contributions_stand_above_everything_and_must_be_numbers() {
        let mut result = result();
        result.add_stats(map(
            json!({"measurement_verdict": "clean", "failed_requests": 9}),
        ));
        assert_eq!(result.stats_map()["failed_requests"], 0);
        let error = result
            .contribute_stats(map(json!({"fine": 1, "label": "x"})))
            .unwrap_err();
        assert!(error.to_string().contains("label"), "{error}");
        assert!(!result.stats_map().contains_key("fine"));
        result
            .contribute_stats(map(json!({"failed_requests": 3, "cost": 0.5})))
            .unwrap();
        let stats = result.stats_map();
        assert_eq!(stats["failed_requests"], 3);
        assert_eq!(stats["cost"], 0.5);
        assert_eq!(stats["measurement_verdict"], "clean");
        assert!(
            stats
                .keys()
                .zip(RunSummary::fields())
                .all(|(key, field)| key == field)
        );
    }

    #[test]
    fn a_dimension_is_a_field_or_an_annotation() {
        let result = result();
        assert_eq!(result.get_dimension("id").unwrap(), ["a"]);
        assert_eq!(result.get_dimension("error").unwrap(), [Value::Null]);
        assert_eq!(result.get_dimension("label").unwrap(), ["x"]);
        let error = result.get_dimension("nothing").unwrap_err().to_string();
        assert!(error.contains("nothing") && error.contains("time_to_last_token"));
    }

    /// Defect D13 of the Python system: the argument is ignored when the result has a path.
    #[test]
    fn saving_honours_its_argument() {
        let base = tempfile::tempdir().unwrap();
        let at = |name: &str| Location::from(base.path().join(name));
        let (own, other) = (at("own"), at("other"));
        let mut result = result();
        assert!(result.save(None).is_err(), "no folder is known");
        result.summary.output_path = Some(own.clone());
        result.save(Some(&other)).unwrap();
        assert!(!base.path().join("own").exists());
        result.save(None).unwrap();
        let loaded = RunResult::load(&own).unwrap();
        assert_eq!(loaded.stats_map(), result.stats_map());
        assert_eq!(loaded.responses, result.responses);
        assert_eq!(loaded.warnings, [""; 0]);
        result.summary.output_path = Some(other.clone());
        assert_eq!(
            RunResult::load(&other).unwrap().stats_map(),
            result.stats_map()
        );
        assert_eq!(RunResult::load(&other).unwrap().responses, result.responses);

        // Without responses in memory, they are copied from the run's folder.
        let third = at("third");
        let result = RunResult::load_without_responses(&own).unwrap();
        assert_eq!(result.responses, []);
        result.save(Some(&third)).unwrap();
        assert_eq!(RunResult::load(&third).unwrap().responses.len(), 1);
    }
}
