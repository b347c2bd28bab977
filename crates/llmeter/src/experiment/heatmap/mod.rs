//! Latency by the lengths of prompt and output.

mod bins;
mod grid;
mod result;

use std::fmt;
use std::sync::Arc;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

pub use self::bins::heatmap_bins;
pub use self::grid::{CellLatency, HeatmapCell, HeatmapGrid, HeatmapTable};
pub use self::result::HeatmapResult;
use crate::api::ApiMode;
use crate::base::error::{Error, Result};
use crate::experiment::watched::watched_run;
use crate::load::Load;
use crate::payload::{Payload, PromptSource};
use crate::run::{Interrupt, Observer, RunConfig, Runner};

/// The most requests of a heatmap.
const MAX_REQUESTS: u64 = 1_000_000;

type CreatePayload = dyn Fn(&str, u64) -> Result<Payload> + Send + Sync;

/// A latency heatmap: every combination of some input and output lengths, each measured the same number
/// of times.
///
/// Prompts have exactly the asked number of tokens by the run's tokenizer, and no two begin at the same
/// place of the source text, so that a server's cache of prompts helps none. The combinations come in
/// rounds, each in a random order of its own, so that a drift of the server is in all of them alike.
///
/// ```no_run
/// use std::sync::Arc;
/// use llmeter::experiment::LatencyHeatmap;
/// use llmeter::payload::tokenizer_from_spec;
/// use llmeter::{OpenAiChat, RunConfig};
///
/// # fn main() -> llmeter::Result<()> {
/// let endpoint = OpenAiChat::builder("http://localhost:8000/v1", "my-model").build()?;
/// let mut base = RunConfig::new(Arc::new(endpoint), []).clients(4).output("heatmaps");
/// base.tokenizer = tokenizer_from_spec("tiktoken:o200k_base")?;
/// let heatmap = LatencyHeatmap::new(base, [64, 256, 1024], [16, 64, 256])
///     .requests_per_combination(5)
///     .run_blocking()?;
/// println!("{}", llmeter::report::heatmap(&heatmap));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct LatencyHeatmap {
    base: RunConfig,
    grid: HeatmapGrid,
    source: PromptSource,
    create: Option<Arc<CreatePayload>>,
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
}

impl LatencyHeatmap {
    /// A heatmap of these lengths, in tokens. `base` is the run: its payloads and load are not used. A length
    /// that is there twice is measured once.
    pub fn new(
        base: RunConfig,
        input_lengths: impl IntoIterator<Item = u64>,
        output_lengths: impl IntoIterator<Item = u64>,
    ) -> Self {
        let sorted = |lengths: &mut Vec<u64>| {
            lengths.sort_unstable();
            lengths.dedup();
        };
        let mut grid = HeatmapGrid {
            input_lengths: input_lengths.into_iter().collect(),
            output_lengths: output_lengths.into_iter().collect(),
            requests_per_combination: 1,
            combinations: Vec::new(),
        };
        sorted(&mut grid.input_lengths);
        sorted(&mut grid.output_lengths);
        Self {
            base,
            grid,
            source: PromptSource::built_in(),
            create: None,
            observer: None,
            interrupt: Interrupt::new(),
        }
    }

    /// Measures each combination so often; once by default.
    #[must_use]
    pub fn requests_per_combination(mut self, requests: u64) -> Self {
        self.grid.requests_per_combination = requests;
        self
    }

    /// Cuts prompts from this text.
    #[must_use]
    pub fn source(mut self, source: PromptSource) -> Self {
        self.source = source;
        self
    }

    /// Makes payloads of a prompt and an output length this way; by default as the endpoint's API has
    /// them.
    #[must_use]
    pub fn create_payload(
        mut self,
        create: impl Fn(&str, u64) -> Result<Payload> + Send + Sync + 'static,
    ) -> Self {
        self.create = Some(Arc::new(create));
        self
    }

