//! How requests failed.

use serde_json::{Value, json};

use super::ticks::round_step;
use super::{Figure, Series, number_axis, plain_layout, styled, text, with};
use crate::result::FailureGroup;

/// Kinds that are shown; the others are one bar.
const MAX_KINDS: usize = 20;

/// Failed requests by kind, the most frequent first; those of HTTP by status, those of files that name no
/// kind by message.
pub fn failures_by_kind(all: &[Series<'_>]) -> Figure {
    let groups: Vec<Vec<FailureGroup>> = all.iter().map(|one| one.result.failures()).collect();
    let mut kinds: Vec<(String, u64)> = Vec::new();
    for group in groups.iter().flatten() {
        let name = failure_name(group);
        match kinds.iter_mut().find(|(known, _)| *known == name) {
            Some((_, count)) => *count += group.count,
            None => kinds.push((name, group.count)),
        }
    }
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let others = kinds.len() > MAX_KINDS;
    kinds.truncate(MAX_KINDS);
    let mut names: Vec<String> = kinds.into_iter().map(|(name, _)| name).collect();
    if others {
        names.push("other kinds".to_owned());
    }
    let traces = all.iter().zip(&groups).enumerate().map(|(series, (one, groups))| {
        let mut counts = vec![0_u64; names.len()];
        for group in groups {
            let name = failure_name(group);
            let at = names.iter().position(|known| *known == name);
            if let Some(count) = counts.get_mut(at.unwrap_or(MAX_KINDS)) {
                *count += group.count;
            }
        }
        let labels: Vec<String> = names.iter().map(|name| text(name)).collect();
        styled(series, json!({
            "type": "bar", "orientation": "h", "name": text(one.name), "y": labels, "x": counts,
            "hovertemplate": "%{y}: %{x}<extra></extra>",
        }))
    });
    let traces: Vec<Value> = traces.collect();
    let y = json!({"type": "category", "autorange": "reversed", "ticklabelstandoff": 4});
    let most = traces
        .iter()
        .filter_map(|trace: &Value| trace["x"].as_array())
        .flatten()
        .filter_map(Value::as_u64)
        .max();
    // No parts of a request.
    let step = round_step((most.unwrap_or(0) as f64 / 6.0).max(1.0));
    let x = with(
        number_axis("Failed requests"),
        json!({"rangemode": "tozero", "tick0": 0, "dtick": step}),
    );
    let height = 110 + (16 + 14 * all.len()) * names.len();
    let layout = with(
        plain_layout("Failures by kind", x, y),
        json!({"height": height}),
    );
    Figure::new(traces, layout)
}

/// What a group of failures has in common: `http_status 503`, `timeout`, or a message.
pub(crate) fn failure_name(group: &FailureGroup) -> String {
    const MAX: usize = 40;
    let failure = &group.example;
    let name = match failure.recorded_kind() {
        Some(kind) => kind.replace('_', " "),
        None => failure.message().to_owned(),
    };
    let name = crate::base::shown::one_line(&name, MAX);
    match failure
        .status()
        .filter(|_| failure.kind() == crate::FailureKind::HttpStatus)
    {
        Some(status) => format!("{name} {status}"),
        None => name,
    }
}
