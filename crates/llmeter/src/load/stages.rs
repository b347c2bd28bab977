//! A load in stages: rates, clients or sessions that are held or approached, one after the other.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Rate;
use super::profile::Profile;
use crate::base::setting::STAGES;

/// The most clients or sessions of a stage.
const MAX_CLIENTS: u32 = 1_000_000;

/// A load in stages, one after the other: arrival rates of requests or of sessions, or numbers of clients or of
/// sessions at a time.
///
/// ```
/// use llmeter::load::Stages;
///
/// let stages: Stages = "10/s for 30s, ramp to 50/s over 2m, 50/s for 5m".parse()?;
/// assert_eq!(stages.duration().as_secs(), 450);
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Stages(Vec<Stage>);

/// One stage of a load.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// What it holds, or ends at.
    pub level: StageLevel,
    /// Whether it goes there in a straight line from the end of the stage before; the first begins at
    /// nothing.
    pub is_ramp: bool,
    /// How long it takes.
    pub length: Duration,
}

/// What a stage is about.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StageLevel {
    /// Requests arrive at this rate, which may be 0.
    Rate(Rate),
    /// So many clients send one request after the other.
    Clients(u32),
    /// So many conversations at a time: when one ends, the next one begins.
    Sessions(u32),
    /// Conversations begin at this rate, which may be 0.
    SessionRate(Rate),
}

impl StageLevel {
    pub(crate) fn value(self) -> f64 {
        match self {
            Self::Rate(rate) | Self::SessionRate(rate) => rate.per_second(),
            Self::Clients(count) | Self::Sessions(count) => count.into(),
        }
    }

    /// What it counts, in words.
    fn kind(self) -> &'static str {
        match self {
            Self::Rate(_) => "rates",
            Self::Clients(_) => "clients",
            Self::Sessions(_) => "sessions",
            Self::SessionRate(_) => "sessions that arrive",
        }
    }

    fn is_rate(self) -> bool {
        matches!(self, Self::Rate(_) | Self::SessionRate(_))
    }

    /// `50/s`, `64 clients`, `64 sessions` or `10 sessions/s`.
    fn parse(text: &str) -> Option<Self> {
        // A rate with its unit: a number alone might be clients.
        if let Some((count, unit)) = text.split_once('/') {
            return match counted(count, "session") {
                Some(count) => {
                    Rate::parse_or_zero(&format!("{count}/{unit}")).map(Self::SessionRate)
                }
                None => Rate::parse_or_zero(text).map(Self::Rate),
            };
        }
        let count = |what| {
            let count: u32 = counted(text, what)?.parse().ok()?;
            (count <= MAX_CLIENTS).then_some(count)
        };
        let clients = count("client").map(Self::Clients);
        clients.or_else(|| count("session").map(Self::Sessions))
    }
}

/// The number before a word, which may be in the plural.
fn counted<'a>(text: &'a str, what: &str) -> Option<&'a str> {
    let text = text.trim_end();
    let text = text.strip_suffix('s').unwrap_or(text);
    Some(text.strip_suffix(what)?.trim())
}

impl Stages {
    /// # Errors
    /// In words, if there is none, if one has no length, if they are not all of one kind, or if nothing would be
    /// sent.
    pub fn new(stages: Vec<Stage>) -> Result<Self, String> {
        let Some(first) = stages.first() else {
            return Err(format!("no stage; write {STAGES}"));
        };
        if let Some(other) = stages
            .iter()
            .find(|other| other.level.kind() != first.level.kind())
        {
            return Err(format!(
                "{other:#}: a load that begins in {} goes on in {0}",
                first.level.kind()
            ));
        }
        if let Some(empty) = stages.iter().find(|stage| stage.length.is_zero()) {
            return Err(format!("{empty:#}: a stage takes more than 0s"));
        }
        if stages.iter().all(|stage| stage.level.value() == 0.0) {
            return Err("no stage sends anything".to_owned());
        }
        Ok(Self(stages))
    }

    /// The stages, in order.
    pub fn each(&self) -> &[Stage] {
        &self.0
    }

