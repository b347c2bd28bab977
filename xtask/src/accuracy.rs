//! How far the meter's figures are from the truth.
//!
//! The simulator runs on one core and logs when each request arrived (the kernel's stamp) and when
//! each frame was handed to the kernel; the meter runs on another. Both are joined by the response's
//! id.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use llmeter::RunResult;
use llmeter::api::ApiMode;
use llmeter::load::Rate;
use llmeter_sim::comparison::{Comparison, ErrorSummary};
use llmeter_sim::read_truth;

use crate::dial::Dialled;
use crate::processes::{self, Profile, SimulatorProcess};

#[derive(Args)]
pub(crate) struct AccuracyArguments {
    /// Only check that the comparison works: two small levels, no judgement of times
    #[arg(long)]
    smoke: bool,
    /// Streams at a time
    #[arg(long, value_delimiter = ',', default_value = "1,64,256,1024,4096")]
    levels: Vec<usize>,
    /// Arrival rates to measure in the place of numbers of streams, like 2000/s
    #[arg(long, value_delimiter = ',')]
    rate: Vec<Rate>,
    /// Tokens of a response
    #[arg(long, default_value_t = 64)]
    output_tokens: usize,
    /// Time between tokens [default: 10ms, or 100ms from 4,096 streams on]
    #[arg(long)]
    itl: Option<String>,
    /// APIs to speak, of those that stream; all for every one of them
    #[arg(long, value_delimiter = ',', default_value = "openai-chat-stream")]
    endpoint: Vec<String>,
    /// Who takes the receive stamps
    #[arg(long, default_value = "kernel")]
    stamps: String,
    /// Busy loops that share the meter's core
    #[arg(long, default_value_t = 0, value_name = "N")]
    hog: usize,
    /// Over TLS, with a certificate that the simulator makes
    #[arg(long)]
    tls: bool,
    /// By HTTP/2
    #[arg(long)]
    http2: bool,
    /// How long each level sends
    #[arg(long, default_value = "8s")]
    duration: String,
    /// Responses that each client of each level gets before the measurement, or seconds at a rate
    #[arg(long, default_value_t = 1)]
    warmup: usize,
    /// Another build of llmeter that each level is measured with in turn, asked by the same simulator
    #[arg(long, value_name = "FILE")]
    against: Option<PathBuf>,
}

/// A load that is measured.
#[derive(Debug, Clone, Copy)]
enum Level {
    /// So many clients.
    Streams(usize),
    /// Requests by the clock.
    Rate(Rate),
}

/// Files of a level, in its folder.
const TRUTH: &str = "truth.jsonl";
const CA_FILE: &str = "simulator.pem";

/// From this many streams on, tokens come every 100 ms: more would be beyond one core of any client.
const SLOW_FROM: usize = 4096;

/// Busy loops, until they are dropped.
struct Hogs(Vec<Child>);

impl Hogs {
    fn start(count: usize, core: usize) -> Result<Self> {
        let mut hogs = Self(Vec::new());
        for _ in 0..count {
            let mut busy = Command::new("sh");
            hogs.0.push(processes::spawn_on(
                core,
                busy.args(["-c", "while :; do :; done"]),
            )?);
        }
        Ok(hogs)
    }
}

impl Drop for Hogs {
    fn drop(&mut self) {
        for hog in &mut self.0 {
            let _ = hog.kill();
            let _ = hog.wait();
        }
    }
}

/// The flags that say how to ask the simulator, whose own address ends in `/v1`, by an API.
fn endpoint_flags(api: ApiMode, simulator: &str) -> Vec<String> {
    let settings = api.example(simulator.trim_end_matches("/v1"));
    let flags = [
        ("endpoint", Some(api.name.to_owned())),
        ("base-url", settings.base_url),
        ("region", settings.region),
        ("body", settings.body),
        ("framing", settings.framing),
    ];
    let flags = flags
        .into_iter()
        .filter_map(|(name, value)| Some(format!("--{name}={}", value?)));
    let places = settings.jmespath.into_iter();
    let places = places.map(|(part, path)| format!("--jmespath={part}={path}"));
    flags.chain(places).collect()
}

/// The APIs that are asked for.
fn endpoints(arguments: &AccuracyArguments) -> Result<Vec<ApiMode>> {
    if arguments.endpoint.iter().any(|name| name == "all") {
        return Ok(ApiMode::all().filter(ApiMode::can_stream).collect());
    }
    let named = arguments.endpoint.iter();
    Ok(named
        .map(|name| ApiMode::named(name))
        .collect::<llmeter::Result<_>>()?)
}

