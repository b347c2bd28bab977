//! The program `llmeter`.

use std::process::ExitCode;

fn main() -> ExitCode {
    llmeter_cli::run(std::env::args_os()).into()
}
