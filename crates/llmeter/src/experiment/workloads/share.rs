//! One load, divided among classes of workload.
//!
//! Rates are divided as they are: independent Poisson arrivals at 14/s and 6/s are together Poisson arrivals at
//! 20/s of which a class has 70 %. What comes in whole numbers is divided by the largest remainder.

use super::Workload;
use crate::base::error::{Error, Result};
use crate::base::setting::Setting;
use crate::load::Load;

/// The classes, those that have a share with their part of the load that is in their configuration, unless it is
/// that part already.
pub(super) fn divided(classes: &[Workload], is_done: bool) -> Result<Vec<Workload>> {
    let shares: Vec<f64> = classes.iter().filter_map(|class| class.share).collect();
    if let Some(wrong) = shares
        .iter()
        .find(|share| !(share.is_finite() && **share > 0.0))
    {
        return Err(Error::field("share", wrong, "more than 0"));
    }
    let sum: f64 = shares.iter().sum();
    let shares: Vec<f64> = shares.iter().map(|share| share / sum).collect();
    let mut place = 0;
    let mut all: Vec<Workload> = Vec::with_capacity(classes.len());
    for (number, class) in classes.iter().enumerate() {
        let mut class = class.clone();
        // Equal seeds would make the arrivals of two classes follow each other. Those of a mix that is repeated
        // are different already.
        let is_taken = |seed: u64| all.iter().any(|other| other.config.seed == seed);
        if is_taken(class.config.seed) {
            class.config.seed = class.config.seed.wrapping_add(number as u64);
        }
        while is_taken(class.config.seed) {
            class.config.seed = class.config.seed.wrapping_add(1);
        }
        if class.share.is_some() {
            class.share = Some(shares[place]);
            if !is_done {
                part(&mut class, &shares, place)?;
            }
            place += 1;
        }
        all.push(class);
    }
    Ok(all)
}

/// The part of the class at a place among those that share.
fn part(class: &mut Workload, shares: &[f64], at: usize) -> Result<()> {
    let config = &mut class.config;
    let share = shares[at];
    let count = |all: u64| largest_remainder(all, shares)[at];
    if let Load::Schedule(_) = config.load {
        let error = Error::field(
            "share",
            share,
            "a load of rates, clients or stages to divide",
        );
        return Err(error.with_hint("give the workload a load of its own, without a share"));
    }
    let is_open = config.is_open_loop();
    config.rate = config.rate.map(|rate| rate.part(share));
    config.session_rate = config.session_rate.map(|rate| rate.part(share));
    config.max_sessions = config.max_sessions.map(count);
    if let Some(stages) = &config.stages {
        let clients = |all: u32| u32::try_from(count(all.into())).unwrap_or(all);
        let part = stages.part(share, clients);
        config.stages = Some(part.map_err(|reason| Error::refused("share", reason))?);
    } else if let Some(sessions) = config.sessions {
        let part = count(sessions as u64) as usize;
        if part == 0 {
            let expected = "as many as there are workloads that share them, at least";
            return Err(Error::invalid(Setting::Sessions, sessions, expected));
        }
        config.sessions = Some(part);
    } else if !is_open {
        let clients = count(config.clients as u64) as usize;
        if clients == 0 {
            let expected = "as many as there are workloads that share them, at least";
            return Err(Error::invalid(Setting::Clients, config.clients, expected));
        }
        config.clients = clients;
    }
    if let Load::Requests(all) = config.load
        && is_open
    {
        config.load = Load::Requests(count(all));
    }
    config.max_requests = config.max_requests.map(count);
    let in_flight = |all: usize| (count(all as u64) as usize).max(1);
    config.max_in_flight = config.max_in_flight.map(in_flight);
    config.warmup = count(config.warmup);
    config.max_cost = config.max_cost.map(|cost| cost * share);
    Ok(())
}

