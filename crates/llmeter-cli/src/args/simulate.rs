//! The flags of `simulate`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::parse_duration;
use crate::examples::SIMULATE_EXAMPLES;

#[derive(Debug, Args)]
#[command(after_long_help = SIMULATE_EXAMPLES)]
pub(crate) struct SimulateArguments {
    /// Address to listen on
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) host: std::net::IpAddr,
    /// Port to listen on; 0 picks a free one
    #[arg(
        long,
        value_name = "PORT",
        allow_negative_numbers = true,
        default_value_t = 8000
    )]
    pub(crate) port: u16,
    /// Time to first token
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, default_value = "200ms", value_parser = parse_duration)]
    pub(crate) ttft: Duration,
    /// Time between frames
    #[arg(long, value_name = "TIME", allow_negative_numbers = true, default_value = "20ms", value_parser = parse_duration)]
    pub(crate) itl: Duration,
    /// Tokens per response, unless the request has a lower limit
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        default_value_t = 128
    )]
    pub(crate) output_tokens: u32,
    /// Random spread of the times, as a share of them: 0.2 is ±20 %
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        default_value_t = 0.0
    )]
    pub(crate) jitter: f64,
    /// Tokens in one frame
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        default_value_t = 1
    )]
    pub(crate) tokens_per_frame: u32,
    /// Reasoning tokens before the visible ones
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        default_value_t = 0
    )]
    pub(crate) reasoning_tokens: u32,
    /// Share of requests that fail with status 500
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        default_value_t = 0.0
    )]
    pub(crate) error_rate: f64,
    /// Share of streams that stall half-way
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        default_value_t = 0.0
    )]
    pub(crate) stall_rate: f64,
    /// Share of streams that are truncated half-way
    #[arg(
        long,
        value_name = "SHARE",
        allow_negative_numbers = true,
        default_value_t = 0.0
    )]
    pub(crate) cut_rate: f64,
    /// Max concurrent requests; others queue, so that latency grows with load
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) max_concurrency: Option<usize>,
    /// Max tokens in flight, prompts and responses together; requests beyond queue
    #[arg(long, value_name = "TOKENS", allow_negative_numbers = true)]
    pub(crate) max_tokens_in_flight: Option<u64>,
    /// Keep a prefix cache of so many tokens: what it has of a prompt takes no prefill time and
    /// counts as cached in the usage
    #[arg(long, value_name = "TOKENS", allow_negative_numbers = true)]
    pub(crate) prefix_cache: Option<u64>,
    /// Tokens of a block of the prefix cache, which has whole blocks only [default: 16]
    #[arg(
        long,
        value_name = "TOKENS",
        allow_negative_numbers = true,
        requires = "prefix_cache"
    )]
    pub(crate) cache_block: Option<u32>,
    /// Give the same answer to the same prompt while fewer requests are in flight, and others from then on
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) drift_from: Option<usize>,
    /// Prompt tokens processed per second, so that TTFT grows with prompt length
    #[arg(long, value_name = "TOKENS/S", allow_negative_numbers = true)]
    pub(crate) prefill_rate: Option<f64>,
    /// Random seed
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        default_value_t = 0
    )]
    pub(crate) seed: u64,
    /// Environment variable with the API key to require [default: no key required]
    #[arg(long, value_name = "VAR")]
    pub(crate) api_key_env: Option<String>,
    /// Verify that requests to AWS APIs are signed with this access key; use a made-up one
    #[arg(long, value_name = "ID:SECRET", value_parser = parse_access_key)]
    pub(crate) verify_sigv4: Option<(String, String)>,
    /// Model id in the list of models
    #[arg(long, value_name = "ID", default_value = "llmeter-sim")]
    pub(crate) model: String,
    /// Serve HTTPS, with a certificate that is made at start
    #[arg(long)]
    pub(crate) tls: bool,
    /// Write that certificate to this file, for --ca-file of clients
    #[arg(long, value_name = "FILE", requires = "tls", conflicts_with = "cert")]
    pub(crate) ca_file: Option<PathBuf>,
    /// Serve HTTPS, with the certificate in this PEM file
    #[arg(long, value_name = "FILE", requires = "key")]
    pub(crate) cert: Option<PathBuf>,
    /// Private key of the certificate, a PEM file
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub(crate) key: Option<PathBuf>,
    /// Worker threads
    #[arg(
        long,
        value_name = "N",
        allow_negative_numbers = true,
        default_value_t = 1
    )]
    pub(crate) threads: usize,
    /// Write the true times of every request to this file, one JSON object per line
    #[arg(long, value_name = "FILE")]
    pub(crate) truth: Option<PathBuf>,
    /// Replace the file of --truth if it holds something
    #[arg(long, requires = "truth")]
    pub(crate) overwrite: bool,
    /// Print nothing
    #[arg(long)]
    pub(crate) quiet: bool,
}

/// `ID:SECRET`. The message must not repeat what was given.
fn parse_access_key(text: &str) -> Result<(String, String), String> {
    let key = text
        .split_once(':')
        .map(|(id, secret)| (id.to_owned(), secret.to_owned()));
    key.filter(|(id, secret)| !id.is_empty() && !secret.is_empty())
        .ok_or_else(|| "expected an access key like ID:SECRET".to_owned())
}
