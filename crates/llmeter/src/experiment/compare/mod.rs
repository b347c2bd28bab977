//! Two runs or more side by side: what differs, and whether it is more than chance.

mod between;
mod blocks;
mod difference;
mod figures;
mod gate;
mod measured;
mod resample;
mod sample;
mod setup;
#[cfg(test)]
mod tests;

use serde::{Serialize, Serializer};

use self::difference::differences;
use self::figures::Better;
use self::measured::Level;
use self::resample::{CONFIDENCE, holm};
use crate::base::error::{Error, Result};
use crate::experiment::of_clients;
use crate::stats::{Figure, Support};
use crate::storage::Location;

pub use measured::Measured;
pub(crate) use setup::{PAYLOAD_DIGEST, payload_digest};

/// How often chance alone puts a wrong "better" or "worse" among all verdicts of a comparison. Two runs of
/// the same also differ by what the machine did meanwhile, which no request of theirs tells: both together
/// stay below 5 % (`cargo xtask false-positives`).
const ERROR_RATE: f64 = 0.025;
/// The part of it that is left to the headline figures; the others have the rest.
const HEADLINE_PART: f64 = 0.8;
/// A change of less is none that matters.
const MIN_CHANGE: f64 = 0.01;
/// Rounds of chance for each pair, and the most. Of 999 rounds no p-value is below 0.001, which Holm's
/// correction leaves to no figure among dozens: of this many it can.
const ROUNDS: usize = 9_999;
const MAX_ROUNDS: usize = 99_999;

/// What an interval of a comparison is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Spread {
    /// How blocks of requests differ within runs.
    Requests,
    /// How runs differ from repeat to repeat.
    Repeats,
}

/// What a comparison says of one figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Outcome {
    /// It is better than chance explains.
    Better,
    /// It is worse than chance explains.
    Worse,
    /// No difference is shown, which does not say that there is none.
    NoDifference,
    /// There is too little to tell.
    NotEnoughData,
}

impl Outcome {
    /// In words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "worse",
            Self::NoDifference => "no difference shown",
            Self::NotEnoughData => "not enough data",
        }
    }
}

/// One figure of two runs. Values are in the figure's unit, seconds for times.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Difference {
    /// The figure.
    #[serde(serialize_with = "as_text")]
    pub figure: Figure,
    /// Whether it is one that a comparison stands or falls by.
    pub is_headline: bool,
    /// Its value in the base; the mean over repeats.
    pub base: Option<f64>,
    /// Its value in the new run; the mean over repeats.
    pub new: Option<f64>,
    /// New less base.
    pub difference: Option<f64>,
    /// The 95 % interval of that.
    pub difference_interval: Option<(f64, f64)>,
    /// The difference as a share of the base.
    pub change: Option<f64>,
    /// The 95 % interval of that.
    pub change_interval: Option<(f64, f64)>,
    /// What the intervals are made of: the wider of the two, where there are repeats.
    pub spread: Option<Spread>,
    /// How often chance alone makes so large a difference, by itself. With repeats the larger one of the test
    /// of blocks and of Student's t over the repeats.
    pub p_value: Option<f64>,
    /// The same among all figures of its tier (Holm).
    pub adjusted_p_value: Option<f64>,
    /// How many requests, or bins of time, were drawn together.
    pub block_length: Option<usize>,
    /// How far the sample of the run with fewer values carries it, if it is a percentile.
    #[serde(skip)]
    pub support: Support,
    /// The figure that it repeats in other words, as successful requests do where none fails: its verdict
    /// is that one's, and corrections count the two once.
    #[serde(serialize_with = "as_text_if_any")]
    pub repeats: Option<Figure>,
    /// What it says; `None` for a figure of which neither more nor less is better, and for one that is a
    /// single number.
    pub outcome: Option<Outcome>,
    #[serde(skip)]
    better: Better,
    #[serde(skip)]
    is_rate: bool,
    #[serde(skip)]
    is_listed: bool,
    /// The interval of the change that the runs' own intervals make.
    #[serde(skip)]
    own_interval: Option<(f64, f64)>,
    #[serde(skip)]
    least: f64,
}

/// One run against another: all of it, or one level of a load test.
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Pair {
    /// The new run's folder or name.
    pub new: String,
    /// The level of a load test, in clients.
    pub clients: Option<usize>,
    /// How many runs the base's figures are means of: 1, or its repeats.
    pub base_repeats: usize,
    /// The same of the new one.
    pub new_repeats: usize,
    /// What was not measured alike, each as a sentence.
    pub unlike: Vec<String>,
    /// The figures that both have.
    pub differences: Vec<Difference>,
}

