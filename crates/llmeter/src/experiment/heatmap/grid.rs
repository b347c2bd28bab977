//! What a heatmap measures, and its cells.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::bins::heatmap_bins;
use crate::api::InvocationResponse;
use crate::stats::{Condition, Interval, Percentile, Support, is_met_by};

/// The combinations of a heatmap, as `heatmap.json` has them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeatmapGrid {
    /// Lengths of prompts, in tokens.
    pub input_lengths: Vec<u64>,
    /// Limits of the output, in tokens.
    pub output_lengths: Vec<u64>,
    /// How often each combination is measured.
    pub requests_per_combination: u64,
    /// The combination of each payload, in the order of `payload.jsonl`: input and output length.
    pub combinations: Vec<(u64, u64)>,
}

/// The cells of a heatmap: rows by input tokens, columns by output tokens.
#[derive(Debug, Clone, PartialEq)]
pub struct HeatmapTable {
    /// The input tokens of each row, from fewer to more; the end is not included.
    pub rows: Vec<Range<u64>>,
    /// The output tokens of each column, from fewer to more; the end is not included.
    pub columns: Vec<Range<u64>>,
    /// The cells of each row.
    pub cells: Vec<Vec<HeatmapCell>>,
}

/// A latency of the successful requests of a cell, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellLatency {
    /// The median, or the only value.
    pub median: f64,
    /// Requests that have it.
    pub count: u64,
    /// The 95 % interval of the median; `None` with fewer than six values.
    pub interval: Option<Interval>,
}

impl CellLatency {
    /// Of values in time order. With a hundred of them, their order tells how they depend on one another;
    /// with fewer they are taken to be independent, since requests of a combination come a round apart.
    fn of(mut values: Vec<f64>) -> Option<Self> {
        let interval = match values.len() < Interval::MIN_VALUES {
            true => Interval::of_independent_median(&values, Interval::LEVEL),
            false => Interval::of_percentile(&values, Percentile::P50, Interval::LEVEL),
        };
        values.sort_unstable_by(f64::total_cmp);
        let upper = *values.get(values.len() / 2)?;
        let median = match values.len() % 2 {
            1 => upper,
            _ => f64::midpoint(values[values.len() / 2 - 1], upper),
        };
        Some(Self {
            median,
            count: values.len() as u64,
            interval,
        })
    }

    /// How far its values carry its median.
    pub fn support(&self) -> Support {
        Percentile::P50.support(self.count)
    }
}

/// One cell of a heatmap.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HeatmapCell {
    /// Requests, failed ones included.
    pub requests: u64,
    /// Failed requests.
    pub failures: u64,
    /// Time to first token.
    pub ttft: Option<CellLatency>,
    /// Time per output token.
    pub tpot: Option<CellLatency>,
    /// Time to last token.
    pub ttlt: Option<CellLatency>,
    /// The share of its requests that meet every SLO of single requests; `None` without such SLOs.
    pub goodput_rate: Option<f64>,
}

impl HeatmapGrid {
    /// The combination of a response, by its payload.
    fn combination(&self, response: &InvocationResponse) -> Option<(u64, u64)> {
        let index = response.detail.payload_index.unwrap_or(0);
        self.combinations.get(index as usize).copied()
    }

    /// Cells by what was asked for.
    pub(super) fn nominal(
        &self,
        responses: &[InvocationResponse],
        slos: &[Condition],
    ) -> HeatmapTable {
        let each = |lengths: &[u64]| {
            let mut lengths = lengths.to_vec();
            lengths.sort_unstable();
            lengths.dedup();
            lengths.into_iter().map(|length| length..length + 1)
        };
        let rows = each(&self.input_lengths).collect();
        let columns = each(&self.output_lengths).collect();
        table(rows, columns, responses, slos, |one| self.combination(one))
    }
}

/// Cells by the tokens that were counted, in as many bins at most. Failed requests and those without
/// counts are in none.
pub(super) fn measured(
    responses: &[InvocationResponse],
    slos: &[Condition],
    input_bins: usize,
    output_bins: usize,
) -> HeatmapTable {
    let lengths = |one: &InvocationResponse| {
        let counts = one.num_tokens_input.zip(one.num_tokens_output);
        counts.filter(|_| one.error.is_none())
    };
    let (inputs, outputs): (Vec<_>, Vec<_>) = responses.iter().filter_map(lengths).unzip();
    let bounds = |counts: Vec<u64>, bins| {
        let counts: Vec<f64> = counts.into_iter().map(|count| count as f64).collect();
        let bounds = heatmap_bins(&counts, bins).into_iter();
        bounds.map(|one| one.start as u64..one.end as u64).collect()
    };
    let rows = bounds(inputs, input_bins);
    let columns = bounds(outputs, output_bins);
    table(rows, columns, responses, slos, lengths)
}

