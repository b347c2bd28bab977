//! The statistics of a run, fed one answer at a time.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::annotations::{AnnotationSummary, Annotations};
use super::exact_sum::ratio;
use super::gap_counts::GapCounts;
use super::measure::Measure;
use super::percentile::Percentile;
use super::series::Series;
use super::summary::{Number, STANDARD_PERCENTILES};
use crate::InvocationResponse;

/// From this many values on, a time also has its 95th percentile.
const P95_FROM: u64 = 20;
/// From this many values on, a time also has its 99.9th percentile.
const P99_9_FROM: u64 = 1000;

/// The metrics, named in full so that a saved statistic can be recognised as one of them.
const METRICS: [&str; 11] = [
    "time_to_last_token",
    "time_to_first_token",
    "time_per_output_token",
    "num_tokens_output",
    "num_tokens_input",
    "num_tokens_input_cached",
    "time_to_first_answer_token",
    "inter_token_latency",
    "time_to_connect",
    "time_to_tls",
    "tokens_per_frame",
];

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

/// The statistics of a run, fed one answer at a time.
///
/// There is one definition of every key, whether a run is under way, over, or loaded from disk.
/// Failed requests enter the counts, the token sums and the annotations, never the distributions.
#[derive(Debug)]
pub struct Accumulator {
    keep: Keep,
    recorded: u64,
    failed: u64,
    /// Failed requests by the name of the failure's kind.
    failed_by_kind: BTreeMap<String, u64>,
    input_tokens: u64,
    output_tokens: u64,
    cached_input_tokens: u64,
    reasoning_output_tokens: u64,
    retries: u64,
    retry_wait: f64,
    framed_tokens: u64,
    frames: u64,
    gaps_dropped: u64,
    time_to_last_token: Series<f64>,
    time_to_first_token: Series<f64>,
    time_per_output_token: Series<f64>,
    num_tokens_output: Series<u32>,
    num_tokens_input: Series<u32>,
    num_tokens_input_cached: Series<u32>,
    time_to_first_answer_token: Series<f64>,
    inter_token_latency: Gaps,
    time_to_connect: Series<f64>,
    time_to_tls: Series<f64>,
    annotations: Annotations,
}

impl Default for Accumulator {
    fn default() -> Self {
        Self::new(Keep::default())
    }
}

impl Accumulator {
    /// An accumulator that has seen nothing.
    pub fn new(keep: Keep) -> Self {
        Self {
            keep,
            recorded: 0,
            failed: 0,
            failed_by_kind: BTreeMap::new(),
            input_tokens: 0,
            output_tokens: 0,
            cached_input_tokens: 0,
            reasoning_output_tokens: 0,
            retries: 0,
            retry_wait: 0.0,
            framed_tokens: 0,
            frames: 0,
            gaps_dropped: 0,
            time_to_last_token: series(keep),
            time_to_first_token: series(keep),
            time_per_output_token: series(keep),
            num_tokens_output: series(keep),
            num_tokens_input: series(keep),
            num_tokens_input_cached: series(keep),
            time_to_first_answer_token: series(keep),
            inter_token_latency: match keep {
                Keep::Values => Gaps::Counted(GapCounts::default()),
                Keep::Sketches => Gaps::Sketched(Series::sketching()),
            },
            time_to_connect: series(keep),
            time_to_tls: series(keep),
            annotations: Annotations::new(keep),
        }
    }

