//! Whether a load keeps its SLOs, judged while it is under way.

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::InvocationResponse;
use crate::run::ResponseWatch;
use crate::stats::{Condition, Interval, Percentile};

/// Values before which no interval is looked at, and by how much their number grows to the next look.
const FIRST_LOOK: usize = 100;
const GROWTH: f64 = 1.2;
/// The level of the interval that a look judges by, and how many looks in a row must say the same: as
/// in `--until`, whoever stops at the first clear interval of 95 % prefers luck.
const LOOK_LEVEL: f64 = 0.97;
const LOOKS_IN_A_ROW: u32 = 2;
/// Values from which a load is plainly too high if more than half of them miss a limit that only a few
/// may miss.
const PLAIN: usize = 30;
const PLAIN_SHARE: f64 = 0.5;
/// An SLO of single requests has to be met by so many of them.
const SHARE_OF_REQUESTS: f64 = 0.99;
/// What stands for the time of a request that failed.
const NEVER: f64 = 1e12;
/// Parts of the values of which each has to be slower than the one before, for a queue that grows.
const SLOPE_PARTS: usize = 6;
/// By how much the last part has to be slower than the first.
const SLOPE: f64 = 1.5;

/// Whether SLOs hold at a load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ProbeVerdict {
    /// All hold, by their intervals.
    Held,
    /// One does not hold, by its interval.
    Broken,
    /// Latency grows as long as the load lasts, or most requests miss an SLO.
    Saturated,
    /// The time was over before an interval told; the figures themselves keep all SLOs.
    LikelyHeld,
    /// The time was over before an interval told; a figure itself does not keep its SLO.
    LikelyBroken,
}

impl ProbeVerdict {
    /// Whether the load counts as one that keeps the SLOs.
    pub fn holds(self) -> bool {
        matches!(self, Self::Held | Self::LikelyHeld)
    }

    /// Whether an interval told.
    pub fn is_resolved(self) -> bool {
        !matches!(self, Self::LikelyHeld | Self::LikelyBroken)
    }
}

/// What is known of one SLO.
#[derive(Debug)]
struct SloJudge {
    slo: Condition,
    over: Over,
    values: Vec<f64>,
    next_look: usize,
    /// What the last look said, and how many in a row have said so.
    last: Option<bool>,
    in_a_row: u32,
    is_saturated: bool,
}

/// What of the values is to keep the limit.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Over {
    /// This share of them has to meet it.
    Share(f64),
    Mean,
    /// The share of failed requests.
    Failures,
    /// A figure of the run, which is judged when it is over.
    Run,
}

impl SloJudge {
    fn new(slo: &Condition) -> Self {
        let figure = slo.figure();
        let is_of_responses = figure.metric().is_of_responses();
        let over = match figure.statistic() {
            None if slo.is_per_request() => Over::Share(SHARE_OF_REQUESTS),
            Some("average") if is_of_responses => Over::Mean,
            Some(name) if is_of_responses => match Percentile::named(name) {
                Some(percentile) if slo.comparator().is_upward() => {
                    Over::Share(1.0 - percentile.fraction())
                }
                Some(percentile) => Over::Share(percentile.fraction()),
                None => Over::Run,
            },
            _ if figure.metric().short == "failed_requests_rate" => Over::Failures,
            _ => Over::Run,
        };
        Self {
            slo: slo.clone(),
            over,
            values: Vec::new(),
            next_look: FIRST_LOOK,
            last: None,
            in_a_row: 0,
            is_saturated: false,
        }
    }

    /// What is known: held, broken, or neither.
    fn known(&self) -> Option<bool> {
        match self.is_saturated {
            true => Some(false),
            false => self.last.filter(|_| self.in_a_row >= LOOKS_IN_A_ROW),
        }
    }

    fn note(&mut self, response: &InvocationResponse, is_open: bool) {
        if self.known().is_some() {
            return;
        }
        let value = match (self.over, &response.error) {
            (Over::Run, _) => return,
            (Over::Failures, error) => Some(f64::from(u8::from(error.is_some()))),
            (_, Some(_)) if self.slo.comparator().is_upward() => Some(-NEVER),
            (_, Some(_)) => Some(NEVER),
            (_, None) => self.slo.figure().metric().value_of(response),
        };
        let Some(value) = value else {
            return;
        };
        self.values.push(value);
        let count = self.values.len();
        if count == PLAIN || count == 2 * PLAIN || count >= self.next_look {
            self.is_saturated = self.is_plainly_broken() || is_open && grows(&self.values);
        }
        if count >= self.next_look {
            self.next_look = (count as f64 * GROWTH) as usize;
            let found = self.look();
            self.in_a_row = match found {
                Some(_) if found == self.last => self.in_a_row + 1,
                Some(_) => 1,
                None => 0,
            };
            self.last = found;
        }
    }

