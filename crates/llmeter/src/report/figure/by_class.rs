//! Classes of workload side by side.

use serde_json::{Value, json};

use super::by_dimension::boxes;
use super::{Figure, Series, Values, plain_layout, seconds_axis, styled, text, thin, with};
use crate::stats::Metric;

/// A latency as a box for each class of workload, beside it what it was alone, where that was measured: a metric by
/// its key in `stats.json`. `None` if no class has values of it.
///
/// Boxes are as those of [`plot_load_test_results`](super::plot_load_test_results).
pub fn boxplot_by_class(
    classes: &[(Series<'_>, Option<Series<'_>>)],
    metric: &Metric,
) -> Option<Figure> {
    let mut data = Vec::new();
    let mut places = Vec::new();
    for (series, (together, alone)) in classes.iter().enumerate() {
        let name = text(together.name);
        let both = [
            (alone.as_ref(), format!("{name}, alone")),
            (Some(together), name.clone()),
        ];
        for (one, place) in both {
            let values = one.and_then(|one| Values::of(*one, metric.key));
            let Some(values) = values else {
                continue;
            };
            let mut trace = boxes(&place, vec![(0.0, values.drawn(thin::MAX_POINTS))]);
            let count = trace["x"].as_array().map_or(0, Vec::len);
            trace["x"] = vec![place.as_str(); count].into();
            trace["showlegend"] = false.into();
            data.push(styled(series, trace));
            places.push(place);
        }
    }
    if data.is_empty() {
        return None;
    }
    let what = metric.label;
    let x: Value = json!({"type": "category", "categoryorder": "array", "categoryarray": places});
    let y = with(seconds_axis(what), json!({"rangemode": "tozero"}));
    let title = format!("{what} by workload");
    Some(Figure::new(data, plain_layout(&title, x, y)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::RunSummary;
    use crate::{InvocationResponse, RunResult};

    fn run(times: &[f64]) -> RunResult {
        let response = |time: &f64| InvocationResponse {
            time_to_first_token: Some(*time),
            time_to_last_token: Some(*time),
            ..InvocationResponse::default()
        };
        RunResult::from_responses(RunSummary::default(), times.iter().map(response).collect())
    }

    #[test]
    fn each_class_has_a_box_and_one_for_what_it_was_alone() {
        let (chat, alone, batch) = (run(&[0.2, 0.4]), run(&[0.1]), run(&[1.0]));
        let classes = [
            (
                Series::new("chat", &chat),
                Some(Series::new("chat", &alone)),
            ),
            (Series::new("<b>", &batch), None),
        ];
        let ttft = Metric::named("time_to_first_token").unwrap();
        let figure = boxplot_by_class(&classes, ttft).unwrap();
        assert_eq!(
            figure.layout()["xaxis"]["categoryarray"],
            json!(["chat, alone", "chat", "&lt;b&gt;"])
        );
        let [alone, chat, batch] = figure.data() else {
            panic!("{figure:?}");
        };
        assert_eq!(alone["line"]["color"], chat["line"]["color"]);
        assert_ne!(alone["line"]["color"], batch["line"]["color"]);
        assert_eq!(chat["x"], json!(["chat", "chat"]));
        let tpot = Metric::named("time_per_output_token").unwrap();
        assert!(boxplot_by_class(&classes, tpot).is_none());
    }
}
