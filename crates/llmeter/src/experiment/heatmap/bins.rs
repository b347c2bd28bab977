//! The bins of a heatmap.

use std::ops::Range;

/// Bins of equal width over these values, as the Python package has them: the width is a whole number, 1
/// at least, and the end of the last bin is beyond the largest value. Equal values have one bin, no values
/// none.
///
/// ```
/// # use llmeter::experiment::heatmap_bins;
/// assert_eq!(heatmap_bins(&[1.0, 2.0, 3.0, 4.0], 2), [1.0..3.0, 3.0..5.0]);
/// ```
pub fn heatmap_bins(values: &[f64], bins: usize) -> Vec<Range<f64>> {
    let min = values.iter().copied().fold(f64::INFINITY, f64::min);
    let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if values.is_empty() || bins == 0 {
        return Vec::new();
    }
    if min == max {
        return vec![Range {
            start: min,
            end: min + 1.0,
        }];
    }
    let width = ((max - min) / bins as f64).ceil().max(1.0);
    let edge = |index: usize| min + index as f64 * width;
    let last = match edge(bins) {
        end if end <= max => max + 1.0,
        end => end,
    };
    let end = |index| if index == bins { last } else { edge(index) };
    (0..bins).map(|index| edge(index)..end(index + 1)).collect()
}
