//! How far the measurement can be trusted: llmeter's own error, and the verdict on it.

mod checks;
mod ending;
mod load;

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::base::failure::LocalResource;
use crate::base::host::HostShares;
use crate::base::shown::duration;
use crate::result::{MeasurementQuality, Spread, Verdict};
use crate::run::offered::LoadFigures;
use crate::run::worker::WorkerReport;
pub(crate) use checks::{Clocks, CrossChecks};
use ending::{Ending, Endings};
use llmeter_wire::clock::Stamp;
use llmeter_wire::{Arrival, StampSource};

/// A stamp whose possible error is larger than this makes its figure uncertain.
const TOLERATED_ERROR_NS: u32 = 1_000_000;
/// The share of a time up to which a possible error does not show in it.
const UNSEEN_SHARE: f64 = 0.005;
/// Share of doubtful requests from which a run is `degraded`: a p99 is then in doubt.
const DEGRADED_SHARE: f64 = 0.01;
/// Share of doubtful requests from which a run is `client-bound`: a median is in doubt.
const CLIENT_BOUND_SHARE: f64 = 0.5;
/// Share of uncertain token gaps from which a run is `degraded`.
const DEGRADED_GAP_SHARE: f64 = 0.05;
/// A median lateness of sending, as a share of the median latency, that lowers the load noticeably.
const LATE_SEND_SHARE: f64 = 0.05;
/// Share of the machine's time that the hypervisor may take before figures suffer.
const STEAL_SHARE: f64 = 0.05;
/// Share of a worker's time without a core up to which too few stamps are late for a p99 to show it.
const WAIT_SHARE: f64 = 0.01;
/// The 99th percentile of waits of random length, as a multiple of their mean: −ln 0.01.
const P99_OF_WAITS: f64 = 4.6;
/// The median lateness of sending, in seconds, that lowers no load noticeably.
const TOLERATED_LATENESS: f64 = 1e-3;
/// What the stamps of a run are called in which nothing was read.
const NO_STAMPS: &str = "none";
/// Stamps after the read do not see everything that delays them: a share of requests that is known
/// to be uncertain counts as this many times as large.
const UNSEEN: f64 = 2.0;

/// What one response says about the measurement.
#[derive(Debug, Clone, Default)]
pub(crate) struct ResponseQuality {
    delays_ns: Vec<u32>,
    kernel_reads: u32,
    packet_reads: u32,
    /// How the last content frame arrived, and what came after it.
    last_content: Option<Arrival>,
    ending: Ending,
    content_frames: u32,
    uncertain_frames: u32,
    /// How far the first and the last content frame's stamp may be off, in nanoseconds.
    first_error_ns: u32,
    last_error_ns: u32,
    /// The times to first and last token, against which these errors are weighed, in seconds.
    pub(crate) times: [Option<f64>; 2],
    pub(crate) send_lateness: Option<f64>,
    pub(crate) is_failed: bool,
    /// When the request was sent, and when the last of its response arrived.
    pub(crate) exchange: Option<[Stamp; 2]>,
    /// Of a request of an open loop that was never sent, the seconds from when it was due to when that was
    /// settled.
    pub(crate) given_up: Option<f64>,
    /// Seconds that were lost to a kept connection of no use.
    pub(crate) stale_connection_wait: Option<f64>,
    /// Seconds that the client waited for the end of a complete response that the server left open.
    pub(crate) left_open_wait: Option<f64>,
    /// Whether the endpoint carried out the request itself, so that nobody saw the response end.
    pub(crate) is_invoked: bool,
    /// What this machine lacked, if the request failed for that.
    pub(crate) lacking: Option<LocalResource>,
}

impl ResponseQuality {
    pub(crate) fn read(&mut self, arrival: Arrival) {
        self.delays_ns.push(arrival.delay_ns);
        self.kernel_reads += u32::from(arrival.is_kernel);
        self.packet_reads += u32::from(arrival.is_packet);
    }

