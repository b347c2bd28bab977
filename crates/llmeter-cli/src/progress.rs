//! Showing how a run goes on: bars and a table in a terminal, now and then a line elsewhere.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle, TermLike};
use llmeter::stats::LiveDisplay;
use llmeter::{Observer, Progress};

use crate::output;

/// Seconds between the lines that are written when standard error is no terminal.
const LINE_EVERY: f64 = 5.0;

/// Columns at the end of each line that are left free.
const KEPT_FREE: usize = 4;

/// Set to 1 to show no progress at all.
const OFF_VARIABLE: &str = "LLMETER_DISABLE_ALL_PROGRESS_BARS";

/// What is drawn at present: whatever else goes to the terminal must go above it.
static DRAWN: Mutex<Option<MultiProgress>> = Mutex::new(None);

fn drawn() -> MutexGuard<'static, Option<MultiProgress>> {
    DRAWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Carries out something that writes to standard error, above what is drawn there.
pub(crate) fn above(write: impl FnOnce()) {
    match &*drawn() {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// Removes what is drawn, because the program is about to end.
pub(crate) fn clear() {
    if let Some(bars) = drawn().take() {
        let _ = bars.clear();
        bars.set_draw_target(ProgressDrawTarget::hidden());
    }
}

/// The display for one run; `None` if none is wanted.
pub(crate) fn display(quiet: bool, label: &str) -> Option<Arc<dyn Observer>> {
    if quiet || std::env::var(OFF_VARIABLE).is_ok_and(|value| value == "1") {
        None
    } else if io::stderr().is_terminal() {
        Some(Arc::new(Bars::new(label)))
    } else {
        Some(Arc::new(Lines {
            label: label.to_owned(),
            stats: LiveDisplay::default(),
            next: Mutex::new(LINE_EVERY),
        }))
    }
}

/// The display of several runs that go on side by side, as of one; `None` if none is wanted.
pub(crate) fn together(quiet: bool, label: &str, parts: usize) -> Option<Arc<Together>> {
    let display = display(quiet, label)?;
    Some(Arc::new(Together {
        display,
        parts,
        told: Mutex::default(),
    }))
}

/// Tells a display of several runs as of one.
pub(crate) struct Together {
    display: Arc<dyn Observer>,
    parts: usize,
    /// What each was told last.
    told: Mutex<BTreeMap<String, Progress>>,
}

/// One of them.
struct PartOf {
    whole: Arc<Together>,
    name: String,
}

/// Statistics of which the whole has the sum.
const SUMS: [&str; 5] = [
    "total_requests",
    "failed_requests",
    "requests_per_minute",
    "output_tps",
    "total_output_tokens",
];

impl Together {
    /// Who is told of one of them.
    pub(crate) fn of_part(self: &Arc<Self>, name: &str) -> Arc<dyn Observer> {
        Arc::new(PartOf {
            whole: self.clone(),
            name: name.to_owned(),
        })
    }
}

impl Observer for PartOf {
    fn progress(&self, progress: &Progress) {
        let mut told = self
            .whole
            .told
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        told.insert(self.name.clone(), progress.clone());
        let all = || told.values();
        let planned: Option<u64> = all().map(|part| part.planned).sum();
        let duration = |part: &Progress| part.duration;
        let mut stats = serde_json::Map::new();
        for key in SUMS {
            let values = all().filter_map(|part| part.stats.get(key)?.as_f64());
            if let Some(sum) = values.reduce(|one, other| one + other) {
                stats.insert(key.to_owned(), sum.into());
            }
        }
        self.whole.display.progress(&Progress {
            recorded: all().map(|part| part.recorded).sum(),
            planned: planned.filter(|_| told.len() == self.whole.parts),
            elapsed: all().map(|part| part.elapsed).fold(0.0, f64::max),
            duration: all().filter_map(duration).reduce(f64::max),
            is_warming_up: all().any(|part| part.is_warming_up),
            is_stopping: all().any(|part| part.is_stopping),
            stats,
        });
    }
}

/// A bar and a table below it, redrawn in place.
struct Bars {
    bars: MultiProgress,
    bar: ProgressBar,
    table: Vec<ProgressBar>,
    terminal: Term,
    /// Columns of the first line that its message cannot have.
    taken: usize,
    stats: LiveDisplay,
}

impl Bars {
    fn new(label: &str) -> Self {
        let target = ProgressDrawTarget::term_like(Box::new(Terminal::new()));
        let bars = MultiProgress::with_draw_target(target);
        let line = |template: &str| {
            let bar = bars.add(ProgressBar::new(1));
            let style = ProgressStyle::with_template(template)
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            bar.set_style(style.progress_chars("━╸─"));
            bar
        };
        let terminal = Term::stderr();
        let width = if terminal.size().1 < 64 { 10 } else { 24 };
        let bar = line(&format!("{{prefix}} {{bar:{width}.cyan/dim}} {{msg}}"));
        bar.set_prefix(label.to_owned());
        bar.set_message("connecting");
        let stats = LiveDisplay::default();
        let table = stats
            .lines(&serde_json::Map::new())
            .iter()
            .map(|_| line("{msg}"))
            .collect();
        bar.tick();
        *drawn() = Some(bars.clone());
        Self {
            bars,
            bar,
            table,
            terminal,
            taken: console::measure_text_width(label) + width + 2,
            stats,
        }
    }

    /// A text, cut to what fits the terminal: a line that wraps could not be redrawn in
    /// place, and neither could one that leaves no room for the `^C` of a terminal.
    fn fit(&self, text: &str, taken: usize) -> String {
        let columns = usize::from(self.terminal.size().1);
        let width = columns.saturating_sub(taken + KEPT_FREE);
        console::truncate_str(text, width, "…").into_owned()
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
        self.bar.set_message(self.fit(&state(progress), self.taken));
        for (line, text) in self.table.iter().zip(self.stats.lines(&progress.stats)) {
            line.set_message(self.fit(&text, 0));
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        // The summary that follows says the same with all digits.
        self.bar.finish_and_clear();
        for line in &self.table {
            line.finish_and_clear();
        }
        let _ = self.bars.clear();
        *drawn() = None;
    }
}

/// The terminal, with line ends between lines instead of the blanks that fill them up: with the
/// cursor in the last column, the `^C` that a terminal shows would begin a new line, and the bars
/// could not be redrawn in place any more.
#[derive(Debug)]
struct Terminal {
    term: Term,
    /// Whether a line is complete, so that what follows belongs on the next one.
    is_line_full: AtomicBool,
}

impl Terminal {
    fn new() -> Self {
        Self {
            term: Term::buffered_stderr(),
            is_line_full: AtomicBool::new(false),
        }
    }
}

impl TermLike for Terminal {
    fn width(&self) -> u16 {
        self.term.size().1
    }

    fn height(&self) -> u16 {
        self.term.size().0
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_up(n)
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_down(n)
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_right(n)
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.term.move_cursor_left(n)
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.term.write_line(text)
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        if !text.is_empty() && text.bytes().all(|byte| byte == b' ') {
            self.is_line_full.store(true, Ordering::Relaxed);
            return Ok(());
        }
        if self.is_line_full.swap(false, Ordering::Relaxed) {
            self.term.write_str("\n")?;
        }
        self.term.write_str(text)
    }

    fn clear_line(&self) -> io::Result<()> {
        self.term.clear_line()
    }

    fn flush(&self) -> io::Result<()> {
        self.is_line_full.store(false, Ordering::Relaxed);
        self.term.flush()
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
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
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
        output::note(&format!(
            "{}: {}  {}",
            self.label,
            state(progress),
            stats.join("  ")
        ));
    }
}

/// "120/400 requests, 12s", or "reqs=120, 12s of 30s".
fn state(progress: &Progress) -> String {
    if progress.is_warming_up {
        return "warming up".to_owned();
    }
    let time = |seconds: f64| {
        humantime::format_duration(Duration::from_secs(seconds.max(0.0) as u64)).to_string()
    };
    let count = match progress.planned {
        Some(planned) => format!("{}/{planned} requests", progress.recorded),
        None => format!("reqs={}", progress.recorded),
    };
    let is_over = progress
        .duration
        .is_some_and(|duration| progress.elapsed >= duration);
    let elapsed = match progress.duration {
        Some(duration) if duration.fract() == 0.0 => {
            format!(
                "{} of {}",
                time(progress.elapsed.min(duration)),
                time(duration)
            )
        }
        _ => time(progress.elapsed),
    };
    let note = if progress.is_stopping {
        ", stopping"
    } else if is_over {
        ", waiting for the last responses"
    } else {
        ""
    };
    format!("{count}, {elapsed}{note}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_state_says_how_far_the_run_is() {
        let counted = Progress {
            recorded: 120,
            planned: Some(400),
            elapsed: 12.7,
            ..Progress::default()
        };
        assert_eq!(state(&counted), "120/400 requests, 12s");
        let timed = Progress {
            recorded: 5,
            elapsed: 61.0,
            duration: Some(120.0),
            ..Progress::default()
        };
        assert_eq!(state(&timed), "reqs=5, 1m 1s of 2m");
        let draining = Progress {
            elapsed: 121.0,
            ..timed.clone()
        };
        assert_eq!(
            state(&draining),
            "reqs=5, 2m of 2m, waiting for the last responses"
        );
        let stopping = Progress {
            is_stopping: true,
            ..timed
        };
        assert_eq!(state(&stopping), "reqs=5, 1m 1s of 2m, stopping");
        let warming = Progress {
            is_warming_up: true,
            ..Progress::default()
        };
        assert_eq!(state(&warming), "warming up");
    }
}
