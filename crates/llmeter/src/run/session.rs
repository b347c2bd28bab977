//! One session: its turns one after the other, each when it is due.

use std::future::Future;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::cost::Reservation;
use crate::load::{RequestClass, Session, SubAgent, Turn};
use crate::run::client::Client;
use crate::run::control::ClientPart;
use crate::run::conversation::{Outcome, Place, SentTurn, SessionCounts, SoFar};
use crate::run::offered::Entry;
use crate::run::prefetch::{NextRequest, Ready};
use crate::run::shared::Shared;
use crate::run::worker::Worker;
use llmeter_wire::clock::{self, Stamp};

type Turns = Peekable<Box<dyn Iterator<Item = Turn> + Send>>;

/// A session whose first request is being prepared.
pub(crate) struct Coming {
    client: u32,
    pub(crate) class: RequestClass,
    pub(crate) until: Option<Duration>,
    turns: Turns,
    next: NextRequest,
    /// Of a closed loop that can be changed: it may have to leave.
    part: Option<ClientPart>,
    /// When the run began, or its warm-up.
    pub(crate) start: Stamp,
    /// When it arrives.
    pub(crate) due: Stamp,
    /// Whether another session started it.
    is_agent: bool,
}

impl Coming {
    /// Prepares a session of a run that began at `start`.
    pub(crate) fn new(
        shared: &Shared,
        session: Session,
        start: Stamp,
        part: Option<ClientPart>,
    ) -> Self {
        let is_warmup = session.class == RequestClass::Warmup;
        let mut turns = session.turns.peekable();
        let server = shared.balancer.of_session();
        let mut next = shared
            .requests
            .of_session(session.client, is_warmup, server);
        next.want(turns.peek(), &shared.balancer);
        Self {
            client: session.client,
            class: session.class,
            until: session.until,
            turns,
            next,
            part,
            start,
            due: start.after(session.arrival),
            is_agent: false,
        }
    }

    /// Whether the time in which it may send has passed.
    pub(crate) fn is_over(&self) -> bool {
        let is_past = |until| clock::now() >= self.start.after(until);
        self.until.is_some_and(is_past)
    }

    /// Runs it to its end, from when it has arrived. `entry`: what lets its first request be sent.
    pub(crate) async fn run(self, shared: Arc<Shared>, worker: Arc<Worker>, entry: Entry) {
        Walk::new(self, shared, worker, Some(entry)).run().await;
    }
}

/// A session under way.
struct Walk {
    shared: Arc<Shared>,
    worker: Arc<Worker>,
    number: u32,
    class: RequestClass,
    until: Option<Duration>,
    start: Stamp,
    is_agent: bool,
    turns: Turns,
    next: NextRequest,
    client: Client,
    /// When the next request is to be sent: before its pause, when the last one ended.
    intended: Stamp,
    /// What lets the first request be sent.
    entry: Option<Entry>,
    /// Requests sent.
    sequence: u64,
    conversation: Option<Conversation>,
    /// How the last conversation ended.
    outcome: Option<Outcome>,
    /// Of a closed loop that can be changed: it may have to leave.
    part: Option<ClientPart>,
}

/// A request that may be sent.
struct Admitted {
    request: Ready,
    entry: Entry,
}

/// Why a request that was due is not sent.
enum Refused {
    /// Its time was over before it could be.
    Late,
    /// The run ends, or what it may cost is spent.
    Over,
    /// All that were to be sent are.
    TooMany,
}

impl Walk {
    fn new(
        session: Coming,
        shared: Arc<Shared>,
        worker: Arc<Worker>,
        entry: Option<Entry>,
    ) -> Self {
        Self {
            number: session.client,
            class: session.class,
            until: session.until,
            start: session.start,
            is_agent: session.is_agent,
            turns: session.turns,
            next: session.next,
            client: Client::new(shared.clone(), worker.clone(), session.client),
            intended: session.due,
            entry,
            sequence: 0,
            conversation: None,
            outcome: None,
            part: session.part,
            shared,
            worker,
        }
    }

