//! What data is like: lengths, what prompts share, how requests arrive.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::time::Duration;

use rustc_hash::{FxHashSet, FxHasher};
use serde::Serialize;

use super::{DataSource, Outline};
use crate::base::error::Result;
use crate::base::shown::duration;
use crate::payload::Payload;

/// Bytes of a prompt's text that are looked at together, about the tokens of a usual cache's block.
const TEXT_BLOCK: usize = 64;

/// What data is like, as far as it was looked at.
#[derive(Debug, Clone, Default, Serialize)]
pub struct DataDescription {
    /// Requests; `None` if the data has no end.
    pub requests: Option<u64>,
    /// Requests that were looked at.
    pub described: u64,
    /// Sessions of several turns among them.
    pub sessions: u64,
    /// Tokens of prompts, as far as they are known.
    pub prompt_tokens: Option<LengthSummary>,
    /// Tokens that responses are to have, as far as they are known.
    pub output_tokens: Option<LengthSummary>,
    /// The share of prompts that a cache of prefixes without a bound could serve, if requests come one after
    /// the other.
    pub best_cache_hit_rate: f64,
    /// Requests whose prompt begins as an earlier one does, by a block at least.
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
    let count = source.size().map_or(limit, |size| size.min(limit));
    let mut seen: FxHashSet<u64> = FxHashSet::default();
    let (mut prompts, mut outputs) = (Vec::new(), Vec::new());
    let mut description = DataDescription {
        requests: source.size(),
        notes: source.notes(),
        ..DataDescription::default()
    };
    // Of the text, or of the tokens where blocks are known.
    let (mut hit, mut all) = (0.0, 0.0);
    for index in 0..count {
        let outline = match source.outline(index) {
            Some(outline) => outline,
            None => {
                let request = source.request(index)?;
                let text = prompt(&request.payload).unwrap_or_default();
                Outline {
                    prompt_tokens: request.prompt_tokens,
                    output_tokens: request.output_tokens,
                    blocks: blocks_of(&text),
                    size: text.len() as u64,
                    block: TEXT_BLOCK as u64,
                }
            }
        };
        let known = outline
            .blocks
            .iter()
            .take_while(|block| seen.contains(*block))
            .count();
        seen.extend(&outline.blocks);
        description.sharing_requests += u64::from(known > 0);
        hit += (known as u64 * outline.block).min(outline.size) as f64;
        all += outline.size as f64;
        prompts.extend(outline.prompt_tokens);
        outputs.extend(outline.output_tokens);
        description.described += 1;
        if !goes_on(index) {
            break;
        }
    }
    description.best_cache_hit_rate = if all > 0.0 { hit / all } else { 0.0 };
    description.prompt_tokens = LengthSummary::of(prompts);
    description.output_tokens = LengthSummary::of(outputs);
    description.sessions = (0..description.described)
        .map_while(|number| source.session(number))
        .take_while(|turns| turns.start < description.described)
        .filter(|turns| turns.end - turns.start > 1)
        .count() as u64;
    description.arrivals = ArrivalSummary::of(source.arrivals());
    Ok(description)
}

/// Names of a text's blocks, each of which stands for all of the text up to its end.
fn blocks_of(text: &str) -> Vec<u64> {
    let mut hasher = FxHasher::default();
    let blocks = text.as_bytes().chunks_exact(TEXT_BLOCK).map(|block| {
        block.hash(&mut hasher);
        hasher.finish()
    });
    blocks.collect()
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
        if self.sessions > 0 {
            write!(
                formatter,
                ", in sessions of several turns ({})",
                self.sessions
            )?;
        }
        writeln!(formatter)?;
        writeln!(
            formatter,
            "{:<15}{:>10}{:>8}{:>8}{:>8}{:>8}{:>8}",
            "tokens", "average", "min", "p50", "p90", "p99", "max"
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
        let rate = shared.best_cache_hit_rate;
        assert!((0.7..0.8).contains(&rate), "{rate}");
        let text = shared.to_string();
        assert!(
            text.contains("198 of 200 requests begin as an earlier one does"),
            "{text}"
        );
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
