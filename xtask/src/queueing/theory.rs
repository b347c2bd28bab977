//! What waits in a queue must be: by theory, and of given arrivals.

use statrs::distribution::{ContinuousCDF, StudentsT};

/// A probability that changes no mean.
const NEGLIGIBLE: f64 = 1e-18;

/// The mean wait of an M/D/c queue, in seconds.
///
/// Who is served at one moment is gone one service later, and nobody else is: so the number in the queue then is
/// max(n − c, 0) and the arrivals since (Crommelin, 1932). Its stationary mean gives the wait by Little's law.
pub(super) fn mean_wait(servers: usize, service: f64, rate: f64) -> f64 {
    let states = servers * 40 + 400;
    let arrivals = poisson(rate * service, states);
    let mut share = vec![0.0; states];
    share[0] = 1.0;
    loop {
        let mut next = vec![0.0; states];
        for (number, share) in share.iter().enumerate() {
            if *share < NEGLIGIBLE {
                continue;
            }
            let left = number.saturating_sub(servers);
            for (more, chance) in arrivals.iter().enumerate().take(states - left) {
                next[left + more] += share * chance;
            }
        }
        let change: f64 = share
            .iter()
            .zip(&next)
            .map(|(old, new)| (old - new).abs())
            .sum();
        share = next;
        if change < 1e-12 {
            break;
        }
    }
    let mean: f64 = share
        .iter()
        .enumerate()
        .map(|(number, share)| number as f64 * share)
        .sum();
    mean / rate - service
}

/// The probabilities of 0, 1, 2, … of a Poisson distribution, as far as they are any.
fn poisson(mean: f64, count: usize) -> Vec<f64> {
    let mut chance = (-mean).exp();
    let next = |number: usize| {
        let this = chance;
        chance *= mean / (number + 1) as f64;
        this
    };
    let mut chances: Vec<f64> = (0..count).map(next).collect();
    let last = chances.iter().rposition(|chance| *chance >= NEGLIGIBLE);
    chances.truncate(last.map_or(0, |last| last + 1));
    chances
}

/// The waits of arrivals, in order, at so many servers that are free at first and serve them in that order, each
/// as long.
///
/// The recursion of Kiefer and Wolfowitz (1955) keeps the sorted times at which servers become free. With a
/// constant service those are always the ends of the last services, in order: who comes is served when
/// the one that came c places before is gone.
pub(super) fn waits(arrivals: &[f64], servers: usize, service: f64) -> Vec<f64> {
    let mut begins: Vec<f64> = Vec::with_capacity(arrivals.len());
    for (number, arrival) in arrivals.iter().enumerate() {
        let free = number
            .checked_sub(servers)
            .map(|before| begins[before] + service);
        begins.push(free.map_or(*arrival, |free| free.max(*arrival)));
    }
    let pairs = begins.iter().zip(arrivals);
    pairs.map(|(begin, arrival)| begin - arrival).collect()
}

/// The means of parts of equal length, one after the other.
pub(super) struct Spread(Vec<f64>);

/// A mean and half the width of its 95 % confidence interval.
#[derive(Clone, Copy)]
pub(super) struct Interval {
    pub(super) mean: f64,
    pub(super) half_width: f64,
}

impl Spread {
    /// Of at least as many values as parts.
    pub(super) fn of(values: &[f64], parts: usize) -> Self {
        let part = |number: usize| {
            let part = &values[number * values.len() / parts..(number + 1) * values.len() / parts];
            part.iter().sum::<f64>() / part.len() as f64
        };
        Self((0..parts).map(part).collect())
    }

    /// With the parts of another sequence of about the same length.
    pub(super) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// By Student's t distribution, since the parts are long enough to be independent.
    pub(super) fn interval(&self) -> Interval {
        let count = self.0.len() as f64;
        let mean = self.0.iter().sum::<f64>() / count;
        let squares: f64 = self.0.iter().map(|part| (part - mean).powi(2)).sum();
        let error = (squares / (count - 1.0) / count).sqrt();
        let quantile =
            StudentsT::new(0.0, 1.0, count - 1.0).map_or(f64::NAN, |t| t.inverse_cdf(0.975));
        Interval {
            mean,
            half_width: quantile * error,
        }
    }
}

