//! Distributions of lengths, in tokens or turns.

use std::path::Path;
use std::sync::Arc;

use rand::{Rng, RngExt};
use statrs::distribution::{ContinuousCDF, LogNormal, Normal};

use crate::base::error::{Error, Result};
use crate::base::file;

/// The longest length that is taken.
const MAX_LENGTH: u64 = 16 << 20;
/// Bytes of a file with a histogram.
const MAX_FILE: u64 = 64 << 20;

/// A distribution of whole numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Lengths {
    shape: Shape,
    min: u64,
    max: u64,
}

#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Fixed(u64),
    Uniform,
    Normal {
        mean: f64,
        stdev: f64,
    },
    /// By the mean and the standard deviation of its logarithm.
    LogNormal {
        location: f64,
        scale: f64,
    },
    Histogram(Arc<[Bin]>),
}

/// A part of a histogram: lengths from the first to the last, and the share of this bin and all before it.
#[derive(Debug, Clone, PartialEq)]
struct Bin {
    first: u64,
    last: u64,
    cumulative: f64,
}

/// What is said of a distribution: `prompt_tokens`, `prompt_tokens_stdev`, ….
#[derive(Debug, Clone, Default)]
pub(super) struct LengthSettings {
    pub(super) name: &'static str,
    /// A number, or `histogram:FILE`.
    pub(super) value: Option<String>,
    pub(super) distribution: Option<String>,
    pub(super) stdev: Option<String>,
    pub(super) min: Option<String>,
    pub(super) max: Option<String>,
}

impl Lengths {
    /// Always the same length.
    pub const fn fixed(length: u64) -> Self {
        Self {
            shape: Shape::Fixed(length),
            min: length,
            max: length,
        }
    }

    /// A length.
    pub fn sample(&self, random: &mut impl Rng) -> u64 {
        let (min, max) = (self.min as f64, self.max as f64);
        let draw = match &self.shape {
            Shape::Fixed(length) => return *length,
            Shape::Uniform => return random.random_range(self.min..=self.max),
            Shape::Normal { mean, stdev } => match Normal::new(*mean, *stdev) {
                Ok(normal) => truncated(&normal, min - 0.5, max + 0.5, random),
                Err(_) => *mean,
            },
            Shape::LogNormal { location, scale } => match LogNormal::new(*location, *scale) {
                Ok(log_normal) => truncated(&log_normal, min - 0.5, max + 0.5, random),
                Err(_) => location.exp(),
            },
            Shape::Histogram(bins) => {
                let at: f64 = random.random();
                let place = bins.partition_point(|bin| bin.cumulative <= at);
                let bin = &bins[place.min(bins.len() - 1)];
                return random.random_range(bin.first..=bin.last);
            }
        };
        draw.round().clamp(min, max) as u64
    }

    /// The shortest length that it can give.
    pub fn min(&self) -> u64 {
        self.min
    }

    /// The longest length that it can give; very large if there is no bound.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// From what a user says of it; `None` if nothing is said.
    pub(super) fn parse(given: &LengthSettings) -> Result<Option<Self>> {
        let name = given.name;
        let key = |end: &str| format!("{name}{end}");
        if let Some(file) = given
            .value
            .as_deref()
            .and_then(|value| value.strip_prefix("histogram:"))
        {
            let others = [
                ("_distribution", &given.distribution),
                ("_stdev", &given.stdev),
                ("_min", &given.min),
                ("_max", &given.max),
            ];
            if let Some((end, _)) = others.iter().find(|(_, other)| other.is_some()) {
                let reason = format!("{name} is a histogram, which says it already");
                return Err(Error::refused(key(end), reason));
            }
            return histogram(Path::new(file)).map(Some);
        }
        let mean = number(name, given.value.as_deref())?;
        let stdev = number(&key("_stdev"), given.stdev.as_deref())?;
        let min = length(&key("_min"), given.min.as_deref())?;
        let max = length(&key("_max"), given.max.as_deref())?;
        let by_default = match (mean, stdev) {
            (_, Some(_)) => "normal",
            (Some(_), None) => "fixed",
            (None, None) if min.is_some() && max.is_some() => "uniform",
            (None, None) if min.is_none() && max.is_none() && given.distribution.is_none() => {
                return Ok(None);
            }
            (None, None) => "fixed",
        };
        let distribution = given.distribution.as_deref().unwrap_or(by_default);
        let need = |value: Option<f64>, end: &str| {
            value.ok_or_else(|| {
                Error::refused(key(end), format!("a {distribution} distribution needs it"))
            })
        };
        let unused = |end: &str, is_given: bool| match is_given {
            false => Ok(()),
            true => {
                let reason = format!("a {distribution} distribution has none");
                Err(Error::refused(key(end), reason))
            }
        };
        let [lowest, highest] = [min.unwrap_or(1), max.unwrap_or(MAX_LENGTH)];
        if lowest > highest {
            let expected = format!("{} or less", highest);
            return Err(Error::field(key("_min"), lowest, expected));
        }
        let shape = match distribution {
            "fixed" => {
                unused("_stdev", stdev.is_some())?;
                unused("_min", min.is_some())?;
                unused("_max", max.is_some())?;
                need(mean, "")?;
                let fixed = length(name, given.value.as_deref())?.unwrap_or(1);
                return Ok(Some(Self::fixed(fixed)));
            }
            "uniform" => {
                unused("", mean.is_some())?;
                unused("_stdev", stdev.is_some())?;
                need(min.map(|min| min as f64), "_min")?;
                need(max.map(|max| max as f64), "_max")?;
                Shape::Uniform
            }
            "normal" => Shape::Normal {
                mean: need(mean, "")?,
                stdev: need(stdev, "_stdev")?,
            },
            "lognormal" => {
                let (mean, stdev) = (need(mean, "")?, need(stdev, "_stdev")?);
                // So that mean and standard deviation are those of the lengths.
                let variance = (1.0 + (stdev / mean).powi(2)).ln();
                Shape::LogNormal {
                    location: mean.ln() - variance / 2.0,
                    scale: variance.sqrt(),
                }
            }
            other => {
                let expected = "fixed, normal, lognormal or uniform";
                return Err(Error::field(key("_distribution"), other, expected));
            }
        };
        Ok(Some(Self {
            shape,
            min: lowest,
            max: highest,
        }))
    }
}

