//! What times to first tokens are made of.

use serde_json::{Value, json};

use super::{Figure, PALETTE, Series, numbers, plain_layout, seconds_axis, text, with};

/// The parts of a TTFT with their colours.
const PARTS: [(&str, usize); 3] = [
    ("server, by its own word", 0),
    ("network, shortest round trip", 1),
    ("rest", 6),
];

/// The mean TTFT of each run as a bar of its parts: the server's by its own word, the network's shortest round trip,
/// and what neither says. Runs whose server states nothing are left out.
pub fn ttft_parts(all: &[Series<'_>]) -> Figure {
    let parts_of = |one: &Series<'_>| {
        let stats = one.result.stats();
        let network = stats.network_min_round_trip.average.unwrap_or(0.0);
        let parts = [
            stats.server_ttft.average?,
            network,
            stats.rest_of_ttft.average?,
        ];
        Some((text(one.name), parts))
    };
    let runs: Vec<_> = all.iter().filter_map(parts_of).collect();
    let names: Vec<&str> = runs.iter().map(|(name, _)| name.as_str()).collect();
    let trace = |(at, (part, colour)): (usize, (&str, usize))| -> Value {
        // The rest may be below nothing by what clocks differ.
        let length = |parts: &[f64; 3], at: usize| parts[at].max(0.0);
        let before = |parts: &[f64; 3]| (0..at).map(|at| length(parts, at)).sum();
        json!({
            "type": "bar", "orientation": "h", "name": part, "y": names,
            "base": numbers(runs.iter().map(|(_, parts)| before(parts))),
            "x": numbers(runs.iter().map(|(_, parts)| length(parts, at))),
            "customdata": numbers(runs.iter().map(|(_, parts)| parts[at])),
            "marker": {"color": PALETTE[colour].0},
            "hovertemplate": format!("%{{y}}, {part}: %{{customdata:.4~s}}s<extra></extra>"),
        })
    };
    let data = match runs.is_empty() {
        true => Vec::new(),
        false => PARTS.into_iter().enumerate().map(trace).collect(),
    };
    let y = json!({"type": "category", "autorange": "reversed", "ticklabelstandoff": 4});
    let x = with(
        seconds_axis("Mean time to first token"),
        json!({"rangemode": "tozero"}),
    );
    let more = json!({"barmode": "overlay", "bargap": 0.3, "height": 110 + 28 * runs.len().max(1)});
    Figure::new(data, with(plain_layout("TTFT by its parts", x, y), more))
}
