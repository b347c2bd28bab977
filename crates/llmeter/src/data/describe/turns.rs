//! What the sessions of data are like: their turns, the pauses between them, and what turns repeat.

use std::time::Duration;

use serde::Serialize;

use super::LengthSummary;
use crate::base::error::Result;
use crate::data::DataSource;
use crate::data::beginnings::common;

/// What sessions of several turns are like, as far as they were looked at.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TurnSummary {
    /// Turns of a session; sessions of one turn are counted, too.
    pub per_session: LengthSummary,
    /// The share of the tokens of later turns' prompts that were part of the conversation before: all that was
    /// said, where requests are messages; otherwise what a prompt begins with that the turn before had.
    pub history_rate: f64,
    /// Pauses between an answer and the next turn, if the data has them.
    pub think_times: Option<TimeSummary>,
}

/// A distribution of times, in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TimeSummary {
    /// The mean.
    pub average: f64,
    /// The shortest.
    pub min: f64,
    /// The median.
    pub p50: f64,
    /// The 90th percentile.
    pub p90: f64,
    /// The 99th percentile.
    pub p99: f64,
    /// The longest.
    pub max: f64,
}

impl TimeSummary {
    /// `None` without any.
    pub fn of(mut times: Vec<Duration>) -> Option<Self> {
        times.sort_unstable();
        let at = |share: f64| {
            let rank = (share * times.len() as f64).ceil() as usize;
            times.get(rank.max(1) - 1).map(Duration::as_secs_f64)
        };
        let total: f64 = times.iter().map(Duration::as_secs_f64).sum();
        Some(Self {
            average: total / times.len().max(1) as f64,
            min: at(0.0)?,
            p50: at(0.5)?,
            p90: at(0.9)?,
            p99: at(0.99)?,
            max: at(1.0)?,
        })
    }
}

/// The beginning that a later turn is compared with.
#[derive(Debug)]
pub(super) enum Said {
    Blocks(Vec<u64>, u64),
    Text(String),
}

/// The sessions of requests that come one after the other.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// The number of the session under way and where it ends.
    number: u64,
    next: Option<u64>,
    before: Option<Said>,
    lengths: Vec<u64>,
    pauses: Vec<Duration>,
    /// Tokens of later turns, and those of them that are history.
    tokens: u64,
    history: u64,
}

impl Turns {
    /// Takes a request of so many tokens. `count` counts those of a text, `own_tokens` those of the turn without its
    /// history.
    pub(super) fn take(
        &mut self,
        source: &dyn DataSource,
        (index, tokens): (u64, Option<u64>),
        said: Said,
        count: impl Fn(&str) -> Option<u64>,
        own_tokens: impl FnOnce() -> Result<Option<u64>>,
    ) -> Result<()> {
        let is_later = self.next.is_some_and(|next| index < next);
        if !is_later && !self.begin(source, index) {
            return Ok(());
        }
        if is_later && let Some(tokens) = tokens {
            let history = match (&self.before, &said) {
                (Some(Said::Blocks(before, _)), Said::Blocks(now, block)) => {
                    let pairs = before.iter().zip(now);
                    pairs.take_while(|(before, now)| before == now).count() as u64 * block
                }
                (_, Said::Text(_)) if source.continues(index) => {
                    own_tokens()?.map_or(0, |own| tokens.saturating_sub(own))
                }
                (Some(Said::Text(before)), Said::Text(now)) => {
                    count(&now[..common(now, before)]).unwrap_or(0)
                }
                _ => 0,
            };
            self.tokens += tokens;
            self.history += history.min(tokens);
        }
        self.before = Some(said);
        Ok(())
    }

    /// Whether a request begins a session: some are between two of them, where sessions may be longer.
    fn begin(&mut self, source: &dyn DataSource, index: u64) -> bool {
        let (number, from) = match self.next {
            Some(next) => (self.number + 1, next),
            None => (0, 0),
        };
        // Beyond its end, data begins again.
        let turns = source.session(number).filter(|turns| turns.start >= from);
        let Some(turns) = turns.filter(|turns| turns.contains(&index)) else {
            return false;
        };
        (self.number, self.next) = (number, Some(turns.end));
        self.lengths.push(turns.end - turns.start);
        self.pauses.extend(source.pauses(number));
        true
    }

    /// Sessions, and most turns of one; `None` if the data knows none.
    pub(super) fn counted(&self) -> Option<(u64, u64)> {
        let most = self.lengths.iter().copied().max()?;
        Some((self.lengths.len() as u64, most))
    }

    /// Sessions of several turns.
    pub(super) fn multi_turn(&self) -> u64 {
        self.lengths.iter().filter(|turns| **turns > 1).count() as u64
    }

    /// `None` without sessions of several turns.
    pub(super) fn summary(self) -> Option<TurnSummary> {
        if self.multi_turn() == 0 {
            return None;
        }
        Some(TurnSummary {
            per_session: LengthSummary::of(self.lengths)?,
            history_rate: match self.tokens {
                0 => 0.0,
                tokens => self.history as f64 / tokens as f64,
            },
            think_times: TimeSummary::of(self.pauses),
        })
    }
}
