//! Exit codes. Scripts rely on them: never change one's meaning.

use std::process::ExitCode;

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
    eprintln!("error: {reason:#}");
    let is_usage = reason.chain().any(|cause| {
        cause.is::<UsageError>()
            || matches!(
                cause.downcast_ref(),
                Some(llmeter::Error::Invalid { .. } | llmeter::Error::Content { .. })
            )
            || matches!(
                cause.downcast_ref(),
                Some(llmeter_sim::SimError::Invalid { .. })
            )
    });
    if is_usage {
        Exit::BadUsage
    } else {
        Exit::CouldNotRun
    }
}

fn is_broken_pipe(reason: &anyhow::Error) -> bool {
    reason.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}
