//! Several classes of workload side by side, and all of them together as one run.

mod figures;
mod result;
mod saved;
mod share;

use std::fmt;
use std::sync::Arc;

use serde_json::{Map, Value, json};

pub(super) use figures::{of_class, of_merged};
pub use result::WorkloadsResult;
pub use saved::SavedWorkloads;
pub(super) use saved::about;

use super::merge::merge_workloads;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::experiment::watched::watched_runs;
use crate::result::{RunFolder, RunResult};
use crate::run::{Interrupt, Observer, RunConfig, default_run_name, run_together};
use crate::stats::Condition;
use crate::storage::Location;

/// The statistic with the figures of the classes; in `llmeter.json`, their names, whose folders are beside it.
pub(super) const WORKLOADS: &str = "workloads";
/// The folder of the classes as each was alone.
pub(crate) const ALONE: &str = "alone";

/// One class of workload.
#[derive(Clone)]
pub struct Workload {
    /// Its name, which its folder and its responses have, too.
    pub name: String,
    /// Its part of a load that several classes share, of any unit; `None` has a load of its own.
    pub share: Option<f64>,
    /// Its run. Of a class with a share, the load is the whole one. Its output and name are not used.
    pub config: RunConfig,
}

/// Classes of workload that run side by side: each with its own load, data, model, endpoint and SLOs.
///
/// All begin at the same moment, and their workers share threads, so that there are no more of them than one run
/// has. Each class is an ordinary run in a folder of its own, `OUTPUT/NAME/CLASS`; `OUTPUT/NAME` is an ordinary
/// run, too, with the responses of all. Its statistic `workloads` has the figures of each class.
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::experiment::{Workload, Workloads};
/// use llmeter::{Load, OpenAiChat, RunConfig};
///
/// # fn main() -> llmeter::Result<()> {
/// let class = |name: &str, tokens: u64, share: f64| -> llmeter::Result<Workload> {
///     let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
///     let payload = OpenAiChat::create_payload("Tell me a story.", tokens, Default::default())?;
///     let config = RunConfig::new(Arc::new(endpoint), [payload])
///         .rate("20/s".parse().unwrap())
///         .load(Load::Duration(std::time::Duration::from_secs(60)));
///     Ok(Workload { name: name.to_owned(), share: Some(share), config })
/// };
/// let mix = Workloads::new([class("chat", 128, 0.7)?, class("reports", 2048, 0.3)?], "runs");
/// let done = mix.run_blocking()?;
/// println!("{:?}", done.classes[0].1.stats().ttft.p99);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Workloads {
    classes: Vec<Workload>,
    output: Location,
    run_name: Option<String>,
    description: Option<String>,
    overwrite: bool,
    slos: Vec<Condition>,
    alone: bool,
    is_divided: bool,
    observe: Option<Arc<ObserveClass>>,
    interrupt: Interrupt,
}

type ObserveClass = dyn Fn(&str) -> Option<Arc<dyn Observer>> + Send + Sync;

impl Workloads {
    /// Classes, and the folder in which that of the whole is made.
    pub fn new(classes: impl IntoIterator<Item = Workload>, output: impl Into<Location>) -> Self {
        Self {
            classes: classes.into_iter().collect(),
            output: output.into(),
            run_name: None,
            description: None,
            overwrite: false,
            slos: Vec::new(),
            alone: false,
            is_divided: false,
            observe: None,
            interrupt: Interrupt::new(),
        }
    }

    /// Sets the name of the whole, which is also its folder's; without one the local time gives it.
    #[must_use]
    pub fn run_name(mut self, name: Option<String>) -> Self {
        self.run_name = name;
        self
    }

    /// Sets a free text about the whole.
    #[must_use]
    pub fn description(mut self, text: Option<String>) -> Self {
        self.description = text;
        self
    }

    /// Replaces a run of this name.
    #[must_use]
    pub fn overwrite(mut self, overwrite: bool) -> Self {
        self.overwrite = overwrite;
        self
    }

    /// Sets what the whole is to meet, whatever its classes are.
    #[must_use]
    pub fn slos(mut self, slos: Vec<Condition>) -> Self {
        self.slos = slos;
        self
    }

    /// Runs each class alone first, in `OUTPUT/NAME/alone/CLASS`, so that it is known what the others do to
    /// it: `alone` in the figures of a class has its latencies alone, and `times_alone` how many times as long
    /// they are together.
    #[must_use]
    pub fn alone(mut self, alone: bool) -> Self {
        self.alone = alone;
        self
    }

    /// Takes the classes' loads as the parts of a whole that they are already, as those of a mix that is repeated
    /// from its folder: their shares are only told.
    #[must_use]
    pub fn divided(mut self, is_divided: bool) -> Self {
        self.is_divided = is_divided;
        self
    }

    watched_runs! {
        /// Asks `observe` at each class for whom to tell how it goes on.
        &str;
        /// Makes `interrupt` end all classes: what was measured is kept.
    }

