//! How long users think before they go on.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use rand::{Rng, RngExt};
use statrs::distribution::{ContinuousCDF, LogNormal, Normal};

use crate::base::setting::THINK_TIME;

/// The longest time that anybody thinks, in seconds: a draw beyond is cut.
const LONGEST: f64 = 86_400.0;

/// The pause between the end of an answer and the next turn of its conversation.
///
/// ```
/// use llmeter::load::ThinkTime;
///
/// let think: ThinkTime = "lognormal:10s,4s".parse()?;
/// assert_eq!((think.mean(), think.to_string().as_str()), (10.0, "lognormal:10s,4s"));
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
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
}

impl ThinkTime {
    /// The mean, in seconds; of a normal distribution before its negative part is cut off.
    pub fn mean(self) -> f64 {
        match self {
            Self::Uniform(from, to) => (from.as_secs_f64() + to.as_secs_f64()) / 2.0,
            Self::Fixed(mean)
            | Self::Normal(mean, _)
            | Self::LogNormal(mean, _)
            | Self::Exponential(mean) => mean.as_secs_f64(),
        }
    }

    /// A time.
    pub(crate) fn sample(self, random: &mut impl Rng) -> Duration {
        // Not 0, whose logarithm has no end.
        let at = 1.0 - random.random::<f64>();
        let seconds = match self {
            Self::Fixed(time) => return time,
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
        // Never before the answer is there.
        let think: ThinkTime = "normal:1s,5s".parse().unwrap();
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let least = (0..1_000).map(|_| think.sample(&mut random)).min();
        assert!(least.unwrap() < Duration::from_millis(50));
    }
}
