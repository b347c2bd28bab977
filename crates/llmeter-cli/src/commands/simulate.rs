//! `llmeter simulate`.

use std::path::Path;

use anyhow::{Context, Result};
use llmeter::storage::files::{self, Access};
use llmeter_sim::{Certificate, SimConfig, SimError, Simulator};

use crate::args::SimulateArguments;
use crate::exit::{Exit, UsageError};
use crate::{output, signals, trust};

pub(crate) fn simulate(arguments: SimulateArguments) -> Result<Exit> {
    let api_key = match &arguments.api_key_env {
        None => None,
        Some(variable) => Some(std::env::var(variable).map_err(|_| {
            UsageError(format!("--api-key-env: the variable {variable} is not set"))
        })?),
    };
    let tls = match (arguments.cert, arguments.key) {
        (Some(certificate), Some(key)) => Some(Certificate::Files { certificate, key }),
        _ => arguments.tls.then_some(Certificate::Made),
    };
    let mut overwrite = arguments.overwrite;
    if let Some(path) = arguments
        .truth
        .as_deref()
        .filter(|path| !overwrite && holds_something(path))
    {
        let shown = path.display().to_string();
        if !trust::can_ask() {
            return Err(SimError::Invalid {
                field: "truth",
                value: shown,
                accepted: "a file that is not there yet, or is empty",
            }
            .into());
        }
        overwrite = trust::ask(&format!("{shown} holds something. Replace it?"))?;
        if !overwrite {
            output::note("nothing was replaced");
            return Ok(Exit::CouldNotRun);
        }
    }
    // Before anything is announced: whoever reads the announcement may stop us at once.
    let mut signals = signals::catch()?;
    let simulator = Simulator::start(SimConfig {
        host: arguments.host,
        port: arguments.port,
        ttft: arguments.ttft,
        itl: arguments.itl,
        output_tokens: arguments.output_tokens,
        jitter: arguments.jitter,
        tokens_per_frame: arguments.tokens_per_frame,
        reasoning_tokens: arguments.reasoning_tokens,
        error_rate: arguments.error_rate,
        stall_rate: arguments.stall_rate,
        cut_rate: arguments.cut_rate,
        max_concurrency: arguments.max_concurrency,
        max_tokens_in_flight: arguments.max_tokens_in_flight,
        prefix_cache: arguments.prefix_cache,
        cache_block: arguments
            .cache_block
            .unwrap_or(SimConfig::default().cache_block),
        prefill_rate: arguments.prefill_rate,
        drift_from: arguments.drift_from,
        seed: arguments.seed,
        truth: arguments.truth,
        overwrite_truth: overwrite,
        keep_truth: false,
        api_key,
        verify_sigv4: arguments.verify_sigv4,
        model: arguments.model,
        tls,
        threads: arguments.threads,
    })?;
    let mut trust = String::new();
    if let Some(certificate) = simulator.certificate() {
        trust = match &arguments.ca_file {
            None => {
                "clients need --insecure, since nobody vouches for its certificate\n".to_owned()
            }
            Some(file) => {
                let shown = file.display();
                files::replace(file, certificate.as_bytes(), Access::Umask)
                    .with_context(|| format!("cannot write {shown}"))?;
                format!("clients trust it with --ca-file {shown}\n")
            }
        };
    }
    if !arguments.quiet {
        output::text(&format!(
            "serving {} (OpenAI chat completions); Ctrl-C stops it\n{trust}",
            simulator.base_url()
        ))?;
    }
    signals.wait();
    let served = simulator.requests_served();
    simulator.stop()?;
    if !arguments.quiet {
        output::text(&format!("served {served} requests\n"))?;
    }
    Ok(Exit::Done)
}

/// Whether there is a file that starting over would cost.
fn holds_something(path: &Path) -> bool {
    path.metadata()
        .is_ok_and(|file| file.is_file() && file.len() > 0)
}