pub(crate) fn accuracy(arguments: &AccuracyArguments) -> Result<()> {
    let profile = match arguments.smoke {
        true => Profile::Dev,
        false => Profile::Release,
    };
    let llmeter = processes::build_llmeter(profile)?;
    let dialer = processes::build_xtask(profile)?;
    let cores = processes::server_and_client_cores()?;
    let rates = arguments.rate.iter().copied().map(Level::Rate);
    let streams = match arguments.smoke {
        true => &[1, 64][..],
        false => &arguments.levels,
    };
    let streams = streams.iter().copied().map(Level::Streams);
    let levels: Vec<Level> = match arguments.rate.is_empty() {
        true => streams.collect(),
        false => rates.collect(),
    };
    println!("{}", connections(arguments, (&llmeter, &dialer), cores)?);
    for api in endpoints(arguments)? {
        println!("{} by {}\n{}", api.name, protocol(arguments), heading());
        for one in &levels {
            let line = level(arguments, (&llmeter, &llmeter), cores, api, *one)?;
            println!("{line}");
            if let Some(other) = &arguments.against {
                let line = level(arguments, (&llmeter, other), cores, api, *one)?;
                println!("{line}  other build");
            }
        }
    }
    Ok(())
}

fn protocol(arguments: &AccuracyArguments) -> String {
    let version = if arguments.http2 {
        "HTTP/2"
    } else {
        "HTTP/1.1"
    };
    let transport = if arguments.tls { " over TLS" } else { "" };
    format!("{version}{transport}")
}

/// A simulator with a truth log in `folder`, and the flags that runs against it take.
fn start_simulator(
    arguments: &AccuracyArguments,
    (llmeter, core): (&Path, usize),
    folder: &Path,
    pace: &[String],
) -> Result<(SimulatorProcess, Vec<String>)> {
    let truth = format!("--truth={}", folder.join(TRUTH).display());
    let mut flags: Vec<String> = arguments
        .http2
        .then(|| "--http2".to_owned())
        .into_iter()
        .collect();
    let mut settings = [pace, &[truth]].concat();
    if arguments.tls {
        let ca_file = format!("--ca-file={}", folder.join(CA_FILE).display());
        settings.extend(["--tls".to_owned(), ca_file.clone()]);
        flags.push(ca_file);
    }
    Ok((SimulatorProcess::start(llmeter, core, &settings)?, flags))
}

/// How far the times to connect and for TLS are from the server's: connections are opened one after
/// another by the meter's dialer, and end where the simulator says.
fn connections(
    arguments: &AccuracyArguments,
    (llmeter, dialer): (&Path, &Path),
    (server_core, meter_core): (usize, usize),
) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let pace = ["--ttft=0ms", "--itl=0ms", "--output-tokens=1"].map(str::to_owned);
    let server = (llmeter, server_core);
    let (simulator, _) = start_simulator(arguments, server, folder.path(), &pace)?;
    let count = if arguments.smoke { 5 } else { 200 };
    let mut dial = Command::new(dialer);
    dial.args(["dial", "--base-url", &simulator.base_url])
        .args(["--count", &count.to_string()]);
    if arguments.tls {
        dial.arg("--ca-file").arg(folder.path().join(CA_FILE));
    }
    let usage = processes::run_on(meter_core, &mut dial)?;
    simulator.stop()?;
    let truth = read_truth(folder.path().join(TRUTH))?;
    let dialled = serde_json::Deserializer::from_str(&usage.output).into_iter::<Dialled>();
    let dialled = dialled.collect::<Result<Vec<_>, _>>()?;
    ensure!(
        dialled.len() == count && truth.len() == count,
        "{} connections, {} in the truth log: {}",
        dialled.len(),
        truth.len(),
        usage.output
    );
    let seconds = |from: i64, to: i64| (to - from) as f64 * 1e-9;
    let (mut connect, mut tls) = (Vec::new(), Vec::new());
    for (dialled, truth) in dialled.iter().zip(&truth) {
        connect.push(dialled.time_to_connect - seconds(dialled.begun_ns, truth.accepted_ns));
        if let Some(time) = dialled.time_to_tls {
            tls.push(time - seconds(truth.hello_ns, truth.handshake_ns));
        }
    }
    let mut line = format!("{count} connections");
    for (name, errors) in [("connect", connect), ("TLS", tls)] {
        if let Some(errors) = ErrorSummary::new(&errors) {
            let (p50, p99) = (milliseconds(errors.p50), milliseconds(errors.p99));
            line += &format!(", {name} p50 {p50}, p99 {p99}");
        }
    }
    Ok(line)
}

fn milliseconds(seconds: f64) -> String {
    format!("{:.3} ms", seconds * 1e3)
}

