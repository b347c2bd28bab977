//! Generated answers: the model's part of the server.
//!
//! Belongs here: the order of waiting, writing and logging. What is written comes from `openai`,
//! when it is due from `plan`.

use std::sync::Arc;

use llmeter_wire::clock::{self, Stamp};
use tokio::sync::OwnedSemaphorePermit;

use crate::{
    connection::{Connection, Gone, Request, Then},
    dialect::{Dialect, Frames},
    http::Head,
    openai::{ApiError, ChatRequest, Piece, Wrap},
    overrides::{Fault, Settings},
    plan::Plan,
    response::ResponseHead,
    truth::{Draft, Outcome, TruthRecord},
};

/// Frames written in a row before other connections get their turn.
const BURST: u32 = 16;

impl Connection {
    /// Answers a request for generated content.
    pub(crate) async fn generate(
        &mut self,
        dialect: Dialect,
        request: Request,
    ) -> Result<Then, Gone> {
        let shared = Arc::clone(&self.shared);
        let parsed = dialect
            .parse(request.head.path(), &request.body)
            .and_then(|chat| {
                Settings::new(&shared.config, &request.head.overrides)
                    .map(|settings| (chat, settings))
            });
        let (chat, settings) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return self.refuse_request(&request.head, &error).await,
        };
        let (number, id) = shared.next_completion(dialect.id_prefix());
        let plan = Plan::new(&shared.config, &settings, &chat, number, id);
        let mut draft = Draft::new(&shared.truth, || draft(&request, &plan, chat.stream));
        let served = self.serve(dialect, &request, &chat, plan, &mut draft).await;
        if served.is_err() {
            draft.finish(Outcome::ClientGone, None);
        }
        served
    }

    async fn serve(
        &mut self,
        dialect: Dialect,
        request: &Request,
        chat: &ChatRequest,
        mut plan: Plan,
        draft: &mut Draft<'_>,
    ) -> Result<Then, Gone> {
        if plan.fault == Some(Fault::Error) {
            draft.finish(Outcome::Error, Some(clock::now()));
            let error = ApiError::server_error();
            return self.refuse_request(&request.head, &error).await;
        }
        let (slot, start) = self.slot(request.last.at.max(self.free)).await?;
        draft.started(start);
        if dialect.tells_times() {
            plan.answer.times = plan.times(start.0 - request.last.at.0);
        }
        let then = if chat.stream {
            let wrap = if request.head.http11 {
                Wrap::Chunk
            } else {
                Wrap::Bare
            };
            let writer = dialect.frames(plan.answer.clone(), wrap, chat.include_usage);
            self.stream(dialect, &request.head, plan, writer, start, draft)
                .await
        } else {
            self.plain(dialect, &request.head, plan, start, draft).await
        };
        drop(slot);
        then
    }

    /// The id of an HTTP request, by which the truth about it is found where the answer has none.
    fn request_id(&self, dialect: Dialect, answer: &str) -> String {
        if dialect.has_no_id() {
            answer.to_owned()
        } else {
            self.shared.request_id()
        }
    }

    /// Waits for a slot and says when work can begin, which is `ready` if there is one at once.
    async fn slot(&mut self, ready: Stamp) -> Result<(Option<OwnedSemaphorePermit>, Stamp), Gone> {
        let Some(slots) = self.shared.slots.clone() else {
            return Ok((None, ready));
        };
        if let Ok(slot) = Arc::clone(&slots).try_acquire_owned() {
            return Ok((Some(slot), ready));
        }
        // The slots are never closed, so that there is always one to come.
        let slot = self.unless_gone(slots.acquire_owned()).await?.ok();
        Ok((slot, clock::now()))
    }

    async fn stream(
        &mut self,
        dialect: Dialect,
        head: &Head,
        mut plan: Plan,
        mut writer: Box<dyn Frames>,
        start: Stamp,
        draft: &mut Draft<'_>,
    ) -> Result<Then, Gone> {
        let (choices, frames) = (plan.answer.choices, plan.frames());
        let fault = plan.fault.map(|fault| (frames / 2, fault));
        // A client that knows no chunks learns of the end by the connection's.
        let keep_alive = head.keep_alive && head.http11;
        let mut opening = Vec::with_capacity(1024);
        ResponseHead {
            status: 200,
            content_type: dialect.stream_type(),
            length: None,
            chunked: head.http11,
            keep_alive,
            request_id: &self.request_id(dialect, &plan.answer.id),
            aws_error_type: None,
            aws_request_id: dialect.is_aws().then_some(plan.answer.id.as_str()),
            allow: None,
            more: Vec::new(),
        }
        .write(&mut opening);
        for choice in 0..choices {
            writer.opening(choice, &mut opening);
        }

        let mut due = Stamp(start.0.saturating_add(plan.rhythm.first()));
        self.wait_until(due).await?;
        // Apart from the first token, so that the first token has a write of its own.
        self.write(&opening).await?;
        let mut burst = 0;
        for (index, piece) in plan.pieces().enumerate() {
            if index > 0 {
                due = Stamp(due.0.saturating_add(plan.rhythm.gap()));
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
            let reasoning = matches!(piece, Piece::Reasoning(_));
            for choice in 0..choices {
                let written = self.write(writer.content(choice, piece.clone())).await?;
                draft.wrote(written, reasoning);
            }
        }
        let closing = writer.closing();
        // Whoever has read the end of an answer finds its record: log first, then write.
        draft.finish(Outcome::Ok, Some(clock::now()));
        self.shared.count_answer();
        self.write(&closing).await?;
        Ok(if keep_alive {
            Then::Continue
        } else {
            Then::Close
        })
    }

    async fn plain(
        &mut self,
        dialect: Dialect,
        head: &Head,
        mut plan: Plan,
        start: Stamp,
        draft: &mut Draft<'_>,
    ) -> Result<Then, Gone> {
        let body = dialect.whole(&plan.answer);
        let mut out = Vec::with_capacity(512 + body.len());
        ResponseHead {
            status: 200,
            content_type: "application/json",
            length: Some(body.len()),
            chunked: false,
            keep_alive: head.keep_alive,
            request_id: &self.request_id(dialect, &plan.answer.id),
            aws_error_type: None,
            aws_request_id: dialect.is_aws().then_some(plan.answer.id.as_str()),
            allow: None,
            more: dialect.whole_headers(&plan.answer),
        }
        .write(&mut out);
        out.extend_from_slice(&body);

        let mut due = start.0.saturating_add(plan.rhythm.first());
        for _ in 1..plan.frames() {
            due = due.saturating_add(plan.rhythm.gap());
        }
        self.wait_until(Stamp(due)).await?;
        if let Some(fault) = plan.fault {
            self.write(&out[..out.len() - body.len() / 2]).await?;
            return self.break_off(fault, draft).await;
        }
        let written = clock::now();
        draft.wrote(written, false);
        draft.finish(Outcome::Ok, Some(written));
        self.shared.count_answer();
        self.write(&out).await?;
        Ok(if head.keep_alive {
            Then::Continue
        } else {
            Then::Close
        })
    }

    /// Ends an answer in its midst.
    async fn break_off(&mut self, fault: Fault, draft: &mut Draft<'_>) -> Result<Then, Gone> {
        if fault == Fault::Stall {
            draft.finish(Outcome::Stall, None);
            return self.unless_gone(std::future::pending()).await;
        }
        draft.finish(Outcome::Cut, None);
        Ok(Then::Close)
    }
}

fn draft(request: &Request, plan: &Plan, stream: bool) -> TruthRecord {
    let writes = if stream {
        plan.frames() * plan.answer.choices as usize
    } else {
        1
    };
    TruthRecord {
        id: plan.answer.id.clone(),
        arrival_ns: request.first.at.0,
        arrival_last_ns: request.last.at.0,
        kernel_arrival: request.first.kernel && request.last.kernel,
        start_ns: request.last.at.0,
        writes: Vec::with_capacity(writes),
        reasoning_writes: 0,
        done_ns: 0,
        prompt_tokens: plan.answer.prompt_tokens,
        completion_tokens: plan.answer.completion_tokens(),
        outcome: Outcome::Stopped,
    }
}
