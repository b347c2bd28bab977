//! Statistics by type: what a metric's values are in [`Stats`](super::Stats).

use serde_json::{Map, Value};

use super::interval::Interval;
use super::metric::{Metric, MetricKind};

type Flat = Map<String, Value>;

/// A type that a metric can have in [`Stats`](super::Stats).
pub(super) trait MetricValue: Sized {
    const KIND: MetricKind;

    /// Reads the metric of this key from all statistics.
    fn read(stats: &Flat, key: &str) -> Self;
}

/// Figures that are one value: how to read it, and what stands for an absent one.
macro_rules! single_values {
    ($($type:ty: $kind:ident, $read:expr;)+) => {$(
        impl MetricValue for $type {
            const KIND: MetricKind = MetricKind::$kind;

            fn read(stats: &Flat, key: &str) -> Self {
                let read: fn(Option<&Value>) -> Self = $read;
                read(stats.get(key))
            }
        }
    )+};
}

single_values! {
    u64: Count, |value| value.and_then(count).unwrap_or(0);
    f64: Number, |value| value.and_then(Value::as_f64).unwrap_or(0.0);
    bool: Flag, |value| value.and_then(Value::as_bool).unwrap_or(false);
    Option<u64>: Count, |value| value.and_then(count);
    Option<f64>: Number, |value| value?.as_f64();
    Option<bool>: Flag, |value| value?.as_bool();
    Option<String>: Text, |value| Some(value?.as_str()?.to_owned());
    Vec<String>: List, |value| list(value).filter_map(|one| Some(one.as_str()?.to_owned())).collect();
    Vec<Value>: List, |value| list(value).cloned().collect();
    Value: Any, |value| value.cloned().unwrap_or_default();
}

fn list(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

/// The Python package sums tokens as floats.
fn count(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| Some(value.as_f64()? as u64))
}

/// One figure for each name, in the order of the statistics.
impl<T: MetricValue> MetricValue for Vec<(String, T)> {
    const KIND: MetricKind = MetricKind::PerName(&T::KIND);

    fn read(stats: &Flat, key: &str) -> Self {
        let mut names = Vec::new();
        for found in stats.keys() {
            if let Some((metric, name)) = Metric::of(found)
                && metric.key == key
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        let Some(metric) = Metric::named(key) else {
            return Vec::new();
        };
        let figure = |name: &str| (name.to_owned(), T::read(stats, &metric.key_for(name)));
        names.into_iter().map(figure).collect()
    }
}

impl Latency {
    /// The distribution of one latency, from all statistics.
    pub(crate) fn of(stats: &Flat, metric: &Metric) -> Self {
        Self::read(stats, metric.key)
    }
}

/// The intervals of a latency's statistics, at [`Interval::LEVEL`]. `None` where the sample cannot carry
/// one, in low memory but for the mean, and in files of earlier versions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Intervals {
    /// That of the mean.
    pub average: Option<Interval>,
    /// That of the median.
    pub p50: Option<Interval>,
    /// That of the 90th percentile.
    pub p90: Option<Interval>,
    /// That of the 95th percentile.
    pub p95: Option<Interval>,
    /// That of the 99th percentile.
    pub p99: Option<Interval>,
    /// That of the 99.9th percentile.
    pub p99_9: Option<Interval>,
}

impl Intervals {
    /// That of the statistic of this name, as `stats.json` has it: `average`, `p50`, …
    pub fn of(&self, statistic: &str) -> Option<Interval> {
        match statistic {
            "average" => self.average,
            "p50" => self.p50,
            "p90" => self.p90,
            "p95" => self.p95,
            "p99" => self.p99,
            "p99.9" => self.p99_9,
            _ => None,
        }
    }

    fn read(stats: &Flat, key: &str) -> Self {
        let read = |name: &str| Interval::read(stats, &format!("{key}-{name}"));
        Self {
            average: read("average"),
            p50: read("p50"),
            p90: read("p90"),
            p95: read("p95"),
            p99: read("p99"),
            p99_9: read("p99.9"),
        }
    }
}

impl Interval {
    /// The interval of the statistic of this key, such as `time_to_first_token-p90`.
    pub(crate) fn read(stats: &Flat, key: &str) -> Option<Self> {
        let end = |name: &str| stats.get(&format!("{key}-{name}"))?.as_f64();
        Some(Self {
            low: end("ci_low")?,
            high: end("ci_high")?,
            level: Self::LEVEL,
        })
    }

