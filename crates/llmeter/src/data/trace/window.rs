//! A part of a trace: `10m..20m`.

use crate::base::error::{Error, Result};
use crate::base::setting::Setting;

/// From when to when, in seconds after the trace's start.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    from: f64,
    to: f64,
}

impl Window {
    /// From `10m..20m`, `10m..` or `..20m`; `parse_time` reads one time.
    ///
    /// # Errors
    /// If it is none.
    pub fn parse(text: &str, parse_time: impl Fn(&str) -> Option<f64>) -> Result<Self> {
        let parsed = text.split_once("..").and_then(|(from, to)| {
            let time = |text: &str, default| match text.trim() {
                "" => Some(default),
                text => parse_time(text),
            };
            let (from, to) = (time(from, 0.0)?, time(to, f64::INFINITY)?);
            (from < to).then_some(Self { from, to })
        });
        parsed.ok_or_else(|| {
            let expected = "a part of the trace like 10m..20m, 10m.. or ..20m";
            Error::invalid(Setting::Window, text, expected)
        })
    }

    pub(super) fn start(self) -> f64 {
        self.from
    }

    pub(super) fn has(self, time: f64) -> bool {
        (self.from..self.to).contains(&time)
    }
}
