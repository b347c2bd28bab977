//! The recorder: threads that decode responses and keep what they say.
//!
//! Decoder threads turn segments into responses; if callbacks want them, they see them next, on
//! another thread; one collector thread adds them to the statistics,
//! writes them down and tells how the run goes on. All of them run at a low priority: a worker that
//! has something to read goes first.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, TryRecvError, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::base::error::{Error, Result};
use crate::base::foreign::{self, Panic};
use crate::base::runtime::spawn_low_priority;
use crate::callback::{CallbackChain, Hook};
use crate::endpoint::InvocationResponse;
use crate::load::Schedule;
use crate::payload::Tokenizer;
use crate::result::{FailureTally, ResponsesWriter};
use crate::run::after_invoke::{self, DecodedSink};
use crate::run::capture::{Segment, SegmentQueue};
use crate::run::decode::{Decoder, Recorded};
use crate::run::failure_limit::FailureWatch;
use crate::run::offered::Achieved;
use crate::run::quality::{Clocks, CrossChecks, QualityMeter, nanosecond_histogram};
use crate::run::servers::ServerTally;
use crate::run::shared::Shared;
use crate::run::stages::StageTally;
use crate::run::stalls::StallTally;
use crate::run::turns::TurnTally;
use crate::run::until::Until;
use crate::run::warmup::WarmupTally;
use crate::run::{Interrupt, Observer, Progress, ResponseWatch, RunConfig};
use crate::stats::{Accumulator, Keep};
use llmeter_wire::clock;

/// Workers that one decoder thread serves.
const WORKERS_PER_DECODER: usize = 4;
/// How long an idle decoder sleeps. It is mostly not woken: waking it would cost the workers a system
/// call per response, and nobody waits for its work but a flood. Longer naps make fewer switches between the two.
const DECODER_IDLE_SLEEP: Duration = Duration::from_millis(10);
/// Responses that a decoder hands on at once, at most.
const MAX_BATCH_LEN: usize = 256;
/// Responses for which room is made before they come, at most: some 90 MB.
const MAX_RESERVED: usize = 1 << 17;
/// How often responses reach the disk. A killed process loses about the last second at
/// most, even on a busy machine.
const FLUSH_INTERVAL: Duration = Duration::from_millis(200);
/// How often observers are told.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(500);

/// The recorder's threads.
pub(crate) struct Recorder {
    decoders: Vec<JoinHandle<u64>>,
    collector: JoinHandle<Collected>,
}

/// What the recorder has when the run is over.
pub(crate) struct Collected {
    pub(crate) responses: Vec<InvocationResponse>,
    pub(crate) accumulator: Accumulator,
    pub(crate) quality: QualityMeter,
    pub(crate) checks: CrossChecks,
    pub(crate) stalls: StallTally,
    /// The stages of the load, if it has any.
    pub(crate) stages: StageTally,
    /// The servers, where there are several.
    pub(crate) servers: ServerTally,
    /// The turns of conversations, if there are any.
    pub(crate) turns: TurnTally,
    /// The load, in an open loop.
    pub(crate) achieved: Option<Achieved>,
    /// The failures, if responses are not kept.
    pub(crate) failures: FailureTally,
    /// Why responses could not be written any more, if so, and how many are.
    pub(crate) write_failure: Option<WriteFailure>,
    /// Responses that were lost by a panic.
    pub(crate) lost: u64,
    /// The warm-up's requests.
    pub(crate) warmup: WarmupTally,
    /// The content type of the first stream that is called something else.
    pub(crate) wrong_label: Option<String>,
    /// Responses at one of whose texts the tokenizer failed.
    pub(crate) uncounted: u64,
    /// The figures that were to be known.
    pub(crate) until: Until,
}

/// Responses that could not be written.
pub(crate) struct WriteFailure {
    pub(crate) reason: Error,
    /// Responses that are in the file.
    pub(crate) kept: u64,
}

