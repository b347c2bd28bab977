//! `llmeter demo`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use llmeter::experiment::{LoadTest, TestEnd};
use llmeter::payload::Payload;
use llmeter::result::RunFolder;
use llmeter::{Interrupt, OpenAiChat, RunConfig, report};
use llmeter_sim::{SimConfig, Simulator};

use crate::args::DemoArguments;
use crate::exit::Exit;
use crate::{output, progress, signals};

/// Client counts that the demo walks through.
const CONCURRENCY_LEVELS: [usize; 4] = [1, 4, 16, 64];
/// Requests that the simulated server works on at a time; beyond them it queues.
const SERVER_SLOTS: usize = 32;
const SENDING_TIME: Duration = Duration::from_secs(4);

pub(crate) fn demo(arguments: &DemoArguments) -> Result<Exit> {
    let simulator = Simulator::start(SimConfig {
        ttft: Duration::from_millis(120),
        itl: Duration::from_millis(12),
        output_tokens: 48,
        jitter: 0.3,
        reasoning_tokens: 0,
        prefill_rate: Some(2_000.0),
        max_concurrency: Some(SERVER_SLOTS),
        ..SimConfig::default()
    })?;
    let endpoint = OpenAiChat::builder(simulator.base_url(), "simulated-model")
        .endpoint_name("built-in simulator")
        .provider("llmeter")
        .build()?;
    let payloads = [
        "Tell me a story about a lighthouse.",
        "Summarize the rules of chess for a child, then for a lawyer.",
        "Write a haiku.",
    ]
    .into_iter()
    .map(|text| OpenAiChat::create_payload(text, 48, Payload::new()))
    .collect::<Result<Vec<_>, _>>()?;
    let interrupt = Interrupt::new();
    signals::stop_on_signals(interrupt.clone(), arguments.quiet)?;
    output::text(&format!(
        "A simulated server with {SERVER_SLOTS} slots for requests, \
         under {} loads of {} s each.\n\n",
        CONCURRENCY_LEVELS.len(),
        SENDING_TIME.as_secs(),
    ))?;

    arguments.output.check(llmeter::Setting::Output)?;
    let name = format!("demo-{}", llmeter::default_run_name());
    let session = RunFolder::create_group(&arguments.output, &name)?;
    let mut base = RunConfig::new(Arc::new(endpoint), payloads).output(&arguments.output);
    base.run_name = session.file_name();
    base.run_description = Some("llmeter demo".to_owned());
    let quiet = arguments.quiet;
    let test = LoadTest::new(base, CONCURRENCY_LEVELS)
        .duration(SENDING_TIME)
        .interrupted_by(interrupt)
        .observe(move |clients| progress::display(quiet, &format!("{clients:>3} clients")))
        .run_blocking()?;
    output::text(&report::load_test_within(&test, output::width()))?;
    if let Some(last) = test.results.values().next_back() {
        output::text(&format!(
            "\n{}",
            report::summary_with(last, output::width(), &crate::exit::flag)
        ))?;
    }
    output::text(&format!(
        "\nEach concurrency level has its own run folder in {session}; `llmeter show {session}` prints the table again.\n\
         Next:\n  llmeter run --base-url URL --model ID --prompt TEXT --clients 8 --requests 10\n"
    ))?;
    simulator.stop()?;
    Ok(match test.ended_by {
        Some(TestEnd::Interrupted) => Exit::Interrupted,
        Some(TestEnd::Unwritten(_)) => Exit::NotSaved,
        _ => Exit::Done,
    })
}