    /// A content frame. A kernel stamp is that of the last of the bytes that the kernel merged: it is
    /// exact unless the next frame had arrived as well before llmeter came to read. Merged bytes may be
    /// read in several parts, which then have one stamp.
    pub(crate) fn content_frame(&mut self, arrival: Arrival) {
        let is_blurred = arrival.blur_ns > TOLERATED_ERROR_NS;
        let last = self.last_content.replace(arrival);
        let shares_stamp = last.is_some_and(|last| last.at == arrival.at);
        self.ending = Ending::Unknown;
        if arrival.is_kernel {
            // Then the stamp is right for this frame, and too late for the one before it.
            self.uncertain_frames += u32::from(is_blurred && shares_stamp);
            if shares_stamp && self.content_frames == 1 {
                self.first_error_ns = arrival.blur_ns;
            }
            self.last_error_ns = 0;
        } else {
            self.uncertain_frames += u32::from(is_blurred);
            if self.content_frames == 0 {
                self.first_error_ns = arrival.blur_ns;
            }
            self.last_error_ns = arrival.blur_ns;
        }
        self.content_frames += 1;
    }

    /// A frame without content.
    pub(crate) fn other_frame(&mut self, arrival: Arrival) {
        if let Some(content) = self.last_content
            && self.ending == Ending::Unknown
        {
            self.ending = Ending::of(content, arrival);
        }
    }

    /// The times are the endpoint's own, and may be wrong by so much.
    pub(crate) fn own_times(&mut self, times: [Option<f64>; 2], uncertainty: Duration) {
        let error_ns = u32::try_from(uncertainty.as_nanos()).unwrap_or(u32::MAX);
        self.times = times;
        (self.first_error_ns, self.last_error_ns) = (error_ns, error_ns);
    }

    /// Whether the time to first or last token may be wrong by more than 1 ms.
    fn is_uncertain(&self) -> bool {
        self.first_error_ns.max(self.last_error_ns) > TOLERATED_ERROR_NS
    }

    /// Whether it may be wrong by so much that the time itself looks different.
    fn is_doubtful(&self) -> bool {
        let errors = [self.first_error_ns, self.last_error_ns];
        self.times.iter().zip(errors).any(|(time, error_ns)| {
            let unseen = time.unwrap_or(0.0) * UNSEEN_SHARE;
            error_ns > TOLERATED_ERROR_NS && f64::from(error_ns) * 1e-9 > unseen
        })
    }

    /// Whether frames that were read together may have come apart.
    pub(crate) fn has_uncertain_frames(&self) -> bool {
        self.uncertain_frames > 0
    }

    pub(crate) fn longest_delay(&self) -> f64 {
        f64::from(self.delays_ns.iter().copied().max().unwrap_or(0)) * 1e-9
    }
}

/// Sums up what the responses of a run say about the measurement.
pub(crate) struct QualityMeter {
    delays: Histogram<u64>,
    lateness: Histogram<u64>,
    reads: u64,
    kernel_reads: u64,
    packet_reads: u64,
    requests: u64,
    uncertain_requests: u64,
    doubtful_requests: u64,
    endings: Endings,
    frames: u64,
    uncertain_frames: u64,
    on_new_connection: u64,
    stale_connections: u64,
    stale_connection_wait: f64,
    left_open_wait: f64,
    /// Requests that failed for want of a resource of this machine.
    lacking: BTreeMap<LocalResource, u64>,
}

/// What is known of a run beside its responses.
pub(crate) struct RunConditions {
    pub(crate) workers: Vec<WorkerReport>,
    pub(crate) connections: u64,
    pub(crate) backlog_bytes: u64,
    pub(crate) recorder_wait: f64,
    pub(crate) callback_wait: f64,
    pub(crate) data_wait: f64,
    pub(crate) host: Option<HostShares>,
    /// Whether kernel stamps were there to be chosen, and were not.
    pub(crate) could_stamp: bool,
    /// Who took the times, if not llmeter.
    pub(crate) own_clock: Option<&'static str>,
    pub(crate) clients: usize,
    /// The median time to the first token of streams, in seconds.
    pub(crate) median_ttft: Option<f64>,
    /// The median latency, in seconds, against which lateness is weighed.
    pub(crate) median_latency: Option<f64>,
    /// Clients times the run's length, in seconds; in an open loop the time that requests took.
    pub(crate) client_seconds: f64,
    /// Packets that were not captured, in a run that captures them.
    pub(crate) packets_dropped: Option<u64>,
    /// Whether packet stamps were asked for, and not only taken because they could be.
    pub(crate) wants_packets: bool,
    /// In an open loop.
    pub(crate) load: Option<LoadFigures>,
}

