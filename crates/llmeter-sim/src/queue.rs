//! The queue before a simulated model, which works on so many requests and tokens at a time.
//!
//! First come, first served: a request that does not fit yet holds up those behind it, as in vLLM.
//! Times are those at which things are due, not those at which the simulator got round to them, so
//! that waiting times are those of queueing theory. Belongs here: who may begin, and when.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::oneshot;

use crate::clock::{self, Time};

/// By how much a response may be complete later than it was due and still count as in time. More
/// than that is not the simulator's lateness, but a client that reads slowly.
const LATENESS_NS: i64 = 2_000_000;

/// What is free and who waits for it.
#[derive(Debug)]
struct Line<W> {
    requests: usize,
    tokens: u64,
    waiting: VecDeque<Waiting<W>>,
}

#[derive(Debug)]
struct Waiting<W> {
    tokens: u64,
    /// When it came.
    since: Time,
    whose: W,
}

impl<W> Line<W> {
    /// Whether a request that comes now may begin at once. If not, it waits.
    fn enter(&mut self, tokens: u64, since: Time, whose: W) -> bool {
        let begins = self.waiting.is_empty() && self.takes(tokens);
        if !begins {
            let waiting = Waiting {
                tokens,
                since,
                whose,
            };
            self.waiting.push_back(waiting);
        }
        begins
    }

    fn takes(&mut self, tokens: u64) -> bool {
        let fits = self.requests > 0 && self.tokens >= tokens;
        if fits {
            self.requests -= 1;
            self.tokens -= tokens;
        }
        fits
    }

    fn leave(&mut self, tokens: u64) {
        self.requests += 1;
        self.tokens += tokens;
    }

    /// Those that may begin at `at`, each with its tokens and its beginning.
    fn next(&mut self, at: Time, gone: impl Fn(&W) -> bool) -> Vec<(W, u64, Time)> {
        let mut begin = Vec::new();
        while let Some(first) = self.waiting.front() {
            let (tokens, since) = (first.tokens, first.since);
            let gone = gone(&first.whose);
            if !gone && !self.takes(tokens) {
                break;
            }
            if let Some(first) = self.waiting.pop_front().filter(|_| !gone) {
                begin.push((first.whose, tokens, since.max(at)));
            }
        }
        begin
    }
}

/// The queue of a server.
#[derive(Debug)]
pub(crate) struct Queue {
    line: Mutex<Line<oneshot::Sender<Place>>>,
    /// Tokens in all: a request with more begins when it is alone.
    tokens: u64,
}

/// A request's place among those that are worked on. Dropping it makes room.
#[derive(Debug)]
pub(crate) struct Place {
    queue: Option<Arc<Queue>>,
    tokens: u64,
    /// When work began.
    pub(crate) start: Time,
    /// When its response was due to be complete, if it is.
    complete: Option<Time>,
}

/// A place, or the promise of one.
pub(crate) enum Entry {
    Begin(Place),
    Wait(oneshot::Receiver<Place>),
}

impl Queue {
    /// One for so many requests and tokens at a time; `None` without either limit.
    pub(crate) fn new(requests: Option<usize>, tokens: Option<u64>) -> Option<Arc<Self>> {
        if requests.is_none() && tokens.is_none() {
            return None;
        }
        let tokens = tokens.unwrap_or(u64::MAX);
        Some(Arc::new(Self {
            line: Mutex::new(Line {
                requests: requests.unwrap_or(usize::MAX),
                tokens,
                waiting: VecDeque::new(),
            }),
            tokens,
        }))
    }

    /// A request of so many tokens in all has come.
    pub(crate) fn enter(self: &Arc<Self>, tokens: u64, since: Time) -> Entry {
        let tokens = tokens.min(self.tokens);
        let (sender, receiver) = oneshot::channel();
        let begins = self.with(|line| line.enter(tokens, since, sender));
        match begins {
            true => Entry::Begin(self.place(tokens, since)),
            false => Entry::Wait(receiver),
        }
    }

    /// Lets in who may begin.
    pub(crate) fn admit(self: &Arc<Self>, at: Time) {
        let next = self.with(|line| line.next(at, oneshot::Sender::is_closed));
        for (sender, tokens, start) in next {
            // One that has just left gives its place back.
            if let Err(mut place) = sender.send(self.place(tokens, start)) {
                place.complete = Some(start);
            }
        }
    }

