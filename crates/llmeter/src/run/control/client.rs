//! Who asks a run in progress.

use std::io::ErrorKind;
use std::path::PathBuf;

use serde_json::Value;

use super::message::{ControlStatus, NewLoad, Request};
use crate::base::error::{Error, Result};
use crate::storage::{Location, Usable};

/// A run in progress, on this machine and of this user, whose load can be changed.
///
/// ```no_run
/// use llmeter::run::{NewLoad, RunControl};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let run = RunControl::of("runs/nightly")?;
/// let status = run.change(&NewLoad { rate: Some("40/s".parse()?), ..NewLoad::default() })?;
/// println!("{:?} after {} s", status.rate, status.elapsed);
/// run.stop()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct RunControl {
    shown: String,
    folder: PathBuf,
}

impl RunControl {
    /// The run that is written to a folder.
    ///
    /// # Errors
    /// When the folder is in the cloud, where a run has no socket.
    pub fn of(folder: impl Into<Location>) -> Result<Self> {
        let folder = folder.into();
        match folder.usable()? {
            Usable::Local(path) => Ok(Self {
                shown: folder.to_string(),
                folder: path.to_path_buf(),
            }),
            Usable::Cloud(_) => Err(Error::Control {
                path: folder.to_string(),
                reason: "a run whose folder is in the cloud listens nowhere; write it to a folder of this \
                         machine to control it"
                    .to_owned(),
            }),
        }
    }

    /// How the run goes on.
    ///
    /// # Errors
    /// When no run is in progress there, or it cannot be asked.
    pub fn status(&self) -> Result<ControlStatus> {
        self.ask(&Request::default())
    }

    /// Changes its load, from a moment on that [`ControlStatus::changes`] tells.
    ///
    /// # Errors
    /// As [`status`](Self::status); and when the run cannot be changed so: nothing is changed then.
    pub fn change(&self, load: &NewLoad) -> Result<ControlStatus> {
        self.ask(&Request {
            load: *load,
            is_stop: false,
        })
    }

    /// Has it send nothing more. It ends, and counts as complete, once what is in flight has ended.
    ///
    /// # Errors
    /// As [`status`](Self::status).
    pub fn stop(&self) -> Result<ControlStatus> {
        self.ask(&Request {
            is_stop: true,
            ..Request::default()
        })
    }

    /// Asks for what a JSON object says: `rate`, `clients`, `max_in_flight`, `stop`; nothing for its status.
    ///
    /// # Errors
    /// As [`change`](Self::change), and when it is no such object.
    #[doc(hidden)]
    pub fn ask_in_json(&self, request: &str) -> Result<ControlStatus> {
        let request = Request::of_json(request).map_err(|reason| self.failed(reason))?;
        self.ask(&request)
    }

    fn failed(&self, reason: impl Into<String>) -> Error {
        Error::Control {
            path: self.shown.clone(),
            reason: reason.into(),
        }
    }

    fn ask(&self, request: &Request) -> Result<ControlStatus> {
        let answer = super::ask(&self.folder, &request.to_json().to_string());
        let answer = answer.map_err(|reason| match reason.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                let is_there = self.folder.is_dir();
                let nothing = if is_there {
                    "no run is in progress there"
                } else {
                    "there is no such folder"
                };
                self.failed(nothing)
            }
            ErrorKind::PermissionDenied => self.failed("the run is another user's"),
            ErrorKind::Unsupported => self.failed("this system has no Unix sockets"),
            _ => self.failed(reason.to_string()),
        })?;
        let answer: Value = serde_json::from_str(&answer)
            .map_err(|reason| self.failed(format!("what it says makes no sense: {reason}")))?;
        if let Some(refused) = answer.get("error").and_then(Value::as_str) {
            return Err(self.failed(refused));
        }
        serde_json::from_value(answer)
            .map_err(|reason| self.failed(format!("what it says makes no sense: {reason}")))
    }
}
