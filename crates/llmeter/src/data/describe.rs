//! What data is like: lengths, what prompts share, how requests arrive.

mod turns;

use std::fmt;
use std::time::Duration;

use rustc_hash::FxHashSet;
use serde::Serialize;

pub use self::turns::{TimeSummary, TurnSummary};

use self::turns::{Said, Turns};
use super::DataSource;
use super::beginnings::Beginnings;
use super::synthetic::WORDS;
use crate::base::error::Result;
use crate::base::shown::duration;
use crate::payload::{Payload, counted};

/// Tokens that a prompt must have in common with an earlier one: a usual cache's block.
const MIN_SHARED: u64 = 16;

/// What data is like, as far as it was looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DataDescription {
    /// Requests; `None` if the data has no end.
    pub requests: Option<u64>,
    /// Requests that were looked at.
    pub described: u64,
    /// Sessions of which these are; where data knows none, each request is one.
    pub sessions: u64,
    /// Sessions of several turns among them.
    pub multi_turn_sessions: u64,
    /// Most turns of a session.
    pub max_turns: u64,
    /// What sessions of several turns are like, if there are any.
    pub turns: Option<TurnSummary>,
    /// The tokenizer that counts; `None` where words stand for tokens.
    pub tokenizer: Option<String>,
    /// Tokens of prompts, as far as they are known.
    pub prompt_tokens: Option<LengthSummary>,
    /// Tokens that responses are to have, as far as they are known.
    pub output_tokens: Option<LengthSummary>,
    /// The share of prompts' tokens that a cache of prefixes without a bound could serve, if requests come one
    /// after the other.
    pub best_cache_hit_rate: f64,
    /// Requests whose prompt begins as an earlier one does, by 16 tokens or a block of the trace at least.
    pub sharing_requests: u64,
    /// When requests arrive, if the data says so.
    pub arrivals: Option<ArrivalSummary>,
    /// What a user should know of it.
    pub notes: Vec<String>,
}

/// A distribution of lengths.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LengthSummary {
    /// The sum of all.
    pub total: u64,
    /// The mean.
    pub average: f64,
    /// The shortest.
    pub min: u64,
    /// The median.
    pub p50: u64,
    /// The 90th percentile.
    pub p90: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// The longest.
    pub max: u64,
}

/// How sessions arrive.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ArrivalSummary {
    /// How many.
    pub count: u64,
    /// Seconds from the first to the last.
    pub seconds: f64,
    /// Arrivals in a second, on average; 0 if all arrive at once.
    pub rate: f64,
    /// Most arrivals within one second.
    pub max_in_one_second: u64,
}

impl LengthSummary {
    /// `None` without any.
    pub fn of(mut lengths: Vec<u64>) -> Option<Self> {
        lengths.sort_unstable();
        let at = |share: f64| {
            let rank = (share * lengths.len() as f64).ceil() as usize;
            lengths.get(rank.max(1) - 1).copied()
        };
        let total: u64 = lengths.iter().sum();
        Some(Self {
            total,
            average: total as f64 / lengths.len().max(1) as f64,
            min: at(0.0)?,
            p50: at(0.5)?,
            p90: at(0.9)?,
            p99: at(0.99)?,
            max: at(1.0)?,
        })
    }
}

impl ArrivalSummary {
    /// `None` without any. Arrivals need no order.
    pub fn of(mut arrivals: Vec<Duration>) -> Option<Self> {
        arrivals.sort_unstable();
        let (first, last) = (*arrivals.first()?, *arrivals.last()?);
        let seconds = (last - first).as_secs_f64();
        let mut from = 0;
        let mut most = 0;
        for (at, arrival) in arrivals.iter().enumerate() {
            while *arrival - arrivals[from] >= Duration::from_secs(1) {
                from += 1;
            }
            most = most.max(at + 1 - from);
        }
        let count = arrivals.len() as u64;
        Some(Self {
            count,
            seconds,
            rate: if seconds > 0.0 {
                (count - 1) as f64 / seconds
            } else {
                0.0
            },
            max_in_one_second: most as u64,
        })
    }
}

