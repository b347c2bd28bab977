//! What is wrong with a command line, in the sentences that errors of settings have.

use std::error::Error;
use std::ffi::OsString;
use std::num::{IntErrorKind, ParseFloatError, ParseIntError};

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Flags whose values no message shows.
const SECRETS: &[&str] = &["--verify-sigv4"];

/// A mistake, and what to do about it where the sentence does not tell.
#[derive(Debug)]
pub(super) struct Mistake {
    pub(super) sentence: String,
    pub(super) hint: Option<String>,
}

impl Mistake {
    /// What the parser has found in a line.
    pub(super) fn of(error: &clap::Error, line: &[OsString]) -> Self {
        let found = Found(error);
        found.mistake(line).unwrap_or_else(|| found.as_told())
    }

    fn new(sentence: impl Into<String>) -> Self {
        Self {
            sentence: sentence.into(),
            hint: None,
        }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self {
            hint: Some(hint.into()),
            ..self
        }
    }
}

/// The parser's error, and what it knows.
struct Found<'e>(&'e clap::Error);

impl Found<'_> {
    /// `None` for an error that tells less than its kind should.
    fn mistake(&self, line: &[OsString]) -> Option<Mistake> {
        use ContextKind::{
            InvalidArg, InvalidSubcommand, InvalidValue, PriorArg, SuggestedArg,
            SuggestedSubcommand, SuggestedValue, ValidSubcommand, ValidValue,
        };
        Some(match self.0.kind() {
            ErrorKind::UnknownArgument => {
                let written = self.first(InvalidArg)?;
                let (what, which) = match written.starts_with('-') {
                    true => ("unknown flag", "has all flags"),
                    false => ("unexpected argument", "tells what it takes"),
                };
                let mistake = Mistake::new(format!("{what} {}", quoted(&written)));
                mistake.hint(self.nearest(SuggestedArg, which))
            }
            ErrorKind::InvalidSubcommand => {
                let written = quoted(&self.first(InvalidSubcommand)?);
                let hint = self.nearest(SuggestedSubcommand, "has all commands");
                Mistake::new(format!("unknown command {written}")).hint(hint)
            }
            ErrorKind::MissingSubcommand => {
                let command = self.first(InvalidSubcommand)?;
                let mut known = self.texts(ValidSubcommand);
                known.retain(|name| name != "help");
                Mistake::new(format!("{command} requires a command: {}", any_of(&known)))
            }
            ErrorKind::InvalidValue => {
                let known = self.texts(ValidValue);
                let is_missing = self.first(InvalidValue)?.is_empty();
                let mistake = Mistake::new(match (is_missing, known.is_empty()) {
                    (true, true) => {
                        format!("{} requires a value: {}", self.name()?, self.value_name()?)
                    }
                    (true, false) => {
                        format!("{} requires a value: {}", self.name()?, any_of(&known))
                    }
                    (false, _) => self.refused(&format!("expected {}", any_of(&known)))?,
                });
                match self.first(SuggestedValue) {
                    Some(nearest) => mistake.hint(format!("the nearest is {nearest}")),
                    None => mistake,
                }
            }
            ErrorKind::ValueValidation => Mistake::new(self.refused(&reason(self.0.source()?))?),
            ErrorKind::TooManyValues => Mistake::new(self.refused("expected no value")?),
            ErrorKind::ArgumentConflict => {
                let name = self.name()?;
                let mut others = self.texts(PriorArg).into_iter().map(|arg| shown(&arg));
                match others.next() {
                    Some(other) if other == name => Mistake::new(format!("give {name} once")),
                    Some(other) => Mistake::new(format!("give {name} or {other}, not both")),
                    None => return None,
                }
            }
            ErrorKind::MissingRequiredArgument => {
                let missing: Vec<_> = self
                    .texts(InvalidArg)
                    .iter()
                    .map(|arg| shown(arg))
                    .collect();
                let verb = match missing.len() {
                    0 => return None,
                    1 => "is",
                    _ => "are",
                };
                let mistake = Mistake::new(format!("{} {verb} required", missing.join(" and ")));
                mistake.hint(self.help("explains"))
            }
            ErrorKind::InvalidUtf8 => {
                let foreign = line.iter().find(|part| part.to_str().is_none())?;
                let foreign = foreign.to_string_lossy();
                Mistake::new(format!("{}: expected UTF-8", quoted(&foreign)))
            }
            _ => return None,
        })
    }

    /// A text of ours that the parser passes on, or what it says of a mistake of any other kind.
    fn as_told(&self) -> Mistake {
        let text = self.0.render().to_string();
        let text = text.split("\n\nUsage: ").next().unwrap_or_default();
        let text = text
            .split("\n\nFor more information")
            .next()
            .unwrap_or_default();
        let (sentence, hint) = match text.split_once("\nhint: ") {
            Some((sentence, hint)) => (sentence, Some(hint)),
            None => (text, None),
        };
        let sentence: Vec<_> = sentence
            .trim_start_matches("error: ")
            .split_whitespace()
            .collect();
        Mistake {
            sentence: sentence.join(" "),
            hint: hint.map(|hint| hint.trim_end().to_owned()),
        }
    }

    fn texts(&self, kind: ContextKind) -> Vec<String> {
        match self.0.get(kind) {
            Some(ContextValue::String(text)) => vec![text.clone()],
            Some(ContextValue::Strings(texts)) => texts.clone(),
            _ => Vec::new(),
        }
    }

    fn first(&self, kind: ContextKind) -> Option<String> {
        self.texts(kind).into_iter().next()
    }

    /// `--clients` of `--clients <N>`, `DIR` of `<DIR>...`.
    fn name(&self) -> Option<String> {
        Some(shown(&self.first(ContextKind::InvalidArg)?))
    }

    /// `N` of `--clients <N>`.
    fn value_name(&self) -> Option<String> {
        let arg = self.first(ContextKind::InvalidArg)?;
        let (_, value) = arg.split_once(' ')?;
        Some(shown(value))
    }

    /// The sentence about a value.
    fn refused(&self, reason: &str) -> Option<String> {
        let name = self.name()?;
        let value = self.first(ContextKind::InvalidValue)?;
        Some(match SECRETS.contains(&name.as_str()) {
            true => format!("{name}: {reason}"),
            false => format!("{name} {}: {reason}", quoted(&value)),
        })
    }

    /// What may have been meant, or else where all of it is found.
    fn nearest(&self, suggested: ContextKind, which: &str) -> String {
        match self.texts(suggested).as_slice() {
            [] => self.help(which),
            nearest => format!("the nearest is {}", any_of(nearest)),
        }
    }

    fn help(&self, which: &str) -> String {
        let usage = match self.0.get(ContextKind::Usage) {
            Some(ContextValue::StyledStr(usage)) => usage.to_string(),
            _ => String::new(),
        };
        let words = usage
            .split_whitespace()
            .skip_while(|word| *word != "llmeter");
        let command: Vec<_> = words
            .take_while(|word| word.starts_with(|c: char| c.is_ascii_lowercase()))
            .collect();
        match command.is_empty() {
            true => format!("`llmeter --help` {which}"),
            false => format!("`{} --help` {which}", command.join(" ")),
        }
    }
}

