//! Closed loop: a client sends its next request when the last one is answered.

use std::time::Duration;

use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::run::{Load, RunConfig};
use crate::wire::clock::Stamp;

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

    fn advance(&mut self) -> usize {
        let index = self.order[self.position];
        self.position = (self.position + 1) % self.order.len();
        index as usize
    }
}