impl QualityMeter {
    pub(crate) fn new() -> Self {
        Self {
            delays: nanosecond_histogram(),
            lateness: nanosecond_histogram(),
            reads: 0,
            kernel_reads: 0,
            packet_reads: 0,
            requests: 0,
            uncertain_requests: 0,
            doubtful_requests: 0,
            endings: Endings::default(),
            frames: 0,
            uncertain_frames: 0,
            on_new_connection: 0,
            stale_connections: 0,
            stale_connection_wait: 0.0,
            left_open_wait: 0.0,
            lacking: BTreeMap::new(),
        }
    }

    pub(crate) fn record(&mut self, response: &ResponseQuality, opened_connection: bool) {
        for &delay in &response.delays_ns {
            self.delays.saturating_record(u64::from(delay).max(1));
        }
        if let Some(lateness) = response.send_lateness {
            self.lateness
                .saturating_record(((lateness * 1e9) as u64).max(1));
        }
        self.reads += response.delays_ns.len() as u64;
        self.kernel_reads += u64::from(response.kernel_reads);
        self.packet_reads += u64::from(response.packet_reads);
        self.requests += u64::from(!response.is_failed);
        if !response.is_failed {
            self.uncertain_requests += u64::from(response.is_uncertain());
            self.doubtful_requests += u64::from(response.is_doubtful());
            if !response.is_uncertain() {
                let [_, ttlt] = response.times;
                let unseen = ttlt.unwrap_or(0.0) * UNSEEN_SHARE;
                self.endings.record(response.ending, unseen * 1e9);
            }
        }
        self.frames += u64::from(response.content_frames);
        self.uncertain_frames += u64::from(response.uncertain_frames);
        self.on_new_connection += u64::from(opened_connection);
        if let Some(wait) = response.stale_connection_wait {
            self.stale_connections += 1;
            self.stale_connection_wait += wait;
        }
        self.left_open_wait += response.left_open_wait.unwrap_or(0.0);
        if let Some(resource) = response.lacking {
            *self.lacking.entry(resource).or_default() += 1;
        }
    }

    #[cfg(test)]
    pub(crate) fn reads(&self) -> u64 {
        self.reads
    }

    /// Judges the run.
    pub(crate) fn judge(&self, conditions: &RunConditions) -> MeasurementQuality {
        let share = |part: u64, whole: u64| part as f64 / whole.max(1) as f64;
        let of_requests = |count: f64| count / self.requests.max(1) as f64;
        let (uncertain, doubtful) = self.endings.uncertain_and_doubtful();
        let workers = &conditions.workers;
        let largest = |of: fn(&WorkerReport) -> f64| workers.iter().map(of).fold(0.0, f64::max);
        let kernel_stamped_rate = share(self.kernel_reads, self.reads);
        let packet_stamped_rate = share(self.packet_reads, self.reads);
        let mut quality = MeasurementQuality {
            stamps: match self.reads > 0 {
                true if packet_stamped_rate > 1.0 - DEGRADED_SHARE => StampSource::Packet,
                true if kernel_stamped_rate > 1.0 - DEGRADED_SHARE => StampSource::Kernel,
                _ => StampSource::User,
            },
            stamped_by: conditions
                .own_clock
                .or((self.reads == 0).then_some(NO_STAMPS)),
            kernel_stamped_rate,
            receive_delay: spread(&self.delays),
            send_lateness: spread(&self.lateness),
            uncertain_requests_rate: of_requests(self.uncertain_requests as f64 + uncertain),
            uncertain_gaps_rate: share(self.uncertain_frames, self.frames),
            worker_busy: largest(|worker| worker.busy_share),
            worker_wait: largest(|worker| worker.wait_share),
            recorder_backlog_bytes: conditions.backlog_bytes,
            recorder_wait: conditions.recorder_wait,
            callback_wait: conditions.callback_wait,
            data_wait: conditions.data_wait,
            connections: conditions.connections,
            requests_on_new_connection: self.on_new_connection,
            stale_connections: self.stale_connections,
            local_failures: self.lacking.values().sum(),
            host_busy: conditions.host.map(|host| host.busy),
            host_steal: conditions.host.map(|host| host.steal),
            clock_steps: workers.iter().map(|worker| worker.clock_steps).sum(),
            packets_dropped: conditions.packets_dropped,
            ..MeasurementQuality::default()
        };
        let doubtful = of_requests(self.doubtful_requests as f64 + doubtful);
        // Without a successful request no figure is shown that could be wrong.
        if self.requests > 0 {
            quality.find_reasons(conditions, doubtful);
            quality.blame_connections(self.stale_connection_wait, self.left_open_wait, conditions);
        }
        quality.blame_lacks(&self.lacking);
        if let Some(load) = conditions.load.as_ref().filter(|_| self.requests > 0) {
            quality.blame_load(load, conditions);
        }
        quality
    }
}

