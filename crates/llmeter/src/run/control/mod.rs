//! Changing the load of a run in progress.
//!
//! The run listens at a Unix socket in its folder ([`socket`]); [`RunControl`] is who asks ([`client`]). What
//! was asked for is carried out by [`Controlled`], which workers read: nothing of it is on their way but one
//! atomic read for each arrival or turn.

mod answer;
mod client;
mod controlled;
mod message;
#[cfg(not(unix))]
mod portable;
#[cfg(unix)]
mod socket;

pub use client::RunControl;
pub(crate) use controlled::{ClientPart, Controlled, LiveLoad, Next};
pub use message::{ControlChange, ControlStatus, NewLoad, RunPhase};
#[cfg(not(unix))]
pub(crate) use portable::{ControlSocket, ask};
#[cfg(unix)]
pub(crate) use socket::{ControlSocket, ask};

/// Where `llmeter.json` has the changes of a load.
pub(crate) const CHANGES_KEY: &str = "control_changes";
/// The socket's name in the run's folder.
pub(crate) const SOCKET_FILE: &str = "control.sock";
