//! How long a run folder takes to load, here and in the Python package, side by side.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;
use llmeter::InvocationResponse;
use llmeter::payload::Payload;
use llmeter::result::{RunResult, RunSummary};
use llmeter::storage::Location;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::processes::{self, Profile, Usage};
use crate::test;

#[derive(Args)]
pub(crate) struct LoadingArguments {
    /// Responses in the folder
    #[arg(long, default_value_t = 100_000)]
    responses: usize,
    /// Output tokens of each
    #[arg(long, default_value_t = 64)]
    tokens: usize,
    /// Leave the Python package out
    #[arg(long)]
    no_python: bool,
}

const CLIENTS: usize = 64;
/// What the Python package does for the same: its statistics are computed when they are first asked
/// for.
const PYTHON: &str = "
import sys, time
from llmeter.results import Result
start = time.perf_counter()
result = Result.load(sys.argv[1])
stats = result.stats
print(time.perf_counter() - start, len(result.responses), stats['time_to_first_token-p50'])
";

/// What one loader says: seconds, responses, and the median TTFT that it found.
struct Loaded {
    seconds: f64,
    responses: usize,
    ttft: f64,
    memory: u64,
}

impl Loaded {
    fn from(usage: &Usage) -> Result<Self> {
        let said = usage.output.lines().last().unwrap_or_default();
        let words: Vec<f64> = said
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        let [seconds, responses, ttft] = words[..] else {
            bail!("the loader ended with {:?}: {}", usage.code, usage.output);
        };
        Ok(Self {
            seconds,
            responses: responses as usize,
            ttft,
            memory: usage.peak_memory,
        })
    }
}

pub(crate) fn loading(arguments: &LoadingArguments) -> Result<()> {
    let loader = processes::build_xtask(Profile::Release)?;
    let (_, core) = processes::server_and_client_cores()?;
    let folder = tempfile::tempdir()?;
    let run = folder.path().join("run");
    made_up(arguments).save(Some(&Location::from(run.clone())))?;
    // Statistics are to be computed, not read.
    std::fs::remove_file(run.join("stats.json"))?;
    let bytes = std::fs::metadata(run.join("responses.jsonl"))?.len();
    println!(
        "{} responses of {} tokens, {:.0} MB; on one core",
        arguments.responses,
        arguments.tokens,
        bytes as f64 / 1e6
    );
    println!(
        "{:>20}  {:>9}  {:>10}  {:>12}",
        "", "time", "peak", "TTFT p50"
    );
    let mut ours = Command::new(loader);
    ours.arg("load-folder").arg(&run);
    let ours = show("here", &Loaded::from(&processes::run_on(core, &mut ours)?)?);
    if !arguments.no_python {
        let mut theirs = Command::new(test::python(&test::workspace_root()?)?);
        theirs.args(["-c", PYTHON]).arg(&run);
        let theirs = Loaded::from(&processes::run_on(core, &mut theirs)?)?;
        println!(
            "{:>20}  {:>8.1}x",
            "as often",
            show("Python package", &theirs) / ours
        );
    }
    Ok(())
}

/// A run with what lines of a real one have, gaps that differ above all.
fn made_up(arguments: &LoadingArguments) -> RunResult {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut varied = |mean: f64| mean * (0.8 + 0.4 * random.random::<f64>());
    let payload = serde_json::json!({
        "model": "m", "max_tokens": arguments.tokens, "stream": true,
        "messages": [{"role": "user", "content": "Tell me a story."}],
    });
    let payload: Arc<Payload> = Arc::new(payload.as_object().cloned().unwrap_or_default());
    let prompt = Arc::new("Tell me a story.".into());
    let text = "token ".repeat(arguments.tokens);
    let mut free = [0.0_f64; CLIENTS];
    let responses = (0..arguments.responses).map(|number| {
        let at = &mut free[number % CLIENTS];
        let mut response = InvocationResponse::default();
        let (hour, minute, second) = (*at as u64 / 3600, *at as u64 / 60 % 60, *at % 60.0);
        let sent = format!("2026-01-01T{hour:02}:{minute:02}:{second:09.6}Z").parse();
        let gaps: Vec<f32> = (1..arguments.tokens).map(|_| varied(0.01) as f32).collect();
        let streamed = gaps.iter().map(|gap| f64::from(*gap)).sum::<f64>();
        let first = varied(0.2);
        response.id = Some(format!("chatcmpl-{number}"));
        response.response_text = Some(text.clone());
        response.input_payload = Some(payload.clone());
        response.input_prompt = Some(Arc::clone(&prompt));
        response.request_time = sent.ok();
        response.time_to_first_token = Some(first);
        response.time_to_last_token = Some(first + streamed);
        response.time_per_output_token = Some(streamed / gaps.len().max(1) as f64);
        response.num_tokens_input = Some(5);
        response.num_tokens_output = Some(arguments.tokens as u64);
        response.detail.content_frames = u32::try_from(arguments.tokens).ok();
        response.detail.longest_gap = gaps.iter().copied().reduce(f32::max).map(f64::from);
        response.detail.inter_token_latencies = gaps;
        *at += first + streamed;
        response
    });
    let responses: Vec<_> = responses.collect();
    let summary = RunSummary {
        total_requests: Some(arguments.responses as u64),
        total_test_time: free.into_iter().max_by(f64::total_cmp),
        clients: CLIENTS as u64,
        ..RunSummary::default()
    };
    RunResult::from_responses(summary, responses)
}

fn show(name: &str, loaded: &Loaded) -> f64 {
    println!(
        "{name:>20}  {:>7.2} s  {:>7.0} MB  {:>9.6} s  ({} responses)",
        loaded.seconds,
        loaded.memory as f64 / 1e6,
        loaded.ttft,
        loaded.responses
    );
    loaded.seconds
}

#[derive(Args)]
pub(crate) struct LoadFolderArguments {
    folder: PathBuf,
}

/// Loads a folder with all its responses, and so computes its statistics anew.
#[expect(clippy::disallowed_methods, reason = "no measurement of a server")]
pub(crate) fn load_folder(arguments: &LoadFolderArguments) -> Result<()> {
    let start = std::time::Instant::now();
    let result = RunResult::load(arguments.folder.as_path() as &Path)?;
    let ttft = result.stats().ttft.p50;
    let seconds = start.elapsed().as_secs_f64();
    let ttft = ttft.context("the run has no time to first token")?;
    println!("{seconds} {} {ttft}", result.responses.len());
    Ok(())
}
