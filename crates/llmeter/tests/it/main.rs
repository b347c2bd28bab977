//! The library from outside: files of the contract, endpoints, and whole runs over real sockets.
//!
//! One binary, because each one links the whole library. Data is in `tests/data` and `tests/golden`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that cannot go on fails"
)]
#![allow(
    clippy::duplicate_mod,
    reason = "the example of a callback includes that of an endpoint"
)]

mod ab;
#[cfg(feature = "aws")]
mod aws_endpoints;
mod cost_model;
mod damaged_folders;
mod deliveries;
mod earlier_version;
mod figures;
#[cfg(target_os = "linux")]
mod floods;
mod golden;
mod golden_results;
mod golden_vectors;
#[cfg(unix)]
mod heatmap;
mod http2;
#[cfg(unix)]
mod inside_a_runtime;
mod json_endpoints;
#[cfg(unix)]
mod killed_run;
#[cfg(unix)]
mod load_test;
mod merge;
mod mislabelled;
#[cfg(unix)]
mod network;
#[cfg(unix)]
mod odd_answers;
mod openai_chat;
mod openai_family;
mod own_callback;
#[cfg(unix)]
mod own_endpoint;
mod own_experiment;
mod payload;
#[cfg(feature = "aws")]
mod payload_builders;
mod python_interop;
#[cfg(unix)]
mod repeat;
#[cfg(feature = "parquet")]
mod request_tables;
mod runs;
mod schema;
#[cfg(unix)]
mod scripted;
mod sse;
#[cfg(unix)]
mod tls;
#[cfg(unix)]
mod token_counts;
#[cfg(unix)]
mod trust;
#[cfg(unix)]
mod wire_behaviour;
mod workloads;
