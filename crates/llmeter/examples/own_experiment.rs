//! An experiment of one's own: the most clients that keep TTFT p90 below a limit.
//!
//! ```sh
//! cargo run -p llmeter --example own_experiment -- http://127.0.0.1:8000/v1 my-model
//! ```

use std::sync::Arc;

use llmeter::{Load, OpenAiChat, Result, RunConfig, Runner};

/// Doubles the clients as long as TTFT p90 is below `limit` seconds, then halves the step until the most
/// clients are known. `None` if one client is too many.
pub fn most_clients(base: RunConfig, limit: f64, at_most: usize) -> Result<Option<usize>> {
    let runner = Runner::new(base);
    let keeps = |clients: usize| -> Result<bool> {
        let result = runner.run_blocking_with(|run| {
            run.clients = clients;
            run.load = Load::Requests(20_u64.div_ceil(clients as u64).max(2));
        })?;
        let stats = result.stats();
        let is_below = stats.ttft.p90.is_some_and(|ttft| ttft < limit);
        Ok(is_below && stats.failed_requests == 0)
    };
    let (mut good, mut bad) = (0, 1);
    while bad <= at_most && keeps(bad)? {
        (good, bad) = (bad, bad * 2);
    }
    bad = bad.min(at_most + 1);
    while bad - good > 1 {
        let middle = (good + bad) / 2;
        match keeps(middle)? {
            true => good = middle,
            false => bad = middle,
        }
    }
    Ok((good > 0).then_some(good))
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .unwrap_or("http://127.0.0.1:8000/v1".into());
    let model = arguments.next().unwrap_or("simulated".into());
    let endpoint = OpenAiChat::builder(url, model).build()?;
    let payload = OpenAiChat::create_payload("Tell me a story.", 64, Default::default())?;
    match most_clients(RunConfig::new(Arc::new(endpoint), [payload]), 0.5, 64)? {
        Some(clients) => println!("{clients} clients keep TTFT p90 below 0.5 s"),
        None => println!("one client is too many"),
    }
    Ok(())
}
