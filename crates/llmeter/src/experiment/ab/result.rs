//! The outcome of a comparison by blocks.

use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::experiment::plan_file;
use crate::experiment::repeat::finding_on_average;
use crate::result::{AB_FILE, RunResult};
use crate::stats::{Condition, PairedAnalysis, analyse_pairs};
use crate::storage::Location;

/// What a test was to do, as `ab.json` has it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AbPlan {
    /// The version of the file's format.
    pub(super) format: u32,
    /// The variants; the first is what the others are compared with.
    pub variants: Vec<AbVariantPlan>,
    /// The statistic that decides.
    pub metric: String,
    /// The probability with which any answer may be wrong.
    pub alpha: f64,
    /// The difference that does not matter, as a share.
    pub margin: f64,
    /// The most rounds.
    pub max_rounds: usize,
    /// What ended it.
    pub ended_by: Option<AbEnd>,
}

/// A variant as `ab.json` has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AbVariantPlan {
    /// Its name.
    pub name: String,
    /// What it is, in the user's words.
    pub about: Option<String>,
    /// The fields of its first payload that differ from the first variant's, like `max_tokens 32`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub payload: Vec<String>,
}

/// Why a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AbEnd {
    /// The answer is known.
    Answered,
    /// All rounds were carried out.
    Rounds,
    /// Another round would have sent too many requests.
    Requests,
    /// The time was over.
    Duration,
    /// The limit of cost was reached.
    Cost,
    /// It was interrupted.
    Interrupted,
    /// A block could not be carried out, or too much in it failed.
    Failed,
    /// Files could not be written.
    Unwritten,
}

/// The outcome of a test by blocks.
#[derive(Debug, Clone)]
pub struct AbResult {
    /// What was to be done.
    pub plan: AbPlan,
    /// The blocks of each round, in the order of the variants; `None` where one is missing.
    pub rounds: Vec<Vec<Option<RunResult>>>,
    /// The test's folder; `None` if nothing was written.
    pub output_path: Option<Location>,
    /// What was found wrong.
    pub warnings: Vec<String>,
}

/// One variant against the first, by one statistic.
#[derive(Debug, Clone, PartialEq)]
pub struct AbComparison {
    /// The variant.
    pub variant: String,
    /// Geometric means of the statistic over the rounds that count: of the first variant, and of this one.
    pub means: Option<(f64, f64)>,
    /// Of the logarithms of the ratios, this variant's by the first's; `None` without rounds.
    pub analysis: Option<PairedAnalysis>,
}

impl AbComparison {
    /// The difference as a share of the first variant's figure: 0.1 is 10 % more.
    pub fn difference(&self) -> Option<f64> {
        Some(self.analysis.as_ref()?.mean.exp_m1())
    }

    /// The interval of [`difference`](Self::difference).
    pub fn interval(&self) -> Option<(f64, f64)> {
        let (low, high) = self.analysis.as_ref()?.interval?;
        Some((low.exp_m1(), high.exp_m1()))
    }
}

/// The name of a block's run and of its folder.
pub(super) fn block_name(round: usize, variant: &str) -> String {
    format!("{round:05}-{variant}")
}

impl AbResult {
    pub(super) fn new(plan: AbPlan, output_path: Option<Location>) -> Self {
        Self {
            plan,
            rounds: Vec::new(),
            output_path,
            warnings: Vec::new(),
        }
    }

    /// Loads a test, with the responses of its blocks.
    ///
    /// # Errors
    /// When the folder is not that of a test.
    pub fn load(path: impl Into<Location>) -> Result<Self> {
        Self::load_by(path.into(), RunResult::load)
    }