    fn misses(&self) -> impl Iterator<Item = f64> {
        let misses = self.values.iter().map(|value| !self.slo.holds(*value));
        misses.map(|is_miss| f64::from(u8::from(is_miss)))
    }

    fn is_plainly_broken(&self) -> bool {
        let Over::Share(share) = self.over else {
            return false;
        };
        let missed = self.misses().sum::<f64>() / self.values.len() as f64;
        missed > PLAIN_SHARE && 1.0 - share < PLAIN_SHARE / 2.0
    }

    /// Whether the interval is on one side of the limit.
    fn look(&self) -> Option<bool> {
        match self.over {
            Over::Run => None,
            Over::Mean => {
                let interval = Interval::of_mean(&self.values, LOOK_LEVEL);
                let (low, high) = match interval {
                    Some(interval) => (interval.low, interval.high),
                    // All are the same.
                    None => (*self.values.first()?, *self.values.first()?),
                };
                agreed(self.slo.holds(low), self.slo.holds(high))
            }
            Over::Failures => {
                let (low, high) = share_interval(&self.values)?;
                agreed(self.slo.holds(low), self.slo.holds(high))
            }
            Over::Share(share) => {
                let misses: Vec<f64> = self.misses().collect();
                let (low, high) = share_interval(&misses)?;
                let allowed = 1.0 - share;
                agreed(low <= allowed, high <= allowed)
            }
        }
    }

    /// What the values themselves say.
    fn leans(&self) -> Option<bool> {
        let count = self.values.len() as f64;
        (count > 0.0).then_some(())?;
        let mean = || self.values.iter().sum::<f64>() / count;
        match self.over {
            Over::Run => None,
            Over::Mean | Over::Failures => Some(self.slo.holds(mean())),
            Over::Share(share) => Some(self.misses().sum::<f64>() / count <= 1.0 - share),
        }
    }

    /// How near the figure is to its limit, 1 at the limit; `None` if that cannot be said.
    fn nearness(&self) -> Option<f64> {
        let limit = self.slo.limit();
        if limit <= 0.0 || self.slo.comparator().is_upward() || self.values.is_empty() {
            return None;
        }
        let value = match self.over {
            Over::Run => return None,
            Over::Mean | Over::Failures => {
                self.values.iter().sum::<f64>() / self.values.len() as f64
            }
            Over::Share(share) => {
                let mut sorted = self.values.clone();
                sorted.sort_unstable_by(f64::total_cmp);
                let place = (share * sorted.len() as f64) as usize;
                sorted[place.min(sorted.len() - 1)]
            }
        };
        Some(value / limit)
    }
}

fn agreed(one: bool, other: bool) -> Option<bool> {
    (one == other).then_some(one)
}

/// The interval of a share, of ones and zeros in time order. Where all are zero, so many independent ones
/// would not be if the share were above its upper end.
fn share_interval(ones: &[f64]) -> Option<(f64, f64)> {
    let count = ones.len() as f64;
    let sum: f64 = ones.iter().sum();
    let unseen = 1.0 - ((1.0 - LOOK_LEVEL) / 2.0).powf(1.0 / count);
    if sum == 0.0 {
        return Some((0.0, unseen));
    }
    if sum == count {
        return Some((1.0 - unseen, 1.0));
    }
    let interval = Interval::of_mean(ones, LOOK_LEVEL)?;
    // A few ones tell little of how many more there might be: never below what none at all would tell.
    Some((interval.low, interval.high.max(unseen)))
}

/// Whether values grow from part to part, as those of a queue that nobody works off.
fn grows(values: &[f64]) -> bool {
    let usable: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| value.abs() < NEVER)
        .collect();
    let length = usable.len() / SLOPE_PARTS;
    if length < 5 {
        return false;
    }
    let means: Vec<f64> = usable
        .chunks_exact(length)
        .take(SLOPE_PARTS)
        .map(|part| part.iter().sum::<f64>() / length as f64)
        .collect();
    let is_growing = means.windows(2).all(|pair| pair[1] > pair[0]);
    is_growing && means[SLOPE_PARTS - 1] > SLOPE * means[0]
}

