//! Where a curve of throughput against latency bends.

use std::collections::BTreeMap;

use crate::result::RunResult;

/// What a load test says of the knee of its curve.
///
/// From one level to the next, throughput grows by some factor and latency (TTLT p50) by another.
/// As long as a server has room, throughput grows with the clients and latency stays; once it has
/// none, it is the other way round. The knee is the last level before latency grows by the larger
/// factor of the two.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Knee {
    /// The knee's level, in clients.
    At(usize),
    /// The curve has not reached it: throughput grew by the larger factor up to the last level.
    NotReached,
    /// Fewer than two levels have both figures.
    Unknown,
}

/// The knee of the curve that runs at these numbers of clients make.
pub fn knee(levels: &BTreeMap<usize, RunResult>) -> Knee {
    let points = levels.iter().filter_map(|(clients, result)| {
        let stats = result.stats();
        // Tokens say more than requests where lengths differ.
        let rates = stats.shown_rates();
        let throughput = rates
            .output_tps
            .0
            .or(rates.successful_requests_per_minute.0);
        Some((*clients, throughput?, stats.ttlt.p50?))
    });
    of_points(&points.collect::<Vec<_>>())
}

/// Of levels with throughput and latency, in the order of their clients.
fn of_points(points: &[(usize, f64, f64)]) -> Knee {
    let usable = |point: &&(usize, f64, f64)| point.1 > 0.0 && point.2 > 0.0;
    let points: Vec<_> = points.iter().filter(usable).collect();
    if points.len() < 2 {
        return Knee::Unknown;
    }
    let bend = points.windows(2).find(|step| {
        let gain = step[1].1 / step[0].1;
        let loss = step[1].2 / step[0].2;
        gain < loss
    });
    bend.map_or(Knee::NotReached, |step| Knee::At(step[0].0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_knee_is_before_latency_loses_more_than_throughput_gains() {
        // A server with eight slots, by Little's law.
        let points: Vec<_> = [1, 2, 4, 8, 16, 32]
            .into_iter()
            .map(|clients| {
                let served = clients.min(8) as f64;
                (clients, served * 100.0, clients as f64 / served)
            })
            .collect();
        assert_eq!(of_points(&points), Knee::At(8));
        assert_eq!(of_points(&points[..4]), Knee::NotReached);
        assert_eq!(of_points(&points[..1]), Knee::Unknown);
        assert_eq!(of_points(&[(1, 0.0, 1.0), (2, 9.0, 1.0)]), Knee::Unknown);
    }
}
