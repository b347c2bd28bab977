//! What callbacks cost: processor time of whole runs on one core, with none, and with callbacks
//! whose hooks do nothing. The difference per request times 20,000 is the share of a core that
//! 20,000 requests a second of such callbacks take.

mod instant;

use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use llmeter::callback::Callback;
use llmeter::payload::Payload;
use llmeter::{Load, OpenAiChat, RunConfig, Runner};

use instant::Instant;

const CLIENTS: usize = 64;
const REQUESTS: u64 = 300;
/// With so many clients: 20,000 requests a second.
const LATENCY: Duration = Duration::from_micros(3200);

/// Has every hook and does nothing in any.
struct NoOp;

impl Callback for NoOp {}

fn callbacks(c: &mut Criterion) {
    let endpoint = Instant::new(Some(LATENCY), 1);
    one_core();
    let payload = OpenAiChat::create_payload("Tell me a story.", 128, Payload::new());
    let payload = payload.unwrap_or_else(|error| panic!("{error}"));
    let mut group = c.benchmark_group("callbacks, processor time");
    group.sample_size(20);
    group.throughput(Throughput::Elements(CLIENTS as u64 * REQUESTS));
    for count in [0, 1, 2] {
        let mut config = RunConfig::new(endpoint.clone(), [payload.clone()])
            .clients(CLIENTS)
            .load(Load::Requests(REQUESTS));
        for _ in 0..count {
            config = config.callback(Arc::new(NoOp));
        }
        let runner = Runner::new(config);
        group.bench_function(format!("{count} that do nothing"), |b| {
            b.iter_custom(|times| {
                let before = processor_time();
                for _ in 0..times {
                    let result = runner.run_blocking();
                    result.unwrap_or_else(|error| panic!("{error}"));
                }
                processor_time() - before
            });
        });
    }
    group.finish();
}

/// Keeps this process, the threads of its runs included, on one core.
fn one_core() {
    #[cfg(target_os = "linux")]
    {
        let mut cores = rustix::thread::CpuSet::new();
        cores.set(0);
        if let Err(reason) = rustix::thread::sched_setaffinity(None, &cores) {
            eprintln!("not on one core: {reason}");
        }
    }
}

/// What this process has used so far.
fn processor_time() -> Duration {
    let clock = nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID;
    let time = clock.now().unwrap_or_else(|error| panic!("{error}"));
    Duration::from(time)
}

criterion_group!(benches, callbacks);
criterion_main!(benches);
