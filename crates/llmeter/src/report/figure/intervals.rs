//! What differs, with intervals: comparisons, tests by blocks, repeats.

use serde_json::{Value, json};

use super::{Figure, PALETTE, numbers, plain_layout, styled, text, with};
use crate::experiment::{AbResult, Outcome, Pair, RepeatResult};
use crate::report::figure::colours::QUIET;
use crate::report::{ab, comparison, repeat};

/// Outcomes with their colours and symbols.
const OUTCOMES: [(Outcome, &str, &str); 4] = [
    (Outcome::Better, PALETTE[2].0, "triangle-up"),
    (Outcome::Worse, PALETTE[1].0, "x"),
    (Outcome::NoDifference, QUIET.0, "circle"),
    (Outcome::NotEnoughData, QUIET.0, "circle-open"),
];

/// The changes of one run against another with their 95 % intervals, by what they say: shares of the base,
/// of figures that are shares themselves the difference in points.
pub fn comparison_intervals(pair: &Pair) -> Figure {
    let shown: Vec<_> = comparison::shown(pair)
        .filter_map(|one| {
            let (change, interval) = match one.figure.is_share() {
                true => (one.difference?, one.difference_interval),
                false => (one.change?, one.change_interval),
            };
            let unit = if one.figure.is_share() {
                " (points)"
            } else {
                ""
            };
            Some((
                text(&comparison::named(one)) + unit,
                one.outcome?,
                change,
                interval,
            ))
        })
        .collect();
    let mut data = Vec::new();
    for (outcome, colour, symbol) in OUTCOMES {
        let of = || shown.iter().filter(move |(_, of, ..)| *of == outcome);
        if of().next().is_none() {
            continue;
        }
        let bars = |end: fn((f64, f64), f64) -> f64| -> Value {
            of().map(|(.., change, interval)| interval.map(|ends| 100.0 * end(ends, *change)))
                .collect()
        };
        data.push(json!({
            "type": "scatter", "mode": "markers", "name": outcome.as_str(),
            "x": numbers(of().map(|(.., change, _)| 100.0 * change)),
            "y": of().map(|(name, ..)| name.as_str()).collect::<Vec<_>>(),
            "marker": {"color": colour, "symbol": symbol, "size": 9},
            "error_x": {
                "type": "data", "symmetric": false, "array": bars(|ends, at| ends.1 - at),
                "arrayminus": bars(|ends, at| at - ends.0), "color": colour, "thickness": 1.5, "width": 4,
            },
            "hovertemplate": format!("%{{y}}: %{{x:+.2f}} %<extra>{}</extra>", outcome.as_str()),
        }));
    }
    let names: Vec<&str> = shown.iter().map(|(name, ..)| name.as_str()).collect();
    forest("Changes with 95 % intervals", "Change (%)", data, &names)
}

/// The differences of the variants of a test by blocks from the first, with intervals that hold at every look
/// together.
pub fn ab_intervals(test: &AbResult) -> Figure {
    let metrics = ab::metrics(test);
    let mut data = Vec::new();
    let names: Vec<String> = metrics
        .iter()
        .map(|(metric, _)| text(&ab::label(metric)))
        .collect();
    for (at, variant) in test.plan.variants.iter().enumerate().skip(1) {
        let of: Vec<_> = metrics
            .iter()
            .zip(&names)
            .filter_map(|((_, compared), name)| {
                let one = compared.get(at - 1)?;
                Some((name, 100.0 * one.difference()?, one.interval()))
            })
            .collect();
        let bars = |end: fn((f64, f64), f64) -> f64| -> Value {
            let bar = |(_, change, interval): &(&String, f64, Option<(f64, f64)>)| {
                interval.map(|(low, high)| end((100.0 * low, 100.0 * high), *change))
            };
            of.iter().map(bar).collect()
        };
        data.push(styled(
            at - 1,
            json!({
                "type": "scatter", "mode": "markers", "name": text(&variant.name),
                "x": numbers(of.iter().map(|one| one.1)),
                "y": of.iter().map(|one| one.0.as_str()).collect::<Vec<_>>(),
                "marker": {"size": 9},
                "error_x": {
                    "type": "data", "symmetric": false, "array": bars(|ends, at| ends.1 - at),
                    "arrayminus": bars(|ends, at| at - ends.0), "thickness": 1.5, "width": 4,
                },
                "hovertemplate": "%{y}: %{x:+.2f} %<extra></extra>",
            }),
        ));
    }
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let first = test
        .plan
        .variants
        .first()
        .map_or("", |one| one.name.as_str());
    let title = format!("Differences from {} with intervals", text(first));
    forest(&title, "Difference (%)", data, &names)
}

/// The figures of each repeat at a number of clients, as differences from their mean over the repeats.
pub fn repeat_spread(repeats: &RepeatResult, clients: usize) -> Figure {
    let runs = repeats.results.get(&clients).map_or(&[][..], Vec::as_slice);
    let mut names = Vec::new();
    let (mut x, mut y, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for repeat::Shown { name, key, .. } in repeat::figures(repeats, clients) {
        let Some(spread) = repeats
            .spread(clients, &key)
            .filter(|spread| spread.mean > 0.0)
        else {
            continue;
        };
        names.push(name.clone());
        for (at, run) in runs.iter().enumerate() {
            if let Some(value) = run.stats_map().get(&key).and_then(Value::as_f64) {
                x.push(100.0 * (value / spread.mean - 1.0));
                y.push(name.clone());
                labels.push(format!("repeat {}", at + 1));
            }
        }
    }
    let data = vec![styled(
        0,
        json!({
            "type": "scatter", "mode": "markers", "name": "a repeat", "x": numbers(x), "y": y, "text": labels,
            "marker": {"size": 9, "opacity": 0.6},
            "hovertemplate": "%{text}, %{y}: %{x:+.2f} %<extra></extra>",
        }),
    )];
    forest(
        "Repeats, as differences from their mean",
        "Difference from the mean (%)",
        data,
        &names.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

/// A figure with a row for each name and a line at 0.
fn forest(title: &str, x: &str, data: Vec<Value>, names: &[&str]) -> Figure {
    let values = data
        .iter()
        .filter_map(|trace| trace["x"].as_array())
        .flatten();
    let most = values
        .filter_map(Value::as_f64)
        .fold(0.0, |most: f64, x| most.max(x.abs()));
    // Five digits beside one another have no room on a phone.
    let format = if most < 1000.0 { "+~g" } else { "+~s" };
    let x = json!({"title": {"text": x}, "zeroline": true, "zerolinewidth": 2, "zerolinecolor": QUIET.0, "tickformat": format, "nticks": 5, "tickangle": 0});
    let y = json!({
        "type": "category", "categoryorder": "array", "categoryarray": names,
        "range": [names.len() as f64 - 0.4, -0.6],
    });
    let height = 110 + 26 * names.len();
    Figure::new(
        data,
        with(plain_layout(title, x, y), json!({"height": height})),
    )
}