    /// The classes as they run: those that share a load have their part of it.
    ///
    /// # Errors
    /// If a name or a share cannot be used, a class is left without any load, or its configuration cannot be
    /// used.
    pub fn planned(&self) -> Result<Vec<Workload>> {
        if self.classes.is_empty() {
            return Err(Error::missing_field("workload"));
        }
        for (at, class) in self.classes.iter().enumerate() {
            let name = &class.name;
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let is_folder = !matches!(name.as_str(), "" | "." | ".." | ALONE);
            if !is_folder || !name.chars().all(is_name) {
                let expected = format!("letters, digits and any of -_., and not {ALONE}");
                return Err(Error::field("workload", format!("{name:?}"), expected));
            }
            if self.classes[..at].iter().any(|other| other.name == *name) {
                return Err(Error::field("workload", name, "a name of its own for each"));
            }
        }
        let mut planned = share::divided(&self.classes, self.is_divided)?;
        for class in &mut planned {
            class.config.workload = Some(class.name.clone());
            class.config.validate()?;
        }
        self.output.check(Setting::Output)?;
        Ok(planned)
    }

    /// Carries all of it out, blocking the calling thread. What was measured is kept whatever ends it.
    ///
    /// # Errors
    /// When a setting cannot be used, a folder cannot be made, or one of the classes cannot begin.
    pub fn run_blocking(&self) -> Result<WorkloadsResult> {
        let planned = self.planned()?;
        let folder = match &self.run_name {
            Some(name) => RunFolder::create(self.output.join(name), self.overwrite)?,
            None => RunFolder::create_free(self.output.clone(), &default_run_name())?,
        };
        match self.run_in(&folder, &planned) {
            Ok(done) => Ok(done),
            Err(reason) => {
                folder.release();
                Err(reason)
            }
        }
    }

    fn run_in(&self, folder: &RunFolder, planned: &[Workload]) -> Result<WorkloadsResult> {
        let names: Vec<&str> = planned.iter().map(|class| class.name.as_str()).collect();
        let shares: Vec<_> = planned.iter().map(|class| class.share).collect();
        let description = self.description.as_deref();
        folder.write_own_config(&about(&names, &shares, &self.slos, description))?;
        let mut alone = Vec::new();
        if self.alone {
            for class in planned {
                let place = folder.location().join(ALONE).join(&class.name);
                let done = self.carry_out(std::slice::from_ref(class), |_| place.clone())?;
                alone.extend(done.into_iter().map(|result| (class.name.clone(), result)));
                if self.interrupt.is_stopped() {
                    return Err(Error::Interrupted);
                }
            }
        }
        let place = |name: &str| folder.location().join(name);
        let results = self.carry_out(planned, place)?;
        let places: Vec<Location> = names.iter().map(|name| place(name)).collect();
        let mut whole = merge_workloads(&places, folder, &self.slos)?;
        if self.description.is_some() {
            whole.summary.run_description.clone_from(&self.description);
        }
        let classes = planned.iter().zip(&results).enumerate();
        let figures: Vec<Value> = classes
            .map(|(at, (class, result))| {
                of_class(class, result, alone.get(at).map(|(_, alone)| alone))
            })
            .collect();
        whole.add_stats(Map::from_iter([(WORKLOADS.to_owned(), json!(figures))]));
        for (name, result) in names.iter().zip(&results) {
            let warnings = result.warnings.iter();
            let warnings = warnings.map(|warning| format!("workload {name}: {warning}"));
            whole.warnings.extend(warnings);
            whole.unwritten.extend(result.unwritten.iter().cloned());
        }
        folder.write_summary_and_stats(&whole.summary, &whole.stats_map())?;
        let names = names.into_iter().map(str::to_owned);
        Ok(WorkloadsResult {
            whole,
            classes: names.zip(results).collect(),
            alone,
            warnings: Vec::new(),
        })
    }

    /// Runs classes side by side.
    fn carry_out(
        &self,
        classes: &[Workload],
        place: impl Fn(&str) -> Location,
    ) -> Result<Vec<RunResult>> {
        let run = |class: &Workload| {
            let mut config = class.config.clone();
            config.folder = Some(place(&class.name));
            config.run_name = Some(class.name.clone());
            config.output = None;
            config.overwrite |= self.overwrite;
            let observer = self.observe.as_ref();
            (config, observer.and_then(|observe| observe(&class.name)))
        };
        let runs = classes.iter().map(run).collect();
        run_together(runs, &self.interrupt)?.into_iter().collect()
    }
}

impl fmt::Debug for Workloads {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.classes.iter().map(|class| &class.name).collect();
        formatter
            .debug_struct("Workloads")
            .field("classes", &names)
            .field("output", &self.output)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Workload")
            .field("name", &self.name)
            .field("share", &self.share)
            .finish_non_exhaustive()
    }
}
