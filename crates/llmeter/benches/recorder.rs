//! How fast answers are recorded: a whole run whose endpoint answers at once, and the statistics
//! by themselves.

mod instant;

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use llmeter::endpoint::{InvocationResponse, ResponseDetail};
use llmeter::payload::Payload;
use llmeter::stats::{Accumulator, Keep};
use llmeter::{Load, RunConfig, Runner};

use instant::Instant;

const CLIENTS: usize = 16;
const REQUESTS: u64 = 500;
const TOKENS: usize = 64;

fn recording(c: &mut Criterion) {
    let endpoint = Instant::new(None, TOKENS);
    let mut group = c.benchmark_group("recorder");
    group.sample_size(10);
    group.throughput(Throughput::Elements(CLIENTS as u64 * REQUESTS));
    let mut bench = |name: &str, output: Option<&std::path::Path>| {
        let config = RunConfig::new(endpoint.clone(), [Payload::new()])
            .clients(CLIENTS)
            .load(Load::Requests(REQUESTS));
        let runner = Runner::new(config);
        group.bench_function(name, |b| {
            b.iter(|| {
                let result = runner.run_blocking_with(|run| {
                    run.output = output.map(Into::into);
                    run.run_name = Some("bench".to_owned());
                    run.overwrite = true;
                });
                result.unwrap_or_else(|error| panic!("{error}"))
            });
        });
    };
    bench("run in memory", None);
    let folder = tempfile::tempdir();
    let folder = folder.unwrap_or_else(|error| panic!("{error}"));
    bench("run with files", Some(folder.path()));
    group.finish();
}

fn response(index: usize) -> InvocationResponse {
    let spread = (index % 97) as f64 * 1e-4;
    InvocationResponse {
        time_to_first_token: Some(0.2 + spread),
        time_to_last_token: Some(1.5 + spread),
        num_tokens_input: Some(20),
        num_tokens_output: Some(TOKENS as u64),
        time_per_output_token: Some(0.02 + spread * 0.1),
        detail: ResponseDetail {
            inter_token_latencies: vec![0.02; TOKENS - 1],
            content_frames: Some(TOKENS as u32),
            ..ResponseDetail::default()
        },
        ..InvocationResponse::default()
    }
}

fn statistics(c: &mut Criterion) {
    let responses: Vec<_> = (0..10_000).map(response).collect();
    let mut group = c.benchmark_group("statistics");
    group.throughput(Throughput::Elements(responses.len() as u64));
    for (name, keep) in [("exact", Keep::Values), ("sketch", Keep::Sketches)] {
        let filled = || {
            let mut accumulator = Accumulator::new(keep);
            for response in black_box(&responses) {
                accumulator.record(response);
            }
            accumulator
        };
        group.bench_function(format!("record, {name}"), |b| b.iter(filled));
        group.bench_function(format!("figures, {name}"), |b| {
            b.iter_batched(
                filled,
                |mut accumulator| accumulator.stats(Some(60.0)),
                BatchSize::LargeInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, recording, statistics);
criterion_main!(benches);
