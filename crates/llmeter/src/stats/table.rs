//! All metrics, in the order of `stats.json`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::accumulator::{Amount, Window};
use super::exact_sum::ratio;
use super::figures::{CalibrationErrors, Delays, Distribution, Latency, MetricValue};
use super::interval::Interval;
use super::metric::{Metric, Source};

const SUMMARY: Source = Source::Summary;
const RUN: Source = Source::Other("the run");
const QUALITY: Source = Source::Other("measurement quality");
const CALIBRATION: Source = Source::Other("calibration");
const LIMITS: Source = Source::Other("response heads and errors");
const COSTS: Source = Source::Other("cost model");
const GUARD: Source = Source::Other("cost limit");
const MERGE: Source = Source::Other("merge");

fn some(count: u64) -> Option<Value> {
    (count > 0).then(|| count.into())
}

fn above_zero(sum: f64) -> Option<Value> {
    (sum > 0.0).then(|| sum.into())
}

/// Declares [`Stats`] and the table of metrics from the same rows: the doc comment is the metric's
/// meaning everywhere, the type decides its kind, and the key is the field's name unless given.
macro_rules! metrics {
    ($(
        $(#[doc = $doc:literal])+
        $field:ident: $type:ty {
            $(key: $key:literal,)?
            $(label: $label:literal,)?
            $(unit: $unit:literal,)?
            $(absent: $absent:literal,)?
            $(summary_row: $row:literal,)?
            source: $source:expr $(,)?
        }
    )+) => {
        /// The statistics of a run by name and type, so that none is missed by a misspelled key, and
        /// none is taken for a number that a run without successful requests does not have.
        #[derive(Debug, Clone, Default, PartialEq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[doc = $doc])+ #[doc = ""] #[doc = concat!("Absent: ", one_of!($($absent)?, "never"), ".")] pub $field: $type,)+
        }

        impl Stats {
            /// The statistics that a flat map, as `stats.json` has it, holds.
            pub fn from_map(stats: &Map<String, Value>) -> Self {
                Self {
                    $($field: MetricValue::read(stats, one_of!($($key)? , stringify!($field))),)+
                }
            }
        }

        /// Every key that llmeter writes to `stats.json`, in order. What callbacks contribute comes
        /// on top.
        pub static METRICS: &[Metric] = &[$(Metric {
            key: one_of!($($key)? , stringify!($field)),
            short: stringify!($field),
            label: one_of!($($label)? , stringify!($field)),
            unit: one_of!($($unit)? , ""),
            doc: concat!($($doc),+).trim_ascii_start(),
            absent: one_of!($($absent)? , "never"),
            kind: <$type as MetricValue>::KIND,
            summary_row: optional!($($row)?),
            source: $source,
        },)+];
    };
}

/// A value for each name.
fn each(counts: &BTreeMap<String, u64>) -> Vec<(String, Value)> {
    let counts = counts.iter();
    counts
        .map(|(name, &count)| (name.clone(), count.into()))
        .collect()
}

/// The first, if it is given.
macro_rules! one_of {
    (, $default:expr) => {
        $default
    };
    ($given:literal, $default:expr) => {
        $given
    };
}

macro_rules! optional {
    () => {
        None
    };
    ($given:literal) => {
        Some($given)
    };
}

