//! Whether answers change when a server is busy.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::load_test::{remaining, test_folder};
use crate::InvocationResponse;
use crate::base::error::{Error, Result};
use crate::experiment::watched::watched_runs;
use crate::load::Load;
use crate::payload::Tokenizer;
use crate::result::{RunResult, take_folder};
use crate::run::{Interrupt, Observer, RunConfig, Runner};
use crate::storage::Location;

/// Answers that differ and are kept, of different prompts first.
const EXAMPLES: usize = 10;
/// Characters of each that are kept before and after the place at which they differ.
const BEFORE: usize = 60;
const AFTER: usize = 100;
/// The quantile of the normal distribution for 95 %.
const Z: f64 = 1.959_964;

type ObserveRun = dyn Fn(&str) -> Option<Arc<dyn Observer>> + Send + Sync;

/// The same prompts to a server that is idle, twice, and to one that is busy.
///
/// One client sends every payload, and then once more: what differs between these two differs by itself. Then so
/// many clients send all of them at the same time. Each answer is compared with the first one to its prompt. Where
/// prompts are to be answered the same way each time, payloads ask for a temperature of 0.
///
/// The run under load has the folder of the experiment, and the two others are `alone-1` and `alone-2` in it. Its
/// statistics have what was found: `drift_rate`, `drift_differ`, `drift_compared`, `drift_alone_differ`, …
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::experiment::Drift;
/// use llmeter::{OpenAiChat, RunConfig};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
/// let payload = OpenAiChat::create_payload("Tell me a story.", 128, Default::default())?;
/// let base = RunConfig::new(Arc::new(endpoint), [payload]).output("runs");
/// let busy = Drift::new(base, 32).run_blocking()?;
/// println!("{:?} of the answers differ", busy.stats().drift_rate);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Drift {
    base: RunConfig,
    clients: usize,
    observe: Option<Arc<ObserveRun>>,
    interrupt: Interrupt,
}

/// An answer that differs from the one that the server gave when it was idle.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriftExample {
    /// The line of the prompt's payload in `payload.jsonl`, from 0 on.
    pub payload_index: u32,
    /// The client that got it.
    pub client: Option<u32>,
    /// The first character that differs, from 0 on.
    pub character: usize,
    /// The first token that differs, from 0 on, by the run's tokenizer.
    pub token: usize,
    /// The answer of the idle server around that place.
    pub alone: String,
    /// The answer of the busy server around that place.
    pub under_load: String,
}

impl DriftExample {
    /// What a run's statistics have of them.
    pub fn of(result: &RunResult) -> Vec<Self> {
        let kept = result.stats().drift_examples.into_iter();
        kept.filter_map(|one| serde_json::from_value(one).ok())
            .collect()
    }
}

impl Drift {
    /// So many clients under load. `base` is what the runs share; its clients, rate and load are not used.
    pub fn new(base: RunConfig, clients: usize) -> Self {
        Self {
            base,
            clients,
            observe: None,
            interrupt: Interrupt::new(),
        }
    }

    watched_runs! {
        /// Asks `observe` at each run, given what it is, for whom to tell how it goes on.
        &str;
        /// Makes `interrupt` stop it.
    }

    fn config(&self, clients: usize) -> RunConfig {
        RunConfig {
            clients,
            rate: None,
            stages: None,
            load: Load::EachPayloadOnce,
            ..self.base.clone()
        }
    }

    /// Carries the runs out, blocking the calling thread. Gives that under load.
    ///
    /// # Errors
    /// When a setting cannot be used, or as [`Runner::run`].
    pub fn run_blocking(&self) -> Result<RunResult> {
        if self.clients < 2 {
            return Err(Error::field("clients", self.clients, "2 or more"));
        }
        if self.base.data.is_some() {
            return Err(Error::refused(
                "data",
                "data has no payloads that are sent again",
            ));
        }
        if self.base.low_memory {
            return Err(Error::refused("low_memory", "low_memory keeps no answers"));
        }
        self.config(self.clients).validate()?;
        let folder = match &self.base.folder {
            Some(folder) => Some(folder.clone()),
            None => test_folder(&self.base)?,
        };
        if let Some(folder) = &folder {
            take_folder(folder, self.base.overwrite)?;
        }
        let mut left = self.base.max_cost;
        let mut alone = Vec::new();
        for name in ["alone-1", "alone-2"] {
            let result =
                self.carry_out(name, 1, folder.as_ref().map(|in_it| in_it.join(name)), left)?;
            left = remaining(left, &result);
            let is_cut = result.interrupted;
            alone.push(result);
            if is_cut {
                return Err(Error::Interrupted);
            }
        }
        let mut busy = self.carry_out("under load", self.clients, folder, left)?;
        let found = figures(&alone, &busy, &*self.base.tokenizer);
        busy.add_stats(found);
        if busy.summary.output_path.is_some() {
            busy.save(None)?;
        }
        Ok(busy)
    }