/// Judges a probe's responses as they come.
#[derive(Debug)]
pub(super) struct ProbeJudge {
    state: Mutex<State>,
    /// Whether requests arrive by the clock, so that a queue can grow without end.
    is_open: bool,
}

#[derive(Debug)]
struct State {
    slos: Vec<SloJudge>,
    /// Responses that are still to be left out: the load has only begun.
    left_out: u64,
}

impl ProbeJudge {
    /// A judge of these SLOs, which leaves out so many responses at first.
    pub(super) fn new(slos: &[Condition], left_out: u64, is_open: bool) -> Self {
        Self {
            state: Mutex::new(State {
                slos: slos.iter().map(SloJudge::new).collect(),
                left_out,
            }),
            is_open,
        }
    }

    /// The verdict, and how near the worst figure is to its limit, from what came and the run's
    /// statistics.
    pub(super) fn verdict(&self, stats: &Map<String, Value>) -> (ProbeVerdict, f64) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut verdict = ProbeVerdict::Held;
        for slo in &state.slos {
            let of_slo = match slo.known() {
                _ if slo.is_saturated => ProbeVerdict::Saturated,
                Some(true) => ProbeVerdict::Held,
                Some(false) => ProbeVerdict::Broken,
                None => match of_run(&slo.slo, stats).filter(|_| slo.over == Over::Run) {
                    Some(known) => known,
                    None => match slo.leans() {
                        Some(true) => ProbeVerdict::LikelyHeld,
                        _ => ProbeVerdict::LikelyBroken,
                    },
                },
            };
            verdict = worse(verdict, of_slo);
        }
        let nearness = state.slos.iter().map(|slo| slo.nearness().unwrap_or(1.0));
        (verdict, nearness.fold(0.0, f64::max))
    }
}

impl ResponseWatch for ProbeJudge {
    fn note(&self, response: &InvocationResponse) -> bool {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.left_out > 0 {
            state.left_out -= 1;
            return false;
        }
        let mut is_broken = false;
        let mut is_known = true;
        for slo in &mut state.slos {
            slo.note(response, self.is_open);
            match slo.known() {
                Some(holds) => is_broken |= !holds,
                None => is_known &= slo.over == Over::Run,
            }
        }
        // Figures of the run need some of it: as many values as others do.
        let is_of_run = state.slos.iter().all(|slo| slo.over == Over::Run);
        is_broken || is_known && !is_of_run
    }
}

fn worse(one: ProbeVerdict, other: ProbeVerdict) -> ProbeVerdict {
    use ProbeVerdict::{Broken, Held, LikelyBroken, LikelyHeld, Saturated};
    let rank = |verdict| match verdict {
        Held => 0,
        LikelyHeld => 1,
        LikelyBroken => 2,
        Broken => 3,
        Saturated => 4,
    };
    match rank(other) > rank(one) {
        true => other,
        false => one,
    }
}

/// What statistics say of a figure of the run, by its interval where it has one.
fn of_run(slo: &Condition, stats: &Map<String, Value>) -> Option<ProbeVerdict> {
    let holds = slo.holds_in(stats)?;
    let key = slo.figure().key();
    let end = |end: &str| stats.get(&format!("{key}-{end}"))?.as_f64();
    Some(match (end("ci_low"), end("ci_high"), holds) {
        (Some(low), Some(high), _) if slo.holds(low) && slo.holds(high) => ProbeVerdict::Held,
        (Some(low), Some(high), _) if !slo.holds(low) && !slo.holds(high) => ProbeVerdict::Broken,
        (.., true) => ProbeVerdict::LikelyHeld,
        (.., false) => ProbeVerdict::LikelyBroken,
    })
}

#[cfg(test)]
mod tests {
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn response(ttft: f64) -> InvocationResponse {
        InvocationResponse {
            time_to_first_token: Some(ttft),
            ..InvocationResponse::default()
        }
    }