    fn place(self: &Arc<Self>, tokens: u64, start: Time) -> Place {
        Place {
            queue: Some(Arc::clone(self)),
            tokens,
            start,
            complete: None,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Line<oneshot::Sender<Place>>) -> T) -> T {
        act(&mut self.line.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Place {
    /// The place of a request to a server without a queue.
    pub(crate) fn free(start: Time) -> Self {
        Self {
            queue: None,
            tokens: 0,
            start,
            complete: None,
        }
    }

    /// The response is complete, and was due to be at `due`.
    pub(crate) fn complete(&mut self, due: Time) {
        self.complete = Some(due.max(clock::now().plus(-LATENESS_NS)));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            queue.with(|line| line.leave(self.tokens));
            queue.admit(self.complete.unwrap_or_else(clock::now));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{cmp::Reverse, collections::BinaryHeap};

    use proptest::prelude::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// When each of these requests, in order of arrival, begins. A request takes `service`.
    fn starts(
        requests: usize,
        tokens: u64,
        arrivals: &[(i64, u64)],
        service: impl Fn(usize) -> i64,
    ) -> Vec<i64> {
        let mut line = Line {
            requests,
            tokens,
            waiting: VecDeque::new(),
        };
        let mut starts = vec![0; arrivals.len()];
        let mut ends: BinaryHeap<Reverse<(i64, usize)>> = BinaryHeap::new();
        let mut coming = arrivals.iter().enumerate().peekable();
        loop {
            let arrival = coming.peek().map(|(_, (at, _))| *at);
            let end = ends.peek().map(|Reverse((at, _))| *at);
            let mut begun: Vec<(usize, u64, Time)> = Vec::new();
            match (arrival, end) {
                (None, None) => return starts,
                (Some(at), end) if end.is_none_or(|end| at < end) => {
                    let (index, (_, tokens)) = coming.next().unwrap();
                    if line.enter(*tokens, Time(at), index) {
                        begun.push((index, *tokens, Time(at)));
                    }
                }
                _ => {
                    let Reverse((at, index)) = ends.pop().unwrap();
                    line.leave(arrivals[index].1);
                    begun = line.next(Time(at), |_| false);
                }
            }
            for (index, _, start) in begun {
                starts[index] = start.0;
                ends.push(Reverse((start.0 + service(index), index)));
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        /// Whoever comes next takes the server that is free first (Kiefer and Wolfowitz 1955).
        #[test]
        fn places_go_to_whoever_came_first(
            servers in 1_usize..5,
            gaps in prop::collection::vec((0_i64..50, 1_i64..200), 1..80),
        ) {
            let mut now = 0;
            let arrivals: Vec<(i64, u64)> = gaps
                .iter()
                .map(|(gap, _)| { now += gap; (now, 1) })
                .collect();
            let mut free = vec![0; servers];
            let expected: Vec<i64> = arrivals
                .iter()
                .zip(&gaps)
                .map(|((at, _), (_, service))| {
                    free.sort_unstable();
                    let start = free[0].max(*at);
                    free[0] = start + service;
                    start
                })
                .collect();
            let by_requests = starts(servers, u64::MAX, &arrivals, |index| gaps[index].1);
            prop_assert_eq!(&by_requests, &expected);
            let by_tokens = starts(usize::MAX, servers as u64, &arrivals, |index| gaps[index].1);
            prop_assert_eq!(&by_tokens, &expected);
        }
    }

    #[test]
    fn waiting_times_are_those_of_theory() {
        // M/D/1: the mean wait is ρ/(2(1-ρ)) service times (Pollaczek and Khinchine).
        let (service, load) = (1_000_000_i64, 0.6);
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut now = 0.0;
        let arrivals: Vec<(i64, u64)> = (0..100_000)
            .map(|_| {
                now -= (1.0 - rng.random::<f64>()).ln() * service as f64 / load;
                (now as i64, 1)
            })
            .collect();
        let starts = starts(1, u64::MAX, &arrivals, |_| service);
        let waits = starts
            .iter()
            .zip(&arrivals)
            .map(|(start, (at, _))| start - at);
        let mean = waits.sum::<i64>() as f64 / arrivals.len() as f64 / service as f64;
        let theory = load / (2.0 * (1.0 - load));
        assert!((mean / theory - 1.0).abs() < 0.04, "{mean} {theory}");
    }

    #[test]
    fn a_large_request_holds_up_those_behind_it() {
        let arrivals = [(0, 6), (1, 6), (2, 1)];
        assert_eq!(starts(9, 10, &arrivals, |_| 100), [0, 100, 100]);
        // One that has left does not.
        let mut line = Line {
            requests: 9,
            tokens: 10,
            waiting: VecDeque::new(),
        };
        assert!(line.enter(6, Time(0), 'a'));
        assert!(!line.enter(6, Time(1), 'b') && !line.enter(1, Time(2), 'c'));
        assert_eq!(
            line.next(Time(3), |whose| *whose == 'b'),
            [('c', 1, Time(3))]
        );
    }
}
