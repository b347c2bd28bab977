//! Several runs that were one load, as one run.
//!
//! Belongs here: which parts are merged, their common time, the files of the merged run. What becomes of
//! figures that responses do not tell is in `figures`; how lines come together in `result`.

mod figures;
mod load;
mod mix;
mod part;
mod whole;

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::InvocationResponse;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::cost::CostModel;
use crate::result::{FailureTally, RunFolder, RunResult, RunSummary, merge_lines};
use crate::run::{SavedRun, ServerTally, StallTally, TurnTally};
use crate::stats::{Accumulator, Condition, Keep};
use crate::storage::Location;

use figures::Figures;
use load::WholeLoad;
pub(super) use mix::merge_workloads;
use part::{Part, Shards, check_runs, counted_twice, within};
use whole::{Span, common_time, copy_configuration, differences, summary_of};

/// Parts that ran together for a smaller share of the whole time are worth a warning.
const MIN_OVERLAP: f64 = 0.9;

/// Makes one ordinary run folder of the folders of several runs.
///
/// The responses of all parts are written in the order in which they ended and enter the statistics as
/// if one run had got them: percentiles are exact unless a part ran in low memory, where sketches stand
/// for values. No part is held in memory. Rates are over the time from the first part's start to the
/// last part's end. What only a part's meter knows is combined: the verdict is the worst one, with each
/// part's reasons; times that the meter lost are summed, its errors are the largest.
///
/// ```no_run
/// use llmeter::experiment::Merge;
///
/// # fn main() -> llmeter::Result<()> {
/// let merged = Merge::new(["runs/shard-1", "runs/shard-2"], "runs/all").run()?;
/// println!("{:?}", merged.result.stats().ttft.p99);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Merge {
    parts: Vec<Location>,
    output: Location,
    overwrite: bool,
    allows_missing: bool,
    low_memory: bool,
}

/// What [`Merge`] made.
#[derive(Debug)]
#[non_exhaustive]
pub struct Merged {
    /// The merged run, without its responses: they are in its folder.
    pub result: RunResult,
    /// Its parts, in the order in which they were given.
    pub parts: Vec<MergedPart>,
}

/// A part of a merged run.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct MergedPart {
    /// Its folder.
    pub location: Location,
    /// Responses that it gave.
    pub requests: u64,
    /// The verdict on its measurement, if it has one.
    pub verdict: Option<String>,
    /// What is wrong with it, if anything.
    pub problem: Option<String>,
}

impl Merge {
    /// The parts to be merged, and the folder to be made.
    pub fn new<P: Into<Location>>(
        parts: impl IntoIterator<Item = P>,
        output: impl Into<Location>,
    ) -> Self {
        Self {
            parts: parts.into_iter().map(Into::into).collect(),
            output: output.into(),
            overwrite: false,
            allows_missing: false,
            low_memory: false,
        }
    }

    /// Replaces a run in the output folder.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Merges what is there if parts are missing or cannot be read; the result names them.
    #[must_use]
    pub fn allow_missing(mut self, allows: bool) -> Self {
        self.allows_missing = allows;
        self
    }

    /// Keeps sketches in the place of values, whatever the parts did: memory does not grow with the
    /// number of responses.
    #[must_use]
    pub fn low_memory(mut self, low_memory: bool) -> Self {
        self.low_memory = low_memory;
        self
    }

    /// Merges the parts, blocking the calling thread.
    ///
    /// # Errors
    /// If there are no parts, responses are in two of them, some are missing or cannot be read
    /// ([`Error::MissingParts`] names all), or if the output folder cannot be made or written.
    pub fn run(&self) -> Result<Merged> {
        self.run_with(|_| true)
    }

    /// As [`run`](Self::run); `progress` is told now and then how many responses were merged, and
    /// ends the merge by returning `false`: nothing is left of the output folder then.
    ///
    /// # Errors
    /// As [`run`](Self::run), and [`Error::Interrupted`].
    pub fn run_with(&self, progress: impl FnMut(u64) -> bool) -> Result<Merged> {
        self.check()?;
        if let Some(names) = self.classes()? {
            return self.run_of_classes(&names, progress);
        }
        let ready = self.ready()?;
        self.refuse(&ready.missing)?;
        let folder = RunFolder::create(self.output.clone(), self.overwrite)?;
        self.write(ready, folder, progress)
    }

    /// Reads of its parts what is to be known before anything is written.
    fn ready(&self) -> Result<Ready> {
        let (parts, unusable) = self.open()?;
        check_runs(&parts)?;
        let shards = Shards::of(&parts)?;
        let missing = problems(&unusable, &shards);
        if parts.is_empty() && (self.allows_missing || missing.is_empty()) {
            let expected = "one that can be read, at least";
            return Err(Error::field("part", self.parts.len(), expected));
        }
        Ok(Ready {
            parts,
            unusable,
            shards,
            missing,
        })
    }