    /// Sends all turns. Gives when the last one ended, and how the last conversation did, if there was any.
    async fn run(mut self) -> (Stamp, Option<Outcome>) {
        while let Some(turn) = self.turns.peek() {
            let (payload, pause, place) = (turn.payload, turn.pause, Place::of(turn));
            if let Some(place) = place
                && let Some(ended) = self.join(|turn| turn == Some(place.turn)).await
            {
                // What follows has in it what a sub-agent did not find out.
                self.end(ended).await;
                self.skip(place.session);
                continue;
            }
            let Some(admitted) = self.admit(payload, pause, place).await else {
                break;
            };
            match place {
                None => {
                    self.turns.next();
                    self.next.want(self.turns.peek(), &self.shared.balancer);
                    self.send(admitted).await;
                    self.pause_after_failure().await;
                }
                Some(place) => {
                    if self.send_turn(admitted, pause, place).await.is_break() {
                        break;
                    }
                }
            }
        }
        if self.conversation.is_some() {
            self.end(Outcome::Unfinished).await;
        }
        self.client.retire();
        if self.class == RequestClass::Measured {
            self.shared.note_end();
        }
        (self.intended, self.outcome)
    }

    fn is_warmup(&self) -> bool {
        self.class == RequestClass::Warmup
    }

    /// Whether no more is sent at that time.
    fn is_past(&self, at: Stamp) -> bool {
        self.until
            .is_some_and(|until| at >= self.start.after(until))
    }

    /// Waits until the next request is due and may be sent. `None` if none may any more.
    async fn admit(
        &mut self,
        payload: usize,
        pause: Duration,
        place: Option<Place>,
    ) -> Option<Admitted> {
        let shared = self.shared.clone();
        let is_warmup = self.is_warmup();
        if !pause.is_zero() {
            let due = match place {
                Some(_) => self.intended.after(pause),
                None => clock::now().after(pause),
            };
            if place.is_some() && self.entry.is_none() && self.is_past(due) {
                return None;
            }
            match shared.offered {
                Some(_) => shared.sleep_until_exactly(due).await,
                None => shared.sleep_until(due).await,
            }
            // What is waited for by intention is no lateness of the meter.
            self.intended = match shared.offered {
                Some(_) => due,
                None => clock::now(),
            };
        }
        // The first turn was due when the session arrived.
        if (self.sequence > 0 || self.is_agent)
            && !is_warmup
            && let Some(offered) = &shared.offered
        {
            offered.note_due(self.intended, shared.stage(self.intended, self.start));
        }
        let refused = match self.let_pass(payload).await {
            Ok(admitted) => return Some(admitted),
            Err(refused) => refused,
        };
        if let Some(offered) = shared.offered.as_ref().filter(|_| !is_warmup) {
            match refused {
                Refused::TooMany => {
                    offered.forget_due(shared.stage(self.intended, self.start));
                }
                Refused::Late => offered.note_unsent(self.intended, clock::now()),
                Refused::Over => offered.note_stopped(self.intended),
            }
        }
        None
    }

    /// Waits until a request that is due may be sent, or none may any more.
    async fn let_pass(&mut self, payload: usize) -> Result<Admitted, Refused> {
        let shared = self.shared.clone();
        let is_warmup = self.is_warmup();
        // The first turn of an open loop may be sent although its time has just passed.
        let has_time = self.entry.is_some() && shared.offered.is_some();
        let entry = match self.entry.take() {
            None => shared.enter(self.intended, is_warmup).await,
            first => first,
        };
        // It waited for the limit of requests in flight.
        let entry = entry.ok_or(Refused::Late)?;
        if !is_warmup {
            shared.wait_for_recorder().await;
        }
        let (requests, interrupt) = (&shared.requests, &shared.interrupt);
        self.next.wait(requests, interrupt).await;
        let admitted = shared.admit(self.next.peek(requests, payload)).await;
        let reservation: Option<Reservation> = admitted.map_err(|_| Refused::Over)?;
        self.next.refresh(requests, interrupt).await;
        if shared.is_stopping() {
            return Err(Refused::Over);
        }
        if !has_time && self.is_past(clock::now()) {
            return Err(Refused::Late);
        }
        let start = self.start;
        let has_left = |part: &ClientPart| part.has_left(|| clock::now().seconds_since(start));
        if self.part.as_ref().is_some_and(has_left) {
            return Err(Refused::Over);
        }
        if !is_warmup && !shared.take_request() {
            return Err(Refused::TooMany);
        }
        if reservation
            .as_ref()
            .is_some_and(|reservation| reservation.has_waited)
        {
            self.intended = clock::now();
        }
        let request = self.next.take(requests, payload);
        let request = request.ok_or(Refused::Over)?;
        self.client.capture.reservation = reservation;
        Ok(Admitted { request, entry })
    }