/// A number above 0.
fn number(name: &str, text: Option<&str>) -> Result<Option<f64>> {
    let Some(text) = text else {
        return Ok(None);
    };
    let number = text.parse().ok();
    match number.filter(|number| *number > 0.0 && *number <= MAX_LENGTH as f64) {
        Some(number) => Ok(Some(number)),
        None => Err(refused_number(name, text)),
    }
}

fn length(name: &str, text: Option<&str>) -> Result<Option<u64>> {
    let Some(text) = text else {
        return Ok(None);
    };
    match text.parse() {
        Ok(length) if (1..=MAX_LENGTH).contains(&length) => Ok(Some(length)),
        _ => Err(refused_number(name, text)),
    }
}

fn refused_number(name: &str, text: &str) -> Error {
    Error::field(
        name.to_owned(),
        text,
        format!("a whole number from 1 to {MAX_LENGTH}"),
    )
}

/// A value between two bounds, by the part of the distribution that lies there.
fn truncated(
    distribution: &impl ContinuousCDF<f64, f64>,
    low: f64,
    high: f64,
    random: &mut impl Rng,
) -> f64 {
    let (from, to) = (distribution.cdf(low), distribution.cdf(high));
    let at: f64 = random.random();
    // A bound far from all values leaves nothing to draw from: the bound is next to it.
    match to - from > 1e-12 {
        true => distribution.inverse_cdf(from + at * (to - from)),
        false if from > 0.5 => low,
        false => high,
    }
}

/// Lines of a length, or a range of them, and how often it comes: `512 30`, `1024-2047,5`.
fn histogram(path: &Path) -> Result<Lengths> {
    let bytes = file::read(path, MAX_FILE).map_err(Error::io("reading", path))?;
    let content = |line: Option<usize>, reason: String| Error::Content {
        path: path.to_path_buf(),
        line,
        column: None,
        reason,
        source: None,
    };
    let text = String::from_utf8_lossy(&bytes);
    let mut bins = Vec::new();
    let mut total = 0.0;
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let bin = parse_bin(line).ok_or_else(|| {
            let reason = format!(
                "{line:?} is no length with its frequency, like \"512 30\" or \"1024-2047 5\""
            );
            content(Some(index + 1), reason)
        })?;
        if bin.2 > 0.0 {
            total += bin.2;
            bins.push((bin.0, bin.1, total));
        }
    }
    if bins.is_empty() {
        let reason = "the histogram is empty; each line is a length and how often it comes";
        return Err(content(None, reason.to_owned()));
    }
    let min = bins.iter().map(|bin| bin.0).min().unwrap_or(1);
    let max = bins.iter().map(|bin| bin.1).max().unwrap_or(1);
    let bins = bins.into_iter().map(|(first, last, cumulative)| Bin {
        first,
        last,
        cumulative: cumulative / total,
    });
    Ok(Lengths {
        shape: Shape::Histogram(bins.collect()),
        min,
        max,
    })
}

