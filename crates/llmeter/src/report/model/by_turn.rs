//! Charts of the turns of conversations.

use super::{Block, Table, charts};
use crate::report::{figure, parts};
use crate::stats::{Metric, Stats};

/// The latencies that have charts by turn, with their names in addresses.
const DRAWN: [(&str, &str); 2] = [
    ("ttft", "time_to_first_token"),
    ("ttlt", "time_to_last_token"),
];

/// Latencies and tokens by turn, of runs under names.
pub(super) fn by_turn(all: &[(&str, &Stats)]) -> Vec<Block> {
    let table = || {
        let mut rows: Vec<Vec<String>> = Vec::new();
        for (name, stats) in all {
            let of_one = parts::turn_rows(stats).into_iter().enumerate();
            for (at, row) in of_one {
                match (at, all.len()) {
                    (0, _) if !rows.is_empty() => {}
                    (_, 1) => rows.push(row),
                    (0, _) => rows.push(std::iter::once("run".to_owned()).chain(row).collect()),
                    _ => rows.push(std::iter::once((*name).to_owned()).chain(row).collect()),
                }
            }
        }
        Table::of("Turns", rows, &[""; 0])
    };
    let mut blocks = Vec::new();
    for (id, key) in DRAWN {
        let Some(metric) = Metric::named(key) else {
            continue;
        };
        blocks.extend(charts::chart(
            &format!("turns-{id}"),
            "Median and 90th percentile of the successful requests of each turn.",
            figure::latency_by_turn(all, metric),
            table(),
        ));
    }
    blocks.extend(charts::chart(
        "turns-tokens",
        "The history grows with each turn, and with it the input. What the server had in its cache is told where it \
         says so.",
        figure::tokens_by_turn(all),
        table(),
    ));
    blocks
}
