//! How often a comparison sees what is not there, and how often it misses what is.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Args;
use llmeter::experiment::{Comparison, Measured, Outcome};
use llmeter::payload::Payload;
use llmeter::result::RunSummary;
use llmeter::{InvocationResponse, Load, OpenAiChat, RunConfig, RunResult, Runner};
use llmeter_sim::{SimConfig, Simulator};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[derive(Args)]
pub(crate) struct FalsePositivesArguments {
    /// Comparisons of the simulator with itself
    #[arg(long, default_value_t = 200)]
    comparisons: usize,
    /// Comparisons with a simulator that is a tenth slower to its first token
    #[arg(long, default_value_t = 100)]
    shifts: usize,
    /// Requests of each run
    #[arg(long, default_value_t = 200)]
    requests: usize,
    /// Compare runs that are made up, and need no quiet machine: this says whether the method is at fault
    #[arg(long)]
    synthetic: bool,
    /// Keep the folders of all runs here
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
}

const CLIENTS: usize = 8;
const TTFT: Duration = Duration::from_millis(20);
const ITL: Duration = Duration::from_millis(3);
const TOKENS: u32 = 4;
const JITTER: f64 = 0.2;
/// The share of comparisons with a wrong verdict, at most.
const MAX_FLAGGED: f64 = 0.05;
/// The share of shifts that must be found.
const MIN_FOUND: f64 = 0.95;

#[expect(clippy::disallowed_methods, reason = "no measurement of a server")]
pub(crate) fn false_positives(arguments: &FalsePositivesArguments) -> Result<()> {
    let began = std::time::Instant::now();
    let requests = arguments.requests;
    let mut seeds = 1..;
    let mut busy = Vec::new();
    let mut next = |ttft| {
        let seed = seeds.next().unwrap_or_default();
        let result = match arguments.synthetic {
            true => made_up(ttft, requests, seed),
            false => run(ttft, requests, seed, arguments.output.as_deref()),
        }?;
        busy.extend(result.stats().measurement_host_busy);
        anyhow::Ok(result)
    };
    let mut flagged = Vec::new();
    let mut least = Vec::new();
    for _ in 0..arguments.comparisons {
        let comparison = compared(&next(TTFT)?, &next(TTFT)?)?;
        let figures = || comparison.pairs.iter().flat_map(|pair| &pair.differences);
        let adjusted = figures().filter_map(|one| one.adjusted_p_value);
        least.push(adjusted.fold(1.0, f64::min));
        let wrong = figures().filter(|one| is_difference(one.outcome));
        let wrong: Vec<_> = wrong
            .map(|one| {
                let change = one.change.unwrap_or(f64::NAN) * 100.0;
                format!("{} {change:+.1} %, p {:?}", one.figure, one.p_value)
            })
            .collect();
        if !wrong.is_empty() {
            flagged.push(wrong.join(", "));
        }
    }
    println!(
        "{} of {} comparisons of equals have a verdict of better or worse",
        flagged.len(),
        arguments.comparisons
    );
    flagged.iter().for_each(|figures| println!("  {figures}"));
    if let Some(least) = at_share(least, 0.05) {
        println!("  one in 20 has an adjusted p-value of {least:.4} or less");
    }

    let (mut found, mut missed, mut adjusted) = (0, Vec::new(), Vec::new());
    for _ in 0..arguments.shifts {
        let comparison = compared(&next(TTFT)?, &next(TTFT.mul_f64(1.1))?)?;
        let mut figures = comparison.pairs.iter().flat_map(|pair| &pair.differences);
        let ttft = figures.find(|one| one.figure.to_string() == "ttft-p50");
        let ttft = ttft.context("no TTFT")?;
        adjusted.push(ttft.adjusted_p_value.unwrap_or(1.0));
        let is_found = ttft.outcome == Some(Outcome::Worse);
        found += usize::from(is_found);
        if !is_found {
            missed.push(format!(
                "{:?}, p-value {:?}, in blocks of {:?}",
                ttft.change, ttft.p_value, ttft.block_length
            ));
        }
    }
    println!(
        "{found} of {} shifts of TTFT p50 by 10 % are found",
        arguments.shifts
    );
    missed.iter().for_each(|figures| println!("  {figures}"));
    if let Some(adjusted) = at_share(adjusted, 0.95) {
        println!("  19 in 20 have an adjusted p-value of {adjusted:.4} or less");
    }
    println!(
        "{:.0} s; the machine was busy for {:.0} % of the time in half of the runs",
        began.elapsed().as_secs_f64(),
        at_share(busy, 0.5).unwrap_or(0.0) * 100.0
    );

    let most = arguments.comparisons as f64 * MAX_FLAGGED;
    ensure!(flagged.len() as f64 <= most, "more than {most} are wrong");
    let fewest = arguments.shifts as f64 * MIN_FOUND;
    ensure!(found as f64 >= fewest, "fewer than {fewest} are found");
    Ok(())
}

