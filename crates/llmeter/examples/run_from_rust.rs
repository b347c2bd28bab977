//! A load test from Rust code. Start a server for it with `llmeter simulate --port 8000`, or name
//! another one: `cargo run -p llmeter --example run_from_rust -- http://localhost:8080/v1 MODEL`.

use std::sync::Arc;

use llmeter::{Load, OpenAiChat, RunConfig, Runner, report};

fn main() -> llmeter::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments
        .next()
        .unwrap_or("http://127.0.0.1:8000/v1".into());
    let model = arguments.next().unwrap_or("simulated".into());

    let endpoint = OpenAiChat::builder(url, model).build()?;
    let payload = OpenAiChat::create_payload("Tell me a story.", 64, Default::default())?;
    let config = RunConfig::new(Arc::new(endpoint), [payload])
        .clients(8)
        .load(Load::Requests(5));
    let result = Runner::new(config).run_blocking()?;

    println!("{}", report::summary(&result));
    match result.stats().ttft.p99 {
        Some(seconds) => println!("p99 TTFT: {seconds:.3} s"),
        None => println!("no request succeeded"),
    }
    Ok(())
}
