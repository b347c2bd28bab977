//! Two or more variants, block by block.

mod result;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

pub use self::result::{AbComparison, AbEnd, AbPlan, AbResult, AbVariantPlan};
use super::load_test::{is_spent, remaining};
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::experiment::watched::watched_runs;
use crate::payload::Payload;
use crate::result::{RunFolder, RunResult, take_folder};
use crate::run::{Interrupt, Observer, RunConfig, Runner, default_run_name};
use crate::stats::Answer;
use crate::storage::Location;
use llmeter_wire::clock;

/// Rounds of a test without another budget.
const DEFAULT_MAX_ROUNDS: usize = 200;
/// The probability of error by default.
const DEFAULT_ALPHA: f64 = 0.05;
/// Differences that do not matter, as a share, by default.
const DEFAULT_MARGIN: f64 = 0.05;

/// Characters of a text in a payload that are shown where variants differ in it.
const MAX_SHOWN: usize = 40;

type ObserveBlock = dyn Fn(usize, &str) -> Option<Arc<dyn Observer>> + Send + Sync;

/// One of the things that are compared: a run, and its name.
#[derive(Clone)]
pub struct AbVariant {
    /// Its name, which folders have, too.
    pub name: String,
    /// A block of it: one run. Its output, name and limit of cost are not used.
    pub config: RunConfig,
}

/// A comparison of variants by alternating blocks.
///
/// A round has one block, which is a run, of each variant, in an order that is drawn anew, so that a drift of
/// machine, network or provider is in all of them alike. The figure of a block is compared with that of the
/// first variant's block of the same round, as a ratio. The test ends when the answer is known: the figure
/// differs, or it does not by more than a margin. Looking while it goes on is accounted for
/// ([`analyse_pairs`](crate::stats::analyse_pairs) names the method), with the probability of error shared
/// among the comparisons.
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::experiment::{AbTest, AbVariant};
/// use llmeter::{Load, OpenAiChat, RunConfig};
///
/// # fn main() -> llmeter::Result<()> {
/// let variant = |name: &str, url: &str| -> llmeter::Result<AbVariant> {
///     let endpoint = OpenAiChat::builder(url, "my-model").build()?;
///     let payload = OpenAiChat::create_payload("Tell me a story.", 128, Default::default())?;
///     let config = RunConfig::new(Arc::new(endpoint), [payload]).load(Load::Requests(10));
///     Ok(AbVariant { name: name.to_owned(), config })
/// };
/// let variants = [variant("a", "http://one:8000/v1")?, variant("b", "http://two:8000/v1")?];
/// let done = AbTest::new(variants, "time_to_first_token-p50").run_blocking()?;
/// println!("{:?}", done.comparisons()[0].analysis);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct AbTest {
    variants: Vec<AbVariant>,
    plan: AbPlan,
    output: Option<Location>,
    run_name: Option<String>,
    seed: u64,
    max_requests: Option<u64>,
    max_duration: Option<Duration>,
    max_cost: Option<f64>,
    observe: Option<Arc<ObserveBlock>>,
    interrupt: Interrupt,
}

impl AbTest {
    /// A test of these variants by a statistic of a block: a key of `stats.json` that is above 0, like
    /// `time_to_first_token-p50` or `output_tps`. The first variant is what the others are compared with.
    pub fn new(variants: impl IntoIterator<Item = AbVariant>, metric: impl Into<String>) -> Self {
        let variants: Vec<AbVariant> = variants.into_iter().collect();
        let payloads: Vec<_> = variants.iter().map(first_payload).collect();
        let named = |(at, variant): (usize, &AbVariant)| AbVariantPlan {
            name: variant.name.clone(),
            about: variant.config.run_description.clone(),
            payload: differing(&payloads, at),
        };
        Self {
            plan: AbPlan {
                format: 1,
                variants: variants.iter().enumerate().map(named).collect(),
                metric: metric.into(),
                alpha: DEFAULT_ALPHA,
                margin: DEFAULT_MARGIN,
                max_rounds: DEFAULT_MAX_ROUNDS,
                ended_by: None,
            },
            variants,
            output: None,
            run_name: None,
            seed: 0,
            max_requests: None,
            max_duration: None,
            max_cost: None,
            observe: None,
            interrupt: Interrupt::new(),
        }
    }

    /// Sets the folder in which the test's own is made, and its name; without a name the local time gives
    /// one.
    #[must_use]
    pub fn output(mut self, folder: impl Into<Location>, name: Option<String>) -> Self {
        self.output = Some(folder.into());
        self.run_name = name;
        self
    }

    /// Sets the probability with which any answer may be wrong; 0.05 by default.
    #[must_use]
    pub fn alpha(mut self, alpha: f64) -> Self {
        self.plan.alpha = alpha;
        self
    }

    /// Sets which difference does not matter, as a share of the first variant's figure; 0.05 by default.
    #[must_use]
    pub fn margin(mut self, margin: f64) -> Self {
        self.plan.margin = margin;
        self
    }