impl Recorder {
    /// Starts the threads for so many workers. Returns the queues, one for each decoder: a worker always uses the
    /// same.
    pub(crate) fn start(
        config: &RunConfig,
        workers: usize,
        schedule: &dyn Schedule,
        shared: &Arc<Shared>,
        writer: Option<ResponsesWriter>,
        observer: Option<Arc<dyn Observer>>,
        hooked: &Arc<CallbackChain>,
    ) -> Result<(Vec<SegmentQueue>, Self)> {
        let interrupt = shared.interrupt.clone();
        let (batches, recorded) = channel();
        let outlet = if hooked.has(Hook::AfterInvoke) {
            after_invoke::spawn(hooked.clone(), batches, interrupt.clone(), config.grace)?
        } else {
            DecodedSink::Collector(batches)
        };
        let count = workers.div_ceil(WORKERS_PER_DECODER);
        let mut queues = Vec::with_capacity(count);
        let mut decoders = Vec::with_capacity(count);
        for number in 0..count {
            let (queue, segments) = channel();
            let decoder = Decoder::new(shared.routes.clone(), config.tokenizer.clone())
                .of_workload(config.workload.as_deref())
                .with_packets(shared.capture().cloned())
                .with_time_headers(&config.server_time_headers)
                .within(config.max_response_size, count);
            let (shared, outlet) = (shared.clone(), outlet.clone());
            let thread = spawn_low_priority(format!("decoder-{number}"), move || {
                decode(decoder, &segments, &outlet, &shared)
            })?;
            queues.push(SegmentQueue::new(queue, Some(thread.thread().clone())));
            decoders.push(thread);
        }
        let keep = match config.low_memory {
            true => Keep::Sketches,
            false => Keep::Values,
        };
        let collector = Collector {
            collected: Collected {
                responses: match config.low_memory {
                    true => Vec::new(),
                    false => room_for(schedule.planned()),
                },
                accumulator: Accumulator::new(keep).slos(&config.slos),
                quality: QualityMeter::new(),
                checks: CrossChecks::default(),
                stalls: StallTally::new(config.stall, config.reading_speed),
                stages: StageTally::new(config.stages.as_ref(), keep, &config.slos),
                servers: ServerTally::new(keep, &config.slos)
                    .with(shared.routes.iter().map(|route| route.name)),
                turns: TurnTally::new(keep),
                achieved: shared
                    .offered
                    .as_ref()
                    .map(|_| Achieved::new(nanosecond_histogram())),
                failures: FailureTally::default(),
                write_failure: None,
                lost: 0,
                warmup: WarmupTally::default(),
                wrong_label: None,
                uncounted: 0,
                until: Until::new(config),
            },
            tokenizer: config.tokenizer.clone(),
            watch: config.watch.clone(),
            keeps_responses: !config.low_memory,
            forgets_prompts: config.data.is_some(),
            ignores_write_errors: config.ignore_write_errors,
            failures: FailureWatch::new(config),
            writer,
            observer,
            interrupt,
            shared: shared.clone(),
            planned: schedule.planned(),
            duration: schedule.duration().map(|duration| duration.as_secs_f64()),
        };
        let collector = spawn_low_priority("collector", move || collector.run(&recorded))?;
        let recorder = Self {
            decoders,
            collector,
        };
        Ok((queues, recorder))
    }

    /// Waits until everything is recorded. The queues must be dropped before.
    pub(crate) fn finish(self) -> Result<Collected> {
        let died = |_| Error::Internal("the recorder stopped");
        let mut lost = 0;
        for decoder in self.decoders {
            lost += decoder.join().map_err(died)?;
        }
        let mut collected = self.collector.join().map_err(died)?;
        collected.lost = lost;
        Ok(collected)
    }
}

/// Room for the responses of a run, which takes no memory before it is used. A list that grows instead is
/// moved again and again, and what it leaves behind stays with the process.
fn room_for(planned: Option<u64>) -> Vec<InvocationResponse> {
    let mut responses = Vec::new();
    let planned = usize::try_from(planned.unwrap_or(0)).unwrap_or(usize::MAX);
    // It can grow all the same.
    let _ = responses.try_reserve_exact(planned.min(MAX_RESERVED));
    responses
}

/// Decodes until the workers are gone. Returns how many responses were lost by panics.
fn decode(
    mut decoder: Decoder,
    segments: &Receiver<Segment>,
    outlet: &DecodedSink,
    shared: &Shared,
) -> u64 {
    let mut lost = 0;
    loop {
        let mut batch = Vec::new();
        let state = loop {
            match segments.try_recv() {
                Ok(segment) => {
                    let (size, flow) = (segment.size(), segment.flow.clone());
                    if let Some(head) = &segment.head {
                        shared.rate_limits.note(&head.0);
                    }
                    // The decoder catches what an endpoint's code does; this is for its own defects.
                    match foreign::catch_panic(|| decoder.take(segment)) {
                        Ok(recorded) => {
                            let throttle =
                                recorded.as_ref().and_then(|done| done.throttle.as_ref());
                            if let Some(kind) = throttle {
                                shared.rate_limits.note_throttle(kind);
                            }
                            if recorded
                                .as_ref()
                                .is_some_and(|done| done.response.error.is_none())
                            {
                                shared.note_success();
                            }
                            batch.extend(recorded);
                        }
                        Err(_) => lost += 1,
                    }
                    shared.backlog.shrink(size);
                    if let Some(flow) = flow {
                        flow.shrink(size);
                    }
                    if batch.len() >= MAX_BATCH_LEN {
                        break None;
                    }
                }
                Err(state) => break Some(state),
            }
        };
        if !batch.is_empty() {
            outlet.put(batch);
        }
        match state {
            None => {}
            Some(TryRecvError::Empty) => std::thread::park_timeout(DECODER_IDLE_SLEEP),
            Some(TryRecvError::Disconnected) => return lost,
        }
    }
}

struct Collector {
    collected: Collected,
    tokenizer: Arc<dyn Tokenizer>,
    watch: Option<Arc<dyn ResponseWatch>>,
    keeps_responses: bool,
    /// Whether what is written is not kept in memory as well: of data every request has a prompt of its own,
    /// and its index tells which.
    forgets_prompts: bool,
    ignores_write_errors: bool,
    failures: FailureWatch,
    writer: Option<ResponsesWriter>,
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
    shared: Arc<Shared>,
    planned: Option<u64>,
    duration: Option<f64>,
}

