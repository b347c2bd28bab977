//! `llmeter run --dry-run`: what a run would send and when.

use anyhow::{Context, Result};
use llmeter::api::ApiMode;
use llmeter::data;
use llmeter::payload::{Payload, plain_numbers};
use llmeter::{Load, RunConfig, Setting};
use serde_json::Value;

use super::payload::shorten;
use crate::exit::{Exit, flag};
use crate::output;

/// Requests of the data that are looked at.
const DESCRIBED: u64 = 1_000;

/// Prints it. Nothing is sent, and no folder is made.
pub(super) fn dry_run(config: &RunConfig) -> Result<Exit> {
    let identity = config.endpoint.identity();
    let mut lines = vec![
        "dry run: nothing is sent".to_owned(),
        format!(
            "endpoint: {}, model {}",
            identity.endpoint_name, identity.model_id
        ),
        format!("load: {}", load(config)),
    ];
    let first = match &config.data {
        Some(source) => {
            let api = ApiMode::of_saved(&config.endpoint.saved()).ok();
            let prompt = |payload: &Payload| api?.api.prompt_text(payload);
            let described = data::describe(&**source, DESCRIBED, prompt, |_| true)?;
            let described = Setting::rename_all(&described.to_string(), &flag);
            lines.push(format!("data: {}", described.trim_end()));
            source.request(config.data_start)?.payload
        }
        None => {
            lines.push(format!("payloads: {}", config.payloads.len()));
            let first = config.payloads.first().context("there is no payload")?;
            Payload::clone(first)
        }
    };
    let mut payload = first;
    config
        .endpoint
        .prepare_payload(&mut payload)
        .context("the first request cannot be sent")?;
    let mut payload = Value::Object(payload);
    shorten(&mut payload);
    lines.push("first request:".to_owned());
    lines.push(plain_numbers(serde_json::to_string_pretty(&payload)?));
    output::text(&(lines.join("\n") + "\n"))?;
    Ok(Exit::Done)
}

/// How much is sent when.
fn load(config: &RunConfig) -> String {
    let outline = config.outline();
    let mut parts = Vec::new();
    if let Some(rate) = config.rate {
        parts.push(format!("{rate}, {}", config.arrivals));
    }
    if let Some(stages) = &config.stages {
        parts.push(stages.to_string());
    }
    if let Some(rate) = config.session_rate {
        parts.push(format!("sessions at {rate}, {}", config.arrivals));
    }
    let is_by_clock = match config.sessions {
        Some(_) => false,
        None => {
            matches!(config.load, Load::Schedule(_))
                || config.rate.is_some()
                || config.session_rate.is_some()
                || config.stages.is_some()
        }
    };
    match &outline.arrivals {
        Some(arrivals) if is_by_clock => parts.push(format!(
            "{} {} within {:.1} s ({:.2} a second, at most {} in one)",
            arrivals.count,
            if arrivals.count == 1 {
                "arrival"
            } else {
                "arrivals"
            },
            arrivals.seconds,
            arrivals.rate,
            arrivals.max_in_one_second
        )),
        _ => parts.push(match (config.sessions, config.clients) {
            (Some(1), _) => "1 session at a time".to_owned(),
            (Some(sessions), _) => format!("{sessions} sessions at a time"),
            (None, 1) => "1 client".to_owned(),
            (None, clients) => format!("{clients} clients"),
        }),
    }
    if let Some(think_time) = &config.think_time {
        parts.push(format!("think time {think_time}"));
    }
    if let Some(planned) = outline.planned {
        parts.push(match planned {
            1 => "1 request".to_owned(),
            planned => format!("{planned} requests"),
        });
    }
    if let Some(duration) = outline.duration {
        parts.push(format!("for {} s", duration.as_secs_f64()));
    }
    if config.warmup > 0 {
        parts.push(format!("after {} of the warm-up", config.warmup));
    }
    parts.join(", ")
}