metrics! {
    /// Recorded requests, not planned ones.
    total_requests: Option<u64> { unit: "requests", source: SUMMARY }
    /// Clients that send at the same time; 1 in an open loop, where all requests are one client's that waits
    /// for none of them.
    clients: Option<u64> { unit: "clients", source: SUMMARY }
    /// Requests for each client.
    n_requests: Option<u64> {
        unit: "requests", absent: "null for a result that was not made by a run", source: SUMMARY,
    }
    /// Time from the start of the clients to the end of the last.
    total_test_time: Option<f64> {
        unit: "s", absent: "null when the run was killed", source: SUMMARY,
    }
    /// The model, as the API calls it.
    model_id: Option<String> { absent: "null for a result that was not made by a run", source: SUMMARY }
    /// The run's folder.
    output_path: Option<String> { absent: "null when nothing is written", source: SUMMARY }
    /// The endpoint's name, for people.
    endpoint_name: Option<String> { absent: "null for a result that was not made by a run", source: SUMMARY }
    /// Who runs the endpoint.
    provider: Option<String> { absent: "null for a result that was not made by a run", source: SUMMARY }
    /// The run's name.
    run_name: Option<String> { absent: "null for a result that was not made by a run", source: SUMMARY }
    /// What the run is for, in the user's words.
    run_description: Option<String> { absent: "null when none is given", source: SUMMARY }
    /// When the run began (ISO 8601, UTC).
    start_time: Option<String> { absent: "null for a result that was not made by a run", source: SUMMARY }
    /// When the first request was sent.
    first_request_time: Option<String> { absent: "null when no request was sent", source: SUMMARY }
    /// When the last request was sent.
    last_request_time: Option<String> { absent: "null when no request was sent", source: SUMMARY }
    /// When everything was processed.
    end_time: Option<String> { absent: "null for a result that was not made by a run", source: SUMMARY }

    /// Requests that failed. They enter counts and token sums, never a distribution.
    failed_requests: u64 {
        unit: "requests", source: Source::Totals(|totals| Some(totals.failed.into())),
    }
    /// Failed requests by kind of failure, like `failed_requests-timeout`.
    failed_requests_by_kind: Vec<(String, u64)> {
        key: "failed_requests-<kind>", unit: "requests", absent: "without such failures",
        source: Source::TotalsPerName(|totals| each(&totals.failed_by_kind)),
    }
    /// Failed requests / all requests.
    failed_requests_rate: f64 {
        absent: "never; 0 without requests",
        source: Source::Totals(|totals| Some(totals.failed_rate().into())),
    }
    /// Requests that were closed on purpose. They are no failures, and enter no distribution.
    cancelled_requests: u64 {
        unit: "requests", absent: "when there were none",
        source: Source::Totals(|totals| (totals.cancelled > 0).then(|| totals.cancelled.into())),
    }
    /// Successful requests whose response was read slowly on purpose. They enter no distribution.
    slow_reader_requests: u64 {
        unit: "requests", absent: "when there were none",
        source: Source::Totals(|totals| (totals.slow > 0).then(|| totals.slow.into())),
    }
    /// Requests / `total_test_time` · 60.
    requests_per_minute: Option<f64> {
        label: "requests per minute", unit: "1/min", absent: "null when the run was killed",
        source: Source::Totals(|totals| Some(totals.rate(totals.requests(), 60.0))),
    }
    /// 95 % interval of `failed_requests_rate`.
    failed_requests_rate_interval: Option<Interval> {
        key: "failed_requests_rate", absent: "without requests",
        source: Source::ShareInterval(|totals| (totals.failed, totals.requests())),
    }
    /// 95 % interval of `requests_per_minute`.
    requests_per_minute_interval: Option<Interval> {
        key: "requests_per_minute", unit: "1/min", absent: "with too few requests, or when the run was killed",
        source: Source::RateInterval(Amount::Requests, Window::Run, 60.0),
    }
    /// Successful requests / `total_test_time` · 60.
    successful_requests_per_minute: Option<f64> {
        label: "successful requests per minute", unit: "1/min",
        absent: "null when the run was killed",
        source: Source::Totals(|totals| Some(totals.rate(totals.successful(), 60.0))),
    }
    /// 95 % interval of `successful_requests_per_minute`.
    successful_requests_per_minute_interval: Option<Interval> {
        key: "successful_requests_per_minute", unit: "1/min", absent: "with too few requests, or when the run was killed",
        source: Source::RateInterval(Amount::Successful, Window::Run, 60.0),
    }
    /// Successful requests whose response had no content, whatever tokens it reports. They
    /// enter no latency.
    empty_responses: u64 {
        unit: "requests", absent: "when there were none",
        source: Source::Totals(|totals| (totals.empty > 0).then(|| totals.empty.into())),
    }
    /// Empty responses / successful requests.
    empty_responses_rate: f64 {
        absent: "when there were none",
        source: Source::Totals(|totals| totals.success_rate_of(totals.empty)),
    }
    /// Successful requests for a stream whose content all came in one burst: all tokens at once, or eight
    /// frames or more within a hundredth of the response's time and 0.1 ms from frame to frame at most. Something held it back, or the server
    /// does not send as it generates. They enter neither ITL nor TPOT.
    buffered_responses: u64 {
        unit: "requests", absent: "when there were none",
        source: Source::Totals(|totals| (totals.buffered > 0).then(|| totals.buffered.into())),
    }
    /// Buffered responses / successful requests.
    buffered_responses_rate: f64 {
        absent: "when there were none",
        source: Source::Totals(|totals| totals.success_rate_of(totals.buffered)),
    }
    /// Successful requests for a stream whose response came as one document. They have no TTFT, ITL
    /// and TPOT.
    non_streaming_responses: u64 {
        unit: "requests", absent: "when there were none",
        source: Source::Totals(|totals| (totals.non_streaming > 0).then(|| totals.non_streaming.into())),
    }
    /// Such responses / successful requests.
    non_streaming_responses_rate: f64 {
        absent: "when there were none",
        source: Source::Totals(|totals| totals.success_rate_of(totals.non_streaming)),
    }
    /// Successful requests whose response has several choices. Its text is the first one's, its tokens are
    /// those of all; they do not enter TPOT.
    several_choices_responses: u64 {
        unit: "requests", absent: "when there were none",
        source: Source::Totals(|totals| (totals.several_choices > 0).then(|| totals.several_choices.into())),
    }
    /// Such responses / successful requests.
    several_choices_responses_rate: f64 {
        absent: "when there were none",
        source: Source::Totals(|totals| totals.success_rate_of(totals.several_choices)),
    }
    /// Sum of the input tokens.
    total_input_tokens: u64 {
        label: "input tokens", unit: "tokens",
        source: Source::Totals(|totals| Some(totals.input_tokens.into())),
    }
    /// Sum of the output tokens, reasoning included.
    total_output_tokens: u64 {
        label: "output tokens", unit: "tokens",
        source: Source::Totals(|totals| Some(totals.output_tokens.into())),
    }
    /// The part of the input tokens that came from the server's cache.
    total_cached_input_tokens: u64 {
        label: "cached", unit: "tokens",
        source: Source::Totals(|totals| Some(totals.cached_input_tokens.into())),
    }
    /// The part of the output tokens that was reasoning.
    total_reasoning_output_tokens: u64 {
        label: "reasoning", unit: "tokens",
        source: Source::Totals(|totals| Some(totals.reasoning_output_tokens.into())),
    }
    /// The share of the responses that have their number of input tokens from each source: `reported` by
    /// the server; `corrected`, where its counts contradict each other and only one
    /// reading is possible; `contradictory`, where none or several are, or where they contradict the
    /// response's size or the request's output limit; `tokenizer NAME`; `estimated` by the number of words; `unknown`
    /// where a success has none.
    input_token_sources: Vec<(String, f64)> {
        key: "num_tokens_input_source-<source>", absent: "without such a count",
        source: Source::TotalsPerName(|totals| totals.input_sources.shares()),
    }
    /// The same for the number of output tokens; a stream's estimate is at least the number of its content
    /// frames.
    output_token_sources: Vec<(String, f64)> {
        key: "num_tokens_output_source-<source>", absent: "without such a count",
        source: Source::TotalsPerName(|totals| totals.output_sources.shares()),
    }
    /// Retries of all requests.
    total_retries: u64 {
        unit: "retries", absent: "without retries",
        source: Source::Totals(|totals| (totals.retries > 0).then(|| totals.retries.into())),
    }
    /// Time that requests waited before retries, summed up.
    total_retry_wait: f64 {
        unit: "s", absent: "without retries",
        source: Source::Totals(|totals| (totals.retries > 0).then(|| totals.retry_wait.into())),
    }
    /// Time that was lost to attempts on kept connections that the server had given up, summed up. TTFT
    /// and TTLT lack it.
    total_stale_connection_wait: f64 {
        unit: "s", absent: "without such attempts",
        source: Source::Totals(|totals| above_zero(totals.stale_connection_wait)),
    }
    /// Time that clients waited, after complete responses, for the end that the server did not send, summed
    /// up. TTFT and TTLT lack it.
    total_left_open_wait: f64 {
        unit: "s", absent: "without such responses",
        source: Source::Totals(|totals| above_zero(totals.left_open_wait)),
    }
    /// Time that clients waited after requests that had failed, summed over clients.
    total_failure_pause: f64 {
        unit: "s", absent: "when no client waited",
        source: Source::Totals(|totals| above_zero(totals.failure_pause)),
    }
    /// Complete responses whose connection did not end as its protocol has it, by how it ended:
    /// `left_open`, `closed_early`, `reset` or `garbled`.
    transport_ends: Vec<(String, u64)> {
        key: "transport_end-<end>", unit: "responses", absent: "when all ended properly",
        source: Source::TotalsPerName(|totals| each(&totals.transport_ends)),
    }
    /// Input tokens / `total_test_time` · 60.
    average_input_tokens_per_minute: Option<f64> {
        unit: "tokens/min",
        absent: "null when the run was killed, or no response has a count",
        source: Source::Totals(|totals| Some(totals.input_rate(60.0))),
    }
    /// Output tokens / `total_test_time` · 60.
    average_output_tokens_per_minute: Option<f64> {
        unit: "tokens/min",
        absent: "null when the run was killed, or no response has a count",
        source: Source::Totals(|totals| Some(totals.output_rate(60.0))),
    }
    /// Output tokens / `total_test_time`.
    output_tps: Option<f64> {
        label: "output tokens per second", unit: "tokens/s",
        absent: "null when the run was killed, or no response has a count",
        source: Source::Totals(|totals| Some(totals.output_rate(1.0))),
    }
    /// 95 % interval of `output_tps`.
    output_tps_interval: Option<Interval> {
        key: "output_tps", unit: "tokens/s", absent: "with too few requests, or when the run was killed",
        source: Source::RateInterval(Amount::OutputTokens, Window::Run, 1.0),
    }

    /// When the steady state begins, after the first request was sent: as many requests are in flight
    /// as at the peak (95 %), and as many have ended.
    steady_start: Option<f64> {
        unit: "s", absent: "in low memory, and in runs without a steady state",
        source: Source::Steady(|steady, _| Some(steady.start.into())),
    }
    /// When it ends: from then on fewer requests are in flight.
    steady_end: Option<f64> {
        unit: "s", absent: "as above", source: Source::Steady(|steady, _| Some(steady.end.into())),
    }
    /// Requests that end in the steady state.
    steady_requests: Option<u64> {
        unit: "requests", absent: "as above", source: Source::Steady(|steady, _| Some(steady.requests.into())),
    }
    /// Requests that end before it.
    ramp_up_requests: Option<u64> {
        unit: "requests", absent: "as above", source: Source::Steady(|steady, _| Some(steady.ramp_up.into())),
    }
    /// Requests that end after it.
    tail_requests: Option<u64> {
        unit: "requests", absent: "as above", source: Source::Steady(|steady, _| Some(steady.tail.into())),
    }
    /// `steady_requests` / (`steady_end` − `steady_start`) · 60.
    steady_requests_per_minute: Option<f64> {
        unit: "1/min", absent: "as above",
        source: Source::Steady(|steady, _| Some(steady.rate(steady.requests, 60.0).into())),
    }
    /// 95 % interval of `steady_requests_per_minute`.
    steady_requests_per_minute_interval: Option<Interval> {
        key: "steady_requests_per_minute", unit: "1/min", absent: "as above, and with too few requests",
        source: Source::RateInterval(Amount::Requests, Window::Steady, 60.0),
    }
    /// The same of successful requests.
    steady_successful_requests_per_minute: Option<f64> {
        unit: "1/min", absent: "as above",
        source: Source::Steady(|steady, _| Some(steady.rate(steady.successful, 60.0).into())),
    }
    /// 95 % interval of `steady_successful_requests_per_minute`.
    steady_successful_requests_per_minute_interval: Option<Interval> {
        key: "steady_successful_requests_per_minute", unit: "1/min", absent: "as above, and with too few requests",
        source: Source::RateInterval(Amount::Successful, Window::Steady, 60.0),
    }
    /// Output tokens of requests that end in the steady state / its length.
    steady_output_tps: Option<f64> {
        unit: "tokens/s", absent: "as above, and where no response has a count",
        source: Source::Steady(|steady, totals| {
            totals.knows_outputs().then(|| steady.rate(steady.tokens, 1.0).into())
        }),
    }
    /// 95 % interval of `steady_output_tps`.
    steady_output_tps_interval: Option<Interval> {
        key: "steady_output_tps", unit: "tokens/s", absent: "as above, and with too few requests",
        source: Source::RateInterval(Amount::OutputTokens, Window::Steady, 1.0),
    }
    /// Requests that end in the steady state and meet every SLO of single requests / its length.
    steady_goodput: Option<f64> {
        unit: "requests/s", absent: "as above, and without SLOs of single requests",
        source: Source::Steady(|steady, totals| {
            (!totals.slos.is_empty()).then(|| steady.rate(steady.good, 1.0).into())
        }),
    }
    /// 95 % interval of `steady_goodput`.
    steady_goodput_interval: Option<Interval> {
        key: "steady_goodput", unit: "requests/s", absent: "as above, and with too few requests",
        source: Source::RateInterval(Amount::Good, Window::Steady, 1.0),
    }
    /// Requests that end in the steady state and meet every SLO of single requests / `steady_requests`.
    steady_goodput_rate: Option<f64> {
        absent: "as `steady_goodput`",
        source: Source::Steady(|steady, totals| {
            (!totals.slos.is_empty()).then(|| ratio(i128::from(steady.good), steady.requests).into())
        }),
    }
    /// Whether reports show rates of the steady state (`--steady`).
    steady_rates: bool { absent: "when they do not", source: RUN }

    /// Requests that meet every SLO of single requests / `total_test_time`. A failed request meets none.
    goodput: Option<f64> {
        unit: "requests/s",
        absent: "without SLOs of single requests; null when the run was killed",
        source: Source::Totals(|totals| Some(totals.rate(totals.slos.met_by_all()?, 1.0))),
    }
    /// 95 % interval of `goodput`.
    goodput_interval: Option<Interval> {
        key: "goodput", unit: "requests/s",
        absent: "as `goodput`, and with too few requests",
        source: Source::RateInterval(Amount::Good, Window::Run, 1.0),
    }
    /// Requests that meet every SLO of single requests / all requests.
    goodput_rate: Option<f64> {
        absent: "without SLOs of single requests",
        source: Source::Totals(|totals| Some(totals.share_of(totals.slos.met_by_all()?).into())),
    }
    /// Requests that meet this SLO / all requests.
    slo_rates: Vec<(String, f64)> {
        key: "slo_rate-<slo>", absent: "without SLOs of single requests",
        source: Source::TotalsPerName(|totals| {
            let met = totals.slos.met_by_each();
            met.map(|(slo, met)| (slo.to_owned(), totals.share_of(met).into())).collect()
        }),
    }
    /// Whether the run meets this SLO, which is about a figure of the run.
    slos_met: Vec<(String, bool)> {
        key: "slo_met-<slo>", absent: "without such SLOs, or without the figure",
        source: Source::Other("SLOs"),
    }

    /// Tokens of a prompt by the data, in the run's tokenizer.
    asked_input_tokens: Distribution {
        unit: "tokens", absent: "without data that tells",
        source: Source::Count(|response| response.detail.asked_tokens()[0]),
    }
    /// Input tokens that the server reports beyond those that the data tells, on average: a chat template, or
    /// another tokenizer. Below 0 if it reports fewer.
    input_tokens_beyond_asked: Option<f64> {
        key: "input_tokens_beyond_asked-average", unit: "tokens",
        absent: "without data that tells, or without counts of the server",
        source: Source::Totals(|totals| totals.input_beyond.average()),
    }
    /// Tokens that a response was to have.
    asked_output_tokens: Distribution {
        unit: "tokens", absent: "without data that tells",
        source: Source::Count(|response| response.detail.asked_tokens()[1]),
    }
    /// Output tokens beyond those that were asked for, on average; below 0 if there were fewer.
    output_tokens_beyond_asked: Option<f64> {
        key: "output_tokens_beyond_asked-average", unit: "tokens", absent: "without data that tells",
        source: Source::Totals(|totals| totals.output_beyond.average()),
    }
    /// Successful responses with exactly the output tokens that were asked for / those for which it is known.
    output_tokens_as_asked_rate: Option<f64> {
        absent: "without data that tells",
        source: Source::Totals(|totals| totals.output_beyond.exact_rate()),
    }

    /// Vectors of an embeddings API: one for each input.
    total_vectors: u64 {
        label: "vectors", unit: "vectors", absent: "without vectors",
        source: Source::Totals(|totals| (totals.vectors > 0).then(|| totals.vectors.into())),
    }
    /// Vectors / `total_test_time`.
    vectors_per_second: Option<f64> {
        label: "vectors per second", unit: "vectors/s",
        absent: "without vectors; null when the run was killed",
        source: Source::Totals(|totals| {
            (totals.vectors > 0).then(|| totals.rate(totals.vectors, 1.0))
        }),
    }

    /// End-to-end latency: time to the last frame with generated content. Finish, usage and
    /// `[DONE]` frames do not extend it.
    ttlt: Latency {
        key: "time_to_last_token", label: "TTLT", unit: "s",
        absent: "without successful requests that have content",
        summary_row: 4, source: Source::Seconds(|response| response.time_to_last_token),
    }
    /// Time to the first frame with generated content of any kind: text, reasoning or a tool call.
    ttft: Latency {
        key: "time_to_first_token", label: "TTFT", unit: "s",
        absent: "without successful streaming requests", summary_row: 0,
        source: Source::Seconds(|response| response.time_to_first_token),
    }
    /// (TTLT − TTFT) / (output tokens − 1), of responses that did not come in one burst.
    tpot: Latency {
        key: "time_per_output_token", label: "TPOT", unit: "s",
        absent: "without successful streaming requests of two output tokens or more",
        summary_row: 3, source: Source::Seconds(|response| response.time_per_output_token),
    }
    /// Output tokens of a request, reasoning included.
    output_tokens: Distribution {
        key: "num_tokens_output", label: "output tokens", unit: "tokens",
        absent: "without successful requests",
        source: Source::Count(|response| response.num_tokens_output),
    }
    /// Input tokens of a request.
    input_tokens: Distribution {
        key: "num_tokens_input", label: "input tokens", unit: "tokens",
        absent: "without successful requests",
        source: Source::Count(|response| response.num_tokens_input),
    }
    /// Input tokens of a request that came from the server's cache.
    cached_input_tokens: Distribution {
        key: "num_tokens_input_cached", unit: "tokens",
        absent: "when the server does not report them",
        source: Source::Count(|response| response.num_tokens_input_cached),
    }
    /// Time to the first frame with answer content, which reasoning is not.
    ttfat: Latency {
        key: "time_to_first_answer_token", label: "TTFAT", unit: "s",
        absent: "without successful streaming requests", summary_row: 1,
        source: Source::Seconds(|response| response.detail.time_to_first_answer_token),
    }
    /// Gaps between consecutive content frames, of all requests together whose response did not come in
    /// one burst. A frame may carry several tokens: see `tokens_per_frame-average`.
    itl: Latency {
        key: "inter_token_latency", label: "ITL", unit: "s",
        absent: "without successful streaming requests of two content frames or more",
        summary_row: 2, source: Source::Gaps,
    }
    /// Longest gap between consecutive content frames of a response.
    longest_gap: Latency {
        label: "longest gap", unit: "s",
        absent: "without successful streaming requests of two content frames or more",
        source: Source::Seconds(|response| response.detail.longest_gap),
    }
    /// Time to open a connection, for the requests that had to.
    time_to_connect: Latency {
        label: "connect", unit: "s", absent: "when no successful request opened a connection",
        summary_row: 5, source: Source::Seconds(|response| response.detail.time_to_connect),
    }
    /// Time of the TLS handshake, for the requests that had to make one.
    time_to_tls: Latency {
        label: "TLS", unit: "s", absent: "when no successful request made a handshake",
        summary_row: 6, source: Source::Seconds(|response| response.detail.time_to_tls),
    }
    /// Round-trip time of the connection at the end of each response, smoothed, by the kernel's TCP.
    network_round_trip: Latency {
        label: "network round trip", unit: "s",
        absent: "where the system does not tell (not Linux, a Unix socket, an endpoint in Python)",
        source: Source::Seconds(|response| response.path().network_round_trip),
    }
    /// The shortest round-trip time of the connection of late, at the end of each response.
    network_min_round_trip: Latency {
        label: "TTFT: network", unit: "s", absent: "as for `network_round_trip`", summary_row: 12,
        source: Source::Seconds(|response| response.path().network_min_round_trip),
    }
    /// Time from the system call that wrote a request's first byte until a packet left with it. It is in TTFT.
    send_delay: Latency {
        label: "send delay", unit: "s", absent: "without packet stamps",
        source: Source::Seconds(|response| response.path().send_delay),
    }
    /// Time that bytes of a response waited for others before them that were missing, of the responses where
    /// any did.
    network_hole_wait: Latency {
        label: "wait for lost packets", unit: "s", absent: "without packet stamps, and where nothing was missing",
        source: Source::Seconds(|response| response.path().network_hole_wait),
    }
    /// Responses, failed ones included, whose bytes waited for others before them that were missing.
    network_delayed_responses: u64 {
        unit: "responses", absent: "without packet stamps, and where nothing was missing",
        source: Source::Totals(|totals| some(totals.network.delayed)),
    }
    /// Segments of responses that came before one that was missing: it was lost on the way, or overtaken.
    network_out_of_order: u64 {
        unit: "segments", absent: "when there were none",
        source: Source::Totals(|totals| some(totals.network.out_of_order)),
    }
    /// Segments of responses that came again although they had come.
    network_repeated: u64 {
        unit: "segments", absent: "without packet stamps, and when there were none",
        source: Source::Totals(|totals| some(totals.network.repeated)),
    }
    /// Segments that this machine sent again, mostly since they had been lost on the way.
    network_retransmissions: u64 {
        unit: "segments", absent: "when there were none",
        source: Source::Totals(|totals| some(totals.network.retransmissions)),
    }
    /// Time that a request took by the server's own word, or by a gateway's before it; of a stream whose headers
    /// say so, the time until they were sent.
    server_time: Latency {
        label: "server", unit: "s", absent: "where no server or gateway states it", summary_row: 10,
        source: Source::Seconds(|response| response.path().server_time),
    }
    /// Time that a request waited with the server, by its own word.
    server_queue_time: Latency {
        label: "server queue", unit: "s", absent: "where the server does not state it",
        source: Source::Seconds(|response| response.path().server_queue_time),
    }
    /// Time that the server took to read the prompt, by its own word.
    server_prompt_time: Latency {
        label: "server prompt", unit: "s", absent: "where the server does not state it",
        source: Source::Seconds(|response| response.path().server_prompt_time),
    }
    /// Time that the server took to generate tokens, by its own word.
    server_generation_time: Latency {
        label: "server generation", unit: "s", absent: "where the server does not state it",
        source: Source::Seconds(|response| response.path().server_generation_time),
    }
    /// Time that a gateway before the server added, by its own word.
    server_gateway_time: Latency {
        label: "gateway", unit: "s", absent: "where no gateway states it",
        source: Source::Seconds(|response| response.path().server_gateway_time),
    }
    /// The server's part of TTFT by its own word: queue and prompt, or the time until it sent the response's head.
    server_ttft: Latency {
        key: "server_time_to_first_token", label: "TTFT: server", unit: "s",
        absent: "where the server states nothing of it", summary_row: 11,
        source: Source::Seconds(|response| response.path().server_time_to_first_token),
    }
    /// TTFT without the server's part and the shortest round trip of the network.
    rest_of_ttft: Latency {
        key: "time_to_first_token_rest", label: "TTFT: rest", unit: "s",
        absent: "where the server's part is not known", summary_row: 13,
        source: Source::Seconds(|response| response.path().time_to_first_token_rest),
    }
    /// TTFT from when the request was due (open loop): what a user waits who comes at that time.
    scheduled_ttft: Latency {
        key: "scheduled_time_to_first_token", label: "TTFT from due", unit: "s",
        absent: "in a closed loop, and without successful streaming requests", summary_row: 7,
        source: Source::Seconds(|response| response.schedule().scheduled_time_to_first_token),
    }
    /// TTLT from when the request was due (open loop).
    scheduled_ttlt: Latency {
        key: "scheduled_time_to_last_token", label: "TTLT from due", unit: "s",
        absent: "in a closed loop, and without successful requests that have content", summary_row: 8,
        source: Source::Seconds(|response| response.schedule().scheduled_time_to_last_token),
    }
    /// How long after it was due a request was sent (open loop): what it waited for others in flight, for a
    /// connection, for the recorder and callbacks, and for llmeter to come to it.
    send_lateness: Latency {
        label: "send lateness", unit: "s", absent: "in a closed loop", summary_row: 9,
        source: Source::Seconds(|response| {
            response.schedule().due_time.and(response.detail.send_lateness)
        }),
    }
    /// From when the first turn of a conversation was sent to the last token of its last answer, of
    /// conversations that were completed.
    session_time: Latency {
        label: "session", unit: "s", absent: "without completed conversations", summary_row: 10,
        source: Source::Seconds(|response| response.schedule().session_time),
    }
    /// The part of that in which an answer was waited for: its turns' times to last token.
    session_response_time: Latency {
        label: "session, waiting", unit: "s", absent: "without completed conversations", summary_row: 11,
        source: Source::Seconds(|response| response.schedule().session_response_time),
    }
    /// The part of that which were think times.
    session_think_time: Latency {
        label: "session, thinking", unit: "s", absent: "without completed conversations", summary_row: 12,
        source: Source::Seconds(|response| response.schedule().session_think_time),
    }
    /// Turns of a completed conversation.
    session_turns: Distribution {
        label: "turns per session", unit: "turns", absent: "without completed conversations",
        source: Source::Count(|response| {
            response.schedule().session_time.map(|_| response.detail.turn.into())
        }),
    }
    /// Conversations that began: their first turn was sent. Those of sub-agents are part of others.
    sessions_begun: Option<u64> { unit: "sessions", absent: "without conversations", source: RUN }
    /// Conversations whose last turn was answered, and all of whose sub-agents were done.
    sessions_completed: Option<u64> { unit: "sessions", absent: "without conversations", source: RUN }
    /// Conversations that a turn ended which failed, or a sub-agent with such a turn. What would have followed
    /// was not sent.
    sessions_broken: u64 { unit: "sessions", absent: "when there were none", source: RUN }
    /// Conversations that ended with a turn that was closed on purpose.
    sessions_cancelled: u64 { unit: "sessions", absent: "when there were none", source: RUN }
    /// Conversations that were under way when the run ended.
    sessions_unfinished: u64 { unit: "sessions", absent: "when there were none", source: RUN }
    /// Sub-agents that began.
    sub_agents: u64 { unit: "sessions", absent: "when there were none", source: RUN }
    /// The turns of conversations, in order: which one it is (`turn`, counted from 1), and the statistics of
    /// its requests. The 51st has `and_later`: all that follow are in it.
    turns: Vec<Value> { absent: "without conversations", source: RUN }
    /// Requests that became due (open loop), those included that were not sent.
    due_requests: Option<u64> { unit: "requests", absent: "in a closed loop", source: RUN }
    /// Requests whose time was over before they could be sent: as many were in flight as may be.
    unsent_requests: u64 { unit: "requests", absent: "when there were none", source: RUN }
    /// Requests that became due / the time that was set; where none was, (n − 1) / the time from the first
    /// to the last of them.
    offered_rate: Option<f64> {
        label: "offered requests per second", unit: "requests/s",
        absent: "in a closed loop, and with too few requests", source: RUN,
    }
    /// The same of requests that were sent, when they were: the time is longer if the last was sent later.
    achieved_rate: Option<f64> {
        label: "achieved requests per second", unit: "requests/s",
        absent: "in a closed loop, and with too few requests", source: RUN,
    }
    /// Requests that were due and had not ended, on average over `total_test_time`.
    offered_in_flight: Option<f64> { unit: "requests", absent: "in a closed loop", source: RUN }
    /// Requests that were in flight, on average over `total_test_time`.
    achieved_in_flight: Option<f64> { unit: "requests", absent: "in a closed loop", source: RUN }
    /// Most requests that were in flight at a time, or had a connection opened for them.
    peak_in_flight: Option<u64> { unit: "requests", absent: "in a closed loop", source: RUN }
    /// How many requests may be in flight at a time.
    in_flight_limit: Option<u64> { unit: "requests", absent: "without such a limit", source: RUN }
    /// Requests that waited because so many were in flight.
    in_flight_waits: Option<u64> { unit: "requests", absent: "without such a limit", source: RUN }
    /// The time that they waited, summed.
    in_flight_wait: Option<f64> { unit: "s", absent: "without such a limit", source: RUN }
    /// The stages of the load, in order: what each is (`load`), when it begins and ends (`start`, `end`,
    /// seconds after the run's start), and the statistics of its requests, rates over its length. An open
    /// loop's requests belong to the stage in which they are due, those of clients to that in which they are
    /// sent. `achieved_rate` is what was sent within it, whenever it was due.
    stages: Vec<Value> { absent: "without stages", source: RUN }
    /// The classes of workload, in their order: the name of each (`workload`), its `share` of a load that is
    /// divided, its own `load`, and its statistics; with each class alone first, what some of them were
    /// `alone` and how many times as large they are together (`times_alone`).
    workloads: Vec<Value> { absent: "with one workload", source: RUN }
    /// The servers, in the order in which they were given: the name of each (`server`), its most frequent
    /// failure (`failure`), how long its name took to look up (`time_to_resolve`), and the statistics of the requests that went to it.
    servers: Vec<Value> { absent: "with one server", source: RUN }
    /// How the load was changed while the run was in progress, in order: when (`time`, seconds after the
    /// run's start), what (`setting`: `rate`, `clients`, `max_in_flight`, or `stop`), and its values before and
    /// after (`from`, `to`). `stages` has the intervals between changes.
    control_changes: Vec<Value> { absent: "without changes", source: RUN }
    /// After a spike of the load, for each figure (`figure`): what it was before (`before`), up to what it counts
    /// as that (`limit`), the highest value (`highest`), how long after the spike it was back
    /// (`recovered_after`, none if it was not), how long was looked (`watched`), and in windows of which length
    /// (`window`); seconds.
    recovery: Vec<Value> { absent: "without a spike", source: RUN }
    /// Answers of an idle server that were compared with those that it gave before.
    drift_alone_compared: Option<u64> { unit: "responses", absent: "without a test for drift", source: RUN }
    /// Those of them that differ.
    drift_alone_differ: Option<u64> { unit: "responses", absent: "without a test for drift", source: RUN }
    /// Answers under load that were compared with those of the idle server.
    drift_compared: Option<u64> { unit: "responses", absent: "without a test for drift", source: RUN }
    /// Those of them that differ.
    drift_differ: Option<u64> { unit: "responses", absent: "without a test for drift", source: RUN }
    /// The share of answers under load that differ.
    drift_rate: Option<f64> { unit: "share", absent: "without a test for drift", source: RUN }
    /// The lower end of its interval of 95 %.
    drift_rate_low: Option<f64> { unit: "share", absent: "without a test for drift", source: RUN }
    /// The upper end of its interval of 95 %.
    drift_rate_high: Option<f64> { unit: "share", absent: "without a test for drift", source: RUN }
    /// The first token of any answer that differs, from 0 on, by the run's tokenizer.
    drift_first_token: Option<u64> { unit: "tokens", absent: "if no answer differs", source: RUN }
    /// The median of the first token that differs.
    drift_median_token: Option<u64> { unit: "tokens", absent: "if no answer differs", source: RUN }
    /// Answers that differ: the prompt's line in `payload.jsonl` (`payload_index`), `client`, the first character
    /// and token that differ, and both answers around that place.
    drift_examples: Vec<Value> { absent: "if no answer differs", source: RUN }
    /// Requests that failed before a server that was asleep answered.
    cold_start_failures: Option<u64> { unit: "requests", absent: "without a cold start", source: RUN }
    /// From the first request to a server that was asleep to its first token.
    cold_start_first_token: Option<f64> { unit: "s", absent: "without a cold start, or without streaming", source: RUN }
    /// From the first request to a server that was asleep to the end of its first response.
    cold_start_response: Option<f64> { unit: "s", absent: "without a cold start", source: RUN }
    /// From the first request to a server that was asleep to the one from which on latencies are steady.
    cold_start_steady: Option<f64> { unit: "s", absent: "without a cold start, or if they never were", source: RUN }
    /// Up to what TTFT, or TTLT without streaming, counts as steady.
    cold_start_limit: Option<f64> { unit: "s", absent: "without a cold start", source: RUN }
    /// Gaps of very long streams that were measured but not kept: a fair sample of each stream's gaps
    /// stands for them in `inter_token_latency`.
    inter_token_latencies_dropped: u64 {
        key: "inter_token_latency-dropped", unit: "gaps",
        absent: "when all were kept",
        source: Source::Totals(|totals| (totals.gaps_dropped > 0).then(|| totals.gaps_dropped.into())),
    }
    /// Output tokens / content frames, over all successful streaming requests.
    tokens_per_frame: Option<f64> {
        key: "tokens_per_frame-average", label: "tokens per frame", unit: "tokens",
        absent: "without successful streaming requests",
        source: Source::Totals(|totals| totals.tokens_per_frame().map(Value::from)),
    }
    /// The gap from which a stream stalls.
    stall_threshold: Option<f64> { unit: "s", absent: "without gaps", source: RUN }
    /// Successful responses with a longer gap. A stream that failed is a failure, and in no figure of stalls.
    stalled_responses: u64 { unit: "responses", absent: "without gaps", source: RUN }
    /// Such responses / successful responses with a gap.
    stalled_responses_rate: f64 { absent: "without gaps", source: RUN }
    /// The speed of a reader of the streams.
    reading_speed: Option<f64> { unit: "tokens/s", absent: "when none is given", source: RUN }
    /// Content frames after a response's first that come when the reader is done with all before, who
    /// then waits and goes on from there / all such frames.
    late_frames_rate: Option<f64> { absent: "without a reading speed", source: RUN }
    /// Responses with such a frame / successful responses with a gap.
    late_responses_rate: Option<f64> { absent: "without a reading speed", source: RUN }
    /// Whether percentiles are `exact`, or the value at the nearest rank to three digits (`sketch`, in low
    /// memory).
    measurement_percentiles: Option<String> {
        source: Source::Totals(|totals| Some(totals.precision().into())),
    }

    /// Whether the figures are those of the endpoint: `clean`, `degraded` or `client-bound`.
    measurement_verdict: Option<String> { source: QUALITY }
    /// What the verdict rests on: sentences, each with a remedy.
    measurement_reasons: Vec<String> { absent: "empty when clean", source: QUALITY }
    /// Whose receive stamps the times rest on: `kernel`, `packet` or `user`; `python` where an endpoint in
    /// Python took the times.
    measurement_stamps: Option<String> { source: QUALITY }
    /// Reads with a kernel stamp / all reads.
    measurement_kernel_stamped_rate: Option<f64> { source: QUALITY }
    /// Time from the arrival of bytes to their being read; without kernel stamps an upper bound.
    measurement_receive_delay: Delays {
        label: "receive delay", unit: "s", absent: "when nothing was read", source: QUALITY,
    }
    /// Time from a request's intended to its actual sending. In an open loop the intended time is when it
    /// was due, and the lateness is that of `send_lateness`, failed requests included.
    measurement_send_lateness: Delays {
        label: "send lateness", unit: "s", absent: "when nothing was sent", source: QUALITY,
    }
    /// Requests whose TTFT or TTLT may be wrong by more than 1 ms / successful requests.
    measurement_uncertain_requests_rate: Option<f64> { source: QUALITY }
    /// Gaps that may be wrong by more than 1 ms / all gaps.
    measurement_uncertain_gaps_rate: Option<f64> { source: QUALITY }
    /// Share of time that the busiest worker was at work.
    measurement_worker_busy: Option<f64> { source: QUALITY }
    /// Largest share of time that a worker could have worked but had no core.
    measurement_worker_wait: Option<f64> { source: QUALITY }
    /// Most bytes that waited for the recorder.
    measurement_recorder_backlog_bytes: Option<u64> { unit: "bytes", source: QUALITY }
    /// Time that clients waited for the recorder, summed over clients.
    measurement_recorder_wait: Option<f64> { unit: "s", source: QUALITY }
    /// Time that clients waited for callbacks to prepare a request, summed over clients.
    measurement_callback_wait: Option<f64> { unit: "s", source: QUALITY }
    /// Time that clients waited for requests of the data to be made, summed over clients.
    measurement_data_wait: Option<f64> { unit: "s", absent: "when no client waited", source: QUALITY }
    /// Connections that were opened.
    measurement_connections: Option<u64> { unit: "connections", source: QUALITY }
    /// Requests that had to open a connection.
    measurement_requests_on_new_connection: Option<u64> { unit: "requests", source: QUALITY }
    /// Requests that were sent on a kept connection that the server had given up, and then again on
    /// another.
    measurement_stale_connections: Option<u64> { unit: "requests", source: QUALITY }
    /// Requests that failed for want of this machine's ports, files or buffers.
    measurement_local_failures: Option<u64> { unit: "requests", source: QUALITY }
    /// Share of the machine's time that was busy, llmeter included.
    measurement_host_busy: Option<f64> { absent: "when the system does not say", source: QUALITY }
    /// Share of the machine's time that the hypervisor gave to others.
    measurement_host_steal: Option<f64> { absent: "when the system does not say", source: QUALITY }
    /// How often the realtime clock jumped.
    measurement_clock_steps: Option<u64> { unit: "steps", source: QUALITY }
    /// Packets that came and were not captured, for want of memory or time.
    measurement_packets_dropped: Option<u64> {
        unit: "packets", absent: "without packet stamps", source: QUALITY,
    }
    /// What this machine adds to TTFT, measured against a simulated server.
    measurement_calibration_ttft: CalibrationErrors {
        unit: "s", absent: "without calibration", source: CALIBRATION,
    }
    /// What this machine adds to ITL, measured against a simulated server.
    measurement_calibration_itl: CalibrationErrors {
        unit: "s", absent: "without calibration", source: CALIBRATION,
    }
    /// Requests that the calibration rests on.
    measurement_calibration_requests: Option<u64> {
        unit: "requests", absent: "without calibration", source: CALIBRATION,
    }
    /// The verdict on the calibration's own run.
    measurement_calibration_verdict: Option<String> {
        absent: "without calibration", source: CALIBRATION,
    }

    /// Rate-limited responses: status 429, or an AWS throttling error. Retried ones are included.
    rate_limited_answers: u64 { unit: "responses", absent: "when there were none", source: LIMITS }
    /// Rate-limited responses with an AWS throttling error, by error name.
    rate_limited_answers_by_error: Vec<(String, u64)> {
        key: "rate_limited_answers-<error>",
        unit: "responses", absent: "when there were none",
        source: LIMITS,
    }
    /// The smallest number that a header with `remaining` in its name had.
    rate_limits_remaining: Vec<(String, f64)> {
        key: "rate_limit_<header>-min",
        absent: "when the server sends no such header", source: LIMITS,
    }
    /// The last value of any other header with limits: a number, or the seconds of a duration or until a
    /// time.
    rate_limits: Vec<(String, Value)> {
        key: "rate_limit_<header>", absent: "when the server sends no such header", source: LIMITS,
    }
    /// Headers with limits that were not taken: their name is none that servers are known to use, or their
    /// value is neither a number nor a duration nor a time.
    unreadable_rate_limits: u64 { unit: "headers", absent: "when there were none", source: LIMITS }

    /// Failures that ended the run early: `lasting_failures` (the first requests all failed in a way
    /// that does not pass by itself), `max_failures` or `error_rate`.
    stopped_by: Option<String> { absent: "when it went to its end", source: RUN }
    /// Whether every figure of `--until` was known when the run ended.
    until_reached: Option<bool> { absent: "without `--until`", source: RUN }
    /// The limit that ends a run, in the currency of the prices.
    cost_limit: Option<f64> { unit: "currency", absent: "without a limit", source: GUARD }
    /// Whether the limit ended the run.
    cost_limit_reached: Option<bool> { absent: "without a limit", source: GUARD }
    /// Cost of a request by one dimension of the cost model.
    request_costs: Vec<(String, Distribution)> {
        key: "cost_<dimension>_per_request",
        unit: "currency", absent: "without a cost model",
        source: COSTS,
    }
    /// Cost of a request by all dimensions of requests, over the requests whose cost is known, without
    /// costs of the run: the average is the summary's total "per request".
    request_cost: Distribution {
        key: "cost_per_request", unit: "currency", absent: "without a cost model", source: COSTS,
    }
    /// Requests whose cost is not known in full, since not all of their tokens are. Sums have what is known.
    cost_unknown_requests: u64 { unit: "requests", absent: "when all are known", source: COSTS }
    /// Cost of the run by one dimension: that of the run, or the sum over its requests.
    costs: Vec<(String, f64)> {
        key: "cost_<dimension>", unit: "currency", absent: "without a cost model", source: COSTS,
    }
    /// Cost of the run by all dimensions.
    cost_total: Option<f64> { unit: "currency", absent: "without a cost model", source: COSTS }

    /// Parts of which this run was merged, those that are missing included.
    merged_parts: Option<u64> { unit: "runs", absent: "when it was not merged", source: MERGE }
    /// These parts: the folder, its requests, the verdict on its measurement, and what is wrong with it.
    merged_from: Vec<Value> { absent: "when it was not merged", source: MERGE }
    /// Share of the time from the first part's start to the last part's end in which all parts sent.
    merged_overlap: Option<f64> { absent: "when it was not merged", source: MERGE }
    /// Requests of the warm-up, which no other figure has in it.
    warmup_requests: Option<u64> { unit: "requests", absent: "without a warm-up", source: RUN }
    /// From the first request of the warm-up to the first of the run.
    warmup_time: Option<f64> { unit: "s", absent: "without a warm-up", source: RUN }
    /// Warm-up requests that failed.
    warmup_failed_requests: u64 {
        unit: "requests", absent: "when none failed", source: RUN,
    }
    /// Why the first of them failed.
    warmup_first_failure: Option<String> { absent: "when none failed", source: RUN }
    /// Whether the run was ended before its end.
    interrupted: bool { absent: "when it was not", source: RUN }
    /// Hooks of callbacks that failed, each with its count and the first failure.
    callback_errors: Vec<Value> { absent: "when none failed", source: RUN }
}
