//! Some single requests, phase by phase and token by token.

use serde_json::json;

use super::values::succeeded;
use super::{Figure, PALETTE, numbers, plain_layout, seconds_axis, text, with};
use crate::{InvocationResponse, RunResult};

/// Which requests are shown, by the share of requests that are faster.
const SHARES: [(f64, &str); 8] = [
    (0.0, "fastest"),
    (0.1, "p10"),
    (0.25, "p25"),
    (0.5, "p50"),
    (0.75, "p75"),
    (0.9, "p90"),
    (0.95, "p95"),
    (0.99, "p99"),
];
/// The slowest ones, the slowest last.
const SLOWEST: [&str; 3] = ["3rd slowest", "2nd slowest", "slowest"];
/// Marks of tokens that are nearer to one another than this part of the slowest request cannot be told apart: the
/// first of them is drawn, and those after the longest gaps are.
const NEAR: f64 = 1.0 / 250.0;
const LONGEST: usize = 20;

/// A phase of a request.
struct Phase {
    name: &'static str,
    colour: usize,
    /// From when to when, in seconds after it was sent.
    of: fn(&InvocationResponse) -> Option<(f64, f64)>,
}

const PHASES: [Phase; 6] = [
    Phase {
        name: "waiting to be sent",
        colour: 6,
        of: queue,
    },
    Phase {
        name: "connect",
        colour: 4,
        of: connect,
    },
    Phase {
        name: "TLS",
        colour: 5,
        of: tls,
    },
    Phase {
        name: "until the response's head",
        colour: 1,
        of: head,
    },
    Phase {
        name: "until the first token",
        colour: 3,
        of: first_token,
    },
    Phase {
        name: "tokens",
        colour: 0,
        of: tokens,
    },
];

fn tls(one: &InvocationResponse) -> Option<(f64, f64)> {
    Some((-one.detail.time_to_tls?, 0.0))
}

fn connect(one: &InvocationResponse) -> Option<(f64, f64)> {
    let tls = one.detail.time_to_tls.unwrap_or(0.0);
    Some((-tls - one.detail.time_to_connect?, -tls))
}

fn queue(one: &InvocationResponse) -> Option<(f64, f64)> {
    let connecting = connect(one).map_or(0.0, |(from, _)| from);
    let from = -one.detail.send_lateness?;
    (from < connecting).then_some((from, connecting))
}

fn head(one: &InvocationResponse) -> Option<(f64, f64)> {
    Some((0.0, one.detail.time_to_headers?))
}

fn first_token(one: &InvocationResponse) -> Option<(f64, f64)> {
    let head = one.detail.time_to_headers.unwrap_or(0.0);
    let first = one.time_to_first_token.or(one.time_to_last_token)?;
    (first > head).then_some((head, first))
}

fn tokens(one: &InvocationResponse) -> Option<(f64, f64)> {
    Some((one.time_to_first_token?, one.time_to_last_token?))
}

