//! The statistics of a run, fed one response at a time.

mod certainty;
mod timeline;
mod tokens;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::METRICS;
use super::annotations::{AnnotationSummary, Annotations};
use super::condition::Condition;
use super::exact_sum::ratio;
use super::gap_counts::ItlCounts;
use super::interval::{Batches, Groups, Interval};
use super::metric::{Metric, Source};
use super::percentile::{Percentile, Support};
use super::series::Series;
use super::slo::SloTally;
use super::steady::SteadyState;
use super::summary::STANDARD_PERCENTILES;
use crate::InvocationResponse;
use crate::api::PathDetail;
use crate::endpoint::{Delivery, ResponseDetail, TokenSource};

use certainty::push_gaps;
use timeline::Timeline;
pub(super) use timeline::{Amount, Window};
use tokens::SourceCounts;

/// The statistic of a time that says how many values it has.
const COUNT: &str = "count";

/// What an [`Accumulator`] keeps of the values that it is fed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// Every value: percentiles are exact.
    #[default]
    Values,
    /// Counts by size: percentiles are good to three digits, memory does not grow with the run.
    /// Counts, sums and averages are exact all the same.
    Sketches,
}

/// The statistics of a run, fed one response at a time: every metric of the table that comes from
/// responses.
///
/// There is one definition of every key, whether a run is under way, over, or loaded from disk.
/// Failed requests enter the counts, the token sums and the annotations, never the distributions.
#[derive(Debug, Clone)]
pub struct Accumulator {
    totals: Totals,
    figures: Vec<(&'static Metric, MetricAccumulator)>,
    annotations: Annotations,
    timeline: Timeline,
}

/// One metric under way.
#[derive(Debug, Clone)]
enum MetricAccumulator {
    Seconds(
        fn(&InvocationResponse) -> Option<f64>,
        Series<f64>,
        Batches<1>,
    ),
    Count(fn(&InvocationResponse) -> Option<u64>, Series<u32>),
    Gaps(ItlCounts, Groups, Batches<2>),
    SketchedGaps(Series<f32>, Batches<2>),
    RateInterval(Amount, Window, f64),
    ShareInterval(fn(&Totals) -> (u64, u64)),
    Steady(fn(&SteadyState, &Totals) -> Option<Value>),
    Total(fn(&Totals) -> Option<Value>),
    TotalPerName(fn(&Totals) -> Vec<(String, Value)>),
}

/// Sums over all responses, failed ones included unless said otherwise.
#[derive(Debug, Clone, Default)]
pub(crate) struct Totals {
    keep: Keep,
    recorded: u64,
    pub(super) failed: u64,
    /// Requests that were closed on purpose.
    pub(super) cancelled: u64,
    /// Successful requests whose response was read slowly on purpose.
    pub(super) slow: u64,
    /// Failed requests by the name of the failure's kind.
    pub(super) failed_by_kind: BTreeMap<String, u64>,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    /// Successful responses of which these are known.
    known_inputs: u64,
    known_outputs: u64,
    pub(super) cached_input_tokens: u64,
    pub(super) reasoning_output_tokens: u64,
    pub(super) retries: u64,
    pub(super) retry_wait: f64,
    /// Where the token counts come from.
    pub(super) input_sources: SourceCounts,
    pub(super) output_sources: SourceCounts,
    /// Tokens of successful responses beyond what the data says.
    pub(super) input_beyond: BeyondAsked,
    pub(super) output_beyond: BeyondAsked,
    /// Vectors in successful responses.
    pub(super) vectors: u64,
    pub(super) stale_connection_wait: f64,
    pub(super) left_open_wait: f64,
    pub(super) failure_pause: f64,
    pub(super) network: NetworkTotals,
    /// Complete responses whose connection did not end as its protocol has it, by how it did.
    pub(super) transport_ends: BTreeMap<String, u64>,
    /// Gaps of successful responses that were not kept.
    pub(super) gaps_dropped: u64,
    /// Successful responses that did not come as asked for.
    pub(super) empty: u64,
    pub(super) non_streaming: u64,
    pub(super) buffered: u64,
    pub(super) several_choices: u64,
    /// Requests that meet SLOs.
    pub(super) slos: SloTally,
    /// Content frames of successful streaming responses, and the tokens in them.
    frames: u64,
    framed_tokens: u64,
    /// When the first and the last request were sent.
    sent: Option<(Timestamp, Timestamp)>,
    /// How long the run took, in seconds, if it is known.
    window: Option<f64>,
    /// How many requests the run had by its own account.
    total_requests: Option<u64>,
}

/// What got lost on the way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct NetworkTotals {
    pub(super) retransmissions: u64,
    pub(super) out_of_order: u64,
    pub(super) repeated: u64,
    /// Responses whose bytes waited for others.
    pub(super) delayed: u64,
}

