//! Mixes of workloads: classes as one run, and several mixes as one.

use serde_json::{Map, Value, json};

use super::part::Shards;
use super::whole::all_of;
use super::{Merge, Merged, MergedPart, Ready, merged, refused};
use crate::base::error::{Error, Result};
use crate::experiment::SavedWorkloads;
use crate::experiment::workloads::{WORKLOADS, about, of_merged};
use crate::result::{CONFIG_FILE, RunFolder, RunResult};
use crate::stats::Condition;
use crate::storage::Location;

/// Merges the classes of a workload into the folder of the whole, which is to meet these SLOs.
///
/// # Errors
/// If the files of a class cannot be read, or those of the whole not be written.
pub(in crate::experiment) fn merge_workloads(
    classes: &[Location],
    folder: &RunFolder,
    slos: &[Condition],
) -> Result<RunResult> {
    let merge = Merge::new(classes.iter().cloned(), folder.location().clone());
    let (parts, unusable) = merge.open()?;
    if let Some(part) = unusable.first() {
        let problem = part.problem.clone().unwrap_or_default();
        return Err(refused("workload", part.location.to_string(), &problem));
    }
    let (shards, keep) = (Shards::default(), merge.keep(&parts));
    let (mut result, _) = merged(&parts, &shards, folder, keep, slos.to_vec(), |_| true)?;
    // That they are different is what they are for.
    result.warnings.clear();
    (result.summary.model_id, result.summary.endpoint_name) = (
        all_of(&parts, |summary| summary.model_id.as_ref()),
        all_of(&parts, |summary| summary.endpoint_name.as_ref()),
    );
    result.summary.run_description = None;
    Ok(result)
}

impl Merge {
    /// The classes of the mixes that the parts are, in order; `None` if they are ordinary runs.
    ///
    /// # Errors
    /// If only some of them are mixes.
    pub(super) fn classes(&self) -> Result<Option<Vec<String>>> {
        let mut names: Vec<String> = Vec::new();
        let mut others = Vec::new();
        for part in &self.parts {
            let mix = SavedWorkloads::load(part.clone()).ok().flatten();
            let Some(mix) = mix else {
                others.push(part);
                continue;
            };
            for (name, _) in mix.classes {
                if !names.contains(&name) {
                    names.push(name);
                }
            }
        }
        if names.is_empty() {
            return Ok(None);
        }
        for part in others {
            if part.join(CONFIG_FILE).read_if_there()?.is_some() {
                let expected = "a mix of workloads, as other parts are";
                return Err(refused("part", part.to_string(), expected));
            }
        }
        Ok(Some(names))
    }

    /// Merges each class of the mixes that the parts are, and these to one mix.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(super) fn run_of_classes(
        &self,
        names: &[String],
        mut progress: impl FnMut(u64) -> bool,
    ) -> Result<Merged> {
        let of_class = |name: &String| Self {
            parts: self.parts.iter().map(|part| part.join(name)).collect(),
            output: self.output.join(name),
            ..self.clone()
        };
        let mut ready = Vec::with_capacity(names.len());
        for name in names {
            let merge = of_class(name);
            let class = merge.ready()?;
            ready.push((name, merge, class));
        }
        let mut missing: Vec<String> = Vec::new();
        for problem in ready.iter().flat_map(|(_, _, class)| &class.missing) {
            // A shard is missing in all classes.
            if !missing.contains(problem) {
                missing.push(problem.clone());
            }
        }
        self.refuse(&missing)?;
        let folder = RunFolder::create(self.output.clone(), self.overwrite)?;
        let done = self.merge_classes(ready, &folder, &mut progress);
        if done.is_err() {
            for name in names {
                if let Ok(class) = RunFolder::create(self.output.join(name), true) {
                    class.release();
                }
            }
            folder.release();
        }
        done
    }

    fn merge_classes(
        &self,
        ready: Vec<(&String, Self, Ready)>,
        folder: &RunFolder,
        progress: &mut impl FnMut(u64) -> bool,
    ) -> Result<Merged> {
        let mixes = self.parts.iter();
        let mixes: Vec<_> = mixes
            .filter_map(|part| {
                let saved = SavedWorkloads::load(part.clone()).ok().flatten()?;
                Some((saved, RunResult::load_without_responses(part.clone()).ok()))
            })
            .collect();
        let Some((first, _)) = mixes.first() else {
            return Err(Error::missing_field("part"));
        };
        let names: Vec<&str> = ready.iter().map(|(name, ..)| name.as_str()).collect();
        // What the first mix that has the class says of it.
        let known = |name: &str| {
            let all = mixes.iter().filter_map(|(_, whole)| whole.as_ref());
            let mut classes = all.flat_map(|whole| whole.stats().workloads);
            let found = classes.find(|class| class["workload"] == name);
            found.unwrap_or_default()
        };
        let shares: Vec<_> = names
            .iter()
            .map(|name| known(name).get("share").and_then(Value::as_f64))
            .collect();
        let description = first.description.as_deref();
        folder.write_own_config(&about(&names, &shares, &first.slos, description))?;
        let mut before = 0;
        let mut classes = Vec::with_capacity(ready.len());
        for (name, merge, class) in ready {
            let of_class = RunFolder::create(merge.output.clone(), self.overwrite)?;
            let merged = merge.write(class, of_class, |responses| progress(before + responses))?;
            before += merged.result.summary.total_requests.unwrap_or(0);
            classes.push((name, merged));
        }
        let places = names.iter().map(|name| self.output.join(name));
        let mut whole = merge_workloads(&places.collect::<Vec<_>>(), folder, &first.slos)?;
        whole.summary.run_description = first.description.clone();
        let figures = classes
            .iter()
            .map(|(name, merged)| of_merged(name, &known(name), &merged.result));
        let figures: Vec<Value> = figures.collect();
        whole.add_stats(Map::from_iter([(WORKLOADS.to_owned(), json!(figures))]));
        for (name, merged) in &classes {
            let warnings = merged.result.warnings.iter();
            let warnings = warnings.map(|warning| format!("workload {name}: {warning}"));
            whole.warnings.extend(warnings);
        }
        let parts: Vec<_> = (0..self.parts.len())
            .map(|at| self.whole_part(at, &classes))
            .collect();
        self.finish(&mut whole, folder, &parts)?;
        Ok(Merged {
            result: whole,
            parts,
        })
    }

    /// A part with what was merged of all its classes.
    fn whole_part(&self, at: usize, classes: &[(&String, Merged)]) -> MergedPart {
        const VERDICTS: [&str; 3] = ["clean", "degraded", "client-bound"];
        let location = self.parts[at].clone();
        let of_classes = classes.iter().filter_map(|(name, merged)| {
            let place = location.join(name);
            let part = merged.parts.iter().find(|part| part.location == place)?;
            Some((name, part))
        });
        let of_classes: Vec<_> = of_classes.collect();
        let problems = of_classes.iter().filter_map(|(name, part)| {
            let problem = part.problem.as_ref()?;
            Some(format!("workload {name}: {problem}"))
        });
        let problems: Vec<_> = problems.collect();
        let verdicts = of_classes
            .iter()
            .filter_map(|(_, part)| part.verdict.clone());
        let rank = |verdict: &String| VERDICTS.iter().position(|known| known == verdict);
        MergedPart {
            requests: of_classes.iter().map(|(_, part)| part.requests).sum(),
            verdict: verdicts.max_by_key(rank),
            problem: (!problems.is_empty()).then(|| problems.join("; ")),
            location,
        }
    }
}
