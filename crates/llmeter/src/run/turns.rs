//! The figures of each turn of conversations.

use serde_json::{Map, Value, json};

use crate::InvocationResponse;
use crate::stats::{Accumulator, Keep};

/// Turns with figures of their own; those that follow are told together.
const MAX_TURNS: usize = 50;

/// The statistics of single turns leave these out: they are about a whole run.
const OF_WHOLE_RUNS: [&str; 6] = [
    "steady_",
    "ramp_up_",
    "tail_",
    "measurement_",
    "session_",
    "requests_per_minute",
];

/// Figures by turn, fed one response at a time.
#[derive(Debug)]
pub(crate) struct TurnTally {
    keep: Keep,
    turns: Vec<Accumulator>,
}

impl TurnTally {
    pub(crate) fn new(keep: Keep) -> Self {
        Self {
            keep,
            turns: Vec::new(),
        }
    }

    /// Takes in a response; one that is no turn of a conversation is left out.
    pub(crate) fn record(&mut self, response: &InvocationResponse) {
        let Some(turn) = response.detail.turn.checked_sub(1) else {
            return;
        };
        let place = (turn as usize).min(MAX_TURNS);
        if place >= self.turns.len() {
            self.turns
                .resize_with(place + 1, || Accumulator::new(self.keep));
        }
        self.turns[place].record(response);
    }

    /// The statistics: `turns`, in order; nothing without any.
    pub(crate) fn stats(&mut self) -> Map<String, Value> {
        if self.turns.is_empty() {
            return Map::new();
        }
        let turn = |(number, turn): (usize, &mut Accumulator)| {
            let mut stats = Map::new();
            stats.insert("turn".to_owned(), json!(number + 1));
            if number == MAX_TURNS {
                stats.insert("and_later".to_owned(), true.into());
            }
            stats.insert("total_requests".to_owned(), json!(turn.recorded()));
            let of_responses = turn.stats(None).into_iter();
            stats.extend(
                of_responses
                    .filter(|(_, value)| !value.is_null())
                    .filter(|(key, _)| !OF_WHOLE_RUNS.iter().any(|start| key.starts_with(start))),
            );
            Value::Object(stats)
        };
        let turns: Vec<_> = self.turns.iter_mut().enumerate().map(turn).collect();
        [("turns".to_owned(), turns.into())].into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_each_turn_and_of_all_late_ones() {
        let mut tally = TurnTally::new(Keep::Values);
        assert!(tally.stats().is_empty());
        for (turn, ttft) in [(1, 0.1), (2, 0.3), (1, 0.3), (0, 9.0), (60, 0.5), (51, 0.7)] {
            let mut response = InvocationResponse::default();
            response.detail.turn = turn;
            response.time_to_first_token = Some(ttft);
            response.time_to_last_token = Some(ttft);
            tally.record(&response);
        }
        let stats = tally.stats();
        let of = |place: usize, key: &str| stats["turns"][place][key].clone();
        assert_eq!(stats["turns"].as_array().map(Vec::len), Some(51));
        assert_eq!(
            (of(0, "turn"), of(0, "total_requests")),
            (json!(1), json!(2))
        );
        assert_eq!(of(0, "time_to_first_token-p50"), json!(0.2));
        assert_eq!(of(1, "time_to_first_token-p50"), json!(0.3));
        assert_eq!(of(1, "and_later"), Value::Null);
        assert_eq!(
            (of(50, "and_later"), of(50, "total_requests")),
            (json!(true), json!(2))
        );
    }
}
