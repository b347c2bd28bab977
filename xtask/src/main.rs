//! Developer commands: `cargo xtask test | docs | layers | deny | fuzz | accuracy | coverage |
//! false-positives | capacity | queueing | throughput | memory | loading | merging | replaying | prompts |
//! pages | screenshots | python | wheel | python-peer`.

mod accuracy;
mod bare_client;
mod capacity;
mod coverage;
mod deny;
mod dial;
mod docs;
mod every_page;
mod false_positives;
mod fuzz;
mod layers;
mod loading;
mod memory;
mod merging;
mod pages;
mod processes;
mod prompts;
mod python_package;
mod python_peer;
mod queueing;
mod replaying;
mod screenshots;
mod source;
mod test;
mod throughput;

use clap::{Parser, Subcommand};

/// Developer commands.
#[derive(Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every test; those that drive Python get their packages installed under target/python
    Test(test::TestArguments),
    /// Check that imports only look down
    Layers,
    /// Write what is generated from the library's tables: docs/metrics.md and the JSON Schemas
    Docs(docs::DocsArguments),
    /// Check the licences and sources of what is depended on, by the rules of deny.toml
    Deny,
    /// Run the fuzz targets, one after the other
    Fuzz(fuzz::FuzzArguments),
    /// Compare the meter's figures with the simulator's truth log, level by level
    Accuracy(accuracy::AccuracyArguments),
    /// Simulate how often intervals cover the truth
    Coverage(coverage::CoverageArguments),
    /// Compare the meter's event rate on one core with that of a bare hyper client
    Throughput(throughput::ThroughputArguments),
    /// Measure what recorded requests cost in memory
    Memory(memory::MemoryArguments),
    /// Measure how long a run folder takes to load, beside the Python package
    Loading(loading::LoadingArguments),
    /// The loader of `loading`
    #[command(hide = true)]
    LoadFolder(loading::LoadFolderArguments),
    /// Count the wrong verdicts of comparisons of the simulator with itself, and those of a known shift
    FalsePositives(false_positives::FalsePositivesArguments),
    /// Search for capacities that are known, and count those that are found
    Capacity(capacity::CapacityArguments),
    /// Compare waiting times in queues of the simulator with queueing theory
    Queueing(queueing::QueueingArguments),
    /// Measure what it takes to merge the parts of a load
    Merging(merging::MergingArguments),
    /// Measure how long a report takes to make, to open in Chromium, and to pan
    Pages(pages::PagesArguments),
    /// Measure how close to their due times the requests of a trace arrive
    Replaying(replaying::ReplayingArguments),
    /// Measure what prompts that are made cost in memory, and whether they delay anything
    Prompts(prompts::PromptsArguments),
    /// Make the pictures that docs/reports.md shows
    Screenshots(screenshots::ScreenshotsArguments),
    /// Build the Python package's extension for tests, beside its sources
    Python,
    /// Make the Python package's wheel, check it, and try it in a fresh environment
    Wheel(python_package::WheelArguments),
    /// Measure the Python package beside the Python llmeter 0.2.0 and the command line
    PythonPeer(python_peer::PythonPeerArguments),
    /// The bare hyper client of `throughput`
    #[command(hide = true)]
    BareClient(bare_client::BareClientArguments),
    /// The meter's dialer by itself, for `accuracy`
    #[command(hide = true)]
    Dial(dial::DialArguments),
}

fn main() -> anyhow::Result<()> {
    match Arguments::parse().command {
        Command::Test(arguments) => test::test(&arguments),
        Command::Layers => layers::layers(),
        Command::Docs(arguments) => docs::docs(&arguments),
        Command::Deny => deny::deny(),
        Command::Fuzz(arguments) => fuzz::fuzz(&arguments),
        Command::Accuracy(arguments) => accuracy::accuracy(&arguments),
        Command::Coverage(arguments) => coverage::coverage(&arguments),
        Command::Throughput(arguments) => throughput::throughput(&arguments),
        Command::Memory(arguments) => memory::memory(&arguments),
        Command::Loading(arguments) => loading::loading(&arguments),
        Command::LoadFolder(arguments) => loading::load_folder(&arguments),
        Command::FalsePositives(arguments) => false_positives::false_positives(&arguments),
        Command::Capacity(arguments) => capacity::capacity(&arguments),
        Command::Queueing(arguments) => queueing::queueing(&arguments),
        Command::Merging(arguments) => merging::merging(&arguments),
        Command::Pages(arguments) => pages::pages(&arguments),
        Command::Replaying(arguments) => replaying::replaying(&arguments),
        Command::Prompts(arguments) => prompts::prompts(&arguments),
        Command::Screenshots(arguments) => screenshots::screenshots(&arguments),
        Command::Python => python_package::python(),
        Command::Wheel(arguments) => python_package::wheel(&arguments),
        Command::PythonPeer(arguments) => python_peer::python_peer(&arguments),
        Command::BareClient(arguments) => bare_client::bare_client(&arguments),
        Command::Dial(arguments) => dial::dial(&arguments),
    }
}
