//! Writing to standard output and the log.

use std::borrow::Cow;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use console::Term;
use llmeter::{RunResult, Setting, report};
use serde_json::{Map, Value};

use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::prelude::*;

use crate::{exit, progress};

/// Longest line of the log, in characters.
const MAX_LOG_LINE: usize = 4000;

/// Whether standard output gets ASCII alone, whatever the locale is.
static IS_ASCII: AtomicBool = AtomicBool::new(false);

/// Has text for people be ASCII from now on, or leaves that to the locale.
pub(crate) fn set_ascii(is_ascii: bool) {
    IS_ASCII.store(is_ascii, Ordering::Relaxed);
}

/// A text as the terminal can show it.
fn shown(text: &str) -> Cow<'_, str> {
    match IS_ASCII.load(Ordering::Relaxed) || !is_utf8(|name| std::env::var(name).ok()) {
        true => report::ascii(text),
        false => Cow::Borrowed(text),
    }
}

/// Whether the locale's characters are UTF-8. Without one, terminals of today show it.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let names = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let mut set = names.filter_map(|name| variable(name).filter(|value| !value.is_empty()));
    set.next().is_none_or(|locale| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// Columns of the terminal that standard output is; without one, text has any width.
pub(crate) fn width() -> usize {
    columns(&Term::stdout())
}

fn columns(terminal: &Term) -> usize {
    let columns = terminal.is_term().then(|| terminal.size_checked());
    columns
        .flatten()
        .map_or(usize::MAX, |(_, columns)| columns.into())
}

/// Prints text for people: nothing in it acts on a terminal, and its lines are broken between words.
pub(crate) fn text(text: &str) -> Result<()> {
    table(&fitted(text))
}

/// Prints lines that fit, and in which nothing acts on a terminal.
pub(crate) fn table(text: &str) -> Result<()> {
    raw(&shown(text))
}

fn fitted(text: &str) -> String {
    report::fitted(&report::escaped_lines(text), width())
}

/// Prints text as it is. A reader that went away is an error, which ends the program quietly.
pub(crate) fn raw(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Prints an object as indented JSON.
pub(crate) fn json(object: &Map<String, Value>) -> Result<()> {
    json_text(&serde_json::to_string_pretty(object)?)
}

/// Prints JSON. What acts on a terminal can only be within its strings, and is an escape there, too.
pub(crate) fn json_text(json: &str) -> Result<()> {
    raw(&escaped_json(json))
}

fn escaped_json(json: &str) -> String {
    let is_escaped =
        |c: char| c != '\n' && report::escaped(c.encode_utf8(&mut [0; 4])) != c.to_string();
    if !json.contains(is_escaped) {
        return format!("{json}\n");
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        match is_escaped(c) {
            true => out.push_str(&format!("\\u{:04x}", u32::from(c))),
            false => out.push(c),
        }
    }
    out + "\n"
}

/// Prints a result: its summary, or its statistics as JSON. What standard output does not take, as
/// one that is a file on a full disk, goes to standard error.
pub(crate) fn result(result: &RunResult, is_json: bool) -> Result<()> {
    let shown = match is_json {
        false => shown(&fitted(&report::summary_with(result, width(), &exit::flag))).into_owned(),
        true => {
            for said in report::notes_with(result, &exit::flag) {
                note(&format!("note: {said}"));
            }
            warnings(result);
            escaped_json(&serde_json::to_string_pretty(&result.stats_map())?)
        }
    };
    raw(&shown).map_err(|reason| {
        if exit::is_broken_pipe(&reason) {
            return reason;
        }
        note(shown.trim_end());
        reason.context("cannot write to standard output")
    })
}

/// Prints a result's warnings, which its summary has as well.
pub(crate) fn warnings(result: &RunResult) {
    for warning in &result.warnings {
        let warning = Setting::rename_all(warning, &exit::flag);
        note(&format!("warning: {warning}"));
    }
}

/// Prints a line to standard error. Nobody may be listening there: that must not end a run.
pub(crate) fn note(line: &str) {
    let line = report::escaped_lines(line);
    let line = report::fitted(&line, columns(&Term::stderr()));
    progress::above(|| {
        let _ = writeln!(io::stderr(), "{}", line.trim_end_matches('\n'));
    });
}

/// Sends the library's log to standard error; `LLMETER_LOG` chooses what (default: errors). A log that
/// the process has already stays.
pub(crate) fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("LLMETER_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("error"));
    // Other crates' details are what goes over the wire, secrets and all.
    let is_shown = |event: &tracing::Metadata<'_>| {
        event.target().starts_with("llmeter") || *event.level() <= tracing::Level::WARN
    };
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(|| LogLine)
        .log_internal_errors(false)
        .with_filter(filter.and(filter_fn(is_shown)));
    let _ = tracing_subscriber::registry().with(lines).try_init();
}

/// Writes each event of the log as one line without anything that acts on a terminal.
struct LogLine;

impl Write for LogLine {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        note(&report::one_line(&text, MAX_LOG_LINE));
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_utf8;

    #[test]
    fn the_first_variable_that_is_set_tells_the_characters() {
        let told = |set: &[(&str, &str)]| {
            is_utf8(|name| {
                let found = set.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        assert!(told(&[]));
        assert!(told(&[("LANG", "C.UTF-8")]));
        assert!(told(&[
            ("LC_ALL", ""),
            ("LC_CTYPE", "de_DE.utf8"),
            ("LANG", "C")
        ]));
        assert!(!told(&[("LC_ALL", "C"), ("LANG", "C.UTF-8")]));
        assert!(!told(&[("LANG", "de_DE.ISO-8859-1")]));
    }
}
