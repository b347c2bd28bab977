//! How long it takes to find that no secret is in a text: in prose, and in text with escapes.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use llmeter_wire::redaction::Redaction;

const KEY: &str = "sk-proj-Zq7Rw2Yx9Ub4Nc6Mv8Kd3Lf5Gh1Jt0Ps_Wz-Ae4Io6Uy8Bq2Xr7";
const TOKENS: [&str; 3] = [
    "ya29.a0AfH6SMBx7Zq7Rw2Yx9Ub4Nc6Mv8Kd3Lf5Gh1Jt0Ps_Wz-Ae4Io6",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "correcthorsebatterystaple",
];
const PROSE: &str = "The server keeps each response until its last token has come, and the worker reads \
                     on. A model that thinks before it answers takes longer to its first word; what it \
                     says after that comes at the pace of the machine, which other users share.\n";
const BYTES: usize = 8 << 10;

fn redaction(c: &mut Criterion) {
    let prose = PROSE.repeat(BYTES.div_ceil(PROSE.len()));
    let escaped = serde_json::Value::from(prose.replace(" the ", " \"the\" ")).to_string();
    for (name, secrets) in [("a key", &[KEY][..]), ("three tokens", &TOKENS)] {
        let redaction = Redaction::new(secrets.iter().copied());
        let mut group = c.benchmark_group(format!("redaction, {name}"));
        for (name, text) in [("prose", &prose), ("escapes", &escaped)] {
            group.throughput(Throughput::Bytes(text.len() as u64));
            group.bench_function(name, |b| b.iter(|| redaction.apply(black_box(text)).len()));
        }
    }
}

criterion_group!(benches, redaction);
criterion_main!(benches);