    /// A share of each rate, and of clients or sessions as many as `clients` says.
    ///
    /// # Errors
    /// In words, if nothing is left.
    pub(crate) fn part(&self, share: f64, clients: impl Fn(u32) -> u32) -> Result<Self, String> {
        let stage = |stage: &Stage| Stage {
            level: match stage.level {
                StageLevel::Rate(rate) => StageLevel::Rate(rate.part(share)),
                StageLevel::Clients(all) => StageLevel::Clients(clients(all)),
                StageLevel::Sessions(all) => StageLevel::Sessions(clients(all)),
                StageLevel::SessionRate(rate) => StageLevel::SessionRate(rate.part(share)),
            },
            ..*stage
        };
        Self::new(self.0.iter().map(stage).collect())
    }

    /// How long all of them take.
    pub fn duration(&self) -> Duration {
        self.0.iter().map(|stage| stage.length).sum()
    }

    /// When each ends, after the start.
    pub(crate) fn ends(&self) -> Vec<Duration> {
        let add = |sum: &mut Duration, stage: &Stage| {
            *sum += stage.length;
            Some(*sum)
        };
        self.0.iter().scan(Duration::ZERO, add).collect()
    }

    /// Whether they are about arrival rates, of requests or of sessions.
    pub(crate) fn are_rates(&self) -> bool {
        self.0.iter().all(|stage| stage.level.is_rate())
    }

    /// Whether they are about conversations, at a time or by their rate.
    pub(crate) fn are_sessions(&self) -> bool {
        let is_of_sessions =
            |level| matches!(level, StageLevel::Sessions(_) | StageLevel::SessionRate(_));
        self.0.iter().all(|stage| is_of_sessions(stage.level))
    }

    /// The most clients or sessions of any stage; `None` if they are about rates.
    pub(crate) fn most_at_a_time(&self) -> Option<usize> {
        let counts = self.0.iter().map(|stage| match stage.level {
            StageLevel::Clients(count) | StageLevel::Sessions(count) => Some(count as usize),
            StageLevel::Rate(_) | StageLevel::SessionRate(_) => None,
        });
        counts.collect::<Option<Vec<_>>>()?.into_iter().max()
    }

    /// What they are about, in words.
    pub(crate) fn kind(&self) -> &'static str {
        self.0.first().map_or("nothing", |stage| stage.level.kind())
    }

    /// Rates per second, or clients or sessions, over time.
    pub(crate) fn profile(&self) -> Profile {
        let mut before = 0.0;
        Profile::new(self.0.iter().map(|stage| {
            let to = stage.level.value();
            let from = match stage.is_ramp {
                true => before,
                false => to,
            };
            before = to;
            (stage.length.as_secs_f64(), from, to)
        }))
    }
}

impl FromStr for Stage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let (is_ramp, rest) = match text.strip_prefix("ramp to ") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let parts = rest
            .split_once(" for ")
            .or_else(|| rest.split_once(" over "));
        let parsed = parts.and_then(|(level, length)| {
            Some(Self {
                level: StageLevel::parse(level.trim())?,
                is_ramp,
                length: humantime::parse_duration(length.trim()).ok()?,
            })
        });
        parsed.ok_or_else(|| format!("{text:?} is no stage; write {STAGES}"))
    }
}

impl FromStr for Stages {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let stages = text.split([',', ';', '\n']).map(str::trim);
        let stages = stages.filter(|stage| !stage.is_empty());
        Self::new(stages.map(str::parse).collect::<Result<_, _>>()?)
    }
}

impl fmt::Display for StageLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate(rate) => rate.fmt(formatter),
            Self::Clients(1) => formatter.write_str("1 client"),
            Self::Clients(clients) => write!(formatter, "{clients} clients"),
            Self::Sessions(1) => formatter.write_str("1 session"),
            Self::Sessions(sessions) => write!(formatter, "{sessions} sessions"),
            // The unit of the rate, which follows its number.
            Self::SessionRate(rate) => {
                let rate = rate.to_string();
                let (count, unit) = rate.split_once('/').unwrap_or((&rate, "s"));
                write!(formatter, "{count} sessions/{unit}")
            }
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = humantime::format_duration(self.length);
        match self.is_ramp {
            true => write!(formatter, "ramp to {} over {length}", self.level),
            false => write!(formatter, "{} for {length}", self.level),
        }
    }
}

