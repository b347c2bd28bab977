//! Whether waiting times that the meter measures are those of queueing theory.

mod theory;

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use clap::Args;
use llmeter::RunResult;

use self::theory::{Interval, Spread, mean_wait, waits};
use crate::processes::{self, Profile, SimulatorProcess};

#[derive(Args)]
pub(crate) struct QueueingArguments {
    /// Seconds of each queue
    #[arg(long, default_value_t = 60)]
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
    /// Random seeds: each is a run of its own
    #[arg(long, value_delimiter = ',', default_values_t = [1, 2, 3])]
    seed: Vec<u64>,
}

/// Servers, service time in seconds, and load.
type QueueForm = (usize, f64, f64);

const QUEUES: [QueueForm; 3] = [(1, 0.01, 0.5), (4, 0.02, 0.7), (16, 0.04, 0.8)];
/// How far a mean wait may be from what it must be.
const TOLERANCE: f64 = 0.05;
/// Parts of a run whose means give the interval of its mean (batch means; Law and Carson, 1979).
const BATCHES: usize = 20;

/// What one run says.
struct Run {
    requests: usize,
    /// The mean TTFT of requests that find a server free, without the service: the way there and back.
    floor: f64,
    /// Waits of the run, and what they have beyond the exact ones.
    measured: Spread,
    beyond: Spread,
    /// The mean wait that the times of sending make, and that which the schedule would have made.
    exact: f64,
    of_schedule: f64,
}

/// What is printed above the figures.
const EXPLANATION: &str = "\
waits are TTFT without the service and without the floor: what a request takes beyond that if a server is free.
exact: mean wait of first come, first served with constant service for the times at which requests were sent.
theory: mean wait of M/D/c. sample: the measured mean as it is, with the interval that its length leaves (95 %).
estimate: theory + measured − exact, in which the chance of the arrivals cancels.
lateness: exact wait without that for the times at which requests were due, which is what sending late makes of it.";

pub(crate) fn queueing(arguments: &QueueingArguments) -> Result<()> {
    let one = arguments
        .servers
        .zip(arguments.service_ms)
        .zip(arguments.load)
        .map(|((servers, service), load)| vec![(servers, service * 1e-3, load)]);
    let llmeter = processes::build_llmeter(Profile::Release)?;
    println!("{EXPLANATION}\n");
    println!(
        "servers  service  load  seed  requests     floor   measured      exact  difference     theory  {:<19}  {:<19}  lateness",
        "sample", "estimate"
    );
    let mut wrong = Vec::new();
    for queue in one.unwrap_or(QUEUES.to_vec()) {
        let (servers, service, load) = queue;
        let theory = mean_wait(servers, service, load * servers as f64 / service);
        let mut all: Option<(Spread, Spread)> = None;
        for seed in &arguments.seed {
            let run = measure(&llmeter, queue, arguments.seconds, *seed)?;
            let measured = run.measured.interval();
            let difference = measured.mean / run.exact - 1.0;
            let sample = against(theory, measured.less(theory));
            let estimate = against(theory, run.beyond.interval());
            let lateness = (run.exact - run.of_schedule) / theory;
            println!(
                "{servers:>7}  {:>4.0} ms  {load:>4.2}  {seed:>4}  {:>8}  {:>5.3} ms  {:>6.3} ms  {:>6.3} ms  {:>+8.2} %  {:>6.3} ms  {sample:<19}  {estimate:<19}  {:+.2} %",
                service * 1e3,
                run.requests,
                run.floor * 1e3,
                measured.mean * 1e3,
                run.exact * 1e3,
                difference * 100.0,
                theory * 1e3,
                lateness * 100.0,
            );
            if lateness.abs() > TOLERANCE {
                wrong.push(format!(
                    "{servers} servers, seed {seed}: the load was sent too late to be the schedule's, on a machine \
                     that was busy"
                ));
            }
            if difference.abs() > TOLERANCE {
                wrong.push(format!(
                    "{servers} servers, seed {seed}: {:+.2} % from the exact wait",
                    difference * 100.0
                ));
            }
            match &mut all {
                None => all = Some((run.measured, run.beyond)),
                Some((measured, beyond)) => {
                    measured.extend(run.measured);
                    beyond.extend(run.beyond);
                }
            }
        }
        let (measured, beyond) = all.context("no seed")?;
        let (sample, beyond) = (measured.interval(), beyond.interval());
        println!(
            "{servers:>7}  {:>4.0} ms  {load:>4.2}   all  {:>53}  {:>6.3} ms  {:<19}  {}\n",
            service * 1e3,
            "",
            theory * 1e3,
            against(theory, sample.less(theory)),
            against(theory, beyond)
        );
        // Held only if the whole interval is.
        let furthest = (beyond.mean.abs() + beyond.half_width) / theory;
        if furthest > TOLERANCE {
            let verdict = match (beyond.mean.abs() - beyond.half_width) / theory > TOLERANCE {
                true => "is further from theory",
                false => "may be further from theory, or not: longer runs decide",
            };
            wrong.push(format!("{servers} servers: the mean wait {verdict}"));
        }
    }
    let percent = TOLERANCE * 100.0;
    ensure!(
        wrong.is_empty(),
        "not within {percent} %: {}",
        wrong.join("; ")
    );
    println!("all waits are within {percent} % of the exact ones, and of theory");
    Ok(())
}

