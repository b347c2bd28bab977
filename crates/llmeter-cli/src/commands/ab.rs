//! `llmeter ab`.

use anyhow::Result;
use llmeter::experiment::{AbComparison, AbEnd, AbResult, AbTest, AbVariant};
use llmeter::stats::{Answer, Figure};
use llmeter::{Interrupt, Load, report};
use serde_json::{Value, json};

use super::{failure, gate, measured, run};
use crate::args::AbArguments;
use crate::exit::{Exit, UsageError};
use crate::{output, progress, settings, signals};

/// Requests of each client in a block whose file does not say.
const BLOCK_REQUESTS: u64 = 10;

pub(crate) fn ab(arguments: &AbArguments) -> Result<Exit> {
    let metric = metric(&arguments.metric)?;
    let mut variants = Vec::new();
    let (mut quiet, mut json, mut strict) = (false, false, false);
    let (mut output, mut run_name, mut seed) = (None, None, 0);
    let mut max_cost: Option<f64> = None;
    let mut fail_if = Vec::new();
    for (at, file) in arguments.files().enumerate() {
        let of_run = arguments.of_run(file);
        let given = settings::with_file(&of_run.flags, of_run.config.as_deref())?;
        let settings = &given.settings;
        quiet |= settings.quiet == Some(true);
        json |= settings.json == Some(true);
        strict |= settings.strict == Some(true);
        fail_if.push(settings.fail_if.clone().unwrap_or_default());
        let Some(mut config) = run::plan(&of_run, &given)? else {
            return Ok(Exit::CouldNotRun);
        };
        if config.load == Load::EachPayloadOnce {
            config.load = Load::Requests(BLOCK_REQUESTS);
        }
        // What is the test's own is that of the first file, and the smallest limit of cost.
        if at == 0 {
            (output, run_name, seed) =
                (config.output.clone(), config.run_name.clone(), config.seed);
        }
        max_cost = match (max_cost, config.max_cost) {
            (Some(one), Some(other)) => Some(one.min(other)),
            (one, other) => one.or(other),
        };
        let about = config.run_description.take();
        config.run_description = about.or_else(|| Some(file.display().to_string()));
        variants.push(AbVariant {
            name: name(at),
            config,
        });
    }
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), quiet)?;
    let mut test = AbTest::new(variants, metric)
        .alpha(arguments.alpha)
        .margin(arguments.margin)
        .seed(seed)
        .max_rounds(arguments.max_rounds)
        .interrupted_by(interrupt.clone())
        .observe(move |round, variant| {
            progress::display(quiet, &format!("round {round}, {variant}"))
        });
    if let Some(output) = output {
        test = test.output(output, run_name);
    }
    if let Some(requests) = arguments.max_requests {
        test = test.max_requests(requests);
    }
    if let Some(duration) = arguments.max_duration {
        test = test.max_duration(duration);
    }
    if let Some(cost) = max_cost {
        test = test.max_cost(cost);
    }
    let Some(done) = measured(test.run_blocking(), &interrupt)? else {
        return Ok(Exit::Interrupted);
    };
    print(&done, json)?;
    super::say_saved(done.output_path.as_ref(), json)?;
    Ok(gate::over(
        exit_of(&done, strict),
        gate::of_ab(&fail_if, &done),
    ))
}

/// The key of the statistic that decides, by its long or short name.
fn metric(name: &str) -> Result<String, UsageError> {
    let refused = |reason: String| UsageError(format!("--metric {name}: {reason}"));
    let figure = Figure::named(name).map_err(|reason| refused(reason.to_string()))?;
    match figure.is_per_request() {
        true => Err(refused(format!("it needs a statistic, like {figure}-p50"))),
        false => Ok(figure.key()),
    }
}

/// `a`, `b`, …; beyond the alphabet by number.
fn name(at: usize) -> String {
    match u8::try_from(at) {
        Ok(at @ 0..26) => char::from(b'a' + at).to_string(),
        _ => format!("v{}", at + 1),
    }
}

/// The test as text or JSON.
pub(super) fn print(done: &AbResult, is_json: bool) -> Result<()> {
    for warning in &done.warnings {
        output::note(&format!("warning: {warning}"));
    }
    if is_json {
        let object = json!({
            "plan": done.plan,
            "rounds": done.rounds.len(),
            "variants": (0..done.plan.variants.len()).map(|at| variant(done, at)).collect::<Vec<_>>(),
            "comparisons": done.comparisons().iter().map(object).collect::<Vec<_>>(),
        });
        return output::json_text(&serde_json::to_string_pretty(&object)?);
    }
    output::text(&report::ab_within(done, output::width()))?;
    Ok(())
}

/// A variant, and what became of its SLOs, block by block.
fn variant(done: &AbResult, at: usize) -> Value {
    let blocks = done.blocks_of(at).map(|block| block.stats());
    let blocks: Vec<_> = blocks.collect();
    let all_met = |stats: &&llmeter::stats::Stats| stats.slos_met.iter().all(|(_, is_met)| *is_met);
    let has_slos = blocks.iter().any(|stats| !stats.slos_met.is_empty());
    let sum = |of: &dyn Fn(&llmeter::stats::Stats) -> u64| blocks.iter().map(of).sum::<u64>();
    json!({
        "variant": done.plan.variants[at].name,
        "blocks": blocks.len(),
        "requests": sum(&|stats| stats.total_requests.unwrap_or(0)),
        "failed_requests": sum(&|stats| stats.failed_requests),
        "goodput_rate": done.goodput_rate(at),
        "blocks_that_meet_slos": has_slos.then(|| blocks.iter().filter(all_met).count()),
    })
}

fn object(comparison: &AbComparison) -> Value {
    let analysis = comparison.analysis.as_ref();
    let answer = analysis.map(|analysis| match analysis.answer {
        Answer::Lower => "lower",
        Answer::Higher => "higher",
        Answer::NoDifference => "no_difference",
        Answer::Open => "open",
    });
    json!({
        "variant": comparison.variant,
        "answer": answer,
        "rounds": analysis.map(|analysis| analysis.differences),
        "looks": analysis.map(|analysis| analysis.looks),
        "first": comparison.means.map(|means| means.0),
        "this": comparison.means.map(|means| means.1),
        "difference": comparison.difference(),
        "interval": comparison.interval(),
    })
}

fn exit_of(done: &AbResult, strict: bool) -> Exit {
    let is_clean =
        |block: &llmeter::RunResult| block.stats().measurement_verdict.as_deref() == Some("clean");
    let is_all_failed = done.blocks().all(|block| {
        let stats = block.stats();
        stats.total_requests.unwrap_or(0) == stats.failed_requests
    });
    match done.plan.ended_by {
        Some(AbEnd::Interrupted) => Exit::Interrupted,
        Some(AbEnd::Unwritten) => Exit::NotSaved,
        _ if is_all_failed => {
            if let Some(block) = done.blocks().last() {
                output::note(&format!("error: {}", failure::all_failed(block, None)));
            }
            Exit::AllFailed
        }
        Some(AbEnd::Failed) => Exit::Stopped,
        _ if strict && !done.blocks().all(is_clean) => Exit::NotClean,
        _ => Exit::Done,
    }
}
