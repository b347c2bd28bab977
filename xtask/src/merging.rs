//! How long it takes to merge the parts of a load, and how much memory.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use crate::processes::{self, Profile};

#[derive(Args)]
pub(crate) struct MergingArguments {
    /// Parts
    #[arg(long, default_value_t = 10)]
    parts: u64,
    /// Responses of each part
    #[arg(long, default_value_t = 100_000)]
    responses: u64,
    /// Output tokens of each response
    #[arg(long, default_value_t = 16)]
    tokens: u64,
    /// Merge with sketches in the place of values
    #[arg(long)]
    low_memory: bool,
}

#[expect(clippy::disallowed_methods, reason = "no measurement of a server")]
pub(crate) fn merging(arguments: &MergingArguments) -> Result<()> {
    let llmeter = processes::build_llmeter(Profile::Release)?;
    let folder = tempfile::tempdir()?;
    let mut parts = Vec::new();
    let mut bytes = 0;
    for part in 0..arguments.parts {
        let path = folder.path().join(format!("part-{part}"));
        bytes += write_part(&path, part, arguments)?;
        parts.push(path);
    }
    let mut command = Command::new(&llmeter);
    command.arg("merge").args(&parts).arg("--output");
    command.arg(folder.path().join("merged"));
    command.args(["--quiet", "--json"]);
    if arguments.low_memory {
        command.arg("--low-memory");
    }
    let start = std::time::Instant::now();
    let merged = processes::run_anywhere(&mut command)?;
    let seconds = start.elapsed().as_secs_f64();
    if merged.code != Some(0) {
        bail!("the merge ended with {:?}: {}", merged.code, merged.output);
    }
    let all = arguments.parts * arguments.responses;
    println!(
        "{} parts of {} responses of {} tokens, {:.0} MB: {seconds:.1} s, {:.2} µs a response, {:.0} MB at \
         most, {:.0} bytes a response",
        arguments.parts,
        arguments.responses,
        arguments.tokens,
        bytes as f64 / 1e6,
        seconds * 1e6 / all as f64,
        merged.peak_memory as f64 / 1e6,
        merged.peak_memory as f64 / all as f64,
    );
    Ok(())
}

/// A part's folder, in the form in which runs write theirs.
fn write_part(folder: &Path, part: u64, arguments: &MergingArguments) -> Result<u64> {
    fs::create_dir_all(folder)?;
    let mut file = BufWriter::new(File::create(folder.join("responses.jsonl"))?);
    let gap_count = arguments.tokens.saturating_sub(1);
    let mut line = String::new();
    for number in 0..arguments.responses {
        let chance = (number * 7919 + part * 104_729) % 10_007;
        // A response each millisecond, over all parts in turns.
        let micros = number * 1_000 + part * 7;
        let (minutes, seconds) = (micros / 60_000_000, micros / 1_000_000 % 60);
        line.clear();
        write!(
            line,
            "{{\"response_text\": \"{text}\", \"input_payload\": {{\"model\": \"m\", \"messages\": [{{\"role\": \
             \"user\", \"content\": \"Say something.\"}}]}}, \"id\": \"chatcmpl-{part}-{number}\", \
             \"input_prompt\": \"Say something.\", \"time_to_first_token\": 0.2{chance:05}, \
             \"time_to_last_token\": 0.5{chance:05}, \"num_tokens_output\": {tokens}, \"num_tokens_input\": 2, \
             \"time_per_output_token\": 0.02{chance:05}, \"error\": null, \"retries\": 0, \"request_time\": \
             \"2026-01-02T{hours:02}:{minutes:02}:{seconds:02}.{micros:06}Z\", \"annotations\": {{}}, \
             \"inter_token_latencies\": [",
            text = "word ".repeat(arguments.tokens as usize),
            tokens = arguments.tokens,
            hours = 3 + minutes / 60,
            minutes = minutes % 60,
            micros = micros % 1_000_000,
        )?;
        for gap in 0..gap_count {
            let separator = if gap == 0 { "" } else { ", " };
            write!(
                line,
                "{separator}0.02{:05}",
                (chance * 31 + gap * 997) % 20_000
            )?;
        }
        line.push_str("]}\n");
        file.write_all(line.as_bytes())?;
    }
    file.flush()?;
    let summary = json!({
        "total_requests": arguments.responses, "clients": 64, "n_requests": arguments.responses / 64,
        "total_test_time": arguments.responses as f64 * 1e-3, "model_id": "m",
        "first_request_time": "2026-01-02T03:00:00Z",
    });
    fs::write(folder.join("summary.json"), summary.to_string())?;
    fs::write(folder.join("stats.json"), summary.to_string())?;
    Ok(folder.join("responses.jsonl").metadata()?.len())
}
