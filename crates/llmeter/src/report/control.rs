//! What a run in progress says of itself, as text.

use std::fmt::Write;

use serde_json::Value;

use super::numbers::{counted, figure, or_dash};
use super::summary::shown;
use crate::base::shown::{SHOWN, duration, one_line};
use crate::run::{ControlStatus, RunPhase};

/// How a run in progress goes on.
pub fn control(status: &ControlStatus) -> String {
    let mut text = String::new();
    let phase = match status.phase {
        RunPhase::WarmUp => "in its warm-up",
        RunPhase::Running => "in progress",
        RunPhase::Stopping => "stopping",
    };
    let load = match (&status.rate, status.clients) {
        (Some(rate), _) => one_line(rate, SHOWN),
        (None, Some(clients)) => counted(clients.into(), "client"),
        (None, None) => "a load that cannot be changed".to_owned(),
    };
    let _ = write!(
        text,
        "{}: {phase} since {}, {load}",
        one_line(&status.run_name, SHOWN),
        duration(status.elapsed)
    );
    if let Some(limit) = status.max_in_flight {
        let _ = write!(text, ", {} in flight at most", figure(limit.into()));
    }
    let _ = write!(
        text,
        "\n{} recorded, {} failed",
        counted(status.requests, "request"),
        figure(status.failed as f64)
    );
    if let Some(in_flight) = status.in_flight {
        let _ = write!(text, ", {} in flight", figure(in_flight as f64));
    }
    text.push('\n');
    let changes = status
        .changes
        .iter()
        .filter_map(|change| serde_json::to_value(change).ok());
    for line in control_lines(&changes.collect::<Vec<_>>()) {
        let _ = writeln!(text, "{line}");
    }
    text
}

/// Changes of a load as `control_changes` has them, a line for each.
pub(super) fn control_lines(changes: &[Value]) -> Vec<String> {
    let change = |change: &Value| {
        let word = |key: &str| change.get(key).and_then(Value::as_str);
        let at = change.get("time").and_then(Value::as_f64);
        let at = or_dash(at, duration);
        match (word("setting").unwrap_or("—"), word("from"), word("to")) {
            ("stop", ..) => format!("stopped after {at}, as asked for by llmeter control"),
            (setting, from, to) => {
                let name = setting.replace('_', " ");
                let [from, to] = [from, to].map(|value| value.unwrap_or("—"));
                shown(&format!("changed after {at}: {name} {from} → {to}"))
            }
        }
    };
    changes.iter().map(change).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::ControlChange;

    #[test]
    fn a_run_in_progress_says_what_it_does() {
        let change = |setting: &str, from: Option<&str>, to: Option<&str>| ControlChange {
            time: 12.0,
            setting: setting.to_owned(),
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        };
        let status = ControlStatus {
            run_name: "soak\u{1b}[1m".to_owned(),
            phase: RunPhase::Running,
            elapsed: 15.0,
            requests: 1200,
            failed: 1,
            rate: Some("40/s".to_owned()),
            clients: None,
            max_in_flight: Some(64),
            in_flight: Some(3),
            changes: vec![
                change("rate", Some("20/s"), Some("40/s")),
                change("stop", None, None),
            ],
        };
        let text = control(&status);
        assert!(!text.contains('\u{1b}'), "{text}");
        let expected = "in progress since 15.00 s, 40/s, 64 in flight at most\n\
                        1,200 requests recorded, 1 failed, 3 in flight\n\
                        changed after 12.00 s: rate 20/s → 40/s\n\
                        stopped after 12.00 s, as asked for by llmeter control\n";
        assert!(text.ends_with(expected), "{text}");
    }
}
