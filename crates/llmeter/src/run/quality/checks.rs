//! Cross-checks: figures that must agree with one another if the measurement is right.

use crate::base::shown::duration;
use crate::endpoint::{Delivery, InvocationResponse, TokenSource};
use crate::payload::Tokenizer;
use crate::result::{MeasurementQuality, Verdict};
use llmeter_wire::clock::{self, Stamp};

/// With fewer requests nothing is checked that rests on many.
const MIN_REQUESTS: u64 = 10;
/// How far the mean number of requests in flight may be from rate × latency.
const LITTLE: f64 = 0.1;
/// The mean difference, in seconds, that never counts.
const LITTLE_SECONDS: f64 = 1e-3;
/// The share of responses from which contradictions count.
const SHARE: f64 = 0.01;
/// How many content frames there may be for each output token that the server reports.
const FRAMES_PER_TOKEN: f64 = 1.25;
/// Between which shares of the tokenizer's counts the server's lie.
const TOKENS: std::ops::RangeInclusive<f64> = 0.8..=1.25;
/// Responses that are counted by the tokenizer, too.
const TOKENIZED: u64 = 64;
/// How far the sum of a response's gaps may be from the time from its first to its last token, in
/// seconds; a gap is kept in steps of 100 ns.
const GAP_SUM: f64 = 1e-3;
const GAP_STEP: f64 = 1e-7;
/// How far clocks may be apart: this share of the run and these seconds.
const CLOCK_SHARE: f64 = 0.01;
const CLOCK_SECONDS: f64 = 0.05;
/// The realtime clock is read in whole microseconds.
const WALL_STEP: f64 = 1e-6;

/// What the responses of a run say of one another, in bounded memory.
#[derive(Debug, Default)]
pub(crate) struct CrossChecks {
    /// Responses with content, the time that they were in flight, and their latency. Of a stream that was
    /// read frame by frame the time in flight counts only where it is shorter: what follows the last token
    /// (usage, an end mark) may take its time.
    measured: u64,
    in_flight: f64,
    latency: f64,
    /// The time that all requests were in flight, failed ones included.
    all_in_flight: f64,
    responses: u64,
    contradictory: u64,
    /// Frames and reported tokens of streams.
    frames: u64,
    framed_tokens: u64,
    tokenized: u64,
    reported: u64,
    counted: u64,
    /// Responses whose gaps are all known, and those whose gaps do not add up.
    gapped: u64,
    broken_sums: u64,
    first_sent: Option<Stamp>,
    last_end: Option<Stamp>,
    first_clocks: Option<Clocks>,
    /// By how much the two clocks went apart, at most.
    clock_difference: f64,
}

/// A moment by both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clocks {
    at: Stamp,
    wall: f64,
    /// How far the two may have been read apart, in seconds.
    error: f64,
}

impl Clocks {
    /// The present. Dates of requests do not serve: what a client does between taking a date and
    /// sending, such as opening a stream, would count as a difference of clocks.
    pub(crate) fn read() -> Self {
        let before = clock::now();
        let wall = clock::wall().as_microsecond() as f64 * 1e-6;
        let error = clock::now().seconds_since(before) + WALL_STEP;
        let at = before;
        Self { at, wall, error }
    }

    /// By how much the clocks went apart since an earlier moment, at the least.
    fn difference(self, earlier: Self) -> f64 {
        let apart = (self.wall - earlier.wall) - self.at.seconds_since(earlier.at);
        (apart.abs() - self.error - earlier.error).max(0.0)
    }
}

impl CrossChecks {
    /// Takes in a response that was in flight between two moments.
    pub(crate) fn record(
        &mut self,
        response: &InvocationResponse,
        exchange: Option<[Stamp; 2]>,
        is_invoked: bool,
        tokenizer: &dyn Tokenizer,
    ) {
        if let Some([sent, end]) = exchange {
            self.record_times(sent, end);
        }
        if response.error.is_some() {
            return;
        }
        self.responses += 1;
        self.record_tokens(response, tokenizer);
        self.record_gaps(response);
        // A server that leaves a response open keeps the client, and that is said elsewhere.
        if let (Some([sent, end]), Some(latency), None) = (
            exchange,
            response.time_to_last_token,
            response.detail.transport_end.as_str(),
        ) {
            self.measured += 1;
            let in_flight = end.seconds_since(sent);
            self.in_flight += match is_invoked {
                true => in_flight,
                false => in_flight.min(latency),
            };
            self.latency += latency;
        }
    }

    fn record_times(&mut self, sent: Stamp, end: Stamp) {
        self.all_in_flight += end.seconds_since(sent).max(0.0);
        self.first_sent = Some(self.first_sent.map_or(sent, |first| first.min(sent)));
        self.last_end = Some(self.last_end.map_or(end, |last| last.max(end)));
    }

    /// Compares the clocks with what they were when this was called first.
    pub(crate) fn record_clocks(&mut self, clocks: Clocks) {
        let first = *self.first_clocks.get_or_insert(clocks);
        self.clock_difference = self.clock_difference.max(clocks.difference(first));
    }

