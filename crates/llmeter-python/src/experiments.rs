//! Experiments as Python asks for them: tests by blocks, searches for capacity, classes of workload, repeats,
//! calibrations.

use std::sync::Arc;
use std::time::Duration;

use llmeter::experiment::{
    AbTest, AbVariant, Capacity, Knee, Over, Repeat, TestEnd, Workload, Workloads,
};
use llmeter::stats::Figure;
use llmeter::storage::Location;
use llmeter::{Error, Interrupt, Observer, RunConfig, StampSource, report};
use llmeter_sim::calibration::{self, CalibrationError, LoadShape};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use serde_json::{Map, Value, json};

use crate::WIDTH;
use crate::error::{invalid, refused};
use crate::run::{Configs, Work};

/// What an experiment has beside the settings of its runs.
#[derive(Default)]
struct Own(Map<String, Value>);

impl Own {
    /// The first part has it.
    fn of(configs: &mut Configs) -> Self {
        let first = configs.first_mut();
        Self(
            first
                .map(|(_, own)| std::mem::take(own))
                .unwrap_or_default(),
        )
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.0.get(name)?.as_f64()
    }

    fn count(&self, name: &str) -> Option<u64> {
        self.0.get(name)?.as_u64()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn is_on(&self, name: &str) -> bool {
        self.0.get(name).and_then(Value::as_bool) == Some(true)
    }

    /// Gives the runs of an experiment the folder in which the experiment's own is made, and its name.
    fn place(&self, config: &mut RunConfig) {
        config.output = self
            .text("output_path")
            .map(|folder| Location::from(folder.to_owned()));
        config.run_name = self.text("test_name").map(str::to_owned);
    }
}

fn time(name: &str, seconds: f64) -> PyResult<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|reason| invalid(format!("{name}: {seconds}: {reason}")))
}

/// The one part that most experiments have.
fn one(mut configs: Configs) -> PyResult<(RunConfig, Own)> {
    let own = Own::of(&mut configs);
    let nothing = || PyRuntimeError::new_err("an experiment has one part");
    let (mut config, _) = configs.into_iter().next().ok_or_else(nothing)?;
    own.place(&mut config);
    Ok((config, own))
}

fn is_interrupted(ended_by: Option<&TestEnd>) -> bool {
    matches!(ended_by, Some(TestEnd::Interrupted))
}

/// Variants that alternate until the answer is known.
pub(crate) fn ab_test(
    mut configs: Configs,
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
) -> PyResult<Work> {
    let own = Own::of(&mut configs);
    let names: Vec<String> = match own.0.get("names").and_then(Value::as_array) {
        Some(names) => names
            .iter()
            .map(|name| name.as_str().unwrap_or_default().to_owned())
            .collect(),
        None => Vec::new(),
    };
    let metric = Figure::named(own.text("metric").unwrap_or("ttft-p50"))
        .map_err(|reason| invalid(format!("metric: {reason}")))?;
    let configs = configs.into_iter().map(|(config, _)| config);
    let variants = names.into_iter().zip(configs);
    let variants = variants.map(|(name, config)| AbVariant { name, config });
    let mut test = AbTest::new(variants, metric.key()).interrupted_by(interrupt);
    if let Some(alpha) = own.number("alpha") {
        test = test.alpha(alpha);
    }
    if let Some(margin) = own.number("margin") {
        test = test.margin(margin);
    }
    if let Some(seed) = own.count("seed") {
        test = test.seed(seed);
    }
    if let Some(rounds) = own.count("max_rounds") {
        test = test.max_rounds(rounds as usize);
    }
    if let Some(requests) = own.count("max_requests") {
        test = test.max_requests(requests);
    }
    if let Some(seconds) = own.number("max_duration") {
        test = test.max_duration(time("max_duration", seconds)?);
    }
    if let Some(folder) = own.text("output_path") {
        let name = own.text("test_name").map(str::to_owned);
        test = test.output(Location::from(folder.to_owned()), name);
    }
    if let Some(observer) = observer {
        test = test.observe(move |_, _| Some(observer.clone()));
    }
    Ok(Box::new(move || {
        let done = test.run_blocking()?;
        let text = llmeter::report::ab(&done);
        let comparisons: Vec<_> = done
            .comparisons()
            .iter()
            .map(|one| {
                json!({
                    "variant": one.variant,
                    "means": one.means,
                    "difference": one.difference(),
                    "interval": one.interval(),
                    "answer": one.analysis.as_ref().map(|analysis| format!("{:?}", analysis.answer)),
                })
            })
            .collect();
        let more = json!({
            "plan": done.plan,
            "text": text,
            "comparisons": comparisons,
            "rounds": done.rounds.len(),
            "output_path": done.output_path,
            "warnings": done.warnings,
        });
        Ok((done.blocks().cloned().collect(), more))
    }))
}

