//! Generated responses: the model's part of the server.
//!
//! Belongs here: the order of waiting, writing and logging. What is written comes from `api`, when
//! it is due from `plan`.

use std::sync::{Arc, PoisonError};

use crate::clock::{self, Time};

use crate::{
    api::{self, Api, ApiError, ApiRequest, Completion, Delta, FrameBuffer, Prompt, Route, Stream},
    config::MAX_TOKENS,
    exchange::{ClientGone, Exchange, NextAction, Request},
    overrides::{Fault, Settings},
    plan::Plan,
    queue::{Entry, Place},
    response::ResponseHead,
    truth::{Draft, Outcome, TruthRecord},
};

/// Frames written in a row before other connections get their turn.
const BURST: u32 = 16;
/// Bytes of a request, and tokens of a response without a stream, from which other connections do not
/// wait while it is read or made.
const LARGE: usize = 64 << 10;
/// Output tokens of all choices of a response.
const MAX_OUTPUT: u64 = 2 * MAX_TOKENS as u64;
/// Writes for which a record has room before it is known how many there are.
const WRITES: usize = 4096;

impl Exchange<'_> {
    /// Responds to a request for generated content.
    pub(crate) async fn generate(
        &mut self,
        api: &'static dyn Api,
        route: &Route,
        mut request: Request,
    ) -> Result<NextAction, ClientGone> {
        let shared = Arc::clone(&self.shared);
        let (body, asked) = (std::mem::take(&mut request.body), route.clone());
        let size = body.len();
        let parsed = aside(size, move || api::parse(api, &asked, &body)).await;
        let parsed = parsed.and_then(|wanted| {
            Settings::new(&shared.config, &request.head.overrides)
                .map(|settings| (wanted, settings))
        });
        let (mut wanted, settings) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => {
                return self
                    .refuse(Some(api), Some(&request.head), &error, "")
                    .await;
            }
        };
        let about = api.about();
        let id = shared.next_completion(about.id_prefix);
        let calls_in_one_chunk = about.calls_in_one_chunk;
        let mut plan = Plan::new(&shared.config, &settings, &wanted, calls_in_one_chunk, id);
        let in_flight = shared.enter();
        if let Some(words) = in_flight.words(&wanted.prompt) {
            plan.completion.words = words;
        }
        if plan.completion.output_tokens() > MAX_OUTPUT {
            let reason = format!("that is more than {MAX_OUTPUT} output tokens in all.");
            let error = ApiError::wrong_value("n", &reason);
            return self
                .refuse(Some(api), Some(&request.head), &error, "")
                .await;
        }
        if shared.prefix_cache.is_none() {
            // Only their number counts.
            wanted.prompt = Prompt::default();
        }
        let mut draft = Draft::new(&shared.truth, || self.draft(&request, &plan, wanted.stream));
        let served = self.serve(api, &request, &wanted, plan, &mut draft).await;
        if served.is_err() {
            draft.finish(Outcome::ClientGone, None);
        }
        served
    }

    async fn serve(
        &mut self,
        api: &'static dyn Api,
        request: &Request,
        wanted: &ApiRequest,
        mut plan: Plan,
        draft: &mut Draft<'_>,
    ) -> Result<NextAction, ClientGone> {
        if plan.fault == Some(Fault::Error) {
            draft.finish(Outcome::Error, Some(clock::now()));
            let error = ApiError::server_error();
            return self
                .refuse(Some(api), Some(&request.head), &error, "")
                .await;
        }
        let completion = &plan.completion;
        let tokens = completion.prompt_tokens + completion.output_tokens();
        let ready = request.last.at.max(self.free);
        let mut place = self.place(tokens, ready).await?;
        let cached = self.cached(&wanted.prompt);
        plan.begin(cached);
        let start = place.start;
        draft.started(start, cached);
        if api.about().tells_times {
            plan.completion.times = plan.times(start.0 - request.last.at.0);
        }
        let then = match wanted.stream {
            true => self.stream(api, plan, wanted, &mut place, draft).await,
            false => {
                self.non_streaming(api, plan, wanted, &mut place, draft)
                    .await
            }
        };
        drop(place);
        then
    }

    /// Waits for a place. Work can begin when the request is `ready` if there is one at once.
    async fn place(&mut self, tokens: u64, ready: Time) -> Result<Place, ClientGone> {
        let Some(queue) = self.shared.queue.clone() else {
            return Ok(Place::free(ready));
        };
        match queue.enter(tokens, ready) {
            Entry::Begin(place) => Ok(place),
            Entry::Wait(promised) => match self.unless_gone(promised).await {
                Ok(Ok(place)) => Ok(place),
                // The queue never forgets who waits.
                Ok(Err(_)) => Ok(Place::free(clock::now())),
                Err(gone) => {
                    // Whoever stood behind this request may begin.
                    queue.admit(clock::now());
                    Err(gone)
                }
            },
        }
    }

    /// How many of the prompt's tokens need not be read.
    fn cached(&self, prompt: &Prompt) -> u64 {
        let cache = self.shared.prefix_cache.as_ref();
        cache.map_or(0, |cache| {
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.find(prompt.tokens())
        })
    }

    /// The prompt has been read.
    fn keep(&self, prompt: &Prompt) {
        if let Some(cache) = &self.shared.prefix_cache {
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.keep(prompt.tokens());
        }
    }

    /// All has been generated.
    fn keep_answers(&self, prompt: &Prompt, completion: &Completion) {
        if self.shared.prefix_cache.is_some() {
            for choice in 0..completion.choices {
                self.keep(&completion.with_answer(prompt, choice));
            }
        }
    }

    async fn stream(
        &mut self,
        api: &'static dyn Api,
        mut plan: Plan,
        wanted: &ApiRequest,
        place: &mut Place,
        draft: &mut Draft<'_>,
    ) -> Result<NextAction, ClientGone> {
        let (choices, frames) = (plan.completion.choices, plan.frames());
        let fault = plan.fault.map(|fault| (frames / 2, fault));
        let ids = self.ids(api, Some(&plan.completion.id));
        let head = ResponseHead {
            status: 200,
            content_type: api.about().stream_type,
            length: None,
            headers: &ids,
        };
        let mut stream = Stream::new(plan.completion.clone());
        let mut buffer = FrameBuffer::new(self.is_chunked());
        for choice in 0..choices {
            api.opening(&mut stream, choice, &mut buffer);
        }
        let opening = self.opening(&head, buffer.bytes());

        let mut due = place.start.plus(plan.rhythm.first());
        self.wait_until(due).await?;
        // Apart from the first token, so that the first token has a write of its own.
        self.open(opening).await?;
        let mut burst = 0;
        for (index, delta) in plan.deltas().enumerate() {
            if index > 0 {
                due = due.plus(plan.rhythm.gap());
                burst += 1;
                if self.wait_until(due).await? {
                    burst = 0;
                } else if burst >= BURST {
                    burst = 0;
                    tokio::task::yield_now().await;
                }
            }
            if let Some((at, fault)) = fault
                && at == index
            {
                return self.break_off(fault, draft).await;
            }
            let reasoning = matches!(delta, Delta::Reasoning(_));
            for choice in 0..choices {
                if choice % BURST == BURST - 1 {
                    tokio::task::yield_now().await;
                }
                buffer.clear();
                api.content(&mut stream, choice, &delta, &mut buffer);
                let written = self.write(buffer.bytes()).await?;
                draft.wrote(written, reasoning);
            }
            if index == 0 {
                self.keep(&wanted.prompt);
            }
        }
        self.keep_answers(&wanted.prompt, &plan.completion);
        place.complete(due);
        buffer.clear();
        api.closing(&mut stream, &mut buffer);
        buffer.end();
        // Whoever has read the end of a response finds its record: log first, then write.
        draft.finish(Outcome::Ok, Some(clock::now()));
        self.shared.count_response();
        self.end(buffer.bytes()).await?;
        Ok(self.next_action(&head))
    }

    async fn non_streaming(
        &mut self,
        api: &'static dyn Api,
        mut plan: Plan,
        wanted: &ApiRequest,
        place: &mut Place,
        draft: &mut Draft<'_>,
    ) -> Result<NextAction, ClientGone> {
        let completion = plan.completion.clone();
        let size = completion.output_tokens() as usize;
        let body = aside(size, move || api.body(&completion).to_string()).await;
        let mut headers = self.ids(api, Some(&plan.completion.id));
        headers.extend(api.headers(&plan.completion));
        let head = ResponseHead::json(200, &headers, &body);

        let mut due = place.start.plus(plan.rhythm.first());
        if self.shared.prefix_cache.is_some() {
            self.wait_until(due).await?;
            self.keep(&wanted.prompt);
        }
        for _ in 1..plan.frames() {
            due = due.plus(plan.rhythm.gap());
        }
        self.wait_until(due).await?;
        if let Some(fault) = plan.fault {
            let half = &body.as_bytes()[..body.len() - body.len() / 2];
            self.open(self.opening(&head, half)).await?;
            return self.break_off(fault, draft).await;
        }
        self.keep_answers(&wanted.prompt, &plan.completion);
        place.complete(due);
        let whole = self.opening(&head, body.as_bytes());
        self.complete(whole, |written| {
            draft.wrote(written, false);
            draft.finish(Outcome::Ok, Some(written));
        })
        .await?;
        Ok(self.next_action(&head))
    }

    /// Breaks a response off.
    async fn break_off(
        &mut self,
        fault: Fault,
        draft: &mut Draft<'_>,
    ) -> Result<NextAction, ClientGone> {
        if fault == Fault::Stall {
            draft.finish(Outcome::Stall, None);
            return self.unless_gone(std::future::pending()).await;
        }
        draft.finish(Outcome::Cut, None);
        Ok(self.cut())
    }

    fn draft(&self, request: &Request, plan: &Plan, stream: bool) -> TruthRecord {
        let writes = if stream {
            plan.frames() * plan.completion.choices as usize
        } else {
            1
        };
        TruthRecord {
            id: plan.completion.id.clone(),
            accepted_ns: self.opened.accepted.0,
            hello_ns: self.opened.handshake.map_or(0, |(hello, _)| hello.0),
            handshake_ns: self.opened.handshake.map_or(0, |(_, done)| done.0),
            arrival_ns: request.first.at.0,
            arrival_last_ns: request.last.at.0,
            kernel_arrival: request.first.kernel && request.last.kernel,
            start_ns: request.last.at.0,
            writes: Vec::with_capacity(writes.min(WRITES)),
            reasoning_writes: 0,
            done_ns: 0,
            prompt_tokens: plan.completion.prompt_tokens,
            cached_tokens: 0,
            completion_tokens: plan.completion.output_tokens(),
            outcome: Outcome::Stopped,
        }
    }
}

/// Does work of so many bytes or tokens, on a thread of its own if they are many.
async fn aside<T: Send + 'static>(size: usize, work: impl FnOnce() -> T + Send + 'static) -> T {
    if size < LARGE {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(failed) => std::panic::resume_unwind(failed.into_panic()),
    }
}