/// A base and what is compared with it.
///
/// Requests of a run depend on each other in time. So intervals come from a bootstrap of blocks of requests,
/// and verdicts from a permutation test of such blocks; how long a block is follows from the data (Politis and
/// White, 2004). P-values are adjusted with Holm's method over all pairs, four fifths of an error rate of 2.5 %
/// for the headline figures and one fifth for the others, which leaves room for what a machine does to one run
/// alone: in 95 of 100 comparisons of equals not one figure is called better or worse. A change of less than 1 %
/// is never called so.
///
/// Where a side has repeats, its figures are their means, and what changes from repeat to repeat counts where
/// it is more than what requests tell.
///
/// ```no_run
/// use llmeter::experiment::{Comparison, Measured, Outcome};
///
/// # fn main() -> llmeter::Result<()> {
/// let base = Measured::load("runs/before")?;
/// let new = Measured::load("runs/after")?;
/// let comparison = Comparison::of(&base, &[new])?;
/// for pair in &comparison.pairs {
///     for one in &pair.differences {
///         if one.outcome == Some(Outcome::Worse) {
///             println!("{} is worse: {:?}", one.figure, one.change_interval);
///         }
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The base's folder or name.
    pub base: String,
    /// How sure intervals are.
    pub confidence: f64,
    /// How verdicts on several figures are kept apart from chance.
    pub correction: &'static str,
    /// What is compared with the base, in the order given; of load tests level by level.
    pub pairs: Vec<Pair>,
    /// Levels of load tests that only one of two has.
    pub unmatched: Vec<String>,
}

impl Comparison {
    /// Compares each of `new` with `base`: runs with a run, load tests with a load test, level by level,
    /// each of them once or repeated.
    ///
    /// # Errors
    /// If there is nothing in `new`, or nothing that both have.
    pub fn of(base: &Measured, new: &[Measured]) -> Result<Self> {
        Self::by_rounds(base, new, ROUNDS)
    }

    fn by_rounds(base: &Measured, new: &[Measured], rounds: usize) -> Result<Self> {
        let mut comparison = Self {
            base: base.name.clone(),
            confidence: CONFIDENCE,
            correction: "holm",
            pairs: Vec::new(),
            unmatched: Vec::new(),
        };
        let mut matched = Vec::new();
        for one in new {
            comparison.match_levels(base, one, &mut matched);
        }
        if matched.is_empty() {
            return Err(Error::refused(
                "compare",
                "there is no level that both have: a run compares with a run, and a load test with one of the \
                 same numbers of clients",
            ));
        }
        let rounds = (matched.len() * rounds).min(MAX_ROUNDS);
        for (name, clients, one, other) in matched {
            comparison.pairs.push(Pair {
                new: name,
                clients,
                base_repeats: one.runs().len(),
                new_repeats: other.runs().len(),
                unlike: setup::unlike(one, other),
                differences: differences(one, other, rounds),
            });
        }
        comparison.judge();
        comparison.repeat_verdicts();
        Ok(comparison)
    }

    /// Loads folders of runs, of load tests or of repeats, here or in the cloud, and compares them.
    ///
    /// # Errors
    /// If a folder cannot be loaded, and as [`of`](Self::of).
    pub fn load(
        base: impl Into<Location>,
        new: impl IntoIterator<Item = Location>,
    ) -> Result<Self> {
        let base = Measured::load(base)?;
        let new = new.into_iter().map(Measured::load);
        Self::of(&base, &new.collect::<Result<Vec<_>>>()?)
    }

