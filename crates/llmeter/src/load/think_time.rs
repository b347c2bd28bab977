//! How long users think before they go on.

use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use rand::{Rng, RngExt};
use statrs::distribution::{ContinuousCDF, LogNormal, Normal};

use crate::base::error::{Error, Result};
use crate::base::file;
use crate::base::setting::{Setting, SettingProblem, THINK_TIME};

/// The longest time that anybody thinks, in seconds: a draw beyond is cut.
const LONGEST: f64 = 86_400.0;
/// Bytes of a file with a histogram, and its lines.
const MAX_FILE: u64 = 1 << 20;
const MAX_BINS: usize = 10_000;

/// The pause between the end of an answer and the next turn of its conversation.
///
/// ```
/// use llmeter::load::ThinkTime;
///
/// let think: ThinkTime = "lognormal:10s,4s".parse()?;
/// assert_eq!((think.mean(), think.to_string().as_str()), (10.0, "lognormal:10s,4s"));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum ThinkTime {
    /// Always so long.
    Fixed(Duration),
    /// Anything between two times with the same probability.
    Uniform(Duration, Duration),
    /// A normal distribution with this mean and standard deviation, as far as it is not negative.
    Normal(Duration, Duration),
    /// A log-normal distribution; mean and standard deviation are those of the times.
    LogNormal(Duration, Duration),
    /// An exponential distribution with this mean.
    Exponential(Duration),
    /// What a file says, until it is read.
    File(String),
    /// Times with how often they come; within each any time has the same probability.
    Bins(Arc<[ThinkBin]>),
}

/// A part of a histogram of think times.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThinkBin {
    /// The shortest time.
    pub from: Duration,
    /// The longest time; the same as the shortest for one time alone.
    pub to: Duration,
    /// How often it comes, in any unit.
    pub weight: f64,
}

impl ThinkBin {
    fn middle(&self) -> f64 {
        (self.from.as_secs_f64() + self.to.as_secs_f64()) / 2.0
    }

    /// `2s`, or `1s..5s`, and a weight.
    fn parse(times: &str, between: &str, weight: &str) -> Option<Self> {
        let (from, to) = times.split_once(between).unwrap_or((times, times));
        let bin = Self {
            from: time(from)?,
            to: time(to)?,
            weight: weight.trim().parse().ok()?,
        };
        (bin.from <= bin.to && bin.weight.is_finite() && bin.weight >= 0.0).then_some(bin)
    }
}

impl ThinkTime {
    /// With the file of a histogram read, so that settings which are kept say all of it.
    ///
    /// # Errors
    /// If the file cannot be read or is no histogram.
    pub(crate) fn read(self) -> Result<Self> {
        let Self::File(file) = self else {
            return Ok(self);
        };
        let path = Path::new(&file);
        let refused = |reason: String| Error::Invalid {
            setting: Setting::ThinkTime,
            problem: SettingProblem::Refused {
                reason: format!("{file}: {reason}"),
            },
            hint: None,
        };
        let bytes = file::read(path, MAX_FILE).map_err(|source| refused(source.to_string()))?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().map(str::trim).enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let bin = |(number, line): (usize, &str)| {
            let mut parts = line.split([',', ';', '\t', ' ']);
            let mut parts = parts.by_ref().filter(|part| !part.is_empty());
            let bin = match (parts.next(), parts.next(), parts.next()) {
                (Some(times), Some(weight), None) => ThinkBin::parse(times, "-", weight),
                _ => None,
            };
            bin.ok_or_else(|| {
                refused(format!(
                    "line {}: a time with how often it comes is like \"2s 30\" or \"1s-5s 5\"",
                    number + 1
                ))
            })
        };
        let bins = lines.map(bin).collect::<Result<Vec<_>>>()?;
        match Self::of_bins(bins) {
            Some(think_time) => Ok(think_time),
            None => Err(refused(format!(
                "a histogram has 1 to {MAX_BINS} lines, and a time that comes at all"
            ))),
        }
    }

    fn of_bins(bins: Vec<ThinkBin>) -> Option<Self> {
        let has_weight = bins.iter().any(|bin| bin.weight > 0.0);
        (has_weight && bins.len() <= MAX_BINS).then(|| Self::Bins(bins.into()))
    }

    /// The mean, in seconds; of a normal distribution before its negative part is cut off. Not a number for a file
    /// that has not been read.
    pub fn mean(&self) -> f64 {
        match self {
            Self::File(_) => f64::NAN,
            Self::Bins(bins) => {
                let weights: f64 = bins.iter().map(|bin| bin.weight).sum();
                let sum: f64 = bins.iter().map(|bin| bin.weight * bin.middle()).sum();
                sum / weights
            }
            Self::Uniform(from, to) => (from.as_secs_f64() + to.as_secs_f64()) / 2.0,
            Self::Fixed(mean)
            | Self::Normal(mean, _)
            | Self::LogNormal(mean, _)
            | Self::Exponential(mean) => mean.as_secs_f64(),
        }
    }