impl NetworkTotals {
    fn record(&mut self, path: &PathDetail) {
        add(
            &mut self.retransmissions,
            path.network_retransmissions.map(u64::from),
        );
        add(
            &mut self.out_of_order,
            path.network_out_of_order.map(u64::from),
        );
        add(&mut self.repeated, path.network_repeated.map(u64::from));
        self.delayed += u64::from(path.network_hole_wait.is_some());
    }
}

/// How far counts are from what was asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct BeyondAsked {
    responses: u64,
    exact: u64,
    difference: i128,
}

impl BeyondAsked {
    fn record(&mut self, count: Option<u64>, asked: Option<u64>) {
        if let (Some(count), Some(asked)) = (count, asked) {
            self.responses += 1;
            self.exact += u64::from(count == asked);
            self.difference += i128::from(count) - i128::from(asked);
        }
    }

    pub(super) fn average(&self) -> Option<Value> {
        (self.responses > 0).then(|| ratio(self.difference, self.responses).into())
    }

    pub(super) fn exact_rate(&self) -> Option<Value> {
        (self.responses > 0).then(|| ratio(i128::from(self.exact), self.responses).into())
    }
}

impl Totals {
    fn record(&mut self, response: &InvocationResponse) {
        let detail = &response.detail;
        self.recorded += 1;
        add(&mut self.input_tokens, response.num_tokens_input);
        add(&mut self.output_tokens, response.num_tokens_output);
        let (cached, reasoning) = (
            response.num_tokens_input_cached,
            response.num_tokens_output_reasoning,
        );
        add(&mut self.cached_input_tokens, cached);
        add(&mut self.reasoning_output_tokens, reasoning);
        add(&mut self.retries, response.retries.map(u64::from));
        self.retry_wait += detail.retry_wait.unwrap_or(0.0);
        self.input_sources
            .record(detail.num_tokens_input_source.as_ref());
        self.output_sources
            .record(detail.num_tokens_output_source.as_ref());
        self.stale_connection_wait += detail.stale_connection_wait.unwrap_or(0.0);
        self.left_open_wait += detail.left_open_wait.unwrap_or(0.0);
        self.failure_pause += detail.failure_pause.unwrap_or(0.0);
        if !detail.path.is_empty() {
            self.network.record(&detail.path.get());
        }
        if let Some(end) = detail.transport_end.as_str() {
            *self.transport_ends.entry(end.to_owned()).or_default() += 1;
        }
        if let Some(at) = response.request_time {
            let (first, last) = self.sent.get_or_insert((at, at));
            *first = at.min(*first);
            *last = at.max(*last);
        }
        if response.is_cancelled() {
            self.cancelled += 1;
            return;
        }
        if let Some(failure) = &response.error {
            self.failed += 1;
            let kind = failure.kind_name();
            match self.failed_by_kind.get_mut(kind) {
                Some(count) => *count += 1,
                None => drop(self.failed_by_kind.insert(kind.to_owned(), 1)),
            }
            return;
        }
        self.slow += u64::from(detail.read_rate > 0);
        let [asked_input, asked_output] = detail.asked_tokens();
        let is_reported = detail.num_tokens_input_source == Some(TokenSource::Reported);
        let reported = response.num_tokens_input.filter(|_| is_reported);
        self.input_beyond.record(reported, asked_input);
        let output = response.num_tokens_output;
        self.output_beyond.record(output, asked_output);
        add(&mut self.vectors, response.vectors());
        self.known_inputs += u64::from(response.num_tokens_input.is_some());
        self.known_outputs += u64::from(response.num_tokens_output.is_some());
        self.several_choices += u64::from(response.has_several_choices());
        match detail.delivery {
            Some(Delivery::Empty) => self.empty += 1,
            Some(Delivery::NonStreaming) => self.non_streaming += 1,
            Some(Delivery::Buffered) => self.buffered += 1,
            None => {}
        }
        self.gaps_dropped += u64::from(detail.inter_token_latencies_dropped);
        if let (Some(_), Some(frames @ 1..), Some(tokens)) = (
            response.time_to_first_token,
            detail.content_frames,
            response.num_tokens_output,
        ) {
            self.frames += u64::from(frames);
            self.framed_tokens += tokens;
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.total_requests.unwrap_or(self.recorded)
    }

    pub(super) fn successful(&self) -> u64 {
        self.requests().saturating_sub(self.failed + self.cancelled)
    }

    /// A part of the successful requests, as their share; null without any.
    pub(super) fn success_rate_of(&self, part: u64) -> Option<Value> {
        let successful = self.successful();
        (part > 0 && successful > 0).then(|| (part as f64 / successful as f64).into())
    }

    pub(super) fn failed_rate(&self) -> f64 {
        match self.requests() {
            0 => 0.0,
            requests => self.failed as f64 / requests as f64,
        }
    }

    /// A part of all requests that are judged, which cancelled and slow ones are not, as their share; 0
    /// without any.
    pub(super) fn share_of(&self, part: u64) -> f64 {
        match self.requests().saturating_sub(self.cancelled + self.slow) {
            0 => 0.0,
            requests => part as f64 / requests as f64,
        }
    }

    /// An amount for each `seconds` of the run; null if it is not known how long that took.
    pub(super) fn rate(&self, amount: u64, seconds: f64) -> Value {
        match self.window {
            None => Value::Null,
            Some(window) if window > 0.0 => (amount as f64 / window * seconds).into(),
            Some(_) => 0.0.into(),
        }
    }

    pub(super) fn tokens_per_frame(&self) -> Option<f64> {
        (self.frames > 0).then(|| ratio(i128::from(self.framed_tokens), self.frames))
    }

    pub(super) fn precision(&self) -> &'static str {
        match self.keep {
            Keep::Values => "exact",
            Keep::Sketches => "sketch",
        }
    }
}

