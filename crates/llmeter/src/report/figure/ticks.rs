//! Where axes have ticks.

use serde_json::{Value, json};

use super::with;

/// An axis of times, logarithmic, with round ticks that have their unit each; with its own where those would
/// be less than two.
pub(crate) fn log_seconds(axis: Value, low: f64, high: f64) -> Value {
    let axis = with(axis, json!({"type": "log", "tickangle": 0}));
    let ticks = log_ticks(low, high);
    if ticks.len() < 2 {
        return axis;
    }
    let texts: Vec<_> = ticks.iter().map(|tick| short_seconds(*tick)).collect();
    with(axis, json!({"tickvals": ticks, "ticktext": texts}))
}

/// Round values on a logarithmic axis, as many as have room for their names.
fn log_ticks(low: f64, high: f64) -> Vec<f64> {
    const MAX: usize = 6;
    let powers = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let ticks = |steps: &[f64]| -> Vec<f64> {
        let of_power = |power: i32| steps.iter().map(move |step| step * 10_f64.powi(power));
        let all = powers.clone().flat_map(of_power);
        all.filter(|tick| (low..=high).contains(tick)).collect()
    };
    for steps in [&[1.0, 2.0, 5.0][..], &[1.0, 3.0], &[1.0]] {
        let ticks = ticks(steps);
        if ticks.len() <= MAX {
            return ticks;
        }
    }
    let ticks = ticks(&[1.0]);
    let step = ticks.len().div_ceil(MAX);
    ticks.into_iter().step_by(step).collect()
}

/// A round time in the shortest form: `200ms`.
fn short_seconds(seconds: f64) -> String {
    let (value, unit) = match seconds {
        size if size < 0.999e-3 => (seconds * 1e6, "µs"),
        size if size < 0.999 => (seconds * 1e3, "ms"),
        _ => (seconds, "s"),
    };
    let value = (value * 1e3).round() / 1e3;
    format!("{value}{unit}")
}

/// A step of 1, 2 or 5 times a power of ten, at least as large as `min`.
pub(super) fn round_step(min: f64) -> f64 {
    let power = 10_f64.powf(min.log10().floor());
    [1.0, 2.0, 5.0]
        .into_iter()
        .map(|factor| factor * power)
        .find(|step| *step >= min)
        .unwrap_or(10.0 * power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_of_a_logarithmic_axis_are_round_and_few() {
        assert_eq!(log_ticks(0.15, 2.6), [0.2, 0.5, 1.0, 2.0]);
        let names: Vec<_> = log_ticks(0.15, 2.6)
            .into_iter()
            .map(short_seconds)
            .collect();
        assert_eq!(names, ["200ms", "500ms", "1s", "2s"]);
        for (low, high) in [(1e-6, 1e3), (1e-3, 1.0), (0.03, 60.0)] {
            let ticks = log_ticks(low, high);
            assert!((2..=6).contains(&ticks.len()), "{ticks:?}");
        }
        assert_eq!(short_seconds(2e-5), "20µs");
    }
}
