//! Whether waiting times that the meter measures are those of queueing theory.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::Args;
use llmeter::payload::Payload;
use llmeter::{Load, OpenAiChat, RunConfig, Runner};
use llmeter_sim::{SimConfig, Simulator};

#[derive(Args)]
pub(crate) struct QueueingArguments {
    /// Seconds of each queue
    #[arg(long, default_value_t = 55)]
    seconds: u64,
    /// Servers of the only queue that is measured
    #[arg(long, requires_all = ["service_ms", "load"])]
    servers: Option<usize>,
    /// Its service time in milliseconds
    #[arg(long)]
    service_ms: Option<f64>,
    /// Its load, as a share of what it can carry
    #[arg(long)]
    load: Option<f64>,
    /// Random seed
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Servers, service time in milliseconds, and load.
const QUEUES: [(usize, f64, f64); 3] = [(1, 10.0, 0.5), (4, 20.0, 0.7), (16, 40.0, 0.8)];
/// How far a measured mean may be from theory.
const TOLERANCE: f64 = 0.05;

pub(crate) fn queueing(arguments: &QueueingArguments) -> Result<()> {
    let one = arguments
        .servers
        .zip(arguments.service_ms)
        .zip(arguments.load)
        .map(|((servers, service), load)| vec![(servers, service, load)]);
    println!("servers  service  load  requests  mean wait by theory  measured  difference");
    let mut worst: f64 = 0.0;
    for (servers, service, load) in one.unwrap_or(QUEUES.to_vec()) {
        let service = service * 1e-3;
        let rate = load * servers as f64 / service;
        let theory = mean_wait(servers, service, rate);
        let (requests, measured) = measure(servers, service, rate, arguments)?;
        let difference = measured / theory - 1.0;
        worst = worst.max(difference.abs());
        println!(
            "{servers:>7}  {:>4.0} ms  {load:>4.2}  {requests:>8}  {:>16.3} ms  {:>5.3} ms  {:>+9.2} %",
            service * 1e3,
            theory * 1e3,
            measured * 1e3,
            difference * 100.0
        );
    }
    ensure!(worst <= TOLERANCE, "that is more than 5 % from theory");
    Ok(())
}

/// The mean wait of an M/D/c queue, in seconds.
///
/// Who is served at one moment is gone one service later, and nobody else is: so the number in the queue then is
/// max(n − c, 0) and the arrivals since (Crommelin, 1932). Its stationary mean gives the wait by Little's law.
fn mean_wait(servers: usize, service: f64, rate: f64) -> f64 {
    let states = servers * 40 + 400;
    let arrivals = poisson(rate * service, states);
    let mut share = vec![0.0; states];
    share[0] = 1.0;
    loop {
        let mut next = vec![0.0; states];
        for (number, share) in share.iter().enumerate().filter(|(_, share)| **share > 0.0) {
            let left = number.saturating_sub(servers);
            for (more, chance) in arrivals.iter().enumerate().take(states - left) {
                next[left + more] += share * chance;
            }
        }
        let change: f64 = share
            .iter()
            .zip(&next)
            .map(|(old, new)| (old - new).abs())
            .sum();
        share = next;
        if change < 1e-12 {
            break;
        }
    }
    let mean: f64 = share
        .iter()
        .enumerate()
        .map(|(number, share)| number as f64 * share)
        .sum();
    mean / rate - service
}

/// The probabilities of 0, 1, 2, … of a Poisson distribution.
fn poisson(mean: f64, count: usize) -> Vec<f64> {
    let mut chance = (-mean).exp();
    let next = |number: usize| {
        let this = chance;
        chance *= mean / (number + 1) as f64;
        this
    };
    (0..count).map(next).collect()
}

/// Requests, and their mean wait in seconds: TTFT without the service.
fn measure(
    servers: usize,
    service: f64,
    rate: f64,
    arguments: &QueueingArguments,
) -> Result<(u64, f64)> {
    let simulator = Simulator::start(SimConfig {
        ttft: Duration::from_secs_f64(service),
        output_tokens: 1,
        max_concurrency: Some(servers),
        ..SimConfig::default()
    })?;
    let endpoint = OpenAiChat::builder(simulator.base_url(), "simulated").build()?;
    let payload = OpenAiChat::create_payload("Say something.", 1, Payload::new())?;
    let mut config = RunConfig::new(Arc::new(endpoint), [payload]).rate(
        rate.to_string()
            .parse()
            .map_err(|reason: String| anyhow::anyhow!("{rate}: {reason}"))?,
    );
    config.load = Load::Duration(Duration::from_secs(arguments.seconds));
    config.warmup_time = Duration::from_secs(2);
    config.seed = arguments.seed;
    config.low_memory = true;
    let result = Runner::new(config).run_blocking()?;
    simulator.stop()?;
    let stats = result.stats();
    let ttft = stats.ttft.average.unwrap_or(0.0);
    Ok((stats.total_requests.unwrap_or(0), ttft - service))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_theory_is_that_of_the_books() {
        // One server: Pollaczek and Khinchine, ρ D / (2 (1 − ρ)).
        for load in [0.3, 0.5, 0.9] {
            let expected = load * 0.01 / (2.0 * (1.0 - load));
            let found = mean_wait(1, 0.01, load / 0.01);
            assert!((found / expected - 1.0).abs() < 1e-6, "{found} {expected}");
        }
        // Several wait less than one of the same load, and more than half as long as with random services.
        let found = mean_wait(4, 1.0, 2.8);
        let random = 0.4287 / (4.0 * 0.3);
        assert!(found > random / 2.0 && found < random * 0.6, "{found}");
    }
}
