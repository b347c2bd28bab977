//! One load against one endpoint, giving one result.
//!
//! Belongs here: the run's configuration, its stages, the workers that send and stamp, the recorder
//! that decodes and keeps, interruption, the record of the measurement's quality.
//! Does not belong here: sockets and clocks (the wire), what is sent when (`load`), files
//! (`result`), figures (`stats`).
//!
//! ```text
//! Runner: plan ──► start ──────────────────────────────► wait ──► conclude ──► RunResult
//!                    │                                     ▲
//!                    ├─► worker: dispatch ─► session ─► client ─► capture
//!                    │             ▲ sessions  ▲ requests             │ segments
//!                    │       load::Schedule  prefetch                 ▼
//!                    └─► recorder: collector ◄── after_invoke ◄── decoder
//! ```
//!
//! | what | where |
//! | --- | --- |
//! | settings, saved forms | `config`, `settings`, `saved`, `saved_run` |
//! | the stages of a run | `runner`: `plan` (with `reach`, `server_call`), `start`, `wait`, `conclude` (with `warnings`) |
//! | a worker's thread | `worker`, `dispatch` (with `alarm`), `session` (with `conversation`), `client`, `pool`, `capture` |
//! | what its sessions share | `shared`: `gate`, `offered` (the load of an open loop), `admission` (limit of cost), `retry`, `pacing`, `failure_limit`, `cancel`, `silence`, `interrupt`, `control` (changes in mid-run) |
//! | requests | `route` (to each server), `prepare`, `prefetch`, `ahead` (of data) |
//! | the recorder's threads | `recorder`, `restamp`, `decode`, `after_invoke`, `quality`, `stalls`, `stages`, `servers`, `turns`, `progress` |
//! | without a load | `single` (one request), `replay` (no server) |

mod admission;
mod after_invoke;
mod ahead;
mod alarm;
mod backlog;
mod cancel;
mod capture;
mod client;
mod conclude;
mod config;
mod control;
mod conversation;
mod decode;
mod dispatch;
mod failure_limit;
mod gate;
mod interrupt;
mod offered;
mod outline;
mod pacing;
mod plan;
mod pool;
mod prefetch;
mod prepare;
mod progress;
mod quality;
mod rate_limits;
mod reach;
mod recorder;
mod replay;
mod restamp;
mod retry;
mod route;
mod runner;
mod saved;
mod saved_run;
mod server_call;
mod servers;
mod session;
mod settings;
mod shared;
mod silence;
mod single;
mod stages;
mod stalls;
mod start;
mod turns;
mod until;
mod wait;
mod warmup;
mod warnings;
mod watch;
mod worker;

pub use config::{Connections, RunConfig, Warmup};
pub use control::{ControlChange, ControlStatus, NewLoad, RunControl, RunPhase};
pub use interrupt::Interrupt;
pub use outline::RunOutline;
pub use progress::{Observer, Progress};
#[doc(hidden)]
pub use replay::Replay;
pub use runner::Runner;
pub(crate) use runner::run_together;
pub use saved::Unsaved;
pub(crate) use saved::{RUN_ID, SavedFiles, differences, differences_among};
pub use saved_run::SavedRun;
pub use server_call::ServerCall;
pub(crate) use servers::ServerTally;
pub use settings::{RunSettings, parse_time};
pub(crate) use shared::ConnectionWatch;
pub(crate) use single::SingleRequest;
pub(crate) use stages::{OF_WHOLE_RUNS, StageTally};
pub(crate) use stalls::StallTally;
pub use start::default_run_name;
pub(crate) use turns::TurnTally;
pub(crate) use warnings::wrong_label;
#[doc(hidden)]
pub use watch::ResponseWatch;
