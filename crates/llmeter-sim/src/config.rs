//! What the simulated server is asked to be.
//!
//! Belongs here: the settings of a whole server and their limits. What a single request changes
//! about them is in `overrides`.

use std::{
    fmt::Debug,
    net::{IpAddr, Ipv4Addr},
    path::PathBuf,
    time::Duration,
};

use crate::{error::SimError, tls::Certificate};

/// The settings of a [`Simulator`](crate::Simulator).
///
/// The default is a fast, quiet model: 200 ms to the first token, 20 ms between frames,
/// 128 tokens, no faults, no queue.
#[derive(Debug, Clone, PartialEq)]
pub struct SimConfig {
    /// Address to listen on.
    pub host: IpAddr,
    /// Port to listen on; 0 takes any free one.
    pub port: u16,
    /// Time from the arrival of a request to its first token. Zero sends it at once.
    pub ttft: Duration,
    /// Time from one frame to the next. With `ttft` zero too, the stream runs unpaced.
    pub itl: Duration,
    /// Visible tokens of a response; a request's own limit may truncate it.
    pub output_tokens: u32,
    /// Spread of `ttft` and of every gap: each is multiplied by an even random factor
    /// between `1 - jitter` and `1 + jitter`.
    pub jitter: f64,
    /// Tokens in one frame.
    pub tokens_per_frame: u32,
    /// Reasoning tokens that come before the visible ones.
    pub reasoning_tokens: u32,
    /// Share of requests that fail with status 500.
    pub error_rate: f64,
    /// Share of requests that fall silent half-way and keep the connection open.
    pub stall_rate: f64,
    /// Share of requests whose connection is closed half-way.
    pub cut_rate: f64,
    /// Requests worked on at a time; others wait in the order they came. `None`: no limit.
    pub max_concurrency: Option<usize>,
    /// Tokens worked on at a time, those of prompts and those to be generated; further requests wait in
    /// the order they came, and one with more tokens begins when it is alone. `None`: no limit.
    pub max_tokens_in_flight: Option<u64>,
    /// Tokens that the prefix cache holds: the beginning of a prompt that it has is not read again
    /// and is told in the usage. What was used least recently goes first. `None`: no cache.
    pub prefix_cache: Option<u64>,
    /// Tokens of a block of the prefix cache, which has whole blocks only.
    pub cache_block: u32,
    /// Prompt tokens read per second, which adds to `ttft`. `None`: prompts cost nothing.
    pub prefill_rate: Option<f64>,
    /// Answers follow from the prompt alone while fewer requests than this are in flight, and from their number
    /// as well from then on, as where batches change what is computed. `None`: each answer is another.
    pub drift_from: Option<usize>,
    /// Seed of everything random. A request's luck depends on this and on its number alone.
    pub seed: u64,
    /// File that receives the truth log: one that is not there yet, or is empty.
    pub truth: Option<PathBuf>,
    /// Whether that file is replaced if it holds something.
    pub overwrite_truth: bool,
    /// Keep the truth log in memory, for [`RunningSimulator::truth`](crate::RunningSimulator::truth).
    pub keep_truth: bool,
    /// The one API key that is accepted. `None`: no key is asked for.
    pub api_key: Option<String>,
    /// The access key's id and secret with which requests to the APIs of AWS must be signed.
    /// `None`: signatures are not looked at.
    pub verify_sigv4: Option<(String, String)>,
    /// The model that the list of models names. Responses bear the name that the request used.
    pub model: String,
    /// Serve TLS, with this certificate. `None`: clients speak without.
    pub tls: Option<Certificate>,
    /// Worker threads; connections are dealt out to them in turn.
    pub threads: usize,
}

impl Default for SimConfig {
    fn default() -> Self {
        Self {
            host: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 0,
            ttft: Duration::from_millis(200),
            itl: Duration::from_millis(20),
            output_tokens: 128,
            jitter: 0.0,
            tokens_per_frame: 1,
            reasoning_tokens: 0,
            error_rate: 0.0,
            stall_rate: 0.0,
            cut_rate: 0.0,
            max_concurrency: None,
            max_tokens_in_flight: None,
            prefix_cache: None,
            cache_block: 16,
            prefill_rate: None,
            drift_from: None,
            seed: 0,
            truth: None,
            overwrite_truth: false,
            keep_truth: false,
            api_key: None,
            verify_sigv4: None,
            model: "llmeter-sim".to_owned(),
            tls: None,
            threads: 1,
        }
    }
}

/// Longest time to a first token or between frames: a day.
pub(crate) const MAX_DELAY: Duration = Duration::from_secs(86_400);
/// The maximum of tokens of one kind in a response.
pub(crate) const MAX_TOKENS: u32 = 1_000_000;
/// What a share may be.
const SHARE: &str = "from 0 to 1";
/// The maximum of worker threads.
const MAX_THREADS: usize = 256;

