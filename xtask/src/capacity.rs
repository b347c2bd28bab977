//! Whether the search for capacity finds the capacity of servers that have a known one.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use llmeter::experiment::Capacity;
use llmeter::payload::Payload;
use llmeter::{OpenAiChat, RunConfig};
use llmeter_sim::{SimConfig, Simulator};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[derive(Args)]
pub(crate) struct CapacityArguments {
    /// Searches, each for a capacity of its own
    #[arg(long, default_value_t = 20)]
    tries: u64,
    /// Longest time of a probe, in seconds
    #[arg(long, default_value_t = 10)]
    probe_seconds: u64,
    /// Random seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

const SERVICE: Duration = Duration::from_millis(10);
const JITTER: f64 = 0.2;
/// How far from the true capacity a search may end.
const TOLERANCE: f64 = 0.05;
const MAX_PROBES: usize = 12;
/// The share of searches that must end within it.
const MIN_FOUND: f64 = 0.95;

pub(crate) fn capacity(arguments: &CapacityArguments) -> Result<()> {
    let mut random = ChaCha8Rng::seed_from_u64(arguments.seed);
    let mut found = 0;
    println!("slots  capacity  found  probes  requests  within 5 %");
    for seed in 0..arguments.tries {
        let slots = random.random_range(2..9);
        let capacity = random.random_range(slots + 1..65);
        let simulator = Simulator::start(SimConfig {
            ttft: SERVICE,
            output_tokens: 1,
            jitter: JITTER,
            max_concurrency: Some(slots),
            seed,
            ..SimConfig::default()
        })?;
        let endpoint = OpenAiChat::builder(simulator.base_url(), "simulated").build()?;
        let payload = OpenAiChat::create_payload("Say something.", 1, Payload::new())?;
        let mut base = RunConfig::new(Arc::new(endpoint), [payload]);
        // With N clients and all slots busy a request takes N/slots services on average (Little's law).
        let limit = SERVICE.as_secs_f64() * (capacity as f64 + 0.5) / slots as f64;
        base.slos = vec![format!("ttft-average < {:.3}ms", limit * 1e3).parse()?];
        base.seed = seed;
        let search = Capacity::new(base)
            .probe_time(Duration::from_secs(arguments.probe_seconds))
            .max_probes(MAX_PROBES);
        let result = search.run_blocking()?;
        simulator.stop()?;
        let clients = result.level().unwrap_or(0.0);
        let error = (clients / capacity as f64 - 1.0).abs();
        let is_near = error <= TOLERANCE && result.plan.is_complete;
        found += u64::from(is_near);
        let probes = &result.plan.probes;
        let requests: u64 = probes.iter().map(|probe| probe.requests).sum();
        println!(
            "{slots:>5}  {capacity:>8}  {clients:>5}  {:>6}  {requests:>8}  {}",
            probes.len(),
            if is_near { "yes" } else { "no" }
        );
        if !is_near {
            for probe in probes {
                println!(
                    "       {} clients: {:?} after {} requests",
                    probe.level, probe.verdict, probe.requests
                );
            }
        }
    }
    let all = arguments.tries;
    println!(
        "{found} of {all} searches end within 5 % of the capacity, in {MAX_PROBES} probes at most"
    );
    ensure!(found as f64 >= all as f64 * MIN_FOUND, "that is too few");
    Ok(())
}
