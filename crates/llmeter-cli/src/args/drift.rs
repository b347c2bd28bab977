//! The flags of `drift`.

use std::path::PathBuf;

use clap::Args;

use super::run::EachRunArguments;
use super::{Flags, OfDrift, RunArguments};
use crate::examples::DRIFT_EXAMPLES;

/// The flags of `drift`: settings of its runs.
#[derive(Debug, Args)]
#[command(after_long_help = DRIFT_EXAMPLES)]
pub(crate) struct DriftArguments {
    /// Read settings from a TOML file; flags win over it
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags<OfDrift>,
    #[command(flatten)]
    each_run: EachRunArguments,
}

impl DriftArguments {
    /// Its runs, as the flags of one.
    pub(crate) fn of_run(&self) -> RunArguments {
        self.each_run
            .of_run(self.config.clone(), self.flags.settings.clone())
    }
}