    /// Takes in one answer.
    pub fn record(&mut self, response: &InvocationResponse) {
        self.recorded += 1;
        add(&mut self.input_tokens, response.num_tokens_input);
        add(&mut self.output_tokens, response.num_tokens_output);
        add(
            &mut self.cached_input_tokens,
            response.num_tokens_input_cached,
        );
        add(
            &mut self.reasoning_output_tokens,
            response.num_tokens_output_reasoning,
        );
        self.annotations.record(&response.annotations);
        add(&mut self.retries, response.retries.map(u64::from));
        self.retry_wait += response.detail.retry_wait.unwrap_or(0.0);
        if let Some(failure) = &response.error {
            self.failed += 1;
            let kind = failure.kind_name();
            match self.failed_by_kind.get_mut(kind) {
                Some(count) => *count += 1,
                None => drop(self.failed_by_kind.insert(kind.to_owned(), 1)),
            }
            return;
        }

        let detail = &response.detail;
        push(&mut self.time_to_last_token, response.time_to_last_token);
        push(&mut self.time_to_first_token, response.time_to_first_token);
        push(
            &mut self.time_per_output_token,
            response.time_per_output_token,
        );
        push(
            &mut self.num_tokens_output,
            count(response.num_tokens_output),
        );
        push(&mut self.num_tokens_input, count(response.num_tokens_input));
        push(
            &mut self.num_tokens_input_cached,
            count(response.num_tokens_input_cached),
        );
        push(
            &mut self.time_to_first_answer_token,
            detail.time_to_first_answer_token,
        );
        push(&mut self.time_to_connect, detail.time_to_connect);
        push(&mut self.time_to_tls, detail.time_to_tls);
        for &gap in &detail.inter_token_latencies {
            match &mut self.inter_token_latency {
                Gaps::Counted(counts) => counts.push(gap),
                Gaps::Sketched(series) => series.push(gap),
            }
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

    /// The numeric annotations of all answers, failed ones included, by name; the first hundred
    /// names.
    pub fn annotation_summaries(&mut self) -> BTreeMap<String, AnnotationSummary> {
        self.annotations.summaries()
    }

    /// Whether a statistic of this name is this type's to give, or not to give for want of values.
    pub(crate) fn defines(key: &str) -> bool {
        let metric = key.rsplit_once('-').map_or(key, |(metric, _)| metric);
        METRICS.contains(&metric) || metric == "failed_requests"
    }

    /// Answers taken in so far.
    pub fn recorded(&self) -> u64 {
        self.recorded
    }

    /// Failed ones among them.
    pub fn failed(&self) -> u64 {
        self.failed
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
        is_look: bool,
    ) -> Map<String, Value> {
        let mut stats = Map::new();
        self.counts_and_rates(
            window,
            total_requests.unwrap_or(self.recorded) as f64,
            &mut stats,
        );

        let mut out = Out {
            stats: &mut stats,
            is_look,
        };
        out.time("time_to_last_token", &mut self.time_to_last_token);
        out.time("time_to_first_token", &mut self.time_to_first_token);
        out.time("time_per_output_token", &mut self.time_per_output_token);
        out.count("num_tokens_output", &mut self.num_tokens_output);
        out.count("num_tokens_input", &mut self.num_tokens_input);
        out.count("num_tokens_input_cached", &mut self.num_tokens_input_cached);
        out.time(
            "time_to_first_answer_token",
            &mut self.time_to_first_answer_token,
        );
        match &mut self.inter_token_latency {
            Gaps::Counted(counts) => {
                let percentiles = time_percentiles(counts.len());
                out.put("inter_token_latency", counts.summarize(&percentiles));
            }
            Gaps::Sketched(series) => out.time("inter_token_latency", series),
        }
        out.time("time_to_connect", &mut self.time_to_connect);
        out.time("time_to_tls", &mut self.time_to_tls);

        let mut put = |key: &str, value: Value| stats.insert(key.to_owned(), value);
        if self.gaps_dropped > 0 {
            put("inter_token_latency-dropped", self.gaps_dropped.into());
        }
        if self.frames > 0 {
            let tokens = ratio(i128::from(self.framed_tokens), self.frames);
            put("tokens_per_frame-average", tokens.into());
        }
        let percentiles = match self.keep {
            Keep::Values => "exact",
            Keep::Sketches => "sketch",
        };
        put("measurement_percentiles", percentiles.into());
        stats
    }

    fn counts_and_rates(&self, window: Option<f64>, total: f64, stats: &mut Map<String, Value>) {
        let rate = |amount: f64, seconds: f64| match window {
            None => Value::Null,
            Some(window) if window > 0.0 => (amount / window * seconds).into(),
            Some(_) => 0.0.into(),
        };
        let (input, output) = (self.input_tokens as f64, self.output_tokens as f64);
        let failed_rate = if total > 0.0 {
            self.failed as f64 / total
        } else {
            0.0
        };
        let mut put = |key: &str, value: Value| stats.insert(key.to_owned(), value);
        put("failed_requests", self.failed.into());
        for (kind, count) in &self.failed_by_kind {
            put(&format!("failed_requests-{kind}"), (*count).into());
        }
        put("failed_requests_rate", failed_rate.into());
        put("requests_per_minute", rate(total, 60.0));
        put("total_input_tokens", self.input_tokens.into());
        put("total_output_tokens", self.output_tokens.into());
        put("total_cached_input_tokens", self.cached_input_tokens.into());
        put(
            "total_reasoning_output_tokens",
            self.reasoning_output_tokens.into(),
        );
        if self.retries > 0 {
            put("total_retries", self.retries.into());
            put("total_retry_wait", self.retry_wait.into());
        }
        put("average_input_tokens_per_minute", rate(input, 60.0));
        put("average_output_tokens_per_minute", rate(output, 60.0));
        put("output_tps", rate(output, 1.0));
    }
}

/// Where metrics are written to.
struct Out<'a> {
    stats: &'a mut Map<String, Value>,
    is_look: bool,
}

impl Out<'_> {
    fn count<M: Measure>(&mut self, metric: &str, series: &mut Series<M>) {
        self.metric(metric, series, &STANDARD_PERCENTILES);
    }

