//! The flags of `run`.

use std::path::PathBuf;

use clap::Args;
use llmeter::RunSettings;
use llmeter::storage::Location;

use super::{Flags, OfRun, TrustArguments};
use crate::examples::RUN_EXAMPLES;

/// The flags of `run`: settings, which are the keys of a `--config` file, too, and what is about
/// where they come from.
#[derive(Debug, Args)]
#[command(after_long_help = RUN_EXAMPLES)]
pub(crate) struct RunArguments {
    /// Read settings from a TOML file; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Repeat the run of this folder, callbacks included; flags win over what it says
    ///
    /// Secrets are in no file: the key comes from the environment, and headers are given again.
    #[arg(long, value_name = "DIR")]
    pub(crate) from: Option<Location>,
    #[command(flatten)]
    pub(crate) flags: Flags<OfRun>,
    #[command(flatten)]
    pub(crate) trust: TrustArguments,
    /// Hook a saved callback into the run (repeatable, called in this order)
    ///
    /// `llmeter callbacks` lists the types. With --from these stand in place of the saved run's.
    #[arg(
        long = "callback",
        value_name = "FILE.json",
        help_heading = "Callbacks"
    )]
    pub(crate) callback_files: Vec<Location>,
    /// With --from: run without the saved run's callbacks
    #[arg(long, requires = "from", help_heading = "Callbacks")]
    pub(crate) no_callbacks: bool,
    /// Repeat the run so often, and tell how figures differ between repeats
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..),
        conflicts_with = "calibrate",
        help_heading = "Load"
    )]
    pub(crate) repeat: Option<u32>,
    /// With [[workload]] tables: run each class alone first, and tell what the others do to it
    #[arg(long, help_heading = "Load")]
    pub(crate) alone: bool,
    /// Print what would be sent and when; send nothing
    #[arg(long, conflicts_with_all = ["repeat", "calibrate", "view"], help_heading = "Output")]
    pub(crate) dry_run: bool,
    /// Show the run in a browser while it goes on, and all others in its folder; Ctrl-C ends that
    ///
    /// The address is printed when the run begins. What draws the page yields to the measurement.
    #[arg(long, conflicts_with = "repeat", help_heading = "Output")]
    pub(crate) view: bool,
    /// With --view: open the page in a browser
    #[arg(long, requires = "view", help_heading = "Output")]
    pub(crate) open: bool,
}

/// What is hooked into each run of an experiment, and who is trusted with secrets for it.
#[derive(Debug, Args)]
pub(crate) struct EachRunArguments {
    #[command(flatten)]
    trust: TrustArguments,
    /// Hook a saved callback into each run (repeatable, called in this order)
    #[arg(
        long = "callback",
        value_name = "FILE.json",
        help_heading = "Callbacks"
    )]
    callback_files: Vec<Location>,
}

impl EachRunArguments {
    /// A run of the experiment, as the flags of one.
    pub(super) fn of_run(&self, config: Option<PathBuf>, settings: RunSettings) -> RunArguments {
        RunArguments {
            config,
            from: None,
            flags: Flags::<OfRun>::from(settings),
            trust: self.trust,
            callback_files: self.callback_files.clone(),
            no_callbacks: false,
            repeat: None,
            alone: false,
            dry_run: false,
            view: false,
            open: false,
        }
    }
}
