//! The llmeter command line: arguments, progress display, exit codes. What it does is the
//! library's.

mod args;
mod cache;
mod callbacks;
mod commands;
mod examples;
mod exit;
mod output;
mod prices;
mod progress;
mod settings;
mod signals;
mod trust;

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match args::parse() {
        Ok(arguments) => arguments,
        Err(exit) => return exit.into(),
    };
    output::start_log();
    if let Err(reason) = signals::outlive_file_limit() {
        return exit::report(&reason.into()).into();
    }
    match commands::dispatch(arguments) {
        Ok(exit) => exit.into(),
        Err(reason) => exit::report(&reason).into(),
    }
}