    watched_run! {
        /// Makes `interrupt` end the run: what was measured is kept.
    }

    /// Carries the run out, blocking the calling thread.
    ///
    /// # Errors
    /// When a setting cannot be used, no prompt has one of the lengths, or the run cannot start.
    pub fn run_blocking(&self) -> Result<HeatmapResult> {
        let (config, grid) = self.plan()?;
        let mut runner = Runner::new(config).interrupted_by(self.interrupt.clone());
        if let Some(observer) = &self.observer {
            runner = runner.observe(observer.clone());
        }
        let mut result = runner.run_blocking()?;
        if let Some(folder) = &result.summary.output_path
            && let Err(reason) = HeatmapResult::save_grid(folder, &grid)
        {
            result.warnings.push(reason.to_string());
        }
        Ok(HeatmapResult { result, grid })
    }

    /// The run, and what its payloads are.
    fn plan(&self) -> Result<(RunConfig, HeatmapGrid)> {
        let mut grid = self.grid.clone();
        let requests = self.check()?;
        let api = match self.create {
            Some(_) => None,
            None => Some(ApiMode::of_saved(&self.base.endpoint.saved())?),
        };
        let mut random = ChaCha8Rng::seed_from_u64(self.base.seed);
        // Every payload begins at a word of its own, and they are spread over the source.
        let step = (self.source.words() / requests as usize).max(1);
        let mut words: Vec<usize> = (0..requests as usize).map(|index| index * step).collect();
        words.shuffle(&mut random);
        let mut payloads = Vec::new();
        for _ in 0..grid.requests_per_combination {
            let mut round = Vec::new();
            for &input in &grid.input_lengths {
                round.extend(grid.output_lengths.iter().map(|&output| (input, output)));
            }
            round.shuffle(&mut random);
            for (input, output) in round {
                let word = words[payloads.len()];
                let tokenizer = &*self.base.tokenizer;
                let text = self.source.sample(tokenizer, input as usize, word)?;
                let payload = match (&self.create, api) {
                    (Some(create), _) => create(&text, output)?,
                    (None, Some(api)) => api.create_payload(text, output)?,
                    (None, None) => return Err(Error::Internal("a heatmap without an API")),
                };
                payloads.push(Arc::new(payload));
                grid.combinations.push((input, output));
            }
        }
        let (clients, warmup) = (self.base.clients, self.base.warmup);
        let config = RunConfig {
            load: Load::each_payload_once_in_all(clients, payloads.len(), warmup),
            payloads,
            payload_sources: Vec::new(),
            // Cells need the responses.
            low_memory: false,
            ..self.base.clone()
        };
        config.validate()?;
        Ok((config, grid))
    }

    /// The number of requests, if everything can be used.
    fn check(&self) -> Result<u64> {
        let grid = &self.grid;
        for (name, lengths) in [
            ("input lengths", &grid.input_lengths),
            ("output lengths", &grid.output_lengths),
        ] {
            match lengths.first() {
                None => return Err(Error::missing_field(name)),
                Some(0) => return Err(Error::field(name, 0, "1 or more")),
                Some(_) => {}
            }
        }
        if self.base.clients == 0 {
            self.base.validate()?;
        }
        let combinations = grid.input_lengths.len() as u64 * grid.output_lengths.len() as u64;
        let requests = combinations.saturating_mul(grid.requests_per_combination);
        match requests {
            0 => Err(Error::field("requests per combination", 0, "1 or more")),
            requests if requests > MAX_REQUESTS => Err(Error::field(
                "requests per combination",
                grid.requests_per_combination,
                format!("at most {MAX_REQUESTS} requests over all combinations"),
            )),
            requests => Ok(requests),
        }
    }
}

impl fmt::Debug for LatencyHeatmap {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = formatter.debug_struct("LatencyHeatmap");
        shown.field("grid", &self.grid).finish_non_exhaustive()
    }
}