/// Whole numbers in the ratio of shares, whose sum is 1, that add up to `all`.
fn largest_remainder(all: u64, shares: &[f64]) -> Vec<u64> {
    let exact: Vec<f64> = shares.iter().map(|share| share * all as f64).collect();
    // What is a whole number but for rounding is one.
    let mut counts: Vec<u64> = exact
        .iter()
        .map(|part| (part + 1e-9).floor() as u64)
        .collect();
    let left = all.saturating_sub(counts.iter().sum());
    let mut order: Vec<usize> = (0..shares.len()).collect();
    let remainder = |at: usize, counts: &[u64]| exact[at] - counts[at] as f64;
    let whole = counts.clone();
    order.sort_by(|one, other| remainder(*other, &whole).total_cmp(&remainder(*one, &whole)));
    for at in order.into_iter().take(left as usize) {
        counts[at] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;
    use crate::RunConfig;
    use crate::endpoint::OpenAiChat;

    fn class(share: f64, change: impl FnOnce(&mut RunConfig)) -> Workload {
        let endpoint = OpenAiChat::builder("http://127.0.0.1:1/v1", "m").build();
        let mut config = RunConfig::new(Arc::new(endpoint.unwrap()), []);
        change(&mut config);
        Workload {
            name: share.to_string(),
            share: Some(share),
            config,
        }
    }

    #[test]
    fn rates_clients_and_limits_are_divided() {
        let whole = |config: &mut RunConfig| {
            config.rate = Some("20/s".parse().unwrap());
            config.load = Load::Requests(5);
            config.max_in_flight = Some(10);
        };
        let parts = divided(&[class(70.0, whole), class(30.0, whole)], false).unwrap();
        let rates: Vec<_> = parts.iter().map(|part| part.config.rate.unwrap()).collect();
        assert_eq!(
            rates.iter().map(ToString::to_string).collect::<Vec<_>>(),
            ["14/s", "6/s"]
        );
        let loads: Vec<_> = parts.iter().map(|part| part.config.load.clone()).collect();
        assert_eq!(loads, [Load::Requests(4), Load::Requests(1)]);
        let limits: Vec<_> = parts.iter().map(|part| part.config.max_in_flight).collect();
        assert_eq!(limits, [Some(7), Some(3)]);
        assert_ne!(parts[0].config.seed, parts[1].config.seed);
        // Once more they stay what they are.
        let again = divided(&parts, true).unwrap();
        for (part, again) in parts.iter().zip(&again) {
            assert_eq!(part.config.rate, again.config.rate);
            assert_eq!(
                (part.config.seed, part.share),
                (again.config.seed, again.share)
            );
        }

        let clients = |config: &mut RunConfig| {
            (config.clients, config.load) = (3, Load::Requests(5));
        };
        let parts = divided(&[class(0.5, clients), class(0.5, clients)], false).unwrap();
        let counts: Vec<_> = parts.iter().map(|part| part.config.clients).collect();
        assert_eq!(counts, [2, 1]);
        // Those of each client.
        assert_eq!(parts[0].config.load, Load::Requests(5));
        let few = |config: &mut RunConfig| config.clients = 1;
        let error = divided(&[class(1.0, few), class(1.0, few)], false).unwrap_err();
        assert!(error.to_string().starts_with("clients 1"), "{error}");

        let sessions = |config: &mut RunConfig| {
            (config.sessions, config.max_sessions) = (Some(5), Some(10));
        };
        let parts = divided(&[class(0.6, sessions), class(0.4, sessions)], false).unwrap();
        let of = |part: &Workload| (part.config.sessions, part.config.max_sessions);
        assert_eq!(of(&parts[0]), (Some(3), Some(6)));
        assert_eq!(of(&parts[1]), (Some(2), Some(4)));
        let rates = |config: &mut RunConfig| config.session_rate = Some("2/s".parse().unwrap());
        let parts = divided(&[class(3.0, rates), class(1.0, rates)], false).unwrap();
        assert_eq!(parts[1].config.session_rate.unwrap().to_string(), "0.5/s");

        let stages = |config: &mut RunConfig| {
            config.stages = Some("10/s for 1s, ramp to 20/s over 2s".parse().unwrap());
        };
        let parts = divided(&[class(1.0, stages), class(3.0, stages)], false).unwrap();
        assert_eq!(
            parts[1].config.stages.as_ref().unwrap().to_string(),
            "7.5/s for 1s, ramp to 15/s over 2s"
        );
        assert!(divided(&[class(0.0, stages)], false).is_err());
    }

    proptest! {
        #[test]
        fn nothing_is_lost_in_division(all in 0_u64..100_000, weights in prop::collection::vec(0.01..10.0, 1..9)) {
            let sum: f64 = weights.iter().sum();
            let shares: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
            let counts = largest_remainder(all, &shares);
            prop_assert_eq!(counts.iter().sum::<u64>(), all);
            for (count, share) in counts.iter().zip(&shares) {
                prop_assert!((*count as f64 - share * all as f64).abs() <= 1.0 + 1e-6);
            }
        }
    }
}