fn parse_bin(line: &str) -> Option<(u64, u64, f64)> {
    let mut parts = line
        .split([',', ';', '\t', ' '])
        .map(str::trim)
        .filter(|part| !part.is_empty());
    let (lengths, weight) = (parts.next()?, parts.next()?);
    let weight: f64 = weight.parse().ok()?;
    let (first, last) = lengths.split_once('-').unwrap_or((lengths, lengths));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    let is_usable = parts.next().is_none()
        && (1..=last).contains(&first)
        && last <= MAX_LENGTH
        && weight >= 0.0
        && weight.is_finite();
    is_usable.then_some((first, last, weight))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn parsed(keys: &[(&str, &str)]) -> Result<Option<Lengths>> {
        let of = |end: &str| {
            let found = keys.iter().find(|(key, _)| *key == end);
            found.map(|(_, value)| (*value).to_owned())
        };
        Lengths::parse(&LengthSettings {
            name: "n",
            value: of(""),
            distribution: of("_distribution"),
            stdev: of("_stdev"),
            min: of("_min"),
            max: of("_max"),
        })
    }

    /// Mean, standard deviation, lowest and highest of many.
    fn moments(lengths: &Lengths) -> [f64; 4] {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        let values: Vec<f64> = (0..20_000)
            .map(|_| lengths.sample(&mut random) as f64)
            .collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values
            .iter()
            .map(|value| (value - mean).powi(2))
            .sum::<f64>()
            / count;
        let fold = |start, pick: fn(f64, f64) -> f64| values.iter().copied().fold(start, pick);
        [
            mean,
            variance.sqrt(),
            fold(f64::MAX, f64::min),
            fold(0.0, f64::max),
        ]
    }

    #[test]
    fn distributions_have_the_moments_that_are_asked_for() {
        for (keys, expected) in [
            (vec![("", "512")], [512.0, 0.0]),
            (vec![("", "512"), ("_stdev", "64")], [512.0, 64.0]),
            (
                vec![
                    ("", "512"),
                    ("_stdev", "256"),
                    ("_distribution", "lognormal"),
                ],
                [512.0, 256.0],
            ),
            (vec![("_min", "100"), ("_max", "300")], [200.0, 58.0]),
        ] {
            let [mean, stdev, ..] = moments(&parsed(&keys).unwrap().unwrap());
            assert!(
                (mean - expected[0]).abs() <= 0.02 * expected[0],
                "{keys:?}: {mean}"
            );
            assert!(
                (stdev - expected[1]).abs() <= 0.05 * expected[1],
                "{keys:?}: {stdev}"
            );
        }
    }

    #[test]
    fn bounds_truncate_and_do_not_pile_up() {
        let keys = [
            ("", "100"),
            ("_stdev", "100"),
            ("_min", "50"),
            ("_max", "150"),
        ];
        let lengths = parsed(&keys).unwrap().unwrap();
        let [_, _, low, high] = moments(&lengths);
        assert_eq!((low, high), (50.0, 150.0));
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let at_bound = (0..10_000).filter(|_| lengths.sample(&mut random) == 50);
        assert!(
            at_bound.count() < 300,
            "a share like that of its neighbours"
        );
        let far = [
            ("", "10"),
            ("_stdev", "1"),
            ("_min", "1000"),
            ("_max", "2000"),
        ];
        assert_eq!(
            moments(&parsed(&far).unwrap().unwrap())[2..],
            [1000.0, 1000.0]
        );
    }

    #[test]
    fn a_histogram_file_gives_its_shares() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("h.txt");
        std::fs::write(&file, "# lengths\n10 3\n\n20-29, 1\n99 0\n").unwrap();
        let value = format!("histogram:{}", file.display());
        let lengths = parsed(&[("", &value)]).unwrap().unwrap();
        assert_eq!((lengths.min(), lengths.max()), (10, 29));
        let mut random = ChaCha8Rng::seed_from_u64(3);
        let drawn: Vec<_> = (0..10_000).map(|_| lengths.sample(&mut random)).collect();
        assert!(
            drawn
                .iter()
                .all(|length| *length == 10 || (20..30).contains(length))
        );
        let tens = drawn.iter().filter(|length| **length == 10).count();
        assert!((7_200..7_800).contains(&tens), "{tens}");
        std::fs::write(&file, "10 3\nten 4\n").unwrap();
        let error = parsed(&[("", &value)]).unwrap_err().to_string();
        assert!(
            error.contains("line 2") && error.contains("\"ten 4\""),
            "{error}"
        );
        let error = parsed(&[("", &value), ("_min", "3")])
            .unwrap_err()
            .to_string();
        assert!(error.contains("histogram"), "{error}");
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        for (keys, sentence) in [
            (vec![("", "0")], "n 0: expected a whole number"),
            (vec![("", "2.5")], "n 2.5: expected a whole number"),
            (
                vec![("", "5"), ("_distribution", "zipf")],
                "n_distribution zipf",
            ),
            (
                vec![("", "5"), ("_min", "2")],
                "n_min: a fixed distribution has none",
            ),
            (vec![("_stdev", "5")], "n: a normal distribution needs it"),
            (
                vec![("", "5"), ("_distribution", "normal")],
                "n_stdev: a normal distribution needs it",
            ),
            (
                vec![("", "5"), ("_stdev", "2"), ("_min", "9"), ("_max", "8")],
                "n_min 9: expected 8 or less",
            ),
        ] {
            let error = parsed(&keys).unwrap_err().to_string();
            assert!(error.starts_with(sentence), "{error}");
        }
        assert_eq!(parsed(&[]).unwrap(), None);
    }
}
