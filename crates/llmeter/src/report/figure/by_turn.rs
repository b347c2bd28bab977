//! The turns of conversations: what a history that grows costs.

use serde_json::{Value, json};

use super::{Figure, number_axis, numbers, plain_layout, seconds_axis, styled, text, with};
use crate::stats::{Metric, Percentile, Stats, Support};

/// Up to so many turns each has a tick.
const TICKS: usize = 16;

/// A line of a chart by turn: what it is called, the statistic, how it is drawn, and the percentile that a turn's
/// sample has to carry.
type Line = (&'static str, String, Value, Option<Percentile>);

/// A latency of each turn, its median and 90th percentile: a metric by its key in `stats.json`, such as
/// `time_to_first_token`, of one run or of several under names. Turns with too few values for a percentile have
/// none. The last one may stand for all later ones.
pub fn latency_by_turn(all: &[(&str, &Stats)], metric: &Metric) -> Figure {
    let line = |percentile: u8, dash: &str| -> Line {
        let key = format!("{}-p{percentile}", metric.key);
        let look = json!({"line": {"dash": dash, "width": 2}});
        let name = if percentile == 50 { "p50" } else { "p90" };
        (name, key, look, Percentile::whole(percentile))
    };
    let lines = [line(50, "solid"), line(90, "dot")];
    let y = with(seconds_axis(metric.label), json!({"rangemode": "tozero"}));
    by_turn(all, &format!("{} by turn", metric.label), y, &lines, false)
}

/// The tokens of each turn, on average: those of the input, those of them that the server had in its cache, and
/// those of the output.
pub fn tokens_by_turn(all: &[(&str, &Stats)]) -> Figure {
    let line = |name, which: &str, dash: &str| -> Line {
        let look = json!({"line": {"dash": dash, "width": 2}});
        (name, format!("num_tokens_{which}-average"), look, None)
    };
    let lines = [
        line("input", "input", "solid"),
        line("input, cached", "input_cached", "dash"),
        line("output", "output", "dot"),
    ];
    let y = with(
        number_axis("Tokens, average"),
        json!({"rangemode": "tozero"}),
    );
    by_turn(all, "Tokens by turn", y, &lines, all.len() == 1)
}

/// `has_colours`: each line has a colour of its own, and not each run.
fn by_turn(
    all: &[(&str, &Stats)],
    title: &str,
    y: Value,
    lines: &[Line],
    has_colours: bool,
) -> Figure {
    let mut data = Vec::new();
    let most = all.iter().map(|(_, stats)| stats.turns.len()).max();
    for (series, (name, stats)) in all.iter().enumerate() {
        for (place, (what, key, look, needed)) in lines.iter().enumerate() {
            let point = |turn: &Value| {
                let number = |key: &str| turn.get(key)?.as_f64();
                let count = number("total_requests")? - number("failed_requests").unwrap_or(0.0);
                let is_carried = needed
                    .is_none_or(|percentile| percentile.support(count as u64) != Support::None);
                let value = number(key).filter(|_| is_carried)?;
                Some((number("turn")?, value))
            };
            let (x, y): (Vec<f64>, Vec<f64>) = stats.turns.iter().filter_map(point).unzip();
            if x.is_empty() || y.iter().all(|value| *value == 0.0) {
                continue;
            }
            let called = match all.len() {
                1 => (*what).to_owned(),
                _ => format!("{}, {what}", text(name)),
            };
            let trace = json!({
                "type": "scatter", "mode": "lines+markers", "name": called, "x": numbers(x), "y": numbers(y),
                "marker": {"size": 6},
                "hovertemplate": format!("turn %{{x}}: %{{y}}<extra>{called}</extra>"),
            });
            let colour = if has_colours { place } else { series };
            data.push(styled(colour, with(trace, look.clone())));
        }
    }
    let mut x = number_axis("Turn");
    if most.is_some_and(|most| most <= TICKS) {
        x = with(x, json!({"tick0": 1, "dtick": 1}));
    }
    Figure::new(data, plain_layout(title, x, y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RunResult;
    use crate::result::RunSummary;

    fn stats(turns: Value) -> Stats {
        let mut result = RunResult::from_responses(RunSummary::default(), Vec::new());
        result.add_stats([("turns".to_owned(), turns)].into_iter().collect());
        result.stats()
    }

    #[test]
    fn a_turn_with_few_values_has_no_tail() {
        let turn = |turn: u32, requests: u32, failed: u32| {
            json!({
                "turn": turn, "total_requests": requests, "failed_requests": failed,
                "time_to_first_token-p50": 0.1 * f64::from(turn), "time_to_first_token-p90": 0.5,
                "num_tokens_input-average": 100 * turn, "num_tokens_input_cached-average": 0,
            })
        };
        let stats = stats(json!([turn(1, 200, 0), turn(2, 200, 0), turn(3, 200, 199)]));
        let ttft = Metric::named("time_to_first_token").unwrap();
        let figure = latency_by_turn(&[("one", &stats)], ttft);
        let of = |name: &str| {
            let mut traces = figure.data().iter();
            traces.find(|trace| trace["name"] == name).unwrap()["x"].clone()
        };
        assert_eq!(
            (of("p50"), of("p90")),
            (json!([1.0, 2.0]), json!([1.0, 2.0]))
        );
        // What no server told is no line of zeros.
        let tokens = tokens_by_turn(&[("one", &stats)]);
        let names: Vec<_> = tokens.data().iter().map(|trace| &trace["name"]).collect();
        assert_eq!(names, [&json!("input")]);
        // Several runs have their names.
        let both = tokens_by_turn(&[("one", &stats), ("<b>", &stats)]);
        assert_eq!(both.data()[1]["name"], "&lt;b&gt;, input");
        assert!(latency_by_turn(&[("none", &self::stats(json!([])))], ttft).is_empty());
    }
}