    /// Sends a request and waits for its end.
    async fn send(&mut self, admitted: Admitted) {
        let Admitted { request, entry } = admitted;
        let (shared, client) = (&self.shared, &mut self.client);
        if self.class == RequestClass::Measured {
            (client.cancel_after, client.read_rate) = shared.fate(self.number, self.sequence);
        }
        self.sequence += 1;
        let sending = &mut client.capture.sending;
        sending.read_rate = client.read_rate;
        sending.stage = shared.stage(self.intended, self.start);
        sending.due = shared.due(self.intended, self.start, &entry);
        let is_warmup = self.class == RequestClass::Warmup;
        self.intended = client.request(request, self.intended, is_warmup).await;
    }

    /// Waits if the last request failed and there is another one.
    async fn pause_after_failure(&mut self) {
        if self.turns.peek().is_none() {
            return;
        }
        let until = self.until.map(|until| self.start.after(until));
        if self.client.pause_after_failure(until).await {
            self.intended = clock::now();
        }
    }

    /// Sends a turn of a conversation, and hears what the answer is. Breaks if the run is at its end.
    async fn send_turn(
        &mut self,
        admitted: Admitted,
        pause: Duration,
        place: Place,
    ) -> ControlFlow<()> {
        let sent = self.turns.next().and_then(|turn| turn.conversation);
        self.next.want(self.turns.peek(), &self.shared.balancer);
        let so_far = match &self.conversation {
            Some(conversation) => conversation.so_far,
            None => {
                // A connection of its own, for all of its turns.
                self.client.change(!place.is_last);
                if let Some(counts) = self.counts() {
                    counts.begin(self.is_agent);
                }
                self.conversation.insert(Conversation::default()).so_far
            }
        };
        let think_time = pause.as_secs_f64();
        let (turn, answer) = SentTurn::new(place, think_time, so_far);
        self.client.turn = Some(turn);
        let prepared = admitted.request.prepared.clone();
        self.send(admitted).await;
        self.client.capture.queue.wake_decoder();
        // It is not told of what was not sent.
        let answer = answer.await.ok();
        let ended = match &answer {
            None => Some(Outcome::Unfinished),
            Some(answer) => answer.ends(),
        };
        match (answer, ended) {
            (Some(answer), None) if !place.is_last => {
                if let Some(conversation) = &mut self.conversation {
                    conversation.so_far = so_far.and(&answer, think_time);
                }
                for agent in sent.into_iter().flat_map(|turn| turn.agents) {
                    self.start(agent);
                }
                self.next.continue_from(prepared, answer.text);
                ControlFlow::Continue(())
            }
            (_, Some(Outcome::Unfinished)) => ControlFlow::Break(()),
            (_, ended) => {
                self.end(ended.unwrap_or(Outcome::Completed)).await;
                self.skip(place.session);
                self.pause_after_failure().await;
                ControlFlow::Continue(())
            }
        }
    }

    fn counts(&self) -> Option<&SessionCounts> {
        self.shared.sessions.as_ref().filter(|_| !self.is_warmup())
    }