/// Looks at data: at its first `limit` requests at most. `prompt` finds the text of a payload's prompt;
/// `goes_on` is asked after each request.
///
/// # Errors
/// If a request cannot be made.
pub fn describe(
    source: &dyn DataSource,
    limit: u64,
    prompt: impl Fn(&Payload) -> Option<String>,
    mut goes_on: impl FnMut(u64) -> bool,
) -> Result<DataDescription> {
    let limit = source.size().map_or(limit, |size| size.min(limit));
    let mut seen: FxHashSet<u64> = FxHashSet::default();
    let (mut prompts, mut outputs) = (Vec::new(), Vec::new());
    let mut description = DataDescription {
        requests: source.size(),
        notes: source.notes(),
        ..DataDescription::default()
    };
    let tokenizer = source.tokenizer();
    description.tokenizer = tokenizer.as_ref().and_then(|tokenizer| tokenizer.name());
    let count = |text: &str| Some(counted(&**tokenizer.as_ref()?, text)? as u64);
    let mut beginnings = Beginnings::default();
    let (mut hit, mut all) = (0, 0);
    let mut turns = Turns::default();
    for index in 0..limit {
        let (tokens, output, shared, said) = match source.outline(index) {
            Some(outline) => {
                let blocks = outline.blocks.iter();
                let known = blocks.take_while(|block| seen.contains(*block)).count();
                seen.extend(&outline.blocks);
                let shared = (known as u64 * outline.block).min(outline.size);
                all += outline.size;
                let said = Said::Blocks(outline.blocks, outline.block);
                (outline.prompt_tokens, outline.output_tokens, shared, said)
            }
            None => {
                let request = source.request(index)?;
                let text = prompt(&request.payload).unwrap_or_default();
                let tokens = request.prompt_tokens.or_else(|| count(&text));
                let shared =
                    count(beginnings.longest(&text)).filter(|shared| *shared >= MIN_SHARED);
                let shared = shared.unwrap_or(0).min(tokens.unwrap_or(0));
                beginnings.add(text.clone());
                all += tokens.unwrap_or(0);
                (tokens, request.output_tokens, shared, Said::Text(text))
            }
        };
        turns.take(source, (index, tokens), said, count, || {
            let own = source.turn(index)?;
            Ok(prompt(&own.payload).and_then(|text| count(&text)))
        })?;
        description.sharing_requests += u64::from(shared > 0);
        hit += shared;
        prompts.extend(tokens);
        outputs.extend(output);
        description.described += 1;
        if !goes_on(index) {
            break;
        }
    }
    description.notes.extend(beginnings.note());
    description.best_cache_hit_rate = match all {
        0 => 0.0,
        all => hit as f64 / all as f64,
    };
    description.prompt_tokens = LengthSummary::of(prompts);
    description.output_tokens = LengthSummary::of(outputs);
    (description.sessions, description.max_turns) = turns
        .counted()
        .unwrap_or((description.described, description.described.min(1)));
    description.multi_turn_sessions = turns.multi_turn();
    description.turns = turns.summary();
    description.arrivals = ArrivalSummary::of(source.arrivals());
    Ok(description)
}