    /// Decides the order of blocks.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Begins no more rounds than this; 200 by default.
    #[must_use]
    pub fn max_rounds(mut self, rounds: usize) -> Self {
        self.plan.max_rounds = rounds;
        self
    }

    /// Begins no round that would send more requests than this in all.
    #[must_use]
    pub fn max_requests(mut self, requests: u64) -> Self {
        self.max_requests = Some(requests);
        self
    }

    /// Begins no round after this time.
    #[must_use]
    pub fn max_duration(mut self, duration: Duration) -> Self {
        self.max_duration = Some(duration);
        self
    }

    /// Spends no more than this over all blocks. Each variant needs a cost model among its callbacks.
    #[must_use]
    pub fn max_cost(mut self, cost: f64) -> Self {
        self.max_cost = Some(cost);
        self
    }

    watched_runs! {
        /// Asks `observe` at each block, given its round, counted from 1, and its variant, for whom to tell how
        /// it goes on.
        usize, &str;
        /// Makes `interrupt` end the test: what was measured is kept.
    }

    /// Checks everything before anything is sent.
    ///
    /// # Errors
    /// The first setting that cannot be used.
    pub fn validate(&self) -> Result<()> {
        let plan = &self.plan;
        if plan.variants.len() < 2 {
            let given = plan.variants.len();
            return Err(Error::field("variants", given, "two or more"));
        }
        for (at, variant) in plan.variants.iter().enumerate() {
            let name = &variant.name;
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            if name.is_empty() || !name.chars().all(is_name) {
                let expected = "a name of letters, digits and any of -_.";
                return Err(Error::field("variant", format!("{name:?}"), expected));
            }
            if plan.variants[..at].iter().any(|other| other.name == *name) {
                return Err(Error::field("variant", name, "a name of its own for each"));
            }
        }
        if !(plan.alpha > 0.0 && plan.alpha < 1.0) {
            return Err(Error::field("alpha", plan.alpha, "between 0 and 1"));
        }
        if !(0.0..1.0).contains(&plan.margin) {
            return Err(Error::field("margin", plan.margin, "from 0 to below 1"));
        }
        if plan.max_rounds == 0 {
            return Err(Error::field("rounds", 0, "1 or more"));
        }
        for variant in &self.variants {
            let mut config = variant.config.clone();
            config.max_cost = self.max_cost;
            config.validate()?;
        }
        let round: u64 = self.variants.iter().map(planned).sum();
        if let Some(max) = self.max_requests.filter(|max| *max < round) {
            let expected = format!("at least the {round} requests of one round");
            return Err(Error::invalid(Setting::MaxRequests, max, expected));
        }
        if self.max_duration.is_some_and(|time| time.is_zero()) {
            return Err(Error::invalid(Setting::MaxDuration, "0s", "more than 0s"));
        }
        if let Some(output) = &self.output {
            output.check(Setting::Output)?;
        }
        Ok(())
    }

