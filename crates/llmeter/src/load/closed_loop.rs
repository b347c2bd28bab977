//! Closed loop: a client sends its next request when the last one is answered.

use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::run::{Load, RunConfig};
use llmeter_wire::clock::Stamp;

/// Clients begin at random within this time, so that they do not march in step.
const START_SPREAD: Duration = Duration::from_millis(10);

/// What one client sends.
#[derive(Debug)]
pub(crate) struct ClientPlan {
    pub(crate) client: u32,
    /// Requests before the run proper.
    pub(crate) warmup: u64,
    /// How long after the run's start this client begins.
    pub(crate) start_after: Duration,
    /// Payload indices in this client's own order, walked in a circle.
    order: Vec<u32>,
    position: usize,
    /// Requests that are left, if the load is bound by count.
    left: Option<u64>,
    duration: Option<Duration>,
}

/// Plans every client of a run. The same seed gives the same plans; clients differ.
pub(crate) fn plan_clients(config: &RunConfig) -> Vec<ClientPlan> {
    let clients = config.clients as u64;
    (0..clients)
        .map(|client| {
            // One stream of the generator for each client, whatever the number of clients.
            let mut random = ChaCha8Rng::seed_from_u64(config.seed);
            random.set_stream(client);
            let mut order: Vec<u32> = (0..config.payloads.len() as u32).collect();
            order.shuffle(&mut random);
            ClientPlan {
                client: client as u32,
                warmup: config.warmup / clients + u64::from(client < config.warmup % clients),
                start_after: START_SPREAD.mul_f64(random.random()),
                order,
                position: 0,
                left: config.requests_per_client(),
                duration: match config.load {
                    Load::Duration(duration) => Some(duration),
                    _ => None,
                },
            }
        })
        .collect()
}

impl ClientPlan {
    /// The payload of the next request, or `None` when the client is done. `start` is the run's.
    pub(crate) fn next(&mut self, start: Stamp, now: Stamp) -> Option<usize> {
        if let Some(left) = &mut self.left {
            *left = left.checked_sub(1)?;
        }
        if self
            .duration
            .is_some_and(|duration| now >= start.after(duration))
        {
            return None;
        }
        Some(self.advance())
    }

    /// The payload of the next warm-up request.
    pub(crate) fn next_warmup(&mut self) -> Option<usize> {
        self.warmup = self.warmup.checked_sub(1)?;
        Some(self.advance())
    }

    /// The payload that the next request will have, unless the run's time is over before.
    pub(crate) fn upcoming(&self) -> Option<usize> {
        (self.warmup > 0 || self.left != Some(0)).then(|| self.order[self.position] as usize)
    }

    fn advance(&mut self) -> usize {
        let index = self.order[self.position];
        self.position = (self.position + 1) % self.order.len();
        index as usize
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::endpoint::OpenAiChat;
    use crate::payload::Payload;

    fn config(clients: usize, payloads: usize, load: Load) -> RunConfig {
        let endpoint = OpenAiChat::builder("http://127.0.0.1:1/v1", "m").build();
        let payloads = (0..payloads).map(|_| Payload::new());
        RunConfig::new(Arc::new(endpoint.unwrap()), payloads)
            .clients(clients)
            .load(load)
    }

    /// All that a client sends in a run that takes no time.
    fn walk(plan: &mut ClientPlan) -> Vec<usize> {
        std::iter::from_fn(|| plan.next(Stamp(0), Stamp(0))).collect()
    }

    #[test]
    fn a_client_walks_its_own_order_in_a_circle() {
        let mut plans = plan_clients(&config(2, 6, Load::Requests(15)));
        let orders: Vec<_> = plans.iter_mut().map(walk).collect();
        for order in &orders {
            assert_eq!(order.len(), 15);
            assert_eq!(order[6..12], order[..6]);
            assert_eq!(order[12..], order[..3]);
            let mut once = order[..6].to_vec();
            once.sort_unstable();
            assert_eq!(once, [0, 1, 2, 3, 4, 5]);
        }
        assert_ne!(orders[0], orders[1]);
        assert!(
            plans.iter_mut().all(|plan| walk(plan).is_empty()),
            "done is done"
        );
    }

    #[test]
    fn a_plan_depends_on_the_seed_and_the_client_only() {
        let orders = |clients, seed| {
            let mut config = config(clients, 30, Load::EachPayloadOnce);
            config.seed = seed;
            let plans = plan_clients(&config).into_iter();
            plans
                .map(|mut plan| (plan.start_after, walk(&mut plan)))
                .collect::<Vec<_>>()
        };
        let few = orders(3, 7);
        assert_eq!(
            orders(5, 7)[..3],
            few,
            "more clients leave the first ones alone"
        );
        assert_ne!(orders(3, 8), few);
        assert!(few.iter().all(|(after, _)| *after < START_SPREAD));
        assert!(few[0].0 != few[1].0 && few[1].0 != few[2].0);
    }

    #[test]
    fn time_runs_out_at_the_deadline() {
        let time = Duration::from_secs(1);
        let mut plan = plan_clients(&config(1, 1, Load::Duration(time))).remove(0);
        let start = Stamp(50);
        let deadline = start.after(time);
        for _ in 0..5 {
            assert_eq!(plan.next(start, Stamp(deadline.0 - 1)), Some(0));
        }
        assert_eq!(plan.next(start, deadline), None);
        assert_eq!(plan.next(start, Stamp(deadline.0 + 1)), None);
    }

    #[test]
    fn warm_up_is_shared_out_and_comes_before_the_rest() {
        let mut config = config(3, 4, Load::Requests(4));
        config.warmup = 5;
        let mut plans = plan_clients(&config);
        let shares: Vec<u64> = plans.iter().map(|plan| plan.warmup).collect();
        assert_eq!(shares, [2, 2, 1]);
        for plan in &mut plans {
            while plan.next_warmup().is_some() {}
            let mut rest = walk(plan);
            rest.sort_unstable();
            assert_eq!(
                rest,
                [0, 1, 2, 3],
                "every payload once, whatever came before"
            );
        }
    }
}
