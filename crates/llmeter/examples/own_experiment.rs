//! An experiment of one's own: the most clients that keep TTFT p90 below a limit.
//!
//! ```sh
//! cargo run -p llmeter --example own_experiment -- http://127.0.0.1:8000/v1 my-model
//! ```
use std::sync::Arc;

use llmeter::{Load, OpenAiChat, Result, RunConfig, Runner};

/// The most clients up to `at_most` that keep it below `limit` seconds; `None` if one is too many.
pub fn most_clients(base: RunConfig, limit: f64, at_most: usize) -> Result<Option<usize>> {
    let (runner, mut good, mut bad) = (Runner::new(base), 0, at_most + 1);
    while bad - good > 1 {
        let clients = (good + bad) / 2;
        let result = runner.run_blocking_with(|run| {
            (run.clients, run.load) = (clients, Load::Requests(10));
        })?;
        let stats = result.stats();
        let keeps = stats.ttft.p90.is_some_and(|ttft| ttft < limit) && stats.failed_requests == 0;
        (good, bad) = if keeps {
            (clients, bad)
        } else {
            (good, clients)
        };
    }
    Ok((good > 0).then_some(good))
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut next = |default: &str| arguments.next().unwrap_or(default.into());
    let (url, model) = (next("http://127.0.0.1:8000/v1"), next("simulated"));
    let endpoint = OpenAiChat::builder(url, model).build()?;
    let payload = OpenAiChat::create_payload("Tell me a story.", 64, Default::default())?;
    let most = most_clients(RunConfig::new(Arc::new(endpoint), [payload]), 0.5, 64)?;
    println!("{} clients keep TTFT p90 below 0.5 s", most.unwrap_or(0));
    Ok(())
}
