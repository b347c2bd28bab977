//! Exit codes. Scripts rely on them: never change one's meaning.

use std::process::ExitCode;

use llmeter_sim::SimError;
use llmeter_sim::calibration::CalibrationError;

use crate::output;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// The work could not be carried out: nobody answers, a file cannot be written, ….
    CouldNotRun = 1,
    /// The command line or the configuration file is wrong.
    BadUsage = 2,
    /// Every request failed.
    AllFailed = 3,
    /// With `--strict`: the measurement's verdict is not `clean`.
    NotClean = 4,
    /// Interrupted; what was measured is saved.
    Interrupted = 130,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// A mistake of the user's: exit code 2.
#[derive(Debug)]
pub(crate) struct UsageError(pub(crate) String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

/// Prints an error as one line and tells the exit code that goes with it.
pub(crate) fn report(reason: &anyhow::Error) -> Exit {
    if is_broken_pipe(reason) {
        // Whoever reads our output has seen enough.
        return Exit::Done;
    }
    output::note(&format!("error: {}", message(reason)));
    let is_usage = reason.chain().any(|cause| {
        cause.is::<UsageError>()
            || matches!(
                cause.downcast_ref(),
                Some(llmeter::Error::Invalid { .. } | llmeter::Error::Content { .. })
            )
            || matches!(cause.downcast_ref(), Some(SimError::Invalid { .. }))
            || matches!(
                cause.downcast_ref(),
                Some(
                    CalibrationError::Run(llmeter::Error::Invalid { .. })
                        | CalibrationError::Simulator(SimError::Invalid { .. })
                )
            )
    });
    if is_usage {
        Exit::BadUsage
    } else {
        Exit::CouldNotRun
    }
}

/// An error and its causes in one line; settings are named as the flags that set them.
fn message(reason: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in reason.chain() {
        let part = match setting(cause) {
            Some((field, rest)) => format!("{}: {rest}", flag(field)),
            None => cause.to_string(),
        };
        // Many errors quote their cause.
        if text.contains(&part) {
            continue;
        }
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&part);
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// The setting that an error is about, and what is wrong with it.
fn setting(cause: &(dyn std::error::Error + 'static)) -> Option<(&'static str, String)> {
    if let Some(CalibrationError::Run(inner)) = cause.downcast_ref() {
        return setting(inner);
    }
    if let Some(CalibrationError::Simulator(inner)) = cause.downcast_ref() {
        return setting(inner);
    }
    match (cause.downcast_ref(), cause.downcast_ref()) {
        (
            Some(llmeter::Error::Invalid {
                field,
                value,
                expected,
            }),
            _,
        ) => Some((field, format!("{value} is not usable: {expected}"))),
        (
            _,
            Some(SimError::Invalid {
                field,
                value,
                accepted,
            }),
        ) => Some((field, format!("{value} is not usable: must be {accepted}"))),
        _ => None,
    }
}

/// `error_rate + stall_rate` as the command line writes it: `--error-rate + --stall-rate`.
fn flag(field: &str) -> String {
    field
        .split(" + ")
        .map(|name| match name {
            "location" => "the location".to_owned(),
            "api_key" => "the API key (--api-key-env)".to_owned(),
            "credentials" => "AWS credentials".to_owned(),
            "tracking_uri" => "--mlflow".to_owned(),
            name if is_variable(name) => format!("the variable {name}"),
            name => format!("--{}", name.replace('_', "-")),
        })
        .collect::<Vec<_>>()
        .join(" + ")
}

/// Whether a setting is one of the environment: AWS_ACCESS_KEY_ID, https_proxy.
fn is_variable(name: &str) -> bool {
    name.ends_with("_proxy") || !name.contains(|letter: char| letter.is_ascii_lowercase())
}

fn is_broken_pipe(reason: &anyhow::Error) -> bool {
    reason.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
