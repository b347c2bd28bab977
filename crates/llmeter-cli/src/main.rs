//! The llmeter command line: arguments, progress display, exit codes. What it does is the
//! library's.

mod args;
mod commands;
mod exit;
mod output;
mod progress;
mod settings;
mod signals;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    output::start_log();
    match commands::dispatch(arguments) {
        Ok(exit) => exit.into(),
        Err(reason) => exit::report(&reason).into(),
    }
}