    fn record_tokens(&mut self, response: &InvocationResponse, tokenizer: &dyn Tokenizer) {
        let detail = &response.detail;
        let source = detail.num_tokens_output_source.as_ref();
        self.contradictory += u64::from(source == Some(&TokenSource::Contradictory));
        let (Some(tokens), Some(&TokenSource::Reported)) = (response.num_tokens_output, source)
        else {
            return;
        };
        if response.time_to_first_token.is_some() {
            self.frames += u64::from(detail.content_frames.unwrap_or(0));
            self.framed_tokens += tokens;
        }
        let has_more = response.num_tokens_output_reasoning.unwrap_or(0) > 0
            || detail.reasoning_text.is_some()
            || detail.text_dropped > 0
            || detail
                .finish_reason
                .as_deref()
                .is_some_and(|reason| reason.contains("tool"));
        let text = response.response_text.as_deref().unwrap_or_default();
        if self.tokenized < TOKENIZED
            && !has_more
            && !text.is_empty()
            && tokenizer.name().is_some()
            && let Some(count) = tokenizer.try_count(text)
        {
            self.tokenized += 1;
            self.reported += tokens;
            self.counted += count as u64;
        }
    }

    fn record_gaps(&mut self, response: &InvocationResponse) {
        let (detail, gaps) = (&response.detail, &response.detail.inter_token_latencies);
        let is_plain = detail.inter_token_latencies_dropped == 0
            && detail.delivery != Some(Delivery::Buffered)
            && !gaps.is_empty();
        if let (true, Some(first), Some(last)) = (
            is_plain,
            response.time_to_first_token,
            response.time_to_last_token,
        ) {
            self.gapped += 1;
            let sum: f64 = gaps.iter().copied().map(f64::from).sum();
            let tolerated = GAP_SUM + GAP_STEP * gaps.len() as f64;
            self.broken_sums += u64::from((sum - (last - first)).abs() > tolerated);
        }
    }

    /// What does not agree, of a run of `window` seconds: a sentence each. `clients` is how many
    /// requests could be in flight at a time, if that is bounded.
    pub(crate) fn findings(&self, window: Option<f64>, clients: Option<usize>) -> Vec<String> {
        let mut findings = Vec::new();
        let Some(window) = window.filter(|window| *window > 0.0) else {
            return findings;
        };
        let percent = |part: u64, whole: u64| part as f64 / whole.max(1) as f64 * 100.0;
        let difference = self.in_flight - self.latency;
        if self.measured >= MIN_REQUESTS
            && difference.abs() > self.in_flight * LITTLE
            && difference.abs() > LITTLE_SECONDS * self.measured as f64
        {
            findings.push(format!(
                "on average {:.2} requests were in flight, but rate × latency is {:.2} (Little's \
                 law): latencies are wrong, or the endpoint's calls return long after the last token; \
                 compare the endpoint's own times with the server's",
                self.in_flight / window,
                self.latency / window,
            ));
        }
        if self.responses >= MIN_REQUESTS {
            let share = percent(self.contradictory, self.responses);
            if share > SHARE * 100.0 {
                findings.push(format!(
                    "{share:.1} % of the responses have token counts that contradict their text or \
                     one another; token rates and TPOT suffer; set a tokenizer to compare"
                ));
            }
            let frames = self.frames as f64 / self.framed_tokens.max(1) as f64;
            if self.framed_tokens > 0 && frames > FRAMES_PER_TOKEN {
                findings.push(format!(
                    "the server reports fewer output tokens than frames with content ({frames:.2} \
                     frames for each token); token rates and TPOT rest on its counts"
                ));
            }
        }
        let ratio = self.reported as f64 / self.counted.max(1) as f64;
        if self.tokenized >= MIN_REQUESTS && !TOKENS.contains(&ratio) {
            findings.push(format!(
                "the server reports {ratio:.2} times as many output tokens as the tokenizer counts; \
                 is it the model's tokenizer?"
            ));
        }
        let share = percent(self.broken_sums, self.gapped);
        if self.gapped >= MIN_REQUESTS && share > SHARE * 100.0 {
            findings.push(format!(
                "the gaps of {share:.1} % of the responses do not add up to TTLT − TTFT within {}",
                duration(GAP_SUM)
            ));
        }
        let tolerated = window * CLOCK_SHARE + CLOCK_SECONDS;
        if let (Some(first), Some(last)) = (self.first_sent, self.last_end) {
            let span = last.seconds_since(first);
            if span > window + tolerated {
                findings.push(format!(
                    "from the first request to the end of the last it took {}, but the run {}",
                    duration(span),
                    duration(window)
                ));
            }
        }
        if self.clock_difference > tolerated {
            findings.push(format!(
                "the realtime and the monotonic clock went apart by {}; dates of requests, and what \
                 rests on them, are off by as much",
                duration(self.clock_difference)
            ));
        }
        if let Some(clients) = clients {
            let most = clients as f64 * (window + tolerated);
            if self.all_in_flight > most {
                findings.push(format!(
                    "requests took {} in all, more than all clients ({clients}) have in {}",
                    duration(self.all_in_flight),
                    duration(window)
                ));
            }
        }
        findings
    }
}

impl MeasurementQuality {
    /// Takes in what does not agree.
    pub(crate) fn doubt(&mut self, findings: Vec<String>) {
        if !findings.is_empty() {
            self.verdict = self.verdict.max(Verdict::Degraded);
            self.reasons.extend(findings);
        }
    }
}

#[cfg(test)]
mod tests;