/// The highest load that keeps all SLOs.
pub(crate) fn capacity(
    configs: Configs,
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
) -> PyResult<Work> {
    let (config, own) = one(configs)?;
    let over = match own.text("over") {
        Some("rate") => Over::Rate,
        Some("sessions") => Over::Sessions,
        _ => Over::Clients,
    };
    let max = own.number("max").unwrap_or_else(|| over.max_by_default());
    let mut search = Capacity::new(config)
        .over(over)
        .between(own.number("min").unwrap_or(1.0), max)
        .interrupted_by(interrupt);
    if let Some(seconds) = own.number("probe_duration") {
        search = search.probe_time(time("probe_duration", seconds)?);
    }
    if let Some(probes) = own.count("max_probes") {
        search = search.max_probes(probes as usize);
    }
    if let Some(seconds) = own.number("adaptive") {
        search = search.adaptive(time("adaptive", seconds)?);
    }
    if own.is_on("resume") {
        search = search.resume();
    }
    if let Some(observer) = observer {
        search = search.observe(move |_| Some(observer.clone()));
    }
    Ok(Box::new(move || {
        let found = search.run_blocking()?;
        let more = json!({
            "plan": found.plan,
            "level": found.level(),
            "breaks_at": found.breaks_at(),
            "goodput": found.goodput(),
            "goodput_interval": found.goodput_interval(),
            "knee": match found.knee() {
                Knee::At(clients) => Some(clients),
                _ => None,
            },
            "text": report::capacity_within(&found, WIDTH),
            "output_path": found.output_path,
            "test_name": found.name,
            "interrupted": is_interrupted(found.ended_by.as_ref()),
            "warnings": found.warnings,
            "levels": found.results.iter().map(|(level, _)| level).collect::<Vec<_>>(),
        });
        let results = found.results.into_iter().map(|(_, result)| result);
        Ok((results.collect(), more))
    }))
}

/// Classes of workload side by side.
pub(crate) fn workloads(
    mut configs: Configs,
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
) -> PyResult<Work> {
    let own = Own::of(&mut configs);
    let list = |name: &str| own.0.get(name).and_then(Value::as_array).cloned();
    let names = list("names").unwrap_or_default();
    let shares = list("shares").unwrap_or_default();
    let text = |name: &str| own.text(name).map(str::to_owned);
    let classes = configs.into_iter().zip(names).enumerate();
    let classes = classes.map(|(at, ((config, _), name))| Workload {
        name: name.as_str().unwrap_or_default().to_owned(),
        share: shares.get(at).and_then(Value::as_f64),
        config,
    });
    let slos = own.0.get("slo").cloned().unwrap_or_else(|| json!([]));
    let slos = serde_json::from_value(slos).map_err(refused("slo"))?;
    let output = text("output_path").ok_or_else(|| invalid("output_path is required"))?;
    let mut mix = Workloads::new(classes, Location::from(output))
        .run_name(text("run_name"))
        .description(text("run_description"))
        .overwrite(own.is_on("overwrite"))
        .alone(own.is_on("alone"))
        .slos(slos)
        .interrupted_by(interrupt);
    if let Some(observer) = observer {
        mix = mix.observe(move |_| Some(observer.clone()));
    }
    Ok(Box::new(move || {
        let done = mix.run_blocking()?;
        let (names, classes): (Vec<_>, Vec<_>) = done.classes.into_iter().unzip();
        let alone = done.alone.into_iter().map(|(_, result)| result);
        let results = std::iter::once(done.whole).chain(classes).chain(alone);
        Ok((results.collect(), json!({ "names": names })))
    }))
}

/// The same run several times.
pub(crate) fn repeat(
    configs: Configs,
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
) -> PyResult<Work> {
    let (config, own) = one(configs)?;
    let clients = config.clients;
    let times = own.count("repeats").unwrap_or_default() as usize;
    let mut repeat = Repeat::of_run(config, times).interrupted_by(interrupt);
    if let Some(observer) = observer {
        repeat = repeat.observe(move |_| Some(observer.clone()));
    }
    Ok(Box::new(move || {
        let mut done = repeat.run_blocking()?;
        let more = json!({
            "text": report::repeats_within(&done, WIDTH),
            "spreads": done.spreads(clients),
            "test_name": done.name,
            "output_path": done.output_path,
            "missing": done.missing,
            "interrupted": is_interrupted(done.ended_by.as_ref()),
            "warnings": done.warnings,
        });
        let results = std::mem::take(&mut done.results).into_values().flatten();
        Ok((results.collect(), more))
    }))
}

/// What this machine adds to times, with arguments as JSON.
pub(crate) fn calibrate(
    parts: &[Bound<'_, PyAny>],
    observer: Option<Arc<dyn Observer>>,
    interrupt: Interrupt,
) -> PyResult<Work> {
    let nothing = || PyRuntimeError::new_err("a calibration has one part");
    let arguments: String = parts.first().ok_or_else(nothing)?.extract()?;
    let own = serde_json::from_str(&arguments).map(Own);
    let own = own.map_err(refused("arguments"))?;
    let seconds = |name| match own.number(name) {
        Some(seconds) => time(name, seconds).map(Some),
        None => Ok(None),
    };
    let usual = LoadShape::default();
    let tokens = own.count("output_tokens").map(u32::try_from).transpose();
    let shape = LoadShape {
        clients: own
            .count("clients")
            .map_or(usual.clients, |clients| clients as usize),
        duration: seconds("duration")?.unwrap_or(usual.duration),
        ttft: seconds("ttft")?.unwrap_or(usual.ttft),
        itl: seconds("itl")?.unwrap_or(usual.itl),
        output_tokens: tokens
            .map_err(|reason| invalid(format!("output_tokens: {reason}")))?
            .unwrap_or(usual.output_tokens),
        stamps: match own.text("stamps") {
            Some("user") => StampSource::User,
            Some("packet") => StampSource::Packet,
            Some("auto") => StampSource::Auto,
            _ => StampSource::Kernel,
        },
    };
    Ok(Box::new(move || {
        let measured = calibration::calibrate(&shape, &interrupt, observer);
        if interrupt.is_stopped() {
            return Err(Error::Interrupted);
        }
        let measured = measured.map_err(|error| match error {
            CalibrationError::Run(error) => error,
            other => Error::refused("calibration", other),
        })?;
        let more = json!({ "stats": measured.stats(), "text": measured.to_string() });
        Ok((Vec::new(), more))
    }))
}