impl fmt::Display for Stages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, stage) in self.0.iter().enumerate() {
            let separator = if number > 0 { ", " } else { "" };
            write!(formatter, "{separator}{stage}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_written_as_they_are_read() {
        for text in [
            "10/s for 30s, ramp to 50/s over 2m, 50/s for 5m, 200/s for 10s",
            "ramp to 64 clients over 1m, 64 clients for 5m, 1 client for 2m 30s",
            "0/s for 500ms, 90/min for 1m",
            "ramp to 64 sessions over 1m, 64 sessions for 5m, 1 session for 1s",
            "0.5 sessions/s for 30s, ramp to 90 sessions/min over 2m",
        ] {
            let stages: Stages = text.parse().unwrap();
            assert_eq!(stages.to_string(), text);
        }
        let loose: Stages = " 10/s  for 30s;\nramp to 20 / s for 1min, "
            .parse()
            .unwrap();
        assert_eq!(loose.to_string(), "10/s for 30s, ramp to 20/s over 1m");
    }

    #[test]
    fn a_stage_that_makes_no_sense_is_named() {
        for (text, reason) in [
            ("", "no stage"),
            ("10/s for 30s, 50 for 5m", "\"50 for 5m\" is no stage"),
            (
                "10/s for 30s, 5 clients for 5m",
                "5 clients for 5m: a load that begins in rates goes on in rates",
            ),
            (
                "5 sessions for 5m, 5 sessions/s for 5m",
                "5 sessions/s for 5m: a load that begins in sessions goes on in sessions",
            ),
            ("sessions/s for 5m", "\"sessions/s for 5m\" is no stage"),
            ("2 sessions/day for 5m", "is no stage"),
            ("10/s for 0s", "10/s for 0s: a stage takes more"),
            ("0/s for 10s", "no stage sends anything"),
            ("10/s until noon", "\"10/s until noon\" is no stage"),
            ("-1/s for 10s", "is no stage"),
            ("2000000 clients for 1s", "is no stage"),
        ] {
            let refused = text.parse::<Stages>().unwrap_err();
            assert!(
                refused.starts_with(reason) || refused.contains(reason),
                "{refused}"
            );
        }
    }

    #[test]
    fn a_ramp_goes_on_from_the_stage_before() {
        let stages: Stages = "10/s for 30s, ramp to 50/s over 2m, ramp to 0/s over 10s"
            .parse()
            .unwrap();
        let ends: Vec<_> = stages.ends().iter().map(Duration::as_secs).collect();
        assert_eq!(ends, [30, 150, 160]);
        let profile = stages.profile();
        // 300 requests, (10 + 50) / 2 · 120, and 50 / 2 · 10.
        assert_eq!(profile.time_of(300.0), Some(30.0));
        assert_eq!(profile.time_of(300.0 + 3600.0), Some(150.0));
        assert!(profile.time_of(300.0 + 3600.0 + 249.9).is_some());
        assert_eq!(profile.time_of(300.0 + 3600.0 + 250.0), None);
        assert_eq!(stages.most_at_a_time(), None);
        let clients: Stages = "4 clients for 1s, ramp to 9 clients over 2s"
            .parse()
            .unwrap();
        assert_eq!(
            (clients.most_at_a_time(), clients.are_rates()),
            (Some(9), false)
        );
        for (text, most, are_rates) in [
            ("2 sessions for 1s, 8 sessions for 1s", Some(8), false),
            ("2 sessions/s for 1s", None, true),
        ] {
            let stages: Stages = text.parse().unwrap();
            assert!(stages.are_sessions() && !clients.are_sessions());
            assert_eq!(
                (stages.most_at_a_time(), stages.are_rates()),
                (most, are_rates)
            );
        }
    }
}