    /// A time.
    pub(crate) fn sample(&self, random: &mut impl Rng) -> Duration {
        // Not 0, whose logarithm has no end.
        let at = 1.0 - random.random::<f64>();
        let seconds = match self {
            Self::Fixed(time) => return *time,
            // Files are read when settings are applied.
            Self::File(_) => return Duration::ZERO,
            Self::Bins(bins) => {
                let weights: f64 = bins.iter().map(|bin| bin.weight).sum();
                let mut left = at * weights;
                let chosen = bins.iter().find(|bin| {
                    let is_here = left <= bin.weight && bin.weight > 0.0;
                    left -= bin.weight;
                    is_here
                });
                // Rounding may leave a little beyond the last one.
                let Some(bin) = chosen.or(bins.last()) else {
                    return Duration::ZERO;
                };
                let (from, to) = (bin.from.as_secs_f64(), bin.to.as_secs_f64());
                from + (to - from) * random.random::<f64>()
            }
            Self::Uniform(from, to) => {
                let (from, to) = (from.as_secs_f64(), to.as_secs_f64());
                from + (to - from) * at
            }
            Self::Normal(mean, stdev) => {
                let mean = mean.as_secs_f64();
                match Normal::new(mean, stdev.as_secs_f64()) {
                    Ok(normal) => {
                        let below = normal.cdf(0.0);
                        normal.inverse_cdf(below + at * (1.0 - below))
                    }
                    Err(_) => mean,
                }
            }
            Self::LogNormal(mean, stdev) => {
                let (mean, stdev) = (mean.as_secs_f64(), stdev.as_secs_f64());
                let variance = (1.0 + (stdev / mean).powi(2)).ln();
                match LogNormal::new(mean.ln() - variance / 2.0, variance.sqrt()) {
                    Ok(log_normal) => log_normal.inverse_cdf(at),
                    Err(_) => mean,
                }
            }
            Self::Exponential(mean) => -mean.as_secs_f64() * at.ln(),
        };
        // What has no end becomes the longest.
        Duration::from_secs_f64(seconds.clamp(0.0, LONGEST))
    }
}

/// `2s`, `200ms`, or a plain number of seconds.
fn time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let time = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok()?,
        Err(_) => humantime::parse_duration(text).ok()?,
    };
    (time.as_secs_f64() <= LONGEST).then_some(time)
}

impl FromStr for ThinkTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let Some((kind, rest)) = text.split_once(':') else {
                return time(text).map(Self::Fixed);
            };
            let two = |between: &str| {
                let (one, other) = rest.split_once(between)?;
                Some((time(one)?, time(other)?))
            };
            let with_stdev =
                || two(",").filter(|(mean, stdev)| !mean.is_zero() && !stdev.is_zero());
            match kind.trim() {
                "fixed" => time(rest).map(Self::Fixed),
                "uniform" => {
                    let (from, to) = two("..")?;
                    (from <= to).then_some(Self::Uniform(from, to))
                }
                "normal" => with_stdev().map(|(mean, stdev)| Self::Normal(mean, stdev)),
                "lognormal" => with_stdev().map(|(mean, stdev)| Self::LogNormal(mean, stdev)),
                "exponential" => time(rest)
                    .filter(|mean| !mean.is_zero())
                    .map(Self::Exponential),
                "histogram" => {
                    let file = rest.trim();
                    (!file.is_empty()).then(|| Self::File(file.to_owned()))
                }
                "bins" => {
                    let bin = |bin: &str| {
                        let (times, weight) = bin.split_once('=')?;
                        ThinkBin::parse(times, "..", weight)
                    };
                    Self::of_bins(rest.split(',').map(bin).collect::<Option<_>>()?)
                }
                _ => None,
            }
        };
        parse().ok_or_else(|| THINK_TIME.to_owned())
    }
}

