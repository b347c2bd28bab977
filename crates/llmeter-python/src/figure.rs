//! Figures as Plotly's JSON.

use std::collections::BTreeMap;

use llmeter::experiment::LoadTestResult;
use llmeter::report::figure as drawing;
use llmeter::report::figure::{Figure, Series, Values};
use llmeter::{Error, RunResult};
use pyo3::prelude::*;
use serde_json::{Map, Value, json};

use crate::data::RunData;
use crate::error::{raised, refused};

/// A figure of some results.
#[pyfunction]
#[pyo3(signature = (name, results, arguments = "{}"))]
pub(crate) fn figure(
    py: Python<'_>,
    name: &str,
    results: Vec<PyRef<'_, RunData>>,
    arguments: &str,
) -> PyResult<String> {
    let arguments: Map<String, Value> = serde_json::from_str(arguments).map_err(refused(name))?;
    let results: Vec<RunResult> = results
        .iter()
        .map(|result| result.with(py, |result| result.clone()))
        .collect();
    let drawn = py.detach(|| draw(name, results, &Arguments(arguments)));
    drawn
        .map(|figure| figure.to_string())
        .map_err(|error| raised(&error))
}

/// The arguments of a figure, by name.
struct Arguments(Map<String, Value>);

impl Arguments {
    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    fn required(&self, name: &'static str) -> Result<&str, Error> {
        self.text(name).ok_or_else(|| Error::missing_field(name))
    }

    fn count(&self, name: &str, default: usize) -> usize {
        let count = self.0.get(name).and_then(Value::as_u64);
        count.map_or(default, |count| count as usize)
    }

    fn is_so(&self, name: &str, default: bool) -> bool {
        self.0.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    /// The names of the results: those that are given, or else each result's own.
    fn names(&self, results: &[RunResult]) -> Vec<String> {
        let given = self.0.get("names").and_then(Value::as_array);
        let given = |at: usize| given?.get(at)?.as_str();
        let own = |result: &RunResult| result.summary.run_name.clone();
        let named = results.iter().enumerate();
        named
            .map(|(at, result)| {
                let name = given(at).map(str::to_owned).or_else(|| own(result));
                name.unwrap_or_else(|| format!("run {}", at + 1))
            })
            .collect()
    }
}

const DEFAULT_BINS: usize = 20;

fn draw(name: &str, results: Vec<RunResult>, given: &Arguments) -> Result<Value, Error> {
    let names = given.names(&results);
    let series = || -> Vec<Series<'_>> {
        let named = names.iter().zip(&results);
        named
            .map(|(name, result)| Series::new(name, result))
            .collect()
    };
    let first = || {
        results
            .first()
            .ok_or_else(|| Error::missing_field("results"))
    };
    let bins = |axis| given.count(axis, DEFAULT_BINS);
    let of_values = |draw: fn(&[Values]) -> Figure| -> Result<Value, Error> {
        let metric = given.required("dimension")?;
        let values = series().into_iter();
        let values: Vec<_> = values.filter_map(|one| Values::of(one, metric)).collect();
        match values.is_empty() {
            true => Err(Error::field("dimension", metric, "one that has values")),
            false => Ok(draw(&values).into()),
        }
    };
    let drawn = match name {
        "load_test" => {
            let test = load_test(results, given);
            let figures = drawing::plot_load_test_results(&test, given.is_so("log_scale", true));
            let figures = figures.into_iter();
            return Ok(figures
                .map(|(key, figure)| (key.to_owned(), figure.into()))
                .collect::<Map<String, Value>>()
                .into());
        }
        "throughput_latency_curve" => {
            let test = load_test(results, given);
            drawing::throughput_latency_curve(&[&test])
        }
        "heatmap" => drawing::plot_heatmap(
            first()?,
            given.required("dimension")?,
            bins("n_bins_x"),
            bins("n_bins_y"),
            given.is_so("show_scatter", false),
        )?,
        "scatter_histogram_2d" => drawing::scatter_histogram_2d(
            first()?,
            given.required("x_dimension")?,
            given.required("y_dimension")?,
            bins("n_bins_x"),
            bins("n_bins_y"),
        )?,
        "histogram_by_dimension" => {
            let wanted = given.0.get("filter_value").unwrap_or(&Value::Null);
            let filter = given.text("filter_dimension").map(|field| (field, wanted));
            return drawing::histogram_by_dimension(first()?, given.required("dimension")?, filter);
        }
        "boxplot_by_dimension" => {
            let dimension = given.required("dimension")?;
            return drawing::boxplot_by_dimension(first()?, dimension, given.text("name"));
        }
        "scatter_by_dimension" => drawing::scatter_by_dimension(
            &series(),
            given.required("x_dimension")?,
            given.required("y_dimension")?,
        )?,
        "histogram" => return of_values(drawing::histogram),
        "ecdf" => return of_values(drawing::ecdf),
        "percentile_curve" => return of_values(drawing::percentile_curve),
        "timeline" => drawing::timeline(&series()),
        "failures_by_kind" => drawing::failures_by_kind(&series()),
        "waterfall" => drawing::waterfall(first()?),
        "color_sequences" => {
            let named = drawing::COLOR_SEQUENCES.iter();
            return Ok(named
                .map(|(name, colours)| ((*name).to_owned(), json!(colours)))
                .collect::<Map<String, Value>>()
                .into());
        }
        other => {
            let known = "load_test, throughput_latency_curve, heatmap, scatter_histogram_2d, \
                         histogram_by_dimension, boxplot_by_dimension, scatter_by_dimension, histogram, \
                         ecdf, percentile_curve, timeline, failures_by_kind, waterfall";
            return Err(Error::field("figure", other, format!("one of {known}")));
        }
    };
    Ok(drawn.into())
}

fn load_test(results: Vec<RunResult>, given: &Arguments) -> LoadTestResult {
    let by_clients = |result: RunResult| (result.summary.clients as usize, result);
    LoadTestResult {
        results: results
            .into_iter()
            .map(by_clients)
            .collect::<BTreeMap<_, _>>(),
        test_name: given.text("test_name").map(str::to_owned),
        ..LoadTestResult::default()
    }
}