fn table(
    rows: Vec<Range<u64>>,
    columns: Vec<Range<u64>>,
    responses: &[InvocationResponse],
    slos: &[Condition],
    lengths: impl Fn(&InvocationResponse) -> Option<(u64, u64)>,
) -> HeatmapTable {
    let mut groups = vec![vec![Vec::new(); columns.len()]; rows.len()];
    for response in responses {
        let place = |lengths: &[Range<u64>], length| {
            lengths.iter().position(|bounds| bounds.contains(&length))
        };
        if let Some((input, output)) = lengths(response)
            && let (Some(row), Some(column)) = (place(&rows, input), place(&columns, output))
        {
            groups[row][column].push(response);
        }
    }
    let cells = groups.into_iter();
    let cells = cells.map(|row| row.iter().map(|group| cell(group, slos)).collect());
    HeatmapTable {
        cells: cells.collect(),
        rows,
        columns,
    }
}

fn cell(responses: &[&InvocationResponse], slos: &[Condition]) -> HeatmapCell {
    let succeeded = || responses.iter().filter(|one| one.error.is_none());
    let latency = |latency: fn(&InvocationResponse) -> Option<f64>| {
        CellLatency::of(succeeded().filter_map(|one| latency(one)).collect())
    };
    let of_requests: Vec<_> = slos.iter().filter(|slo| slo.is_per_request()).collect();
    let is_good = |one: &&&InvocationResponse| of_requests.iter().all(|slo| is_met_by(slo, one));
    let good = responses.iter().filter(is_good).count();
    let is_judged = !of_requests.is_empty() && !responses.is_empty();
    HeatmapCell {
        goodput_rate: is_judged.then(|| good as f64 / responses.len() as f64),
        requests: responses.len() as u64,
        failures: (responses.len() - succeeded().count()) as u64,
        ttft: latency(|one| one.time_to_first_token),
        tpot: latency(|one| one.time_per_output_token),
        ttlt: latency(|one| one.time_to_last_token),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_any_number_of_values() {
        let median = |values: &[f64]| Some(CellLatency::of(values.to_vec())?.median);
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0]), Some(3.0));
        assert_eq!(median(&[3.0, 1.0]), Some(2.0));
        assert_eq!(median(&[3.0, 1.0, 9.0]), Some(3.0));
        let mixed = |count: u32| (0..count).map(|at| f64::from(at * 7919 % 101));
        let of = |count: u32| CellLatency::of(mixed(count).collect()).unwrap();
        assert_eq!((of(5).interval, of(5).support()), (None, Support::Weak));
        // The extremes of six values leave out the median in one of 32 samples.
        let six = of(6).interval.unwrap();
        let ends = mixed(6).fold((f64::MAX, 0.0), |(low, high): (f64, f64), at| {
            (low.min(at), high.max(at))
        });
        assert_eq!((six.low, six.high), ends);
        assert!(of(200).interval.is_some());
    }

    fn ttlt(cell: &HeatmapCell) -> Option<f64> {
        cell.ttlt.map(|one| one.median)
    }

    fn response(index: u32, tokens: (u64, u64), ttlt: f64) -> InvocationResponse {
        let mut response = InvocationResponse {
            num_tokens_input: Some(tokens.0),
            num_tokens_output: Some(tokens.1),
            time_to_last_token: Some(ttlt),
            ..InvocationResponse::default()
        };
        response.detail.payload_index = Some(index);
        response
    }

    #[test]
    fn cells_by_nominal_and_by_measured_lengths() {
        let grid = HeatmapGrid {
            input_lengths: vec![64, 16],
            output_lengths: vec![8],
            requests_per_combination: 1,
            combinations: vec![(64, 8), (16, 8)],
        };
        let mut failed = response(1, (20, 2), 9.0);
        failed.error = Some(crate::Failure::new(crate::FailureKind::Timeout, "late"));
        let responses = [response(0, (70, 8), 2.0), response(1, (20, 4), 1.0), failed];
        let slos = ["ttlt < 1.5s".parse::<Condition>().unwrap()];
        let nominal = grid.nominal(&responses, &slos);
        assert_eq!(nominal.rows, [16..17, 64..65]);
        assert_eq!((nominal.columns.len(), &nominal.columns[0]), (1, &(8..9)));
        let [short, long] = [&nominal.cells[0][0], &nominal.cells[1][0]];
        assert_eq!(
            (short.requests, short.failures, ttlt(short)),
            (2, 1, Some(1.0))
        );
        assert_eq!(
            (long.requests, long.failures, ttlt(long)),
            (1, 0, Some(2.0))
        );
        // The failed one meets none.
        assert_eq!(
            (short.goodput_rate, long.goodput_rate),
            (Some(0.5), Some(0.0))
        );
        let measured = measured(&responses, &[], 2, 2);
        assert_eq!(measured.rows, [20..45, 45..71]);
        assert_eq!(measured.columns, [4..6, 6..9]);
        assert_eq!(ttlt(&measured.cells[0][0]), Some(1.0));
        assert_eq!(ttlt(&measured.cells[1][1]), Some(2.0));
        assert_eq!(measured.cells[0][1], HeatmapCell::default());
    }
}