impl MeasurementQuality {
    fn find_reasons(&mut self, conditions: &RunConditions, doubtful: f64) {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let mut blame = |verdict: Verdict, reason: String| {
            self.verdict = self.verdict.max(verdict);
            self.reasons.push(reason);
        };
        let weighed = match self.stamps {
            StampSource::Auto | StampSource::Kernel | StampSource::Packet => doubtful,
            StampSource::User => doubtful * UNSEEN,
        };
        if weighed > DEGRADED_SHARE {
            let verdict = match weighed > CLIENT_BOUND_SHARE {
                true => Verdict::ClientBound,
                false => Verdict::Degraded,
            };
            let can_stamp = self.stamps == StampSource::User && conditions.could_stamp;
            let remedy = match (can_stamp, conditions.clients > 1) {
                _ if conditions.own_clock.is_some() => {
                    "the endpoint takes its times itself, on threads that wait for one another: use one of \
                     llmeter's own endpoints, or fewer clients"
                }
                _ if conditions.load.is_some() => "use a lower rate, or free a core",
                (true, true) => "use kernel stamps, fewer clients or more cores",
                (true, false) => "use kernel stamps, or free a core",
                (false, true) => "use fewer clients, or free a core",
                (false, false) => "free a core",
            };
            let share = percent(doubtful);
            let reason = format!(
                "{share} of the requests have a time to first or last token that may be wrong by \
                 more than 1 ms; {remedy}"
            );
            blame(verdict, reason);
        }
        if self.uncertain_gaps_rate > DEGRADED_GAP_SHARE {
            let share = percent(self.uncertain_gaps_rate);
            let reason = "of the token gaps may be wrong by more than 1 ms; ITL percentiles suffer";
            blame(Verdict::Degraded, format!("{share} {reason}"));
        }
        // A stamp is late by the wait before the read, whatever a worker waited in all.
        let waits = conditions.workers.iter();
        let wait = waits.fold(0.0, |longest: f64, worker| longest.max(worker.mean_wait));
        let error = wait * P99_OF_WAITS;
        let shown = conditions.median_ttft.or(conditions.median_latency);
        if self.stamps == StampSource::User
            && self.worker_wait > WAIT_SHARE
            && error * 1e9 > f64::from(TOLERATED_ERROR_NS)
            && error > shown.unwrap_or(0.0) * UNSEEN_SHARE
        {
            let share = percent(self.worker_wait);
            let remedy = match conditions.could_stamp {
                true => "free a core or use kernel stamps",
                false => "free a core",
            };
            let wait = duration(wait);
            let reason = format!(
                "a worker waited {share} of its time for a core, {wait} each time on average, unseen \
                 by stamps that are taken after the read; {remedy}"
            );
            blame(Verdict::Degraded, reason);
        }
        if let (Some(late), Some(latency)) = (self.send_lateness, conditions.median_latency)
            && conditions.load.is_none()
            && late.p50 > latency * LATE_SEND_SHARE
            && late.p50 > TOLERATED_LATENESS
        {
            let remedy = match conditions.clients {
                1 => "free a core",
                _ => "use fewer clients or more cores",
            };
            let reason = format!(
                "the median request was sent {} late, so the offered load was lower than \
                 configured; latencies are not affected; {remedy}",
                duration(late.p50)
            );
            blame(Verdict::Degraded, reason);
        }
        let waits = [
            (
                self.recorder_wait,
                "the recorder",
                match conditions.clients {
                    _ if conditions.load.is_some() => {
                        "use a lower rate, more cores or faster callbacks"
                    }
                    1 => "use more cores or faster callbacks",
                    _ => "use fewer clients, more cores or faster callbacks",
                },
            ),
            (
                self.callback_wait,
                "callbacks' before_invoke",
                "make that hook faster or use more clients",
            ),
            (
                self.data_wait,
                "the data to be made",
                "use more cores, shorter prompts or a faster tokenizer",
            ),
        ];
        for (at, (waited, whom, remedy)) in waits.into_iter().enumerate() {
            let share = waited / conditions.client_seconds.max(1e-9);
            if share > DEGRADED_SHARE {
                // The recorder makes requests later; what was received has the times of its packets all the same.
                let is_harmless = at == 0 && self.stamps == StampSource::Packet;
                let (verdict, unless) = match is_harmless && share <= CLIENT_BOUND_SHARE {
                    true => (Verdict::Degraded, " latencies are not affected;"),
                    false => (Verdict::ClientBound, ""),
                };
                let waited = percent(share);
                let reason = format!(
                    "clients waited {waited} of the time for {whom}, so the load was lower than \
                     asked for;{unless} {remedy}"
                );
                blame(verdict, reason);
            }
        }
        if let Some(host) = conditions
            .host
            .filter(|host| host.certain_steal > STEAL_SHARE)
        {
            let (share, remedy) = (percent(host.steal), "measure on a quieter host");
            let reason = format!("the hypervisor took {share} of this machine's time; {remedy}");
            blame(Verdict::Degraded, reason);
        }
        if let Some(dropped) = conditions.packets_dropped
            && self.stamps != StampSource::Packet
            && (dropped > 0 || conditions.wants_packets)
        {
            let remedy = "use fewer clients, or free a core";
            let reason = format!(
                "{dropped} packets were not captured, so that their bytes have the times of reads; {remedy}"
            );
            blame(Verdict::Degraded, reason);
        }
        if self.stamps != StampSource::User && self.clock_steps > 0 {
            let reason = "the realtime clock was set during the run, which kernel stamps depend \
                          on; run again, or with user stamps";
            blame(Verdict::Degraded, reason.to_owned());
        }
    }
}