/// Why a value is refused: what is expected.
fn reason(source: &(dyn Error + 'static)) -> String {
    if let Some(number) = source.downcast_ref::<ParseIntError>() {
        return match number.kind() {
            IntErrorKind::PosOverflow => "expected a smaller number",
            _ => "expected a whole number of 0 or more",
        }
        .to_owned();
    }
    if source.is::<ParseFloatError>() {
        return "expected a number".to_owned();
    }
    let text = source.to_string();
    // What the parser says of a number outside its range.
    match text
        .split_once(" is not in ")
        .and_then(|(_, range)| range.split_once(".."))
    {
        Some((from, to)) => match to.trim_start_matches('=').parse::<u64>() {
            Ok(to) if to < u64::from(u32::MAX) => format!("expected from {from} to {to}"),
            _ => format!("expected {from} or more"),
        },
        None => text,
    }
}

/// A name without marks, and without that of the value.
fn shown(arg: &str) -> String {
    let name = match arg.starts_with('-') {
        true => arg.split([' ', '=']).next().unwrap_or(arg),
        false => arg,
    };
    name.trim_end_matches("...")
        .trim_matches(['<', '>', '[', ']'])
        .to_owned()
}

/// A text of the user's, within a sentence.
fn quoted(text: &str) -> String {
    match text.is_empty() || text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        true => format!("{text:?}"),
        false => text.to_owned(),
    }
}

/// `a, b or c`.
fn any_of(names: &[String]) -> String {
    match names {
        [first @ .., last] if !first.is_empty() => format!("{} or {last}", first.join(", ")),
        _ => names.concat(),
    }
}