    /// Carries the test out, blocking the calling thread. What was measured is kept whatever ends it.
    ///
    /// # Errors
    /// When a setting cannot be used, a folder cannot be made, or the first block cannot start.
    pub fn run_blocking(&self) -> Result<AbResult> {
        self.validate()?;
        let folder = match (&self.output, &self.run_name) {
            (None, _) => None,
            (Some(output), Some(name)) => Some(output.join(name)),
            (Some(output), None) => Some(RunFolder::create_group(output, &default_run_name())?),
        };
        if let Some(folder) = &folder {
            let mut variants = self.variants.iter();
            take_folder(folder, variants.any(|variant| variant.config.overwrite))?;
        }
        let mut done = AbResult::new(self.plan.clone(), folder);
        // A test that is killed loads again, too.
        done.save()?;
        let began = clock::now();
        let mut left = self.max_cost;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut order: Vec<usize> = (0..self.variants.len()).collect();
        let ended_by = 'test: loop {
            let round = done.rounds.len() + 1;
            if let Some(end) = self.over(&done, began, left) {
                break end;
            }
            order.shuffle(&mut random);
            done.rounds.push(vec![None; self.variants.len()]);
            for &variant in &order {
                if left == Some(0.0) {
                    break 'test AbEnd::Cost;
                }
                let result = match self.block(round, variant, done.output_path.as_ref(), left) {
                    Ok(result) => result,
                    Err(_) if self.interrupt.is_stopped() => break 'test AbEnd::Interrupted,
                    Err(reason) if done.blocks().next().is_none() => return Err(reason),
                    Err(reason) if is_spent(&reason) => break 'test AbEnd::Cost,
                    Err(reason) => {
                        done.warnings.push(format!("round {round}: {reason}"));
                        break 'test AbEnd::Failed;
                    }
                };
                left = remaining(left, &result);
                let stats = result.stats();
                let end = if result.interrupted && self.interrupt.is_stopped() {
                    Some(AbEnd::Interrupted)
                } else if !result.unwritten.is_empty() {
                    Some(AbEnd::Unwritten)
                } else if stats.stopped_by.is_some() {
                    Some(AbEnd::Failed)
                } else if stats.cost_limit_reached == Some(true) {
                    Some(AbEnd::Cost)
                } else {
                    None
                };
                if let Some(block) = done.rounds.last_mut() {
                    block[variant] = Some(result);
                }
                if let Some(end) = end {
                    break 'test end;
                }
            }
        };
        done.plan.ended_by = Some(ended_by);
        if let Err(reason) = done.save() {
            done.warnings.push(reason.to_string());
        }
        Ok(done)
    }

    /// Whether there is to be no further round, and why.
    fn over(&self, done: &AbResult, began: clock::Stamp, left: Option<f64>) -> Option<AbEnd> {
        let is_open = |one: &AbComparison| {
            let analysis = one.analysis.as_ref();
            analysis.is_none_or(|analysis| analysis.answer == Answer::Open)
        };
        if !done.rounds.is_empty() && !done.so_far(&self.plan.metric).iter().any(is_open) {
            return Some(AbEnd::Answered);
        }
        let round = done.rounds.len();
        let requests = |round: &[Option<RunResult>]| -> u64 {
            let blocks = round.iter().flatten();
            blocks
                .filter_map(|block| block.summary.total_requests)
                .sum()
        };
        let sent: u64 = done.rounds.iter().map(|round| requests(round)).sum();
        let next = match done.rounds.last() {
            Some(last) => requests(last),
            None => self.variants.iter().map(planned).sum(),
        };
        if round >= self.plan.max_rounds {
            Some(AbEnd::Rounds)
        } else if self.max_requests.is_some_and(|max| sent + next > max) {
            Some(AbEnd::Requests)
        } else if self
            .max_duration
            .is_some_and(|max| clock::now() >= began.after(max))
        {
            Some(AbEnd::Duration)
        } else if left == Some(0.0) {
            Some(AbEnd::Cost)
        } else {
            None
        }
    }

    fn block(
        &self,
        round: usize,
        variant: usize,
        folder: Option<&Location>,
        max_cost: Option<f64>,
    ) -> Result<RunResult> {
        let AbVariant { name, config } = &self.variants[variant];
        let mut runner = Runner::new(config.clone()).interrupted_by(self.interrupt.clone());
        if let Some(observer) = self
            .observe
            .as_ref()
            .and_then(|observe| observe(round, name))
        {
            runner = runner.observe(observer);
        }
        runner.run_blocking_with(|run| {
            run.output = folder.cloned();
            run.run_name = Some(result::block_name(round, name));
            run.max_cost = max_cost;
            // Payloads in another order each time, the same for all variants.
            run.seed = self.seed.wrapping_add(round as u64);
            run.skip_data(round);
        })
    }
}

fn first_payload(variant: &AbVariant) -> Option<&Payload> {
    variant.config.payloads.first().map(Arc::as_ref)
}

/// The fields of a variant's first payload that are not the same in all, with their values.
fn differing(payloads: &[Option<&Payload>], at: usize) -> Vec<String> {
    let mut keys: Vec<&String> = Vec::new();
    for key in payloads.iter().flatten().flat_map(|payload| payload.keys()) {
        if !keys.contains(&key) {
            keys.push(key);
        }
    }
    let value = |at: usize, key: &str| payloads.get(at).copied().flatten()?.get(key);
    let differs = |key: &&String| (1..payloads.len()).any(|at| value(at, key) != value(0, key));
    let shown = |key: &String| match value(at, key) {
        Some(Value::Number(number)) => format!("{key} {number}"),
        Some(Value::Bool(is_on)) => format!("{key} {is_on}"),
        Some(Value::String(text)) if text.chars().count() <= MAX_SHOWN => format!("{key} {text}"),
        Some(_) => format!("{key} of its own"),
        None => format!("no {key}"),
    };
    keys.into_iter().filter(differs).map(shown).collect()
}

/// Requests of a block, as far as that is known before.
fn planned(variant: &AbVariant) -> u64 {
    let each = variant.config.requests_per_client().unwrap_or(0);
    each.saturating_mul(variant.config.clients as u64)
}

impl fmt::Debug for AbTest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("AbTest");
        shown.field("plan", &self.plan).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_in_payloads_is_named_for_each_variant() {
        let payloads = [
            json!({"model": "m", "max_tokens": 16, "messages": [1], "stop": "x"}),
            json!({"model": "m", "max_tokens": 32, "messages": [2], "seed": true}),
        ];
        let payloads: Vec<_> = payloads.iter().map(Value::as_object).collect();
        assert_eq!(
            differing(&payloads, 0),
            ["max_tokens 16", "messages of its own", "stop x", "no seed"]
        );
        assert_eq!(
            differing(&payloads, 1),
            [
                "max_tokens 32",
                "messages of its own",
                "no stop",
                "seed true"
            ]
        );
        assert_eq!(differing(&[payloads[0], payloads[0]], 1), [""; 0]);
        assert_eq!(differing(&[None, None], 0), [""; 0]);
    }
}
