//! Charts of one run.
//!
//! Belongs here: what is drawn, as figures of Plotly (JSON, which any of its libraries shows) and
//! as a page of its own.
//! Does not belong here: statistics (`stats`), text (`summary`).

mod distribution;
mod page;

use serde_json::{Value, json};

use self::distribution::Distribution;
use crate::RunResult;
use crate::base::shown::{SHOWN, one_line};

/// The distributions of TTFT, TPOT and TTLT as a figure of Plotly: for each a histogram and the
/// share of requests that were at most so slow. `None` if the result holds no latencies, as after
/// a run in low memory.
///
/// `plotly.io.from_json` in Python and `Plotly.newPlot` in JavaScript take it.
pub fn latency_figure(result: &RunResult) -> Option<Value> {
    let distributions = Distribution::of_latencies(result);
    if distributions.is_empty() {
        return None;
    }
    let rows = distributions.len();
    let mut data = Vec::new();
    let mut layout = json!({
        "title": {"text": title(result)},
        "showlegend": false,
        "bargap": 0,
        "height": 300 * rows,
        "template": {"layout": {"colorway": [page::COLOUR]}},
    });
    for (row, one) in distributions.iter().enumerate() {
        // Plotly calls the first axis "x", the second "x2".
        let axis = |place: usize| match place {
            0 => String::new(),
            place => (place + 1).to_string(),
        };
        let (left, right) = (axis(2 * row), axis(2 * row + 1));
        let top = 1.0 - row as f64 / rows as f64;
        let domain = [top - 0.7 / rows as f64, top - 0.05 / rows as f64];
        let name = one.name;
        let unit = one.unit.name;
        data.push(json!({
            "type": "bar", "name": format!("{name}, requests"),
            "xaxis": format!("x{left}"), "yaxis": format!("y{left}"),
            "x": one.bins.iter().map(|bin| (bin.from + bin.to) / 2.0).collect::<Vec<_>>(),
            "width": one.bins.iter().map(|bin| bin.to - bin.from).collect::<Vec<_>>(),
            "y": one.bins.iter().map(|bin| bin.count).collect::<Vec<_>>(),
        }));
        data.push(json!({
            "type": "scatter", "mode": "lines", "name": format!("{name}, share at most"),
            "line": {"shape": "hv"},
            "xaxis": format!("x{right}"), "yaxis": format!("y{right}"),
            "x": one.cumulative.iter().map(|point| point.0).collect::<Vec<_>>(),
            "y": one.cumulative.iter().map(|point| point.1).collect::<Vec<_>>(),
        }));
        for (place, across, y_title) in [
            (&left, [0.0, 0.46], "requests"),
            (&right, [0.54, 1.0], "share of requests"),
        ] {
            layout[format!("xaxis{place}")] = json!({
                "domain": across, "anchor": format!("y{place}"),
                "title": {"text": format!("{name} ({unit})")},
            });
            layout[format!("yaxis{place}")] = json!({
                "domain": domain, "anchor": format!("x{place}"),
                "title": {"text": y_title}, "rangemode": "tozero",
            });
        }
    }
    Some(json!({"data": data, "layout": layout}))
}

/// [`latency_figure`] as an HTML page that needs nothing else: no script, no network.
pub fn latency_page(result: &RunResult) -> Option<String> {
    let distributions = Distribution::of_latencies(result);
    (!distributions.is_empty()).then(|| page::page(&title(result), result, &distributions))
}

fn title(result: &RunResult) -> String {
    let summary = &result.summary;
    let name = summary.run_name.as_deref().unwrap_or("run");
    let title = match summary.model_id.as_deref() {
        Some(model) => format!("{name}: {model}"),
        None => name.to_owned(),
    };
    one_line(&title, SHOWN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::InvocationResponse;
    use crate::result::RunSummary;
    use crate::{Failure, FailureKind};

    fn result(times: &[f64]) -> RunResult {
        let summary = RunSummary {
            run_name: Some("<b>run & all</b>".into()),
            total_requests: Some(times.len() as u64 + 1),
            total_test_time: Some(1.0),
            ..RunSummary::default()
        };
        let mut responses: Vec<_> = times
            .iter()
            .map(|&time| InvocationResponse {
                time_to_first_token: Some(time / 4.0),
                time_to_last_token: Some(time),
                ..InvocationResponse::default()
            })
            .collect();
        responses.push(InvocationResponse {
            time_to_last_token: Some(1e9),
            error: Some(Failure::new(FailureKind::Truncated, "cut")),
            ..InvocationResponse::default()
        });
        RunResult::from_responses(summary, responses)
    }

    #[test]
    fn every_success_is_in_the_figure_once() {
        let times: Vec<_> = (1..=5000).map(|n| f64::from(n) / 1000.0).collect();
        let figure = latency_figure(&result(&times)).unwrap();
        let data = figure["data"].as_array().unwrap();
        assert_eq!(data.len(), 4, "a histogram and a curve for TTFT and TTLT");
        for histogram in data.iter().filter(|trace| trace["type"] == "bar") {
            let counts = histogram["y"].as_array().unwrap();
            let total: u64 = counts.iter().filter_map(Value::as_u64).sum();
            assert_eq!(total, 5000);
        }
        let curve = &data[3];
        let [x, y] = ["x", "y"].map(|key| curve[key].as_array().unwrap());
        assert_eq!((x.len(), y.len()), (1001, 1001));
        let ends = (
            x[0].as_f64(),
            x.last().unwrap().as_f64(),
            y.last().unwrap().as_f64(),
        );
        assert_eq!(ends, (Some(0.001), Some(5.0), Some(1.0)));
        assert_eq!(curve["xaxis"], "x4");
        assert!(figure["layout"]["xaxis4"]["title"]["text"] == "TTLT (s)");
    }

    #[test]
    fn odd_results_have_pages_and_none_has_none() {
        for times in [&[0.5][..], &[0.0], &[2e-6, 2e-6], &[1e-9, 1e6]] {
            let page = latency_page(&result(times)).unwrap();
            assert!(page.contains("&lt;b&gt;run &amp; all"), "{page}");
            assert!(!page.contains("NaN") && !page.contains("inf"), "{page}");
            assert!(
                !page.contains("<script") && !page.contains("http"),
                "{page}"
            );
        }
        assert_eq!(latency_page(&result(&[])), None);
        assert_eq!(latency_figure(&result(&[])), None);
    }
}