    fn carry_out(
        &self,
        what: &str,
        clients: usize,
        folder: Option<Location>,
        max_cost: Option<f64>,
    ) -> Result<RunResult> {
        let mut config = self.config(clients);
        config.max_cost = max_cost;
        if clients == 1 {
            config.run_name = Some(what.to_owned());
        }
        if let Some(folder) = folder {
            config.output = None;
            // All that was there is gone.
            config.overwrite = false;
            if clients > 1 && config.run_name.is_none() {
                config.run_name = folder.file_name();
            }
            config.folder = Some(folder);
        }
        let mut runner = Runner::new(config).interrupted_by(self.interrupt.clone());
        if let Some(observer) = self.observe.as_ref().and_then(|observe| observe(what)) {
            runner = runner.observe(observer);
        }
        runner.run_blocking()
    }
}

/// Answers by the payload's index; those that failed have none. A run of one payload has no indices.
fn answers(result: &RunResult) -> impl Iterator<Item = (u32, &InvocationResponse, &str)> {
    let successful = result.responses.iter().filter(|one| one.error.is_none());
    successful.filter_map(|one| {
        let index = one.detail.payload_index.unwrap_or(0);
        Some((index, one, one.response_text.as_deref()?))
    })
}

/// How often the answers of a run differ from others, and the first place of each that does.
#[derive(Debug, Default)]
struct Differences {
    compared: u64,
    differ: u64,
    tokens: Vec<usize>,
    examples: BTreeMap<(usize, u32, u32), DriftExample>,
}

impl Differences {
    fn between(first: &BTreeMap<u32, &str>, other: &RunResult, tokenizer: &dyn Tokenizer) -> Self {
        let mut found = Self::default();
        let mut times: BTreeMap<u32, usize> = BTreeMap::new();
        for (index, response, text) in answers(other) {
            let Some(alone) = first.get(&index) else {
                continue;
            };
            found.compared += 1;
            if text == *alone {
                continue;
            }
            found.differ += 1;
            let (character, bytes) = common_start(alone, text);
            let token = first_token(alone, bytes, tokenizer);
            found.tokens.push(token);
            let time = times.entry(index).or_default();
            let client = response.detail.client;
            let key = (*time, index, client.unwrap_or(0));
            *time += 1;
            found.examples.insert(
                key,
                DriftExample {
                    payload_index: index,
                    client,
                    character,
                    token,
                    alone: around(alone, bytes),
                    under_load: around(text, bytes),
                },
            );
            if found.examples.len() > EXAMPLES {
                found.examples.pop_last();
            }
        }
        found.tokens.sort_unstable();
        found
    }
}

/// The characters and bytes that two texts have in common at their beginning.
fn common_start(one: &str, other: &str) -> (usize, usize) {
    let same = one.char_indices().zip(other.chars());
    let same = same.take_while(|((_, one), other)| one == other);
    same.fold((0, 0), |(count, _), ((at, one), _)| {
        (count + 1, at + one.len_utf8())
    })
}

/// The token of a text in which a place of it is.
fn first_token(text: &str, bytes: usize, tokenizer: &dyn Tokenizer) -> usize {
    let count = |end: usize| tokenizer.try_count(&text[..end]).unwrap_or(0);
    let before = count(bytes);
    let next = text[bytes..].chars().next();
    match next.map(|next| count(bytes + next.len_utf8())) {
        // It belongs to the token that has begun.
        Some(with_it) if with_it == before => before.saturating_sub(1),
        _ => before,
    }
}