impl fmt::Display for ThinkTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = |time: &Duration| {
            humantime::format_duration(*time)
                .to_string()
                .replace(' ', "")
        };
        match self {
            Self::Fixed(fixed) => formatter.write_str(&time(fixed)),
            Self::Uniform(from, to) => write!(formatter, "uniform:{}..{}", time(from), time(to)),
            Self::Normal(mean, stdev) => {
                write!(formatter, "normal:{},{}", time(mean), time(stdev))
            }
            Self::LogNormal(mean, stdev) => {
                write!(formatter, "lognormal:{},{}", time(mean), time(stdev))
            }
            Self::Exponential(mean) => write!(formatter, "exponential:{}", time(mean)),
            Self::File(file) => write!(formatter, "histogram:{file}"),
            Self::Bins(bins) => {
                for (number, bin) in bins.iter().enumerate() {
                    let before = if number == 0 { "bins:" } else { "," };
                    write!(formatter, "{before}{}", time(&bin.from))?;
                    if bin.from != bin.to {
                        write!(formatter, "..{}", time(&bin.to))?;
                    }
                    write!(formatter, "={}", bin.weight)?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn think_times_are_read_and_written() {
        for (text, written) in [
            ("2s", "2s"),
            ("1.5", "1s500ms"),
            ("0s", "0s"),
            ("fixed:2m", "2m"),
            ("uniform:1s..5s", "uniform:1s..5s"),
            ("normal: 2s, 500ms", "normal:2s,500ms"),
            ("lognormal:10s,4s", "lognormal:10s,4s"),
            ("exponential:3s", "exponential:3s"),
            ("histogram: think.txt", "histogram:think.txt"),
            ("bins:2s=30, 1s..5s=0.5", "bins:2s=30,1s..5s=0.5"),
        ] {
            let think: ThinkTime = text.parse().unwrap();
            assert_eq!(think.to_string(), written);
            assert_eq!(written.parse(), Ok(think));
        }
        for text in [
            "",
            "-1",
            "2d",
            "uniform:5s..1s",
            "uniform:5s",
            "normal:2s",
            "normal:2s,0s",
            "exponential:0s",
            "zipf:1s",
            "lognormal:0s,1s",
            "histogram:",
            "bins:",
            "bins:2s",
            "bins:2s=0",
            "bins:5s..2s=1",
            "bins:2s=-1",
        ] {
            assert!(text.parse::<ThinkTime>().is_err(), "{text}");
        }
    }

    #[test]
    fn times_have_the_moments_that_are_asked_for() {
        for (text, mean, stdev) in [
            ("2s", 2.0, 0.0),
            ("uniform:1s..5s", 3.0, 4.0 / 12_f64.sqrt()),
            ("normal:10s,1s", 10.0, 1.0),
            ("lognormal:10s,4s", 10.0, 4.0),
            ("exponential:3s", 3.0, 3.0),
            ("bins:1s=1,3s=1,9s=0", 2.0, 1.0),
            // Of parts with means 2 and 6, the second three times as often.
            (
                "bins:0s..4s=1,4s..8s=3",
                5.0,
                (16.0_f64 / 12.0 + 3.0).sqrt(),
            ),
        ] {
            let think: ThinkTime = text.parse().unwrap();
            let mut random = ChaCha8Rng::seed_from_u64(1);
            let drawn: Vec<f64> = (0..20_000)
                .map(|_| think.sample(&mut random).as_secs_f64())
                .collect();
            let count = drawn.len() as f64;
            let found = drawn.iter().sum::<f64>() / count;
            let variance = drawn.iter().map(|time| (time - found).powi(2)).sum::<f64>() / count;
            assert!((found - mean).abs() <= 0.03 * mean, "{text}: {found}");
            let spread = variance.sqrt();
            assert!((spread - stdev).abs() <= 0.05 * stdev, "{text}: {spread}");
            assert_eq!(think.mean(), mean);
        }
        assert!(ThinkTime::File("think.txt".to_owned()).mean().is_nan());
        // Never before the answer is there.
        let think: ThinkTime = "normal:1s,5s".parse().unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let least = (0..1_000).map(|_| think.sample(&mut random)).min();
        assert!(least.unwrap() < Duration::from_millis(50));
    }

    #[test]
    fn a_histogram_is_read_from_a_file_and_written_out() {
        let folder = tempfile::tempdir().unwrap();
        let read = |text: &str| {
            let file = folder.path().join("think.txt");
            std::fs::write(&file, text).unwrap();
            let text = format!("histogram:{}", file.display());
            text.parse::<ThinkTime>().unwrap().read()
        };
        let think = read("# how long they think\n2s 30\n\n500ms-1s,10\n").unwrap();
        assert_eq!(think.to_string(), "bins:2s=30,500ms..1s=10");
        assert_eq!(think.to_string().parse(), Ok(think.clone()));
        assert_eq!(think.clone().read().unwrap(), think);
        for (text, reason) in [
            ("2s 30\n2s\n", "line 2: a time with how often"),
            ("2s 30 7\n", "line 1"),
            ("soon 30\n", "line 1"),
            ("# none\n", "a histogram has 1 to"),
        ] {
            let refused = read(text).unwrap_err().to_string();
            assert!(refused.contains(reason), "{refused}");
        }
        let missing: ThinkTime = "histogram:no/such/file".parse().unwrap();
        let refused = missing.read().unwrap_err().to_string();
        assert!(
            refused.starts_with("think_time: no/such/file: "),
            "{refused}"
        );
    }
}