    /// A time also has the percentiles that its sample carries.
    fn time<M: Measure>(&mut self, metric: &str, series: &mut Series<M>) {
        let percentiles = time_percentiles(series.len());
        self.metric(metric, series, &percentiles);
    }

    fn metric<M: Measure>(
        &mut self,
        metric: &str,
        series: &mut Series<M>,
        percentiles: &[Percentile],
    ) {
        let summary: Vec<(String, Number)> = if self.is_look {
            series.look(percentiles)
        } else {
            series.summarize(percentiles)
        };
        self.put(metric, summary);
    }

    fn put(&mut self, metric: &str, summary: Vec<(String, Number)>) {
        for (name, value) in summary {
            self.stats.insert(format!("{metric}-{name}"), value.into());
        }
    }
}

/// The gaps of a run, in the way that [`Keep`] asks for.
#[derive(Debug)]
enum Gaps {
    Counted(GapCounts),
    Sketched(Series<f32>),
}

/// The percentiles of a time that a sample of `count` values carries.
fn time_percentiles(count: u64) -> Vec<Percentile> {
    let mut percentiles = vec![Percentile::P50, Percentile::P90];
    if count >= P95_FROM {
        percentiles.push(Percentile::P95);
    }
    percentiles.push(Percentile::P99);
    if count >= P99_9_FROM {
        percentiles.push(Percentile::P99_9);
    }
    percentiles
}

fn series<M: Measure>(keep: Keep) -> Series<M> {
    match keep {
        Keep::Values => Series::keeping(),
        Keep::Sketches => Series::sketching(),
    }
}

fn add(sum: &mut u64, value: Option<u64>) {
    *sum = sum.saturating_add(value.unwrap_or(0));
}

fn count(value: Option<u64>) -> Option<u32> {
    value.map(|value| u32::try_from(value).unwrap_or(u32::MAX))
}

