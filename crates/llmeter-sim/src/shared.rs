//! What all connections of a server share.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};

use crate::clock;
use tokio_rustls::TlsAcceptor;

use crate::{
    api::Prompt, config::SimConfig, prefix_cache::PrefixCache, queue::Queue, truth::TruthLog,
};

/// The server as its connections see it.
pub(crate) struct Shared {
    pub(crate) config: SimConfig,
    pub(crate) truth: TruthLog,
    /// How to agree on TLS with clients; `None` if they speak without.
    pub(crate) tls: Option<TlsAcceptor>,
    /// The queue before a server that works on a limited number of requests or tokens.
    pub(crate) queue: Option<Arc<Queue>>,
    pub(crate) prefix_cache: Option<Mutex<PrefixCache>>,
    /// When the server, and so its model, came into being, in seconds of the wall clock.
    pub(crate) created: i64,
    /// Tells this server's ids from another's.
    instance: u32,
    completions: AtomicU64,
    requests: AtomicU64,
    responses: AtomicU64,
    /// Requests for generated content that are in flight.
    in_flight: AtomicUsize,
}

impl Shared {
    pub(crate) fn new(config: SimConfig, truth: TruthLog, tls: Option<TlsAcceptor>) -> Self {
        let queue = Queue::new(config.max_concurrency, config.max_tokens_in_flight);
        let cache = |tokens| Mutex::new(PrefixCache::new(tokens, config.cache_block));
        let prefix_cache = config.prefix_cache.map(cache);
        let wall = clock::wall();
        Self {
            config,
            truth,
            tls,
            queue,
            prefix_cache,
            created: wall.as_second(),
            instance: (mix(clock::now().0.unsigned_abs() ^ u64::from(std::process::id())) >> 32)
                as u32,
            completions: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            responses: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
        }
    }

    /// The number of a new completion and its id.
    pub(crate) fn next_completion(&self, prefix: &str) -> (u64, String) {
        let number = self.completions.fetch_add(1, Ordering::Relaxed);
        let id = format!("{prefix}{:08x}{:016x}", self.instance, mix(number));
        (number, id)
    }

    /// The id of a new HTTP request.
    pub(crate) fn request_id(&self) -> String {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        format!(
            "req_{:016x}{:016x}",
            mix(u64::from(self.instance)),
            mix(!number)
        )
    }

    /// A request for generated content is in flight for as long as this is kept.
    pub(crate) fn enter(self: &Arc<Self>) -> InFlight {
        let others = self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight {
            shared: Arc::clone(self),
            with_it: others + 1,
        }
    }

    /// A response, of whatever status, is complete but for the last write.
    pub(crate) fn count_response(&self) {
        self.responses.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn responses(&self) -> u64 {
        self.responses.load(Ordering::Relaxed)
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Shared").finish_non_exhaustive()
    }
}

/// A request in flight.
pub(crate) struct InFlight {
    shared: Arc<Shared>,
    /// Requests in flight when it came, itself included.
    with_it: usize,
}

impl InFlight {
    /// What the words of its answer follow from, if that is not its number.
    pub(crate) fn words(&self, prompt: &Prompt) -> Option<u64> {
        let from = self.shared.config.drift_from?;
        let busy = if self.with_it >= from {
            self.with_it
        } else {
            0
        };
        Some(mix(prompt.digest()).wrapping_add(busy as u64))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.shared.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Scatters numbers so that no two become one (the finalizer of SplitMix64).
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
