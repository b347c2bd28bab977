//! `llmeter._core`: the Rust library as the Python package asks for it.
//!
//! Belongs here: Python objects as parts of a run, errors as exceptions, JSON in and out.
//! Does not belong here: anything that the library or the command line do themselves, and what Python says
//! better (`python/llmeter`). `python/llmeter/_core.pyi` describes every function.
//!
//! Python's lock is taken only where a Python object is asked or told something, and on no thread that
//! sends or reads.

mod analysis;
mod arrow;
mod callback;
mod control;
mod data;
mod disturbances;
mod ending;
mod endpoint;
mod error;
mod experiments;
mod figure;
mod folders;
mod hooks;
mod parts;
mod pool;
mod probe;
mod run;
mod simulator;
mod source;
mod tokenizer;

use std::ffi::OsString;

use pyo3::prelude::*;

/// Columns of texts that are printed.
const WIDTH: usize = 100;

#[pymodule]
mod _core {
    #[pymodule_export]
    use super::analysis::{check, compare, heatmap_bins, knee, report, summary_text};
    #[pymodule_export]
    use super::arrow::arrow_stream;
    #[pymodule_export]
    use super::control::control;
    #[pymodule_export]
    use super::data::{RunData, load_result, result_from_lines, stats};
    #[pymodule_export]
    use super::ending::finish;
    #[pymodule_export]
    use super::figure::figure;
    #[pymodule_export]
    use super::folders::{Baselines, list_runs, merge};
    #[pymodule_export]
    use super::hooks::Reply;
    #[pymodule_export]
    use super::probe::{invoke, probe};
    #[pymodule_export]
    use super::run::{RunHandle, start};
    #[pymodule_export]
    use super::simulator::{Simulator, simulate};
    #[pymodule_export]
    use super::source::{data_payloads, describe_data};
    #[pymodule_export]
    use super::tokenizer::count;
    #[pymodule_export]
    use super::{cli, response_fields, setting_names, version};
}

/// The version of the core.
#[pyfunction]
fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// Carries out a command line without the program's name; gives its exit code.
#[pyfunction]
fn cli(py: Python<'_>, argv: Vec<OsString>) -> u8 {
    let line = std::iter::once(OsString::from("llmeter")).chain(argv);
    py.detach(|| llmeter_cli::run(line))
}

/// The settings that a run has, as configuration files spell them.
#[pyfunction]
fn setting_names() -> Vec<&'static str> {
    llmeter::Setting::ALL
        .iter()
        .map(|setting| setting.name())
        .collect()
}

/// The fields that a response can have, in the order of a line of `responses.jsonl`.
#[pyfunction]
fn response_fields() -> Vec<&'static str> {
    llmeter::InvocationResponse::FIELDS
        .iter()
        .map(|field| field.key)
        .collect()
}