fn push<M: Measure>(series: &mut Series<M>, value: Option<M>) {
    if let Some(value) = value {
        series.push(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::failure::{Failure, FailureKind};
    use crate::endpoint::ResponseDetail;

    fn answer(seconds: f64) -> InvocationResponse {
        InvocationResponse {
            time_to_first_token: Some(seconds / 2.0),
            time_to_last_token: Some(seconds),
            num_tokens_input: Some(10),
            num_tokens_output: Some(6),
            detail: ResponseDetail {
                inter_token_latencies: vec![0.01, 0.02],
                content_frames: Some(3),
                ..ResponseDetail::default()
            },
            ..InvocationResponse::default()
        }
    }

    #[test]
    fn failed_requests_enter_counts_but_not_distributions() {
        let mut accumulator = Accumulator::default();
        accumulator.record(&answer(1.0));
        accumulator.record(&InvocationResponse {
            error: Some(Failure::new(FailureKind::Truncated, "cut")),
            ..answer(100.0)
        });
        let stats = accumulator.stats(Some(2.0));
        assert_eq!(stats["failed_requests"], 1);
        assert_eq!(stats["failed_requests-truncated"], 1);
        assert_eq!(stats["failed_requests_rate"], 0.5);
        assert_eq!(stats["requests_per_minute"], 60.0);
        assert_eq!(stats["total_output_tokens"], 12);
        assert_eq!(stats["output_tps"], 6.0);
        assert_eq!(stats["time_to_last_token-average"], 1.0);
        assert_eq!(stats["inter_token_latency-average"], 0.015);
        assert_eq!(stats["tokens_per_frame-average"], 2.0);
    }

    #[test]
    fn nothing_recorded_gives_no_metrics_and_null_rates() {
        let stats = Accumulator::default().stats(None);
        assert_eq!(stats["failed_requests_rate"], 0.0);
        assert_eq!(stats["requests_per_minute"], Value::Null);
        assert_eq!(stats["output_tps"], Value::Null);
        assert!(!stats.keys().any(|key| key.contains("time_to")));
    }

    #[test]
    fn further_percentiles_need_a_sample_that_carries_them() {
        let mut accumulator = Accumulator::default();
        for _ in 0..19 {
            accumulator.record(&answer(1.0));
        }
        assert!(
            !accumulator
                .stats(None)
                .contains_key("time_to_last_token-p95")
        );
        accumulator.record(&answer(1.0));
        let stats = accumulator.stats(None);
        assert!(stats.contains_key("time_to_last_token-p95"));
        assert!(!stats.contains_key("num_tokens_output-p95"));
        assert!(!stats.contains_key("inter_token_latency-p99.9"));
        for _ in 0..480 {
            accumulator.record(&answer(1.0));
        }
        let stats = accumulator.stats(None);
        assert!(stats.contains_key("inter_token_latency-p99.9"), "1000 gaps");
        assert!(!stats.contains_key("time_to_last_token-p99.9"));
    }

    #[test]
    fn sketches_agree_with_values_and_say_so() {
        let mut exact = Accumulator::new(Keep::Values);
        let mut sketch = Accumulator::new(Keep::Sketches);
        for step in 1..5000 {
            let mut response = answer(f64::from(step) * 1e-3);
            response.detail.inter_token_latencies.push(0.02);
            exact.record(&response);
            sketch.record(&response);
        }
        let (exact, sketch) = (exact.stats(Some(10.0)), sketch.stats(Some(10.0)));
        assert_eq!(exact["measurement_percentiles"], "exact");
        assert_eq!(sketch["measurement_percentiles"], "sketch");
        assert!(exact.keys().eq(sketch.keys()));
        for (key, value) in &exact {
            let (Some(exact), Some(sketch)) = (value.as_f64(), sketch[key].as_f64()) else {
                continue;
            };
            let bound = if key.contains("-p") {
                exact * 1.5e-3
            } else {
                0.0
            };
            assert!((exact - sketch).abs() <= bound, "{key}: {exact} {sketch}");
        }
    }
}