impl Interval {
    /// That of the mean less a known amount.
    pub(super) fn less(self, amount: f64) -> Self {
        Self {
            mean: self.mean - amount,
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use llmeter::load::Arrivals;

    use super::*;

    #[test]
    fn the_theory_is_that_of_the_books() {
        // One server: Pollaczek and Khinchine, ρ D / (2 (1 − ρ)).
        for load in [0.3, 0.5, 0.9] {
            let expected = load * 0.01 / (2.0 * (1.0 - load));
            let found = mean_wait(1, 0.01, load / 0.01);
            assert!((found / expected - 1.0).abs() < 1e-6, "{found} {expected}");
        }
        // Several wait less than one of the same load, and more than half as long as with random services.
        let found = mean_wait(4, 1.0, 2.8);
        let random = 0.4287 / (4.0 * 0.3);
        assert!(found > random / 2.0 && found < random * 0.6, "{found}");
    }

    /// Kiefer's and Wolfowitz's recursion as they wrote it: the work that is left at each server, sorted.
    fn by_work_left(arrivals: &[f64], servers: usize, service: f64) -> Vec<f64> {
        let mut work = vec![0.0; servers];
        let mut before = 0.0;
        let wait = |arrival: &f64| {
            for left in &mut work {
                *left = f64::max(*left - (arrival - before), 0.0);
            }
            before = *arrival;
            work.sort_by(f64::total_cmp);
            let wait = work[0];
            work[0] += service;
            wait
        };
        arrivals.iter().map(wait).collect()
    }

    #[test]
    fn waits_of_known_arrivals_are_exact() {
        // Two servers, a service of 2: the third waits for the first, the fourth for the second.
        let arrivals = [0.0, 0.5, 1.0, 1.0, 1.0, 9.0];
        assert_eq!(waits(&arrivals, 2, 2.0), [0.0, 0.0, 1.0, 1.5, 3.0, 0.0]);
        for servers in [1, 3, 16] {
            let gap = 1.0 / (0.9 * servers as f64);
            let times: Vec<f64> = Arrivals::Gamma(2.0).times(1).take(5_000).collect();
            let times: Vec<f64> = times.iter().map(|time| time * gap).collect();
            let pairs = waits(&times, servers, 1.0);
            let differences = pairs.iter().zip(by_work_left(&times, servers, 1.0));
            let furthest = differences
                .map(|(one, other)| (one - other).abs())
                .fold(0.0, f64::max);
            assert!(furthest < 1e-9, "{servers}: {furthest}");
            assert!(pairs.iter().any(|wait| *wait > 1.0));
        }
    }

    #[test]
    fn poisson_arrivals_of_the_schedule_wait_as_theory_says() {
        for (servers, load, count) in [
            (1, 0.5, 1_000_000),
            (4, 0.7, 2_000_000),
            (16, 0.8, 8_000_000),
        ] {
            let rate = load * f64::from(servers);
            let times: Vec<f64> = Arrivals::Poisson
                .times(1)
                .take(count)
                .map(|time| time / rate)
                .collect();
            let waits = waits(&times, servers as usize, 1.0);
            let expected = mean_wait(servers as usize, 1.0, rate);
            let found = Spread::of(&waits, 50).interval();
            let difference = found.mean / expected - 1.0;
            assert!(difference.abs() < 0.01, "{servers}: {difference}");
            // It is decided: more arrivals would not change that.
            assert!(
                found.half_width < 0.02 * expected,
                "{servers}: {}",
                found.half_width / expected
            );
        }
    }

    #[test]
    fn an_interval_is_that_of_the_means_of_parts() {
        let mut spread = Spread::of(&[1.0, 3.0, 2.0, 2.0, 5.0, 5.0], 3);
        let three = spread.interval();
        // Means 2, 2, 5: 3 ± 4.303 · √3 / √3.
        assert!((three.mean - 3.0).abs() < 1e-12 && (three.half_width - 4.3027).abs() < 1e-3);
        spread.extend(Spread::of(&[3.0], 1));
        assert_eq!(spread.interval().less(1.0).mean, 2.0);
    }
}