impl fmt::Display for DataDescription {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.requests {
            Some(requests) => write!(formatter, "{requests} requests")?,
            None => write!(formatter, "endless")?,
        }
        if self.requests != Some(self.described) {
            write!(formatter, "; described are the first {}", self.described)?;
        }
        if self.multi_turn_sessions > 0 {
            write!(
                formatter,
                ", in {} sessions, {} of them of several turns ({} at most)",
                self.sessions, self.multi_turn_sessions, self.max_turns
            )?;
        }
        writeln!(formatter)?;
        let unit = match self.tokenizer {
            Some(_) => "tokens",
            None => "words",
        };
        writeln!(
            formatter,
            "{:<15}{:>10}{:>8}{:>8}{:>8}{:>8}{:>8}",
            unit, "average", "min", "p50", "p90", "p99", "max"
        )?;
        for (name, lengths) in [
            ("prompt", self.prompt_tokens),
            ("output asked", self.output_tokens),
        ] {
            match lengths {
                Some(lengths) => writeln!(
                    formatter,
                    "{name:<15}{:>10.1}{:>8}{:>8}{:>8}{:>8}{:>8}",
                    lengths.average,
                    lengths.min,
                    lengths.p50,
                    lengths.p90,
                    lengths.p99,
                    lengths.max
                )?,
                None => writeln!(formatter, "{name:<15}{:>10}", "unknown")?,
            }
        }
        writeln!(
            formatter,
            "shared prefixes: {} of {} requests begin as an earlier one does; a cache of prefixes can serve \
             {:.1} % of the prompts at best",
            self.sharing_requests,
            self.described,
            self.best_cache_hit_rate * 100.0
        )?;
        if let Some(turns) = &self.turns {
            writeln!(
                formatter,
                "turns: {:.1} of a session on average, p50 {}, p90 {}, at most {}; {:.1} % of the prompts of later \
                 ones are history",
                turns.per_session.average,
                turns.per_session.p50,
                turns.per_session.p90,
                turns.per_session.max,
                turns.history_rate * 100.0
            )?;
            if let Some(think) = turns.think_times {
                let [average, p50, p90, max] =
                    [think.average, think.p50, think.p90, think.max].map(duration);
                writeln!(
                    formatter,
                    "think times: {average} on average, p50 {p50}, p90 {p90}, at most {max}"
                )?;
            }
        }
        if let Some(arrivals) = self.arrivals {
            writeln!(
                formatter,
                "arrivals: {} within {}, {:.2} a second on average, at most {} in one second",
                arrivals.count,
                duration(arrivals.seconds),
                arrivals.rate,
                arrivals.max_in_one_second
            )?;
        }
        match &self.tokenizer {
            Some(name) => writeln!(formatter, "tokens are those of {name}")?,
            None if self.prompt_tokens.is_some()
                && !self.notes.iter().any(|note| note == WORDS) =>
            {
                writeln!(formatter, "note: {WORDS}")?;
            }
            None => {}
        }
        self.notes
            .iter()
            .try_for_each(|note| writeln!(formatter, "note: {note}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{DataOptions, RequestForm, open};
    use super::*;
    use crate::api::ApiMode;
    use crate::payload::Whitespace;
    use std::sync::Arc;

    fn described(source: &str) -> DataDescription {
        let api = ApiMode::default();
        let data = open(DataOptions {
            source: source.to_owned(),
            columns: None,
            filter: None,
            sample: None,
            form: RequestForm::new(api),
            tokenizer: Arc::new(Whitespace),
            seed: 1,
        });
        describe(
            &*data.unwrap(),
            200,
            |payload| api.api.prompt_text(payload),
            |_| true,
        )
        .unwrap()
    }

    #[test]
    fn lengths_and_sharing_are_those_of_the_data() {
        let plain =
            described("synthetic:prompt_tokens=100,output_tokens_min=5,output_tokens_max=9");
        assert_eq!((plain.requests, plain.described), (None, 200));
        let prompts = plain.prompt_tokens.unwrap();
        assert_eq!(
            (prompts.min, prompts.max, prompts.total),
            (100, 100, 20_000)
        );
        assert_eq!(plain.output_tokens.unwrap().p50, 7);
        assert!(plain.best_cache_hit_rate == 0.0 && plain.sharing_requests == 0);
        let shared = described("synthetic:prompt_tokens=100,prefix_tokens=80,prefix_count=2");
        assert_eq!(shared.sharing_requests, 198);
        // 80 of 100 words, exactly, and by chance the next one.
        let rate = shared.best_cache_hit_rate;
        assert!((0.792..0.795).contains(&rate), "{rate}");
        assert_eq!((shared.sessions, shared.max_turns), (200, 1));
        let text = shared.to_string();
        for part in [
            "198 of 200 requests begin as an earlier one does",
            "words ",
            WORDS,
        ] {
            assert_eq!(text.matches(part).count(), 1, "{text}");
        }
    }

    #[test]
    fn files_are_counted_as_runs_count_them() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, rows: &[&str]| {
            let path = folder.path().join(name);
            std::fs::write(&path, rows.join("\n")).unwrap();
            path.to_string_lossy().into_owned()
        };
        let shared = "word ".repeat(20);
        let body = |end: &str, limit: u64| {
            format!(
                r#"{{"custom_id": "a", "body": {{"model": "other", "max_tokens": {limit}, "messages": [{{"role": "user", "content": "{shared}{end}"}}]}}}}"#
            )
        };
        let batch = file("batch.jsonl", &[&body("one", 7), &body("two three", 9)]);
        let batch = described(&batch);
        assert_eq!(
            batch.prompt_tokens.map(|tokens| (tokens.min, tokens.max)),
            Some((21, 22))
        );
        assert_eq!(batch.output_tokens.map(|tokens| tokens.total), Some(16));
        assert_eq!(
            (batch.sharing_requests, batch.best_cache_hit_rate),
            (1, 20.0 / 43.0)
        );
        assert_eq!(
            batch.notes,
            ["bodies of the data name the model other; the run's is sent in its place"]
        );
        let turns = file(
            "turns.jsonl",
            &[
                r#"{"turns": ["a", "b", "c"]}"#,
                r#"{"turns": ["d"]}"#,
                r#"{"turns": ["e", "f"]}"#,
            ],
        );
        let turns = described(&turns);
        assert_eq!(
            (
                turns.requests,
                turns.sessions,
                turns.multi_turn_sessions,
                turns.max_turns
            ),
            (Some(6), 3, 2, 3)
        );
        let text = turns.to_string();
        assert!(
            text.starts_with("6 requests, in 3 sessions, 2 of them of several turns (3 at most)\n"),
            "{text}"
        );
        // Of "a b", "a b c" and "e f" all but the last word.
        let of_turns = turns.turns.unwrap();
        assert_eq!((of_turns.per_session.p50, of_turns.think_times), (2, None));
        assert_eq!(
            of_turns.history_rate,
            (1 + 2 + 1) as f64 / (2 + 3 + 2) as f64
        );
        assert!(described("synthetic:prompt_tokens=9").turns.is_none());
        // 200 requests are 40 sessions, each as long as it is.
        let uneven = described("synthetic:prompt_tokens=9,turns_min=1,turns_max=5");
        assert_eq!((uneven.sessions, uneven.max_turns), (40, 5));
        assert!((20..40).contains(&uneven.multi_turn_sessions));
        let average = uneven.turns.unwrap().per_session.average;
        assert!((2.0..4.0).contains(&average), "{average}");
    }

    #[test]
    fn arrivals_are_counted_within_a_second() {
        let at = Duration::from_millis;
        let arrivals = vec![at(3000), at(0), at(900), at(1000), at(1100)];
        let summary = ArrivalSummary::of(arrivals).unwrap();
        assert_eq!((summary.count, summary.seconds), (5, 3.0));
        assert_eq!((summary.rate, summary.max_in_one_second), (4.0 / 3.0, 3));
        assert_eq!(ArrivalSummary::of(vec![]), None);
        assert_eq!(ArrivalSummary::of(vec![at(5)]).unwrap().rate, 0.0);
    }
}