/// A waterfall of some requests of a run, from the fastest to the slowest by TTLT: what each waited for, from
/// its intended sending on, and a mark for each token. The clock of latencies starts at 0, when the request
/// is sent on a ready connection.
pub fn waterfall(result: &RunResult) -> Figure {
    let chosen = chosen(result);
    let labels: Vec<&str> = chosen.iter().map(|(label, _)| *label).collect();
    let ids: Vec<String> = chosen
        .iter()
        .map(|(_, one)| text(one.id.as_deref().unwrap_or_default()))
        .collect();
    let mut data = Vec::new();
    for phase in PHASES {
        let of: Vec<_> = chosen.iter().map(|(_, one)| (phase.of)(one)).collect();
        if of.iter().all(Option::is_none) {
            continue;
        }
        let spans = || of.iter().map(|span| span.unwrap_or((0.0, 0.0)));
        data.push(json!({
            "type": "bar", "orientation": "h", "name": phase.name, "y": labels, "text": ids,
            "textposition": "none",
            "base": numbers(spans().map(|span| span.0)),
            "x": numbers(spans().map(|span| span.1 - span.0)),
            "customdata": spans().map(|span| span.1).collect::<Vec<_>>(),
            "marker": {"color": PALETTE[phase.colour].0, "opacity": 0.75},
            "hovertemplate": format!("%{{y}}, {}: %{{base:.4~s}}s to %{{customdata:.4~s}}s<br>%{{text}}<extra></extra>", phase.name),
        }));
    }
    let mut marks = (Vec::new(), Vec::new());
    let slowest = chosen.last().and_then(|(_, one)| one.time_to_last_token);
    let slowest = slowest.unwrap_or(0.0);
    for (label, one) in &chosen {
        for time in token_times(one, slowest * NEAR) {
            marks.0.push(time);
            marks.1.push(*label);
        }
    }
    if !marks.0.is_empty() {
        data.push(json!({
            "type": "scatter", "mode": "markers", "name": "a token", "x": numbers(marks.0), "y": marks.1,
            "marker": {"color": "rgba(255,255,255,0.7)", "symbol": "line-ns-open", "size": 9, "line": {"width": 1}},
            "hovertemplate": "a token after %{x}<extra></extra>", "showlegend": false,
        }));
    }
    let y = json!({"type": "category", "categoryorder": "array", "categoryarray": labels, "autorange": "reversed"});
    let x = seconds_axis("Time after the request was sent");
    let title = "Some requests, from the fastest to the slowest";
    let height = 110 + 28 * chosen.len();
    let more = json!({"barmode": "overlay", "bargap": 0.3, "height": height});
    Figure::new(data, with(plain_layout(title, x, y), more))
}

/// The requests that are shown with their labels, the slowest last.
fn chosen(result: &RunResult) -> Vec<(&'static str, &InvocationResponse)> {
    let mut all: Vec<_> = succeeded(result)
        .filter(|one| one.time_to_last_token.is_some())
        .collect();
    all.sort_by(|one, other| {
        let time = |one: &InvocationResponse| one.time_to_last_token.unwrap_or(0.0);
        time(one).total_cmp(&time(other))
    });
    let slowest = all.len().saturating_sub(SLOWEST.len());
    let mut chosen: Vec<(usize, &str)> = Vec::new();
    for (share, label) in SHARES {
        let rank = (share * all.len() as f64) as usize;
        if rank < slowest && chosen.last().is_none_or(|(last, _)| *last != rank) {
            chosen.push((rank, label));
        }
    }
    let labels = &SLOWEST[SLOWEST.len().saturating_sub(all.len())..];
    chosen.extend((slowest..all.len()).zip(labels.iter().copied()));
    chosen
        .into_iter()
        .map(|(rank, label)| (label, all[rank]))
        .collect()
}

/// When tokens came, of those that are nearer than `apart` the first; where the gaps are a sample, only the first and
/// the last.
fn token_times(one: &InvocationResponse, apart: f64) -> Vec<f64> {
    let Some(first) = one.time_to_first_token else {
        return Vec::new();
    };
    if one.detail.inter_token_latencies_dropped > 0 {
        return [Some(first), one.time_to_last_token]
            .into_iter()
            .flatten()
            .collect();
    }
    let gaps = &one.detail.inter_token_latencies;
    let mut longest: Vec<f32> = gaps.clone();
    longest.sort_unstable_by(|one, other| other.total_cmp(one));
    let long = longest.get(LONGEST).copied().unwrap_or(f32::INFINITY);
    let (mut time, mut marked) = (first, first);
    let mut times = vec![first];
    for gap in gaps {
        time += f64::from(*gap);
        if time - marked >= apart || *gap > long {
            times.push(time);
            marked = time;
        }
    }
    times
}

/// What each request that is shown took, as rows of a table: label, connect, TTFT, longest gap, TTLT.
pub(crate) fn waterfall_rows(result: &RunResult) -> Vec<(&'static str, [Option<f64>; 4])> {
    let row = |one: &InvocationResponse| {
        [
            one.detail.time_to_connect,
            one.time_to_first_token,
            one.detail.longest_gap,
            one.time_to_last_token,
        ]
    };
    chosen(result)
        .into_iter()
        .map(|(label, one)| (label, row(one)))
        .collect()
}