    /// The conversation is over, once its sub-agents are.
    async fn end(&mut self, outcome: Outcome) {
        let joined = self.join(|_| true).await;
        let outcome = match (outcome, joined) {
            (Outcome::Completed, Some(joined)) => joined,
            (outcome, _) => outcome,
        };
        if let Some(counts) = self.counts().filter(|_| !self.is_agent) {
            counts.end(outcome);
        }
        self.conversation = None;
        self.outcome = Some(outcome);
    }

    /// Leaves the turns that are left of a conversation.
    fn skip(&mut self, session: u32) {
        let is_of = |turn: &Turn| {
            Place::of(turn).is_some_and(|place| place.session == session && place.turn > 0)
        };
        let mut has_skipped = false;
        while self.turns.next_if(is_of).is_some() {
            has_skipped = true;
        }
        if has_skipped {
            self.next.want(self.turns.peek(), &self.shared.balancer);
        }
    }

    /// Starts a sub-agent beside this session.
    fn start(&mut self, agent: SubAgent) {
        let mut turns = agent.turns.to_vec();
        if let Some(first) = turns.first_mut() {
            first.pause += agent.pause;
        }
        let client = match self.shared.offered {
            Some(_) => agent.session,
            None => self.number,
        };
        let session = Session {
            class: self.class,
            until: self.until,
            ..Session::new(client, Duration::ZERO, turns.into_iter())
        };
        let coming = Coming {
            due: self.intended,
            is_agent: true,
            ..Coming::new(&self.shared, session, self.start, None)
        };
        let work = beside(Walk::new(
            coming,
            self.shared.clone(),
            self.worker.clone(),
            None,
        ));
        let Some(conversation) = &mut self.conversation else {
            return;
        };
        let joined_by = agent.joined_by;
        conversation.under_way.push(joined_by);
        conversation
            .agents
            .get_or_insert_default()
            .spawn(async move {
                let (at, outcome) = work.await;
                // Without a turn that could be sent there is none.
                let outcome = outcome.unwrap_or(Outcome::Unfinished);
                AgentEnd {
                    joined_by,
                    at,
                    outcome,
                }
            });
    }

    /// Waits for the sub-agents that turns wait for. Gives how the conversation ends by it, if one of them did
    /// not complete.
    async fn join(&mut self, is_awaited: impl Fn(Option<u32>) -> bool) -> Option<Outcome> {
        let conversation = self.conversation.as_mut()?;
        let agents = conversation.agents.as_mut()?;
        while conversation.under_way.iter().any(|turn| is_awaited(*turn)) {
            let ended = match agents.join_next().await? {
                Ok(ended) => ended,
                // The worker says so of a session that panics.
                Err(reason) if reason.is_panic() => std::panic::resume_unwind(reason.into_panic()),
                Err(_) => return Some(Outcome::Unfinished),
            };
            let mut under_way = conversation.under_way.iter();
            if let Some(place) = under_way.position(|turn| *turn == ended.joined_by) {
                conversation.under_way.swap_remove(place);
            }
            conversation.ended.push(ended);
        }
        let mut outcome = None;
        for ended in conversation
            .ended
            .extract_if(.., |ended| is_awaited(ended.joined_by))
        {
            self.intended = self.intended.max(ended.at);
            if ended.outcome != Outcome::Completed {
                outcome = Some(ended.outcome);
            }
        }
        outcome
    }
}

/// A session within another one, whose type would otherwise have no end.
fn beside(walk: Walk) -> Pin<Box<dyn Future<Output = (Stamp, Option<Outcome>)> + Send>> {
    Box::pin(walk.run())
}

/// The conversation that a session is in.
#[derive(Default)]
struct Conversation {
    so_far: SoFar,
    /// For each sub-agent under way, the turn that waits for it.
    under_way: Vec<Option<u32>>,
    agents: Option<JoinSet<AgentEnd>>,
    /// Those that have ended, and that no turn has waited for.
    ended: Vec<AgentEnd>,
}

/// How a sub-agent ended.
struct AgentEnd {
    joined_by: Option<u32>,
    at: Stamp,
    outcome: Outcome,
}