impl Default for Accumulator {
    fn default() -> Self {
        Self::new(Keep::default())
    }
}

impl Accumulator {
    /// An accumulator that has seen nothing.
    pub fn new(keep: Keep) -> Self {
        let figure = |metric: &'static Metric| {
            let figure = match metric.source {
                Source::Seconds(take) => {
                    MetricAccumulator::Seconds(take, Series::new(keep), Batches::default())
                }
                Source::Count(take) => MetricAccumulator::Count(take, Series::new(keep)),
                Source::Gaps if keep == Keep::Values => {
                    let (counts, groups) = (ItlCounts::default(), Groups::default());
                    MetricAccumulator::Gaps(counts, groups, Batches::default())
                }
                Source::Gaps => {
                    MetricAccumulator::SketchedGaps(Series::new(keep), Batches::default())
                }
                Source::RateInterval(amount, window, seconds) => {
                    MetricAccumulator::RateInterval(amount, window, seconds)
                }
                Source::ShareInterval(take) => MetricAccumulator::ShareInterval(take),
                Source::Steady(take) => MetricAccumulator::Steady(take),
                Source::Totals(take) => MetricAccumulator::Total(take),
                Source::TotalsPerName(take) => MetricAccumulator::TotalPerName(take),
                Source::Summary | Source::Other(_) => return None,
            };
            Some((metric, figure))
        };
        Self {
            totals: Totals {
                keep,
                ..Totals::default()
            },
            figures: METRICS.iter().filter_map(figure).collect(),
            annotations: Annotations::new(keep),
            timeline: Timeline::new(keep),
        }
    }

    /// Counts the requests that meet these SLOs; those about figures of the run are passed over.
    #[must_use]
    pub fn slos(mut self, slos: &[Condition]) -> Self {
        self.totals.slos = SloTally::new(slos);
        self
    }

    /// Takes in one response.
    pub fn record(&mut self, response: &InvocationResponse) {
        let is_judged = response.detail.read_rate == 0;
        let is_good = is_judged && self.totals.slos.record(response);
        self.totals.record(response);
        self.timeline.record(response, is_good);
        self.annotations.record(&response.annotations);
        if response.error.is_some() || !is_judged {
            return;
        }
        let gaps: &[f32] = match response.detail.delivery {
            Some(Delivery::Buffered) => &[],
            _ => &response.detail.inter_token_latencies,
        };
        let times = gaps_per_kept(&response.detail);
        for (_, figure) in &mut self.figures {
            match figure {
                MetricAccumulator::Seconds(take, series, batches) => {
                    if let Some(seconds) = take(response).filter(|seconds| !seconds.is_nan()) {
                        series.push(seconds);
                        batches.push_value(seconds);
                    }
                }
                MetricAccumulator::Count(take, series) => {
                    if let Some(count) = take(response) {
                        series.push(u32::try_from(count).unwrap_or(u32::MAX));
                    }
                }
                MetricAccumulator::Gaps(counts, groups, batches) => {
                    gaps.iter().for_each(|&gap| counts.push(gap, times));
                    groups.push(gaps, times);
                    push_gaps(batches, gaps, times);
                }
                MetricAccumulator::SketchedGaps(series, batches) => {
                    gaps.iter().for_each(|&gap| series.push_times(gap, times));
                    push_gaps(batches, gaps, times);
                }
                MetricAccumulator::RateInterval(..)
                | MetricAccumulator::ShareInterval(_)
                | MetricAccumulator::Steady(_)
                | MetricAccumulator::Total(_)
                | MetricAccumulator::TotalPerName(_) => {}
            }
        }
    }

    /// The numeric annotations of all responses, failed ones included, by name; the first hundred
    /// names.
    pub fn annotation_summaries(&mut self) -> BTreeMap<String, AnnotationSummary> {
        self.annotations.summaries()
    }

    /// Responses taken in so far.
    pub fn recorded(&self) -> u64 {
        self.totals.recorded
    }

    /// When the first and the last request were sent; `None` if none was.
    pub(crate) fn sent(&self) -> Option<(Timestamp, Timestamp)> {
        self.totals.sent
    }

    /// Failed ones among them.
    pub fn failed(&self) -> u64 {
        self.totals.failed
    }

    /// The statistics at the end of a run that took `window` seconds; rates are null without it.
    pub fn stats(&mut self, window: Option<f64>) -> Map<String, Value> {
        self.stats_of(window, None)
    }

    /// [`stats`](Self::stats) of a run that says itself how many requests it had.
    pub(crate) fn stats_of(
        &mut self,
        window: Option<f64>,
        total_requests: Option<u64>,
    ) -> Map<String, Value> {
        self.compute(window, total_requests, false)
    }

    /// The statistics so far, `window` seconds after the start. The cost depends on what came
    /// since the last snapshot; percentiles of many values are good to three digits.
    pub fn snapshot(&mut self, window: Option<f64>) -> Map<String, Value> {
        self.compute(window, None, true)
    }

    fn compute(
        &mut self,
        window: Option<f64>,
        total_requests: Option<u64>,
        is_snapshot: bool,
    ) -> Map<String, Value> {
        self.totals.window = window;
        self.totals.total_requests = total_requests;
        let steady = match is_snapshot {
            true => None,
            false => self.timeline.steady_state(),
        };
        let steady_pace = steady.as_ref().map(|steady| {
            let pace = self.timeline.pace_within(steady);
            (pace, steady.end - steady.start)
        });
        let mut stats = Map::new();
        for (metric, figure) in &mut self.figures {
            let count = figure.len();
            let percentiles = match figure {
                MetricAccumulator::Count(..) => STANDARD_PERCENTILES.to_vec(),
                _ => time_percentiles(count),
            };
            let summary = match figure {
                MetricAccumulator::Seconds(_, series, _) => {
                    series.summary(&percentiles, is_snapshot)
                }
                MetricAccumulator::Count(_, series) => series.summary(&percentiles, is_snapshot),
                MetricAccumulator::Gaps(counts, ..) => counts.summarize(&percentiles),
                MetricAccumulator::SketchedGaps(series, _) => {
                    series.summary(&percentiles, is_snapshot)
                }
                MetricAccumulator::RateInterval(Amount::Good, ..)
                    if self.totals.slos.is_empty() =>
                {
                    continue;
                }
                MetricAccumulator::RateInterval(Amount::OutputTokens, ..)
                    if !self.totals.knows_outputs() =>
                {
                    continue;
                }
                MetricAccumulator::RateInterval(amount, over, seconds) => {
                    let interval = match over {
                        Window::Run => window
                            .filter(|_| !is_snapshot)
                            .and_then(|window| self.timeline.rate_interval(*amount, window)),
                        Window::Steady => steady_pace.as_ref().and_then(|(pace, window)| {
                            pace.interval(*amount as usize, *window, Interval::LEVEL)
                        }),
                    };
                    if let Some(interval) = interval {
                        interval.scaled(*seconds).write(&mut stats, metric.key);
                    }
                    continue;
                }
                MetricAccumulator::ShareInterval(take) => {
                    let (part, all) = take(&self.totals);
                    let interval = Interval::of_share(part, all, Interval::LEVEL);
                    if let Some(interval) = interval.filter(|_| !is_snapshot) {
                        interval.write(&mut stats, metric.key);
                    }
                    continue;
                }
                MetricAccumulator::Steady(take) => {
                    let steady = steady.as_ref();
                    if let Some(value) = steady.and_then(|steady| take(steady, &self.totals)) {
                        stats.insert(metric.key.to_owned(), value);
                    }
                    continue;
                }
                MetricAccumulator::Total(take) => {
                    if let Some(value) = take(&self.totals) {
                        stats.insert(metric.key.to_owned(), value);
                    }
                    continue;
                }
                MetricAccumulator::TotalPerName(take) => {
                    for (name, value) in take(&self.totals) {
                        stats.insert(metric.key_for(&name), value);
                    }
                    continue;
                }
            };
            for (name, value) in summary {
                stats.insert(format!("{}-{name}", metric.key), value.into());
            }
            if count == 0 {
                continue;
            }
            stats.insert(format!("{}-{COUNT}", metric.key), count.into());
            for percentile in &percentiles {
                if percentile.support(count) != Support::Full {
                    let key = format!("{}-{percentile}-beyond", metric.key);
                    stats.insert(key, percentile.beyond(count).into());
                }
            }
            if !is_snapshot {
                for (name, interval) in figure.intervals(&percentiles) {
                    interval.write(&mut stats, &format!("{}-{name}", metric.key));
                }
            }
        }
        stats
    }
}

/// The percentiles of a time that a sample of `count` values carries.
fn time_percentiles(count: u64) -> Vec<Percentile> {
    let mut percentiles = STANDARD_PERCENTILES.to_vec();
    let is_carried = |percentile: Percentile| percentile.support(count) != Support::None;
    if is_carried(Percentile::P95) {
        percentiles.insert(2, Percentile::P95);
    }
    if is_carried(Percentile::P99_9) {
        percentiles.push(Percentile::P99_9);
    }
    percentiles
}

/// For how many gaps of the response each one that was kept stands.
fn gaps_per_kept(detail: &ResponseDetail) -> u64 {
    let kept = detail.inter_token_latencies.len().max(1) as u64;
    let dropped = u64::from(detail.inter_token_latencies_dropped);
    // To the nearest: the response's last gaps may be too few for one that stands for them.
    1 + (dropped + kept / 2) / kept
}

fn add(sum: &mut u64, value: Option<u64>) {
    *sum = sum.saturating_add(value.unwrap_or(0));
}

#[cfg(test)]
mod tests;