    /// After how many responses a judge has seen enough, and what it then says.
    fn judged(slo: &str, is_open: bool, ttft: impl Fn(u32, f64) -> f64) -> (u32, ProbeVerdict) {
        let judge = ProbeJudge::new(&[slo.parse().unwrap()], 3, is_open);
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let enough = (0..4_000).find(|&number| {
            let chance = random.random::<f64>();
            judge.note(&response(ttft(number, chance)))
        });
        let (verdict, _) = judge.verdict(&Map::new());
        (enough.unwrap_or(4_000), verdict)
    }

    #[test]
    fn a_verdict_needs_as_many_responses_as_it_is_close() {
        let slo = "ttft-p90 < 500ms";
        let missed = |share: f64| move |_, chance: f64| if chance < share { 0.9 } else { 0.2 };
        let (clear, verdict) = judged(slo, false, missed(0.0));
        assert_eq!(verdict, ProbeVerdict::Held);
        let (close, verdict) = judged(slo, false, missed(0.06));
        assert_eq!(verdict, ProbeVerdict::Held);
        assert!(clear < 200 && close > clear, "{clear} {close}");
        let (over, verdict) = judged(slo, false, missed(0.3));
        assert_eq!(verdict, ProbeVerdict::Broken);
        assert!(over < 300, "{over}");
        let (at_the_limit, verdict) = judged(slo, false, missed(0.1));
        assert!(at_the_limit > 1_000, "{at_the_limit} {verdict:?}");
        // p99 that nothing misses needs some 420 values.
        let (rare, verdict) = judged("ttft-p99 < 500ms", false, missed(0.0));
        assert_eq!(verdict, ProbeVerdict::Held);
        assert!((400..700).contains(&rare), "{rare}");
    }

    #[test]
    fn what_is_plainly_too_much_is_cut_short() {
        let late = |_, _| 0.9;
        let (after, verdict) = judged("ttft-p99 < 500ms", false, late);
        assert_eq!((after, verdict), (32, ProbeVerdict::Saturated));
        let growing = |number: u32, _| 0.01 + 0.001 * f64::from(number);
        let (after, verdict) = judged("ttft-p99 < 500ms", true, growing);
        assert_eq!((after, verdict), (32, ProbeVerdict::Saturated));
        // In a closed loop a queue does not grow without end.
        let (_, verdict) = judged("ttft-p99 < 500ms", false, |number, _| {
            0.01 + 0.001 * f64::from(number.min(100))
        });
        assert_eq!(verdict, ProbeVerdict::Held);
    }

    #[test]
    fn failures_miss_every_slo_and_have_one_of_their_own() {
        let judge = |slo: &str| {
            let judge = ProbeJudge::new(&[slo.parse().unwrap()], 0, false);
            let failure = crate::Failure::new(crate::FailureKind::ALL[0], "refused");
            let failed = InvocationResponse {
                error: Some(failure),
                ..response(0.1)
            };
            for number in 0..400 {
                let response = if number % 4 == 0 {
                    &failed
                } else {
                    &response(0.1)
                };
                judge.note(response);
            }
            judge.verdict(&Map::new()).0
        };
        assert_eq!(judge("ttft-p90 < 500ms"), ProbeVerdict::Broken);
        assert_eq!(judge("ttft-p50 < 500ms"), ProbeVerdict::Held);
        assert_eq!(judge("failed_requests_rate < 1%"), ProbeVerdict::Broken);
        assert_eq!(judge("failed_requests_rate < 50%"), ProbeVerdict::Held);
        // One that only the end tells.
        assert_eq!(judge("output_tps > 5"), ProbeVerdict::LikelyBroken);
    }

    #[test]
    fn figures_of_the_run_are_judged_by_their_intervals() {
        let slo: Condition = "output_tps > 100".parse().unwrap();
        let key = slo.figure().key();
        let of = |value: f64, interval: Option<(f64, f64)>| {
            let mut stats = Map::new();
            stats.insert(key.clone(), value.into());
            if let Some((low, high)) = interval {
                stats.insert(format!("{key}-ci_low"), low.into());
                stats.insert(format!("{key}-ci_high"), high.into());
            }
            of_run(&slo, &stats)
        };
        assert_eq!(of(120.0, Some((110.0, 130.0))), Some(ProbeVerdict::Held));
        assert_eq!(
            of(120.0, Some((90.0, 150.0))),
            Some(ProbeVerdict::LikelyHeld)
        );
        assert_eq!(of(90.0, None), Some(ProbeVerdict::LikelyBroken));
    }
}