    fn match_levels<'a>(
        &mut self,
        base: &'a Measured,
        new: &'a Measured,
        matched: &mut Vec<(String, Option<usize>, &'a Level, &'a Level)>,
    ) {
        // Two runs are compared whatever their clients are.
        if let (false, false, Some(one), Some(other)) =
            (base.is_load_test, new.is_load_test, base.only(), new.only())
        {
            return matched.push((new.name.clone(), None, one, other));
        }
        for (clients, level) in &new.levels {
            match base.levels.get(clients) {
                Some(one) => matched.push((new.name.clone(), Some(*clients), one, level)),
                None => {
                    let which = format!("{}: only in {}", of_clients(*clients), new.name);
                    self.unmatched.push(which);
                }
            }
        }
        let only_in_base = base
            .levels
            .keys()
            .filter(|clients| !new.levels.contains_key(clients));
        self.unmatched.extend(
            only_in_base.map(|clients| format!("{}: not in {}", of_clients(*clients), new.name)),
        );
    }

    /// Adjusts p-values over all pairs, and draws verdicts from them.
    fn judge(&mut self) {
        for (is_headline, part) in [(true, HEADLINE_PART), (false, 1.0 - HEADLINE_PART)] {
            let differences = self.pairs.iter_mut().flat_map(|pair| &mut pair.differences);
            let mut tested: Vec<_> = differences
                .filter(|one| one.is_headline == is_headline && one.better != Better::Neither)
                .filter(|one| one.repeats.is_none())
                .filter(|one| one.p_value.is_some())
                .collect();
            let p_values: Vec<f64> = tested.iter().filter_map(|one| one.p_value).collect();
            for (one, adjusted) in tested.iter_mut().zip(holm(&p_values)) {
                one.adjusted_p_value = Some(adjusted);
                let is_shown = adjusted <= ERROR_RATE * part && one.is_beyond_chance();
                one.outcome = Some(match one.difference {
                    Some(difference) if is_shown => {
                        let is_less = difference < 0.0;
                        match is_less == (one.better == Better::Less) {
                            true => Outcome::Better,
                            false => Outcome::Worse,
                        }
                    }
                    _ => Outcome::NoDifference,
                });
            }
        }
    }

    /// Figures that repeat another have its verdict.
    fn repeat_verdicts(&mut self) {
        for pair in &mut self.pairs {
            for at in 0..pair.differences.len() {
                let original = pair.differences[at].repeats.as_ref();
                let mut others = pair.differences.iter();
                let Some(original) =
                    original.and_then(|figure| others.find(|one| one.figure == *figure))
                else {
                    continue;
                };
                let (outcome, adjusted) = (original.outcome, original.adjusted_p_value);
                pair.differences[at].outcome = outcome;
                pair.differences[at].adjusted_p_value = adjusted;
            }
        }
    }

    /// Whether any figure is called worse.
    pub fn is_worse(&self) -> bool {
        self.outcomes().any(|outcome| outcome == Outcome::Worse)
    }

    /// All verdicts.
    pub fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        let differences = self.pairs.iter().flat_map(|pair| &pair.differences);
        differences.filter_map(|one| one.outcome)
    }
}

impl Difference {
    /// Whether two figures say the same in other words: they have the same values, or are rates that have
    /// changed by the same share.
    fn is_same_as(&self, other: &Self) -> bool {
        let is_near = |one: Option<f64>, other: Option<f64>| match (one, other) {
            (Some(one), Some(other)) => (one - other).abs() <= 1e-9 * one.abs().max(other.abs()),
            _ => false,
        };
        let unit = |one: &Self| one.figure.metric().unit;
        let is_equal = unit(self) == unit(other)
            && is_near(self.base, other.base)
            && is_near(self.new, other.new);
        // Two of which nothing is known say the same as well.
        let is_judged = self.outcome.is_some() && other.outcome.is_some();
        let is_drawn = is_judged && self.p_value.is_some() == other.p_value.is_some();
        let is_rate = self.is_rate && other.is_rate;
        let ratio = |one: &Self| one.change.map(|change| 1.0 + change);
        self.better == other.better
            && is_drawn
            && self.figure.statistic() == other.figure.statistic()
            && (is_equal || is_rate && is_near(ratio(self), ratio(other)))
    }

    /// Whether tables have a row for it.
    pub(crate) fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// Whether its interval leaves out 0, and it is large enough to matter.
    fn is_beyond_chance(&self) -> bool {
        let leaves_out = |interval: Option<(f64, f64)>| {
            interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0)
        };
        let matters = self.change.is_none_or(|change| change.abs() >= MIN_CHANGE);
        let is_large = self.difference.is_some_and(|one| one.abs() >= self.least);
        leaves_out(self.difference_interval) && matters && is_large
    }
}

fn as_text_if_any<S: Serializer>(
    figure: &Option<Figure>,
    serializer: S,
) -> std::result::Result<S::Ok, S::Error> {
    match figure {
        Some(figure) => serializer.collect_str(figure),
        None => serializer.serialize_none(),
    }
}

fn as_text<S: Serializer>(figure: &Figure, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(figure)
}