impl MeasurementQuality {
    /// Blames the meter's own machine for requests that it could not send.
    fn blame_lacks(&mut self, lacking: &BTreeMap<LocalResource, u64>) {
        for (resource, count) in lacking {
            let (name, remedy) = (resource.name(), resource.remedy());
            let requests = match count {
                1 => "1 request".to_owned(),
                count => format!("{count} requests"),
            };
            self.verdict = Verdict::ClientBound;
            self.reasons.push(format!(
                "{requests} failed because this machine has no {name} left; {remedy}"
            ));
        }
    }

    /// Blames what connections took of the clients' time for a load that was lower than asked for.
    fn blame_connections(&mut self, stale: f64, left_open: f64, conditions: &RunConditions) {
        for (waited, whom, remedy) in [
            (
                stale,
                "kept connections that the server had given up",
                "raise the server's keep-alive timeout, or open a new connection for each request",
            ),
            (
                left_open,
                "complete responses that the server left open",
                "have the server, or the proxy before it, send the end of its responses",
            ),
        ] {
            let waited = waited / conditions.client_seconds.max(1e-9);
            if waited > DEGRADED_SHARE {
                let share = waited * 100.0;
                self.verdict = self.verdict.max(Verdict::Degraded);
                self.reasons.push(format!(
                    "clients lost {share:.1} % of the time to {whom}, so the load was lower than asked \
                     for; latencies are not affected; {remedy}"
                ));
            }
        }
    }
}

/// Durations from 1 ns to about five hours, with three significant digits.
pub(crate) fn nanosecond_histogram() -> Histogram<u64> {
    let mut histogram = Histogram::new_with_bounds(1, 1 << 44, 3)
        .unwrap_or_else(|_| unreachable!("the bounds are valid"));
    histogram.auto(false);
    histogram
}

fn spread(histogram: &Histogram<u64>) -> Option<Spread> {
    let seconds = |quantile| histogram.value_at_quantile(quantile) as f64 * 1e-9;
    (!histogram.is_empty()).then(|| Spread {
        p50: seconds(0.5),
        p99: seconds(0.99),
        max: histogram.max() as f64 * 1e-9,
    })
}

#[cfg(test)]
mod tests;