impl Collector {
    fn run(mut self, recorded: &Receiver<Vec<Recorded>>) -> Collected {
        let mut next_flush = clock::now().after(FLUSH_INTERVAL);
        let mut next_tick = clock::now().after(PROGRESS_INTERVAL);
        loop {
            let deadline = next_flush.min(next_tick);
            let left = deadline.seconds_since(clock::now()).max(0.0);
            match recorded.recv_timeout(Duration::from_secs_f64(left)) {
                Ok(batch) => batch.into_iter().for_each(|one| self.record(one)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = clock::now();
            if now >= next_flush {
                next_flush = now.after(FLUSH_INTERVAL);
                self.flush();
            }
            if now >= next_tick {
                next_tick = now.after(PROGRESS_INTERVAL);
                self.shared.check_elapsed_cost();
                self.tell(false);
            }
        }
        self.flush();
        self.tell(true);
        self.collected
    }

    fn record(&mut self, mut recorded: Recorded) {
        let failure = recorded.response.error.as_ref();
        let is_cancelled = recorded.response.is_cancelled();
        let signal = &self.shared.stop;
        if !is_cancelled {
            self.failures.note(failure, recorded.is_warmup, signal);
        }
        let collected = &mut self.collected;
        if let Some(label) = recorded.wrong_label {
            collected.wrong_label.get_or_insert(label);
        }
        let response = recorded.response;
        if recorded.is_warmup {
            return collected.warmup.record(response);
        }
        collected.uncounted += u64::from(recorded.is_uncounted);
        let opened = response.detail.time_to_connect.is_some();
        recorded.quality.times = [response.time_to_first_token, response.time_to_last_token];
        let exchange = recorded.quality.exchange;
        let tokenizer = &*self.tokenizer;
        let is_invoked = recorded.quality.is_invoked;
        // What is read late on purpose says nothing of the meter.
        if response.detail.read_rate == 0 {
            collected.quality.record(&recorded.quality, opened);
            collected
                .checks
                .record(&response, exchange, is_invoked, tokenizer);
        }
        collected.checks.record_clocks(Clocks::read());
        collected.stalls.record(&response);
        let sent = exchange.map(|[sent, _]| sent);
        if let Some(controlled) = &self.shared.controlled {
            controlled.note_response(response.error.is_some() && !is_cancelled);
            collected
                .stages
                .follow_changes(controlled, &collected.accumulator);
        }
        collected
            .stages
            .record(&response, sent, self.shared.started());
        collected.servers.record(&response);
        collected.turns.record(&response);
        if let Some(achieved) = &mut collected.achieved {
            achieved.record(&response, exchange, recorded.quality.given_up);
        }
        collected.accumulator.record(&response);
        collected.until.note(&response, signal);
        if self
            .watch
            .as_ref()
            .is_some_and(|watch| watch.note(&response))
        {
            signal.reach();
        }
        if let Some(writer) = &mut self.writer
            && let Err(reason) = writer.append(&response)
        {
            self.stop_writing(reason);
        }
        if self.keeps_responses {
            let mut response = response;
            if self.forgets_prompts && self.writer.is_some() {
                (response.input_payload, response.input_prompt) = (None, None);
            }
            self.collected.responses.push(response);
        } else if let Some(failure) = response.error.as_ref().filter(|_| !is_cancelled) {
            self.collected.failures.record(failure);
        }
    }

    fn flush(&mut self) {
        if let Some(writer) = &mut self.writer
            && let Err(reason) = writer.flush()
        {
            self.stop_writing(reason);
        }
    }

    /// Tells the observer how the run goes. `is_last`: everything is recorded.
    fn tell(&mut self, is_last: bool) {
        let Some(observer) = &self.observer else {
            return;
        };
        let started = self.shared.started();
        let until = self.shared.ended().filter(|_| is_last);
        let elapsed = started.map_or(0.0, |start| {
            until.unwrap_or_else(clock::now).seconds_since(start)
        });
        let window = (elapsed > 0.0).then_some(elapsed);
        let progress = Progress {
            recorded: self.collected.accumulator.recorded(),
            planned: self.planned,
            elapsed,
            duration: self.duration,
            is_warming_up: started.is_none(),
            is_stopping: self.interrupt.is_stopped(),
            stats: self.collected.accumulator.snapshot(window),
        };
        if let Err(Panic(reason)) = foreign::catch_panic(|| observer.progress(&progress)) {
            tracing::warn!(%reason, "the observer panicked and is told nothing more");
            self.observer = None;
        }
    }

    /// A full disk must not cost the measurement: what comes is kept in memory. Nothing more is sent,
    /// unless that is wanted, since a folder is what a run is made for.
    fn stop_writing(&mut self, reason: Error) {
        let Some(writer) = self.writer.take() else {
            return;
        };
        tracing::warn!(%reason, "responses are no longer written");
        let kept = writer.close();
        self.collected.write_failure = Some(WriteFailure { reason, kept });
        if !self.ignores_write_errors {
            self.interrupt.stop();
        }
    }
}