    /// Its keys beside that of the statistic.
    pub(super) fn write(self, stats: &mut Flat, key: &str) {
        for (name, end) in [("ci_low", self.low), ("ci_high", self.high)] {
            stats.insert(format!("{key}-{name}"), end.into());
        }
    }
}

impl MetricValue for Option<Interval> {
    const KIND: MetricKind = MetricKind::Statistics(&["ci_low", "ci_high"]);

    fn read(stats: &Flat, key: &str) -> Self {
        Interval::read(stats, key)
    }
}

/// A statistic of a metric. Folders of the Python package do not say how many values there are: those of
/// all successful requests at most.
fn statistic(stats: &Flat, key: &str, name: &str) -> Option<f64> {
    if let Some(known) = stats.get(&format!("{key}-{name}")) {
        return known.as_f64();
    }
    let is_counted = name == "count" && stats.contains_key(&format!("{key}-average"));
    let metric = Metric::named(key).filter(|metric| is_counted && metric.is_of_responses());
    let of_run = |key: &str| stats.get(key).and_then(Value::as_f64);
    Some(of_run(metric.map(|_| "total_requests")?)? - of_run("failed_requests").unwrap_or(0.0))
}

/// Figures that are several statistics of the same values.
macro_rules! statistics {
    ($(
        $(#[doc = $doc:literal])+
        pub struct $name:ident {
            $($(#[doc = $field_doc:literal])+ pub $field:ident: $key:literal,)+
        }
        $(with $($with_key:literal)+)?
        $(also $also:ident: $also_type:ty, $($also_key:literal)+)?
    )+) => {$(
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, Default, PartialEq)]
        pub struct $name {
            $($(#[doc = $field_doc])+ pub $field: Option<f64>,)+
            $(
                /// Their intervals.
                pub $also: $also_type,
            )?
        }

        impl $name {
            /// The statistics by the names that they have in `stats.json`.
            pub fn named(&self) -> [(&'static str, Option<f64>); [$($key),+].len()] {
                [$(($key, self.$field)),+]
            }
        }

        impl MetricValue for $name {
            const KIND: MetricKind = MetricKind::Statistics(&[
                $($key,)+ $($($with_key,)+)? $($($also_key,)+)?
            ]);

            fn read(stats: &Flat, key: &str) -> Self {
                let read = |name: &str| statistic(stats, key, name);
                Self { $($field: read($key),)+ $($also: <$also_type>::read(stats, key))? }
            }
        }
    )+};
}

statistics! {
    /// How counts or costs are distributed. All are `None` without values.
    pub struct Distribution {
        /// The mean.
        pub average: "average",
        /// The median.
        pub p50: "p50",
        /// The 90th percentile.
        pub p90: "p90",
        /// The 99th percentile.
        pub p99: "p99",
        /// How many values there are.
        pub count: "count",
    }
    with "p50-beyond" "p90-beyond" "p99-beyond"

    /// How a latency is distributed, in seconds. All are `None` without values.
    pub struct Latency {
        /// The mean.
        pub average: "average",
        /// The median.
        pub p50: "p50",
        /// The 90th percentile.
        pub p90: "p90",
        /// The 95th percentile, from 20 values on.
        pub p95: "p95",
        /// The 99th percentile.
        pub p99: "p99",
        /// The 99.9th percentile, from 1,000 values on.
        pub p99_9: "p99.9",
        /// How many values there are.
        pub count: "count",
    }
    also intervals: Intervals,
        "average-ci_low" "average-ci_high" "p50-ci_low" "p50-ci_high" "p90-ci_low" "p90-ci_high"
        "p95-ci_low" "p95-ci_high" "p99-ci_low" "p99-ci_high" "p99.9-ci_low" "p99.9-ci_high"
        "p50-beyond" "p90-beyond" "p95-beyond" "p99-beyond" "p99.9-beyond"

    /// How far durations of the meter's own reach.
    pub struct Delays {
        /// The median.
        pub p50: "p50",
        /// The 99th percentile.
        pub p99: "p99",
        /// The longest.
        pub max: "max",
    }

    /// How far a metric was off when it was calibrated.
    pub struct CalibrationErrors {
        /// The mean.
        pub mean: "mean",
        /// The median.
        pub p50: "p50",
        /// The 99th percentile.
        pub p99: "p99",
    }
}