impl SimConfig {
    /// Checks every setting.
    ///
    /// # Errors
    /// [`SimError::Invalid`] for the first setting out of its range.
    pub fn validate(&self) -> Result<(), SimError> {
        let delay = "at most 24 hours";
        let faults = self.error_rate + self.stall_rate + self.cut_rate;
        let concurrency = self.max_concurrency.unwrap_or(1);
        let in_flight = self.max_tokens_in_flight.unwrap_or(1);
        let cache = self.prefix_cache.unwrap_or(u64::from(self.cache_block));
        let prefill_rate = self.prefill_rate.unwrap_or(1.0);
        let hidden = format_args!("(not shown)");
        let key = self.api_key.as_deref();
        let is_key = |key: &str| !key.is_empty() && key.bytes().all(|b| b.is_ascii_graphic());
        let signing = self.verify_sigv4.as_ref();
        let share = |value| (0.0..=1.0).contains(value);
        let checks: [(_, bool, &dyn Debug, _); 19] = [
            ("ttft", self.ttft <= MAX_DELAY, &self.ttft, delay),
            ("itl", self.itl <= MAX_DELAY, &self.itl, delay),
            (
                "output_tokens",
                (1..=MAX_TOKENS).contains(&self.output_tokens),
                &self.output_tokens,
                "from 1 to 1000000",
            ),
            (
                "reasoning_tokens",
                self.reasoning_tokens <= MAX_TOKENS,
                &self.reasoning_tokens,
                "at most 1000000",
            ),
            (
                "tokens_per_frame",
                (1..=10_000).contains(&self.tokens_per_frame),
                &self.tokens_per_frame,
                "from 1 to 10000",
            ),
            ("jitter", share(&self.jitter), &self.jitter, SHARE),
            (
                "error_rate",
                share(&self.error_rate),
                &self.error_rate,
                SHARE,
            ),
            (
                "stall_rate",
                share(&self.stall_rate),
                &self.stall_rate,
                SHARE,
            ),
            ("cut_rate", share(&self.cut_rate), &self.cut_rate, SHARE),
            (
                "error_rate + stall_rate + cut_rate",
                faults <= 1.0 + 1e-9,
                &faults,
                "at most 1 in sum",
            ),
            (
                "max_concurrency",
                // The upper end is what the queue's counter can hold.
                (1..=usize::MAX >> 3).contains(&concurrency),
                &concurrency,
                "at least 1",
            ),
            (
                "max_tokens_in_flight",
                in_flight >= 1,
                &in_flight,
                "at least 1",
            ),
            (
                "cache_block",
                (1..=MAX_TOKENS).contains(&self.cache_block),
                &self.cache_block,
                "from 1 to 1000000",
            ),
            (
                "prefix_cache",
                cache >= u64::from(self.cache_block),
                &cache,
                "at least the tokens of one block",
            ),
            (
                "prefill_rate",
                prefill_rate.is_finite() && prefill_rate > 0.0,
                &prefill_rate,
                "more than 0 tokens per second",
            ),
            (
                "model",
                !self.model.trim().is_empty(),
                &self.model,
                "a name that is not empty",
            ),
            (
                "api_key",
                key.is_none_or(is_key),
                &hidden,
                "printable ASCII without spaces",
            ),
            (
                "verify_sigv4",
                signing.is_none_or(|(id, secret)| !id.is_empty() && !secret.is_empty()),
                &hidden,
                "an access key's id and its secret, as ID:SECRET",
            ),
            (
                "threads",
                (1..=MAX_THREADS).contains(&self.threads),
                &self.threads,
                "from 1 to 256",
            ),
        ];
        match checks.into_iter().find(|check| !check.1) {
            None => Ok(()),
            Some((field, _, value, accepted)) => Err(SimError::Invalid {
                field,
                value: format!("{value:?}"),
                accepted,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_valid() {
        SimConfig::default().validate().unwrap();
    }

    #[test]
    fn a_bad_setting_is_named_with_its_value_and_range() {
        let bad = [
            SimConfig {
                jitter: 1.5,
                ..SimConfig::default()
            },
            SimConfig {
                error_rate: f64::NAN,
                ..SimConfig::default()
            },
            SimConfig {
                output_tokens: 0,
                ..SimConfig::default()
            },
            SimConfig {
                max_concurrency: Some(0),
                ..SimConfig::default()
            },
            SimConfig {
                prefill_rate: Some(0.0),
                ..SimConfig::default()
            },
            SimConfig {
                prefix_cache: Some(15),
                ..SimConfig::default()
            },
            SimConfig {
                max_tokens_in_flight: Some(0),
                ..SimConfig::default()
            },
            SimConfig {
                threads: 0,
                ..SimConfig::default()
            },
            SimConfig {
                model: " ".into(),
                ..SimConfig::default()
            },
            SimConfig {
                api_key: Some("a b".into()),
                ..SimConfig::default()
            },
            SimConfig {
                ttft: Duration::MAX,
                ..SimConfig::default()
            },
            SimConfig {
                cut_rate: 0.6,
                stall_rate: 0.6,
                ..SimConfig::default()
            },
        ];
        for config in bad {
            assert!(
                matches!(config.validate(), Err(SimError::Invalid { .. })),
                "{config:?}"
            );
        }
        let message = SimConfig {
            jitter: 1.5,
            ..SimConfig::default()
        }
        .validate()
        .unwrap_err()
        .to_string();
        assert_eq!(message, "jitter 1.5: expected from 0 to 1");
    }

    #[test]
    fn a_key_is_never_shown() {
        let config = SimConfig {
            api_key: Some("sk secret".into()),
            ..SimConfig::default()
        };
        assert!(
            !config
                .validate()
                .unwrap_err()
                .to_string()
                .contains("secret")
        );
    }
}