fn heading() -> String {
    format!(
        "{:>7}  {:>8}  {:>9} {:>9}  {:>9} {:>9}  {:>9} {:>9}  {:>12}  {:>9}  {:>7}  {:>9}",
        "load",
        "requests",
        "TTFT p50",
        "TTFT p99",
        "TTLT p50",
        "TTLT p99",
        "ITL p50",
        "ITL p99",
        "verdict",
        "events/s",
        "CPU/1k",
        "memory",
    )
}

/// Measures one level. Returns its line of the table.
fn level(
    arguments: &AccuracyArguments,
    (simulator, meter): (&Path, &Path),
    (server_core, meter_core): (usize, usize),
    api: ApiMode,
    level: Level,
) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let duration = if arguments.smoke {
        "2s"
    } else {
        &arguments.duration
    };
    let itl = match (&arguments.itl, level) {
        (Some(itl), _) => itl,
        (None, Level::Streams(SLOW_FROM..)) => "100ms",
        _ => "10ms",
    };
    let tokens = arguments.output_tokens;
    let (itl, length) = (format!("--itl={itl}"), format!("--output-tokens={tokens}"));
    let pace = ["--ttft=50ms".to_owned(), itl, length];
    let (name, load, warmup) = match level {
        Level::Streams(streams) => (
            streams.to_string(),
            format!("--clients={streams}"),
            streams * arguments.warmup,
        ),
        Level::Rate(rate) => (
            rate.to_string(),
            format!("--rate={rate}"),
            (rate.per_second() * arguments.warmup as f64) as usize,
        ),
    };
    let server = (simulator, server_core);
    let (simulator, flags) = start_simulator(arguments, server, folder.path(), &pace)?;
    let _hogs = Hogs::start(arguments.hog, meter_core)?;
    let usage = processes::run_on(
        meter_core,
        Command::new(meter)
            .args(["run", "--quiet", "--json", "--model", "truth"])
            .args(["--prompt", "How far off?", "--stamps", &arguments.stamps])
            .args(endpoint_flags(api, &simulator.base_url))
            .args(flags)
            // For the APIs whose requests are signed; the simulator does not look.
            .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
            .env("AWS_SECRET_ACCESS_KEY", "made-up")
            .args([&load, "--duration", duration])
            .args(["--warmup", &warmup.to_string()])
            .args(["--run-name", "level", "--output"])
            .arg(folder.path()),
    )?;
    simulator.stop()?;
    let result = RunResult::load(folder.path().join("level"))
        .with_context(|| format!("the meter said: {}", usage.output))?;
    let comparison = Comparison::new(&result.responses, &read_truth(folder.path().join(TRUTH))?);
    let failed = result.responses.iter().filter(|r| r.error.is_some());
    let failed = failed.count();
    if failed > 0 || comparison.unmatched > 0 || comparison.ttft.is_empty() {
        bail!(
            "{name}: {failed} failed, {} unknown to the simulator, {} compared",
            comparison.unmatched,
            comparison.ttft.len()
        );
    }
    let summaries = [&comparison.ttft, &comparison.ttlt, &comparison.itl]
        .map(|errors| ErrorSummary::new(errors).unwrap_or_default());
    let stats = result.stats();
    let tokens = (result.responses.len() + warmup) as f64 * tokens as f64;
    let mut line = format!("{name:>7}  {:>8}", comparison.ttft.len());
    for errors in summaries {
        line += &format!(
            "  {:>9} {:>9}",
            milliseconds(errors.p50),
            milliseconds(errors.p99)
        );
    }
    let mut more = String::new();
    if let (Some(offered), Some(achieved)) = (stats.offered_rate, stats.achieved_rate) {
        let late = [stats.send_lateness.p50, stats.send_lateness.p99];
        let [p50, p99] = late.map(|late| milliseconds(late.unwrap_or(f64::NAN)));
        let share = (achieved / offered - 1.0) * 100.0;
        let peak = stats.peak_in_flight.unwrap_or(0);
        more = format!(
            "\n         sent {p50} late, p99 {p99}; {achieved:.2} of {offered:.2} requests/s ({share:+.3} %); \
             {peak} in flight at most"
        );
    }
    for reason in &stats.measurement_reasons {
        more += &format!("\n         {reason}");
    }
    Ok(format!(
        "{line}  {:>12}  {:>9.0}  {:>7}  {:>6.1} MB{more}",
        stats.measurement_verdict.as_deref().unwrap_or("—"),
        stats.output_tps.unwrap_or(0.0),
        milliseconds(usage.cpu.as_secs_f64() * 1000.0 / tokens),
        usage.peak_memory as f64 / 1e6,
    ))
}