    /// Refuses parts that are missing, unless they may be.
    fn refuse(&self, missing: &[String]) -> Result<()> {
        match self.allows_missing || missing.is_empty() {
            true => Ok(()),
            false => Err(Error::MissingParts {
                problems: missing.to_vec(),
            }),
        }
    }

    /// Writes the merged run.
    fn write(
        &self,
        ready: Ready,
        folder: RunFolder,
        progress: impl FnMut(u64) -> bool,
    ) -> Result<Merged> {
        let Ready {
            parts,
            mut unusable,
            shards,
            missing,
        } = ready;
        let slos = parts[0].result.slos().to_vec();
        let merged = copy_configuration(&parts, &shards, &folder)
            .and_then(|()| merged(&parts, &shards, &folder, self.keep(&parts), slos, progress));
        let (mut result, mut done) = match merged {
            Ok(merged) => merged,
            Err(reason) => {
                folder.release();
                return Err(reason);
            }
        };
        result.warnings.extend(missing);
        done.append(&mut unusable);
        let place = |part: &MergedPart| self.parts.iter().position(|it| *it == part.location);
        done.sort_by_key(place);
        self.finish(&mut result, &folder, &done)?;
        Ok(Merged {
            result,
            parts: done,
        })
    }

    /// Writes summary and statistics, with the parts.
    fn finish(
        &self,
        result: &mut RunResult,
        folder: &RunFolder,
        done: &[MergedPart],
    ) -> Result<()> {
        let list: Vec<Value> = done.iter().map(MergedPart::to_json).collect();
        result.add_stats(Map::from_iter([
            ("merged_parts".to_owned(), json!(list.len())),
            ("merged_from".to_owned(), json!(list)),
        ]));
        folder.write_summary_and_stats(&result.summary, &result.stats_map())
    }

    fn check(&self) -> Result<()> {
        self.output.check(Setting::Output)?;
        if self.parts.is_empty() {
            return Err(Error::missing_field("part"));
        }
        let mut seen = BTreeSet::new();
        for part in &self.parts {
            let shown = part.to_string();
            if *part == self.output {
                return Err(refused(
                    "output",
                    shown,
                    "a folder that is none of the parts",
                ));
            }
            if !seen.insert(shown.trim_end_matches('/').to_owned()) {
                return Err(refused("part", shown, "each part once"));
            }
        }
        Ok(())
    }

    /// The parts that can be read, and those that cannot.
    fn open(&self) -> Result<(Vec<Part>, Vec<MergedPart>)> {
        let (mut parts, mut unusable) = (Vec::new(), Vec::new());
        for location in &self.parts {
            match Part::open(location)? {
                Ok(part) => parts.push(part),
                Err(part) => unusable.push(part),
            }
        }
        Ok((parts, unusable))
    }

    fn keep(&self, parts: &[Part]) -> Keep {
        let is_sketch = |part: &Part| {
            let precision = part.result.stats().measurement_percentiles;
            precision.as_deref() == Some("sketch")
        };
        match self.low_memory || parts.iter().any(is_sketch) {
            true => Keep::Sketches,
            false => Keep::Values,
        }
    }
}

/// Parts that can be merged, and what is missing.
struct Ready {
    /// One at least.
    parts: Vec<Part>,
    unusable: Vec<MergedPart>,
    shards: Shards,
    missing: Vec<String>,
}

impl MergedPart {
    fn to_json(&self) -> Value {
        let mut part = json!({"path": self.location.to_string(), "requests": self.requests});
        if let Some(verdict) = &self.verdict {
            part["verdict"] = verdict.as_str().into();
        }
        if let Some(problem) = &self.problem {
            part["problem"] = problem.as_str().into();
        }
        part
    }
}

fn refused(field: &'static str, given: String, expected: &str) -> Error {
    Error::field(field, given, expected)
}

/// What is missing or cannot be read, a sentence each. Where one part cannot be read and one shard is
/// missing, they are the same.
fn problems(unusable: &[MergedPart], shards: &Shards) -> Vec<String> {
    let told = |part: &MergedPart, what: &str| {
        let problem = part.problem.as_deref().unwrap_or("it cannot be read");
        format!("{}{what}: {problem}", part.location)
    };
    match (unusable, shards.only_missing()) {
        ([part], Some(shard)) => vec![told(part, &format!(" (shard {shard})"))],
        (all, _) => {
            let of_parts = all.iter().map(|part| told(part, ""));
            of_parts.chain(shards.missing()).collect()
        }
    }
}

/// How many responses are merged before progress is told.
const PROGRESS: u64 = 20_000;