    /// As [`load`](Self::load), without the responses.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_without_responses(path: impl Into<Location>) -> Result<Self> {
        Self::load_by(path.into(), RunResult::load_without_responses)
    }

    fn load_by(path: Location, load: fn(Location) -> Result<RunResult>) -> Result<Self> {
        let plan: AbPlan = plan_file::read(&path, AB_FILE)?;
        let names = path.list_blocking()?;
        let mut done = Self::new(plan, Some(path.clone()));
        for round in 1.. {
            let mut blocks = Vec::new();
            for variant in &done.plan.variants {
                let name = block_name(round, &variant.name);
                let block = names.contains(&name).then(|| path.join(&name));
                blocks.push(match block.map(load).transpose() {
                    Ok(block) => block,
                    Err(reason) => {
                        done.warnings.push(reason.to_string());
                        None
                    }
                });
            }
            let prefix = format!("{round:05}-");
            if !names.iter().any(|name| name.starts_with(&prefix)) {
                break;
            }
            done.rounds.push(blocks);
        }
        Ok(done)
    }

    /// Whether a folder is that of a test.
    pub fn is_in(path: &Location) -> bool {
        plan_file::is_in(path, AB_FILE)
    }

    pub(super) fn save(&self) -> Result<()> {
        plan_file::write(self.output_path.as_ref(), AB_FILE, &self.plan)
    }

    /// All blocks.
    pub fn blocks(&self) -> impl Iterator<Item = &RunResult> {
        self.rounds.iter().flatten().flatten()
    }

    /// The blocks of a variant.
    pub fn blocks_of(&self, variant: usize) -> impl Iterator<Item = &RunResult> {
        self.rounds
            .iter()
            .filter_map(move |round| round.get(variant)?.as_ref())
    }

    /// What the deciding statistic says of each variant but the first.
    pub fn comparisons(&self) -> Vec<AbComparison> {
        self.by(&self.plan.metric)
    }

    /// What another statistic says. Each has the test's probability of error of its own.
    pub fn by(&self, metric: &str) -> Vec<AbComparison> {
        self.compare(metric, true)
    }

    /// As the test sees it while it goes on.
    pub(super) fn so_far(&self, metric: &str) -> Vec<AbComparison> {
        self.compare(metric, false)
    }

    /// Judges every block by these SLOs in the place of its own
    /// ([`RunResult::judge_by`](crate::RunResult::judge_by)).
    pub fn judge_by(&mut self, slos: &[Condition]) {
        let blocks = self.rounds.iter_mut().flatten().flatten();
        blocks.for_each(|block| block.judge_by(slos.to_vec()));
    }

    /// The share of a variant's requests, counted from 0, that meet every SLO of single requests; `None`
    /// without such SLOs.
    pub fn goodput_rate(&self, variant: usize) -> Option<f64> {
        let (mut good, mut all) = (0.0, 0.0);
        for stats in self.blocks_of(variant).map(RunResult::stats) {
            let requests = stats.total_requests.unwrap_or(0) as f64;
            good += requests * stats.goodput_rate?;
            all += requests;
        }
        (all > 0.0).then_some(good / all)
    }

    /// What to say of a variant, counted from 0, if the mean over its blocks fulfils a condition that must not
    /// hold, or if no block has its figure.
    pub fn finding(&self, variant: usize, condition: &Condition) -> Option<String> {
        let blocks: Vec<_> = self.blocks_of(variant).collect();
        let whole: Vec<_> = blocks
            .iter()
            .copied()
            .filter(|one| !one.interrupted)
            .collect();
        let counted = if whole.is_empty() { &blocks } else { &whole };
        let finding = finding_on_average(condition, counted)?;
        let name = &self.plan.variants.get(variant)?.name;
        let blocks = match counted.len() {
            1 => "1 block".to_owned(),
            count => format!("{count} blocks"),
        };
        Some(format!("{finding} on average over {blocks} of {name}"))
    }

    fn compare(&self, metric: &str, is_last: bool) -> Vec<AbComparison> {
        let others = self.plan.variants.iter().enumerate().skip(1);
        let comparisons = self.plan.variants.len().saturating_sub(1).max(1);
        let alpha = self.plan.alpha / comparisons as f64;
        let margin = ((-self.plan.margin).ln_1p(), self.plan.margin.ln_1p());
        let compared = others.map(|(at, variant)| {
            let pairs: Vec<(f64, f64)> = self
                .rounds
                .iter()
                .filter_map(|round| {
                    let of = |at: usize| figure(round.get(at)?.as_ref()?, metric);
                    Some((of(0)?, of(at)?))
                })
                .collect();
            let ratios: Vec<f64> = pairs
                .iter()
                .map(|(one, other)| (other / one).ln())
                .collect();
            let analysis = analyse_pairs(&ratios, alpha, margin, is_last);
            let counted = analysis.as_ref().map_or(0, |analysis| analysis.differences);
            let mean = |of: fn(&(f64, f64)) -> f64| {
                let logarithms = pairs[..counted].iter().map(|pair| of(pair).ln());
                (logarithms.sum::<f64>() / counted as f64).exp()
            };
            AbComparison {
                variant: variant.name.clone(),
                means: (counted > 0).then(|| (mean(|pair| pair.0), mean(|pair| pair.1))),
                analysis,
            }
        });
        compared.collect()
    }
}

/// The statistic of a block, if it can be compared: the block is whole, and the figure above 0.
fn figure(block: &RunResult, metric: &str) -> Option<f64> {
    let value = block.stats_map().get(metric)?.as_f64()?;
    (!block.interrupted && value > 0.0 && value.is_finite()).then_some(value)
}