/// A text around a place in it.
fn around(text: &str, bytes: usize) -> String {
    let (before, after) = text.split_at(bytes);
    let start = before.char_indices().rev().nth(BEFORE - 1);
    let before = &before[start.map_or(0, |(at, _)| at)..];
    before.chars().chain(after.chars().take(AFTER)).collect()
}

/// The interval of a share by Wilson (1927), 95 %.
fn wilson(differ: u64, of: u64) -> (f64, f64) {
    let (share, count) = (differ as f64 / of as f64, of as f64);
    let middle = share + Z * Z / (2.0 * count);
    let half = Z * (share * (1.0 - share) / count + Z * Z / (4.0 * count * count)).sqrt();
    let scale = 1.0 + Z * Z / count;
    (
        ((middle - half) / scale).max(0.0),
        ((middle + half) / scale).min(1.0),
    )
}

fn figures(alone: &[RunResult], busy: &RunResult, tokenizer: &dyn Tokenizer) -> Map<String, Value> {
    let mut stats = Map::new();
    let [one, other] = alone else {
        return stats;
    };
    let first: BTreeMap<u32, &str> = answers(one).map(|(index, _, text)| (index, text)).collect();
    let by_itself = Differences::between(&first, other, tokenizer);
    let under_load = Differences::between(&first, busy, tokenizer);
    let mut add = |key: &str, value: Value| stats.insert(format!("drift_{key}"), value);
    add("alone_compared", json!(by_itself.compared));
    add("alone_differ", json!(by_itself.differ));
    add("compared", json!(under_load.compared));
    add("differ", json!(under_load.differ));
    if under_load.compared > 0 {
        add(
            "rate",
            json!(under_load.differ as f64 / under_load.compared as f64),
        );
        let (low, high) = wilson(under_load.differ, under_load.compared);
        add("rate_low", json!(low));
        add("rate_high", json!(high));
    }
    if let Some(first) = under_load.tokens.first() {
        add("first_token", json!(first));
        add(
            "median_token",
            json!(under_load.tokens[under_load.tokens.len() / 2]),
        );
    }
    let examples: Vec<_> = under_load.examples.into_values().collect();
    if !examples.is_empty() {
        add("examples", json!(examples));
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::Whitespace;

    fn run(answers: &[(u32, &str)]) -> RunResult {
        let mut result = RunResult::default();
        for (client, (index, text)) in answers.iter().enumerate() {
            let mut response = InvocationResponse {
                response_text: Some((*text).into()),
                ..InvocationResponse::default()
            };
            response.detail.payload_index = Some(*index);
            response.detail.client = Some(client as u32);
            result.responses.push(response);
        }
        result
    }

    #[test]
    fn what_differs_is_counted_and_shown_where_it_does() {
        let alone = [
            run(&[(0, "one two three"), (1, "größer als das")]),
            run(&[(0, "one two three"), (1, "größer als dies")]),
        ];
        let busy = run(&[
            (0, "one two three"),
            (0, "one two four"),
            (1, "größer als das"),
            (0, "one too"),
            (2, "nobody asked"),
        ]);
        let stats = figures(&alone, &busy, &Whitespace);
        let of = |key: &str| stats[&format!("drift_{key}")].as_f64().unwrap();
        assert_eq!((of("alone_compared"), of("alone_differ")), (2.0, 1.0));
        assert_eq!((of("compared"), of("differ"), of("rate")), (4.0, 2.0, 0.5));
        assert!(of("rate_low") > 0.1 && of("rate_high") < 0.9);
        assert_eq!((of("first_token"), of("median_token")), (1.0, 2.0));
        let examples: Vec<DriftExample> =
            serde_json::from_value(stats["drift_examples"].clone()).unwrap();
        assert_eq!(examples.len(), 2);
        assert_eq!(
            (examples[0].character, &*examples[0].under_load),
            (8, "one two four")
        );
        assert_eq!(common_start("größer", "größe"), (5, 7));
        assert_eq!(
            around(&"ä".repeat(300), 400).chars().count(),
            BEFORE + AFTER
        );
    }
}