/// Writes the merged files but summary and statistics.
fn merged(
    parts: &[Part],
    shards: &Shards,
    folder: &RunFolder,
    keep: Keep,
    slos: Vec<Condition>,
    mut progress: impl FnMut(u64) -> bool,
) -> Result<(RunResult, Vec<MergedPart>)> {
    let first = &parts[0];
    let saved = SavedRun::load(first.location.clone()).ok();
    let mut accumulator = Accumulator::new(keep).slos(&slos);
    let known = first.result.stats();
    let stall = known.stall_threshold.map(Duration::try_from_secs_f64);
    let stall = stall.and_then(Result::ok).unwrap_or(Duration::from_secs(1));
    let mut stalls = StallTally::new(stall, known.reading_speed);
    let mut failures = FailureTally::default();
    let mut servers = ServerTally::new(keep, &slos);
    let mut turns = TurnTally::new(keep);
    let mut load = WholeLoad::new(parts, keep, &slos);
    let mut spans: Vec<Option<Span>> = parts.iter().map(|_| None).collect();
    let mut lines = folder.responses()?;
    let folders: Vec<_> = parts.iter().map(|part| part.location.clone()).collect();
    let each = |index: usize, response: &InvocationResponse| {
        accumulator.record(response);
        stalls.record(response);
        servers.record(response);
        turns.record(response);
        load.record(response);
        if let Some(failure) = &response.error {
            failures.record(failure);
        }
        if let Some(sent) = response.request_time {
            let took = response.time_in_flight().unwrap_or(0.0).max(0.0);
            let ended = sent + Duration::try_from_secs_f64(took).unwrap_or_default();
            let known = &parts[index].result.summary;
            let span = spans[index].get_or_insert(Span {
                start: known.first_request_time.unwrap_or(sent),
                length: known.total_test_time,
                last: ended,
            });
            span.start = span.start.min(sent);
            span.last = span.last.max(ended);
        }
        let recorded = accumulator.recorded();
        match recorded.is_multiple_of(PROGRESS) && !progress(recorded) {
            true => Err(Error::Interrupted),
            false => Ok(()),
        }
    };
    let twice = |part: usize, other: usize| {
        Err(counted_twice(&parts[part].location, &parts[other].location))
    };
    let found = merge_lines(&folders, &mut lines, each, twice)?;
    drop(lines);
    let mut done = Vec::new();
    let mut warnings = Vec::new();
    for (part, lines) in parts.iter().zip(found) {
        let expected = part.result.summary.total_requests.unwrap_or(0);
        let mut problems = part.problems.clone();
        let of_lines = lines.warnings.iter();
        let of_lines = of_lines.map(|warning| within(warning, &part.location));
        for problem in of_lines {
            if !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        if part.result.interrupted && problems.is_empty() {
            problems.push("it was ended before its end".to_owned());
        }
        let there = lines.responses;
        if there < expected && problems.is_empty() {
            problems.push(format!("{there} of {expected} responses are there"));
        }
        if there > expected && !part.result.interrupted {
            problems.push(format!(
                "{there} responses are there, and its summary tells of {expected}"
            ));
        }
        let problem = (!problems.is_empty()).then(|| problems.join("; "));
        if let Some(problem) = &problem {
            warnings.push(format!("{}: {problem}", part.location));
        }
        done.push(MergedPart {
            location: part.location.clone(),
            requests: lines.responses,
            verdict: part.result.stats().measurement_verdict,
            problem,
        });
    }
    let (window, overlap) = common_time(&spans);
    if let Some(overlap) = overlap.filter(|overlap| *overlap < MIN_OVERLAP) {
        warnings.push(format!(
            "all parts ran together for {:.0} % of the time from the first one's start to the last one's \
             end, which rates are over: start them at the same time",
            overlap * 100.0
        ));
    }
    warnings.extend(differences(parts, shards));
    let start = spans.iter().flatten().map(|span| span.start).min();
    let summary = RunSummary {
        // What the window begins with.
        first_request_time: start,
        ..summary_of(parts, &accumulator, window, folder)
    };
    let stats = accumulator.stats(window);
    let mut result = RunResult::new(summary, Vec::new(), stats);
    result.slos = slos;
    result.failures = failures;
    result.annotation_tally = Some(accumulator.annotation_summaries());
    result.interrupted = parts.iter().any(|part| part.result.interrupted);
    result.add_stats(stalls.stats());
    result.add_stats(servers.stats(window, std::iter::empty()));
    result.add_stats(turns.stats());
    let weights = done.iter().map(|part| part.requests);
    let results = parts.iter().map(|part| &part.result);
    let figures = Figures::of(results.zip(weights), window);
    warnings.extend(figures.left_out());
    result.add_stats(figures.into_stats());
    result.add_stats(load.stats(parts));
    if let Some(overlap) = overlap {
        let stats = Map::from_iter([("merged_overlap".to_owned(), json!(overlap))]);
        result.add_stats(stats);
    }
    let costs = saved.iter().flat_map(|saved| &saved.callbacks);
    for model in costs.filter(|saved| CostModel::is_saved(saved)) {
        if let Err(reason) = CostModel::from_json(model).and_then(|it| it.contribute(&mut result)) {
            warnings.push(format!("costs are left out: {reason}"));
        }
    }
    result.warnings = warnings;
    Ok((result, done))
}
