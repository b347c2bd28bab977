//! Showing how a run goes on: bars and a table in a terminal, now and then a line elsewhere.

use std::io::IsTerminal;
use std::sync::Mutex;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use llmeter::stats::LiveDisplay;
use llmeter::{Observer, Progress};

/// Seconds between the lines that are written when standard error is no terminal.
const LINE_EVERY: f64 = 5.0;

/// Set to 1 to show no progress at all.
const OFF_VARIABLE: &str = "LLMETER_DISABLE_ALL_PROGRESS_BARS";

/// The display for one run; `None` if none is wanted.
pub(crate) fn display(quiet: bool, label: &str) -> Option<std::sync::Arc<dyn Observer>> {
    if quiet || std::env::var(OFF_VARIABLE).is_ok_and(|value| value == "1") {
        None
    } else if std::io::stderr().is_terminal() {
        Some(std::sync::Arc::new(Bars::new(label)))
    } else {
        Some(std::sync::Arc::new(Lines {
            label: label.to_owned(),
            stats: LiveDisplay::default(),
            next: Mutex::new(LINE_EVERY),
        }))
    }
}

/// A bar and a table below it, redrawn in place.
struct Bars {
    label: String,
    bars: MultiProgress,
    bar: ProgressBar,
    table: ProgressBar,
    stats: LiveDisplay,
}

impl Bars {
    fn new(label: &str) -> Self {
        let bars = MultiProgress::new();
        let bar = bars.add(ProgressBar::new(0));
        let style = ProgressStyle::with_template("{prefix} {bar:30} {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("━╸ "));
        bar.set_prefix(label.to_owned());
        let table = bars.add(ProgressBar::new_spinner());
        table.set_style(
            ProgressStyle::with_template("{msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        Self {
            label: label.to_owned(),
            bars,
            bar,
            table,
            stats: LiveDisplay::default(),
        }
    }
}

impl Observer for Bars {
    fn progress(&self, progress: &Progress) {
        let (position, length) = match (progress.planned, progress.duration) {
            (Some(planned), _) => (progress.recorded, planned),
            (None, Some(duration)) => (
                (progress.elapsed.min(duration) * 1000.0) as u64,
                (duration * 1000.0) as u64,
            ),
            (None, None) => (0, 0),
        };
        self.bar.set_length(length);
        self.bar.set_position(position);
        self.bar.set_prefix(self.label.clone());
        self.bar.set_message(state(progress));
        self.table
            .set_message(self.stats.lines(&progress.stats).join("\n"));
        self.bar.tick();
        self.table.tick();
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // The summary that follows says the same with all digits.
        self.bar.finish_and_clear();
        self.table.finish_and_clear();
        let _ = self.bars.clear();
    }
}

/// A line every few seconds.
struct Lines {
    label: String,
    stats: LiveDisplay,
    next: Mutex<f64>,
}

impl Observer for Lines {
    fn progress(&self, progress: &Progress) {
        let Ok(mut next) = self.next.lock() else {
            return;
        };
        if progress.elapsed < *next {
            return;
        }
        *next = progress.elapsed + LINE_EVERY;
        let stats: Vec<String> = self
            .stats
            .format(&progress.stats)
            .into_iter()
            .map(|(label, value)| format!("{label}={value}"))
            .collect();
        eprintln!("{}: {}  {}", self.label, state(progress), stats.join("  "));
    }
}

/// "120/400 requests, 00:12".
fn state(progress: &Progress) -> String {
    if progress.is_warming_up {
        return "warming up".to_owned();
    }
    let elapsed = humantime::format_duration(Duration::from_secs(progress.elapsed as u64));
    let count = match progress.planned {
        Some(planned) => format!("{}/{planned} requests", progress.recorded),
        None => format!("reqs={}", progress.recorded),
    };
    let time = match progress.duration {
        Some(duration) => format!("{elapsed} of {duration} s"),
        None => elapsed.to_string(),
    };
    let note = if progress.is_stopping {
        ", stopping"
    } else {
        ""
    };
    format!("{count}, {time}{note}")
}
