//! Exit codes. Scripts rely on them: never change one's meaning.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use llmeter::probe::{FailureContext, diagnose};
use llmeter::storage::files::FileProblem;
use llmeter::{Setting, SettingProblem};
use llmeter_sim::SimError;
use llmeter_sim::calibration::CalibrationError;

use crate::output;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// The work could not be carried out: nothing responds, a file cannot be written, ….
    CouldNotRun = 1,
    /// The command line or the configuration file is wrong.
    BadUsage = 2,
    /// Every request failed, and no limit of failures that the user set stopped the run.
    AllFailed = 3,
    /// With `--strict`: the measurement's verdict is not `clean`.
    NotClean = 4,
    /// A condition of `--fail-if` holds.
    GateFailed = 5,
    /// The run was stopped, since too many requests failed.
    Stopped = 6,
    /// Measured and printed, but not all files could be written.
    NotSaved = 7,
    /// Interrupted; what was measured is saved.
    Interrupted = 130,
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

/// Prints an error as one line, and what to do about it as another, and tells the exit code that goes
/// with it.
pub(crate) fn report(reason: &anyhow::Error) -> Exit {
    if is_broken_pipe(reason) {
        // Whoever reads our output has seen enough.
        return Exit::Done;
    }
    output::note(&format!("error: {}", message(reason)));
    let of_truth = |cause: &Cause| {
        let (field, _) = simulator(cause)?;
        (field == "truth").then(|| "--overwrite replaces it".to_owned())
    };
    let of_file = |cause: &Cause| {
        let problem = FileProblem::of(cause.downcast_ref()?)?;
        problem.hint().map(str::to_owned)
    };
    let hint = |cause: &Cause| match library(cause) {
        Some(error) => hint(error),
        None => of_truth(cause).or_else(|| of_file(cause)),
    };
    if let Some(hint) = reason.chain().find_map(hint) {
        output::note(&format!("hint: {}", Setting::rename_all(&hint, &flag)));
    }
    let is_usage = reason.chain().any(|cause| {
        cause.is::<UsageError>()
            || simulator(cause).is_some()
            || matches!(
                library(cause),
                Some(
                    llmeter::Error::Invalid { .. }
                        | llmeter::Error::Field { .. }
                        | llmeter::Error::Content { .. }
                        | llmeter::Error::Untrusted { .. }
                        | llmeter::Error::MissingParts { .. }
                )
            )
    });
    if is_usage {
        Exit::BadUsage
    } else {
        Exit::CouldNotRun
    }
}

/// What to do about an error.
fn hint(error: &llmeter::Error) -> Option<String> {
    match error {
        llmeter::Error::Unreachable { failure, .. } => {
            diagnose(&FailureContext::of(failure)).map(|diagnosis| diagnosis.remedy)
        }
        llmeter::Error::Untrusted { .. } => Some(
            "if that is where it should go: --trust-folder, or name the server with `base_url`, or list it \
             as one of the trusted-hosts in ~/.config/llmeter/config.toml"
                .to_owned(),
        ),
        llmeter::Error::MissingParts { .. } => {
            Some("--allow-missing merges what is there; the merged run names what is not".to_owned())
        }
        error => error.hint().map(str::to_owned),
    }
}

/// An error and its causes in one line; settings are named as the flags that set them.
fn message(reason: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in reason.chain() {
        let part = match (library(cause), simulator(cause)) {
            (Some(error), _) => named(error),
            (_, Some((field, rest))) => format!("{}{rest}", flags(field)),
            _ => cause.to_string(),
        };
        // Many errors quote their cause.
        if !text.contains(&part) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&part);
        }
        // The library's errors tell all that there is.
        if library(cause).is_some() {
            break;
        }
    }
    text.lines().map(str::trim).collect::<Vec<_>>().join(" ")
}

/// An error of the library with settings as flags, also in a reason of its own.
fn named(error: &llmeter::Error) -> String {
    let text = error.with_setting_names(&given_name);
    match error {
        llmeter::Error::Invalid {
            problem: SettingProblem::Refused { .. },
            ..
        }
        | llmeter::Error::Field {
            problem: SettingProblem::Refused { .. },
            ..
        } => Setting::rename_all(&text, &flag),
        llmeter::Error::Field { field, .. } => as_given(field, text),
        _ => text,
    }
}

/// A sentence about an argument of an experiment, which begins with its name, with the flag that was given.
fn as_given(field: &str, text: String) -> String {
    let flag = format!("--{}", field.replace(['_', ' '], "-"));
    let is_given = std::env::args_os().any(|argument| {
        let argument = argument.to_string_lossy();
        let rest = argument.strip_prefix(&flag);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    });
    match text.strip_prefix(field) {
        Some(rest) if is_given => format!("{flag}{rest}"),
        _ => text,
    }
}

type Cause = dyn std::error::Error + 'static;

/// The library's own error, calibration's included.
fn library(cause: &Cause) -> Option<&llmeter::Error> {
    match cause.downcast_ref() {
        Some(CalibrationError::Run(inner)) => Some(inner),
        _ => cause.downcast_ref(),
    }
}

/// A setting of the simulator that cannot be used, and what follows its name.
fn simulator(cause: &Cause) -> Option<(&'static str, String)> {
    let inner = match cause.downcast_ref() {
        Some(CalibrationError::Simulator(inner)) => Some(inner),
        _ => cause.downcast_ref(),
    };
    match inner {
        Some(SimError::Invalid {
            field,
            value,
            accepted,
        }) => Some((field, format!(" {value}: expected {accepted}"))),
        _ => None,
    }
}

/// How the command line calls a setting.
pub(crate) fn flag(setting: Setting) -> String {
    match setting {
        Setting::ApiKey => "--api-key-env".to_owned(),
        Setting::Callbacks => "--callback".to_owned(),
        Setting::AwsCredentials | Setting::Variable(_) => setting.to_string(),
        setting => flags(setting.name()),
    }
}

/// The configuration file, and the settings that it alone gives.
static FROM_FILE: OnceLock<(PathBuf, Vec<Setting>)> = OnceLock::new();

/// Has errors about these settings name the file that gives them.
pub(crate) fn note_file(path: &Path, settings: Vec<Setting>) {
    // A command reads one file.
    let _ = FROM_FILE.set((path.to_path_buf(), settings));
}

/// What an error calls a setting: the flag, or the file and its key where that gives it.
fn given_name(setting: Setting) -> String {
    match FROM_FILE.get() {
        Some((path, settings)) if settings.contains(&setting) => {
            let key = setting.name().replace('_', "-");
            format!("{}: {key}", path.display())
        }
        _ => flag(setting),
    }
}

/// `error_rate + stall_rate` as `--error-rate + --stall-rate`.
fn flags(names: &str) -> String {
    let names = names.split(" + ");
    let flags: Vec<_> = names
        .map(|name| format!("--{}", name.replace('_', "-")))
        .collect();
    flags.join(" + ")
}

pub(crate) fn is_broken_pipe(reason: &anyhow::Error) -> bool {
    reason.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
