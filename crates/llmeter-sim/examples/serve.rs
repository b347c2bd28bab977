//! Runs the simulator from the command line: `serve [NAME=VALUE]...`
//!
//! Names: port, ttft-ms, itl-ms, tokens, reasoning, per-frame, jitter, slots, threads, key, truth.

use std::{env, error::Error, time::Duration};

use llmeter_sim::{SimConfig, Simulator};

fn main() -> Result<(), Box<dyn Error>> {
    let mut config = SimConfig {
        port: 8000,
        ..SimConfig::default()
    };
    for argument in env::args().skip(1) {
        let (name, value) = argument.split_once('=').ok_or("arguments are NAME=VALUE")?;
        let milliseconds = || {
            value
                .parse()
                .map(|ms: f64| Duration::from_secs_f64(ms / 1e3))
        };
        match name {
            "port" => config.port = value.parse()?,
            "ttft-ms" => config.ttft = milliseconds()?,
            "itl-ms" => config.itl = milliseconds()?,
            "tokens" => config.output_tokens = value.parse()?,
            "reasoning" => config.reasoning_tokens = value.parse()?,
            "per-frame" => config.tokens_per_frame = value.parse()?,
            "jitter" => config.jitter = value.parse()?,
            "slots" => config.max_concurrency = Some(value.parse()?),
            "threads" => config.threads = value.parse()?,
            "key" => config.api_key = Some(value.to_owned()),
            "truth" => config.truth = Some(value.into()),
            _ => return Err(format!("unknown name {name}").into()),
        }
    }
    let running = Simulator::start(config)?;
    println!("{}", running.base_url());
    // Closing standard input ends the server cleanly, with a complete truth file.
    let stopper = running.stopper();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        stopper.stop();
    });
    running.wait()?;
    Ok(())
}