/// The value that so many of all are at or below.
fn at_share(mut values: Vec<f64>, share: f64) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

fn is_difference(outcome: Option<Outcome>) -> bool {
    matches!(outcome, Some(Outcome::Better | Outcome::Worse))
}

fn compared(base: &RunResult, new: &RunResult) -> Result<Comparison> {
    let (base, new) = (Measured::of("base", base), Measured::of("new", new));
    Ok(Comparison::of(&base, &[new])?)
}

/// A run against a simulator of its own, with a luck of its own.
fn run(ttft: Duration, requests: usize, seed: u64, output: Option<&Path>) -> Result<RunResult> {
    let simulator = Simulator::start(SimConfig {
        ttft,
        itl: ITL,
        output_tokens: TOKENS,
        jitter: JITTER,
        seed,
        ..SimConfig::default()
    })?;
    let endpoint = OpenAiChat::builder(simulator.base_url(), "simulated").build()?;
    let payload = OpenAiChat::create_payload("Say something.", TOKENS.into(), Payload::new())?;
    let mut config = RunConfig::new(Arc::new(endpoint), [payload])
        .clients(CLIENTS)
        .load(Load::Requests(requests.div_ceil(CLIENTS) as u64));
    if let Some(folder) = output {
        config = config.output(folder).run_name(format!("{seed:05}"));
    }
    let result = Runner::new(config).run_blocking()?;
    simulator.stop()?;
    Ok(result)
}

/// A run of clients in a closed loop whose responses take what chance says.
fn made_up(ttft: Duration, requests: usize, seed: u64) -> Result<RunResult> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut varied =
        |mean: Duration| mean.as_secs_f64() * (1.0 + JITTER * (2.0 * random.random::<f64>() - 1.0));
    let mut free = [0.0_f64; CLIENTS];
    let mut responses = Vec::new();
    for place in 0..requests {
        let at = &mut free[place % CLIENTS];
        let mut response = InvocationResponse::default();
        let (minute, second) = ((*at / 60.0) as u32 % 60, *at % 60.0);
        response.request_time = Some(format!("2026-01-01T00:{minute:02}:{second:09.6}Z").parse()?);
        let first = varied(ttft);
        let gaps: Vec<f32> = (1..TOKENS).map(|_| varied(ITL) as f32).collect();
        let streamed = gaps.iter().map(|gap| f64::from(*gap)).sum::<f64>();
        response.time_to_first_token = Some(first);
        response.time_to_last_token = Some(first + streamed);
        response.time_per_output_token = Some(streamed / f64::from(TOKENS - 1));
        response.num_tokens_input = Some(4);
        response.num_tokens_output = Some(TOKENS.into());
        response.detail.inter_token_latencies = gaps;
        *at += first + streamed;
        responses.push(response);
    }
    let summary = RunSummary {
        total_requests: Some(requests as u64),
        total_test_time: free.into_iter().max_by(f64::total_cmp),
        clients: CLIENTS as u64,
        ..RunSummary::default()
    };
    Ok(RunResult::from_responses(summary, responses))
}
