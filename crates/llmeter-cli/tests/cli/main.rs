//! The command line as a user meets it: the real binary against the simulator, or against a server
//! that answers by a script.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod ab;
mod any_api;
mod aws_credentials;
mod bad_usage;
mod calibrate;
mod callbacks;
mod conditions;
mod config_file;
mod control;
mod cost;
mod demo;
mod documents;
mod echoes;
mod extra_fields;
mod failing_servers;
mod foreign_texts;
#[cfg(target_os = "linux")]
mod full_disk;
mod golden_payloads;
mod heatmap;
mod help;
#[cfg(unix)]
mod interrupt;
mod list;
mod load_test;
mod measurement;
mod media;
mod mlflow;
mod payloads;
#[cfg(unix)]
mod prepared_files;
mod probe;
mod progress;
mod proxies;
mod repeat;
mod report;
mod report_files;
mod run;
mod s3_servers;
mod sagemaker_costs;
mod scripted;
mod secrets;
mod shell;
mod show;
#[cfg(unix)]
mod simulate;
mod snapshots;
mod steadiness;
mod support;
mod trust;
#[cfg(unix)]
mod view;
mod workloads;
