//! One load against one endpoint, giving one result.
//!
//! Belongs here: the run's configuration, the workers that send and stamp, the recorder that decodes
//! and keeps, interruption, the record of the measurement's quality.
//! Does not belong here: sockets and clocks (`wire`), the order of sending (`load`), files
//! (`result`), figures (`stats`).
//!
//! ```text
//! Runner ─► plan ─► start ─────────────────────────────────► wait ─► conclude ─► RunResult
//!                     │                                        ▲
//!                     ├─► workers (threads): clients ─► Capture ─► Segment
//!                     │                                              │ queue
//!                     └─► collector ◄── responses ◄── decoders ◄─────┘
//! ```

mod admission;
mod after_invoke;
mod capture;
mod client;
mod conclude;
mod config;
mod decode;
mod gate;
mod interrupt;
mod plan;
mod prefetch;
mod prepare;
mod probe_run;
mod progress;
mod quality;
mod reach;
mod recorder;
mod replay;
mod retry;
mod runner;
mod saved;
mod saved_run;
mod session;
mod settings;
mod start;
mod unless;
mod wait;
mod warnings;
mod worker;

pub use config::{Connections, Load, RunConfig};
pub use interrupt::Interrupt;
pub(crate) use probe_run::ProbeRun;
pub use progress::{Observer, Progress};
pub use quality::{MeasurementQuality, Spread, Verdict};
#[doc(hidden)]
pub use replay::Replay;
pub use runner::Runner;
pub use saved_run::SavedRun;
pub use settings::{RunSettings, parse_time};
pub use start::run_name_from_clock;