/// A difference from theory, with its interval: `+0.31 % ± 0.22 %`.
fn against(theory: f64, beyond: Interval) -> String {
    let percent = |seconds: f64| seconds / theory * 100.0;
    format!(
        "{:+.2} % ± {:.2} %",
        percent(beyond.mean),
        percent(beyond.half_width)
    )
}

fn measure(llmeter: &Path, queue: QueueForm, seconds: u64, seed: u64) -> Result<Run> {
    let (servers, service, load) = queue;
    let (server_core, meter_core) = processes::server_and_client_cores()?;
    let settings = [
        format!("--ttft={}ms", service * 1e3),
        "--output-tokens=1".to_owned(),
        format!("--max-concurrency={servers}"),
    ];
    let simulator = SimulatorProcess::start(llmeter, server_core, &settings)?;
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(llmeter);
    command
        .args(simulator.run())
        .arg(format!("--rate={}/s", load * servers as f64 / service))
        .arg(format!("--duration={seconds}s"))
        // It has ended before the run begins, with an empty queue.
        .args(["--warmup=2s", "--max-tokens=1", "--run-name=run"])
        .arg(format!("--seed={seed}"))
        .arg("--output")
        .arg(folder.path());
    let usage = processes::run_on(meter_core, &mut command)?;
    simulator.stop()?;
    let result = RunResult::load(folder.path().join("run"))
        .with_context(|| format!("the meter said: {}", usage.output))?;
    let times = result.responses.iter().map(|response| {
        let due = response.schedule().due_time?;
        let sent = due + response.detail.send_lateness?;
        Some((due, sent, response.time_to_first_token?))
    });
    let times: Option<Vec<_>> = times.collect();
    let mut times = times.context("a request failed, or has no due time")?;
    times.sort_by(|(_, one, _), (_, other, _)| one.total_cmp(other));
    ensure!(
        times.len() > BATCHES,
        "{} requests are too few",
        times.len()
    );
    let sent: Vec<f64> = times.iter().map(|(_, sent, _)| *sent).collect();
    let mut due: Vec<f64> = times.iter().map(|(due, ..)| *due).collect();
    due.sort_by(f64::total_cmp);
    let exact = waits(&sent, servers, service);
    let of_schedule = waits(&due, servers, service);
    let beyond_service: Vec<f64> = times.iter().map(|(.., ttft)| ttft - service).collect();
    let without_wait = beyond_service.iter().zip(&exact);
    let floor = mean(
        without_wait
            .filter(|(_, wait)| **wait == 0.0)
            .map(|(time, _)| *time),
    )
    .context("no request finds a server free")?;
    let measured: Vec<f64> = beyond_service.iter().map(|time| time - floor).collect();
    let pairs = measured.iter().zip(&exact);
    let beyond: Vec<f64> = pairs.map(|(measured, exact)| measured - exact).collect();
    Ok(Run {
        requests: times.len(),
        floor,
        measured: Spread::of(&measured, BATCHES),
        beyond: Spread::of(&beyond, BATCHES),
        exact: mean(exact.into_iter()).unwrap_or(0.0),
        of_schedule: mean(of_schedule.into_iter()).unwrap_or(0.0),
    })
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}
