//! Reports from folders.

use super::Report;
use crate::RunResult;
use crate::base::error::{Error, Result};
use crate::experiment::{
    AbResult, CapacityResult, Comparison, HeatmapResult, LoadTestResult, Measured, RepeatResult,
    WorkloadsResult,
};
use crate::storage::Location;

/// What a folder holds.
enum Found {
    Run(Box<RunResult>),
    LoadTest(LoadTestResult),
    /// What is reported by itself.
    Other(Report),
}

impl Report {
    /// The report of a folder, here or in the cloud: a run's, that of a mix, a load test's, a heatmap's, an A/B test's or that of
    /// repeats, also of the Python package. Of several folders, all of them runs or all of them load tests,
    /// the report compares the others with the first.
    ///
    /// # Errors
    /// If a folder holds nothing of that kind or cannot be read, or if several are not of one kind.
    pub fn load(folders: &[Location]) -> Result<Self> {
        if let [folder] = folders {
            if WorkloadsResult::is_in(folder) {
                return of_mix(folder);
            }
            return Ok(match load(folder)? {
                Found::Run(run) => Self::of_run(&run),
                Found::LoadTest(test) => Self::of_load_test(&test),
                Found::Other(report) => report,
            });
        }
        let (mut runs, mut tests) = (Vec::new(), Vec::new());
        for folder in folders {
            match load(folder)? {
                Found::Run(run) => runs.push(*run),
                Found::LoadTest(test) => tests.push(test),
                Found::Other(_) => {
                    let reason = format!(
                        "{folder} is neither a run nor a load test: only those are reported together"
                    );
                    return Err(Error::refused("report", reason));
                }
            }
        }
        let names = names(folders);
        match (runs.is_empty(), tests.is_empty()) {
            (false, true) => {
                let runs: Vec<_> = names.into_iter().zip(runs).collect();
                let measured = runs.iter().map(|(name, run)| Measured::of(name, run));
                let compared = compare(measured.collect());
                Ok(Self::of_runs(&runs, compared.as_ref()))
            }
            (true, false) => {
                let measured = folders.iter().cloned().map(Measured::load);
                let mut measured = measured.collect::<Result<Vec<_>>>()?;
                for ((test, one), name) in tests.iter_mut().zip(&mut measured).zip(names) {
                    one.name.clone_from(&name);
                    test.test_name = Some(name);
                }
                let compared = compare(measured);
                Ok(Self::of_load_tests(&tests, compared.as_ref()))
            }
            _ => Err(Error::refused(
                "report",
                "runs and load tests are not reported together: give folders of one kind",
            )),
        }
    }
}

/// The report of a mix; of one that is under way, or was ended before its end, that of its classes.
fn of_mix(folder: &Location) -> Result<Report> {
    match WorkloadsResult::load(folder.clone()) {
        Err(reason @ Error::NotARun { .. }) => {
            let (classes, _) = WorkloadsResult::load_classes(folder);
            match classes.is_empty() {
                true => Err(reason),
                false => Ok(Report::of_runs(&classes, None)),
            }
        }
        mix => Ok(Report::of_workloads(&mix?)),
    }
}

fn load(folder: &Location) -> Result<Found> {
    if HeatmapResult::is_in(folder) {
        let heatmap = HeatmapResult::load(folder.clone())?;
        return Ok(Found::Other(Report::of_heatmap(&heatmap)));
    }
    if AbResult::is_in(folder) {
        let test = AbResult::load(folder.clone())?;
        return Ok(Found::Other(Report::of_ab(&test)));
    }
    if CapacityResult::is_in(folder) {
        let found = CapacityResult::load(folder.clone())?;
        return Ok(Found::Other(Report::of_capacity(&found)));
    }
    match RunResult::load(folder.clone()) {
        Err(Error::NotARun { .. }) if LoadTestResult::is_in(folder) => {
            LoadTestResult::load(folder.clone()).map(Found::LoadTest)
        }
        Err(Error::NotARun { .. }) if RepeatResult::is_in(folder) => {
            let repeats = RepeatResult::load(folder.clone())?;
            Ok(Found::Other(Report::of_repeats(&repeats)))
        }
        run => Ok(Found::Run(Box::new(run?))),
    }
}

/// All others with the first; `None` where they have nothing to compare, such as no request.
fn compare(mut all: Vec<Measured>) -> Option<Comparison> {
    let others = all.split_off(1);
    Comparison::of(all.first()?, &others).ok()
}

/// Short names of folders: their last parts, or whole, where those are the same.
fn names(folders: &[Location]) -> Vec<String> {
    let last = |folder: &Location| folder.file_name().unwrap_or_else(|| folder.to_string());
    let short: Vec<String> = folders.iter().map(last).collect();
    let is_unique = |name: &String| short.iter().filter(|other| *other == name).count() == 1;
    let names = folders.iter().zip(&short);
    names
        .map(|(folder, name)| match is_unique(name) {
            true => name.clone(),
            false => folder.to_string(),
        })
        .collect()
}
