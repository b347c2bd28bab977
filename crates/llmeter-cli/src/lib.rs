//! The llmeter command line: arguments, progress display, exit codes. What it does is the
//! library's.

mod args;
mod cache;
mod callbacks;
mod commands;
mod examples;
mod exit;
#[cfg(feature = "mlflow")]
mod mlflow;
#[cfg(not(feature = "mlflow"))]
#[path = "no_mlflow.rs"]
mod mlflow;
mod output;
mod prices;
mod progress;
mod settings;
mod signals;
mod trust;

use std::ffi::OsString;

use exit::Exit;

/// Carries out a command line, the program's name included, and gives the exit code.
pub fn run(command_line: impl IntoIterator<Item = OsString>) -> u8 {
    carry_out(command_line) as u8
}

fn carry_out(command_line: impl IntoIterator<Item = OsString>) -> Exit {
    let arguments = match args::parse(command_line) {
        Ok(arguments) => arguments,
        Err(exit) => return exit,
    };
    output::start_log();
    if let Err(reason) = signals::outlive_file_limit() {
        return exit::report(&reason.into());
    }
    match commands::dispatch(arguments) {
        Ok(exit) => exit,
        Err(reason) => exit::report(&reason),
    }
}
